/* Committing: order, groups, durability before done(), failures that stay where they belong, kill -9. */
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "faultvfs.h"
#include "store/sqlite.h"
#include "tempdir.h"
#include "units.h"

typedef struct fixture {
  tempdir dir;
  char path[PATH_MAX];
  cd_store s;
  units_log log;
  sem_t entered, open; /* the gate */
} fixture;

static cd_store open_store(const char *path, unsigned group, unsigned queue) {
  cd_store_config cfg = {.path = path, .vfs = "fault", .shards = 4, .group = group, .queue = queue};
  char why[400];
  cd_store s;
  if (cd_store_sqlite_open(&s, &cfg, why, sizeof why) != CH_OK) fail_msg("%s", why);
  return s;
}

static int setup_closed(void **state) {
  fixture *f = (fixture *)calloc(1, sizeof *f);
  assert_non_null(f);
  tempdir_make(&f->dir);
  tempdir_file(f->path, &f->dir, "db");
  units_log_init(&f->log);
  sem_init(&f->entered, 0, 0);
  sem_init(&f->open, 0, 0);
  *state = f;
  return 0;
}

static int setup(void **state) {
  setup_closed(state);
  fixture *f = (fixture *)*state;
  f->s = open_store(f->path, 32, 0);
  return 0;
}

static int teardown(void **state) {
  fixture *f = (fixture *)*state;
  faultvfs_fail(FAULTVFS_SYNC, SQLITE_OK, 0);
  if (f->s.ops) f->s.ops->close(f->s.ctx);
  tempdir_remove(&f->dir);
  free(f);
  return 0;
}

static void reopen(fixture *f, unsigned group, unsigned queue) {
  f->s.ops->close(f->s.ctx);
  f->s = open_store(f->path, group, queue);
}

/* The gate: a unit whose done() holds the commit thread, so that what is given meanwhile becomes one group. */
static void gate_done(cd_unit *u, bool ok) {
  fixture *f = (fixture *)u->done_ctx;
  assert_true(ok);
  cd_unit_free(u);
  sem_post(&f->entered);
  while (sem_wait(&f->open) != 0) {
  }
}

static void close_gate(fixture *f) {
  cd_unit *u = units_new(1000, 0);
  u->done = gate_done;
  u->done_ctx = f;
  f->s.ops->commit(f->s.ctx, u);
  while (sem_wait(&f->entered) != 0) {
  }
}

static void open_gate(fixture *f) {
  sem_post(&f->open);
}

static cd_store_stats stats(const fixture *f) {
  cd_store_stats v;
  cd_store_sqlite_stats(&f->s, &v);
  return v;
}

/* What the record of a channel says, or 0. */
static uint64_t tag_of(const cd_store *s, unsigned channel) {
  ch_hash id = units_channel(channel);
  uint8_t *record;
  size_t len;
  if (s->ops->channel(s->ctx, &id, &record, &len) != CH_OK) return 0;
  uint64_t tag;
  assert_int_equal(len, sizeof tag);
  memcpy(&tag, record, sizeof tag);
  free(record);
  return tag;
}

static bool count_payment(void *arg, const cd_payment *p) {
  (void)p;
  ++*(unsigned *)arg;
  return true;
}

static unsigned payments(const cd_store *s, const char *id) {
  unsigned n = 0;
  cd_payment_filter f = {.id = id, .limit = 1000};
  assert_int_equal(s->ops->payments(s->ctx, &f, count_payment, &n), CH_OK);
  return n;
}

static bool keep_seq(void *arg, const cd_payment *p) {
  *(int64_t *)arg = p->seq;
  return false;
}

static int64_t seq_of(cd_store *s, const char *id) {
  int64_t seq = 0;
  cd_payment_filter f = {.id = id, .limit = 1};
  assert_int_equal(s->ops->payments(s->ctx, &f, keep_seq, &seq), CH_OK);
  assert_true(seq > 0);
  return seq;
}

static void numbered(cd_unit *u, bool ok) {
  assert_true(ok);
  u->seq = NULL; /* the test's */
  cd_unit_free(u);
}

