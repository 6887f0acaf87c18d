/* Money in and out of a running channel (proto/protocol.md, section 4, "Taking money out", and section 5). */
#include "engine_fixture.h"

#include <stdlib.h>

static int setup(void **state) {
  duo *d = calloc(1, sizeof *d);
  if (!d) return -1;
  *state = d;
  duo_open(d, 1000, 500);
  return 0;
}

static int teardown(void **state) {
  duo_free(*state);
  free(*state);
  return 0;
}

static ch_err withdraw(duo *d, int s, uint64_t amount) {
  ch_event ev = {.kind = CH_EV_WITHDRAW};
  ev.u.withdraw.amount = ch_amount_of(amount);
  return duo_step(d, s, &ev);
}

static ch_err deposit(duo *d, int s, uint64_t amount, uint8_t name) {
  ch_event ev = {.kind = CH_EV_DEPOSIT};
  ev.u.deposit.amount = ch_amount_of(amount);
  memset(&ev.u.deposit.nonce, name, sizeof(ch_hash));
  return duo_step(d, s, &ev);
}

/* --- Withdrawals ------------------------------------------------------------------------------------- */

static void test_withdraw(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 400), CH_OK);
  assert_true(duo_info(d, 0).reserved_mine.v == 400 && duo_info(d, 0).spendable.v == 600);
  assert_null(duo_wish(d, 0, CH_TX_WITHDRAW));
  duo_pump(d);
  assert_true(duo_info(d, 1).reserved_peer.v == 400);
  duo_see(d, 0);
  assert_null(duo_wish(d, 1, CH_TX_WITHDRAW)); /* it is for the side that asked to send it */
  assert_non_null(duo_wish(d, 0, CH_TX_WITHDRAW));
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_WITHDRAW_TX);
  duo_mine(d, 0);
  assert_true(d->head.slots.contribution[0].v == 600);
  assert_int_equal(d->head.slots.withdraw_seq, 1);
  duo_see(d, 0);
  assert_null(duo_wish(d, 0, CH_TX_WITHDRAW));
  assert_true(duo_info(d, 0).reserved_mine.v == 400); /* not final yet */
  duo_finalise(d);
  duo_pump(d);
  for (int s = 0; s < 2; s++) {
    ch_info i = duo_info(d, s);
    assert_true(i.reserved_mine.v == 0 && i.reserved_peer.v == 0);
    assert_true(i.balance_mine.v == (s == 0 ? 600 : 500));
  }
  assert_null(duo_wish(d, 0, CH_TX_DEPOSIT));   /* what was taken out is not brought back */
  assert_int_equal(withdraw(d, 1, 500), CH_OK); /* the next one, of the other side */
  duo_pump(d);
  duo_see(d, 1);
  assert_int_equal(duo_wish(d, 1, CH_TX_WITHDRAW)->u.withdraw.withdraw.seq, 1);
}

/* Payments go on meanwhile, but not with what is reserved. */
static void test_reserved_money_is_not_spent(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "before", 100), CH_OK);
  assert_int_equal(withdraw(d, 0, 901), CH_ERR_FUNDS);
  assert_int_equal(withdraw(d, 0, 900), CH_OK);
  assert_int_equal(duo_pay(d, 0, "over", 1), CH_ERR_FUNDS);
  duo_pump(d);
  assert_int_equal(duo_pay(d, 0, "over", 1), CH_ERR_FUNDS);
  ch_op op = duo_op_pay("forged", 1); /* nor may the peer take it */
  uint64_t base = duo_info(d, 1).version;
  ch_msg m = duo_proposal(d, 0, base, ch_next_version(0, base), 101, &op, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_true(duo_said(d, 1, CH_MSG_UPDATE)->u.update.has_refusal);
  duo_drop(d, 1);
}

static void test_payments_go_on(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 900), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_pay(d, 0, "a", 100), CH_OK);
  assert_int_equal(duo_pay(d, 1, "b", 300), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 1, "b"), CH_PAYMENT_SETTLED);
  assert_true(duo_info(d, 0).spendable.v == 300);
}

