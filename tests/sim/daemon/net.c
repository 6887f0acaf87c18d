/* net.c - the transport port (channeld/ports.h), simulated: connections between the daemons of one world.
 *
 * As in the real one, a thread of the daemon's own calls the listener, any thread may call the operations, the newest
 * connection to a node replaces the older one, and a node that is wanted is dialed again and again. Simulated are
 * delays, the tail that is lost when a connection is cut, and a side that learns of the cut late. Messages of one
 * connection keep their order, as in TCP. No lock guards the wires: nothing here lets another fiber go on but the calls
 * of a listener, and the thread's own waiting. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "os.h"
#include "util/queue.h"
#include "world.h"

#define RETRY_MIN 500
#define RETRY_MAX 8000 /* shorter than the real one: nobody wants to simulate minutes of silence */
#define IDLE_MS 90000  /* a side that hears nothing for so long gives up */
#define NEVER UINT64_MAX

typedef enum event_kind { UP, MESSAGE, DOWN } event_kind;

/* What an end of a connection is told, in order. */
typedef struct event {
  struct event *next;
  event_kind kind;
  uint64_t due;
  uint8_t *bytes;
  size_t len;
  const char *reason;
} event;

typedef struct events {
  event *first, **last;
} events;

typedef struct end {
  sim_net *net; /* NULL: the process has ended, or has been told all */
  ch_pubkey node;
  char address[SIM_ADDRESS];
  cd_conn conn;
  bool live;   /* told `up`, not `down` yet */
  bool paused; /* until resume() */
  bool over;   /* `down` is on its way, or was told */
  uint64_t last_due;
  events coming; /* to this end */
  events held;   /* by this end: queued, until they are flushed */
} end;

struct wire {
  wire *next;
  bool cut;   /* what is sent is lost */
  end end[2]; /* [0] dialed */
};

/* A node that is to be connected. */
typedef struct wanted {
  ch_pubkey node;
  char address[SIM_ADDRESS];
  bool on;
  uint64_t next_dial, retry;
} wanted;

struct sim_net {
  host *d;
  cd_net_listener listener;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool listening, stopping, poked, waiting;
  cd_conn last;
  wanted wanted[MAX_NODES];
  size_t n_wanted;
};

/* --- Lists of events ------------------------------------------------------------------------------------------ */

static void put(events *list, event *e) {
  e->next = NULL;
  *list->last = e;
  list->last = &e->next;
}

static event *take(events *list) {
  event *e = list->first;
  list->first = e->next;
  if (!list->first) list->last = &list->first;
  return e;
}

static void event_free(event *e) {
  free(e->bytes);
  free(e);
}

static void drop_all(events *list) {
  while (list->first)
    event_free(take(list));
}

static event *event_new(event_kind kind, uint8_t *bytes, size_t len, const char *reason) {
  event *e = (event *)calloc(1, sizeof *e);
  if (!e) abort();
  *e = (event){.kind = kind, .bytes = bytes, .len = len, .reason = reason};
  return e;
}

/* --- Ends ----------------------------------------------------------------------------------------------------- */

static void signal_thread(void *arg) {
  sim_net *n = (sim_net *)arg;
  pthread_mutex_lock(&n->lock);
  pthread_cond_signal(&n->wake);
  pthread_mutex_unlock(&n->lock);
}

/* There is something new for its thread. Whoever calls goes on. */
static void wake(sim_net *n) {
  if (n->waiting && !n->poked) os_start(n->d->machine, "net wake", signal_thread, n);
  n->poked = true;
}

static void end_init(end *e, sim_net *n) {
  *e = (end){.net = n, .node = n->d->w->person[n->d->who].id, .conn = ++n->last};
  snprintf(e->address, sizeof e->address, "%s", n->d->address);
  e->coming.last = &e->coming.first;
  e->held.last = &e->held.first;
}

/* Later than what comes before it. */
static void tell(end *e, event *ev, uint64_t delay) {
  ev->due = cd_monotonic_ms() + delay;
  if (ev->due < e->last_due) ev->due = e->last_due;
  e->last_due = ev->due;
  e->over |= ev->kind == DOWN;
  put(&e->coming, ev);
  wake(e->net);
}

static uint64_t delay_of(world *w) {
  uint64_t most = w->latency;
  if (w->faults && rng_chance(&w->chance, 2)) {
    most = 20 * most + 3000;
    happened(w, K_SLOW);
  }
  return most ? rng_next(&w->chance) % most : 0;
}

