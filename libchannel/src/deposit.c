/* deposit.c - putting money in: what was agreed at open, and more at any time.
 *
 * Source: proto/protocol.md, sections 2 and 5. A deposit names the channel, a side and the epoch, nothing else: it
 * needs no signature of the peer and no order. */
#include "internal.h"

/* Without the epoch: a wish that is repeated after the channel was opened again is still the same one. */
void ch_deposit_key(ch_hash *out, const ch_hash *id, const ch_hash *nonce) {
  uint8_t buf[64];
  memcpy(buf, id->b, 32);
  memcpy(buf + 32, nonce->b, 32);
  ch_keccak256(out, buf, sizeof buf);
}

static ch_err deposit_for(step *s, uint16_t epoch, uint8_t side, ch_amount amount, const ch_hash *nonce) {
  const ch_channel *c = s->c;
  ch_tx tx = {.kind = CH_TX_DEPOSIT, .id = c->id, .params = c->params};
  tx.u.deposit.params_hash = c->params_hash;
  tx.u.deposit.asset = c->params.asset;
  tx.u.deposit.side = side;
  tx.u.deposit.epoch = epoch;
  tx.u.deposit.amount = amount;
  ch_amount value = ch_addr_is_zero(&c->params.asset) ? amount : ch_amount_of(0);
  return nonce ? fx_tx_named(s, &tx, nonce, value) : fx_tx(s, &tx, 0, value);
}

static ch_err deposit_both(step *s) {
  const ch_channel *c = s->c;
  ch_amount sum;
  ch_err err = ch_amount_add(&sum, c->deposit[0], c->deposit[1]);
  if (err) return err;
  ch_tx tx = {.kind = CH_TX_FUND, .id = c->id, .params = c->params};
  tx.u.fund.params_hash = c->params_hash;
  tx.u.fund.asset = c->params.asset;
  tx.u.fund.epoch = c->epoch;
  tx.u.fund.amount[0] = c->deposit[0];
  tx.u.fund.amount[1] = c->deposit[1];
  return fx_tx(s, &tx, 0, ch_addr_is_zero(&c->params.asset) ? sum : ch_amount_of(0));
}

/* Whether what was agreed for a side is on chain. Once there was a withdrawal, it was: what is missing was taken out.
 * The agreement was about the first epoch. */
static bool came(const ch_channel *c, uint8_t side) {
  const ch_adj_slots *head = &c->view.head.slots;
  return c->epoch || head->withdraw_seq || head->contribution[side].v >= (ch_i128)c->deposit[side].v;
}

ch_err want_deposit(step *s) {
  const ch_channel *c = s->c;
  if (phase_of(c) != CH_PHASE_FUNDING && phase_of(c) != CH_PHASE_OPEN) return CH_OK;
  if (!c->heard || c->frozen) return CH_OK;
  if (c->latest.version >> RESUME_BLOCK_BITS) return CH_OK; /* memory was lost: it may be on its way already */
  if (!c->opener_funds) return came(c, c->me) ? CH_OK : deposit_for(s, c->epoch, c->me, c->deposit[c->me], NULL);
  if (c->me != 0 || (came(c, 0) && came(c, 1))) return CH_OK;
  if (c->deposit[0].v && c->deposit[1].v) return deposit_both(s);
  uint8_t side = c->deposit[0].v ? 0 : 1;
  return deposit_for(s, c->epoch, side, c->deposit[side], NULL);
}

/* Into which epoch money may go now. */
static ch_err epoch_for_money(const ch_channel *c, uint16_t *epoch) {
  const ch_adj_slots *head = &c->view.head.slots;
  *epoch = head->epoch;
  ch_phase p = phase_of(c);
  if (p == CH_PHASE_FUNDING || p == CH_PHASE_OPEN) return c->heard && !c->close_wanted ? CH_OK : CH_ERR_PHASE;
  if (p != CH_PHASE_CLOSED) return CH_ERR_PHASE;
  if (c->revealed) return CH_ERR_REVEALED;
  if (head->epoch != c->view.final.slots.epoch || head->epoch == CH_EPOCH_LAST) return CH_ERR_PHASE;
  return CH_OK;
}

ch_err on_deposit_command(step *s, ch_amount amount, const ch_hash *nonce) {
  const ch_channel *c = s->c;
  const ch_net *k = c->view.head.slots.contribution;
  uint16_t epoch;
  ch_net after;
  if (!amount.v || amount.v > CH_MONEY_MAX) return CH_ERR_ARGUMENT;
  if (c->frozen) return CH_ERR_FROZEN;
  ch_err err = epoch_for_money(c, &epoch);
  if (!err) err = ch_net_sum(&after, k[0], k[1]);
  if (!err) err = ch_net_add(&after, after, amount);
  if (err) return err;
  char buf[CH_MONEY_STR];
  set_cause(s, "deposit asked for here: ");
  add_cause(s, ch_amount_str(buf, amount));
  return deposit_for(s, epoch, c->me, amount, nonce);
}
