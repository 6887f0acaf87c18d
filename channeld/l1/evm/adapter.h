/* adapter.h - the L1 port (ports.h) on an EVM chain, by JSON-RPC. */
#ifndef CHANNELD_L1_EVM_ADAPTER_H
#define CHANNELD_L1_EVM_ADAPTER_H

#include "l1/evm/check.h"
#include "l1/evm/http.h"
#include "ports.h"

#define CD_EVM_WHY CD_CHECK_WHY
#define CD_EVM_POLL_MS 2000

typedef struct cd_l1_evm_config {
  const char *const *urls; /* of the chain's nodes: see rpc.h */
  size_t n_urls;
  uint64_t chain_id;        /* 0: what the nodes say */
  ch_addr contract;         /* the Adjudicator; zero: none yet, so that it can be deployed */
  const char *path;         /* of the adapter's file, made if it is not there: see scandb.h */
  const ch_secret *account; /* the account's key; copied */
  uint32_t confirmations;   /* blocks on top of one that counts as final */
  const char *final_tag;    /* "safe" or "finalized": instead of confirmations; else NULL */
  uint32_t poll_ms;         /* how often to look; 0: CD_EVM_POLL_MS */
  uint64_t fee_limit;       /* wei for each unit of gas */
  /* For tests: in place of libcurl, closed with the adapter, and of the system's clock in seconds; NULL: those. */
  const cd_http *http;
  uint64_t (*wall)(void *ctx);
  void *wall_ctx;
} cd_l1_evm_config;

/* Asks the nodes whether chain and contract are the right ones and fills *out; sodium_init() comes before. The
 * operations may be called by any thread. stop() ends the following of the chain and all that is asked of the nodes:
 * what needs an answer fails with CH_ERR_STALE from then on. cd_l1_evm_close frees everything (and stops, if that was
 * not done). On failure `why` is a sentence: CH_ERR_ARGUMENT for a bad config, another chain or contract, CH_ERR_FORMAT
 * for a file that is none, CH_ERR_KEY, CH_ERR_NO_MEMORY. */
ch_err cd_l1_evm_open(cd_l1 *out, const cd_l1_evm_config *cfg, char why[CD_EVM_WHY]) CH_MUST_CHECK;
void cd_l1_evm_close(cd_l1 *l1);

#endif
