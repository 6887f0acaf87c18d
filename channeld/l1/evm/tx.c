#include "tx.h"

#include <stdlib.h>

#include "rlp.h"

#define LEGACY_CHAIN_MAX ((uint64_t)1 << 62) /* v = 2 * chain id + 36 stays far below 2^64 */

/* r, s and the parity of the nonce point, of a compact signature (ERC-2098). */
typedef struct parts {
  uint8_t r[32], s[32];
  uint8_t parity;
} parts;

static parts split(const ch_sig *sig) {
  parts p;
  memcpy(p.r, sig->b, 32);
  memcpy(p.s, sig->b + 32, 32);
  p.parity = p.s[0] >> 7;
  p.s[0] &= 0x7f;
  return p;
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */

static void put_trimmed(cd_bytes *to, const uint8_t word[32]) {
  size_t zeros = 0;
  while (zeros < 32 && word[zeros] == 0)
    zeros++;
  cd_rlp_put(to, word + zeros, 32 - zeros);
}

static void put_signature(cd_bytes *to, const cd_evm_tx *tx, const parts *sig) {
  uint64_t v = tx->type == CD_EVM_1559 ? sig->parity : 2 * tx->chain_id + 35 + sig->parity;
  cd_rlp_put_uint(to, v);
  put_trimmed(to, sig->r);
  put_trimmed(to, sig->s);
}

/* With a signature the transaction, without one what is signed. */
static void put_tx(cd_bytes *to, const cd_evm_tx *tx, const parts *sig) {
  bool legacy = tx->type == CD_EVM_LEGACY;
  if (!legacy) cd_bytes_put(to, &(uint8_t){CD_EVM_1559}, 1);
  size_t list = cd_rlp_open(to);
  if (!legacy) cd_rlp_put_uint(to, tx->chain_id);
  cd_rlp_put_uint(to, tx->nonce);
  if (!legacy) cd_rlp_put_uint(to, tx->priority);
  cd_rlp_put_uint(to, tx->max_fee);
  cd_rlp_put_uint(to, tx->gas);
  cd_rlp_put(to, tx->to.b, tx->creates ? 0 : sizeof tx->to.b);
  cd_rlp_put_uint(to, tx->value.v);
  cd_rlp_put(to, tx->data, tx->data_len);
  if (!legacy) cd_rlp_close(to, cd_rlp_open(to)); /* no access list */
  if (sig != NULL) {
    put_signature(to, tx, sig);
  } else if (legacy) {
    cd_rlp_put_uint(to, tx->chain_id);
    cd_rlp_put_uint(to, 0);
    cd_rlp_put_uint(to, 0);
  }
  cd_rlp_close(to, list);
}

static bool is_well_formed(const cd_evm_tx *tx) {
  if (tx->chain_id == 0 || tx->value.v > CH_MONEY_MAX || tx->data_len > CD_EVM_TX_MAX) return false;
  return tx->type == CD_EVM_1559 ? tx->priority <= tx->max_fee : tx->priority == 0 && tx->chain_id < LEGACY_CHAIN_MAX;
}

ch_err cd_evm_tx_digest(ch_hash *out, const cd_evm_tx *tx) {
  cd_bytes bytes = {0};
  uint8_t *b;
  size_t n;
  if (!is_well_formed(tx)) return CH_ERR_ARGUMENT;
  put_tx(&bytes, tx, NULL);
  ch_err err = cd_bytes_take(&bytes, &b, &n);
  if (err != CH_OK) return err;
  ch_keccak256(out, b, n);
  free(b);
  return CH_OK;
}

ch_err cd_evm_tx_sign(const cd_evm_tx *tx, const ch_secret *key, uint8_t **raw, size_t *len, ch_hash *hash) {
  ch_hash digest;
  ch_sig sig;
  cd_bytes bytes = {0};
  ch_err err = cd_evm_tx_digest(&digest, tx);
  if (err == CH_OK) err = ch_sign(&sig, &digest, key);
  if (err != CH_OK) return err;
  parts p = split(&sig);
  put_tx(&bytes, tx, &p);
  err = cd_bytes_take(&bytes, raw, len);
  if (err == CH_OK) ch_keccak256(hash, *raw, *len);
  return err;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

/* Numbers in order; the first that is malformed spoils the rest. */
static uint64_t get_u64(cd_rlp *from, ch_err *err) {
  ch_u128 value = 0;
  if (*err == CH_OK) *err = cd_rlp_get_uint(from, UINT64_MAX, &value);
  return (uint64_t)value;
}

static void get_word(cd_rlp *from, uint8_t word[32], ch_err *err) {
  cd_rlp bytes;
  if (*err == CH_OK) *err = cd_rlp_get(from, &bytes);
  if (*err != CH_OK) return;
  if (bytes.n > 32 || (bytes.n > 0 && bytes.b[0] == 0)) {
    *err = CH_ERR_FORMAT;
    return;
  }
  memset(word, 0, 32);
  if (bytes.n > 0) memcpy(word + 32 - bytes.n, bytes.b, bytes.n);
}

static void get_call(cd_rlp *from, cd_evm_tx *out, ch_err *err) {
  cd_rlp to, data;
  if (*err == CH_OK) *err = cd_rlp_get(from, &to);
  if (*err == CH_OK) *err = cd_rlp_get_uint(from, CH_MONEY_MAX, &out->value.v);
  if (*err == CH_OK) *err = cd_rlp_get(from, &data);
  if (*err == CH_OK && to.n != 0 && to.n != sizeof out->to.b) *err = CH_ERR_FORMAT;
  if (*err != CH_OK) return;
  out->creates = to.n == 0;
  if (!out->creates) memcpy(out->to.b, to.b, to.n);
  out->data = data.b;
  out->data_len = data.n;
}

/* The parity from v, and for a legacy transaction the chain. */
static ch_err read_v(cd_evm_tx *out, uint64_t v, uint8_t *parity) {
  if (out->type == CD_EVM_LEGACY) {
    if (v < 37) return CH_ERR_FORMAT;
    out->chain_id = (v - 35) / 2;
    v = (v - 35) % 2;
  }
  *parity = (uint8_t)(v & 1);
  return v > 1 ? CH_ERR_FORMAT : CH_OK;
}

static ch_err get_signature(cd_rlp *from, cd_evm_tx *out, ch_sig *sig) {
  ch_err err = CH_OK;
  uint8_t parity = 0;
  uint64_t v = get_u64(from, &err);
  get_word(from, sig->b, &err);
  get_word(from, sig->b + 32, &err);
  if (err == CH_OK) err = read_v(out, v, &parity);
  if (err != CH_OK) return err;
  if (sig->b[32] & 0x80) return CH_ERR_SIGNATURE;
  sig->b[32] |= (uint8_t)(parity << 7);
  return CH_OK;
}

ch_err cd_evm_tx_decode(cd_evm_tx *out, ch_addr *sender, const uint8_t *raw, size_t len) {
  cd_rlp all = {raw, len}, list, access = {0};
  ch_hash digest;
  ch_sig sig;
  if (len == 0 || len > CD_EVM_TX_MAX) return CH_ERR_FORMAT;
  *out = (cd_evm_tx){.type = raw[0] == CD_EVM_1559 ? CD_EVM_1559 : CD_EVM_LEGACY};
  bool legacy = out->type == CD_EVM_LEGACY;
  if (!legacy) all = (cd_rlp){raw + 1, len - 1};
  ch_err err = cd_rlp_get_list(&all, &list);
  if (err == CH_OK && all.n > 0) err = CH_ERR_FORMAT;
  if (!legacy) out->chain_id = get_u64(&list, &err);
  out->nonce = get_u64(&list, &err);
  if (!legacy) out->priority = get_u64(&list, &err);
  out->max_fee = get_u64(&list, &err);
  out->gas = get_u64(&list, &err);
  get_call(&list, out, &err);
  if (err == CH_OK && !legacy) err = cd_rlp_get_list(&list, &access);
  if (err == CH_OK && access.n > 0) err = CH_ERR_FORMAT;
  if (err == CH_OK) err = get_signature(&list, out, &sig);
  if (err == CH_OK && (list.n > 0 || !is_well_formed(out))) err = CH_ERR_FORMAT;
  if (err == CH_OK) err = cd_evm_tx_digest(&digest, out);
  return err == CH_OK ? ch_recover(sender, &digest, &sig) : err;
}
