/* Updates against a byzantine peer: protocol.md, section 4, rules 1 to 7, and freshness. */
#include <stdlib.h>

#include "engine_fixture.h"

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

/* Side 1's first proposal on version 0, which pays side 0 five: right in everything but what the test changes. */
static ch_op five[1];
static ch_msg first_proposal(const duo *d) {
  five[0] = duo_op_pay("five", 5);
  return duo_proposal(d, 1, 0, 1, -5, five, 1);
}

/* --- Rule 1: versions, batches ------------------------------------------------------------------------ */

static void test_one_outstanding_then_a_batch(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  const ch_msg *m = duo_said(d, 0, CH_MSG_UPDATE);
  assert_non_null(m);
  assert_true(m->u.update.has_proposal);
  assert_int_equal(m->u.update.base, 0);
  assert_int_equal(m->u.update.version, 2);
  assert_int_equal(m->u.update.n_ops, 1);
  assert_int_equal(duo_pay(d, 0, "b", 20), CH_OK);
  assert_int_equal(duo_pay(d, 0, "c", 30), CH_OK);
  assert_int_equal(d->side[0].n_out, 1);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  m = duo_said(d, 0, CH_MSG_UPDATE);
  assert_non_null(m);
  assert_int_equal(m->u.update.version, 4);
  assert_int_equal(m->u.update.n_ops, 2);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 0, "b"), CH_PAYMENT_PENDING);
  duo_pump(d);
  assert_int_equal(duo_info(d, 1).net.v, 60);
  assert_true(duo_received(d, 1, "c"));
}

/* A full batch is what one proposal may carry; the rest follows. */
static void test_batches_have_a_limit(void **state) {
  duo *d = *state;
  ch_op ops[CH_MAX_OPS + 3];
  for (size_t i = 0; i < CH_MAX_OPS + 3; i++) {
    ops[i] = duo_op_pay("b000", 1);
    ops[i].id[1] = (char)('a' + i / 256);
    ops[i].id[2] = (char)('a' + i / 16 % 16);
    ops[i].id[3] = (char)('a' + i % 16);
  }
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {ops, CH_MAX_OPS + 3}};
  assert_int_equal(duo_step(d, 0, &ev), CH_OK);
  assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.n_ops, CH_MAX_OPS);
  assert_int_equal(duo_info(d, 0).queued, 3);
  duo_pump(d);
  assert_int_equal(duo_info(d, 0).version, 4);
  assert_int_equal(duo_info(d, 1).net.v, CH_MAX_OPS + 3);
}

static void test_versions_must_be_exact(void **state) {
  duo *d = *state;
  static const uint64_t wrong[] = {2, 3, 5, 1u << 20 | 1u, (uint64_t)1 << 40 | 1, UINT64_MAX - 1, UINT64_MAX};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    five[0] = duo_op_pay("five", 5);
    ch_msg m = duo_proposal(d, 1, 0, wrong[i], -5, five, 1);
    duo_refused(d, 0, &m, CH_ERR_VIOLATION);
    m = duo_proposal(d, 1, wrong[i] - 1, wrong[i], -5, five, 1);
    duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  }
  ch_msg m = duo_proposal(d, 1, UINT64_MAX, 1, -5, five, 1);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = first_proposal(d);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).version, 1);
}

/* --- Rule 2: signature, then structure ---------------------------------------------------------------- */

static void refuse_signature(duo *d, const ch_hash *digest, const ch_secret *key) {
  ch_msg m = first_proposal(d);
  assert_int_equal(ch_sign(&m.u.update.sig, digest, key), CH_OK);
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
}

