/* sqlite.h - the store port on SQLite: one file in WAL mode, one writing thread, any number of readers.
 *
 * Every unit given to commit() becomes one part of a transaction: all units that are ready, up to a cap, share one
 * transaction and so one flush, and while it is being flushed the next ones gather. A unit that the database refuses
 * (an outgoing payment's id that is taken, say) fails alone; a fault of the disk fails the whole group.
 *
 * Rules beside those of ports.h: done() must not call commit(), flush(), tx_put(), peer_put() or close(), all of which
 * may wait for the very thread that it runs on. It may read and may call reset(). Reset is a place in the queue: units
 * of the shard given before it still fail, those given after it count again. `each` callbacks may read again.
 * close() comes after all other calls have returned.
 */
#ifndef CHANNELD_STORE_SQLITE_H
#define CHANNELD_STORE_SQLITE_H

#include "ports.h"

typedef struct cd_store_config {
  const char *path;   /* the database file, made if it is not there; its folder must exist */
  const char *vfs;    /* SQLite's name for the file layer; NULL: the system's. Tests name theirs */
  unsigned shards;    /* units have a shard below this; at least 1 */
  unsigned group;     /* most units in one transaction; 0: 64 */
  unsigned queue;     /* most units that wait; 0: 1024 */
  uint64_t check_all; /* files above this many bytes are checked at start in part only; 0: 256 MiB */
} cd_store_config;

/* Opens or makes the database, checks it, brings it to this release's form and starts the commit thread. The caller
 * holds the lock of the data folder (lock.h). On failure `why` is a sentence that says what to do:
 *   CH_ERR_VERSION  a newer release wrote it
 *   CH_ERR_FORMAT   it is damaged, or is no database of ours
 *   CH_ERR_ARGUMENT the file cannot be opened or written, or cfg is out of range
 *   CH_ERR_NO_MEMORY */
ch_err cd_store_sqlite_open(cd_store *out, const cd_store_config *cfg, char *why, size_t why_len) CH_MUST_CHECK;

/* Counters since the start; for benchmarks and metrics. Any thread. */
typedef struct cd_store_stats {
  uint64_t groups;      /* transactions, each one flush */
  uint64_t units;       /* durable units */
  uint64_t failed;      /* units that failed */
  uint64_t checkpoints; /* times that the write-ahead log was copied into the database */
} cd_store_stats;
void cd_store_sqlite_stats(const cd_store *store, cd_store_stats *out);

#endif
