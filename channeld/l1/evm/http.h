/* http.h - one POST to a chain node and its whole answer: the part of JSON-RPC that a test can put another in place of.
 */
#ifndef CHANNELD_L1_EVM_HTTP_H
#define CHANNELD_L1_EVM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cd_http_answer {
  long status;          /* of HTTP; 0: there was no answer */
  uint32_t retry_after; /* seconds, as a 429 or 503 may say; 0: it did not */
  char *body;           /* malloc'ed, the receiver's; NULL without an answer */
  size_t len;
  char why[120]; /* without an answer: a few words. Never the URL, which may contain a password */
} cd_http_answer;

/* `limit`: no more bytes than that are taken of an answer. Any thread. */
typedef struct cd_http {
  void *ctx;
  void (*post)(void *ctx, const char *url, const char *body, size_t len, size_t limit, uint32_t timeout_ms,
               cd_http_answer *out);
  void (*abort)(void *ctx); /* ends all requests, and every later one at once; NULL: cannot */
  void (*close)(void *ctx);
} cd_http;

/* libcurl: http and https (certificates are checked), connections kept open, no redirections, proxies as the
 * environment says. False if memory is out. */
bool cd_http_curl(cd_http *out);

#endif