static void test_signatures_of_something_else(void **state) {
  duo *d = *state;
  const ch_secret *key = &d->side[1].channel_key;
  ch_hash digest = duo_digest(d, 1, -5);
  refuse_signature(d, &digest, &d->side[0].channel_key); /* my own */
  refuse_signature(d, &digest, &d->side[1].node_key);
  digest = duo_digest(d, 3, -5);
  refuse_signature(d, &digest, key);
  digest = duo_digest(d, 1, 5);
  refuse_signature(d, &digest, key);
  digest = duo_digest(d, 1, 0);
  refuse_signature(d, &digest, key);

  ch_state st = {.id = d->id, .version = 1, .outcome_hash = duo_outcome(d, 1, -5)};
  ch_hash domain;
  ch_chain other = d->chain;
  other.chain_id++;
  ch_domain(&domain, &other);
  ch_state_digest(&digest, &domain, &st);
  refuse_signature(d, &digest, key);
  other = d->chain;
  other.adjudicator.b[0] ^= 1;
  ch_domain(&domain, &other);
  ch_state_digest(&digest, &domain, &st);
  refuse_signature(d, &digest, key);
  st.epoch = 1;
  ch_state_digest(&digest, &d->domain, &st);
  refuse_signature(d, &digest, key);
  st.epoch = 0;
  st.id.b[31] ^= 1;
  ch_state_digest(&digest, &d->domain, &st);
  refuse_signature(d, &digest, key);
}

/* s -> n - s: the other signature of the same message, which an EVM contract refuses. */
static void flip_s(ch_sig *sig) {
  static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                    0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
  int borrow = 0;
  uint8_t parity = sig->b[32] & 0x80;
  sig->b[32] &= 0x7f;
  for (int i = 31; i >= 0; i--) {
    int v = order[i] - sig->b[32 + i] - borrow;
    borrow = v < 0;
    sig->b[32 + i] = (uint8_t)(v + (borrow ? 256 : 0));
  }
  sig->b[32] ^= parity ^ 0x80;
}

static void test_malformed_signatures(void **state) {
  duo *d = *state;
  ch_msg m = first_proposal(d);
  flip_s(&m.u.update.sig);
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  m = first_proposal(d);
  m.u.update.sig.b[32] ^= 0x80; /* yParity */
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  for (int bit = 0; bit < 512; bit += 37) {
    m = first_proposal(d);
    m.u.update.sig.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  }
  memset(&m.u.update.sig, 0, sizeof m.u.update.sig);
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  memset(&m.u.update.sig, 0xff, sizeof m.u.update.sig);
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  m = first_proposal(d);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
}

static void test_another_epoch_or_channel(void **state) {
  duo *d = *state;
  ch_msg m = first_proposal(d);
  m.epoch = 1;
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = first_proposal(d);
  m.id.b[0] ^= 1;
  duo_refused(d, 0, &m, CH_ERR_UNKNOWN_CHANNEL);
}

static void test_amounts_that_overflow(void **state) {
  duo *d = *state;
  ch_op ops[2] = {duo_op_pay("x", 1), duo_op_pay("y", 1)};
  ops[0].amount.v = ops[1].amount.v = CH_MONEY_MAX;
  ch_msg m = duo_proposal(d, 1, 0, 1, 0, ops, 2);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
}

/* --- Rule 3: crossing --------------------------------------------------------------------------------- */

static void test_crossing_the_lower_gives_way(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "from0", 10), CH_OK); /* version 2 */
  assert_int_equal(duo_pay(d, 1, "from1", 7), CH_OK);  /* version 1 */
  assert_int_equal(duo_deliver(d, 1), CH_OK);          /* below mine: ignored */
  assert_int_equal(d->side[0].n_out, 1);
  assert_int_equal(duo_info(d, 0).version, 0);
  assert_int_equal(duo_deliver(d, 0), CH_OK); /* accepts, and says its own in the same message */
  const ch_msg *m = duo_said(d, 1, CH_MSG_UPDATE);
  assert_int_equal(d->side[1].n_out, 1);
  assert_true(m->u.update.has_accept && m->u.update.has_proposal);
  assert_int_equal(m->u.update.accept_version, 2);
  assert_int_equal(m->u.update.version, 3);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "from0"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 1, "from1"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_info(d, 0).net.v, 3);
  assert_int_equal(duo_info(d, 0).version, 3);
  assert_int_equal(duo_info(d, 1).version, 3);
}

static void test_ignored_proposals_are_evidence(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "mine", 10), CH_OK);
  ch_msg m = first_proposal(d);
  duo_ignored(d, 0, &m);
  m.u.update.sig.b[5] ^= 1; /* checked all the same */
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  duo_cut(d);
  duo_connect(d);
  assert_int_equal(duo_said(d, 0, CH_MSG_REESTABLISH)->u.reestablish.proof_version, 1);
}

