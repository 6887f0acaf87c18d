/* The in-process signer: keys of one seed, and what was signed with them. */
#include "channel/signer.h"

#include <sodium.h>
#include <stdlib.h>

#include "map.h"

#define PURPOSE 7777 /* of our keys in the BIP-32 tree */
#define HARD(i) (CH_HARDENED | (i))
/* Fills the first page of locked memory together with libsodium's canary. */
#define FIRST_KEYS 120
#define TERMS_BYTES crypto_shorthash_siphashx24_BYTES

/* All secrets, in one piece of locked memory: guard pages for each key would cost 12 KiB a channel. */
typedef struct vault {
  ch_secret node;
  ch_secret account;
  ch_xprv channels;
  ch_secret key[]; /* of each row of `keys` */
} vault;

/* A channel key, found by the nonce that names it. */
typedef struct key_row {
  ch_hash nonce;
  ch_pubkey pub;
  ch_addr addr;
} key_row;

/* The highest version signed of a channel, found by the channel's id. */
typedef struct signed_row {
  ch_hash id;
  ch_hash digest;
  uint64_t version; /* 0: none in this epoch */
  uint16_t epoch;
  uint8_t terms[TERMS_BYTES]; /* what the id stands for, as it was seen last; zero: never */
} signed_row;

struct ch_keyring {
  vault *secret;
  uint32_t cap; /* of secret->key */
  ch_pubkey node_id;
  ch_addr address; /* the account's */
  ch_map keys;     /* key_row */
  ch_map highest;  /* signed_row */
  bool has_domain;
  ch_chain chain; /* the chain of `domain`; nearly always the same one */
  ch_hash domain;
};

/* --- Secrets ------------------------------------------------------------------------------------ */

static vault *vault_new(uint32_t cap) {
  return sodium_malloc(sizeof(vault) + cap * sizeof(ch_secret));
}

/* Makes room for one more key. */
static bool vault_reserve(ch_keyring *k) {
  if (k->keys.n < k->cap) return true;
  vault *bigger = vault_new(k->cap * 2);
  if (bigger == NULL) return false;
  memcpy(bigger, k->secret, sizeof(vault) + k->cap * sizeof(ch_secret));
  sodium_free(k->secret); /* which wipes it */
  k->secret = bigger;
  k->cap *= 2;
  return true;
}

static ch_err derive(ch_secret *out, const ch_xprv *from, const uint32_t *path, size_t n) {
  ch_xprv child;
  ch_err err = ch_xprv_path(&child, from, path, n);
  if (err == CH_OK) *out = child.key;
  ch_wipe(&child, sizeof child);
  return err;
}

static ch_err derive_masters(vault *v, const uint8_t seed[64]) {
  static const uint32_t node[] = {HARD(PURPOSE), HARD(0)};
  static const uint32_t channels[] = {HARD(PURPOSE), HARD(1)};
  static const uint32_t account[] = {HARD(44), HARD(60), HARD(0), 0, 0}; /* BIP-44 */
  ch_xprv root;
  ch_err err = ch_xprv_master(&root, seed, 64);
  if (err == CH_OK) err = derive(&v->node, &root, node, 2);
  if (err == CH_OK) err = derive(&v->account, &root, account, 5);
  if (err == CH_OK) err = ch_xprv_path(&v->channels, &root, channels, 2);
  ch_wipe(&root, sizeof root);
  return err;
}

