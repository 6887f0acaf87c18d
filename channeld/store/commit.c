#include "commit.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db.h"
#include "schema.h"
#include "util/log.h"
#include "util/queue.h"

#define DEFAULT_GROUP 64
#define DEFAULT_QUEUE 1024

/* The write-ahead log, in pages of 4 KiB. A checkpoint stops commits for some milliseconds, so it waits for a pause
 * unless the log has become long. */
#define WAL_IDLE 1000
#define WAL_BUSY 8000
#define IDLE_MS 100

/* How long a commit waits for more units at most. */
#define FILL_MS 5

typedef struct shard {
  bool failed;   /* the commit thread's */
  bool marked;   /* `reset` is in the queue */
  cd_unit reset; /* a place in the queue: what comes after it counts again */
} shard;

struct cd_committer {
  cd_writer writer; /* the commit thread's, once it runs */
  int wal_frames;   /* likewise: pages in the log */
  int wal_limit;    /* likewise: the number that makes a checkpoint due without a pause */
  pthread_t thread;
  size_t group_max, queue_max;

  pthread_mutex_t lock; /* for all below */
  pthread_cond_t given_more, taken, settled_more;
  cd_unit *head, **tail;
  size_t queued;
  uint64_t given, settled; /* units ever given, and those whose done() has returned */
  bool stopping;
  unsigned at_work; /* workers that may still give units */
  bool filling;     /* the commit thread waits for these */
  uint64_t first;   /* when the first unit of the queue was given (cd_monotonic_ms) */
  bool hurry;       /* somebody waits for all that was given */
  cd_store_stats stats;

  unsigned n_shards;
  shard shards[];
};

/* One row on its way: a unit that belongs to no shard. */
typedef struct put {
  cd_unit unit;
  const cd_tx_row *tx; /* or, if NULL, a peer */
  const ch_pubkey *node;
  const char *address;
  cd_committer *committer;
  bool finished, ok;
} put;

#define NO_SHARD ((unsigned)-1)

static void put_done(cd_unit *unit, bool ok) {
  put *p = (put *)unit;
  pthread_mutex_lock(&p->committer->lock);
  p->ok = ok;
  p->finished = true;
  pthread_cond_broadcast(&p->committer->settled_more);
  pthread_mutex_unlock(&p->committer->lock);
}

/* --- A group ------------------------------------------------------------------------------------ */

typedef struct group {
  cd_unit *unit[CD_COMMIT_MAX_GROUP];
  bool ok[CD_COMMIT_MAX_GROUP];
  size_t n;
} group;

static int apply(cd_committer *c, const cd_unit *u) {
  if (u->done != put_done) return cd_write_unit(&c->writer, u);
  const put *p = (const put *)u;
  return p->tx ? cd_write_tx(&c->writer, p->tx) : cd_write_peer(&c->writer, p->node, p->address);
}

static void roll_back(cd_committer *c) {
  char why[sizeof c->writer.why];
  memcpy(why, c->writer.why, sizeof why);
  if (!sqlite3_get_autocommit(c->writer.db)) cd_write_control(&c->writer, CD_WRITE_ROLLBACK);
  memcpy(c->writer.why, why, sizeof why);
}

/* Puts the database's first page into the log. */
static int touch_first_page(cd_committer *c) {
  char sql[40];
  snprintf(sql, sizeof sql, "PRAGMA user_version = %u", cd_schema_newest());
  return sqlite3_exec(c->writer.db, sql, NULL, NULL, NULL);
}

/* A commit whose flush failed may still have reached the log whole, and the next start would find it there: a failed
 * unit would come back to life. The next successful commit overwrites it, so make one that changes nothing. If that
 * fails too, the disk takes nothing at all, and units fail until one succeeds. */
static void bury(cd_committer *c) {
  if (touch_first_page(c) != SQLITE_OK)
    cd_log(CD_LOG_ERROR, "store", "the disk takes no commits: %s; nothing new is durable until it does",
           sqlite3_errmsg(c->writer.db));
}

/* One transaction of the units that are still ok. On failure nothing of it remains and *bad is the unit that met it,
 * or g->n if all did. */
