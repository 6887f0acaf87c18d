/* locks.c - conditional payments: section 6. */
#include "scene.h"

static void locks(duo *d) {
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
}

static void reveal(duo *d) {
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
}

const scene LOCKS[] = {
    {"locks",
     "Hash locks of both sides: one fulfilled with its preimage, one given back, one taken back after its expiry.",
     scene_open, locks},
    {"reveal",
     "The payer does not answer a fulfil. The payee reveals the preimage on chain in time, and the payer pays by it.",
     scene_open, reveal},
    {0},
};
