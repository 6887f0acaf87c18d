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
  settle_by(d, 0);
  record_note("the salt is public: this channel is not to be funded again");
  const ch_hash nonce = {{1}};
  const ch_event more = ch_event_deposit(ch_amount_of(10), &nonce);
  assert_int_equal(duo_step(d, 0, &more), CH_ERR_REVEALED);
}

/* The peer has the newer state, and shows it; who was silent learns by it what has settled. */
static void executed(duo *d) {
  must(duo_pay(d, 0, "accepted", 30));
  must(duo_deliver(d, 0));
  must(duo_pay(d, 0, "waits", 5));
  record_note("side 1 leaves with the state that its accept is on, which is still under way");
  must(duo_command(d, 1, CH_EV_CHALLENGE));
  duo_mine(d, 1);
  duo_see(d, 1);
  duo_see(d, 0);
  duo_pass(d, DUO_PERIOD / 2 + 1);
  record_note("less than half of the challenge period is left: the accept is not adopted");
  must(duo_deliver(d, 1));
  assert_int_equal(duo_info(d, 0).version, 0);
  duo_pass(d, DUO_PERIOD / 2);
  record_note("side 0 has not challenged: it settles 300 s later, if nobody else has");
  must(duo_command(d, 0, CH_EV_TICK));
  assert_null(duo_wish(d, 0, CH_TX_SETTLE));
  duo_pass(d, 300);
  must(duo_command(d, 0, CH_EV_TICK));
  mine_and_finalise(d, 0);
  ended(d);
  assert_int_equal(duo_status(d, 0, "accepted"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 0, "waits"), CH_PAYMENT_FAILED);
}

static void late_refutation(duo *d) {
  pay_and_settle(d, 0, "old", 20);
  pay_and_settle(d, 1, "new", 5);
  const ch_tx tx = duo_challenge_tx(d, 0, 2, 20), early = duo_settle_tx(d, 2, 20), same = duo_refute_tx(d, 2, 20);
  assert_int_equal(duo_send_tx(d, 0, DUO_BOND, &tx), CH_ADJ_NONE);
  record_note("it is open already");
  assert_int_equal(duo_send_tx(d, 0, DUO_BOND, &tx), CH_ADJ_DISPUTE_OPEN);
  record_note("the deadline is still the refuter's");
  duo_pass(d, DUO_PERIOD);
  assert_int_equal(duo_send_tx(d, 0, 0, &early), CH_ADJ_TOO_EARLY);
  record_note("not newer");
  assert_int_equal(duo_send_tx(d, 1, 0, &same), CH_ADJ_NOT_NEWER);
  record_note("in the last second: the deadline is an hour later");
  duo_see(d, 1);
  duo_mine(d, 1);
  duo_see(d, 1);
  duo_see(d, 0);
  assert_int_equal(duo_send_tx(d, 0, 0, &early), CH_ADJ_TOO_EARLY);
  duo_pass(d, 3601);
  record_note("the old outcome is not the standing one");
  assert_int_equal(duo_send_tx(d, 0, 0, &early), CH_ADJ_WRONG_OUTCOME);
  const ch_tx late = duo_refute_tx(d, 3, 15);
  assert_int_equal(duo_send_tx(d, 1, 0, &late), CH_ADJ_TOO_LATE);
  must(duo_command(d, 1, CH_EV_TICK));
  mine_and_finalise(d, 1);
  ended(d);
}

