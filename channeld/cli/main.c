/* channel-cli: parse, ask the daemon, show. */
#include <string.h>

#include "cli.h"

static int show_result(const cli_call *call, const json_t *result, long http) {
  const cli_command *c = call->command;
  cli_show(c->view, result);
  if (c->done) puts(c->done);
  fflush(stdout);
  if (http == 202 && c->later) fprintf(stderr, "%s\n", c->later);
  return CLI_DONE;
}

/* A payment that has failed is a result of the daemon, but no success for who wanted to pay. */
static int judge(const cli_call *call, const json_t *result) {
  const char *status = json_string_value(json_object_get(result, "status"));
  if (strcmp(call->noun, "pay") != 0 || !status || strcmp(status, "failed") != 0) return CLI_DONE;
  const char *why = json_string_value(json_object_get(json_object_get(result, "reason"), "message"));
  return cli_fail(CLI_REFUSED, "The payment failed. %s", why ? why : "");
}

static int run(const cli_call *call) {
  cli_session *session = NULL;
  int status = cli_open(&session, call);
  if (status != CLI_DONE) return status;
  if (call->batch) {
    status = cli_pay_batch(session, call);
  } else {
    json_t *result = NULL;
    long http = 0;
    status = cli_request(session, call->command, call->args, &result, &http);
    if (call->json && result) fputs(cli_text(session), stdout);
    if (!call->json && status == CLI_DONE) status = show_result(call, result, http);
    if (status == CLI_DONE) status = judge(call, result);
    json_decref(result);
  }
  cli_close(session);
  if (fflush(stdout) != 0) return cli_fail(CLI_REFUSED, "The result could not be written.");
  return status;
}

int main(int argc, char **argv) {
  cli_call call;
  int status = cli_parse(&call, argc, argv);
  if (status == CLI_DONE && call.version)
    puts("channel-cli " CHANNEL_VERSION);
  else if (status == CLI_DONE && call.help)
    cli_help(stdout, call.noun, call.command);
  else if (status == CLI_DONE)
    status = run(&call);
  json_decref(call.args);
  return status;
}
