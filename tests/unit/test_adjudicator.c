/* The Adjudicator's rules: every revert, every boundary, the bond in all parities, and money conserved
 * (proto/protocol.md, section 5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "calls.h"

#define PERIOD CALLS_PERIOD
#define BOND CALLS_BOND
#define START 1700000000u

/* One channel of two known keys, as the chain holds it. */
typedef struct world {
  calls c;
  ch_adj_slots slots;
  ch_adj_result result; /* of the last accepted call */
  uint64_t now;
  ch_addr sender;
} world;

static const ch_addr STRANGER = {{9, 9, 9}};

static world new_world(ch_addr asset) {
  const ch_chain chain = {.chain_id = 7, .adjudicator = {{0xad}}};
  return (world){.c = calls_new(&chain, &asset), .now = START, .sender = STRANGER};
}

static world native_world(void) {
  return new_world((ch_addr){{0}});
}

static ch_adj_revert apply(world *w, uint64_t value, const ch_tx *tx) {
  ch_adj_result out;
  ch_adj_call call = {.chain = &w->c.chain, .sender = w->sender, .value = ch_amount_of(value), .now = w->now};
  ch_adj_revert r = ch_adj_apply(&out, &w->slots, &call, tx);
  if (r == CH_ADJ_NONE) {
    w->result = out;
    w->slots = out.slots;
  }
  return r;
}

/* --- Well-formed calls for the present state ------------------------------------------------------ */

static ch_tx deposit_tx(const world *w, uint8_t side, uint64_t amount) {
  return calls_deposit(&w->c, w->slots.epoch, side, amount);
}

static ch_tx close_tx(const world *w, int64_t net) {
  return calls_close(&w->c, w->slots.epoch, net, w->now + 60);
}

static ch_tx challenge_tx(const world *w, uint8_t side, uint64_t version) {
  return calls_challenge(&w->c, w->slots.epoch, side, version, w->now + 60);
}

static ch_tx refute_tx(const world *w, uint64_t version) {
  return calls_refute(&w->c, w->slots.epoch, version);
}

static ch_tx settle_tx(const world *w) {
  return calls_settle(&w->c, w->slots.epoch, w->slots.version);
}

static ch_adj_revert run(world *w, uint64_t value, ch_tx tx) {
  return apply(w, value, &tx);
}

static void fund(world *w, uint64_t a, uint64_t b) {
  bool native = ch_addr_is_zero(&w->c.params.asset);
  assert_int_equal(run(w, native ? a : 0, deposit_tx(w, 0, a)), CH_ADJ_NONE);
  assert_int_equal(run(w, native ? b : 0, deposit_tx(w, 1, b)), CH_ADJ_NONE);
}

static world funded_world(void) {
  world w = native_world();
  fund(&w, 1000, 2000);
  return w;
}

static world disputed_world(uint8_t side, uint64_t version) {
  world w = funded_world();
  assert_int_equal(run(&w, BOND, challenge_tx(&w, side, version)), CH_ADJ_NONE);
  return w;
}

static void assert_transfer(const world *w, size_t i, const ch_addr *to, const ch_addr *asset, uint64_t amount) {
  assert_true(i < w->result.n_transfers);
  assert_memory_equal(&w->result.transfers[i].to, to, sizeof *to);
  assert_memory_equal(&w->result.transfers[i].asset, asset, sizeof *asset);
  assert_true(w->result.transfers[i].amount.v == amount);
}

/* All slots are zero but the epoch. */
static void assert_clean(const ch_adj_slots *s, uint16_t epoch) {
  assert_int_equal(s->epoch, epoch);
  assert_true(s->contribution[0].v == 0 && s->contribution[1].v == 0);
  assert_int_equal(s->withdraw_seq, 0);
  assert_false(s->disputed);
  assert_int_equal(s->version | s->challenged_version | s->deadline | s->flags, 0);
  assert_true(ch_hash_is_zero(&s->outcome_hash));
}

/* --- Deposit -------------------------------------------------------------------------------------- */

