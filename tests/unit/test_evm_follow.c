/* Following an EVM chain: views, finality, reorganisations, and nodes that fail or lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "channel/crypto.h"
#include "fake_chain.h"
#include "l1/evm/follow.h"
#include "tempdir.h"

#define CLOSED "Closed(bytes32,uint256,uint256)"
#define DEPOSITED "Deposited(bytes32,uint256)"

typedef struct world {
  tempdir dir;
  char path[PATH_MAX];
  fake_http http;
  fake_chain node[2];
  size_t n_nodes;
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

static void answer(void *ctx, const char *url, const char *method, const json_t *params, json_int_t id,
                   cd_http_answer *out) {
  world *w = ctx;
  fake_chain_answer(&w->node[strstr(url, "second") != NULL], method, params, id, out);
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
  static const char *const urls[] = {"http://first", "http://second"};
  char why[CD_RPC_TEXT];
  w->http = (fake_http){.answer = answer, .ctx = w};
  cd_http http = fake_http_port(&w->http);
  cd_rpc_config rpc = {.urls = urls, .n_urls = w->n_nodes, .http = &http, .clock = clock_of, .clock_ctx = w};
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

static int set_up(void **state) {
  world *w = calloc(1, sizeof *w);
  tempdir_make(&w->dir);
  tempdir_file(w->path, &w->dir, "evm.db");
  w->chain = (ch_chain){.chain_id = 31337, .adjudicator = {{0xad}}};
  ch_keccak256(&w->id, "a channel", 9);
  w->ms = 1000;
  w->wall = 1000;
  fake_chain_init(&w->node[0], &w->chain.adjudicator);
  fake_chain_mine(&w->node[0], 10, 0);
  w->n_nodes = 1;
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
  fake_chain_copy(&w->node[1], &w->node[0]);
  w->n_nodes = 2;
  start(w, NULL);
  return 0;
}

static int tear_down(void **state) {
  world *w = *state;
  stop(w);
  for (size_t i = 0; i < w->n_nodes; i++)
    fake_chain_free(&w->node[i]);
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

static void deposit(world *w, fake_chain *c, uint8_t amount, uint16_t epoch) {
  ch_hash s = slot0(amount, epoch);
  uint8_t data[32] = {0};
  fake_chain_set(c, &w->id, 0, &s);
  fake_chain_log(c, DEPOSITED, &w->id, data, sizeof data);
}

/* Ends epoch `epoch`, paying `paid` to side 0. */
static void close_channel(world *w, fake_chain *c, uint16_t epoch, uint8_t paid) {
  ch_hash s = slot0(0, (uint16_t)(epoch + 1));
  uint8_t data[64] = {0};
  data[31] = paid;
  data[2] = (uint8_t)(epoch >> 8);
  data[3] = (uint8_t)epoch;
  memset(data + 32 + 18, 0xff, 14); /* net = -1 */
  fake_chain_set(c, &w->id, 0, &s);
  fake_chain_log(c, CLOSED, &w->id, data, sizeof data);
}

static void challenge(world *w, fake_chain *c) {
  ch_hash s = slot0(100, 0), s1 = {0};
  uint8_t data[64] = {0};
  s.b[0] |= 0x80;
  s1.b[31] = 7;    /* version */
  s1.b[23] = 6;    /* challenged version */
  s1.b[15] = 200;  /* deadline */
  s1.b[10] = 0x11; /* flags, and a beneficiary */
  fake_chain_set(c, &w->id, 0, &s);
  fake_chain_set(c, &w->id, 1, &s1);
  fake_chain_set(c, &w->id, 2, &w->id);
  fake_chain_set(c, &w->id, 3, &(ch_hash){.b = {[12] = 0xbe}});
  fake_chain_log(c, "Challenged(bytes32,uint256,bytes32)", &w->id, data, sizeof data);
}

/* --- What is told --------------------------------------------------------------------------------------------------
 */

