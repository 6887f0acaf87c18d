/* adjudicator.h - the rules of the on-chain Adjudicator as a pure C model.
 *
 * Source: proto/protocol.md, section 5. The embedded chain and the simulator run it; a differential test holds it
 * against the Solidity contract. It decides over one channel's slots at a time: the caller loads the slots, calls
 * ch_adj_apply on a copy, and, on CH_OK, stores the new slots, moves the money named in the result and logs the event.
 * On any error nothing has changed (the transaction reverts). Pure, thread-safe, no ownership.
 *
 * Boundaries: a time limit still belongs to those it limits. `validUntil` and the deadline are inclusive: a refutation
 * is taken while now <= deadline, a settlement while now > deadline, so that exactly one of them is possible at any
 * time. An ending pays side 0, side 1, then the bond (to the challenger's payout, or if forfeited to the attached
 * beneficiary, else to the other side's payout),
 * leaves out payments of zero, and leaves all slots zero but the epoch, one higher. At the last epoch it stays: that
 * epoch never holds money, as deposits revert, and an ending must never revert for a limit.
 */
#ifndef CHANNEL_ADJUDICATOR_H
#define CHANNEL_ADJUDICATOR_H

#include "lock.h"
#include "state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of a dispute. */
#define CH_ADJ_CHALLENGER 0x01u /* the challenger's side */
#define CH_ADJ_FORFEIT 0x02u    /* the bond is lost to the challenger (sticky) */
#define CH_ADJ_EXTENDED 0x0cu   /* how often the deadline was extended, 0..2, in bits 2 and 3 */
#define CH_ADJ_REWARDED 0x10u   /* a beneficiary is attached */
#define CH_ADJ_MAX_EXTENSIONS 2
/* A refutation within this many seconds of the deadline (or half of the challenge period, if that is less)
 * extends it by as much. */
#define CH_ADJ_EXTENSION 3600u
#define CH_EPOCH_LAST 0xffffu
#define CH_SEQ_LAST 0x7fffu /* withdraw_seq never gets beyond it: no more withdrawals in this epoch */

/* One channel's storage: slot 0, and slots 1 to 3 during a dispute. All zero is a channel never funded. */
typedef struct ch_adj_slots {
  ch_net contribution[2]; /* confirmed deposits minus withdrawals of each side */
  uint16_t withdraw_seq;  /* 15 bits */
  uint16_t epoch;
  bool disputed;
  /* the rest is zero unless disputed */
  uint64_t version;
  uint64_t challenged_version;
  uint64_t deadline; /* chain seconds, 40 bits */
  uint8_t flags;
  ch_hash outcome_hash;
  ch_addr beneficiary; /* of a forfeited bond, attached by REFUTE_FOR */
} ch_adj_slots;

typedef enum ch_tx_kind {
  CH_TX_DEPOSIT = 1,
  CH_TX_CLOSE = 2,
  CH_TX_CHALLENGE = 3,
  CH_TX_REFUTE = 4,
  CH_TX_SETTLE = 5,
  CH_TX_WITHDRAW = 6,
  CH_TX_FUND = 7,       /* a deposit for both sides at once */
  CH_TX_MOVE = 8,       /* into another channel */
  CH_TX_REFUTE_FOR = 9, /* a refutation that names who gets a forfeited bond */
  CH_TX_REVEAL = 10,    /* of a hash lock's preimage; belongs to no channel */
  CH_TX_CLAIM = 11,     /* of a payout whose transfer had failed; belongs to no channel */
  /* Several calls of one kind in one transaction. No ch_tx has such a kind: its items are applied one after the other,
   * and one that reverts is skipped. */
  CH_TX_CLOSE_BATCH = 12,
  CH_TX_SETTLE_BATCH = 13,
  CH_TX_REVEAL_BATCH = 14,
} ch_tx_kind;

/* A call of the Adjudicator. `params` with its tag is needed by all but DEPOSIT, FUND, REVEAL and CLAIM; CHALLENGE
 * carries the salt, and the tag is derived from it. */
