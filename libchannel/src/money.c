#include "channel/money.h"

#include <string.h>

#define NET_MAX ((ch_i128)CH_MONEY_MAX)

/* The operands of every sum are first held to their documented range, so that nothing can wrap in 128 bits
 * even if a caller has built an amount by hand. */
static bool amount_ok(ch_u128 v) {
  return v <= CH_MONEY_MAX;
}

static bool net_ok(ch_i128 v) {
  return v >= -NET_MAX && v <= NET_MAX;
}

/* --- Sums -------------------------------------------------------------------------------------- */

ch_err ch_amount_add(ch_amount *out, ch_amount a, ch_amount b) {
  if (!amount_ok(a.v) || !amount_ok(b.v) || !amount_ok(a.v + b.v)) return CH_ERR_OVERFLOW;
  out->v = a.v + b.v;
  return CH_OK;
}

ch_err ch_amount_sub(ch_amount *out, ch_amount a, ch_amount b) {
  if (!amount_ok(a.v) || b.v > a.v) return CH_ERR_OVERFLOW;
  out->v = a.v - b.v;
  return CH_OK;
}

ch_err ch_net_sum(ch_net *out, ch_net a, ch_net b) {
  if (!net_ok(a.v) || !net_ok(b.v) || !net_ok(a.v + b.v)) return CH_ERR_OVERFLOW;
  out->v = a.v + b.v;
  return CH_OK;
}

ch_err ch_net_add(ch_net *out, ch_net n, ch_amount a) {
  if (!amount_ok(a.v)) return CH_ERR_OVERFLOW;
  return ch_net_sum(out, n, (ch_net){(ch_i128)a.v});
}

ch_err ch_net_sub(ch_net *out, ch_net n, ch_amount a) {
  if (!amount_ok(a.v)) return CH_ERR_OVERFLOW;
  return ch_net_sum(out, n, (ch_net){-(ch_i128)a.v});
}

/* --- Decimal strings --------------------------------------------------------------------------- */

ch_err ch_amount_parse(ch_amount *out, const char *s) {
  if (s[0] == '0' && s[1] != '\0') return CH_ERR_AMOUNT;
  if (s[0] == '\0') return CH_ERR_AMOUNT;
  ch_u128 v = 0;
  for (; *s != '\0'; s++) {
    if (*s < '0' || *s > '9') return CH_ERR_AMOUNT;
    v = v * 10 + (ch_u128)(*s - '0'); /* v <= 2^111-1 before, so this stays below 2^115 */
    if (!amount_ok(v)) return CH_ERR_AMOUNT;
  }
  out->v = v;
  return CH_OK;
}

ch_err ch_net_parse(ch_net *out, const char *s) {
  bool negative = s[0] == '-';
  ch_amount magnitude;
  if (ch_amount_parse(&magnitude, s + negative) != CH_OK) return CH_ERR_AMOUNT;
  if (negative && magnitude.v == 0) return CH_ERR_AMOUNT;
  out->v = negative ? -(ch_i128)magnitude.v : (ch_i128)magnitude.v;
  return CH_OK;
}

static char *decimal(char *buf, ch_u128 v, bool negative) {
  char digits[CH_MONEY_STR];
  char *p = digits + sizeof digits;
  *--p = '\0';
  do {
    *--p = (char)('0' + (int)(v % 10));
    v /= 10;
  } while (v != 0);
  if (negative) *--p = '-';
  return memcpy(buf, p, (size_t)(digits + sizeof digits - p));
}

char *ch_amount_str(char *buf, ch_amount a) {
  return decimal(buf, a.v, false);
}

char *ch_net_str(char *buf, ch_net n) {
  ch_u128 v = (ch_u128)n.v;
  return decimal(buf, n.v < 0 ? -v : v, n.v < 0);
}

/* --- Bytes ------------------------------------------------------------------------------------- */

static void store16(uint8_t out[16], ch_u128 v) {
  for (int i = 15; i >= 0; i--, v >>= 8)
    out[i] = (uint8_t)v;
}

static ch_u128 load(const uint8_t *in, size_t len) {
  ch_u128 v = 0;
  for (size_t i = 0; i < len; i++)
    v = v << 8 | in[i];
  return v;
}

size_t ch_amount_bytes(uint8_t out[16], ch_amount a) {
  uint8_t full[16];
  store16(full, a.v);
  size_t zeros = 0;
  while (zeros < sizeof full && full[zeros] == 0)
    zeros++;
  memcpy(out, full + zeros, sizeof full - zeros);
  return sizeof full - zeros;
}

ch_err ch_amount_from_bytes(ch_amount *out, const uint8_t *in, size_t len) {
  if (len > 16 || (len > 0 && in[0] == 0)) return CH_ERR_AMOUNT;
  ch_u128 v = load(in, len);
  if (!amount_ok(v)) return CH_ERR_AMOUNT;
  out->v = v;
  return CH_OK;
}

/* --- EVM words --------------------------------------------------------------------------------- */

static bool all_bytes(const uint8_t *p, size_t len, uint8_t value) {
  for (size_t i = 0; i < len; i++) {
    if (p[i] != value) return false;
  }
  return true;
}

void ch_amount_word(uint8_t out[32], ch_amount a) {
  memset(out, 0, 16);
  store16(out + 16, a.v);
}

void ch_net_word(uint8_t out[32], ch_net n) {
  memset(out, n.v < 0 ? 0xff : 0, 16);
  store16(out + 16, (ch_u128)n.v);
}

ch_err ch_amount_from_word(ch_amount *out, const uint8_t in[32]) {
  ch_u128 v = load(in + 16, 16);
  if (!all_bytes(in, 16, 0) || !amount_ok(v)) return CH_ERR_AMOUNT;
  out->v = v;
  return CH_OK;
}

ch_err ch_net_from_word(ch_net *out, const uint8_t in[32]) {
  bool negative = in[0] & 0x80;
  ch_i128 v = (ch_i128)load(in + 16, 16);
  if (!all_bytes(in, 16, negative ? 0xff : 0) || (v < 0) != negative || !net_ok(v)) return CH_ERR_AMOUNT;
  out->v = v;
  return CH_OK;
}
