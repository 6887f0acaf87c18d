/* The signer: what comes from the seed, and everything that is signed with it. */
#include <stdlib.h>
#include <string.h>

#include "channel/crypto.h"
#include "channel/signer.h"
#include "ct.h"
#include "l1/dev/tx.h"
#include "l1/evm/tx.h"

static const ch_chain chain = {.chain_id = 1337, .adjudicator = {{0xad}}};
static const ch_hash nonce = {{7, 1, 2, 3, 4, 5, 6, 7, 8}};

typedef struct keys {
  ch_keyring *ring;
  ch_signer signer;
} keys;

static bool open_keys(keys *k) {
  uint8_t seed[64];
  memset(seed, 0x5e, sizeof seed);
  ct_secret(seed, sizeof seed);
  if (ch_keyring_new(&k->ring, seed) != CH_OK) return false;
  k->signer = ch_keyring_signer(k->ring);
  return true;
}

/* --- Derivation ---------------------------------------------------------------------------------- */

static bool derivation(void) {
  keys k;
  ch_pubkey node, channel;
  ch_secret account;
  ch_addr address;
  if (!open_keys(&k)) return false;
  bool ok = k.signer.node_id(k.signer.ctx, &node) == CH_OK;
  for (uint8_t i = 0; i < 3; i++) {
    ch_hash of = nonce;
    of.b[0] = i;
    ok = ok && k.signer.channel_key(k.signer.ctx, &channel, &of) == CH_OK;
  }
  ch_keyring_account(k.ring, &account);
  ok = ok && ct_is_secret(&account, sizeof account);
  ch_keyring_address(k.ring, &address);
  ok = ok && !ch_addr_is_zero(&address) && (node.b[0] == 2 || node.b[0] == 3) && !ch_pubkey_eq(&node, &channel);
  ch_keyring_free(k.ring);
  return ok;
}

static bool extended_keys(void) {
  static const uint32_t path[] = {CH_HARDENED | 44, 60, 0};
  uint8_t seed[32] = {1};
  ch_xprv master, child;
  ct_secret(seed, sizeof seed);
  return ch_xprv_master(&master, seed, sizeof seed) == CH_OK && ch_xprv_path(&child, &master, path, 3) == CH_OK &&
         ct_is_secret(&child, sizeof child);
}

static bool words_to_seed(void) {
  uint8_t sentence[100], seed[64];
  memset(sentence, 'a', sizeof sentence);
  ct_secret(sentence, sizeof sentence);
  ch_pbkdf2_sha512(seed, sizeof seed, sentence, sizeof sentence, (const uint8_t *)"mnemonic", 8, 64);
  return ct_is_secret(seed, sizeof seed);
}

static bool shared_secrets(void) {
  keys k;
  ch_secret other = {{9}}, ecdh, blind_key;
  ch_pubkey peer;
  ch_hash salt, blind;
  const ch_hash nonces[2] = {{{1}}, {{2}}};
  if (ch_pubkey_of(&peer, &other) != CH_OK || !open_keys(&k)) return false;
  bool ok = k.signer.ecdh(k.signer.ctx, &ecdh, &peer) == CH_OK && ct_is_secret(&ecdh, sizeof ecdh);
  ch_channel_secrets(&salt, &blind_key, &ecdh, nonces);
  ch_blind(&blind, &blind_key, 3, 0x123456789);
  ok = ok && ct_is_secret(&salt, sizeof salt) && ct_is_secret(&blind, sizeof blind);
  ch_keyring_free(k.ring);
  return ok;
}

/* --- Signatures ---------------------------------------------------------------------------------- */

/* True if it is a signature on `digest` by the channel key or, without one, the node key. */
static bool signed_by(const keys *k, bool channel, const ch_sig *sig, const ch_hash *digest) {
  ch_pubkey key;
  ch_addr address;
  ch_err err = channel ? k->signer.channel_key(k->signer.ctx, &key, &nonce) : k->signer.node_id(k->signer.ctx, &key);
  return err == CH_OK && ch_address_of(&address, &key) == CH_OK && ch_verify(digest, sig, &address) == CH_OK;
}