/* Versions at or below L are ignored whatever their base; the one that is L gets the same accept again. */
static void test_old_and_repeated_proposals(void **state) {
  duo *d = *state;
  ch_msg m = first_proposal(d);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  ch_sig first = duo_said(d, 0, CH_MSG_UPDATE)->u.update.accept_sig;
  duo_drop(d, 0);
  size_t made = d->side[0].n_made;
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_memory_equal(&duo_said(d, 0, CH_MSG_UPDATE)->u.update.accept_sig, &first, sizeof first);
  assert_int_equal(duo_count(d, 0, CH_FX_PAYMENT), 0);
  assert_int_equal(d->side[0].n_made, made);
  duo_drop(d, 0);
  five[0] = duo_op_pay("other", 6);
  ch_msg other = duo_proposal(d, 1, 0, 1, -6, five, 1);
  duo_ignored(d, 0, &other);
  other = duo_proposal(d, 1, 77, 1, -6, five, 1);
  duo_ignored(d, 0, &other);
  other = duo_refusal(d, 1, 0, 1, 0, 0);
  duo_ignored(d, 0, &other);
  other = duo_accept(d, 1, 1, 3);
  duo_ignored(d, 0, &other);
}

static void test_crossing_with_a_refusal(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 1, "mine", 7), CH_OK); /* version 1 */
  ch_op ops[3] = {duo_op_pay("a", 1), duo_op_pay("much", 5000), duo_op_pay("b", 1)};
  ch_msg m = duo_proposal(d, 0, 0, 2, 5002, ops, 3);
  duo_drop(d, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  const ch_msg *r = duo_said(d, 1, CH_MSG_UPDATE);
  assert_true(r->u.update.has_refusal && !r->u.update.has_accept);
  assert_int_equal(r->u.update.version, 3); /* exactly v + 1 */
  assert_int_equal(r->u.update.base, 0);
  assert_int_equal(r->u.update.refused_op, 1);
  assert_int_equal(r->u.update.reason, CH_ERR_FUNDS);
  ch_hash digest = duo_digest(d, 3, 0); /* L's content, with the blind of the new version */
  assert_int_equal(ch_verify(&digest, &r->u.update.sig, &d->params.signer[1]), CH_OK);
  assert_int_equal(duo_info(d, 1).outstanding, 3);
  assert_int_equal(duo_status(d, 1, "mine"), CH_PAYMENT_PENDING);
  m = duo_accept(d, 0, 3, 0);
  duo_drop(d, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(duo_info(d, 1).version, 3);
  r = duo_said(d, 1, CH_MSG_UPDATE); /* what gave way comes again */
  assert_int_equal(r->u.update.version, 5);
  assert_memory_equal(r->u.update.ops[0].id, "mine", 4);
}

/* Both directions, real messages: one side overspends because its hint is wrong. */
static void test_crossing_refusal_between_honest_sides(void **state) {
  duo *d = *state;
  assert_int_equal(duo_send_tx(d, 0, 9000, &(ch_tx){0}), CH_ADJ_BAD_PARAMS);
  ch_tx more = duo_deposit_tx(d, 0, 9000);
  assert_int_equal(duo_send_tx(d, 0, 9000, &more), CH_ADJ_NONE);
  d->final = d->head;
  duo_see(d, 0); /* side 1 does not see it yet */
  ch_msg hint = {.type = CH_MSG_FUNDS, .id = d->id};
  hint.u.funds.contribution[0] = ch_net_of(10000);
  hint.u.funds.contribution[1] = ch_net_of(500);
  assert_int_equal(duo_give(d, 0, &hint), CH_OK);
  duo_drop(d, 0);
  assert_int_equal(duo_pay(d, 0, "big", 2000), CH_OK); /* version 2 */
  assert_int_equal(duo_pay(d, 0, "small", 10), CH_OK);
  assert_int_equal(duo_pay(d, 1, "back", 5), CH_OK); /* version 1 */
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "big"), CH_PAYMENT_FAILED);
  assert_int_equal(duo_status(d, 0, "small"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 1, "back"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_info(d, 0).version, duo_info(d, 1).version);
  assert_int_equal(duo_info(d, 0).net.v, 5);
}

