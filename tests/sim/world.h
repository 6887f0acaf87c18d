/* world.h - a whole world in one process from one seed: two nodes, their disks, the network between them, the chain.
 *
 * The engine and the Adjudicator's rules are the real ones. Everything around them is simulated, so that a crash, a
 * lost message or a reorganisation can be put at any point, and every run can be repeated from its seed.
 *
 * Every action draws its randomness from (seed, number of the action): leaving one out does not change what the others
 * do, so a failing run can be shrunk to the few actions that matter (shrink.c). */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>

#include "channel/channel.h"
#include "kinds.h"
#include "rng.h"
#include "store.h"

#define MAX_BLOCKS 2048
#define MAX_INFLIGHT 256
#define MAX_JOBS 192
#define MAX_PAYMENTS 512
#define MAX_SIGNED 4096
#define MAX_STATES 1024
#define FINAL_DEPTH 2 /* confirmations that count; reorganisations are never deeper */
#define BLOCK_SECONDS 12
#define FRESHNESS 600
#define MARGIN 1200 /* until a transaction is mined and final: FINAL_DEPTH blocks, some of them full */
#define LATEST 2    /* blocks that a transaction is kept waiting, at most */
#define STEP 200    /* seconds that one block may take while somebody relies on a margin */
#define LONGEST 8000
#define MAX_LOCKS 8 /* pending at a time */
#define MAX_SEEN 32 /* with those that are only proposed */
#define LOCK_PAYLOAD 32
#define LOCKS_SIZE (MAX_LOCKS * (CH_LOCK_HEAD + LOCK_PAYLOAD))
#define MAX_REVEALS 512
#define PERIOD 86400
#define BOND 50
#define MAX_ACTIONS 4096 /* numbers of one seed's actions */

/* --- The chain: blocks of one channel's storage, money of three accounts --------------------------- */
typedef struct block {
  uint64_t time;
  ch_onchain state;
  ch_adj_slots other; /* of another channel, for moves into it */
  ch_net at_end[2];   /* the contributions of the epoch that ended last */
  ch_amount vault;    /* what the Adjudicator holds */
  ch_amount purse[2];
} block;

/* A call that a node wants on chain, as its durable job. */
typedef struct job {
  ch_hash key;
  ch_tx tx;
  ch_amount value;
  uint8_t locks[LOCKS_SIZE]; /* a settlement's */
  int mined;                 /* block index, -1: not yet */
  int late;                  /* blocks that left it out */
  bool failed;
} job;

/* --- A node ------------------------------------------------------------------------------------------- */

/* Payment number k of a side has the id "pSIDE-k" and this place in its rows, and in the receiver's. */
typedef struct pay_row {
  ch_payment_status status; /* 0: there is none */
  ch_amount paid;
  uint16_t epoch;
  uint64_t version;
  ch_op op;
  bool expected; /* claimed in time: it must not be lost */
  uint8_t again; /* how often it came in once more: to a clone, whose states the other copy has replaced */
} pay_row;

/* What is on the node's disk: changed only by a whole transaction. */
typedef struct disk {
  store *store; /* the daemon's, in every second world; what follows is then what must be in it */
  uint8_t *record;
  size_t len;
  pay_row out[MAX_PAYMENTS], in[MAX_PAYMENTS];
  job jobs[MAX_JOBS];
  size_t n_jobs;
  uint64_t latest; /* version of L in `epoch`, for the monotonicity check */
  uint16_t epoch;
} disk;

typedef struct message {
  uint8_t *bytes;
  size_t len;
  uint64_t conn;
  int block; /* when it was sent */
} message;

typedef struct node {
  int side;
  bool alive;
  ch_channel *channel;
  ch_hash instance;
  ch_secret node_key;
  ch_pubkey node_id;
  ch_addr address;
  disk disk;
  disk copy; /* of the whole disk at an earlier time; without a record: none was made */
  int seen;  /* last block processed */
  ch_chain_view view;
  bool blind;    /* read from disk, the chain has not been seen since: no block counts until then */
  bool stalled;  /* its chain node stands still */
  uint64_t down; /* since when it is not alive */
  uint64_t conn; /* the connection that it believes in; 0: none */
  message inbox[MAX_INFLIGHT];
  size_t n_inbox;
} node;

