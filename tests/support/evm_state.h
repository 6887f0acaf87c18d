/* evm_state.h - what an EVM chain knows after each block: words, with their past. */
#ifndef EVM_STATE_H
#define EVM_STATE_H

#include "channel/money.h"
#include "channel/types.h"

typedef struct evm_state evm_state;

typedef enum evm_space { EVM_BALANCE = 1, EVM_NONCE, EVM_CODE, EVM_STORAGE } evm_space;

/* Where a word is: `slot` of a contract's storage, else zero. */
typedef struct evm_place {
  evm_space space;
  ch_addr addr;
  ch_hash slot;
} evm_place;

evm_state *evm_state_new(void);
void evm_state_free(evm_state *s);

/* After the last block, or as of a block. */
ch_hash evm_state_get(const evm_state *s, const evm_place *at);
ch_hash evm_state_at(const evm_state *s, const evm_place *at, uint64_t block);
/* As of `block`, which is not below that of any change before. */
void evm_state_put(evm_state *s, const evm_place *at, const ch_hash *value, uint64_t block);

/* Takes back all changes since the mark. */
size_t evm_state_mark(const evm_state *s);
void evm_state_back(evm_state *s, size_t mark);

/* Changes the past, too: nothing takes it back. */
void evm_state_always(evm_state *s, const evm_place *at, const ch_hash *value);
void evm_state_always_more(evm_state *s, const evm_place *at, ch_amount more);

/* Words and numbers. */
ch_hash evm_word(ch_u128 value);
/* What does not fit becomes the largest number. */
ch_u128 evm_number(const ch_hash *word);

static inline evm_place evm_place_of(evm_space space, const ch_addr *addr) {
  return (evm_place){.space = space, .addr = *addr};
}
static inline evm_place evm_slot_of(const ch_addr *contract, const ch_hash *slot) {
  return (evm_place){.space = EVM_STORAGE, .addr = *contract, .slot = *slot};
}

#endif