static void heads(void **state) {
  world *w = *state;
  look(w);
  assert_int_equal(w->heads, 1);
  assert_int_equal(w->head.number, 10);
  assert_int_equal(w->head.time, 1100);
  assert_int_equal(w->head.final_number, 7);
  assert_int_equal(w->head.final_time, 1070);
  assert_memory_equal(&w->head.hash, &w->node[0].blocks[10].head.hash, 32);
  look(w);
  assert_int_equal(w->heads, 1);
  fake_chain_mine(&w->node[0], 2, 0);
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
  fake_chain_mine(&w->node[0], 1, 0);
  deposit(w, &w->node[0], 100, 0);
  look(w);
  assert_int_equal(w->views, 2);
  assert_int_equal(w->view.head.slots.contribution[0].v, 100);
  assert_int_equal(w->view.final.slots.contribution[0].v, 0);
  fake_chain_mine(&w->node[0], 2, 0);
  look(w);
  assert_int_equal(w->views, 2);
  fake_chain_mine(&w->node[0], 1, 0);
  look(w);
  assert_int_equal(w->views, 3);
  assert_int_equal(w->view.final.slots.contribution[0].v, 100);
  /* Watching again tells it again. */
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  assert_int_equal(w->views, 4);
  cd_evm_follow_unwatch(w->f, &w->id);
  fake_chain_mine(&w->node[0], 1, 0);
  deposit(w, &w->node[0], 101, 0);
  look(w);
  assert_int_equal(w->views, 4);
}

static void a_dispute(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  fake_chain_mine(&w->node[0], 1, 0);
  challenge(w, &w->node[0]);
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
  fake_chain_mine(&w->node[0], 1, 0);
  close_channel(w, &w->node[0], 0, 42);
  fake_chain_mine(&w->node[0], 3, 0);
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
  close_channel(w, &w->node[0], 0, 42);
  fake_chain_mine(&w->node[0], 100, 0);
  w->node[0].narrow = 16; /* the node shows few blocks at once */
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
  unsigned before = w->http.requests;
  cd_evm_follow_once(w->f);
  assert_int_equal(w->other_views, 200);
  assert_int_equal(w->views, 1);
  assert_true(w->http.requests - before < 12);
}

/* Puts the preimage `w->id` of `hash` into the last block. */
static void reveal(world *w, fake_chain *c, const ch_hash *hash) {
  ch_hash slot, time = {0};
  const fake_block *b = &c->blocks[c->n - 1];
  time.b[30] = (uint8_t)(b->head.time >> 8);
  time.b[31] = (uint8_t)b->head.time;
  cd_evm_reveal_slot(&slot, hash);
  fake_chain_set(c, &slot, 0, &time);
  fake_chain_log(c, "Revealed(bytes32,bytes32)", hash, w->id.b, sizeof w->id.b);
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
  fake_chain_mine(&w->node[0], 1, 0);
  reveal(w, &w->node[0], &hash);
  look(w);
  assert_int_equal(w->reveals, 2);
  assert_true(w->reveal.head_time == 1110 && w->reveal.final_time == 0);
  assert_memory_equal(&w->reveal.preimage, &w->id, 32);
  fake_chain_mine(&w->node[0], 3, 0);
  look(w);
  assert_int_equal(w->reveals, 3);
  assert_true(w->reveal.head_time == 1110 && w->reveal.final_time == 1110);
  fake_chain_drop(&w->node[0], 1);
  fake_chain_mine(&w->node[0], 5, 8);
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
  fake_chain_mine(&w->node[0], 1, 0);
  reveal(w, &w->node[0], &hash);
  look(w);
  assert_int_equal(w->reveal.head_time, 1110);
  fake_chain_drop(&w->node[0], 1);
  fake_chain_mine(&w->node[0], 2, 8);
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
  fake_chain_mine(&w->node[0], 1, 0);
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
    fake_chain_mine(&w->node[0], 3, 0);
    fake_chain_mine(&w->node[0], 1, 0);
    close_channel(w, &w->node[0], 0, (uint8_t)depth);
    fake_chain_mine(&w->node[0], depth - 1, 0);
    look(w);
    assert_int_equal(w->view.head.slots.epoch, 1);
    assert_int_equal(w->view.head.ended.paid[0].v, depth);
    fake_chain_drop(&w->node[0], depth);
    fake_chain_mine(&w->node[0], depth, (uint8_t)depth); /* as long, without it */
    look(w);
    assert_int_equal(w->view.head.slots.epoch, 0);
    assert_false(w->view.head.has_ended);
    assert_memory_equal(&w->head.hash, &w->node[0].blocks[w->node[0].n - 1].head.hash, 32);
  }
}

