/* types.h - the plain value types that every part of libchannel shares.
 *
 * All of them are fixed-size structs passed by value or by pointer: no ownership, no allocation.
 * Comparing public values (ids, addresses, hashes) uses ch_*_eq; secrets live in ch_secret and are
 * compared with sodium_memcmp and wiped with ch_wipe.
 */
#ifndef CHANNEL_TYPES_H
#define CHANNEL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CH_API __attribute__((visibility("default")))
#define CH_MUST_CHECK __attribute__((warn_unused_result))
#else
#define CH_API
#define CH_MUST_CHECK
#endif

/* A 32-byte hash, digest, tag, salt or channel id. */
typedef struct ch_hash {
  uint8_t b[32];
} ch_hash;

/* A 20-byte L1 address. All zero means "none"; as an asset it means the native coin. */
typedef struct ch_addr {
  uint8_t b[20];
} ch_addr;

/* A compressed secp256k1 public key (SEC 1, 33 bytes). */
typedef struct ch_pubkey {
  uint8_t b[33];
} ch_pubkey;

/* A compact signature: r (32 bytes), then s with the y-parity in its top bit (ERC-2098). Always low-s. */
typedef struct ch_sig {
  uint8_t b[64];
} ch_sig;

/* 32 secret bytes: a private key, a shared secret, a PRF key. Wipe with ch_wipe after use. */
typedef struct ch_secret {
  uint8_t b[32];
} ch_secret;

static inline bool ch_hash_eq(const ch_hash *a, const ch_hash *b) {
  return memcmp(a->b, b->b, sizeof a->b) == 0;
}
static inline bool ch_addr_eq(const ch_addr *a, const ch_addr *b) {
  return memcmp(a->b, b->b, sizeof a->b) == 0;
}
static inline bool ch_pubkey_eq(const ch_pubkey *a, const ch_pubkey *b) {
  return memcmp(a->b, b->b, sizeof a->b) == 0;
}
static inline bool ch_sig_eq(const ch_sig *a, const ch_sig *b) {
  return memcmp(a->b, b->b, sizeof a->b) == 0;
}
CH_API bool ch_hash_is_zero(const ch_hash *h);
CH_API bool ch_addr_is_zero(const ch_addr *a);

/* Overwrites `len` bytes with zeros in a way the compiler may not remove. */
CH_API void ch_wipe(void *p, size_t len);

/* Writes 2*len lower-case hex digits and a NUL to `out` (size 2*len+1). */
CH_API void ch_hex(char *out, const uint8_t *in, size_t len);

/* Parses exactly 2*len hex digits (either case, an optional "0x" in front, nothing behind).
 * Returns false, and leaves `out` unspecified, on anything else. */
CH_API bool ch_unhex(uint8_t *out, size_t len, const char *hex) CH_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
