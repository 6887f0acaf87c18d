/* options.h - flags of the commands beside the daemon itself: `channeld init`, `passphrase`, `backup`. */
#ifndef CHANNELD_OPTIONS_H
#define CHANNELD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* A flag: with a value, or to be given or not. */
typedef struct cd_option {
  const char *name;   /* "--dir" */
  const char **value; /* NULL: it has none */
  bool *given;        /* NULL: it has one */
} cd_option;

/* Reads flags, and with `rest` not NULL one argument that is no flag. False with a sentence that names the command. */
bool cd_options_read(const cd_option *options, size_t n, const char **rest, int argc, char **argv, const char *command,
                     char *why, size_t why_len);

/* The data directory when no flag names one: CHANNELD_DIR, else ~/.channeld. False if it is too long. */
bool cd_options_dir(const char *flag, char *out, size_t size, char *why, size_t why_len);

#endif
