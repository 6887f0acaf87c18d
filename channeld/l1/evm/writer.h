/* writer.h - the writing half of the adapter: calls encoded, tried, signed, outbid and broadcast. Each function is the
 * one of cd_l1_ops (ports.h) with the same name; any thread. encode_*, sign need no answer from a node, the rest do.
 *
 * What encode_* makes, and what the sender keeps, is one byte that says what it is, then for a call the contract's
 * address, then the calldata (for a deployment: the creation code).
 */
#ifndef CHANNELD_L1_EVM_WRITER_H
#define CHANNELD_L1_EVM_WRITER_H

#include <pthread.h>

#include "fees.h"
#include "ports.h"
#include "rpc.h"

#define CD_EVM_BATCH 50 /* Close calls in one transaction: far below any block's gas limit */

typedef struct cd_evm_writer {
  cd_rpc *rpc; /* borrowed */
  ch_chain chain;
  const ch_secret *key; /* borrowed, in locked memory */
  ch_addr account;
  uint64_t fee_limit;         /* wei for each unit of gas */
  uint64_t (*now)(void *ctx); /* chain seconds */
  void *now_ctx;
  pthread_mutex_t lock; /* the market */
  cd_market market;
  uint64_t market_ms; /* cd_monotonic_ms when it was read; 0: never */
} cd_evm_writer;

/* CH_ERR_KEY. */
ch_err cd_evm_writer_init(cd_evm_writer *w, cd_rpc *rpc, const ch_chain *chain, const ch_secret *key,
                          uint64_t fee_limit, uint64_t (*now)(void *ctx), void *now_ctx) CH_MUST_CHECK;
void cd_evm_writer_free(cd_evm_writer *w);

ch_err cd_evm_encode_call(cd_evm_writer *w, const ch_tx *tx, uint8_t **data, size_t *len);
ch_err cd_evm_encode_transfer(cd_evm_writer *w, const ch_addr *to, const ch_addr *asset, ch_amount amount,
                              uint8_t **data, size_t *len);
ch_err cd_evm_encode_deploy(cd_evm_writer *w, uint8_t **data, size_t *len);
bool cd_evm_together(const cd_call *a, const cd_call *b);
cd_ready cd_evm_prepare(cd_evm_writer *w, const cd_call *calls, size_t n, cd_prepared *out, char why[200]);
ch_err cd_evm_sign(cd_evm_writer *w, uint64_t nonce, const cd_prepared *what, uint8_t **raw, size_t *raw_len,
                   ch_hash *hash);
ch_err cd_evm_outbid(cd_evm_writer *w, const cd_bid *bid, uint8_t **raw, size_t *raw_len, ch_hash *hash);
cd_sent cd_evm_broadcast(cd_evm_writer *w, const uint8_t *raw, size_t len, char why[200]);
ch_err cd_evm_dispute_cost(cd_evm_writer *w, uint32_t locks, ch_amount *out);
/* The balance of a token. */
ch_err cd_evm_token_balance(cd_evm_writer *w, const ch_addr *who, const ch_addr *asset, ch_amount *out);

/* What a token says of itself. CH_ERR_FORMAT if that is not well-formed. */
ch_err cd_evm_token(cd_evm_writer *w, const ch_addr *asset, cd_token *out);

/* The address of the contract that an account's transaction creates. */
void cd_evm_created(ch_addr *out, const ch_addr *sender, uint64_t nonce);

/* What a row's bytes say. */
typedef struct cd_evm_call {
  bool creates;
  ch_addr to;
  const uint8_t *data;
  size_t len;
} cd_evm_call;
bool cd_evm_call_of(cd_evm_call *out, const uint8_t *data, size_t len);
/* The reverse; malloc'ed. */
ch_err cd_evm_call_bytes(const cd_evm_call *call, uint8_t **data, size_t *len);
/* The fees that are paid now. Asks a node, but not more often than every few seconds. */
bool cd_evm_market(cd_evm_writer *w, cd_market *out, char why[200]);
/* eth_call at the head: what it returned, malloc'ed. */
cd_rpc_status cd_evm_view(cd_evm_writer *w, const ch_addr *to, const uint8_t *data, size_t len, uint8_t **out,
                          size_t *out_len);

#endif