/* It comes back with another content: the later one counts, once. */
static void another_ending(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  fake_chain_mine(&w->node[0], 1, 0);
  close_channel(w, &w->node[0], 0, 1);
  look(w);
  assert_int_equal(w->view.head.ended.paid[0].v, 1);
  fake_chain_drop(&w->node[0], 1);
  fake_chain_mine(&w->node[0], 2, 9);
  close_channel(w, &w->node[0], 0, 2);
  look(w);
  assert_int_equal(w->view.head.ended.paid[0].v, 2);
}

static void a_shorter_chain(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  fake_chain_mine(&w->node[0], 3, 0);
  deposit(w, &w->node[0], 5, 0);
  look(w);
  fake_chain_drop(&w->node[0], 2);
  fake_chain_mine(&w->node[0], 1, 7);
  look(w);
  assert_int_equal(w->head.number, 12);
  assert_int_equal(w->view.head.slots.contribution[0].v, 0);
}

static void below_what_is_final(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  deposit(w, &w->node[0], 5, 0);
  fake_chain_mine(&w->node[0], 3, 0);
  look(w);
  assert_int_equal(w->view.final.slots.contribution[0].v, 5);
  fake_chain_drop(&w->node[0], 6);
  fake_chain_mine(&w->node[0], 8, 5);
  look(w); /* the only node there is: nothing can be done but to tell it */
  assert_int_equal(w->view.final.slots.contribution[0].v, 0);
  assert_int_equal(w->head.number, 15);
}

static void below_what_is_final_for_one_node(void **state) {
  world *w = *state;
  look(w);
  fake_chain_drop(&w->node[0], 6);
  fake_chain_mine(&w->node[0], 9, 5); /* longer */
  look(w);
  assert_int_equal(w->heads, 1);
  assert_int_equal(w->head.number, 10);
}

/* --- Nodes that fail ------------------------------------------------------------------------------------------------
 */

static void head_goes_back(void **state) {
  world *w = *state;
  look(w);
  w->node[0].frozen = 4;
  look(w);
  assert_int_equal(w->heads, 1);
  fake_chain_mine(&w->node[0], 4, 0); /* as far as before */
  look(w);
  assert_int_equal(w->heads, 1);
  w->node[0].frozen = 0;
  look(w);
  assert_int_equal(w->head.number, 14);
}

static void frozen_head_of_one(void **state) {
  world *w = *state;
  look(w);
  fake_chain_mine(&w->node[1], 2, 0);
  look(w);
  assert_int_equal(w->head.number, 12);
}

static void one_is_down(void **state) {
  world *w = *state;
  w->node[0].silent = true;
  look(w);
  assert_int_equal(w->head.number, 10);
  w->node[1].silent = true;
  fake_chain_mine(&w->node[0], 200, 0);
  look(w);
  assert_int_equal(w->heads, 1);
  w->node[0].silent = false; /* and 200 blocks are missing: several chunks */
  look(w);
  assert_int_equal(w->head.number, 210);
}