static void close_in_dispute(duo *d) {
  pay_and_settle(d, 0, "before", 20);
  must(duo_command(d, 1, CH_EV_CHALLENGE));
  duo_mine(d, 1);
  see(d);
  record_note("both are there after all: no shutdown is needed");
  must(duo_command(d, 0, CH_EV_CLOSE));
  duo_pump(d);
  duo_pass(d, 301);
  record_note("side 0 has asked for it, but has not sent it after 300 s: side 1 does");
  must(duo_command(d, 1, CH_EV_TICK));
  mine_and_finalise(d, 1);
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

static const ch_addr TOWER = {{0x70, 0x77}}, COPYIST = {{0xc0, 0x99}};

/* A refutation that names who gets a forfeited bond; side 0 has signed that. */
static ch_tx refute_for(const duo *d, uint64_t version, int64_t net, ch_addr beneficiary) {
  const ch_tx refute = duo_refute_tx(d, version, net);
  ch_tx tx = {.kind = CH_TX_REFUTE_FOR, .id = d->id, .params = d->params};
  tx.u.refute_for.version = version;
  tx.u.refute_for.outcome_hash = refute.u.refute.outcome_hash;
  memcpy(tx.u.refute_for.sig, refute.u.refute.sig, sizeof tx.u.refute_for.sig);
  tx.u.refute_for.beneficiary = beneficiary;
  const ch_bounty bounty = {d->id, 0, beneficiary};
  ch_hash digest;
  ch_bounty_digest(&digest, &d->domain, &bounty);
  must(ch_sign(&tx.u.refute_for.bounty_sig, &digest, &d->side[0].channel_key));
  return tx;
}

static void sends(duo *d, ch_addr who, const ch_tx *tx) {
  assert_int_equal(duo_send_tx_by(d, &who, 0, tx), CH_ADJ_NONE);
}

static void tower(duo *d) {
  pay_and_settle(d, 1, "old", 5);
  pay_and_settle(d, 0, "newer", 20);
  pay_and_settle(d, 0, "newest", 7);
  duo_cut(d);
  const ch_tx lie = duo_challenge_tx(d, 1, 1, -5), first = refute_for(d, 2, 15, TOWER),
              copied = duo_refute_tx(d, 2, 15), newer = refute_for(d, 4, 22, TOWER),
              other = refute_for(d, 2, 15, COPYIST);
  assert_int_equal(duo_send_tx(d, 1, DUO_BOND, &lie), CH_ADJ_NONE);
  record_note("somebody copies the tower's refutation without the Bounty, and is first: the bond is forfeited");
  sends(d, COPYIST, &copied);
  record_note("the tower's own is taken all the same, as nobody is attached: it changes nothing else");
  sends(d, TOWER, &first);
  record_note("a second one at the standing version is not");
  assert_int_equal(duo_send_tx_by(d, &COPYIST, 0, &other), CH_ADJ_NOT_NEWER);
  record_note("a newer one");
  sends(d, TOWER, &newer);
  duo_pass(d, DUO_PERIOD + 1);
  record_note("side 0 comes back after the window: it settles, and the bond goes to the tower");
  duo_see(d, 0);
  mine_and_finalise(d, 0);
  ended(d);
}

/* Nobody sends the transaction: Close expires, and what was outstanding is talked about again. */
static void close_expires(duo *d) {
  pay_and_settle(d, 1, "before", 30);
  must(duo_command(d, 0, CH_EV_CLOSE));
  duo_pump(d);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_CLOSING);
  record_note("a final block is past validUntil: side 1 may sign states again, and greets again");
  duo_pass(d, 3601);
  must(duo_command(d, 1, CH_EV_TICK));
  reconnect(d);
  duo_pump(d);
  record_note("side 0 still wants to leave");
  must(duo_command(d, 0, CH_EV_TICK));
  talk(d);
  must(duo_command(d, 0, CH_EV_TICK));
  mine_and_finalise(d, 0);
  ended(d);
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
    {"close-expires", "A Close that both have signed is not sent in time. After it another one is signed.", scene_open,
     close_expires},
    {"executed",
     "An accept comes too late in a dispute, and the state that it is on is settled by the chain: the payments in it "
     "are settled, those "
     "that waited behind it have failed.",
     scene_open, executed},
    {"late-refutation", "A refutation in the last second of the window extends it. Calls that revert, and why.",
     scene_open, late_refutation},
    {"close-in-dispute", "Both sign Close while a challenge is open: the bond goes back to the challenger.", scene_open,
     close_in_dispute},
    {"tower",
     "Side 0 is away when side 1 challenges with an old state. A third party refutes it for side 0, which has signed a "
     "Bounty for it: the bond goes there.",
     scene_open, tower},
    {0},
};
