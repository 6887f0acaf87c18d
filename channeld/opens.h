/* opens.h - openings under way, and the policy for those that others ask for. Belongs to worker 0: an opening has no
 * channel id yet. Both kinds are in memory only; no money is at stake before the channel exists. */
#ifndef CHANNELD_OPENS_H
#define CHANNELD_OPENS_H

#include "remote.h"
#include "reply.h"

typedef struct cd_opens cd_opens;

cd_opens *cd_opens_new(void);
void cd_opens_free(cd_opens *o);

/* Asks `terms->peer` for a channel; the reply comes when the channel exists here, or when it does not come to it. */
void cd_opens_ask(cd_worker *w, const ch_terms *terms, uint64_t wait_ms, cd_reply reply);

/* Messages of `r`. */
void cd_opens_request(cd_worker *w, cd_remote *r, const ch_msg *msg);
void cd_opens_accept(cd_worker *w, cd_remote *r, const ch_msg *msg);
/* An error message that may be the answer to an opening. */
void cd_opens_refused(cd_worker *w, const ch_pubkey *node, const ch_msg *msg);
/* The connection to `node` is gone. */
void cd_opens_down(cd_worker *w, const ch_pubkey *node);

#endif
