/* update.c - proposals, accepts and refusals: one round trip, either side, never two contents for one version.
 *
 * Source: proto/protocol.md, section 4, rules 1 to 7. Whatever one step has to say goes out as one UPDATE message
 * (s->update): the accept of what came and the next proposal together, so that under load the sides alternate. */
#include "internal.h"

#include <stdlib.h>

static void note_change(ch_channel *c, uint64_t version, const content *was, const content *is) {
  if (!content_same(was, is) && version > c->changed_at) c->changed_at = version;
}

/* L becomes (version, what), signed by both, with the locks marked `in`. What I have signed between the old L and the
 * new one counts as a change too: the peer can still put it on the chain. */
void set_latest(ch_channel *c, uint64_t version, const content *what, uint8_t in, const ch_sig *mine,
                const ch_sig *theirs) {
  const content was = content_latest(c);
  note_change(c, c->latest.version, &was, what);
  note_change(c, c->out.version, &c->out.what, what);
  note_change(c, c->old.version, &c->old.what, what);
  c->latest.version = version;
  c->latest.net = what->net;
  c->latest.locks_hash = what->locks_hash;
  c->latest.sig[c->me] = *mine;
  c->latest.sig[them(c)] = *theirs;
  locks_mark(c, IN_LATEST, in);
  for (size_t i = 0; i < c->n_locks; i++)
    if (c->locks[i].in & IN_LATEST && !c->locks[i].since) c->locks[i].since = version;
  if (c->old.version > version) return;
  memset(&c->old, 0, sizeof c->old);
  locks_mark(c, IN_OLD, 0);
}

void drop_out(ch_channel *c) {
  memset(&c->out, 0, sizeof c->out);
  locks_mark(c, IN_OUT, 0);
}

void say_accept(step *s, uint64_t version, const ch_sig *sig) {
  s->update.u.update.has_accept = true;
  s->update.u.update.accept_version = version;
  s->update.u.update.accept_sig = *sig;
}

void resend_outstanding(step *s) {
  const ch_channel *c = s->c;
  if (c->out.kind == OUT_NONE) return;
  bool proposal = c->out.kind == OUT_PROPOSAL;
  s->update.u.update.has_proposal = proposal;
  s->update.u.update.has_refusal = !proposal;
  s->update.u.update.base = c->latest.version;
  s->update.u.update.version = c->out.version;
  s->update.u.update.sig = c->out.sig;
  s->update.u.update.refused_op = c->out.refused_op;
  s->update.u.update.reason = (uint32_t)c->out.reason;
  s->update.u.update.ops = proposal ? c->ops : NULL;
  s->update.u.update.n_ops = proposal ? (uint32_t)c->n_out : 0;
}

/* Whether my outstanding, once co-signed, is as good as executed: there is time to bring it to the chain, and the chain
 * is not free to execute a Close of mine instead. Else the ending decides (rule 6). */
static bool would_hold(const ch_channel *c, const ch_env *env) {
  const ch_adj_slots *head = &c->view.head.slots;
  if (head->epoch != c->epoch) return false;
  const content closed = {.net = c->close.net};
  if (c->close.mine_until && !content_same(&closed, &c->out.what)) return false;
  return !head->disputed || env->now + c->params.challenge_period / 2 <= head->deadline;
}

/* An operation of `side` that L is about to have. */
static ch_err op_settled(step *s, uint8_t side, const ch_op *op, uint64_t version, size_t index) {
  switch ((ch_op_kind)op->kind) {
  case CH_OP_NOOP:
  case CH_OP_SHUTDOWN:
  case CH_OP_RESERVE: return CH_OK;
  case CH_OP_PAY: return fx_payment(s, op, side != s->c->me, CH_PAYMENT_SETTLED, s->c->epoch, version, index, CH_OK);
  case CH_OP_LOCK_ADD:
  case CH_OP_FULFIL:
  case CH_OP_CANCEL:
  case CH_OP_EXPIRE: return lock_settled(s, side, op, version, index);
  }
  return CH_ERR_BUG;
}

