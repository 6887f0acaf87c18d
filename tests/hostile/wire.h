/* wire.h - the peer protocol's transport by hand, on blocking sockets: what a hostile peer needs to do everything wrong
 * that a real one does right. */
#ifndef TESTS_HOSTILE_WIRE_H
#define TESTS_HOSTILE_WIRE_H

#include "channel/signer.h"
#include "net/noise.h"

#define WIRE_MAX 65535

/* A node whose keys we have. */
typedef struct wire_self {
  ch_keyring *keys;
  ch_signer signer;
  ch_pubkey id;
} wire_self;

/* One authenticated connection. */
typedef struct wire {
  int fd; /* -1: none */
  cd_cipher tx, rx;
  uint8_t in[WIRE_MAX + CD_FRAME_OVERHEAD]; /* of the next frame */
  size_t have;
  bool open_header;
  uint16_t len; /* of the body, if the header is open */
} wire;

bool wire_self_from_dir(wire_self *self, const char *dir); /* a data directory with an open seed */
void wire_self_random(wire_self *self);
void wire_self_free(wire_self *self);

/* Sockets; -1 on failure. `address` is "127.0.0.1:PORT"; `bound` receives such a one. */
int wire_connect(const char *address);
int wire_listen(char bound[64]);
/* All of it; false if the peer is gone or takes nothing for five seconds. */
bool wire_write(int fd, const void *bytes, size_t len);

/* The handshakes. `fd` is owned by the wire from then on, also if they fail. */
bool wire_dial(wire *w, wire_self *self, const ch_pubkey *to, int fd);
bool wire_answer(wire *w, wire_self *self, int fd, ch_pubkey *who);

bool wire_send(wire *w, const uint8_t *message, size_t len);
/* Only the first `keep` bytes of its frame; or all of them with one bit of byte `at` turned. */
bool wire_send_torn(wire *w, const uint8_t *message, size_t len, size_t keep);
bool wire_send_damaged(wire *w, const uint8_t *message, size_t len, size_t at);

typedef enum wire_result { WIRE_MESSAGE, WIRE_AGAIN, WIRE_GONE } wire_result;
/* Reads once. A message is written to `out`, of WIRE_MAX bytes. */
wire_result wire_receive(wire *w, uint8_t *out, size_t *len);
/* Everything that was sent arrives, then the connection ends. NULL-safe for one that has none. */
void wire_close(wire *w);

#endif
