/* pending.c - the conditional transfers that are pending, in which contents, and what operations do to them.
 *
 * Source: proto/protocol.md, section 6. A lock is stored once and marked with the contents that have it: L, my
 * outstanding, what I have replaced, and the content that a replay is working out. All of them grow from the same L, so
 * one order serves all: L's locks, then those that my own proposal adds. */
#include "internal.h"

#include <stdlib.h>

pending *lock_find(const ch_channel *c, const ch_hash *id, uint8_t in) {
  for (size_t i = 0; i < c->n_locks; i++)
    if (c->locks[i].in & in && ch_hash_eq(&c->locks[i].id, id)) return &c->locks[i];
  return NULL;
}

bool lock_is_hash(const pending *p) {
  return ch_addr_is_zero(&p->op.u.add.condition);
}

ch_hash lock_hash(const pending *p) {
  ch_hash hash;
  memcpy(hash.b, p->op.u.add.payload, sizeof hash.b);
  return hash;
}

static void tally_add(tally *t, const pending *p) {
  t->locked[p->payer] += p->op.amount.v;
  t->n++;
  t->payload += p->op.u.add.payload_len;
  t->gas += p->op.u.add.gas;
}

static void tally_remove(tally *t, const pending *p) {
  t->locked[p->payer] -= p->op.amount.v;
  t->n--;
  t->payload -= p->op.u.add.payload_len;
  t->gas -= p->op.u.add.gas;
}

tally locks_tally(const ch_channel *c, uint8_t in) {
  tally t = {.n = 0};
  for (size_t i = 0; i < c->n_locks; i++)
    if (c->locks[i].in & in) tally_add(&t, &c->locks[i]);
  return t;
}

void locks_mark(ch_channel *c, uint8_t to, uint8_t from) {
  for (size_t i = 0; i < c->n_locks; i++) {
    pending *p = &c->locks[i];
    p->in = (uint8_t)((p->in & ~to) | (p->in & from ? to : 0));
  }
}

void locks_sweep(ch_channel *c) {
  size_t n = 0;
  for (size_t i = 0; i < c->n_locks; i++) {
    if (!c->locks[i].in) continue;
    if (n != i) c->locks[n] = c->locks[i];
    n++;
  }
  c->n_locks = n;
}

size_t locks_encode(const ch_channel *c, uint8_t in, uint8_t *out) {
  size_t len = 0;
  for (size_t i = 0; i < c->n_locks; i++) {
    const pending *p = &c->locks[i];
    const ch_lock lock = ch_op_lock(&p->op, p->payer);
    if (p->in & in && ch_lock_encode(out, CH_LOCKS_BYTES_MAX, &len, &lock))
      return 0; /* what was added can be encoded */
  }
  return len;
}

_Static_assert(CH_LOCKS_MAX *(CH_LOCK_HEAD + CH_OP_PAYLOAD_MAX) <= CH_LOCKS_BYTES_MAX, "all of them fit");

void locks_hash(const ch_channel *c, uint8_t in, ch_hash *out) {
  uint8_t bytes[CH_LOCKS_BYTES_MAX];
  ch_locks_hash(out, bytes, locks_encode(c, in, bytes));
}

/* --- Hashes that were used ---------------------------------------------------------------------------- */

static bool was_used(const ch_channel *c, const ch_hash *hash) {
  for (size_t i = 0; i < HASHES_KEPT; i++)
    if (memcmp(c->used[i].b, hash->b, sizeof c->used[i].b) == 0) return true;
  return false;
}

static void note_used(ch_channel *c, const pending *p) {
  if (!lock_is_hash(p)) return;
  memmove(c->used + 1, c->used, (HASHES_KEPT - 1) * sizeof c->used[0]);
  memcpy(c->used[0].b, p->op.u.add.payload, sizeof c->used[0].b);
}

/* --- Adding ------------------------------------------------------------------------------------------- */

/* Whether another lock of the replay stands in the way: the same hash would make one reveal pay twice, the same payment
 * id would make two rows one. */
