/* life.c - one seed: daemons are started, open channels, live through random actions and faults, heal, and all channels
 * end. */
#include "chain.h"

#include <jansson.h>
#include <sodium.h>

#include "channel/signer.h"

#define AT_HEAL 900
#define AT_LEAVE 910
#define AT_END 970
#define GIVEN 1000000

/* --- The beginning ------------------------------------------------------------------------------------------------ */

static void on_log(void *ctx, const os_machine *m, cd_log_level level, const char *subsystem, const char *text) {
  world *w = (world *)ctx;
  const char *name = m ? os_name(m) : "world";
  if (w->trace) note(w, "%s %s: %s", name, subsystem, text);
  if (level == CD_LOG_BROKEN) fail(w, "%s says that it is broken: %.200s", name, text);
}

static void choose(world *w) {
  w->chain = rng_chance(&w->rng, 30) ? &chain_evm : &chain_dev;
  w->n_people = 2 + (rng_chance(&w->rng, 35) ? 1 : 0);
  w->latency = rng_chance(&w->rng, 20) ? 0 : 1 + rng_below(&w->rng, 120);
  w->refuses = rng_below(&w->rng, 30);
  w->interval = 5 + rng_below(&w->rng, 20);
  w->confirmations = 1 + rng_below(&w->rng, 3);
  w->poll_ms = 200 + rng_below(&w->rng, 1500);
  w->bond = rng_chance(&w->rng, 50) ? 50 : 0;
  w->with_crashes = rng_chance(&w->rng, 80);
  w->with_power = rng_chance(&w->rng, 70);
  w->with_reorgs = rng_chance(&w->rng, 50);
  w->with_locks = rng_chance(&w->rng, 60);
  w->with_clocks = rng_chance(&w->rng, 50);
  w->with_disk = rng_chance(&w->rng, 30);
  w->with_loss = rng_chance(&w->rng, 25);
}

static void make_person(world *w, int i) {
  person *p = &w->person[i];
  ch_keyring *k;
  for (int j = 0; j < 64; j += 8) {
    uint64_t v = rng_next(&w->rng);
    memcpy(p->seed + j, &v, 8);
  }
  if (ch_keyring_new(&k, p->seed)) abort();
  const ch_signer s = ch_keyring_signer(k);
  if (s.node_id(s.ctx, &p->id)) abort();
  ch_hex(p->id_hex, p->id.b, sizeof p->id.b);
  ch_keyring_address(k, &p->account);
  ch_keyring_free(k);
}

/* Whoever is off is started; true when all run. */
static bool all_run(world *w) {
  bool all = true;
  for (int i = 0; i < w->n_daemons; i++) {
    host *d = &w->host[i];
    daemon_start(d);
    all &= d->retired || d->life == RUNNING;
  }
  return all;
}

static void begin(world *w) {
  begin_section(w, 0);
  choose(w);
  note(w, "%d nodes, chain %s", w->n_people, w->chain->l1);
  w->chain->begin(w);
  for (int i = 0; i < w->n_people && !w->failure; i++) {
    make_person(w, i);
    host *d = daemon_new(w, i);
    if (w->with_clocks) d->wall_ms = (int64_t)rng_below(&w->rng, 20000) - 10000;
    chain_give(w, i, GIVEN);
    daemon_start(d);
  }
  if (!run_until(w, all_run, 60000)) fail(w, "the daemons do not start");
  for (int i = 0; i < w->n_people && !w->failure; i++)
    for (int j = 0; j < i; j++)
      rng_chance(&w->rng, 50) ? connect_to(&w->host[i], j) : connect_to(&w->host[j], i);
}

/* --- Healing ------------------------------------------------------------------------------------------------------ */

static bool all_answered(world *w) {
  for (int i = 0; i < MAX_ASKS; i++)
    if (w->ask[i].used) return false;
  return true;
}

