/* One attack for each run, against NODE_ID at ADDRESS; then one line that says what came of it.
 *
 *   flood N      N connections that begin a handshake and never end it, all at once
 *   garbage N    N connections with garbage: instead of each act, behind the handshake, inside of frames
 *   opens N      one connection with N requests to open a channel that are never confirmed; it stays until the
 *                input ends
 *   deaf N       one connection that sends N requests and pings and reads nothing, until it is disconnected
 */
#include "stranger.h"

#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/channel.h"
#include "wire.h"

#define FLOOD_SECONDS 4

typedef struct target {
  ch_pubkey node;
  const char *address;
  unsigned n;
  ch_chain chain;
} target;

/* --- Connections that never say who they are -------------------------------------------------------- */

/* Begins anything between nothing and the whole of act one, which is answered and then waits for act three. */
static void begin_handshake(const target *t, int fd, unsigned i) {
  uint8_t act[CD_NOISE_ACT1];
  wire_self self;
  cd_noise n;
  ch_secret ephemeral;
  wire_self_random(&self);
  cd_noise_self me = {.id = self.id, .ecdh = self.signer.ecdh, .ctx = self.signer.ctx};
  randombytes_buf(&ephemeral, sizeof ephemeral);
  cd_noise_initiator(&n, &me, &t->node, CD_NOISE_PROLOGUE, strlen(CD_NOISE_PROLOGUE), &ephemeral);
  if (cd_noise_write_act1(&n, act) == CD_NOISE_OK && i % 3 != 0) wire_write(fd, act, i % 3 == 1 ? sizeof act : 20);
  cd_noise_wipe(&n);
  wire_self_free(&self);
}

