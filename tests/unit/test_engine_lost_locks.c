/* Lost memory, and states that the chain executes, while conditional transfers are pending: protocol.md, section 4
 * ("Lost memory") and section 6. */
#include <stdlib.h>

#include "duo_copy.h"

#define DAY 86400u
#define FREEZE (DAY + 300)

static duo d;

/* Side 0 has locked 100 for side 1 under preimage 1, for three days. */
static int opened(void **state) {
  duo_open(&d, 1000, 1000);
  assert_int_equal(duo_lock(&d, 0, "lock", 100, 1, DUO_LONGEST), CH_OK);
  duo_pump(&d);
  duo_see(&d, 0);
  duo_see(&d, 1);
  *state = &d;
  return 0;
}

static int done(void **state) {
  (void)state;
  duo_free(&d);
  return 0;
}

static void row_is(int s, const char *id, ch_payment_status status, ch_err reason) {
  const duo_row *r = duo_row_of(&d, s, s == 1, id);
  assert_non_null(r);
  assert_int_equal(r->status, status);
  assert_int_equal(r->reason, reason);
}

static void reconnect(void) {
  duo_cut(&d);
  duo_connect(&d);
  duo_pump(&d);
}

/* Side `s` goes back to the copy, is shown what it has forgotten, and knows it. */
static void lose_memory(int s, duo_copy copy) {
  duo_cut(&d);
  duo_put_back(&d, s, copy);
  duo_connect(&d);
  while (d.side[1 - s].n_out && !duo_info(&d, s).frozen)
    assert_int_equal(duo_deliver(&d, 1 - s), CH_OK);
  duo_frozen(&d, s);
  reconnect();
}

static void wait_out(int s) {
  assert_int_equal(duo_command(&d, s, CH_EV_RESUME), CH_OK);
  duo_pass(&d, FREEZE + 1);
  duo_see(&d, 0);
  duo_see(&d, 1);
  duo_pump(&d);
}

static void same_balances(uint64_t mine0, uint64_t mine1, uint32_t locks) {
  for (int s = 0; s < 2; s++) {
    const ch_info i = duo_info(&d, s);
    assert_false(i.frozen);
    assert_true(i.balance_mine.v == (s ? mine1 : mine0) && i.balance_peer.v == (s ? mine0 : mine1));
    assert_int_equal(i.locks, locks);
  }
  assert_int_equal(duo_info(&d, 0).version, duo_info(&d, 1).version);
}

/* --- Lost memory --------------------------------------------------------------------------------------------- */

/* The state that is shown has no locks: how the lock ended is not known, only what it has come to. */
static void forget_the_end_of_it(int s, bool paid) {
  duo_copy copy = duo_take_copy(&d, s);
  assert_int_equal(paid ? duo_fulfil(&d, 1, "lock", 1) : duo_cancel(&d, 1, "lock"), CH_OK);
  duo_pump(&d);
  lose_memory(s, copy);
  row_is(s, "lock", CH_PAYMENT_UNKNOWN, CH_ERR_FROZEN);
  row_is(1 - s, "lock", paid ? CH_PAYMENT_SETTLED : CH_PAYMENT_FAILED, paid ? CH_OK : CH_ERR_CANCELLED);
  assert_int_equal(duo_info(&d, s).locks, 0);
  assert_int_equal(duo_info(&d, s).version, duo_info(&d, 1 - s).version);
  wait_out(s);
  same_balances(paid ? 900 : 1000, paid ? 1100 : 1000, 0);
}

static void test_payer_forgets_that_it_was_paid(void **state) {
  (void)state;
  forget_the_end_of_it(0, true);
}

static void test_payee_forgets_that_it_was_paid(void **state) {
  (void)state;
  forget_the_end_of_it(1, true);
}

static void test_payer_forgets_that_it_was_given_back(void **state) {
  (void)state;
  forget_the_end_of_it(0, false);
}

