/* liar_says.c - what a lying side says: often what an honest one would, often not. */
#include <stdlib.h>

#include "liar.h"

/* --- Saying --------------------------------------------------------------------------------------------------- */

static void put(world *w, const uint8_t *bytes, size_t len) {
  node *h = honest_of(w);
  if (!w->conn || h->conn != w->conn || !h->alive || h->n_inbox == MAX_INFLIGHT) return;
  uint8_t *copy = (uint8_t *)malloc(len);
  if (!copy) abort();
  memcpy(copy, bytes, len);
  h->inbox[h->n_inbox++] = (message){copy, len, w->conn, w->n_blocks};
}

/* Also out of order, and twice. */
static void say(world *w, ch_msg *m) {
  liar *l = w->liar;
  node *h = honest_of(w);
  said s;
  m->id = l->id;
  if (ch_msg_encode(m, &s.bytes, &s.len)) return;
  note(w, "the liar says %d", (int)m->type);
  put(w, s.bytes, s.len);
  if (h->n_inbox > 1 && rng_chance(&w->rng, 3)) {
    message last = h->inbox[h->n_inbox - 1];
    h->inbox[h->n_inbox - 1] = h->inbox[h->n_inbox - 2];
    h->inbox[h->n_inbox - 2] = last;
    happened(w, K_REORDER);
  }
  if (rng_chance(&w->rng, 3)) {
    put(w, s.bytes, s.len);
    happened(w, K_DUPLICATE);
  }
  said *slot = &l->said[l->n_said++ % MAX_SAID];
  free(slot->bytes);
  *slot = s;
}

/* Something that it said before, on whatever connection. */
static void repeat(world *w) {
  const liar *l = w->liar;
  size_t n = l->n_said < MAX_SAID ? l->n_said : MAX_SAID;
  if (!n) return;
  const said *s = &l->said[rng_below(&w->rng, (unsigned)n)];
  note(w, "the liar repeats itself");
  put(w, s->bytes, s->len);
  happened(w, K_DUPLICATE);
}

/* --- Greeting ------------------------------------------------------------------------------------------------- */

static ch_hash digest_of(const liar *l, const content *c) {
  ch_state st;
  ch_hash digest = {{0}};
  liar_state(l, c, &st);
  if (c->version) ch_state_digest(&digest, &l->domain, &st);
  return digest;
}

/* The highest signature of the honest side that it holds, or another one. */
static void add_proof(world *w, ch_msg *m, const content *c) {
  if (!c || !c->has) return;
  ch_state st;
  liar_state(w->liar, c, &st);
  m->u.reestablish.proof_version = c->version;
  m->u.reestablish.proof_outcome = st.outcome_hash;
  m->u.reestablish.proof_sig = c->sig;
}

static void say_funds(world *w, bool lie) {
  const block *b = chain_head(w);
  ch_msg m = {.type = CH_MSG_FUNDS, .epoch = b->state.slots.epoch};
  for (int i = 0; i < 2; i++)
    m.u.funds.contribution[i] =
        lie ? ch_net_of((int64_t)rng_below(&w->rng, 1u << 30) - 1000) : b->state.slots.contribution[i];
  say(w, &m);
}

static void say_full_state(world *w, const content *c, bool lie) {
  const liar *l = w->liar;
  ch_msg m = {.type = CH_MSG_FULL_STATE, .epoch = c->epoch};
  m.u.full_state.version = c->version;
  m.u.full_state.net = c->net;
  m.u.full_state.locks_hash = c->outcome.locks_hash;
  m.u.full_state.sig[l->side] = liar_sign_state(l, c);
  m.u.full_state.sig[1 - l->side] = c->sig;
  if (lie && rng_chance(&w->rng, 30)) m.u.full_state.net.v += 1;
  if (lie && rng_chance(&w->rng, 20)) m.u.full_state.version += 2;
  say(w, &m);
}

