/* Opening the store: making it, older and newer forms, damage, other people's files, the folder's lock. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/lock.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "store/sums.h"
#include "tempdir.h"
#include "units.h"

typedef struct fixture {
  tempdir dir;
  char path[PATH_MAX];
  char why[400];
  cd_store_config cfg;
} fixture;

static int setup(void **state) {
  fixture *f = (fixture *)calloc(1, sizeof *f);
  assert_non_null(f);
  tempdir_make(&f->dir);
  tempdir_file(f->path, &f->dir, "db");
  f->cfg = (cd_store_config){.path = f->path, .shards = 4};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = (fixture *)*state;
  tempdir_remove(&f->dir);
  free(f);
  return 0;
}

static ch_err try_open(fixture *f) {
  cd_store s;
  f->why[0] = 0;
  ch_err err = cd_store_sqlite_open(&s, &f->cfg, f->why, sizeof f->why);
  if (err == CH_OK) s.ops->close(s.ctx);
  return err;
}

static void assert_why(const fixture *f, const char *part) {
  if (!strstr(f->why, part)) fail_msg("\"%s\" does not say \"%s\"", f->why, part);
}

static int64_t query(const char *path, const char *sql) {
  sqlite3 *db;
  sqlite3_stmt *stmt;
  assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  int64_t value = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  return value;
}

static void execute(const char *path, const char *sql) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* As a release would do it, with checksums. */
static void with_sums(fixture *f, unsigned form, const char *sql) {
  sqlite3 *db;
  cd_sums *sums = cd_sums_new(NULL);
  assert_non_null(sums);
  assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, cd_sums_name(sums)), 0);
  if (form >= CD_SCHEMA_SUMS) assert_int_equal(cd_sums_make_room(db), SQLITE_OK);
  if (form > 0) assert_int_equal(cd_schema_migrate(db, form, f->why, sizeof f->why), CH_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
  cd_sums_free(sums);
}

