/* Hex, wiping and zero checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <channel/types.h>

static void hex_round_trips_every_byte(void **state) {
  (void)state;
  for (unsigned i = 0; i < 256; i++) {
    uint8_t in = (uint8_t)i, out;
    char expected[3], hex[3];
    snprintf(expected, sizeof expected, "%02x", i);
    ch_hex(hex, &in, 1);
    assert_string_equal(hex, expected);
    assert_true(ch_unhex(&out, 1, hex));
    assert_int_equal(out, i);
  }
}

static void unhex_takes_only_digits(void **state) {
  (void)state;
  for (unsigned i = 1; i < 256; i++) {
    bool digit = (i >= '0' && i <= '9') || (i >= 'a' && i <= 'f') || (i >= 'A' && i <= 'F');
    const char high[] = {(char)i, '1', '\0'}, low[] = {'1', (char)i, '\0'};
    uint8_t out;
    assert_int_equal(ch_unhex(&out, 1, high), digit);
    assert_int_equal(ch_unhex(&out, 1, low), digit);
  }
}

static void unhex_is_strict_about_length_and_prefix(void **state) {
  (void)state;
  uint8_t out[2];
  assert_true(ch_unhex(out, 2, "0xAb3F"));
  assert_int_equal(out[0], 0xab);
  assert_int_equal(out[1], 0x3f);
  assert_true(ch_unhex(out, 2, "0Xab3f"));
  assert_true(ch_unhex(out, 0, ""));
  assert_true(ch_unhex(out, 0, "0x"));
  const char *bad[] = {"",      "0x",       "a",     "ab",    "ab3",    "ab3f0", "ab3f00",
                       "0xab3", "0x0xab3f", " ab3f", "ab3f ", "x1ab3f", "00ab3f"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (ch_unhex(out, 2, bad[i])) fail_msg("accepted \"%s\"", bad[i]);
  }
}

static void hex_of_nothing_is_empty(void **state) {
  (void)state;
  char hex[1] = {'x'};
  ch_hex(hex, (const uint8_t *)"", 0);
  assert_string_equal(hex, "");
}

static void zero_checks_see_every_byte(void **state) {
  (void)state;
  ch_hash hash = {{0}};
  ch_addr addr = {{0}};
  assert_true(ch_hash_is_zero(&hash));
  assert_true(ch_addr_is_zero(&addr));
  for (size_t i = 0; i < sizeof hash.b; i++) {
    hash.b[i] = 0x80;
    assert_false(ch_hash_is_zero(&hash));
    hash.b[i] = 0;
  }
  for (size_t i = 0; i < sizeof addr.b; i++) {
    addr.b[i] = 1;
    assert_false(ch_addr_is_zero(&addr));
    addr.b[i] = 0;
  }
}

static void wipe_clears_exactly_its_range(void **state) {
  (void)state;
  uint8_t bytes[5] = {1, 2, 3, 4, 5};
  ch_wipe(bytes + 1, 3);
  assert_memory_equal(bytes, ((uint8_t[]){1, 0, 0, 0, 5}), 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hex_round_trips_every_byte),
      cmocka_unit_test(unhex_takes_only_digits),
      cmocka_unit_test(unhex_is_strict_about_length_and_prefix),
      cmocka_unit_test(hex_of_nothing_is_empty),
      cmocka_unit_test(zero_checks_see_every_byte),
      cmocka_unit_test(wipe_clears_exactly_its_range),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
