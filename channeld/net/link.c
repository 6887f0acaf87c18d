#include "link.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define RX_SMALL 4096  /* what an idle link keeps for receiving */
#define RX_LARGE 65536 /* how far bursts let it grow; one frame may need more */
#define TX_KEEP 16384  /* what an idle link keeps for sending */

/* --- Buffers --------------------------------------------------------------------------------------------- */

static bool reserve(cd_buffer *b, size_t cap) {
  if (cap <= b->cap) {
    return true;
  }
  uint8_t *p = realloc(b->p, cap);
  if (p == NULL) {
    return false;
  }
  b->p = p;
  b->cap = cap;
  return true;
}

/* Room for `more` bytes, growing by doubling. */
static bool reserve_more(cd_buffer *b, size_t more) {
  size_t need = b->len + more;
  return need <= b->cap || reserve(b, need > 2 * b->cap ? need : 2 * b->cap);
}

static void release(cd_buffer *b) {
  free(b->p);
  *b = (cd_buffer){.p = NULL};
}

/* --- Shutting --------------------------------------------------------------------------------------------- */

static void shut_locked(cd_link *l, const char *reason) {
  if (l->shut) {
    return;
  }
  l->shut = true;
  if (l->reason[0] == '\0') {
    snprintf(l->reason, sizeof l->reason, "%s", reason);
  }
  if (l->stream != NULL) {
    nng_stream_close(l->stream);
  }
  cd_inbox_post(l->inbox, l, CD_LINK_DEAD);
}

void cd_link_shut(cd_link *l, const char *reason) {
  pthread_mutex_lock(&l->lock);
  shut_locked(l, reason);
  pthread_mutex_unlock(&l->lock);
}

static bool peer_left(int rv) {
  return rv == NNG_ECLOSED || rv == NNG_ECONNSHUT || rv == NNG_ECONNRESET;
}

static void shut_by_stream_locked(cd_link *l, int rv) {
  char text[sizeof l->reason];
  if (!peer_left(rv)) {
    snprintf(text, sizeof text, "The connection broke (%s).", nng_strerror(rv));
  } else if (l->stage == CD_STAGE_FRAMES) {
    snprintf(text, sizeof text, "The peer closed the connection.");
  } else if (l->inbound) {
    snprintf(text, sizeof text, "The other side closed the connection during the handshake.");
  } else {
    snprintf(text, sizeof text,
             "The peer closed the connection during the handshake; check the node id, and that both run the same "
             "release.");
  }
  shut_locked(l, text);
}

/* --- Sending ----------------------------------------------------------------------------------------------- */

static void send_flight(cd_link *l) {
  nng_iov iov = {.iov_buf = l->flight.p + l->flight_sent, .iov_len = l->flight.len - l->flight_sent};
  nng_aio_set_iov(l->tx_aio, 1, &iov);
  nng_stream_send(l->stream, l->tx_aio);
}

/* Everything that waits goes in one piece; what comes meanwhile waits for the next. */
static void take_off(cd_link *l) {
  if (l->flying || l->shut || l->out.len == 0) {
    return;
  }
  cd_buffer empty = l->flight;
  l->flight = l->out;
  l->out = empty;
  l->out.len = 0;
  l->flight_sent = 0;
  l->flying = true;
  send_flight(l);
}

static void on_sent(void *arg) {
  cd_link *l = arg;
  pthread_mutex_lock(&l->lock);
  int rv = nng_aio_result(l->tx_aio);
  l->flight_sent += rv == 0 ? nng_aio_count(l->tx_aio) : 0;
  if (rv != 0 || l->shut) {
    l->flying = false;
    shut_by_stream_locked(l, rv);
  } else if (l->flight_sent < l->flight.len) {
    send_flight(l);
  } else {
    l->flying = false;
    l->flight.len = 0;
    take_off(l);
    if (!l->flying && l->draining) {
      shut_locked(l, ""); /* it has its reason */
    } else if (!l->flying && l->flight.cap > TX_KEEP) {
      release(&l->flight);
      release(&l->out);
    }
  }
  /* nng may run this callback again, for the next flight, as soon as the lock is free. */
  pthread_mutex_unlock(&l->lock);
}

