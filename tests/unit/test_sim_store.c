/* The real store on the simulated system (tests/sim/daemon/os.h): several threads give it units, it dies at any moment,
 * its disk fails: what it told to be durable is there afterwards. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../sim/daemon/os.h"
#include "store/sqlite.h"
#include "units.h"

#define HOME "/sim/n0"
#define DB HOME "/channeld.db"
#define CLIENTS 3
#define UNITS 12
#define ALL (CLIENTS * UNITS)

static os_machine *begin(uint64_t seed) {
  os_begin(seed);
  return os_machine_new("n0", HOME, 0);
}

/* One process: each of its units is a payment with its number as id, and sets its channel's record to the number. */
typedef struct life {
  cd_store store;
  unsigned given, failed;
  bool told[ALL + 1]; /* to be durable */
  bool opened, closed;
  os_fault fault; /* of the disk, once it is open */
  unsigned percent;
  char why[400];
} life;

static void told(cd_unit *u, bool ok) {
  life *l = u->done_ctx;
  if (ok)
    l->told[u->now] = true;
  else
    l->store.ops->reset(l->store.ctx, u->shard);
  l->failed += !ok;
  cd_unit_free(u);
}

typedef struct client {
  life *l;
  unsigned channel;
} client;

static void *give_units(void *arg) {
  const client *c = arg;
  for (unsigned i = 0; i < UNITS; i++) {
    char id[32];
    uint64_t number = ++c->l->given;
    cd_unit *u = units_new(c->channel, number);
    snprintf(id, sizeof id, "%llu", (unsigned long long)number);
    units_payment(u, true, CH_PAYMENT_SETTLED, id, 1, number, 0);
    u->done = told;
    u->done_ctx = c->l;
    c->l->store.ops->commit(c->l->store.ctx, u);
    if (os_chance(3) == 0) os_sleep(os_chance(20 * OS_MS));
  }
  return NULL;
}

static void live(void *arg) {
  life *l = arg;
  cd_store_config cfg = {.path = DB, .shards = 4, .group = 8};
  l->opened = cd_store_sqlite_open(&l->store, &cfg, l->why, sizeof l->why) == CH_OK;
  if (!l->opened) return;
  if (l->percent > 0) os_disk_fault(HOME, l->fault, l->percent);
  pthread_t t[CLIENTS];
  client clients[CLIENTS];
  for (unsigned i = 0; i < CLIENTS; i++) {
    clients[i] = (client){l, i};
    pthread_create(&t[i], NULL, give_units, &clients[i]);
  }
  for (unsigned i = 0; i < CLIENTS; i++)
    pthread_join(t[i], NULL);
  l->store.ops->close(l->store.ctx);
  l->closed = true;
}

typedef struct found {
  bool payment[ALL + 1], opened;
  bool stays; /* open */
  uint64_t record[CLIENTS];
  char why[400];
} found;

static bool find_payment(void *arg, const cd_payment *p) {
  ((found *)arg)->payment[strtoul(p->id, NULL, 10)] = true;
  return true;
}

static void look(void *arg) {
  found *f = arg;
  cd_store s;
  cd_store_config cfg = {.path = DB, .shards = 4};
  f->opened = cd_store_sqlite_open(&s, &cfg, f->why, sizeof f->why) == CH_OK;
  if (!f->opened) return;
  for (unsigned i = 0; i < CLIENTS; i++) {
    ch_hash id = units_channel(i);
    uint8_t *record;
    size_t len;
    if (s.ops->channel(s.ctx, &id, &record, &len) != CH_OK) continue;
    memcpy(&f->record[i], record, sizeof f->record[i]);
    free(record);
  }
  cd_payment_filter filter = {.limit = 1000};
  s.ops->payments(s.ctx, &filter, find_payment, f);
  if (!f->stays) s.ops->close(s.ctx);
}

/* What is wrong, or NULL. */
static const char *compare(const life *l, const found *f) {
  if (!f->opened) return f->why;
  for (unsigned i = 1; i <= ALL; i++) {
    if (l->told[i] && !f->payment[i]) return "what was told to be durable is gone";
    if (l->closed && l->failed == 0 && !f->payment[i]) return "it was closed, and something is missing";
  }
  for (unsigned i = 0; i < CLIENTS; i++)
    if (f->record[i] != 0 && !f->payment[f->record[i]]) return "a record without its payment";
  return NULL;
}

typedef struct lives {
  unsigned killed, failed, broken;
} lives;