static void greet(world *w, const content *claim, bool lie) {
  liar *l = w->liar;
  ch_msg m = {.type = CH_MSG_REESTABLISH, .epoch = claim->epoch};
  m.u.reestablish.version = claim->version;
  m.u.reestablish.digest = digest_of(l, claim);
  m.u.reestablish.highest_signed = claim->version;
  m.u.reestablish.instance = l->instance;
  add_proof(w, &m, lie ? liar_some(w, true) : claim);
  if (lie) {
    unsigned what = rng_below(&w->rng, 100);
    if (what < 30) m.u.reestablish.version += rng_below(&w->rng, 4);
    if (what >= 30 && what < 60) m.u.reestablish.highest_signed += rng_below(&w->rng, 9);
    if (what >= 60 && what < 80) m.u.reestablish.outstanding = claim->version + 1 + rng_below(&w->rng, 3);
    if (what >= 80 && what < 88) m.epoch += 1;
    if (what >= 88 && what < 92) m.u.reestablish.frozen = true;
    if (what >= 92 && what < 94) m.u.reestablish.instance = l->old_instance; /* as if two copies ran */
    if (what >= 94 && what < 96) m.u.reestablish.proof_sig.b[5] ^= 1;
    if (what >= 96) rng_hash(&w->rng, &l->instance); /* it was started anew */
  }
  say(w, &m);
  l->greeted = true;
}

void liar_greets(world *w) {
  const content *c = liar_latest(w);
  if (!c) return;
  bool lie = rng_chance(&w->rng, 20);
  const content *claim = lie && rng_chance(&w->rng, 30) ? liar_some(w, true) : c;
  if (lie) happened(w, K_LIE_REESTABLISH);
  greet(w, claim ? claim : c, lie);
  if (rng_chance(&w->rng, 90)) say_funds(w, w->optimistic);
  if (claim && claim->has && claim->version > c->version) say_full_state(w, claim, false);
}

/* --- Proposals ------------------------------------------------------------------------------------------------ */

static ch_op some_lock_add(world *w, bool lie) {
  ch_op op = payment_op(w, w->liar->side, ch_amount_of(1 + rng_below(&w->rng, lie ? 1200 : 150)));
  ch_hash secret = preimage_of(&op), hash;
  ch_preimage_hash(&hash, &secret);
  op.kind = CH_OP_LOCK_ADD;
  op.valid_until = w->now + FRESHNESS + MARGIN + rng_below(&w->rng, LONGEST - FRESHNESS - MARGIN);
  if (lie) op.valid_until = w->now + rng_below(&w->rng, 3 * LONGEST);
  op.u.add.payload_len = LOCK_PAYLOAD;
  memcpy(op.u.add.payload, hash.b, sizeof hash.b);
  if (!w->with_contracts || !rng_chance(&w->rng, 30)) return op;
  op.u.add.condition = (ch_addr){{0xc0}};
  op.u.add.gas = lie && rng_chance(&w->rng, 30) ? 1000000 : 1000;
  return op;
}

/* For one of the pending locks: what is right for it, or not. */
static bool some_resolution(world *w, bool lie, ch_op *out) {
  static ch_lock_info locks[MAX_SEEN];
  size_t k = locks_of(w, honest_of(w), locks);
  if (!k) return false;
  const ch_lock_info *lock = &locks[rng_below(&w->rng, (unsigned)k)];
  *out = (ch_op){.kind = CH_OP_FULFIL};
  out->u.resolve.lock = lock->lock_id;
  out->u.resolve.has_preimage = is_hash_lock(&lock->op);
  bool payee = !lock->incoming;
  if (out->u.resolve.has_preimage && (payee || lock->revealed_head)) out->u.resolve.preimage = preimage_of(&lock->op);
  if (!payee && out->u.resolve.has_preimage && !lie) out->kind = CH_OP_EXPIRE; /* often too early */
  if (payee && rng_chance(&w->rng, 30)) out->kind = CH_OP_CANCEL;
  if (lie && rng_chance(&w->rng, 30)) out->kind = (uint8_t)(CH_OP_FULFIL + rng_below(&w->rng, 3));
  if (lie && rng_chance(&w->rng, 30)) out->u.resolve.preimage.b[3] ^= 1;
  if (out->kind != CH_OP_FULFIL) out->u.resolve.has_preimage = false;
  if (!out->u.resolve.has_preimage) out->u.resolve.preimage = (ch_hash){{0}};
  return true;
}

