/* chain.h - the chains that a world may have. Each is the real adapter of channeld/l1 on a chain in memory. */
#ifndef SIM_DAEMON_CHAIN_H
#define SIM_DAEMON_CHAIN_H

#include "world.h"

typedef struct chain_kind {
  const char *l1; /* the daemons' setting */
  void (*begin)(world *w);
  void (*give)(world *w, const ch_addr *who, uint64_t amount);
  ch_amount (*purse)(world *w, const ch_addr *who);
  void (*mine)(world *w, unsigned blocks);
  void (*reorganise)(world *w, unsigned depth, bool drop);
  void (*warp)(world *w, uint64_t seconds); /* the clock jumps, and there is a block */
  /* A daemon's adapter; on its own fiber. */
  bool (*open_l1)(host *d, const cd_config *c, const ch_secret *account, cd_l1 *out, char *why);
  void (*close_l1)(cd_l1 *l1);
} chain_kind;

extern const chain_kind chain_dev, chain_evm;

#endif
