/* look.c - what an observer of the chain sees: accounts, receipts, channels now and in the recent past. */
#include <stdio.h>

#include "internal.h"
#include "record.h"

ch_chain cd_dev_identity(const cd_dev *dev) {
  return dev->chain;
}

ch_err cd_dev_clock(cd_dev *dev, uint64_t *now, cd_dev_block *head) {
  cd_dev_begin_read(dev);
  *now = cd_dev_now(dev);
  if (head != NULL) {
    cd_dev_head_read(dev, head);
  }
  return cd_dev_end(dev);
}

ch_err cd_dev_balance(cd_dev *dev, const ch_addr *who, const ch_addr *asset, ch_amount *out) {
  cd_dev_begin_read(dev);
  *out = cd_dev_ledger_balance(&dev->db, who, asset);
  return cd_dev_end(dev);
}

ch_err cd_dev_nonce(cd_dev *dev, const ch_addr *who, uint64_t *out) {
  cd_dev_begin_read(dev);
  *out = cd_dev_ledger_nonce(&dev->db, who);
  return cd_dev_end(dev);
}

/* An item of a batch that was skipped: nothing happened to its channel in that block but that. */
static void look_for_skip(cd_dev *dev, const ch_hash *channel, cd_receipt *out) {
  uint8_t record[CD_DEV_RECORD_MAX];
  ch_adj_event event;
  cd_sql_run run = cd_sql_start(&dev->db, "SELECT record FROM events WHERE channel = ? AND block = ? AND kind = 12");
  cd_sql_bind_bytes(&run, channel->b, sizeof channel->b);
  cd_sql_bind_int(&run, out->block);
  if (cd_sql_row(&run)) {
    size_t len = cd_sql_bytes(&run, 0, record, sizeof record);
    bool sound = cd_dev_event_decode(&event, record, len);
    out->status = CD_RECEIPT_REVERTED;
    snprintf(out->error, sizeof out->error, "%s", sound ? ch_adj_revert_text((ch_adj_revert)event.reason) : "skipped");
  }
  cd_sql_done(&run);
}

_Static_assert(CH_ADJ_SKIPPED == 12, "the query above names it by number");

ch_err cd_dev_receipt(cd_dev *dev, const ch_hash *hash, const ch_hash *channel, uint32_t confirmations,
                      cd_receipt *out) {
  cd_dev_block head;
  memset(out, 0, sizeof *out);
  cd_dev_begin_read(dev);
  cd_dev_head_read(dev, &head);
  cd_sql_run run = cd_sql_start(&dev->db, "SELECT block, error FROM txs WHERE hash = ?");
  cd_sql_bind_bytes(&run, hash->b, sizeof hash->b);
  if (cd_sql_row(&run)) {
    out->block = cd_sql_int(&run, 0);
    size_t len = cd_sql_bytes(&run, 1, out->error, sizeof out->error - 1);
    out->final = head.number - out->block >= confirmations;
    out->status = len == 0 ? CD_RECEIPT_OK : CD_RECEIPT_REVERTED;
  }
  cd_sql_done(&run);
  if (out->status == CD_RECEIPT_OK && !ch_hash_is_zero(channel)) {
    look_for_skip(dev, channel, out);
  }
  return cd_dev_end(dev);
}

ch_err cd_dev_block_at(cd_dev *dev, uint64_t number, cd_dev_block *out) {
  bool found;
  cd_dev_begin_read(dev);
  cd_dev_block_read(dev, number, out, &found);
  ch_err err = cd_dev_end(dev);
  return err == CH_OK && !found ? CH_ERR_ARGUMENT : err;
}

/* --- Channels --------------------------------------------------------------------------------------------------- */

static void read_onchain(cd_dev *dev, const ch_hash *id, uint64_t height, ch_onchain *out) {
  uint8_t record[CD_DEV_RECORD_MAX];
  memset(out, 0, sizeof *out);
  cd_dev_ledger_slots_at(&dev->db, height, id, &out->slots);
  if (out->slots.epoch == 0) {
    return;
  }
  cd_sql_run run =
      cd_sql_start(&dev->db, "SELECT record FROM events WHERE channel = ? AND epoch = ? AND kind IN (2, 5) "
                             "AND block <= ? ORDER BY block DESC LIMIT 1");
  cd_sql_bind_bytes(&run, id->b, sizeof id->b);
  cd_sql_bind_int(&run, out->slots.epoch - 1u);
  cd_sql_bind_int(&run, height);
  if (cd_sql_row(&run)) {
    size_t len = cd_sql_bytes(&run, 0, record, sizeof record);
    out->has_ended = cd_dev_event_decode(&out->ended, record, len);
  }
  cd_sql_done(&run);
  if (!out->has_ended) {
    dev->db.failed = true; /* an epoch above 0 has a predecessor that ended */
  }
}

_Static_assert(CH_ADJ_CLOSED == 2 && CH_ADJ_SETTLED == 5, "the query above names the endings by number");

