/* Money: every boundary, and random properties against wider arithmetic. 2^111-1 = 2596148429267413814265248164610047.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <channel/money.h>

#define MAX_TEXT "2596148429267413814265248164610047"
#define MIN_TEXT "-" MAX_TEXT
#define OVER_TEXT "2596148429267413814265248164610048"
#define UNDER_TEXT "-" OVER_TEXT
#define U128_MAX (~(ch_u128)0)
#define I128_MAX ((ch_i128)(U128_MAX >> 1))
#define ROUNDS 20000

static const ch_amount amount_max = {CH_MONEY_MAX};
static const ch_net net_max = {(ch_i128)CH_MONEY_MAX};
static const ch_net net_min = {-(ch_i128)CH_MONEY_MAX};

/* SplitMix64: the same numbers in every run. */
static uint64_t next_random(uint64_t *seed) {
  uint64_t z = *seed += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/* A number below 2^112, of random size, so that about one in 112 is out of range. */
static ch_u128 random_magnitude(uint64_t *seed) {
  ch_u128 v = (ch_u128)next_random(seed) << 64 | next_random(seed);
  return v >> (16 + next_random(seed) % 112);
}

static void amount_sums_at_the_limits(void **state) {
  (void)state;
  ch_amount out;
  assert_int_equal(ch_amount_add(&out, amount_max, ch_amount_of(0)), CH_OK);
  assert_int_equal(ch_amount_cmp(out, amount_max), 0);
  assert_int_equal(ch_amount_add(&out, (ch_amount){CH_MONEY_MAX - 1}, ch_amount_of(1)), CH_OK);
  assert_int_equal(ch_amount_cmp(out, amount_max), 0);
  assert_int_equal(ch_amount_sub(&out, amount_max, amount_max), CH_OK);
  assert_true(out.v == 0);
  assert_int_equal(ch_amount_sub(&out, ch_amount_of(0), ch_amount_of(0)), CH_OK);

  out = ch_amount_of(77);
  assert_int_equal(ch_amount_add(&out, amount_max, ch_amount_of(1)), CH_ERR_OVERFLOW);
  assert_int_equal(ch_amount_add(&out, ch_amount_of(1), amount_max), CH_ERR_OVERFLOW);
  assert_int_equal(ch_amount_add(&out, amount_max, amount_max), CH_ERR_OVERFLOW);
  assert_int_equal(ch_amount_sub(&out, ch_amount_of(0), ch_amount_of(1)), CH_ERR_OVERFLOW);
  assert_int_equal(ch_amount_sub(&out, ch_amount_of(5), amount_max), CH_ERR_OVERFLOW);
  assert_true(out.v == 77);
}

static void amounts_built_by_hand_never_wrap(void **state) {
  (void)state;
  const ch_amount wild = {U128_MAX};
  ch_amount out = ch_amount_of(77);
  assert_int_equal(ch_amount_add(&out, wild, ch_amount_of(1)), CH_ERR_OVERFLOW);
  assert_int_equal(ch_amount_add(&out, ch_amount_of(1), wild), CH_ERR_OVERFLOW);
  assert_int_equal(ch_amount_sub(&out, wild, wild), CH_ERR_OVERFLOW);
  assert_true(out.v == 77);

  ch_net net = ch_net_of(-77);
  assert_int_equal(ch_net_add(&net, ch_net_of(0), wild), CH_ERR_OVERFLOW);
  assert_int_equal(ch_net_sub(&net, ch_net_of(0), wild), CH_ERR_OVERFLOW);
  assert_int_equal(ch_net_sum(&net, (ch_net){I128_MAX}, ch_net_of(1)), CH_ERR_OVERFLOW);
  assert_int_equal(ch_net_sum(&net, ch_net_of(-1), (ch_net){-I128_MAX - 1}), CH_ERR_OVERFLOW);
  assert_true(net.v == -77);
}

static void net_sums_at_the_limits(void **state) {
  (void)state;
  ch_net out;
  assert_int_equal(ch_net_add(&out, net_min, amount_max), CH_OK);
  assert_true(out.v == 0);
  assert_int_equal(ch_net_sub(&out, net_max, amount_max), CH_OK);
  assert_true(out.v == 0);
  assert_int_equal(ch_net_sub(&out, ch_net_of(0), amount_max), CH_OK);
  assert_int_equal(ch_net_cmp(out, net_min), 0);
  assert_int_equal(ch_net_sum(&out, net_max, net_min), CH_OK);
  assert_true(out.v == 0);

  out = ch_net_of(-77);
  assert_int_equal(ch_net_add(&out, net_max, ch_amount_of(1)), CH_ERR_OVERFLOW);
  assert_int_equal(ch_net_sub(&out, net_min, ch_amount_of(1)), CH_ERR_OVERFLOW);
  assert_int_equal(ch_net_sum(&out, net_min, ch_net_of(-1)), CH_ERR_OVERFLOW);
  assert_int_equal(ch_net_sum(&out, net_max, net_max), CH_ERR_OVERFLOW);
  assert_true(out.v == -77);
}

static void sums_may_alias(void **state) {
  (void)state;
  ch_amount a = ch_amount_of(5);
  assert_int_equal(ch_amount_add(&a, a, a), CH_OK);
  assert_true(a.v == 10);
  ch_net n = ch_net_of(-5);
  assert_int_equal(ch_net_sum(&n, n, n), CH_OK);
  assert_true(n.v == -10);
}

static void comparisons_order(void **state) {
  (void)state;
  assert_int_equal(ch_amount_cmp(ch_amount_of(1), amount_max), -1);
  assert_int_equal(ch_amount_cmp(amount_max, ch_amount_of(1)), 1);
  assert_int_equal(ch_amount_cmp(ch_amount_of(7), ch_amount_of(7)), 0);
  assert_int_equal(ch_net_cmp(net_min, net_max), -1);
  assert_int_equal(ch_net_cmp(ch_net_of(0), ch_net_of(-1)), 1);
  assert_int_equal(ch_net_cmp(ch_net_of(-3), ch_net_of(-3)), 0);
}

static void random_sums_agree_with_wide_arithmetic(void **state) {
  (void)state;
  uint64_t seed = 1;
  const ch_i128 max = (ch_i128)CH_MONEY_MAX;
  for (int i = 0; i < ROUNDS; i++) {
    ch_u128 a = random_magnitude(&seed), b = random_magnitude(&seed);
    bool in_range = a <= CH_MONEY_MAX && b <= CH_MONEY_MAX;
    ch_amount sum = {0}, difference = {0};
    assert_int_equal(ch_amount_add(&sum, (ch_amount){a}, (ch_amount){b}) == CH_OK, in_range && a + b <= CH_MONEY_MAX);
    assert_true(sum.v == (in_range && a + b <= CH_MONEY_MAX ? a + b : 0));
    assert_int_equal(ch_amount_sub(&difference, (ch_amount){a}, (ch_amount){b}) == CH_OK, in_range && a >= b);
    assert_true(difference.v == (in_range && a >= b ? a - b : 0));

    ch_i128 n = next_random(&seed) & 1 ? -(ch_i128)a : (ch_i128)a;
    ch_net up = {0}, down = {0};
    bool up_ok = in_range && n + (ch_i128)b <= max, down_ok = in_range && n - (ch_i128)b >= -max;
    assert_int_equal(ch_net_add(&up, (ch_net){n}, (ch_amount){b}) == CH_OK, up_ok);
    assert_true(up.v == (up_ok ? n + (ch_i128)b : 0));
    assert_int_equal(ch_net_sub(&down, (ch_net){n}, (ch_amount){b}) == CH_OK, down_ok);
    assert_true(down.v == (down_ok ? n - (ch_i128)b : 0));
  }
}

static void decimal_strings(void **state) {
  (void)state;
  const struct {
    const char *text;
    ch_i128 value;
  } cases[] = {
      {"0", 0},
      {"1", 1},
      {"9", 9},
      {"10", 10},
      {"18446744073709551615", (ch_i128)UINT64_MAX},
      {"18446744073709551616", (ch_i128)UINT64_MAX + 1},
      {MAX_TEXT, (ch_i128)CH_MONEY_MAX},
      {"-1", -1},
      {"-10", -10},
      {MIN_TEXT, -(ch_i128)CH_MONEY_MAX},
  };
  char buf[CH_MONEY_STR];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ch_net n;
    ch_amount a;
    assert_int_equal(ch_net_parse(&n, cases[i].text), CH_OK);
    assert_true(n.v == cases[i].value);
    assert_ptr_equal(ch_net_str(buf, n), buf);
    assert_string_equal(buf, cases[i].text);
    if (cases[i].value < 0) {
      assert_int_equal(ch_amount_parse(&a, cases[i].text), CH_ERR_AMOUNT);
      continue;
    }
    assert_int_equal(ch_amount_parse(&a, cases[i].text), CH_OK);
    assert_true(a.v == (ch_u128)cases[i].value);
    assert_string_equal(ch_amount_str(buf, a), cases[i].text);
  }
}

