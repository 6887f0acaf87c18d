/* The embedded chain: calls that touch more than one channel, or none; refused payouts; files of format 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdlib.h>

#include "calls.h"
#include "l1/dev/chain.h"
#include "tempdir.h"

#define START 1700000000u
#define COIN 1000000u
#define MAX_EVENTS 16

static const ch_addr NATIVE = {{0}};

typedef struct fixture {
  tempdir dir;
  char path[PATH_MAX];
  cd_dev *dev;
  uint64_t wall, nonce[2];
  calls k, other; /* two channels of the same keys, whose payouts are the accounts */
  ch_adj_event events[MAX_EVENTS];
  size_t n_events;
} fixture;

static uint64_t test_wall(void *ctx) {
  const uint64_t *wall = ctx;
  return *wall;
}

static void open_chain(fixture *f) {
  char why[CD_DEV_WHY];
  cd_dev_options opt = {.wall = test_wall, .wall_ctx = &f->wall};
  if (cd_dev_open(&f->dev, f->path, &opt, why) != CH_OK) fail_msg("%s", why);
}

static calls channel_with_salt(const fixture *f, uint8_t salt) {
  ch_chain chain = cd_dev_identity(f->dev);
  calls k = calls_new(&chain, &NATIVE);
  memcpy(k.params.payout, k.params.signer, sizeof k.params.payout);
  memset(k.salt.b, salt, sizeof k.salt.b);
  ch_keccak256(&k.params.tag, k.salt.b, sizeof k.salt.b);
  calls_rehash(&k);
  return k;
}

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  tempdir_make(&f->dir);
  tempdir_file(f->path, &f->dir, "chain");
  f->wall = START;
  open_chain(f);
  f->k = channel_with_salt(f, 1);
  f->other = channel_with_salt(f, 2);
  for (int i = 0; i < 2; i++)
    assert_int_equal(cd_dev_faucet(f->dev, &f->k.params.signer[i], &NATIVE, ch_amount_of(COIN)), CH_OK);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  cd_dev_close(f->dev);
  tempdir_remove(&f->dir);
  free(f);
  return 0;
}

/* --- Helpers ----------------------------------------------------------------------------------------------------- */

/* Sends as an account (0 or 1), and expects it to be mined; returns why it was reverted, "" if it was not. */
static const char *send(fixture *f, int who, uint64_t value, const cd_dev_body *body) {
  static cd_receipt receipt;
  uint8_t raw[CD_DEV_TX_MAX];
  size_t len;
  ch_hash hash;
  char why[CD_DEV_WHY];
  cd_dev_tx tx = {.chain_id = f->k.chain.chain_id, .nonce = f->nonce[who]++, .value = ch_amount_of(value)};
  tx.body = *body; /* not decoded: it borrows nothing from itself */
  assert_int_equal(cd_dev_tx_sign(raw, &len, &tx, &f->k.key[who]), CH_OK);
  cd_dev_tx_hash(&hash, raw, len);
  assert_int_equal(cd_dev_submit(f->dev, raw, len, why), CD_SENT_OK);
  assert_int_equal(cd_dev_receipt(f->dev, &hash, &(ch_hash){0}, 0, &receipt), CH_OK);
  return receipt.error;
}

static const char *call(fixture *f, int who, uint64_t value, const ch_tx *tx) {
  cd_dev_body body = {.kind = CD_DEV_CALL, .u.call = *tx};
  return send(f, who, value, &body);
}

static void must(fixture *f, int who, uint64_t value, const ch_tx *tx) {
  assert_string_equal(call(f, who, value, tx), "");
}

static const char *reverted(ch_adj_revert r) {
  return ch_adj_revert_text(r);
}

static uint64_t balance(fixture *f, const ch_addr *who) {
  ch_amount out;
  assert_int_equal(cd_dev_balance(f->dev, who, &NATIVE, &out), CH_OK);
  return (uint64_t)out.v;
}

static ch_adj_slots slots(fixture *f, const ch_hash *id) {
  cd_dev_block head;
  uint64_t now;
  ch_onchain out;
  assert_int_equal(cd_dev_clock(f->dev, &now, &head), CH_OK);
  assert_int_equal(cd_dev_onchain(f->dev, id, head.number, &out), CH_OK);
  return out.slots;
}

static bool keep_event(void *arg, uint64_t block, const ch_adj_event *event) {
  fixture *f = arg;
  (void)block;
  assert_true(f->n_events < MAX_EVENTS);
  f->events[f->n_events++] = *event;
  return true;
}

