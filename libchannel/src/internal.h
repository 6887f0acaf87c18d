/* internal.h - what the engine's files share: the channel itself and the context of one step. */
#ifndef CHANNEL_INTERNAL_H
#define CHANNEL_INTERNAL_H

#include "channel/channel.h"

/* Longest validUntil that is signed or accepted, seconds ahead (protocol.md, section 4). */
#define CLOSE_VALIDITY 3600u
#define CHALLENGE_VALIDITY 86400u
#define WITHDRAW_VALIDITY 3600u
#define WITHDRAW_VALIDITY_MAX 86400u
/* How much the two sides' clocks may differ when a validUntil is judged. */
#define CLOCK_SKEW 300u
/* What a frozen side may have signed and forgotten expires within this time. */
#define FREEZE_SECONDS (WITHDRAW_VALIDITY_MAX + CLOCK_SKEW)
/* Each resume begins a new block of versions; what is not a resume counts within its block. */
#define RESUME_BLOCK_BITS 32
/* Side 1 keeps an unconfirmed opening this long. */
#define OPENING_EXPIRY 600u
/* A side that did not start the ending leaves the transaction to the one that did for this long. */
#define ENDING_GRACE 300u
#define DEFAULT_CHALLENGE_PERIOD 86400u
#define INSTANCES_KEPT 4
#define HASHES_KEPT 64
/* Everything an honest party has signed lies within this distance of L (protocol.md, section 4). */
#define SIGNED_DISTANCE 3

typedef enum outstanding_kind { OUT_NONE, OUT_PROPOSAL, OUT_REFUSAL } outstanding_kind;

/* What a version says besides its number: how much has moved, and which conditional transfers are pending. */
typedef struct content {
  ch_net net;
  ch_hash locks_hash; /* zero: none */
} content;

/* The content that was hashed last, for its other signature. Derived, never stored. */
typedef struct hashed {
  uint16_t epoch;
  uint64_t version; /* 0: none */
  ch_outcome outcome;
  ch_hash outcome_hash, digest;
} hashed;

/* What I have signed and wait to have countersigned. Its base is always L. */
typedef struct outstanding {
  outstanding_kind kind;
  uint64_t version;
  content what;
  ch_sig sig;
  uint32_t refused_op; /* REFUSAL */
  ch_err reason;
} outstanding;

/* A content of mine above L that I have since replaced: the peer can still countersign and enforce it. */
typedef struct superseded {
  uint64_t version; /* 0: none */
  content what;
} superseded;

typedef struct signed_mark {
  uint64_t version;
  ch_hash digest;
} signed_mark;

/* The highest signature of the peer that I hold, as evidence. */
typedef struct evidence {
  uint64_t version; /* 0: none */
  ch_hash outcome_hash;
  ch_sig sig;
} evidence;

/* Close as far as it is signed. */
typedef struct closing {
  bool wanted;          /* by me: I send it to the chain at once */
  uint64_t valid_until; /* 0: none */
  ch_net net;
  bool have[2];
  ch_sig sig[2];
  uint64_t mine_until; /* latest validUntil of any Close I have signed: the channel is frozen until then */
} closing;

/* Money set aside by a RESERVE in L, until the withdrawal that it is for is final or can no longer happen. */
typedef struct reservation {
  bool active;
  uint8_t side;
  uint16_t seq;
  ch_amount amount;
  uint64_t valid_until;
  ch_target to; /* set: a move */
  bool have[2]; /* signatures on the Withdraw or Move */
  ch_sig sig[2];
} reservation;

/* My way out of a freeze. The content is that of L, which stays as it is once the resume is signed. */
typedef struct resumption {
  bool wanted;
  uint64_t version; /* 0: not signed */
  ch_sig sig;
} resumption;

/* The first bytes of a hash; zero: none. */
typedef struct beginning {
  uint8_t b[8];
} beginning;

/* Which contents a pending lock is in. */
enum { IN_LATEST = 1, IN_OUT = 2, IN_OLD = 4, IN_REPLAY = 8 };

/* A conditional transfer that is pending in at least one content. The locks of a content are in their order here. */
typedef struct pending {
  ch_op op; /* the LOCK_ADD */
  ch_hash id;
  uint8_t payer;
  uint8_t in;
  uint64_t since; /* the version that brought it into L; 0: not in L */
  uint8_t want;   /* what I want done with it as its payee, or a contract's payer: CH_OP_FULFIL, CH_OP_CANCEL, or 0 */
  bool known;     /* the preimage is */
  ch_hash preimage;
  /* Not stored: the chain shows it again. */
  bool looked;                /* the chain's word on its hash has come; nothing that depends on it is done before */
  uint64_t at_head, at_final; /* the reveal's time in the two views; 0: not there */
  uint64_t tried;             /* the head at which the peer last refused what I want */
} pending;

