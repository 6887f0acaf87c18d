/* refusals.c - what must be refused, and with which number: refused-*.json. A refused message
 * changes nothing, so one dialogue shows many. */
#include <stdlib.h>

#include "scene.h"

#define BYTES 1024

/* Version 3, net 15, nothing outstanding; the next of side 0 is 4, of side 1 is 5. */
static void begin(duo *d) {
  scene_open(d);
  pay_and_settle(d, 0, "there", 20);
  pay_and_settle(d, 1, "back", 5);
}

static ch_msg payment(const duo *d, ch_op *op, uint64_t base, uint64_t version, int64_t net) {
  *op = duo_op_pay("forged", 10);
  return duo_proposal(d, 0, base, version, net, op, 1);
}

/* The group order less s, where s is what the low 255 bits say. */
static void other_root(ch_sig *sig) {
  static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                    0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
  int borrow = 0;
  sig->b[32] &= 0x7f;
  for (int i = 31; i >= 0; i--) {
    int v = order[i] - sig->b[32 + i] - borrow;
    borrow = v < 0;
    sig->b[32 + i] = (uint8_t)v;
  }
}

static void signatures(duo *d) {
  ch_op op;
  ch_msg m = payment(d, &op, 3, 4, 25);
  m.u.update.sig.b[5] ^= 1;
  record_forged(1, &m, CH_ERR_SIGNATURE, "a bit of r is another");
  m = payment(d, &op, 3, 4, 25);
  m.u.update.sig.b[32] ^= 0x80;
  record_forged(1, &m, CH_ERR_SIGNATURE, "the other parity bit");
  m = payment(d, &op, 3, 4, 25);
  other_root(&m.u.update.sig);
  record_forged(1, &m, CH_ERR_SIGNATURE, "s is the group's order less s: high");
  m = payment(d, &op, 3, 4, 25);
  memset(m.u.update.sig.b, 0, 32);
  record_forged(1, &m, CH_ERR_SIGNATURE, "r is zero");
  m = payment(d, &op, 3, 4, 26);
  record_forged(1, &m, CH_ERR_SIGNATURE, "signed with another net than the operations lead to");
  m = payment(d, &op, 3, 4, 25);
  m.u.update.sig = duo_sign(d, 1, 4, 25);
  record_forged(1, &m, CH_ERR_SIGNATURE, "signed by the wrong side");
  assert_int_equal(duo_pay(d, 1, "honest", 1), CH_OK);
  duo_drop(d, 1);
  m = duo_accept(d, 0, 5, 15);
  record_forged(1, &m, CH_ERR_SIGNATURE, "an accept with another net than the proposal's");
  m = duo_refusal(d, 0, 3, 6, 16, 0);
  record_forged(1, &m, CH_ERR_SIGNATURE, "a refusal that does not repeat the content of its base");
}

