/* Operations on conditional transfers that a peer must not propose, and what it says when it refuses mine: protocol.md,
 * sections 4 and 6. (What happens to locks among honest sides: test_engine_locks.c, test_engine_contracts.c.) */
#include "engine_fixture.h"

#define DAY 86400u

static duo d;

/* A contract's lock of 5. */
static ch_op contract(const char *id) {
  ch_op op = duo_op_lock(&d, id, 5, 7, 2 * DAY);
  memset(op.u.add.condition.b, 0xcc, sizeof(ch_addr));
  op.u.add.gas = 1000;
  op.u.add.payload_len = 4;
  return op;
}

static void add(int s, ch_op op) {
  const ch_event ev = ch_event_pay(&op, 1);
  assert_int_equal(duo_step(&d, s, &ev), CH_OK);
  duo_pump(&d);
}

/* Side 0 has a hash lock of 100 and a contract's lock pending. */
static int opened(void **state) {
  duo_open(&d, 1000, 1000);
  assert_int_equal(duo_lock(&d, 0, "hash", 100, 1, DAY), CH_OK);
  duo_pump(&d);
  add(0, contract("contract"));
  *state = &d;
  return 0;
}

static int done(void **state) {
  (void)state;
  duo_free(&d);
  return 0;
}

/* --- What a peer must not do ------------------------------------------------------------------------------------ */

static ch_op resolve(ch_op_kind kind, const char *id, const ch_hash *preimage) {
  ch_lock_info lock;
  ch_op op = duo_op(kind);
  assert_true(duo_find_lock(&d, 1, id, &lock));
  op.u.resolve.lock = lock.lock_id;
  op.u.resolve.has_preimage = preimage != NULL;
  if (preimage) op.u.resolve.preimage = *preimage;
  return op;
}

static ch_err propose(int from, int64_t net, ch_op op) {
  uint64_t v = duo_info(&d, 1 - from).version;
  ch_msg m = duo_lock_proposal(&d, from, 1 - from, v, ch_next_version((uint8_t)from, v), net, &op, 1);
  return duo_give(&d, 1 - from, &m);
}

static void test_violations(void **state) {
  (void)state;
  const ch_hash right = duo_preimage(1);
  const struct {
    const char *name;
    int from;
    int64_t net;
    ch_op op;
  } rows[] = {
      {"the payee claims without a preimage", 1, 100, resolve(CH_OP_FULFIL, "hash", NULL)},
      {"the payer pays without a preimage", 0, 100, resolve(CH_OP_FULFIL, "hash", NULL)},
      {"the payee decides a contract's", 1, 5, resolve(CH_OP_FULFIL, "contract", NULL)},
      {"a contract's with a preimage", 0, 5, resolve(CH_OP_FULFIL, "contract", &right)},
      {"the payer gives a contract's back", 0, 0, resolve(CH_OP_CANCEL, "contract", NULL)},
      {"a contract's expires", 0, 0, resolve(CH_OP_EXPIRE, "contract", NULL)},
      {"the payee lets it expire", 1, 0, resolve(CH_OP_EXPIRE, "hash", NULL)},
      {"the same lock for another payment", 0, 0, duo_op_lock(&d, "twin", 100, 1, DAY)},
      {"a second lock for the same payment", 0, 0, duo_op_lock(&d, "hash", 30, 2, DAY)},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const int to = 1 - rows[i].from;
    const uint64_t version = duo_info(&d, to).version;
    ch_err err = propose(rows[i].from, rows[i].net, rows[i].op);
    if (err != CH_ERR_VIOLATION) fail_msg("%s: %s", rows[i].name, ch_err_name(err));
    assert_int_equal(duo_info(&d, to).version, version);
    assert_int_equal(duo_info(&d, to).locks, 2);
  }
}

/* Asked for here they are refused at once, and nothing is queued. */
static void test_twins_here(void **state) {
  (void)state;
  assert_int_equal(duo_lock(&d, 0, "twin", 100, 1, DAY), CH_ERR_HASH_USED);
  assert_int_equal(duo_lock(&d, 0, "hash", 30, 2, DAY), CH_ERR_DUPLICATE);
  const ch_op both[2] = {duo_op_lock(&d, "x", 30, 3, DAY), duo_op_lock(&d, "y", 30, 3, DAY)};
  const ch_event ev = ch_event_pay(both, 2);
  assert_int_equal(duo_step(&d, 0, &ev), CH_ERR_HASH_USED);
  assert_int_equal(duo_status(&d, 0, "x"), 0);
  assert_int_equal(duo_info(&d, 0).queued, 0);
}