static int flood(const target *t) {
  struct rlimit files = {.rlim_cur = t->n + 64, .rlim_max = t->n + 64};
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  struct pollfd *fds = calloc(t->n, sizeof *fds);
  if (fds == NULL) return 1;
  unsigned opened = 0, ended = 0;
  for (; opened < t->n; opened++) {
    fds[opened].fd = wire_connect(t->address);
    if (fds[opened].fd < 0) break;
    fds[opened].events = POLLIN | POLLRDHUP;
    begin_handshake(t, fds[opened].fd, opened);
  }
  for (unsigned tries = 0; tries < 10 * FLOOD_SECONDS && ended < opened; tries++) {
    usleep(100000);
    if (poll(fds, opened, 0) <= 0) continue;
    for (unsigned i = 0; i < opened; i++) {
      if (fds[i].fd < 0 || (fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) continue;
      close(fds[i].fd);
      fds[i].fd = -1;
      ended++;
    }
  }
  for (unsigned i = 0; i < opened; i++) {
    if (fds[i].fd >= 0) close(fds[i].fd);
  }
  free(fds);
  printf("opened=%u ended=%u\n", opened, ended);
  return 0;
}

/* --- Garbage ------------------------------------------------------------------------------------------ */

static void wait_for_end(int fd) {
  uint8_t rest[4096];
  while (recv(fd, rest, sizeof rest, 0) > 0) {
  }
}

/* A frame that verifies, with anything in it: nothing, one byte, a type and noise, the longest there is. */
static void send_noise(wire *w, unsigned i) {
  static const uint16_t types[] = {98, 100, 102, 104, 106, 108, 110, 112, 114, 116, 118, 120, 200, 18, 19, 201};
  static uint8_t bytes[WIRE_MAX];
  static const size_t lengths[] = {0, 1, 2, 34, 300, WIRE_MAX};
  uint16_t type = types[i % (sizeof types / sizeof types[0])];
  size_t len = lengths[i / 3 % (sizeof lengths / sizeof lengths[0])];
  randombytes_buf(bytes, len);
  bytes[0] = (uint8_t)(type >> 8);
  bytes[1] = (uint8_t)type;
  if (i % 2 == 0) memcpy(bytes + 2, "\x0a\x20", 2); /* as if an id followed */
  wire_send(w, bytes, len);
}

static int garbage(const target *t) {
  static wire w;
  uint8_t noise[200];
  wire_self self;
  unsigned refused = 0;
  for (unsigned i = 0; i < t->n; i++) {
    wire_self_random(&self);
    randombytes_buf(noise, sizeof noise);
    int fd = wire_connect(t->address);
    if (i % 4 == 0) {
      w = (wire){.fd = fd};
      wire_write(fd, noise, 1 + i % sizeof noise);
    } else if (wire_dial(&w, &self, &t->node, fd)) {
      if (i % 4 == 1) wire_write(fd, noise, 1 + i % sizeof noise); /* no frame at all */
      if (i % 4 == 2) wire_send_damaged(&w, noise, 100, i);
      if (i % 4 == 3) send_noise(&w, i / 4);
    } else {
      refused++;
    }
    if (w.fd >= 0) {
      shutdown(w.fd, SHUT_WR);
      wait_for_end(w.fd);
      close(w.fd);
    }
    wire_self_free(&self);
  }
  printf("tried=%u refused=%u\n", t->n, refused);
  return 0;
}

/* --- Openings -------------------------------------------------------------------------------------------- */

static bool ask_to_open(wire *w, const target *t, wire_self *self, unsigned times) {
  ch_effects fx = {0};
  ch_addr payout = {{1}};
  ch_opening o = {.terms = ch_terms_default(&t->chain, &t->node, &payout, (ch_amount){.v = 1000}, (ch_amount){.v = 0})};
  randombytes_buf(&o.nonce, sizeof o.nonce);
  if (ch_open_request(&o, &self->signer, &fx) != CH_OK) return false;
  bool ok = true;
  while (ok && times-- > 0)
    ok = wire_send(w, fx.v[0].u.send.bytes, fx.v[0].u.send.len);
  ch_effects_clear(&fx);
  return ok;
}

static int opens(const target *t) {
  static wire w;
  static uint8_t in[WIRE_MAX];
  wire_self self;
  size_t len;
  unsigned accepted = 0, refused = 0;
  wire_self_random(&self);
  if (!wire_dial(&w, &self, &t->node, wire_connect(t->address))) return 1;
  for (unsigned sent = 0, answered = 0; answered < t->n;) {
    while (sent < t->n && sent < answered + 100 && ask_to_open(&w, t, &self, 1))
      sent++;
    wire_result r = wire_receive(&w, in, &len);
    if (r == WIRE_GONE) break;
    if (r != WIRE_MESSAGE) continue;
    accepted += in[1] == CH_MSG_OPEN_ACCEPT;
    refused += in[1] == CH_MSG_ERROR;
    answered = accepted + refused;
  }
  printf("accepted=%u refused=%u\n", accepted, refused);
  fflush(stdout);
  while (getchar() != EOF) {
  }
  wire_close(&w);
  wire_self_free(&self);
  return 0;
}

static int deaf(const target *t) {
  static wire w;
  static const uint8_t ping[] = {0, 18};
  wire_self self;
  unsigned sent = 0;
  wire_self_random(&self);
  if (!wire_dial(&w, &self, &t->node, wire_connect(t->address))) return 1;
  while (sent < t->n && ask_to_open(&w, t, &self, 99) && wire_send(&w, ping, sizeof ping))
    sent += 100;
  printf("sent=%u\n", sent);
  fflush(stdout);
  while (getchar() != EOF) {
  }
  close(w.fd);
  wire_self_free(&self);
  return 0;
}

int stranger_main(int argc, char **argv) {
  target t = {0};
  if (argc < 4 || !ch_unhex(t.node.b, sizeof t.node.b, argv[1])) return 2;
  t.address = argv[2];
  t.n = (unsigned)strtoul(argv[3], NULL, 10);
  if (argc == 6) {
    t.chain.chain_id = strtoull(argv[4], NULL, 10);
    if (!ch_unhex(t.chain.adjudicator.b, sizeof t.chain.adjudicator.b, argv[5])) return 2;
  }
  if (strcmp(argv[0], "flood") == 0) return flood(&t);
  if (strcmp(argv[0], "garbage") == 0) return garbage(&t);
  if (strcmp(argv[0], "opens") == 0) return opens(&t);
  if (strcmp(argv[0], "deaf") == 0) return deaf(&t);
  return 2;
}
