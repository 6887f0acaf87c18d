/* sender.h - gets transactions into the chain: one thread, one account, nonces in order.
 *
 * The store's rows are the truth; each round looks at all unfinished ones:
 *   QUEUED  is tried on the chain without sending it: what would revert fails here, with the reason. Then it gets the
 *           lowest free nonce, is signed, stored with its bytes, and only then broadcast. What has a deadline goes
 *           first; no more than a bounded number is in flight.
 *   SENT    is broadcast again at each head until a receipt is there, and outbid (same nonce, higher fee) on the
 *           adapter's schedule; the hash of what was outbid is kept, as that may be mined all the same
 *   MINED   waits until its block is final; if a reorganisation takes it out, it is broadcast again, the same bytes
 * So a crash at any point leads to the same transaction, never to a second one. It is signed anew, with another nonce,
 * only when another transaction with its nonce is final. A nonce that nothing of ours uses, below one that waits, is
 * filled with a transfer of nothing to ourselves.
 *
 * Several Close calls become one transaction, where the chain can do that: all that are ready at once, and after
 * cd_sender_gather those that come within a while.
 */
#ifndef CHANNELD_SENDER_H
#define CHANNELD_SENDER_H

#include "node.h"

typedef struct cd_sender cd_sender;

/* NULL if there is no memory or thread. */
cd_sender *cd_sender_start(cd_node *n);
/* There is something to look at. Any thread. `s` NULL is fine. */
void cd_sender_wake(cd_sender *s);
/* `n` Close calls are about to come: they wait for each other, but not for long. Any thread. `s` NULL is fine. */
void cd_sender_gather(cd_sender *s, size_t n);
/* Joins the thread and frees. NULL is fine. */
void cd_sender_stop(cd_sender *s);

#endif
