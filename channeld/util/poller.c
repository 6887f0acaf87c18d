#include "util/poller.h"

#include <errno.h>
#include <time.h>

bool cd_poller_init(cd_poller *p, uint32_t ms, void (*look)(void *ctx), void *ctx) {
  pthread_condattr_t attr;
  *p = (cd_poller){.look = look, .ctx = ctx, .ms = ms};
  if (pthread_condattr_init(&attr) != 0) return false;
  bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&p->wake, &attr) == 0;
  pthread_condattr_destroy(&attr);
  if (ok && pthread_mutex_init(&p->lock, NULL) != 0) {
    pthread_cond_destroy(&p->wake);
    ok = false;
  }
  return ok;
}

void cd_poller_free(cd_poller *p) {
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->lock);
}

static void wait_a_while(cd_poller *p) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += (long)(p->ms % 1000) * 1000000;
  until.tv_sec += p->ms / 1000 + until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  while (!p->poked && !p->stopping && pthread_cond_timedwait(&p->wake, &p->lock, &until) != ETIMEDOUT)
    continue;
}

static void *run(void *arg) {
  cd_poller *p = arg;
  pthread_mutex_lock(&p->lock);
  while (!p->stopping) {
    p->poked = false;
    pthread_mutex_unlock(&p->lock);
    p->look(p->ctx);
    pthread_mutex_lock(&p->lock);
    wait_a_while(p);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

bool cd_poller_start(cd_poller *p) {
  if (p->running) return false;
  p->stopping = false;
  p->running = pthread_create(&p->thread, NULL, run, p) == 0;
  return p->running;
}

void cd_poller_stop(cd_poller *p) {
  if (!p->running) return;
  pthread_mutex_lock(&p->lock);
  p->stopping = true;
  pthread_cond_signal(&p->wake);
  pthread_mutex_unlock(&p->lock);
  pthread_join(p->thread, NULL);
  p->running = false;
}

void cd_poller_poke(cd_poller *p) {
  pthread_mutex_lock(&p->lock);
  p->poked = true;
  pthread_cond_signal(&p->wake);
  pthread_mutex_unlock(&p->lock);
}
