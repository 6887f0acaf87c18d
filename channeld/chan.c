#include "chan.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd_channel.h"
#include "json.h"
#include "keeper.h"
#include "payments.h"
#include "sender.h"

/* A unit on its way to the disk, and what follows. */
typedef struct flight {
  cd_unit unit; /* first: the store knows only this */
  cd_mail mail;
  cd_worker *worker;
  cd_conn conn;        /* the peer's when the step ran */
  unsigned generation; /* the worker's */
  bool of_channel;     /* no bare fence */
  bool ok;
  cd_then then;
  void *arg;
} flight;

static void committed(void *self, cd_mail *mail);
static void recover(cd_worker *w);

/* --- The barrier --------------------------------------------------------------------------------- */

static void flight_free(flight *f) {
  free(f->unit.record);
  for (size_t i = 0; i < f->unit.n_txs; i++)
    cd_tx_row_clear(&f->unit.txs[i]);
  free(f->unit.txs);
  free(f->unit.seq);
  ch_effects_clear(&f->unit.fx);
  free(f);
}

static flight *flight_new(cd_worker *w, cd_then then, void *arg) {
  flight *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  f->worker = w;
  f->generation = w->generation;
  f->then = then;
  f->arg = arg;
  f->mail.run = committed;
  f->unit.shard = w->shard;
  f->unit.now = w->node->l1.ops->now(w->node->l1.ctx);
  return f;
}

static flight *flight_of(cd_mail *mail) {
  return (flight *)(void *)((char *)mail - offsetof(flight, mail));
}

/* What waited for the barrier leaves, once the connection is flushed. */
static void release(flight *f) {
  cd_net *net = &f->worker->node->net;
  for (size_t i = 0; i < f->unit.fx.n; i++) {
    ch_effect *e = &f->unit.fx.v[i];
    if (e->kind == CH_FX_SEND && f->conn != 0) {
      net->ops->queue(net->ctx, f->conn, e->u.send.bytes, e->u.send.len);
      e->u.send.bytes = NULL;
    } else if (e->kind == CH_FX_DISCONNECT && f->conn != 0) {
      net->ops->close(net->ctx, f->conn, e->u.disconnect.text);
    }
  }
  if (f->unit.n_txs > 0) cd_sender_wake(f->worker->node->sender);
}

/* The messages of all units of a commit leave in one piece, and each worker is woken once. */
static void finish_commit(cd_node *n) {
  cd_conn last = 0;
  for (unsigned i = 0; i < n->n_workers; i++) {
    for (cd_mail *m = n->workers[i].held; m != NULL; m = m->next) {
      cd_conn conn = flight_of(m)->conn;
      if (conn != 0 && conn != last) n->net.ops->flush(n->net.ctx, conn);
      last = conn;
    }
  }
  for (unsigned i = 0; i < n->n_workers; i++)
    cd_worker_post_held(&n->workers[i]);
}

/* On the commit thread. */
static void done(cd_unit *unit, bool ok) {
  flight *f = (flight *)unit->done_ctx;
  bool last = unit->next == NULL;
  f->ok = ok;
  if (ok) release(f);
  cd_worker_hold(f->worker, &f->mail);
  if (last) finish_commit(f->worker->node);
}

/* On the owner's thread. */
static void committed(void *self, cd_mail *mail) {
  cd_worker *w = self;
  flight *f = flight_of(mail);
  bool current = f->generation == w->generation;
  cd_chan *c = f->of_channel ? cd_chan_get(w, &f->unit.channel) : NULL;
  if (c != NULL && current) c->in_flight--;
  if (!f->ok && current) recover(w);
  if (f->of_channel) cd_payments_committed(w, &f->unit, f->ok);
  if (f->then != NULL) f->then(w, f->arg, f->ok);
  if (f->ok && c != NULL && c->waits != NULL) cd_chan_waits_look(w, c);
  flight_free(f);
}

static void give(flight *f) {
  cd_store *store = &f->worker->node->store;
  f->unit.done = done;
  f->unit.done_ctx = f;
  store->ops->commit(store->ctx, &f->unit);
}

bool cd_chan_fence(cd_worker *w, cd_then then, void *arg) {
  flight *f = flight_new(w, then, arg);
  if (f == NULL) return false;
  give(f);
  return true;
}

