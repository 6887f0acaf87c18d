/* The transport port between real nodes: talking, connecting, pressure, stopping. Nothing sleeps: every wait is for an
 * event, with a generous limit. */
#include "netnode.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/log.h"

/* --- Talking ---------------------------------------------------------------------------------------------------- */

#define COUNT 10000

static void *send_numbered(void *arg) {
  for (uint32_t i = 0; i < COUNT; i++) {
    if (!node_send(arg, i, 100)) {
      return NULL;
    }
  }
  return arg;
}

static void test_ten_thousand_messages_both_ways(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  assert_true(ch_pubkey_eq(&a.peer, &b.id) && ch_pubkey_eq(&b.peer, &a.id));
  assert_true(a.inbound && !b.inbound);
  pthread_t thread;
  void *sent;
  assert_int_equal(pthread_create(&thread, NULL, send_numbered, &a), 0);
  assert_ptr_equal(send_numbered(&b), &b);
  pthread_join(thread, &sent);
  assert_ptr_equal(sent, &a);
  WAIT(&a, a.messages == COUNT);
  WAIT(&b, b.messages == COUNT);
  assert_int_equal(GET(&a, bytes), 100 * COUNT);
  node_end(&a);
  node_end(&b);
}

static void test_echo(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  SET(&a, echo, true);
  for (uint32_t i = 0; i < 2000; i++) {
    assert_true(node_send(&b, i, 6));
    WAIT(&b, b.messages == i + 1);
  }
  node_end(&a);
  node_end(&b);
}

static void test_every_size(void **state) {
  (void)state;
  static const size_t sizes[] = {2, 3, 5, 4000, 4096 - 34, 4096, 30000, 65534, 65535, 65535, 2, 65535, 6};
  node a, b;
  pair_start(&a, &b, NULL);
  size_t total = 0;
  uint32_t number = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    assert_true(node_send(&b, number, sizes[i]));
    number += sizes[i] >= 6;
    total += sizes[i];
  }
  WAIT(&a, a.bytes == total);
  assert_int_equal(GET(&a, messages), sizeof sizes / sizeof *sizes);
  node_end(&a);
  node_end(&b);
}

static void test_close_sends_what_is_queued(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  b.net.ops->forget(b.net.ctx, &a.id);
  for (uint32_t i = 0; i < 1000; i++) {
    assert_true(node_send(&b, i, 1000));
  }
  b.net.ops->close(b.net.ctx, GET(&b, conn), "The test is over.");
  assert_false(node_send(&b, 1000, 1000));
  WAIT(&a, a.downs == 1);
  WAIT(&b, b.downs == 1);
  assert_int_equal(GET(&a, messages), 1000);
  assert_reason(&a, "The peer closed the connection.");
  assert_reason(&b, "The test is over.");
  node_end(&a);
  node_end(&b);
}

static bool queue(node *n, uint32_t number) {
  uint8_t *bytes = calloc(1, 100);
  assert_non_null(bytes);
  bytes[0] = 0x80;
  memcpy(bytes + 2, &number, sizeof number);
  return n->net.ops->queue(n->net.ctx, GET(n, conn), bytes, 100);
}

/* In order, whatever makes them leave. */
static void test_queued_leave_together(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  b.net.ops->forget(b.net.ctx, &a.id);
  assert_true(queue(&b, 0) && queue(&b, 1));
  b.net.ops->flush(b.net.ctx, GET(&b, conn));
  WAIT(&a, a.messages == 2);
  assert_true(queue(&b, 2) && node_send(&b, 3, 100));
  WAIT(&a, a.messages == 4);
  assert_true(queue(&b, 4) && queue(&b, 5));
  b.net.ops->close(b.net.ctx, GET(&b, conn), "The test is over.");
  WAIT(&a, a.downs == 1);
  WAIT(&b, b.downs == 1);
  assert_int_equal(GET(&a, messages), 6);
  b.net.ops->flush(b.net.ctx, 1); /* of a connection that is gone */
  node_end(&a);
  node_end(&b);
}

static void test_too_long_a_message(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  assert_false(node_send(&b, 0, 65536));
  WAIT(&b, b.downs == 1);
  node_end(&b);
  node_end(&a);
}

/* --- Connecting ----------------------------------------------------------------------------------------------------
 */

