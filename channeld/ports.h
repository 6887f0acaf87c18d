/* ports.h - where the daemon's parts meet. A port never includes another port: net, store, l1 and api know only
 * this file, channeld/util and libchannel's public headers; the core (node, worker, sender, commands) joins them.
 *
 * Each port is a vtable: `ctx` is the port's own object, passed first to every function. "Listener" functions are given
 * to a port by the core; they only enqueue, never block, and may be called from the port's threads.
 */
#ifndef CHANNELD_PORTS_H
#define CHANNELD_PORTS_H

#include <jansson.h>

#include "channel/channel.h"

/* ------------------------------------------------------------------------------------------------
 * Transport: authenticated, encrypted, ordered messages between nodes (proto/protocol.md, section 8)
 * ------------------------------------------------------------------------------------------------ */

/* A connection's number: unique in the process, increasing; 0 is none. */
typedef uint64_t cd_conn;

typedef struct cd_net_listener {
  void *ctx;
  /* A connection is authenticated. An older one to the same node is closed first: its `down` has come before. */
  void (*up)(void *ctx, cd_conn conn, const ch_pubkey *node, bool inbound, const char *address);
  /* One whole message (type and body). The bytes are the listener's to free(). Returns false if its queue is full now:
   * the message is taken all the same, but nothing more is read from this connection until resume(). */
  bool (*message)(void *ctx, cd_conn conn, uint8_t *bytes, size_t len);
  /* The last call for a connection. `reason` is a sentence. */
  void (*down)(void *ctx, cd_conn conn, const ch_pubkey *node, const char *reason);
  /* An attempt to connect failed; it goes on trying. `reason` is a sentence. */
  void (*failed)(void *ctx, const ch_pubkey *node, const char *address, const char *reason);
} cd_net_listener;

typedef struct cd_net_ops {
  /* Starts accepting on "host:port" (port 0: any; `bound`, 64 bytes, receives the real address). */
  ch_err (*listen)(void *ctx, const char *address, char *bound, char *why, size_t why_len);
  /* Keeps a connection to `node` at "host:port" from now on, reconnecting with jitter, until forget(). */
  ch_err (*connect)(void *ctx, const ch_pubkey *node, const char *address);
  void (*forget)(void *ctx, const ch_pubkey *node);
  /* Queues one message; `bytes` becomes the port's. False (and freed) if the connection is gone or its queue is full,
   * in which case the connection is closed: the protocol recovers on reconnect. Any thread. */
  bool (*send)(void *ctx, cd_conn conn, uint8_t *bytes, size_t len);
  /* The same, but it may stay until the connection's next send(), flush() or close(): then all leaves in one piece. */
  bool (*queue)(void *ctx, cd_conn conn, uint8_t *bytes, size_t len);
  void (*flush)(void *ctx, cd_conn conn);
  /* Closes after what is queued has been sent (within a bound). Any thread. */
  void (*close)(void *ctx, cd_conn conn, const char *reason);
  void (*resume)(void *ctx, cd_conn conn);
  /* Closes everything, joins all threads; no listener call after it returns. */
  void (*stop)(void *ctx);
} cd_net_ops;

typedef struct cd_net {
  void *ctx;
  const cd_net_ops *ops;
} cd_net;

/* ------------------------------------------------------------------------------------------------
 * Store: what must not be lost. One transaction for each unit, grouped commits (architecture: barrier)
 * ------------------------------------------------------------------------------------------------ */

/* One call for the L1 as the sender keeps it: adapter-encoded, with its progress. */
typedef enum cd_tx_status {
  CD_TX_QUEUED = 1, /* wanted, not signed yet */
  CD_TX_SENT = 2,   /* signed bytes stored, then broadcast */
  CD_TX_MINED = 3,  /* in a block, not final */
  CD_TX_DONE = 4,   /* final, succeeded */
  CD_TX_FAILED = 5, /* final, reverted; or refused for good */
} cd_tx_status;

/* What a row's transaction is for, beside the ch_tx_kinds. */
#define CD_KIND_TRANSFER 0  /* out of the wallet */
#define CD_KIND_BEFORE (-1) /* what another row waits for: an approval */
#define CD_KIND_FILL (-2)   /* nothing but its nonce */
#define CD_KIND_DEPLOY (-3) /* a new Adjudicator */

typedef struct cd_tx_row {
  ch_hash key;
  ch_hash channel; /* zero: of none */
  int kind;        /* a ch_tx_kind, or one of the above */
  ch_amount value;
  uint8_t *data; /* adapter-encoded call */
  size_t data_len;
  cd_tx_status status;
  bool has_nonce;
  uint64_t nonce;
  uint8_t *raw; /* signed bytes, from SENT on; calls that went out together have the same */
  size_t raw_len;
  ch_hash hash;      /* of raw */
  ch_hash *replaced; /* hashes of what raw has replaced, oldest first: one of them may be mined all the same */
  size_t n_replaced;
  uint64_t since;    /* chain seconds of the first signing, 0: none */
  uint64_t deadline; /* chain seconds: mined later it is worth nothing; 0: none */
  uint64_t block;
  char error[200];
  uint64_t updated; /* chain seconds */
} cd_tx_row;
void cd_tx_row_clear(cd_tx_row *row); /* frees data, raw and replaced */

