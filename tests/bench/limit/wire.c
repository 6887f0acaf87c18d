#include <arpa/inet.h>
#include <nng/nng.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limit.h"

/* As in BOLT 8: the length and the message, each with its tag. */
#define TAG crypto_aead_chacha20poly1305_ietf_ABYTES
#define HEAD (2 + TAG)
#define FRAME (HEAD + MESSAGE + TAG)

typedef struct cipher {
  uint8_t key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
  uint64_t nonce;
} cipher;

struct wire {
  nng_stream_listener *listener;
  nng_stream *stream;
  nng_aio *rx, *tx;
  cipher read, write;
  uint8_t in[64 * 1024];
  size_t in_len;
  pthread_mutex_t lock; /* for what follows */
  uint8_t *out, *flight;
  size_t out_len, flight_len, flight_sent;
  bool flying;
};

/* --- Frames --------------------------------------------------------------------------------------- */

static void next_nonce(cipher *c, uint8_t nonce[12]) {
  memset(nonce, 0, 12);
  memcpy(nonce + 4, &c->nonce, sizeof c->nonce);
  c->nonce++;
}

static void seal(cipher *c, uint8_t *out, const uint8_t *in, size_t len) {
  uint8_t nonce[12];
  next_nonce(c, nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, NULL, 0, NULL, nonce, c->key);
}

static void unseal(cipher *c, uint8_t *out, const uint8_t *in, size_t len) {
  uint8_t nonce[12];
  next_nonce(c, nonce);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len + TAG, NULL, 0, nonce, c->key) != 0)
    die("a frame is damaged");
}

/* --- Opening --------------------------------------------------------------------------------------- */

static void check(int rv, const char *what) {
  if (rv != 0) die("%s: %s", what, nng_strerror(rv));
}

static void on_sent(void *arg);

static wire *make(size_t messages, bool payer) {
  wire *w = calloc(1, sizeof *w);
  if (!w) die("no memory");
  w->out = malloc(messages * FRAME);
  w->flight = malloc(messages * FRAME);
  if (!w->out || !w->flight) die("no memory");
  pthread_mutex_init(&w->lock, NULL);
  memset(payer ? w->write.key : w->read.key, 1, sizeof w->write.key);
  memset(payer ? w->read.key : w->write.key, 2, sizeof w->write.key);
  check(nng_aio_alloc(&w->rx, NULL, NULL), "a receiver");
  check(nng_aio_alloc(&w->tx, on_sent, w), "a sender");
  return w;
}

static void arm(wire *w) {
  nng_iov iov = {.iov_buf = w->in + w->in_len, .iov_len = sizeof w->in - w->in_len};
  nng_aio_set_iov(w->rx, 1, &iov);
  nng_stream_recv(w->stream, w->rx);
}

/* The stream that the receiver's operation was for. */
static void take_stream(wire *w, const char *what) {
  nng_aio_wait(w->rx);
  check(nng_aio_result(w->rx), what);
  w->stream = nng_aio_get_output(w->rx, 0);
  nng_stream_set_bool(w->stream, NNG_OPT_TCP_NODELAY, true);
  arm(w);
}

wire *wire_listen(uint16_t *port, size_t messages) {
  wire *w = make(messages, false);
  nng_sockaddr sa;
  check(nng_stream_listener_alloc(&w->listener, "tcp://127.0.0.1:0"), "a listener");
  check(nng_stream_listener_listen(w->listener), "listening");
  check(nng_stream_listener_get_addr(w->listener, NNG_OPT_LOCADDR, &sa), "the port");
  *port = ntohs(sa.s_in.sa_port);
  return w;
}

void wire_accept(wire *w) {
  nng_stream_listener_accept(w->listener, w->rx);
  take_stream(w, "accepting");
}

wire *wire_dial(uint16_t port, size_t messages) {
  wire *w = make(messages, true);
  nng_stream_dialer *dialer;
  char url[40];
  snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
  check(nng_stream_dialer_alloc(&dialer, url), "a dialer");
  nng_stream_dialer_dial(dialer, w->rx);
  take_stream(w, "dialing");
  return w;
}

/* --- Sending --------------------------------------------------------------------------------------- */

static void send_flight(wire *w) {
  nng_iov iov = {.iov_buf = w->flight + w->flight_sent, .iov_len = w->flight_len - w->flight_sent};
  nng_aio_set_iov(w->tx, 1, &iov);
  nng_stream_send(w->stream, w->tx);
}

/* Locked. */
static void take_off(wire *w) {
  if (w->flying || w->out_len == 0) return;
  uint8_t *empty = w->flight;
  w->flight = w->out;
  w->flight_len = w->out_len;
  w->flight_sent = 0;
  w->out = empty;
  w->out_len = 0;
  w->flying = true;
  send_flight(w);
}

/* The parent kills one process before the other: that is no error. */
static void stop_if_broken(int rv) {
  if (rv == 0) return;
  if (rv != NNG_ECLOSED && rv != NNG_ECONNSHUT && rv != NNG_ECONNRESET) die("the stream: %s", nng_strerror(rv));
  for (;;)
    pause();
}

static void on_sent(void *arg) {
  wire *w = arg;
  stop_if_broken(nng_aio_result(w->tx));
  pthread_mutex_lock(&w->lock);
  w->flight_sent += nng_aio_count(w->tx);
  w->flying = w->flight_sent < w->flight_len;
  if (w->flying)
    send_flight(w);
  else
    take_off(w);
  pthread_mutex_unlock(&w->lock);
}

void wire_put(wire *w, const uint8_t message[MESSAGE]) {
  const uint8_t length[2] = {MESSAGE >> 8, MESSAGE & 0xff};
  pthread_mutex_lock(&w->lock);
  uint8_t *frame = w->out + w->out_len;
  seal(&w->write, frame, length, sizeof length);
  seal(&w->write, frame + HEAD, message, MESSAGE);
  w->out_len += FRAME;
  pthread_mutex_unlock(&w->lock);
}

void wire_flush(wire *w) {
  pthread_mutex_lock(&w->lock);
  take_off(w);
  pthread_mutex_unlock(&w->lock);
}

/* --- Receiving ------------------------------------------------------------------------------------- */

void wire_wait(wire *w, void (*each)(void *ctx, const uint8_t message[MESSAGE]), void *ctx) {
  uint8_t length[2], message[MESSAGE];
  size_t at = 0;
  nng_aio_wait(w->rx);
  stop_if_broken(nng_aio_result(w->rx));
  w->in_len += nng_aio_count(w->rx);
  for (; w->in_len - at >= FRAME; at += FRAME) {
    unseal(&w->read, length, w->in + at, sizeof length);
    if ((length[0] << 8 | length[1]) != MESSAGE) die("a frame of another length");
    unseal(&w->read, message, w->in + at + HEAD, MESSAGE);
    each(ctx, message);
  }
  w->in_len -= at;
  memmove(w->in, w->in + at, w->in_len);
  arm(w);
}
