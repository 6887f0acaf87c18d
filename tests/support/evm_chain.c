#include "evm_chain.h"

#include <stdlib.h>

#include "evm_adj.h"
#include "evm_inside.h"
#include "l1/evm/writer.h"

#define CHAIN_ID 31337
#define BLOCK_GAS 30000000u
#define BASE_FEE 1000000000u
#define BLOCKS_AT_FIRST 256

/* --- What there is from the beginning ----------------------------------------------------------------------------- */

/* The contracts' addresses are those that one account's first transactions give them, as tests/differential does. */
static ch_addr deployed(uint64_t nonce) {
  ch_addr deployer = {{0xde}}, at;
  deployer.b[19] = 1;
  cd_evm_created(&at, &deployer, nonce);
  return at;
}

static ch_addr named(const char *name) {
  ch_hash hash;
  ch_addr at;
  ch_keccak256(&hash, name, strlen(name));
  memcpy(at.b, hash.b + 12, sizeof at.b);
  return at;
}

ch_addr evm_chain_token(evm_token kind) {
  switch (kind) {
  case EVM_TEST_TOKEN: return deployed(1);
  case EVM_PERMIT_TOKEN: return deployed(2);
  case EVM_STRICT_TOKEN: return deployed(3);
  }
  abort();
}

ch_addr evm_chain_condition(void) {
  return named("channel dev condition"); /* the embedded chain's */
}

ch_addr evm_chain_collector(void) {
  return named("evm collector");
}

ch_chain evm_chain_identity(const evm_chain *c) {
  return (ch_chain){.chain_id = c->cfg.chain_id, .adjudicator = c->adjudicator};
}

static void set_code(evm_chain *c, const ch_addr *at, evm_code code) {
  evm_place place = evm_place_of(EVM_CODE, at);
  ch_hash word = evm_word((ch_u128)code);
  evm_state_always(c->state, &place, &word);
}

static void set_contracts(evm_chain *c) {
  static const evm_code codes[EVM_TOKENS] = {EVM_TOKEN_STRICT, EVM_TOKEN_PERMIT, EVM_TOKEN_TEST};
  ch_addr condition = evm_chain_condition();
  c->adjudicator = deployed(0);
  set_code(c, &c->adjudicator, EVM_ADJUDICATOR);
  set_code(c, &condition, EVM_CONDITION);
  for (int kind = 0; kind < EVM_TOKENS; kind++) {
    ch_addr token = evm_chain_token((evm_token)kind);
    set_code(c, &token, codes[kind]);
  }
}

evm_chain *evm_chain_new(const evm_chain_config *cfg) {
  evm_chain *c = calloc(1, sizeof *c);
  if (c == NULL) abort();
  pthread_mutex_init(&c->lock, NULL);
  if (cfg != NULL) c->cfg = *cfg;
  if (c->cfg.chain_id == 0) c->cfg.chain_id = CHAIN_ID;
  if (c->cfg.block_gas == 0) c->cfg.block_gas = BLOCK_GAS;
  if (c->cfg.base_fee == 0) c->cfg.base_fee = BASE_FEE;
  c->state = evm_state_new();
  set_contracts(c);
  c->cap = BLOCKS_AT_FIRST;
  c->blocks = calloc(c->cap, sizeof *c->blocks);
  if (c->blocks == NULL) abort();
  c->n = 1;
  c->blocks[0].head.time = c->cfg.time;
  c->blocks[0].head.base_fee = c->forced_base = c->cfg.base_fee;
  ch_keccak256(&c->blocks[0].head.hash, &c->cfg.chain_id, sizeof c->cfg.chain_id);
  return c;
}

void evm_chain_free(evm_chain *c) {
  if (c == NULL) return;
  evm_chain_drop_all(c);
  evm_undo_blocks(c, (unsigned)(c->n - 1), true);
  free(c->blocks[0].logs);
  free(c->blocks);
  free(c->pool);
  evm_state_free(c->state);
  pthread_mutex_destroy(&c->lock);
  free(c);
}