/* What was queued leaves. */
static void flush(wire *x, int side) {
  end *from = &x->end[side], *to = &x->end[1 - side];
  while (from->held.first) {
    event *e = take(&from->held);
    if (x->cut || to->over || !to->net)
      event_free(e);
    else
      tell(to, e, delay_of(to->net->d->w));
  }
}

/* Of what is under way to this end only a beginning arrives. */
static void lose_tail(world *w, end *e) {
  unsigned n = 0;
  for (const event *ev = e->coming.first; ev; ev = ev->next)
    n++;
  unsigned keep = rng_below(&w->chance, n + 1);
  events all = e->coming;
  if (!all.first) return;
  e->coming = (events){NULL, &e->coming.first};
  all.last = NULL;
  for (event *ev = all.first, *next; ev; ev = next) {
    next = ev->next;
    if (ev->kind == UP || keep > 0) {
      put(&e->coming, ev);
      keep -= keep > 0;
    } else {
      if (ev->kind == MESSAGE) happened(w, K_LOST);
      event_free(ev);
    }
  }
}

/* This side ends the connection; what it has flushed arrives at the other one. */
static void hang_up(wire *x, int side, const char *reason) {
  end *here = &x->end[side], *there = &x->end[1 - side];
  world *w = here->net->d->w;
  if (here->over) return;
  drop_all(&here->coming);
  here->last_due = 0;
  tell(here, event_new(DOWN, NULL, 0, reason), 0);
  if (!x->cut && there->net && !there->over)
    tell(there, event_new(DOWN, NULL, 0, "The peer has closed the connection."), delay_of(w));
}

static wire *find(const sim_net *n, cd_conn conn, int *side) {
  for (wire *x = n->d->w->wires; x; x = x->next)
    for (int s = 0; s < 2; s++)
      if (x->end[s].net == n && x->end[s].conn == conn && !x->end[s].over) {
        *side = s;
        return x;
      }
  return NULL;
}

/* --- Dialing -------------------------------------------------------------------------------------------------- */

static host *listener_at(world *w, const char *address) {
  for (int i = 0; i < w->n_daemons; i++) {
    host *d = &w->host[i];
    if (strcmp(d->address, address) == 0 && d->net && d->net->listening && !d->net->stopping) return d;
  }
  return NULL;
}

/* It has a connection to this node, or one of its dials is under way. */
static bool is_connected(const sim_net *n, const ch_pubkey *node) {
  for (const wire *x = n->d->w->wires; x; x = x->next)
    for (int s = 0; s < 2; s++)
      if (x->end[s].net == n && !x->end[s].over && ch_pubkey_eq(&x->end[1 - s].node, node)) return true;
  return false;
}

static void retry_later(const sim_net *n, wanted *t) {
  world *w = n->d->w;
  if (t->retry < RETRY_MIN) t->retry = RETRY_MIN;
  t->next_dial = cd_monotonic_ms() + t->retry / 2 + rng_next(&w->chance) % (t->retry + 1);
  t->retry = t->retry > RETRY_MAX / 2 ? RETRY_MAX : 2 * t->retry;
}

static void dial(sim_net *n, wanted *t) {
  world *w = n->d->w;
  host *to = listener_at(w, t->address);
  const ch_pubkey *is = to ? &w->person[to->who].id : NULL;
  retry_later(n, t);
  if (!to || !ch_pubkey_eq(is, &t->node) || (w->faults && rng_chance(&w->chance, w->refuses))) {
    if (to) happened(w, K_REFUSED);
    n->listener.failed(n->listener.ctx, &t->node, t->address, "The connection was refused.");
    return;
  }
  wire *x = (wire *)calloc(1, sizeof *x);
  if (!x) abort();
  end_init(&x->end[0], n);
  end_init(&x->end[1], to->net);
  x->next = w->wires;
  w->wires = x;
  uint64_t acts = 3 * delay_of(w);
  tell(&x->end[0], event_new(UP, NULL, 0, NULL), acts);
  tell(&x->end[1], event_new(UP, NULL, 0, NULL), acts + delay_of(w));
}

static wanted *next_wanted(sim_net *n, uint64_t *due) {
  wanted *first = NULL;
  for (size_t i = 0; i < n->n_wanted; i++) {
    wanted *t = &n->wanted[i];
    if (!t->on || is_connected(n, &t->node) || t->next_dial >= *due) continue;
    *due = t->next_dial;
    first = t;
  }
  return first;
}

/* --- The thread ----------------------------------------------------------------------------------------------- */

