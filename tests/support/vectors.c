#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <channel/types.h>

json_t *vectors_load(const char *file) {
  const char *dir = getenv("VECTORS_DIR");
  if (dir == NULL || dir[0] == '\0') {
    printf("skipped: %s (VECTORS_DIR is not set)\n", file);
    return NULL;
  }
  char path[1024];
  int n = snprintf(path, sizeof path, "%s/%s", dir, file);
  assert_in_range(n, 1, sizeof path - 1);
  json_error_t error;
  json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (document == NULL) {
    fail_msg("cannot load %s: line %d: %s", path, error.line, error.text);
  }
  return document;
}

const char *vectors_str(const json_t *object, const char *key) {
  const char *value = json_string_value(json_object_get(object, key));
  if (value == NULL) {
    fail_msg("a test vector lacks the string member \"%s\"", key);
  }
  return value;
}

size_t vectors_hex(const json_t *object, const char *key, uint8_t *out, size_t size) {
  const char *hex = vectors_str(object, key);
  if (strncmp(hex, "0x", 2) == 0) hex += 2;
  size_t len = strlen(hex) / 2;
  assert_true(len <= size);
  assert_true(ch_unhex(out, len, hex));
  return len;
}
