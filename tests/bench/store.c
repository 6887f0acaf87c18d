/* The store on a real disk, with SQLite's own figures from the same run beside it.
 *
 *   units_N   units/s with N channels that each have one unit in flight: a record of 1 KiB, one payment, its event
 *   payments  payments/s through one channel in units of 512, each written as accepted and again as settled
 *   limit.*   SQLite alone, WAL and FULL: rows/s with that many rows of 1 KiB in a transaction
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <time.h>

#include <cmocka.h>
#include <linux/magic.h>
#include <sqlite3.h>

#include "store/sqlite.h"
#include "tempdir.h"
#include "units.h"

#define SECONDS 2.0
#define RECORD 1024

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void print(const char *name, double value, const char *unit) {
  printf("bench: store.%s = %.*f %s\n", name, value < 100 ? 3 : 0, value, unit);
  fflush(stdout);
}

/* --- The limit ---------------------------------------------------------------------------------- */

static void run_sql(sqlite3 *db, const char *sql) {
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK) return;
  fprintf(stderr, "bench: %s: %s\n", sql, sqlite3_errmsg(db));
  exit(1);
}

static double limit(const tempdir *dir, unsigned rows) {
  char path[PATH_MAX];
  sqlite3 *db;
  sqlite3_stmt *put;
  static uint8_t record[RECORD];
  if (sqlite3_open(tempdir_file(path, dir, "limit"), &db) != SQLITE_OK) exit(1);
  run_sql(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; DROP TABLE IF EXISTS t;"
              "CREATE TABLE t(id INTEGER PRIMARY KEY, record BLOB)");
  if (sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO t VALUES(?, ?)", -1, &put, NULL) != SQLITE_OK) exit(1);
  double start = now(), end = start;
  uint64_t n = 0;
  for (; end - start < SECONDS; end = now()) {
    run_sql(db, "BEGIN");
    for (unsigned i = 0; i < rows; i++) {
      sqlite3_bind_int64(put, 1, (sqlite3_int64)(n++ % 256));
      sqlite3_bind_blob(put, 2, record, RECORD, SQLITE_STATIC);
      sqlite3_step(put);
      sqlite3_reset(put);
    }
    run_sql(db, "COMMIT");
  }
  sqlite3_finalize(put);
  sqlite3_close(db);
  char name[32];
  snprintf(name, sizeof name, "limit.rows_%u", rows);
  print(name, (double)n / (end - start), "/s");
  return (double)n / (end - start);
}

/* --- Units in flight ----------------------------------------------------------------------------- */

/* Units that have come back; the driver gives each a new content and commits it again. */
typedef struct driver {
  pthread_mutex_t lock;
  pthread_cond_t back;
  cd_unit *list;
  cd_store s;
  uint64_t n;
} driver;

static void come_back(cd_unit *u, bool ok) {
  driver *d = (driver *)u->done_ctx;
  if (!ok) exit(1);
  pthread_mutex_lock(&d->lock);
  u->next = d->list;
  d->list = u;
  pthread_cond_signal(&d->back);
  pthread_mutex_unlock(&d->lock);
}

static cd_unit *take_all(driver *d) {
  pthread_mutex_lock(&d->lock);
  while (!d->list)
    pthread_cond_wait(&d->back, &d->lock);
  cd_unit *list = d->list;
  d->list = NULL;
  pthread_mutex_unlock(&d->lock);
  return list;
}

/* Frees what has come back, at least one unit; how many. */
static unsigned retire(driver *d) {
  unsigned n = 0;
  for (cd_unit *u = take_all(d), *next; u; u = next, n++) {
    next = u->next;
    cd_unit_free(u);
  }
  return n;
}

static void give(driver *d, cd_unit *u) {
  u->done = come_back;
  u->done_ctx = d;
  d->s.ops->commit(d->s.ctx, u);
}

static void open_driver(driver *d, const tempdir *dir, const char *name) {
  char path[PATH_MAX], why[400];
  cd_store_config cfg = {.path = tempdir_file(path, dir, name), .shards = 4};
  memset(d, 0, sizeof *d);
  pthread_mutex_init(&d->lock, NULL);
  pthread_cond_init(&d->back, NULL);
  if (cd_store_sqlite_open(&d->s, &cfg, why, sizeof why) == CH_OK) return;
  fprintf(stderr, "bench: %s\n", why);
  exit(1);
}

static cd_unit *channel_unit(unsigned channel) {
  cd_unit *u = units_new(channel, 1);
  u->record = (uint8_t *)realloc(u->record, RECORD);
  memset(u->record, (int)channel, RECORD);
  u->record_len = RECORD;
  units_payment(u, true, CH_PAYMENT_SETTLED, "0123456789abcdef", 1, 0, 0);
  return u;
}

/* As the engine adopts version after version, each with one payment. */
static void next_version(driver *d, cd_unit *u) {
  u->now++;
  memcpy(u->record, &u->now, sizeof u->now);
  u->fx.v[0].u.payment.version++;
  memcpy(u->fx.v[0].u.payment.op.id, &d->n, sizeof d->n);
  for (int i = 0; i < 8; i++)
    u->fx.v[0].u.payment.op.id[i] = (char)('a' + (d->n * 2654435761U >> (4 * i)) % 16);
  d->n++;
}

static double units(const tempdir *dir, unsigned channels) {
  driver d;
  char name[40];
  snprintf(name, sizeof name, "units%u", channels);
  open_driver(&d, dir, name);
  double start = now(), end = start;
  for (unsigned i = 0; i < channels; i++)
    give(&d, channel_unit(i));
  for (; end - start < SECONDS; end = now()) {
    for (cd_unit *u = take_all(&d), *next; u; u = next) {
      next = u->next;
      next_version(&d, u);
      give(&d, u);
    }
  }
  d.s.ops->flush(d.s.ctx);
  end = now();
  cd_store_stats stats;
  cd_store_sqlite_stats(&d.s, &stats);
  retire(&d);
  d.s.ops->close(d.s.ctx);
  double rate = (double)stats.units / (end - start);
  snprintf(name, sizeof name, "units_%u", channels);
  print(name, rate, "/s");
  snprintf(name, sizeof name, "units_%u.flushes_per_unit", channels);
  print(name, (double)stats.groups / (double)stats.units, "");
  return rate;
}

/* --- Payments in batches ------------------------------------------------------------------------- */

static cd_unit *batch(uint64_t number, ch_payment_status status) {
  cd_unit *u = units_new(1, number + 1);
  for (uint32_t i = 0; i < CH_MAX_OPS; i++) {
    char id[33]; /* as long as a UUID without its dashes, and spread as widely */
    uint64_t mixed = (number * CH_MAX_OPS + i) * 0x9e3779b97f4a7c15U;
    snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)mixed, (unsigned long long)~mixed);
    units_payment(u, false, status, id, 1, status == CH_PAYMENT_SETTLED ? number + 1 : 0, i);
  }
  return u;
}

