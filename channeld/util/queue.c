#include "util/queue.h"

#include <time.h>

uint64_t cd_monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void cd_queue_init(cd_queue *q, size_t bound) {
  pthread_condattr_t attr;
  *q = (cd_queue){.bound = bound};
  q->tail = &q->head;
  pthread_mutex_init(&q->lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&q->filled, &attr);
  pthread_condattr_destroy(&attr);
}

void cd_queue_destroy(cd_queue *q) {
  pthread_cond_destroy(&q->filled);
  pthread_mutex_destroy(&q->lock);
}

bool cd_queue_put(cd_queue *q, cd_mail *mail) {
  return cd_queue_put_all(q, mail, mail, 1);
}

bool cd_queue_put_all(cd_queue *q, cd_mail *first, cd_mail *last, size_t n) {
  last->next = NULL;
  pthread_mutex_lock(&q->lock);
  bool was_empty = q->head == NULL;
  *q->tail = first;
  q->tail = &last->next;
  q->count += n;
  bool below = q->count <= q->bound;
  pthread_mutex_unlock(&q->lock);
  if (was_empty) pthread_cond_signal(&q->filled);
  return below;
}

bool cd_queue_full(cd_queue *q) {
  pthread_mutex_lock(&q->lock);
  bool full = q->count > q->bound;
  pthread_mutex_unlock(&q->lock);
  return full;
}

bool cd_queue_empty(cd_queue *q) {
  pthread_mutex_lock(&q->lock);
  bool empty = q->head == NULL;
  pthread_mutex_unlock(&q->lock);
  return empty;
}

void cd_queue_close(cd_queue *q) {
  pthread_mutex_lock(&q->lock);
  q->closed = true;
  pthread_mutex_unlock(&q->lock);
  pthread_cond_signal(&q->filled);
}

cd_mail *cd_queue_take(cd_queue *q, uint64_t deadline, bool *closed) {
  struct timespec until = {.tv_sec = (time_t)(deadline / 1000), .tv_nsec = (long)(deadline % 1000) * 1000000};
  pthread_mutex_lock(&q->lock);
  int waited = 0;
  while (q->head == NULL && !q->closed && waited == 0) {
    waited =
        deadline == 0 ? pthread_cond_wait(&q->filled, &q->lock) : pthread_cond_timedwait(&q->filled, &q->lock, &until);
  }
  cd_mail *list = q->head;
  q->head = NULL;
  q->tail = &q->head;
  q->count = 0;
  *closed = q->closed;
  pthread_mutex_unlock(&q->lock);
  return list;
}
