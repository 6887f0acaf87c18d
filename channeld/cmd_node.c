/* cmd_node.c - commands about the node itself and its account. */
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "json.h"
#include "sender.h"
#include "util/queue.h"

void cd_cmd_info(cd_args *a) {
  cd_node *n = a->node;
  cd_counts c = cd_directory_count(&n->directory, NULL);
  json_t *l1 = cd_chain_json(n);
  json_object_set_new(l1, "address", cd_json_addr(&n->account));
  cd_reply_with(a->reply, CD_OK,
                json_pack("{s:o, s:s, s:s, s:o, s:{s:i, s:i}, s:{s:i}, s:I, s:i}", "node_id", cd_json_node(&n->id),
                          "version", CD_VERSION, "listen", n->listen, "l1", l1, "channels", "total", (int)c.total,
                          "open", (int)c.open, "peers", "connected", (int)atomic_load(&n->connected), "uptime",
                          (json_int_t)((cd_monotonic_ms() - n->started) / 1000), "frozen", (int)c.frozen));
}

void cd_cmd_stop(cd_args *a) {
  cd_reply_with(a->reply, CD_OK, json_object());
  kill(getpid(), SIGTERM);
}

/* --- The account ----------------------------------------------------------------------------------- */

void cd_cmd_wallet_address(cd_args *a) {
  cd_reply_with(a->reply, CD_OK, json_pack("{s:o}", "address", cd_json_addr(&a->node->account)));
}

static void chain_failed(cd_args *a) {
  cd_reply_fail(a->reply, CD_BAD_GATEWAY, "chain_failed", "Look at the log, and at the chain's node or file.",
                "The chain did not answer.");
}

void cd_cmd_wallet_balance(cd_args *a) {
  cd_l1 *l1 = &a->node->l1;
  ch_addr native = {0}, asset = cd_arg_addr(a, "asset", &native);
  ch_amount have;
  if (a->failed) return;
  if (l1->ops->balance(l1->ctx, &a->node->account, &asset, &have) != CH_OK) {
    chain_failed(a);
    return;
  }
  cd_token token;
  bool known = !ch_addr_is_zero(&asset) && l1->ops->token != NULL && l1->ops->token(l1->ctx, &asset, &token) == CH_OK;
  cd_reply_with(a->reply, CD_OK,
                json_pack("{s:o, s:o, s:o, s:o, s:o}", "address", cd_json_addr(&a->node->account), "asset",
                          cd_json_addr(&asset), "balance", cd_json_amount(have), "symbol",
                          known ? json_string(token.symbol) : json_null(), "decimals",
                          known ? json_integer(token.decimals) : json_null()));
}

/* Puts a transfer into the sender's rows, under a key of its own. */
static ch_err queue_transfer(cd_node *n, const ch_addr *to, const ch_addr *asset, ch_amount amount, cd_tx_row *row) {
  *row = (cd_tx_row){.status = CD_TX_QUEUED, .updated = n->l1.ops->now(n->l1.ctx)};
  if (ch_addr_is_zero(asset)) row->value = amount;
  randombytes_buf(&row->key, sizeof row->key);
  ch_err err = n->l1.ops->encode_transfer(n->l1.ctx, to, asset, amount, &row->data, &row->data_len);
  if (err == CH_OK) err = n->store.ops->tx_put(n->store.ctx, row);
  free(row->data);
  row->data = NULL;
  cd_sender_wake(n->sender);
  return err;
}

void cd_cmd_wallet_send(cd_args *a) {
  cd_node *n = a->node;
  ch_addr native = {0}, to = cd_arg_addr(a, "to", NULL), asset = cd_arg_addr(a, "asset", &native);
  ch_amount have, amount = cd_arg_amount(a, "amount", NULL);
  if (!a->failed && amount.v == 0) cd_args_fail(a, "amount", "above zero");
  if (a->failed) return;
  if (n->l1.ops->balance(n->l1.ctx, &n->account, &asset, &have) != CH_OK) {
    chain_failed(a);
    return;
  }
  if (ch_amount_cmp(have, amount) < 0) {
    char text[CH_MONEY_STR];
    cd_reply_fail(a->reply, CD_CONFLICT, ch_err_name(CH_ERR_FUNDS), "Send less.", "The account has only %s.",
                  ch_amount_str(text, have));
    return;
  }
  cd_tx_row row;
  ch_err err = queue_transfer(n, &to, &asset, amount, &row);
  if (err != CH_OK) {
    cd_reply_err(a->reply, err);
    return;
  }
  cd_reply_with(a->reply, CD_ACCEPTED,
                json_pack("{s:o, s:s}", "key", cd_json_hash(&row.key), "status", cd_tx_status_name(row.status)));
}
