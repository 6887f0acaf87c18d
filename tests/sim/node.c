/* node.c - a simulated node: its disk, its connection, its keys; drives the real engine as the daemon does. */
#include "world.h"

#include <stdlib.h>

/* --- Keys: derived from the seed; the guard lives outside the node, so no crash makes it forget --------- */

typedef struct keys {
  world *w;
  node *n;
} keys;
static keys contexts[2];

static void channel_secret(const node *n, const ch_hash *nonce, ch_secret *out) {
  ch_hash h;
  uint8_t buf[64];
  memcpy(buf, n->node_key.b, 32);
  memcpy(buf + 32, nonce->b, 32);
  ch_keccak256(&h, buf, sizeof buf);
  memcpy(out->b, h.b, 32);
}

static ch_err k_node_id(void *ctx, ch_pubkey *out) {
  *out = ((keys *)ctx)->n->node_id;
  return CH_OK;
}

static ch_err k_ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  return ch_ecdh(out, &((keys *)ctx)->n->node_key, peer);
}

static ch_err k_sign_open(void *ctx, ch_sig *out, const ch_chain *chain, const ch_open_statement *st) {
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_open_digest(&digest, &domain, st);
  return ch_sign(out, &digest, &((keys *)ctx)->n->node_key);
}

static ch_err k_channel_key(void *ctx, ch_pubkey *out, const ch_hash *nonce) {
  ch_secret key;
  channel_secret(((keys *)ctx)->n, nonce, &key);
  return ch_pubkey_of(out, &key);
}

static void guard(world *w, int side, const ch_state *st, const ch_hash *digest) {
  for (size_t i = 0; i < w->n_signatures; i++) {
    const signed_version *s = &w->signatures[i];
    if (s->side != side || s->epoch != st->epoch || s->version != st->version) continue;
    if (!ch_hash_eq(&s->digest, digest))
      fail(w, "node %d signed a second content for version %llu", side, (unsigned long long)st->version);
    return;
  }
  if (w->n_signatures == MAX_SIGNED) return fail(w, "too many signatures for the simulator");
  w->signatures[w->n_signatures++] = (signed_version){side, st->version, st->epoch, *digest};
}

static ch_err k_sign_state(void *ctx, ch_sig *out, const ch_sign_state *req) {
  keys *k = (keys *)ctx;
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, &req->chain);
  ch_state_digest(&digest, &domain, &req->state);
  guard(k->w, k->n->side, &req->state, &digest);
  channel_secret(k->n, &req->key_nonce, &key);
  return ch_sign(out, &digest, &key);
}

static ch_err k_sign_close(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce, const ch_close *c) {
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_close_digest(&digest, &domain, c);
  channel_secret(((keys *)ctx)->n, nonce, &key);
  return ch_sign(out, &digest, &key);
}

static ch_err k_sign_withdraw(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce,
                              const ch_withdraw *what) {
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_withdraw_digest(&digest, &domain, what);
  channel_secret(((keys *)ctx)->n, nonce, &key);
  return ch_sign(out, &digest, &key);
}

static ch_err k_sign_move(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce, const ch_move *what) {
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_move_digest(&digest, &domain, what);
  channel_secret(((keys *)ctx)->n, nonce, &key);
  return ch_sign(out, &digest, &key);
}

static ch_err k_sign_challenge(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce,
                               const ch_challenge *c) {
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_challenge_digest(&digest, &domain, c);
  channel_secret(((keys *)ctx)->n, nonce, &key);
  return ch_sign(out, &digest, &key);
}

ch_signer node_signer(world *w, node *n) {
  contexts[n->side] = (keys){w, n};
  return (ch_signer){&contexts[n->side], k_node_id,    k_ecdh,          k_sign_open, k_channel_key,
                     k_sign_state,       k_sign_close, k_sign_withdraw, k_sign_move, k_sign_challenge};
}

/* --- Making and losing a node ------------------------------------------------------------------------------ */

void node_make(world *w, int side) {
  node *n = &w->node[side];
  ch_hash h;
  memset(n, 0, sizeof *n);
  n->side = side;
  n->alive = true;
  rng_hash(&w->rng, &h);
  memcpy(n->node_key.b, h.b, 32);
  rng_hash(&w->rng, &n->instance);
  if (ch_pubkey_of(&n->node_id, &n->node_key) || ch_address_of(&n->address, &n->node_id)) abort();
}

static void inbox_clear(node *n) {
  for (size_t i = 0; i < n->n_inbox; i++)
    free(n->inbox[i].bytes);
  n->n_inbox = 0;
}

