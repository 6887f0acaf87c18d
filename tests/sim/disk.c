/* disk.c - what is on a node's disk, and the one transaction of an event. */
#include "world.h"

#include <stdlib.h>

/* --- Payments ----------------------------------------------------------------------------------------------- */

ch_op payment_op(world *w, int side, ch_amount amount) {
  char id[24];
  snprintf(id, sizeof id, "p%d-%u", side, w->paid[side]++);
  return ch_op_pay(id, amount);
}

pay_row *disk_row(disk *d, bool in, const ch_op *op) {
  char id[CH_PAYMENT_ID_MAX + 1] = "";
  memcpy(id, op->id, op->id_len);
  const char *dash = strchr(id, '-');
  unsigned long k = dash ? strtoul(dash + 1, NULL, 10) : MAX_PAYMENTS;
  return k < MAX_PAYMENTS ? &(in ? d->in : d->out)[k] : NULL;
}

/* Not settled yet, in the order of their acceptance. */
static size_t pending(const disk *d, ch_op *ops) {
  size_t n = 0;
  for (size_t i = 0; i < MAX_PAYMENTS; i++)
    if (d->out[i].status == CH_PAYMENT_PENDING) ops[n++] = d->out[i].op;
  return n;
}

/* The payee that claimed it in time has it; the payer that pays has the preimage. */
static void check_lock(world *w, const node *n, const pay_row *row, const ch_effect *e) {
  ch_payment_status status = e->u.payment.status;
  bool settled = status == CH_PAYMENT_SETTLED;
  if (status == CH_PAYMENT_LOCKED || status == CH_PAYMENT_PENDING || status == CH_PAYMENT_UNKNOWN) return;
  happened(w, settled ? K_LOCK_PAID : K_LOCK_BACK);
  if (!settled && !e->u.payment.incoming && e->u.payment.reason == CH_ERR_EXPIRED) happened(w, K_LOCK_EXPIRED);
  if (!is_honest(w, n->side)) return;
  if (settled && !e->u.payment.incoming && is_hash_lock(&row->op) && !e->u.payment.has_preimage)
    fail(w, "node %d: payment %.20s is settled without its preimage", n->side, row->op.id);
  if (row->expected && !settled && !w->lost[n->side])
    fail(w, "node %d: payment %.20s was claimed in time and lost: %s", n->side, row->op.id,
         ch_err_name(e->u.payment.reason));
  if (e->u.payment.paid.v > row->op.amount.v) fail(w, "payment %.20s paid more than it held", row->op.id);
}

/* Whether the shutdown is in force in what it has on disk: then nothing new comes in. */
static bool is_shut(const world *w, const node *n) {
  if (!n->channel) return false;
  ch_info info;
  node_info(w, n, &info);
  return info.phase == CH_PHASE_SHUTDOWN;
}

static void write_payment(world *w, node *n, const ch_effect *e) {
  bool in = e->u.payment.incoming;
  ch_payment_status status = e->u.payment.status;
  pay_row *row = disk_row(&n->disk, in, &e->u.payment.op);
  if (!row) return fail(w, "node %d was told of a payment that nobody made", n->side);
  bool known = row->status != 0, locked = row->status == CH_PAYMENT_LOCKED;
  bool again = known && in && !locked && row->status == status;
  if (again && !w->cloned[n->side]) return fail(w, "node %d: payment %.20s was received twice", n->side, row->op.id);
  row->again += again;
  if (known && !locked && row->status != CH_PAYMENT_PENDING && row->status != status)
    return fail(w, "node %d: payment %.20s was final (%d) and changed (%d)", n->side, row->op.id, (int)row->status,
                (int)status);
  if (!known && in && is_shut(w, n)) fail(w, "node %d took a payment after the shutdown", n->side);
  if (!known) {
    *row = (pay_row){.op = e->u.payment.op};
    row->op.version = 0;
  }
  if (row->op.kind == CH_OP_LOCK_ADD) check_lock(w, n, row, e);
  row->status = status;
  row->paid = e->u.payment.paid;
  row->version = e->u.payment.version;
  row->epoch = e->u.payment.epoch;
}

/* --- Calls for the chain ------------------------------------------------------------------------------------- */