static void assert_logged(fixture *f, size_t at, uint64_t tag, bool ok) {
  assert_true(at < f->log.n);
  assert_int_equal(f->log.v[at].tag, tag);
  assert_int_equal(f->log.v[at].ok, ok);
}

static cd_unit *paying(unsigned channel, uint64_t tag, const char *id) {
  cd_unit *u = units_new(channel, tag);
  units_payment(u, false, CH_PAYMENT_PENDING, id, 1, 0, 0);
  return u;
}

/* A unit learns how its new rows of payments are numbered; what was there already keeps its number. */
static void test_new_rows_are_numbered(void **state) {
  fixture *f = (fixture *)*state;
  int64_t seq[2][3] = {0};
  for (int i = 0; i < 2; i++) {
    cd_unit *u = paying(1, 1, "first");
    units_history(u, CH_PHASE_OPEN, CH_PHASE_OPEN, 1, "between");
    units_payment(u, false, CH_PAYMENT_PENDING, i == 0 ? "second" : "third", 2, 0, 0);
    u->seq = seq[i];
    u->done = numbered;
    f->s.ops->commit(f->s.ctx, u);
    f->s.ops->flush(f->s.ctx);
  }
  assert_int_equal(seq[0][0], seq_of(&f->s, "first"));
  assert_int_equal(seq[0][1], 0);
  assert_int_equal(seq[0][2], seq_of(&f->s, "second"));
  assert_int_equal(seq[1][0], 0);
  assert_int_equal(seq[1][2], seq_of(&f->s, "third"));
}

/* --- Groups ------------------------------------------------------------------------------------- */

static void test_groups_share_a_flush_in_order(void **state) {
  fixture *f = (fixture *)*state;
  close_gate(f);
  uint64_t before = stats(f).groups;
  unsigned syncs = faultvfs_syncs();
  for (uint64_t i = 1; i <= 70; i++)
    units_commit(&f->log, &f->s, units_new((unsigned)i % 7, i));
  open_gate(f);
  f->s.ops->flush(f->s.ctx);
  assert_int_equal(f->log.n, 70);
  for (uint64_t i = 1; i <= 70; i++)
    assert_logged(f, i - 1, i, true);
  assert_int_equal(stats(f).groups - before, 3); /* 32, 32, 6 */
  assert_in_range(faultvfs_syncs() - syncs, 3, 6);
  for (unsigned c = 0; c < 7; c++)
    assert_int_equal(tag_of(&f->s, c), c == 0 ? 70 : 63 + c);
}

/* How many units said that they are the last of their commit. */
static void count_last(cd_unit *u, bool ok) {
  assert_true(ok);
  *(unsigned *)u->done_ctx += u->next == NULL;
  cd_unit_free(u);
}

static void *put_row(void *arg) {
  fixture *f = (fixture *)arg;
  assert_int_equal(f->s.ops->peer_put(f->s.ctx, &(ch_pubkey){{2}}, "host:1"), CH_OK);
  return NULL;
}

static void test_the_last_of_a_commit_knows_it(void **state) {
  fixture *f = (fixture *)*state;
  pthread_t other;
  unsigned last = 0;
  close_gate(f);
  assert_int_equal(pthread_create(&other, NULL, put_row, f), 0); /* a row of its own, wherever it comes */
  for (uint64_t i = 1; i <= 70; i++) {
    cd_unit *u = units_new((unsigned)i % 7, i);
    u->done = count_last;
    u->done_ctx = &last;
    f->s.ops->commit(f->s.ctx, u);
  }
  uint64_t before = stats(f).groups;
  open_gate(f);
  f->s.ops->flush(f->s.ctx);
  assert_int_equal(pthread_join(other, NULL), 0);
  assert_in_range(stats(f).groups - before, 3, 4); /* with the row, which may be alone */
  assert_int_equal(last, 3);
}

