/* Messages that cannot be said: a value out of range in any field, an unknown type or operation. Whoever makes one by
 * mistake hears of it, and nothing goes out. (What comes in is for test_message.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "channel/message.h"
#include "random_msg.h"

static uint64_t seed = 7;

static ch_err encode(const ch_msg *m) {
  uint8_t *bytes = NULL;
  size_t len = 0;
  ch_err err = ch_msg_encode(m, &bytes, &len);
  if (err) {
    assert_null(bytes);
    assert_int_equal(len, 0);
  }
  free(bytes);
  return err;
}

/* Sets one field, at its place in the message. */
typedef struct row {
  const char *name;
  ch_msg_type type;
  size_t at;
  bool net;
} row;

#define AMOUNT(type, field)                                                                                            \
  { #field, type, offsetof(ch_msg, u.field), false }
#define NET(type, field)                                                                                               \
  { #field, type, offsetof(ch_msg, u.field), true }

static const row rows[] = {
    AMOUNT(CH_MSG_OPEN_REQUEST, open_request.bond),
    AMOUNT(CH_MSG_OPEN_REQUEST, open_request.deposit[0]),
    AMOUNT(CH_MSG_OPEN_REQUEST, open_request.deposit[1]),
    AMOUNT(CH_MSG_OPEN_REQUEST, open_request.locks.dust),
    AMOUNT(CH_MSG_OPEN_REQUEST, open_request.locks.in_flight),
    AMOUNT(CH_MSG_WITHDRAW, withdraw.amount),
    NET(CH_MSG_FUNDS, funds.contribution[0]),
    NET(CH_MSG_FUNDS, funds.contribution[1]),
    NET(CH_MSG_FULL_STATE, full_state.net),
    NET(CH_MSG_CLOSE, close.net),
};

static ch_msg with_value(const row *r, ch_i128 value) {
  ch_msg m = random_msg(&seed, r->type);
  const ch_net net = {value};
  const ch_amount amount = {(ch_u128)value};
  memcpy((uint8_t *)&m + r->at, r->net ? (const void *)&net : (const void *)&amount, sizeof net);
  return m;
}

static void test_money(void **state) {
  (void)state;
  const ch_i128 most = (ch_i128)CH_MONEY_MAX;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const row *r = &rows[i];
    const ch_i128 good[] = {1, most, r->net ? -most : most},
                  bad[] = {most + 1, r->net ? -most - 1 : -1, (ch_i128)1 << 126};
    for (size_t n = 0; n < 3; n++) {
      ch_msg m = with_value(r, good[n]);
      if (encode(&m) && r->at != offsetof(ch_msg, u.open_request.bond)) fail_msg("%s: good %zu is refused", r->name, n);
      m = with_value(r, bad[n]);
      if (encode(&m) != CH_ERR_ARGUMENT) fail_msg("%s: bad %zu is said", r->name, n);
    }
  }
}

static void test_types(void **state) {
  (void)state;
  for (int type = 0; type < 0x10000; type++) {
    ch_msg m = {.type = (ch_msg_type)type};
    switch (m.type) {
    case CH_MSG_ERROR:
    case CH_MSG_OPEN_REQUEST:
    case CH_MSG_OPEN_ACCEPT:
    case CH_MSG_OPEN_CONFIRM:
    case CH_MSG_FUNDS:
    case CH_MSG_REESTABLISH:
    case CH_MSG_UPDATE:
    case CH_MSG_FULL_STATE:
    case CH_MSG_CLOSE:
    case CH_MSG_WITHDRAW:
    case CH_MSG_RESUME: continue;
    }
    assert_int_equal(encode(&m), CH_ERR_ARGUMENT);
  }
}

static void test_operations(void **state) {
  (void)state;
  ch_op op = {.kind = CH_OP_NOOP};
  const ch_msg m = {.type = CH_MSG_UPDATE, .u.update = {.has_proposal = true, .version = 1, .ops = &op, .n_ops = 1}};
  assert_int_equal(encode(&m), CH_OK);
  for (int kind = 0; kind < 256; kind++) {
    op = (ch_op){.kind = (uint8_t)kind};
    bool nothing_needed = kind == CH_OP_NOOP || kind == CH_OP_SHUTDOWN || kind > CH_OP_LOCK_ADD;
    assert_int_equal(encode(&m), nothing_needed && kind <= CH_OP_EXPIRE ? CH_OK : CH_ERR_ARGUMENT);
  }
  op = (ch_op){.kind = CH_OP_PAY, .amount = {CH_MONEY_MAX + 1}, .id_len = 1, .id = "a"};
  assert_int_equal(encode(&m), CH_ERR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_money),
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_operations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
