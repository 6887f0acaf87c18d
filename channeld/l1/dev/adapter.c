/* adapter.c - the embedded chain as the L1 port: an account that signs, and the clock. What follows the chain is in
 * follow.c. */
#include "adapter.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "follow.h"

#define BATCH 50 /* Close calls in one transaction: they fit into CD_DEV_DATA_MAX */

typedef struct l1 {
  cd_dev *dev;
  cd_follow *follow;
  ch_secret *key; /* in locked memory */
  ch_addr address;
  uint32_t confirmations;
} l1;

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static ch_err l1_chain(void *ctx, ch_chain *out) {
  const l1 *l = ctx;
  *out = cd_dev_identity(l->dev);
  return CH_OK;
}

static uint64_t l1_now(void *ctx) {
  const l1 *l = ctx;
  return cd_follow_now(l->follow);
}

static ch_err l1_address(void *ctx, ch_addr *out) {
  const l1 *l = ctx;
  *out = l->address;
  return CH_OK;
}

static ch_err l1_balance(void *ctx, const ch_addr *who, const ch_addr *asset, ch_amount *out) {
  const l1 *l = ctx;
  return cd_dev_balance(l->dev, who, asset, out);
}

static ch_err l1_nonce(void *ctx, uint64_t *out) {
  const l1 *l = ctx;
  return cd_dev_nonce(l->dev, &l->address, out);
}

static ch_err l1_receipt(void *ctx, const ch_hash *hash, const ch_hash *channel, cd_receipt *out) {
  const l1 *l = ctx;
  return cd_dev_receipt(l->dev, hash, channel, l->confirmations, out);
}

/* --- Transactions ------------------------------------------------------------------------------------------------- */

static ch_err copy_out(const uint8_t *bytes, size_t n, uint8_t **out, size_t *len) {
  *out = malloc(n);
  if (*out == NULL) {
    return CH_ERR_NO_MEMORY;
  }
  memcpy(*out, bytes, n);
  *len = n;
  return CH_OK;
}

static ch_err encode(const cd_dev_body *body, uint8_t **data, size_t *len) {
  uint8_t bytes[CD_DEV_TX_MAX];
  size_t n = cd_dev_body_encode(bytes, body);
  return n == 0 ? CH_ERR_ARGUMENT : copy_out(bytes, n, data, len);
}

static ch_err l1_encode_call(void *ctx, const ch_tx *tx, uint8_t **data, size_t *len) {
  cd_dev_body body = {.kind = CD_DEV_CALL, .u.call = *tx};
  (void)ctx;
  return encode(&body, data, len);
}

static ch_err l1_encode_transfer(void *ctx, const ch_addr *to, const ch_addr *asset, ch_amount amount, uint8_t **data,
                                 size_t *len) {
  cd_dev_body body = {.kind = CD_DEV_TRANSFER};
  (void)ctx;
  body.u.transfer.to = *to;
  body.u.transfer.asset = *asset;
  body.u.transfer.amount = amount;
  return encode(&body, data, len);
}

static ch_err encode_batch(const cd_call *calls, size_t n, uint8_t **data, size_t *len) {
  const uint8_t *bodies[BATCH];
  size_t lens[BATCH];
  cd_dev_body body;
  if (n > BATCH) {
    return CH_ERR_ARGUMENT;
  }
  for (size_t i = 0; i < n; i++) {
    bodies[i] = calls[i].data;
    lens[i] = calls[i].len;
  }
  ch_err err = cd_dev_batch_of(&body, bodies, lens, n);
  return err == CH_OK ? encode(&body, data, len) : err;
}

/* This chain has no fees, and tells by the receipt what it refused. */
static cd_ready l1_prepare(void *ctx, const cd_call *calls, size_t n, cd_prepared *out, char why[200]) {
  (void)ctx;
  *out = (cd_prepared){.value = calls[0].value};
  ch_err err = n == 1 ? copy_out(calls[0].data, calls[0].len, &out->data, &out->len)
                      : encode_batch(calls, n, &out->data, &out->len);
  if (err == CH_OK) {
    return CD_READY;
  }
  snprintf(why, 200, "%s", ch_err_text(err));
  return CD_READY_RETRY;
}

static ch_err l1_sign(void *ctx, uint64_t nonce, const cd_prepared *what, uint8_t **raw, size_t *raw_len,
                      ch_hash *hash) {
  const l1 *l = ctx;
  uint8_t bytes[CD_DEV_TX_MAX];
  size_t n;
  cd_dev_tx tx = {.chain_id = cd_dev_identity(l->dev).chain_id, .nonce = nonce};
  ch_err err = cd_dev_body_decode(&tx.body, what->data, what->len);
  if (err != CH_OK) {
    return err;
  }
  if (tx.body.kind == CD_DEV_CALL) {
    tx.value = what->value;
  }
  err = cd_dev_tx_sign(bytes, &n, &tx, l->key);
  if (err != CH_OK) {
    return err;
  }
  cd_dev_tx_hash(hash, bytes, n);
  return copy_out(bytes, n, raw, raw_len);
}

static cd_sent l1_broadcast(void *ctx, const uint8_t *raw, size_t len, char why[200]) {
  const l1 *l = ctx;
  cd_sent sent = cd_dev_submit(l->dev, raw, len, why);
  cd_follow_poke(l->follow);
  return sent;
}

