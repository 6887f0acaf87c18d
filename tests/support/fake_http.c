#include "fake_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void post(void *ctx, const char *url, const char *body, size_t len, size_t limit, uint32_t timeout_ms,
                 cd_http_answer *out) {
  fake_http *f = ctx;
  (void)timeout_ms;
  *out = (cd_http_answer){0};
  f->requests++;
  json_t *root = json_loadb(body, len, 0, NULL);
  const char *method = json_string_value(json_object_get(root, "method"));
  if (method == NULL) abort();
  f->answer(f->ctx, url, method, json_object_get(root, "params"), json_integer_value(json_object_get(root, "id")), out);
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
