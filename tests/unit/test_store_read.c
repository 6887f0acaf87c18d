/* What the store gives back: channels, payments by every filter, history, calls for the L1, peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/sqlite.h"
#include "tempdir.h"
#include "units.h"

typedef struct fixture {
  tempdir dir;
  char path[PATH_MAX];
  cd_store s;
} fixture;

static int setup(void **state) {
  fixture *f = (fixture *)calloc(1, sizeof *f);
  assert_non_null(f);
  tempdir_make(&f->dir);
  cd_store_config cfg = {.path = tempdir_file(f->path, &f->dir, "db"), .shards = 4};
  char why[400];
  if (cd_store_sqlite_open(&f->s, &cfg, why, sizeof why) != CH_OK) fail_msg("%s", why);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = (fixture *)*state;
  f->s.ops->close(f->s.ctx);
  tempdir_remove(&f->dir);
  free(f);
  return 0;
}

/* --- Channels ----------------------------------------------------------------------------------- */

typedef struct seen {
  const cd_store *s;
  unsigned n, stop_after;
  uint64_t tags[16];
} seen;

static bool see_channel(void *arg, const ch_hash *id, const uint8_t *record, size_t len) {
  seen *v = (seen *)arg;
  assert_int_equal(len, 8);
  memcpy(&v->tags[v->n++], record, len);
  uint8_t *again;
  size_t again_len;
  assert_int_equal(v->s->ops->channel(v->s->ctx, id, &again, &again_len), CH_OK); /* reading within a callback */
  assert_memory_equal(again, record, len);
  free(again);
  return v->n != v->stop_after;
}

static void test_channels(void **state) {
  fixture *f = (fixture *)*state;
  for (unsigned i = 1; i <= 5; i++)
    assert_true(units_commit_now(&f->s, units_new(i, i)));
  assert_true(units_commit_now(&f->s, units_new(3, 33)));
  seen all = {.s = &f->s}, two = {.s = &f->s, .stop_after = 2};
  assert_int_equal(f->s.ops->channels(f->s.ctx, see_channel, &all), CH_OK);
  assert_int_equal(all.n, 5);
  assert_int_equal(all.tags[2], 33);
  assert_int_equal(f->s.ops->channels(f->s.ctx, see_channel, &two), CH_OK);
  assert_int_equal(two.n, 2);
  ch_hash unknown = units_channel(9);
  uint8_t *record;
  size_t len;
  assert_int_equal(f->s.ops->channel(f->s.ctx, &unknown, &record, &len), CH_ERR_UNKNOWN_CHANNEL);
}

/* --- Payments ----------------------------------------------------------------------------------- */

typedef struct listed {
  char ids[1024]; /* "a b c" */
  cd_payment last;
  int64_t stop_at;
} listed;

static bool list_payment(void *arg, const cd_payment *p) {
  listed *v = (listed *)arg;
  if (v->ids[0]) strcat(v->ids, " ");
  strcat(v->ids, p->id);
  v->last = *p;
  return p->seq != v->stop_at;
}

static void assert_payments(fixture *f, cd_payment_filter filter, const char *ids) {
  listed v = {.stop_at = -1};
  if (filter.limit == 0) filter.limit = 1000;
  assert_int_equal(f->s.ops->payments(f->s.ctx, &filter, list_payment, &v), CH_OK);
  assert_string_equal(v.ids, ids);
}

/* Channel 1: a is settled, b failed, c pends; x and y came in. Channel 2: d pends, and its peer also said "a". */
static void some_payments(fixture *f) {
  cd_unit *u = units_new(1, 10);
  units_payment(u, false, CH_PAYMENT_PENDING, "a", 5, 0, 0);
  units_payment(u, false, CH_PAYMENT_PENDING, "b", 6, 0, 0);
  assert_true(units_commit_now(&f->s, u));
  u = units_new(2, 11);
  units_payment(u, false, CH_PAYMENT_PENDING, "d", 1, 0, 0);
  units_payment(u, true, CH_PAYMENT_SETTLED, "a", 2, 7, 0);
  assert_true(units_commit_now(&f->s, u));
  u = units_new(1, 12);
  units_payment(u, false, CH_PAYMENT_SETTLED, "a", 5, 3, 0);
  units_payment(u, false, CH_PAYMENT_FAILED, "b", 6, 0, 1);
  units_payment(u, true, CH_PAYMENT_SETTLED, "x", 100, 4, 0);
  units_payment(u, true, CH_PAYMENT_SETTLED, "y", 101, 4, 1);
  units_payment(u, false, CH_PAYMENT_PENDING, "c", 8, 0, 0);
  assert_true(units_commit_now(&f->s, u));
}

