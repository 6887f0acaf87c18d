/* Following an EVM chain: views, finality, reorganisations, and nodes that fail or lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "channel/crypto.h"
#include "evm_node.h"
#include "l1/evm/follow.h"
#include "tempdir.h"

#define CLOSED "Closed(bytes32,uint256,uint256)"
#define DEPOSITED "Deposited(bytes32,uint256)"

typedef struct world {
  tempdir dir;
  char path[PATH_MAX];
  evm_chain *one, *other; /* as each node has it: the same until a test makes them differ */
  evm_node node;
  uint64_t ms, wall;
  cd_rpc *rpc;
  cd_scandb *db;
  cd_evm_follow *f;
  ch_chain chain;
  ch_hash id;
  /* What was told. */
  unsigned heads, views, other_views;
  cd_head head;
  ch_chain_view view;
  unsigned reveals;
  ch_reveal reveal;
} world;

static uint64_t clock_of(void *ctx) {
  return ((world *)ctx)->ms;
}

static uint64_t wall_of(void *ctx) {
  return ((world *)ctx)->wall;
}

static void on_head(void *ctx, const cd_head *head) {
  world *w = ctx;
  w->heads++;
  w->head = *head;
}

static void on_view(void *ctx, const ch_hash *id, const ch_chain_view *view) {
  world *w = ctx;
  if (!ch_hash_eq(id, &w->id)) {
    w->other_views++;
    return;
  }
  w->views++;
  w->view = *view;
}

static void on_reveal(void *ctx, const ch_hash *id, const ch_reveal *reveal) {
  world *w = ctx;
  assert_memory_equal(id, &w->id, sizeof w->id);
  w->reveals++;
  w->reveal = *reveal;
}

static void start(world *w, const char *tag) {
  char why[CD_RPC_TEXT];
  cd_http http = evm_node_http(&w->node);
  cd_rpc_config rpc = {.urls = evm_node_urls, .n_urls = w->node.n, .http = &http, .clock = clock_of, .clock_ctx = w};
  assert_int_equal(cd_rpc_new(&w->rpc, &rpc, why), CH_OK);
  assert_int_equal(cd_scandb_open(&w->db, w->path, &w->chain, why), CH_OK);
  cd_evm_follow_config cfg = {
      .rpc = w->rpc, .db = w->db, .chain = w->chain, .confirmations = 3, .tag = tag, .wall = wall_of, .wall_ctx = w};
  assert_int_equal(cd_evm_follow_new(&w->f, &cfg), CH_OK);
  cd_evm_follow_listen(w->f, &(cd_l1_listener){.ctx = w, .head = on_head, .view = on_view, .reveal = on_reveal});
}

static void stop(world *w) {
  cd_evm_follow_free(w->f);
  cd_scandb_close(w->db);
  cd_rpc_free(w->rpc);
}

static void mine(evm_chain *c, unsigned blocks) {
  evm_chain_mine_many(c, blocks, 10);
}

/* Blocks that mine() would not make. */
static void mine_others(evm_chain *c, unsigned blocks) {
  evm_chain_mine_many(c, blocks, 11);
}

static void drop(evm_chain *c, unsigned blocks) {
  evm_chain_undo(c, blocks, true);
}

static evm_chain *new_chain(void) {
  evm_chain *c = evm_chain_new(&(evm_chain_config){.time = 1000});
  mine(c, 10);
  return c;
}

static int set_up(void **state) {
  world *w = calloc(1, sizeof *w);
  tempdir_make(&w->dir);
  tempdir_file(w->path, &w->dir, "evm.db");
  w->one = new_chain();
  w->other = new_chain();
  w->chain = evm_chain_identity(w->one);
  ch_keccak256(&w->id, "a channel", 9);
  w->ms = 1000;
  w->wall = 1000;
  evm_node_init(&w->node, w->one, 1);
  *state = w;
  return 0;
}

static int set_up_one(void **state) {
  set_up(state);
  start(*state, NULL);
  return 0;
}

/* Two nodes with the same ten blocks. */
static int set_up_two(void **state) {
  set_up(state);
  world *w = *state;
  evm_node_init(&w->node, w->one, 2);
  w->node.at[1].chain = w->other;
  start(w, NULL);
  return 0;
}