void cd_link_drain_locked(cd_link *l, const char *reason) {
  if (l->shut || l->draining) {
    return;
  }
  snprintf(l->reason, sizeof l->reason, "%s", reason != NULL && reason[0] != '\0' ? reason : "This node closed it.");
  take_off(l);
  l->draining = true;
  if (!l->flying) {
    shut_locked(l, ""); /* it has its reason */
    return;
  }
  l->drain_until = cd_monotonic_ms() + l->config->linger_ms;
  cd_inbox_post(l->inbox, l, CD_LINK_DRAIN);
}

static size_t queued(const cd_link *l) {
  return l->out.len + l->flight.len - (l->flying ? l->flight_sent : 0);
}

void cd_link_flush_locked(cd_link *l) {
  take_off(l);
}

bool cd_link_queue_locked(cd_link *l, const uint8_t *message, size_t len) {
  if (l->shut || l->draining) {
    return false;
  }
  if (len > CD_FRAME_BODY_MAX) {
    shut_locked(l, "A message was too long to be sent, which is our bug; please report it.");
    return false;
  }
  if (queued(l) + len + CD_FRAME_OVERHEAD > l->config->max_queued || !reserve_more(&l->out, len + CD_FRAME_OVERHEAD)) {
    shut_locked(l, "The peer took too long to read what was sent to it.");
    return false;
  }
  l->out.len += cd_cipher_seal(&l->tx_cipher, l->out.p + l->out.len, message, (uint16_t)len);
  return true;
}

void cd_link_ping(cd_link *l) {
  static const uint8_t ping[2] = {0, CD_MSG_PING};
  pthread_mutex_lock(&l->lock);
  if (!l->flying) {
    cd_link_queue_locked(l, ping, sizeof ping);
    take_off(l);
  }
  pthread_mutex_unlock(&l->lock);
}

/* A peer that pings without reading the answers gets only those that fit. */
static void send_pong(cd_link *l) {
  static const uint8_t pong[2] = {0, CD_MSG_PONG};
  pthread_mutex_lock(&l->lock);
  if (queued(l) < TX_KEEP) {
    cd_link_queue_locked(l, pong, sizeof pong);
    take_off(l);
  }
  pthread_mutex_unlock(&l->lock);
}

static bool send_act(cd_link *l, const uint8_t *act, size_t len) {
  pthread_mutex_lock(&l->lock);
  bool ok = !l->shut && reserve_more(&l->out, len);
  if (ok) {
    memcpy(l->out.p + l->out.len, act, len);
    l->out.len += len;
    take_off(l);
  }
  pthread_mutex_unlock(&l->lock);
  return ok;
}

/* --- Receiving: the handshake ---------------------------------------------------------------------------- */

/* What the receiving flow does next. */
typedef enum step {
  STEP_AGAIN, /* look at what has been received so far once more */
  STEP_READ,  /* receive more */
  STEP_REST   /* nothing, until the transport's thread continues it, if ever */
} step;

static size_t act_size(const cd_link *l) {
  return l->stage == CD_STAGE_ACT3 ? CD_NOISE_ACT3 : CD_NOISE_ACT1;
}

static step shut_by_handshake(cd_link *l, cd_noise_err e) {
  const char *hint = "check the node id, and that both run the same release";
  if (e == CD_NOISE_LOCAL_KEY_FAILED) {
    hint = "this node's signer did not answer; look at its log";
  }
  char text[sizeof l->reason];
  snprintf(text, sizeof text, "The handshake failed (%s): %s.", cd_noise_err_name(e), hint);
  cd_link_shut(l, text);
  return STEP_REST;
}

static step shut_no_memory(cd_link *l) {
  cd_link_shut(l, "There is no memory left for this connection.");
  return STEP_REST;
}

static step answer_act1(cd_link *l) {
  uint8_t act[CD_NOISE_ACT2];
  cd_noise_err e = cd_noise_read_act1(&l->noise, l->rx.p, CD_NOISE_ACT1);
  if (e == CD_NOISE_OK) {
    e = cd_noise_write_act2(&l->noise, act);
  }
  if (e != CD_NOISE_OK) {
    return shut_by_handshake(l, e);
  }
  l->stage = CD_STAGE_ACT3;
  return send_act(l, act, sizeof act) ? STEP_AGAIN : shut_no_memory(l);
}

