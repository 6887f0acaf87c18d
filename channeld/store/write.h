/* write.h - what a unit, a call for the L1 and a peer's address change in the tables. One connection, one thread. */
#ifndef CHANNELD_STORE_WRITE_H
#define CHANNELD_STORE_WRITE_H

#include <sqlite3.h>

#include "ports.h"

/* X(SYMBOL, "SQL"): the cached statements. */
#define CD_WRITE_STATEMENTS(X)                                                                                         \
  X(BEGIN, "BEGIN IMMEDIATE")                                                                                          \
  X(COMMIT, "COMMIT")                                                                                                  \
  X(ROLLBACK, "ROLLBACK")                                                                                              \
  X(CHANNEL_NUM, "SELECT num FROM channel WHERE id = ?")                                                               \
  X(CHANNEL_INSERT, "INSERT INTO channel(id, peer, phase, record, updated) VALUES(?, ?, ?, ?, ?)")                     \
  X(CHANNEL_UPDATE, "UPDATE channel SET peer = ?, phase = ?, record = ?, updated = ? WHERE num = ?")                   \
  X(PAYMENT_PENDING, "INSERT INTO payment(channel, incoming, id, amount, status, epoch, version, idx, reason,"         \
                     " created, updated) VALUES(?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                      \
                     " ON CONFLICT(id) WHERE incoming = 0 DO NOTHING")                                                 \
  X(PAYMENT_OUT, "INSERT INTO payment(channel, incoming, id, amount, status, epoch, version, idx, reason,"             \
                 " created, updated) VALUES(?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                          \
                 " ON CONFLICT(id) WHERE incoming = 0 DO UPDATE SET status = excluded.status, epoch = excluded.epoch," \
                 " version = excluded.version, idx = excluded.idx, reason = excluded.reason,"                          \
                 " updated = excluded.updated"                                                                         \
                 " WHERE channel = excluded.channel AND amount = excluded.amount"                                      \
                 " AND (status, epoch, version, idx, reason) IS NOT"                                                   \
                 " (excluded.status, excluded.epoch, excluded.version, excluded.idx, excluded.reason)")                \
  X(PAYMENT_IN, "INSERT INTO payment(channel, incoming, id, amount, status, epoch, version, idx, reason,"              \
                " created, updated) VALUES(?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                           \
                " ON CONFLICT(channel, epoch, version, idx) WHERE incoming = 1 DO UPDATE SET"                          \
                " status = excluded.status, reason = excluded.reason, updated = excluded.updated"                      \
                " WHERE id = excluded.id AND amount = excluded.amount"                                                 \
                " AND (status, reason) IS NOT (excluded.status, excluded.reason)")                                     \
  X(PAYMENT_SAME_OUT, "SELECT 1 FROM payment WHERE incoming = 0 AND id = ? AND channel = ? AND amount = ?"             \
                      " AND status = ?")                                                                               \
  X(PAYMENT_SAME_IN, "SELECT 1 FROM payment WHERE incoming = 1 AND channel = ? AND epoch = ? AND version = ?"          \
                     " AND idx = ? AND id = ? AND amount = ?")                                                         \
  X(HISTORY, "INSERT INTO history(channel, time, from_phase, to_phase, version, sent, received, failed, cause)"        \
             " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")                                                                     \
  X(TX_NEW, "INSERT INTO tx(key, channel, kind, value, data, status, nonce, raw, hash, block, error, updated)"         \
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                                              \
            " ON CONFLICT(key) DO UPDATE SET channel = excluded.channel, kind = excluded.kind,"                        \
            " value = excluded.value, data = excluded.data, status = excluded.status, nonce = excluded.nonce,"         \
            " raw = excluded.raw, hash = excluded.hash, block = excluded.block, error = excluded.error,"               \
            " updated = excluded.updated WHERE status = 5")                                                            \
  X(TX_PUT, "INSERT INTO tx(key, channel, kind, value, data, status, nonce, raw, hash, block, error, updated)"         \
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                                              \
            " ON CONFLICT(key) DO UPDATE SET channel = excluded.channel, kind = excluded.kind,"                        \
            " value = excluded.value, data = excluded.data, status = excluded.status, nonce = excluded.nonce,"         \
            " raw = excluded.raw, hash = excluded.hash, block = excluded.block, error = excluded.error,"               \
            " updated = excluded.updated")                                                                             \
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
  char why[200]; /* what the last failed call met */
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
