/* The embedded chain: what it refuses, its blocks and clock, reorganisations, and several processes on one file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "l1/dev/chain.h"
#include "tempdir.h"

#define START 1700000000u
#define COIN 1000000u

static const ch_addr NATIVE = {{0}};
static const ch_addr TOKEN = {{0x77}};

/* A chain in a folder of its own, with a wall clock that the test moves. */
typedef struct fixture {
  tempdir dir;
  char path[PATH_MAX];
  cd_dev *dev;
  uint64_t wall;
  ch_secret key[2];
  ch_addr account[2];
} fixture;

static uint64_t test_wall(void *ctx) {
  const uint64_t *wall = ctx;
  return *wall;
}

static ch_addr address_of(const ch_secret *key) {
  ch_pubkey pub;
  ch_addr out;
  assert_int_equal(ch_pubkey_of(&pub, key), CH_OK);
  assert_int_equal(ch_address_of(&out, &pub), CH_OK);
  return out;
}

static cd_dev *open_chain(fixture *f, uint32_t interval) {
  cd_dev *dev;
  char why[CD_DEV_WHY];
  cd_dev_options opt = {.interval = interval, .wall = test_wall, .wall_ctx = &f->wall};
  ch_err err = cd_dev_open(&dev, f->path, &opt, why);
  if (err != CH_OK) {
    fail_msg("%s", why);
  }
  return dev;
}

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  tempdir_make(&f->dir);
  tempdir_file(f->path, &f->dir, "chain");
  f->wall = START;
  for (int i = 0; i < 2; i++) {
    memset(f->key[i].b, 0x33 * (i + 1), sizeof f->key[i].b);
    f->account[i] = address_of(&f->key[i]);
  }
  f->dev = open_chain(f, 0);
  assert_int_equal(cd_dev_faucet(f->dev, &f->account[0], &NATIVE, ch_amount_of(COIN)), CH_OK);
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

/* --- Helpers --------------------------------------------------------------------------------------------------- */

static uint64_t balance(fixture *f, const ch_addr *who, const ch_addr *asset) {
  ch_amount out;
  assert_int_equal(cd_dev_balance(f->dev, who, asset, &out), CH_OK);
  return (uint64_t)out.v;
}

static uint64_t nonce_of(fixture *f, const ch_addr *who) {
  uint64_t out;
  assert_int_equal(cd_dev_nonce(f->dev, who, &out), CH_OK);
  return out;
}

static cd_dev_block head_of(fixture *f) {
  cd_dev_block head;
  uint64_t now;
  assert_int_equal(cd_dev_clock(f->dev, &now, &head), CH_OK);
  assert_true(head.time <= now);
  return head;
}

typedef struct signed_tx {
  uint8_t bytes[CD_DEV_TX_MAX];
  size_t len;
  ch_hash hash;
} signed_tx;

static signed_tx sign(const cd_dev_tx *tx, const ch_secret *key) {
  signed_tx out;
  assert_int_equal(cd_dev_tx_sign(out.bytes, &out.len, tx, key), CH_OK);
  cd_dev_tx_hash(&out.hash, out.bytes, out.len);
  return out;
}

static cd_dev_tx transfer_tx(cd_dev *dev, uint64_t nonce, const ch_addr *to, const ch_addr *asset, uint64_t amount) {
  cd_dev_tx tx = {.chain_id = cd_dev_identity(dev).chain_id, .nonce = nonce, .body = {.kind = CD_DEV_TRANSFER}};
  tx.body.u.transfer.to = *to;
  tx.body.u.transfer.asset = *asset;
  tx.body.u.transfer.amount = ch_amount_of(amount);
  return tx;
}

static cd_sent submit(fixture *f, const signed_tx *tx) {
  char why[CD_DEV_WHY];
  cd_sent sent = cd_dev_submit(f->dev, tx->bytes, tx->len, why);
  assert_true((sent == CD_SENT_OK) == (why[0] == '\0'));
  return sent;
}

/* A transfer between the two accounts. */
static cd_sent send_to(fixture *f, int from, const ch_addr *asset, uint64_t amount) {
  cd_dev_tx tx = transfer_tx(f->dev, nonce_of(f, &f->account[from]), &f->account[from ^ 1], asset, amount);
  signed_tx out = sign(&tx, &f->key[from]);
  return submit(f, &out);
}

/* Sends a call of the Adjudicator from account 0 and says how it was mined. */
static cd_receipt send_call(fixture *f, uint64_t value, const ch_tx *call) {
  cd_receipt receipt;
  cd_dev_tx tx = {.chain_id = cd_dev_identity(f->dev).chain_id,
                  .nonce = nonce_of(f, &f->account[0]),
                  .value = ch_amount_of(value),
                  .body = {.kind = CD_DEV_CALL, .u.call = *call}};
  signed_tx out = sign(&tx, &f->key[0]);
  assert_int_equal(submit(f, &out), CD_SENT_OK);
  assert_int_equal(cd_dev_receipt(f->dev, &out.hash, &(ch_hash){0}, 0, &receipt), CH_OK);
  assert_true(receipt.status != CD_RECEIPT_NONE);
  assert_int_equal(receipt.block, head_of(f).number);
  return receipt;
}

