/* locks.c - conditional payments in the simulated world: made, claimed early and late, given back, left to expire.
 *
 * A payee that has claimed a payment in time must get it, whatever the peer, the network and the chain do within what
 * the margins allow for; and a payer that pays has the preimage. disk.c and check.c hold this. */
#include <stdlib.h>

#include "world.h"

/* What the payee knows of a lock: everybody can work it out here, but only payees do. */
ch_hash preimage_of(const ch_op *op) {
  ch_hash h;
  ch_keccak256(&h, (const uint8_t *)op->id, op->id_len);
  return h;
}

bool is_hash_lock(const ch_op *op) {
  static const ch_addr none = {{0}};
  return ch_addr_eq(&op->u.add.condition, &none);
}

size_t locks_of(const world *w, const node *n, ch_lock_info *out) {
  ch_env env;
  if (!n->alive || !n->channel) return 0;
  node_env(w, n, &env);
  size_t k = ch_channel_locks(n->channel, &env, out, MAX_SEEN);
  return k < MAX_SEEN ? k : MAX_SEEN;
}

/* --- Made ----------------------------------------------------------------------------------------------------- */

static ch_op some_lock(world *w, int side, bool contract, uint64_t expiry) {
  ch_op op = payment_op(w, side, ch_amount_of(1 + rng_below(&w->rng, 200)));
  ch_hash secret = preimage_of(&op), hash;
  ch_preimage_hash(&hash, &secret);
  op.kind = CH_OP_LOCK_ADD;
  op.valid_until = expiry;
  op.u.add.payload_len = LOCK_PAYLOAD;
  memcpy(op.u.add.payload, hash.b, sizeof hash.b);
  if (!contract) return op;
  op.u.add.condition = (ch_addr){{0xc0}};
  op.u.add.gas = 1000;
  return op;
}

void act_lock(world *w, node *n) {
  if (!w->with_locks || w->ending || w->paid[n->side] + 1 >= MAX_PAYMENTS) return;
  bool soon = rng_chance(&w->rng, 15), contract = w->with_contracts && rng_chance(&w->rng, 35);
  uint64_t least = w->now + FRESHNESS + MARGIN;
  uint64_t expiry = soon ? least + rng_below(&w->rng, 40)
                         : least + rng_below(&w->rng, LONGEST - FRESHNESS - MARGIN + (contract ? 0 : 100));
  const ch_op op = some_lock(w, n->side, contract, expiry);
  const ch_event ev = ch_event_pay(&op, 1);
  ch_err err = node_step(w, n, &ev);
  happened(w, err ? K_LOCK_REFUSED : soon ? K_LOCK_SHORT : contract ? K_LOCK_CONTRACT : K_LOCK_HASH);
}

/* --- Resolved ------------------------------------------------------------------------------------------------- */

/* Whether the claim is remembered: the disk may have refused it. */
static bool is_wanted(const world *w, const node *n, const ch_hash *lock) {
  static ch_lock_info locks[MAX_SEEN];
  size_t k = locks_of(w, n, locks);
  for (size_t i = 0; i < k; i++)
    if (ch_hash_eq(&locks[i].lock_id, lock) && locks[i].want == CH_OP_FULFIL) return true;
  return false;
}

static void claim(world *w, node *n, const ch_lock_info *l, bool late) {
  const ch_hash secret = preimage_of(&l->op);
  const ch_event ev = ch_event_fulfil(&l->lock_id, &secret);
  if (late && !node_claims_pending(w) && w->now < l->op.valid_until) w->now = l->op.valid_until - rng_below(&w->rng, 3);
  bool in_time = w->now + FRESHNESS + MARGIN < l->op.valid_until;
  if (node_step(w, n, &ev) != CH_OK) return;
  happened(w, late ? K_FULFIL_LATE : K_FULFIL);
  pay_row *row = disk_row(&n->disk, true, &l->op);
  if (row && in_time && is_wanted(w, n, &l->lock_id)) row->expected = true;
  if (w->liar && rng_chance(&w->rng, 40)) liar_falls_silent(w);
}

/* The payee decides: most often to claim, sometimes to give back, sometimes in the last second, or never. Who pays for
 * a contract's may release it. */