void node_free(node *n) {
  inbox_clear(n);
  ch_channel_free(n->channel);
  free(n->disk.record);
  free(n->copy.record);
}

void node_env(const world *w, const node *n, ch_env *env) {
  int final = n->seen > FINAL_DEPTH ? n->seen - FINAL_DEPTH : 0;
  *env = (ch_env){.now = w->now,
                  .head_number = (uint64_t)n->seen,
                  .head_time = w->blocks[n->seen].time,
                  .final_number = (uint64_t) final,
                  .final_time = w->blocks[final].time,
                  .freshness = FRESHNESS,
                  .margin = MARGIN,
                  .instance = n->instance};
}

/* --- The disk -------------------------------------------------------------------------------------------------- */

static pay_row *find(pay_row *rows, size_t n, const ch_op *op) {
  for (size_t i = 0; i < n; i++)
    if (strlen(rows[i].id) == op->id_len && memcmp(rows[i].id, op->id, op->id_len) == 0) return &rows[i];
  return NULL;
}

/* The payee that claimed it in time has it; the payer that pays has the preimage. */
static void check_lock(world *w, const pay_row *row, const ch_effect *e) {
  bool settled = e->u.payment.status == CH_PAYMENT_SETTLED;
  if (settled) w->claimed++;
  if (settled && !e->u.payment.incoming && !e->u.payment.has_preimage)
    fail(w, "payment %s is settled without its preimage", row->id);
  if (row->expected && e->u.payment.status == CH_PAYMENT_FAILED)
    fail(w, "payment %s was claimed in time and lost: %s", row->id, ch_err_name(e->u.payment.reason));
}

void node_expects(node *n, const ch_op *op) {
  pay_row *row = find(n->disk.in, n->disk.n_in, op);
  if (row) row->expected = true;
}

static void write_payment(world *w, node *n, const ch_effect *e) {
  bool in = e->u.payment.incoming;
  pay_row *rows = in ? n->disk.in : n->disk.out;
  size_t *count = in ? &n->disk.n_in : &n->disk.n_out;
  pay_row *row = find(rows, *count, &e->u.payment.op);
  bool locked = row && row->status == CH_PAYMENT_LOCKED;
  if (row && in && !locked) return fail(w, "payment %s was received twice", row->id);
  if (row && !locked && row->status != CH_PAYMENT_PENDING && row->status != e->u.payment.status)
    return fail(w, "payment %s was final and changed", row->id);
  if (row && e->u.payment.op.kind == CH_OP_LOCK_ADD) check_lock(w, row, e);
  if (!row) {
    if (*count == MAX_PAYMENTS) return fail(w, "too many payments for the simulator");
    row = &rows[(*count)++];
    memset(row, 0, sizeof *row);
    memcpy(row->id, e->u.payment.op.id, e->u.payment.op.id_len);
    row->amount = e->u.payment.op.amount;
    row->op = e->u.payment.op;
  }
  row->status = e->u.payment.status;
  row->version = e->u.payment.version;
  row->epoch = e->u.payment.epoch;
}

static void set_job(world *w, job *j, const ch_effect *e) {
  *j = (job){.key = e->u.tx.key, .tx = e->u.tx.tx, .value = e->u.tx.value, .mined = -1};
  if (j->tx.kind != CH_TX_SETTLE) return;
  if (j->tx.u.settle.locks_len > sizeof j->locks) return fail(w, "too many locks for the simulator");
  if (j->tx.u.settle.locks_len) memcpy(j->locks, e->u.tx.tx.u.settle.locks, j->tx.u.settle.locks_len);
  j->tx.u.settle.locks = j->locks;
}

static void write_job(world *w, node *n, const ch_effect *e) {
  for (size_t i = 0; i < n->disk.n_jobs; i++) {
    job *j = &n->disk.jobs[i];
    if (!ch_hash_eq(&j->key, &e->u.tx.key)) continue;
    if (j->failed) set_job(w, j, e);
    return;
  }
  if (n->disk.n_jobs == MAX_JOBS) return fail(w, "too many jobs for the simulator");
  set_job(w, &n->disk.jobs[n->disk.n_jobs++], e);
}

/* Remembers a co-signed state, as a cheat would. */
static void remember_state(world *w, const ch_channel *c) {
  old_state o;
  ch_channel_latest(c, &o.state, &o.outcome, o.sig);
  if (!o.state.version || w->n_states == MAX_STATES) return;
  const ch_state *last = w->n_states ? &w->states[w->n_states - 1].state : NULL;
  if (last && last->version == o.state.version && last->epoch == o.state.epoch) return;
  w->states[w->n_states++] = o;
}

