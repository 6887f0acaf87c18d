#include "identity.h"

ch_err cd_identity_init(cd_identity *i, const uint8_t seed[64]) {
  pthread_mutex_init(&i->lock, NULL);
  ch_err err = ch_keyring_new(&i->keys, seed);
  if (err != CH_OK) return err;
  i->signer = ch_keyring_signer(i->keys);
  return i->signer.node_id(i->signer.ctx, &i->id);
}

void cd_identity_free(cd_identity *i) {
  ch_keyring_free(i->keys);
  i->keys = NULL;
  pthread_mutex_destroy(&i->lock);
}

ch_err cd_identity_ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  cd_identity *i = ctx;
  pthread_mutex_lock(&i->lock);
  ch_err err = i->signer.ecdh(i->signer.ctx, out, peer);
  pthread_mutex_unlock(&i->lock);
  return err;
}
