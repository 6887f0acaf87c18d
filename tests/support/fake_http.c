#include "fake_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_one(fake_http *f, const char *url, const json_t *question, cd_http_answer *out) {
  const char *method = json_string_value(json_object_get(question, "method"));
  if (method == NULL) abort();
  f->answer(f->ctx, url, method, json_object_get(question, "params"),
            json_integer_value(json_object_get(question, "id")), out);
}

/* The answers in reverse order; one that is no JSON is the whole answer. */
static void answer_batch(fake_http *f, const char *url, const json_t *questions, cd_http_answer *out) {
  json_t *list = json_array();
  for (size_t i = json_array_size(questions); i-- > 0;) {
    answer_one(f, url, json_array_get(questions, i), out);
    json_t *one = out->status == 200 ? json_loadb(out->body, out->len, 0, NULL) : NULL;
    if (one == NULL) {
      json_decref(list);
      return;
    }
    json_array_append_new(list, one);
    free(out->body);
  }
  *out = (cd_http_answer){.status = 200, .body = json_dumps(list, JSON_COMPACT)};
  out->len = strlen(out->body);
  json_decref(list);
}

static void post(void *ctx, const char *url, const char *body, size_t len, size_t limit, uint32_t timeout_ms,
                 cd_http_answer *out) {
  fake_http *f = ctx;
  (void)timeout_ms;
  *out = (cd_http_answer){0};
  f->requests++;
  json_t *root = json_loadb(body, len, 0, NULL);
  if (json_is_array(root) && f->no_batches)
    fake_error(out, 0, -32600, "batches are not supported");
  else if (json_is_array(root))
    answer_batch(f, url, root, out);
  else
    answer_one(f, url, root, out);
  json_decref(root);
  if (out->len <= limit) return;
  free(out->body);
  fake_silence(out, "the answer is too long");
}

static void close_it(void *ctx) {
  ((fake_http *)ctx)->closed = true;
}

cd_http fake_http_port(fake_http *f) {
  return (cd_http){.ctx = f, .post = post, .close = close_it};
}

void fake_body(cd_http_answer *out, long status, const char *body) {
  *out = (cd_http_answer){.status = status, .body = strdup(body), .len = strlen(body)};
}

void fake_result(cd_http_answer *out, json_int_t id, json_t *result) {
  json_t *root = json_pack("{s:s, s:I, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
  char *text = json_dumps(root, JSON_COMPACT);
  json_decref(root);
  *out = (cd_http_answer){.status = 200, .body = text, .len = strlen(text)};
}

void fake_error(cd_http_answer *out, json_int_t id, int code, const char *message) {
  json_t *root =
      json_pack("{s:s, s:I, s:{s:i, s:s}}", "jsonrpc", "2.0", "id", id, "error", "code", code, "message", message);
  char *text = json_dumps(root, JSON_COMPACT);
  json_decref(root);
  *out = (cd_http_answer){.status = 200, .body = text, .len = strlen(text)};
}

void fake_silence(cd_http_answer *out, const char *why) {
  *out = (cd_http_answer){0};
  snprintf(out->why, sizeof out->why, "%s", why);
}
