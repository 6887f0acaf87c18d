/* adapter.h - the L1 port (ports.h) on the embedded chain. */
#ifndef CHANNELD_L1_DEV_ADAPTER_H
#define CHANNELD_L1_DEV_ADAPTER_H

#include "chain.h"

typedef struct cd_l1_dev_config {
  const char *path;            /* of the chain's file, made if it is not there */
  const ch_secret *account;    /* the account's key; copied */
  uint32_t confirmations;      /* blocks on top of one that counts as final; at most CD_DEV_REORG_MAX, 0: the head is */
  uint32_t poll_ms;            /* how often to look; 0: 50 */
  const cd_dev_options *chain; /* for cd_dev_open; NULL: the usual */
} cd_l1_dev_config;

/* Opens the chain and fills *out; sodium_init() comes before. The operations may be called by any thread. stop() ends
 * the following of the chain; the rest works until cd_l1_dev_close, which frees everything (and stops, if that was not
 * done). On failure `why` is a sentence: as cd_dev_open, and CH_ERR_KEY, CH_ERR_ARGUMENT for a bad config.
 *
 * A transfer takes its amount from its own data: the `value` that sign() is given counts for calls only. A transaction
 * that is broadcast and taken is mined at once; the listener hears of it from the polling thread, as of all others. */
ch_err cd_l1_dev_open(cd_l1 *out, const cd_l1_dev_config *cfg, char why[CD_DEV_WHY]) CH_MUST_CHECK;
void cd_l1_dev_close(cd_l1 *l1);

#endif
