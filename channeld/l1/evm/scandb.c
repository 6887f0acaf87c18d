#include "scandb.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "l1/sql.h"

#define APPLICATION_ID 1665496685 /* "cEvm" */

static const char SCHEMA[] =
    "PRAGMA application_id = 1665496685; PRAGMA user_version = 1;"
    "CREATE TABLE scan (one INTEGER PRIMARY KEY CHECK (one = 1), chain BLOB NOT NULL, contract BLOB NOT NULL,"
    "  final INTEGER) STRICT;"
    "CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash BLOB NOT NULL, time INTEGER NOT NULL) STRICT;"
    "CREATE TABLE endings (block INTEGER NOT NULL, place INTEGER NOT NULL, tx BLOB NOT NULL, channel BLOB NOT NULL,"
    "  epoch INTEGER NOT NULL, kind INTEGER NOT NULL, w BLOB NOT NULL, x BLOB NOT NULL, PRIMARY KEY (block, place))"
    "  STRICT, WITHOUT ROWID;"
    "CREATE INDEX endings_channel ON endings (channel, epoch, block);";

struct cd_scandb {
  cd_sql_db db;
  pthread_mutex_t lock;
};

static void begin(cd_scandb *s, bool write) {
  pthread_mutex_lock(&s->lock);
  if (write)
    cd_sql_begin_write(&s->db);
  else
    cd_sql_begin_read(&s->db);
}

static ch_err end(cd_scandb *s) {
  ch_err err = cd_sql_end(&s->db);
  pthread_mutex_unlock(&s->lock);
  return err;
}

static void bind_hash(cd_sql_run *run, const ch_hash *h) {
  cd_sql_bind_bytes(run, h->b, sizeof h->b);
}