/* What the locks of a content add up to. */
typedef struct tally {
  ch_u128 locked[2]; /* by the side that pays */
  uint32_t n, payload;
  uint64_t gas;
} tally;

/* What operations do to a channel, one after the other, before anything is signed. Its locks are marked IN_REPLAY. */
typedef struct replay {
  content what;
  bool shutdown;
  reservation reserved;
  tally locks;
  bool locks_changed; /* what.locks_hash is to be made anew */
} replay;

/* The connection: never stored, reset with every link. */
typedef struct link {
  bool up;
  bool said;      /* my reestablish was */
  bool greeted;   /* the peer's reestablish came, after mine was said: there is one on each connection */
  bool synced;    /* reestablish exchanged, same L: updates may flow */
  bool wait_full; /* the peer is ahead: its full state must come first */
  bool peer_frozen;
  bool resumed;   /* my resume was said on it */
  bool missed;    /* the peer's resume came before I could accept it */
  bool has_funds; /* the peer said what it sees confirmed */
  ch_net peer_contribution[2];
  bool kept;    /* the peer is in a later epoch already, or I have not greeted yet: */
  ch_msg hello; /* its reestablish, until I am there (it owns nothing) */
} link;

struct ch_channel {
  /* fixed at open */
  ch_chain chain;
  ch_params params;
  ch_hash params_hash, id, domain; /* derived */
  ch_hash nonce[2];                /* open nonces; nonce[me] names my channel key */
  ch_hash salt;
  ch_secret blind_key;
  ch_pubkey peer;
  uint8_t me;
  ch_amount deposit[2]; /* agreed */
  bool opener_funds;    /* side 0 pays both */
  ch_lock_limits limits;
  uint64_t created;
  ch_sig open_sig[2]; /* open statements; [peer] is zero until it came */

  /* facts */
  bool agreed; /* both statements are there */
  bool heard;  /* the peer has shown that it has stored the channel: money may go in */
  bool opened; /* a contribution was confirmed */
  bool abandoned;
  bool shutdown; /* a SHUTDOWN is in L */
  bool close_wanted;
  bool revealed; /* the salt may be public: a challenge was signed here, or seen at any head */
  bool frozen;
  uint64_t frozen_at; /* chain seconds; 0: not frozen, or nobody has looked at the time yet */
  char freeze_reason[120];
  uint64_t shown; /* the highest signature of mine that somebody had and I did not */
  resumption resume;
  bool seal; /* the peer resumed: my next proposal says what it cannot know */
  uint16_t epoch;
  ch_full_state latest; /* L; version 0: nothing moved */
  uint64_t changed_at;  /* the version below which the content last differed from L's */
  outstanding out;
  superseded old;
  signed_mark highest;
  evidence proof;
  hashed hashed;
  closing close;
  reservation reserved;
  ch_amount withdraw_wanted; /* what I asked for, until it is done or has failed; 0: nothing */
  ch_target move_to;         /* what that is for, if for a move */
  uint64_t challenge_until;  /* my signed Challenge's validUntil; 0: none */
  uint64_t challenge_version;
  ch_sig challenge_sig;
  ch_chain_view view;
  bool accounted;                   /* the final ending has been worked into the payments */
  ch_hash instance[INSTANCES_KEPT]; /* the peer's, newest first; zero: none */

  link link;

  pending *locks;
  size_t n_locks;
  beginning used[HASHES_KEPT]; /* the beginnings of hashes whose locks were resolved, newest first; 0: none */

  /* ops[0 .. n_out) are in `out`, then n_queue wait. */
  ch_op *ops;
  size_t n_out, n_queue;
};

/* One step under way. */
typedef struct step {
  ch_channel *c; /* becomes `next` */
  const ch_channel *cur;
  const ch_env *env;
  const ch_signer *signer;
  ch_effects *fx;
  bool resuming; /* a frozen side signs its resume */
  ch_msg update; /* the one UPDATE this step sends: accept, and proposal or refusal */
  char cause[120];
} step;

/* step.c */
ch_channel *channel_clone(const ch_channel *from);
void channel_derive(ch_channel *c); /* fills the derived fields */

/* effects.c */
ch_err fx_send(ch_effects *fx, const ch_msg *msg);
ch_err fx_tx(step *s, const ch_tx *tx, uint64_t version, ch_amount value);
/* The same, under a key from the caller's nonce. */
ch_err fx_tx_named(step *s, const ch_tx *tx, const ch_hash *nonce, ch_amount value);
ch_err fx_payment(step *s, const ch_op *op, bool incoming, ch_payment_status status, uint16_t epoch, uint64_t version,
                  size_t index, ch_err reason);
