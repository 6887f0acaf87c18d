/* rlp.h - RLP, the encoding of the EVM's transactions. Source: Ethereum yellow paper, appendix B.
 *
 * Writing appends to a cd_bytes; a list is opened, filled and closed. Reading is strict: only the shortest form of
 * each item is taken. Pure functions, any thread.
 */
#ifndef CHANNELD_L1_EVM_RLP_H
#define CHANNELD_L1_EVM_RLP_H

#include "bytes.h"
#include "channel/money.h"

void cd_rlp_put(cd_bytes *to, const void *bytes, size_t n);
/* A number: big-endian without leading zeros. */
void cd_rlp_put_uint(cd_bytes *to, ch_u128 value);
/* Opens a list; the result goes to cd_rlp_close once its items are written. */
size_t cd_rlp_open(const cd_bytes *to);
void cd_rlp_close(cd_bytes *to, size_t opened);

/* What is left to read. */
typedef struct cd_rlp {
  const uint8_t *b;
  size_t n;
} cd_rlp;

/* Takes the next item's contents, which must be of the wanted kind. CH_ERR_FORMAT if there is none, or it is of the
 * other kind, or is not in its shortest form. */
ch_err cd_rlp_get(cd_rlp *from, cd_rlp *contents) CH_MUST_CHECK;
ch_err cd_rlp_get_list(cd_rlp *from, cd_rlp *contents) CH_MUST_CHECK;
/* A number up to `max`, without leading zeros. */
ch_err cd_rlp_get_uint(cd_rlp *from, ch_u128 max, ch_u128 *value) CH_MUST_CHECK;

#endif
