#include "sums.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

#define HEADER 100          /* bytes of SQLite's file header */
#define MAX_PAGE (1 << 16)  /* the largest page that SQLite makes */
#define SUBPAGE_READ 0x8000 /* SQLITE_IOCAP_SUBPAGE_READ of newer releases: parts of pages could not be compared */

struct cd_sums {
  sqlite3_vfs vfs; /* first: SQLite gives it back to us */
  sqlite3_vfs *base;
  char name[32];
};

/* An open database file. Other files are the base's own. */
typedef struct db_file {
  sqlite3_file file;
  sqlite3_file *base; /* in the memory behind this struct */
  uint8_t *page;      /* MAX_PAGE bytes, for a page on its way to the file */
  int page_size;      /* 0: the file is empty */
  bool on;            /* pages have the room */
  bool partly;        /* some may be without a sum */
} db_file;

static db_file *db_of(sqlite3_file *file) {
  return (db_file *)(void *)file;
}

/* --- The sum ------------------------------------------------------------------------------------ */

/* A change of one word always changes it; of several, but for one in 2^64. `len` is a multiple of 8. */
static uint64_t add(uint64_t sum, const uint8_t *bytes, size_t len) {
  for (size_t i = 0; i < len; i += 8) {
    uint64_t word;
    memcpy(&word, bytes + i, 8);
    sum = (sum ^ le64toh(word)) * 0x9e3779b97f4a7c15ULL;
    sum ^= sum >> 29;
  }
  return sum;
}

/* Of a page without its last eight bytes; never 0. */
static uint64_t sum_of(const uint8_t *page, size_t len, uint64_t number) {
  uint64_t sum = 0xcbf29ce484222325ULL ^ number;
  size_t from = 0;
  if (number == 1) {
    uint8_t header[HEADER + 4];
    memcpy(header, page, sizeof header);
    memset(header + 18, 0, 2); /* journal mode */
    memset(header + 24, 0, 4); /* change counter */
    memset(header + 40, 0, 4); /* schema cookie */
    memset(header + 92, 0, 8); /* the change counter again, and SQLite's version */
    sum = add(sum, header, sizeof header);
    from = sizeof header;
  }
  sum = add(sum, page + from, len - CD_SUMS_LEN - from);
  return sum == 0 ? 1 : sum;
}

static uint64_t load(const uint8_t *at) {
  uint64_t sum;
  memcpy(&sum, at, sizeof sum);
  return le64toh(sum);
}

static void store(uint8_t *at, uint64_t sum) {
  sum = htole64(sum);
  memcpy(at, &sum, sizeof sum);
}

/* --- The file ----------------------------------------------------------------------------------- */

static void learn(db_file *f, const uint8_t *header) {
  if (memcmp(header, "SQLite format 3", 16) != 0) return;
  f->page_size = header[16] << 8 | header[17] << 16;
  f->on = header[20] == CD_SUMS_LEN && f->page_size >= 512 && (f->page_size & (f->page_size - 1)) == 0;
}

/* What the file's first page says. An empty file has none yet. */
static int look(db_file *f) {
  uint8_t header[HEADER], sum[CD_SUMS_LEN];
  int rc = f->base->pMethods->xRead(f->base, header, sizeof header, 0);
  if (rc == SQLITE_IOERR_SHORT_READ) return SQLITE_OK;
  if (rc != SQLITE_OK) return rc;
  learn(f, header);
  if (!f->on) return SQLITE_OK;
  rc = f->base->pMethods->xRead(f->base, sum, sizeof sum, f->page_size - CD_SUMS_LEN);
  f->partly = rc == SQLITE_OK && load(sum) == 0;
  return rc == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : rc;
}

static bool is_page(const db_file *f, int len, sqlite3_int64 at) {
  return f->on && len == f->page_size && at % len == 0;
}

static int db_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at) {
  db_file *f = db_of(file);
  int rc = f->base->pMethods->xRead(f->base, out, len, at);
  if (rc != SQLITE_OK || !is_page(f, len, at)) return rc;
  uint8_t *tail = (uint8_t *)out + len - CD_SUMS_LEN;
  uint64_t number = (uint64_t)(at / len) + 1, sum = load(tail);
  bool good = sum == 0 ? f->partly : sum == sum_of((const uint8_t *)out, (size_t)len, number);
  if (!good) {
    cd_log(CD_LOG_ERROR, "store", "a page of the database is damaged, or was changed by another program page=%llu",
           (unsigned long long)number);
    return SQLITE_CORRUPT;
  }
  memset(tail, 0, CD_SUMS_LEN); /* as in the log: it is no part of the page */
  return SQLITE_OK;
}

static int db_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at) {
  db_file *f = db_of(file);
  if (at == 0 && len >= HEADER) learn(f, (const uint8_t *)bytes);
  bool first_of_many = at == 0 && f->partly; /* it stays without: others are */
  if (!is_page(f, len, at) || first_of_many) return f->base->pMethods->xWrite(f->base, bytes, len, at);
  memcpy(f->page, bytes, (size_t)len);
  store(f->page + len - CD_SUMS_LEN, sum_of(f->page, (size_t)len, (uint64_t)(at / len) + 1));
  return f->base->pMethods->xWrite(f->base, f->page, len, at);
}

static int db_close(sqlite3_file *file) {
  db_file *f = db_of(file);
  free(f->page);
  return f->base->pMethods->xClose(f->base);
}

