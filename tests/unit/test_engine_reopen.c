/* The same channel again in its next epoch (proto/protocol.md, section 4, "Opening again"). */
#include "engine_fixture.h"

#include <stdlib.h>

/* Both sides have seen a cooperative close of epoch 0 become final, after one payment. */
static int setup(void **state) {
  duo *d = calloc(1, sizeof *d);
  if (!d) return -1;
  *state = d;
  duo_open(d, 1000, 500);
  assert_int_equal(duo_pay(d, 0, "first-life", 100), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  duo_pump(d);
  duo_see(d, 0);
  duo_mine(d, 0);
  duo_finalise(d);
  duo_drop(d, 0);
  duo_drop(d, 1);
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_info(d, s).phase, CH_PHASE_CLOSED);
  return 0;
}

static int teardown(void **state) {
  duo_free(*state);
  free(*state);
  return 0;
}

static ch_hash the_nonce(void) {
  ch_hash nonce;
  memset(&nonce, 7, sizeof nonce);
  return nonce;
}

static ch_err deposit(duo *d, int s, uint64_t amount) {
  ch_event ev = {.kind = CH_EV_DEPOSIT};
  ev.u.deposit.amount = ch_amount_of(amount);
  ev.u.deposit.nonce = the_nonce();
  return duo_step(d, s, &ev);
}

/* Side `s` puts money into epoch 1, on chain and final; nobody has looked yet. */
static void fund_next(duo *d, int s) {
  assert_int_equal(deposit(d, s, 300), CH_OK);
  assert_int_equal(duo_wish(d, s, CH_TX_DEPOSIT)->u.deposit.epoch, 1);
  const ch_hash id = duo_info(d, s).id, nonce = the_nonce();
  ch_hash key;
  ch_deposit_key(&key, &id, &nonce); /* of no epoch: asked for again in another one it is the same wish */
  assert_memory_equal(&key, &duo_find(d, s, CH_FX_TX)->u.tx.key, sizeof key);
  duo_mine(d, s);
  d->final = d->head;
}

static void pays_again(duo *d, int s) {
  assert_int_equal(duo_pay(d, s, "second-life", 300), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_status(d, s, "second-life"), CH_PAYMENT_SETTLED);
  assert_true(duo_received(d, 1 - s, "second-life"));
  for (int i = 0; i < 2; i++)
    assert_true(duo_info(d, i).net.v == (s == 0 ? 300 : -300));
}

/* Into an epoch that may yet be replaced, or is the last one, no money goes. */
static void test_no_money_into_a_doubtful_epoch(void **state) {
  duo *d = *state;
  const ch_onchain final = d->final;
  d->head.slots.epoch = 2;
  duo_see(d, 0);
  assert_int_equal(deposit(d, 0, 300), CH_ERR_PHASE);
  d->head.slots.epoch = CH_EPOCH_LAST;
  d->final = d->head;
  duo_see(d, 0);
  assert_int_equal(deposit(d, 0, 300), CH_ERR_PHASE);
  d->final = d->head = final;
  duo_see(d, 0);
  assert_int_equal(deposit(d, 0, 300), CH_OK);
}

static void test_opens_again(void **state) {
  duo *d = *state;
  fund_next(d, 1);
  duo_see(d, 0);
  duo_see(d, 1);
  for (int s = 0; s < 2; s++) {
    ch_info i = duo_info(d, s);
    assert_int_equal(i.phase, CH_PHASE_OPEN);
    assert_int_equal(i.epoch, 1);
    assert_int_equal(i.version, 0);
    assert_int_equal(i.highest_signed, 0);
    assert_true(i.net.v == 0);
  }
  assert_null(duo_wish(d, 0, CH_TX_DEPOSIT)); /* what was agreed at open was for the first epoch */
  duo_pump(d);
  pays_again(d, 1);
}

/* The sides get there at different times, on one connection, whichever is first. */
static void rolls_first(duo *d, int first) {
  fund_next(d, 0);
  duo_see(d, first);
  assert_non_null(duo_said(d, first, CH_MSG_REESTABLISH));
  assert_int_equal(duo_deliver(d, first), CH_OK);
  assert_int_equal(d->side[1 - first].n_out, 0); /* it waits */
  assert_int_equal(duo_info(d, 1 - first).phase, CH_PHASE_CLOSED);
  duo_see(d, 1 - first);
  assert_true(duo_info(d, 1 - first).synced);
  duo_pump(d);
  assert_true(duo_info(d, first).synced);
  pays_again(d, 0);
}

static void test_the_opener_is_first(void **state) {
  rolls_first(*state, 0);
}

static void test_the_other_is_first(void **state) {
  rolls_first(*state, 1);
}

/* The same through a new connection, which the side behind greets with nothing. */
static void test_reconnect_in_between(void **state) {
  duo *d = *state;
  fund_next(d, 0);
  duo_see(d, 0);
  duo_cut(d);
  duo_restart(d, 0);
  duo_connect(d);
  assert_int_equal(d->side[1].n_out, 0);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  duo_see(d, 1);
  duo_pump(d);
  pays_again(d, 0);
}

