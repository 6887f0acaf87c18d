#include "write.h"

#include <stdio.h>

#include "db.h"

static const char *const SQL[CD_WRITE_COUNT] = {
#define CD_WRITE_SQL(sym, sql) sql,
    CD_WRITE_STATEMENTS(CD_WRITE_SQL)
#undef CD_WRITE_SQL
};

int cd_writer_open(cd_writer *w, sqlite3 *db) {
  memset(w, 0, sizeof *w);
  w->db = db;
  for (int i = 0; i < CD_WRITE_COUNT; i++) {
    int rc = sqlite3_prepare_v3(db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT, &w->stmt[i], NULL);
    if (rc != SQLITE_OK) return rc;
  }
  sqlite3_stmt *last = w->stmt[CD_WRITE_LAST_SEQ];
  int rc = sqlite3_step(last);
  if (rc == SQLITE_ROW) w->last_seq = sqlite3_column_int64(last, 0);
  sqlite3_reset(last);
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

void cd_writer_close(cd_writer *w) {
  for (int i = 0; i < CD_WRITE_COUNT; i++)
    sqlite3_finalize(w->stmt[i]);
  sqlite3_close(w->db);
  memset(w, 0, sizeof *w);
}

/* Keeps the sentence now: the next call on the connection replaces SQLite's. */
static int noted(cd_writer *w, int rc) {
  if (rc != SQLITE_OK) snprintf(w->why, sizeof w->why, "%s", sqlite3_errmsg(w->db));
  return rc;
}

static int refused(cd_writer *w, const char *why) {
  snprintf(w->why, sizeof w->why, "%s", why);
  return SQLITE_CONSTRAINT;
}

static int run(cd_writer *w, cd_bind *b) {
  return noted(w, cd_bind_run(b));
}

int cd_write_control(cd_writer *w, cd_write_statement which) {
  cd_bind b = cd_bind_on(w->stmt[which]);
  return run(w, &b);
}

/* --- Channels ----------------------------------------------------------------------------------- */

/* The place of an incoming payment in the co-signed states of its channel. */
typedef struct place {
  uint16_t epoch;
  uint64_t version;
  uint32_t idx;
} place;

static place place_of(const ch_effect *e) {
  return (place){e->u.payment.epoch, e->u.payment.version, e->u.payment.index};
}

static bool beyond(place a, place b) {
  if (a.epoch != b.epoch) return a.epoch > b.epoch;
  if (a.version != b.version) return a.version > b.version;
  return a.idx > b.idx;
}

/* A channel as the rows of one unit see it. */
typedef struct target {
  int64_t num; /* 0: there is none */
  bool same;   /* the record's steady bytes are stored already */
  place last_in;
} target;

static int find_channel(cd_writer *w, const cd_unit *u, target *t) {
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_CHANNEL_FIND]);
  cd_bind_bytes(&b, u->channel.b, sizeof u->channel.b);
  cd_bind_bytes(&b, u->record, u->record ? u->n_steady : 0);
  int rc = cd_bind_row(&b);
  if (rc == SQLITE_ROW) {
    t->num = sqlite3_column_int64(b.stmt, 0);
    t->last_in = (place){(uint16_t)sqlite3_column_int(b.stmt, 1), cd_column_u64(b.stmt, 2),
                         (uint32_t)sqlite3_column_int64(b.stmt, 3)};
    t->same = sqlite3_column_int(b.stmt, 4) != 0;
  }
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) noted(w, rc);
  sqlite3_reset(b.stmt);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static place last_place(const cd_unit *u, place last) {
  for (size_t i = 0; i < u->fx.n; i++) {
    const ch_effect *e = &u->fx.v[i];
    if (e->kind == CH_FX_PAYMENT && e->u.payment.incoming && beyond(place_of(e), last)) last = place_of(e);
  }
  return last;
}

static int put_steady(cd_writer *w, const cd_unit *u, int64_t num) {
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_STEADY_PUT]);
  cd_bind_int(&b, num);
  cd_bind_bytes(&b, u->record, u->n_steady);
  return run(w, &b);
}

