/* life.c - one seed: the channel is opened, lives through random actions and faults, heals, and ends; and is opened
 * again, a few times over. */
#include <stdlib.h>

#include "world.h"

/* Numbers of actions and sections: each life has its own thousand. */
#define LIFE 1000
#define AT_THAW 520
#define AT_END 740
#define AT_LEAVE 750
#define AT_AGAIN 990

/* Faults stop: restart, connect, deliver, mine until nothing moves. */
void heal(world *w, int blocks) {
  w->faults = false;
  node_end_clones(w);
  for (int s = 0; s < 2; s++) {
    w->node[s].stalled = false;
    if (!w->node[s].alive) node_restart(w, &w->node[s]);
  }
  if (!w->conn || w->node[0].conn != w->node[1].conn) link_cut(w, false);
  for (int i = 0; i < blocks && !w->failure; i++) {
    pass_block(w, 0);
    link_connect(w);
    for (int k = 0; k < 2000 && (w->node[0].n_inbox || w->node[1].n_inbox) && !w->failure; k++)
      node_deliver(w, &w->node[rng_below(&w->rng, 2)]);
  }
}

/* --- Endings ------------------------------------------------------------------------------------------------- */

static bool all_in(const world *w, ch_phase p) {
  for (int s = 0; s < 2; s++)
    if (is_honest(w, s) && node_phase(w, s) != p) return false;
  return true;
}

static bool any_in(const world *w, ch_phase p) {
  for (int s = 0; s < 2; s++)
    if (is_honest(w, s) && node_phase(w, s) == p) return true;
  return false;
}

/* Sometimes there is a block in the very second of the deadline. */
static void to_the_deadline(world *w) {
  uint64_t deadline = chain_head(w)->state.slots.deadline;
  if (deadline > w->now && rng_chance(&w->rng, 50)) {
    happened(w, K_EDGE);
    w->now = deadline - 1 + rng_below(&w->rng, 3);
    pass_block(w, 0);
  }
  pass_time(w, deadline > w->now ? deadline - w->now + LONGEST : LONGEST);
}

static void run_out(world *w) {
  for (int i = 0; i < 12 && !w->failure; i++) {
    heal(w, 4);
    if (all_in(w, CH_PHASE_CLOSED)) return;
    if (chain_head(w)->state.slots.disputed) to_the_deadline(w);
    if (any_in(w, CH_PHASE_SHUTDOWN)) pass_time(w, LONGEST); /* hash locks expire */
    if (w->liar && w->lost[lone_honest(w)]) liar_takes_its_money(w);
    /* A contract's lock is for the chain to decide, or for its payer. */
    pass_block(w, 0);
    bool stuck = w->liar ? !chain_head(w)->state.slots.disputed : any_in(w, CH_PHASE_SHUTDOWN);
    if (i == 3 && stuck) command(w, w->liar ? lone_honest(w) : 0, CH_EV_CHALLENGE);
  }
  if (!w->failure)
    fail(w, "the channel did not end: phases %s and %s", is_honest(w, 0) ? ch_phase_name(node_phase(w, 0)) : "liar",
         is_honest(w, 1) ? ch_phase_name(node_phase(w, 1)) : "liar");
}

/* The cheat takes an old co-signed state, its own salt and keys, and goes to the chain with it. */
static bool cheat(world *w, int side) {
  node *n = &w->node[side];
  ch_info info;
  if (!w->n_states) return false;
  const old_state *o = &w->states[rng_below(&w->rng, (unsigned)w->n_states)];
  node_info(w, n, &info);
  ch_tx tx = {.kind = CH_TX_CHALLENGE, .id = info.id, .params = info.params};
  tx.u.challenge.challenge =
      (ch_challenge){info.id, o->state.epoch, (uint8_t)side, o->state.version, o->state.outcome_hash, w->now + 1000};
  tx.u.challenge.salt = w->salt;
  tx.u.challenge.sig[0] = o->sig[0];
  tx.u.challenge.sig[1] = o->sig[1];
  note(w, "node %d cheats with version %llu of %llu", side, (unsigned long long)o->state.version,
       (unsigned long long)info.version);
  w->risked[side] = true;
  block *b = &w->blocks[w->n_blocks - 1];
  return chain_apply(w, b, &n->address, info.params.bond, &tx);
}

static void leave(world *w, unsigned number) {
  int first = lone_honest(w) >= 0 ? lone_honest(w) : (int)rng_below(&w->rng, 2);
  if (is_honest(w, 1 - first) && node_phase(w, first) == CH_PHASE_CLOSED) first = 1 - first;
  bool alone = !w->liar && node_phase(w, 1 - first) == CH_PHASE_CLOSED, close = !alone && rng_chance(&w->rng, 50);
  command(w, first, close ? CH_EV_CLOSE : CH_EV_CHALLENGE);
  if (close && !w->liar && rng_chance(&w->rng, 40)) {
    command(w, 1 - first, CH_EV_CLOSE);
    happened(w, K_CLOSE_BOTH);
  }
  w->faults = rng_chance(&w->rng, 50);
  for (unsigned i = 1; i < 60 && w->faults && !w->failure; i++) {
    if (begin_action(w, number + i)) act(w);
    check_always(w);
  }
}

