/* sender.h - gets transactions into the chain: one thread, one account, nonces in order.
 *
 * The store's rows are the truth; each round looks at all unfinished ones:
 *   QUEUED  gets the next nonce, is signed, stored with its bytes, and only then broadcast
 *   SENT    is broadcast again at each head until a receipt is there
 *   MINED   waits until its block is final; if a reorganisation takes it out, it is broadcast again, the same bytes
 * So a crash at any point leads to the same transaction, never to a second one. It is signed anew, with another nonce,
 * only when another transaction with its nonce is final.
 */
#ifndef CHANNELD_SENDER_H
#define CHANNELD_SENDER_H

#include "node.h"

typedef struct cd_sender cd_sender;

/* NULL if there is no memory or thread. */
cd_sender *cd_sender_start(cd_node *n);
/* There is something to look at. Any thread. `s` NULL is fine. */
void cd_sender_wake(cd_sender *s);
/* Joins the thread and frees. NULL is fine. */
void cd_sender_stop(cd_sender *s);

#endif
