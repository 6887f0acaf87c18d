/* Every limit and every second of proto/protocol.md, section 6, on both sides of its bound. */
#include <stdio.h>

#include "engine_fixture.h"

#define DAY 86400u
#define LEAST (DUO_FRESHNESS + DUO_MARGIN) /* F + R + I */
#define SKEW 300u
#define KEPT 64u /* hashes whose locks were resolved */

static duo d;

static int opened(void **state) {
  duo_open(&d, 1000, 1000);
  *state = &d;
  return 0;
}

static int done(void **state) {
  (void)state;
  duo_free(&d);
  return 0;
}

static ch_err ask(ch_op op) {
  const ch_event ev = ch_event_pay(&op, 1);
  return duo_step(&d, 0, &ev);
}

/* Proposed by side 0 at `net`; the reason for which side 1 refuses it, or CH_OK. */
static ch_err answer(int64_t net, ch_op op) {
  uint64_t v = duo_info(&d, 1).version;
  ch_msg m = duo_lock_proposal(&d, 0, 1, v, ch_next_version(0, v), net, &op, 1);
  assert_int_equal(duo_give(&d, 1, &m), CH_OK);
  const ch_msg *said = duo_said(&d, 1, CH_MSG_UPDATE);
  assert_true(said && (said->u.update.has_refusal || said->u.update.has_accept));
  return said->u.update.has_refusal ? (ch_err)said->u.update.reason : CH_OK;
}

static uint32_t locks(int s) {
  return duo_info(&d, s).locks;
}

/* --- Making one ------------------------------------------------------------------------------------------ */

static void test_just_time_enough(void **state) {
  (void)state;
  assert_int_equal(ask(duo_op_lock(&d, "a", 10, 1, LEAST)), CH_ERR_EXPIRY);
  assert_int_equal(ask(duo_op_lock(&d, "a", 10, 1, LEAST + 1)), CH_OK);
  duo_pump(&d);
  assert_int_equal(locks(1), 1);
}

static void test_time_too_short_for_the_payee(void **state) {
  (void)state;
  assert_int_equal(answer(0, duo_op_lock(&d, "a", 10, 1, LEAST)), CH_ERR_EXPIRY);
}

static void test_the_longest_time(void **state) {
  (void)state;
  assert_int_equal(ask(duo_op_lock(&d, "a", 10, 1, DUO_LONGEST + 1)), CH_ERR_EXPIRY);
  assert_int_equal(ask(duo_op_lock(&d, "a", 10, 1, DUO_LONGEST)), CH_OK);
  duo_pump(&d);
  assert_int_equal(locks(1), 1);
}

static void test_the_longest_time_with_the_clocks_apart(void **state) {
  (void)state;
  assert_int_equal(answer(0, duo_op_lock(&d, "a", 10, 1, DUO_LONGEST + SKEW)), CH_OK);
}

static void test_more_than_the_clocks_are_apart(void **state) {
  (void)state;
  assert_int_equal(answer(0, duo_op_lock(&d, "a", 10, 1, DUO_LONGEST + SKEW + 1)), CH_ERR_EXPIRY);
}

static void test_least_and_most(void **state) {
  (void)state;
  assert_int_equal(ask(duo_op_lock(&d, "a", 1, 1, DAY)), CH_ERR_LOCK_LIMIT);
  assert_int_equal(ask(duo_op_lock(&d, "a", 2, 1, DAY)), CH_OK);
  duo_pump(&d);
  assert_int_equal(ask(duo_op_lock(&d, "b", 899, 2, DAY)), CH_ERR_LOCK_LIMIT);
  assert_int_equal(ask(duo_op_lock(&d, "b", 898, 2, DAY)), CH_OK);
  duo_pump(&d);
  assert_int_equal(locks(1), 2);
}

