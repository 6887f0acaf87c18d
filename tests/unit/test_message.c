/* The messages of the peer protocol: proto/peer.proto. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "channel/message.h"
#include "random_msg.h"

static const ch_msg_type all_types[] = {CH_MSG_ERROR, CH_MSG_OPEN_REQUEST, CH_MSG_OPEN_ACCEPT, CH_MSG_OPEN_CONFIRM,
                                        CH_MSG_FUNDS, CH_MSG_REESTABLISH,  CH_MSG_UPDATE,      CH_MSG_FULL_STATE,
                                        CH_MSG_CLOSE, CH_MSG_WITHDRAW,     CH_MSG_RESUME};
#define N_TYPES (sizeof all_types / sizeof *all_types)

/* --- Comparing ---------------------------------------------------------------------------------- */

#define SAME(field) assert_memory_equal(&a->field, &b->field, sizeof a->field)

static void assert_same_op(const ch_op *a, const ch_op *b) {
  SAME(kind);
  SAME(id_len);
  SAME(id);
  SAME(amount);
  SAME(seq);
  SAME(valid_until);
  SAME(version);
}

static void assert_same_update(const ch_msg *a, const ch_msg *b) {
  SAME(u.update.has_accept);
  SAME(u.update.accept_version);
  SAME(u.update.accept_sig);
  SAME(u.update.has_proposal);
  SAME(u.update.has_refusal);
  SAME(u.update.base);
  SAME(u.update.version);
  SAME(u.update.sig);
  SAME(u.update.refused_op);
  SAME(u.update.reason);
  SAME(u.update.n_ops);
  for (size_t i = 0; i < a->u.update.n_ops; i++)
    assert_same_op(&a->u.update.ops[i], &b->u.update.ops[i]);
}

static void assert_same_reestablish(const ch_msg *a, const ch_msg *b) {
  SAME(u.reestablish.version);
  SAME(u.reestablish.digest);
  SAME(u.reestablish.highest_signed);
  SAME(u.reestablish.outstanding);
  SAME(u.reestablish.frozen);
  SAME(u.reestablish.instance);
  SAME(u.reestablish.proof_version);
  SAME(u.reestablish.proof_outcome);
  SAME(u.reestablish.proof_sig);
}

static void assert_same_open_request(const ch_msg *a, const ch_msg *b) {
  SAME(u.open_request.chain.chain_id);
  SAME(u.open_request.chain.adjudicator);
  SAME(u.open_request.opener_funds);
  SAME(u.open_request.signer);
  SAME(u.open_request.payout);
  SAME(u.open_request.asset);
  SAME(u.open_request.challenge_period);
  SAME(u.open_request.bond);
  SAME(u.open_request.deposit);
}

static void assert_same(const ch_msg *a, const ch_msg *b) {
  SAME(type);
  SAME(id);
  SAME(epoch);
  switch (a->type) {
  case CH_MSG_OPEN_REQUEST: assert_same_open_request(a, b); break;
  case CH_MSG_OPEN_ACCEPT: SAME(u.open_accept); break;
  case CH_MSG_OPEN_CONFIRM: SAME(u.open_confirm); break;
  case CH_MSG_FUNDS: SAME(u.funds); break;
  case CH_MSG_REESTABLISH: assert_same_reestablish(a, b); break;
  case CH_MSG_UPDATE: assert_same_update(a, b); break;
  case CH_MSG_FULL_STATE:
    SAME(u.full_state.version);
    SAME(u.full_state.net);
    SAME(u.full_state.locks_hash);
    SAME(u.full_state.sig);
    break;
  case CH_MSG_CLOSE:
    SAME(u.close.net);
    SAME(u.close.valid_until);
    SAME(u.close.sig);
    break;
  case CH_MSG_WITHDRAW:
    SAME(u.withdraw.seq);
    SAME(u.withdraw.side);
    SAME(u.withdraw.amount);
    SAME(u.withdraw.valid_until);
    SAME(u.withdraw.sig);
    break;
  case CH_MSG_RESUME:
    SAME(u.resume.base);
    SAME(u.resume.version);
    SAME(u.resume.sig);
    break;
  case CH_MSG_ERROR:
    SAME(u.error.code);
    SAME(u.error.text);
    break;
  }
}

/* --- Bytes by hand ------------------------------------------------------------------------------- */

typedef struct wire {
  size_t n;
  uint8_t b[CH_MAX_MESSAGE + 1];
} wire;

static void put_varint(wire *w, uint64_t v) {
  for (; v > 0x7f; v >>= 7)
    w->b[w->n++] = (uint8_t)(v | 0x80);
  w->b[w->n++] = (uint8_t)v;
}

