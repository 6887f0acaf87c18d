/* dispute.c - what the chain shows, and leaving alone: challenge, refute, settle.
 *
 * Source: proto/protocol.md, sections 4 and 5. Wishes are level-triggered: as long as the chain does not show what is
 * wanted, each look at it gives the same TX effect with the same key, so a reorganisation or a lost transaction heals.
 */
#include "internal.h"

/* Signs Challenge for L as it is now. */
static ch_err sign_challenge(step *s) {
  ch_channel *c = s->c;
  if (!chain_fresh(s->env)) return CH_ERR_STALE;
  ch_challenge what = {.id = c->id,
                       .epoch = c->epoch,
                       .side = c->me,
                       .version = c->latest.version,
                       .valid_until = s->env->now + CHALLENGE_VALIDITY};
  ch_hash digest;
  if (what.version) latest_digest(c, &what.outcome_hash, &digest);
  ch_err err = s->signer->sign_challenge(s->signer->ctx, &c->challenge_sig, &c->chain, &c->nonce[c->me], &what);
  if (err) return err;
  c->revealed = true;
  c->challenge_until = what.valid_until;
  c->challenge_version = what.version;
  s->fx->durable = true;
  return CH_OK;
}

ch_err on_challenge_command(step *s, bool risk_bond) {
  ch_channel *c = s->c;
  const ch_net *k = c->view.head.slots.contribution;
  if (c->frozen && !risk_bond) return CH_ERR_FROZEN;
  ch_phase p = phase_of(c);
  if (p == CH_PHASE_DISPUTED) return CH_OK;
  if (p != CH_PHASE_FUNDING && p != CH_PHASE_OPEN && p != CH_PHASE_SHUTDOWN && p != CH_PHASE_CLOSING)
    return CH_ERR_PHASE;
  if (k[0].v + k[1].v <= 0) return CH_ERR_PHASE; /* no money in it */
  set_cause(s, "challenge asked for here");
  return sign_challenge(s);
}

/* A signed challenge is never given up: its transaction may be mined at any time, and a state newer than it would then
 * cost the bond. L may still grow by an accept of what was signed before. */
static ch_err want_challenge(step *s) {
  ch_channel *c = s->c;
  if (!c->challenge_until || c->view.head.slots.disputed) return CH_OK;
  if (c->challenge_version != c->latest.version || s->env->now > c->challenge_until) {
    ch_err err = sign_challenge(s);
    if (err) return err == CH_ERR_STALE ? CH_OK : err;
  }
  ch_tx tx = {.kind = CH_TX_CHALLENGE, .id = c->id, .params = c->params};
  ch_hash digest;
  ch_challenge *what = &tx.u.challenge.challenge;
  *what = (ch_challenge){.id = c->id,
                         .epoch = c->epoch,
                         .side = c->me,
                         .version = c->challenge_version,
                         .valid_until = c->challenge_until};
  if (what->version) latest_digest(c, &what->outcome_hash, &digest);
  tx.u.challenge.salt = c->salt;
  tx.u.challenge.sig[0] = c->latest.sig[0];
  tx.u.challenge.sig[1] = c->latest.sig[1];
  tx.u.challenge.challenge_sig = c->challenge_sig;
  return fx_tx(s, &tx, what->version, c->params.bond);
}

static ch_err want_refute(step *s) {
  ch_channel *c = s->c;
  ch_tx tx = {.kind = CH_TX_REFUTE, .id = c->id, .params = c->params};
  ch_hash digest;
  tx.u.refute.epoch = c->epoch;
  tx.u.refute.version = c->latest.version;
  latest_digest(c, &tx.u.refute.outcome_hash, &digest);
  tx.u.refute.sig[0] = c->latest.sig[0];
  tx.u.refute.sig[1] = c->latest.sig[1];
  return fx_tx(s, &tx, c->latest.version, ch_amount_of(0));
}