static int tear_down(void **state) {
  world *w = *state;
  stop(w);
  evm_chain_free(w->one);
  evm_chain_free(w->other);
  tempdir_remove(&w->dir);
  free(w);
  return 0;
}

/* Polls as often as a real follower would within some seconds. */
static void look(world *w) {
  for (int i = 0; i < 8; i++) {
    w->ms += 2000;
    cd_evm_follow_once(w->f);
  }
}

/* Slot 0 of a channel: what side 0 has put in (one byte), and the epoch. */
static ch_hash slot0(uint8_t amount, uint16_t epoch) {
  ch_hash s = {0};
  s.b[31] = amount;
  s.b[0] = (uint8_t)(epoch >> 9 & 0x7f);
  s.b[1] = (uint8_t)(epoch >> 1);
  s.b[2] = (uint8_t)(epoch << 7);
  return s;
}

/* A word of the channel, and an event about it. */
static void set(world *w, evm_chain *c, unsigned k, const ch_hash *value) {
  ch_hash slot;
  cd_evm_slot(&slot, &w->id, k);
  evm_chain_set(c, &w->chain.adjudicator, &slot, value);
}

static void tell(world *w, evm_chain *c, const char *event, const uint8_t *data, size_t len) {
  evm_chain_log(c, &w->chain.adjudicator, event, &w->id, data, len);
}

static void deposit(world *w, evm_chain *c, uint8_t amount, uint16_t epoch) {
  ch_hash s = slot0(amount, epoch);
  uint8_t data[32] = {0};
  set(w, c, 0, &s);
  tell(w, c, DEPOSITED, data, sizeof data);
}

/* Ends epoch `epoch`, paying `paid` to side 0. */
static void close_channel(world *w, evm_chain *c, uint16_t epoch, uint8_t paid) {
  ch_hash s = slot0(0, (uint16_t)(epoch + 1));
  uint8_t data[64] = {0};
  data[31] = paid;
  data[2] = (uint8_t)(epoch >> 8);
  data[3] = (uint8_t)epoch;
  memset(data + 32 + 18, 0xff, 14); /* net = -1 */
  set(w, c, 0, &s);
  tell(w, c, CLOSED, data, sizeof data);
}

static void challenge(world *w, evm_chain *c) {
  ch_hash s = slot0(100, 0), s1 = {0};
  uint8_t data[64] = {0};
  s.b[0] |= 0x80;
  s1.b[31] = 7;    /* version */
  s1.b[23] = 6;    /* challenged version */
  s1.b[15] = 200;  /* deadline */
  s1.b[10] = 0x11; /* flags, and a beneficiary */
  set(w, c, 0, &s);
  set(w, c, 1, &s1);
  set(w, c, 2, &w->id);
  set(w, c, 3, &(ch_hash){.b = {[12] = 0xbe}});
  tell(w, c, "Challenged(bytes32,uint256,bytes32)", data, sizeof data);
}

/* --- What is told --------------------------------------------------------------------------------------------------
 */

static bool is_head_of(const world *w, evm_chain *c) {
  evm_block head = evm_chain_head(c);
  return ch_hash_eq(&w->head.hash, &head.hash);
}

static void heads(void **state) {
  world *w = *state;
  look(w);
  assert_int_equal(w->heads, 1);
  assert_int_equal(w->head.number, 10);
  assert_int_equal(w->head.time, 1100);
  assert_int_equal(w->head.final_number, 7);
  assert_int_equal(w->head.final_time, 1070);
  assert_true(is_head_of(w, w->one));
  look(w);
  assert_int_equal(w->heads, 1);
  mine(w->one, 2);
  look(w);
  assert_int_equal(w->heads, 2);
  assert_int_equal(w->head.final_number, 9);
}