static void test_deposit(void **unused) {
  (void)unused;
  world w = native_world();
  w.slots.withdraw_seq = 5;
  assert_int_equal(run(&w, 70, deposit_tx(&w, 1, 70)), CH_ADJ_NONE);
  assert_true(w.slots.contribution[0].v == 0 && w.slots.contribution[1].v == 70);
  assert_int_equal(w.slots.withdraw_seq, 5);
  assert_true(w.result.take.v == 70 && ch_addr_is_zero(&w.result.take_asset));
  assert_int_equal(w.result.event.kind, CH_ADJ_DEPOSITED);
  assert_int_equal(w.result.event.side, 1);
  assert_true(w.result.event.amount.v == 70);
  assert_memory_equal(&w.result.event.id, &w.c.id, sizeof w.c.id);
  assert_int_equal(w.result.n_transfers, 0);

  ch_addr token = {{0x77}};
  w = new_world(token);
  assert_int_equal(run(&w, 0, deposit_tx(&w, 0, 3)), CH_ADJ_NONE);
  assert_int_equal(run(&w, 0, deposit_tx(&w, 0, 4)), CH_ADJ_NONE);
  assert_true(w.slots.contribution[0].v == 7);
  assert_memory_equal(&w.result.take_asset, &token, sizeof token);
  assert_int_equal(run(&w, 4, deposit_tx(&w, 0, 4)), CH_ADJ_WRONG_VALUE);
}

static void test_deposit_reverts(void **unused) {
  (void)unused;
  world w = native_world();
  ch_tx tx = deposit_tx(&w, 0, 5);
  assert_int_equal(apply(&w, 4, &tx), CH_ADJ_WRONG_VALUE);
  assert_int_equal(apply(&w, 6, &tx), CH_ADJ_WRONG_VALUE);
  assert_int_equal(run(&w, 0, deposit_tx(&w, 0, 0)), CH_ADJ_ZERO_AMOUNT);
  tx.u.deposit.side = 2;
  assert_int_equal(apply(&w, 5, &tx), CH_ADJ_BAD_SIDE);
  tx = deposit_tx(&w, 0, 5);
  tx.u.deposit.epoch = 1;
  assert_int_equal(apply(&w, 5, &tx), CH_ADJ_WRONG_EPOCH);
  tx = deposit_tx(&w, 0, 5);
  tx.u.deposit.asset.b[0] = 1; /* another asset is another channel */
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_PARAMS);
  tx = deposit_tx(&w, 0, 5);
  tx.u.deposit.params_hash.b[0] ^= 1;
  assert_int_equal(apply(&w, 5, &tx), CH_ADJ_BAD_PARAMS);
  w.slots.epoch = CH_EPOCH_LAST;
  assert_int_equal(run(&w, 5, deposit_tx(&w, 0, 5)), CH_ADJ_LAST_EPOCH);
  w.slots.epoch = CH_EPOCH_LAST - 1;
  assert_int_equal(run(&w, 5, deposit_tx(&w, 0, 5)), CH_ADJ_NONE);
  w = disputed_world(0, 0);
  assert_int_equal(run(&w, 5, deposit_tx(&w, 0, 5)), CH_ADJ_DISPUTE_OPEN);
}

static void test_deposit_overflow(void **unused) {
  (void)unused;
  world w = new_world((ch_addr){{0x77}});
  ch_tx tx = deposit_tx(&w, 0, 1);
  tx.u.deposit.amount.v = CH_MONEY_MAX;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  assert_int_equal(run(&w, 0, deposit_tx(&w, 0, 1)), CH_ADJ_OVERFLOW);
  assert_int_equal(run(&w, 0, deposit_tx(&w, 1, 1)), CH_ADJ_OVERFLOW);
  w.slots.contribution[0].v--;
  assert_int_equal(run(&w, 0, deposit_tx(&w, 1, 1)), CH_ADJ_NONE);
  /* One side's number has a limit of its own, where the other's is negative. */
  w.slots.contribution[0].v = (ch_i128)CH_MONEY_MAX;
  w.slots.contribution[1].v = -5;
  assert_int_equal(run(&w, 0, deposit_tx(&w, 0, 1)), CH_ADJ_OVERFLOW);
  assert_int_equal(run(&w, 0, deposit_tx(&w, 1, 5)), CH_ADJ_NONE);
}

/* --- Close ---------------------------------------------------------------------------------------- */

