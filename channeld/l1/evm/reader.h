/* reader.h - what the L1 port asks of accounts and transactions. Any thread. CH_ERR_STALE: no node gives an answer now.
 */
#ifndef CHANNELD_L1_EVM_READER_H
#define CHANNELD_L1_EVM_READER_H

#include "l1/evm/scandb.h"
#include "ports.h"

ch_err cd_read_coin(cd_rpc *rpc, const ch_addr *who, ch_amount *out) CH_MUST_CHECK;
/* The account's next unused nonce at the head. */
ch_err cd_read_nonce(cd_rpc *rpc, const ch_addr *who, uint64_t *out) CH_MUST_CHECK;
/* A transaction that one node does not know is asked for at all of them: to believe that it is gone may mean to pay
 * twice. A block that is not on the chain as it was read (`db`) does not count. It is final up to `final`. `channel`:
 * of a transaction that holds several calls, whether this channel's was executed; zero: all of it. */
ch_err cd_read_receipt(cd_rpc *rpc, cd_scandb *db, uint64_t final, const ch_hash *hash, const ch_hash *channel,
                       cd_receipt *out) CH_MUST_CHECK;

#endif
