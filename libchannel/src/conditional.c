/* conditional.c - what becomes of pending locks, in time: paid, given back, taken back, or decided on chain.
 *
 * Source: proto/protocol.md, section 6. Wishes are level-triggered: as long as L has the lock, the operation that would
 * resolve it is proposed again at each new head, and the reveal that would save it is wanted from its time on. */
#include "internal.h"

static pending *mine_to_resolve(ch_channel *c, const ch_hash *lock, ch_err *err) {
  pending *p = lock_find(c, lock, IN_LATEST);
  *err = p ? CH_OK : CH_ERR_UNKNOWN_LOCK;
  return p;
}

static ch_err want(step *s, pending *p, ch_op_kind kind, const char *cause) {
  if (p->want && p->want != kind) return CH_ERR_PHASE; /* it may be on its way to the peer already */
  if (!p->want) {
    s->fx->durable = true;
    set_cause(s, cause);
  }
  p->want = (uint8_t)kind;
  p->tried = 0;
  return CH_OK;
}

ch_err on_fulfil_command(step *s, const ch_hash *lock, const ch_hash *preimage) {
  ch_err err;
  pending *p = mine_to_resolve(s->c, lock, &err);
  if (err) return err;
  if (!lock_is_hash(p)) return p->payer == s->c->me ? want(s, p, CH_OP_FULFIL, "a lock is released") : CH_ERR_ARGUMENT;
  if (p->payer == s->c->me) return CH_ERR_ARGUMENT;
  ch_hash hash;
  ch_preimage_hash(&hash, preimage);
  if (memcmp(hash.b, p->op.u.add.payload, sizeof hash.b) != 0) return CH_ERR_ARGUMENT;
  err = want(s, p, CH_OP_FULFIL, "a lock is fulfilled");
  if (err) return err;
  p->known = true;
  p->preimage = *preimage;
  return CH_OK;
}

ch_err on_cancel_command(step *s, const ch_hash *lock) {
  ch_err err;
  pending *p = mine_to_resolve(s->c, lock, &err);
  if (err) return err;
  return p->payer == s->c->me ? CH_ERR_ARGUMENT : want(s, p, CH_OP_CANCEL, "a lock is given back");
}

/* What can be refused at once is: later it would be a payment that failed. */
ch_err new_locks_fit(step *s, const ch_op *ops, size_t n) {
  replay r = replay_of_latest(s->c);
  ch_err why = CH_OK, err = CH_OK;
  locks_mark(s->c, IN_REPLAY, IN_LATEST);
  for (size_t i = 0; i < n && !err && !why; i++)
    if (ops[i].kind == CH_OP_LOCK_ADD) err = lock_replay(s, &r, s->c->me, &ops[i], &why);
  locks_mark(s->c, IN_REPLAY, 0);
  locks_sweep(s->c);
  if (err == CH_ERR_VIOLATION) return why ? why : CH_ERR_DUPLICATE;
  return err ? err : why;
}

/* --- What the chain says ------------------------------------------------------------------------------- */

ch_err on_reveal(step *s, const ch_reveal *reveal) {
  ch_channel *c = s->c;
  for (size_t i = 0; i < c->n_locks; i++) {
    pending *p = &c->locks[i];
    if (!lock_is_hash(p) || memcmp(p->op.u.add.payload, reveal->hash.b, sizeof reveal->hash.b) != 0) continue;
    p->looked = true;
    p->at_head = reveal->head_time;
    p->at_final = reveal->final_time;
    if (p->known || (!reveal->head_time && !reveal->final_time)) continue;
    p->known = true;
    p->preimage = reveal->preimage;
    s->fx->durable = true;
    set_cause(s, "the preimage of a lock was revealed on chain");
  }
  return CH_OK;
}

bool lock_revealed(const pending *p) {
  return p->at_head && p->at_head <= p->op.valid_until;
}

static bool finally_revealed(const pending *p) {
  return p->at_final && p->at_final <= p->op.valid_until;
}

bool lock_expired(const step *s, const pending *p) {
  return p->looked && s->env->final_time > p->op.valid_until && !lock_revealed(p) && !finally_revealed(p);
}

/* --- Proposing ------------------------------------------------------------------------------------------ */