static int try_group(cd_committer *c, const group *g, size_t *bad) {
  *bad = g->n;
  int rc = cd_write_control(&c->writer, CD_WRITE_BEGIN);
  if (rc != SQLITE_OK) return rc;
  sqlite3_int64 before = sqlite3_total_changes64(c->writer.db);
  for (size_t i = 0; rc == SQLITE_OK && i < g->n; i++) {
    if (!g->ok[i]) continue;
    rc = apply(c, g->unit[i]);
    if (rc != SQLITE_OK) *bad = i;
  }
  bool new_log = c->wal_frames == 0 && sqlite3_total_changes64(c->writer.db) != before;
  if (rc == SQLITE_OK && new_log) rc = touch_first_page(c); /* sums.h says why */
  if (rc != SQLITE_OK) {
    roll_back(c);
    return rc;
  }
  rc = cd_write_control(&c->writer, CD_WRITE_COMMIT);
  if (rc == SQLITE_OK) return rc;
  roll_back(c);
  bury(c);
  return rc;
}

/* From the failing unit on, nothing of its shard counts: what follows was computed from what is lost. */
static void fail_from(cd_committer *c, group *g, size_t bad) {
  unsigned n = g->unit[bad]->shard;
  g->ok[bad] = false;
  if (n == NO_SHARD) return;
  c->shards[n].failed = true;
  for (size_t i = bad; i < g->n; i++)
    if (g->unit[i]->shard == n) g->ok[i] = false;
}

/* The unit's own rows were refused; anything else is trouble of the database and meets every unit. */
static bool units_own_fault(int rc) {
  int primary = rc & 0xff;
  return primary == SQLITE_CONSTRAINT || primary == SQLITE_TOOBIG || primary == SQLITE_MISMATCH;
}

static bool any_ok(const group *g) {
  for (size_t i = 0; i < g->n; i++)
    if (g->ok[i]) return true;
  return false;
}

/* Tries until what remains is durable; each round loses at least one unit. */
static bool make_durable(cd_committer *c, group *g) {
  for (size_t i = 0; i < g->n; i++)
    g->ok[i] = g->unit[i]->shard == NO_SHARD || !c->shards[g->unit[i]->shard].failed;
  while (any_ok(g)) {
    size_t bad;
    int rc = try_group(c, g, &bad);
    if (rc == SQLITE_OK) return true;
    if (bad < g->n && units_own_fault(rc)) {
      char id[65];
      ch_hex(id, g->unit[bad]->channel.b, sizeof g->unit[bad]->channel.b);
      cd_log(CD_LOG_ERROR, "store", "a unit was refused: %s channel=%s code=%d", c->writer.why, id, rc);
      fail_from(c, g, bad);
      continue;
    }
    cd_log(CD_LOG_ERROR, "store", "a commit failed: %s; its channels go on from what is on disk code=%d", c->writer.why,
           rc);
    for (size_t i = 0; i < g->n; i++)
      if (g->ok[i]) fail_from(c, g, i);
  }
  return false;
}

/* Single rows first: to the others, `next` tells whether more of them follow. */
static void tell(group *g) {
  cd_unit *later = NULL;
  for (size_t i = g->n; i > 0; i--) {
    cd_unit *u = g->unit[i - 1];
    if (u->done == put_done) continue;
    u->next = later;
    later = u;
  }
  for (size_t i = 0; i < g->n; i++) {
    if (g->unit[i]->done != put_done) continue;
    put_done(g->unit[i], g->ok[i]);
    g->unit[i] = NULL;
  }
  for (size_t i = 0; i < g->n; i++)
    if (g->unit[i]) g->unit[i]->done(g->unit[i], g->ok[i]);
}

static void run_group(cd_committer *c, group *g) {
  bool committed = make_durable(c, g);
  uint64_t ok = 0;
  for (size_t i = 0; i < g->n; i++)
    ok += g->ok[i];
  pthread_mutex_lock(&c->lock);
  c->stats.groups += committed;
  c->stats.units += ok;
  c->stats.failed += g->n - ok;
  pthread_mutex_unlock(&c->lock);

  tell(g);
  pthread_mutex_lock(&c->lock);
  c->settled += g->n;
  pthread_cond_broadcast(&c->settled_more);
  pthread_mutex_unlock(&c->lock);
}

/* --- The write-ahead log ------------------------------------------------------------------------ */

static int on_wal(void *arg, sqlite3 *db, const char *schema, int frames) {
  (void)db;
  (void)schema;
  ((cd_committer *)arg)->wal_frames = frames;
  return SQLITE_OK;
}

/* PASSIVE waits for nobody. Once all of the log is in the database, the next commit starts the log anew. A reader may
 * hold some of it back: then the next try is due when as much again has come. */
