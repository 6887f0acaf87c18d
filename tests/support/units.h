/* units.h - units for the store's tests and benchmark, and a list of what became of them. */
#ifndef TESTS_UNITS_H
#define TESTS_UNITS_H

#include <pthread.h>

#include "ports.h"

/* The id of channel number n. */
ch_hash units_channel(unsigned n);

/* A unit of that channel, in shard n % 4; `now` and the record, 8 bytes, say `tag`. done() is the caller's to set. */
cd_unit *units_new(unsigned channel, uint64_t tag);
void units_payment(cd_unit *u, bool incoming, ch_payment_status status, const char *id, uint64_t amount,
                   uint64_t version, uint32_t index);
void units_history(cd_unit *u, ch_phase from, ch_phase to, uint64_t version, const char *cause);
/* A call for the L1 with the key {key, 0, ...}. */
void units_tx(cd_unit *u, uint8_t key);

/* What done() has said, in order. */
typedef struct units_log {
  pthread_mutex_t lock;
  pthread_cond_t more;
  size_t n;
  struct {
    uint64_t tag;
    bool ok;
  } v[4096];
} units_log;
void units_log_init(units_log *log);
/* Gives the unit to the store; its end is logged and it is freed. */
void units_commit(units_log *log, const cd_store *store, cd_unit *u);
/* Waits until n units have ended. */
void units_wait(units_log *log, size_t n);
/* Commits it and waits; whether it became durable. */
bool units_commit_now(const cd_store *store, cd_unit *u);

#endif