/* What I would have done with it now; 0: nothing. */
static ch_op_kind wish_of(const step *s, const pending *p) {
  if (p->want) return (ch_op_kind)p->want;
  if (p->payer != s->c->me || !lock_is_hash(p)) return (ch_op_kind)0;
  if (p->known && finally_revealed(p)) return CH_OP_FULFIL; /* the chain has decided: the payee may be gone */
  return lock_expired(s, p) ? CH_OP_EXPIRE : (ch_op_kind)0;
}

ch_err queue_lock_wishes(step *s) {
  ch_channel *c = s->c;
  for (size_t i = c->n_locks; i-- > 0;) {
    const pending *p = &c->locks[i];
    ch_op op = {.kind = (uint8_t)(p->in & IN_LATEST ? wish_of(s, p) : 0)};
    if (!op.kind || (p->tried && p->tried == s->env->head_number)) continue;
    op.u.resolve.lock = p->id;
    op.u.resolve.has_preimage = op.kind == CH_OP_FULFIL && lock_is_hash(p);
    if (op.u.resolve.has_preimage) op.u.resolve.preimage = p->preimage;
    ch_err err = queue_prepend(c, &op);
    if (err) return err;
  }
  return CH_OK;
}

/* Not at this head again: the peer may see an older block. */
void lock_wish_refused(step *s, const ch_op *op) {
  pending *p = op_resolves(op) ? lock_find(s->c, &op->u.resolve.lock, IN_LATEST) : NULL;
  if (p) p->tried = s->env->head_number;
}

/* --- Revealing on chain --------------------------------------------------------------------------------- */

/* While L has the lock the peer can leave with it, so my fulfil has to be on chain in time; nothing else counts. In a
 * dispute no fulfil can be settled any more. */
static bool reveal_is_due(const step *s, const pending *p) {
  const ch_channel *c = s->c;
  const ch_env *env = s->env;
  if (!(p->in & IN_LATEST) || p->payer == c->me || p->want != CH_OP_FULFIL || !lock_is_hash(p)) return false;
  if (p->at_head || env->head_time > p->op.valid_until) return false;
  return phase_of(c) == CH_PHASE_DISPUTED || env->now + env->freshness + env->margin >= p->op.valid_until;
}

ch_err want_reveal(step *s) {
  const ch_channel *c = s->c;
  for (size_t i = 0; i < c->n_locks; i++) {
    const pending *p = &c->locks[i];
    if (!reveal_is_due(s, p)) continue;
    ch_tx tx = {.kind = CH_TX_REVEAL}; /* it belongs to no channel */
    const ch_hash hash = lock_hash(p);
    tx.u.reveal.preimage = p->preimage;
    ch_err err = fx_tx_named(s, &tx, &hash, ch_amount_of(0));
    if (err) return err;
  }
  return CH_OK;
}

/* --- Decided on chain ------------------------------------------------------------------------------------ */

bool locks_decided(const step *s, uint8_t in) {
  for (size_t i = 0; i < s->c->n_locks; i++) {
    const pending *p = &s->c->locks[i];
    if (!(p->in & in) || s->env->head_time > p->op.valid_until) continue;
    if (!lock_is_hash(p) || !lock_revealed(p)) return false;
  }
  return true;
}

/* What the executed state paid out for contracts' locks. */
typedef struct by_contracts {
  ch_i128 left; /* from side 0 to side 1: what is not given to a lock yet */
  bool shared;  /* it does not say what each of them was paid */
} by_contracts;

/* What is left of the executed net when all else is taken off. One lock has all of it; several are known each only if
 * it is the least or the most that they can have been paid together. */
static by_contracts paid_by_contracts(const step *s, uint8_t in, ch_net signed_net) {
  by_contracts paid = {.left = s->c->view.final.ended.net.v - signed_net.v};
  ch_i128 least = 0, most = 0;
  size_t n = 0;
  for (size_t i = 0; i < s->c->n_locks; i++) {
    const pending *p = &s->c->locks[i];
    const ch_i128 all = p->payer == 0 ? (ch_i128)p->op.amount.v : -(ch_i128)p->op.amount.v;
    if (!(p->in & in)) continue;
    if (lock_is_hash(p)) {
      if (finally_revealed(p)) paid.left -= all;
      continue;
    }
    n++;
    if (p->payer == 0)
      most += all;
    else
      least += all;
  }
  paid.shared = n > 1 && paid.left > least && paid.left < most;
  return paid;
}

