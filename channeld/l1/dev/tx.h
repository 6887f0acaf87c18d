/* tx.h - transactions of the embedded chain and their bytes (proto/devchain.proto). Pure functions, any thread. */
#ifndef CHANNELD_L1_DEV_TX_H
#define CHANNELD_L1_DEV_TX_H

#include "channel/adjudicator.h"

#define CD_DEV_TX_MAX 25000   /* bytes of a signed transaction */
#define CD_DEV_DATA_MAX 24576 /* bytes of a batch's calls */

typedef enum cd_dev_kind {
  CD_DEV_TRANSFER = 1,
  CD_DEV_CALL = 2,
  CD_DEV_MINT = 3,
  CD_DEV_BATCH = 4,
  CD_DEV_REFUSE = 5,
} cd_dev_kind;

/* What a transaction does. Once decoded it must not be copied: a settlement's locks lie in `data`. */
typedef struct cd_dev_body {
  cd_dev_kind kind;
  union {
    struct {
      ch_addr to, asset;
      ch_amount amount;
    } transfer; /* and mint */
    ch_tx call;
    size_t batch_len; /* of the calls in `data`: cd_dev_batch_next reads them */
    bool refuse;
  } u;
  uint8_t data[CD_DEV_DATA_MAX];
} cd_dev_body;

/* One call of a batch. Not to be copied either. */
typedef struct cd_dev_call {
  ch_tx tx;
  uint8_t locks[CH_LOCKS_BYTES_MAX];
} cd_dev_call;

typedef struct cd_dev_tx {
  uint64_t chain_id;
  ch_addr sender;
  uint64_t nonce;
  ch_amount value; /* native coin for the Adjudicator; zero unless the body is a call or a batch */
  cd_dev_body body;
} cd_dev_tx;

/* Encodes a body: what the adapter keeps until it is signed. `out` has CD_DEV_TX_MAX bytes. Returns the length, or 0 if
 * the body is malformed. */
size_t cd_dev_body_encode(uint8_t *out, const cd_dev_body *body);
/* CH_ERR_FORMAT on anything but the one encoding of a well-formed body. */
ch_err cd_dev_body_decode(cd_dev_body *out, const uint8_t *in, size_t len) CH_MUST_CHECK;

/* Joins encoded calls (bodies of kind CALL, all CLOSE, all SETTLE or all REVEAL) into the body of a batch.
 * CH_ERR_ARGUMENT if they do not go together or are too long. */
ch_err cd_dev_batch_of(cd_dev_body *out, const uint8_t *const *bodies, const size_t *lens, size_t n) CH_MUST_CHECK;
/* The call at data[*at] of a decoded batch; raises *at behind it. False at the end: decoding has checked all of them.
 */
bool cd_dev_batch_next(const cd_dev_body *batch, size_t *at, cd_dev_call *out);

/* Signs with the key of an account; tx->sender is not looked at. `raw` has CD_DEV_TX_MAX bytes. */
ch_err cd_dev_tx_sign(uint8_t *raw, size_t *len, const cd_dev_tx *tx, const ch_secret *key) CH_MUST_CHECK;
/* CH_ERR_FORMAT on anything but the one encoding of a well-formed transaction, CH_ERR_SIGNATURE if it was not signed by
 * its sender. */
ch_err cd_dev_tx_decode(cd_dev_tx *out, const uint8_t *raw, size_t len) CH_MUST_CHECK;
/* keccak256 of the signed bytes. */
void cd_dev_tx_hash(ch_hash *out, const uint8_t *raw, size_t len);

#endif
