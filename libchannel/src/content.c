/* content.c - what a version of the channel says, whether it is valid, and signing it.
 *
 * Source: proto/protocol.md, section 3 (contents and validity) and section 4 (rule 7, freshness). */
#include "internal.h"

content content_latest(const ch_channel *c) {
  return (content){c->latest.net, c->latest.locks_hash};
}

bool content_same(const content *a, const content *b) {
  return a->net.v == b->net.v && ch_hash_eq(&a->locks_hash, &b->locks_hash);
}

void content_outcome(const ch_channel *c, uint64_t version, const content *what, ch_outcome *out) {
  memset(out, 0, sizeof *out);
  out->net = what->net;
  out->locks_hash = what->locks_hash;
  ch_blind(&out->blind, &c->blind_key, c->epoch, version);
}

static void hash_outcome(const ch_channel *c, uint64_t version, const ch_outcome *outcome, ch_hash *outcome_hash,
                         ch_hash *digest) {
  ch_outcome_hash(outcome_hash, outcome);
  ch_state state = {c->id, c->epoch, version, *outcome_hash};
  ch_state_digest(digest, &c->domain, &state);
}

void content_digest(const ch_channel *c, uint64_t version, const content *what, ch_hash *outcome_hash,
                    ch_hash *digest) {
  ch_outcome outcome;
  content_outcome(c, version, what, &outcome);
  hash_outcome(c, version, &outcome, outcome_hash, digest);
}

/* The same, from memory if this was the last content to be hashed: one side signs what the other has signed. */
static const hashed *hash_content(ch_channel *c, uint64_t version, const content *what) {
  hashed *h = &c->hashed;
  const content last = {h->outcome.net, h->outcome.locks_hash};
  if (h->version == version && h->epoch == c->epoch && version && content_same(&last, what)) return h;
  h->epoch = c->epoch;
  h->version = version;
  content_outcome(c, version, what, &h->outcome);
  hash_outcome(c, version, &h->outcome, &h->outcome_hash, &h->digest);
  return h;
}

void latest_digest(const ch_channel *c, ch_hash *outcome_hash, ch_hash *digest) {
  const content what = content_latest(c);
  content_digest(c, c->latest.version, &what, outcome_hash, digest);
}

replay replay_of_latest(const ch_channel *c) {
  return (replay){
      .what = content_latest(c), .shutdown = c->shutdown, .reserved = c->reserved, .locks = locks_tally(c, IN_LATEST)};
}

ch_err content_valid(const ch_channel *c, const replay *r) {
  const ch_net *k = c->view.final.slots.contribution;
  const ch_net net = r->what.net, to[2] = {{-net.v}, net};
  for (int side = 0; side < 2; side++) {
    ch_net left;
    ch_err err = ch_net_sum(&left, k[side], to[side]);
    if (!err && r->reserved.active && r->reserved.side == side) err = ch_net_sub(&left, left, r->reserved.amount);
    if (!err && r->locks.locked[side] > CH_MONEY_MAX) err = CH_ERR_OVERFLOW;
    if (!err) err = ch_net_sub(&left, left, (ch_amount){r->locks.locked[side]});
    if (err) return err;
    if (left.v < 0) return CH_ERR_FUNDS;
  }
  return CH_OK;
}

bool content_known(const ch_channel *c, uint64_t version, content *what) {
  memset(what, 0, sizeof *what);
  if (version == CH_VERSION_NONE) return true;
  if (version == c->latest.version) {
    *what = content_latest(c);
    return true;
  }
  if (c->out.kind != OUT_NONE && version == c->out.version) {
    *what = c->out.what;
    return true;
  }
  if (c->resume.version && version == c->resume.version) {
    *what = content_latest(c);
    return true;
  }
  if (version == c->old.version) {
    *what = c->old.what;
    return true;
  }
  return false;
}

uint8_t content_locks(const ch_channel *c, uint64_t version) {
  if (version == CH_VERSION_NONE) return 0;
  if (version == c->latest.version) return IN_LATEST;
  if (c->resume.version && version == c->resume.version) return IN_LATEST; /* it repeats L */
  if (c->out.kind != OUT_NONE && version == c->out.version) return IN_OUT;
  return version == c->old.version ? IN_OLD : 0;
}

bool chain_fresh(const ch_env *env) {
  return env->head_time != 0 && env->now <= env->head_time + env->freshness;
}

bool may_sign_state(const ch_channel *c) {
  if (c->frozen) return false;
  ch_phase p = phase_of(c);
  return p == CH_PHASE_FUNDING || p == CH_PHASE_OPEN || p == CH_PHASE_SHUTDOWN;
}

ch_err sign_content(step *s, uint64_t version, const content *what, ch_sig *sig) {
  ch_channel *c = s->c;
  if (!chain_fresh(s->env)) return CH_ERR_STALE;
  if (c->frozen && !s->resuming) return CH_ERR_FROZEN;
  if (version <= c->highest.version) return CH_ERR_DOUBLE_SIGN;
  const hashed *h = hash_content(c, version, what);
  const ch_sign_state request = {.chain = c->chain,
                                 .key_nonce = c->nonce[c->me],
                                 .params = c->params,
                                 .side = c->me,
                                 .base = c->latest.version,
                                 .outcome = h->outcome,
                                 .state = {c->id, c->epoch, version, h->outcome_hash}};
  ch_err err = s->signer->sign_state(s->signer->ctx, sig, &request);
  if (err) return err;
  c->highest.version = version;
  c->highest.digest = h->digest;
  s->fx->durable = true;
  return CH_OK;
}

ch_err verify_peer(step *s, uint64_t version, const content *what, const ch_sig *sig) {
  ch_channel *c = s->c;
  const hashed *h = hash_content(c, version, what);
  ch_err err = ch_verify(&h->digest, sig, &c->params.signer[them(c)]);
  if (err) return err;
  if (version > c->proof.version) {
    c->proof.version = version;
    c->proof.outcome_hash = h->outcome_hash;
    c->proof.sig = *sig;
    s->fx->durable = true;
  }
  return CH_OK;
}
