/* The whole L1 port on an EVM chain in memory: every call of the Adjudicator, tokens, fees, reorganisations, and nodes
 * with faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "calls.h"
#include "evm_node.h"
#include "l1/evm/adapter.h"
#include "tempdir.h"

#define START 1700000000u
#define CONFIRMATIONS 2u
#define COIN 1000000000000000000u
#define TOKENS 1000000u
#define FEE_LIMIT 500000000000u
#define PATIENCE 60 /* seconds until an event that does not come fails the test */

static const ch_addr NATIVE = {{0}};

typedef struct fixture {
  tempdir dir;
  char path[PATH_MAX];
  _Atomic uint64_t wall;
  ch_secret key;
  ch_addr me;
  evm_chain *chain;
  evm_node node;
  cd_http http;
  cd_l1 l1;
  calls c; /* a channel whose side 0 is paid out to this account */
  /* What was heard. */
  pthread_mutex_t lock;
  pthread_cond_t news;
  cd_head head;
  ch_hash id;
  ch_chain_view view;
  ch_reveal reveal;
  unsigned seen; /* transactions that the chain's witness saw */
} fixture;

static uint64_t wall_of(void *ctx) {
  return atomic_load(&((fixture *)ctx)->wall);
}

/* --- Hearing ------------------------------------------------------------------------------------------------------ */

static void on_head(void *ctx, const cd_head *head) {
  fixture *f = ctx;
  pthread_mutex_lock(&f->lock);
  f->head = *head;
  pthread_cond_broadcast(&f->news);
  pthread_mutex_unlock(&f->lock);
}

static void on_view(void *ctx, const ch_hash *id, const ch_chain_view *view) {
  fixture *f = ctx;
  pthread_mutex_lock(&f->lock);
  if (ch_hash_eq(id, &f->c.id)) f->view = *view;
  pthread_mutex_unlock(&f->lock);
}

static void on_reveal(void *ctx, const ch_hash *id, const ch_reveal *reveal) {
  fixture *f = ctx;
  (void)id;
  pthread_mutex_lock(&f->lock);
  f->reveal = *reveal;
  pthread_mutex_unlock(&f->lock);
}

/* Waits until the chain's head has been told, and with it what belongs to it. */
static void look(fixture *f) {
  struct timespec until;
  evm_block head = evm_chain_head(f->chain);
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += PATIENCE;
  f->l1.ops->poke(f->l1.ctx);
  pthread_mutex_lock(&f->lock);
  int rc = 0;
  while (!ch_hash_eq(&f->head.hash, &head.hash) && rc == 0)
    rc = pthread_cond_timedwait(&f->news, &f->lock, &until);
  pthread_mutex_unlock(&f->lock);
  assert_int_equal(rc, 0);
}

static void mine(fixture *f, unsigned blocks) {
  for (; blocks > 0; blocks--)
    evm_chain_mine(f->chain, atomic_fetch_add(&f->wall, 12) + 12);
  look(f);
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

static void open_port(fixture *f) {
  char why[CD_EVM_WHY];
  f->http = evm_node_http(&f->node);
  const ch_chain chain = evm_chain_identity(f->chain);
  const cd_l1_evm_config cfg = {.urls = evm_node_urls,
                                .n_urls = f->node.n,
                                .contract = chain.adjudicator,
                                .path = f->path,
                                .account = &f->key,
                                .confirmations = CONFIRMATIONS,
                                .poll_ms = 5,
                                .fee_limit = FEE_LIMIT,
                                .http = &f->http,
                                .wall = wall_of,
                                .wall_ctx = f};
  if (cd_l1_evm_open(&f->l1, &cfg, why) != CH_OK) fail_msg("%s", why);
  assert_int_equal(f->l1.ops->address(f->l1.ctx, &f->me), CH_OK);
}

static void on_witness(void *ctx, const ch_addr *sender, const ch_tx *tx, size_t n) {
  fixture *f = ctx;
  (void)tx;
  if (ch_addr_eq(sender, &f->me) && n > 0) f->seen++;
}

/* A channel of this asset, whose side 0 this account is. */
static void new_channel(fixture *f, const ch_addr *asset) {
  const ch_chain chain = evm_chain_identity(f->chain);
  f->c = calls_new(&chain, asset);
  f->c.params.payout[0] = f->me;
  calls_rehash(&f->c);
  f->l1.ops->watch(f->l1.ctx, &f->c.id);
}

static int set_up_nodes(void **state, size_t nodes) {
  fixture *f = calloc(1, sizeof *f);
  tempdir_make(&f->dir);
  tempdir_file(f->path, &f->dir, "evm.db");
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->news, NULL);
  atomic_store(&f->wall, START);
  memset(f->key.b, 0x44, sizeof f->key.b);
  f->chain = evm_chain_new(&(evm_chain_config){.time = START});
  evm_node_init(&f->node, f->chain, nodes);
  open_port(f);
  evm_chain_witness(f->chain, on_witness, f);
  evm_chain_give(f->chain, &f->me, &NATIVE, ch_amount_of(COIN));
  for (int kind = 0; kind < EVM_TOKENS; kind++) {
    ch_addr token = evm_chain_token((evm_token)kind);
    evm_chain_give(f->chain, &f->me, &token, ch_amount_of(TOKENS));
  }
  const cd_l1_listener listener = {.ctx = f, .head = on_head, .view = on_view, .reveal = on_reveal};
  assert_int_equal(f->l1.ops->start(f->l1.ctx, &listener), CH_OK);
  new_channel(f, &NATIVE);
  mine(f, 3);
  *state = f;
  return 0;
}

