/* channel.h - the engine: one channel of one party as a pure state machine.
 *
 *     step(channel, environment, event, signer) -> (next channel, effects)
 *
 * Source: proto/protocol.md, section 4. The channel passed in is const: on an error nothing has changed. On CH_OK the
 * caller performs the effects in order, with one barrier: the next channel (ch_channel_encode) and every PAYMENT and
 * HISTORY effect are durable, in one transaction, before any SEND or TX effect leaves the process and before
 * anything is reported. If that transaction fails, the caller drops `next` and the effects and goes on with what is on
 * disk. Every effect is idempotent.
 *
 * Threads: the library has no threads, locks, clocks, I/O or globals; every function may be called from any thread.
 * A ch_channel never changes once it is made: several threads may look at one and step from it, as long as none frees
 * it. Only one of the steps taken from a channel may be performed, so a channel has one owner, usually a thread; its
 * signer and its effects are that owner's. Different channels are independent.
 *
 * Memory comes from malloc and is given back to free: bytes that a call hands out are the caller's to free(); the rest
 * has a function of its own (ch_channel_free, ch_effects_clear, ch_msg_clear). Without memory a call returns
 * CH_ERR_NO_MEMORY and nothing has changed. There is no allocator hook: it would be either a global or one more
 * argument of every call, and a program that wants another allocator replaces malloc when it is linked. Secrets are
 * wiped before they are freed; a keyring's keys lie in locked memory.
 */
#ifndef CHANNEL_CHANNEL_H
#define CHANNEL_CHANNEL_H

#include "adjudicator.h"
#include "message.h"
#include "signer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CH_MAX_QUEUE 4096 /* payments that wait in one channel; what a proposal gives back does not count */

typedef struct ch_channel ch_channel;

/* --- Phases ------------------------------------------------------------------------------------- */

/* X(SYMBOL, "name"). A phase is derived from facts; the table of legal transitions is in src/phase.c. */
#define CH_PHASES(X)                                                                                                   \
  X(OPENING, "opening")     /* side 1 has answered, the opener's confirmation is missing */                            \
  X(FUNDING, "funding")     /* agreed; deposits are not confirmed yet */                                               \
  X(OPEN, "open")           /* payments */                                                                             \
  X(SHUTDOWN, "shutdown")   /* shutdown is co-signed: no new payments */                                               \
  X(CLOSING, "closing")     /* my signature on Close is out */                                                         \
  X(DISPUTED, "disputed")   /* a challenge is signed by me, or seen on chain */                                        \
  X(ENDING, "ending")       /* the ending is on chain, not final yet */                                                \
  X(CLOSED, "closed")       /* the ending is final; money in the next epoch opens it again */                          \
  X(ABANDONED, "abandoned") /* never agreed, expired */

typedef enum ch_phase {
#define CH_PHASE_ENUM(sym, name) CH_PHASE_##sym,
  CH_PHASES(CH_PHASE_ENUM)
#undef CH_PHASE_ENUM
} ch_phase;
CH_API const char *ch_phase_name(ch_phase p);

/* --- The environment ---------------------------------------------------------------------------- */

/* What the world looks like at the moment of a step; the same for all channels. Times are chain seconds. Its blocks are
 * never ahead of the channel's view: when a block changes the view, CH_EV_CHAIN is the first event with that block (a
 * deadline that a final block has passed is judged together with what the chain shows at that block). */
typedef struct ch_env {
  uint64_t now;         /* the caller's clock, in chain time */
  uint64_t head_number; /* the last block processed */
  uint64_t head_time;
  uint64_t final_number; /* the last block deep enough to count */
  uint64_t final_time;
  uint32_t freshness; /* F: nothing is signed when now - head_time is above it (section 4) */
  uint32_t margin;    /* R + I: until a transaction sent now is mined and deep enough to stay (section 6) */
  ch_hash instance;   /* random per process start */
} ch_env;

/* One look at a channel's storage, and its last ending, if any. */
typedef struct ch_onchain {
  ch_adj_slots slots;
  bool has_ended;
  ch_adj_event ended; /* the CLOSED or SETTLED event of epoch slots.epoch - 1 */
} ch_onchain;