/* One life that begins with an empty disk, and what is left of it. */
static void one_life(uint64_t seed, os_fault fault, unsigned percent, lives *sum) {
  os_machine *m = begin(seed);
  static life l;
  static found f;
  memset(&l, 0, sizeof l);
  memset(&f, 0, sizeof f);
  os_kill_at(m, seed % 2 ? OS_POINT_STEP : OS_POINT_WRITE | OS_POINT_SYNC, 1 + os_chance(seed % 2 ? 1500 : 150));
  if (percent > 0 && seed % 5 == 0) os_disk_fault(HOME, fault, percent);
  l.fault = fault;
  l.percent = percent;
  if (!os_call(m, "daemon", live, &l, 3600 * OS_S) && os_alive(m)) {
    os_report(stdout);
    fail_msg("seed %llu: it hangs", (unsigned long long)seed);
  }
  sum->killed += !os_alive(m);
  sum->failed += l.failed > 0;
  os_kill(m);
  if (seed % 3 != 0) os_disk_cut(HOME, seed % 5);
  os_disk_fault(HOME, fault, 0);
  assert_true(os_call(os_machine_new("n1", HOME, 0), "look", look, &f, 60 * OS_S));
  const char *wrong = compare(&l, &f);
  sum->broken += wrong != NULL;
  if (wrong != NULL) printf("# seed %llu: %s\n", (unsigned long long)seed, wrong);
  assert_int_equal(os_broken(), 0);
  os_end();
}

static void what_is_told_to_be_durable_is(void **state) {
  (void)state;
  lives sum = {0};
  for (uint64_t seed = 1; seed <= 150; seed++)
    one_life(seed, OS_FAULT_FULL, 0, &sum);
  assert_int_equal(sum.broken, 0);
  assert_int_equal(sum.failed, 0);
  assert_in_range(sum.killed, 40, 149);
}

static void so_it_is_on_a_disk_that_fails(void **state) {
  (void)state;
  static const os_fault faults[] = {OS_FAULT_FULL, OS_FAULT_WRITE, OS_FAULT_SYNC};
  lives sum = {0};
  for (uint64_t seed = 1; seed <= 150; seed++)
    one_life(seed, faults[seed % 3], seed % 4 == 0 ? 30 : 5, &sum);
  assert_int_equal(sum.broken, 0);
  assert_in_range(sum.failed, 20, 150);
}

/* It dies without a power cut, so that what it wrote and did not flush is still there for the next process to see: what
 * that one shows, and would tell its peers, must outlive a power cut that follows. */
static void one_life_and_another(uint64_t seed) {
  static life l;
  static found seen, kept;
  os_machine *m = begin(seed);
  memset(&l, 0, sizeof l);
  memset(&seen, 0, sizeof seen);
  memset(&kept, 0, sizeof kept);
  l.fault = OS_FAULT_SYNC;
  l.percent = seed % 2 ? 0 : 20;
  seen.stays = true;
  os_kill_at(m, OS_POINT_SYNC | OS_POINT_WRITE, 20 + os_chance(60));
  os_call(m, "daemon", live, &l, 3600 * OS_S);
  os_kill(m);
  os_disk_fault(HOME, OS_FAULT_SYNC, 0);
  m = os_machine_new("n1", HOME, 0);
  assert_true(os_call(m, "look", look, &seen, 60 * OS_S));
  os_kill(m);
  os_disk_cut(HOME, 0);
  assert_true(os_call(os_machine_new("n2", HOME, 0), "look", look, &kept, 60 * OS_S));
  if (!seen.opened || !kept.opened) fail_msg("seed %llu: %s%s", (unsigned long long)seed, seen.why, kept.why);
  if (memcmp(seen.payment, kept.payment, sizeof seen.payment) != 0)
    fail_msg("seed %llu: what the second process showed was not durable", (unsigned long long)seed);
  os_end();
}

static void what_a_restart_shows_is_durable(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 100; seed++)
    one_life_and_another(seed);
}

/* The test of the test. */
static void a_disk_that_lies_is_noticed(void **state) {
  (void)state;
  lives sum = {0};
  for (uint64_t seed = 1; seed <= 30; seed++)
    one_life(seed, OS_FAULT_LIES, 100, &sum);
  assert_true(sum.broken > 0);
}

static uint64_t trace_of(uint64_t seed) {
  os_machine *m = begin(seed);
  static life l;
  memset(&l, 0, sizeof l);
  os_call(m, "daemon", live, &l, 600 * OS_S);
  assert_true(l.closed);
  uint64_t trace = os_trace() ^ os_disk_print(HOME);
  os_end();
  return trace;
}

static void a_seed_is_one_run(void **state) {
  (void)state;
  assert_true(trace_of(7) == trace_of(7));
  assert_true(trace_of(7) != trace_of(8));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_seed_is_one_run),
      cmocka_unit_test(what_is_told_to_be_durable_is),
      cmocka_unit_test(so_it_is_on_a_disk_that_fails),
      cmocka_unit_test(what_a_restart_shows_is_durable),
      cmocka_unit_test(a_disk_that_lies_is_noticed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
