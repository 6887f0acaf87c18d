/* The L1 port on the embedded chain: signing, sending, and following it through finality and reorganisations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "l1/dev/adapter.h"
#include "tempdir.h"

#define START 1700000000u
#define COIN 1000000u
#define CONFIRMATIONS 2u
#define PATIENCE 20 /* seconds until an event that does not come fails the test */

static const ch_addr NATIVE = {{0}};

/* What the listener of one port has heard. */
typedef struct ear {
  pthread_mutex_t lock;
  pthread_cond_t news;
  cd_head head;
  unsigned heads, views;
  ch_hash id; /* of the last view */
  ch_chain_view view;
  unsigned reveals;
  ch_reveal reveal; /* the last one told */
} ear;

typedef struct fixture {
  tempdir dir;
  char path[PATH_MAX];
  _Atomic uint64_t wall;
  ch_secret key;
  cd_dev_options opt;
  cd_l1 l1;
  ear ear;
} fixture;

static uint64_t test_wall(void *ctx) {
  fixture *f = ctx;
  return atomic_load(&f->wall);
}

static void on_head(void *ctx, const cd_head *head) {
  ear *e = ctx;
  pthread_mutex_lock(&e->lock);
  e->head = *head;
  e->heads++;
  pthread_cond_broadcast(&e->news);
  pthread_mutex_unlock(&e->lock);
}

static void on_view(void *ctx, const ch_hash *id, const ch_chain_view *view) {
  ear *e = ctx;
  pthread_mutex_lock(&e->lock);
  e->id = *id;
  e->view = *view;
  e->views++;
  pthread_cond_broadcast(&e->news);
  pthread_mutex_unlock(&e->lock);
}

static void on_reveal(void *ctx, const ch_hash *id, const ch_reveal *reveal) {
  ear *e = ctx;
  pthread_mutex_lock(&e->lock);
  e->id = *id;
  e->reveal = *reveal;
  e->reveals++;
  pthread_cond_broadcast(&e->news);
  pthread_mutex_unlock(&e->lock);
}

/* Waits until `done` holds for what was heard; the test fails if it never does. */
static void await(ear *e, bool (*done)(const ear *e, uint64_t arg), uint64_t arg) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += PATIENCE;
  pthread_mutex_lock(&e->lock);
  int rc = 0;
  while (!done(e, arg) && rc == 0) {
    rc = pthread_cond_timedwait(&e->news, &e->lock, &until);
  }
  bool ok = done(e, arg);
  pthread_mutex_unlock(&e->lock);
  assert_true(ok);
}

static bool head_at(const ear *e, uint64_t number) {
  return e->heads > 0 && e->head.number >= number;
}
static bool views_at_least(const ear *e, uint64_t n) {
  return e->views >= n;
}
static bool total_at_head(const ear *e, uint64_t total) {
  return e->views > 0 && e->view.head.slots.contribution[0].v == (ch_i128)total;
}
static bool total_final(const ear *e, uint64_t total) {
  return e->views > 0 && e->view.final.slots.contribution[0].v == (ch_i128)total;
}
static bool final_epoch(const ear *e, uint64_t epoch) {
  return e->views > 0 && e->view.final.slots.epoch == epoch;
}

static bool reveals_at_least(const ear *e, uint64_t n) {
  return e->reveals >= n;
}
static bool revealed_at_head(const ear *e, uint64_t yes) {
  return e->reveals > 0 && (e->reveal.head_time != 0) == (yes != 0);
}
static bool revealed_finally(const ear *e, uint64_t yes) {
  return e->reveals > 0 && (e->reveal.final_time != 0) == (yes != 0);
}

static cd_l1 open_port(fixture *f, uint32_t confirmations) {
  cd_l1 l1;
  char why[CD_DEV_WHY];
  cd_l1_dev_config cfg = {
      .path = f->path, .account = &f->key, .confirmations = confirmations, .poll_ms = 5, .chain = &f->opt};
  if (cd_l1_dev_open(&l1, &cfg, why) != CH_OK) {
    fail_msg("%s", why);
  }
  return l1;
}

