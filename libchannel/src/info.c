/* info.c - looking at a channel without changing it. */
#include "internal.h"

const char *ch_wait_name(ch_wait w) {
  switch (w) {
#define NAME(sym, name, text)                                                                                          \
  case CH_WAIT_##sym: return name;
    CH_WAITS(NAME)
#undef NAME
  }
  return "unknown";
}

const char *ch_wait_text(ch_wait w) {
  switch (w) {
#define TEXT(sym, name, text)                                                                                          \
  case CH_WAIT_##sym: return text;
    CH_WAITS(TEXT)
#undef TEXT
  }
  return "Unknown.";
}

static ch_wait wait_open(const ch_channel *c) {
  if (!c->link.up) return c->out.kind != OUT_NONE || c->n_queue || c->close_wanted ? CH_WAIT_PEER : CH_WAIT_NOTHING;
  if (c->link.peer_frozen) return CH_WAIT_PEER_FROZEN;
  if (!c->link.synced) return CH_WAIT_SYNC;
  if (c->out.kind != OUT_NONE) return c->close_wanted ? CH_WAIT_SHUTDOWN : CH_WAIT_ACCEPT;
  return CH_WAIT_NOTHING;
}

static ch_wait wait_withdraw(const ch_channel *c, uint64_t *until) {
  *until = c->reserved.valid_until;
  if (c->reserved.have[0] && c->reserved.have[1]) return CH_WAIT_WITHDRAW_TX;
  return c->link.up ? CH_WAIT_WITHDRAW_SIGNATURE : CH_WAIT_PEER;
}

static ch_wait wait_closing(const ch_channel *c, uint64_t *until) {
  if (c->close.have[0] && c->close.have[1]) {
    *until = c->close.valid_until;
    return CH_WAIT_CLOSE_TX;
  }
  if (!c->link.up) return CH_WAIT_PEER;
  *until = c->close.mine_until;
  return CH_WAIT_CLOSE_SIGNATURE;
}

static ch_wait wait_frozen(const ch_channel *c, const ch_env *env, uint64_t *until) {
  if (c->close.mine_until) return wait_closing(c, until);
  if (!c->resume.wanted && !c->close_wanted) return CH_WAIT_OPERATOR;
  if (!freeze_is_over(c, env)) {
    *until = c->frozen_at + FREEZE_SECONDS;
    return CH_WAIT_FREEZE;
  }
  if (!c->link.up) return CH_WAIT_PEER;
  if (!c->link.greeted || c->link.wait_full) return CH_WAIT_SYNC;
  return c->resume.wanted ? CH_WAIT_RESUME : CH_WAIT_CLOSE_SIGNATURE;
}

static ch_wait wait_dispute(const ch_channel *c, const ch_env *env, uint64_t *until) {
  const ch_adj_slots *d = &c->view.head.slots;
  *until = c->challenge_until;
  if (!d->disputed) return CH_WAIT_CHALLENGE_TX;
  *until = d->deadline;
  if (env->head_time > d->deadline) return CH_WAIT_SETTLE_TX;
  return d->version < c->latest.version ? CH_WAIT_REFUTE_TX : CH_WAIT_WINDOW;
}

static ch_wait wait_locks(const ch_channel *c, uint64_t *until) {
  for (size_t i = 0; i < c->n_locks; i++)
    if (!*until || c->locks[i].op.valid_until < *until) *until = c->locks[i].op.valid_until;
  return CH_WAIT_LOCKS;
}

static ch_wait waits_for(const ch_channel *c, const ch_env *env, uint64_t *until) {
  *until = 0;
  ch_phase p = phase_of(c);
  if (p == CH_PHASE_CLOSED || p == CH_PHASE_ABANDONED) return CH_WAIT_NOTHING;
  if (!chain_fresh(env)) return CH_WAIT_CHAIN;
  if (p == CH_PHASE_ENDING) return CH_WAIT_FINALITY;
  if (p == CH_PHASE_DISPUTED) return wait_dispute(c, env, until);
  if (c->frozen) return wait_frozen(c, env, until);
  if (p == CH_PHASE_OPENING) {
    *until = c->created + OPENING_EXPIRY;
    return CH_WAIT_CONFIRM;
  }
  if (p == CH_PHASE_FUNDING && !c->heard) return c->link.up ? CH_WAIT_SYNC : CH_WAIT_PEER;
  if (p == CH_PHASE_FUNDING) return CH_WAIT_DEPOSIT;
  if (p == CH_PHASE_OPEN && c->reserved.active && c->reserved.side == c->me) return wait_withdraw(c, until);
  if (p == CH_PHASE_OPEN) return wait_open(c);
  if (p == CH_PHASE_SHUTDOWN && !ch_hash_is_zero(&c->latest.locks_hash)) return wait_locks(c, until);
  return wait_closing(c, until);
}

