/* Conditional transfers: every rule of proto/protocol.md, section 6, in the engine. */
#include <stdio.h>

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

/* Side 0 locks 100 for side 1 under preimage 1, for a day. */
static void lock_one(void) {
  assert_int_equal(duo_lock(&d, 0, "a", 100, 1, DAY), CH_OK);
  duo_pump(&d);
  duo_see(&d, 0);
  duo_see(&d, 1);
  duo_pump(&d);
}

static uint32_t locks(int s) {
  return duo_info(&d, s).locks;
}

/* What both sides hold and have locked. */
static void balances(uint64_t mine0, uint64_t mine1, uint64_t locked0, uint64_t locked1) {
  ch_info a = duo_info(&d, 0), b = duo_info(&d, 1);
  assert_true(a.balance_mine.v == mine0 && a.balance_peer.v == mine1);
  assert_true(b.balance_mine.v == mine1 && b.balance_peer.v == mine0);
  assert_true(a.locked_mine.v == locked0 && a.locked_peer.v == locked1);
  assert_true(b.locked_mine.v == locked1 && b.locked_peer.v == locked0);
  assert_int_equal(a.version, b.version);
}

static void row_is(int s, bool in, const char *id, ch_payment_status status, ch_err reason) {
  const duo_row *r = duo_row_of(&d, s, in, id);
  assert_non_null(r);
  assert_int_equal(r->status, status);
  assert_int_equal(r->reason, reason);
}

/* --- Among honest sides ---------------------------------------------------------------------------------- */

static void test_fulfilled(void **state) {
  (void)state;
  lock_one();
  balances(1000, 1000, 100, 0);
  assert_true(duo_info(&d, 0).spendable.v == 900);
  row_is(0, false, "a", CH_PAYMENT_LOCKED, CH_OK);
  row_is(1, true, "a", CH_PAYMENT_LOCKED, CH_OK);
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  row_is(1, true, "a", CH_PAYMENT_LOCKED, CH_OK); /* not settled before the peer has signed */
  duo_pump(&d);
  balances(900, 1100, 0, 0);
  row_is(0, false, "a", CH_PAYMENT_SETTLED, CH_OK);
  row_is(1, true, "a", CH_PAYMENT_SETTLED, CH_OK);
  const ch_hash secret = duo_preimage(1);
  assert_true(duo_row_of(&d, 0, false, "a")->has_preimage);
  assert_memory_equal(&duo_row_of(&d, 0, false, "a")->preimage, &secret, sizeof secret);
  assert_int_equal(locks(0) + locks(1), 0);
}

static void test_given_back(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_cancel(&d, 1, "a"), CH_OK);
  duo_pump(&d);
  balances(1000, 1000, 0, 0);
  row_is(0, false, "a", CH_PAYMENT_FAILED, CH_ERR_CANCELLED);
  row_is(1, true, "a", CH_PAYMENT_FAILED, CH_ERR_CANCELLED);
}

static void test_many_in_one_proposal_and_both_ways(void **state) {
  (void)state;
  ch_op ops[4] = {duo_op_lock(&d, "a", 100, 1, DAY), duo_op_pay("p", 50), duo_op_lock(&d, "b", 30, 2, DAY),
                  duo_op_lock(&d, "c", 20, 3, DAY)};
  const ch_event ev = ch_event_pay(ops, 4);
  assert_int_equal(duo_step(&d, 0, &ev), CH_OK);
  assert_int_equal(duo_lock(&d, 1, "d", 70, 4, DAY), CH_OK); /* crosses */
  duo_pump(&d);
  balances(950, 1050, 150, 70);
  assert_int_equal(duo_fulfil(&d, 1, "b", 2), CH_OK);
  assert_int_equal(duo_cancel(&d, 1, "c"), CH_OK);
  assert_int_equal(duo_fulfil(&d, 0, "d", 4), CH_OK);
  duo_pump(&d);
  balances(990, 1010, 100, 0);
  row_is(0, false, "b", CH_PAYMENT_SETTLED, CH_OK);
  row_is(0, false, "c", CH_PAYMENT_FAILED, CH_ERR_CANCELLED);
  row_is(1, false, "d", CH_PAYMENT_SETTLED, CH_OK);
}

