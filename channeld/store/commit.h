/* commit.h - the commit thread: takes what is ready, makes it durable in one transaction, tells each unit. */
#ifndef CHANNELD_STORE_COMMIT_H
#define CHANNELD_STORE_COMMIT_H

#include <pthread.h>

#include "sqlite.h"
#include "write.h"

#define CD_COMMIT_MAX_GROUP 256

typedef struct cd_committer cd_committer;

/* Takes `db`, on success and on failure. */
ch_err cd_committer_start(cd_committer **out, sqlite3 *db, const cd_store_config *cfg, char *why, size_t why_len);
/* Waits for all that was given, joins the thread, closes the database. */
void cd_committer_stop(cd_committer *c);

void cd_committer_give(cd_committer *c, cd_unit *unit);
void cd_committer_at_work(cd_committer *c, bool yes);
void cd_committer_reset(cd_committer *c, unsigned n);
void cd_committer_flush(cd_committer *c);
/* A unit of its own for one row; returns when it is durable or failed. */
ch_err cd_committer_put_tx(cd_committer *c, const cd_tx_row *row);
ch_err cd_committer_put_peer(cd_committer *c, const ch_pubkey *node, const char *address);
void cd_committer_stats(cd_committer *c, cd_store_stats *out);

#endif