/* The events of the last block. */
static size_t last_events(fixture *f) {
  cd_dev_block head;
  uint64_t now;
  f->n_events = 0;
  assert_int_equal(cd_dev_clock(f->dev, &now, &head), CH_OK);
  assert_int_equal(cd_dev_events(f->dev, head.number, keep_event, f), CH_OK);
  return f->n_events;
}

static void fund(fixture *f, const calls *k, uint64_t amount) {
  ch_tx tx = calls_deposit(k, 0, 0, amount);
  must(f, 0, amount, &tx);
}

/* --- Tests ---------------------------------------------------------------------------------------------------------
 */

static ch_tx move_tx(const fixture *f, uint64_t amount) {
  ch_tx tx = {.kind = CH_TX_MOVE, .id = f->k.id, .params = f->k.params};
  ch_hash domain, digest;
  tx.u.move.to_params_hash = f->other.params_hash;
  tx.u.move.move = (ch_move){
      .id = f->k.id, .amount = ch_amount_of(amount), .valid_until = START + 999, .to_id = f->other.id, .to_side = 1};
  ch_domain(&domain, &f->k.chain);
  ch_move_digest(&digest, &domain, &tx.u.move.move);
  for (int i = 0; i < 2; i++)
    assert_int_equal(ch_sign(&tx.u.move.sig[i], &digest, &f->k.key[i]), CH_OK);
  return tx;
}

static void test_move(void **state) {
  fixture *f = *state;
  fund(f, &f->k, 100);
  ch_tx tx = move_tx(f, 30);
  must(f, 1, 0, &tx);
  assert_true(slots(f, &f->k.id).contribution[0].v == 70);
  assert_true(slots(f, &f->other.id).contribution[1].v == 30);
  assert_int_equal(last_events(f), 2);
  assert_int_equal(f->events[0].kind, CH_ADJ_MOVED);
  assert_memory_equal(&f->events[0].to_id, &f->other.id, sizeof(ch_hash));
  assert_int_equal(f->events[1].kind, CH_ADJ_DEPOSITED);
  assert_memory_equal(&f->events[1].id, &f->other.id, sizeof(ch_hash));
  assert_string_equal(call(f, 1, 0, &tx), reverted(CH_ADJ_WRONG_SEQ));
  assert_int_equal(cd_dev_reorg(f->dev, 2, true), CH_OK); /* both channels are as before */
  assert_true(slots(f, &f->k.id).contribution[0].v == 100);
  assert_true(slots(f, &f->other.id).contribution[1].v == 0);
}

/* Encodes calls one by one and joins them, as a sender does. */
static cd_dev_body joined(const ch_tx *txs, size_t n, ch_err expected) {
  static uint8_t bytes[3][CD_DEV_TX_MAX];
  const uint8_t *bodies[3];
  size_t lens[3];
  cd_dev_body batch;
  for (size_t i = 0; i < n; i++) {
    cd_dev_body body = {.kind = CD_DEV_CALL, .u.call = txs[i]};
    lens[i] = cd_dev_body_encode(bytes[i], &body);
    bodies[i] = bytes[i];
  }
  assert_int_equal(cd_dev_batch_of(&batch, bodies, lens, n), expected);
  return batch;
}

static void test_close_batch(void **state) {
  fixture *f = *state;
  fund(f, &f->k, 100);
  fund(f, &f->other, 200);
  ch_tx txs[3] = {calls_close(&f->k, 0, 40, START + 999), calls_close(&f->k, 0, 40, START + 999),
                  calls_close(&f->other, 0, 50, START + 999)};
  uint64_t before = balance(f, &f->k.params.payout[1]);
  cd_dev_body batch = joined(txs, 3, CH_OK);
  assert_string_equal(send(f, 0, 1, &batch), reverted(CH_ADJ_WRONG_VALUE));
  assert_string_equal(send(f, 0, 0, &batch), "");
  assert_int_equal(last_events(f), 3);
  assert_int_equal(f->events[0].kind, CH_ADJ_CLOSED);
  assert_int_equal(f->events[1].kind, CH_ADJ_SKIPPED); /* the second time it is stale */
  assert_memory_equal(&f->events[1].id, &f->k.id, sizeof(ch_hash));
  assert_int_equal(f->events[1].version, 1);
  assert_int_equal(f->events[1].reason, CH_ADJ_WRONG_EPOCH);
  assert_int_equal(f->events[2].kind, CH_ADJ_CLOSED);
  assert_int_equal(balance(f, &f->k.params.payout[1]), before + 90);
  ch_tx mixed[2] = {txs[0], calls_settle(&f->k, 0, 0)}, deposit = calls_deposit(&f->k, 0, 0, 1);
  (void)joined(mixed, 2, CH_ERR_ARGUMENT);
  (void)joined(&deposit, 1, CH_ERR_ARGUMENT);
  (void)joined(NULL, 0, CH_ERR_ARGUMENT);
}

