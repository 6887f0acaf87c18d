/* cheat_evm.h - the thief's tool on an EVM chain: `url` is of one of its nodes. */
#ifndef TESTS_TOOLS_CHEAT_EVM_H
#define TESTS_TOOLS_CHEAT_EVM_H

#include "channel/channel.h"

/* The channel as the latest block has it, and the block in env (head and now). */
bool cheat_evm_look(const char *url, const ch_chain *chain, const ch_hash *id, ch_env *env, ch_onchain *out);
/* Sends the challenge that is among the effects. */
bool cheat_evm_submit(const char *url, const ch_chain *chain, const ch_secret *account, const ch_effects *fx);

#endif