/* A few units in flight; the accepted batches are two ahead of the settled ones. */
static void payments(const tempdir *dir) {
  driver d;
  open_driver(&d, dir, "payments");
  double start = now(), end = start;
  uint64_t number = 0;
  unsigned in_flight = 0;
  for (; end - start < SECONDS; end = now()) {
    give(&d, batch(number++, CH_PAYMENT_PENDING));
    in_flight++;
    if (number > 2) {
      give(&d, batch(number - 3, CH_PAYMENT_SETTLED));
      in_flight++;
    }
    while (in_flight > 4)
      in_flight -= retire(&d);
  }
  d.s.ops->flush(d.s.ctx);
  end = now();
  while (in_flight > 0)
    in_flight -= retire(&d);
  d.s.ops->close(d.s.ctx);
  print("payments", (double)(number - 2) * CH_MAX_OPS / (end - start), "/s");
}

int main(void) {
  tempdir dir;
  tempdir_make(&dir);
  struct statfs fs;
  if (statfs(dir.path, &fs) != 0 || fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) {
    fprintf(stderr, "bench: %s is in memory, where a flush costs nothing; name a folder on a disk in TMPDIR\n",
            dir.path);
    tempdir_remove(&dir);
    return 1;
  }
  double one = limit(&dir, 1);
  double group = limit(&dir, 32);
  print("units_1.ratio", units(&dir, 1) / one, "of limit.rows_1");
  print("units_64.ratio", units(&dir, 64) / group, "of limit.rows_32");
  units(&dir, 256);
  payments(&dir);
  tempdir_remove(&dir);
  return 0;
}
