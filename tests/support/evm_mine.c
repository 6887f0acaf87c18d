/* evm_mine.c - blocks: what gets into one, what that does, and how it is taken back. */
#include <stdlib.h>

#include "evm_inside.h"
#include "l1/evm/artifact.h"
#include "l1/evm/writer.h"

#define GAS_DEPLOY 4000000u /* see proto/evm/README.md; the intrinsic gas comes on top */
#define REFUND_SHARE 5u     /* EIP-3529: at most this part of the gas comes back */
#define BASE_DENOMINATOR 8u /* EIP-1559: a block moves the base fee by an eighth at most */

static void *need(void *p) {
  if (p == NULL) abort();
  return p;
}

evm_full_block *evm_last(evm_chain *c) {
  return &c->blocks[c->n - 1];
}

/* Source: EIP-1559. */
uint64_t evm_next_base_fee(const evm_chain *c) {
  const evm_block *b = &c->blocks[c->n - 1].head;
  uint64_t target = c->cfg.block_gas / 2;
  if (c->forced_base != 0) return c->forced_base;
  if (b->gas_used == target) return b->base_fee;
  bool up = b->gas_used > target;
  uint64_t off = up ? b->gas_used - target : target - b->gas_used;
  uint64_t by = (uint64_t)((ch_u128)b->base_fee * off / target / BASE_DENOMINATOR);
  return up ? b->base_fee + (by > 0 ? by : 1) : b->base_fee - by;
}

/* Three bits of 2048 for each item: the low eleven of each of the first three pairs of bytes of its hash. */
static void mark(uint8_t bloom[CD_EVM_BLOOM], const uint8_t *item, size_t len) {
  ch_hash h;
  ch_keccak256(&h, item, len);
  for (size_t i = 0; i < 6; i += 2) {
    unsigned bit = (h.b[i] * 256u + h.b[i + 1]) % 2048;
    bloom[CD_EVM_BLOOM - 1 - bit / 8] |= (uint8_t)(1u << bit % 8);
  }
}

/* --- Executing ---------------------------------------------------------------------------------------------------- */

static evm_run run_in(evm_chain *c, const evm_block *b) {
  return (evm_run){.state = c->state, .chain_id = c->cfg.chain_id, .block = b->number, .time = b->time};
}

static bool create(evm_run *r, const evm_msg *m, ch_addr *created) {
  evm_place at = evm_place_of(EVM_CODE, created);
  ch_hash code = evm_word(EVM_ADJUDICATOR);
  r->gas += GAS_DEPLOY;
  if (m->len != cd_artifact_creation_len || memcmp(m->data, cd_artifact_creation, m->len) != 0) return false;
  evm_state_put(r->state, &at, &code, r->block);
  return true;
}

/* Executes within a limit; `created` says where, if it is a creation. */
static bool execute(evm_run *r, const evm_msg *m, ch_addr *created, uint64_t limit, evm_out *out) {
  size_t mark = evm_state_mark(r->state);
  out->n = 0;
  r->gas = evm_intrinsic_gas(m->data, m->len, created != NULL);
  bool ok = created != NULL ? create(r, m, created) : evm_call(r, m, out);
  if (ok && r->gas + r->spare > limit) {
    ok = evm_revert(out, "NotEnoughGas()");
    evm_state_back(r->state, mark);
    r->n_logs = 0;
  }
  if (r->gas > limit) {
    out->n = 0;
    r->gas = limit;
  }
  if (!ok) r->refund = 0;
  return ok;
}

void evm_add_logs(evm_full_block *b, const evm_log *logs, size_t n) {
  b->logs = need(realloc(b->logs, (b->n_logs + n + 1) * sizeof *b->logs));
  for (size_t i = 0; i < n; i++) {
    b->logs[b->n_logs++] = logs[i];
    mark(b->bloom, logs[i].address.b, sizeof logs[i].address.b);
    for (size_t k = 0; k < logs[i].n_topics; k++)
      mark(b->bloom, logs[i].topic[k].b, sizeof logs[i].topic[k].b);
  }
}

static void set_nonce(evm_run *r, const ch_addr *who, uint64_t nonce) {
  evm_place at = evm_place_of(EVM_NONCE, who);
  ch_hash word = evm_word(nonce);
  evm_state_put(r->state, &at, &word, r->block);
}

