/* world.h - a whole world in one process from one seed: two nodes, their disks, the network between them, the chain.
 *
 * The engine and the Adjudicator's rules are the real ones. Everything around them is simulated, so that a crash, a
 * lost message or a reorganisation can be put at any point, and every run can be repeated from its seed. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>

#include "channel/channel.h"

#define MAX_BLOCKS 1024
#define MAX_INFLIGHT 256
#define MAX_JOBS 128
#define MAX_PAYMENTS 512
#define MAX_SIGNED 4096
#define MAX_STATES 1024
#define FINAL_DEPTH 2 /* confirmations that count; reorganisations are never deeper */
#define BLOCK_SECONDS 12
#define FRESHNESS 600
#define MARGIN 1200 /* until a transaction is mined and final: FINAL_DEPTH blocks, some of them full */
#define LONGEST 8000
#define MAX_LOCKS 8 /* pending at a time */
#define MAX_REVEALS 512
#define PERIOD 86400
#define BOND 50

/* --- Randomness: splitmix64 ---------------------------------------------------------------------- */
typedef struct rng {
  uint64_t s;
} rng;
uint64_t rng_next(rng *r);
unsigned rng_below(rng *r, unsigned n);
bool rng_chance(rng *r, unsigned percent);
void rng_hash(rng *r, ch_hash *out);

/* --- The chain: blocks of one channel's storage, money of three accounts --------------------------- */
typedef struct block {
  uint64_t time;
  ch_onchain state;
  ch_adj_slots other; /* of another channel, for moves into it */
  ch_amount vault;    /* what the Adjudicator holds */
  ch_amount purse[2];
} block;

/* A call that a node wants on chain, as its durable job. */
typedef struct job {
  ch_hash key;
  ch_tx tx;
  ch_amount value;
  uint8_t locks[MAX_LOCKS * (CH_LOCK_HEAD + CH_LOCK_HASH_LEN)]; /* a settlement's */
  int mined;                                                    /* block index, -1: not yet */
  bool failed;
} job;

/* --- A node ------------------------------------------------------------------------------------------- */
typedef struct pay_row {
  char id[24];
  ch_amount amount;
  ch_payment_status status;
  uint16_t epoch;
  uint64_t version;
  ch_op op;      /* of a conditional one */
  bool expected; /* claimed in time: it must not be lost */
} pay_row;

/* What is on the node's disk: changed only by a whole transaction. */
typedef struct disk {
  uint8_t *record;
  size_t len;
  pay_row out[MAX_PAYMENTS], in[MAX_PAYMENTS];
  size_t n_out, n_in;
  job jobs[MAX_JOBS];
  size_t n_jobs;
  uint64_t latest; /* version of L in `epoch`, for the monotonicity check */
  uint16_t epoch;
} disk;

typedef struct message {
  uint8_t *bytes;
  size_t len;
  uint64_t conn;
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
  bool lost; /* it went on from the copy: its books lack what came after */
  int seen;  /* last block processed */
  ch_chain_view view;
  bool stalled; /* its chain node stands still */
  message inbox[MAX_INFLIGHT];
  size_t n_inbox;
  unsigned paid; /* counter for payment ids */
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

/* Rules that can be broken on purpose, to see that the simulator notices. */
typedef enum broken {
  BROKEN_NOTHING,
  BROKEN_BARRIER, /* messages leave before the transaction is durable */
  BROKEN_PERSIST, /* a transaction is sometimes not written at all */
  BROKEN_REPLAY,  /* messages of a superseded connection are delivered */
  BROKEN_BACKUP,  /* after a crash an older copy of the data is used, and nobody is told */
} broken;

typedef struct revealed {
  ch_hash hash, preimage;
  int block;
} revealed;

typedef struct world {
  uint64_t seed;
  rng rng;
  bool trace;
  broken broken;
  uint64_t now;
  uint64_t conn; /* the live connection's number; 0: none */
  uint64_t conns;
  ch_chain chain;
  ch_hash salt;
  block blocks[MAX_BLOCKS];
  int n_blocks;
  node node[2];
  signed_version signatures[MAX_SIGNED];
  size_t n_signatures;
  old_state states[MAX_STATES];
  size_t n_states;
  revealed reveals[MAX_REVEALS];
  size_t n_reveals;
  bool with_locks; /* and then no copies are restored: a lock cannot be read from its hash */
  bool optimistic; /* FUNDS hints overstate what the peer sees */
  bool faults;     /* crashes, cuts and lost writes may happen */
  bool ending;     /* no new payments */
  unsigned locks, claimed;
  unsigned steps, crashes, cuts, reorgs, refusals, withdrawals, moves, reopened, restored, resumed;
  const char *failure; /* the first broken promise */
  char why[200];
} world;

void fail(world *w, const char *what, ...) __attribute__((format(printf, 2, 3)));
void note(const world *w, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* chain.c */
void chain_genesis(world *w);
void chain_mine(world *w);
void chain_reorganise(world *w, int depth);
bool chain_apply(world *w, block *b, const ch_addr *sender, ch_amount value, const ch_tx *tx);
const block *chain_head(const world *w);

/* node.c */
void node_make(world *w, int side);
void node_free(node *n);
ch_signer node_signer(world *w, node *n);
void node_env(const world *w, const node *n, ch_env *env);
/* Runs one event through the engine and performs the effects, with whatever faults chance brings. */
ch_err node_step(world *w, node *n, const ch_event *ev);
void node_deliver(world *w, node *n);
void node_look_at_chain(world *w, node *n);
void node_crash(world *w, node *n);
void node_restart(world *w, node *n);
/* The operator puts the copy in the disk's place, and says so to the node. */
void node_restore(world *w, node *n);
bool node_frozen(const world *w, const node *n);
bool node_open(world *w);
void link_cut(world *w);
void link_connect(world *w);

/* locks.c */
void act_lock(world *w, node *n);
void act_resolve(world *w, node *n);
bool node_claims_pending(const world *w);
void node_look_at_hashes(world *w, node *n, int head, int final);
void chain_note_reveal(world *w, const ch_adj_event *e, int at);
void chain_forget_reveals(world *w); /* of blocks that are no more */
uint64_t chain_revealed(void *ctx, const ch_hash *hash);
void node_expects(node *n, const ch_op *op); /* node.c: it claimed this in time */

/* check.c */
void check_always(world *w);
void check_converged(world *w);
void check_ending(world *w, int honest, ch_net at_least);

#endif