/* Runs a statement with one number. */
static void exec_with(cd_scandb *s, const char *sql, uint64_t value) {
  cd_sql_run run = cd_sql_start(&s->db, sql);
  cd_sql_bind_int(&run, value);
  cd_sql_exec(&run);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static void chain_bytes(uint8_t out[8], const ch_chain *chain) {
  for (int i = 0; i < 8; i++)
    out[i] = (uint8_t)(chain->chain_id >> (56 - 8 * i));
}

static void make(cd_scandb *s, const ch_chain *chain) {
  uint8_t id[8];
  chain_bytes(id, chain);
  cd_sql_script(&s->db, SCHEMA);
  cd_sql_run run = cd_sql_start(&s->db, "INSERT INTO scan (one, chain, contract) VALUES (1, ?, ?)");
  cd_sql_bind_bytes(&run, id, sizeof id);
  cd_sql_bind_bytes(&run, chain->adjudicator.b, sizeof chain->adjudicator.b);
  cd_sql_exec(&run);
}

/* A node that ran before there was an Adjudicator: the first one is taken. */
static void adopt(cd_scandb *s, const ch_chain *chain) {
  const ch_addr none = {0};
  cd_sql_run run = cd_sql_start(&s->db, "UPDATE scan SET contract = ? WHERE contract = ?");
  cd_sql_bind_bytes(&run, chain->adjudicator.b, sizeof chain->adjudicator.b);
  cd_sql_bind_bytes(&run, none.b, sizeof none.b);
  cd_sql_exec(&run);
}

static bool is_for(cd_scandb *s, const ch_chain *chain) {
  uint8_t id[8], got_id[8];
  ch_addr contract = {0};
  adopt(s, chain);
  chain_bytes(id, chain);
  cd_sql_run run = cd_sql_start(&s->db, "SELECT chain, contract FROM scan");
  bool same = cd_sql_row(&run);
  if (same) {
    cd_sql_exact(&run, 0, got_id, sizeof got_id);
    cd_sql_exact(&run, 1, contract.b, sizeof contract.b);
    same = !s->db.failed && memcmp(id, got_id, sizeof id) == 0 && ch_addr_eq(&contract, &chain->adjudicator);
  }
  cd_sql_done(&run);
  return same;
}

static ch_err take_over(cd_scandb *s, const char *path, const ch_chain *chain, char why[CD_RPC_TEXT]) {
  ch_err err = CH_OK;
  why[0] = '\0';
  begin(s, true);
  uint64_t format = cd_sql_number(&s->db, "PRAGMA user_version"),
           tables = cd_sql_number(&s->db, "SELECT count(*) FROM sqlite_schema");
  if (tables == 0) {
    make(s, chain);
  } else if (format != 1 || cd_sql_number(&s->db, "PRAGMA application_id") != APPLICATION_ID) {
    snprintf(why, CD_RPC_TEXT, "%.100s is not what this release keeps of a chain: move it away.", path);
    err = CH_ERR_FORMAT;
  } else if (!is_for(s, chain)) {
    snprintf(why, CD_RPC_TEXT,
             "This data directory belongs to another chain or contract (%.80s): use one directory for each.", path);
    err = CH_ERR_ARGUMENT;
  }
  ch_err ended = end(s);
  if (err == CH_OK && ended != CH_OK) snprintf(why, CD_RPC_TEXT, "%.100s cannot be read or written.", path);
  return err != CH_OK ? err : ended;
}

ch_err cd_scandb_open(cd_scandb **out, const char *path, const ch_chain *chain, char why[CD_RPC_TEXT]) {
  cd_scandb *s = calloc(1, sizeof *s);
  *out = NULL;
  if (s == NULL || pthread_mutex_init(&s->lock, NULL) != 0) {
    free(s);
    snprintf(why, CD_RPC_TEXT, "Out of memory.");
    return CH_ERR_NO_MEMORY;
  }
  const char *reason;
  ch_err err = CH_ERR_ARGUMENT;
  if (cd_sql_open(&s->db, path, &reason))
    err = take_over(s, path, chain, why);
  else
    snprintf(why, CD_RPC_TEXT, "%.80s cannot be opened: %.80s.", path, reason);
  if (err == CH_OK)
    *out = s;
  else
    cd_scandb_close(s);
  return err;
}

void cd_scandb_close(cd_scandb *s) {
  if (s == NULL) return;
  cd_sql_close(&s->db);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

/* --- Blocks ------------------------------------------------------------------------------------------------------- */

static void put_block(cd_scandb *s, const cd_scan_block *b) {
  cd_sql_run run = cd_sql_start(&s->db, "INSERT INTO blocks (number, hash, time) VALUES (?, ?, ?)");
  cd_sql_bind_int(&run, b->number);
  bind_hash(&run, &b->hash);
  cd_sql_bind_int(&run, b->time);
  cd_sql_exec(&run);
}

static void put_ending(cd_scandb *s, const cd_scan_ending *e) {
  cd_sql_run run = cd_sql_start(&s->db, "INSERT OR REPLACE INTO endings (block, place, tx, channel, epoch, kind, w, x) "
                                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  cd_sql_bind_int(&run, e->block);
  cd_sql_bind_int(&run, e->place);
  bind_hash(&run, &e->tx);
  bind_hash(&run, &e->id);
  cd_sql_bind_int(&run, cd_evm_ending_epoch(&e->ending));
  cd_sql_bind_int(&run, e->ending.kind);
  cd_sql_bind_bytes(&run, e->ending.w, sizeof e->ending.w);
  cd_sql_bind_bytes(&run, e->ending.x, sizeof e->ending.x);
  cd_sql_exec(&run);
}

/* What lies above a block. */
static void drop_above(cd_scandb *s, uint64_t number) {
  exec_with(s, "DELETE FROM blocks WHERE number > ?", number);
  exec_with(s, "DELETE FROM endings WHERE block > ?", number);
}

ch_err cd_scandb_restart(cd_scandb *s, const cd_scan_block *at) {
  begin(s, true);
  drop_above(s, at->number);
  exec_with(s, "DELETE FROM blocks WHERE number <= ?", at->number);
  put_block(s, at);
  exec_with(s, "UPDATE scan SET final = ?", at->number);
  return end(s);
}

ch_err cd_scandb_add(cd_scandb *s, const cd_scan_block *block, const cd_scan_ending *endings, size_t n) {
  begin(s, true);
  put_block(s, block);
  for (size_t i = 0; i < n; i++)
    put_ending(s, &endings[i]);
  return end(s);
}

ch_err cd_scandb_undo(cd_scandb *s, uint64_t number) {
  begin(s, true);
  drop_above(s, number);
  exec_with(s, "UPDATE scan SET final = min(final, ?)", number);
  return end(s);
}

ch_err cd_scandb_finalize(cd_scandb *s, uint64_t number) {
  uint64_t keep = number > CD_SCAN_KEPT ? number - CD_SCAN_KEPT : 0;
  begin(s, true);
  exec_with(s, "UPDATE scan SET final = ?", number);
  exec_with(s, "DELETE FROM blocks WHERE number < ?", keep);
  return end(s);
}

static bool read_block(cd_sql_run *run, cd_scan_block *out) {
  bool found = cd_sql_row(run);
  if (found) {
    out->number = cd_sql_int(run, 0);
    cd_sql_exact(run, 1, out->hash.b, sizeof out->hash.b);
    out->time = cd_sql_int(run, 2);
  }
  cd_sql_done(run);
  return found;
}

ch_err cd_scandb_last(cd_scandb *s, cd_scan_block *out, bool *found) {
  begin(s, false);
  cd_sql_run run = cd_sql_start(&s->db, "SELECT number, hash, time FROM blocks ORDER BY number DESC LIMIT 1");
  *found = read_block(&run, out);
  return end(s);
}

ch_err cd_scandb_at(cd_scandb *s, uint64_t number, cd_scan_block *out, bool *found) {
  begin(s, false);
  cd_sql_run run = cd_sql_start(&s->db, "SELECT number, hash, time FROM blocks WHERE number = ?");
  cd_sql_bind_int(&run, number);
  *found = read_block(&run, out);
  return end(s);
}

ch_err cd_scandb_final(cd_scandb *s, uint64_t *number, bool *found) {
  begin(s, false);
  cd_sql_run run = cd_sql_start(&s->db, "SELECT final FROM scan WHERE final IS NOT NULL");
  *found = cd_sql_row(&run);
  if (*found) *number = cd_sql_int(&run, 0);
  cd_sql_done(&run);
  return end(s);
}

/* --- Endings ----------------------------------------------------------------------------------------------------- */

ch_err cd_scandb_ending(cd_scandb *s, const ch_hash *id, uint16_t epoch, uint64_t upto, cd_evm_ending *out,
                        bool *found) {
  begin(s, false);
  *out = (cd_evm_ending){0};
  cd_sql_run run = cd_sql_start(&s->db, "SELECT kind, w, x FROM endings WHERE channel = ? AND epoch = ? AND block <= ? "
                                        "ORDER BY block DESC LIMIT 1");
  bind_hash(&run, id);
  cd_sql_bind_int(&run, epoch);
  cd_sql_bind_int(&run, upto);
  *found = cd_sql_row(&run);
  if (*found) {
    out->kind = (uint8_t)cd_sql_int(&run, 0);
    cd_sql_exact(&run, 1, out->w, sizeof out->w);
    cd_sql_exact(&run, 2, out->x, sizeof out->x);
  }
  cd_sql_done(&run);
  return end(s);
}

ch_err cd_scandb_add_ending(cd_scandb *s, const cd_scan_ending *e) {
  begin(s, true);
  put_ending(s, e);
  return end(s);
}
