/* remote.h - another node as one worker sees it: its connection and its channels here; and what to do with messages. */
#ifndef CHANNELD_REMOTE_H
#define CHANNELD_REMOTE_H

#include "worker.h"

struct cd_chan;

typedef struct cd_remote {
  ch_pubkey node;
  cd_conn conn; /* 0: none */
  struct cd_chan *channels;
} cd_remote;

/* The one for `node`; made if there is none. NULL if memory is out. */
cd_remote *cd_remote_of(cd_worker *w, const ch_pubkey *node);
/* Frees it if nothing holds it any more. */
void cd_remote_release(cd_worker *w, cd_remote *r);

void cd_remote_up(cd_worker *w, const ch_pubkey *node, cd_conn conn);
void cd_remote_down(cd_worker *w, const ch_pubkey *node, cd_conn conn);
/* One message. `bytes` stays the caller's. One of a connection that is no more is dropped. */
void cd_remote_message(cd_worker *w, cd_conn conn, const uint8_t *bytes, size_t len);

/* Nothing more is taken from its connection here, and its channels know that it is gone. The connection itself is
 * closed by the caller: now, or after a commit. */
void cd_remote_cut(cd_worker *w, cd_remote *r);
/* Tells the peer what is wrong with its message, then cuts and closes. */
void cd_remote_refuse(cd_worker *w, cd_remote *r, const ch_hash *id, ch_err code, const char *text);
/* An error message that changes nothing. */
void cd_remote_tell(cd_worker *w, const cd_remote *r, const ch_hash *id, ch_err code, const char *text);

#endif