static void set_job(world *w, job *j, const ch_effect *e) {
  *j = (job){.key = e->u.tx.key, .tx = e->u.tx.tx, .value = e->u.tx.value, .mined = -1};
  if (j->tx.kind != CH_TX_SETTLE) return;
  if (j->tx.u.settle.locks_len > sizeof j->locks) return fail(w, "too many locks for the simulator");
  if (j->tx.u.settle.locks_len) memcpy(j->locks, e->u.tx.tx.u.settle.locks, j->tx.u.settle.locks_len);
}

static void write_job(world *w, node *n, const ch_effect *e) {
  check_wish(w, n, &e->u.tx.tx);
  for (size_t i = 0; i < n->disk.n_jobs; i++) {
    job *j = &n->disk.jobs[i];
    if (!ch_hash_eq(&j->key, &e->u.tx.key)) continue;
    if (j->failed) set_job(w, j, e);
    return;
  }
  if (n->disk.n_jobs == MAX_JOBS) return fail(w, "too many jobs for the simulator");
  set_job(w, &n->disk.jobs[n->disk.n_jobs++], e);
}

/* --- The whole ----------------------------------------------------------------------------------------------- */

/* Remembers a co-signed state, as a cheat would. */
static void remember_state(world *w, const ch_channel *c) {
  old_state o;
  ch_channel_latest(c, &o.state, &o.outcome, o.sig);
  if (!o.state.version || w->n_states == MAX_STATES) return;
  const ch_state *last = w->n_states ? &w->states[w->n_states - 1].state : NULL;
  if (last && last->version == o.state.version && last->epoch == o.state.epoch) return;
  w->states[w->n_states++] = o;
}

void disk_free(disk *d) {
  free(d->record);
  store_free(d->store);
}

void disk_copy(disk *to, const disk *from) {
  disk_free(to);
  *to = *from;
  to->store = from->store ? store_copy(from->store) : NULL;
  to->record = (uint8_t *)malloc(from->len);
  if (!to->record) abort();
  memcpy(to->record, from->record, from->len);
}

static void keep_copy(world *w, node *n) {
  if (n->disk.latest < 4 || n->copy.record || !n->disk.record) return;
  if (w->broken == BROKEN_BACKUP || rng_chance(&w->rng, 5)) disk_copy(&n->copy, &n->disk);
}

/* No lie makes a node believe that it has lost its memory. */
static void hear(world *w, const node *n, const char *cause) {
  note(w, "node %d: %s", n->side, cause);
  if (strstr(cause, "memory was lost") && !w->lost[n->side] && !w->broken)
    fail(w, "node %d lost nothing: %s", n->side, cause);
}

static store_unit unit_of(world *w, const node *n, const ch_channel *next, const ch_effects *fx) {
  store_unit u = {.channel = next, .fx = fx, .now = w->now};
  ch_info info;
  ch_env env;
  node_env(w, n, &env);
  ch_channel_info(next, &env, &info);
  u.phase = (int)info.phase;
  if (fx->durable && ch_channel_encode(next, &u.record, &u.len)) fail(w, "a channel could not be encoded");
  return u;
}

void disk_try(world *w, node *n, const ch_channel *next, const ch_effects *fx) {
  char why[200];
  if (!n->disk.store) return;
  const store_unit u = unit_of(w, n, next, fx);
  if (!store_commit(n->disk.store, &u, false, why)) fail(w, "the store refused a unit: %s", why);
  free(u.record);
}

/* The mirror's own promises. */
static void advance(world *w, node *n, const ch_channel *next) {
  ch_state st;
  ch_outcome oc;
  ch_sig sig[2];
  ch_channel_latest(next, &st, &oc, sig);
  if (st.epoch < n->disk.epoch) fail(w, "node %d went back to an earlier epoch", n->side);
  if (st.epoch != n->disk.epoch) n->disk.latest = 0;
  n->disk.epoch = st.epoch;
  if (st.version < n->disk.latest) fail(w, "node %d went back in its latest version", n->side);
  n->disk.latest = st.version;
  remember_state(w, next);
}

