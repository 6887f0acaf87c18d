#include "inbox.h"

#include <time.h>

#include "link.h"

bool cd_inbox_init(cd_inbox *in) {
  *in = (cd_inbox){.first = NULL};
  pthread_condattr_t monotonic;
  if (pthread_condattr_init(&monotonic) != 0) {
    return false;
  }
  bool ok =
      pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&in->wake, &monotonic) == 0;
  pthread_condattr_destroy(&monotonic);
  if (ok && pthread_mutex_init(&in->lock, NULL) != 0) {
    pthread_cond_destroy(&in->wake);
    ok = false;
  }
  return ok;
}

void cd_inbox_fini(cd_inbox *in) {
  pthread_mutex_destroy(&in->lock);
  pthread_cond_destroy(&in->wake);
}

void cd_inbox_post(cd_inbox *in, cd_link *link, unsigned events) {
  pthread_mutex_lock(&in->lock);
  if (link->inbox_events == 0) {
    link->inbox_next = NULL;
    if (in->last != NULL) {
      in->last->inbox_next = link;
    } else {
      in->first = link;
    }
    in->last = link;
    pthread_cond_signal(&in->wake);
  }
  link->inbox_events |= events;
  pthread_mutex_unlock(&in->lock);
}

void cd_inbox_poke(cd_inbox *in, unsigned pokes) {
  pthread_mutex_lock(&in->lock);
  in->pokes |= pokes;
  pthread_cond_signal(&in->wake);
  pthread_mutex_unlock(&in->lock);
}

cd_link *cd_inbox_wait(cd_inbox *in, uint64_t until, unsigned *events, unsigned *pokes) {
  const struct timespec at = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};
  int timed_out = 0;
  pthread_mutex_lock(&in->lock);
  while (in->first == NULL && in->pokes == 0 && timed_out == 0) {
    timed_out = pthread_cond_timedwait(&in->wake, &in->lock, &at);
  }
  cd_link *link = in->first;
  *events = 0;
  if (link != NULL) {
    *events = link->inbox_events;
    link->inbox_events = 0;
    in->first = link->inbox_next;
    if (in->first == NULL) {
      in->last = NULL;
    }
  }
  *pokes = in->pokes | (timed_out != 0 ? CD_POKE_TIME : 0);
  in->pokes = 0;
  pthread_mutex_unlock(&in->lock);
  return link;
}

void cd_inbox_remove(cd_inbox *in, cd_link *link) {
  pthread_mutex_lock(&in->lock);
  cd_link *before = NULL;
  for (cd_link *l = in->first; l != NULL; before = l, l = l->inbox_next) {
    if (l != link) {
      continue;
    }
    if (before != NULL) {
      before->inbox_next = l->inbox_next;
    } else {
      in->first = l->inbox_next;
    }
    if (in->last == l) {
      in->last = before;
    }
    break;
  }
  link->inbox_events = 0;
  pthread_mutex_unlock(&in->lock);
}
