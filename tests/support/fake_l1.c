#include "fake_l1.h"

#include <stdio.h>
#include <stdlib.h>

#include "channel/crypto.h"

#define HEADER 16 /* nonce and fee, in front of the calls' first bytes */

static fake_l1 *lock(void *ctx) {
  fake_l1 *f = ctx;
  pthread_mutex_lock(&f->lock);
  return f;
}

static void unlock(fake_l1 *f) {
  pthread_mutex_unlock(&f->lock);
}

static uint64_t l1_now(void *ctx) {
  fake_l1 *f = lock(ctx);
  uint64_t now = f->now;
  unlock(f);
  return now;
}

static ch_err l1_nonce(void *ctx, uint64_t *out) {
  fake_l1 *f = lock(ctx);
  *out = f->nonce;
  unlock(f);
  return CH_OK;
}

static ch_err copy(const void *from, size_t n, uint8_t **out, size_t *len) {
  *out = malloc(n);
  if (*out == NULL) return CH_ERR_NO_MEMORY;
  memcpy(*out, from, n);
  *len = n;
  return CH_OK;
}

static ch_err l1_transfer(void *ctx, const ch_addr *to, const ch_addr *asset, ch_amount amount, uint8_t **data,
                          size_t *len) {
  (void)ctx;
  (void)to;
  (void)asset;
  (void)amount;
  return copy("T", 1, data, len);
}

static cd_ready l1_prepare(void *ctx, const cd_call *calls, size_t n, cd_prepared *out, char why[200]) {
  fake_l1 *f = lock(ctx);
  uint8_t joined[64];
  bool needs = n == 1 && calls[0].data[0] == 'B' && f->allowances == 0;
  unlock(f);
  for (size_t i = 0; i < n; i++)
    joined[i] = calls[i].data[0];
  if (needs) joined[0] = 'A';
  *out = (cd_prepared){.value = calls[0].value};
  if (n == 1 && joined[0] == 'R') {
    snprintf(why, 200, "it would revert");
    return CD_READY_REVERTS;
  }
  if (copy(joined, n, &out->data, &out->len) != CH_OK) return CD_READY_RETRY;
  return needs ? CD_READY_AFTER : CD_READY;
}

static ch_err sign_with(uint64_t nonce, uint64_t fee, const uint8_t *calls, size_t n, uint8_t **raw, size_t *len,
                        ch_hash *hash) {
  uint8_t bytes[HEADER + 64];
  memcpy(bytes, &nonce, 8);
  memcpy(bytes + 8, &fee, 8);
  memcpy(bytes + HEADER, calls, n);
  ch_keccak256(hash, bytes, HEADER + n);
  return copy(bytes, HEADER + n, raw, len);
}

static ch_err l1_sign(void *ctx, uint64_t nonce, const cd_prepared *what, uint8_t **raw, size_t *len, ch_hash *hash) {
  (void)ctx;
  return sign_with(nonce, 1, what->data, what->len, raw, len, hash);
}

static ch_err l1_outbid(void *ctx, const cd_bid *bid, uint8_t **raw, size_t *len, ch_hash *hash) {
  fake_l1 *f = lock(ctx);
  bool now = f->outbids || bid->refused;
  unlock(f);
  uint64_t nonce, fee;
  *raw = NULL;
  if (!now) return CH_OK;
  memcpy(&nonce, bid->raw, 8);
  memcpy(&fee, bid->raw + 8, 8);
  return sign_with(nonce, 2 * fee, bid->raw + HEADER, bid->len - HEADER, raw, len, hash);
}

static cd_sent add(fake_l1 *f, const fake_tx *tx) {
  size_t flying = 0;
  for (size_t i = 0; i < f->n; i++) {
    fake_tx *t = &f->txs[i];
    if (ch_hash_eq(&t->hash, &tx->hash) && !t->gone) return CD_SENT_KNOWN;
    if (t->block != 0 || t->gone) continue;
    flying += t->nonce != tx->nonce;
    if (t->nonce != tx->nonce) continue;
    if (t->fee >= tx->fee) return CD_SENT_UNDERPRICED;
    t->gone = true;
  }
  if (tx->nonce < f->nonce) return CD_SENT_NONCE_LOW;
  if (f->n == FAKE_TXS) abort();
  f->txs[f->n++] = *tx;
  if (!tx->foreign && flying + 1 > f->most_in_flight) f->most_in_flight = flying + 1;
  return CD_SENT_OK;
}

