/* node.h - one node: the ports and the workers joined.
 *
 * Threads: the transport's, the chain's and the API's threads only put mails into the workers' mailboxes (listeners.c,
 * commands.c). Each channel belongs to one worker, by its id; worker 0 also keeps the contacts and the openings. The
 * store's commit thread releases messages and mails the owner (chan.c). The sender has a thread of its own.
 */
#ifndef CHANNELD_NODE_H
#define CHANNELD_NODE_H

#include <stdatomic.h>

#include "claims.h"
#include "config.h"
#include "directory.h"
#include "ports.h"

struct cd_worker;
struct cd_sender;
struct cd_keeper;

typedef struct cd_node {
  cd_config config;
  cd_store store;
  cd_net net;
  cd_l1 l1;
  uint8_t *seed; /* 64 bytes in locked memory: a worker that reloads starts with a fresh signer */

  ch_pubkey id;
  ch_addr account, payout;
  ch_chain chain;
  ch_hash instance;
  char listen[64];
  uint64_t started; /* cd_monotonic_ms */

  pthread_mutex_t head_lock;
  cd_head head;

  cd_directory directory;
  cd_claims claims;
  struct cd_worker *workers;
  unsigned n_workers;
  struct cd_sender *sender;
  struct cd_keeper *keeper; /* of the static backup */
  atomic_uint connected;    /* peers */
  atomic_bool stopping;
  bool running; /* the workers' threads are */
} cd_node;

/* The caller has filled config, store, l1 and seed, and zeroed the rest. Makes the workers, without threads. False with
 * a sentence in `why`; cd_node_free is to be called in any case. */
bool cd_node_init(cd_node *n, char *why, size_t why_len);
/* The caller has filled net. Loads all channels and starts the workers, the chain's follower and the listening. False
 * with a sentence in `why`; cd_node_stop is to be called in any case. */
bool cd_node_start(cd_node *n, char *why, size_t why_len);
/* Stops net and L1, lets the workers finish what is under way, and answers every command that waits. The store, which
 * stays open, then holds everything. */
void cd_node_stop(cd_node *n);
/* Frees what init made. */
void cd_node_free(cd_node *n);

/* How the world looks now. Any thread. */
/* What this node agrees on about conditional payments; none if its chain cannot tell what was revealed. */
ch_lock_limits cd_lock_limits(const cd_node *n);
void cd_node_env(cd_node *n, ch_env *out);
/* The same as of the block `at`: channels are stepped with their worker's. */
void cd_node_env_at(cd_node *n, const cd_head *at, ch_env *out);
/* Whether the chain's head is young enough to sign by. Any thread. */
bool cd_env_fresh(const ch_env *env);

/* The worker that owns a channel. */
struct cd_worker *cd_node_owner(cd_node *n, const ch_hash *id);

/* The listeners to give to the ports (listeners.c). */
cd_net_listener cd_node_net_listener(cd_node *n);
cd_l1_listener cd_node_l1_listener(cd_node *n);
/* The commands to give to the API (commands.c). */
cd_commands cd_node_commands(cd_node *n);

#endif
