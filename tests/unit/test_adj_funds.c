/* The Adjudicator's rules for money that goes in and out of a running channel (proto/protocol.md, section 5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "calls.h"

#define START 1700000000u

typedef struct world {
  calls k;
  ch_adj_slots slots;
  ch_adj_result result; /* of the last accepted call */
  uint64_t now;
  ch_addr sender;
} world;

static const ch_chain CHAIN = {.chain_id = 7, .adjudicator = {{0xad}}};
static const ch_addr STRANGER = {{9, 9, 9}}, TOKEN = {{0x77}}, NATIVE = {{0}};

static world new_world(ch_addr asset) {
  world w = {.k = calls_new(&CHAIN, &asset), .now = START, .sender = STRANGER};
  w.slots.contribution[0] = ch_net_of(1000);
  w.slots.contribution[1] = ch_net_of(2000);
  return w;
}

static ch_adj_revert apply(world *w, uint64_t value, const ch_tx *tx) {
  ch_adj_result out;
  ch_adj_call call = {.chain = &w->k.chain, .sender = w->sender, .value = ch_amount_of(value), .now = w->now};
  ch_adj_revert r = ch_adj_apply(&out, &w->slots, &call, tx);
  if (r == CH_ADJ_NONE) {
    w->result = out;
    w->slots = out.slots;
  }
  return r;
}

/* Signs what stands in the call. */
static void sign_withdraw(const world *w, ch_tx *tx) {
  ch_hash domain, digest;
  ch_domain(&domain, &w->k.chain);
  ch_withdraw_digest(&digest, &domain, &tx->u.withdraw.withdraw);
  for (int side = 0; side < 2; side++)
    assert_int_equal(ch_sign(&tx->u.withdraw.sig[side], &digest, &w->k.key[side]), CH_OK);
}

static ch_tx withdraw_tx(const world *w, uint8_t side, uint64_t amount) {
  ch_tx tx = {.kind = CH_TX_WITHDRAW, .id = w->k.id, .params = w->k.params};
  tx.u.withdraw.withdraw = (ch_withdraw){.id = w->k.id,
                                         .epoch = w->slots.epoch,
                                         .seq = w->slots.withdraw_seq,
                                         .side = side,
                                         .amount = ch_amount_of(amount),
                                         .valid_until = w->now + 60};
  sign_withdraw(w, &tx);
  return tx;
}

static ch_adj_revert withdraw(world *w, uint8_t side, uint64_t amount) {
  ch_tx tx = withdraw_tx(w, side, amount);
  return apply(w, 0, &tx);
}

/* --- Withdraw --------------------------------------------------------------------------------------- */

static void test_withdraw(void **unused) {
  (void)unused;
  world w = new_world(TOKEN);
  w.slots.epoch = 4;
  assert_int_equal(withdraw(&w, 1, 300), CH_ADJ_NONE);
  assert_true(w.slots.contribution[0].v == 1000 && w.slots.contribution[1].v == 1700);
  assert_int_equal(w.slots.withdraw_seq, 1);
  assert_int_equal(w.slots.epoch, 4);
  assert_false(w.slots.disputed);
  assert_int_equal(w.result.n_transfers, 1);
  assert_memory_equal(&w.result.transfers[0].to, &w.k.params.payout[1], sizeof(ch_addr));
  assert_memory_equal(&w.result.transfers[0].asset, &TOKEN, sizeof(ch_addr));
  assert_true(w.result.transfers[0].amount.v == 300);
  assert_true(w.result.take.v == 0);
  assert_int_equal(w.result.event.kind, CH_ADJ_WITHDRAWN);
  assert_int_equal(w.result.event.epoch, 4);
  assert_int_equal(w.result.event.side, 1);
  assert_true(w.result.event.amount.v == 300);
  /* A side that was paid may take out more than it put in, up to all there is. */
  assert_int_equal(withdraw(&w, 0, 2700), CH_ADJ_NONE);
  assert_true(w.slots.contribution[0].v == -1700 && w.slots.contribution[1].v == 1700);
  assert_int_equal(w.slots.withdraw_seq, 2);
  assert_int_equal(withdraw(&w, 0, 1), CH_ADJ_TOO_MUCH);
}

