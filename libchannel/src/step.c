/* step.c - one event: copy the channel, let the event change the copy, pursue what follows, check, give it back. */
#include "internal.h"

#include <stdlib.h>

ch_channel *channel_clone(const ch_channel *from) {
  ch_channel *c = (ch_channel *)malloc(sizeof *c);
  if (!c) return NULL;
  *c = *from;
  size_t n = from->n_out + from->n_queue;
  c->ops = n ? (ch_op *)malloc(n * sizeof *c->ops) : NULL;
  c->locks = c->n_locks ? (pending *)malloc(c->n_locks * sizeof *c->locks) : NULL;
  if ((n && !c->ops) || (c->n_locks && !c->locks)) {
    ch_channel_free(c);
    return NULL;
  }
  if (n) memcpy(c->ops, from->ops, n * sizeof *c->ops);
  if (c->n_locks) memcpy(c->locks, from->locks, c->n_locks * sizeof *c->locks);
  return c;
}

void ch_channel_free(ch_channel *c) {
  if (!c) return;
  free(c->ops);
  free(c->locks);
  ch_wipe(&c->blind_key, sizeof c->blind_key);
  ch_wipe(&c->hashed, sizeof c->hashed);
  free(c);
}

void channel_derive(ch_channel *c) {
  ch_params_hash(&c->params_hash, &c->chain, &c->params);
  ch_channel_id(&c->id, &c->params_hash, &c->params.asset);
  ch_domain(&c->domain, &c->chain);
}

static ch_err on_message(step *s, const ch_msg *m) {
  if (!ch_hash_eq(&m->id, &s->c->id)) return CH_ERR_UNKNOWN_CHANNEL;
  bool opening = m->type == CH_MSG_OPEN_CONFIRM;
  if (!opening && m->epoch < s->c->epoch) return CH_OK; /* of an epoch that has ended: the peer will see it too */
  ch_phase p = phase_of(s->c);
  bool next_epoch = m->type == CH_MSG_REESTABLISH && m->epoch > s->c->epoch;
  if ((p == CH_PHASE_CLOSED && !next_epoch) || p == CH_PHASE_ABANDONED) return CH_OK; /* nothing is at stake any more */
  switch (m->type) {
  case CH_MSG_OPEN_CONFIRM: return on_open_confirm(s, m);
  case CH_MSG_FUNDS: return on_funds(s, m);
  case CH_MSG_REESTABLISH: return on_reestablish(s, m);
  case CH_MSG_UPDATE: return on_update(s, m);
  case CH_MSG_FULL_STATE: return on_full_state(s, m);
  case CH_MSG_CLOSE: return on_close_message(s, m);
  case CH_MSG_WITHDRAW: return on_withdraw_message(s, m);
  case CH_MSG_RESUME: return on_resume(s, m);
  case CH_MSG_ERROR: return CH_OK;
  case CH_MSG_OPEN_REQUEST:
  case CH_MSG_OPEN_ACCEPT: break;
  }
  return CH_ERR_VIOLATION;
}

/* As it is about to be sent, but for what depends on the moment. */
static bool new_payment_ok(const ch_op *op) {
  if (op->kind != CH_OP_PAY && op->kind != CH_OP_LOCK_ADD) return false;
  if (!op->amount.v || !ch_payment_id_ok(op->id, op->id_len)) return false;
  if (op->kind == CH_OP_PAY) return true;
  const ch_lock lock = ch_op_lock(op, 0);
  return op->u.add.payload_len <= CH_OP_PAYLOAD_MAX && ch_lock_check(&lock) == CH_OK;
}

static ch_err on_pay(step *s, const ch_op *ops, size_t n) {
  ch_channel *c = s->c;
  if (!n || n > CH_MAX_QUEUE) return CH_ERR_ARGUMENT;
  if (c->frozen) return CH_ERR_FROZEN;
  if (phase_of(c) != CH_PHASE_OPEN || c->close_wanted) return CH_ERR_PHASE;
  for (size_t i = 0; i < n; i++)
    if (!new_payment_ok(&ops[i])) return CH_ERR_ARGUMENT;
  if (c->n_queue + n > CH_MAX_QUEUE) return CH_ERR_QUEUE_FULL;
  ch_err err = queue_append(c, ops, n);
  if (err) return err;
  err = queue_covered(c);
  if (!err) err = new_locks_fit(s, ops, n);
  for (size_t i = 0; i < n && !err; i++)
    err = fx_payment(s, &ops[i], false, CH_PAYMENT_PENDING, c->epoch, 0, 0, CH_OK);
  return err;
}

