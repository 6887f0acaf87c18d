#include "readers.h"

#include <stdlib.h>

#include "util/log.h"

#define KEEP 8 /* idle connections */

struct cd_readers {
  pthread_mutex_t lock;
  cd_reader *idle;
  size_t n_idle;
  char *path, *vfs;
};

static const char *const SQL[CD_READ_COUNT] = {
#define CD_READ_SQL(sym, sql) sql,
    CD_READ_STATEMENTS(CD_READ_SQL)
#undef CD_READ_SQL
};

cd_readers *cd_readers_new(const char *path, const char *vfs) {
  cd_readers *pool = (cd_readers *)calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pthread_mutex_init(&pool->lock, NULL);
  pool->path = strdup(path);
  pool->vfs = vfs ? strdup(vfs) : NULL;
  if (pool->path && (pool->vfs || !vfs)) return pool;
  cd_readers_free(pool);
  return NULL;
}

static void close_reader(cd_reader *reader) {
  for (int i = 0; i < CD_READ_COUNT; i++)
    sqlite3_finalize(reader->stmt[i]);
  for (int i = 0; i < CD_READ_PAYMENTS; i++)
    sqlite3_finalize(reader->payments[i]);
  sqlite3_close(reader->db);
  free(reader);
}

void cd_readers_free(cd_readers *pool) {
  if (!pool) return;
  while (pool->idle) {
    cd_reader *reader = pool->idle;
    pool->idle = reader->next;
    close_reader(reader);
  }
  pthread_mutex_destroy(&pool->lock);
  free(pool->path);
  free(pool->vfs);
  free(pool);
}

/* A reader meets a lock only in the moments when another process recovers or closes the database. */
static cd_reader *open_reader(const cd_readers *pool) {
  cd_reader *reader = (cd_reader *)calloc(1, sizeof *reader);
  if (!reader) return NULL;
  int rc = sqlite3_open_v2(pool->path, &reader->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, pool->vfs);
  if (rc == SQLITE_OK) rc = sqlite3_busy_timeout(reader->db, 5000);
  if (rc == SQLITE_OK) return reader;
  cd_log(CD_LOG_ERROR, "store", "the database cannot be opened for reading: %s", sqlite3_errmsg(reader->db));
  close_reader(reader);
  return NULL;
}

cd_reader *cd_readers_take(cd_readers *pool) {
  pthread_mutex_lock(&pool->lock);
  cd_reader *reader = pool->idle;
  if (reader) {
    pool->idle = reader->next;
    pool->n_idle--;
  }
  pthread_mutex_unlock(&pool->lock);
  return reader ? reader : open_reader(pool);
}

void cd_readers_give(cd_readers *pool, cd_reader *reader) {
  pthread_mutex_lock(&pool->lock);
  bool keep = pool->n_idle < KEEP;
  if (keep) {
    reader->next = pool->idle;
    pool->idle = reader;
    pool->n_idle++;
  }
  pthread_mutex_unlock(&pool->lock);
  if (!keep) close_reader(reader);
}

sqlite3_stmt *cd_reader_prepare(cd_reader *reader, sqlite3_stmt **slot, const char *sql) {
  if (!*slot && sqlite3_prepare_v3(reader->db, sql, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK)
    cd_log(CD_LOG_ERROR, "store", "the database cannot be read: %s", sqlite3_errmsg(reader->db));
  return *slot;
}

sqlite3_stmt *cd_reader_stmt(cd_reader *reader, cd_read_statement which) {
  return cd_reader_prepare(reader, &reader->stmt[which], SQL[which]);
}