static step answer_act2(cd_link *l) {
  uint8_t act[CD_NOISE_ACT3];
  cd_noise_err e = cd_noise_read_act2(&l->noise, l->rx.p, CD_NOISE_ACT2);
  if (e == CD_NOISE_OK) {
    e = cd_noise_write_act3(&l->noise, act, &l->tx_cipher, &l->rx_cipher);
  }
  if (e != CD_NOISE_OK) {
    return shut_by_handshake(l, e);
  }
  if (!send_act(l, act, sizeof act)) {
    return shut_no_memory(l);
  }
  l->stage = CD_STAGE_FRAMES;
  cd_inbox_post(l->inbox, l, CD_LINK_READY);
  return STEP_REST;
}

static step take_act3(cd_link *l) {
  cd_noise_err e = cd_noise_read_act3(&l->noise, l->rx.p, CD_NOISE_ACT3, &l->tx_cipher, &l->rx_cipher, &l->node);
  if (e != CD_NOISE_OK) {
    return shut_by_handshake(l, e);
  }
  l->stage = CD_STAGE_FRAMES;
  cd_inbox_post(l->inbox, l, CD_LINK_READY);
  return STEP_REST;
}

static step take_act(cd_link *l) {
  if (l->rx.len < act_size(l)) {
    return STEP_READ;
  }
  l->rx.len = 0; /* exactly the act was asked for, nothing follows it */
  const cd_link_stage stage = l->stage;
  switch (stage) {
  case CD_STAGE_ACT1: return answer_act1(l);
  case CD_STAGE_ACT2: return answer_act2(l);
  case CD_STAGE_ACT3: return take_act3(l);
  case CD_STAGE_FRAMES: break;
  }
  return STEP_REST;
}

/* --- Receiving: frames -------------------------------------------------------------------------------------- */

/* Hands a message over. STEP_REST if the listener's queue is full and it has not resumed meanwhile. */
static step deliver(cd_link *l, uint8_t *message, size_t len) {
  pthread_mutex_lock(&l->lock);
  bool unwanted = l->shut || l->draining;
  l->resumed = false;
  pthread_mutex_unlock(&l->lock);
  if (unwanted) {
    free(message);
    return STEP_AGAIN;
  }
  if (l->listener->message(l->listener->ctx, l->number, message, len)) {
    return STEP_AGAIN;
  }
  pthread_mutex_lock(&l->lock);
  l->paused = !l->resumed;
  step next = l->paused ? STEP_REST : STEP_AGAIN;
  pthread_mutex_unlock(&l->lock);
  return next;
}

static step take_message(cd_link *l, uint8_t *message, size_t len) {
  unsigned type = len < 2 ? 0 : (unsigned)message[0] << 8 | message[1];
  if (len >= 2 && type != CD_MSG_PING && type != CD_MSG_PONG) {
    return deliver(l, message, len);
  }
  free(message);
  if (len < 2) {
    cd_link_shut(l, "The peer sent a message without a type.");
    return STEP_REST;
  }
  if (type == CD_MSG_PING) {
    send_pong(l);
  }
  return STEP_AGAIN;
}

static step shut_by_cipher(cd_link *l) {
  cd_link_shut(l, "Data from the peer arrived damaged or forged.");
  return STEP_REST;
}

static step take_frame(cd_link *l) {
  const uint8_t *at = l->rx.p + l->rx_used;
  size_t available = l->rx.len - l->rx_used;
  if (!l->have_header) {
    if (available < CD_FRAME_HEADER) {
      return STEP_READ;
    }
    if (!cd_cipher_open_header(&l->rx_cipher, &l->body_len, at)) {
      return shut_by_cipher(l);
    }
    l->have_header = true;
    l->rx_used += CD_FRAME_HEADER;
    return STEP_AGAIN;
  }
  if (available < (size_t)l->body_len + CD_FRAME_TAG) {
    return STEP_READ;
  }
  uint8_t *message = malloc(l->body_len > 0 ? l->body_len : 1);
  if (message == NULL) {
    return shut_no_memory(l);
  }
  if (!cd_cipher_open_body(&l->rx_cipher, message, at, l->body_len)) {
    free(message);
    return shut_by_cipher(l);
  }
  l->have_header = false;
  l->rx_used += (size_t)l->body_len + CD_FRAME_TAG;
  return take_message(l, message, l->body_len);
}

