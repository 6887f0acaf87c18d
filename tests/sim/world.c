/* world.c - traces and counts. */
#include "world.h"

#include <stdarg.h>

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
  w->rng = rng_of(w->seed, number);
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