/* --- Following ------------------------------------------------------------------------------------------------------
 */

static ch_err l1_start(void *ctx, const cd_l1_listener *listener) {
  const l1 *l = ctx;
  return cd_follow_start(l->follow, listener);
}

static void l1_watch(void *ctx, const ch_hash *id) {
  const l1 *l = ctx;
  cd_follow_watch(l->follow, id);
}

static void l1_watch_hash(void *ctx, const ch_hash *id, const ch_hash *hash) {
  const l1 *l = ctx;
  cd_follow_watch_hash(l->follow, id, hash);
}

static void l1_unwatch_hash(void *ctx, const ch_hash *id, const ch_hash *hash) {
  const l1 *l = ctx;
  cd_follow_unwatch_hash(l->follow, id, hash);
}

static void l1_unwatch(void *ctx, const ch_hash *id) {
  const l1 *l = ctx;
  cd_follow_unwatch(l->follow, id);
}

static void l1_poke(void *ctx) {
  const l1 *l = ctx;
  cd_follow_poke(l->follow);
}

static void l1_stop(void *ctx) {
  const l1 *l = ctx;
  cd_follow_stop(l->follow);
}

/* --- For trying things: the clock that this process shows must have jumped when the call returns
 * ----------------------- */

static ch_err changed(const l1 *l, ch_err err) {
  if (err == CH_OK) {
    err = cd_follow_clock(l->follow);
  }
  cd_follow_poke(l->follow);
  return err;
}

static ch_err l1_faucet(void *ctx, const ch_addr *to, const ch_addr *asset, ch_amount amount) {
  const l1 *l = ctx;
  return changed(l, cd_dev_faucet(l->dev, to, asset, amount));
}

static ch_err l1_mine(void *ctx, unsigned blocks) {
  const l1 *l = ctx;
  return changed(l, cd_dev_mine(l->dev, blocks));
}

static ch_err l1_warp(void *ctx, uint64_t seconds) {
  const l1 *l = ctx;
  return changed(l, cd_dev_warp(l->dev, seconds));
}

static ch_err l1_reorg(void *ctx, unsigned depth, bool drop_transactions) {
  const l1 *l = ctx;
  return changed(l, cd_dev_reorg(l->dev, depth, drop_transactions));
}

static const cd_l1_ops OPS = {
    .name = "dev",
    .chain = l1_chain,
    .now = l1_now,
    .address = l1_address,
    .balance = l1_balance,
    .encode_call = l1_encode_call,
    .encode_transfer = l1_encode_transfer,
    .nonce = l1_nonce,
    .prepare = l1_prepare,
    .batch = BATCH,
    .sign = l1_sign,
    .broadcast = l1_broadcast,
    .receipt = l1_receipt,
    .start = l1_start,
    .watch = l1_watch,
    .unwatch = l1_unwatch,
    .watch_hash = l1_watch_hash,
    .unwatch_hash = l1_unwatch_hash,
    .poke = l1_poke,
    .stop = l1_stop,
    .faucet = l1_faucet,
    .mine = l1_mine,
    .warp = l1_warp,
    .reorg = l1_reorg,
};

/* --- Opening --------------------------------------------------------------------------------------------------------
 */

static ch_err set_key(l1 *l, const ch_secret *account) {
  ch_pubkey pub;
  l->key = sodium_malloc(sizeof *l->key);
  if (l->key == NULL) {
    return CH_ERR_NO_MEMORY;
  }
  *l->key = *account;
  ch_err err = ch_pubkey_of(&pub, l->key);
  return err == CH_OK ? ch_address_of(&l->address, &pub) : err;
}

static void free_all(l1 *l) {
  cd_follow_free(l->follow);
  cd_dev_close(l->dev);
  sodium_free(l->key);
  free(l);
}

ch_err cd_l1_dev_open(cd_l1 *out, const cd_l1_dev_config *cfg, char why[CD_DEV_WHY]) {
  why[0] = '\0';
  if (cfg->confirmations > CD_DEV_REORG_MAX) {
    snprintf(why, CD_DEV_WHY, "The embedded chain keeps %d blocks of its past; ask for fewer confirmations.",
             CD_DEV_REORG_MAX);
    return CH_ERR_ARGUMENT;
  }
  l1 *l = calloc(1, sizeof *l);
  if (l == NULL) {
    return CH_ERR_NO_MEMORY;
  }
  l->confirmations = cfg->confirmations;
  ch_err err = set_key(l, cfg->account);
  if (err == CH_OK) {
    err = cd_dev_open(&l->dev, cfg->path, cfg->chain, why);
  }
  if (err == CH_OK) {
    err = cd_follow_new(&l->follow, l->dev, cfg);
  }
  if (err != CH_OK) {
    if (why[0] == '\0') {
      snprintf(why, CD_DEV_WHY, "%s", ch_err_text(err));
    }
    free_all(l);
    return err;
  }
  *out = (cd_l1){.ctx = l, .ops = &OPS};
  return CH_OK;
}

void cd_l1_dev_close(cd_l1 *l1_port) {
  free_all(l1_port->ctx);
  l1_port->ctx = NULL;
}