static void put_number(wire *w, unsigned field, uint64_t v) {
  put_varint(w, field << 3);
  put_varint(w, v);
}

static void put_bytes(wire *w, unsigned field, const void *bytes, size_t len) {
  put_varint(w, field << 3 | 2);
  put_varint(w, len);
  memcpy(w->b + w->n, bytes, len);
  w->n += len;
}

static void put_fill(wire *w, unsigned field, uint8_t byte, size_t len) {
  uint8_t bytes[256];
  memset(bytes, byte, sizeof bytes);
  put_bytes(w, field, bytes, len);
}

static void put_type(wire *w, unsigned type) {
  w->n = 0;
  w->b[w->n++] = (uint8_t)(type >> 8);
  w->b[w->n++] = (uint8_t)type;
}

/* An Update for channel 11..11 with a proposal of these encoded operations. */
static void put_proposal(wire *w, const wire *ops) {
  static wire proposal;
  proposal.n = 0;
  put_number(&proposal, 1, 6);
  put_number(&proposal, 2, 8);
  put_fill(&proposal, 3, 0x22, 64);
  memcpy(proposal.b + proposal.n, ops->b, ops->n);
  proposal.n += ops->n;
  put_type(w, CH_MSG_UPDATE);
  put_fill(w, 1, 0x11, 32);
  put_number(w, 2, 3);
  put_bytes(w, 4, proposal.b, proposal.n);
}

/* One Pay as field 4 of a proposal. */
static void put_pay(wire *ops, const char *id, size_t id_len, const void *amount, size_t amount_len) {
  static wire pay, op;
  pay.n = op.n = 0;
  put_bytes(&pay, 1, id, id_len);
  put_bytes(&pay, 2, amount, amount_len);
  put_bytes(&op, CH_OP_PAY, pay.b, pay.n);
  put_bytes(ops, 4, op.b, op.n);
}

static ch_err decode(ch_msg *m, const uint8_t *bytes, size_t len) {
  bool known = false;
  uint8_t *exact = malloc(len + (len == 0)); /* so that a sanitizer sees any byte read behind the end */
  memcpy(exact, bytes, len);
  ch_err err = ch_msg_decode(m, &known, exact, len);
  free(exact);
  if (err == CH_OK) assert_true(known);
  return err;
}

#define REFUSED(w)                                                                                                     \
  do {                                                                                                                 \
    ch_msg refused;                                                                                                    \
    assert_int_equal(decode(&refused, (w)->b, (w)->n), CH_ERR_FORMAT);                                                 \
  } while (0)
#define TAKEN(w)                                                                                                       \
  do {                                                                                                                 \
    ch_msg taken;                                                                                                      \
    assert_int_equal(decode(&taken, (w)->b, (w)->n), CH_OK);                                                           \
    ch_msg_clear(&taken);                                                                                              \
  } while (0)

static void encode(wire *w, const ch_msg *m) {
  uint8_t *bytes;
  assert_int_equal(ch_msg_encode(m, &bytes, &w->n), CH_OK);
  assert_in_range(w->n, 2, CH_MAX_MESSAGE);
  memcpy(w->b, bytes, w->n);
  free(bytes);
}

/* --- Tests: what is valid -------------------------------------------------------------------------- */

static void test_round_trip(void **state) {
  (void)state;
  uint64_t r = 1;
  static wire w;
  for (size_t i = 0; i < 1000 * N_TYPES; i++) {
    ch_msg sent = random_msg(&r, all_types[i % N_TYPES]), got;
    encode(&w, &sent);
    assert_int_equal(decode(&got, w.b, w.n), CH_OK);
    assert_same(&sent, &got);
    ch_msg_clear(&sent);
    ch_msg_clear(&got);
  }
}

static void test_extreme_values(void **state) {
  (void)state;
  static wire w;
  const ch_i128 nets[] = {0, 1, -1, 127, 128, -128, -129, (ch_i128)CH_MONEY_MAX, -(ch_i128)CH_MONEY_MAX};
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
    ch_msg sent = {.type = CH_MSG_FUNDS, .epoch = UINT16_MAX}, got;
    sent.u.funds.contribution[0].v = nets[i];
    sent.u.funds.contribution[1].v = -nets[i];
    encode(&w, &sent);
    assert_int_equal(decode(&got, w.b, w.n), CH_OK);
    assert_same(&sent, &got);
  }
  ch_op op = {.kind = CH_OP_PAY, .id_len = 1, .id = "~", .amount = {CH_MONEY_MAX}};
  ch_msg sent = {.type = CH_MSG_UPDATE}, got;
  sent.u.update.has_proposal = true;
  sent.u.update.base = UINT64_MAX - 1;
  sent.u.update.version = UINT64_MAX;
  sent.u.update.n_ops = 1;
  sent.u.update.ops = &op;
  encode(&w, &sent);
  assert_int_equal(decode(&got, w.b, w.n), CH_OK);
  assert_same(&sent, &got);
  ch_msg_clear(&got);
}

