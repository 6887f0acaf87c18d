/* commands.h - what the faces may ask of the node, by name: one function each, in the cmd_*.c files. A command runs on
 * the caller's thread, must not block for long, and answers exactly once, now or later, from any thread. */
#ifndef CHANNELD_COMMANDS_H
#define CHANNELD_COMMANDS_H

#include "args.h"

#define CD_WAIT_DEFAULT_MS 10000

/* What `info` and `l1.status` both say of the chain. */
json_t *cd_chain_json(cd_node *n);

/* `a->json` is freed when the function returns. */
void cd_cmd_info(cd_args *a);
void cd_cmd_stop(cd_args *a);
void cd_cmd_l1_status(cd_args *a);
void cd_cmd_l1_deploy(cd_args *a);
void cd_cmd_wallet_address(cd_args *a);
void cd_cmd_wallet_balance(cd_args *a);
void cd_cmd_wallet_send(cd_args *a);
void cd_cmd_dev_faucet(cd_args *a);
void cd_cmd_dev_mine(cd_args *a);
void cd_cmd_dev_warp(cd_args *a);
void cd_cmd_peer_connect(cd_args *a);
void cd_cmd_peer_list(cd_args *a);
void cd_cmd_peer_forget(cd_args *a);
void cd_cmd_channel_open(cd_args *a);
void cd_cmd_channel_list(cd_args *a);
void cd_cmd_channel_show(cd_args *a);
void cd_cmd_channel_history(cd_args *a);
void cd_cmd_channel_close(cd_args *a);
void cd_cmd_channel_close_all(cd_args *a);
void cd_cmd_channel_challenge(cd_args *a);
void cd_cmd_channel_freeze(cd_args *a);
void cd_cmd_channel_resume(cd_args *a);
void cd_cmd_channel_deposit(cd_args *a);
void cd_cmd_channel_withdraw(cd_args *a);
void cd_cmd_channel_move(cd_args *a);
void cd_cmd_payment_create(cd_args *a);
void cd_cmd_payment_list(cd_args *a);
void cd_cmd_payment_show(cd_args *a);
void cd_cmd_lock_add(cd_args *a);
void cd_cmd_lock_fulfil(cd_args *a);
void cd_cmd_lock_cancel(cd_args *a);
void cd_cmd_lock_list(cd_args *a);

#endif
