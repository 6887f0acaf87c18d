/* liar_knows.c - what a lying side learns from the messages it is sent: contents, and the honest side's signatures. */
#include "liar.h"

/* --- Contents ------------------------------------------------------------------------------------------------- */

void liar_state(const liar *l, const content *c, ch_state *st) {
  *st = (ch_state){.id = l->id, .epoch = c->epoch, .version = c->version};
  ch_outcome_hash(&st->outcome_hash, &c->outcome);
}

static ch_hash digest_of(const liar *l, const content *c) {
  ch_state st;
  ch_hash digest;
  liar_state(l, c, &st);
  ch_state_digest(&digest, &l->domain, &st);
  return digest;
}

ch_sig liar_sign(const liar *l, const ch_hash *digest) {
  ch_sig sig = {{0}};
  if (ch_sign(&sig, digest, &l->key)) return sig;
  return sig;
}

ch_sig liar_sign_state(const liar *l, const content *c) {
  const ch_hash digest = digest_of(l, c);
  return liar_sign(l, &digest);
}

content *liar_content(world *w, uint64_t version, const content *what) {
  liar *l = w->liar;
  if (l->n == MAX_CONTENTS) return NULL;
  content *c = &l->contents[l->n];
  *c = *what;
  c->version = version;
  c->has = false;
  c->outcome.net = c->net;
  ch_locks_hash(&c->outcome.locks_hash, c->locks, c->len);
  ch_blind(&c->outcome.blind, &w->blind_key, c->epoch, version);
  for (size_t i = 0; i < l->n; i++) {
    content *o = &l->contents[i];
    if (o->epoch == c->epoch && o->version == version && memcmp(&o->outcome, &c->outcome, sizeof o->outcome) == 0)
      return o;
  }
  l->n++;
  return c;
}

const content *liar_latest(world *w) {
  const node *h = honest_of(w);
  ch_state st;
  ch_outcome o;
  ch_sig sig[2];
  if (!h->channel) return NULL;
  ch_channel_latest(h->channel, &st, &o, sig);
  if (!st.version) {
    ch_info info;
    node_info(w, h, &info);
    return liar_content(w, 0, &(content){.epoch = info.epoch});
  }
  for (size_t i = 0; i < w->liar->n; i++) {
    const content *c = &w->liar->contents[i];
    if (c->epoch == st.epoch && c->version == st.version && memcmp(&c->outcome, &o, sizeof o) == 0) return c;
  }
  return NULL;
}

const content *liar_of_version(const liar *l, uint16_t epoch, uint64_t version) {
  for (size_t i = l->n; i > 0; i--)
    if (l->contents[i - 1].epoch == epoch && l->contents[i - 1].version == version) return &l->contents[i - 1];
  return NULL;
}

/* Mostly one of the last ones. */
const content *liar_some(world *w, bool signed_by_honest) {
  const liar *l = w->liar;
  size_t back = rng_chance(&w->rng, 60) ? 6 : l->n, n = l->n;
  for (int tries = 0; tries < 12 && n; tries++) {
    size_t i = rng_below(&w->rng, (unsigned)(back < n ? back : n));
    const content *c = &l->contents[n - 1 - i];
    if (c->version && (c->has || !signed_by_honest)) return c;
  }
  return NULL;
}

/* --- Operations ----------------------------------------------------------------------------------------------- */

static void move(content *c, int payer, ch_amount amount) {
  c->net.v += payer == 0 ? (ch_i128)amount.v : -(ch_i128)amount.v;
}

static bool resolve(content *c, const ch_op *op) {
  size_t at = 0;
  while (at < c->len) {
    ch_lock lock;
    ch_hash id;
    size_t from = at;
    if (ch_lock_decode(&lock, c->locks, c->len, &at)) return false;
    ch_keccak256(&id, c->locks + from, at - from);
    if (!ch_hash_eq(&id, &op->u.resolve.lock)) continue;
    if (op->kind == CH_OP_FULFIL) move(c, lock.payer, lock.amount);
    memmove(c->locks + from, c->locks + at, c->len - at);
    c->len -= at - from;
    return true;
  }
  return false;
}

