/* money.h - amounts of money as a type of their own: whole base units, 128 bits, always checked.
 *
 * ch_amount is unsigned, ch_net is signed. Both are limited to what the Adjudicator's 112-bit slots hold
 * (proto/protocol.md, section 3): amounts 0 .. 2^111-1, nets -(2^111-1) .. 2^111-1. No function wraps,
 * rounds or uses floating point. Plain values: no ownership; every function is pure and thread-safe.
 */
#ifndef CHANNEL_MONEY_H
#define CHANNEL_MONEY_H

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

__extension__ typedef unsigned __int128 ch_u128;
__extension__ typedef __int128 ch_i128;

typedef struct ch_amount {
  ch_u128 v;
} ch_amount;
typedef struct ch_net {
  ch_i128 v;
} ch_net;

#define CH_MONEY_BITS 111
#define CH_MONEY_MAX ((((ch_u128)1) << CH_MONEY_BITS) - 1)
/* Longest decimal string of a money value with sign and NUL. */
#define CH_MONEY_STR 42

static inline ch_amount ch_amount_of(uint64_t v) {
  ch_amount a = {v};
  return a;
}
static inline ch_net ch_net_of(int64_t v) {
  ch_net n = {v};
  return n;
}
static inline int ch_amount_cmp(ch_amount a, ch_amount b) {
  return a.v < b.v ? -1 : a.v > b.v;
}
static inline int ch_net_cmp(ch_net a, ch_net b) {
  return a.v < b.v ? -1 : a.v > b.v;
}

/* *out = a + b; CH_ERR_OVERFLOW beyond CH_MONEY_MAX, with *out unchanged. `out` may alias an input. */
CH_API ch_err ch_amount_add(ch_amount *out, ch_amount a, ch_amount b) CH_MUST_CHECK;
/* *out = a - b; CH_ERR_OVERFLOW if b > a, with *out unchanged. */
CH_API ch_err ch_amount_sub(ch_amount *out, ch_amount a, ch_amount b) CH_MUST_CHECK;
/* *out = n + a, n - a or a + b; CH_ERR_OVERFLOW outside +-CH_MONEY_MAX, with *out unchanged. */
CH_API ch_err ch_net_add(ch_net *out, ch_net n, ch_amount a) CH_MUST_CHECK;
CH_API ch_err ch_net_sub(ch_net *out, ch_net n, ch_amount a) CH_MUST_CHECK;
CH_API ch_err ch_net_sum(ch_net *out, ch_net a, ch_net b) CH_MUST_CHECK;

/* Decimal strings, as in every JSON document: "0" or a digit 1-9 followed by digits (a net may have one
 * leading '-', never "-0"). Nothing else is accepted: no blanks, '+', leading zeros, exponents, points.
 * Returns CH_ERR_AMOUNT on anything else or out of range; *out is then unchanged. */
CH_API ch_err ch_amount_parse(ch_amount *out, const char *s) CH_MUST_CHECK;
CH_API ch_err ch_net_parse(ch_net *out, const char *s) CH_MUST_CHECK;
/* Writes the decimal string and its NUL to `buf` (CH_MONEY_STR bytes) and returns buf. */
CH_API char *ch_amount_str(char *buf, ch_amount a);
CH_API char *ch_net_str(char *buf, ch_net n);

/* Big-endian bytes without leading zeros, as on the wire: `out` takes up to 16 bytes, the return is how
 * many were written (0 for zero). Parsing refuses more than 16 bytes, a leading zero byte, or a value out of range. */
CH_API size_t ch_amount_bytes(uint8_t out[16], ch_amount a);
CH_API ch_err ch_amount_from_bytes(ch_amount *out, const uint8_t *in, size_t len) CH_MUST_CHECK;

/* A 32-byte big-endian two's complement EVM word, for ABI encoding (int112 / uint112 sign-extended). */
CH_API void ch_amount_word(uint8_t out[32], ch_amount a);
CH_API void ch_net_word(uint8_t out[32], ch_net n);
/* The reverse; CH_ERR_AMOUNT if the word is outside the money range. */
CH_API ch_err ch_amount_from_word(ch_amount *out, const uint8_t in[32]) CH_MUST_CHECK;
CH_API ch_err ch_net_from_word(ch_net *out, const uint8_t in[32]) CH_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