ch_err fx_history(ch_effects *fx, ch_phase from, ch_phase to, uint64_t version, const char *cause);
/* Nothing more is heard or said on this connection. */
ch_err drop_link(step *s, ch_err code, const char *text);
/* Why the channel changed, for the history: the last set_cause wins, add_cause appends to it. */
void set_cause(step *s, const char *text);
void add_cause(step *s, const char *text);
void add_cause_number(step *s, uint64_t n);

/* phase.c */
ch_phase phase_of(const ch_channel *c);
bool phase_legal(ch_phase from, ch_phase to);
ch_err invariant(const ch_channel *cur, const ch_channel *next);

/* queue.c: the operations in `ops` */
ch_err queue_append(ch_channel *c, const ch_op *ops, size_t n);
ch_err queue_shutdown(ch_channel *c);               /* unless it is there, or agreed already */
ch_err queue_seal(ch_channel *c);                   /* if it is owed: in front, unless it is there */
void queue_remove_out(ch_channel *c, size_t index); /* one of the outstanding's, index < n_out */
/* The outstanding's operations go back to the head of the queue, but for those that follow from what the pending locks
 * are to become. */
void queue_requeue_out(ch_channel *c);
ch_err queue_prepend(ch_channel *c, const ch_op *op);
ch_err queue_pending(const ch_channel *c, ch_amount *sum);
/* CH_ERR_FUNDS if my balance does not cover all that waits. */
ch_err queue_covered(const ch_channel *c);

/* content.c: what a version says, and signing it */
content content_latest(const ch_channel *c);
bool content_same(const content *a, const content *b);
void content_outcome(const ch_channel *c, uint64_t version, const content *what, ch_outcome *out);
void content_digest(const ch_channel *c, uint64_t version, const content *what, ch_hash *outcome_hash, ch_hash *digest);
void latest_digest(const ch_channel *c, ch_hash *outcome_hash, ch_hash *digest);
/* Balances with confirmed contributions, less what is locked and reserved; CH_ERR_FUNDS if one is negative. */
ch_err content_valid(const ch_channel *c, const replay *r);
replay replay_of_latest(const ch_channel *c);
bool content_known(const ch_channel *c, uint64_t version, content *what); /* 0, L, outstanding or superseded */
uint8_t content_locks(const ch_channel *c, uint64_t version);             /* of a known one: IN_LATEST, ... */
bool chain_fresh(const ch_env *env);
bool may_sign_state(const ch_channel *c);
ch_err sign_content(step *s, uint64_t version, const content *what, ch_sig *sig);
/* Checks the peer's signature and keeps it as evidence if it is the highest. */
ch_err verify_peer(step *s, uint64_t version, const content *what, const ch_sig *sig);

/* freeze.c: lost memory */
ch_err freeze(step *s, const char *reason);
ch_err freeze_told(step *s);                                 /* by the operator */
void note_shown(step *s, uint64_t version);                  /* a signature of mine that I do not remember */
ch_err adopt_shown(step *s, const ch_full_state *f);         /* both signatures are good */
bool freeze_is_over(const ch_channel *c, const ch_env *env); /* nothing forgotten is valid any more */
ch_err thaw(step *s);                                        /* the freeze is over */
ch_err on_resume_command(step *s);
ch_err on_resume(step *s, const ch_msg *m);
ch_err adopt_resume(step *s, const ch_sig *peer_sig); /* mine is co-signed */
ch_err pursue_resume(step *s);

/* update.c */
ch_err on_update(step *s, const ch_msg *m);
/* With the locks marked `in`. */
void set_latest(ch_channel *c, uint64_t version, const content *what, uint8_t in, const ch_sig *mine,
                const ch_sig *theirs);
void drop_out(ch_channel *c); /* nothing of mine is outstanding any more */
void say_accept(step *s, uint64_t version, const ch_sig *sig);
/* My outstanding is co-signed now. Left as it is (CH_OK) while that could not be enforced or is not decided. */
ch_err adopt(step *s, const ch_sig *peer_sig);
ch_err propose(step *s);
void resend_outstanding(step *s);
ch_err op_failed(step *s, const ch_op *op, size_t index, ch_err reason);

/* pending.c: the pending locks of the contents */
pending *lock_find(const ch_channel *c, const ch_hash *id, uint8_t in);
bool lock_is_hash(const pending *p);
ch_hash lock_hash(const pending *p); /* of a hash lock */
tally locks_tally(const ch_channel *c, uint8_t in);
void locks_mark(ch_channel *c, uint8_t to,
                uint8_t from); /* the content `to` has exactly the locks of `from` (0: none) */
