/* evm_adj.h - between libchannel's model of the Adjudicator and the real one: calldata, storage words and logs. Source:
 * proto/evm/README.md and proto/evm/src. */
#ifndef EVM_ADJ_H
#define EVM_ADJ_H

#include "evm_call.h"

typedef enum evm_batch {
  EVM_SINGLE = 0,
  EVM_SKIPS, /* items that revert are skipped */
  EVM_ALL,   /* all or nothing */
} evm_batch;

typedef enum evm_consent { EVM_BY_APPROVAL = 0, EVM_BY_PERMIT, EVM_BY_AUTHORIZATION } evm_consent;

/* What a call of the Adjudicator asks for. */
typedef struct evm_adj_call {
  evm_batch batch;
  bool payable; /* takes coin */
  evm_consent consent;
  ch_addr asset; /* of a batch of closes or deposits */
  ch_tx *tx;     /* malloc'ed; their locks are borrowed from the calldata */
  uint8_t *side; /* of a batch of closes, for each: which payee the sender is. malloc'ed */
  size_t n;
} evm_adj_call;

/* False if it is no call that changes anything, or malformed. Clear it in any case. */
bool evm_adj_read(evm_adj_call *out, const ch_chain *chain, const evm_msg *m);
void evm_adj_call_clear(evm_adj_call *call);

/* Where things are in the storage. */
ch_hash evm_adj_credit_slot(const ch_addr *payee, const ch_addr *asset);
ch_hash evm_adj_reveal_slot(const ch_hash *hash);

/* A channel's words, and back. */
#define EVM_ADJ_WORDS 4
void evm_adj_pack(ch_hash out[EVM_ADJ_WORDS], const ch_adj_slots *slots);
void evm_adj_unpack(ch_adj_slots *out, const ch_hash words[EVM_ADJ_WORDS]);
ch_hash evm_adj_slot(const ch_hash *id, unsigned k);

/* Logs an event, which a call of this kind caused. */
void evm_adj_emit(evm_run *r, const ch_addr *self, ch_tx_kind by, const ch_adj_event *event);
/* The contract's error for a reason: `out` is "WrongEpoch()". */
#define EVM_ADJ_ERROR 32
void evm_adj_error(char out[EVM_ADJ_ERROR], ch_adj_revert reason);

#endif