static cd_sent l1_broadcast(void *ctx, const uint8_t *raw, size_t len, char why[200]) {
  fake_l1 *f = ctx;
  fake_tx tx = {.n = len - HEADER};
  memcpy(&tx.nonce, raw, 8);
  memcpy(&tx.fee, raw + 8, 8);
  memcpy(tx.calls, raw + HEADER, tx.n);
  ch_keccak256(&tx.hash, raw, len);
  bool stored = f->stored == NULL || f->stored(f->stored_ctx, &tx.hash);
  lock(f);
  f->broken += !stored;
  snprintf(why, 200, "the node is not in the mood");
  cd_sent sent = f->refuses ? CD_SENT_REFUSED : f->deaf ? CD_SENT_RETRY : add(f, &tx);
  if (f->lossy) sent = CD_SENT_RETRY;
  unlock(f);
  return sent;
}

static ch_err l1_receipt(void *ctx, const ch_hash *hash, const ch_hash *channel, cd_receipt *out) {
  fake_l1 *f = lock(ctx);
  *out = (cd_receipt){0};
  for (size_t i = 0; i < f->n; i++) {
    const fake_tx *t = &f->txs[i];
    if (t->block == 0 || !ch_hash_eq(&t->hash, hash)) continue;
    bool skipped = channel->b[0] == 'S';
    out->status = skipped ? CD_RECEIPT_REVERTED : CD_RECEIPT_OK;
    snprintf(out->error, sizeof out->error, "%s", skipped ? "skipped" : "");
    out->block = t->block;
    out->final = f->head >= t->block + f->confirmations;
  }
  unlock(f);
  return CH_OK;
}

static ch_err l1_balance(void *ctx, const ch_addr *who, const ch_addr *asset, ch_amount *out) {
  fake_l1 *f = lock(ctx);
  (void)who;
  (void)asset;
  *out = f->balance;
  unlock(f);
  return CH_OK;
}

static ch_err l1_dispute_cost(void *ctx, uint32_t locks, ch_amount *out) {
  fake_l1 *f = lock(ctx);
  *out = ch_amount_of((uint64_t)f->dispute_cost.v + locks * f->lock_cost);
  unlock(f);
  return CH_OK;
}

static const cd_l1_ops OPS = {
    .name = "fake",
    .now = l1_now,
    .nonce = l1_nonce,
    .balance = l1_balance,
    .encode_transfer = l1_transfer,
    .prepare = l1_prepare,
    .batch = 50,
    .sign = l1_sign,
    .outbid = l1_outbid,
    .broadcast = l1_broadcast,
    .receipt = l1_receipt,
    .dispute_cost = l1_dispute_cost,
};

void fake_l1_init(fake_l1 *f, cd_l1 *out) {
  pthread_mutex_init(&f->lock, NULL);
  f->head = 10;
  f->now = 1000;
  *out = (cd_l1){.ctx = f, .ops = &OPS};
}

static void execute(fake_l1 *f, const fake_tx *t) {
  for (size_t i = 0; i < t->n; i++) {
    f->allowances += t->calls[i] == 'A';
    f->allowances -= t->calls[i] == 'B' && f->allowances > 0;
  }
}

unsigned fake_l1_mine(fake_l1 *f, unsigned more) {
  unsigned mined = 0;
  lock(f);
  f->head++;
  for (size_t i = 0; i < f->n; i++) {
    fake_tx *t = &f->txs[i];
    if (t->block != 0 || t->gone || t->nonce != f->nonce) continue;
    t->block = f->head;
    if (!t->foreign) execute(f, t);
    f->nonce++;
    mined++;
    for (size_t j = 0; j < f->n; j++)
      if (f->txs[j].block == 0 && f->txs[j].nonce < f->nonce) f->txs[j].gone = true;
    i = (size_t)-1; /* the next nonce may stand before */
  }
  f->head += more;
  f->now += 12 * (1 + more);
  unlock(f);
  return mined;
}

void fake_l1_foreign(fake_l1 *f, uint64_t nonce, uint64_t fee) {
  lock(f);
  fake_tx tx = {.nonce = nonce, .fee = fee, .foreign = true};
  tx.hash.b[0] = 0xf0;
  tx.hash.b[1] = (uint8_t)f->n;
  add(f, &tx);
  unlock(f);
}

unsigned fake_l1_executed(fake_l1 *f, uint8_t call) {
  unsigned n = 0;
  lock(f);
  for (size_t i = 0; i < f->n; i++) {
    for (size_t j = 0; j < f->txs[i].n; j++)
      n += f->txs[i].block != 0 && f->txs[i].calls[j] == call;
  }
  unlock(f);
  return n;
}

cd_head fake_l1_head(fake_l1 *f) {
  lock(f);
  cd_head head = {.number = f->head, .time = f->now, .final_number = f->head - f->confirmations, .final_time = f->now};
  unlock(f);
  return head;
}
