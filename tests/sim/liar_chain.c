/* liar_chain.c - what a lying side does on chain, and when it is silent. */
#include "liar.h"

void liar_wants(world *w, ch_amount value, const ch_tx *tx) {
  liar *l = w->liar;
  if (l->n_pool == MAX_POOL) return;
  size_t i = l->n_pool++;
  l->pool[i] = *tx;
  l->value[i] = value;
  if (tx->kind != CH_TX_SETTLE || !tx->u.settle.locks_len) return;
  memcpy(l->pool_locks[i], tx->u.settle.locks, tx->u.settle.locks_len);
  l->pool[i].u.settle.locks = l->pool_locks[i];
}

static void both_sign(const liar *l, const content *c, ch_sig sig[2]) {
  sig[l->side] = liar_sign_state(l, c);
  sig[1 - l->side] = c->sig;
}

/* --- Disputes ------------------------------------------------------------------------------------------------- */

/* NULL: with version 0. */
ch_tx liar_challenge(world *w, const content *c) {
  const liar *l = w->liar;
  ch_tx tx = {.kind = CH_TX_CHALLENGE, .id = l->id, .params = l->params};
  ch_challenge *what = &tx.u.challenge.challenge;
  *what = (ch_challenge){l->id, chain_head(w)->state.slots.epoch, (uint8_t)l->side, 0, {{0}}, w->now + 1000};
  tx.u.challenge.salt = w->salt;
  if (!c || !c->version) return tx;
  ch_state st;
  liar_state(l, c, &st);
  what->version = c->version;
  what->outcome_hash = st.outcome_hash;
  both_sign(l, c, tx.u.challenge.sig);
  return tx;
}

static ch_tx refutation(world *w, const content *c) {
  const liar *l = w->liar;
  ch_tx tx = {.kind = CH_TX_REFUTE, .id = l->id, .params = l->params};
  ch_state st;
  liar_state(l, c, &st);
  tx.u.refute.epoch = c->epoch;
  tx.u.refute.version = c->version;
  tx.u.refute.outcome_hash = st.outcome_hash;
  both_sign(l, c, tx.u.refute.sig);
  return tx;
}

static void settle(world *w) {
  const liar *l = w->liar;
  const ch_adj_slots *d = &chain_head(w)->state.slots;
  ch_tx tx = {.kind = CH_TX_SETTLE, .id = l->id, .params = l->params};
  tx.u.settle.epoch = d->epoch;
  for (size_t i = 0; i < l->n && d->version; i++) {
    ch_state st;
    liar_state(l, &l->contents[i], &st);
    if (st.epoch != d->epoch || st.version != d->version || !ch_hash_eq(&st.outcome_hash, &d->outcome_hash)) continue;
    tx.u.settle.outcome = l->contents[i].outcome;
    tx.u.settle.locks = l->contents[i].locks;
    tx.u.settle.locks_len = l->contents[i].len;
  }
  liar_wants(w, ch_amount_of(0), &tx);
}

void liar_takes_its_money(world *w) {
  if (chain_head(w)->state.slots.disputed && w->now > chain_head(w)->state.slots.deadline) settle(w);
}

static void use_paper(world *w) {
  const liar *l = w->liar;
  if (!l->n_papers) return;
  const paper *p = &l->papers[rng_below(&w->rng, (unsigned)l->n_papers)];
  ch_tx tx = {.kind = p->kind, .id = l->id, .params = l->params};
  ch_hash digest;
  ch_sig *sig = p->kind == CH_TX_CLOSE ? tx.u.close.sig : tx.u.withdraw.sig;
  if (p->kind == CH_TX_CLOSE) {
    tx.u.close.close = p->u.close;
    ch_close_digest(&digest, &l->domain, &p->u.close);
  } else {
    tx.u.withdraw.withdraw = p->u.withdraw;
    ch_withdraw_digest(&digest, &l->domain, &p->u.withdraw);
  }
  sig[l->side] = liar_sign(l, &digest);
  sig[1 - l->side] = p->sig;
  liar_wants(w, ch_amount_of(0), &tx);
}

static void deposit(world *w) {
  const liar *l = w->liar;
  ch_tx tx = {.kind = CH_TX_DEPOSIT, .id = l->id, .params = l->params};
  ch_params_hash(&tx.u.deposit.params_hash, &w->chain, &l->params);
  tx.u.deposit.side = (uint8_t)rng_below(&w->rng, 2);
  tx.u.deposit.epoch = chain_head(w)->state.slots.epoch;
  tx.u.deposit.amount = ch_amount_of(1 + rng_below(&w->rng, 300));
  liar_wants(w, tx.u.deposit.amount, &tx);
}

