/* error.h - every way a libchannel call can fail: a stable code and a sentence that says what to do.
 *
 * Functions return ch_err; CH_OK is 0. The numeric values and the short names are stable across
 * releases: they are only ever added to. An error never changes any of the caller's objects.
 */
#ifndef CHANNEL_ERROR_H
#define CHANNEL_ERROR_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(number, SYMBOL, "stable_name", "what happened and what to do") */
#define CH_ERRORS(X)                                                                                                   \
  X(0, OK, "ok", "Done.")                                                                                              \
  X(1, ARGUMENT, "bad_argument", "An argument is missing or outside its range; see the call's documentation.")         \
  X(2, NO_MEMORY, "out_of_memory", "The machine is out of memory; free some and try again.")                           \
  X(3, AMOUNT, "bad_amount", "The amount is not a whole decimal number of base units within range; check it.")         \
  X(4, OVERFLOW, "amount_overflow", "The sum exceeds what a channel can hold; use smaller amounts.")                   \
  X(5, FORMAT, "bad_format", "The data is not in the documented format; it was refused and nothing changed.")          \
  X(6, KEY, "bad_key", "The key is not a valid secp256k1 key; check where it came from.")                              \
  X(7, SIGNATURE, "bad_signature", "The signature does not verify for this signer and content; it was refused.")       \
  X(8, WORDS, "bad_words", "The recovery words are wrong (unknown word, number of words, or checksum); check them.")   \
  X(9, DOUBLE_SIGN, "double_sign",                                                                                     \
    "The signer refused a second content for a version it had signed; restore the "                                    \
    "newest data and do not run two copies.")                                                                          \
  X(10, SIGNER, "signer_failed", "The signer did not sign; check the signer and try again, nothing was lost.")         \
  X(11, PHASE, "wrong_phase",                                                                                          \
    "The channel is not in a phase that allows this; `channel show` says what it waits "                               \
    "for.")                                                                                                            \
  X(12, FROZEN, "channel_frozen",                                                                                      \
    "The channel is frozen because memory may have been lost; `channel show` says what "                               \
    "to do.")                                                                                                          \
  X(13, STALE, "chain_stale", "The chain has not advanced recently, so nothing may be signed; check the L1 node.")     \
  X(14, FUNDS, "insufficient_funds", "The spendable balance of this channel is too small; pay less or top up.")        \
  X(15, QUEUE_FULL, "queue_full", "Too many operations wait in this channel; try again when some have settled.")       \
  X(16, VIOLATION, "protocol_violation", "The peer broke the protocol; its message was refused and nothing changed.")  \
  X(17, TERMS, "terms_refused", "The terms of the channel are outside the limits; adjust them and try again.")         \
  X(18, UNKNOWN_CHANNEL, "unknown_channel", "There is no such channel here; check the id.")                            \
  X(19, DUPLICATE, "duplicate", "This was already done; nothing was done again.")                                      \
  X(20, REVERTED, "reverted", "The Adjudicator's rules refuse this transaction in the chain's present state.")         \
  X(21, VERSION, "unknown_version", "The data was written by a newer release; upgrade before opening it.")             \
  X(22, NOT_CONNECTED, "not_connected", "The peer is not connected; connect to it and try again.")                     \
  X(23, BUG, "internal_bug", "An internal rule was broken, which is our bug; please report it with the log.")          \
  X(24, PENDING, "pending",                                                                                            \
    "The signer has not answered yet and nothing has changed; repeat the same call when "                              \
    "it has.")                                                                                                         \
  X(25, REVEALED, "salt_revealed",                                                                                     \
    "A dispute has made this channel's salt public, so it is not funded again; open a new channel.")                   \
  X(26, LOCK_LIMIT, "lock_limit",                                                                                      \
    "The channel's limits for pending transfers do not allow this one; wait until some are resolved or use another "   \
    "amount.")                                                                                                         \
  X(27, EXPIRY, "bad_expiry",                                                                                          \
    "The expiry is too near to be safe or farther away than the channel allows, or has not passed yet; choose "        \
    "another time.")                                                                                                   \
  X(28, HASH_USED, "hash_used", "This hash is or was used in the channel already; take a fresh preimage.")             \
  X(29, UNKNOWN_LOCK, "unknown_lock", "No such transfer is pending in this channel; look at the list of locks.")       \
  X(30, CANCELLED, "cancelled", "The payee gave the payment back.")                                                    \
  X(31, EXPIRED, "expired", "The time to claim the payment has passed.")                                               \
  X(32, SHARED, "sum_only",                                                                                            \
    "Contracts decided several payments at once, and the chain shows only their sum: the first ones are shown as "     \
    "paid; ask the contracts what each was owed.")

typedef enum ch_err {
#define CH_ERR_ENUM(n, sym, name, text) CH_ERR_##sym = n,
  CH_ERRORS(CH_ERR_ENUM)
#undef CH_ERR_ENUM
} ch_err;
#define CH_OK CH_ERR_OK

/* The stable short name ("insufficient_funds"), for programs. Never NULL. */
CH_API const char *ch_err_name(ch_err e);

/* The sentence for people: what happened and what to do. Never NULL. */
CH_API const char *ch_err_text(ch_err e);

#ifdef __cplusplus
}
#endif
#endif