/* What one event changes: all of it or nothing. The worker fills it and gives it away with commit(). */
typedef struct cd_unit {
  struct cd_unit *next; /* the store's; in done() see there */
  unsigned shard;
  ch_hash channel;
  ch_pubkey peer;
  uint8_t *record; /* encoded channel; NULL: unchanged */
  size_t record_len;
  size_t n_steady; /* its first bytes, which are written only if they differ from what is stored */
  int phase;       /* for lists */
  uint64_t now;
  ch_effects fx;  /* PAYMENT, HISTORY become rows; SEND, DISCONNECT are kept for done() */
  cd_tx_row *txs; /* new calls, inserted as QUEUED unless their key is there and not FAILED */
  size_t n_txs;
  int64_t *seq; /* NULL, or a zero for each effect: the seq of a payment whose row is new is filled in before done() */
  /* Called on the commit thread when the unit is durable (ok), or when it will never be (!ok: its transaction failed,
   * or an earlier one of its shard did and the shard has not been reset). Owns the unit from then on. While `next` is
   * not NULL another unit's done() follows at once: what can be done for all together may wait for the last. */
  void (*done)(struct cd_unit *unit, bool ok);
  void *done_ctx;
} cd_unit;
void cd_unit_free(cd_unit *unit); /* a calloc'ed unit and all that it owns; NULL is fine */

#define CD_LOCK_MAX (CH_LOCK_HEAD + CH_OP_PAYLOAD_MAX)

/* A payment as it is listed. */
typedef struct cd_payment {
  int64_t seq; /* increasing in order of acceptance */
  ch_hash channel;
  bool incoming;
  char id[CH_PAYMENT_ID_MAX + 1];
  ch_amount amount;
  ch_payment_status status;
  uint16_t epoch;
  uint64_t version;
  uint32_t index;
  ch_err reason;
  uint64_t created, updated; /* chain seconds */
  uint8_t lock[CD_LOCK_MAX]; /* a conditional payment's, encoded (channel/lock.h); lock_len 0: a plain one */
  size_t lock_len;
  bool has_preimage;
  ch_hash preimage;
} cd_payment;

typedef struct cd_payment_filter {
  const ch_hash *channel; /* NULL: all */
  const char *id;         /* NULL: all */
  int direction;          /* 0 all, 1 outgoing, 2 incoming */
  int status;             /* 0 all, or a ch_payment_status */
  int64_t after;          /* seq above this */
  unsigned limit;         /* 1..1000 */
  bool newest_first;      /* then `after` means seq below this, 0: from the end */
} cd_payment_filter;

typedef struct cd_history {
  int64_t seq;
  uint64_t time; /* chain seconds */
  int from, to;  /* phases */
  uint64_t version;
  char cause[120];
} cd_history;

typedef struct cd_store_ops {
  /* Group commit: takes the unit, returns at once; blocks only while the queue is at its bound. Units of one shard
   * become durable in order. */
  void (*commit)(void *ctx, cd_unit *unit);
  /* A worker has begun to work (true), or has nothing more to do (false): a commit waits until the worker that gave its
   * first unit rests, and then some milliseconds for the others at work, so that more units share a flush. */
  void (*at_work)(void *ctx, bool yes);
  /* After a failed commit of a shard all its units fail until the worker, having dropped its memory, calls this. */
  void (*reset)(void *ctx, unsigned shard);
  /* Waits until everything given so far is durable or failed. */
  void (*flush)(void *ctx);

  /* Reading; any thread. A callback returns false to stop. CH_ERR_BUG if the database cannot be read. */
  ch_err (*channels)(void *ctx, bool (*each)(void *arg, const ch_hash *id, const uint8_t *record, size_t len),
                     void *arg);
  ch_err (*channel)(void *ctx, const ch_hash *id, uint8_t **record, size_t *len); /* CH_ERR_UNKNOWN_CHANNEL */
  ch_err (*pending)(void *ctx, const ch_hash *channel, ch_op **ops, size_t *n);   /* PENDING outgoing, in order */
  ch_err (*payments)(void *ctx, const cd_payment_filter *f, bool (*each)(void *arg, const cd_payment *p), void *arg);
  /* Events with their cause, and payments: those side by side of one version are one entry. `after`: seq above this. */
  ch_err (*history)(void *ctx, const ch_hash *channel, int64_t after, unsigned limit,
                    bool (*each)(void *arg, const cd_history *h), void *arg);

  /* The sender's rows, and small facts of the node (peers' addresses): durable on return. */
  ch_err (*txs)(void *ctx, bool unfinished_only, bool (*each)(void *arg, const cd_tx_row *row), void *arg);
  /* The one with this key, if there is one. */
  ch_err (*tx)(void *ctx, const ch_hash *key, bool (*each)(void *arg, const cd_tx_row *row), void *arg);
  ch_err (*tx_put)(void *ctx, const cd_tx_row *row);                         /* inserts or updates by key */
  ch_err (*peer_put)(void *ctx, const ch_pubkey *node, const char *address); /* NULL address: removes */
  ch_err (*peers)(void *ctx, bool (*each)(void *arg, const ch_pubkey *node, const char *address), void *arg);

  void (*close)(void *ctx); /* flushes, joins the commit thread, closes */
} cd_store_ops;

