#include "reply.h"

#include <stdarg.h>
#include <stdio.h>

void cd_reply_with(cd_reply r, cd_class cls, json_t *body) {
  r.fn(r.ctx, cls, body);
}

void cd_reply_fail(cd_reply r, cd_class cls, const char *code, const char *hint, const char *message, ...) {
  char text[400];
  va_list args;
  va_start(args, message);
  vsnprintf(text, sizeof text, message, args);
  va_end(args);
  for (char *p = text; *p != '\0'; p++) {
    if (*p < 0x20 || *p > 0x7e) *p = '?';
  }
  r.fn(r.ctx, cls, json_pack("{s:s, s:s, s:s}", "code", code, "message", text, "hint", hint));
}

cd_class cd_class_of(ch_err err) {
  switch (err) {
  case CH_ERR_OK: return CD_OK;
  case CH_ERR_ARGUMENT:
  case CH_ERR_AMOUNT:
  case CH_ERR_OVERFLOW:
  case CH_ERR_FORMAT:
  case CH_ERR_KEY:
  case CH_ERR_WORDS:
  case CH_ERR_EXPIRY:
  case CH_ERR_TERMS: return CD_BAD_REQUEST;
  case CH_ERR_UNKNOWN_LOCK:
  case CH_ERR_UNKNOWN_CHANNEL: return CD_NOT_FOUND;
  case CH_ERR_PHASE:
  case CH_ERR_FROZEN:
  case CH_ERR_FUNDS:
  case CH_ERR_DUPLICATE:
  case CH_ERR_REVEALED:
  case CH_ERR_REVERTED:
  case CH_ERR_LOCK_LIMIT:
  case CH_ERR_HASH_USED:
  case CH_ERR_CANCELLED:
  case CH_ERR_SHARED:
  case CH_ERR_EXPIRED: return CD_CONFLICT;
  case CH_ERR_QUEUE_FULL: return CD_BUSY;
  case CH_ERR_SIGNATURE:
  case CH_ERR_VIOLATION: return CD_BAD_GATEWAY;
  case CH_ERR_STALE:
  case CH_ERR_PENDING:
  case CH_ERR_NOT_CONNECTED: return CD_UNAVAILABLE;
  case CH_ERR_NO_MEMORY:
  case CH_ERR_DOUBLE_SIGN:
  case CH_ERR_SIGNER:
  case CH_ERR_VERSION:
  case CH_ERR_BUG: return CD_INTERNAL;
  }
  return CD_INTERNAL;
}

/* A library sentence says what happened, then what to do, with "; " between. */
void cd_reply_err(cd_reply r, ch_err err) {
  const char *text = ch_err_text(err), *hint = strstr(text, "; ");
  int len = hint == NULL ? (int)strlen(text) : (int)(hint - text);
  cd_reply_fail(r, cd_class_of(err), ch_err_name(err), hint == NULL ? "" : hint + 2, "%.*s%s", len, text,
                hint == NULL ? "" : ".");
}

json_t *cd_reason(ch_err err) {
  return json_pack("{s:s, s:s}", "code", ch_err_name(err), "message", ch_err_text(err));
}
