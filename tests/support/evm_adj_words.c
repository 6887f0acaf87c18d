/* evm_adj_words.c - the Adjudicator's storage and logs, written apart from the adapter that reads them. */
#include <ctype.h>

#include "evm_adj.h"
#include "l1/evm/abi.h"

/* --- Packed words ------------------------------------------------------------------------------------------------- */

/* Puts the `n` low bits of a value at bit `at` of a word of zeros. */
static void put(ch_hash *word, unsigned at, unsigned n, ch_u128 value) {
  for (unsigned i = 0; i < n; i++)
    if (value >> i & 1) word->b[31 - (at + i) / 8] |= (uint8_t)(1u << (at + i) % 8);
}

static ch_u128 get(const ch_hash *word, unsigned at, unsigned n) {
  ch_u128 value = 0;
  for (unsigned i = 0; i < n; i++)
    value |= (ch_u128)(word->b[31 - (at + i) / 8] >> (at + i) % 8 & 1) << i;
  return value;
}

/* An int112. */
static ch_net get_net(const ch_hash *word, unsigned at) {
  ch_u128 value = get(word, at, 112);
  return (ch_net){(ch_i128)(value >> 111 ? value | ~(ch_u128)0 << 112 : value)};
}

/* --- Storage ------------------------------------------------------------------------------------------------------ */

ch_hash evm_adj_credit_slot(const ch_addr *payee, const ch_addr *asset) {
  ch_hash key = evm_addr_word(asset);
  return evm_mapping2(0, payee, &key);
}

ch_hash evm_adj_reveal_slot(const ch_hash *hash) {
  return evm_mapping(1, hash);
}

ch_hash evm_adj_slot(const ch_hash *id, unsigned k) {
  ch_hash slot = *id;
  for (; k > 0; k--) {
    size_t i = 31;
    while (++slot.b[i] == 0 && i > 0)
      i--;
  }
  return slot;
}

void evm_adj_pack(ch_hash out[EVM_ADJ_WORDS], const ch_adj_slots *s) {
  memset(out, 0, EVM_ADJ_WORDS * sizeof *out);
  put(&out[0], 0, 112, (ch_u128)s->contribution[0].v);
  put(&out[0], 112, 112, (ch_u128)s->contribution[1].v);
  put(&out[0], 224, 15, s->withdraw_seq);
  put(&out[0], 239, 16, s->epoch);
  put(&out[0], 255, 1, s->disputed);
  if (!s->disputed) return;
  put(&out[1], 0, 64, s->version);
  put(&out[1], 64, 64, s->challenged_version);
  put(&out[1], 128, 40, s->deadline);
  put(&out[1], 168, 8, s->flags);
  out[2] = s->outcome_hash;
  out[3] = evm_addr_word(&s->beneficiary);
}

void evm_adj_unpack(ch_adj_slots *out, const ch_hash words[EVM_ADJ_WORDS]) {
  memset(out, 0, sizeof *out);
  out->contribution[0] = get_net(&words[0], 0);
  out->contribution[1] = get_net(&words[0], 112);
  out->withdraw_seq = (uint16_t)get(&words[0], 224, 15);
  out->epoch = (uint16_t)get(&words[0], 239, 16);
  out->disputed = get(&words[0], 255, 1) != 0;
  if (!out->disputed) return;
  out->version = (uint64_t)get(&words[1], 0, 64);
  out->challenged_version = (uint64_t)get(&words[1], 64, 64);
  out->deadline = (uint64_t)get(&words[1], 128, 40);
  out->flags = (uint8_t)get(&words[1], 168, 8);
  out->outcome_hash = words[2];
  memcpy(out->beneficiary.b, words[3].b + 12, sizeof out->beneficiary.b);
}

/* --- Logs --------------------------------------------------------------------------------------------------------- */

/* a : 112 | b : 112 | epoch : 16 | flag : 1 */
static ch_hash money_word(ch_amount a, ch_amount b, uint16_t epoch, bool flag) {
  ch_hash w = {{0}};
  put(&w, 0, 112, a.v);
  put(&w, 112, 112, b.v);
  put(&w, 224, 16, epoch);
  put(&w, 240, 1, flag);
  return w;
}

/* version : 64 | deadline : 40, epoch and flag as above */
static ch_hash dispute_word(const ch_adj_event *e, bool flag) {
  ch_hash w = {{0}};
  put(&w, 0, 64, e->version);
  put(&w, 64, 40, e->deadline);
  put(&w, 224, 16, e->epoch);
  put(&w, 240, 1, flag);
  return w;
}

static ch_hash detail_word(const ch_adj_event *e) {
  ch_hash w = {{0}};
  put(&w, 0, 112, (ch_u128)e->net.v);
  put(&w, 112, 64, e->version);
  put(&w, 176, 40, e->deadline);
  return w;
}

