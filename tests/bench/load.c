/* Load for a daemon: one payment under way on each channel, through POST /v1/payments on connections that stay open.
 *
 *   load --api HOST:PORT --token-file FILE --channels FILE [--count N] [--per-request K] [--prefix NAME] [--warm
 * SECONDS]
 *
 * FILE has one channel id on each line. A connection serves K channels: it sends one payment for each in one request,
 * and the next when all are settled. After the warm-up, with nothing under way, it prints `ready SETTLED`, waits for a
 * line, and then pays until the daemon is gone. Then it prints, one on each line, `settled`, `failed`, `p50` and `p99`
 * (microseconds from a request to its answer). One thread and no parsing: it shares the processors with the daemon. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define ID_LEN 66 /* 0x and 32 bytes */
#define HEAD_MAX 400
#define PAYMENT_MAX 200
#define REPLY_MAX 600 /* for each payment, and once for the headers */

typedef struct options {
  const char *api, *token_file, *channels_file, *prefix;
  uint32_t count, per_request;
  double warm;
} options;

typedef struct connection {
  int fd; /* -1: the daemon closed it */
  bool busy;
  uint32_t first, n; /* its channels */
  double sent_at;
  char *reply;
  size_t reply_len;
} connection;

typedef struct load {
  options o;
  char token[65];
  struct sockaddr_in address;
  char (*channels)[ID_LEN + 1];
  connection *connections;
  char *request, *replies; /* room for one request, and for a reply on each connection */
  uint32_t n_connections, busy, alive;
  int epoll;
  uint64_t next_id, settled, failed;
  uint32_t *latency; /* microseconds, of each answer since the warm-up */
  size_t answers, room;
  bool measuring;
} load;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

static void *must(void *p) {
  if (!p) die("no memory");
  return p;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- Arguments -------------------------------------------------------------------------------------- */

static uint32_t number(const char *text, const char *what, unsigned long most) {
  char *end;
  errno = 0;
  unsigned long n = strtoul(text, &end, 10);
  if (errno || end == text || *end || *text == '-' || n > most)
    die("--%s must be at most %lu, not '%s'", what, most, text);
  return (uint32_t)n;
}

static options parse(int argc, char **argv) {
  static const struct option LONG[] = {
      {"api", required_argument, NULL, 'a'},         {"token-file", required_argument, NULL, 't'},
      {"channels", required_argument, NULL, 'c'},    {"count", required_argument, NULL, 'n'},
      {"per-request", required_argument, NULL, 'k'}, {"prefix", required_argument, NULL, 'p'},
      {"warm", required_argument, NULL, 'w'},        {NULL, 0, NULL, 0},
  };
  options o = {.prefix = "load", .count = UINT32_MAX, .per_request = 1};
  for (int c; (c = getopt_long(argc, argv, "", LONG, NULL)) != -1;) {
    switch (c) {
    case 'a': o.api = optarg; break;
    case 't': o.token_file = optarg; break;
    case 'c': o.channels_file = optarg; break;
    case 'n': o.count = number(optarg, "count", 100000); break;
    case 'k': o.per_request = number(optarg, "per-request", 1000); break;
    case 'p': o.prefix = optarg; break;
    case 'w': o.warm = number(optarg, "warm", 3600); break;
    default: exit(2);
    }
  }
  if (!o.api || !o.token_file || !o.channels_file) die("--api, --token-file and --channels are needed");
  if (o.per_request == 0 || strlen(o.prefix) > 40) die("--per-request must not be 0, --prefix at most 40 characters");
  return o;
}

static void read_token(load *l) {
  FILE *f = fopen(l->o.token_file, "r");
  if (!f || fscanf(f, "%64s", l->token) != 1) die("%s: no token", l->o.token_file);
  fclose(f);
}

static void read_channels(load *l) {
  FILE *f = fopen(l->o.channels_file, "r");
  uint32_t n = 0, room = 0;
  char id[ID_LEN + 1];
  if (!f) die("%s: %s", l->o.channels_file, strerror(errno));
  while (n < l->o.count && fscanf(f, "%66s", id) == 1) {
    if (n == room) l->channels = must(realloc(l->channels, (room = room ? 2 * room : 64) * sizeof *l->channels));
    memcpy(l->channels[n++], id, sizeof id);
  }
  fclose(f);
  if (n == 0) die("%s names no channel", l->o.channels_file);
  l->o.count = n;
}

static void read_address(load *l) {
  char host[64];
  const char *colon = strrchr(l->o.api, ':');
  if (!colon || (size_t)(colon - l->o.api) >= sizeof host) die("--api must be HOST:PORT");
  snprintf(host, sizeof host, "%.*s", (int)(colon - l->o.api), l->o.api);
  l->address.sin_family = AF_INET;
  l->address.sin_port = htons((uint16_t)number(colon + 1, "api's port", 65535));
  if (inet_pton(AF_INET, host, &l->address.sin_addr) != 1) die("--api must be an IPv4 address with a port");
}

/* --- Connections ------------------------------------------------------------------------------------- */

static size_t reply_room(const load *l) {
  return (size_t)REPLY_MAX * (l->o.per_request + 1);
}

static void connect_one(load *l, uint32_t i) {
  connection *c = &l->connections[i];
  c->first = i * l->o.per_request;
  c->n = l->o.count - c->first < l->o.per_request ? l->o.count - c->first : l->o.per_request;
  c->reply = l->replies + i * reply_room(l);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&l->address, sizeof l->address) != 0)
    die("%s: %s", l->o.api, strerror(errno));
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
  if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0) die("epoll: %s", strerror(errno));
  l->alive++;
}

