/* store.h - the daemon's own store under a simulated node: its schema, its statements for writing and reading, in a
 * database in memory. What node.c gives it is what the daemon's worker gives: one unit for each event. */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "channel/channel.h"

typedef struct store store;

/* Once, before any of the others: databases in memory with names, so that readers find them. */
void store_begin(void);
/* Aborts when memory is out. */
store *store_new(void);
store *store_copy(const store *from);
void store_free(store *s);

/* One transaction; false: the store has refused it, and `why` says so. With `keep` false it is rolled back in the end,
 * as if the process had died. */
typedef struct store_unit {
  const ch_channel *channel;
  uint8_t *record; /* NULL: unchanged */
  size_t len;
  const ch_effects *fx;
  int phase;
  uint64_t now;
} store_unit;
bool store_commit(store *s, const store_unit *unit, bool keep, char why[200]);

/* What a start finds: malloc'ed. False: there is nothing, or it cannot be read. */
bool store_load(store *s, const ch_hash *id, uint8_t **record, size_t *len, ch_op **pending, size_t *n);

/* A payment as the API would list it. */
typedef struct store_row {
  bool incoming;
  char id[CH_PAYMENT_ID_MAX + 1];
  ch_amount amount;
  ch_payment_status status;
  uint16_t epoch;
  uint64_t version;
  bool has_preimage;
} store_row;
/* False: they cannot be read. */
bool store_rows(store *s, void (*each)(void *arg, const store_row *row), void *arg);

#endif