static ch_err on_tick(step *s) {
  ch_channel *c = s->c;
  if (!c->agreed && !c->abandoned && s->env->now > c->created + OPENING_EXPIRY) {
    c->abandoned = true;
    s->fx->durable = true;
    set_cause(s, "the opener never confirmed");
  }
  return CH_OK;
}

static ch_err dispatch(step *s, const ch_event *ev) {
  switch (ev->kind) {
  case CH_EV_LINK_UP: return on_link_up(s);
  case CH_EV_LINK_DOWN: memset(&s->c->link, 0, sizeof s->c->link); return CH_OK;
  case CH_EV_MESSAGE: return on_message(s, ev->u.msg);
  case CH_EV_PAY: return on_pay(s, ev->u.pay.ops, ev->u.pay.n);
  case CH_EV_CLOSE: return on_close_command(s);
  case CH_EV_DEPOSIT: return on_deposit_command(s, ev->u.deposit.amount, &ev->u.deposit.nonce);
  case CH_EV_WITHDRAW: return on_withdraw_command(s, ev->u.withdraw.amount, &ev->u.withdraw.to);
  case CH_EV_CHALLENGE: return on_challenge_command(s, ev->u.challenge.risk_bond);
  case CH_EV_CHAIN: return on_view(s, ev->u.view);
  case CH_EV_TICK: return on_tick(s);
  case CH_EV_FULFIL: return on_fulfil_command(s, &ev->u.resolve.lock, &ev->u.resolve.preimage);
  case CH_EV_CANCEL: return on_cancel_command(s, &ev->u.resolve.lock);
  case CH_EV_REVEAL: return on_reveal(s, ev->u.reveal);
  case CH_EV_FREEZE: return freeze_told(s);
  case CH_EV_RESUME: return on_resume_command(s);
  }
  return CH_ERR_ARGUMENT;
}

static ch_err say_update(step *s) {
  const ch_msg *u = &s->update;
  if (!u->u.update.has_accept && !u->u.update.has_proposal && !u->u.update.has_refusal) return CH_OK;
  return fx_send(s->fx, u);
}

/* What follows from the facts, whatever the event was. Close is said after the accept of the shutdown that allows it.
 */
static ch_err pursue(step *s) {
  ch_err err = pursue_chain(s);
  if (!err) err = greet(s);
  if (!err) err = propose(s);
  if (!err) err = say_update(s);
  if (!err) err = pursue_withdraw(s);
  if (!err) err = pursue_resume(s);
  return err ? err : pursue_close(s);
}

/* What the peer said during a dispute or a closing was not heard. If that came to nothing, each side says what it has
 * outstanding again, on a new connection. */
static ch_err resume_talk(step *s, ch_phase from) {
  bool silent = from == CH_PHASE_DISPUTED || from == CH_PHASE_CLOSING || from == CH_PHASE_ENDING;
  if (!silent || s->c->epoch != s->cur->epoch || !s->cur->link.up || !may_sign_state(s->c)) return CH_OK;
  return drop_link(s, CH_OK, "back from a dispute or closing that came to nothing");
}

static ch_err run(step *s, const ch_event *ev) {
  ch_err err = dispatch(s, ev);
  if (!err) err = pursue(s);
  if (err) return err;
  locks_mark(s->c, IN_REPLAY, 0);
  locks_sweep(s->c);
  ch_phase from = phase_of(s->cur), to = phase_of(s->c);
  if (from != to || s->cause[0]) err = fx_history(s->fx, from, to, s->c->latest.version, s->cause);
  if (!err) err = resume_talk(s, from);
  return err ? err : invariant(s->cur, s->c);
}

ch_err ch_step(ch_channel **next, ch_effects *fx, const ch_channel *cur, const ch_env *env, const ch_event *ev,
               const ch_signer *signer) {
  *next = NULL;
  step s = {.c = channel_clone(cur), .cur = cur, .env = env, .signer = signer, .fx = fx};
  if (!s.c) return CH_ERR_NO_MEMORY;
  s.update.type = CH_MSG_UPDATE;
  s.update.id = cur->id;
  s.update.epoch = cur->epoch;
  ch_err err = run(&s, ev);
  if (err) {
    ch_channel_free(s.c);
    ch_effects_clear(fx);
    return err;
  }
  *next = s.c;
  return CH_OK;
}
