/* money.c - money in and out while the channel goes on: sections 2 ("Opening") and 4 ("Taking money out"). */
#include "scene.h"

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

const scene MONEY[] = {
    {"withdrawal",
     "Side 1 takes money out while the channel goes on; the peer's signature is lost once. A payment in between.",
     scene_open, withdrawal},
    {"top-up", "Side 0 puts more money in. It is spent once both have said that they see it confirmed.", scene_open,
     top_up},
    {0},
};