static wire *next_event(const sim_net *n, int *side, uint64_t *due) {
  wire *first = NULL;
  for (wire *x = n->d->w->wires; x; x = x->next)
    for (int s = 0; s < 2; s++) {
      const end *e = &x->end[s];
      if (e->net != n || !e->coming.first || e->coming.first->due >= *due) continue;
      if (e->paused && e->coming.first->kind == MESSAGE) continue;
      *due = e->coming.first->due;
      *side = s;
      first = x;
    }
  return first;
}

/* A connection of this process but this one: to this node, or to any. */
static wire *find_live(const sim_net *n, const wire *but, const ch_pubkey *node, int *side) {
  for (wire *x = n->d->w->wires; x; x = x->next)
    for (int s = 0; s < 2; s++) {
      if (x == but || x->end[s].net != n || (node && !ch_pubkey_eq(&x->end[1 - s].node, node))) continue;
      *side = s;
      return x;
    }
  return NULL;
}

/* Nothing more comes from it; the listener is told at once. */
static void end_now(sim_net *n, wire *x, int side, const char *reason) {
  end *e = &x->end[side];
  bool was_live = e->live;
  flush(x, side);
  hang_up(x, side, reason);
  drop_all(&e->coming);
  e->live = false;
  e->net = NULL;
  if (was_live) n->listener.down(n->listener.ctx, e->conn, &x->end[1 - side].node, reason);
}

static void served(sim_net *n, const ch_pubkey *node) {
  for (size_t i = 0; i < n->n_wanted; i++)
    if (ch_pubkey_eq(&n->wanted[i].node, node)) n->wanted[i].retry = 0;
}

static void handle(sim_net *n, wire *x, int side) {
  end *e = &x->end[side];
  const end *other = &x->end[1 - side];
  event *ev = take(&e->coming);
  const cd_net_listener *l = &n->listener;
  wire *old;
  switch (ev->kind) {
  case UP:
    /* The newest one wins. */
    for (int s = 0; (old = find_live(n, x, &other->node, &s));)
      end_now(n, old, s, "A newer connection to the same peer has replaced this one.");
    e->live = true;
    served(n, &other->node);
    l->up(l->ctx, e->conn, &other->node, side == 1, other->address);
    break;
  case MESSAGE:
    e->paused = !l->message(l->ctx, e->conn, ev->bytes, ev->len);
    ev->bytes = NULL;
    break;
  case DOWN:
    e->net = NULL;
    if (e->live) l->down(l->ctx, e->conn, &other->node, ev->reason);
    e->live = false;
    break;
  }
  event_free(ev);
}

static void wait_until(sim_net *n, uint64_t due) {
  struct timespec at = {(time_t)(due / 1000), (long)(due % 1000) * 1000000};
  pthread_mutex_lock(&n->lock);
  int waited = 0;
  n->waiting = true;
  while (!n->poked && waited == 0)
    waited = due == NEVER ? pthread_cond_wait(&n->wake, &n->lock) : pthread_cond_timedwait(&n->wake, &n->lock, &at);
  n->waiting = false;
  pthread_mutex_unlock(&n->lock);
}

static void *run(void *arg) {
  sim_net *n = (sim_net *)arg;
  while (!n->stopping) {
    n->poked = false;
    uint64_t due = NEVER;
    int side = 0;
    wire *x = next_event(n, &side, &due);
    wanted *t = n->listening ? next_wanted(n, &due) : NULL;
    if (cd_monotonic_ms() < due)
      wait_until(n, due);
    else if (t)
      dial(n, t);
    else if (x)
      handle(n, x, side);
  }
  int side;
  for (wire *x; (x = find_live(n, NULL, NULL, &side));)
    end_now(n, x, side, "This node is stopping.");
  return NULL;
}

/* --- Operations ----------------------------------------------------------------------------------------------- */

static ch_err op_listen(void *ctx, const char *address, char *bound, char *why, size_t why_len) {
  sim_net *n = (sim_net *)ctx;
  (void)address;
  snprintf(bound, SIM_ADDRESS, "%s", n->d->address);
  snprintf(why, why_len, "The node is stopping.");
  n->listening = true;
  wake(n);
  return n->stopping ? CH_ERR_ARGUMENT : CH_OK;
}

static wanted *wanted_of(sim_net *n, const ch_pubkey *node) {
  size_t i = 0;
  while (i < n->n_wanted && !ch_pubkey_eq(&n->wanted[i].node, node))
    i++;
  if (i == MAX_NODES) abort();
  if (i == n->n_wanted) n->wanted[n->n_wanted++] = (wanted){.node = *node};
  return &n->wanted[i];
}