/* The transactions that the step wishes for, as the sender keeps them. A wish that cannot be encoded comes again. */
static bool add_txs(cd_worker *w, flight *f, const ch_hash *id) {
  cd_l1 *l1 = &w->node->l1;
  size_t n = 0;
  for (size_t i = 0; i < f->unit.fx.n; i++)
    n += f->unit.fx.v[i].kind == CH_FX_TX;
  if (n == 0) return true;
  f->unit.txs = calloc(n, sizeof *f->unit.txs);
  if (f->unit.txs == NULL) return false;
  for (size_t i = 0; i < f->unit.fx.n; i++) {
    const ch_effect *e = &f->unit.fx.v[i];
    if (e->kind != CH_FX_TX) continue;
    cd_tx_row *row = &f->unit.txs[f->unit.n_txs];
    *row = (cd_tx_row){.key = e->u.tx.key,
                       .channel = *id,
                       .kind = (int)e->u.tx.tx.kind,
                       .value = e->u.tx.value,
                       .status = CD_TX_QUEUED,
                       .deadline = e->u.tx.deadline,
                       .updated = f->unit.now};
    if (l1->ops->encode_call(l1->ctx, &e->u.tx.tx, &row->data, &row->data_len) != CH_OK) return false;
    f->unit.n_txs++;
  }
  return true;
}

static bool wants_disconnect(const ch_effects *fx) {
  for (size_t i = 0; i < fx->n; i++) {
    if (fx->v[i].kind == CH_FX_DISCONNECT) return true;
  }
  return false;
}

static void log_history(const cd_chan *c, const ch_effects *fx) {
  for (size_t i = 0; i < fx->n; i++) {
    const ch_effect *e = &fx->v[i];
    if (e->kind != CH_FX_HISTORY) continue;
    cd_log(CD_LOG_INFO, "channel", "%s channel=%s phase=%s version=%llu", e->u.history.cause, cd_short_hash(&c->id).s,
           ch_phase_name(e->u.history.to), (unsigned long long)e->u.history.version);
  }
}

/* --- Looking ------------------------------------------------------------------------------------- */

/* The environment for a channel: its head must be young enough for its own challenge period, too, as a peer that
 * settles behind a stalled node needs at least that long (protocol.md, section 4). */
static void env_of(cd_worker *w, const cd_chan *c, ch_env *out) {
  static const cd_head none = {0};
  cd_node_env_at(w->node, c->blind ? &none : &w->head, out);
  if (c->period != 0 && c->period / 4 < out->freshness) out->freshness = c->period / 4;
}

cd_chan *cd_chan_get(cd_worker *w, const ch_hash *id) {
  return cd_table_get(&w->channels, id);
}

void cd_chan_info(cd_worker *w, const cd_chan *c, ch_info *out) {
  ch_env env;
  env_of(w, c, &env);
  if (c->state == NULL) {
    *out = (ch_info){.id = c->id};
  } else {
    ch_channel_info(c->state, &env, out);
  }
  if (!c->quarantined) return;
  out->frozen = true;
  out->wait = CH_WAIT_OPERATOR;
  out->spendable = (ch_amount){0};
  snprintf(out->freeze_reason, sizeof out->freeze_reason, "%.*s", (int)sizeof out->freeze_reason - 1, c->trouble);
}

size_t cd_chan_locks(cd_worker *w, const cd_chan *c, ch_lock_info **out) {
  ch_env env;
  env_of(w, c, &env);
  size_t n = c->state == NULL ? 0 : ch_channel_locks(c->state, &env, NULL, 0);
  *out = n == 0 ? NULL : calloc(n, sizeof **out);
  return *out == NULL ? 0 : ch_channel_locks(c->state, &env, *out, n);
}

/* Has the chain asked about the hashes of pending locks of which nothing is known. */
static void watch_hashes(cd_worker *w, const cd_chan *c) {
  const cd_l1 *l1 = &w->node->l1;
  ch_lock_info *locks = NULL;
  size_t n = l1->ops->watch_hash == NULL ? 0 : cd_chan_locks(w, c, &locks);
  for (size_t i = 0; i < n; i++) {
    const ch_lock lock = ch_op_lock(&locks[i].op, 0);
    if (locks[i].looked || !ch_lock_is_hash(&lock)) continue;
    const ch_hash hash = ch_lock_hash(&lock);
    l1->ops->watch_hash(l1->ctx, &c->id, &hash);
  }
  free(locks);
}