typedef struct signed_version {
  int side;
  uint64_t version;
  uint16_t epoch;
  ch_hash digest;
} signed_version;

/* A co-signed state that existed at some time: what a cheat may publish. */
typedef struct old_state {
  ch_state state;
  ch_outcome outcome;
  ch_sig sig[2];
} old_state;

/* Rules that can be broken on purpose, to see that the simulator notices: X(SYMBOL, "name"). */
#define SIM_BREAKS(X)                                                                                                  \
  X(NOTHING, "nothing")                                                                                                \
  X(BARRIER, "barrier") /* messages leave before the transaction is durable */                                         \
  X(PERSIST, "persist") /* a transaction is sometimes not written at all */                                            \
  X(REPLAY, "replay")   /* messages of a superseded connection are delivered */                                        \
  X(BACKUP, "backup")   /* after a crash an older copy of the data is used, and nobody is told */                      \
  X(OUTBOX, "outbox")   /* payments that were accepted and are not in a state yet are forgotten by a crash */          \
  X(FRESH, "fresh")     /* the chain's head is always taken for young */                                               \
  X(WATCH, "watch")     /* the chain is never looked at in a dispute */                                                \
  X(MARGIN, "margin")   /* a claimed payment goes to the chain too late */

typedef enum broken {
#define SIM_ENUM(sym, name) BROKEN_##sym,
  SIM_BREAKS(SIM_ENUM)
#undef SIM_ENUM
      N_BREAKS
} broken;

typedef struct revealed {
  ch_hash hash, preimage;
  int block;
} revealed;

struct liar;

typedef struct world {
  uint64_t seed;
  rng rng;
  bool trace;
  broken broken;
  const bool *skip; /* MAX_ACTIONS of them: actions that are left out; NULL: none */
  bool taken[MAX_ACTIONS];
  unsigned section;
  uint64_t now;
  uint64_t conn; /* the live connection's number; 0: none */
  uint64_t conns;
  ch_chain chain;
  ch_hash salt;
  ch_secret blind_key;
  block blocks[MAX_BLOCKS];
  int n_blocks;
  node node[2];
  node *twin[2]; /* the other copy of a node, which is not connected; NULL: there is none */
  bool lost[2];  /* it went on from a copy, or runs twice: its books may lack what came after */
  bool cloned[2];
  bool risked[2];    /* its operator has risked the bond */
  unsigned paid[2];  /* numbers for payments */
  struct liar *liar; /* NULL: both sides are honest */
  signed_version signatures[MAX_SIGNED];
  size_t n_signatures;
  old_state states[MAX_STATES];
  size_t n_states;
  revealed reveals[MAX_REVEALS];
  size_t n_reveals;
  bool with_store, with_locks, with_contracts;
  bool optimistic; /* FUNDS hints overstate what the peer sees */
  bool faults;     /* crashes, cuts and lost writes may happen */
  bool ending;     /* no new payments */
  uint64_t steps;
  uint64_t count[N_KINDS];
  const char *failure; /* the first broken promise, as a class of its own */
  char why[200];
} world;

/* world.c */
void fail(world *w, const char *what, ...) __attribute__((format(printf, 2, 3)));
void note(const world *w, const char *what, ...) __attribute__((format(printf, 2, 3)));
void happened(world *w, sim_kind k);
/* Gives the randomness of action `number` of this seed. False: it is to be left out. */
bool begin_action(world *w, unsigned number);
/* The same for what is no action, and always happens. */
void begin_section(world *w, unsigned number);
/* The honest side, or -1 if both are. */
int lone_honest(const world *w);
bool is_honest(const world *w, int side);

/* chain.c */
void chain_genesis(world *w);
void chain_mine(world *w);
void chain_reorganise(world *w, int depth);
bool chain_apply(world *w, block *b, const ch_addr *sender, ch_amount value, const ch_tx *tx);
const block *chain_head(const world *w);

/* keys.c */
ch_signer node_signer(world *w, node *n);
void node_channel_key(const node *n, const ch_hash *nonce, ch_secret *out);

