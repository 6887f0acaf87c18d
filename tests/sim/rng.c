#include "rng.h"

#include <string.h>

uint64_t rng_next(rng *r) {
  uint64_t z = (r->s += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

unsigned rng_below(rng *r, unsigned n) {
  return (unsigned)(rng_next(r) % n);
}

bool rng_chance(rng *r, unsigned percent) {
  return rng_below(r, 100) < percent;
}

void rng_hash(rng *r, ch_hash *out) {
  for (int i = 0; i < 32; i += 8) {
    uint64_t v = rng_next(r);
    memcpy(out->b + i, &v, 8);
  }
}

rng rng_of(uint64_t seed, unsigned number) {
  rng r = {seed * 0x9e3779b97f4a7c15u + number * 0xd1342543de82ef95u};
  (void)rng_next(&r);
  return r;
}