static void call_ok(fixture *f, uint64_t value, ch_tx call) {
  cd_receipt receipt = send_call(f, value, &call);
  if (receipt.status != CD_RECEIPT_OK) {
    fail_msg("reverted: %s", receipt.error);
  }
}

static calls new_calls(fixture *f, const ch_addr *asset) {
  ch_chain chain = cd_dev_identity(f->dev);
  return calls_new(&chain, asset);
}

static ch_onchain onchain(fixture *f, const ch_hash *id, uint64_t height) {
  ch_onchain out;
  assert_int_equal(cd_dev_onchain(f->dev, id, height, &out), CH_OK);
  return out;
}

/* --- Opening ---------------------------------------------------------------------------------------------------- */

static void test_open(void **state) {
  fixture *f = *state;
  char why[CD_DEV_WHY];
  ch_chain first = cd_dev_identity(f->dev), again;
  assert_true(first.chain_id > 0 && first.chain_id <= UINT32_MAX);
  assert_false(ch_addr_is_zero(&first.adjudicator));
  cd_dev *other = open_chain(f, 7); /* an interval for new files only */
  again = cd_dev_identity(other);
  assert_int_equal(first.chain_id, again.chain_id);
  assert_memory_equal(&first.adjudicator, &again.adjudicator, sizeof first.adjudicator);
  cd_dev_close(other);

  char path[PATH_MAX];
  tempdir_file(path, &f->dir, "other");
  cd_dev_options opt = {.chain_id = 1337};
  assert_int_equal(cd_dev_open(&other, path, &opt, why), CH_OK);
  assert_int_equal(cd_dev_identity(other).chain_id, 1337);
  cd_dev_close(other);
  assert_int_equal(unlink(path), 0);

  assert_int_equal(cd_dev_open(&other, "/nowhere/chain", NULL, why), CH_ERR_ARGUMENT);
  assert_non_null(strstr(why, "/nowhere/chain"));
  assert_null(other);
}

static void run_sql(const char *path, const char *sql) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_other_files_are_refused(void **state) {
  fixture *f = *state;
  char path[PATH_MAX], why[CD_DEV_WHY];
  cd_dev *dev;
  tempdir_file(path, &f->dir, "other");
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (int i = 0; i < 200; i++) {
    fputs("no database\n", file);
  }
  fclose(file);
  assert_int_equal(cd_dev_open(&dev, path, NULL, why), CH_ERR_FORMAT);
  assert_int_equal(unlink(path), 0);
  run_sql(path, "CREATE TABLE somebody_elses (x)");
  assert_int_equal(cd_dev_open(&dev, path, NULL, why), CH_ERR_FORMAT);
  assert_non_null(strstr(why, "no embedded chain"));
  run_sql(path, "PRAGMA journal_mode = DELETE");
  assert_int_equal(unlink(path), 0);
  run_sql(f->path, "PRAGMA user_version = 99");
  assert_int_equal(cd_dev_open(&dev, f->path, NULL, why), CH_ERR_VERSION);
}

/* --- Transactions ------------------------------------------------------------------------------------------------- */

static void test_transfers(void **state) {
  fixture *f = *state;
  assert_int_equal(balance(f, &f->account[0], &NATIVE), COIN);
  assert_int_equal(send_to(f, 0, &NATIVE, 300), CD_SENT_OK);
  assert_int_equal(send_to(f, 1, &NATIVE, 100), CD_SENT_OK);
  assert_int_equal(balance(f, &f->account[0], &NATIVE), COIN - 200);
  assert_int_equal(balance(f, &f->account[1], &NATIVE), 200);
  assert_int_equal(send_to(f, 1, &NATIVE, 200), CD_SENT_OK); /* the last unit: there are no fees */
  assert_int_equal(balance(f, &f->account[1], &NATIVE), 0);
  assert_int_equal(nonce_of(f, &f->account[1]), 2);

  assert_int_equal(cd_dev_faucet(f->dev, &f->account[1], &TOKEN, ch_amount_of(50)), CH_OK);
  assert_int_equal(send_to(f, 1, &TOKEN, 20), CD_SENT_OK);
  assert_int_equal(balance(f, &f->account[0], &TOKEN), 20);
  assert_int_equal(balance(f, &f->account[1], &TOKEN), 30);

  cd_dev_tx to_self = transfer_tx(f->dev, nonce_of(f, &f->account[1]), &f->account[1], &TOKEN, 30);
  signed_tx tx = sign(&to_self, &f->key[1]);
  assert_int_equal(submit(f, &tx), CD_SENT_OK);
  assert_int_equal(balance(f, &f->account[1], &TOKEN), 30);
}

