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

const scene MEMORY[] = {
    {"resume",
     "Side 0 goes on from an old copy of its data. A signature of its own that it does not know freezes it; the peer "
     "shows it the newest state; a day later it resumes under a version above all that it can have signed.",
     scene_open, resume},
    {0},
};
