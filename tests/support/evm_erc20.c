/* evm_erc20.c - the tokens of proto/evm/test/tokens: the strict one, and OpenZeppelin's with permit and authorizations.
 * Their words lie where the contracts have them. */
#include "l1/evm/erc20.h"

#include "channel/crypto.h"
#include "evm_call.h"

/* State variables, by number. */
#define BALANCES 0
#define ALLOWANCES 1
#define SUPPLY 2      /* OpenZeppelin's */
#define NONCES 7      /* its permit's */
#define USED_NONCES 8 /* its authorizations' */

#define MORE_THAN_ANY (~(ch_u128)0)

/* One call of one token. */
typedef struct token {
  evm_run *r;
  const evm_msg *m;
  evm_out *out;
  const ch_addr *self;
  evm_code kind;
} token;

static bool is_strict(const token *t) {
  return t->kind == EVM_TOKEN_STRICT;
}

static const char *name_of(const token *t) {
  static const char *const names[] = {"Strict Token", "Permit Token", "Test Token"};
  return names[t->kind - EVM_TOKEN_STRICT];
}

static const char *symbol_of(const token *t) {
  static const char *const symbols[] = {"STRICT", "PERMIT", "TEST"};
  return symbols[t->kind - EVM_TOKEN_STRICT];
}

/* --- Words -------------------------------------------------------------------------------------------------------- */

static ch_hash balance_slot(const ch_addr *who) {
  ch_hash key = evm_addr_word(who);
  return evm_mapping(BALANCES, &key);
}

static ch_hash allowance_slot(const ch_addr *owner, const ch_addr *spender) {
  ch_hash key = evm_addr_word(spender);
  return evm_mapping2(ALLOWANCES, owner, &key);
}

static ch_hash load(const token *t, ch_hash slot) {
  return evm_load(t->r, t->self, &slot);
}

static ch_u128 load_number(const token *t, ch_hash slot) {
  ch_hash word = load(t, slot);
  return evm_number(&word);
}

static void store(const token *t, ch_hash slot, ch_hash value) {
  evm_store(t->r, t->self, &slot, &value);
}

/* --- Answers ------------------------------------------------------------------------------------------------------ */

static bool returns(const token *t, ch_hash word) {
  return evm_return(t->out, &word);
}

/* Of what changes something: true, or nothing from the strict one. */
static bool done(const token *t) {
  return is_strict(t) || returns(t, evm_word(1));
}

static bool text(const token *t, const char *s) {
  ch_hash words[3] = {evm_word(32), evm_word(strlen(s)), {{0}}};
  memcpy(words[2].b, s, strlen(s));
  memcpy(t->out->b, words, sizeof words);
  t->out->n = sizeof words;
  return true;
}

/* Checked arithmetic below zero. */
static bool panic(const token *t) {
  ch_hash code = evm_word(0x11);
  return evm_revert_with(t->out, "Panic(uint256)", &code, 1);
}

static bool too_little(const token *t, const char *error, const ch_addr *who, ch_u128 has, const ch_hash *wants) {
  const ch_hash words[3] = {evm_addr_word(who), evm_word(has), *wants};
  return is_strict(t) ? panic(t) : evm_revert_with(t->out, error, words, 3);
}

/* --- Moving money ------------------------------------------------------------------------------------------------- */

static void emit_transfer(const token *t, const char *event, const ch_addr *a, const ch_addr *b,
                          const ch_hash *amount) {
  ch_hash from = evm_addr_word(a), to = evm_addr_word(b);
  if (is_strict(t)) return;
  evm_log *log = evm_emit(t->r, t->self, event, amount, 1);
  evm_topic(log, &from);
  evm_topic(log, &to);
}

static bool move(const token *t, const ch_addr *from, const ch_addr *to, const ch_hash *amount) {
  ch_u128 has = load_number(t, balance_slot(from)), wants = evm_number(amount);
  if (!is_strict(t) && ch_addr_is_zero(to)) {
    ch_hash zero = {{0}};
    return evm_revert_with(t->out, "ERC20InvalidReceiver(address)", &zero, 1);
  }
  if (has < wants) return too_little(t, "ERC20InsufficientBalance(address,uint256,uint256)", from, has, amount);
  store(t, balance_slot(from), evm_word(has - wants));
  store(t, balance_slot(to), evm_word(load_number(t, balance_slot(to)) + wants));
  emit_transfer(t, "Transfer(address,address,uint256)", from, to, amount);
  return true;
}

