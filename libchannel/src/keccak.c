#include "channel/crypto.h"

#include <endian.h>

/* Keccak-f[1600] (the Keccak reference, version 3.0, section 1.2) with rate 136 and the original padding.
 * Lane (x, y) of the state is a[x + 5 * y]. */

#define RATE 136
#define LANES 25

static inline uint64_t rotl(uint64_t v, unsigned n) {
  return v << n | v >> (64 - n);
}

/* The steps of a round are written out, so that every index and distance is a constant. */

/* Chi, the only non-linear step, on one row. */
static inline void chi(uint64_t *out, uint64_t b0, uint64_t b1, uint64_t b2, uint64_t b3, uint64_t b4) {
  out[0] = b0 ^ (~b1 & b2);
  out[1] = b1 ^ (~b2 & b3);
  out[2] = b2 ^ (~b3 & b4);
  out[3] = b3 ^ (~b4 & b0);
  out[4] = b4 ^ (~b0 & b1);
}

/* One round, from `a` to `out`: theta, whose columns are c and d; rho and pi, the rotated arguments of chi; iota. */
static inline void permute_round(uint64_t *out, const uint64_t *a, uint64_t constant) {
  const uint64_t c[5] = {
      a[0] ^ a[5] ^ a[10] ^ a[15] ^ a[20], a[1] ^ a[6] ^ a[11] ^ a[16] ^ a[21], a[2] ^ a[7] ^ a[12] ^ a[17] ^ a[22],
      a[3] ^ a[8] ^ a[13] ^ a[18] ^ a[23], a[4] ^ a[9] ^ a[14] ^ a[19] ^ a[24],
  };
  const uint64_t d[5] = {
      c[4] ^ rotl(c[1], 1), c[0] ^ rotl(c[2], 1), c[1] ^ rotl(c[3], 1), c[2] ^ rotl(c[4], 1), c[3] ^ rotl(c[0], 1),
  };
  chi(out, a[0] ^ d[0], rotl(a[6] ^ d[1], 44), rotl(a[12] ^ d[2], 43), rotl(a[18] ^ d[3], 21), rotl(a[24] ^ d[4], 14));
  chi(out + 5, rotl(a[3] ^ d[3], 28), rotl(a[9] ^ d[4], 20), rotl(a[10] ^ d[0], 3), rotl(a[16] ^ d[1], 45),
      rotl(a[22] ^ d[2], 61));
  chi(out + 10, rotl(a[1] ^ d[1], 1), rotl(a[7] ^ d[2], 6), rotl(a[13] ^ d[3], 25), rotl(a[19] ^ d[4], 8),
      rotl(a[20] ^ d[0], 18));
  chi(out + 15, rotl(a[4] ^ d[4], 27), rotl(a[5] ^ d[0], 36), rotl(a[11] ^ d[1], 10), rotl(a[17] ^ d[2], 15),
      rotl(a[23] ^ d[3], 56));
  chi(out + 20, rotl(a[2] ^ d[2], 62), rotl(a[8] ^ d[3], 55), rotl(a[14] ^ d[4], 39), rotl(a[15] ^ d[0], 41),
      rotl(a[21] ^ d[1], 2));
  out[0] ^= constant;
}

static void permute(uint64_t a[LANES]) {
  static const uint64_t constants[24] = {
      0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
      0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
      0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
      0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
      0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
  };
  uint64_t b[LANES];
  for (int i = 0; i < 24; i += 2) {
    permute_round(b, a, constants[i]);
    permute_round(a, b, constants[i + 1]);
  }
}

static inline uint64_t load64_le(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return le64toh(v);
}

static void absorb(ch_keccak *k, const uint8_t *block) {
  for (int i = 0; i < RATE / 8; i++)
    k->a[i] ^= load64_le(block + 8 * i);
  permute(k->a);
}

void ch_keccak_init(ch_keccak *k) {
  memset(k, 0, sizeof *k);
}

void ch_keccak_update(ch_keccak *k, const void *data, size_t len) {
  const uint8_t *p = data;
  if (len == 0) return;
  if (k->used > 0) {
    size_t take = len < RATE - k->used ? len : RATE - k->used;
    memcpy(k->block + k->used, p, take);
    k->used += take;
    p += take;
    len -= take;
    if (k->used < RATE) return;
    absorb(k, k->block);
    k->used = 0;
  }
  for (; len >= RATE; p += RATE, len -= RATE)
    absorb(k, p);
  memcpy(k->block, p, len);
  k->used = len;
}

void ch_keccak_final(ch_keccak *k, ch_hash *out) {
  memset(k->block + k->used, 0, RATE - k->used);
  k->block[k->used] = 0x01;
  k->block[RATE - 1] |= 0x80;
  absorb(k, k->block);
  for (size_t i = 0; i < sizeof out->b; i++)
    out->b[i] = (uint8_t)(k->a[i / 8] >> 8 * (i % 8));
  ch_wipe(k, sizeof *k); /* the input may have been secret */
}

void ch_keccak256(ch_hash *out, const void *data, size_t len) {
  ch_keccak k;
  ch_keccak_init(&k);
  ch_keccak_update(&k, data, len);
  ch_keccak_final(&k, out);
}