/* --- Rule 4: refusals --------------------------------------------------------------------------------- */

static void test_refused_operation_fails_alone(void **state) {
  duo *d = *state;
  ch_op ops[3] = {duo_op_pay("a", 1), duo_op_pay("b", 2), duo_op_pay("c", 3)};
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {ops, 3}};
  assert_int_equal(duo_step(d, 0, &ev), CH_OK);
  ch_msg m = duo_refusal(d, 1, 0, 3, 0, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "b"), CH_PAYMENT_FAILED);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_PENDING);
  const ch_msg *r = duo_said(d, 0, CH_MSG_UPDATE);
  assert_true(r->u.update.has_accept && r->u.update.has_proposal);
  assert_int_equal(r->u.update.accept_version, 3);
  assert_int_equal(r->u.update.version, 4);
  assert_int_equal(r->u.update.n_ops, 2);
  assert_int_equal(duo_info(d, 0).pending.v, 4);
}

static void test_refusals_out_of_place(void **state) {
  duo *d = *state;
  ch_msg m = duo_refusal(d, 1, 0, 3, 0, 0);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION); /* nothing of mine is outstanding */
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  static const uint64_t wrong[] = {5, 2, 4, 103, UINT64_MAX};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    m = duo_refusal(d, 1, 0, wrong[i], 0, 0);
    duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  }
  m = duo_refusal(d, 1, 0, 1, 0, 0); /* below my outstanding */
  duo_ignored(d, 0, &m);
  m = duo_refusal(d, 1, 2, 3, 0, 0); /* another base */
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_refusal(d, 1, 0, 3, 10, 0); /* the proposal's content, not L's */
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  m = duo_refusal(d, 1, 0, 3, 0, 1); /* there is no such operation */
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_refusal(d, 1, 0, 3, 0, CH_MAX_OPS - 1);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
}

/* What is no payment cannot be refused: the shutdown is proposed as a no-op is. */
static void test_noops_and_shutdowns_cannot_be_refused(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.ops[0].kind, CH_OP_SHUTDOWN);
  ch_msg m = duo_refusal(d, 1, 0, 3, 0, 0);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
}

static void test_a_refusal_cannot_be_refused(void **state) {
  duo *d = *state;
  ch_op much = duo_op_pay("much", 5000);
  ch_msg m = duo_proposal(d, 1, 0, 1, -5000, &much, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).outstanding, 2);
  m = duo_refusal(d, 1, 0, 3, 0, 0);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_proposal(d, 1, 0, 1, -5000, &much, 1); /* said again: below the refusal */
  duo_ignored(d, 0, &m);
  m = duo_accept(d, 1, 2, 0);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).version, 2);
}

static void test_noop_is_accepted(void **state) {
  duo *d = *state;
  ch_op noop = duo_op(CH_OP_NOOP);
  ch_msg m = duo_proposal(d, 1, 0, 1, 0, &noop, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).version, 1);
  assert_int_equal(duo_count(d, 0, CH_FX_PAYMENT), 0);
}

/* --- Rule 5: accepts ---------------------------------------------------------------------------------- */

static void test_accepts_of_what_is_not_outstanding(void **state) {
  duo *d = *state;
  ch_msg m = duo_accept(d, 1, 2, 10);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  static const uint64_t wrong[] = {1, 3, 4, 6, UINT64_MAX};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    m = duo_accept(d, 1, wrong[i], 10);
    duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  }
  m = duo_accept(d, 1, 2, 11);
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  m = duo_accept(d, 0, 2, 10); /* my own signature, thrown back */
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  m = duo_accept(d, 1, 2, 10);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
}