ch_err adopt(step *s, const ch_sig *peer_sig) {
  ch_channel *c = s->c;
  ch_err err = verify_peer(s, c->out.version, &c->out.what, peer_sig);
  if (err) return err;
  if (!chain_fresh(s->env)) return CH_ERR_STALE;
  if (!would_hold(c, s->env)) return CH_OK;
  for (size_t i = 0; i < c->n_out; i++) {
    if (c->ops[i].kind == CH_OP_SHUTDOWN) c->shutdown = true;
    if (c->ops[i].kind == CH_OP_SHUTDOWN || c->ops[i].kind == CH_OP_NOOP) c->seal = false;
    if (c->ops[i].kind == CH_OP_RESERVE) c->reserved = reservation_by(c->me, &c->ops[i]);
    err = op_settled(s, c->me, &c->ops[i], c->out.version, i);
    if (err) return err;
  }
  set_latest(c, c->out.version, &c->out.what, IN_OUT, &c->out.sig, peer_sig);
  if (c->n_out) memmove(c->ops, c->ops + c->n_out, c->n_queue * sizeof *c->ops);
  c->n_out = 0;
  drop_out(c);
  s->fx->durable = true;
  if (c->shutdown) set_cause(s, "shutdown agreed");
  return CH_OK;
}

/* An operation of mine that can never be enforced. */
ch_err op_failed(step *s, const ch_op *op, size_t index, ch_err reason) {
  if (op->kind == CH_OP_RESERVE) withdraw_failed(s, reason);
  lock_wish_refused(s, op);
  return fx_payment(s, op, false, CH_PAYMENT_FAILED, s->c->epoch, 0, index, reason);
}

/* Rule 5: only for exactly my outstanding. A late accept of a content that I have replaced is kept as evidence. */
static ch_err on_accept(step *s, uint64_t version, const ch_sig *sig) {
  ch_channel *c = s->c;
  if (version <= c->latest.version) return CH_OK;
  if (c->out.kind != OUT_NONE && version == c->out.version) return adopt(s, sig);
  if (version != c->old.version) return CH_ERR_VIOLATION;
  ch_err err = verify_peer(s, version, &c->old.what, sig);
  if (err) return err;
  return drop_link(s, CH_ERR_VIOLATION, "late accept of a replaced proposal");
}

static replay replay_start(ch_channel *c) {
  locks_mark(c, IN_REPLAY, IN_LATEST);
  return replay_of_latest(c);
}

static void replay_end(const ch_channel *c, replay *r) {
  if (r->locks_changed) locks_hash(c, IN_REPLAY, &r->what.locks_hash);
}

/* One operation of `side` on top of *r: CH_ERR_VIOLATION if that is impossible, and in *why whether it may not be
 * signed now: rule 2 and the validity rule of section 3. */
static ch_err replay_op(step *s, replay *r, uint8_t side, const ch_op *op, ch_err *why) {
  ch_net *net = &r->what.net;
  ch_err err = CH_OK;
  *why = CH_OK;
  switch ((ch_op_kind)op->kind) {
  case CH_OP_NOOP: return CH_OK;
  case CH_OP_SHUTDOWN: r->shutdown = true; return CH_OK;
  case CH_OP_RESERVE: *why = reserve(s, r, side, op); return CH_OK;
  case CH_OP_FULFIL:
  case CH_OP_CANCEL:
  case CH_OP_EXPIRE: return lock_replay(s, r, side, op, why); /* no balance less locks gets smaller */
  case CH_OP_LOCK_ADD: err = lock_replay(s, r, side, op, why); break;
  case CH_OP_PAY:
    if (r->shutdown) *why = CH_ERR_PHASE;
    err = side == 0 ? ch_net_add(net, *net, op->amount) : ch_net_sub(net, *net, op->amount);
    if (err) return CH_ERR_VIOLATION;
    break;
  }
  if (!err && !*why) *why = content_valid(s->c, r);
  return err;
}

/* What the peer's operations lead to, and the first that may not be signed now, or n if all may. */
static ch_err replay_all(step *s, replay *r, const ch_op *ops, size_t n, size_t *bad, ch_err *reason) {
  *r = replay_start(s->c);
  *bad = n;
  for (size_t i = 0; i < n; i++) {
    ch_err why, err = replay_op(s, r, them(s->c), &ops[i], &why);
    if (err) return err;
    if (!why || *bad < n) continue;
    *bad = i;
    *reason = why;
  }
  replay_end(s->c, r);
  return CH_OK;
}