/* A batch's bytes have one form, and are not believed. */
static void test_malformed_batch(void **state) {
  fixture *f = *state;
  uint8_t bytes[CD_DEV_TX_MAX];
  ch_tx txs[2] = {calls_close(&f->k, 0, 40, START), calls_close(&f->other, 0, 40, START)};
  cd_dev_body batch = joined(txs, 2, CH_OK), out;
  size_t whole = batch.u.batch_len, len = cd_dev_body_encode(bytes, &batch);
  assert_int_equal(cd_dev_body_decode(&out, bytes, len), CH_OK);
  for (size_t cut = 0; cut < whole; cut++) {
    batch.u.batch_len = cut;
    len = cd_dev_body_encode(bytes, &batch);
    assert_int_equal(cd_dev_body_decode(&out, bytes, len), cut == whole / 2 ? CH_OK : CH_ERR_FORMAT);
  }
}

static ch_tx reveal_tx(uint8_t byte) {
  ch_tx tx = {.kind = CH_TX_REVEAL};
  memset(tx.u.reveal.preimage.b, byte, sizeof tx.u.reveal.preimage.b);
  return tx;
}

static void test_reveal(void **state) {
  fixture *f = *state;
  ch_tx tx = reveal_tx(7), twice[2] = {reveal_tx(7), reveal_tx(8)};
  ch_hash hash, preimage;
  uint64_t when, now;
  cd_dev_block head;
  must(f, 0, 0, &tx);
  assert_string_equal(call(f, 1, 0, &tx), reverted(CH_ADJ_ALREADY_REVEALED));
  ch_preimage_hash(&hash, &tx.u.reveal.preimage);
  assert_int_equal(cd_dev_clock(f->dev, &now, &head), CH_OK);
  assert_int_equal(cd_dev_revealed_at(f->dev, &hash, head.number, &when, &preimage), CH_OK);
  assert_true(when >= START && when < head.time);
  assert_memory_equal(&preimage, &tx.u.reveal.preimage, sizeof preimage);
  assert_int_equal(cd_dev_revealed_at(f->dev, &hash, head.number - 2, &when, &preimage), CH_OK);
  assert_int_equal(when, 0);
  cd_dev_body batch = joined(twice, 2, CH_OK);
  assert_string_equal(send(f, 0, 0, &batch), "");
  assert_int_equal(last_events(f), 2);
  assert_int_equal(f->events[0].kind, CH_ADJ_SKIPPED);
  assert_memory_equal(&f->events[0].id, &hash, sizeof hash);
  assert_int_equal(f->events[1].kind, CH_ADJ_REVEALED);
}

/* A dispute on a state with a hash lock and a contract's, from challenge to settlement. */
static void test_settle_with_locks(void **state) {
  fixture *f = *state;
  uint8_t bytes[400], word[32];
  size_t len = 0;
  ch_tx known = reveal_tx(7);
  ch_hash hash, domain, digest;
  ch_preimage_hash(&hash, &known.u.reveal.preimage);
  ch_lock hashed = {.amount = {10}, .expiry = START + 99, .payload_len = 32, .payload = hash.b};
  ch_lock asked = {.amount = {10}, .expiry = START + 99, .gas = 1000, .payload_len = 32, .payload = word};
  cd_dev_condition(&asked.condition);
  ch_amount_word(word, ch_amount_of(4));
  assert_int_equal(ch_lock_encode(bytes, sizeof bytes, &len, &hashed), CH_OK);
  assert_int_equal(ch_lock_encode(bytes, sizeof bytes, &len, &asked), CH_OK);
  fund(f, &f->k, 100);
  must(f, 0, 0, &known);
  ch_outcome o = {.net = ch_net_of(1)};
  ch_locks_hash(&o.locks_hash, bytes, len);
  ch_tx tx = calls_challenge(&f->k, 0, 1, 2, START + 999);
  ch_state s = {.id = f->k.id, .version = 2};
  ch_outcome_hash(&s.outcome_hash, &o);
  tx.u.challenge.challenge.outcome_hash = s.outcome_hash;
  ch_domain(&domain, &f->k.chain);
  ch_state_digest(&digest, &domain, &s);
  for (int i = 0; i < 2; i++)
    assert_int_equal(ch_sign(&tx.u.challenge.sig[i], &digest, &f->k.key[i]), CH_OK);
  must(f, 1, CALLS_BOND, &tx);
  assert_int_equal(cd_dev_warp(f->dev, CALLS_PERIOD + 1), CH_OK);
  tx = (ch_tx){.kind = CH_TX_SETTLE, .id = f->k.id, .params = f->k.params};
  tx.u.settle.outcome = o;
  assert_string_equal(call(f, 0, 0, &tx), reverted(CH_ADJ_WRONG_OUTCOME));
  tx.u.settle.locks = bytes;
  tx.u.settle.locks_len = len;
  cd_dev_body batch = joined(&tx, 1, CH_OK); /* of one */
  assert_string_equal(send(f, 0, 0, &batch), "");
  assert_int_equal(last_events(f), 1);
  assert_int_equal(f->events[0].kind, CH_ADJ_SETTLED);
  assert_true(f->events[0].paid[0].v == 85 && f->events[0].paid[1].v == 15);
}