static ch_err want_settle(step *s, const ch_adj_slots *d) {
  ch_channel *c = s->c;
  bool mine = (d->flags & CH_ADJ_CHALLENGER) == c->me || (d->flags & CH_ADJ_FORFEIT);
  if (!mine && s->env->head_time <= d->deadline + ENDING_GRACE) return CH_OK;
  ch_tx tx = {.kind = CH_TX_SETTLE, .id = c->id, .params = c->params};
  tx.u.settle.epoch = c->epoch;
  content what;
  uint8_t locks[CH_LOCKS_BYTES_MAX], in = content_locks(c, d->version);
  if (!content_known(c, d->version, &what) || !locks_decided(s, in)) return CH_OK;
  if (d->version) content_outcome(c, d->version, &what, &tx.u.settle.outcome);
  tx.u.settle.locks = locks;
  tx.u.settle.locks_len = locks_encode(c, in, locks);
  return fx_tx(s, &tx, d->version, ch_amount_of(0));
}

static ch_err answer_dispute(step *s) {
  ch_channel *c = s->c;
  const ch_adj_slots *d = &c->view.head.slots;
  if (!d->disputed || d->epoch != c->epoch) return CH_OK;
  content what;
  ch_hash outcome, digest;
  bool known = content_known(c, d->version, &what);
  if (known && d->version) {
    content_digest(c, d->version, &what, &outcome, &digest);
    known = ch_hash_eq(&outcome, &d->outcome_hash);
  }
  if (!known && d->version >= c->latest.version) {
    note_shown(s, d->version);
    return freeze(s, "the chain shows a state signed by us that is not in our data: memory was lost");
  }
  if (s->env->head_time > d->deadline) return want_settle(s, d);
  return d->version < c->latest.version ? want_refute(s) : CH_OK;
}

/* Whether what was executed is in our data: everything that this side has signed above L is kept, and its last Close.
 */
static bool ending_known(const ch_channel *c, const ch_adj_event *e) {
  content what;
  if (e->kind == CH_ADJ_CLOSED) return c->close.have[c->me] && c->close.net.v == e->net.v;
  return e->version <= c->latest.version || content_known(c, e->version, &what);
}

/* The ending is final: what waited was either in the executed content, or can never be enforced (section 4, rule 6). */
static ch_err account_ending(step *s) {
  ch_channel *c = s->c;
  if (c->accounted || phase_of(c) != CH_PHASE_CLOSED) return CH_OK;
  const ch_onchain *f = &c->view.final;
  bool settled = f->has_ended && f->ended.kind == CH_ADJ_SETTLED && f->ended.epoch == c->epoch;
  uint64_t executed = settled ? f->ended.version : 0;
  if (!locks_looked(c)) return CH_OK;
  bool shown = f->has_ended && f->ended.epoch == c->epoch; /* not: there were more endings since */
  if (shown && !ending_known(c, &f->ended)) {
    ch_err err = freeze(s, "the chain executed what is not in our data: memory was lost");
    if (err) return err;
  }
  for (size_t i = 0; i < c->n_out + c->n_queue; i++) {
    const ch_op *op = &c->ops[i];
    bool in = executed && op->version == executed;
    if (in && op->kind == CH_OP_LOCK_ADD) continue; /* with the others that it has */
    ch_payment_status failed = c->frozen || !shown ? CH_PAYMENT_UNKNOWN : CH_PAYMENT_FAILED;
    ch_err err = fx_payment(s, op, false, in ? CH_PAYMENT_SETTLED : failed, c->epoch, in ? executed : 0, i,
                            in ? CH_OK : CH_ERR_PHASE);
    if (err) return err;
  }
  ch_err err = account_locks(s, executed, shown);
  if (err) return err;
  c->n_out = c->n_queue = 0;
  c->seal = false; /* a restart would queue it again */
  c->reserved.active = false;
  c->withdraw_wanted = ch_amount_of(0);
  memset(&c->out, 0, sizeof c->out);
  c->accounted = true;
  s->fx->durable = true;
  /* In an epoch in which there never was money nothing can have been signed and forgotten. */
  const ch_net *k = f->slots.contribution;
  bool untouched = !k[0].v && !k[1].v && !f->slots.withdraw_seq && !f->slots.disputed;
  return c->frozen && untouched ? thaw(s) : CH_OK;
}

