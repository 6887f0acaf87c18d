/* db.h - the embedded chain's file: its tables, and the state with its undo journal. */
#ifndef CHANNELD_L1_DEV_DB_H
#define CHANNELD_L1_DEV_DB_H

#include "l1/sql.h"

#define CD_DEV_VALUE_MAX 256 /* bytes of a value in the state */
#define CD_DEV_KEY_MAX 48

/* Opens or creates the file and its tables. `made` says that it was empty: the caller then writes the genesis in the
 * transaction that is still open, and ends it; otherwise no transaction is open. On failure `why` is a sentence. */
ch_err cd_dev_db_open(cd_sql_db *db, const char *path, bool *made, char *why, size_t why_len) CH_MUST_CHECK;

/* --- The state: keys to values, with an undo journal ----------------------------------------------------------- */

/* The value of a key at the head. Returns its length, 0 if there is none. `out` has CD_DEV_VALUE_MAX bytes. */
size_t cd_dev_state_get(cd_sql_db *db, const uint8_t *key, size_t key_len, uint8_t *out);
/* The value after block `height`, which must not be older than the journal. */
size_t cd_dev_state_get_at(cd_sql_db *db, uint64_t height, const uint8_t *key, size_t key_len, uint8_t *out);
/* Sets a key in block `height`, which is the head or about to become it. No bytes: removes it. */
void cd_dev_state_put(cd_sql_db *db, uint64_t height, const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t len);
/* Takes back what all blocks above `height` have set. */
void cd_dev_state_undo(cd_sql_db *db, uint64_t height);
/* Forgets how to take back the blocks up to `height`. */
void cd_dev_state_forget(cd_sql_db *db, uint64_t height);

#endif