static void test_makes_a_private_database(void **state) {
  fixture *f = (fixture *)*state;
  cd_store s;
  assert_int_equal(cd_store_sqlite_open(&s, &f->cfg, f->why, sizeof f->why), CH_OK);
  assert_true(units_commit_now(&s, units_new(1, 1)));
  char wal[PATH_MAX];
  struct stat st;
  assert_int_equal(stat(tempdir_file(wal, &f->dir, "db-wal"), &st), 0); /* the log is in use */
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(stat(f->path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  s.ops->close(s.ctx);
  assert_int_equal(stat(wal, &st), -1); /* a clean end leaves one file */
  assert_int_equal(query(f->path, "PRAGMA user_version"), cd_schema_newest());
  assert_int_equal(query(f->path, "PRAGMA application_id"), CD_SCHEMA_APPLICATION);
  assert_int_equal(query(f->path,
                         "SELECT count(*) FROM pragma_table_list"
                         " WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%' AND NOT strict"),
                   0);
  assert_int_equal(try_open(f), CH_OK);
}

static void test_brings_every_older_form_up_to_date(void **state) {
  fixture *f = (fixture *)*state;
  for (unsigned form = 0; form <= cd_schema_newest(); form++) {
    with_sums(f, form, "");
    assert_int_equal(query(f->path, "PRAGMA user_version"), form);
    cd_store s;
    assert_int_equal(cd_store_sqlite_open(&s, &f->cfg, f->why, sizeof f->why), CH_OK);
    assert_true(units_commit_now(&s, units_new(1, 1)));
    s.ops->close(s.ctx);
    assert_int_equal(query(f->path, "PRAGMA user_version"), cd_schema_newest());
    assert_int_equal(unlink(f->path), 0);
  }
}

static void test_refuses_a_newer_form(void **state) {
  fixture *f = (fixture *)*state;
  assert_int_equal(try_open(f), CH_OK);
  char sql[64];
  snprintf(sql, sizeof sql, "PRAGMA user_version = %u", cd_schema_newest() + 1);
  with_sums(f, 0, sql);
  assert_int_equal(try_open(f), CH_ERR_VERSION);
  assert_why(f, "a newer release wrote it");
  assert_why(f, "upgrade channeld");
  assert_int_equal(query(f->path, "PRAGMA user_version"), cd_schema_newest() + 1);
}

static void test_refuses_other_files(void **state) {
  fixture *f = (fixture *)*state;
  execute(f->path, "CREATE TABLE recipes(name TEXT)");
  assert_int_equal(try_open(f), CH_ERR_FORMAT);
  assert_why(f, "belongs to another program");
  assert_int_equal(unlink(f->path), 0);

  int fd = open(f->path, O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(write(fd, "not a database at all\n", 22), 22);
  close(fd);
  assert_int_equal(try_open(f), CH_ERR_FORMAT);
  assert_why(f, "not a database");

  f->cfg.path = "/nonexistent/folder/db";
  assert_int_equal(try_open(f), CH_ERR_ARGUMENT);
  assert_why(f, "/nonexistent/folder/db");
  assert_why(f, "check that its folder exists");
  f->cfg = (cd_store_config){.path = f->path, .shards = 4, .group = 100000};
  assert_int_equal(try_open(f), CH_ERR_ARGUMENT);
}

/* Overwrites the root page of a table or index. */
static void damage(const char *path, const char *name) {
  char sql[128];
  snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", name);
  int64_t page = query(path, sql);
  uint8_t junk[4096];
  memset(junk, 0xa5, sizeof junk);
  int fd = open(path, O_WRONLY);
  assert_int_equal(pwrite(fd, junk, sizeof junk, (page - 1) * 4096), sizeof junk);
  close(fd);
}

static void test_refuses_damage(void **state) {
  fixture *f = (fixture *)*state;
  assert_int_equal(try_open(f), CH_OK);
  damage(f->path, "payment_seq");
  assert_int_equal(try_open(f), CH_ERR_FORMAT);
  assert_why(f, "damaged");
  assert_why(f, "restore the newest copy");
}

/* --- Checksums ----------------------------------------------------------------------------------- */

#define PAYMENTS 300

static void pay_some(fixture *f) {
  static units_log log;
  cd_store s;
  units_log_init(&log);
  assert_int_equal(cd_store_sqlite_open(&s, &f->cfg, f->why, sizeof f->why), CH_OK);
  for (uint64_t i = 1; i <= PAYMENTS; i++) {
    char id[40];
    cd_unit *u = units_new((unsigned)i % 3, i);
    snprintf(id, sizeof id, "payment-%03d", (int)i);
    units_payment(u, false, CH_PAYMENT_SETTLED, id, 1000 + i, i, 0);
    units_history(u, CH_PHASE_OPEN, CH_PHASE_OPEN, i, "a cause");
    units_commit(&log, &s, u);
  }
  s.ops->close(s.ctx);
}

static bool sum_up(void *arg, const cd_payment *p) {
  *(uint64_t *)arg += (uint64_t)p->amount.v;
  return true;
}

/* The sum of all payments, or 0 if the store cannot be opened or read. */
static uint64_t sum_of_payments(fixture *f) {
  cd_store s;
  uint64_t sum = 0;
  if (cd_store_sqlite_open(&s, &f->cfg, f->why, sizeof f->why) != CH_OK) return 0;
  cd_payment_filter all = {.limit = 1000};
  if (s.ops->payments(s.ctx, &all, sum_up, &sum) != CH_OK) sum = 0;
  s.ops->close(s.ctx);
  return sum;
}

#define SUM (PAYMENTS * 1000 + PAYMENTS * (PAYMENTS + 1) / 2)

static cd_sums_state state_of(const char *path) {
  sqlite3 *db;
  cd_sums *sums = cd_sums_new(NULL);
  assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, cd_sums_name(sums)), SQLITE_OK);
  cd_sums_state state = cd_sums_state_of(db);
  sqlite3_close(db);
  cd_sums_free(sums);
  return state;
}

static size_t read_file(const char *path, uint8_t *out, size_t size) {
  int fd = open(path, O_RDONLY);
  ssize_t n = read(fd, out, size);
  close(fd);
  return n < 0 ? 0 : (size_t)n;
}

static void write_file(const char *path, const uint8_t *bytes, size_t len) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_int_equal(write(fd, bytes, len), len);
  close(fd);
}

