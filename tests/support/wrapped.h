/* wrapped.h - the engine's calls that a test puts itself before, by the linker's --wrap: what it defines, and what it
 * then calls. */
#ifndef TEST_WRAPPED_H
#define TEST_WRAPPED_H

#include "channel/channel.h"

ch_err __real_ch_step(ch_channel **next, ch_effects *fx, const ch_channel *cur, const ch_env *env, const ch_event *ev,
                      const ch_signer *signer);
ch_err __wrap_ch_step(ch_channel **next, ch_effects *fx, const ch_channel *cur, const ch_env *env, const ch_event *ev,
                      const ch_signer *signer);
ch_err __real_ch_open_request(const ch_opening *opening, const ch_signer *signer, ch_effects *fx);
ch_err __wrap_ch_open_request(const ch_opening *opening, const ch_signer *signer, ch_effects *fx);
ch_err __real_ch_open_answer(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_msg *request,
                             const ch_pubkey *peer, const ch_chain *chain, const ch_addr *payout, const ch_hash *nonce,
                             const ch_signer *signer);
ch_err __wrap_ch_open_answer(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_msg *request,
                             const ch_pubkey *peer, const ch_chain *chain, const ch_addr *payout, const ch_hash *nonce,
                             const ch_signer *signer);
ch_err __real_ch_open_finish(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_opening *opening,
                             const ch_msg *accept, const ch_signer *signer);
ch_err __wrap_ch_open_finish(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_opening *opening,
                             const ch_msg *accept, const ch_signer *signer);

#endif