static bool sign_open(void) {
  keys k;
  ch_sig sig;
  ch_hash domain, digest;
  ch_open_statement s = {.id = {{1}}, .side = 1};
  if (!open_keys(&k)) return false;
  ch_domain(&domain, &chain);
  ch_open_digest(&digest, &domain, &s);
  bool ok = k.signer.sign_open(k.signer.ctx, &sig, &chain, &s) == CH_OK && signed_by(&k, false, &sig, &digest);
  ch_keyring_free(k.ring);
  return ok;
}

static bool state_request(const keys *k, ch_sign_state *r) {
  ch_pubkey key;
  ch_hash params_hash;
  *r = (ch_sign_state){.chain = chain, .key_nonce = nonce};
  if (k->signer.channel_key(k->signer.ctx, &key, &nonce) != CH_OK) return false;
  if (ch_address_of(&r->params.signer[0], &key) != CH_OK) return false;
  memset(&r->params.signer[1], 2, sizeof(ch_addr));
  memset(r->params.payout, 3, sizeof r->params.payout);
  r->params.challenge_period = 3600;
  ch_params_hash(&params_hash, &r->chain, &r->params);
  ch_channel_id(&r->state.id, &params_hash, &r->params.asset);
  r->state.version = 2;
  ch_outcome_hash(&r->state.outcome_hash, &r->outcome);
  return true;
}

/* A state, the same again, and another one that is refused. */
static bool sign_state(void) {
  keys k;
  ch_sig sig, again;
  ch_hash domain, digest;
  ch_sign_state r;
  if (!open_keys(&k)) return false;
  bool ok = state_request(&k, &r);
  ch_domain(&domain, &chain);
  ch_state_digest(&digest, &domain, &r.state);
  ok = ok && k.signer.sign_state(k.signer.ctx, &sig, &r) == CH_OK && signed_by(&k, true, &sig, &digest);
  ok = ok && k.signer.sign_state(k.signer.ctx, &again, &r) == CH_OK && ch_sig_eq(&sig, &again);
  r.outcome.net = ch_net_of(1);
  ch_outcome_hash(&r.state.outcome_hash, &r.outcome);
  ok = ok && k.signer.sign_state(k.signer.ctx, &again, &r) == CH_ERR_DOUBLE_SIGN;
  ch_keyring_free(k.ring);
  return ok;
}

static bool sign_close(void) {
  keys k;
  ch_sig sig;
  ch_hash domain, digest;
  ch_close c = {.id = {{1}}, .epoch = 1, .net = ch_net_of(-5), .valid_until = 1000};
  if (!open_keys(&k)) return false;
  ch_domain(&domain, &chain);
  ch_close_digest(&digest, &domain, &c);
  bool ok = k.signer.sign_close(k.signer.ctx, &sig, &chain, &nonce, &c) == CH_OK && signed_by(&k, true, &sig, &digest);
  ch_keyring_free(k.ring);
  return ok;
}

static bool sign_withdraw(void) {
  keys k;
  ch_sig sig;
  ch_hash domain, digest;
  ch_withdraw w = {.id = {{1}}, .epoch = 1, .seq = 2, .amount = {77}, .valid_until = 1000};
  if (!open_keys(&k)) return false;
  ch_domain(&domain, &chain);
  ch_withdraw_digest(&digest, &domain, &w);
  bool ok =
      k.signer.sign_withdraw(k.signer.ctx, &sig, &chain, &nonce, &w) == CH_OK && signed_by(&k, true, &sig, &digest);
  ch_keyring_free(k.ring);
  return ok;
}

static bool sign_move(void) {
  keys k;
  ch_sig sig;
  ch_hash domain, digest;
  ch_move m = {.id = {{1}}, .epoch = 1, .seq = 2, .amount = {77}, .valid_until = 1000, .to_id = {{2}}};
  if (!open_keys(&k)) return false;
  ch_domain(&domain, &chain);
  ch_move_digest(&digest, &domain, &m);
  bool ok = k.signer.sign_move(k.signer.ctx, &sig, &chain, &nonce, &m) == CH_OK && signed_by(&k, true, &sig, &digest);
  ch_keyring_free(k.ring);
  return ok;
}

