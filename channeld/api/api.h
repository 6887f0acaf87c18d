/* api.h - the HTTP face of the node: proto/openapi.yaml served on loopback.
 *
 * It turns a request into a call of cd_commands and the reply into a response; it knows no command's meaning. One
 * thread serves all connections, a second one watches the clock; a request that waits for its reply is suspended and
 * costs neither of them. Every response but MHD's own to a request that is not HTTP is JSON, with errors as
 * {code, message, hint}.
 */
#ifndef CHANNELD_API_API_H
#define CHANNELD_API_API_H

#include "ports.h"

#define CD_API_TOKEN_STR 65 /* 64 hex digits and a NUL */
#define CD_API_MAX_BODY ((size_t)1 << 20)

typedef struct cd_api cd_api;

typedef struct cd_api_config {
  const char *address;                          /* "127.0.0.1:8645", "localhost:0", "[::1]:0"; port 0: any */
  const char *token;                            /* what clients must show: CD_API_TOKEN_STR - 1 characters */
  cd_commands commands;                         /* must outlive the last reply, which may come after cd_api_stop */
  void (*log)(void *ctx, const char *sentence); /* trouble worth a line in the log; NULL: none. Any thread */
  void *log_ctx;
  /* Limits; 0 means the default. */
  unsigned max_connections; /* 256: more wait to be accepted */
  unsigned max_waiting;     /* 192: requests that wait for their reply; more get 429 */
  unsigned request_ms;      /* 30000: to send a whole request, to take a response, or to be idle */
  unsigned answer_ms;       /* 150000: for a command to reply; then the client gets 503 and the reply is dropped */
} cd_api_config;

/* Reads the token from the file at `path`, or, if there is no such file, makes one of 32 random bytes and writes it
 * there as hex, mode 0600, durably. Refuses a file that others may read or that holds no token.
 * Returns CH_ERR_ARGUMENT with a sentence in `why`. `token` is a secret: wipe it after use. */
CH_MUST_CHECK ch_err cd_api_token_load(const char *path, char token[CD_API_TOKEN_STR], char *why, size_t why_len);

/* Starts serving; the strings of `cfg` are copied. CH_ERR_ARGUMENT, with a sentence in `why`, if the address is not
 * on loopback or cannot be had. */
CH_MUST_CHECK ch_err cd_api_start(cd_api **out, const cd_api_config *cfg, char *why, size_t why_len);

/* Where it listens, with the real port: "127.0.0.1:8645". Valid until cd_api_stop. */
const char *cd_api_address(const cd_api *api);

/* Accepts nothing more, answers what waits with 503, lets responses leave (two seconds at most), joins the threads.
 * Replies that come later are dropped. Not to be called from within a reply. NULL is allowed. */
void cd_api_stop(cd_api *api);

#endif
