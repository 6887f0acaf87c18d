/* effects.c - the list of effects of one step. */
#include "internal.h"

#include <stdlib.h>

static ch_effect *fx_add(ch_effects *fx, ch_effect_kind kind) {
  if (fx->n == fx->cap) {
    size_t cap = fx->cap ? 2 * fx->cap : 4;
    ch_effect *v = (ch_effect *)realloc(fx->v, cap * sizeof *v);
    if (!v) return NULL;
    fx->v = v;
    fx->cap = cap;
  }
  ch_effect *e = &fx->v[fx->n++];
  memset(e, 0, sizeof *e);
  e->kind = kind;
  return e;
}

void ch_effects_clear(ch_effects *fx) {
  for (size_t i = 0; i < fx->n; i++) {
    if (fx->v[i].kind == CH_FX_SEND) free(fx->v[i].u.send.bytes);
    if (fx->v[i].kind == CH_FX_TX) free(fx->v[i].u.tx.owned);
  }
  free(fx->v);
  memset(fx, 0, sizeof *fx);
}

ch_err fx_send(ch_effects *fx, const ch_msg *msg) {
  uint8_t *bytes;
  size_t len;
  ch_err err = ch_msg_encode(msg, &bytes, &len);
  if (err) return err;
  ch_effect *e = fx_add(fx, CH_FX_SEND);
  if (!e) {
    free(bytes);
    return CH_ERR_NO_MEMORY;
  }
  e->u.send.bytes = bytes;
  e->u.send.len = len;
  e->u.send.type = msg->type;
  return CH_OK;
}

/* The locks that a settlement borrows become the effect's own. */
static ch_err own_locks(ch_effect *e) {
  const uint8_t *locks = e->u.tx.tx.u.settle.locks;
  size_t len = e->u.tx.tx.u.settle.locks_len;
  if (e->u.tx.tx.kind != CH_TX_SETTLE || len == 0) return CH_OK;
  e->u.tx.owned = (uint8_t *)malloc(len);
  if (!e->u.tx.owned) return CH_ERR_NO_MEMORY;
  memcpy(e->u.tx.owned, locks, len);
  e->u.tx.tx.u.settle.locks = e->u.tx.owned;
  return CH_OK;
}

static ch_err add_tx(step *s, const ch_tx *tx, const ch_hash *key, ch_amount value) {
  ch_effect *e = fx_add(s->fx, CH_FX_TX);
  if (!e) return CH_ERR_NO_MEMORY;
  e->u.tx.key = *key;
  e->u.tx.tx = *tx;
  e->u.tx.value = value;
  if (tx->kind == CH_TX_REFUTE) e->u.tx.deadline = s->c->view.head.slots.deadline;
  return own_locks(e);
}

/* The key names the wish: channel, epoch, kind, and what tells this one from others of its kind. */
ch_err fx_tx(step *s, const ch_tx *tx, uint64_t version, ch_amount value) {
  uint8_t buf[32 + 2 + 1 + 8];
  ch_hash key;
  memcpy(buf, tx->id.b, 32);
  buf[32] = (uint8_t)(s->c->epoch >> 8);
  buf[33] = (uint8_t)s->c->epoch;
  buf[34] = (uint8_t)tx->kind;
  for (int i = 0; i < 8; i++)
    buf[35 + i] = (uint8_t)(version >> (56 - 8 * i));
  ch_keccak256(&key, buf, sizeof buf);
  return add_tx(s, tx, &key, value);
}

ch_err fx_tx_named(step *s, const ch_tx *tx, const ch_hash *nonce, ch_amount value) {
  ch_hash key;
  ch_deposit_key(&key, &s->c->id, nonce);
  return add_tx(s, tx, &key, value);
}

ch_err fx_payment(step *s, const ch_op *op, bool incoming, ch_payment_status status, uint16_t epoch, uint64_t version,
                  size_t index, ch_err reason) {
  if (op->kind != CH_OP_PAY && op->kind != CH_OP_LOCK_ADD) return CH_OK;
  ch_effect *e = fx_add(s->fx, CH_FX_PAYMENT);
  if (!e) return CH_ERR_NO_MEMORY;
  e->u.payment.incoming = incoming;
  e->u.payment.payer = incoming ? them(s->c) : s->c->me;
  e->u.payment.status = status;
  e->u.payment.op = *op;
  if (status == CH_PAYMENT_SETTLED) e->u.payment.paid = op->amount;
  e->u.payment.epoch = epoch;
  e->u.payment.version = version;
  e->u.payment.index = (uint32_t)index;
  e->u.payment.reason = reason;
  s->fx->durable = true;
  return CH_OK;
}

/* Appends as much of `text` as fits into the `size` bytes of the string `out`. */
static void append(char *out, size_t size, const char *text) {
  size_t have = strlen(out), n = strlen(text);
  if (n >= size - have) n = size - have - 1;
  memcpy(out + have, text, n);
  out[have + n] = 0;
}

ch_err fx_history(ch_effects *fx, ch_phase from, ch_phase to, uint64_t version, const char *cause) {
  ch_effect *e = fx_add(fx, CH_FX_HISTORY);
  if (!e) return CH_ERR_NO_MEMORY;
  e->u.history.from = from;
  e->u.history.to = to;
  e->u.history.version = version;
  append(e->u.history.cause, sizeof e->u.history.cause, cause);
  fx->durable = true;
  return CH_OK;
}

ch_err drop_link(step *s, ch_err code, const char *text) {
  ch_effect *e = fx_add(s->fx, CH_FX_DISCONNECT);
  if (!e) return CH_ERR_NO_MEMORY;
  memset(&s->c->link, 0, sizeof s->c->link);
  e->u.disconnect.code = code;
  append(e->u.disconnect.text, sizeof e->u.disconnect.text, text);
  return CH_OK;
}

void set_cause(step *s, const char *text) {
  s->cause[0] = 0;
  add_cause(s, text);
}

void add_cause(step *s, const char *text) {
  append(s->cause, sizeof s->cause, text);
}

void add_cause_number(step *s, uint64_t n) {
  char buf[CH_MONEY_STR];
  add_cause(s, ch_amount_str(buf, ch_amount_of(n)));
}
