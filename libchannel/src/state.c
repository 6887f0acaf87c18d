/* state.c - parameters, ids, outcomes and EIP-712 digests (proto/protocol.md, sections 2 and 3).
 *
 * Everything that is hashed is a row of 32-byte ABI words, so one small writer serves all of it.
 */
#include "channel/state.h"

#include <sodium.h>

/* keccak256 of the type strings, of "StateChannel" and of "1", as constants because every update hashes them.
 * tests/unit/test_state.c derives them again from the strings. */
static const ch_hash STATE_TYPE = {{0x9a, 0x1a, 0xbc, 0x53, 0xf2, 0x85, 0xc9, 0xe6, 0xc6, 0xbe, 0x56,
                                    0x1f, 0x81, 0x12, 0x07, 0x25, 0x4c, 0xaf, 0x1f, 0x58, 0x7b, 0x29,
                                    0x09, 0x1c, 0xba, 0x4c, 0x6b, 0x0c, 0x4c, 0x7e, 0xdc, 0x8e}};
static const ch_hash CLOSE_TYPE = {{0x97, 0x3e, 0x58, 0x46, 0x81, 0xff, 0xf6, 0xaa, 0x34, 0x64, 0x87,
                                    0x2d, 0xfe, 0xb0, 0xe6, 0xce, 0xee, 0xeb, 0xe9, 0x9f, 0x7d, 0xf9,
                                    0x8e, 0x3e, 0xd6, 0x1e, 0xd1, 0xf4, 0x9e, 0xca, 0xff, 0xd9}};
static const ch_hash WITHDRAW_TYPE = {{0xf0, 0xa5, 0x02, 0x46, 0xcb, 0x09, 0xd5, 0x8b, 0x31, 0xf2, 0xcf,
                                       0x58, 0xc3, 0x46, 0xdf, 0xd6, 0x80, 0xe8, 0xfd, 0xa0, 0x5d, 0x25,
                                       0x4d, 0x30, 0x52, 0x9f, 0x71, 0xe7, 0xad, 0xbd, 0xf5, 0x70}};
static const ch_hash CHALLENGE_TYPE = {{0x0f, 0x30, 0x97, 0x8e, 0x4f, 0x7d, 0xb0, 0x9e, 0xdf, 0xb8, 0x0e,
                                        0xff, 0x72, 0xe8, 0x9e, 0x64, 0x25, 0xff, 0x5b, 0x5b, 0x72, 0xa2,
                                        0xac, 0x13, 0x23, 0xe1, 0x56, 0xa0, 0xfa, 0xfb, 0xe6, 0xc1}};
static const ch_hash MOVE_TYPE = {{0x5d, 0x57, 0x80, 0x05, 0xf7, 0x32, 0x32, 0x58, 0xad, 0x22, 0x3a,
                                   0x04, 0xe3, 0x94, 0xf0, 0xf8, 0xa2, 0x97, 0xa9, 0xc7, 0xe1, 0x67,
                                   0xef, 0x20, 0xcb, 0x64, 0xf3, 0x82, 0x46, 0x61, 0x32, 0xf7}};
static const ch_hash BOUNTY_TYPE = {{0x57, 0x24, 0x9c, 0x44, 0x3d, 0x2f, 0x98, 0x87, 0xce, 0x7d, 0x7c,
                                     0xe5, 0x62, 0x68, 0x0f, 0x4b, 0xfd, 0x70, 0xac, 0xfb, 0x5c, 0xd8,
                                     0xa5, 0xd4, 0xa1, 0xc4, 0xef, 0xb6, 0x88, 0x88, 0x01, 0x2a}};
static const ch_hash OPEN_TYPE = {{0x09, 0xab, 0x4e, 0xc9, 0x76, 0xaa, 0xe1, 0x46, 0x35, 0x39, 0xd6,
                                   0x33, 0xde, 0xc7, 0x7c, 0xdc, 0x1c, 0x6c, 0x90, 0xde, 0x16, 0xa1,
                                   0xcb, 0x44, 0x40, 0x2b, 0x40, 0x88, 0x8d, 0xa7, 0xd2, 0xc6}};
static const ch_hash DOMAIN_TYPE = {{0x8b, 0x73, 0xc3, 0xc6, 0x9b, 0xb8, 0xfe, 0x3d, 0x51, 0x2e, 0xcc,
                                     0x4c, 0xf7, 0x59, 0xcc, 0x79, 0x23, 0x9f, 0x7b, 0x17, 0x9b, 0x0f,
                                     0xfa, 0xca, 0xa9, 0xa7, 0x5d, 0x52, 0x2b, 0x39, 0x40, 0x0f}};