ch_err pursue_chain(step *s) {
  ch_channel *c = s->c;
  ch_err err = account_ending(s);
  if (!err) err = reopen(s);
  if (err || !c->agreed || c->view.head.slots.epoch != c->epoch) return err;
  err = want_deposit(s);
  if (!err) err = want_reveal(s);
  if (!err) err = want_challenge(s);
  return err ? err : answer_dispute(s);
}

static bool same_contributions(const ch_net *a, const ch_net *b) {
  return a[0].v == b[0].v && a[1].v == b[1].v;
}

static void describe_ending(step *s, const ch_onchain *head) {
  if (!head->has_ended || head->ended.kind != CH_ADJ_SETTLED) return set_cause(s, "closed on chain");
  set_cause(s, "settled on chain with version ");
  add_cause_number(s, head->ended.version);
}

static void describe_dispute(step *s, const ch_adj_slots *was, const ch_adj_slots *is) {
  if (was->disputed)
    set_cause(s, "refuted on chain with version ");
  else if ((is->flags & CH_ADJ_CHALLENGER) == s->c->me)
    set_cause(s, "challenge of ours on chain with version ");
  else
    set_cause(s, "challenge of the peer on chain with version ");
  add_cause_number(s, is->version);
}

static void describe_deposits(step *s, const ch_net *contribution) {
  char buf[CH_MONEY_STR];
  set_cause(s, "confirmed deposits: ");
  add_cause(s, ch_net_str(buf, contribution[0]));
  add_cause(s, " and ");
  add_cause(s, ch_net_str(buf, contribution[1]));
}

/* The history's words for what changed; the strongest change speaks. */
static void describe_view(step *s, const ch_chain_view *was, const ch_chain_view *is) {
  const ch_adj_slots *a = &was->head.slots, *b = &is->head.slots;
  const ch_net *k = is->final.slots.contribution;
  if (is->final.slots.epoch > was->final.slots.epoch)
    set_cause(s, "the ending is final");
  else if (b->epoch > a->epoch)
    describe_ending(s, &is->head);
  else if (b->disputed && (!a->disputed || b->version != a->version))
    describe_dispute(s, a, b);
  else if (a->epoch > b->epoch || (a->disputed && !b->disputed))
    set_cause(s, "the chain was reorganised");
  else if (!same_contributions(k, was->final.slots.contribution))
    describe_deposits(s, k);
}

/* Field by field: structs have padding. An ending is named by its epoch: the same epoch ends in one way on one branch,
 * and what was executed may differ on another. */
static bool same_onchain(const ch_onchain *x, const ch_onchain *y) {
  const ch_adj_slots *a = &x->slots, *b = &y->slots;
  if (!same_contributions(a->contribution, b->contribution) || a->withdraw_seq != b->withdraw_seq) return false;
  if (a->epoch != b->epoch || a->disputed != b->disputed || a->version != b->version) return false;
  if (a->challenged_version != b->challenged_version || a->deadline != b->deadline || a->flags != b->flags)
    return false;
  if (!ch_hash_eq(&a->outcome_hash, &b->outcome_hash) || x->has_ended != y->has_ended) return false;
  const ch_adj_event *e = &x->ended, *f = &y->ended;
  return !x->has_ended || (e->kind == f->kind && e->epoch == f->epoch && e->version == f->version &&
                           e->net.v == f->net.v && e->paid[0].v == f->paid[0].v && e->paid[1].v == f->paid[1].v &&
                           e->forfeited == f->forfeited && e->deadline == f->deadline);
}

void note_deposits(ch_channel *c) {
  const ch_net *k = c->view.final.slots.contribution;
  if (c->agreed && (k[0].v || k[1].v)) c->opened = true;
}

ch_err on_view(step *s, const ch_chain_view *view) {
  ch_channel *c = s->c;
  const ch_net *k = view->final.slots.contribution;
  bool funds_changed = !same_contributions(k, c->view.final.slots.contribution);
  bool same = same_onchain(&c->view.head, &view->head) && same_onchain(&c->view.final, &view->final);
  if (!same) s->fx->durable = true;
  describe_view(s, &c->view, view);
  c->view = *view;
  look_for_reveal(c);
  look_for_withdrawal(s);
  note_deposits(c);
  bool alive = view->final.slots.epoch == c->epoch;
  return funds_changed && alive && c->link.synced ? send_funds(s) : CH_OK;
}