/* Side 1's proposal 1 is replaced by its refusal 3; then the peer accepts 1 after all. */
static void replace_proposal(duo *d) {
  assert_int_equal(duo_pay(d, 1, "mine", 7), CH_OK);
  ch_op much = duo_op_pay("much", 5000);
  ch_msg m = duo_proposal(d, 0, 0, 2, 5000, &much, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(duo_info(d, 1).outstanding, 3);
  duo_drop(d, 1);
}

static void test_late_accept_is_evidence_only(void **state) {
  duo *d = *state;
  replace_proposal(d);
  ch_msg m = duo_accept(d, 0, 1, -8);
  duo_refused(d, 1, &m, CH_ERR_SIGNATURE);
  m = duo_accept(d, 0, 1, -7);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  const ch_effect *e = duo_find(d, 1, CH_FX_DISCONNECT);
  assert_non_null(e);
  assert_int_equal(e->u.disconnect.code, CH_ERR_VIOLATION);
  assert_int_equal(duo_info(d, 1).version, 0);
  assert_int_equal(duo_status(d, 1, "mine"), CH_PAYMENT_PENDING);
  assert_int_equal(d->side[1].n_out, 0);
  m = duo_accept(d, 0, 3, 0); /* nothing more is heard on this connection */
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
}

/* A late accept spoils the whole message: the proposal that comes with it is not signed. */
static void test_late_accept_with_a_proposal(void **state) {
  duo *d = *state;
  replace_proposal(d);
  size_t made = d->side[1].n_made;
  ch_op op = duo_op_pay("more", 1);
  ch_msg m = duo_proposal(d, 0, 0, 2, 1, &op, 1);
  m.u.update.has_accept = true;
  m.u.update.accept_version = 1;
  m.u.update.accept_sig = duo_sign(d, 0, 1, -7);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_non_null(duo_find(d, 1, CH_FX_DISCONNECT));
  assert_int_equal(d->side[1].n_made, made);
  assert_int_equal(duo_info(d, 1).version, 0);
}

static void test_accept_and_proposal_in_one_message(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  ch_op op = duo_op_pay("b", 4);
  ch_msg m = duo_proposal(d, 1, 2, 3, 6, &op, 1);
  m.u.update.has_accept = true;
  m.u.update.accept_version = 2;
  m.u.update.accept_sig = duo_sign(d, 1, 2, 10);
  ch_msg bad = m; /* one bad part: nothing of it counts */
  bad.u.update.sig.b[1] ^= 1;
  duo_refused(d, 0, &bad, CH_ERR_SIGNATURE);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_PENDING);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).version, 3);
  assert_int_equal(duo_info(d, 0).net.v, 6);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
  assert_true(duo_received(d, 0, "b"));
}

/* --- Validity and the queue --------------------------------------------------------------------------- */

static void test_only_confirmed_money_counts(void **state) {
  duo *d = *state;
  ch_op op = duo_op_pay("all", 500);
  ch_msg m = duo_proposal(d, 1, 0, 1, -500, &op, 1); /* to the last unit */
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).version, 1);
  duo_drop(d, 0);
  op = duo_op_pay("one", 1);
  m = duo_proposal(d, 1, 1, 3, -501, &op, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_said(d, 0, CH_MSG_UPDATE)->u.update.has_refusal);
  assert_int_equal(duo_info(d, 0).net.v, -500);
}

static void test_spendable(void **state) {
  duo *d = *state;
  assert_int_equal(duo_info(d, 0).spendable.v, 1000);
  assert_int_equal(duo_pay(d, 0, "a", 600), CH_OK);
  assert_int_equal(duo_info(d, 0).spendable.v, 400);
  assert_int_equal(duo_info(d, 0).pending.v, 600);
  assert_int_equal(duo_pay(d, 0, "b", 401), CH_ERR_FUNDS);
  assert_int_equal(duo_pay(d, 0, "b", 400), CH_OK);
  assert_int_equal(duo_pay(d, 0, "c", 1), CH_ERR_FUNDS);
  duo_pump(d);
  assert_int_equal(duo_info(d, 0).balance_mine.v, 0);
  assert_int_equal(duo_info(d, 1).spendable.v, 1500);
  assert_int_equal(duo_pay(d, 1, "d", 1500), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_info(d, 0).spendable.v, 1500);
}