static void versions(duo *d) {
  ch_op op;
  ch_msg m = payment(d, &op, 3, 6, 25);
  record_forged(1, &m, CH_ERR_VIOLATION, "a version of the right parity, but not the next");
  m = payment(d, &op, 3, 5, 25);
  record_forged(1, &m, CH_ERR_VIOLATION, "a version of the receiver's parity");
  m = payment(d, &op, 2, 4, 30);
  record_forged(1, &m, CH_ERR_VIOLATION, "an older base");
  m = payment(d, &op, 4, 6, 25);
  record_forged(1, &m, CH_ERR_VIOLATION, "a base that the receiver does not have");
  m = payment(d, &op, 0, 2, 10);
  record_forged(1, &m, CH_OK, "a version at or below L: ignored");
  m = payment(d, &op, 3, 4, 25);
  m.epoch = 1;
  record_forged(1, &m, CH_ERR_VIOLATION, "a later epoch");
  m = payment(d, &op, 3, 4, 25);
  m.id.b[0] ^= 1;
  record_forged(1, &m, CH_ERR_UNKNOWN_CHANNEL, "another channel");
  m = duo_accept(d, 0, 5, 15);
  record_forged(1, &m, CH_ERR_VIOLATION, "an accept of what was never proposed");
  m = duo_accept(d, 0, 3, 15);
  record_forged(1, &m, CH_OK, "an accept of L again: ignored");
  m = duo_refusal(d, 0, 3, 4, 15, 0);
  record_forged(1, &m, CH_ERR_VIOLATION, "a refusal of nothing");
  m = duo_full_state(d, 3, 15);
  record_forged(1, &m, CH_OK, "L as full state: ignored");
  m = duo_full_state(d, 5, 15);
  m.u.full_state.sig[1] = m.u.full_state.sig[0];
  record_forged(1, &m, CH_ERR_VIOLATION, "a full state with one side's signature twice");
  m = duo_reestablish(d, 0, 3, 15);
  record_forged(1, &m, CH_ERR_VIOLATION, "a second Reestablish on one connection");
  m = (ch_msg){.type = CH_MSG_FUNDS, .id = d->id, .epoch = 1};
  record_forged(1, &m, CH_OK, "Funds of a later epoch: ignored");
  op = duo_op_pay("back", 5);
  m = duo_proposal(d, 1, 2, 3, 15, &op, 1);
  record_forged(0, &m, CH_OK, "the proposal that L came from, again: the same accept again");
  duo_drop(d, 0);
  m.u.update.sig.b[5] ^= 1;
  record_forged(0, &m, CH_OK, "the same with another signature: ignored");
}

static ch_msg withdraw_msg(const duo *d, int from, ch_withdraw w) {
  ch_msg m = {.type = CH_MSG_WITHDRAW, .id = d->id, .epoch = w.epoch};
  ch_hash digest;
  w.id = d->id;
  ch_withdraw_digest(&digest, &d->domain, &w);
  must(ch_sign(&m.u.withdraw.sig, &digest, &d->side[from].channel_key));
  m.u.withdraw.seq = w.seq;
  m.u.withdraw.side = w.side;
  m.u.withdraw.amount = w.amount;
  m.u.withdraw.valid_until = w.valid_until;
  return m;
}

static ch_msg resume_msg(const duo *d, uint64_t version) {
  ch_msg m = {.type = CH_MSG_RESUME, .id = d->id};
  m.u.resume.base = 3;
  m.u.resume.version = version;
  m.u.resume.sig = duo_sign(d, 0, version, 15);
  return m;
}

/* What cannot be from the state alone is a violation, what depends on the chain or the terms is a refusal. */
static void contents(duo *d) {
  ch_op ops[2];
  ops[0] = duo_op(CH_OP_EXPIRE);
  ops[0].u.resolve.lock = duo_preimage(9);
  ch_msg m = duo_proposal(d, 0, 3, 4, 15, ops, 1);
  record_forged(1, &m, CH_ERR_VIOLATION, "a lock that is not pending");
  ops[0] = duo_op_lock(d, "twice", 10, 1, 7200);
  ops[1] = duo_op_lock(d, "twice", 10, 2, 7200);
  m = duo_lock_proposal(d, 0, 0, 3, 4, 15, ops, 2);
  record_forged(1, &m, CH_ERR_VIOLATION, "a payment id that is pending already");
  m = duo_close_msg(d, 0, 15, d->now + 3600);
  record_forged(1, &m, CH_OK, "Close without a shutdown: ignored");
  m = (ch_msg){.type = CH_MSG_WITHDRAW, .id = d->id};
  m.u.withdraw.amount = ch_amount_of(1);
  m.u.withdraw.valid_until = d->now + 60;
  record_forged(1, &m, CH_OK, "Withdraw without a reservation: ignored");
  m = resume_msg(d, (uint64_t)(d->now - 1577836800u) << 32 | 2);
  record_forged(1, &m, CH_ERR_VIOLATION, "Resume of a side that is not frozen");
  m = (ch_msg){.type = CH_MSG_OPEN_CONFIRM, .id = d->id};
  record_forged(0, &m, CH_ERR_VIOLATION, "OpenConfirm to the opener");
  ops[0] = duo_op_pay("too-much", 986);
  m = duo_proposal(d, 0, 3, 4, 1001, ops, 1);
  record_note("an overspend is no violation: the sides may see different confirmations");
  record_forged(1, &m, CH_OK, "more than the payer has: refused under the next version");
  duo_drop(d, 1);
}

