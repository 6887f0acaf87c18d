/* run.h - one seed in a process of its own, so that what crashed daemons leave in memory goes with it. */
#ifndef SIM_DAEMON_RUN_H
#define SIM_DAEMON_RUN_H

#include "world.h"

/* How a seed went. */
typedef struct outcome {
  uint64_t steps, trace;
  uint64_t count[N_KINDS];
  bool taken[MAX_ACTIONS];
  bool died;           /* the process itself */
  const char *failure; /* NULL: none; the same text for the same promise */
  char why[300];
} outcome;

/* Runs it in a child. */
void run_apart(uint64_t seed, broken b, bool trace, const bool *skip, outcome *out);
/* Looks for the fewest actions with which this seed still fails, and prints how to watch them. */
void shrink(uint64_t seed);

#endif
