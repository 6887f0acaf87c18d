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

bool chain_apply(world *w, block *b, const ch_addr *sender, ch_amount value, const ch_tx *tx) {
  ch_adj_call call = ch_adj_call_of(&w->chain, sender, value, b->time);
  call.target = &b->other;
  call.ctx = w;
  call.revealed = chain_revealed;
  ch_adj_result r;
  memset(&r, 0, sizeof r);
  ch_adj_revert why = ch_adj_apply(&r, &b->state.slots, &call, tx);
  if (why) {
    note(w, "tx %d reverted: %s", (int)tx->kind, ch_adj_revert_text(why));
    return false;
  }
  note(w, "tx %d mined", (int)tx->kind);
  if (tx->kind == CH_TX_WITHDRAW) w->withdrawals++;
  if (tx->kind == CH_TX_MOVE) {
    w->moves++;
    b->other = r.target;
  }
  if (tx->kind == CH_TX_REVEAL) {
    chain_note_reveal(w, &r.event, (int)(b - w->blocks));
    return true;
  }
  for (int i = 0; i < 2; i++)
    if (ch_addr_eq(sender, &w->node[i].address) && ch_amount_sub(&b->purse[i], b->purse[i], value))
      fail(w, "a purse was overdrawn");
  if (ch_amount_add(&b->vault, b->vault, value)) fail(w, "the vault overflowed");
  b->state.slots = r.slots;
  if (r.event.kind == CH_ADJ_CLOSED || r.event.kind == CH_ADJ_SETTLED) {
    b->state.has_ended = true;
    b->state.ended = r.event;
  }
  for (size_t i = 0; i < r.n_transfers; i++)
    pay_out(w, b, &r.transfers[i]);
  return true;
}

static void include_jobs(world *w, node *n, block *b) {
  for (size_t i = 0; i < n->disk.n_jobs; i++) {
    job *j = &n->disk.jobs[i];
    if (j->mined >= 0 || j->failed) continue;
    if (w->faults && rng_chance(&w->rng, 30)) continue;
    if (chain_apply(w, b, &n->address, j->value, &j->tx))
      j->mined = w->n_blocks;
    else
      j->failed = true;
  }
}

void chain_mine(world *w) {
  if (w->n_blocks == MAX_BLOCKS) return;
  block *b = &w->blocks[w->n_blocks];
  *b = *chain_head(w);
  if (w->now < b->time + BLOCK_SECONDS) w->now = b->time + BLOCK_SECONDS;
  b->time = w->now;
  int first = (int)rng_below(&w->rng, 2);
  include_jobs(w, &w->node[first], b);
  include_jobs(w, &w->node[1 - first], b);
  w->n_blocks++;
}

void chain_reorganise(world *w, int depth) {
  if (depth >= w->n_blocks) return;
  w->n_blocks -= depth;
  chain_forget_reveals(w);
  w->reorgs++;
  note(w, "reorganisation of %d blocks", depth);
  for (int s = 0; s < 2; s++) {
    disk *disks[] = {&w->node[s].disk, &w->node[s].copy};
    for (int k = 0; k < 2; k++)
      for (size_t i = 0; i < disks[k]->n_jobs; i++)
        if (disks[k]->jobs[i].mined >= w->n_blocks) disks[k]->jobs[i].mined = -1;
  }
  for (int i = 0; i <= depth; i++)
    chain_mine(w);
}