/* The chain as far as this channel is concerned: a state, not a delta, so a reorganisation is just another view. */
typedef struct ch_chain_view {
  ch_onchain head;
  ch_onchain final;
} ch_chain_view;

/* What the chain shows of the preimage of one hash: a state, not a delta. */
typedef struct ch_reveal {
  ch_hash hash;        /* sha256 of the preimage */
  ch_hash preimage;    /* if revealed in one of the views */
  uint64_t head_time;  /* of the block that revealed it, as the head shows it; 0: not revealed */
  uint64_t final_time; /* the same at the final depth */
} ch_reveal;

/* --- Events ------------------------------------------------------------------------------------- */

typedef enum ch_event_kind {
  CH_EV_LINK_UP = 1, /* an authenticated connection to the peer is there (a new one supersedes the old) */
  CH_EV_LINK_DOWN,
  CH_EV_MESSAGE,   /* msg: a decoded message for this channel from its peer */
  CH_EV_PAY,       /* ops: new PAY and LOCK_ADD operations, accepted all or none */
  CH_EV_CLOSE,     /* leave together: shutdown, then Close */
  CH_EV_CHALLENGE, /* leave alone: open the challenge window with L */
  CH_EV_CHAIN,     /* view: the chain's view of this channel changed */
  CH_EV_TICK,      /* time has passed, or a block arrived: look at deadlines */
  CH_EV_WITHDRAW,  /* take money out while the channel goes on; one withdrawal or move at a time, of either side */
  CH_EV_DEPOSIT,   /* put more money in; needs nothing from the peer. On a CLOSED channel it opens the next epoch */
  CH_EV_FREEZE,    /* the caller knows or suspects that memory was lost (restored copy, clone) */
  CH_EV_RESUME, /* the operator's word that a frozen channel goes on: no other copy runs, all was shown that there is.
                   What waited when it froze is then neither settled nor failed: CH_PAYMENT_UNKNOWN */
  CH_EV_FULFIL, /* resolve: claim a hash lock as its payee, with the preimage; or pay a contract's as its payer */
  CH_EV_CANCEL, /* resolve: give a lock back as its payee */
  CH_EV_REVEAL, /* reveal: what the chain shows of a hash; once for each pending hash lock, and when it changes.
                   Like CH_EV_CHAIN it comes before a later block is shown */
} ch_event_kind;

typedef struct ch_event {
  ch_event_kind kind;
  union {
    const ch_msg *msg;
    struct {
      const ch_op *ops;
      size_t n;
    } pay;
    struct {
      bool risk_bond; /* the operator's word that a frozen channel may challenge, though its bond may be lost */
    } challenge;
    struct {
      ch_amount amount; /* of my balance, above zero; it goes to my payout address */
      ch_target to;     /* set: it goes into this channel instead */
    } withdraw;
    struct {
      ch_amount amount; /* above zero */
      ch_hash nonce;    /* fresh random: names this wish, so that asking again with it deposits once */
    } deposit;
    const ch_chain_view *view;
    struct {
      ch_hash lock;     /* ch_lock_info.lock_id */
      ch_hash preimage; /* FULFIL of a hash lock */
    } resolve;
    const ch_reveal *reveal;
  } u;
} ch_event;

/* Events by value; what they point to stays the caller's and is needed during the step only. */
static inline ch_event ch_event_of(ch_event_kind kind) {
  ch_event ev;
  memset(&ev, 0, sizeof ev);
  ev.kind = kind;
  return ev;
}
static inline ch_event ch_event_message(const ch_msg *msg) {
  ch_event ev = ch_event_of(CH_EV_MESSAGE);
  ev.u.msg = msg;
  return ev;
}
static inline ch_event ch_event_pay(const ch_op *ops, size_t n) {
  ch_event ev = ch_event_of(CH_EV_PAY);
  ev.u.pay.ops = ops;
  ev.u.pay.n = n;
  return ev;
}
static inline ch_event ch_event_withdraw(ch_amount amount) {
  ch_event ev = ch_event_of(CH_EV_WITHDRAW);
  ev.u.withdraw.amount = amount;
  return ev;
}
static inline ch_event ch_event_deposit(ch_amount amount, const ch_hash *nonce) {
  ch_event ev = ch_event_of(CH_EV_DEPOSIT);
  ev.u.deposit.amount = amount;
  ev.u.deposit.nonce = *nonce;
  return ev;
}
static inline ch_event ch_event_chain(const ch_chain_view *view) {
  ch_event ev = ch_event_of(CH_EV_CHAIN);
  ev.u.view = view;
  return ev;
}

