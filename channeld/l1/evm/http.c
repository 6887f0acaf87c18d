#include "http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MAX 8 /* handles that keep their connections */
#define CONNECT_MS 5000L

typedef struct pool {
  pthread_mutex_t lock;
  CURL *idle[IDLE_MAX];
  size_t n;
  struct curl_slist *headers;
  atomic_bool aborted;
} pool;

typedef struct body {
  char *bytes;
  size_t len, limit;
  bool too_long;
} body;

static CURL *take(pool *p) {
  pthread_mutex_lock(&p->lock);
  CURL *curl = p->n > 0 ? p->idle[--p->n] : NULL;
  pthread_mutex_unlock(&p->lock);
  return curl != NULL ? curl : curl_easy_init();
}

/* Its connections stay open; its options, with the URL and its password, do not. */
static void give_back(pool *p, CURL *curl) {
  curl_easy_reset(curl);
  pthread_mutex_lock(&p->lock);
  bool kept = p->n < IDLE_MAX;
  if (kept) p->idle[p->n++] = curl;
  pthread_mutex_unlock(&p->lock);
  if (!kept) curl_easy_cleanup(curl);
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *ctx) {
  body *b = ctx;
  size_t len = size * n;
  b->too_long = len > b->limit - b->len;
  char *grown = b->too_long ? NULL : realloc(b->bytes, b->len + len + 1);
  if (grown == NULL) return 0;
  memcpy(grown + b->len, bytes, len);
  b->bytes = grown;
  b->len += len;
  b->bytes[b->len] = '\0';
  return len;
}

/* libcurl calls this about once a second, also while nothing comes. */
static int on_progress(void *ctx, curl_off_t all, curl_off_t now, curl_off_t up_all, curl_off_t up_now) {
  (void)all, (void)now, (void)up_all, (void)up_now;
  return atomic_load(&((pool *)ctx)->aborted) ? 1 : 0;
}

static void abort_all(void *ctx) {
  atomic_store(&((pool *)ctx)->aborted, true);
}

static void set_options(CURL *curl, pool *p, const char *url, body *b, uint32_t timeout_ms) {
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can read */
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, p->headers);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms < CONNECT_MS ? (long)timeout_ms : CONNECT_MS);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, p);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, b);
}

static void post(void *ctx, const char *url, const char *request, size_t len, size_t limit, uint32_t timeout_ms,
                 cd_http_answer *out) {
  pool *p = ctx;
  body b = {.limit = limit};
  *out = (cd_http_answer){0};
  CURL *curl = atomic_load(&p->aborted) ? NULL : take(p);
  if (curl == NULL) {
    snprintf(out->why, sizeof out->why, "%s", atomic_load(&p->aborted) ? "the daemon stops" : "out of memory");
    return;
  }
  set_options(curl, p, url, &b, timeout_ms);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)len);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request);
  CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK) {
    curl_off_t wait = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait);
    out->retry_after = wait > 3600 ? 3600 : (uint32_t)wait;
    out->body = b.bytes != NULL ? b.bytes : calloc(1, 1);
    out->len = b.len;
  } else {
    snprintf(out->why, sizeof out->why, "%s", b.too_long ? "the answer is too long" : curl_easy_strerror(code));
    free(b.bytes);
  }
  give_back(p, curl);
}

static void close_pool(void *ctx) {
  pool *p = ctx;
  for (size_t i = 0; i < p->n; i++)
    curl_easy_cleanup(p->idle[i]);
  curl_slist_free_all(p->headers);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

static void init_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool cd_http_curl(cd_http *out) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init_curl);
  pool *p = calloc(1, sizeof *p);
  if (p == NULL) return false;
  p->headers = curl_slist_append(NULL, "Content-Type: application/json");
  if (p->headers == NULL || pthread_mutex_init(&p->lock, NULL) != 0) {
    curl_slist_free_all(p->headers);
    free(p);
    return false;
  }
  *out = (cd_http){.ctx = p, .post = post, .abort = abort_all, .close = close_pool};
  return true;
}
