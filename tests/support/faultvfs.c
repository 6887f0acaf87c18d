#include "faultvfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

static struct {
  sqlite3_vfs vfs, *real;
  atomic_int op, code;
  atomic_uint times, syncs;
} fault;

typedef struct fault_file {
  sqlite3_file base;
  int is_wal;
  sqlite3_file *real; /* in the bytes behind this struct */
} fault_file;

static sqlite3_file *real_of(sqlite3_file *file) {
  return ((fault_file *)file)->real;
}

/* SQLITE_OK, or the code that this operation shall fail with. */
static int verdict(sqlite3_file *file, faultvfs_op op) {
  if (!((fault_file *)file)->is_wal || atomic_load(&fault.op) != (int)op || atomic_load(&fault.times) == 0)
    return SQLITE_OK;
  atomic_fetch_sub(&fault.times, 1);
  return atomic_load(&fault.code);
}

static int f_close(sqlite3_file *f) {
  return real_of(f)->pMethods ? real_of(f)->pMethods->xClose(real_of(f)) : SQLITE_OK;
}
static int f_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 at) {
  return real_of(f)->pMethods->xRead(real_of(f), buf, n, at);
}
static int f_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at) {
  int rc = verdict(f, FAULTVFS_WRITE);
  return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xWrite(real_of(f), buf, n, at);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 size) {
  return real_of(f)->pMethods->xTruncate(real_of(f), size);
}
static int f_sync(sqlite3_file *f, int flags) {
  int rc = verdict(f, FAULTVFS_SYNC);
  if (rc == SQLITE_OK) rc = real_of(f)->pMethods->xSync(real_of(f), flags);
  if (rc == SQLITE_OK && ((fault_file *)f)->is_wal) atomic_fetch_add(&fault.syncs, 1);
  return rc;
}
static int f_size(sqlite3_file *f, sqlite3_int64 *size) {
  return real_of(f)->pMethods->xFileSize(real_of(f), size);
}
static int f_lock(sqlite3_file *f, int level) {
  return real_of(f)->pMethods->xLock(real_of(f), level);
}
static int f_unlock(sqlite3_file *f, int level) {
  return real_of(f)->pMethods->xUnlock(real_of(f), level);
}
static int f_reserved(sqlite3_file *f, int *out) {
  return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}
static int f_control(sqlite3_file *f, int op, void *arg) {
  return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
static int f_sector(sqlite3_file *f) {
  return real_of(f)->pMethods->xSectorSize(real_of(f));
}
static int f_device(sqlite3_file *f) {
  return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
  return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}
static int f_shm_lock(sqlite3_file *f, int at, int n, int flags) {
  return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}
static void f_shm_barrier(sqlite3_file *f) {
  real_of(f)->pMethods->xShmBarrier(real_of(f));
}
static int f_shm_unmap(sqlite3_file *f, int delete_flag) {
  return real_of(f)->pMethods->xShmUnmap(real_of(f), delete_flag);
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 2, /* with shared memory, without memory-mapped files */
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_size,
    .xLock = f_lock,
    .xUnlock = f_unlock,
    .xCheckReservedLock = f_reserved,
    .xFileControl = f_control,
    .xSectorSize = f_sector,
    .xDeviceCharacteristics = f_device,
    .xShmMap = f_shm_map,
    .xShmLock = f_shm_lock,
    .xShmBarrier = f_shm_barrier,
    .xShmUnmap = f_shm_unmap,
};

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs;
  fault_file *f = (fault_file *)file;
  f->base.pMethods = &METHODS;
  f->is_wal = (flags & SQLITE_OPEN_WAL) != 0;
  f->real = (sqlite3_file *)(void *)(f + 1);
  memset(f->real, 0, (size_t)fault.real->szOsFile);
  return fault.real->xOpen(fault.real, name, f->real, flags, out_flags);
}

void faultvfs_register(void) {
  fault.real = sqlite3_vfs_find(NULL);
  fault.vfs = *fault.real; /* what is not replaced takes no file, and its vfs argument is not used */
  fault.vfs.szOsFile = (int)sizeof(fault_file) + fault.real->szOsFile;
  fault.vfs.pNext = NULL;
  fault.vfs.zName = "fault";
  fault.vfs.xOpen = v_open;
  assert_int_equal(sqlite3_vfs_register(&fault.vfs, 0), SQLITE_OK);
}

void faultvfs_fail(faultvfs_op op, int code, unsigned times) {
  atomic_store(&fault.times, 0);
  atomic_store(&fault.op, (int)op);
  atomic_store(&fault.code, code);
  atomic_store(&fault.times, times);
}

unsigned faultvfs_syncs(void) {
  return atomic_load(&fault.syncs);
}
