#include "noise.h"

#include <secp256k1.h>
#include <sodium.h>

#define PROTOCOL_NAME "Noise_XK_secp256k1_ChaChaPoly_SHA256"
#define VERSION 0

_Static_assert(CD_FRAME_TAG == crypto_aead_chacha20poly1305_ietf_ABYTES, "tag size");
_Static_assert(sizeof(ch_secret) == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "key size");
_Static_assert(CD_NOISE_ACT1 == 1 + sizeof(ch_pubkey) + CD_FRAME_TAG, "act one");
_Static_assert(CD_NOISE_ACT3 == 1 + sizeof(ch_pubkey) + CD_FRAME_TAG + CD_FRAME_TAG, "act three");

enum { STEP_NONE, WRITE_ACT1, READ_ACT1, WRITE_ACT2, READ_ACT2, WRITE_ACT3, READ_ACT3 };

const char *cd_noise_err_name(cd_noise_err e) {
  switch (e) {
#define NAME(sym)                                                                                                      \
  case CD_NOISE_##sym: return #sym;
    CD_NOISE_ERRORS(NAME)
#undef NAME
  }
  return "UNKNOWN";
}

/* --- AEAD ------------------------------------------------------------------------------------------------ */

/* BOLT 8: 32 zero bits, then the counter as 64 bits little-endian. */
static void make_nonce(uint8_t out[12], uint64_t counter) {
  memset(out, 0, 4);
  for (int i = 0; i < 8; i++) {
    out[4 + i] = (uint8_t)(counter >> (8 * i));
  }
}

static void seal(uint8_t *out, const ch_secret *key, uint64_t counter, const ch_hash *ad, const uint8_t *plain,
                 size_t len) {
  uint8_t nonce[12];
  make_nonce(nonce, counter);
  crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, ad ? ad->b : NULL, ad ? sizeof ad->b : 0, NULL,
                                            nonce, key->b);
}

/* `sealed` is len + CD_FRAME_TAG bytes; `out` may be NULL if len is 0, to verify only. */
static bool unseal(uint8_t *out, const ch_secret *key, uint64_t counter, const ch_hash *ad, const uint8_t *sealed,
                   size_t len) {
  uint8_t nonce[12];
  make_nonce(nonce, counter);
  return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len + CD_FRAME_TAG, ad ? ad->b : NULL,
                                                   ad ? sizeof ad->b : 0, nonce, key->b) == 0;
}

/* (first, second) = HKDF(salt, ikm), each 32 bytes. */
static void hkdf(ch_secret *first, ch_secret *second, const ch_secret *salt, const ch_secret *ikm) {
  uint8_t okm[64];
  ch_hkdf_sha256(okm, sizeof okm, salt->b, sizeof salt->b, ikm ? ikm->b : NULL, ikm ? sizeof ikm->b : 0, NULL, 0);
  memcpy(first->b, okm, 32);
  memcpy(second->b, okm + 32, 32);
  ch_wipe(okm, sizeof okm);
}

/* --- Handshake state ----------------------------------------------------------------------------------- */

/* h = SHA-256(h || data) */
static void mix_hash(cd_noise *n, const void *data, size_t len) {
  crypto_hash_sha256_state st;
  crypto_hash_sha256_init(&st);
  crypto_hash_sha256_update(&st, n->h.b, sizeof n->h.b);
  crypto_hash_sha256_update(&st, data, len);
  crypto_hash_sha256_final(&st, n->h.b);
}

/* (ck, temp_k) = HKDF(ck, shared secret); wipes the secret. */
static void mix_key(cd_noise *n, ch_secret *shared) {
  hkdf(&n->ck, &n->temp_k, &n->ck, shared);
  ch_wipe(shared, sizeof *shared);
}

static void start(cd_noise *n, const cd_noise_self *self, const ch_pubkey *responder, const void *prologue, size_t len,
                  const ch_secret *ephemeral, unsigned first_step) {
  memset(n, 0, sizeof *n);
  n->self = *self;
  n->e = *ephemeral;
  n->next = first_step;
  crypto_hash_sha256(n->h.b, (const uint8_t *)PROTOCOL_NAME, strlen(PROTOCOL_NAME));
  memcpy(n->ck.b, n->h.b, sizeof n->ck.b);
  mix_hash(n, prologue, len);
  mix_hash(n, responder->b, sizeof responder->b);
}

void cd_noise_initiator(cd_noise *n, const cd_noise_self *self, const ch_pubkey *remote, const void *prologue,
                        size_t len, const ch_secret *ephemeral) {
  start(n, self, remote, prologue, len, ephemeral, WRITE_ACT1);
  n->rs = *remote;
}

void cd_noise_responder(cd_noise *n, const cd_noise_self *self, const void *prologue, size_t len,
                        const ch_secret *ephemeral) {
  start(n, self, &self->id, prologue, len, ephemeral, READ_ACT1);
}

void cd_noise_wipe(cd_noise *n) {
  ch_wipe(n, sizeof *n);
}

