/* operations.c - operations that are not valid now, and the reason that the refusal gives: sections 3, 4 (rule 4)
 * and 6. Side 0's proposals are forged here, as its own engine would not make them; side 1 is the real one. */
#include "scene.h"

/* Where side 1's L stands, as side 0 has driven it there. */
static struct {
  uint64_t version;
  int64_t net;
} at;

/* Version 3, net 15; a lock of side 0's over 100 is pending, and the hash of another one was used. */
static void begin(duo *d) {
  scene_open(d);
  pay_and_settle(d, 0, "there", 20);
  pay_and_settle(d, 1, "back", 5);
  must(duo_lock(d, 0, "pending", 100, 1, 7200));
  duo_pump(d);
  must(duo_lock(d, 0, "resolved", 30, 2, 7200));
  duo_pump(d);
  must(duo_cancel(d, 1, "resolved"));
  duo_pump(d);
  at.version = duo_info(d, 1).version;
  at.net = 15;
}

static ch_sig sign(duo *d, uint64_t version, ch_op *ops, uint32_t n, int64_t net) {
  return duo_lock_proposal(d, 0, 1, at.version, version, net, ops, n).u.update.sig;
}

/* Proposes them; side 1 refuses operation `index` with `reason`, and side 0 accepts that. */
static void refused(duo *d, ch_op *ops, uint32_t n, int64_t net, uint32_t index, ch_err reason, const char *why) {
  const uint64_t version = at.version + (at.version % 2 ? 1 : 2);
  const ch_msg m = duo_lock_proposal(d, 0, 1, at.version, version, net, ops, n);
  record_forged(1, &m, CH_OK, why);
  const ch_msg *said = duo_said(d, 1, CH_MSG_UPDATE);
  assert_non_null(said);
  assert_int_equal(said->u.update.has_refusal, true);
  assert_int_equal(said->u.update.refused_op, index);
  assert_int_equal(said->u.update.reason, reason);
  duo_drop(d, 1);
  ch_msg accept = duo_accept(d, 0, version + 1, at.net);
  accept.u.update.accept_sig = sign(d, version + 1, NULL, 0, at.net);
  record_forged(1, &accept, CH_OK, "the refusal is accepted, as it must be");
  at.version = version + 1;
}

static void one(duo *d, ch_op op, ch_err reason, const char *why) {
  refused(d, &op, 1, at.net + (op.kind == CH_OP_PAY ? (int64_t)op.amount.v : 0), 0, reason, why);
}

static ch_op reserve(const duo *d, uint64_t amount, uint16_t seq, uint64_t seconds) {
  ch_op op = duo_op(CH_OP_RESERVE);
  op.amount = ch_amount_of(amount);
  op.seq = seq;
  op.valid_until = d->now + seconds;
  return op;
}

static void spending(duo *d) {
  one(d, duo_op_pay("all-of-it", 986), CH_ERR_FUNDS, "more than the payer has");
  one(d, duo_op_pay("what-is-locked", 886), CH_ERR_FUNDS, "what the payer has, but a part of it is locked");
  ch_op ops[] = {duo_op_pay("covered", 500), duo_op_pay("not-covered-any-more", 400), duo_op_pay("covered-again", 1)};
  refused(d, ops, 3, at.net + 901, 1, CH_ERR_FUNDS, "the second of three is the first that is not covered");
  one(d, duo_op_lock(d, "not-covered", 886, 3, 7200), CH_ERR_LOCK_LIMIT,
      "a lock over more than may be locked, and more than there is");
  one(d, reserve(d, 886, 0, 3600), CH_ERR_FUNDS, "a reservation of what is locked");
  one(d, reserve(d, 10, 1, 3600), CH_ERR_PHASE, "a reservation with another number than the channel's next");
  one(d, reserve(d, 10, 0, 0), CH_ERR_PHASE, "a reservation that is over now");
  one(d, reserve(d, 10, 0, 86400 + 301), CH_ERR_PHASE, "a reservation for more than a day");
  ch_op both[] = {reserve(d, 10, 0, 3600), reserve(d, 10, 0, 3600)};
  refused(d, both, 2, at.net, 1, CH_ERR_PHASE, "a second reservation");
  ch_op spent[] = {reserve(d, 600, 0, 3600), duo_op_pay("what-is-reserved", 300)};
  refused(d, spent, 2, at.net + 300, 1, CH_ERR_FUNDS, "a payment of what is reserved");
  ch_op itself = reserve(d, 10, 0, 3600);
  itself.u.to.set = true;
  ch_params_hash(&itself.u.to.params_hash, &d->chain, &d->params);
  one(d, itself, CH_ERR_PHASE, "a move into the same channel");
}

