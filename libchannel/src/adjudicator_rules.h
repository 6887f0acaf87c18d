/* adjudicator_rules.h - what the files of the Adjudicator's rules share. */
#ifndef LIBCHANNEL_ADJUDICATOR_RULES_H
#define LIBCHANNEL_ADJUDICATOR_RULES_H

#include "channel/adjudicator.h"

/* One application of the rules: what they read, and what they write. */
typedef struct adj_ctx {
  const ch_adj_slots *old;
  const ch_adj_call *call;
  const ch_tx *tx;
  ch_adj_result *out;
} adj_ctx;

static inline uint8_t adj_challenger(const ch_adj_slots *s) {
  return s->flags & CH_ADJ_CHALLENGER;
}

/* --- adjudicator.c: shared steps --- */

/* What every call for one channel but those that bring money begins with. Checks: value, id, epoch. */
ch_adj_revert adj_check_target(const adj_ctx *c, const ch_params *params, uint16_t epoch, ch_u128 value);
/* Both sides signed `digest`. A payee that sends the call consents by sending it. */
bool adj_both_consent(const adj_ctx *c, const ch_hash *digest, const ch_sig sig[2]);
ch_adj_event adj_new_event(const adj_ctx *c, ch_adj_event_kind kind);
/* A transfer of nothing is none: it would only cost gas. */
void adj_pay(adj_ctx *c, const ch_addr *to, const ch_addr *asset, ch_amount amount);
/* Ends the epoch: pays out `net`, then the bond of an open dispute, and leaves clean slots. */
ch_adj_revert adj_end_epoch(adj_ctx *c, ch_adj_event_kind kind, ch_net net);

/* --- adjudicator_funds.c: money in and out of a running channel, and what belongs to no channel --- */

ch_adj_revert adj_deposit(adj_ctx *c);
ch_adj_revert adj_fund(adj_ctx *c);
ch_adj_revert adj_withdraw(adj_ctx *c);
ch_adj_revert adj_move(adj_ctx *c);
ch_adj_revert adj_claim(adj_ctx *c);

/* --- adjudicator_dispute.c: leaving alone --- */

ch_adj_revert adj_challenge(adj_ctx *c);
ch_adj_revert adj_refute(adj_ctx *c);
ch_adj_revert adj_refute_for(adj_ctx *c);
ch_adj_revert adj_settle(adj_ctx *c);
ch_adj_revert adj_reveal(adj_ctx *c);

#endif