static void listen_to(ear *e, cd_l1 *l1) {
  pthread_mutex_init(&e->lock, NULL);
  pthread_cond_init(&e->news, NULL);
  cd_l1_listener listener = {.ctx = e, .head = on_head, .view = on_view, .reveal = on_reveal};
  assert_int_equal(l1->ops->start(l1->ctx, &listener), CH_OK);
}

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  ch_addr me;
  tempdir_make(&f->dir);
  tempdir_file(f->path, &f->dir, "chain");
  atomic_store(&f->wall, START);
  memset(f->key.b, 0x44, sizeof f->key.b);
  f->opt = (cd_dev_options){.interval = 0, .wall = test_wall, .wall_ctx = f};
  f->l1 = open_port(f, CONFIRMATIONS);
  assert_int_equal(f->l1.ops->address(f->l1.ctx, &me), CH_OK);
  assert_int_equal(f->l1.ops->faucet(f->l1.ctx, &me, &NATIVE, ch_amount_of(COIN)), CH_OK);
  listen_to(&f->ear, &f->l1);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  f->l1.ops->stop(f->l1.ctx);
  cd_l1_dev_close(&f->l1);
  tempdir_remove(&f->dir);
  free(f);
  return 0;
}

static calls new_calls(const cd_l1 *l1) {
  ch_chain chain;
  assert_int_equal(l1->ops->chain(l1->ctx, &chain), CH_OK);
  return calls_new(&chain, &NATIVE);
}

/* Signs encoded data with the next nonce and sends it; returns its hash. Frees `data`. */
static ch_hash send_data(const cd_l1 *l1, uint64_t value, uint8_t *data, size_t len) {
  uint64_t nonce;
  uint8_t *raw;
  size_t raw_len;
  ch_hash hash;
  char why[200];
  assert_int_equal(l1->ops->nonce(l1->ctx, &nonce), CH_OK);
  cd_prepared what;
  const cd_call call = {ch_amount_of(value), data, len};
  assert_int_equal(l1->ops->prepare(l1->ctx, &call, 1, &what, why), CD_READY);
  assert_int_equal(l1->ops->sign(l1->ctx, nonce, &what, &raw, &raw_len, &hash), CH_OK);
  free(what.data);
  assert_int_equal(l1->ops->broadcast(l1->ctx, raw, raw_len, why), CD_SENT_OK);
  assert_int_equal(l1->ops->broadcast(l1->ctx, raw, raw_len, why), CD_SENT_KNOWN);
  free(data);
  free(raw);
  return hash;
}

static ch_hash send_call(const cd_l1 *l1, uint64_t value, ch_tx call) {
  uint8_t *data;
  size_t len;
  assert_int_equal(l1->ops->encode_call(l1->ctx, &call, &data, &len), CH_OK);
  return send_data(l1, value, data, len);
}

static cd_receipt receipt_of(const cd_l1 *l1, const ch_hash *hash) {
  cd_receipt out;
  assert_int_equal(l1->ops->receipt(l1->ctx, hash, &(ch_hash){0}, &out), CH_OK);
  return out;
}

static void mine(const cd_l1 *l1, unsigned n) {
  assert_int_equal(l1->ops->mine(l1->ctx, n), CH_OK);
}

/* --- Tests ----------------------------------------------------------------------------------------------------------
 */

static void test_transfer(void **state) {
  fixture *f = *state;
  const cd_l1 *l1 = &f->l1;
  const ch_addr to = {{1, 2, 3}};
  ch_amount amount;
  uint8_t *data;
  size_t len;
  assert_int_equal(l1->ops->encode_transfer(l1->ctx, &to, &NATIVE, ch_amount_of(40), &data, &len), CH_OK);
  ch_hash hash = send_data(l1, 40, data, len); /* the value is part of the data: it is not sent twice */
  assert_int_equal(l1->ops->balance(l1->ctx, &to, &NATIVE, &amount), CH_OK);
  assert_int_equal(amount.v, 40);
  cd_receipt receipt = receipt_of(l1, &hash);
  assert_int_equal(receipt.status, CD_RECEIPT_OK);
  assert_false(receipt.final);
  mine(l1, CONFIRMATIONS);
  assert_true(receipt_of(l1, &hash).final);

  ch_hash unused;
  uint8_t *raw;
  size_t raw_len;
  uint8_t junk[3] = {1, 2, 3};
  const cd_prepared bad = {.data = junk, .len = sizeof junk};
  assert_int_equal(l1->ops->sign(l1->ctx, 0, &bad, &raw, &raw_len, &unused), CH_ERR_FORMAT);
}

