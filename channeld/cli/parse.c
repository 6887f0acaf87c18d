/* The command line, read by the table of commands. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "channel/money.h"
#include "cli.h"

#define WHY 200
#define NODE_ID_LEN 66

int cli_fail(int status, const char *sentence, ...) {
  va_list ap;
  va_start(ap, sentence);
  fputs("channel-cli: ", stderr);
  vfprintf(stderr, sentence, ap);
  fputc('\n', stderr);
  va_end(ap);
  return status;
}

/* --- Values ------------------------------------------------------------------------------------------ */

static bool whole_number(const char *text, json_int_t *out) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 15 || text[digits]) return false;
  *out = strtoll(text, NULL, 10);
  return true;
}

static bool take_node_at(json_t *args, const char *text, char *why) {
  const char *at = strchr(text, '@');
  if (!at || at == text || !strchr(at, ':')) {
    snprintf(why, WHY, "\"%.80s\" is not NODEID@HOST:PORT", text);
    return false;
  }
  json_object_set_new(args, "node_id", json_stringn(text, (size_t)(at - text)));
  json_object_set_new(args, "address", json_string(at + 1));
  return true;
}

bool cli_take(json_t *args, const cli_arg *arg, const char *text, char *why) {
  ch_amount amount;
  json_int_t number = 0;
  json_t *value = NULL;
  const char *name = arg->name;
  const char *problem = "is not text";
  switch (arg->form) {
  case CLI_TEXT:
  case CLI_FILE: value = json_string(text); break;
  case CLI_SWITCH: value = json_true(); break;
  case CLI_AMOUNT:
    problem = "is not a whole number of base units, such as 1000";
    if (ch_amount_parse(&amount, text) == CH_OK) value = json_string(text);
    break;
  case CLI_NUMBER:
    problem = "is not a whole number";
    if (whole_number(text, &number)) value = json_integer(number);
    break;
  case CLI_SECONDS:
    problem = "is not a whole number of seconds";
    if (whole_number(text, &number)) value = json_integer(number * 1000);
    break;
  case CLI_NODE_AT: return take_node_at(args, text, why);
  case CLI_TARGET:
    name = strlen(text) == NODE_ID_LEN && strncmp(text, "0x", 2) != 0 ? "peer" : "channel";
    value = json_string(text);
    break;
  }
  if (!value) {
    snprintf(why, WHY, "\"%.60s\" %s (%s)", text, problem, arg->label);
    return false;
  }
  json_object_set_new(args, name, value);
  return true;
}

/* --- Options ------------------------------------------------------------------------------------------ */

/* The command line with a place in it. */
typedef struct reader {
  int argc, at;
  char **argv;
  char option[64];   /* the one just read, without its value */
  const char *value; /* from "--option=value", else NULL */
} reader;

static void split_option(reader *r, const char *word) {
  const char *equals = strchr(word, '=');
  snprintf(r->option, sizeof r->option, "%.*s", equals ? (int)(equals - word) : (int)strlen(word), word);
  r->value = equals ? equals + 1 : NULL;
}

/* The value of the option just read, or NULL. */
static const char *value_of(reader *r) {
  if (r->value) return r->value;
  return r->at < r->argc ? r->argv[r->at++] : NULL;
}

