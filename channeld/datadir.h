/* datadir.h - the data directory, made once, and files in it that are replaced as a whole. */
#ifndef CHANNELD_DATADIR_H
#define CHANNELD_DATADIR_H

#include <stdbool.h>
#include <stddef.h>

/* All return false with a sentence in `why`. */

/* Makes `path` and its parents with mode 0700. One that is there already is fine. */
bool cd_dir_make(const char *path, char *why, size_t why_len);

/* Replaces D/name by `len` bytes, mode 0600, durable on return: the old or the new content is there after a crash,
 * never half of it. */
bool cd_dir_put(const char *dir, const char *name, const void *bytes, size_t len, char *why, size_t why_len);
/* The same with a text. */
bool cd_dir_write(const char *dir, const char *name, const char *text, char *why, size_t why_len);

#endif
