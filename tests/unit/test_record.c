/* The durable form of a channel: what is written comes back, and what is damaged is refused. That a record gives back
 * the same channel at every state is checked by the fixture after every step of all engine tests. */
#include <sodium.h>
#include <stdlib.h>

#include "engine_fixture.h"

/* A channel with something in every part: L, an outstanding refusal, a replaced proposal, a queue, a challenge. */
static int setup(void **state) {
  duo *d = malloc(sizeof *d);
  if (!d) return -1;
  duo_open(d, 1000, 500);
  assert_int_equal(duo_pay(d, 0, "first", 5), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_pay(d, 1, "mine", 7), CH_OK); /* version 3 gives way to 4, which is refused with 5 */
  ch_op much = duo_op_pay("much", 5000);
  ch_msg m = duo_proposal(d, 0, 2, 4, 5005, &much, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(duo_info(d, 1).outstanding, 5);
  assert_int_equal(duo_pay(d, 1, "waits", 1), CH_OK);
  assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_OK);
  *state = d;
  return 0;
}

static int teardown(void **state) {
  duo_free(*state);
  free(*state);
  return 0;
}

static void encode(const duo *d, int s, uint8_t **record, size_t *len) {
  assert_int_equal(ch_channel_encode(d->side[s].channel, record, len), CH_OK);
}

/* What the decoder says to `len` bytes in a block of exactly that size. */
static ch_err decode(const uint8_t *bytes, size_t len) {
  uint8_t *exact = malloc(len ? len : 1);
  assert_non_null(exact);
  memcpy(exact, bytes, len);
  ch_channel *c;
  ch_err err = ch_channel_decode(&c, exact, len, NULL, 0);
  if (err) assert_null(c);
  ch_channel_free(c);
  free(exact);
  return err;
}

/* What a store may write seldom is the same, byte for byte, while payments are proposed, cross and settle beside locks.
 */
static void test_payments_leave_the_steady_part(void **state) {
  (void)state;
  duo d;
  duo_open(&d, 1000, 500);
  assert_int_equal(duo_lock(&d, 0, "a", 100, 1, 86400), CH_OK);
  assert_int_equal(duo_lock(&d, 1, "b", 30, 2, 86400), CH_OK);
  duo_pump(&d);
  uint8_t *first[2], *again;
  size_t len, n_first[2], n;
  for (int s = 0; s < 2; s++)
    assert_int_equal(ch_channel_encode_parts(d.side[s].channel, &first[s], &len, &n_first[s]), CH_OK);
  for (int round = 0; round < 8; round++) {
    char id[4] = {'p', (char)('0' + round), 0};
    if (round % 2)
      duo_pump(&d);
    else
      for (int s = 0; s < 2; s++)
        assert_int_equal(duo_pay(&d, s, id, 3), CH_OK); /* both propose */
    for (int s = 0; s < 2; s++) {
      assert_int_equal(ch_channel_encode_parts(d.side[s].channel, &again, &len, &n), CH_OK);
      assert_true(n == n_first[s] && len > n && len - n < 700);
      assert_memory_equal(again, first[s], n);
      free(again);
    }
  }
  free(first[0]);
  free(first[1]);
  duo_free(&d);
}

static void test_truncated(void **state) {
  duo *d = *state;
  uint8_t *record;
  size_t len;
  for (int s = 0; s < 2; s++) {
    encode(d, s, &record, &len);
    assert_int_equal(decode(record, len), CH_OK);
    for (size_t n = 0; n < len; n++)
      assert_int_equal(decode(record, n), CH_ERR_FORMAT);
    free(record);
  }
}

static void test_longer(void **state) {
  duo *d = *state;
  uint8_t *record;
  size_t len;
  encode(d, 1, &record, &len);
  uint8_t *longer = calloc(1, len + 9);
  assert_non_null(longer);
  memcpy(longer, record, len);
  for (size_t extra = 1; extra <= 9; extra++)
    assert_int_equal(decode(longer, len + extra), CH_ERR_FORMAT);
  free(longer);
  free(record);
}

/* One wrong bit anywhere: a channel with another past must not come to life. */
static void test_damaged(void **state) {
  duo *d = *state;
  uint8_t *record;
  size_t len;
  encode(d, 1, &record, &len);
  for (size_t i = 0; i < len; i++) {
    for (int bit = 0; bit < 8; bit++) {
      record[i] ^= (uint8_t)(1 << bit);
      assert_int_equal(decode(record, len), CH_ERR_FORMAT);
      record[i] ^= (uint8_t)(1 << bit);
    }
  }
  free(record);
}

