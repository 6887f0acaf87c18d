/* The Adjudicator's rules for pending transfers, reveals, bounties and claims (proto/protocol.md, sections 5 and 6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "calls.h"

#define START 1700000000u
#define EXPIRY (START + 2 * CALLS_PERIOD)

typedef struct world {
  calls k;
  ch_adj_slots slots;
  ch_adj_result result; /* of the last accepted call */
  uint64_t now, revealed;
  ch_amount owed, credit;
  ch_addr sender;
} world;

static const ch_chain CHAIN = {.chain_id = 7, .adjudicator = {{0xad}}};
static const ch_addr STRANGER = {{9, 9, 9}}, TOWER = {{0x70}}, TOKEN = {{0x77}}, NATIVE = {{0}};
static const ch_hash PREIMAGE = {{0x42}};

static uint64_t revealed(void *ctx, const ch_hash *hash) {
  const world *w = ctx;
  ch_hash known;
  ch_preimage_hash(&known, &PREIMAGE);
  return ch_hash_eq(&known, hash) ? w->revealed : 0;
}

static ch_amount owed(void *ctx, const ch_lock *lock) {
  const world *w = ctx;
  assert_int_equal(lock->gas, 50000);
  assert_memory_equal(lock->payload, "abc", 3);
  return w->owed;
}

static ch_adj_revert apply(world *w, uint64_t value, const ch_tx *tx) {
  ch_adj_result out;
  ch_adj_call call = ch_adj_call_of(&w->k.chain, &w->sender, ch_amount_of(value), w->now);
  call.ctx = w;
  call.revealed = revealed;
  call.owed = owed;
  call.credit = w->credit;
  ch_adj_revert r = ch_adj_apply(&out, &w->slots, &call, tx);
  if (r == CH_ADJ_NONE) {
    w->result = out;
    w->slots = out.slots;
  }
  return r;
}

/* A channel of 1000 and 2000, in a dispute that the side 0 has opened with version 0. */
static world disputed_world(void) {
  world w = {.k = calls_new(&CHAIN, &NATIVE), .now = START};
  w.slots.contribution[0] = ch_net_of(1000);
  w.slots.contribution[1] = ch_net_of(2000);
  w.sender = w.k.params.signer[0];
  ch_tx tx = calls_challenge(&w.k, 0, 0, 0, 0);
  assert_int_equal(apply(&w, CALLS_BOND, &tx), CH_ADJ_NONE);
  w.sender = STRANGER;
  return w;
}

/* --- Locks ------------------------------------------------------------------------------------------ */

typedef struct locks {
  uint8_t bytes[400];
  size_t len;
  ch_hash hash; /* a hash lock's payload */
} locks;

static void add_hash_lock(locks *l, uint8_t payer, uint64_t amount, uint64_t expiry) {
  ch_preimage_hash(&l->hash, &PREIMAGE);
  ch_lock lock = {
      .amount = ch_amount_of(amount), .payer = payer, .expiry = expiry, .payload_len = 32, .payload = l->hash.b};
  assert_int_equal(ch_lock_encode(l->bytes, sizeof l->bytes, &l->len, &lock), CH_OK);
}

static void add_contract_lock(locks *l, uint8_t payer, uint64_t amount, uint64_t expiry) {
  ch_lock lock = {.amount = ch_amount_of(amount),
                  .payer = payer,
                  .expiry = expiry,
                  .condition = {{0xcc}},
                  .gas = 50000,
                  .payload_len = 3,
                  .payload = (const uint8_t *)"abc"};
  assert_int_equal(ch_lock_encode(l->bytes, sizeof l->bytes, &l->len, &lock), CH_OK);
}