static void views(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  assert_int_equal(w->views, 1);
  assert_int_equal(w->view.head.slots.contribution[0].v, 0);
  mine(w->one, 1);
  deposit(w, w->one, 100, 0);
  look(w);
  assert_int_equal(w->views, 2);
  assert_int_equal(w->view.head.slots.contribution[0].v, 100);
  assert_int_equal(w->view.final.slots.contribution[0].v, 0);
  mine(w->one, 2);
  look(w);
  assert_int_equal(w->views, 2);
  mine(w->one, 1);
  look(w);
  assert_int_equal(w->views, 3);
  assert_int_equal(w->view.final.slots.contribution[0].v, 100);
  /* Watching again tells it again. */
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  assert_int_equal(w->views, 4);
  cd_evm_follow_unwatch(w->f, &w->id);
  mine(w->one, 1);
  deposit(w, w->one, 101, 0);
  look(w);
  assert_int_equal(w->views, 4);
}

static void a_dispute(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  mine(w->one, 1);
  challenge(w, w->one);
  look(w);
  const ch_adj_slots *s = &w->view.head.slots;
  assert_true(s->disputed);
  assert_int_equal(s->version, 7);
  assert_int_equal(s->challenged_version, 6);
  assert_int_equal(s->deadline, 200);
  assert_int_equal(s->flags, 1);
  assert_int_equal(s->beneficiary.b[0], 0xbe);
  assert_memory_equal(&s->outcome_hash, &w->id, 32);
  assert_false(w->view.final.slots.disputed);
}

static void an_ending(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  mine(w->one, 1);
  close_channel(w, w->one, 0, 42);
  mine(w->one, 3);
  look(w);
  assert_int_equal(w->view.head.slots.epoch, 1);
  assert_true(w->view.head.has_ended && w->view.final.has_ended);
  assert_int_equal(w->view.head.ended.kind, CH_ADJ_CLOSED);
  assert_int_equal(w->view.head.ended.epoch, 0);
  assert_int_equal(w->view.head.ended.paid[0].v, 42);
  assert_int_equal((int)w->view.head.ended.net.v, -1);
  assert_memory_equal(&w->view.head.ended.id, &w->id, 32);
}

/* A channel that ended long before it was watched: a restored node. */
static void an_old_ending(void **state) {
  world *w = *state;
  close_channel(w, w->one, 0, 42);
  mine(w->one, 100);
  w->node.at[0].narrow = 16; /* the node shows few blocks at once */
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  assert_int_equal(w->views, 1);
  assert_int_equal(w->view.final.ended.paid[0].v, 42);
}

/* They are asked for together, and told before the head. */
static void many_channels(void **state) {
  world *w = *state;
  look(w);
  for (uint8_t i = 0; i < 200; i++)
    cd_evm_follow_watch(w->f, &(ch_hash){{i, 1}});
  cd_evm_follow_watch(w->f, &w->id);
  unsigned before = w->node.http.requests;
  cd_evm_follow_once(w->f);
  assert_int_equal(w->other_views, 200);
  assert_int_equal(w->views, 1);
  assert_true(w->node.http.requests - before < 12);
}

/* Puts the preimage `w->id` of `hash` into the last block. */
static void reveal(world *w, evm_chain *c, const ch_hash *hash) {
  ch_hash slot, time = {0};
  uint64_t now = evm_chain_head(c).time;
  time.b[30] = (uint8_t)(now >> 8);
  time.b[31] = (uint8_t)now;
  cd_evm_reveal_slot(&slot, hash);
  evm_chain_set(c, &w->chain.adjudicator, &slot, &time);
  evm_chain_log(c, &w->chain.adjudicator, "Revealed(bytes32,bytes32)", hash, w->id.b, sizeof w->id.b);
}

static void reveals(void **state) {
  world *w = *state;
  ch_hash hash;
  crypto_hash_sha256(hash.b, w->id.b, sizeof w->id.b);
  cd_evm_follow_watch_hash(w->f, &w->id, &hash);
  look(w);
  assert_int_equal(w->reveals, 1); /* not revealed */
  assert_true(w->reveal.head_time == 0 && w->reveal.final_time == 0);
  assert_memory_equal(&w->reveal.hash, &hash, 32);
  mine(w->one, 1);
  reveal(w, w->one, &hash);
  look(w);
  assert_int_equal(w->reveals, 2);
  assert_true(w->reveal.head_time == 1110 && w->reveal.final_time == 0);
  assert_memory_equal(&w->reveal.preimage, &w->id, 32);
  mine(w->one, 3);
  look(w);
  assert_int_equal(w->reveals, 3);
  assert_true(w->reveal.head_time == 1110 && w->reveal.final_time == 1110);
  drop(w->one, 1);
  mine(w->one, 5);
  look(w);
  assert_int_equal(w->reveals, 3);
  /* One that was revealed long ago, asked for again. */
  cd_evm_follow_unwatch_hash(w->f, &w->id, &hash);
  cd_evm_follow_watch_hash(w->f, &w->id, &hash);
  look(w);
  assert_int_equal(w->reveals, 4);
  assert_memory_equal(&w->reveal.preimage, &w->id, 32);
}

