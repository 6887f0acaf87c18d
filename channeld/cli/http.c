/* The request: which daemon, which token, and what the answer means. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channel/types.h"
#include "cli.h"

#define MAX_ANSWER ((size_t)1 << 28)
#define TIMEOUT_S 180 /* longer than the daemon lets a request wait */

struct cli_session {
  CURL *curl;
  const cli_call *call;
  char base[300];          /* "http://127.0.0.1:8645" */
  char authorization[200]; /* the header; a secret */
  char token_file[600];
  char *text; /* the last response */
  size_t len;
};

/* Reads the first line of a small file. False with errno. */
static bool read_line(const char *path, char *out, size_t size) {
  FILE *file = fopen(path, "re");
  if (!file) return false;
  bool ok = fgets(out, (int)size, file);
  if (!ok) errno = ENODATA;
  fclose(file);
  if (ok) out[strcspn(out, "\r\n")] = '\0';
  return ok && *out;
}

static int find_daemon(cli_session *s) {
  const char *dir = s->call->dir;
  char path[600], address[128];
  if (s->call->url) {
    size_t len = strlen(s->call->url);
    while (len > 0 && s->call->url[len - 1] == '/')
      len--;
    snprintf(s->base, sizeof s->base, "%.*s", (int)len, s->call->url);
    return CLI_DONE;
  }
  snprintf(path, sizeof path, "%s/api.address", dir);
  if (!read_line(path, address, sizeof address))
    return cli_fail(CLI_UNREACHABLE,
                    "The daemon is not running: there is no address in %s (%s). Start it with `channeld --dir %s` (and "
                    "before that, once, `channeld init --dir %s`), or name its folder with --dir.",
                    path, strerror(errno), dir, dir);
  snprintf(s->base, sizeof s->base, "http://%s", address);
  return CLI_DONE;
}

static int find_token(cli_session *s) {
  char token[128];
  if (s->call->token_file)
    snprintf(s->token_file, sizeof s->token_file, "%s", s->call->token_file);
  else
    snprintf(s->token_file, sizeof s->token_file, "%s/api.token", s->call->dir);
  if (!read_line(s->token_file, token, sizeof token))
    return cli_fail(CLI_BAD_TOKEN,
                    "The daemon's token cannot be read from %s: %s. Run this as the user that runs the "
                    "daemon, or name the file with --token-file.",
                    s->token_file, strerror(errno));
  snprintf(s->authorization, sizeof s->authorization, "Authorization: Bearer %s", token);
  ch_wipe(token, sizeof token);
  return CLI_DONE;
}

static size_t on_text(char *bytes, size_t size, size_t n, void *ctx) {
  cli_session *s = ctx;
  size_t len = size * n;
  char *grown = s->len + len < MAX_ANSWER ? realloc(s->text, s->len + len + 1) : NULL;
  if (!grown) return 0;
  memcpy(grown + s->len, bytes, len);
  s->text = grown;
  s->len += len;
  s->text[s->len] = '\0';
  return len;
}

int cli_open(cli_session **out, const cli_call *call) {
  *out = NULL;
  cli_session *s = calloc(1, sizeof *s);
  if (!s) return cli_fail(CLI_REFUSED, "The machine is out of memory.");
  s->call = call;
  int status = find_daemon(s);
  if (status == CLI_DONE) status = find_token(s);
  if (status == CLI_DONE) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    s->curl = curl_easy_init();
    if (!s->curl) status = cli_fail(CLI_REFUSED, "libcurl does not start.");
  }
  if (status != CLI_DONE) {
    cli_close(s);
    return status;
  }
  curl_easy_setopt(s->curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(s->curl, CURLOPT_PATH_AS_IS, 1L); /* a payment's id may be ".." */
  curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(s->curl, CURLOPT_CONNECTTIMEOUT, 10L);
  curl_easy_setopt(s->curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
  curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, on_text);
  curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
  *out = s;
  return CLI_DONE;
}

void cli_close(cli_session *s) {
  if (!s) return;
  if (s->curl) {
    curl_easy_cleanup(s->curl);
    curl_global_cleanup();
  }
  ch_wipe(s->authorization, sizeof s->authorization);
  free(s->text);
  free(s);
}

const char *cli_text(const cli_session *s) {
  return s->text ? s->text : "";
}

/* --- The request ----------------------------------------------------------------------------------------- */

/* The text of an argument in the request line, percent-encoded, behind what is in `out`. */
static void add_escaped(CURL *curl, char *out, size_t size, const json_t *value) {
  char number[32];
  const char *text = json_string_value(value);
  if (json_is_boolean(value)) text = json_is_true(value) ? "true" : "false";
  if (json_is_integer(value)) {
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    text = number;
  }
  char *escaped = curl_easy_escape(curl, text ? text : "", 0);
  size_t n = strlen(out);
  snprintf(out + n, size - n, "%s", escaped ? escaped : "");
  curl_free(escaped);
}

