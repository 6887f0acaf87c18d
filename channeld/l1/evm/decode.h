/* decode.h - the Adjudicator's storage and events as libchannel's types. Source: proto/protocol.md, section 5, and the
 * contract (proto/evm). Pure functions, any thread.
 */
#ifndef CHANNELD_L1_EVM_DECODE_H
#define CHANNELD_L1_EVM_DECODE_H

#include "channel/adjudicator.h"
#include "l1/evm/block.h"

#define CD_EVM_SLOTS 4

/* Where a channel's slot number `k` is. */
void cd_evm_slot(ch_hash *out, const ch_hash *id, unsigned k);
/* Where it stands when a hash's preimage was revealed: chain seconds, or 0. */
void cd_evm_reveal_slot(ch_hash *out, const ch_hash *hash);
/* How many slots are in use, as far as the ones before say. */
unsigned cd_evm_slots_used(const ch_hash slots[CD_EVM_SLOTS]);
/* CH_ERR_FORMAT if no channel can have such slots. */
ch_err cd_evm_slots_decode(ch_adj_slots *out, const ch_hash slots[CD_EVM_SLOTS]) CH_MUST_CHECK;

/* An event that ends an epoch, as it is kept: bytes only, so that two of them compare with memcmp. */
typedef struct cd_evm_ending {
  uint8_t kind; /* CH_ADJ_CLOSED or CH_ADJ_SETTLED; 0: none */
  uint8_t w[32], x[32];
} cd_evm_ending;
uint16_t cd_evm_ending_epoch(const cd_evm_ending *e);
void cd_evm_ending_decode(ch_adj_event *out, const ch_hash *id, const cd_evm_ending *e);

/* Topic 0 of the two endings. */
void cd_evm_ending_topics(ch_hash out[2]);
void cd_evm_reveal_topic(ch_hash *out);
/* False if the log does not reveal this hash's preimage. */
bool cd_evm_reveal_of(ch_hash *preimage, const ch_hash *hash, const cd_evm_log *log);
/* False if the log is another event. */
bool cd_evm_ending_of(cd_evm_ending *out, const cd_evm_log *log);

#endif
