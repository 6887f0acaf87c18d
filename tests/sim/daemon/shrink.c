/* shrink.c - leaves out as many actions of a failing seed as possible, so that what is left can be read. */
#include <stdlib.h>

#include "run.h"

static bool skipped[MAX_ACTIONS];
static unsigned actions[MAX_ACTIONS];

/* Whether the seed still fails for the same reason. */
static bool still_fails(uint64_t seed, const outcome *like) {
  outcome o;
  run_apart(seed, BROKEN_NOTHING, false, skipped, &o);
  return o.failure == like->failure && o.died == like->died;
}

static void set_all(const unsigned *some, size_t n, bool to) {
  for (size_t i = 0; i < n; i++)
    skipped[some[i]] = to;
}

/* One pass over all runs of `chunk` actions; returns how many actions are left. */
static size_t without_chunks(uint64_t seed, const outcome *like, size_t n, size_t chunk) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i += chunk) {
    size_t k = n - i < chunk ? n - i : chunk;
    set_all(actions + i, k, true);
    if (still_fails(seed, like)) continue;
    set_all(actions + i, k, false);
    memmove(actions + kept, actions + i, k * sizeof *actions);
    kept += k;
  }
  return kept;
}

static void print_actions(size_t n) {
  for (size_t i = 0; i < n; i++) {
    size_t j = i;
    while (j + 1 < n && actions[j + 1] == actions[j] + 1)
      j++;
    printf(i == j ? "%s%u" : "%s%u-%u", i ? "," : "", actions[i], actions[j]);
    i = j;
  }
  if (!n) printf("none");
}

void shrink(uint64_t seed) {
  outcome like;
  size_t n = 0;
  run_apart(seed, BROKEN_NOTHING, false, NULL, &like);
  for (unsigned i = 0; i < MAX_ACTIONS; i++) {
    skipped[i] = !like.taken[i];
    if (like.taken[i]) actions[n++] = i;
  }
  size_t all = n;
  for (size_t chunk = n / 2 ? n / 2 : 1; chunk; chunk /= 2)
    n = without_chunks(seed, &like, n, chunk);
  printf("# seed %llu: %zu of %zu actions are enough\n", (unsigned long long)seed, n, all);
  printf("# again: build/tests/sim-daemon --seed %llu --actions ", (unsigned long long)seed);
  print_actions(n);
  printf(" --trace\n");
}
