/* signer.h - who holds the keys. The engine asks; it never sees a private key.
 *
 * Source: proto/protocol.md, sections 1 and 4 (rule 7). A signer sees whole states, not bare digests, and refuses a
 * second content for a version of the same channel and epoch with CH_ERR_DOUBLE_SIGN.
 */
#ifndef CHANNEL_SIGNER_H
#define CHANNEL_SIGNER_H

#include "state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Everything about one state signature. */
typedef struct ch_sign_state {
  ch_chain chain;
  ch_hash key_nonce; /* names the channel key: the signer's own open nonce */
  ch_params params;
  uint8_t side;  /* the signer's */
  uint64_t base; /* the latest co-signed version */
  ch_state state;
  ch_outcome outcome;
} ch_sign_state;

/* A signer: functions may be called from the thread that calls ch_step, one call at a time per signer. Each returns
 * CH_OK, CH_ERR_DOUBLE_SIGN or CH_ERR_SIGNER. */
typedef struct ch_signer {
  void *ctx;
  /* The node key. */
  ch_err (*node_id)(void *ctx, ch_pubkey *out);
  ch_err (*ecdh)(void *ctx, ch_secret *out, const ch_pubkey *peer_node);
  ch_err (*sign_open)(void *ctx, ch_sig *out, const ch_chain *chain, const ch_open_statement *statement);
  /* The channel keys. */
  ch_err (*channel_key)(void *ctx, ch_pubkey *out, const ch_hash *key_nonce);
  ch_err (*sign_state)(void *ctx, ch_sig *out, const ch_sign_state *request);
  ch_err (*sign_close)(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce, const ch_close *close);
  ch_err (*sign_challenge)(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce,
                           const ch_challenge *challenge);
} ch_signer;

/* --- The in-process signer ----------------------------------------------------------------------- */

/* Keys of one seed, with a memory of the highest version signed per channel and epoch.
 *   node key      m/7777'/0'
 *   L1 account    m/44'/60'/0'/0/0 (BIP-44: any Ethereum wallet finds it)
 *   channel keys  m/7777'/1'/a'/b'/c'/d' with 31-bit numbers a, b, c, d from the open nonce's first 16 bytes: no
 * counter to lose, and the static backup (which has the nonces) finds them again Not thread-safe: one keyring per
 * thread. Secrets lie in memory that is locked and wiped (sodium_malloc). */
typedef struct ch_keyring ch_keyring;

/* Makes a keyring from a 64-byte BIP-39 seed, which is copied. Free with ch_keyring_free (NULL is allowed). */
CH_API ch_err ch_keyring_new(ch_keyring **out, const uint8_t seed[64]) CH_MUST_CHECK;
CH_API void ch_keyring_free(ch_keyring *k);
/* A signer that uses the keyring; valid as long as it. */
CH_API ch_signer ch_keyring_signer(ch_keyring *k);
/* Tells the guard what was signed before this process started: call it for every restored channel. */
CH_API ch_err ch_keyring_remember(ch_keyring *k, const ch_hash *id, uint16_t epoch, uint64_t version,
                                  const ch_hash *digest) CH_MUST_CHECK;
/* The L1 account's key. The caller wipes it. */
CH_API void ch_keyring_account(const ch_keyring *k, ch_secret *out);

#ifdef __cplusplus
}
#endif
#endif
