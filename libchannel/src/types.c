#include "channel/types.h"

#include <sodium.h>

bool ch_hash_is_zero(const ch_hash *h) {
  return sodium_is_zero(h->b, sizeof h->b);
}

bool ch_addr_is_zero(const ch_addr *a) {
  static const ch_addr none = {{0}}; /* public: no need for a comparison in constant time */
  return memcmp(a->b, none.b, sizeof none.b) == 0;
}

void ch_wipe(void *p, size_t len) {
  sodium_memzero(p, len);
}

/* Both directions avoid table look-ups and branches on the data, as the bytes may be secret. */

static char hex_digit(unsigned nibble) {
  unsigned above_nine = (9u - nibble) >> 8; /* all ones if nibble > 9 */
  return (char)('0' + nibble + (above_nine & ('a' - '0' - 10)));
}

void ch_hex(char *out, const uint8_t *in, size_t len) {
  for (size_t i = 0; i < len; i++) {
    *out++ = hex_digit(in[i] >> 4);
    *out++ = hex_digit(in[i] & 15);
  }
  *out = '\0';
}

/* All ones if lo <= c <= hi, else 0. */
static unsigned in_range(unsigned c, unsigned lo, unsigned hi) {
  return ~((c - lo) | (hi - c)) >> 31 ? ~0u : 0;
}

/* 0..15, or -1 for anything that is no hex digit (a NUL included). */
static int nibble_of(char ch) {
  unsigned c = (unsigned char)ch;
  unsigned lower = c | 0x20;
  unsigned digit = in_range(c, '0', '9');
  unsigned letter = in_range(lower, 'a', 'f');
  return (int)((digit & (c - '0')) | (letter & (lower - 'a' + 10)) | ~(digit | letter));
}

/* That the text has a prefix shows in its length, and one verdict is given at the end: where a digit is wrong, or what
 * the first ones are, has no influence on what is executed. */
bool ch_unhex(uint8_t *out, size_t len, const char *hex) {
  int all = 0;
  size_t n = strnlen(hex, 2 * len + 3);
  if (n == 2 * len + 2 && hex[0] == '0' && (hex[1] == 'x' || hex[1] == 'X')) {
    hex += 2;
  } else if (n != 2 * len) {
    return false;
  }
  for (size_t i = 0; i < len; i++, hex += 2) {
    int high = nibble_of(hex[0]), low = nibble_of(hex[1]);
    all |= high | low;
    out[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
  }
  return all >= 0;
}