/* Restarts, cut connections and a proposal that has to be made again lose no lock and no wish. */
static void test_wishes_survive(void **state) {
  (void)state;
  lock_one();
  duo_cut(&d);
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_restart(&d, 1);
  duo_restart(&d, 0);
  balances(1000, 1000, 100, 0);
  duo_connect(&d);
  duo_pump(&d);
  balances(900, 1100, 0, 0);
}

static void test_add_survives_a_restart(void **state) {
  (void)state;
  duo_cut(&d);
  assert_int_equal(duo_lock(&d, 0, "a", 100, 1, DAY), CH_OK);
  assert_true(duo_info(&d, 0).pending.v == 100 && duo_info(&d, 0).spendable.v == 900);
  duo_restart(&d, 0);
  duo_connect(&d);
  duo_pump(&d);
  balances(1000, 1000, 100, 0);
  duo_restart(&d, 0);
  duo_restart(&d, 1);
  balances(1000, 1000, 100, 0);
}

static void test_proposed_lock_survives_a_restart(void **state) {
  (void)state;
  assert_int_equal(duo_lock(&d, 0, "a", 100, 1, DAY), CH_OK);
  duo_restart(&d, 0); /* its proposal is lost on the way */
  duo_cut(&d);
  duo_connect(&d);
  duo_pump(&d);
  balances(1000, 1000, 100, 0);
}

/* --- Validity and limits ---------------------------------------------------------------------------------- */

static void test_locked_money_is_not_spendable(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_pay(&d, 0, "p", 901), CH_ERR_FUNDS);
  assert_int_equal(duo_lock(&d, 0, "b", 901, 2, DAY), CH_ERR_FUNDS);
  const ch_event ev = ch_event_withdraw(ch_amount_of(901));
  assert_int_equal(duo_step(&d, 0, &ev), CH_ERR_FUNDS);
  assert_int_equal(duo_pay(&d, 0, "p", 900), CH_OK);
  duo_pump(&d);
  balances(100, 1900, 100, 0);
}

/* The peer would pay with what it has locked: refused, though its balance alone would cover it. */
static void test_peer_cannot_spend_locked_money(void **state) {
  (void)state;
  lock_one();
  uint64_t v = duo_info(&d, 1).version, next = ch_next_version(0, v);
  ch_op pay = duo_op_pay("x", 950);
  ch_msg m = duo_lock_proposal(&d, 0, 1, v, next, 950, &pay, 1);
  assert_int_equal(duo_give(&d, 1, &m), CH_OK);
  assert_true(duo_said(&d, 1, CH_MSG_UPDATE)->u.update.has_refusal);
  assert_int_equal(duo_said(&d, 1, CH_MSG_UPDATE)->u.update.reason, CH_ERR_FUNDS);
}

/* Refused here when asked for, and by the other side when a peer proposes it all the same. */
static void refused_add(ch_op op, ch_err reason) {
  const ch_event ev = ch_event_pay(&op, 1);
  assert_int_equal(duo_step(&d, 0, &ev), reason);
  uint64_t v = duo_info(&d, 1).version;
  int64_t net = (int64_t)duo_info(&d, 1).net.v;
  ch_msg m = duo_lock_proposal(&d, 0, 1, v, ch_next_version(0, v), net, &op, 1);
  assert_int_equal(duo_give(&d, 1, &m), CH_OK);
  const ch_msg *said = duo_said(&d, 1, CH_MSG_UPDATE);
  assert_true(said && said->u.update.has_refusal);
  assert_int_equal(said->u.update.reason, reason);
  assert_int_equal(duo_info(&d, 1).version, v);
}

static void test_dust(void **state) {
  (void)state;
  refused_add(duo_op_lock(&d, "a", 1, 1, DAY), CH_ERR_LOCK_LIMIT);
}

static void test_in_flight(void **state) {
  (void)state;
  lock_one();
  refused_add(duo_op_lock(&d, "b", 801, 2, DAY), CH_ERR_LOCK_LIMIT);
}

static void test_expiry_too_near_to_reveal(void **state) {
  (void)state;
  refused_add(duo_op_lock(&d, "a", 100, 1, DUO_FRESHNESS + DUO_MARGIN), CH_ERR_EXPIRY);
}

