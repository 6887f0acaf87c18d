/* fake_http.h - in place of HTTP to chain nodes: a function answers each request. */
#ifndef FAKE_HTTP_H
#define FAKE_HTTP_H

#include <stdatomic.h>

#include "l1/evm/rpc.h"

/* Answers one request: fills *out with what http.h says. `id` is the question's. */
typedef void (*fake_answer)(void *ctx, const char *url, const char *method, const json_t *params, json_int_t id,
                            cd_http_answer *out);

typedef struct fake_http {
  fake_answer answer;
  void *ctx;
  atomic_uint requests;
  bool no_batches; /* they are refused */
  bool closed;
} fake_http;

cd_http fake_http_port(fake_http *f);

/* What most answers are made of. */
void fake_body(cd_http_answer *out, long status, const char *body);
/* {"jsonrpc":"2.0","id":id,"result":result}; takes the reference. */
void fake_result(cd_http_answer *out, json_int_t id, json_t *result);
void fake_error(cd_http_answer *out, json_int_t id, int code, const char *message);
void fake_silence(cd_http_answer *out, const char *why);

#endif