static void test_wrong_arguments(void **state) {
  (void)state;
  node a, b;
  char bound[64], why[200];
  cd_net net;
  cd_transport_config nonsense = quick();
  const cd_net_listener listener = {.ctx = NULL};
  assert_int_equal(cd_transport_new(&net, &nonsense, &listener), CH_ERR_ARGUMENT); /* no signer */
  node_start(&a, 1, NULL);
  node_start(&b, 2, NULL);
  node_listen(&a, "127.0.0.1:0");
  assert_int_equal(b.net.ops->listen(b.net.ctx, a.bound, bound, why, sizeof why), CH_ERR_ARGUMENT);
  assert_non_null(strstr(why, "choose another port"));
  assert_int_equal(a.net.ops->listen(a.net.ctx, "127.0.0.1:0", bound, why, sizeof why), CH_ERR_ARGUMENT);
  static const char *const bad[] = {"",     "127.0.0.1", "127.0.0.1:", ":80",    "h:0",    "h:65536", "h:123456",
                                    "h:-1", "h:8x",      "h\n:80",     "u@h:80", "h/x:80", "h\x80:80"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(b.net.ops->connect(b.net.ctx, &a.id, bad[i]), CH_ERR_ARGUMENT);
  }
  assert_int_equal(b.net.ops->connect(b.net.ctx, &b.id, a.bound), CH_ERR_ARGUMENT);
  ch_pubkey off_curve = {{4}};
  assert_int_equal(b.net.ops->connect(b.net.ctx, &off_curve, a.bound), CH_ERR_KEY);
  assert_false(b.net.ops->send(b.net.ctx, 7, calloc(1, 2), 2));
  b.net.ops->close(b.net.ctx, 7, "There is none.");
  b.net.ops->resume(b.net.ctx, 7);
  b.net.ops->forget(b.net.ctx, &a.id);
  b.net.ops->stop(b.net.ctx);
  b.net.ops->stop(b.net.ctx);
  assert_int_equal(b.net.ops->connect(b.net.ctx, &a.id, a.bound), CH_ERR_NOT_CONNECTED);
  assert_int_equal(b.net.ops->listen(b.net.ctx, "127.0.0.1:0", bound, why, sizeof why), CH_ERR_ARGUMENT);
  node_end(&b);
  node_end(&a);
}

static void test_wrong_node_id(void **state) {
  (void)state;
  node a, b, other;
  node_start(&a, 1, NULL);
  node_start(&b, 2, NULL);
  node_start(&other, 3, NULL);
  node_listen(&a, "127.0.0.1:0");
  assert_int_equal(b.net.ops->connect(b.net.ctx, &other.id, a.bound), CH_OK);
  WAIT(&b, b.fails >= 3); /* it goes on trying */
  assert_reason(&b, "check the node id");
  assert_int_equal(GET(&b, ups), 0);
  assert_int_equal(GET(&a, ups), 0);
  node_connect(&b, &a);
  WAIT(&b, b.conn != 0);
  node_end(&b);
  node_end(&other);
  node_end(&a);
}

static void test_own_key_at_the_other_end(void **state) {
  (void)state;
  node a;
  raw r;
  node_start(&a, 1, NULL);
  node_listen(&a, "127.0.0.1:0");
  uint8_t act[CD_NOISE_ACT3];
  raw_begin(&r, &a, 1);
  raw_read_act2(&r);
  assert_int_equal(cd_noise_write_act3(&r.noise, act, &r.tx, &r.rx), CD_NOISE_OK);
  raw_write(r.fd, act, sizeof act);
  raw_await_close(r.fd);
  node_end(&a);
  assert_int_equal(a.ups, 0);
}

static void test_connects_when_the_peer_appears(void **state) {
  (void)state;
  node a, b;
  node_start(&a, 1, NULL);
  node_start(&b, 2, NULL);
  node_listen(&a, "127.0.0.1:0"); /* takes a free port, and gives it back */
  snprintf(b.bound, sizeof b.bound, "%s", a.bound);
  node_end(&a);
  assert_int_equal(b.net.ops->connect(b.net.ctx, &a.id, b.bound), CH_OK);
  WAIT(&b, b.fails >= 2);
  assert_reason(&b, "refused");
  node_start(&a, 1, NULL);
  node_listen(&a, b.bound);
  WAIT(&b, b.conn != 0);
  node_end(&a);
  WAIT(&b, b.downs == 1 && b.fails >= 4);
  b.net.ops->forget(b.net.ctx, &a.id);
  node_end(&b);
}

static void test_reconnects_after_a_close(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  for (unsigned i = 1; i <= 5; i++) {
    a.net.ops->close(a.net.ctx, GET(&a, conn), "Come back.");
    WAIT(&b, b.downs == i && b.ups == i + 1);
    WAIT(&a, a.downs == i && a.ups == i + 1);
    assert_true(node_send(&b, 0, 6));
    WAIT(&a, a.messages == i);
  }
  assert_string_equal(a.history, "U1 D1 U2 D2 U3 D3 U4 D4 U5 D5 U6 ");
  node_end(&a);
  node_end(&b);
}