static void test_close(void **unused) {
  (void)unused;
  world w = funded_world();
  w.slots.withdraw_seq = 3;
  assert_int_equal(run(&w, 0, close_tx(&w, -400)), CH_ADJ_NONE);
  assert_clean(&w.slots, 1);
  assert_int_equal(w.result.n_transfers, 2);
  assert_transfer(&w, 0, &w.c.params.payout[0], &w.c.params.asset, 1400);
  assert_transfer(&w, 1, &w.c.params.payout[1], &w.c.params.asset, 1600);
  assert_int_equal(w.result.event.kind, CH_ADJ_CLOSED);
  assert_int_equal(w.result.event.epoch, 0);
  assert_true(w.result.event.net.v == -400);
  assert_true(w.result.event.paid[0].v == 1400 && w.result.event.paid[1].v == 1600);
  assert_false(w.result.event.forfeited);
  assert_true(w.result.take.v == 0);

  fund(&w, 10, 20); /* the same id lives again */
  assert_int_equal(run(&w, 0, close_tx(&w, 10)), CH_ADJ_NONE);
  assert_clean(&w.slots, 2);
  assert_int_equal(w.result.n_transfers, 1);
  assert_transfer(&w, 0, &w.c.params.payout[1], &w.c.params.asset, 30);

  assert_int_equal(run(&w, 0, close_tx(&w, 0)), CH_ADJ_NONE); /* an empty one pays nothing */
  assert_int_equal(w.result.n_transfers, 0);
}

static void test_close_of_tokens(void **unused) {
  (void)unused;
  ch_addr token = {{0x77}}, native = {{0}};
  world w = new_world(token);
  fund(&w, 100, 50);
  assert_int_equal(run(&w, BOND, challenge_tx(&w, 0, 0)), CH_ADJ_NONE);
  assert_true(w.result.take.v == BOND && ch_addr_is_zero(&w.result.take_asset));
  assert_int_equal(run(&w, 0, close_tx(&w, 30)), CH_ADJ_NONE);
  assert_int_equal(w.result.n_transfers, 3);
  assert_transfer(&w, 0, &w.c.params.payout[0], &token, 70);
  assert_transfer(&w, 1, &w.c.params.payout[1], &token, 80);
  assert_transfer(&w, 2, &w.c.params.payout[0], &native, BOND);
}

static void test_close_reverts(void **unused) {
  (void)unused;
  world w = funded_world();
  ch_tx tx = close_tx(&w, 7);
  assert_int_equal(apply(&w, 1, &tx), CH_ADJ_WRONG_VALUE);
  w.now = tx.u.close.close.valid_until + 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_EXPIRED);
  w.now = START;
  tx.params.payout[0].b[0] ^= 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_PARAMS);
  tx = close_tx(&w, 7);
  w.slots.epoch = 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_EPOCH);
  w.slots.epoch = 0;
  tx.u.close.close.net = ch_net_of(8);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  for (int side = 0; side < 2; side++) {
    tx = close_tx(&w, 7);
    memset(&tx.u.close.sig[side], 0, sizeof(ch_sig));
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
    tx.u.close.sig[side] = tx.u.close.sig[side ^ 1];
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  }
  tx = close_tx(&w, 7);
  w.now = tx.u.close.close.valid_until; /* the last second */
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
}

static void test_close_by_a_payee(void **unused) {
  (void)unused;
  for (int side = 0; side < 2; side++) {
    world w = funded_world();
    ch_tx tx = close_tx(&w, 7);
    memset(&tx.u.close.sig[side], 0, sizeof(ch_sig));
    w.sender = w.c.params.payout[side ^ 1];
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
    w.sender = w.c.params.signer[side]; /* only where the money goes, not the hot key */
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
    w.sender = w.c.params.payout[side];
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  }
}

/* Neither endings nor challenges fail at the last epoch; only deposits do. So nothing can be stuck there. */
static void test_last_epoch(void **unused) {
  (void)unused;
  world w = native_world();
  w.slots.epoch = CH_EPOCH_LAST - 1;
  fund(&w, 5, 6);
  assert_int_equal(run(&w, 0, close_tx(&w, 1)), CH_ADJ_NONE);
  assert_clean(&w.slots, CH_EPOCH_LAST);
  assert_int_equal(run(&w, 0, close_tx(&w, 1)), CH_ADJ_NONE);
  assert_clean(&w.slots, CH_EPOCH_LAST);
  assert_int_equal(run(&w, BOND, challenge_tx(&w, 0, 0)), CH_ADJ_NONE);
  w.now += PERIOD + 1;
  assert_int_equal(run(&w, 0, settle_tx(&w)), CH_ADJ_NONE);
  assert_clean(&w.slots, CH_EPOCH_LAST);
  assert_transfer(&w, 0, &w.c.params.payout[0], &w.c.params.asset, BOND);
}