static ch_hash balance_slot(const ch_addr *who) {
  ch_hash key = evm_addr_word(who);
  return evm_mapping(0, &key); /* all the tokens have it there */
}

static evm_place balance_place(const ch_addr *who, const ch_addr *asset) {
  ch_hash slot = balance_slot(who);
  return ch_addr_is_zero(asset) ? evm_place_of(EVM_BALANCE, who) : evm_slot_of(asset, &slot);
}

void evm_chain_give(evm_chain *c, const ch_addr *who, const ch_addr *asset, ch_amount amount) {
  evm_place at = balance_place(who, asset);
  pthread_mutex_lock(&c->lock);
  evm_state_always_more(c->state, &at, amount);
  pthread_mutex_unlock(&c->lock);
}

void evm_chain_refuse(evm_chain *c, const ch_addr *who, bool on) {
  pthread_mutex_lock(&c->lock);
  set_code(c, who, on ? EVM_REFUSER : EVM_NO_CODE);
  pthread_mutex_unlock(&c->lock);
}

/* --- Blocks ------------------------------------------------------------------------------------------------------- */

evm_block evm_chain_head(evm_chain *c) {
  pthread_mutex_lock(&c->lock);
  evm_block b = evm_last(c)->head;
  pthread_mutex_unlock(&c->lock);
  return b;
}

evm_block evm_chain_block(evm_chain *c, uint64_t number) {
  pthread_mutex_lock(&c->lock);
  if (number >= c->n) abort();
  evm_block b = c->blocks[number].head;
  pthread_mutex_unlock(&c->lock);
  return b;
}

void evm_chain_mine(evm_chain *c, uint64_t time) {
  pthread_mutex_lock(&c->lock);
  evm_mine_block(c, time);
  pthread_mutex_unlock(&c->lock);
}

void evm_chain_mine_many(evm_chain *c, unsigned n, uint64_t interval) {
  pthread_mutex_lock(&c->lock);
  for (; n > 0; n--)
    evm_mine_block(c, evm_last(c)->head.time + interval);
  pthread_mutex_unlock(&c->lock);
}

void evm_chain_undo(evm_chain *c, unsigned blocks, bool lose) {
  pthread_mutex_lock(&c->lock);
  evm_undo_blocks(c, blocks, lose);
  pthread_mutex_unlock(&c->lock);
}

void evm_chain_crowd(evm_chain *c, uint64_t gas, uint64_t tip) {
  pthread_mutex_lock(&c->lock);
  c->crowd_gas = gas;
  c->crowd_tip = tip;
  pthread_mutex_unlock(&c->lock);
}

void evm_chain_set_base_fee(evm_chain *c, uint64_t wei) {
  pthread_mutex_lock(&c->lock);
  c->forced_base = wei;
  pthread_mutex_unlock(&c->lock);
}

/* --- The pool ----------------------------------------------------------------------------------------------------- */

void evm_tell_witness(const evm_chain *c, const uint8_t *raw, size_t len) {
  cd_evm_tx tx;
  ch_addr sender;
  const ch_chain chain = evm_chain_identity(c);
  if (c->witness == NULL || cd_evm_tx_decode(&tx, &sender, raw, len) != CH_OK) return;
  const evm_msg m = {sender, tx.to, tx.value, tx.data, tx.data_len};
  evm_adj_call call = {0};
  bool is_call = !tx.creates && ch_addr_eq(&tx.to, &chain.adjudicator) && evm_adj_read(&call, &chain, &m);
  c->witness(c->witness_ctx, &sender, call.tx, is_call ? call.n : 0);
  evm_adj_call_clear(&call);
}

evm_took evm_chain_take(evm_chain *c, const uint8_t *raw, size_t len) {
  pthread_mutex_lock(&c->lock);
  evm_tell_witness(c, raw, len);
  evm_took took = evm_pool_take(c, raw, len);
  pthread_mutex_unlock(&c->lock);
  return took;
}

size_t evm_chain_pending(evm_chain *c) {
  pthread_mutex_lock(&c->lock);
  size_t n = c->n_pool;
  pthread_mutex_unlock(&c->lock);
  return n;
}

