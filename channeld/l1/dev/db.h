/* db.h - the embedded chain's file: SQLite in the few shapes that a chain needs.
 *
 * An error is sticky: after it, nothing more is read or written, and the transaction is rolled back at its end. So the
 * code between begin and end needs no checks of its own; what it has read must not leave before end says CH_OK.
 * One thread at a time.
 */
#ifndef CHANNELD_L1_DEV_DB_H
#define CHANNELD_L1_DEV_DB_H

#include <sqlite3.h>

#include "channel/error.h"
#include "channel/types.h"

#define CD_DEV_STATEMENTS 40
#define CD_DEV_VALUE_MAX 256 /* bytes of a value in the state */
#define CD_DEV_KEY_MAX 48

typedef struct cd_dev_db {
  sqlite3 *handle;
  bool failed;
  /* Prepared statements, found by the address of their text. */
  struct {
    const char *sql;
    sqlite3_stmt *stmt;
  } prepared[CD_DEV_STATEMENTS];
  size_t n_prepared;
} cd_dev_db;

/* Opens or creates the file and its tables. `made` says that it was empty: the caller then writes the genesis in the
 * transaction that is still open, and ends it; otherwise no transaction is open. On failure `why` is a sentence. */
ch_err cd_dev_db_open(cd_dev_db *db, const char *path, bool *made, char *why, size_t why_len) CH_MUST_CHECK;
void cd_dev_db_close(cd_dev_db *db);

/* A transaction: one view of the file for reading, or the only writer. */
void cd_dev_db_begin_read(cd_dev_db *db);
void cd_dev_db_begin_write(cd_dev_db *db);
/* Commits, or rolls back if anything failed. CH_ERR_BUG then: the file cannot be read or written. */
ch_err cd_dev_db_end(cd_dev_db *db) CH_MUST_CHECK;

/* A statement's run: bind the parameters in order, then run it, or take rows until there are none. `sql` must be a
 * constant string. Bytes must live until the run is over. */
typedef struct cd_dev_run {
  cd_dev_db *db;
  sqlite3_stmt *stmt;
  int at;
} cd_dev_run;
cd_dev_run cd_dev_sql(cd_dev_db *db, const char *sql);
void cd_dev_bind_int(cd_dev_run *run, uint64_t value);
void cd_dev_bind_bytes(cd_dev_run *run, const void *bytes, size_t len);
void cd_dev_bind_text(cd_dev_run *run, const char *text);
void cd_dev_exec(cd_dev_run *run); /* for statements without rows */
bool cd_dev_row(cd_dev_run *run);  /* false at the end, which also resets the statement */
void cd_dev_done(cd_dev_run *run); /* ends before the last row */
uint64_t cd_dev_col_int(const cd_dev_run *run, int column);
/* Copies at most `size` bytes; returns how many there are. More than `size` is an error. */
size_t cd_dev_col_bytes(const cd_dev_run *run, int column, void *out, size_t size);
/* Exactly `size` bytes, anything else is an error. */
void cd_dev_col_exact(const cd_dev_run *run, int column, void *out, size_t size);

/* --- The state: keys to values, with an undo journal ----------------------------------------------------------- */

/* The value of a key at the head. Returns its length, 0 if there is none. `out` has CD_DEV_VALUE_MAX bytes. */
size_t cd_dev_state_get(cd_dev_db *db, const uint8_t *key, size_t key_len, uint8_t *out);
/* The value after block `height`, which must not be older than the journal. */
size_t cd_dev_state_get_at(cd_dev_db *db, uint64_t height, const uint8_t *key, size_t key_len, uint8_t *out);
/* Sets a key in block `height`, which is the head or about to become it. No bytes: removes it. */
void cd_dev_state_put(cd_dev_db *db, uint64_t height, const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t len);
/* Takes back what all blocks above `height` have set. */
void cd_dev_state_undo(cd_dev_db *db, uint64_t height);
/* Forgets how to take back the blocks up to `height`. */
void cd_dev_state_forget(cd_dev_db *db, uint64_t height);

#endif
