#include "channel/crypto.h"

#include <secp256k1.h>
#include <sodium.h>

/* BIP-32, private derivation only. Both halves of one HMAC-SHA512: IL, the key or its tweak, and IR, the chain code. */
typedef struct halves {
  uint8_t left[32];
  uint8_t right[32];
} halves;

static void hmac_halves(halves *out, const void *key, size_t key_len, const uint8_t *data, size_t len) {
  crypto_auth_hmacsha512_state hmac;
  uint8_t tag[crypto_auth_hmacsha512_BYTES];
  crypto_auth_hmacsha512_init(&hmac, key, key_len);
  crypto_auth_hmacsha512_update(&hmac, data, len);
  crypto_auth_hmacsha512_final(&hmac, tag);
  memcpy(out->left, tag, sizeof out->left);
  memcpy(out->right, tag + sizeof out->left, sizeof out->right);
  ch_wipe(tag, sizeof tag);
  ch_wipe(&hmac, sizeof hmac);
}

ch_err ch_xprv_master(ch_xprv *out, const uint8_t *seed, size_t len) {
  static const char domain[] = "Bitcoin seed";
  if (len < 16 || len > 64) return CH_ERR_ARGUMENT;
  halves i;
  hmac_halves(&i, domain, sizeof domain - 1, seed, len);
  ch_err err = secp256k1_ec_seckey_verify(secp256k1_context_static, i.left) ? CH_OK : CH_ERR_KEY;
  if (err == CH_OK) {
    memcpy(out->key.b, i.left, sizeof i.left);
    memcpy(out->chain_code.b, i.right, sizeof i.right);
  }
  ch_wipe(&i, sizeof i);
  return err;
}

/* What the child's HMAC covers: the private key behind a zero byte if hardened, else the public key; then the index. */
static ch_err child_data(uint8_t data[37], const ch_xprv *parent, uint32_t index) {
  if (index & CH_HARDENED) {
    data[0] = 0;
    memcpy(data + 1, parent->key.b, sizeof parent->key.b);
  } else {
    ch_pubkey public_key;
    ch_err err = ch_pubkey_of(&public_key, &parent->key);
    if (err != CH_OK) return err;
    memcpy(data, public_key.b, sizeof public_key.b);
  }
  for (int i = 0; i < 4; i++)
    data[33 + i] = (uint8_t)(index >> (24 - 8 * i));
  return CH_OK;
}

ch_err ch_xprv_child(ch_xprv *out, const ch_xprv *parent, uint32_t index) {
  uint8_t data[37];
  ch_err err = child_data(data, parent, index);
  if (err != CH_OK) return err;
  halves i;
  hmac_halves(&i, parent->chain_code.b, sizeof parent->chain_code.b, data, sizeof data);
  ch_secret key = parent->key;
  if (secp256k1_ec_seckey_tweak_add(secp256k1_context_static, key.b, i.left)) {
    out->key = key;
    memcpy(out->chain_code.b, i.right, sizeof i.right);
  } else {
    err = CH_ERR_KEY;
  }
  ch_wipe(data, sizeof data);
  ch_wipe(&i, sizeof i);
  ch_wipe(&key, sizeof key);
  return err;
}

ch_err ch_xprv_path(ch_xprv *out, const ch_xprv *parent, const uint32_t *path, size_t n) {
  ch_xprv key = *parent;
  ch_err err = CH_OK;
  for (size_t i = 0; i < n && err == CH_OK; i++)
    err = ch_xprv_child(&key, &key, path[i]);
  if (err == CH_OK) *out = key;
  ch_wipe(&key, sizeof key);
  return err;
}