/* The bytes themselves, so that the format cannot change unnoticed: an accept and a proposal of two payments. */
static void test_bytes(void **state) {
  (void)state;
  ch_op ops[] = {{.kind = CH_OP_PAY, .id_len = 5, .id = "inv-1", .amount = {300}}, {.kind = CH_OP_NOOP}};
  ch_msg m = {.type = CH_MSG_UPDATE, .epoch = 300};
  memset(&m.id, 0xaa, sizeof m.id);
  m.u.update.has_accept = m.u.update.has_proposal = true;
  m.u.update.accept_version = m.u.update.base = 5;
  m.u.update.version = 6;
  memset(&m.u.update.accept_sig, 0xbb, sizeof(ch_sig));
  memset(&m.u.update.sig, 0xcc, sizeof(ch_sig));
  m.u.update.n_ops = 2;
  m.u.update.ops = ops;

  static wire w, expected;
  encode(&w, &m);
  put_type(&expected, 110);
  put_fill(&expected, 1, 0xaa, 32);
  memcpy(expected.b + expected.n, "\x10\xac\x02\x1a\x44\x08\x05", 7); /* epoch 300; accept of 68 bytes: version 5, */
  expected.n += 7;
  put_fill(&expected, 2, 0xbb, 64);
  memcpy(expected.b + expected.n, "\x22\x59\x08\x05\x10\x06", 6); /* proposal of 89 bytes: base 5, version 6, */
  expected.n += 6;
  put_fill(&expected, 3, 0xcc, 64);
  memcpy(expected.b + expected.n, "\x22\x0d\x12\x0b\x0a\x05inv-1\x12\x02\x01\x2c\x22\x02\x0a\x00", 19);
  expected.n += 19;
  assert_int_equal(w.n, expected.n);
  assert_memory_equal(w.b, expected.b, w.n);
}

static void test_most_operations(void **state) {
  (void)state;
  static ch_op ops[CH_MAX_OPS + 1];
  for (size_t i = 0; i <= CH_MAX_OPS; i++) {
    ops[i] = (ch_op){.kind = CH_OP_PAY, .id_len = CH_PAYMENT_ID_MAX, .amount = {CH_MONEY_MAX}};
    memset(ops[i].id, 'x', sizeof ops[i].id);
  }
  ch_msg sent = {.type = CH_MSG_UPDATE}, got;
  sent.u.update.has_proposal = true;
  sent.u.update.version = UINT64_MAX;
  sent.u.update.n_ops = CH_MAX_OPS;
  sent.u.update.ops = ops;
  static wire w;
  encode(&w, &sent);
  assert_int_equal(decode(&got, w.b, w.n), CH_OK);
  assert_same(&sent, &got);
  ch_msg_clear(&got);
  ch_msg_clear(&got); /* harmless */

  static wire list;
  list.n = 0;
  for (size_t i = 0; i < CH_MAX_OPS; i++)
    put_bytes(&list, 4, "\x0a\x00", 2);
  put_proposal(&w, &list);
  TAKEN(&w);
  put_bytes(&list, 4, "\x0a\x00", 2);
  put_proposal(&w, &list);
  REFUSED(&w);
  sent.u.update.n_ops++;
  uint8_t *bytes;
  size_t len;
  assert_int_equal(ch_msg_encode(&sent, &bytes, &len), CH_ERR_ARGUMENT);
}

static void test_text_is_sanitised(void **state) {
  (void)state;
  static wire w;
  ch_msg m = {.type = CH_MSG_ERROR}, got;
  strcpy(m.u.error.text, "a\x1b[2J\n\x7f\xc3\xa9 z");
  encode(&w, &m);
  assert_int_equal(decode(&got, w.b, w.n), CH_OK);
  assert_string_equal(got.u.error.text, "a?[2J???? z");
}