typedef struct ch_tx {
  ch_tx_kind kind;
  ch_hash id;
  ch_params params;
  union {
    struct {
      ch_hash params_hash;
      ch_addr asset;
      uint8_t side;
      uint16_t epoch;
      ch_amount amount;
    } deposit;
    struct {
      ch_hash params_hash;
      ch_addr asset;
      uint16_t epoch;
      ch_amount amount[2]; /* both above zero */
    } fund;
    struct {
      ch_close close; /* close.id is not looked at: tx->id stands in its place */
      ch_sig sig[2];  /* side i's is ignored if the sender is payout[i]: sending is consent */
    } close;
    struct {
      ch_challenge challenge; /* as with close, tx->id stands in the place of challenge.id */
      ch_hash salt;
      ch_sig sig[2]; /* of the state; ignored for version 0 */
      ch_sig
          challenge_sig; /* of signer[side]; ignored, as is validUntil, if the sender is signer[side] or payout[side] */
    } challenge;
    struct {
      uint16_t epoch;
      uint64_t version;
      ch_hash outcome_hash;
      ch_sig sig[2];
    } refute;
    struct {
      uint16_t epoch;
      ch_outcome outcome;   /* ignored for version 0; outcome.locks_hash always, as it follows from `locks` */
      const uint8_t *locks; /* the encoded locks (lock.h), borrowed; in an effect they are the effects' */
      size_t locks_len;
    } settle;
    struct {
      ch_withdraw withdraw; /* as with close, tx->id stands in the place of withdraw.id */
      ch_sig sig[2];        /* as with close: sending is consent */
    } withdraw;
    struct {
      ch_move move;           /* as with close, tx->id stands in the place of move.id */
      ch_sig sig[2];          /* as with close: sending is consent */
      ch_hash to_params_hash; /* move.to_id is not looked at, as it follows from this and the asset */
    } move;
    struct {
      uint16_t epoch;
      uint64_t version;
      ch_hash outcome_hash;
      ch_sig sig[2];
      ch_addr beneficiary;
      ch_sig bounty_sig; /* on Bounty { id, epoch, beneficiary }, by the side that is not the challenger */
    } refute_for;
    struct {
      ch_hash preimage; /* tx->id, like params, is not looked at */
    } reveal;
    struct {
      ch_addr payee, asset;
      ch_addr to; /* any address if the payee sends it; only the payee's own if another does */
    } claim;      /* tx->id, like params, is not looked at */
  } u;
} ch_tx;

/* What the rules look at around the call. The functions may be NULL: nothing was revealed, no condition pays. */
typedef struct ch_adj_call {
  const ch_chain *chain;
  ch_addr sender;
  ch_amount value;            /* native coin sent along */
  uint64_t now;               /* the block's time, seconds */
  const ch_adj_slots *target; /* MOVE: the storage of channel to_id */
  ch_amount credit;           /* CLAIM: what the payee has been credited with in the asset */
  void *ctx;                  /* for the functions */
  /* When the preimage of this sha256 was revealed first, chain seconds; 0: not yet. */
  uint64_t (*revealed)(void *ctx, const ch_hash *hash);
  /* What a contract says is owed of a lock past its expiry; 0 where it fails. More than the amount counts as all of it.
   */
  ch_amount (*owed)(void *ctx, const ch_lock *lock);
} ch_adj_call;

/* A call that needs no more than these. */
static inline ch_adj_call ch_adj_call_of(const ch_chain *chain, const ch_addr *sender, ch_amount value, uint64_t now) {
  ch_adj_call call;
  memset(&call, 0, sizeof call);
  call.chain = chain;
  call.sender = *sender;
  call.value = value;
  call.now = now;
  return call;
}

typedef enum ch_adj_event_kind {
  CH_ADJ_DEPOSITED = 1,
  CH_ADJ_CLOSED = 2, /* cooperative close */
  CH_ADJ_CHALLENGED = 3,
  CH_ADJ_REFUTED = 4,
  CH_ADJ_SETTLED = 5,
  CH_ADJ_WITHDRAWN = 6, /* the channel goes on */
  CH_ADJ_FUNDED = 7,    /* both sides at once */
  CH_ADJ_MOVED = 8,     /* out of this channel; a DEPOSITED of the other one follows */
  CH_ADJ_REVEALED = 9,  /* `id` is the hash, to be stored with the time of the block; `salt` is the preimage */
  CH_ADJ_CLAIMED = 10,
  /* Logged by whoever moves the money and takes batches apart (the contract, the embedded chain), not by ch_adj_apply:
   */
  CH_ADJ_CREDITED = 11, /* the transfer to payee[0] failed */
  CH_ADJ_SKIPPED = 12,  /* an item of a batch would have reverted */
} ch_adj_event_kind;