static void copy_disk(disk *to, const disk *from) {
  free(to->record);
  *to = *from;
  to->record = (uint8_t *)malloc(from->len);
  if (!to->record) abort();
  memcpy(to->record, from->record, from->len);
}

static void keep_copy(world *w, node *n) {
  if (n->disk.latest < 4 || n->copy.record || !n->disk.record) return;
  if (w->broken == BROKEN_BACKUP || rng_chance(&w->rng, 5)) copy_disk(&n->copy, &n->disk);
}

/* The one transaction of an event. */
static void commit(world *w, node *n, const ch_channel *next, const ch_effects *fx) {
  if (fx->durable) {
    keep_copy(w, n);
    free(n->disk.record);
    if (ch_channel_encode(next, &n->disk.record, &n->disk.len)) return fail(w, "a channel could not be encoded");
  }
  for (size_t i = 0; i < fx->n; i++) {
    if (fx->v[i].kind == CH_FX_PAYMENT) write_payment(w, n, &fx->v[i]);
    if (fx->v[i].kind == CH_FX_TX) write_job(w, n, &fx->v[i]);
    if (fx->v[i].kind == CH_FX_HISTORY) note(w, "node %d: %s", n->side, fx->v[i].u.history.cause);
  }
  ch_state st;
  ch_outcome oc;
  ch_sig sig[2];
  ch_channel_latest(next, &st, &oc, sig);
  if (st.epoch != n->disk.epoch) n->disk.latest = 0;
  n->disk.epoch = st.epoch;
  if (st.version < n->disk.latest) fail(w, "node %d went back in its latest version", n->side);
  n->disk.latest = st.version;
  remember_state(w, next);
}

/* --- Sending ---------------------------------------------------------------------------------------------------- */

static void send_all(world *w, node *n, const ch_effects *fx, size_t limit) {
  node *peer = &w->node[1 - n->side];
  for (size_t i = 0; i < fx->n && limit; i++) {
    const ch_effect *e = &fx->v[i];
    if (e->kind == CH_FX_DISCONNECT) {
      note(w, "node %d disconnects: %s", n->side, e->u.disconnect.text);
      link_cut(w);
    }
    if (e->kind != CH_FX_SEND) continue;
    limit--;
    if (!w->conn || !peer->alive) continue;
    if (peer->n_inbox == MAX_INFLIGHT) return fail(w, "too many messages for the simulator");
    uint8_t *copy = (uint8_t *)malloc(e->u.send.len);
    if (!copy) abort();
    memcpy(copy, e->u.send.bytes, e->u.send.len);
    peer->inbox[peer->n_inbox++] = (message){copy, e->u.send.len, w->conn};
    note(w, "node %d sends %d", n->side, (int)e->u.send.type);
  }
}

/* The effects, with a crash before the transaction, between it and the sends, or among the sends. */
static void perform(world *w, node *n, ch_channel *next, const ch_effects *fx, size_t signatures) {
  bool crash = w->faults && rng_chance(&w->rng, 3);
  unsigned point = rng_below(&w->rng, 4);
  if (w->broken == BROKEN_BARRIER) send_all(w, n, fx, SIZE_MAX);
  if (crash && point == 0) {
    /* Nothing was saved and nothing left: what was signed in this step is as if it had never been. */
    if (w->broken != BROKEN_BARRIER) w->n_signatures = signatures;
    ch_channel_free(next);
    return node_crash(w, n);
  }
  bool lost = w->broken == BROKEN_PERSIST && rng_chance(&w->rng, 5);
  if (!lost) commit(w, n, next, fx);
  ch_channel_free(n->channel);
  n->channel = next;
  if (crash && point == 1) return node_crash(w, n);
  if (w->broken != BROKEN_BARRIER) send_all(w, n, fx, crash ? point - 1 : SIZE_MAX);
  if (crash) node_crash(w, n);
}

ch_err node_step(world *w, node *n, const ch_event *ev) {
  if (!n->alive || !n->channel) return CH_ERR_NOT_CONNECTED;
  ch_env env;
  ch_effects fx = {0};
  ch_channel *next;
  ch_signer signer = node_signer(w, n);
  node_env(w, n, &env);
  size_t signatures = w->n_signatures;
  ch_err err = ch_step(&next, &fx, n->channel, &env, ev, &signer);
  w->steps++;
  if (err) {
    w->n_signatures = signatures;
    if (err == CH_ERR_BUG || err == CH_ERR_DOUBLE_SIGN) fail(w, "node %d: %s", n->side, ch_err_name(err));
    return err;
  }
  perform(w, n, next, &fx, signatures);
  ch_effects_clear(&fx);
  return CH_OK;
}