static void test_pay(void **state) {
  (void)state;
  char id[CH_PAYMENT_ID_MAX + 2] = {0};
  memset(id, 'x', CH_PAYMENT_ID_MAX);
  ch_op op = ch_op_pay(id, ch_amount_of(7));
  assert_int_equal(op.kind, CH_OP_PAY);
  assert_int_equal(op.amount.v, 7);
  assert_int_equal(op.id_len, CH_PAYMENT_ID_MAX);
  assert_memory_equal(op.id, id, CH_PAYMENT_ID_MAX);
  id[CH_PAYMENT_ID_MAX] = 'x'; /* one too many */
  op = ch_op_pay(id, ch_amount_of(7));
  assert_false(ch_payment_id_ok(op.id, op.id_len));
}

static void test_payment_ids(void **state) {
  (void)state;
  char id[CH_PAYMENT_ID_MAX + 1];
  memset(id, 'a', sizeof id);
  assert_false(ch_payment_id_ok(id, 0));
  assert_true(ch_payment_id_ok(id, 1));
  assert_true(ch_payment_id_ok(id, CH_PAYMENT_ID_MAX));
  assert_false(ch_payment_id_ok(id, CH_PAYMENT_ID_MAX + 1));
  for (int c = 0; c < 256; c++) {
    id[3] = (char)c;
    assert_int_equal(ch_payment_id_ok(id, 5), c >= 0x21 && c <= 0x7e);
  }
}

static void test_unknown_types(void **state) {
  (void)state;
  for (unsigned type = 0; type <= UINT16_MAX; type++) {
    uint8_t bytes[3] = {(uint8_t)(type >> 8), (uint8_t)type, 0xff};
    bool known = true;
    ch_msg m;
    ch_err err = ch_msg_decode(&m, &known, bytes, sizeof bytes);
    assert_int_equal(err, type & 1 ? CH_OK : CH_ERR_FORMAT);
    assert_int_equal(known, (type & 1) == 0); /* untouched on an error */
  }
  ch_msg m = {.type = (ch_msg_type)99};
  uint8_t *bytes;
  size_t len;
  assert_int_equal(ch_msg_encode(&m, &bytes, &len), CH_ERR_ARGUMENT);
}

/* --- Tests: what is not ---------------------------------------------------------------------------- */

/* A changed message is refused, or it is the one encoding of what it now says: nothing is read that is not there. */
static void assert_refused_or_exact(const wire *w) {
  static wire again;
  ch_msg got;
  ch_err err = decode(&got, w->b, w->n);
  if (err != CH_OK) {
    assert_int_equal(err, CH_ERR_FORMAT);
    return;
  }
  encode(&again, &got);
  assert_int_equal(again.n, w->n);
  if (got.type != CH_MSG_ERROR) assert_memory_equal(again.b, w->b, w->n); /* its text may have been sanitised */
  ch_msg_clear(&got);
}

/* Only where an optional last part is missing as a whole may a piece of a message be a message. */
static void test_every_truncation_is_refused(void **state) {
  (void)state;
  uint64_t r = 2;
  static wire w;
  for (size_t i = 0; i < 50 * N_TYPES; i++) {
    ch_msg sent = random_msg(&r, all_types[i % N_TYPES]);
    const ch_msg_type type = sent.type;
    encode(&w, &sent);
    ch_msg_clear(&sent);
    while (--w.n > 0) {
      if (type == CH_MSG_UPDATE || type == CH_MSG_REESTABLISH)
        assert_refused_or_exact(&w);
      else
        REFUSED(&w);
    }
  }
}

static void test_every_mutation(void **state) {
  (void)state;
  uint64_t r = 3;
  static wire w;
  for (size_t i = 0; i < 10 * N_TYPES; i++) {
    ch_msg sent = random_msg(&r, all_types[i % N_TYPES]);
    encode(&w, &sent);
    for (size_t at = 2; at < w.n; at++) {
      uint8_t kept = w.b[at];
      for (unsigned bit = 0; bit < 8; bit++) {
        w.b[at] = (uint8_t)(kept ^ 1u << bit);
        assert_refused_or_exact(&w);
      }
      w.b[at] = (uint8_t)(kept + 17);
      assert_refused_or_exact(&w);
      w.b[at] = kept;
    }
    ch_msg_clear(&sent);
  }
}

static void test_random_damage(void **state) {
  (void)state;
  uint64_t r = 4;
  static wire w;
  for (size_t i = 0; i < 2000 * N_TYPES; i++) {
    ch_msg sent = random_msg(&r, all_types[i % N_TYPES]);
    encode(&w, &sent);
    ch_msg_clear(&sent);
    size_t at = 2 + random_u64(&r) % (w.n - 2), len = random_u64(&r) % (w.n - at + 1),
           to = 2 + random_u64(&r) % (w.n - 2);
    if (random_u64(&r) & 1) {
      memmove(w.b + at, w.b + at + len, w.n - at - len); /* cut a piece out */
      w.n -= len;
    } else {
      memmove(w.b + to, w.b + at, len < w.n - to ? len : w.n - to); /* or copy it over another one */
    }
    assert_refused_or_exact(&w);
  }
}