static ch_op some_op(world *w, bool lie) {
  unsigned what = rng_below(&w->rng, 100);
  ch_op op = {.kind = CH_OP_NOOP};
  if (w->paid[w->liar->side] + 1 >= MAX_PAYMENTS || what < 4) return op;
  if (what < 6) return (ch_op){.kind = CH_OP_SHUTDOWN};
  if (what < 9) {
    op.kind = CH_OP_RESERVE;
    op.amount = ch_amount_of(1 + rng_below(&w->rng, lie ? 5000 : 200));
    op.seq = (uint16_t)(chain_head(w)->state.slots.withdraw_seq + (lie && rng_chance(&w->rng, 30)));
    op.valid_until = w->now + 3600 + (lie ? rng_below(&w->rng, 100000) : 0);
    if (rng_chance(&w->rng, 30))
      op.u.to = (ch_target){.set = true, .params_hash = {{0x77}}, .side = (uint8_t)w->liar->side};
    w->liar->reserve = op;
    return op;
  }
  if (w->with_locks && what < 25) return some_lock_add(w, lie);
  if (w->with_locks && what < 45 && some_resolution(w, lie, &op)) return op;
  return payment_op(w, w->liar->side, ch_amount_of(1 + rng_below(&w->rng, lie ? 6000 : 60)));
}

/* What is wrong with a proposal; each is signed as it stands, so that only the rules can refuse it. */
static const content *spoil(world *w, ch_msg *m, const content *base, content *next) {
  unsigned what = rng_below(&w->rng, 100);
  if (what < 20) {
    static const int64_t by[] = {-2, -1, 1, 2, 3, 1000, (int64_t)1 << 40};
    happened(w, K_LIE_VERSION);
    m->u.update.version += (uint64_t)by[rng_below(&w->rng, 7)];
    if (rng_chance(&w->rng, 40)) m->u.update.base += (uint64_t)by[rng_below(&w->rng, 4)];
  } else if (what < 45) { /* its version is there already, with another content */
    happened(w, K_LIE_CONTENT);
    m->u.update.version = base->version;
    if (rng_chance(&w->rng, 80)) m->u.update.base = base->version - (base->version > 1 ? 1 + rng_below(&w->rng, 2) : 0);
  } else if (what < 65 && next->len) {
    happened(w, K_LIE_LOCK);
    next->locks[rng_below(&w->rng, (unsigned)next->len)] ^= 1;
    if (rng_chance(&w->rng, 50)) next->len = 0;
  } else if (what < 80) {
    happened(w, K_LIE_EPOCH);
    next->epoch = (uint16_t)(next->epoch + (rng_chance(&w->rng, 50) ? 1 : -1));
    if (rng_chance(&w->rng, 50)) m->epoch = next->epoch;
  } else {
    next->net.v += rng_chance(&w->rng, 50) ? 1 : -1;
  }
  return liar_content(w, m->u.update.version, next);
}

