/* memory.c - a side that has lost its memory: section 4, "Lost memory". */
#include "scene.h"

static void resume(duo *d) {
  pay_and_settle(d, 0, "remembered", 20);
  record_copy(0);
  pay_and_settle(d, 0, "forgotten", 10);
  pay_and_settle(d, 1, "forgotten-too", 1);
  duo_cut(d);
  record_put_back(0);
  duo_connect(d);
  while (d->side[1].n_out && !duo_info(d, 0).frozen)
    must(duo_deliver(d, 1));
  assert_true(duo_info(d, 0).frozen);
  reconnect(d);
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_RESUME));
  assert_null(duo_said(d, 0, CH_MSG_RESUME));
  duo_pass(d, 86701);
  tick(d);
  record_note("the accept of the resume is lost");
  must(duo_deliver(d, 0));
  reconnect(d);
  talk(d);
  pay_and_settle(d, 0, "afterwards", 3);
  pay_and_settle(d, 1, "back", 2);
}

static void static_backup(duo *d) {
  pay_and_settle(d, 0, "before", 20);
  pay_and_settle(d, 1, "back", 5);
  duo_cut(d);
  record_backup(0);
  assert_true(duo_info(d, 0).frozen);
  record_note("what the chain shows: the freeze counts from here");
  duo_see(d, 0);
  duo_connect(d);
  talk(d);
  assert_int_equal(duo_info(d, 0).version, 3);
  must(duo_command(d, 0, CH_EV_RESUME));
  duo_pass(d, 86701);
  tick(d);
  talk(d);
  assert_false(duo_info(d, 0).frozen);
  pay_and_settle(d, 0, "afterwards", 3);
}

static void frozen_close(duo *d) {
  pay_and_settle(d, 0, "before", 20);
  record_note("the operator knows that its data may be old");
  must(duo_command(d, 0, CH_EV_FREEZE));
  reconnect(d);
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_CLOSE));
  assert_null(duo_said(d, 0, CH_MSG_CLOSE));
  duo_pass(d, 86701);
  record_note("a final block is 86700 s past the freeze: without a shutdown");
  tick(d);
  talk(d);
  must(duo_command(d, 0, CH_EV_TICK));
  mine_and_finalise(d, 0);
  ended(d);
}

/* Both have lost their memory, and want to go on. */
static void both_frozen(duo *d) {
  pay_and_settle(d, 0, "before", 20);
  for (int s = 0; s < 2; s++)
    must(duo_command(d, s, CH_EV_FREEZE));
  reconnect(d);
  duo_pump(d);
  for (int s = 0; s < 2; s++)
    must(duo_command(d, s, CH_EV_RESUME));
  duo_pass(d, 86701);
  record_note("both resume: the higher version stands");
  tick(d);
  talk(d);
  for (int s = 0; s < 2; s++)
    assert_false(duo_info(d, s).frozen);
  pay_and_settle(d, 0, "afterwards", 3);
}

/* Two copies of side 0 run, one after the other on a connection. */
static void clones(duo *d) {
  const ch_hash first = d->side[0].instance;
  pay_and_settle(d, 0, "before", 20);
  duo_cut(d);
  record_restart(0);
  duo_connect(d);
  duo_pump(d);
  reconnect(d);
  duo_drop(d, 0);
  ch_msg m = duo_reestablish(d, 0, 2, 20);
  m.u.reestablish.instance = first;
  record_forged(1, &m, CH_OK, "the process that was before the last one says it again: there are two");
  assert_true(duo_info(d, 1).frozen);
  duo_drop(d, 1);
}

/* The peer shows a state with a lock that side 0 does not remember. */
static void forgotten_lock(duo *d) {
  pay_and_settle(d, 0, "before", 20);
  record_copy(0);
  must(duo_lock(d, 0, "forgotten", 100, 1, 7200));
  duo_pump(d);
  duo_cut(d);
  record_put_back(0);
  duo_connect(d);
  talk(d);
  assert_true(duo_info(d, 0).frozen);
  assert_int_equal(duo_info(d, 0).version, 2);
  record_note("the full state has only the locks' hash: side 0 does not take it");
  reconnect(d);
  talk(d);
  assert_int_equal(duo_info(d, 0).version, 2);
  record_note("the peer leaves alone, and the chain decides the lock");
  must(duo_command(d, 1, CH_EV_CHALLENGE));
  duo_mine(d, 1);
  see(d);
  settle_by(d, 1);
}

/* It is not the peer but the chain that shows side 0 what it has forgotten. */
static void shown_by_chain(duo *d) {
  pay_and_settle(d, 0, "remembered", 20);
  record_copy(0);
  pay_and_settle(d, 0, "forgotten", 10);
  duo_cut(d);
  record_put_back(0);
  must(duo_command(d, 1, CH_EV_CHALLENGE));
  duo_mine(d, 1);
  see(d);
  assert_true(duo_info(d, 0).frozen);
  settle_by(d, 1);
}

const scene MEMORY[] = {
    {"resume",
     "Side 0 goes on from an old copy of its data. A signature of its own that it does not know freezes it; the peer "
     "shows it the newest state; a day later it resumes under a version above all that it can have signed.",
     scene_open, resume},
    {"static-backup",
     "Side 0 has only its static backup. It is frozen, takes the state that the peer shows, and resumes a day later.",
     scene_open, static_backup},
    {"frozen-close", "A side that is frozen leaves with the peer's help, without a shutdown.", scene_open,
     frozen_close},
    {"both-frozen", "Both sides are frozen, and resume at once.", scene_open, both_frozen},
    {"clones", "A second process with the same keys freezes the peer.", scene_open, clones},
    {"forgotten-lock",
     "A frozen side is shown a state with a lock that it does not remember: it keeps its own, and the chain decides.",
     scene_open, forgotten_lock},
    {"shown-by-chain", "The chain shows a state that side 0 has signed and forgotten: that freezes it, too.",
     scene_open, shown_by_chain},
    {0},
};