static void test_lengths(void **state) {
  (void)state;
  static uint8_t big[CH_MAX_MESSAGE + 1] = {0, 99};
  bool known = true;
  ch_msg m;
  assert_int_equal(ch_msg_decode(&m, &known, big, 0), CH_ERR_FORMAT);
  assert_int_equal(ch_msg_decode(&m, &known, big, 1), CH_ERR_FORMAT);
  assert_int_equal(ch_msg_decode(&m, &known, big, CH_MAX_MESSAGE + 1), CH_ERR_FORMAT);
  assert_int_equal(ch_msg_decode(&m, &known, big, CH_MAX_MESSAGE), CH_OK);
  assert_false(known);
}

/* What protobuf allows and this protocol does not: one message has one encoding. */
static void test_non_canonical_encodings(void **state) {
  (void)state;
  static wire w;
  put_type(&w, CH_MSG_CLOSE);
  put_fill(&w, 1, 0x11, 32);
  put_number(&w, 2, 5);
  put_fill(&w, 3, 0, 14);
  put_number(&w, 4, 1000);
  put_fill(&w, 5, 0x22, 64);
  TAKEN(&w);
  const size_t n = w.n;
  put_number(&w, 100, 0); /* an unknown field */
  REFUSED(&w);
  w.n = n;
  put_number(&w, 2, 5); /* a known one again, with the same value */
  REFUSED(&w);
  w.n = n;
  w.b[w.n++] = 0; /* trailing bytes */
  REFUSED(&w);

  put_type(&w, CH_MSG_CLOSE); /* two fields swapped */
  put_number(&w, 2, 5);
  put_fill(&w, 1, 0x11, 32);
  put_fill(&w, 3, 0, 14);
  put_number(&w, 4, 1000);
  put_fill(&w, 5, 0x22, 64);
  REFUSED(&w);

  put_type(&w, CH_MSG_CLOSE);
  put_fill(&w, 1, 0x11, 32);
  memcpy(w.b + w.n, "\x10\x85\x00", 3); /* 5 in two bytes */
  w.n += 3;
  put_fill(&w, 3, 0, 14);
  put_number(&w, 4, 1000);
  put_fill(&w, 5, 0x22, 64);
  REFUSED(&w);
}

/* A Reestablish with `frozen` and, if `proof_version` is not UINT64_MAX, a proof. */
static void put_reestablish(wire *w, uint8_t digest, uint64_t frozen, uint64_t proof_version) {
  static wire proof;
  put_type(w, CH_MSG_REESTABLISH);
  put_fill(w, 1, 0x11, 32);
  put_number(w, 2, 0);
  put_number(w, 3, 0);
  put_fill(w, 4, digest, 32);
  put_number(w, 5, 0);
  put_number(w, 6, 0);
  put_number(w, 7, frozen);
  put_fill(w, 8, 0x33, 32);
  if (proof_version == UINT64_MAX) return;
  proof.n = 0;
  put_number(&proof, 1, proof_version);
  put_fill(&proof, 2, 0x44, 32);
  put_fill(&proof, 3, 0x55, 64);
  put_bytes(w, 9, proof.b, proof.n);
}

static void test_reestablish_rules(void **state) {
  (void)state;
  static wire w;
  put_reestablish(&w, 0, 1, 7);
  TAKEN(&w);
  put_reestablish(&w, 0, 0, UINT64_MAX);
  TAKEN(&w);
  put_reestablish(&w, 0, 2, 7); /* a bool that is 2 */
  REFUSED(&w);
  put_reestablish(&w, 1, 0, 7); /* a digest of version 0 */
  REFUSED(&w);
  put_reestablish(&w, 0, 0, 0); /* a proof of nothing */
  REFUSED(&w);
}

/* A Close with one field other than usual. */
static void put_close(wire *w, size_t id_len, uint64_t epoch, size_t net_len, uint64_t valid_until, size_t sig_len) {
  put_type(w, CH_MSG_CLOSE);
  put_fill(w, 1, 0x11, id_len);
  put_number(w, 2, epoch);
  put_fill(w, 3, 0xff, net_len);
  put_number(w, 4, valid_until);
  put_fill(w, 5, 0x22, sig_len);
}