void liar_proposes(world *w, bool lie) {
  liar *l = w->liar;
  const content *base = lie && rng_chance(&w->rng, 20) ? liar_some(w, false) : liar_latest(w);
  if (!base) return;
  content next;
  ch_op ops[3];
  uint32_t n = 1 + rng_below(&w->rng, 3);
  bool wrong_ops = lie && rng_chance(&w->rng, 35);
  for (uint32_t i = 0; i < n; i++)
    ops[i] = some_op(w, wrong_ops);
  if (!liar_apply(&next, base, l->side, ops, n)) return;
  if (wrong_ops) happened(w, K_LIE_OPS);
  ch_msg m = {.type = CH_MSG_UPDATE, .epoch = base->epoch};
  m.u.update.has_proposal = true;
  m.u.update.base = base->version;
  m.u.update.version = ch_next_version((uint8_t)l->side, base->version);
  m.u.update.n_ops = n;
  m.u.update.ops = ops;
  const content *c = lie && !wrong_ops ? spoil(w, &m, base, &next) : liar_content(w, m.u.update.version, &next);
  if (!c) return;
  m.u.update.sig = liar_sign_state(l, c);
  if (lie && rng_chance(&w->rng, 10)) {
    const content *other = liar_some(w, false);
    if (other) m.u.update.sig = liar_sign_state(l, other);
    happened(w, K_LIE_SPLICE);
  }
  say(w, &m);
}

/* --- Answers -------------------------------------------------------------------------------------------------- */

static bool refuse(world *w, const content *latest, ch_msg *m) {
  const content *c = liar_content(w, w->liar->unanswered + 1, latest);
  if (!c) return false;
  m->u.update.has_refusal = true;
  m->u.update.base = latest->version;
  m->u.update.version = c->version;
  m->u.update.sig = liar_sign_state(w->liar, c);
  m->u.update.refused_op = rng_below(&w->rng, 3);
  m->u.update.reason = CH_ERR_FUNDS;
  return true;
}

void liar_accepts(world *w, const content *c) {
  ch_msg m = {.type = CH_MSG_UPDATE, .epoch = c->epoch};
  m.u.update.has_accept = true;
  m.u.update.accept_version = c->version;
  m.u.update.accept_sig = liar_sign_state(w->liar, c);
  say(w, &m);
}

void liar_answers(world *w) {
  liar *l = w->liar;
  const content *latest = liar_latest(w);
  if (!latest || !l->unanswered) return;
  const content *c = liar_of_version(l, latest->epoch, l->unanswered);
  ch_msg m = {.type = CH_MSG_UPDATE, .epoch = latest->epoch};
  if (rng_chance(&w->rng, 10) && !l->hears_refusal) {
    if (refuse(w, latest, &m)) say(w, &m);
    return;
  }
  if (!c || !c->has) return;
  m.u.update.has_accept = true;
  m.u.update.accept_version = c->version;
  m.u.update.accept_sig = liar_sign_state(l, c);
  if (rng_chance(&w->rng, 8)) { /* the right version with a signature on something else, or an old one again */
    const content *other = liar_some(w, true);
    happened(w, K_LIE_SPLICE);
    if (other) m.u.update.accept_sig = liar_sign_state(l, other);
    if (other && rng_chance(&w->rng, 50)) m.u.update.accept_version = other->version;
  }
  if (rng_chance(&w->rng, 70)) l->unanswered = 0;
  say(w, &m);
}

/* --- Close, Withdraw, Resume ---------------------------------------------------------------------------------- */

static void say_close(world *w, const content *latest, bool lie) {
  const liar *l = w->liar;
  ch_close c = {l->id, latest->epoch, latest->net, w->now + 60 + rng_below(&w->rng, 3400)};
  if (lie && rng_chance(&w->rng, 50)) c.net.v += l->side == 0 ? -5 : 5;
  if (lie && rng_chance(&w->rng, 50)) c.valid_until = w->now + rng_below(&w->rng, 9000);
  ch_hash digest;
  ch_close_digest(&digest, &l->domain, &c);
  ch_msg m = {.type = CH_MSG_CLOSE, .epoch = c.epoch};
  m.u.close.net = c.net;
  m.u.close.valid_until = c.valid_until;
  m.u.close.sig = liar_sign(l, &digest);
  say(w, &m);
}