static bool transfer(const token *t) {
  ch_addr to;
  ch_hash amount;
  return evm_arg_addr(t->m, 0, &to) && evm_arg(t->m, 1, &amount) && move(t, &t->m->from, &to, &amount) && done(t);
}

static bool transfer_from(const token *t) {
  ch_addr from, to;
  ch_hash amount, allowed, endless;
  if (!evm_arg_addr(t->m, 0, &from) || !evm_arg_addr(t->m, 1, &to) || !evm_arg(t->m, 2, &amount)) return false;
  ch_hash slot = allowance_slot(&from, &t->m->from);
  allowed = load(t, slot);
  memset(&endless, 0xff, sizeof endless);
  bool is_endless = !is_strict(t) && ch_hash_eq(&allowed, &endless);
  ch_u128 may = evm_number(&allowed), wants = evm_number(&amount);
  if (may < wants)
    return too_little(t, "ERC20InsufficientAllowance(address,uint256,uint256)", &t->m->from, may, &amount);
  if (!is_endless && may != MORE_THAN_ANY) store(t, slot, evm_word(may - wants));
  return move(t, &from, &to, &amount) && done(t);
}

static void allow(const token *t, const ch_addr *owner, const ch_addr *spender, const ch_hash *amount) {
  store(t, allowance_slot(owner, spender), *amount);
  emit_transfer(t, "Approval(address,address,uint256)", owner, spender, amount);
}

static bool approve(const token *t) {
  ch_addr spender;
  ch_hash amount;
  if (!evm_arg_addr(t->m, 0, &spender) || !evm_arg(t->m, 1, &amount)) return false;
  bool taken = load_number(t, allowance_slot(&t->m->from, &spender)) != 0;
  if (is_strict(t) && taken && !ch_hash_is_zero(&amount)) return false;
  allow(t, &t->m->from, &spender, &amount);
  return done(t);
}

static bool mint(const token *t) {
  static const ch_addr nobody;
  ch_addr to;
  ch_hash amount, supply = evm_word(SUPPLY);
  if (!evm_arg_addr(t->m, 0, &to) || !evm_arg(t->m, 1, &amount)) return false;
  if (!is_strict(t)) store(t, supply, evm_word(load_number(t, supply) + evm_number(&amount)));
  store(t, balance_slot(&to), evm_word(load_number(t, balance_slot(&to)) + evm_number(&amount)));
  emit_transfer(t, "Transfer(address,address,uint256)", &nobody, &to, &amount);
  return true;
}

/* --- Signed consent ----------------------------------------------------------------------------------------------- */

static ch_hash domain_of(const token *t) {
  ch_hash domain;
  cd_erc20_domain(&domain, name_of(t), "1", t->r->chain_id, t->self);
  return domain;
}

/* The signature in three words from `i` on: v, r, s. */
static bool signed_by(const token *t, const ch_hash *digest, size_t i, const ch_addr *who) {
  ch_hash v, r, s;
  ch_sig sig;
  ch_addr signer;
  if (!evm_arg(t->m, i, &v) || !evm_arg(t->m, i + 1, &r) || !evm_arg(t->m, i + 2, &s)) return false;
  memcpy(sig.b, r.b, 32);
  memcpy(sig.b + 32, s.b, 32);
  if (v.b[31] == 28) sig.b[32] |= 0x80;
  t->r->gas += 6000;
  return ch_recover(&signer, digest, &sig) == CH_OK && ch_addr_eq(&signer, who);
}

static bool permit(const token *t) {
  ch_addr owner, spender;
  ch_hash value, until, digest, domain = domain_of(t);
  if (!evm_arg_addr(t->m, 0, &owner) || !evm_arg_addr(t->m, 1, &spender) || !evm_arg(t->m, 2, &value) ||
      !evm_arg(t->m, 3, &until))
    return false;
  if (evm_number(&until) < t->r->time) return evm_revert_with(t->out, "ERC2612ExpiredSignature(uint256)", &until, 1);
  ch_hash key = evm_addr_word(&owner), slot = evm_mapping(NONCES, &key), nonce = load(t, slot);
  cd_erc20_permit_digest(&digest, &domain, &owner, &spender, (ch_amount){evm_number(&value)}, &nonce,
                         (uint64_t)evm_number(&until));
  if (!signed_by(t, &digest, 4, &owner)) return evm_revert(t->out, "ERC2612InvalidSigner(address,address)");
  store(t, slot, evm_word(evm_number(&nonce) + 1));
  allow(t, &owner, &spender, &value);
  return true;
}

