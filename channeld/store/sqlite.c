#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commit.h"
#include "db.h"
#include "gather.h"
#include "read.h"
#include "schema.h"
#include "sums.h"

#define DEFAULT_CHECK_ALL (256ULL << 20)

typedef struct store {
  cd_sums *sums;
  cd_gather *gather;
  cd_committer *committer;
  cd_readers *readers;
} store;

/* --- Opening ------------------------------------------------------------------------------------ */

/* SQLite would make the file readable by all. The log beside it gets the same mode. */
static bool make_private(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  close(fd);
  return true;
}

/* Writes what the file holds once more and flushes it; none is fine. */
static bool write_again(const char *path) {
  static const size_t room = 1 << 16;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT;
  uint8_t *bytes = (uint8_t *)malloc(room);
  off_t at = 0;
  ssize_t n = -1;
  while (bytes && (n = pread(fd, bytes, room, at)) > 0 && pwrite(fd, bytes, (size_t)n, at) == n)
    at += n;
  bool ok = n == 0 && fsync(fd) == 0;
  free(bytes);
  close(fd);
  return ok;
}

static bool sync_folder(const char *path) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  int len = !slash || slash == path ? 1 : (int)(slash - path);
  int n = snprintf(folder, sizeof folder, "%.*s", len, slash ? path : ".");
  if (n < 0 || (size_t)n >= sizeof folder) return false;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  return ok;
}

/* A process that was killed between writing and flushing has left commits in the log that we can read, and that a power
 * cut can still take. What we read goes to peers, so it is flushed first: SQLite does not, when it reads a log that it
 * finds, nor the files' names. It is also written again, because after a flush that failed the system may count as
 * flushed what is in memory only. */
static bool make_durable(const char *path) {
  char log[PATH_MAX];
  int n = snprintf(log, sizeof log, "%s-wal", path);
  return n > 0 && (size_t)n < sizeof log && write_again(log) && sync_folder(path);
}

/* Once this is done, the connection belongs to the commit thread.
 *
 * WAL: one flush for a commit, and readers that never wait. synchronous=FULL: that flush happens before COMMIT returns.
 * WAL's usual companion NORMAL leaves it to the next checkpoint: after a power cut, commits would be missing whose
 * messages had left, and this node could sign a version twice. FULL is what makes commit() mean durable. */
static int set_up(sqlite3 *db) {
  return sqlite3_exec(db,
                      "PRAGMA journal_mode = WAL;"
                      "PRAGMA wal_autocheckpoint = 0;" /* the commit thread does it */
                      "PRAGMA synchronous = FULL;"
                      "PRAGMA foreign_keys = ON;"
                      "PRAGMA secure_delete = OFF;"           /* no secrets here; zeroing costs writes */
                      "PRAGMA cache_size = -32768;"           /* KiB; payment ids are spread over their index */
                      "PRAGMA journal_size_limit = 67108864;" /* gives room back after a long log */
                      ,
                      NULL, NULL, NULL);
}

static bool in_wal_mode(sqlite3 *db) {
  sqlite3_stmt *stmt;
  if (sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL) != SQLITE_OK) return false;
  bool wal =
      sqlite3_step(stmt) == SQLITE_ROW && sqlite3_stricmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
  sqlite3_finalize(stmt);
  return wal;
}

/* Gives every page a checksum, once the whole file has been found sound: a VACUUM writes all of them anew into the log,
 * and what is copied from the log into the file gets its sum. */
static ch_err seal(sqlite3 *db, char *why, size_t why_len) {
  int rc = sqlite3_exec(db, "VACUUM", NULL, NULL, NULL);
  if (rc == SQLITE_OK) {
    cd_sums_set_partly(db, false);
    rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc == SQLITE_OK && cd_sums_state_of(db) == CD_SUMS_ALL) return CH_OK;
    cd_sums_set_partly(db, true);
  }
  return cd_db_why(CH_ERR_ARGUMENT, why, why_len,
                   "its pages could not be given checksums (%s); make room on the disk, close other programs that use "
                   "it, and start again: nothing was lost",
                   sqlite3_errmsg(db));
}

