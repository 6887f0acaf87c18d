/* The dialer (a) connects to us and believes that we are the listener (b), and the other way round. Everything passes
 * as it comes, but for what the script on standard input asks for, line by line:
 *
 *   ACTION FROM TYPE:N [ARG]   at the Nth message from now on of this type from this side (a, b or any):
 *       before     cut instead of passing it        after    pass it, then cut
 *       drop       never pass it                    hole     pass neither it nor anything behind it
 *       dup        pass it twice                    swap     pass the next one first
 *       replay     pass it, then the last such one of an older connection
 *       tamper     turn a bit of byte ARG           damage   the same, but of the sealed frame
 *       tear       pass ARG bytes of the sealed frame, then cut
 *   send TO HEX                a message from us        raw TO HEX     bytes of ours, not even sealed
 *   stall SIDE                 do not read from it      go             read and pass everything again
 *   forget                     no rule waits any more   cut            end the connection
 *   closed | open              do not accept connections, or do again
 *
 * Each line is answered with `ok`, or `bad`. `listen ADDRESS`, `up`, `down` and `hit ACTION FROM TYPE` come when they
 * happen. */
#include "proxy.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define MAX_RULES 16
#define LINE 140000 /* the longest message in hex */

typedef enum action { BEFORE, AFTER, DROP, HOLE, DUP, SWAP, REPLAY, TAMPER, DAMAGE, TEAR, N_ACTIONS } action;

static const char *const action_names[N_ACTIONS] = {"before", "after",  "drop",   "hole",   "dup",
                                                    "swap",   "replay", "tamper", "damage", "tear"};

typedef struct type_name {
  unsigned type;
  const char *name;
} type_name;

static const type_name type_names[] = {
    {18, "ping"},          {19, "pong"},      {98, "error"},        {100, "open_request"}, {102, "open_accept"},
    {104, "open_confirm"}, {106, "funds"},    {108, "reestablish"}, {110, "update"},       {112, "full_state"},
    {114, "close"},        {116, "withdraw"}, {120, "resume"}};
#define N_TYPES (sizeof type_names / sizeof type_names[0])

typedef struct rule {
  action action;
  int from; /* 0 or 1; -1: any */
  const type_name *type;
  unsigned left;
  size_t arg;
} rule;

/* A copy of a message. */
typedef struct kept {
  uint8_t *bytes;
  size_t len;
} kept;

typedef struct proxy {
  wire_self self[2]; /* a, b */
  const char *b_address;
  int listener;
  bool closed;
  wire side[2];
  bool up, stalled[2], hole[2];
  kept held[2];           /* by `swap` */
  kept now[2][N_TYPES];   /* the last of this connection */
  kept older[2][N_TYPES]; /* and of those before */
  rule rules[MAX_RULES];
  size_t n_rules;
  char *line;
  size_t line_len;
} proxy;

static void keep(kept *k, const uint8_t *bytes, size_t len) {
  free(k->bytes);
  k->bytes = malloc(len + 1);
  if (k->bytes == NULL) abort();
  memcpy(k->bytes, bytes, len);
  k->len = len;
}

static void drop(kept *k) {
  free(k->bytes);
  *k = (kept){0};
}

/* --- The connection ------------------------------------------------------------------------------ */

static void cut(proxy *p) {
  if (!p->up) return;
  for (int s = 0; s < 2; s++) {
    wire_close(&p->side[s]);
    drop(&p->held[s]);
    p->hole[s] = p->stalled[s] = false;
    for (size_t t = 0; t < N_TYPES; t++) {
      if (p->now[s][t].bytes == NULL) continue;
      drop(&p->older[s][t]);
      p->older[s][t] = p->now[s][t];
      p->now[s][t] = (kept){0};
    }
  }
  p->up = false;
  puts("down");
}

static void accept_one(proxy *p) {
  ch_pubkey who;
  int fd = accept(p->listener, NULL, NULL);
  if (fd < 0) return;
  cut(p);
  bool ok = !p->closed && wire_answer(&p->side[0], &p->self[1], fd, &who) && ch_pubkey_eq(&who, &p->self[0].id) &&
            wire_dial(&p->side[1], &p->self[0], &p->self[1].id, wire_connect(p->b_address));
  if (ok) {
    p->up = true;
    puts("up");
    return;
  }
  if (p->closed) {
    close(fd);
    return;
  }
  wire_close(&p->side[0]);
  wire_close(&p->side[1]);
}