/* --- Challenge ------------------------------------------------------------------------------------ */

static void test_challenge(void **unused) {
  (void)unused;
  world w = funded_world();
  assert_int_equal(run(&w, BOND, challenge_tx(&w, 1, 42)), CH_ADJ_NONE);
  ch_hash expected = calls_outcome_hash(42);
  assert_true(w.slots.disputed);
  assert_int_equal(w.slots.version, 42);
  assert_int_equal(w.slots.challenged_version, 42);
  assert_int_equal(w.slots.deadline, START + PERIOD);
  assert_int_equal(w.slots.flags, CH_ADJ_CHALLENGER);
  assert_memory_equal(&w.slots.outcome_hash, &expected, sizeof expected);
  assert_true(w.slots.contribution[0].v == 1000 && w.slots.contribution[1].v == 2000);
  assert_true(w.result.take.v == BOND);
  assert_int_equal(w.result.event.kind, CH_ADJ_CHALLENGED);
  assert_int_equal(w.result.event.side, 1);
  assert_int_equal(w.result.event.version, 42);
  assert_int_equal(w.result.event.deadline, START + PERIOD);
  assert_memory_equal(&w.result.event.salt, &w.c.salt, sizeof w.c.salt);
  assert_int_equal(w.result.n_transfers, 0);

  w = native_world(); /* empty: allowed, ends the epoch and returns the bond */
  assert_int_equal(run(&w, BOND, challenge_tx(&w, 0, 0)), CH_ADJ_NONE);
}

static void test_challenge_reverts(void **unused) {
  (void)unused;
  world w = funded_world();
  ch_tx tx = challenge_tx(&w, 0, 4);
  assert_int_equal(apply(&w, BOND - 1, &tx), CH_ADJ_WRONG_VALUE);
  assert_int_equal(apply(&w, BOND + 1, &tx), CH_ADJ_WRONG_VALUE);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_VALUE);
  tx.u.challenge.salt.b[0] ^= 1;
  tx.params.tag = w.c.params.tag; /* the right tag does not help */
  assert_int_equal(apply(&w, BOND, &tx), CH_ADJ_BAD_PARAMS);
  tx = challenge_tx(&w, 0, 4);
  tx.u.challenge.challenge.side = 2;
  assert_int_equal(apply(&w, BOND, &tx), CH_ADJ_BAD_SIDE);
  tx = challenge_tx(&w, 0, 4);
  w.slots.epoch++;
  assert_int_equal(apply(&w, BOND, &tx), CH_ADJ_WRONG_EPOCH);
  w.slots.epoch--;
  for (int side = 0; side < 2; side++) {
    tx = challenge_tx(&w, 0, 4);
    tx.u.challenge.sig[side] = tx.u.challenge.sig[side ^ 1];
    assert_int_equal(apply(&w, BOND, &tx), CH_ADJ_BAD_SIGNATURE);
  }
  w.sender = w.c.params.signer[0];
  tx = challenge_tx(&w, 0, 0);
  tx.u.challenge.challenge.outcome_hash.b[0] = 1;
  assert_int_equal(apply(&w, BOND, &tx), CH_ADJ_WRONG_OUTCOME);
  assert_int_equal(run(&w, BOND, challenge_tx(&w, 0, 4)), CH_ADJ_NONE);
  assert_int_equal(run(&w, BOND, challenge_tx(&w, 0, 6)), CH_ADJ_DISPUTE_OPEN);
}

