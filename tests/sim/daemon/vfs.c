/* vfs.c - SQLite's file layer on the disk in memory: its default one. Locks and shared memory are as its layer for Unix
 * keeps them between processes; here they are kept by open file, and end with it. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "os_internal.h"

/* The memory that the users of a write-ahead log share. */
typedef struct shared {
  uint64_t file; /* its inode's number */
  void **regions;
  int n, size;
  struct shared *next;
} shared;

typedef struct vfs_file {
  sqlite3_file base;
  open_file *f;
  bool deletes, syncs_name;
} vfs_file;

static shared *all_shared;

static open_file *file_of(sqlite3_file *file) {
  return ((vfs_file *)file)->f;
}

/* --- Bytes ----------------------------------------------------------------------------------------- */

static void left(uint64_t inode_number);

static int f_close(sqlite3_file *file) {
  vfs_file *v = (vfs_file *)file;
  uint64_t number = v->f->inode->number;
  bool had_shm = v->f->has_shm, deletes = v->deletes;
  char path[600];
  if (deletes) snprintf(path, sizeof path, "%s", v->f->path);
  disk_close(v->f);
  if (had_shm) left(number);
  if (deletes) disk_unlink(path);
  return SQLITE_OK;
}

static int f_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at) {
  long n = disk_read(file_of(file), out, (size_t)len, (size_t)at);
  if (n < 0) return SQLITE_IOERR_READ;
  if (n == len) return SQLITE_OK;
  memset((uint8_t *)out + n, 0, (size_t)(len - n));
  return SQLITE_IOERR_SHORT_READ;
}

