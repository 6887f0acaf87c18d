/* world.c - chance, traces and counts. */
#include "world.h"

#include <stdarg.h>

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

void fail(world *w, const char *what, ...) {
  if (w->failure) return;
  va_list ap;
  va_start(ap, what);
  vsnprintf(w->why, sizeof w->why, what, ap);
  va_end(ap);
  w->failure = what;
  if (w->trace) printf("# FAILURE: %s\n", w->why);
}

void note(const world *w, const char *what, ...) {
  if (!w->trace) return;
  va_list ap;
  va_start(ap, what);
  printf("# %4u ", w->section);
  vprintf(what, ap);
  printf("\n");
  va_end(ap);
}

void happened(world *w, sim_kind k) {
  w->count[k]++;
}

void begin_section(world *w, unsigned number) {
  w->section = number;
  w->rng.s = w->seed * 0x9e3779b97f4a7c15u + number * 0xd1342543de82ef95u;
  (void)rng_next(&w->rng);
}

bool begin_action(world *w, unsigned number) {
  if (number >= MAX_ACTIONS) return false;
  begin_section(w, number);
  if (w->skip && w->skip[number]) return false;
  w->taken[number] = true;
  return true;
}

bool is_honest(const world *w, int side) {
  return !w->liar || liar_side(w) != side;
}

int lone_honest(const world *w) {
  return w->liar ? 1 - liar_side(w) : -1;
}
