/* adapter.c - an EVM chain as the L1 port: joins the nodes (rpc.h), what follows the chain (follow.h), what is asked of
 * it (reader.h) and what is written to it (writer.h). */
#include "adapter.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "follow.h"
#include "reader.h"
#include "writer.h"

typedef struct l1 {
  cd_rpc *rpc;
  cd_scandb *db;
  cd_evm_follow *follow;
  cd_evm_writer writer;
  bool has_writer;
  ch_secret *key; /* in locked memory */
  ch_chain chain;
} l1;

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static ch_err l1_chain(void *ctx, ch_chain *out) {
  const l1 *l = ctx;
  *out = l->chain;
  return CH_OK;
}

static uint64_t l1_now(void *ctx) {
  const l1 *l = ctx;
  return cd_evm_follow_now(l->follow);
}

static ch_err l1_address(void *ctx, ch_addr *out) {
  const l1 *l = ctx;
  *out = l->writer.account;
  return CH_OK;
}

static ch_err l1_balance(void *ctx, const ch_addr *who, const ch_addr *asset, ch_amount *out) {
  l1 *l = ctx;
  return ch_addr_is_zero(asset) ? cd_read_coin(l->rpc, who, out) : cd_evm_token_balance(&l->writer, who, asset, out);
}

static ch_err l1_token(void *ctx, const ch_addr *asset, cd_token *out) {
  l1 *l = ctx;
  return cd_evm_token(&l->writer, asset, out);
}

static ch_err l1_nonce(void *ctx, uint64_t *out) {
  const l1 *l = ctx;
  return cd_read_nonce(l->rpc, &l->writer.account, out);
}