static void resolves(duo *d) {
  ch_op op = duo_op(CH_OP_FULFIL);
  ch_lock_info lock;
  assert_int_equal(duo_lock(d, 0, "pending", 100, 1, 7200), CH_OK);
  duo_pump(d);
  assert_true(duo_find_lock(d, 0, "pending", &lock));
  op.u.resolve.lock = lock.lock_id;
  op.u.resolve.has_preimage = true;
  op.u.resolve.preimage = duo_preimage(2);
  ch_msg m = duo_lock_proposal(d, 1, 0, 4, 5, 115, &op, 1);
  record_forged(0, &m, CH_ERR_VIOLATION, "a preimage that does not fit");
  op = duo_op(CH_OP_CANCEL);
  op.u.resolve.lock = lock.lock_id;
  m = duo_lock_proposal(d, 0, 0, 4, 6, 15, &op, 1);
  record_forged(1, &m, CH_ERR_VIOLATION, "cancelled by the payer");
  op.kind = CH_OP_EXPIRE;
  m = duo_lock_proposal(d, 1, 0, 4, 5, 15, &op, 1);
  record_forged(0, &m, CH_ERR_VIOLATION, "taken back by the payee");
  m = duo_lock_proposal(d, 0, 0, 4, 6, 15, &op, 1);
  record_forged(1, &m, CH_OK, "taken back before the expiry: refused under the next version");
  duo_drop(d, 1);
}

static void closes(duo *d) {
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK); /* shutdown: in side 1's L now */
  ch_msg m = duo_close_msg(d, 0, 16, d->now + 3600);
  record_forged(1, &m, CH_OK,
                "Close with another net than L's from who has proposed L, and may lack the accept: ignored");
  m = duo_close_msg(d, 0, 15, d->now + 3901);
  record_forged(1, &m, CH_ERR_VIOLATION, "Close that is valid for too long");
  m = duo_close_msg(d, 0, 15, d->now);
  record_forged(1, &m, CH_OK, "Close whose validUntil is now: ignored");
  m = duo_close_msg(d, 0, 15, d->now + 3600);
  m.u.close.sig = duo_close_msg(d, 1, 15, d->now + 3600).u.close.sig;
  record_forged(1, &m, CH_ERR_SIGNATURE, "Close signed by the wrong side");
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  m = duo_close_msg(d, 1, 16, d->now + 3600);
  record_forged(0, &m, CH_ERR_VIOLATION, "Close with another net than L's");
  duo_pump(d);
}

static void not_yet(duo *d) {
  ch_op op;
  duo_cut(d);
  duo_connect(d);
  duo_drop(d, 0);
  duo_drop(d, 1);
  ch_msg m = payment(d, &op, 3, 4, 25);
  record_forged(1, &m, CH_ERR_VIOLATION, "an update before Reestablish");
  m = duo_close_msg(d, 0, 15, d->now + 3600);
  record_forged(1, &m, CH_ERR_VIOLATION, "Close before Reestablish");
  m = duo_full_state(d, 4, 25);
  record_forged(1, &m, CH_ERR_VIOLATION, "a full state before Reestablish");
  m = (ch_msg){.type = CH_MSG_FUNDS, .id = d->id};
  record_forged(1, &m, CH_ERR_VIOLATION, "Funds before Reestablish");
  m = withdraw_msg(d, 0, (ch_withdraw){.amount = ch_amount_of(1), .valid_until = d->now + 60});
  record_forged(1, &m, CH_ERR_VIOLATION, "Withdraw before Reestablish");
  m = resume_msg(d, (uint64_t)(d->now - 1577836800u) << 32 | 2);
  record_forged(1, &m, CH_ERR_VIOLATION, "Resume before Reestablish");
  m = duo_reestablish(d, 0, 3, 15);
  m.u.reestablish.proof_version = 3;
  m.u.reestablish.proof_outcome = duo_outcome(d, 3, 15);
  m.u.reestablish.proof_sig = duo_sign(d, 0, 3, 15);
  record_forged(1, &m, CH_ERR_VIOLATION, "a proof with a signature that is not the receiver's");
  m = duo_reestablish(d, 0, 3, 15);
  m.u.reestablish.proof_version = 2;
  record_forged(1, &m, CH_OK, "a proof below L is not looked at");
  reconnect(d);
  duo_drop(d, 0);
  duo_drop(d, 1);
  m = duo_reestablish(d, 0, 3, 16);
  record_note("no violation: of two states with one version that are both called L, one was forgotten. It freezes");
  record_forged(1, &m, CH_OK, "another digest for the version of L");
  duo_drop(d, 1);
}

