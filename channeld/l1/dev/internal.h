/* internal.h - what the embedded chain's files share. */
#ifndef CHANNELD_L1_DEV_INTERNAL_H
#define CHANNELD_L1_DEV_INTERNAL_H

#include <pthread.h>

#include "chain.h"
#include "ledger.h"

struct cd_dev {
  pthread_mutex_t lock; /* held from begin to end */
  cd_sql_db db;
  ch_chain chain;
  ch_secret faucet_key; /* public knowledge: see cd_dev_faucet */
  ch_addr faucet;
  uint32_t interval;
  uint64_t (*wall)(void *ctx);
  void *wall_ctx;
};

void cd_dev_begin_read(cd_dev *dev);
void cd_dev_begin_write(cd_dev *dev);
ch_err cd_dev_end(cd_dev *dev) CH_MUST_CHECK;

/* --- blocks.c; all of it inside a transaction --- */

void cd_dev_block_read(cd_dev *dev, uint64_t number, cd_dev_block *out, bool *found);
void cd_dev_head_read(cd_dev *dev, cd_dev_block *out);
uint64_t cd_dev_clock_offset(cd_dev *dev);
uint64_t cd_dev_now(cd_dev *dev);
/* Lets the clock show `seconds` more from now on. */
void cd_dev_clock_add(cd_dev *dev, uint64_t seconds);
void cd_dev_genesis(cd_dev *dev);

/* A transaction as it is mined. */
typedef struct cd_dev_raw {
  uint8_t bytes[CD_DEV_TX_MAX];
  size_t len;
} cd_dev_raw;
/* Mines a block with those of the `n` transactions that are still possible: right nonce, affordable. */
void cd_dev_block_mine(cd_dev *dev, const cd_dev_raw *txs, size_t n);
/* Drops all blocks above `number` and what they did. Hands their transactions to `keep` in order, if not NULL. */
void cd_dev_blocks_drop(cd_dev *dev, uint64_t number, bool (*keep)(void *arg, const cd_dev_raw *tx), void *arg);

#endif
