/* The sender against a chain that loses, refuses, delays and reorders: everything goes out once, and in the end all of
 * it. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_l1.h"
#include "sender.h"
#include "store/sqlite.h"
#include "tempdir.h"
#include "util/queue.h"

#define PATIENCE_MS 30000

typedef struct fixture {
  tempdir dir;
  int stderr_was; /* 0: it was not redirected */
  cd_node node;
  fake_l1 chain;
  uint8_t next_key;
} fixture;

typedef struct row {
  bool there;
  cd_tx_row r; /* without its bytes */
} row;

static bool take(void *arg, const cd_tx_row *r) {
  row *out = arg;
  *out = (row){true, *r};
  out->r.data = out->r.raw = NULL;
  out->r.replaced = NULL;
  return false;
}

static row get(fixture *f, uint8_t key) {
  row out = {0};
  assert_int_equal(f->node.store.ops->tx(f->node.store.ctx, &(ch_hash){{key}}, take, &out), CH_OK);
  assert_true(out.there);
  return out;
}

static bool has_hash(fixture *f, uint8_t key, const ch_hash *hash) {
  row r = get(f, key);
  return ch_hash_eq(&r.r.hash, hash);
}

static bool together(fixture *f, uint8_t a, uint8_t b) {
  row r = get(f, a);
  return has_hash(f, b, &r.r.hash);
}

typedef struct search {
  const ch_hash *hash;
  bool found;
} search;

static bool compare(void *arg, const cd_tx_row *r) {
  search *s = arg;
  s->found |= ch_hash_eq(&r->hash, s->hash);
  return !s->found;
}

static bool is_stored(void *ctx, const ch_hash *hash) {
  fixture *f = ctx;
  search s = {.hash = hash};
  return f->node.store.ops->txs(f->node.store.ctx, false, compare, &s) == CH_OK && s.found;
}

static void start(fixture *f) {
  f->node.sender = cd_sender_start(&f->node);
  assert_non_null(f->node.sender);
}

static void stop(fixture *f) {
  cd_sender_stop(f->node.sender);
  f->node.sender = NULL;
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  char path[PATH_MAX], why[300];
  assert_non_null(f);
  tempdir_make(&f->dir);
  cd_store_config cfg = {.path = tempdir_file(path, &f->dir, "db"), .shards = 1};
  if (cd_store_sqlite_open(&f->node.store, &cfg, why, sizeof why) != CH_OK) fail_msg("%s", why);
  f->chain.confirmations = 2;
  f->chain.stored = is_stored;
  f->chain.stored_ctx = f;
  fake_l1_init(&f->chain, &f->node.l1);
  pthread_mutex_init(&f->node.head_lock, NULL);
  cd_directory_init(&f->node.directory);
  f->node.head = fake_l1_head(&f->chain);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  stop(f);
  if (f->stderr_was != 0) dup2(f->stderr_was, STDERR_FILENO);
  assert_int_equal(f->chain.broken, 0); /* nothing leaves before it is stored */
  f->node.store.ops->close(f->node.store.ctx);
  cd_directory_free(&f->node.directory);
  tempdir_remove(&f->dir);
  free(f);
  return 0;
}

/* A wish; its key is returned. */
static uint8_t wish(fixture *f, int kind, char call, uint64_t deadline) {
  uint8_t data = (uint8_t)call, key = ++f->next_key;
  cd_tx_row r = {.key = {{key}},
                 .channel = {{data}},
                 .kind = kind,
                 .data = &data,
                 .data_len = 1,
                 .deadline = deadline,
                 .status = CD_TX_QUEUED};
  assert_int_equal(f->node.store.ops->tx_put(f->node.store.ctx, &r), CH_OK);
  return key;
}

static void look(fixture *f) {
  cd_head head = fake_l1_head(&f->chain);
  pthread_mutex_lock(&f->node.head_lock);
  f->node.head = head;
  pthread_mutex_unlock(&f->node.head_lock);
  cd_sender_wake(f->node.sender);
}

static void until_status(fixture *f, uint8_t key, cd_tx_status status) {
  uint64_t end = cd_monotonic_ms() + PATIENCE_MS;
  while (get(f, key).r.status != status) {
    if (cd_monotonic_ms() > end) fail_msg("row %u stays %d, not %d", key, get(f, key).r.status, status);
    look(f);
    usleep(2000);
  }
}

