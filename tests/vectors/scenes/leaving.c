/* leaving.c - endings, together and alone, and what comes after: sections 4 ("Leaving together", "Opening again")
 * and 5.
 */
#include "scene.h"

static void close_and_reopen(duo *d) {
  pay_and_settle(d, 0, "first-life", 100);
  ch_op late = duo_op_pay("of-the-first-life", 1);
  const ch_msg old = duo_proposal(d, 0, 2, 4, 101, &late, 1);
  must(duo_command(d, 0, CH_EV_CLOSE));
  duo_pump(d);
  duo_see(d, 0);
  mine_and_finalise(d, 0);
  ended(d);
  put_in(d, 1, 300);
  duo_mine(d, 1);
  d->final = d->head;
  record_note("side 1 is there first; side 0 keeps its Reestablish until it sees the money itself");
  duo_see(d, 1);
  must(duo_deliver(d, 1));
  duo_see(d, 0);
  duo_pump(d);
  pay_and_settle(d, 1, "second-life", 60);
  record_forged(1, &old, CH_OK, "a proposal of the epoch that has ended");
}

static void crossing_closes(duo *d) {
  pay_and_settle(d, 1, "only", 30);
  must(duo_command(d, 0, CH_EV_CLOSE));
  must(duo_command(d, 1, CH_EV_CLOSE));
  must(duo_deliver(d, 1));
  must(duo_deliver(d, 0));
  d->now += 5;
  duo_pump(d);
  reconnect(d);
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_TICK));
  mine_and_finalise(d, 0);
  ended(d);
}

static void cheat(duo *d) {
  pay_and_settle(d, 1, "old", 5);
  pay_and_settle(d, 0, "new", 20);
  const ch_tx tx = duo_challenge_tx(d, 1, 1, -5);
  assert_int_equal(duo_send_tx(d, 1, DUO_BOND, &tx), CH_ADJ_NONE);
  duo_see(d, 0);
  duo_mine(d, 0);
  duo_see(d, 0);
  duo_see(d, 1);
  duo_pass(d, DUO_PERIOD + 1);
  must(duo_command(d, 0, CH_EV_TICK));
  mine_and_finalise(d, 0);
  ended(d);
}

static void alone(duo *d) {
  pay_and_settle(d, 0, "before", 25);
  must(duo_lock(d, 1, "mine", 60, 1, 90000));
  duo_pump(d);
  must(duo_lock(d, 0, "theirs", 70, 2, 90000));
  duo_pump(d);
  see(d);
  must(duo_pay(d, 0, "never-answered", 1));
  duo_cut(d);
  must(duo_fulfil(d, 0, "mine", 1));
  must(duo_command(d, 0, CH_EV_CHALLENGE));
  duo_mine(d, 0);
  duo_see(d, 0);
  duo_pass(d, 90001);
  must(duo_command(d, 0, CH_EV_TICK));
  mine_and_finalise(d, 0);
  assert_int_equal(duo_status(d, 1, "mine"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 0, "theirs"), CH_PAYMENT_FAILED);
}

const scene LEAVING[] = {
    {"close-and-reopen",
     "Both leave together: shutdown, then Close. A deposit for the next epoch opens the channel again, under the same "
     "id. A message of the ended epoch is ignored.",
     scene_open, close_and_reopen},
    {"crossing-closes",
     "Both ask to leave at the same time, and sign Close with different times: the later one stands. A connection that "
     "breaks in between.",
     scene_open, crossing_closes},
    {"cheat",
     "Side 1 challenges with an old state. Side 0 refutes it, and wins the bond, as side 1 has countersigned a newer "
     "one. After the window side 0 settles.",
     scene_open, cheat},
    {"alone",
     "The peer is gone with two locks pending and a proposal unanswered. Side 0 challenges, reveals the preimage of "
     "the "
     "lock that is its own, and settles: that lock is paid, the other one has expired.",
     scene_open, alone},
    {0},
};
