/* lock.h - a lock: one pending conditional transfer inside a channel's state, and its one encoding.
 *
 * Source: proto/protocol.md, sections 3 (locksHash) and 6. Encoded locks follow each other without anything between:
 *   amount (14 bytes) || payer (1) || expiry (5) || condition (20) || gas (4) || payload length (2) || payload
 * Pure functions, thread-safe. A ch_lock borrows its payload; nothing here allocates.
 */
#ifndef CHANNEL_LOCK_H
#define CHANNEL_LOCK_H

#include "crypto.h"
#include "money.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CH_LOCK_HEAD 46     /* bytes before the payload */
#define CH_LOCK_HASH_LEN 32 /* a hash lock's payload: the sha256 of a 32-byte preimage */
#define CH_LOCK_EXPIRY_MAX (((uint64_t)1 << 40) - 1)
/* What an engine, the peer's messages and the embedded chain hold at most; the Adjudicator itself knows no limit but
 * gas. What the parties agree on may be less. */
#define CH_LOCKS_MAX 128
#define CH_LOCKS_BYTES_MAX 16384
#define CH_LOCK_PAYLOAD_MAX 1024

/* `amount` moves from side `payer` to the other if the condition says so, otherwise nothing does. */
typedef struct ch_lock {
  ch_amount amount;
  uint8_t payer;     /* side 0 or 1 */
  uint64_t expiry;   /* chain seconds, 40 bits, inclusive: a reveal in this second still counts */
  ch_addr condition; /* zero: a hash lock; else the contract that is asked */
  uint32_t gas;      /* cap for asking it; 0 for a hash lock */
  uint16_t payload_len;
  const uint8_t *payload; /* borrowed; a hash lock's is the hash, a contract's is passed to it */
} ch_lock;

static inline bool ch_lock_is_hash(const ch_lock *l) {
  static const ch_addr none = {{0}};
  return ch_addr_eq(&l->condition, &none);
}
/* A hash lock's hash, copied. */
static inline ch_hash ch_lock_hash(const ch_lock *l) {
  ch_hash h;
  memcpy(h.b, l->payload, sizeof h.b);
  return h;
}

/* How long its encoding is. */
static inline size_t ch_lock_size(const ch_lock *l) {
  return CH_LOCK_HEAD + (size_t)l->payload_len;
}
/* CH_OK if it can be encoded: amount and expiry in range, payer 0 or 1, a hash lock with gas 0 and 32 bytes. */
CH_API ch_err ch_lock_check(const ch_lock *l) CH_MUST_CHECK;
/* Appends the encoding at out[*len] and raises *len; CH_ERR_ARGUMENT if ch_lock_check refuses it or it does not fit
 * into `size` bytes, with nothing changed. */
CH_API ch_err ch_lock_encode(uint8_t *out, size_t size, size_t *len, const ch_lock *l) CH_MUST_CHECK;
/* The lock at in[*at]; raises *at behind it. out->payload points into `in`. CH_ERR_FORMAT on anything but the encoding
 * of a lock, with *at unchanged. Loop while *at < len. */
CH_API ch_err ch_lock_decode(ch_lock *out, const uint8_t *in, size_t len, size_t *at) CH_MUST_CHECK;
/* Walks through all of them: CH_ERR_FORMAT unless all of `in` is locks. `n` (may be NULL) receives their number. */
CH_API ch_err ch_locks_count(size_t *n, const uint8_t *in, size_t len) CH_MUST_CHECK;

/* locksHash = keccak256 of the encoded locks; 32 zero bytes for none. */
CH_API void ch_locks_hash(ch_hash *out, const uint8_t *in, size_t len);

/* The sha256 of a preimage, as hash locks and the Adjudicator's `reveal` use it. */
CH_API void ch_preimage_hash(ch_hash *out, const ch_hash *preimage);

#ifdef __cplusplus
}
#endif
#endif
