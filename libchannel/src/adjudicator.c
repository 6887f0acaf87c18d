/* adjudicator.c - the Adjudicator's rules (proto/protocol.md, section 5): what they share, and the cooperative close.
 *
 * Every rule first checks in the order of its function's comment, so that the contract and this model revert for the
 * same reason, and then builds the new slots, the event and the transfers. Nothing is changed before the last check.
 */
#include "adjudicator_rules.h"

const char *ch_adj_revert_text(ch_adj_revert r) {
  switch (r) {
#define TEXT(sym, text)                                                                                                \
  case CH_ADJ_##sym: return text;
    CH_ADJ_REVERTS(TEXT)
#undef TEXT
  }
  return "unknown reason";
}

static bool id_matches(const adj_ctx *c, const ch_params *params) {
  ch_hash params_hash, id;
  ch_params_hash(&params_hash, c->call->chain, params);
  ch_channel_id(&id, &params_hash, &params->asset);
  return ch_hash_eq(&id, &c->tx->id);
}

ch_adj_revert adj_check_target(const adj_ctx *c, const ch_params *params, uint16_t epoch, ch_u128 value) {
  if (c->call->value.v != value) {
    return CH_ADJ_WRONG_VALUE;
  }
  if (!id_matches(c, params)) {
    return CH_ADJ_BAD_PARAMS;
  }
  return epoch == c->old->epoch ? CH_ADJ_NONE : CH_ADJ_WRONG_EPOCH;
}

bool adj_both_consent(const adj_ctx *c, const ch_hash *digest, const ch_sig sig[2]) {
  const ch_params *params = &c->tx->params;
  for (int side = 0; side < 2; side++) {
    if (!ch_addr_eq(&c->call->sender, &params->payout[side]) &&
        ch_verify(digest, &sig[side], &params->signer[side]) != CH_OK) {
      return false;
    }
  }
  return true;
}

ch_adj_event adj_new_event(const adj_ctx *c, ch_adj_event_kind kind) {
  return (ch_adj_event){.kind = kind, .id = c->tx->id, .epoch = c->old->epoch};
}

void adj_pay(adj_ctx *c, const ch_addr *to, const ch_addr *asset, ch_amount amount) {
  if (amount.v > 0) {
    c->out->transfers[c->out->n_transfers++] = (ch_adj_transfer){.to = *to, .asset = *asset, .amount = amount};
  }
}

/* Who gets the bond of the dispute that ends. */
static const ch_addr *bond_winner(const adj_ctx *c) {
  const ch_adj_slots *old = c->old;
  const ch_addr *payout = c->tx->params.payout;
  if (!(old->flags & CH_ADJ_FORFEIT)) {
    return &payout[adj_challenger(old)];
  }
  return old->flags & CH_ADJ_REWARDED ? &old->beneficiary : &payout[adj_challenger(old) ^ 1];
}

/* The last epoch stays: it cannot be funded, so no old state of it has anything to pay, and an ending that reverted
 * would lock a bond. */
ch_adj_revert adj_end_epoch(adj_ctx *c, ch_adj_event_kind kind, ch_net net) {
  const ch_adj_slots *old = c->old;
  const ch_params *params = &c->tx->params;
  ch_adj_event event = adj_new_event(c, kind);
  event.net = net;
  if (ch_payouts(event.paid, old->contribution, net) != CH_OK) {
    return CH_ADJ_OVERFLOW;
  }
  adj_pay(c, &params->payout[0], &params->asset, event.paid[0]);
  adj_pay(c, &params->payout[1], &params->asset, event.paid[1]);
  if (old->disputed) {
    static const ch_addr native = {{0}};
    event.version = kind == CH_ADJ_SETTLED ? old->version : 0;
    event.deadline = old->deadline;
    event.forfeited = (old->flags & CH_ADJ_FORFEIT) != 0;
    adj_pay(c, bond_winner(c), &native, params->bond);
  }
  c->out->event = event;
  c->out->slots.epoch = old->epoch == CH_EPOCH_LAST ? CH_EPOCH_LAST : (uint16_t)(old->epoch + 1);
  return CH_ADJ_NONE;
}

/* Checks: value, id, epoch, expiry, signatures. */
static ch_adj_revert close_channel(adj_ctx *c) {
  const ch_params *params = &c->tx->params;
  ch_close what = c->tx->u.close.close;
  ch_adj_revert r = adj_check_target(c, params, what.epoch, 0);
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
  return adj_both_consent(c, &digest, c->tx->u.close.sig) ? adj_end_epoch(c, CH_ADJ_CLOSED, what.net)
                                                          : CH_ADJ_BAD_SIGNATURE;
}

ch_adj_revert ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call, const ch_tx *tx) {
  adj_ctx c = {.old = slots, .call = call, .tx = tx, .out = out};
  memset(out, 0, sizeof *out);
  switch (tx->kind) {
  case CH_TX_DEPOSIT: return adj_deposit(&c);
  case CH_TX_CLOSE: return close_channel(&c);
  case CH_TX_CHALLENGE: return adj_challenge(&c);
  case CH_TX_REFUTE: return adj_refute(&c);
  case CH_TX_SETTLE: return adj_settle(&c);
  case CH_TX_WITHDRAW: return adj_withdraw(&c);
  case CH_TX_FUND: return adj_fund(&c);
  case CH_TX_MOVE: return adj_move(&c);
  case CH_TX_REFUTE_FOR: return adj_refute_for(&c);
  case CH_TX_REVEAL: return adj_reveal(&c);
  case CH_TX_CLAIM: return adj_claim(&c);
  case CH_TX_CLOSE_BATCH:
  case CH_TX_SETTLE_BATCH:
  case CH_TX_REVEAL_BATCH: break; /* whoever takes batches applies their items */
  }
  return CH_ADJ_BAD_PARAMS;
}
