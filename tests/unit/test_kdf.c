/* HKDF-SHA256 and PBKDF2-HMAC-SHA512: RFC 5869, published answers, Wycheproof. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <channel/crypto.h>
#include <sodium.h>

#include "vectors.h"

#define HKDF_MAX ((size_t)255 * 32)
#define FIELD_MAX 256 /* longest key, message, salt or info in the vectors */

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected) {
  char *hex = malloc(2 * len + 1);
  assert_non_null(hex);
  ch_hex(hex, bytes, len);
  assert_string_equal(hex, expected);
  free(hex);
}

/* RFC 5869, appendix A.1 to A.3 (the SHA-256 cases). */
static void rfc5869(void **state) {
  (void)state;
  uint8_t bytes[256], ikm[22], out[82];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)i;
  memset(ikm, 0x0b, sizeof ikm);

  ch_hkdf_sha256(out, 42, bytes, 13, ikm, sizeof ikm, bytes + 0xf0, 10);
  assert_hex(out, 42, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");

  ch_hkdf_sha256(out, 82, bytes + 0x60, 80, bytes, 80, bytes + 0xb0, 80);
  assert_hex(out, 82,
             "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600"
             "c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");

  ch_hkdf_sha256(out, 42, NULL, 0, ikm, sizeof ikm, NULL, 0);
  assert_hex(out, 42, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

/* The SHA-256 of the longest output for the input of appendix A.3, from PyCryptodome's HKDF. */
static void longest_hkdf_output(void **state) {
  (void)state;
  uint8_t ikm[22], hash[32];
  uint8_t *out = malloc(HKDF_MAX);
  assert_non_null(out);
  memset(ikm, 0x0b, sizeof ikm);
  ch_hkdf_sha256(out, HKDF_MAX, NULL, 0, ikm, sizeof ikm, NULL, 0);
  crypto_hash_sha256(hash, out, HKDF_MAX);
  free(out);
  assert_hex(hash, sizeof hash, "35741a9b515760e7e640f60e9d8657af4d09e63be63e55b1b31ca0535721ab80");
}

/* A key schedule may overwrite its input. */
static void hkdf_output_may_be_the_input(void **state) {
  (void)state;
  uint8_t apart[64], salt[32] = {1}, ikm[64] = {2};
  ch_hkdf_sha256(apart, 64, salt, 32, ikm, 32, NULL, 0);
  ch_hkdf_sha256(ikm, 64, salt, 32, ikm, 32, NULL, 0);
  assert_memory_equal(ikm, apart, 64);
}

static void pbkdf2(void **state) {
  (void)state;
  const struct {
    const char *password, *salt;
    uint32_t iterations;
    const char *key;
  } cases[] = {
      /* The inputs of RFC 6070 under SHA-512, as many implementations publish them; checked with Python's hashlib. */
      {"password", "salt", 1,
       "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252c02d470a285a0501bad999bfe943c08f050235d7d68b1da"
       "55e63f73b60a57fce"},
      {"password", "salt", 2,
       "e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53cf76cab2868a39b9f7840edce4fef5a82be67335c77a6068"
       "e04112754f27ccf4e"},
      {"password", "salt", 4096,
       "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5143f30602641b3d55cd335988cb36b84376060ecd532e03"
       "9b742a239434af2d5"},
      {"passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096,
       "8c0511f4c6e597c6ac6315d8f0362e225f3c501495ba23b868c005174dc4ee71115b59f9e60cd9532fa33e0f75aefe30225c583a186cd82"
       "bd4daea9724a3d3b8"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint8_t key[64];
    ch_pbkdf2_sha512(key, sizeof key, (const uint8_t *)cases[i].password, strlen(cases[i].password),
                     (const uint8_t *)cases[i].salt, strlen(cases[i].salt), cases[i].iterations);
    assert_hex(key, sizeof key, cases[i].key);
  }
}

/* A password longer than SHA-512's block and an output of more than one block; from Python's hashlib. */
static void pbkdf2_beyond_one_block(void **state) {
  (void)state;
  uint8_t password[200], key[100];
  memset(password, 'p', sizeof password);
  ch_pbkdf2_sha512(key, sizeof key, password, sizeof password, (const uint8_t *)"salt", 4, 3);
  assert_hex(key, sizeof key,
             "0499d2f52a54272883fc04786c49cbfe54771bb53aa16a2f8d3fdad6a6ef15fad0133b49b8e08dc4bbd208c754356edd34d0e5e25"
             "16c4975f9150c616cc96d356e8358be8ec6f4dd31f51d5bef0bb3cbf08428868645ac607227262ee9ca9bcd67d6eaf6");
}

static void check_hkdf(const json_t *test) {
  uint8_t ikm[FIELD_MAX], salt[FIELD_MAX], info[FIELD_MAX];
  size_t ikm_len = vectors_hex(test, "ikm", ikm, sizeof ikm);
  size_t salt_len = vectors_hex(test, "salt", salt, sizeof salt);
  size_t info_len = vectors_hex(test, "info", info, sizeof info);
  size_t size = (size_t)json_integer_value(json_object_get(test, "size"));
  if (strcmp(vectors_str(test, "result"), "valid") != 0) {
    assert_true(size > HKDF_MAX); /* outside our contract, and nothing else is invalid */
    return;
  }
  uint8_t *out = malloc(size);
  assert_non_null(out);
  ch_hkdf_sha256(out, size, salt, salt_len, ikm, ikm_len, info, info_len);
  assert_hex(out, size, vectors_str(test, "okm"));
  free(out);
}

static void wycheproof_hkdf(void **state) {
  (void)state;
  json_t *document = vectors_load("wycheproof-hkdf_sha256_test.json");
  if (document == NULL) skip();
  size_t i, j, checked = 0;
  json_t *group, *test;
  json_array_foreach(json_object_get(document, "testGroups"), i, group) {
    json_array_foreach(json_object_get(group, "tests"), j, test) {
      check_hkdf(test);
      checked++;
    }
  }
  assert_true(checked > 50);
  json_decref(document);
}

/* HKDF with the key as salt and the message as input extracts exactly this HMAC; one more HMAC makes the output. */
static void check_hmac(const json_t *test) {
  uint8_t key[FIELD_MAX], message[FIELD_MAX], tag[32], expected[32], out[32];
  size_t key_len = vectors_hex(test, "key", key, sizeof key);
  size_t message_len = vectors_hex(test, "msg", message, sizeof message);
  assert_int_equal(vectors_hex(test, "tag", tag, sizeof tag), sizeof tag);
  crypto_auth_hmacsha256(expected, (const uint8_t *)"\x01", 1, tag);
  ch_hkdf_sha256(out, sizeof out, key, key_len, message, message_len, NULL, 0);
  bool valid = strcmp(vectors_str(test, "result"), "valid") == 0;
  assert_int_equal(memcmp(out, expected, sizeof out) == 0, valid);
}

static void wycheproof_hmac(void **state) {
  (void)state;
  json_t *document = vectors_load("wycheproof-hmac_sha256_test.json");
  if (document == NULL) skip();
  size_t i, j, checked = 0;
  json_t *group, *test;
  json_array_foreach(json_object_get(document, "testGroups"), i, group) {
    if (json_integer_value(json_object_get(group, "tagSize")) != 256) continue;
    json_array_foreach(json_object_get(group, "tests"), j, test) {
      check_hmac(test);
      checked++;
    }
  }
  assert_true(checked > 50);
  json_decref(document);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rfc5869),
      cmocka_unit_test(longest_hkdf_output),
      cmocka_unit_test(hkdf_output_may_be_the_input),
      cmocka_unit_test(pbkdf2),
      cmocka_unit_test(pbkdf2_beyond_one_block),
      cmocka_unit_test(wycheproof_hkdf),
      cmocka_unit_test(wycheproof_hmac),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