static void other_strings_are_refused(void **state) {
  (void)state;
  const char *bad[] = {"",
                       "-",
                       "-0",
                       "--1",
                       "+1",
                       "00",
                       "01",
                       "-01",
                       " 1",
                       "1 ",
                       "1\n",
                       "1.0",
                       "1e3",
                       "0x1",
                       "1,000",
                       "1_000",
                       "1-",
                       "1a",
                       ":",
                       "/",
                       "\xd9\xa1",
                       OVER_TEXT,
                       (UNDER_TEXT),
                       "25961484292674138142652481646100470",
                       "340282366920938463463374607431768211456", /* 2^128 */
                       "99999999999999999999999999999999999999999999999999999999999999999999999999999999"};
  ch_amount a = ch_amount_of(77);
  ch_net n = ch_net_of(-77);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (ch_amount_parse(&a, bad[i]) != CH_ERR_AMOUNT) fail_msg("amount \"%s\" was accepted", bad[i]);
    if (ch_net_parse(&n, bad[i]) != CH_ERR_AMOUNT) fail_msg("net \"%s\" was accepted", bad[i]);
  }
  assert_true(a.v == 77 && n.v == -77);
}

static void any_128_bit_value_prints(void **state) {
  (void)state;
  char buf[CH_MONEY_STR];
  assert_string_equal(ch_amount_str(buf, (ch_amount){U128_MAX}), "340282366920938463463374607431768211455");
  assert_string_equal(ch_net_str(buf, (ch_net){-I128_MAX - 1}), "-170141183460469231731687303715884105728");
}

