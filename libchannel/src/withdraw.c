/* withdraw.c - taking money out while the channel goes on, to the payout address or into another channel: reserved in a
 * co-signed state first, then signed for.
 *
 * Source: proto/protocol.md, section 4 ("Taking money out"). From the state that reserves it on, no state can spend the
 * money, so that the withdrawal may come at any time; who asked for it signs first, as it alone can lose by it. */
#include "internal.h"

static ch_withdraw withdrawal_of(const ch_channel *c) {
  const reservation *r = &c->reserved;
  return (ch_withdraw){c->id, c->epoch, r->seq, r->side, r->amount, r->valid_until};
}

static ch_move move_of(const ch_channel *c) {
  const reservation *r = &c->reserved;
  ch_move m = {.id = c->id,
               .epoch = c->epoch,
               .seq = r->seq,
               .side = r->side,
               .amount = r->amount,
               .valid_until = r->valid_until,
               .to_epoch = r->to.epoch,
               .to_side = r->to.side};
  ch_channel_id(&m.to_id, &r->to.params_hash, &c->params.asset);
  return m;
}

/* What both sides sign. */
static void digest_of(const ch_channel *c, ch_hash *out) {
  const ch_withdraw withdrawal = withdrawal_of(c);
  if (!c->reserved.to.set) return ch_withdraw_digest(out, &c->domain, &withdrawal);
  const ch_move move = move_of(c);
  ch_move_digest(out, &c->domain, &move);
}

/* Money is moved into another channel only. */
static bool target_ok(const ch_channel *c, const ch_target *to) {
  return !to->set || (to->side <= 1 && !ch_hash_eq(&to->params_hash, &c->params_hash));
}

ch_err on_withdraw_command(step *s, ch_amount amount, const ch_target *to) {
  ch_channel *c = s->c;
  if (!amount.v || amount.v > CH_MONEY_MAX || !target_ok(c, to)) return CH_ERR_ARGUMENT;
  if (c->frozen) return CH_ERR_FROZEN;
  if (phase_of(c) != CH_PHASE_OPEN || c->close_wanted) return CH_ERR_PHASE;
  if (c->withdraw_wanted.v || c->reserved.active) return CH_ERR_PHASE; /* one at a time */
  if (c->view.head.slots.withdraw_seq >= CH_SEQ_LAST) return CH_ERR_PHASE;
  ch_op op = {.kind = CH_OP_RESERVE, .amount = amount, .u.to = *to};
  ch_err err = queue_append(c, &op, 1);
  if (err) return err;
  c->withdraw_wanted = amount;
  c->move_to = *to;
  s->fx->durable = true;
  set_cause(s, to->set ? "move asked for here" : "withdrawal asked for here");
  return queue_covered(c);
}

/* Number and time of a RESERVE are those of the moment at which it is proposed. */
void stamp_reserve(const step *s, ch_op *op) {
  op->seq = s->c->view.final.slots.withdraw_seq;
  op->valid_until = s->env->now + WITHDRAW_VALIDITY;
}

reservation reservation_by(uint8_t side, const ch_op *op) {
  return (reservation){.active = true,
                       .side = side,
                       .seq = op->seq,
                       .amount = op->amount,
                       .valid_until = op->valid_until,
                       .to = op->u.to};
}

ch_err reserve(const step *s, replay *r, uint8_t side, const ch_op *op) {
  const ch_channel *c = s->c;
  uint64_t now = s->env->now;
  if (r->shutdown || r->reserved.active || op->seq >= CH_SEQ_LAST || !target_ok(c, &op->u.to)) return CH_ERR_PHASE;
  if (op->seq != c->view.final.slots.withdraw_seq || op->seq != c->view.head.slots.withdraw_seq) return CH_ERR_PHASE;
  if (op->valid_until <= now || op->valid_until > now + WITHDRAW_VALIDITY_MAX + CLOCK_SKEW) return CH_ERR_PHASE;
  r->reserved = reservation_by(side, op);
  return content_valid(c, r);
}

void withdraw_failed(step *s, ch_err reason) {
  s->c->withdraw_wanted = ch_amount_of(0);
  s->fx->durable = true;
  set_cause(s, "withdrawal failed: ");
  add_cause(s, ch_err_name(reason));
}

static void end_reservation(step *s, const char *cause) {
  ch_channel *c = s->c;
  char amount[CH_MONEY_STR];
  set_cause(s, cause);
  add_cause(s, ch_amount_str(amount, c->reserved.amount));
  if (c->reserved.side == c->me) c->withdraw_wanted = ch_amount_of(0);
  memset(&c->reserved, 0, sizeof c->reserved);
  s->fx->durable = true;
}

