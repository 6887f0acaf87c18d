/* schema.h - the database's form: what makes a file ours, whether it is sound, and the steps to today's form. */
#ifndef CHANNELD_STORE_SCHEMA_H
#define CHANNELD_STORE_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>

#include "channel/error.h"

/* PRAGMA application_id: "chnl". */
#define CD_SCHEMA_APPLICATION 0x63686e6c

/* The first form with checksums. */
#define CD_SCHEMA_SUMS 2

/* The number of migrations: the PRAGMA user_version that this release writes. */
unsigned cd_schema_newest(void);

/* Refuses what is not ours, is newer than this release, or is damaged. An empty file is fine. Changes nothing.
 * A file above `check_all` bytes is checked in the tables that money depends on, without the lists of what is past.
 * `sums`: its pages have room for checksums (sums.h), as all have from CD_SCHEMA_SUMS on. */
ch_err cd_schema_check(sqlite3 *db, uint64_t check_all, bool sums, char *why, size_t why_len) CH_MUST_CHECK;

/* Runs the migrations up to version `to`, each with its version number in one transaction. */
ch_err cd_schema_migrate(sqlite3 *db, unsigned to, char *why, size_t why_len) CH_MUST_CHECK;

#endif
