#include "server.h"

#include <stdarg.h>
#include <stdio.h>

ch_err cd_api_fail(char *why, size_t why_len, const char *sentence, ...) {
  va_list ap;
  va_start(ap, sentence);
  vsnprintf(why, why_len, sentence, ap);
  va_end(ap);
  return CH_ERR_ARGUMENT;
}

static unsigned status_of(cd_class cls) {
  switch (cls) {
  case CD_OK: return MHD_HTTP_OK;
  case CD_ACCEPTED: return MHD_HTTP_ACCEPTED;
  case CD_BAD_REQUEST: return MHD_HTTP_BAD_REQUEST;
  case CD_NOT_FOUND: return MHD_HTTP_NOT_FOUND;
  case CD_CONFLICT: return MHD_HTTP_CONFLICT;
  case CD_BUSY: return MHD_HTTP_TOO_MANY_REQUESTS;
  case CD_INTERNAL: return MHD_HTTP_INTERNAL_SERVER_ERROR;
  case CD_BAD_GATEWAY: return MHD_HTTP_BAD_GATEWAY;
  case CD_UNAVAILABLE: return MHD_HTTP_SERVICE_UNAVAILABLE;
  }
  return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

cd_answer cd_answer_of(cd_class cls, const json_t *body) {
  cd_answer answer = {.status = status_of(cls)};
  char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
  size_t len = text ? strlen(text) : 0;
  char *line = text ? realloc(text, len + 2) : NULL;
  if (!line) {
    free(text);
    cd_problem problem;
    cd_refuse(&problem, MHD_HTTP_INTERNAL_SERVER_ERROR, ch_err_name(CH_ERR_BUG), "Report it with the log.",
              "The command gave no result that can be shown; whether it was done is not known.");
    return cd_answer_problem(&problem);
  }
  memcpy(line + len, "\n", 2);
  answer.body = line;
  answer.len = len + 1;
  return answer;
}

cd_answer cd_answer_problem(const cd_problem *problem) {
  cd_answer answer = {.status = problem->status};
  json_t *body =
      json_pack("{s:s, s:s, s:s}", "code", problem->code, "message", problem->message, "hint", problem->hint);
  char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
  int n = text ? asprintf(&answer.body, "%s\n", text) : -1;
  free(text);
  json_decref(body);
  if (n < 0) answer.body = NULL;
  answer.len = n < 0 ? 0 : (size_t)n;
  return answer;
}

enum MHD_Result cd_answer_send(struct MHD_Connection *connection, cd_answer *answer, const char *allow) {
  char empty[] = "";
  struct MHD_Response *response =
      answer->body ? MHD_create_response_from_buffer(answer->len, answer->body, MHD_RESPMEM_MUST_FREE)
                   : MHD_create_response_from_buffer(0, empty, MHD_RESPMEM_MUST_COPY);
  if (!response) {
    free(answer->body);
    answer->body = NULL;
    return MHD_NO;
  }
  if (answer->body) MHD_add_response_header(response, "Content-Type", "application/json");
  answer->body = NULL;
  MHD_add_response_header(response, "Cache-Control", "no-store");
  if (allow && *allow) MHD_add_response_header(response, "Allow", allow);
  if (answer->status == MHD_HTTP_UNAUTHORIZED)
    MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"channeld\"");
  if (answer->status == MHD_HTTP_TOO_MANY_REQUESTS || answer->status == MHD_HTTP_SERVICE_UNAVAILABLE)
    MHD_add_response_header(response, "Retry-After", "1");
  enum MHD_Result queued = MHD_queue_response(connection, answer->status, response);
  MHD_destroy_response(response);
  return queued;
}
