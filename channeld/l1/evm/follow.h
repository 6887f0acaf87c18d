/* follow.h - follows the chain for the L1 port: polls the nodes, tells a listener what is new.
 *
 * The node with the longest chain is read (scan.h), the others are heard about its head: as long as one of them shows
 * another block there, nothing becomes final and no head is told, so that nothing is signed (the heads grow old); but
 * the nodes are read in turns and what each shows of a channel is told, so that a challenge that only one of them shows
 * is answered. One that refuses what has to be read is left out for some polls. A head that does not move, or goes back
 * on the same chain, is no news.
 */
#ifndef CHANNELD_L1_EVM_FOLLOW_H
#define CHANNELD_L1_EVM_FOLLOW_H

#include "l1/evm/scan.h"
#include "ports.h"

typedef struct cd_evm_follow cd_evm_follow;

typedef struct cd_evm_follow_config {
  cd_rpc *rpc; /* outlives it, as all pointers here do */
  cd_scandb *db;
  ch_chain chain;
  uint32_t confirmations; /* see cd_scan */
  const char *tag;
  uint32_t poll_ms;
  uint64_t (*wall)(void *ctx); /* seconds; NULL: the system's */
  void *wall_ctx;
} cd_evm_follow_config;

ch_err cd_evm_follow_new(cd_evm_follow **out, const cd_evm_follow_config *cfg) CH_MUST_CHECK;
void cd_evm_follow_free(cd_evm_follow *f); /* stops it; NULL is fine */

/* Starts the polling thread. CH_ERR_ARGUMENT if it runs already, CH_ERR_NO_MEMORY if there can be no thread. */
ch_err cd_evm_follow_start(cd_evm_follow *f, const cd_l1_listener *listener) CH_MUST_CHECK;
void cd_evm_follow_stop(cd_evm_follow *f); /* not from a listener function; the nodes are asked nothing more */
/* One look, as the thread does it; for tests that have no thread. The listener must be set by cd_evm_follow_listen. */
void cd_evm_follow_listen(cd_evm_follow *f, const cd_l1_listener *listener);
void cd_evm_follow_once(cd_evm_follow *f);

/* Chain seconds: the wall clock, and ahead of it by as much as the last head was when it came. */
uint64_t cd_evm_follow_now(cd_evm_follow *f);
/* The last head that was told: false if there was none yet. */
bool cd_evm_follow_head(cd_evm_follow *f, cd_head *out);

/* Any thread, also from listener functions. */
void cd_evm_follow_watch(cd_evm_follow *f, const ch_hash *id);
void cd_evm_follow_unwatch(cd_evm_follow *f, const ch_hash *id);
/* Whether the preimage of a hash was revealed, for a channel that has to know. */
void cd_evm_follow_watch_hash(cd_evm_follow *f, const ch_hash *id, const ch_hash *hash);
void cd_evm_follow_unwatch_hash(cd_evm_follow *f, const ch_hash *id, const ch_hash *hash);
void cd_evm_follow_poke(cd_evm_follow *f);

#endif
