/* What is offered for gas, and the schedule on which an offer rises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "l1/evm/fees.h"

#define GWEI 1000000000ull
#define LIMIT (500 * GWEI)

static bool read(cd_market *out, const char *json) {
  json_t *v = json_loads(json, 0, NULL);
  assert_non_null(v);
  bool ok = cd_fee_market(out, v);
  json_decref(v);
  return ok;
}

static void the_market_is_read(void **state) {
  (void)state;
  cd_market m;
  assert_true(read(&m, "{\"oldestBlock\":\"0x1\",\"baseFeePerGas\":[\"0x1\",\"0x2\",\"0x3b9aca00\"],"
                       "\"reward\":[[\"0x5\"],[\"0x9\"]],\"gasUsedRatio\":[0.5,1]}"));
  assert_int_equal(m.base, GWEI);
  assert_int_equal(m.priority, 9);
  /* blocks without transactions report nothing paid */
  assert_true(read(&m, "{\"baseFeePerGas\":[\"0x1\",\"0x2\"],\"reward\":[[\"0x0\"]]}"));
  assert_int_equal(m.priority, 0);
}

static void a_strange_market_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      "{}",
      "[]",
      "{\"baseFeePerGas\":[\"0x1\"]}",
      "{\"baseFeePerGas\":[\"0x1\",2]}",
      "{\"baseFeePerGas\":[\"0x1\",\"0xffffffffffffffff\"]}",
      "{\"baseFeePerGas\":[\"0x1\",\"0x10000000000000000\"]}",
      "{\"baseFeePerGas\":[\"0x1\",\"0x2\"],\"reward\":[[]]}",
      "{\"baseFeePerGas\":[\"0x1\",\"0x2\"],\"reward\":[\"0x1\"]}",
      "{\"baseFeePerGas\":[\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0x1\"]}",
  };
  cd_market m;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_false(read(&m, bad[i]));
}

static void urgency_is_full_half_way_to_the_deadline(void **state) {
  (void)state;
  assert_int_equal(cd_fee_urgency(1000, 0, 5000), 0);
  assert_int_equal(cd_fee_urgency(1000, 2000, 1000), 0);
  assert_int_equal(cd_fee_urgency(1000, 2000, 900), 0);
  assert_int_equal(cd_fee_urgency(1000, 2000, 1250), 499);
  assert_int_equal(cd_fee_urgency(1000, 2000, 1501), 1000);
  assert_int_equal(cd_fee_urgency(1000, 2000, 1999), 1000);
  assert_int_equal(cd_fee_urgency(1000, 900, 1001), 1000);
  assert_int_equal(cd_fee_urgency(0, UINT64_MAX, UINT64_MAX / 4), 499);
}

static void an_offer_stays_below_the_limit(void **state) {
  (void)state;
  const cd_market quiet = {10 * GWEI, GWEI}, mad = {1000 * GWEI, 900 * GWEI}, free = {0, 0};
  cd_fee fee = cd_fee_offer(&quiet, 0, LIMIT);
  assert_int_equal(fee.max, 21 * GWEI);
  assert_int_equal(fee.priority, GWEI);
  fee = cd_fee_offer(&mad, 0, LIMIT);
  assert_int_equal(fee.max, LIMIT);
  assert_int_equal(fee.priority, LIMIT);
  fee = cd_fee_offer(&free, 0, LIMIT);
  assert_true(fee.priority > 0 && fee.max >= fee.priority);
  fee = cd_fee_offer(&quiet, 1000, LIMIT);
  assert_int_equal(fee.max, LIMIT);
  assert_int_equal(fee.priority, LIMIT / 4);
}

static void nothing_is_outbid_without_need(void **state) {
  (void)state;
  const cd_market m = {10 * GWEI, GWEI};
  cd_fee fee = cd_fee_offer(&m, 0, LIMIT), next;
  assert_false(cd_fee_outbid(&next, &fee, &m, 0, LIMIT, false));
  /* the base fee doubled: still good */
  const cd_market dearer = {20 * GWEI, GWEI};
  assert_false(cd_fee_outbid(&next, &fee, &dearer, 0, LIMIT, false));
}

static void a_replacement_rises_by_an_eighth(void **state) {
  (void)state;
  const cd_market m = {10 * GWEI, GWEI};
  cd_fee fee = cd_fee_offer(&m, 0, LIMIT), next;
  assert_true(cd_fee_outbid(&next, &fee, &m, 0, LIMIT, true));
  assert_true(next.max * 8 >= fee.max * 9 && next.priority * 8 >= fee.priority * 9);
  const cd_market jump = {1000 * GWEI / 10, GWEI};
  assert_true(cd_fee_outbid(&next, &fee, &jump, 0, LIMIT, false)); /* it could not be mined any more */
  assert_true(next.max > jump.base);
  const cd_fee top = {LIMIT, GWEI};
  assert_false(cd_fee_outbid(&next, &top, &jump, 1000, LIMIT, true)); /* no room left */
}

/* A refutation that is not mined, looked at every 12 seconds: the limit is reached by half of the time, in steps that
 * nodes take, and not in one jump. */
static void the_schedule_reaches_the_limit_half_way(void **state) {
  (void)state;
  const cd_market m = {10 * GWEI, GWEI};
  const uint64_t since = 5000, deadline = since + 3600;
  cd_fee fee = cd_fee_offer(&m, 0, LIMIT), next;
  unsigned steps = 0;
  uint64_t last = 0;
  for (uint64_t now = since; now < deadline; now += 12) {
    if (!cd_fee_outbid(&next, &fee, &m, cd_fee_urgency(since, deadline, now), LIMIT, false)) continue;
    assert_true(next.max * 8 >= fee.max * 9 && next.priority * 8 >= fee.priority * 9);
    assert_true(next.max <= LIMIT && next.priority <= next.max);
    fee = next;
    last = now;
    steps++;
  }
  assert_true(steps > 5 && steps < 60);
  assert_true(last <= since + 1800 + 12);
  assert_int_equal(fee.max, LIMIT);
  assert_true(fee.priority >= LIMIT / 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_market_is_read),
      cmocka_unit_test(a_strange_market_is_refused),
      cmocka_unit_test(urgency_is_full_half_way_to_the_deadline),
      cmocka_unit_test(an_offer_stays_below_the_limit),
      cmocka_unit_test(nothing_is_outbid_without_need),
      cmocka_unit_test(a_replacement_rises_by_an_eighth),
      cmocka_unit_test(the_schedule_reaches_the_limit_half_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