static const ch_hash DOMAIN_NAME = {{0x4a, 0x0c, 0x3e, 0xeb, 0x02, 0xf1, 0x39, 0xcf, 0x77, 0xae, 0x87,
                                     0x7a, 0xc1, 0x70, 0x94, 0xb5, 0x50, 0xca, 0xee, 0xad, 0xb1, 0x05,
                                     0xb5, 0x95, 0x5f, 0xd1, 0x81, 0x2a, 0xf2, 0xfb, 0xe6, 0x70}};
static const ch_hash DOMAIN_VERSION = {{0xc8, 0x9e, 0xfd, 0xaa, 0x54, 0xc0, 0xf2, 0x0c, 0x7a, 0xdf, 0x61,
                                        0x28, 0x82, 0xdf, 0x09, 0x50, 0xf5, 0xa9, 0x51, 0x63, 0x7e, 0x03,
                                        0x07, 0xcd, 0xcb, 0x4c, 0x67, 0x2f, 0x29, 0x8b, 0x8b, 0xc6}};

#define WORD 32

/* The words of an ABI encoding, or of an EIP-712 struct, in order. */
typedef struct words {
  uint8_t b[10][WORD];
  size_t n;
} words;

static uint8_t *next_word(words *w) {
  return w->b[w->n++];
}

static void put_hash(words *w, const ch_hash *h) {
  memcpy(next_word(w), h->b, WORD);
}

static void put_addr(words *w, const ch_addr *a) {
  uint8_t *p = next_word(w);
  memset(p, 0, WORD - sizeof a->b);
  memcpy(p + WORD - sizeof a->b, a->b, sizeof a->b);
}

static void put_uint(words *w, uint64_t v) {
  uint8_t *p = next_word(w);
  memset(p, 0, WORD);
  for (size_t i = 0; i < 8; i++) {
    p[WORD - 1 - i] = (uint8_t)(v >> (8 * i));
  }
}

static void put_amount(words *w, ch_amount a) {
  ch_amount_word(next_word(w), a);
}

static void put_net(words *w, ch_net n) {
  ch_net_word(next_word(w), n);
}

static void hash_words(ch_hash *out, const words *w) {
  ch_keccak256(out, w->b, w->n * WORD);
}

/* keccak256(0x1901 || domain || hashStruct): EIP-712's "\x19\x01" form. */
static void digest_of(ch_hash *out, const ch_hash *domain, const words *w) {
  uint8_t message[2 + 2 * WORD] = {0x19, 0x01};
  ch_hash body;
  hash_words(&body, w);
  memcpy(message + 2, domain->b, WORD);
  memcpy(message + 2 + WORD, body.b, WORD);
  ch_keccak256(out, message, sizeof message);
}

void ch_params_hash(ch_hash *out, const ch_chain *chain, const ch_params *p) {
  words w = {.n = 0};
  put_uint(&w, chain->chain_id);
  put_addr(&w, &chain->adjudicator);
  put_addr(&w, &p->signer[0]);
  put_addr(&w, &p->signer[1]);
  put_addr(&w, &p->payout[0]);
  put_addr(&w, &p->payout[1]);
  put_uint(&w, p->challenge_period);
  put_amount(&w, p->bond);
  put_hash(&w, &p->tag);
  hash_words(out, &w);
}

void ch_channel_id(ch_hash *out, const ch_hash *params_hash, const ch_addr *asset) {
  uint8_t message[sizeof params_hash->b + sizeof asset->b];
  memcpy(message, params_hash->b, sizeof params_hash->b);
  memcpy(message + sizeof params_hash->b, asset->b, sizeof asset->b);
  ch_keccak256(out, message, sizeof message);
}

ch_err ch_params_check(const ch_params *p) {
  for (int side = 0; side < 2; side++) {
    if (ch_addr_is_zero(&p->signer[side]) || ch_addr_is_zero(&p->payout[side])) {
      return CH_ERR_ARGUMENT;
    }
  }
  if (ch_addr_eq(&p->signer[0], &p->signer[1])) {
    return CH_ERR_ARGUMENT;
  }
  return p->bond.v >> CH_BOND_BITS == 0 ? CH_OK : CH_ERR_ARGUMENT;
}

void ch_channel_secrets(ch_hash *salt, ch_secret *blind_key, const ch_secret *ecdh, const ch_hash nonce[2]) {
  static const char salt_info[] = "channel/salt";
  static const char blind_info[] = "channel/blind";
  uint8_t nonces[2 * WORD];
  memcpy(nonces, nonce[0].b, WORD);
  memcpy(nonces + WORD, nonce[1].b, WORD);
  ch_hkdf_sha256(salt->b, sizeof salt->b, nonces, sizeof nonces, ecdh->b, sizeof ecdh->b, salt_info,
                 sizeof salt_info - 1);
  ch_hkdf_sha256(blind_key->b, sizeof blind_key->b, nonces, sizeof nonces, ecdh->b, sizeof ecdh->b, blind_info,
                 sizeof blind_info - 1);
}

