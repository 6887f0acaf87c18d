/* message.h - the messages of the peer protocol and their wire format.
 *
 * Source: proto/protocol.md, sections 4 and 8, and proto/peer.proto. A message on the wire is a two-byte big-endian
 * type and a protobuf body. Decoding is strict: lengths, ranges and counts are checked, the rest is refused with
 * CH_ERR_FORMAT. Types are even if a receiver must understand them and odd if it may ignore them.
 */
#ifndef CHANNEL_MESSAGE_H
#define CHANNEL_MESSAGE_H

#include "lock.h"
#include "state.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CH_MAX_MESSAGE 65535 /* bytes of one message with its type: one transport frame */
#define CH_MAX_OPS 512       /* operations in one proposal */
#define CH_PAYMENT_ID_MAX 64 /* bytes of a payment id: printable ASCII without blanks */
#define CH_OP_PAYLOAD_MAX 64 /* bytes of a lock's payload on the wire */
#define CH_TEXT_MAX 200      /* bytes of free text from a peer, sanitised by the decoder */

typedef enum ch_msg_type {
  CH_MSG_ERROR = 98,
  CH_MSG_OPEN_REQUEST = 100,
  CH_MSG_OPEN_ACCEPT = 102,
  CH_MSG_OPEN_CONFIRM = 104,
  CH_MSG_FUNDS = 106,
  CH_MSG_REESTABLISH = 108,
  CH_MSG_UPDATE = 110,
  CH_MSG_FULL_STATE = 112,
  CH_MSG_CLOSE = 114,
  CH_MSG_WITHDRAW = 116,
  CH_MSG_RESUME = 120,
} ch_msg_type;

/* Operations of a proposal. */
typedef enum ch_op_kind {
  CH_OP_NOOP = 1,     /* moves nothing; cannot be refused */
  CH_OP_PAY = 2,      /* `amount` from the proposer to the other side */
  CH_OP_SHUTDOWN = 3, /* no new payments; allows Close to be signed */
  CH_OP_RESERVE =
      4, /* sets `amount` of the proposer's balance aside, for a Withdraw or Move with `seq` and `valid_until` */
  CH_OP_LOCK_ADD = 5, /* a conditional transfer of `amount` from the proposer to the other side is pending */
  CH_OP_FULFIL = 6,   /* pays a pending one */
  CH_OP_CANCEL = 7,   /* gives it back; cannot be refused */
  CH_OP_EXPIRE = 8,   /* takes it back after its expiry */
} ch_op_kind;

/* Another channel of the same asset that money is moved into. */
typedef struct ch_target {
  bool set;            /* false: there is none */
  ch_hash params_hash; /* with the asset it gives the channel's id */
  uint16_t epoch;
  uint8_t side; /* whose contribution it becomes there */
} ch_target;

typedef struct ch_op {
  uint8_t kind;               /* a ch_op_kind */
  uint8_t id_len;             /* PAY, LOCK_ADD: 1..64 */
  char id[CH_PAYMENT_ID_MAX]; /* PAY, LOCK_ADD: the payer's payment id, not NUL-terminated */
  ch_amount amount;           /* PAY, RESERVE, LOCK_ADD: above zero */
  uint16_t seq;               /* RESERVE: 15 bits */
  uint64_t valid_until;       /* RESERVE, LOCK_ADD (its expiry): chain seconds, 40 bits */
  uint64_t version;           /* not on the wire: my highest version above L that contains it, or 0 */
  union {
    struct {
      ch_addr condition; /* zero: a hash lock */
      uint32_t gas;
      uint8_t payload_len;
      uint8_t payload[CH_OP_PAYLOAD_MAX];
    } add;        /* LOCK_ADD */
    ch_target to; /* RESERVE: set for a Move */
    struct {
      ch_hash lock;      /* the pending lock: ch_op_lock_id of its LOCK_ADD */
      ch_hash preimage;  /* FULFIL */
      bool has_preimage; /* FULFIL: of a hash lock */
    } resolve;           /* FULFIL, CANCEL, EXPIRE */
  } u;
} ch_op;

/* What the two sides agree on at open about conditional transfers (section 6); all zero: there are none. */
typedef struct ch_lock_limits {
  uint32_t count;      /* pending at a time, of both sides: at most CH_LOCKS_MAX */
  uint32_t payload;    /* bytes of all their payloads: at most CH_LOCK_LIMIT_PAYLOAD */
  uint64_t gas;        /* sum of their conditions' gas */
  uint32_t longest;    /* seconds from now to the expiry */
  ch_amount dust;      /* the least of one */
  ch_amount in_flight; /* the most that one side may have locked */
} ch_lock_limits;
#define CH_LOCK_LIMIT_PAYLOAD (CH_LOCKS_MAX * CH_OP_PAYLOAD_MAX)

