/* evm_pool.c - the transactions that wait for a block. */
#include <stdlib.h>

#include "evm_inside.h"

#define BUMP_PERCENT 10 /* by which both fees of a replacement are higher */

evm_signed evm_signed_copy(const evm_signed *from) {
  evm_signed to = *from;
  to.raw = malloc(from->len + 1);
  if (to.raw == NULL) abort();
  memcpy(to.raw, from->raw, from->len);
  to.tx.data = to.raw + (from->tx.data - from->raw);
  return to;
}

uint64_t evm_nonce_of(const evm_chain *c, const ch_addr *who) {
  evm_place at = evm_place_of(EVM_NONCE, who);
  ch_hash word = evm_state_get(c->state, &at);
  return (uint64_t)evm_number(&word);
}

static ch_u128 cost_of(const cd_evm_tx *tx) {
  return (ch_u128)tx->gas * tx->max_fee + tx->value.v;
}

void evm_pool_remove(evm_chain *c, size_t i) {
  free(c->pool[i].raw);
  memmove(&c->pool[i], &c->pool[i + 1], (c->n_pool - i - 1) * sizeof *c->pool);
  c->n_pool--;
}

void evm_pool_clean(evm_chain *c) {
  for (size_t i = c->n_pool; i-- > 0;) {
    if (c->pool[i].tx.nonce < evm_nonce_of(c, &c->pool[i].sender)) evm_pool_remove(c, i);
  }
}

/* The one of the same account with the same nonce; n_pool: none. */
static size_t rival(const evm_chain *c, const evm_signed *what) {
  size_t i = 0;
  while (i < c->n_pool && (c->pool[i].tx.nonce != what->tx.nonce || !ch_addr_eq(&c->pool[i].sender, &what->sender)))
    i++;
  return i;
}

static bool is_bump(uint64_t fee, uint64_t old) {
  return (ch_u128)fee * 100 >= (ch_u128)old * (100 + BUMP_PERCENT);
}

static bool can_pay(const evm_chain *c, const evm_signed *what, size_t replaces) {
  evm_place at = evm_place_of(EVM_BALANCE, &what->sender);
  ch_hash balance = evm_state_get(c->state, &at);
  ch_u128 cost = cost_of(&what->tx);
  for (size_t i = 0; i < c->n_pool; i++) {
    if (i != replaces && ch_addr_eq(&c->pool[i].sender, &what->sender)) cost += cost_of(&c->pool[i].tx);
  }
  return cost <= evm_number(&balance);
}

static evm_took judge(const evm_chain *c, const evm_signed *what, size_t replaces) {
  const cd_evm_tx *tx = &what->tx, *old = replaces < c->n_pool ? &c->pool[replaces].tx : NULL;
  if (old != NULL && ch_hash_eq(&c->pool[replaces].hash, &what->hash)) return EVM_ALREADY_KNOWN;
  if (tx->chain_id != c->cfg.chain_id) return EVM_MALFORMED;
  if (tx->nonce < evm_nonce_of(c, &what->sender)) return EVM_NONCE_TOO_LOW;
  if (tx->gas > c->cfg.block_gas) return EVM_MUCH_GAS;
  if (tx->gas < evm_intrinsic_gas(tx->data, tx->data_len, tx->creates)) return EVM_LITTLE_GAS;
  if (old != NULL && (!is_bump(tx->max_fee, old->max_fee) || !is_bump(tx->priority, old->priority)))
    return EVM_UNDERPRICED;
  return can_pay(c, what, replaces) ? EVM_TOOK : EVM_NO_FUNDS;
}

static evm_took add(evm_chain *c, const evm_signed *what) {
  size_t replaces = rival(c, what);
  evm_took took = judge(c, what, replaces);
  if (took != EVM_TOOK) return took;
  if (replaces < c->n_pool) evm_pool_remove(c, replaces);
  if (c->n_pool == c->cap_pool) {
    c->cap_pool = c->cap_pool == 0 ? 16 : 2 * c->cap_pool;
    c->pool = realloc(c->pool, c->cap_pool * sizeof *c->pool);
    if (c->pool == NULL) abort();
  }
  c->pool[c->n_pool++] = evm_signed_copy(what);
  return EVM_TOOK;
}

void evm_pool_put_back(evm_chain *c, const evm_signed *what) {
  (void)add(c, what);
}

evm_took evm_pool_take(evm_chain *c, const uint8_t *raw, size_t len) {
  evm_signed what = {.len = len};
  ch_hash hash;
  if (cd_evm_tx_decode(&what.tx, &what.sender, raw, len) != CH_OK) return EVM_MALFORMED;
  ch_keccak256(&hash, raw, len);
  what.hash = hash;
  what.raw = malloc(len);
  if (what.raw == NULL) abort();
  memcpy(what.raw, raw, len);
  what.tx.data = what.raw + (what.tx.data - raw);
  evm_took took = add(c, &what);
  free(what.raw);
  return took;
}
