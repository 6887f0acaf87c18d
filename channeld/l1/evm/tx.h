/* tx.h - the EVM's transactions and their bytes: legacy ones with replay protection (EIP-155) and those of EIP-1559.
 * Source: those two EIPs, EIP-2718 (types). Pure functions, any thread.
 */
#ifndef CHANNELD_L1_EVM_TX_H
#define CHANNELD_L1_EVM_TX_H

#include "channel/crypto.h"
#include "channel/money.h"

#define CD_EVM_TX_MAX 131072 /* bytes of a signed transaction that nodes take into their pools */

typedef enum cd_evm_tx_type { CD_EVM_LEGACY = 0, CD_EVM_1559 = 2 } cd_evm_tx_type;

typedef struct cd_evm_tx {
  cd_evm_tx_type type;
  uint64_t chain_id; /* legacy: below 2^62 */
  uint64_t nonce;
  uint64_t max_fee;  /* wei for each unit of gas; the gas price of a legacy one */
  uint64_t priority; /* of max_fee, what the block's producer gets at most; a legacy one has none */
  uint64_t gas;      /* limit */
  bool creates;      /* makes a contract: `to` is not looked at */
  ch_addr to;
  ch_amount value; /* wei */
  const uint8_t *data;
  size_t data_len;
} cd_evm_tx;

/* What is signed. CH_ERR_ARGUMENT if the transaction is malformed, CH_ERR_NO_MEMORY. */
ch_err cd_evm_tx_digest(ch_hash *out, const cd_evm_tx *tx) CH_MUST_CHECK;
/* Signs. `raw` is malloc'ed, the caller's; `hash` is the transaction's. */
ch_err cd_evm_tx_sign(const cd_evm_tx *tx, const ch_secret *key, uint8_t **raw, size_t *len,
                      ch_hash *hash) CH_MUST_CHECK;
/* Takes exactly what cd_evm_tx_sign makes (no access list), and finds who signed it. out->data points into `raw`.
 * CH_ERR_FORMAT, CH_ERR_SIGNATURE, CH_ERR_NO_MEMORY. */
ch_err cd_evm_tx_decode(cd_evm_tx *out, ch_addr *sender, const uint8_t *raw, size_t len) CH_MUST_CHECK;

#endif