static bool receive_with_authorization(const token *t) {
  ch_addr from, to;
  ch_hash value, after, before, nonce, digest, domain = domain_of(t);
  if (!evm_arg_addr(t->m, 0, &from) || !evm_arg_addr(t->m, 1, &to) || !evm_arg(t->m, 2, &value) ||
      !evm_arg(t->m, 3, &after) || !evm_arg(t->m, 4, &before) || !evm_arg(t->m, 5, &nonce))
    return false;
  cd_erc20_receive_digest(&digest, &domain, &from, &to, (ch_amount){evm_number(&value)}, (uint64_t)evm_number(&before),
                          &nonce);
  bool valid = ch_hash_is_zero(&after) && t->r->time < evm_number(&before); /* the adapter's begin at 0 */
  ch_hash slot = evm_mapping2(USED_NONCES, &from, &nonce), used = load(t, slot);
  if (!signed_by(t, &digest, 6, &from) || !ch_addr_eq(&to, &t->m->from) || !valid || !ch_hash_is_zero(&used))
    return evm_revert(t->out, "ERC3009InvalidSignature()");
  store(t, slot, evm_word(1));
  evm_log *log = evm_emit(t->r, t->self, "AuthorizationUsed(address,bytes32)", NULL, 0);
  ch_hash topic = evm_addr_word(&from);
  evm_topic(log, &topic);
  evm_topic(log, &nonce);
  return move(t, &from, &to, &value);
}

/* --- The entrance ------------------------------------------------------------------------------------------------- */

static bool balance_of(const token *t) {
  ch_addr who;
  return evm_arg_addr(t->m, 0, &who) && returns(t, load(t, balance_slot(&who)));
}

static bool allowance(const token *t) {
  ch_addr owner, spender;
  return evm_arg_addr(t->m, 0, &owner) && evm_arg_addr(t->m, 1, &spender) &&
         returns(t, load(t, allowance_slot(&owner, &spender)));
}

static bool nonces(const token *t) {
  ch_hash key;
  return evm_arg(t->m, 0, &key) && returns(t, load(t, evm_mapping(NONCES, &key)));
}

static bool name(const token *t) {
  return text(t, name_of(t));
}

static bool symbol(const token *t) {
  return text(t, symbol_of(t));
}

static bool decimals(const token *t) {
  return returns(t, evm_word(t->kind == EVM_TOKEN_PERMIT ? 18 : 6));
}

static bool domain_separator(const token *t) {
  return returns(t, domain_of(t));
}

static const struct {
  const char *signature;
  bool (*run)(const token *t);
  evm_code since; /* kinds from this one on have it */
} functions[] = {
    {"balanceOf(address)", balance_of, EVM_TOKEN_STRICT},
    {"allowance(address,address)", allowance, EVM_TOKEN_STRICT},
    {"transfer(address,uint256)", transfer, EVM_TOKEN_STRICT},
    {"transferFrom(address,address,uint256)", transfer_from, EVM_TOKEN_STRICT},
    {"approve(address,uint256)", approve, EVM_TOKEN_STRICT},
    {"mint(address,uint256)", mint, EVM_TOKEN_STRICT},
    {"name()", name, EVM_TOKEN_STRICT},
    {"symbol()", symbol, EVM_TOKEN_STRICT},
    {"decimals()", decimals, EVM_TOKEN_STRICT},
    {"DOMAIN_SEPARATOR()", domain_separator, EVM_TOKEN_PERMIT},
    {"nonces(address)", nonces, EVM_TOKEN_PERMIT},
    {"permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", permit, EVM_TOKEN_PERMIT},
    {"receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
     receive_with_authorization, EVM_TOKEN_TEST},
};

bool evm_erc20(evm_run *r, evm_code kind, const evm_msg *m, evm_out *out) {
  const token t = {r, m, out, &m->to, kind};
  for (size_t i = 0; m->value.v == 0 && i < sizeof functions / sizeof functions[0]; i++) {
    if (kind >= functions[i].since && evm_is_call(m, functions[i].signature)) return functions[i].run(&t);
  }
  return false;
}