void disk_commit(world *w, node *n, const ch_channel *next, const ch_effects *fx) {
  char why[200];
  if (fx->durable) keep_copy(w, n);
  const store_unit u = unit_of(w, n, next, fx);
  if (n->disk.store && !store_commit(n->disk.store, &u, true, why)) fail(w, "the store refused a unit: %s", why);
  for (size_t i = 0; i < fx->n; i++) {
    if (fx->v[i].kind == CH_FX_PAYMENT && fx->v[i].u.payment.status == CH_PAYMENT_SETTLED) check_paid(w, n, next);
    if (fx->v[i].kind == CH_FX_PAYMENT) write_payment(w, n, &fx->v[i]);
    if (fx->v[i].kind == CH_FX_TX) write_job(w, n, &fx->v[i]);
    if (fx->v[i].kind == CH_FX_HISTORY) hear(w, n, fx->v[i].u.history.cause);
  }
  if (!fx->durable) return;
  free(n->disk.record);
  n->disk.record = u.record;
  n->disk.len = u.len;
  advance(w, n, next);
}

/* --- Reading -------------------------------------------------------------------------------------------------- */

static bool same_ops(const ch_op *a, size_t n, const ch_op *b, size_t m) {
  for (size_t i = 0; i < n && n == m; i++) {
    bool same = a[i].kind == b[i].kind && a[i].id_len == b[i].id_len && memcmp(a[i].id, b[i].id, a[i].id_len) == 0;
    if (!same || a[i].amount.v != b[i].amount.v || a[i].valid_until != b[i].valid_until) return false;
  }
  return n == m;
}

void disk_load(world *w, node *n) {
  static ch_op ops[MAX_PAYMENTS];
  const disk *d = &n->disk;
  size_t k = pending(d, ops), stored, len;
  uint8_t *record;
  ch_op *queue;
  ch_hash id;
  if (w->broken == BROKEN_OUTBOX) k = 0;
  if (ch_channel_decode(&n->channel, d->record, d->len, ops, k)) return fail(w, "a record did not decode");
  if (!d->store) return;
  id = *ch_channel_id_of(n->channel);
  ch_channel_free(n->channel);
  n->channel = NULL;
  if (!store_load(d->store, &id, &record, &len, &queue, &stored)) return fail(w, "the store lost the channel");
  bool same = len == d->len && memcmp(record, d->record, len) == 0;
  if (!same) fail(w, "node %d: the store gives back another record", n->side);
  if (w->broken == BROKEN_OUTBOX) stored = 0;
  if (!same_ops(queue, stored, ops, k)) fail(w, "node %d: the store gives back other pending payments", n->side);
  if (ch_channel_decode(&n->channel, record, len, queue, stored)) fail(w, "a stored record did not decode");
  free(record);
  free(queue);
}

typedef struct compared {
  world *w;
  node *n;
  size_t rows;
} compared;

static void compare(void *arg, const store_row *row) {
  compared *c = (compared *)arg;
  ch_op op = ch_op_pay(row->id, row->amount);
  const pay_row *mine = disk_row(&c->n->disk, row->incoming, &op);
  c->rows++;
  if (!mine || !mine->status) return fail(c->w, "the store lists a payment %s that was not written", row->id);
  if (mine->again) return; /* each time in another version */
  ch_amount shown = mine->status == CH_PAYMENT_SETTLED ? mine->paid : mine->op.amount;
  if (mine->status != row->status || shown.v != row->amount.v)
    fail(c->w, "the store says of %s status %d, %llu; it was %d, %llu", row->id, (int)row->status,
         (unsigned long long)row->amount.v, (int)mine->status, (unsigned long long)shown.v);
  if (mine->status == CH_PAYMENT_SETTLED && (mine->epoch != row->epoch || mine->version != row->version))
    fail(c->w, "the store has %s in another version", row->id);
}

void disk_check(world *w, node *n) {
  compared c = {w, n, 0};
  size_t rows = 0;
  if (!n->disk.store || w->failure) return;
  if (!store_rows(n->disk.store, compare, &c)) return fail(w, "the store cannot be read");
  for (size_t i = 0; i < MAX_PAYMENTS; i++)
    rows += (size_t)(n->disk.out[i].status != 0) + (size_t)(n->disk.in[i].status != 0) + n->disk.in[i].again;
  if (rows != c.rows) fail(w, "the store lists %zu payments, %zu were written", c.rows, rows);
}