/* Ends the handshake: nothing but cd_noise_wipe works afterwards. */
static cd_noise_err fail(cd_noise *n, cd_noise_err e) {
  cd_noise_wipe(n);
  return e;
}

/* Checked here and not by the ECDH's result, because the signer's failures are no fault of the peer. */
static bool is_point(const ch_pubkey *key) {
  secp256k1_pubkey parsed;
  return secp256k1_ec_pubkey_parse(secp256k1_context_static, &parsed, key->b, sizeof key->b) == 1;
}

/* --- Acts one and two have the same form: version, ephemeral key, tag ------------------------------------ */

static cd_noise_err write_ephemeral(cd_noise *n, uint8_t out[CD_NOISE_ACT1], const ch_pubkey *peer) {
  ch_secret shared;
  if (ch_pubkey_of(&n->e_pub, &n->e) != CH_OK || ch_ecdh(&shared, &n->e, peer) != CH_OK) {
    return fail(n, CD_NOISE_LOCAL_KEY_FAILED);
  }
  mix_hash(n, n->e_pub.b, sizeof n->e_pub.b);
  mix_key(n, &shared);
  out[0] = VERSION;
  memcpy(out + 1, n->e_pub.b, sizeof n->e_pub.b);
  uint8_t *tag = out + 1 + sizeof n->e_pub.b;
  seal(tag, &n->temp_k, 0, &n->h, NULL, 0);
  mix_hash(n, tag, CD_FRAME_TAG);
  return CD_NOISE_OK;
}

typedef struct act_errors {
  cd_noise_err read_failed, bad_version, bad_pubkey, bad_tag;
} act_errors;

static cd_noise_err read_ephemeral(cd_noise *n, const uint8_t *in, size_t len, const act_errors *err,
                                   ch_err (*ecdh)(cd_noise *, ch_secret *)) {
  if (len != CD_NOISE_ACT1) {
    return fail(n, err->read_failed);
  }
  if (in[0] != VERSION) {
    return fail(n, err->bad_version);
  }
  memcpy(n->re.b, in + 1, sizeof n->re.b);
  if (!is_point(&n->re)) {
    return fail(n, err->bad_pubkey);
  }
  mix_hash(n, n->re.b, sizeof n->re.b);
  ch_secret shared;
  if (ecdh(n, &shared) != CH_OK) {
    return fail(n, CD_NOISE_LOCAL_KEY_FAILED);
  }
  mix_key(n, &shared);
  const uint8_t *tag = in + 1 + sizeof n->re.b;
  if (!unseal(NULL, &n->temp_k, 0, &n->h, tag, 0)) {
    return fail(n, err->bad_tag);
  }
  mix_hash(n, tag, CD_FRAME_TAG);
  return CD_NOISE_OK;
}

static ch_err ecdh_static(cd_noise *n, ch_secret *out) {
  return n->self.ecdh(n->self.ctx, out, &n->re);
}

static ch_err ecdh_ephemeral(cd_noise *n, ch_secret *out) {
  return ch_ecdh(out, &n->e, &n->re);
}

cd_noise_err cd_noise_write_act1(cd_noise *n, uint8_t out[CD_NOISE_ACT1]) {
  if (n->next != WRITE_ACT1) {
    return fail(n, CD_NOISE_OUT_OF_ORDER);
  }
  if (!is_point(&n->rs)) {
    return fail(n, CD_NOISE_BAD_REMOTE_KEY);
  }
  n->next = READ_ACT2;
  return write_ephemeral(n, out, &n->rs);
}

cd_noise_err cd_noise_read_act1(cd_noise *n, const uint8_t *in, size_t len) {
  static const act_errors errors = {CD_NOISE_ACT1_READ_FAILED, CD_NOISE_ACT1_BAD_VERSION, CD_NOISE_ACT1_BAD_PUBKEY,
                                    CD_NOISE_ACT1_BAD_TAG};
  if (n->next != READ_ACT1) {
    return fail(n, CD_NOISE_OUT_OF_ORDER);
  }
  n->next = WRITE_ACT2;
  return read_ephemeral(n, in, len, &errors, ecdh_static);
}

cd_noise_err cd_noise_write_act2(cd_noise *n, uint8_t out[CD_NOISE_ACT2]) {
  if (n->next != WRITE_ACT2) {
    return fail(n, CD_NOISE_OUT_OF_ORDER);
  }
  n->next = READ_ACT3;
  return write_ephemeral(n, out, &n->re);
}

cd_noise_err cd_noise_read_act2(cd_noise *n, const uint8_t *in, size_t len) {
  static const act_errors errors = {CD_NOISE_ACT2_READ_FAILED, CD_NOISE_ACT2_BAD_VERSION, CD_NOISE_ACT2_BAD_PUBKEY,
                                    CD_NOISE_ACT2_BAD_TAG};
  if (n->next != READ_ACT2) {
    return fail(n, CD_NOISE_OUT_OF_ORDER);
  }
  n->next = WRITE_ACT3;
  return read_ephemeral(n, in, len, &errors, ecdh_ephemeral);
}

