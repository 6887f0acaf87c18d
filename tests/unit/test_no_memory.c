/* Memory that runs out in what stands beside the engine: the keyring, the recovery words, a channel from the backup.
 * The engine's own tests run a second time with it (tests/meson.build). */
#include "no_memory.h"

#include <sodium.h>

#include "channel/crypto.h"
#include "channel/signer.h"

#define TRIES 16

static const uint8_t seed[64] = {7};

/* Makes the call until no allocation in it fails any more; `failed_with` is what it says when one does. */
#define UNTIL_IT_WORKS(call, failed_with)                                                                              \
  do {                                                                                                                 \
    size_t before = no_memory_failures();                                                                              \
    for (int tries = 0;; tries++) {                                                                                    \
      assert_in_range(tries, 0, TRIES);                                                                                \
      no_memory_begin();                                                                                               \
      ch_err err = (call);                                                                                             \
      bool failed = no_memory_end();                                                                                   \
      assert_int_equal(err, failed ? (failed_with) : CH_OK);                                                           \
      if (!failed) break;                                                                                              \
    }                                                                                                                  \
    assert_true(no_memory_failures() > before);                                                                        \
  } while (0)

static ch_hash nonce_of(unsigned n) {
  ch_hash h = {{0}};
  for (size_t i = 0; i < 4; i++)
    h.b[i] = (uint8_t)(n >> 8 * i);
  return h;
}

static void test_keyring_new(void **state) {
  (void)state;
  ch_keyring *k = NULL;
  UNTIL_IT_WORKS(ch_keyring_new(&k, seed), CH_ERR_NO_MEMORY);
  ch_keyring_free(k);
}

/* The first key of a channel needs room, and later one more when that is full: none of those that are there is lost. */
static void test_keys_of_channels(void **state) {
  (void)state;
  enum { KEYS = 300 }; /* more than once twice what is there at first */
  ch_keyring *k, *whole;
  assert_int_equal(ch_keyring_new(&k, seed), CH_OK);
  assert_int_equal(ch_keyring_new(&whole, seed), CH_OK);
  ch_signer scarce = ch_keyring_signer(k), plenty = ch_keyring_signer(whole);
  size_t before = no_memory_failures();
  for (unsigned n = 0; n < 2 * KEYS; n++) {
    ch_pubkey pub = {{0}}, expected;
    ch_hash nonce = nonce_of(n % KEYS);
    ch_err err;
    bool failed;
    do {
      no_memory_begin();
      err = scarce.channel_key(scarce.ctx, &pub, &nonce);
      failed = no_memory_end();
      assert_int_equal(err, failed ? CH_ERR_SIGNER : CH_OK);
    } while (failed);
    assert_int_equal(plenty.channel_key(plenty.ctx, &expected, &nonce), CH_OK);
    assert_memory_equal(&pub, &expected, sizeof pub);
  }
  assert_true(no_memory_failures() >= before + 3); /* the keys, the rows and their places */
  ch_keyring_free(k);
  ch_keyring_free(whole);
}

/* The guard against a second content never signs without a place to remember it. */
static void test_guard(void **state) {
  (void)state;
  ch_keyring *k;
  assert_int_equal(ch_keyring_new(&k, seed), CH_OK);
  ch_signer s = ch_keyring_signer(k);
  ch_hash nonce = nonce_of(1), other = nonce_of(2), digest = nonce_of(3);
  ch_pubkey pub;
  assert_int_equal(s.channel_key(s.ctx, &pub, &nonce), CH_OK);
  ch_sign_state r = {.key_nonce = nonce, .chain = {.chain_id = 1}, .side = 0};
  assert_int_equal(ch_address_of(&r.params.signer[0], &pub), CH_OK);
  memset(&r.params.signer[1], 1, sizeof(ch_addr));
  memset(r.params.payout, 2, sizeof r.params.payout);
  ch_hash params_hash;
  ch_params_hash(&params_hash, &r.chain, &r.params);
  ch_channel_id(&r.state.id, &params_hash, &r.params.asset);
  r.state.version = 2;
  ch_outcome_hash(&r.state.outcome_hash, &r.outcome);
  ch_sig sig;
  UNTIL_IT_WORKS(s.sign_state(s.ctx, &sig, &r), CH_ERR_SIGNER);
  r.outcome.net = ch_net_of(1);
  ch_outcome_hash(&r.state.outcome_hash, &r.outcome);
  assert_int_equal(s.sign_state(s.ctx, &sig, &r), CH_ERR_DOUBLE_SIGN);
  ch_keyring_free(k);

  assert_int_equal(ch_keyring_new(&k, seed), CH_OK);
  UNTIL_IT_WORKS(ch_keyring_remember(k, &other, 0, 4, &digest), CH_ERR_NO_MEMORY);
  digest = nonce_of(4);
  assert_int_equal(ch_keyring_remember(k, &other, 0, 4, &digest), CH_ERR_DOUBLE_SIGN);
  ch_keyring_free(k);
}

