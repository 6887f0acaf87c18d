/* Many payments from a file, a thousand in a request. Repeating the file pays nothing twice. */
#include <errno.h>
#include <string.h>

#include "cli.h"

#define CHUNK 1000

typedef struct batch {
  cli_session *session;
  const cli_call *call;
  FILE *file;
  unsigned long line; /* the last one read */
  unsigned long settled, pending, failed;
} batch;

static const cli_arg amount_arg = {"amount", "AMOUNT", NULL, CLI_AMOUNT, true, "", NULL};

/* One "ID AMOUNT" as a payment to where the command line says. NULL if it is wrong, which was said. */
static json_t *read_payment(batch *b, char *text) {
  char *save = NULL, why[200] = "";
  const char *id = strtok_r(text, " \t", &save);
  const char *amount = strtok_r(NULL, " \t", &save);
  json_t *payment = json_object();
  if (!amount || strtok_r(NULL, " \t", &save)) {
    snprintf(why, sizeof why, "there must be two words, ID AMOUNT");
  } else if (cli_take(payment, &amount_arg, amount, why)) {
    json_object_set_new(payment, "id", json_string(id));
    json_t *channel = json_object_get(b->call->args, "channel");
    json_t *peer = json_object_get(b->call->args, "peer");
    if (channel) json_object_set(payment, "channel", channel);
    if (peer) json_object_set(payment, "peer", peer);
    return payment;
  }
  json_decref(payment);
  cli_fail(CLI_USAGE,
           "%s, line %lu: %s. The payments before it in the file may be made already; correct the line and "
           "repeat the file, nothing is paid twice.",
           b->call->batch, b->line, why);
  return NULL;
}

/* Up to CHUNK payments. NULL on a bad line. */
static json_t *read_chunk(batch *b) {
  char text[512];
  json_t *payments = json_array();
  while (json_array_size(payments) < CHUNK && fgets(text, sizeof text, b->file)) {
    b->line++;
    text[strcspn(text, "\r\n")] = '\0';
    if (text[strspn(text, " \t")] == '\0' || text[0] == '#') continue;
    json_t *payment = read_payment(b, text);
    if (!payment) {
      json_decref(payments);
      return NULL;
    }
    json_array_append_new(payments, payment);
  }
  return payments;
}

static void count(batch *b, const json_t *result) {
  size_t i;
  json_t *p;
  json_array_foreach(json_object_get(result, "payments"), i, p) {
    const char *status = json_string_value(json_object_get(p, "status"));
    if (status && strcmp(status, "settled") == 0) {
      b->settled++;
    } else if (status && strcmp(status, "failed") == 0) {
      b->failed++;
      const char *id = json_string_value(json_object_get(p, "id"));
      const char *why = json_string_value(json_object_get(json_object_get(p, "reason"), "message"));
      cli_fail(CLI_REFUSED, "Payment %s failed: %s", id ? id : "?", why ? why : "no reason is known.");
    } else {
      b->pending++;
    }
  }
}

static int send_chunk(batch *b, json_t *payments) {
  json_t *args = json_pack("{s:O}", "payments", payments);
  json_t *wait = json_object_get(b->call->args, "wait_ms");
  json_t *result = NULL;
  long http = 0;
  if (wait) json_object_set(args, "wait_ms", wait);
  int status = cli_request(b->session, b->call->command, args, &result, &http);
  if (b->call->json && result) fputs(cli_text(b->session), stdout);
  if (status == CLI_DONE) count(b, result);
  json_decref(result);
  json_decref(args);
  return status;
}

int cli_pay_batch(cli_session *s, const cli_call *call) {
  bool standard = strcmp(call->batch, "-") == 0;
  batch b = {.session = s, .call = call, .file = standard ? stdin : fopen(call->batch, "re")};
  if (!b.file) return cli_fail(CLI_USAGE, "The file %s cannot be read: %s.", call->batch, strerror(errno));
  int status = CLI_DONE;
  bool more = true;
  while (status == CLI_DONE && more) {
    json_t *payments = read_chunk(&b);
    more = payments && json_array_size(payments) > 0;
    status = payments ? CLI_DONE : CLI_USAGE;
    if (more) status = send_chunk(&b, payments);
    json_decref(payments);
  }
  if (!standard) fclose(b.file);
  if (!call->json) printf("%lu settled, %lu pending, %lu failed\n", b.settled, b.pending, b.failed);
  return status == CLI_DONE && b.failed > 0 ? CLI_REFUSED : status;
}
