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
  claim_unheard(d);
  duo_mine(d, 1);
  for (size_t i = 0; i < d->n_reveals; i++)
    d->reveals[i].final_time = d->reveals[i].head_time;
  see(d);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "revealed"), CH_PAYMENT_SETTLED);
}

/* A lock that a contract decides. */
static ch_op contract_lock(const duo *d, const char *id, uint64_t amount, uint8_t payload_len) {
  ch_op op = duo_op_pay(id, amount);
  op.kind = CH_OP_LOCK_ADD;
  op.valid_until = d->now + 90000;
  op.u.add.gas = 50000;
  op.u.add.payload_len = payload_len;
  memset(op.u.add.payload, 0x60 + payload_len, payload_len);
  memset(op.u.add.condition.b, 0xc0, sizeof op.u.add.condition.b);
  return op;
}

static void add_contract_lock(duo *d, int s, const char *id, uint64_t amount, uint8_t payload_len) {
  const ch_op op = contract_lock(d, id, amount, payload_len);
  const ch_event ev = ch_event_pay(&op, 1);
  must(duo_step(d, s, &ev));
  duo_pump(d);
}

static void release(duo *d, int s, const char *id) {
  const ch_hash none = {{0}};
  ch_lock_info lock;
  assert_true(duo_find_lock(d, s, id, &lock));
  const ch_event ev = ch_event_fulfil(&lock.lock_id, &none);
  must(duo_step(d, s, &ev));
  duo_pump(d);
}

static void contract_locks(duo *d) {
  add_contract_lock(d, 0, "released", 100, 5);
  add_contract_lock(d, 1, "given-back", 60, 0);
  add_contract_lock(d, 0, "partly-owed", 80, 40);
  record_note("its payer pays all of it without asking the contract");
  release(d, 0, "released");
  must(duo_cancel(d, 0, "given-back"));
  duo_pump(d);
  duo_cut(d);
  record_note("the payer is gone: the payee leaves alone, and asks the contract");
  must(duo_command(d, 1, CH_EV_CHALLENGE));
  duo_mine(d, 1);
  duo_see(d, 1);
  duo_pass(d, 90001);
  must(duo_command(d, 1, CH_EV_TICK));
  d->owed = 30;
  mine_and_finalise(d, 1);
  assert_int_equal(duo_row_of(d, 0, false, "partly-owed")->paid.v, 30);
  ended(d);
}

const scene LOCKS[] = {
    {"locks",
     "Hash locks of both sides: one fulfilled with its preimage, one given back, one taken back after its expiry.",
     scene_open, locks},
    {"reveal",
     "The payer does not answer a fulfil. The payee reveals the preimage on chain in time, and the payer pays by it.",
     scene_open, reveal},
    {"contract-locks",
     "Locks that contracts decide: one is paid by its payer's word, one given back, one settled on chain with the part "
     "that the contract says is owed.",
     scene_open, contract_locks},
    {0},
};
