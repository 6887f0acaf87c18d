/* dialogues.c - who says what when both sides are honest: proto/vectors/dialogues/. One function, one dialogue. */
#include <stdlib.h>

#include "record.h"

static void must(ch_err err) {
  assert_int_equal(err, CH_OK);
}

/* Both open with 1000 and 500, at version 0. */
static void begin(duo *d, const char *about) {
  record_begin(d, about);
  duo_open(d, 1000, 500);
}

static void pay_and_settle(duo *d, int s, const char *id, uint64_t amount) {
  must(duo_pay(d, s, id, amount));
  duo_pump(d);
  assert_int_equal(duo_status(d, s, id), CH_PAYMENT_SETTLED);
}

static void tick(duo *d) {
  must(duo_command(d, 0, CH_EV_TICK));
  must(duo_command(d, 1, CH_EV_TICK));
}

/* What both see of the chain is what there is, and final. */
static void finalise(duo *d) {
  duo_finalise(d);
  duo_pump(d);
}

static void mine_and_finalise(duo *d, int s) {
  duo_mine(d, s);
  finalise(d);
}

static void put_in(duo *d, int s, uint64_t amount) {
  const ch_hash nonce = d->side[s].instance;
  const ch_event ev = ch_event_deposit(ch_amount_of(amount), &nonce);
  must(duo_step(d, s, &ev));
}

static void end(duo *d, const char *folder, const char *name) {
  assert_int_equal(d->side[0].n_out + d->side[1].n_out, 0);
  record_end(folder, name);
}

/* --- Updating ------------------------------------------------------------------------------------------------------
 */

static void payments(duo *d, const char *folder) {
  begin(d, "A channel is opened and funded by both sides. Payments in both directions, then several in one proposal.");
  pay_and_settle(d, 0, "first", 20);
  pay_and_settle(d, 1, "back", 5);
  record_note("while this waits for its accept, three more are asked for: they go into one proposal");
  must(duo_pay(d, 0, "alone", 1));
  must(duo_pay(d, 0, "batch-1", 2));
  must(duo_pay(d, 0, "batch-2", 3));
  must(duo_pay(d, 0, "batch-3", 4));
  duo_pump(d);
  end(d, folder, "payments");
}

static void crossing(duo *d, const char *folder) {
  begin(d,
        "Both propose on the same base. The higher version is accepted, the lower one's operations are proposed again "
        "together with the accept.");
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
  end(d, folder, "crossing");
}

static void refusal(duo *d, const char *folder) {
  begin(d,
        "A lock's expiry comes too near while its proposal is under way. The other side refuses, naming it, under the "
        "next version. The others of the same proposal are proposed again. Then refusal and proposal cross.");
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
  end(d, folder, "refusal");
}

static void reconnecting(duo *d, const char *folder) {
  begin(d, "Connections break and processes start again: a proposal is lost, an accept is lost, both have something "
           "outstanding, a refusal is lost.");
  must(duo_pay(d, 0, "said-twice", 11));
  record_note("the proposal is lost");
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  must(duo_pay(d, 0, "accept-lost", 12));
  must(duo_deliver(d, 0));
  record_note(
      "the accept is lost, and side 0 starts again: its peer shows it the state that it has both signatures on");
  duo_cut(d);
  record_restart(0);
  duo_connect(d);
  duo_pump(d);
  must(duo_pay(d, 0, "both-lost-0", 1));
  must(duo_pay(d, 1, "both-lost-1", 2));
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  must(duo_lock(d, 0, "refusal-lost", 50, 1, 1810));
  duo_pass(d, 20);
  must(duo_deliver(d, 0));
  record_note("the refusal is lost: it stays outstanding and is said again");
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  pay_and_settle(d, 1, "at-last", 1);
  end(d, folder, "reconnecting");
}

/* --- Money in and out ----------------------------------------------------------------------------------------------
 */

static void withdrawal(duo *d, const char *folder) {
  begin(d,
        "Side 1 takes money out while the channel goes on; the peer's signature is lost once. A payment in between.");
  pay_and_settle(d, 0, "first", 100);
  const ch_event ev = ch_event_withdraw(ch_amount_of(450));
  must(duo_step(d, 1, &ev));
  must(duo_deliver(d, 1)); /* reserve */
  must(duo_deliver(d, 0)); /* its accept */
  must(duo_deliver(d, 1)); /* the Withdraw */
  record_note("the answer with the second signature is lost");
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  must(duo_pay(d, 1, "what-is-left", 120));
  duo_pump(d);
  must(duo_command(d, 1, CH_EV_TICK));
  mine_and_finalise(d, 1);
  pay_and_settle(d, 1, "afterwards", 30);
  end(d, folder, "withdrawal");
}

static void top_up(duo *d, const char *folder) {
  begin(d, "Side 0 puts more money in. It is spent once both have said that they see it confirmed.");
  put_in(d, 0, 400);
  duo_mine(d, 0);
  record_note("confirmed for side 0 only: it waits with what the other side would not find covered");
  d->final = d->head;
  duo_see(d, 0);
  must(duo_pay(d, 0, "large", 1300));
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "large"), CH_PAYMENT_PENDING);
  duo_see(d, 1);
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_TICK));
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "large"), CH_PAYMENT_SETTLED);
  end(d, folder, "top-up");
}

