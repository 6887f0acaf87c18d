#include "gather.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the largest write. SQLite itself never writes more than one page, which has at most 64 KiB, and its own
 * layer takes no more than 128 KiB at once. */
#define ROOM (1 << 16)

/* By how much the log is made longer when it has to be. */
#define STRETCH (1 << 18)

struct cd_gather {
  sqlite3_vfs vfs; /* first: SQLite gives it back to us */
  sqlite3_vfs *base;
  char name[32];
  uint8_t *bytes; /* ROOM of them: of the one log that is open */
};

/* An open log. Other files are the base's own. */
typedef struct log_file {
  sqlite3_file file;
  sqlite3_file *base; /* in the memory behind this struct */
  uint8_t *bytes;
  sqlite3_int64 at; /* where they belong */
  int len;
  sqlite3_int64 size; /* of the file, as far as we know */
} log_file;

static log_file *log_of(sqlite3_file *file) {
  return (log_file *)(void *)file;
}

/* Makes the file longer. It need not succeed. The bytes are free: they have been sent. */
static void stretch(log_file *f) {
  memset(f->bytes, 0, ROOM);
  for (sqlite3_int64 end = f->size + STRETCH; f->size < end; f->size += ROOM)
    if (f->base->pMethods->xWrite(f->base, f->bytes, ROOM, f->size) != SQLITE_OK) return;
}

/* What cannot be written is dropped: the commit that it belongs to fails. */
static int send(log_file *f) {
  int len = f->len;
  f->len = 0;
  int rc = len == 0 ? SQLITE_OK : f->base->pMethods->xWrite(f->base, f->bytes, len, f->at);
  if (rc != SQLITE_OK || f->at + len <= f->size) return rc;
  f->size = f->at + len;
  stretch(f);
  return SQLITE_OK;
}

static int log_close(sqlite3_file *file) {
  log_file *f = log_of(file);
  int sent = send(f), closed = f->base->pMethods->xClose(f->base);
  return sent != SQLITE_OK ? sent : closed;
}

static int log_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at) {
  log_file *f = log_of(file);
  int rc = send(f);
  return rc != SQLITE_OK ? rc : f->base->pMethods->xRead(f->base, out, len, at);
}

static int log_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at) {
  log_file *f = log_of(file);
  if (f->len > 0 && (at != f->at + f->len || len > ROOM - f->len)) {
    int rc = send(f);
    if (rc != SQLITE_OK) return rc;
  }
  if (len > ROOM) return f->base->pMethods->xWrite(f->base, bytes, len, at);
  if (f->len == 0) f->at = at;
  memcpy(f->bytes + f->len, bytes, (size_t)len);
  f->len += len;
  return SQLITE_OK;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size) {
  log_file *f = log_of(file);
  int rc = send(f);
  if (rc == SQLITE_OK) rc = f->base->pMethods->xTruncate(f->base, size);
  if (rc == SQLITE_OK) f->size = size;
  return rc;
}

static int log_sync(sqlite3_file *file, int flags) {
  log_file *f = log_of(file);
  int rc = send(f);
  return rc != SQLITE_OK ? rc : f->base->pMethods->xSync(f->base, flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size) {
  log_file *f = log_of(file);
  int rc = send(f);
  return rc != SQLITE_OK ? rc : f->base->pMethods->xFileSize(f->base, size);
}

static int log_lock(sqlite3_file *file, int level) {
  return log_of(file)->base->pMethods->xLock(log_of(file)->base, level);
}

static int log_unlock(sqlite3_file *file, int level) {
  return log_of(file)->base->pMethods->xUnlock(log_of(file)->base, level);
}

static int log_check_lock(sqlite3_file *file, int *out) {
  return log_of(file)->base->pMethods->xCheckReservedLock(log_of(file)->base, out);
}

static int log_control(sqlite3_file *file, int op, void *arg) {
  return log_of(file)->base->pMethods->xFileControl(log_of(file)->base, op, arg);
}

static int log_sector_size(sqlite3_file *file) {
  return log_of(file)->base->pMethods->xSectorSize(log_of(file)->base);
}

static int log_device(sqlite3_file *file) {
  return log_of(file)->base->pMethods->xDeviceCharacteristics(log_of(file)->base);
}

/* Version 1: shared memory belongs to the database file, not to its log. */
static const sqlite3_io_methods LOG_METHODS = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_device,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  cd_gather *g = (cd_gather *)(void *)vfs;
  if (!(flags & SQLITE_OPEN_WAL)) return g->base->xOpen(g->base, name, file, flags, out_flags);
  log_file *f = log_of(file);
  f->file.pMethods = NULL;
  f->base = (sqlite3_file *)(void *)(f + 1);
  memset(f->base, 0, (size_t)g->base->szOsFile);
  f->bytes = g->bytes;
  f->len = 0;
  f->size = 0;
  int rc = g->base->xOpen(g->base, name, f->base, flags, out_flags);
  if (rc == SQLITE_OK) f->base->pMethods->xFileSize(f->base, &f->size);
  if (f->base->pMethods) f->file.pMethods = &LOG_METHODS; /* then SQLite closes it, whatever rc is */
  return rc;
}

cd_gather *cd_gather_new(const char *base) {
  sqlite3_vfs *found = sqlite3_vfs_find(base);
  cd_gather *g = found ? (cd_gather *)calloc(1, sizeof *g) : NULL;
  if (!g) return NULL;
  snprintf(g->name, sizeof g->name, "gather-%p", (void *)g);
  g->base = found;
  g->vfs = *found; /* the functions that open no file do not look at the layer they are called through */
  g->vfs.szOsFile = (int)sizeof(log_file) + found->szOsFile;
  g->vfs.pNext = NULL;
  g->vfs.zName = g->name;
  g->vfs.xOpen = open_file;
  g->bytes = (uint8_t *)malloc(ROOM);
  if (g->bytes && sqlite3_vfs_register(&g->vfs, 0) == SQLITE_OK) return g;
  free(g->bytes);
  free(g);
  return NULL;
}

const char *cd_gather_name(const cd_gather *g) {
  return g->name;
}

void cd_gather_free(cd_gather *g) {
  if (!g) return;
  sqlite3_vfs_unregister(&g->vfs);
  free(g->bytes);
  free(g);
}