/* Every eighth word of the file in turn has one bit changed: nothing else is ever read than what was written. */
static void test_no_changed_bit_is_believed(void **state) {
  static uint8_t good[1 << 18], bad[1 << 18];
  fixture *f = (fixture *)*state;
  pay_some(f);
  assert_int_equal(sum_of_payments(f), SUM);
  size_t len = read_file(f->path, good, sizeof good), refused = 0;
  assert_in_range(len, 10 * 4096, sizeof good - 1);
  for (size_t i = 0; i < len; i += 64 + 8 * (i / 64 % 3)) {
    memcpy(bad, good, len);
    bad[i + i / 64 % 8] ^= (uint8_t)(1 << i / 8 % 8);
    write_file(f->path, bad, len);
    uint64_t sum = sum_of_payments(f);
    if (sum != SUM && sum != 0) fail_msg("byte %zu: %llu is read", i, (unsigned long long)sum);
    if (sum == SUM) continue;
    refused++;
    assert_why(f, "restore the newest copy");
  }
  assert_true(refused > len / 64 / 2);
}

/* A misdirected write: a page that is sound, but another one. */
static void test_a_page_in_the_wrong_place_is_refused(void **state) {
  static uint8_t bytes[1 << 18];
  fixture *f = (fixture *)*state;
  pay_some(f);
  size_t len = read_file(f->path, bytes, sizeof bytes);
  int64_t page = query(f->path, "SELECT min(pageno) FROM dbstat WHERE name = 'payment' AND pagetype = 'leaf'");
  int64_t other = query(f->path, "SELECT max(pageno) FROM dbstat WHERE name = 'payment' AND pagetype = 'leaf'");
  assert_int_not_equal(page, other);
  memcpy(bytes + (page - 1) * 4096, bytes + (other - 1) * 4096, 4096);
  write_file(f->path, bytes, len);
  assert_int_equal(try_open(f), CH_ERR_FORMAT);
}

static void assert_taken_over(fixture *f, const char *path) {
  f->cfg.path = path;
  if (sum_of_payments(f) != SUM) fail_msg("%s", f->why);
  assert_int_equal(state_of(path), CD_SUMS_ALL);
  f->cfg.path = f->path;
}

/* SQLite's own ways to copy know nothing of checksums. */
static void test_copies_made_by_other_programs_open(void **state) {
  fixture *f = (fixture *)*state;
  char path[PATH_MAX], sql[PATH_MAX + 32];
  sqlite3 *from, *to;
  pay_some(f);
  snprintf(sql, sizeof sql, "VACUUM INTO '%s'", tempdir_file(path, &f->dir, "vacuumed"));
  execute(f->path, sql);
  assert_int_equal(state_of(path), CD_SUMS_PARTLY);
  assert_taken_over(f, path);

  cd_store s; /* which runs while the copy is made */
  assert_int_equal(cd_store_sqlite_open(&s, &f->cfg, f->why, sizeof f->why), CH_OK);
  assert_true(units_commit_now(&s, units_new(1, 1)));
  assert_int_equal(sqlite3_open(f->path, &from), SQLITE_OK);
  assert_int_equal(sqlite3_open(tempdir_file(path, &f->dir, "backup"), &to), SQLITE_OK);
  sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
  assert_int_equal(sqlite3_backup_step(backup, -1), SQLITE_DONE);
  assert_int_equal(sqlite3_backup_finish(backup), SQLITE_OK);
  sqlite3_close(from);
  sqlite3_close(to);
  s.ops->close(s.ctx);
  assert_taken_over(f, path);
}