/* One contract's lock: its share of that. Where only the sum is known the first ones get it, and all say so. */
static ch_err account_contract(step *s, const pending *p, by_contracts *all, uint64_t version, size_t index) {
  ch_i128 mine = p->payer == 0 ? all->left : -all->left;
  if (mine < 0) mine = 0;
  if (mine > (ch_i128)p->op.amount.v) mine = (ch_i128)p->op.amount.v;
  all->left -= p->payer == 0 ? mine : -mine;
  ch_err err = lock_over(s, p, mine > 0, version, index, CH_ERR_EXPIRED);
  if (err) return err;
  ch_effect *e = &s->fx->v[s->fx->n - 1];
  if (mine > 0) e->u.payment.paid.v = (ch_u128)mine;
  if (all->shared) e->u.payment.reason = CH_ERR_SHARED;
  return CH_OK;
}

/* L has it, the executed state does not: my own operation in it resolved it, or the state is older than the lock. */
static ch_err account_missing(step *s, const pending *p, uint64_t executed, bool shown) {
  bool newer = executed > s->c->latest.version;
  if (s->c->frozen || !shown)
    return fx_payment(s, &p->op, p->payer != s->c->me, CH_PAYMENT_UNKNOWN, s->c->epoch, 0, 0,
                      s->c->frozen ? CH_ERR_FROZEN : CH_ERR_PHASE);
  ch_op_kind did = newer ? wish_of(s, p) : (ch_op_kind)0;
  ch_err reason = did == CH_OP_CANCEL ? CH_ERR_CANCELLED : newer ? CH_ERR_EXPIRED : CH_ERR_PHASE;
  return lock_over(s, p, did == CH_OP_FULFIL, executed, 0, reason);
}

bool locks_looked(const ch_channel *c) {
  for (size_t i = 0; i < c->n_locks; i++)
    if (lock_is_hash(&c->locks[i]) && !c->locks[i].looked) return false;
  return true;
}

/* A lock of L is in the executed state if that is L, or an older one that had it already, or one above L that still
 * has it. Those that only a newer state has were never more than proposed: they have an operation of mine. */
ch_err account_locks(step *s, uint64_t executed, bool shown) {
  ch_channel *c = s->c;
  content what;
  bool known = content_known(c, executed, &what);
  uint8_t in = content_locks(c, executed);
  by_contracts paid = known ? paid_by_contracts(s, in, what.net) : (by_contracts){0};
  for (size_t i = 0; i < c->n_locks; i++) {
    const pending *p = &c->locks[i];
    bool older = p->in & IN_LATEST && executed < c->latest.version && executed >= p->since;
    ch_err err = CH_OK;
    if (!(p->in & in) && !older)
      err = p->in & IN_LATEST ? account_missing(s, p, executed, shown) : CH_OK;
    else if (lock_is_hash(p))
      err = lock_over(s, p, finally_revealed(p), executed, i, CH_ERR_EXPIRED);
    else
      err = account_contract(s, p, &paid, executed, i);
    if (err) return err;
  }
  c->n_locks = 0;
  return CH_OK;
}

/* --- Looking --------------------------------------------------------------------------------------------- */

size_t ch_channel_locks(const ch_channel *c, const ch_env *env, ch_lock_info *out, size_t cap) {
  uint64_t before = (uint64_t)env->freshness + env->margin;
  for (size_t i = 0; i < c->n_locks && i < cap; i++) {
    const pending *p = &c->locks[i];
    out[i] = (ch_lock_info){.lock_id = p->id,
                            .incoming = p->payer != c->me,
                            .agreed = (p->in & IN_LATEST) != 0,
                            .op = p->op,
                            .want = p->want,
                            .known = p->known,
                            .preimage = p->preimage,
                            .looked = p->looked,
                            .revealed_head = p->at_head,
                            .reveal_by = p->op.valid_until > before ? p->op.valid_until - before : 0};
  }
  return c->n_locks;
}