static size_t pool(fixture *f) {
  size_t n = 0;
  pthread_mutex_lock(&f->chain.lock);
  for (size_t i = 0; i < f->chain.n; i++)
    n += f->chain.txs[i].block == 0 && !f->chain.txs[i].gone && !f->chain.txs[i].foreign;
  pthread_mutex_unlock(&f->chain.lock);
  return n;
}

static void until_pool(fixture *f, size_t n) {
  uint64_t end = cd_monotonic_ms() + PATIENCE_MS;
  while (pool(f) != n) {
    if (cd_monotonic_ms() > end) fail_msg("the pool has %zu, not %zu", pool(f), n);
    look(f);
    usleep(2000);
  }
}

static void until_done(fixture *f, uint8_t key) {
  uint64_t end = cd_monotonic_ms() + PATIENCE_MS;
  while (get(f, key).r.status != CD_TX_DONE) {
    if (cd_monotonic_ms() > end) fail_msg("row %u stays %d", key, get(f, key).r.status);
    fake_l1_mine(&f->chain, 0);
    look(f);
    usleep(2000);
  }
}

/* --- The log --- */

static void keep_log(fixture *f) {
  char path[PATH_MAX];
  int file = open(tempdir_file(path, &f->dir, "log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  assert_true(file >= 0);
  fflush(stderr);
  f->stderr_was = dup(STDERR_FILENO);
  assert_true(f->stderr_was > 0 && dup2(file, STDERR_FILENO) == STDERR_FILENO);
  close(file);
}

/* How often `text` was logged. */
static unsigned logged(fixture *f, const char *text) {
  char path[PATH_MAX], line[1000];
  unsigned n = 0;
  FILE *file = fopen(tempdir_file(path, &f->dir, "log"), "re");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) != NULL)
    n += strstr(line, text) != NULL;
  fclose(file);
  return n;
}

static void until_logged(fixture *f, const char *text) {
  uint64_t end = cd_monotonic_ms() + PATIENCE_MS;
  while (logged(f, text) == 0) {
    if (cd_monotonic_ms() > end) fail_msg("it does not log: %s", text);
    look(f);
    usleep(2000);
  }
}

/* --- Tests ------------------------------------------------------------------------------------------------ */

static void what_is_wished_is_done_once(void **state) {
  fixture *f = *state;
  uint8_t a = wish(f, 0, 'a', 0), b = wish(f, 0, 'b', 0);
  start(f);
  until_status(f, b, CD_TX_SENT);
  fake_l1_mine(&f->chain, 0);
  until_status(f, a, CD_TX_MINED);
  assert_int_equal(get(f, a).r.nonce, 0);
  assert_int_equal(get(f, b).r.nonce, 1);
  until_done(f, a);
  until_done(f, b);
  assert_int_equal(fake_l1_executed(&f->chain, 'a'), 1);
  assert_int_equal(fake_l1_executed(&f->chain, 'b'), 1);
}

static void what_would_revert_is_not_sent(void **state) {
  fixture *f = *state;
  uint8_t bad = wish(f, 0, 'R', 0), good = wish(f, 0, 'g', 0);
  start(f);
  until_done(f, good);
  assert_int_equal(get(f, bad).r.status, CD_TX_FAILED);
  assert_string_equal(get(f, bad).r.error, "it would revert");
  assert_int_equal(get(f, good).r.nonce, 0);
}

static void few_are_in_flight_and_the_urgent_goes_first(void **state) {
  fixture *f = *state;
  for (int i = 0; i < 30; i++)
    wish(f, 0, 'x', 0);
  uint8_t urgent = wish(f, CH_TX_REFUTE, 'u', 5000);
  start(f);
  until_status(f, urgent, CD_TX_SENT);
  assert_int_equal(get(f, urgent).r.nonce, 0);
  until_pool(f, 12);
  uint8_t late = wish(f, CH_TX_REFUTE, 'l', 6000); /* places are kept free for it */
  until_status(f, late, CD_TX_SENT);
  for (uint8_t key = 1; key <= 30; key++)
    until_done(f, key);
  assert_true(f->chain.most_in_flight <= 16);
  assert_int_equal(fake_l1_executed(&f->chain, 'x'), 30);
}

static void a_lost_reply_costs_nothing(void **state) {
  fixture *f = *state;
  f->chain.lossy = true;
  uint8_t a = wish(f, 0, 'a', 0);
  start(f);
  until_pool(f, 1);
  until_done(f, a);
  assert_int_equal(fake_l1_executed(&f->chain, 'a'), 1);
}

