#include "acceptor.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_accepted(void *arg) {
  cd_acceptor *a = arg;
  atomic_store(&a->done, true);
  cd_inbox_poke(a->inbox, CD_POKE_ACCEPT);
}

static void explain(char *why, size_t why_len, const char *address, int rv) {
  const char *hint = "it must be host:port of this machine";
  if (rv == NNG_EADDRINUSE) {
    hint = "stop the other program or choose another port";
  } else if (rv == NNG_EPERM) {
    hint = "choose a port above 1023";
  }
  snprintf(why, why_len, "The address %s cannot be listened on (%s): %s.", address, nng_strerror(rv), hint);
}

static int bound_address(nng_stream_listener *listener, char bound[64]) {
  nng_sockaddr sa;
  char host[INET6_ADDRSTRLEN] = "";
  int rv = nng_stream_listener_get_addr(listener, NNG_OPT_LOCADDR, &sa);
  if (rv == 0 && sa.s_family == NNG_AF_INET6) {
    inet_ntop(AF_INET6, sa.s_in6.sa_addr, host, sizeof host);
    snprintf(bound, 64, "[%s]:%u", host, ntohs(sa.s_in6.sa_port));
  } else if (rv == 0) {
    inet_ntop(AF_INET, &sa.s_in.sa_addr, host, sizeof host);
    snprintf(bound, 64, "%s:%u", host, ntohs(sa.s_in.sa_port));
  }
  return rv;
}

cd_acceptor *cd_acceptor_new(cd_inbox *inbox, const char *address, char bound[64], char *why, size_t why_len) {
  cd_acceptor *a = calloc(1, sizeof *a);
  if (a == NULL) {
    explain(why, why_len, address, NNG_ENOMEM);
    return NULL;
  }
  a->inbox = inbox;
  char url[300];
  snprintf(url, sizeof url, "tcp://%s", address);
  int rv = nng_aio_alloc(&a->aio, on_accepted, a);
  if (rv == 0) {
    rv = nng_stream_listener_alloc(&a->listener, url);
  }
  if (rv == 0) {
    rv = nng_stream_listener_listen(a->listener);
  }
  if (rv == 0) {
    rv = bound_address(a->listener, bound);
  }
  if (rv != 0) {
    explain(why, why_len, address, rv);
    cd_acceptor_free(a);
    return NULL;
  }
  return a;
}

void cd_acceptor_arm(cd_acceptor *a) {
  if (!a->armed) {
    a->armed = true;
    atomic_store(&a->done, false);
    nng_stream_listener_accept(a->listener, a->aio);
  }
}

nng_stream *cd_acceptor_take(cd_acceptor *a, int *error) {
  *error = 0;
  if (!a->armed || !atomic_load(&a->done)) {
    return NULL;
  }
  nng_aio_wait(a->aio); /* the callback may not have returned yet */
  a->armed = false;
  *error = nng_aio_result(a->aio);
  return *error == 0 ? nng_aio_get_output(a->aio, 0) : NULL;
}

void cd_acceptor_free(cd_acceptor *a) {
  if (a == NULL) {
    return;
  }
  if (a->listener != NULL) {
    nng_stream_listener_close(a->listener);
  }
  if (a->aio != NULL) {
    nng_aio_stop(a->aio);
    int error;
    nng_stream_free(cd_acceptor_take(a, &error));
  }
  nng_aio_free(a->aio);
  nng_stream_listener_free(a->listener);
  free(a);
}
