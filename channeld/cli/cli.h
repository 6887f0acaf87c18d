/* cli.h - channel-cli: a thin client of the HTTP API.
 *
 * commands.c lists all commands as data. From there come the help (help.c), the parsing (parse.c), the request (http.c)
 * and what is printed (show.c). Results go to stdout, everything else to stderr.
 */
#ifndef CHANNELD_CLI_CLI_H
#define CHANNELD_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit statuses. */
enum { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3, CLI_BAD_TOKEN = 4 };

/* --- The table of commands ------------------------------------------------------------------------ */

typedef enum cli_form {
  CLI_TEXT = 1,
  CLI_AMOUNT,  /* a whole number of base units, sent as a string */
  CLI_NUMBER,  /* a whole number */
  CLI_SECONDS, /* a whole number, sent as milliseconds */
  CLI_SWITCH,  /* an option without a value */
  CLI_NODE_AT, /* NODEID@HOST:PORT, sent as node_id and address */
  CLI_TARGET,  /* a node id is sent as `peer`, anything else as `channel` */
  CLI_FILE,    /* not sent */
} cli_form;

typedef struct cli_arg {
  const char *name;  /* in the request */
  const char *label; /* "CHANNEL" stands in its place, "--deposit" is an option */
  const char *value; /* of an option: what its value is called */
  cli_form form;
  bool required;
  const char *help;
  const char *not_with; /* not required together with the one of this name */
} cli_arg;

typedef enum cli_format {
  CLI_PLAIN = 1,
  CLI_RIGHT, /* a number */
  CLI_SHORT, /* an id, cut to what is enough to name it */
  CLI_TIME,  /* chain seconds, as UTC */
  CLI_SPAN,  /* seconds, as days, hours, minutes */
  CLI_YES,   /* a flag */
  CLI_ASSET,
  CLI_STATE, /* a word that is good, bad or in between: coloured on a terminal */
} cli_format;

typedef struct cli_column {
  const char *title;
  const char *path; /* in the result: "balance.mine" */
  cli_format format;
} cli_column;

typedef enum cli_layout { CLI_FIELDS = 1, CLI_TABLE, CLI_LINE } cli_layout;

typedef struct cli_view {
  cli_layout layout;
  const cli_column *columns;   /* end with a title that is NULL */
  const char *list;            /* CLI_TABLE: the result's member to show */
  const char *empty;           /* CLI_TABLE: said when it is empty; NULL: nothing */
  const struct cli_view *then; /* what else of the same result */
} cli_view;

typedef struct cli_command {
  const char *noun, *verb; /* verb NULL: the noun alone; "close --all": `close` with this option */
  const char *summary;
  const char *method, *path; /* {name} in the path is filled from the arguments */
  const cli_arg *args;       /* end with a name that is NULL */
  const cli_view *view;      /* NULL: nothing to show */
  const char *done;          /* said on success, or NULL */
  const char *later;         /* said when it is under way (202), or NULL */
} cli_command;

extern const cli_command cli_commands[]; /* ends with a noun that is NULL */

/* --- A call ----------------------------------------------------------------------------------------- */

typedef struct cli_call {
  const cli_command *command; /* NULL: help or version was asked for */
  const char *noun;           /* whose help; NULL: all */
  json_t *args;
  bool help, version, json;
  char dir[512];
  const char *url, *token_file, *batch;
  char made_id[33]; /* the payment's or deposit's id that was made up here, or "" */
} cli_call;

/* Says "channel-cli: ..." on stderr and returns `status`. */
int cli_fail(int status, const char *sentence, ...) __attribute__((format(printf, 2, 3)));

/* Fills `call`; its strings live as long as argv. CLI_DONE or, said on stderr, CLI_USAGE. The caller frees args. */
int cli_parse(cli_call *call, int argc, char **argv);

/* One value of the command line into the arguments. False with a sentence in `why` (200 bytes). */
bool cli_take(json_t *args, const cli_arg *arg, const char *text, char *why);

/* Prints the help: all commands, one noun's, or one command's. */
void cli_help(FILE *to, const char *noun, const cli_command *command);

typedef struct cli_session cli_session;

/* Finds the daemon and its token. CLI_DONE, or a failure that was said. */
int cli_open(cli_session **out, const cli_call *call);
void cli_close(cli_session *s);

/* Makes the request of a command. The return is CLI_DONE for a success, else an exit status; the trouble was said.
 * *body is the response's JSON, or NULL; *status its HTTP status, or 0. */
int cli_request(cli_session *s, const cli_command *command, const json_t *args, json_t **body, long *status);
/* The last response's text as it came. */
const char *cli_text(const cli_session *s);

void cli_show(const cli_view *view, const json_t *result);

/* `pay --batch`: the file has a line "ID AMOUNT" for each payment. */
int cli_pay_batch(cli_session *s, const cli_call *call);

#endif
