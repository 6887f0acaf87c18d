/* The seed at rest: plain and encrypted files, their strict form, and where the passphrase comes from. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "channel/types.h"
#include "harden.h"
#include "seed.h"
#include "tempdir.h"

#define WHY 700
#define LINE 400

static int start(void **state) {
  (void)state;
  return sodium_init() < 0 ? -1 : 0;
}

static int setup(void **state) {
  tempdir *dir = malloc(sizeof *dir);
  assert_non_null(dir);
  tempdir_make(dir);
  *state = dir;
  return 0;
}

static int teardown(void **state) {
  tempdir_remove(*state);
  free(*state);
  return 0;
}

/* --- Helpers ------------------------------------------------------------------------------------- */

static void put_bytes(const tempdir *dir, const char *name, const char *bytes, size_t len, mode_t mode) {
  char path[PATH_MAX];
  FILE *file = fopen(tempdir_file(path, dir, name), "w");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, len, file), len);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(path, mode), 0);
}

static void put_file(const tempdir *dir, const char *name, const char *text, mode_t mode) {
  put_bytes(dir, name, text, strlen(text), mode);
}

static void get_file(const tempdir *dir, const char *name, char out[LINE]) {
  char path[PATH_MAX];
  FILE *file = fopen(tempdir_file(path, dir, name), "r");
  assert_non_null(file);
  size_t n = fread(out, 1, LINE - 1, file);
  out[n] = '\0';
  fclose(file);
}

static cd_passphrase passphrase(const char *text) {
  cd_passphrase p = {.len = strlen(text)};
  memcpy(p.text, text, p.len);
  return p;
}

static void fill(uint8_t seed[CD_SEED_LEN]) {
  for (unsigned i = 0; i < CD_SEED_LEN; i++)
    seed[i] = (uint8_t)(i * 7 + 3);
}

/* What a file with the least cost looks like, made here and not by the code that is tested. */
static void cheap_line(char out[LINE], const uint8_t seed[CD_SEED_LEN], const char *text) {
  uint8_t salt[16], nonce[24], key[32], box[80];
  char salt_hex[33], nonce_hex[49], box_hex[161];
  memset(salt, 1, sizeof salt);
  memset(nonce, 2, sizeof nonce);
  assert_int_equal(crypto_pwhash(key, 32, text, strlen(text), salt, 1, 8192, crypto_pwhash_ALG_ARGON2ID13), 0);
  assert_int_equal(crypto_secretbox_easy(box, seed, CD_SEED_LEN, nonce, key), 0);
  ch_hex(salt_hex, salt, sizeof salt);
  ch_hex(nonce_hex, nonce, sizeof nonce);
  ch_hex(box_hex, box, sizeof box);
  snprintf(out, LINE, "channeld-seed-v1 argon2id 1 8 %s %s %s\n", salt_hex, nonce_hex, box_hex);
}

static bool open_with(const tempdir *dir, const char *text, uint8_t seed[CD_SEED_LEN], char why[WHY]) {
  cd_passphrase given = passphrase(text);
  cd_passphrase_source from = {.given = &given};
  why[0] = '\0';
  return cd_seed_read(dir->path, &from, seed, why, WHY);
}

static void assert_part(const char *why, const char *part) {
  if (strstr(why, part) == NULL) fail_msg("`%s` is not in: %s", part, why);
}

static void assert_bytes_refused(const tempdir *dir, const char *line, size_t len, const char *part) {
  uint8_t seed[CD_SEED_LEN];
  char why[WHY];
  put_bytes(dir, "seed", line, len, 0600);
  if (open_with(dir, "good passphrase", seed, why)) fail_msg("was read: %s", line);
  assert_part(why, part);
}

static void assert_refused(const tempdir *dir, const char *line, const char *part) {
  assert_bytes_refused(dir, line, strlen(line), part);
}

/* --- The file ------------------------------------------------------------------------------------ */

/* A seed as the first release wrote it needs no passphrase and asks for none. */
static void plain_of_the_first_release(void **state) {
  const tempdir *dir = *state;
  uint8_t want[CD_SEED_LEN], seed[CD_SEED_LEN];
  char line[LINE] = "channeld-seed-v1 plain ", why[WHY] = "";
  fill(want);
  ch_hex(line + strlen(line), want, sizeof want);
  line[strlen(line)] = '\n';
  put_file(dir, "seed", line, 0600);
  assert_true(cd_seed_read(dir->path, &(cd_passphrase_source){0}, seed, why, sizeof why));
  assert_memory_equal(seed, want, sizeof want);
}