static bool sign_challenge(void) {
  keys k;
  ch_sig sig;
  ch_hash domain, digest;
  ch_challenge c = {.id = {{1}}, .epoch = 1, .version = 4, .outcome_hash = {{3}}, .valid_until = 1000};
  if (!open_keys(&k)) return false;
  ch_domain(&domain, &chain);
  ch_challenge_digest(&digest, &domain, &c);
  bool ok =
      k.signer.sign_challenge(k.signer.ctx, &sig, &chain, &nonce, &c) == CH_OK && signed_by(&k, true, &sig, &digest);
  ch_keyring_free(k.ring);
  return ok;
}

/* Digests of which some give an odd and some an even point: a signature's form has a branch on that. */
static bool sign_digests(void) {
  ch_secret key = {{0x11, 0x22}};
  ch_pubkey public_key;
  ch_addr address;
  ct_secret(&key, sizeof key);
  if (ch_pubkey_of(&public_key, &key) != CH_OK || ch_address_of(&address, &public_key) != CH_OK) return false;
  for (uint8_t i = 0; i < 8; i++) {
    const ch_hash digest = {{i}};
    ch_sig sig;
    if (ch_sign(&sig, &digest, &key) != CH_OK || ch_verify(&digest, &sig, &address) != CH_OK) return false;
  }
  return ct_is_secret(&key, sizeof key);
}

/* --- The account --------------------------------------------------------------------------------- */

static bool evm_transaction(void) {
  cd_evm_tx tx = {.type = CD_EVM_1559, .chain_id = 1337, .nonce = 5, .max_fee = 100, .gas = 21000}, back;
  keys k;
  ch_secret account;
  ch_addr address, sender;
  ch_hash hash;
  uint8_t *raw = NULL;
  size_t len;
  if (!open_keys(&k)) return false;
  ch_keyring_account(k.ring, &account);
  ch_keyring_address(k.ring, &address);
  bool ok = ct_is_secret(&account, sizeof account) && cd_evm_tx_sign(&tx, &account, &raw, &len, &hash) == CH_OK &&
            cd_evm_tx_decode(&back, &sender, raw, len) == CH_OK && ch_addr_eq(&sender, &address);
  free(raw);
  ch_keyring_free(k.ring);
  return ok;
}

static bool dev_transaction(void) {
  static cd_dev_tx tx, back;
  static uint8_t raw[CD_DEV_TX_MAX];
  keys k;
  ch_secret account;
  size_t len;
  if (!open_keys(&k)) return false;
  tx.body.kind = CD_DEV_TRANSFER;
  tx.body.u.transfer.to.b[0] = 1;
  tx.body.u.transfer.amount.v = 10;
  ch_keyring_account(k.ring, &account);
  ch_keyring_address(k.ring, &tx.sender);
  bool ok = cd_dev_tx_sign(raw, &len, &tx, &account) == CH_OK && cd_dev_tx_decode(&back, raw, len) == CH_OK &&
            ch_addr_eq(&back.sender, &tx.sender);
  ch_keyring_free(k.ring);
  return ok;
}

const ct_check ct_key_checks[] = {
    {"keys of a seed", derivation},
    {"extended keys (BIP-32)", extended_keys},
    {"the seed of recovery words (PBKDF2)", words_to_seed},
    {"ECDH, salt and blinding of a channel", shared_secrets},
    {"signing of digests", sign_digests},
    {"signing of an opening", sign_open},
    {"signing of a state", sign_state},
    {"signing of a close", sign_close},
    {"signing of a withdrawal", sign_withdraw},
    {"signing of a move", sign_move},
    {"signing of a challenge", sign_challenge},
    {"a transaction for an EVM chain", evm_transaction},
    {"a transaction for the embedded chain", dev_transaction},
    {NULL, NULL},
};
