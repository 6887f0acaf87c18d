/* The operating-system layer of the whole-daemon simulator (tests/sim/daemon/os.h): its threads, clocks and disks, and
 * that a real node runs on it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "../sim/daemon/os.h"
#include "identity.h"
#include "l1/dev/adapter.h"
#include "node.h"
#include "store/sqlite.h"

#define HOME "/sim/n0"
#define DB HOME "/channeld.db"

static void on_log(void *ctx, const os_machine *m, cd_log_level level, const char *subsystem, const char *text) {
  (void)ctx;
  (void)level;
  printf("# %s %s: %s\n", m != NULL ? os_name(m) : "-", subsystem, text);
}

static os_machine *begin(uint64_t seed) {
  os_begin(seed);
  os_on_log(CD_LOG_ERROR, on_log, NULL);
  return os_machine_new("n0", HOME, 0);
}

/* --- Threads and time ------------------------------------------------------------------------------ */

typedef struct counter {
  pthread_mutex_t lock;
  pthread_cond_t full;
  unsigned n, inside;
  bool timed_out;
  uint64_t waited;
} counter;

static void *count(void *arg) {
  counter *c = arg;
  for (int i = 0; i < 100; i++) {
    pthread_mutex_lock(&c->lock);
    unsigned n = c->n;
    c->inside++;
    os_yield(); /* nobody else may come in */
    if (c->inside == 1) c->n = n + 1;
    c->inside--;
    if (c->n == 400) pthread_cond_broadcast(&c->full);
    pthread_mutex_unlock(&c->lock);
  }
  return arg;
}

static void run_counters(void *arg) {
  counter *c = arg;
  pthread_t t[4];
  for (int i = 0; i < 4; i++)
    pthread_create(&t[i], NULL, count, c);
  pthread_mutex_lock(&c->lock);
  while (c->n < 400)
    pthread_cond_wait(&c->full, &c->lock);
  pthread_mutex_unlock(&c->lock);
  for (int i = 0; i < 4; i++) {
    void *result;
    pthread_join(t[i], &result);
    if (result != arg) c->n = 0;
  }
}

static void locks_exclude_and_conditions_wake(void **state) {
  (void)state;
  os_machine *m = begin(1);
  counter c = {.n = 0};
  pthread_mutex_init(&c.lock, NULL);
  pthread_cond_init(&c.full, NULL);
  assert_true(os_call(m, "counters", run_counters, &c, OS_S));
  assert_int_equal(c.n, 400);
  assert_int_equal(os_broken(), 0);
  os_end();
}

static void wait_in_vain(void *arg) {
  counter *c = arg;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 3600;
  uint64_t from = os_now();
  pthread_mutex_lock(&c->lock);
  while (!c->timed_out)
    c->timed_out = pthread_cond_timedwait(&c->full, &c->lock, &until) == ETIMEDOUT;
  pthread_mutex_unlock(&c->lock);
  c->waited = os_now() - from;
}

static void an_hour_passes_at_once(void **state) {
  (void)state;
  begin(2);
  os_machine *late = os_machine_new("late", "/sim/late", 7200 * 1000); /* its clock is wrong */
  counter c = {.n = 0};
  assert_true(os_call(late, "waits", wait_in_vain, &c, 2 * 3600 * OS_S));
  assert_true(c.timed_out);
  assert_in_range(c.waited, 3599 * OS_S, 3601 * OS_S);
  assert_int_equal(os_wall(late), os_wall(NULL) + 7200);
  assert_false(os_call(late, "waits", wait_in_vain, &(counter){.n = 0}, 60 * OS_S)); /* not so long */
  os_end();
}

static void lock_twice(void *arg) {
  counter *c = arg;
  pthread_mutex_lock(&c->lock);
  pthread_cond_wait(&c->full, &c->lock);
}

static void who_waits_for_ever_is_seen(void **state) {
  (void)state;
  os_machine *m = begin(3);
  counter c = {.n = 0};
  char text[1000] = "";
  os_start(m, "sleeper", lock_twice, &c);
  assert_int_equal(os_run(UINT64_MAX, UINT64_MAX), OS_RUN_IDLE);
  FILE *out = fmemopen(text, sizeof text, "w");
  os_report(out);
  fclose(out);
  assert_non_null(strstr(text, "sleeper waits for a condition"));
  os_end();
}

/* --- The disk -------------------------------------------------------------------------------------- */

static bool there(const char *path, const char *text) {
  char found[100] = "";
  int fd = open(path, O_RDONLY);
  if (fd < 0) return false;
  ssize_t n = read(fd, found, sizeof found - 1);
  close(fd);
  return n >= 0 && strcmp(found, text) == 0;
}

static void put_file(const char *path, const char *text, bool sync) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  if (sync) assert_int_equal(fsync(fd), 0);
  close(fd);
}