static void test_payments_are_taken_all_or_none(void **state) {
  duo *d = *state;
  ch_op ops[2] = {duo_op_pay("a", 600), duo_op_pay("b", 401)};
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {ops, 2}};
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_FUNDS);
  ops[1].amount = ch_amount_of(0);
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_ARGUMENT);
  ops[1] = duo_op(CH_OP_SHUTDOWN);
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_ARGUMENT);
  ops[1] = duo_op_pay("", 1);
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_ARGUMENT);
  ops[1] = duo_op_pay("b b", 1);
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_ARGUMENT);
  ops[1].id_len = CH_PAYMENT_ID_MAX + 1;
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_ARGUMENT);
  ops[1] = duo_op_pay("b", 1);
  ops[1].amount.v = ~(ch_u128)0;
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_FUNDS);
  ev.u.pay.n = 0;
  assert_int_equal(duo_step(d, 0, &ev), CH_ERR_ARGUMENT);
  assert_int_equal(d->side[0].n_paid, 0);
}

static void name_ops(ch_op *ops, size_t n, char first) {
  for (size_t i = 0; i < n; i++) {
    ops[i] = duo_op_pay("q0000", 1);
    ops[i].id[0] = first;
    for (int k = 0; k < 4; k++)
      ops[i].id[1 + k] = (char)('a' + (i >> 4 * k) % 16);
  }
}

/* The queue is bounded; what a proposal brings back to it, and the shutdown, do not count, so that nothing that was
 * accepted can get lost: not even in a restart. */
static void test_queue_bounds(void **state) {
  duo *d = *state;
  static ch_op ops[CH_MAX_QUEUE + 1];
  ch_tx rich = duo_deposit_tx(d, 1, 100000);
  assert_int_equal(duo_send_tx(d, 1, 100000, &rich), CH_ADJ_NONE);
  duo_finalise(d);
  duo_pump(d);
  name_ops(ops, CH_MAX_QUEUE + 1, 'q');
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {ops, CH_MAX_QUEUE + 1}};
  assert_int_equal(duo_step(d, 1, &ev), CH_ERR_ARGUMENT);
  ev.u.pay.n = CH_MAX_QUEUE;
  assert_int_equal(duo_step(d, 1, &ev), CH_OK); /* the first batch leaves the queue at once */
  assert_int_equal(duo_info(d, 1).queued, CH_MAX_QUEUE - CH_MAX_OPS);
  name_ops(ops, CH_MAX_OPS + 1, 'r');
  ev.u.pay.n = CH_MAX_OPS + 1;
  assert_int_equal(duo_step(d, 1, &ev), CH_ERR_QUEUE_FULL);
  ev.u.pay.n = CH_MAX_OPS;
  assert_int_equal(duo_step(d, 1, &ev), CH_OK);
  assert_int_equal(duo_info(d, 1).queued, CH_MAX_QUEUE);
  assert_int_equal(duo_pay(d, 1, "one-more", 1), CH_ERR_QUEUE_FULL);
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  duo_drop(d, 1);
  ch_op op = duo_op_pay("much", 500000); /* gives the batch back to the queue */
  ch_msg m = duo_proposal(d, 0, 0, 2, 500000, &op, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(duo_info(d, 1).queued, CH_MAX_QUEUE + CH_MAX_OPS + 1);
  duo_restart(d, 1);
  assert_int_equal(duo_info(d, 1).queued, CH_MAX_QUEUE + CH_MAX_OPS + 1);
}

/* --- Shutdown ----------------------------------------------------------------------------------------- */

static void test_no_payments_after_shutdown(void **state) {
  duo *d = *state;
  ch_op ops[2] = {duo_op(CH_OP_SHUTDOWN), duo_op_pay("late", 1)};
  ch_msg m = duo_proposal(d, 1, 0, 1, -1, ops, 2);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.refused_op, 1);
  assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.reason, CH_ERR_PHASE);
  m = duo_accept(d, 1, 2, 0);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_proposal(d, 1, 2, 3, 0, ops, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_SHUTDOWN);
  assert_int_equal(duo_pay(d, 0, "mine", 1), CH_ERR_PHASE);
  duo_drop(d, 0);
  m = duo_proposal(d, 1, 3, 5, -1, &ops[1], 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.reason, CH_ERR_PHASE);
}