/* --- Events from outside ------------------------------------------------------------------------------------------ */

void node_deliver(world *w, node *n) {
  if (!n->alive || !n->n_inbox) return;
  message m = n->inbox[0];
  memmove(n->inbox, n->inbox + 1, --n->n_inbox * sizeof m);
  ch_msg msg;
  bool known = false;
  ch_err err = ch_msg_decode(&msg, &known, m.bytes, m.len);
  free(m.bytes);
  if (err || !known) return fail(w, "a message did not decode: %s", ch_err_name(err));
  if (msg.type == CH_MSG_UPDATE && msg.u.update.has_refusal) w->refusals++;
  if (msg.type == CH_MSG_FUNDS && w->optimistic) /* a hint that is wrong leads to refusals, never to worse */
    msg.u.funds.contribution[0] = msg.u.funds.contribution[1] = ch_net_of(1000000);
  const ch_msg_type type = msg.type;
  note(w, "node %d takes %d of epoch %d", n->side, (int)type, msg.epoch);
  ch_event ev = {.kind = CH_EV_MESSAGE, .u.msg = &msg};
  err = node_step(w, n, &ev);
  ch_msg_clear(&msg);
  if (err == CH_OK || err == CH_ERR_NOT_CONNECTED) return;
  note(w, "node %d refused a message of type %d: %s", n->side, (int)type, ch_err_name(err));
  if (err != CH_ERR_STALE) fail(w, "an honest node %d found a violation: %s", n->side, ch_err_name(err));
  link_cut(w);
}

/* Views and reveals come before the head that they belong to, as the daemon has them. */
void node_look_at_chain(world *w, node *n) {
  if (!n->alive) return;
  int head = n->stalled ? n->seen : w->n_blocks - 1;
  int final = head > FINAL_DEPTH ? head - FINAL_DEPTH : 0;
  node_look_at_hashes(w, n, head, final);
  if (!n->alive) return;
  ch_chain_view view = {w->blocks[head].state, w->blocks[final].state};
  ch_event ev = {.kind = CH_EV_CHAIN, .u.view = &view};
  if (memcmp(&view, &n->view, sizeof view) != 0) {
    n->view = view;
    ch_err err = node_step(w, n, &ev);
    if (err && err != CH_ERR_NOT_CONNECTED) return fail(w, "a view was refused: %s", ch_err_name(err));
  }
  n->seen = head;
  ev = (ch_event){.kind = CH_EV_TICK};
  ch_err err = node_step(w, n, &ev);
  if (err && err != CH_ERR_NOT_CONNECTED) fail(w, "a tick was refused: %s", ch_err_name(err));
}

void node_crash(world *w, node *n) {
  note(w, "node %d crashes", n->side);
  w->crashes++;
  link_cut(w);
  n->alive = false;
  ch_channel_free(n->channel);
  n->channel = NULL;
}

static size_t pending_ops(const node *n, ch_op *ops) {
  size_t k = 0;
  for (size_t i = 0; i < n->disk.n_out; i++) {
    const pay_row *r = &n->disk.out[i];
    if (r->status != CH_PAYMENT_PENDING) continue;
    ops[k++] = r->op;
  }
  return k;
}

static void boot(world *w, node *n) {
  static ch_op ops[MAX_PAYMENTS];
  n->alive = true;
  rng_hash(&w->rng, &n->instance);
  memset(&n->view, 0, sizeof n->view);
  if (!n->disk.record) return;
  if (w->broken == BROKEN_BACKUP && n->copy.record) copy_disk(&n->disk, &n->copy);
  size_t k = pending_ops(n, ops);
  if (ch_channel_decode(&n->channel, n->disk.record, n->disk.len, ops, k)) fail(w, "a record did not decode");
  note(w, "node %d restarts", n->side);
}

void node_restart(world *w, node *n) {
  boot(w, n);
  if (n->channel) node_look_at_chain(w, n);
}

