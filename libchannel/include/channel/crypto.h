/* crypto.h - hashes, key derivation and signatures, on libsecp256k1 and libsodium.
 *
 * Pure functions without global state: safe from any thread. Call sodium_init() once in the program before
 * the first use. Secrets are the caller's to wipe (ch_wipe); inside, intermediate secrets are wiped.
 */
#ifndef CHANNEL_CRYPTO_H
#define CHANNEL_CRYPTO_H

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Hashes ------------------------------------------------------------------------------------ */

/* Keccak-256 as Ethereum uses it (original padding 0x01, not SHA-3's). */
CH_API void ch_keccak256(ch_hash *out, const void *data, size_t len);

/* Incremental Keccak-256: init, any number of updates, one final. */
typedef struct ch_keccak {
  uint64_t a[25];
  uint8_t block[136];
  size_t used;
} ch_keccak;
CH_API void ch_keccak_init(ch_keccak *k);
CH_API void ch_keccak_update(ch_keccak *k, const void *data, size_t len);
CH_API void ch_keccak_final(ch_keccak *k, ch_hash *out);

/* HKDF-SHA256 (RFC 5869), extract and expand in one call; out_len <= 255*32. An input of length 0 may be NULL;
 * `out` may overlap the salt and the input key, not `info`. */
CH_API void ch_hkdf_sha256(uint8_t *out, size_t out_len, const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                           size_t ikm_len, const void *info, size_t info_len);

/* PBKDF2-HMAC-SHA512 (RFC 8018), as BIP-39 needs it. */
CH_API void ch_pbkdf2_sha512(uint8_t *out, size_t out_len, const uint8_t *password, size_t password_len,
                             const uint8_t *salt, size_t salt_len, uint32_t iterations);

/* --- secp256k1 --------------------------------------------------------------------------------- */

/* The public key of a private key. CH_ERR_KEY if the key is 0 or not below the group order. */
CH_API ch_err ch_pubkey_of(ch_pubkey *out, const ch_secret *key) CH_MUST_CHECK;

/* The L1 address of a public key: the last 20 bytes of keccak256(x || y). CH_ERR_KEY if it is no curve point. */
CH_API ch_err ch_address_of(ch_addr *out, const ch_pubkey *key) CH_MUST_CHECK;

/* Signs a 32-byte digest: RFC 6979 nonce (the same digest gives the same bytes), low-s, ERC-2098 compact. */
CH_API ch_err ch_sign(ch_sig *out, const ch_hash *digest, const ch_secret *key) CH_MUST_CHECK;

/* Recovers the signer's address exactly as the EVM's ecrecover would on the expanded signature.
 * CH_ERR_SIGNATURE if r or s is zero or out of range, s is high, or no key recovers. */
CH_API ch_err ch_recover(ch_addr *out, const ch_hash *digest, const ch_sig *sig) CH_MUST_CHECK;

/* CH_OK if `sig` on `digest` recovers to `signer` (never for the zero address), else CH_ERR_SIGNATURE. */
CH_API ch_err ch_verify(const ch_hash *digest, const ch_sig *sig, const ch_addr *signer) CH_MUST_CHECK;

/* ECDH as BOLT 8 defines it: sha256 of the compressed shared point. CH_ERR_KEY on an invalid key. */
CH_API ch_err ch_ecdh(ch_secret *out, const ch_secret *key, const ch_pubkey *peer) CH_MUST_CHECK;

/* --- BIP-39 and BIP-32 -------------------------------------------------------------------------- */

#define CH_WORDS_MAX 24
#define CH_WORDS_STR 240 /* longest English sentence of 24 words, with NUL */

/* Entropy (16, 20, 24, 28 or 32 bytes) to an English sentence, words separated by one space. */
CH_API ch_err ch_words_from_entropy(char out[CH_WORDS_STR], const uint8_t *entropy, size_t len) CH_MUST_CHECK;
/* The reverse. Accepts any run of blanks between words and upper or lower case. *len is set to the number of
 * bytes; CH_ERR_WORDS on an unknown word, a wrong number of words or a wrong checksum. */
CH_API ch_err ch_words_to_entropy(uint8_t out[32], size_t *len, const char *words) CH_MUST_CHECK;
/* The 64-byte BIP-39 seed of a valid sentence and an optional passphrase (NULL means none; both in
 * ASCII: an NFKD normalisation is the identity there, anything else is CH_ERR_WORDS). */
CH_API ch_err ch_words_to_seed(uint8_t seed[64], const char *words, const char *passphrase) CH_MUST_CHECK;
/* Word number `i` (0..2047) of the English list. */
CH_API const char *ch_word(unsigned i);

/* A BIP-32 extended private key. */
typedef struct ch_xprv {
  ch_secret key;
  ch_secret chain_code;
} ch_xprv;
#define CH_HARDENED 0x80000000u

CH_API ch_err ch_xprv_master(ch_xprv *out, const uint8_t *seed, size_t len) CH_MUST_CHECK;
/* Child `index` (add CH_HARDENED for a hardened one). CH_ERR_KEY in the 2^-127 case that BIP-32 says to skip. */
CH_API ch_err ch_xprv_child(ch_xprv *out, const ch_xprv *parent, uint32_t index) CH_MUST_CHECK;
/* `n` steps along `path`. */
CH_API ch_err ch_xprv_path(ch_xprv *out, const ch_xprv *parent, const uint32_t *path, size_t n) CH_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