static void test_payment_filters(void **state) {
  fixture *f = (fixture *)*state;
  some_payments(f);
  ch_hash one = units_channel(1), two = units_channel(2), none = units_channel(3);
  assert_payments(f, (cd_payment_filter){0}, "a b d a x y c");
  assert_payments(f, (cd_payment_filter){.newest_first = true}, "c y x a d b a");
  assert_payments(f, (cd_payment_filter){.channel = &one}, "a b x y c");
  assert_payments(f, (cd_payment_filter){.channel = &none}, "");
  assert_payments(f, (cd_payment_filter){.direction = 1}, "a b d c");
  assert_payments(f, (cd_payment_filter){.direction = 2}, "a x y");
  assert_payments(f, (cd_payment_filter){.status = CH_PAYMENT_PENDING}, "d c");
  assert_payments(f, (cd_payment_filter){.status = CH_PAYMENT_FAILED}, "b");
  assert_payments(f, (cd_payment_filter){.status = CH_PAYMENT_SETTLED, .channel = &two}, "a");
  assert_payments(f, (cd_payment_filter){.status = CH_PAYMENT_PENDING, .channel = &one, .newest_first = true}, "c");
  assert_payments(f, (cd_payment_filter){.id = "a"}, "a a");
  assert_payments(f, (cd_payment_filter){.id = "a", .direction = 1, .channel = &two}, "");
  assert_payments(f, (cd_payment_filter){.id = "a", .direction = 2}, "a");
  assert_payments(f, (cd_payment_filter){.limit = 3}, "a b d");
  assert_payments(f, (cd_payment_filter){.limit = 3, .after = 3}, "a x y");
  assert_payments(f, (cd_payment_filter){.limit = 2, .after = 3, .newest_first = true}, "b a");
  assert_payments(f, (cd_payment_filter){.direction = 2, .after = 4, .channel = &one}, "x y");
  listed v = {.stop_at = 2};
  assert_int_equal(f->s.ops->payments(f->s.ctx, &(cd_payment_filter){.limit = 9}, list_payment, &v), CH_OK);
  assert_string_equal(v.ids, "a b");
  const cd_payment_filter bad[] = {
      {.limit = 0}, {.limit = 1001}, {.limit = 1, .status = 6}, {.limit = 1, .direction = 3}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(f->s.ops->payments(f->s.ctx, &bad[i], list_payment, &v), CH_ERR_ARGUMENT);
}

static void test_payment_fields(void **state) {
  fixture *f = (fixture *)*state;
  some_payments(f);
  listed v = {.stop_at = -1};
  cd_payment_filter filter = {.id = "y", .limit = 1};
  assert_int_equal(f->s.ops->payments(f->s.ctx, &filter, list_payment, &v), CH_OK);
  ch_hash one = units_channel(1);
  assert_true(ch_hash_eq(&v.last.channel, &one));
  assert_true(v.last.incoming);
  assert_true(v.last.amount.v == 101);
  assert_int_equal(v.last.status, CH_PAYMENT_SETTLED);
  assert_int_equal(v.last.epoch, 1);
  assert_int_equal(v.last.version, 4);
  assert_int_equal(v.last.index, 1);
  filter.id = "b";
  assert_int_equal(f->s.ops->payments(f->s.ctx, &filter, list_payment, &v), CH_OK);
  assert_int_equal(v.last.reason, CH_ERR_FUNDS);
  assert_int_equal(v.last.created, 10);
  assert_int_equal(v.last.updated, 12);
}

/* One effect of a conditional payment of 100 under a hash of 0x77s, of which so much is paid. */
static void share_row(fixture *f, bool incoming, ch_payment_status status, uint64_t version, bool known,
                      uint64_t paid) {
  cd_unit *u = units_new(1, 50 + version);
  units_payment(u, incoming, status, "held", 100, version, 0);
  ch_hash hash;
  memset(hash.b, 0x77, sizeof hash.b);
  ch_effect *e = &u->fx.v[0];
  e->u.payment.op = ch_op_hash_lock("held", ch_amount_of(100), &hash, 5000);
  e->u.payment.payer = incoming;
  e->u.payment.paid = ch_amount_of(paid);
  e->u.payment.has_preimage = known;
  memset(e->u.payment.preimage.b, 0x5e, sizeof e->u.payment.preimage.b);
  assert_true(units_commit_now(&f->s, u));
}

static void lock_row(fixture *f, bool incoming, ch_payment_status status, uint64_t version, bool known) {
  share_row(f, incoming, status, version, known, 100);
}

static cd_payment held(fixture *f, int direction, const char *want) {
  listed v = {.stop_at = -1};
  const cd_payment_filter filter = {.id = "held", .direction = direction, .limit = 9};
  assert_int_equal(f->s.ops->payments(f->s.ctx, &filter, list_payment, &v), CH_OK);
  assert_string_equal(v.ids, want);
  return v.last;
}

/* A conditional payment is one row from its promise to its end, in both directions; its lock and, in the end, its
 * preimage are there; while it is pending it comes back as the same operation. Said twice, it changes nothing. */
static void test_conditional_payments(void **state) {
  fixture *f = (fixture *)*state;
  ch_op *ops;
  size_t n;
  const ch_hash one = units_channel(1);
  lock_row(f, false, CH_PAYMENT_PENDING, 0, false);
  assert_int_equal(f->s.ops->pending(f->s.ctx, &one, &ops, &n), CH_OK);
  assert_true(n == 1 && ops[0].kind == CH_OP_LOCK_ADD && ops[0].valid_until == 5000 && ops[0].amount.v == 100);
  assert_true(ops[0].id_len == 4 && ops[0].u.add.payload_len == 32 && ops[0].u.add.payload[31] == 0x77);
  free(ops);
  for (int in = 0; in < 2; in++) {
    lock_row(f, in, CH_PAYMENT_LOCKED, (uint64_t)(2 + in), false);
    cd_payment p = held(f, 1 + in, "held");
    assert_true(p.status == CH_PAYMENT_LOCKED && p.lock_len == CH_LOCK_HEAD + 32 && p.lock[14] == in);
    assert_false(p.has_preimage);
    for (int twice = 0; twice < 2; twice++)
      lock_row(f, in, CH_PAYMENT_SETTLED, (uint64_t)(4 + in), true);
    p = held(f, 1 + in, "held");
    assert_true(p.status == CH_PAYMENT_SETTLED && p.has_preimage && p.preimage.b[9] == 0x5e);
    assert_int_equal(p.version, 4 + in);
  }
  assert_payments(f, (cd_payment_filter){.status = CH_PAYMENT_LOCKED, .limit = 9}, "");
}

/* What a contract said is owed is the row's amount in the end, also of a payment that was never seen locked; the lock
 * says what was asked for. */
static void test_share_of_a_conditional_payment(void **state) {
  fixture *f = (fixture *)*state;
  const ch_payment_status before[2] = {CH_PAYMENT_PENDING, CH_PAYMENT_LOCKED};
  for (int in = 0; in < 2; in++) {
    share_row(f, in, before[in], (uint64_t)(2 * in), false, 0);
    assert_true(held(f, 1 + in, "held").amount.v == 100);
    for (int twice = 0; twice < 2; twice++)
      share_row(f, in, CH_PAYMENT_SETTLED, 4, false, 40);
    cd_payment p = held(f, 1 + in, "held");
    assert_true(p.status == CH_PAYMENT_SETTLED && p.amount.v == 40 && p.lock_len == CH_LOCK_HEAD + 32);
    assert_int_equal(p.lock[13], 100);
  }
}

/* The largest amount and the highest version survive the way through the database. */
static void test_extreme_values(void **state) {
  fixture *f = (fixture *)*state;
  cd_unit *u = units_new(1, UINT64_MAX);
  units_payment(u, true, CH_PAYMENT_SETTLED, "most", 1, UINT64_MAX, UINT32_MAX);
  u->fx.v[0].u.payment.op.amount.v = u->fx.v[0].u.payment.paid.v = CH_MONEY_MAX;
  char longest[CH_PAYMENT_ID_MAX + 1];
  memset(longest, 'z', CH_PAYMENT_ID_MAX);
  longest[CH_PAYMENT_ID_MAX] = 0;
  units_payment(u, false, CH_PAYMENT_PENDING, longest, 1, 0, 0);
  assert_true(units_commit_now(&f->s, u));
  listed v = {.stop_at = 1};
  assert_int_equal(f->s.ops->payments(f->s.ctx, &(cd_payment_filter){.limit = 1}, list_payment, &v), CH_OK);
  assert_true(v.last.amount.v == CH_MONEY_MAX);
  assert_true(v.last.version == UINT64_MAX && v.last.index == UINT32_MAX && v.last.created == UINT64_MAX);
  assert_payments(f, (cd_payment_filter){.id = longest}, longest);
}

static void test_pending(void **state) {
  fixture *f = (fixture *)*state;
  some_payments(f);
  cd_unit *u = units_new(1, 13);
  units_payment(u, false, CH_PAYMENT_PENDING, "B", 9, 0, 0); /* after "c": the order is of acceptance */
  assert_true(units_commit_now(&f->s, u));
  ch_hash one = units_channel(1), none = units_channel(3);
  ch_op *ops;
  size_t n;
  assert_int_equal(f->s.ops->pending(f->s.ctx, &one, &ops, &n), CH_OK);
  assert_int_equal(n, 2);
  assert_int_equal(ops[0].kind, CH_OP_PAY);
  assert_int_equal(ops[0].id_len, 1);
  assert_int_equal(ops[0].id[0], 'c');
  assert_true(ops[0].amount.v == 8);
  assert_int_equal(ops[0].version, 0);
  assert_int_equal(ops[1].id[0], 'B');
  free(ops);
  assert_int_equal(f->s.ops->pending(f->s.ctx, &none, &ops, &n), CH_OK);
  assert_int_equal(n, 0);
  free(ops);
}

/* --- History ------------------------------------------------------------------------------------ */

typedef struct story {
  char text[2048]; /* "version:from>to cause|..." */
  int64_t last;
} story;

static bool tell(void *arg, const cd_history *h) {
  story *v = (story *)arg;
  size_t at = strlen(v->text);
  snprintf(v->text + at, sizeof v->text - at, "%llu:%d>%d %s|", (unsigned long long)h->version, h->from, h->to,
           h->cause);
  assert_true(h->seq > v->last);
  v->last = h->seq;
  return true;
}

static void test_history(void **state) {
  fixture *f = (fixture *)*state;
  cd_unit *u = units_new(1, 10);
  units_history(u, CH_PHASE_FUNDING, CH_PHASE_OPEN, 0, "the deposits are there");
  assert_true(units_commit_now(&f->s, u));
  u = units_new(2, 10);
  units_history(u, CH_PHASE_FUNDING, CH_PHASE_OPEN, 0, "elsewhere");
  assert_true(units_commit_now(&f->s, u));
  for (int repeat = 0; repeat < 2; repeat++) { /* a repeated effect is told once */
    u = units_new(1, 11);
    units_payment(u, false, CH_PAYMENT_SETTLED, "a", 1, 3, 0);
    units_payment(u, false, CH_PAYMENT_SETTLED, "b", 1, 3, 1);
    units_payment(u, true, CH_PAYMENT_SETTLED, "c", 1, 3, 2);
    units_payment(u, true, CH_PAYMENT_SETTLED, "d", 1, 4, 0);
    units_payment(u, false, CH_PAYMENT_PENDING, "e", 1, 0, 0);
    assert_true(units_commit_now(&f->s, u));
  }
  u = units_new(1, 12);
  units_payment(u, false, CH_PAYMENT_FAILED, "e", 1, 0, 0);
  units_history(u, CH_PHASE_OPEN, CH_PHASE_SHUTDOWN, 5, "the operator asked");
  units_payment(u, true, CH_PAYMENT_SETTLED, "z", 1, 6, 0);
  assert_true(units_commit_now(&f->s, u));
  ch_hash one = units_channel(1);
  story v = {0};
  assert_int_equal(f->s.ops->history(f->s.ctx, &one, 0, 100, tell, &v), CH_OK);
  char expected[300];
  snprintf(expected, sizeof expected,
           "0:%d>%d the deposits are there|3:%d>%d 2 payments sent|3:%d>%d 1 payment received|"
           "4:%d>%d 1 payment received|0:%d>%d 1 payment failed|5:%d>%d the operator asked|"
           "6:%d>%d 1 payment received|",
           CH_PHASE_FUNDING, CH_PHASE_OPEN, CH_PHASE_OPEN, CH_PHASE_OPEN, CH_PHASE_OPEN, CH_PHASE_OPEN, CH_PHASE_OPEN,
           CH_PHASE_OPEN, CH_PHASE_OPEN, CH_PHASE_OPEN, CH_PHASE_OPEN, CH_PHASE_SHUTDOWN, CH_PHASE_OPEN, CH_PHASE_OPEN);
  assert_string_equal(v.text, expected);
  for (unsigned limit = 1; limit < 8; limit++) { /* whatever the page, the same story */
    story pages = {0};
    for (size_t before = 1; before != strlen(pages.text);) {
      before = strlen(pages.text);
      assert_int_equal(f->s.ops->history(f->s.ctx, &one, pages.last, limit, tell, &pages), CH_OK);
    }
    assert_string_equal(pages.text, expected);
  }
}

/* --- Calls for the L1, peers --------------------------------------------------------------------- */

typedef struct calls {
  size_t n;
  cd_tx_row row[8]; /* without their bytes */
  bool data_ok;
  uint8_t replaced_end; /* the last byte of what was replaced */
} calls;

static bool see_tx(void *arg, const cd_tx_row *row) {
  calls *v = (calls *)arg;
  v->data_ok = row->data_len == 4 && memcmp(row->data, "call", 4) == 0 && row->value.v == 7;
  v->row[v->n] = *row;
  v->row[v->n].data = v->row[v->n].raw = NULL;
  if (row->n_replaced > 0) v->replaced_end = row->replaced[row->n_replaced - 1].b[31];
  v->row[v->n].replaced = NULL;
  v->n++;
  return true;
}

static calls all_txs(fixture *f, bool unfinished) {
  calls v = {0};
  assert_int_equal(f->s.ops->txs(f->s.ctx, unfinished, see_tx, &v), CH_OK);
  return v;
}

static void commit_tx(fixture *f, uint8_t key, uint64_t now) {
  cd_unit *u = units_new(1, now);
  units_tx(u, key);
  assert_true(units_commit_now(&f->s, u));
}

static void test_txs(void **state) {
  fixture *f = (fixture *)*state;
  commit_tx(f, 1, 10);
  commit_tx(f, 2, 11);
  calls v = all_txs(f, true);
  assert_int_equal(v.n, 2);
  assert_true(v.data_ok);
  assert_int_equal(v.row[0].status, CD_TX_QUEUED);
  assert_false(v.row[0].has_nonce);

  cd_unit *owner = units_new(1, 20);
  units_tx(owner, 1);
  cd_tx_row *sent = &owner->txs[0];
  sent->status = CD_TX_SENT;
  sent->has_nonce = true;
  sent->nonce = 0;
  sent->raw = (uint8_t *)strdup("signed");
  sent->raw_len = 6;
  sent->hash.b[0] = 0xee;
  sent->replaced = (ch_hash *)calloc(2, sizeof *sent->replaced);
  assert_non_null(sent->replaced);
  sent->replaced[1].b[31] = 0x11;
  sent->n_replaced = 2;
  sent->since = 20;
  sent->deadline = UINT64_MAX;
  assert_int_equal(f->s.ops->tx_put(f->s.ctx, sent), CH_OK);
  commit_tx(f, 1, 21); /* the same wish again: the row is there and goes on as it was */
  v = all_txs(f, true);
  assert_int_equal(v.n, 2);
  assert_int_equal(v.row[0].status, CD_TX_SENT);
  assert_true(v.row[0].has_nonce);
  assert_int_equal(v.row[0].raw_len, 6);
  assert_int_equal(v.row[0].hash.b[0], 0xee);
  assert_int_equal(v.row[0].n_replaced, 2);
  assert_int_equal(v.replaced_end, 0x11);
  assert_int_equal(v.row[0].since, 20);
  assert_true(v.row[0].deadline == UINT64_MAX);

  sent->status = CD_TX_FAILED;
  strcpy(sent->error, "reverted");
  assert_int_equal(f->s.ops->tx_put(f->s.ctx, sent), CH_OK);
  assert_int_equal(all_txs(f, true).n, 1);
  v = all_txs(f, false);
  assert_int_equal(v.n, 2);
  assert_string_equal(v.row[0].error, "reverted");
  calls one = {0}, none = {0};
  const ch_hash unknown = {{0x77}};
  assert_int_equal(f->s.ops->tx(f->s.ctx, &sent->key, see_tx, &one), CH_OK);
  assert_int_equal(one.n, 1);
  assert_memory_equal(&one.row[0].key, &sent->key, sizeof unknown);
  assert_int_equal(f->s.ops->tx(f->s.ctx, &unknown, see_tx, &none), CH_OK);
  assert_int_equal(none.n, 0);
  commit_tx(f, 1, 22); /* a failed one is wanted anew */
  v = all_txs(f, true);
  assert_int_equal(v.n, 2);
  assert_int_equal(v.row[0].status, CD_TX_QUEUED);
  assert_int_equal(v.row[0].raw_len, 0);
  assert_false(v.row[0].has_nonce);
  cd_unit_free(owner);
}

static bool see_peer(void *arg, const ch_pubkey *node, const char *address) {
  char *text = (char *)arg;
  sprintf(text + strlen(text), "%d=%s ", node->b[0], address);
  return true;
}

static void test_peers(void **state) {
  fixture *f = (fixture *)*state;
  const ch_pubkey two = {{2}}, three = {{3}};
  assert_int_equal(f->s.ops->peer_put(f->s.ctx, &three, "[::1]:9"), CH_OK);
  assert_int_equal(f->s.ops->peer_put(f->s.ctx, &two, "127.0.0.1:1"), CH_OK);
  assert_int_equal(f->s.ops->peer_put(f->s.ctx, &two, "127.0.0.1:2"), CH_OK);
  char text[200] = "";
  assert_int_equal(f->s.ops->peers(f->s.ctx, see_peer, text), CH_OK);
  assert_string_equal(text, "2=127.0.0.1:2 3=[::1]:9 ");
  assert_int_equal(f->s.ops->peer_put(f->s.ctx, &three, NULL), CH_OK);
  text[0] = 0;
  assert_int_equal(f->s.ops->peers(f->s.ctx, see_peer, text), CH_OK);
  assert_string_equal(text, "2=127.0.0.1:2 ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_channels, setup, teardown),
      cmocka_unit_test_setup_teardown(test_payment_filters, setup, teardown),
      cmocka_unit_test_setup_teardown(test_payment_fields, setup, teardown),
      cmocka_unit_test_setup_teardown(test_conditional_payments, setup, teardown),
      cmocka_unit_test_setup_teardown(test_share_of_a_conditional_payment, setup, teardown),
      cmocka_unit_test_setup_teardown(test_extreme_values, setup, teardown),
      cmocka_unit_test_setup_teardown(test_pending, setup, teardown),
      cmocka_unit_test_setup_teardown(test_history, setup, teardown),
      cmocka_unit_test_setup_teardown(test_txs, setup, teardown),
      cmocka_unit_test_setup_teardown(test_peers, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
