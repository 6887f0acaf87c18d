/* world.h - whole daemons in one process from one seed: their threads, disks, clocks and connections, and the chain.
 *
 * The daemons are channeld's own code: node, workers, commit thread, sender, keeper, chain follower, store. os.h is the
 * operating system under them, net.c the network between them; nothing else is simulated. The world drives them through
 * their commands, as a client does (ask.c), and does to them what happens to daemons (fault.c).
 *
 * Every action draws from (seed, number of the action), as in tests/sim: leaving one out keeps the others (shrink.c).
 */
#ifndef SIM_DAEMON_WORLD_H
#define SIM_DAEMON_WORLD_H

#include <stdio.h>

#include "kinds.h"
#include "node.h"
#include "os.h"
#include "sim/rng.h"

#define MAX_NODES 3
#define MAX_DAEMONS 6 /* with clones */
#define MAX_CHANNELS 16
#define MAX_PAYS 600
#define MAX_ASKS 64
#define MAX_ACTIONS 1024 /* numbers of one seed's actions */
#define SIM_ADDRESS 64
#define SIM_TEXT_OF(number) #number
#define SIM_TEXT(number) SIM_TEXT_OF(number)

#define PERIOD 4000 /* of a dispute, seconds */
#define FRESHNESS 600
#define MARGIN 600
#define LONGEST 20000 /* a conditional payment's time, seconds */

typedef struct world world;
typedef struct host host;
typedef struct sim_net sim_net;
typedef struct wire wire;
typedef struct ask ask;

/* Who holds keys. */
typedef struct person {
  uint8_t seed[64];
  ch_pubkey id;
  char id_hex[67];
  ch_addr account;
  ch_amount given; /* by the faucet */
  bool lost;       /* an old copy was restored, or a clone was alive: its books may lack what came after */
} person;

typedef enum life { OFF, STARTING, RUNNING, STOPPING } life;

/* A process of a person's daemon, or where one was. */
struct host {
  world *w;
  int who;
  char folder[SIM_ADDRESS], address[SIM_ADDRESS];
  os_machine *machine;
  life life;
  cd_node *node; /* in the process's memory: only while it runs */
  sim_net *net;
  unsigned workers;
  bool blind; /* its view of the chain stands still */
  bool ill;   /* its disk makes trouble */
  bool was_ill;
  bool retired;                               /* a clone that is not started again */
  unsigned starts, calls;                     /* calls: of commands, that have not returned */
  uint64_t off_since, blind_since, ill_since; /* seconds() */
  uint64_t power_cut;                         /* what its death does to the disk: 0 nothing, else drawn from it */
  int64_t wall_ms;
  char why[300];
};

/* A command that was asked, until it is answered or its daemon has died. */
struct ask {
  world *w;
  host *d;
  bool used, answered, lost;
  char method[32];
  json_t *args;
  uint64_t asked; /* os_now() */
  cd_class cls;
  json_t *body;
  /* What its answer means; NULL: nothing. */
  void (*then)(ask *a);
  int about; /* of the payment or channel */
};

typedef struct chan {
  char id[67];
  int who[2]; /* side 0, side 1 */
  bool ended;
} chan;

/* What a client was told of a payment. It never becomes untrue. */
typedef enum told { TOLD_NOTHING, TOLD_SETTLED, TOLD_FAILED } told;

typedef struct pay {
  char id[24];
  int from, to; /* persons */
  int chan;
  uint64_t amount;
  bool lock;
  ch_hash preimage;
  uint64_t expires; /* seconds(): a conditional one is over by then */
  told told;
} pay;

typedef enum broken {
#define SIM_BREAKS(X)                                                                                                  \
  X(NOTHING, "nothing")                                                                                                \
  X(SYNC, "sync")     /* a disk that says it has flushed */                                                            \
  X(BACKUP, "backup") /* now and then a start finds an older copy of the disk, and nobody is told */                   \
  X(OUTBOX, "outbox") /* payments that were accepted and are not in a state yet are forgotten by a start */            \
  X(FRESH, "fresh")   /* the chain's head is always taken for young */
#define SIM_ENUM(sym, name) BROKEN_##sym,
  SIM_BREAKS(SIM_ENUM)
#undef SIM_ENUM
      N_BREAKS
} broken;

struct world {
  uint64_t seed;
  rng rng;    /* of the action: the world's choices */
  rng chance; /* of the action: what happens by itself meanwhile */
  bool trace;
  broken broken;
  const bool *skip; /* MAX_ACTIONS of them: actions that are left out; NULL: none */
  bool taken[MAX_ACTIONS];
  unsigned section;

