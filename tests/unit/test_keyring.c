/* The in-process signer: derivation, and the guard of protocol.md, section 4, rule 7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>

#include "channel/signer.h"

/* The seed of "abandon ... about" (BIP-39's first test vector with an empty passphrase). The keys below were computed
 * from it by an independent implementation of BIP-32. */
static const char seed_hex[] = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1"
                               "9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";
static const char node_hex[] = "03566377d633d83bdc24ba6c4dc64847ba788ebb679d5225401bee84ba401c93d8";
static const char account_hex[] = "1ab42cc412b618bdea3a599e3c9bae199ebf030895b039e9db1e30dafb12b727";

static ch_keyring *new_keyring(void) {
  uint8_t seed[64];
  ch_keyring *k;
  assert_true(ch_unhex(seed, sizeof seed, seed_hex));
  assert_int_equal(ch_keyring_new(&k, seed), CH_OK);
  return k;
}

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected) {
  char hex[2 * 64 + 1];
  ch_hex(hex, bytes, len);
  assert_string_equal(hex, expected);
}

/* A request that the keyring of `k` signs: side 0 of a channel whose key is named by 07 07 .. `channel`. */
static ch_sign_state request_of(const ch_signer *s, uint32_t channel) {
  ch_sign_state r;
  ch_pubkey key;
  memset(&r, 0, sizeof r);
  r.chain.chain_id = 1337;
  memset(&r.chain.adjudicator, 0xad, sizeof(ch_addr));
  memset(&r.key_nonce, 7, sizeof r.key_nonce);
  memcpy(&r.key_nonce, &channel, sizeof channel);
  assert_int_equal(s->channel_key(s->ctx, &key, &r.key_nonce), CH_OK);
  assert_int_equal(ch_address_of(&r.params.signer[0], &key), CH_OK);
  memset(&r.params.signer[1], 2, sizeof(ch_addr));
  memset(r.params.payout, 3, sizeof r.params.payout);
  r.params.challenge_period = 3600;
  memcpy(&r.params.tag, &channel, sizeof channel);
  return r;
}

static ch_addr signer_of(const ch_sign_state *r) {
  return r->params.signer[r->side];
}

/* Makes the request say `net` at this epoch and version. */
static void say(ch_sign_state *r, uint16_t epoch, uint64_t version, int64_t net) {
  ch_hash params_hash;
  ch_params_hash(&params_hash, &r->chain, &r->params);
  ch_channel_id(&r->state.id, &params_hash, &r->params.asset);
  r->state.epoch = epoch;
  r->state.version = version;
  r->outcome.net = ch_net_of(net);
  ch_outcome_hash(&r->state.outcome_hash, &r->outcome);
}

static ch_hash digest_of(const ch_sign_state *r) {
  ch_hash domain, digest;
  ch_domain(&domain, &r->chain);
  ch_state_digest(&digest, &domain, &r->state);
  return digest;
}

/* What the signer says to this epoch, version and net. */
static ch_err sign(const ch_signer *s, ch_sign_state *r, uint16_t epoch, uint64_t version, int64_t net) {
  ch_sig sig;
  say(r, epoch, version, net);
  ch_err err = s->sign_state(s->ctx, &sig, r);
  if (err != CH_OK) return err;
  ch_hash digest = digest_of(r);
  ch_addr signer = signer_of(r);
  assert_int_equal(ch_verify(&digest, &sig, &signer), CH_OK);
  return CH_OK;
}

/* --- Derivation --------------------------------------------------------------------------------- */