static ch_err prepare(sqlite3 *db, const cd_store_config *cfg, char *why, size_t why_len) {
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, 10000); /* someone may look at the file with other tools */
  cd_sums_state sums = cd_sums_state_of(db);
  uint64_t check_all = sums != CD_SUMS_ALL ? UINT64_MAX : cfg->check_all ? cfg->check_all : DEFAULT_CHECK_ALL;
  ch_err err = cd_schema_check(db, check_all, sums != CD_SUMS_NONE, why, why_len);
  if (err) return err;
  cd_sums_make_room(db); /* if it fails, seal() says so */
  if (set_up(db) != SQLITE_OK)
    return cd_db_why(CH_ERR_ARGUMENT, why, why_len, "it cannot be written (%s); check the disk and the permissions",
                     sqlite3_errmsg(db));
  if (!in_wal_mode(db))
    return cd_db_why(CH_ERR_ARGUMENT, why, why_len,
                     "its file system does not support a write-ahead log; put it on a local disk");
  if (sums != CD_SUMS_ALL) err = seal(db, why, why_len);
  return err ? err : cd_schema_migrate(db, cd_schema_newest(), why, why_len);
}

static ch_err open_database(sqlite3 **db, const cd_store_config *cfg, const char *vfs, char *why, size_t why_len) {
  if (!make_private(cfg->path))
    return cd_db_why(CH_ERR_ARGUMENT, why, why_len,
                     "it cannot be opened (%s); check that its folder exists and is yours", strerror(errno));
  if (!make_durable(cfg->path))
    return cd_db_why(CH_ERR_ARGUMENT, why, why_len,
                     "what the last process left could not be flushed (%s); check the disk and start again: nothing "
                     "was lost",
                     strerror(errno));
  int rc = sqlite3_open_v2(cfg->path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs);
  ch_err err = CH_OK;
  if (rc == SQLITE_OK)
    err = prepare(*db, cfg, why, why_len);
  else
    err = cd_db_why(CH_ERR_ARGUMENT, why, why_len, "it cannot be opened (%s); check its permissions",
                    *db ? sqlite3_errmsg(*db) : "out of memory");
  if (err) sqlite3_close(*db);
  return err;
}

/* --- The vtable ---------------------------------------------------------------------------------- */

static void store_commit(void *ctx, cd_unit *unit) {
  cd_committer_give(((store *)ctx)->committer, unit);
}

static void store_at_work(void *ctx, bool yes) {
  cd_committer_at_work(((store *)ctx)->committer, yes);
}

static void store_reset(void *ctx, unsigned shard) {
  cd_committer_reset(((store *)ctx)->committer, shard);
}

static void store_flush(void *ctx) {
  cd_committer_flush(((store *)ctx)->committer);
}

static ch_err store_channels(void *ctx, bool (*each)(void *arg, const ch_hash *id, const uint8_t *record, size_t len),
                             void *arg) {
  return cd_read_channels(((store *)ctx)->readers, each, arg);
}

static ch_err store_channel(void *ctx, const ch_hash *id, uint8_t **record, size_t *len) {
  return cd_read_channel(((store *)ctx)->readers, id, record, len);
}

static ch_err store_pending(void *ctx, const ch_hash *channel, ch_op **ops, size_t *n) {
  return cd_read_pending(((store *)ctx)->readers, channel, ops, n);
}

static ch_err store_payments(void *ctx, const cd_payment_filter *f, bool (*each)(void *arg, const cd_payment *p),
                             void *arg) {
  return cd_read_payments(((store *)ctx)->readers, f, each, arg);
}

