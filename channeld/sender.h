/* sender.h - brings the node's transactions onto the chain, each once.
 *
 * Its work is the store's unfinished cd_tx_row rows, so a restart goes on where it stopped. A row goes QUEUED (wanted)
 * -> SENT (signed bytes stored, then broadcast) -> MINED (in a block) -> DONE or FAILED (final). The signed bytes are
 * on disk before they are broadcast. What a reorganisation drops is broadcast again, the same bytes.
 */
#ifndef CHANNELD_SENDER_H
#define CHANNELD_SENDER_H

#include "ports.h"

typedef struct cd_sender cd_sender;

/* Starts the sender's thread; store and chain must outlive it. CH_ERR_NO_MEMORY if there is no memory or thread. */
ch_err cd_sender_start(cd_sender **out, const cd_store *store, const cd_l1 *l1) CH_MUST_CHECK;

/* There is a new row, or a new head. Any thread; never blocks. */
void cd_sender_wake(cd_sender *s);

/* Puts a plain transfer of the node's own money into the rows and wakes the sender. `key` names it: the same key
 * again is CH_ERR_DUPLICATE. Any thread. */
ch_err cd_sender_transfer(cd_sender *s, const ch_hash *key, const ch_addr *to, const ch_addr *asset,
                          ch_amount amount) CH_MUST_CHECK;

/* Ends the thread after what it is at, and frees the sender. NULL is allowed. */
void cd_sender_stop(cd_sender *s);

#endif