/* --- Passing ------------------------------------------------------------------------------------- */

static size_t type_index(const uint8_t *bytes, size_t len) {
  unsigned type = len < 2 ? 0 : (unsigned)bytes[0] << 8 | bytes[1];
  size_t i = 0;
  while (i < N_TYPES && type_names[i].type != type)
    i++;
  return i;
}

/* The rule for this message, taken out. */
static bool next_rule(proxy *p, int from, size_t type, rule *out) {
  for (size_t i = 0; i < p->n_rules; i++) {
    rule *r = &p->rules[i];
    if ((r->from >= 0 && r->from != from) || type >= N_TYPES || r->type != &type_names[type] || --r->left > 0) continue;
    *out = *r;
    memmove(r, r + 1, (--p->n_rules - i) * sizeof *r);
    return true;
  }
  return false;
}

static void apply(proxy *p, const rule *r, int from, uint8_t *bytes, size_t len) {
  wire *to = &p->side[!from];
  const kept *old = &p->older[from][r->type - type_names];
  printf("hit %s %c %s\n", action_names[r->action], "ab"[from], r -> type -> name);
  switch (r->action) {
  case BEFORE: cut(p); return;
  case AFTER:
    wire_send(to, bytes, len);
    cut(p);
    return;
  case DROP: return;
  case HOLE: p->hole[from] = true; return;
  case DUP:
    wire_send(to, bytes, len);
    wire_send(to, bytes, len);
    return;
  case SWAP: keep(&p->held[from], bytes, len); return;
  case REPLAY:
    wire_send(to, bytes, len);
    if (old->bytes != NULL) wire_send(to, old->bytes, old->len);
    return;
  case TAMPER:
    bytes[r->arg % len] ^= 0x01;
    wire_send(to, bytes, len);
    return;
  case DAMAGE: wire_send_damaged(to, bytes, len, r->arg); return;
  case TEAR:
    wire_send_torn(to, bytes, len, r->arg);
    cut(p);
    return;
  case N_ACTIONS: return;
  }
}

static void pass(proxy *p, int from, uint8_t *bytes, size_t len) {
  rule r;
  size_t type = type_index(bytes, len);
  if (p->hole[from]) return;
  if (type < N_TYPES) keep(&p->now[from][type], bytes, len);
  if (next_rule(p, from, type, &r)) {
    apply(p, &r, from, bytes, len);
    return;
  }
  wire_send(&p->side[!from], bytes, len);
  if (p->held[from].bytes != NULL) {
    wire_send(&p->side[!from], p->held[from].bytes, p->held[from].len);
    drop(&p->held[from]);
  }
}

static void receive(proxy *p, int from) {
  static uint8_t bytes[WIRE_MAX];
  size_t len;
  switch (wire_receive(&p->side[from], bytes, &len)) {
  case WIRE_MESSAGE: pass(p, from, bytes, len); break;
  case WIRE_AGAIN: break;
  case WIRE_GONE: cut(p); break;
  }
}

/* --- The script ---------------------------------------------------------------------------------- */

static bool parse_side(const char *text, int *out) {
  *out = strcmp(text, "a") == 0 ? 0 : strcmp(text, "b") == 0 ? 1 : -1;
  return *out >= 0 || strcmp(text, "any") == 0;
}

static bool add_rule(proxy *p, const char *verb, const char *from, char *type, const char *arg) {
  rule r = {.left = 1, .arg = strtoul(arg, NULL, 10)};
  char *colon = strchr(type, ':');
  if (colon != NULL) {
    *colon = '\0';
    r.left = (unsigned)strtoul(colon + 1, NULL, 10);
  }
  while (r.action < N_ACTIONS && strcmp(action_names[r.action], verb) != 0)
    r.action++;
  for (size_t i = 0; i < N_TYPES; i++)
    r.type = strcmp(type_names[i].name, type) == 0 ? &type_names[i] : r.type;
  if (r.action == N_ACTIONS || r.type == NULL || r.left == 0 || p->n_rules == MAX_RULES || !parse_side(from, &r.from))
    return false;
  p->rules[p->n_rules++] = r;
  return true;
}