static const ch_withdraw *last_withdraw(const liar *l) {
  for (size_t i = l->n_papers; i > 0; i--)
    if (l->papers[i - 1].kind == CH_TX_WITHDRAW) return &l->papers[i - 1].u.withdraw;
  return NULL;
}

static void say_withdraw(world *w, const content *latest, bool lie) {
  const liar *l = w->liar;
  ch_withdraw c = {l->id,
                   latest->epoch,
                   chain_head(w)->state.slots.withdraw_seq,
                   (uint8_t)(rng_chance(&w->rng, 80) ? l->side : 1 - l->side),
                   ch_amount_of(1 + rng_below(&w->rng, 300)),
                   w->now + 3600};
  if (!lie && rng_chance(&w->rng, 50)) {
    c.side = (uint8_t)l->side;
    c.seq = l->reserve.seq;
    c.amount = l->reserve.amount;
    c.valid_until = l->reserve.valid_until;
  } else if (!lie && last_withdraw(l)) {
    c = *last_withdraw(l); /* the answer to the honest side's own */
  }
  ch_hash digest;
  ch_withdraw_digest(&digest, &l->domain, &c);
  ch_msg m = {.type = CH_MSG_WITHDRAW, .epoch = c.epoch};
  m.u.withdraw.seq = c.seq;
  m.u.withdraw.side = c.side;
  m.u.withdraw.amount = c.amount;
  m.u.withdraw.valid_until = c.valid_until;
  m.u.withdraw.sig = liar_sign(l, &digest);
  say(w, &m);
}

static void say_resume(world *w, const content *latest) {
  const liar *l = w->liar;
  uint64_t ahead = rng_below(&w->rng, 200000);
  uint64_t version = ch_next_version((uint8_t)l->side, (w->now - 1577836800 + ahead) << 32);
  const content *c = liar_content(w, version, latest);
  if (!c) return;
  ch_msg m = {.type = CH_MSG_RESUME, .epoch = latest->epoch};
  m.u.resume.base = latest->version;
  m.u.resume.version = version;
  m.u.resume.sig = liar_sign_state(l, c);
  if (rng_chance(&w->rng, 70)) { /* as if it were frozen */
    ch_msg hello = {.type = CH_MSG_REESTABLISH, .epoch = latest->epoch};
    hello.u.reestablish.version = latest->version;
    hello.u.reestablish.digest = digest_of(l, latest);
    hello.u.reestablish.highest_signed = latest->version;
    hello.u.reestablish.frozen = true;
    hello.u.reestablish.instance = l->instance;
    link_cut(w, false);
    link_connect(w);
    say(w, &hello);
  }
  say(w, &m);
}

void liar_shows_papers(world *w) {
  const content *latest = liar_latest(w);
  if (!latest) return;
  if (rng_chance(&w->rng, 50))
    say_close(w, latest, false);
  else
    say_withdraw(w, latest, false);
}

void liar_lies(world *w) {
  const content *latest = liar_latest(w);
  unsigned what = rng_below(&w->rng, 100);
  if (!latest) return;
  if (what < 45) return liar_proposes(w, true);
  if (what < 52) return repeat(w);
  const content *c = liar_some(w, true);
  if (what < 60 && c) {
    happened(w, K_LIE_STATE);
    say_full_state(w, c, true);
  } else if (what < 68) {
    happened(w, K_LIE_FUNDS);
    say_funds(w, true);
  } else if (what < 76) {
    happened(w, K_LIE_CLOSE);
    say_close(w, latest, true);
  } else if (what < 84) {
    happened(w, K_LIE_WITHDRAW);
    say_withdraw(w, latest, true);
  } else if (what < 88) {
    happened(w, K_LIE_RESUME);
    say_resume(w, latest);
  } else {
    happened(w, K_LIE_REESTABLISH);
    if (rng_chance(&w->rng, 70)) link_cut(w, false);
    link_connect(w);
    greet(w, latest, true);
  }
}
