#include "writer.h"

#include <stdio.h>
#include <stdlib.h>

#include "abi.h"
#include "artifact.h"
#include "erc20.h"
#include "rlp.h"
#include "tx.h"
#include "util/queue.h"
#include "value.h"

#define CALL 1
#define DEPLOY 2
#define MARKET_MS 3000
#define ANSWER_MAX 65536
/* Gas of challenge, refute and settle together, and of each lock in the settlement, both with a margin (the table in
 * proto/evm/README.md). */
#define DISPUTE_GAS 250000u
#define DISPUTE_LOCK_GAS 4500u

ch_err cd_evm_writer_init(cd_evm_writer *w, cd_rpc *rpc, const ch_chain *chain, const ch_secret *key,
                          uint64_t fee_limit, uint64_t (*now)(void *ctx), void *now_ctx) {
  ch_pubkey pub;
  *w = (cd_evm_writer){.rpc = rpc, .chain = *chain, .key = key, .fee_limit = fee_limit, .now = now, .now_ctx = now_ctx};
  pthread_mutex_init(&w->lock, NULL);
  ch_err err = ch_pubkey_of(&pub, key);
  return err == CH_OK ? ch_address_of(&w->account, &pub) : err;
}

void cd_evm_writer_free(cd_evm_writer *w) {
  pthread_mutex_destroy(&w->lock);
}

/* --- Encoding ------------------------------------------------------------------------------------------------------
 */

bool cd_evm_call_of(cd_evm_call *out, const uint8_t *data, size_t len) {
  if (len >= 1 && data[0] == DEPLOY) {
    *out = (cd_evm_call){.creates = true, .data = data + 1, .len = len - 1};
    return true;
  }
  if (len < 1 + sizeof out->to.b || data[0] != CALL) return false;
  *out = (cd_evm_call){.data = data + 1 + sizeof out->to.b, .len = len - 1 - sizeof out->to.b};
  memcpy(out->to.b, data + 1, sizeof out->to.b);
  return true;
}

/* Begins the bytes of a call. */
static cd_bytes begin(const ch_addr *to) {
  cd_bytes out = {0};
  cd_bytes_put(&out, &(uint8_t){CALL}, 1);
  cd_bytes_put(&out, to->b, sizeof to->b);
  return out;
}

ch_err cd_evm_call_bytes(const cd_evm_call *call, uint8_t **data, size_t *len) {
  cd_bytes out = begin(&call->to);
  cd_bytes_put(&out, call->data, call->len);
  return cd_bytes_take(&out, data, len);
}

ch_err cd_evm_encode_call(cd_evm_writer *w, const ch_tx *tx, uint8_t **data, size_t *len) {
  cd_bytes out = begin(&w->chain.adjudicator);
  ch_err err = cd_abi_call(&out, tx, &w->account);
  if (err == CH_OK) return cd_bytes_take(&out, data, len);
  free(out.b);
  return err;
}

ch_err cd_evm_encode_transfer(cd_evm_writer *w, const ch_addr *to, const ch_addr *asset, ch_amount amount,
                              uint8_t **data, size_t *len) {
  (void)w;
  bool native = ch_addr_is_zero(asset);
  cd_bytes out = begin(native ? to : asset);
  if (!native) cd_erc20_transfer(&out, to, amount);
  return cd_bytes_take(&out, data, len);
}

ch_err cd_evm_encode_deploy(cd_evm_writer *w, uint8_t **data, size_t *len) {
  (void)w;
  cd_bytes out = {0};
  cd_bytes_put(&out, &(uint8_t){DEPLOY}, 1);
  cd_bytes_put(&out, cd_artifact_creation, cd_artifact_creation_len);
  return cd_bytes_take(&out, data, len);
}

/* Source: yellow paper, section 7: the last 20 bytes of keccak256(rlp([sender, nonce])). */
void cd_evm_created(ch_addr *out, const ch_addr *sender, uint64_t nonce) {
  cd_bytes bytes = {0};
  ch_hash hash;
  size_t list = cd_rlp_open(&bytes);
  cd_rlp_put(&bytes, sender->b, sizeof sender->b);
  cd_rlp_put_uint(&bytes, nonce);
  cd_rlp_close(&bytes, list);
  ch_keccak256(&hash, bytes.b, bytes.failed ? 0 : bytes.n);
  memcpy(out->b, hash.b + 12, sizeof out->b);
  free(bytes.b);
}

/* --- Fees ----------------------------------------------------------------------------------------------------------
 */