/* A commit waits for workers that are at work, but neither for long nor when somebody waits for it. */
static void test_a_busy_worker_holds_nothing_up(void **state) {
  fixture *f = (fixture *)*state;
  f->s.ops->at_work(f->s.ctx, true); /* this one never rests */
  for (uint64_t i = 1; i <= 3; i++) {
    f->s.ops->at_work(f->s.ctx, true);
    units_commit(&f->log, &f->s, units_new(1, i));
    f->s.ops->at_work(f->s.ctx, false);
    units_wait(&f->log, i);
  }
  units_commit(&f->log, &f->s, units_new(1, 4));
  f->s.ops->flush(f->s.ctx);
  assert_int_equal(tag_of(&f->s, 1), 4);
  assert_int_equal(f->s.ops->peer_put(f->s.ctx, &(ch_pubkey){{2}}, "host:1"), CH_OK);
  f->s.ops->at_work(f->s.ctx, false);
}

static void syncs_done(cd_unit *u, bool ok) {
  assert_true(ok);
  *(unsigned *)u->done_ctx = faultvfs_syncs();
  cd_unit_free(u);
}

/* What makes the difference between synchronous=FULL and NORMAL. */
static void test_done_comes_after_the_flush(void **state) {
  fixture *f = (fixture *)*state;
  for (int i = 0; i < 5; i++) {
    unsigned before = faultvfs_syncs(), at_done = 0;
    cd_unit *u = units_new(1, (uint64_t)i);
    u->done = syncs_done;
    u->done_ctx = &at_done;
    f->s.ops->commit(f->s.ctx, u);
    f->s.ops->flush(f->s.ctx);
    assert_true(at_done > before);
  }
}

static void test_close_makes_all_durable(void **state) {
  fixture *f = (fixture *)*state;
  for (uint64_t i = 1; i <= 200; i++)
    units_commit(&f->log, &f->s, units_new((unsigned)i, i));
  reopen(f, 0, 0);
  assert_int_equal(f->log.n, 200);
  for (unsigned i = 1; i <= 200; i++)
    assert_int_equal(tag_of(&f->s, i), i);
}

typedef struct giver {
  fixture *f;
  sem_t starts_last;
  atomic_bool opened;
  bool opened_before_last;
} giver;

static void *give_five(void *arg) {
  giver *g = (giver *)arg;
  for (uint64_t i = 1; i <= 4; i++)
    units_commit(&g->f->log, &g->f->s, units_new((unsigned)i, i));
  sem_post(&g->starts_last);
  units_commit(&g->f->log, &g->f->s, units_new(5, 5));
  g->opened_before_last = atomic_load(&g->opened);
  return NULL;
}

static void test_a_full_queue_blocks(void **state) {
  fixture *f = (fixture *)*state;
  reopen(f, 0, 4);
  close_gate(f);
  giver g = {.f = f};
  sem_init(&g.starts_last, 0, 0);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, give_five, &g), 0);
  while (sem_wait(&g.starts_last) != 0) {
  }
  for (int i = 0; i < 1000; i++)
    sched_yield(); /* room for the mistake: without a bound the fifth would come back now */
  atomic_store(&g.opened, true);
  open_gate(f);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(g.opened_before_last);
  units_wait(&f->log, 5);
}

/* --- Repeated effects ---------------------------------------------------------------------------- */

