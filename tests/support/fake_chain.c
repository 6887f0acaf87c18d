#include "fake_chain.h"

#include <stdlib.h>
#include <string.h>

#include "channel/crypto.h"
#include "l1/evm/decode.h"
#include "l1/evm/value.h"

/* Marks an item in a bloom; written apart from the code under test: keccak's first three pairs of bytes. */
static void mark(uint8_t bloom[CD_EVM_BLOOM], const uint8_t *item, size_t len) {
  ch_hash h;
  ch_keccak256(&h, item, len);
  for (size_t i = 0; i < 6; i += 2) {
    unsigned bit = (h.b[i] * 256u + h.b[i + 1]) % 2048;
    bloom[255 - bit / 8] |= (uint8_t)(1u << bit % 8);
  }
}

static fake_block *last(fake_chain *c) {
  return &c->blocks[c->n - 1];
}

static void append(fake_chain *c, uint8_t branch) {
  if (c->n == c->cap) {
    c->cap = c->cap == 0 ? 64 : 2 * c->cap;
    c->blocks = realloc(c->blocks, c->cap * sizeof *c->blocks);
    if (c->blocks == NULL) abort();
  }
  fake_block *b = &c->blocks[c->n];
  memset(b, 0, sizeof *b);
  if (c->n > 0) {
    memcpy(b->state, b[-1].state, sizeof b->state);
    b->n_state = b[-1].n_state;
    b->head.parent = b[-1].head.hash;
  }
  b->head.number = c->n;
  b->head.time = 1000 + 10 * c->n;
  uint8_t seed[41] = {branch};
  memcpy(seed + 1, b->head.parent.b, 32);
  memcpy(seed + 33, &b->head.number, 8);
  ch_keccak256(&b->head.hash, seed, sizeof seed);
  c->n++;
}

void fake_chain_init(fake_chain *c, const ch_addr *contract) {
  *c = (fake_chain){.chain_id = 31337, .contract = *contract};
  append(c, 0);
}

void fake_chain_free(fake_chain *c) {
  free(c->blocks);
  *c = (fake_chain){0};
}

void fake_chain_copy(fake_chain *to, const fake_chain *from) {
  *to = *from;
  to->blocks = malloc(from->cap * sizeof *from->blocks);
  if (to->blocks == NULL) abort();
  memcpy(to->blocks, from->blocks, from->n * sizeof *from->blocks);
}

void fake_chain_mine(fake_chain *c, unsigned blocks, uint8_t branch) {
  for (unsigned i = 0; i < blocks; i++)
    append(c, branch);
}

void fake_chain_drop(fake_chain *c, unsigned blocks) {
  c->n -= blocks;
}

void fake_chain_set(fake_chain *c, const ch_hash *id, unsigned k, const ch_hash *value) {
  fake_block *b = last(c);
  ch_hash slot;
  size_t i = 0;
  cd_evm_slot(&slot, id, k);
  while (i < b->n_state && !ch_hash_eq(&b->state[i].slot, &slot))
    i++;
  if (i == FAKE_STATE) abort();
  if (i == b->n_state) b->n_state++;
  b->state[i].slot = slot;
  b->state[i].value = *value;
}

void fake_chain_log(fake_chain *c, const char *event, const ch_hash *id, const uint8_t *data, size_t len) {
  fake_block *b = last(c);
  if (b->n_logs == 4 || len > 64) abort();
  ch_keccak256(&b->log[b->n_logs].topic[0], event, strlen(event));
  b->log[b->n_logs].topic[1] = *id;
  memcpy(b->log[b->n_logs].data, data, len);
  b->log[b->n_logs].len = len;
  mark(b->head.bloom, c->contract.b, sizeof c->contract.b);
  for (size_t i = 0; i < 2; i++)
    mark(b->head.bloom, b->log[b->n_logs].topic[i].b, 32);
  b->n_logs++;
}

/* --- Answers ------------------------------------------------------------------------------------------------------ */

static json_t *hash_json(const ch_hash *h) {
  return cd_value_of_bytes(h->b, sizeof h->b);
}

static json_t *block_json(const fake_chain *c, const json_t *which) {
  const char *tag = json_string_value(which);
  uint64_t number = c->n - 1 - c->frozen;
  if (strcmp(tag, "finalized") == 0) number = number > 3 ? number - 3 : 0;
  if (tag[0] == '0' && !cd_value_u64(which, &number)) abort();
  if (number >= c->n) return json_null();
  const cd_evm_block *b = &c->blocks[number].head;
  return json_pack("{s:o, s:o, s:o, s:o, s:o}", "number", cd_value_of_u64(b->number), "timestamp",
                   cd_value_of_u64(b->time), "hash", hash_json(&b->hash), "parentHash", hash_json(&b->parent),
                   "logsBloom", cd_value_of_bytes(b->bloom, sizeof b->bloom));
}