/* An operator starts a daemon again whose disk was ill: a channel may be in quarantine. */
static void restart_ill(world *w) {
  for (int i = 0; i < w->n_daemons; i++) {
    host *d = &w->host[i];
    if (d->was_ill) daemon_stop(d);
    d->was_ill = false;
  }
  run_ms(w, 3000);
}

static void heal(world *w) {
  w->faults = false;
  end_clones(w);
  for (int i = 0; i < w->n_daemons; i++)
    if (w->host[i].machine) os_kill_at(w->host[i].machine, 0, 0);
  revive(w);
  run_ms(w, 2000);
  restart_ill(w);
  revive(w);
  if (!run_until(w, all_run, 60000)) fail(w, "the daemons do not start again");
  for (int i = 0; i < w->n_people && !w->failure; i++)
    for (int j = 0; j < w->n_people; j++)
      if (j != i) connect_to(&w->host[i], j);
  run_ms(w, 20000);
  if (!run_until(w, all_answered, 150000)) fail(w, "a command is never answered");
}

/* --- The end ------------------------------------------------------------------------------------------------------ */

static void leave_all(world *w) {
  w->ending = true;
  for (int i = 0; i < w->n_chans && !w->failure; i++) {
    if (w->chan[i].ended) continue;
    act_leave(w, &w->host[w->chan[i].who[rng_below(&w->rng, 2)]], i);
    run_ms(w, rng_below(&w->rng, 2000));
  }
  w->faults = rng_chance(&w->rng, 50);
  for (unsigned i = 1; i < 50 && w->faults && !w->failure; i++) {
    if (begin_action(w, AT_LEAVE + i)) act(w);
    check_always(w);
  }
}

/* Whoever still waits asks again, or goes to the chain. */
static void insist(world *w, bool alone) {
  for (int i = 0; i < w->n_chans; i++)
    for (int s = 0; s < 2 && !w->chan[i].ended; s++) {
      json_t *args = json_pack("{s:s}", "id", w->chan[i].id);
      if (alone) json_object_set_new(args, "risk_bond", json_true());
      ask_only(&w->host[w->chan[i].who[s]], alone ? "channel.challenge" : "channel.close", args);
    }
  run_ms(w, 2000);
}

static void run_out(world *w) {
  for (int i = 0; i < 12 && !w->failure; i++) {
    pass_time(w, PERIOD / 2);
    if (all_ended(w, false)) return;
    if (i % 4 != 3) insist(w, i > 4);
  }
  if (!w->failure && !all_ended(w, true)) fail(w, "a channel did not end");
}

void live(world *w) {
  begin(w);
  for (int i = 0; i < w->n_people && !w->failure; i++) {
    run_ms(w, 3000);
    act_open(w, &w->host[i]);
  }
  run_ms(w, 30000);
  w->faults = true;
  unsigned length = 20 + rng_below(&w->rng, 120);
  for (unsigned i = 1; i < length && !w->failure; i++) {
    if (begin_action(w, i)) act(w);
    check_always(w);
  }
  begin_section(w, AT_HEAL);
  heal(w);
  if (w->with_loss) thaw_all(w);
  check_converged(w);
  (void)all_ended(w, false);
  begin_section(w, AT_LEAVE);
  leave_all(w);
  begin_section(w, AT_END);
  heal(w);
  run_out(w);
  if (!w->failure) check_ending(w);
}

world *world_new(uint64_t seed, broken b, bool trace, const bool *skip) {
  world *w = (world *)calloc(1, sizeof *w);
  if (!w) abort();
  w->seed = seed;
  w->broken = b;
  w->trace = trace;
  w->skip = skip;
  os_begin(seed);
  if (sodium_init() < 0) abort();
  os_on_log(CD_LOG_BROKEN, on_log, w);
  if (trace) os_on_log(CD_LOG_DEBUG, on_log, w);
  os_on_death(daemon_died, w);
  signed_begin(w);
  hosts_begin(w);
  return w;
}

void world_free(world *w) {
  w->steps = os_switches();
  os_end();
  signed_end(w);
  free(w);
}