static void test_derivation(void **state) {
  (void)state;
  ch_keyring *k = new_keyring();
  ch_signer s = ch_keyring_signer(k);
  ch_pubkey pub;
  assert_int_equal(s.node_id(s.ctx, &pub), CH_OK);
  assert_hex(pub.b, sizeof pub.b, node_hex);

  ch_secret account;
  ch_keyring_account(k, &account);
  assert_hex(account.b, sizeof account.b, account_hex);
  ch_addr address, of_key;
  ch_keyring_address(k, &address);
  assert_int_equal(ch_pubkey_of(&pub, &account), CH_OK);
  assert_int_equal(ch_address_of(&of_key, &pub), CH_OK);
  assert_memory_equal(&address, &of_key, sizeof address);

  /* m/7777'/1'/1'/2'/3'/4'; the top bit of each number and the nonce's second half play no part. */
  static const char *const nonces[] = {"0000000100000002000000030000000400000000000000000000000000000000",
                                       "80000001800000028000000380000004ffffffffffffffffffffffffffffffff"};
  for (size_t i = 0; i < 2; i++) {
    ch_hash nonce;
    assert_true(ch_unhex(nonce.b, sizeof nonce.b, nonces[i]));
    assert_int_equal(s.channel_key(s.ctx, &pub, &nonce), CH_OK);
    assert_hex(pub.b, sizeof pub.b, "031a147c49819efa6d65bf0eb2bf13bd4290ed63158ea333f9075bb5629bb20b7d");
  }
  ch_hash nonce = {{0}};
  for (size_t i = 0; i < 16; i++)
    nonce.b[i] = (uint8_t)(0xf0 + i);
  for (int again = 0; again < 2; again++) {
    assert_int_equal(s.channel_key(s.ctx, &pub, &nonce), CH_OK);
    assert_hex(pub.b, sizeof pub.b, "0230cd1258eb995a86f16246eb94d8e445cd56cd99fe06ac6d70209ad71d1ab22d");
  }
  ch_keyring_free(k);
  ch_keyring_free(NULL);
}

static void test_ecdh_is_shared(void **state) {
  (void)state;
  uint8_t other_seed[64] = {1};
  ch_keyring *a = new_keyring(), *b;
  assert_int_equal(ch_keyring_new(&b, other_seed), CH_OK);
  ch_signer sa = ch_keyring_signer(a), sb = ch_keyring_signer(b);
  ch_pubkey na, nb, bad = {{5}};
  ch_secret ab, ba;
  assert_int_equal(sa.node_id(sa.ctx, &na), CH_OK);
  assert_int_equal(sb.node_id(sb.ctx, &nb), CH_OK);
  assert_int_equal(sa.ecdh(sa.ctx, &ab, &nb), CH_OK);
  assert_int_equal(sb.ecdh(sb.ctx, &ba, &na), CH_OK);
  assert_memory_equal(&ab, &ba, sizeof ab);
  assert_int_equal(sa.ecdh(sa.ctx, &ab, &bad), CH_ERR_SIGNER);
  ch_keyring_free(a);
  ch_keyring_free(b);
}

static void test_other_signatures(void **state) {
  (void)state;
  ch_keyring *k = new_keyring();
  ch_signer s = ch_keyring_signer(k);
  ch_sign_state r = request_of(&s, 1);
  ch_addr channel = signer_of(&r), node;
  ch_pubkey node_id;
  ch_hash domain, digest;
  ch_sig sig;
  assert_int_equal(s.node_id(s.ctx, &node_id), CH_OK);
  assert_int_equal(ch_address_of(&node, &node_id), CH_OK);
  for (uint64_t n = 1; n < 6; n++) { /* the domain follows the chain, and the Adjudicator on it */
    r.chain.chain_id = n / 2;
    r.chain.adjudicator.b[0] = (uint8_t)(n & 1);
    ch_domain(&domain, &r.chain);
    ch_open_statement statement = {.side = 1, .signer = channel};
    assert_int_equal(s.sign_open(s.ctx, &sig, &r.chain, &statement), CH_OK);
    ch_open_digest(&digest, &domain, &statement);
    assert_int_equal(ch_verify(&digest, &sig, &node), CH_OK);
    ch_close close = {.epoch = 3, .net = {-5}, .valid_until = 9};
    assert_int_equal(s.sign_close(s.ctx, &sig, &r.chain, &r.key_nonce, &close), CH_OK);
    ch_close_digest(&digest, &domain, &close);
    assert_int_equal(ch_verify(&digest, &sig, &channel), CH_OK);
    ch_withdraw withdraw = {.epoch = 3, .seq = 2, .side = 1, .amount = {5}, .valid_until = 9};
    assert_int_equal(s.sign_withdraw(s.ctx, &sig, &r.chain, &r.key_nonce, &withdraw), CH_OK);
    ch_withdraw_digest(&digest, &domain, &withdraw);
    assert_int_equal(ch_verify(&digest, &sig, &channel), CH_OK);
    ch_move move = {.epoch = 3, .seq = 2, .side = 1, .amount = {5}, .valid_until = 9, .to_side = 1};
    assert_int_equal(s.sign_move(s.ctx, &sig, &r.chain, &r.key_nonce, &move), CH_OK);
    ch_move_digest(&digest, &domain, &move);
    assert_int_equal(ch_verify(&digest, &sig, &channel), CH_OK);
    ch_challenge challenge = {.epoch = 3, .side = 1, .version = 8, .valid_until = 9};
    assert_int_equal(s.sign_challenge(s.ctx, &sig, &r.chain, &r.key_nonce, &challenge), CH_OK);
    ch_challenge_digest(&digest, &domain, &challenge);
    assert_int_equal(ch_verify(&digest, &sig, &channel), CH_OK);
  }
  ch_keyring_free(k);
}