/* Refutes with version 3 that has these locks, and gives the settlement of it. */
static ch_tx settlement(world *w, int64_t net, const locks *l) {
  ch_outcome o = {.net = ch_net_of(net), .blind = {{5}}};
  ch_tx tx = calls_refute(&w->k, 0, 3);
  ch_hash domain, digest;
  ch_locks_hash(&o.locks_hash, l->bytes, l->len);
  ch_outcome_hash(&tx.u.refute.outcome_hash, &o);
  ch_state s = {.id = w->k.id, .version = 3, .outcome_hash = tx.u.refute.outcome_hash};
  ch_domain(&domain, &CHAIN);
  ch_state_digest(&digest, &domain, &s);
  for (int side = 0; side < 2; side++)
    assert_int_equal(ch_sign(&tx.u.refute.sig[side], &digest, &w->k.key[side]), CH_OK);
  assert_int_equal(apply(w, 0, &tx), CH_ADJ_NONE);
  w->now = w->slots.deadline + 1;
  tx = (ch_tx){.kind = CH_TX_SETTLE, .id = w->k.id, .params = w->k.params};
  tx.u.settle.outcome = o;
  memset(&tx.u.settle.outcome.locks_hash, 0xff, sizeof(ch_hash)); /* not looked at */
  tx.u.settle.locks = l->bytes;
  tx.u.settle.locks_len = l->len;
  return tx;
}

static void assert_settled(world *w, const ch_tx *tx, uint64_t p0, uint64_t p1) {
  assert_int_equal(apply(w, 0, tx), CH_ADJ_NONE);
  assert_int_equal(w->result.event.kind, CH_ADJ_SETTLED);
  assert_true(w->result.event.paid[0].v == p0 && w->result.event.paid[1].v == p1);
}

static void test_hash_lock_pays_if_revealed_in_time(void **unused) {
  (void)unused;
  for (uint8_t payer = 0; payer < 2; payer++) {
    world w = disputed_world();
    locks l = {.len = 0};
    add_hash_lock(&l, payer, 100, EXPIRY);
    ch_tx tx = settlement(&w, -50, &l);
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_LOCK_PENDING);
    w.revealed = EXPIRY; /* the last second */
    w.now = EXPIRY + 10;
    assert_settled(&w, &tx, payer == 0 ? 950 : 1150, payer == 0 ? 2050 : 1850);
    assert_true(w.result.event.net.v == (payer == 0 ? 50 : -150));
  }
}

static void test_hash_lock_is_unpaid_after_expiry(void **unused) {
  (void)unused;
  world w = disputed_world();
  locks l = {.len = 0};
  add_hash_lock(&l, 0, 100, EXPIRY);
  ch_tx tx = settlement(&w, 0, &l);
  w.now = EXPIRY;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_LOCK_PENDING);
  w.revealed = EXPIRY + 1; /* too late */
  w.now = EXPIRY + 1;
  assert_settled(&w, &tx, 1000, 2000);
}

static void test_contract_lock(void **unused) {
  (void)unused;
  static const uint64_t answers[] = {0, 30, 100, 5000};
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    world w = disputed_world();
    locks l = {.len = 0};
    add_contract_lock(&l, 0, 100, EXPIRY);
    ch_tx tx = settlement(&w, 0, &l);
    w.owed = ch_amount_of(answers[i]);
    w.now = EXPIRY;
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_LOCK_PENDING);
    w.now++;
    uint64_t paid = answers[i] < 100 ? answers[i] : 100;
    assert_settled(&w, &tx, 1000 - paid, 2000 + paid);
  }
}

/* The sum is wide, and clamped at the end only. */
static void test_locks_clamp_once(void **unused) {
  (void)unused;
  world w = disputed_world();
  locks l = {.len = 0};
  add_hash_lock(&l, 0, 5000, EXPIRY); /* more than there is ... */
  add_hash_lock(&l, 1, 4900, EXPIRY); /* ... but for this one */
  w.revealed = START;
  ch_tx tx = settlement(&w, 0, &l);
  assert_settled(&w, &tx, 900, 2100);
  w = disputed_world();
  locks m = {.len = 0};
  add_hash_lock(&m, 0, 5000, EXPIRY);
  w.revealed = START;
  tx = settlement(&w, 0, &m);
  assert_settled(&w, &tx, 0, 3000);
  assert_true(w.result.event.net.v == 5000);
  w = disputed_world();
  locks n = {.len = 0};
  add_hash_lock(&n, 1, 4900, EXPIRY); /* the net alone is more than there is, but for this one */
  w.revealed = START;
  tx = settlement(&w, 5000, &n);
  assert_settled(&w, &tx, 900, 2100);
}

static void test_other_locks_are_another_outcome(void **unused) {
  (void)unused;
  world w = disputed_world();
  locks l = {.len = 0};
  add_hash_lock(&l, 0, 100, EXPIRY);
  ch_tx tx = settlement(&w, 0, &l);
  w.now = EXPIRY + 1;
  tx.u.settle.locks_len = 0;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_OUTCOME);
  tx.u.settle.locks_len = l.len;
  l.bytes[13]++;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_WRONG_OUTCOME);
}

