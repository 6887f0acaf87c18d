/* Keys, addresses, signatures and ECDH: published answers, Wycheproof, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <channel/crypto.h>
#include <secp256k1.h>
#include <sodium.h>

#include "vectors.h"

#define ORDER "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
#define ORDER_LESS_1 "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140"
#define ORDER_HALF "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"
#define ORDER_HALF_PLUS_1 "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define ONE "0000000000000000000000000000000000000000000000000000000000000001"
#define PARITY 0x80

static ch_secret secret(const char *hex) {
  ch_secret s;
  assert_true(ch_unhex(s.b, sizeof s.b, hex));
  return s;
}

static ch_hash hash(const char *hex) {
  ch_hash h;
  assert_true(ch_unhex(h.b, sizeof h.b, hex));
  return h;
}

static ch_addr addr(const char *hex) {
  ch_addr a;
  assert_true(ch_unhex(a.b, sizeof a.b, hex));
  return a;
}

static ch_pubkey pubkey(const char *hex) {
  ch_pubkey p;
  assert_true(ch_unhex(p.b, sizeof p.b, hex));
  return p;
}

static ch_sig sig(const char *r, const char *s) {
  ch_sig out;
  assert_true(ch_unhex(out.b, 32, r) && ch_unhex(out.b + 32, 32, s));
  return out;
}

static ch_addr address_of_key(const ch_secret *key) {
  ch_pubkey public_key;
  ch_addr address;
  assert_int_equal(ch_pubkey_of(&public_key, key), CH_OK);
  assert_int_equal(ch_address_of(&address, &public_key), CH_OK);
  return address;
}

/* --- Keys and addresses -------------------------------------------------------------------------- */

static void known_addresses(void **state) {
  (void)state;
  const struct {
    const char *key, *address;
  } cases[] = {
      {ONE, "7e5f4552091a69125d5dfcb7b8c2659029395bdf"}, /* of the generator itself */
      /* The first two development accounts that Hardhat and Foundry publish. */
      {"ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80", "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"},
      {"59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d", "70997970c51812dc3a010c7d01b50e0d17dc79c8"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ch_secret key = secret(cases[i].key);
    ch_addr address = address_of_key(&key), expected = addr(cases[i].address);
    assert_true(ch_addr_eq(&address, &expected));
  }
}

static void keys_outside_the_group_are_refused(void **state) {
  (void)state;
  const char *bad[] = {ZERO, ORDER, "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
  const ch_hash digest = {{1}};
  ch_pubkey generator = pubkey("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"), public_key;
  ch_sig signature;
  ch_secret shared;
  memset(&public_key, 0xaa, sizeof public_key);
  memset(&signature, 0xaa, sizeof signature);
  memset(&shared, 0xaa, sizeof shared);
  ch_pubkey public_key_before = public_key;
  ch_sig signature_before = signature;
  ch_secret shared_before = shared;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ch_secret key = secret(bad[i]);
    assert_int_equal(ch_pubkey_of(&public_key, &key), CH_ERR_KEY);
    assert_int_equal(ch_sign(&signature, &digest, &key), CH_ERR_KEY);
    assert_int_equal(ch_ecdh(&shared, &key, &generator), CH_ERR_KEY);
  }
  assert_true(ch_pubkey_eq(&public_key, &public_key_before));
  assert_true(ch_sig_eq(&signature, &signature_before));
  assert_memory_equal(&shared, &shared_before, sizeof shared);

  ch_secret last = secret(ORDER_LESS_1); /* its public key is the generator negated */
  assert_int_equal(ch_pubkey_of(&public_key, &last), CH_OK);
  generator.b[0] = 3;
  assert_true(ch_pubkey_eq(&public_key, &generator));
}

static void points_off_the_curve_are_refused(void **state) {
  (void)state;
  const char *bad[] = {
      "020000000000000000000000000000000000000000000000000000000000000000", /* 0^3 + 7 is no square */
      "020000000000000000000000000000000000000000000000000000000000000005", /* nor is 5^3 + 7 */
      "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", /* x = p */
      "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", /* prefixes other than 2 and 3 */
      "0079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
  };
  const ch_secret key = secret(ONE);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ch_pubkey point = pubkey(bad[i]);
    ch_addr address;
    ch_secret shared;
    assert_int_equal(ch_address_of(&address, &point), CH_ERR_KEY);
    assert_int_equal(ch_ecdh(&shared, &key, &point), CH_ERR_KEY);
  }
}

