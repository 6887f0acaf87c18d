#include "block.h"

#include <stdio.h>
#include <stdlib.h>

#include "channel/crypto.h"
#include "value.h"

static json_t *of_hash(const ch_hash *h) {
  return cd_value_of_bytes(h->b, sizeof h->b);
}

static json_t *of_addr(const ch_addr *a) {
  return cd_value_of_bytes(a->b, sizeof a->b);
}

static bool get_hash(const json_t *object, const char *key, ch_hash *out) {
  return cd_value_bytes(json_object_get(object, key), out->b, sizeof out->b);
}

static bool get_u64(const json_t *object, const char *key, uint64_t *out) {
  return cd_value_u64(json_object_get(object, key), out);
}

/* An answer that makes no sense. */
static cd_rpc_status nonsense(cd_rpc *rpc, size_t url, const char *why) {
  cd_rpc_distrust(rpc, url, why);
  return CD_RPC_FAILED;
}

/* --- Blocks ------------------------------------------------------------------------------------------------------- */

static bool parse_block(const json_t *v, cd_evm_block *out) {
  return get_u64(v, "number", &out->number) && get_u64(v, "timestamp", &out->time) && get_hash(v, "hash", &out->hash) &&
         get_hash(v, "parentHash", &out->parent) && out->number <= INT64_MAX && out->time <= INT64_MAX &&
         cd_value_bytes(json_object_get(v, "logsBloom"), out->bloom, sizeof out->bloom);
}

static cd_rpc_status block(cd_rpc *rpc, size_t url, json_t *which, const uint64_t *number, cd_evm_block *out,
                           bool *found) {
  cd_rpc_reply reply;
  *found = false;
  cd_rpc_status status = cd_rpc_ask(rpc, url, "eth_getBlockByNumber", json_pack("[o, b]", which, 0), &reply);
  if (status == CD_RPC_OK && !json_is_null(reply.result)) {
    *found = parse_block(reply.result, out) && (number == NULL || out->number == *number);
    if (!*found) status = nonsense(rpc, url, "its block is malformed or another one");
  }
  cd_rpc_reply_clear(&reply);
  return status;
}

cd_rpc_status cd_evm_block_at(cd_rpc *rpc, size_t url, uint64_t number, cd_evm_block *out, bool *found) {
  return block(rpc, url, cd_value_of_u64(number), &number, out, found);
}

cd_rpc_status cd_evm_block_tagged(cd_rpc *rpc, size_t url, const char *tag, cd_evm_block *out, bool *found) {
  return block(rpc, url, json_string(tag), NULL, out, found);
}

/* Three bits of 2048 for each item, from the first six bytes of its hash; bit 0 is the last byte's lowest. */
cd_evm_marks cd_evm_marks_of(const uint8_t *item, size_t len) {
  ch_hash h;
  cd_evm_marks marks;
  ch_keccak256(&h, item, len);
  for (size_t i = 0; i < 3; i++)
    marks.at[i] = (uint16_t)((h.b[2 * i] << 8 | h.b[2 * i + 1]) & 2047);
  return marks;
}

bool cd_evm_bloom_has(const uint8_t bloom[CD_EVM_BLOOM], const cd_evm_marks *marks) {
  bool all = true;
  for (size_t i = 0; i < 3; i++)
    all = all && (bloom[CD_EVM_BLOOM - 1 - marks->at[i] / 8] >> (marks->at[i] % 8) & 1) != 0;
  return all;
}

static bool shows(const cd_evm_block *b, const uint8_t *item, size_t len) {
  cd_evm_marks marks = cd_evm_marks_of(item, len);
  return cd_evm_bloom_has(b->bloom, &marks);
}

/* --- Logs --------------------------------------------------------------------------------------------------------- */

static bool parse_topics(const json_t *v, cd_evm_log *out) {
  size_t n = json_array_size(v);
  if (!json_is_array(v) || n > CD_EVM_TOPICS) return false;
  out->n_topics = n;
  for (size_t i = 0; i < n; i++) {
    if (!cd_value_bytes(json_array_get(v, i), out->topic[i].b, sizeof out->topic[i].b)) return false;
  }
  return true;
}

static bool parse_data(const json_t *v, cd_evm_log *out) {
  uint8_t *data;
  if (!cd_value_data(v, sizeof out->data, &data, &out->data_len)) return false;
  memcpy(out->data, data, out->data_len);
  free(data);
  return true;
}

static bool parse_log(const json_t *v, const ch_addr *address, cd_evm_log *out) {
  ch_addr of;
  *out = (cd_evm_log){0};
  return !json_is_true(json_object_get(v, "removed")) &&
         cd_value_bytes(json_object_get(v, "address"), of.b, sizeof of.b) && ch_addr_eq(&of, address) &&
         get_u64(v, "blockNumber", &out->block) && get_hash(v, "blockHash", &out->block_hash) &&
         get_u64(v, "logIndex", &out->index) && out->index <= INT64_MAX && get_hash(v, "transactionHash", &out->tx) &&
         parse_topics(json_object_get(v, "topics"), out) && parse_data(json_object_get(v, "data"), out);
}

