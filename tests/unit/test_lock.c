/* The encoding of locks (proto/protocol.md, section 6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <channel/lock.h>

static const uint8_t HASH[32] = {0xde, 0xad};
static const uint8_t PAYLOAD[3] = {1, 2, 3};

static ch_lock hash_lock(void) {
  return (ch_lock){.amount = {((ch_u128)1 << 110) + 5},
                   .payer = 1,
                   .expiry = 0x0102030405,
                   .payload_len = CH_LOCK_HASH_LEN,
                   .payload = HASH};
}

static ch_lock contract_lock(void) {
  return (ch_lock){
      .amount = {7}, .expiry = 9, .condition = {{0xcc}}, .gas = 0x01020304, .payload_len = 3, .payload = PAYLOAD};
}

/* Both, one behind the other. */
static size_t both(uint8_t *out, size_t size) {
  ch_lock a = hash_lock(), b = contract_lock();
  size_t len = 0;
  assert_int_equal(ch_lock_encode(out, size, &len, &a), CH_OK);
  assert_int_equal(ch_lock_encode(out, size, &len, &b), CH_OK);
  return len;
}

static void test_bytes(void **unused) {
  (void)unused;
  uint8_t bytes[200], head[CH_LOCK_HEAD];
  size_t len = both(bytes, sizeof bytes);
  assert_int_equal(len, 78 + 49);
  assert_true(ch_unhex(head, sizeof head,
                       "4000000000000000000000000005"
                       "01"
                       "0102030405"
                       "0000000000000000000000000000000000000000"
                       "00000000"
                       "0020"));
  assert_memory_equal(bytes, head, sizeof head);
  assert_memory_equal(bytes + sizeof head, HASH, sizeof HASH);
  assert_true(ch_unhex(head, sizeof head,
                       "0000000000000000000000000007"
                       "00"
                       "0000000009"
                       "cc00000000000000000000000000000000000000"
                       "01020304"
                       "0003"));
  assert_memory_equal(bytes + 78, head, sizeof head);
  assert_memory_equal(bytes + 78 + sizeof head, PAYLOAD, sizeof PAYLOAD);
}

static void assert_same(const ch_lock *a, const ch_lock *b) {
  assert_true(a->amount.v == b->amount.v);
  assert_int_equal(a->payer, b->payer);
  assert_int_equal(a->expiry, b->expiry);
  assert_memory_equal(&a->condition, &b->condition, sizeof a->condition);
  assert_int_equal(a->gas, b->gas);
  assert_int_equal(a->payload_len, b->payload_len);
  assert_memory_equal(a->payload, b->payload, a->payload_len);
}

static void test_decode(void **unused) {
  (void)unused;
  uint8_t bytes[200];
  size_t len = both(bytes, sizeof bytes), at = 0, n = 0;
  ch_lock a = hash_lock(), b = contract_lock(), l;
  assert_int_equal(ch_lock_decode(&l, bytes, len, &at), CH_OK);
  assert_same(&l, &a);
  assert_int_equal(ch_lock_decode(&l, bytes, len, &at), CH_OK);
  assert_same(&l, &b);
  assert_int_equal(at, len);
  assert_int_equal(ch_lock_decode(&l, bytes, len, &at), CH_ERR_FORMAT);
  assert_int_equal(ch_locks_count(&n, bytes, len), CH_OK);
  assert_int_equal(n, 2);
  assert_int_equal(ch_locks_count(&n, NULL, 0), CH_OK);
  assert_int_equal(n, 0);
}

/* Cut anywhere but between the two, or with a byte behind, it is refused. */
static void test_cut(void **unused) {
  (void)unused;
  uint8_t bytes[200] = {0};
  size_t len = both(bytes, sizeof bytes);
  for (size_t cut = 1; cut <= len + 1; cut++) {
    bool whole = cut == 78 || cut == len;
    assert_int_equal(ch_locks_count(NULL, bytes, cut), whole ? CH_OK : CH_ERR_FORMAT);
  }
}

static void refused(ch_lock l) {
  uint8_t bytes[200];
  size_t len = 0;
  assert_int_equal(ch_lock_check(&l), CH_ERR_ARGUMENT);
  assert_int_equal(ch_lock_encode(bytes, sizeof bytes, &len, &l), CH_ERR_ARGUMENT);
  assert_int_equal(len, 0);
}

static void test_malformed(void **unused) {
  (void)unused;
  ch_lock l = hash_lock();
  l.amount.v = CH_MONEY_MAX + 1;
  refused(l);
  l = hash_lock();
  l.payer = 2;
  refused(l);
  l = hash_lock();
  l.expiry = CH_LOCK_EXPIRY_MAX + 1;
  refused(l);
  l = hash_lock();
  l.gas = 1;
  refused(l);
  l = hash_lock();
  l.payload_len = 31;
  refused(l);
  uint8_t bytes[200], spoilt[200];
  size_t len = both(bytes, sizeof bytes);
  static const struct {
    size_t at;
    uint8_t value;
  } spoil[] = {{0, 0x80}, {14, 2}, {43, 1}, {45, 31}, {45, 33}};
  for (size_t i = 0; i < sizeof spoil / sizeof *spoil; i++) {
    memcpy(spoilt, bytes, len);
    spoilt[spoil[i].at] = spoil[i].value;
    assert_int_equal(ch_locks_count(NULL, spoilt, len), CH_ERR_FORMAT);
  }
}

static void test_no_room(void **unused) {
  (void)unused;
  uint8_t bytes[78];
  ch_lock l = hash_lock();
  size_t len = 1;
  assert_int_equal(ch_lock_encode(bytes, sizeof bytes, &len, &l), CH_ERR_ARGUMENT);
  assert_int_equal(len, 1);
  len = sizeof bytes + 1;
  assert_int_equal(ch_lock_encode(bytes, sizeof bytes, &len, &l), CH_ERR_ARGUMENT);
  len = 0;
  assert_int_equal(ch_lock_encode(bytes, sizeof bytes, &len, &l), CH_OK);
  size_t at = sizeof bytes + 1;
  assert_int_equal(ch_lock_decode(&l, bytes, sizeof bytes, &at), CH_ERR_FORMAT);
  assert_int_equal(at, sizeof bytes + 1);
}

static void test_hash(void **unused) {
  (void)unused;
  uint8_t bytes[200];
  size_t len = both(bytes, sizeof bytes);
  ch_hash hash, expected;
  ch_locks_hash(&hash, bytes, len);
  ch_keccak256(&expected, bytes, len);
  assert_memory_equal(&hash, &expected, sizeof hash);
  ch_locks_hash(&hash, NULL, 0);
  assert_true(ch_hash_is_zero(&hash));
  /* sha256 of 32 zero bytes, as `head -c 32 /dev/zero | sha256sum` says. */
  assert_true(ch_unhex(expected.b, 32, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"));
  ch_preimage_hash(&hash, &(ch_hash){{0}});
  assert_memory_equal(&hash, &expected, sizeof hash);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bytes),     cmocka_unit_test(test_decode),  cmocka_unit_test(test_cut),
      cmocka_unit_test(test_malformed), cmocka_unit_test(test_no_room), cmocka_unit_test(test_hash),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