static void checkpoint(cd_committer *c) {
  int frames = 0, copied = 0;
  int rc = sqlite3_wal_checkpoint_v2(c->writer.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
  if (rc != SQLITE_OK)
    cd_log(CD_LOG_WARN, "store", "the log was not copied into the database: %s; it grows until it is",
           sqlite3_errmsg(c->writer.db));
  bool whole = rc == SQLITE_OK && frames == copied;
  c->wal_limit = whole ? WAL_BUSY : c->wal_frames + WAL_BUSY;
  if (whole) c->wal_frames = 0;
  pthread_mutex_lock(&c->lock);
  c->stats.checkpoints++;
  pthread_mutex_unlock(&c->lock);
}

/* --- The thread --------------------------------------------------------------------------------- */

static struct timespec in_ms(long ms) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += ms * 1000000L;
  t.tv_sec += t.tv_nsec / 1000000000L;
  t.tv_nsec %= 1000000000L;
  return t;
}

/* Waits for something in the queue; false if a pause came first. Locked. */
static bool wait_for_work(cd_committer *c, bool pause_counts) {
  struct timespec until = in_ms(IDLE_MS);
  while (!c->head && !c->stopping) {
    if (!pause_counts)
      pthread_cond_wait(&c->given_more, &c->lock);
    else if (pthread_cond_timedwait(&c->given_more, &c->lock, &until) == ETIMEDOUT)
      return c->head || c->stopping;
  }
  return true;
}

static bool may_grow(const cd_committer *c) {
  return c->at_work > 0 && c->queued < c->group_max && !c->hurry && !c->stopping;
}

/* A flush costs as much as some signatures, so it is put off while workers make units, until the group is full. One
 * payment alone does not wait: its worker has nothing more to do. Locked. */
static void fill(cd_committer *c) {
  if (!may_grow(c)) return;
  struct timespec until = in_ms(FILL_MS);
  c->filling = true;
  while (may_grow(c) && pthread_cond_timedwait(&c->given_more, &c->lock, &until) != ETIMEDOUT)
    continue;
  c->filling = false;
}

/* Takes the next units in order, up to the cap or to a place where a shard starts anew. Empty: the end. Locked. */
static void take_group(cd_committer *c, group *g) {
  g->n = 0;
  while (c->head && g->n < c->group_max) {
    cd_unit *u = c->head;
    shard *s = u->shard == NO_SHARD ? NULL : &c->shards[u->shard];
    bool mark = s && u == &s->reset;
    if (mark && g->n > 0) break;
    c->head = u->next;
    if (!c->head) c->tail = &c->head;
    u->next = NULL;
    if (mark) {
      s->marked = false;
      s->failed = false;
      continue;
    }
    c->queued--;
    g->unit[g->n++] = u;
  }
  if (!c->head) c->hurry = false;
  c->first = cd_monotonic_ms();
  pthread_cond_broadcast(&c->taken);
}

static void *commit_main(void *arg) {
  cd_committer *c = (cd_committer *)arg;
  group g;
  pthread_mutex_lock(&c->lock);
  for (;;) {
    bool work = wait_for_work(c, c->wal_frames >= WAL_IDLE && c->wal_limit == WAL_BUSY);
    if (work) fill(c);
    if (work) take_group(c, &g);
    bool end = work && g.n == 0 && !c->head && c->stopping;
    pthread_mutex_unlock(&c->lock);
    if (end) return NULL;
    if (work && g.n > 0) run_group(c, &g);
    if (!work || c->wal_frames >= c->wal_limit) checkpoint(c);
    pthread_mutex_lock(&c->lock);
  }
}

/* --- For the other threads ----------------------------------------------------------------------- */

/* The thread is not woken as long as the group may grow: most often the worker that gives the unit soon has nothing
 * more to do, and wakes it then. Locked. */
static void enqueue(cd_committer *c, cd_unit *unit) {
  unit->next = NULL;
  *c->tail = unit;
  c->tail = &unit->next;
  if (unit->shard == NO_SHARD) c->hurry = true;
  uint64_t now = cd_monotonic_ms();
  if (c->head == unit) c->first = now;
  if (!may_grow(c) || now > c->first + FILL_MS) pthread_cond_signal(&c->given_more);
}

void cd_committer_give(cd_committer *c, cd_unit *unit) {
  assert(unit->shard < c->n_shards || unit->shard == NO_SHARD);
  pthread_mutex_lock(&c->lock);
  while (c->queued >= c->queue_max)
    pthread_cond_wait(&c->taken, &c->lock);
  c->queued++;
  c->given++;
  enqueue(c, unit);
  pthread_mutex_unlock(&c->lock);
}

