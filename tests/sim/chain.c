/* chain.c - the simulated chain: blocks, mining, reorganisations. The rules are ch_adj_apply, the real model. */
#include "world.h"

const block *chain_head(const world *w) {
  return &w->blocks[w->n_blocks - 1];
}

void chain_genesis(world *w) {
  memset(&w->blocks[0], 0, sizeof w->blocks[0]);
  w->blocks[0].time = w->now;
  w->blocks[0].purse[0] = w->blocks[0].purse[1] = ch_amount_of(1000000000);
  w->n_blocks = 1;
}

static void pay_out(world *w, block *b, const ch_adj_transfer *t) {
  if (ch_amount_sub(&b->vault, b->vault, t->amount)) fail(w, "the Adjudicator paid out more than it held");
  for (int i = 0; i < 2; i++)
    if (ch_addr_eq(&t->to, &w->node[i].address) && ch_amount_add(&b->purse[i], b->purse[i], t->amount))
      fail(w, "a purse overflowed");
}

static int challenger(const ch_adj_slots *s) {
  return (int)(s->flags & CH_ADJ_CHALLENGER);
}

/* The model keeps its own rules about time; this is told to who breaks them there. */
static void check_times(world *w, const block *b, const ch_tx *tx, const ch_adj_slots *after) {
  const ch_adj_slots *was = &b->state.slots;
  bool late = b->time > was->deadline;
  if (tx->kind == CH_TX_CHALLENGE && after->deadline != b->time + PERIOD)
    fail(w, "a challenge window has a wrong length");
  if (tx->kind == CH_TX_SETTLE && !late) fail(w, "a settlement was taken before the deadline had passed");
  if (tx->kind == CH_TX_REFUTE && late) fail(w, "a refutation was taken after the deadline");
}

/* What is worth counting, and whether an honest challenger keeps its bond. */
static void look_at(world *w, const block *b, const ch_tx *tx, const ch_adj_event *e) {
  switch (tx->kind) {
  case CH_TX_WITHDRAW: happened(w, K_WITHDRAWN); break;
  case CH_TX_MOVE: happened(w, K_MOVED); break;
  case CH_TX_CLOSE: happened(w, K_CLOSED); break;
  case CH_TX_REFUTE: happened(w, K_REFUTED); break;
  case CH_TX_SETTLE: happened(w, tx->u.settle.locks_len ? K_SETTLED_LOCKS : K_SETTLED); break;
  case CH_TX_REVEAL: happened(w, K_REVEAL); break;
  case CH_TX_DEPOSIT:
  case CH_TX_FUND:
  case CH_TX_CHALLENGE:
  case CH_TX_REFUTE_FOR:
  case CH_TX_CLAIM:
  case CH_TX_CLOSE_BATCH:
  case CH_TX_SETTLE_BATCH:
  case CH_TX_REVEAL_BATCH: break;
  }
  if (tx->kind == CH_TX_REVEAL || !b->state.slots.disputed || !e->forfeited) return;
  int side = challenger(&b->state.slots);
  if (is_honest(w, side) && !w->lost[side] && !w->risked[side]) fail(w, "an honest challenger lost its bond");
}

bool chain_apply(world *w, block *b, const ch_addr *sender, ch_amount value, const ch_tx *tx) {
  ch_adj_call call = ch_adj_call_of(&w->chain, sender, value, b->time);
  call.target = &b->other;
  call.ctx = w;
  call.revealed = chain_revealed;
  call.owed = chain_owed;
  ch_adj_result r;
  memset(&r, 0, sizeof r);
  ch_adj_revert why = ch_adj_apply(&r, &b->state.slots, &call, tx);
  if (why) {
    note(w, "tx %d reverted: %s", (int)tx->kind, ch_adj_revert_text(why));
    return false;
  }
  note(w, "tx %d mined", (int)tx->kind);
  look_at(w, b, tx, &r.event);
  check_times(w, b, tx, &r.slots);
  if (tx->kind == CH_TX_MOVE) b->other = r.target;
  if (tx->kind == CH_TX_REVEAL) {
    chain_note_reveal(w, &r.event, (int)(b - w->blocks));
    return true;
  }
  for (int i = 0; i < 2; i++)
    if (ch_addr_eq(sender, &w->node[i].address) && ch_amount_sub(&b->purse[i], b->purse[i], value))
      fail(w, "a purse was overdrawn");
  if (ch_amount_add(&b->vault, b->vault, value)) fail(w, "the vault overflowed");
  const ch_net at_end[2] = {b->state.slots.contribution[0], b->state.slots.contribution[1]};
  b->state.slots = r.slots;
  if (r.event.kind == CH_ADJ_CLOSED || r.event.kind == CH_ADJ_SETTLED) {
    b->state.has_ended = true;
    memcpy(b->at_end, at_end, sizeof at_end);
    b->state.ended = r.event;
  }
  for (size_t i = 0; i < r.n_transfers; i++)
    pay_out(w, b, &r.transfers[i]);
  return true;
}

/* Whether a full block leaves it out. */
static bool kept_waiting(world *w, job *j) {
  if (!w->faults || j->late == LATEST || !rng_chance(&w->rng, 30)) return false;
  j->late++;
  happened(w, K_TX_LATE);
  return true;
}

static void include_jobs(world *w, node *n, block *b) {
  for (size_t i = 0; i < n->disk.n_jobs; i++) {
    job *j = &n->disk.jobs[i];
    if (j->mined >= 0 || j->failed || kept_waiting(w, j)) continue;
    ch_tx tx = j->tx;
    if (tx.kind == CH_TX_SETTLE) tx.u.settle.locks = j->locks;
    if (chain_apply(w, b, &n->address, j->value, &tx))
      j->mined = w->n_blocks;
    else
      j->failed = true;
  }
}

void chain_mine(world *w) {
  if (w->n_blocks == MAX_BLOCKS) return fail(w, "too many blocks for the simulator");
  keep_margins(w);
  block *b = &w->blocks[w->n_blocks];
  *b = *chain_head(w);
  if (w->now < b->time + BLOCK_SECONDS) w->now = b->time + BLOCK_SECONDS;
  b->time = w->now;
  int first = (int)rng_below(&w->rng, 2);
  bool liar_first = rng_chance(&w->rng, 50);
  if (w->liar && liar_first) liar_mines(w, b);
  include_jobs(w, &w->node[first], b);
  include_jobs(w, &w->node[1 - first], b);
  if (w->liar && !liar_first) liar_mines(w, b);
  w->n_blocks++;
}

static void take_back(world *w, disk *d) {
  for (size_t i = 0; i < d->n_jobs; i++) {
    if (d->jobs[i].mined < w->n_blocks) continue;
    d->jobs[i].mined = -1;
    happened(w, K_REORG_TX);
  }
}

void chain_reorganise(world *w, int depth) {
  if (depth >= w->n_blocks) return;
  w->n_blocks -= depth;
  chain_forget_reveals(w);
  happened(w, K_REORG);
  note(w, "reorganisation of %d blocks", depth);
  for (int s = 0; s < 2; s++) {
    take_back(w, &w->node[s].disk);
    take_back(w, &w->node[s].copy);
    if (w->twin[s]) take_back(w, &w->twin[s]->disk);
  }
  for (int i = 0; i <= depth; i++)
    chain_mine(w);
  for (int s = 0; s < 2; s++)
    if (w->node[s].seen >= w->n_blocks) w->node[s].seen = w->n_blocks - 1;
}