/* Puts a transaction into the block. `what` is given away. */
static void include(evm_chain *c, evm_full_block *b, evm_signed what, uint64_t price) {
  const ch_addr collector = evm_chain_collector();
  const evm_msg m = {what.sender, what.tx.to, what.tx.value, what.tx.data, what.tx.data_len};
  evm_run r = run_in(c, &b->head);
  evm_mined mined = {.price = price, .first_log = b->n_logs};
  set_nonce(&r, &what.sender, what.tx.nonce + 1);
  if (what.tx.creates) cd_evm_created(&mined.created, &what.sender, what.tx.nonce);
  mined.ok = execute(&r, &m, what.tx.creates ? &mined.created : NULL, what.tx.gas, &mined.out);
  if (!mined.ok) mined.created = (ch_addr){{0}};
  mined.gas = r.gas - (r.refund < r.gas / REFUND_SHARE ? r.refund : r.gas / REFUND_SHARE);
  if (!evm_move_coin(&r, &what.sender, &collector, (ch_amount){(ch_u128)mined.gas * price})) abort();
  mined.logs = r.n_logs;
  evm_add_logs(b, r.logs, r.n_logs);
  free(r.logs);
  mined.what = what;
  b->head.gas_used += mined.gas;
  b->txs = need(realloc(b->txs, (b->n_txs + 1) * sizeof *b->txs));
  b->txs[b->n_txs++] = mined;
}

/* --- What gets into a block --------------------------------------------------------------------------------------- */

/* What is paid on top of the base fee for each unit of gas: the median. */
typedef struct tips {
  struct {
    uint64_t tip, gas;
  } * v;
  size_t n;
  bool crowd_in;
} tips;

static void add_tip(tips *t, uint64_t tip, uint64_t gas) {
  size_t i = t->n++;
  t->v = need(realloc(t->v, t->n * sizeof *t->v));
  for (; i > 0 && t->v[i - 1].tip > tip; i--)
    t->v[i] = t->v[i - 1];
  t->v[i].tip = tip;
  t->v[i].gas = gas;
}

static uint64_t median(const tips *t) {
  uint64_t all = 0, below = 0;
  for (size_t i = 0; i < t->n; i++)
    all += t->v[i].gas;
  for (size_t i = 0; i < t->n; i++) {
    below += t->v[i].gas;
    if (2 * below >= all) return t->v[i].tip;
  }
  return 0;
}

static uint64_t tip_of(const cd_evm_tx *tx, uint64_t base) {
  uint64_t room = tx->max_fee - base;
  uint64_t wanted = tx->type == CD_EVM_LEGACY ? tx->max_fee : tx->priority;
  return room < wanted ? room : wanted;
}

static bool is_ready(const evm_chain *c, const evm_signed *s, uint64_t base) {
  evm_place at = evm_place_of(EVM_BALANCE, &s->sender);
  ch_hash balance = evm_state_get(c->state, &at);
  return s->tx.nonce == evm_nonce_of(c, &s->sender) && s->tx.max_fee >= base &&
         (ch_u128)s->tx.gas * s->tx.max_fee + s->tx.value.v <= evm_number(&balance);
}

/* The one that pays most, of those that can be next; n_pool: none. */
static size_t best(const evm_chain *c, const bool *tried, uint64_t base) {
  size_t found = c->n_pool;
  for (size_t i = 0; i < c->n_pool; i++) {
    if (tried[i] || !is_ready(c, &c->pool[i], base)) continue;
    if (found == c->n_pool || tip_of(&c->pool[i].tx, base) > tip_of(&c->pool[found].tx, base)) found = i;
  }
  return found;
}

static void let_crowd_in(const evm_chain *c, evm_full_block *b, tips *t) {
  uint64_t room = c->cfg.block_gas - b->head.gas_used, gas = c->crowd_gas < room ? c->crowd_gas : room;
  if (!t->crowd_in && gas > 0) add_tip(t, c->crowd_tip, gas);
  if (!t->crowd_in) b->head.gas_used += gas;
  t->crowd_in = true;
}

static void fill(evm_chain *c, evm_full_block *b) {
  bool *tried = need(calloc(c->n_pool + 1, sizeof *tried));
  tips t = {0};
  uint64_t base = b->head.base_fee;
  for (;;) {
    size_t i = best(c, tried, base);
    if (i == c->n_pool) break;
    const evm_signed *s = &c->pool[i];
    uint64_t tip = tip_of(&s->tx, base);
    if (tip < c->crowd_tip) let_crowd_in(c, b, &t);
    tried[i] = true;
    if (s->tx.gas > c->cfg.block_gas - b->head.gas_used) continue;
    include(c, b, evm_signed_copy(s), base + tip);
    add_tip(&t, tip, b->txs[b->n_txs - 1].gas);
  }
  let_crowd_in(c, b, &t);
  b->tip = median(&t);
  free(t.v);
  free(tried);
}