static void test_expiry_too_far(void **state) {
  (void)state;
  refused_add(duo_op_lock(&d, "a", 100, 1, DUO_LONGEST + 1000), CH_ERR_EXPIRY);
}

static void test_hash_is_pending_already(void **state) {
  (void)state;
  lock_one();
  refused_add(duo_op_lock(&d, "b", 50, 1, DAY), CH_ERR_HASH_USED);
}

static void test_hash_was_used(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_pump(&d);
  duo_restart(&d, 1);
  duo_restart(&d, 0);
  duo_cut(&d);
  duo_connect(&d);
  duo_pump(&d);
  refused_add(duo_op_lock(&d, "b", 50, 1, DAY), CH_ERR_HASH_USED);
}

static ch_op contract(const char *id, uint8_t payload, uint32_t gas) {
  ch_op op = duo_op_lock(&d, id, 5, 1, DAY);
  memset(op.u.add.condition.b, 0xcc, sizeof(ch_addr));
  op.u.add.gas = gas;
  op.u.add.payload_len = payload;
  return op;
}

static void test_gas(void **state) {
  (void)state;
  refused_add(contract("a", 4, 1000001), CH_ERR_LOCK_LIMIT);
}

static int opened_tight(void **state) {
  duo_make(&d, 1000, 1000);
  d.limits.count = 2;
  d.limits.payload = 64;
  d.limits.gas = 100;
  duo_agree(&d);
  duo_pump(&d);
  for (int s = 0; s < 2; s++) {
    assert_int_equal(duo_command(&d, s, CH_EV_TICK), CH_OK);
    duo_mine(&d, s);
  }
  duo_finalise(&d);
  duo_pump(&d);
  *state = &d;
  return 0;
}

static void test_number(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_lock(&d, 1, "b", 5, 2, DAY), CH_OK); /* of both sides together */
  duo_pump(&d);
  ch_op op = contract("c", 0, 0);
  refused_add(op, CH_ERR_LOCK_LIMIT);
}

static void test_payload(void **state) {
  (void)state;
  lock_one();
  refused_add(contract("c", 33, 0), CH_ERR_LOCK_LIMIT);
}

static int opened_without(void **state) {
  duo_make(&d, 1000, 1000);
  memset(&d.limits, 0, sizeof d.limits);
  duo_agree(&d);
  duo_pump(&d);
  for (int s = 0; s < 2; s++) {
    assert_int_equal(duo_command(&d, s, CH_EV_TICK), CH_OK);
    duo_mine(&d, s);
  }
  duo_finalise(&d);
  duo_pump(&d);
  *state = &d;
  return 0;
}

static void test_none_agreed(void **state) {
  (void)state;
  refused_add(duo_op_lock(&d, "a", 100, 1, DAY), CH_ERR_LOCK_LIMIT);
}

/* --- What a peer must not do ------------------------------------------------------------------------------- */

static ch_op resolve_op(ch_op_kind kind, const char *id, unsigned preimage) {
  ch_lock_info lock;
  ch_op op = duo_op(kind);
  assert_true(duo_find_lock(&d, 1, id, &lock));
  op.u.resolve.lock = lock.lock_id;
  op.u.resolve.has_preimage = kind == CH_OP_FULFIL;
  if (op.u.resolve.has_preimage) op.u.resolve.preimage = duo_preimage(preimage);
  return op;
}

static void violates(int from, int64_t net, ch_op op) {
  int to = 1 - from;
  uint64_t v = duo_info(&d, to).version;
  ch_msg m = duo_lock_proposal(&d, from, to, v, ch_next_version((uint8_t)from, v), net, &op, 1);
  duo_refused(&d, to, &m, CH_ERR_VIOLATION);
}

static void test_violations(void **state) {
  (void)state;
  lock_one();
  violates(1, 100, resolve_op(CH_OP_FULFIL, "a", 2)); /* a wrong preimage */
  violates(0, 0, resolve_op(CH_OP_CANCEL, "a", 0));   /* the payer */
  violates(1, 0, resolve_op(CH_OP_EXPIRE, "a", 0));   /* the payee */
  ch_op unknown = resolve_op(CH_OP_CANCEL, "a", 0);
  unknown.u.resolve.lock.b[0] ^= 1;
  violates(1, 0, unknown);
  violates(0, 0, duo_op_lock(&d, "a", 7, 2, DAY)); /* the id of a pending one */
}