/* Nobody waits for the preimages of locks that are over. */
static void unwatch_hashes(cd_worker *w, const cd_chan *c, const ch_effects *fx) {
  const cd_l1 *l1 = &w->node->l1;
  for (size_t i = 0; i < fx->n && l1->ops->unwatch_hash != NULL; i++) {
    const ch_effect *e = &fx->v[i];
    if (e->kind != CH_FX_PAYMENT || e->u.payment.op.kind != CH_OP_LOCK_ADD) continue;
    if (e->u.payment.status == CH_PAYMENT_PENDING || e->u.payment.status == CH_PAYMENT_LOCKED) continue;
    const ch_lock lock = ch_op_lock(&e->u.payment.op, 0);
    if (!ch_lock_is_hash(&lock)) continue;
    const ch_hash hash = ch_lock_hash(&lock);
    l1->ops->unwatch_hash(l1->ctx, &c->id, &hash);
  }
}

/* Keeps what others know of it, and whether time matters to it. */
static void note(cd_worker *w, cd_chan *c) {
  ch_info info;
  cd_chan_info(w, c, &info);
  c->period = info.params.challenge_period;
  bool reserved = info.reserved_mine.v != 0 || info.reserved_peer.v != 0; /* it may expire */
  bool busy = info.outstanding != 0 || info.queued != 0 || info.locks != 0;
  c->ticks = !c->quarantined && (info.wait != CH_WAIT_NOTHING || busy || reserved);
  if (info.blind_locks != 0 && info.blind_locks != c->blind_locks) watch_hashes(w, c);
  c->blind_locks = info.blind_locks;
  if (info.phase == CH_PHASE_ABANDONED) cd_keeper_drop(w->node->keeper, &c->id);
  cd_entry entry = {info.id, info.peer, info.params.asset, info.phase, info.spendable, info.params.bond, info.frozen};
  if (!cd_directory_put(&w->node->directory, &entry)) cd_log(CD_LOG_ERROR, "node", "out of memory");
}

static void quarantine(cd_worker *w, cd_chan *c, ch_err err) {
  c->quarantined = true;
  snprintf(c->trouble, sizeof c->trouble, "in quarantine: %s", ch_err_text(err));
  cd_log_level level = err == CH_ERR_BUG || err == CH_ERR_DOUBLE_SIGN ? CD_LOG_BROKEN : CD_LOG_ERROR;
  cd_log(level, "channel", "in quarantine, the others go on: %s channel=%s", ch_err_text(err), cd_short_hash(&c->id).s);
  note(w, c);
}

/* --- Stepping ------------------------------------------------------------------------------------ */

/* Whether an error of a step is our own trouble rather than somebody's request or message. */
static bool is_local(ch_err err) {
  return err == CH_ERR_DOUBLE_SIGN || err == CH_ERR_SIGNER || err == CH_ERR_BUG;
}

/* Takes over `f` with its effects filled in, and `next`. */
static ch_err move_on(cd_worker *w, cd_chan *c, ch_channel *next, flight *f) {
  bool cut = wants_disconnect(&f->unit.fx);
  cd_unit *u = &f->unit;
  ch_err err = u->fx.durable ? ch_channel_encode_parts(next, &u->record, &u->record_len, &u->n_steady) : CH_OK;
  if (err == CH_OK && !add_txs(w, f, &c->id)) err = CH_ERR_NO_MEMORY;
  if (err != CH_OK) {
    ch_channel_free(next);
    flight_free(f);
    return err;
  }
  ch_channel_free(c->state);
  c->state = next;
  f->unit.seq = calloc(f->unit.fx.n + 1, sizeof *f->unit.seq); /* without it what waits reads the rows */
  unwatch_hashes(w, c, &f->unit.fx);
  note(w, c);
  /* A wish is repeated until the chain shows it done: the transaction may be lost, or be refused for now. */
  if (f->unit.n_txs > 0) c->ticks = true;
  log_history(c, &f->unit.fx);
  ch_info info;
  cd_chan_info(w, c, &info);
  f->unit.channel = c->id;
  f->unit.peer = c->remote->node;
  f->unit.phase = (int)info.phase;
  f->of_channel = true;
  c->in_flight++;
  bool nothing = !f->unit.fx.durable && f->unit.n_txs == 0 && f->then == NULL;
  if (nothing && c->in_flight == 1) {
    release(f);
    if (f->conn != 0) w->node->net.ops->flush(w->node->net.ctx, f->conn);
    c->in_flight = 0;
    flight_free(f);
  } else {
    give(f);
  }
  if (cut) cd_remote_cut(w, c->remote);
  return CH_OK;
}