/* Moves what is left to the front, and fits the buffer: at least for the frame that is under way, larger while reads
 * fill it, small again when they do not. */
static bool make_room(cd_link *l) {
  bool was_full = l->rx.len == l->rx.cap;
  size_t last_read = l->rx.len;
  l->rx.len -= l->rx_used;
  memmove(l->rx.p, l->rx.p + l->rx_used, l->rx.len);
  l->rx_used = 0;
  size_t need = l->have_header ? (size_t)l->body_len + CD_FRAME_TAG : CD_FRAME_HEADER;
  if (was_full && l->rx.cap < RX_LARGE) {
    need = need > 2 * l->rx.cap ? need : 2 * l->rx.cap;
  }
  if (need < RX_SMALL && l->rx.len == 0 && last_read < RX_SMALL && l->rx.cap > RX_SMALL) {
    release(&l->rx);
    need = RX_SMALL;
  }
  return reserve(&l->rx, need);
}

/* --- Receiving: the flow --------------------------------------------------------------------------------- */

static void receive(cd_link *l) {
  size_t want = act_size(l) - l->rx.len;
  if (l->stage == CD_STAGE_FRAMES) {
    if (!make_room(l)) {
      shut_no_memory(l);
      return;
    }
    want = l->rx.cap - l->rx.len;
  }
  nng_iov iov = {.iov_buf = l->rx.p + l->rx.len, .iov_len = want};
  pthread_mutex_lock(&l->lock);
  if (!l->shut) {
    nng_aio_set_iov(l->rx_aio, 1, &iov);
    nng_stream_recv(l->stream, l->rx_aio);
  }
  pthread_mutex_unlock(&l->lock);
}

static void flow(cd_link *l) {
  step next;
  do {
    next = l->stage == CD_STAGE_FRAMES ? take_frame(l) : take_act(l);
  } while (next == STEP_AGAIN);
  if (next == STEP_READ) {
    receive(l);
  }
}

static void on_dialed(cd_link *l, int rv) {
  pthread_mutex_lock(&l->lock);
  if (rv == 0) {
    l->stream = nng_aio_get_output(l->rx_aio, 0);
  }
  if (l->shut && l->stream != NULL) {
    nng_stream_close(l->stream);
  } else if (rv != 0) {
    char text[sizeof l->reason];
    l->transient = rv == NNG_EAGAIN;
    snprintf(text, sizeof text, "There is no connection to this address (%s); check it, and that the peer runs.",
             nng_strerror(rv));
    shut_locked(l, text);
  } else {
    cd_inbox_post(l->inbox, l, CD_LINK_DIALED);
  }
  pthread_mutex_unlock(&l->lock);
}

/* The one callback of rx_aio: it dials first, then receives. */
static void on_received(void *arg) {
  cd_link *l = arg;
  int rv = nng_aio_result(l->rx_aio);
  if (l->stream == NULL) {
    on_dialed(l, rv);
    return;
  }
  if (rv != 0) {
    pthread_mutex_lock(&l->lock);
    shut_by_stream_locked(l, rv);
    pthread_mutex_unlock(&l->lock);
    return;
  }
  l->rx.len += nng_aio_count(l->rx_aio);
  atomic_store(&l->last_rx, cd_monotonic_ms());
  flow(l);
}

void cd_link_continue(cd_link *l) {
  nng_aio_wait(l->rx_aio); /* the callback that went to rest may not have returned yet */
  atomic_store(&l->last_rx, cd_monotonic_ms());
  flow(l);
}

void cd_link_resume_locked(cd_link *l) {
  l->resumed = true;
  if (l->paused) {
    l->paused = false;
    cd_inbox_post(l->inbox, l, CD_LINK_RESUME);
  }
}

/* --- Life ---------------------------------------------------------------------------------------------------- */