static json_t *log_json(const fake_chain *c, const fake_block *b, size_t i) {
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:[o, o], s:o}", "address", cd_value_of_bytes(c->contract.b, 20),
                   "blockNumber", cd_value_of_u64(b->head.number), "blockHash", hash_json(&b->head.hash), "logIndex",
                   cd_value_of_u64(i), "transactionHash", hash_json(&b->log[i].topic[0]), "topics",
                   hash_json(&b->log[i].topic[0]), hash_json(&b->log[i].topic[1]), "data",
                   cd_value_of_bytes(b->log[i].data, b->log[i].len));
}

static bool is_wanted(const json_t *topics, const fake_block *b, size_t i) {
  ch_hash want;
  if (topics == NULL) return true;
  bool kind = false;
  for (size_t k = 0; k < json_array_size(json_array_get(topics, 0)); k++) {
    if (!cd_value_bytes(json_array_get(json_array_get(topics, 0), k), want.b, 32)) abort();
    kind = kind || ch_hash_eq(&want, &b->log[i].topic[0]);
  }
  if (!cd_value_bytes(json_array_get(topics, 1), want.b, 32)) abort();
  return kind && ch_hash_eq(&want, &b->log[i].topic[1]);
}

static json_t *logs_json(fake_chain *c, const json_t *filter) {
  uint64_t first = 0, last_number = c->n - 1;
  ch_hash hash;
  bool by_hash = cd_value_bytes(json_object_get(filter, "blockHash"), hash.b, 32);
  if (!by_hash && (!cd_value_u64(json_object_get(filter, "fromBlock"), &first) ||
                   !cd_value_u64(json_object_get(filter, "toBlock"), &last_number)))
    abort();
  c->log_questions++;
  if (!by_hash && c->narrow != 0 && last_number - first >= c->narrow) return NULL;
  json_t *list = json_array();
  for (uint64_t n = first; n <= last_number && n < c->n; n++) {
    const fake_block *b = &c->blocks[n];
    if (by_hash && !ch_hash_eq(&b->head.hash, &hash)) continue;
    for (size_t i = 0; i < b->n_logs && !c->hides_logs; i++) {
      if (is_wanted(json_object_get(filter, "topics"), b, i)) json_array_append_new(list, log_json(c, b, i));
    }
    if (!c->invents_log || !by_hash) continue;
    fake_block false_one = *b;
    ch_keccak256(&false_one.log[0].topic[1], "nobody", 6);
    json_array_append_new(list, log_json(c, &false_one, 3));
  }
  return list;
}

static json_t *storage_json(const fake_chain *c, const json_t *params) {
  ch_hash slot, hash, zero = {0};
  if (!cd_value_bytes(json_array_get(params, 1), slot.b, 32) ||
      !cd_value_bytes(json_object_get(json_array_get(params, 2), "blockHash"), hash.b, 32))
    abort();
  for (size_t n = 0; n < c->n; n++) {
    const fake_block *b = &c->blocks[n];
    if (!ch_hash_eq(&b->head.hash, &hash)) continue;
    for (size_t i = 0; i < b->n_state; i++) {
      if (ch_hash_eq(&b->state[i].slot, &slot)) return hash_json(&b->state[i].value);
    }
    return hash_json(&zero);
  }
  return NULL;
}

void fake_chain_answer(fake_chain *c, const char *method, const json_t *params, json_int_t id, cd_http_answer *out) {
  json_t *result = NULL;
  if (c->silent) {
    fake_silence(out, "Couldn't connect to server");
    return;
  }
  if (strcmp(method, "eth_chainId") == 0) result = cd_value_of_u64(c->chain_id);
  if (strcmp(method, "eth_getBlockByNumber") == 0) result = block_json(c, json_array_get(params, 0));
  if (strcmp(method, "eth_getLogs") == 0) result = logs_json(c, json_array_get(params, 0));
  if (strcmp(method, "eth_getStorageAt") == 0) result = storage_json(c, params);
  if (result != NULL)
    fake_result(out, id, result);
  else
    fake_error(out, id, -32000, "unknown block or range too wide");
}
