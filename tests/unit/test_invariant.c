/* The engine's last line of defence, from inside: a channel that breaks what must always hold is refused by the step
 * that would make it and, as a record with a right checksum, by the decoder; and a step that would break what must hold
 * between two channels is refused. Nothing that a peer, a chain or a caller does leads there, so each is made by hand.
 */
#include <stdlib.h>

#include "engine_fixture.h"
#include "internal.h"

/* A channel with something in every part: a lock in L, a replaced proposal, an outstanding one, a reservation. */
static int setup(void **state) {
  duo *d = malloc(sizeof *d);
  if (!d) return -1;
  duo_open(d, 1000, 500);
  assert_int_equal(duo_lock(d, 0, "lock", 10, 1, 50000), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_pay(d, 0, "settled", 5), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_pay(d, 0, "out", 7), CH_OK);
  *state = d;
  return 0;
}

static int teardown(void **state) {
  duo_free(*state);
  free(*state);
  return 0;
}

static ch_channel *copy_of(const duo *d) {
  ch_channel *c = channel_clone(d->side[0].channel);
  assert_non_null(c);
  return c;
}

static ch_err through_record(const ch_channel *c) {
  uint8_t *record;
  size_t len;
  ch_channel *again;
  assert_int_equal(ch_channel_encode(c, &record, &len), CH_OK);
  ch_err err = ch_channel_decode(&again, record, len, NULL, 0);
  if (err) assert_null(again);
  ch_channel_free(again);
  free(record);
  return err;
}

/* --- Within one channel --------------------------------------------------------------------------------- */

static void signed_below_latest(ch_channel *c) {
  c->out.kind = OUT_NONE;
  queue_requeue_out(c);
  c->highest.version = c->latest.version - 1;
}
static void signed_too_far(ch_channel *c) {
  c->highest.version = c->latest.version + SIGNED_DISTANCE + 1;
}
static void outstanding_not_above(ch_channel *c) {
  c->out.version = c->latest.version;
}
static void outstanding_not_noted(ch_channel *c) {
  c->out.version = c->highest.version + 2;
}
static void outstanding_of_the_peer(ch_channel *c) {
  c->out.version--;
}
static void proposal_of_nothing(ch_channel *c) {
  c->ops[0].version = 0; /* it waits again */
  c->n_queue++;
  c->n_out--;
}
static void replaced_not_above(ch_channel *c) {
  c->old.version = c->latest.version;
}
static void resumed_in_operation(ch_channel *c) {
  c->resume.version = c->highest.version;
}
static void resume_not_noted(ch_channel *c) {
  c->frozen = true;
  c->resume.version = c->highest.version + 2;
}
static void resume_not_above(ch_channel *c) {
  c->frozen = true;
  c->out.kind = OUT_NONE;
  queue_requeue_out(c);
  c->highest.version = c->resume.version = c->latest.version;
}
static void accounted_with_locks(ch_channel *c) {
  c->accounted = true;
}
static void lock_in_no_replay(ch_channel *c) {
  c->locks[0].in |= IN_REPLAY;
}

static const struct {
  const char *name;
  void (*breaks)(ch_channel *c);
} within[] = {
    {"signed below L", signed_below_latest},
    {"signed too far above L", signed_too_far},
    {"outstanding not above L", outstanding_not_above},
    {"outstanding above what was signed", outstanding_not_noted},
    {"outstanding with the peer's parity", outstanding_of_the_peer},
    {"a proposal without operations", proposal_of_nothing},
    {"a replaced proposal not above L", replaced_not_above},
    {"a resume without a freeze", resumed_in_operation},
    {"a resume that is not the highest signed", resume_not_noted},
    {"a resume not above L", resume_not_above},
    {"locks after the end", accounted_with_locks},
    {"a lock of a replay", lock_in_no_replay},
};

static void test_within(void **state) {
  const duo *d = *state;
  assert_int_equal(through_record(d->side[0].channel), CH_OK);
  for (size_t i = 0; i < sizeof within / sizeof *within; i++) {
    ch_channel *c = copy_of(d);
    within[i].breaks(c);
    ch_err inside = invariant(c, c), stored = through_record(c);
    if (inside != CH_ERR_BUG || stored != CH_ERR_FORMAT) fail_msg("%s: %d, %d", within[i].name, inside, stored);
    ch_channel_free(c);
  }
}