ch_err locks_append(ch_channel *c, const pending *p);
void locks_sweep(ch_channel *c); /* forgets those that no content has */
/* The encoded locks of a content, CH_LOCKS_BYTES_MAX at most; and their hash. */
size_t locks_encode(const ch_channel *c, uint8_t in, uint8_t *out);
void locks_hash(const ch_channel *c, uint8_t in, ch_hash *out);
/* What an operation of `side` on locks does to the replay: CH_ERR_VIOLATION if it cannot be done at all, and in *why
 * whether it may not be signed now. */
ch_err lock_replay(step *s, replay *r, uint8_t side, const ch_op *op, ch_err *why);
/* It is in L now: the payment it was for changes. Before the marks of the contents change. */
ch_err lock_settled(step *s, uint8_t side, const ch_op *op, uint64_t version, size_t index);
void lock_undo(ch_channel *c, uint8_t side, const ch_op *op); /* in the replay */
ch_err locks_forgotten(step *s);                              /* L's are resolved, how is not known */
ch_err lock_over(step *s, const pending *p, bool paid, uint64_t version, size_t index, ch_err reason);

/* conditional.c: what is wanted of pending locks, in time */
ch_err on_fulfil_command(step *s, const ch_hash *lock, const ch_hash *preimage);
ch_err on_cancel_command(step *s, const ch_hash *lock);
ch_err new_locks_fit(step *s, const ch_op *ops, size_t n);
ch_err on_reveal(step *s, const ch_reveal *reveal);
bool lock_revealed(const pending *p);               /* at the head, in time */
bool lock_expired(const step *s, const pending *p); /* for good: nothing can be revealed in time any more, nor was */
ch_err queue_lock_wishes(step *s);
void lock_wish_refused(step *s, const ch_op *op);
ch_err want_reveal(step *s);
bool locks_decided(const step *s, uint8_t in);                /* a settlement with these locks would go through */
ch_err account_locks(step *s, uint64_t executed, bool shown); /* shown: of this epoch's ending it is known how it was */
bool locks_looked(const ch_channel *c);                       /* the chain's word on all hashes has come */

/* reestablish.c */
ch_err on_link_up(step *s);
ch_err greet(step *s); /* says my reestablish, unless that was done on this connection or cannot be yet */
ch_err on_reestablish(step *s, const ch_msg *m);
ch_err start_epoch_talk(step *s); /* on the connection that is there */
ch_err on_full_state(step *s, const ch_msg *m);
ch_err on_funds(step *s, const ch_msg *m);
ch_err send_funds(step *s);

/* open.c */
ch_err on_open_confirm(step *s, const ch_msg *m);
ch_err send_open_confirm(step *s);

/* close.c */
ch_err on_close_command(step *s);
ch_err on_close_message(step *s, const ch_msg *m);
ch_err pursue_close(step *s);

/* deposit.c */
ch_err on_deposit_command(step *s, ch_amount amount, const ch_hash *nonce);
ch_err want_deposit(step *s);

/* reopen.c: the same channel's next life */
ch_err reopen(step *s);
void look_for_reveal(ch_channel *c);

/* withdraw.c */
ch_err on_withdraw_command(step *s, ch_amount amount, const ch_target *to);
ch_err on_withdraw_message(step *s, const ch_msg *m);
reservation reservation_by(uint8_t side, const ch_op *op);
ch_err reserve(const step *s, replay *r, uint8_t side, const ch_op *op);
void stamp_reserve(const step *s, ch_op *op);
void withdraw_failed(step *s, ch_err reason);
void look_for_withdrawal(step *s);
ch_err pursue_withdraw(step *s);

/* dispute.c */
ch_err on_challenge_command(step *s, bool risk_bond);
ch_err on_view(step *s, const ch_chain_view *view);
void note_deposits(ch_channel *c); /* the channel is open once a deposit counts */
ch_err pursue_chain(step *s);

/* It ends a pending lock, and follows from what is wanted of that: it is never queued. */
static inline bool op_resolves(const ch_op *op) {
  return op->kind == CH_OP_FULFIL || op->kind == CH_OP_CANCEL || op->kind == CH_OP_EXPIRE;
}

static inline uint8_t them(const ch_channel *c) {
  return (uint8_t)(1 - c->me);
}

/* What to say to a message that is only for synced sides: nothing is valid before reestablish was exchanged; while one
 * side waits for the other's latest state, it is not heard. */
static inline ch_err unsynced(const ch_channel *c) {
  return c->frozen || c->link.greeted ? CH_OK : CH_ERR_VIOLATION;
}

#endif