static void test_malformed_locks(void **unused) {
  (void)unused;
  world w = disputed_world();
  locks l = {.len = 0};
  add_hash_lock(&l, 0, 100, EXPIRY);
  l.bytes[l.len++] = 0;
  ch_tx tx = settlement(&w, 0, &l);
  w.revealed = START;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_LOCKS);
}

/* A settlement of any net and locks, however long. */
static ch_tx settle_any(world *w, ch_net net, const uint8_t *bytes, size_t len) {
  const locks none = {.len = 0};
  ch_tx tx = settlement(w, 0, &none);
  ch_outcome *o = &tx.u.settle.outcome;
  o->net = net;
  tx.u.settle.locks = bytes;
  tx.u.settle.locks_len = len;
  ch_locks_hash(&o->locks_hash, bytes, len);
  ch_outcome_hash(&w->slots.outcome_hash, o);
  return tx;
}

/* The sum of net and locks is wider than what an event can say, on both sides. */
static void test_event_is_clamped(void **unused) {
  (void)unused;
  for (int payer = 0; payer < 2; payer++) {
    world w = disputed_world();
    locks l = {.len = 0};
    add_hash_lock(&l, (uint8_t)payer, 5000, EXPIRY);
    w.revealed = START;
    const ch_net most = {payer == 0 ? (ch_i128)CH_MONEY_MAX - 10 : 10 - (ch_i128)CH_MONEY_MAX};
    ch_tx tx = settle_any(&w, most, l.bytes, l.len);
    assert_settled(&w, &tx, payer == 0 ? 0 : 3000, payer == 0 ? 3000 : 0);
    assert_true(w.result.event.net.v == (payer == 0 ? (ch_i128)CH_MONEY_MAX : -(ch_i128)CH_MONEY_MAX));
  }
}

/* More locks than a sum can hold for sure, and more than any block. */
static void test_too_many_locks(void **unused) {
  (void)unused;
  const size_t most = (size_t)CH_LOCK_HEAD << 14;
  uint8_t *bytes = calloc(1, most + CH_LOCK_HEAD);
  assert_non_null(bytes);
  size_t len = 0;
  const ch_lock one = {.amount = {CH_MONEY_MAX}, .expiry = START, .condition = {{0xcc}}};
  while (len <= most)
    assert_int_equal(ch_lock_encode(bytes, most + CH_LOCK_HEAD, &len, &one), CH_OK);
  world w = disputed_world();
  ch_tx tx = settle_any(&w, ch_net_of(0), bytes, len);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_LOCKS);
  free(bytes);
}

/* Who looks at nothing around the call knows of no reveal, and of nothing owed. */
static void test_nothing_to_look_at(void **unused) {
  (void)unused;
  world w = disputed_world();
  locks l = {.len = 0};
  add_hash_lock(&l, 0, 100, EXPIRY);
  add_contract_lock(&l, 0, 100, EXPIRY);
  ch_tx tx = settlement(&w, 0, &l), reveal = {.kind = CH_TX_REVEAL, .u.reveal.preimage = PREIMAGE};
  w.revealed = START;
  w.owed = ch_amount_of(100);
  ch_adj_result out;
  ch_adj_call call = ch_adj_call_of(&w.k.chain, &w.sender, ch_amount_of(0), EXPIRY + 1);
  assert_int_equal(ch_adj_apply(&out, &w.slots, &call, &tx), CH_ADJ_NONE);
  assert_true(out.event.net.v == 0);
  assert_int_equal(ch_adj_apply(&out, &w.slots, &call, &reveal), CH_ADJ_NONE);
}

/* A batch is for whoever takes it to split. */
static void test_batches(void **unused) {
  (void)unused;
  static const ch_tx_kind kinds[] = {CH_TX_CLOSE_BATCH, CH_TX_SETTLE_BATCH, CH_TX_REVEAL_BATCH, (ch_tx_kind)99};
  world w = disputed_world();
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    ch_tx tx = {.kind = kinds[i], .id = w.k.id, .params = w.k.params};
    assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_PARAMS);
  }
}

/* --- Reveal and claim --------------------------------------------------------------------------------- */