static void test_the_newest_connection_wins(void **state) {
  (void)state;
  node a, b, twin;
  pair_start(&a, &b, NULL);
  b.net.ops->forget(b.net.ctx, &a.id); /* else the two would fight for ever */
  node_start(&twin, 2, NULL);
  node_connect(&twin, &a);
  WAIT(&b, b.downs == 1);
  WAIT(&twin, twin.conn != 0);
  WAIT(&a, a.ups == 2);
  assert_string_equal(a.history, "U1 D1 U2 ");
  assert_reason(&a, "newer connection");
  assert_true(node_send(&a, 0, 6));
  WAIT(&twin, twin.messages == 1);
  assert_int_equal(GET(&b, messages), 0);
  node_end(&twin);
  node_end(&b);
  node_end(&a);
}

/* Both dial at once; whatever happens first, they end with one connection that works. */
static void test_both_sides_dial(void **state) {
  (void)state;
  node a, b;
  cd_transport_config c = quick();
  c.retry_min_ms = 50;
  c.retry_max_ms = 400;
  node_start(&a, 1, &c);
  node_start(&b, 2, &c);
  node_listen(&a, "127.0.0.1:0");
  node_listen(&b, "127.0.0.1:0");
  node_connect(&a, &b);
  node_connect(&b, &a);
  SET(&a, echo, true);
  unsigned answers = 0;
  do {
    WAIT(&b, b.conn != 0);
    unsigned downs = GET(&b, downs);
    if (node_send(&b, 0, 5)) {
      WAIT(&b, b.messages > answers || b.downs > downs);
    }
    answers = GET(&b, messages);
  } while (answers < 100);
  b.net.ops->stop(b.net.ctx);
  node_end(&a);
  node_end(&b);
}

#define PEERS 24

/* A node that returns to many peers dials few at a time and reaches all. */
static void test_many_peers_few_dials(void **state) {
  (void)state;
  static node hub, peer[PEERS];
  cd_transport_config c = quick();
  c.max_dials = 2;
  node_start(&hub, 1, &c);
  for (unsigned i = 0; i < PEERS; i++) {
    node_start(&peer[i], (uint8_t)(i + 2), NULL);
    node_listen(&peer[i], "127.0.0.1:0");
    assert_int_equal(hub.net.ops->connect(hub.net.ctx, &peer[i].id, peer[i].bound), CH_OK);
  }
  for (unsigned i = 0; i < PEERS; i++) {
    WAIT(&peer[i], peer[i].conn != 0);
  }
  WAIT(&hub, hub.ups == PEERS);
  hub.net.ops->stop(hub.net.ctx);
  hub.late = false; /* this listener's `conn` is for one connection */
  for (unsigned i = 0; i < PEERS; i++) {
    WAIT(&peer[i], peer[i].conn == 0);
    node_end(&peer[i]);
  }
  node_end(&hub);
}

static void test_no_more_than_max_live(void **state) {
  (void)state;
  node a, b, one_too_many;
  cd_transport_config c = quick();
  c.max_live = 1;
  node_start(&a, 1, &c);
  node_start(&b, 2, NULL);
  node_start(&one_too_many, 3, NULL);
  node_listen(&a, "127.0.0.1:0");
  node_connect(&b, &a);
  WAIT(&a, a.conn != 0);
  WAIT(&b, b.conn != 0); /* what is forgotten before it is up never comes up */
  node_connect(&one_too_many, &a);
  WAIT(&one_too_many, one_too_many.ups + one_too_many.fails >= 1);
  assert_int_equal(GET(&a, ups), 1);
  b.net.ops->forget(b.net.ctx, &a.id);
  b.net.ops->close(b.net.ctx, GET(&b, conn), "Make room.");
  WAIT(&a, a.ups == 2);
  assert_true(ch_pubkey_eq(&a.peer, &one_too_many.id));
  one_too_many.net.ops->stop(one_too_many.net.ctx);
  node_end(&b);
  node_end(&a);
  node_end(&one_too_many);
}

/* --- Pressure --------------------------------------------------------------------------------------------------------
 */

static void test_reading_stops_until_resumed(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  SET(&a, busy, true);
  for (uint32_t i = 0; i < 300; i++) {
    assert_true(node_send(&b, i, 50));
  }
  for (unsigned i = 1; i <= 300; i++) {
    WAIT(&a, a.messages == i);
    a.net.ops->resume(a.net.ctx, GET(&a, conn));
  }
  node_end(&a);
  node_end(&b);
}

