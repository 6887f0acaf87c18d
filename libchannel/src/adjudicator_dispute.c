/* adjudicator_dispute.c - the Adjudicator's rules for leaving alone: challenge, refutation, settlement with its locks
 * (proto/protocol.md, sections 5 and 6). */
#include "adjudicator_rules.h"

/* Above the challenged version by more than this, a state holds at least one that the challenger had adopted. */
#define HONEST_REACH 3
/* A bare resume has one of the first versions above a multiple of 2^32 (section 4, lost memory). */
#define RESUME_LOW_MAX 2
/* Fewer than 2^15 locks of less than 2^111 units each, and a net: below 2^127. */
#define LOCKS_BYTES_SUMMABLE ((size_t)CH_LOCK_HEAD << 14)

static unsigned extensions_of(const ch_adj_slots *s) {
  return (s->flags & CH_ADJ_EXTENDED) >> 2;
}

static bool both_signed(const adj_ctx *c, uint16_t epoch, uint64_t version, const ch_hash *outcome_hash,
                        const ch_sig sig[2]) {
  ch_state state = {.id = c->tx->id, .epoch = epoch, .version = version, .outcome_hash = *outcome_hash};
  ch_hash domain, digest;
  ch_domain(&domain, c->call->chain);
  ch_state_digest(&digest, &domain, &state);
  return ch_verify(&digest, &sig[0], &c->tx->params.signer[0]) == CH_OK &&
         ch_verify(&digest, &sig[1], &c->tx->params.signer[1]) == CH_OK;
}

/* The challenger is the signer or payout of its own side, as sender or by its signed Challenge. */
static ch_adj_revert check_challenger(const adj_ctx *c, ch_challenge what) {
  const ch_params *params = &c->tx->params;
  if (ch_addr_eq(&c->call->sender, &params->signer[what.side]) ||
      ch_addr_eq(&c->call->sender, &params->payout[what.side])) {
    return CH_ADJ_NONE;
  }
  ch_hash domain, digest;
  what.id = c->tx->id;
  ch_domain(&domain, c->call->chain);
  ch_challenge_digest(&digest, &domain, &what);
  if (ch_verify(&digest, &c->tx->u.challenge.challenge_sig, &params->signer[what.side]) != CH_OK) {
    return CH_ADJ_NOT_PARTICIPANT;
  }
  return c->call->now > what.valid_until ? CH_ADJ_EXPIRED : CH_ADJ_NONE;
}

/* The state that a challenge puts forward: version 0 carries nothing, any other is co-signed. */
static ch_adj_revert check_challenged_state(const adj_ctx *c, const ch_challenge *what) {
  if (what->version == CH_VERSION_NONE) {
    return ch_hash_is_zero(&what->outcome_hash) ? CH_ADJ_NONE : CH_ADJ_WRONG_OUTCOME;
  }
  return both_signed(c, what->epoch, what->version, &what->outcome_hash, c->tx->u.challenge.sig) ? CH_ADJ_NONE
                                                                                                 : CH_ADJ_BAD_SIGNATURE;
}

/* Checks: side, value, id (with keccak256(salt) as the tag), epoch, dispute, challenger, state. An empty channel may be
 * challenged too: a check could be passed with a deposit of one unit, and the exit should depend on nothing. */
ch_adj_revert adj_challenge(adj_ctx *c) {
  const ch_challenge *what = &c->tx->u.challenge.challenge;
  ch_params params = c->tx->params;
  if (what->side > 1) {
    return CH_ADJ_BAD_SIDE;
  }
  ch_keccak256(&params.tag, c->tx->u.challenge.salt.b, sizeof c->tx->u.challenge.salt.b);
  ch_adj_revert r = adj_check_target(c, &params, what->epoch, params.bond.v);
  if (r == CH_ADJ_NONE && c->old->disputed) {
    r = CH_ADJ_DISPUTE_OPEN;
  }
  if (r == CH_ADJ_NONE) {
    r = check_challenger(c, *what);
  }
  if (r == CH_ADJ_NONE) {
    r = check_challenged_state(c, what);
  }
  if (r != CH_ADJ_NONE) {
    return r;
  }
  ch_adj_slots *slots = &c->out->slots;
  *slots = *c->old;
  slots->disputed = true;
  slots->version = slots->challenged_version = what->version;
  slots->deadline = c->call->now + params.challenge_period;
  slots->flags = what->side;
  slots->outcome_hash = what->outcome_hash;
  c->out->take = params.bond;
  ch_adj_event *event = &c->out->event;
  *event = adj_new_event(c, CH_ADJ_CHALLENGED);
  event->side = what->side;
  event->version = what->version;
  event->deadline = slots->deadline;
  event->salt = c->tx->u.challenge.salt;
  return CH_ADJ_NONE;
}