static void test_who_may_challenge(void **unused) {
  (void)unused;
  for (uint8_t side = 0; side < 2; side++) {
    world w = funded_world();
    ch_tx tx = challenge_tx(&w, side, 4);
    ch_tx unsigned_tx = tx;
    memset(&unsigned_tx.u.challenge.challenge_sig, 0, sizeof(ch_sig));
    unsigned_tx.u.challenge.challenge.valid_until = 0;
    assert_int_equal(apply(&w, BOND, &unsigned_tx), CH_ADJ_NOT_PARTICIPANT);
    w.sender = w.c.params.signer[side ^ 1]; /* a participant, but of the other side */
    assert_int_equal(apply(&w, BOND, &unsigned_tx), CH_ADJ_NOT_PARTICIPANT);
    w.sender = w.c.params.payout[side ^ 1];
    assert_int_equal(apply(&w, BOND, &unsigned_tx), CH_ADJ_NOT_PARTICIPANT);
    const ch_addr own[2] = {w.c.params.signer[side], w.c.params.payout[side]};
    for (int i = 0; i < 2; i++) {
      world copy = w;
      copy.sender = own[i];
      assert_int_equal(apply(&copy, BOND, &unsigned_tx), CH_ADJ_NONE);
    }
    w.sender = STRANGER;
    w.now = tx.u.challenge.challenge.valid_until + 1;
    assert_int_equal(apply(&w, BOND, &tx), CH_ADJ_EXPIRED);
    w.now--;
    tx.u.challenge.challenge.valid_until++; /* not what was signed */
    assert_int_equal(apply(&w, BOND, &tx), CH_ADJ_NOT_PARTICIPANT);
    tx.u.challenge.challenge.valid_until--;
    assert_int_equal(apply(&w, BOND, &tx), CH_ADJ_NONE);
  }
}

/* --- Refute --------------------------------------------------------------------------------------- */

static void test_refute(void **unused) {
  (void)unused;
  world w = disputed_world(0, 4);
  ch_adj_slots before = w.slots;
  assert_int_equal(run(&w, 0, refute_tx(&w, 6)), CH_ADJ_NONE);
  ch_hash expected = calls_outcome_hash(6);
  assert_int_equal(w.slots.version, 6);
  assert_int_equal(w.slots.challenged_version, 4);
  assert_int_equal(w.slots.deadline, before.deadline);
  assert_int_equal(w.slots.flags, 0);
  assert_memory_equal(&w.slots.outcome_hash, &expected, sizeof expected);
  assert_int_equal(w.result.event.kind, CH_ADJ_REFUTED);
  assert_int_equal(w.result.event.version, 6);
  assert_int_equal(w.result.event.deadline, before.deadline);
  assert_true(w.result.take.v == 0);
  assert_int_equal(w.result.n_transfers, 0);
}

static void test_refute_reverts(void **unused) {
  (void)unused;
  world w = funded_world();
  assert_int_equal(run(&w, 0, refute_tx(&w, 6)), CH_ADJ_NO_DISPUTE);
  w = disputed_world(0, 4);
  ch_tx tx = refute_tx(&w, 6);
  assert_int_equal(apply(&w, 1, &tx), CH_ADJ_WRONG_VALUE);
  assert_int_equal(run(&w, 0, refute_tx(&w, 4)), CH_ADJ_NOT_NEWER);
  assert_int_equal(run(&w, 0, refute_tx(&w, 3)), CH_ADJ_NOT_NEWER);
  tx.u.refute.outcome_hash.b[0] ^= 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  for (int side = 0; side < 2; side++) {
    tx = refute_tx(&w, 6);
    tx.u.refute.sig[side] = tx.u.refute.sig[side ^ 1];
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  }
  tx = refute_tx(&w, 6);
  tx.params.tag.b[0] ^= 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_PARAMS);
  tx = refute_tx(&w, 6);
  tx.u.refute.epoch++;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_EPOCH);
  tx = refute_tx(&w, 6);
  w.now = w.slots.deadline + 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_TOO_LATE);
  w.now = w.slots.deadline;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
}

/* A state of an earlier life is dead: its signatures are over another epoch. */
static void test_old_epochs_are_dead(void **unused) {
  (void)unused;
  world w = funded_world();
  ch_tx old = refute_tx(&w, 9);
  assert_int_equal(run(&w, 0, close_tx(&w, 0)), CH_ADJ_NONE);
  fund(&w, 5, 5);
  assert_int_equal(run(&w, BOND, challenge_tx(&w, 0, 0)), CH_ADJ_NONE);
  assert_int_equal(apply(&w, 0, &old), CH_ADJ_WRONG_EPOCH);
  old.u.refute.epoch = w.slots.epoch;
  assert_int_equal(apply(&w, 0, &old), CH_ADJ_BAD_SIGNATURE);
}