static int set_up(void **state) {
  return set_up_nodes(state, 1);
}

static int set_up_two(void **state) {
  return set_up_nodes(state, 2);
}

static int tear_down(void **state) {
  fixture *f = *state;
  f->l1.ops->stop(f->l1.ctx);
  cd_l1_evm_close(&f->l1);
  evm_chain_free(f->chain);
  pthread_cond_destroy(&f->news);
  pthread_mutex_destroy(&f->lock);
  tempdir_remove(&f->dir);
  free(f);
  return 0;
}

/* --- Sending ------------------------------------------------------------------------------------------------------ */

/* Signed bytes and their hash. */
typedef struct sent {
  uint8_t *raw;
  size_t len;
  ch_hash hash;
} sent;

static sent sign(fixture *f, const cd_prepared *what) {
  sent s;
  uint64_t nonce;
  assert_int_equal(f->l1.ops->nonce(f->l1.ctx, &nonce), CH_OK);
  assert_int_equal(f->l1.ops->sign(f->l1.ctx, nonce, what, &s.raw, &s.len, &s.hash), CH_OK);
  return s;
}

static void assert_broadcast(fixture *f, const sent *s, cd_sent expected) {
  char why[200];
  cd_sent got = f->l1.ops->broadcast(f->l1.ctx, s->raw, s->len, why);
  if (got != expected) fail_msg("broadcast: %d, expected %d: %s", (int)got, (int)expected, why);
}

static cd_receipt receipt_of(fixture *f, const ch_hash *hash, const ch_hash *channel) {
  cd_receipt r;
  assert_int_equal(f->l1.ops->receipt(f->l1.ctx, hash, channel, &r), CH_OK);
  return r;
}

/* Prepares, signs and broadcasts; not mined yet. */
static sent send_data(fixture *f, ch_amount value, const uint8_t *data, size_t len, cd_ready expected) {
  const cd_call call = {value, data, len};
  cd_prepared what;
  char why[200] = "";
  cd_ready ready = f->l1.ops->prepare(f->l1.ctx, &call, 1, &what, why);
  if (ready != expected) fail_msg("prepare: %d, expected %d: %s", (int)ready, (int)expected, why);
  sent s = sign(f, &what);
  free(what.data);
  assert_broadcast(f, &s, CD_SENT_OK);
  return s;
}

static sent send_call(fixture *f, uint64_t value, ch_tx tx) {
  uint8_t *data;
  size_t len;
  assert_int_equal(f->l1.ops->encode_call(f->l1.ctx, &tx, &data, &len), CH_OK);
  sent s = send_data(f, ch_amount_of(value), data, len, CD_READY);
  free(data);
  return s;
}