/* The state that is shown has the same locks: they stay as they are, and can be resolved after the resume. */
static void test_the_same_locks(void **state) {
  (void)state;
  duo_copy copy = duo_take_copy(&d, 0);
  assert_int_equal(duo_pay(&d, 0, "forgotten", 10), CH_OK);
  duo_pump(&d);
  lose_memory(0, copy);
  assert_int_equal(duo_info(&d, 0).version, duo_info(&d, 1).version);
  row_is(0, "lock", CH_PAYMENT_LOCKED, CH_OK);
  wait_out(0);
  same_balances(990, 1010, 1);
  assert_int_equal(duo_fulfil(&d, 1, "lock", 1), CH_OK);
  duo_pump(&d);
  same_balances(890, 1110, 0);
  row_is(0, "lock", CH_PAYMENT_SETTLED, CH_OK);
}

/* The state that is shown has a lock that is forgotten here: it cannot be read, so nothing of it is adopted, and
 * nothing is signed however long that lasts. The peer ends it on chain. */
static void test_locks_that_cannot_be_read(void **state) {
  (void)state;
  duo_copy copy = duo_take_copy(&d, 0);
  assert_int_equal(duo_lock(&d, 0, "forgotten", 50, 2, 2 * DAY), CH_OK);
  duo_pump(&d);
  const uint64_t before = 2, after = duo_info(&d, 1).version;
  assert_true(after > before);
  lose_memory(0, copy);
  assert_int_equal(duo_info(&d, 0).version, before);
  const size_t made = d.side[0].n_made;
  wait_out(0);
  reconnect();
  duo_frozen(&d, 0);
  assert_int_equal(duo_info(&d, 0).version, before);
  assert_int_equal(d.side[0].n_made, made);
  assert_null(duo_said(&d, 0, CH_MSG_RESUME));

  assert_int_equal(duo_command(&d, 1, CH_EV_CHALLENGE), CH_OK);
  duo_mine(&d, 1);
  duo_see(&d, 0);
  duo_see(&d, 1);
  assert_null(duo_wish(&d, 0, CH_TX_REFUTE)); /* with what is older */
  duo_pass(&d, DUO_PERIOD + DUO_LONGEST + 1);
  duo_see(&d, 1);
  duo_mine(&d, 1);
  duo_finalise(&d);
  assert_int_equal(duo_info(&d, 0).phase, CH_PHASE_CLOSED);
  assert_true(duo_info(&d, 0).paid[0].v == 1000);
  row_is(0, "lock", CH_PAYMENT_UNKNOWN, CH_ERR_FROZEN); /* it was in L; whether in the executed state is not known */
  row_is(1, "lock", CH_PAYMENT_FAILED, CH_ERR_EXPIRED);
}

/* The peer signs the resume and keeps that back, then goes to the chain with it: the locks are in it as they are in L,
 * and the side that is still frozen can settle it alone. (The simulator's lying side found this.) */
static void test_a_resume_on_chain(void **state) {
  (void)state;
  assert_int_equal(duo_command(&d, 0, CH_EV_FREEZE), CH_OK);
  reconnect();
  assert_int_equal(duo_command(&d, 0, CH_EV_RESUME), CH_OK);
  duo_pass(&d, FREEZE + 1);
  duo_see(&d, 1);
  duo_see(&d, 0);
  const uint64_t before = duo_info(&d, 0).version;
  while (d.side[0].n_out)
    assert_int_equal(duo_deliver(&d, 0), CH_OK);
  assert_true(duo_info(&d, 1).version > before);
  duo_cut(&d);
  assert_int_equal(duo_command(&d, 1, CH_EV_CHALLENGE), CH_OK);
  duo_mine(&d, 1);
  duo_see(&d, 0);
  duo_frozen(&d, 0);
  duo_pass(&d, DUO_PERIOD + DUO_LONGEST + 1);
  duo_see(&d, 0);
  assert_non_null(duo_wish(&d, 0, CH_TX_SETTLE));
  duo_mine(&d, 0);
  duo_finalise(&d);
  assert_int_equal(duo_info(&d, 0).phase, CH_PHASE_CLOSED);
  assert_true(duo_info(&d, 0).paid[0].v == 1000);
  row_is(0, "lock", CH_PAYMENT_FAILED, CH_ERR_EXPIRED);
}

