/* The power fails at any moment: the database opens and holds exactly the first units, at least all whose done(ok) was
 * called. What was not flushed may be lost, found in any order, in part, or as noise. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "powercut.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "tempdir.h"
#include "units.h"

#define VARIANTS 8       /* of the disk after each cut */
#define BIG (100 * 1024) /* bytes of a record that makes the log long */

static units_log made; /* since powercut_begin */
static unsigned cuts;

static cd_store open_named(const tempdir *dir, const char *name) {
  char path[PATH_MAX], why[400];
  cd_store_config cfg = {.path = tempdir_file(path, dir, name), .vfs = "powercut", .shards = 4, .group = 4};
  cd_store s;
  if (cd_store_sqlite_open(&s, &cfg, why, sizeof why) != CH_OK) fail_msg("%s", why);
  return s;
}

static cd_store open_store(const tempdir *dir) {
  return open_named(dir, "db");
}

static void close_store(cd_store *s) {
  s->ops->close(s->ctx);
}

/* --- What is written ---------------------------------------------------------------------------- */

static size_t acknowledged(void *arg) {
  (void)arg;
  pthread_mutex_lock(&made.lock);
  size_t n = made.n;
  pthread_mutex_unlock(&made.lock);
  return n;
}

/* Unit number `tag`, from 1: payment number `tag` of the only channel, whose record ends in the number. */
static void give(const cd_store *s, uint64_t tag, size_t record_len) {
  char id[32];
  cd_unit *u = units_new(1, tag);
  snprintf(id, sizeof id, "payment-%llu", (unsigned long long)tag);
  units_payment(u, false, CH_PAYMENT_SETTLED, id, tag, tag, 0);
  units_history(u, CH_PHASE_OPEN, CH_PHASE_OPEN, tag, "a cause");
  u->record = (uint8_t *)realloc(u->record, record_len);
  assert_non_null(u->record);
  memset(u->record, (int)tag, record_len);
  memcpy(u->record + record_len - sizeof tag, &tag, sizeof tag);
  u->record_len = record_len;
  units_commit(&made, s, u);
}

/* Up to `last`; every third time several wait together, so that they share a group. */
static void give_some(const cd_store *s, uint64_t *tag, uint64_t last, size_t record_len) {
  while (*tag < last) {
    give(s, ++*tag, record_len);
    if (*tag % 9 < 6) s->ops->flush(s->ctx);
  }
  s->ops->flush(s->ctx);
}

static void begin(void) {
  units_log_init(&made);
  powercut_begin(acknowledged, NULL);
}

/* --- What is found ------------------------------------------------------------------------------ */

static bool next_payment(void *arg, const cd_payment *p) {
  uint64_t *n = (uint64_t *)arg;
  char id[32];
  snprintf(id, sizeof id, "payment-%llu", (unsigned long long)++*n);
  assert_string_equal(p->id, id);
  assert_true(p->amount.v == *n);
  return true;
}

static bool next_event(void *arg, const cd_history *h) {
  uint64_t *n = (uint64_t *)arg;
  if (strcmp(h->cause, "a cause") == 0) assert_int_equal(h->version, ++*n);
  return true;
}

static uint64_t last_of_record(const cd_store *s) {
  ch_hash id = units_channel(1);
  uint8_t *record;
  size_t len;
  uint64_t tag;
  ch_err err = s->ops->channel(s->ctx, &id, &record, &len);
  if (err == CH_ERR_UNKNOWN_CHANNEL) return 0;
  assert_int_equal(err, CH_OK);
  memcpy(&tag, record + len - sizeof tag, sizeof tag);
  for (size_t i = 0; i < len - sizeof tag; i++)
    if (record[i] != (uint8_t)tag) fail_msg("byte %zu of record %llu", i, (unsigned long long)tag);
  free(record);
  return tag;
}

static void check_cut(const tempdir *dir, const char *name, size_t at, unsigned seed) {
  powercut_restore(dir->path, at, seed);
  cd_store s = open_named(dir, name);
  cd_payment_filter all = {.limit = 1000};
  ch_hash id = units_channel(1);
  uint64_t payments = 0, events = 0, last = last_of_record(&s);
  assert_int_equal(s.ops->payments(s.ctx, &all, next_payment, &payments), CH_OK);
  assert_int_equal(s.ops->history(s.ctx, &id, 0, 1000, next_event, &events), CH_OK);
  if (payments != last || events != last || last < powercut_mark(at))
    fail_msg("cut %zu, seed %u: record %llu, %llu payments, %llu events, %zu acknowledged", at, seed,
             (unsigned long long)last, (unsigned long long)payments, (unsigned long long)events, powercut_mark(at));
  cd_unit *u = units_new(2, 1); /* and it goes on */
  assert_true(units_commit_now(&s, u));
  close_store(&s);
  cuts++;
}

/* --- Tests -------------------------------------------------------------------------------------- */

