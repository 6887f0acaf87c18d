/* poller.h - a thread that looks at something again and again, and at once when it is poked. */
#ifndef CHANNELD_UTIL_POLLER_H
#define CHANNELD_UTIL_POLLER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct cd_poller {
  void (*look)(void *ctx); /* called by the thread, without a lock */
  void *ctx;
  uint32_t ms; /* between two looks */
  pthread_t thread;
  bool running;
  pthread_mutex_t lock; /* what follows */
  pthread_cond_t wake;
  bool stopping, poked;
} cd_poller;

/* False if the system gives no lock. */
bool cd_poller_init(cd_poller *p, uint32_t ms, void (*look)(void *ctx), void *ctx);
void cd_poller_free(cd_poller *p); /* after cd_poller_stop */

/* False if it runs already, or there can be no thread. */
bool cd_poller_start(cd_poller *p);
/* Waits for the look that is under way. Not from within a look. */
void cd_poller_stop(cd_poller *p);
/* Any thread, also from within a look: then there is another one right after it. */
void cd_poller_poke(cd_poller *p);

#endif
