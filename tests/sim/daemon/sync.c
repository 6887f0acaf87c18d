/* sync.c - threads, locks and conditions of the daemons, in place of the C library's. Their state is kept in the
 * daemon's own objects; all zero is a lock that nobody holds.
 *
 * Whom an unlock or a signal wakes is chance; a lock may be taken by another before the woken one runs; and a condition
 * wakes now and then without cause, as POSIX allows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os_internal.h"
#include "os_wraps.h"

#define NEVER UINT64_MAX
#define DESTROYED 0x64616564u
#define CALLER __builtin_return_address(0)

typedef struct lock {
  fiber *owner; /* first: os_report() looks at it */
  fiber_queue waiting;
  uint32_t state;
} lock;

typedef struct condition {
  fiber_queue waiting;
  clockid_t clock;
  uint32_t state;
} condition;

_Static_assert(sizeof(lock) <= sizeof(pthread_mutex_t), "a lock is kept in the daemon's object");
_Static_assert(sizeof(condition) <= sizeof(pthread_cond_t), "so is a condition");
_Static_assert(sizeof(clockid_t) <= sizeof(pthread_condattr_t), "and an attribute");

/* --- Threads --------------------------------------------------------------------------------------- */

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg) {
  (void)attr;
  fiber *f = fiber_new(os_self(), "thread", arg);
  f->thread = fn;
  f->made_by = CALLER;
  f->joinable = true;
  *t = f->id;
  fiber_begin(f, 0);
  fiber_point(OS_POINT_STEP);
  return 0;
}

int __wrap_pthread_join(pthread_t t, void **result) {
  fiber *f = fiber_find(t);
  if (f == NULL || !f->joinable || f == fiber_self()) {
    broken("a thread is joined that is not there to be joined");
    return ESRCH;
  }
  while (!f->ended)
    fiber_wait(WAIT_JOIN, f, NULL, NEVER, CALLER);
  if (result != NULL) *result = f->result;
  fiber_forget(f);
  return 0;
}

/* --- Locks ----------------------------------------------------------------------------------------- */

static lock *lock_of(pthread_mutex_t *m) {
  lock *l = (lock *)(void *)m;
  if (l->state == DESTROYED) broken("a lock is used that was destroyed");
  return l;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr) {
  (void)attr;
  memset(m, 0, sizeof *m);
  return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *m) {
  lock *l = lock_of(m);
  if (l->owner != NULL || l->waiting.first != NULL) broken("a lock is destroyed that is held or waited for");
  l->state = DESTROYED;
  return 0;
}

/* Whether waiting for it would never end, because its holder waits for us. */
static bool is_cycle(const lock *l) {
  const fiber *f = l->owner;
  for (unsigned n = 0; f != NULL && n < 1000; n++) {
    if (f == fiber_self()) return true;
    if (f->waits != WAIT_LOCK) return false;
    f = ((const lock *)f->on)->owner;
  }
  return false;
}

static void take(lock *l, const void *caller) {
  while (l->owner != NULL) {
    if (l->owner->killed) hopeless("a lock is held by a fiber of another machine that is dead");
    if (is_cycle(l)) hopeless("a deadlock: this fiber waits for itself");
    fiber_wait(WAIT_LOCK, l, &l->waiting, NEVER, caller);
  }
  l->owner = fiber_self();
}

static void give(lock *l) {
  if (l->owner != fiber_self()) broken("a lock is unlocked by one that does not hold it");
  l->owner = NULL;
  fiber *f = fiber_any(&l->waiting);
  if (f != NULL) fiber_wake(f);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m) {
  lock *l = lock_of(m);
  fiber_point(OS_POINT_STEP);
  take(l, CALLER);
  return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *m) {
  give(lock_of(m));
  fiber_point(OS_POINT_STEP);
  return 0;
}

/* --- Conditions ------------------------------------------------------------------------------------ */

int __wrap_pthread_condattr_init(pthread_condattr_t *a) {
  *(clockid_t *)(void *)a = CLOCK_REALTIME;
  return 0;
}

int __wrap_pthread_condattr_destroy(pthread_condattr_t *a) {
  (void)a;
  return 0;
}

int __wrap_pthread_condattr_setclock(pthread_condattr_t *a, clockid_t clock) {
  *(clockid_t *)(void *)a = clock;
  return 0;
}

static condition *condition_of(pthread_cond_t *c) {
  condition *w = (condition *)(void *)c;
  if (w->state == DESTROYED) broken("a condition is used that was destroyed");
  return w;
}

int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr) {
  condition *w = (condition *)(void *)c;
  memset(c, 0, sizeof *c);
  if (attr != NULL) w->clock = *(const clockid_t *)(const void *)attr;
  return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *c) {
  condition *w = condition_of(c);
  if (w->waiting.first != NULL) broken("a condition is destroyed that is waited for");
  w->state = DESTROYED;
  return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *c) {
  fiber *f = fiber_any(&condition_of(c)->waiting);
  if (f != NULL) fiber_wake(f);
  fiber_point(OS_POINT_STEP);
  return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *c) {
  condition *w = condition_of(c);
  while (w->waiting.first != NULL)
    fiber_wake(w->waiting.first);
  fiber_point(OS_POINT_STEP);
  return 0;
}

static int wait(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline, const void *caller) {
  condition *w = condition_of(c);
  lock *l = lock_of(m);
  bool in_time = true;
  fiber_may_die(OS_POINT_STEP);
  give(l);
  if (os_chance(64) == 0)
    os_yield();
  else
    in_time = fiber_wait(WAIT_COND, c, &w->waiting, deadline, caller);
  take(lock_of(m), caller);
  return in_time ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m) {
  return wait(c, m, NEVER, CALLER);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until) {
  return wait(c, m, clock_deadline(condition_of(c)->clock, until), CALLER);
}
