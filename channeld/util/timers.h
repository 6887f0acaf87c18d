/* timers.h - deadlines of one thread: an ordered list of intrusive items. Nearly all are added last, so adding looks
 * from the end. Not thread-safe. */
#ifndef CHANNELD_UTIL_TIMERS_H
#define CHANNELD_UTIL_TIMERS_H

#include <stdint.h>

typedef struct cd_timer {
  struct cd_timer *prev, *next;
  uint64_t at; /* cd_monotonic_ms; 0: not set */
  /* The timer is not set any more when this runs. `self` is what cd_timers_fire got. */
  void (*fire)(void *self, struct cd_timer *timer);
} cd_timer;

typedef struct cd_timers {
  cd_timer *first, *last;
} cd_timers;

/* `t->fire` is filled in; `t` is not set. */
void cd_timers_set(cd_timers *list, cd_timer *t, uint64_t at);
/* One that is not set is fine. */
void cd_timers_unset(cd_timers *list, cd_timer *t);
/* Fires all that are due at `now`. Returns the next deadline, 0 if there is none. */
uint64_t cd_timers_fire(cd_timers *list, uint64_t now, void *self);

#endif