static void test_shutdown_fails_what_waits(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 1, "mine", 7), CH_OK); /* version 1 gives way to 2 */
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_status(d, 1, "mine"), CH_PAYMENT_FAILED);
  assert_int_equal(d->side[1].paid[0].reason, CH_ERR_PHASE);
  assert_int_equal(duo_info(d, 1).queued, 0);
}

/* All of a long queue fails at once. */
static void test_shutdown_fails_a_long_queue(void **state) {
  duo *d = *state;
  static ch_op ops[CH_MAX_QUEUE];
  ch_tx rich = duo_deposit_tx(d, 1, 100000);
  assert_int_equal(duo_send_tx(d, 1, 100000, &rich), CH_ADJ_NONE);
  duo_finalise(d);
  duo_pump(d);
  name_ops(ops, CH_MAX_QUEUE, 'q');
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {ops, CH_MAX_QUEUE}};
  assert_int_equal(duo_step(d, 1, &ev), CH_OK);
  ch_op down = duo_op(CH_OP_SHUTDOWN);
  ch_msg m = duo_proposal(d, 0, 0, 2, 0, &down, 1); /* higher than mine */
  duo_drop(d, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(duo_count(d, 1, CH_FX_PAYMENT), CH_MAX_QUEUE);
  assert_int_equal(duo_info(d, 1).queued, 0);
  assert_int_equal(duo_info(d, 1).outstanding, 0);
  assert_int_equal(duo_status(d, 1, "qaaaa"), CH_PAYMENT_FAILED);
}

/* --- Freshness ---------------------------------------------------------------------------------------- */

static void test_nothing_is_signed_on_a_stale_chain(void **state) {
  duo *d = *state;
  d->now += DUO_FRESHNESS + 1;
  ch_msg m = first_proposal(d);
  duo_refused(d, 0, &m, CH_ERR_STALE);
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK); /* waits */
  assert_int_equal(d->side[0].n_out, 0);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_CHAIN);
  d->head_time = d->now - DUO_FRESHNESS;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.version, 2);
  d->head_time--;
  m = duo_refusal(d, 1, 0, 3, 0, 0);
  duo_refused(d, 0, &m, CH_ERR_STALE);
}

/* Behind a stalled chain the channel may long have ended: nothing is reported as settled. */
static void test_nothing_is_reported_on_a_stale_chain(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  d->now += DUO_FRESHNESS + 1;
  ch_msg m = duo_accept(d, 1, 2, 10);
  duo_refused(d, 0, &m, CH_ERR_STALE);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_PENDING);
  d->head_time = d->now;
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_one_outstanding_then_a_batch),
      TEST(test_batches_have_a_limit),
      TEST(test_versions_must_be_exact),
      TEST(test_signatures_of_something_else),
      TEST(test_malformed_signatures),
      TEST(test_another_epoch_or_channel),
      TEST(test_amounts_that_overflow),
      TEST(test_crossing_the_lower_gives_way),
      TEST(test_ignored_proposals_are_evidence),
      TEST(test_old_and_repeated_proposals),
      TEST(test_crossing_with_a_refusal),
      TEST(test_crossing_refusal_between_honest_sides),
      TEST(test_refused_operation_fails_alone),
      TEST(test_refusals_out_of_place),
      TEST(test_noops_and_shutdowns_cannot_be_refused),
      TEST(test_a_refusal_cannot_be_refused),
      TEST(test_noop_is_accepted),
      TEST(test_accepts_of_what_is_not_outstanding),
      TEST(test_late_accept_is_evidence_only),
      TEST(test_late_accept_with_a_proposal),
      TEST(test_accept_and_proposal_in_one_message),
      TEST(test_only_confirmed_money_counts),
      TEST(test_spendable),
      TEST(test_payments_are_taken_all_or_none),
      TEST(test_queue_bounds),
      TEST(test_no_payments_after_shutdown),
      TEST(test_shutdown_fails_what_waits),
      TEST(test_shutdown_fails_a_long_queue),
      TEST(test_nothing_is_signed_on_a_stale_chain),
      TEST(test_nothing_is_reported_on_a_stale_chain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
