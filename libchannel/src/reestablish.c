/* reestablish.c - what two sides say to each other on a new connection before anything else.
 *
 * Source: proto/protocol.md, section 4 ("Reconnect", "Lost memory"). An unsigned claim never changes anything, except
 * that one waits for the full state; a signature of mine that I do not remember freezes the channel. A frozen side
 * hears and shows states, too: that is how it learns what it has forgotten. Behind a stale head nobody greets: what
 * follows the greetings could not be taken. */
#include "internal.h"

ch_err send_funds(step *s) {
  ch_channel *c = s->c;
  ch_msg m = {.type = CH_MSG_FUNDS, .id = c->id, .epoch = c->epoch};
  m.u.funds.contribution[0] = c->view.final.slots.contribution[0];
  m.u.funds.contribution[1] = c->view.final.slots.contribution[1];
  return fx_send(s->fx, &m);
}

static ch_err send_reestablish(step *s) {
  ch_channel *c = s->c;
  ch_msg m = {.type = CH_MSG_REESTABLISH, .id = c->id, .epoch = c->epoch};
  ch_hash outcome;
  m.u.reestablish.version = c->latest.version;
  if (c->latest.version) latest_digest(c, &outcome, &m.u.reestablish.digest);
  m.u.reestablish.highest_signed = c->highest.version;
  m.u.reestablish.outstanding = c->out.kind == OUT_NONE ? 0 : c->out.version;
  m.u.reestablish.frozen = c->frozen;
  m.u.reestablish.instance = s->env->instance;
  m.u.reestablish.proof_version = c->proof.version;
  m.u.reestablish.proof_outcome = c->proof.outcome_hash;
  m.u.reestablish.proof_sig = c->proof.sig;
  return fx_send(s->fx, &m);
}

/* Whether the two sides have anything to say to each other. */
static bool talks(const ch_channel *c) {
  ch_phase p = phase_of(c);
  return p != CH_PHASE_OPENING && p != CH_PHASE_CLOSED && p != CH_PHASE_ABANDONED;
}

/* This is no step of the peer's message any more but of a block, say: what is wrong with it must not refuse that. */
static ch_err hear_kept(step *s) {
  const ch_msg hello = s->c->link.hello;
  s->c->link.kept = false;
  ch_err err = on_reestablish(s, &hello);
  return err == CH_ERR_VIOLATION ? drop_link(s, err, "the peer's greeting is wrong") : err;
}

ch_err greet(step *s) {
  ch_channel *c = s->c;
  if (!c->link.up || c->link.said || !talks(c) || !chain_fresh(s->env)) return CH_OK;
  c->link.said = true;
  ch_err err = send_reestablish(s);
  return err || !c->link.kept ? err : hear_kept(s);
}

ch_err on_link_up(step *s) {
  ch_channel *c = s->c;
  memset(&c->link, 0, sizeof c->link);
  c->link.up = true;
  bool confirms = c->me == 0 && !c->heard && talks(c);
  ch_err err = confirms ? send_open_confirm(s) : CH_OK;
  return err ? err : greet(s);
}

/* One reestablish of each side for each epoch that the connection lives to see: the peer's may have come already. */
ch_err start_epoch_talk(step *s) {
  ch_channel *c = s->c;
  const link was = c->link;
  memset(&c->link, 0, sizeof c->link);
  c->link.up = was.up;
  c->link.kept = was.kept && was.hello.epoch >= c->epoch;
  if (c->link.kept) c->link.hello = was.hello;
  return greet(s);
}

/* A process start id that returns after another was seen: two copies of the peer are running. */
static ch_err look_at_instance(step *s, const ch_hash *instance) {
  ch_channel *c = s->c;
  if (ch_hash_eq(instance, &c->instance[0])) return CH_OK;
  for (size_t i = 1; i < INSTANCES_KEPT; i++)
    if (!ch_hash_is_zero(&c->instance[i]) && ch_hash_eq(instance, &c->instance[i]))
      return freeze(s, "two copies of the peer are running: it must stop one");
  memmove(&c->instance[1], &c->instance[0], (INSTANCES_KEPT - 1) * sizeof c->instance[0]);
  c->instance[0] = *instance;
  s->fx->durable = true;
  return CH_OK;
}

/* The peer shows the highest signature of mine that it holds. */
static ch_err look_at_proof(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  uint64_t version = m->u.reestablish.proof_version;
  if (!version || version < c->latest.version) return CH_OK;
  ch_state state = {c->id, c->epoch, version, m->u.reestablish.proof_outcome};
  ch_hash digest, outcome, known;
  ch_state_digest(&digest, &c->domain, &state);
  if (ch_verify(&digest, &m->u.reestablish.proof_sig, &c->params.signer[c->me])) return CH_ERR_VIOLATION;
  content what;
  if (version <= c->highest.version && content_known(c, version, &what)) {
    content_digest(c, version, &what, &outcome, &known);
    if (ch_hash_eq(&known, &digest)) return CH_OK;
  }
  note_shown(s, version);
  return freeze(s, "the peer holds a signature of ours that is not in our data: memory was lost");
}

