/* input.h - what a client sent, made into the arguments of a command; whatever is not in the route's table is refused.
 *
 * All of it is untrusted. Bodies are bounded by the caller (CD_API_MAX_BODY), nesting by jansson (2048 levels).
 */
#ifndef CHANNELD_API_INPUT_H
#define CHANNELD_API_INPUT_H

#include <jansson.h>

#include "routes.h"

/* Why a request is refused: printable ASCII, whatever the client sent. */
typedef struct cd_problem {
  unsigned status; /* HTTP */
  const char *code;
  char message[240];
  char hint[320];
} cd_problem;

/* Fills `problem`; returns false, so that checks can end with it. */
bool cd_refuse(cd_problem *problem, unsigned status, const char *code, const char *hint, const char *message, ...)
    __attribute__((format(printf, 5, 6)));

/* Each adds to `args` and returns true, or fills `problem` and returns false. */
bool cd_input_path(json_t *args, const cd_route *route, const char *path, cd_problem *problem);
/* One `key=value` of the query, both percent-encoded; `value` may be NULL. */
bool cd_input_query(json_t *args, const cd_route *route, const char *key, const char *value, cd_problem *problem);
/* The whole body; empty means {}. */
bool cd_input_body(json_t *args, const cd_route *route, const char *body, size_t len, cd_problem *problem);
/* At the end: what is required is there, and nothing that excludes each other. */
bool cd_input_complete(const json_t *args, const cd_route *route, cd_problem *problem);

#endif