static ch_hash skip_word(uint8_t reason) {
  char error[EVM_ADJ_ERROR];
  ch_hash w = {{0}};
  evm_adj_error(error, (ch_adj_revert)reason);
  cd_abi_selector(w.b, error);
  return w;
}

/* About a channel, or a hash: the id is a topic. */
static void emit(evm_run *r, const ch_addr *self, const ch_adj_event *e, const char *event, ch_hash a,
                 const ch_hash *b) {
  const ch_hash words[2] = {a, b == NULL ? evm_word(0) : *b};
  evm_topic(evm_emit(r, self, event, words, b == NULL ? 1 : 2), &e->id);
}

/* About a payee's credit in an asset. */
static void emit_credit(evm_run *r, const ch_addr *self, const ch_adj_event *e) {
  bool claimed = e->kind == CH_ADJ_CLAIMED;
  const ch_hash words[2] = {claimed ? evm_addr_word(&e->payee[1]) : evm_word(e->amount.v), evm_word(e->amount.v)};
  ch_hash payee = evm_addr_word(&e->payee[0]), asset = evm_addr_word(&e->asset);
  evm_log *log =
      evm_emit(r, self, claimed ? "Claimed(address,address,address,uint256)" : "Credited(address,address,uint256)",
               words, claimed ? 2 : 1);
  evm_topic(log, &payee);
  evm_topic(log, &asset);
}

static void emit_deposit(evm_run *r, const ch_addr *self, const ch_adj_event *e) {
  ch_hash w = {{0}};
  put(&w, 0, 112, e->amount.v);
  put(&w, 223, 17, (ch_u128)e->epoch << 1 | e->side);
  emit(r, self, e, "Deposited(bytes32,uint256)", w, NULL);
}

static void emit_refute(evm_run *r, const ch_addr *self, const ch_adj_event *e, bool named) {
  ch_hash beneficiary = evm_addr_word(&e->payee[0]), w = dispute_word(e, e->forfeited);
  emit(r, self, e, named ? "RefutedFor(bytes32,uint256,address)" : "Refuted(bytes32,uint256)", w,
       named ? &beneficiary : NULL);
}

void evm_adj_emit(evm_run *r, const ch_addr *self, ch_tx_kind by, const ch_adj_event *e) {
  const ch_amount none = {0};
  ch_hash detail = detail_word(e), skipped;
  switch (e->kind) {
  case CH_ADJ_DEPOSITED: emit_deposit(r, self, e); break;
  case CH_ADJ_FUNDED:
    emit(r, self, e, "Funded(bytes32,uint256)", money_word(e->paid[0], e->paid[1], e->epoch, false), NULL);
    break;
  case CH_ADJ_CLOSED:
  case CH_ADJ_SETTLED:
    emit(r, self, e, e->kind == CH_ADJ_CLOSED ? "Closed(bytes32,uint256,uint256)" : "Settled(bytes32,uint256,uint256)",
         money_word(e->paid[0], e->paid[1], e->epoch, e->forfeited), &detail);
    break;
  case CH_ADJ_CHALLENGED:
    emit(r, self, e, "Challenged(bytes32,uint256,bytes32)", dispute_word(e, e->side), &e->salt);
    break;
  case CH_ADJ_REFUTED: emit_refute(r, self, e, by == CH_TX_REFUTE_FOR); break;
  case CH_ADJ_WITHDRAWN:
    emit(r, self, e, "Withdrawn(bytes32,uint256)", money_word(e->amount, none, e->epoch, e->side), NULL);
    break;
  case CH_ADJ_MOVED:
    emit(r, self, e, "Moved(bytes32,uint256,bytes32)", money_word(e->amount, none, e->epoch, e->side), &e->to_id);
    break;
  case CH_ADJ_REVEALED: emit(r, self, e, "Revealed(bytes32,bytes32)", e->salt, NULL); break;
  case CH_ADJ_CLAIMED:
  case CH_ADJ_CREDITED: emit_credit(r, self, e); break;
  case CH_ADJ_SKIPPED:
    skipped = skip_word(e->reason);
    emit(r, self, e, "Skipped(bytes32,uint256,bytes4)", evm_word(e->version), &skipped);
    break;
  }
}

/* WRONG_EPOCH is the contract's WrongEpoch(). */
void evm_adj_error(char out[EVM_ADJ_ERROR], ch_adj_revert reason) {
  static const char *const names[] = {
#define NAME(symbol, text) #symbol,
      CH_ADJ_REVERTS(NAME)
#undef NAME
  };
  size_t n = 0;
  bool begins = true;
  for (const char *c = names[reason]; *c != '\0' && n + 3 < EVM_ADJ_ERROR; c++) {
    if (*c != '_') out[n++] = (char)(begins ? *c : tolower((unsigned char)*c));
    begins = *c == '_';
  }
  memcpy(out + n, "()", 3);
}