/* A hash is remembered until 64 others were resolved after it. */
static void test_hashes_that_were_used(void **state) {
  (void)state;
  for (unsigned i = 0; i <= KEPT; i++) {
    if (i == KEPT) assert_int_equal(ask(duo_op_lock(&d, "again", 10, 0, DAY)), CH_ERR_HASH_USED);
    char id[8];
    snprintf(id, sizeof id, "l%u", i);
    assert_int_equal(ask(duo_op_lock(&d, id, 10, i, DAY)), CH_OK);
    duo_pump(&d);
    assert_int_equal(duo_cancel(&d, 1, id), CH_OK);
    duo_pump(&d);
  }
  assert_int_equal(ask(duo_op_lock(&d, "again", 10, 1, DAY)), CH_ERR_HASH_USED);
  assert_int_equal(ask(duo_op_lock(&d, "again", 10, 0, DAY)), CH_OK);
}

/* No state can hold more: that is no question of what the two agreed on. */
static void test_no_more_than_128(void **state) {
  (void)state;
  for (unsigned i = 0; i < CH_LOCKS_MAX; i++) {
    char id[8];
    snprintf(id, sizeof id, "l%u", i);
    assert_int_equal(duo_lock(&d, (int)(i & 1), id, 2, 100 + i, DAY), CH_OK);
    duo_pump(&d);
  }
  assert_int_equal(locks(1), CH_LOCKS_MAX);
  assert_int_equal(ask(duo_op_lock(&d, "more", 2, 1, DAY)), CH_ERR_LOCK_LIMIT);
  uint64_t v = duo_info(&d, 1).version;
  ch_op op = duo_op_lock(&d, "more", 2, 1, DAY);
  ch_msg m = duo_lock_proposal(&d, 0, 1, v, ch_next_version(0, v), 0, &op, 1);
  duo_refused(&d, 1, &m, CH_ERR_VIOLATION);
}

/* --- The expiry ------------------------------------------------------------------------------------------- */

static uint64_t expiry;

static int locked(void **state) {
  opened(state);
  expiry = d.now + DAY;
  assert_int_equal(duo_lock(&d, 0, "a", 100, 1, DAY), CH_OK);
  duo_pump(&d);
  duo_see(&d, 0);
  duo_see(&d, 1);
  return 0;
}

/* At this time; `revealed` is when the chain shows its preimage, in both views if `final`, or 0. */
static void now_at(uint64_t time, uint64_t revealed, bool final) {
  duo_pass(&d, time - d.now);
  const ch_hash secret = duo_preimage(1);
  d.n_reveals = revealed != 0;
  d.reveals[0] = (ch_reveal){.preimage = secret, .head_time = revealed, .final_time = final ? revealed : 0};
  ch_preimage_hash(&d.reveals[0].hash, &secret);
  for (int s = 0; s < 2; s++) {
    duo_see(&d, s);
    assert_int_equal(duo_command(&d, s, CH_EV_TICK), CH_OK);
  }
  duo_pump(&d);
}

static bool paid(void) {
  assert_int_equal(locks(0), locks(1));
  const duo_row *r = duo_row_of(&d, 0, false, "a");
  return r->status == CH_PAYMENT_SETTLED;
}

static bool taken_back(void) {
  const duo_row *r = duo_row_of(&d, 0, false, "a");
  return r->status == CH_PAYMENT_FAILED && r->reason == CH_ERR_EXPIRED;
}

static void test_fulfilled_at_the_last_second(void **state) {
  (void)state;
  now_at(expiry, 0, false);
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_pump(&d);
  assert_true(paid());
}

static void test_fulfilled_a_second_too_late(void **state) {
  (void)state;
  d.final_time = expiry; /* so that it is not taken back */
  duo_pass(&d, DAY + 1);
  d.final_time = expiry;
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_pump(&d);
  assert_false(paid());
}

/* What was revealed at the expiry itself was revealed in time: for the payee, who is late with its fulfil. */
static void test_late_fulfil_of_a_reveal_at_the_last_second(void **state) {
  (void)state;
  now_at(expiry + 1, expiry, false);
  assert_false(taken_back());
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_pump(&d);
  assert_true(paid());
}

/* For the payer, once it is final: it pays by itself; until then it neither pays nor takes back. */
static void test_reveal_at_the_last_second(void **state) {
  (void)state;
  now_at(expiry + 1, expiry, false);
  assert_false(paid() || taken_back());
  now_at(expiry + 2, expiry, true);
  assert_true(paid());
}

