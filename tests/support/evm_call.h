/* evm_call.h - executing one call on an EVM chain's state: money, dispatch by what is at an address, logs, reverts and
 * gas. What the contracts are: evm_adjudicator.c and evm_erc20.c. */
#ifndef EVM_CALL_H
#define EVM_CALL_H

#include "channel/adjudicator.h"
#include "evm_state.h"

/* What is at an address: the word in EVM_CODE. */
typedef enum evm_code {
  EVM_NO_CODE = 0,
  EVM_ADJUDICATOR,
  EVM_TOKEN_STRICT,
  EVM_TOKEN_PERMIT,
  EVM_TOKEN_TEST,
  EVM_CONDITION, /* answers with the word that it is asked about */
  EVM_REFUSER,   /* reverts whatever is called */
} evm_code;

#define EVM_TOPICS 4
#define EVM_LOG_MAX 96

typedef struct evm_log {
  ch_addr address;
  ch_hash topic[EVM_TOPICS];
  size_t n_topics;
  uint8_t data[EVM_LOG_MAX];
  size_t len;
} evm_log;

/* A transaction, or a question, while it is executed. */
typedef struct evm_run {
  evm_state *state;
  uint64_t chain_id;
  uint64_t block, time; /* of the block that it is in; later ones are not seen */
  evm_log *logs;        /* malloc'ed */
  size_t n_logs, cap_logs;
  uint64_t gas;    /* used so far */
  uint64_t refund; /* of it, at the end */
  uint64_t spare; /* what has to be left of the limit when all is done: see NotEnoughGas in proto/evm/src/Reverts.sol */
} evm_run;

typedef struct evm_msg {
  ch_addr from, to;
  ch_amount value;
  const uint8_t *data;
  size_t len;
} evm_msg;

/* What was returned, or is the revert's data. */
typedef struct evm_out {
  uint8_t b[132];
  size_t n;
} evm_out;

/* False if it reverted: then nothing but gas has changed. */
bool evm_call(evm_run *r, const evm_msg *m, evm_out *out);
/* What it takes if it is not the transaction itself. */
void evm_inner_call(evm_run *r, bool with_value);
/* The gas of a transaction with this data before anything is executed. */
uint64_t evm_intrinsic_gas(const uint8_t *data, size_t len, bool creates);

evm_code evm_code_at(const evm_run *r, const ch_addr *addr);
ch_amount evm_coin(const evm_run *r, const ch_addr *who);
/* False if `from` has not so much. */
bool evm_move_coin(evm_run *r, const ch_addr *from, const ch_addr *to, ch_amount amount);

/* --- For contracts --- */

ch_hash evm_load(evm_run *r, const ch_addr *self, const ch_hash *slot);
void evm_store(evm_run *r, const ch_addr *self, const ch_hash *slot, const ch_hash *value);
/* Where a mapping that is state variable number `n` has its value for a key. */
ch_hash evm_mapping(unsigned n, const ch_hash *key);
/* The same for a mapping in a mapping. */
ch_hash evm_mapping2(unsigned n, const ch_addr *key, const ch_hash *key2);
ch_hash evm_addr_word(const ch_addr *addr);

/* Appends a log, whose data are words; returns it for its topics behind the first, which is the event's hash. */
evm_log *evm_emit(evm_run *r, const ch_addr *self, const char *event, const ch_hash *words, size_t n);
void evm_topic(evm_log *log, const ch_hash *topic);

/* Both return false and true, as the contract does then. */
bool evm_revert(evm_out *out, const char *error);
bool evm_revert_with(evm_out *out, const char *error, const ch_hash *words, size_t n);
bool evm_return(evm_out *out, const ch_hash *word);

/* Word `i` of the arguments; false beyond the end. */
bool evm_arg(const evm_msg *m, size_t i, ch_hash *out);
/* An address; false if it has bits too many. */
bool evm_arg_addr(const evm_msg *m, size_t i, ch_addr *out);
bool evm_is_call(const evm_msg *m, const char *signature);

/* --- The contracts --- */
bool evm_adjudicator(evm_run *r, const evm_msg *m, evm_out *out);
bool evm_erc20(evm_run *r, evm_code kind, const evm_msg *m, evm_out *out);

#endif
