/* transport.c - proto/vectors/transport.json: the handshake, the first frames of a connection and those around the end
 * of a key; and acts and frames that are refused. */
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

typedef struct act {
  uint8_t b[CD_NOISE_ACT3]; /* the longest */
  size_t len;
} act;

/* The initiator, the responder and what they say. */
typedef struct talk {
  party a, b;
  act act[3];
} talk;

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

/* --- The handshake ------------------------------------------------------------------------------------------------ */

static void begin(talk *t, const ch_pubkey *remote, const char *prologue) {
  cd_noise_initiator(&t->a.noise, &t->a.self, remote, prologue, strlen(prologue), &t->a.ephemeral);
  cd_noise_responder(&t->b.noise, &t->b.self, CD_NOISE_PROLOGUE, strlen(CD_NOISE_PROLOGUE), &t->b.ephemeral);
}

static void meet(talk *t) {
  make(&t->a, 0);
  make(&t->b, 1);
}

static cd_noise_err say(talk *t, int n) {
  static const size_t sizes[] = {CD_NOISE_ACT1, CD_NOISE_ACT2, CD_NOISE_ACT3};
  t->act[n].len = sizes[n];
  if (n == 0) return cd_noise_write_act1(&t->a.noise, t->act[n].b);
  if (n == 1) return cd_noise_write_act2(&t->b.noise, t->act[n].b);
  return cd_noise_write_act3(&t->a.noise, t->act[n].b, &t->a.tx, &t->a.rx);
}

static cd_noise_err hear(talk *t, int n, const act *what) {
  ch_pubkey remote;
  if (n == 0) return cd_noise_read_act1(&t->b.noise, what->b, what->len);
  if (n == 1) return cd_noise_read_act2(&t->a.noise, what->b, what->len);
  return cd_noise_read_act3(&t->b.noise, what->b, what->len, &t->b.tx, &t->b.rx, &remote);
}

static void shake(talk *t) {
  begin(t, &t->b.self.id, CD_NOISE_PROLOGUE);
  for (int n = 0; n < 3; n++) {
    must(say(t, n));
    must(hear(t, n, &t->act[n]));
  }
}

static void put_party(json_t *o, const char *name, const party *p) {
  json_t *k = json_object();
  put_hex(k, "nodeKey", p->key.b, sizeof p->key.b);
  put_hex(k, "nodeId", p->self.id.b, sizeof p->self.id.b);
  put_hex(k, "ephemeralKey", p->ephemeral.b, sizeof p->ephemeral.b);
  json_object_set_new(o, name, k);
}

/* --- Acts that are refused ---------------------------------------------------------------------------------------- */

/* All before it is as it should be. */
static void refused(json_t *list, int n, act what, const char *why) {
  talk *t = calloc(1, sizeof *t);
  if (t == NULL) abort();
  meet(t);
  begin(t, &t->b.self.id, CD_NOISE_PROLOGUE);
  for (int before = 0; before < n; before++) {
    must(say(t, before));
    must(hear(t, before, &t->act[before]));
  }
  json_t *o = add(list);
  json_object_set_new(o, "act", json_integer(n + 1));
  json_object_set_new(o, "why", json_string(why));
  put_hex(o, "bytes", what.b, what.len);
  cd_noise_err err = hear(t, n, &what);
  if (err == CD_NOISE_OK) abort();
  json_object_set_new(o, "error", json_string(cd_noise_err_name(err)));
  free(t);
}

static act changed(act what, size_t at) {
  what.b[at] ^= 1;
  return what;
}

static act with_key(act what, const uint8_t *key) {
  memcpy(what.b + 1, key, sizeof(ch_pubkey));
  return what;
}

static act shortened(act what) {
  what.len--;
  return what;
}

static void refused_shapes(json_t *list, int n, act good) {
  refused(list, n, shortened(good), "the connection ends before the last byte");
  refused(list, n, changed(good, 0), "version 1");
  refused(list, n, changed(good, good.len - 1), "the tag's last byte is another");
}

/* Acts one and two have an ephemeral key in clear. (There are no points of low order on this curve, and none at
 * infinity in this encoding.) */
static void refused_keys(json_t *list, int n, act good, const ch_pubkey *other) {
  uint8_t key[sizeof(ch_pubkey)] = {2};
  refused(list, n, with_key(good, key), "a key whose x is no point's");
  memset(key + 1, 0xff, sizeof key - 1);
  refused(list, n, with_key(good, key), "a key whose x is above the field's prime");
  memcpy(key, good.b + 1, sizeof key);
  key[0] = 4;
  refused(list, n, with_key(good, key), "a key that says it is not compressed");
  key[0] = good.b[1] ^ 1;
  refused(list, n, with_key(good, key), "the other point with this x");
  refused(list, n, with_key(good, other->b), "a point that the tag is not for");
}

/* What an initiator says in act `n` that takes `remote` for the responder, has another prologue, or says that it is
 * `self`. */