typedef struct cd_store {
  void *ctx;
  const cd_store_ops *ops;
} cd_store;

/* ------------------------------------------------------------------------------------------------
 * L1: a chain
 * ------------------------------------------------------------------------------------------------ */

typedef struct cd_head {
  uint64_t number, time; /* the last block processed */
  ch_hash hash;
  uint64_t final_number, final_time; /* deep enough to count */
} cd_head;

typedef struct cd_l1_listener {
  void *ctx;
  /* A new head has been processed. Comes after the views that belong to it. */
  void (*head)(void *ctx, const cd_head *head);
  /* The view of a watched channel changed (also called once after watch()). */
  void (*view)(void *ctx, const ch_hash *id, const ch_chain_view *view);
  /* What the chain shows of a watched hash changed (also called once after watch_hash()). Like a view it comes before
   * the head that it belongs to. */
  void (*reveal)(void *ctx, const ch_hash *id, const ch_reveal *reveal);
} cd_l1_listener;

typedef enum cd_sent {
  CD_SENT_OK = 1,      /* in the node's pool or mined */
  CD_SENT_KNOWN,       /* it had it already */
  CD_SENT_NONCE_LOW,   /* that nonce is used */
  CD_SENT_UNDERPRICED, /* something with this nonce pays more, or the pool asks for more: outbid it */
  CD_SENT_REFUSED,     /* for good, as these bytes: see why */
  CD_SENT_RETRY,       /* no answer, or a passing fault */
} cd_sent;

/* A call as the adapter encoded it. */
typedef struct cd_call {
  ch_amount value; /* native coin to send along */
  const uint8_t *data;
  size_t len;
} cd_call;

/* What is to be signed: made by prepare(). */
typedef struct cd_prepared {
  ch_amount value;
  uint8_t *data; /* malloc'ed */
  size_t len;
  uint64_t gas; /* limit; 0 on chains without gas */
} cd_prepared;

typedef enum cd_ready {
  CD_READY = 1,     /* sign it */
  CD_READY_AFTER,   /* another call has to be mined first, which is what was prepared (a token's approval) */
  CD_READY_REVERTS, /* it would fail now: see why */
  CD_READY_RETRY,   /* no answer, or a passing fault: see why */
} cd_ready;

/* Signed bytes that are not mined yet. */
typedef struct cd_bid {
  const uint8_t *raw;
  size_t len;
  uint64_t since, deadline; /* as in cd_tx_row */
  bool refused;             /* as underpriced: outbid now, whatever the schedule says */
} cd_bid;

typedef struct cd_receipt {
  enum { CD_RECEIPT_NONE = 0, CD_RECEIPT_OK, CD_RECEIPT_REVERTED } status;
  uint64_t block;
  bool final;
  ch_addr created; /* by a deployment, else zero */
  char error[200];
} cd_receipt;

/* What a token says of itself: to be shown to people, never to be computed with or relied on. */
typedef struct cd_token {
  char symbol[33]; /* printable */
  uint8_t decimals;
} cd_token;