/* The locks are part of what is signed: a signature on the same net without them is none. */
static void test_signature_covers_the_locks(void **state) {
  (void)state;
  uint64_t v = duo_info(&d, 1).version;
  ch_op op = duo_op_lock(&d, "a", 100, 1, DAY);
  ch_msg m = duo_proposal(&d, 0, v, ch_next_version(0, v), 0, &op, 1);
  duo_refused(&d, 1, &m, CH_ERR_SIGNATURE);
}

static void test_cancel_cannot_be_refused(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_cancel(&d, 1, "a"), CH_OK);
  uint64_t v = duo_info(&d, 1).version, mine = duo_info(&d, 1).outstanding;
  ch_msg m = duo_lock_proposal(&d, 0, 1, v, mine + 1, 0, NULL, 0);
  m.u.update.has_proposal = false;
  m.u.update.has_refusal = true;
  duo_refused(&d, 1, &m, CH_ERR_VIOLATION);
}

static void test_commands_that_make_no_sense(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_fulfil(&d, 1, "a", 2), CH_ERR_ARGUMENT);
  assert_int_equal(duo_fulfil(&d, 0, "a", 1), CH_ERR_ARGUMENT);
  assert_int_equal(duo_cancel(&d, 0, "a"), CH_ERR_ARGUMENT);
  assert_int_equal(duo_cancel(&d, 1, "nothing"), CH_ERR_UNKNOWN_LOCK);
  assert_int_equal(duo_cancel(&d, 1, "a"), CH_OK);
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_ERR_PHASE); /* the other wish is under way */
  duo_pump(&d);
  assert_int_equal(duo_lock(&d, 0, "again", 100, 1, DAY), CH_ERR_HASH_USED);
}

/* --- Time -------------------------------------------------------------------------------------------------- */

static void see_both(void) {
  duo_see(&d, 0);
  duo_see(&d, 1);
  assert_int_equal(duo_command(&d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_command(&d, 1, CH_EV_TICK), CH_OK);
}

static void test_expired_is_taken_back(void **state) {
  (void)state;
  lock_one();
  duo_pass(&d, DAY);
  see_both();
  duo_pump(&d);
  balances(1000, 1000, 100, 0); /* the last second is still the payee's */
  duo_pass(&d, 1);
  see_both();
  duo_pump(&d);
  balances(1000, 1000, 0, 0);
  row_is(0, false, "a", CH_PAYMENT_FAILED, CH_ERR_EXPIRED);
  row_is(1, true, "a", CH_PAYMENT_FAILED, CH_ERR_EXPIRED);
}

/* Only a final block past the expiry counts: an earlier one may be replaced by one with a reveal. */
static void test_expiry_waits_for_finality(void **state) {
  (void)state;
  lock_one();
  uint64_t was = d.final_time;
  duo_pass(&d, DAY + 1);
  d.final_time = was + DAY;
  see_both();
  duo_pump(&d);
  balances(1000, 1000, 100, 0);
  ch_op op = resolve_op(CH_OP_EXPIRE, "a", 0);
  uint64_t v = duo_info(&d, 1).version;
  ch_msg m = duo_lock_proposal(&d, 0, 1, v, ch_next_version(0, v), 0, &op, 1);
  assert_int_equal(duo_give(&d, 1, &m), CH_OK);
  assert_int_equal(duo_said(&d, 1, CH_MSG_UPDATE)->u.update.reason, CH_ERR_EXPIRY);
}

/* Nor before the chain's word on the hash has come. */
static void test_expiry_waits_for_the_look(void **state) {
  (void)state;
  lock_one();
  duo_restart(&d, 0);
  duo_restart(&d, 1);
  duo_cut(&d);
  duo_connect(&d);
  duo_pass(&d, DAY + 1);
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_command(&d, s, CH_EV_TICK), CH_OK);
  duo_pump(&d);
  assert_int_equal(duo_info(&d, 0).blind_locks, 1);
  balances(1000, 1000, 100, 0);
  see_both();
  duo_pump(&d);
  balances(1000, 1000, 0, 0);
}