static inline ch_event ch_event_fulfil(const ch_hash *lock, const ch_hash *preimage) {
  ch_event ev = ch_event_of(CH_EV_FULFIL);
  ev.u.resolve.lock = *lock;
  ev.u.resolve.preimage = *preimage;
  return ev;
}
static inline ch_event ch_event_cancel(const ch_hash *lock) {
  ch_event ev = ch_event_of(CH_EV_CANCEL);
  ev.u.resolve.lock = *lock;
  return ev;
}
static inline ch_event ch_event_reveal(const ch_reveal *reveal) {
  ch_event ev = ch_event_of(CH_EV_REVEAL);
  ev.u.reveal = reveal;
  return ev;
}

/* --- Effects ------------------------------------------------------------------------------------ */

typedef enum ch_payment_status {
  CH_PAYMENT_PENDING = 1, /* accepted here; durable, will be proposed */
  CH_PAYMENT_SETTLED = 2, /* in the latest co-signed state, or executed on chain */
  CH_PAYMENT_FAILED = 3,  /* can never be enforced */
  CH_PAYMENT_UNKNOWN = 4, /* it was pending when memory was lost: it may have been settled, the receiver knows */
  CH_PAYMENT_LOCKED = 5,  /* of a LOCK_ADD: pending in the latest co-signed state, to be SETTLED or FAILED */
} ch_payment_status;

typedef enum ch_effect_kind {
  CH_FX_SEND = 1,   /* send `bytes` to the peer, if connected; after the barrier */
  CH_FX_TX,         /* have the Adjudicator called; after the barrier; once per key */
  CH_FX_PAYMENT,    /* a payment was made, settled, failed or received: a row, in the barrier */
  CH_FX_HISTORY,    /* something happened to the channel: a row, in the barrier */
  CH_FX_DISCONNECT, /* the peer broke the protocol or must reconnect: close the connection, after the barrier */
} ch_effect_kind;

typedef struct ch_effect {
  ch_effect_kind kind;
  union {
    struct {
      uint8_t *bytes; /* owned by the effects */
      size_t len;
      ch_msg_type type;
    } send;
    struct {
      ch_hash key; /* keccak256(id, epoch, kind, version), or ch_deposit_key: the same wish has the same key */
      ch_tx tx;
      ch_amount value;   /* native coin to send along */
      uint64_t deadline; /* chain seconds: of no use if it is mined later; 0: none */
      uint8_t *owned;    /* what tx.u.settle.locks points to; owned by the effects */
    } tx;
    struct {
      bool incoming;
      uint8_t payer; /* the side that pays */
      ch_payment_status status;
      ch_op op;
      ch_amount paid; /* SETTLED: op.amount, or the part of it that a contract's condition said is owed */
      uint16_t epoch;
      uint64_t version; /* the co-signed version that settled it, else 0 */
      uint32_t index;   /* its place in that version */
      ch_err reason;    /* FAILED; or SHARED: what was paid is known of several payments together only */
      bool has_preimage;
      ch_hash preimage; /* of a hash lock that is over */
    } payment;
    struct {
      ch_phase from, to;
      uint64_t version;
      char cause[120];
    } history;
    struct {
      ch_err code; /* CH_OK: the peer did nothing wrong, but must reconnect */
      char text[120];
    } disconnect;
  } u;
} ch_effect;

typedef struct ch_effects {
  ch_effect *v;
  size_t n, cap;
  bool durable; /* the next channel differs from the last durable one: write it */
} ch_effects;
/* Frees what the effects own; the struct is zeroed and can be used again. Zero-initialise before first use. */
CH_API void ch_effects_clear(ch_effects *fx);

/* --- Opening ------------------------------------------------------------------------------------ */