/* Taken out by a reorganisation, it counts no more. */
static void a_reveal_is_undone(void **state) {
  world *w = *state;
  ch_hash hash;
  crypto_hash_sha256(hash.b, w->id.b, sizeof w->id.b);
  cd_evm_follow_watch_hash(w->f, &w->id, &hash);
  mine(w->one, 1);
  reveal(w, w->one, &hash);
  look(w);
  assert_int_equal(w->reveal.head_time, 1110);
  drop(w->one, 1);
  mine(w->one, 2);
  look(w);
  assert_int_equal(w->reveal.head_time, 0);
}

static void the_finalized_tag(void **state) {
  world *w = *state;
  start(w, "finalized");
  look(w);
  assert_int_equal(w->head.final_number, 7);
}

static void the_clock(void **state) {
  world *w = *state;
  w->wall = 5000;
  look(w);
  assert_int_equal(cd_evm_follow_now(w->f), 5000); /* the head is old */
  w->wall = 1000;
  mine(w->one, 1);
  look(w);
  assert_int_equal(cd_evm_follow_now(w->f), 1110); /* the machine is behind */
  w->wall = 1007;
  assert_int_equal(cd_evm_follow_now(w->f), 1117);
}

/* --- Reorganisations ------------------------------------------------------------------------------------------------
 */

static void reorganisations(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  for (unsigned depth = 1; depth <= 3; depth++) { /* as deep as what is not final */
    mine(w->one, 3);
    mine(w->one, 1);
    close_channel(w, w->one, 0, (uint8_t)depth);
    mine(w->one, depth - 1);
    look(w);
    assert_int_equal(w->view.head.slots.epoch, 1);
    assert_int_equal(w->view.head.ended.paid[0].v, depth);
    drop(w->one, depth);
    mine(w->one, depth); /* as long, without it */
    look(w);
    assert_int_equal(w->view.head.slots.epoch, 0);
    assert_false(w->view.head.has_ended);
    assert_true(is_head_of(w, w->one));
  }
}

/* It comes back with another content: the later one counts, once. */
static void another_ending(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  mine(w->one, 1);
  close_channel(w, w->one, 0, 1);
  look(w);
  assert_int_equal(w->view.head.ended.paid[0].v, 1);
  drop(w->one, 1);
  mine(w->one, 2);
  close_channel(w, w->one, 0, 2);
  look(w);
  assert_int_equal(w->view.head.ended.paid[0].v, 2);
}

static void a_shorter_chain(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  mine(w->one, 3);
  deposit(w, w->one, 5, 0);
  look(w);
  drop(w->one, 2);
  mine(w->one, 1);
  look(w);
  assert_int_equal(w->head.number, 12);
  assert_int_equal(w->view.head.slots.contribution[0].v, 0);
}

static void below_what_is_final(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  deposit(w, w->one, 5, 0);
  mine(w->one, 3);
  look(w);
  assert_int_equal(w->view.final.slots.contribution[0].v, 5);
  drop(w->one, 6);
  mine(w->one, 8);
  look(w); /* the only node there is: nothing can be done but to tell it */
  assert_int_equal(w->view.final.slots.contribution[0].v, 0);
  assert_int_equal(w->head.number, 15);
}

static void below_what_is_final_for_one_node(void **state) {
  world *w = *state;
  look(w);
  drop(w->one, 6);
  mine(w->one, 9); /* longer */
  look(w);
  assert_int_equal(w->heads, 1);
  assert_int_equal(w->head.number, 10);
}

/* --- Nodes that fail ------------------------------------------------------------------------------------------------
 */

