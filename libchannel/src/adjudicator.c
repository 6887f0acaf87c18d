/* adjudicator.c - the Adjudicator's rules (proto/protocol.md, section 5).
 *
 * Every rule first checks in the order of its function's comment, so that the contract and this model revert for the
 * same reason, and then builds the new slots, the event and the transfers. Nothing is changed before the last check.
 */
#include "channel/adjudicator.h"

/* Above the challenged version by more than this, a state holds at least one that the challenger had adopted. */
#define HONEST_REACH 3
/* A bare resume has one of the first versions above a multiple of 2^32 (section 4, lost memory). */
#define RESUME_LOW_MAX 2

const char *ch_adj_revert_text(ch_adj_revert r) {
  switch (r) {
#define TEXT(sym, text)                                                                                                \
  case CH_ADJ_##sym: return text;
    CH_ADJ_REVERTS(TEXT)
#undef TEXT
  }
  return "unknown reason";
}

/* One application of the rules: what they read, and what they write. */
typedef struct ctx {
  const ch_adj_slots *old;
  const ch_adj_call *call;
  const ch_tx *tx;
  ch_adj_result *out;
} ctx;

static uint8_t challenger_of(const ch_adj_slots *s) {
  return s->flags & CH_ADJ_CHALLENGER;
}

static unsigned extensions_of(const ch_adj_slots *s) {
  return (s->flags & CH_ADJ_EXTENDED) >> 2;
}

static bool id_matches(const ctx *c, const ch_params *params) {
  ch_hash params_hash, id;
  ch_params_hash(&params_hash, c->call->chain, params);
  ch_channel_id(&id, &params_hash, &params->asset);
  return ch_hash_eq(&id, &c->tx->id);
}

/* What every call but those that bring money begins with. */
static ch_adj_revert check_target(const ctx *c, const ch_params *params, uint16_t epoch, ch_u128 value) {
  if (c->call->value.v != value) {
    return CH_ADJ_WRONG_VALUE;
  }
  if (!id_matches(c, params)) {
    return CH_ADJ_BAD_PARAMS;
  }
  return epoch == c->old->epoch ? CH_ADJ_NONE : CH_ADJ_WRONG_EPOCH;
}

static bool both_signed(const ctx *c, uint16_t epoch, uint64_t version, const ch_hash *outcome_hash,
                        const ch_sig sig[2]) {
  ch_state state = {.id = c->tx->id, .epoch = epoch, .version = version, .outcome_hash = *outcome_hash};
  ch_hash domain, digest;
  ch_domain(&domain, c->call->chain);
  ch_state_digest(&digest, &domain, &state);
  return ch_verify(&digest, &sig[0], &c->tx->params.signer[0]) == CH_OK &&
         ch_verify(&digest, &sig[1], &c->tx->params.signer[1]) == CH_OK;
}

static ch_adj_event new_event(const ctx *c, ch_adj_event_kind kind) {
  return (ch_adj_event){.kind = kind, .id = c->tx->id, .epoch = c->old->epoch};
}

/* A transfer of nothing is none: it would only cost gas. */
static void pay(ctx *c, const ch_addr *to, const ch_addr *asset, ch_amount amount) {
  if (amount.v > 0) {
    c->out->transfers[c->out->n_transfers++] = (ch_adj_transfer){.to = *to, .asset = *asset, .amount = amount};
  }
}

/* Ends the epoch: pays out `net`, then the bond of an open dispute, and leaves clean slots. The last epoch stays: it
 * cannot be funded, so no old state of it has anything to pay, and an ending that reverted would lock a bond. */
static ch_adj_revert end_epoch(ctx *c, ch_adj_event_kind kind, ch_net net) {
  const ch_adj_slots *old = c->old;
  const ch_params *params = &c->tx->params;
  ch_adj_event event = new_event(c, kind);
  event.net = net;
  if (ch_payouts(event.paid, old->contribution, net) != CH_OK) {
    return CH_ADJ_OVERFLOW;
  }
  pay(c, &params->payout[0], &params->asset, event.paid[0]);
  pay(c, &params->payout[1], &params->asset, event.paid[1]);
  if (old->disputed) {
    static const ch_addr native = {{0}};
    event.version = kind == CH_ADJ_SETTLED ? old->version : 0;
    event.deadline = old->deadline;
    event.forfeited = (old->flags & CH_ADJ_FORFEIT) != 0;
    pay(c, &params->payout[challenger_of(old) ^ event.forfeited], &native, params->bond);
  }
  c->out->event = event;
  c->out->slots.epoch = old->epoch == CH_EPOCH_LAST ? CH_EPOCH_LAST : (uint16_t)(old->epoch + 1);
  return CH_ADJ_NONE;
}

