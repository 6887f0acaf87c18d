#include "db.h"

#include <stdio.h>

#define APPLICATION_ID 0x63446576 /* "cDev": tells our files from other people's databases */
#define FORMAT 2

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

/* --- Opening --------------------------------------------------------------------------------------------------- */

/* In a write transaction: makes the tables if the file is new, else checks whose file it is. */
static ch_err take_over(cd_sql_db *db, const char *path, bool *made, char *why, size_t why_len) {
  uint64_t format = cd_sql_number(db, "PRAGMA user_version");
  *made = format == 0 && cd_sql_number(db, "SELECT count(*) FROM sqlite_schema") == 0;
  if (*made) {
    cd_sql_script(db, SCHEMA);
  } else if (!db->failed && cd_sql_number(db, "PRAGMA application_id") != APPLICATION_ID) {
    snprintf(why, why_len, "%s is a database, but no embedded chain; name another file.", path);
    return CH_ERR_FORMAT;
  } else if (format > FORMAT) {
    snprintf(why, why_len, "%s was written by a newer release; upgrade before opening it.", path);
    return CH_ERR_VERSION;
  } else if (format < FORMAT) {
    cd_sql_script(db, UPGRADE);
  }
  if (db->failed) {
    snprintf(why, why_len, "The embedded chain %s cannot be read: %s.", path, sqlite3_errmsg(db->handle));
    return CH_ERR_FORMAT;
  }
  return CH_OK;
}

ch_err cd_dev_db_open(cd_sql_db *db, const char *path, bool *made, char *why, size_t why_len) {
  const char *reason;
  *made = false;
  if (!cd_sql_open(db, path, &reason)) {
    ch_err err = db->handle != NULL && sqlite3_errcode(db->handle) == SQLITE_NOTADB ? CH_ERR_FORMAT : CH_ERR_ARGUMENT;
    snprintf(why, why_len, "The embedded chain %s cannot be opened: %s. Check the path and its permissions.", path,
             reason);
    cd_sql_close(db);
    return err;
  }
  cd_sql_begin_write(db);
  ch_err err = take_over(db, path, made, why, why_len);
  if (err != CH_OK || !*made) {
    db->failed = err != CH_OK;
    ch_err ended = cd_sql_end(db);
    err = err != CH_OK ? err : ended;
  }
  if (err != CH_OK) {
    cd_sql_close(db);
  }
  return err;
}

/* --- The state ------------------------------------------------------------------------------------------------- */

static size_t one_value(cd_sql_run *run, uint8_t *out, bool *found) {
  *found = cd_sql_row(run);
  if (!*found) {
    return 0;
  }
  size_t len = cd_sql_bytes(run, 0, out, CD_DEV_VALUE_MAX);
  cd_sql_done(run);
  return len;
}

size_t cd_dev_state_get(cd_sql_db *db, const uint8_t *key, size_t key_len, uint8_t *out) {
  bool found;
  cd_sql_run run = cd_sql_start(db, "SELECT value FROM state WHERE key = ?");
  cd_sql_bind_bytes(&run, key, key_len);
  return one_value(&run, out, &found);
}

size_t cd_dev_state_get_at(cd_sql_db *db, uint64_t height, const uint8_t *key, size_t key_len, uint8_t *out) {
  bool found;
  cd_sql_run run = cd_sql_start(db, "SELECT value FROM undo WHERE key = ? AND block > ? ORDER BY block LIMIT 1");
  cd_sql_bind_bytes(&run, key, key_len);
  cd_sql_bind_int(&run, height);
  size_t len = one_value(&run, out, &found);
  return found ? len : cd_dev_state_get(db, key, key_len, out);
}

void cd_dev_state_put(cd_sql_db *db, uint64_t height, const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t len) {
  /* Only a block's first change of a key is kept: it knows the value before the block. */
  cd_sql_run run = cd_sql_start(
      db, "INSERT OR IGNORE INTO undo (key, block, value) SELECT ?1, ?2, (SELECT value FROM state WHERE key = ?1)");
  cd_sql_bind_bytes(&run, key, key_len);
  cd_sql_bind_int(&run, height);
  cd_sql_exec(&run);
  if (len == 0) {
    run = cd_sql_start(db, "DELETE FROM state WHERE key = ?");
    cd_sql_bind_bytes(&run, key, key_len);
  } else {
    run = cd_sql_start(db, "INSERT INTO state (key, value) VALUES (?, ?) "
                           "ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    cd_sql_bind_bytes(&run, key, key_len);
    cd_sql_bind_bytes(&run, value, len);
  }
  cd_sql_exec(&run);
}

void cd_dev_state_undo(cd_sql_db *db, uint64_t height) {
  /* A key's value after `height` is what the first later block found. */
  static const char *const steps[] = {
      "DELETE FROM state WHERE key IN (SELECT key FROM undo WHERE block > ?)",
      ("INSERT INTO state (key, value) SELECT key, value FROM undo AS u WHERE block > ?1 AND value IS NOT NULL "
       "AND block = (SELECT min(block) FROM undo WHERE key = u.key AND block > ?1)"),
      "DELETE FROM undo WHERE block > ?",
  };
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    cd_sql_run run = cd_sql_start(db, steps[i]);
    cd_sql_bind_int(&run, height);
    cd_sql_exec(&run);
  }
}

void cd_dev_state_forget(cd_sql_db *db, uint64_t height) {
  cd_sql_run run = cd_sql_start(db, "DELETE FROM undo WHERE block <= ?");
  cd_sql_bind_int(&run, height);
  cd_sql_exec(&run);
}
