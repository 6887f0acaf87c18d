/* readers.h - the connections that read, each with its cached statements. */
#ifndef CHANNELD_STORE_READERS_H
#define CHANNELD_STORE_READERS_H

#include <pthread.h>
#include <sqlite3.h>

#include "read.h"

#define CD_READ_TX_COLUMNS                                                                                             \
  "key, channel, kind, value, data, status, nonce, raw, hash, block, error, updated, replaced, since, deadline"

/* X(SYMBOL, "SQL") */
#define CD_READ_STATEMENTS(X)                                                                                          \
  X(CHANNELS, "SELECT bytes, record, id FROM channel LEFT JOIN steady USING (num) ORDER BY num")                       \
  X(CHANNEL, "SELECT bytes, record FROM channel LEFT JOIN steady USING (num) WHERE id = ?")                            \
  X(PENDING, "SELECT id, amount, lock FROM payment INDEXED BY payment_pending WHERE status = 1 AND incoming = 0"       \
             " AND channel = (SELECT num FROM channel WHERE id = ?) ORDER BY seq")                                     \
  X(HISTORY, "SELECT seq, time, version, from_phase, to_phase, cause, NULL, NULL FROM history"                         \
             " WHERE channel = (SELECT num FROM channel WHERE id = ?1) AND seq > ?2"                                   \
             " UNION ALL SELECT seq, updated, version, NULL, NULL, NULL, incoming, status FROM payment"                \
             " WHERE channel = (SELECT num FROM channel WHERE id = ?1) AND seq > ?2 ORDER BY seq")                     \
  X(TXS, "SELECT " CD_READ_TX_COLUMNS " FROM tx ORDER BY num")                                                         \
  X(TXS_UNFINISHED, "SELECT " CD_READ_TX_COLUMNS " FROM tx INDEXED BY tx_unfinished WHERE status < 4 ORDER BY num")    \
  X(TX, "SELECT " CD_READ_TX_COLUMNS " FROM tx WHERE key = ?")                                                         \
  X(PEERS, "SELECT node, address FROM peer ORDER BY node")

typedef enum cd_read_statement {
#define CD_READ_ENUM(sym, sql) CD_READ_##sym,
  CD_READ_STATEMENTS(CD_READ_ENUM)
#undef CD_READ_ENUM
      CD_READ_COUNT
} cd_read_statement;

/* Filters of payments: channel or not, id or not, 3 directions, 5 statuses, 2 orders. */
#define CD_READ_PAYMENTS (2 * 2 * 3 * 6 * 2)

/* One connection; one thread at a time. */
typedef struct cd_reader {
  struct cd_reader *next;
  sqlite3 *db;
  sqlite3_stmt *stmt[CD_READ_COUNT];
  sqlite3_stmt *payments[CD_READ_PAYMENTS];
} cd_reader;

/* An idle connection, or a new one: so a callback that reads again cannot wait for itself. NULL: logged. */
cd_reader *cd_readers_take(cd_readers *pool);
void cd_readers_give(cd_readers *pool, cd_reader *reader);

/* The statement, prepared once into *slot; NULL: logged. */
sqlite3_stmt *cd_reader_prepare(cd_reader *reader, sqlite3_stmt **slot, const char *sql);
sqlite3_stmt *cd_reader_stmt(cd_reader *reader, cd_read_statement which);

#endif