static void assert_status(fixture *f, const sent *s, int status) {
  const ch_hash none = {{0}};
  cd_receipt r = receipt_of(f, &s->hash, &none);
  if ((int)r.status != status) fail_msg("status %d, expected %d: %s", (int)r.status, status, r.error);
}

/* The same, and mined with success. */
static void run(fixture *f, uint64_t value, ch_tx tx) {
  sent s = send_call(f, value, tx);
  mine(f, 1);
  assert_status(f, &s, CD_RECEIPT_OK);
  free(s.raw);
}

static void assert_reverts(fixture *f, uint64_t value, ch_tx tx, const char *because) {
  uint8_t *data;
  size_t len;
  char why[200] = "";
  cd_prepared what;
  assert_int_equal(f->l1.ops->encode_call(f->l1.ctx, &tx, &data, &len), CH_OK);
  const cd_call call = {ch_amount_of(value), data, len};
  assert_int_equal(f->l1.ops->prepare(f->l1.ctx, &call, 1, &what, why), CD_READY_REVERTS);
  if (strstr(why, because) == NULL) fail_msg("`%s` is not in: %s", because, why);
  free(data);
}

static uint64_t soon(fixture *f) {
  return atomic_load(&f->wall) + 1000;
}

static ch_hash domain_of(const fixture *f) {
  ch_hash domain;
  ch_domain(&domain, &f->c.chain);
  return domain;
}

static void sign_both(const fixture *f, const ch_hash *digest, ch_sig sig[2]) {
  for (int side = 0; side < 2; side++)
    assert_int_equal(ch_sign(&sig[side], digest, &f->c.key[side]), CH_OK);
}

static ch_amount balance(const fixture *f, const ch_addr *who, const ch_addr *asset) {
  return evm_chain_balance(f->chain, who, asset);
}

/* --- The calls ---------------------------------------------------------------------------------------------------- */

static void deposit_and_close(void **state) {
  fixture *f = *state;
  run(f, 700, calls_deposit(&f->c, 0, 0, 700));
  run(f, 300, calls_deposit(&f->c, 0, 1, 300));
  assert_int_equal(f->view.head.slots.contribution[0].v, 700);
  assert_int_equal(f->view.head.slots.contribution[1].v, 300);
  assert_int_equal(f->view.final.slots.contribution[0].v, 0);
  assert_int_equal(balance(f, &f->c.chain.adjudicator, &NATIVE).v, 1000);
  assert_reverts(f, 300, calls_deposit(&f->c, 1, 1, 300), "another epoch");
  run(f, 0, calls_close(&f->c, 0, 200, soon(f)));
  assert_int_equal(balance(f, &f->c.params.payout[1], &NATIVE).v, 500);
  assert_int_equal(balance(f, &f->c.chain.adjudicator, &NATIVE).v, 0);
  assert_true(f->view.head.has_ended);
  assert_int_equal(f->view.head.ended.kind, CH_ADJ_CLOSED);
  assert_int_equal(f->view.head.ended.paid[0].v, 500);
  assert_int_equal((int)f->view.head.ended.net.v, 200);
  mine(f, CONFIRMATIONS);
  assert_int_equal(f->view.final.slots.epoch, 1);
  assert_true(f->view.final.has_ended);
  assert_int_equal(f->seen, 3);
  /* What was paid for gas, and nothing else, is gone. */
  ch_addr collector = evm_chain_collector();
  ch_amount fees = balance(f, &collector, &NATIVE);
  assert_true(fees.v > 0 && balance(f, &f->me, &NATIVE).v + fees.v + 500 == COIN);
}

