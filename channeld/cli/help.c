#include <string.h>

#include "cli.h"

static bool is_option(const cli_arg *a) {
  return strncmp(a->label, "--", 2) == 0;
}

static void print_name(FILE *to, const cli_command *c) {
  fprintf(to, "%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
}

/* "channel open NODEID --deposit N [--peer-deposit N]" */
static void print_usage(FILE *to, const cli_command *c) {
  print_name(to, c);
  for (const cli_arg *a = c->args; a->name; a++) {
    bool value = is_option(a) && a->value;
    fprintf(to, a->required ? " %s%s%s" : " [%s%s%s]", a->label, value ? " " : "", value ? a->value : "");
  }
}

static void print_args(FILE *to, const cli_command *c) {
  for (const cli_arg *a = c->args; a->name; a++) {
    char left[64];
    bool value = is_option(a) && a->value;
    snprintf(left, sizeof left, "%s%s%s", a->label, value ? " " : "", value ? a->value : "");
    fprintf(to, "  %-24s  %s\n", left, a->help);
  }
}

static const char common[] =
    "Options of all commands:\n"
    "  --dir DIR                 the daemon's folder (default $CHANNELD_DIR, else ~/.channeld)\n"
    "  --json                    print the result as the daemon gives it\n"
    "  --url URL                 of the daemon, if it is not the one of the folder\n"
    "  --token-file FILE         with its token (default api.token in the folder)\n"
    "  --help                    of all, of a noun, or of a command\n"
    "  --version\n";

static const char exits[] =
    "Exit status: 0 done, 1 refused, 2 wrong usage, 3 the daemon is not running, 4 wrong token.\n";

static void print_list(FILE *to, const char *noun) {
  for (const cli_command *c = cli_commands; c->noun; c++) {
    char name[32];
    if (noun && strcmp(noun, c->noun) != 0) continue;
    snprintf(name, sizeof name, "%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
    fprintf(to, "  %-20s %s\n", name, c->summary);
  }
}

void cli_help(FILE *to, const char *noun, const cli_command *command) {
  if (command) {
    fputs("usage: channel-cli ", to);
    print_usage(to, command);
    fprintf(to, "\n\n  %s\n\n", command->summary);
    print_args(to, command);
    return;
  }
  fprintf(to, "usage: channel-cli [OPTIONS] %s VERB [ARGUMENTS]\n\n", noun ? noun : "NOUN");
  print_list(to, noun);
  if (noun) {
    fprintf(to, "\n`channel-cli %s VERB --help` shows the arguments.\n", noun);
    return;
  }
  fprintf(to, "\n`channel-cli NOUN VERB --help` shows the arguments. Amounts are whole base units.\n\n%s\n%s", common,
          exits);
}