/* --- What the chain executes ----------------------------------------------------------------------------------- */

static void challenge_with(ch_tx tx) {
  duo_cut(&d);
  assert_int_equal(duo_send_tx(&d, 0, DUO_BOND, &tx), CH_ADJ_NONE);
}

/* Nobody refutes within the window; then side 0 settles with `tx`. */
static void settle_unrefuted(ch_tx tx) {
  duo_pass(&d, DUO_PERIOD + DUO_LONGEST + 1);
  assert_int_equal(duo_send_tx(&d, 0, 0, &tx), CH_ADJ_NONE);
  duo_finalise(&d);
  for (int s = 0; s < 2; s++) {
    assert_int_equal(duo_info(&d, s).phase, CH_PHASE_CLOSED);
    assert_int_equal(duo_info(&d, s).locks, 0);
  }
}

/* Older than the lock: the money that it had set aside is back with the payer, and the row says so. */
static void test_executed_from_before_the_lock(void **state) {
  (void)state;
  challenge_with(duo_challenge_tx(&d, 0, 0, 0));
  settle_unrefuted(duo_settle_tx(&d, 0, 0));
  row_is(0, "lock", CH_PAYMENT_FAILED, CH_ERR_PHASE);
  row_is(1, "lock", CH_PAYMENT_FAILED, CH_ERR_PHASE);
  assert_true(duo_info(&d, 1).paid[1].v == 1000);
}

/* Older than L, but with the lock: the chain has decided it. */
static void executed_with_the_lock(bool revealed) {
  ch_state st;
  ch_outcome o;
  ch_lock_info info;
  uint8_t bytes[CH_LOCK_HEAD + CH_OP_PAYLOAD_MAX];
  size_t len = 0;
  ch_tx challenge = duo_challenge_tx(&d, 0, 0, 0), settle = duo_settle_tx(&d, 0, 0);
  ch_channel_latest(d.side[0].channel, &st, &o, challenge.u.challenge.sig);
  challenge.u.challenge.challenge.version = st.version;
  challenge.u.challenge.challenge.outcome_hash = st.outcome_hash;
  assert_true(duo_find_lock(&d, 0, "lock", &info));
  const ch_lock lock = ch_op_lock(&info.op, 0);
  assert_int_equal(ch_lock_encode(bytes, sizeof bytes, &len, &lock), CH_OK);
  settle.u.settle.outcome = o;
  settle.u.settle.locks = bytes;
  settle.u.settle.locks_len = len;
  assert_int_equal(duo_pay(&d, 0, "later", 10), CH_OK);
  duo_pump(&d);
  ch_tx reveal = {.kind = CH_TX_REVEAL, .u.reveal.preimage = duo_preimage(1)};
  challenge_with(challenge);
  if (revealed) assert_int_equal(duo_send_tx(&d, 1, 0, &reveal), CH_ADJ_NONE);
  settle_unrefuted(settle);
  for (int s = 0; s < 2; s++)
    row_is(s, "lock", revealed ? CH_PAYMENT_SETTLED : CH_PAYMENT_FAILED, revealed ? CH_OK : CH_ERR_EXPIRED);
  assert_true(duo_info(&d, 1).paid[1].v == (revealed ? 1100 : 1000));
}

static void test_executed_with_the_lock_expired(void **state) {
  (void)state;
  executed_with_the_lock(false);
}

static void test_executed_with_the_lock_revealed(void **state) {
  (void)state;
  executed_with_the_lock(true);
}

/* The ending is final, but what the chain shows of the hash is not known yet, as after a restart: until then nobody
 * says how the lock has ended. */
