/* sim.c - runs seeds through the simulated world.
 *
 *   sim [--seeds N] [--from S] [--trace] [--break barrier|persist|replay|backup]
 *
 * --break breaks a rule on purpose; then the run is good if the simulator notices.
 *
 * Each seed: open, random payments from both sides with crashes at every persist and send, cuts, delays, stalls and
 * reorganisations, and sometimes a node's disk is replaced by an older copy of it; then the faults stop, everything
 * must converge, and the channel ends in one of several ways, among them a cheat with an old state. Output is TAP; a
 * failure names its seed. */
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>

#include "world.h"

#define FROZEN_FOR 90000 /* longer than what was signed before a freeze is valid */

uint64_t rng_next(rng *r) {
  uint64_t z = (r->s += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

unsigned rng_below(rng *r, unsigned n) {
  return (unsigned)(rng_next(r) % n);
}

bool rng_chance(rng *r, unsigned percent) {
  return rng_below(r, 100) < percent;
}

void rng_hash(rng *r, ch_hash *out) {
  for (int i = 0; i < 32; i += 8) {
    uint64_t v = rng_next(r);
    memcpy(out->b + i, &v, 8);
  }
}

void fail(world *w, const char *what, ...) {
  if (w->failure) return;
  va_list ap;
  va_start(ap, what);
  vsnprintf(w->why, sizeof w->why, what, ap);
  va_end(ap);
  w->failure = w->why;
  if (w->trace) printf("# FAILURE: %s\n", w->why);
}

void note(const world *w, const char *what, ...) {
  if (!w->trace) return;
  va_list ap;
  va_start(ap, what);
  printf("# %6u ", w->steps);
  vprintf(what, ap);
  printf("\n");
  va_end(ap);
}

/* --- What may happen ---------------------------------------------------------------------------------- */

static void act_pay(world *w, node *n) {
  ch_op ops[5] = {0};
  size_t k = 1 + rng_below(&w->rng, 5);
  if (w->ending || n->disk.n_out + k >= MAX_PAYMENTS) return;
  for (size_t i = 0; i < k; i++) {
    ops[i].kind = CH_OP_PAY;
    ops[i].amount = ch_amount_of(1 + rng_below(&w->rng, rng_chance(&w->rng, 10) ? 2000 : 60));
    ops[i].id_len = (uint8_t)snprintf(ops[i].id, sizeof ops[i].id, "n%d-%u", n->side, ++n->paid);
  }
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {ops, k}};
  node_step(w, n, &ev); /* too much money, or not open: refused, and nothing must have changed */
}

static void act_withdraw(world *w, node *n) {
  if (w->ending) return;
  ch_event ev = {.kind = CH_EV_WITHDRAW};
  ev.u.withdraw.amount = ch_amount_of(1 + rng_below(&w->rng, rng_chance(&w->rng, 20) ? 3000 : 200));
  if (rng_chance(&w->rng, 40))
    ev.u.withdraw.to = (ch_target){.set = true, .params_hash = {{0x77}}, .side = (uint8_t)n->side};
  node_step(w, n, &ev); /* refused while another one is under way, as are amounts that are not there */
}

static void act_deposit(world *w, node *n) {
  if (w->ending) return;
  ch_event ev = {.kind = CH_EV_DEPOSIT};
  ev.u.deposit.amount = ch_amount_of(1 + rng_below(&w->rng, 1000));
  rng_hash(&w->rng, &ev.u.deposit.nonce);
  node_step(w, n, &ev);
}

/* Hours pass, so that what was signed and not used expires. */
static void act_wait(world *w) {
  w->now += rng_below(&w->rng, node_claims_pending(w) ? 300 : 5000); /* as long as the margins allow for */
  chain_mine(w);
  for (int s = 0; s < 2; s++)
    node_look_at_chain(w, &w->node[s]);
}

static void act_fault(world *w, node *n) {
  switch (rng_below(&w->rng, 6)) {
  case 0: link_cut(w); break;
  case 1:
    if (n->alive) node_crash(w, n);
    break;
  case 2: n->stalled = !n->stalled; break;
  case 4:
    if (!w->ending && !w->with_locks && rng_chance(&w->rng, 10)) node_restore(w, n);
    break;
  case 3: chain_reorganise(w, 1 + (int)rng_below(&w->rng, FINAL_DEPTH)); break;
  default: break;
  }
  for (int s = 0; s < 2; s++)
    if (w->node[s].seen >= w->n_blocks) w->node[s].seen = w->n_blocks - 1;
}

static void act(world *w) {
  node *n = &w->node[rng_below(&w->rng, 2)];
  unsigned what = rng_below(&w->rng, 100);
  if (what < 11)
    act_pay(w, n);
  else if (what < 16)
    !w->with_locks ? act_pay(w, n) : rng_chance(&w->rng, 40) ? act_lock(w, n) : act_resolve(w, n);
  else if (what < 18)
    rng_chance(&w->rng, 50) ? act_withdraw(w, n) : rng_chance(&w->rng, 70) ? act_deposit(w, n) : act_wait(w);
  else if (what < 78)
    node_deliver(w, n);
  else if (what < 84)
    link_connect(w);
  else if (what < 88) {
    if (!n->alive) node_restart(w, n);
  } else if (what < 94) {
    w->now += rng_below(&w->rng, 30);
    chain_mine(w);
    node_look_at_chain(w, &w->node[0]);
    node_look_at_chain(w, &w->node[1]);
  } else
    act_fault(w, n);
}

/* Faults stop: restart, connect, deliver, mine until nothing moves. */
static void heal(world *w, int blocks) {
  w->faults = false;
  for (int s = 0; s < 2; s++) {
    w->node[s].stalled = false;
    if (!w->node[s].alive) node_restart(w, &w->node[s]);
  }
  for (int i = 0; i < blocks && !w->failure; i++) {
    chain_mine(w);
    for (int s = 0; s < 2; s++)
      node_look_at_chain(w, &w->node[s]);
    link_connect(w);
    for (int k = 0; k < 2000 && (w->node[0].n_inbox || w->node[1].n_inbox) && !w->failure; k++)
      node_deliver(w, &w->node[rng_below(&w->rng, 2)]);
  }
}

/* --- Endings ------------------------------------------------------------------------------------------ */

static ch_phase phase(const world *w, int side) {
  ch_info info;
  ch_env env;
  node_env(w, &w->node[side], &env);
  ch_channel_info(w->node[side].channel, &env, &info);
  return info.phase;
}

static void run_out(world *w) {
  for (int i = 0; i < 12 && !w->failure; i++) {
    heal(w, 4);
    if (phase(w, 0) == CH_PHASE_CLOSED && phase(w, 1) == CH_PHASE_CLOSED) return;
    if (chain_head(w)->state.slots.disputed) w->now = chain_head(w)->state.slots.deadline + LONGEST;
    if (phase(w, 0) == CH_PHASE_SHUTDOWN || phase(w, 1) == CH_PHASE_SHUTDOWN) w->now += LONGEST; /* locks expire */
  }
  fail(w, "the channel did not end: phases %s and %s", ch_phase_name(phase(w, 0)), ch_phase_name(phase(w, 1)));
}

static void command(world *w, int side, ch_event_kind kind) {
  ch_event ev = {.kind = kind};
  w->ending = true;
  note(w, "node %d: %s", side, kind == CH_EV_CLOSE ? "close" : "challenge");
  node_step(w, &w->node[side], &ev);
}

/* The cheat takes an old co-signed state, its own salt and keys, and goes to the chain with it. */
static bool cheat(world *w, int side) {
  node *n = &w->node[side];
  ch_info info;
  ch_env env;
  if (!w->n_states) return false;
  const old_state *o = &w->states[rng_below(&w->rng, (unsigned)w->n_states)];
  node_env(w, n, &env);
  ch_channel_info(n->channel, &env, &info);
  ch_tx tx = {.kind = CH_TX_CHALLENGE, .id = info.id, .params = info.params};
  tx.u.challenge.challenge =
      (ch_challenge){info.id, o->state.epoch, (uint8_t)side, o->state.version, o->state.outcome_hash, w->now + 1000};
  tx.u.challenge.salt = w->salt;
  tx.u.challenge.sig[0] = o->sig[0];
  tx.u.challenge.sig[1] = o->sig[1];
  note(w, "node %d cheats with version %llu of %llu", side, (unsigned long long)o->state.version,
       (unsigned long long)info.version);
  block *b = &w->blocks[w->n_blocks - 1];
  return chain_apply(w, b, &n->address, info.params.bond, &tx);
}

static void end_honestly(world *w) {
  command(w, (int)rng_below(&w->rng, 2), rng_chance(&w->rng, 50) ? CH_EV_CLOSE : CH_EV_CHALLENGE);
  if (rng_chance(&w->rng, 20)) command(w, (int)rng_below(&w->rng, 2), CH_EV_CLOSE);
  if (rng_chance(&w->rng, 50)) {
    w->faults = true;
    for (int i = 0; i < 60 && !w->failure; i++)
      act(w);
  }
  run_out(w);
  if (!w->failure) check_ending(w, 2, ch_net_of(0));
}

static void end_with_cheat(world *w) {
  int side = (int)rng_below(&w->rng, 2), honest = 1 - side;
  ch_state st;
  ch_outcome latest;
  ch_sig sig[2];
  ch_info info;
  ch_env env;
  ch_channel_latest(w->node[honest].channel, &st, &latest, sig);
  node_env(w, &w->node[honest], &env);
  ch_channel_info(w->node[honest].channel, &env, &info);
  latest.net.v += honest == 0 ? (ch_i128)info.locked_mine.v : -(ch_i128)info.locked_mine.v; /* may be claimed */
  if (!cheat(w, side)) return end_honestly(w);
  if (rng_chance(&w->rng, 50)) node_crash(w, &w->node[honest]); /* away when it happens, back within the window */
  w->ending = true;
  run_out(w);
  if (!w->failure) check_ending(w, honest, latest.net);
}

/* --- One seed ----------------------------------------------------------------------------------------- */

/* A frozen node leaves its freeze: by its operator's word, and with the peer's help or by the chain. */
static void thaw(world *w, node *n) {
  ch_phase p = phase(w, n->side);
  if (!node_frozen(w, n) || p == CH_PHASE_DISPUTED || p == CH_PHASE_ENDING || p == CH_PHASE_CLOSED) return;
  unsigned way = w->ending ? 50 : rng_below(&w->rng, 100);
  if (way < 10) return command(w, 1 - n->side, CH_EV_CHALLENGE);
  if (way < 25) return command(w, n->side, CH_EV_CLOSE);
  ch_event ev = {.kind = CH_EV_RESUME};
  note(w, "node %d: resume", n->side);
  if (node_step(w, n, &ev)) fail(w, "node %d could not be told to resume", n->side);
  w->resumed++;
}

static void thaw_all(world *w) {
  for (int round = 0; round < 4 && !w->failure; round++) {
    bool frozen = false;
    for (int s = 0; s < 2; s++)
      frozen |= node_frozen(w, &w->node[s]);
    if (!frozen) return;
    for (int s = 0; s < 2 && round % 2 == 0; s++)
      thaw(w, &w->node[s]);
    w->now += FROZEN_FOR;
    w->faults = round == 0;
    for (int i = 0; i < 80 && w->faults && !w->failure; i++)
      act(w);
    heal(w, 8);
  }
}

static void random_life(world *w, unsigned length, bool early) {
  w->faults = true;
  int limit = w->n_blocks + MAX_BLOCKS / 4;
  for (unsigned i = 0; i < length && !w->failure && w->n_blocks < limit; i++) {
    act(w);
    if (i % 8 == 0) check_always(w);
    if (early && i == length / 2) command(w, (int)rng_below(&w->rng, 2), CH_EV_CHALLENGE);
    if (early && i == length / 2 + 3) command(w, (int)rng_below(&w->rng, 2), CH_EV_CLOSE);
  }
  heal(w, 8);
  thaw_all(w);
  check_always(w);
}

static void end(world *w) {
  bool live = phase(w, 0) == CH_PHASE_OPEN && phase(w, 1) == CH_PHASE_OPEN;
  if (live) check_converged(w);
  if (w->failure) return;
  if (live && rng_chance(&w->rng, 50))
    end_with_cheat(w);
  else
    end_honestly(w);
  check_always(w);
}

/* Money in the next epoch (unless the wish for it was lost with a disk); with faults from the first moment on, so that
 * the sides get there at different times. */
static bool open_again(world *w) {
  node *n = &w->node[rng_below(&w->rng, 2)];
  ch_info info;
  ch_env env;
  heal(w, 4);
  node_env(w, n, &env);
  ch_channel_info(n->channel, &env, &info);
  ch_event ev = {.kind = CH_EV_DEPOSIT};
  ev.u.deposit.amount = ch_amount_of(2000);
  rng_hash(&w->rng, &ev.u.deposit.nonce);
  ch_err err = node_step(w, n, &ev);
  if (info.frozen) return false;
  if (info.revealed) {
    if (err != CH_ERR_REVEALED) fail(w, "a channel with a public salt was funded again");
    return false;
  }
  if (err) fail(w, "node %d could not open it again: %s", n->side, ch_err_name(err));
  note(w, "node %d opens it again", n->side);
  w->ending = false;
  w->reopened++;
  return !w->failure;
}

static void run(world *w) {
  w->now = 1700000000;
  w->chain.chain_id = 1 + rng_below(&w->rng, 100000);
  memset(w->chain.adjudicator.b, 0xad, 20);
  node_make(w, 0);
  node_make(w, 1);
  chain_genesis(w);
  if (!node_open(w)) return fail(w, "the channel could not be opened");
  w->optimistic = rng_chance(&w->rng, 50);
  w->with_locks = rng_chance(&w->rng, 60);
  heal(w, w->optimistic ? 1 + (int)rng_below(&w->rng, 4) : 6);
  w->node[0].stalled = w->optimistic && rng_chance(&w->rng, 40);
  w->node[1].stalled = w->optimistic && rng_chance(&w->rng, 40);
  random_life(w, 100 + rng_below(&w->rng, 400), rng_chance(&w->rng, 30));
  if (w->failure) return;
  end(w);
  for (int life = 0; life < 2 && !w->failure && w->n_blocks < MAX_BLOCKS / 2 && open_again(w); life++) {
    random_life(w, 50 + rng_below(&w->rng, 150), false);
    for (int s = 0; s < 2 && !w->failure; s++)
      if (phase(w, s) != CH_PHASE_OPEN && !w->ending && !w->restored)
        fail(w, "node %d did not open again: %s", s, ch_phase_name(phase(w, s)));
    if (!w->failure) end(w);
  }
}

typedef struct totals {
  unsigned long steps, crashes, cuts, reorgs, refusals, payments, withdrawals, moves, reopened, restored, resumed,
      locks, claimed;
} totals;

static bool run_seed(uint64_t seed, bool trace, broken b, totals *t) {
  world *w = (world *)calloc(1, sizeof *w);
  if (!w) abort();
  w->seed = seed;
  w->rng.s = seed;
  w->trace = trace;
  w->broken = b;
  run(w);
  t->steps += w->steps;
  t->crashes += w->crashes;
  t->cuts += w->cuts;
  t->reorgs += w->reorgs;
  t->refusals += w->refusals;
  t->withdrawals += w->withdrawals;
  t->moves += w->moves;
  t->reopened += w->reopened;
  t->restored += w->restored;
  t->resumed += w->resumed;
  t->locks += w->locks;
  t->claimed += w->claimed;
  t->payments += w->node[0].disk.n_out + w->node[1].disk.n_out;
  bool ok = !w->failure;
  if (!ok) printf("# seed %llu: %s\n", (unsigned long long)seed, w->why);
  node_free(&w->node[0]);
  node_free(&w->node[1]);
  free(w);
  return ok;
}

static const char *const broken_names[] = {"nothing", "barrier", "persist", "replay", "backup"};

static broken broken_of(const char *name) {
  for (int i = 1; i < 5; i++)
    if (strcmp(name, broken_names[i]) == 0) return (broken)i;
  fprintf(stderr, "sim: unknown rule '%s': barrier, persist, replay or backup\n", name);
  exit(2);
}

int main(int argc, char **argv) {
  uint64_t seeds = 1000, from = 1, failed = 0;
  bool trace = false;
  broken b = BROKEN_NOTHING;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--trace") == 0)
      trace = true;
    else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0)
      seeds = strtoull(argv[++i], NULL, 10);
    else if (i + 1 < argc && strcmp(argv[i], "--from") == 0)
      from = strtoull(argv[++i], NULL, 10);
    else if (i + 1 < argc && strcmp(argv[i], "--break") == 0)
      b = broken_of(argv[++i]);
    else {
      fprintf(stderr, "usage: sim [--seeds N] [--from S] [--trace] [--break barrier|persist|replay|backup]\n");
      return 2;
    }
  }
  if (sodium_init() < 0) return 2;
  totals t = {0};
  for (uint64_t s = from; s < from + seeds && failed < 5; s++)
    if (!run_seed(s, trace, b, &t)) failed++;
  printf("# seeds %llu..%llu: %lu steps, %lu payments, %lu crashes, %lu cuts, %lu reorganisations, %lu refusals, %lu "
         "withdrawals, %lu moves, %lu opened again, %lu restored copies, %lu resumes, %lu conditional payments, %lu "
         "ends of "
         "claimed ones\n",
         (unsigned long long)from, (unsigned long long)(from + seeds - 1), t.steps, t.payments, t.crashes, t.cuts,
         t.reorgs, t.refusals, t.withdrawals, t.moves, t.reopened, t.restored, t.resumed, t.locks, t.claimed);
  bool good = (failed != 0) == (b != BROKEN_NOTHING);
  printf("%s 1 - sim: %llu seeds from %llu%s%s\n1..1\n", good ? "ok" : "not ok", (unsigned long long)seeds,
         (unsigned long long)from, b ? ", a broken rule is noticed: " : "", b ? broken_names[b] : "");
  return !good;
}