/* *t is the channel as it was before, with its number. */
static int put_channel(cd_writer *w, const cd_unit *u, target *t) {
  int rc = find_channel(w, u, t);
  if (rc != SQLITE_OK || !u->record) return rc;
  bool known = t->num != 0;
  place last = last_place(u, t->last_in);
  cd_bind b = cd_bind_on(w->stmt[known ? CD_WRITE_CHANNEL_UPDATE : CD_WRITE_CHANNEL_INSERT]);
  cd_bind_bytes(&b, u->peer.b, sizeof u->peer.b);
  cd_bind_int(&b, u->phase);
  cd_bind_u64(&b, u->now);
  cd_bind_int(&b, last.epoch);
  cd_bind_u64(&b, last.version);
  cd_bind_int(&b, last.idx);
  cd_bind_bytes(&b, u->record + u->n_steady, u->record_len - u->n_steady);
  if (known)
    cd_bind_int(&b, t->num);
  else
    cd_bind_bytes(&b, u->channel.b, sizeof u->channel.b);
  rc = run(w, &b);
  if (rc == SQLITE_OK && !known) t->num = sqlite3_last_insert_rowid(w->db);
  return rc == SQLITE_OK && !t->same ? put_steady(w, u, t->num) : rc;
}

/* --- Payments and history ------------------------------------------------------------------------ */

/* Whether a statement that met no error has changed a row. */
static bool changed(cd_writer *w) {
  return sqlite3_changes(w->db) > 0;
}

/* A conditional payment's lock, or nothing. The bytes must outlive the statement's run. */
static void bind_lock(cd_bind *b, const ch_effect *e, uint8_t bytes[CD_LOCK_MAX]) {
  size_t len = 0;
  const ch_lock lock = ch_op_lock(&e->u.payment.op, e->u.payment.payer);
  if (e->u.payment.op.kind == CH_OP_LOCK_ADD && ch_lock_encode(bytes, CD_LOCK_MAX, &len, &lock) != CH_OK) len = 0;
  cd_bind_bytes(b, bytes, len);
}

/* What the row shows: what was asked for, and in the end what was paid of it. */
static ch_amount amount_of(const ch_effect *e) {
  return e->u.payment.status == CH_PAYMENT_SETTLED ? e->u.payment.paid : e->u.payment.op.amount;
}

/* An outgoing id that is taken changes nothing. */
static int insert_payment(cd_writer *w, const cd_unit *u, int64_t num, const ch_effect *e) {
  uint8_t lock[CD_LOCK_MAX];
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_PAYMENT_INSERT]);
  cd_bind_int(&b, num);
  cd_bind_int(&b, ++w->last_seq);
  cd_bind_int(&b, e->u.payment.incoming);
  cd_bind_text(&b, e->u.payment.op.id, e->u.payment.op.id_len);
  cd_bind_money(&b, amount_of(e));
  cd_bind_int(&b, e->u.payment.status);
  cd_bind_int(&b, e->u.payment.epoch);
  cd_bind_u64(&b, e->u.payment.version);
  cd_bind_int(&b, e->u.payment.index);
  cd_bind_int(&b, e->u.payment.reason);
  cd_bind_u64(&b, u->now);
  cd_bind_u64(&b, u->now);
  bind_lock(&b, e, lock);
  int rc = run(w, &b);
  if (u->seq) u->seq[e - u->fx.v] = rc == SQLITE_OK && changed(w) ? w->last_seq : 0;
  return rc;
}

/* Settled or failed: most often the row is there, pending. */
static int end_outgoing(cd_writer *w, const cd_unit *u, int64_t num, const ch_effect *e) {
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_PAYMENT_END_OUT]);
  cd_bind_int(&b, e->u.payment.status);
  cd_bind_int(&b, e->u.payment.epoch);
  cd_bind_u64(&b, e->u.payment.version);
  cd_bind_int(&b, e->u.payment.index);
  cd_bind_int(&b, e->u.payment.reason);
  cd_bind_u64(&b, u->now);
  cd_bind_money(&b, amount_of(e));
  cd_bind_text(&b, e->u.payment.op.id, e->u.payment.op.id_len);
  cd_bind_int(&b, num);
  cd_bind_money(&b, e->u.payment.op.amount);
  return run(w, &b);
}

