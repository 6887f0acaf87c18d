/* One side: threads that take whatever there is to do. To commit and to read are roles, each for one thread at a time,
 * so a lone payment passes through a process in one thread, without a switch, while under load signatures are made
 * during the flush. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limit.h"

typedef struct queue {
  channel *head, **tail;
  uint32_t n;
} queue;

typedef struct side {
  const side_config *cfg;
  signer *signer;
  rows *rows;
  wire *wire;
  channel *channels;
  queue received; /* the reader's, while it reads */
  pthread_mutex_t lock;
  pthread_cond_t more;
  queue jobs, ready; /* to sign or check; to commit */
  bool committing, reading;
  uint32_t idle;
} side;

/* --- Queues ---------------------------------------------------------------------------------------- */

static void clear(queue *q) {
  *q = (queue){.head = NULL};
  q->tail = &q->head;
}

static void push(queue *q, channel *c) {
  c->next = NULL;
  *q->tail = c;
  q->tail = &c->next;
  q->n++;
}

static channel *pop(queue *q) {
  channel *c = q->head;
  if (!c) return NULL;
  q->head = c->next;
  if (!q->head) q->tail = &q->head;
  q->n--;
  return c;
}

static void push_all(queue *q, queue *from) {
  for (channel *c; (c = pop(from));)
    push(q, c);
}

/* --- What there is to do --------------------------------------------------------------------------- */

static bool can_commit(const side *s) {
  if (s->committing || s->ready.n == 0) return false;
  return !s->cfg->full || s->ready.n >= s->cfg->group || !s->jobs.head;
}

/* Another thread helps if this one leaves something undone. A lone channel never does. Locked. */
static void call_help(side *s) {
  bool unread = !s->reading && s->cfg->channels > 1;
  if (s->idle > 0 && (s->jobs.head || can_commit(s) || unread)) pthread_cond_signal(&s->more);
}

static void do_crypto(side *s, channel *c) {
  switch (c->stage) {
  case PROPOSE:
    c->version++;
    signer_sign(s->signer, c);
    break;
  case ACCEPT:
    c->version++;
    if (!signer_check(s->signer, c)) die("channel %u: the proposal is not the payer's", c->num);
    signer_sign(s->signer, c);
    break;
  case ADOPT:
    if (!signer_check(s->signer, c)) die("channel %u: the answer is not the payee's", c->num);
    break;
  }
}

static void run_job(side *s) {
  channel *c = pop(&s->jobs);
  call_help(s);
  pthread_mutex_unlock(&s->lock);
  do_crypto(s, c);
  pthread_mutex_lock(&s->lock);
  push(&s->ready, c);
}

/* What is durable may leave; what is adopted is followed by the channel's next update. */
static void release(side *s, queue *group, queue *next) {
  for (channel *c; (c = pop(group));) {
    if (c->stage != ADOPT) {
      wire_put(s->wire, c->message);
      continue;
    }
    c->stage = PROPOSE;
    push(next, c);
  }
  wire_flush(s->wire);
}

static void commit(side *s) {
  queue group, next;
  clear(&group);
  clear(&next);
  while (s->ready.head && group.n < s->cfg->group)
    push(&group, pop(&s->ready));
  s->committing = true;
  call_help(s);
  pthread_mutex_unlock(&s->lock);
  rows_begin(s->rows);
  for (channel *c = group.head; c; c = c->next)
    rows_put(s->rows, c);
  rows_commit(s->rows);
  release(s, &group, &next);
  pthread_mutex_lock(&s->lock);
  s->committing = false;
  push_all(&s->jobs, &next);
}

static void on_message(void *ctx, const uint8_t message[MESSAGE]) {
  side *s = ctx;
  uint32_t num;
  memcpy(&num, message, sizeof num);
  if (num >= s->cfg->channels) die("a message for no channel");
  channel *c = &s->channels[num];
  memcpy(c->message, message, MESSAGE);
  c->stage = s->cfg->payer ? ADOPT : ACCEPT;
  push(&s->received, c);
}

static void read_messages(side *s) {
  s->reading = true;
  pthread_mutex_unlock(&s->lock);
  wire_wait(s->wire, on_message, s);
  pthread_mutex_lock(&s->lock);
  s->reading = false;
  push_all(&s->jobs, &s->received);
}

static void *work(void *arg) {
  side *s = arg;
  pthread_mutex_lock(&s->lock);
  for (;;) {
    if (can_commit(s)) {
      commit(s);
    } else if (s->jobs.head) {
      run_job(s);
    } else if (!s->reading) {
      read_messages(s);
    } else {
      s->idle++;
      pthread_cond_wait(&s->more, &s->lock);
      s->idle--;
    }
  }
  return NULL;
}

/* --- Starting -------------------------------------------------------------------------------------- */

static void make_channels(side *s) {
  s->channels = calloc(s->cfg->channels, sizeof *s->channels);
  if (!s->channels) die("no memory");
  for (uint32_t i = 0; i < s->cfg->channels; i++) {
    channel *c = &s->channels[i];
    c->num = i;
    memset(c->record, (int)(i & 0xff), RECORD);
    if (s->cfg->payer) push(&s->jobs, c);
  }
}

static void connect_wire(side *s) {
  uint16_t port = s->cfg->port;
  s->wire = s->cfg->payer ? wire_dial(port, s->cfg->channels) : wire_listen(&port, s->cfg->channels);
  if (write(s->cfg->parent, &port, sizeof port) != sizeof port) die("the parent is gone");
  if (!s->cfg->payer) wire_accept(s->wire);
}

void side_run(const side_config *cfg) {
  side s = {.cfg = cfg, .signer = signer_open(cfg->payer)};
  clear(&s.jobs);
  clear(&s.ready);
  clear(&s.received);
  pthread_mutex_init(&s.lock, NULL);
  pthread_cond_init(&s.more, NULL);
  make_channels(&s);
  s.rows = rows_open(cfg->path, s.channels, cfg->channels);
  connect_wire(&s);
  char start;
  if (cfg->payer && read(cfg->parent, &start, 1) != 1) die("the parent is gone");
  for (uint32_t i = 1; i < cfg->threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, &s) != 0) die("no thread");
  }
  work(&s);
  abort(); /* work() never returns */
}
