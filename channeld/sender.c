/* sender.c - see sender.h. One thread, one account, nonces in order. */
#include "sender.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/log.h"

struct cd_sender {
  cd_store store;
  cd_l1 l1;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t woken;
  bool work, stop;
};

/* The unfinished rows of one look at the store, in the order in which they were wanted. */
typedef struct batch {
  cd_tx_row *rows;
  size_t n, cap;
  bool failed;
} batch;

static uint8_t *copy_bytes(const uint8_t *bytes, size_t len) {
  uint8_t *out = (uint8_t *)malloc(len ? len : 1);
  if (out && len) memcpy(out, bytes, len);
  return out;
}

static bool take_row(void *arg, const cd_tx_row *row) {
  batch *b = (batch *)arg;
  if (b->n == b->cap) {
    size_t cap = b->cap ? 2 * b->cap : 16;
    cd_tx_row *rows = (cd_tx_row *)realloc(b->rows, cap * sizeof *rows);
    if (!rows) return !(b->failed = true);
    b->rows = rows;
    b->cap = cap;
  }
  cd_tx_row *r = &b->rows[b->n++];
  *r = *row;
  r->data = copy_bytes(row->data, row->data_len);
  r->raw = copy_bytes(row->raw, row->raw_len);
  if (r->data && r->raw) return true;
  return !(b->failed = true);
}

static void batch_free(batch *b) {
  for (size_t i = 0; i < b->n; i++)
    cd_tx_row_clear(&b->rows[i]);
  free(b->rows);
}

static void set_error(cd_tx_row *r, const char *text) {
  snprintf(r->error, sizeof r->error, "%s", text);
}

/* False if the row could not be stored: then nothing more is done with it in this round. */
static bool put(cd_sender *s, cd_tx_row *r) {
  r->updated = s->l1.ops->now(s->l1.ctx);
  ch_err err = s->store.ops->tx_put(s->store.ctx, r);
  if (err) cd_log(CD_LOG_ERROR, "sender", "a transaction could not be stored: %s", ch_err_text(err));
  return !err;
}

static const char *name_of(const cd_tx_row *r) {
  switch ((ch_tx_kind)r->kind) {
  case CH_TX_DEPOSIT: return "deposit";
  case CH_TX_CLOSE: return "close";
  case CH_TX_CHALLENGE: return "challenge";
  case CH_TX_REFUTE: return "refute";
  case CH_TX_SETTLE: return "settle";
  }
  return "transfer";
}

static void give_up(cd_sender *s, cd_tx_row *r, const char *why) {
  r->status = CD_TX_FAILED;
  set_error(r, why);
  if (put(s, r)) cd_log(CD_LOG_WARN, "sender", "%s failed: %s", name_of(r), why);
}

/* Its nonce went to another transaction, so these bytes can never be mined. A call of the Adjudicator is signed anew:
 * made twice it reverts. A transfer is not: twice it would pay twice. */
static void nonce_lost(cd_sender *s, cd_tx_row *r) {
  if (!r->kind)
    return give_up(s, r, "another transaction of this account took its nonce; send it again if still wanted");
  cd_log(CD_LOG_WARN, "sender", "%s: another transaction took nonce %llu; signing anew", name_of(r),
         (unsigned long long)r->nonce);
  r->status = CD_TX_QUEUED;
  r->has_nonce = false;
  free(r->raw);
  r->raw = NULL;
  r->raw_len = 0;
  put(s, r);
}

static void broadcast(cd_sender *s, cd_tx_row *r) {
  char why[200] = "";
  cd_receipt receipt;
  switch (s->l1.ops->broadcast(s->l1.ctx, r->raw, r->raw_len, why)) {
  case CD_SENT_OK:
  case CD_SENT_KNOWN:
  case CD_SENT_RETRY: return; /* the next look at its receipt tells */
  case CD_SENT_NONCE_LOW:
    /* Either these very bytes are in a block, or others are. */
    if (s->l1.ops->receipt(s->l1.ctx, &r->hash, &receipt) == CH_OK && receipt.status == CD_RECEIPT_NONE)
      nonce_lost(s, r);
    return;
  case CD_SENT_REFUSED: give_up(s, r, why); return;
  }
}

/* Signed and stored first, then sent. */
static void send_new(cd_sender *s, cd_tx_row *r, uint64_t *next_nonce) {
  ch_err err = s->l1.ops->sign(s->l1.ctx, *next_nonce, r->value, r->data, r->data_len, &r->raw, &r->raw_len, &r->hash);
  if (err) {
    cd_log(CD_LOG_ERROR, "sender", "%s could not be signed: %s", name_of(r), ch_err_text(err));
    return;
  }
  r->nonce = (*next_nonce)++;
  r->has_nonce = true;
  r->status = CD_TX_SENT;
  if (!put(s, r)) return;
  cd_log(CD_LOG_INFO, "sender", "%s sent nonce=%llu", name_of(r), (unsigned long long)r->nonce);
  broadcast(s, r);
}

