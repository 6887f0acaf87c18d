#include "commands.h"

#include <string.h>

static const struct {
  const char *name;
  void (*run)(cd_args *a);
} commands[] = {
    {"info", cd_cmd_info},
    {"stop", cd_cmd_stop},
    {"l1.status", cd_cmd_l1_status},
    {"l1.deploy", cd_cmd_l1_deploy},
    {"wallet.address", cd_cmd_wallet_address},
    {"wallet.balance", cd_cmd_wallet_balance},
    {"wallet.send", cd_cmd_wallet_send},
    {"dev.faucet", cd_cmd_dev_faucet},
    {"dev.mine", cd_cmd_dev_mine},
    {"dev.warp", cd_cmd_dev_warp},
    {"peer.connect", cd_cmd_peer_connect},
    {"peer.list", cd_cmd_peer_list},
    {"peer.forget", cd_cmd_peer_forget},
    {"channel.open", cd_cmd_channel_open},
    {"channel.list", cd_cmd_channel_list},
    {"channel.show", cd_cmd_channel_show},
    {"channel.history", cd_cmd_channel_history},
    {"channel.close", cd_cmd_channel_close},
    {"channel.close_all", cd_cmd_channel_close_all},
    {"channel.challenge", cd_cmd_channel_challenge},
    {"channel.freeze", cd_cmd_channel_freeze},
    {"channel.resume", cd_cmd_channel_resume},
    {"channel.deposit", cd_cmd_channel_deposit},
    {"channel.withdraw", cd_cmd_channel_withdraw},
    {"channel.move", cd_cmd_channel_move},
    {"payment.create", cd_cmd_payment_create},
    {"payment.list", cd_cmd_payment_list},
    {"payment.show", cd_cmd_payment_show},
    {"lock.add", cd_cmd_lock_add},
    {"lock.fulfil", cd_cmd_lock_fulfil},
    {"lock.cancel", cd_cmd_lock_cancel},
    {"lock.list", cd_cmd_lock_list},
};

static void call(void *ctx, const char *method, json_t *json, cd_reply_fn reply, void *reply_ctx) {
  cd_args a = {.node = ctx, .json = json, .reply = {reply, reply_ctx}};
  size_t i = 0, n = sizeof commands / sizeof commands[0];
  while (i < n && strcmp(commands[i].name, method) != 0)
    i++;
  if (atomic_load(&a.node->stopping)) {
    cd_reply_fail(a.reply, CD_UNAVAILABLE, "stopping", "Start the daemon again.", "The daemon is stopping.");
  } else if (i == n) {
    cd_reply_fail(a.reply, CD_NOT_FOUND, "unknown_command", "Use a client of the same release.",
                  "There is no command %.60s.", method);
  } else {
    commands[i].run(&a);
  }
  json_decref(json);
}

cd_commands cd_node_commands(cd_node *n) {
  return (cd_commands){.ctx = n, .call = call};
}
