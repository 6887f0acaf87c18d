#include "sql.h"

#define BUSY_MS 10000

static const char SETUP[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";

static void fail_on(cd_sql_db *db, int rc) {
  if (rc != SQLITE_OK) {
    db->failed = true;
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

bool cd_sql_open(cd_sql_db *db, const char *path, const char **why) {
  memset(db, 0, sizeof *db);
  int rc = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    rc = set_up(db->handle);
  }
  *why = rc == SQLITE_OK ? "" : db->handle == NULL ? "out of memory" : sqlite3_errmsg(db->handle);
  return rc == SQLITE_OK;
}

void cd_sql_close(cd_sql_db *db) {
  for (size_t i = 0; i < db->n_prepared; i++) {
    sqlite3_finalize(db->prepared[i].stmt);
  }
  sqlite3_close(db->handle);
  memset(db, 0, sizeof *db);
}

void cd_sql_begin_read(cd_sql_db *db) {
  db->failed = false;
  cd_sql_script(db, "BEGIN");
}

void cd_sql_begin_write(cd_sql_db *db) {
  db->failed = false;
  cd_sql_script(db, "BEGIN IMMEDIATE");
}

ch_err cd_sql_end(cd_sql_db *db) {
  cd_sql_script(db, "COMMIT");
  if (db->failed && !sqlite3_get_autocommit(db->handle)) {
    (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL); /* it can only fail if nothing is open any more */
  }
  return db->failed ? CH_ERR_BUG : CH_OK;
}

void cd_sql_script(cd_sql_db *db, const char *text) {
  if (!db->failed) {
    fail_on(db, sqlite3_exec(db->handle, text, NULL, NULL, NULL));
  }
}

/* --- Statements ------------------------------------------------------------------------------------------------ */

static sqlite3_stmt *prepared(cd_sql_db *db, const char *sql) {
  for (size_t i = 0; i < db->n_prepared; i++) {
    if (db->prepared[i].sql == sql) {
      return db->prepared[i].stmt;
    }
  }
  sqlite3_stmt *stmt = NULL;
  if (db->n_prepared == CD_SQL_STATEMENTS ||
      sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
    return NULL;
  }
  db->prepared[db->n_prepared].sql = sql;
  db->prepared[db->n_prepared++].stmt = stmt;
  return stmt;
}

cd_sql_run cd_sql_start(cd_sql_db *db, const char *sql) {
  cd_sql_run run = {.db = db, .stmt = db->failed ? NULL : prepared(db, sql)};
  if (run.stmt == NULL) {
    db->failed = true;
  }
  return run;
}

void cd_sql_bind_int(cd_sql_run *run, uint64_t value) {
  if (!run->db->failed) {
    fail_on(run->db, sqlite3_bind_int64(run->stmt, ++run->at, (sqlite3_int64)value));
  }
}

void cd_sql_bind_bytes(cd_sql_run *run, const void *bytes, size_t len) {
  if (!run->db->failed) {
    fail_on(run->db, sqlite3_bind_blob64(run->stmt, ++run->at, bytes, len, SQLITE_STATIC));
  }
}

void cd_sql_bind_text(cd_sql_run *run, const char *text) {
  if (!run->db->failed) {
    fail_on(run->db, sqlite3_bind_text(run->stmt, ++run->at, text, -1, SQLITE_STATIC));
  }
}

bool cd_sql_row(cd_sql_run *run) {
  if (run->db->failed) {
    return false;
  }
  int rc = sqlite3_step(run->stmt);
  if (rc == SQLITE_ROW) {
    return true;
  }
  fail_on(run->db, rc == SQLITE_DONE ? SQLITE_OK : rc);
  cd_sql_done(run);
  return false;
}

void cd_sql_done(cd_sql_run *run) {
  if (run->stmt != NULL) {
    sqlite3_reset(run->stmt); /* its result repeats what step has said */
  }
}

void cd_sql_exec(cd_sql_run *run) {
  if (cd_sql_row(run)) {
    cd_sql_done(run);
  }
}

uint64_t cd_sql_int(const cd_sql_run *run, int column) {
  return (uint64_t)sqlite3_column_int64(run->stmt, column);
}

size_t cd_sql_bytes(const cd_sql_run *run, int column, void *out, size_t size) {
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

void cd_sql_exact(const cd_sql_run *run, int column, void *out, size_t size) {
  if (cd_sql_bytes(run, column, out, size) != size) {
    run->db->failed = true;
  }
}

uint64_t cd_sql_number(cd_sql_db *db, const char *sql) {
  cd_sql_run run = cd_sql_start(db, sql);
  uint64_t value = cd_sql_row(&run) ? cd_sql_int(&run, 0) : 0;
  cd_sql_done(&run);
  return value;
}