static void follow(cd_sender *s, cd_tx_row *r) {
  cd_receipt receipt;
  if (s->l1.ops->receipt(s->l1.ctx, &r->hash, &receipt)) return;
  if (receipt.status == CD_RECEIPT_NONE) {
    if (r->status == CD_TX_MINED) {
      cd_log(CD_LOG_WARN, "sender", "%s left the chain by a reorganisation; sending it again", name_of(r));
      r->status = CD_TX_SENT;
      if (!put(s, r)) return;
    }
    return broadcast(s, r);
  }
  if (receipt.final && receipt.status == CD_RECEIPT_REVERTED) return give_up(s, r, receipt.error);
  cd_tx_status status = receipt.final ? CD_TX_DONE : CD_TX_MINED;
  if (status == r->status && receipt.block == r->block) return;
  r->status = status;
  r->block = receipt.block;
  set_error(r, receipt.error);
  put(s, r);
}

/* The first nonce that neither the chain nor a transaction of ours under way has used. */
static bool next_nonce(cd_sender *s, const batch *b, uint64_t *out) {
  if (s->l1.ops->nonce(s->l1.ctx, out)) return false;
  for (size_t i = 0; i < b->n; i++)
    if (b->rows[i].status == CD_TX_SENT && b->rows[i].nonce >= *out) *out = b->rows[i].nonce + 1;
  return true;
}

static void look(cd_sender *s) {
  batch b = {0};
  ch_err err = s->store.ops->txs(s->store.ctx, true, take_row, &b);
  if (err || b.failed) {
    cd_log(CD_LOG_ERROR, "sender", "the transactions could not be read: %s", ch_err_text(err ? err : CH_ERR_NO_MEMORY));
    return batch_free(&b);
  }
  bool queued = false;
  for (size_t i = 0; i < b.n; i++) {
    if (b.rows[i].status != CD_TX_QUEUED) follow(s, &b.rows[i]);
    queued = queued || b.rows[i].status == CD_TX_QUEUED;
  }
  uint64_t nonce;
  if (queued && next_nonce(s, &b, &nonce))
    for (size_t i = 0; i < b.n; i++)
      if (b.rows[i].status == CD_TX_QUEUED) send_new(s, &b.rows[i], &nonce);
  batch_free(&b);
}

static void *run(void *arg) {
  cd_sender *s = (cd_sender *)arg;
  pthread_mutex_lock(&s->lock);
  while (!s->stop) {
    if (!s->work) {
      pthread_cond_wait(&s->woken, &s->lock);
      continue;
    }
    s->work = false;
    pthread_mutex_unlock(&s->lock);
    look(s);
    pthread_mutex_lock(&s->lock);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

ch_err cd_sender_start(cd_sender **out, const cd_store *store, const cd_l1 *l1) {
  cd_sender *s = (cd_sender *)calloc(1, sizeof *s);
  if (!s) return CH_ERR_NO_MEMORY;
  s->store = *store;
  s->l1 = *l1;
  s->work = true;
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->woken, NULL);
  if (pthread_create(&s->thread, NULL, run, s) == 0) {
    *out = s;
    return CH_OK;
  }
  free(s);
  return CH_ERR_NO_MEMORY;
}

void cd_sender_wake(cd_sender *s) {
  pthread_mutex_lock(&s->lock);
  s->work = true;
  pthread_cond_signal(&s->woken);
  pthread_mutex_unlock(&s->lock);
}

typedef struct search {
  const ch_hash *key;
  bool found;
} search;

static bool is_key(void *arg, const cd_tx_row *row) {
  search *f = (search *)arg;
  f->found = f->found || ch_hash_eq(&row->key, f->key);
  return !f->found;
}

ch_err cd_sender_transfer(cd_sender *s, const ch_hash *key, const ch_addr *to, const ch_addr *asset, ch_amount amount) {
  search f = {.key = key};
  cd_tx_row r = {.key = *key, .status = CD_TX_QUEUED, .updated = s->l1.ops->now(s->l1.ctx)};
  ch_err err = s->store.ops->txs(s->store.ctx, false, is_key, &f);
  if (!err && f.found) err = CH_ERR_DUPLICATE;
  if (!err) err = s->l1.ops->encode_transfer(s->l1.ctx, to, asset, amount, &r.data, &r.data_len);
  if (err) return err;
  if (ch_addr_is_zero(asset)) r.value = amount;
  err = s->store.ops->tx_put(s->store.ctx, &r);
  cd_tx_row_clear(&r);
  if (!err) cd_sender_wake(s);
  return err;
}

void cd_sender_stop(cd_sender *s) {
  if (!s) return;
  pthread_mutex_lock(&s->lock);
  s->stop = true;
  pthread_cond_signal(&s->woken);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  pthread_mutex_destroy(&s->lock);
  pthread_cond_destroy(&s->woken);
  free(s);
}
