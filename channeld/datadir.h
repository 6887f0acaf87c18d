/* datadir.h - the data directory: made once, and the seed in it. */
#ifndef CHANNELD_DATADIR_H
#define CHANNELD_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All return false with a sentence in `why`. */

/* Makes `path` and its parents with mode 0700. One that is there already is fine. */
bool cd_dir_make(const char *path, char *why, size_t why_len);

/* Replaces D/name with `text`, mode 0600: the old or the new content is there after a crash, never half of it. */
bool cd_dir_write(const char *dir, const char *name, const char *text, char *why, size_t why_len);

/* The 64-byte BIP-39 seed of D/seed. The file is one line "channeld-seed-v1 plain HEX"; the second word names the
 * encryption. The caller wipes `seed`. */
bool cd_seed_read(const char *dir, uint8_t seed[64], char *why, size_t why_len);
/* Writes it. Refused if there is one: a seed is never overwritten. The directory must be locked (store/lock.h). */
bool cd_seed_write(const char *dir, const uint8_t seed[64], char *why, size_t why_len);

#endif