/* A co-signed state as it travels: outcome in clear and both signatures. */
typedef struct ch_full_state {
  uint64_t version;
  ch_net net;
  ch_hash locks_hash;
  ch_sig sig[2];
} ch_full_state;

typedef struct ch_msg {
  ch_msg_type type;
  ch_hash id; /* the channel; for OPEN_REQUEST and OPEN_ACCEPT the opener's nonce */
  uint16_t epoch;
  union {
    struct {
      ch_chain chain;
      ch_pubkey signer; /* the channel key */
      ch_addr payout;
      ch_addr asset;
      uint32_t challenge_period;
      ch_amount bond;
      ch_amount deposit[2]; /* what is to be deposited for each side, indexed by side */
      bool opener_funds;    /* side 0 deposits for both, in one transaction */
      ch_lock_limits locks;
    } open_request;
    struct {
      ch_hash nonce; /* the acceptor's */
      ch_pubkey signer;
      ch_addr payout;
      ch_sig statement; /* ch_open_statement by the node key */
    } open_accept;
    struct {
      ch_sig statement;
    } open_confirm;
    struct {
      ch_net contribution[2]; /* what the sender sees confirmed; a hint, it only ever limits one's own spending */
    } funds;
    struct {
      uint64_t version; /* of L */
      ch_hash digest;   /* of L; zero for version 0 */
      uint64_t highest_signed;
      uint64_t outstanding; /* 0: none */
      bool frozen;
      ch_hash instance;       /* random per process start */
      uint64_t proof_version; /* the highest signature of the receiver that the sender holds; 0: none */
      ch_hash proof_outcome;
      ch_sig proof_sig;
    } reestablish;
    struct {
      bool has_accept;
      uint64_t accept_version;
      ch_sig accept_sig;
      bool has_proposal; /* a proposal or a refusal, never both */
      bool has_refusal;
      uint64_t base;
      uint64_t version;
      ch_sig sig;
      uint32_t refused_op; /* refusal: the index of the operation that failed */
      uint32_t reason;     /* refusal: a ch_err */
      uint32_t n_ops;
      ch_op *ops; /* proposal: n_ops operations, owned by the message */
    } update;
    ch_full_state full_state;
    struct {
      ch_net net;
      uint64_t valid_until;
      ch_sig sig;
    } close;
    struct {
      uint16_t seq; /* these four are Withdraw's; 15 bits */
      uint8_t side;
      ch_amount amount;
      uint64_t valid_until;
      ch_sig sig;
    } withdraw;
    struct {
      uint64_t base; /* the receiver's L */
      uint64_t version;
      ch_sig sig; /* on the content of `base` */
    } resume;
    struct {
      uint32_t code; /* a ch_err */
      char text[CH_TEXT_MAX + 1];
    } error;
  } u;
} ch_msg;

/* Encodes `msg` with its type in front. *out is malloc'ed; the caller frees it. */
CH_API ch_err ch_msg_encode(const ch_msg *msg, uint8_t **out, size_t *out_len) CH_MUST_CHECK;

/* Decodes one message. CH_ERR_FORMAT on anything malformed. An unknown odd type gives CH_OK with *known = false
 * and nothing to free; an unknown even type is CH_ERR_FORMAT. On CH_OK with *known the caller calls ch_msg_clear. */
CH_API ch_err ch_msg_decode(ch_msg *out, bool *known, const uint8_t *in, size_t len) CH_MUST_CHECK;

/* Frees what the message owns and zeroes it. */
CH_API void ch_msg_clear(ch_msg *msg);

/* True if `id` is a valid payment id: 1..64 bytes, each 0x21..0x7e. */
CH_API bool ch_payment_id_ok(const char *id, size_t len);

/* The operation that pays `amount` under the payment id `id`. Nothing is checked here: ch_step refuses a bad id or
 * amount with CH_ERR_ARGUMENT. */
CH_API ch_op ch_op_pay(const char *id, ch_amount amount);

/* The operation that pays `amount` under the condition that the preimage of the sha256 `hash` is known to the payee, or
 * public, by `expiry` (chain seconds). */
CH_API ch_op ch_op_hash_lock(const char *id, ch_amount amount, const ch_hash *hash, uint64_t expiry);
/* The lock that a LOCK_ADD of side `payer` adds; it borrows the payload from `op`. */
CH_API ch_lock ch_op_lock(const ch_op *op, uint8_t payer);
/* How FULFIL, CANCEL and EXPIRE name it: keccak256 of its encoding. */
CH_API void ch_op_lock_id(ch_hash *out, const ch_op *op, uint8_t payer);

#ifdef __cplusplus
}
#endif
#endif
