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
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(cd_schema_migrate(db, form, f->why, sizeof f->why), CH_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
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
  execute(f->path, sql);
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
      cmocka_unit_test_setup_teardown(test_checks_a_big_file_in_part, setup, teardown),
      cmocka_unit_test_setup_teardown(test_locks_the_folder, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
