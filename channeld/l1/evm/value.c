#include "value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The digits after "0x"; NULL if it is no such string, or one with a NUL in it. */
static const char *digits(const json_t *v, size_t *n) {
  const char *text = json_string_value(v);
  size_t len = json_string_length(v);
  if (text == NULL || len < 2 || text[0] != '0' || text[1] != 'x' || strlen(text) != len) return NULL;
  *n = len - 2;
  return text + 2;
}

bool cd_value_word(const json_t *v, uint8_t out[32]) {
  size_t n;
  char full[65];
  const char *d = digits(v, &n);
  if (d == NULL || n == 0 || n > 64 || (n > 1 && d[0] == '0')) return false;
  memset(full, '0', sizeof full);
  memcpy(full + 64 - n, d, n + 1);
  return ch_unhex(out, 32, full);
}

static bool high_bytes_zero(const uint8_t word[32], size_t n) {
  uint8_t all = 0;
  for (size_t i = 0; i < n; i++)
    all |= word[i];
  return all == 0;
}

bool cd_value_u64(const json_t *v, uint64_t *out) {
  uint8_t word[32];
  if (!cd_value_word(v, word) || !high_bytes_zero(word, 24)) return false;
  *out = 0;
  for (size_t i = 24; i < 32; i++)
    *out = *out << 8 | word[i];
  return true;
}

bool cd_value_amount(const json_t *v, ch_amount *out) {
  uint8_t word[32];
  if (!cd_value_word(v, word)) return false;
  ch_u128 value = 0;
  for (size_t i = 16; i < 32; i++)
    value = value << 8 | word[i];
  out->v = high_bytes_zero(word, 16) && value <= CH_MONEY_MAX ? value : CH_MONEY_MAX;
  return true;
}

bool cd_value_bytes(const json_t *v, uint8_t *out, size_t n) {
  size_t got;
  const char *d = digits(v, &got);
  return d != NULL && got == 2 * n && (n == 0 || ch_unhex(out, n, d - 2));
}

bool cd_value_data(const json_t *v, size_t max, uint8_t **out, size_t *len) {
  size_t n;
  const char *d = digits(v, &n);
  if (d == NULL || n % 2 != 0 || n / 2 > max) return false;
  *len = n / 2;
  *out = malloc(*len + 1);
  if (*out == NULL) return false;
  if (cd_value_bytes(v, *out, *len)) return true;
  free(*out);
  return false;
}

json_t *cd_value_of_u64(uint64_t n) {
  char text[20];
  snprintf(text, sizeof text, "0x%" PRIx64, n);
  return json_string(text);
}

json_t *cd_value_of_bytes(const uint8_t *bytes, size_t n) {
  char *text = malloc(2 * n + 3);
  if (text == NULL) return NULL;
  memcpy(text, "0x", 3);
  ch_hex(text + 2, bytes, n);
  json_t *v = json_string(text);
  free(text);
  return v;
}