/* m/7777'/1'/a'/b'/c'/d' with 31 bits of the nonce in each of a, b, c, d. */
static ch_err derive_channel_key(ch_secret *out, const ch_xprv *channels, const ch_hash *nonce) {
  uint32_t path[4];
  for (size_t i = 0; i < 4; i++) {
    const uint8_t *b = nonce->b + 4 * i;
    path[i] = HARD((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
  }
  return derive(out, channels, path, 4);
}

/* The channel key that a nonce names; derived once. NULL if that fails. The secret's place is the row's number. */
static const key_row *key_of(ch_keyring *k, const ch_hash *nonce) {
  key_row *row = ch_map_find(&k->keys, nonce);
  if (row != NULL) return row;
  if (!vault_reserve(k)) return NULL;
  key_row made;
  ch_secret *secret = &k->secret->key[k->keys.n];
  if (derive_channel_key(secret, &k->secret->channels, nonce) != CH_OK) return NULL;
  if (ch_pubkey_of(&made.pub, secret) != CH_OK || ch_address_of(&made.addr, &made.pub) != CH_OK) return NULL;
  row = ch_map_add(&k->keys, nonce);
  if (row == NULL) return NULL;
  row->pub = made.pub;
  row->addr = made.addr;
  return row;
}

static const ch_secret *secret_of(const ch_keyring *k, const key_row *row) {
  return &k->secret->key[ch_map_number(&k->keys, row)];
}

/* --- The guard ---------------------------------------------------------------------------------- */

/* Section 4, rule 7: nothing at or below the highest signed version of this id and epoch, unless it is the same. */
static bool may_sign(const signed_row *row, const ch_state *s, const ch_hash *digest) {
  if (s->epoch > row->epoch) return true;
  if (s->epoch < row->epoch || s->version < row->version) return false;
  return s->version > row->version || ch_hash_eq(&row->digest, digest);
}

static void note_signed(signed_row *row, uint16_t epoch, uint64_t version, const ch_hash *digest) {
  row->epoch = epoch;
  row->version = version;
  row->digest = *digest;
}

/* The row of a channel, made if need be. */
static signed_row *highest_of(ch_keyring *k, const ch_hash *id) {
  signed_row *row = ch_map_find(&k->highest, id);
  return row != NULL ? row : ch_map_add(&k->highest, id);
}

ch_err ch_keyring_remember(ch_keyring *k, const ch_hash *id, uint16_t epoch, uint64_t version, const ch_hash *digest) {
  signed_row *row = highest_of(k, id);
  if (row == NULL) return CH_ERR_NO_MEMORY;
  if (epoch < row->epoch || (epoch == row->epoch && version < row->version)) return CH_OK;
  if (epoch == row->epoch && version == row->version && version > 0 && !ch_hash_eq(&row->digest, digest))
    return CH_ERR_DOUBLE_SIGN;
  note_signed(row, epoch, version, digest);
  return CH_OK;
}

/* --- The signer ---------------------------------------------------------------------------------- */

static const ch_hash *domain_of(ch_keyring *k, const ch_chain *chain) {
  if (!k->has_domain || k->chain.chain_id != chain->chain_id ||
      !ch_addr_eq(&k->chain.adjudicator, &chain->adjudicator)) {
    ch_domain(&k->domain, chain);
    k->chain = *chain;
    k->has_domain = true;
  }
  return &k->domain;
}

static ch_err sign_with(ch_sig *out, const ch_hash *digest, const ch_secret *key) {
  return ch_sign(out, digest, key) == CH_OK ? CH_OK : CH_ERR_SIGNER;
}

static ch_err node_id(void *ctx, ch_pubkey *out) {
  *out = ((ch_keyring *)ctx)->node_id;
  return CH_OK;
}

static ch_err ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer_node) {
  return ch_ecdh(out, &((ch_keyring *)ctx)->secret->node, peer_node) == CH_OK ? CH_OK : CH_ERR_SIGNER;
}

static ch_err sign_open(void *ctx, ch_sig *out, const ch_chain *chain, const ch_open_statement *statement) {
  ch_keyring *k = ctx;
  ch_hash digest;
  ch_open_digest(&digest, domain_of(k, chain), statement);
  return sign_with(out, &digest, &k->secret->node);
}

static ch_err channel_key(void *ctx, ch_pubkey *out, const ch_hash *key_nonce) {
  const key_row *key = key_of(ctx, key_nonce);
  if (key == NULL) return CH_ERR_SIGNER;
  *out = key->pub;
  return CH_OK;
}

/* All that a channel's id is made of, in a few bytes that nobody can aim at: a MAC under a secret of the keyring. */
static void terms_of(uint8_t out[TERMS_BYTES], const ch_keyring *k, const ch_sign_state *r) {
  _Static_assert(CH_MAP_SECRET_BYTES == crypto_shorthash_siphashx24_KEYBYTES, "SipHash's key");
  const ch_params *p = &r->params;
  const struct __attribute__((packed)) {
    uint64_t chain_id;
    ch_addr adjudicator, signer[2], payout[2], asset;
    uint32_t challenge_period;
    ch_amount bond;
    ch_hash tag;
  } all = {r->chain.chain_id,
           r->chain.adjudicator,
           {p->signer[0], p->signer[1]},
           {p->payout[0], p->payout[1]},
           p->asset,
           p->challenge_period,
           p->bond,
           p->tag};
  crypto_shorthash_siphashx24(out, (const uint8_t *)&all, sizeof all, k->highest.secret);
}

/* The row of the channel that the request is about; NULL if its id is not made of what the request says, or memory is
 * out. The same terms again are not hashed again: that would take as long as all other hashes of a signature. */
static signed_row *row_for(ch_keyring *k, const ch_sign_state *r) {
  uint8_t terms[TERMS_BYTES];
  terms_of(terms, k, r);
  signed_row *row = ch_map_find(&k->highest, &r->state.id);
  if (row != NULL && sodium_memcmp(row->terms, terms, sizeof terms) == 0) return row;
  ch_hash params_hash, id;
  ch_params_hash(&params_hash, &r->chain, &r->params);
  ch_channel_id(&id, &params_hash, &r->params.asset);
  if (!ch_hash_eq(&id, &r->state.id)) return NULL;
  row = highest_of(k, &id);
  if (row != NULL) memcpy(row->terms, terms, sizeof terms);
  return row;
}

/* True if the state is what the request says in clear, and ours to sign. */
static bool is_whole(const ch_sign_state *r, const ch_addr *mine) {
  if (r->side > 1 || r->state.version == CH_VERSION_NONE) return false;
  if (ch_params_check(&r->params) != CH_OK || !ch_addr_eq(&r->params.signer[r->side], mine)) return false;
  ch_hash outcome_hash;
  ch_outcome_hash(&outcome_hash, &r->outcome);
  return ch_hash_eq(&outcome_hash, &r->state.outcome_hash);
}

static ch_err sign_state(void *ctx, ch_sig *out, const ch_sign_state *request) {
  ch_keyring *k = ctx;
  const key_row *key = key_of(k, &request->key_nonce);
  if (key == NULL || !is_whole(request, &key->addr)) return CH_ERR_SIGNER;
  signed_row *row = row_for(k, request);
  if (row == NULL) return CH_ERR_SIGNER;
  ch_hash digest;
  ch_state_digest(&digest, domain_of(k, &request->chain), &request->state);
  if (!may_sign(row, &request->state, &digest)) return CH_ERR_DOUBLE_SIGN;
  ch_err err = sign_with(out, &digest, secret_of(k, key));
  if (err == CH_OK) note_signed(row, request->state.epoch, request->state.version, &digest);
  return err;
}

static ch_err sign_close(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce,
                         const ch_close *close) {
  ch_keyring *k = ctx;
  const key_row *key = key_of(k, key_nonce);
  if (key == NULL) return CH_ERR_SIGNER;
  ch_hash digest;
  ch_close_digest(&digest, domain_of(k, chain), close);
  return sign_with(out, &digest, secret_of(k, key));
}

static ch_err sign_withdraw(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce,
                            const ch_withdraw *withdraw) {
  ch_keyring *k = ctx;
  const key_row *key = key_of(k, key_nonce);
  if (key == NULL) return CH_ERR_SIGNER;
  ch_hash digest;
  ch_withdraw_digest(&digest, domain_of(k, chain), withdraw);
  return sign_with(out, &digest, secret_of(k, key));
}

static ch_err sign_move(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce, const ch_move *move) {
  ch_keyring *k = ctx;
  const key_row *key = key_of(k, key_nonce);
  if (key == NULL) return CH_ERR_SIGNER;
  ch_hash digest;
  ch_move_digest(&digest, domain_of(k, chain), move);
  return sign_with(out, &digest, secret_of(k, key));
}

static ch_err sign_challenge(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce,
                             const ch_challenge *challenge) {
  ch_keyring *k = ctx;
  const key_row *key = key_of(k, key_nonce);
  if (key == NULL) return CH_ERR_SIGNER;
  ch_hash digest;
  ch_challenge_digest(&digest, domain_of(k, chain), challenge);
  return sign_with(out, &digest, secret_of(k, key));
}

ch_signer ch_keyring_signer(ch_keyring *k) {
  return (ch_signer){.ctx = k,
                     .node_id = node_id,
                     .ecdh = ecdh,
                     .sign_open = sign_open,
                     .channel_key = channel_key,
                     .sign_state = sign_state,
                     .sign_close = sign_close,
                     .sign_withdraw = sign_withdraw,
                     .sign_move = sign_move,
                     .sign_challenge = sign_challenge};
}

/* --- Life ---------------------------------------------------------------------------------------- */

static ch_err fill(ch_keyring *k, const uint8_t seed[64]) {
  k->cap = FIRST_KEYS;
  k->secret = vault_new(k->cap);
  if (k->secret == NULL) return CH_ERR_NO_MEMORY;
  ch_err err = derive_masters(k->secret, seed);
  ch_pubkey account;
  if (err == CH_OK) err = ch_pubkey_of(&k->node_id, &k->secret->node);
  if (err == CH_OK) err = ch_pubkey_of(&account, &k->secret->account);
  if (err == CH_OK) err = ch_address_of(&k->address, &account);
  if (err != CH_OK) return err;
  uint8_t places[CH_MAP_SECRET_BYTES];
  static const char info[] = "keyring map";
  ch_hkdf_sha256(places, sizeof places, NULL, 0, k->secret->channels.chain_code.b,
                 sizeof k->secret->channels.chain_code.b, info, sizeof info - 1);
  ch_map_init(&k->keys, sizeof(key_row), places);
  ch_map_init(&k->highest, sizeof(signed_row), places);
  ch_wipe(places, sizeof places);
  return CH_OK;
}

ch_err ch_keyring_new(ch_keyring **out, const uint8_t seed[64]) {
  ch_keyring *k = calloc(1, sizeof *k);
  if (k == NULL) return CH_ERR_NO_MEMORY;
  ch_err err = fill(k, seed);
  if (err != CH_OK) {
    ch_keyring_free(k);
    return err;
  }
  *out = k;
  return CH_OK;
}

void ch_keyring_free(ch_keyring *k) {
  if (k == NULL) return;
  sodium_free(k->secret);
  ch_map_free(&k->keys);
  ch_map_free(&k->highest);
  free(k);
}

void ch_keyring_account(const ch_keyring *k, ch_secret *out) {
  *out = k->secret->account;
}

void ch_keyring_address(const ch_keyring *k, ch_addr *out) {
  *out = k->address;
}