/* The event's contents, as the contract logs them. Fields that do not belong to a kind are zero. */
typedef struct ch_adj_event {
  ch_adj_event_kind kind;
  ch_hash id;
  uint16_t epoch;    /* the epoch the event belongs to (before it is raised by an ending) */
  uint8_t side;      /* depositor's, withdrawer's, mover's or challenger's side */
  ch_amount amount;  /* DEPOSITED, WITHDRAWN, MOVED, CLAIMED, CREDITED */
  uint64_t version;  /* CHALLENGED, REFUTED, SETTLED; SKIPPED: the item's place, from 0 */
  uint64_t deadline; /* CHALLENGED, REFUTED; CLOSED, SETTLED: of the dispute that it ended, 0 if there was none */
  ch_hash salt;      /* CHALLENGED; REVEALED: the preimage */
  ch_net net;        /* CLOSED, SETTLED: what was executed */
  ch_amount paid[2]; /* CLOSED, SETTLED: to each side; FUNDED: for each side */
  bool forfeited;    /* CLOSED, SETTLED: the challenger lost the bond; REFUTED: it would lose it now */
  ch_hash to_id;     /* MOVED */
  uint8_t to_side;   /* MOVED */
  uint8_t reason;    /* SKIPPED: a ch_adj_revert */
  ch_addr asset;     /* CLAIMED, CREDITED */
  ch_addr payee[2]; /* CLAIMED: whose credit it was, where it went; CREDITED: whose it is; REFUTED: the beneficiary that
                       was attached with it, or zero */
} ch_adj_event;

/* A payment out of the Adjudicator. A failed one is credited to `to` for `claim`; a failed one of CLAIM itself makes
 * the call revert. */
typedef struct ch_adj_transfer {
  ch_addr to;
  ch_addr asset;
  ch_amount amount;
} ch_adj_transfer;

typedef struct ch_adj_result {
  ch_adj_slots slots;  /* of tx->id; nothing to store for REVEAL and CLAIM */
  ch_adj_slots target; /* MOVE */
  ch_adj_event event;
  ch_adj_event target_event; /* MOVE: the deposit */
  ch_amount take;            /* to be pulled from the sender in `take_asset` (native: it is the call's value) */
  ch_addr take_asset;
  ch_adj_transfer transfers[3];
  size_t n_transfers;
} ch_adj_result;

/* Why a call reverts: X(SYMBOL, "sentence"). */
#define CH_ADJ_REVERTS(X)                                                                                              \
  X(NONE, "accepted")                                                                                                  \
  X(BAD_PARAMS, "the parameters do not hash to this channel's id")                                                     \
  X(WRONG_EPOCH, "the channel is in another epoch")                                                                    \
  X(LAST_EPOCH, "the channel has reached its last epoch")                                                              \
  X(DISPUTE_OPEN, "a dispute is open")                                                                                 \
  X(NO_DISPUTE, "no dispute is open")                                                                                  \
  X(WRONG_VALUE, "the coin sent along is not what this call needs")                                                    \
  X(ZERO_AMOUNT, "the amount is zero")                                                                                 \
  X(OVERFLOW, "the amount exceeds what a channel can hold")                                                            \
  X(BAD_SIGNATURE, "a signature is missing or wrong")                                                                  \
  X(EXPIRED, "validUntil has passed")                                                                                  \
  X(NOT_PARTICIPANT, "the sender is no participant and has nothing signed by one")                                     \
  X(NOT_NEWER, "the version is not newer than the standing one")                                                       \
  X(TOO_EARLY, "the challenge window is still open")                                                                   \
  X(TOO_LATE, "the challenge window is over")                                                                          \
  X(WRONG_OUTCOME, "the outcome does not hash to the standing one")                                                    \
  X(BAD_SIDE, "the side is neither 0 nor 1")                                                                           \
  X(WRONG_SEQ, "the withdrawal's number is not the channel's next one")                                                \
  X(LAST_SEQ, "the channel has used up its withdrawals of this epoch")                                                 \
  X(TOO_MUCH, "the amount is more than the channel holds")                                                             \
  X(LOCK_PENDING, "a pending transfer is neither decided nor expired")                                                 \
  X(BAD_LOCKS, "the pending transfers are malformed")                                                                  \
  X(SAME_CHANNEL, "money moves into another channel only")                                                             \
  X(ALREADY_REVEALED, "the preimage is public already")

typedef enum ch_adj_revert {
#define CH_ADJ_ENUM(sym, text) CH_ADJ_##sym,
  CH_ADJ_REVERTS(CH_ADJ_ENUM)
#undef CH_ADJ_ENUM
} ch_adj_revert;
CH_API const char *ch_adj_revert_text(ch_adj_revert r);

/* Applies `tx` to `slots`. Returns CH_ADJ_NONE and fills *out, or the reason of the revert with *out unspecified.
 * Args: In:  slots  the channel's storage before (all zero for an unknown id)
 *            call   sender, value, block time, chain
 *            tx     the decoded call; tx->id is checked against its parameters
 *       Out: out    new slots, events, money to take and to pay */
CH_API ch_adj_revert ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call,
                                  const ch_tx *tx) CH_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
