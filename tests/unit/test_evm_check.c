/* What is asked before the adapter starts, and of accounts and receipts later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "channel/crypto.h"
#include "fake_http.h"
#include "l1/evm/artifact.h"
#include "l1/evm/check.h"
#include "l1/evm/reader.h"
#include "l1/evm/value.h"
#include "tempdir.h"

typedef struct world {
  tempdir dir;
  fake_http http;
  cd_rpc *rpc;
  cd_scandb *db;
  ch_chain chain;
  uint64_t chain_id[2]; /* of each node; 0: it does not answer */
  uint8_t *code;        /* of the contract */
  size_t code_len;
  ch_hash domain;
  json_t *receipt[2]; /* of each node; NULL: it knows none */
} world;

/* The nodes know the word `finalized`, but not `safe`. */
static json_t *block_json(const char *tag) {
  static const uint8_t zero[CD_EVM_BLOOM];
  if (strcmp(tag, "safe") == 0) return json_null();
  return json_pack("{s:s, s:s, s:o, s:o, s:o}", "number", "0x1", "timestamp", "0x1", "hash",
                   cd_value_of_bytes(zero, 32), "parentHash", cd_value_of_bytes(zero, 32), "logsBloom",
                   cd_value_of_bytes(zero, sizeof zero));
}

static void answer(void *ctx, const char *url, const char *method, const json_t *params, json_int_t id,
                   cd_http_answer *out) {
  world *w = ctx;
  size_t i = strstr(url, "second") != NULL;
  if (w->chain_id[i] == 0)
    fake_silence(out, "Couldn't connect to server");
  else if (strcmp(method, "eth_chainId") == 0)
    fake_result(out, id, cd_value_of_u64(w->chain_id[i]));
  else if (strcmp(method, "eth_getCode") == 0)
    fake_result(out, id, cd_value_of_bytes(w->code, w->code_len));
  else if (strcmp(method, "eth_call") == 0)
    fake_result(out, id, cd_value_of_bytes(w->domain.b, 32));
  else if (strcmp(method, "eth_getTransactionCount") == 0 || strcmp(method, "eth_getBalance") == 0)
    fake_result(out, id, cd_value_of_u64(7));
  else if (strcmp(method, "eth_getTransactionReceipt") == 0)
    fake_result(out, id, w->receipt[i] == NULL ? json_null() : json_incref(w->receipt[i]));
  else if (strcmp(method, "eth_getBlockByNumber") == 0)
    fake_result(out, id, block_json(json_string_value(json_array_get(params, 0))));
  else
    fake_error(out, id, -32601, "no such method");
}

static int set_up(void **state) {
  static const char *const urls[] = {"http://first", "http://second"};
  world *w = calloc(1, sizeof *w);
  char why[CD_RPC_TEXT], path[PATH_MAX];
  w->http = (fake_http){.answer = answer, .ctx = w};
  cd_http http = fake_http_port(&w->http);
  cd_rpc_config cfg = {.urls = urls, .n_urls = 2, .http = &http};
  assert_int_equal(cd_rpc_new(&w->rpc, &cfg, why), CH_OK);
  w->chain = (ch_chain){.chain_id = 10, .adjudicator = {{0xad}}};
  w->chain_id[0] = w->chain_id[1] = 10;
  ch_domain(&w->domain, &w->chain);
  w->code_len = cd_artifact_runtime_len;
  w->code = malloc(w->code_len);
  memcpy(w->code, cd_artifact_runtime, w->code_len);
  memset(w->code + cd_artifact_holes[0].start, 0x5a, cd_artifact_holes[0].len); /* what a constructor computed */
  tempdir_make(&w->dir);
  assert_int_equal(cd_scandb_open(&w->db, tempdir_file(path, &w->dir, "evm.db"), &w->chain, why), CH_OK);
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  world *w = *state;
  cd_rpc_free(w->rpc);
  cd_scandb_close(w->db);
  json_decref(w->receipt[0]);
  json_decref(w->receipt[1]);
  tempdir_remove(&w->dir);
  free(w->code);
  free(w);
  return 0;
}

static void assert_says(const char *text, const char *part) {
  if (strstr(text, part) == NULL) fail_msg("`%s` is not in: %s", part, text);
}

