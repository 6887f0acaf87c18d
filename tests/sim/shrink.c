/* shrink.c - leaves out as many actions of a failing seed as possible, so that what is left can be read. */
#include <stdlib.h>

#include "world.h"

static bool skipped[MAX_ACTIONS];

/* Whether the seed still fails for the same reason. */
static bool still_fails(uint64_t seed, broken b, const char *failure) {
  world *w = world_new(seed, b, false, skipped);
  live(w);
  bool same = w->failure == failure;
  world_free(w);
  return same;
}

/* The actions that were taken, in their order. */
static size_t actions_of(uint64_t seed, broken b, unsigned *out) {
  size_t n = 0;
  world *w = world_new(seed, b, false, NULL);
  live(w);
  for (unsigned i = 0; i < MAX_ACTIONS; i++) {
    skipped[i] = !w->taken[i];
    if (w->taken[i]) out[n++] = i;
  }
  world_free(w);
  return n;
}

static void set_all(const unsigned *actions, size_t n, bool to) {
  for (size_t i = 0; i < n; i++)
    skipped[actions[i]] = to;
}

/* One pass over all runs of `chunk` actions; returns how many actions are left. */
static size_t without_chunks(uint64_t seed, broken b, const char *failure, unsigned *actions, size_t n, size_t chunk) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i += chunk) {
    size_t k = n - i < chunk ? n - i : chunk;
    set_all(actions + i, k, true);
    if (still_fails(seed, b, failure)) continue;
    set_all(actions + i, k, false);
    memmove(actions + kept, actions + i, k * sizeof *actions);
    kept += k;
  }
  return kept;
}

static void print_actions(const unsigned *actions, size_t n) {
  for (size_t i = 0; i < n; i++) {
    size_t j = i;
    while (j + 1 < n && actions[j + 1] == actions[j] + 1)
      j++;
    printf(i == j ? "%s%u" : "%s%u-%u", i ? "," : "", actions[i], actions[j]);
    i = j;
  }
  if (!n) printf("none");
}

void shrink(uint64_t seed, broken b, const char *failure) {
  static unsigned actions[MAX_ACTIONS];
  static const char *const names[] = {
#define SIM_NAME(sym, name) name,
      SIM_BREAKS(SIM_NAME)
#undef SIM_NAME
  };
  size_t n = actions_of(seed, b, actions), all = n;
  for (size_t chunk = n / 2 ? n / 2 : 1; chunk; chunk /= 2)
    n = without_chunks(seed, b, failure, actions, n, chunk);
  printf("# seed %llu: %zu of %zu actions are enough:\n", (unsigned long long)seed, n, all);
  world *w = world_new(seed, b, true, skipped);
  live(w);
  world_free(w);
  printf("# again: build/tests/sim --seed %llu --actions ", (unsigned long long)seed);
  print_actions(actions, n);
  printf(b ? " --break %s --trace\n" : "%s --trace\n", b ? names[b] : "");
}
