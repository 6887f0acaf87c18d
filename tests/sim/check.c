/* check.c - the promises: money conserved, nothing lost that was reported, both sides agree once faults stop. */
#include "world.h"

static const pay_row *row_of(const pay_row *rows, size_t n, const char *id) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(rows[i].id, id) == 0) return &rows[i];
  return NULL;
}

static void check_money(world *w) {
  const block *first = &w->blocks[0], *b = chain_head(w);
  ch_u128 was = first->purse[0].v + first->purse[1].v + first->vault.v;
  if (b->purse[0].v + b->purse[1].v + b->vault.v != was) fail(w, "money was made or lost on chain");
}

/* What one side reports must be covered by what the other side has on disk, unless a disk was lost. */
static void check_reports(world *w, int payer) {
  const disk *a = &w->node[payer].disk, *b = &w->node[1 - payer].disk;
  for (size_t i = 0; i < a->n_out; i++) {
    const pay_row *r = &a->out[i], *got = row_of(b->in, b->n_in, r->id);
    bool has = got && got->status == CH_PAYMENT_SETTLED;
    bool conditional = r->op.kind == CH_OP_LOCK_ADD; /* there either side may be the one that signs first */
    if (r->status == CH_PAYMENT_SETTLED && !(conditional ? got != NULL : has) && !w->node[1 - payer].lost)
      fail(w, "payment %s is reported settled, but was not received", r->id);
    if (r->status == CH_PAYMENT_FAILED && has) fail(w, "payment %s is reported failed, but was received", r->id);
  }
  for (size_t i = 0; i < b->n_in && !w->node[payer].lost; i++)
    if (!row_of(a->out, a->n_out, b->in[i].id)) fail(w, "payment %s was received, but never made", b->in[i].id);
}

/* No state that a node relies on gives a side more than the chain holds for it, whatever was taken out meanwhile: then
 * payouts are never clamped, and nobody's money pays for another's. */
static void check_covered(world *w) {
  const ch_adj_slots *b = &chain_head(w)->state.slots;
  for (int s = 0; s < 2; s++) {
    ch_state st;
    ch_outcome o;
    ch_sig sig[2];
    if (!w->node[s].channel || node_frozen(w, &w->node[s])) continue;
    ch_channel_latest(w->node[s].channel, &st, &o, sig);
    if (st.epoch != b->epoch) continue;
    ch_info info;
    ch_env env;
    node_env(w, &w->node[s], &env);
    ch_channel_info(w->node[s].channel, &env, &info);
    ch_i128 locked[2] = {(ch_i128)info.locked_peer.v, (ch_i128)info.locked_peer.v};
    locked[s] = (ch_i128)info.locked_mine.v;
    if (b->contribution[0].v - o.net.v < locked[0] || b->contribution[1].v + o.net.v < locked[1])
      fail(w, "node %d's state %llu is not covered on chain", s, (unsigned long long)st.version);
  }
}

void check_always(world *w) {
  check_covered(w);
  check_money(w);
  check_reports(w, 0);
  check_reports(w, 1);
}

static ch_i128 net_of_rows(const world *w, int side, uint16_t epoch) {
  const disk *d = &w->node[side].disk;
  ch_i128 sum = 0;
  for (size_t i = 0; i < d->n_out; i++)
    if (d->out[i].status == CH_PAYMENT_SETTLED && d->out[i].epoch == epoch) sum += (ch_i128)d->out[i].amount.v;
  for (size_t i = 0; i < d->n_in; i++)
    if (d->in[i].status == CH_PAYMENT_SETTLED && d->in[i].epoch == epoch) sum -= (ch_i128)d->in[i].amount.v;
  return side == 0 ? sum : -sum;
}

void check_converged(world *w) {
  ch_info info[2];
  for (int s = 0; s < 2; s++) {
    ch_env env;
    node_env(w, &w->node[s], &env);
    ch_channel_info(w->node[s].channel, &env, &info[s]);
    if (info[s].frozen) fail(w, "node %d is frozen: %s", s, info[s].freeze_reason);
    if (info[s].outstanding || info[s].queued) fail(w, "node %d still has operations under way", s);
    if (info[s].reserved_mine.v && w->now < info[s].wait_until)
      fail(w, "node %d's withdrawal does not come to an end", s);
    for (size_t i = 0; i < w->node[s].disk.n_out; i++)
      if (w->node[s].disk.out[i].status == CH_PAYMENT_PENDING)
        fail(w, "payment %s is neither settled nor failed", w->node[s].disk.out[i].id);
    if (!w->node[s].lost && net_of_rows(w, s, info[s].epoch) != info[s].net.v)
      fail(w, "node %d: the payments do not add up to the state", s);
  }
  if (info[0].epoch != info[1].epoch || info[0].version != info[1].version || info[0].net.v != info[1].net.v)
    fail(w, "the sides did not converge");
}

/* After the chain has ended the channel: the honest sides' books agree with what was executed. `honest` is a side, or
 * 2 for both; the honest side never gets less than its latest state said. */
void check_ending(world *w, int honest, ch_net at_least) {
  const block *b = chain_head(w);
  ch_amount expect[2];
  if (!b->state.has_ended) return fail(w, "the channel did not end");
  const ch_adj_event *e = &b->state.ended;
  for (int s = 0; s < 2; s++) {
    if (honest != 2 && honest != s) continue;
    if (!w->node[s].lost && net_of_rows(w, s, e->epoch) != e->net.v)
      fail(w, "node %d: its books differ from what the chain executed", s);
    for (size_t i = 0; i < w->node[s].disk.n_out; i++)
      if (w->node[s].disk.out[i].status == CH_PAYMENT_PENDING || w->node[s].disk.out[i].status == CH_PAYMENT_LOCKED)
        fail(w, "a payment is still pending after the ending");
    for (size_t i = 0; i < w->node[s].disk.n_in; i++)
      if (w->node[s].disk.in[i].status == CH_PAYMENT_LOCKED) fail(w, "a payment is still locked after the ending");
  }
  const block *open = b;
  for (int i = w->n_blocks - 1; i > 0 && open->state.slots.epoch > e->epoch; i--)
    open = &w->blocks[i - 1];
  if (ch_payouts(expect, open->state.slots.contribution, at_least)) return fail(w, "payouts could not be computed");
  if (honest < 2 && e->paid[honest].v < expect[honest].v) fail(w, "the honest side was paid less than it had");
  const ch_net *moved = b->other.contribution;
  if ((ch_i128)b->vault.v != moved[0].v + moved[1].v) fail(w, "money is left in the Adjudicator");
}
