/* keeper.h - keeps D/channels.backup (backup.h) while the daemon runs: written at start, and at every opening before
 * anything of the new channel leaves the process or reaches the database.
 *
 * It has a thread of its own: openings that come while the file is being written share the next writing. Channels that
 * only the file of an earlier run has stay in it: the database may be an old copy.
 */
#ifndef CHANNELD_KEEPER_H
#define CHANNELD_KEEPER_H

#include "worker.h"

typedef struct cd_keeper cd_keeper;

/* A new channel on its way into the file; a part of the caller's object, which stays until `then`. */
typedef struct cd_keep {
  cd_mail mail; /* first: the keeper knows only this */
  ch_origin origin;
  cd_worker *owner; /* on whose thread `then` runs */
  void (*then)(cd_worker *owner, struct cd_keep *k, bool kept);
  bool kept;
} cd_keep;

/* All channels are loaded, no worker runs yet. NULL with a sentence in `why`. That the file cannot be written at start
 * is only logged: it is tried again at each opening. */
cd_keeper *cd_keeper_start(cd_node *n, char *why, size_t why_len);
/* Finishes what was given to it, and frees it. The workers' threads have ended. NULL is fine. */
void cd_keeper_stop(cd_keeper *k);

/* Any thread. Calls `then` once, later. */
void cd_keeper_add(cd_keeper *k, cd_keep *one);
/* The channel came to nothing: it is left out from the next writing on. Any thread; NULL is fine. */
void cd_keeper_drop(cd_keeper *k, const ch_hash *id);

#endif