/* In one step with the view in which it has lowered the contribution, so that the balance never changes. */
void look_for_withdrawal(step *s) {
  const ch_adj_slots *f = &s->c->view.final.slots;
  if (s->c->reserved.active && f->epoch == s->c->epoch && f->withdraw_seq > s->c->reserved.seq)
    end_reservation(s, "a withdrawal is final: ");
}

/* From signing or seeing a challenge on, and from signing Close on, nothing is signed for. */
static bool may_sign(const step *s) {
  const ch_channel *c = s->c;
  ch_phase p = phase_of(c);
  if (c->frozen || (p != CH_PHASE_OPEN && p != CH_PHASE_SHUTDOWN)) return false;
  return chain_fresh(s->env) && s->env->now <= c->reserved.valid_until;
}

static ch_err send_withdraw(step *s) {
  const ch_channel *c = s->c;
  const reservation *r = &c->reserved;
  ch_msg m = {.type = CH_MSG_WITHDRAW, .id = c->id, .epoch = c->epoch};
  m.u.withdraw.seq = r->seq;
  m.u.withdraw.side = r->side;
  m.u.withdraw.amount = r->amount;
  m.u.withdraw.valid_until = r->valid_until;
  m.u.withdraw.sig = r->sig[c->me];
  return fx_send(s->fx, &m);
}

static ch_err sign(step *s) {
  ch_channel *c = s->c;
  reservation *r = &c->reserved;
  const ch_signer *k = s->signer;
  const ch_withdraw withdrawal = withdrawal_of(c);
  const ch_move move = move_of(c);
  ch_err err = r->to.set ? k->sign_move(k->ctx, &r->sig[c->me], &c->chain, &c->nonce[c->me], &move)
                         : k->sign_withdraw(k->ctx, &r->sig[c->me], &c->chain, &c->nonce[c->me], &withdrawal);
  if (err) return err;
  r->have[c->me] = true;
  s->fx->durable = true;
  set_cause(s, r->to.set ? "signed Move" : "signed Withdraw");
  return send_withdraw(s);
}

ch_err on_withdraw_message(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  reservation *r = &c->reserved;
  if (c->frozen) return CH_OK;
  if (!c->link.synced) return unsynced(c);
  if (m->epoch != c->epoch) return CH_ERR_VIOLATION;
  /* Here it may have ended by what the chain shows, and the peer not know it yet. */
  if (!r->active || r->seq != m->u.withdraw.seq || r->side != m->u.withdraw.side) return CH_OK;
  if (r->amount.v != m->u.withdraw.amount.v || r->valid_until != m->u.withdraw.valid_until) return CH_ERR_VIOLATION;
  ch_hash digest;
  digest_of(c, &digest);
  ch_err err = ch_verify(&digest, &m->u.withdraw.sig, &c->params.signer[them(c)]);
  if (err) return err;
  if (r->side == c->me && !r->have[c->me]) return CH_ERR_VIOLATION; /* it is for me to sign first */
  if (!r->have[them(c)]) s->fx->durable = true;
  r->have[them(c)] = true;
  r->sig[them(c)] = m->u.withdraw.sig;
  return r->side != c->me && r->have[c->me] ? send_withdraw(s) : CH_OK;
}

static ch_err submit(step *s) {
  const ch_channel *c = s->c;
  const reservation *r = &c->reserved;
  ch_tx tx = {.kind = r->to.set ? CH_TX_MOVE : CH_TX_WITHDRAW, .id = c->id, .params = c->params};
  if (r->to.set) {
    tx.u.move.move = move_of(c);
    memcpy(tx.u.move.sig, r->sig, sizeof tx.u.move.sig);
    tx.u.move.to_params_hash = r->to.params_hash;
  } else {
    tx.u.withdraw.withdraw = withdrawal_of(c);
    memcpy(tx.u.withdraw.sig, r->sig, sizeof tx.u.withdraw.sig);
  }
  return fx_tx(s, &tx, (uint64_t)r->seq << 40 | r->valid_until, ch_amount_of(0));
}

ch_err pursue_withdraw(step *s) {
  ch_channel *c = s->c;
  const reservation *r = &c->reserved;
  if (!r->active) return CH_OK;
  if (s->env->final_time > r->valid_until) {
    end_reservation(s, "a withdrawal expired unused: ");
    return CH_OK;
  }
  const ch_adj_slots *head = &c->view.head.slots;
  if (head->epoch != c->epoch || head->withdraw_seq != r->seq) return CH_OK;
  if (r->have[0] && r->have[1]) return r->side == c->me && s->env->head_time < r->valid_until ? submit(s) : CH_OK;
  if (!c->link.synced) return CH_OK;
  /* On a new connection: what was given already may have been lost with the old one. */
  if (r->have[c->me]) return s->cur->link.synced ? CH_OK : send_withdraw(s);
  return may_sign(s) && (r->side == c->me || r->have[them(c)]) ? sign(s) : CH_OK;
}