static void the_chain(void **state) {
  world *w = *state;
  char why[CD_CHECK_WHY];
  uint64_t id;
  bool offline;
  assert_int_equal(cd_check_chain(w->rpc, 0, &id, &offline, why), CH_OK);
  assert_true(id == 10 && !offline);
  assert_int_equal(cd_check_chain(w->rpc, 10, &id, &offline, why), CH_OK);
  assert_int_equal(cd_check_chain(w->rpc, 1, &id, &offline, why), CH_ERR_ARGUMENT);
  assert_says(why, "--chain-id says 1");
  w->chain_id[1] = 11;
  assert_int_equal(cd_check_chain(w->rpc, 0, &id, &offline, why), CH_ERR_ARGUMENT);
  assert_says(why, "only URLs of one chain");
  assert_int_equal(cd_check_chain(w->rpc, 10, &id, &offline, why), CH_ERR_ARGUMENT);
  w->chain_id[1] = 0; /* one that is down keeps nobody from starting */
  assert_int_equal(cd_check_chain(w->rpc, 0, &id, &offline, why), CH_OK);
  w->chain_id[0] = 0;
  assert_int_equal(cd_check_chain(w->rpc, 0, &id, &offline, why), CH_ERR_ARGUMENT);
  assert_says(why, "http://first");
  assert_int_equal(cd_check_chain(w->rpc, 10, &id, &offline, why), CH_OK);
  assert_true(offline && id == 10);
}

static void the_contract(void **state) {
  world *w = *state;
  char why[CD_CHECK_WHY];
  assert_int_equal(cd_check_contract(w->rpc, &w->chain, why), CH_OK);
  w->domain.b[0] ^= 1; /* deployed elsewhere, or for another chain */
  assert_int_equal(cd_check_contract(w->rpc, &w->chain, why), CH_ERR_ARGUMENT);
  assert_says(why, "domain");
  w->domain.b[0] ^= 1;
  w->code[0] ^= 1;
  assert_int_equal(cd_check_contract(w->rpc, &w->chain, why), CH_ERR_ARGUMENT);
  assert_says(why, "not the Adjudicator");
  w->code[0] ^= 1;
  w->code_len--;
  assert_int_equal(cd_check_contract(w->rpc, &w->chain, why), CH_ERR_ARGUMENT);
  w->code_len = 0;
  assert_int_equal(cd_check_contract(w->rpc, &w->chain, why), CH_ERR_ARGUMENT);
  assert_says(why, "no contract");
}

