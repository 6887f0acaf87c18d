/* queue.c - the operations of a channel: those in my outstanding proposal, then those that wait. */
#include "internal.h"

#include <stdlib.h>

ch_err queue_append(ch_channel *c, const ch_op *ops, size_t n) {
  size_t have = c->n_out + c->n_queue;
  ch_op *v = (ch_op *)realloc(c->ops, (have + n) * sizeof *v);
  if (!v) return CH_ERR_NO_MEMORY;
  memcpy(v + have, ops, n * sizeof *v);
  for (size_t i = 0; i < n; i++)
    v[have + i].version = 0;
  c->ops = v;
  c->n_queue += n;
  return CH_OK;
}

ch_err queue_shutdown(ch_channel *c) {
  if (c->shutdown) return CH_OK;
  for (size_t i = 0; i < c->n_out + c->n_queue; i++)
    if (c->ops[i].kind == CH_OP_SHUTDOWN) return CH_OK;
  ch_op op = {.kind = CH_OP_SHUTDOWN};
  return queue_append(c, &op, 1);
}

ch_err queue_seal(ch_channel *c) {
  if (!c->seal) return CH_OK;
  for (size_t i = 0; i < c->n_out + c->n_queue; i++)
    if (c->ops[i].kind == CH_OP_SHUTDOWN || c->ops[i].kind == CH_OP_NOOP) return CH_OK;
  const ch_op op = {.kind = c->shutdown ? CH_OP_SHUTDOWN : CH_OP_NOOP};
  ch_err err = queue_append(c, &op, 1);
  if (err) return err;
  memmove(c->ops + c->n_out + 1, c->ops + c->n_out, (c->n_queue - 1) * sizeof *c->ops);
  c->ops[c->n_out] = op;
  return CH_OK;
}

void queue_remove_out(ch_channel *c, size_t index) {
  size_t have = c->n_out + c->n_queue;
  memmove(c->ops + index, c->ops + index + 1, (have - index - 1) * sizeof *c->ops);
  c->n_out--;
}

void queue_requeue_out(ch_channel *c) {
  for (size_t i = c->n_out; i-- > 0;)
    if (op_resolves(&c->ops[i])) queue_remove_out(c, i);
  c->n_queue += c->n_out;
  c->n_out = 0;
}

ch_err queue_prepend(ch_channel *c, const ch_op *op) {
  ch_err err = queue_append(c, op, 1);
  if (err) return err;
  memmove(c->ops + c->n_out + 1, c->ops + c->n_out, (c->n_queue - 1) * sizeof *c->ops);
  c->ops[c->n_out] = *op;
  return CH_OK;
}

ch_err queue_pending(const ch_channel *c, ch_amount *sum) {
  *sum = ch_amount_of(0);
  for (size_t i = 0; i < c->n_out + c->n_queue; i++) {
    if (c->ops[i].kind != CH_OP_PAY && c->ops[i].kind != CH_OP_LOCK_ADD) continue;
    ch_err err = ch_amount_add(sum, *sum, c->ops[i].amount);
    if (err) return err;
  }
  return CH_OK;
}

ch_err queue_covered(const ch_channel *c) {
  ch_amount waits;
  replay r = replay_of_latest(c);
  ch_net *after = &r.what.net;
  ch_err err = queue_pending(c, &waits);
  if (!err && !c->reserved.active) err = ch_amount_add(&waits, waits, c->withdraw_wanted);
  if (!err) err = c->me == 0 ? ch_net_add(after, *after, waits) : ch_net_sub(after, *after, waits);
  if (!err) err = content_valid(c, &r);
  return err == CH_ERR_OVERFLOW ? CH_ERR_FUNDS : err;
}
