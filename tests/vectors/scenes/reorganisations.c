/* reorganisations.c - what the head showed, and shows no more: section 5, "What a party does about the chain is
 * level-triggered". */
#include "scene.h"

static void deposit(duo *d) {
  duo_make(d, 1000, 500);
  duo_agree(d);
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_TICK));
  record_fork();
  duo_mine(d, 0);
  record_note("at the head, not final: it counts for nothing yet");
  see(d);
  record_reorganise();
  record_note("side 0 wants the same deposit again");
  see(d);
  must(duo_command(d, 0, CH_EV_TICK));
  duo_mine(d, 0);
  must(duo_command(d, 1, CH_EV_TICK));
  duo_mine(d, 1);
  finalise(d);
  pay_and_settle(d, 0, "with-it", 1000);
}

static void challenge(duo *d) {
  pay_and_settle(d, 0, "before", 20);
  must(duo_command(d, 1, CH_EV_CHALLENGE));
  record_fork();
  duo_mine(d, 1);
  see(d);
  assert_int_equal(duo_pay(d, 1, "too-late", 1), CH_ERR_PHASE);
  record_reorganise();
  record_note("side 0 may sign states again, and greets again; for side 1 its own Challenge stays in force");
  see(d);
  reconnect(d);
  duo_pump(d);
  must(duo_pay(d, 0, "unanswered", 3));
  duo_pump(d);
  must(duo_command(d, 1, CH_EV_TICK));
  d->now += 60;
  d->head_time = d->now;
  duo_mine(d, 1);
  see(d);
  settle_by(d, 1);
  assert_int_equal(duo_status(d, 0, "unanswered"), CH_PAYMENT_FAILED);
}

static void close(duo *d) {
  pay_and_settle(d, 0, "before", 20);
  must(duo_command(d, 0, CH_EV_CLOSE));
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_TICK));
  record_fork();
  duo_mine(d, 0);
  record_note("it has ended, but not finally");
  see(d);
  record_reorganise();
  record_note("side 0 wants the same call again");
  see(d);
  must(duo_command(d, 0, CH_EV_TICK));
  mine_and_finalise(d, 0);
  ended(d);
}

static void reveal(duo *d) {
  claim_unheard(d);
  record_fork();
  duo_mine(d, 1);
  see(d);
  record_reorganise();
  record_note("the payee wants it revealed again; the payer keeps what it has learnt, but nothing is decided");
  see(d);
  must(duo_command(d, 1, CH_EV_TICK));
  d->now += 60;
  d->head_time = d->now;
  duo_mine(d, 1);
  finalise(d);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "revealed"), CH_PAYMENT_SETTLED);
}

const scene REORGANISATIONS[] = {
    {"reorganised-deposit", "A deposit that was agreed at open is on chain, is taken back, and is made again.", NULL,
     deposit},
    {"reorganised-challenge",
     "A challenge is taken back by a reorganisation. Its sender wants it again; the other side talks on, unheard.",
     scene_open, challenge},
    {"reorganised-close", "A Close that was executed is taken back, and executed again.", scene_open, close},
    {"reorganised-reveal", "A reveal is taken back, and comes again in time.", scene_open, reveal},
    {0},
};