bool cd_evm_market(cd_evm_writer *w, cd_market *out, char why[200]) {
  pthread_mutex_lock(&w->lock);
  uint64_t now = cd_monotonic_ms();
  bool young = w->market_ms != 0 && now < w->market_ms + MARKET_MS;
  *out = w->market;
  pthread_mutex_unlock(&w->lock);
  if (young) return true;
  cd_rpc_reply reply;
  json_t *params = json_pack("[s, s, [i]]", "0xa", "latest", CD_FEE_PERCENTILE);
  bool ok = cd_rpc_call(w->rpc, "eth_feeHistory", params, &reply) == CD_RPC_OK && cd_fee_market(out, reply.result);
  if (!ok) snprintf(why, 200, "the node does not say what fees are paid: %.120s", reply.text);
  cd_rpc_reply_clear(&reply);
  if (!ok) return false;
  pthread_mutex_lock(&w->lock);
  w->market = *out;
  w->market_ms = now;
  pthread_mutex_unlock(&w->lock);
  return true;
}

ch_err cd_evm_dispute_cost(cd_evm_writer *w, uint32_t locks, ch_amount *out) {
  cd_market market;
  char why[200];
  if (!cd_evm_market(w, &market, why)) return CH_ERR_STALE;
  out->v = (ch_u128)cd_fee_offer(&market, 0, w->fee_limit).max * (DISPUTE_GAS + (ch_u128)locks * DISPUTE_LOCK_GAS);
  return CH_OK;
}

/* --- Signing -------------------------------------------------------------------------------------------------------
 */

ch_err cd_evm_sign(cd_evm_writer *w, uint64_t nonce, const cd_prepared *what, uint8_t **raw, size_t *raw_len,
                   ch_hash *hash) {
  cd_evm_call call;
  cd_market market;
  char why[200];
  if (!cd_evm_call_of(&call, what->data, what->len)) return CH_ERR_FORMAT;
  if (!cd_evm_market(w, &market, why)) return CH_ERR_STALE;
  cd_fee fee = cd_fee_offer(&market, 0, w->fee_limit);
  const cd_evm_tx tx = {.type = CD_EVM_1559,
                        .chain_id = w->chain.chain_id,
                        .nonce = nonce,
                        .max_fee = fee.max,
                        .priority = fee.priority,
                        .gas = what->gas,
                        .creates = call.creates,
                        .to = call.to,
                        .value = what->value,
                        .data = call.data,
                        .data_len = call.len};
  return cd_evm_tx_sign(&tx, w->key, raw, raw_len, hash);
}

ch_err cd_evm_outbid(cd_evm_writer *w, const cd_bid *bid, uint8_t **raw, size_t *raw_len, ch_hash *hash) {
  cd_evm_tx tx;
  ch_addr sender;
  cd_market market;
  cd_fee fee;
  char why[200];
  *raw = NULL;
  ch_err err = cd_evm_tx_decode(&tx, &sender, bid->raw, bid->len);
  if (err != CH_OK) return err;
  if (!cd_evm_market(w, &market, why)) return CH_ERR_STALE;
  unsigned urgency = cd_fee_urgency(bid->since, bid->deadline, w->now(w->now_ctx));
  const cd_fee old = {tx.max_fee, tx.priority};
  if (!cd_fee_outbid(&fee, &old, &market, urgency, w->fee_limit, bid->refused)) return CH_OK;
  tx.max_fee = fee.max;
  tx.priority = fee.priority;
  return cd_evm_tx_sign(&tx, w->key, raw, raw_len, hash);
}

/* --- Broadcasting --------------------------------------------------------------------------------------------------
 */

/* What nodes answer (geth, reth, erigon, nethermind, besu, anvil), by a part of the text, in lower case. JSON-RPC has
 * no codes for it. What is not here is tried again: the bytes stay good. */
static const struct {
  const char *part;
  cd_sent means;
} answers[] = {
    {"already known", CD_SENT_KNOWN},
    {"alreadyknown", CD_SENT_KNOWN},
    {"known transaction", CD_SENT_KNOWN},
    {"already imported", CD_SENT_KNOWN},
    {"already exists", CD_SENT_KNOWN},
    {"nonce too low", CD_SENT_NONCE_LOW},
    {"nonce is too low", CD_SENT_NONCE_LOW},
    {"oldnonce", CD_SENT_NONCE_LOW},
    {"underpriced", CD_SENT_UNDERPRICED},
    {"feetoolow", CD_SENT_UNDERPRICED},
    {"fee too low", CD_SENT_UNDERPRICED},
    {"gas price too low", CD_SENT_UNDERPRICED},
    {"less than block base fee", CD_SENT_UNDERPRICED},
    {"below current base fee", CD_SENT_UNDERPRICED},
    {"intrinsic gas too low", CD_SENT_REFUSED},
    {"invalid sender", CD_SENT_REFUSED},
    {"invalid signature", CD_SENT_REFUSED},
    {"invalid chain id", CD_SENT_REFUSED},
    {"exceeds block gas limit", CD_SENT_REFUSED},
    {"max initcode size exceeded", CD_SENT_REFUSED},
    {"oversized data", CD_SENT_REFUSED},
};