static void a_dispute(void **state) {
  fixture *f = *state;
  run(f, 1000, calls_deposit(&f->c, 0, 0, 1000));
  run(f, CALLS_BOND, calls_challenge(&f->c, 0, 1, 5, soon(f)));
  const ch_adj_slots *s = &f->view.head.slots;
  assert_true(s->disputed && s->version == 5 && s->challenged_version == 5);
  assert_int_equal(s->deadline, evm_chain_head(f->chain).time + CALLS_PERIOD);
  assert_reverts(f, 0, calls_settle(&f->c, 0, 5), "window is still open");
  assert_reverts(f, 0, calls_refute(&f->c, 0, 5), "not newer");
  run(f, 0, calls_refute(&f->c, 0, 10));
  assert_true(s->version == 10 && s->flags & CH_ADJ_FORFEIT);
  atomic_fetch_add(&f->wall, 2 * CALLS_PERIOD);
  mine(f, 1); /* what the chain is asked is asked in the time of its head */
  ch_amount before = balance(f, &f->me, &NATIVE);
  run(f, 0, calls_settle(&f->c, 0, 10));
  assert_int_equal(f->view.head.ended.kind, CH_ADJ_SETTLED);
  assert_int_equal(f->view.head.ended.version, 10);
  assert_true(f->view.head.ended.forfeited);
  assert_int_equal(balance(f, &f->c.params.payout[1], &NATIVE).v, 10);
  assert_true(balance(f, &f->me, &NATIVE).v < before.v + 990 + CALLS_BOND);
  assert_int_equal(balance(f, &f->c.chain.adjudicator, &NATIVE).v, 0);
}

static void withdraw_and_move(void **state) {
  fixture *f = *state;
  run(f, 1000, calls_deposit(&f->c, 0, 0, 1000));
  ch_hash digest, domain = domain_of(f);
  ch_tx out = {.kind = CH_TX_WITHDRAW, .id = f->c.id, .params = f->c.params};
  out.u.withdraw.withdraw = (ch_withdraw){.id = f->c.id, .side = 1, .amount = ch_amount_of(30), .valid_until = soon(f)};
  ch_withdraw_digest(&digest, &domain, &out.u.withdraw.withdraw);
  sign_both(f, &digest, out.u.withdraw.sig);
  run(f, 0, out);
  assert_int_equal(f->view.head.slots.contribution[1].v, -30);
  assert_int_equal(f->view.head.slots.withdraw_seq, 1);
  assert_int_equal(balance(f, &f->c.params.payout[1], &NATIVE).v, 30);
  assert_reverts(f, 0, out, "not the channel's next one");

  calls other = f->c;
  memset(other.salt.b, 0x77, sizeof other.salt.b);
  ch_keccak256(&other.params.tag, other.salt.b, sizeof other.salt.b);
  calls_rehash(&other);
  ch_tx move = {.kind = CH_TX_MOVE, .id = f->c.id, .params = f->c.params};
  move.u.move.move = (ch_move){
      .id = f->c.id, .seq = 1, .amount = ch_amount_of(400), .valid_until = soon(f), .to_id = other.id, .to_side = 1};
  move.u.move.to_params_hash = other.params_hash;
  ch_move_digest(&digest, &domain, &move.u.move.move);
  sign_both(f, &digest, move.u.move.sig);
  run(f, 0, move);
  assert_int_equal(f->view.head.slots.contribution[0].v, 600);
  assert_int_equal(evm_chain_slots(f->chain, &other.id).contribution[1].v, 400);
}

static void reveals(void **state) {
  fixture *f = *state;
  ch_tx tx = {.kind = CH_TX_REVEAL, .u.reveal.preimage = {{1, 2, 3}}};
  ch_hash hash;
  ch_preimage_hash(&hash, &tx.u.reveal.preimage);
  f->l1.ops->watch_hash(f->l1.ctx, &f->c.id, &hash);
  mine(f, 1);
  assert_int_equal(f->reveal.head_time, 0);
  run(f, 0, tx);
  assert_int_equal(f->reveal.head_time, evm_chain_head(f->chain).time);
  assert_memory_equal(&f->reveal.preimage, &tx.u.reveal.preimage, 32);
  assert_reverts(f, 0, tx, "known already");
  assert_int_equal(f->reveal.final_time, 0);
  mine(f, CONFIRMATIONS);
  assert_int_equal(f->reveal.final_time, evm_chain_revealed(f->chain, &hash));
}

/* A payee that refuses its money gets it later. */
static void claims(void **state) {
  fixture *f = *state;
  const ch_addr *payee = &f->c.params.payout[1];
  run(f, 100, calls_deposit(&f->c, 0, 1, 100));
  evm_chain_refuse(f->chain, payee, true);
  run(f, 0, calls_close(&f->c, 0, 0, soon(f)));
  assert_int_equal(evm_chain_credit(f->chain, payee, &NATIVE).v, 100);
  ch_tx claim = {.kind = CH_TX_CLAIM};
  claim.u.claim.payee = claim.u.claim.to = *payee;
  assert_reverts(f, 0, claim, "transfer failed");
  evm_chain_refuse(f->chain, payee, false);
  run(f, 0, claim);
  assert_int_equal(evm_chain_credit(f->chain, payee, &NATIVE).v, 0);
  assert_int_equal(balance(f, payee, &NATIVE).v, 100);
}

