/* watch.h - the watched channels, and what was last told of each. Any thread. */
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

typedef struct cd_evm_watched {
  ch_hash id;
  cd_evm_marks marks;
  bool due;         /* to be looked at */
  bool told;        /* the listener has `view` */
  bool unsettled;   /* its final view is behind: to be looked at with every block */
  uint64_t from[2]; /* see cd_scan_find_ending; for head and final */
  cd_evm_view view;
} cd_evm_watched;

typedef struct cd_evm_watch {
  pthread_mutex_t lock;
  cd_table table;
  size_t sweep; /* where the next round of looks without a reason goes on */
} cd_evm_watch;

bool cd_evm_watch_init(cd_evm_watch *w);
void cd_evm_watch_free(cd_evm_watch *w);

/* Its view is told again even if it is known. False if memory is out. */
bool cd_evm_watch_add(cd_evm_watch *w, const ch_hash *id);
void cd_evm_watch_remove(cd_evm_watch *w, const ch_hash *id);
bool cd_evm_watch_has(cd_evm_watch *w, const ch_hash *id);

/* Makes those due that a block may have changed; returns how many. */
size_t cd_evm_watch_touch(cd_evm_watch *w, const uint8_t bloom[CD_EVM_BLOOM]);
void cd_evm_watch_all_due(cd_evm_watch *w);
/* One that could not be looked at: it stays due. */
void cd_evm_watch_due(cd_evm_watch *w, const ch_hash *id);
/* Copies of those that are due, which they no longer are; with a new block also the unsettled ones and a few others.
 * malloc'ed; false if memory is out. */
bool cd_evm_watch_take(cd_evm_watch *w, bool new_block, cd_evm_watched **out, size_t *n);
/* Where a search for an ending goes on. */
void cd_evm_watch_searched(cd_evm_watch *w, const ch_hash *id, const uint64_t from[2]);
/* Whether this view is to be told, and remembers it. */
bool cd_evm_watch_is_news(cd_evm_watch *w, const ch_hash *id, const cd_evm_view *view);

#endif