static void test_withdraw_commands(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 0), CH_ERR_ARGUMENT);
  ch_event ev = {.kind = CH_EV_WITHDRAW};
  ev.u.withdraw.amount.v = CH_MONEY_MAX + 1;
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_ARGUMENT);
  assert_int_equal(withdraw(d, 0, 1001), CH_ERR_FUNDS);
  assert_int_equal(withdraw(d, 0, 10), CH_OK);
  assert_int_equal(withdraw(d, 0, 10), CH_ERR_PHASE); /* one at a time */
  duo_pump(d);
  assert_int_equal(withdraw(d, 1, 10), CH_ERR_PHASE); /* of either side */
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  assert_int_equal(withdraw(d, 1, 10), CH_ERR_PHASE);
}

/* Who asked signs first: the other side signs for nobody who has not. */
static void test_who_signs_first(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 10), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK); /* the proposal */
  assert_null(duo_said(d, 1, CH_MSG_WITHDRAW));
  assert_int_equal(duo_deliver(d, 1), CH_OK); /* its accept */
  const ch_msg *first = duo_said(d, 0, CH_MSG_WITHDRAW);
  assert_non_null(first);
  ch_msg forged = *first;
  forged.u.withdraw.sig.b[40] ^= 1;
  duo_refused(d, 1, &forged, CH_ERR_SIGNATURE);
  forged = *first;
  forged.u.withdraw.amount.v++;
  duo_refused(d, 1, &forged, CH_ERR_VIOLATION);
  forged = *first;
  forged.u.withdraw.valid_until++;
  duo_refused(d, 1, &forged, CH_ERR_VIOLATION);
  forged = *first;
  forged.u.withdraw.side = 1;
  duo_ignored(d, 1, &forged);
  forged = *first;
  forged.u.withdraw.seq++;
  duo_ignored(d, 1, &forged);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_non_null(duo_said(d, 1, CH_MSG_WITHDRAW));
}

/* One that comes when it cannot be: on another connection, in another epoch, from a side that has not signed first. */
static void test_signatures_out_of_place(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 10), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  const ch_msg good = *duo_said(d, 0, CH_MSG_WITHDRAW);
  ch_msg later = good;
  later.epoch++;
  duo_refused(d, 1, &later, CH_ERR_VIOLATION);
  duo_cut(d);
  duo_connect(d);
  duo_refused(d, 1, &good, CH_ERR_VIOLATION); /* before reestablish */
  ch_msg ahead = duo_reestablish(d, 0, 8, 0);
  assert_int_equal(duo_give(d, 1, &ahead), CH_OK);
  duo_ignored(d, 1, &good); /* it waits for a full state first */
  duo_cut(d);
  duo_connect(d);
  assert_int_equal(duo_command(d, 1, CH_EV_FREEZE), CH_OK);
  duo_ignored(d, 1, &good);
}

/* The accept came so late that the time of the withdrawal is over: it is not signed, and the peer must not do so first.
 */
static void test_the_other_side_first(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 10), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  d->now += 4000;
  d->head_time = d->now; /* not finally */
  duo_see(d, 0);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  assert_null(duo_said(d, 0, CH_MSG_WITHDRAW));
  assert_true(duo_info(d, 0).reserved_mine.v == 10);
  ch_withdraw w = {d->id, 0, 0, 0, ch_amount_of(10), d->final_time + 3600};
  ch_msg m = {.type = CH_MSG_WITHDRAW, .id = d->id};
  m.u.withdraw.amount = w.amount;
  m.u.withdraw.valid_until = w.valid_until;
  ch_hash digest;
  ch_withdraw_digest(&digest, &d->domain, &w);
  assert_int_equal(ch_sign(&m.u.withdraw.sig, &digest, &d->side[1].channel_key), CH_OK);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  assert_null(duo_wish(d, 0, CH_TX_WITHDRAW));
}

