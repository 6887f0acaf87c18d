/* scene.c - see scene.h. */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

void scene_open(duo *d) {
  duo_open(d, 1000, 500);
}

void must(ch_err err) {
  assert_int_equal(err, CH_OK);
}

void pay_and_settle(duo *d, int s, const char *id, uint64_t amount) {
  must(duo_pay(d, s, id, amount));
  duo_pump(d);
  assert_int_equal(duo_status(d, s, id), CH_PAYMENT_SETTLED);
}

void tick(duo *d) {
  must(duo_command(d, 0, CH_EV_TICK));
  must(duo_command(d, 1, CH_EV_TICK));
}

void see(duo *d) {
  duo_see(d, 0);
  duo_see(d, 1);
  duo_pump(d);
}

void finalise(duo *d) {
  duo_finalise(d);
  duo_pump(d);
}

void mine_and_finalise(duo *d, int s) {
  duo_mine(d, s);
  finalise(d);
}

void put_in(duo *d, int s, uint64_t amount) {
  const ch_hash nonce = d->side[s].instance;
  const ch_event ev = ch_event_deposit(ch_amount_of(amount), &nonce);
  must(duo_step(d, s, &ev));
}

void withdraw(duo *d, int s, uint64_t amount) {
  const ch_event ev = ch_event_withdraw(ch_amount_of(amount));
  must(duo_step(d, s, &ev));
}

void reconnect(duo *d) {
  duo_cut(d);
  duo_connect(d);
}

void talk(duo *d) {
  while (d->side[0].n_out || d->side[1].n_out) {
    const int from = d->side[0].n_out ? 0 : 1;
    must(duo_deliver(d, from));
    if (duo_find(d, 1 - from, CH_FX_DISCONNECT) != NULL) reconnect(d);
  }
}

void ended(const duo *d) {
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_info(d, s).phase, CH_PHASE_CLOSED);
}

void settle_by(duo *d, int s) {
  duo_pass(d, DUO_PERIOD + 1);
  must(duo_command(d, s, CH_EV_TICK));
  mine_and_finalise(d, s);
  ended(d);
}

void claim_unheard(duo *d) {
  must(duo_lock(d, 0, "revealed", 100, 1, 7200));
  duo_pump(d);
  see(d);
  duo_cut(d);
  must(duo_fulfil(d, 1, "revealed", 1));
  duo_pass(d, 5400);
  record_note("F + R + I before the expiry: from now on a fulfil that is not settled belongs on chain");
  must(duo_command(d, 1, CH_EV_TICK));
}

static const scene *playing;

/* A check that fails ends the program. */
static void complain(void) {
  if (playing != NULL) fprintf(stderr, "the scene \"%s\" does not go as it should\n", playing->name);
}

static void play(duo *d, const char *folder, const scene *s) {
  playing = s;
  record_begin(d, s->about);
  if (s->begin != NULL) s->begin(d);
  s->play(d);
  assert_int_equal(d->side[0].n_out + d->side[1].n_out, 0);
  record_end(folder, s->name);
}

void write_dialogues(const char *folder) {
  static const scene *const all[] = {UPDATING, MONEY, LOCKS, LEAVING, MEMORY, REORGANISATIONS, REFUSALS, OPERATIONS};
  duo *d = malloc(sizeof *d);
  if (d == NULL || atexit(complain) != 0) abort();
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    for (const scene *s = all[i]; s->name != NULL; s++)
      play(d, folder, s);
  playing = NULL;
  free(d);
}