/* --- Conditional payments ------------------------------------------------------------------------------------------
 */

static void see(duo *d) {
  duo_see(d, 0);
  duo_see(d, 1);
  duo_pump(d);
}

static void locks(duo *d, const char *folder) {
  begin(d,
        "Hash locks of both sides: one fulfilled with its preimage, one given back, one taken back after its expiry.");
  must(duo_lock(d, 0, "fulfilled", 100, 1, 7200));
  must(duo_lock(d, 0, "expires", 40, 2, 7200));
  duo_pump(d);
  must(duo_lock(d, 1, "given-back", 30, 3, 7200));
  duo_pump(d);
  see(d);
  must(duo_fulfil(d, 1, "fulfilled", 1));
  duo_pump(d);
  must(duo_cancel(d, 0, "given-back"));
  duo_pump(d);
  pay_and_settle(d, 1, "meanwhile", 5);
  duo_pass(d, 7201);
  record_note("a final block is past the expiry, and no reveal is seen: the payer takes it back");
  must(duo_command(d, 0, CH_EV_TICK));
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "expires"), CH_PAYMENT_FAILED);
  end(d, folder, "locks");
}

static void reveal(duo *d, const char *folder) {
  begin(
      d,
      "The payer does not answer a fulfil. The payee reveals the preimage on chain in time, and the payer pays by it.");
  must(duo_lock(d, 0, "revealed", 100, 1, 7200));
  duo_pump(d);
  see(d);
  duo_cut(d);
  must(duo_fulfil(d, 1, "revealed", 1));
  duo_pass(d, 5400);
  record_note("F + R + I before the expiry: from now on a fulfil that is not settled belongs on chain");
  must(duo_command(d, 1, CH_EV_TICK));
  duo_mine(d, 1);
  for (size_t i = 0; i < d->n_reveals; i++)
    d->reveals[i].final_time = d->reveals[i].head_time;
  see(d);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "revealed"), CH_PAYMENT_SETTLED);
  end(d, folder, "reveal");
}

/* --- Endings -------------------------------------------------------------------------------------------------------
 */

static void close_and_reopen(duo *d, const char *folder) {
  begin(
      d,
      "Both leave together: shutdown, then Close. A deposit for the next epoch opens the channel again, under the same "
      "id. A message of the ended epoch is ignored.");
  pay_and_settle(d, 0, "first-life", 100);
  ch_op late = duo_op_pay("of-the-first-life", 1);
  const ch_msg old = duo_proposal(d, 0, 2, 4, 101, &late, 1);
  must(duo_command(d, 0, CH_EV_CLOSE));
  duo_pump(d);
  duo_see(d, 0);
  mine_and_finalise(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
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
  end(d, folder, "close-and-reopen");
}

static void crossing_closes(duo *d, const char *folder) {
  begin(d, "Both ask to leave at the same time, and sign Close with different times: the later one stands. A "
           "connection that "
           "breaks in between.");
  pay_and_settle(d, 1, "only", 30);
  must(duo_command(d, 0, CH_EV_CLOSE));
  must(duo_command(d, 1, CH_EV_CLOSE));
  must(duo_deliver(d, 1));
  must(duo_deliver(d, 0));
  d->now += 5;
  duo_pump(d);
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_TICK));
  mine_and_finalise(d, 0);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_CLOSED);
  end(d, folder, "crossing-closes");
}

static void resume(duo *d, const char *folder) {
  begin(
      d,
      "Side 0 goes on from an old copy of its data. A signature of its own that it does not know freezes it; the peer "
      "shows it the newest state; a day later it resumes under a version above all that it can have signed.");
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
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_RESUME));
  assert_null(duo_said(d, 0, CH_MSG_RESUME));
  duo_pass(d, 86701);
  tick(d);
  record_note("the accept of the resume is lost");
  must(duo_deliver(d, 0));
  duo_cut(d);
  duo_connect(d);
  while (d->side[0].n_out || d->side[1].n_out) {
    const int from = d->side[0].n_out ? 0 : 1;
    must(duo_deliver(d, from));
    if (duo_find(d, 1 - from, CH_FX_DISCONNECT) == NULL) continue;
    duo_cut(d);
    duo_connect(d);
  }
  pay_and_settle(d, 0, "afterwards", 3);
  pay_and_settle(d, 1, "back", 2);
  end(d, folder, "resume");
}

static void cheat(duo *d, const char *folder) {
  begin(
      d,
      "Side 1 challenges with an old state. Side 0 refutes it, and wins the bond, as side 1 has countersigned a newer "
      "one. After the window side 0 settles.");
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
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_CLOSED);
  end(d, folder, "cheat");
}

static void alone(duo *d, const char *folder) {
  begin(d, "The peer is gone with two locks pending and a proposal unanswered. Side 0 challenges, reveals the preimage "
           "of the "
           "lock that is its own, and settles: that lock is paid, the other one has expired.");
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
  end(d, folder, "alone");
}

void write_dialogues(const char *folder) {
  static void (*const all[])(duo *, const char *) = {payments, crossing, refusal, reconnecting,     withdrawal,
                                                     top_up,   locks,    reveal,  close_and_reopen, crossing_closes,
                                                     resume,   cheat,    alone};
  duo *d = malloc(sizeof *d);
  if (d == NULL) abort();
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    all[i](d, folder);
  free(d);
}