static void test_withdraw_happens_once(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  ch_tx first = withdraw_tx(&w, 0, 10), other = withdraw_tx(&w, 0, 20);
  assert_int_equal(apply(&w, 0, &first), CH_ADJ_NONE);
  assert_int_equal(apply(&w, 0, &first), CH_ADJ_WRONG_SEQ);
  assert_int_equal(apply(&w, 0, &other), CH_ADJ_WRONG_SEQ);
  w.slots.withdraw_seq = 0;
  w.slots.epoch = 1; /* another life */
  assert_int_equal(apply(&w, 0, &first), CH_ADJ_WRONG_EPOCH);
}

static void test_withdraw_reverts(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  ch_tx tx = withdraw_tx(&w, 0, 10);
  assert_int_equal(apply(&w, 1, &tx), CH_ADJ_WRONG_VALUE);
  tx.params.payout[0].b[0] ^= 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_PARAMS);
  tx = withdraw_tx(&w, 2, 10);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIDE);
  tx = withdraw_tx(&w, 0, 0);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_ZERO_AMOUNT);
  tx = withdraw_tx(&w, 0, 3001);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_TOO_MUCH);
  tx = withdraw_tx(&w, 0, 10);
  tx.u.withdraw.withdraw.seq++;
  sign_withdraw(&w, &tx);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_SEQ);
  tx = withdraw_tx(&w, 0, 10);
  w.now = tx.u.withdraw.withdraw.valid_until + 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_EXPIRED);
  w.now--; /* the last second */
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
}

/* Every signed field counts, and either side's signature. */
static void test_withdraw_signatures(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  for (int side = 0; side < 2; side++) {
    ch_tx tx = withdraw_tx(&w, 0, 10);
    memset(&tx.u.withdraw.sig[side], 0, sizeof(ch_sig));
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
    tx.u.withdraw.sig[side] = tx.u.withdraw.sig[side ^ 1];
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  }
  ch_tx tx = withdraw_tx(&w, 0, 10);
  tx.u.withdraw.withdraw.side = 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  tx = withdraw_tx(&w, 0, 10);
  tx.u.withdraw.withdraw.amount = ch_amount_of(11);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  tx = withdraw_tx(&w, 0, 10);
  tx.u.withdraw.withdraw.valid_until++;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  tx = withdraw_tx(&w, 0, 10);
  w.slots.withdraw_seq = tx.u.withdraw.withdraw.seq = 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
}

static void test_withdraw_by_a_payee(void **unused) {
  (void)unused;
  for (int side = 0; side < 2; side++) {
    world w = new_world(NATIVE);
    ch_tx tx = withdraw_tx(&w, 0, 10);
    memset(&tx.u.withdraw.sig[side], 0, sizeof(ch_sig));
    w.sender = w.k.params.payout[side ^ 1];
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
    w.sender = w.k.params.signer[side];
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
    w.sender = w.k.params.payout[side];
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  }
}

static void test_last_withdrawal(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  w.slots.withdraw_seq = CH_SEQ_LAST - 1;
  assert_int_equal(withdraw(&w, 0, 1), CH_ADJ_NONE);
  assert_int_equal(w.slots.withdraw_seq, CH_SEQ_LAST);
  assert_int_equal(withdraw(&w, 0, 1), CH_ADJ_LAST_SEQ);
}

/* A dispute neither stops a withdrawal nor is touched by it; the settlement divides what is left. */
static void test_withdraw_in_a_dispute(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  ch_tx tx = {.kind = CH_TX_CHALLENGE, .id = w.k.id, .params = w.k.params};
  tx.u.challenge.salt = w.k.salt;
  w.sender = w.k.params.signer[0];
  assert_int_equal(apply(&w, CALLS_BOND, &tx), CH_ADJ_NONE);
  ch_adj_slots before = w.slots;
  assert_int_equal(withdraw(&w, 0, 600), CH_ADJ_NONE);
  assert_true(w.slots.disputed);
  assert_int_equal(w.slots.deadline, before.deadline);
  assert_int_equal(w.slots.flags, before.flags);
  w.now = before.deadline + 1;
  tx = (ch_tx){.kind = CH_TX_SETTLE, .id = w.k.id, .params = w.k.params};
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  assert_true(w.result.event.paid[0].v == 400 && w.result.event.paid[1].v == 2000);
  assert_int_equal(w.slots.withdraw_seq, 0);
}

