/* world.c - traces, counts, and time that passes. */
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
  printf("# %4u %9.3f ", w->section, (double)os_now() / (double)OS_S);
  vprintf(what, ap);
  printf("\n");
  va_end(ap);
}

void happened(world *w, sim_kind k) {
  w->count[k]++;
}

void begin_section(world *w, unsigned number) {
  w->section = number;
  w->rng = rng_of(w->seed, 2 * number);
  w->chance = rng_of(w->seed, 2 * number + 1);
  os_reseed(rng_next(&w->chance));
}

bool begin_action(world *w, unsigned number) {
  if (number >= MAX_ACTIONS) return false;
  begin_section(w, number);
  if (w->skip && w->skip[number]) return false;
  w->taken[number] = true;
  return true;
}

/* --- Time ----------------------------------------------------------------------------------------------------- */

/* After a death the rest of the time is run. */
void run_ms(world *w, uint64_t ms) {
  uint64_t until = os_now() + ms * OS_MS;
  while (os_now() < until && !w->failure)
    if (os_run(UINT64_MAX, until - os_now()) == OS_RUN_IDLE) break;
}

void run_steps(world *w, uint64_t steps) {
  if (!w->failure) (void)os_run(steps, 5 * OS_S);
}

typedef struct question {
  world *w;
  bool (*done)(world *w);
} question;

static bool answer(void *arg) {
  const question *q = (const question *)arg;
  return q->w->failure || q->done(q->w);
}

bool run_until(world *w, bool (*done)(world *w), uint64_t ms) {
  question q = {w, done};
  return os_run_until(answer, &q, ms * OS_MS) && !w->failure;
}
