/* transport.h - the transport port (channeld/ports.h) on nng byte streams with the handshake of BOLT 8.
 *
 * One live connection for each node id: the newest authenticated one wins, the older is closed. Either side may
 * dial. On the wire: the three acts of noise.h, then its frames, one message in each: a 2-byte big-endian type and a
 * body. The transport answers and sends its own types CD_MSG_PING and CD_MSG_PONG (as in BOLT 1; the body is empty
 * when sent and ignored when received); every other message is the listener's. Source: proto/protocol.md, section 8.
 *
 * Threads: any thread may call the operations, also from inside a listener's function, but `stop` and
 * cd_transport_free may not be called there. `up`, `down` and `failed` come from the transport's own thread;
 * `message` from that one or nng's, never two at once for one connection; `down` comes after all of them. What a
 * listener does must be quick: it delays other connections. Forgetting a node leaves a live connection to it alone.
 *
 * Bounded: handshakes, dials and connections in number; what waits to be sent in bytes for each connection; what is
 * read by one frame and the listener's own queue (`message` returning false stops the reading). Timeouts disconnect,
 * nothing more.
 */
#ifndef CD_TRANSPORT_H
#define CD_TRANSPORT_H

#include "noise.h"
#include "ports.h"

#define CD_MSG_PING 18
#define CD_MSG_PONG 19

/* "host:port" with its NUL. */
#define CD_ADDRESS_MAX 256

typedef struct cd_transport_config {
  cd_noise_self self;   /* who we are; the ECDH is called from several threads */
  const char *prologue; /* a literal: not copied */

  unsigned max_handshakes; /* inbound connections that have not authenticated yet; more wait in the kernel */
  unsigned max_dials;      /* attempts to connect at the same time; more wait here */
  unsigned max_live;       /* authenticated connections; more are closed at once */
  size_t max_queued;       /* bytes that wait to be sent on one connection, at least one whole frame */

  /* Milliseconds. */
  unsigned dial_ms;      /* for a dial to connect */
  unsigned handshake_ms; /* for the three acts; an eighth of it while all max_handshakes are taken */
  unsigned ping_ms;      /* of silence from the peer until a ping is sent */
  unsigned idle_ms;      /* of silence from the peer until the connection is closed */
  unsigned linger_ms;    /* for close() to send what is queued */
  unsigned retry_min_ms; /* between two attempts to connect: at first, doubled each time, plus or minus a half */
  unsigned retry_max_ms;
} cd_transport_config;

/* The production values; `self` is the caller's to set. */
void cd_transport_defaults(cd_transport_config *config);

/* Starts a transport; `config` and `listener` are copied. CH_ERR_ARGUMENT if the configuration makes no sense,
 * CH_ERR_NO_MEMORY if there is no memory or thread. The vtable's `stop` leaves an object on which every operation
 * fails or does nothing, so that the listener's side may end in its own time; cd_transport_free frees it. */
ch_err cd_transport_new(cd_net *out, const cd_transport_config *config, const cd_net_listener *listener) CH_MUST_CHECK;

/* Stops it if that has not been done, and frees it. No thread may use it any more. NULL in `net->ctx` is fine. */
void cd_transport_free(cd_net *net);

#endif