static int put_outgoing(cd_writer *w, const cd_unit *u, int64_t num, const ch_effect *e) {
  if (e->u.payment.status != CH_PAYMENT_PENDING) {
    int ended = end_outgoing(w, u, num, e);
    if (ended != SQLITE_OK || changed(w)) return ended;
  }
  int rc = insert_payment(w, u, num, e);
  if (rc != SQLITE_OK || changed(w)) return rc;
  /* The row is there: it says the same, as the engine may repeat an effect, or the id is taken. */
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_PAYMENT_SAME_OUT]);
  cd_bind_text(&b, e->u.payment.op.id, e->u.payment.op.id_len);
  cd_bind_int(&b, num);
  cd_bind_money(&b, amount_of(e));
  cd_bind_int(&b, e->u.payment.status);
  rc = cd_bind_row(&b);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) noted(w, rc);
  sqlite3_reset(b.stmt);
  if (rc == SQLITE_DONE) return refused(w, "the payment id was used for another payment");
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* A place that is not beyond the last one: a repeat, or news of an old payment. Rare, so the channel's rows are read
 * through: an index of places would cost a page for every payment. */
static int repeat_incoming(cd_writer *w, const cd_unit *u, int64_t num, const ch_effect *e) {
  const ch_op *op = &e->u.payment.op;
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_PAYMENT_END_IN]);
  cd_bind_int(&b, e->u.payment.status);
  cd_bind_int(&b, e->u.payment.reason);
  cd_bind_u64(&b, u->now);
  cd_bind_int(&b, num);
  cd_bind_int(&b, e->u.payment.epoch);
  cd_bind_u64(&b, e->u.payment.version);
  cd_bind_int(&b, e->u.payment.index);
  cd_bind_text(&b, op->id, op->id_len);
  cd_bind_money(&b, op->amount);
  int rc = run(w, &b);
  if (rc != SQLITE_OK || changed(w)) return rc;
  b = cd_bind_on(w->stmt[CD_WRITE_PAYMENT_SAME_IN]);
  cd_bind_int(&b, num);
  cd_bind_int(&b, e->u.payment.epoch);
  cd_bind_u64(&b, e->u.payment.version);
  cd_bind_int(&b, e->u.payment.index);
  cd_bind_text(&b, op->id, op->id_len);
  cd_bind_money(&b, op->amount);
  rc = cd_bind_row(&b);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) noted(w, rc);
  bool same = rc == SQLITE_ROW && sqlite3_column_int(b.stmt, 0) != 0;
  sqlite3_reset(b.stmt);
  if (rc == SQLITE_DONE) return insert_payment(w, u, num, e);
  if (rc != SQLITE_ROW) return rc;
  return same ? SQLITE_OK : refused(w, "another incoming payment has this place");
}

/* The end of a conditional payment: of the one row with its id that is locked. The engine keeps ids of pending locks
 * apart. None is locked if the effect is a repeat. */
static int unlock(cd_writer *w, const cd_unit *u, int64_t num, const ch_effect *e) {
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_PAYMENT_UNLOCK]);
  cd_bind_int(&b, e->u.payment.status);
  cd_bind_int(&b, e->u.payment.epoch);
  cd_bind_u64(&b, e->u.payment.version);
  cd_bind_int(&b, e->u.payment.index);
  cd_bind_int(&b, e->u.payment.reason);
  cd_bind_u64(&b, u->now);
  cd_bind_money(&b, amount_of(e));
  cd_bind_bytes(&b, e->u.payment.preimage.b, e->u.payment.has_preimage ? sizeof e->u.payment.preimage.b : 0);
  cd_bind_int(&b, num);
  cd_bind_int(&b, e->u.payment.incoming);
  cd_bind_text(&b, e->u.payment.op.id, e->u.payment.op.id_len);
  return run(w, &b);
}

