/* The handshake and its frames. The first byte says how much of it is real: a stranger's bytes in each act, or behind a
 * good handshake in a frame, are refused, and nothing is read from a connection after that. */
#include <sodium.h>

#include "channel/crypto.h"
#include "fuzz.h"
#include "net/noise.h"

#define PROLOGUE "fuzz"

static ch_secret secret(uint8_t n) {
  ch_secret s;
  memset(&s, n, sizeof s);
  return s;
}

static ch_err ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  return ch_ecdh(out, (const ch_secret *)ctx, peer);
}

static cd_noise_self self_of(ch_secret *key) {
  cd_noise_self self = {.ecdh = ecdh, .ctx = key};
  must(ch_pubkey_of(&self.id, key) == CH_OK, "a key");
  return self;
}

typedef struct pair {
  ch_secret key[2];
  cd_noise dialler, host;
  cd_cipher tx, rx, host_tx, host_rx;
} pair;

static void start(pair *p) {
  ch_secret one = secret(3), two = secret(4);
  p->key[0] = secret(1);
  p->key[1] = secret(2);
  cd_noise_self a = self_of(&p->key[0]), b = self_of(&p->key[1]);
  cd_noise_initiator(&p->dialler, &a, &b.id, PROLOGUE, sizeof PROLOGUE, &one);
  cd_noise_responder(&p->host, &b, PROLOGUE, sizeof PROLOGUE, &two);
}

/* Acts one to three; from `stranger` on the bytes are not the dialler's or the host's but the input's. */
static bool shake(pair *p, unsigned stranger, const uint8_t *in, size_t len) {
  uint8_t act[CD_NOISE_ACT3];
  ch_pubkey who;
  must(cd_noise_write_act1(&p->dialler, act) == CD_NOISE_OK, "act one");
  if (stranger == 0) return cd_noise_read_act1(&p->host, in, len) == CD_NOISE_OK;
  must(cd_noise_read_act1(&p->host, act, CD_NOISE_ACT1) == CD_NOISE_OK, "act one is good");
  must(cd_noise_write_act2(&p->host, act) == CD_NOISE_OK, "act two");
  if (stranger == 1) return cd_noise_read_act2(&p->dialler, in, len) == CD_NOISE_OK;
  must(cd_noise_read_act2(&p->dialler, act, CD_NOISE_ACT2) == CD_NOISE_OK, "act two is good");
  must(cd_noise_write_act3(&p->dialler, act, &p->tx, &p->rx) == CD_NOISE_OK, "act three");
  if (stranger == 2) return cd_noise_read_act3(&p->host, in, len, &p->host_tx, &p->host_rx, &who) == CD_NOISE_OK;
  must(cd_noise_read_act3(&p->host, act, CD_NOISE_ACT3, &p->host_tx, &p->host_rx, &who) == CD_NOISE_OK,
       "act three is good");
  return true;
}

static void frames(pair *p, const uint8_t *in, size_t len) {
  uint16_t body = 0;
  if (len < CD_FRAME_HEADER) return;
  must(!cd_cipher_open_header(&p->host_rx, &body, in), "nobody else can write a frame");
  must(!cd_cipher_open_header(&p->host_rx, &body, in), "a broken connection stays so");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  pair p;
  if (size == 0 || sodium_init() < 0) return 0;
  unsigned stranger = data[0] % 4;
  memset(&p, 0, sizeof p);
  start(&p);
  bool good = shake(&p, stranger, data + 1, size - 1);
  if (stranger == 3) frames(&p, data + 1, size - 1);
  must(good == (stranger == 3), "only the acts themselves are good");
  cd_noise_wipe(&p.dialler);
  cd_noise_wipe(&p.host);
  return 0;
}