/* The hashes of the contents and the marks of the locks say the same. The record has the marks only. */
static void test_lock_hashes(void **state) {
  const duo *d = *state;
  for (int i = 0; i < 4; i++) {
    ch_channel *c = copy_of(d);
    ch_hash *const hashes[] = {&c->latest.locks_hash, &c->out.what.locks_hash, &c->old.what.locks_hash};
    if (i < 3) hashes[i]->b[0] ^= ch_hash_is_zero(hashes[i]);
    if (i < 2) memset(hashes[i], 0, sizeof *hashes[i]);
    if (i == 3) c->locks[0].in = IN_OUT; /* L's hash says otherwise */
    assert_int_equal(invariant(c, c), CH_ERR_BUG);
    ch_channel_free(c);
  }
}

/* --- Between two ----------------------------------------------------------------------------------------- */

static void epoch_back(ch_channel *cur, ch_channel *next) {
  cur->epoch = 1;
  next->epoch = 0;
}
static void reopened_as_something_else(ch_channel *cur, ch_channel *next) {
  next->epoch = cur->epoch + 1;
  next->opened = false; /* FUNDING */
}
static void phase_back(ch_channel *cur, ch_channel *next) {
  (void)cur;
  next->opened = false;
}
static void latest_back(ch_channel *cur, ch_channel *next) {
  (void)cur;
  next->latest.version -= 2;
}
static void highest_back(ch_channel *cur, ch_channel *next) {
  cur->highest.version = next->highest.version + 1;
}
static void signed_in_a_freeze(ch_channel *cur, ch_channel *next) {
  cur->frozen = next->frozen = true;
  next->highest.version += 2;
}

static const struct {
  const char *name;
  void (*breaks)(ch_channel *cur, ch_channel *next);
} between[] = {
    {"back to an older epoch", epoch_back},   {"opened again as something else", reopened_as_something_else},
    {"an illegal transition", phase_back},    {"L goes back", latest_back},
    {"forgets that it signed", highest_back}, {"signs while frozen", signed_in_a_freeze},
};

static void test_between(void **state) {
  const duo *d = *state;
  for (size_t i = 0; i < sizeof between / sizeof *between; i++) {
    ch_channel *cur = copy_of(d), *next = copy_of(d);
    assert_int_equal(invariant(cur, next), CH_OK);
    between[i].breaks(cur, next);
    if (invariant(cur, next) != CH_ERR_BUG) fail_msg("%s is not noticed", between[i].name);
    ch_channel_free(cur);
    ch_channel_free(next);
  }
}

/* A step from a channel that is broken is refused as a whole. */
static void test_step_is_refused(void **state) {
  duo *d = *state;
  ch_channel *c = copy_of(d), *next;
  signed_too_far(c);
  ch_env env = duo_env(d, 0);
  ch_signer signer = duo_signer(d, 0);
  ch_effects fx = {0};
  ch_event ev = {.kind = CH_EV_LINK_DOWN};
  assert_int_equal(ch_step(&next, &fx, c, &env, &ev, &signer), CH_ERR_BUG);
  assert_null(next);
  assert_int_equal(fx.n, 0);
  ch_channel_free(c);
}

/* --- Before a signature ----------------------------------------------------------------------------------- */

