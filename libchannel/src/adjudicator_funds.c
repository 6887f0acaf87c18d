/* adjudicator_funds.c - the Adjudicator's rules for money that goes in and out while a channel runs, and for payouts
 * that could not be delivered (proto/protocol.md, section 5). */
#include "adjudicator_rules.h"

/* A late deposit must not land in another life of the channel, nor in one whose money an older state may already be
 * dividing: hence epoch and dispute. */
static ch_adj_revert check_open_for_money(const ch_adj_slots *old, uint16_t epoch) {
  if (epoch != old->epoch) {
    return CH_ADJ_WRONG_EPOCH;
  }
  if (old->epoch == CH_EPOCH_LAST) {
    return CH_ADJ_LAST_EPOCH;
  }
  return old->disputed ? CH_ADJ_DISPUTE_OPEN : CH_ADJ_NONE;
}

/* Adds `amount`, one for each side, to the contributions of `old`, giving `slots`. (A pointer, as GCC takes an array
 * parameter for an overread here when it builds for ThreadSanitizer.) */
static ch_adj_revert credit(ch_adj_slots *slots, const ch_adj_slots *old, const ch_amount *amount) {
  ch_net total;
  *slots = *old;
  ch_net *contribution = slots->contribution;
  if (ch_net_add(&contribution[0], contribution[0], amount[0]) != CH_OK ||
      ch_net_add(&contribution[1], contribution[1], amount[1]) != CH_OK ||
      ch_net_sum(&total, contribution[0], contribution[1]) != CH_OK) {
    return CH_ADJ_OVERFLOW;
  }
  return CH_ADJ_NONE;
}

/* Checks: side, value, id, epoch, last epoch, dispute, zero, overflow. */
ch_adj_revert adj_deposit(adj_ctx *c) {
  const ch_adj_slots *old = c->old;
  ch_hash id;
  uint8_t side = c->tx->u.deposit.side;
  ch_amount amount[2] = {{0}, {0}};
  const ch_addr *asset = &c->tx->u.deposit.asset;
  if (side > 1) {
    return CH_ADJ_BAD_SIDE;
  }
  amount[side] = c->tx->u.deposit.amount;
  if (c->call->value.v != (ch_addr_is_zero(asset) ? amount[side].v : 0)) {
    return CH_ADJ_WRONG_VALUE;
  }
  ch_channel_id(&id, &c->tx->u.deposit.params_hash, asset);
  if (!ch_hash_eq(&id, &c->tx->id)) {
    return CH_ADJ_BAD_PARAMS;
  }
  ch_adj_revert r = check_open_for_money(old, c->tx->u.deposit.epoch);
  if (r == CH_ADJ_NONE && amount[side].v == 0) {
    r = CH_ADJ_ZERO_AMOUNT;
  }
  if (r == CH_ADJ_NONE) {
    r = credit(&c->out->slots, old, amount);
  }
  if (r != CH_ADJ_NONE) {
    return r;
  }
  c->out->take = amount[side];
  c->out->take_asset = *asset;
  c->out->event = adj_new_event(c, CH_ADJ_DEPOSITED);
  c->out->event.side = side;
  c->out->event.amount = amount[side];
  return CH_ADJ_NONE;
}

/* Checks: value, id, epoch, last epoch, dispute, zero, overflow: a deposit's, for the sum. */
ch_adj_revert adj_fund(adj_ctx *c) {
  const ch_adj_slots *old = c->old;
  const ch_amount *amount = c->tx->u.fund.amount;
  const ch_addr *asset = &c->tx->u.fund.asset;
  ch_amount sum = {amount[0].v + amount[1].v}; /* of 112 bits each; credit() refuses what is too much */
  ch_hash id;
  if (c->call->value.v != (ch_addr_is_zero(asset) ? sum.v : 0)) {
    return CH_ADJ_WRONG_VALUE;
  }
  ch_channel_id(&id, &c->tx->u.fund.params_hash, asset);
  if (!ch_hash_eq(&id, &c->tx->id)) {
    return CH_ADJ_BAD_PARAMS;
  }
  ch_adj_revert r = check_open_for_money(old, c->tx->u.fund.epoch);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (amount[0].v == 0 || amount[1].v == 0) {
    return CH_ADJ_ZERO_AMOUNT;
  }
  r = credit(&c->out->slots, old, amount);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  c->out->take = sum;
  c->out->take_asset = *asset;
  c->out->event = adj_new_event(c, CH_ADJ_FUNDED);
  c->out->event.paid[0] = amount[0];
  c->out->event.paid[1] = amount[1];
  return CH_ADJ_NONE;
}

/* What withdraw and move have in common: which of the channel's numbered payments out it is. */
typedef struct payment_out {
  uint16_t epoch, seq;
  uint8_t side;
  ch_amount amount;
  uint64_t valid_until;
} payment_out;

/* Checks of a payment out: id, epoch, expiry, last seq, seq, zero, total. */
static ch_adj_revert check_payment_out(const adj_ctx *c, const payment_out *what) {
  const ch_adj_slots *old = c->old;
  ch_adj_revert r = adj_check_target(c, &c->tx->params, what->epoch, 0);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (c->call->now > what->valid_until) {
    return CH_ADJ_EXPIRED;
  }
  if (old->withdraw_seq >= CH_SEQ_LAST) {
    return CH_ADJ_LAST_SEQ;
  }
  if (what->seq != old->withdraw_seq) {
    return CH_ADJ_WRONG_SEQ;
  }
  if (what->amount.v == 0) {
    return CH_ADJ_ZERO_AMOUNT;
  }
  ch_i128 total = old->contribution[0].v + old->contribution[1].v;
  return (ch_i128)what->amount.v > total ? CH_ADJ_TOO_MUCH : CH_ADJ_NONE;
}

