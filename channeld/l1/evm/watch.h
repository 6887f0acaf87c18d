/* watch.h - what is watched, and what was last told of it. Any thread. */
#ifndef CHANNELD_L1_EVM_WATCH_H
#define CHANNELD_L1_EVM_WATCH_H

#include <pthread.h>

#include "channel/channel.h"
#include "l1/evm/block.h"
#include "l1/evm/decode.h"
#include "util/table.h"

/* A channel as one block shows it. Bytes only: two of them compare with memcmp. */
typedef struct cd_evm_look {
  ch_hash slots[CD_EVM_SLOTS];
  cd_evm_ending ended; /* of the epoch before, if there is one */
} cd_evm_look;

typedef struct cd_evm_view {
  cd_evm_look head, final;
} cd_evm_view;

/* A channel; or, if `hash` is not zero, a hash of which this channel has to know whether its preimage was revealed:
 * then slots[0] of a look is when that was. */
typedef struct cd_evm_key {
  ch_hash id, hash;
} cd_evm_key;
static inline cd_evm_key cd_evm_key_of(const ch_hash *id) {
  return (cd_evm_key){.id = *id};
}
static inline bool cd_evm_is_hash(const cd_evm_key *key) {
  return !ch_hash_is_zero(&key->hash);
}

typedef struct cd_evm_watched {
  cd_evm_key key;
  cd_evm_marks marks; /* of the topic that events about it have */
  bool due;           /* to be looked at */
  bool told;          /* the listener has `view` */
  bool unsettled;     /* its final view is behind: to be looked at with every block */
  uint64_t from[2];   /* see cd_scan_find_ending; for head and final */
  cd_evm_view view;
  bool has_preimage;
  ch_hash preimage; /* of a hash that was revealed, once it was found */
} cd_evm_watched;

typedef struct cd_evm_watch {
  pthread_mutex_t lock;
  cd_table table;
  size_t sweep; /* where the next round of looks without a reason goes on */
} cd_evm_watch;

bool cd_evm_watch_init(cd_evm_watch *w);
void cd_evm_watch_free(cd_evm_watch *w);

/* Its view is told again even if it is known. False if memory is out. */
bool cd_evm_watch_add(cd_evm_watch *w, const cd_evm_key *key);
void cd_evm_watch_remove(cd_evm_watch *w, const cd_evm_key *key);
bool cd_evm_watch_has(cd_evm_watch *w, const cd_evm_key *key);

/* Makes those due that a block may have changed; returns how many. */
size_t cd_evm_watch_touch(cd_evm_watch *w, const uint8_t bloom[CD_EVM_BLOOM]);
void cd_evm_watch_all_due(cd_evm_watch *w);
/* One that could not be looked at: it stays due. */
void cd_evm_watch_due(cd_evm_watch *w, const cd_evm_key *key);
/* Copies of those that are due, which they no longer are; with a new block also the unsettled ones and a few others.
 * malloc'ed; false if memory is out. */
bool cd_evm_watch_take(cd_evm_watch *w, bool new_block, cd_evm_watched **out, size_t *n);
/* Keeps of a copy where its search goes on, and the preimage, if it was found. */
void cd_evm_watch_searched(cd_evm_watch *w, const cd_evm_watched *copy);
/* Whether this view is to be told, and remembers it. */
bool cd_evm_watch_is_news(cd_evm_watch *w, const cd_evm_key *key, const cd_evm_view *view);

#endif