static void test_reveal(void **unused) {
  (void)unused;
  world w = disputed_world();
  ch_tx tx = {.kind = CH_TX_REVEAL, .u.reveal.preimage = PREIMAGE};
  ch_hash hash;
  ch_preimage_hash(&hash, &PREIMAGE);
  assert_int_equal(apply(&w, 1, &tx), CH_ADJ_WRONG_VALUE);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  assert_int_equal(w.result.event.kind, CH_ADJ_REVEALED);
  assert_memory_equal(&w.result.event.id, &hash, sizeof hash);
  assert_memory_equal(&w.result.event.salt, &PREIMAGE, sizeof PREIMAGE);
  w.revealed = START;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_ALREADY_REVEALED);
}

static void test_claim(void **unused) {
  (void)unused;
  world w = disputed_world();
  ch_tx tx = {.kind = CH_TX_CLAIM};
  tx.u.claim.asset = TOKEN;
  tx.u.claim.payee = STRANGER;
  tx.u.claim.to = TOWER;
  w.credit = ch_amount_of(12);
  assert_int_equal(apply(&w, 1, &tx), CH_ADJ_WRONG_VALUE);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  assert_int_equal(w.result.n_transfers, 1);
  assert_memory_equal(&w.result.transfers[0].to, &TOWER, sizeof TOWER);
  assert_memory_equal(&w.result.transfers[0].asset, &TOKEN, sizeof TOKEN);
  assert_true(w.result.transfers[0].amount.v == 12);
  assert_int_equal(w.result.event.kind, CH_ADJ_CLAIMED);
  w.sender = TOWER; /* nobody else's, but to the payee itself anybody may push it */
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NOT_PARTICIPANT);
  tx.u.claim.to = STRANGER;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  w.credit = ch_amount_of(0);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_ZERO_AMOUNT);
}

/* --- Bounties ----------------------------------------------------------------------------------------- */

/* As calls_refute, for a beneficiary; the bounty signed by `by`. */
static ch_tx refute_for(const world *w, uint64_t version, ch_addr beneficiary, int by) {
  ch_tx plain = calls_refute(&w->k, 0, version);
  ch_tx tx = {.kind = CH_TX_REFUTE_FOR, .id = w->k.id, .params = w->k.params};
  ch_bounty bounty = {.id = w->k.id, .beneficiary = beneficiary};
  ch_hash domain, digest;
  tx.u.refute_for.version = version;
  tx.u.refute_for.outcome_hash = plain.u.refute.outcome_hash;
  memcpy(tx.u.refute_for.sig, plain.u.refute.sig, sizeof plain.u.refute.sig);
  tx.u.refute_for.beneficiary = beneficiary;
  ch_domain(&domain, &CHAIN);
  ch_bounty_digest(&digest, &domain, &bounty);
  assert_int_equal(ch_sign(&tx.u.refute_for.bounty_sig, &digest, &w->k.key[by]), CH_OK);
  return tx;
}

static ch_adj_revert refute(world *w, uint64_t version) {
  ch_tx tx = calls_refute(&w->k, 0, version);
  return apply(w, 0, &tx);
}

/* Settles what stands, and says who got the bond. */
static ch_addr bond_winner(world *w) {
  ch_tx tx = calls_settle(&w->k, 0, w->slots.version);
  w->now = w->slots.deadline + 1;
  assert_int_equal(apply(w, 0, &tx), CH_ADJ_NONE);
  const ch_adj_transfer *bond = &w->result.transfers[w->result.n_transfers - 1];
  assert_true(bond->amount.v == CALLS_BOND);
  return bond->to;
}

static void test_bounty_gets_a_forfeited_bond(void **unused) {
  (void)unused;
  world w = disputed_world();
  ch_tx tx = refute_for(&w, 3, TOWER, 1); /* 3 is odd: countersigned by the challenger, side 0 */
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  assert_int_equal(w.result.event.kind, CH_ADJ_REFUTED);
  assert_memory_equal(&w.result.event.payee[0], &TOWER, sizeof TOWER);
  assert_true(w.result.event.forfeited);
  assert_int_equal(w.slots.flags, CH_ADJ_FORFEIT | CH_ADJ_REWARDED);
  assert_int_equal(refute(&w, 5), CH_ADJ_NONE); /* a newer one without a bounty leaves it */
  ch_addr winner = bond_winner(&w);
  assert_memory_equal(&winner, &TOWER, sizeof TOWER);
}

