/* blocks.c - blocks, their clock, and what it takes to make and unmake one. */
#include "internal.h"

#include <stdlib.h>

/* Numbers that go into a hash, big-endian. */
static void hash_number(ch_keccak *k, uint64_t value) {
  uint8_t bytes[8];
  for (int i = 0; i < 8; i++) {
    bytes[i] = (uint8_t)(value >> (56 - 8 * i));
  }
  ch_keccak_update(k, bytes, sizeof bytes);
}

uint64_t cd_dev_clock_offset(cd_dev *dev) {
  return cd_sql_number(&dev->db, "SELECT clock_offset FROM chain");
}

uint64_t cd_dev_now(cd_dev *dev) {
  return dev->wall(dev->wall_ctx) + cd_dev_clock_offset(dev);
}

void cd_dev_clock_add(cd_dev *dev, uint64_t seconds) {
  cd_sql_run run = cd_sql_start(&dev->db, "UPDATE chain SET clock_offset = clock_offset + ?");
  cd_sql_bind_int(&run, seconds);
  cd_sql_exec(&run);
}

static bool read_block(cd_sql_run *run, cd_dev_block *out) {
  memset(out, 0, sizeof *out);
  if (!cd_sql_row(run)) {
    return false;
  }
  out->number = cd_sql_int(run, 0);
  out->time = cd_sql_int(run, 1);
  cd_sql_exact(run, 2, out->hash.b, sizeof out->hash.b);
  cd_sql_exact(run, 3, out->parent.b, sizeof out->parent.b);
  cd_sql_done(run);
  return true;
}

void cd_dev_block_read(cd_dev *dev, uint64_t number, cd_dev_block *out, bool *found) {
  cd_sql_run run = cd_sql_start(&dev->db, "SELECT number, time, hash, parent FROM blocks WHERE number = ?");
  cd_sql_bind_int(&run, number);
  *found = read_block(&run, out);
}

void cd_dev_head_read(cd_dev *dev, cd_dev_block *out) {
  cd_sql_run run = cd_sql_start(&dev->db, "SELECT number, time, hash, parent FROM blocks ORDER BY number DESC LIMIT 1");
  if (!read_block(&run, out)) {
    dev->db.failed = true; /* there is always block 0 */
  }
}

/* Seals a block. The branch number makes the hashes of a reorganised chain differ from what they replace. */
static void put_block(cd_dev *dev, cd_dev_block *block, const ch_hash *tx_hashes, size_t n) {
  ch_keccak k;
  ch_keccak_init(&k);
  ch_keccak_update(&k, block->parent.b, sizeof block->parent.b);
  hash_number(&k, block->number);
  hash_number(&k, block->time);
  hash_number(&k, cd_sql_number(&dev->db, "SELECT branch FROM chain"));
  ch_keccak_update(&k, tx_hashes, n * sizeof *tx_hashes);
  ch_keccak_final(&k, &block->hash);
  cd_sql_run run = cd_sql_start(&dev->db, "INSERT INTO blocks (number, parent, hash, time) VALUES (?, ?, ?, ?)");
  cd_sql_bind_int(&run, block->number);
  cd_sql_bind_bytes(&run, block->parent.b, sizeof block->parent.b);
  cd_sql_bind_bytes(&run, block->hash.b, sizeof block->hash.b);
  cd_sql_bind_int(&run, block->time);
  cd_sql_exec(&run);
}

void cd_dev_genesis(cd_dev *dev) {
  cd_dev_block block = {.time = cd_dev_now(dev)};
  ch_keccak k;
  ch_keccak_init(&k);
  hash_number(&k, dev->chain.chain_id);
  ch_keccak_final(&k, &block.parent);
  put_block(dev, &block, NULL, 0);
}

/* Executes one transaction into the block and stores it. False if it is not possible now. */
static bool mine_tx(cd_dev *dev, const cd_dev_env *env, const cd_dev_raw *raw, ch_hash *hash) {
  cd_dev_tx tx;
  if (cd_dev_tx_decode(&tx, raw->bytes, raw->len) != CH_OK || tx.nonce != cd_dev_ledger_nonce(&dev->db, &tx.sender) ||
      !cd_dev_ledger_affordable(&dev->db, &tx)) {
    return false;
  }
  const char *error = cd_dev_ledger_execute(env, &tx);
  cd_dev_tx_hash(hash, raw->bytes, raw->len);
  cd_sql_run run =
      cd_sql_start(&dev->db, "INSERT INTO txs (hash, block, place, raw, sender, error) VALUES (?, ?, ?, ?, ?, ?)");
  cd_sql_bind_bytes(&run, hash->b, sizeof hash->b);
  cd_sql_bind_int(&run, env->height);
  cd_sql_bind_int(&run, env->place);
  cd_sql_bind_bytes(&run, raw->bytes, raw->len);
  cd_sql_bind_bytes(&run, tx.sender.b, sizeof tx.sender.b);
  cd_sql_bind_text(&run, error == NULL ? "" : error);
  cd_sql_exec(&run);
  return true;
}

void cd_dev_block_mine(cd_dev *dev, const cd_dev_raw *txs, size_t n) {
  cd_dev_block head;
  cd_dev_head_read(dev, &head);
  uint64_t now = cd_dev_now(dev);
  cd_dev_block block = {.number = head.number + 1, .time = now, .parent = head.hash};
  if (block.time <= head.time) {
    block.time = head.time + 1;
    cd_dev_clock_add(dev, block.time - now); /* no block lies in the future */
  }
  ch_hash *hashes = calloc(n + 1, sizeof *hashes);
  if (hashes == NULL) {
    dev->db.failed = true;
    return;
  }
  cd_dev_env env = {
      .db = &dev->db, .chain = &dev->chain, .faucet = &dev->faucet, .height = block.number, .time = block.time};
  for (size_t i = 0; i < n; i++) {
    if (mine_tx(dev, &env, &txs[i], &hashes[env.place])) {
      env.place++;
    }
  }
  put_block(dev, &block, hashes, env.place);
  free(hashes);
  if (block.number > CD_DEV_REORG_MAX) {
    cd_dev_state_forget(&dev->db, block.number - CD_DEV_REORG_MAX);
  }
}

void cd_dev_blocks_drop(cd_dev *dev, uint64_t number, bool (*keep)(void *arg, const cd_dev_raw *tx), void *arg) {
  if (keep != NULL) {
    cd_sql_run run = cd_sql_start(&dev->db, "SELECT raw FROM txs WHERE block > ? ORDER BY block, place");
    cd_sql_bind_int(&run, number);
    while (cd_sql_row(&run)) {
      cd_dev_raw raw;
      raw.len = cd_sql_bytes(&run, 0, raw.bytes, sizeof raw.bytes);
      if (!keep(arg, &raw)) {
        dev->db.failed = true;
      }
    }
    cd_sql_done(&run);
  }
  static const char *const tables[] = {"DELETE FROM txs WHERE block > ?", "DELETE FROM events WHERE block > ?",
                                       "DELETE FROM blocks WHERE number > ?"};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    cd_sql_run run = cd_sql_start(&dev->db, tables[i]);
    cd_sql_bind_int(&run, number);
    cd_sql_exec(&run);
  }
  cd_sql_run run = cd_sql_start(&dev->db, "UPDATE chain SET branch = branch + 1");
  cd_sql_exec(&run);
  cd_dev_state_undo(&dev->db, number);
}