ch_err cd_chan_step(cd_worker *w, cd_chan *c, const ch_event *ev, cd_then then, void *arg) {
  if (c->quarantined) return CH_ERR_FROZEN;
  ch_env env;
  ch_channel *next;
  flight *f = flight_new(w, then, arg);
  if (f == NULL) return CH_ERR_NO_MEMORY;
  f->conn = c->remote->conn;
  env_of(w, c, &env);
  ch_err err = ch_step(&next, &f->unit.fx, c->state, &env, ev, &w->signer);
  if (err != CH_OK) {
    flight_free(f);
  } else {
    err = move_on(w, c, next, f);
  }
  if (is_local(err)) quarantine(w, c, err);
  return err;
}

ch_err cd_chan_nudge(cd_worker *w, cd_chan *c, const ch_event *ev) {
  if (c->quarantined) return CH_ERR_FROZEN;
  ch_err err = cd_chan_step(w, c, ev, NULL, NULL);
  if (err != CH_OK && !is_local(err))
    cd_log(CD_LOG_WARN, "channel", "event %d had no effect: %s channel=%s", (int)ev->kind, ch_err_name(err),
           cd_short_hash(&c->id).s);
  return err;
}

void cd_chan_view(cd_worker *w, cd_chan *c, const ch_chain_view *view) {
  c->blind = false;
  ch_err err = cd_chan_nudge(w, c, &(ch_event){.kind = CH_EV_CHAIN, .u.view = view});
  c->look = c->blind = err != CH_OK && !c->quarantined;
}

void cd_chan_tick(cd_worker *w, cd_chan *c) {
  if (c->look) w->node->l1.ops->watch(w->node->l1.ctx, &c->id);
  c->look = false;
  c->blind_locks = 0; /* what was asked may be lost: at the next change it is asked again */
  if (c->ticks) cd_chan_nudge(w, c, &(ch_event){.kind = CH_EV_TICK});
}

/* --- Coming and going ---------------------------------------------------------------------------- */

void cd_chan_free(cd_chan *c) {
  ch_channel_free(c->state);
  free(c);
}

static void detach(cd_chan *c) {
  cd_chan **at = &c->remote->channels;
  while (*at != c)
    at = &(*at)->next;
  *at = c->next;
}

/* An entry for `id` with `peer`; without a state yet. */
static cd_chan *enter(cd_worker *w, const ch_hash *id, const ch_pubkey *peer) {
  cd_chan *c = calloc(1, sizeof *c);
  cd_remote *r = cd_remote_of(w, peer);
  if (c == NULL || r == NULL) {
    free(c);
    return NULL;
  }
  c->id = *id;
  if (!cd_table_put(&w->channels, c)) {
    free(c);
    cd_remote_release(w, r);
    return NULL;
  }
  c->remote = r;
  c->next = r->channels;
  r->channels = c;
  return c;
}

static void forget(cd_worker *w, cd_chan *c) {
  cd_remote *r = c->remote;
  detach(c);
  cd_table_remove(&w->channels, &c->id);
  cd_directory_remove(&w->node->directory, &c->id);
  cd_chan_waits_fail(w, c);
  cd_chan_free(c);
  cd_remote_release(w, r);
}

bool cd_chan_adopt(cd_worker *w, ch_channel *state, ch_effects *fx, cd_conn conn, cd_then then, void *arg) {
  flight *f = flight_new(w, then, arg);
  cd_chan *c = f == NULL ? NULL : enter(w, ch_channel_id_of(state), ch_channel_peer(state));
  if (c == NULL) {
    free(f);
    ch_effects_clear(fx);
    ch_channel_free(state);
    return false;
  }
  f->conn = conn;
  f->unit.fx = *fx;
  *fx = (ch_effects){0};
  if (move_on(w, c, state, f) != CH_OK) {
    forget(w, c);
    return false;
  }
  w->node->l1.ops->watch(w->node->l1.ctx, &c->id);
  if (c->remote->conn != conn) cd_chan_nudge(w, c, &(ch_event){.kind = CH_EV_LINK_DOWN});
  return true;
}