/* The listener's queue may be drained while it is still saying that it is full. */
static void test_an_early_resume_is_not_lost(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  SET(&a, eager, true);
  SET(&a, busy, true);
  for (uint32_t i = 0; i < 300; i++) {
    assert_true(node_send(&b, i, 50));
  }
  WAIT(&a, a.messages == 300);
  node_end(&a);
  node_end(&b);
}

static void test_a_peer_that_does_not_read_is_dropped(void **state) {
  (void)state;
  node a, b;
  pair_start(&a, &b, NULL);
  b.net.ops->forget(b.net.ctx, &a.id);
  SET(&a, busy, true);
  uint32_t sent = 0;
  while (node_send(&b, sent, 60000)) {
    assert_true(++sent < 2000); /* 120 MB: more than the queue and what kernels buffer */
  }
  assert_true(sent > 60); /* the queue alone takes 4 MiB */
  WAIT(&b, b.downs == 1);
  assert_reason(&b, "too long to read");
  SET(&a, busy, false);
  a.net.ops->resume(a.net.ctx, GET(&a, conn));
  WAIT(&a, a.downs == 1);
  node_end(&a);
  node_end(&b);
}

/* --- Stopping --------------------------------------------------------------------------------------------------------
 */

static void *send_until_stopped(void *arg) {
  node *n = arg;
  uint8_t *bytes;
  cd_conn conn = GET(n, conn);
  do {
    bytes = calloc(1, 500);
    bytes[0] = 0x80;
    memset(bytes + 2, 0xff, 4);
  } while (n->net.ops->send(n->net.ctx, conn, bytes, 5));
  return NULL;
}

static void test_stop_while_busy(void **state) {
  (void)state;
  for (unsigned round = 0; round < 5; round++) {
    node a, b;
    pair_start(&a, &b, NULL);
    pthread_t senders[4];
    for (unsigned i = 0; i < 4; i++) {
      assert_int_equal(pthread_create(&senders[i], NULL, send_until_stopped, i % 2 ? &a : &b), 0);
    }
    WAIT(&a, a.messages > 500);
    node *first = round % 2 ? &a : &b;
    first->net.ops->stop(first->net.ctx);
    unsigned seen = GET(first, messages);
    for (unsigned i = 0; i < 4; i++) {
      pthread_join(senders[i], NULL);
    }
    assert_int_equal(GET(first, messages), seen);
    assert_int_equal(GET(first, downs), 1);
    node_end(&a);
    node_end(&b);
  }
}

static void test_stop_in_the_midst_of_everything(void **state) {
  (void)state;
  for (unsigned round = 0; round < 10; round++) {
    node a, b;
    node_start(&a, 1, NULL);
    node_start(&b, 2, NULL);
    node_listen(&a, "127.0.0.1:0");
    int silent = raw_connect(a.bound);
    node_connect(&b, &a);
    if (round % 2) {
      WAIT(&a, a.ecdh_calls > 0 || a.ups > 0);
    }
    node_end(round % 3 ? &a : &b);
    node_end(round % 3 ? &b : &a);
    close(silent);
  }
}

int main(void) {
  if (sodium_init() < 0) {
    return 1;
  }
  cd_log_set_level(CD_LOG_ERROR);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ten_thousand_messages_both_ways),
      cmocka_unit_test(test_queued_leave_together),
      cmocka_unit_test(test_echo),
      cmocka_unit_test(test_every_size),
      cmocka_unit_test(test_close_sends_what_is_queued),
      cmocka_unit_test(test_too_long_a_message),
      cmocka_unit_test(test_wrong_arguments),
      cmocka_unit_test(test_wrong_node_id),
      cmocka_unit_test(test_own_key_at_the_other_end),
      cmocka_unit_test(test_connects_when_the_peer_appears),
      cmocka_unit_test(test_reconnects_after_a_close),
      cmocka_unit_test(test_the_newest_connection_wins),
      cmocka_unit_test(test_both_sides_dial),
      cmocka_unit_test(test_many_peers_few_dials),
      cmocka_unit_test(test_no_more_than_max_live),
      cmocka_unit_test(test_reading_stops_until_resumed),
      cmocka_unit_test(test_an_early_resume_is_not_lost),
      cmocka_unit_test(test_a_peer_that_does_not_read_is_dropped),
      cmocka_unit_test(test_stop_while_busy),
      cmocka_unit_test(test_stop_in_the_midst_of_everything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
