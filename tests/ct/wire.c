/* The handshake and its frames, with the identity of a real seed on both sides. */
#include <string.h>

#include "ct.h"
#include "identity.h"
#include "net/noise.h"

static const char prologue[] = CD_NOISE_PROLOGUE;

typedef struct party {
  cd_identity identity;
  cd_noise noise;
  cd_cipher tx, rx;
} party;

typedef struct pair {
  party dialler, host;
} pair;

static bool open_party(party *p, uint8_t fill) {
  uint8_t seed[64];
  memset(seed, fill, sizeof seed);
  ct_secret(seed, sizeof seed);
  return cd_identity_init(&p->identity, seed) == CH_OK;
}

static cd_noise_self self_of(party *p) {
  return (cd_noise_self){.id = p->identity.id, .ecdh = cd_identity_ecdh, .ctx = &p->identity};
}

static bool open_pair(pair *p) {
  ch_secret one = {{1, 2, 3}}, two = {{4, 5, 6}};
  memset(p, 0, sizeof *p);
  if (!open_party(&p->dialler, 0x11) || !open_party(&p->host, 0x22)) return false;
  ct_secret(&one, sizeof one);
  ct_secret(&two, sizeof two);
  cd_noise_self a = self_of(&p->dialler), b = self_of(&p->host);
  cd_noise_initiator(&p->dialler.noise, &a, &b.id, prologue, strlen(prologue), &one);
  cd_noise_responder(&p->host.noise, &b, prologue, strlen(prologue), &two);
  return true;
}

static void close_pair(pair *p) {
  cd_identity_free(&p->dialler.identity);
  cd_identity_free(&p->host.identity);
}

/* What is on the wire is public. Bit 0 of the last byte is turned in act number `damaged`. */
static void send_act(uint8_t *act, size_t len, bool damaged) {
  ct_public(act, len);
  act[len - 1] ^= damaged;
}

/* The acts up to the one that is refused, whose number is returned; 0 if the handshake is done. */
static int shake(pair *p, int damaged) {
  uint8_t act[CD_NOISE_ACT3];
  cd_noise *a = &p->dialler.noise, *b = &p->host.noise;
  ch_pubkey who;
  if (cd_noise_write_act1(a, act) != CD_NOISE_OK) return -1;
  send_act(act, CD_NOISE_ACT1, damaged == 1);
  if (cd_noise_read_act1(b, act, CD_NOISE_ACT1) != CD_NOISE_OK) return 1;
  if (cd_noise_write_act2(b, act) != CD_NOISE_OK) return -1;
  send_act(act, CD_NOISE_ACT2, damaged == 2);
  if (cd_noise_read_act2(a, act, CD_NOISE_ACT2) != CD_NOISE_OK) return 2;
  if (!ct_is_secret(&a->ck, sizeof a->ck) || !ct_is_secret(&a->e, sizeof a->e)) return -1;
  if (cd_noise_write_act3(a, act, &p->dialler.tx, &p->dialler.rx) != CD_NOISE_OK) return -1;
  send_act(act, CD_NOISE_ACT3, damaged == 3);
  if (cd_noise_read_act3(b, act, CD_NOISE_ACT3, &p->host.tx, &p->host.rx, &who) != CD_NOISE_OK) return 3;
  ct_public(&who, sizeof who);
  return ch_pubkey_eq(&who, &p->dialler.identity.id) ? 0 : -1;
}

static bool handshake(void) {
  pair p;
  bool ok = open_pair(&p) && shake(&p, 0) == 0;
  ok = ok && ct_is_secret(&p.dialler.tx.key, sizeof(ch_secret)) && ct_is_secret(&p.host.rx.key, sizeof(ch_secret));
  close_pair(&p);
  return ok;
}

static bool damaged_acts(void) {
  bool ok = true;
  for (int act = 1; act <= 3; act++) {
    pair p;
    ok = open_pair(&p) && shake(&p, act) == act && ok;
    close_pair(&p);
  }
  return ok;
}

/* --- Frames -------------------------------------------------------------------------------------- */

/* A body of secret bytes, which come out as they went in. */
static bool pass(cd_cipher *tx, cd_cipher *rx, uint8_t fill) {
  uint8_t body[40], frame[CD_FRAME_OVERHEAD + sizeof body], out[sizeof body];
  uint16_t len = 0;
  memset(body, fill, sizeof body);
  ct_secret(body, sizeof body);
  ct_public(frame, cd_cipher_seal(tx, frame, body, sizeof body));
  if (!cd_cipher_open_header(rx, &len, frame)) return false;
  ct_public(&len, sizeof len); /* the receiver waits for as much */
  if (len != sizeof body || !cd_cipher_open_body(rx, out, frame + CD_FRAME_HEADER, len)) return false;
  if (!ct_is_secret(out, sizeof out)) return false;
  ct_public(out, sizeof out);
  return out[0] == fill && out[sizeof out - 1] == fill;
}

/* Enough of them that both keys are replaced. */
static bool frames(void) {
  pair p;
  bool ok = open_pair(&p) && shake(&p, 0) == 0;
  for (unsigned i = 0; ok && i < CD_CIPHER_USES / 2 + 2; i++)
    ok = pass(&p.dialler.tx, &p.host.rx, (uint8_t)i);
  ok = ok && pass(&p.host.tx, &p.dialler.rx, 7);
  ok = ok && ct_is_secret(&p.host.rx.key, sizeof(ch_secret)) && p.host.rx.nonce < 10;
  close_pair(&p);
  return ok;
}

static bool forged_frame(void) {
  pair p;
  uint8_t frame[CD_FRAME_HEADER] = {0};
  uint16_t len;
  bool ok = open_pair(&p) && shake(&p, 0) == 0 && !cd_cipher_open_header(&p.host.rx, &len, frame);
  close_pair(&p);
  return ok;
}

const ct_check ct_wire_checks[] = {
    {"the handshake", handshake},
    {"acts with a wrong MAC", damaged_acts},
    {"frames, and new keys for them", frames},
    {"a forged frame", forged_frame},
    {NULL, NULL},
};
