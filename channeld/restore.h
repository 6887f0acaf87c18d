/* restore.h - the channels of a static backup into a data directory that has none. */
#ifndef CHANNELD_RESTORE_H
#define CHANNELD_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes D/channeld.db with a frozen channel for each of the backup's, its peers, and D/channels.backup. Refused where
 * there is a database: it knows more than any backup. The directory must be locked. False with a sentence in `why`. */
bool cd_restore(const char *dir, const uint8_t *seed, const char *file, size_t *n, char *why, size_t why_len);

#endif
