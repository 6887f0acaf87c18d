#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "db.h"

/* Append only: a released migration is never changed, as databases made by it are out there. Ids are BLOBs, money is
 * decimal TEXT, times are chain seconds, 64-bit counters are two's complement. Rows name a channel by its small number.
 *
 * Under load a unit's cost is the number of pages that it dirties, each of which goes to the log. So what a channel
 * gathers lies together, and an index must earn its page. */
static const char *const MIGRATIONS[] = {
    /* 1 */
    /* in_*: the place, in the co-signed states, of the last payment that came in. What is beyond it is new. */
    "CREATE TABLE channel("
    "  num INTEGER PRIMARY KEY,"
    "  id BLOB NOT NULL UNIQUE CHECK(length(id) = 32),"
    "  peer BLOB NOT NULL CHECK(length(peer) = 33),"
    "  phase INTEGER NOT NULL,"
    "  updated INTEGER NOT NULL,"
    "  in_epoch INTEGER NOT NULL,"
    "  in_version INTEGER NOT NULL,"
    "  in_idx INTEGER NOT NULL,"
    "  record BLOB NOT NULL) STRICT;"

    /* seq: the order of acceptance on this node, shared with the history. No foreign key: it would look up, for every
     * row, the channel that the same unit has just written. */
    "CREATE TABLE payment("
    "  channel INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  incoming INTEGER NOT NULL CHECK(incoming IN (0, 1)),"
    "  id TEXT NOT NULL,"
    "  amount TEXT NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  epoch INTEGER NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  idx INTEGER NOT NULL,"
    "  reason INTEGER NOT NULL,"
    "  created INTEGER NOT NULL,"
    "  updated INTEGER NOT NULL,"
    "  PRIMARY KEY(channel, seq)) STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX payment_seq ON payment(seq);"
    /* The caller of this node chooses outgoing ids: one payment for each, whatever the channel. The peer chooses the
     * incoming ones, so their place is what tells them apart. */
    "CREATE UNIQUE INDEX payment_out ON payment(id) WHERE incoming = 0;"
    "CREATE INDEX payment_in ON payment(id) WHERE incoming = 1;"
    "CREATE INDEX payment_pending ON payment(channel) WHERE status = 1;"
    "CREATE INDEX payment_failed ON payment(channel) WHERE status = 3;"

    /* What the engine says of a channel, numbered together with the payments: a reader merges both. */
    "CREATE TABLE history("
    "  seq INTEGER PRIMARY KEY,"
    "  channel INTEGER NOT NULL REFERENCES channel(num),"
    "  time INTEGER NOT NULL,"
    "  from_phase INTEGER NOT NULL,"
    "  to_phase INTEGER NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  cause TEXT NOT NULL) STRICT;"
    "CREATE INDEX history_channel ON history(channel);"

    "CREATE TABLE tx("
    "  num INTEGER PRIMARY KEY,"
    "  key BLOB NOT NULL UNIQUE CHECK(length(key) = 32),"
    "  channel BLOB NOT NULL CHECK(length(channel) = 32)," /* zero for wallet transfers: no reference */
    "  kind INTEGER NOT NULL,"
    "  value TEXT NOT NULL,"
    "  data BLOB NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  nonce INTEGER," /* NULL: none yet */
    "  raw BLOB NOT NULL,"
    "  hash BLOB NOT NULL CHECK(length(hash) = 32),"
    "  block INTEGER NOT NULL,"
    "  error TEXT NOT NULL,"
    "  updated INTEGER NOT NULL) STRICT;"
    "CREATE INDEX tx_unfinished ON tx(num) WHERE status < 4;"

    "CREATE TABLE peer("
    "  node BLOB NOT NULL PRIMARY KEY CHECK(length(node) = 33),"
    "  address TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    /* 2: nothing but the promise that every page has a checksum, which they got before (sqlite.c). */
    "",
    /* 3: a transaction that is outbid. replaced: 32-byte hashes, oldest first. */
    "ALTER TABLE tx ADD COLUMN replaced BLOB NOT NULL DEFAULT x'';"
    "ALTER TABLE tx ADD COLUMN since INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tx ADD COLUMN deadline INTEGER NOT NULL DEFAULT 0;",
    /* 4: conditional payments. lock: its encoding (proto/protocol.md, section 6), empty for a plain payment. */
    "ALTER TABLE payment ADD COLUMN lock BLOB NOT NULL DEFAULT x'';"
    "ALTER TABLE payment ADD COLUMN preimage BLOB NOT NULL DEFAULT x'';"
    "CREATE INDEX payment_locked ON payment(channel) WHERE status = 5;",
    /* 5: the first bytes of a channel's record, which seldom change; no row: there are none. The rest is so small that
     * several channels share a page. */
    "CREATE TABLE steady("
    "  num INTEGER PRIMARY KEY,"
    "  bytes BLOB NOT NULL) STRICT;",
};

unsigned cd_schema_newest(void) {
  return sizeof MIGRATIONS / sizeof MIGRATIONS[0];
}

