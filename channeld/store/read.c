#include "read.h"

#include <stdio.h>
#include <stdlib.h>

#include "db.h"
#include "readers.h"
#include "util/log.h"

/* What a query gives, row by row. Each function returns MORE, STOP, or BAD: the row is not in our form. */
typedef enum verdict { MORE, STOP, BAD } verdict;

static verdict go_on(bool more) {
  return more ? MORE : STOP;
}

/* Runs the query to its end, resets it and gives the reader back. */
static ch_err run_query(cd_readers *pool, cd_reader *reader, cd_bind *b, verdict (*row)(void *arg, sqlite3_stmt *stmt),
                        void *arg) {
  verdict v = MORE;
  int rc = SQLITE_ROW;
  while (v == MORE && (rc = cd_bind_row(b)) == SQLITE_ROW)
    v = row(arg, b->stmt);
  ch_err err = CH_OK;
  if (v == BAD || (rc != SQLITE_ROW && rc != SQLITE_DONE)) {
    err = CH_ERR_BUG;
    cd_log(CD_LOG_ERROR, "store", "the database cannot be read: %s",
           v == BAD ? "a row is not in our form, or memory is short" : sqlite3_errmsg(reader->db));
  }
  sqlite3_reset(b->stmt);
  cd_readers_give(pool, reader);
  return err;
}

/* Begins a query: CH_OK with a reader and its statement, or CH_ERR_BUG with neither. */
static ch_err begin(cd_readers *pool, cd_read_statement which, cd_reader **reader, cd_bind *b) {
  *reader = cd_readers_take(pool);
  if (!*reader) return CH_ERR_BUG;
  *b = cd_bind_on(cd_reader_stmt(*reader, which));
  if (b->stmt) return CH_OK;
  cd_readers_give(pool, *reader);
  return CH_ERR_BUG;
}

/* --- Channels ----------------------------------------------------------------------------------- */

/* The record from its two parts, columns 0 and 1, as one; malloc'ed. */
static bool column_record(sqlite3_stmt *stmt, uint8_t **out, size_t *len) {
  const void *steady = sqlite3_column_blob(stmt, 0), *rest = sqlite3_column_blob(stmt, 1);
  size_t n = (size_t)sqlite3_column_bytes(stmt, 0), m = (size_t)sqlite3_column_bytes(stmt, 1);
  *out = (uint8_t *)malloc(n + m + 1);
  *len = n + m;
  if (!*out) return false;
  if (n > 0) memcpy(*out, steady, n);
  if (m > 0) memcpy(*out + n, rest, m);
  return true;
}

typedef struct channels_arg {
  bool (*each)(void *arg, const ch_hash *id, const uint8_t *record, size_t len);
  void *arg;
} channels_arg;

static verdict channels_row(void *arg, sqlite3_stmt *stmt) {
  const channels_arg *a = (const channels_arg *)arg;
  ch_hash id;
  uint8_t *record;
  size_t len;
  if (!cd_column_bytes(stmt, 2, id.b, sizeof id.b) || !column_record(stmt, &record, &len)) return BAD;
  bool more = a->each(a->arg, &id, record, len);
  free(record);
  return go_on(more);
}

ch_err cd_read_channels(cd_readers *r, bool (*each)(void *arg, const ch_hash *id, const uint8_t *record, size_t len),
                        void *arg) {
  cd_reader *reader;
  cd_bind b;
  ch_err err = begin(r, CD_READ_CHANNELS, &reader, &b);
  return err ? err : run_query(r, reader, &b, channels_row, &(channels_arg){each, arg});
}

typedef struct record {
  uint8_t *bytes;
  size_t len;
  bool found;
} record;

static verdict channel_row(void *arg, sqlite3_stmt *stmt) {
  record *out = (record *)arg;
  out->found = column_record(stmt, &out->bytes, &out->len);
  return out->found ? STOP : BAD;
}

ch_err cd_read_channel(cd_readers *r, const ch_hash *id, uint8_t **bytes, size_t *len) {
  cd_reader *reader;
  cd_bind b;
  record found = {0};
  ch_err err = begin(r, CD_READ_CHANNEL, &reader, &b);
  if (err) return err;
  cd_bind_bytes(&b, id->b, sizeof id->b);
  err = run_query(r, reader, &b, channel_row, &found);
  if (err) return err;
  if (!found.found) return CH_ERR_UNKNOWN_CHANNEL;
  *bytes = found.bytes;
  *len = found.len;
  return CH_OK;
}

/* --- Payments ----------------------------------------------------------------------------------- */

typedef struct op_list {
  ch_op *v;
  size_t n, cap;
} op_list;