/* disk.c: the one transaction of an event */
void disk_commit(world *w, node *n, const ch_channel *next, const ch_effects *fx);
/* What a crash in the middle of it leaves: nothing. */
void disk_try(world *w, node *n, const ch_channel *next, const ch_effects *fx);
void disk_copy(disk *to, const disk *from);
void disk_free(disk *d);
/* The channel and its pending payments, as a start finds them. */
void disk_load(world *w, node *n);
/* The daemon's store lists the payments that were written, and nothing else. */
void disk_check(world *w, node *n);
/* The row of the payment with this id; NULL: the id is not one of ours. */
pay_row *disk_row(disk *d, bool in, const ch_op *op);
ch_op payment_op(world *w, int side, ch_amount amount);

/* node.c */
void node_make(world *w, int side);
void node_free(node *n);
void node_env(const world *w, const node *n, ch_env *env);
void node_info(const world *w, const node *n, ch_info *info);
ch_phase node_phase(const world *w, int side);
bool node_frozen(const world *w, const node *n);
/* Runs one event through the engine and performs the effects, with whatever faults chance brings. */
ch_err node_step(world *w, node *n, const ch_event *ev);
void node_look_at_chain(world *w, node *n);
void node_crash(world *w, node *n);
void node_boot(world *w, node *n);
void node_restart(world *w, node *n);

/* link.c */
void link_cut(world *w, bool half);
void link_connect(world *w);
void link_send(world *w, node *n, const uint8_t *bytes, size_t len);
void link_clear(node *n);
void node_deliver(world *w, node *n);

/* open.c */
bool node_open(world *w);

/* memory.c: memory that is lost or doubled */
/* The operator puts the copy in the disk's place, and says so to the node. */
void node_restore(world *w, node *n);
void node_clone(world *w, node *n);
void node_end_clones(world *w);
void thaw_all(world *w, unsigned number);

/* act.c */
void act(world *w);
void act_pay_race(world *w, node *n);
/* A block, and everybody who can looks at it. */
void pass_block(world *w, uint64_t seconds);
/* Time, in steps that the margins allow for while somebody relies on them. */
void pass_time(world *w, uint64_t seconds);
void command(world *w, int side, ch_event_kind kind);

/* locks.c */
void act_lock(world *w, node *n);
void act_resolve(world *w, node *n);
ch_hash preimage_of(const ch_op *op);
size_t locks_of(const world *w, const node *n, ch_lock_info *out);
bool node_claims_pending(const world *w);
/* Whoever has claimed a payment looks at the chain often enough. */
void keep_margins(world *w);
bool act_edge(world *w);
void node_look_at_hashes(world *w, node *n, int head, int final);
void chain_note_reveal(world *w, const ch_adj_event *e, int at);
void chain_forget_reveals(world *w); /* of blocks that are no more */
uint64_t chain_revealed(void *ctx, const ch_hash *hash);
ch_amount chain_owed(void *ctx, const ch_lock *lock);
bool is_hash_lock(const ch_op *op);

/* liar.c: a side that says and does whatever its keys allow */
void liar_make(world *w, int side);
void liar_free(world *w);
int liar_side(const world *w);
void liar_act(world *w);
void liar_hears(world *w, const uint8_t *bytes, size_t len);
void liar_at_end(world *w);
void liar_falls_silent(world *w);
void liar_connected(world *w);
void liar_mines(world *w, block *b);
/* Settles a dispute that is over: an honest side that has forgotten the state in it cannot. */
void liar_takes_its_money(world *w);

/* check.c */
void check_always(world *w);
void check_converged(world *w);
/* After the chain has ended the channel: the honest sides' books agree with what was executed, and nobody honest got
 * less than its latest state said, or lost its bond. */
void check_ending(world *w);

/* rules.c: what must not even be tried */
void check_signing(world *w, const node *n, const ch_sign_state *what);
void check_paid(world *w, const node *n, const ch_channel *next); /* it reports a payment settled */
void check_wish(world *w, const node *n, const ch_tx *tx);

/* life.c: one seed from its opening to its end */
void heal(world *w, int blocks);
void live(world *w);
world *world_new(uint64_t seed, broken b, bool trace, const bool *skip);
void world_free(world *w);

/* shrink.c */
/* Looks for the fewest actions with which this seed still fails, and prints how to watch them. */
void shrink(uint64_t seed, broken b, const char *failure);

#endif