static ch_err accept_proposal(step *s, const ch_msg *m, const replay *after) {
  ch_channel *c = s->c;
  ch_sig mine;
  ch_err err = sign_content(s, m->u.update.version, &after->what, &mine);
  for (size_t i = 0; i < m->u.update.n_ops && !err; i++) {
    const ch_op *op = &m->u.update.ops[i];
    if (op->kind == CH_OP_SHUTDOWN) set_cause(s, "shutdown asked for by the peer");
    if (op->kind == CH_OP_RESERVE)
      set_cause(s, op->u.to.set ? "move asked for by the peer" : "withdrawal asked for by the peer");
    err = op_settled(s, them(c), op, m->u.update.version, i);
  }
  if (err) return err;
  set_latest(c, m->u.update.version, &after->what, IN_REPLAY, &mine, &m->u.update.sig);
  queue_requeue_out(c); /* crossing: my dropped operations are proposed again */
  drop_out(c);
  c->shutdown = after->shutdown;
  c->reserved = after->reserved;
  say_accept(s, m->u.update.version, &mine);
  return CH_OK;
}

/* Rule 4: the content of L at exactly v + 1. My own proposal, if any, stays enforceable by the peer: remember it. */
static ch_err refuse_proposal(step *s, const ch_msg *m, size_t index, ch_err reason) {
  ch_channel *c = s->c;
  outstanding refusal = {.kind = OUT_REFUSAL,
                         .version = m->u.update.version + 1,
                         .what = content_latest(c),
                         .refused_op = (uint32_t)index,
                         .reason = reason};
  ch_err err = sign_content(s, refusal.version, &refusal.what, &refusal.sig);
  if (err) return err;
  if (c->out.kind == OUT_PROPOSAL) {
    c->old.version = c->out.version;
    c->old.what = c->out.what;
    locks_mark(c, IN_OLD, IN_OUT);
    queue_requeue_out(c);
  }
  c->out = refusal;
  locks_mark(c, IN_OUT, IN_LATEST);
  resend_outstanding(s);
  return CH_OK;
}

static ch_err on_proposal(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  uint64_t base = m->u.update.base, version = m->u.update.version;
  if (version <= c->latest.version) { /* rule 5: a repeated proposal equal to L gets the same accept */
    if (version == c->latest.version && ch_sig_eq(&m->u.update.sig, &c->latest.sig[them(c)]))
      say_accept(s, version, &c->latest.sig[c->me]);
    return CH_OK;
  }
  if (!may_sign_state(c)) return CH_OK; /* and L may lack an accept that was left alone */
  if (base != c->latest.version || version != ch_next_version(them(c), base)) return CH_ERR_VIOLATION;
  replay after;
  ch_err reason = CH_OK;
  size_t bad;
  ch_err err = replay_all(s, &after, m->u.update.ops, m->u.update.n_ops, &bad, &reason);
  if (!err) err = verify_peer(s, version, &after.what, &m->u.update.sig);
  if (err) return err;
  if (c->out.kind != OUT_NONE && version < c->out.version) return CH_OK; /* rule 3: crossing, mine is higher */
  if (bad < m->u.update.n_ops) return refuse_proposal(s, m, bad, reason);
  return accept_proposal(s, m, &after);
}

/* Why the peer says it refused, if that can be a reason. */
static ch_err reason_of(uint32_t said) {
  switch (said) {
  case CH_ERR_PHASE: return CH_ERR_PHASE;
  case CH_ERR_LOCK_LIMIT: return CH_ERR_LOCK_LIMIT;
  case CH_ERR_EXPIRY: return CH_ERR_EXPIRY;
  case CH_ERR_HASH_USED: return CH_ERR_HASH_USED;
  default: return CH_ERR_FUNDS;
  }
}

/* What depends on nothing that two sides may see differently. */
static bool never_refused(const ch_op *op) {
  return op->kind == CH_OP_NOOP || op->kind == CH_OP_SHUTDOWN || op->kind == CH_OP_CANCEL;
}

static ch_err on_refusal(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  uint64_t version = m->u.update.version;
  if (version <= c->latest.version || !may_sign_state(c)) return CH_OK;
  if (m->u.update.base != c->latest.version) return CH_ERR_VIOLATION;
  const content what = content_latest(c);
  ch_err err = verify_peer(s, version, &what, &m->u.update.sig);
  if (err) return err;
  if (c->out.kind != OUT_NONE && version < c->out.version) return CH_OK;
  if (c->out.kind != OUT_PROPOSAL || version != c->out.version + 1) return CH_ERR_VIOLATION;
  if (m->u.update.refused_op >= c->n_out) return CH_ERR_VIOLATION;
  size_t index = m->u.update.refused_op;
  if (never_refused(&c->ops[index])) return CH_ERR_VIOLATION;
  ch_sig mine;
  err = sign_content(s, version, &what, &mine);
  if (err) return err;
  set_latest(c, version, &what, IN_LATEST, &mine, &m->u.update.sig);
  /* Rule 6: L is now above every version of mine that contains it, so it can never be enforced. */
  err = op_failed(s, &c->ops[index], index, reason_of(m->u.update.reason));
  if (err) return err;
  queue_remove_out(c, index);
  queue_requeue_out(c);
  drop_out(c);
  say_accept(s, version, &mine);
  return CH_OK;
}