/* --- The guard ---------------------------------------------------------------------------------- */

static void test_guard(void **state) {
  (void)state;
  ch_keyring *k = new_keyring();
  ch_signer s = ch_keyring_signer(k);
  ch_sign_state r = request_of(&s, 1);
  assert_int_equal(sign(&s, &r, 2, 5, 100), CH_OK);
  assert_int_equal(sign(&s, &r, 2, 5, 100), CH_OK); /* the same again */
  assert_int_equal(sign(&s, &r, 2, 5, 101), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(sign(&s, &r, 2, 4, 100), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(sign(&s, &r, 2, 9, 101), CH_OK);
  assert_int_equal(sign(&s, &r, 2, 5, 100), CH_ERR_DOUBLE_SIGN); /* signed once, but lower now */
  assert_int_equal(sign(&s, &r, 1, 10, 0), CH_ERR_DOUBLE_SIGN);  /* a past epoch */
  assert_int_equal(sign(&s, &r, 3, 1, 0), CH_OK);                /* a new one */
  assert_int_equal(sign(&s, &r, 3, 1, 1), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(sign(&s, &r, 2, 20, 0), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(sign(&s, &r, UINT16_MAX, UINT64_MAX, 7), CH_OK);
  assert_int_equal(sign(&s, &r, UINT16_MAX, UINT64_MAX, 8), CH_ERR_DOUBLE_SIGN);

  ch_sign_state other = request_of(&s, 2); /* channels do not mix */
  assert_int_equal(sign(&s, &other, 0, 1, 0), CH_OK);
  ch_keyring_free(k);
}

/* Another blind, lock hash or chain is another content as well. */
static void test_guard_covers_the_whole_state(void **state) {
  (void)state;
  ch_keyring *k = new_keyring();
  ch_signer s = ch_keyring_signer(k);
  ch_sign_state r = request_of(&s, 1);
  assert_int_equal(sign(&s, &r, 0, 2, 1), CH_OK);
  r.outcome.blind.b[0] = 1;
  assert_int_equal(sign(&s, &r, 0, 2, 1), CH_ERR_DOUBLE_SIGN);
  r.outcome.blind.b[0] = 0;
  r.outcome.locks_hash.b[31] = 1;
  assert_int_equal(sign(&s, &r, 0, 2, 1), CH_ERR_DOUBLE_SIGN);
  r.outcome.locks_hash.b[31] = 0;
  assert_int_equal(sign(&s, &r, 0, 2, 1), CH_OK);
  ch_keyring_free(k);
}

static void test_remember(void **state) {
  (void)state;
  ch_keyring *k = new_keyring();
  ch_signer s = ch_keyring_signer(k);
  ch_sign_state r = request_of(&s, 1);
  say(&r, 4, 10, 50);
  const ch_hash digest = digest_of(&r), other = {{1}};
  assert_int_equal(ch_keyring_remember(k, &r.state.id, 4, 10, &digest), CH_OK);
  assert_int_equal(ch_keyring_remember(k, &r.state.id, 4, 10, &digest), CH_OK);
  assert_int_equal(ch_keyring_remember(k, &r.state.id, 4, 10, &other), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(ch_keyring_remember(k, &r.state.id, 4, 9, &other), CH_OK); /* less than is known: no change */
  assert_int_equal(ch_keyring_remember(k, &r.state.id, 3, 99, &other), CH_OK);
  assert_int_equal(sign(&s, &r, 4, 9, 50), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(sign(&s, &r, 4, 10, 51), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(sign(&s, &r, 3, 100, 50), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(sign(&s, &r, 4, 10, 50), CH_OK); /* what was signed before the restart may be sent again */
  assert_int_equal(ch_keyring_remember(k, &r.state.id, 5, 0, &other), CH_OK);
  assert_int_equal(ch_keyring_remember(k, &r.state.id, 5, 0, &digest), CH_OK); /* version 0 has no content */
  assert_int_equal(sign(&s, &r, 4, 11, 50), CH_ERR_DOUBLE_SIGN);
  assert_int_equal(sign(&s, &r, 5, 1, 50), CH_OK);
  ch_keyring_free(k);
}

/* What is refused of a good request at the version, one change each. */
static void refuse_all(const ch_signer *s, const ch_sign_state *good, uint64_t version) {
  ch_sig sig;
#define REFUSED(...)                                                                                                   \
  do {                                                                                                                 \
    ch_sign_state r = *good;                                                                                           \
    say(&r, 0, version, 1);                                                                                            \
    __VA_ARGS__;                                                                                                       \
    assert_int_equal(s->sign_state(s->ctx, &sig, &r), CH_ERR_SIGNER);                                                  \
  } while (0)
  REFUSED(r.state.id.b[0] ^= 1);
  REFUSED(r.state.outcome_hash.b[0] ^= 1);
  REFUSED(r.outcome.net.v++);
  REFUSED(r.outcome.blind.b[0] ^= 1);
  REFUSED(r.outcome.locks_hash.b[0] ^= 1);
  REFUSED(r.chain.chain_id++);
  REFUSED(r.chain.adjudicator.b[0] ^= 1);
  REFUSED(r.params.asset.b[0] ^= 1);
  REFUSED(r.params.bond.v++);
  REFUSED(r.params.signer[1].b[0] ^= 1);
  REFUSED(r.params.payout[0].b[0] ^= 1);
  REFUSED(r.params.payout[1].b[19] ^= 1);
  REFUSED(r.params.challenge_period++);
  REFUSED(r.params.tag.b[31] ^= 1);
  REFUSED(r.params.signer[0].b[0] ^= 1, say(&r, 0, version, 1)); /* a channel of somebody else */
  REFUSED(r.side = 1);
  REFUSED(r.side = 2);
  REFUSED(r.state.version = 0);
  REFUSED(r.key_nonce.b[0] ^= 1); /* the key of another channel */
  REFUSED(memset(&r.params.payout[1], 0, sizeof(ch_addr)), say(&r, 0, version, 1));
#undef REFUSED
}

/* A refused request leaves no trace: the version is still free. What a channel's id stands for is compared again for
 * each signature. */
static void test_only_whole_states(void **state) {
  (void)state;
  ch_keyring *k = new_keyring();
  ch_signer s = ch_keyring_signer(k);
  const ch_sign_state good = request_of(&s, 1);
  ch_sign_state r = good;
  refuse_all(&s, &good, 6);
  assert_int_equal(sign(&s, &r, 0, 1, 7), CH_OK);
  refuse_all(&s, &good, 6);
  assert_int_equal(sign(&s, &r, 0, 2, 7), CH_OK);
  ch_keyring_free(k);
}

/* Many channels: keys and guards stay with their channels while everything grows. */
static void test_many_channels(void **state) {
  (void)state;
  enum { CHANNELS = 1000 };
  ch_keyring *k = new_keyring();
  ch_signer s = ch_keyring_signer(k);
  ch_sign_state *r = calloc(CHANNELS, sizeof *r);
  for (uint32_t i = 0; i < CHANNELS; i++) {
    r[i] = request_of(&s, i);
    assert_int_equal(sign(&s, &r[i], 1, 2 + i, i), CH_OK);
  }
  for (uint32_t i = 0; i < CHANNELS; i++) {
    assert_int_equal(sign(&s, &r[i], 1, 2 + i, i), CH_OK);
    assert_int_equal(sign(&s, &r[i], 1, 2 + i, i + 1), CH_ERR_DOUBLE_SIGN);
  }
  ch_secret account;
  ch_keyring_account(k, &account);
  assert_hex(account.b, sizeof account.b, account_hex);
  free(r);
  ch_keyring_free(k);
}

int main(void) {
  if (sodium_init() < 0) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_derivation),
      cmocka_unit_test(test_ecdh_is_shared),
      cmocka_unit_test(test_other_signatures),
      cmocka_unit_test(test_guard),
      cmocka_unit_test(test_guard_covers_the_whole_state),
      cmocka_unit_test(test_remember),
      cmocka_unit_test(test_only_whole_states),
      cmocka_unit_test(test_many_channels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