/* A LOCK_ADD from its lock, but for the payment's id. */
static bool lock_op(sqlite3_stmt *stmt, int column, ch_op *op) {
  ch_lock lock;
  size_t at = 0, len = (size_t)sqlite3_column_bytes(stmt, column);
  if (ch_lock_decode(&lock, (const uint8_t *)sqlite3_column_blob(stmt, column), len, &at) || at != len) return false;
  if (lock.payload_len > CH_OP_PAYLOAD_MAX) return false;
  op->kind = CH_OP_LOCK_ADD;
  op->amount = lock.amount;
  op->valid_until = lock.expiry;
  op->u.add.condition = lock.condition;
  op->u.add.gas = lock.gas;
  op->u.add.payload_len = (uint8_t)lock.payload_len;
  memcpy(op->u.add.payload, lock.payload, lock.payload_len);
  return true;
}

static verdict pending_row(void *arg, sqlite3_stmt *stmt) {
  op_list *list = (op_list *)arg;
  if (list->n == list->cap) {
    size_t cap = list->cap ? 2 * list->cap : 8;
    ch_op *v = (ch_op *)realloc(list->v, cap * sizeof *v);
    if (!v) return BAD;
    list->v = v;
    list->cap = cap;
  }
  char id[CH_PAYMENT_ID_MAX + 1];
  ch_op op = {.kind = CH_OP_PAY};
  if (!cd_column_text(stmt, 0, id, sizeof id) || !cd_column_money(stmt, 1, &op.amount)) return BAD;
  if (sqlite3_column_bytes(stmt, 2) > 0 && !lock_op(stmt, 2, &op)) return BAD;
  op.id_len = (uint8_t)strlen(id);
  memcpy(op.id, id, op.id_len);
  list->v[list->n++] = op;
  return MORE;
}

ch_err cd_read_pending(cd_readers *r, const ch_hash *channel, ch_op **ops, size_t *n) {
  cd_reader *reader;
  cd_bind b;
  op_list list = {0};
  ch_err err = begin(r, CD_READ_PENDING, &reader, &b);
  if (err) return err;
  cd_bind_bytes(&b, channel->b, sizeof channel->b);
  err = run_query(r, reader, &b, pending_row, &list);
  if (err) {
    free(list.v);
    return err;
  }
  *ops = list.v;
  *n = list.n;
  return CH_OK;
}

typedef struct payments_arg {
  bool (*each)(void *arg, const cd_payment *p);
  void *arg;
} payments_arg;

static verdict payments_row(void *arg, sqlite3_stmt *stmt) {
  const payments_arg *a = (const payments_arg *)arg;
  cd_payment p = {
      .seq = sqlite3_column_int64(stmt, 0),
      .incoming = sqlite3_column_int(stmt, 2) != 0,
      .status = (ch_payment_status)sqlite3_column_int(stmt, 5),
      .epoch = (uint16_t)sqlite3_column_int(stmt, 6),
      .version = cd_column_u64(stmt, 7),
      .index = (uint32_t)sqlite3_column_int64(stmt, 8),
      .reason = (ch_err)sqlite3_column_int(stmt, 9),
      .created = cd_column_u64(stmt, 10),
      .updated = cd_column_u64(stmt, 11),
  };
  bool sound = cd_column_bytes(stmt, 1, p.channel.b, sizeof p.channel.b) &&
               cd_column_text(stmt, 3, p.id, sizeof p.id) && cd_column_money(stmt, 4, &p.amount);
  p.lock_len = (size_t)sqlite3_column_bytes(stmt, 12);
  sound = sound && p.lock_len <= sizeof p.lock;
  if (sound && p.lock_len > 0) memcpy(p.lock, sqlite3_column_blob(stmt, 12), p.lock_len);
  p.has_preimage = sqlite3_column_bytes(stmt, 13) > 0;
  if (p.has_preimage) sound = sound && cd_column_bytes(stmt, 13, p.preimage.b, sizeof p.preimage.b);
  return sound ? go_on(a->each(a->arg, &p)) : BAD;
}

/* Without statistics SQLite takes the channel for the best key, and would read all of its payments through to find an
 * id or the few that are not settled. So the text says which index is meant: by name, or by a unary plus, which keeps a
 * term from every index. Directions and statuses stand in the text too: a partial index fits only what is known when
 * the statement is prepared. */