static void test_payments_are_idempotent_and_unique(void **state) {
  fixture *f = (fixture *)*state;
  assert_true(units_commit_now(&f->s, paying(1, 1, "a")));
  assert_true(units_commit_now(&f->s, paying(1, 2, "a")));
  assert_int_equal(payments(&f->s, "a"), 1);
  for (uint64_t i = 0; i < 2; i++) {
    cd_unit *u = units_new(1, 3 + i);
    units_payment(u, false, CH_PAYMENT_SETTLED, "a", 1, 9, 0);
    units_payment(u, true, CH_PAYMENT_SETTLED, "in", 1, 10, 0);
    assert_true(units_commit_now(&f->s, u));
  }
  assert_int_equal(payments(&f->s, "a"), 1);
  assert_int_equal(payments(&f->s, "in"), 1);
  /* Settled, so it cannot be accepted once more; nor for another amount, nor in another channel. */
  assert_false(units_commit_now(&f->s, paying(1, 5, "a")));
  f->s.ops->reset(f->s.ctx, 1);
  cd_unit *u = units_new(1, 6);
  units_payment(u, false, CH_PAYMENT_SETTLED, "a", 2, 9, 0);
  assert_false(units_commit_now(&f->s, u));
  f->s.ops->reset(f->s.ctx, 1);
  assert_false(units_commit_now(&f->s, paying(2, 7, "a")));
  f->s.ops->reset(f->s.ctx, 2);
  u = units_new(1, 8);
  units_payment(u, true, CH_PAYMENT_SETTLED, "other", 1, 10, 0);
  assert_false(units_commit_now(&f->s, u));
  f->s.ops->reset(f->s.ctx, 1);
  /* The peer chooses incoming ids: it may choose one of mine, or one twice. */
  u = units_new(1, 9);
  units_payment(u, true, CH_PAYMENT_SETTLED, "a", 1, 12, 0);
  units_payment(u, true, CH_PAYMENT_SETTLED, "a", 1, 12, 1);
  assert_true(units_commit_now(&f->s, u));
  assert_int_equal(payments(&f->s, "a"), 3);
}

/* --- Failures ----------------------------------------------------------------------------------- */

static void test_a_bad_unit_fails_alone(void **state) {
  fixture *f = (fixture *)*state;
  assert_true(units_commit_now(&f->s, paying(1, 1, "taken")));
  close_gate(f);
  units_commit(&f->log, &f->s, units_new(1, 11));
  units_commit(&f->log, &f->s, units_new(2, 12));
  units_commit(&f->log, &f->s, paying(2, 13, "taken")); /* bad: shard 2 */
  units_commit(&f->log, &f->s, units_new(3, 14));
  units_commit(&f->log, &f->s, units_new(6, 15));       /* shard 2, another channel */
  units_commit(&f->log, &f->s, paying(3, 16, "taken")); /* bad: shard 3 */
  units_commit(&f->log, &f->s, units_new(1, 17));
  open_gate(f);
  units_wait(&f->log, 7);
  const bool ok[] = {true, true, false, true, false, false, true};
  for (size_t i = 0; i < 7; i++)
    assert_logged(f, i, 11 + i, ok[i]);
  assert_int_equal(tag_of(&f->s, 1), 17);
  assert_int_equal(tag_of(&f->s, 2), 12); /* nothing of the bad one */
  assert_int_equal(tag_of(&f->s, 3), 14);
  assert_int_equal(tag_of(&f->s, 6), 0);
  assert_int_equal(payments(&f->s, "taken"), 1);
  assert_int_equal(stats(f).failed, 3);
}

static void test_reset_counts_from_its_place(void **state) {
  fixture *f = (fixture *)*state;
  assert_true(units_commit_now(&f->s, paying(1, 1, "taken")));
  assert_false(units_commit_now(&f->s, paying(2, 2, "taken")));
  assert_false(units_commit_now(&f->s, units_new(2, 3)));
  close_gate(f);
  units_commit(&f->log, &f->s, units_new(2, 4));
  f->s.ops->reset(f->s.ctx, 2);
  f->s.ops->reset(f->s.ctx, 2);
  units_commit(&f->log, &f->s, units_new(2, 5));
  open_gate(f);
  units_wait(&f->log, 2);
  assert_logged(f, 0, 4, false);
  assert_logged(f, 1, 5, true);
  assert_int_equal(tag_of(&f->s, 2), 5);
  /* Without a channel no payment: a unit that forgot its record is refused. */
  cd_unit *u = paying(3, 6, "p");
  free(u->record);
  u->record = NULL;
  assert_false(units_commit_now(&f->s, u));
}

/* The tag of unit_in_parts(), or 0; *steady becomes the byte that its first part is made of. */
static uint64_t read_parts(const cd_store *s, unsigned channel, uint8_t *steady) {
  ch_hash id = units_channel(channel);
  uint8_t *record;
  size_t len;
  uint64_t tag;
  assert_int_equal(s->ops->channel(s->ctx, &id, &record, &len), CH_OK);
  assert_int_equal(len, 100 + sizeof tag);
  for (size_t i = 1; i < 100; i++)
    assert_int_equal(record[i], record[0]);
  *steady = record[0];
  memcpy(&tag, record + 100, sizeof tag);
  free(record);
  return tag;
}