/* --- Signatures ---------------------------------------------------------------------------------- */

/* EIP-2098, "Test Vectors", signed as EIP-191 personal messages. */
static void erc2098(void **state) {
  (void)state;
  const struct {
    const char *message, *r, *vs;
  } cases[] = {
      {"Hello World", "68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b90",
       "7e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea52064"},
      {"It's a small(er) world", "9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76",
       "939c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f550793"},
  };
  const ch_secret key = secret("1234567890123456789012345678901234567890123456789012345678901234");
  const ch_addr signer = address_of_key(&key);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[128];
    int len = snprintf(text, sizeof text,
                       "\x19"
                       "Ethereum Signed Message:\n%zu%s",
                       strlen(cases[i].message), cases[i].message);
    ch_hash digest;
    ch_sig expected = sig(cases[i].r, cases[i].vs), signature;
    ch_keccak256(&digest, text, (size_t)len);
    assert_int_equal(ch_sign(&signature, &digest, &key), CH_OK);
    assert_true(ch_sig_eq(&signature, &expected));
    assert_int_equal(ch_verify(&digest, &signature, &signer), CH_OK);
  }
}

/* Deterministic nonces for secp256k1 and SHA-256 as libraries publish them (python-ecdsa, bitcoinjs-lib). */
static void rfc6979(void **state) {
  (void)state;
  const struct {
    const char *message, *r, *s;
  } cases[] = {
      {"Satoshi Nakamoto", "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8",
       "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"},
      {"All those moments will be lost in time, like tears in rain. Time to die...",
       "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b",
       "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21"},
  };
  const ch_secret key = secret(ONE);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ch_hash digest;
    ch_sig expected = sig(cases[i].r, cases[i].s), signature;
    crypto_hash_sha256(digest.b, (const uint8_t *)cases[i].message, strlen(cases[i].message));
    assert_int_equal(ch_sign(&signature, &digest, &key), CH_OK);
    signature.b[32] &= PARITY - 1;
    assert_true(ch_sig_eq(&signature, &expected));
  }
}

/* The example of the ECRECOVER precompile on evm.codes; v = 28. */
static void ecrecover_example(void **state) {
  (void)state;
  ch_hash digest = hash("456e9aea5e197a1f1af7a3e85a3212fa4049a3ba34c2289b4c860fc0b0c64ef3");
  ch_sig signature = sig("9242685bf161793cc25603c231bc2f568eb630ea16aa137d2664ac8038825608",
                         "cf8ae3bd7535248d0bd448298cc2e2071e56992d0774dc340c368ae950852ada");
  ch_addr expected = addr("7156526fbd7a3c72969b54f64e42c10fbb768c8a"), recovered;
  assert_int_equal(ch_recover(&recovered, &digest, &signature), CH_OK);
  assert_true(ch_addr_eq(&recovered, &expected));
}