static void test_ending_waits_for_the_look(void **state) {
  (void)state;
  ch_tx reveal = {.kind = CH_TX_REVEAL, .u.reveal.preimage = duo_preimage(1)};
  duo_cut(&d);
  assert_int_equal(duo_command(&d, 0, CH_EV_CHALLENGE), CH_OK);
  duo_mine(&d, 0);
  assert_int_equal(duo_send_tx(&d, 1, 0, &reveal), CH_ADJ_NONE);
  duo_see(&d, 0);
  duo_pass(&d, DUO_PERIOD + 1);
  duo_see(&d, 0);
  duo_mine(&d, 0);
  d.final = d.head;
  d.reveals[0].final_time = d.reveals[0].head_time;
  duo_restart(&d, 0);
  const ch_chain_view view = {d.head, d.final};
  const ch_event ev = {.kind = CH_EV_CHAIN, .u.view = &view};
  assert_int_equal(duo_step(&d, 0, &ev), CH_OK);
  row_is(0, "lock", CH_PAYMENT_LOCKED, CH_OK);
  assert_int_equal(duo_info(&d, 0).locks, 1);
  duo_see(&d, 0);
  row_is(0, "lock", CH_PAYMENT_SETTLED, CH_OK);
  assert_int_equal(duo_info(&d, 0).locks, 0);
}

/* A reveal that only the final view shows, as the head's node is behind: the lock is not taken back. */
static void test_reveal_in_the_final_view_only(void **state) {
  (void)state;
  const ch_hash secret = duo_preimage(1);
  ch_reveal look = {.preimage = secret, .final_time = d.now};
  ch_preimage_hash(&look.hash, &secret);
  const ch_event ev = ch_event_reveal(&look);
  assert_int_equal(duo_step(&d, 0, &ev), CH_OK);
  duo_pass(&d, DUO_LONGEST + 1);
  assert_int_equal(duo_command(&d, 0, CH_EV_TICK), CH_OK);
  const ch_msg *said = duo_said(&d, 0, CH_MSG_UPDATE);
  assert_non_null(said);
  assert_int_equal(said->u.update.ops[0].kind, CH_OP_FULFIL); /* the chain has decided */
  duo_pump(&d);
}

/* Two endings behind a copy that has a lock pending: the chain shows only the second. */
static void test_a_lock_of_an_epoch_long_past(void **state) {
  (void)state;
  duo_copy k = duo_take_copy(&d, 0);
  duo_cut(&d);
  duo_connect(&d);
  duo_pump(&d);
  assert_int_equal(duo_fulfil(&d, 1, "lock", 1), CH_OK);
  duo_pump(&d);
  for (int life = 0; life < 2; life++) {
    assert_int_equal(duo_command(&d, 1, CH_EV_CLOSE), CH_OK);
    duo_pump(&d);
    duo_mine(&d, 1);
    duo_finalise(&d);
    ch_tx tx = duo_deposit_tx(&d, 1, 700);
    tx.u.deposit.epoch = (uint16_t)(life + 1);
    if (life == 0) assert_int_equal(duo_send_tx(&d, 1, 700, &tx), CH_ADJ_NONE);
    duo_finalise(&d);
    duo_pump(&d);
  }
  row_is(1, "lock", CH_PAYMENT_SETTLED, CH_OK);
  duo_cut(&d);
  duo_put_back(&d, 0, k);
  duo_see(&d, 0);
  row_is(0, "lock", CH_PAYMENT_UNKNOWN, CH_ERR_PHASE);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, opened, done)
  const struct CMUnitTest tests[] = {
      T(test_payer_forgets_that_it_was_paid),
      T(test_payee_forgets_that_it_was_paid),
      T(test_payer_forgets_that_it_was_given_back),
      T(test_the_same_locks),
      T(test_locks_that_cannot_be_read),
      T(test_a_resume_on_chain),
      T(test_executed_from_before_the_lock),
      T(test_executed_with_the_lock_expired),
      T(test_executed_with_the_lock_revealed),
      T(test_ending_waits_for_the_look),
      T(test_reveal_in_the_final_view_only),
      T(test_a_lock_of_an_epoch_long_past),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
