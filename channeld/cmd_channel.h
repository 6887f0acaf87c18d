/* cmd_channel.h - answering with a channel, and waiting for one to get somewhere. On the owner's thread. */
#ifndef CHANNELD_CMD_CHANNEL_H
#define CHANNELD_CMD_CHANNEL_H

#include "chan.h"

/* Answers with the channel as it is now, when what it is now is durable. */
void cd_chan_reply(cd_worker *w, const cd_chan *c, cd_class cls, cd_reply reply);
/* Answers that a change could not be saved. */
void cd_chan_reply_lost(cd_reply reply);

/* A command that waits for a channel to get somewhere. The caller fills in what stands first. */
typedef struct cd_chan_wait {
  cd_timer timer;
  cd_reply reply;
  /* If the wait is over: answers and returns true. */
  bool (*look)(cd_worker *w, cd_chan *c, const struct cd_chan_wait *wait);
  uint64_t poll_ms; /* look this often; 0: whenever the channel has changed */
  ch_hash key;      /* for a transaction: its key */
  uint16_t epoch;   /* for a withdrawal: when it was asked for */
  uint16_t withdrawals;
  /* filled in by cd_chan_wait_for */
  struct cd_chan_wait *next;
  cd_chan *channel;
  uint64_t until; /* cd_monotonic_ms */
} cd_chan_wait;

/* Looks now, and then again for at most `ms`, after which the answer is the channel, under way. Copies `what`. */
void cd_chan_wait_for(cd_worker *w, cd_chan *c, const cd_chan_wait *what, uint64_t ms);
/* Answers those whose wait is over. */
void cd_chan_waits_look(cd_worker *w, cd_chan *c);
/* Answers all with a failure: the channel is gone, or the daemon stops. */
void cd_chan_waits_fail(cd_worker *w, cd_chan *c);

#endif