static cd_unit *unit_in_parts(unsigned channel, uint64_t tag, uint8_t steady) {
  cd_unit *u = units_new(channel, tag);
  u->record = (uint8_t *)realloc(u->record, 100 + sizeof tag);
  assert_non_null(u->record);
  memset(u->record, steady, 100);
  memcpy(u->record + 100, &tag, sizeof tag);
  u->record_len = 100 + sizeof tag;
  u->n_steady = 100;
  return u;
}

/* The two parts of a record are one again, whichever of them changed; after a failure, too. */
static void test_a_record_in_parts(void **state) {
  fixture *f = *state;
  uint8_t steady;
  static const uint8_t parts[] = {'a', 'a', 'b', 'b', 'a'};
  for (unsigned i = 0; i < sizeof parts; i++) {
    assert_true(units_commit_now(&f->s, unit_in_parts(1, 10 + i, parts[i])));
    assert_int_equal(read_parts(&f->s, 1, &steady), 10 + i);
    assert_int_equal(steady, parts[i]);
  }
  cd_unit *u = unit_in_parts(1, 20, 'c'); /* refused after its channel was written */
  units_payment(u, false, CH_PAYMENT_PENDING, "p", 5, 0, 0);
  units_payment(u, false, CH_PAYMENT_PENDING, "p", 6, 0, 0);
  assert_false(units_commit_now(&f->s, u));
  assert_int_equal(read_parts(&f->s, 1, &steady), 14);
  assert_int_equal(steady, 'a');
  f->s.ops->reset(f->s.ctx, 1);
  assert_true(units_commit_now(&f->s, unit_in_parts(1, 21, 'c')));
  assert_int_equal(read_parts(&f->s, 1, &steady), 21);
  assert_int_equal(steady, 'c');
  assert_true(units_commit_now(&f->s, units_new(1, 22))); /* whole */
  assert_int_equal(tag_of(&f->s, 1), 22);
}

static void fail_all_then_recover(fixture *f, faultvfs_op op, int code) {
  uint64_t base = f->log.n;
  uint64_t old[4];
  for (unsigned c = 0; c < 4; c++)
    old[c] = tag_of(&f->s, c);
  close_gate(f);
  for (unsigned c = 0; c < 4; c++)
    units_commit(&f->log, &f->s, units_new(c, 100 + c));
  faultvfs_fail(op, code, 1000);
  const ch_pubkey node = {{2, (uint8_t)(code >> 8), (uint8_t)code}}; /* new: else nothing would be written */
  open_gate(f);
  assert_int_equal(f->s.ops->peer_put(f->s.ctx, &node, "127.0.0.1:1"), CH_ERR_BUG);
  units_wait(&f->log, base + 4);
  faultvfs_fail(op, SQLITE_OK, 0);
  for (unsigned c = 0; c < 4; c++) {
    assert_logged(f, base + c, 100 + c, false);
    assert_int_equal(tag_of(&f->s, c), old[c]);
    assert_false(units_commit_now(&f->s, units_new(c, 200 + c))); /* until the worker has started anew */
    f->s.ops->reset(f->s.ctx, c);
    assert_true(units_commit_now(&f->s, units_new(c, 300 + code + c)));
    assert_int_equal(tag_of(&f->s, c), 300 + code + c);
  }
  assert_int_equal(f->s.ops->peer_put(f->s.ctx, &node, "127.0.0.1:1"), CH_OK);
}

static void test_disk_faults_fail_the_group(void **state) {
  fixture *f = (fixture *)*state;
  fail_all_then_recover(f, FAULTVFS_WRITE, SQLITE_FULL);
  fail_all_then_recover(f, FAULTVFS_WRITE, SQLITE_IOERR_WRITE);
  fail_all_then_recover(f, FAULTVFS_SYNC, SQLITE_IOERR_FSYNC);
}