static bool inject(proxy *p, bool sealed, const char *to, const char *hex) {
  static uint8_t bytes[WIRE_MAX];
  int side;
  size_t len = strlen(hex) / 2;
  if (!p->up || len > sizeof bytes || !parse_side(to, &side) || side < 0 || !ch_unhex(bytes, len, hex)) return false;
  return sealed ? wire_send(&p->side[side], bytes, len) : wire_write(p->side[side].fd, bytes, len);
}

static bool obey(proxy *p, char *line) {
  static char none[] = "";
  char *rest = NULL, *word[4];
  for (size_t i = 0; i < 4; i++) {
    word[i] = strtok_r(i == 0 ? line : NULL, " ", &rest);
    if (word[i] == NULL) word[i] = none;
  }
  int side;
  const char *verb = word[0];
  if (strcmp(verb, "send") == 0 || strcmp(verb, "raw") == 0) return inject(p, verb[0] == 's', word[1], word[2]);
  if (strcmp(verb, "forget") == 0) {
    p->n_rules = 0;
  } else if (strcmp(verb, "cut") == 0) {
    cut(p);
  } else if (strcmp(verb, "closed") == 0 || strcmp(verb, "open") == 0) {
    p->closed = verb[0] == 'c';
  } else if (strcmp(verb, "stall") == 0 && parse_side(word[1], &side) && side >= 0) {
    p->stalled[side] = true;
  } else if (strcmp(verb, "go") == 0) {
    memset(p->stalled, 0, sizeof p->stalled);
    memset(p->hole, 0, sizeof p->hole);
  } else {
    return add_rule(p, verb, word[1], word[2], word[3]);
  }
  return true;
}

/* False at the end of the script. */
static bool read_script(proxy *p) {
  ssize_t n = read(STDIN_FILENO, p->line + p->line_len, LINE - p->line_len);
  if (n <= 0) return false;
  p->line_len += (size_t)n;
  for (char *end; (end = memchr(p->line, '\n', p->line_len)) != NULL;) {
    *end = '\0';
    size_t used = (size_t)(end + 1 - p->line);
    puts(obey(p, p->line) ? "ok" : "bad");
    p->line_len -= used;
    memmove(p->line, p->line + used, p->line_len);
  }
  return p->line_len < LINE;
}

static void serve(proxy *p) {
  for (;;) {
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = p->listener, .events = POLLIN},
                           {.fd = p->up && !p->stalled[0] ? p->side[0].fd : -1, .events = POLLIN},
                           {.fd = p->up && !p->stalled[1] ? p->side[1].fd : -1, .events = POLLIN}};
    if (poll(fds, 4, -1) <= 0) continue;
    if (fds[0].revents != 0 && !read_script(p)) return;
    if (fds[1].revents != 0) {
      accept_one(p);
      continue;
    }
    for (int s = 0; s < 2; s++) {
      if (fds[2 + s].revents != 0 && p->up && p->side[s].fd == fds[2 + s].fd) receive(p, s);
    }
  }
}

int proxy_main(int argc, char **argv) {
  static proxy p;
  char bound[64];
  p.line = malloc(LINE);
  p.side[0].fd = p.side[1].fd = -1;
  if (argc != 3 || p.line == NULL || !wire_self_from_dir(&p.self[0], argv[0]) ||
      !wire_self_from_dir(&p.self[1], argv[1])) {
    fprintf(stderr, "hostile proxy DIALER_DIR LISTENER_DIR LISTENER_ADDRESS; both seeds without a passphrase\n");
    return 1;
  }
  p.b_address = argv[2];
  p.listener = wire_listen(bound);
  if (p.listener < 0) return 1;
  printf("listen %s\n", bound);
  serve(&p);
  cut(&p);
  for (int s = 0; s < 2; s++) {
    for (size_t t = 0; t < N_TYPES; t++)
      drop(&p.older[s][t]);
    wire_self_free(&p.self[s]);
  }
  close(p.listener);
  free(p.line);
  return 0;
}