static void test_refused_payout(void **state) {
  fixture *f = *state;
  const ch_addr *payout = f->k.params.payout;
  cd_dev_body refuse = {.kind = CD_DEV_REFUSE, .u.refuse = true}, take = {.kind = CD_DEV_REFUSE};
  fund(f, &f->k, 100);
  assert_string_equal(send(f, 1, 0, &refuse), "");
  ch_tx tx = calls_close(&f->k, 0, 40, START + 999);
  uint64_t before[2] = {balance(f, &payout[0]), balance(f, &payout[1])};
  must(f, 0, 0, &tx);
  assert_int_equal(balance(f, &payout[0]), before[0] + 60); /* the other side has its money */
  assert_int_equal(balance(f, &payout[1]), before[1]);
  assert_int_equal(last_events(f), 2);
  assert_int_equal(f->events[1].kind, CH_ADJ_CREDITED);
  assert_true(f->events[1].amount.v == 40);
  assert_memory_equal(&f->events[1].payee[0], &payout[1], sizeof(ch_addr));
  tx = (ch_tx){.kind = CH_TX_CLAIM};
  tx.u.claim.payee = tx.u.claim.to = payout[1];
  assert_string_equal(call(f, 1, 0, &tx), "the recipient refuses it");
  assert_string_equal(send(f, 1, 0, &take), "");
  must(f, 0, 0, &tx); /* anybody may push it */
  assert_int_equal(balance(f, &payout[1]), before[1] + 40);
  assert_int_equal(last_events(f), 1);
  assert_int_equal(f->events[0].kind, CH_ADJ_CLAIMED);
  assert_string_equal(call(f, 1, 0, &tx), reverted(CH_ADJ_ZERO_AMOUNT));
}

static void test_refute_for(void **state) {
  fixture *f = *state;
  ch_hash domain, digest;
  const ch_addr tower = {{0x70}};
  fund(f, &f->k, 100);
  ch_tx tx = calls_challenge(&f->k, 0, 0, 0, START + 999), plain = calls_refute(&f->k, 0, 3);
  must(f, 0, CALLS_BOND, &tx);
  tx = (ch_tx){.kind = CH_TX_REFUTE_FOR, .id = f->k.id, .params = f->k.params};
  tx.u.refute_for.version = 3;
  tx.u.refute_for.outcome_hash = plain.u.refute.outcome_hash;
  memcpy(tx.u.refute_for.sig, plain.u.refute.sig, sizeof plain.u.refute.sig);
  tx.u.refute_for.beneficiary = tower;
  ch_domain(&domain, &f->k.chain);
  ch_bounty_digest(&digest, &domain, &(ch_bounty){.id = f->k.id, .beneficiary = tower});
  assert_int_equal(ch_sign(&tx.u.refute_for.bounty_sig, &digest, &f->k.key[1]), CH_OK);
  must(f, 1, 0, &tx);
  ch_adj_slots after = slots(f, &f->k.id);
  assert_memory_equal(&after.beneficiary, &tower, sizeof tower);
  assert_int_equal(cd_dev_warp(f->dev, CALLS_PERIOD + 1), CH_OK);
  tx = calls_settle(&f->k, 0, 3);
  must(f, 1, 0, &tx);
  assert_int_equal(balance(f, &tower), CALLS_BOND);
}

/* A file of the first format opens, with all that is in it. */
static void test_format_1(void **state) {
  fixture *f = *state;
  sqlite3 *db;
  fund(f, &f->k, 100);
  cd_dev_close(f->dev);
  assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  open_chain(f);
  assert_true(slots(f, &f->k.id).contribution[0].v == 100);
  ch_tx tx = move_tx(f, 30);
  must(f, 1, 0, &tx);
  assert_int_equal(last_events(f), 2);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_move),       TEST(test_close_batch),       TEST(test_malformed_batch),
      TEST(test_reveal),     TEST(test_settle_with_locks), TEST(test_refused_payout),
      TEST(test_refute_for), TEST(test_format_1),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