static void copy_file(const char *from, const char *to) {
  char command[3 * PATH_MAX];
  snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
  assert_int_equal(system(command), 0);
}

/* The database and its log as a power cut would leave them now. */
static cd_store open_copy(fixture *f) {
  char from[PATH_MAX], to[PATH_MAX];
  copy_file(f->path, tempdir_file(to, &f->dir, "copy"));
  copy_file(tempdir_file(from, &f->dir, "db-wal"), tempdir_file(to, &f->dir, "copy-wal"));
  return open_store(tempdir_file(to, &f->dir, "copy"), 0, 0);
}

/* The bytes of a commit are in the log when its flush fails; done() has said that it never happened. */
static void test_a_failed_flush_does_not_come_back(void **state) {
  fixture *f = (fixture *)*state;
  assert_true(units_commit_now(&f->s, units_new(1, 1)));
  faultvfs_fail(FAULTVFS_SYNC, SQLITE_IOERR_FSYNC, 1);
  assert_false(units_commit_now(&f->s, paying(1, 2, "lost")));
  cd_store copy = open_copy(f);
  assert_int_equal(tag_of(&copy, 1), 1);
  assert_int_equal(payments(&copy, "lost"), 0);
  copy.ops->close(copy.ctx);
}

/* --- kill -9 ------------------------------------------------------------------------------------ */

/* Every unit n of channel c: record n, payment "c-n" in and history n. The tags are given one after the other. */
static cd_unit *whole_unit(unsigned c, uint64_t n) {
  cd_unit *u = units_new(c, n);
  char id[32];
  snprintf(id, sizeof id, "%u-%llu", c, (unsigned long long)n);
  units_payment(u, false, CH_PAYMENT_PENDING, id, 1, 0, 0);
  units_payment(u, true, CH_PAYMENT_SETTLED, id, 1, n, 0);
  units_history(u, CH_PHASE_OPEN, CH_PHASE_OPEN, n, "event");
  u->phase = (int)c;
  return u;
}

static void report_done(cd_unit *u, bool ok) {
  uint64_t said[2] = {(uint64_t)u->phase, u->now};
  if (!ok || write(*(int *)u->done_ctx, said, sizeof said) != sizeof said) _exit(1);
  cd_unit_free(u);
}

static void commit_until_killed(const char *path, int pipe_end) {
  cd_store s = open_store(path, 8, 64);
  uint64_t next[4];
  for (unsigned c = 0; c < 4; c++)
    next[c] = tag_of(&s, c);
  for (unsigned i = 0;; i++) {
    cd_unit *u = whole_unit(i % 4, ++next[i % 4]);
    u->done = report_done;
    u->done_ctx = &pipe_end;
    s.ops->commit(s.ctx, u);
  }
}

typedef struct found {
  uint64_t in, out;
  int64_t last;
} found;

static bool count_found(void *arg, const cd_payment *p) {
  found *v = (found *)arg;
  if (p->incoming)
    assert_int_equal(p->version, ++v->in);
  else
    v->out++;
  v->last = p->seq;
  return true;
}

static bool count_history(void *arg, const cd_history *h) {
  if (strcmp(h->cause, "event") == 0) assert_int_equal(h->version, ++*(uint64_t *)arg);
  return true;
}

/* All of units 1..tag of this channel, and nothing of another. */
static void assert_whole(const cd_store *s, unsigned c, uint64_t acknowledged) {
  uint64_t tag = tag_of(s, c);
  assert_true(tag >= acknowledged);
  ch_hash id = units_channel(c);
  found v = {0};
  uint64_t before, told = 0;
  do {
    cd_payment_filter f = {.channel = &id, .limit = 1000, .after = v.last};
    before = v.in + v.out;
    assert_int_equal(s->ops->payments(s->ctx, &f, count_found, &v), CH_OK);
  } while (v.in + v.out > before);
  assert_int_equal(v.in, tag);
  assert_int_equal(v.out, tag);
  assert_int_equal(s->ops->history(s->ctx, &id, 0, 1000000, count_history, &told), CH_OK);
  assert_int_equal(told, tag);
}