/* Where a reveal of 32 zero bytes stands; tests/e2e/test_evm.py shows that the contract has it there. */
static void the_place_of_a_reveal(void **state) {
  ch_hash hash, slot, want;
  (void)state;
  assert_true(ch_unhex(hash.b, 32, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"));
  assert_true(ch_unhex(want.b, 32, "e469d0062231d0953dcef35b570a9b6ca3d942007eacf6d1303de867becfe7d2"));
  cd_evm_reveal_slot(&slot, &hash);
  assert_memory_equal(&slot, &want, 32);
}

static void the_tag(void **state) {
  world *w = *state;
  char why[CD_CHECK_WHY];
  w->chain_id[1] = 0; /* a node that is down says nothing against it */
  assert_int_equal(cd_check_tag(w->rpc, "finalized", why), CH_OK);
  assert_int_equal(cd_check_tag(w->rpc, "safe", why), CH_ERR_ARGUMENT);
  assert_says(why, "--confirmations");
}

/* The events that are looked for are the contract's: their hashes stand in its code. */
static void the_events(void **state) {
  static const char *const events[] = {"Closed(bytes32,uint256,uint256)", "Settled(bytes32,uint256,uint256)",
                                       "Skipped(bytes32,uint256,bytes4)"};
  ch_hash topic, ours[2];
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    ch_keccak256(&topic, events[i], strlen(events[i]));
    assert_non_null(memmem(cd_artifact_runtime, cd_artifact_runtime_len, topic.b, 32));
  }
  cd_evm_reveal_topic(&topic);
  assert_non_null(memmem(cd_artifact_runtime, cd_artifact_runtime_len, topic.b, 32));
  cd_evm_ending_topics(ours);
  for (size_t i = 0; i < 2; i++)
    assert_non_null(memmem(cd_artifact_runtime, cd_artifact_runtime_len, ours[i].b, 32));
}

static void accounts(void **state) {
  world *w = *state;
  ch_amount coin;
  uint64_t nonce;
  assert_int_equal(cd_read_coin(w->rpc, &w->chain.adjudicator, &coin), CH_OK);
  assert_int_equal(cd_read_nonce(w->rpc, &w->chain.adjudicator, &nonce), CH_OK);
  assert_true(coin.v == 7 && nonce == 7);
  w->chain_id[0] = w->chain_id[1] = 0;
  assert_int_equal(cd_read_coin(w->rpc, &w->chain.adjudicator, &coin), CH_ERR_STALE);
  assert_int_equal(cd_read_nonce(w->rpc, &w->chain.adjudicator, &nonce), CH_ERR_STALE);
}

/* --- Receipts ----------------------------------------------------------------------------------------------------- */

static const ch_hash TX = {{0x17}}, CHANNEL = {{0xc4}}, NONE = {{0}};

static json_t *receipt(uint64_t block, const ch_hash *block_hash, uint64_t status) {
  return json_pack("{s:o, s:o, s:o, s:o, s:n, s:[]}", "transactionHash", cd_value_of_bytes(TX.b, 32), "status",
                   cd_value_of_u64(status), "blockNumber", cd_value_of_u64(block), "blockHash",
                   cd_value_of_bytes(block_hash->b, 32), "contractAddress", "logs");
}

/* Blocks 5 and 6 are known. */
static ch_hash blocks(world *w) {
  cd_scan_block five = {.number = 5, .hash = {{5}}}, six = {.number = 6, .hash = {{6}}};
  assert_int_equal(cd_scandb_restart(w->db, &five), CH_OK);
  assert_int_equal(cd_scandb_add(w->db, &six, NULL, 0), CH_OK);
  return six.hash;
}

static void receipts(void **state) {
  world *w = *state;
  cd_receipt r;
  ch_hash six = blocks(w);
  assert_int_equal(cd_read_receipt(w->rpc, w->db, 5, &TX, &NONE, &r), CH_OK);
  assert_int_equal(r.status, CD_RECEIPT_NONE);
  w->receipt[1] = receipt(6, &six, 1); /* one node's word that there is none is not enough */
  assert_int_equal(cd_read_receipt(w->rpc, w->db, 5, &TX, &NONE, &r), CH_OK);
  assert_true(r.status == CD_RECEIPT_OK && r.block == 6 && !r.final);
  assert_int_equal(cd_read_receipt(w->rpc, w->db, 6, &TX, &NONE, &r), CH_OK);
  assert_true(r.final);
  json_decref(w->receipt[1]);
  w->receipt[1] = receipt(6, &six, 0);
  assert_int_equal(cd_read_receipt(w->rpc, w->db, 6, &TX, &NONE, &r), CH_OK);
  assert_int_equal(r.status, CD_RECEIPT_REVERTED);
  assert_says(r.error, "refused");
  json_decref(w->receipt[1]);
  w->receipt[1] = receipt(6, &TX, 1); /* in a block that is not on the chain */
  assert_int_equal(cd_read_receipt(w->rpc, w->db, 6, &TX, &NONE, &r), CH_OK);
  assert_int_equal(r.status, CD_RECEIPT_NONE);
}

static void receipts_of_batches(void **state) {
  static const char event[] = "Skipped(bytes32,uint256,bytes4)";
  world *w = *state;
  cd_receipt r;
  ch_hash six = blocks(w), topic;
  ch_keccak256(&topic, event, sizeof event - 1);
  w->receipt[0] = receipt(6, &six, 1);
  json_array_append_new(
      json_object_get(w->receipt[0], "logs"),
      json_pack("{s:[o, o]}", "topics", cd_value_of_bytes(topic.b, 32), cd_value_of_bytes(CHANNEL.b, 32)));
  assert_int_equal(cd_read_receipt(w->rpc, w->db, 6, &TX, &CHANNEL, &r), CH_OK);
  assert_int_equal(r.status, CD_RECEIPT_REVERTED);
  assert_int_equal(cd_read_receipt(w->rpc, w->db, 6, &TX, &NONE, &r), CH_OK);
  assert_int_equal(r.status, CD_RECEIPT_OK);
  assert_int_equal(cd_read_receipt(w->rpc, w->db, 6, &TX, &TX, &r), CH_OK); /* another channel's was executed */
  assert_int_equal(r.status, CD_RECEIPT_OK);
}

static void hostile_receipts(void **state) {
  static const char *const keys[] = {"transactionHash", "status", "blockNumber",
                                     "blockHash",       "logs",   "contractAddress"};
  world *w = *state;
  cd_receipt r;
  ch_hash six = blocks(w);
  w->chain_id[1] = 0;
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    json_decref(w->receipt[0]);
    w->receipt[0] = receipt(6, &six, 1);
    json_object_set_new(w->receipt[0], keys[i], json_string("0x099"));
    assert_int_equal(cd_read_receipt(w->rpc, w->db, 6, &TX, &NONE, &r), CH_ERR_STALE);
    assert_int_equal(r.status, CD_RECEIPT_NONE);
  }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_chain), TEST(the_contract),          TEST(the_events),
      TEST(the_tag),   TEST(the_place_of_a_reveal), TEST(accounts),
      TEST(receipts),  TEST(receipts_of_batches),   TEST(hostile_receipts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