static void sync_folder(void) {
  int fd = open(HOME, O_RDONLY | O_DIRECTORY);
  assert_int_equal(fsync(fd), 0);
  close(fd);
}

static void only_what_was_flushed_is_sure(void **state) {
  (void)state;
  begin(1);
  put_file(HOME "/nameless", "1", true); /* its bytes are, its name is not */
  os_disk_cut(HOME, 0);
  assert_false(there(HOME "/nameless", "1"));

  put_file(HOME "/bare", "2", false); /* the other way round */
  sync_folder();
  os_disk_cut(HOME, 0);
  assert_true(there(HOME "/bare", ""));

  put_file(HOME "/a", "old", true);
  sync_folder();
  put_file(HOME "/a.new", "new", true);
  assert_int_equal(rename(HOME "/a.new", HOME "/a"), 0);
  os_disk_durable(HOME, "/sim/image");
  assert_true(there(HOME "/a", "new"));
  assert_true(there("/sim/image/a", "old"));
  sync_folder();
  os_disk_cut(HOME, 0);
  assert_true(there(HOME "/a", "new"));
  assert_false(there(HOME "/a.new", "new"));

  assert_int_equal(unlink(HOME "/a"), 0);
  os_disk_cut(HOME, 0);
  assert_true(there(HOME "/a", "new"));
  put_file(HOME "/empty", "", true); /* nothing to flush */
  assert_int_equal(unlink(HOME "/a"), 0);
  os_disk_cut(HOME, 1); /* all survives, deletions too */
  assert_true(there(HOME "/empty", ""));
  assert_false(there(HOME "/a", "new"));
  os_end();
}

/* What was there before, what was written, and what lies between the two; nothing else. */
static void a_power_cut_tears_what_was_not_flushed(void **state) {
  (void)state;
  bool old = false, new = false, torn = false;
  for (uint64_t how = 2; how < 200; how++) {
    begin(how);
    put_file(HOME "/f", "oooooooooooooooo", true);
    sync_folder();
    int fd = open(HOME "/f", O_RDWR);
    assert_int_equal(pwrite(fd, "nnnnnnnn", 8, 4), 8);
    close(fd);
    os_disk_cut(HOME, how);
    char is[17] = "";
    fd = open(HOME "/f", O_RDONLY);
    assert_int_equal(read(fd, is, 16), 16);
    close(fd);
    assert_memory_equal(is, "oooo", 4);
    assert_memory_equal(is + 12, "oooo", 4);
    bool is_old = memcmp(is, "oooooooooooooooo", 16) == 0, is_new = memcmp(is + 4, "nnnnnnnn", 8) == 0;
    old |= is_old;
    new |= is_new;
    torn |= !is_old && !is_new;
    os_end();
  }
  assert_true(old && new &&torn);
}

typedef struct writer {
  int wrote, synced;
} writer;

static void write_some(void *arg) {
  writer *w = arg;
  int fd = open(HOME "/f", O_WRONLY | O_CREAT, 0600);
  w->wrote = fd < 0 || write(fd, "12345678", 8) != 8 ? errno : 0;
  w->synced = fsync(fd) != 0 ? errno : 0;
  close(fd);
}

static writer write_with(uint64_t seed, os_fault fault) {
  os_machine *m = begin(seed);
  put_file(HOME "/f", "", true);
  sync_folder();
  if (fault != 0) os_disk_fault(HOME, fault, 100);
  writer w;
  assert_true(os_call(m, "writer", write_some, &w, OS_S));
  os_disk_cut(HOME, 0);
  return w;
}

static void disks_fail_when_told_to(void **state) {
  (void)state;
  assert_int_equal(write_with(1, OS_FAULT_FULL).wrote, ENOSPC);
  assert_int_equal(os_disk_failed(OS_FAULT_FULL), 1);
  os_end();
  assert_int_equal(write_with(2, OS_FAULT_WRITE).wrote, EIO);
  os_end();
  assert_int_equal(write_with(3, OS_FAULT_SYNC).synced, EIO);
  assert_true(there(HOME "/f", ""));
  os_end();
  assert_int_equal(write_with(4, OS_FAULT_LIES).synced, 0);
  assert_true(there(HOME "/f", ""));
  os_end();
  assert_int_equal(write_with(5, 0).synced, 0);
  assert_true(there(HOME "/f", "12345678"));
  os_end();
}

/* The k-th change of a file is the last moment of its life. */
static void a_machine_dies_where_it_is_told_to(void **state) {
  (void)state;
  for (uint64_t k = 1; k <= 2; k++) {
    os_machine *m = begin(k);
    writer w;
    os_kill_at(m, OS_POINT_WRITE, k);
    assert_false(os_call(m, "writer", write_some, &w, OS_S));
    assert_false(os_alive(m));
    assert_int_equal(access(HOME "/f", F_OK) == 0, k == 2);
    assert_false(there(HOME "/f", "12345678"));
    os_end();
  }
}

