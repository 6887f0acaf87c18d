/* The server's life: listening, the clock that bounds how long anything may take, and stopping. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

#define LEAVE_MS 2000 /* how long a stop waits for responses to leave */

uint64_t cd_now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct timespec at_ms(uint64_t ms) {
  return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

/* --- Listening ---------------------------------------------------------------------------------- */

typedef union cd_sockaddr {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} cd_sockaddr;

static socklen_t size_of(const cd_sockaddr *a) {
  return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

/* Parses "HOST:PORT", where HOST is on loopback. */
static bool parse_address(cd_sockaddr *out, const char *text) {
  char host[64];
  const char *colon = strrchr(text, ':');
  if (!colon || (size_t)(colon - text) >= sizeof host) return false;
  snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
  size_t digits = strspn(colon + 1, "0123456789");
  unsigned long port = strtoul(colon + 1, NULL, 10);
  if (digits == 0 || digits > 5 || colon[1 + digits] || port > UINT16_MAX) return false;
  memset(out, 0, sizeof *out);
  if (strcmp(host, "[::1]") == 0) {
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_addr = in6addr_loopback;
    out->v6.sin6_port = htons((uint16_t)port);
    return true;
  }
  out->v4.sin_family = AF_INET;
  out->v4.sin_port = htons((uint16_t)port);
  const char *number = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
  return inet_pton(AF_INET, number, &out->v4.sin_addr) == 1 && ntohl(out->v4.sin_addr.s_addr) >> 24 == 127;
}

static void write_address(char out[64], const cd_sockaddr *a) {
  char host[INET_ADDRSTRLEN];
  if (a->any.sa_family == AF_INET6)
    snprintf(out, 64, "[::1]:%u", ntohs(a->v6.sin6_port));
  else
    snprintf(out, 64, "%s:%u", inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host), ntohs(a->v4.sin_port));
}

static ch_err open_listener(int *out, char bound[64], const char *address, char *why, size_t why_len) {
  cd_sockaddr a;
  if (!parse_address(&a, address))
    return cd_api_fail(why, why_len,
                       "The API cannot listen on \"%s\": give a loopback address with a port, such as 127.0.0.1:8645.",
                       address);
  int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int on = 1;
  socklen_t len = size_of(&a);
  bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 && bind(fd, &a.any, len) == 0 &&
            listen(fd, SOMAXCONN) == 0 && getsockname(fd, &a.any, &len) == 0;
  if (!ok) {
    int error = errno;
    if (fd >= 0) close(fd);
    return cd_api_fail(why, why_len, "The API cannot listen on %s: %s. %s", address, strerror(error),
                       error == EADDRINUSE ? "Stop what uses that port, or choose another one with --api."
                                           : "Choose another address with --api.");
  }
  write_address(bound, &a);
  *out = fd;
  return CH_OK;
}

/* --- Connections and the clock ------------------------------------------------------------------- */

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode event) {
  cd_api *api = cls;
  cd_link *link = *context;
  if (event == MHD_CONNECTION_NOTIFY_STARTED) {
    link = calloc(1, sizeof *link);
    *context = link; /* without it the first request is dropped */
    if (!link) return;
    link->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    link->deadline = cd_now_ms() + api->cfg.request_ms;
    int on = 1;
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pthread_mutex_lock(&api->lock);
    link->next = api->links;
    if (link->next) link->next->prev = link;
    api->links = link;
    pthread_mutex_unlock(&api->lock);
    return;
  }
  if (!link) return;
  pthread_mutex_lock(&api->lock);
  if (link->prev) link->prev->next = link->next;
  if (!link->prev) api->links = link->next;
  if (link->next) link->next->prev = link->prev;
  pthread_mutex_unlock(&api->lock);
  free(link);
}

/* Shuts down connections that take too long; MHD then sees their end and closes them. */
static void look_at_deadlines(cd_api *api) {
  uint64_t now = cd_now_ms();
  for (cd_link *link = api->links; link; link = link->next) {
    if (link->deadline == 0 || link->deadline > now) continue;
    shutdown(link->fd, SHUT_RDWR);
    link->deadline = 0;
  }
  for (cd_request *r = api->waiting, *next; r; r = next) {
    next = r->next;
    if (r->deadline <= now)
      cd_request_give_up(r, "no_answer", "The daemon took too long to answer; it may still do what was asked.",
                         "Ask for the state of what you wanted, then decide.");
  }
}

static void *run_clock(void *arg) {
  cd_api *api = arg;
  unsigned shortest = api->cfg.request_ms < api->cfg.answer_ms ? api->cfg.request_ms : api->cfg.answer_ms;
  unsigned tick = shortest > 4000 ? 1000 : shortest / 4 + 1;
  pthread_mutex_lock(&api->lock);
  while (!api->stopping) {
    struct timespec until = at_ms(cd_now_ms() + tick);
    while (!api->stopping && pthread_cond_timedwait(&api->changed, &api->lock, &until) == 0) {
    }
    look_at_deadlines(api);
  }
  pthread_mutex_unlock(&api->lock);
  return NULL;
}

