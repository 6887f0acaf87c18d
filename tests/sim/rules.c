/* rules.c - what a node must not even try: signatures, reports and transactions that its own view of the chain forbids.
 *
 * They do harm only when peer and chain make the worst of them, which takes long to happen by chance; so the rule
 * itself is held, at the moment at which it would be broken (proto/protocol.md, sections 3 to 5). */
#include "world.h"

static bool stale(const world *w, const node *n) {
  return w->now > w->blocks[n->seen].time + FRESHNESS;
}

/* Every content that is signed is covered by what is final, and signed only while the chain is fresh and quiet. */
void check_signing(world *w, const node *n, const ch_sign_state *what) {
  const ch_adj_slots *head = &n->view.head.slots;
  const ch_net *k = n->view.final.slots.contribution;
  const unsigned long long version = what->state.version;
  const ch_i128 net = what->outcome.net.v;
  if (stale(w, n)) fail(w, "node %d signed version %llu behind a stale head", n->side, version);
  static const ch_chain_view none;
  if (memcmp(&n->view, &none, sizeof none) == 0) return; /* since its start it has not been shown any */
  if (head->disputed || head->epoch != what->state.epoch)
    fail(w, "node %d signed version %llu in a dispute, or after an ending", n->side, version);
  if (k[0].v - net < 0 || k[1].v + net < 0)
    fail(w, "node %d signed version %llu, which final money does not cover", n->side, version);
}

/* Nothing is reported settled that the chain could still undo, but by a final ending. */
void check_paid(world *w, const node *n, const ch_channel *next) {
  ch_info info;
  ch_env env;
  node_env(w, n, &env);
  ch_channel_info(next, &env, &info);
  if (info.phase != CH_PHASE_CLOSED && stale(w, n))
    fail(w, "node %d reported a payment settled behind a stale head", n->side);
}

/* Nobody settles at or before the deadline. */
void check_wish(world *w, const node *n, const ch_tx *tx) {
  const ch_adj_slots *d = &n->view.head.slots;
  if (tx->kind == CH_TX_SETTLE && w->blocks[n->seen].time <= d->deadline)
    fail(w, "node %d would settle before the deadline", n->side);
}
