/* directory.h - what all threads may know of the channels: who owns which, and roughly how they are. The owners write;
 * what counts is decided by the owner alone. */
#ifndef CHANNELD_DIRECTORY_H
#define CHANNELD_DIRECTORY_H

#include <pthread.h>

#include "channel/channel.h"
#include "util/table.h"

typedef struct cd_entry {
  ch_hash id;
  ch_pubkey peer;
  ch_addr asset;
  ch_phase phase;
  ch_amount spendable;
  ch_amount bond; /* of a dispute */
  bool frozen;    /* or quarantined */
} cd_entry;

typedef struct cd_directory {
  pthread_mutex_t lock;
  cd_table entries;
} cd_directory;

typedef struct cd_counts {
  unsigned total, live, open, frozen; /* live: not ended */
  ch_amount bonds;                    /* of the living ones, CH_MONEY_MAX if that is not enough */
} cd_counts;

typedef enum cd_found { CD_FOUND_NONE, CD_FOUND_ONE, CD_FOUND_MANY } cd_found;

/* All functions: any thread. */
void cd_directory_init(cd_directory *d);
void cd_directory_free(cd_directory *d);
/* Adds or replaces. False if memory is out. */
bool cd_directory_put(cd_directory *d, const cd_entry *e);
void cd_directory_remove(cd_directory *d, const ch_hash *id);
/* The one channel whose id begins with `prefix`, hex with or without 0x, at least 6 digits. */
cd_found cd_directory_find(cd_directory *d, const char *prefix, ch_hash *id);
/* The channel that can pay `amount`: to `peer`, or to anyone if NULL. Of several to one peer that
 * was named, the fullest. */
cd_found cd_directory_payer(cd_directory *d, const ch_pubkey *peer, ch_amount amount, ch_hash *id);
/* With `peer` NULL, of all. */
cd_counts cd_directory_count(cd_directory *d, const ch_pubkey *peer);
/* How many are in this phase with this peer. */
unsigned cd_directory_in_phase(cd_directory *d, const ch_pubkey *peer, ch_phase phase);

#endif
