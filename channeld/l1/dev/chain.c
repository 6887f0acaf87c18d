/* chain.c - opening the chain, submitting transactions, and the powers that only a chain for trying things gives. */
#include "chain.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"

#define MINE_MAX 10000
#define WARP_MAX ((uint64_t)10 * 366 * 86400)

/* --- Transactions of the database ------------------------------------------------------------------------------ */

void cd_dev_begin_read(cd_dev *dev) {
  pthread_mutex_lock(&dev->lock);
  cd_sql_begin_read(&dev->db);
}

void cd_dev_begin_write(cd_dev *dev) {
  pthread_mutex_lock(&dev->lock);
  cd_sql_begin_write(&dev->db);
}

ch_err cd_dev_end(cd_dev *dev) {
  ch_err err = cd_sql_end(&dev->db);
  pthread_mutex_unlock(&dev->lock);
  return err;
}

/* --- Opening --------------------------------------------------------------------------------------------------- */

static uint64_t system_wall(void *ctx) {
  (void)ctx;
  return (uint64_t)time(NULL);
}

void cd_dev_faucet_key(ch_secret *out) {
  static const char seed[] = "channel dev faucet";
  ch_hash hash;
  ch_keccak256(&hash, seed, sizeof seed - 1);
  memcpy(out->b, hash.b, sizeof out->b);
}

void cd_dev_condition(ch_addr *out) {
  static const char name[] = "channel dev condition";
  ch_hash hash;
  ch_keccak256(&hash, name, sizeof name - 1);
  memcpy(out->b, hash.b + sizeof hash.b - sizeof out->b, sizeof out->b);
}

static ch_err set_faucet(cd_dev *dev) {
  ch_pubkey pub;
  cd_dev_faucet_key(&dev->faucet_key);
  ch_err err = ch_pubkey_of(&pub, &dev->faucet_key);
  return err == CH_OK ? ch_address_of(&dev->faucet, &pub) : err;
}

/* The Adjudicator lies at an address that nobody has a key for, made from the chain id. */
static void set_chain(cd_dev *dev, uint64_t chain_id) {
  char text[40];
  ch_hash hash;
  int len = snprintf(text, sizeof text, "adjudicator %llu", (unsigned long long)chain_id);
  ch_keccak256(&hash, text, (size_t)len);
  dev->chain.chain_id = chain_id;
  memcpy(dev->chain.adjudicator.b, hash.b + 12, sizeof dev->chain.adjudicator.b);
}

/* The row that the chain hangs on, and block 0. */
static void make_chain(cd_dev *dev, const cd_dev_options *opt) {
  uint64_t chain_id = opt->chain_id;
  while (chain_id == 0) {
    chain_id = randombytes_random();
  }
  cd_sql_run run = cd_sql_start(
      &dev->db, "INSERT INTO chain (one, chain_id, interval, clock_offset, branch) VALUES (1, ?, ?, 0, 0)");
  cd_sql_bind_int(&run, chain_id);
  cd_sql_bind_int(&run, opt->interval);
  cd_sql_exec(&run);
  dev->chain.chain_id = chain_id;
  cd_dev_genesis(dev);
}

static ch_err load_chain(cd_dev *dev) {
  cd_dev_begin_read(dev);
  cd_sql_run run = cd_sql_start(&dev->db, "SELECT chain_id, interval FROM chain");
  if (cd_sql_row(&run)) {
    set_chain(dev, cd_sql_int(&run, 0));
    dev->interval = (uint32_t)cd_sql_int(&run, 1);
  } else {
    dev->db.failed = true;
  }
  cd_sql_done(&run);
  return cd_dev_end(dev);
}