/* Several closes in one transaction, one of which would be refused alone. */
static void a_batch(void **state) {
  fixture *f = *state;
  enum { N = 3 };
  calls c[N];
  cd_call call[N] = {0};
  uint8_t *data[N];
  char why[200];
  cd_prepared what;
  for (uint8_t i = 0; i < N; i++) {
    c[i] = f->c;
    c[i].salt.b[0] = i;
    ch_keccak256(&c[i].params.tag, c[i].salt.b, sizeof c[i].salt.b);
    calls_rehash(&c[i]);
    run(f, 100, calls_deposit(&c[i], 0, 0, 100));
    ch_tx tx = calls_close(&c[i], i == 1 ? 1 : 0, 10, soon(f));
    assert_int_equal(f->l1.ops->encode_call(f->l1.ctx, &tx, &data[i], &call[i].len), CH_OK);
    call[i].data = data[i];
  }
  assert_true(f->l1.ops->together(f->l1.ctx, &call[0], &call[2]));
  assert_int_equal(f->l1.ops->prepare(f->l1.ctx, call, N, &what, why), CD_READY);
  sent s = sign(f, &what);
  assert_broadcast(f, &s, CD_SENT_OK);
  mine(f, 1);
  assert_int_equal(receipt_of(f, &s.hash, &c[0].id).status, CD_RECEIPT_OK);
  assert_int_equal(receipt_of(f, &s.hash, &c[1].id).status, CD_RECEIPT_REVERTED);
  assert_int_equal(receipt_of(f, &s.hash, &c[2].id).status, CD_RECEIPT_OK);
  assert_int_equal(evm_chain_slots(f->chain, &c[0].id).epoch, 1);
  assert_int_equal(evm_chain_slots(f->chain, &c[1].id).epoch, 0);
  assert_int_equal(balance(f, &c[0].params.payout[1], &NATIVE).v, 20);
  for (size_t i = 0; i < N; i++)
    free(data[i]);
  free(what.data);
  free(s.raw);
}

static void deploys(void **state) {
  fixture *f = *state;
  const ch_hash none = {{0}};
  uint8_t *data;
  size_t len;
  assert_int_equal(f->l1.ops->encode_deploy(f->l1.ctx, &data, &len), CH_OK);
  sent s = send_data(f, ch_amount_of(0), data, len, CD_READY);
  mine(f, 1);
  cd_receipt r = receipt_of(f, &s.hash, &none);
  assert_int_equal(r.status, CD_RECEIPT_OK);
  assert_false(ch_addr_is_zero(&r.created));
  free(data);
  free(s.raw);
}

/* --- Tokens ------------------------------------------------------------------------------------------------------- */

static ch_amount token_balance(fixture *f, const ch_addr *who, const ch_addr *token) {
  ch_amount amount;
  assert_int_equal(f->l1.ops->balance(f->l1.ctx, who, token, &amount), CH_OK);
  return amount;
}

static void assert_deposited(fixture *f, const ch_addr *token, uint64_t amount) {
  assert_int_equal(f->view.head.slots.contribution[0].v, amount);
  assert_int_equal(token_balance(f, &f->c.chain.adjudicator, token).v, amount);
  assert_int_equal(token_balance(f, &f->me, token).v, TOKENS - amount);
}

/* With a consent that is signed into the deposit. */
static void a_token_with(fixture *f, evm_token kind, const char *symbol) {
  const ch_addr token = evm_chain_token(kind);
  cd_token about;
  assert_int_equal(f->l1.ops->token(f->l1.ctx, &token, &about), CH_OK);
  assert_string_equal(about.symbol, symbol);
  new_channel(f, &token);
  run(f, 0, calls_deposit(&f->c, 0, 0, 700));
  assert_deposited(f, &token, 700);
  run(f, 0, calls_close(&f->c, 0, 200, soon(f)));
  assert_int_equal(balance(f, &f->c.params.payout[1], &token).v, 200);
  assert_int_equal(balance(f, &f->me, &token).v, TOKENS - 200);
}

