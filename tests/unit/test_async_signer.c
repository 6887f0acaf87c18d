/* Signers that take time: every request is answered only when it is asked again. What comes out is what comes out with
 * signers that answer at once, byte for byte. */
#include <stdlib.h>

#include "engine_fixture.h"
#include "slow_engine.h"

/* --- What two channels said and stored ------------------------------------------------------------------ */

typedef struct transcript {
  uint8_t *bytes;
  size_t len;
} transcript;

static void add(transcript *t, const void *bytes, size_t len) {
  t->bytes = realloc(t->bytes, t->len + len);
  assert_non_null(t->bytes);
  memcpy(t->bytes + t->len, bytes, len);
  t->len += len;
}

static void add_tx(transcript *t, const ch_effect *e) {
  const ch_tx *tx = &e->u.tx.tx;
  add(t, &e->u.tx.key, sizeof e->u.tx.key);
  if (tx->kind == CH_TX_CLOSE) add(t, tx->u.close.sig, sizeof tx->u.close.sig);
  if (tx->kind == CH_TX_WITHDRAW) add(t, tx->u.withdraw.sig, sizeof tx->u.withdraw.sig);
  if (tx->kind == CH_TX_MOVE) add(t, tx->u.move.sig, sizeof tx->u.move.sig);
  if (tx->kind != CH_TX_CHALLENGE) return;
  add(t, tx->u.challenge.sig, sizeof tx->u.challenge.sig);
  add(t, &tx->u.challenge.challenge_sig, sizeof tx->u.challenge.challenge_sig);
}

/* The last step of `s`: what it sent and wished for, and its record. */
static void note(transcript *t, const duo *d, int s) {
  uint8_t *record;
  size_t len;
  for (size_t i = 0; i < d->side[s].fx.n; i++) {
    const ch_effect *e = &d->side[s].fx.v[i];
    if (e->kind == CH_FX_SEND) add(t, e->u.send.bytes, e->u.send.len);
    if (e->kind == CH_FX_TX) add_tx(t, e);
  }
  assert_int_equal(ch_channel_encode(d->side[s].channel, &record, &len), CH_OK);
  add(t, record, len);
  free(record);
}

static void pump(transcript *t, duo *d) {
  while (d->side[0].n_out || d->side[1].n_out)
    for (int s = 0; s < 2; s++) {
      if (!d->side[s].n_out) continue;
      assert_int_equal(duo_deliver(d, s), CH_OK);
      note(t, d, 1 - s);
    }
}

/* --- Lives ---------------------------------------------------------------------------------------------- */

static void open_and_pay(transcript *t, duo *d) {
  duo_open(d, 1000, 500);
  note(t, d, 0);
  note(t, d, 1);
  slow_engine.most = 0;
  static const char *const ids[] = {"a", "b", "c", "d"};
  for (size_t i = 0; i < 4; i++) {
    for (int s = 0; s < 2; s++) { /* they cross */
      assert_int_equal(duo_pay(d, s, ids[i], 10 * i + (uint64_t)s + 1), CH_OK);
      note(t, d, s);
    }
    pump(t, d);
  }
}

/* 100 of side 0, to its payout address or into another channel. */
static void take_out(transcript *t, duo *d, const ch_target *to) {
  ch_event out = ch_event_withdraw(ch_amount_of(100));
  out.u.withdraw.to = *to;
  assert_int_equal(duo_step(d, 0, &out), CH_OK);
  note(t, d, 0);
  pump(t, d);
  duo_see(d, 0);
  note(t, d, 0);
  duo_mine(d, 0);
  duo_finalise(d);
  note(t, d, 0);
  pump(t, d);
}

