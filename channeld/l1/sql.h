/* sql.h - SQLite in the few shapes that the files of the chain adapters need.
 *
 * An error is sticky: after it, nothing more is read or written, and the transaction is rolled back at its end. So the
 * code between begin and end needs no checks of its own; what it has read must not leave before end says CH_OK.
 * One thread at a time.
 */
#ifndef CHANNELD_L1_SQL_H
#define CHANNELD_L1_SQL_H

#include <sqlite3.h>

#include "channel/error.h"
#include "channel/types.h"

#define CD_SQL_STATEMENTS 40

typedef struct cd_sql_db {
  sqlite3 *handle;
  bool failed;
  /* Prepared statements, found by the address of their text. */
  struct {
    const char *sql;
    sqlite3_stmt *stmt;
  } prepared[CD_SQL_STATEMENTS];
  size_t n_prepared;
} cd_sql_db;

/* Opens or creates the file, without a transaction: a log for readers and one writer of several processes at once,
 * whose last transactions a power cut may cost, though no end of a process does. False with *why a sentence's end,
 * which lives until the file is closed; the caller closes it in any case. */
bool cd_sql_open(cd_sql_db *db, const char *path, const char **why) CH_MUST_CHECK;
void cd_sql_close(cd_sql_db *db);

/* A transaction: one view of the file for reading, or the only writer. */
void cd_sql_begin_read(cd_sql_db *db);
void cd_sql_begin_write(cd_sql_db *db);
/* Commits, or rolls back if anything failed. CH_ERR_BUG then: the file cannot be read or written. */
ch_err cd_sql_end(cd_sql_db *db) CH_MUST_CHECK;

/* A statement's run: bind the parameters in order, then run it, or take rows until there are none. `sql` must be a
 * constant string. Bytes must live until the run is over. */
typedef struct cd_sql_run {
  cd_sql_db *db;
  sqlite3_stmt *stmt;
  int at;
} cd_sql_run;
cd_sql_run cd_sql_start(cd_sql_db *db, const char *sql);
void cd_sql_bind_int(cd_sql_run *run, uint64_t value);
void cd_sql_bind_bytes(cd_sql_run *run, const void *bytes, size_t len);
void cd_sql_bind_text(cd_sql_run *run, const char *text);
void cd_sql_exec(cd_sql_run *run); /* for statements without rows */
bool cd_sql_row(cd_sql_run *run);  /* false at the end, which also resets the statement */
void cd_sql_done(cd_sql_run *run); /* ends before the last row */
uint64_t cd_sql_int(const cd_sql_run *run, int column);
/* Copies at most `size` bytes; returns how many there are. More than `size` is an error. */
size_t cd_sql_bytes(const cd_sql_run *run, int column, void *out, size_t size);
/* Exactly `size` bytes, anything else is an error. */
void cd_sql_exact(const cd_sql_run *run, int column, void *out, size_t size);
/* Statements without parameters: several in one text; the number in the first row, 0 if there is none. */
void cd_sql_script(cd_sql_db *db, const char *text);
uint64_t cd_sql_number(cd_sql_db *db, const char *sql);

#endif