/* A late deposit must not land in another life of the channel, nor in one whose money an older state may already be
 * dividing: hence epoch and dispute. */
static ch_adj_revert check_open_for_money(const ch_adj_slots *old, uint16_t epoch) {
  if (epoch != old->epoch) {
    return CH_ADJ_WRONG_EPOCH;
  }
  if (old->epoch == CH_EPOCH_LAST) {
    return CH_ADJ_LAST_EPOCH;
  }
  return old->disputed ? CH_ADJ_DISPUTE_OPEN : CH_ADJ_NONE;
}

static ch_adj_revert credit(ctx *c, const ch_amount amount[2]) {
  ch_net total;
  c->out->slots = *c->old;
  ch_net *contribution = c->out->slots.contribution;
  if (ch_net_add(&contribution[0], contribution[0], amount[0]) != CH_OK ||
      ch_net_add(&contribution[1], contribution[1], amount[1]) != CH_OK ||
      ch_net_sum(&total, contribution[0], contribution[1]) != CH_OK) {
    return CH_ADJ_OVERFLOW;
  }
  return CH_ADJ_NONE;
}

/* Checks: side, value, id, epoch, last epoch, dispute, zero, overflow. */
static ch_adj_revert deposit(ctx *c) {
  const ch_adj_slots *old = c->old;
  ch_hash id;
  uint8_t side = c->tx->u.deposit.side;
  ch_amount amount[2] = {{0}, {0}};
  const ch_addr *asset = &c->tx->u.deposit.asset;
  if (side > 1) {
    return CH_ADJ_BAD_SIDE;
  }
  amount[side] = c->tx->u.deposit.amount;
  if (c->call->value.v != (ch_addr_is_zero(asset) ? amount[side].v : 0)) {
    return CH_ADJ_WRONG_VALUE;
  }
  ch_channel_id(&id, &c->tx->u.deposit.params_hash, asset);
  if (!ch_hash_eq(&id, &c->tx->id)) {
    return CH_ADJ_BAD_PARAMS;
  }
  ch_adj_revert r = check_open_for_money(old, c->tx->u.deposit.epoch);
  if (r == CH_ADJ_NONE && amount[side].v == 0) {
    r = CH_ADJ_ZERO_AMOUNT;
  }
  if (r == CH_ADJ_NONE) {
    r = credit(c, amount);
  }
  if (r != CH_ADJ_NONE) {
    return r;
  }
  c->out->take = amount[side];
  c->out->take_asset = *asset;
  c->out->event = new_event(c, CH_ADJ_DEPOSITED);
  c->out->event.side = side;
  c->out->event.amount = amount[side];
  return CH_ADJ_NONE;
}

/* Checks: value, id, epoch, last epoch, dispute, zero, overflow: a deposit's, for the sum. */
static ch_adj_revert fund(ctx *c) {
  const ch_adj_slots *old = c->old;
  const ch_amount *amount = c->tx->u.fund.amount;
  const ch_addr *asset = &c->tx->u.fund.asset;
  ch_amount sum;
  ch_hash id;
  bool fits = ch_amount_add(&sum, amount[0], amount[1]) == CH_OK;
  if (!fits || c->call->value.v != (ch_addr_is_zero(asset) ? sum.v : 0)) {
    return CH_ADJ_WRONG_VALUE;
  }
  ch_channel_id(&id, &c->tx->u.fund.params_hash, asset);
  if (!ch_hash_eq(&id, &c->tx->id)) {
    return CH_ADJ_BAD_PARAMS;
  }
  ch_adj_revert r = check_open_for_money(old, c->tx->u.fund.epoch);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (amount[0].v == 0 || amount[1].v == 0) {
    return CH_ADJ_ZERO_AMOUNT;
  }
  r = credit(c, amount);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  c->out->take = sum;
  c->out->take_asset = *asset;
  c->out->event = new_event(c, CH_ADJ_FUNDED);
  c->out->event.paid[0] = amount[0];
  c->out->event.paid[1] = amount[1];
  return CH_ADJ_NONE;
}

