#include "transport.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "acceptor.h"
#include "link.h"
#include "peers.h"
#include "util/log.h"

#define ACCEPT_PAUSE 100   /* ms after an accept that failed */
#define TRANSIENT_PAUSE 5  /* ms at least, and at most three times it, after a dial that failed with EAGAIN */
#define CROWDED 8          /* who dawdles while others wait for a handshake is sent away so much sooner */
#define TRANSIENT_TRIES 50 /* then it is a failure like others */
#define NEVER UINT64_MAX

typedef struct cd_transport {
  cd_transport_config config;
  cd_net_listener listener;
  cd_inbox inbox;
  pthread_t thread;

  pthread_mutex_t lock;  /* before a link's and the inbox's */
  bool stopped;          /* nothing starts any more */
  cd_table peers;        /* of cd_peer */
  cd_table numbers;      /* of live links */
  cd_acceptor *acceptor; /* set once */

  /* The transport's thread only. */
  cd_link *links;
  unsigned n_live, n_dialing, n_accepted; /* links that are live; outbound or inbound ones that are not yet */
  cd_conn last_number;
  uint64_t next_tick;
  bool dial_waits; /* somebody is to be dialed when there are fewer dials */
} cd_transport;

/* --- Small helpers ----------------------------------------------------------------------------------------- */

/* Have the timers looked at by `when`. */
static void due(cd_transport *t, uint64_t when) {
  if (when < t->next_tick) {
    t->next_tick = when;
  }
}

static unsigned *counter_of(cd_transport *t, const cd_link *l) {
  if (l->state == CD_LINK_LIVE) {
    return &t->n_live;
  }
  return l->inbound ? &t->n_accepted : &t->n_dialing;
}

/* A link gives up its place in its present state; a dial may have waited for it. */
static void leave(cd_transport *t, const cd_link *l) {
  *counter_of(t, l) -= 1;
  if (t->dial_waits) {
    due(t, 0);
  }
}

static void enlist(cd_transport *t, cd_link *l) {
  l->next = t->links;
  if (l->next != NULL) {
    l->next->prev = l;
  }
  t->links = l;
  *counter_of(t, l) += 1;
}

/* The live link with its lock held, or NULL. It cannot be freed until the lock is given back. */
static cd_link *find_locked(cd_transport *t, cd_conn number) {
  pthread_mutex_lock(&t->lock);
  cd_link *l = cd_table_get(&t->numbers, &number);
  if (l != NULL) {
    pthread_mutex_lock(&l->lock);
  }
  pthread_mutex_unlock(&t->lock);
  return l;
}

/* --- The life of a link: dial, promote, reap (the transport's thread) -------------------------------------- */

/* Exponential with jitter, so that many that lost one peer do not come back in step. Under the lock. */
static void plan_retry(cd_transport *t, cd_peer *peer, cd_link *l) {
  uint64_t now = cd_monotonic_ms();
  l->transient = l->transient && peer->hiccups < TRANSIENT_TRIES;
  peer->hiccups = l->transient ? peer->hiccups + 1 : 0;
  if (l->transient) {
    peer->next_dial = now + TRANSIENT_PAUSE + randombytes_uniform(2 * TRANSIENT_PAUSE);
  } else {
    bool served = l->state == CD_LINK_LIVE && now - l->started >= peer->retry_ms;
    if (served || peer->retry_ms < t->config.retry_min_ms) {
      peer->retry_ms = t->config.retry_min_ms;
    }
    peer->next_dial = now + peer->retry_ms / 2 + randombytes_uniform(peer->retry_ms + 1);
    peer->retry_ms = peer->retry_ms > t->config.retry_max_ms / 2 ? t->config.retry_max_ms : 2 * peer->retry_ms;
  }
  due(t, peer->next_dial);
}

/* Afterwards nobody but the transport's thread can find the link, or still has it. */
static void hide(cd_transport *t, cd_link *l) {
  pthread_mutex_lock(&t->lock);
  if (l->number != 0) {
    cd_table_remove(&t->numbers, &l->number);
  }
  pthread_mutex_unlock(&t->lock);
  pthread_mutex_lock(&l->lock); /* whoever found it before has finished */
  pthread_mutex_unlock(&l->lock);
}

