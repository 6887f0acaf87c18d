#include "erc20.h"

/* --- Calls ---------------------------------------------------------------------------------------------------------
 */

void cd_erc20_transfer(cd_bytes *out, const ch_addr *to, ch_amount amount) {
  cd_abi_put_selector(out, "transfer(address,uint256)");
  cd_abi_put_addr(out, to);
  cd_abi_put_amount(out, amount);
}

void cd_erc20_approve(cd_bytes *out, const ch_addr *spender, ch_amount amount) {
  cd_abi_put_selector(out, "approve(address,uint256)");
  cd_abi_put_addr(out, spender);
  cd_abi_put_amount(out, amount);
}

void cd_erc20_balance_of(cd_bytes *out, const ch_addr *who) {
  cd_abi_put_selector(out, "balanceOf(address)");
  cd_abi_put_addr(out, who);
}

void cd_erc20_allowance(cd_bytes *out, const ch_addr *owner, const ch_addr *spender) {
  cd_abi_put_selector(out, "allowance(address,address)");
  cd_abi_put_addr(out, owner);
  cd_abi_put_addr(out, spender);
}

/* --- Answers -------------------------------------------------------------------------------------------------------
 */

bool cd_erc20_read_amount(ch_amount *out, const uint8_t *data, size_t n) {
  if (n != CD_ABI_WORD) return false;
  if (ch_amount_from_word(out, data) != CH_OK) out->v = CH_MONEY_MAX;
  return true;
}

bool cd_erc20_read_hash(ch_hash *out, const uint8_t *data, size_t n) {
  if (n == CD_ABI_WORD) memcpy(out->b, data, n);
  return n == CD_ABI_WORD;
}

bool cd_erc20_read_decimals(uint8_t *out, const uint8_t *data, size_t n) {
  ch_amount value;
  if (n != CD_ABI_WORD || ch_amount_from_word(&value, data) != CH_OK || value.v > 77) return false;
  *out = (uint8_t)value.v;
  return true;
}

static bool take_text(char out[CD_ERC20_TEXT], const uint8_t *text, size_t n) {
  if (n == 0 || n >= CD_ERC20_TEXT) return false;
  for (size_t i = 0; i < n; i++) {
    if (text[i] < ' ' || text[i] > '~') return false;
  }
  memcpy(out, text, n);
  out[n] = '\0';
  return true;
}

static bool all_zero(const uint8_t *b, size_t n) {
  while (n > 0 && b[n - 1] == 0)
    n--;
  return n == 0;
}

bool cd_erc20_read_text(char out[CD_ERC20_TEXT], const uint8_t *data, size_t n) {
  if (n == CD_ABI_WORD) {
    size_t len = 0;
    while (len < n && data[len] != 0)
      len++;
    return all_zero(data + len, n - len) && take_text(out, data, len);
  }
  /* offset 32, length, one padded word: no longer text is taken */
  if (n != 3 * CD_ABI_WORD || !all_zero(data, 31) || data[31] != CD_ABI_WORD || !all_zero(data + 32, 31)) return false;
  size_t len = data[63];
  return len <= CD_ABI_WORD && all_zero(data + 64 + len, CD_ABI_WORD - len) && take_text(out, data + 64, len);
}

/* --- Signed consent ------------------------------------------------------------------------------------------------
 */

static void put_type(ch_keccak *k, const char *type) {
  ch_hash hash;
  ch_keccak256(&hash, type, strlen(type));
  ch_keccak_init(k);
  ch_keccak_update(k, hash.b, sizeof hash.b);
}

static void put_addr(ch_keccak *k, const ch_addr *a) {
  static const uint8_t zeros[12];
  ch_keccak_update(k, zeros, sizeof zeros);
  ch_keccak_update(k, a->b, sizeof a->b);
}

static void put_amount(ch_keccak *k, ch_amount value) {
  uint8_t word[CD_ABI_WORD];
  ch_amount_word(word, value);
  ch_keccak_update(k, word, sizeof word);
}

static void finish(ch_keccak *k, const ch_hash *domain, ch_hash *out) {
  static const uint8_t prefix[] = {0x19, 0x01};
  ch_hash content;
  ch_keccak_final(k, &content);
  ch_keccak_init(k);
  ch_keccak_update(k, prefix, sizeof prefix);
  ch_keccak_update(k, domain->b, sizeof domain->b);
  ch_keccak_update(k, content.b, sizeof content.b);
  ch_keccak_final(k, out);
}

void cd_erc20_domain(ch_hash *out, const char *name, const char *version, uint64_t chain_id, const ch_addr *token) {
  ch_keccak k;
  ch_hash hash;
  put_type(&k, "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
  ch_keccak256(&hash, name, strlen(name));
  ch_keccak_update(&k, hash.b, sizeof hash.b);
  ch_keccak256(&hash, version, strlen(version));
  ch_keccak_update(&k, hash.b, sizeof hash.b);
  put_amount(&k, ch_amount_of(chain_id));
  put_addr(&k, token);
  ch_keccak_final(&k, out);
}

void cd_erc20_permit_digest(ch_hash *out, const ch_hash *domain, const ch_addr *owner, const ch_addr *spender,
                            ch_amount amount, const ch_hash *nonce, uint64_t deadline) {
  ch_keccak k;
  put_type(&k, "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
  put_addr(&k, owner);
  put_addr(&k, spender);
  put_amount(&k, amount);
  ch_keccak_update(&k, nonce->b, sizeof nonce->b);
  put_amount(&k, ch_amount_of(deadline));
  finish(&k, domain, out);
}

void cd_erc20_receive_digest(ch_hash *out, const ch_hash *domain, const ch_addr *from, const ch_addr *to,
                             ch_amount amount, uint64_t valid_before, const ch_hash *nonce) {
  ch_keccak k;
  put_type(&k, "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,"
               "bytes32 nonce)");
  put_addr(&k, from);
  put_addr(&k, to);
  put_amount(&k, amount);
  put_amount(&k, ch_amount_of(0));
  put_amount(&k, ch_amount_of(valid_before));
  ch_keccak_update(&k, nonce->b, sizeof nonce->b);
  finish(&k, domain, out);
}
