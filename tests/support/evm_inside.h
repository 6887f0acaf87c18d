/* evm_inside.h - what an evm_chain is made of, for the files that make it and the nodes that show it. Its lock is held
 * by who calls these functions; evm_chain.h has those that take it. */
#ifndef EVM_INSIDE_H
#define EVM_INSIDE_H

#include <pthread.h>

#include "evm_call.h"
#include "evm_chain.h"
#include "l1/evm/block.h"
#include "l1/evm/tx.h"

/* A signed transaction; `tx.data` points into `raw`. One that was made by hand has no bytes. */
typedef struct evm_signed {
  uint8_t *raw;
  size_t len;
  ch_hash hash;
  ch_addr sender;
  cd_evm_tx tx;
} evm_signed;

typedef struct evm_mined {
  evm_signed what;
  bool ok;
  evm_out out;
  ch_addr created;        /* zero: nothing */
  uint64_t gas, price;    /* used, and what was paid for each unit */
  size_t first_log, logs; /* of the block's */
} evm_mined;

typedef struct evm_full_block {
  evm_block head;
  uint8_t bloom[CD_EVM_BLOOM];
  uint64_t tip; /* the median of what was paid on top */
  evm_mined *txs;
  size_t n_txs;
  evm_log *logs;
  size_t n_logs;
  size_t mark; /* of the state before it */
} evm_full_block;

struct evm_chain {
  pthread_mutex_t lock;
  evm_chain_config cfg;
  ch_addr adjudicator;
  evm_state *state;
  evm_full_block *blocks;
  size_t n, cap;
  uint64_t forced_base; /* of the next block; 0: as the last one makes it */
  uint64_t crowd_gas, crowd_tip;
  uint64_t branches; /* how often blocks were taken back */
  evm_signed *pool;  /* in the order in which they came */
  size_t n_pool, cap_pool;
  evm_witness witness;
  void *witness_ctx;
};

/* --- evm_chain.c --- */
void evm_tell_witness(const evm_chain *c, const uint8_t *raw, size_t len);

/* --- evm_mine.c --- */
evm_full_block *evm_last(evm_chain *c);
uint64_t evm_next_base_fee(const evm_chain *c);
/* A call without a transaction: executed and taken back. */
typedef struct evm_answer {
  bool ok;
  evm_out out;
  uint64_t gas; /* that a transaction with this call needs as its limit */
} evm_answer;
/* After this block, in its time. */
evm_answer evm_try_at(evm_chain *c, const evm_msg *m, bool creates, uint64_t block);
/* In the next block, behind what the pool has for it. */
evm_answer evm_try_pending(evm_chain *c, const evm_msg *m, bool creates);
void evm_mine_block(evm_chain *c, uint64_t time);
void evm_undo_blocks(evm_chain *c, unsigned blocks, bool lose);
/* Executes in a block of its own what nobody signed and nothing is paid for. */
void evm_mine_unsigned(evm_chain *c, const evm_msg *m, bool creates, uint64_t time);
/* Appends logs to a block, and marks them in its bloom. */
void evm_add_logs(evm_full_block *b, const evm_log *logs, size_t n);

/* --- evm_pool.c --- */
evm_took evm_pool_take(evm_chain *c, const uint8_t *raw, size_t len);
void evm_pool_remove(evm_chain *c, size_t i); /* and frees it */
/* Once more, after its block was taken back. */
void evm_pool_put_back(evm_chain *c, const evm_signed *what);
/* Without those whose nonces are used. */
void evm_pool_clean(evm_chain *c);

uint64_t evm_nonce_of(const evm_chain *c, const ch_addr *who);
/* Copies the bytes, too. */
evm_signed evm_signed_copy(const evm_signed *from);

#endif