/* Whatever the caller has thought: never at or below what was signed, never in a freeze, never on a stale chain. */
static void test_signing(void **state) {
  duo *d = *state;
  const ch_env env = duo_env(d, 0);
  const ch_signer signer = duo_signer(d, 0);
  const size_t made = d->side[0].n_made;
  const content what = content_latest(d->side[0].channel);
  const uint64_t highest = duo_info(d, 0).highest_signed;
  const struct {
    uint64_t above, seconds;
    bool frozen;
    ch_err err;
  } rows[] = {
      {0, 0, false, CH_ERR_DOUBLE_SIGN},
      {2, 0, true, CH_ERR_FROZEN},
      {2, DUO_FRESHNESS + 1, false, CH_ERR_STALE},
      {2, 0, false, CH_OK},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ch_channel *c = copy_of(d);
    ch_effects fx = {0};
    ch_env late = env;
    ch_sig sig;
    late.now += rows[i].seconds;
    c->frozen = rows[i].frozen;
    step s = {.c = c, .cur = c, .env = &late, .signer = &signer, .fx = &fx};
    assert_int_equal(sign_content(&s, highest + rows[i].above, &what, &sig), rows[i].err);
    assert_int_equal(d->side[0].n_made, made + (rows[i].err == CH_OK));
    assert_int_equal(c->highest.version, rows[i].err ? highest : highest + rows[i].above);
    assert_int_equal(fx.durable, rows[i].err == CH_OK);
    late.head_time = 0; /* no chain at all */
    assert_int_equal(sign_content(&s, highest + 4, &what, &sig), CH_ERR_STALE);
    ch_channel_free(c);
  }
}

/* An operation that does not exist, which no decoded message has, is not taken for one that does nothing. */
static void test_unknown_operation(void **state) {
  duo *d = *state;
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  const uint64_t base = duo_info(d, 1).version;
  ch_op op = {.kind = CH_OP_EXPIRE + 1};
  const ch_msg m = duo_lock_proposal(d, 0, 1, base, ch_next_version(0, base), (int64_t)duo_info(d, 1).net.v, &op, 1);
  const ch_env env = duo_env(d, 1);
  const ch_signer signer = duo_signer(d, 1);
  const ch_event ev = {.kind = CH_EV_MESSAGE, .u.msg = &m};
  ch_channel *next;
  ch_effects fx = {0};
  assert_int_equal(ch_step(&next, &fx, d->side[1].channel, &env, &ev, &signer), CH_ERR_BUG);
  assert_null(next);
  assert_int_equal(fx.n, 0);
}

/* Sums that no channel comes to, as a record may have them, leave nothing to spend. */
static void test_sums_that_overflow(void **state) {
  duo *d = *state;
  const ch_env env = duo_env(d, 0);
  ch_info before, after;
  ch_channel_info(d->side[0].channel, &env, &before);
  assert_true(before.spendable.v > 0);
  for (int i = 0; i < 3; i++) {
    ch_channel *c = copy_of(d);
    if (i != 1) c->ops[0].amount.v = CH_MONEY_MAX;
    if (i != 2) c->withdraw_wanted.v = CH_MONEY_MAX;
    ch_channel_info(c, &env, &after);
    assert_true(after.spendable.v == 0);
    ch_channel_free(c);
  }
}

/* --- What a record may say ------------------------------------------------------------------------------- */

#define TOO_MUCH ((ch_amount){CH_MONEY_MAX + 1})
#define TOO_LOW ((ch_net){-CH_MONEY_MAX - 1})

static void ended(ch_channel *c) {
  c->view.head.has_ended = true;
  c->view.head.ended.kind = CH_ADJ_CLOSED;
}
static void reserved(ch_channel *c) {
  c->reserved = (reservation){.active = true, .seq = 1, .amount = {1}, .valid_until = 5};
}