/* One flipped bit anywhere makes a transaction malformed or forged. */
static void test_forged(void **state) {
  fixture *f = *state;
  cd_dev_tx tx = transfer_tx(f->dev, 0, &f->account[1], &NATIVE, 5);
  signed_tx good = sign(&tx, &f->key[0]);
  cd_dev_block before = head_of(f);
  for (size_t i = 0; i < good.len; i++) {
    signed_tx bad = good;
    bad.bytes[i] ^= (uint8_t)(1u << (i % 8));
    assert_int_equal(submit(f, &bad), CD_SENT_REFUSED);
  }
  tx = transfer_tx(f->dev, 0, &f->account[1], &NATIVE, 5);
  signed_tx other = sign(&tx, &f->key[1]); /* somebody else's signature under my transaction */
  signed_tx mixed = good;
  memcpy(mixed.bytes + mixed.len - 64, other.bytes + other.len - 64, 64);
  char why[CD_DEV_WHY];
  assert_int_equal(cd_dev_submit(f->dev, mixed.bytes, mixed.len, why), CD_SENT_REFUSED);
  assert_non_null(strstr(why, "forged"));
  assert_int_equal(head_of(f).number, before.number);
  assert_int_equal(submit(f, &good), CD_SENT_OK);
}

/* There is one encoding: whatever else protobuf would take is refused. */
static void test_malformed(void **state) {
  fixture *f = *state;
  cd_dev_tx tx = transfer_tx(f->dev, 0, &f->account[1], &NATIVE, 5);
  signed_tx good = sign(&tx, &f->key[0]), bad;
  bad = good;
  bad.bytes[bad.len++] = 0x18; /* an unknown field 3 with value 0 */
  bad.bytes[bad.len++] = 0x00;
  assert_int_equal(submit(f, &bad), CD_SENT_REFUSED);
  bad = good;
  bad.len--;
  assert_int_equal(submit(f, &bad), CD_SENT_REFUSED);
  bad.len = 0;
  assert_int_equal(submit(f, &bad), CD_SENT_REFUSED);
  bad = good; /* the signature first, then the content */
  size_t content = good.len - 66;
  memcpy(bad.bytes, good.bytes + content, 66);
  memcpy(bad.bytes + 66, good.bytes, content);
  assert_int_equal(submit(f, &bad), CD_SENT_REFUSED);
  uint8_t huge[CD_DEV_TX_MAX + 1] = {0};
  char why[CD_DEV_WHY];
  assert_int_equal(cd_dev_submit(f->dev, huge, sizeof huge, why), CD_SENT_REFUSED);
  assert_non_null(strstr(why, "too long"));
  tx.value = ch_amount_of(1); /* only calls have a value */
  bad = sign(&tx, &f->key[0]);
  assert_int_equal(submit(f, &bad), CD_SENT_REFUSED);
}

static void test_replayed(void **state) {
  fixture *f = *state;
  cd_dev_tx tx = transfer_tx(f->dev, 0, &f->account[1], &NATIVE, 5);
  signed_tx first = sign(&tx, &f->key[0]);
  assert_int_equal(submit(f, &first), CD_SENT_OK);
  assert_int_equal(submit(f, &first), CD_SENT_KNOWN);
  tx.body.u.transfer.amount = ch_amount_of(6);
  signed_tx second = sign(&tx, &f->key[0]);
  assert_int_equal(submit(f, &second), CD_SENT_NONCE_LOW);
  tx.nonce = 2;
  second = sign(&tx, &f->key[0]);
  assert_int_equal(submit(f, &second), CD_SENT_RETRY);
  tx.nonce = 1;
  tx.chain_id++;
  second = sign(&tx, &f->key[0]);
  assert_int_equal(submit(f, &second), CD_SENT_REFUSED);
  tx.chain_id--;
  second = sign(&tx, &f->key[0]);
  assert_int_equal(submit(f, &second), CD_SENT_OK);
  assert_int_equal(balance(f, &f->account[1], &NATIVE), 11);
}

static void test_unaffordable(void **state) {
  fixture *f = *state;
  calls c = new_calls(f, &NATIVE);
  char why[CD_DEV_WHY];
  cd_dev_block before = head_of(f);
  assert_int_equal(send_to(f, 0, &NATIVE, COIN + 1), CD_SENT_REFUSED);
  cd_dev_tx tx = {.chain_id = c.chain.chain_id, .value = ch_amount_of(COIN + 1), .body = {.kind = CD_DEV_CALL}};
  tx.body.u.call = calls_deposit(&c, 0, 0, COIN + 1);
  signed_tx out = sign(&tx, &f->key[0]);
  assert_int_equal(cd_dev_submit(f->dev, out.bytes, out.len, why), CD_SENT_REFUSED);
  assert_non_null(strstr(why, "afford"));
  assert_int_equal(head_of(f).number, before.number);
  assert_int_equal(nonce_of(f, &f->account[0]), 0);
}