/* The chain has used the last number of this epoch, or shows other numbers than are final. */
static void test_numbers(void **state) {
  duo *d = *state;
  d->head.slots.withdraw_seq = 1;
  duo_see(d, 1);
  ch_op op = {.kind = CH_OP_RESERVE, .amount = ch_amount_of(10), .seq = 0, .valid_until = d->now + 60};
  for (uint16_t seq = 0; seq < 2; seq++) {
    op.seq = seq;
    const uint64_t base = duo_info(d, 1).version;
    ch_msg m = duo_proposal(d, 0, base, ch_next_version(0, base), 0, &op, 1);
    assert_int_equal(duo_give(d, 1, &m), CH_OK);
    const ch_msg *said = duo_said(d, 1, CH_MSG_UPDATE);
    assert_true(said->u.update.has_refusal);
    assert_int_equal(said->u.update.reason, CH_ERR_PHASE);
    ch_msg accept = duo_accept(d, 0, said->u.update.version, 0);
    assert_int_equal(duo_give(d, 1, &accept), CH_OK);
    duo_drop(d, 1);
  }
  d->head.slots.withdraw_seq = CH_SEQ_LAST;
  duo_see(d, 1);
  assert_int_equal(withdraw(d, 1, 10), CH_ERR_PHASE);
}

/* Lost signatures are said again on the next connection, through restarts too. */
static void test_lost_signatures(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 10), CH_OK);
  duo_cut(d); /* the proposal is lost */
  duo_restart(d, 0);
  duo_connect(d);
  for (int i = 0; i < 6 && !duo_said(d, 0, CH_MSG_WITHDRAW); i++)
    assert_int_equal(duo_deliver(d, d->side[0].n_out ? 0 : 1), CH_OK);
  duo_cut(d); /* perhaps the first signature */
  duo_restart(d, 1);
  duo_connect(d);
  for (int i = 0; i < 12 && !duo_said(d, 1, CH_MSG_WITHDRAW); i++)
    assert_int_equal(duo_deliver(d, d->side[0].n_out ? 0 : 1), CH_OK);
  assert_non_null(duo_said(d, 1, CH_MSG_WITHDRAW));
  duo_cut(d); /* the second */
  duo_connect(d);
  duo_pump(d);
  duo_see(d, 0);
  assert_non_null(duo_wish(d, 0, CH_TX_WITHDRAW));
}

/* A wish that waits for the peer survives a restart, and its time starts when it is proposed. */
static void test_wish_is_durable(void **state) {
  duo *d = *state;
  duo_cut(d);
  assert_int_equal(withdraw(d, 0, 10), CH_OK);
  duo_restart(d, 0);
  assert_true(duo_info(d, 0).reserved_mine.v == 10);
  duo_pass(d, 86400);
  duo_see(d, 0);
  duo_see(d, 1);
  duo_connect(d);
  duo_pump(d);
  duo_see(d, 0);
  assert_non_null(duo_wish(d, 0, CH_TX_WITHDRAW));
}

static void test_expiry(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 1000), CH_OK);
  duo_pump(d);
  duo_cut(d);
  d->now += 3601;
  d->head_time = d->now; /* past its time, but not finally */
  duo_see(d, 0);
  duo_see(d, 1);
  assert_null(duo_wish(d, 0, CH_TX_WITHDRAW));
  assert_true(duo_info(d, 0).reserved_mine.v == 1000 && duo_info(d, 1).reserved_peer.v == 1000);
  assert_int_equal(duo_pay(d, 0, "early", 1), CH_ERR_FUNDS);
  d->final_time = d->now;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_true(duo_info(d, 0).reserved_mine.v == 0 && duo_info(d, 1).reserved_peer.v == 0);
  assert_int_equal(duo_pay(d, 0, "late", 1000), CH_OK);
}

static void test_no_signature_in_a_dispute(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 10), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  ch_tx tx = duo_challenge_tx(d, 0, 0, 0);
  assert_int_equal(duo_send_tx(d, 0, DUO_BOND, &tx), CH_ADJ_NONE);
  duo_see(d, 1);
  assert_int_equal(duo_deliver(d, 0), CH_OK); /* the requester's signature */
  assert_null(duo_said(d, 1, CH_MSG_WITHDRAW));
}