static void an_unanswered_broadcast_is_repeated(void **state) {
  fixture *f = *state;
  f->chain.deaf = true;
  uint8_t a = wish(f, 0, 'a', 0);
  start(f);
  until_status(f, a, CD_TX_SENT);
  ch_hash before = get(f, a).r.hash;
  stop(f); /* and after a restart it is the same transaction */
  f->chain.deaf = false;
  start(f);
  until_pool(f, 1);
  assert_true(has_hash(f, a, &before));
  until_done(f, a);
  assert_int_equal(fake_l1_executed(&f->chain, 'a'), 1);
}

/* The one that was outbid is mined all the same: it counts, and nothing is sent again. */
static void an_outbid_one_may_be_mined(void **state) {
  fixture *f = *state;
  uint8_t a = wish(f, 0, 'a', 0);
  start(f);
  until_pool(f, 1);
  ch_hash first = f->chain.txs[0].hash;
  pthread_mutex_lock(&f->chain.lock);
  f->chain.outbids = true;
  pthread_mutex_unlock(&f->chain.lock);
  uint64_t end = cd_monotonic_ms() + PATIENCE_MS;
  while (get(f, a).r.n_replaced == 0 && cd_monotonic_ms() < end) {
    look(f);
    usleep(2000);
  }
  stop(f);
  assert_true(get(f, a).r.n_replaced > 0);
  assert_int_equal(get(f, a).r.nonce, 0);
  assert_false(has_hash(f, a, &first));
  f->chain.outbids = false;
  for (size_t i = 1; i < f->chain.n; i++)
    f->chain.txs[i].gone = true;
  f->chain.txs[0].gone = false;
  fake_l1_mine(&f->chain, 0); /* before the other one can be sent again */
  start(f);
  until_done(f, a);
  assert_true(has_hash(f, a, &first));
  assert_int_equal(fake_l1_executed(&f->chain, 'a'), 1);
}

static void a_pending_stranger_is_outbid(void **state) {
  fixture *f = *state;
  fake_l1_foreign(&f->chain, 0, 10);
  uint8_t a = wish(f, 0, 'a', 0);
  start(f);
  until_pool(f, 1);
  until_done(f, a);
  assert_int_equal(get(f, a).r.nonce, 0);
  assert_int_equal(get(f, a).r.n_replaced, 4); /* 1, 2, 4, 8, then 16 */
}

static void a_used_nonce_is_left_only_when_that_is_final(void **state) {
  fixture *f = *state;
  f->chain.deaf = true;
  uint8_t a = wish(f, 0, 'a', 0);
  start(f);
  until_status(f, a, CD_TX_SENT);
  fake_l1_foreign(&f->chain, 0, 10);
  fake_l1_mine(&f->chain, 0);
  pthread_mutex_lock(&f->chain.lock);
  f->chain.deaf = false;
  pthread_mutex_unlock(&f->chain.lock);
  for (int i = 0; i < 20; i++) {
    look(f);
    usleep(2000);
    assert_int_equal(get(f, a).r.nonce, 0);
  }
  until_done(f, a);
  assert_int_equal(get(f, a).r.nonce, 1);
  assert_int_equal(fake_l1_executed(&f->chain, 'a'), 1);
}

static void a_gap_is_filled(void **state) {
  fixture *f = *state;
  f->chain.deaf = true;
  uint8_t a = wish(f, 0, 'a', 0);
  start(f);
  until_status(f, a, CD_TX_SENT);
  uint8_t b = wish(f, 0, 'b', 0);
  until_status(f, b, CD_TX_SENT);
  stop(f);
  cd_tx_row gone = {.key = {{a}}, .status = CD_TX_FAILED}; /* as if it had been refused for good */
  assert_int_equal(f->node.store.ops->tx_put(f->node.store.ctx, &gone), CH_OK);
  f->chain.deaf = false;
  start(f);
  until_done(f, b);
  assert_int_equal(get(f, b).r.nonce, 1);
  assert_int_equal(fake_l1_executed(&f->chain, 'T'), 1);
}