static ch_err l1_receipt(void *ctx, const ch_hash *hash, const ch_hash *channel, cd_receipt *out) {
  const l1 *l = ctx;
  cd_head head;
  bool has = cd_evm_follow_head(l->follow, &head);
  return cd_read_receipt(l->rpc, l->db, has ? head.final_number : 0, hash, channel, out);
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */

static ch_err l1_encode_call(void *ctx, const ch_tx *tx, uint8_t **data, size_t *len) {
  return cd_evm_encode_call(&((l1 *)ctx)->writer, tx, data, len);
}

static ch_err l1_encode_transfer(void *ctx, const ch_addr *to, const ch_addr *asset, ch_amount amount, uint8_t **data,
                                 size_t *len) {
  return cd_evm_encode_transfer(&((l1 *)ctx)->writer, to, asset, amount, data, len);
}

static ch_err l1_encode_deploy(void *ctx, uint8_t **data, size_t *len) {
  return cd_evm_encode_deploy(&((l1 *)ctx)->writer, data, len);
}

static bool l1_together(void *ctx, const cd_call *a, const cd_call *b) {
  (void)ctx;
  return cd_evm_together(a, b);
}

static cd_ready l1_prepare(void *ctx, const cd_call *calls, size_t n, cd_prepared *out, char why[200]) {
  return cd_evm_prepare(&((l1 *)ctx)->writer, calls, n, out, why);
}

static ch_err l1_sign(void *ctx, uint64_t nonce, const cd_prepared *what, uint8_t **raw, size_t *raw_len,
                      ch_hash *hash) {
  return cd_evm_sign(&((l1 *)ctx)->writer, nonce, what, raw, raw_len, hash);
}

static ch_err l1_outbid(void *ctx, const cd_bid *bid, uint8_t **raw, size_t *raw_len, ch_hash *hash) {
  return cd_evm_outbid(&((l1 *)ctx)->writer, bid, raw, raw_len, hash);
}

static cd_sent l1_broadcast(void *ctx, const uint8_t *raw, size_t len, char why[200]) {
  l1 *l = ctx;
  cd_sent sent = cd_evm_broadcast(&l->writer, raw, len, why);
  cd_evm_follow_poke(l->follow);
  return sent;
}

static ch_err l1_dispute_cost(void *ctx, uint32_t locks, ch_amount *out) {
  return cd_evm_dispute_cost(&((l1 *)ctx)->writer, locks, out);
}

/* --- Following ---------------------------------------------------------------------------------------------------- */

static ch_err l1_start(void *ctx, const cd_l1_listener *listener) {
  return cd_evm_follow_start(((l1 *)ctx)->follow, listener);
}

static void l1_watch(void *ctx, const ch_hash *id) {
  cd_evm_follow_watch(((l1 *)ctx)->follow, id);
}

static void l1_unwatch(void *ctx, const ch_hash *id) {
  cd_evm_follow_unwatch(((l1 *)ctx)->follow, id);
}

static void l1_watch_hash(void *ctx, const ch_hash *id, const ch_hash *hash) {
  cd_evm_follow_watch_hash(((l1 *)ctx)->follow, id, hash);
}

static void l1_unwatch_hash(void *ctx, const ch_hash *id, const ch_hash *hash) {
  cd_evm_follow_unwatch_hash(((l1 *)ctx)->follow, id, hash);
}

static void l1_poke(void *ctx) {
  cd_evm_follow_poke(((l1 *)ctx)->follow);
}

static void l1_stop(void *ctx) {
  cd_evm_follow_stop(((l1 *)ctx)->follow);
}

static const cd_l1_ops OPS = {
    .name = "evm",
    .chain = l1_chain,
    .now = l1_now,
    .address = l1_address,
    .balance = l1_balance,
    .token = l1_token,
    .encode_call = l1_encode_call,
    .encode_transfer = l1_encode_transfer,
    .encode_deploy = l1_encode_deploy,
    .nonce = l1_nonce,
    .prepare = l1_prepare,
    .batch = CD_EVM_BATCH,
    .together = l1_together,
    .sign = l1_sign,
    .outbid = l1_outbid,
    .broadcast = l1_broadcast,
    .receipt = l1_receipt,
    .dispute_cost = l1_dispute_cost,
    .start = l1_start,
    .watch = l1_watch,
    .unwatch = l1_unwatch,
    .watch_hash = l1_watch_hash,
    .unwatch_hash = l1_unwatch_hash,
    .poke = l1_poke,
    .stop = l1_stop,
};

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static void free_all(l1 *l) {
  cd_evm_follow_free(l->follow);
  if (l->has_writer) cd_evm_writer_free(&l->writer);
  cd_scandb_close(l->db);
  cd_rpc_free(l->rpc);
  sodium_free(l->key);
  free(l);
}

static ch_err open_nodes(l1 *l, const cd_l1_evm_config *cfg, bool *offline, char why[CD_EVM_WHY]) {
  cd_rpc_config rpc = {.urls = cfg->urls, .n_urls = cfg->n_urls, .http = cfg->http};
  ch_err err = cd_rpc_new(&l->rpc, &rpc, why);
  if (err == CH_OK) err = cd_check_chain(l->rpc, cfg->chain_id, &l->chain.chain_id, offline, why);
  l->chain.adjudicator = cfg->contract;
  if (err == CH_OK && !*offline && !ch_addr_is_zero(&cfg->contract)) err = cd_check_contract(l->rpc, &l->chain, why);
  if (err == CH_OK && !*offline && cfg->final_tag != NULL) err = cd_check_tag(l->rpc, cfg->final_tag, why);
  return err;
}

static ch_err open_follow(l1 *l, const cd_l1_evm_config *cfg, char why[CD_EVM_WHY]) {
  ch_err err = cd_scandb_open(&l->db, cfg->path, &l->chain, why);
  cd_evm_follow_config follow = {.rpc = l->rpc,
                                 .db = l->db,
                                 .chain = l->chain,
                                 .confirmations = cfg->confirmations,
                                 .tag = cfg->final_tag,
                                 .poll_ms = cfg->poll_ms == 0 ? CD_EVM_POLL_MS : cfg->poll_ms,
                                 .wall = cfg->wall,
                                 .wall_ctx = cfg->wall_ctx};
  return err == CH_OK ? cd_evm_follow_new(&l->follow, &follow) : err;
}

static ch_err open_writer(l1 *l, const cd_l1_evm_config *cfg) {
  l->key = sodium_malloc(sizeof *l->key);
  if (l->key == NULL) return CH_ERR_NO_MEMORY;
  *l->key = *cfg->account;
  l->has_writer = true;
  return cd_evm_writer_init(&l->writer, l->rpc, &l->chain, l->key, cfg->fee_limit, l1_now, l);
}

ch_err cd_l1_evm_open(cd_l1 *out, const cd_l1_evm_config *cfg, char why[CD_EVM_WHY]) {
  bool offline = false;
  why[0] = '\0';
  l1 *l = calloc(1, sizeof *l);
  if (l == NULL) return CH_ERR_NO_MEMORY;
  ch_err err = open_nodes(l, cfg, &offline, why);
  if (err == CH_OK) err = open_follow(l, cfg, why);
  if (err == CH_OK) err = open_writer(l, cfg);
  if (err != CH_OK) {
    if (why[0] == '\0') snprintf(why, CD_EVM_WHY, "%s", ch_err_text(err));
    free_all(l);
    return err;
  }
  uint64_t wall = cfg->wall != NULL ? cfg->wall(cfg->wall_ctx) : (uint64_t)time(NULL);
  if (!offline) cd_check_rest(l->rpc, &l->writer.account, wall);
  *out = (cd_l1){.ctx = l, .ops = &OPS};
  return CH_OK;
}

void cd_l1_evm_close(cd_l1 *l1_port) {
  free_all(l1_port->ctx);
  l1_port->ctx = NULL;
}