static void test_extension(void **unused) {
  (void)unused;
  world w = disputed_world(0, 4);
  uint64_t deadline = w.slots.deadline;
  w.now = deadline - CH_ADJ_EXTENSION; /* a whole window is left: no extension */
  assert_int_equal(run(&w, 0, refute_tx(&w, 6)), CH_ADJ_NONE);
  assert_int_equal(w.slots.deadline, deadline);
  w.now++;
  assert_int_equal(run(&w, 0, refute_tx(&w, 8)), CH_ADJ_NONE);
  assert_int_equal(w.slots.deadline, deadline + CH_ADJ_EXTENSION);
  assert_int_equal(w.result.event.deadline, w.slots.deadline);
  w.now = w.slots.deadline;
  assert_int_equal(run(&w, 0, refute_tx(&w, 10)), CH_ADJ_NONE);
  assert_int_equal(w.slots.deadline, deadline + 2 * CH_ADJ_EXTENSION);
  assert_int_equal((w.slots.flags & CH_ADJ_EXTENDED) >> 2, CH_ADJ_MAX_EXTENSIONS);
  w.now = w.slots.deadline;
  assert_int_equal(run(&w, 0, refute_tx(&w, 12)), CH_ADJ_NONE);
  assert_int_equal(w.slots.deadline, deadline + 2 * CH_ADJ_EXTENSION);

  w = funded_world(); /* a short period: half of it is the window */
  w.c.params.challenge_period = 100;
  calls_rehash(&w.c);
  assert_int_equal(run(&w, BOND, challenge_tx(&w, 0, 4)), CH_ADJ_NONE);
  w.now = w.slots.deadline - 49;
  assert_int_equal(run(&w, 0, refute_tx(&w, 6)), CH_ADJ_NONE);
  assert_int_equal(w.slots.deadline, START + 150);
}

/* --- The bond ------------------------------------------------------------------------------------- */

static bool forfeits(uint8_t side, uint64_t challenged, uint64_t shown) {
  world w = disputed_world(side, challenged);
  assert_int_equal(run(&w, 0, refute_tx(&w, shown)), CH_ADJ_NONE);
  bool forfeited = (w.slots.flags & CH_ADJ_FORFEIT) != 0;
  w.now = w.slots.deadline + 1;
  assert_int_equal(run(&w, 0, settle_tx(&w)), CH_ADJ_NONE);
  assert_int_equal(w.result.event.forfeited, forfeited);
  assert_transfer(&w, w.result.n_transfers - 1, &w.c.params.payout[side ^ forfeited], &(ch_addr){{0}}, BOND);
  return forfeited;
}

/* For each side, each parity of what it challenged with, and each distance: lost if the other side's parity is shown
 * (the challenger countersigned it), or more than 3 above. */
static void test_bond_parities(void **unused) {
  (void)unused;
  for (uint8_t side = 0; side < 2; side++) {
    for (uint64_t challenged = 4; challenged <= 5; challenged++) {
      for (uint64_t distance = 1; distance <= 6; distance++) {
        uint64_t shown = challenged + distance;
        bool expected = (shown & 1) != side || distance > 3;
        assert_int_equal(forfeits(side, challenged, shown), expected);
      }
    }
  }
}

/* A bare resume (low 32 bits at most 2) of the challenger's own parity is no proof that it knew it. */
static void test_bond_and_resumes(void **unused) {
  (void)unused;
  const uint64_t jump = (uint64_t)1 << 32;
  assert_false(forfeits(0, 4, 7 * jump));
  assert_true(forfeits(1, 4, 7 * jump));
  assert_false(forfeits(1, 4, 7 * jump + 1));
  assert_true(forfeits(0, 4, 7 * jump + 1));
  assert_false(forfeits(0, 4, 7 * jump + 2));
  assert_true(forfeits(1, 4, 7 * jump + 2));
  assert_true(forfeits(1, 4, 7 * jump + 3));
  assert_true(forfeits(0, 4, 7 * jump + 4));
}

