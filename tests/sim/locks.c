/* locks.c - conditional payments in the simulated world: made, claimed early and late, given back, left to expire.
 *
 * A payee that has claimed a payment in time must get it, whatever the peer, the network and the chain do within what
 * the margins allow for; and a payer that pays has the preimage. write_payment() and check.c hold this. */
#include <stdlib.h>

#include "world.h"

/* What the payee knows of a lock: everybody can work it out here, but only payees do. */
static ch_hash preimage_of(const char *id, size_t len) {
  ch_hash h;
  ch_keccak256(&h, (const uint8_t *)id, len);
  return h;
}

void act_lock(world *w, node *n) {
  if (!w->with_locks || w->ending || n->disk.n_out == MAX_PAYMENTS) return;
  char id[24];
  int len = snprintf(id, sizeof id, "l%d-%u", n->side, ++n->paid);
  const ch_hash secret = preimage_of(id, (size_t)len);
  ch_hash hash;
  ch_preimage_hash(&hash, &secret);
  uint64_t expiry = w->now + FRESHNESS + MARGIN + rng_below(&w->rng, LONGEST - FRESHNESS - MARGIN + 100);
  const ch_op op = ch_op_hash_lock(id, ch_amount_of(1 + rng_below(&w->rng, 200)), &hash, expiry);
  const ch_event ev = ch_event_pay(&op, 1);
  if (node_step(w, n, &ev) == CH_OK) w->locks++;
}

static size_t locks_of(const world *w, const node *n, ch_lock_info *out) {
  ch_env env;
  if (!n->alive || !n->channel) return 0;
  node_env(w, n, &env);
  size_t k = ch_channel_locks(n->channel, &env, out, MAX_LOCKS);
  return k < MAX_LOCKS ? k : MAX_LOCKS;
}

/* The payee decides: most often to claim, sometimes to give back, sometimes in the last second, or never. */
void act_resolve(world *w, node *n) {
  static ch_lock_info locks[MAX_LOCKS];
  size_t k = locks_of(w, n, locks);
  if (!k) return;
  const ch_lock_info *l = &locks[rng_below(&w->rng, (unsigned)k)];
  if (!l->incoming || !l->agreed || l->want) return;
  unsigned what = rng_below(&w->rng, 100);
  const ch_hash secret = preimage_of(l->op.id, l->op.id_len);
  const ch_event give = ch_event_cancel(&l->lock_id), claim = ch_event_fulfil(&l->lock_id, &secret);
  if (what < 20) {
    node_step(w, n, &give);
    return;
  }
  bool last_second = what >= 90 && w->now < l->op.valid_until;
  if (last_second && !node_claims_pending(w)) w->now = l->op.valid_until - rng_below(&w->rng, 3);
  bool in_time = w->now + FRESHNESS + MARGIN < l->op.valid_until;
  if (node_step(w, n, &claim) == CH_OK && in_time && n->alive) node_expects(n, &l->op); /* a crash may forget it */
}

/* Whether a side relies on its margins now: then time must not jump further than they allow. */
bool node_claims_pending(const world *w) {
  static ch_lock_info locks[MAX_LOCKS];
  for (int s = 0; s < 2; s++) {
    size_t k = locks_of(w, &w->node[s], locks);
    if (!w->node[s].alive || w->node[s].stalled) return true; /* not known */
    for (size_t i = 0; i < k; i++)
      if (locks[i].incoming && locks[i].want == CH_OP_FULFIL) return true;
  }
  return false;
}

/* --- What the chain shows of hashes ---------------------------------------------------------------------------- */

void chain_note_reveal(world *w, const ch_adj_event *e, int at) {
  if (w->n_reveals == MAX_REVEALS) return fail(w, "too many reveals for the simulator");
  w->reveals[w->n_reveals++] = (revealed){e->id, e->salt, at};
}

void chain_forget_reveals(world *w) {
  size_t n = 0;
  for (size_t i = 0; i < w->n_reveals; i++)
    if (w->reveals[i].block < w->n_blocks) w->reveals[n++] = w->reveals[i];
  w->n_reveals = n;
}

uint64_t chain_revealed(void *ctx, const ch_hash *hash) {
  const world *w = (const world *)ctx;
  for (size_t i = 0; i < w->n_reveals; i++)
    if (ch_hash_eq(&w->reveals[i].hash, hash)) return w->blocks[w->reveals[i].block].time;
  return 0;
}

static ch_reveal look_at(const world *w, const ch_hash *hash, int head, int final) {
  ch_reveal r = {.hash = *hash};
  for (size_t i = 0; i < w->n_reveals; i++) {
    const revealed *v = &w->reveals[i];
    if (!ch_hash_eq(&v->hash, hash)) continue;
    r.preimage = v->preimage;
    if (v->block <= head) r.head_time = w->blocks[v->block].time;
    if (v->block <= final) r.final_time = w->blocks[v->block].time;
  }
  return r;
}

void node_look_at_hashes(world *w, node *n, int head, int final) {
  ch_lock_info locks[MAX_LOCKS];
  size_t k = locks_of(w, n, locks);
  for (size_t i = 0; i < k && n->alive; i++) {
    ch_hash hash;
    memcpy(hash.b, locks[i].op.u.add.payload, sizeof hash.b);
    const ch_reveal now = look_at(w, &hash, head, final);
    const ch_event ev = ch_event_reveal(&now);
    ch_err err = node_step(w, n, &ev);
    if (err && err != CH_ERR_NOT_CONNECTED) fail(w, "a reveal was refused: %s", ch_err_name(err));
  }
}
