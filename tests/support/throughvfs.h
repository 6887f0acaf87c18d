/* throughvfs.h - the methods of a SQLite file that passes everything on to another one. A test copies them and puts its
 * own in some of their places. */
#ifndef TEST_THROUGHVFS_H
#define TEST_THROUGHVFS_H

#include <sqlite3.h>

/* What such a file begins with. */
typedef struct through_file {
  sqlite3_file base;
  sqlite3_file *real;
} through_file;

extern const sqlite3_io_methods throughvfs_methods;

#endif