static void test_forfeiture_is_sticky(void **unused) {
  (void)unused;
  world w = disputed_world(0, 4);
  assert_int_equal(run(&w, 0, refute_tx(&w, 5)), CH_ADJ_NONE);
  assert_true(w.slots.flags & CH_ADJ_FORFEIT);
  assert_int_equal(run(&w, 0, refute_tx(&w, 6)), CH_ADJ_NONE); /* alone it would prove nothing */
  assert_true(w.slots.flags & CH_ADJ_FORFEIT);
  assert_int_equal(run(&w, 0, close_tx(&w, 0)), CH_ADJ_NONE);
  assert_true(w.result.event.forfeited);
  assert_transfer(&w, 2, &w.c.params.payout[1], &(ch_addr){{0}}, BOND);
  assert_clean(&w.slots, 1);
}

/* --- Settle --------------------------------------------------------------------------------------- */

static void test_settle(void **unused) {
  (void)unused;
  world w = disputed_world(0, 4);
  assert_int_equal(run(&w, 0, refute_tx(&w, 8)), CH_ADJ_NONE);
  w.now = w.slots.deadline + 1;
  assert_int_equal(run(&w, 0, settle_tx(&w)), CH_ADJ_NONE);
  assert_clean(&w.slots, 1);
  assert_int_equal(w.result.n_transfers, 3);
  assert_transfer(&w, 0, &w.c.params.payout[0], &w.c.params.asset, 992);
  assert_transfer(&w, 1, &w.c.params.payout[1], &w.c.params.asset, 2008);
  assert_transfer(&w, 2, &w.c.params.payout[1], &w.c.params.asset, BOND);
  assert_int_equal(w.result.event.kind, CH_ADJ_SETTLED);
  assert_int_equal(w.result.event.epoch, 0);
  assert_int_equal(w.result.event.version, 8);
  assert_true(w.result.event.net.v == 8);
  assert_true(w.result.event.paid[0].v == 992 && w.result.event.paid[1].v == 2008);

  w = disputed_world(1, 0); /* version 0: nothing moved, whatever outcome is given */
  w.now = w.slots.deadline + 1;
  ch_tx tx = settle_tx(&w);
  tx.u.settle.outcome = calls_outcome(99);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  assert_transfer(&w, 0, &w.c.params.payout[0], &w.c.params.asset, 1000);
  assert_transfer(&w, 1, &w.c.params.payout[1], &w.c.params.asset, 2000);
  assert_transfer(&w, 2, &w.c.params.payout[1], &w.c.params.asset, BOND);
}

static void test_settle_reverts(void **unused) {
  (void)unused;
  world w = funded_world();
  assert_int_equal(run(&w, 0, settle_tx(&w)), CH_ADJ_NO_DISPUTE);
  w = disputed_world(0, 4);
  w.now = w.slots.deadline; /* the deadline itself still belongs to the refuters */
  assert_int_equal(run(&w, 0, settle_tx(&w)), CH_ADJ_TOO_EARLY);
  w.now++;
  ch_tx tx = settle_tx(&w);
  assert_int_equal(apply(&w, 1, &tx), CH_ADJ_WRONG_VALUE);
  tx.u.settle.outcome.net.v++;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_OUTCOME);
  tx = settle_tx(&w);
  tx.u.settle.outcome.blind.b[0] ^= 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_OUTCOME);
  tx = settle_tx(&w);
  tx.u.settle.outcome.locks_hash.b[0] = 1; /* the right hash, but locks are pending in it */
  ch_outcome_hash(&w.slots.outcome_hash, &tx.u.settle.outcome);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_OUTCOME);
  tx = settle_tx(&w);
  tx.params.bond.v++;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_PARAMS);
  tx = settle_tx(&w);
  tx.u.settle.epoch = 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_EPOCH);
}

static void test_impossible_slots(void **unused) {
  (void)unused;
  world w = native_world();
  w.slots.contribution[0] = ch_net_of(-1); /* no call leaves a negative total */
  assert_int_equal(run(&w, 0, close_tx(&w, 0)), CH_ADJ_OVERFLOW);
  ch_tx tx = {.kind = (ch_tx_kind)99, .id = w.c.id};
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_PARAMS);
}

static void test_revert_texts(void **unused) {
  (void)unused;
  for (int r = CH_ADJ_NONE; r <= CH_ADJ_BAD_SIDE; r++) {
    assert_true(strlen(ch_adj_revert_text((ch_adj_revert)r)) > 5);
  }
  assert_string_equal(ch_adj_revert_text(CH_ADJ_TOO_EARLY), "the challenge window is still open");
}