/* A call that reverts is mined: it uses its nonce and moves nothing. */
static void test_reverted(void **state) {
  fixture *f = *state;
  calls c = new_calls(f, &NATIVE);
  ch_tx wrong_epoch = calls_deposit(&c, 1, 0, 70);
  cd_receipt receipt = send_call(f, 70, &wrong_epoch);
  assert_int_equal(receipt.status, CD_RECEIPT_REVERTED);
  assert_string_equal(receipt.error, ch_adj_revert_text(CH_ADJ_WRONG_EPOCH));
  assert_int_equal(balance(f, &f->account[0], &NATIVE), COIN);
  assert_int_equal(nonce_of(f, &f->account[0]), 1);

  calls t = new_calls(f, &TOKEN); /* tokens that the sender does not have */
  ch_tx deposit = calls_deposit(&t, 0, 0, 1);
  receipt = send_call(f, 0, &deposit);
  assert_int_equal(receipt.status, CD_RECEIPT_REVERTED);
  assert_int_equal(onchain(f, &t.id, head_of(f).number).slots.contribution[0].v, 0);

  cd_dev_tx mint = transfer_tx(f->dev, nonce_of(f, &f->account[0]), &f->account[0], &NATIVE, 5);
  mint.body.kind = CD_DEV_MINT;
  signed_tx out = sign(&mint, &f->key[0]);
  assert_int_equal(submit(f, &out), CD_SENT_OK);
  assert_int_equal(cd_dev_receipt(f->dev, &out.hash, &(ch_hash){0}, 0, &receipt), CH_OK);
  assert_int_equal(receipt.status, CD_RECEIPT_REVERTED);
  assert_int_equal(balance(f, &f->account[0], &NATIVE), COIN);

  ch_hash unknown = {{1}};
  assert_int_equal(cd_dev_receipt(f->dev, &unknown, &(ch_hash){0}, 0, &receipt), CH_OK);
  assert_int_equal(receipt.status, CD_RECEIPT_NONE);
}

static void test_supply(void **state) {
  fixture *f = *state;
  ch_amount most = {CH_MONEY_MAX};
  assert_int_equal(cd_dev_faucet(f->dev, &f->account[1], &TOKEN, most), CH_OK);
  assert_int_equal(cd_dev_faucet(f->dev, &f->account[0], &TOKEN, ch_amount_of(1)), CH_ERR_OVERFLOW);
  assert_int_equal(balance(f, &f->account[0], &TOKEN), 0);
  most.v++;
  assert_int_not_equal(cd_dev_faucet(f->dev, &f->account[0], &NATIVE, most), CH_OK);
}

/* --- Blocks and the clock ----------------------------------------------------------------------------------------- */

static void test_interval(void **state) {
  fixture *f = *state;
  cd_dev_close(f->dev);
  f->dev = NULL;
  unlink(f->path);
  f->dev = open_chain(f, 5);
  assert_int_equal(head_of(f).number, 0);
  f->wall += 4;
  assert_int_equal(cd_dev_poll(f->dev), CH_OK);
  assert_int_equal(head_of(f).number, 0);
  f->wall += 1;
  assert_int_equal(cd_dev_poll(f->dev), CH_OK);
  assert_int_equal(cd_dev_poll(f->dev), CH_OK);
  assert_int_equal(head_of(f).number, 1);
  assert_int_equal(head_of(f).time, START + 5);
  f->wall += 86400; /* nobody was there: one block, with the right time */
  assert_int_equal(cd_dev_poll(f->dev), CH_OK);
  assert_int_equal(cd_dev_poll(f->dev), CH_OK);
  assert_int_equal(head_of(f).number, 2);
  assert_int_equal(head_of(f).time, START + 5 + 86400);
}

static void test_no_interval(void **state) {
  fixture *f = *state;
  uint64_t number = head_of(f).number;
  f->wall += 1000;
  assert_int_equal(cd_dev_poll(f->dev), CH_OK);
  assert_int_equal(head_of(f).number, number);
  assert_int_equal(cd_dev_mine(f->dev, 3), CH_OK);
  assert_int_equal(head_of(f).number, number + 3);
  assert_int_equal(cd_dev_mine(f->dev, 0), CH_ERR_ARGUMENT);
  assert_int_equal(cd_dev_mine(f->dev, 10001), CH_ERR_ARGUMENT);
}

