/* follow.h - follows the embedded chain for the L1 port: polls, keeps the clock, tells a listener what is new. */
#ifndef CHANNELD_L1_DEV_FOLLOW_H
#define CHANNELD_L1_DEV_FOLLOW_H

#include "adapter.h"

typedef struct cd_follow cd_follow;

/* `dev` must outlive it. Has looked at the clock once when it returns. */
ch_err cd_follow_new(cd_follow **out, cd_dev *dev, const cd_l1_dev_config *cfg) CH_MUST_CHECK;
void cd_follow_free(cd_follow *f); /* stops it; NULL is allowed */

/* Starts the polling thread. CH_ERR_ARGUMENT if it runs already, CH_ERR_NO_MEMORY if there can be no thread. */
ch_err cd_follow_start(cd_follow *f, const cd_l1_listener *listener) CH_MUST_CHECK;
void cd_follow_stop(cd_follow *f); /* not from a listener function */

/* The chain's clock, as of the last poll's offset and the wall clock now. Never goes back. */
uint64_t cd_follow_now(cd_follow *f);
/* Reads the offset again. */
ch_err cd_follow_clock(cd_follow *f) CH_MUST_CHECK;

/* Any thread, also from listener functions. */
void cd_follow_watch(cd_follow *f, const ch_hash *id);
void cd_follow_unwatch(cd_follow *f, const ch_hash *id);
void cd_follow_watch_hash(cd_follow *f, const ch_hash *id, const ch_hash *hash);
void cd_follow_unwatch_hash(cd_follow *f, const ch_hash *id, const ch_hash *hash);
void cd_follow_poke(cd_follow *f);

#endif