static void a_refused_one_fails_and_frees_its_nonce(void **state) {
  fixture *f = *state;
  f->chain.refuses = true;
  uint8_t a = wish(f, 0, 'a', 0);
  start(f);
  until_status(f, a, CD_TX_FAILED);
  pthread_mutex_lock(&f->chain.lock);
  f->chain.refuses = false;
  pthread_mutex_unlock(&f->chain.lock);
  uint8_t b = wish(f, 0, 'b', 0);
  until_done(f, b);
  assert_int_equal(get(f, b).r.nonce, 0);
}

/* Each gets an approval of its own, one after the other, and never more than what is used. */
static void what_has_to_come_before_comes_before(void **state) {
  fixture *f = *state;
  uint8_t a = wish(f, CH_TX_DEPOSIT, 'B', 0), b = wish(f, CH_TX_DEPOSIT, 'B', 0);
  start(f);
  until_done(f, a);
  until_done(f, b);
  assert_int_equal(fake_l1_executed(&f->chain, 'A'), 2);
  assert_int_equal(fake_l1_executed(&f->chain, 'B'), 2);
  assert_int_equal(f->chain.allowances, 0);
}

static void closings_go_together_and_the_skipped_is_told(void **state) {
  fixture *f = *state;
  uint8_t a = wish(f, CH_TX_CLOSE, 'c', 0), b = wish(f, CH_TX_CLOSE, 'S', 0), c = wish(f, CH_TX_CLOSE, 'c', 0);
  uint8_t bad = wish(f, CH_TX_CLOSE, 'R', 0);
  start(f);
  until_done(f, a);
  until_done(f, c);
  until_status(f, b, CD_TX_FAILED);
  assert_string_equal(get(f, b).r.error, "skipped");
  assert_int_equal(get(f, bad).r.status, CD_TX_FAILED);
  assert_true(together(f, a, c));
  assert_int_equal(f->chain.n, 1);
}

static void closings_wait_for_those_that_were_announced(void **state) {
  fixture *f = *state;
  start(f);
  cd_sender_gather(f->node.sender, 2);
  uint8_t a = wish(f, CH_TX_CLOSE, 'c', 0), other = wish(f, 0, 'o', 0);
  until_status(f, other, CD_TX_SENT);
  assert_int_equal(get(f, a).r.status, CD_TX_QUEUED);
  uint8_t b = wish(f, CH_TX_CLOSE, 'c', 0);
  until_done(f, b);
  assert_true(together(f, a, b));
}

static void channel(fixture *f, uint8_t id, ch_phase phase, uint64_t bond) {
  const cd_entry e = {.id = {{id}}, .phase = phase, .bond = ch_amount_of(bond)};
  assert_true(cd_directory_put(&f->node.directory, &e));
}

/* Each living channel's fees, and its own bond, whoever named it. */
static void a_balance_too_small_for_disputes_is_told(void **state) {
  fixture *f = *state;
  f->node.config.bond = ch_amount_of(1000); /* for channels opened from now on */
  f->node.config.max_locks = 3;
  f->chain.dispute_cost = ch_amount_of(4);
  f->chain.lock_cost = 2; /* 10 with three of them */
  f->chain.balance = ch_amount_of(94);
  channel(f, 1, CH_PHASE_OPEN, 40);
  channel(f, 2, CH_PHASE_OPENING, 35);
  channel(f, 3, CH_PHASE_CLOSED, 500);
  keep_log(f);
  start(f);
  until_logged(f, "the account cannot pay for a dispute of every channel: send coin to it balance=94 needed=95");
  pthread_mutex_lock(&f->chain.lock);
  f->chain.balance = ch_amount_of(95);
  pthread_mutex_unlock(&f->chain.lock);
  fake_l1_mine(&f->chain, 30);
  until_logged(f, "the account can pay for a dispute of every channel again");
  assert_int_equal(logged(f, "the account cannot pay"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_is_wished_is_done_once),
      TEST(what_would_revert_is_not_sent),
      TEST(few_are_in_flight_and_the_urgent_goes_first),
      TEST(a_lost_reply_costs_nothing),
      TEST(an_unanswered_broadcast_is_repeated),
      TEST(an_outbid_one_may_be_mined),
      TEST(a_pending_stranger_is_outbid),
      TEST(a_used_nonce_is_left_only_when_that_is_final),
      TEST(a_gap_is_filled),
      TEST(a_refused_one_fails_and_frees_its_nonce),
      TEST(what_has_to_come_before_comes_before),
      TEST(closings_go_together_and_the_skipped_is_told),
      TEST(closings_wait_for_those_that_were_announced),
      TEST(a_balance_too_small_for_disputes_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