/* What the peer of a frozen side does not take as its Resume. */
static void resumes(duo *d) {
  const uint64_t block = d->now - 1577836800u, good = block << 32 | 2;
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  ch_msg m = {.type = CH_MSG_RESUME, .id = d->id, .u.resume = {.base = 3, .sig = duo_sign(d, 0, good, 15)}};
  m.u.resume.version = block << 32 | 1;
  record_forged(1, &m, CH_ERR_VIOLATION, "of the receiver's parity");
  m.u.resume.version = block << 32 | 4;
  record_forged(1, &m, CH_ERR_VIOLATION, "not at the beginning of a block");
  m.u.resume.version = (block + 86401) << 32 | 2;
  record_forged(1, &m, CH_ERR_VIOLATION, "more than a day ahead");
  m.u.resume.version = good;
  m.u.resume.base = 2;
  record_forged(1, &m, CH_ERR_VIOLATION, "an older state");
  m.u.resume.base = 4;
  record_forged(1, &m, CH_OK, "a state that the receiver does not have: ignored");
  m.u.resume.base = 3;
  m.u.resume.sig = duo_sign(d, 0, good, 14);
  record_forged(1, &m, CH_ERR_SIGNATURE, "another content than that of L");
  ch_op op;
  m = payment(d, &op, 3, 4, 25);
  record_forged(1, &m, CH_OK, "a proposal of a frozen side: ignored");
  op = duo_op_pay("to-a-frozen-side", 1);
  m = duo_proposal(d, 1, 3, 5, 14, &op, 1);
  record_forged(0, &m, CH_OK, "a proposal to a frozen side: ignored");
}

/* --- Bytes ---------------------------------------------------------------------------------------------------------
 */

typedef struct bytes {
  uint8_t b[BYTES];
  size_t len;
} bytes;

static bytes of(const ch_msg *m) {
  bytes out = {.len = 0};
  uint8_t *b;
  if (ch_msg_encode(m, &b, &out.len) || out.len > BYTES - 8) abort();
  memcpy(out.b, b, out.len);
  free(b);
  return out;
}

/* Puts n bytes in at `at`. */
static bytes with(bytes x, size_t at, const void *what, size_t n) {
  memmove(x.b + at + n, x.b + at, x.len - at);
  memcpy(x.b + at, what, n);
  x.len += n;
  return x;
}

static bytes without(bytes x, size_t at, size_t n) {
  x.len -= n;
  memmove(x.b + at, x.b + at + n, x.len - at);
  return x;
}

static void bad(bytes x, const char *why) {
  record_bytes(1, x.b, x.len, CH_ERR_FORMAT, why);
}