/* Times strictly increase and are never ahead of the clock, also if the wall clock stands still or goes back. */
static void test_times(void **state) {
  fixture *f = *state;
  uint64_t now;
  cd_dev_block previous = head_of(f), block;
  for (int i = 0; i < 20; i++) {
    if (i == 10) {
      f->wall -= 100;
    }
    assert_int_equal(cd_dev_mine(f->dev, 1), CH_OK);
    assert_int_equal(cd_dev_clock(f->dev, &now, &block), CH_OK);
    assert_int_equal(block.number, previous.number + 1);
    assert_memory_equal(&block.parent, &previous.hash, sizeof block.parent);
    assert_true(block.time > previous.time && block.time <= now);
    previous = block;
  }
}

static void test_warp(void **state) {
  fixture *f = *state;
  uint64_t before, after;
  cd_dev_block head;
  assert_int_equal(cd_dev_clock(f->dev, &before, NULL), CH_OK);
  assert_int_equal(cd_dev_warp(f->dev, 86400), CH_OK);
  assert_int_equal(cd_dev_clock(f->dev, &after, &head), CH_OK);
  assert_int_equal(after, before + 86400);
  assert_int_equal(head.time, after);
  cd_dev *other = open_chain(f, 0); /* the clock is the file's */
  assert_int_equal(cd_dev_clock(other, &before, NULL), CH_OK);
  assert_int_equal(before, after);
  cd_dev_close(other);
  assert_int_equal(cd_dev_warp(f->dev, UINT64_MAX), CH_ERR_ARGUMENT);
}

/* --- A channel's life -----------------------------------------------------------------------------------------------
 */

static bool count_event(void *arg, uint64_t block, const ch_adj_event *event) {
  unsigned *kinds = arg;
  (void)block;
  kinds[event->kind]++;
  return true;
}

static void test_dispute(void **state) {
  fixture *f = *state;
  calls c = new_calls(f, &NATIVE);
  unsigned kinds[8] = {0};
  call_ok(f, 1000, calls_deposit(&c, 0, 0, 1000));
  call_ok(f, 2000, calls_deposit(&c, 0, 1, 2000));
  call_ok(f, CALLS_BOND, calls_challenge(&c, 0, 0, 4, START + 3600));
  assert_int_equal(balance(f, &c.chain.adjudicator, &NATIVE), 3000 + CALLS_BOND);
  ch_tx early = calls_settle(&c, 0, 4);
  cd_receipt receipt = send_call(f, 0, &early);
  assert_string_equal(receipt.error, ch_adj_revert_text(CH_ADJ_TOO_EARLY));
  call_ok(f, 0, calls_refute(&c, 0, 9));
  ch_onchain view = onchain(f, &c.id, head_of(f).number);
  assert_true(view.slots.disputed && view.slots.version == 9 && !view.has_ended);
  assert_int_equal(cd_dev_warp(f->dev, CALLS_PERIOD + 1), CH_OK);
  call_ok(f, 0, calls_settle(&c, 0, 9));

  assert_int_equal(balance(f, &c.params.payout[0], &NATIVE), 991);
  assert_int_equal(balance(f, &c.params.payout[1], &NATIVE), 2009 + CALLS_BOND);
  assert_int_equal(balance(f, &c.chain.adjudicator, &NATIVE), 0);
  assert_int_equal(balance(f, &f->account[0], &NATIVE), COIN - 3000 - CALLS_BOND);
  view = onchain(f, &c.id, head_of(f).number);
  assert_int_equal(view.slots.epoch, 1);
  assert_true(view.has_ended && view.ended.forfeited);
  assert_int_equal(view.ended.kind, CH_ADJ_SETTLED);
  assert_int_equal(view.ended.version, 9);
  assert_true(view.ended.net.v == 9 && view.ended.paid[0].v == 991 && view.ended.paid[1].v == 2009);
  assert_int_equal(cd_dev_events(f->dev, 0, count_event, kinds), CH_OK);
  assert_int_equal(kinds[CH_ADJ_DEPOSITED], 2);
  assert_int_equal(kinds[CH_ADJ_CHALLENGED] + kinds[CH_ADJ_REFUTED] + kinds[CH_ADJ_SETTLED], 3);
}

static void test_tokens(void **state) {
  fixture *f = *state;
  calls c = new_calls(f, &TOKEN);
  assert_int_equal(cd_dev_faucet(f->dev, &f->account[0], &TOKEN, ch_amount_of(80)), CH_OK);
  call_ok(f, 0, calls_deposit(&c, 0, 0, 50));
  call_ok(f, 0, calls_deposit(&c, 0, 1, 30));
  assert_int_equal(balance(f, &f->account[0], &TOKEN), 0);
  call_ok(f, CALLS_BOND, calls_challenge(&c, 0, 1, 0, START + 3600));
  call_ok(f, 0, calls_close(&c, 0, -10, START + 3600));
  assert_int_equal(balance(f, &c.params.payout[0], &TOKEN), 60);
  assert_int_equal(balance(f, &c.params.payout[1], &TOKEN), 20);
  assert_int_equal(balance(f, &c.params.payout[1], &NATIVE), CALLS_BOND);
}