static sqlite3_stmt *payments_stmt(cd_reader *reader, const cd_payment_filter *f) {
  static const char *const direction[] = {"", " AND incoming = 0", " AND incoming = 1"};
  static const char *const status[] = {
      "", " AND status = 1", " AND status = 2", " AND status = 3", " AND status = 4", " AND status = 5"};
  static const char *const by_status[] = {"", " INDEXED BY payment_pending", "", " INDEXED BY payment_failed",
                                          "", " INDEXED BY payment_locked"};
  const char *id = !f->id              ? ""
                   : f->direction != 0 ? " AND id = ?3"
                                       : " AND ((incoming = 0 AND id = ?3) OR (incoming = 1 AND id = ?3))";
  const char *plus = f->id ? "+" : "";
  size_t slot = (size_t)f->direction;
  slot = slot * (CH_PAYMENT_LOCKED + 1) + (size_t)f->status;
  slot = slot * 2 + (f->channel != NULL);
  slot = slot * 2 + (f->id != NULL);
  slot = slot * 2 + f->newest_first;
  char channel[80] = "";
  if (f->channel) snprintf(channel, sizeof channel, " AND %schannel = (SELECT num FROM channel WHERE id = ?2)", plus);
  char sql[800];
  snprintf(sql, sizeof sql,
           "SELECT seq, (SELECT id FROM channel WHERE num = payment.channel), incoming, id, amount, status, epoch,"
           " version, idx, reason, created, updated, lock, preimage FROM payment%s WHERE %sseq %s ?1%s%s%s%s ORDER BY "
           "%sseq%s LIMIT ?4",
           f->id ? "" : by_status[f->status], plus, f->newest_first ? "<" : ">", channel, id, direction[f->direction],
           status[f->status], plus, f->newest_first ? " DESC" : "");
  return cd_reader_prepare(reader, &reader->payments[slot], sql);
}

ch_err cd_read_payments(cd_readers *r, const cd_payment_filter *f, bool (*each)(void *arg, const cd_payment *p),
                        void *arg) {
  if (f->direction < 0 || f->direction > 2 || f->status < 0 || f->status > CH_PAYMENT_LOCKED || f->limit < 1 ||
      f->limit > 1000)
    return CH_ERR_ARGUMENT;
  cd_reader *reader = cd_readers_take(r);
  if (!reader) return CH_ERR_BUG;
  cd_bind b = cd_bind_on(payments_stmt(reader, f));
  if (!b.stmt) {
    cd_readers_give(r, reader);
    return CH_ERR_BUG;
  }
  cd_bind_int(&b, f->newest_first && f->after == 0 ? INT64_MAX : f->after);
  if (f->channel)
    cd_bind_bytes(&b, f->channel->b, sizeof f->channel->b);
  else
    b.at++;
  if (f->id)
    cd_bind_text(&b, f->id, strlen(f->id));
  else
    b.at++;
  cd_bind_int(&b, f->limit);
  return run_query(r, reader, &b, payments_row, &(payments_arg){each, arg});
}

/* --- History ------------------------------------------------------------------------------------ */

/* The engine's events and the payments, in one order. Payments side by side of the same direction, status and version
 * are one entry: what one co-signed version did. */
typedef struct history_arg {
  bool (*each)(void *arg, const cd_history *h);
  void *arg;
  unsigned left;  /* entries that are still wanted */
  cd_history run; /* payments that are being counted */
  uint64_t count; /* of them; 0: none */
  bool incoming;
  int status;
} history_arg;

static verdict give_entry(history_arg *a, const cd_history *h) {
  a->left = a->each(a->arg, h) ? a->left - 1 : 0;
  return go_on(a->left > 0);
}

/* "2 payments sent". */
static verdict give_run(history_arg *a) {
  if (a->count == 0) return MORE;
  const char *what = a->status == CH_PAYMENT_PENDING   ? "pending"
                     : a->status == CH_PAYMENT_FAILED  ? "failed"
                     : a->status == CH_PAYMENT_UNKNOWN ? "unknown"
                     : a->status == CH_PAYMENT_LOCKED  ? "locked"
                     : a->incoming                     ? "received"
                                                       : "sent";
  snprintf(a->run.cause, sizeof a->run.cause, "%llu payment%s %s", (unsigned long long)a->count,
           a->count == 1 ? "" : "s", what);
  a->count = 0;
  return give_entry(a, &a->run);
}

static verdict payment_of_history(history_arg *a, sqlite3_stmt *stmt) {
  bool incoming = sqlite3_column_int(stmt, 6) != 0;
  int status = sqlite3_column_int(stmt, 7);
  uint64_t version = cd_column_u64(stmt, 2);
  verdict v = MORE;
  if (a->incoming != incoming || a->status != status || a->run.version != version) v = give_run(a);
  a->incoming = incoming;
  a->status = status;
  a->run.from = a->run.to = CH_PHASE_OPEN;
  a->run.version = version;
  a->run.seq = sqlite3_column_int64(stmt, 0);
  a->run.time = cd_column_u64(stmt, 1);
  a->count++;
  return v;
}

