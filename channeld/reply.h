/* reply.h - answers to commands: results, and failures as {code, message, hint}. */
#ifndef CHANNELD_REPLY_H
#define CHANNELD_REPLY_H

#include "ports.h"

typedef struct cd_reply {
  cd_reply_fn fn;
  void *ctx;
} cd_reply;

/* Each answers; a command is answered exactly once. */
void cd_reply_with(cd_reply r, cd_class cls, json_t *body);
/* `message` is a printf format. */
void cd_reply_fail(cd_reply r, cd_class cls, const char *code, const char *hint, const char *message, ...)
    __attribute__((format(printf, 5, 6)));
/* A library error with its own name and sentence. */
void cd_reply_err(cd_reply r, ch_err err);

/* The class that a library error belongs to. */
cd_class cd_class_of(ch_err err);
/* {code, message} of a library error, as the reason of a payment. */
json_t *cd_reason(ch_err err);

#endif
