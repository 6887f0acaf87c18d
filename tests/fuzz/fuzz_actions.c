/* Two honest sides of a channel; the input says who does what, and when the connection breaks or a side restarts.
 * Nobody is ever accused of a fault or freezes, every step keeps what engine_fixture.h promises, and once the faults
 * stop both sides agree and no money is missing. */
#include "engine_fixture.h"
#include "fuzz.h"

#define ACTIONS_MAX 40

typedef struct world {
  duo d;
  bool up;
  unsigned payments;
} world;

static void deliver(world *w, int from) {
  if (w->d.side[from].n_out == 0) return;
  ch_err err = duo_deliver(&w->d, from);
  must(err == CH_OK || err == CH_ERR_FUNDS || err == CH_ERR_PHASE, "an honest peer is never at fault");
}

static void cut(world *w) {
  if (w->up) duo_cut(&w->d);
  w->up = false;
}

static void link_up(world *w) {
  cut(w);
  duo_connect(&w->d);
  w->up = true;
}

static void pay(world *w, int side, unsigned amount) {
  char id[16];
  snprintf(id, sizeof id, "p%u", w->payments++);
  (void)duo_pay(&w->d, side, id, 1 + amount);
}

static void restart(world *w, int side) {
  cut(w);
  duo_restart(&w->d, side);
}

static void act(world *w, uint8_t byte) {
  int side = byte & 1;
  unsigned value = byte >> 4;
  switch (byte >> 1 & 7) {
  case 0:
  case 1: pay(w, side, value * value * 9); break;
  case 2:
  case 3:
  case 4: deliver(w, side); break;
  case 5: link_up(w); break;
  case 6: value < 8 ? restart(w, side) : cut(w); break;
  default:
    if (value == 0) (void)duo_command(&w->d, side, CH_EV_CLOSE);
    if (value == 1) duo_pass(&w->d, 30);
    break;
  }
}

/* The connection holds now: everything that is under way comes to its end. */
static void settle(world *w) {
  link_up(w);
  for (int i = 0; i < 1000 && (w->d.side[0].n_out || w->d.side[1].n_out); i++)
    deliver(w, w->d.side[i & 1].n_out ? i & 1 : 1 - (i & 1));
  must(w->d.side[0].n_out + w->d.side[1].n_out == 0, "the talk ends");
}

static void agreed(world *w, uint64_t total) {
  ch_info a = duo_info(&w->d, 0), b = duo_info(&w->d, 1);
  must(!a.frozen && !b.frozen, "nobody freezes");
  must(a.version == b.version && a.net.v == b.net.v, "both have the same state");
  must(a.outstanding == 0 && b.outstanding == 0 && a.queued == 0 && b.queued == 0, "nothing is left to say");
  must(a.balance_mine.v + b.balance_mine.v == total && a.balance_mine.v == b.balance_peer.v, "no money is missing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static world w;
  memset(&w, 0, sizeof w);
  duo_open(&w.d, 3000, 1000);
  w.up = true;
  for (size_t i = 0; i < size && i < ACTIONS_MAX; i++)
    act(&w, data[i]);
  settle(&w);
  agreed(&w, 4000);
  duo_free(&w.d);
  return 0;
}