static int f_write(sqlite3_file *file, const void *b, int len, sqlite3_int64 at) {
  long n = disk_write(file_of(file), b, (size_t)len, (size_t)at);
  return n == len ? SQLITE_OK : n == -ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int f_truncate(sqlite3_file *file, sqlite3_int64 size) {
  return disk_truncate(file_of(file), (size_t)size) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

/* A log's or journal's name is flushed with its first bytes; a database's never. So does SQLite's own layer. */
static int f_sync(sqlite3_file *file, int flags) {
  (void)flags;
  vfs_file *v = (vfs_file *)file;
  if (disk_sync(v->f) != 0) return SQLITE_IOERR_FSYNC;
  if (v->syncs_name && disk_sync_names(v->f->path) != 0) return SQLITE_IOERR_DIR_FSYNC;
  v->syncs_name = false;
  return SQLITE_OK;
}

static int f_size(sqlite3_file *file, sqlite3_int64 *size) {
  *size = (sqlite3_int64)file_of(file)->inode->now.len;
  return SQLITE_OK;
}

static int f_control(sqlite3_file *file, int op, void *arg) {
  (void)file, (void)op, (void)arg;
  return SQLITE_NOTFOUND;
}

static int f_sector(sqlite3_file *file) {
  (void)file;
  return 4096;
}

static int f_device(sqlite3_file *file) {
  (void)file;
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* --- Locks of the database ------------------------------------------------------------------------- */

/* The strongest lock of another. */
static int others(const open_file *mine) {
  int most = SQLITE_LOCK_NONE;
  for (const open_file *f = disk_open_files(); f != NULL; f = f->next)
    if (f != mine && f->inode == mine->inode && f->lock > most) most = f->lock;
  return most;
}

static int f_lock(sqlite3_file *file, int level) {
  open_file *f = file_of(file);
  if (f->lock >= level) return SQLITE_OK;
  fiber_point(OS_POINT_STEP);
  int other = others(f);
  if (level == SQLITE_LOCK_SHARED && other >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
  if (level >= SQLITE_LOCK_RESERVED && other >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_EXCLUSIVE && other >= SQLITE_LOCK_SHARED) {
    f->lock = SQLITE_LOCK_PENDING; /* no new readers */
    return SQLITE_BUSY;
  }
  f->lock = level;
  return SQLITE_OK;
}

static int f_unlock(sqlite3_file *file, int level) {
  open_file *f = file_of(file);
  if (f->lock > level) f->lock = level;
  fiber_point(OS_POINT_STEP);
  return SQLITE_OK;
}

static int f_check_lock(sqlite3_file *file, int *out) {
  const open_file *f = file_of(file);
  *out = f->lock >= SQLITE_LOCK_RESERVED || others(f) >= SQLITE_LOCK_RESERVED;
  return SQLITE_OK;
}

/* --- Shared memory --------------------------------------------------------------------------------- */

static bool in_use(uint64_t number) {
  for (const open_file *f = disk_open_files(); f != NULL; f = f->next)
    if (f->inode->number == number && f->has_shm) return true;
  return false;
}

static void shared_free(shared *m) {
  for (int i = 0; i < m->n; i++)
    free(m->regions[i]);
  free(m->regions);
  free(m);
}

/* Somebody has gone: with the last one the memory goes. */
static void left(uint64_t number) {
  for (shared **at = &all_shared; *at != NULL; at = &(*at)->next) {
    shared *m = *at;
    if (m->file != number || in_use(number)) continue;
    *at = m->next;
    shared_free(m);
    return;
  }
}

void vfs_process_ended(void) {
  for (shared *m = all_shared, *next; m != NULL; m = next) {
    next = m->next;
    left(m->file);
  }
}

static shared *shared_of(const open_file *f) {
  for (shared *m = all_shared; m != NULL; m = m->next)
    if (m->file == f->inode->number) return m;
  shared *m = calloc(1, sizeof *m);
  if (m == NULL) hopeless("no memory");
  m->file = f->inode->number;
  m->next = all_shared;
  return all_shared = m;
}

static int f_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
  open_file *f = file_of(file);
  shared *m = shared_of(f);
  f->has_shm = true;
  *out = NULL;
  while (m->n <= region && extend != 0) {
    m->regions = realloc(m->regions, (size_t)(m->n + 1) * sizeof *m->regions);
    if (m->regions == NULL || (m->regions[m->n] = calloc(1, (size_t)size)) == NULL) hopeless("no memory");
    m->n++;
  }
  if (region < m->n) *out = m->regions[region];
  return SQLITE_OK;
}

static int f_shm_lock(sqlite3_file *file, int at, int n, int flags) {
  open_file *f = file_of(file);
  unsigned mask = ((1u << n) - 1) << at, shared_ones = 0, exclusive = 0;
  fiber_point(OS_POINT_STEP);
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    f->shm_shared &= ~mask;
    f->shm_exclusive &= ~mask;
    return SQLITE_OK;
  }
  for (const open_file *o = disk_open_files(); o != NULL; o = o->next) {
    if (o == f || o->inode != f->inode) continue;
    shared_ones |= o->shm_shared;
    exclusive |= o->shm_exclusive;
  }
  if ((flags & SQLITE_SHM_SHARED) != 0) {
    if ((exclusive & mask) != 0) return SQLITE_BUSY;
    f->shm_shared |= mask;
  } else {
    if (((exclusive | shared_ones) & mask) != 0) return SQLITE_BUSY;
    f->shm_exclusive |= mask;
  }
  return SQLITE_OK;
}

static void f_shm_barrier(sqlite3_file *file) {
  (void)file;
  fiber_point(OS_POINT_STEP);
}

static int f_shm_unmap(sqlite3_file *file, int delete_it) {
  (void)delete_it; /* it goes with its last user in any case */
  open_file *f = file_of(file);
  f->has_shm = false;
  f->shm_shared = f->shm_exclusive = 0;
  left(f->inode->number);
  return SQLITE_OK;
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 2,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_size,
    .xLock = f_lock,
    .xUnlock = f_unlock,
    .xCheckReservedLock = f_check_lock,
    .xFileControl = f_control,
    .xSectorSize = f_sector,
    .xDeviceCharacteristics = f_device,
    .xShmMap = f_shm_map,
    .xShmLock = f_shm_lock,
    .xShmBarrier = f_shm_barrier,
    .xShmUnmap = f_shm_unmap,
};

/* --- The layer ------------------------------------------------------------------------------------- */

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs;
  vfs_file *v = (vfs_file *)file;
  memset(v, 0, sizeof *v);
  if (name == NULL) {
    v->f = disk_anonymous();
  } else {
    if (!disk_has(name)) return SQLITE_CANTOPEN;
    int how = O_RDWR | ((flags & SQLITE_OPEN_CREATE) != 0 ? O_CREAT : 0);
    if ((flags & SQLITE_OPEN_EXCLUSIVE) != 0) how |= O_EXCL;
    int opened = disk_open(name, how, &v->f);
    if (opened < 0) return opened == -ENOSPC ? SQLITE_FULL : opened == -EIO ? SQLITE_IOERR : SQLITE_CANTOPEN;
  }
  int journals = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
  v->syncs_name = v->f->fresh && (flags & journals) != 0;
  v->deletes = name != NULL && (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  v->base.pMethods = &METHODS;
  if (out_flags != NULL) *out_flags = flags;
  return SQLITE_OK;
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync_dir) {
  (void)vfs;
  int gone = disk_unlink(name);
  if (gone == -ENOENT) return SQLITE_IOERR_DELETE_NOENT;
  if (gone != 0) return SQLITE_IOERR_DELETE;
  return sync_dir != 0 && disk_sync_names(name) != 0 ? SQLITE_IOERR_DIR_FSYNC : SQLITE_OK;
}

/* An empty file counts as none, as in SQLite's own layer. */
static int v_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
  (void)vfs;
  const inode *i = disk_look_up(name);
  *out = i != NULL && (flags != SQLITE_ACCESS_EXISTS || i->now.len > 0);
  return SQLITE_OK;
}

static int v_path(sqlite3_vfs *vfs, const char *name, int size, char *out) {
  (void)vfs;
  sqlite3_snprintf(size, out, "%s", name);
  return (int)strlen(name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int v_randomness(sqlite3_vfs *vfs, int n, char *out) {
  (void)vfs;
  for (int i = 0; i < n; i++)
    out[i] = (char)os_chance(256);
  return n;
}

static int v_sleep(sqlite3_vfs *vfs, int us) {
  (void)vfs;
  os_sleep((uint64_t)us * OS_US);
  return us;
}

static int v_time(sqlite3_vfs *vfs, sqlite3_int64 *ms) {
  (void)vfs;
  *ms = (sqlite3_int64)os_wall(os_self()) * 1000 + 210866760000000; /* since the Julian epoch */
  return SQLITE_OK;
}

static int v_time_days(sqlite3_vfs *vfs, double *days) {
  sqlite3_int64 ms;
  v_time(vfs, &ms);
  *days = (double)ms / 86400000.0;
  return SQLITE_OK;
}

static int v_error(sqlite3_vfs *vfs, int n, char *out) {
  (void)vfs;
  if (n > 0) out[0] = '\0';
  return 0;
}

static sqlite3_vfs layer = {
    .iVersion = 2,
    .szOsFile = sizeof(vfs_file),
    .mxPathname = 512,
    .zName = "sim",
    .xOpen = v_open,
    .xDelete = v_delete,
    .xAccess = v_access,
    .xFullPathname = v_path,
    .xRandomness = v_randomness,
    .xSleep = v_sleep,
    .xCurrentTime = v_time_days,
    .xCurrentTimeInt64 = v_time,
    .xGetLastError = v_error,
};

void vfs_begin(void) {
  static bool done;
  if (!done) {
    if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK || sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != 0)
      hopeless("SQLite was used before os_begin()");
    if (sqlite3_initialize() != SQLITE_OK || sqlite3_vfs_register(&layer, 1) != SQLITE_OK) hopeless("no SQLite");
    done = true;
  }
  sqlite3_randomness(0, NULL); /* it draws anew */
}