static void test_withdraw_limits(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  w.slots.contribution[0].v = -(ch_i128)CH_MONEY_MAX;
  w.slots.contribution[1].v = (ch_i128)CH_MONEY_MAX;
  assert_int_equal(withdraw(&w, 0, 1), CH_ADJ_TOO_MUCH);
  w.slots.contribution[0].v = -(ch_i128)CH_MONEY_MAX + 5;
  assert_int_equal(withdraw(&w, 0, 5), CH_ADJ_NONE);
  assert_true(w.slots.contribution[0].v == -(ch_i128)CH_MONEY_MAX);
}

/* --- Move ------------------------------------------------------------------------------------------- */

/* A second channel of the same keys. */
static calls other_channel(const world *w) {
  calls other = w->k;
  memset(other.salt.b, 0x77, sizeof other.salt.b);
  ch_keccak256(&other.params.tag, other.salt.b, sizeof other.salt.b);
  calls_rehash(&other);
  return other;
}

static void sign_move(const world *w, ch_tx *tx) {
  ch_hash domain, digest;
  ch_move what = tx->u.move.move;
  ch_channel_id(&what.to_id, &tx->u.move.to_params_hash, &w->k.params.asset);
  ch_domain(&domain, &w->k.chain);
  ch_move_digest(&digest, &domain, &what);
  for (int side = 0; side < 2; side++)
    assert_int_equal(ch_sign(&tx->u.move.sig[side], &digest, &w->k.key[side]), CH_OK);
}

static ch_tx move_tx(const world *w, uint64_t amount, uint8_t to_side) {
  ch_tx tx = {.kind = CH_TX_MOVE, .id = w->k.id, .params = w->k.params};
  tx.u.move.to_params_hash = other_channel(w).params_hash;
  tx.u.move.move = (ch_move){.id = w->k.id,
                             .epoch = w->slots.epoch,
                             .seq = w->slots.withdraw_seq,
                             .side = 0,
                             .amount = ch_amount_of(amount),
                             .valid_until = w->now + 60,
                             .to_epoch = 3,
                             .to_side = to_side};
  sign_move(w, &tx);
  return tx;
}

static ch_adj_revert apply_move(world *w, uint64_t value, const ch_tx *tx, const ch_adj_slots *target) {
  ch_adj_result out;
  ch_adj_call call = ch_adj_call_of(&w->k.chain, &w->sender, ch_amount_of(value), w->now);
  call.target = target;
  ch_adj_revert r = ch_adj_apply(&out, &w->slots, &call, tx);
  if (r == CH_ADJ_NONE) {
    w->result = out;
    w->slots = out.slots;
  }
  return r;
}

static void test_move(void **unused) {
  (void)unused;
  world w = new_world(TOKEN);
  ch_adj_slots target = {.epoch = 3, .withdraw_seq = 8};
  ch_hash to_id = other_channel(&w).id;
  ch_tx tx = move_tx(&w, 400, 1);
  assert_int_equal(apply_move(&w, 0, &tx, &target), CH_ADJ_NONE);
  assert_true(w.slots.contribution[0].v == 600 && w.slots.contribution[1].v == 2000);
  assert_int_equal(w.slots.withdraw_seq, 1);
  assert_true(w.result.target.contribution[0].v == 0 && w.result.target.contribution[1].v == 400);
  assert_int_equal(w.result.target.withdraw_seq, 8);
  assert_int_equal(w.result.n_transfers, 0);
  assert_true(w.result.take.v == 0);
  assert_int_equal(w.result.event.kind, CH_ADJ_MOVED);
  assert_memory_equal(&w.result.event.to_id, &to_id, sizeof to_id);
  assert_int_equal(w.result.target_event.kind, CH_ADJ_DEPOSITED);
  assert_memory_equal(&w.result.target_event.id, &to_id, sizeof to_id);
  assert_int_equal(w.result.target_event.epoch, 3);
  assert_int_equal(w.result.target_event.side, 1);
  assert_true(w.result.target_event.amount.v == 400);
  assert_int_equal(apply_move(&w, 0, &tx, &target), CH_ADJ_WRONG_SEQ); /* once */
}