ch_err cd_dev_open(cd_dev **out, const char *path, const cd_dev_options *opt, char why[CD_DEV_WHY]) {
  static const cd_dev_options usual = {.interval = CD_DEV_INTERVAL};
  bool made;
  why[0] = '\0';
  *out = NULL;
  opt = opt == NULL ? &usual : opt;
  cd_dev *dev = calloc(1, sizeof *dev);
  if (dev == NULL) {
    snprintf(why, CD_DEV_WHY, "%s", ch_err_text(CH_ERR_NO_MEMORY));
    return CH_ERR_NO_MEMORY;
  }
  dev->wall = opt->wall == NULL ? system_wall : opt->wall;
  dev->wall_ctx = opt->wall_ctx;
  ch_err err = set_faucet(dev);
  if (err == CH_OK) {
    err = cd_dev_db_open(&dev->db, path, &made, why, CD_DEV_WHY);
  }
  if (err != CH_OK) {
    free(dev);
    return err;
  }
  pthread_mutex_init(&dev->lock, NULL);
  if (made) {
    make_chain(dev, opt);
    err = cd_sql_end(&dev->db);
  }
  if (err == CH_OK) {
    err = load_chain(dev);
  }
  if (err != CH_OK) {
    snprintf(why, CD_DEV_WHY, "The embedded chain %s cannot be read or written; check its disk and permissions.", path);
    cd_dev_close(dev);
    return err;
  }
  *out = dev;
  return CH_OK;
}

void cd_dev_close(cd_dev *dev) {
  if (dev != NULL) {
    cd_sql_close(&dev->db);
    pthread_mutex_destroy(&dev->lock);
    free(dev);
  }
}

/* --- Submitting ------------------------------------------------------------------------------------------------- */

static cd_sent because(char why[CD_DEV_WHY], cd_sent sent, const char *text) {
  snprintf(why, CD_DEV_WHY, "%s", text);
  return sent;
}

static bool is_mined(cd_dev *dev, const ch_hash *hash) {
  cd_sql_run run = cd_sql_start(&dev->db, "SELECT 1 FROM txs WHERE hash = ?");
  cd_sql_bind_bytes(&run, hash->b, sizeof hash->b);
  bool found = cd_sql_row(&run);
  cd_sql_done(&run);
  return found;
}

/* Whether the transaction can be the next one. Inside a transaction of the database. */
static cd_sent admit(cd_dev *dev, const cd_dev_tx *tx, const cd_dev_raw *raw, char why[CD_DEV_WHY]) {
  ch_hash hash;
  cd_dev_tx_hash(&hash, raw->bytes, raw->len);
  if (is_mined(dev, &hash)) {
    return because(why, CD_SENT_KNOWN, "The transaction is mined already.");
  }
  uint64_t nonce = cd_dev_ledger_nonce(&dev->db, &tx->sender);
  if (tx->nonce < nonce) {
    return because(why, CD_SENT_NONCE_LOW, "The nonce was used by another transaction; sign again with the next one.");
  }
  if (tx->nonce > nonce) {
    return because(why, CD_SENT_RETRY, "A transaction with a lower nonce is missing; send that first.");
  }
  if (!cd_dev_ledger_affordable(&dev->db, tx)) {
    return because(why, CD_SENT_REFUSED, "The account cannot afford this; give it native coin and sign again.");
  }
  return CD_SENT_OK;
}

cd_sent cd_dev_submit(cd_dev *dev, const uint8_t *bytes, size_t len, char why[CD_DEV_WHY]) {
  cd_dev_tx tx;
  cd_dev_raw raw;
  why[0] = '\0';
  if (len > sizeof raw.bytes) {
    return because(why, CD_SENT_REFUSED, "The transaction is too long to be one.");
  }
  memcpy(raw.bytes, bytes, len);
  raw.len = len;
  ch_err err = cd_dev_tx_decode(&tx, raw.bytes, raw.len);
  if (err == CH_ERR_FORMAT) {
    return because(why, CD_SENT_REFUSED, "The bytes are no transaction of this chain's format.");
  }
  if (err != CH_OK) {
    return because(why, CD_SENT_REFUSED, "The signature is not that of the sender's key; the transaction is forged.");
  }
  if (tx.chain_id != dev->chain.chain_id) {
    return because(why, CD_SENT_REFUSED, "The transaction was signed for another chain; sign it for this one.");
  }
  cd_dev_begin_write(dev);
  cd_sent sent = admit(dev, &tx, &raw, why);
  if (sent == CD_SENT_OK) {
    cd_dev_block_mine(dev, &raw, 1);
  }
  if (cd_dev_end(dev) != CH_OK) {
    return because(why, CD_SENT_RETRY, "The embedded chain's file cannot be written now; check its disk.");
  }
  return sent;
}

/* --- Time, faucet, reorganisations -------------------------------------------------------------------------------- */

/* Looks first without the lock of a writer: most polls find nothing to do. */
static bool block_due(cd_dev *dev) {
  cd_dev_block head;
  cd_dev_head_read(dev, &head);
  return cd_dev_now(dev) >= head.time + dev->interval;
}