/* Section 5: L has my parity, or is more than 3 above the last version below it whose content differed, and no bare
 * resume. */
static bool is_sealed(const ch_channel *c) {
  if (!c->latest.version) return true;
  if (ch_version_side(c->latest.version) == c->me) return true;
  return c->latest.version - c->changed_at > SIGNED_DISTANCE && (uint32_t)c->latest.version > 2;
}

static void balances(const ch_channel *c, ch_info *out) {
  const ch_net *k = out->contribution;
  ch_amount p[2], mine, waits;
  if (ch_payouts(p, k, c->latest.net)) return;
  out->balance_mine = p[c->me];
  out->balance_peer = p[them(c)];
  out->reserved_mine = c->withdraw_wanted;
  if (c->reserved.active && c->reserved.side == c->me) out->reserved_mine = c->reserved.amount;
  if (c->reserved.active && c->reserved.side != c->me) out->reserved_peer = c->reserved.amount;
  const tally locks = locks_tally(c, IN_LATEST);
  out->locked_mine.v = locks.locked[c->me];
  out->locked_peer.v = locks.locked[them(c)];
  if (queue_pending(c, &out->pending) || ch_amount_add(&waits, out->pending, out->reserved_mine) ||
      ch_amount_add(&waits, waits, out->locked_mine))
    return;
  if (!ch_amount_sub(&mine, out->balance_mine, waits)) out->spendable = mine;
}

void ch_channel_info(const ch_channel *c, const ch_env *env, ch_info *out) {
  memset(out, 0, sizeof *out);
  out->id = c->id;
  out->params = c->params;
  out->peer = c->peer;
  out->side = c->me;
  out->phase = phase_of(c);
  out->epoch = c->epoch;
  out->version = c->latest.version;
  out->net = c->latest.net;
  const ch_onchain *f = &c->view.final;
  if (out->phase != CH_PHASE_CLOSED) memcpy(out->contribution, f->slots.contribution, sizeof out->contribution);
  if (f->slots.epoch == c->epoch) out->withdrawals = f->slots.withdraw_seq;
  memcpy(out->deposit, c->deposit, sizeof out->deposit);
  out->opener_funds = c->opener_funds;
  out->limits = c->limits;
  out->locks = (uint32_t)c->n_locks;
  for (size_t i = 0; i < c->n_locks; i++)
    out->blind_locks += lock_is_hash(&c->locks[i]) && !c->locks[i].looked;
  out->revealed = c->revealed;
  balances(c, out);
  if (out->phase != CH_PHASE_OPEN || c->frozen || c->close_wanted) out->spendable = ch_amount_of(0);
  out->highest_signed = c->highest.version;
  out->highest_digest = c->highest.digest;
  out->outstanding = c->out.kind == OUT_NONE ? 0 : c->out.version;
  out->queued = (uint32_t)c->n_queue;
  out->connected = c->link.up;
  out->synced = c->link.synced;
  out->frozen = c->frozen;
  memcpy(out->freeze_reason, c->freeze_reason, sizeof out->freeze_reason);
  out->wait = waits_for(c, env, &out->wait_until);
  out->sealed = is_sealed(c);
  const ch_onchain *end = out->phase == CH_PHASE_CLOSED ? f : &c->view.head;
  out->ended = end->has_ended && (out->phase == CH_PHASE_CLOSED || out->phase == CH_PHASE_ENDING);
  if (out->ended) {
    memcpy(out->paid, end->ended.paid, sizeof out->paid);
    out->ended_version = end->ended.kind == CH_ADJ_SETTLED ? end->ended.version : c->latest.version;
  }
}

const ch_hash *ch_channel_id_of(const ch_channel *c) {
  return &c->id;
}

const ch_pubkey *ch_channel_peer(const ch_channel *c) {
  return &c->peer;
}

void ch_channel_latest(const ch_channel *c, ch_state *state, ch_outcome *outcome, ch_sig sig[2]) {
  ch_hash outcome_hash, digest;
  const content what = content_latest(c);
  content_outcome(c, c->latest.version, &what, outcome);
  content_digest(c, c->latest.version, &what, &outcome_hash, &digest);
  *state = (ch_state){c->id, c->epoch, c->latest.version, outcome_hash};
  memcpy(sig, c->latest.sig, 2 * sizeof *sig);
}
