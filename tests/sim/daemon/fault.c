/* fault.c - what happens to daemons, their disks, connections and the chain. */
#include "chain.h"

#define BACK_BY (FRESHNESS + 100) /* seconds: nobody is away for as long as the margins that it relies on */

/* --- Crashes ------------------------------------------------------------------------------------------------------ */

/* What its death leaves of the disk: as the process has written it, or as a power cut does. */
static void choose_death(world *w, host *d) {
  unsigned how = rng_below(&w->rng, 4);
  d->power_cut = 0;
  if (!w->with_power || how == 0) return;
  d->power_cut = 1 + (how == 1 ? 0 : how == 2 ? 1 : 2 + rng_below(&w->rng, 1000000));
}

/* Now, or at some moment that comes. */
static void act_kill(world *w) {
  host *d = &w->host[rng_below(&w->rng, (unsigned)w->n_daemons)];
  if (d->life == OFF) return;
  choose_death(w, d);
  happened(w, d->power_cut ? K_POWER : K_KILL);
  switch (rng_below(&w->rng, 4)) {
  case 0: os_kill(d->machine); break;
  case 1: os_kill_at(d->machine, OS_POINT_WRITE, 1 + rng_below(&w->rng, 40)); break;
  case 2: os_kill_at(d->machine, OS_POINT_SYNC, 1 + rng_below(&w->rng, 8)); break;
  default: os_kill_at(d->machine, OS_POINT_STEP, 1 + rng_below(&w->rng, 400)); break;
  }
}

static void act_start(world *w) {
  for (int i = 0; i < w->n_daemons; i++) {
    host *d = &w->host[i];
    if (d->life != OFF || d->retired) continue;
    daemon_start(d);
    if (!w->with_crashes || !rng_chance(&w->rng, 10)) continue;
    choose_death(w, d);
    os_kill_at(d->machine, OS_POINT_STEP, 1 + rng_below(&w->rng, 300));
  }
}

static void act_stop(world *w) {
  host *d = some_daemon(w);
  if (!d) return;
  daemon_stop(d);
  happened(w, K_STOP);
}

static void act_cut(world *w) {
  bool half = rng_chance(&w->rng, 40);
  if (net_cut(w, half)) happened(w, half ? K_HALF_CUT : K_CUT);
}

/* --- The chain and clocks ----------------------------------------------------------------------------------------- */

static void act_blind(world *w) {
  host *d = some_daemon(w);
  if (!d) return;
  d->blind = !d->blind;
  d->blind_since = seconds(w);
  note(w, "%s %s", os_name(d->machine), d->blind ? "does not see the chain" : "sees the chain again");
  if (!d->blind) return;
  happened(w, K_BLIND);
  if (rng_chance(&w->rng, 40)) pass_time(w, FRESHNESS + rng_below(&w->rng, 250)); /* so that it is stale */
}

static void act_chain(world *w) {
  unsigned what = rng_below(&w->rng, 100);
  if (what < 30 && w->with_reorgs) {
    chain_reorganise(w, 1 + rng_below(&w->rng, w->confirmations), rng_chance(&w->rng, 30));
    happened(w, K_REORG);
  } else if (what < 60) {
    w->chain->mine(w, 1 + rng_below(&w->rng, 3));
  } else {
    pass_time(w, rng_below(&w->rng, rng_chance(&w->rng, 70) ? 200 : 1000));
    happened(w, K_WARP);
  }
}

static void act_clock(world *w) {
  host *d = some_daemon(w);
  if (!d || !w->with_clocks) return;
  int64_t ms = (int64_t)rng_below(&w->rng, 20000) - 10000;
  os_wall_step(d->machine, ms);
  d->wall_ms += ms;
  happened(w, K_CLOCK);
}

/* --- Disks -------------------------------------------------------------------------------------------------------- */

static void well(host *d) {
  for (int f = OS_FAULT_FULL; f < OS_FAULTS; f++)
    if (f != OS_FAULT_LIES) os_disk_fault(d->folder, (os_fault)f, 0);
  d->ill = false;
  d->was_ill = true;
}

static void act_disk(world *w) {
  static const os_fault faults[] = {OS_FAULT_FULL, OS_FAULT_WRITE, OS_FAULT_SYNC, OS_FAULT_READ};
  host *d = some_daemon(w);
  if (!d || !w->with_disk) return;
  if (d->ill) {
    well(d);
    return;
  }
  unsigned k = rng_below(&w->rng, 4);
  d->ill = true;
  d->ill_since = seconds(w);
  os_disk_fault(d->folder, faults[k], rng_chance(&w->rng, 50) ? 100 : 1 + rng_below(&w->rng, 30));
  happened(w, k == 0 ? K_DISK_FULL : K_DISK_FAULT);
  note(w, "%s: disk fault %d", os_name(d->machine), (int)faults[k]);
}

/* --- Who comes back ------------------------------------------------------------------------------------------------
 */

/* Nobody stays away for long: the margins that the daemons rely on hold. */
void revive(world *w) {
  for (int i = 0; i < w->n_daemons; i++) {
    host *d = &w->host[i];
    d->blind = false;
    if (d->ill) well(d);
    daemon_start(d);
  }
}

void revive_late(world *w) {
  for (int i = 0; i < w->n_daemons; i++) {
    host *d = &w->host[i];
    if (d->life == OFF && seconds(w) - d->off_since > BACK_BY) daemon_start(d);
    if (d->blind && seconds(w) - d->blind_since > BACK_BY) d->blind = false;
    if (d->ill && seconds(w) - d->ill_since > BACK_BY) well(d);
  }
}

void act_fault(world *w) {
  unsigned what = rng_below(&w->rng, 100);
  revive_late(w);
  if (what < 25)
    act_start(w);
  else if (what < 45 && w->with_crashes)
    act_kill(w);
  else if (what < 50)
    act_stop(w);
  else if (what < 65)
    act_cut(w);
  else if (what < 73)
    act_blind(w);
  else if (what < 85)
    act_chain(w);
  else if (what < 88)
    act_clock(w);
  else if (what < 92)
    act_disk(w);
  else if (w->with_loss)
    act_memory(w);
}