ch_err on_update(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  const bool resumes = c->resume.version && m->epoch == c->epoch && m->u.update.has_accept &&
                       m->u.update.accept_version == c->resume.version;
  if (c->frozen ? !resumes : !c->link.synced) return unsynced(c);
  if (m->epoch != c->epoch) return CH_ERR_VIOLATION;
  ch_err err = CH_OK;
  if (resumes)
    err = adopt_resume(s, &m->u.update.accept_sig);
  else if (m->u.update.has_accept)
    err = on_accept(s, m->u.update.accept_version, &m->u.update.accept_sig);
  if (err || !c->link.synced) return err;
  if (m->u.update.has_proposal) return on_proposal(s, m);
  return m->u.update.has_refusal ? on_refusal(s, m) : CH_OK;
}

/* Whether the peer, from what it said it sees confirmed, would find my side covered. */
static bool peer_sees(const ch_channel *c, const replay *r) {
  ch_i128 mine = c->link.peer_contribution[c->me].v;
  mine += c->me == 0 ? -r->what.net.v : r->what.net.v;
  if (r->reserved.active && r->reserved.side == c->me) mine -= (ch_i128)r->reserved.amount.v;
  mine -= (ch_i128)r->locks.locked[c->me];
  return mine >= 0;
}

/* Whether the proposer has less to spend afterwards. */
static bool spends(const ch_op *op) {
  return op->kind == CH_OP_PAY || op->kind == CH_OP_RESERVE || op->kind == CH_OP_LOCK_ADD;
}

/* Takes operations from the head of the queue into a batch. Those that can no longer be valid fail: no signature
 * above L contains them, because nothing of mine is outstanding. */
static ch_err fill_batch(step *s, size_t *taken, content *what) {
  ch_channel *c = s->c;
  replay r = replay_start(c);
  size_t n = 0, seen = 0;
  for (; n < CH_MAX_OPS && seen < c->n_queue; seen++) {
    ch_op *op = &c->ops[seen];
    if (op->kind == CH_OP_RESERVE) stamp_reserve(s, op);
    bool again = op->kind == CH_OP_SHUTDOWN && r.shutdown && !c->seal;
    replay after = r;
    ch_err reason, err = replay_op(s, &after, c->me, op, &reason);
    if (err == CH_ERR_NO_MEMORY) return err;
    if (err || reason || again) {
      if (!err) lock_undo(c, c->me, op);
      err = op_failed(s, op, n, err && !reason ? CH_ERR_DUPLICATE : reason);
      if (err) return err;
      continue;
    }
    if (spends(op) && (!c->link.has_funds || !peer_sees(c, &after))) {
      lock_undo(c, c->me, op);
      break;
    }
    r = after;
    c->ops[n++] = *op;
  }
  if (n < seen) memmove(c->ops + n, c->ops + seen, (c->n_queue - seen) * sizeof *c->ops);
  c->n_queue -= seen - n;
  *taken = n;
  replay_end(c, &r);
  *what = r.what;
  return CH_OK;
}

ch_err propose(step *s) {
  ch_channel *c = s->c;
  if (c->out.kind != OUT_NONE || (!c->n_queue && !c->n_locks)) return CH_OK;
  if (!c->link.synced || (!c->link.has_funds && !c->seal) || c->link.peer_frozen) return CH_OK;
  if (!may_sign_state(c) || !chain_fresh(s->env)) return CH_OK;
  size_t n;
  outstanding out = {.kind = OUT_PROPOSAL};
  ch_err err = queue_lock_wishes(s);
  if (!err) err = fill_batch(s, &n, &out.what);
  if (err || !n) return err;
  out.version = ch_next_version(c->me, c->latest.version);
  err = sign_content(s, out.version, &out.what, &out.sig);
  if (err) return err;
  for (size_t i = 0; i < n; i++)
    c->ops[i].version = out.version;
  c->out = out;
  locks_mark(c, IN_OUT, IN_REPLAY);
  c->n_out = n;
  c->n_queue -= n;
  resend_outstanding(s);
  return CH_OK;
}
