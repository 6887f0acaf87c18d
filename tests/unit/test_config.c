/* The daemon's settings: defaults < file < environment < flags, and refusals that name the place. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config.h"
#include "tempdir.h"

#define WHY 600

/* The environment of a test. */
static const char *env_name, *env_value;
static char home[PATH_MAX];

static char *env(const char *name) {
  static char value[200];
  if (strcmp(name, "HOME") == 0) return home;
  if (env_name == NULL || strcmp(name, env_name) != 0) return NULL;
  snprintf(value, sizeof value, "%s", env_value);
  return value;
}

static int setup(void **state) {
  tempdir *dir = malloc(sizeof *dir);
  assert_non_null(dir);
  tempdir_make(dir);
  snprintf(home, sizeof home, "%s", dir->path);
  env_name = NULL;
  *state = dir;
  return 0;
}

static int teardown(void **state) {
  tempdir_remove(*state);
  free(*state);
  return 0;
}

static void write_config(const tempdir *dir, const char *text) {
  char path[PATH_MAX];
  FILE *file = fopen(tempdir_file(path, dir, "config"), "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

/* Loads with --dir and at most three more flags. */
static cd_config_result load(const tempdir *dir, cd_config *c, char *why, const char *a, const char *b) {
  char dir_flag[] = "--dir", path[PATH_MAX], first[64] = "", second[64] = "";
  char *argv[] = {dir_flag, path, first, second};
  snprintf(path, sizeof path, "%s", dir->path);
  if (a != NULL) snprintf(first, sizeof first, "%s", a);
  if (b != NULL) snprintf(second, sizeof second, "%s", b);
  return cd_config_load(c, 2 + (a != NULL) + (b != NULL), argv, env, why, WHY);
}

static void assert_refused(const tempdir *dir, const char *a, const char *b, const char *part) {
  cd_config c;
  char why[WHY] = "";
  assert_int_equal(load(dir, &c, why, a, b), CD_CONFIG_BAD);
  if (strstr(why, part) == NULL) fail_msg("`%s` is not in: %s", part, why);
}

static void defaults(void **state) {
  cd_config c;
  char why[WHY] = "", want[PATH_MAX + 64];
  assert_int_equal(cd_config_load(&c, 0, NULL, env, why, sizeof why), CD_CONFIG_OK);
  snprintf(want, sizeof want, "%s/.channeld", home);
  assert_string_equal(c.dir, want);
  snprintf(want, sizeof want, "dev:%s/.local/share/channeld/dev.chain", home);
  assert_string_equal(c.l1, want);
  assert_string_equal(c.listen, "127.0.0.1:9735");
  assert_int_equal(c.log, CD_LOG_INFO);
  assert_true(ch_addr_is_zero(&c.payout));
  assert_true(c.max_deposit.v == 0);
  (void)state;
}

static void order_of_sources(void **state) {
  const tempdir *dir = *state;
  cd_config c;
  char why[WHY] = "";
  write_config(dir, "# a comment\n\n  listen = 127.0.0.1:1 # behind\nbond=7\nlog =debug\n");
  assert_int_equal(load(dir, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_string_equal(c.listen, "127.0.0.1:1");
  assert_true(c.bond.v == 7);
  assert_int_equal(c.log, CD_LOG_DEBUG);

  env_name = "CHANNELD_LISTEN";
  env_value = "127.0.0.1:2";
  assert_int_equal(load(dir, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_string_equal(c.listen, "127.0.0.1:2");

  assert_int_equal(load(dir, &c, why, "--listen", "127.0.0.1:3"), CD_CONFIG_OK);
  assert_string_equal(c.listen, "127.0.0.1:3");
  assert_int_equal(load(dir, &c, why, "--listen=127.0.0.1:4", NULL), CD_CONFIG_OK);
  assert_string_equal(c.listen, "127.0.0.1:4");
}

static void file_of_the_directory_that_flags_name(void **state) {
  const tempdir *dir = *state;
  cd_config c;
  char why[WHY] = "";
  env_name = "CHANNELD_DIR";
  env_value = "/nonexistent";
  write_config(dir, "workers = 3\n");
  assert_int_equal(load(dir, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_string_equal(c.dir, dir->path);
  assert_int_equal(c.workers, 3);
}

static void bad_lines(void **state) {
  const tempdir *dir = *state;
  write_config(dir, "\nnonsense = 1\n");
  assert_refused(dir, NULL, NULL, "line 2: `nonsense` is no setting");
  write_config(dir, "listen\n");
  assert_refused(dir, NULL, NULL, "line 1: `listen` is not of the form");
  write_config(dir, "log = info\n\nworkers = many\n");
  assert_refused(dir, NULL, NULL, "line 3: `many` is no value for workers");
  write_config(dir, "dir = /tmp\n");
  assert_refused(dir, NULL, NULL, "line 1: `dir` is no setting");
}

static void bad_values(void **state) {
  const tempdir *dir = *state;
  assert_refused(dir, "--nonsense", "1", "`--nonsense` is unknown");
  assert_refused(dir, "nonsense", NULL, "`nonsense` is unknown");
  assert_refused(dir, "--listen", NULL, "--listen needs a value");
  assert_refused(dir, "--workers", "65", "from 0 to 64");
  assert_refused(dir, "--workers", "-1", "from 0 to 64");
  assert_refused(dir, "--workers", "1x", "from 0 to 64");
  assert_refused(dir, "--workers", "99999999999999999999", "from 0 to 64");
  assert_refused(dir, "--bond", "1.5", "whole number of base units");
  assert_refused(dir, "--payout", "0x12", "40 hex digits");
  assert_refused(dir, "--log", "loud", "trace, debug");
  assert_refused(dir, "--assets", "0x12", "addresses with commas");
  assert_refused(dir, "--open-from", "friends", "66 hex digits");
  assert_refused(dir, "--open-from", "any,none", "66 hex digits");
  assert_refused(dir, "--max-channels", "1000001", "from 0 to 1000000");
  assert_refused(dir, "--max-channels-per-peer", "-1", "from 0 to 1000000");
  assert_refused(dir, "--min-deposit", "0.5", "whole number of base units");
  assert_refused(dir, "--min-challenge-period", "31536000", "min-challenge-period is above");
  env_name = "CHANNELD_CHALLENGE_PERIOD";
  env_value = "59";
  assert_refused(dir, NULL, NULL, "CHANNELD_CHALLENGE_PERIOD: `59`");
}

static void help_and_version(void **state) {
  cd_config c;
  char why[WHY] = "";
  assert_int_equal(load(*state, &c, why, "--help", NULL), CD_CONFIG_HELP);
  assert_int_equal(load(*state, &c, why, "--version", NULL), CD_CONFIG_VERSION);
}

static void assets(void **state) {
  static const ch_addr native = {0}, one = {{1}}, two = {{2}};
  cd_config c = {.assets = "none"};
  assert_true(cd_config_asset_ok(&c, &native));
  assert_false(cd_config_asset_ok(&c, &one));
  snprintf(c.assets, sizeof c.assets, "any");
  assert_true(cd_config_asset_ok(&c, &one));
  snprintf(c.assets, sizeof c.assets,
           "0x0100000000000000000000000000000000000000,0x0300000000000000000000000000000000000000");
  assert_true(cd_config_asset_ok(&c, &native));
  assert_true(cd_config_asset_ok(&c, &one));
  assert_false(cd_config_asset_ok(&c, &two));
  (void)state;
}

/* Node ids: the generator's, and twice it. */
#define ONE "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define TWO "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"

static void openers(void **state) {
  const tempdir *dir = *state;
  cd_config c;
  char why[WHY] = "", line[400];
  ch_pubkey one, two;
  assert_true(ch_unhex(one.b, sizeof one.b, ONE) && ch_unhex(two.b, sizeof two.b, TWO));
  assert_int_equal(load(dir, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_true(cd_config_opener_ok(&c, &one));
  assert_int_equal(load(dir, &c, why, "--open-from", "none"), CD_CONFIG_OK);
  assert_false(cd_config_opener_ok(&c, &one));
  write_config(dir, "open-from = " ONE "\n");
  assert_int_equal(load(dir, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_true(cd_config_opener_ok(&c, &one));
  assert_false(cd_config_opener_ok(&c, &two));
  write_config(dir, "open-from = " ONE "," TWO "\n");
  assert_int_equal(load(dir, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_true(cd_config_opener_ok(&c, &one) && cd_config_opener_ok(&c, &two));
  static const char *const bad[] = {ONE ",", "," ONE, ONE ",," TWO, ONE "00", ONE " " TWO};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    snprintf(line, sizeof line, "open-from = %s\n", bad[i]);
    write_config(dir, line);
    assert_refused(dir, NULL, NULL, "open-from: give node ids");
  }
  write_config(dir, "open-from = 05" /* no point of the curve */
                    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\n");
  assert_refused(dir, NULL, NULL, "open-from: give node ids");
}

static void chain_settings(void **state) {
  cd_config c;
  char why[WHY] = "";
  assert_int_equal(load(*state, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_true(c.confirmations == CD_FINAL_USUAL && c.rpc[0] == '\0' && c.chain_id == 0);
  assert_int_equal(load(*state, &c, why, "--confirmations=12", NULL), CD_CONFIG_OK);
  assert_int_equal(c.confirmations, 12);
  assert_int_equal(load(*state, &c, why, "--confirmations=safe", NULL), CD_CONFIG_OK);
  assert_true(c.confirmations == CD_FINAL_SAFE);
  assert_int_equal(load(*state, &c, why, "--confirmations=finalized", NULL), CD_CONFIG_OK);
  assert_true(c.confirmations == CD_FINAL_FINALIZED);
  assert_refused(*state, "--confirmations=latest", NULL, "safe or finalized");
  assert_refused(*state, "--confirmations=1001", NULL, "safe or finalized");
  assert_refused(*state, "--l1-poll=1", NULL, "from 50 to");
  assert_true(c.max_fee == 500000000000);
  assert_int_equal(load(*state, &c, why, "--max-fee", "20000000000"), CD_CONFIG_OK);
  assert_true(c.max_fee == 20000000000);
  assert_refused(*state, "--max-fee", "20", "give a whole number from 1000000 to 1000000000000000"); /* no gwei */
  assert_refused(*state, "--max-fee", "1000000000000001", "give a whole number from 1000000");
}

/* Several of one source belong together; those of a later source replace them. */
static void rpc_urls(void **state) {
  cd_config c;
  char why[WHY] = "";
  write_config(*state, "rpc = http://a:1\nrpc = http://b:2 # the second\n");
  assert_int_equal(load(*state, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_string_equal(c.rpc, "http://a:1 http://b:2");
  env_name = "CHANNELD_RPC";
  env_value = "https://c https://d";
  assert_int_equal(load(*state, &c, why, NULL, NULL), CD_CONFIG_OK);
  assert_string_equal(c.rpc, "https://c https://d");
  assert_int_equal(load(*state, &c, why, "--rpc=http://e", "--rpc=http://f"), CD_CONFIG_OK);
  assert_string_equal(c.rpc, "http://e http://f");
}

static void quoted_text(void **state) {
  const tempdir *dir = *state;
  write_config(dir, "listen = 127.0.0.1:1\n\033[2J\x7f = 1\n");
  assert_refused(dir, NULL, NULL, "`?[2J?`");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(defaults, setup, teardown),
      cmocka_unit_test_setup_teardown(chain_settings, setup, teardown),
      cmocka_unit_test_setup_teardown(rpc_urls, setup, teardown),
      cmocka_unit_test_setup_teardown(order_of_sources, setup, teardown),
      cmocka_unit_test_setup_teardown(file_of_the_directory_that_flags_name, setup, teardown),
      cmocka_unit_test_setup_teardown(bad_lines, setup, teardown),
      cmocka_unit_test_setup_teardown(bad_values, setup, teardown),
      cmocka_unit_test_setup_teardown(quoted_text, setup, teardown),
      cmocka_unit_test_setup_teardown(help_and_version, setup, teardown),
      cmocka_unit_test(assets),
      cmocka_unit_test_setup_teardown(openers, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
