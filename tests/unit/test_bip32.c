/* BIP-32: the official vectors 1 to 4 (private keys), and the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <channel/crypto.h>
#include <sodium.h>

#define H CH_HARDENED
#define STEPS_MAX 5
#define XPRV_BYTES 82 /* version 4, depth 1, parent 4, index 4, chain code 32, 0, key 32, checksum 4 */

/* bitcoin/bips, bip-0032.mediawiki, "Test Vectors"; 3 and 4 are about leading zeros. */
static const char seed1[] = "000102030405060708090a0b0c0d0e0f";
static const char seed2[] = "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2"
                            "9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542";
static const char seed3[] = "4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4ac"
                            "ba45d239319ac14f863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be";
static const char seed4[] = "3ddd5602285899a946114506157c7997e5444528f3003f6134712147db19b678";

static const struct {
  const char *seed;
  size_t steps;
  uint32_t path[STEPS_MAX];
  const char *xprv;
} vectors[] = {
    {seed1,
     0,
     {0},
     "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"},
    {seed1,
     1,
     {0 | H},
     "xprv9uHRZZhk6KAJC1avXpDAp4MDc3sQKNxDiPvvkX8Br5ngLNv1TxvUxt4cV1rGL5hj6KCesnDYUhd7oWgT11eZG7XnxHrnYeSvkzY7d2bhkJ7"},
    {seed1,
     2,
     {0 | H, 1},
     "xprv9wTYmMFdV23N2TdNG573QoEsfRrWKQgWeibmLntzniatZvR9BmLnvSxqu53Kw1UmYPxLgboyZQaXwTCg8MSY3H2EU4pWcQDnRnrVA1xe8fs"},
    {seed1,
     3,
     {0 | H, 1, 2 | H},
     "xprv9z4pot5VBttmtdRTWfWQmoH1taj2axGVzFqSb8C9xaxKymcFzXBDptWmT7FwuEzG3ryjH4ktypQSAewRiNMjANTtpgP4mLTj34bhnZX7UiM"},
    {seed1,
     4,
     {0 | H, 1, 2 | H, 2},
     "xprvA2JDeKCSNNZky6uBCviVfJSKyQ1mDYahRjijr5idH2WwLsEd4Hsb2Tyh8RfQMuPh7f7RtyzTtdrbdqqsunu5Mm3wDvUAKRHSC34sJ7in334"},
    {seed1,
     5,
     {0 | H, 1, 2 | H, 2, 1000000000},
     "xprvA41z7zogVVwxVSgdKUHDy1SKmdb533PjDz7J6N6mV6uS3ze1ai8FHa8kmHScGpWmj4WggLyQjgPie1rFSruoUihUZREPSL39UNdE3BBDu76"},
    {seed2,
     0,
     {0},
     "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U"},
    {seed2,
     1,
     {0},
     "xprv9vHkqa6EV4sPZHYqZznhT2NPtPCjKuDKGY38FBWLvgaDx45zo9WQRUT3dKYnjwih2yJD9mkrocEZXo1ex8G81dwSM1fwqWpWkeS3v86pgKt"},
    {seed2,
     2,
     {0, 2147483647 | H},
     "xprv9wSp6B7kry3Vj9m1zSnLvN3xH8RdsPP1Mh7fAaR7aRLcQMKTR2vidYEeEg2mUCTAwCd6vnxVrcjfy2kRgVsFawNzmjuHc2YmYRmagcEPdU9"},
    {seed2,
     3,
     {0, 2147483647 | H, 1},
     "xprv9zFnWC6h2cLgpmSA46vutJzBcfJ8yaJGg8cX1e5StJh45BBciYTRXSd25UEPVuesF9yog62tGAQtHjXajPPdbRCHuWS6T8XA2ECKADdw4Ef"},
    {seed2,
     4,
     {0, 2147483647 | H, 1, 2147483646 | H},
     "xprvA1RpRA33e1JQ7ifknakTFpgNXPmW2YvmhqLQYMmrj4xJXXWYpDPS3xz7iAxn8L39njGVyuoseXzU6rcxFLJ8HFsTjSyQbLYnMpCqE2VbFWc"},
    {seed2,
     5,
     {0, 2147483647 | H, 1, 2147483646 | H, 2},
     "xprvA2nrNbFZABcdryreWet9Ea4LvTJcGsqrMzxHx98MMrotbir7yrKCEXw7nadnHM8Dq38EGfSh6dqA9QWTyefMLEcBYJUuekgW4BYPJcr9E7j"},
    {seed3,
     0,
     {0},
     "xprv9s21ZrQH143K25QhxbucbDDuQ4naNntJRi4KUfWT7xo4EKsHt2QJDu7KXp1A3u7Bi1j8ph3EGsZ9Xvz9dGuVrtHHs7pXeTzjuxBrCmmhgC6"},
    {seed3,
     1,
     {0 | H},
     "xprv9uPDJpEQgRQfDcW7BkF7eTya6RPxXeJCqCJGHuCJ4GiRVLzkTXBAJMu2qaMWPrS7AANYqdq6vcBcBUdJCVVFceUvJFjaPdGZ2y9WACViL4L"},
    {seed4,
     0,
     {0},
     "xprv9s21ZrQH143K48vGoLGRPxgo2JNkJ3J3fqkirQC2zVdk5Dgd5w14S7fRDyHH4dWNHUgkvsvNDCkvAwcSHNAQwhwgNMgZhLtQC63zxwhQmRv"},
    {seed4,
     1,
     {0 | H},
     "xprv9vB7xEWwNp9kh1wQRfCCQMnZUEG21LpbR9NPCNN1dwhiZkjjeGRnaALmPXCX7SgjFTiCTT6bXes17boXtjq3xLpcDjzEuGLQBM5ohqkao9G"},
    {seed4,
     2,
     {0 | H, 1 | H},
     "xprv9xJocDuwtYCMNAo3Zw76WENQeAS6WGXQ55RCy7tDJ8oALr4FWkuVoHJeHVAcAqiZLE7Je3vZJHxspZdFHfnBEjHqU5hG1Jaj32dVoS6XLT1"},
};

