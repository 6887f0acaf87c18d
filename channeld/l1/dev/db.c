#include "db.h"

#include <stdio.h>

#define APPLICATION_ID 0x63446576 /* "cDev": tells our files from other people's databases */
#define FORMAT 2
#define BUSY_MS 10000

/* WAL lets readers and one writer of several processes work at once. NORMAL: a power cut may cost the last blocks,
 * which the daemons see as a reorganisation; nothing that ends a process does. */
static const char SETUP[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";

static const char SCHEMA[] =
    "PRAGMA application_id = 1665426806;"
    "PRAGMA user_version = 2;"
    "CREATE TABLE chain (one INTEGER PRIMARY KEY CHECK (one = 1), chain_id INTEGER NOT NULL,"
    "  interval INTEGER NOT NULL, clock_offset INTEGER NOT NULL, branch INTEGER NOT NULL) STRICT;"
    "CREATE TABLE blocks (number INTEGER PRIMARY KEY, parent BLOB NOT NULL, hash BLOB NOT NULL,"
    "  time INTEGER NOT NULL) STRICT;"
    "CREATE TABLE txs (hash BLOB PRIMARY KEY, block INTEGER NOT NULL, place INTEGER NOT NULL,"
    "  raw BLOB NOT NULL, sender BLOB NOT NULL, error TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX txs_block ON txs (block, place);"
    "CREATE TABLE events (block INTEGER NOT NULL, place INTEGER NOT NULL, channel BLOB NOT NULL,"
    "  kind INTEGER NOT NULL, epoch INTEGER NOT NULL, record BLOB NOT NULL,"
    "  PRIMARY KEY (block, place)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX events_channel ON events (channel, block);"
    "CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    /* What a key was before a block, NULL if it was not. */
    "CREATE TABLE undo (key BLOB NOT NULL, block INTEGER NOT NULL, value BLOB,"
    "  PRIMARY KEY (key, block)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX undo_block ON undo (block);";

/* Format 2 has the same tables; what a release before it does not know is in them: more kinds of calls and events,
 * several events of one transaction. */
static const char UPGRADE[] = "PRAGMA user_version = 2;";

_Static_assert(APPLICATION_ID == 1665426806, "the schema names it in decimal");

static void fail_on(cd_dev_db *db, int rc) {
  if (rc != SQLITE_OK) {
    db->failed = true;
  }
}

static void exec(cd_dev_db *db, const char *sql) {
  if (!db->failed) {
    fail_on(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
  }
}

/* --- Opening --------------------------------------------------------------------------------------------------- */

/* SQLite does not wait for a lock when it changes the journal mode, so this does. */
static int set_up(sqlite3 *handle) {
  int rc = SQLITE_BUSY;
  for (int waited = 0; waited < BUSY_MS; waited += 10) {
    rc = sqlite3_exec(handle, SETUP, NULL, NULL, NULL);
    if (rc != SQLITE_BUSY && rc != SQLITE_LOCKED) {
      return rc;
    }
    sqlite3_sleep(10);
  }
  return rc;
}

static uint64_t number(cd_dev_db *db, const char *sql) {
  cd_dev_run run = cd_dev_sql(db, sql);
  uint64_t value = cd_dev_row(&run) ? cd_dev_col_int(&run, 0) : 0;
  cd_dev_done(&run);
  return value;
}

/* In a write transaction: makes the tables if the file is new, else checks whose file it is. */
static ch_err take_over(cd_dev_db *db, const char *path, bool *made, char *why, size_t why_len) {
  uint64_t format = number(db, "PRAGMA user_version");
  *made = format == 0 && number(db, "SELECT count(*) FROM sqlite_schema") == 0;
  if (*made) {
    exec(db, SCHEMA);
  } else if (!db->failed && number(db, "PRAGMA application_id") != APPLICATION_ID) {
    snprintf(why, why_len, "%s is a database, but no embedded chain; name another file.", path);
    return CH_ERR_FORMAT;
  } else if (format > FORMAT) {
    snprintf(why, why_len, "%s was written by a newer release; upgrade before opening it.", path);
    return CH_ERR_VERSION;
  } else if (format < FORMAT) {
    exec(db, UPGRADE);
  }
  if (db->failed) {
    snprintf(why, why_len, "The embedded chain %s cannot be read: %s.", path, sqlite3_errmsg(db->handle));
    return CH_ERR_FORMAT;
  }
  return CH_OK;
}

ch_err cd_dev_db_open(cd_dev_db *db, const char *path, bool *made, char *why, size_t why_len) {
  memset(db, 0, sizeof *db);
  *made = false;
  int rc = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    rc = set_up(db->handle);
  }
  if (rc != SQLITE_OK) {
    snprintf(why, why_len, "The embedded chain %s cannot be opened: %s. Check the path and its permissions.", path,
             db->handle == NULL ? "out of memory" : sqlite3_errmsg(db->handle));
    cd_dev_db_close(db);
    return rc == SQLITE_NOTADB ? CH_ERR_FORMAT : CH_ERR_ARGUMENT;
  }
  cd_dev_db_begin_write(db);
  ch_err err = take_over(db, path, made, why, why_len);
  if (err != CH_OK || !*made) {
    db->failed = err != CH_OK;
    ch_err ended = cd_dev_db_end(db);
    err = err != CH_OK ? err : ended;
  }
  if (err != CH_OK) {
    cd_dev_db_close(db);
  }
  return err;
}

void cd_dev_db_close(cd_dev_db *db) {
  for (size_t i = 0; i < db->n_prepared; i++) {
    sqlite3_finalize(db->prepared[i].stmt);
  }
  sqlite3_close(db->handle);
  memset(db, 0, sizeof *db);
}

void cd_dev_db_begin_read(cd_dev_db *db) {
  db->failed = false;
  exec(db, "BEGIN");
}

void cd_dev_db_begin_write(cd_dev_db *db) {
  db->failed = false;
  exec(db, "BEGIN IMMEDIATE");
}

ch_err cd_dev_db_end(cd_dev_db *db) {
  exec(db, "COMMIT");
  if (db->failed && !sqlite3_get_autocommit(db->handle)) {
    (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL); /* it can only fail if nothing is open any more */
  }
  return db->failed ? CH_ERR_BUG : CH_OK;
}

/* --- Statements ------------------------------------------------------------------------------------------------ */

static sqlite3_stmt *prepared(cd_dev_db *db, const char *sql) {
  for (size_t i = 0; i < db->n_prepared; i++) {
    if (db->prepared[i].sql == sql) {
      return db->prepared[i].stmt;
    }
  }
  sqlite3_stmt *stmt = NULL;
  if (db->n_prepared == CD_DEV_STATEMENTS ||
      sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
    return NULL;
  }
  db->prepared[db->n_prepared].sql = sql;
  db->prepared[db->n_prepared++].stmt = stmt;
  return stmt;
}

cd_dev_run cd_dev_sql(cd_dev_db *db, const char *sql) {
  cd_dev_run run = {.db = db, .stmt = db->failed ? NULL : prepared(db, sql)};
  if (run.stmt == NULL) {
    db->failed = true;
  }
  return run;
}

void cd_dev_bind_int(cd_dev_run *run, uint64_t value) {
  if (!run->db->failed) {
    fail_on(run->db, sqlite3_bind_int64(run->stmt, ++run->at, (sqlite3_int64)value));
  }
}

void cd_dev_bind_bytes(cd_dev_run *run, const void *bytes, size_t len) {
  if (!run->db->failed) {
    fail_on(run->db, sqlite3_bind_blob64(run->stmt, ++run->at, bytes, len, SQLITE_STATIC));
  }
}

void cd_dev_bind_text(cd_dev_run *run, const char *text) {
  if (!run->db->failed) {
    fail_on(run->db, sqlite3_bind_text(run->stmt, ++run->at, text, -1, SQLITE_STATIC));
  }
}

bool cd_dev_row(cd_dev_run *run) {
  if (run->db->failed) {
    return false;
  }
  int rc = sqlite3_step(run->stmt);
  if (rc == SQLITE_ROW) {
    return true;
  }
  fail_on(run->db, rc == SQLITE_DONE ? SQLITE_OK : rc);
  cd_dev_done(run);
  return false;
}

void cd_dev_done(cd_dev_run *run) {
  if (run->stmt != NULL) {
    sqlite3_reset(run->stmt); /* its result repeats what step has said */
  }
}

void cd_dev_exec(cd_dev_run *run) {
  if (cd_dev_row(run)) {
    cd_dev_done(run);
  }
}

uint64_t cd_dev_col_int(const cd_dev_run *run, int column) {
  return (uint64_t)sqlite3_column_int64(run->stmt, column);
}

size_t cd_dev_col_bytes(const cd_dev_run *run, int column, void *out, size_t size) {
  const void *bytes = sqlite3_column_blob(run->stmt, column);
  size_t len = (size_t)sqlite3_column_bytes(run->stmt, column);
  if (len > size) {
    run->db->failed = true;
    return 0;
  }
  if (len > 0) {
    memcpy(out, bytes, len);
  }
  return len;
}

void cd_dev_col_exact(const cd_dev_run *run, int column, void *out, size_t size) {
  if (cd_dev_col_bytes(run, column, out, size) != size) {
    run->db->failed = true;
  }
}

/* --- The state ------------------------------------------------------------------------------------------------- */

static size_t one_value(cd_dev_run *run, uint8_t *out, bool *found) {
  *found = cd_dev_row(run);
  if (!*found) {
    return 0;
  }
  size_t len = cd_dev_col_bytes(run, 0, out, CD_DEV_VALUE_MAX);
  cd_dev_done(run);
  return len;
}

size_t cd_dev_state_get(cd_dev_db *db, const uint8_t *key, size_t key_len, uint8_t *out) {
  bool found;
  cd_dev_run run = cd_dev_sql(db, "SELECT value FROM state WHERE key = ?");
  cd_dev_bind_bytes(&run, key, key_len);
  return one_value(&run, out, &found);
}

size_t cd_dev_state_get_at(cd_dev_db *db, uint64_t height, const uint8_t *key, size_t key_len, uint8_t *out) {
  bool found;
  cd_dev_run run = cd_dev_sql(db, "SELECT value FROM undo WHERE key = ? AND block > ? ORDER BY block LIMIT 1");
  cd_dev_bind_bytes(&run, key, key_len);
  cd_dev_bind_int(&run, height);
  size_t len = one_value(&run, out, &found);
  return found ? len : cd_dev_state_get(db, key, key_len, out);
}

void cd_dev_state_put(cd_dev_db *db, uint64_t height, const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t len) {
  /* Only a block's first change of a key is kept: it knows the value before the block. */
  cd_dev_run run = cd_dev_sql(
      db, "INSERT OR IGNORE INTO undo (key, block, value) SELECT ?1, ?2, (SELECT value FROM state WHERE key = ?1)");
  cd_dev_bind_bytes(&run, key, key_len);
  cd_dev_bind_int(&run, height);
  cd_dev_exec(&run);
  if (len == 0) {
    run = cd_dev_sql(db, "DELETE FROM state WHERE key = ?");
    cd_dev_bind_bytes(&run, key, key_len);
  } else {
    run = cd_dev_sql(db, "INSERT INTO state (key, value) VALUES (?, ?) "
                         "ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    cd_dev_bind_bytes(&run, key, key_len);
    cd_dev_bind_bytes(&run, value, len);
  }
  cd_dev_exec(&run);
}

void cd_dev_state_undo(cd_dev_db *db, uint64_t height) {
  /* A key's value after `height` is what the first later block found. */
  static const char *const steps[] = {
      "DELETE FROM state WHERE key IN (SELECT key FROM undo WHERE block > ?)",
      ("INSERT INTO state (key, value) SELECT key, value FROM undo AS u WHERE block > ?1 AND value IS NOT NULL "
       "AND block = (SELECT min(block) FROM undo WHERE key = u.key AND block > ?1)"),
      "DELETE FROM undo WHERE block > ?",
  };
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    cd_dev_run run = cd_dev_sql(db, steps[i]);
    cd_dev_bind_int(&run, height);
    cd_dev_exec(&run);
  }
}

void cd_dev_state_forget(cd_dev_db *db, uint64_t height) {
  cd_dev_run run = cd_dev_sql(db, "DELETE FROM undo WHERE block <= ?");
  cd_dev_bind_int(&run, height);
  cd_dev_exec(&run);
}
