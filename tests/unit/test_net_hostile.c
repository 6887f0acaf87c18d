/* The transport port and peers by hand: garbage, silence, damage, and the messages that keep a connection alive. */
#include "netnode.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/log.h"

/* --- Hostile peers --------------------------------------------------------------------------------------------------
 */

static void test_garbage_instead_of_act_one(void **state) {
  (void)state;
  node a, b;
  node_start(&a, 1, NULL);
  node_start(&b, 2, NULL);
  node_listen(&a, "127.0.0.1:0");
  uint8_t noise[4096];
  for (unsigned i = 0; i < 60; i++) {
    randombytes_buf(noise, sizeof noise);
    noise[0] = i % 3 == 0 ? 0 : noise[0]; /* the right version, too */
    noise[1] = i % 6 == 0 ? 2 : noise[1];
    int fd = raw_connect(a.bound);
    raw_write(fd, noise, i % 4 == 0 ? sizeof noise : CD_NOISE_ACT1);
    raw_await_close(fd);
  }
  static const char http[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: a browser that is lost\r\n\r\n";
  int fd = raw_connect(a.bound);
  raw_write(fd, http, sizeof http - 1);
  raw_await_close(fd);
  for (size_t len = 0; len < CD_NOISE_ACT1; len += 7) { /* torn, and gone */
    fd = raw_connect(a.bound);
    raw_write(fd, noise, len);
    close(fd);
  }
  node_connect(&b, &a);
  WAIT(&b, b.conn != 0);
  WAIT(&a, a.ups == 1);
  node_end(&b);
  node_end(&a);
}

static void test_garbage_instead_of_act_three(void **state) {
  (void)state;
  node a;
  raw r;
  uint8_t act[CD_NOISE_ACT3];
  node_start(&a, 1, NULL);
  node_listen(&a, "127.0.0.1:0");
  for (size_t at = 0; at < sizeof act; at += 5) {
    raw_begin(&r, &a, 9);
    raw_read_act2(&r);
    assert_int_equal(cd_noise_write_act3(&r.noise, act, &r.tx, &r.rx), CD_NOISE_OK);
    act[at] ^= 0x10;
    raw_write(r.fd, act, sizeof act);
    raw_await_close(r.fd);
  }
  raw_begin(&r, &a, 9);
  raw_read_act2(&r);
  raw_write(r.fd, act, 20);
  close(r.fd);
  raw_handshake(&r, &a, 9); /* and a good one still gets through */
  close(r.fd);
  WAIT(&a, a.downs == 1);
  node_end(&a);
  assert_int_equal(a.ups, 1);
}

/* A server that is no node: it answers act one with something else, or not at all. */
static void test_garbage_instead_of_act_two(void **state) {
  (void)state;
  node a, b;
  cd_transport_config c = quick();
  c.handshake_ms = 1000;
  node_start(&a, 1, NULL);
  node_start(&b, 2, &c);
  struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof sa;
  int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(server, (struct sockaddr *)&sa, sizeof sa), 0);
  assert_int_equal(getsockname(server, (struct sockaddr *)&sa, &size), 0);
  assert_int_equal(listen(server, 8), 0);
  snprintf(a.bound, sizeof a.bound, "127.0.0.1:%u", ntohs(sa.sin_port));
  node_connect(&b, &a);
  for (unsigned i = 0; i < 4; i++) {
    static const char *const reasons[] = {"ACT2_BAD_VERSION", "ACT2_BAD_", "closed", "did not complete the handshake"};
    uint8_t act[CD_NOISE_ACT2];
    int fd = accept(server, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(raw_read(fd, act, sizeof act));
    randombytes_buf(act + 1, sizeof act - 1);
    act[0] = i == 0;
    if (i < 3) {
      raw_write(fd, act, i < 2 ? sizeof act : 10);
    }
    if (i == 2) {
      close(fd);
    } else {
      raw_await_close(fd);
    }
    WAIT(&b, b.fails == i + 1 && strstr(b.reason, reasons[i]) != NULL);
  }
  close(server);
  node_end(&b);
  assert_int_equal(b.ups, 0);
  node_end(&a);
}

static void test_half_open_connections_are_bounded(void **state) {
  (void)state;
  node a;
  raw r;
  cd_transport_config c = quick();
  c.max_handshakes = 2;
  node_start(&a, 1, &c);
  node_listen(&a, "127.0.0.1:0");
  int first = raw_connect(a.bound), second = raw_connect(a.bound);
  raw_begin(&r, &a, 9); /* waits in the kernel */
  struct timeval moment = {.tv_usec = 100000};
  uint8_t act[CD_NOISE_ACT2];
  assert_int_equal(setsockopt(r.fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment), 0);
  assert_int_equal(recv(r.fd, act, sizeof act, 0), -1);
  assert_int_equal(a.ecdh_calls, 0);
  close(first);
  moment = (struct timeval){.tv_sec = WAIT_SECONDS};
  assert_int_equal(setsockopt(r.fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment), 0);
  raw_read_act2(&r);
  close(r.fd);
  close(second);
  node_end(&a);
}

static void test_half_open_connections_time_out(void **state) {
  (void)state;
  node a, b;
  cd_transport_config c = quick();
  c.max_handshakes = 4;
  c.handshake_ms = 800;
  node_start(&a, 1, &c);
  node_start(&b, 2, NULL);
  node_listen(&a, "127.0.0.1:0");
  int silent[16];
  for (unsigned i = 0; i < 16; i++) {
    silent[i] = raw_connect(a.bound);
  }
  node_connect(&b, &a); /* behind all of them, and still served */
  WAIT(&b, b.conn != 0);
  for (unsigned i = 0; i < 16; i++) {
    raw_await_close(silent[i]);
  }
  node_end(&b);
  node_end(&a);
}

static void test_damaged_and_nonsensical_frames(void **state) {
  (void)state;
  node a;
  raw r;
  node_start(&a, 1, NULL);
  node_listen(&a, "127.0.0.1:0");
  uint8_t frame[CD_FRAME_OVERHEAD + 6];
  for (unsigned i = 0; i < 4; i++) {
    raw_handshake(&r, &a, 9);
    raw_send(&r, (const uint8_t *)"\x80\0\0\0\0", 6); /* a good one before */
    cd_cipher_seal(&r.tx, frame, (const uint8_t *)"\x80\0\1\0\0", 6);
    if (i == 0) {
      frame[1] ^= 1; /* the length */
    } else if (i == 1) {
      frame[CD_FRAME_HEADER + 3] ^= 1; /* the body */
    }
    if (i < 2) {
      raw_write(r.fd, frame, sizeof frame);
    } else if (i == 2) {
      raw_write(r.fd, frame, sizeof frame); /* replayed */
      raw_write(r.fd, frame, sizeof frame);
    } else {
      cd_cipher_seal(&r.tx, frame, (const uint8_t *)"", 0); /* a gap */
      raw_send(&r, (const uint8_t *)"\x80\0", 2);
    }
    raw_await_close(r.fd);
    WAIT(&a, a.downs == i + 1);
    assert_reason(&a, "damaged or forged");
  }
  for (uint16_t len = 0; len < 2; len++) {
    raw_handshake(&r, &a, 9);
    raw_send(&r, (const uint8_t *)"\x80", len);
    raw_await_close(r.fd);
    WAIT(&a, a.downs == 5u + len);
    assert_reason(&a, "without a type");
  }
  assert_int_equal(GET(&a, messages), 5); /* the good ones, and the first of the replayed */
  node_end(&a);
}

/* --- Keeping alive ------------------------------------------------------------------------------------------------ */

static void test_pings_are_answered(void **state) {
  (void)state;
  node a;
  raw r;
  node_start(&a, 1, NULL);
  node_listen(&a, "127.0.0.1:0");
  raw_handshake(&r, &a, 9);
  raw_send(&r, (const uint8_t *)"\0\x12", 2);
  assert_int_equal(raw_receive(&r), CD_MSG_PONG);
  raw_send(&r, (const uint8_t *)"\0\x12 and a body", 13);
  assert_int_equal(raw_receive(&r), CD_MSG_PONG);
  raw_send(&r, (const uint8_t *)"\0\x13", 2);
  raw_send(&r, (const uint8_t *)"\0\x14", 2); /* the first of the listener's */
  WAIT(&a, a.messages == 1);
  close(r.fd);
  node_end(&a);
}

static void test_a_silent_peer_is_pinged_then_dropped(void **state) {
  (void)state;
  node a;
  raw r;
  cd_transport_config c = quick();
  c.ping_ms = 50;
  c.idle_ms = 800;
  node_start(&a, 1, &c);
  node_listen(&a, "127.0.0.1:0");
  raw_handshake(&r, &a, 9);
  for (unsigned i = 0; i < 20; i++) { /* longer than idle_ms, kept alive by the answers */
    assert_int_equal(raw_receive(&r), CD_MSG_PING);
    raw_send(&r, (const uint8_t *)"\0\x13", 2);
  }
  assert_int_equal(GET(&a, downs), 0);
  WAIT(&a, a.downs == 1); /* no answer any more */
  assert_reason(&a, "did not answer");
  raw_await_close(r.fd);
  node_end(&a);
}

/* A node that is under pressure does not read, but its pings say that it lives. */
static void test_a_paused_node_keeps_pinging(void **state) {
  (void)state;
  node a;
  raw r;
  cd_transport_config c = quick();
  c.ping_ms = 50;
  c.idle_ms = 200;
  node_start(&a, 1, &c);
  a.busy = true;
  node_listen(&a, "127.0.0.1:0");
  raw_handshake(&r, &a, 9);
  raw_send(&r, (const uint8_t *)"\x80\0", 2);
  for (unsigned i = 0; i < 10; i++) {
    assert_int_equal(raw_receive(&r), CD_MSG_PING);
  }
  assert_int_equal(GET(&a, downs), 0);
  close(r.fd);
  node_end(&a);
}

int main(void) {
  if (sodium_init() < 0) {
    return 1;
  }
  cd_log_set_level(CD_LOG_ERROR);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_garbage_instead_of_act_one),
      cmocka_unit_test(test_garbage_instead_of_act_three),
      cmocka_unit_test(test_garbage_instead_of_act_two),
      cmocka_unit_test(test_half_open_connections_are_bounded),
      cmocka_unit_test(test_half_open_connections_time_out),
      cmocka_unit_test(test_damaged_and_nonsensical_frames),
      cmocka_unit_test(test_pings_are_answered),
      cmocka_unit_test(test_a_silent_peer_is_pinged_then_dropped),
      cmocka_unit_test(test_a_paused_node_keeps_pinging),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
