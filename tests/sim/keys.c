/* keys.c - a node's keys, derived from the seed, and a guard outside the node, which no crash makes forget what was
 * signed. */
#include "world.h"

typedef struct keys {
  world *w;
  node *n;
} keys;
static keys contexts[2];

void node_channel_key(const node *n, const ch_hash *nonce, ch_secret *out) {
  ch_hash h;
  uint8_t buf[64];
  memcpy(buf, n->node_key.b, 32);
  memcpy(buf + 32, nonce->b, 32);
  ch_keccak256(&h, buf, sizeof buf);
  memcpy(out->b, h.b, 32);
}

static ch_err k_node_id(void *ctx, ch_pubkey *out) {
  *out = ((keys *)ctx)->n->node_id;
  return CH_OK;
}

static ch_err k_ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  return ch_ecdh(out, &((keys *)ctx)->n->node_key, peer);
}

static ch_err k_sign_open(void *ctx, ch_sig *out, const ch_chain *chain, const ch_open_statement *st) {
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_open_digest(&digest, &domain, st);
  return ch_sign(out, &digest, &((keys *)ctx)->n->node_key);
}

static ch_err k_channel_key(void *ctx, ch_pubkey *out, const ch_hash *nonce) {
  ch_secret key;
  node_channel_key(((keys *)ctx)->n, nonce, &key);
  return ch_pubkey_of(out, &key);
}

/* Two copies that run at once do not know of each other: what is promised then is that the other side loses nothing. */
static void guard(world *w, int side, const ch_state *st, const ch_hash *digest) {
  if (w->cloned[side]) return;
  for (size_t i = 0; i < w->n_signatures; i++) {
    const signed_version *s = &w->signatures[i];
    if (s->side != side || s->epoch != st->epoch || s->version != st->version) continue;
    if (!ch_hash_eq(&s->digest, digest))
      fail(w, "node %d signed a second content for version %llu", side, (unsigned long long)st->version);
    return;
  }
  if (w->n_signatures == MAX_SIGNED) return fail(w, "too many signatures for the simulator");
  w->signatures[w->n_signatures++] = (signed_version){side, st->version, st->epoch, *digest};
}

static ch_err k_sign_state(void *ctx, ch_sig *out, const ch_sign_state *req) {
  keys *k = (keys *)ctx;
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, &req->chain);
  ch_state_digest(&digest, &domain, &req->state);
  guard(k->w, k->n->side, &req->state, &digest);
  check_signing(k->w, k->n, req);
  node_channel_key(k->n, &req->key_nonce, &key);
  return ch_sign(out, &digest, &key);
}

static ch_err k_sign_close(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce, const ch_close *c) {
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_close_digest(&digest, &domain, c);
  node_channel_key(((keys *)ctx)->n, nonce, &key);
  return ch_sign(out, &digest, &key);
}

static ch_err k_sign_withdraw(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce,
                              const ch_withdraw *what) {
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_withdraw_digest(&digest, &domain, what);
  node_channel_key(((keys *)ctx)->n, nonce, &key);
  return ch_sign(out, &digest, &key);
}

static ch_err k_sign_move(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce, const ch_move *what) {
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_move_digest(&digest, &domain, what);
  node_channel_key(((keys *)ctx)->n, nonce, &key);
  return ch_sign(out, &digest, &key);
}

static ch_err k_sign_challenge(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce,
                               const ch_challenge *c) {
  ch_secret key;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_challenge_digest(&digest, &domain, c);
  node_channel_key(((keys *)ctx)->n, nonce, &key);
  return ch_sign(out, &digest, &key);
}

ch_signer node_signer(world *w, node *n) {
  contexts[n->side] = (keys){w, n};
  return (ch_signer){&contexts[n->side], k_node_id,    k_ecdh,          k_sign_open, k_channel_key,
                     k_sign_state,       k_sign_close, k_sign_withdraw, k_sign_move, k_sign_challenge};
}
