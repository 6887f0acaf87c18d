/* inbox.h - how the nng callbacks and the callers' threads hand over to the transport's own thread.
 *
 * A link is queued once, however many events are posted for it. Its mutex is a leaf: it may be taken under any other.
 */
#ifndef CD_NET_INBOX_H
#define CD_NET_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct cd_link;

/* Events of one link. */
#define CD_LINK_DIALED 1u /* its stream is connected */
#define CD_LINK_READY 2u  /* its handshake is complete; it waits for cd_link_continue */
#define CD_LINK_RESUME 4u /* it was paused and may read again */
#define CD_LINK_DRAIN 8u  /* it will be closed at drain_until at the latest */
#define CD_LINK_DEAD 16u  /* it has been shut: reap it */

/* Events of the transport. */
#define CD_POKE_PEERS 1u  /* connect() or forget() */
#define CD_POKE_ACCEPT 2u /* listen(), or the listener has accepted or failed */
#define CD_POKE_STOP 4u
#define CD_POKE_TIME 8u /* nothing came until the given time */

typedef struct cd_inbox {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct cd_link *first, *last;
  unsigned pokes;
} cd_inbox;

bool cd_inbox_init(cd_inbox *in);
void cd_inbox_fini(cd_inbox *in);
void cd_inbox_post(cd_inbox *in, struct cd_link *link, unsigned events);
void cd_inbox_poke(cd_inbox *in, unsigned pokes);
/* Waits for something, but not beyond `until` (cd_monotonic_ms). Takes all pokes, and the oldest link with its events
 * or NULL. */
struct cd_link *cd_inbox_wait(cd_inbox *in, uint64_t until, unsigned *events, unsigned *pokes);
/* Takes a link out, before it is freed. */
void cd_inbox_remove(cd_inbox *in, struct cd_link *link);

#endif
