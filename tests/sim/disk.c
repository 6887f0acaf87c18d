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

size_t disk_pending(const disk *d, ch_op *ops) {
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
  if (known && in && !locked) return fail(w, "node %d: payment %.20s was received twice", n->side, row->op.id);
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

void disk_copy(disk *to, const disk *from) {
  free(to->record);
  *to = *from;
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

void disk_commit(world *w, node *n, const ch_channel *next, const ch_effects *fx) {
  if (fx->durable) keep_copy(w, n);
  for (size_t i = 0; i < fx->n; i++) {
    if (fx->v[i].kind == CH_FX_PAYMENT && fx->v[i].u.payment.status == CH_PAYMENT_SETTLED) check_paid(w, n, next);
    if (fx->v[i].kind == CH_FX_PAYMENT) write_payment(w, n, &fx->v[i]);
    if (fx->v[i].kind == CH_FX_TX) write_job(w, n, &fx->v[i]);
    if (fx->v[i].kind == CH_FX_HISTORY) hear(w, n, fx->v[i].u.history.cause);
  }
  if (!fx->durable) return;
  free(n->disk.record);
  if (ch_channel_encode(next, &n->disk.record, &n->disk.len)) return fail(w, "a channel could not be encoded");
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
