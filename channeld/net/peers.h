/* peers.h - the nodes that are wanted or connected, by node id. Private to net/; guarded by the transport's lock. */
#ifndef CD_NET_PEERS_H
#define CD_NET_PEERS_H

#include "transport.h"
#include "util/table.h"

struct cd_link;

typedef struct cd_peer {
  ch_pubkey node;
  bool wanted; /* keep a connection to `address` */
  char address[CD_ADDRESS_MAX];
  uint64_t next_dial;     /* not before */
  unsigned retry_ms;      /* the wait after the next failure, before jitter */
  unsigned hiccups;       /* transient failures in a row */
  struct cd_link *dialed; /* an attempt of ours that has not authenticated yet */
  struct cd_link *live;
} cd_peer;

/* A table of cd_peer by `node`. */
void cd_peers_init(cd_table *peers);
/* Makes one if there is none; NULL without memory. */
cd_peer *cd_peers_get(cd_table *peers, const ch_pubkey *node);
/* Forgets a peer that is neither wanted nor connected nor being dialed; else does nothing. */
void cd_peers_release(cd_table *peers, cd_peer *peer);
void cd_peers_free(cd_table *peers);

#endif
