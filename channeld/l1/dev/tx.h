/* tx.h - transactions of the embedded chain and their bytes (proto/devchain.proto). Pure functions, any thread. */
#ifndef CHANNELD_L1_DEV_TX_H
#define CHANNELD_L1_DEV_TX_H

#include "channel/adjudicator.h"

#define CD_DEV_TX_MAX 700 /* bytes of a signed transaction */

typedef enum cd_dev_kind { CD_DEV_TRANSFER = 1, CD_DEV_CALL = 2, CD_DEV_MINT = 3 } cd_dev_kind;

/* What a transaction does. */
typedef struct cd_dev_body {
  cd_dev_kind kind;
  union {
    struct {
      ch_addr to, asset;
      ch_amount amount;
    } transfer; /* and mint */
    ch_tx call;
  } u;
} cd_dev_body;

typedef struct cd_dev_tx {
  uint64_t chain_id;
  ch_addr sender;
  uint64_t nonce;
  ch_amount value; /* native coin for the Adjudicator; zero unless the body is a call */
  cd_dev_body body;
} cd_dev_tx;

/* Encodes a body: what the adapter keeps until it is signed. `out` has CD_DEV_TX_MAX bytes. Returns the length, or 0 if
 * the body is malformed. */
size_t cd_dev_body_encode(uint8_t *out, const cd_dev_body *body);
/* CH_ERR_FORMAT on anything but the one encoding of a well-formed body. */
ch_err cd_dev_body_decode(cd_dev_body *out, const uint8_t *in, size_t len) CH_MUST_CHECK;

/* Signs with the key of an account; tx->sender is not looked at. `raw` has CD_DEV_TX_MAX bytes. */
ch_err cd_dev_tx_sign(uint8_t *raw, size_t *len, const cd_dev_tx *tx, const ch_secret *key) CH_MUST_CHECK;
/* CH_ERR_FORMAT on anything but the one encoding of a well-formed transaction, CH_ERR_SIGNATURE if it was not signed by
 * its sender. */
ch_err cd_dev_tx_decode(cd_dev_tx *out, const uint8_t *raw, size_t len) CH_MUST_CHECK;
/* keccak256 of the signed bytes. */
void cd_dev_tx_hash(ch_hash *out, const uint8_t *raw, size_t len);

#endif