ch_err cd_dev_poll(cd_dev *dev) {
  if (dev->interval == 0) {
    return CH_OK;
  }
  cd_dev_begin_read(dev);
  bool due = block_due(dev);
  ch_err err = cd_dev_end(dev);
  if (err != CH_OK || !due) {
    return err;
  }
  cd_dev_begin_write(dev);
  if (block_due(dev)) {
    cd_dev_block_mine(dev, NULL, 0);
  }
  return cd_dev_end(dev);
}

ch_err cd_dev_mine(cd_dev *dev, unsigned n) {
  if (n == 0 || n > MINE_MAX) {
    return CH_ERR_ARGUMENT;
  }
  cd_dev_begin_write(dev);
  for (unsigned i = 0; i < n; i++) {
    cd_dev_block_mine(dev, NULL, 0);
  }
  return cd_dev_end(dev);
}

ch_err cd_dev_warp(cd_dev *dev, uint64_t seconds) {
  if (seconds > WARP_MAX) {
    return CH_ERR_ARGUMENT;
  }
  cd_dev_begin_write(dev);
  cd_dev_clock_add(dev, seconds);
  cd_dev_block_mine(dev, NULL, 0);
  return cd_dev_end(dev);
}

/* Whether a transaction was mined and not reverted. */
static bool succeeded(cd_dev *dev, const cd_dev_raw *raw) {
  ch_hash hash;
  cd_dev_tx_hash(&hash, raw->bytes, raw->len);
  cd_sql_run run = cd_sql_start(&dev->db, "SELECT 1 FROM txs WHERE hash = ? AND error = ''");
  cd_sql_bind_bytes(&run, hash.b, sizeof hash.b);
  bool found = cd_sql_row(&run);
  cd_sql_done(&run);
  return found;
}

ch_err cd_dev_faucet(cd_dev *dev, const ch_addr *to, const ch_addr *asset, ch_amount amount) {
  cd_dev_raw raw;
  cd_dev_tx tx = {.chain_id = dev->chain.chain_id, .body = {.kind = CD_DEV_MINT}};
  tx.body.u.transfer.to = *to;
  tx.body.u.transfer.asset = *asset;
  tx.body.u.transfer.amount = amount;
  cd_dev_begin_write(dev);
  tx.nonce = cd_dev_ledger_nonce(&dev->db, &dev->faucet);
  ch_err err = cd_dev_tx_sign(raw.bytes, &raw.len, &tx, &dev->faucet_key);
  if (err == CH_OK) {
    cd_dev_block_mine(dev, &raw, 1);
    err = succeeded(dev, &raw) ? CH_OK : CH_ERR_OVERFLOW; /* the only reason there is */
  }
  ch_err ended = cd_dev_end(dev);
  return ended == CH_OK ? err : ended;
}

/* The transactions of dropped blocks. */
typedef struct kept {
  cd_dev_raw *v;
  size_t n, cap;
} kept;

static bool keep(void *arg, const cd_dev_raw *tx) {
  kept *all = arg;
  if (all->n == all->cap) {
    size_t cap = all->cap == 0 ? 16 : 2 * all->cap;
    cd_dev_raw *v = realloc(all->v, cap * sizeof *v);
    if (v == NULL) {
      return false;
    }
    all->v = v;
    all->cap = cap;
  }
  all->v[all->n++] = *tx;
  return true;
}

ch_err cd_dev_reorg(cd_dev *dev, unsigned depth, bool drop) {
  cd_dev_block head;
  kept txs = {0};
  if (depth == 0 || depth > CD_DEV_REORG_MAX) {
    return CH_ERR_ARGUMENT;
  }
  cd_dev_begin_write(dev);
  cd_dev_head_read(dev, &head);
  bool possible = depth <= head.number;
  if (possible) {
    cd_dev_blocks_drop(dev, head.number - depth, drop ? NULL : keep, &txs);
    cd_dev_block_mine(dev, txs.v, txs.n);
    for (unsigned i = 0; i < depth; i++) {
      cd_dev_block_mine(dev, NULL, 0);
    }
  }
  free(txs.v);
  ch_err err = cd_dev_end(dev);
  return possible || err != CH_OK ? err : CH_ERR_ARGUMENT;
}
