/* wallet.h - what this node's account on the chain can pay. */
#ifndef CHANNELD_WALLET_H
#define CHANNELD_WALLET_H

#include "node.h"
#include "reply.h"

/* Whether the account can pay `cost` now; answers if not. Any thread. */
bool cd_affordable(cd_node *n, const ch_addr *asset, ch_amount cost, cd_reply reply);

#endif