/* Takes it off the side's contribution and uses up its number. */
static ch_adj_revert pay_out(adj_ctx *c, const payment_out *what, ch_adj_event_kind kind) {
  ch_adj_slots *slots = &c->out->slots;
  *slots = *c->old;
  if (ch_net_sub(&slots->contribution[what->side], slots->contribution[what->side], what->amount) != CH_OK) {
    return CH_ADJ_OVERFLOW; /* never: that would take more than the other side's contribution can be */
  }
  slots->withdraw_seq++;
  c->out->event = adj_new_event(c, kind);
  c->out->event.side = what->side;
  c->out->event.amount = what->amount;
  return CH_ADJ_NONE;
}

/* Checks: value, side, those of a payment out, signatures, overflow. The number makes each withdrawal happen once, and
 * in the agreed order. A dispute does not stand in its way: what it takes out, the settlement no longer has to divide.
 */
ch_adj_revert adj_withdraw(adj_ctx *c) {
  ch_withdraw what = c->tx->u.withdraw.withdraw;
  payment_out out = {what.epoch, what.seq, what.side, what.amount, what.valid_until};
  if (c->call->value.v != 0) {
    return CH_ADJ_WRONG_VALUE;
  }
  if (what.side > 1) {
    return CH_ADJ_BAD_SIDE;
  }
  ch_adj_revert r = check_payment_out(c, &out);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  ch_hash domain, digest;
  what.id = c->tx->id;
  ch_domain(&domain, c->call->chain);
  ch_withdraw_digest(&digest, &domain, &what);
  if (!adj_both_consent(c, &digest, c->tx->u.withdraw.sig)) {
    return CH_ADJ_BAD_SIGNATURE;
  }
  r = pay_out(c, &out, CH_ADJ_WITHDRAWN);
  if (r == CH_ADJ_NONE) {
    adj_pay(c, &c->tx->params.payout[what.side], &c->tx->params.asset, what.amount);
  }
  return r;
}

/* The target takes it as it would take a deposit. */
static ch_adj_revert check_move_target(const adj_ctx *c, const ch_move *what) {
  return ch_hash_eq(&what->to_id, &c->tx->id) ? CH_ADJ_SAME_CHANNEL
                                              : check_open_for_money(c->call->target, what->to_epoch);
}

/* Checks: value, both sides, those of a payment out, same channel, the target's epoch, last epoch and dispute,
 * signatures, overflow of the source, then of the target. No money leaves the Adjudicator. */
ch_adj_revert adj_move(adj_ctx *c) {
  ch_move what = c->tx->u.move.move;
  payment_out out = {what.epoch, what.seq, what.side, what.amount, what.valid_until};
  if (c->call->value.v != 0) {
    return CH_ADJ_WRONG_VALUE;
  }
  if (what.side > 1 || what.to_side > 1) {
    return CH_ADJ_BAD_SIDE;
  }
  ch_channel_id(&what.to_id, &c->tx->u.move.to_params_hash, &c->tx->params.asset);
  ch_adj_revert r = check_payment_out(c, &out);
  if (r == CH_ADJ_NONE) {
    r = check_move_target(c, &what);
  }
  if (r != CH_ADJ_NONE) {
    return r;
  }
  ch_hash domain, digest;
  what.id = c->tx->id;
  ch_domain(&domain, c->call->chain);
  ch_move_digest(&digest, &domain, &what);
  if (!adj_both_consent(c, &digest, c->tx->u.move.sig)) {
    return CH_ADJ_BAD_SIGNATURE;
  }
  ch_amount amount[2] = {{0}, {0}};
  amount[what.to_side] = what.amount;
  r = pay_out(c, &out, CH_ADJ_MOVED);
  if (r == CH_ADJ_NONE) {
    r = credit(&c->out->target, c->call->target, amount);
  }
  c->out->event.to_id = what.to_id;
  c->out->event.to_side = what.to_side;
  c->out->target_event = (ch_adj_event){
      .kind = CH_ADJ_DEPOSITED, .id = what.to_id, .epoch = what.to_epoch, .side = what.to_side, .amount = what.amount};
  return r;
}

/* Checks: value, who sends it, credit. */
ch_adj_revert adj_claim(adj_ctx *c) {
  const ch_addr *payee = &c->tx->u.claim.payee, *asset = &c->tx->u.claim.asset, *to = &c->tx->u.claim.to;
  if (c->call->value.v != 0) {
    return CH_ADJ_WRONG_VALUE;
  }
  if (!ch_addr_eq(&c->call->sender, payee) && !ch_addr_eq(to, payee)) {
    return CH_ADJ_NOT_PARTICIPANT;
  }
  if (c->call->credit.v == 0) {
    return CH_ADJ_ZERO_AMOUNT;
  }
  adj_pay(c, to, asset, c->call->credit);
  c->out->event =
      (ch_adj_event){.kind = CH_ADJ_CLAIMED, .amount = c->call->credit, .asset = *asset, .payee = {*payee, *to}};
  return CH_ADJ_NONE;
}
