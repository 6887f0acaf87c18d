/* updating.c - payments, and what can come between: section 4, rules 1 to 7 and "Reconnect". */
#include "scene.h"

static void payments(duo *d) {
  pay_and_settle(d, 0, "first", 20);
  pay_and_settle(d, 1, "back", 5);
  record_note("while this waits for its accept, three more are asked for: they go into one proposal");
  must(duo_pay(d, 0, "alone", 1));
  must(duo_pay(d, 0, "batch-1", 2));
  must(duo_pay(d, 0, "batch-2", 3));
  must(duo_pay(d, 0, "batch-3", 4));
  duo_pump(d);
}

static void crossing(duo *d) {
  pay_and_settle(d, 1, "before", 7);
  must(duo_pay(d, 0, "from-0", 10));
  must(duo_pay(d, 1, "from-1", 3));
  record_note("version 2 of side 0 meets version 3 of side 1");
  duo_pump(d);
  must(duo_pay(d, 1, "more-from-1", 2));
  must(duo_pay(d, 0, "more-from-0", 1));
  record_note("and the other way round");
  must(duo_deliver(d, 0));
  duo_pump(d);
}

static void refusal(duo *d) {
  const ch_op ops[] = {duo_op_pay("before-it", 10), duo_op_lock(d, "too-late", 50, 1, 1810),
                       duo_op_pay("behind-it", 5)};
  const ch_event ev = ch_event_pay(ops, 3);
  must(duo_step(d, 0, &ev));
  duo_pass(d, 20);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "too-late"), CH_PAYMENT_FAILED);
  must(duo_lock(d, 1, "again-too-late", 50, 2, 1810));
  duo_pass(d, 20);
  must(duo_pay(d, 0, "crosses", 4));
  duo_pump(d);
}

/* A new process of side 0 has a connection before it sees a block. */
static void connect_early(duo *d) {
  const uint64_t head_time = d->head_time;
  must(duo_command(d, 1, CH_EV_LINK_UP));
  d->head_time = 0;
  must(duo_command(d, 0, CH_EV_LINK_UP));
  must(duo_deliver(d, 1));
  d->head_time = head_time;
  record_note("now it sees a block, and greets");
  must(duo_command(d, 0, CH_EV_TICK));
}

static void reconnecting(duo *d) {
  must(duo_pay(d, 0, "said-twice", 11));
  record_note("the proposal is lost");
  reconnect(d);
  duo_pump(d);
  must(duo_pay(d, 0, "accept-lost", 12));
  must(duo_deliver(d, 0));
  record_note(
      "the accept is lost, and side 0 starts again: its peer shows it the state that it has both signatures on");
  duo_cut(d);
  record_restart(0);
  connect_early(d);
  duo_pump(d);
  must(duo_pay(d, 0, "both-lost-0", 1));
  must(duo_pay(d, 1, "both-lost-1", 2));
  reconnect(d);
  duo_pump(d);
  must(duo_lock(d, 0, "refusal-lost", 50, 1, 1810));
  duo_pass(d, 20);
  must(duo_deliver(d, 0));
  record_note("the refusal is lost: it stays outstanding and is said again");
  reconnect(d);
  duo_pump(d);
  pay_and_settle(d, 1, "at-last", 1);
}

static void late_accept(duo *d) {
  pay_and_settle(d, 1, "before", 5);
  must(duo_pay(d, 0, "replaced", 10));
  duo_drop(d, 0);
  ch_op op = duo_op_pay("too-much", 600);
  const ch_msg bad = duo_proposal(d, 1, 1, 3, -605, &op, 1), late = duo_accept(d, 1, 2, 5);
  record_forged(0, &bad, CH_OK,
                "more than the payer has, above side 0's own proposal: it is refused, and that one replaced");
  record_forged(0, &late, CH_OK, "the accept of what was replaced: no honest side signs both");
  duo_drop(d, 0);
}

static void stale(duo *d) {
  must(duo_pay(d, 0, "in-time", 10));
  must(duo_deliver(d, 0));
  record_note("side 0's newest block is older than F: it does not take the accept");
  d->now += DUO_FRESHNESS + 1;
  assert_int_equal(duo_deliver(d, 1), CH_ERR_STALE);
  must(duo_pay(d, 0, "asked-for-behind-a-stale-head", 20));
  duo_cut(d);
  d->head_time = d->final_time = d->now;
  record_note("there is a new block");
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "asked-for-behind-a-stale-head"), CH_PAYMENT_SETTLED);
}

const scene UPDATING[] = {
    {"payments",
     "A channel is opened and funded by both sides. Payments in both directions, then several in one proposal.",
     scene_open, payments},
    {"crossing",
     "Both propose on the same base. The higher version is accepted, the lower one's operations are proposed again "
     "together with the accept.",
     scene_open, crossing},
    {"refusal",
     "A lock's expiry comes too near while its proposal is under way. The other side refuses, naming it, under the "
     "next version. The others of the same proposal are proposed again. Then refusal and proposal cross.",
     scene_open, refusal},
    {"reconnecting",
     "Connections break and processes start again: a proposal is lost, an accept is lost, both have something "
     "outstanding, a refusal is lost.",
     scene_open, reconnecting},
    {"late-accept", "A proposal is replaced by a refusal, and accepted late.", scene_open, late_accept},
    {"stale", "An accept is not taken behind a stale head, and nothing is proposed. With a new block all goes on.",
     scene_open, stale},
    {0},
};
