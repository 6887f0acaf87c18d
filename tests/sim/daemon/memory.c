/* memory.c - memory that is lost or doubled: old copies of a disk, clones that live beside their original, and how the
 * channels go on afterwards. */
#include "world.h"

#include <jansson.h>

#define FROZEN_FOR 90000 /* seconds: longer than what was signed before a freeze is valid */

static void copy_of(const host *d, char out[SIM_ADDRESS + 8]) {
  snprintf(out, SIM_ADDRESS + 8, "%s-copy", d->folder);
}

/* Whether only this one may lose its memory: two that have lost theirs agree on anything. */
static bool may_lose(const world *w, int who) {
  for (int i = 0; i < w->n_people; i++)
    if (w->person[i].lost && i != who) return false;
  return true;
}

static void act_copy(world *w, const host *d) {
  char copy[SIM_ADDRESS + 8];
  copy_of(d, copy);
  os_disk_copy(d->folder, copy);
  w->copied[d->who] = true;
}

static void act_restore(world *w, host *d) {
  char copy[SIM_ADDRESS + 8];
  if (!w->copied[d->who] || d->life == STARTING) return;
  if (d->life != OFF) os_kill(d->machine);
  copy_of(d, copy);
  os_disk_copy(copy, d->folder);
  w->person[d->who].lost = true;
  note(w, "n%d: an old copy is put in the place of its disk", d->who);
  happened(w, K_RESTORE);
  daemon_start(d);
}

/* A second process on a copy of the disk, of now or of some time ago. */
static void act_clone(world *w, const host *d) {
  char copy[SIM_ADDRESS + 8];
  if (w->n_daemons == MAX_DAEMONS || d->life != RUNNING) return;
  host *twin = daemon_new(w, d->who);
  copy_of(d, copy);
  os_disk_copy(w->copied[d->who] && rng_chance(&w->rng, 50) ? copy : d->folder, twin->folder);
  w->person[d->who].lost = true;
  note(w, "n%d: a clone is started", d->who);
  happened(w, K_CLONE);
  daemon_start(twin);
}

void act_memory(world *w) {
  host *d = &w->host[rng_below(&w->rng, (unsigned)w->n_people)];
  unsigned what = rng_below(&w->rng, 100);
  if (d->ill || !may_lose(w, d->who)) return;
  if (what < 35 || (what < 70 && !w->copied[d->who]))
    act_copy(w, d);
  else if (what < 70)
    act_restore(w, d);
  else
    act_clone(w, d);
}

void end_clones(world *w) {
  for (int i = w->n_people; i < w->n_daemons; i++) {
    host *d = &w->host[i];
    if (d->life != OFF) os_kill(d->machine);
    d->retired = true;
  }
}

/* --- Leaving a freeze --------------------------------------------------------------------------------------------- */

static void thaw(world *w, int who) {
  for (int i = 0; i < w->n_chans; i++) {
    if (w->chan[i].who[0] != who && w->chan[i].who[1] != who) continue;
    unsigned way = rng_below(&w->rng, 100);
    const char *method = way < 75 ? "channel.resume" : way < 85 ? "channel.close" : "channel.challenge";
    json_t *args = json_pack("{s:s}", "id", w->chan[i].id);
    if (way >= 85) json_object_set_new(args, "risk_bond", json_true());
    ask_only(&w->host[who], method, args);
    happened(w, K_RESUME);
  }
}

void thaw_all(world *w) {
  bool lost = false;
  for (int i = 0; i < w->n_people; i++) {
    if (w->person[i].lost) thaw(w, i);
    lost |= w->person[i].lost;
  }
  if (lost) pass_time(w, FROZEN_FOR);
}
