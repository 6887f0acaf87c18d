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

/* A signer: its functions are called from the thread that calls ch_step or ch_open_*, one call at a time per signer.
 * Each returns CH_OK, CH_ERR_SIGNER, CH_ERR_PENDING, and sign_state also CH_ERR_DOUBLE_SIGN.
 *
 * A signer that takes time (keys in hardware or on another machine, a person who confirms) notes the request, returns
 * CH_ERR_PENDING and goes to work; the engine's call returns CH_ERR_PENDING as well, with nothing changed, and the
 * caller makes the same call again when the answer is there (channel.h, "Signers that take time"). The contract:
 *   - Requests that are equal in every field are one request. Once it is answered, it is answered at once and with the
 *     same result, however often it is asked, until the engine's call ends with anything but CH_ERR_PENDING. One call
 *     may need several signatures: it asks for them one after the other, and for the earlier ones again each time.
 *   - A request is given up by cancelling it, so that it will never be signed, and then answering CH_ERR_SIGNER.
 *   - What counts as signed is what an ended call has stored (channel.h, the barrier): a signature that a crash threw
 *     away has never left the process, and the engine may ask for another content of its version afterwards. A guard
 *     that outlives the process should therefore learn of a signature after the barrier, as ch_keyring_remember does;
 *     one that counts from the moment of signing answers CH_ERR_DOUBLE_SIGN then, and the channel goes on when the
 *     peer's next update has passed that version. */
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
  ch_err (*sign_withdraw)(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce,
                          const ch_withdraw *withdraw);
  ch_err (*sign_move)(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce, const ch_move *move);
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
/* The L1 account's address: a payout address that the seed's words find again. */
CH_API void ch_keyring_address(const ch_keyring *k, ch_addr *out);

#ifdef __cplusplus
}
#endif
#endif
