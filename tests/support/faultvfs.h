/* faultvfs.h - a file layer for SQLite, named "fault", that does what the system's does until it is told to fail. */
#ifndef TESTS_FAULTVFS_H
#define TESTS_FAULTVFS_H

typedef enum faultvfs_op {
  FAULTVFS_WRITE = 1, /* a write to the write-ahead log */
  FAULTVFS_SYNC,      /* a flush of the write-ahead log; the bytes have been written */
} faultvfs_op;

/* Makes it known to SQLite; once per process. */
void faultvfs_register(void);
/* The next `times` operations of this kind fail with `code` (SQLITE_FULL, SQLITE_IOERR_FSYNC, ...). 0 times: none. */
void faultvfs_fail(faultvfs_op op, int code, unsigned times);
/* How many flushes of a write-ahead log have succeeded. */
unsigned faultvfs_syncs(void);

#endif