/* BREAKS(name, what): one function for each line. */
#define RECORDS(BREAKS)                                                                                                \
  BREAKS(side, c->me = 2)                                                                                              \
  BREAKS(payout, memset(&c->params.payout[1], 0, sizeof(ch_addr)))                                                     \
  BREAKS(salt, c->salt.b[0] ^= 1)                                                                                      \
  BREAKS(bond, c->params.bond = TOO_MUCH)                                                                              \
  BREAKS(deposit_0, c->deposit[0] = TOO_MUCH)                                                                          \
  BREAKS(deposit_1, c->deposit[1] = TOO_MUCH)                                                                          \
  BREAKS(latest_net, c->latest.net = TOO_LOW)                                                                          \
  BREAKS(out_net, c->out.what.net = TOO_LOW)                                                                           \
  BREAKS(old_net, (c->old.version = c->highest.version, c->old.what.net = TOO_LOW))                                    \
  BREAKS(close_net, c->close.net = TOO_LOW)                                                                            \
  BREAKS(contribution_0, c->view.head.slots.contribution[0] = TOO_LOW)                                                 \
  BREAKS(contribution_1, c->view.final.slots.contribution[1] = TOO_LOW)                                                \
  BREAKS(ended_kind_low, (ended(c), c->view.head.ended.kind = (ch_adj_event_kind)(CH_ADJ_DEPOSITED - 1)))              \
  BREAKS(ended_kind_high, (ended(c), c->view.head.ended.kind = (ch_adj_event_kind)(CH_ADJ_SETTLED + 1)))               \
  BREAKS(ended_side, (ended(c), c->view.head.ended.side = 2))                                                          \
  BREAKS(ended_amount, (ended(c), c->view.head.ended.amount = TOO_MUCH))                                               \
  BREAKS(ended_net, (ended(c), c->view.head.ended.net = TOO_LOW))                                                      \
  BREAKS(ended_paid_0, (ended(c), c->view.head.ended.paid[0] = TOO_MUCH))                                              \
  BREAKS(ended_paid_1, (ended(c), c->view.head.ended.paid[1] = TOO_MUCH))                                              \
  BREAKS(withdraw_wanted, c->withdraw_wanted = TOO_MUCH)                                                               \
  BREAKS(move_to, (c->withdraw_wanted = ch_amount_of(1), c->move_to = (ch_target){.set = true, .side = 2}))            \
  BREAKS(reserved_side, (reserved(c), c->reserved.side = 2))                                                           \
  BREAKS(reserved_seq, (reserved(c), c->reserved.seq = CH_SEQ_LAST))                                                   \
  BREAKS(reserved_amount, (reserved(c), c->reserved.amount = TOO_MUCH))                                                \
  BREAKS(reserved_to, (reserved(c), c->reserved.to = (ch_target){.set = true, .side = 2}))                             \
  BREAKS(op_amount, c->ops[0].amount = TOO_MUCH)                                                                       \
  BREAKS(op_kind, c->ops[0].kind = CH_OP_EXPIRE + 1)                                                                   \
  BREAKS(op_no_kind, c->ops[0].kind = 0)                                                                               \
  BREAKS(lock_kind, c->locks[0].op.kind = CH_OP_PAY)                                                                   \
  BREAKS(lock_payer, c->locks[0].payer = 2)                                                                            \
  BREAKS(lock_amount, c->locks[0].op.amount = TOO_MUCH)                                                                \
  BREAKS(lock_expiry, c->locks[0].op.valid_until = CH_LOCK_EXPIRY_MAX + 1)                                             \
  BREAKS(lock_payload, c->locks[0].op.u.add.payload_len = 31)                                                          \
  BREAKS(lock_want, c->locks[0].want = CH_OP_PAY)                                                                      \
  BREAKS(dust, c->limits.dust = TOO_MUCH)                                                                              \
  BREAKS(in_flight, c->limits.in_flight = TOO_MUCH)

#define FUNCTION(name, what)                                                                                           \
  static void break_##name(ch_channel *c) {                                                                            \
    what;                                                                                                              \
  }
RECORDS(FUNCTION)

static void test_records(void **state) {
  const duo *d = *state;
  static const struct {
    const char *name;
    void (*breaks)(ch_channel *c);
  } records[] = {
#define ROW(name, what) {#name, break_##name},
      RECORDS(ROW)};
  ch_channel *good = copy_of(d);
  ended(good);
  reserved(good);
  assert_int_equal(through_record(good), CH_OK);
  ch_channel_free(good);
  for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
    ch_channel *c = copy_of(d);
    records[i].breaks(c);
    ch_err err = through_record(c);
    if (err != CH_ERR_FORMAT) fail_msg("%s: %s", records[i].name, ch_err_name(err));
    ch_channel_free(c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_within, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lock_hashes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_between, setup, teardown),
      cmocka_unit_test_setup_teardown(test_step_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_signing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_unknown_operation, setup, teardown),
      cmocka_unit_test_setup_teardown(test_sums_that_overflow, setup, teardown),
      cmocka_unit_test_setup_teardown(test_records, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
