/* fake_node.h - a node behind the API that answers as it is told: for tests of the HTTP server and of channel-cli.
 *
 * Any thread may use it. What it answers is set before the requests are made. */
#ifndef TESTS_FAKE_NODE_H
#define TESTS_FAKE_NODE_H

#include <pthread.h>

#include "ports.h"

typedef struct fake_call {
  struct fake_call *next;
  char method[40];
  json_t *args;
  cd_reply_fn reply;
  void *ctx;
} fake_call;

typedef struct fake_node {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  cd_class cls;   /* of the replies */
  json_t *result; /* NULL: {"method": ..., "args": ...} as called */
  bool hold;      /* keep the calls until fake_release() */
  fake_call *held;
  unsigned n_held, n_calls;
  json_t *last;
} fake_node;

void fake_init(fake_node *f);
void fake_clear(fake_node *f); /* no call may be held */
cd_commands fake_commands(fake_node *f);

/* From now on replies are of this class, with this JSON text; NULL: the call itself. */
void fake_answers(fake_node *f, cd_class cls, const char *json);
/* What the last call was, as a copy: {"method": ..., "args": ...}; a new reference. */
json_t *fake_last(fake_node *f);
unsigned fake_calls(fake_node *f);
void fake_hold(fake_node *f);
/* Waits until `n` calls are held; false after ten seconds. */
bool fake_wait_held(fake_node *f, unsigned n);
/* Replies to all held calls, from a thread of its own, and holds no more. */
void fake_release(fake_node *f);

#endif