static void test_reveal_a_second_too_late(void **state) {
  (void)state;
  now_at(expiry, 0, false);
  assert_false(paid() || taken_back());
  now_at(expiry + 1, expiry + 1, true);
  assert_true(taken_back());
}

/* --- Resolving -------------------------------------------------------------------------------------------- */

/* One proposal cannot have it twice. */
static void test_resolved_once(void **state) {
  (void)state;
  ch_lock_info lock;
  ch_op ops[2] = {duo_op(CH_OP_FULFIL), duo_op(CH_OP_FULFIL)};
  assert_true(duo_find_lock(&d, 0, "a", &lock));
  for (int i = 0; i < 2; i++) {
    ops[i].u.resolve.lock = lock.lock_id;
    ops[i].u.resolve.has_preimage = true;
    ops[i].u.resolve.preimage = duo_preimage(1);
  }
  uint64_t v = duo_info(&d, 0).version;
  ch_msg m = duo_lock_proposal(&d, 1, 0, v, ch_next_version(1, v), 200, ops, 2);
  duo_refused(&d, 0, &m, CH_ERR_VIOLATION);
}

/* The payee sees an older block, and refuses; with the next one it agrees. */
static void test_refused_expire_is_proposed_again(void **state) {
  (void)state;
  duo_pass(&d, DAY + 1);
  assert_int_equal(duo_command(&d, 0, CH_EV_TICK), CH_OK);
  d.final_time = expiry;
  duo_pump(&d);
  assert_false(taken_back());
  d.final_time = d.head_time;
  assert_int_equal(duo_command(&d, 0, CH_EV_TICK), CH_OK); /* not at this head again */
  duo_pump(&d);
  assert_false(taken_back());
  duo_pass(&d, 1);
  assert_int_equal(duo_command(&d, 0, CH_EV_TICK), CH_OK);
  duo_pump(&d);
  assert_true(taken_back());
}

/* What was revealed needs no expiry: the window alone is waited for. */
static void test_settles_once_all_are_revealed(void **state) {
  (void)state;
  assert_int_equal(duo_cancel(&d, 1, "a"), CH_OK);
  duo_pump(&d);
  assert_int_equal(duo_lock(&d, 0, "b", 100, 2, 2 * DAY), CH_OK);
  duo_pump(&d);
  duo_see(&d, 1);
  duo_cut(&d);
  assert_int_equal(duo_fulfil(&d, 1, "b", 2), CH_OK);
  assert_int_equal(duo_command(&d, 1, CH_EV_CHALLENGE), CH_OK);
  duo_mine(&d, 1); /* with the reveal */
  duo_see(&d, 1);
  duo_pass(&d, DUO_PERIOD);
  assert_int_equal(duo_command(&d, 1, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(&d, 1, CH_TX_SETTLE));
  duo_pass(&d, 1);
  assert_int_equal(duo_command(&d, 1, CH_EV_TICK), CH_OK);
  duo_mine(&d, 1);
  duo_finalise(&d);
  assert_true(duo_info(&d, 1).paid[1].v == 1100);
}

#define T(name) cmocka_unit_test_setup_teardown(name, opened, done)
#define T_LOCKED(name) cmocka_unit_test_setup_teardown(name, locked, done)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_just_time_enough),
      T(test_time_too_short_for_the_payee),
      T(test_the_longest_time),
      T(test_the_longest_time_with_the_clocks_apart),
      T(test_more_than_the_clocks_are_apart),
      T(test_least_and_most),
      T(test_hashes_that_were_used),
      T(test_no_more_than_128),
      T_LOCKED(test_fulfilled_at_the_last_second),
      T_LOCKED(test_fulfilled_a_second_too_late),
      T_LOCKED(test_late_fulfil_of_a_reveal_at_the_last_second),
      T_LOCKED(test_reveal_at_the_last_second),
      T_LOCKED(test_reveal_a_second_too_late),
      T_LOCKED(test_resolved_once),
      T_LOCKED(test_refused_expire_is_proposed_again),
      T_LOCKED(test_settles_once_all_are_revealed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
