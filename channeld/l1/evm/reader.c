#include "reader.h"

#include <stdio.h>

#include "channel/crypto.h"
#include "value.h"

static ch_err ask_account(cd_rpc *rpc, const char *method, const ch_addr *who, cd_rpc_reply *reply) {
  json_t *params = json_pack("[o, s]", cd_value_of_bytes(who->b, sizeof who->b), "latest");
  return cd_rpc_call(rpc, method, params, reply) == CD_RPC_OK ? CH_OK : CH_ERR_STALE;
}

ch_err cd_read_coin(cd_rpc *rpc, const ch_addr *who, ch_amount *out) {
  cd_rpc_reply reply;
  ch_err err = ask_account(rpc, "eth_getBalance", who, &reply);
  if (err == CH_OK && !cd_value_amount(reply.result, out)) err = CH_ERR_STALE;
  cd_rpc_reply_clear(&reply);
  return err;
}

ch_err cd_read_nonce(cd_rpc *rpc, const ch_addr *who, uint64_t *out) {
  cd_rpc_reply reply;
  ch_err err = ask_account(rpc, "eth_getTransactionCount", who, &reply);
  if (err == CH_OK && !cd_value_u64(reply.result, out)) err = CH_ERR_STALE;
  cd_rpc_reply_clear(&reply);
  return err;
}

/* --- Receipts ----------------------------------------------------------------------------------------------------- */

/* Whether the contract left out the channel's call when it worked through a batch. */
static bool is_skipped(const json_t *receipt, const ch_hash *channel) {
  static const char event[] = "Skipped(bytes32,uint256,bytes4)";
  const json_t *logs = json_object_get(receipt, "logs");
  ch_hash topic, got;
  if (ch_hash_is_zero(channel)) return false;
  ch_keccak256(&topic, event, sizeof event - 1);
  for (size_t i = 0; i < json_array_size(logs); i++) {
    const json_t *topics = json_object_get(json_array_get(logs, i), "topics");
    if (cd_value_bytes(json_array_get(topics, 0), got.b, 32) && ch_hash_eq(&got, &topic) &&
        cd_value_bytes(json_array_get(topics, 1), got.b, 32) && ch_hash_eq(&got, channel))
      return true;
  }
  return false;
}

static bool parse_receipt(const json_t *v, const ch_hash *hash, const ch_hash *channel, ch_hash *block,
                          cd_receipt *out) {
  ch_hash got;
  uint64_t status;
  if (!cd_value_bytes(json_object_get(v, "transactionHash"), got.b, 32) || !ch_hash_eq(&got, hash) ||
      !cd_value_u64(json_object_get(v, "status"), &status) || status > 1 ||
      !cd_value_u64(json_object_get(v, "blockNumber"), &out->block) ||
      !cd_value_bytes(json_object_get(v, "blockHash"), block->b, 32) || !json_is_array(json_object_get(v, "logs")))
    return false;
  const json_t *created = json_object_get(v, "contractAddress");
  if (created != NULL && !json_is_null(created) && !cd_value_bytes(created, out->created.b, 20)) return false;
  out->status = status == 1 ? CD_RECEIPT_OK : CD_RECEIPT_REVERTED;
  if (status == 0) snprintf(out->error, sizeof out->error, "The transaction was mined, but the contract refused it.");
  if (status == 1 && is_skipped(v, channel)) {
    out->status = CD_RECEIPT_REVERTED;
    snprintf(out->error, sizeof out->error, "The contract left this channel out of a batch: its call was refused.");
  }
  return true;
}

/* *found is false if the node knows none, or one in a block that is not on the chain. */
static ch_err ask_receipt(cd_rpc *rpc, size_t url, cd_scandb *db, const ch_hash *hash, const ch_hash *channel,
                          cd_receipt *out, bool *found) {
  cd_rpc_reply reply;
  ch_hash block;
  cd_scan_block mine;
  bool kept = false;
  *out = (cd_receipt){.status = CD_RECEIPT_NONE};
  *found = false;
  json_t *params = json_pack("[o]", cd_value_of_bytes(hash->b, sizeof hash->b));
  ch_err err = cd_rpc_ask(rpc, url, "eth_getTransactionReceipt", params, &reply) == CD_RPC_OK ? CH_OK : CH_ERR_STALE;
  if (err == CH_OK && !json_is_null(reply.result)) {
    *found = parse_receipt(reply.result, hash, channel, &block, out);
    if (!*found) {
      cd_rpc_distrust(rpc, url, "its receipt is malformed or another one");
      err = CH_ERR_STALE;
    }
  }
  cd_rpc_reply_clear(&reply);
  if (*found) err = cd_scandb_at(db, out->block, &mine, &kept);
  if (err != CH_OK || (kept && !ch_hash_eq(&mine.hash, &block))) *found = false;
  if (!*found) *out = (cd_receipt){.status = CD_RECEIPT_NONE};
  return err;
}

ch_err cd_read_receipt(cd_rpc *rpc, cd_scandb *db, uint64_t final, const ch_hash *hash, const ch_hash *channel,
                       cd_receipt *out) {
  size_t n = cd_rpc_count(rpc);
  bool asked[CD_RPC_URLS_MAX] = {false}, found = false;
  ch_err err = CH_ERR_STALE;
  /* First those that answer, then the others, if it must be. */
  for (size_t i = 0; i < 2 * n && !found; i++) {
    size_t url = i % n;
    if (asked[url] || (i < n ? cd_rpc_rests(rpc, url) : err == CH_OK)) continue;
    asked[url] = true;
    if (ask_receipt(rpc, url, db, hash, channel, out, &found) == CH_OK) err = CH_OK;
  }
  out->final = found && out->block <= final;
  return err;
}
