/* What is public by design, at the calls of the libraries where it becomes so. The linker puts these functions before
 * the real ones (--wrap), in the library and the daemon as they are shipped; inside the real ones everything is looked
 * at. */
#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_recovery.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ct.h"

/* Declares the real function and the one before it. */
#define WRAP(result, name, ...)                                                                                        \
  result __real_##name(__VA_ARGS__);                                                                                   \
  result __wrap_##name(__VA_ARGS__);                                                                                   \
  result __wrap_##name(__VA_ARGS__)

/* A verdict of one bit, on which the caller has to act. */
static int verdict(int result) {
  ct_public(&result, sizeof result);
  return result;
}

/* Branches on verdicts inside the libraries, by the suppression that is for them. */
static unsigned sign, chacha20poly1305, xchacha20poly1305, secretbox;

void ct_expected_suppressed(void) {
  printf("# ct-secp256k1-sign %u\n", sign);
  printf("# ct-sodium-chacha20poly1305 %u\n", chacha20poly1305);
  printf("# ct-sodium-xchacha20poly1305 %u\n", xchacha20poly1305);
  printf("# ct-sodium-secretbox %u\n", secretbox);
}

/* --- libsecp256k1: its ctime_tests declassify the same ------------------------------------------- */

/* A public key is published; and whether a secret key is one at all (a random one is, but for odds of 2^-127). */
WRAP(int, secp256k1_ec_pubkey_create, const secp256k1_context *ctx, secp256k1_pubkey *out, const unsigned char *key) {
  int ok = __real_secp256k1_ec_pubkey_create(ctx, out, key);
  ct_public(out, sizeof *out);
  return verdict(ok);
}

WRAP(int, secp256k1_ec_seckey_verify, const secp256k1_context *ctx, const unsigned char *key) {
  return verdict(__real_secp256k1_ec_seckey_verify(ctx, key));
}

WRAP(int, secp256k1_ec_seckey_tweak_add, const secp256k1_context *ctx, unsigned char *key, const unsigned char *tweak) {
  return verdict(__real_secp256k1_ec_seckey_tweak_add(ctx, key, tweak));
}

WRAP(int, secp256k1_ecdh, const secp256k1_context *ctx, unsigned char *out, const secp256k1_pubkey *peer,
     const unsigned char *key, secp256k1_ecdh_hash_function hash, void *data) {
  return verdict(__real_secp256k1_ecdh(ctx, out, peer, key, hash, data));
}

/* A signature is published. */
WRAP(int, secp256k1_ecdsa_sign_recoverable, const secp256k1_context *ctx, secp256k1_ecdsa_recoverable_signature *sig,
     const unsigned char *digest, const unsigned char *key, secp256k1_nonce_function nonce, const void *data) {
  int ok = __real_secp256k1_ecdsa_sign_recoverable(ctx, sig, digest, key, nonce, data);
  sign += 2;
  ct_public(sig, sizeof *sig);
  return verdict(ok);
}

/* What is parsed here is a public key, also when it came encrypted (BOLT 8's third act hides it from others). */
WRAP(int, secp256k1_ec_pubkey_parse, const secp256k1_context *ctx, secp256k1_pubkey *out, const unsigned char *in,
     size_t len) {
  ct_public(in, len);
  return __real_secp256k1_ec_pubkey_parse(ctx, out, in, len);
}

/* --- libsodium ----------------------------------------------------------------------------------- */

/* Whether the MAC is right: the connection is cut, the file refused. */
WRAP(int, crypto_aead_chacha20poly1305_ietf_decrypt, unsigned char *m, unsigned long long *m_len, unsigned char *nsec,
     const unsigned char *c, unsigned long long c_len, const unsigned char *ad, unsigned long long ad_len,
     const unsigned char *nonce, const unsigned char *key) {
  chacha20poly1305 += m != NULL; /* if only the MAC is wanted, there is no branch */
  return verdict(__real_crypto_aead_chacha20poly1305_ietf_decrypt(m, m_len, nsec, c, c_len, ad, ad_len, nonce, key));
}

/* Of the backup, its text is read as well: what channels there are, not what signs for them. */
WRAP(int, crypto_aead_xchacha20poly1305_ietf_decrypt, unsigned char *m, unsigned long long *m_len, unsigned char *nsec,
     const unsigned char *c, unsigned long long c_len, const unsigned char *ad, unsigned long long ad_len,
     const unsigned char *nonce, const unsigned char *key) {
  int bad = __real_crypto_aead_xchacha20poly1305_ietf_decrypt(m, m_len, nsec, c, c_len, ad, ad_len, nonce, key);
  xchacha20poly1305++;
  ct_public(m, c_len - crypto_aead_xchacha20poly1305_ietf_ABYTES);
  return verdict(bad);
}

WRAP(int, crypto_secretbox_open_easy, unsigned char *m, const unsigned char *c, unsigned long long c_len,
     const unsigned char *nonce, const unsigned char *key) {
  secretbox++;
  return verdict(__real_crypto_secretbox_open_easy(m, c, c_len, nonce, key));
}

/* Argon2id chooses addresses by the password in its second half: that is its design (RFC 9106, section 3.4.1.3), and
 * not looked at. The key that comes out is a secret. */
WRAP(int, crypto_pwhash, unsigned char *out, unsigned long long out_len, const char *password,
     unsigned long long password_len, const unsigned char *salt, unsigned long long ops, size_t memory, int algorithm) {
  int bad = __real_crypto_pwhash(out, out_len, password, password_len, salt, ops, memory, algorithm);
  ct_secret(out, out_len);
  return bad;
}

/* SipHash is a PRF: the places of names in a table say nothing of its key. */
WRAP(int, crypto_shorthash, unsigned char *out, const unsigned char *in, unsigned long long len,
     const unsigned char *key) {
  int bad = __real_crypto_shorthash(out, in, len, key);
  ct_public(out, crypto_shorthash_BYTES);
  return bad;
}

/* Whether two secrets are the same, but not where they differ. */
WRAP(int, sodium_memcmp, const void *a, const void *b, size_t len) {
  return verdict(__real_sodium_memcmp(a, b, len));
}

/* --- Ours ---------------------------------------------------------------------------------------- */

/* Whether it is hex of this length, but not which digit is wrong. */
WRAP(bool, ch_unhex, uint8_t *out, size_t len, const char *hex) {
  return verdict(__real_ch_unhex(out, len, hex));
}

/* --- Where secrets come in ----------------------------------------------------------------------- */

static size_t secret_from;

void ct_next_read_is_secret(size_t offset) {
  secret_from = offset;
}

WRAP(ssize_t, read, int fd, void *buffer, size_t len) {
  ssize_t n = __real_read(fd, buffer, len);
  char *text = buffer;
  if (secret_from > 0 && n > (ssize_t)secret_from) {
    const char *end = memchr(text, '\n', (size_t)n);
    size_t until = end != NULL ? (size_t)(end - text) : (size_t)n;
    ct_secret_digits(text + secret_from, until - secret_from);
    secret_from = 0;
  }
  return n;
}