static bool parse_logs(const json_t *v, const ch_addr *address, cd_evm_log **out, size_t *n) {
  *n = json_array_size(v);
  if (!json_is_array(v) || *n > CD_EVM_LOGS_MAX) return false;
  *out = calloc(*n + 1, sizeof **out);
  bool ok = *out != NULL;
  for (size_t i = 0; ok && i < *n; i++) {
    ok = parse_log(json_array_get(v, i), address, &(*out)[i]);
    /* In order, and none twice. */
    if (ok && i > 0) {
      const cd_evm_log *a = &(*out)[i - 1], *b = &(*out)[i];
      ok = a->block < b->block || (a->block == b->block && a->index < b->index);
    }
  }
  if (ok) return true;
  free(*out);
  *out = NULL;
  return false;
}

static cd_rpc_status logs(cd_rpc *rpc, size_t url, json_t *filter, const ch_addr *address, cd_evm_log **out,
                          size_t *n) {
  cd_rpc_reply reply;
  *out = NULL;
  *n = 0;
  cd_rpc_status status = cd_rpc_ask(rpc, url, "eth_getLogs", json_pack("[o]", filter), &reply);
  if (status == CD_RPC_OK && !parse_logs(reply.result, address, out, n))
    status = nonsense(rpc, url, "its logs are malformed");
  cd_rpc_reply_clear(&reply);
  return status;
}

bool cd_evm_log_fits(const cd_evm_log *log, const ch_addr *address, const cd_evm_block *b) {
  bool ok =
      log->block == b->number && ch_hash_eq(&log->block_hash, &b->hash) && shows(b, address->b, sizeof address->b);
  for (size_t i = 0; i < log->n_topics; i++)
    ok = ok && shows(b, log->topic[i].b, sizeof log->topic[i].b);
  return ok;
}

cd_rpc_status cd_evm_logs_of(cd_rpc *rpc, size_t url, const ch_addr *address, const cd_evm_block *b, cd_evm_log **out,
                             size_t *n) {
  json_t *filter = json_pack("{s:o, s:o}", "address", of_addr(address), "blockHash", of_hash(&b->hash));
  cd_rpc_status status = logs(rpc, url, filter, address, out, n);
  for (size_t i = 0; status == CD_RPC_OK && i < *n; i++) {
    if (cd_evm_log_fits(&(*out)[i], address, b)) continue;
    free(*out);
    *out = NULL;
    *n = 0;
    status = nonsense(rpc, url, "it shows logs that the block does not contain");
  }
  return status;
}

cd_rpc_status cd_evm_logs_search(cd_rpc *rpc, size_t url, const ch_addr *address, uint64_t first, uint64_t last,
                                 const ch_hash topic0[2], const ch_hash *topic1, cd_evm_log **out, size_t *n) {
  json_t *filter =
      json_pack("{s:o, s:o, s:o, s:[[o, o], o]}", "address", of_addr(address), "fromBlock", cd_value_of_u64(first),
                "toBlock", cd_value_of_u64(last), "topics", of_hash(&topic0[0]), of_hash(&topic0[1]), of_hash(topic1));
  cd_rpc_status status = logs(rpc, url, filter, address, out, n);
  for (size_t i = 0; status == CD_RPC_OK && i < *n; i++) {
    const cd_evm_log *log = &(*out)[i];
    bool wanted = log->block >= first && log->block <= last && log->n_topics >= 2 &&
                  ch_hash_eq(&log->topic[1], topic1) &&
                  (ch_hash_eq(&log->topic[0], &topic0[0]) || ch_hash_eq(&log->topic[0], &topic0[1]));
    if (wanted) continue;
    free(*out);
    *out = NULL;
    *n = 0;
    status = nonsense(rpc, url, "it shows logs that were not asked for");
  }
  return status;
}

/* --- Storage ------------------------------------------------------------------------------------------------------ */

static json_t *storage_params(const ch_addr *address, const cd_evm_word *word) {
  return json_pack("[o, o, {s:o, s:b}]", of_addr(address), of_hash(&word->slot), "blockHash", of_hash(&word->block),
                   "requireCanonical", 1);
}

/* At most CD_RPC_MANY. */
static cd_rpc_status some_words(cd_rpc *rpc, size_t url, const ch_addr *address, cd_evm_word *words, size_t n,
                                char why[CD_RPC_TEXT]) {
  json_t *params[CD_RPC_MANY];
  cd_rpc_reply replies[CD_RPC_MANY];
  for (size_t i = 0; i < n; i++)
    params[i] = storage_params(address, &words[i]);
  cd_rpc_status status = cd_rpc_ask_many(rpc, url, "eth_getStorageAt", params, n, replies);
  snprintf(why, CD_RPC_TEXT, "%s", replies[0].text);
  for (size_t i = 0; i < n; i++) {
    if (status == CD_RPC_OK && !cd_value_bytes(replies[i].result, words[i].value.b, sizeof words[i].value.b))
      status = nonsense(rpc, url, "its storage is malformed");
    cd_rpc_reply_clear(&replies[i]);
    json_decref(params[i]);
  }
  return status;
}

cd_rpc_status cd_evm_storage(cd_rpc *rpc, size_t url, const ch_addr *address, cd_evm_word *words, size_t n,
                             char why[CD_RPC_TEXT]) {
  cd_rpc_status status = CD_RPC_OK;
  for (size_t i = 0; i < n && status == CD_RPC_OK; i += CD_RPC_MANY)
    status = some_words(rpc, url, address, words + i, n - i < CD_RPC_MANY ? n - i : CD_RPC_MANY, why);
  return status;
}