/* --- Reorganisations
 * -------------------------------------------------------------------------------------------------- */
static void test_reorg(void **state) {
  fixture *f = *state;
  calls c = new_calls(f, &NATIVE);
  cd_dev_block replaced, now;
  assert_int_equal(send_to(f, 0, &NATIVE, 10), CD_SENT_OK);
  call_ok(f, 1000, calls_deposit(&c, 0, 0, 1000));
  cd_dev_block before = head_of(f);
  assert_int_equal(cd_dev_block_at(f->dev, before.number - 1, &replaced), CH_OK);

  assert_int_equal(cd_dev_reorg(f->dev, 2, false), CH_OK); /* both come back, now in one block */
  now = head_of(f);
  assert_int_equal(now.number, before.number + 1);
  assert_int_equal(cd_dev_block_at(f->dev, before.number - 1, &now), CH_OK);
  assert_memory_not_equal(&now.hash, &replaced.hash, sizeof now.hash);
  assert_int_equal(nonce_of(f, &f->account[0]), 2);
  assert_int_equal(balance(f, &f->account[1], &NATIVE), 10);
  assert_int_equal(onchain(f, &c.id, before.number - 1).slots.contribution[0].v, 1000);

  assert_int_equal(cd_dev_reorg(f->dev, 3, true), CH_OK); /* they are gone */
  assert_int_equal(head_of(f).number, before.number + 2);
  assert_int_equal(nonce_of(f, &f->account[0]), 0);
  assert_int_equal(balance(f, &f->account[0], &NATIVE), COIN);
  assert_int_equal(balance(f, &c.chain.adjudicator, &NATIVE), 0);
  assert_int_equal(onchain(f, &c.id, head_of(f).number).slots.contribution[0].v, 0);
  unsigned kinds[8] = {0};
  assert_int_equal(cd_dev_events(f->dev, 0, count_event, kinds), CH_OK);
  assert_int_equal(kinds[CH_ADJ_DEPOSITED], 0);
}

static void test_receipts(void **state) {
  fixture *f = *state;
  cd_receipt receipt;
  cd_dev_tx tx = transfer_tx(f->dev, 0, &f->account[1], &NATIVE, COIN);
  signed_tx all = sign(&tx, &f->key[0]);
  assert_int_equal(submit(f, &all), CD_SENT_OK);
  uint64_t block = head_of(f).number;
  assert_int_equal(cd_dev_mine(f->dev, 2), CH_OK);
  assert_int_equal(cd_dev_receipt(f->dev, &all.hash, &(ch_hash){0}, 2, &receipt), CH_OK);
  assert_true(receipt.status == CD_RECEIPT_OK && receipt.final && receipt.block == block);
  assert_int_equal(cd_dev_receipt(f->dev, &all.hash, &(ch_hash){0}, 3, &receipt), CH_OK);
  assert_false(receipt.final);
  assert_int_equal(cd_dev_reorg(f->dev, 3, true), CH_OK);
  assert_int_equal(cd_dev_receipt(f->dev, &all.hash, &(ch_hash){0}, 1, &receipt), CH_OK);
  assert_int_equal(receipt.status, CD_RECEIPT_NONE);
  assert_int_equal(submit(f, &all), CD_SENT_OK); /* what was dropped can be sent again */
}

/* Even an empty block, replaced in the same second by another empty one, gets another hash. */
static void test_branches_differ(void **state) {
  fixture *f = *state;
  cd_dev_block before, after;
  f->wall += 10;
  assert_int_equal(cd_dev_mine(f->dev, 1), CH_OK);
  before = head_of(f);
  assert_int_equal(cd_dev_reorg(f->dev, 1, false), CH_OK);
  assert_int_equal(cd_dev_block_at(f->dev, before.number, &after), CH_OK);
  assert_int_equal(after.time, before.time);
  assert_memory_not_equal(&after.hash, &before.hash, sizeof after.hash);
}

/* A transaction that comes back is executed again, in a later block: here, after its Close has expired. */
static void test_reorg_executes_again(void **state) {
  fixture *f = *state;
  calls c = new_calls(f, &NATIVE);
  call_ok(f, 1000, calls_deposit(&c, 0, 0, 1000));
  call_ok(f, 0, calls_close(&c, 0, 1000, START + 60));
  assert_int_equal(balance(f, &c.params.payout[1], &NATIVE), 1000);
  f->wall += 100;
  assert_int_equal(cd_dev_reorg(f->dev, 1, false), CH_OK);
  assert_int_equal(balance(f, &c.params.payout[1], &NATIVE), 0);
  assert_int_equal(balance(f, &c.chain.adjudicator, &NATIVE), 1000);
  assert_int_equal(onchain(f, &c.id, head_of(f).number).slots.epoch, 0);
  assert_int_equal(nonce_of(f, &f->account[0]), 2);
}

