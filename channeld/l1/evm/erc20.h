/* erc20.h - calls of tokens, and what tokens say. Source: ERC-20, ERC-2612 (permit), EIP-3009 (authorizations).
 *
 * A token is a stranger's contract: what it returns is parsed strictly and shown only as printable text.
 */
#ifndef CHANNELD_L1_EVM_ERC20_H
#define CHANNELD_L1_EVM_ERC20_H

#include "abi.h"

#define CD_ERC20_TEXT 33 /* bytes of a symbol or name with its NUL: longer ones are refused */

/* --- Calls: calldata is appended --- */
void cd_erc20_transfer(cd_bytes *out, const ch_addr *to, ch_amount amount);
void cd_erc20_approve(cd_bytes *out, const ch_addr *spender, ch_amount amount);
void cd_erc20_balance_of(cd_bytes *out, const ch_addr *who);
void cd_erc20_allowance(cd_bytes *out, const ch_addr *owner, const ch_addr *spender);

/* --- Answers: false on anything but the one form --- */
/* A money value; what is more than CH_MONEY_MAX (an allowance without end) becomes that. */
bool cd_erc20_read_amount(ch_amount *out, const uint8_t *data, size_t n) CH_MUST_CHECK;
bool cd_erc20_read_hash(ch_hash *out, const uint8_t *data, size_t n) CH_MUST_CHECK;
/* decimals(): 0 to 77, which is all that a 256-bit number has. */
bool cd_erc20_read_decimals(uint8_t *out, const uint8_t *data, size_t n) CH_MUST_CHECK;
/* symbol(), name() or version(): a string, or as some old tokens have it a bytes32 with zeros behind. 1 to 32 printable
 * ASCII bytes. */
bool cd_erc20_read_text(char out[CD_ERC20_TEXT], const uint8_t *data, size_t n) CH_MUST_CHECK;

/* --- Signed consent instead of an approval --- */

/* The EIP-712 domain of a token: name, version, chain and its address. */
void cd_erc20_domain(ch_hash *out, const char *name, const char *version, uint64_t chain_id, const ch_addr *token);
/* What a permit (ERC-2612) signs. */
void cd_erc20_permit_digest(ch_hash *out, const ch_hash *domain, const ch_addr *owner, const ch_addr *spender,
                            ch_amount amount, const ch_hash *nonce, uint64_t deadline);
/* What a ReceiveWithAuthorization (EIP-3009) signs; it is valid from the beginning of time. */
void cd_erc20_receive_digest(ch_hash *out, const ch_hash *domain, const ch_addr *from, const ch_addr *to,
                             ch_amount amount, uint64_t valid_before, const ch_hash *nonce);

#endif