static void test_move_reverts(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  const ch_adj_slots open = {.epoch = 3}, disputed = {.epoch = 3, .disputed = true}, early = {.epoch = 2};
  ch_adj_slots full = {.epoch = 3}, last = {.epoch = CH_EPOCH_LAST};
  full.contribution[0].v = (ch_i128)CH_MONEY_MAX;
  ch_tx tx = move_tx(&w, 10, 0);
  assert_int_equal(apply_move(&w, 1, &tx, &open), CH_ADJ_WRONG_VALUE);
  assert_int_equal(apply_move(&w, 0, &tx, &disputed), CH_ADJ_DISPUTE_OPEN);
  assert_int_equal(apply_move(&w, 0, &tx, &early), CH_ADJ_WRONG_EPOCH);
  assert_int_equal(apply_move(&w, 0, &tx, &full), CH_ADJ_OVERFLOW);
  tx.u.move.move.to_epoch = CH_EPOCH_LAST;
  assert_int_equal(apply_move(&w, 0, &tx, &last), CH_ADJ_LAST_EPOCH);
  tx = move_tx(&w, 3001, 0);
  assert_int_equal(apply_move(&w, 0, &tx, &open), CH_ADJ_TOO_MUCH);
  tx = move_tx(&w, 10, 2);
  assert_int_equal(apply_move(&w, 0, &tx, &open), CH_ADJ_BAD_SIDE);
  tx = move_tx(&w, 10, 0);
  tx.u.move.move.side = 2;
  assert_int_equal(apply_move(&w, 0, &tx, &open), CH_ADJ_BAD_SIDE);
  tx = move_tx(&w, 10, 0);
  tx.u.move.to_params_hash = w.k.params_hash;
  assert_int_equal(apply_move(&w, 0, &tx, &open), CH_ADJ_SAME_CHANNEL);
  tx = move_tx(&w, 10, 0);
  tx.u.move.move.to_side = 1;
  assert_int_equal(apply_move(&w, 0, &tx, &open), CH_ADJ_BAD_SIGNATURE);
  tx = move_tx(&w, 10, 0);
  tx.u.move.to_params_hash.b[0] ^= 1; /* another channel than was signed */
  assert_int_equal(apply_move(&w, 0, &tx, &open), CH_ADJ_BAD_SIGNATURE);
  tx = move_tx(&w, 10, 0);
  memset(&tx.u.move.sig[0], 0, sizeof(ch_sig));
  w.sender = w.k.params.payout[0]; /* sending is consent */
  assert_int_equal(apply_move(&w, 0, &tx, &open), CH_ADJ_NONE);
}

/* A withdrawal's signature is none on a move. */
static void test_move_is_no_withdrawal(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  const ch_adj_slots open = {.epoch = 3};
  ch_tx out = withdraw_tx(&w, 0, 10), tx = move_tx(&w, 10, 0);
  memcpy(tx.u.move.sig, out.u.withdraw.sig, sizeof tx.u.move.sig);
  assert_int_equal(apply_move(&w, 0, &tx, &open), CH_ADJ_BAD_SIGNATURE);
}

/* --- Both sides at once --------------------------------------------------------------------------------- */

static ch_tx fund_tx(const world *w, uint64_t a, uint64_t b) {
  ch_tx tx = {.kind = CH_TX_FUND, .id = w->k.id};
  tx.u.fund.params_hash = w->k.params_hash;
  tx.u.fund.asset = w->k.params.asset;
  tx.u.fund.epoch = w->slots.epoch;
  tx.u.fund.amount[0] = ch_amount_of(a);
  tx.u.fund.amount[1] = ch_amount_of(b);
  return tx;
}