/* Parts the link from its peer and the list. Returns whether the peer is still wanted. */
static bool take_out(cd_transport *t, cd_link *l) {
  bool wanted = false;
  cd_peer *peer = l->peer;
  if (peer != NULL) {
    pthread_mutex_lock(&t->lock);
    peer->live = peer->live == l ? NULL : peer->live;
    peer->dialed = peer->dialed == l ? NULL : peer->dialed;
    wanted = peer->wanted && !t->stopped;
    plan_retry(t, peer, l);
    cd_peers_release(&t->peers, peer);
    pthread_mutex_unlock(&t->lock);
  }
  if (l->prev != NULL) {
    l->prev->next = l->next;
  } else {
    t->links = l->next;
  }
  if (l->next != NULL) {
    l->next->prev = l->prev;
  }
  leave(t, l);
  return wanted;
}

/* The end of a link that has been shut. */
static void reap(cd_transport *t, cd_link *l) {
  hide(t, l);
  cd_link_stop(l);
  cd_inbox_remove(&t->inbox, l);
  bool wanted = take_out(t, l);
  if (l->state == CD_LINK_LIVE) {
    t->listener.down(t->listener.ctx, l->number, &l->node, l->reason);
  } else if (l->inbound) {
    cd_log(CD_LOG_DEBUG, "net", "inbound connection from %s refused: %s", l->address, l->reason);
  } else if (wanted && !l->transient) {
    t->listener.failed(t->listener.ctx, &l->node, l->address, l->reason);
  }
  cd_link_free(l);
}

/* Under the lock. */
static void dial(cd_transport *t, cd_peer *peer) {
  cd_link *l = cd_link_new(&t->config, &t->listener, &t->inbox, &peer->node, peer->address, NULL);
  if (l == NULL) {
    peer->next_dial = cd_monotonic_ms() + t->config.retry_min_ms;
    due(t, peer->next_dial);
    return;
  }
  l->peer = peer;
  peer->dialed = l;
  enlist(t, l);
  due(t, l->started + t->config.dial_ms);
  cd_link_dial(l);
}

static void begin_handshake(cd_transport *t, cd_link *l) {
  l->state = CD_LINK_HANDSHAKE;
  l->started = cd_monotonic_ms();
  due(t, l->started + t->config.handshake_ms);
  cd_link_handshake(l);
}

/* Why an authenticated link may not become live; or NULL, and it has its number. */
static const char *objection(cd_transport *t, cd_link *l) {
  if (ch_pubkey_eq(&l->node, &t->config.self.id)) {
    return "The peer uses this node's own key; every node needs its own.";
  }
  if (l->peer != NULL && !l->inbound && !l->peer->wanted) {
    return "This connection is not wanted any more.";
  }
  if (l->peer != NULL && l->peer->live == NULL && t->n_live >= t->config.max_live) {
    return "This node has as many connections as it may have.";
  }
  l->number = ++t->last_number;
  if (l->peer == NULL || !cd_table_put(&t->numbers, l)) {
    l->number = 0;
    return "There is no memory left for this connection.";
  }
  return NULL;
}