/* What the opener asks for. */
typedef struct ch_terms {
  ch_chain chain;
  ch_pubkey peer; /* node id */
  ch_addr payout; /* my payout address */
  ch_addr asset;
  uint32_t challenge_period;
  ch_amount bond;
  ch_amount deposit_mine, deposit_peer;
  bool opener_funds;    /* I pay both deposits, in one transaction; the peer none */
  ch_lock_limits locks; /* all zero: no conditional transfers */
} ch_terms;

/* Usual terms, to be changed as wanted: native coin, a challenge period of one day, no bond, 32 locks of up to three
 * days. */
CH_API ch_terms ch_terms_default(const ch_chain *chain, const ch_pubkey *peer, const ch_addr *payout,
                                 ch_amount deposit_mine, ch_amount deposit_peer);

/* A request that is under way: small, in memory only, no money at stake yet. */
typedef struct ch_opening {
  ch_terms terms;
  ch_hash nonce; /* fresh random bytes from the caller; also the request's id on the wire */
} ch_opening;

/* The opener's first message. Fill `opening` first; *fx receives one SEND. */
CH_API ch_err ch_open_request(const ch_opening *opening, const ch_signer *signer, ch_effects *fx) CH_MUST_CHECK;

/* The other side's answer. The caller has checked the request's terms against its policy; `nonce` is fresh random.
 * Gives a channel in phase OPENING and one SEND. `peer` is the authenticated node id. CH_ERR_TERMS if the request is
 * for another chain or its terms are malformed. */
CH_API ch_err ch_open_answer(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_msg *request,
                             const ch_pubkey *peer, const ch_chain *chain, const ch_addr *payout, const ch_hash *nonce,
                             const ch_signer *signer) CH_MUST_CHECK;

/* The opener takes the answer: a channel in phase FUNDING and one SEND. CH_ERR_VIOLATION if it does not fit. */
CH_API ch_err ch_open_finish(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_opening *opening,
                             const ch_msg *accept, const ch_signer *signer) CH_MUST_CHECK;

/* --- The step ----------------------------------------------------------------------------------- */

/* One event. On CH_OK *next is a new channel (the caller frees both it and, when done with it, `cur`), and the effects
 * are appended to *fx, which must be empty. On any other return *next is NULL and *fx empty:
 *   CH_ERR_VIOLATION, CH_ERR_FORMAT, CH_ERR_SIGNATURE  the peer's message is refused: report the error and disconnect
 *   CH_ERR_STALE                    not now: the chain's head is too old; disconnect if it was a message
 *   CH_ERR_PHASE, _FROZEN, _FUNDS, _QUEUE_FULL, _ARGUMENT  a command that is not possible now
 *   CH_ERR_DOUBLE_SIGN, _SIGNER, _NO_MEMORY, _BUG  local trouble: quarantine the channel, keep the others going
 *   CH_ERR_PENDING                  the signer has not answered yet, see below */
CH_API ch_err ch_step(ch_channel **next, ch_effects *fx, const ch_channel *cur, const ch_env *env, const ch_event *ev,
                      const ch_signer *signer) CH_MUST_CHECK;

/* Signers that take time. Every call with a signer, ch_open_* too, returns CH_ERR_PENDING if a function of the signer
 * does. Nothing has changed and there is nothing to perform. The caller keeps the arguments and makes the same call
 * again when the signer has its answer, and once more for each further signature that the step needs:
 *   - with the same channel, event and environment: Close and Challenge carry a time, so with another `now` they would
 *     be other requests. The result is byte for byte that of a signer that answers at once;
 *   - other events of this channel wait meanwhile, in their order, and those of other channels go on. Of several chain
 *     views that wait, the newest is enough.
 * It must not wait for ever: a refutation has a deadline. A host that has no answer after env.freshness seconds gives
 * the request up (signer.h) and drops the event (a peer says it again on the next connection, a command is answered
 * with CH_ERR_SIGNER). Then it closes the connection, gives CH_EV_LINK_DOWN, and goes on with the events that wait: a
 * channel without connection needs no signature to follow the chain, refute and settle. */

CH_API void ch_channel_free(ch_channel *c);

/* The key of the transaction that CH_EV_DEPOSIT with this nonce wishes for, in whatever epoch: by it a caller finds
 * out what became of a deposit before it asks for it again. */
