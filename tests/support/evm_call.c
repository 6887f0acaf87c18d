#include "evm_call.h"

#include <stdlib.h>

#include "channel/crypto.h"
#include "l1/evm/abi.h"

/* About what the EVM takes (yellow paper, appendix G; EIP-2929). */
#define GAS_TX 21000u
#define GAS_CREATE 32000u
#define GAS_CALL 2600u /* a cold account, and the code around it */
#define GAS_VALUE 9000u
#define GAS_LOAD 2100u
#define GAS_STORE_NEW 20000u
#define GAS_STORE 2900u
#define GAS_LOG 375u
#define REFUND_CLEARED 4800u /* EIP-3529 */

/* --- Gas and code ------------------------------------------------------------------------------------------------- */

uint64_t evm_intrinsic_gas(const uint8_t *data, size_t len, bool creates) {
  uint64_t gas = GAS_TX + (creates ? GAS_CREATE + 2 * ((len + 31) / 32) : 0);
  for (size_t i = 0; i < len; i++)
    gas += data[i] == 0 ? 4 : 16;
  return gas;
}

evm_code evm_code_at(const evm_run *r, const ch_addr *addr) {
  evm_place at = evm_place_of(EVM_CODE, addr);
  ch_hash word = evm_state_at(r->state, &at, r->block);
  return (evm_code)evm_number(&word);
}

/* --- Coin --------------------------------------------------------------------------------------------------------- */

ch_amount evm_coin(const evm_run *r, const ch_addr *who) {
  evm_place at = evm_place_of(EVM_BALANCE, who);
  ch_hash word = evm_state_at(r->state, &at, r->block);
  return (ch_amount){evm_number(&word)};
}

static void set_coin(evm_run *r, const ch_addr *who, ch_u128 amount) {
  evm_place at = evm_place_of(EVM_BALANCE, who);
  ch_hash word = evm_word(amount);
  evm_state_put(r->state, &at, &word, r->block);
}

bool evm_move_coin(evm_run *r, const ch_addr *from, const ch_addr *to, ch_amount amount) {
  ch_amount has = evm_coin(r, from);
  if (amount.v == 0) return true;
  if (has.v < amount.v) return false;
  set_coin(r, from, has.v - amount.v);
  set_coin(r, to, evm_coin(r, to).v + amount.v);
  return true;
}

/* --- Calls -------------------------------------------------------------------------------------------------------- */

static bool dispatch(evm_run *r, const evm_msg *m, evm_out *out) {
  evm_code code = evm_code_at(r, &m->to);
  switch (code) {
  case EVM_NO_CODE: return true;
  case EVM_ADJUDICATOR: return evm_adjudicator(r, m, out);
  case EVM_TOKEN_STRICT:
  case EVM_TOKEN_PERMIT:
  case EVM_TOKEN_TEST: return evm_erc20(r, code, m, out);
  case EVM_CONDITION: return true; /* is asked by the Adjudicator only: see there */
  case EVM_REFUSER: return false;
  }
  abort();
}

bool evm_call(evm_run *r, const evm_msg *m, evm_out *out) {
  size_t mark = evm_state_mark(r->state), n_logs = r->n_logs;
  out->n = 0;
  if (evm_move_coin(r, &m->from, &m->to, m->value) && dispatch(r, m, out)) return true;
  evm_state_back(r->state, mark);
  r->n_logs = n_logs;
  return false;
}

void evm_inner_call(evm_run *r, bool with_value) {
  r->gas += GAS_CALL + (with_value ? GAS_VALUE : 0);
}

/* --- Storage ------------------------------------------------------------------------------------------------------ */

ch_hash evm_load(evm_run *r, const ch_addr *self, const ch_hash *slot) {
  evm_place at = evm_slot_of(self, slot);
  r->gas += GAS_LOAD;
  return evm_state_at(r->state, &at, r->block);
}