static void live_and_close(transcript *t) {
  duo d;
  open_and_pay(t, &d);
  if (!slow_engine.off) assert_int_equal(slow_engine.most, 2); /* an accept and a proposal */
  take_out(t, &d, &(ch_target){.set = false});
  take_out(t, &d, &(ch_target){.set = true, .params_hash = {{0x55}}});
  assert_int_equal(duo_command(&d, 1, CH_EV_CLOSE), CH_OK);
  note(t, &d, 1);
  pump(t, &d);
  assert_int_equal(duo_command(&d, 1, CH_EV_TICK), CH_OK);
  note(t, &d, 1);
  duo_mine(&d, 1);
  duo_finalise(&d);
  note(t, &d, 0);
  note(t, &d, 1);
  assert_int_equal(duo_info(&d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_info(&d, 0).paid[0].v, 804);
  duo_free(&d);
}

static void live_and_challenge(transcript *t) {
  duo d;
  open_and_pay(t, &d);
  assert_int_equal(duo_command(&d, 0, CH_EV_CHALLENGE), CH_OK);
  note(t, &d, 0);
  duo_mine(&d, 0);
  duo_finalise(&d);
  duo_pass(&d, DUO_PERIOD + 1);
  assert_int_equal(duo_command(&d, 0, CH_EV_TICK), CH_OK);
  note(t, &d, 0);
  duo_mine(&d, 0);
  duo_finalise(&d);
  note(t, &d, 1);
  assert_int_equal(duo_info(&d, 1).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_info(&d, 1).paid[0].v, 1004);
  duo_free(&d);
}

static void check_same(void (*live)(transcript *t)) {
  transcript quick = {0}, slow = {0};
  slow_engine.off = true;
  live(&quick);
  slow_engine.off = false;
  live(&slow);
  assert_int_equal(quick.len, slow.len);
  assert_memory_equal(quick.bytes, slow.bytes, quick.len);
  free(quick.bytes);
  free(slow.bytes);
}

static void test_same_results(void **state) {
  (void)state;
  check_same(live_and_close);
  check_same(live_and_challenge);
  for (int i = 0; i < SLOW_REQUESTS; i++)
    if (!slow_engine.pending[i]) fail_msg("nobody waited for request %d", i);
}

/* --- Waiting ---------------------------------------------------------------------------------------------- */

static int setup(void **state) {
  duo *d = malloc(sizeof *d);
  if (!d) return -1;
  duo_open(d, 1000, 500);
  *state = d;
  return 0;
}

static int teardown(void **state) {
  slow_engine = (slow_engine_state){0};
  duo_free(*state);
  free(*state);
  return 0;
}

/* The code comes through every kind of call, as often as it is made, and the answer is still taken in the end. */
static void test_waiting(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 5), CH_OK);
  ch_msg m = *duo_said(d, 0, CH_MSG_UPDATE);
  slow_engine.silent = true;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(duo_give(d, 1, &m), CH_ERR_PENDING);
    assert_int_equal(duo_pay(d, 1, "b", 1), CH_ERR_PENDING);
    assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_ERR_PENDING);
  }
  assert_int_equal(duo_info(d, 1).highest_signed, 0);
  slow_engine.silent = false;
  duo_pump(d);
  assert_true(duo_received(d, 1, "a"));
}

/* A request that is given up fails the step and leaves the channel as it was; it can go on. */
static void test_giving_up(void **state) {
  duo *d = *state;
  slow_engine.refuse = true;
  assert_int_equal(duo_pay(d, 1, "a", 5), CH_ERR_SIGNER);
  assert_int_equal(duo_status(d, 1, "a"), 0);
  assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_ERR_SIGNER);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_OPEN);
  slow_engine.refuse = false;
  assert_int_equal(duo_pay(d, 1, "a", 6), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_status(d, 1, "a"), CH_PAYMENT_SETTLED);
}

/* The peer publishes an old state while the signer is silent: without the connection, the chain is followed and the
 * refutation wished for, as neither needs a signature. */
static void test_refuting_without_a_signer(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 100), CH_OK); /* version 2 */
  duo_pump(d);
  assert_int_equal(duo_pay(d, 0, "b", 100), CH_OK); /* version 4 */
  duo_pump(d);
  duo_cut(d);
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  duo_connect(d);
  slow_engine.silent = true;
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_ERR_PENDING); /* for the shutdown, as side 0 is there and sees the money */
  ch_tx old = duo_challenge_tx(d, 0, 2, 100);
  assert_int_equal(duo_send_tx(d, 0, DUO_BOND, &old), CH_ADJ_NONE);
  ch_chain_view view = {d->head, d->final};
  ch_event look = ch_event_chain(&view);
  assert_int_equal(duo_step(d, 1, &look), CH_ERR_PENDING); /* for Close, which the connection makes possible */
  assert_int_equal(duo_command(d, 1, CH_EV_LINK_DOWN), CH_OK);
  assert_int_equal(duo_step(d, 1, &look), CH_OK);
  assert_non_null(duo_wish(d, 1, CH_TX_REFUTE));
  duo_mine(d, 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_results),
      TEST(test_waiting),
      TEST(test_giving_up),
      TEST(test_refuting_without_a_signer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
