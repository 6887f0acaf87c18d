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
  return SQLITE_OK;
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

/* *num stays 0 if there is no such channel. */
static int channel_num(cd_writer *w, const ch_hash *id, int64_t *num) {
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_CHANNEL_NUM]);
  cd_bind_bytes(&b, id->b, sizeof id->b);
  int rc = cd_bind_row(&b);
  if (rc == SQLITE_ROW) *num = sqlite3_column_int64(b.stmt, 0);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) noted(w, rc);
  sqlite3_reset(b.stmt);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Writes the record, if there is one, and finds the number that the unit's other rows need. */
static int put_channel(cd_writer *w, const cd_unit *u, int64_t *num) {
  int rc = channel_num(w, &u->channel, num);
  if (rc != SQLITE_OK || !u->record) return rc;
  bool known = *num != 0;
  cd_bind b = cd_bind_on(w->stmt[known ? CD_WRITE_CHANNEL_UPDATE : CD_WRITE_CHANNEL_INSERT]);
  if (!known) cd_bind_bytes(&b, u->channel.b, sizeof u->channel.b);
  cd_bind_bytes(&b, u->peer.b, sizeof u->peer.b);
  cd_bind_int(&b, u->phase);
  cd_bind_bytes(&b, u->record, u->record_len);
  cd_bind_u64(&b, u->now);
  if (known) cd_bind_int(&b, *num);
  rc = run(w, &b);
  if (rc == SQLITE_OK && !known) *num = sqlite3_last_insert_rowid(w->db);
  return rc;
}

/* --- Payments ----------------------------------------------------------------------------------- */

/* How many payments one co-signed version settled: a row of the history. */
typedef struct tally {
  uint64_t version;
  int64_t sent, received, failed;
} tally;

static int put_history(cd_writer *w, const cd_unit *u, int64_t num, int from, int to, const tally *t,
                       const char *cause) {
  cd_bind b = cd_bind_on(w->stmt[CD_WRITE_HISTORY]);
  cd_bind_int(&b, num);
  cd_bind_u64(&b, u->now);
  cd_bind_int(&b, from);
  cd_bind_int(&b, to);
  cd_bind_u64(&b, t->version);
  cd_bind_int(&b, t->sent);
  cd_bind_int(&b, t->received);
  cd_bind_int(&b, t->failed);
  cd_bind_text(&b, cause, strlen(cause));
  return run(w, &b);
}

static int put_tally(cd_writer *w, const cd_unit *u, int64_t num, tally *t) {
  if (t->sent + t->received + t->failed == 0) return SQLITE_OK;
  int rc = put_history(w, u, num, u->phase, u->phase, t, "");
  memset(t, 0, sizeof *t);
  return rc;
}

/* Nothing was inserted or updated: the row is there. Either it says the same, as the engine may repeat an effect, or
 * the id is taken. */
static int check_same(cd_writer *w, int64_t num, const ch_effect *e) {
  bool in = e->u.payment.incoming;
  const ch_op *op = &e->u.payment.op;
  cd_bind b = cd_bind_on(w->stmt[in ? CD_WRITE_PAYMENT_SAME_IN : CD_WRITE_PAYMENT_SAME_OUT]);
  if (in) {
    cd_bind_int(&b, num);
    cd_bind_int(&b, e->u.payment.epoch);
    cd_bind_u64(&b, e->u.payment.version);
    cd_bind_int(&b, e->u.payment.index);
  }
  cd_bind_text(&b, op->id, op->id_len);
  if (!in) cd_bind_int(&b, num);
  cd_bind_money(&b, op->amount);
  if (!in) cd_bind_int(&b, e->u.payment.status);
  int rc = cd_bind_row(&b);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) noted(w, rc);
  sqlite3_reset(b.stmt);
  if (rc == SQLITE_DONE)
    return refused(w, in ? "another incoming payment has this place" : "the payment id was used for another payment");
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static cd_write_statement payment_statement(const ch_effect *e) {
  if (e->u.payment.incoming) return CD_WRITE_PAYMENT_IN;
  return e->u.payment.status == CH_PAYMENT_PENDING ? CD_WRITE_PAYMENT_PENDING : CD_WRITE_PAYMENT_OUT;
}

static int put_payment(cd_writer *w, const cd_unit *u, int64_t num, const ch_effect *e, tally *t) {
  const ch_op *op = &e->u.payment.op;
  cd_bind b = cd_bind_on(w->stmt[payment_statement(e)]);
  cd_bind_int(&b, num);
  cd_bind_text(&b, op->id, op->id_len);
  cd_bind_money(&b, op->amount);
  cd_bind_int(&b, e->u.payment.status);
  cd_bind_int(&b, e->u.payment.epoch);
  cd_bind_u64(&b, e->u.payment.version);
  cd_bind_int(&b, e->u.payment.index);
  cd_bind_int(&b, e->u.payment.reason);
  cd_bind_u64(&b, u->now);
  cd_bind_u64(&b, u->now);
  int rc = run(w, &b);
  if (rc != SQLITE_OK) return rc;
  if (sqlite3_changes(w->db) == 0) return check_same(w, num, e);
  if (e->u.payment.status == CH_PAYMENT_PENDING) return SQLITE_OK;
  if (e->u.payment.version != t->version) rc = put_tally(w, u, num, t);
  t->version = e->u.payment.version;
  *(e->u.payment.status == CH_PAYMENT_FAILED ? &t->failed : e->u.payment.incoming ? &t->received : &t->sent) += 1;
  return rc;
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

static int put_effect(cd_writer *w, const cd_unit *u, int64_t num, const ch_effect *e, tally *t) {
  int rc;
  switch (e->kind) {
  case CH_FX_PAYMENT: return put_payment(w, u, num, e, t);
  case CH_FX_HISTORY:
    rc = put_tally(w, u, num, t);
    if (rc != SQLITE_OK) return rc;
    return put_history(w, u, num, e->u.history.from, e->u.history.to, &(tally){.version = e->u.history.version},
                       e->u.history.cause);
  case CH_FX_SEND:
  case CH_FX_TX:
  case CH_FX_DISCONNECT: return SQLITE_OK;
  }
  return refused(w, "an effect of an unknown kind");
}

int cd_write_unit(cd_writer *w, const cd_unit *u) {
  int64_t num = 0;
  tally t = {0};
  int rc = put_channel(w, u, &num);
  for (size_t i = 0; rc == SQLITE_OK && i < u->fx.n; i++)
    rc = put_effect(w, u, num, &u->fx.v[i], &t);
  if (rc == SQLITE_OK) rc = put_tally(w, u, num, &t);
  for (size_t i = 0; rc == SQLITE_OK && i < u->n_txs; i++)
    rc = put_tx(w, CD_WRITE_TX_NEW, &u->txs[i], CD_TX_QUEUED);
  return rc;
}