void evm_store(evm_run *r, const ch_addr *self, const ch_hash *slot, const ch_hash *value) {
  evm_place at = evm_slot_of(self, slot);
  ch_hash old = evm_state_at(r->state, &at, r->block);
  if (ch_hash_eq(&old, value)) return;
  r->gas += ch_hash_is_zero(&old) ? GAS_STORE_NEW : GAS_STORE;
  if (ch_hash_is_zero(value)) r->refund += REFUND_CLEARED;
  evm_state_put(r->state, &at, value, r->block);
}

static ch_hash keccak_of(const ch_hash *key, const ch_hash *place) {
  uint8_t both[64];
  ch_hash out;
  memcpy(both, key->b, 32);
  memcpy(both + 32, place->b, 32);
  ch_keccak256(&out, both, sizeof both);
  return out;
}

ch_hash evm_mapping(unsigned n, const ch_hash *key) {
  ch_hash place = evm_word(n);
  return keccak_of(key, &place);
}

ch_hash evm_mapping2(unsigned n, const ch_addr *key, const ch_hash *key2) {
  ch_hash first = evm_addr_word(key), inner = evm_mapping(n, &first);
  return keccak_of(key2, &inner);
}

ch_hash evm_addr_word(const ch_addr *addr) {
  ch_hash w = {{0}};
  memcpy(w.b + 12, addr->b, sizeof addr->b);
  return w;
}

/* --- Logs --------------------------------------------------------------------------------------------------------- */

evm_log *evm_emit(evm_run *r, const ch_addr *self, const char *event, const ch_hash *words, size_t n) {
  if (r->n_logs == r->cap_logs) {
    r->cap_logs = r->cap_logs == 0 ? 16 : 2 * r->cap_logs;
    r->logs = realloc(r->logs, r->cap_logs * sizeof *r->logs);
    if (r->logs == NULL) abort();
  }
  evm_log *log = &r->logs[r->n_logs++];
  memset(log, 0, sizeof *log);
  if (n * sizeof *words > sizeof log->data) abort();
  log->address = *self;
  log->n_topics = 1;
  log->len = n * sizeof *words;
  ch_keccak256(&log->topic[0], event, strlen(event));
  if (n > 0) memcpy(log->data, words, log->len);
  r->gas += GAS_LOG * 2 + 8 * log->len;
  return log;
}

void evm_topic(evm_log *log, const ch_hash *topic) {
  log->topic[log->n_topics++] = *topic;
}

/* --- Returning ---------------------------------------------------------------------------------------------------- */

bool evm_revert_with(evm_out *out, const char *error, const ch_hash *words, size_t n) {
  if (CD_ABI_SELECTOR + n * sizeof *words > sizeof out->b) abort();
  cd_abi_selector(out->b, error);
  if (n > 0) memcpy(out->b + CD_ABI_SELECTOR, words, n * sizeof *words);
  out->n = CD_ABI_SELECTOR + n * sizeof *words;
  return false;
}

bool evm_revert(evm_out *out, const char *error) {
  return evm_revert_with(out, error, NULL, 0);
}

bool evm_return(evm_out *out, const ch_hash *word) {
  memcpy(out->b, word->b, sizeof word->b);
  out->n = sizeof word->b;
  return true;
}

/* --- Arguments ---------------------------------------------------------------------------------------------------- */

bool evm_arg(const evm_msg *m, size_t i, ch_hash *out) {
  if (m->len < CD_ABI_SELECTOR + (i + 1) * sizeof *out) return false;
  memcpy(out->b, m->data + CD_ABI_SELECTOR + i * sizeof *out, sizeof *out);
  return true;
}

bool evm_arg_addr(const evm_msg *m, size_t i, ch_addr *out) {
  static const uint8_t zeros[12];
  ch_hash word;
  if (!evm_arg(m, i, &word) || memcmp(word.b, zeros, sizeof zeros) != 0) return false;
  memcpy(out->b, word.b + 12, sizeof out->b);
  return true;
}

bool evm_is_call(const evm_msg *m, const char *signature) {
  uint8_t selector[CD_ABI_SELECTOR];
  cd_abi_selector(selector, signature);
  return m->len >= sizeof selector && memcmp(m->data, selector, sizeof selector) == 0;
}