/* Even with a right checksum nothing in a record makes the decoder, or the channel that it gives, misbehave. */
static void test_forged(void **state) {
  duo *d = *state;
  uint8_t *record;
  size_t len, sound = 0;
  ch_hash h = {{7}};
  static const uint8_t key[crypto_shorthash_KEYBYTES] = {0};
  encode(d, 1, &record, &len);
  uint8_t *copy = malloc(len);
  assert_non_null(copy);
  size_t body = len - crypto_shorthash_BYTES;
  for (size_t i = 0; i < 4 * body; i++) {
    memcpy(copy, record, len);
    ch_keccak256(&h, &h, sizeof h);
    copy[i % body] ^= h.b[0];
    if (h.b[1] & 1) copy[(size_t)(h.b[2] << 8 | h.b[3]) % body] = h.b[4];
    crypto_shorthash(copy + body, copy, body, key);
    ch_channel *c, *after = NULL;
    if (ch_channel_decode(&c, copy, len, NULL, 0)) continue;
    sound++;
    ch_info info;
    ch_env env = duo_env(d, 1);
    ch_signer signer = duo_signer(d, 1);
    ch_effects fx = {0};
    ch_event ev = {.kind = CH_EV_LINK_UP};
    ch_channel_info(c, &env, &info);
    if (ch_step(&after, &fx, c, &env, &ev, &signer)) assert_null(after);
    ch_effects_clear(&fx);
    ch_channel_free(after);
    ch_channel_free(c);
  }
  assert_true(sound > 0);
  free(copy);
  free(record);
}

static void test_newer_format(void **state) {
  duo *d = *state;
  uint8_t *record;
  size_t len;
  encode(d, 1, &record, &len);
  assert_int_equal(record[0], 0x08); /* field 1, a number */
  record[1]++;
  static const uint8_t key[crypto_shorthash_KEYBYTES] = {0};
  size_t body = len - crypto_shorthash_BYTES;
  crypto_shorthash(record + body, record, body, key);
  assert_int_equal(decode(record, len), CH_ERR_VERSION);
  free(record);
}

static void test_noise(void **state) {
  (void)state;
  uint8_t noise[512];
  ch_hash h = {{1}};
  for (int round = 0; round < 2000; round++) {
    for (size_t i = 0; i < sizeof noise; i += 32) {
      ch_keccak256(&h, &h, sizeof h);
      memcpy(noise + i, &h, 32);
    }
    assert_int_not_equal(decode(noise, noise[0] * 2u), CH_OK);
  }
  static uint8_t huge[(1 << 20) + 1];
  assert_int_equal(decode(huge, sizeof huge), CH_ERR_FORMAT);
}

/* Pending payments that the record has already are not queued twice; the others follow in their order. */
static void test_queue_is_put_back(void **state) {
  duo *d = *state;
  uint8_t *record;
  size_t len;
  encode(d, 1, &record, &len);
  ch_info was = duo_info(d, 1);
  ch_op ops[3] = {duo_op_pay("mine", 7), duo_op_pay("waits", 1), duo_op_pay("later", 2)};
  for (size_t n = 2; n <= 3; n++) {
    ch_channel *c;
    ch_info is;
    ch_env env = duo_env(d, 1);
    assert_int_equal(ch_channel_decode(&c, record, len, ops, n), CH_OK);
    ch_channel_info(c, &env, &is);
    assert_int_equal(is.outstanding, was.outstanding);
    assert_int_equal(is.queued, was.queued + n - 2);
    assert_int_equal(is.pending.v, was.pending.v + (n == 3 ? 2 : 0));
    ch_channel_free(c);
  }
  free(record);
}

/* What has left the process before a crash is said again after it, byte for byte. */
static void test_outstanding_is_said_again(void **state) {
  (void)state;
  duo e, *d = &e;
  duo_open(d, 1000, 500);
  ch_op ops[2] = {duo_op_pay("a", 1), duo_op_pay("b", 2)};
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {ops, 2}};
  assert_int_equal(duo_step(d, 0, &ev), CH_OK);
  ch_sig sig = duo_said(d, 0, CH_MSG_UPDATE)->u.update.sig;
  assert_int_equal(duo_pay(d, 0, "c", 3), CH_OK);
  duo_cut(d);
  duo_restart(d, 0);
  duo_connect(d);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  const ch_msg *m = duo_said(d, 0, CH_MSG_UPDATE);
  assert_int_equal(m->u.update.n_ops, 2);
  assert_memory_equal(&m->u.update.sig, &sig, sizeof sig);
  duo_pump(d);
  assert_int_equal(duo_info(d, 1).net.v, 6);
  duo_free(d);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_truncated),
      TEST(test_longer),
      TEST(test_damaged),
      TEST(test_forged),
      TEST(test_newer_format),
      TEST(test_queue_is_put_back),
      cmocka_unit_test(test_noise),
      cmocka_unit_test(test_outstanding_is_said_again),
      cmocka_unit_test(test_payments_leave_the_steady_part),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