static void a_token_with_authorizations(void **state) {
  a_token_with(*state, EVM_TEST_TOKEN, "TEST");
}

static void a_token_with_permits(void **state) {
  a_token_with(*state, EVM_PERMIT_TOKEN, "PERMIT");
}

static void a_token_with_approvals(void **state) {
  fixture *f = *state;
  const ch_addr token = evm_chain_token(EVM_STRICT_TOKEN);
  uint8_t *data;
  size_t len;
  new_channel(f, &token);
  ch_tx tx = calls_deposit(&f->c, 0, 0, 700);
  assert_int_equal(f->l1.ops->encode_call(f->l1.ctx, &tx, &data, &len), CH_OK);
  sent approval = send_data(f, ch_amount_of(0), data, len, CD_READY_AFTER);
  mine(f, 1);
  assert_status(f, &approval, CD_RECEIPT_OK);
  sent deposit = send_data(f, ch_amount_of(0), data, len, CD_READY);
  mine(f, 1);
  assert_status(f, &deposit, CD_RECEIPT_OK);
  assert_deposited(f, &token, 700);
  tx = calls_deposit(&f->c, 0, 0, TOKENS);
  assert_reverts(f, 0, tx, "not enough of the token");
  free(data);
  free(approval.raw);
  free(deposit.raw);
}

static void a_transfer(void **state) {
  fixture *f = *state;
  const ch_addr token = evm_chain_token(EVM_TEST_TOKEN), to = {{0x70}};
  uint8_t *data;
  size_t len;
  for (int i = 0; i < 2; i++) {
    const ch_addr *asset = i == 0 ? &NATIVE : &token;
    ch_amount value = ch_amount_of(i == 0 ? 55 : 0);
    assert_int_equal(f->l1.ops->encode_transfer(f->l1.ctx, &to, asset, ch_amount_of(55), &data, &len), CH_OK);
    sent s = send_data(f, value, data, len, CD_READY);
    mine(f, 1);
    assert_status(f, &s, CD_RECEIPT_OK);
    assert_int_equal(token_balance(f, &to, asset).v, 55);
    free(data);
    free(s.raw);
  }
}

/* --- The pool ----------------------------------------------------------------------------------------------------- */

static void outbid(void **state) {
  fixture *f = *state;
  const uint64_t since = atomic_load(&f->wall), deadline = since + 1000;
  const uint64_t base = evm_chain_head(f->chain).base_fee;
  evm_chain_crowd(f->chain, 30000000, 50000000000u); /* full blocks that pay more than a first offer */
  sent first = send_call(f, 100, calls_deposit(&f->c, 0, 0, 100)), second;
  mine(f, 2);
  assert_status(f, &first, CD_RECEIPT_NONE);
  assert_int_equal(evm_chain_pending(f->chain), 1);
  assert_broadcast(f, &first, CD_SENT_KNOWN);
  cd_bid bid = {.raw = first.raw, .len = first.len, .since = since, .deadline = deadline};
  atomic_fetch_add(&f->wall, 900);
  assert_int_equal(f->l1.ops->outbid(f->l1.ctx, &bid, &second.raw, &second.len, &second.hash), CH_OK);
  assert_non_null(second.raw);
  assert_broadcast(f, &second, CD_SENT_OK);
  assert_broadcast(f, &first, CD_SENT_UNDERPRICED);
  assert_int_equal(evm_chain_pending(f->chain), 1);
  mine(f, 1);
  assert_status(f, &first, CD_RECEIPT_NONE);
  assert_status(f, &second, CD_RECEIPT_OK);
  assert_broadcast(f, &first, CD_SENT_NONCE_LOW);
  assert_true(evm_chain_head(f->chain).base_fee > base); /* of full blocks */
  free(first.raw);
  free(second.raw);
}