static ch_err propose_reserve(duo *d, uint64_t amount, uint16_t seq, uint64_t valid_until, bool *refused) {
  ch_op op = {.kind = CH_OP_RESERVE, .amount = ch_amount_of(amount), .seq = seq, .valid_until = valid_until};
  uint64_t base = duo_info(d, 1).version;
  ch_msg m = duo_proposal(d, 0, base, ch_next_version(0, base), 0, &op, 1);
  ch_err err = duo_give(d, 1, &m);
  const ch_msg *said = duo_said(d, 1, CH_MSG_UPDATE);
  *refused = said && said->u.update.has_refusal;
  return err;
}

/* What is wrong with a reservation may be a matter of another view of the chain: it is refused, no violation. */
static void test_reservations_that_are_refused(void **state) {
  duo *d = *state;
  const struct {
    uint64_t amount;
    uint16_t seq;
    int64_t ahead;
    bool refused;
  } cases[] = {{1001, 0, 60, true}, {10, 1, 60, true},    {10, 0, 0, true},
               {10, 0, -1, true},   {10, 0, 86701, true}, {1000, 0, 86700, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool refused;
    uint64_t until = (uint64_t)((int64_t)d->now + cases[i].ahead);
    assert_int_equal(propose_reserve(d, cases[i].amount, cases[i].seq, until, &refused), CH_OK);
    assert_int_equal(refused, cases[i].refused);
    if (refused) { /* accept the refusal */
      ch_msg m = duo_accept(d, 0, duo_said(d, 1, CH_MSG_UPDATE)->u.update.version, 0);
      assert_int_equal(duo_give(d, 1, &m), CH_OK);
    }
    duo_drop(d, 1);
  }
  bool refused;
  assert_int_equal(propose_reserve(d, 1, 0, d->now + 60, &refused), CH_OK);
  assert_true(refused); /* a second one at a time */
}

/* While head and final depth do not show the same number, no number is right. */
static void test_no_reservation_between_two_views(void **state) {
  duo *d = *state;
  for (int final = 0; final < 2; final++) {
    d->head.slots.withdraw_seq = (uint16_t)(1 - final);
    d->final.slots.withdraw_seq = (uint16_t) final;
    duo_see(d, 1);
    for (uint16_t seq = 0; seq < 2; seq++) {
      bool refused;
      assert_int_equal(propose_reserve(d, 10, seq, d->now + 60, &refused), CH_OK);
      assert_true(refused);
      ch_msg m = duo_accept(d, 0, duo_said(d, 1, CH_MSG_UPDATE)->u.update.version, 0);
      assert_int_equal(duo_give(d, 1, &m), CH_OK);
      duo_drop(d, 1);
    }
  }
}

static void test_a_refused_withdrawal_is_over(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 1, 10), CH_OK);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK); /* crosses it, and is higher: shutdown comes first */
  duo_pump(d);
  assert_true(duo_info(d, 1).reserved_mine.v == 0);
  duo_restart(d, 1);
  assert_true(duo_info(d, 1).reserved_mine.v == 0);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_CLOSING);
}

/* Crossing the other way round, both happen. */
static void test_withdraw_and_close(void **state) {
  duo *d = *state;
  assert_int_equal(withdraw(d, 0, 10), CH_OK);
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  duo_pump(d);
  assert_true(duo_info(d, 0).reserved_mine.v == 10);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSING);
}

/* --- Deposits ------------------------------------------------------------------------------------------ */

