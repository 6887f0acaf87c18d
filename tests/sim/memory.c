/* memory.c - memory that is lost or doubled: old copies of a disk, clones, and how a channel goes on afterwards. */
#include "world.h"

#include <stdlib.h>

#define FROZEN_FOR 90000 /* longer than what was signed before a freeze is valid */

/* The operator repeats a command until it is acknowledged. */
static void insist(world *w, node *n, ch_event_kind kind) {
  bool faults = w->faults;
  w->faults = false;
  ch_event ev = {.kind = kind};
  ch_err err = node_step(w, n, &ev);
  w->faults = faults;
  if (err) fail(w, "node %d could not be told to freeze or resume: %s", n->side, ch_err_name(err));
}

void node_restore(world *w, node *n) {
  if (!n->copy.record || w->lost[n->side] || w->broken) return;
  if (n->alive) node_crash(w, n);
  note(w, "node %d: its disk is replaced by a copy of epoch %d, version %llu", n->side, n->copy.epoch,
       (unsigned long long)n->copy.latest);
  disk_copy(&n->disk, &n->copy);
  w->lost[n->side] = true;
  happened(w, K_RESTORE);
  if (w->liar) happened(w, K_LOST_TO_LIAR);
  happened(w, K_FREEZE);
  node_boot(w, n);
  insist(w, n, CH_EV_FREEZE);
  node_look_at_chain(w, n);
}

/* --- Clones ------------------------------------------------------------------------------------------------- */

static void swap(world *w, node *n) {
  link_cut(w, false);
  node other = *w->twin[n->side];
  *w->twin[n->side] = *n;
  *n = other;
  n->seen = n->seen < w->n_blocks ? n->seen : w->n_blocks - 1;
  note(w, "node %d: the other copy goes on, at version %llu", n->side, (unsigned long long)n->disk.latest);
}

/* A second process with a copy of the data, of now or of some time ago; afterwards they take turns. */
void node_clone(world *w, node *n) {
  int s = n->side;
  if (w->broken || !n->disk.record || w->lost[1 - s]) return;
  if (w->twin[s]) {
    happened(w, K_CLONE_SWAP);
    return swap(w, n);
  }
  if (w->lost[s]) return;
  node *twin = (node *)calloc(1, sizeof *twin);
  if (!twin) abort();
  *twin = (node){.side = s, .alive = true, .node_key = n->node_key, .node_id = n->node_id, .address = n->address};
  disk_copy(&twin->disk, n->copy.record && rng_chance(&w->rng, 50) ? &n->copy : &n->disk);
  w->twin[s] = twin;
  w->lost[s] = w->cloned[s] = true;
  happened(w, K_CLONE);
  if (w->liar) happened(w, K_LOST_TO_LIAR);
  node_boot(w, twin);
  swap(w, n);
  node_look_at_chain(w, n);
}

/* One copy is ended for good. */
void node_end_clones(world *w) {
  for (int s = 0; s < 2; s++) {
    if (!w->twin[s]) continue;
    node_free(w->twin[s]);
    free(w->twin[s]);
    w->twin[s] = NULL;
  }
}

/* --- Leaving a freeze --------------------------------------------------------------------------------------- */

/* By its operator's word, and with the peer's help or by the chain. */
static void thaw(world *w, node *n) {
  ch_phase p = node_phase(w, n->side);
  if (!node_frozen(w, n) || p == CH_PHASE_DISPUTED || p == CH_PHASE_ENDING || p == CH_PHASE_CLOSED) return;
  unsigned way = w->ending ? 50 : rng_below(&w->rng, 100);
  if (way < 10) return command(w, 1 - n->side, CH_EV_CHALLENGE);
  if (way < 25) return command(w, n->side, CH_EV_CLOSE);
  note(w, "node %d: resume", n->side);
  happened(w, K_RESUME);
  insist(w, n, CH_EV_RESUME);
}

static bool any_frozen(const world *w) {
  for (int s = 0; s < 2; s++)
    if (is_honest(w, s) && node_frozen(w, &w->node[s])) return true;
  return false;
}

static bool any_locks(const world *w) {
  ch_info info;
  for (int s = 0; s < 2; s++) {
    node_info(w, &w->node[s], &info);
    if (info.locks) return true;
  }
  return false;
}

/* Locks that one side has forgotten keep it from taking the latest state: only the chain can resolve them. */
static void thaw_by_chain(world *w) {
  pass_block(w, 0);
  command(w, w->lost[0] ? 1 : 0, CH_EV_CHALLENGE);
}

void thaw_all(world *w, unsigned number) {
  for (unsigned round = 0; round < 4 && !w->failure && any_frozen(w); round++) {
    begin_section(w, number + round * 50);
    if (round == 2 && any_locks(w)) return thaw_by_chain(w);
    for (int s = 0; s < 2 && round % 2 == 0; s++)
      thaw(w, &w->node[s]);
    pass_time(w, FROZEN_FOR);
    w->faults = round == 0;
    for (unsigned i = 1; i < 50 && w->faults && !w->failure; i++)
      if (begin_action(w, number + i)) act(w);
    heal(w, 8);
  }
}