  person person[MAX_NODES];
  int n_people;
  host host[MAX_DAEMONS];
  int n_daemons;
  wire *wires;
  chan chan[MAX_CHANNELS];
  int n_chans;
  pay pay[MAX_PAYS];
  int n_pays;
  ask ask[MAX_ASKS];
  struct signed_content *signatures;
  struct left_content *left;
  const struct chain_kind *chain;
  ch_addr asset; /* of all channels; zero: the coin */

  uint64_t latency; /* of the network, milliseconds at most */
  unsigned refuses; /* percent of connections */
  unsigned interval, confirmations, poll_ms, bond;
  uint64_t warped; /* seconds that have passed for the chain alone */
  bool faults, ending;
  bool with_crashes, with_power, with_disk, with_reorgs, with_loss, with_locks, with_clocks;
  bool copied[MAX_NODES]; /* there is a copy of its disk, of some time ago */
  uint64_t steps, messages;
  uint64_t count[N_KINDS];
  const char *failure; /* the first broken promise, as a class of its own */
  char why[300];
};

/* world.c */
void fail(world *w, const char *what, ...) __attribute__((format(printf, 2, 3)));
void note(const world *w, const char *what, ...) __attribute__((format(printf, 2, 3)));
void happened(world *w, sim_kind k);
/* Gives the randomness of action `number` of this seed. False: it is to be left out. */
bool begin_action(world *w, unsigned number);
/* The same for what is no action, and always happens. */
void begin_section(world *w, unsigned number);
/* Lets the daemons run for so long. */
void run_ms(world *w, uint64_t ms);
void run_steps(world *w, uint64_t steps);
/* Until it is true, for `ms` at most. */
bool run_until(world *w, bool (*done)(world *w), uint64_t ms);

/* net.c */
bool net_open(host *d, const cd_net_listener *listener, cd_net *out);
/* Its process has ended without a word. */
void net_died(host *d);
/* Some live connection, if there is one; `half`: one side learns of it late. */
bool net_cut(world *w, bool half);

/* node.c */
host *daemon_new(world *w, int who);
/* A process on the daemon's folder; it runs when run_until says so. */
void daemon_start(host *d);
void daemon_stop(host *d);
/* What os_on_death() is for. */
void daemon_died(void *w, os_machine *m);
host *daemon_of(world *w, const os_machine *m);
/* Whose fiber runs; NULL: the world's, or nobody's. */
host *host_of_fiber(void);
void hosts_begin(world *w);
/* One that runs; NULL: none does. */
host *some_daemon(world *w);

/* ask.c */
/* Asks a daemon that runs; `args` is given away. NULL: too much is asked already. */
ask *ask_new(host *d, const char *method, json_t *args, void (*then)(ask *a), int about);
/* Whatever it answers. */
void ask_only(host *d, const char *method, json_t *args);
void ask_free(ask *a);
/* The answer within `ms`: the caller's; NULL if it failed. */
json_t *ask_now(host *d, const char *method, json_t *args, uint64_t ms);
void asks_lost(const host *d);
void asks_look(world *w); /* whoever waits for too long */

/* chain.c */
void chain_give(world *w, int who, uint64_t amount);
ch_amount chain_purse(world *w, int who);
void chain_reorganise(world *w, unsigned depth, bool drop);
/* Time passes in steps that honest nodes keep up with. */
void pass_time(world *w, uint64_t seconds);
/* Of the chain's clock, since the beginning. */
uint64_t seconds(const world *w);

/* signed.c: what was signed, and what of it has left */
void signed_begin(world *w);
void signed_end(world *w);
void check_leaving(host *d, const uint8_t *bytes, size_t len);
/* What is on the disk that a daemon starts with covers all that has left. On the daemon's own fiber. */
void check_durable(host *d, const cd_store *store);

/* break.c */
void break_store(const world *w, cd_store *store);
void break_disk(host *d);

/* act.c */
void act(world *w);
void act_open(world *w, host *d);
void act_leave(world *w, host *d, int c);
void connect_to(host *d, int who);
json_t *money_json(uint64_t amount);
int chan_learn(world *w, int who, const json_t *c);
/* The payment with this id; -1: there is none. */
int pay_named(const world *w, const char *id);
void pay_told(world *w, int i, const json_t *row);

/* fault.c */
void act_fault(world *w);
void revive(world *w);
void revive_late(world *w);

/* memory.c: memory that is lost or doubled */
void act_memory(world *w);
/* One copy goes on, the others never again. */
void end_clones(world *w);
/* Whoever is frozen and has lost its memory goes on, or leaves. */
void thaw_all(world *w);

/* check.c */
void check_always(world *w);
void check_converged(world *w);
bool all_ended(world *w, bool tell);
void check_ending(world *w);

/* life.c */
void live(world *w);
world *world_new(uint64_t seed, broken b, bool trace, const bool *skip);
void world_free(world *w);

#endif
