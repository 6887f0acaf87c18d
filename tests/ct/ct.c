/* Runs all checks under valgrind and prints a line of TAP for each; run.sh shows valgrind's reports. */
#include "ct.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#define TEXT 0x20 /* this bit is set in each hex digit, and says that it is not the text's end */

void ct_secret(void *p, size_t len) {
  (void)VALGRIND_MAKE_MEM_UNDEFINED(p, len);
}

void ct_public(const void *p, size_t len) {
  (void)VALGRIND_MAKE_MEM_DEFINED(p, len);
}

void ct_secret_digits(char *p, size_t len) {
  const uint8_t undefined = (uint8_t)~TEXT;
  for (size_t i = 0; i < len; i++)
    (void)VALGRIND_SET_VBITS(p + i, &undefined, 1);
}

bool ct_is_secret(const void *p, size_t len) {
  const char *bytes = p;
  for (size_t i = 0; i < len; i++) {
    uint8_t undefined = 0;
    if (VALGRIND_GET_VBITS(bytes + i, &undefined, 1) != 1 || undefined == 0) return false;
  }
  return true;
}

/* --- What must be noticed ------------------------------------------------------------------------ */

static volatile uint8_t sink;

/* Compares as memcmp may do: it stops at the first difference. */
static __attribute__((noinline)) bool leaking_equal(const uint8_t *a, const uint8_t *b, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (a[i] != b[i]) return false;
    sink = (uint8_t)i;
  }
  return true;
}

static bool leak_by_comparison(void) {
  uint8_t right[32] = {1}, shown[32] = {2};
  ct_secret(right, sizeof right);
  sink = leaking_equal(right, shown, sizeof right);
  return true;
}

/* Of a length that the compiler does not know: of some lengths it makes code of its own, which may have no branch. */
static bool leak_by_memcmp(void) {
  uint8_t right[32] = {1}, shown[32] = {2};
  volatile size_t len = sizeof right;
  ct_secret(right, sizeof right);
  sink = memcmp(right, shown, len) == 0;
  return true;
}

static bool leak_by_address(void) {
  static const uint8_t table[256] = {1, 2, 3};
  uint8_t at = 7;
  ct_secret(&at, 1);
  sink = ((const volatile uint8_t *)table)[at];
  return true;
}

static const ct_check leaks[] = {
    {"a leak: a comparison that stops early", leak_by_comparison},
    {"a leak: memcmp", leak_by_memcmp},
    {"a leak: a place in a table", leak_by_address},
    {NULL, NULL},
};

/* --- The run ------------------------------------------------------------------------------------- */

static unsigned count;

static bool verdict(bool good, const char *what, const char *name) {
  printf("%s ct: %s%s\n", good ? "ok" : "not ok", what, name);
  fflush(stdout);
  count++;
  return good;
}

static bool run_checks(const ct_check *checks) {
  bool good = true;
  for (const ct_check *c = checks; c->name != NULL; c++) {
    unsigned before = VALGRIND_COUNT_ERRORS;
    VALGRIND_PRINTF("-- %s\n", c->name);
    bool worked = c->run();
    unsigned found = VALGRIND_COUNT_ERRORS - before;
    good &= verdict(worked && found == 0, "", c->name);
    if (!worked) puts("# it did not do its work, or a secret was lost on the way");
    if (found > 0) printf("# %u places depend on a secret, see valgrind's reports\n", found);
  }
  return good;
}

static bool run_leaks(void) {
  bool good = true;
  for (const ct_check *c = leaks; c->name != NULL; c++) {
    unsigned before = VALGRIND_COUNT_ERRORS;
    VALGRIND_PRINTF("-- %s, on purpose\n", c->name);
    c->run();
    good &= verdict(VALGRIND_COUNT_ERRORS > before, "notices ", c->name);
  }
  return good;
}

int main(void) {
  if (!RUNNING_ON_VALGRIND || sodium_init() < 0) {
    puts("not ok ct: runs under valgrind\n1..1");
    return 1;
  }
  bool good = run_leaks();
  good &= run_checks(ct_key_checks);
  good &= run_checks(ct_wire_checks);
  good &= run_checks(ct_file_checks);
  ct_expected_suppressed();
  printf("1..%u\n", count);
  return good ? 0 : 1;
}