static void head_goes_back(void **state) {
  world *w = *state;
  look(w);
  w->node.at[0].lag = 4;
  look(w);
  assert_int_equal(w->heads, 1);
  mine(w->one, 4); /* as far as before */
  look(w);
  assert_int_equal(w->heads, 1);
  w->node.at[0].lag = 0;
  look(w);
  assert_int_equal(w->head.number, 14);
}

static void frozen_head_of_one(void **state) {
  world *w = *state;
  look(w);
  mine(w->other, 2);
  look(w);
  assert_int_equal(w->head.number, 12);
}

static void one_is_down(void **state) {
  world *w = *state;
  w->node.at[0].silent = true;
  look(w);
  assert_int_equal(w->head.number, 10);
  w->node.at[1].silent = true;
  mine(w->one, 200);
  look(w);
  assert_int_equal(w->heads, 1);
  w->node.at[0].silent = false; /* and 200 blocks are missing: several chunks */
  look(w);
  assert_int_equal(w->head.number, 210);
}

/* One that does not keep what it must, and is further than the other: the other is read. */
static void one_without(void **state, const char *method) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  w->node.at[1].chain = w->one;
  w->node.at[0].refuses = method;
  mine(w->one, 1);
  deposit(w, w->one, 5, 0);
  mine(w->one, 1);
  w->node.at[1].lag = 1;
  cd_evm_follow_once(w->f);
  assert_int_equal(w->head.number, 10);
  mine(w->one, 1);
  look(w);
  assert_true(w->head.number >= 12);
  assert_int_equal(w->view.head.slots.contribution[0].v, 5);
  w->node.at[0].refuses = NULL;
  for (int i = 0; i < 8 && w->head.number < 13; i++)
    look(w);
  assert_int_equal(w->head.number, 13);
}

static void one_without_state(void **state) {
  one_without(state, "eth_getStorageAt");
}

static void one_without_logs(void **state) {
  one_without(state, "eth_getLogs");
}

static void wrong_chain(void **state) {
  world *w = *state;
  look(w);
  /* The first URL leads to another chain from now on, a longer one. */
  w->node.at[0].chain_id = 1;
  w->node.at[0].silent = true;
  look(w);
  w->node.at[0].silent = false;
  mine(w->one, 50);
  mine(w->other, 1);
  look(w);
  assert_int_equal(w->head.number, 11);
}

static void wrong_chain_with_the_right_id(void **state) {
  world *w = *state;
  look(w);
  drop(w->one, 10);
  mine(w->one, 50);
  mine(w->other, 1);
  look(w);
  assert_true(w->head.number <= 11);
  assert_int_equal(w->head.final_number, w->head.number - 3);
}

static void hidden_logs(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  w->node.at[0].hides_logs = true;
  mine(w->one, 1);
  close_channel(w, w->one, 0, 42);
  mine(w->other, 1);
  close_channel(w, w->other, 0, 42);
  mine(w->one, 1); /* it is preferred: it is further */
  look(w);
  assert_int_equal(w->view.head.slots.epoch, 0); /* nothing told that is not known whole */
  mine(w->other, 2);
  look(w);
  assert_int_equal(w->view.head.slots.epoch, 1);
  assert_int_equal(w->view.head.ended.paid[0].v, 42);
}

static void invented_logs(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  w->node.at[0].invents_logs = true;
  for (size_t i = 0; i < 2; i++) {
    mine(w->node.at[i].chain, 1);
    deposit(w, w->node.at[i].chain, 5, 0);
  }
  cd_evm_follow_once(w->f); /* the first is not believed */
  assert_int_equal(w->head.number, 10);
  look(w); /* the second takes over */
  assert_int_equal(w->head.number, 11);
  assert_int_equal(w->view.head.slots.contribution[0].v, 5);
}

static void contradiction(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  unsigned views_before = w->views;
  mine_others(w->one, 4); /* longer, and silent about the dispute */
  mine(w->other, 1);
  challenge(w, w->other);
  mine(w->other, 1);
  bool seen = false;
  for (int i = 0; i < 8; i++) {
    w->ms += 20000;
    cd_evm_follow_once(w->f);
    seen = seen || w->view.head.slots.disputed;
    assert_false(w->view.final.slots.disputed);
  }
  assert_true(seen && w->views > views_before);
  assert_int_equal(w->heads, 1); /* nothing is signed */
  /* The first node comes to its senses. */
  w->node.at[0].chain = w->other;
  look(w);
  assert_int_equal(w->head.number, 12);
  assert_true(w->view.head.slots.disputed);
  mine(w->other, 4);
  look(w);
  assert_true(w->view.final.slots.disputed);
}

