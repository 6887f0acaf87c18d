/* One request: received, admitted, given to its command, answered.
 *
 * MHD's thread makes a request and suspends its connection before the command is called, so the reply, which may come
 * at once and from any thread, always finds it suspended. Whoever moves it from WAITING to LEAVING (the reply, the
 * clock or the stop) gives the answer and resumes; the others do nothing. All of that is under the lock.
 */
#include <arpa/inet.h>
#include <strings.h>

#include "server.h"

#define MAX_DROPPED ((size_t)8 << 20) /* of a body that is refused; a client that sends more is cut */

static const char *header(struct MHD_Connection *connection, const char *name) {
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* --- Admission ---------------------------------------------------------------------------------- */

/* A page from elsewhere may point its own name to 127.0.0.1 (DNS rebinding): such a request names that host. */
static bool host_is_local(const char *host) {
  char name[64];
  if (!host) return false;
  bool bracket = *host == '[';
  if (bracket) host++;
  size_t len = strcspn(host, bracket ? "]" : ":");
  if (len == 0 || len >= sizeof name) return false;
  memcpy(name, host, len);
  name[len] = '\0';
  const char *rest = host + len;
  if (bracket && *rest++ != ']') return false;
  if (*rest == ':') rest += 1 + strspn(rest + 1, "0123456789");
  if (*rest) return false;
  struct in_addr v4;
  struct in6_addr v6;
  if (bracket) return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
  if (strcasecmp(name, "localhost") == 0) return true;
  return inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static bool body_is_welcome(struct MHD_Connection *connection, cd_problem *problem) {
  const char *type = header(connection, "Content-Type");
  if (type && !strcasestr(type, "json"))
    return cd_refuse(problem, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
                     "Send JSON with Content-Type: application/json.", "The body is \"%.60s\".", type);
  const char *length = header(connection, "Content-Length");
  if (length && strtoull(length, NULL, 10) > CD_API_MAX_BODY)
    return cd_refuse(problem, MHD_HTTP_CONTENT_TOO_LARGE, "body_too_large", "Send less at a time.",
                     "The body is larger than %zu bytes.", CD_API_MAX_BODY);
  return true;
}

/* What can be said once the headers are there. On success the request has its route and, from the path, first
 * arguments. For OPTIONS it returns false and leaves the problem as it was. */
static bool admit(cd_request *r, const char *method, const char *path, cd_problem *problem) {
  if (!host_is_local(header(r->connection, "Host")))
    return cd_refuse(problem, MHD_HTTP_MISDIRECTED_REQUEST, "bad_host", "Use http://127.0.0.1:PORT or localhost.",
                     "The Host header names another machine.");
  if (!cd_api_token_shown(r->api->token, header(r->connection, "Authorization")))
    return cd_refuse(
        problem, MHD_HTTP_UNAUTHORIZED, "unauthorized",
        "Send \"Authorization: Bearer TOKEN\" with the token from the file api.token in the daemon's folder.",
        "The token is missing or wrong.");
  r->route = cd_route_find(method, path, r->allow);
  if (!r->route && !*r->allow)
    return cd_refuse(problem, MHD_HTTP_NOT_FOUND, "unknown_path", "See proto/openapi.yaml for what there is.",
                     "There is nothing at this path.");
  if (!r->route && strcmp(method, "OPTIONS") == 0) return false;
  if (!r->route)
    return cd_refuse(problem, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed", "Use one of the methods in Allow.",
                     "%.20s does not work at this path.", method);
  return cd_input_path(r->args, r->route, path, problem) && body_is_welcome(r->connection, problem);
}

/* --- The reply ---------------------------------------------------------------------------------- */

static void settle(cd_request *r, cd_answer answer) {
  cd_api *api = r->api;
  if (r->prev) r->prev->next = r->next;
  if (!r->prev) api->waiting = r->next;
  if (r->next) r->next->prev = r->prev;
  api->n_waiting--;
  api->n_leaving++;
  r->stage = CD_LEAVING;
  r->answer = answer;
  r->link->deadline = cd_now_ms() + api->cfg.request_ms;
  MHD_resume_connection(r->connection);
}

void cd_request_give_up(cd_request *r, const char *code, const char *message, const char *hint) {
  cd_problem problem;
  cd_refuse(&problem, MHD_HTTP_SERVICE_UNAVAILABLE, code, hint, "%s", message);
  settle(r, cd_answer_problem(&problem));
}

static void disown(cd_request *r) {
  if (--r->owners > 0) return;
  json_decref(r->args);
  free(r->body);
  free(r->answer.body);
  free(r);
}

/* A cd_reply_fn. */
static void on_reply(void *ctx, cd_class cls, json_t *body) {
  cd_request *r = ctx;
  cd_api *api = r->api;
  cd_answer answer = cd_answer_of(cls, body);
  json_decref(body);
  pthread_mutex_lock(&api->lock);
  if (r->stage == CD_WAITING)
    settle(r, answer);
  else
    free(answer.body);
  disown(r);
  pthread_mutex_unlock(&api->lock);
  cd_api_release(api);
}

/* --- Dispatch ----------------------------------------------------------------------------------- */

/* Suspends the request and counts it in, unless there are too many or the server is stopping. */
static bool hold(cd_request *r, cd_problem *problem) {
  cd_api *api = r->api;
  bool ok = false;
  pthread_mutex_lock(&api->lock);
  if (api->stopping) {
    cd_refuse(problem, MHD_HTTP_SERVICE_UNAVAILABLE, "stopping", "Start it again, then repeat the request.",
              "The daemon is stopping; nothing was done.");
  } else if (api->n_waiting >= api->cfg.max_waiting) {
    cd_refuse(problem, MHD_HTTP_TOO_MANY_REQUESTS, "too_many_requests", "Try again when some have been answered.",
              "%u requests are waiting for their answers; nothing was done.", api->n_waiting);
  } else {
    ok = true;
    r->stage = CD_WAITING;
    r->owners++;
    r->deadline = cd_now_ms() + api->cfg.answer_ms;
    r->link->deadline = 0;
    r->prev = NULL;
    r->next = api->waiting;
    if (r->next) r->next->prev = r;
    api->waiting = r;
    api->n_waiting++;
    api->owners++;
    MHD_suspend_connection(r->connection);
  }
  pthread_mutex_unlock(&api->lock);
  return ok;
}

typedef struct query {
  cd_request *request;
  cd_problem *problem;
  bool ok;
} query;

static enum MHD_Result on_query(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
  (void)kind;
  query *q = cls;
  q->ok = cd_input_query(q->request->args, q->request->route, key, value, q->problem);
  return q->ok ? MHD_YES : MHD_NO;
}

static bool gather(cd_request *r, cd_problem *problem) {
  if (r->too_large)
    return cd_refuse(problem, MHD_HTTP_CONTENT_TOO_LARGE, "body_too_large", "Send less at a time.",
                     "The body is larger than %zu bytes.", CD_API_MAX_BODY);
  query q = {r, problem, true};
  MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, on_query, &q);
  return q.ok && cd_input_body(r->args, r->route, r->body, r->len, problem) &&
         cd_input_complete(r->args, r->route, problem);
}

static enum MHD_Result dispatch(cd_request *r) {
  cd_problem problem;
  if (!gather(r, &problem) || !hold(r, &problem)) {
    r->answer = cd_answer_problem(&problem);
    return cd_answer_send(r->connection, &r->answer, NULL);
  }
  const cd_commands *commands = &r->api->cfg.commands;
  json_t *args = r->args;
  r->args = NULL;
  commands->call(commands->ctx, r->route->command, args, on_reply, r);
  return MHD_YES;
}

/* --- Receiving ---------------------------------------------------------------------------------- */

static void append(cd_request *r, const char *bytes, size_t n) {
  if (n > CD_API_MAX_BODY - r->len) {
    r->too_large = true;
    return;
  }
  if (r->len + n > r->cap) {
    size_t cap = r->cap ? r->cap * 2 : 1024;
    while (cap < r->len + n)
      cap *= 2;
    char *grown = realloc(r->body, cap);
    if (!grown) {
      r->too_large = true;
      return;
    }
    r->body = grown;
    r->cap = cap;
  }
  memcpy(r->body + r->len, bytes, n);
  r->len += n;
}

/* False when it is not worth reading on. */
static bool receive(cd_request *r, const char *bytes, size_t n) {
  if (!r->refused && !r->too_large) append(r, bytes, n);
  if (r->refused || r->too_large) r->dropped += n;
  return r->dropped <= MAX_DROPPED;
}

static cd_request *request_new(cd_api *api, struct MHD_Connection *connection) {
  cd_request *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->api = api;
  r->connection = connection;
  r->link = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
  r->args = json_object();
  r->stage = CD_READING;
  r->owners = 1;
  return r;
}

/* Whether a body follows that had better be received before the answer: a client that is still sending when the
 * connection ends may never see why. One that asks first (Expect) or sends too much gets its answer at once. */
static bool body_follows(struct MHD_Connection *connection) {
  const char *length = header(connection, "Content-Length");
  if (header(connection, "Expect")) return false;
  if (header(connection, "Transfer-Encoding")) return true;
  return length && strtoull(length, NULL, 10) <= MAX_DROPPED;
}

static enum MHD_Result begin(cd_request *r, const char *method, const char *path) {
  cd_problem problem = {.status = 0};
  if (admit(r, method, path, &problem)) return MHD_YES;
  if (problem.status)
    r->answer = cd_answer_problem(&problem);
  else
    r->answer = (cd_answer){.status = MHD_HTTP_NO_CONTENT};
  r->refused = body_follows(r->connection);
  return r->refused ? MHD_YES : cd_answer_send(r->connection, &r->answer, r->allow);
}

/* MHD calls it when the headers are there, for each piece of the body, at the end of the body, and after resuming. */
enum MHD_Result cd_on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **context) {
  (void)version;
  cd_request *r = *context;
  if (!r) {
    *context = r = request_new(cls, connection);
    return r && r->link && r->args ? begin(r, method, url) : MHD_NO;
  }
  if (*upload_len > 0) {
    bool ok = receive(r, upload, *upload_len);
    *upload_len = 0;
    return ok ? MHD_YES : MHD_NO;
  }
  pthread_mutex_lock(&r->api->lock);
  bool answered = r->stage == CD_LEAVING;
  pthread_mutex_unlock(&r->api->lock);
  return answered || r->refused ? cd_answer_send(connection, &r->answer, r->allow) : dispatch(r);
}

void cd_on_completed(void *cls, struct MHD_Connection *connection, void **context,
                     enum MHD_RequestTerminationCode why) {
  (void)connection;
  (void)why;
  cd_api *api = cls;
  cd_request *r = *context;
  if (!r) return;
  *context = NULL;
  pthread_mutex_lock(&api->lock);
  if (r->stage == CD_LEAVING) {
    api->n_leaving--;
    pthread_cond_broadcast(&api->changed);
  }
  if (r->link) r->link->deadline = cd_now_ms() + api->cfg.request_ms;
  disown(r);
  pthread_mutex_unlock(&api->lock);
}