/* Two that wait for the connection are no twins of a pending one yet. The first is locked, the other says why not. */
static void test_twins_that_wait(void **state) {
  (void)state;
  duo_cut(&d);
  assert_int_equal(duo_lock(&d, 0, "x", 30, 3, DAY), CH_OK);
  assert_int_equal(duo_lock(&d, 0, "y", 30, 3, DAY), CH_OK);
  duo_connect(&d);
  duo_pump(&d);
  assert_int_equal(duo_row_of(&d, 0, false, "x")->status, CH_PAYMENT_LOCKED);
  const duo_row *y = duo_row_of(&d, 0, false, "y");
  assert_int_equal(y->status, CH_PAYMENT_FAILED);
  assert_int_equal(y->reason, CH_ERR_HASH_USED);
  assert_int_equal(duo_info(&d, 1).locks, 3);
}

/* Asked for again, a wish is the same one. */
static void test_wishes_asked_for_twice(void **state) {
  (void)state;
  assert_int_equal(duo_fulfil(&d, 1, "hash", 1), CH_OK);
  assert_int_equal(duo_fulfil(&d, 1, "hash", 1), CH_OK);
  assert_int_equal(duo_cancel(&d, 1, "hash"), CH_ERR_PHASE);
  assert_int_equal(duo_cancel(&d, 1, "contract"), CH_OK);
  assert_int_equal(duo_cancel(&d, 1, "contract"), CH_OK);
  duo_pump(&d);
  assert_int_equal(duo_info(&d, 0).locks, 0);
  assert_true(duo_info(&d, 1).balance_mine.v == 1100);
  assert_int_equal(duo_cancel(&d, 1, "contract"), CH_ERR_UNKNOWN_LOCK);
}

/* The list says how many there are, however few fit. */
static void test_list(void **state) {
  (void)state;
  ch_lock_info list[3];
  const ch_env env = duo_env(&d, 0);
  for (size_t cap = 0; cap <= 3; cap++) {
    memset(list, 0, sizeof list);
    assert_int_equal(ch_channel_locks(d.side[0].channel, &env, list, cap), 2);
    for (size_t i = 0; i < 3; i++)
      assert_int_equal(list[i].op.amount.v, i >= cap ? 0 : i == 0 ? 100 : i == 1 ? 5 : 0);
  }
  ch_env slow = env;
  slow.freshness = slow.margin = UINT32_MAX; /* it would have to be revealed before there was time */
  assert_int_equal(ch_channel_locks(d.side[0].channel, &slow, list, 3), 2);
  assert_int_equal(list[0].reveal_by, 0);
}

/* What can never be a lock is refused before anything else is looked at. */
static void test_no_locks(void **state) {
  (void)state;
  ch_op ops[4];
  for (size_t i = 0; i < 4; i++)
    ops[i] = duo_op_lock(&d, "x", 10, 3, DAY);
  ops[0].amount.v = CH_MONEY_MAX + 1;
  ops[1].u.add.payload_len = CH_OP_PAYLOAD_MAX + 1;
  ops[2].u.add.payload_len = 31; /* of a hash lock */
  ops[3].valid_until = CH_LOCK_EXPIRY_MAX + 1;
  for (size_t i = 0; i < 4; i++) {
    const ch_event ev = ch_event_pay(&ops[i], 1);
    assert_int_equal(duo_step(&d, 0, &ev), CH_ERR_ARGUMENT);
  }
}

/* --- What the peer says ------------------------------------------------------------------------------------------- */

/* Only what can be a reason is taken over; the rest, a newer release's too, means that it was not covered there. */
static void test_reasons(void **state) {
  (void)state;
  static const struct {
    uint32_t said;
    ch_err shown;
  } rows[] = {
      {CH_ERR_PHASE, CH_ERR_PHASE},         {CH_ERR_LOCK_LIMIT, CH_ERR_LOCK_LIMIT}, {CH_ERR_EXPIRY, CH_ERR_EXPIRY},
      {CH_ERR_HASH_USED, CH_ERR_HASH_USED}, {CH_ERR_FUNDS, CH_ERR_FUNDS},           {CH_ERR_BUG, CH_ERR_FUNDS},
      {UINT32_MAX, CH_ERR_FUNDS},
  };
  for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char id[2] = {(char)('a' + i), 0};
    assert_int_equal(duo_lock(&d, 0, id, 10, 20 + i, DAY), CH_OK);
    duo_drop(&d, 0);
    const uint64_t base = duo_info(&d, 0).version, mine = duo_info(&d, 0).outstanding;
    ch_msg m = duo_lock_proposal(&d, 1, 0, base, mine + 1, 0, NULL, 0);
    m.u.update.has_proposal = false;
    m.u.update.has_refusal = true;
    m.u.update.reason = rows[i].said;
    assert_int_equal(duo_give(&d, 0, &m), CH_OK);
    const duo_row *row = duo_row_of(&d, 0, false, id);
    assert_int_equal(row->status, CH_PAYMENT_FAILED);
    assert_int_equal(row->reason, rows[i].shown);
    assert_int_equal(duo_info(&d, 0).version, mine + 1);
    duo_drop(&d, 0);
  }
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, opened, done)
  const struct CMUnitTest tests[] = {
      T(test_violations), T(test_twins_here), T(test_twins_that_wait), T(test_wishes_asked_for_twice),
      T(test_list),       T(test_no_locks),   T(test_reasons),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
