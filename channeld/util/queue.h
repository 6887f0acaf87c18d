/* queue.h - a mailbox: many threads put, one takes.
 *
 * Mails are intrusive list items, so putting never fails and never allocates. The bound is advice: put() tells the
 * sender that the box is above it, and the sender slows down (stops reading a connection, refuses a command).
 */
#ifndef CHANNELD_UTIL_QUEUE_H
#define CHANNELD_UTIL_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cd_mail {
  struct cd_mail *next;
  /* What to do with it, on the taker's thread. `self` is the taker's object. The mail is its own from then on. */
  void (*run)(void *self, struct cd_mail *mail);
} cd_mail;

typedef struct cd_queue {
  pthread_mutex_t lock;
  pthread_cond_t filled;
  cd_mail *head, **tail;
  size_t count, bound;
  bool closed;
} cd_queue;

void cd_queue_init(cd_queue *q, size_t bound);
/* The queue must be empty. */
void cd_queue_destroy(cd_queue *q);

/* Any thread. False if the box was above its bound; the mail is in it all the same. */
bool cd_queue_put(cd_queue *q, cd_mail *mail);
/* The same for a list of `n` mails from `first` to `last`, in order. */
bool cd_queue_put_all(cd_queue *q, cd_mail *first, cd_mail *last, size_t n);
/* Whether it is above its bound now. Any thread. */
bool cd_queue_full(cd_queue *q);
/* Whether there is nothing to take now. */
bool cd_queue_empty(cd_queue *q);
/* The taker gets what is there and, when nothing is left, learns that no more will come. */
void cd_queue_close(cd_queue *q);

/* Takes all mails, in order, as a list. Waits for one until `deadline` (cd_monotonic_ms; 0: without end). *closed tells
 * whether the queue is closed; then and after the deadline the list may be NULL. */
cd_mail *cd_queue_take(cd_queue *q, uint64_t deadline, bool *closed);

/* Milliseconds of a clock that only goes forward. */
uint64_t cd_monotonic_ms(void);

#endif