static void wrong_chain(void **state) {
  world *w = *state;
  look(w);
  /* The first URL leads to another chain from now on, a longer one. */
  w->node[0].chain_id = 1;
  w->node[0].silent = true;
  look(w);
  w->node[0].silent = false;
  fake_chain_mine(&w->node[0], 50, 0);
  fake_chain_mine(&w->node[1], 1, 0);
  look(w);
  assert_int_equal(w->head.number, 11);
}

static void wrong_chain_with_the_right_id(void **state) {
  world *w = *state;
  look(w);
  fake_chain_drop(&w->node[0], 10);
  fake_chain_mine(&w->node[0], 50, 3);
  fake_chain_mine(&w->node[1], 1, 0);
  look(w);
  assert_true(w->head.number <= 11);
  assert_int_equal(w->head.final_number, w->head.number - 3);
}

static void hidden_logs(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  w->node[0].hides_logs = true;
  fake_chain_mine(&w->node[0], 1, 0);
  close_channel(w, &w->node[0], 0, 42);
  fake_chain_mine(&w->node[1], 1, 0);
  close_channel(w, &w->node[1], 0, 42);
  fake_chain_mine(&w->node[0], 1, 0); /* it is preferred: it is further */
  look(w);
  assert_int_equal(w->view.head.slots.epoch, 0); /* nothing told that is not known whole */
  fake_chain_mine(&w->node[1], 2, 0);
  look(w);
  assert_int_equal(w->view.head.slots.epoch, 1);
  assert_int_equal(w->view.head.ended.paid[0].v, 42);
}

static void invented_logs(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  w->node[0].invents_log = true;
  for (size_t i = 0; i < 2; i++) {
    fake_chain_mine(&w->node[i], 1, 0);
    deposit(w, &w->node[i], 5, 0);
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
  fake_chain_mine(&w->node[0], 4, 1); /* longer, and silent about the dispute */
  fake_chain_mine(&w->node[1], 1, 0);
  challenge(w, &w->node[1]);
  fake_chain_mine(&w->node[1], 1, 0);
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
  fake_chain_free(&w->node[0]);
  fake_chain_copy(&w->node[0], &w->node[1]);
  look(w);
  assert_int_equal(w->head.number, 12);
  assert_true(w->view.head.slots.disputed);
  fake_chain_mine(&w->node[0], 4, 0);
  look(w);
  assert_true(w->view.final.slots.disputed);
}

/* --- Restarts -------------------------------------------------------------------------------------------------------
 */

static void restart(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  fake_chain_mine(&w->node[0], 1, 0);
  close_channel(w, &w->node[0], 0, 42);
  look(w);
  stop(w);
  fake_chain_mine(&w->node[0], 5, 0);
  start(w, NULL);
  w->node[0].log_questions = 0;
  cd_evm_follow_watch(w->f, &w->id);
  look(w);
  assert_int_equal(w->head.number, 16);
  assert_int_equal(w->view.final.ended.paid[0].v, 42);
  assert_int_equal(w->node[0].log_questions, 0); /* what was found is kept */
}

static void restart_after_a_reorganisation(void **state) {
  world *w = *state;
  cd_evm_follow_watch(w->f, &w->id);
  fake_chain_mine(&w->node[0], 1, 0);
  close_channel(w, &w->node[0], 0, 42);
  look(w);
  stop(w);
  fake_chain_drop(&w->node[0], 1);
  fake_chain_mine(&w->node[0], 2, 4);
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
  fake_chain_mine(&w->node[0], 3000, 0);
  start(w, NULL);
  cd_evm_follow_watch(w->f, &w->id);
  unsigned before = w->http.requests;
  look(w);
  assert_int_equal(w->head.number, 3010);
  assert_true(w->http.requests - before < 200);
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
      TWO(wrong_chain),
      TWO(wrong_chain_with_the_right_id),
      TWO(hidden_logs),
      TWO(invented_logs),
      TWO(contradiction),
      ONE(restart),
      ONE(restart_after_a_reorganisation),
      ONE(long_away),
      ONE(of_another_chain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