/* Everything was withdrawn or moved away: there is nothing to end. */
static bool is_empty(const world *w) {
  const ch_net *k = chain_head(w)->state.slots.contribution;
  return !chain_head(w)->state.slots.disputed && k[0].v + k[1].v == 0 && any_in(w, CH_PHASE_OPEN);
}

static void end(world *w, unsigned number) {
  begin_section(w, number);
  if (is_empty(w)) return;
  bool live = all_in(w, CH_PHASE_OPEN);
  if (live && !w->liar) check_converged(w);
  if (w->failure) return;
  int side = (int)rng_below(&w->rng, 2);
  if (live && !w->liar && rng_chance(&w->rng, 50) && cheat(w, side)) {
    happened(w, K_CHEAT);
    w->ending = true;
    if (rng_chance(&w->rng, 50)) node_crash(w, &w->node[1 - side]); /* away when it happens, back within the window */
  } else {
    leave(w, number + AT_LEAVE - AT_END);
  }
  if (w->liar) liar_at_end(w);
  run_out(w);
  if (!w->failure) check_ending(w);
  check_always(w);
}

/* --- A life -------------------------------------------------------------------------------------------------- */

static void random_life(world *w, unsigned number, unsigned length) {
  w->faults = true;
  int limit = w->n_blocks + 300;
  for (unsigned i = 1; i < length && !w->failure && w->n_blocks < limit; i++) {
    if (!begin_action(w, number + i)) continue;
    act(w);
    check_always(w);
  }
  begin_section(w, number + AT_THAW - 1);
  heal(w, 8);
  if (!w->liar) thaw_all(w, number + AT_THAW);
  check_always(w);
}

/* Money in the next epoch (unless the wish for it was lost with a disk); with faults from the first moment on, so that
 * the sides get there at different times. */
static bool open_again(world *w, unsigned number) {
  begin_section(w, number);
  if (is_empty(w)) return false;
  node *n = &w->node[w->liar ? lone_honest(w) : (int)rng_below(&w->rng, 2)];
  ch_info info;
  ch_hash nonce;
  heal(w, 4);
  node_info(w, n, &info);
  rng_hash(&w->rng, &nonce);
  const ch_event ev = ch_event_deposit(ch_amount_of(2000), &nonce);
  ch_err err = node_step(w, n, &ev);
  if (info.frozen || w->failure) return false;
  if (info.revealed) {
    if (err != CH_ERR_REVEALED) fail(w, "a channel with a public salt was funded again");
    return false;
  }
  if (err) fail(w, "node %d could not open it again: %s", n->side, ch_err_name(err));
  note(w, "node %d opens it again", n->side);
  w->ending = false;
  happened(w, K_REOPEN);
  return !w->failure;
}

/* Who has signed a challenge that the other one has not seen stays away: the salt may be public. */
static void check_reopened(world *w) {
  for (int s = 0; s < 2 && !w->ending && !w->lost[0] && !w->lost[1]; s++) {
    ch_info info;
    if (!is_honest(w, s)) continue;
    node_info(w, &w->node[s], &info);
    if (info.phase != CH_PHASE_OPEN && !info.revealed)
      fail(w, "node %d did not open again: %s", s, ch_phase_name(info.phase));
  }
}

static void lives(world *w) {
  random_life(w, 0, 100 + rng_below(&w->rng, 400));
  if (!w->failure) end(w, AT_END);
  for (unsigned life = 1; life < 3 && !w->failure && open_again(w, life * LIFE - LIFE + AT_AGAIN); life++) {
    random_life(w, life * LIFE, 50 + rng_below(&w->rng, 150));
    if (!w->failure) check_reopened(w);
    if (!w->failure) end(w, life * LIFE + AT_END);
  }
}

void live(world *w) {
  begin_section(w, 0);
  w->now = 1700000000;
  w->chain.chain_id = 1 + rng_below(&w->rng, 100000);
  memset(w->chain.adjudicator.b, 0xad, 20);
  w->with_store = rng_chance(&w->rng, 50);
  node_make(w, 0);
  node_make(w, 1);
  chain_genesis(w);
  if (!node_open(w)) return fail(w, "the channel could not be opened");
  bool liar = rng_chance(&w->rng, 30);
  w->optimistic = rng_chance(&w->rng, 50);
  w->with_locks = rng_chance(&w->rng, 60);
  w->with_contracts = rng_chance(&w->rng, 40);
  heal(w, w->optimistic && !liar ? 1 + (int)rng_below(&w->rng, 4) : 6);
  if (liar) liar_make(w, (int)rng_below(&w->rng, 2));
  w->node[0].stalled = w->optimistic && rng_chance(&w->rng, 40);
  w->node[1].stalled = w->optimistic && rng_chance(&w->rng, 40);
  lives(w);
}

world *world_new(uint64_t seed, broken b, bool trace, const bool *skip) {
  world *w = (world *)calloc(1, sizeof *w);
  if (!w) abort();
  w->seed = seed;
  w->broken = b;
  w->trace = trace;
  w->skip = skip;
  return w;
}

void world_free(world *w) {
  node_end_clones(w);
  node_free(&w->node[0]);
  node_free(&w->node[1]);
  liar_free(w);
  free(w);
}
