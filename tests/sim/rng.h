/* rng.h - the simulators' chance: splitmix64, so that a seed gives the same run everywhere. */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include "channel/types.h"

typedef struct rng {
  uint64_t s;
} rng;
uint64_t rng_next(rng *r);
unsigned rng_below(rng *r, unsigned n);
bool rng_chance(rng *r, unsigned percent);
void rng_hash(rng *r, ch_hash *out);
/* The randomness of part `number` of this seed: leaving another part out does not change it. */
rng rng_of(uint64_t seed, unsigned number);

#endif