static ch_err op_connect(void *ctx, const ch_pubkey *node, const char *address) {
  sim_net *n = (sim_net *)ctx;
  wanted *t = wanted_of(n, node);
  t->on = true;
  t->next_dial = t->retry = 0;
  snprintf(t->address, sizeof t->address, "%s", address);
  wake(n);
  return CH_OK;
}

static void op_forget(void *ctx, const ch_pubkey *node) {
  wanted_of((sim_net *)ctx, node)->on = false;
}

static bool op_queue(void *ctx, cd_conn conn, uint8_t *bytes, size_t len) {
  sim_net *n = (sim_net *)ctx;
  int side;
  wire *x = find(n, conn, &side);
  check_leaving(n->d, bytes, len);
  if (x)
    put(&x->end[side].held, event_new(MESSAGE, bytes, len, NULL));
  else
    free(bytes);
  return x != NULL;
}

static void op_flush(void *ctx, cd_conn conn) {
  int side;
  wire *x = find((sim_net *)ctx, conn, &side);
  if (x) flush(x, side);
}

static bool op_send(void *ctx, cd_conn conn, uint8_t *bytes, size_t len) {
  bool ok = op_queue(ctx, conn, bytes, len);
  op_flush(ctx, conn);
  return ok;
}

static void op_close(void *ctx, cd_conn conn, const char *reason) {
  int side;
  wire *x = find((sim_net *)ctx, conn, &side);
  (void)reason; /* a literal or not: it is not kept */
  if (!x) return;
  flush(x, side);
  hang_up(x, side, "This side has closed the connection.");
}

static void op_resume(void *ctx, cd_conn conn) {
  int side;
  wire *x = find((sim_net *)ctx, conn, &side);
  if (!x) return;
  x->end[side].paused = false;
  wake((sim_net *)ctx);
}

static void op_stop(void *ctx) {
  sim_net *n = (sim_net *)ctx;
  if (n->stopping) return;
  n->stopping = true;
  wake(n);
  pthread_join(n->thread, NULL);
}

/* --- For the world -------------------------------------------------------------------------------------------- */

bool net_open(host *d, const cd_net_listener *listener, cd_net *out) {
  static const cd_net_ops ops = {op_listen, op_connect, op_forget, op_send, op_queue,
                                 op_flush,  op_close,   op_resume, op_stop};
  pthread_condattr_t monotonic;
  sim_net *n = (sim_net *)calloc(1, sizeof *n);
  if (!n) abort();
  n->d = d;
  n->listener = *listener;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&n->lock, NULL);
  pthread_cond_init(&n->wake, &monotonic);
  pthread_condattr_destroy(&monotonic);
  d->net = n;
  *out = (cd_net){n, &ops};
  return pthread_create(&n->thread, NULL, run, n) == 0;
}

void net_died(host *d) {
  world *w = d->w;
  for (wire *x = w->wires; x; x = x->next)
    for (int s = 0; s < 2; s++) {
      end *e = &x->end[s], *other = &x->end[1 - s];
      if (e->net != d->net || !d->net) continue;
      e->net = NULL;
      drop_all(&e->coming);
      drop_all(&e->held);
      x->cut = true;
      if (!other->net || other->over) continue;
      lose_tail(w, other);
      tell(other, event_new(DOWN, NULL, 0, "The connection was reset."), delay_of(w));
    }
  d->net = NULL;
}

/* One of two ends, at random, may learn of it much later than the other. */
static void cut(world *w, wire *x, bool half) {
  unsigned late = rng_below(&w->chance, 2);
  x->cut = true;
  for (unsigned s = 0; s < 2; s++) {
    end *e = &x->end[s];
    if (!e->net || e->over) continue;
    lose_tail(w, e);
    uint64_t delay = half && s == late ? rng_below(&w->chance, IDLE_MS) : rng_below(&w->chance, 50);
    tell(e, event_new(DOWN, NULL, 0, "The connection was cut."), delay);
  }
}

bool net_cut(world *w, bool half) {
  wire *live[MAX_DAEMONS * MAX_DAEMONS];
  unsigned n = 0;
  for (wire *x = w->wires; x && n < sizeof live / sizeof *live; x = x->next)
    if (!x->cut && (x->end[0].live || x->end[1].live)) live[n++] = x;
  if (n) cut(w, live[rng_below(&w->rng, n)], half);
  return n > 0;
}