/* --- Random calls: money is conserved ------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

static ch_tx random_tx(const world *w, uint64_t *seed, uint64_t *value) {
  uint64_t version = w->slots.version + next_random(seed) % 5;
  *value = 0;
  switch (next_random(seed) % 6) {
  case 0: *value = next_random(seed) % 2 ? BOND : 0; return challenge_tx(w, next_random(seed) & 1, version);
  case 1: return refute_tx(w, version);
  case 2: return settle_tx(w);
  case 3:
    if (next_random(seed) % 4 == 0) {
      return close_tx(w, (int64_t)(next_random(seed) % 4001) - 2000);
    }
    return refute_tx(w, version + 1);
  default: break;
  }
  uint64_t amount = next_random(seed) % 1000;
  *value = ch_addr_is_zero(&w->c.params.asset) && next_random(seed) % 4 ? amount : 0;
  return deposit_tx(w, next_random(seed) & 1, amount);
}

static void assert_consistent(const ch_adj_slots *s) {
  assert_true(s->contribution[0].v + s->contribution[1].v >= 0);
  if (!s->disputed) {
    assert_int_equal(s->version | s->challenged_version | s->deadline | s->flags, 0);
    return;
  }
  assert_true(s->version >= s->challenged_version);
}

/* Taken in = paid out + held for the channel + held bond, of each asset, after every call. */
static void random_life(ch_addr asset, uint64_t seed) {
  world w = new_world(asset);
  const ch_addr native = {{0}};
  ch_i128 held[2] = {0, 0}; /* of the channel's asset; of the native coin in a token channel */
  int accepted = 0;
  for (int step = 0; step < 300; step++) {
    uint64_t value;
    ch_tx tx = random_tx(&w, &seed, &value);
    w.now += next_random(&seed) % 5 == 0 ? next_random(&seed) % (2 * PERIOD) : 1;
    if (apply(&w, value, &tx) != CH_ADJ_NONE) {
      continue;
    }
    accepted++;
    held[!ch_addr_eq(&w.result.take_asset, &asset)] += (ch_i128)w.result.take.v;
    for (size_t i = 0; i < w.result.n_transfers; i++) {
      held[!ch_addr_eq(&w.result.transfers[i].asset, &asset)] -= (ch_i128)w.result.transfers[i].amount.v;
    }
    bool shared = ch_addr_eq(&asset, &native);
    ch_i128 bond = w.slots.disputed ? BOND : 0;
    ch_i128 total = w.slots.contribution[0].v + w.slots.contribution[1].v;
    assert_true(held[0] == total + (shared ? bond : 0));
    assert_true(held[1] == (shared ? 0 : bond));
    assert_consistent(&w.slots);
  }
  assert_true(accepted > 60);
  assert_true(w.slots.epoch > 3);
}

static void test_money_is_conserved(void **unused) {
  (void)unused;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    random_life((ch_addr){{0}}, seed);
    random_life((ch_addr){{0x77}}, seed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_deposit),
      cmocka_unit_test(test_deposit_reverts),
      cmocka_unit_test(test_deposit_overflow),
      cmocka_unit_test(test_close),
      cmocka_unit_test(test_close_of_tokens),
      cmocka_unit_test(test_close_reverts),
      cmocka_unit_test(test_close_by_a_payee),
      cmocka_unit_test(test_last_epoch),
      cmocka_unit_test(test_challenge),
      cmocka_unit_test(test_challenge_reverts),
      cmocka_unit_test(test_who_may_challenge),
      cmocka_unit_test(test_refute),
      cmocka_unit_test(test_refute_reverts),
      cmocka_unit_test(test_old_epochs_are_dead),
      cmocka_unit_test(test_extension),
      cmocka_unit_test(test_bond_parities),
      cmocka_unit_test(test_bond_and_resumes),
      cmocka_unit_test(test_forfeiture_is_sticky),
      cmocka_unit_test(test_settle),
      cmocka_unit_test(test_settle_reverts),
      cmocka_unit_test(test_impossible_slots),
      cmocka_unit_test(test_revert_texts),
      cmocka_unit_test(test_money_is_conserved),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