static void test_reorg_limits(void **state) {
  fixture *f = *state;
  assert_int_equal(cd_dev_reorg(f->dev, 0, false), CH_ERR_ARGUMENT);
  assert_int_equal(cd_dev_reorg(f->dev, 2, false), CH_ERR_ARGUMENT); /* there is block 0 and one more */
  assert_int_equal(cd_dev_reorg(f->dev, 1, false), CH_OK);
  assert_int_equal(cd_dev_mine(f->dev, CD_DEV_REORG_MAX + 10), CH_OK);
  assert_int_equal(send_to(f, 0, &NATIVE, 10), CD_SENT_OK);
  assert_int_equal(cd_dev_mine(f->dev, CD_DEV_REORG_MAX - 1), CH_OK);
  assert_int_equal(cd_dev_reorg(f->dev, CD_DEV_REORG_MAX + 1, true), CH_ERR_ARGUMENT);
  assert_int_equal(cd_dev_reorg(f->dev, CD_DEV_REORG_MAX, true), CH_OK);
  assert_int_equal(balance(f, &f->account[0], &NATIVE), COIN);
  ch_onchain out;
  ch_hash id = {{1}};
  uint64_t head = head_of(f).number;
  assert_int_equal(cd_dev_onchain(f->dev, &id, head - CD_DEV_REORG_MAX, &out), CH_OK);
  assert_int_equal(cd_dev_onchain(f->dev, &id, head - CD_DEV_REORG_MAX - 1, &out), CH_ERR_ARGUMENT);
  assert_int_equal(cd_dev_onchain(f->dev, &id, head + 1, &out), CH_ERR_ARGUMENT);
}

/* Everything about money that can be asked for. */
typedef struct picture {
  uint64_t native[4], token[2], nonce[2];
  ch_adj_slots slots;
} picture;

static picture take_picture(fixture *f, const calls *c) {
  picture p;
  memset(&p, 0, sizeof p);
  const ch_addr *who[4] = {&f->account[0], &f->account[1], &c->chain.adjudicator, &c->params.payout[0]};
  for (int i = 0; i < 4; i++) {
    p.native[i] = balance(f, who[i], &NATIVE);
  }
  for (int i = 0; i < 2; i++) {
    p.token[i] = balance(f, &f->account[i], &TOKEN);
    p.nonce[i] = nonce_of(f, &f->account[i]);
  }
  ch_onchain view = onchain(f, &c->id, head_of(f).number);
  memcpy(&p.slots, &view.slots, sizeof p.slots);
  return p;
}

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

static void random_operation(fixture *f, const calls *c, uint64_t *seed) {
  uint64_t amount = next_random(seed) % 500;
  uint16_t epoch = onchain(f, &c->id, head_of(f).number).slots.epoch;
  ch_tx call;
  switch (next_random(seed) % 6) {
  case 0: (void)send_to(f, 0, &NATIVE, amount); return;
  case 1: (void)send_to(f, 1, &NATIVE, amount); return;
  case 2: (void)send_to(f, (int)(amount % 2), &TOKEN, amount); return;
  case 3: call = calls_close(c, epoch, (int64_t)amount, UINT32_MAX); break;
  case 4: assert_int_equal(cd_dev_mine(f->dev, 1), CH_OK); return;
  default: call = calls_deposit(c, epoch, amount & 1, amount); break;
  }
  (void)send_call(f, call.kind == CH_TX_DEPOSIT ? amount : 0, &call);
}

/* After any reorganisation that drops, everything is as it was at that height; the past was known all the time. */
static void test_reorg_random(void **state) {
  enum { HEIGHTS = 400 };
  fixture *f = *state;
  static picture pictures[HEIGHTS];
  calls c = new_calls(f, &NATIVE);
  uint64_t seed = 99;
  assert_int_equal(cd_dev_faucet(f->dev, &f->account[0], &TOKEN, ch_amount_of(1000)), CH_OK);
  uint64_t floor = head_of(f).number;
  pictures[floor] = take_picture(f, &c);
  for (int round = 0; round < 8; round++) {
    for (int i = 0; i < 25; i++) {
      random_operation(f, &c, &seed);
      uint64_t height = head_of(f).number;
      assert_true(height < HEIGHTS);
      pictures[height] = take_picture(f, &c);
      assert_int_equal(pictures[height].token[0] + pictures[height].token[1], 1000);
      assert_int_equal(pictures[height].native[0] + pictures[height].native[1] + pictures[height].native[2] +
                           pictures[height].native[3] + balance(f, &c.params.payout[1], &NATIVE),
                       COIN);
    }
    uint64_t head = head_of(f).number;
    for (uint64_t height = floor; height <= head; height++) {
      ch_onchain past = onchain(f, &c.id, height);
      assert_memory_equal(&past.slots, &pictures[height].slots, sizeof past.slots);
      assert_int_equal(past.has_ended, past.slots.epoch > 0);
    }
    unsigned depth = 1 + (unsigned)(next_random(&seed) % 20);
    assert_int_equal(cd_dev_reorg(f->dev, depth, true), CH_OK);
    picture now = take_picture(f, &c);
    assert_memory_equal(&now, &pictures[head - depth], sizeof now);
    for (uint64_t height = head - depth + 1; height <= head + 1; height++) {
      pictures[height] = now; /* the new branch is empty */
    }
  }
}