static ch_adj_revert fund(world *w, uint64_t value, uint64_t a, uint64_t b) {
  ch_tx tx = fund_tx(w, a, b);
  return apply(w, value, &tx);
}

static void test_fund(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  w.slots.withdraw_seq = 5;
  w.slots.epoch = 2;
  assert_int_equal(fund(&w, 30, 10, 20), CH_ADJ_NONE);
  assert_true(w.slots.contribution[0].v == 1010 && w.slots.contribution[1].v == 2020);
  assert_int_equal(w.slots.withdraw_seq, 5);
  assert_int_equal(w.slots.epoch, 2);
  assert_true(w.result.take.v == 30 && ch_addr_is_zero(&w.result.take_asset));
  assert_int_equal(w.result.n_transfers, 0);
  assert_int_equal(w.result.event.kind, CH_ADJ_FUNDED);
  assert_int_equal(w.result.event.epoch, 2);
  assert_true(w.result.event.paid[0].v == 10 && w.result.event.paid[1].v == 20);
  w = new_world(TOKEN);
  assert_int_equal(fund(&w, 0, 1, 2), CH_ADJ_NONE);
  assert_true(w.result.take.v == 3);
  assert_memory_equal(&w.result.take_asset, &TOKEN, sizeof TOKEN);
  assert_int_equal(fund(&w, 3, 1, 2), CH_ADJ_WRONG_VALUE);
}

static void test_fund_reverts(void **unused) {
  (void)unused;
  world w = new_world(NATIVE);
  assert_int_equal(fund(&w, 10, 10, 20), CH_ADJ_WRONG_VALUE);
  assert_int_equal(fund(&w, 10, 10, 0), CH_ADJ_ZERO_AMOUNT);
  assert_int_equal(fund(&w, 10, 0, 10), CH_ADJ_ZERO_AMOUNT);
  ch_tx tx = fund_tx(&w, 10, 20);
  tx.u.fund.params_hash.b[0] ^= 1;
  assert_int_equal(apply(&w, 30, &tx), CH_ADJ_BAD_PARAMS);
  tx = fund_tx(&w, 10, 20);
  tx.u.fund.asset = TOKEN;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_PARAMS);
  tx = fund_tx(&w, 10, 20);
  tx.u.fund.epoch++;
  assert_int_equal(apply(&w, 30, &tx), CH_ADJ_WRONG_EPOCH);
  w.slots.epoch = CH_EPOCH_LAST;
  assert_int_equal(fund(&w, 30, 10, 20), CH_ADJ_LAST_EPOCH);
  w.slots.epoch = 0;
  w.slots.disputed = true;
  assert_int_equal(fund(&w, 30, 10, 20), CH_ADJ_DISPUTE_OPEN);
}

static void test_fund_overflow(void **unused) {
  (void)unused;
  world w = new_world(TOKEN);
  ch_tx tx = fund_tx(&w, 1, 1);
  tx.u.fund.amount[0].v = tx.u.fund.amount[1].v = CH_MONEY_MAX;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_OVERFLOW);
  tx.u.fund.amount[0].v = CH_MONEY_MAX - 3001;
  tx.u.fund.amount[1].v = 2;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_OVERFLOW);
  tx.u.fund.amount[1].v = 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_withdraw),
      cmocka_unit_test(test_withdraw_happens_once),
      cmocka_unit_test(test_withdraw_reverts),
      cmocka_unit_test(test_withdraw_signatures),
      cmocka_unit_test(test_withdraw_by_a_payee),
      cmocka_unit_test(test_last_withdrawal),
      cmocka_unit_test(test_withdraw_in_a_dispute),
      cmocka_unit_test(test_withdraw_limits),
      cmocka_unit_test(test_move),
      cmocka_unit_test(test_move_reverts),
      cmocka_unit_test(test_move_is_no_withdrawal),
      cmocka_unit_test(test_fund),
      cmocka_unit_test(test_fund_reverts),
      cmocka_unit_test(test_fund_overflow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