static int db_truncate(sqlite3_file *file, sqlite3_int64 size) {
  return db_of(file)->base->pMethods->xTruncate(db_of(file)->base, size);
}

static int db_sync(sqlite3_file *file, int flags) {
  return db_of(file)->base->pMethods->xSync(db_of(file)->base, flags);
}

static int db_size(sqlite3_file *file, sqlite3_int64 *size) {
  return db_of(file)->base->pMethods->xFileSize(db_of(file)->base, size);
}

static int db_lock(sqlite3_file *file, int level) {
  return db_of(file)->base->pMethods->xLock(db_of(file)->base, level);
}

static int db_unlock(sqlite3_file *file, int level) {
  return db_of(file)->base->pMethods->xUnlock(db_of(file)->base, level);
}

static int db_check_lock(sqlite3_file *file, int *out) {
  return db_of(file)->base->pMethods->xCheckReservedLock(db_of(file)->base, out);
}

static int db_control(sqlite3_file *file, int op, void *arg) {
  return db_of(file)->base->pMethods->xFileControl(db_of(file)->base, op, arg);
}

static int db_sector_size(sqlite3_file *file) {
  return db_of(file)->base->pMethods->xSectorSize(db_of(file)->base);
}

static int db_device(sqlite3_file *file) {
  return db_of(file)->base->pMethods->xDeviceCharacteristics(db_of(file)->base) & ~SUBPAGE_READ;
}

static int db_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
  return db_of(file)->base->pMethods->xShmMap(db_of(file)->base, region, size, extend, out);
}

static int db_shm_lock(sqlite3_file *file, int at, int n, int flags) {
  return db_of(file)->base->pMethods->xShmLock(db_of(file)->base, at, n, flags);
}

static void db_shm_barrier(sqlite3_file *file) {
  db_of(file)->base->pMethods->xShmBarrier(db_of(file)->base);
}

static int db_shm_unmap(sqlite3_file *file, int delete_it) {
  return db_of(file)->base->pMethods->xShmUnmap(db_of(file)->base, delete_it);
}

/* Version 2: with shared memory, without pages mapped from the file, which could not be compared. */
static const sqlite3_io_methods METHODS = {
    .iVersion = 2,
    .xClose = db_close,
    .xRead = db_read,
    .xWrite = db_write,
    .xTruncate = db_truncate,
    .xSync = db_sync,
    .xFileSize = db_size,
    .xLock = db_lock,
    .xUnlock = db_unlock,
    .xCheckReservedLock = db_check_lock,
    .xFileControl = db_control,
    .xSectorSize = db_sector_size,
    .xDeviceCharacteristics = db_device,
    .xShmMap = db_shm_map,
    .xShmLock = db_shm_lock,
    .xShmBarrier = db_shm_barrier,
    .xShmUnmap = db_shm_unmap,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  cd_sums *s = (cd_sums *)(void *)vfs;
  if (!(flags & SQLITE_OPEN_MAIN_DB)) return s->base->xOpen(s->base, name, file, flags, out_flags);
  db_file *f = db_of(file);
  memset(f, 0, sizeof *f);
  f->base = (sqlite3_file *)(void *)(f + 1);
  memset(f->base, 0, (size_t)s->base->szOsFile);
  int rc = s->base->xOpen(s->base, name, f->base, flags, out_flags);
  if (!f->base->pMethods) return rc != SQLITE_OK ? rc : SQLITE_CANTOPEN;
  f->file.pMethods = &METHODS; /* SQLite closes it, whatever rc is */
  if (rc != SQLITE_OK) return rc;
  f->page = (uint8_t *)malloc(MAX_PAGE);
  return f->page ? look(f) : SQLITE_NOMEM;
}

/* --- For the store ------------------------------------------------------------------------------ */

cd_sums_state cd_sums_state_of(sqlite3 *db) {
  sqlite3_file *file = NULL;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (!file || file->pMethods != &METHODS) return CD_SUMS_NONE;
  const db_file *f = db_of(file);
  if (f->page_size == 0) return CD_SUMS_ALL;
  if (!f->on) return CD_SUMS_NONE;
  return f->partly ? CD_SUMS_PARTLY : CD_SUMS_ALL;
}

void cd_sums_set_partly(sqlite3 *db, bool partly) {
  sqlite3_file *file = NULL;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file && file->pMethods == &METHODS) db_of(file)->partly = partly;
}

int cd_sums_make_room(sqlite3 *db) {
  int room = CD_SUMS_LEN;
  return sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &room);
}

cd_sums *cd_sums_new(const char *base) {
  sqlite3_vfs *found = sqlite3_vfs_find(base);
  cd_sums *s = found ? (cd_sums *)calloc(1, sizeof *s) : NULL;
  if (!s) return NULL;
  snprintf(s->name, sizeof s->name, "sums-%p", (void *)s);
  s->base = found;
  s->vfs = *found; /* the functions that open no file do not look at the layer they are called through */
  s->vfs.szOsFile = (int)sizeof(db_file) + found->szOsFile;
  s->vfs.pNext = NULL;
  s->vfs.zName = s->name;
  s->vfs.xOpen = open_file;
  if (sqlite3_vfs_register(&s->vfs, 0) == SQLITE_OK) return s;
  free(s);
  return NULL;
}

const char *cd_sums_name(const cd_sums *s) {
  return s->name;
}

void cd_sums_free(cd_sums *s) {
  if (!s) return;
  sqlite3_vfs_unregister(&s->vfs);
  free(s);
}
