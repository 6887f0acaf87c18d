/* check.c - the promises: money conserved, nothing lost that was reported, both sides agree once faults stop. */
#include "world.h"

static void check_money(world *w) {
  const block *first = &w->blocks[0], *b = chain_head(w);
  ch_u128 was = first->purse[0].v + first->purse[1].v + first->vault.v;
  const ch_net *k = b->state.slots.contribution, *moved = b->other.contribution;
  ch_i128 held = k[0].v + k[1].v + moved[0].v + moved[1].v + (b->state.slots.disputed ? BOND : 0);
  if (b->purse[0].v + b->purse[1].v + b->vault.v != was) fail(w, "money was made or lost on chain");
  if ((ch_i128)b->vault.v != held) fail(w, "the Adjudicator does not hold what it owes");
}

/* What one side reports must be covered by what the other side has on disk, unless a disk was lost. */
static void check_reports(world *w, int payer) {
  const disk *a = &w->node[payer].disk, *b = &w->node[1 - payer].disk;
  for (size_t i = 0; i < w->paid[payer] && i < MAX_PAYMENTS; i++) {
    const pay_row *r = &a->out[i], *got = &b->in[i];
    bool has = got->status == CH_PAYMENT_SETTLED;
    bool conditional = r->op.kind == CH_OP_LOCK_ADD; /* there either side may be the one that signs first */
    if (r->status == CH_PAYMENT_SETTLED && !(conditional ? got->status != 0 : has) && !w->lost[1 - payer])
      fail(w, "payment p%d-%zu is reported settled, but was not received", payer, i);
    if (r->status == CH_PAYMENT_FAILED && has)
      fail(w, "payment p%d-%zu is reported failed, but was received", payer, i);
    if (got->status && !r->status && !w->lost[payer]) fail(w, "payment p%d-%zu was received, but never made", payer, i);
  }
}

/* No state that a node relies on gives a side more than the chain holds for it, whatever was taken out meanwhile: then
 * payouts are never clamped, and nobody's money pays for another's. */
static void check_covered(world *w) {
  const ch_adj_slots *b = &chain_head(w)->state.slots;
  for (int s = 0; s < 2; s++) {
    ch_state st;
    ch_outcome o;
    ch_sig sig[2];
    if (!w->node[s].channel || w->cloned[s] || node_frozen(w, &w->node[s])) continue;
    ch_channel_latest(w->node[s].channel, &st, &o, sig);
    if (st.epoch != b->epoch) continue;
    ch_info info;
    node_info(w, &w->node[s], &info);
    ch_i128 locked[2] = {(ch_i128)info.locked_peer.v, (ch_i128)info.locked_peer.v};
    locked[s] = (ch_i128)info.locked_mine.v;
    if (b->contribution[0].v - o.net.v < locked[0] || b->contribution[1].v + o.net.v < locked[1])
      fail(w, "node %d's state %llu is not covered on chain", s, (unsigned long long)st.version);
  }
}

void check_always(world *w) {
  check_covered(w);
  check_money(w);
  if (w->liar) return;
  check_reports(w, 0);
  check_reports(w, 1);
}

/* What a node's payments of an epoch add up to, from side 0 to side 1; what it does not know may be in it or not. */
typedef struct range {
  ch_i128 least, most;
} range;

static range net_of_rows(const world *w, int side, uint16_t epoch) {
  const disk *d = &w->node[side].disk;
  range r = {0, 0};
  for (size_t i = 0; i < MAX_PAYMENTS; i++) {
    const pay_row *out = &d->out[i], *in = &d->in[i];
    ch_i128 paid = out->status == CH_PAYMENT_SETTLED && out->epoch == epoch ? (ch_i128)out->paid.v : 0;
    if (in->status == CH_PAYMENT_SETTLED && in->epoch == epoch) paid -= (ch_i128)in->paid.v;
    r.least += side == 0 ? paid : -paid;
    r.most += side == 0 ? paid : -paid;
    if (out->status == CH_PAYMENT_UNKNOWN)
      *(side == 0 ? &r.most : &r.least) += side == 0 ? (ch_i128)out->op.amount.v : -(ch_i128)out->op.amount.v;
    if (in->status == CH_PAYMENT_UNKNOWN)
      *(side == 0 ? &r.least : &r.most) += side == 0 ? -(ch_i128)in->op.amount.v : (ch_i128)in->op.amount.v;
  }
  return r;
}

