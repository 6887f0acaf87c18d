#include "util/timers.h"

#include <stddef.h>

void cd_timers_set(cd_timers *list, cd_timer *t, uint64_t at) {
  cd_timer *after = list->last;
  while (after != NULL && after->at > at)
    after = after->prev;
  t->at = at == 0 ? 1 : at;
  t->prev = after;
  t->next = after == NULL ? list->first : after->next;
  *(t->next == NULL ? &list->last : &t->next->prev) = t;
  *(after == NULL ? &list->first : &after->next) = t;
}

void cd_timers_unset(cd_timers *list, cd_timer *t) {
  if (t->at == 0) return;
  *(t->next == NULL ? &list->last : &t->next->prev) = t->prev;
  *(t->prev == NULL ? &list->first : &t->prev->next) = t->next;
  t->prev = t->next = NULL;
  t->at = 0;
}

uint64_t cd_timers_fire(cd_timers *list, uint64_t now, void *self) {
  while (list->first != NULL && list->first->at <= now) {
    cd_timer *t = list->first;
    cd_timers_unset(list, t);
    t->fire(self, t);
  }
  return list->first == NULL ? 0 : list->first->at;
}