/* True if the challenger must have held a newer state than the one it challenged with, when `version` is shown:
 * it countersigned the other side's version, or what an honest signer may have given away lies within reach. */
static bool proves_a_lie(const ch_adj_slots *s, uint64_t version) {
  bool countersigned = ch_version_side(version) != adj_challenger(s);
  bool beyond_reach = version - s->challenged_version > HONEST_REACH && (uint32_t)version > RESUME_LOW_MAX;
  return countersigned || beyond_reach;
}

/* A refutation close to the deadline leaves the others time to answer it. */
static void extend_deadline(ch_adj_slots *s, uint64_t now, uint32_t challenge_period) {
  uint64_t window = challenge_period / 2;
  window = window < CH_ADJ_EXTENSION ? window : CH_ADJ_EXTENSION;
  if (s->deadline - now < window && extensions_of(s) < CH_ADJ_MAX_EXTENSIONS) {
    s->deadline += window;
    s->flags = (uint8_t)(s->flags + (1u << 2));
  }
}

/* A refutation in either form. */
typedef struct refutation {
  uint16_t epoch;
  uint64_t version;
  const ch_hash *outcome_hash;
  const ch_sig *sig; /* two */
} refutation;

/* Checks: value, id, epoch, dispute, deadline. */
static ch_adj_revert check_window(const adj_ctx *c, uint16_t epoch) {
  ch_adj_revert r = adj_check_target(c, &c->tx->params, epoch, 0);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (!c->old->disputed) {
    return CH_ADJ_NO_DISPUTE;
  }
  return c->call->now > c->old->deadline ? CH_ADJ_TOO_LATE : CH_ADJ_NONE;
}

/* Puts the newer state in the place of the standing one. */
static void stand(adj_ctx *c, const refutation *what) {
  const ch_adj_slots *old = c->old;
  ch_adj_slots *slots = &c->out->slots;
  *slots = *old;
  if (what->version > old->version) {
    slots->version = what->version;
    slots->outcome_hash = *what->outcome_hash;
    if (proves_a_lie(old, what->version)) {
      slots->flags |= CH_ADJ_FORFEIT;
    }
    extend_deadline(slots, c->call->now, c->tx->params.challenge_period);
  }
  c->out->event = adj_new_event(c, CH_ADJ_REFUTED);
  c->out->event.version = what->version;
  c->out->event.deadline = slots->deadline;
  c->out->event.forfeited = (slots->flags & CH_ADJ_FORFEIT) != 0;
}

/* Checks: value, id, epoch, dispute, deadline, version, signatures. What is put forward is compared with the version
 * only, never with the state it replaces, so that nobody can make a refutation fail by an older one of his own. */
ch_adj_revert adj_refute(adj_ctx *c) {
  refutation what = {c->tx->u.refute.epoch, c->tx->u.refute.version, &c->tx->u.refute.outcome_hash,
                     c->tx->u.refute.sig};
  ch_adj_revert r = check_window(c, what.epoch);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (what.version <= c->old->version) {
    return CH_ADJ_NOT_NEWER;
  }
  if (!both_signed(c, what.epoch, what.version, what.outcome_hash, what.sig)) {
    return CH_ADJ_BAD_SIGNATURE;
  }
  stand(c, &what);
  return CH_ADJ_NONE;
}

/* Signed by the side that the bond may come to. */
static bool bounty_signed(const adj_ctx *c) {
  ch_bounty bounty = {
      .id = c->tx->id, .epoch = c->tx->u.refute_for.epoch, .beneficiary = c->tx->u.refute_for.beneficiary};
  ch_hash domain, digest;
  ch_domain(&domain, c->call->chain);
  ch_bounty_digest(&digest, &domain, &bounty);
  return ch_verify(&digest, &c->tx->u.refute_for.bounty_sig, &c->tx->params.signer[adj_challenger(c->old) ^ 1]) ==
         CH_OK;
}

/* Checks: value, id, epoch, dispute, deadline, version, signatures of the state, of the bounty. Taken at the standing
 * version too, as long as nobody is attached: so a copy of the transaction without its bounty, sent first, takes
 * nothing away. Then nothing new was shown: the bond is not judged, else a challenge with a version of the other parity
 * would be forfeited by being shown again, and the deadline stays. */
ch_adj_revert adj_refute_for(adj_ctx *c) {
  const ch_adj_slots *old = c->old;
  refutation what = {c->tx->u.refute_for.epoch, c->tx->u.refute_for.version, &c->tx->u.refute_for.outcome_hash,
                     c->tx->u.refute_for.sig};
  ch_adj_revert r = check_window(c, what.epoch);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (what.version < old->version || (what.version == old->version && old->flags & CH_ADJ_REWARDED)) {
    return CH_ADJ_NOT_NEWER;
  }
  if (!both_signed(c, what.epoch, what.version, what.outcome_hash, what.sig) || !bounty_signed(c)) {
    return CH_ADJ_BAD_SIGNATURE;
  }
  stand(c, &what);
  c->out->slots.flags |= CH_ADJ_REWARDED;
  c->out->slots.beneficiary = c->tx->u.refute_for.beneficiary;
  c->out->event.payee[0] = c->tx->u.refute_for.beneficiary;
  return CH_ADJ_NONE;
}