void act_resolve(world *w, node *n) {
  static ch_lock_info locks[MAX_SEEN];
  size_t k = locks_of(w, n, locks);
  if (!k) return;
  const ch_lock_info *l = &locks[rng_below(&w->rng, (unsigned)k)];
  bool hash = is_hash_lock(&l->op);
  if (!l->agreed || l->want || (!l->incoming && hash)) return;
  unsigned what = rng_below(&w->rng, 100);
  const ch_event give = ch_event_cancel(&l->lock_id), pay = ch_event_fulfil(&l->lock_id, &(ch_hash){{0}});
  if (l->incoming && what < 20) {
    if (node_step(w, n, &give) == CH_OK) happened(w, K_CANCEL);
  } else if (hash) {
    claim(w, n, l, what >= 85);
  } else if (!l->incoming && what < 60) {
    if (node_step(w, n, &pay) == CH_OK) happened(w, K_FULFIL_CONTRACT);
  }
}

/* --- Margins -------------------------------------------------------------------------------------------------- */

/* Whether a side relies on its margins now: then time must not jump further than they allow. */
bool node_claims_pending(const world *w) {
  static ch_lock_info locks[MAX_SEEN];
  for (int s = 0; s < 2; s++) {
    if (!is_honest(w, s)) continue;
    const node *n = &w->node[s];
    size_t k = locks_of(w, n, locks);
    if (!n->alive || n->stalled) return true; /* not known */
    for (size_t i = 0; i < k; i++)
      if (locks[i].incoming && locks[i].want == CH_OP_FULFIL) return true;
  }
  return false;
}

static bool expects(const node *n) {
  for (size_t i = 0; i < MAX_PAYMENTS; i++)
    if (n->disk.in[i].expected && n->disk.in[i].status == CH_PAYMENT_LOCKED) return true;
  return false;
}

void keep_margins(world *w) {
  for (int s = 0; s < 2; s++) {
    node *n = &w->node[s];
    if (!is_honest(w, s) || !expects(n)) continue;
    if (n->stalled && w->now + STEP > w->blocks[n->seen].time + FRESHNESS) n->stalled = false;
    if (!n->alive && w->now + STEP > n->down + FRESHNESS) node_restart(w, n);
  }
}

/* A block at the very second of an expiry, or beside it. */
bool act_edge(world *w) {
  static ch_lock_info locks[MAX_SEEN];
  node *n = &w->node[rng_below(&w->rng, 2)];
  size_t k = locks_of(w, n, locks);
  if (!k) return false;
  uint64_t at = locks[rng_below(&w->rng, (unsigned)k)].op.valid_until + rng_below(&w->rng, 3) - 1;
  uint64_t least = chain_head(w)->time + BLOCK_SECONDS;
  if (at < least || at < w->now || (node_claims_pending(w) && at > w->now + STEP)) return false;
  happened(w, K_EDGE);
  note(w, "a block at the second of an expiry");
  w->now = at;
  pass_block(w, 0);
  if (!rng_chance(&w->rng, 40)) return true;
  happened(w, K_REORG_EXPIRY);
  chain_reorganise(w, 1 + (int)rng_below(&w->rng, FINAL_DEPTH));
  return true;
}

/* --- What the chain shows of hashes, and what contracts say ---------------------------------------------------- */

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

/* Some part of it, nothing, or more than all. */
ch_amount chain_owed(void *ctx, const ch_lock *lock) {
  (void)ctx;
  return ch_amount_of((uint64_t)lock->amount.v * (lock->payload[0] % 6u) / 4);
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
  ch_lock_info locks[MAX_SEEN];
  size_t k = locks_of(w, n, locks);
  for (size_t i = 0; i < k && n->alive; i++) {
    if (!is_hash_lock(&locks[i].op)) continue;
    ch_hash hash;
    memcpy(hash.b, locks[i].op.u.add.payload, sizeof hash.b);
    const ch_reveal now = look_at(w, &hash, head, final);
    const ch_event ev = ch_event_reveal(&now);
    ch_err err = node_step(w, n, &ev);
    if (err && err != CH_ERR_NOT_CONNECTED) fail(w, "a reveal was refused: %s", ch_err_name(err));
  }
}