static bool adds_up(const world *w, int side, uint16_t epoch, ch_net net) {
  range r = net_of_rows(w, side, epoch);
  return net.v >= r.least && net.v <= r.most;
}

void check_converged(world *w) {
  ch_info info[2];
  for (int s = 0; s < 2; s++) {
    const disk *d = &w->node[s].disk;
    node_info(w, &w->node[s], &info[s]);
    if (info[s].frozen)
      fail(w, "node %d is frozen and waits for %s: %s", s, ch_wait_name(info[s].wait), info[s].freeze_reason);
    if (info[s].outstanding || info[s].queued) fail(w, "node %d still has operations under way", s);
    if (info[s].reserved_mine.v && w->now < info[s].wait_until)
      fail(w, "node %d's withdrawal does not come to an end", s);
    for (size_t i = 0; i < MAX_PAYMENTS; i++)
      if (d->out[i].status == CH_PAYMENT_PENDING) fail(w, "payment p%d-%zu is neither settled nor failed", s, i);
    if (!w->lost[s] && !adds_up(w, s, info[s].epoch, info[s].net))
      fail(w, "node %d: the payments do not add up to the state", s);
  }
  if (info[0].epoch != info[1].epoch || info[0].version != info[1].version || info[0].net.v != info[1].net.v)
    fail(w, "the sides did not converge");
}

/* For whoever looks for the reason. */
static void note_rows(const world *w, int side) {
  const disk *d = &w->node[side].disk;
  for (size_t i = 0; i < MAX_PAYMENTS; i++)
    for (int in = 0; in < 2; in++) {
      const pay_row *r = in ? &d->in[i] : &d->out[i];
      if (!r->status) continue;
      note(w, "node %d: %s p%d-%zu: status %d, %llu of %llu, version %llu of epoch %d%s", side, in ? "in" : "out",
           in ? 1 - side : side, i, (int)r->status, (unsigned long long)r->paid.v, (unsigned long long)r->op.amount.v,
           (unsigned long long)r->version, r->epoch,
           r->op.kind == CH_OP_PAY ? ""
           : is_hash_lock(&r->op)  ? ", hash lock"
                                   : ", contract lock");
    }
}

static void check_books(world *w, int s, const ch_adj_event *e) {
  const disk *d = &w->node[s].disk;
  if (!w->lost[s] && !adds_up(w, s, e->epoch, e->net)) {
    note_rows(w, s);
    note(w, "executed: %lld", (long long)e->net.v);
    fail(w, "node %d: its books differ from what the chain executed", s);
  }
  for (size_t i = 0; i < MAX_PAYMENTS; i++) {
    if (d->out[i].status == CH_PAYMENT_PENDING || d->out[i].status == CH_PAYMENT_LOCKED)
      fail(w, "payment p%d-%zu is still pending after the ending", s, i);
    if (d->in[i].status == CH_PAYMENT_LOCKED) fail(w, "payment p%d-%zu is still locked after the ending", 1 - s, i);
  }
}

void check_ending(world *w) {
  const block *b = chain_head(w);
  if (!b->state.has_ended) return fail(w, "the channel did not end");
  const ch_adj_event *e = &b->state.ended;
  bool whole = !w->lost[0] && !w->lost[1]; /* who has lost its memory may not have defended itself */
  for (int s = 0; s < 2; s++)
    if (is_honest(w, s)) check_books(w, s, e);
  for (int s = 0; s < 2; s++)
    if (is_honest(w, s)) disk_check(w, &w->node[s]);
  /* What was executed is exactly what was moved: a payout that is clamped takes from somebody. */
  ch_i128 in_epoch[2] = {b->at_end[0].v - e->net.v, b->at_end[1].v + e->net.v};
  for (int s = 0; s < 2 && whole; s++)
    if (is_honest(w, s) && (ch_i128)e->paid[s].v < in_epoch[s]) fail(w, "node %d was paid less than it had", s);
}