/* --- Act three: version, the initiator's sealed node id, tag ----------------------------------------------- */

/* The ciphers of both directions; `first` is the initiator's sending key. */
static void split(cd_noise *n, cd_cipher *first, cd_cipher *second) {
  *first = (cd_cipher){.chaining_key = n->ck};
  *second = (cd_cipher){.chaining_key = n->ck};
  hkdf(&first->key, &second->key, &n->ck, NULL);
  cd_noise_wipe(n);
}

cd_noise_err cd_noise_write_act3(cd_noise *n, uint8_t out[CD_NOISE_ACT3], cd_cipher *tx, cd_cipher *rx) {
  if (n->next != WRITE_ACT3) {
    return fail(n, CD_NOISE_OUT_OF_ORDER);
  }
  uint8_t *c = out + 1;
  uint8_t *t = c + sizeof(ch_pubkey) + CD_FRAME_TAG;
  out[0] = VERSION;
  seal(c, &n->temp_k, 1, &n->h, n->self.id.b, sizeof n->self.id.b);
  mix_hash(n, c, sizeof(ch_pubkey) + CD_FRAME_TAG);
  ch_secret shared;
  if (ecdh_static(n, &shared) != CH_OK) {
    return fail(n, CD_NOISE_LOCAL_KEY_FAILED);
  }
  mix_key(n, &shared);
  seal(t, &n->temp_k, 0, &n->h, NULL, 0);
  split(n, tx, rx);
  return CD_NOISE_OK;
}

cd_noise_err cd_noise_read_act3(cd_noise *n, const uint8_t *in, size_t len, cd_cipher *tx, cd_cipher *rx,
                                ch_pubkey *remote) {
  if (n->next != READ_ACT3) {
    return fail(n, CD_NOISE_OUT_OF_ORDER);
  }
  if (len != CD_NOISE_ACT3) {
    return fail(n, CD_NOISE_ACT3_READ_FAILED);
  }
  if (in[0] != VERSION) {
    return fail(n, CD_NOISE_ACT3_BAD_VERSION);
  }
  const uint8_t *c = in + 1;
  const uint8_t *t = c + sizeof(ch_pubkey) + CD_FRAME_TAG;
  if (!unseal(n->rs.b, &n->temp_k, 1, &n->h, c, sizeof n->rs.b)) {
    return fail(n, CD_NOISE_ACT3_BAD_CIPHERTEXT);
  }
  if (!is_point(&n->rs)) {
    return fail(n, CD_NOISE_ACT3_BAD_PUBKEY);
  }
  mix_hash(n, c, sizeof(ch_pubkey) + CD_FRAME_TAG);
  ch_secret shared;
  if (ch_ecdh(&shared, &n->e, &n->rs) != CH_OK) {
    return fail(n, CD_NOISE_LOCAL_KEY_FAILED);
  }
  mix_key(n, &shared);
  if (!unseal(NULL, &n->temp_k, 0, &n->h, t, 0)) {
    return fail(n, CD_NOISE_ACT3_BAD_TAG);
  }
  *remote = n->rs;
  split(n, rx, tx);
  return CD_NOISE_OK;
}

/* --- Frames ------------------------------------------------------------------------------------------------ */

/* BOLT 8 "Lightning Message Key Rotation": after 1000 uses, (ck, k) = HKDF(ck, k) and the nonce starts again. */
static uint64_t next_nonce(cd_cipher *c) {
  if (c->nonce == CD_CIPHER_USES) {
    hkdf(&c->chaining_key, &c->key, &c->chaining_key, &c->key);
    c->nonce = 0;
  }
  return c->nonce++;
}

size_t cd_cipher_seal(cd_cipher *c, uint8_t *out, const uint8_t *body, uint16_t len) {
  const uint8_t length[2] = {(uint8_t)(len >> 8), (uint8_t)len};
  /* One statement each: rotation may replace the key before the nonce is used. */
  uint64_t nonce = next_nonce(c);
  seal(out, &c->key, nonce, NULL, length, sizeof length);
  nonce = next_nonce(c);
  seal(out + CD_FRAME_HEADER, &c->key, nonce, NULL, body, len);
  return CD_FRAME_OVERHEAD + (size_t)len;
}

static bool open_next(cd_cipher *c, uint8_t *out, const uint8_t *sealed, size_t len) {
  if (c->broken) {
    return false;
  }
  uint64_t nonce = next_nonce(c);
  c->broken = !unseal(out, &c->key, nonce, NULL, sealed, len);
  return !c->broken;
}

bool cd_cipher_open_header(cd_cipher *c, uint16_t *len, const uint8_t *header) {
  uint8_t length[2];
  if (!open_next(c, length, header, sizeof length)) {
    return false;
  }
  *len = (uint16_t)(length[0] << 8 | length[1]);
  return true;
}

bool cd_cipher_open_body(cd_cipher *c, uint8_t *out, const uint8_t *sealed, uint16_t len) {
  return open_next(c, out, sealed, len);
}

void cd_cipher_wipe(cd_cipher *c) {
  ch_wipe(c, sizeof *c);
}
