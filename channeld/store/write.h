/* write.h - what a unit, a call for the L1 and a peer's address change in the tables. One connection, one thread. */
#ifndef CHANNELD_STORE_WRITE_H
#define CHANNELD_STORE_WRITE_H

#include <sqlite3.h>

#include "ports.h"

#define CD_WRITE_TX                                                                                                    \
  "INSERT INTO tx(key, channel, kind, value, data, status, nonce, raw, hash, block, error, updated, replaced, since,"  \
  " deadline) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                                     \
  " ON CONFLICT(key) DO UPDATE SET channel = excluded.channel, kind = excluded.kind, value = excluded.value,"          \
  " data = excluded.data, status = excluded.status, nonce = excluded.nonce, raw = excluded.raw,"                       \
  " hash = excluded.hash, block = excluded.block, error = excluded.error, updated = excluded.updated,"                 \
  " replaced = excluded.replaced, since = excluded.since, deadline = excluded.deadline"

/* X(SYMBOL, "SQL"): the cached statements. */
#define CD_WRITE_STATEMENTS(X)                                                                                         \
  X(BEGIN, "BEGIN IMMEDIATE")                                                                                          \
  X(COMMIT, "COMMIT")                                                                                                  \
  X(ROLLBACK, "ROLLBACK")                                                                                              \
  X(CHANNEL_FIND, "SELECT num, in_epoch, in_version, in_idx, coalesce(bytes, x'') IS ?2"                               \
                  " FROM channel LEFT JOIN steady USING (num) WHERE id = ?1")                                          \
  X(CHANNEL_INSERT, "INSERT INTO channel(peer, phase, updated, in_epoch, in_version, in_idx, record, id)"              \
                    " VALUES(?, ?, ?, ?, ?, ?, ?, ?)")                                                                 \
  X(CHANNEL_UPDATE, "UPDATE channel SET peer = ?, phase = ?, updated = ?, in_epoch = ?, in_version = ?, in_idx = ?,"   \
                    " record = ? WHERE num = ?")                                                                       \
  X(STEADY_PUT, "INSERT INTO steady(num, bytes) VALUES(?, ?) ON CONFLICT(num) DO UPDATE SET bytes = excluded.bytes")   \
  X(LAST_SEQ, "SELECT max((SELECT coalesce(max(seq), 0) FROM payment), (SELECT coalesce(max(seq), 0) FROM history))")  \
  X(PAYMENT_INSERT, "INSERT INTO payment(channel, seq, incoming, id, amount, status, epoch, version, idx, reason,"     \
                    " created, updated, lock) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                           \
                    " ON CONFLICT(id) WHERE incoming = 0 DO NOTHING")                                                  \
  X(PAYMENT_END_OUT, "UPDATE payment SET status = ?1, epoch = ?2, version = ?3, idx = ?4, reason = ?5, updated = ?6,"  \
                     " amount = ?7 WHERE incoming = 0 AND id = ?8 AND channel = ?9 AND amount = ?10"                   \
                     " AND (status, epoch, version, idx, reason) IS NOT (?1, ?2, ?3, ?4, ?5)")                         \
  X(PAYMENT_UNLOCK, "UPDATE payment SET status = ?1, epoch = ?2, version = ?3, idx = ?4, reason = ?5, updated = ?6,"   \
                    " amount = ?7, preimage = ?8 WHERE status = 5 AND channel = ?9 AND incoming = ?10 AND id = ?11")   \
  X(PAYMENT_SAME_OUT, "SELECT 1 FROM payment WHERE incoming = 0 AND id = ? AND channel = ? AND amount = ?"             \
                      " AND status = ?")                                                                               \
  X(PAYMENT_END_IN, "UPDATE payment SET status = ?1, reason = ?2, updated = ?3 WHERE channel = ?4 AND incoming = 1"    \
                    " AND epoch = ?5 AND version = ?6 AND idx = ?7 AND id = ?8 AND amount = ?9"                        \
                    " AND (status, reason) IS NOT (?1, ?2)")                                                           \
  X(PAYMENT_SAME_IN, "SELECT id = ?5 AND amount = ?6 FROM payment WHERE channel = ?1 AND incoming = 1 AND epoch = ?2"  \
                     " AND version = ?3 AND idx = ?4")                                                                 \
  X(HISTORY,                                                                                                           \
    "INSERT INTO history(seq, channel, time, from_phase, to_phase, version, cause) VALUES(?, ?, ?, ?, ?, ?, ?)")       \
  X(TX_NEW, CD_WRITE_TX " WHERE status = 5")                                                                           \
  X(TX_PUT, CD_WRITE_TX)                                                                                               \
  X(PEER_PUT,                                                                                                          \
    "INSERT INTO peer(node, address) VALUES(?, ?) ON CONFLICT(node) DO UPDATE SET address = excluded.address")         \
  X(PEER_REMOVE, "DELETE FROM peer WHERE node = ?")

typedef enum cd_write_statement {
#define CD_WRITE_ENUM(sym, sql) CD_WRITE_##sym,
  CD_WRITE_STATEMENTS(CD_WRITE_ENUM)
#undef CD_WRITE_ENUM
      CD_WRITE_COUNT
} cd_write_statement;

typedef struct cd_writer {
  sqlite3 *db;
  sqlite3_stmt *stmt[CD_WRITE_COUNT];
  int64_t last_seq; /* of payments and history; above theirs if a transaction was rolled back */
  char why[200];    /* what the last failed call met */
} cd_writer;

/* Prepares the statements; takes `db`. SQLITE_OK or what failed; close it in both cases. */
int cd_writer_open(cd_writer *w, sqlite3 *db);
void cd_writer_close(cd_writer *w);

/* Runs BEGIN, COMMIT or ROLLBACK. */
int cd_write_control(cd_writer *w, cd_write_statement which);

/* Within a transaction. SQLITE_OK, or SQLITE_CONSTRAINT (extended codes too) if the rows contradict those that are
 * there: the fault of this unit alone. Other codes are faults of the database. */
int cd_write_unit(cd_writer *w, const cd_unit *u);
int cd_write_tx(cd_writer *w, const cd_tx_row *row);
int cd_write_peer(cd_writer *w, const ch_pubkey *node, const char *address);

#endif
