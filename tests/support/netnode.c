#include "netnode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifdef TSAN
/* nng counts references with atomics that the sanitizer does not see, and destroys a dialer's mutex at zero. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
  return "race:pthread_mutex_destroy\n";
}
#endif

static void note(node *n, char what, cd_conn conn) {
  size_t used = strlen(n->history);
  snprintf(n->history + used, sizeof n->history - used, "%c%u ", what, (unsigned)conn);
}

static void on_up(void *ctx, cd_conn conn, const ch_pubkey *id, bool inbound, const char *address) {
  node *n = ctx;
  pthread_mutex_lock(&n->lock);
  n->late |= n->conn != 0 || address == NULL || strchr(address, ':') == NULL;
  n->conn = conn;
  n->peer = *id;
  n->inbound = inbound;
  n->ups++;
  note(n, 'U', conn);
  pthread_cond_broadcast(&n->changed);
  pthread_mutex_unlock(&n->lock);
}

static void on_down(void *ctx, cd_conn conn, const ch_pubkey *id, const char *reason) {
  node *n = ctx;
  pthread_mutex_lock(&n->lock);
  n->late |= conn != n->conn || !ch_pubkey_eq(id, &n->peer);
  n->conn = 0;
  n->downs++;
  n->expected = 0;
  snprintf(n->reason, sizeof n->reason, "%s", reason);
  note(n, 'D', conn);
  pthread_cond_broadcast(&n->changed);
  pthread_mutex_unlock(&n->lock);
}

static void on_failed(void *ctx, const ch_pubkey *id, const char *address, const char *reason) {
  node *n = ctx;
  (void)id, (void)address;
  pthread_mutex_lock(&n->lock);
  n->fails++;
  snprintf(n->reason, sizeof n->reason, "%s", reason);
  pthread_cond_broadcast(&n->changed);
  pthread_mutex_unlock(&n->lock);
}

static bool on_message(void *ctx, cd_conn conn, uint8_t *bytes, size_t len) {
  node *n = ctx;
  pthread_mutex_lock(&n->lock);
  n->late |= conn != n->conn;
  n->messages++;
  n->bytes += len;
  if (len >= 6) {
    uint32_t number;
    memcpy(&number, bytes + 2, sizeof number);
    n->out_of_order |= number != n->expected++;
  }
  bool echo = n->echo, busy = n->busy, eager = n->eager;
  pthread_cond_broadcast(&n->changed);
  pthread_mutex_unlock(&n->lock);
  if (echo) {
    n->net.ops->send(n->net.ctx, conn, bytes, len);
  } else {
    free(bytes);
  }
  if (eager) {
    n->net.ops->resume(n->net.ctx, conn);
  }
  return !busy;
}

static ch_err node_ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  node *n = ctx;
  atomic_fetch_add(&n->ecdh_calls, 1);
  return ch_ecdh(out, &n->key, peer);
}

void assert_reason(node *n, const char *part) {
  pthread_mutex_lock(&n->lock);
  bool found = strstr(n->reason, part) != NULL;
  pthread_mutex_unlock(&n->lock);
  if (!found) {
    fail_msg("the reason \"%s\" does not contain \"%s\"", n->reason, part);
  }
}

cd_transport_config quick(void) {
  cd_transport_config c;
  cd_transport_defaults(&c);
  c.retry_min_ms = 10;
  c.retry_max_ms = 40;
  return c;
}

void node_start(node *n, uint8_t key, const cd_transport_config *config) {
  memset(n, 0, sizeof *n);
  memset(n->key.b, key, sizeof n->key.b);
  assert_int_equal(ch_pubkey_of(&n->id, &n->key), CH_OK);
  pthread_mutex_init(&n->lock, NULL);
  pthread_cond_init(&n->changed, NULL);
  cd_transport_config c = config != NULL ? *config : quick();
  c.self = (cd_noise_self){.id = n->id, .ecdh = node_ecdh, .ctx = n};
  const cd_net_listener listener = {n, on_up, on_message, on_down, on_failed};
  assert_int_equal(cd_transport_new(&n->net, &c, &listener), CH_OK);
}

void node_end(node *n) {
  cd_transport_free(&n->net);
  assert_int_equal(n->ups, n->downs);
  assert_false(n->late);
  assert_false(n->out_of_order);
  pthread_mutex_destroy(&n->lock);
  pthread_cond_destroy(&n->changed);
}

void node_listen(node *n, const char *address) {
  char why[200];
  if (n->net.ops->listen(n->net.ctx, address, n->bound, why, sizeof why) != CH_OK) {
    fail_msg("%s", why);
  }
}

void node_connect(node *n, const node *to) {
  assert_int_equal(n->net.ops->connect(n->net.ctx, &to->id, to->bound), CH_OK);
}

bool node_send(node *n, uint32_t number, size_t len) {
  uint8_t *bytes = calloc(1, len);
  assert_non_null(bytes);
  bytes[0] = 0x80;
  if (len >= 6) {
    memcpy(bytes + 2, &number, sizeof number);
  }
  pthread_mutex_lock(&n->lock);
  cd_conn conn = n->conn;
  pthread_mutex_unlock(&n->lock);
  return n->net.ops->send(n->net.ctx, conn, bytes, len);
}

void pair_start(node *a, node *b, const cd_transport_config *config) {
  node_start(a, 1, config);
  node_start(b, 2, config);
  node_listen(a, "127.0.0.1:0");
  node_connect(b, a);
  WAIT(a, a->conn != 0);
  WAIT(b, b->conn != 0);
}

/* --- A peer by hand ------------------------------------------------------------------------------------------- */