/* The peer is silent: the fulfil is not settled, so its preimage goes on chain while there is time. */
static void test_payee_reveals_in_time(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_drop(&d, 1);
  assert_null(duo_wish(&d, 1, CH_TX_REVEAL));
  duo_pass(&d, DAY - DUO_FRESHNESS - DUO_MARGIN - 1);
  assert_int_equal(duo_command(&d, 1, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(&d, 1, CH_TX_REVEAL));
  duo_pass(&d, 1);
  assert_int_equal(duo_command(&d, 1, CH_EV_TICK), CH_OK);
  assert_non_null(duo_wish(&d, 1, CH_TX_REVEAL));
  duo_mine(&d, 1);
  duo_see(&d, 1);
  assert_null(duo_wish(&d, 1, CH_TX_REVEAL));
  d.n_reveals = 0; /* a reorganisation takes it back: it is wanted again */
  duo_see(&d, 1);
  assert_non_null(duo_wish(&d, 1, CH_TX_REVEAL));
  duo_mine(&d, 1);
  duo_finalise(&d);
  /* Now the payer sees it, and pays, long after the expiry. */
  duo_pass(&d, DAY);
  duo_cut(&d);
  duo_connect(&d);
  duo_pump(&d);
  see_both();
  duo_pump(&d);
  balances(900, 1100, 0, 0);
  row_is(0, false, "a", CH_PAYMENT_SETTLED, CH_OK);
}

/* The accept makes it settled, and the timer ends. */
static void test_settled_fulfil_is_not_revealed(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_pump(&d);
  duo_pass(&d, DAY - 10);
  assert_int_equal(duo_command(&d, 1, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(&d, 1, CH_TX_REVEAL));
}

/* An accept that is not adopted, as the chain stands still, settles nothing: the timer stays armed. */
static void test_accept_behind_a_stalled_chain_settles_nothing(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  assert_int_equal(duo_deliver(&d, 1), CH_OK);
  d.now += DUO_FRESHNESS + 1;
  assert_int_equal(duo_deliver(&d, 0), CH_ERR_STALE);
  row_is(1, true, "a", CH_PAYMENT_LOCKED, CH_OK);
  row_is(0, false, "a", CH_PAYMENT_SETTLED, CH_OK);
  duo_pass(&d, DAY - DUO_FRESHNESS - DUO_MARGIN);
  assert_int_equal(duo_command(&d, 1, CH_EV_TICK), CH_OK);
  assert_non_null(duo_wish(&d, 1, CH_TX_REVEAL));
}

/* Past the expiry a fulfil is a gift, unless the chain has the reveal. */
static void test_late_fulfil_is_refused_and_its_preimage_kept(void **state) {
  (void)state;
  lock_one();
  duo_pass(&d, DAY + 1);
  d.final_time -= 100;
  ch_op op = resolve_op(CH_OP_FULFIL, "a", 1);
  uint64_t v = duo_info(&d, 0).version;
  ch_msg m = duo_lock_proposal(&d, 1, 0, v, ch_next_version(1, v), 100, &op, 1);
  assert_int_equal(duo_give(&d, 0, &m), CH_OK);
  assert_int_equal(duo_said(&d, 0, CH_MSG_UPDATE)->u.update.reason, CH_ERR_EXPIRED);
  ch_lock_info lock;
  duo_restart(&d, 0);
  assert_true(duo_find_lock(&d, 0, "a", &lock) && lock.known);
}

/* Even a fulfil that is ignored, as an own proposal crosses it, has told the preimage. */
static void test_preimage_of_an_ignored_fulfil_is_kept(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_info(&d, 0).version, 2);
  assert_int_equal(duo_pay(&d, 0, "crossing", 1), CH_OK); /* version 4 */
  ch_op op = resolve_op(CH_OP_FULFIL, "a", 1);
  ch_msg m = duo_lock_proposal(&d, 1, 1, 2, 3, 100, &op, 1);
  assert_int_equal(duo_give(&d, 0, &m), CH_OK);
  row_is(0, false, "a", CH_PAYMENT_LOCKED, CH_OK);
  ch_lock_info lock;
  duo_restart(&d, 0);
  assert_true(duo_find_lock(&d, 0, "a", &lock) && lock.known);
}

static void test_late_fulfil_of_what_was_revealed(void **state) {
  (void)state;
  lock_one();
  ch_tx tx = {.kind = CH_TX_REVEAL};
  tx.u.reveal.preimage = duo_preimage(1);
  assert_int_equal(duo_send_tx(&d, 1, 0, &tx), CH_ADJ_NONE);
  duo_pass(&d, DAY + 1);
  d.final_time -= DAY;
  duo_see(&d, 0);
  duo_see(&d, 1);
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_pump(&d);
  balances(900, 1100, 0, 0);
}

/* Revealed by whoever, the payee gone: the payer pays by itself, as the chain would. */
static void test_payer_pays_what_the_chain_decided(void **state) {
  (void)state;
  lock_one();
  ch_tx tx = {.kind = CH_TX_REVEAL};
  tx.u.reveal.preimage = duo_preimage(1);
  assert_int_equal(duo_send_tx(&d, 1, 0, &tx), CH_ADJ_NONE);
  duo_finalise(&d);
  duo_pump(&d);
  balances(900, 1100, 0, 0);
}

/* --- Leaving ------------------------------------------------------------------------------------------------ */

static void test_shutdown_waits_for_the_locks(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_command(&d, 0, CH_EV_CLOSE), CH_OK);
  duo_pump(&d);
  assert_int_equal(duo_info(&d, 0).phase, CH_PHASE_SHUTDOWN);
  assert_int_equal(duo_info(&d, 0).wait, CH_WAIT_LOCKS);
  assert_int_equal(d.side[0].n_closes + d.side[1].n_closes, 0);
  assert_int_equal(duo_lock(&d, 1, "b", 5, 2, DAY), CH_ERR_PHASE);
  ch_msg m = duo_close_msg(&d, 1, 0, d.now + 1000);
  duo_ignored(&d, 0, &m);
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_pump(&d);
  assert_int_equal(duo_info(&d, 0).phase, CH_PHASE_CLOSING);
}

