/* ledger.h - the state that transactions change: balances, nonces, channels. Everything lies in the journalled state of
 * db.h, so a reorganisation takes it back. */
#ifndef CHANNELD_L1_DEV_LEDGER_H
#define CHANNELD_L1_DEV_LEDGER_H

#include "db.h"
#include "record.h"
#include "tx.h"

/* The block that is being made. */
typedef struct cd_dev_env {
  cd_sql_db *db;
  const ch_chain *chain;
  const ch_addr *faucet; /* the only account that may mint */
  uint64_t height, time;
  uint32_t place; /* of the transaction in the block */
} cd_dev_env;

ch_amount cd_dev_ledger_balance(cd_sql_db *db, const ch_addr *who, const ch_addr *asset);
uint64_t cd_dev_ledger_nonce(cd_sql_db *db, const ch_addr *who);
/* A channel's storage after block `height`. */
void cd_dev_ledger_slots_at(cd_sql_db *db, uint64_t height, const ch_hash *id, ch_adj_slots *out);

/* What is known of a sha256 hash after block `height`. */
void cd_dev_ledger_revealed_at(cd_sql_db *db, uint64_t height, const ch_hash *hash, cd_dev_revealed *out);

/* True if the sender has the native coin that the transaction sends. */
bool cd_dev_ledger_affordable(cd_sql_db *db, const cd_dev_tx *tx);

/* Executes a transaction: uses its nonce and, unless it reverts, does what it says and records its event. Returns NULL,
 * or why it was reverted. */
const char *cd_dev_ledger_execute(const cd_dev_env *env, const cd_dev_tx *tx);

#endif
