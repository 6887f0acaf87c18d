#include "faultvfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "throughvfs.h"

static struct {
  sqlite3_vfs vfs, *real;
  sqlite3_io_methods methods;
  atomic_int op, code;
  atomic_uint times, syncs;
} fault;

typedef struct fault_file {
  through_file through; /* to the bytes behind this struct */
  int is_wal;
} fault_file;

/* SQLITE_OK, or the code that this operation shall fail with. */
static int verdict(sqlite3_file *file, faultvfs_op op) {
  if (!((fault_file *)file)->is_wal || atomic_load(&fault.op) != (int)op || atomic_load(&fault.times) == 0)
    return SQLITE_OK;
  atomic_fetch_sub(&fault.times, 1);
  return atomic_load(&fault.code);
}

static int f_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at) {
  int rc = verdict(f, FAULTVFS_WRITE);
  return rc != SQLITE_OK ? rc : throughvfs_methods.xWrite(f, buf, n, at);
}
static int f_sync(sqlite3_file *f, int flags) {
  int rc = verdict(f, FAULTVFS_SYNC);
  if (rc == SQLITE_OK) rc = throughvfs_methods.xSync(f, flags);
  if (rc == SQLITE_OK && ((fault_file *)f)->is_wal) atomic_fetch_add(&fault.syncs, 1);
  return rc;
}

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs;
  fault_file *f = (fault_file *)file;
  f->through.base.pMethods = &fault.methods;
  f->is_wal = (flags & SQLITE_OPEN_WAL) != 0;
  f->through.real = (sqlite3_file *)(void *)(f + 1);
  memset(f->through.real, 0, (size_t)fault.real->szOsFile);
  return fault.real->xOpen(fault.real, name, f->through.real, flags, out_flags);
}

void faultvfs_register(void) {
  fault.real = sqlite3_vfs_find(NULL);
  fault.vfs = *fault.real; /* what is not replaced takes no file, and its vfs argument is not used */
  fault.methods = throughvfs_methods;
  fault.methods.xWrite = f_write;
  fault.methods.xSync = f_sync;
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
