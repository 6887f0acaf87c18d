/* scandb.h - how far the chain has been read, and what was found there: an SQLite file of the adapter's own.
 *
 * Every block is stored with what it caused in one transaction, so that after a crash reading goes on with the next
 * one. All of it can be read again from the chain: when the file is lost, only time is. The blocks reach back from the
 * head to the last final one and some further. Any thread; calls take turns. Functions that return ch_err return
 * CH_ERR_BUG if the file cannot be read or written.
 */
#ifndef CHANNELD_L1_EVM_SCANDB_H
#define CHANNELD_L1_EVM_SCANDB_H

#include "channel/state.h"
#include "l1/evm/block.h"
#include "l1/evm/decode.h"

#define CD_SCAN_KEPT 1024 /* blocks below the final one by which a reorganisation still finds its ancestor */

typedef struct cd_scandb cd_scandb;

/* The part of a block that is kept. */
typedef struct cd_scan_block {
  uint64_t number, time;
  ch_hash hash;
} cd_scan_block;

/* An ending where it was found; (block, place) is its key: it counts once. */
typedef struct cd_scan_ending {
  ch_hash id;
  uint64_t block, place;
  ch_hash tx;
  cd_evm_ending ending;
} cd_scan_ending;

/* Opens the file, or makes it. It belongs to one Adjudicator on one chain: CH_ERR_ARGUMENT with a sentence if it is for
 * another one, or cannot be opened. */
ch_err cd_scandb_open(cd_scandb **out, const char *path, const ch_chain *chain, char why[CD_RPC_TEXT]) CH_MUST_CHECK;
void cd_scandb_close(cd_scandb *s); /* NULL is fine */

/* Starts (again) at a block that counts as final: all that is known above it is forgotten. */
ch_err cd_scandb_restart(cd_scandb *s, const cd_scan_block *at) CH_MUST_CHECK;
/* The next block, whose parent is the last one, and what ended in it. */
ch_err cd_scandb_add(cd_scandb *s, const cd_scan_block *block, const cd_scan_ending *endings, size_t n) CH_MUST_CHECK;
/* Takes back all blocks above `number`, which stays the last one, and what they caused. */
ch_err cd_scandb_undo(cd_scandb *s, uint64_t number) CH_MUST_CHECK;
/* Blocks up to this one count as final from now on; forgets old ones. */
ch_err cd_scandb_finalize(cd_scandb *s, uint64_t number) CH_MUST_CHECK;

/* *found is false if there is no such block, or none at all. */
ch_err cd_scandb_last(cd_scandb *s, cd_scan_block *out, bool *found) CH_MUST_CHECK;
ch_err cd_scandb_at(cd_scandb *s, uint64_t number, cd_scan_block *out, bool *found) CH_MUST_CHECK;
/* The last final block's number. */
ch_err cd_scandb_final(cd_scandb *s, uint64_t *number, bool *found) CH_MUST_CHECK;

/* How this epoch of the channel ended, as of block `upto`. */
ch_err cd_scandb_ending(cd_scandb *s, const ch_hash *id, uint16_t epoch, uint64_t upto, cd_evm_ending *out,
                        bool *found) CH_MUST_CHECK;
/* One that was found by a search. */
ch_err cd_scandb_add_ending(cd_scandb *s, const cd_scan_ending *e) CH_MUST_CHECK;

#endif