static void wire_bytes(void **state) {
  (void)state;
  uint8_t out[16];
  assert_int_equal(ch_amount_bytes(out, ch_amount_of(0)), 0);
  assert_int_equal(ch_amount_bytes(out, ch_amount_of(0xff)), 1);
  assert_int_equal(out[0], 0xff);
  assert_int_equal(ch_amount_bytes(out, ch_amount_of(0x100)), 2);
  assert_memory_equal(out, "\x01\x00", 2);
  assert_int_equal(ch_amount_bytes(out, amount_max), 14);
  assert_memory_equal(out, "\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 14);
  assert_int_equal(ch_amount_bytes(out, (ch_amount){U128_MAX}), 16);

  ch_amount a = ch_amount_of(77);
  const uint8_t leading_zero[] = {0, 1}, over[14] = {0x80}, zeros[17] = {0};
  uint8_t full[17];
  memset(full, 0xff, sizeof full);
  assert_int_equal(ch_amount_from_bytes(&a, leading_zero, 2), CH_ERR_AMOUNT);
  assert_int_equal(ch_amount_from_bytes(&a, zeros, 1), CH_ERR_AMOUNT);
  assert_int_equal(ch_amount_from_bytes(&a, over, 14), CH_ERR_AMOUNT); /* 2^111 */
  assert_int_equal(ch_amount_from_bytes(&a, full, 16), CH_ERR_AMOUNT);
  assert_int_equal(ch_amount_from_bytes(&a, full, 17), CH_ERR_AMOUNT);
  assert_true(a.v == 77);
  assert_int_equal(ch_amount_from_bytes(&a, NULL, 0), CH_OK);
  assert_true(a.v == 0);
}

static void evm_words_at_the_limits(void **state) {
  (void)state;
  uint8_t word[32], expected[32];
  ch_net n = ch_net_of(-77);
  ch_amount a = ch_amount_of(77);

  memset(expected, 0xff, 32);
  ch_net_word(word, ch_net_of(-1));
  assert_memory_equal(word, expected, 32);

  memset(expected + 18, 0, 14); /* -(2^111-1): the sign extended over 0x8000..01 in the low 14 bytes */
  expected[18] = 0x80;
  expected[31] = 1;
  ch_net_word(word, net_min);
  assert_memory_equal(word, expected, 32);
  assert_int_equal(ch_amount_from_word(&a, word), CH_ERR_AMOUNT);

  word[31] = 0; /* -2^111 fits int112, but is outside the money range */
  assert_int_equal(ch_net_from_word(&n, word), CH_ERR_AMOUNT);

  ch_amount_word(word, amount_max);
  memset(expected, 0, 18);
  memset(expected + 18, 0xff, 14);
  expected[18] = 0x7f;
  assert_memory_equal(word, expected, 32);
  memset(expected, 0, 32);
  expected[18] = 0x80; /* 2^111 */
  assert_int_equal(ch_amount_from_word(&a, expected), CH_ERR_AMOUNT);
  assert_int_equal(ch_net_from_word(&n, expected), CH_ERR_AMOUNT);
  assert_true(a.v == 77 && n.v == -77);
}

static void evm_words_need_a_clean_extension(void **state) {
  (void)state;
  uint8_t word[32];
  ch_net n = ch_net_of(-77);
  ch_amount a = ch_amount_of(77);
  for (size_t i = 0; i < 18; i++) {
    ch_amount_word(word, ch_amount_of(5));
    word[i] = 1;
    assert_int_equal(ch_amount_from_word(&a, word), CH_ERR_AMOUNT);
    assert_int_equal(ch_net_from_word(&n, word), CH_ERR_AMOUNT);
    ch_net_word(word, ch_net_of(-5));
    word[i] = 0xfe;
    assert_int_equal(ch_net_from_word(&n, word), CH_ERR_AMOUNT);
  }
  memset(word, 0xff, 16); /* a negative extension over a positive low half, and the reverse */
  memset(word + 16, 0, 16);
  assert_int_equal(ch_net_from_word(&n, word), CH_ERR_AMOUNT);
  memset(word, 0, 16);
  memset(word + 16, 0xff, 16);
  assert_int_equal(ch_net_from_word(&n, word), CH_ERR_AMOUNT);
  assert_true(a.v == 77 && n.v == -77);
}

static void random_values_round_trip(void **state) {
  (void)state;
  uint64_t seed = 2;
  for (int i = 0; i < ROUNDS; i++) {
    ch_amount a = {random_magnitude(&seed) & CH_MONEY_MAX}, a2;
    ch_net n = {next_random(&seed) & 1 ? -(ch_i128)a.v : (ch_i128)a.v}, n2;
    char text[CH_MONEY_STR];
    uint8_t bytes[16], word[32];
    assert_int_equal(ch_amount_parse(&a2, ch_amount_str(text, a)), CH_OK);
    assert_int_equal(ch_amount_cmp(a, a2), 0);
    assert_int_equal(ch_net_parse(&n2, ch_net_str(text, n)), CH_OK);
    assert_int_equal(ch_net_cmp(n, n2), 0);
    assert_int_equal(ch_amount_from_bytes(&a2, bytes, ch_amount_bytes(bytes, a)), CH_OK);
    assert_int_equal(ch_amount_cmp(a, a2), 0);
    ch_amount_word(word, a);
    assert_int_equal(ch_amount_from_word(&a2, word), CH_OK);
    assert_int_equal(ch_amount_cmp(a, a2), 0);
    ch_net_word(word, n);
    assert_int_equal(ch_net_from_word(&n2, word), CH_OK);
    assert_int_equal(ch_net_cmp(n, n2), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(amount_sums_at_the_limits), cmocka_unit_test(amounts_built_by_hand_never_wrap),
      cmocka_unit_test(net_sums_at_the_limits),    cmocka_unit_test(sums_may_alias),
      cmocka_unit_test(comparisons_order),         cmocka_unit_test(random_sums_agree_with_wide_arithmetic),
      cmocka_unit_test(decimal_strings),           cmocka_unit_test(other_strings_are_refused),
      cmocka_unit_test(any_128_bit_value_prints),  cmocka_unit_test(wire_bytes),
      cmocka_unit_test(evm_words_at_the_limits),   cmocka_unit_test(evm_words_need_a_clean_extension),
      cmocka_unit_test(random_values_round_trip),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
