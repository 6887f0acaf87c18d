#include "rpc.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/log.h"

#define REST_FIRST_MS 250
#define REST_MAX_MS 60000
#define DOUBT_FIRST_MS 15000
#define DOUBT_MAX_MS 3600000
#define REST_ASKED_MAX_S 30 /* a node that asks for more is asked earlier all the same: a dispute does not wait */

typedef struct endpoint {
  char *url;
  char name[100];
  unsigned failures;      /* in a row */
  uint64_t rest;          /* until when */
  unsigned lies;          /* so far */
  uint64_t doubt;         /* until when it is not trusted */
  atomic_bool one_by_one; /* it takes no batches */
} endpoint;

struct cd_rpc {
  cd_http http;
  endpoint urls[CD_RPC_URLS_MAX];
  size_t n;
  uint32_t timeout_ms;
  size_t answer_max;
  uint64_t (*clock)(void *ctx);
  void *clock_ctx;
  atomic_bool stopped;
  pthread_mutex_t lock; /* what follows, and the endpoints' health */
  uint64_t id;
};

static uint64_t system_clock(void *ctx) {
  struct timespec t;
  (void)ctx;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void cd_rpc_reply_clear(cd_rpc_reply *reply) {
  json_decref(reply->result);
  json_decref(reply->data);
  *reply = (cd_rpc_reply){0};
}

/* --- Health ------------------------------------------------------------------------------------------------------- */

static void on_answer(cd_rpc *rpc, size_t url) {
  endpoint *e = &rpc->urls[url];
  pthread_mutex_lock(&rpc->lock);
  bool again = e->failures > 0;
  e->failures = 0;
  e->rest = 0;
  pthread_mutex_unlock(&rpc->lock);
  if (again) cd_log(CD_LOG_INFO, "rpc", "the node answers again url=%s", e->name);
}

/* The first failure of a row is told, the next ones for those who look closely. */
static void on_failure(cd_rpc *rpc, size_t url, uint32_t retry_after, const char *why) {
  endpoint *e = &rpc->urls[url];
  pthread_mutex_lock(&rpc->lock);
  unsigned before = e->failures++;
  uint64_t ms = before > 7 ? REST_MAX_MS : (uint64_t)REST_FIRST_MS << before;
  if (retry_after > 0) ms = 1000ull * (retry_after > REST_ASKED_MAX_S ? REST_ASKED_MAX_S : retry_after);
  e->rest = rpc->clock(rpc->clock_ctx) + ms;
  pthread_mutex_unlock(&rpc->lock);
  cd_log(before == 0 ? CD_LOG_WARN : CD_LOG_DEBUG, "rpc", "no usable answer: %s url=%s", why, e->name);
}

/* One that lets others wait is left alone for longer than it made them wait. */
static void on_slow_failure(cd_rpc *rpc, size_t url, uint64_t took) {
  endpoint *e = &rpc->urls[url];
  uint64_t until = rpc->clock(rpc->clock_ctx) + (4 * took < REST_MAX_MS ? 4 * took : REST_MAX_MS);
  pthread_mutex_lock(&rpc->lock);
  if (e->rest < until) e->rest = until;
  pthread_mutex_unlock(&rpc->lock);
}

void cd_rpc_distrust(cd_rpc *rpc, size_t url, const char *why) {
  endpoint *e = &rpc->urls[url];
  pthread_mutex_lock(&rpc->lock);
  uint64_t now = rpc->clock(rpc->clock_ctx), ms = e->lies > 7 ? DOUBT_MAX_MS : (uint64_t)DOUBT_FIRST_MS << e->lies;
  bool news = e->doubt <= now;
  if (news) {
    e->lies++;
    e->doubt = now + ms;
  }
  pthread_mutex_unlock(&rpc->lock);
  cd_log(news ? CD_LOG_WARN : CD_LOG_DEBUG, "rpc", "a node is not trusted for %llu s: %s url=%s",
         (unsigned long long)ms / 1000, why, e->name);
}

bool cd_rpc_trusted(cd_rpc *rpc, size_t url) {
  pthread_mutex_lock(&rpc->lock);
  bool trusted = rpc->urls[url].doubt <= rpc->clock(rpc->clock_ctx);
  pthread_mutex_unlock(&rpc->lock);
  return trusted;
}

bool cd_rpc_healthy(cd_rpc *rpc, size_t url) {
  pthread_mutex_lock(&rpc->lock);
  bool healthy = rpc->urls[url].failures == 0;
  pthread_mutex_unlock(&rpc->lock);
  return healthy;
}

bool cd_rpc_rests(cd_rpc *rpc, size_t url) {
  pthread_mutex_lock(&rpc->lock);
  bool rests = rpc->urls[url].rest > rpc->clock(rpc->clock_ctx);
  pthread_mutex_unlock(&rpc->lock);
  return rests;
}

/* All URLs in the order in which to ask them: those that do not rest as configured, then the others by how soon their
 * rest ends; last those that are not trusted. */
static void rank(cd_rpc *rpc, size_t order[CD_RPC_URLS_MAX]) {
  uint64_t key[CD_RPC_URLS_MAX] = {0}, now = rpc->clock(rpc->clock_ctx);
  pthread_mutex_lock(&rpc->lock);
  for (size_t i = 0; i < rpc->n; i++) {
    const endpoint *e = &rpc->urls[i];
    key[i] = (e->rest <= now ? 0 : e->rest) + (e->doubt <= now ? 0 : UINT64_MAX / 2);
  }
  pthread_mutex_unlock(&rpc->lock);
  for (size_t i = 0; i < rpc->n; i++) {
    size_t at = i;
    for (; at > 0 && key[order[at - 1]] > key[i]; at--)
      order[at] = order[at - 1];
    order[at] = i;
  }
}

/* --- One question --------------------------------------------------------------------------------------------------
 */

static cd_rpc_status failed(cd_rpc *rpc, cd_rpc_reply *reply, uint32_t retry_after, const char *why) {
  snprintf(reply->text, sizeof reply->text, "%s", why);
  reply->status = CD_RPC_FAILED;
  if (atomic_load(&rpc->stopped)) return CD_RPC_FAILED;
  on_failure(rpc, reply->url, retry_after, why);
  return CD_RPC_FAILED;
}

static void copy_printable(char *out, size_t size, const char *text) {
  size_t n = 0;
  for (; n + 1 < size && text[n] != '\0'; n++)
    out[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
  out[n] = '\0';
}

/* An error that says nothing about the question: the node is overloaded or refuses this caller. Codes in use by
 * nodes and by those who sell access to them. */
static bool is_about_node(long code, const char *text) {
  if (code == -32005 || code == 429) return true; /* EIP-1474: limit exceeded */
  return strstr(text, "rate limit") != NULL || strstr(text, "Too Many Requests") != NULL ||
         strstr(text, "too many requests") != NULL;
}

static cd_rpc_status take_error(cd_rpc *rpc, cd_rpc_reply *reply, const json_t *error) {
  const json_t *code = json_object_get(error, "code");
  const char *message = json_string_value(json_object_get(error, "message"));
  if (!json_is_integer(code) || message == NULL) return failed(rpc, reply, 0, "its error is malformed");
  reply->code = (long)json_integer_value(code);
  copy_printable(reply->text, sizeof reply->text, message);
  if (is_about_node(reply->code, reply->text)) return failed(rpc, reply, 1, "it says that there are too many requests");
  reply->data = json_incref(json_object_get(error, "data"));
  reply->status = CD_RPC_REFUSED;
  on_answer(rpc, reply->url);
  return CD_RPC_REFUSED;
}

static cd_rpc_status take_root(cd_rpc *rpc, cd_rpc_reply *reply, uint64_t id, const json_t *root) {
  const char *version = json_string_value(json_object_get(root, "jsonrpc"));
  const json_t *got_id = json_object_get(root, "id");
  json_t *result = json_object_get(root, "result"), *error = json_object_get(root, "error");
  if (version == NULL || strcmp(version, "2.0") != 0) return failed(rpc, reply, 0, "its answer is no JSON-RPC");
  if (json_is_null(error) && result != NULL) error = NULL; /* a habit of old nodes */
  if (error != NULL && json_is_null(got_id)) return take_error(rpc, reply, error);
  if (!json_is_integer(got_id) || json_integer_value(got_id) != (json_int_t)id)
    return failed(rpc, reply, 0, "its answer belongs to another question");
  if ((result == NULL) == (error == NULL)) return failed(rpc, reply, 0, "its answer has no result");
  if (error != NULL) return take_error(rpc, reply, error);
  reply->result = json_incref(result);
  reply->status = CD_RPC_OK;
  on_answer(rpc, reply->url);
  return CD_RPC_OK;
}

/* The answer's JSON; NULL if there is none, with what `reply` then is. */
static json_t *take_json(cd_rpc *rpc, cd_rpc_reply *reply, const cd_http_answer *http) {
  char why[80];
  if (http->status == 0 || http->body == NULL) {
    failed(rpc, reply, 0, http->why);
    return NULL;
  }
  bool busy = http->status == 429 || http->status == 503;
  json_t *root = json_loadb(http->body, http->len, JSON_REJECT_DUPLICATES, NULL);
  /* Some nodes give HTTP errors along with a JSON-RPC error about the question: that one says more. */
  if (http->status == 200 || (!busy && json_is_object(json_object_get(root, "error")))) {
    if (root == NULL) failed(rpc, reply, 0, "its answer is no JSON, or was cut off");
    return root;
  }
  json_decref(root);
  reply->code = http->status;
  snprintf(why, sizeof why, "HTTP status %ld", http->status);
  failed(rpc, reply, busy && http->retry_after == 0 ? 1 : http->retry_after, why);
  return NULL;
}

/* Sends a document (its reference is taken) and reads the answer, as take_json. */
static json_t *exchange(cd_rpc *rpc, size_t url, json_t *question, cd_rpc_reply *reply) {
  cd_http_answer http;
  *reply = (cd_rpc_reply){.status = CD_RPC_FAILED, .url = url};
  char *text = question == NULL ? NULL : json_dumps(question, JSON_COMPACT);
  json_decref(question);
  if (text == NULL) {
    snprintf(reply->text, sizeof reply->text, "out of memory");
    return NULL;
  }
  uint64_t before = rpc->clock(rpc->clock_ctx);
  rpc->http.post(rpc->http.ctx, rpc->urls[url].url, text, strlen(text), rpc->answer_max, rpc->timeout_ms, &http);
  json_t *root = take_json(rpc, reply, &http);
  if (root == NULL) on_slow_failure(rpc, url, rpc->clock(rpc->clock_ctx) - before);
  free(http.body);
  free(text);
  return root;
}

/* The first of `n` new ids. */
static uint64_t take_ids(cd_rpc *rpc, size_t n) {
  pthread_mutex_lock(&rpc->lock);
  uint64_t first = rpc->id + 1;
  rpc->id += n;
  pthread_mutex_unlock(&rpc->lock);
  return first;
}

static json_t *question_of(uint64_t id, const char *method, json_t *params) {
  return json_pack("{s:s, s:I, s:s, s:O}", "jsonrpc", "2.0", "id", (json_int_t)id, "method", method, "params", params);
}

static cd_rpc_status ask(cd_rpc *rpc, size_t url, const char *method, json_t *params, cd_rpc_reply *reply) {
  uint64_t id = take_ids(rpc, 1);
  json_t *root = exchange(rpc, url, question_of(id, method, params), reply);
  cd_rpc_status status = root == NULL ? CD_RPC_FAILED : take_root(rpc, reply, id, root);
  json_decref(root);
  return status;
}

/* --- Many questions at once --------------------------------------------------------------------------------------- */

/* The element of a batch's answer that has this id: they come in any order. */
static const json_t *element(const json_t *root, uint64_t id) {
  for (size_t i = 0; i < json_array_size(root); i++) {
    const json_t *one = json_array_get(root, i), *got = json_object_get(one, "id");
    if (json_is_integer(got) && json_integer_value(got) == (json_int_t)id) return one;
  }
  return NULL;
}

static cd_rpc_status take_batch(cd_rpc *rpc, uint64_t first, size_t n, const json_t *root, cd_rpc_reply *replies) {
  cd_rpc_status all = CD_RPC_OK;
  for (size_t i = 0; i < n; i++) {
    const json_t *one = element(root, first + i);
    cd_rpc_status status = one == NULL ? failed(rpc, &replies[i], 0, "its answer leaves out a question")
                                       : take_root(rpc, &replies[i], first + i, one);
    if (status == CD_RPC_OK || all == CD_RPC_FAILED) continue;
    all = status;
    if (i > 0) memcpy(replies[0].text, replies[i].text, sizeof replies[0].text);
  }
  return all;
}

static cd_rpc_status ask_one_by_one(cd_rpc *rpc, size_t url, const char *method, json_t *const *params, size_t n,
                                    cd_rpc_reply *replies) {
  cd_rpc_status all = CD_RPC_OK;
  for (size_t i = 0; i < n && all != CD_RPC_FAILED; i++) {
    cd_rpc_status status = ask(rpc, url, method, params[i], &replies[i]);
    if (status == CD_RPC_OK) continue;
    all = status;
    if (i > 0) memcpy(replies[0].text, replies[i].text, sizeof replies[0].text);
  }
  return all;
}

static json_t *questions_of(uint64_t first, const char *method, json_t *const *params, size_t n) {
  json_t *list = json_array();
  bool ok = list != NULL;
  for (size_t i = 0; i < n && ok; i++)
    ok = json_array_append_new(list, question_of(first + i, method, params[i])) == 0;
  if (ok) return list;
  json_decref(list);
  return NULL;
}

cd_rpc_status cd_rpc_ask_many(cd_rpc *rpc, size_t url, const char *method, json_t *const *params, size_t n,
                              cd_rpc_reply *replies) {
  for (size_t i = 0; i < n; i++)
    replies[i] = (cd_rpc_reply){.status = CD_RPC_FAILED, .url = url};
  if (n == 1 || atomic_load(&rpc->urls[url].one_by_one)) return ask_one_by_one(rpc, url, method, params, n, replies);
  uint64_t first = take_ids(rpc, n);
  json_t *root = exchange(rpc, url, questions_of(first, method, params, n), &replies[0]);
  long http = replies[0].code;
  cd_rpc_status status = CD_RPC_FAILED;
  if (json_is_array(root)) {
    status = take_batch(rpc, first, n, root, replies);
  } else if (root != NULL || (http >= 400 && http < 500 && http != 429)) {
    atomic_store(&rpc->urls[url].one_by_one, true);
    status = ask_one_by_one(rpc, url, method, params, n, replies);
  }
  json_decref(root);
  return status;
}

/* --- The questions ------------------------------------------------------------------------------------------------ */

cd_rpc_status cd_rpc_ask(cd_rpc *rpc, size_t url, const char *method, json_t *params, cd_rpc_reply *reply) {
  cd_rpc_status status = ask(rpc, url, method, params, reply);
  json_decref(params);
  return status;
}

/* Whether the chain says no, rather than this node: a revert, whose code is 3 or whose bytes are there. A node that has
 * lost its state, or does not know the method, must not speak for the others. */
static bool is_verdict(const cd_rpc_reply *reply) {
  return reply->status == CD_RPC_OK || (reply->status == CD_RPC_REFUSED && (reply->code == 3 || reply->data != NULL ||
                                                                            strcasestr(reply->text, "revert") != NULL));
}

cd_rpc_status cd_rpc_call(cd_rpc *rpc, const char *method, json_t *params, cd_rpc_reply *reply) {
  size_t order[CD_RPC_URLS_MAX] = {0};
  cd_rpc_reply best = {.status = CD_RPC_FAILED};
  rank(rpc, order);
  for (size_t i = 0; i < rpc->n && !is_verdict(&best); i++) {
    cd_rpc_reply next;
    ask(rpc, order[i], method, params, &next);
    if (best.status == CD_RPC_REFUSED && !is_verdict(&next)) { /* the first refusal says most */
      cd_rpc_reply_clear(&next);
      continue;
    }
    cd_rpc_reply_clear(&best);
    best = next;
  }
  json_decref(params);
  *reply = best;
  return best.status;
}

/* --- Life ----------------------------------------------------------------------------------------------------------
 */

/* Everything between the scheme with an optional user and the path. */
static bool set_url(endpoint *e, const char *url) {
  const char *scheme = strncmp(url, "https://", 8) == 0 ? "https://" : strncmp(url, "http://", 7) == 0 ? "http://" : "";
  const char *rest = url + strlen(scheme);
  size_t len = strcspn(rest, "/?#");
  const char *at = memrchr(rest, '@', len);
  const char *host = at == NULL ? rest : at + 1;
  len -= (size_t)(host - rest);
  for (const char *c = url; *c != '\0'; c++) {
    if (!isgraph((unsigned char)*c)) return false;
  }
  if (scheme[0] == '\0' || len == 0) return false;
  snprintf(e->name, sizeof e->name, "%s%.*s", scheme, (int)len, host);
  e->url = strdup(url);
  return e->url != NULL;
}

ch_err cd_rpc_new(cd_rpc **out, const cd_rpc_config *cfg, char why[CD_RPC_TEXT]) {
  cd_rpc *rpc = calloc(1, sizeof *rpc);
  *out = NULL;
  if (rpc == NULL || pthread_mutex_init(&rpc->lock, NULL) != 0) {
    if (cfg->http != NULL) cfg->http->close(cfg->http->ctx);
    free(rpc);
    snprintf(why, CD_RPC_TEXT, "Out of memory.");
    return CH_ERR_NO_MEMORY;
  }
  rpc->timeout_ms = cfg->timeout_ms == 0 ? CD_RPC_TIMEOUT_MS : cfg->timeout_ms;
  rpc->answer_max = cfg->answer_max == 0 ? CD_RPC_ANSWER_MAX : cfg->answer_max;
  rpc->clock = cfg->clock != NULL ? cfg->clock : system_clock;
  rpc->clock_ctx = cfg->clock_ctx;
  bool ok = true;
  if (cfg->http != NULL)
    rpc->http = *cfg->http;
  else
    ok = cd_http_curl(&rpc->http);
  snprintf(why, CD_RPC_TEXT, "%s", ok ? "" : "libcurl does not start.");
  if (ok && (cfg->n_urls == 0 || cfg->n_urls > CD_RPC_URLS_MAX)) {
    snprintf(why, CD_RPC_TEXT, "Give 1 to %d URLs of chain nodes.", CD_RPC_URLS_MAX);
    ok = false;
  }
  for (size_t i = 0; ok && i < cfg->n_urls; i++) {
    ok = set_url(&rpc->urls[i], cfg->urls[i]);
    if (ok) rpc->n++;
    if (!ok)
      snprintf(why, CD_RPC_TEXT, "URL %zu of the chain's nodes is none: give http://HOST:PORT or https://...", i + 1);
  }
  if (!ok) {
    cd_rpc_free(rpc);
    return CH_ERR_ARGUMENT;
  }
  *out = rpc;
  return CH_OK;
}

void cd_rpc_free(cd_rpc *rpc) {
  if (rpc == NULL) return;
  if (rpc->http.close != NULL) rpc->http.close(rpc->http.ctx);
  for (size_t i = 0; i < rpc->n; i++) {
    ch_wipe(rpc->urls[i].url, strlen(rpc->urls[i].url));
    free(rpc->urls[i].url);
  }
  pthread_mutex_destroy(&rpc->lock);
  free(rpc);
}

void cd_rpc_stop(cd_rpc *rpc) {
  atomic_store(&rpc->stopped, true);
  if (rpc->http.abort != NULL) rpc->http.abort(rpc->http.ctx);
}

size_t cd_rpc_count(const cd_rpc *rpc) {
  return rpc->n;
}

const char *cd_rpc_name(const cd_rpc *rpc, size_t url) {
  return rpc->urls[url].name;
}