static verdict history_row(void *arg, sqlite3_stmt *stmt) {
  history_arg *a = (history_arg *)arg;
  if (sqlite3_column_type(stmt, 5) == SQLITE_NULL) return payment_of_history(a, stmt);
  cd_history h = {
      .seq = sqlite3_column_int64(stmt, 0),
      .time = cd_column_u64(stmt, 1),
      .version = cd_column_u64(stmt, 2),
      .from = sqlite3_column_int(stmt, 3),
      .to = sqlite3_column_int(stmt, 4),
  };
  if (!cd_column_text(stmt, 5, h.cause, sizeof h.cause)) return BAD;
  verdict v = give_run(a);
  return v == MORE ? give_entry(a, &h) : v;
}

ch_err cd_read_history(cd_readers *r, const ch_hash *channel, int64_t after, unsigned limit,
                       bool (*each)(void *arg, const cd_history *h), void *arg) {
  if (limit == 0) return CH_ERR_ARGUMENT;
  cd_reader *reader;
  cd_bind b;
  history_arg a = {.each = each, .arg = arg, .left = limit};
  ch_err err = begin(r, CD_READ_HISTORY, &reader, &b);
  if (err) return err;
  cd_bind_bytes(&b, channel->b, sizeof channel->b);
  cd_bind_int(&b, after);
  err = run_query(r, reader, &b, history_row, &a);
  if (!err && a.left > 0) (void)give_run(&a);
  return err;
}

/* --- Calls for the L1, peers --------------------------------------------------------------------- */

typedef struct txs_arg {
  bool (*each)(void *arg, const cd_tx_row *row);
  void *arg;
} txs_arg;

static verdict txs_row(void *arg, sqlite3_stmt *stmt) {
  const txs_arg *a = (const txs_arg *)arg;
  cd_tx_row row = {
      .kind = sqlite3_column_int(stmt, 2),
      .status = (cd_tx_status)sqlite3_column_int(stmt, 5),
      .has_nonce = sqlite3_column_type(stmt, 6) != SQLITE_NULL,
      .nonce = cd_column_u64(stmt, 6),
      .block = cd_column_u64(stmt, 9),
      .updated = cd_column_u64(stmt, 11),
      .since = cd_column_u64(stmt, 13),
      .deadline = cd_column_u64(stmt, 14),
  };
  uint8_t *replaced = NULL;
  size_t len = 0;
  bool sound = cd_column_bytes(stmt, 0, row.key.b, sizeof row.key.b) &&
               cd_column_bytes(stmt, 1, row.channel.b, sizeof row.channel.b) && cd_column_money(stmt, 3, &row.value) &&
               cd_column_copy(stmt, 4, &row.data, &row.data_len) && cd_column_copy(stmt, 7, &row.raw, &row.raw_len) &&
               cd_column_bytes(stmt, 8, row.hash.b, sizeof row.hash.b) &&
               cd_column_text(stmt, 10, row.error, sizeof row.error) && cd_column_copy(stmt, 12, &replaced, &len) &&
               len % sizeof(ch_hash) == 0;
  row.replaced = (ch_hash *)replaced;
  row.n_replaced = len / sizeof(ch_hash);
  verdict v = sound ? go_on(a->each(a->arg, &row)) : BAD;
  cd_tx_row_clear(&row);
  return v;
}

ch_err cd_read_txs(cd_readers *r, bool unfinished_only, bool (*each)(void *arg, const cd_tx_row *row), void *arg) {
  cd_reader *reader;
  cd_bind b;
  ch_err err = begin(r, unfinished_only ? CD_READ_TXS_UNFINISHED : CD_READ_TXS, &reader, &b);
  return err ? err : run_query(r, reader, &b, txs_row, &(txs_arg){each, arg});
}

ch_err cd_read_tx(cd_readers *r, const ch_hash *key, bool (*each)(void *arg, const cd_tx_row *row), void *arg) {
  cd_reader *reader;
  cd_bind b;
  ch_err err = begin(r, CD_READ_TX, &reader, &b);
  if (err) return err;
  cd_bind_bytes(&b, key->b, sizeof key->b);
  return run_query(r, reader, &b, txs_row, &(txs_arg){each, arg});
}

typedef struct peers_arg {
  bool (*each)(void *arg, const ch_pubkey *node, const char *address);
  void *arg;
} peers_arg;

static verdict peers_row(void *arg, sqlite3_stmt *stmt) {
  const peers_arg *a = (const peers_arg *)arg;
  ch_pubkey node;
  const char *address = (const char *)sqlite3_column_text(stmt, 1);
  if (!address || !cd_column_bytes(stmt, 0, node.b, sizeof node.b)) return BAD;
  return go_on(a->each(a->arg, &node, address));
}

ch_err cd_read_peers(cd_readers *r, bool (*each)(void *arg, const ch_pubkey *node, const char *address), void *arg) {
  cd_reader *reader;
  cd_bind b;
  ch_err err = begin(r, CD_READ_PEERS, &reader, &b);
  return err ? err : run_query(r, reader, &b, peers_row, &(peers_arg){each, arg});
}