static void test_follow(void **state) {
  fixture *f = *state;
  const cd_l1 *l1 = &f->l1;
  calls c = new_calls(l1);
  await(&f->ear, head_at, 1); /* the faucet's block */
  assert_int_equal(f->ear.views, 0);
  l1->ops->watch(l1->ctx, &c.id);
  await(&f->ear, views_at_least, 1); /* once, although there is nothing yet */
  assert_true(ch_hash_eq(&f->ear.id, &c.id));
  assert_int_equal(f->ear.view.head.slots.contribution[0].v, 0);

  send_call(l1, 1000, calls_deposit(&c, 0, 0, 1000));
  await(&f->ear, total_at_head, 1000);
  assert_false(total_final(&f->ear, 1000));
  mine(l1, CONFIRMATIONS);
  await(&f->ear, total_final, 1000);
  await(&f->ear, head_at, 2 + CONFIRMATIONS);
  assert_int_equal(f->ear.head.final_number, f->ear.head.number - CONFIRMATIONS);
  assert_true(f->ear.head.final_time < f->ear.head.time);

  send_call(l1, 0, calls_close(&c, 0, 300, START + 3600));
  mine(l1, CONFIRMATIONS);
  await(&f->ear, final_epoch, 1);
  assert_true(f->ear.view.final.has_ended && f->ear.view.final.ended.kind == CH_ADJ_CLOSED);
  assert_int_equal(f->ear.view.final.ended.paid[1].v, 300);
}

/* Views are states: a reorganisation is just another view, of the head and of what had counted as final. */
static void test_reorg(void **state) {
  fixture *f = *state;
  const cd_l1 *l1 = &f->l1;
  calls c = new_calls(l1);
  l1->ops->watch(l1->ctx, &c.id);
  ch_hash hash = send_call(l1, 1000, calls_deposit(&c, 0, 0, 1000));
  mine(l1, CONFIRMATIONS);
  await(&f->ear, total_final, 1000);
  assert_int_equal(l1->ops->reorg(l1->ctx, CONFIRMATIONS + 1, false), CH_OK);
  await(&f->ear, head_at, 3 + CONFIRMATIONS);
  assert_int_equal(receipt_of(l1, &hash).status, CD_RECEIPT_OK);
  assert_int_equal(l1->ops->reorg(l1->ctx, CONFIRMATIONS + 2, true), CH_OK);
  await(&f->ear, total_final, 0);
  await(&f->ear, total_at_head, 0);
  assert_int_equal(receipt_of(l1, &hash).status, CD_RECEIPT_NONE);
}

static void test_unwatch(void **state) {
  fixture *f = *state;
  const cd_l1 *l1 = &f->l1;
  calls c = new_calls(l1);
  l1->ops->watch(l1->ctx, &c.id);
  await(&f->ear, views_at_least, 1);
  l1->ops->unwatch(l1->ctx, &c.id);
  l1->ops->unwatch(l1->ctx, &c.id);
  send_call(l1, 1000, calls_deposit(&c, 0, 0, 1000));
  mine(l1, 1);
  await(&f->ear, head_at, 3);
  assert_int_equal(f->ear.views, 1);
  l1->ops->watch(l1->ctx, &c.id);
  await(&f->ear, total_at_head, 1000);
}

/* A watched hash: nothing at first, then its reveal at the head, then final; gone with a reorganisation; told again
 * when it is asked for again. */
static void test_hashes(void **state) {
  fixture *f = *state;
  const cd_l1 *l1 = &f->l1;
  calls c = new_calls(l1);
  ch_tx reveal = {.kind = CH_TX_REVEAL};
  ch_hash hash;
  memset(reveal.u.reveal.preimage.b, 0x5e, sizeof reveal.u.reveal.preimage.b);
  ch_preimage_hash(&hash, &reveal.u.reveal.preimage);
  l1->ops->watch_hash(l1->ctx, &c.id, &hash);
  await(&f->ear, reveals_at_least, 1);
  assert_true(ch_hash_eq(&f->ear.id, &c.id) && ch_hash_eq(&f->ear.reveal.hash, &hash));
  assert_true(f->ear.reveal.head_time == 0 && f->ear.reveal.final_time == 0);
  send_call(l1, 0, reveal);
  await(&f->ear, revealed_at_head, 1);
  assert_true(f->ear.reveal.final_time == 0);
  assert_memory_equal(&f->ear.reveal.preimage, &reveal.u.reveal.preimage, sizeof hash);
  mine(l1, CONFIRMATIONS);
  await(&f->ear, revealed_finally, 1);
  unsigned told = f->ear.reveals;
  l1->ops->watch_hash(l1->ctx, &c.id, &hash);
  await(&f->ear, reveals_at_least, told + 1);
  assert_int_equal(l1->ops->reorg(l1->ctx, CONFIRMATIONS + 1, true), CH_OK);
  await(&f->ear, revealed_at_head, 0);
  l1->ops->unwatch_hash(l1->ctx, &c.id, &hash);
  l1->ops->unwatch_hash(l1->ctx, &c.id, &hash);
}

