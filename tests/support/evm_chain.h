/* evm_chain.h - an EVM chain in memory, for tests and the simulator: blocks, accounts, fees, a pool of transactions,
 * the Adjudicator and tokens as their storage words and logs would be on a real chain.
 *
 * No EVM: the Adjudicator's calls are executed by libchannel's model of it (channel/adjudicator.h), tokens by hand; a
 * call costs an amount of gas that depends on what it is. Deterministic: no clock, no randomness; a block comes when
 * evm_chain_mine is called, at the time that it is given. Functions may be called by any thread, one at a time for each
 * chain: a lock of the chain's sees to that. A test's mistake or no memory aborts.
 */
#ifndef EVM_CHAIN_H
#define EVM_CHAIN_H

#include "channel/adjudicator.h"

typedef struct evm_chain evm_chain;

typedef struct evm_chain_config {
  uint64_t chain_id;  /* 0: 31337 */
  uint64_t time;      /* of block 0, seconds */
  uint64_t block_gas; /* a block's limit; 0: 30,000,000 */
  uint64_t base_fee;  /* of block 1, wei for each unit of gas; 0: 1,000,000,000 */
} evm_chain_config;

/* `cfg` may be NULL. The Adjudicator and one token of each kind are there from block 0 on. */
evm_chain *evm_chain_new(const evm_chain_config *cfg);
void evm_chain_free(evm_chain *c); /* NULL is fine */

/* --- What there is from the beginning --- */

ch_chain evm_chain_identity(const evm_chain *c);

/* As the contracts of the same names in proto/evm/test/tokens: with how a deposit gets its consent. */
typedef enum evm_token {
  EVM_STRICT_TOKEN = 0, /* only by an approval, which has to be taken back before another */
  EVM_PERMIT_TOKEN,     /* permit (ERC-2612) */
  EVM_TEST_TOKEN,       /* authorization (EIP-3009), permit */
} evm_token;
#define EVM_TOKENS 3
ch_addr evm_chain_token(evm_token kind);
/* The one contract that can be a lock's condition: owes what its payload, one word, says. */
ch_addr evm_chain_condition(void);
/* Gets all that is paid for gas, so that the sum of all balances stays the same. */
ch_addr evm_chain_collector(void);

/* Coin (asset zero) or tokens out of nothing. It was always there: no reorganisation takes it back. */
void evm_chain_give(evm_chain *c, const ch_addr *who, const ch_addr *asset, ch_amount amount);
/* From now on the address is a contract that refuses coin, or no longer. */
void evm_chain_refuse(evm_chain *c, const ch_addr *who, bool on);

/* --- Blocks --- */

typedef struct evm_block {
  uint64_t number, time, base_fee, gas_used;
  ch_hash hash, parent;
} evm_block;

/* The head, or the block with this number, which must be there. */
evm_block evm_chain_head(evm_chain *c);
evm_block evm_chain_block(evm_chain *c, uint64_t number);

/* Adds a block at this time (its parent's time + 1 if that is later) with what the pool has for it: by tip, each
 * account's in the order of their nonces, as far as they pay the base fee and there is gas left. */
void evm_chain_mine(evm_chain *c, uint64_t time);
/* The same `n` times, `interval` seconds apart from the head on. */
void evm_chain_mine_many(evm_chain *c, unsigned n, uint64_t interval);

/* Takes back the last blocks. Their transactions are in the pool again, or, if `lose` is set, nowhere. What is mined
 * then has other hashes than before. Mine at least as many blocks as that before a node looks: heads do not go back. */
void evm_chain_undo(evm_chain *c, unsigned blocks, bool lose);

/* --- The pool --- */

typedef enum evm_took {
  EVM_TOOK = 0,
  EVM_ALREADY_KNOWN,
  EVM_NONCE_TOO_LOW,
  EVM_UNDERPRICED, /* replaces another one, but both fees are not a tenth higher */
  EVM_NO_FUNDS,    /* for value and most expensive gas, together with what is waiting already */
  EVM_LITTLE_GAS,  /* less than any such transaction needs */
  EVM_MUCH_GAS,    /* more than a block has */
  EVM_MALFORMED,   /* no transaction, badly signed, or for another chain */
} evm_took;

/* Gives a signed transaction to the pool. */
evm_took evm_chain_take(evm_chain *c, const uint8_t *raw, size_t len);
size_t evm_chain_pending(evm_chain *c);
/* Takes the `i`th of the pool's transactions out of it, as nodes do when they are full or restarted; counted in the
 * order in which they came. */
void evm_chain_drop(evm_chain *c, size_t i);
void evm_chain_drop_all(evm_chain *c);

/* Others' transactions: as much gas of each block from the next one on, paid with this tip (wei for each unit). The
 * pool's transactions that offer more come first, those that offer less get what is left. Full blocks raise the base
 * fee by up to an eighth each, empty ones lower it. */
void evm_chain_crowd(evm_chain *c, uint64_t gas, uint64_t tip);
/* The same at once: the base fee of the next block. */
void evm_chain_set_base_fee(evm_chain *c, uint64_t wei);

/* --- Looking --- */

/* After the head block. */
ch_amount evm_chain_balance(evm_chain *c, const ch_addr *who, const ch_addr *asset);
ch_amount evm_chain_credit(evm_chain *c, const ch_addr *payee, const ch_addr *asset);
uint64_t evm_chain_nonce(evm_chain *c, const ch_addr *who);
ch_adj_slots evm_chain_slots(evm_chain *c, const ch_hash *id);
/* When the preimage of a sha256 was revealed; 0: not yet. */
uint64_t evm_chain_revealed(evm_chain *c, const ch_hash *hash);
/* A word of a contract's storage after this block. */
ch_hash evm_chain_word(evm_chain *c, const ch_addr *contract, const ch_hash *slot, uint64_t block);

/* Called for each signed transaction that is given to the pool or a node, whatever becomes of it: `calls` are those of
 * the Adjudicator in it, none if it is something else. Must not call the chain, whose lock is held. */
typedef void (*evm_witness)(void *ctx, const ch_addr *sender, const ch_tx *calls, size_t n);
void evm_chain_witness(evm_chain *c, evm_witness witness, void *ctx);

/* --- By hand: what no transaction did, in the head block. --- */

void evm_chain_set(evm_chain *c, const ch_addr *contract, const ch_hash *slot, const ch_hash *value);
/* `event`: its signature; topics are its hash and `topic1`. */
void evm_chain_log(evm_chain *c, const ch_addr *contract, const char *event, const ch_hash *topic1, const uint8_t *data,
                   size_t len);

#endif