static ch_err look_for_twin(const ch_channel *c, const pending *add, ch_err *why) {
  for (size_t i = 0; i < c->n_locks; i++) {
    const pending *p = &c->locks[i];
    if (!(p->in & IN_REPLAY)) continue;
    bool named =
        p->payer == add->payer && p->op.id_len == add->op.id_len && memcmp(p->op.id, add->op.id, add->op.id_len) == 0;
    if (named) return CH_ERR_VIOLATION;
    if (ch_hash_eq(&p->id, &add->id)) {
      *why = CH_ERR_HASH_USED;
      return CH_ERR_VIOLATION;
    }
    if (!lock_is_hash(p) || !lock_is_hash(add)) continue;
    if (memcmp(p->op.u.add.payload, add->op.u.add.payload, CH_LOCK_HASH_LEN) == 0) *why = CH_ERR_HASH_USED;
  }
  return CH_OK;
}

/* What the two agreed on at open, and a time to the expiry that leaves its payee room to reveal. */
static ch_err within_limits(const step *s, const replay *r, const pending *add) {
  const ch_lock_limits *l = &s->c->limits;
  const ch_env *env = s->env;
  const tally *t = &r->locks; /* with it */
  if (t->n > l->count || t->payload > l->payload || t->gas > l->gas) return CH_ERR_LOCK_LIMIT;
  if (ch_amount_cmp(add->op.amount, l->dust) < 0 || t->locked[add->payer] > l->in_flight.v) return CH_ERR_LOCK_LIMIT;
  if (add->op.valid_until <= env->now + env->freshness + env->margin) return CH_ERR_EXPIRY;
  return add->op.valid_until > env->now + l->longest + (add->payer == s->c->me ? 0 : CLOCK_SKEW) ? CH_ERR_EXPIRY
                                                                                                 : CH_OK;
}

ch_err locks_append(ch_channel *c, const pending *p) {
  pending *v = (pending *)realloc(c->locks, (c->n_locks + 1) * sizeof *v);
  if (!v) return CH_ERR_NO_MEMORY;
  c->locks = v;
  v[c->n_locks++] = *p;
  return CH_OK;
}

static ch_err replay_add(step *s, replay *r, uint8_t side, const ch_op *op, ch_err *why) {
  ch_channel *c = s->c;
  pending p = {.op = *op, .payer = side, .in = IN_REPLAY};
  p.op.version = 0;
  ch_op_lock_id(&p.id, op, side);
  *why = r->shutdown ? CH_ERR_PHASE : CH_OK;
  if (r->locks.n >= CH_LOCKS_MAX) { /* no state could hold it */
    *why = CH_ERR_LOCK_LIMIT;
    return side == c->me ? CH_OK : CH_ERR_VIOLATION;
  }
  ch_err err = look_for_twin(c, &p, why);
  if (!err) err = locks_append(c, &p);
  if (err) return err;
  tally_add(&r->locks, &p);
  r->locks_changed = true;
  if (!*why && lock_is_hash(&p)) {
    const ch_hash hash = lock_hash(&p);
    if (was_used(c, &hash)) *why = CH_ERR_HASH_USED;
  }
  if (!*why) *why = within_limits(s, r, &p);
  return CH_OK;
}

/* --- Resolving ---------------------------------------------------------------------------------------- */

/* A preimage that fits is kept, whoever brought it and whatever becomes of the operation. */
static ch_err take_preimage(step *s, pending *p, const ch_op *op) {
  ch_hash hash;
  if (!op->u.resolve.has_preimage) return CH_ERR_VIOLATION;
  ch_preimage_hash(&hash, &op->u.resolve.preimage);
  if (memcmp(hash.b, p->op.u.add.payload, sizeof hash.b) != 0) return CH_ERR_VIOLATION;
  if (!p->known) s->fx->durable = true;
  p->known = true;
  p->preimage = op->u.resolve.preimage;
  return CH_OK;
}

/* Who may do it at all. A payer may always give its money away; the payee's claim must be one that the chain would
 * still take, or has taken. */
static ch_err replay_fulfil(step *s, pending *p, uint8_t side, const ch_op *op, ch_err *why) {
  if (!lock_is_hash(p)) return side == p->payer && !op->u.resolve.has_preimage ? CH_OK : CH_ERR_VIOLATION;
  if (side != p->payer && s->env->head_time > p->op.valid_until && !lock_revealed(p)) *why = CH_ERR_EXPIRED;
  return take_preimage(s, p, op);
}

