/* fake_l1.h - a chain for the sender's test: one account, a pool, fees, and faults on demand. Any thread.
 *
 * What a call is stands in its first byte: 'R' reverts when it is tried, 'B' needs another one ('A') mined before it,
 * 'S' is skipped as part of a batch; anything else succeeds. */
#ifndef TESTS_FAKE_L1_H
#define TESTS_FAKE_L1_H

#include <pthread.h>

#include "ports.h"

#define FAKE_TXS 128

typedef struct fake_tx {
  uint64_t nonce, fee;
  ch_hash hash;
  uint8_t calls[64]; /* first bytes */
  size_t n;
  bool foreign, gone; /* gone: replaced, or its nonce was used by another */
  uint64_t block;     /* 0: in the pool */
} fake_tx;

typedef struct fake_l1 {
  pthread_mutex_t lock;
  uint64_t nonce, head, now, confirmations;
  fake_tx txs[FAKE_TXS];
  size_t n;
  unsigned allowances;   /* given by 'A', used up by 'B' */
  bool outbids;          /* the schedule asks for more */
  bool deaf;             /* broadcasts get no answer and do not arrive */
  bool lossy;            /* broadcasts arrive, but get no answer */
  bool refuses;          /* broadcasts are refused for good */
  unsigned broken;       /* broadcasts of bytes that were not stored before: must stay 0 */
  size_t most_in_flight; /* of the pool */
  ch_amount balance;     /* of every account */
  ch_amount dispute_cost;
  uint64_t lock_cost; /* what each lock adds to it */
  /* Whether bytes with this hash are stored. */
  bool (*stored)(void *ctx, const ch_hash *hash);
  void *stored_ctx;
} fake_l1;

/* Fills *out. `f` is zeroed but for what the test sets. */
void fake_l1_init(fake_l1 *f, cd_l1 *out);
/* Mines what can be mined of the pool, in a block, and `more` empty ones. Returns how many transactions. */
unsigned fake_l1_mine(fake_l1 *f, unsigned more);
/* Puts a transaction of somebody else with the same key into the pool. */
void fake_l1_foreign(fake_l1 *f, uint64_t nonce, uint64_t fee);
/* How often a call with this first byte was executed. */
unsigned fake_l1_executed(fake_l1 *f, uint8_t call);
/* The head as the node keeps it. */
cd_head fake_l1_head(fake_l1 *f);

#endif