static void test_field_ranges(void **state) {
  (void)state;
  static wire w;
  put_close(&w, 32, UINT16_MAX, 14, (1ull << 40) - 1, 64);
  TAKEN(&w);
  put_close(&w, 31, 1, 14, 1, 64);
  REFUSED(&w);
  put_close(&w, 33, 1, 14, 1, 64);
  REFUSED(&w);
  put_close(&w, 32, UINT16_MAX + 1, 14, 1, 64);
  REFUSED(&w);
  put_close(&w, 32, 1ull << 32, 14, 1, 64);
  REFUSED(&w);
  put_close(&w, 32, 1, 13, 1, 64);
  REFUSED(&w);
  put_close(&w, 32, 1, 15, 1, 64);
  REFUSED(&w);
  put_close(&w, 32, 1, 14, 1ull << 40, 64);
  REFUSED(&w);
  put_close(&w, 32, 1, 14, 1, 63);
  REFUSED(&w);
  put_close(&w, 32, 1, 14, 1, 65);
  REFUSED(&w);
  put_close(&w, 32, 1, 14, 1, 64);
  memset(w.b + 2 + 34 + 2 + 2, 0, 14);
  w.b[2 + 34 + 2 + 2] = 0x80; /* net = -2^111 */
  REFUSED(&w);
}

static void put_error(wire *w, const char *text, size_t len) {
  put_type(w, CH_MSG_ERROR);
  put_fill(w, 1, 0, 32);
  put_number(w, 2, 0);
  put_number(w, 3, 16);
  put_bytes(w, 4, text, len);
}

static void test_text_rules(void **state) {
  (void)state;
  static wire w;
  char text[CH_TEXT_MAX + 1];
  memset(text, 'x', sizeof text);
  put_error(&w, text, CH_TEXT_MAX);
  TAKEN(&w);
  put_error(&w, text, 0);
  TAKEN(&w);
  put_error(&w, text, CH_TEXT_MAX + 1);
  REFUSED(&w);
  put_error(&w, "a\0b", 3);
  REFUSED(&w);
}

static void test_operation_rules(void **state) {
  (void)state;
  static wire w, ops;
  static const struct {
    const char *bytes;
    size_t len;
    bool ok;
  } cases[] = {
      {"\x0a\x00", 2, true},                                                   /* no-op */
      {"\x1a\x00", 2, true},                                                   /* shutdown */
      {"", 0, false},                                                          /* nothing */
      {"\x22\x00", 2, false},                                                  /* an empty reservation */
      {"\x22\x07\x0a\x01\x05\x10\x00\x18\x07", 9, true},                       /* a reservation */
      {"\x22\x07\x0a\x01\x05\x10\x00\x18\x07\x0a\x00", 11, false},             /* and another kind */
      {"\x22\x06\x0a\x00\x10\x00\x18\x07", 8, false},                          /* of nothing */
      {"\x22\x09\x0a\x01\x05\x10\xfe\xff\x01\x18\x07", 11, true},              /* the last number */
      {"\x22\x09\x0a\x01\x05\x10\xff\xff\x01\x18\x07", 11, false},             /* beyond it */
      {"\x22\x08\x0a\x01\x05\x10\x80\x00\x18\x07", 10, false},                 /* a padded number */
      {"\x22\x05\x0a\x01\x05\x10\x00", 7, false},                              /* no time */
      {"\x22\x0c\x0a\x01\x05\x10\x00\x18\x80\x80\x80\x80\x80\x20", 14, false}, /* a time of 2^40 */
      {"\x2a\x00", 2, false},                                                  /* kind 5 */
      {"\x0a\x00\x1a\x00", 4, false},                                          /* two kinds */
      {"\x0a\x00\x0a\x00", 4, false},                                          /* one twice */
      {"\x0a\x02\x08\x01", 4, false},                                          /* a field in a no-op */
      {"\x08\x00", 2, false},                                                  /* a number where a message must stand */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ops.n = 0;
    put_bytes(&ops, 4, cases[i].bytes, cases[i].len);
    put_proposal(&w, &ops);
    if (cases[i].ok)
      TAKEN(&w);
    else
      REFUSED(&w);
  }
  ops.n = 0;
  put_proposal(&w, &ops); /* no operation at all */
  REFUSED(&w);
  put_number(&ops, 4, 0); /* an operation that is a number */
  put_proposal(&w, &ops);
  REFUSED(&w);
}