/* Both sides signed `digest`. A payee that sends the call consents by sending it. */
static bool both_consent(const ctx *c, const ch_hash *digest, const ch_sig sig[2]) {
  const ch_params *params = &c->tx->params;
  for (int side = 0; side < 2; side++) {
    if (!ch_addr_eq(&c->call->sender, &params->payout[side]) &&
        ch_verify(digest, &sig[side], &params->signer[side]) != CH_OK) {
      return false;
    }
  }
  return true;
}

/* Checks: value, id, epoch, expiry, signatures. */
static ch_adj_revert close_channel(ctx *c) {
  const ch_params *params = &c->tx->params;
  ch_close what = c->tx->u.close.close;
  ch_adj_revert r = check_target(c, params, what.epoch, 0);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (c->call->now > what.valid_until) {
    return CH_ADJ_EXPIRED;
  }
  ch_hash domain, digest;
  what.id = c->tx->id;
  ch_domain(&domain, c->call->chain);
  ch_close_digest(&digest, &domain, &what);
  return both_consent(c, &digest, c->tx->u.close.sig) ? end_epoch(c, CH_ADJ_CLOSED, what.net) : CH_ADJ_BAD_SIGNATURE;
}

/* Checks of a withdrawal up to its signatures: side, value, id, epoch, expiry, last seq, seq, zero, total. */
static ch_adj_revert check_withdrawal(const ctx *c, const ch_withdraw *what) {
  const ch_adj_slots *old = c->old;
  if (what->side > 1) {
    return CH_ADJ_BAD_SIDE;
  }
  ch_adj_revert r = check_target(c, &c->tx->params, what->epoch, 0);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (c->call->now > what->valid_until) {
    return CH_ADJ_EXPIRED;
  }
  if (old->withdraw_seq >= CH_SEQ_LAST) {
    return CH_ADJ_LAST_SEQ;
  }
  if (what->seq != old->withdraw_seq) {
    return CH_ADJ_WRONG_SEQ;
  }
  if (what->amount.v == 0) {
    return CH_ADJ_ZERO_AMOUNT;
  }
  ch_i128 total = old->contribution[0].v + old->contribution[1].v;
  return (ch_i128)what->amount.v > total ? CH_ADJ_TOO_MUCH : CH_ADJ_NONE;
}

/* Checks: those above, signatures, overflow. The number makes each withdrawal happen once, and in the agreed order. A
 * dispute does not stand in its way: what it takes out, the settlement no longer has to divide. */
static ch_adj_revert withdraw(ctx *c) {
  ch_withdraw what = c->tx->u.withdraw.withdraw;
  ch_adj_revert r = check_withdrawal(c, &what);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  ch_hash domain, digest;
  what.id = c->tx->id;
  ch_domain(&domain, c->call->chain);
  ch_withdraw_digest(&digest, &domain, &what);
  if (!both_consent(c, &digest, c->tx->u.withdraw.sig)) {
    return CH_ADJ_BAD_SIGNATURE;
  }
  ch_adj_slots *slots = &c->out->slots;
  *slots = *c->old;
  if (ch_net_sub(&slots->contribution[what.side], slots->contribution[what.side], what.amount) != CH_OK) {
    return CH_ADJ_OVERFLOW;
  }
  slots->withdraw_seq++;
  pay(c, &c->tx->params.payout[what.side], &c->tx->params.asset, what.amount);
  c->out->event = new_event(c, CH_ADJ_WITHDRAWN);
  c->out->event.side = what.side;
  c->out->event.amount = what.amount;
  return CH_ADJ_NONE;
}