static ch_err store_history(void *ctx, const ch_hash *channel, int64_t after, unsigned limit,
                            bool (*each)(void *arg, const cd_history *h), void *arg) {
  return cd_read_history(((store *)ctx)->readers, channel, after, limit, each, arg);
}

static ch_err store_txs(void *ctx, bool unfinished_only, bool (*each)(void *arg, const cd_tx_row *row), void *arg) {
  return cd_read_txs(((store *)ctx)->readers, unfinished_only, each, arg);
}

static ch_err store_tx(void *ctx, const ch_hash *key, bool (*each)(void *arg, const cd_tx_row *row), void *arg) {
  return cd_read_tx(((store *)ctx)->readers, key, each, arg);
}

static ch_err store_tx_put(void *ctx, const cd_tx_row *row) {
  return cd_committer_put_tx(((store *)ctx)->committer, row);
}

static ch_err store_peer_put(void *ctx, const ch_pubkey *node, const char *address) {
  return cd_committer_put_peer(((store *)ctx)->committer, node, address);
}

static ch_err store_peers(void *ctx, bool (*each)(void *arg, const ch_pubkey *node, const char *address), void *arg) {
  return cd_read_peers(((store *)ctx)->readers, each, arg);
}

/* The writer goes last: the last connection to close copies the log into the database and removes it. */
static void store_close(void *ctx) {
  store *s = (store *)ctx;
  cd_committer_flush(s->committer);
  cd_readers_free(s->readers);
  cd_committer_stop(s->committer);
  cd_gather_free(s->gather);
  cd_sums_free(s->sums);
  free(s);
}

static const cd_store_ops OPS = {
    .commit = store_commit,
    .at_work = store_at_work,
    .reset = store_reset,
    .flush = store_flush,
    .channels = store_channels,
    .channel = store_channel,
    .pending = store_pending,
    .payments = store_payments,
    .history = store_history,
    .txs = store_txs,
    .tx = store_tx,
    .tx_put = store_tx_put,
    .peer_put = store_peer_put,
    .peers = store_peers,
    .close = store_close,
};

void cd_store_sqlite_stats(const cd_store *s, cd_store_stats *out) {
  cd_committer_stats(((store *)s->ctx)->committer, out);
}

static ch_err start(store *s, const cd_store_config *cfg, char *why, size_t why_len) {
  s->sums = cd_sums_new(cfg->vfs);
  if (s->sums) s->readers = cd_readers_new(cfg->path, cd_sums_name(s->sums));
  if (s->sums) s->gather = cd_gather_new(cd_sums_name(s->sums));
  if (!s->readers || !s->gather) return cd_db_why(CH_ERR_NO_MEMORY, why, why_len, "%s", ch_err_text(CH_ERR_NO_MEMORY));
  sqlite3 *db = NULL;
  ch_err err = open_database(&db, cfg, cd_gather_name(s->gather), why, why_len);
  return err ? err : cd_committer_start(&s->committer, db, cfg, why, why_len);
}

ch_err cd_store_sqlite_open(cd_store *out, const cd_store_config *cfg, char *why, size_t why_len) {
  if (!cfg->path || cfg->shards == 0 || cfg->group > CD_COMMIT_MAX_GROUP)
    return cd_db_why(CH_ERR_ARGUMENT, why, why_len, "the store needs a path, a shard, and groups of at most %d units",
                     CD_COMMIT_MAX_GROUP);
  store *s = (store *)calloc(1, sizeof *s);
  char reason[400] = "the machine is out of memory; free some and try again";
  ch_err err = s ? start(s, cfg, reason, sizeof reason) : CH_ERR_NO_MEMORY;
  if (err) {
    if (s) {
      cd_readers_free(s->readers);
      cd_gather_free(s->gather);
      cd_sums_free(s->sums);
    }
    free(s);
    return cd_db_why(err, why, why_len, "the database %s: %s", cfg->path, reason);
  }
  out->ctx = s;
  out->ops = &OPS;
  return CH_OK;
}
