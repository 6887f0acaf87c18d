#include "channel/crypto.h"

#include <sodium.h>

/* libsodium wants pointers that are not NULL, even to nothing. */
static const uint8_t *not_null(const void *data) {
  return data != NULL ? data : (const uint8_t *)"";
}

/* --- HKDF-SHA256, RFC 5869 ---------------------------------------------------------------------- */

#define SHA256_BYTES crypto_auth_hmacsha256_BYTES

/* Section 2.2: a pseudo-random key from the input keying material. */
static void hkdf_extract(uint8_t prk[SHA256_BYTES], const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                         size_t ikm_len) {
  crypto_auth_hmacsha256_state hmac;
  crypto_auth_hmacsha256_init(&hmac, not_null(salt), salt_len);
  crypto_auth_hmacsha256_update(&hmac, not_null(ikm), ikm_len);
  crypto_auth_hmacsha256_final(&hmac, prk);
  ch_wipe(&hmac, sizeof hmac);
}

/* Section 2.3: T(1) | T(2) | ..., where T(i) = HMAC(prk, T(i-1) | info | i). */
static void hkdf_expand(uint8_t *out, size_t out_len, const uint8_t prk[SHA256_BYTES], const void *info,
                        size_t info_len) {
  crypto_auth_hmacsha256_state hmac;
  uint8_t t[SHA256_BYTES];
  for (uint8_t i = 1; out_len > 0; i++) {
    crypto_auth_hmacsha256_init(&hmac, prk, SHA256_BYTES);
    if (i > 1) crypto_auth_hmacsha256_update(&hmac, t, sizeof t);
    crypto_auth_hmacsha256_update(&hmac, not_null(info), info_len);
    crypto_auth_hmacsha256_update(&hmac, &i, 1);
    crypto_auth_hmacsha256_final(&hmac, t);
    size_t take = out_len < sizeof t ? out_len : sizeof t;
    memcpy(out, t, take);
    out += take;
    out_len -= take;
  }
  ch_wipe(t, sizeof t);
  ch_wipe(&hmac, sizeof hmac);
}

void ch_hkdf_sha256(uint8_t *out, size_t out_len, const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                    size_t ikm_len, const void *info, size_t info_len) {
  uint8_t prk[SHA256_BYTES];
  hkdf_extract(prk, salt, salt_len, ikm, ikm_len);
  hkdf_expand(out, out_len, prk, info, info_len);
  ch_wipe(prk, sizeof prk);
}

/* --- PBKDF2-HMAC-SHA512, RFC 8018, section 5.2 --------------------------------------------------- */

#define SHA512_BYTES crypto_auth_hmacsha512_BYTES

/* T(index) = U(1) ^ U(2) ^ ... ; `keyed` is the HMAC after its key, which each U starts from. */
static void pbkdf2_block(uint8_t t[SHA512_BYTES], const crypto_auth_hmacsha512_state *keyed, const uint8_t *salt,
                         size_t salt_len, uint32_t iterations, uint32_t index) {
  const uint8_t index_be[4] = {(uint8_t)(index >> 24), (uint8_t)(index >> 16), (uint8_t)(index >> 8), (uint8_t)index};
  uint8_t u[SHA512_BYTES];
  crypto_auth_hmacsha512_state hmac = *keyed;
  crypto_auth_hmacsha512_update(&hmac, not_null(salt), salt_len);
  crypto_auth_hmacsha512_update(&hmac, index_be, sizeof index_be);
  crypto_auth_hmacsha512_final(&hmac, u);
  memcpy(t, u, SHA512_BYTES);
  for (uint32_t i = 1; i < iterations; i++) {
    hmac = *keyed;
    crypto_auth_hmacsha512_update(&hmac, u, sizeof u);
    crypto_auth_hmacsha512_final(&hmac, u);
    for (size_t j = 0; j < sizeof u; j++)
      t[j] ^= u[j];
  }
  ch_wipe(u, sizeof u);
  ch_wipe(&hmac, sizeof hmac);
}

void ch_pbkdf2_sha512(uint8_t *out, size_t out_len, const uint8_t *password, size_t password_len, const uint8_t *salt,
                      size_t salt_len, uint32_t iterations) {
  crypto_auth_hmacsha512_state keyed;
  uint8_t t[SHA512_BYTES];
  crypto_auth_hmacsha512_init(&keyed, not_null(password), password_len);
  for (uint32_t index = 1; out_len > 0; index++) {
    pbkdf2_block(t, &keyed, salt, salt_len, iterations, index);
    size_t take = out_len < sizeof t ? out_len : sizeof t;
    memcpy(out, t, take);
    out += take;
    out_len -= take;
  }
  ch_wipe(t, sizeof t);
  ch_wipe(&keyed, sizeof keyed);
}