static void dropped(void **state) {
  fixture *f = *state;
  sent s = send_call(f, 100, calls_deposit(&f->c, 0, 0, 100));
  evm_chain_drop(f->chain, 0);
  mine(f, 1);
  assert_status(f, &s, CD_RECEIPT_NONE);
  assert_broadcast(f, &s, CD_SENT_OK);
  mine(f, 1);
  assert_status(f, &s, CD_RECEIPT_OK);
  free(s.raw);
}

/* The later one comes first. */
static void several_pending(void **state) {
  fixture *f = *state;
  sent s[2];
  for (uint64_t nonce = 2; nonce-- > 0;) {
    cd_prepared what;
    uint8_t *data;
    char why[200];
    ch_tx tx = calls_deposit(&f->c, 0, 0, 100);
    cd_call call = {.value = ch_amount_of(100)};
    assert_int_equal(f->l1.ops->encode_call(f->l1.ctx, &tx, &data, &call.len), CH_OK);
    call.data = data;
    assert_int_equal(f->l1.ops->prepare(f->l1.ctx, &call, 1, &what, why), CD_READY);
    sent *one = &s[nonce];
    assert_int_equal(f->l1.ops->sign(f->l1.ctx, nonce, &what, &one->raw, &one->len, &one->hash), CH_OK);
    assert_broadcast(f, one, CD_SENT_OK);
    if (nonce == 1) mine(f, 1);
    if (nonce == 1) assert_status(f, one, CD_RECEIPT_NONE);
    free(what.data);
    free(data);
  }
  mine(f, 1);
  for (size_t i = 0; i < 2; i++) {
    assert_status(f, &s[i], CD_RECEIPT_OK);
    free(s[i].raw);
  }
  assert_int_equal(f->view.head.slots.contribution[0].v, 200);
}

/* Some nodes try a call behind what is in their pool, others after the last block. */
static void tried_behind_the_pool(void **state) {
  fixture *f = *state;
  char why[200];
  uint8_t *data;
  cd_prepared what;
  sent s = send_call(f, CALLS_BOND, calls_challenge(&f->c, 0, 1, 5, soon(f)));
  ch_tx refutation = calls_refute(&f->c, 0, 10);
  assert_reverts(f, 0, refutation, "no dispute is open");
  evm_node_hold(&f->node, 0)->estimates_pending = true;
  evm_node_release(&f->node, 0);
  cd_call call = {0};
  assert_int_equal(f->l1.ops->encode_call(f->l1.ctx, &refutation, &data, &call.len), CH_OK);
  call.data = data;
  assert_int_equal(f->l1.ops->prepare(f->l1.ctx, &call, 1, &what, why), CD_READY);
  mine(f, 1); /* and it has changed nothing */
  assert_status(f, &s, CD_RECEIPT_OK);
  assert_int_equal(f->view.head.slots.version, 5);
  free(what.data);
  free(data);
  free(s.raw);
}

/* Money is short for the value, and for the gas. */
static void too_poor(void **state) {
  fixture *f = *state;
  assert_reverts(f, COIN + 1, calls_deposit(&f->c, 0, 0, COIN + 1), "not enough coin");
  cd_prepared what;
  uint8_t *data;
  char why[200];
  ch_tx tx = calls_deposit(&f->c, 0, 0, COIN - 1);
  cd_call call = {.value = ch_amount_of(COIN - 1)};
  assert_int_equal(f->l1.ops->encode_call(f->l1.ctx, &tx, &data, &call.len), CH_OK);
  call.data = data;
  assert_int_equal(f->l1.ops->prepare(f->l1.ctx, &call, 1, &what, why), CD_READY);
  sent s = sign(f, &what);
  assert_broadcast(f, &s, CD_SENT_RETRY);
  assert_int_equal(evm_chain_pending(f->chain), 0);
  free(what.data);
  free(data);
  free(s.raw);
}

/* --- Reorganisations ---------------------------------------------------------------------------------------------- */

static void put_back(void **state) {
  fixture *f = *state;
  sent s = send_call(f, 100, calls_deposit(&f->c, 0, 0, 100));
  mine(f, 2);
  assert_int_equal(f->view.head.slots.contribution[0].v, 100);
  evm_chain_undo(f->chain, 2, false);
  assert_int_equal(evm_chain_pending(f->chain), 1);
  evm_chain_crowd(f->chain, 30000000, 50000000000u);
  mine(f, 3); /* nobody has taken it in yet */
  assert_status(f, &s, CD_RECEIPT_NONE);
  assert_int_equal(f->view.head.slots.contribution[0].v, 0);
  evm_chain_crowd(f->chain, 0, 0);
  evm_chain_set_base_fee(f->chain, 1000000000u);
  mine(f, 1);
  assert_status(f, &s, CD_RECEIPT_OK);
  assert_int_equal(f->view.head.slots.contribution[0].v, 100);
  free(s.raw);
}