ch_err cd_dev_onchain(cd_dev *dev, const ch_hash *id, uint64_t height, ch_onchain *out) {
  cd_dev_block head;
  cd_dev_begin_read(dev);
  cd_dev_head_read(dev, &head);
  bool known = height <= head.number && head.number - height <= CD_DEV_REORG_MAX;
  if (known) {
    read_onchain(dev, id, height, out);
  }
  ch_err err = cd_dev_end(dev);
  return err == CH_OK && !known ? CH_ERR_ARGUMENT : err;
}

ch_err cd_dev_revealed_at(cd_dev *dev, const ch_hash *hash, uint64_t height, uint64_t *time, ch_hash *preimage) {
  cd_dev_block head;
  cd_dev_revealed found = {.time = 0};
  cd_dev_begin_read(dev);
  cd_dev_head_read(dev, &head);
  bool known = height <= head.number && head.number - height <= CD_DEV_REORG_MAX;
  if (known) {
    cd_dev_ledger_revealed_at(&dev->db, height, hash, &found);
  }
  *time = found.time;
  *preimage = found.preimage;
  ch_err err = cd_dev_end(dev);
  return err == CH_OK && !known ? CH_ERR_ARGUMENT : err;
}

ch_err cd_dev_events(cd_dev *dev, uint64_t from, bool (*each)(void *arg, uint64_t block, const ch_adj_event *event),
                     void *arg) {
  cd_dev_begin_read(dev);
  cd_sql_run run = cd_sql_start(&dev->db, "SELECT block, record FROM events WHERE block >= ? ORDER BY block, place");
  cd_sql_bind_int(&run, from);
  while (cd_sql_row(&run)) {
    uint8_t record[CD_DEV_RECORD_MAX];
    ch_adj_event event;
    size_t len = cd_sql_bytes(&run, 1, record, sizeof record);
    if (!cd_dev_event_decode(&event, record, len)) {
      dev->db.failed = true;
    } else if (!each(arg, cd_sql_int(&run, 0), &event)) {
      break;
    }
  }
  cd_sql_done(&run);
  return cd_dev_end(dev);
}

/* --- A look at everything --------------------------------------------------------------------------------------- */

static void read_look(cd_dev *dev, uint32_t confirmations, cd_dev_look *out) {
  bool found;
  out->clock_offset = cd_dev_clock_offset(dev);
  cd_dev_head_read(dev, &out->head);
  uint64_t depth = confirmations < out->head.number ? confirmations : out->head.number;
  cd_dev_block_read(dev, out->head.number - depth, &out->final, &found);
  if (!found) {
    dev->db.failed = true;
  }
}

static bool still_there(cd_dev *dev, const cd_dev_block *block) {
  cd_dev_block now;
  bool found;
  cd_dev_block_read(dev, block->number, &now, &found);
  return found && ch_hash_eq(&now.hash, &block->hash);
}

typedef void (*view_fn)(void *arg, const ch_hash *id, const ch_chain_view *view);

static void give_view(cd_dev *dev, const cd_dev_look *look, const ch_hash *id, view_fn each, void *arg) {
  ch_chain_view view;
  memset(&view, 0, sizeof view);
  read_onchain(dev, id, look->head.number, &view.head);
  read_onchain(dev, id, look->final.number, &view.final);
  if (!dev->db.failed) {
    each(arg, id, &view);
  }
}

_Static_assert(CH_ADJ_REVEALED == 9 && CH_ADJ_CLAIMED == 10 && CH_ADJ_CREDITED == 11,
               "the query below leaves out what belongs to no channel");

/* A view changes when an event comes at the head or an earlier one becomes final. */
static void give_changed(cd_dev *dev, const cd_dev_look *look, uint64_t after, view_fn each, void *arg) {
  cd_sql_run run =
      cd_sql_start(&dev->db, "SELECT DISTINCT channel FROM events WHERE block > ? AND kind NOT IN (9, 10, 11)");
  cd_sql_bind_int(&run, after);
  while (cd_sql_row(&run)) {
    ch_hash id;
    cd_sql_exact(&run, 0, id.b, sizeof id.b);
    give_view(dev, look, &id, each, arg);
  }
  cd_sql_done(&run);
}

ch_err cd_dev_look_at(cd_dev *dev, uint32_t confirmations, const cd_dev_look *since, const ch_hash *ids, size_t n_ids,
                      cd_dev_look *out, bool *reorganised,
                      void (*each)(void *arg, const ch_hash *id, const ch_chain_view *view), void *arg) {
  if (confirmations > CD_DEV_REORG_MAX) {
    return CH_ERR_ARGUMENT;
  }
  cd_dev_begin_read(dev);
  read_look(dev, confirmations, out);
  *reorganised = since != NULL && !still_there(dev, &since->head);
  if (!*reorganised) {
    for (size_t i = 0; i < n_ids; i++) {
      give_view(dev, out, &ids[i], each, arg);
    }
    if (since != NULL && !ch_hash_eq(&since->head.hash, &out->head.hash)) {
      give_changed(dev, out, since->final.number, each, arg);
    }
  }
  return cd_dev_end(dev);
}