static void settle_after(uint64_t seconds, int who) {
  duo_pass(&d, seconds);
  assert_int_equal(duo_command(&d, who, CH_EV_TICK), CH_OK);
}

/* A dispute with a lock: revealed at once, settled after the window, by the locks in clear. */
static void test_dispute_with_a_reveal(void **state) {
  (void)state;
  lock_one();
  duo_cut(&d);
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  assert_int_equal(duo_command(&d, 1, CH_EV_CHALLENGE), CH_OK);
  assert_non_null(duo_wish(&d, 1, CH_TX_REVEAL));
  duo_mine(&d, 1);
  see_both();
  settle_after(DUO_PERIOD + 1, 1);
  duo_mine(&d, 1);
  duo_finalise(&d);
  ch_info info = duo_info(&d, 1);
  assert_int_equal(info.phase, CH_PHASE_CLOSED);
  assert_true(info.paid[0].v == 900 && info.paid[1].v == 1100);
  row_is(1, true, "a", CH_PAYMENT_SETTLED, CH_OK);
  row_is(0, false, "a", CH_PAYMENT_SETTLED, CH_OK);
  assert_int_equal(locks(0) + locks(1), 0);
}

/* Nobody reveals: settling waits for the expiry. */
static void test_dispute_waits_for_the_expiry(void **state) {
  (void)state;
  assert_int_equal(duo_lock(&d, 0, "a", 100, 1, 2 * DAY), CH_OK);
  duo_pump(&d);
  see_both();
  duo_cut(&d);
  assert_int_equal(duo_command(&d, 0, CH_EV_CHALLENGE), CH_OK);
  duo_mine(&d, 0);
  see_both();
  settle_after(DUO_PERIOD + 1, 0);
  assert_null(duo_wish(&d, 0, CH_TX_SETTLE));
  settle_after(2 * DAY - DUO_PERIOD - 1, 0);
  assert_null(duo_wish(&d, 0, CH_TX_SETTLE));
  settle_after(1, 0);
  duo_mine(&d, 0);
  duo_finalise(&d);
  assert_true(duo_info(&d, 0).paid[0].v == 1000);
  row_is(0, false, "a", CH_PAYMENT_FAILED, CH_ERR_EXPIRED);
  row_is(1, true, "a", CH_PAYMENT_FAILED, CH_ERR_EXPIRED);
}

