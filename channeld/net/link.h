/* link.h - one connection: its stream, its handshake, its frames. Private to net/.
 *
 * Three parties touch a link, each its own part:
 *   - the transport's thread: its life (state, timers, stopping, freeing);
 *   - the receiving flow: whoever runs cd_link_continue or the receive callback. There is only ever one: a receive is
 *     either in flight, or its callback runs, or the flow rests (ready, paused, shut) and the transport's thread
 *     may continue it;
 *   - everybody, under `lock`: sending, pausing and shutting.
 * An operation of nng is only started under `lock` while the link is not shut, so that after cd_link_stop nothing
 * can start again.
 */
#ifndef CD_NET_LINK_H
#define CD_NET_LINK_H

#include <nng/nng.h>
#include <stdatomic.h>

#include "inbox.h"
#include "transport.h"
#include "util/queue.h"

typedef enum cd_link_state { CD_LINK_DIALING, CD_LINK_HANDSHAKE, CD_LINK_LIVE } cd_link_state;

typedef enum cd_link_stage { CD_STAGE_ACT1, CD_STAGE_ACT2, CD_STAGE_ACT3, CD_STAGE_FRAMES } cd_link_stage;

/* Growing bytes: `len` of `cap` are used. */
typedef struct cd_buffer {
  uint8_t *p;
  size_t len, cap;
} cd_buffer;

typedef struct cd_link {
  /* Constant. */
  const cd_transport_config *config;
  const cd_net_listener *listener;
  cd_inbox *inbox;
  bool inbound;
  pthread_mutex_t lock;
  nng_aio *rx_aio, *tx_aio;

  /* The transport's thread only. */
  struct cd_link *prev, *next; /* all links */
  struct cd_peer *peer;        /* of a dialed or a live one */
  cd_link_state state;
  uint64_t started;   /* when the state began */
  uint64_t last_ping; /* when we sent one */
  char address[CD_ADDRESS_MAX];
  nng_stream_dialer *dialer;

  /* Set under the transport's lock, once. */
  cd_conn number; /* from `up` on */

  /* The inbox's. */
  struct cd_link *inbox_next;
  unsigned inbox_events;

  /* The receiving flow's; `stream` and `node` are constant once DIALED and READY have been posted. */
  nng_stream *stream;
  ch_pubkey node; /* who the peer is: wanted, or proved */
  cd_noise noise;
  _Atomic cd_link_stage stage; /* everybody reads it, for the wording of errors */
  cd_cipher rx_cipher;
  cd_buffer rx;
  size_t rx_used;   /* bytes at the front of `rx` that are dealt with */
  bool have_header; /* `body_len` is that of the frame at rx_used */
  uint16_t body_len;
  _Atomic uint64_t last_rx;

  /* Under `lock`. */
  cd_cipher tx_cipher;
  cd_buffer out, flight; /* sealed: what waits, and what nng has now */
  size_t flight_sent;
  bool flying;
  bool paused, resumed; /* the flow rests; resume() came while the listener was being asked */
  bool draining;
  uint64_t drain_until;
  bool shut;
  bool transient; /* it failed for a reason that passes by itself at once */
  char reason[200];
} cd_link;

/* NULL without memory. `node` and `address` are the wanted peer's; NULL makes an inbound link on `stream`, which
 * the link owns from then on, also if this fails. */
cd_link *cd_link_new(const cd_transport_config *config, const cd_net_listener *listener, cd_inbox *inbox,
                     const ch_pubkey *node, const char *address, nng_stream *stream);

/* Starts to connect; posts DIALED, or DEAD. */
void cd_link_dial(cd_link *l);
/* Starts the handshake on the connected stream; posts READY, or DEAD. */
void cd_link_handshake(cd_link *l);
/* Reads on: after READY, or RESUME. */
void cd_link_continue(cd_link *l);

/* Sends a ping unless something waits to be sent, which is as good. */
void cd_link_ping(cd_link *l);
/* Closes at once, for this reason unless there is one already; posts DEAD. Idempotent. */
void cd_link_shut(cd_link *l, const char *reason);

/* The caller of these holds `lock`. */

/* Queues a message. False if the link is shut or draining, or if its queue was full: then it is shut now. */
bool cd_link_queue_locked(cd_link *l, const uint8_t *message, size_t len);
/* Sends what is queued. */
void cd_link_flush_locked(cd_link *l);
void cd_link_resume_locked(cd_link *l);
/* Shuts it when all that is queued has been sent, posts DRAIN until then. Nothing is delivered any more. */
void cd_link_drain_locked(cd_link *l, const char *reason);

/* Waits until no callback of a link that has been shut runs or will run. Never from a callback. */
void cd_link_stop(cd_link *l);
/* Frees a stopped link, wiping its keys. */
void cd_link_free(cd_link *l);

#endif