static void lose(load *l, connection *c) {
  close(c->fd);
  c->fd = -1;
  l->alive--;
  if (c->busy) l->busy--;
  c->busy = false;
}

static size_t put_payments(load *l, const connection *c, char *out) {
  size_t len = 0;
  for (uint32_t i = 0; i < c->n; i++)
    len += (size_t)sprintf(out + len, "%s{\"id\":\"%s-%llu\",\"channel\":\"%s\",\"amount\":\"1\"}", i ? "," : "",
                           l->o.prefix, (unsigned long long)l->next_id++, l->channels[c->first + i]);
  return len;
}

/* The body is written first, behind room for the headers that need its length. */
static void send_request(load *l, connection *c) {
  char *body = l->request + HEAD_MAX, head[HEAD_MAX];
  size_t len = (size_t)sprintf(body, "{\"wait_ms\":60000,\"payments\":[");
  len += put_payments(l, c, body + len);
  len += (size_t)sprintf(body + len, "]}");
  int head_len = snprintf(head, sizeof head,
                          "POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                          "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                          l->token, len);
  if (head_len > HEAD_MAX) die("the token is too long");
  memcpy(body - head_len, head, (size_t)head_len);
  c->reply_len = 0;
  c->sent_at = now();
  ssize_t sent = send(c->fd, body - head_len, len + (size_t)head_len, MSG_NOSIGNAL);
  if (sent != (ssize_t)len + head_len) {
    lose(l, c);
    return;
  }
  c->busy = true;
  l->busy++;
}

/* --- Answers ------------------------------------------------------------------------------------------ */

/* The length of the whole reply, or 0 while that is not known. */
static size_t whole_length(const connection *c) {
  const char *end = strstr(c->reply, "\r\n\r\n");
  const char *field = end ? strcasestr(c->reply, "\r\nContent-Length:") : NULL;
  if (!field || field > end) return 0;
  return (size_t)(end + 4 - c->reply) + strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
}

static uint32_t count_settled(const char *text) {
  uint32_t n = 0;
  for (const char *at = text; (at = strstr(at, "\"status\":\"settled\"")); at++)
    n++;
  return n;
}

static void note_latency(load *l, double seconds) {
  if (!l->measuring) return;
  if (l->answers == l->room) l->latency = must(realloc(l->latency, (l->room = l->room ? 2 * l->room : 65536) * 4));
  l->latency[l->answers++] = (uint32_t)(seconds * 1e6);
}

static void finish_request(load *l, connection *c) {
  uint32_t settled = count_settled(c->reply);
  c->busy = false;
  l->busy--;
  l->settled += settled;
  if (settled < c->n) {
    if (l->failed == 0) fprintf(stderr, "load: %s\n", c->reply);
    l->failed += c->n - settled;
    if (l->failed > 1000) die("too many payments are not settled");
  }
  note_latency(l, now() - c->sent_at);
}

/* True once the reply is whole. */
static bool receive(load *l, connection *c) {
  size_t room = reply_room(l) - 1 - c->reply_len;
  ssize_t n = recv(c->fd, c->reply + c->reply_len, room, 0);
  if (n <= 0) {
    lose(l, c);
    return false;
  }
  c->reply_len += (size_t)n;
  c->reply[c->reply_len] = '\0';
  size_t whole = whole_length(c);
  if (whole >= reply_room(l)) die("a reply is too long: %s", c->reply);
  if (whole == 0 || c->reply_len < whole) return false;
  finish_request(l, c);
  return true;
}

/* Keeps every connection busy until `end`, and then waits for the last answers. */
static void pay_until(load *l, double end) {
  struct epoll_event events[256];
  for (uint32_t i = 0; i < l->n_connections && now() < end; i++)
    send_request(l, &l->connections[i]);
  while (l->busy > 0) {
    int n = epoll_wait(l->epoll, events, 256, -1);
    for (int i = 0; i < n; i++) {
      connection *c = &l->connections[events[i].data.u32];
      if (receive(l, c) && now() < end) send_request(l, c);
    }
  }
}

/* --- The run ------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t percentile(const load *l, double part) {
  return l->answers ? l->latency[(size_t)((double)(l->answers - 1) * part)] : 0;
}

static void report(load *l) {
  if (l->answers) qsort(l->latency, l->answers, sizeof *l->latency, by_value);
  printf("settled %llu\nfailed %llu\np50 %u\np99 %u\n", (unsigned long long)l->settled, (unsigned long long)l->failed,
         percentile(l, 0.5), percentile(l, 0.99));
}

int main(int argc, char **argv) {
  static load l; /* everything in it lives until the end */
  l.o = parse(argc, argv);
  read_token(&l);
  read_channels(&l);
  read_address(&l);
  l.epoll = epoll_create1(EPOLL_CLOEXEC);
  l.n_connections = (l.o.count + l.o.per_request - 1) / l.o.per_request;
  l.connections = must(calloc(l.n_connections, sizeof *l.connections));
  l.request = must(malloc(HEAD_MAX + PAYMENT_MAX * ((size_t)l.o.per_request + 1)));
  l.replies = must(malloc(l.n_connections * reply_room(&l)));
  for (uint32_t i = 0; i < l.n_connections; i++)
    connect_one(&l, i);
  pay_until(&l, now() + l.o.warm);
  if (l.alive < l.n_connections) die("the daemon closed a connection during the warm-up");
  printf("ready %llu\n", (unsigned long long)l.settled);
  fflush(stdout);
  if (getchar() == EOF) die("nobody says when to start");
  l.settled = 0;
  l.measuring = true;
  pay_until(&l, now() + 1e9);
  report(&l);
  return 0;
}
