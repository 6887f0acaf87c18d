/* evm_sign.c - signs transactions of an EVM chain, for tests: each line of standard input
 *
 *   TYPE CHAIN NONCE MAX_FEE PRIORITY GAS TO VALUE DATA KEY     TYPE 0 or 2; TO and DATA hex, or - for none
 *
 * gives a line with the signed transaction in hex. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "l1/evm/tx.h"

#define TEXT 4100

static int die(const char *what) {
  fprintf(stderr, "evm_sign: %s\n", what);
  return 1;
}

static bool read_tx(const char *line, cd_evm_tx *tx, uint8_t *data, ch_secret *key) {
  static char to[TEXT], value[TEXT], hex[TEXT], secret[TEXT];
  int type;
  *tx = (cd_evm_tx){0};
  if (sscanf(line, "%d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %4000s %4000s %4000s %4000s", &type,
             &tx->chain_id, &tx->nonce, &tx->max_fee, &tx->priority, &tx->gas, to, value, hex, secret) != 10)
    return false;
  tx->type = type == 0 ? CD_EVM_LEGACY : CD_EVM_1559;
  tx->creates = strcmp(to, "-") == 0;
  tx->data = data;
  tx->data_len = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
  return (tx->creates || ch_unhex(tx->to.b, sizeof tx->to.b, to)) && ch_amount_parse(&tx->value, value) == CH_OK &&
         (tx->data_len == 0 || ch_unhex(data, tx->data_len, hex)) && ch_unhex(key->b, sizeof key->b, secret);
}

int main(void) {
  static char line[4 * TEXT];
  static uint8_t data[TEXT];
  if (sodium_init() < 0) return die("no libsodium");
  while (fgets(line, sizeof line, stdin) != NULL) {
    cd_evm_tx tx;
    ch_secret key;
    ch_hash hash;
    uint8_t *raw;
    size_t len;
    if (!read_tx(line, &tx, data, &key)) return die("a line is malformed");
    if (cd_evm_tx_sign(&tx, &key, &raw, &len, &hash) != CH_OK) return die("a transaction cannot be signed");
    for (size_t i = 0; i < len; i++)
      printf("%02x", raw[i]);
    putchar('\n');
    free(raw);
  }
  return 0;
}
