#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE 5 /* seconds */

static bool self_from_seed(wire_self *self, const uint8_t seed[64]) {
  if (ch_keyring_new(&self->keys, seed) != CH_OK) return false;
  self->signer = ch_keyring_signer(self->keys);
  return self->signer.node_id(self->signer.ctx, &self->id) == CH_OK;
}

bool wire_self_from_dir(wire_self *self, const char *dir) {
  char path[4096], hex[129] = "";
  uint8_t seed[64];
  snprintf(path, sizeof path, "%s/seed", dir);
  FILE *file = fopen(path, "r");
  if (file == NULL) return false;
  bool ok = fscanf(file, "channeld-seed-v1 plain %128[0-9a-f]", hex) == 1 && ch_unhex(seed, sizeof seed, hex);
  fclose(file);
  return ok && self_from_seed(self, seed);
}

void wire_self_random(wire_self *self) {
  uint8_t seed[64];
  randombytes_buf(seed, sizeof seed);
  if (!self_from_seed(self, seed)) abort();
}

void wire_self_free(wire_self *self) {
  ch_keyring_free(self->keys);
}

/* --- Sockets ------------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(const char *address) {
  struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const char *colon = address == NULL ? NULL : strrchr(address, ':');
  if (colon != NULL) sa.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
  return sa;
}

static void be_patient(int fd) {
  struct timeval limit = {.tv_sec = PATIENCE};
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int wire_connect(const char *address) {
  struct sockaddr_in sa = loopback(address);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

int wire_listen(char bound[64]) {
  struct sockaddr_in sa = loopback(NULL);
  socklen_t len = sizeof sa;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(fd, 16) != 0 ||
      getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
    return -1;
  snprintf(bound, 64, "127.0.0.1:%u", ntohs(sa.sin_port));
  return fd;
}

bool wire_write(int fd, const void *bytes, size_t len) {
  for (size_t done = 0; done < len;) {
    ssize_t n = send(fd, (const char *)bytes + done, len - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

static bool read_all(int fd, uint8_t *out, size_t len) {
  for (size_t done = 0; done < len;) {
    ssize_t n = recv(fd, out + done, len - done, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

/* --- Handshakes ---------------------------------------------------------------------------------- */

static cd_noise_self noise_self(wire_self *self) {
  return (cd_noise_self){.id = self->id, .ecdh = self->signer.ecdh, .ctx = self->signer.ctx};
}

bool wire_dial(wire *w, wire_self *self, const ch_pubkey *to, int fd) {
  cd_noise_self me = noise_self(self);
  cd_noise n;
  ch_secret ephemeral;
  uint8_t act[CD_NOISE_ACT3];
  *w = (wire){.fd = fd};
  if (fd < 0) return false;
  be_patient(fd);
  randombytes_buf(&ephemeral, sizeof ephemeral);
  cd_noise_initiator(&n, &me, to, CD_NOISE_PROLOGUE, strlen(CD_NOISE_PROLOGUE), &ephemeral);
  return cd_noise_write_act1(&n, act) == CD_NOISE_OK && wire_write(fd, act, CD_NOISE_ACT1) &&
         read_all(fd, act, CD_NOISE_ACT2) && cd_noise_read_act2(&n, act, CD_NOISE_ACT2) == CD_NOISE_OK &&
         cd_noise_write_act3(&n, act, &w->tx, &w->rx) == CD_NOISE_OK && wire_write(fd, act, CD_NOISE_ACT3);
}

bool wire_answer(wire *w, wire_self *self, int fd, ch_pubkey *who) {
  cd_noise_self me = noise_self(self);
  cd_noise n;
  ch_secret ephemeral;
  uint8_t act[CD_NOISE_ACT3];
  *w = (wire){.fd = fd};
  if (fd < 0) return false;
  be_patient(fd);
  randombytes_buf(&ephemeral, sizeof ephemeral);
  cd_noise_responder(&n, &me, CD_NOISE_PROLOGUE, strlen(CD_NOISE_PROLOGUE), &ephemeral);
  return read_all(fd, act, CD_NOISE_ACT1) && cd_noise_read_act1(&n, act, CD_NOISE_ACT1) == CD_NOISE_OK &&
         cd_noise_write_act2(&n, act) == CD_NOISE_OK && wire_write(fd, act, CD_NOISE_ACT2) &&
         read_all(fd, act, CD_NOISE_ACT3) &&
         cd_noise_read_act3(&n, act, CD_NOISE_ACT3, &w->tx, &w->rx, who) == CD_NOISE_OK;
}

/* --- Frames -------------------------------------------------------------------------------------- */

/* Seals a message, turns a bit of byte `damaged` if there is such a byte, and sends the first `keep` bytes. */
static bool send_frame(wire *w, const uint8_t *message, size_t len, size_t keep, size_t damaged) {
  static uint8_t frame[WIRE_MAX + CD_FRAME_OVERHEAD];
  if (w->fd < 0 || len > WIRE_MAX) return false;
  size_t size = cd_cipher_seal(&w->tx, frame, message, (uint16_t)len);
  if (damaged < size) frame[damaged] ^= 0x10;
  return wire_write(w->fd, frame, keep < size ? keep : size);
}

bool wire_send(wire *w, const uint8_t *message, size_t len) {
  return send_frame(w, message, len, SIZE_MAX, SIZE_MAX);
}

bool wire_send_torn(wire *w, const uint8_t *message, size_t len, size_t keep) {
  return send_frame(w, message, len, keep % (len + CD_FRAME_OVERHEAD), SIZE_MAX);
}

bool wire_send_damaged(wire *w, const uint8_t *message, size_t len, size_t at) {
  return send_frame(w, message, len, SIZE_MAX, at % (len + CD_FRAME_OVERHEAD));
}

wire_result wire_receive(wire *w, uint8_t *out, size_t *len) {
  size_t want = w->open_header ? (size_t)w->len + CD_FRAME_TAG : CD_FRAME_HEADER;
  ssize_t n = recv(w->fd, w->in + w->have, want - w->have, 0);
  if (n <= 0) return n < 0 && errno == EINTR ? WIRE_AGAIN : WIRE_GONE;
  w->have += (size_t)n;
  if (w->have < want) return WIRE_AGAIN;
  w->have = 0;
  if (!w->open_header) {
    w->open_header = cd_cipher_open_header(&w->rx, &w->len, w->in);
    return w->open_header ? WIRE_AGAIN : WIRE_GONE;
  }
  w->open_header = false;
  *len = w->len;
  return cd_cipher_open_body(&w->rx, out, w->in, w->len) ? WIRE_MESSAGE : WIRE_GONE;
}

void wire_close(wire *w) {
  char rest[4096];
  struct pollfd p = {.fd = w->fd, .events = POLLIN};
  if (w->fd < 0) return;
  shutdown(w->fd, SHUT_WR);
  /* Closing with unread bytes would reset the connection, and what we sent last might be lost. */
  while (poll(&p, 1, 200) > 0 && recv(w->fd, rest, sizeof rest, 0) > 0) {
  }
  close(w->fd);
  w->fd = -1;
}
