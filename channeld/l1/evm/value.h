/* value.h - values as a node writes them in JSON, strictly. Source: EIP-1474 (quantities, unformatted data).
 *
 * Each reader returns false on anything but exactly what it names (NULL and other JSON types included), and leaves *out
 * unspecified then.
 */
#ifndef CHANNELD_L1_EVM_VALUE_H
#define CHANNELD_L1_EVM_VALUE_H

#include <jansson.h>

#include "channel/money.h"
#include "channel/types.h"

/* "0x0", "0x1f": no leading zeros, at most 64 bits. */
bool cd_value_u64(const json_t *v, uint64_t *out) CH_MUST_CHECK;
/* A quantity of up to 256 bits, as a big-endian word. */
bool cd_value_word(const json_t *v, uint8_t out[32]) CH_MUST_CHECK;
/* The same as money; what is more than CH_MONEY_MAX (a node made for trying things gives such balances) becomes that.
 */
bool cd_value_amount(const json_t *v, ch_amount *out) CH_MUST_CHECK;
/* "0x" and exactly 2*n digits. */
bool cd_value_bytes(const json_t *v, uint8_t *out, size_t n) CH_MUST_CHECK;
/* "0x" and an even number of digits, at most `max` bytes: malloc'ed, never NULL. */
bool cd_value_data(const json_t *v, size_t max, uint8_t **out, size_t *len) CH_MUST_CHECK;

/* To JSON: new references, NULL if memory is out. */
json_t *cd_value_of_u64(uint64_t n);
json_t *cd_value_of_bytes(const uint8_t *bytes, size_t n);

#endif