/* The test itself has no threads yet when it forks: see setup_closed(). */
static void test_kill_in_the_midst(void **state) {
  fixture *f = (fixture *)*state;
  uint64_t acknowledged[4] = {0};
  for (unsigned round = 0; round < 8; round++) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      commit_until_killed(f->path, ends[1]);
    }
    close(ends[1]);
    uint64_t said[2];
    for (unsigned n = 0; read(ends[0], said, sizeof said) == sizeof said; n++) {
      acknowledged[said[0]] = said[1];
      if (n == 20 + 13 * round) assert_int_equal(kill(child, SIGKILL), 0);
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cd_store s = open_store(f->path, 0, 0);
    for (unsigned c = 0; c < 4; c++)
      assert_whole(&s, c, acknowledged[c]);
    s.ops->close(s.ctx);
  }
}

/* --- Many threads -------------------------------------------------------------------------------- */

static void *work(void *arg) {
  fixture *f = (fixture *)arg;
  static atomic_uint next;
  unsigned shard = atomic_fetch_add(&next, 1) % 4;
  for (uint64_t i = 1; i <= 200; i++) {
    units_commit(&f->log, &f->s, whole_unit(shard, i));
    if (i % 20 == 0) (void)tag_of(&f->s, shard);
    const ch_pubkey node = {{(uint8_t)shard}};
    if (i % 50 == 0) assert_int_equal(f->s.ops->peer_put(f->s.ctx, &node, "127.0.0.1:1"), CH_OK);
  }
  return NULL;
}

static void test_many_threads(void **state) {
  fixture *f = (fixture *)*state;
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, work, f), 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  f->s.ops->flush(f->s.ctx);
  assert_int_equal(f->log.n, 800);
  uint64_t last[4] = {0};
  for (size_t i = 0; i < 800; i++)
    assert_true(f->log.v[i].ok);
  for (unsigned c = 0; c < 4; c++) {
    last[c] = tag_of(&f->s, c);
    assert_int_equal(last[c], 200);
    assert_whole(&f->s, c, 200);
  }
}

static void test_the_log_stays_bounded(void **state) {
  fixture *f = (fixture *)*state;
  cd_unit *u;
  for (uint64_t i = 1; i <= 300; i++) { /* 300 x 256 KiB through a log that is copied after some 32 MiB */
    u = units_new(1, i);
    u->record = (uint8_t *)realloc(u->record, 1 << 18);
    assert_non_null(u->record);
    memset(u->record, (int)i, 1 << 18);
    u->record_len = 1 << 18;
    assert_true(units_commit_now(&f->s, u));
  }
  assert_true(stats(f).checkpoints > 0);
  char wal[PATH_MAX];
  int fd = open(tempdir_file(wal, &f->dir, "db-wal"), O_RDONLY);
  assert_true(fd >= 0);
  assert_true(lseek(fd, 0, SEEK_END) < 40 << 20);
  close(fd);
}

static int register_vfs(void **state) {
  (void)state;
  faultvfs_register();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_new_rows_are_numbered, setup, teardown),
      cmocka_unit_test_setup_teardown(test_groups_share_a_flush_in_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_last_of_a_commit_knows_it, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_busy_worker_holds_nothing_up, setup, teardown),
      cmocka_unit_test_setup_teardown(test_done_comes_after_the_flush, setup, teardown),
      cmocka_unit_test_setup_teardown(test_close_makes_all_durable, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_full_queue_blocks, setup, teardown),
      cmocka_unit_test_setup_teardown(test_payments_are_idempotent_and_unique, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_bad_unit_fails_alone, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_record_in_parts, setup, teardown),
      cmocka_unit_test_setup_teardown(test_reset_counts_from_its_place, setup, teardown),
      cmocka_unit_test_setup_teardown(test_disk_faults_fail_the_group, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_failed_flush_does_not_come_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_kill_in_the_midst, setup_closed, teardown),
      cmocka_unit_test_setup_teardown(test_many_threads, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_log_stays_bounded, setup, teardown),
  };
  return cmocka_run_group_tests(tests, register_vfs, NULL);
}