static void test_top_up(void **state) {
  duo *d = *state;
  assert_int_equal(deposit(d, 1, 250, 1), CH_OK);
  const ch_tx *tx = duo_wish(d, 1, CH_TX_DEPOSIT);
  assert_non_null(tx);
  assert_int_equal(tx->u.deposit.side, 1);
  ch_hash first = duo_find(d, 1, CH_FX_TX)->u.tx.key;
  duo_mine(d, 1);
  assert_int_equal(deposit(d, 1, 250, 1), CH_OK); /* the same wish has the same key, */
  assert_memory_equal(&first, &duo_find(d, 1, CH_FX_TX)->u.tx.key, sizeof first);
  assert_int_equal(deposit(d, 1, 250, 2), CH_OK); /* another one another */
  assert_memory_not_equal(&first, &duo_find(d, 1, CH_FX_TX)->u.tx.key, sizeof first);
  assert_true(duo_info(d, 1).spendable.v == 500);
  duo_finalise(d);
  duo_pump(d);
  assert_true(duo_info(d, 1).spendable.v == 750 && duo_info(d, 0).balance_peer.v == 750);
  assert_int_equal(duo_pay(d, 1, "all", 750), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_status(d, 1, "all"), CH_PAYMENT_SETTLED);
}

static void test_top_up_commands(void **state) {
  duo *d = *state;
  assert_int_equal(deposit(d, 0, 0, 1), CH_ERR_ARGUMENT);
  ch_event ev = {.kind = CH_EV_DEPOSIT};
  ev.u.deposit.amount.v = CH_MONEY_MAX + 1;
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_ARGUMENT);
  ev.u.deposit.amount.v = CH_MONEY_MAX;
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_OVERFLOW);
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK);
  assert_int_equal(deposit(d, 0, 10, 1), CH_ERR_PHASE);
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  assert_int_equal(deposit(d, 1, 10, 1), CH_ERR_PHASE);
}

/* --- Moves into another channel ------------------------------------------------------------------------ */

static const ch_target target = {.set = true, .params_hash = {{0x55}}, .epoch = 0, .side = 1};

static ch_err move(duo *d, int s, uint64_t amount, const ch_target *to) {
  ch_event ev = {.kind = CH_EV_WITHDRAW};
  ev.u.withdraw.amount = ch_amount_of(amount);
  ev.u.withdraw.to = *to;
  return duo_step(d, s, &ev);
}

/* As a withdrawal, but that nothing leaves the Adjudicator: the other channel's contribution grows by it. */
static void test_move(void **state) {
  duo *d = *state;
  assert_int_equal(move(d, 1, 400, &target), CH_OK);
  duo_restart(d, 1); /* what it is for is remembered, also before it is proposed */
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  assert_true(duo_info(d, 0).reserved_peer.v == 400);
  duo_restart(d, 0);
  duo_restart(d, 1);
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  duo_see(d, 1);
  assert_null(duo_wish(d, 1, CH_TX_WITHDRAW));
  const ch_tx *tx = duo_wish(d, 1, CH_TX_MOVE);
  assert_non_null(tx);
  assert_memory_equal(&tx->u.move.to_params_hash, &target.params_hash, sizeof(ch_hash));
  assert_true(tx->u.move.move.to_side == 1 && tx->u.move.move.side == 1);
  duo_mine(d, 1);
  assert_true(d->other.contribution[1].v == 400 && d->head.slots.contribution[1].v == 100);
  duo_finalise(d);
  duo_pump(d);
  for (int s = 0; s < 2; s++) {
    ch_info i = duo_info(d, s);
    assert_true(i.reserved_mine.v == 0 && i.reserved_peer.v == 0);
    assert_true(i.balance_mine.v == (s == 0 ? 1000 : 100));
    assert_int_equal(i.withdrawals, 1);
  }
  assert_int_equal(withdraw(d, 0, 10), CH_OK); /* both use up the same numbers */
  duo_pump(d);
  assert_int_equal(duo_info(d, 1).reserved_peer.v, 10);
}

/* The other channel has ended meanwhile: the move is never mined, and the money is free again when it has expired. */
static void test_move_that_comes_too_late(void **state) {
  duo *d = *state;
  assert_int_equal(move(d, 0, 400, &target), CH_OK);
  duo_pump(d);
  duo_see(d, 0);
  ch_tx tx = *duo_wish(d, 0, CH_TX_MOVE);
  d->other.epoch = 1;
  assert_int_equal(duo_send_tx(d, 0, 0, &tx), CH_ADJ_WRONG_EPOCH);
  duo_pass(d, 3600 + 301);
  duo_see(d, 0);
  duo_see(d, 1);
  for (int s = 0; s < 2; s++)
    assert_true(duo_info(d, s).reserved_mine.v == 0 && duo_info(d, s).reserved_peer.v == 0);
  assert_true(duo_info(d, 0).spendable.v == 1000);
}

