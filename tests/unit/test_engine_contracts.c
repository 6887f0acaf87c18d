/* Conditional transfers that a contract decides (proto/protocol.md, section 6): released, given back, settled on chain.
 */
#include "engine_fixture.h"

#define DAY 86400u

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

/* One of 5 that the end of the window does not find expired. */
static ch_op contract(const char *id, uint8_t payload) {
  ch_op op = duo_op_lock(&d, id, 5, 1, 2 * DAY);
  memset(op.u.add.condition.b, 0xcc, sizeof(ch_addr));
  op.u.add.gas = 1000;
  op.u.add.payload_len = payload;
  return op;
}

/* Agreed on, if the peer hears of it. */
static void add(const ch_op *ops, size_t n) {
  const ch_event ev = ch_event_pay(ops, n);
  assert_int_equal(duo_step(&d, 0, &ev), CH_OK);
}

static void balances(uint64_t mine0, uint64_t mine1, uint64_t locked0) {
  ch_info a = duo_info(&d, 0), b = duo_info(&d, 1);
  assert_true(a.balance_mine.v == mine0 && b.balance_mine.v == mine1);
  assert_true(a.locked_mine.v == locked0 && b.locked_peer.v == locked0);
}

static void test_released_or_given_back(void **state) {
  (void)state;
  const ch_op ops[2] = {contract("g", 7), contract("h", 9)};
  add(ops, 2);
  duo_pump(&d);
  balances(1000, 1000, 10);
  assert_int_equal(duo_fulfil(&d, 1, "g", 1), CH_ERR_ARGUMENT); /* the payee cannot decide that */
  assert_int_equal(duo_fulfil(&d, 0, "g", 1), CH_OK);
  assert_int_equal(duo_cancel(&d, 0, "h"), CH_ERR_ARGUMENT); /* nor the payer that */
  assert_int_equal(duo_cancel(&d, 1, "h"), CH_OK);
  duo_pump(&d);
  balances(995, 1005, 0);
  duo_pass(&d, 3 * DAY);
  assert_int_equal(duo_lock(&d, 0, "z", 5, 9, DAY), CH_OK);
}

/* --- On chain ------------------------------------------------------------------------------------------------- */

static void pass(uint64_t seconds, int who) {
  duo_pass(&d, seconds);
  assert_int_equal(duo_command(&d, who, CH_EV_TICK), CH_OK);
}

/* Side 1 leaves with what it has, until the ending is final. */
static void leave_alone(void) {
  duo_cut(&d);
  assert_int_equal(duo_command(&d, 1, CH_EV_CHALLENGE), CH_OK);
  duo_mine(&d, 1);
  duo_see(&d, 0);
  duo_see(&d, 1);
  pass(DUO_PERIOD + 1, 1);
  assert_null(duo_wish(&d, 1, CH_TX_SETTLE)); /* no contract is asked before the expiry */
  pass(DAY, 1);
  duo_mine(&d, 1);
  duo_finalise(&d);
}

static void both_show(const char *id, uint64_t paid) {
  for (int s = 0; s < 2; s++) {
    const duo_row *r = duo_row_of(&d, s, s == 1, id);
    assert_non_null(r);
    assert_int_equal(r->status, paid ? CH_PAYMENT_SETTLED : CH_PAYMENT_FAILED);
    assert_true(r->paid.v == paid && r->op.amount.v == 5);
  }
}

static void both_say(const char *id, ch_err reason) {
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_row_of(&d, s, s == 1, id)->reason, reason);
}

static void test_pays_a_share(void **state) {
  (void)state;
  const ch_op op = contract("g", 7);
  d.owed = 3;
  add(&op, 1);
  duo_pump(&d);
  leave_alone();
  assert_true(duo_info(&d, 1).paid[1].v == 1003);
  both_show("g", 3);
  both_say("g", CH_OK);
}

static void test_pays_nothing(void **state) {
  (void)state;
  const ch_op op = contract("g", 7);
  d.owed = 0;
  add(&op, 1);
  duo_pump(&d);
  leave_alone();
  assert_true(duo_info(&d, 1).paid[1].v == 1000);
  both_show("g", 0);
}

/* The payee has signed it, and leaves without a word: the payer never saw it locked. */
static void test_only_proposed(void **state) {
  (void)state;
  const ch_op op = contract("g", 7);
  d.owed = 3;
  add(&op, 1);
  assert_int_equal(duo_deliver(&d, 0), CH_OK);
  leave_alone();
  both_show("g", 3);
}

/* Of several only the sum is known: the first ones are shown as paid, and each row says so. */
static void test_several_share_a_sum(void **state) {
  (void)state;
  const ch_op ops[2] = {contract("g", 7), contract("h", 9)};
  d.owed = 3;
  add(ops, 2);
  duo_pump(&d);
  leave_alone();
  assert_true(duo_info(&d, 1).paid[1].v == 1006);
  both_show("g", 5);
  both_show("h", 1);
  both_say("g", CH_ERR_SHARED);
  both_say("h", CH_ERR_SHARED);
}

/* What one lock was paid is exact, and so it is if a sum leaves no choice. */
static void test_the_whole_sum_is_exact(void **state) {
  (void)state;
  const ch_op ops[2] = {contract("g", 7), contract("h", 9)};
  d.owed = 5;
  add(ops, 2);
  duo_pump(&d);
  leave_alone();
  both_show("g", 5);
  both_show("h", 5);
  both_say("g", CH_OK);
  both_say("h", CH_OK);
}

static void test_no_sum_is_exact(void **state) {
  (void)state;
  const ch_op ops[2] = {contract("g", 7), contract("h", 9)};
  d.owed = 0;
  add(ops, 2);
  duo_pump(&d);
  leave_alone();
  both_show("g", 0);
  both_show("h", 0);
  both_say("g", CH_ERR_EXPIRED);
  both_say("h", CH_ERR_EXPIRED);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, opened, done)
  const struct CMUnitTest tests[] = {
      T(test_released_or_given_back), T(test_pays_a_share),           T(test_pays_nothing),    T(test_only_proposed),
      T(test_several_share_a_sum),    T(test_the_whole_sum_is_exact), T(test_no_sum_is_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