/* Away during the whole ending: one look brings it from the first epoch's middle into the second. */
static void test_away_meanwhile(void **state) {
  duo *d = calloc(1, sizeof *d);
  assert_non_null(d);
  duo_open(d, 1000, 500);
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSING);
  duo_cut(d);
  duo_see(d, 1);
  duo_mine(d, 1);
  d->final = d->head;
  duo_see(d, 1);
  fund_next(d, 1);
  duo_pass(d, 4000); /* the Close is void by now, had it not been executed */
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).epoch, 1);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_OPEN);
  duo_see(d, 1);
  duo_connect(d);
  duo_pump(d);
  pays_again(d, 1);
  duo_free(d);
  free(d);
  (void)state;
}

/* What the peer still says of the ended epoch is no fault and changes nothing. */
static void test_words_of_the_old_epoch(void **state) {
  duo *d = *state;
  fund_next(d, 0);
  duo_see(d, 0);
  duo_see(d, 1);
  duo_pump(d);
  ch_op op = duo_op_pay("old", 1);
  ch_msg m = duo_proposal(d, 0, 2, 4, 101, &op, 1);
  duo_ignored(d, 1, &m);
  m = duo_close_msg(d, 0, 100, d->now + 60);
  duo_ignored(d, 1, &m);
  m = duo_full_state(d, 8, 100);
  duo_ignored(d, 1, &m);
  m = duo_reestablish(d, 0, 8, 100);
  duo_ignored(d, 1, &m);
  m.epoch = 1; /* of this one there is just one */
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
}

/* A greeting for the next epoch that turns out to be wrong there costs the connection, not the look at the chain. */
static void test_a_wrong_greeting_for_the_next_epoch(void **state) {
  duo *d = *state;
  fund_next(d, 0);
  ch_msg m = duo_reestablish(d, 0, 0, 0);
  m.epoch = 1;
  m.u.reestablish.proof_version = 1;
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  duo_see(d, 1);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_OPEN);
  const ch_effect *e = duo_find(d, 1, CH_FX_DISCONNECT);
  assert_non_null(e);
  assert_int_equal(e->u.disconnect.code, CH_ERR_VIOLATION);
  duo_cut(d);
  duo_connect(d);
  duo_see(d, 0);
  duo_pump(d);
  pays_again(d, 0);
}

static void test_not_before_it_is_final(void **state) {
  duo *d = *state;
  assert_int_equal(deposit(d, 0, 300), CH_OK);
  duo_mine(d, 0);
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_pay(d, 0, "early", 1), CH_ERR_PHASE);
}

/* A challenge has made the salt public: that tag is not funded again. */
static void test_revealed(void **state) {
  (void)state;
  duo *d = calloc(1, sizeof *d);
  assert_non_null(d);
  duo_open(d, 1000, 500);
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK);
  duo_mine(d, 0);
  ch_tx tx = duo_close_tx(d, 0, d->now + 60); /* ended together, but the salt is out */
  assert_int_equal(duo_send_tx(d, 0, 0, &tx), CH_ADJ_NONE);
  duo_finalise(d); /* side 1 never saw the challenge itself */
  for (int s = 0; s < 2; s++) {
    assert_int_equal(duo_info(d, s).phase, CH_PHASE_CLOSED);
    assert_true(duo_info(d, s).revealed);
    assert_int_equal(deposit(d, s, 300), CH_ERR_REVEALED);
    duo_restart(d, s);
    assert_int_equal(deposit(d, s, 300), CH_ERR_REVEALED);
  }
  tx = duo_deposit_tx(d, 1, 50); /* a stranger does it all the same: only whose money it is goes on */
  tx.u.deposit.epoch = 1;
  assert_int_equal(duo_send_tx(d, 1, 50, &tx), CH_ADJ_NONE);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_OPEN);
  duo_free(d);
  free(d);
}

/* Whoever has seen it at any head has it: a reorganisation changes nothing. */
static void test_stays_revealed(void **state) {
  (void)state;
  duo *d = calloc(1, sizeof *d);
  assert_non_null(d);
  duo_open(d, 1000, 500);
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK);
  duo_mine(d, 0);
  duo_see(d, 1);
  d->head = d->final;
  duo_see(d, 1);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_OPEN);
  assert_true(duo_info(d, 1).revealed);
  duo_restart(d, 1);
  assert_true(duo_info(d, 1).revealed);
  duo_free(d);
  free(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_no_money_into_a_doubtful_epoch, setup, teardown),
      cmocka_unit_test_setup_teardown(test_opens_again, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_opener_is_first, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_other_is_first, setup, teardown),
      cmocka_unit_test_setup_teardown(test_reconnect_in_between, setup, teardown),
      cmocka_unit_test(test_away_meanwhile),
      cmocka_unit_test_setup_teardown(test_words_of_the_old_epoch, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_wrong_greeting_for_the_next_epoch, setup, teardown),
      cmocka_unit_test_setup_teardown(test_not_before_it_is_final, setup, teardown),
      cmocka_unit_test(test_revealed),
      cmocka_unit_test(test_stays_revealed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