static void test_move_targets(void **state) {
  duo *d = *state;
  ch_target to = target;
  ch_params_hash(&to.params_hash, &d->chain, &d->params);
  assert_int_equal(move(d, 0, 10, &to), CH_ERR_ARGUMENT); /* into itself */
  to = target;
  to.side = 2;
  assert_int_equal(move(d, 0, 10, &to), CH_ERR_ARGUMENT);
  ch_op op = {.kind = CH_OP_RESERVE, .amount = ch_amount_of(10), .valid_until = d->now + 100, .u.to = target};
  ch_params_hash(&op.u.to.params_hash, &d->chain, &d->params);
  ch_msg m = duo_proposal(d, 1, 0, 1, 0, &op, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_said(d, 0, CH_MSG_UPDATE)->u.update.has_refusal);
}

/* A signature on a Withdraw of the same money is none on the Move, nor on another target. */
static void test_move_signatures(void **state) {
  duo *d = *state;
  assert_int_equal(move(d, 0, 400, &target), CH_OK);
  while (!duo_said(d, 0, CH_MSG_WITHDRAW))
    assert_int_equal(duo_deliver(d, d->side[0].n_out ? 0 : 1), CH_OK);
  ch_msg good = *duo_said(d, 0, CH_MSG_WITHDRAW), bad = good;
  const uint64_t until = good.u.withdraw.valid_until;
  ch_withdraw w = {d->id, 0, 0, 0, ch_amount_of(400), until};
  ch_move v = {.id = d->id, .amount = ch_amount_of(400), .valid_until = until, .to_side = 0};
  ch_channel_id(&v.to_id, &target.params_hash, &d->params.asset);
  ch_hash digest;
  ch_withdraw_digest(&digest, &d->domain, &w);
  assert_int_equal(ch_sign(&bad.u.withdraw.sig, &digest, &d->side[0].channel_key), CH_OK);
  duo_refused(d, 1, &bad, CH_ERR_SIGNATURE);
  ch_move_digest(&digest, &d->domain, &v);
  assert_int_equal(ch_sign(&bad.u.withdraw.sig, &digest, &d->side[0].channel_key), CH_OK);
  duo_refused(d, 1, &bad, CH_ERR_SIGNATURE);
  assert_int_equal(duo_give(d, 1, &good), CH_OK);
  assert_non_null(duo_said(d, 1, CH_MSG_WITHDRAW));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_withdraw, setup, teardown),
      cmocka_unit_test_setup_teardown(test_reserved_money_is_not_spent, setup, teardown),
      cmocka_unit_test_setup_teardown(test_payments_go_on, setup, teardown),
      cmocka_unit_test_setup_teardown(test_withdraw_commands, setup, teardown),
      cmocka_unit_test_setup_teardown(test_who_signs_first, setup, teardown),
      cmocka_unit_test_setup_teardown(test_signatures_out_of_place, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_other_side_first, setup, teardown),
      cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lost_signatures, setup, teardown),
      cmocka_unit_test_setup_teardown(test_wish_is_durable, setup, teardown),
      cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_signature_in_a_dispute, setup, teardown),
      cmocka_unit_test_setup_teardown(test_reservations_that_are_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_reservation_between_two_views, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_refused_withdrawal_is_over, setup, teardown),
      cmocka_unit_test_setup_teardown(test_withdraw_and_close, setup, teardown),
      cmocka_unit_test_setup_teardown(test_top_up, setup, teardown),
      cmocka_unit_test_setup_teardown(test_top_up_commands, setup, teardown),
      cmocka_unit_test_setup_teardown(test_move, setup, teardown),
      cmocka_unit_test_setup_teardown(test_move_that_comes_too_late, setup, teardown),
      cmocka_unit_test_setup_teardown(test_move_targets, setup, teardown),
      cmocka_unit_test_setup_teardown(test_move_signatures, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