/* --- Settlement ------------------------------------------------------------------------------------------------- */

static uint64_t revealed_at(const adj_ctx *c, const ch_hash *hash) {
  return c->call->revealed == NULL ? 0 : c->call->revealed(c->call->ctx, hash);
}

/* What a lock moves. A hash lock is decided by a reveal in time or by its expiry, a contract's only by its expiry, as
 * what it says must not depend on who settles when. */
static ch_adj_revert resolve(const adj_ctx *c, const ch_lock *lock, ch_u128 *paid) {
  bool expired = c->call->now > lock->expiry;
  *paid = 0;
  if (ch_lock_is_hash(lock)) {
    ch_hash hash = ch_lock_hash(lock);
    uint64_t when = revealed_at(c, &hash);
    if (when != 0 && when <= lock->expiry) {
      *paid = lock->amount.v;
      return CH_ADJ_NONE;
    }
    return expired ? CH_ADJ_NONE : CH_ADJ_LOCK_PENDING;
  }
  if (!expired) {
    return CH_ADJ_LOCK_PENDING;
  }
  if (c->call->owed != NULL) {
    ch_u128 owed = c->call->owed(c->call->ctx, lock).v;
    *paid = owed < lock->amount.v ? owed : lock->amount.v;
  }
  return CH_ADJ_NONE;
}

/* The net after all locks: a wide sum, clamped to what an event can say; the payouts clamp it once more, to the
 * total. So many locks that the sum could wrap are more than fits into any block. */
static ch_adj_revert net_after_locks(const adj_ctx *c, const uint8_t *locks, size_t len, ch_net *net) {
  ch_i128 sum = net->v;
  if (len > LOCKS_BYTES_SUMMABLE) {
    return CH_ADJ_BAD_LOCKS;
  }
  for (size_t at = 0; at < len;) {
    ch_lock lock;
    ch_u128 paid;
    if (ch_lock_decode(&lock, locks, len, &at) != CH_OK) {
      return CH_ADJ_BAD_LOCKS;
    }
    ch_adj_revert r = resolve(c, &lock, &paid);
    if (r != CH_ADJ_NONE) {
      return r;
    }
    sum += lock.payer == 0 ? (ch_i128)paid : -(ch_i128)paid;
  }
  ch_i128 most = (ch_i128)CH_MONEY_MAX;
  net->v = sum > most ? most : sum < -most ? -most : sum;
  return CH_ADJ_NONE;
}

/* Checks: value, id, epoch, dispute, deadline, outcome, locks in their order. The deadline itself still belongs to the
 * refuters. */
ch_adj_revert adj_settle(adj_ctx *c) {
  const ch_adj_slots *old = c->old;
  ch_outcome outcome = c->tx->u.settle.outcome;
  ch_adj_revert r = adj_check_target(c, &c->tx->params, c->tx->u.settle.epoch, 0);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (!old->disputed) {
    return CH_ADJ_NO_DISPUTE;
  }
  if (c->call->now <= old->deadline) {
    return CH_ADJ_TOO_EARLY;
  }
  if (old->version == CH_VERSION_NONE) {
    return adj_end_epoch(c, CH_ADJ_SETTLED, ch_net_of(0));
  }
  ch_hash hash;
  ch_locks_hash(&outcome.locks_hash, c->tx->u.settle.locks, c->tx->u.settle.locks_len);
  ch_outcome_hash(&hash, &outcome);
  if (!ch_hash_eq(&hash, &old->outcome_hash)) {
    return CH_ADJ_WRONG_OUTCOME;
  }
  r = net_after_locks(c, c->tx->u.settle.locks, c->tx->u.settle.locks_len, &outcome.net);
  return r == CH_ADJ_NONE ? adj_end_epoch(c, CH_ADJ_SETTLED, outcome.net) : r;
}

/* Checks: value, known already. The first reveal counts. */
ch_adj_revert adj_reveal(adj_ctx *c) {
  ch_hash hash;
  if (c->call->value.v != 0) {
    return CH_ADJ_WRONG_VALUE;
  }
  ch_preimage_hash(&hash, &c->tx->u.reveal.preimage);
  if (revealed_at(c, &hash) != 0) {
    return CH_ADJ_ALREADY_REVEALED;
  }
  c->out->event = (ch_adj_event){.kind = CH_ADJ_REVEALED, .id = hash, .salt = c->tx->u.reveal.preimage};
  return CH_ADJ_NONE;
}