static void signatures_verify_only_for_their_signer(void **state) {
  (void)state;
  bool seen[2] = {false, false};
  for (uint8_t i = 1; i <= 50; i++) {
    ch_secret key = {{i, 1}}, other_key = {{i, 2}};
    ch_hash digest = {{i}}, other_digest = {{i, 1}};
    ch_addr signer = address_of_key(&key), other = address_of_key(&other_key), recovered;
    const ch_addr zero = {{0}};
    ch_sig signature, again;
    assert_int_equal(ch_sign(&signature, &digest, &key), CH_OK);
    assert_int_equal(ch_sign(&again, &digest, &key), CH_OK);
    assert_true(ch_sig_eq(&signature, &again));
    assert_int_equal(ch_recover(&recovered, &digest, &signature), CH_OK);
    assert_true(ch_addr_eq(&recovered, &signer));
    assert_int_equal(ch_verify(&digest, &signature, &signer), CH_OK);
    assert_int_equal(ch_verify(&digest, &signature, &other), CH_ERR_SIGNATURE);
    assert_int_equal(ch_verify(&digest, &signature, &zero), CH_ERR_SIGNATURE);
    assert_int_equal(ch_verify(&other_digest, &signature, &signer), CH_ERR_SIGNATURE);
    seen[signature.b[32] >> 7] = true;
  }
  assert_true(seen[0] && seen[1]);
}

static void every_flipped_bit_is_noticed(void **state) {
  (void)state;
  const ch_secret key = secret(ORDER_LESS_1);
  const ch_addr signer = address_of_key(&key);
  const ch_hash digest = {{9}};
  ch_sig signature;
  assert_int_equal(ch_sign(&signature, &digest, &key), CH_OK);
  for (size_t bit = 0; bit < 8 * sizeof signature.b; bit++) {
    ch_sig flipped = signature;
    flipped.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(ch_verify(&digest, &flipped, &signer), CH_ERR_SIGNATURE);
  }
}