static void test_bounty_of_an_unforfeited_bond(void **unused) {
  (void)unused;
  world w = disputed_world();
  ch_tx tx = refute_for(&w, 2, TOWER, 1);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  ch_addr winner = bond_winner(&w);
  assert_memory_equal(&winner, &w.k.params.payout[0], sizeof winner);
}

/* A copy of the refutation without its bounty, sent first, takes nothing away. */
static void test_bounty_at_the_standing_version(void **unused) {
  (void)unused;
  world w = disputed_world();
  assert_int_equal(refute(&w, 3), CH_ADJ_NONE);
  w.now = w.slots.deadline; /* shown again, it does not extend the window */
  ch_adj_slots before = w.slots;
  ch_tx tx = refute_for(&w, 3, TOWER, 1), other = refute_for(&w, 3, STRANGER, 1),
        newer = refute_for(&w, 5, STRANGER, 1);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  assert_int_equal(w.slots.deadline, before.deadline);
  assert_int_equal(w.slots.flags, before.flags | CH_ADJ_REWARDED);
  assert_int_equal(apply(&w, 0, &other), CH_ADJ_NOT_NEWER); /* the first one stays ... */
  assert_int_equal(apply(&w, 0, &newer), CH_ADJ_NONE);      /* ... until a newer state names another */
  ch_addr winner = bond_winner(&w);
  assert_memory_equal(&winner, &STRANGER, sizeof winner);
}

/* The challenge's own version, of the other parity, shown again: no lie was proved. */
static void test_bounty_does_not_forfeit_the_challenge_itself(void **unused) {
  (void)unused;
  world w = disputed_world();
  memset(&w.slots, 0, sizeof w.slots);
  w.slots.contribution[0] = ch_net_of(1000);
  w.sender = w.k.params.signer[0];
  ch_tx tx = calls_challenge(&w.k, 0, 0, 3, 0);
  assert_int_equal(apply(&w, CALLS_BOND, &tx), CH_ADJ_NONE);
  tx = refute_for(&w, 3, TOWER, 1);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NONE);
  ch_addr winner = bond_winner(&w);
  assert_memory_equal(&winner, &w.k.params.payout[0], sizeof winner);
}

static void test_bounty_reverts(void **unused) {
  (void)unused;
  world w = disputed_world();
  ch_tx tx = refute_for(&w, 3, TOWER, 0); /* the challenger's signature is none */
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  tx = refute_for(&w, 3, TOWER, 1);
  assert_int_equal(apply(&w, 1, &tx), CH_ADJ_WRONG_VALUE);
  tx.u.refute_for.beneficiary = STRANGER;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  tx = refute_for(&w, 3, TOWER, 1);
  tx.u.refute_for.sig[0].b[0] ^= 1;
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_BAD_SIGNATURE);
  assert_int_equal(refute(&w, 5), CH_ADJ_NONE);
  tx = refute_for(&w, 3, TOWER, 1);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NOT_NEWER);
  w.now = w.slots.deadline + 1;
  tx = refute_for(&w, 7, TOWER, 1);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_TOO_LATE);
  memset(&w.slots, 0, sizeof w.slots);
  assert_int_equal(apply(&w, 0, &tx), CH_ADJ_NO_DISPUTE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hash_lock_pays_if_revealed_in_time),
      cmocka_unit_test(test_hash_lock_is_unpaid_after_expiry),
      cmocka_unit_test(test_contract_lock),
      cmocka_unit_test(test_locks_clamp_once),
      cmocka_unit_test(test_other_locks_are_another_outcome),
      cmocka_unit_test(test_malformed_locks),
      cmocka_unit_test(test_event_is_clamped),
      cmocka_unit_test(test_too_many_locks),
      cmocka_unit_test(test_nothing_to_look_at),
      cmocka_unit_test(test_batches),
      cmocka_unit_test(test_reveal),
      cmocka_unit_test(test_claim),
      cmocka_unit_test(test_bounty_gets_a_forfeited_bond),
      cmocka_unit_test(test_bounty_of_an_unforfeited_bond),
      cmocka_unit_test(test_bounty_at_the_standing_version),
      cmocka_unit_test(test_bounty_does_not_forfeit_the_challenge_itself),
      cmocka_unit_test(test_bounty_reverts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
