/* identity.h - the node key for the transport's handshakes, which come from several threads at once. */
#ifndef CHANNELD_IDENTITY_H
#define CHANNELD_IDENTITY_H

#include <pthread.h>

#include "channel/signer.h"

typedef struct cd_identity {
  pthread_mutex_t lock;
  ch_keyring *keys;
  ch_signer signer;
  ch_pubkey id;
} cd_identity;

ch_err cd_identity_init(cd_identity *i, const uint8_t seed[64]);
void cd_identity_free(cd_identity *i);
/* ECDH with the node key; `ctx` is the cd_identity. Any thread. */
ch_err cd_identity_ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer);

#endif