bool liar_apply(content *out, const content *base, int proposer, const ch_op *ops, size_t n) {
  *out = *base;
  for (size_t i = 0; i < n; i++) {
    const ch_lock lock = ch_op_lock(&ops[i], (uint8_t)proposer);
    switch ((ch_op_kind)ops[i].kind) {
    case CH_OP_PAY: move(out, proposer, ops[i].amount); break;
    case CH_OP_LOCK_ADD:
      if (ch_lock_encode(out->locks, sizeof out->locks, &out->len, &lock)) return false;
      break;
    case CH_OP_FULFIL:
    case CH_OP_CANCEL:
    case CH_OP_EXPIRE:
      if (!resolve(out, &ops[i])) return false;
      break;
    case CH_OP_NOOP:
    case CH_OP_SHUTDOWN:
    case CH_OP_RESERVE: break;
    }
  }
  return true;
}

/* --- Learning ------------------------------------------------------------------------------------------------- */

static bool is_signed(const liar *l, const ch_hash *digest, const ch_sig *sig) {
  return ch_verify(digest, sig, &l->params.signer[1 - l->side]) == CH_OK;
}

/* Which of the contents of this version was signed. */
static void learn_sig(liar *l, uint16_t epoch, uint64_t version, const ch_sig *sig) {
  for (size_t i = l->n; i > 0; i--) {
    content *c = &l->contents[i - 1];
    if (c->epoch != epoch || c->version != version || c->has) continue;
    const ch_hash digest = digest_of(l, c);
    if (!is_signed(l, &digest, sig)) continue;
    c->has = true;
    c->sig = *sig;
    return;
  }
}

static void learn_update(world *w, const ch_msg *m) {
  liar *l = w->liar;
  if (m->u.update.has_accept) learn_sig(l, m->epoch, m->u.update.accept_version, &m->u.update.accept_sig);
  if (!m->u.update.has_proposal && !m->u.update.has_refusal) return;
  l->unanswered = m->u.update.version;
  l->hears_refusal = m->u.update.has_refusal;
  for (size_t i = l->n; i > 0; i--) {
    const content *base = &l->contents[i - 1];
    content next;
    if (base->epoch != m->epoch || base->version != m->u.update.base) continue;
    if (!liar_apply(&next, base, 1 - l->side, m->u.update.ops, m->u.update.has_proposal ? m->u.update.n_ops : 0))
      continue;
    if (liar_content(w, m->u.update.version, &next)) learn_sig(l, m->epoch, m->u.update.version, &m->u.update.sig);
  }
}

static void learn_paper(liar *l, const paper *p, const ch_hash *digest) {
  if (l->n_papers == MAX_PAPERS || !is_signed(l, digest, &p->sig)) return;
  l->papers[l->n_papers++] = *p;
}

static void learn_papers(liar *l, const ch_msg *m) {
  paper p = {.kind = CH_TX_CLOSE, .sig = m->u.close.sig};
  ch_hash digest;
  if (m->type == CH_MSG_CLOSE) {
    p.u.close = (ch_close){l->id, m->epoch, m->u.close.net, m->u.close.valid_until};
    ch_close_digest(&digest, &l->domain, &p.u.close);
    return learn_paper(l, &p, &digest);
  }
  p.kind = CH_TX_WITHDRAW;
  p.sig = m->u.withdraw.sig;
  p.u.withdraw = (ch_withdraw){
      l->id, m->epoch, m->u.withdraw.seq, m->u.withdraw.side, m->u.withdraw.amount, m->u.withdraw.valid_until};
  ch_withdraw_digest(&digest, &l->domain, &p.u.withdraw);
  learn_paper(l, &p, &digest);
}

void liar_learns(world *w, const ch_msg *m) {
  liar *l = w->liar;
  switch (m->type) {
  case CH_MSG_UPDATE: return learn_update(w, m);
  case CH_MSG_FULL_STATE: learn_sig(l, m->epoch, m->u.full_state.version, &m->u.full_state.sig[1 - l->side]); return;
  case CH_MSG_RESUME: {
    const content *base = liar_of_version(l, m->epoch, m->u.resume.base);
    if (base && liar_content(w, m->u.resume.version, base))
      learn_sig(l, m->epoch, m->u.resume.version, &m->u.resume.sig);
    l->unanswered = m->u.resume.version;
    return;
  }
  case CH_MSG_CLOSE:
  case CH_MSG_WITHDRAW: return learn_papers(l, m);
  case CH_MSG_ERROR:
  case CH_MSG_OPEN_REQUEST:
  case CH_MSG_OPEN_ACCEPT:
  case CH_MSG_OPEN_CONFIRM:
  case CH_MSG_FUNDS:
  case CH_MSG_REESTABLISH: return;
  }
}
