/* What a channel is funded with, and by whom: coin or token, each its own or the opener both (protocol.md, sections 2
 * and 5). Only coin is sent along with a transaction. */
#include "engine_fixture.h"

static duo d;

static const ch_addr token = {{0x70, 1}};

typedef struct terms {
  const char *name;
  bool token, opener_funds;
  uint64_t deposit[2];
  ch_tx_kind wished; /* by side 0 */
} terms;

static const terms all[] = {
    {"coin, each its own", false, false, {1000, 500}, CH_TX_DEPOSIT},
    {"token, each its own", true, false, {1000, 500}, CH_TX_DEPOSIT},
    {"coin, the opener both", false, true, {1000, 500}, CH_TX_FUND},
    {"token, the opener both", true, true, {1000, 500}, CH_TX_FUND},
    {"coin, the opener for the other", false, true, {0, 500}, CH_TX_DEPOSIT},
    {"token, the opener for itself", true, true, {1000, 0}, CH_TX_DEPOSIT},
};

static void make(const terms *t) {
  duo_make(&d, t->deposit[0], t->deposit[1]);
  if (t->token) d.asset = token;
  d.opener_funds = t->opener_funds;
}

/* The coin that the wish of the last step of `s` sends along. */
static uint64_t coin_for(int s, ch_tx_kind kind) {
  for (size_t i = 0; i < d.side[s].fx.n; i++) {
    const ch_effect *e = &d.side[s].fx.v[i];
    if (e->kind == CH_FX_TX && e->u.tx.tx.kind == kind) return (uint64_t)e->u.tx.value.v;
  }
  fail_msg("no transaction of kind %d is wished for", (int)kind);
  return 0;
}

static void test_funding(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const terms *t = &all[i];
    make(t);
    duo_agree(&d);
    duo_pump(&d);
    for (int s = 0; s < 2; s++)
      assert_int_equal(duo_command(&d, s, CH_EV_TICK), CH_OK);
    const uint64_t sum = t->opener_funds ? t->deposit[0] + t->deposit[1] : t->deposit[0];
    assert_int_equal(coin_for(0, t->wished), t->token ? 0 : sum);
    if (t->opener_funds) assert_int_equal(duo_count(&d, 1, CH_FX_TX), 0);
    if (!t->opener_funds) assert_int_equal(coin_for(1, CH_TX_DEPOSIT), t->token ? 0 : t->deposit[1]);
    duo_mine(&d, 0);
    if (!t->opener_funds) duo_mine(&d, 1);
    for (int s = 0; s < 2; s++)
      if (d.head.slots.contribution[s].v != (ch_i128)t->deposit[s]) fail_msg("%s: side %d", t->name, s);
    duo_finalise(&d);
    assert_int_equal(duo_count(&d, 0, CH_FX_TX) + duo_count(&d, 1, CH_FX_TX), 0); /* and not again */
    duo_free(&d);
  }
}

/* Half of it came: what is missing is still wished for, by whom it was agreed. */
static void test_half_of_it(void **state) {
  (void)state;
  make(&(terms){.opener_funds = true, .deposit = {1000, 500}});
  duo_agree(&d);
  duo_pump(&d);
  ch_tx tx = duo_deposit_tx(&d, 0, 1000);
  assert_int_equal(duo_send_tx(&d, 0, 1000, &tx), CH_ADJ_NONE);
  duo_see(&d, 0);
  duo_see(&d, 1);
  assert_non_null(duo_wish(&d, 0, CH_TX_FUND));
  assert_int_equal(duo_count(&d, 1, CH_FX_TX), 0);
  duo_free(&d);
}

static ch_event money(ch_event_kind kind, uint64_t amount) {
  ch_event ev = {.kind = kind};
  if (kind == CH_EV_DEPOSIT) ev.u.deposit.amount = ch_amount_of(amount);
  if (kind == CH_EV_WITHDRAW) ev.u.withdraw.amount = ch_amount_of(amount);
  return ev;
}

/* More than was agreed, too, goes in only once the peer has shown that it has stored the channel. */
static void test_not_before_the_peer_was_heard(void **state) {
  (void)state;
  make(&all[0]);
  duo_agree(&d);
  ch_event ev = money(CH_EV_DEPOSIT, 70);
  assert_int_equal(duo_step(&d, 0, &ev), CH_ERR_PHASE);
  duo_pump(&d);
  assert_int_equal(duo_step(&d, 0, &ev), CH_OK);
  duo_free(&d);
}

/* Tokens in, out, and the end; the bond of a challenge is coin all the same. */
static void test_life_of_a_token_channel(void **state) {
  (void)state;
  make(&all[1]);
  duo_begin(&d);
  ch_event ev = money(CH_EV_DEPOSIT, 70);
  assert_int_equal(duo_step(&d, 1, &ev), CH_OK);
  assert_int_equal(coin_for(1, CH_TX_DEPOSIT), 0);
  duo_mine(&d, 1);
  duo_finalise(&d);
  duo_pump(&d);
  assert_true(duo_info(&d, 1).spendable.v == 570);
  assert_int_equal(duo_pay(&d, 0, "a", 30), CH_OK);
  duo_pump(&d);
  ev = money(CH_EV_WITHDRAW, 100);
  assert_int_equal(duo_step(&d, 1, &ev), CH_OK);
  duo_pump(&d);
  duo_see(&d, 1);
  assert_int_equal(coin_for(1, CH_TX_WITHDRAW), 0);
  duo_mine(&d, 1);
  duo_finalise(&d);
  duo_pump(&d);
  assert_int_equal(duo_command(&d, 1, CH_EV_CHALLENGE), CH_OK);
  assert_int_equal(coin_for(1, CH_TX_CHALLENGE), DUO_BOND);
  duo_mine(&d, 1);
  duo_finalise(&d);
  duo_pass(&d, DUO_PERIOD + 1);
  duo_see(&d, 1);
  assert_int_equal(coin_for(1, CH_TX_SETTLE), 0);
  duo_mine(&d, 1);
  duo_finalise(&d);
  for (int s = 0; s < 2; s++) {
    assert_int_equal(duo_info(&d, s).phase, CH_PHASE_CLOSED);
    assert_true(duo_info(&d, s).paid[0].v == 970 && duo_info(&d, s).paid[1].v == 500);
  }
  duo_free(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_funding),
      cmocka_unit_test(test_half_of_it),
      cmocka_unit_test(test_not_before_the_peer_was_heard),
      cmocka_unit_test(test_life_of_a_token_channel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
