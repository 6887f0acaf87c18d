#include "rlp.h"

#define STRING 0x80
#define LIST 0xc0
#define SHORT_MAX 55 /* longest contents whose length stands in the first byte */

/* --- Writing ------------------------------------------------------------------------------------------------------ */

/* Big-endian without leading zeros; returns how many bytes. */
static size_t minimal(uint8_t out[16], ch_u128 value) {
  size_t n = 0;
  for (ch_u128 v = value; v != 0; v >>= 8)
    n++;
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)(value >> 8 * (n - 1 - i));
  return n;
}

static size_t header(uint8_t out[17], uint8_t kind, size_t len) {
  if (len <= SHORT_MAX) {
    out[0] = (uint8_t)(kind + len);
    return 1;
  }
  size_t n = minimal(out + 1, len);
  out[0] = (uint8_t)(kind + SHORT_MAX + n);
  return 1 + n;
}

void cd_rlp_put(cd_bytes *to, const void *bytes, size_t n) {
  uint8_t head[17];
  const uint8_t *b = bytes;
  if (n != 1 || b[0] >= STRING) cd_bytes_put(to, head, header(head, STRING, n));
  cd_bytes_put(to, bytes, n);
}

void cd_rlp_put_uint(cd_bytes *to, ch_u128 value) {
  uint8_t bytes[16];
  cd_rlp_put(to, bytes, minimal(bytes, value));
}

size_t cd_rlp_open(const cd_bytes *to) {
  return to->n;
}

void cd_rlp_close(cd_bytes *to, size_t opened) {
  uint8_t head[17];
  size_t len = to->n - opened, n = header(head, LIST, len);
  if (cd_bytes_more(to, n) == NULL) return;
  memmove(to->b + opened + n, to->b + opened, len);
  memcpy(to->b + opened, head, n);
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

/* A length that stands behind the first byte, in `n` bytes. */
static bool long_length(cd_rlp *from, size_t n, size_t *len) {
  *len = 0;
  if (n > from->n || n > sizeof *len || from->b[0] == 0) return false;
  for (size_t i = 0; i < n; i++)
    *len = *len << 8 | from->b[i];
  from->b += n;
  from->n -= n;
  return *len > SHORT_MAX;
}

static ch_err get(cd_rlp *from, uint8_t kind, cd_rlp *contents) {
  cd_rlp at = *from;
  if (at.n == 0) return CH_ERR_FORMAT;
  uint8_t first = at.b[0];
  if (kind == STRING && first < STRING) {
    *contents = (cd_rlp){at.b, 1};
    *from = (cd_rlp){at.b + 1, at.n - 1};
    return CH_OK;
  }
  if (first < kind || (kind == STRING && first >= LIST)) return CH_ERR_FORMAT;
  size_t len = (size_t)(first - kind);
  at.b++;
  at.n--;
  if (len > SHORT_MAX && !long_length(&at, len - SHORT_MAX, &len)) return CH_ERR_FORMAT;
  if (len > at.n || (kind == STRING && len == 1 && at.b[0] < STRING)) return CH_ERR_FORMAT;
  *contents = (cd_rlp){at.b, len};
  *from = (cd_rlp){at.b + len, at.n - len};
  return CH_OK;
}

ch_err cd_rlp_get(cd_rlp *from, cd_rlp *contents) {
  return get(from, STRING, contents);
}

ch_err cd_rlp_get_list(cd_rlp *from, cd_rlp *contents) {
  return get(from, LIST, contents);
}

ch_err cd_rlp_get_uint(cd_rlp *from, ch_u128 max, ch_u128 *value) {
  cd_rlp at = *from, bytes;
  ch_err err = cd_rlp_get(&at, &bytes);
  if (err != CH_OK) return err;
  if (bytes.n > sizeof *value || (bytes.n > 0 && bytes.b[0] == 0)) return CH_ERR_FORMAT;
  ch_u128 v = 0;
  for (size_t i = 0; i < bytes.n; i++)
    v = v << 8 | bytes.b[i];
  if (v > max) return CH_ERR_FORMAT;
  *value = v;
  *from = at;
  return CH_OK;
}