typedef struct cd_l1_ops {
  const char *name; /* "dev", "evm" */
  ch_err (*chain)(void *ctx, ch_chain *out);
  /* The clock to use: chain seconds. */
  uint64_t (*now)(void *ctx);
  /* This node's account. */
  ch_err (*address)(void *ctx, ch_addr *out);
  ch_err (*balance)(void *ctx, const ch_addr *who, const ch_addr *asset, ch_amount *out);
  /* CH_ERR_FORMAT if it says nothing of use. NULL on chains whose tokens say nothing. */
  ch_err (*token)(void *ctx, const ch_addr *asset, cd_token *out);
  /* Encodes a call of the Adjudicator, or a plain transfer, as the adapter's own bytes (malloc'ed). Never waits. */
  ch_err (*encode_call)(void *ctx, const ch_tx *tx, uint8_t **data, size_t *len);
  ch_err (*encode_transfer)(void *ctx, const ch_addr *to, const ch_addr *asset, ch_amount amount, uint8_t **data,
                            size_t *len);
  /* The account's next unused nonce at the head. */
  ch_err (*nonce)(void *ctx, uint64_t *out);
  /* Makes calls ready to be signed: asks the chain whether they would succeed now, and what they need. Several (up to
   * `batch`, all of kind Close) become one transaction. `out` is filled on READY and AFTER. May wait for the chain. */
  cd_ready (*prepare)(void *ctx, const cd_call *calls, size_t n, cd_prepared *out, char why[200]);
  size_t batch; /* how many Close calls go into one transaction at most; below 2: none do */
  /* Whether two Close calls can be in one. NULL: any can. */
  bool (*together)(void *ctx, const cd_call *a, const cd_call *b);
  ch_err (*sign)(void *ctx, uint64_t nonce, const cd_prepared *what, uint8_t **raw, size_t *raw_len, ch_hash *hash);
  /* Signs the same with the same nonce and a higher fee, if the schedule asks for it by now: else *raw is NULL. NULL on
   * chains without fees. */
  ch_err (*outbid)(void *ctx, const cd_bid *bid, uint8_t **raw, size_t *raw_len, ch_hash *hash);
  cd_sent (*broadcast)(void *ctx, const uint8_t *raw, size_t len, char why[200]);
  /* `channel`: of a transaction that holds several calls, whether this channel's was executed. Zero: all of it. */
  ch_err (*receipt)(void *ctx, const ch_hash *hash, const ch_hash *channel, cd_receipt *out);
  /* The native coin that the fees of one dispute may take, from challenge to a settlement with `locks` conditional
   * payments pending (what revealing preimages costs aside). NULL on chains without fees. */
  ch_err (*dispute_cost)(void *ctx, uint32_t locks, ch_amount *out);
  /* The creation of an Adjudicator, as the adapter's own bytes (malloc'ed). NULL where it is part of the chain. */
  ch_err (*encode_deploy)(void *ctx, uint8_t **data, size_t *len);
  /* Starts following the chain; calls the listener from a thread of its own until stop(). */
  ch_err (*start)(void *ctx, const cd_l1_listener *listener);
  void (*watch)(void *ctx, const ch_hash *id);
  void (*unwatch)(void *ctx, const ch_hash *id);
  /* A hash of which a channel has to know whether its preimage is public, until unwatch_hash(). Watching it again has
   * it told again. NULL: this chain cannot tell, so there are no conditional payments. */
  void (*watch_hash)(void *ctx, const ch_hash *id, const ch_hash *hash);
  void (*unwatch_hash)(void *ctx, const ch_hash *id, const ch_hash *hash);
  /* Looks at the chain now rather than at the next poll. */
  void (*poke)(void *ctx);
  void (*stop)(void *ctx);
  /* Only for chains made for tests, else NULL. */
  ch_err (*faucet)(void *ctx, const ch_addr *to, const ch_addr *asset, ch_amount amount);
  ch_err (*mine)(void *ctx, unsigned blocks);
  ch_err (*warp)(void *ctx, uint64_t seconds);
  ch_err (*reorg)(void *ctx, unsigned depth, bool drop_transactions);
} cd_l1_ops;

typedef struct cd_l1 {
  void *ctx;
  const cd_l1_ops *ops;
} cd_l1;

/* ------------------------------------------------------------------------------------------------
 * Commands: what the faces (HTTP API, later others) may ask of the node
 * ------------------------------------------------------------------------------------------------ */

/* Classes of failure, so that a face can choose its status (HTTP: in parentheses). */
typedef enum cd_class {
  CD_OK = 0,      /* 200 */
  CD_ACCEPTED,    /* 202: under way, not finished when the wait was over */
  CD_BAD_REQUEST, /* 400 */
  CD_NOT_FOUND,   /* 404 */
  CD_CONFLICT,    /* 409: not possible in the present state, or the id was used for something else */
  CD_BUSY,        /* 429: a queue is full, try again */
  CD_INTERNAL,    /* 500: our bug */
  CD_BAD_GATEWAY, /* 502: the peer or the chain node refused or failed */
  CD_UNAVAILABLE, /* 503: not now: peer not connected, chain stale, stopping */
} cd_class;

/* Called exactly once, from any thread. `body` (owned by the receiver) is the result, or on failure
 * {"code": "stable_name", "message": "what happened", "hint": "what to do"}. */
typedef void (*cd_reply_fn)(void *ctx, cd_class cls, json_t *body);

typedef struct cd_commands {
  void *ctx;
  /* `method` is a name from proto/openapi.yaml's operationIds; `args` an object, owned by the callee. */
  void (*call)(void *ctx, const char *method, json_t *args, cd_reply_fn reply, void *reply_ctx);
} cd_commands;

#endif