/* Base58Check, as far as an xprv needs it. */
static void decode_xprv(ch_xprv *out, const char *text) {
  static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  uint8_t raw[XPRV_BYTES] = {0};
  for (; *text != '\0'; text++) {
    const char *digit = strchr(digits, *text);
    assert_non_null(digit);
    unsigned carry = (unsigned)(digit - digits);
    for (size_t i = XPRV_BYTES; i-- > 0; carry >>= 8) {
      carry += raw[i] * 58u;
      raw[i] = (uint8_t)carry;
    }
    assert_int_equal(carry, 0);
  }
  uint8_t hash[32];
  crypto_hash_sha256(hash, raw, XPRV_BYTES - 4);
  crypto_hash_sha256(hash, hash, sizeof hash);
  assert_memory_equal(hash, raw + XPRV_BYTES - 4, 4);
  assert_memory_equal(raw, "\x04\x88\xad\xe4", 4);
  memcpy(out->chain_code.b, raw + 13, 32);
  memcpy(out->key.b, raw + 46, 32);
}

static void master_of(ch_xprv *out, const char *seed_hex) {
  uint8_t seed[64];
  size_t len = strlen(seed_hex) / 2;
  assert_true(len <= sizeof seed && ch_unhex(seed, len, seed_hex));
  assert_int_equal(ch_xprv_master(out, seed, len), CH_OK);
}

static void official_vectors(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    ch_xprv expected, key;
    decode_xprv(&expected, vectors[i].xprv);
    master_of(&key, vectors[i].seed);
    assert_int_equal(ch_xprv_path(&key, &key, vectors[i].path, vectors[i].steps), CH_OK);
    assert_memory_equal(key.key.b, expected.key.b, 32);
    assert_memory_equal(key.chain_code.b, expected.chain_code.b, 32);
  }
}

/* The first account of the development sentence that Hardhat and Foundry publish: m/44'/60'/0'/0/0. */
static void words_to_address(void **state) {
  (void)state;
  const uint32_t path[] = {44 | H, 60 | H, 0 | H, 0, 0};
  uint8_t seed[64];
  ch_xprv key;
  ch_pubkey public_key;
  ch_addr address;
  char hex[41];
  assert_int_equal(ch_words_to_seed(seed, "test test test test test test test test test test test junk", NULL), CH_OK);
  assert_int_equal(ch_xprv_master(&key, seed, sizeof seed), CH_OK);
  assert_int_equal(ch_xprv_path(&key, &key, path, 5), CH_OK);
  assert_int_equal(ch_pubkey_of(&public_key, &key.key), CH_OK);
  assert_int_equal(ch_address_of(&address, &public_key), CH_OK);
  ch_hex(hex, address.b, sizeof address.b);
  assert_string_equal(hex, "f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
}

static void seed_length_is_checked(void **state) {
  (void)state;
  uint8_t seed[65] = {1};
  ch_xprv key;
  assert_int_equal(ch_xprv_master(&key, seed, 15), CH_ERR_ARGUMENT);
  assert_int_equal(ch_xprv_master(&key, seed, 16), CH_OK);
  assert_int_equal(ch_xprv_master(&key, seed, 64), CH_OK);
  assert_int_equal(ch_xprv_master(&key, seed, 65), CH_ERR_ARGUMENT);
}

static void an_invalid_parent_changes_nothing(void **state) {
  (void)state;
  const ch_xprv invalid = {{{0}}, {{1}}}; /* the key 0: refused where its public key is needed */
  const uint32_t path[] = {0};
  ch_xprv out, before;
  memset(&out, 0xaa, sizeof out);
  before = out;
  assert_int_equal(ch_xprv_child(&out, &invalid, 0), CH_ERR_KEY);
  assert_int_equal(ch_xprv_path(&out, &invalid, path, 1), CH_ERR_KEY);

  ch_xprv over = invalid; /* a key above the order: refused on a hardened step too */
  memset(over.key.b, 0xff, sizeof over.key.b);
  assert_int_equal(ch_xprv_child(&out, &over, H), CH_ERR_KEY);
  assert_memory_equal(&out, &before, sizeof out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(official_vectors),
      cmocka_unit_test(words_to_address),
      cmocka_unit_test(seed_length_is_checked),
      cmocka_unit_test(an_invalid_parent_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