static void test_payment_rules(void **state) {
  (void)state;
  static wire w, ops;
  char long_id[CH_PAYMENT_ID_MAX + 1];
  memset(long_id, 'x', sizeof long_id);
  const struct {
    const char *id;
    size_t id_len;
    const char *amount;
    size_t amount_len;
    bool ok;
  } cases[] = {
      {"a", 1, "\x01", 1, true},
      {long_id, CH_PAYMENT_ID_MAX, "\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 14, true},
      {"a", 1, "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 14, false}, /* 2^111 and more */
      {"a", 1, "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 15, false},
      {"a", 1, "", 0, false},         /* zero */
      {"a", 1, "\x00\x01", 2, false}, /* a leading zero */
      {"", 0, "\x01", 1, false},
      {long_id, CH_PAYMENT_ID_MAX + 1, "\x01", 1, false},
      {"a b", 3, "\x01", 1, false},
      {"a\n", 2, "\x01", 1, false},
      {"a\x80", 2, "\x01", 1, false},
      {"a", 2, "\x01", 1, false}, /* with its NUL */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ops.n = 0;
    put_pay(&ops, cases[i].id, cases[i].id_len, cases[i].amount, cases[i].amount_len);
    put_proposal(&w, &ops);
    if (cases[i].ok)
      TAKEN(&w);
    else
      REFUSED(&w);
  }
}

static void test_update_rules(void **state) {
  (void)state;
  static wire w, ops, refusal;
  put_type(&w, CH_MSG_UPDATE);
  put_fill(&w, 1, 0x11, 32);
  put_number(&w, 2, 3);
  REFUSED(&w); /* empty */

  for (uint32_t op = CH_MAX_OPS - 1; op <= CH_MAX_OPS; op++) {
    refusal.n = 0;
    put_number(&refusal, 1, 6);
    put_number(&refusal, 2, 8);
    put_fill(&refusal, 3, 0x22, 64);
    put_number(&refusal, 4, op);
    put_number(&refusal, 5, 14);
    put_type(&w, CH_MSG_UPDATE);
    put_fill(&w, 1, 0x11, 32);
    put_number(&w, 2, 3);
    put_bytes(&w, 5, refusal.b, refusal.n);
    if (op < CH_MAX_OPS)
      TAKEN(&w);
    else
      REFUSED(&w);
  }
  ops.n = refusal.n = 0;
  put_bytes(&ops, 4, "\x0a\x00", 2);
  put_proposal(&w, &ops);
  TAKEN(&w);
  put_number(&refusal, 1, 6);
  put_number(&refusal, 2, 8);
  put_fill(&refusal, 3, 0x22, 64);
  put_number(&refusal, 4, 0);
  put_number(&refusal, 5, 14);
  put_bytes(&w, 5, refusal.b, refusal.n); /* a proposal and a refusal */
  REFUSED(&w);

  put_proposal(&w, &ops); /* the proposal in two pieces, which protobuf would join */
  put_bytes(&w, 4, ops.b, ops.n);
  REFUSED(&w);
}

/* --- Tests: what is not even sent -------------------------------------------------------------------- */

#define NOT_SENT(type_, ...)                                                                                           \
  do {                                                                                                                 \
    uint64_t r = 5;                                                                                                    \
    ch_msg m = random_msg(&r, type_);                                                                                  \
    ch_op op = {.kind = CH_OP_PAY, .id_len = 1, .id = "a", .amount = {1}};                                             \
    uint8_t *bytes;                                                                                                    \
    size_t len;                                                                                                        \
    if (m.type == CH_MSG_UPDATE) {                                                                                     \
      free(m.u.update.ops);                                                                                            \
      m.u.update.has_accept = m.u.update.has_proposal = true;                                                          \
      m.u.update.has_refusal = false;                                                                                  \
      m.u.update.accept_version = m.u.update.base = 1;                                                                 \
      m.u.update.version = 2;                                                                                          \
      m.u.update.n_ops = 1;                                                                                            \
      m.u.update.ops = &op;                                                                                            \
    }                                                                                                                  \
    assert_int_equal(ch_msg_encode(&m, &bytes, &len), CH_OK);                                                          \
    free(bytes);                                                                                                       \
    __VA_ARGS__;                                                                                                       \
    assert_int_equal(ch_msg_encode(&m, &bytes, &len), CH_ERR_ARGUMENT);                                                \
  } while (0)

static void test_malformed_messages_are_not_sent(void **state) {
  (void)state;
  NOT_SENT(CH_MSG_UPDATE, m.u.update.has_refusal = true);
  NOT_SENT(CH_MSG_UPDATE, m.u.update.has_accept = m.u.update.has_proposal = false);
  NOT_SENT(CH_MSG_UPDATE, m.u.update.accept_version = 0);
  NOT_SENT(CH_MSG_UPDATE, m.u.update.version = 0);
  NOT_SENT(CH_MSG_UPDATE, m.u.update.n_ops = 0);
  NOT_SENT(CH_MSG_UPDATE, m.u.update.has_proposal = false);
  NOT_SENT(CH_MSG_UPDATE, op.kind = 0);
  NOT_SENT(CH_MSG_UPDATE, op.kind = 5);
  NOT_SENT(CH_MSG_UPDATE, op.id[0] = ' ');
  NOT_SENT(CH_MSG_UPDATE, op.id_len = CH_PAYMENT_ID_MAX + 1);
  NOT_SENT(CH_MSG_UPDATE, op.amount.v = 0);
  NOT_SENT(CH_MSG_UPDATE, op.amount.v = CH_MONEY_MAX + 1);
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_RESERVE, op.seq = 0x7fff);
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_RESERVE, op.valid_until = 1ull << 40);
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_RESERVE, op.amount.v = 0);
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_LOCK_ADD, op.u.add.payload_len = 31); /* a hash lock's is 32 bytes */
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_LOCK_ADD, op.u.add.payload_len = 32, op.u.add.gas = 1);
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_LOCK_ADD, op.u.add.condition.b[0] = 1, op.u.add.payload_len = 65);
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_LOCK_ADD, op.u.add.payload_len = 32, op.valid_until = 1ull << 40);
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_LOCK_ADD, op.u.add.payload_len = 32, op.amount.v = 0);
  NOT_SENT(CH_MSG_UPDATE, op.kind = CH_OP_CANCEL, op.u.resolve.has_preimage = true);
  NOT_SENT(CH_MSG_OPEN_REQUEST, m.u.open_request.locks.count = CH_LOCKS_MAX + 1);
  NOT_SENT(CH_MSG_WITHDRAW, m.u.withdraw.seq = 0x7fff);
  NOT_SENT(CH_MSG_WITHDRAW, m.u.withdraw.side = 2);
  NOT_SENT(CH_MSG_WITHDRAW, m.u.withdraw.amount.v = 0);
  NOT_SENT(CH_MSG_WITHDRAW, m.u.withdraw.valid_until = 1ull << 40);
  NOT_SENT(CH_MSG_RESUME, m.u.resume.version = m.u.resume.base);
  NOT_SENT(CH_MSG_OPEN_REQUEST, m.epoch = 1);
  NOT_SENT(CH_MSG_OPEN_REQUEST, m.u.open_request.bond.v = (ch_u128)1 << CH_BOND_BITS);
  NOT_SENT(CH_MSG_OPEN_REQUEST, m.u.open_request.deposit[1].v = CH_MONEY_MAX + 1);
  NOT_SENT(CH_MSG_OPEN_ACCEPT, m.epoch = 1);
  NOT_SENT(CH_MSG_OPEN_CONFIRM, m.epoch = 1);
  NOT_SENT(CH_MSG_FUNDS, m.u.funds.contribution[0].v = (ch_i128)CH_MONEY_MAX + 1);
  NOT_SENT(CH_MSG_FUNDS, m.u.funds.contribution[1].v = -(ch_i128)CH_MONEY_MAX - 1);
  NOT_SENT(CH_MSG_REESTABLISH, m.u.reestablish.version = 0, m.u.reestablish.digest.b[9] = 1);
  NOT_SENT(CH_MSG_FULL_STATE, m.u.full_state.version = 0);
  NOT_SENT(CH_MSG_CLOSE, m.u.close.valid_until = 1ull << 40);
  NOT_SENT(CH_MSG_ERROR, memset(m.u.error.text, 'x', sizeof m.u.error.text));
  NOT_SENT(CH_MSG_ERROR, m.type = (ch_msg_type)100000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_extreme_values),
      cmocka_unit_test(test_bytes),
      cmocka_unit_test(test_most_operations),
      cmocka_unit_test(test_text_is_sanitised),
      cmocka_unit_test(test_payment_ids),
      cmocka_unit_test(test_pay),
      cmocka_unit_test(test_unknown_types),
      cmocka_unit_test(test_every_truncation_is_refused),
      cmocka_unit_test(test_every_mutation),
      cmocka_unit_test(test_random_damage),
      cmocka_unit_test(test_lengths),
      cmocka_unit_test(test_non_canonical_encodings),
      cmocka_unit_test(test_reestablish_rules),
      cmocka_unit_test(test_field_ranges),
      cmocka_unit_test(test_text_rules),
      cmocka_unit_test(test_operation_rules),
      cmocka_unit_test(test_payment_rules),
      cmocka_unit_test(test_update_rules),
      cmocka_unit_test(test_malformed_messages_are_not_sent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