/* The challenger is the signer or payout of its own side, as sender or by its signed Challenge. */
static ch_adj_revert check_challenger(const ctx *c, ch_challenge what) {
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
static ch_adj_revert check_challenged_state(const ctx *c, const ch_challenge *what) {
  if (what->version == CH_VERSION_NONE) {
    return ch_hash_is_zero(&what->outcome_hash) ? CH_ADJ_NONE : CH_ADJ_WRONG_OUTCOME;
  }
  return both_signed(c, what->epoch, what->version, &what->outcome_hash, c->tx->u.challenge.sig) ? CH_ADJ_NONE
                                                                                                 : CH_ADJ_BAD_SIGNATURE;
}

/* Checks: side, value, id (with keccak256(salt) as the tag), epoch, dispute, challenger, state. An empty channel may be
 * challenged too: a check could be passed with a deposit of one unit, and the exit should depend on nothing. */
static ch_adj_revert challenge(ctx *c) {
  const ch_challenge *what = &c->tx->u.challenge.challenge;
  ch_params params = c->tx->params;
  if (what->side > 1) {
    return CH_ADJ_BAD_SIDE;
  }
  ch_keccak256(&params.tag, c->tx->u.challenge.salt.b, sizeof c->tx->u.challenge.salt.b);
  ch_adj_revert r = check_target(c, &params, what->epoch, params.bond.v);
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
  *event = new_event(c, CH_ADJ_CHALLENGED);
  event->side = what->side;
  event->version = what->version;
  event->deadline = slots->deadline;
  event->salt = c->tx->u.challenge.salt;
  return CH_ADJ_NONE;
}

/* True if the challenger must have held a newer state than the one it challenged with, when `version` is shown:
 * it countersigned the other side's version, or what an honest signer may have given away lies within reach. */
static bool proves_a_lie(const ch_adj_slots *s, uint64_t version) {
  bool countersigned = ch_version_side(version) != challenger_of(s);
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

/* Checks: value, id, epoch, dispute, deadline, version, signatures. What is put forward is compared with the version
 * only, never with the state it replaces, so that nobody can make a refutation fail by an older one of his own. */
static ch_adj_revert refute(ctx *c) {
  const ch_adj_slots *old = c->old;
  uint64_t version = c->tx->u.refute.version;
  const ch_hash *outcome_hash = &c->tx->u.refute.outcome_hash;
  ch_adj_revert r = check_target(c, &c->tx->params, c->tx->u.refute.epoch, 0);
  if (r != CH_ADJ_NONE) {
    return r;
  }
  if (!old->disputed) {
    return CH_ADJ_NO_DISPUTE;
  }
  if (c->call->now > old->deadline) {
    return CH_ADJ_TOO_LATE;
  }
  if (version <= old->version) {
    return CH_ADJ_NOT_NEWER;
  }
  if (!both_signed(c, old->epoch, version, outcome_hash, c->tx->u.refute.sig)) {
    return CH_ADJ_BAD_SIGNATURE;
  }
  ch_adj_slots *slots = &c->out->slots;
  *slots = *old;
  slots->version = version;
  slots->outcome_hash = *outcome_hash;
  if (proves_a_lie(old, version)) {
    slots->flags |= CH_ADJ_FORFEIT;
  }
  extend_deadline(slots, c->call->now, c->tx->params.challenge_period);
  c->out->event = new_event(c, CH_ADJ_REFUTED);
  c->out->event.version = version;
  c->out->event.deadline = slots->deadline;
  return CH_ADJ_NONE;
}

/* Checks: value, id, epoch, dispute, deadline, outcome. The deadline itself still belongs to the refuters. Pending
 * locks have no rules here yet, so an outcome that has some is not settled as if it had none. */
static ch_adj_revert settle(ctx *c) {
  const ch_adj_slots *old = c->old;
  const ch_outcome *outcome = &c->tx->u.settle.outcome;
  ch_adj_revert r = check_target(c, &c->tx->params, c->tx->u.settle.epoch, 0);
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
    return end_epoch(c, CH_ADJ_SETTLED, ch_net_of(0));
  }
  ch_hash hash;
  ch_outcome_hash(&hash, outcome);
  if (!ch_hash_eq(&hash, &old->outcome_hash) || !ch_hash_is_zero(&outcome->locks_hash)) {
    return CH_ADJ_WRONG_OUTCOME;
  }
  return end_epoch(c, CH_ADJ_SETTLED, outcome->net);
}

ch_adj_revert ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call, const ch_tx *tx) {
  ctx c = {.old = slots, .call = call, .tx = tx, .out = out};
  memset(out, 0, sizeof *out);
  switch (tx->kind) {
  case CH_TX_DEPOSIT: return deposit(&c);
  case CH_TX_CLOSE: return close_channel(&c);
  case CH_TX_CHALLENGE: return challenge(&c);
  case CH_TX_REFUTE: return refute(&c);
  case CH_TX_SETTLE: return settle(&c);
  case CH_TX_WITHDRAW: return withdraw(&c);
  case CH_TX_FUND: return fund(&c);
  }
  return CH_ADJ_BAD_PARAMS;
}
