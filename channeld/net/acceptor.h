/* acceptor.h - the listening socket: one accept at a time, its result fetched by the transport's thread. Private to
 * net/. */
#ifndef CD_NET_ACCEPTOR_H
#define CD_NET_ACCEPTOR_H

#include <nng/nng.h>
#include <stdatomic.h>

#include "inbox.h"

typedef struct cd_acceptor {
  cd_inbox *inbox;
  nng_stream_listener *listener;
  nng_aio *aio;
  bool armed;          /* an accept is in flight, or its result waits */
  _Atomic bool done;   /* the result waits */
  uint64_t not_before; /* after an error (no file descriptors, say) accepting rests for a moment */
} cd_acceptor;

/* Listens on "host:port"; `bound` receives the address with the real port. NULL on failure, with a sentence in
 * `why`. Pokes `inbox` with CD_POKE_ACCEPT whenever a result waits. */
cd_acceptor *cd_acceptor_new(cd_inbox *inbox, const char *address, char bound[64], char *why, size_t why_len);
/* Accepts the next connection, unless one is being accepted. */
void cd_acceptor_arm(cd_acceptor *a);
/* The connection that was accepted, to be owned by the caller; or NULL, with *error (an nng_errno) set if the accept
 * failed and 0 if there is none yet. */
nng_stream *cd_acceptor_take(cd_acceptor *a, int *error);
/* Closes the socket and frees it. NULL is fine. */
void cd_acceptor_free(cd_acceptor *a);

#endif