/* --- Blocks ------------------------------------------------------------------------------------------------------- */

static void clear(evm_full_block *b) {
  for (size_t i = 0; i < b->n_txs; i++)
    free(b->txs[i].what.raw);
  free(b->txs);
  free(b->logs);
}

static evm_full_block next_block(evm_chain *c, uint64_t time) {
  const evm_block *parent = &evm_last(c)->head;
  evm_full_block b = {.head = {.number = parent->number + 1, .base_fee = evm_next_base_fee(c)},
                      .mark = evm_state_mark(c->state)};
  b.head.parent = parent->hash;
  b.head.time = time > parent->time ? time : parent->time + 1;
  return b;
}

static void hash_block(evm_chain *c, evm_full_block *b) {
  ch_keccak k;
  const uint64_t numbers[4] = {b->head.number, b->head.time, b->head.base_fee, c->branches};
  ch_keccak_init(&k);
  ch_keccak_update(&k, b->head.parent.b, sizeof b->head.parent.b);
  ch_keccak_update(&k, numbers, sizeof numbers);
  for (size_t i = 0; i < b->n_txs; i++)
    ch_keccak_update(&k, b->txs[i].what.hash.b, sizeof b->txs[i].what.hash.b);
  ch_keccak_final(&k, &b->head.hash);
}

static void append(evm_chain *c, evm_full_block b) {
  if (c->n == c->cap) {
    c->cap = 2 * c->cap;
    c->blocks = need(realloc(c->blocks, c->cap * sizeof *c->blocks));
  }
  hash_block(c, &b);
  c->blocks[c->n++] = b;
  c->forced_base = 0;
  evm_pool_clean(c);
}

void evm_mine_block(evm_chain *c, uint64_t time) {
  evm_full_block b = next_block(c, time);
  fill(c, &b);
  append(c, b);
}

void evm_mine_unsigned(evm_chain *c, const evm_msg *m, bool creates, uint64_t time) {
  evm_full_block b = next_block(c, time);
  evm_signed what = {.sender = m->from, .raw = need(malloc(m->len + 1)), .len = 0};
  if (m->len > 0) memcpy(what.raw, m->data, m->len);
  what.tx = (cd_evm_tx){.nonce = evm_nonce_of(c, &m->from),
                        .gas = UINT64_MAX,
                        .creates = creates,
                        .to = m->to,
                        .value = m->value,
                        .data = what.raw,
                        .data_len = m->len};
  const uint64_t numbers[2] = {what.tx.nonce, b.head.number};
  uint8_t name[sizeof m->from.b + sizeof numbers];
  memcpy(name, m->from.b, sizeof m->from.b);
  memcpy(name + sizeof m->from.b, numbers, sizeof numbers);
  ch_keccak256(&what.hash, name, sizeof name);
  include(c, &b, what, 0);
  append(c, b);
}

void evm_undo_blocks(evm_chain *c, unsigned blocks, bool lose) {
  if (blocks >= c->n) abort();
  size_t first = c->n - blocks;
  evm_state_back(c->state, c->blocks[first].mark);
  c->n = first;
  c->branches++;
  c->forced_base = 0;
  for (size_t k = first; k < first + blocks; k++) {
    evm_full_block *b = &c->blocks[k];
    for (size_t i = 0; i < b->n_txs && !lose; i++)
      if (b->txs[i].what.len > 0) evm_pool_put_back(c, &b->txs[i].what);
    clear(b);
  }
}

/* --- Questions ---------------------------------------------------------------------------------------------------- */

static evm_answer try_in(evm_chain *c, const evm_msg *m, bool creates, const evm_block *in) {
  evm_run r = run_in(c, in);
  ch_addr created = {{0}};
  evm_answer a;
  a.ok = execute(&r, m, creates ? &created : NULL, UINT64_MAX, &a.out);
  a.gas = r.gas + r.spare;
  free(r.logs);
  return a;
}

evm_answer evm_try_at(evm_chain *c, const evm_msg *m, bool creates, uint64_t block) {
  size_t mark = evm_state_mark(c->state);
  evm_answer a = try_in(c, m, creates, &c->blocks[block].head);
  evm_state_back(c->state, mark);
  return a;
}

evm_answer evm_try_pending(evm_chain *c, const evm_msg *m, bool creates) {
  size_t mark = evm_state_mark(c->state);
  evm_full_block b = next_block(c, 0);
  fill(c, &b);
  evm_answer a = try_in(c, m, creates, &b.head);
  evm_state_back(c->state, mark);
  clear(&b);
  return a;
}