static void encodings(duo *d) {
  ch_op op;
  const ch_msg update = payment(d, &op, 3, 4, 25), close = duo_close_msg(d, 0, 15, d->now + 60);
  ch_msg funds = {.type = CH_MSG_FUNDS, .id = d->id};
  const bytes u = of(&update), f = of(&funds), c = of(&close);
  bytes x = u;
  bad((bytes){.b = {0}, .len = 1}, "no type");
  x.b[1] = 130;
  bad(x, "an unknown even type");
  x.b[1] = 131;
  record_bytes(1, x.b, x.len, CH_OK, "an unknown odd type: ignored");
  bad((bytes){.b = {0, 110}, .len = 2}, "a type without a body");
  bad(without(u, u.len - 1, 1), "cut");
  bad(with(u, u.len, "\x00", 1), "a byte behind the last field");
  bad(without(f, 2, 34), "the channel is missing");
  bad(with(f, f.len, f.b + f.len - 16, 16), "the last field twice");
  bad(with(f, f.len, "\xa0\x06\x01", 3), "an unknown field");
  bad(with(without(f, 36, 2), f.len - 2, f.b + 36, 2), "the epoch behind its place");
  x = with(f, 38, "\x00", 1);
  x.b[37] = 0x80;
  bad(x, "the epoch in more bytes than it needs");
  x = f;
  x.b[40] = 0x80;
  bad(x, "a net of -2^111");
  x = c;
  x.b[38 + 1] = 13;
  bad(without(x, 40, 1), "a net of 13 bytes");
  x = u;
  x.b[x.len - 4] = ' '; /* id's last byte */
  bad(x, "a blank in a payment id");
  x = u;
  x.b[x.len - 1] = 0;
  bad(x, "an amount of zero, in one byte");
  const bytes late = of(&(ch_msg){.type = CH_MSG_RESUME, .id = d->id, .u.resume = {.base = 1, .version = 2}});
  x = late;
  x.b[39] = 2;
  bad(x, "Resume under the version of its base");
}

/* --- Opening -------------------------------------------------------------------------------------------------------
 */

static void openings(duo *d) {
  duo_make(d, 1000, 500);
  duo_agree(d);
  ch_msg confirm = d->side[0].out[0];
  ch_msg m = duo_reestablish(d, 0, 0, 0);
  record_forged(1, &m, CH_ERR_VIOLATION, "Reestablish before OpenConfirm");
  m = confirm;
  m.u.open_confirm.statement.b[7] ^= 1;
  record_forged(1, &m, CH_ERR_VIOLATION, "an open statement with a bad signature");
  duo_pump(d);
  record_forged(1, &confirm, CH_OK, "OpenConfirm again: ignored");
  duo_drop(d, 0);
  duo_drop(d, 1);
}

static void refuse_terms(duo *d, const ch_msg *request, const char *why) {
  duo_side *a = &d->side[0], *b = &d->side[1];
  const ch_signer signer = duo_signer(d, 1);
  const ch_env env = duo_env(d, 1);
  ch_channel *none;
  record_next_forged(why);
  assert_int_equal(
      ch_open_answer(&none, &b->fx, &env, request, &a->node_id, &d->chain, &b->address, &b->nonce, &signer),
      CH_ERR_TERMS);
}

/* The request of an honest opener, and what could have stood in its place. */
static void terms(duo *d) {
  duo_make(d, 1000, 500);
  duo_side *a = &d->side[0];
  ch_opening o = {.terms = ch_terms_default(&d->chain, &d->side[1].node_id, &a->address, d->deposit[0], d->deposit[1]),
                  .nonce = a->nonce};
  const ch_signer signer = duo_signer(d, 0);
  ch_msg request, m;
  bool known;
  assert_int_equal(ch_open_request(&o, &signer, &a->fx), CH_OK);
  assert_int_equal(ch_msg_decode(&request, &known, a->fx.v[0].u.send.bytes, a->fx.v[0].u.send.len), CH_OK);
  m = request;
  m.u.open_request.chain.chain_id++;
  refuse_terms(d, &m, "another chain");
  m = request;
  m.u.open_request.chain.adjudicator.b[0] ^= 1;
  refuse_terms(d, &m, "another contract");
  m = request;
  m.u.open_request.challenge_period = 0;
  refuse_terms(d, &m, "no challenge period");
  m = request;
  memset(&m.u.open_request.payout, 0, sizeof(ch_addr));
  refuse_terms(d, &m, "payouts to nobody");
  m = request;
  m.u.open_request.deposit[0] = m.u.open_request.deposit[1] = ch_amount_of(0);
  refuse_terms(d, &m, "no deposit at all");
  m = request;
  m.u.open_request.deposit[0].v = CH_MONEY_MAX;
  refuse_terms(d, &m, "more than a channel can hold");
  m = request;
  m.u.open_request.signer.b[0] = 5;
  refuse_terms(d, &m, "a channel key that is no point");
  m = request;
  assert_int_equal(ch_pubkey_of(&m.u.open_request.signer, &d->side[1].channel_key), CH_OK);
  refuse_terms(d, &m, "the acceptor's own channel key");
}

