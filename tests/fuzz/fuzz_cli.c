/* The command line of channel-cli, a word in each line: refused with a sentence, or arguments that the command has,
 * whose amounts are amounts. */
#include "channel/money.h"
#include "cli/cli.h"
#include "fuzz.h"

#define WORDS 24

static bool has(const cli_command *c, const char *name) {
  for (const cli_arg *a = c->args; a->name != NULL; a++) {
    if (strcmp(a->name, name) == 0) return true;
    if (a->form == CLI_NODE_AT && (strcmp(name, "node_id") == 0 || strcmp(name, "address") == 0)) return true;
    if (a->form == CLI_TARGET && (strcmp(name, "peer") == 0 || strcmp(name, "channel") == 0)) return true;
  }
  return false;
}

static void check_value(const cli_command *c, const char *name, const json_t *value) {
  must(has(c, name), "only the command's arguments");
  must(!json_is_integer(value) || (json_integer_value(value) >= 0 && json_integer_value(value) < 1000000000000000000),
       "a number has a bound");
  for (const cli_arg *a = c->args; a->name != NULL; a++) {
    ch_amount amount;
    if (a->form != CLI_AMOUNT || strcmp(a->name, name) != 0) continue;
    must(ch_amount_parse(&amount, json_string_value(value)) == CH_OK, "an amount is one");
  }
}

static void check(const cli_call *call) {
  const char *name;
  json_t *value;
  must(call->help || call->version || call->command != NULL, "there is something to do");
  must(memchr(call->dir, '\0', sizeof call->dir) != NULL, "a folder's name ends");
  if (call->help || call->version) return;
  json_object_foreach(call->args, name, value) check_value(call->command, name, value);
  for (const cli_arg *a = call->command->args; a->name != NULL; a++) {
    bool optional =
        !a->required || a->not_with != NULL || a->form == CLI_FILE || a->form == CLI_NODE_AT || a->form == CLI_TARGET;
    must(optional || json_object_get(call->args, a->name) != NULL, "what is required is there");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = text_of(data, size), *rest = text, program[] = "channel-cli", *argv[WORDS + 2] = {program};
  int argc = 1;
  cli_call call;
  for (char *word; argc <= WORDS && (word = strsep(&rest, "\n")) != NULL;)
    argv[argc++] = word;
  if (cli_parse(&call, argc, argv) == CLI_DONE) check(&call);
  json_decref(call.args);
  free(text);
  return 0;
}