/* Each request to the signer may be the first with this channel's key. */
static ch_err signs(const ch_signer *s, int request, const ch_hash *nonce) {
  const ch_chain chain = {.chain_id = 1};
  const ch_sign_state state = {.key_nonce = *nonce, .chain = chain};
  ch_sig sig;
  switch (request) {
  case 0: return s->sign_close(s->ctx, &sig, &chain, nonce, &(ch_close){.valid_until = 1});
  case 1: return s->sign_withdraw(s->ctx, &sig, &chain, nonce, &(ch_withdraw){.valid_until = 1});
  case 2: return s->sign_move(s->ctx, &sig, &chain, nonce, &(ch_move){.valid_until = 1});
  case 3: return s->sign_challenge(s->ctx, &sig, &chain, nonce, &(ch_challenge){.valid_until = 1});
  default: return s->sign_state(s->ctx, &sig, &state) == CH_ERR_SIGNER ? CH_OK : CH_ERR_BUG; /* of no channel */
  }
}

static void test_first_request(void **state) {
  (void)state;
  for (int request = 0; request < 5; request++) {
    ch_keyring *k;
    assert_int_equal(ch_keyring_new(&k, seed), CH_OK);
    const ch_signer s = ch_keyring_signer(k);
    const ch_hash nonce = nonce_of(1);
    if (request < 4) UNTIL_IT_WORKS(signs(&s, request, &nonce), CH_ERR_SIGNER);
    if (request == 4) UNTIL_IT_WORKS(signs(&s, request, &nonce), CH_OK);
    ch_keyring_free(k);
  }
}

static void test_recovery_words(void **state) {
  (void)state;
  const char *words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
  uint8_t scarce[64], plenty[64];
  UNTIL_IT_WORKS(ch_words_to_seed(scarce, words, "TREZOR"), CH_ERR_NO_MEMORY);
  assert_int_equal(ch_words_to_seed(plenty, words, "TREZOR"), CH_OK);
  assert_memory_equal(scarce, plenty, sizeof scarce);
}

static void test_restore(void **state) {
  (void)state;
  ch_keyring *k;
  assert_int_equal(ch_keyring_new(&k, seed), CH_OK);
  ch_signer s = ch_keyring_signer(k);
  ch_origin o = {.nonce = {nonce_of(1), nonce_of(2)}, .chain = {.chain_id = 1}, .side = 0};
  ch_pubkey pub;
  ch_secret ecdh, blind;
  assert_int_equal(s.channel_key(s.ctx, &pub, &o.nonce[0]), CH_OK);
  assert_int_equal(ch_address_of(&o.params.signer[0], &pub), CH_OK);
  assert_int_equal(s.node_id(s.ctx, &o.peer), CH_OK); /* any key will do */
  assert_int_equal(s.ecdh(s.ctx, &ecdh, &o.peer), CH_OK);
  ch_channel_secrets(&o.salt, &blind, &ecdh, o.nonce);
  ch_keccak256(&o.params.tag, o.salt.b, sizeof o.salt.b);
  memset(&o.params.signer[1], 1, sizeof(ch_addr));
  memset(o.params.payout, 2, sizeof o.params.payout);
  o.params.challenge_period = 100;
  ch_channel *c;
  UNTIL_IT_WORKS(ch_channel_restore(&c, &o, &s), CH_ERR_NO_MEMORY);
  ch_channel_free(c);
  ch_keyring_free(k);
}

int main(void) {
  if (sodium_init() < 0) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_keyring_new),   cmocka_unit_test(test_keys_of_channels), cmocka_unit_test(test_guard),
      cmocka_unit_test(test_first_request), cmocka_unit_test(test_recovery_words),   cmocka_unit_test(test_restore),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