static void remote_address(nng_stream *s, char *out, size_t size) {
  nng_sockaddr sa;
  char host[INET6_ADDRSTRLEN] = "?";
  uint16_t port = 0;
  if (nng_stream_get_addr(s, NNG_OPT_REMADDR, &sa) == 0) {
    if (sa.s_family == NNG_AF_INET6) {
      inet_ntop(AF_INET6, sa.s_in6.sa_addr, host, sizeof host);
      port = sa.s_in6.sa_port;
    } else if (sa.s_family == NNG_AF_INET) {
      inet_ntop(AF_INET, &sa.s_in.sa_addr, host, sizeof host);
      port = sa.s_in.sa_port;
    }
  }
  snprintf(out, size, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, ntohs(port));
}

cd_link *cd_link_new(const cd_transport_config *config, const cd_net_listener *listener, cd_inbox *inbox,
                     const ch_pubkey *node, const char *address, nng_stream *stream) {
  cd_link *l = calloc(1, sizeof *l);
  if (l == NULL) {
    nng_stream_free(stream);
    return NULL;
  }
  l->config = config;
  l->listener = listener;
  l->inbox = inbox;
  l->inbound = node == NULL;
  l->stream = stream;
  l->started = cd_monotonic_ms();
  pthread_mutex_init(&l->lock, NULL);
  if (node != NULL) {
    l->node = *node;
    l->state = CD_LINK_DIALING;
    snprintf(l->address, sizeof l->address, "%s", address);
  } else {
    l->state = CD_LINK_HANDSHAKE;
    remote_address(stream, l->address, sizeof l->address);
  }
  if (!reserve(&l->rx, RX_SMALL) || nng_aio_alloc(&l->rx_aio, on_received, l) != 0 ||
      nng_aio_alloc(&l->tx_aio, on_sent, l) != 0) {
    cd_link_free(l);
    return NULL;
  }
  return l;
}

void cd_link_dial(cd_link *l) {
  char url[sizeof "tcp://" + CD_ADDRESS_MAX], text[sizeof l->reason];
  snprintf(url, sizeof url, "tcp://%s", l->address);
  int rv = nng_stream_dialer_alloc(&l->dialer, url);
  if (rv != 0) {
    snprintf(text, sizeof text, "The address cannot be used (%s); it must be host:port.", nng_strerror(rv));
    cd_link_shut(l, text);
    return;
  }
  nng_stream_dialer_dial(l->dialer, l->rx_aio);
}

void cd_link_handshake(cd_link *l) {
  ch_secret ephemeral;
  size_t prologue_len = strlen(l->config->prologue);
  nng_stream_set_bool(l->stream, NNG_OPT_TCP_NODELAY, true);
  randombytes_buf(&ephemeral, sizeof ephemeral);
  cd_noise_err e = CD_NOISE_OK;
  uint8_t act[CD_NOISE_ACT1];
  if (l->inbound) {
    cd_noise_responder(&l->noise, &l->config->self, l->config->prologue, prologue_len, &ephemeral);
    l->stage = CD_STAGE_ACT1;
  } else {
    cd_noise_initiator(&l->noise, &l->config->self, &l->node, l->config->prologue, prologue_len, &ephemeral);
    l->stage = CD_STAGE_ACT2;
    e = cd_noise_write_act1(&l->noise, act);
  }
  ch_wipe(&ephemeral, sizeof ephemeral);
  if (e != CD_NOISE_OK) {
    shut_by_handshake(l, e);
  } else if (!l->inbound && !send_act(l, act, sizeof act)) {
    shut_no_memory(l);
  } else {
    cd_link_continue(l);
  }
}

void cd_link_stop(cd_link *l) {
  if (l->dialer != NULL) {
    nng_stream_dialer_close(l->dialer);
  }
  nng_aio_stop(l->rx_aio);
  nng_aio_stop(l->tx_aio);
}

void cd_link_free(cd_link *l) {
  nng_aio_free(l->rx_aio);
  nng_aio_free(l->tx_aio);
  nng_stream_free(l->stream);
  nng_stream_dialer_free(l->dialer);
  cd_noise_wipe(&l->noise);
  cd_cipher_wipe(&l->rx_cipher);
  cd_cipher_wipe(&l->tx_cipher);
  release(&l->rx);
  release(&l->out);
  release(&l->flight);
  pthread_mutex_destroy(&l->lock);
  free(l);
}