CH_API void ch_deposit_key(ch_hash *out, const ch_hash *id, const ch_hash *nonce);

/* --- Storage ------------------------------------------------------------------------------------ */

/* The durable form (proto/protocol.md does not cover it; libchannel/src/record.proto does): everything but the
 * connection and the queue of operations that no signature contains yet; those are the caller's rows
 * with status PENDING. *out is malloc'ed. The record names its format: a release reads those of all releases before it,
 * writes its own, and refuses a newer one. */
CH_API ch_err ch_channel_encode(const ch_channel *c, uint8_t **out, size_t *len) CH_MUST_CHECK;

/* The same, for a store that writes much. The record's first *n_steady bytes are what changes seldom: the terms, the
 * chain's view, pending locks. The rest, a third of it or less, is what every signature changes. The two may be kept
 * apart, and the first be written only when it differs from what is stored, in the transaction that writes the second.
 * ch_channel_decode takes one behind the other and refuses parts that do not belong together. */
CH_API ch_err ch_channel_encode_parts(const ch_channel *c, uint8_t **out, size_t *len, size_t *n_steady) CH_MUST_CHECK;

/* The reverse, at start-up. `queue`: the pending operations of this channel in their order of acceptance; those that
 * the record already contains (in a proposal that can still be enforced) are matched by payment id and not queued
 * twice. CH_ERR_FORMAT if the record is damaged, CH_ERR_VERSION if it is a newer release's. */
CH_API ch_err ch_channel_decode(ch_channel **out, const uint8_t *in, size_t len, const ch_op *queue,
                                size_t n_queue) CH_MUST_CHECK;

/* --- The static backup --------------------------------------------------------------------------- */

/* What is fixed when a channel is opened: together with the seed enough to find it again, and to leave it with the
 * peer's help. `salt` is secret until a challenge reveals it. */
typedef struct ch_origin {
  ch_chain chain;
  ch_params params;
  ch_hash nonce[2];
  ch_hash salt;
  ch_pubkey peer;
  uint8_t side; /* mine */
  ch_amount deposit[2];
  uint64_t created;
} ch_origin;
CH_API void ch_channel_origin(const ch_channel *c, ch_origin *out);

/* A channel of which only its origin is left: frozen, without any state. *out is for ch_channel_encode. CH_ERR_KEY if
 * it is not of this signer's keys, CH_ERR_ARGUMENT if the origin contradicts itself. */
CH_API ch_err ch_channel_restore(ch_channel **out, const ch_origin *origin, const ch_signer *signer) CH_MUST_CHECK;

/* --- Looking at a channel ------------------------------------------------------------------------ */

/* What the channel waits for: X(SYMBOL, "name", "sentence"). */
#define CH_WAITS(X)                                                                                                    \
  X(NOTHING, "nothing", "Nothing: ready.")                                                                             \
  X(CONFIRM, "confirm", "The opener's confirmation.")                                                                  \
  X(DEPOSIT, "deposit", "The deposits to be confirmed on chain.")                                                      \
  X(PEER, "peer", "The peer to connect.")                                                                              \
  X(PEER_FROZEN, "peer_frozen", "The peer, which is frozen as it has lost its memory, to resume or to close.")         \
  X(SYNC, "sync", "The peer to agree on the latest state.")                                                            \
  X(ACCEPT, "accept", "The peer's signature on the latest proposal.")                                                  \
  X(SHUTDOWN, "shutdown", "The peer to agree to the shutdown.")                                                        \
  X(CLOSE_SIGNATURE, "close_signature", "The peer's signature on Close.")                                              \
  X(CLOSE_TX, "close_tx", "The closing transaction to be mined.")                                                      \
  X(WITHDRAW_SIGNATURE, "withdraw_signature", "The peer's signature on the withdrawal or move.")                       \
  X(WITHDRAW_TX, "withdraw_tx", "The withdrawal or move to be mined and final.")                                       \
  X(CHALLENGE_TX, "challenge_tx", "The challenge to be mined.")                                                        \
  X(REFUTE_TX, "refute_tx", "The refutation to be mined.")                                                             \
  X(WINDOW, "window", "The challenge window to end.")                                                                  \
  X(SETTLE_TX, "settle_tx", "The settlement to be mined.")                                                             \
  X(FINALITY, "finality", "The ending to become final.")                                                               \
  X(LOCKS, "locks", "The pending conditional payments to be resolved.")                                                \
  X(CHAIN, "chain", "The chain to advance: its last block is too old.")                                                \
  X(OPERATOR, "operator", "The operator: the channel is frozen, until it is told to resume or to close.")              \
  X(FREEZE, "freeze", "A day to pass since the freeze: what was signed before and forgotten expires.")                 \
  X(RESUME, "resume", "The peer's signature on the resumed state.")