static void locking(duo *d) {
  one(d, duo_op_lock(d, "dust", 1, 3, 7200), CH_ERR_LOCK_LIMIT, "less than the least amount");
  one(d, duo_op_lock(d, "in-flight", 801, 3, 7200), CH_ERR_LOCK_LIMIT, "more than one side may have locked");
  one(d, duo_op_lock(d, "soon", 10, 3, 1800), CH_ERR_EXPIRY, "an expiry at now + F + R + I");
  one(d, duo_op_lock(d, "late", 10, 3, DUO_LONGEST + 301), CH_ERR_EXPIRY,
      "an expiry after the longest agreed, and 300 s");
  one(d, duo_op_lock(d, "twin", 10, 1, 7200), CH_ERR_HASH_USED, "the hash of a pending lock");
  one(d, duo_op_lock(d, "again", 10, 2, 7200), CH_ERR_HASH_USED, "the hash of a lock that was resolved");
  ch_op contract = duo_op_lock(d, "gas", 10, 3, 7200);
  memset(&contract.u.add.condition, 0xc0, sizeof contract.u.add.condition);
  contract.u.add.gas = 1000001;
  one(d, contract, CH_ERR_LOCK_LIMIT, "more gas than agreed");
  ch_op ops[] = {duo_op_lock(d, "one", 10, 3, 7200), duo_op_lock(d, "two", 10, 4, 7200), duo_op(CH_OP_SHUTDOWN),
                 duo_op_lock(d, "three", 10, 5, 7200), duo_op_pay("four", 1)};
  refused(d, ops, 5, at.net + 1, 3, CH_ERR_PHASE, "a lock after the shutdown");
  ch_op pay[] = {duo_op(CH_OP_SHUTDOWN), duo_op_pay("after-it", 1)};
  refused(d, pay, 2, at.net + 1, 1, CH_ERR_PHASE, "a payment after the shutdown");
}

/* Side 1 claims too late, side 0 is the real one. */
static void claiming(duo *d) {
  ch_op op = duo_op(CH_OP_FULFIL);
  ch_lock_info lock;
  assert_true(duo_find_lock(d, 0, "pending", &lock));
  op.u.resolve.lock = lock.lock_id;
  op.u.resolve.has_preimage = true;
  op.u.resolve.preimage = duo_preimage(1);
  d->now += 7201;
  d->head_time = d->now;
  const uint64_t version = at.version + (at.version % 2 ? 2 : 1);
  ch_msg m = duo_lock_proposal(d, 1, 0, at.version, version, at.net + 100, &op, 1);
  record_forged(0, &m, CH_OK, "a fulfil after the expiry: on chain the payer would have its money back");
  assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.reason, CH_ERR_EXPIRED);
  duo_drop(d, 0);
}

const scene OPERATIONS[] = {
    {"refused-spending",
     "Proposals of money that is not there, is locked, or is reserved; reservations that do not fit.", begin, spending},
    {"refused-adding",
     "Locks that break what was agreed at open, whose expiry or hash does not fit, or after a shutdown.", begin,
     locking},
    {"refused-claim", "A fulfil after the expiry is refused, although the preimage fits; the preimage is kept.", begin,
     claiming},
    {0},
};