/* --- Start -------------------------------------------------------------------------------------- */

/* Percent-encoding is undone later, piece by piece: a payment's id may contain an encoded slash. */
static size_t keep_encoded(void *cls, struct MHD_Connection *connection, char *text) {
  (void)cls;
  (void)connection;
  return strlen(text);
}

__attribute__((format(printf, 2, 0))) static void on_log(void *cls, const char *format, va_list ap) {
  const cd_api *api = cls;
  char line[300];
  if (!api->cfg.log) return;
  int n = vsnprintf(line, sizeof line, format, ap);
  if (n > 0 && (size_t)n < sizeof line && line[n - 1] == '\n') line[n - 1] = '\0';
  api->cfg.log(api->cfg.log_ctx, line);
}

static void set_up(cd_api *api, const cd_api_config *cfg) {
  api->cfg = *cfg;
  api->cfg.address = api->cfg.token = NULL;
  if (!api->cfg.max_connections) api->cfg.max_connections = 256;
  if (!api->cfg.max_waiting) api->cfg.max_waiting = 192;
  if (!api->cfg.request_ms) api->cfg.request_ms = 30000;
  if (!api->cfg.answer_ms) api->cfg.answer_ms = 150000;
  snprintf(api->token, sizeof api->token, "%s", cfg->token);
  api->owners = 1;
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&api->changed, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&api->lock, NULL);
}

static struct MHD_Daemon *start_daemon(cd_api *api, int listener) {
  return MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
                          0, NULL, NULL, cd_on_request, api, MHD_OPTION_EXTERNAL_LOGGER, on_log, api,
                          MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, api->cfg.max_connections,
                          MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                          cd_on_completed, api, MHD_OPTION_NOTIFY_CONNECTION, on_connection, api, MHD_OPTION_END);
}

/* Starts both threads with all signals blocked: those are for the program's own threads. */
static bool start_threads(cd_api *api, int listener) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool ok = pthread_create(&api->clock, NULL, run_clock, api) == 0;
  if (ok) {
    api->daemon = start_daemon(api, listener);
    if (!api->daemon) {
      close(listener);
      pthread_mutex_lock(&api->lock);
      api->stopping = true;
      pthread_cond_broadcast(&api->changed);
      pthread_mutex_unlock(&api->lock);
      pthread_join(api->clock, NULL);
      ok = false;
    }
  } else {
    close(listener);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ok;
}

ch_err cd_api_start(cd_api **out, const cd_api_config *cfg, char *why, size_t why_len) {
  *out = NULL;
  if (strlen(cfg->token) != CD_API_TOKEN_STR - 1) return cd_api_fail(why, why_len, "The API has no token.");
  cd_api *api = calloc(1, sizeof *api);
  if (!api) return CH_ERR_NO_MEMORY;
  set_up(api, cfg);
  int listener = -1;
  ch_err e = open_listener(&listener, api->address, cfg->address, why, why_len);
  if (e == CH_OK && !start_threads(api, listener))
    e = cd_api_fail(why, why_len, "The API cannot start its threads: %s. Raise the process limits.", strerror(errno));
  if (e != CH_OK) {
    cd_api_release(api);
    return e;
  }
  *out = api;
  return CH_OK;
}

const char *cd_api_address(const cd_api *api) {
  return api->address;
}

/* --- Stop --------------------------------------------------------------------------------------- */

void cd_api_release(cd_api *api) {
  pthread_mutex_lock(&api->lock);
  bool last = --api->owners == 0;
  pthread_mutex_unlock(&api->lock);
  if (!last) return;
  pthread_cond_destroy(&api->changed);
  pthread_mutex_destroy(&api->lock);
  sodium_memzero(api->token, sizeof api->token);
  free(api);
}

void cd_api_stop(cd_api *api) {
  if (!api) return;
  MHD_socket listener = MHD_quiesce_daemon(api->daemon);
  pthread_mutex_lock(&api->lock);
  api->stopping = true;
  pthread_cond_broadcast(&api->changed);
  while (api->waiting)
    cd_request_give_up(api->waiting, "stopping", "The daemon is stopping; what was asked may or may not be done.",
                       "Start it again, then ask for the state of what you wanted.");
  struct timespec until = at_ms(cd_now_ms() + LEAVE_MS);
  while (api->n_leaving > 0 && pthread_cond_timedwait(&api->changed, &api->lock, &until) == 0) {
  }
  pthread_mutex_unlock(&api->lock);
  pthread_join(api->clock, NULL);
  MHD_stop_daemon(api->daemon);
  if (listener != MHD_INVALID_SOCKET) close(listener);
  cd_api_release(api);
}
