/* state.h - channel parameters, states and everything that is signed (EIP-712).
 *
 * Source: proto/protocol.md, sections 2 (parameters and id) and 3 (states and signatures). Pure functions,
 * thread-safe, no ownership. "Side" is 0 (who opened the channel) or 1 everywhere.
 */
#ifndef CHANNEL_STATE_H
#define CHANNEL_STATE_H

#include "crypto.h"
#include "money.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which Adjudicator on which chain: the EIP-712 domain and part of every channel id. */
typedef struct ch_chain {
  uint64_t chain_id;
  ch_addr adjudicator;
} ch_chain;

/* What the two parties agree on once, at open. `bond` is native coin, below 2^96. */
typedef struct ch_params {
  ch_addr signer[2];         /* addresses of the channel keys; never zero, never equal */
  ch_addr payout[2];         /* where money goes; never zero */
  ch_addr asset;             /* zero: the native coin, else a token */
  uint32_t challenge_period; /* seconds */
  ch_amount bond;            /* posted by a challenger */
  ch_hash tag;               /* keccak256(salt) */
} ch_params;

#define CH_BOND_BITS 96
/* The version 0 of an epoch means "nothing moved" and needs no signature. */
#define CH_VERSION_NONE 0

/* paramsHash = keccak256(abi.encode(chainId, adjudicator, signer0, signer1, payout0, payout1, challengePeriod, bond,
 * tag)): nine words. Everything but the asset, which the id adds. */
CH_API void ch_params_hash(ch_hash *out, const ch_chain *chain, const ch_params *p);
/* id = keccak256(paramsHash || asset20). */
CH_API void ch_channel_id(ch_hash *out, const ch_hash *params_hash, const ch_addr *asset);
/* CH_OK if the parameters are well-formed: signers non-zero and distinct, payouts non-zero, bond below 2^96. */
CH_API ch_err ch_params_check(const ch_params *p) CH_MUST_CHECK;

/* The secrets that the two parties share: HKDF-SHA256 (RFC 5869, 32 bytes each) with ikm = `ecdh` (of their node
 * keys), salt = nonce[0] || nonce[1] (by side), info = "channel/salt" for `salt` and "channel/blind" for `blind_key`.
 * `salt` becomes public in a challenge; `blind_key` never does: wipe both when done. Source: section 2. */
CH_API void ch_channel_secrets(ch_hash *salt, ch_secret *blind_key, const ch_secret *ecdh, const ch_hash nonce[2]);

/* What a version of the channel says, in clear: how much has moved from side 0 to side 1, and which
 * conditional transfers are pending (locks_hash, zero for none). */
typedef struct ch_outcome {
  ch_net net;
  ch_hash locks_hash;
  ch_hash blind;
} ch_outcome;

/* blind = HMAC-SHA256(key = blind_key, "channel/outcome" || epoch (2 bytes) || version (8 bytes)), both big-endian:
 * makes the outcome hash of a small net unguessable. One HMAC, as every update needs it. */
CH_API void ch_blind(ch_hash *out, const ch_secret *blind_key, uint16_t epoch, uint64_t version);
/* outcomeHash = keccak256(abi.encode(net, locksHash, blind)). */
CH_API void ch_outcome_hash(ch_hash *out, const ch_outcome *o);

/* p0 = clamp(contribution0 - net, 0, total), p1 = total - p0, with total = contribution0 + contribution1.
 * Contributions may be negative one by one; their sum never is (else CH_ERR_BUG). `net` beyond what moved money can be
 * is clamped, never refused. Source: section 3. */
CH_API ch_err ch_payouts(ch_amount out[2], const ch_net contribution[2], ch_net net) CH_MUST_CHECK;

/* --- What is signed ----------------------------------------------------------------------------- */

typedef struct ch_state {
  ch_hash id;
  uint16_t epoch;
  uint64_t version;
  ch_hash outcome_hash;
} ch_state;

