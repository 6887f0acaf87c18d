#include "db.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

ch_err cd_db_why(ch_err err, char *why, size_t why_len, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(why, why_len, format, args);
  va_end(args);
  return err;
}

cd_bind cd_bind_on(sqlite3_stmt *stmt) {
  return (cd_bind){stmt, 0, SQLITE_OK};
}

static void bound(cd_bind *b, int rc) {
  if (b->rc == SQLITE_OK) b->rc = rc;
}

void cd_bind_int(cd_bind *b, int64_t value) {
  bound(b, sqlite3_bind_int64(b->stmt, ++b->at, value));
}

void cd_bind_u64(cd_bind *b, uint64_t value) {
  cd_bind_int(b, (int64_t)value);
}

void cd_bind_null(cd_bind *b) {
  bound(b, sqlite3_bind_null(b->stmt, ++b->at));
}

void cd_bind_bytes(cd_bind *b, const void *bytes, size_t len) {
  int at = ++b->at;
  if (len > INT_MAX)
    bound(b, SQLITE_TOOBIG);
  else if (len == 0) /* a NULL pointer would bind NULL */
    bound(b, sqlite3_bind_zeroblob(b->stmt, at, 0));
  else
    bound(b, sqlite3_bind_blob(b->stmt, at, bytes, (int)len, SQLITE_STATIC));
}

void cd_bind_text(cd_bind *b, const char *text, size_t len) {
  int at = ++b->at;
  bound(b, len > INT_MAX ? SQLITE_TOOBIG : sqlite3_bind_text(b->stmt, at, text, (int)len, SQLITE_STATIC));
}

void cd_bind_money(cd_bind *b, ch_amount amount) {
  char text[CH_MONEY_STR];
  bound(b, sqlite3_bind_text(b->stmt, ++b->at, ch_amount_str(text, amount), -1, SQLITE_TRANSIENT));
}

int cd_bind_row(cd_bind *b) {
  return b->rc == SQLITE_OK ? sqlite3_step(b->stmt) : b->rc;
}

int cd_bind_run(cd_bind *b) {
  int rc = cd_bind_row(b);
  sqlite3_reset(b->stmt);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

bool cd_column_bytes(sqlite3_stmt *stmt, int column, void *out, size_t len) {
  const void *bytes = sqlite3_column_blob(stmt, column);
  if (!bytes || (size_t)sqlite3_column_bytes(stmt, column) != len) return false;
  memcpy(out, bytes, len);
  return true;
}

bool cd_column_copy(sqlite3_stmt *stmt, int column, uint8_t **out, size_t *len) {
  const void *bytes = sqlite3_column_blob(stmt, column);
  size_t n = (size_t)sqlite3_column_bytes(stmt, column);
  *out = NULL;
  *len = 0;
  if (n == 0) return true;
  if (!bytes || !(*out = (uint8_t *)malloc(n))) return false;
  memcpy(*out, bytes, n);
  *len = n;
  return true;
}

bool cd_column_text(sqlite3_stmt *stmt, int column, char *out, size_t size) {
  const unsigned char *text = sqlite3_column_text(stmt, column);
  size_t n = (size_t)sqlite3_column_bytes(stmt, column);
  if (!text || n >= size) return false;
  memcpy(out, text, n);
  out[n] = 0;
  return true;
}

bool cd_column_money(sqlite3_stmt *stmt, int column, ch_amount *out) {
  char text[CH_MONEY_STR];
  return cd_column_text(stmt, column, text, sizeof text) && ch_amount_parse(out, text) == CH_OK;
}

uint64_t cd_column_u64(sqlite3_stmt *stmt, int column) {
  return (uint64_t)sqlite3_column_int64(stmt, column);
}