void evm_chain_drop(evm_chain *c, size_t i) {
  pthread_mutex_lock(&c->lock);
  if (i >= c->n_pool) abort();
  evm_pool_remove(c, i);
  pthread_mutex_unlock(&c->lock);
}

void evm_chain_drop_all(evm_chain *c) {
  pthread_mutex_lock(&c->lock);
  while (c->n_pool > 0)
    evm_pool_remove(c, c->n_pool - 1);
  pthread_mutex_unlock(&c->lock);
}

void evm_chain_witness(evm_chain *c, evm_witness witness, void *ctx) {
  c->witness = witness;
  c->witness_ctx = ctx;
}

/* --- Looking ------------------------------------------------------------------------------------------------------ */

static ch_hash word_at(evm_chain *c, const evm_place *at, uint64_t block) {
  pthread_mutex_lock(&c->lock);
  ch_hash word = evm_state_at(c->state, at, block);
  pthread_mutex_unlock(&c->lock);
  return word;
}

static ch_hash word_of(evm_chain *c, const evm_place *at) {
  return word_at(c, at, UINT64_MAX);
}

ch_amount evm_chain_balance(evm_chain *c, const ch_addr *who, const ch_addr *asset) {
  evm_place at = balance_place(who, asset);
  ch_hash word = word_of(c, &at);
  return (ch_amount){evm_number(&word)};
}

ch_amount evm_chain_credit(evm_chain *c, const ch_addr *payee, const ch_addr *asset) {
  ch_hash slot = evm_adj_credit_slot(payee, asset);
  evm_place at = evm_slot_of(&c->adjudicator, &slot);
  ch_hash word = word_of(c, &at);
  return (ch_amount){evm_number(&word)};
}

uint64_t evm_chain_nonce(evm_chain *c, const ch_addr *who) {
  pthread_mutex_lock(&c->lock);
  uint64_t nonce = evm_nonce_of(c, who);
  pthread_mutex_unlock(&c->lock);
  return nonce;
}

ch_adj_slots evm_chain_slots(evm_chain *c, const ch_hash *id) {
  ch_hash words[EVM_ADJ_WORDS];
  ch_adj_slots slots;
  for (unsigned k = 0; k < EVM_ADJ_WORDS; k++) {
    ch_hash slot = evm_adj_slot(id, k);
    evm_place at = evm_slot_of(&c->adjudicator, &slot);
    words[k] = word_of(c, &at);
  }
  evm_adj_unpack(&slots, words);
  return slots;
}

uint64_t evm_chain_revealed(evm_chain *c, const ch_hash *hash) {
  ch_hash slot = evm_adj_reveal_slot(hash);
  evm_place at = evm_slot_of(&c->adjudicator, &slot);
  ch_hash word = word_of(c, &at);
  return (uint64_t)evm_number(&word);
}

ch_hash evm_chain_word(evm_chain *c, const ch_addr *contract, const ch_hash *slot, uint64_t block) {
  evm_place at = evm_slot_of(contract, slot);
  return word_at(c, &at, block);
}

/* --- By hand ------------------------------------------------------------------------------------------------------ */

void evm_chain_set(evm_chain *c, const ch_addr *contract, const ch_hash *slot, const ch_hash *value) {
  evm_place at = evm_slot_of(contract, slot);
  pthread_mutex_lock(&c->lock);
  evm_state_put(c->state, &at, value, evm_last(c)->head.number);
  pthread_mutex_unlock(&c->lock);
}

void evm_chain_log(evm_chain *c, const ch_addr *contract, const char *event, const ch_hash *topic1, const uint8_t *data,
                   size_t len) {
  evm_log log = {.address = *contract, .topic[1] = *topic1, .n_topics = 2, .len = len};
  if (len > sizeof log.data) abort();
  memcpy(log.data, data, len);
  ch_keccak256(&log.topic[0], event, strlen(event));
  pthread_mutex_lock(&c->lock);
  evm_add_logs(evm_last(c), &log, 1);
  pthread_mutex_unlock(&c->lock);
}