/* Decodes a stored channel with its pending payments, and tells the signer what it has signed. */
static ch_err decode(cd_worker *w, const ch_hash *id, const uint8_t *record, size_t len, bool has_pending,
                     ch_channel **out) {
  cd_store *store = &w->node->store;
  ch_op *ops = NULL;
  size_t n = 0;
  ch_err err = has_pending ? store->ops->pending(store->ctx, id, &ops, &n) : CH_OK;
  if (err == CH_OK) err = ch_channel_decode(out, record, len, ops, n);
  free(ops);
  if (err != CH_OK) return err;
  ch_env env;
  ch_info info;
  cd_node_env_at(w->node, &w->head, &env);
  ch_channel_info(*out, &env, &info);
  if (!ch_hash_eq(&info.id, id)) err = CH_ERR_FORMAT;
  if (err == CH_OK && info.highest_signed != 0)
    err = ch_keyring_remember(w->keys, id, info.epoch, info.highest_signed, &info.highest_digest);
  if (err != CH_OK) {
    ch_channel_free(*out);
    *out = NULL;
  }
  return err;
}

/* It was so before this start, or comes from a backup: the operator is to know. */
static void log_frozen(cd_worker *w, const cd_chan *c) {
  ch_info info;
  cd_chan_info(w, c, &info);
  if (!info.frozen || info.phase == CH_PHASE_CLOSED) return;
  cd_log(CD_LOG_WARN, "channel", "frozen: %s channel=%s", info.freeze_reason, cd_short_hash(&c->id).s);
}

bool cd_chan_load(cd_worker *w, const ch_hash *id, const uint8_t *record, size_t len, bool has_pending) {
  ch_channel *state = NULL;
  ch_err err = decode(w, id, record, len, has_pending, &state);
  ch_pubkey nobody = {0};
  cd_chan *c = enter(w, id, state == NULL ? &nobody : ch_channel_peer(state));
  if (c == NULL) {
    ch_channel_free(state);
    return false;
  }
  c->state = state;
  c->blind = true;
  if (err == CH_OK) {
    note(w, c);
    log_frozen(w, c);
  } else {
    quarantine(w, c, err);
  }
  return true;
}

/* Replaces a channel's memory by what is on disk. False if it was never there. */
static bool reload(cd_worker *w, cd_chan *c) {
  cd_store *store = &w->node->store;
  uint8_t *record = NULL;
  size_t len = 0;
  ch_channel_free(c->state);
  c->state = NULL;
  c->in_flight = 0;
  c->look = true; /* the step that was lost may have been the chain's */
  c->blind = true;
  ch_err err = store->ops->channel(store->ctx, &c->id, &record, &len);
  if (err == CH_ERR_UNKNOWN_CHANNEL) return false;
  if (err == CH_OK) err = decode(w, &c->id, record, len, true, &c->state);
  free(record);
  if (err != CH_OK) {
    quarantine(w, c, err);
  } else {
    note(w, c);
  }
  return true;
}

static void hang_up(cd_worker *w) {
  cd_net *net = &w->node->net;
  size_t i = 0;
  for (cd_remote *r; (r = cd_table_next(&w->remotes, &i)) != NULL;) {
    if (r->conn == 0 || r->channels == NULL) continue;
    net->ops->close(net->ctx, r->conn, "a change could not be saved here");
    cd_table_remove(&w->links, &r->conn);
    r->conn = 0;
  }
}

/* A unit will never be durable: memory is ahead of the disk, so the disk wins. Nothing of what is dropped has left. */
static void recover(cd_worker *w) {
  cd_store *store = &w->node->store;
  cd_log(CD_LOG_ERROR, "node", "a change could not be saved: going back to what is on disk shard=%u", w->shard);
  store->ops->flush(store->ctx);
  store->ops->reset(store->ctx, w->shard);
  w->generation++;
  hang_up(w);
  ch_err err = cd_worker_fresh_keys(w);
  size_t i = 0, n = 0;
  cd_chan **gone = calloc(w->channels.n + 1, sizeof(cd_chan *));
  for (cd_chan *c; (c = cd_table_next(&w->channels, &i)) != NULL;) {
    if (err != CH_OK || gone == NULL) {
      quarantine(w, c, err == CH_OK ? CH_ERR_NO_MEMORY : err);
    } else if (!c->quarantined && !reload(w, c)) {
      gone[n++] = c;
    }
  }
  while (n > 0)
    forget(w, gone[--n]);
  free(gone);
}
