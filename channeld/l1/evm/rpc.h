/* rpc.h - JSON-RPC 2.0 to one or several nodes of one chain. Source: https://www.jsonrpc.org/specification, EIP-1474.
 *
 * What a node says is not trusted: an answer is bounded in size, must be JSON with the right id and exactly one of
 * result and error, and anything else counts as no answer. A URL that fails is left alone for a while that doubles with
 * each failure (a 429 says itself for how long), as long as another one answers. URLs may contain a password or a key:
 * only cd_rpc_name() of one is ever shown. Any thread.
 */
#ifndef CHANNELD_L1_EVM_RPC_H
#define CHANNELD_L1_EVM_RPC_H

#include <jansson.h>

#include "channel/error.h"
#include "channel/types.h"
#include "l1/evm/http.h"

#define CD_RPC_URLS_MAX 8
#define CD_RPC_MANY 64
#define CD_RPC_TEXT 200 /* bytes of a sentence with its NUL */
#define CD_RPC_TIMEOUT_MS 10000
#define CD_RPC_ANSWER_MAX ((size_t)16 << 20)

typedef struct cd_rpc cd_rpc;

typedef struct cd_rpc_config {
  const char *const *urls;      /* http:// or https://, the preferred one first */
  size_t n_urls;                /* 1..CD_RPC_URLS_MAX */
  uint32_t timeout_ms;          /* of one request; 0: CD_RPC_TIMEOUT_MS */
  size_t answer_max;            /* bytes; 0: CD_RPC_ANSWER_MAX */
  const cd_http *http;          /* NULL: libcurl. Closed by cd_rpc_free, also if cd_rpc_new fails */
  uint64_t (*clock)(void *ctx); /* monotonic milliseconds; NULL: the system's */
  void *clock_ctx;
} cd_rpc_config;

typedef enum cd_rpc_status {
  CD_RPC_OK = 1,
  CD_RPC_REFUSED, /* the node understood and answered with an error: see code and text */
  CD_RPC_FAILED,  /* no usable answer: see text */
} cd_rpc_status;

/* Clear with cd_rpc_reply_clear. */
typedef struct cd_rpc_reply {
  cd_rpc_status status;
  size_t url;             /* the index of who answered */
  json_t *result;         /* with OK; may be JSON's null */
  long code;              /* with REFUSED; with FAILED the HTTP status, if it was that */
  json_t *data;           /* with REFUSED: the error's data (a revert's bytes), or NULL */
  char text[CD_RPC_TEXT]; /* of the node, printable, or why there is no answer */
} cd_rpc_reply;
void cd_rpc_reply_clear(cd_rpc_reply *reply);

/* CH_ERR_ARGUMENT with a sentence in `why` if a URL is none. Nothing is sent yet. */
ch_err cd_rpc_new(cd_rpc **out, const cd_rpc_config *cfg, char why[CD_RPC_TEXT]) CH_MUST_CHECK;
void cd_rpc_free(cd_rpc *rpc); /* NULL is fine */
/* Nothing is asked any more: questions that are under way end soon, later ones fail at once. */
void cd_rpc_stop(cd_rpc *rpc);

size_t cd_rpc_count(const cd_rpc *rpc);
/* The URL's scheme, host and port. */
const char *cd_rpc_name(const cd_rpc *rpc, size_t url);
/* Whether its last request was answered, or none was made yet. */
bool cd_rpc_healthy(cd_rpc *rpc, size_t url);
/* Whether it failed lately and is best left alone, if there is another one. */
bool cd_rpc_rests(cd_rpc *rpc, size_t url);

/* Asks this URL, once. `params` (an array; its reference is taken, NULL means memory was out) are checked by nobody. */
cd_rpc_status cd_rpc_ask(cd_rpc *rpc, size_t url, const char *method, json_t *params, cd_rpc_reply *reply);
/* The same question with `n` (1..CD_RPC_MANY) different params in one request (a batch), or one by one if the node
 * takes no batches. CD_RPC_FAILED if any of them has no usable answer: then replies[0].text says why. Clear all
 * replies. */
cd_rpc_status cd_rpc_ask_many(cd_rpc *rpc, size_t url, const char *method, json_t *const *params, size_t n,
                              cd_rpc_reply *replies);
/* Asks the first healthy URL, then the others, until one answers: OK, or REFUSED by the chain (a revert). Any other
 * error is that node's, and counts if no other one answers. */
cd_rpc_status cd_rpc_call(cd_rpc *rpc, const char *method, json_t *params, cd_rpc_reply *reply);
/* What was answered cannot be true (logs that the block does not contain, another chain): the URL comes last for a
 * while that doubles each time. `why` is logged. */
void cd_rpc_distrust(cd_rpc *rpc, size_t url, const char *why);
bool cd_rpc_trusted(cd_rpc *rpc, size_t url);

#endif