static void values_out_of_range_are_refused(void **state) {
  (void)state;
  const struct {
    const char *r, *s;
    ch_err result;
  } cases[] = {
      {ZERO, ONE, CH_ERR_SIGNATURE},
      {ONE, ZERO, CH_ERR_SIGNATURE},
      {ZERO, ZERO, CH_ERR_SIGNATURE},
      {ORDER, ONE, CH_ERR_SIGNATURE},
      {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", ONE, CH_ERR_SIGNATURE},
      {ONE, ORDER_HALF, CH_OK}, /* the largest low s */
      {ONE, ORDER_HALF_PLUS_1, CH_ERR_SIGNATURE},
      {ONE, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", CH_ERR_SIGNATURE},
      {"0000000000000000000000000000000000000000000000000000000000000005", ONE, CH_ERR_SIGNATURE}, /* no such x */
  };
  const ch_hash digest = {{1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int parity = 0; parity < 2; parity++) {
      ch_sig signature = sig(cases[i].r, cases[i].s);
      ch_addr address = {{0}};
      if (parity) signature.b[32] |= PARITY;
      assert_int_equal(ch_recover(&address, &digest, &signature), cases[i].result);
      assert_int_equal(ch_addr_is_zero(&address), cases[i].result != CH_OK);
      assert_int_equal(ch_verify(&digest, &signature, &address), cases[i].result);
    }
  }
}

/* --- ECDH ---------------------------------------------------------------------------------------- */

/* BOLT 8, appendix A, "transport-initiator successful handshake": the "ss" of act one. */
static void bolt8_ecdh(void **state) {
  (void)state;
  ch_secret key = secret("1212121212121212121212121212121212121212121212121212121212121212"), shared;
  ch_pubkey peer = pubkey("028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7");
  ch_secret expected = secret("1e2fb3c8fe8fb9f262f649f64d26ecf0f2c0a805a767cf02dc2d77a6ef1fdcc3");
  assert_int_equal(ch_ecdh(&shared, &key, &peer), CH_OK);
  assert_memory_equal(shared.b, expected.b, sizeof shared.b);
}

static void ecdh_is_the_same_from_both_sides(void **state) {
  (void)state;
  ch_secret a = {{1, 2, 3}}, b = {{4, 5, 6}}, at_a, at_b;
  ch_pubkey public_a, public_b;
  assert_int_equal(ch_pubkey_of(&public_a, &a), CH_OK);
  assert_int_equal(ch_pubkey_of(&public_b, &b), CH_OK);
  assert_int_equal(ch_ecdh(&at_a, &a, &public_b), CH_OK);
  assert_int_equal(ch_ecdh(&at_b, &b, &public_a), CH_OK);
  assert_memory_equal(at_a.b, at_b.b, sizeof at_a.b);
}

/* --- Wycheproof ---------------------------------------------------------------------------------- */

static bool is_valid(const json_t *test) {
  return strcmp(vectors_str(test, "result"), "valid") == 0;
}

/* How many of the two parities make r || s a signature of `signer`. A value with the top bit set has no compact form.
 */
static int matching_parities(const uint8_t rs[64], const ch_hash *digest, const ch_addr *signer) {
  int matching = 0;
  if (rs[32] & PARITY) return 0;
  for (int parity = 0; parity < 2; parity++) {
    ch_sig signature;
    memcpy(signature.b, rs, sizeof signature.b);
    if (parity) signature.b[32] |= PARITY;
    matching += ch_verify(digest, &signature, signer) == CH_OK;
  }
  return matching;
}

/* True if s was high, and is now the low one of the same signature. False too if r or s is out of range. */
static bool make_low(uint8_t rs[64]) {
  secp256k1_ecdsa_signature parsed;
  if (!secp256k1_ecdsa_signature_parse_compact(secp256k1_context_static, &parsed, rs)) return false;
  bool was_high = secp256k1_ecdsa_signature_normalize(secp256k1_context_static, &parsed, &parsed);
  secp256k1_ecdsa_signature_serialize_compact(secp256k1_context_static, rs, &parsed);
  return was_high;
}

/* x = r + n < p is possible below 2^129, and then neither ERC-2098 nor the EVM can name the point. */
static bool r_may_have_wrapped(const uint8_t rs[64]) {
  static const uint8_t zeros[15];
  return memcmp(rs, zeros, sizeof zeros) == 0;
}

static void check_signature(const json_t *test, const ch_addr *signer) {
  uint8_t message[1024], rs[128];
  ch_hash digest;
  size_t len = vectors_hex(test, "msg", message, sizeof message);
  crypto_hash_sha256(digest.b, message, len);
  if (vectors_hex(test, "sig", rs, sizeof rs) != 64) {
    assert_false(is_valid(test)); /* no other length fits our type */
    return;
  }
  uint8_t raw[64];
  memcpy(raw, rs, sizeof raw);
  bool was_high = make_low(rs);
  if (was_high) assert_int_equal(matching_parities(raw, &digest, signer), 0);
  int matching = matching_parities(rs, &digest, signer);
  if (matching == (is_valid(test) ? 1 : 0)) return;
  if (is_valid(test) && matching == 0 && r_may_have_wrapped(rs)) return;
  fail_msg("test %lld (%s)", json_integer_value(json_object_get(test, "tcId")), vectors_str(test, "comment"));
}

static ch_pubkey compress(const uint8_t point[65]) {
  ch_pubkey out = {{(uint8_t)(2 + (point[64] & 1))}};
  memcpy(out.b + 1, point + 1, 32);
  return out;
}

static void wycheproof_ecdsa(void **state) {
  (void)state;
  json_t *document = vectors_load("wycheproof-ecdsa_secp256k1_sha256_p1363_test.json");
  if (document == NULL) skip();
  size_t i, j, checked = 0;
  json_t *group, *test;
  json_array_foreach(json_object_get(document, "testGroups"), i, group) {
    uint8_t point[65];
    ch_addr signer;
    assert_int_equal(vectors_hex(json_object_get(group, "publicKey"), "uncompressed", point, sizeof point), 65);
    ch_pubkey key = compress(point);
    assert_int_equal(ch_address_of(&signer, &key), CH_OK);
    json_array_foreach(json_object_get(group, "tests"), j, test) {
      check_signature(test, &signer);
      checked++;
    }
  }
  assert_true(checked > 200);
  json_decref(document);
}

/* The point of a SubjectPublicKeyInfo in its one strict encoding. False for every other: we take no ASN.1 at all. An
 * invalid uncompressed point has no compressed form that would be as invalid, so it maps to nothing of ours. */
static bool point_of(ch_pubkey *out, const json_t *test) {
  static const char uncompressed[] = "3056301006072a8648ce3d020106052b8104000a034200";
  static const char compressed[] = "3036301006072a8648ce3d020106052b8104000a032200";
  const char *der = vectors_str(test, "public");
  size_t prefix = sizeof uncompressed - 1;
  uint8_t point[65];
  if (strncmp(der, compressed, prefix) == 0) return ch_unhex(out->b, sizeof out->b, der + prefix);
  if (!is_valid(test) || strncmp(der, uncompressed, prefix) != 0) return false;
  if (!ch_unhex(point, sizeof point, der + prefix)) return false;
  *out = compress(point);
  return true;
}

static ch_secret private_key_of(const json_t *test) {
  uint8_t raw[64], padded[32 + sizeof raw] = {0};
  size_t len = vectors_hex(test, "private", raw, sizeof raw);
  memcpy(padded + 32, raw, len);
  ch_secret key;
  memcpy(key.b, padded + len, sizeof key.b);
  for (size_t i = 0; i + 32 < len; i++)
    assert_int_equal(raw[i], 0);
  return key;
}

/* The vectors give the x of the shared point; ours is the hash of it behind one of two prefixes. */
static bool is_hash_of_x(const ch_secret *shared, const json_t *test) {
  uint8_t point[33], digest[32];
  assert_int_equal(vectors_hex(test, "shared", point + 1, 32), 32);
  for (uint8_t prefix = 2; prefix <= 3; prefix++) {
    point[0] = prefix;
    crypto_hash_sha256(digest, point, sizeof point);
    if (memcmp(digest, shared->b, sizeof digest) == 0) return true;
  }
  return false;
}

static void wycheproof_ecdh(void **state) {
  (void)state;
  json_t *document = vectors_load("wycheproof-ecdh_secp256k1_test.json");
  if (document == NULL) skip();
  size_t i, j, agreed = 0, refused = 0;
  json_t *group, *test;
  json_array_foreach(json_object_get(document, "testGroups"), i, group) {
    json_array_foreach(json_object_get(group, "tests"), j, test) {
      ch_pubkey peer;
      ch_secret shared, key;
      if (!point_of(&peer, test)) continue;
      key = private_key_of(test);
      ch_err err = ch_ecdh(&shared, &key, &peer);
      if (strcmp(vectors_str(test, "result"), "invalid") == 0) {
        assert_int_equal(err, CH_ERR_KEY);
        refused++;
        continue;
      }
      assert_int_equal(err, CH_OK);
      assert_true(is_hash_of_x(&shared, test));
      agreed++;
    }
  }
  assert_true(agreed > 400 && refused > 0);
  json_decref(document);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_addresses),
      cmocka_unit_test(keys_outside_the_group_are_refused),
      cmocka_unit_test(points_off_the_curve_are_refused),
      cmocka_unit_test(erc2098),
      cmocka_unit_test(rfc6979),
      cmocka_unit_test(ecrecover_example),
      cmocka_unit_test(signatures_verify_only_for_their_signer),
      cmocka_unit_test(every_flipped_bit_is_noticed),
      cmocka_unit_test(values_out_of_range_are_refused),
      cmocka_unit_test(bolt8_ecdh),
      cmocka_unit_test(ecdh_is_the_same_from_both_sides),
      cmocka_unit_test(wycheproof_ecdsa),
      cmocka_unit_test(wycheproof_ecdh),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