static void lost_in_a_reorganisation(void **state) {
  fixture *f = *state;
  sent s = send_call(f, 100, calls_deposit(&f->c, 0, 0, 100));
  mine(f, 1);
  evm_chain_undo(f->chain, 1, true);
  mine(f, 2);
  assert_status(f, &s, CD_RECEIPT_NONE);
  assert_int_equal(f->view.head.slots.contribution[0].v, 0);
  assert_int_equal(evm_chain_nonce(f->chain, &f->me), 0);
  free(s.raw);
}

/* --- Nodes with faults -------------------------------------------------------------------------------------------- */

static void a_lagging_node(void **state) {
  fixture *f = *state;
  evm_node_hold(&f->node, 1)->lag = 2;
  evm_node_release(&f->node, 1);
  run(f, 100, calls_deposit(&f->c, 0, 0, 100));
  assert_int_equal(f->view.head.slots.contribution[0].v, 100);
}

/* The preferred one answers, but with nothing of use. */
static void a_node_with_errors(void **state) {
  fixture *f = *state;
  evm_node_hold(&f->node, 0)->fails = true;
  evm_node_release(&f->node, 0);
  run(f, 100, calls_deposit(&f->c, 0, 0, 100));
  assert_int_equal(f->view.head.slots.contribution[0].v, 100);
}

static void a_node_that_loses_transactions(void **state) {
  fixture *f = *state;
  evm_node_hold(&f->node, 0)->broadcasts = EVM_LOSES_THEM;
  evm_node_release(&f->node, 0);
  run(f, 100, calls_deposit(&f->c, 0, 0, 100));
}

static void set_broadcasts(fixture *f, evm_broadcasts how) {
  for (size_t i = 0; i < f->node.n; i++) {
    evm_node_hold(&f->node, i)->broadcasts = how;
    evm_node_release(&f->node, i);
  }
}

static void nodes_that_do_not_answer(void **state) {
  fixture *f = *state;
  set_broadcasts(f, EVM_MUTE);
  cd_prepared what;
  uint8_t *data;
  char why[200];
  ch_tx tx = calls_deposit(&f->c, 0, 0, 100);
  cd_call call = {.value = ch_amount_of(100)};
  assert_int_equal(f->l1.ops->encode_call(f->l1.ctx, &tx, &data, &call.len), CH_OK);
  call.data = data;
  assert_int_equal(f->l1.ops->prepare(f->l1.ctx, &call, 1, &what, why), CD_READY);
  sent s = sign(f, &what);
  assert_broadcast(f, &s, CD_SENT_RETRY);
  set_broadcasts(f, EVM_BROADCASTS);
  assert_broadcast(f, &s, CD_SENT_KNOWN);
  mine(f, 1);
  assert_status(f, &s, CD_RECEIPT_OK);
  free(what.data);
  free(data);
  free(s.raw);
}

#define ONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TWO(f) cmocka_unit_test_setup_teardown(f, set_up_two, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      ONE(deposit_and_close),
      ONE(a_dispute),
      ONE(withdraw_and_move),
      ONE(reveals),
      ONE(claims),
      ONE(a_batch),
      ONE(deploys),
      ONE(a_token_with_authorizations),
      ONE(a_token_with_permits),
      ONE(a_token_with_approvals),
      ONE(a_transfer),
      ONE(outbid),
      ONE(dropped),
      ONE(several_pending),
      ONE(tried_behind_the_pool),
      ONE(too_poor),
      ONE(put_back),
      ONE(lost_in_a_reorganisation),
      TWO(a_lagging_node),
      TWO(a_node_with_errors),
      TWO(a_node_that_loses_transactions),
      TWO(nodes_that_do_not_answer),
  };
  if (sodium_init() < 0) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
