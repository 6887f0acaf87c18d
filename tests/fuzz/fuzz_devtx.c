/* Transactions of the embedded chain: any bytes are refused, or the one encoding of what was read from them. */
#include "fuzz.h"
#include "l1/dev/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static cd_dev_tx tx;
  static cd_dev_body body;
  static cd_dev_call call;
  static uint8_t again[CD_DEV_TX_MAX];
  size_t at = 0;
  if (cd_dev_tx_decode(&tx, data, size) == CH_OK) must(size <= CD_DEV_TX_MAX, "a transaction has a bound");
  if (cd_dev_body_decode(&body, data, size) != CH_OK) return 0;
  must(cd_dev_body_encode(again, &body) == size && memcmp(again, data, size) == 0, "one encoding");
  if (body.kind == CD_DEV_BATCH)
    while (cd_dev_batch_next(&body, &at, &call))
      must(at <= body.u.batch_len, "calls lie within the batch");
  return 0;
}
