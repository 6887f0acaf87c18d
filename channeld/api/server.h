/* server.h - the parts of the HTTP server: what server.c (its life), request.c (one request) and answer.c share. */
#ifndef CHANNELD_API_SERVER_H
#define CHANNELD_API_SERVER_H

#include <microhttpd.h>
#include <pthread.h>

#include "api.h"
#include "input.h"

/* A response, ready to be sent. */
typedef struct cd_answer {
  unsigned status;
  char *body; /* malloc'ed JSON with a newline; NULL: none */
  size_t len;
} cd_answer;

cd_answer cd_answer_of(cd_class cls, const json_t *body);
cd_answer cd_answer_problem(const cd_problem *problem);
/* Gives the answer to MHD; its body is MHD's from then on. `allow`: NULL or "", or the methods of the path. */
enum MHD_Result cd_answer_send(struct MHD_Connection *connection, cd_answer *answer, const char *allow);

/* One connection. */
typedef struct cd_link {
  struct cd_link *prev, *next;
  int fd;
  uint64_t deadline; /* when it is shut down; 0: not now, a command is running for it */
} cd_link;

typedef enum cd_stage {
  CD_READING = 1, /* being received */
  CD_WAITING,     /* suspended; the command has not replied */
  CD_LEAVING,     /* answered: resumed, the response is on its way */
} cd_stage;

/* One request. Two own it: MHD until the request is completed, and the command until its reply. */
typedef struct cd_request {
  struct cd_request *prev, *next; /* in cd_api.waiting */
  struct cd_api *api;
  struct MHD_Connection *connection;
  cd_link *link;
  const cd_route *route;
  json_t *args;
  char *body;
  size_t len, cap;
  size_t dropped; /* bytes of the body that were thrown away */
  bool too_large;
  bool refused; /* `answer` is ready; it leaves when the body has been received */
  char allow[CD_ALLOW_STR];
  /* Under the lock: */
  cd_stage stage;
  int owners;
  uint64_t deadline; /* when it is answered without its reply */
  cd_answer answer;
} cd_request;

struct cd_api {
  cd_api_config cfg; /* its strings are NULL: they are here */
  char token[CD_API_TOKEN_STR], address[64];
  struct MHD_Daemon *daemon;
  pthread_t clock;
  pthread_mutex_t lock;
  pthread_cond_t changed; /* stopping, or `leaving` went down */
  /* Under the lock: */
  bool stopping;
  int owners; /* the caller of cd_api_start, and each request that has a reply to come */
  unsigned n_waiting, n_leaving;
  cd_request *waiting;
  cd_link *links;
};

uint64_t cd_now_ms(void); /* monotonic */

/* True if an Authorization header (NULL: there is none) shows the token; compared in constant time. */
bool cd_api_token_shown(const char *token, const char *authorization);

/* Writes a sentence to `why` and returns CH_ERR_ARGUMENT. */
ch_err cd_api_fail(char *why, size_t why_len, const char *sentence, ...) __attribute__((format(printf, 3, 4)));

/* MHD's calls, see microhttpd.h; `cls` is the cd_api. */
enum MHD_Result cd_on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **context);
void cd_on_completed(void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode why);

/* Answers a waiting request in the place of its command. Under the lock. */
void cd_request_give_up(cd_request *request, const char *code, const char *message, const char *hint);

/* One owner less; the last one frees it. Not under the lock. */
void cd_api_release(cd_api *api);

#endif