void node_restore(world *w, node *n) {
  if (!n->copy.record || n->lost || w->broken) return;
  if (n->alive) node_crash(w, n);
  note(w, "node %d: its disk is replaced by a copy of epoch %d, version %llu", n->side, n->copy.epoch,
       (unsigned long long)n->copy.latest);
  copy_disk(&n->disk, &n->copy);
  n->lost = true;
  w->restored++;
  bool faults = w->faults; /* the operator repeats the command until it is acknowledged */
  w->faults = false;
  boot(w, n);
  ch_event ev = {.kind = CH_EV_FREEZE};
  node_step(w, n, &ev);
  w->faults = faults;
  node_look_at_chain(w, n);
}

bool node_frozen(const world *w, const node *n) {
  ch_info info;
  ch_env env;
  node_env(w, n, &env);
  ch_channel_info(n->channel, &env, &info);
  return info.frozen;
}

void link_cut(world *w) {
  if (!w->conn) return;
  note(w, "the connection is cut");
  w->cuts++;
  w->conn = 0;
  ch_event ev = {.kind = CH_EV_LINK_DOWN};
  for (int i = 0; i < 2; i++) {
    if (w->broken != BROKEN_REPLAY) inbox_clear(&w->node[i]);
    if (!w->node[i].alive || !w->node[i].channel) continue;
    ch_effects fx = {0};
    ch_channel *next;
    ch_env env;
    ch_signer signer = node_signer(w, &w->node[i]);
    node_env(w, &w->node[i], &env);
    if (ch_step(&next, &fx, w->node[i].channel, &env, &ev, &signer)) return fail(w, "a cut was refused");
    ch_channel_free(w->node[i].channel);
    w->node[i].channel = next;
    ch_effects_clear(&fx);
  }
}

void link_connect(world *w) {
  if (w->conn || !w->node[0].alive || !w->node[1].alive) return;
  w->conn = ++w->conns;
  note(w, "connection %llu", (unsigned long long)w->conn);
  ch_event ev = {.kind = CH_EV_LINK_UP};
  for (int i = 0; i < 2; i++)
    node_step(w, &w->node[i], &ev);
}

/* --- Opening: the real messages, without faults (nothing is at stake before the channel is stored) ---------------- */

static bool take_first(ch_effects *fx, ch_msg *m) {
  bool known;
  for (size_t i = 0; i < fx->n; i++)
    if (fx->v[i].kind == CH_FX_SEND) return ch_msg_decode(m, &known, fx->v[i].u.send.bytes, fx->v[i].u.send.len) == 0;
  return false;
}

bool node_open(world *w) {
  node *a = &w->node[0], *b = &w->node[1];
  ch_opening o = {0};
  ch_msg request, accept;
  ch_effects fa = {0}, fb = {0};
  ch_env env;
  ch_hash nonce;
  o.terms = (ch_terms){
      .chain = w->chain,
      .peer = b->node_id,
      .payout = a->address,
      .challenge_period = PERIOD,
      .bond = ch_amount_of(BOND),
      .deposit_mine = ch_amount_of(1000 + rng_below(&w->rng, 5000)),
      .deposit_peer = ch_amount_of(rng_chance(&w->rng, 50) ? rng_below(&w->rng, 3000) : 0),
      .opener_funds = rng_chance(&w->rng, 30),
      .locks = {.count = MAX_LOCKS, .payload = MAX_LOCKS * 32, .longest = LONGEST, .dust = {5}, .in_flight = {600}}};
  rng_hash(&w->rng, &o.nonce);
  rng_hash(&w->rng, &nonce);
  ch_signer sa = node_signer(w, a), sb = node_signer(w, b);
  node_env(w, b, &env);
  bool ok = !ch_open_request(&o, &sa, &fa) && take_first(&fa, &request) &&
            !ch_open_answer(&b->channel, &fb, &env, &request, &a->node_id, &w->chain, &b->address, &nonce, &sb) &&
            take_first(&fb, &accept);
  ch_effects_clear(&fa);
  if (!ok) {
    ch_effects_clear(&fb);
    return false;
  }
  commit(w, b, b->channel, &fb);
  ch_effects_clear(&fb);
  ch_secret ecdh, blind;
  const ch_hash nonces[2] = {o.nonce, nonce};
  if (k_ecdh(sa.ctx, &ecdh, &b->node_id)) return false;
  ch_channel_secrets(&w->salt, &blind, &ecdh, nonces); /* what a cheat knows */
  ok = !ch_open_finish(&a->channel, &fa, &env, &o, &accept, &sa);
  w->conn = ++w->conns;
  if (ok) commit(w, a, a->channel, &fa);
  if (ok) send_all(w, a, &fa, SIZE_MAX);
  ch_effects_clear(&fa);
  return ok;
}