/* Side 0 has reserved 100, and both have that in L. Side 1 has not signed yet. */
static void withdrawals(duo *d) {
  withdraw(d, 0, 100);
  must(duo_deliver(d, 0));
  const ch_withdraw good = {.side = 0, .amount = ch_amount_of(100), .valid_until = d->now + 3600};
  ch_withdraw w = good;
  w.amount = ch_amount_of(101);
  ch_msg m = withdraw_msg(d, 0, w);
  record_forged(1, &m, CH_ERR_VIOLATION, "another amount than is reserved");
  w = good;
  w.valid_until++;
  m = withdraw_msg(d, 0, w);
  record_forged(1, &m, CH_ERR_VIOLATION, "another validUntil");
  w = good;
  w.seq = 1;
  m = withdraw_msg(d, 0, w);
  record_forged(1, &m, CH_OK, "another number: ignored");
  w = good;
  w.side = 1;
  m = withdraw_msg(d, 0, w);
  record_forged(1, &m, CH_OK, "the other side's: ignored");
  m = withdraw_msg(d, 1, good);
  record_forged(1, &m, CH_ERR_SIGNATURE, "signed by the wrong side");
  record_note("side 0 signs the Withdraw once it has the accept, unless its head is stale");
  d->now += DUO_FRESHNESS;
  d->head_time = d->now - DUO_FRESHNESS;
  must(duo_deliver(d, 1));
  duo_pump(d);
}

/* What cannot be refused: who gives away, or does nothing. */
static void refusing(duo *d) {
  must(duo_command(d, 0, CH_EV_CLOSE));
  duo_drop(d, 0);
  ch_msg m = duo_refusal(d, 1, 3, 5, 15, 0);
  m.u.update.reason = CH_ERR_PHASE;
  record_forged(0, &m, CH_ERR_VIOLATION, "a refusal of a shutdown");
  m = duo_refusal(d, 1, 3, 5, 15, 1);
  record_forged(0, &m, CH_ERR_VIOLATION, "a refusal of an operation that the proposal does not have");
  m = duo_refusal(d, 1, 3, 7, 15, 0);
  record_forged(0, &m, CH_ERR_VIOLATION, "a refusal under another version than the one above the proposal's");
  m = duo_refusal(d, 1, 2, 5, 15, 0);
  record_forged(0, &m, CH_ERR_VIOLATION, "a refusal on another base");
}

const scene REFUSALS[] = {
    {"refused-signatures", "Signatures that do not fit.", begin, signatures},
    {"refused-versions", "Versions, bases, epochs and messages that are not due.", begin, versions},
    {"refused-contents", "Operations and messages that the state does not allow.", begin, contents},
    {"refused-locks", "Locks that are not to be resolved so.", begin, resolves},
    {"refused-closes", "Closes that do not fit.", begin, closes},
    {"refused-greetings", "What is said too early on a new connection, and false greetings.", begin, not_yet},
    {"refused-resumes", "A frozen side's way back that is not taken.", begin, resumes},
    {"refused-terms", "Requests that are not answered.", NULL, terms},
    {"refused-openings", "What does not open a channel.", NULL, openings},
    {"refused-refusals", "Refusals of what cannot be refused, or not so.", begin, refusing},
    {"refused-withdrawals", "Withdraws that are not what is reserved.", begin, withdrawals},
    {"refused-encodings", "Bytes that are no message.", begin, encodings},
    {0},
};