/* Rule 6 of section 4: what the peer may have signed of my outstanding counts if the chain executes it. */
static void test_executed_outstanding(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  assert_int_equal(duo_deliver(&d, 1), CH_OK); /* the payer has signed it, and leaves with it without a word */
  duo_cut(&d);
  assert_int_equal(duo_command(&d, 0, CH_EV_CHALLENGE), CH_OK);
  duo_mine(&d, 0);
  see_both();
  settle_after(DUO_PERIOD + 1, 0);
  duo_mine(&d, 0);
  duo_finalise(&d);
  row_is(1, true, "a", CH_PAYMENT_SETTLED, CH_OK);
  row_is(0, false, "a", CH_PAYMENT_SETTLED, CH_OK);
  assert_true(duo_info(&d, 1).paid[1].v == 1100);
}

/* The payer leaves with an older state, in which the lock is pending: the payee refutes. */
static void test_older_state_with_the_lock_is_refuted(void **state) {
  (void)state;
  lock_one();
  ch_state st;
  ch_outcome o;
  ch_tx tx = duo_challenge_tx(&d, 0, 0, 0);
  ch_channel_latest(d.side[0].channel, &st, &o, tx.u.challenge.sig);
  tx.u.challenge.challenge.version = st.version;
  tx.u.challenge.challenge.outcome_hash = st.outcome_hash;
  assert_int_equal(duo_fulfil(&d, 1, "a", 1), CH_OK);
  duo_pump(&d);
  assert_int_equal(duo_send_tx(&d, 0, DUO_BOND, &tx), CH_ADJ_NONE);
  see_both();
  assert_non_null(duo_wish(&d, 1, CH_TX_REFUTE));
  duo_mine(&d, 1);
  see_both();
  settle_after(DUO_PERIOD + 4000, 1);
  duo_mine(&d, 1);
  duo_finalise(&d);
  assert_true(duo_info(&d, 1).paid[1].v == 1100);
}

/* As many as can be, both ways, half of them revealed. */
static void test_dispute_with_the_most_locks(void **state) {
  (void)state;
  char id[8];
  for (unsigned i = 0; i < CH_LOCKS_MAX; i++) {
    snprintf(id, sizeof id, "l%u", i);
    assert_int_equal(duo_lock(&d, (int)(i & 1), id, 2, 100 + i, DAY), CH_OK);
    duo_pump(&d);
  }
  assert_int_equal(locks(0), CH_LOCKS_MAX);
  assert_int_equal(duo_lock(&d, 0, "more", 2, 99, DAY), CH_ERR_LOCK_LIMIT);
  duo_cut(&d);
  for (unsigned i = 0; i < CH_LOCKS_MAX; i += 2) { /* those that side 0 pays */
    snprintf(id, sizeof id, "l%u", i);
    assert_int_equal(duo_fulfil(&d, 1, id, 100 + i), CH_OK);
  }
  assert_int_equal(duo_command(&d, 1, CH_EV_CHALLENGE), CH_OK);
  assert_int_equal(duo_count(&d, 1, CH_FX_TX), CH_LOCKS_MAX / 2 + 1);
  duo_mine(&d, 1);
  see_both();
  settle_after(DUO_PERIOD + 1, 1);
  duo_mine(&d, 1);
  duo_finalise(&d);
  assert_true(duo_info(&d, 1).paid[1].v == 1000 + CH_LOCKS_MAX);
  row_is(0, false, "l0", CH_PAYMENT_SETTLED, CH_OK);
  row_is(1, false, "l1", CH_PAYMENT_FAILED, CH_ERR_EXPIRED);
}

/* After shutdown nothing new is locked, whoever asks. */
static void test_nothing_new_after_shutdown(void **state) {
  (void)state;
  lock_one();
  assert_int_equal(duo_command(&d, 1, CH_EV_CLOSE), CH_OK);
  duo_pump(&d);
  uint64_t v = duo_info(&d, 1).version;
  ch_op op = duo_op_lock(&d, "b", 50, 2, DAY);
  ch_msg m = duo_lock_proposal(&d, 0, 1, v, ch_next_version(0, v), 0, &op, 1);
  assert_int_equal(duo_give(&d, 1, &m), CH_OK);
  assert_int_equal(duo_said(&d, 1, CH_MSG_UPDATE)->u.update.reason, CH_ERR_PHASE);
}

