/* lock.c - the encoding of locks (proto/protocol.md, section 6). */
#include "channel/lock.h"

#include <sodium.h>

#define AMOUNT_BYTES 14
#define EXPIRY_BYTES 5
#define GAS_BYTES 4
#define LENGTH_BYTES 2

_Static_assert(AMOUNT_BYTES + 1 + EXPIRY_BYTES + sizeof(ch_addr) + GAS_BYTES + LENGTH_BYTES == CH_LOCK_HEAD,
               "the head's fields");

/* Big-endian. */
static uint8_t *put(uint8_t *p, ch_u128 v, size_t bytes) {
  for (size_t i = bytes; i-- > 0; v >>= 8) {
    p[i] = (uint8_t)v;
  }
  return p + bytes;
}

static ch_u128 get(const uint8_t **p, size_t bytes) {
  ch_u128 v = 0;
  for (size_t i = 0; i < bytes; i++) {
    v = v << 8 | *(*p)++;
  }
  return v;
}

ch_err ch_lock_check(const ch_lock *l) {
  if (l->amount.v > CH_MONEY_MAX || l->payer > 1 || l->expiry > CH_LOCK_EXPIRY_MAX) {
    return CH_ERR_ARGUMENT;
  }
  bool fits = !ch_lock_is_hash(l) || (l->gas == 0 && l->payload_len == CH_LOCK_HASH_LEN);
  return fits ? CH_OK : CH_ERR_ARGUMENT;
}

ch_err ch_lock_encode(uint8_t *out, size_t size, size_t *len, const ch_lock *l) {
  if (ch_lock_check(l) != CH_OK || *len > size || size - *len < ch_lock_size(l)) {
    return CH_ERR_ARGUMENT;
  }
  uint8_t *p = put(out + *len, l->amount.v, AMOUNT_BYTES);
  *p++ = l->payer;
  p = put(p, l->expiry, EXPIRY_BYTES);
  memcpy(p, l->condition.b, sizeof l->condition.b);
  p = put(p + sizeof l->condition.b, l->gas, GAS_BYTES);
  p = put(p, l->payload_len, LENGTH_BYTES);
  if (l->payload_len > 0) {
    memcpy(p, l->payload, l->payload_len);
  }
  *len += ch_lock_size(l);
  return CH_OK;
}

ch_err ch_lock_decode(ch_lock *out, const uint8_t *in, size_t len, size_t *at) {
  ch_lock l;
  if (*at > len || len - *at < CH_LOCK_HEAD) {
    return CH_ERR_FORMAT;
  }
  const uint8_t *p = in + *at;
  l.amount.v = get(&p, AMOUNT_BYTES);
  l.payer = *p++;
  l.expiry = (uint64_t)get(&p, EXPIRY_BYTES);
  memcpy(l.condition.b, p, sizeof l.condition.b);
  p += sizeof l.condition.b;
  l.gas = (uint32_t)get(&p, GAS_BYTES);
  l.payload_len = (uint16_t)get(&p, LENGTH_BYTES);
  l.payload = p;
  if (len - *at < ch_lock_size(&l) || ch_lock_check(&l) != CH_OK) {
    return CH_ERR_FORMAT;
  }
  *at += ch_lock_size(&l);
  *out = l;
  return CH_OK;
}

ch_err ch_locks_count(size_t *n, const uint8_t *in, size_t len) {
  size_t found = 0;
  for (size_t at = 0; at < len; found++) {
    ch_lock l;
    ch_err err = ch_lock_decode(&l, in, len, &at);
    if (err != CH_OK) {
      return err;
    }
  }
  if (n != NULL) {
    *n = found;
  }
  return CH_OK;
}

void ch_locks_hash(ch_hash *out, const uint8_t *in, size_t len) {
  memset(out, 0, sizeof *out);
  if (len > 0) {
    ch_keccak256(out, in, len);
  }
}

void ch_preimage_hash(ch_hash *out, const ch_hash *preimage) {
  crypto_hash_sha256(out->b, preimage->b, sizeof preimage->b);
}
