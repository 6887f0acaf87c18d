#include "peers.h"

#include <stdlib.h>

void cd_peers_init(cd_table *peers) {
  cd_table_init(peers, offsetof(cd_peer, node), sizeof(ch_pubkey));
}

cd_peer *cd_peers_get(cd_table *peers, const ch_pubkey *node) {
  cd_peer *p = cd_table_get(peers, node);
  if (p != NULL) {
    return p;
  }
  p = calloc(1, sizeof *p);
  if (p == NULL) {
    return NULL;
  }
  p->node = *node;
  if (!cd_table_put(peers, p)) {
    free(p);
    return NULL;
  }
  return p;
}

void cd_peers_release(cd_table *peers, cd_peer *peer) {
  if (!peer->wanted && peer->dialed == NULL && peer->live == NULL) {
    free(cd_table_remove(peers, &peer->node));
  }
}

void cd_peers_free(cd_table *peers) {
  size_t i = 0;
  for (cd_peer *p; (p = cd_table_next(peers, &i)) != NULL;) {
    free(p);
  }
  cd_table_free(peers);
}