void liar_on_chain(world *w) {
  const content *c = liar_some(w, true);
  unsigned what = rng_below(&w->rng, 100);
  if (chain_head(w)->state.slots.disputed) {
    if (what < 40 && c) {
      const ch_tx tx = refutation(w, c);
      liar_wants(w, ch_amount_of(0), &tx);
    }
    if (what >= 40 && what < 80) settle(w);
  } else if (what < (w->liar->patient ? 1u : 8u)) {
    const ch_tx tx = liar_challenge(w, rng_chance(&w->rng, 90) ? c : NULL);
    liar_wants(w, w->liar->params.bond, &tx);
  } else if (what < 20) {
    use_paper(w);
  } else if (what < 24 && !w->ending) {
    deposit(w);
  }
}

/* --- Against deadlines ---------------------------------------------------------------------------------------- */

/* It says nothing until whatever is pending is past its expiry: the honest payee goes to the chain in time. */
void liar_falls_silent(world *w) {
  happened(w, K_SILENT);
  note(w, "the liar is silent");
  w->liar->silent = 5 + rng_below(&w->rng, 30);
  link_cut(w, true);
  for (int i = 0; i < 60 && node_claims_pending(w) && !w->failure; i++)
    pass_block(w, STEP - rng_below(&w->rng, 60));
}

static void hears_all(world *w, node *h) {
  while (h->alive && h->n_inbox && !w->failure)
    node_deliver(w, h);
}

/* It signs what it has held back when the honest side cannot make use of it any more. */
void liar_accepts_late(world *w) {
  node *h = honest_of(w);
  ch_info info;
  if (!h->alive || !h->channel) return;
  node_info(w, h, &info);
  const content *c = info.outstanding ? liar_of_version(w->liar, info.epoch, info.outstanding) : NULL;
  uint64_t deadline = chain_head(w)->state.slots.deadline;
  bool dispute = info.phase == CH_PHASE_DISPUTED && deadline > w->now + 60 && !node_claims_pending(w);
  if (!c || !c->has || (!dispute && info.phase != CH_PHASE_ENDING)) return;
  happened(w, K_LATE_ACCEPT);
  note(w, "the liar accepts late");
  if (dispute) {
    h->stalled = false;
    for (int i = 0; i < 4; i++) /* the honest side has had its time to refute */
      pass_block(w, 30);
    w->now = deadline - 5 - rng_below(&w->rng, 40);
    pass_block(w, 0);
  }
  if (!h->alive) return;
  link_connect(w);
  liar_greets(w);
  hears_all(w, h);
  liar_accepts(w, c);
  hears_all(w, h);
}

static void reveal(world *w, const ch_lock_info *lock) {
  ch_tx tx = {.kind = CH_TX_REVEAL};
  tx.u.reveal.preimage = preimage_of(&lock->op);
  liar_wants(w, ch_amount_of(0), &tx);
}

/* In the last block that still counts, or one second too late; and sometimes that block is taken back. */
void liar_reveals_late(world *w) {
  static ch_lock_info locks[MAX_SEEN];
  size_t k = locks_of(w, honest_of(w), locks);
  if (!k || node_claims_pending(w)) return;
  const ch_lock_info *lock = locks;
  while (lock < locks + k && (lock->incoming || !lock->agreed || !is_hash_lock(&lock->op)))
    lock++;
  if (lock == locks + k) return;
  uint64_t at = lock->op.valid_until + rng_below(&w->rng, 2);
  if (at < w->now || at < chain_head(w)->time + BLOCK_SECONDS) return;
  happened(w, K_LIAR_REVEAL);
  note(w, "the liar reveals at the last second");
  reveal(w, lock);
  w->now = at;
  pass_block(w, 0);
  if (rng_chance(&w->rng, 50)) return;
  happened(w, K_REORG_EXPIRY);
  chain_reorganise(w, 1 + (int)rng_below(&w->rng, FINAL_DEPTH));
  if (rng_chance(&w->rng, 50)) reveal(w, lock); /* on the other branch, too */
}

/* It settles behind a stalled node, with the latest state, and then pays with the dead epoch. */
void liar_settles_behind(world *w) {
  node *h = honest_of(w);
  const content *c = liar_latest(w);
  const ch_adj_slots *s = &chain_head(w)->state.slots;
  if (!h->alive || !c || s->disputed || node_phase(w, h->side) != CH_PHASE_OPEN || c->len) return;
  if ((c->version && !c->has) || node_claims_pending(w)) return;
  happened(w, K_DEAD_EPOCH);
  note(w, "the liar settles behind the node's back");
  bool faults = w->faults;
  w->faults = false;
  link_cut(w, false);
  w->liar->n_pool = 0; /* with an old state it could win: nobody looks for longer than the window */
  h->stalled = true;
  const ch_tx tx = liar_challenge(w, c);
  liar_wants(w, w->liar->params.bond, &tx);
  pass_block(w, 30);
  pass_block(w, PERIOD + 30);
  settle(w);
  pass_block(w, 30);
  pass_block(w, 30);
  w->faults = faults;
  link_connect(w);
  liar_greets(w);
  for (int i = 0; i < 3; i++) {
    liar_proposes(w, false);
    hears_all(w, h);
  }
}