typedef enum ch_wait {
#define CH_WAIT_ENUM(sym, name, text) CH_WAIT_##sym,
  CH_WAITS(CH_WAIT_ENUM)
#undef CH_WAIT_ENUM
} ch_wait;
CH_API const char *ch_wait_name(ch_wait w);
CH_API const char *ch_wait_text(ch_wait w);

typedef struct ch_info {
  ch_hash id;
  ch_params params;
  ch_pubkey peer;
  uint8_t side; /* mine */
  ch_phase phase;
  uint16_t epoch;
  uint64_t version; /* of L */
  ch_net net;
  ch_net contribution[2]; /* confirmed */
  ch_amount deposit[2];   /* agreed at open */
  bool opener_funds;
  bool revealed; /* the salt may be public: once closed, it cannot be opened again */
  ch_amount balance_mine, balance_peer;
  ch_amount locked_mine, locked_peer; /* part of the balances: in pending conditional payments of that side */
  uint32_t locks;                     /* of both sides, in the latest co-signed state or in what is signed above it */
  uint32_t blind_locks;               /* of these, hash locks whose CH_EV_REVEAL has not come */
  ch_lock_limits limits;
  ch_amount spendable;                    /* what a new payment may use: balance less locked, pending, reserved */
  ch_amount pending;                      /* in payments that are not settled yet */
  ch_amount reserved_mine, reserved_peer; /* part of the balances: set aside for a withdrawal under way */
  uint16_t withdrawals;                   /* of either side, in this epoch, that are final */
  uint64_t highest_signed;
  ch_hash highest_digest;
  uint64_t outstanding; /* 0: none */
  uint32_t queued;
  bool connected, synced, frozen;
  char freeze_reason[120];
  ch_wait wait;
  uint64_t wait_until; /* chain seconds; 0: no deadline */
  bool sealed;         /* section 5: any lie about this position forfeits the liar's bond */
  bool ended;
  ch_amount paid[2]; /* ended: what the chain paid out */
  uint64_t ended_version;
} ch_info;
CH_API void ch_channel_info(const ch_channel *c, const ch_env *env, ch_info *out);

/* A pending conditional payment. */
typedef struct ch_lock_info {
  ch_hash lock_id; /* names it in events */
  bool incoming;
  bool agreed;  /* in the latest co-signed state; else only proposed */
  ch_op op;     /* its LOCK_ADD */
  uint8_t want; /* asked for here: CH_OP_FULFIL, CH_OP_CANCEL, or 0 */
  bool known;   /* the preimage is */
  ch_hash preimage;
  bool looked;            /* its CH_EV_REVEAL has come */
  uint64_t revealed_head; /* chain seconds, 0: not revealed */
  uint64_t reveal_by;     /* incoming: from here on a fulfil that is not settled goes to the chain */
} ch_lock_info;
/* Fills up to `cap` of them into `out`, in their order; returns how many there are. */
CH_API size_t ch_channel_locks(const ch_channel *c, const ch_env *env, ch_lock_info *out, size_t cap);

/* The id, without a copy of everything. Valid as long as `c`. */
CH_API const ch_hash *ch_channel_id_of(const ch_channel *c);
CH_API const ch_pubkey *ch_channel_peer(const ch_channel *c);

/* The latest co-signed state as it stands (version 0 if none); for tests, towers and backups. */
CH_API void ch_channel_latest(const ch_channel *c, ch_state *state, ch_outcome *outcome, ch_sig sig[2]);

#ifdef __cplusplus
}
#endif
#endif