typedef struct ch_close {
  ch_hash id;
  uint16_t epoch;
  ch_net net;
  uint64_t valid_until; /* chain seconds, 40 bits */
} ch_close;

/* Takes `amount` of its side's balance out of a running channel, to its payout address. */
typedef struct ch_withdraw {
  ch_hash id;
  uint16_t epoch;
  uint16_t seq; /* the channel's withdraw_seq: each number is used once in an epoch, 15 bits */
  uint8_t side;
  ch_amount amount;
  uint64_t valid_until; /* chain seconds, 40 bits */
} ch_withdraw;

/* Takes `amount` of its side's balance out of a running channel and into another one of the same asset. */
typedef struct ch_move {
  ch_hash id;
  uint16_t epoch;
  uint16_t seq; /* as in ch_withdraw: both use up the same numbers */
  uint8_t side;
  ch_amount amount;
  uint64_t valid_until; /* chain seconds, 40 bits */
  ch_hash to_id;
  uint16_t to_epoch;
  uint8_t to_side; /* whose contribution it becomes */
} ch_move;

/* Who gets a forfeited bond in this epoch; by the channel key of the side that is not the challenger. */
typedef struct ch_bounty {
  ch_hash id;
  uint16_t epoch;
  ch_addr beneficiary;
} ch_bounty;

typedef struct ch_challenge {
  ch_hash id;
  uint16_t epoch;
  uint8_t side;
  uint64_t version;
  ch_hash outcome_hash; /* zero for version 0 */
  uint64_t valid_until;
} ch_challenge;

/* Signed by a node key at open: binds the node's identity to its channel signer and to the exact channel. */
typedef struct ch_open_statement {
  ch_hash id;
  ch_hash params_hash;
  uint8_t side;
  ch_addr signer;
  ch_hash peer_node; /* keccak256 of the other side's 33-byte node id */
} ch_open_statement;

/* EIP-712 domain separator: name "StateChannel", version "1", chainId, verifyingContract. */
CH_API void ch_domain(ch_hash *out, const ch_chain *chain);
/* EIP-712 digests: keccak256(0x1901 || domain || hashStruct). The types (section 3):
 *   State(bytes32 id,uint16 epoch,uint64 version,bytes32 outcomeHash)
 *   Close(bytes32 id,uint16 epoch,int112 net,uint40 validUntil)
 *   Withdraw(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil)
 *   Move(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil,bytes32 toId,uint16 toEpoch,
 *        uint8 toSide)
 *   Bounty(bytes32 id,uint16 epoch,address beneficiary)
 *   Challenge(bytes32 id,uint16 epoch,uint8 side,uint64 version,bytes32 outcomeHash,uint40 validUntil)
 *   OpenStatement(bytes32 id,bytes32 paramsHash,uint8 side,address signer,bytes32 peerNode) */
CH_API void ch_state_digest(ch_hash *out, const ch_hash *domain, const ch_state *s);
CH_API void ch_close_digest(ch_hash *out, const ch_hash *domain, const ch_close *c);
CH_API void ch_withdraw_digest(ch_hash *out, const ch_hash *domain, const ch_withdraw *w);
CH_API void ch_move_digest(ch_hash *out, const ch_hash *domain, const ch_move *m);
CH_API void ch_bounty_digest(ch_hash *out, const ch_hash *domain, const ch_bounty *b);
CH_API void ch_challenge_digest(ch_hash *out, const ch_hash *domain, const ch_challenge *c);
CH_API void ch_open_digest(ch_hash *out, const ch_hash *domain, const ch_open_statement *o);

/* The least version above `base` with the parity of `side` (0 even, 1 odd). Source: section 4, rule 1. */
static inline uint64_t ch_next_version(uint8_t side, uint64_t base) {
  return base + 1 + (((base + 1) ^ side) & 1);
}
/* The side whose parity a version has. */
static inline uint8_t ch_version_side(uint64_t version) {
  return version & 1;
}

#ifdef __cplusplus
}
#endif
#endif
