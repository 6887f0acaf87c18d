/* chan.h - one channel in the hands of its owner: stepping it, and the barrier behind each step.
 *
 * A step's new state, payments and history go to the store as one unit. When the unit is durable, and not before, its
 * messages leave, its transactions are looked at by the sender, and whoever waits is answered. If it will never be
 * durable, the worker drops the memory of all its channels, reads them again and has the peers reconnect.
 */
#ifndef CHANNELD_CHAN_H
#define CHANNELD_CHAN_H

#include "remote.h"
#include "reply.h"

/* A command that waits for a channel to get somewhere (cmd_channel.h). */
struct cd_chan_wait;

typedef struct cd_chan {
  ch_hash id;
  ch_channel *state; /* NULL: could not be read */
  cd_remote *remote;
  struct cd_chan *next; /* of the same remote */
  uint32_t period;      /* its challenge period */
  unsigned in_flight;   /* units that are neither durable nor failed */
  bool ticks;           /* look at it when the chain advances */
  bool look;            /* what the chain last showed is lost: ask again */
  bool blind;           /* read from disk, the chain's view has not come yet: no block counts until then */
  uint32_t blind_locks; /* the chain was asked about so many of its hashes */
  bool quarantined;     /* not stepped any more */
  char trouble[160];
  struct cd_chan_wait *waits;
} cd_chan;

/* What follows when a unit is durable (ok) or lost; on the worker's thread. */
typedef void (*cd_then)(cd_worker *w, void *arg, bool ok);

cd_chan *cd_chan_get(cd_worker *w, const ch_hash *id);

/* At start: takes a stored channel; `has_pending` tells whether payments of it are pending. If the record cannot be
 * read the channel is there, in quarantine. False if memory is out. */
bool cd_chan_load(cd_worker *w, const ch_hash *id, const uint8_t *record, size_t len, bool has_pending);

/* A channel that was just opened over `conn`, with the effects of its first step. Takes `state` and `fx` in any case.
 * False if memory is out; then `then` is not called. */
bool cd_chan_adopt(cd_worker *w, ch_channel *state, ch_effects *fx, cd_conn conn, cd_then then, void *arg);

/* One event. On CH_OK the channel has moved on and `then` (may be NULL) will be called once; else it will not. Errors
 * that are our own have put the channel into quarantine. */
ch_err cd_chan_step(cd_worker *w, cd_chan *c, const ch_event *ev, cd_then then, void *arg);

/* A step that nobody waits for: the link, the chain, the time. What goes wrong is logged. */
ch_err cd_chan_nudge(cd_worker *w, cd_chan *c, const ch_event *ev);

/* The chain has advanced. */
void cd_chan_tick(cd_worker *w, cd_chan *c);
/* What the chain shows of it now. */
void cd_chan_view(cd_worker *w, cd_chan *c, const ch_chain_view *view);

/* Calls `then` when everything given to the store so far is durable: what is seen in memory now may be told then.
 * False if memory is out. */
bool cd_chan_fence(cd_worker *w, cd_then then, void *arg);

/* As documents show it, with the quarantine. */
void cd_chan_info(cd_worker *w, const cd_chan *c, ch_info *out);

/* Its pending conditional payments, malloc'ed; returns how many (0 also if memory is out). */
size_t cd_chan_locks(cd_worker *w, const cd_chan *c, ch_lock_info **out);

void cd_chan_free(cd_chan *c);

#endif
