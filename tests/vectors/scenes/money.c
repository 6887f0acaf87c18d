/* money.c - money in and out while the channel goes on: sections 2 ("Opening") and 4 ("Taking money out"). */
#include "scene.h"

/* --- In ---------------------------------------------------------------------------------------------------------- */

static void top_up(duo *d) {
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
}

static void both_deposit(duo *d) {
  put_in(d, 0, 400);
  put_in(d, 1, 300);
  duo_mine(d, 0);
  duo_mine(d, 1);
  d->final = d->head;
  duo_see(d, 1);
  must(duo_pay(d, 1, "all-of-side-1", 800));
  record_note("side 1 has seen both, side 0 neither, and has said so: side 1 waits");
  duo_pump(d);
  duo_see(d, 0);
  must(duo_pay(d, 0, "all-of-side-0", 1400));
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "all-of-side-0"), CH_PAYMENT_SETTLED);
  must(duo_command(d, 1, CH_EV_TICK));
  duo_pump(d);
  assert_int_equal(duo_status(d, 1, "all-of-side-1"), CH_PAYMENT_SETTLED);
}

static void fund_both(duo *d) {
  duo_make(d, 1000, 500);
  d->opener_funds = true;
  memset(d->asset.b, 0x70, sizeof d->asset.b);
  duo_begin(d);
  pay_and_settle(d, 1, "of-what-side-0-put-in", 200);
  must(duo_command(d, 1, CH_EV_CLOSE));
  duo_pump(d);
  must(duo_command(d, 1, CH_EV_TICK));
  mine_and_finalise(d, 1);
  ended(d);
}

/* --- Out --------------------------------------------------------------------------------------------------------- */

static void withdrawal(duo *d) {
  pay_and_settle(d, 0, "first", 100);
  withdraw(d, 1, 450);
  must(duo_deliver(d, 1)); /* reserve */
  must(duo_deliver(d, 0)); /* its accept */
  must(duo_deliver(d, 1)); /* the Withdraw */
  record_note("the answer with the second signature is lost");
  reconnect(d);
  duo_pump(d);
  must(duo_pay(d, 1, "what-is-left", 120));
  duo_pump(d);
  must(duo_command(d, 1, CH_EV_TICK));
  mine_and_finalise(d, 1);
  pay_and_settle(d, 1, "afterwards", 30);
}

static void withdrawal_refused(duo *d) {
  withdraw(d, 1, 100);
  duo_pump(d);
  must(duo_command(d, 1, CH_EV_TICK));
  duo_mine(d, 1);
  duo_see(d, 0);
  d->final = d->head;
  duo_see(d, 1);
  duo_pump(d);
  record_note("final for side 1 only: it asks for the next one, whose number side 0 does not see as the next yet");
  withdraw(d, 1, 50);
  duo_pump(d);
  assert_int_equal(duo_info(d, 1).reserved_mine.v, 0);
  duo_see(d, 0);
  duo_pump(d);
  record_note("now both do");
  withdraw(d, 1, 50);
  duo_pump(d);
  must(duo_command(d, 1, CH_EV_TICK));
  mine_and_finalise(d, 1);
  assert_int_equal(duo_info(d, 0).withdrawals, 2);
}

static void withdrawal_expires(duo *d) {
  withdraw(d, 0, 100);
  must(duo_deliver(d, 0));
  must(duo_deliver(d, 1));
  record_note("side 1 does not hear of the Withdraw before it expires");
  duo_drop(d, 0);
  duo_pass(d, 3601);
  tick(d);
  assert_int_equal(duo_info(d, 0).reserved_mine.v, 0);
  pay_and_settle(d, 0, "of-what-was-reserved", 1000);
}

/* Another channel of the two, which the other side has asked for: side 0 of the first is side 1 there. */
static void make_second(duo *e) {
  duo_make(e, 200, 0);
  const duo_side was = e->side[0];
  e->side[0] = e->side[1];
  e->side[1] = was;
  for (int s = 0; s < 2; s++) {
    memset(e->side[s].nonce.b, 0x30 + s, sizeof(ch_hash));
    ch_hash key;
    ch_keccak256(&key, e->side[s].channel_key.b, sizeof e->side[s].channel_key.b);
    memcpy(e->side[s].channel_key.b, key.b, sizeof key.b);
  }
}

static void move(duo *d) {
  static duo e;
  duo_make(d, 1000, 500);
  make_second(&e);
  record_second(&e);
  duo_begin(d);
  duo_begin(&e);
  pay_and_settle(d, 0, "before", 100);
  ch_event ev = ch_event_withdraw(ch_amount_of(300));
  ev.u.withdraw.to = (ch_target){.set = true, .side = 1};
  ch_params_hash(&ev.u.withdraw.to.params_hash, &e.chain, &e.params);
  record_note("into the second channel, in which side 0 is side 1");
  must(duo_step(d, 0, &ev));
  duo_pump(d);
  must(duo_command(d, 0, CH_EV_TICK));
  d->other = e.head.slots;
  duo_mine(d, 0);
  e.head.slots = d->other;
  finalise(d);
  finalise(&e);
  record_note("it is there");
  pay_and_settle(&e, 1, "with-what-was-moved", 250);
}

const scene MONEY[] = {
    {"top-up", "Side 0 puts more money in. It is spent once both have said that they see it confirmed.", scene_open,
     top_up},
    {"both-deposit",
     "Both put more money in, in one block; each side spends all it has once the other one sees it, too.", scene_open,
     both_deposit},
    {"fund-both",
     "The opener pays both deposits, in one call. The asset is a token: no coin is sent along, and the payouts are in "
     "the token.",
     NULL, fund_both},
    {"withdrawal",
     "Side 1 takes money out while the channel goes on; the peer's signature is lost once. A payment in between.",
     scene_open, withdrawal},
    {"withdrawal-refused",
     "A reservation is refused, as one side sees the last withdrawal as final and the other one does not. Asked for "
     "again, it is taken.",
     scene_open, withdrawal_refused},
    {"withdrawal-expires", "A reservation whose Withdraw was never sent ends unused, and the money can be spent.",
     scene_open, withdrawal_expires},
    {"move", "Side 0 moves money into another channel of the two, in one transaction, and pays with it there.", NULL,
     move},
    {0},
};
