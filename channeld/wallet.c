#include "wallet.h"

bool cd_affordable(cd_node *n, const ch_addr *asset, ch_amount cost, cd_reply reply) {
  ch_amount have;
  char text[2][CH_MONEY_STR];
  if (n->l1.ops->balance(n->l1.ctx, &n->account, asset, &have) != CH_OK) return true;
  if (ch_amount_cmp(have, cost) >= 0) return true;
  cd_reply_fail(reply, CD_CONFLICT, ch_err_name(CH_ERR_FUNDS),
                n->l1.ops->faucet == NULL ? "Send money to `wallet address` first."
                                          : "Send money to `wallet address` first; here `dev faucet` gives some.",
                "The account has %s, less than the deposit of %s.", ch_amount_str(text[0], have),
                ch_amount_str(text[1], cost));
  return false;
}