/* --- Several processes
 * ------------------------------------------------------------------------------------------------ */

#define SENDS 60

/* A child: its own connection, its own account. Exits with 0 if all its transactions were mined. */
static int send_many(fixture *f, int from) {
  char why[CD_DEV_WHY];
  cd_dev_options opt = {.wall = test_wall, .wall_ctx = &f->wall};
  cd_dev *dev;
  if (cd_dev_open(&dev, f->path, &opt, why) != CH_OK) {
    return 1;
  }
  for (uint64_t nonce = 0; nonce < SENDS; nonce++) {
    uint8_t raw[CD_DEV_TX_MAX];
    size_t len;
    cd_dev_tx tx = transfer_tx(dev, nonce, &f->account[from ^ 1], &NATIVE, from == 0 ? 7 : 3);
    if (cd_dev_tx_sign(raw, &len, &tx, &f->key[from]) != CH_OK || cd_dev_submit(dev, raw, len, why) != CD_SENT_OK) {
      return 2;
    }
  }
  cd_dev_close(dev);
  return 0;
}

static void wait_for(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_two_processes(void **state) {
  fixture *f = *state;
  assert_int_equal(cd_dev_faucet(f->dev, &f->account[1], &NATIVE, ch_amount_of(COIN)), CH_OK);
  cd_dev_block before = head_of(f);
  cd_dev_close(f->dev); /* SQLite's connections must not cross a fork */
  f->dev = NULL;
  pid_t pid[2];
  for (int i = 0; i < 2; i++) {
    pid[i] = fork();
    assert_true(pid[i] >= 0);
    if (pid[i] == 0) {
      _exit(send_many(f, i));
    }
  }
  wait_for(pid[0]);
  wait_for(pid[1]);
  f->dev = open_chain(f, 0);
  assert_int_equal(head_of(f).number, before.number + 2 * SENDS);
  assert_int_equal(balance(f, &f->account[0], &NATIVE), COIN - SENDS * 4);
  assert_int_equal(balance(f, &f->account[1], &NATIVE), COIN + SENDS * 4);
}

/* Processes that find no file make one chain between them. */
static void test_made_once(void **state) {
  fixture *f = *state;
  cd_dev_close(f->dev);
  f->dev = NULL;
  assert_int_equal(unlink(f->path), 0);
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  enum { CHILDREN = 4 };
  pid_t pid[CHILDREN];
  for (int i = 0; i < CHILDREN; i++) {
    pid[i] = fork();
    assert_true(pid[i] >= 0);
    if (pid[i] == 0) {
      char why[CD_DEV_WHY];
      cd_dev *dev;
      ch_chain chain = {0};
      if (cd_dev_open(&dev, f->path, NULL, why) == CH_OK) {
        chain = cd_dev_identity(dev);
        cd_dev_close(dev);
      }
      _exit(write(pipes[1], &chain.chain_id, sizeof chain.chain_id) == sizeof chain.chain_id ? 0 : 1);
    }
  }
  for (int i = 0; i < CHILDREN; i++) {
    wait_for(pid[i]);
  }
  f->dev = open_chain(f, 0);
  for (int i = 0; i < CHILDREN; i++) {
    uint64_t id;
    assert_int_equal(read(pipes[0], &id, sizeof id), sizeof id);
    assert_int_equal(id, cd_dev_identity(f->dev).chain_id);
  }
  close(pipes[0]);
  close(pipes[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_open),
      T(test_other_files_are_refused),
      T(test_transfers),
      T(test_forged),
      T(test_malformed),
      T(test_replayed),
      T(test_unaffordable),
      T(test_reverted),
      T(test_supply),
      T(test_interval),
      T(test_no_interval),
      T(test_times),
      T(test_warp),
      T(test_dispute),
      T(test_tokens),
      T(test_reorg),
      T(test_branches_differ),
      T(test_receipts),
      T(test_reorg_executes_again),
      T(test_reorg_limits),
      T(test_reorg_random),
      T(test_two_processes),
      T(test_made_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