static int usage(const cli_call *call, const char *sentence, const char *what) {
  const cli_command *c = call->command;
  char where[64] = "help";
  if (c) snprintf(where, sizeof where, "%s%s%s --help", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
  return cli_fail(CLI_USAGE, "%s%s. `channel-cli %s` shows how.", sentence, what, where);
}

/* An option that all commands have. 0: it is none of them; 1: taken; -1: wrong, which was said. */
static int take_common(cli_call *call, reader *r) {
  if (strcmp(r->option, "--json") == 0 || strcmp(r->option, "--help") == 0 || strcmp(r->option, "-h") == 0 ||
      strcmp(r->option, "--version") == 0) {
    call->json |= strcmp(r->option, "--json") == 0;
    call->version |= strcmp(r->option, "--version") == 0;
    call->help |= strcmp(r->option, "--help") == 0 || strcmp(r->option, "-h") == 0;
    return r->value ? (usage(call, "No value goes with ", r->option), -1) : 1;
  }
  bool dir = strcmp(r->option, "--dir") == 0;
  bool url = strcmp(r->option, "--url") == 0;
  if (!dir && !url && strcmp(r->option, "--token-file") != 0) return 0;
  const char *value = value_of(r);
  if (!value || !*value) return usage(call, "A value is missing after ", r->option), -1;
  if (dir && strlen(value) >= sizeof call->dir) return usage(call, "That folder's name is too long: ", value), -1;
  if (dir) {
    snprintf(call->dir, sizeof call->dir, "%s", value);
  } else {
    *(url ? &call->url : &call->token_file) = value;
  }
  return 1;
}

static const cli_arg *find_option(const cli_command *c, const char *label) {
  for (const cli_arg *a = c->args; a->name; a++)
    if (strcmp(a->label, label) == 0) return a;
  return NULL;
}

/* "close --all": an option that makes another command of this one. */
static const cli_command *variant(const cli_command *command, const char *option) {
  size_t n = strlen(command->verb ? command->verb : "");
  for (const cli_command *c = cli_commands; n && c->noun; c++) {
    if (strcmp(c->noun, command->noun) != 0 || !c->verb || strncmp(c->verb, command->verb, n) != 0) continue;
    if (c->verb[n] == ' ' && strcmp(c->verb + n + 1, option) == 0) return c;
  }
  return NULL;
}

static int take_option(cli_call *call, reader *r) {
  const cli_arg *arg = call->command ? find_option(call->command, r->option) : NULL;
  const cli_command *other = !arg && call->command && !r->value ? variant(call->command, r->option) : NULL;
  if (other && json_object_size(call->args) > 0) return usage(call, "All or one, not both: ", r->option);
  if (other) {
    call->command = other;
    return CLI_DONE;
  }
  if (!arg) return usage(call, "There is no option ", r->option);
  if (arg->form == CLI_SWITCH && r->value) return usage(call, "No value goes with ", r->option);
  const char *value = arg->form == CLI_SWITCH ? "" : value_of(r);
  if (!value) return usage(call, "A value is missing after ", r->option);
  if (arg->form == CLI_FILE) {
    call->batch = value;
    return CLI_DONE;
  }
  char why[WHY];
  return cli_take(call->args, arg, value, why) ? CLI_DONE : usage(call, why, "");
}

/* --- Words --------------------------------------------------------------------------------------------- */

static bool is_noun(const char *word) {
  for (const cli_command *c = cli_commands; c->noun; c++)
    if (strcmp(c->noun, word) == 0) return true;
  return false;
}

static const cli_command *find_command(const char *noun, const char *verb) {
  for (const cli_command *c = cli_commands; c->noun; c++) {
    if (strcmp(c->noun, noun) != 0) continue;
    if (!c->verb || (verb && strcmp(c->verb, verb) == 0)) return c;
  }
  return NULL;
}

/* The n-th argument that is not an option. */
static const cli_arg *positional(const cli_command *c, size_t n) {
  for (const cli_arg *a = c->args; a->name; a++) {
    if (strncmp(a->label, "--", 2) == 0) continue;
    if (n-- == 0) return a;
  }
  return NULL;
}

/* A word that is no option: the noun, the verb, or an argument. */
static int take_word(cli_call *call, const char *word, size_t *n_positional) {
  if (!call->noun) {
    if (strcmp(word, "help") == 0) {
      call->help = true;
      return CLI_DONE;
    }
    if (!is_noun(word)) return usage(call, "There is no command ", word);
    call->noun = word;
    call->command = find_command(word, NULL);
    return CLI_DONE;
  }
  if (!call->command) {
    call->command = find_command(call->noun, word);
    if (call->command) return CLI_DONE;
    return cli_fail(CLI_USAGE, "`%s` has no `%.60s`. `channel-cli %s --help` lists what it has.", call->noun, word,
                    call->noun);
  }
  const cli_arg *arg = positional(call->command, (*n_positional)++);
  if (!arg) return usage(call, "This is one argument too many: ", word);
  char why[WHY];
  return cli_take(call->args, arg, word, why) ? CLI_DONE : usage(call, why, "");
}

static bool is_given(const cli_call *call, const cli_arg *arg) {
  if (arg->form == CLI_FILE) return call->batch;
  if (arg->form == CLI_TARGET) return json_object_get(call->args, "peer") || json_object_get(call->args, "channel");
  return json_object_get(call->args, arg->name);
}

static const cli_arg *named(const cli_command *c, const char *name) {
  const cli_arg *a = c->args;
  while (strcmp(a->name, name) != 0)
    a++;
  return a;
}

static int check_complete(cli_call *call) {
  const cli_command *c = call->command;
  for (const cli_arg *a = c->args; a->name; a++) {
    bool other = a->not_with && is_given(call, named(c, a->not_with));
    if (a->required && !other && !is_given(call, a)) return usage(call, "This is missing: ", a->label);
  }
  if (call->batch && (json_object_get(call->args, "id") || json_object_get(call->args, "amount")))
    return usage(call, "Ids and amounts stand in the file of ", "--batch");
  return CLI_DONE;
}

/* What moves money without an id of its own gets one here, so that it can be repeated if the answer is lost. */
static int make_id(cli_call *call) {
  unsigned char bytes[16];
  const cli_arg *arg = find_option(call->command, "--id");
  if (!arg || call->batch || json_object_get(call->args, arg->name)) return CLI_DONE;
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
    return cli_fail(CLI_REFUSED, "There are no random bytes for an id; give one with --id.");
  ch_hex(call->made_id, bytes, sizeof bytes);
  json_object_set_new(call->args, arg->name, json_string(call->made_id));
  return CLI_DONE;
}

static void default_folder(cli_call *call) {
  const char *dir = getenv("CHANNELD_DIR");
  const char *home = getenv("HOME");
  if (dir && *dir)
    snprintf(call->dir, sizeof call->dir, "%s", dir);
  else
    snprintf(call->dir, sizeof call->dir, "%s/.channeld", home ? home : ".");
}

int cli_parse(cli_call *call, int argc, char **argv) {
  *call = (cli_call){.args = json_object()};
  default_folder(call);
  reader r = {.argc = argc, .at = 1, .argv = argv};
  size_t n_positional = 0;
  bool plain = false; /* after "--" */
  while (r.at < argc) {
    const char *word = argv[r.at++];
    if (!plain && strcmp(word, "--") == 0) {
      plain = true;
      continue;
    }
    bool option = !plain && word[0] == '-' && word[1];
    int status = CLI_DONE, common = 0;
    if (option) {
      split_option(&r, word);
      common = take_common(call, &r);
      if (common < 0) return CLI_USAGE;
    }
    if (option && common == 0) status = call->help ? CLI_DONE : take_option(call, &r);
    if (!option) status = take_word(call, word, &n_positional);
    if (status != CLI_DONE) return status;
  }
  if (call->help || call->version) return CLI_DONE;
  if (!call->noun) return cli_fail(CLI_USAGE, "Say what to do; `channel-cli help` lists it.");
  if (!call->command)
    return cli_fail(CLI_USAGE, "`%s` needs a verb. `channel-cli %s --help` lists them.", call->noun, call->noun);
  int status = check_complete(call);
  return status == CLI_DONE ? make_id(call) : status;
}