/* Two ports on one file: what one does, the other hears; their clocks move together. */
static void test_two_ports(void **state) {
  fixture *f = *state;
  calls c = new_calls(&f->l1);
  cd_l1 other = open_port(f, 0);
  static ear second;
  listen_to(&second, &other);
  other.ops->watch(other.ctx, &c.id);
  send_call(&f->l1, 1000, calls_deposit(&c, 0, 0, 1000));
  await(&second, total_at_head, 1000);
  await(&second, total_final, 1000); /* this one wants no confirmations */
  uint64_t before = other.ops->now(other.ctx);
  assert_int_equal(f->l1.ops->warp(f->l1.ctx, 86400), CH_OK);
  assert_true(f->l1.ops->now(f->l1.ctx) >= before + 86400); /* at once where it was done */
  await(&second, head_at, 3);
  assert_true(other.ops->now(other.ctx) >= before + 86400);
  other.ops->stop(other.ctx);
  unsigned heads = second.heads;
  mine(&f->l1, 1);
  await(&f->ear, head_at, 4);
  assert_int_equal(second.heads, heads);
  cd_l1_dev_close(&other);
}

static void test_clock_never_goes_back(void **state) {
  fixture *f = *state;
  uint64_t before = f->l1.ops->now(f->l1.ctx);
  atomic_store(&f->wall, START + 50);
  assert_true(f->l1.ops->now(f->l1.ctx) >= before + 50);
  atomic_store(&f->wall, START);
  assert_true(f->l1.ops->now(f->l1.ctx) >= before + 50);
}

static void test_empty_blocks(void **state) {
  fixture *f = *state;
  f->l1.ops->stop(f->l1.ctx);
  cd_l1_dev_close(&f->l1);
  assert_int_equal(unlink(f->path), 0);
  f->opt.interval = 1;
  f->l1 = open_port(f, CONFIRMATIONS);
  memset(&f->ear, 0, sizeof f->ear);
  listen_to(&f->ear, &f->l1);
  await(&f->ear, head_at, 0);
  for (uint64_t number = 1; number < 5; number++) {
    atomic_fetch_add(&f->wall, 1);
    await(&f->ear, head_at, number);
    assert_int_equal(f->ear.head.number, number);
    assert_int_equal(f->ear.head.time, START + number);
  }
}

static void test_bad_config(void **state) {
  fixture *f = *state;
  cd_l1 l1;
  char why[CD_DEV_WHY];
  const ch_secret zero = {{0}};
  cd_l1_dev_config cfg = {.path = f->path, .account = &zero};
  assert_int_equal(cd_l1_dev_open(&l1, &cfg, why), CH_ERR_KEY);
  assert_true(why[0] != '\0');
  cfg.account = &f->key;
  cfg.confirmations = CD_DEV_REORG_MAX + 1;
  assert_int_equal(cd_l1_dev_open(&l1, &cfg, why), CH_ERR_ARGUMENT);
  cfg.confirmations = 0;
  cfg.path = "/nowhere/chain";
  assert_int_equal(cd_l1_dev_open(&l1, &cfg, why), CH_ERR_ARGUMENT);
  assert_non_null(strstr(why, "/nowhere/chain"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_transfer),
      T(test_follow),
      T(test_reorg),
      T(test_unwatch),
      T(test_hashes),
      T(test_two_ports),
      T(test_clock_never_goes_back),
      T(test_empty_blocks),
      T(test_bad_config),
  };
  if (sodium_init() < 0) {
    return 1;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
