/* netnode.h - for tests of the transport: a node that records what its listener is told, and a peer by hand on a plain
 * socket for what a real one never does. All on loopback, with ephemeral ports. */
#ifndef TEST_NETNODE_H
#define TEST_NETNODE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "net/transport.h"

#define WAIT_SECONDS 60 /* for sanitizers on a busy machine */

/* A transport and what its listener has seen. From `lock` on, fields are read with GET or WAIT. */
typedef struct node {
  cd_net net;
  ch_secret key;
  ch_pubkey id;
  char bound[64];
  _Atomic unsigned ecdh_calls;

  pthread_mutex_t lock;
  pthread_cond_t changed;
  char history[256]; /* "U1 D1 U2 " */
  cd_conn conn;      /* the last one that came up; 0 when it is down */
  ch_pubkey peer;
  bool inbound;
  unsigned ups, downs, fails, messages;
  size_t bytes;
  char reason[200];  /* of the last down or fail */
  uint32_t expected; /* numbered messages must come in order */
  bool out_of_order; /* and did not */
  bool echo;         /* send each message back */
  bool busy;         /* ask for a pause after each message */
  bool eager;        /* with busy: resume before the pause has begun */
  bool late;         /* a call came for a connection that is not up */
} node;

/* Waits until `condition` on the node's fields holds. */
#define WAIT(n, condition)                                                                                             \
  do {                                                                                                                 \
    struct timespec until_;                                                                                            \
    clock_gettime(CLOCK_REALTIME, &until_);                                                                            \
    until_.tv_sec += WAIT_SECONDS;                                                                                     \
    pthread_mutex_lock(&(n)->lock);                                                                                    \
    int rv_ = 0;                                                                                                       \
    while (!(condition) && rv_ == 0) {                                                                                 \
      rv_ = pthread_cond_timedwait(&(n)->changed, &(n)->lock, &until_);                                                \
    }                                                                                                                  \
    bool held_ = (condition);                                                                                          \
    pthread_mutex_unlock(&(n)->lock);                                                                                  \
    if (!held_) {                                                                                                      \
      fail_msg("waited in vain for %s (history %s, reason %s)", #condition, (n)->history, (n)->reason);                \
    }                                                                                                                  \
  } while (0)

/* A field's value now. */
#define GET(n, field)                                                                                                  \
  __extension__({                                                                                                      \
    pthread_mutex_lock(&(n)->lock);                                                                                    \
    __typeof__((n)->field) value_ = (n)->field;                                                                        \
    pthread_mutex_unlock(&(n)->lock);                                                                                  \
    value_;                                                                                                            \
  })

/* Sets a field. */
#define SET(n, field, to)                                                                                              \
  do {                                                                                                                 \
    pthread_mutex_lock(&(n)->lock);                                                                                    \
    (n)->field = (to);                                                                                                 \
    pthread_mutex_unlock(&(n)->lock);                                                                                  \
  } while (0)

/* Fails the test unless the last reason contains `part`. */
void assert_reason(node *n, const char *part);

/* The defaults, but quick to reconnect. */
cd_transport_config quick(void);
/* `key` fills the node's private key. NULL config: quick(). */
void node_start(node *n, uint8_t key, const cd_transport_config *config);
/* Stops it and checks that its listener was told nothing wrong. */
void node_end(node *n);
void node_listen(node *n, const char *address);
void node_connect(node *n, const node *to);
/* Sends `len` bytes with a number, if there is room, on the connection that is up. False as the transport's. */
bool node_send(node *n, uint32_t number, size_t len);
/* Two nodes, `b` having connected to `a`. */
void pair_start(node *a, node *b, const cd_transport_config *config);

typedef struct raw {
  int fd;
  ch_secret key;
  cd_noise noise;
  cd_cipher tx, rx;
} raw;

int raw_connect(const char *address);
/* The other side may have closed already, which is no fault of the test. */
void raw_write(int fd, const void *bytes, size_t len);
bool raw_read(int fd, void *bytes, size_t len);
/* Waits until the other side has closed, ignoring what it sends before; closes. */
void raw_await_close(int fd);
/* Connects and writes act one, correctly. */
void raw_begin(raw *r, const node *to, uint8_t key);
void raw_read_act2(raw *r);
/* All three acts, until `to` says that it is up. */
void raw_handshake(raw *r, node *to, uint8_t key);
void raw_send(raw *r, const uint8_t *message, uint16_t len);
/* Reads one frame and returns its message's type; 0 if the connection has ended. */
unsigned raw_receive(raw *r);

#endif