static cd_sent meaning(const char *text) {
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    if (strcasestr(text, answers[i].part) != NULL) return answers[i].means;
  }
  return CD_SENT_RETRY;
}

static cd_sent broadcast_to(cd_evm_writer *w, size_t url, const uint8_t *raw, size_t len, char why[200]) {
  cd_rpc_reply reply;
  json_t *params = json_pack("[o]", cd_value_of_bytes(raw, len));
  cd_sent sent = CD_SENT_RETRY;
  switch (cd_rpc_ask(w->rpc, url, "eth_sendRawTransaction", params, &reply)) {
  case CD_RPC_OK: sent = CD_SENT_OK; break;
  case CD_RPC_REFUSED: sent = meaning(reply.text); break;
  case CD_RPC_FAILED: break;
  }
  snprintf(why, 200, "%.199s", sent == CD_SENT_OK ? "" : reply.text);
  cd_rpc_reply_clear(&reply);
  return sent;
}

/* To all nodes, as one may keep it to itself; the best answer counts, and of one that is not trusted only a good one.
 * Those that rest are not waited for when another one has taken it. */
cd_sent cd_evm_broadcast(cd_evm_writer *w, const uint8_t *raw, size_t len, char why[200]) {
  size_t n = cd_rpc_count(w->rpc);
  bool asked[CD_RPC_URLS_MAX] = {false};
  cd_sent best = CD_SENT_RETRY;
  snprintf(why, 200, "no node of the chain answers");
  for (size_t i = 0; n > 0 && i < 2 * n; i++) {
    size_t url = i % n;
    char text[200];
    if (asked[url] || (i < n ? cd_rpc_rests(w->rpc, url) : best <= CD_SENT_KNOWN)) continue;
    asked[url] = true;
    cd_sent sent = broadcast_to(w, url, raw, len, text);
    if (sent > CD_SENT_KNOWN && n > 1 && !cd_rpc_trusted(w->rpc, url)) continue;
    if (sent < best || best == CD_SENT_RETRY) memcpy(why, text, sizeof text);
    if (sent < best) best = sent;
  }
  return best;
}

/* --- Asking --------------------------------------------------------------------------------------------------------
 */

cd_rpc_status cd_evm_view(cd_evm_writer *w, const ch_addr *to, const uint8_t *data, size_t len, uint8_t **out,
                          size_t *out_len) {
  cd_rpc_reply reply;
  json_t *params = json_pack("[{s:o, s:o}, s]", "to", cd_value_of_bytes(to->b, sizeof to->b), "data",
                             cd_value_of_bytes(data, len), "latest");
  cd_rpc_status status = cd_rpc_call(w->rpc, "eth_call", params, &reply);
  if (status == CD_RPC_OK && !cd_value_data(reply.result, ANSWER_MAX, out, out_len)) status = CD_RPC_FAILED;
  cd_rpc_reply_clear(&reply);
  return status;
}

ch_err cd_evm_token_balance(cd_evm_writer *w, const ch_addr *who, const ch_addr *asset, ch_amount *out) {
  cd_bytes call = {0};
  uint8_t *answer = NULL;
  size_t n = 0;
  cd_erc20_balance_of(&call, who);
  ch_err err = call.failed ? CH_ERR_NO_MEMORY : CH_OK;
  if (err == CH_OK &&
      (cd_evm_view(w, asset, call.b, call.n, &answer, &n) != CD_RPC_OK || !cd_erc20_read_amount(out, answer, n)))
    err = CH_ERR_STALE;
  free(answer);
  free(call.b);
  return err;
}

ch_err cd_evm_token(cd_evm_writer *w, const ch_addr *asset, cd_token *out) {
  _Static_assert(sizeof out->symbol == CD_ERC20_TEXT, "a symbol fits");
  static const char *const questions[] = {"symbol()", "decimals()"};
  ch_err err = CH_OK;
  for (size_t i = 0; err == CH_OK && i < 2; i++) {
    uint8_t call[CD_ABI_SELECTOR], *answer = NULL;
    size_t n = 0;
    cd_abi_selector(call, questions[i]);
    cd_rpc_status status = cd_evm_view(w, asset, call, sizeof call, &answer, &n);
    if (status != CD_RPC_OK) {
      err = status == CD_RPC_REFUSED ? CH_ERR_FORMAT : CH_ERR_STALE;
    } else if (!(i == 0 ? cd_erc20_read_text(out->symbol, answer, n)
                        : cd_erc20_read_decimals(&out->decimals, answer, n))) {
      err = CH_ERR_FORMAT;
    }
    free(answer);
  }
  return err;
}
