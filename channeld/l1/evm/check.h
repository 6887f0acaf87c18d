/* check.h - is this the right chain, and the right contract? Asked before anything else is done. */
#ifndef CHANNELD_L1_EVM_CHECK_H
#define CHANNELD_L1_EVM_CHECK_H

#include "channel/state.h"
#include "l1/evm/rpc.h"

#define CD_CHECK_WHY 400

/* Finds the chain's id, which all nodes that answer must agree on, and which must be `expected` unless that is 0. If
 * none answers, `expected` is taken and *offline is set, so that a node can start while the chain's is down; it fails
 * if that is 0, too. `why`: a sentence. */
ch_err cd_check_chain(cd_rpc *rpc, uint64_t expected, uint64_t *chain_id, bool *offline,
                      char why[CD_CHECK_WHY]) CH_MUST_CHECK;
/* The contract is this release's Adjudicator: its code, but for what its constructor computed, and its EIP-712 domain.
 */
ch_err cd_check_contract(cd_rpc *rpc, const ch_chain *chain, char why[CD_CHECK_WHY]) CH_MUST_CHECK;
/* The nodes know the block that `tag` (see cd_scan) names. */
ch_err cd_check_tag(cd_rpc *rpc, const char *tag, char why[CD_CHECK_WHY]) CH_MUST_CHECK;
/* Warns about a clock that is not the chain's, and of an account that cannot pay for gas. `wall`: seconds. */
void cd_check_rest(cd_rpc *rpc, const ch_addr *account, uint64_t wall);

#endif
