/* gather.h - a file layer for SQLite that sends what it appends to the write-ahead log in one write.
 *
 * SQLite appends each page of a commit with two writes, and then flushes. Half of a commit's processor time goes into
 * these calls. This layer keeps appended bytes in memory until the flush, or until somebody looks at the file through
 * the same connection. No other connection misses them: with synchronous=FULL SQLite tells the others of a commit only
 * after its flush. A write that fails is reported by the flush, which fails the commit as well.
 *
 * And it keeps the log longer than what is in it, by zeroes, which SQLite does not take for a commit. A flush of bytes
 * that lie within a file costs less than half of one that also makes the file longer, as the file system then writes
 * its journal, too. SQLite writes a log from its beginning again and again, so it grows only for a while.
 */
#ifndef CHANNELD_STORE_GATHER_H
#define CHANNELD_STORE_GATHER_H

#include <sqlite3.h>
#include <stdbool.h>

typedef struct cd_gather cd_gather;

/* Makes a layer on top of the one named `base` (NULL: the system's) known to SQLite; for one connection at a time. NULL
 * without memory, or if there is no such base. */
cd_gather *cd_gather_new(const char *base);
const char *cd_gather_name(const cd_gather *g);
/* After the connection has been closed. NULL is fine. */
void cd_gather_free(cd_gather *g);

#endif
