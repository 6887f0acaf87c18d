/* The operating-system layer of the whole-daemon simulator (tests/sim/daemon/os.h): its threads, clocks and disks, and
 * that the real store and a real node run on it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
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
#include "units.h"
#include "util/queue.h"

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

/* --- The store ------------------------------------------------------------------------------------- */

#define CLIENTS 3
#define UNITS 12

typedef struct life {
  uint64_t given, done[CLIENTS]; /* done: highest tag of each that was told to be durable */
  cd_store store;
  bool opened;
  char why[400];
  unsigned tags; /* of this life */
} life;

static void told(cd_unit *u, bool ok) {
  uint64_t *done = u->done_ctx;
  if (ok) *done = u->now;
  cd_unit_free(u);
}

typedef struct client {
  life *l;
  unsigned channel;
} client;

static void *give_units(void *arg) {
  const client *c = arg;
  life *l = c->l;
  for (unsigned i = 0; i < UNITS; i++) {
    char id[32];
    uint64_t tag = ++l->given;
    cd_unit *u = units_new(c->channel, tag);
    snprintf(id, sizeof id, "p%llu", (unsigned long long)tag);
    units_payment(u, true, CH_PAYMENT_SETTLED, id, 1, tag, 0);
    u->done = told;
    u->done_ctx = &l->done[c->channel];
    l->store.ops->commit(l->store.ctx, u);
    if (os_chance(3) == 0) os_sleep(os_chance(20 * OS_MS));
  }
  return NULL;
}

static void live(void *arg) {
  life *l = arg;
  cd_store_config cfg = {.path = DB, .shards = 4, .group = 8};
  l->opened = cd_store_sqlite_open(&l->store, &cfg, l->why, sizeof l->why) == CH_OK;
  if (!l->opened) return;
  pthread_t t[CLIENTS];
  client clients[CLIENTS];
  for (unsigned i = 0; i < CLIENTS; i++) {
    clients[i] = (client){l, i};
    pthread_create(&t[i], NULL, give_units, &clients[i]);
  }
  for (unsigned i = 0; i < CLIENTS; i++)
    pthread_join(t[i], NULL);
  l->store.ops->close(l->store.ctx);
}

typedef struct found {
  life *l;
  const char *path;
  uint64_t tags[CLIENTS], payments;
  bool opened;
  char why[400];
} found;

static bool find_payment(void *arg, const cd_payment *p) {
  found *f = arg;
  (void)p;
  f->payments++;
  return true;
}

static void look(void *arg) {
  found *f = arg;
  cd_store s;
  cd_store_config cfg = {.path = f->path, .shards = 4};
  f->opened = cd_store_sqlite_open(&s, &cfg, f->why, sizeof f->why) == CH_OK;
  if (!f->opened) return;
  for (unsigned i = 0; i < CLIENTS; i++) {
    ch_hash id = units_channel(i);
    uint8_t *record;
    size_t len;
    if (s.ops->channel(s.ctx, &id, &record, &len) != CH_OK) continue;
    memcpy(&f->tags[i], record, sizeof f->tags[i]);
    free(record);
  }
  cd_payment_filter filter = {.limit = 1000};
  s.ops->payments(s.ctx, &filter, find_payment, f);
  s.ops->close(s.ctx);
}

static found look_at(os_machine *m, const char *path) {
  found f = {.path = path};
  if (!os_call(m, "look", look, &f, 60 * OS_S)) os_report(stdout);
  return f;
}

/* Returns whether it was killed. Without promises kept it says so in `broke`. */
static bool crash_once(uint64_t seed, bool lies, const char **broke) {
  os_machine *m = begin(seed);
  life l = {.given = 0};
  bool cut = seed % 3 != 0;
  os_kill_at(m, seed % 2 ? OS_POINT_STEP : OS_POINT_WRITE | OS_POINT_SYNC, 1 + os_chance(seed % 2 ? 1500 : 150));
  if (lies) os_disk_fault(HOME, OS_FAULT_LIES, 100);
  os_call(m, "daemon", live, &l, 600 * OS_S);
  bool killed = !os_alive(m);
  if (killed && cut) os_disk_cut(HOME, seed % 5);
  os_disk_fault(HOME, OS_FAULT_LIES, 0);
  found f = look_at(os_machine_new("n1", HOME, 0), DB);
  *broke = !f.opened ? "it does not open" : NULL;
  uint64_t told_of = 0;
  for (unsigned i = 0; i < CLIENTS; i++) {
    if (f.tags[i] < l.done[i]) *broke = "what was told to be durable is gone";
    told_of += l.done[i] != 0;
  }
  if (!killed && f.payments != CLIENTS * UNITS) *broke = "payments are missing";
  if (*broke) printf("# seed %llu: %s %s\n", (unsigned long long)seed, *broke, f.why);
  assert_int_equal(os_broken(), 0);
  os_end();
  return killed;
}

static void what_is_told_to_be_durable_is(void **state) {
  (void)state;
  unsigned killed = 0;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    const char *broke;
    killed += crash_once(seed, false, &broke);
    assert_null(broke);
  }
  assert_in_range(killed, 50, 199);
}

/* The test of the test. */
static void a_disk_that_lies_is_noticed(void **state) {
  (void)state;
  unsigned noticed = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    const char *broke;
    crash_once(seed, true, &broke);
    noticed += broke != NULL;
  }
  assert_true(noticed > 0);
}

static uint64_t trace_of(uint64_t seed) {
  os_machine *m = begin(seed);
  life l = {.given = 0};
  os_call(m, "daemon", live, &l, 600 * OS_S);
  uint64_t trace = os_trace() ^ os_disk_print(HOME);
  os_end();
  return trace;
}

static void a_seed_is_one_run(void **state) {
  (void)state;
  assert_true(trace_of(7) == trace_of(7));
  assert_true(trace_of(7) != trace_of(8));
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
      cmocka_unit_test(locks_exclude_and_conditions_wake),    cmocka_unit_test(an_hour_passes_at_once),
      cmocka_unit_test(who_waits_for_ever_is_seen),           cmocka_unit_test(a_seed_is_one_run),
      cmocka_unit_test(what_is_told_to_be_durable_is),        cmocka_unit_test(a_disk_that_lies_is_noticed),
      cmocka_unit_test(a_real_node_starts_answers_and_stops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