void ch_blind(ch_hash *out, const ch_secret *blind_key, uint16_t epoch, uint64_t version) {
  static const char label[] = "channel/outcome";
  uint8_t message[sizeof label - 1 + 2 + 8];
  uint8_t *p = message + sizeof label - 1;
  memcpy(message, label, sizeof label - 1);
  p[0] = (uint8_t)(epoch >> 8);
  p[1] = (uint8_t)epoch;
  for (int i = 0; i < 8; i++) {
    p[2 + i] = (uint8_t)(version >> (56 - 8 * i));
  }
  crypto_auth_hmacsha256(out->b, message, sizeof message, blind_key->b);
}

void ch_outcome_hash(ch_hash *out, const ch_outcome *o) {
  words w = {.n = 0};
  put_net(&w, o->net);
  put_hash(&w, &o->locks_hash);
  put_hash(&w, &o->blind);
  hash_words(out, &w);
}

ch_err ch_payouts(ch_amount out[2], const ch_net contribution[2], ch_net net) {
  ch_net sum;
  if (ch_net_sum(&sum, contribution[0], contribution[1]) != CH_OK || sum.v < 0) {
    return CH_ERR_BUG;
  }
  /* Each term is below 2^111 in size, so the difference is far from the limits of 128 bits. */
  ch_i128 first = contribution[0].v - net.v;
  first = first < 0 ? 0 : first > sum.v ? sum.v : first;
  out[0].v = (ch_u128)first;
  out[1].v = (ch_u128)(sum.v - first);
  return CH_OK;
}

void ch_domain(ch_hash *out, const ch_chain *chain) {
  words w = {.n = 0};
  put_hash(&w, &DOMAIN_TYPE);
  put_hash(&w, &DOMAIN_NAME);
  put_hash(&w, &DOMAIN_VERSION);
  put_uint(&w, chain->chain_id);
  put_addr(&w, &chain->adjudicator);
  hash_words(out, &w);
}

void ch_state_digest(ch_hash *out, const ch_hash *domain, const ch_state *s) {
  words w = {.n = 0};
  put_hash(&w, &STATE_TYPE);
  put_hash(&w, &s->id);
  put_uint(&w, s->epoch);
  put_uint(&w, s->version);
  put_hash(&w, &s->outcome_hash);
  digest_of(out, domain, &w);
}

void ch_close_digest(ch_hash *out, const ch_hash *domain, const ch_close *c) {
  words w = {.n = 0};
  put_hash(&w, &CLOSE_TYPE);
  put_hash(&w, &c->id);
  put_uint(&w, c->epoch);
  put_net(&w, c->net);
  put_uint(&w, c->valid_until);
  digest_of(out, domain, &w);
}

void ch_withdraw_digest(ch_hash *out, const ch_hash *domain, const ch_withdraw *what) {
  words w = {.n = 0};
  put_hash(&w, &WITHDRAW_TYPE);
  put_hash(&w, &what->id);
  put_uint(&w, what->epoch);
  put_uint(&w, what->seq);
  put_uint(&w, what->side);
  put_amount(&w, what->amount);
  put_uint(&w, what->valid_until);
  digest_of(out, domain, &w);
}

void ch_challenge_digest(ch_hash *out, const ch_hash *domain, const ch_challenge *c) {
  words w = {.n = 0};
  put_hash(&w, &CHALLENGE_TYPE);
  put_hash(&w, &c->id);
  put_uint(&w, c->epoch);
  put_uint(&w, c->side);
  put_uint(&w, c->version);
  put_hash(&w, &c->outcome_hash);
  put_uint(&w, c->valid_until);
  digest_of(out, domain, &w);
}

void ch_move_digest(ch_hash *out, const ch_hash *domain, const ch_move *m) {
  words w = {.n = 0};
  put_hash(&w, &MOVE_TYPE);
  put_hash(&w, &m->id);
  put_uint(&w, m->epoch);
  put_uint(&w, m->seq);
  put_uint(&w, m->side);
  put_amount(&w, m->amount);
  put_uint(&w, m->valid_until);
  put_hash(&w, &m->to_id);
  put_uint(&w, m->to_epoch);
  put_uint(&w, m->to_side);
  digest_of(out, domain, &w);
}

void ch_bounty_digest(ch_hash *out, const ch_hash *domain, const ch_bounty *b) {
  words w = {.n = 0};
  put_hash(&w, &BOUNTY_TYPE);
  put_hash(&w, &b->id);
  put_uint(&w, b->epoch);
  put_addr(&w, &b->beneficiary);
  digest_of(out, domain, &w);
}

void ch_open_digest(ch_hash *out, const ch_hash *domain, const ch_open_statement *o) {
  words w = {.n = 0};
  put_hash(&w, &OPEN_TYPE);
  put_hash(&w, &o->id);
  put_hash(&w, &o->params_hash);
  put_uint(&w, o->side);
  put_addr(&w, &o->signer);
  put_hash(&w, &o->peer_node);
  digest_of(out, domain, &w);
}
