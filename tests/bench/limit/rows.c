#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "limit.h"

#define SETTLED 2  /* payment.status; 1 is pending */
#define LOG_MIB 34 /* a little more than wal_autocheckpoint's pages */

typedef enum statement { BEGIN, COMMIT, PUT_CHANNEL, INSERT_PAYMENT, SETTLE_PAYMENT, STATEMENTS } statement;

static const char *const SQL[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [PUT_CHANNEL] = "UPDATE channel SET version = ?1, record = ?2 WHERE num = ?3",
    [INSERT_PAYMENT] = "INSERT INTO payment(channel, version, id, amount, status) VALUES(?1, ?2, ?3, '1000000', ?4)",
    [SETTLE_PAYMENT] = "UPDATE payment SET status = 2 WHERE seq = ?1",
};

struct rows {
  sqlite3 *db;
  sqlite3_stmt *stmt[STATEMENTS];
};

static void run_sql(sqlite3 *db, const char *sql) {
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) die("%s: %s", sql, sqlite3_errmsg(db));
}

static void run(rows *r, statement which) {
  sqlite3_stmt *s = r->stmt[which];
  if (sqlite3_step(s) != SQLITE_DONE) die("%s: %s", SQL[which], sqlite3_errmsg(r->db));
  sqlite3_reset(s);
}

static void put_channel(rows *r, channel *c) {
  sqlite3_stmt *s = r->stmt[PUT_CHANNEL];
  sqlite3_bind_int64(s, 1, (sqlite3_int64)c->version);
  sqlite3_bind_blob(s, 2, c->record, RECORD, SQLITE_STATIC);
  sqlite3_bind_int64(s, 3, c->num);
  run(r, PUT_CHANNEL);
}

static void insert_payment(rows *r, channel *c, int status) {
  sqlite3_stmt *s = r->stmt[INSERT_PAYMENT];
  char id[40];
  int len = snprintf(id, sizeof id, "payment-%08u-%016llu", c->num, (unsigned long long)c->version);
  sqlite3_bind_int64(s, 1, c->num);
  sqlite3_bind_int64(s, 2, (sqlite3_int64)c->version);
  sqlite3_bind_text(s, 3, id, len, SQLITE_STATIC);
  sqlite3_bind_int(s, 4, status);
  run(r, INSERT_PAYMENT);
  c->payment = sqlite3_last_insert_rowid(r->db);
}

static void settle_payment(rows *r, channel *c) {
  sqlite3_bind_int64(r->stmt[SETTLE_PAYMENT], 1, c->payment);
  run(r, SETTLE_PAYMENT);
}

/* Makes the log as long as it gets before it is copied and begun anew, as that of a process which has run for a while:
 * a flush within a file costs less than half of one that also makes the file longer, so the machine allows more with a
 * log that was long before. SQLite does not take zeroes for a commit. */
static void stretch_log(const char *db) {
  static const char zeroes[1 << 20];
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s-wal", db);
  int fd = open(path, O_WRONLY | O_APPEND);
  if (fd < 0) die("%s cannot be opened", path);
  for (int i = 0; i < LOG_MIB; i++)
    if (write(fd, zeroes, sizeof zeroes) != (ssize_t)sizeof zeroes) die("%s cannot be written", path);
  if (fsync(fd) != 0) die("%s cannot be flushed", path);
  close(fd);
}

rows *rows_open(const char *path, channel *channels, uint32_t n) {
  rows *r = calloc(1, sizeof *r);
  if (!r) die("no memory");
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path, &r->db, flags, NULL) != SQLITE_OK) die("%s: %s", path, sqlite3_errmsg(r->db));
  run_sql(r->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;"
                 "PRAGMA wal_autocheckpoint = 8000;"
                 "CREATE TABLE channel(num INTEGER PRIMARY KEY, version INTEGER, record BLOB);"
                 "CREATE TABLE payment(seq INTEGER PRIMARY KEY, channel INTEGER, version INTEGER, id TEXT, amount TEXT,"
                 " status INTEGER);"
                 "BEGIN");
  sqlite3_stmt *insert;
  if (sqlite3_prepare_v2(r->db, "INSERT INTO channel VALUES(?, 0, ?)", -1, &insert, NULL) != SQLITE_OK)
    die("%s", sqlite3_errmsg(r->db));
  for (uint32_t i = 0; i < n; i++) {
    sqlite3_bind_int64(insert, 1, channels[i].num);
    sqlite3_bind_blob(insert, 2, channels[i].record, RECORD, SQLITE_STATIC);
    sqlite3_step(insert);
    sqlite3_reset(insert);
  }
  sqlite3_finalize(insert);
  run_sql(r->db, "COMMIT");
  stretch_log(path);
  for (int i = 0; i < STATEMENTS; i++)
    if (sqlite3_prepare_v3(r->db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT, &r->stmt[i], NULL) != SQLITE_OK)
      die("%s: %s", SQL[i], sqlite3_errmsg(r->db));
  return r;
}

void rows_begin(rows *r) {
  run(r, BEGIN);
}

void rows_put(rows *r, channel *c) {
  put_channel(r, c);
  switch (c->stage) {
  case PROPOSE: insert_payment(r, c, SETTLED - 1); break;
  case ACCEPT: insert_payment(r, c, SETTLED); break;
  case ADOPT: settle_payment(r, c); break;
  }
}

void rows_commit(rows *r) {
  run(r, COMMIT);
}

static uint64_t number(sqlite3 *db, const char *sql) {
  sqlite3_stmt *s;
  if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
    die("%s: %s", sql, sqlite3_errmsg(db));
  uint64_t n = (uint64_t)sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return n;
}

uint64_t rows_count(const char *payer, const char *payee) {
  sqlite3 *db;
  if (sqlite3_open_v2(payer, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) die("%s: %s", payer, sqlite3_errmsg(db));
  char *attach = sqlite3_mprintf("ATTACH %Q AS payee", payee);
  run_sql(db, attach);
  sqlite3_free(attach);
  run_sql(db, "CREATE TEMP TABLE paid AS SELECT DISTINCT channel, version FROM main.payment WHERE status = 2;"
              "CREATE TEMP TABLE got(channel, version, PRIMARY KEY(channel, version)) WITHOUT ROWID;"
              "INSERT INTO got SELECT DISTINCT channel, version FROM payee.payment WHERE status = 2");
  uint64_t n = number(db, "SELECT count(*) FROM paid JOIN got USING(channel, version)");
  uint64_t paid = number(db, "SELECT count(*) FROM paid");
  sqlite3_close(db);
  if (n != paid) die("%llu updates are in the payer's database alone", (unsigned long long)(paid - n));
  return n;
}
