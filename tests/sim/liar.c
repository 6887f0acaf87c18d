/* liar.c - a side that says and does whatever its keys allow. It has no engine: what it says is made by hand from what
 * it has learned, so that the honest side is alone against everything that can be signed. */
#include "liar.h"

#include <stdlib.h>

int liar_side(const world *w) {
  return w->liar->side;
}

/* From here on its own engine is gone. */
void liar_make(world *w, int side) {
  node *n = &w->node[side];
  ch_info info;
  ch_origin origin;
  liar *l = (liar *)calloc(1, sizeof *l);
  if (!l) abort();
  node_info(w, n, &info);
  ch_channel_origin(n->channel, &origin);
  l->side = side;
  l->id = info.id;
  l->params = info.params;
  l->old_instance = n->instance;
  rng_hash(&w->rng, &l->instance);
  node_channel_key(n, &origin.nonce[side], &l->key);
  ch_domain(&l->domain, &w->chain);
  static const unsigned lies[] = {1, 4, 12, 30};
  l->lies = lies[rng_below(&w->rng, 4)];
  l->patient = rng_chance(&w->rng, 60);
  link_cut(w, false);
  ch_channel_free(n->channel);
  n->channel = NULL;
  n->disk.n_jobs = 0;
  w->liar = l;
}

void liar_free(world *w) {
  if (!w->liar) return;
  for (size_t i = 0; i < MAX_SAID; i++)
    free(w->liar->said[i].bytes);
  free(w->liar);
}

void liar_connected(world *w) {
  w->liar->greeted = false;
  w->liar->unanswered = 0;
}

void liar_hears(world *w, const uint8_t *bytes, size_t len) {
  ch_msg m;
  bool known = false;
  if (ch_msg_decode(&m, &known, bytes, len)) return fail(w, "an honest node sent what does not decode");
  if (!known) return;
  liar_learns(w, &m);
  ch_msg_clear(&m);
}

static void attack_a_deadline(world *w) {
  unsigned what = rng_below(&w->rng, 100);
  if (what < 30)
    liar_falls_silent(w);
  else if (what < 75)
    liar_reveals_late(w);
  else if (what < 80)
    liar_settles_behind(w);
  else
    (void)act_edge(w);
}

void liar_act(world *w) {
  liar *l = w->liar;
  unsigned what = rng_below(&w->rng, 100);
  if (l->silent) {
    l->silent--;
    return;
  }
  ch_phase p = honest_of(w)->channel ? node_phase(w, 1 - l->side) : CH_PHASE_OPEN;
  if ((p == CH_PHASE_DISPUTED || p == CH_PHASE_ENDING) && what < 15) return liar_accepts_late(w);
  if (!l->greeted && w->conn && rng_chance(&w->rng, 70)) return liar_greets(w);
  if (rng_chance(&w->rng, l->lies))
    liar_lies(w);
  else if (what < 50 && l->unanswered)
    liar_answers(w);
  else if (what < 75)
    liar_proposes(w, false);
  else if (what < 79)
    liar_shows_papers(w);
  else if (what < 90)
    liar_on_chain(w);
  else
    attack_a_deadline(w);
}

/* Blocks take its transactions before those of the others, or after them. */
void liar_mines(world *w, block *b) {
  liar *l = w->liar;
  for (size_t i = 0; i < l->n_pool; i++)
    if (chain_apply(w, b, &w->node[l->side].address, l->value[i], &l->pool[i])) happened(w, K_LIAR_ON_CHAIN);
  l->n_pool = 0;
}

/* The last chance to cheat. */
void liar_at_end(world *w) {
  const content *c = liar_some(w, true);
  w->liar->silent = 0;
  if (chain_head(w)->state.slots.disputed || !rng_chance(&w->rng, 60)) return;
  const ch_tx tx = liar_challenge(w, c);
  liar_wants(w, w->liar->params.bond, &tx);
  happened(w, K_CHEAT);
}
