/* chain.c - what the world does with its chain, whichever it is. */
#include "chain.h"

#define STEP 250       /* seconds that pass at once while somebody relies on MARGIN */
#define LONG_STEP 1000 /* while nobody does: less than PERIOD leaves for an answer */
#define KEEP_UP 4000   /* milliseconds until all have seen a block and done something about it */

void chain_give(world *w, int who, uint64_t amount) {
  w->chain->give(w, &w->person[who].account, amount);
  w->person[who].given.v += amount;
}

ch_amount chain_purse(world *w, int who) {
  return w->chain->purse(w, &w->person[who].account);
}

void chain_reorganise(world *w, unsigned depth, bool drop) {
  note(w, "reorganisation of %u blocks%s", depth, drop ? ", transactions lost" : "");
  w->chain->reorganise(w, depth, drop);
}

uint64_t seconds(const world *w) {
  return os_now() / OS_S + w->warped;
}

static bool locks_pending(const world *w) {
  for (int i = 0; i < w->n_pays; i++)
    if (w->pay[i].lock && w->pay[i].told == TOLD_NOTHING && seconds(w) < w->pay[i].expires) return true;
  return false;
}

void pass_time(world *w, uint64_t seconds) {
  while (seconds > 0 && !w->failure) {
    uint64_t most = locks_pending(w) ? STEP : LONG_STEP, step = seconds < most ? seconds : most;
    revive_late(w);
    w->warped += step;
    w->chain->warp(w, step);
    w->chain->mine(w, w->confirmations); /* there were blocks all the time */
    run_ms(w, KEEP_UP);
    seconds -= step;
  }
}
