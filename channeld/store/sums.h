/* sums.h - a file layer for SQLite that guards every page of a database file by a checksum.
 *
 * SQLite checks the frames of its write-ahead log, but not the pages of the database file: a flipped bit in an amount
 * would be read as another amount. So the last eight bytes of each page are kept free ("reserved" in SQLite's format)
 * and hold a checksum of the page and its number, put there when the log is copied into the file, and compared whenever
 * the page is read. A page that does not match is never seen: the read fails, and the log says which page it was.
 *
 * Other programs on SQLite know nothing of it, and may do what is common: read; copy the database with SQLite's backup
 * or VACUUM INTO; close it last after a crash, which copies the log into the file. Pages in the log carry no checksum
 * (eight zeroes), so such a file has pages without. It is recognized by its first page being one of them, which holds
 * as long as whoever writes puts the first page into each new log (commit.c), and is checked and given checksums anew
 * at the next start. Rows changed by another program look like damage, and are refused.
 *
 * Left out of the first page's sum are fields of the header that a copy changes and that no data depends on. */
#ifndef CHANNELD_STORE_SUMS_H
#define CHANNELD_STORE_SUMS_H

#include <sqlite3.h>
#include <stdbool.h>

#define CD_SUMS_LEN 8

typedef struct cd_sums cd_sums;

/* Makes a layer on top of the one named `base` (NULL: the system's) known to SQLite; for any number of connections.
 * NULL without memory, or if there is no such base. */
cd_sums *cd_sums_new(const char *base);
const char *cd_sums_name(const cd_sums *s);
/* After all connections have been closed. NULL is fine. */
void cd_sums_free(cd_sums *s);

typedef enum cd_sums_state {
  CD_SUMS_NONE = 1, /* pages without room for them: an older form. Nothing is compared */
  CD_SUMS_PARTLY,   /* another program wrote pages without: those are taken as they are */
  CD_SUMS_ALL,      /* or the file is empty */
} cd_sums_state;

/* The state of the main database of a connection opened through this layer. */
cd_sums_state cd_sums_state_of(sqlite3 *db);

/* False: all pages are about to be written, so that the first one may get its sum, and pages without are refused. */
void cd_sums_set_partly(sqlite3 *db, bool partly);

/* Asks for the room in pages that are made from now on: an empty database's, or all in a VACUUM. */
int cd_sums_make_room(sqlite3 *db);

#endif