static void plain_is_written_when_asked_for(void **state) {
  const tempdir *dir = *state;
  uint8_t want[CD_SEED_LEN], seed[CD_SEED_LEN];
  char why[WHY] = "";
  fill(want);
  assert_true(cd_seed_write(dir->path, want, NULL, why, sizeof why));
  assert_true(cd_seed_read(dir->path, &(cd_passphrase_source){0}, seed, why, sizeof why));
  assert_memory_equal(seed, want, sizeof want);
}

static void encrypted_round_trip(void **state) {
  const tempdir *dir = *state;
  uint8_t want[CD_SEED_LEN], seed[CD_SEED_LEN];
  char why[WHY] = "", line[LINE], again[LINE], hex[2 * CD_SEED_LEN + 1], path[PATH_MAX];
  char *after;
  struct stat st;
  fill(want);
  cd_passphrase p = passphrase("correct horse");
  assert_true(cd_seed_write(dir->path, want, &p, why, sizeof why));
  assert_int_equal(stat(tempdir_file(path, dir, "seed"), &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  get_file(dir, "seed", line);
  ch_hex(hex, want, sizeof want);
  for (size_t i = 0; i + 16 <= strlen(hex); i += 2) { /* no piece of it is in the file */
    char piece[17] = "";
    memcpy(piece, hex + i, 16);
    assert_null(strstr(line, piece));
  }
  assert_memory_equal(line, "channeld-seed-v1 argon2id ", 26);
  assert_true(strtoul(line + 26, &after, 10) >= 3);             /* passes */
  assert_true(strtoul(after, NULL, 10) >= (unsigned)64 * 1024); /* KiB */
  assert_true(open_with(dir, "correct horse", seed, why));
  assert_memory_equal(seed, want, sizeof want);
  assert_false(open_with(dir, "correct horsf", seed, why));
  assert_part(why, "The passphrase is wrong");
  assert_true(cd_seed_replace(dir->path, want, &p, why, sizeof why));
  get_file(dir, "seed", again);
  assert_string_not_equal(line, again);
}

static void never_overwritten_but_replaced(void **state) {
  const tempdir *dir = *state;
  uint8_t one[CD_SEED_LEN], two[CD_SEED_LEN] = {0}, seed[CD_SEED_LEN];
  char why[WHY] = "";
  fill(one);
  assert_false(cd_seed_exists(dir->path));
  assert_true(cd_seed_write(dir->path, one, NULL, why, sizeof why));
  assert_true(cd_seed_exists(dir->path));
  assert_false(cd_seed_write(dir->path, two, NULL, why, sizeof why));
  assert_part(why, "never overwritten");
  cd_passphrase p = passphrase("correct horse");
  assert_true(cd_seed_replace(dir->path, one, &p, why, sizeof why));
  assert_true(open_with(dir, "correct horse", seed, why));
  assert_memory_equal(seed, one, sizeof one);
}

static void costs_come_from_the_file(void **state) {
  const tempdir *dir = *state;
  uint8_t want[CD_SEED_LEN], seed[CD_SEED_LEN];
  char line[LINE], why[WHY];
  fill(want);
  cheap_line(line, want, "good passphrase");
  put_file(dir, "seed", line, 0600);
  assert_true(open_with(dir, "good passphrase", seed, why));
  assert_memory_equal(seed, want, sizeof want);
  assert_false(open_with(dir, "bad passphrase", seed, why));
  assert_part(why, "The passphrase is wrong");
}

/* Whatever single character changes, the seed is not read as another one. */
static void every_character_counts(void **state) {
  const tempdir *dir = *state;
  uint8_t want[CD_SEED_LEN], seed[CD_SEED_LEN];
  char line[LINE], why[WHY];
  fill(want);
  cheap_line(line, want, "good passphrase");
  for (size_t i = 0; line[i + 1] != '\0'; i++) {
    char was = line[i];
    line[i] = was == '1' ? '2' : was == '8' ? '9' : was == '0' ? '1' : '0';
    put_file(dir, "seed", line, 0600);
    if (open_with(dir, "good passphrase", seed, why)) fail_msg("read with character %zu changed: %s", i, line);
    line[i] = was;
  }
}

static void only_the_exact_form(void **state) {
  const tempdir *dir = *state;
  uint8_t want[CD_SEED_LEN];
  char line[LINE], bad[2 * LINE], salt[] = "01010101010101010101010101010101", *tail;
  fill(want);
  cheap_line(line, want, "good passphrase");
  tail = strstr(line, salt);
  const char *const heads[] = {"channeld-seed-v2 argon2id 1 8 ",
                               "channeld-seed-v1  argon2id 1 8 ",
                               "channeld-seed-v1 argon2id 01 8 ",
                               "channeld-seed-v1 argon2id +1 8 ",
                               "channeld-seed-v1 argon2id 0 8 ",
                               "channeld-seed-v1 argon2id 1 7 ",
                               "channeld-seed-v1 argon2id 1 999999999 ",
                               "channeld-seed-v1 argon2id 101 8 ",
                               "channeld-seed-v1 argon2id 99999999999 8 ",
                               "channeld-seed-v1 argon2i 1 8 ",
                               "channeld-seed-v1 plain ",
                               "channeld-seed-v1 argon2id 1 8 0x"};
  for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
    snprintf(bad, sizeof bad, "%s%s", heads[i], tail);
    assert_refused(dir, bad, "not in a form");
  }
  snprintf(bad, sizeof bad, "%.*s more\n", (int)strlen(line) - 1, line);
  assert_refused(dir, bad, "not in a form");
  snprintf(bad, sizeof bad, "%s\n", line);
  assert_refused(dir, bad, "not in a form");
  for (size_t n = 0; n + 1 < strlen(line); n++) { /* torn anywhere */
    snprintf(bad, sizeof bad, "%.*s", (int)n, line);
    assert_refused(dir, bad, "not in a form");
  }
}

/* Found while its fuzzer was written: upper-case digits were read, and whatever stood behind a zero byte. */
static void only_the_exact_plain_form(void **state) {
  const tempdir *dir = *state;
  uint8_t want[CD_SEED_LEN];
  char line[LINE] = "channeld-seed-v1 plain ", bad[LINE];
  fill(want);
  ch_hex(line + strlen(line), want, sizeof want);
  snprintf(bad, sizeof bad, "%s", line);
  for (char *c = strchr(bad, 'p') + 6; *c != '\0'; c++)
    if (*c >= 'a') *c = (char)(*c - 'a' + 'A');
  assert_refused(dir, bad, "not in a form");
  snprintf(bad, sizeof bad, "%s0", line);
  assert_refused(dir, bad, "not in a form");
  snprintf(bad, sizeof bad, "%.*s", (int)strlen(line) - 1, line);
  assert_refused(dir, bad, "not in a form");
  snprintf(bad, sizeof bad, "%s#rest", line);
  *strchr(bad, '#') = '\0';
  assert_bytes_refused(dir, bad, strlen(line) + 5, "not in a form");
  cheap_line(line, want, "good passphrase");
  snprintf(bad, sizeof bad, "%.*s#rest", (int)strlen(line) - 1, line);
  *strchr(bad, '#') = '\0';
  assert_bytes_refused(dir, bad, strlen(line) + 4, "not in a form");
}

static void file_must_be_private(void **state) {
  const tempdir *dir = *state;
  uint8_t want[CD_SEED_LEN], seed[CD_SEED_LEN];
  char line[LINE], why[WHY];
  assert_false(open_with(dir, "good passphrase", seed, why));
  assert_part(why, "channeld init");
  fill(want);
  cheap_line(line, want, "good passphrase");
  put_file(dir, "seed", line, 0640);
  assert_false(open_with(dir, "good passphrase", seed, why));
  assert_part(why, "chmod 600");
}

/* --- The passphrase ------------------------------------------------------------------------------ */

/* From a file of `text` and `mode`; the result must equal `want`, or be refused with `part` in the sentence. */
static void from_file(const tempdir *dir, const char *text, mode_t mode, const char *want, const char *part) {
  char path[PATH_MAX], why[WHY] = "";
  put_file(dir, "pass", text, mode);
  cd_passphrase other = passphrase("another one");
  cd_passphrase_source from = {.file = tempdir_file(path, dir, "pass"), .given = &other};
  cd_passphrase *p = cd_passphrase_get(&from, why, sizeof why);
  if (want == NULL) {
    assert_null(p);
    assert_part(why, part);
    return;
  }
  assert_non_null(p);
  assert_string_equal(p->text, want);
  assert_int_equal(p->len, strlen(want));
  sodium_free(p);
}

static void passphrase_files(void **state) {
  const tempdir *dir = *state;
  char big[CD_PASSPHRASE_MAX + 40];
  from_file(dir, "one line\n", 0600, "one line", NULL);
  from_file(dir, "one line", 0400, "one line", NULL);
  from_file(dir, "first\r\nsecond\n", 0640, "first", NULL);
  from_file(dir, " blanks count \n", 0600, " blanks count ", NULL);
  from_file(dir, "", 0600, NULL, "empty");
  from_file(dir, "\nsecond", 0600, NULL, "empty");
  from_file(dir, "one line\n", 0604, NULL, "chmod o=");
  memset(big, 'x', sizeof big);
  big[CD_PASSPHRASE_MAX] = '\0';
  from_file(dir, big, 0600, big, NULL);
  big[CD_PASSPHRASE_MAX] = 'x';
  big[CD_PASSPHRASE_MAX + 1] = '\0';
  from_file(dir, big, 0600, NULL, "too long");
  char why[WHY] = "", path[PATH_MAX];
  put_bytes(dir, "pass", "cut\0short\n", 10, 0600); /* as from a file of random bytes: it would be "cut" */
  assert_null(cd_passphrase_get(&(cd_passphrase_source){.file = tempdir_file(path, dir, "pass")}, why, sizeof why));
  assert_part(why, "zero byte");
  put_bytes(dir, "pass", "whole\nre\0t", 10, 0600);
  cd_passphrase *p = cd_passphrase_get(&(cd_passphrase_source){.file = path}, why, sizeof why);
  assert_non_null(p);
  assert_string_equal(p->text, "whole");
  sodium_free(p);
  assert_null(cd_passphrase_get(&(cd_passphrase_source){.file = "/nonexistent/file"}, why, sizeof why));
  assert_part(why, "/nonexistent/file");
}

static void environment_is_wiped(void **state) {
  char why[WHY] = "";
  cd_passphrase *p;
  assert_int_equal(setenv("TEST_PASSPHRASE", "from outside", 1), 0);
  const char *where = getenv("TEST_PASSPHRASE");
  assert_true(cd_passphrase_take("TEST_PASSPHRASE", &p, why, sizeof why));
  assert_non_null(p);
  assert_string_equal(p->text, "from outside");
  assert_int_equal(p->len, 12);
  assert_null(getenv("TEST_PASSPHRASE"));
  assert_true(sodium_is_zero((const unsigned char *)where, 12)); /* setenv's copy lives on */
  sodium_free(p);
  assert_true(cd_passphrase_take("TEST_PASSPHRASE", &p, why, sizeof why));
  assert_null(p);
  assert_int_equal(setenv("TEST_PASSPHRASE", "", 1), 0);
  assert_false(cd_passphrase_take("TEST_PASSPHRASE", &p, why, sizeof why));
  assert_part(why, "empty");
  (void)state;
}

static void new_ones_are_long_enough(void **state) {
  char why[WHY] = "";
  cd_passphrase given = passphrase("1234567");
  cd_passphrase_source from = {.given = &given};
  assert_null(cd_passphrase_new(&from, why, sizeof why));
  assert_part(why, "too short");
  given = passphrase("12345678");
  cd_passphrase *p = cd_passphrase_new(&from, why, sizeof why);
  assert_non_null(p);
  sodium_free(p);
  (void)state;
}

/* --- The process --------------------------------------------------------------------------------- */

static void no_dumps(void **state) {
  struct rlimit core;
  cd_harden();
  assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
  assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
  assert_true(core.rlim_cur == 0 && core.rlim_max == 0);
  (void)state;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(plain_of_the_first_release, setup, teardown),
      cmocka_unit_test_setup_teardown(plain_is_written_when_asked_for, setup, teardown),
      cmocka_unit_test_setup_teardown(encrypted_round_trip, setup, teardown),
      cmocka_unit_test_setup_teardown(never_overwritten_but_replaced, setup, teardown),
      cmocka_unit_test_setup_teardown(costs_come_from_the_file, setup, teardown),
      cmocka_unit_test_setup_teardown(every_character_counts, setup, teardown),
      cmocka_unit_test_setup_teardown(only_the_exact_form, setup, teardown),
      cmocka_unit_test_setup_teardown(only_the_exact_plain_form, setup, teardown),
      cmocka_unit_test_setup_teardown(file_must_be_private, setup, teardown),
      cmocka_unit_test_setup_teardown(passphrase_files, setup, teardown),
      cmocka_unit_test(environment_is_wiped),
      cmocka_unit_test(new_ones_are_long_enough),
      cmocka_unit_test(no_dumps),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
