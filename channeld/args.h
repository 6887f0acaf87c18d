/* args.h - a command's arguments. The first one that is missing or wrong answers the command and sets `failed`; all
 * later ones then do nothing, so a command reads all it needs and looks at `failed` once. */
#ifndef CHANNELD_ARGS_H
#define CHANNELD_ARGS_H

#include "node.h"
#include "reply.h"

typedef struct cd_args {
  cd_node *node;
  json_t *json; /* an object */
  cd_reply reply;
  bool failed;
} cd_args;

/* Answers with 400 bad_argument and sets `failed`. */
void cd_args_fail(cd_args *a, const char *name, const char *wants);

bool cd_has(const cd_args *a, const char *name);
/* NULL if it is not there. Valid as long as `a->json`. */
const char *cd_arg_text(cd_args *a, const char *name);
/* `fallback` NULL or negative: the argument is required. */
ch_amount cd_arg_amount(cd_args *a, const char *name, const ch_amount *fallback);
ch_addr cd_arg_addr(cd_args *a, const char *name, const ch_addr *fallback);
uint64_t cd_arg_number(cd_args *a, const char *name, int64_t fallback);
bool cd_arg_flag(cd_args *a, const char *name);
/* Required; at most `max` bytes in hex. How many there are. */
size_t cd_arg_bytes(cd_args *a, const char *name, uint8_t *out, size_t max);
/* Required. */
ch_pubkey cd_arg_node(cd_args *a, const char *name);
/* Required; a known channel, by its id or a unique beginning of it. 404 if there is none, 400 if there are several. */
/* 32 bytes in hex. */
ch_hash cd_arg_hash(cd_args *a, const char *name);
ch_hash cd_arg_channel(cd_args *a, const char *name);

bool cd_parse_node(const char *text, ch_pubkey *out);

#endif