static act of_liar(int n, const ch_pubkey *remote, const char *prologue, const ch_pubkey *self) {
  talk *t = calloc(1, sizeof *t);
  if (t == NULL) abort();
  meet(t);
  if (self != NULL) t->a.self.id = *self;
  begin(t, remote != NULL ? remote : &t->b.self.id, prologue);
  for (int before = 0; before < n; before++) {
    must(say(t, before));
    must(hear(t, before, &t->act[before]));
  }
  must(say(t, n));
  const act said = t->act[n];
  free(t);
  return said;
}

static json_t *refused_acts(const talk *t) {
  json_t *list = json_array();
  const ch_pubkey none = {{2}};
  for (int n = 0; n < 3; n++)
    refused_shapes(list, n, t->act[n]);
  refused_keys(list, 0, t->act[0], &t->b.self.id);
  refused_keys(list, 1, t->act[1], &t->b.self.id);
  refused(list, 0, of_liar(0, NULL, "lightning", NULL), "with the prologue of BOLT 8");
  refused(list, 0, of_liar(0, &t->a.self.id, CD_NOISE_PROLOGUE, NULL), "meant for another node");
  refused(list, 2, changed(t->act[2], 1), "the encrypted node id's first byte is another");
  refused(list, 2, changed(t->act[2], 49), "the last byte of its tag is another");
  refused(list, 2, of_liar(2, NULL, CD_NOISE_PROLOGUE, &none), "the node id is no point");
  refused(list, 2, of_liar(2, NULL, CD_NOISE_PROLOGUE, &t->b.self.id), "the node id of somebody else");
  return list;
}

/* --- Frames ------------------------------------------------------------------------------------------------------- */

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

typedef struct frame {
  uint8_t b[CD_FRAME_OVERHEAD + 2];
} frame;

static frame seal(cd_cipher *tx) {
  static const uint8_t ping[] = {0, 18};
  frame f;
  (void)cd_cipher_seal(tx, f.b, ping, sizeof ping);
  return f;
}

static bool opens(cd_cipher *rx, frame f) {
  uint16_t len;
  return cd_cipher_open_header(rx, &len, f.b) &&
         cd_cipher_open_body(rx, f.b + CD_FRAME_HEADER, f.b + CD_FRAME_HEADER, len);
}

static frame flip(frame f, size_t at) {
  f.b[at] ^= 1;
  return f;
}

/* The responder takes `first`, if there is one, and refuses `then`. */
static void refused_frame(json_t *list, cd_cipher rx, const frame *first, frame then, const char *why) {
  json_t *o = add(list), *frames = json_array();
  json_object_set_new(o, "why", json_string(why));
  json_object_set_new(o, "frames", frames);
  if (first != NULL) {
    if (!opens(&rx, *first)) abort();
    json_array_append_new(frames, hex_text(first->b, sizeof first->b));
  }
  json_array_append_new(frames, hex_text(then.b, sizeof then.b));
  if (opens(&rx, then)) abort();
}

static json_t *refused_frames(const talk *t) {
  json_t *list = json_array();
  cd_cipher there = t->a.tx, back = t->b.tx;
  const frame first = seal(&there), second = seal(&there), reflected = seal(&back);
  const size_t last = sizeof first.b - 1;
  refused_frame(list, t->b.rx, NULL, flip(first, 1), "the length's second byte is another");
  refused_frame(list, t->b.rx, NULL, flip(first, CD_FRAME_HEADER - 1), "the last byte of the length's tag is another");
  refused_frame(list, t->b.rx, NULL, flip(first, CD_FRAME_HEADER), "the body's first byte is another");
  refused_frame(list, t->b.rx, NULL, flip(first, last), "the last byte of the body's tag is another");
  refused_frame(list, t->b.rx, &first, first, "the first frame again");
  refused_frame(list, t->b.rx, NULL, second, "the second frame first");
  refused_frame(list, t->b.rx, NULL, reflected, "a frame of the responder's own");
  return list;
}

void write_transport(const char *folder) {
  static const uint8_t ping[] = {0, 18}, pong[] = {0, 19};
  talk *t = calloc(1, sizeof *t);
  if (t == NULL) abort();
  json_t *o = json_object(), *there = json_array(), *back = json_array();
  meet(t);
  json_object_set_new(o, "prologue", json_string(CD_NOISE_PROLOGUE));
  put_party(o, "initiator", &t->a);
  put_party(o, "responder", &t->b);
  shake(t);
  put_hex(o, "act1", t->act[0].b, t->act[0].len);
  put_hex(o, "act2", t->act[1].b, t->act[1].len);
  put_hex(o, "act3", t->act[2].b, t->act[2].len);
  json_object_set_new(o, "refusedActs", refused_acts(t));
  json_object_set_new(o, "refusedFrames", refused_frames(t));
  json_object_set_new(o, "initiatorToResponder", there);
  json_object_set_new(o, "responderToInitiator", back);
  for (int i = 0; i < FRAMES; i++)
    put_frame(there, i, &t->a.tx, ping, sizeof ping);
  for (int i = 0; i < 2; i++)
    put_frame(back, i, &t->b.tx, pong, sizeof pong);
  save(folder, "transport", o);
  free(t);
}