/* --- A node ---------------------------------------------------------------------------------------- */

static ch_err net_listen(void *ctx, const char *address, char *bound, char *why, size_t why_len) {
  (void)ctx, (void)why, (void)why_len;
  snprintf(bound, 64, "%s", address);
  return CH_OK;
}

static void net_stop(void *ctx) {
  (void)ctx;
}

static const cd_net_ops NO_NET = {.listen = net_listen, .stop = net_stop};

/* What main.c joins, without network and API. */
typedef struct program {
  cd_node node;
  cd_identity identity;
  uint8_t seed[64];
  bool started, runs, answered;
  char why[1400];
} program;

static bool open_parts(program *d) {
  char *args[] = {"--dir", HOME, "--l1", "dev:/sim/chain/dev.db", "--workers", "2"};
  ch_secret account;
  cd_store_config store = {.path = DB, .shards = CD_MAX_WORKERS};
  cd_l1_dev_config chain = {.path = "/sim/chain/dev.db", .account = &account, .confirmations = 1};
  cd_node *n = &d->node;
  if (cd_config_load(&n->config, 6, args, getenv, d->why, sizeof d->why) != CD_CONFIG_OK) return false;
  n->seed = d->seed;
  n->net = (cd_net){NULL, &NO_NET};
  if (cd_identity_init(&d->identity, d->seed) != CH_OK) return false;
  ch_keyring_account(d->identity.keys, &account);
  return cd_store_sqlite_open(&n->store, &store, d->why, sizeof d->why) == CH_OK &&
         cd_l1_dev_open(&n->l1, &chain, d->why) == CH_OK && cd_node_init(n, d->why, sizeof d->why);
}

static void daemon_start(void *arg) {
  program *d = arg;
  d->runs = d->started = open_parts(d) && cd_node_start(&d->node, d->why, sizeof d->why);
}

static void daemon_stop(void *arg) {
  program *d = arg;
  cd_node_stop(&d->node);
  cd_l1_dev_close(&d->node.l1);
  d->node.store.ops->close(d->node.store.ctx);
  cd_node_free(&d->node);
  cd_identity_free(&d->identity);
  d->runs = false;
}

static void answer(void *ctx, cd_class cls, json_t *body) {
  program *d = ctx;
  d->answered = cls == CD_OK && json_object_get(body, "node_id") != NULL;
  json_decref(body);
}

static void ask(void *arg) {
  program *d = arg;
  cd_commands c = cd_node_commands(&d->node);
  c.call(c.ctx, "info", json_object(), answer, d);
}

static bool is_answered(void *arg) {
  return ((program *)arg)->answered;
}

/* Starts it, asks it, and stops or kills it. */
static void run_node(uint64_t seed, bool kill_it) {
  os_machine *m = begin(seed), *chain = os_machine_new("chain", "/sim/chain", 0);
  program *d = calloc(1, sizeof *d);
  assert_non_null(d);
  memset(d->seed, (int)seed, sizeof d->seed);
  (void)chain;
  assert_true(os_call(m, "start", daemon_start, d, 60 * OS_S));
  if (!d->started) fail_msg("%s", d->why);
  assert_true(os_call(m, "ask", ask, d, OS_S));
  assert_true(os_run_until(is_answered, d, 10 * OS_S));
  assert_int_equal(os_run(UINT64_MAX, 5 * OS_S), OS_RUN_TIME);
  if (kill_it) {
    os_kill(m);
    os_disk_cut(HOME, seed);
    program *again = calloc(1, sizeof *again);
    assert_non_null(again);
    memcpy(again->seed, d->seed, sizeof d->seed);
    m = os_machine_new("again", HOME, 0);
    assert_true(os_call(m, "start", daemon_start, again, 60 * OS_S));
    if (!again->started) fail_msg("%s", again->why);
    d = again; /* what the dead one had is lost */
  }
  if (!os_call(m, "stop", daemon_stop, d, 60 * OS_S)) os_report(stdout);
  assert_false(d->runs);
  assert_int_equal(os_broken(), 0);
  os_end();
  free(d);
}

static void a_real_node_starts_answers_and_stops(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 6; seed++)
    run_node(seed, seed % 2 == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(locks_exclude_and_conditions_wake),
      cmocka_unit_test(an_hour_passes_at_once),
      cmocka_unit_test(who_waits_for_ever_is_seen),
      cmocka_unit_test(only_what_was_flushed_is_sure),
      cmocka_unit_test(a_power_cut_tears_what_was_not_flushed),
      cmocka_unit_test(disks_fail_when_told_to),
      cmocka_unit_test(a_machine_dies_where_it_is_told_to),
      cmocka_unit_test(a_real_node_starts_answers_and_stops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