/* What was revealed in time is not taken back, however final the expiry is. */
static void test_no_expiry_of_what_was_revealed(void **state) {
  (void)state;
  lock_one();
  ch_tx tx = {.kind = CH_TX_REVEAL};
  tx.u.reveal.preimage = duo_preimage(1);
  assert_int_equal(duo_send_tx(&d, 1, 0, &tx), CH_ADJ_NONE);
  duo_pass(&d, DAY + 1);
  duo_see(&d, 1); /* at the head */
  ch_op op = resolve_op(CH_OP_EXPIRE, "a", 0);
  uint64_t v = duo_info(&d, 1).version;
  ch_msg m = duo_lock_proposal(&d, 0, 1, v, ch_next_version(0, v), 0, &op, 1);
  assert_int_equal(duo_give(&d, 1, &m), CH_OK);
  assert_int_equal(duo_said(&d, 1, CH_MSG_UPDATE)->u.update.reason, CH_ERR_EXPIRY);
}

/* A side that sees an older block refuses; it is not asked again before another block came. */
static void test_refused_wish_waits_for_a_block(void **state) {
  (void)state;
  lock_one();
  uint64_t was = d.final_time;
  duo_pass(&d, DAY + 1);
  assert_int_equal(duo_command(&d, 0, CH_EV_TICK), CH_OK);
  d.final_time = was; /* as the payee sees it */
  assert_int_equal(duo_deliver(&d, 0), CH_OK);
  assert_true(duo_said(&d, 1, CH_MSG_UPDATE)->u.update.has_refusal);
  d.final_time = d.now;
  assert_int_equal(duo_deliver(&d, 1), CH_OK);
  const ch_msg *said = duo_said(&d, 0, CH_MSG_UPDATE);
  assert_true(said->u.update.has_accept && !said->u.update.has_proposal);
  duo_pump(&d);
  row_is(0, false, "a", CH_PAYMENT_LOCKED, CH_OK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, opened, done)
#define T_WITH(name, setup) cmocka_unit_test_setup_teardown(name, setup, done)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_fulfilled),
      T(test_given_back),
      T(test_many_in_one_proposal_and_both_ways),
      T(test_wishes_survive),
      T(test_add_survives_a_restart),
      T(test_proposed_lock_survives_a_restart),
      T(test_locked_money_is_not_spendable),
      T(test_peer_cannot_spend_locked_money),
      T(test_dust),
      T(test_in_flight),
      T(test_expiry_too_near_to_reveal),
      T(test_expiry_too_far),
      T(test_hash_is_pending_already),
      T(test_hash_was_used),
      T(test_gas),
      T_WITH(test_number, opened_tight),
      T_WITH(test_payload, opened_tight),
      T_WITH(test_none_agreed, opened_without),
      T(test_violations),
      T(test_signature_covers_the_locks),
      T(test_cancel_cannot_be_refused),
      T(test_commands_that_make_no_sense),
      T(test_expired_is_taken_back),
      T(test_expiry_waits_for_finality),
      T(test_expiry_waits_for_the_look),
      T(test_payee_reveals_in_time),
      T(test_settled_fulfil_is_not_revealed),
      T(test_accept_behind_a_stalled_chain_settles_nothing),
      T(test_late_fulfil_is_refused_and_its_preimage_kept),
      T(test_preimage_of_an_ignored_fulfil_is_kept),
      T(test_late_fulfil_of_what_was_revealed),
      T(test_payer_pays_what_the_chain_decided),
      T(test_shutdown_waits_for_the_locks),
      T(test_dispute_with_a_reveal),
      T(test_dispute_waits_for_the_expiry),
      T(test_executed_outstanding),
      T(test_older_state_with_the_lock_is_refuted),
      T(test_dispute_with_the_most_locks),
      T(test_nothing_new_after_shutdown),
      T(test_no_expiry_of_what_was_revealed),
      T(test_refused_wish_waits_for_a_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