int raw_connect(const char *address) {
  struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  sa.sin_port = htons((uint16_t)strtol(strrchr(address, ':') + 1, NULL, 10));
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
  struct timeval limit = {.tv_sec = WAIT_SECONDS};
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  return fd;
}

void raw_write(int fd, const void *bytes, size_t len) {
  (void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

bool raw_read(int fd, void *bytes, size_t len) {
  return recv(fd, bytes, len, MSG_WAITALL) == (ssize_t)len;
}

void raw_await_close(int fd) {
  uint8_t sink[4096];
  ssize_t got;
  do {
    got = recv(fd, sink, sizeof sink, 0);
  } while (got > 0);
  assert_true(got == 0 || errno == ECONNRESET);
  close(fd);
}

static ch_err raw_ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  return ch_ecdh(out, ctx, peer);
}

void raw_begin(raw *r, const node *to, uint8_t key) {
  uint8_t act[CD_NOISE_ACT1];
  cd_noise_self self = {.ecdh = raw_ecdh, .ctx = &r->key};
  ch_secret ephemeral;
  randombytes_buf(&ephemeral, sizeof ephemeral);
  memset(r->key.b, key, sizeof r->key.b);
  assert_int_equal(ch_pubkey_of(&self.id, &r->key), CH_OK);
  cd_noise_initiator(&r->noise, &self, &to->id, CD_NOISE_PROLOGUE, strlen(CD_NOISE_PROLOGUE), &ephemeral);
  assert_int_equal(cd_noise_write_act1(&r->noise, act), CD_NOISE_OK);
  r->fd = raw_connect(to->bound);
  raw_write(r->fd, act, sizeof act);
}

void raw_read_act2(raw *r) {
  uint8_t act[CD_NOISE_ACT2];
  assert_true(raw_read(r->fd, act, sizeof act));
  assert_int_equal(cd_noise_read_act2(&r->noise, act, sizeof act), CD_NOISE_OK);
}

void raw_handshake(raw *r, node *to, uint8_t key) {
  uint8_t act[CD_NOISE_ACT3];
  raw_begin(r, to, key);
  raw_read_act2(r);
  assert_int_equal(cd_noise_write_act3(&r->noise, act, &r->tx, &r->rx), CD_NOISE_OK);
  raw_write(r->fd, act, sizeof act);
  WAIT(to, to->conn != 0);
}

void raw_send(raw *r, const uint8_t *message, uint16_t len) {
  uint8_t frame[CD_FRAME_OVERHEAD + 64];
  assert_true(len <= 64);
  raw_write(r->fd, frame, cd_cipher_seal(&r->tx, frame, message, len));
}

unsigned raw_receive(raw *r) {
  uint8_t frame[CD_FRAME_HEADER + 256 + CD_FRAME_TAG], body[256];
  uint16_t len;
  if (!raw_read(r->fd, frame, CD_FRAME_HEADER)) {
    return 0;
  }
  assert_true(cd_cipher_open_header(&r->rx, &len, frame));
  assert_in_range(len, 2, sizeof body);
  assert_true(raw_read(r->fd, frame, (size_t)len + CD_FRAME_TAG));
  assert_true(cd_cipher_open_body(&r->rx, body, frame, len));
  return (unsigned)body[0] << 8 | body[1];
}
