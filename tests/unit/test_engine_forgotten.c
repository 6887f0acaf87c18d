/* An old copy of the data that nobody has told of: the chain executes what is not in it. protocol.md, section 4, rule 6
 * and "Lost memory". */
#include <stdlib.h>

#include "duo_copy.h"

static int setup(void **state) {
  duo *d = malloc(sizeof *d);
  if (!d) return -1;
  duo_open(d, 1000, 500);
  *state = d;
  return 0;
}

static int teardown(void **state) {
  duo_free(*state);
  free(*state);
  return 0;
}

/* Side 0 pays 10, and settles it; the copy is of when the payment waited for the connection. */
static duo_copy forgotten_payment(duo *d) {
  duo_cut(d);
  assert_int_equal(duo_pay(d, 0, "again", 10), CH_OK);
  duo_copy k = duo_take_copy(d, 0);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "again"), CH_PAYMENT_SETTLED);
  return k;
}

static void close_together(duo *d) {
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  duo_pump(d);
  duo_see(d, 0);
  duo_mine(d, 0);
  duo_cut(d);
}

/* Nobody has said that this is an old copy, but the chain shows it: what waits in it may have been executed. */
static void test_a_close_that_was_forgotten(void **state) {
  duo *d = *state;
  duo_copy k = forgotten_payment(d);
  close_together(d);
  duo_put_back(d, 0, k);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "again"), CH_PAYMENT_UNKNOWN);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_false(duo_info(d, 0).frozen); /* in the next epoch nothing was signed yet */
}

/* With money in the next epoch something may have been signed and forgotten there, too. */
static void test_a_whole_life_that_was_forgotten(void **state) {
  duo *d = *state;
  duo_copy k = forgotten_payment(d);
  close_together(d);
  ch_tx tx = duo_deposit_tx(d, 0, 700);
  tx.u.deposit.epoch = 1;
  assert_int_equal(duo_send_tx(d, 0, 700, &tx), CH_ADJ_NONE);
  duo_put_back(d, 0, k);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "again"), CH_PAYMENT_UNKNOWN);
  duo_frozen(d, 0);
}

static void test_a_settlement_that_was_forgotten(void **state) {
  duo *d = *state;
  duo_copy k = forgotten_payment(d);
  duo_cut(d);
  assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_OK);
  duo_mine(d, 1);
  duo_pass(d, DUO_PERIOD + 1);
  duo_see(d, 1);
  duo_mine(d, 1);
  duo_put_back(d, 0, k);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "again"), CH_PAYMENT_UNKNOWN);
}

/* What was never in the executed state has failed: nothing was forgotten. */
static void test_an_ending_that_is_remembered(void **state) {
  duo *d = *state;
  duo_cut(d);
  assert_int_equal(duo_pay(d, 0, "late", 10), CH_OK);
  assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_OK);
  duo_mine(d, 1);
  duo_pass(d, DUO_PERIOD + 1);
  duo_see(d, 1);
  duo_mine(d, 1);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "late"), CH_PAYMENT_FAILED);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_a_close_that_was_forgotten),
      TEST(test_a_whole_life_that_was_forgotten),
      TEST(test_a_settlement_that_was_forgotten),
      TEST(test_an_ending_that_is_remembered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
