#include <secp256k1_recovery.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"

/* In a message: the channel's id, the version, the signature, then what the payment is. In a record likewise, with both
 * signatures. */
#define AT_VERSION 32
#define AT_SIGNATURE 40
#define AT_RECORD_MINE 40
#define AT_RECORD_PEER (AT_RECORD_MINE + SIGNATURE)

typedef struct keypair {
  uint8_t secret[32];
  uint8_t public[33];
} keypair;

struct signer {
  secp256k1_context *ctx;
  uint8_t secret[32];
  uint8_t peer[33];
};

static keypair make_key(const secp256k1_context *ctx, const char *name) {
  keypair k;
  secp256k1_pubkey point;
  size_t len = sizeof k.public;
  crypto_hash_sha256(k.secret, (const uint8_t *)name, strlen(name));
  if (!secp256k1_ec_pubkey_create(ctx, &point, k.secret)) die("no key");
  secp256k1_ec_pubkey_serialize(ctx, k.public, &len, &point, SECP256K1_EC_COMPRESSED);
  return k;
}

signer *signer_open(bool payer) {
  signer *s = calloc(1, sizeof *s);
  if (!s) die("no memory");
  s->ctx = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
  keypair mine = make_key(s->ctx, payer ? "payer" : "payee"), theirs = make_key(s->ctx, payer ? "payee" : "payer");
  memcpy(s->secret, mine.secret, sizeof s->secret);
  memcpy(s->peer, theirs.public, sizeof s->peer);
  return s;
}

/* Hashes of the sizes that a co-signed state takes: its content, its outcome, the two words before the digest. */
static void digest_of(uint8_t out[32], const channel *c) {
  uint8_t content[320] = {0};
  memcpy(content, &c->num, sizeof c->num);
  memcpy(content + AT_VERSION, &c->version, sizeof c->version);
  crypto_generichash(out, 32, content, sizeof content, NULL, 0);
  memcpy(content + 64, out, 32);
  crypto_generichash(out, 32, content, 224, NULL, 0);
  memcpy(content + 96, out, 32);
  crypto_hash_sha256(out, content, 66);
}

void signer_sign(const signer *s, channel *c) {
  uint8_t digest[32];
  secp256k1_ecdsa_recoverable_signature sig;
  uint8_t *out = c->message + AT_SIGNATURE;
  int recid = 0;
  digest_of(digest, c);
  if (!secp256k1_ecdsa_sign_recoverable(s->ctx, &sig, digest, s->secret, NULL, NULL)) die("no signature");
  secp256k1_ecdsa_recoverable_signature_serialize_compact(s->ctx, out, &recid, &sig);
  out[SIGNATURE - 1] = (uint8_t)recid;
  memcpy(c->message, &c->num, sizeof c->num);
  memcpy(c->message + AT_VERSION, &c->version, sizeof c->version);
  memcpy(c->record + AT_VERSION, &c->version, sizeof c->version);
  memcpy(c->record + AT_RECORD_MINE, out, SIGNATURE);
}

bool signer_check(const signer *s, channel *c) {
  uint8_t digest[32], found[33];
  uint64_t version;
  size_t len = sizeof found;
  secp256k1_ecdsa_recoverable_signature sig;
  secp256k1_pubkey point;
  const uint8_t *in = c->message + AT_SIGNATURE;
  memcpy(&version, c->message + AT_VERSION, sizeof version);
  if (version != c->version) return false;
  digest_of(digest, c);
  if (!secp256k1_ecdsa_recoverable_signature_parse_compact(s->ctx, &sig, in, in[SIGNATURE - 1] & 3)) return false;
  if (!secp256k1_ecdsa_recover(s->ctx, &point, &sig, digest)) return false;
  secp256k1_ec_pubkey_serialize(s->ctx, found, &len, &point, SECP256K1_EC_COMPRESSED);
  memcpy(c->record + AT_RECORD_PEER, in, SIGNATURE);
  return memcmp(found, s->peer, sizeof found) == 0;
}