static ch_err send_full_state(step *s) {
  ch_channel *c = s->c;
  ch_msg m = {.type = CH_MSG_FULL_STATE, .id = c->id, .epoch = c->epoch};
  m.u.full_state = c->latest;
  return fx_send(s->fx, &m);
}

/* Same L: each sends what is outstanding, and what it sees confirmed. While a side is frozen, nothing follows. */
static ch_err synced(step *s) {
  s->c->link.wait_full = false;
  if (s->c->frozen || s->c->link.peer_frozen) return CH_OK;
  s->c->link.synced = true;
  resend_outstanding(s);
  return send_funds(s);
}

ch_err on_reestablish(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  if (!c->link.up || !c->agreed) return CH_ERR_VIOLATION;
  if (!c->heard) s->fx->durable = true;
  c->heard = true;
  if (m->epoch > c->epoch || !c->link.said) { /* the ending is final there, here not yet; or I may not greet yet */
    if (c->link.kept && c->link.hello.epoch == m->epoch) return CH_ERR_VIOLATION;
    c->link.kept = true;
    c->link.hello = *m;
    return CH_OK;
  }
  if (c->link.greeted) return CH_ERR_VIOLATION;
  c->link.greeted = true;
  ch_err err = look_at_instance(s, &m->u.reestablish.instance);
  if (!err && c->link.up) err = look_at_proof(s, m);
  if (err || !c->link.up) return err; /* it froze just now: on the next connection it will say so */
  c->link.peer_frozen = m->u.reestablish.frozen;
  if (m->u.reestablish.version > c->latest.version) {
    c->link.wait_full = true;
    return CH_OK;
  }
  if (m->u.reestablish.version < c->latest.version) {
    err = send_full_state(s);
  } else if (c->latest.version) {
    ch_hash outcome, digest;
    latest_digest(c, &outcome, &digest);
    if (!ch_hash_eq(&digest, &m->u.reestablish.digest))
      return freeze(s, "the peer has another state with our latest version");
  }
  return err ? err : synced(s);
}

/* A resume that was signed stands: states below it can no longer win, and the peer may have both. */
static ch_err on_state_of_resume(step *s, const ch_full_state *f) {
  ch_channel *c = s->c;
  const content shown = {f->net, f->locks_hash}, latest = content_latest(c);
  if (f->version != c->resume.version || !content_same(&shown, &latest)) return CH_OK;
  ch_err err = adopt_resume(s, &f->sig[them(c)]);
  return err ? err : drop_link(s, CH_OK, "resumed: both sides greet again");
}

ch_err on_full_state(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  const ch_full_state *f = &m->u.full_state;
  if (!c->link.greeted || m->epoch != c->epoch) return CH_ERR_VIOLATION;
  if (f->version <= c->latest.version) return CH_OK;
  const content what = {f->net, f->locks_hash};
  ch_hash outcome, digest;
  content_digest(c, f->version, &what, &outcome, &digest);
  for (int side = 0; side < 2; side++)
    if (ch_verify(&digest, &f->sig[side], &c->params.signer[side])) return CH_ERR_VIOLATION;
  if (c->resume.version && f->version > c->resume.version) note_shown(s, f->version); /* it is void */
  if (c->resume.version) return on_state_of_resume(s, f);
  if (c->out.kind != OUT_NONE && f->version == c->out.version && content_same(&what, &c->out.what)) {
    ch_err err = adopt(s, &f->sig[them(c)]);
    bool adopted = c->latest.version == f->version;
    return err || !adopted || !c->link.wait_full ? err : synced(s);
  }
  if (!c->frozen && f->version == c->old.version && content_same(&what, &c->old.what)) {
    ch_err err = verify_peer(s, f->version, &what, &f->sig[them(c)]);
    return err ? err : drop_link(s, CH_ERR_VIOLATION, "co-signed a replaced proposal");
  }
  /* Locks that are not known here cannot be read from their hash: then only the chain resolves them. */
  const content latest = content_latest(c);
  bool readable = ch_hash_is_zero(&what.locks_hash) || ch_hash_eq(&what.locks_hash, &latest.locks_hash);
  ch_err err = CH_OK;
  if (readable)
    err = adopt_shown(s, f);
  else
    note_shown(s, f->version);
  if (err) return err;
  return freeze(s, "the peer showed a state signed by us that is not in our data: memory was lost");
}

ch_err on_funds(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  if (!c->link.greeted) return unsynced(c);
  if (m->epoch != c->epoch) return CH_OK;
  c->link.has_funds = true;
  c->link.peer_contribution[0] = m->u.funds.contribution[0];
  c->link.peer_contribution[1] = m->u.funds.contribution[1];
  return CH_OK;
}
