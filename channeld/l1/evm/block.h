/* block.h - blocks, logs and storage as a node gives them, checked as far as they can be. Source: the Ethereum JSON-RPC
 * API, EIP-1898 (a block by its hash), yellow paper section 4.3.1 (the logs bloom).
 *
 * Each function asks one URL. CD_RPC_REFUSED and CD_RPC_FAILED as in rpc.h; an answer that is malformed or contradicts
 * itself counts as FAILED, and the URL is left alone for a while. Any thread.
 */
#ifndef CHANNELD_L1_EVM_BLOCK_H
#define CHANNELD_L1_EVM_BLOCK_H

#include "l1/evm/rpc.h"

#define CD_EVM_BLOOM 256
#define CD_EVM_TOPICS 4
#define CD_EVM_LOG_DATA 96   /* bytes: none of the Adjudicator's events has more */
#define CD_EVM_LOGS_MAX 4096 /* of one question */

typedef struct cd_evm_block {
  uint64_t number, time;
  ch_hash hash, parent;
  uint8_t bloom[CD_EVM_BLOOM];
} cd_evm_block;

typedef struct cd_evm_log {
  uint64_t block, index; /* number of the block, place in it */
  ch_hash block_hash, tx;
  ch_hash topic[CD_EVM_TOPICS];
  size_t n_topics;
  uint8_t data[CD_EVM_LOG_DATA];
  size_t data_len;
} cd_evm_log;

/* A block's number or one of the words "latest", "safe", "finalized". *found is false if the node has no such block
 * (yet). */
cd_rpc_status cd_evm_block_at(cd_rpc *rpc, size_t url, uint64_t number, cd_evm_block *out, bool *found);
cd_rpc_status cd_evm_block_tagged(cd_rpc *rpc, size_t url, const char *tag, cd_evm_block *out, bool *found);

/* Where an address or a topic leaves its marks in a bloom. */
typedef struct cd_evm_marks {
  uint16_t at[3];
} cd_evm_marks;
cd_evm_marks cd_evm_marks_of(const uint8_t *item, size_t len);
/* Whether a block may contain a log of this address, or with this topic. Never wrongly false. */
bool cd_evm_bloom_has(const uint8_t bloom[CD_EVM_BLOOM], const cd_evm_marks *marks);

/* Whether a log can be one of this block and address. */
bool cd_evm_log_fits(const cd_evm_log *log, const ch_addr *address, const cd_evm_block *block);
/* All logs of `address` in the block, in order: malloc'ed. A log that is not of this block and address, or that its
 * bloom does not contain, makes the whole answer worthless. */
cd_rpc_status cd_evm_logs_of(cd_rpc *rpc, size_t url, const ch_addr *address, const cd_evm_block *block,
                             cd_evm_log **out, size_t *n);
/* Logs of `address` in the blocks first..last with one of two topics in place 0 and `topic1` in place 1. */
cd_rpc_status cd_evm_logs_search(cd_rpc *rpc, size_t url, const ch_addr *address, uint64_t first, uint64_t last,
                                 const ch_hash topic0[2], const ch_hash *topic1, cd_evm_log **out, size_t *n);

/* A word of a contract's storage after a block: where, and what it is. */
typedef struct cd_evm_word {
  ch_hash slot, block; /* the block's hash */
  ch_hash value;
} cd_evm_word;
/* Reads `n` of them, any number. `why`: the node's reason, if they cannot be had. */
cd_rpc_status cd_evm_storage(cd_rpc *rpc, size_t url, const ch_addr *address, cd_evm_word *words, size_t n,
                             char why[CD_RPC_TEXT]);

#endif