/* A longer chain that leaves the dispute out, from a node that knows the real one. */
static void a_fork(void **state) {
  world *w = *state;
  w->node.at[1].chain = w->one;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  w->node.at[0].fork = 11;
  w->node.at[0].ahead = 2;
  mine(w->one, 1);
  challenge(w, w->one);
  mine(w->one, 1);
  bool seen = false;
  for (int i = 0; i < 8; i++) {
    w->ms += 20000;
    cd_evm_follow_once(w->f);
    seen = seen || w->view.head.slots.disputed;
  }
  assert_true(seen);
  assert_int_equal(w->head.number, 10);
  w->node.at[0].fork = 0;
  look(w);
  assert_true(is_head_of(w, w->one));
  assert_true(w->view.head.slots.disputed);
}

/* --- Restarts -------------------------------------------------------------------------------------------------------
 */

static void restart(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  mine(w->one, 1);
  close_channel(w, w->one, 0, 42);
  look(w);
  stop(w);
  mine(w->one, 5);
  start(w, NULL);
  w->node.at[0].log_questions = 0;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  assert_int_equal(w->head.number, 16);
  assert_int_equal(w->view.final.ended.paid[0].v, 42);
  assert_int_equal(w->node.at[0].log_questions, 0); /* what was found is kept */
}

static void restart_after_a_reorganisation(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  mine(w->one, 1);
  close_channel(w, w->one, 0, 42);
  look(w);
  stop(w);
  drop(w->one, 1);
  mine(w->one, 2);
  start(w, NULL);
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  assert_int_equal(w->view.head.slots.epoch, 0);
  assert_int_equal(w->head.number, 12);
}

static void long_away(void **state) {
  world *w = *state;
  look(w);
  stop(w);
  mine(w->one, 3000);
  start(w, NULL);
  cd_evm_follow_watch(w->f, &w->id);
  unsigned before = w->node.http.requests;
  look(w);
  assert_int_equal(w->head.number, 3010);
  assert_true(w->node.http.requests - before < 200);
}

static void of_another_chain(void **state) {
  world *w = *state;
  ch_chain other = w->chain;
  cd_scandb *db;
  char why[CD_RPC_TEXT];
  other.chain_id = 1;
  assert_int_equal(cd_scandb_open(&db, w->path, &other, why), CH_ERR_ARGUMENT);
  assert_non_null(strstr(why, "another chain"));
  other = w->chain;
  other.adjudicator.b[19] = 1;
  assert_int_equal(cd_scandb_open(&db, w->path, &other, why), CH_ERR_ARGUMENT);
}

#define ONE(f) cmocka_unit_test_setup_teardown(f, set_up_one, tear_down)
#define TWO(f) cmocka_unit_test_setup_teardown(f, set_up_two, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      ONE(heads),
      ONE(views),
      ONE(a_dispute),
      ONE(an_ending),
      ONE(an_old_ending),
      ONE(many_channels),
      ONE(reveals),
      ONE(a_reveal_is_undone),
      cmocka_unit_test_setup_teardown(the_finalized_tag, set_up, tear_down),
      ONE(the_clock),
      ONE(reorganisations),
      ONE(another_ending),
      ONE(a_shorter_chain),
      ONE(below_what_is_final),
      TWO(below_what_is_final_for_one_node),
      ONE(head_goes_back),
      TWO(frozen_head_of_one),
      TWO(one_is_down),
      TWO(one_without_state),
      TWO(one_without_logs),
      TWO(wrong_chain),
      TWO(wrong_chain_with_the_right_id),
      TWO(hidden_logs),
      TWO(invented_logs),
      TWO(contradiction),
      TWO(a_fork),
      ONE(restart),
      ONE(restart_after_a_reorganisation),
      ONE(long_away),
      ONE(of_another_chain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
