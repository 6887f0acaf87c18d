/* db.h - SQLite's C interface in the few shapes that the store uses. */
#ifndef CHANNELD_STORE_DB_H
#define CHANNELD_STORE_DB_H

#include <sqlite3.h>

#include "channel/money.h"

/* Writes the sentence and returns `err`, so that a failing function can end with it. */
ch_err cd_db_why(ch_err err, char *why, size_t why_len, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Fills the parameters of a statement in their order, then runs it. The first error is kept and ends the run, so that
 * no statement ever runs with a parameter missing. Bytes and text must live until the run is over. */
typedef struct cd_bind {
  sqlite3_stmt *stmt;
  int at; /* parameters filled */
  int rc;
} cd_bind;
cd_bind cd_bind_on(sqlite3_stmt *stmt);
void cd_bind_int(cd_bind *b, int64_t value);
/* Versions and nonces use all 64 bits: stored as their two's complement. */
void cd_bind_u64(cd_bind *b, uint64_t value);
void cd_bind_null(cd_bind *b);
void cd_bind_bytes(cd_bind *b, const void *bytes, size_t len);
void cd_bind_text(cd_bind *b, const char *text, size_t len);
void cd_bind_money(cd_bind *b, ch_amount amount);
/* Runs a statement that gives no rows; SQLITE_OK or what failed. The statement can be used again at once. */
int cd_bind_run(cd_bind *b);
/* The next row of a query: SQLITE_ROW, SQLITE_DONE or what failed. End with sqlite3_reset(). */
int cd_bind_row(cd_bind *b);

/* Columns. Each returns false if the value is not of the expected size or form: the database is damaged. */
bool cd_column_bytes(sqlite3_stmt *stmt, int column, void *out, size_t len);
/* A malloc'ed copy; NULL for no bytes. */
bool cd_column_copy(sqlite3_stmt *stmt, int column, uint8_t **out, size_t *len);
/* `out` has `size` bytes with the NUL; longer text is refused. */
bool cd_column_text(sqlite3_stmt *stmt, int column, char *out, size_t size);
bool cd_column_money(sqlite3_stmt *stmt, int column, ch_amount *out);
uint64_t cd_column_u64(sqlite3_stmt *stmt, int column);

#endif
