/* abi.h - calls of the Adjudicator as calldata. Source: proto/evm (the contract's functions and how their arguments are
 * packed), the Solidity contract ABI specification. Pure functions, any thread.
 */
#ifndef CHANNELD_L1_EVM_ABI_H
#define CHANNELD_L1_EVM_ABI_H

#include "bytes.h"
#include "channel/adjudicator.h"

#define CD_ABI_WORD 32
#define CD_ABI_SELECTOR 4

/* The first four bytes of keccak256(signature), which is what calls and errors are told apart by. */
void cd_abi_selector(uint8_t out[CD_ABI_SELECTOR], const char *signature);
/* Appends a selector, and words. */
void cd_abi_put_selector(cd_bytes *to, const char *signature);
void cd_abi_put_u64(cd_bytes *to, uint64_t value);
void cd_abi_put_amount(cd_bytes *to, ch_amount value);
void cd_abi_put_addr(cd_bytes *to, const ch_addr *addr);
void cd_abi_put_hash(cd_bytes *to, const ch_hash *hash);
/* The length, and the bytes padded with zeros to whole words. */
void cd_abi_put_tail(cd_bytes *to, const uint8_t *bytes, size_t n);

/* Appends the call. What `sender` consents to by sending it is left out, which is cheaper: its own signature when it is
 * a payee, the signed challenge when it is the challenger. CH_ERR_ARGUMENT if `tx` is malformed. */
ch_err cd_abi_call(cd_bytes *to, const ch_tx *tx, const ch_addr *sender) CH_MUST_CHECK;

/* One call's bytes, as cd_abi_call made them. */
typedef struct cd_abi_data {
  const uint8_t *b;
  size_t n;
} cd_abi_data;

/* Whether two Close calls of one sender can be made by one call: it is a payee of both channels, they have the same
 * asset, and each net fits into 96 bits. */
bool cd_abi_together(const cd_abi_data *a, const cd_abi_data *b);
/* Appends the one call that closes all of these channels. CH_ERR_ARGUMENT if they cannot go together. */
ch_err cd_abi_close_batch(cd_bytes *to, const cd_abi_data *closes, size_t n, const ch_addr *sender) CH_MUST_CHECK;
/* Appends the call that reveals all of these preimages. */
void cd_abi_reveal_batch(cd_bytes *to, const ch_hash *preimages, size_t n);

/* The token and the amount that a call takes from its sender; false if it takes none. */
bool cd_abi_takes(const uint8_t *data, size_t n, ch_addr *asset, ch_amount *amount);

/* Why the contract reverted, from what a failed call returned: a sentence (with its NUL in `why`). */
void cd_abi_revert(char why[200], const uint8_t *data, size_t n);

#endif
