#include "channel/crypto.h"

#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_preallocated.h>
#include <secp256k1_recovery.h>
#include <stddef.h>

/* Everything but multiplying the generator by a secret works with the library's own constant context. */
#define STATIC_CTX secp256k1_context_static

/* What does multiply it makes a context on its stack: that takes half a microsecond and needs neither a
 * global nor an allocation. libsecp256k1 0.2 uses 208 bytes of the room. */
typedef struct sign_room {
  _Alignas(max_align_t) uint8_t bytes[512];
} sign_room;

/* NULL if an installed libsecp256k1 needs more room than that. */
static secp256k1_context *sign_context(sign_room *room) {
  if (secp256k1_context_preallocated_size(SECP256K1_CONTEXT_NONE) > sizeof room->bytes) return NULL;
  return secp256k1_context_preallocated_create(room->bytes, SECP256K1_CONTEXT_NONE);
}

/* --- Keys and addresses ------------------------------------------------------------------------- */

ch_err ch_pubkey_of(ch_pubkey *out, const ch_secret *key) {
  sign_room room;
  const secp256k1_context *ctx = sign_context(&room);
  if (ctx == NULL) return CH_ERR_BUG;
  secp256k1_pubkey point;
  if (!secp256k1_ec_pubkey_create(ctx, &point, key->b)) return CH_ERR_KEY;
  size_t len = sizeof out->b;
  secp256k1_ec_pubkey_serialize(ctx, out->b, &len, &point, SECP256K1_EC_COMPRESSED);
  return CH_OK;
}

static void address_of_point(ch_addr *out, const secp256k1_pubkey *point) {
  uint8_t raw[65]; /* 0x04 || x || y */
  size_t len = sizeof raw;
  secp256k1_ec_pubkey_serialize(STATIC_CTX, raw, &len, point, SECP256K1_EC_UNCOMPRESSED);
  ch_hash hash;
  ch_keccak256(&hash, raw + 1, sizeof raw - 1);
  memcpy(out->b, hash.b + sizeof hash.b - sizeof out->b, sizeof out->b);
}

ch_err ch_address_of(ch_addr *out, const ch_pubkey *key) {
  secp256k1_pubkey point;
  if (!secp256k1_ec_pubkey_parse(STATIC_CTX, &point, key->b, sizeof key->b)) return CH_ERR_KEY;
  address_of_point(out, &point);
  return CH_OK;
}

ch_err ch_ecdh(ch_secret *out, const ch_secret *key, const ch_pubkey *peer) {
  secp256k1_pubkey point;
  ch_secret shared;
  if (!secp256k1_ec_pubkey_parse(STATIC_CTX, &point, peer->b, sizeof peer->b)) return CH_ERR_KEY;
  int ok = secp256k1_ecdh(STATIC_CTX, shared.b, &point, key->b, secp256k1_ecdh_hash_function_sha256, NULL);
  if (ok) *out = shared;
  ch_wipe(&shared, sizeof shared);
  return ok ? CH_OK : CH_ERR_KEY;
}

/* --- Signatures --------------------------------------------------------------------------------- */

/* ERC-2098: as s is low its top bit is free, and holds the parity of the nonce point's y. */
#define PARITY_BYTE 32
#define PARITY_BIT 0x80

ch_err ch_sign(ch_sig *out, const ch_hash *digest, const ch_secret *key) {
  sign_room room;
  const secp256k1_context *ctx = sign_context(&room);
  if (ctx == NULL) return CH_ERR_BUG;
  secp256k1_ecdsa_recoverable_signature sig;
  /* The default nonce function is RFC 6979's; libsecp256k1 always makes s low. */
  if (!secp256k1_ecdsa_sign_recoverable(ctx, &sig, digest->b, key->b, NULL, NULL)) return CH_ERR_KEY;
  ch_sig compact;
  int recid;
  secp256k1_ecdsa_recoverable_signature_serialize_compact(ctx, compact.b, &recid, &sig);
  if (recid > 1) return CH_ERR_SIGNATURE; /* r wrapped around the order: has 2^-127 odds and no ERC-2098 form */
  if (recid == 1) compact.b[PARITY_BYTE] |= PARITY_BIT;
  *out = compact;
  return CH_OK;
}

static bool is_low_s(const secp256k1_ecdsa_recoverable_signature *sig) {
  secp256k1_ecdsa_signature plain;
  secp256k1_ecdsa_recoverable_signature_convert(STATIC_CTX, &plain, sig);
  return !secp256k1_ecdsa_signature_normalize(STATIC_CTX, NULL, &plain);
}

ch_err ch_recover(ch_addr *out, const ch_hash *digest, const ch_sig *sig) {
  ch_sig rs = *sig;
  int recid = rs.b[PARITY_BYTE] & PARITY_BIT ? 1 : 0;
  rs.b[PARITY_BYTE] &= PARITY_BIT - 1;
  secp256k1_ecdsa_recoverable_signature parsed;
  secp256k1_pubkey point;
  if (!secp256k1_ecdsa_recoverable_signature_parse_compact(STATIC_CTX, &parsed, rs.b, recid)) return CH_ERR_SIGNATURE;
  if (!is_low_s(&parsed)) return CH_ERR_SIGNATURE;
  if (!secp256k1_ecdsa_recover(STATIC_CTX, &point, &parsed, digest->b)) return CH_ERR_SIGNATURE;
  address_of_point(out, &point);
  return CH_OK;
}

ch_err ch_verify(const ch_hash *digest, const ch_sig *sig, const ch_addr *signer) {
  ch_addr recovered;
  if (ch_recover(&recovered, digest, sig) != CH_OK || ch_addr_is_zero(signer)) return CH_ERR_SIGNATURE;
  return ch_addr_eq(&recovered, signer) ? CH_OK : CH_ERR_SIGNATURE;
}
