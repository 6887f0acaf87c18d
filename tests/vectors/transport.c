/* transport.c - proto/vectors/transport.json: the handshake and the first frames of a connection, and of one key's end.
 */
#include <net/noise.h>
#include <stdlib.h>

#include "vectors.h"

#define FRAMES 1002 /* the key is replaced after 500 */

typedef struct party {
  ch_secret key, ephemeral;
  cd_noise noise;
  cd_noise_self self;
  cd_cipher tx, rx;
} party;

static ch_err ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  return ch_ecdh(out, &((party *)ctx)->key, peer);
}

static void make(party *p, uint8_t n) {
  memset(p->key.b, 0x40 + n, sizeof p->key.b);
  memset(p->ephemeral.b, 0x50 + n, sizeof p->ephemeral.b);
  p->self = (cd_noise_self){.ecdh = ecdh, .ctx = p};
  if (ch_pubkey_of(&p->self.id, &p->key)) abort();
}

static void must(cd_noise_err e) {
  if (e != CD_NOISE_OK) abort();
}

static void handshake(json_t *o, party *a, party *b) {
  uint8_t act1[CD_NOISE_ACT1], act2[CD_NOISE_ACT2], act3[CD_NOISE_ACT3];
  ch_pubkey remote;
  cd_noise_initiator(&a->noise, &a->self, &b->self.id, CD_NOISE_PROLOGUE, strlen(CD_NOISE_PROLOGUE), &a->ephemeral);
  cd_noise_responder(&b->noise, &b->self, CD_NOISE_PROLOGUE, strlen(CD_NOISE_PROLOGUE), &b->ephemeral);
  must(cd_noise_write_act1(&a->noise, act1));
  must(cd_noise_read_act1(&b->noise, act1, sizeof act1));
  must(cd_noise_write_act2(&b->noise, act2));
  must(cd_noise_read_act2(&a->noise, act2, sizeof act2));
  must(cd_noise_write_act3(&a->noise, act3, &a->tx, &a->rx));
  must(cd_noise_read_act3(&b->noise, act3, sizeof act3, &b->tx, &b->rx, &remote));
  put_hex(o, "act1", act1, sizeof act1);
  put_hex(o, "act2", act2, sizeof act2);
  put_hex(o, "act3", act3, sizeof act3);
}

static void put_party(json_t *o, const char *name, const party *p) {
  json_t *k = json_object();
  put_hex(k, "nodeKey", p->key.b, sizeof p->key.b);
  put_hex(k, "nodeId", p->self.id.b, sizeof p->self.id.b);
  put_hex(k, "ephemeralKey", p->ephemeral.b, sizeof p->ephemeral.b);
  json_object_set_new(o, name, k);
}

/* Frame i of one direction; those around the change of keys are shown. */
static void put_frame(json_t *list, int i, cd_cipher *tx, const uint8_t *plain, uint16_t len) {
  uint8_t frame[CD_FRAME_OVERHEAD + 64];
  size_t n = cd_cipher_seal(tx, frame, plain, len);
  if (i > 1 && i < 499) return;
  if (i > 501 && i < 999) return;
  json_t *o = add(list);
  put_number(o, "number", (uint64_t)i);
  put_hex(o, "plain", plain, len);
  put_hex(o, "frame", frame, n);
}

void write_transport(const char *folder) {
  static const uint8_t ping[] = {0, 18}, pong[] = {0, 19};
  party *a = calloc(2, sizeof *a), *b = a + 1;
  if (a == NULL) abort();
  json_t *o = json_object(), *there = json_array(), *back = json_array();
  make(a, 0);
  make(b, 1);
  json_object_set_new(o, "prologue", json_string(CD_NOISE_PROLOGUE));
  put_party(o, "initiator", a);
  put_party(o, "responder", b);
  handshake(o, a, b);
  json_object_set_new(o, "initiatorToResponder", there);
  json_object_set_new(o, "responderToInitiator", back);
  for (int i = 0; i < FRAMES; i++)
    put_frame(there, i, &a->tx, ping, sizeof ping);
  for (int i = 0; i < 2; i++)
    put_frame(back, i, &b->tx, pong, sizeof pong);
  save(folder, "transport", o);
  free(a);
}