/* The one number that `sql` gives. */
static int number(sqlite3 *db, const char *sql, int64_t *out) {
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK) return rc;
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) *out = sqlite3_column_int64(stmt, 0);
  int end = sqlite3_finalize(stmt);
  return rc == SQLITE_ROW ? SQLITE_OK : end != SQLITE_OK ? end : SQLITE_ERROR;
}

static ch_err unreadable(sqlite3 *db, int rc, char *why, size_t why_len) {
  if ((rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT)
    return cd_db_why(
        CH_ERR_FORMAT, why, why_len,
        "it is damaged, was changed by another program, or is no database at all (%s); stop using it and restore "
        "the newest copy",
        sqlite3_errmsg(db));
  return cd_db_why(CH_ERR_ARGUMENT, why, why_len, "it cannot be read (%s); check the disk and the file's permissions",
                   sqlite3_errmsg(db));
}

/* quick_check walks every page it is asked for and compares the order of keys, but not each index with its table. */
static ch_err check_pages(sqlite3 *db, const char *what, char *why, size_t why_len) {
  char sql[64];
  snprintf(sql, sizeof sql, "PRAGMA quick_check%s", what);
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK) return unreadable(db, rc, why, why_len);
  rc = sqlite3_step(stmt);
  const char *found = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
  ch_err err = CH_OK;
  if (rc != SQLITE_ROW)
    err = unreadable(db, rc, why, why_len);
  else if (!found || strcmp(found, "ok") != 0)
    err = cd_db_why(CH_ERR_FORMAT, why, why_len,
                    "it is damaged, or was changed by another program (%.150s); stop using it and restore the newest "
                    "copy, as old data can lose money",
                    found ? found : "no memory to tell where");
  sqlite3_finalize(stmt);
  return err;
}

static ch_err check_size(sqlite3 *db, uint64_t check_all, char *why, size_t why_len) {
  int64_t pages = 0, page_size = 0;
  int rc = number(db, "PRAGMA page_count", &pages);
  if (rc == SQLITE_OK) rc = number(db, "PRAGMA page_size", &page_size);
  if (rc != SQLITE_OK) return unreadable(db, rc, why, why_len);
  if ((uint64_t)pages * (uint64_t)page_size <= check_all) return check_pages(db, "", why, why_len);
  /* The lists of payments and events grow without end and would make the start as slow. */
  static const char *const tables[] = {"channel", "tx", "steady"};
  ch_err err = CH_OK;
  for (size_t i = 0; i < sizeof tables / sizeof *tables && !err; i++) {
    int64_t there = 0;
    char sql[80], what[16];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM sqlite_schema WHERE name = '%s'", tables[i]);
    snprintf(what, sizeof what, "(%s)", tables[i]);
    if (number(db, sql, &there) != SQLITE_OK) return unreadable(db, sqlite3_errcode(db), why, why_len);
    if (there) err = check_pages(db, what, why, why_len); /* an older form has not all */
  }
  return err;
}

ch_err cd_schema_check(sqlite3 *db, uint64_t check_all, bool sums, char *why, size_t why_len) {
  int64_t application = 0, version = 0, objects = 0;
  int rc = number(db, "PRAGMA application_id", &application);
  if (rc == SQLITE_OK) rc = number(db, "PRAGMA user_version", &version);
  if (rc == SQLITE_OK) rc = number(db, "SELECT count(*) FROM sqlite_schema", &objects);
  if (rc != SQLITE_OK) return unreadable(db, rc, why, why_len);
  if (application == 0 && version == 0 && objects == 0) return CH_OK;
  if (application != CD_SCHEMA_APPLICATION)
    return cd_db_why(CH_ERR_FORMAT, why, why_len, "it belongs to another program; name another folder");
  if (version < 0 || version > (int64_t)cd_schema_newest())
    return cd_db_why(CH_ERR_VERSION, why, why_len,
                     "a newer release wrote it (form %lld, this release knows forms up to %u); upgrade channeld",
                     (long long)version, cd_schema_newest());
  if (version >= CD_SCHEMA_SUMS && !sums)
    return cd_db_why(CH_ERR_FORMAT, why, why_len,
                     "it is damaged (its first page says that there are no checksums); stop using it and restore the "
                     "newest copy, as old data can lose money");
  return check_size(db, check_all, why, why_len);
}

ch_err cd_schema_migrate(sqlite3 *db, unsigned to, char *why, size_t why_len) {
  int64_t version = 0;
  int rc = number(db, "PRAGMA user_version", &version);
  while (rc == SQLITE_OK && version < (int64_t)to) {
    char end[128];
    snprintf(end, sizeof end, "PRAGMA application_id = %d; PRAGMA user_version = %u; COMMIT", CD_SCHEMA_APPLICATION,
             (unsigned)version + 1);
    rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_exec(db, MIGRATIONS[version], NULL, NULL, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_exec(db, end, NULL, NULL, NULL);
    version++;
  }
  if (rc == SQLITE_OK) return CH_OK;
  ch_err err = cd_db_why(CH_ERR_ARGUMENT, why, why_len,
                         "it cannot be brought to this release's form %u (%s); check the disk, nothing was lost",
                         (unsigned)version, sqlite3_errmsg(db));
  if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return err;
}