/* A link has authenticated: the newest one wins. */
static void promote(cd_transport *t, cd_link *l) {
  pthread_mutex_lock(&t->lock);
  if (l->inbound) {
    l->peer = cd_peers_get(&t->peers, &l->node);
  }
  const char *reason = objection(t, l);
  if (reason != NULL) {
    if (l->peer != NULL && l->inbound) {
      cd_peers_release(&t->peers, l->peer);
      l->peer = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    cd_link_shut(l, reason);
    return;
  }
  cd_link *old = l->peer->live;
  l->peer->live = l;
  if (l->peer->dialed == l) {
    l->peer->dialed = NULL;
  }
  leave(t, l);
  l->state = CD_LINK_LIVE;
  *counter_of(t, l) += 1;
  l->started = l->last_ping = cd_monotonic_ms();
  pthread_mutex_unlock(&t->lock);
  if (old != NULL) {
    cd_link_shut(old, "A newer connection to the same peer has replaced this one.");
    reap(t, old);
  }
  t->listener.up(t->listener.ctx, l->number, &l->node, l->inbound, l->address);
  due(t, l->started + t->config.ping_ms);
  cd_link_continue(l);
}

static void handle(cd_transport *t, cd_link *l, unsigned events) {
  if (events & CD_LINK_DEAD) {
    reap(t, l);
    return;
  }
  if (events & CD_LINK_DIALED) {
    begin_handshake(t, l);
  }
  if (events & CD_LINK_READY) {
    promote(t, l);
  }
  if (events & CD_LINK_RESUME) {
    cd_link_continue(l);
  }
  if (events & CD_LINK_DRAIN) {
    due(t, l->drain_until);
  }
}

/* --- Accepting ---------------------------------------------------------------------------------------------- */

static void accept_some(cd_transport *t) {
  pthread_mutex_lock(&t->lock);
  cd_acceptor *a = t->acceptor;
  pthread_mutex_unlock(&t->lock);
  if (a == NULL) {
    return;
  }
  int error;
  nng_stream *stream = cd_acceptor_take(a, &error);
  if (stream != NULL) {
    cd_link *l = cd_link_new(&t->config, &t->listener, &t->inbox, NULL, NULL, stream);
    if (l != NULL) {
      enlist(t, l);
      begin_handshake(t, l);
    }
    if (t->n_accepted >= t->config.max_handshakes) {
      due(t, cd_monotonic_ms() + t->config.handshake_ms / CROWDED);
    }
  } else if (error != 0) {
    cd_log(CD_LOG_WARN, "net", "a connection could not be accepted: %s", nng_strerror(error));
    a->not_before = cd_monotonic_ms() + ACCEPT_PAUSE;
  }
  if (a->not_before > cd_monotonic_ms()) {
    due(t, a->not_before);
  } else if (t->n_accepted < t->config.max_handshakes) {
    cd_acceptor_arm(a);
  }
}

/* --- Timers --------------------------------------------------------------------------------------------------- */

static void shut_late(cd_link *l, uint64_t waited_ms, const char *what) {
  char text[160];
  snprintf(text, sizeof text, "The peer did not %s within %.1f seconds.", what, (double)waited_ms / 1000);
  cd_link_shut(l, text);
}

/* Each returns when the link is to be looked at again. */
static uint64_t tick_unfinished(cd_transport *t, cd_link *l, uint64_t now) {
  uint64_t limit = t->config.dial_ms;
  if (l->state == CD_LINK_HANDSHAKE) {
    limit = t->config.handshake_ms;
    if (l->inbound && t->n_accepted >= t->config.max_handshakes) {
      limit /= CROWDED;
    }
  }
  if (now - l->started < limit) {
    return l->started + limit;
  }
  shut_late(l, limit, l->state == CD_LINK_DIALING ? "answer" : "complete the handshake");
  return NEVER;
}

static uint64_t tick_live(cd_transport *t, cd_link *l, uint64_t now) {
  pthread_mutex_lock(&l->lock);
  bool shut = l->shut, paused = l->paused, draining = l->draining;
  uint64_t drain_until = l->drain_until;
  pthread_mutex_unlock(&l->lock);
  if (shut) {
    return NEVER;
  }
  if (draining) {
    if (now < drain_until) {
      return drain_until;
    }
    cd_link_shut(l, "");
    return NEVER;
  }
  /* While we do not read, the peer's silence means nothing, but ours still does. */
  uint64_t heard = paused ? now : atomic_load(&l->last_rx);
  uint64_t quiet = now > heard ? now - heard : 0;
  if (quiet >= t->config.idle_ms) {
    shut_late(l, quiet, "answer");
    return NEVER;
  }
  uint64_t ping_at = (paused || l->last_ping > heard ? l->last_ping : heard) + t->config.ping_ms;
  if (now >= ping_at) {
    cd_link_ping(l);
    l->last_ping = now;
    ping_at = now + t->config.ping_ms;
  }
  uint64_t idle_at = heard + t->config.idle_ms;
  return ping_at < idle_at ? ping_at : idle_at;
}

static void tick_peers(cd_transport *t, uint64_t now) {
  t->dial_waits = false;
  size_t i = 0;
  pthread_mutex_lock(&t->lock);
  for (cd_peer *p; (p = cd_table_next(&t->peers, &i)) != NULL;) {
    if (!p->wanted && p->dialed != NULL) {
      cd_link_shut(p->dialed, "This connection is not wanted any more.");
    }
    if (!p->wanted || p->live != NULL || p->dialed != NULL) {
      continue;
    }
    if (now < p->next_dial) {
      due(t, p->next_dial);
    } else if (t->n_dialing < t->config.max_dials) {
      dial(t, p);
    } else {
      t->dial_waits = true;
    }
  }
  pthread_mutex_unlock(&t->lock);
}

static void tick(cd_transport *t) {
  uint64_t now = cd_monotonic_ms();
  t->next_tick = NEVER;
  for (cd_link *l = t->links; l != NULL; l = l->next) {
    due(t, l->state == CD_LINK_LIVE ? tick_live(t, l, now) : tick_unfinished(t, l, now));
  }
  tick_peers(t, now);
}

/* --- The thread ------------------------------------------------------------------------------------------------ */

static void *run(void *arg) {
  cd_transport *t = arg;
  for (;;) {
    unsigned events, pokes;
    cd_link *l = cd_inbox_wait(&t->inbox, t->next_tick, &events, &pokes);
    if (pokes & CD_POKE_STOP) {
      break;
    }
    if (l != NULL) {
      handle(t, l, events);
    }
    accept_some(t);
    if ((pokes & CD_POKE_PEERS) || cd_monotonic_ms() >= t->next_tick) {
      tick(t);
    }
  }
  cd_acceptor_free(t->acceptor);
  for (cd_link *l = t->links; l != NULL; l = l->next) {
    cd_link_shut(l, "This node is stopping.");
  }
  while (t->links != NULL) {
    reap(t, t->links);
  }
  return NULL;
}

/* --- Operations -------------------------------------------------------------------------------------------------- */

/* A printable host, a colon, a port. */
static bool valid_address(const char *address, bool any_port) {
  size_t len = address != NULL ? strnlen(address, CD_ADDRESS_MAX) : 0;
  if (len == 0 || len >= CD_ADDRESS_MAX) {
    return false;
  }
  for (size_t i = 0; i < len; i++) {
    if (address[i] <= ' ' || address[i] >= 127 || strchr("/?#@%\"\\<>", address[i]) != NULL) {
      return false;
    }
  }
  const char *colon = strrchr(address, ':');
  if (colon == NULL || colon == address || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
      strlen(colon + 1) > 5 || colon[1] == '\0') {
    return false;
  }
  long port = strtol(colon + 1, NULL, 10);
  return port <= 65535 && (port > 0 || any_port);
}

static ch_err op_listen(void *ctx, const char *address, char *bound, char *why, size_t why_len) {
  cd_transport *t = ctx;
  if (!valid_address(address, true)) {
    snprintf(why, why_len, "The address to listen on must be host:port, for example 127.0.0.1:7070.");
    return CH_ERR_ARGUMENT;
  }
  ch_err e = CH_ERR_ARGUMENT;
  pthread_mutex_lock(&t->lock);
  if (t->stopped || t->acceptor != NULL) {
    snprintf(why, why_len, "This node %s.", t->stopped ? "is stopping" : "listens already");
  } else {
    t->acceptor = cd_acceptor_new(&t->inbox, address, bound, why, why_len);
    e = t->acceptor != NULL ? CH_OK : CH_ERR_ARGUMENT;
  }
  pthread_mutex_unlock(&t->lock);
  cd_inbox_poke(&t->inbox, CD_POKE_ACCEPT);
  return e;
}

static ch_err op_connect(void *ctx, const ch_pubkey *node, const char *address) {
  cd_transport *t = ctx;
  ch_addr unused;
  if (!valid_address(address, false) || ch_pubkey_eq(node, &t->config.self.id)) {
    return CH_ERR_ARGUMENT;
  }
  if (ch_address_of(&unused, node) != CH_OK) {
    return CH_ERR_KEY;
  }
  ch_err e = CH_OK;
  pthread_mutex_lock(&t->lock);
  cd_peer *peer = t->stopped ? NULL : cd_peers_get(&t->peers, node);
  if (peer != NULL) {
    peer->wanted = true;
    snprintf(peer->address, sizeof peer->address, "%s", address);
    peer->retry_ms = 0;
    peer->next_dial = 0;
  } else {
    e = t->stopped ? CH_ERR_NOT_CONNECTED : CH_ERR_NO_MEMORY;
  }
  pthread_mutex_unlock(&t->lock);
  cd_inbox_poke(&t->inbox, CD_POKE_PEERS);
  return e;
}

static void op_forget(void *ctx, const ch_pubkey *node) {
  cd_transport *t = ctx;
  pthread_mutex_lock(&t->lock);
  cd_peer *peer = cd_table_get(&t->peers, node);
  if (peer != NULL) {
    peer->wanted = false;
    cd_peers_release(&t->peers, peer);
  }
  pthread_mutex_unlock(&t->lock);
  cd_inbox_poke(&t->inbox, CD_POKE_PEERS);
}

static bool put(cd_transport *t, cd_conn conn, uint8_t *bytes, size_t len, bool flush) {
  cd_link *l = find_locked(t, conn);
  bool ok = false;
  if (l != NULL) {
    ok = cd_link_queue_locked(l, bytes, len);
    if (flush) cd_link_flush_locked(l);
    pthread_mutex_unlock(&l->lock);
  }
  free(bytes);
  return ok;
}

static bool op_send(void *ctx, cd_conn conn, uint8_t *bytes, size_t len) {
  return put(ctx, conn, bytes, len, true);
}

static bool op_queue(void *ctx, cd_conn conn, uint8_t *bytes, size_t len) {
  return put(ctx, conn, bytes, len, false);
}

static void op_flush(void *ctx, cd_conn conn) {
  cd_link *l = find_locked(ctx, conn);
  if (l != NULL) {
    cd_link_flush_locked(l);
    pthread_mutex_unlock(&l->lock);
  }
}

static void op_close(void *ctx, cd_conn conn, const char *reason) {
  cd_link *l = find_locked(ctx, conn);
  if (l != NULL) {
    cd_link_drain_locked(l, reason);
    pthread_mutex_unlock(&l->lock);
  }
}

static void op_resume(void *ctx, cd_conn conn) {
  cd_link *l = find_locked(ctx, conn);
  if (l != NULL) {
    cd_link_resume_locked(l);
    pthread_mutex_unlock(&l->lock);
  }
}

static void op_stop(void *ctx) {
  cd_transport *t = ctx;
  pthread_mutex_lock(&t->lock);
  bool first = !t->stopped;
  t->stopped = true;
  pthread_mutex_unlock(&t->lock);
  if (first) {
    cd_inbox_poke(&t->inbox, CD_POKE_STOP);
    pthread_join(t->thread, NULL);
  }
}

/* --- Construction --------------------------------------------------------------------------------------------- */

void cd_transport_defaults(cd_transport_config *config) {
  *config = (cd_transport_config){
      .prologue = CD_NOISE_PROLOGUE,
      .max_handshakes = 64,
      .max_dials = 64,
      .max_live = 10000,
      .max_queued = 4 << 20,
      .dial_ms = 10000,
      .handshake_ms = 10000,
      .ping_ms = 30000,
      .idle_ms = 90000,
      .linger_ms = 2000,
      .retry_min_ms = 500,
      .retry_max_ms = 60000,
  };
}

static bool sensible(const cd_transport_config *c) {
  return c->self.ecdh != NULL && c->prologue != NULL && c->max_handshakes > 0 && c->max_dials > 0 && c->max_live > 0 &&
         c->max_queued >= CD_FRAME_OVERHEAD + CD_FRAME_BODY_MAX && c->dial_ms > 0 && c->handshake_ms > 0 &&
         c->ping_ms > 0 && c->idle_ms > c->ping_ms && c->retry_min_ms > 0 && c->retry_max_ms >= c->retry_min_ms;
}

ch_err cd_transport_new(cd_net *out, const cd_transport_config *config, const cd_net_listener *listener) {
  static const cd_net_ops ops = {op_listen, op_connect, op_forget, op_send, op_queue,
                                 op_flush,  op_close,   op_resume, op_stop};
  if (!sensible(config)) {
    return CH_ERR_ARGUMENT;
  }
  cd_transport *t = calloc(1, sizeof *t);
  if (t == NULL) {
    return CH_ERR_NO_MEMORY;
  }
  t->config = *config;
  t->listener = *listener;
  t->next_tick = NEVER;
  cd_peers_init(&t->peers);
  cd_table_init(&t->numbers, offsetof(cd_link, number), sizeof(cd_conn));
  if (!cd_inbox_init(&t->inbox)) {
    free(t);
    return CH_ERR_NO_MEMORY;
  }
  pthread_mutex_init(&t->lock, NULL);
  if (pthread_create(&t->thread, NULL, run, t) != 0) {
    cd_inbox_fini(&t->inbox);
    pthread_mutex_destroy(&t->lock);
    free(t);
    return CH_ERR_NO_MEMORY;
  }
  *out = (cd_net){.ctx = t, .ops = &ops};
  return CH_OK;
}

void cd_transport_free(cd_net *net) {
  cd_transport *t = net->ctx;
  if (t == NULL) {
    return;
  }
  op_stop(t);
  cd_peers_free(&t->peers);
  cd_table_free(&t->numbers);
  cd_inbox_fini(&t->inbox);
  pthread_mutex_destroy(&t->lock);
  free(t);
  net->ctx = NULL;
}
