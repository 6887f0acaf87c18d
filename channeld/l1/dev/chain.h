/* chain.h - the embedded chain: one SQLite file, shared by local processes, in which a chain lives.
 *
 * Real where it matters to a user of a chain: accounts and nonces, transactions decoded from signed bytes, blocks with
 * hashes and times, events, the Adjudicator (libchannel's model of it) holding coin and tokens, and reorganisations.
 * Not a consensus: whoever has the file is the miner. There is no chain process:
 *   - a transaction that is submitted is mined at once, in a block of its own;
 *   - whoever polls adds an empty block when `interval` seconds have passed since the head: one, however long nobody
 * was there, and with the right time;
 *   - no fees, so that balances add up to the last unit.
 * Time: the chain's clock is the wall clock plus an offset that is kept in the file and only grows: by warps, and where
 * blocks come faster than seconds, for their times strictly increase and are never ahead of the clock.
 *
 * A cd_dev may be used by any number of threads; calls take turns. Functions return CH_ERR_BUG if the file cannot be
 * read or written.
 */
#ifndef CHANNELD_L1_DEV_CHAIN_H
#define CHANNELD_L1_DEV_CHAIN_H

#include "ports.h"
#include "tx.h"

#define CD_DEV_REORG_MAX 1000 /* how deep a reorganisation may go, and how far back the past is known */
#define CD_DEV_INTERVAL 1     /* the usual one, seconds */
#define CD_DEV_WHY 200        /* bytes of a sentence with its NUL */

typedef struct cd_dev cd_dev;

typedef struct cd_dev_options {
  /* Only for a file that is not there yet: */
  uint32_t interval; /* seconds between empty blocks; 0: only by request */
  uint64_t chain_id; /* 0: random, 32 bits, so that files cannot be confused */
  /* The wall clock in seconds; NULL: the system's. */
  uint64_t (*wall)(void *ctx);
  void *wall_ctx;
} cd_dev_options;

typedef struct cd_dev_block {
  uint64_t number, time;
  ch_hash hash, parent;
} cd_dev_block;

/* The faucet's key, for whoever wants to sign mints himself: keccak256("channel dev faucet"). */
void cd_dev_faucet_key(ch_secret *out);

/* The address of the one contract that can be a lock's condition: it says that as much is owed as its payload, one EVM
 * word, names. Conditions at any other address owe nothing. */
void cd_dev_condition(ch_addr *out);

/* Opens the chain, making it if the file is not there. `opt` may be NULL: the usual interval. On failure `why`
 * (CD_DEV_WHY bytes) is a sentence: CH_ERR_ARGUMENT, CH_ERR_FORMAT, CH_ERR_VERSION, CH_ERR_NO_MEMORY. Close with
 * cd_dev_close; not across fork(): a child opens its own. */
ch_err cd_dev_open(cd_dev **out, const char *path, const cd_dev_options *opt, char why[CD_DEV_WHY]) CH_MUST_CHECK;
void cd_dev_close(cd_dev *dev); /* NULL is allowed */

/* Chain id and the Adjudicator's address. */
ch_chain cd_dev_identity(const cd_dev *dev);

/* The chain's clock; `head`, if not NULL, receives the head that belongs to it. */
ch_err cd_dev_clock(cd_dev *dev, uint64_t *now, cd_dev_block *head) CH_MUST_CHECK;
/* Adds an empty block if one is due. */
ch_err cd_dev_poll(cd_dev *dev) CH_MUST_CHECK;

/* --- Accounts and transactions --- */

ch_err cd_dev_balance(cd_dev *dev, const ch_addr *who, const ch_addr *asset, ch_amount *out) CH_MUST_CHECK;
/* The number of the account's transactions so far. */
ch_err cd_dev_nonce(cd_dev *dev, const ch_addr *who, uint64_t *out) CH_MUST_CHECK;
/* Submits signed bytes. `why` (CD_DEV_WHY bytes) says why not:
 *   CD_SENT_REFUSED    malformed, too long, forged, for another chain, or unaffordable
 *   CD_SENT_NONCE_LOW  used; CD_SENT_RETRY: an earlier transaction is missing, or the file cannot be used now
 * A call that the Adjudicator reverts is accepted, and mined as reverted: it uses its nonce and moves nothing. */