void cd_committer_at_work(cd_committer *c, bool yes) {
  pthread_mutex_lock(&c->lock);
  assert(yes || c->at_work > 0);
  c->at_work = yes ? c->at_work + 1 : c->at_work - 1;
  bool go = c->head && (!c->filling || !may_grow(c));
  pthread_mutex_unlock(&c->lock);
  if (go) pthread_cond_signal(&c->given_more);
}

void cd_committer_reset(cd_committer *c, unsigned n) {
  assert(n < c->n_shards);
  pthread_mutex_lock(&c->lock);
  shard *s = &c->shards[n];
  if (!s->marked) {
    s->marked = true;
    s->reset.shard = n;
    enqueue(c, &s->reset);
  }
  pthread_mutex_unlock(&c->lock);
}

void cd_committer_flush(cd_committer *c) {
  pthread_mutex_lock(&c->lock);
  uint64_t given = c->given;
  c->hurry = true;
  pthread_cond_signal(&c->given_more);
  while (c->settled < given)
    pthread_cond_wait(&c->settled_more, &c->lock);
  pthread_mutex_unlock(&c->lock);
}

static ch_err put_row(cd_committer *c, put *p) {
  p->committer = c;
  p->unit.shard = NO_SHARD;
  p->unit.done = put_done;
  cd_committer_give(c, &p->unit);
  pthread_mutex_lock(&c->lock);
  while (!p->finished)
    pthread_cond_wait(&c->settled_more, &c->lock);
  pthread_mutex_unlock(&c->lock);
  return p->ok ? CH_OK : CH_ERR_BUG;
}

ch_err cd_committer_put_tx(cd_committer *c, const cd_tx_row *row) {
  return put_row(c, &(put){.tx = row});
}

ch_err cd_committer_put_peer(cd_committer *c, const ch_pubkey *node, const char *address) {
  return put_row(c, &(put){.node = node, .address = address});
}

void cd_committer_stats(cd_committer *c, cd_store_stats *out) {
  pthread_mutex_lock(&c->lock);
  *out = c->stats;
  pthread_mutex_unlock(&c->lock);
}

/* --- Life --------------------------------------------------------------------------------------- */

static void init_sync(cd_committer *c) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&c->lock, NULL);
  pthread_cond_init(&c->given_more, &monotonic);
  pthread_cond_init(&c->taken, NULL);
  pthread_cond_init(&c->settled_more, NULL);
  pthread_condattr_destroy(&monotonic);
}

static void destroy(cd_committer *c) {
  cd_writer_close(&c->writer);
  pthread_cond_destroy(&c->settled_more);
  pthread_cond_destroy(&c->taken);
  pthread_cond_destroy(&c->given_more);
  pthread_mutex_destroy(&c->lock);
  free(c);
}

ch_err cd_committer_start(cd_committer **out, sqlite3 *db, const cd_store_config *cfg, char *why, size_t why_len) {
  cd_committer *c = (cd_committer *)calloc(1, sizeof *c + cfg->shards * sizeof c->shards[0]);
  if (!c) {
    sqlite3_close(db);
    return cd_db_why(CH_ERR_NO_MEMORY, why, why_len, "%s", ch_err_text(CH_ERR_NO_MEMORY));
  }
  init_sync(c);
  c->tail = &c->head;
  c->n_shards = cfg->shards;
  c->group_max = cfg->group ? cfg->group : DEFAULT_GROUP;
  c->queue_max = cfg->queue ? cfg->queue : DEFAULT_QUEUE;
  if (c->group_max > c->queue_max) c->group_max = c->queue_max; /* a full queue does not wait for more */
  c->wal_limit = WAL_BUSY;
  ch_err err = CH_OK;
  if (cd_writer_open(&c->writer, db) != SQLITE_OK)
    err = cd_db_why(CH_ERR_FORMAT, why, why_len, "its tables are not ours (%s); restore the newest copy",
                    sqlite3_errmsg(db));
  if (!err) sqlite3_wal_hook(db, on_wal, c);
  if (!err && pthread_create(&c->thread, NULL, commit_main, c) != 0)
    err = cd_db_why(CH_ERR_NO_MEMORY, why, why_len, "no thread could be started; raise the limit of processes");
  if (err)
    destroy(c);
  else
    *out = c;
  return err;
}

void cd_committer_stop(cd_committer *c) {
  pthread_mutex_lock(&c->lock);
  c->stopping = true;
  pthread_cond_signal(&c->given_more);
  pthread_mutex_unlock(&c->lock);
  pthread_join(c->thread, NULL);
  destroy(c);
}