/* Fills the path's {name}s from `args`, which it removes there. */
static void add_path(CURL *curl, char *url, size_t size, const char *path, json_t *args) {
  for (const char *p = path; *p;) {
    size_t n = strlen(url);
    size_t plain = strcspn(p, "{");
    snprintf(url + n, size - n, "%.*s", (int)plain, p);
    p += plain;
    if (!*p) return;
    char name[32];
    size_t len = strcspn(p, "}");
    snprintf(name, sizeof name, "%.*s", (int)len - 1, p + 1);
    add_escaped(curl, url, size, json_object_get(args, name));
    json_object_del(args, name);
    p += len + 1;
  }
}

static void add_query(CURL *curl, char *url, size_t size, json_t *args) {
  const char *name;
  json_t *value;
  char separator = '?';
  json_object_foreach(args, name, value) {
    size_t n = strlen(url);
    snprintf(url + n, size - n, "%c%s=", separator, name);
    add_escaped(curl, url, size, value);
    separator = '&';
  }
}

/* What libcurl's failure means. */
static int unreachable(const cli_session *s, const cli_command *command, CURLcode e) {
  const char *dir = s->call->dir;
  if (e == CURLE_COULDNT_CONNECT || e == CURLE_COULDNT_RESOLVE_HOST)
    return cli_fail(CLI_UNREACHABLE,
                    "The daemon is not running: nothing answers at %s. Start it with `channeld --dir %s`.", s->base,
                    dir);
  bool payment = strcmp(command->noun, "pay") == 0, deposit = command->verb && strcmp(command->verb, "deposit") == 0;
  if (payment || deposit)
    return cli_fail(CLI_UNREACHABLE,
                    "The daemon's answer was lost (%s), so the %s may or may not be made. Repeat it with the same "
                    "--id%s%s; it is made only once.",
                    curl_easy_strerror(e), payment ? "payment" : "deposit", *s->call->made_id ? " " : "",
                    s->call->made_id);
  return cli_fail(CLI_UNREACHABLE, "The daemon at %s does not answer: %s. Look at its log, then try again.", s->base,
                  curl_easy_strerror(e));
}

static const char *member(const json_t *body, const char *name) {
  const char *s = json_string_value(json_object_get(body, name));
  return s ? s : "";
}

/* Says an error as "message. hint". */
static int refused(const cli_session *s, long http, const json_t *body) {
  const char *message = member(body, "message");
  char hint[400];
  snprintf(hint, sizeof hint, "%s", member(body, "hint"));
  if (*hint >= 'a' && *hint <= 'z') *hint -= 'a' - 'A'; /* a sentence of its own here */
  size_t len = strlen(message);
  if (http == 401)
    return cli_fail(CLI_BAD_TOKEN,
                    "The token in %s is not that of the daemon at %s. Use --dir with the daemon's own "
                    "folder, or --token-file.",
                    s->token_file, s->base);
  if (len == 0)
    return cli_fail(CLI_UNREACHABLE, "What answers at %s (status %ld) is not the daemon. Check the address.", s->base,
                    http);
  const char *stop = strchr(".!?", message[len - 1]) ? "" : ".";
  return cli_fail(CLI_REFUSED, "%s%s%s%s", message, stop, *hint ? " " : "", hint);
}

static CURLcode perform(cli_session *s, const cli_command *command, const json_t *args, long *http) {
  char url[1500];
  json_t *rest = json_copy((json_t *)(uintptr_t)args);
  struct curl_slist *headers = curl_slist_append(NULL, s->authorization);
  headers = curl_slist_append(headers, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Expect:");
  snprintf(url, sizeof url, "%s", s->base);
  add_path(s->curl, url, sizeof url, command->path, rest);
  char *body = NULL;
  if (strcmp(command->method, "POST") == 0) {
    body = json_dumps(rest, JSON_COMPACT);
    curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(body ? strlen(body) : 0));
  } else {
    add_query(s->curl, url, sizeof url, rest);
    curl_easy_setopt(s->curl, CURLOPT_HTTPGET, 1L);
  }
  curl_easy_setopt(s->curl, CURLOPT_CUSTOMREQUEST, command->method);
  curl_easy_setopt(s->curl, CURLOPT_URL, url);
  curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, headers);
  s->len = 0;
  if (s->text) *s->text = '\0';
  CURLcode e = curl_easy_perform(s->curl);
  curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, http);
  curl_slist_free_all(headers);
  json_decref(rest);
  free(body);
  return e;
}

int cli_request(cli_session *s, const cli_command *command, const json_t *args, json_t **body, long *status) {
  *body = NULL;
  *status = 0;
  CURLcode e = perform(s, command, args, status);
  if (e != CURLE_OK) return unreachable(s, command, e);
  *body = json_loads(cli_text(s), 0, NULL);
  bool ok = *status >= 200 && *status < 300 && json_is_object(*body);
  return ok ? CLI_DONE : refused(s, *status, *body);
}