cd_sent cd_dev_submit(cd_dev *dev, const uint8_t *bytes, size_t len, char why[CD_DEV_WHY]) CH_MUST_CHECK;
/* CD_RECEIPT_NONE if the chain does not contain it (any more); final if `confirmations` blocks lie on top of it. With a
 * `channel` other than zero: whether that channel's call, of those of a batch, was executed. */
ch_err cd_dev_receipt(cd_dev *dev, const ch_hash *hash, const ch_hash *channel, uint32_t confirmations,
                      cd_receipt *out) CH_MUST_CHECK;

/* --- What an observer sees --- */

/* CH_ERR_ARGUMENT if there is no such block. */
ch_err cd_dev_block_at(cd_dev *dev, uint64_t number, cd_dev_block *out) CH_MUST_CHECK;
/* A channel's storage and last ending as of block `height`, at most CD_DEV_REORG_MAX below the head. */
ch_err cd_dev_onchain(cd_dev *dev, const ch_hash *id, uint64_t height, ch_onchain *out) CH_MUST_CHECK;
/* When and with which preimage a sha256 hash was revealed, as of block `height`; *time is 0 if it was not. */
ch_err cd_dev_revealed_at(cd_dev *dev, const ch_hash *hash, uint64_t height, uint64_t *time,
                          ch_hash *preimage) CH_MUST_CHECK;
/* The Adjudicator's events from block `from` on, in order. `each` returns false to stop and must not call the chain. */
ch_err cd_dev_events(cd_dev *dev, uint64_t from, bool (*each)(void *arg, uint64_t block, const ch_adj_event *event),
                     void *arg) CH_MUST_CHECK;

/* A consistent look: nothing changes between its parts. */
typedef struct cd_dev_look {
  uint64_t clock_offset;    /* chain time is the wall clock plus this */
  cd_dev_block head, final; /* `confirmations` blocks lie on top of the final one, which is block 0 at first */
} cd_dev_look;
/* Looks at the chain, and calls `each` with the view of every channel in `ids`, and of every channel that may have
 * changed after the look `since` (NULL: of no others). If the chain was reorganised since then, *reorganised is set and
 * no view given: look again at all channels, with `since` NULL. `each` must not call the chain. */
ch_err cd_dev_look_at(cd_dev *dev, uint32_t confirmations, const cd_dev_look *since, const ch_hash *ids, size_t n_ids,
                      cd_dev_look *out, bool *reorganised,
                      void (*each)(void *arg, const ch_hash *id, const ch_chain_view *view), void *arg) CH_MUST_CHECK;

/* --- Powers of a chain made for trying things --- */

/* Gives coin (asset zero) or tokens; any address is a token. A mint is a transaction like any other, signed with the
 * faucet's key, which is public. CH_ERR_OVERFLOW beyond what a token's supply can be (CH_MONEY_MAX). */
ch_err cd_dev_faucet(cd_dev *dev, const ch_addr *to, const ch_addr *asset, ch_amount amount) CH_MUST_CHECK;
/* Mines `n` empty blocks, 1 to 10000. */
ch_err cd_dev_mine(cd_dev *dev, unsigned n) CH_MUST_CHECK;
/* Lets the clock jump ahead, at most ten years, and mines a block. */
ch_err cd_dev_warp(cd_dev *dev, uint64_t seconds) CH_MUST_CHECK;
/* Replaces the last `depth` blocks by depth + 1 others. Their transactions are in the first of these, in the same
 * order, as far as they are still possible; or in none if `drop` is set. CH_ERR_ARGUMENT if depth is 0, above
 * CD_DEV_REORG_MAX, or would replace block 0. */
ch_err cd_dev_reorg(cd_dev *dev, unsigned depth, bool drop) CH_MUST_CHECK;

#endif
