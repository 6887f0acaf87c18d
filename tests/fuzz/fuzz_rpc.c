/* Answers of chain nodes. The first byte names the question, the rest is the answer's body, or its result: whatever it
 * is, the reply is a value of the right kind or none, and no log is believed that is not of the block. */
#include "fake_http.h"
#include "fuzz.h"
#include "l1/evm/block.h"
#include "l1/evm/decode.h"
#include "l1/evm/value.h"

typedef struct input {
  const uint8_t *data;
  size_t size;
  bool whole; /* the body itself, not only the result in it */
} input;

static void answer(void *ctx, const char *url, const char *method, const json_t *params, json_int_t id,
                   cd_http_answer *out) {
  const input *in = ctx;
  (void)url;
  (void)method;
  (void)params;
  json_t *result = in->whole ? NULL : json_loadb((const char *)in->data, in->size, JSON_DECODE_ANY, NULL);
  if (result != NULL) {
    fake_result(out, id, result);
    return;
  }
  *out = (cd_http_answer){.status = 200, .body = text_of(in->data, in->size), .len = in->size};
}

static void logs(cd_rpc *rpc) {
  ch_addr address = {{0xad}};
  cd_evm_block block = {.number = 7};
  cd_evm_log *found = NULL;
  cd_evm_ending ending;
  size_t n = 0;
  memset(block.bloom, 0xff, sizeof block.bloom);
  if (cd_evm_logs_of(rpc, 0, &address, &block, &found, &n) != CD_RPC_OK) return;
  for (size_t i = 0; i < n; i++) {
    must(ch_hash_eq(&found[i].block_hash, &block.hash) && found[i].block == block.number, "a log of the block");
    cd_evm_ending_of(&ending, &found[i]);
  }
  free(found);
}

static void storage(cd_rpc *rpc) {
  ch_addr address = {{0xad}};
  cd_evm_word words[CD_EVM_SLOTS] = {0};
  ch_hash slots[CD_EVM_SLOTS];
  ch_adj_slots decoded;
  char why[CD_RPC_TEXT];
  if (cd_evm_storage(rpc, 0, &address, words, CD_EVM_SLOTS, why) != CD_RPC_OK) return;
  for (size_t i = 0; i < CD_EVM_SLOTS; i++)
    slots[i] = words[i].value;
  if (cd_evm_slots_decode(&decoded, slots) == CH_OK) {
    ch_net total;
    must(ch_net_sum(&total, decoded.contribution[0], decoded.contribution[1]) == CH_OK, "a channel's total fits");
  }
}

static void values(cd_rpc *rpc) {
  cd_rpc_reply reply;
  uint8_t word[32], *data;
  uint64_t n;
  size_t len;
  ch_amount amount;
  if (cd_rpc_ask(rpc, 0, "eth_call", json_array(), &reply) == CD_RPC_OK) {
    if (cd_value_u64(reply.result, &n)) must(cd_value_word(reply.result, word), "a short quantity is a quantity");
    if (cd_value_amount(reply.result, &amount)) must(amount.v <= CH_MONEY_MAX, "money has a bound");
    if (cd_value_data(reply.result, 100, &data, &len)) {
      must(len <= 100, "data has a bound");
      free(data);
    }
  }
  cd_rpc_reply_clear(&reply);
}

static void block(cd_rpc *rpc, const char *tag) {
  cd_evm_block b;
  bool found;
  if (tag != NULL) {
    (void)cd_evm_block_tagged(rpc, 0, tag, &b, &found);
  } else if (cd_evm_block_at(rpc, 0, 7, &b, &found) == CD_RPC_OK && found) {
    must(b.number == 7, "the block that was asked for");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const urls[] = {"http://node"};
  char why[CD_RPC_TEXT];
  cd_rpc *rpc;
  if (size == 0) return 0;
  input in = {data + 1, size - 1, (data[0] & 1) != 0};
  fake_http fake = {.answer = answer, .ctx = &in};
  cd_http http = fake_http_port(&fake);
  cd_rpc_config cfg = {.urls = urls, .n_urls = 1, .http = &http, .answer_max = 1 << 20};
  must(cd_rpc_new(&rpc, &cfg, why) == CH_OK, "a client");
  switch (data[0] >> 1 & 7) {
  case 0: block(rpc, NULL); break;
  case 1: block(rpc, "latest"); break;
  case 2:
  case 3: logs(rpc); break;
  case 4: storage(rpc); break;
  default: values(rpc); break;
  }
  cd_rpc_free(rpc);
  return 0;
}