static int put_payment(cd_writer *w, const cd_unit *u, const target *to, const ch_effect *e) {
  if (!u->record) return refused(w, "a payment without its channel's record");
  bool ends = e->u.payment.op.kind == CH_OP_LOCK_ADD && e->u.payment.status != CH_PAYMENT_LOCKED &&
              e->u.payment.status != CH_PAYMENT_PENDING;
  if (ends) {
    int rc = unlock(w, u, to->num, e);
    if (rc != SQLITE_OK || changed(w) || e->u.payment.incoming) return rc;
  }
  if (!e->u.payment.incoming) return put_outgoing(w, u, to->num, e);
  return beyond(place_of(e), to->last_in) ? insert_payment(w, u, to->num, e) : repeat_incoming(w, u, to->num, e);
}

static int put_history(cd_writer *w, const cd_unit *u, int64_t num, const ch_effect *e) {
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_HISTORY]);
  cd_bind_int(&b, ++w->last_seq);
  cd_bind_int(&b, num);
  cd_bind_u64(&b, u->now);
  cd_bind_int(&b, e->u.history.from);
  cd_bind_int(&b, e->u.history.to);
  cd_bind_u64(&b, e->u.history.version);
  cd_bind_text(&b, e->u.history.cause, strnlen(e->u.history.cause, sizeof e->u.history.cause));
  return run(w, &b);
}

/* --- Calls for the L1, peers --------------------------------------------------------------------- */

static int put_tx(cd_writer *w, cd_write_statement which, const cd_tx_row *row, cd_tx_status status) {
  cd_bind b = cd_bind_on(w->stmt[which]);
  cd_bind_bytes(&b, row->key.b, sizeof row->key.b);
  cd_bind_bytes(&b, row->channel.b, sizeof row->channel.b);
  cd_bind_int(&b, row->kind);
  cd_bind_money(&b, row->value);
  cd_bind_bytes(&b, row->data, row->data_len);
  cd_bind_int(&b, status);
  if (row->has_nonce)
    cd_bind_u64(&b, row->nonce);
  else
    cd_bind_null(&b);
  cd_bind_bytes(&b, row->raw, row->raw_len);
  cd_bind_bytes(&b, row->hash.b, sizeof row->hash.b);
  cd_bind_u64(&b, row->block);
  cd_bind_text(&b, row->error, strnlen(row->error, sizeof row->error));
  cd_bind_u64(&b, row->updated);
  cd_bind_bytes(&b, row->replaced, row->n_replaced * sizeof *row->replaced);
  cd_bind_u64(&b, row->since);
  cd_bind_u64(&b, row->deadline);
  return run(w, &b);
}

int cd_write_tx(cd_writer *w, const cd_tx_row *row) {
  return put_tx(w, CD_WRITE_TX_PUT, row, row->status);
}

int cd_write_peer(cd_writer *w, const ch_pubkey *node, const char *address) {
  cd_bind b = cd_bind_on(w->stmt[address ? CD_WRITE_PEER_PUT : CD_WRITE_PEER_REMOVE]);
  cd_bind_bytes(&b, node->b, sizeof node->b);
  if (address) cd_bind_text(&b, address, strlen(address));
  return run(w, &b);
}

/* --- A unit ------------------------------------------------------------------------------------- */

static int put_effect(cd_writer *w, const cd_unit *u, const target *to, const ch_effect *e) {
  switch (e->kind) {
  case CH_FX_PAYMENT: return put_payment(w, u, to, e);
  case CH_FX_HISTORY: return put_history(w, u, to->num, e);
  case CH_FX_SEND:
  case CH_FX_TX:
  case CH_FX_DISCONNECT: return SQLITE_OK;
  }
  return refused(w, "an effect of an unknown kind");
}

int cd_write_unit(cd_writer *w, const cd_unit *u) {
  target to = {0};
  int rc = put_channel(w, u, &to);
  for (size_t i = 0; rc == SQLITE_OK && i < u->fx.n; i++)
    rc = put_effect(w, u, &to, &u->fx.v[i]);
  for (size_t i = 0; rc == SQLITE_OK && i < u->n_txs; i++)
    rc = put_tx(w, CD_WRITE_TX_NEW, &u->txs[i], CD_TX_QUEUED);
  return rc;
}