/* After a crash another program looks into the database: it copies the log into the file. */
static void test_a_log_copied_by_another_program_is_accepted(void **state) {
  static uint8_t bytes[1 << 20];
  fixture *f = (fixture *)*state;
  char path[PATH_MAX], log[PATH_MAX], copied_log[PATH_MAX];
  cd_store s;
  pay_some(f);
  for (unsigned round = 0; round < 3; round++) { /* the log is new, then longer */
    if (round != 1) assert_int_equal(cd_store_sqlite_open(&s, &f->cfg, f->why, sizeof f->why), CH_OK);
    assert_true(units_commit_now(&s, units_new(1, round)));
    tempdir_file(path, &f->dir, "crashed");
    write_file(path, bytes, read_file(f->path, bytes, sizeof bytes));
    tempdir_file(log, &f->dir, "db-wal");
    write_file(tempdir_file(copied_log, &f->dir, "crashed-wal"), bytes, read_file(log, bytes, sizeof bytes));
    if (round != 0) s.ops->close(s.ctx);
    assert_int_equal(query(path, "SELECT count(*) FROM payment"), PAYMENTS);
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(state_of(path), CD_SUMS_PARTLY);
    assert_taken_over(f, path);
    assert_int_equal(unlink(path), 0);
  }
}

static void test_rows_changed_by_another_program_are_refused(void **state) {
  fixture *f = (fixture *)*state;
  pay_some(f);
  execute(f->path, "UPDATE payment SET amount = '1000000' WHERE seq = 7");
  assert_int_equal(try_open(f), CH_ERR_FORMAT);
  assert_why(f, "changed by another program");
}

/* The lists of what is past are left out of a big file's check, the channels never. */
static void test_checks_a_big_file_in_part(void **state) {
  fixture *f = (fixture *)*state;
  f->cfg.check_all = 1;
  assert_int_equal(try_open(f), CH_OK);
  damage(f->path, "payment_in");
  assert_int_equal(try_open(f), CH_OK);
  damage(f->path, "channel");
  assert_int_equal(try_open(f), CH_ERR_FORMAT);
  assert_why(f, "damaged");
}

static void test_locks_the_folder(void **state) {
  fixture *f = (fixture *)*state;
  int ready[2], fd = -1;
  char byte = 0;
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    char why[200];
    bool locked = cd_dir_lock(f->dir.path, &fd, why, sizeof why) == CH_OK;
    _exit(!locked || write(ready[1], "", 1) != 1 ? 1 : (pause(), 0));
  }
  assert_int_equal(read(ready[0], &byte, 1), 1);
  assert_int_equal(cd_dir_lock(f->dir.path, &fd, f->why, sizeof f->why), CH_ERR_DUPLICATE);
  char sentence[64];
  snprintf(sentence, sizeof sentence, "another channeld (pid %ld) uses", (long)child);
  assert_why(f, sentence);
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_int_equal(cd_dir_lock(f->dir.path, &fd, f->why, sizeof f->why), CH_OK); /* it dies with its holder */
  int second;
  assert_int_equal(cd_dir_lock(f->dir.path, &second, f->why, sizeof f->why), CH_ERR_DUPLICATE);
  cd_dir_unlock(fd);
  assert_int_equal(cd_dir_lock(f->dir.path, &fd, f->why, sizeof f->why), CH_OK);
  cd_dir_unlock(fd);
  close(ready[0]);
  close(ready[1]);
  assert_int_equal(cd_dir_lock("/nonexistent", &fd, f->why, sizeof f->why), CH_ERR_ARGUMENT);
  assert_why(f, "/nonexistent");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_makes_a_private_database, setup, teardown),
      cmocka_unit_test_setup_teardown(test_brings_every_older_form_up_to_date, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refuses_a_newer_form, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refuses_other_files, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refuses_damage, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_changed_bit_is_believed, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_page_in_the_wrong_place_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_copies_made_by_other_programs_open, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_log_copied_by_another_program_is_accepted, setup, teardown),
      cmocka_unit_test_setup_teardown(test_rows_changed_by_another_program_are_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_checks_a_big_file_in_part, setup, teardown),
      cmocka_unit_test_setup_teardown(test_locks_the_folder, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