/* From the first byte on: made, used, closed, opened again, used. Each change in turn is the first one lost. */
static void test_at_every_change(void **state) {
  (void)state;
  tempdir dir, after;
  uint64_t tag = 0;
  tempdir_make(&dir);
  tempdir_make(&after);
  begin();
  cd_store s = open_store(&dir);
  give_some(&s, &tag, 40, 200);
  close_store(&s);
  s = open_store(&dir);
  give_some(&s, &tag, 60, 9000);
  close_store(&s);
  powercut_end();
  assert_true(powercut_changes() > 100);
  for (size_t at = 0; at < powercut_changes(); at++)
    for (unsigned seed = 0; seed < VARIANTS; seed++)
      check_cut(&after, "db", at, (unsigned)(seed < 2 ? seed : at * VARIANTS + seed));
  tempdir_remove(&dir);
  tempdir_remove(&after);
}

static void await_checkpoint(const cd_store *s) {
  cd_store_stats stats;
  do {
    sched_yield();
    cd_store_sqlite_stats(s, &stats);
  } while (stats.checkpoints == 0);
}

/* The log is copied into the database and begun anew while the store runs. */
static void test_while_the_log_is_copied(void **state) {
  (void)state;
  tempdir dir, after;
  uint64_t tag = 0;
  tempdir_make(&dir);
  tempdir_make(&after);
  begin();
  cd_store s = open_store(&dir);
  give_some(&s, &tag, 90, BIG);
  await_checkpoint(&s);
  size_t copied = powercut_changes();
  give_some(&s, &tag, 110, 200);
  close_store(&s);
  powercut_end();
  for (size_t at = copied > 60 ? copied - 60 : 0; at < powercut_changes() && at < copied + 60; at += 3)
    for (unsigned seed = 0; seed < 4; seed++)
      check_cut(&after, "db", at, (unsigned)(seed < 2 ? seed : at * VARIANTS + seed));
  tempdir_remove(&dir);
  tempdir_remove(&after);
}

static void execute(sqlite3 *db, const char *sql) {
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static sqlite3 *open_raw(const tempdir *dir, const char *name) {
  char path[PATH_MAX];
  sqlite3 *db;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  assert_int_equal(sqlite3_open_v2(tempdir_file(path, dir, name), &db, flags, "powercut"), SQLITE_OK);
  return db;
}

/* The content of "db" as a database of the first form, whose pages have no room for checksums. */
static void make_old(const tempdir *dir) {
  char sql[PATH_MAX + 32], path[PATH_MAX], why[200];
  sqlite3 *old = open_raw(dir, "old");
  execute(old, "PRAGMA journal_mode = WAL");
  assert_int_equal(cd_schema_migrate(old, 1, why, sizeof why), CH_OK);
  snprintf(sql, sizeof sql, "ATTACH '%s' AS new", tempdir_file(path, dir, "db"));
  execute(old, sql);
  execute(old, "INSERT INTO channel SELECT num, id, peer, phase, updated, in_epoch, in_version, in_idx, record"
               "  FROM new.channel;"
               "INSERT INTO payment SELECT channel, seq, incoming, id, amount, status, epoch, version, idx, reason,"
               "  created, updated FROM new.payment;"
               "INSERT INTO history SELECT * FROM new.history; DETACH new");
  assert_int_equal(sqlite3_close(old), SQLITE_OK);
}

/* As another program leaves it: pages with room, but without checksums. */
static void make_partly(const tempdir *dir) {
  sqlite3 *db = open_raw(dir, "db");
  execute(db, "VACUUM");
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A database without checksums, or with some, is given them: all of it is written anew. */
static void test_while_checksums_are_made(void **state) {
  (void)state;
  static const char *const names[] = {"old", "db"};
  for (int i = 0; i < 2; i++) {
    tempdir dir, after;
    uint64_t tag = 0;
    tempdir_make(&dir);
    tempdir_make(&after);
    begin();
    cd_store s = open_store(&dir);
    give_some(&s, &tag, 40, 9000);
    close_store(&s);
    i == 0 ? make_old(&dir) : make_partly(&dir);
    size_t from = powercut_changes();
    s = open_named(&dir, names[i]);
    give_some(&s, &tag, 45, 200);
    close_store(&s);
    powercut_end();
    assert_true(powercut_changes() > from + 20);
    for (size_t at = from; at < powercut_changes(); at++)
      for (unsigned seed = 0; seed < VARIANTS; seed++)
        check_cut(&after, names[i], at, (unsigned)(seed < 2 ? seed : at * VARIANTS + seed));
    tempdir_remove(&dir);
    tempdir_remove(&after);
  }
}

int main(void) {
  powercut_register();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_at_every_change),
      cmocka_unit_test(test_while_the_log_is_copied),
      cmocka_unit_test(test_while_checksums_are_made),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  printf("# %u power cuts\n", cuts);
  return failed;
}
