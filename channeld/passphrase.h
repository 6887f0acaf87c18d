/* passphrase.h - where the passphrase of the seed comes from: a file, the environment, or a person. */
#ifndef CHANNELD_PASSPHRASE_H
#define CHANNELD_PASSPHRASE_H

#include <stdbool.h>
#include <stddef.h>

#define CD_PASSPHRASE_MIN 8 /* bytes, of a new one */
#define CD_PASSPHRASE_MAX 1024

/* In locked memory: free with sodium_free, which wipes it. */
typedef struct cd_passphrase {
  size_t len;
  char text[CD_PASSPHRASE_MAX + 2];
} cd_passphrase;

typedef struct cd_passphrase_source {
  const char *file;           /* NULL or empty: none */
  const cd_passphrase *given; /* from the environment; NULL: none */
} cd_passphrase_source;

/* Takes the passphrase out of an environment variable: it is wiped there and the variable removed, so that neither
 * /proc nor a program that is started shows it. NULL if there is none. Call it before there are threads; false if it
 * cannot be used, with a sentence. */
bool cd_passphrase_take(const char *variable, cd_passphrase **out, char *why, size_t why_len);

/* Gets it from the file, else what was given, else from a person at the terminal. NULL with a sentence in `why`. */
cd_passphrase *cd_passphrase_get(const cd_passphrase_source *from, char *why, size_t why_len);
/* The same for one that is to be set: a person is asked twice, and it must be long enough. */
cd_passphrase *cd_passphrase_new(const cd_passphrase_source *from, char *why, size_t why_len);

#endif
