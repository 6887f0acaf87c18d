#include "units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

ch_hash units_channel(unsigned n) {
  return (ch_hash){{(uint8_t)n, (uint8_t)(n >> 8), 0xc4}};
}

cd_unit *units_new(unsigned channel, uint64_t tag) {
  cd_unit *u = (cd_unit *)calloc(1, sizeof *u);
  assert_non_null(u);
  u->shard = channel % 4;
  u->channel = units_channel(channel);
  u->peer.b[0] = 2;
  u->phase = CH_PHASE_OPEN;
  u->now = tag;
  u->record = (uint8_t *)malloc(sizeof tag);
  assert_non_null(u->record);
  memcpy(u->record, &tag, sizeof tag);
  u->record_len = sizeof tag;
  return u;
}

static ch_effect *add(ch_effects *fx, ch_effect_kind kind) {
  if (fx->n == fx->cap) {
    fx->cap = fx->cap ? 2 * fx->cap : 4;
    fx->v = (ch_effect *)realloc(fx->v, fx->cap * sizeof *fx->v);
    assert_non_null(fx->v);
  }
  ch_effect *e = &fx->v[fx->n++];
  memset(e, 0, sizeof *e);
  e->kind = kind;
  return e;
}

void units_payment(cd_unit *u, bool incoming, ch_payment_status status, const char *id, uint64_t amount,
                   uint64_t version, uint32_t index) {
  ch_effect *e = add(&u->fx, CH_FX_PAYMENT);
  e->u.payment.incoming = incoming;
  e->u.payment.status = status;
  e->u.payment.epoch = 1;
  e->u.payment.version = version;
  e->u.payment.index = index;
  e->u.payment.reason = status == CH_PAYMENT_FAILED ? CH_ERR_FUNDS : CH_OK;
  e->u.payment.op.kind = CH_OP_PAY;
  e->u.payment.op.amount = e->u.payment.paid = ch_amount_of(amount);
  e->u.payment.op.id_len = (uint8_t)strlen(id);
  memcpy(e->u.payment.op.id, id, strlen(id));
}

void units_history(cd_unit *u, ch_phase from, ch_phase to, uint64_t version, const char *cause) {
  ch_effect *e = add(&u->fx, CH_FX_HISTORY);
  e->u.history.from = from;
  e->u.history.to = to;
  e->u.history.version = version;
  strncpy(e->u.history.cause, cause, sizeof e->u.history.cause - 1);
}

void units_tx(cd_unit *u, uint8_t key) {
  u->txs = (cd_tx_row *)realloc(u->txs, (u->n_txs + 1) * sizeof *u->txs);
  assert_non_null(u->txs);
  cd_tx_row *row = &u->txs[u->n_txs++];
  memset(row, 0, sizeof *row);
  row->key.b[0] = key;
  row->channel = u->channel;
  row->kind = CH_TX_CLOSE;
  row->value = ch_amount_of(7);
  row->data = (uint8_t *)strdup("call");
  row->data_len = 4;
  row->updated = u->now;
}

void units_log_init(units_log *log) {
  memset(log, 0, sizeof *log);
  pthread_mutex_init(&log->lock, NULL);
  pthread_cond_init(&log->more, NULL);
}

static void logged(cd_unit *u, bool ok) {
  units_log *log = (units_log *)u->done_ctx;
  pthread_mutex_lock(&log->lock);
  log->v[log->n].tag = u->now;
  log->v[log->n].ok = ok;
  log->n++;
  pthread_cond_broadcast(&log->more);
  pthread_mutex_unlock(&log->lock);
  cd_unit_free(u);
}

void units_commit(units_log *log, const cd_store *store, cd_unit *u) {
  u->done = logged;
  u->done_ctx = log;
  store->ops->commit(store->ctx, u);
}

void units_wait(units_log *log, size_t n) {
  pthread_mutex_lock(&log->lock);
  while (log->n < n)
    pthread_cond_wait(&log->more, &log->lock);
  pthread_mutex_unlock(&log->lock);
}

bool units_commit_now(const cd_store *store, cd_unit *u) {
  units_log *log = (units_log *)malloc(sizeof *log);
  assert_non_null(log);
  units_log_init(log);
  units_commit(log, store, u);
  units_wait(log, 1);
  bool ok = log->v[0].ok;
  pthread_mutex_destroy(&log->lock);
  pthread_cond_destroy(&log->more);
  free(log);
  return ok;
}
