/* cmd_channel.h - answering with a channel, and waiting for one to get somewhere. On the owner's thread. */
#ifndef CHANNELD_CMD_CHANNEL_H
#define CHANNELD_CMD_CHANNEL_H

#include "chan.h"

/* Answers with the channel as it is now, when what it is now is durable. */
void cd_chan_reply(cd_worker *w, const cd_chan *c, cd_class cls, cd_reply reply);
/* Answers that a change could not be saved. */
void cd_chan_reply_lost(cd_reply reply);

/* Answers those whose wait is over. */
void cd_chan_waits_look(cd_worker *w, cd_chan *c);
/* Answers all with a failure: the channel is gone, or the daemon stops. */
void cd_chan_waits_fail(cd_worker *w, cd_chan *c);

#endif