static ch_err replay_expire(step *s, const pending *p, uint8_t side, ch_err *why) {
  if (side != p->payer || !lock_is_hash(p)) return CH_ERR_VIOLATION;
  if (!lock_expired(s, p)) *why = CH_ERR_EXPIRY;
  return CH_OK;
}

ch_err lock_replay(step *s, replay *r, uint8_t side, const ch_op *op, ch_err *why) {
  *why = CH_OK;
  if (op->kind == CH_OP_LOCK_ADD) return replay_add(s, r, side, op, why);
  pending *p = lock_find(s->c, &op->u.resolve.lock, IN_REPLAY);
  ch_err err = CH_ERR_VIOLATION;
  if (!p) return err;
  if (op->kind == CH_OP_FULFIL) err = replay_fulfil(s, p, side, op, why);
  if (op->kind == CH_OP_CANCEL && side != p->payer) err = CH_OK;
  if (op->kind == CH_OP_EXPIRE) err = replay_expire(s, p, side, why);
  if (!err && op->kind == CH_OP_FULFIL)
    err = p->payer == 0 ? ch_net_add(&r->what.net, r->what.net, p->op.amount)
                        : ch_net_sub(&r->what.net, r->what.net, p->op.amount);
  if (err) return CH_ERR_VIOLATION;
  p->in &= (uint8_t)~IN_REPLAY;
  tally_remove(&r->locks, p);
  r->locks_changed = true;
  return CH_OK;
}

void lock_undo(ch_channel *c, uint8_t side, const ch_op *op) {
  ch_hash id;
  if (op->kind != CH_OP_LOCK_ADD && !op_resolves(op)) return;
  if (op->kind == CH_OP_LOCK_ADD)
    ch_op_lock_id(&id, op, side);
  else
    id = op->u.resolve.lock;
  for (size_t i = 0; i < c->n_locks; i++)
    if (ch_hash_eq(&c->locks[i].id, &id))
      c->locks[i].in = (uint8_t)(op->kind == CH_OP_LOCK_ADD ? c->locks[i].in & ~IN_REPLAY : c->locks[i].in | IN_REPLAY);
}

/* --- What it means for the payment --------------------------------------------------------------------- */

ch_err lock_over(step *s, const pending *p, bool paid, uint64_t version, size_t index, ch_err reason) {
  note_used(s->c, p);
  ch_err err = fx_payment(s, &p->op, p->payer != s->c->me, paid ? CH_PAYMENT_SETTLED : CH_PAYMENT_FAILED, s->c->epoch,
                          version, index, paid ? CH_OK : reason);
  if (err || !p->known) return err;
  ch_effect *e = &s->fx->v[s->fx->n - 1];
  e->u.payment.has_preimage = true;
  e->u.payment.preimage = p->preimage;
  return CH_OK;
}

ch_err locks_forgotten(step *s) {
  ch_channel *c = s->c;
  for (size_t i = 0; i < c->n_locks; i++) {
    const pending *p = &c->locks[i];
    if (!(p->in & IN_LATEST)) continue;
    ch_err err = fx_payment(s, &p->op, p->payer != c->me, CH_PAYMENT_UNKNOWN, c->epoch, 0, i, CH_ERR_FROZEN);
    if (err) return err;
  }
  return CH_OK;
}

ch_err lock_settled(step *s, uint8_t side, const ch_op *op, uint64_t version, size_t index) {
  ch_channel *c = s->c;
  if (op->kind == CH_OP_LOCK_ADD)
    return fx_payment(s, op, side != c->me, CH_PAYMENT_LOCKED, c->epoch, version, index, CH_OK);
  const pending *p = lock_find(c, &op->u.resolve.lock, IN_LATEST);
  if (!p) return CH_ERR_BUG;
  return lock_over(s, p, op->kind == CH_OP_FULFIL, version, index,
                   op->kind == CH_OP_CANCEL ? CH_ERR_CANCELLED : CH_ERR_EXPIRED);
}
