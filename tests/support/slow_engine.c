#include "slow_engine.h"

#include <stdlib.h>

#include "wrapped.h"

#define KNOWN 16 /* requests in one call */

slow_engine_state slow_engine;

/* --- The signer ------------------------------------------------------------------------------------- */

typedef struct slow_signer {
  const ch_signer *inner;
  ch_hash known[KNOWN];
  size_t n;
} slow_signer;

static ch_hash name_of(slow_request kind, const void *what, size_t len) {
  ch_keccak k;
  ch_hash h;
  const uint8_t tag = (uint8_t)kind;
  ch_keccak_init(&k);
  ch_keccak_update(&k, &tag, sizeof tag);
  ch_keccak_update(&k, what, len);
  ch_keccak_final(&k, &h);
  return h;
}

/* The answer to a request that was made before; CH_ERR_PENDING the first time. */
static ch_err asked(slow_signer *s, slow_request kind, const void *what, size_t len) {
  ch_hash name = name_of(kind, what, len);
  for (size_t i = 0; i < s->n; i++)
    if (ch_hash_eq(&s->known[i], &name)) return slow_engine.refuse ? CH_ERR_SIGNER : CH_OK;
  slow_engine.pending[kind]++;
  if (slow_engine.silent) return CH_ERR_PENDING;
  assert_true(s->n < KNOWN);
  s->known[s->n++] = name;
  if (s->n > slow_engine.most) slow_engine.most = s->n;
  return CH_ERR_PENDING;
}

static ch_err node_id(void *ctx, ch_pubkey *out) {
  slow_signer *s = ctx;
  ch_err err = asked(s, SLOW_NODE_ID, NULL, 0);
  return err ? err : s->inner->node_id(s->inner->ctx, out);
}

static ch_err ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  slow_signer *s = ctx;
  ch_err err = asked(s, SLOW_ECDH, peer, sizeof *peer);
  return err ? err : s->inner->ecdh(s->inner->ctx, out, peer);
}

static ch_err sign_open(void *ctx, ch_sig *out, const ch_chain *chain, const ch_open_statement *statement) {
  slow_signer *s = ctx;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_open_digest(&digest, &domain, statement);
  ch_err err = asked(s, SLOW_SIGN_OPEN, &digest, sizeof digest);
  return err ? err : s->inner->sign_open(s->inner->ctx, out, chain, statement);
}

static ch_err channel_key(void *ctx, ch_pubkey *out, const ch_hash *key_nonce) {
  slow_signer *s = ctx;
  ch_err err = asked(s, SLOW_CHANNEL_KEY, key_nonce, sizeof *key_nonce);
  return err ? err : s->inner->channel_key(s->inner->ctx, out, key_nonce);
}

static ch_err sign_state(void *ctx, ch_sig *out, const ch_sign_state *request) {
  slow_signer *s = ctx;
  ch_hash domain, digest;
  ch_domain(&domain, &request->chain);
  ch_state_digest(&digest, &domain, &request->state);
  ch_err err = asked(s, SLOW_SIGN_STATE, &digest, sizeof digest);
  return err ? err : s->inner->sign_state(s->inner->ctx, out, request);
}

static ch_err sign_close(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce,
                         const ch_close *close) {
  slow_signer *s = ctx;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_close_digest(&digest, &domain, close);
  ch_err err = asked(s, SLOW_SIGN_CLOSE, &digest, sizeof digest);
  return err ? err : s->inner->sign_close(s->inner->ctx, out, chain, key_nonce, close);
}

static ch_err sign_withdraw(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce,
                            const ch_withdraw *withdraw) {
  slow_signer *s = ctx;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_withdraw_digest(&digest, &domain, withdraw);
  ch_err err = asked(s, SLOW_SIGN_WITHDRAW, &digest, sizeof digest);
  return err ? err : s->inner->sign_withdraw(s->inner->ctx, out, chain, key_nonce, withdraw);
}

static ch_err sign_move(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce, const ch_move *move) {
  slow_signer *s = ctx;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_move_digest(&digest, &domain, move);
  ch_err err = asked(s, SLOW_SIGN_MOVE, &digest, sizeof digest);
  return err ? err : s->inner->sign_move(s->inner->ctx, out, chain, key_nonce, move);
}

static ch_err sign_challenge(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *key_nonce,
                             const ch_challenge *challenge) {
  slow_signer *s = ctx;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_challenge_digest(&digest, &domain, challenge);
  ch_err err = asked(s, SLOW_SIGN_CHALLENGE, &digest, sizeof digest);
  return err ? err : s->inner->sign_challenge(s->inner->ctx, out, chain, key_nonce, challenge);
}

static ch_signer slow(slow_signer *s) {
  return (ch_signer){.ctx = s,
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

/* --- The host --------------------------------------------------------------------------------------- */

/* One of the engine's calls, with its arguments. */
typedef struct call {
  ch_err (*make)(const struct call *c, ch_channel **next, const ch_signer *signer);
  ch_effects *fx;
  const ch_channel *cur;
  const ch_env *env;
  const ch_event *ev;
  const ch_opening *opening;
  const ch_msg *msg;
  const ch_pubkey *peer;
  const ch_chain *chain;
  const ch_addr *payout;
  const ch_hash *nonce;
} call;

/* Makes the call until the signer has answered everything. */
static ch_err repeat(const call *c, ch_channel **next, const ch_signer *signer) {
  if (slow_engine.off) return c->make(c, next, signer);
  slow_signer state = {.inner = signer};
  ch_signer asked_twice = slow(&state);
  uint8_t *before = NULL, *after = NULL;
  size_t len = 0, len_after = 0;
  ch_err err;
  if (c->cur) assert_int_equal(ch_channel_encode(c->cur, &before, &len), CH_OK);
  while ((err = c->make(c, next, &asked_twice)) == CH_ERR_PENDING) {
    assert_null(*next);
    assert_int_equal(c->fx->n, 0);
    assert_false(c->fx->durable);
    if (slow_engine.silent) break;
  }
  if (c->cur) {
    assert_int_equal(ch_channel_encode(c->cur, &after, &len_after), CH_OK);
    assert_int_equal(len_after, len);
    assert_memory_equal(after, before, len);
  }
  free(before);
  free(after);
  return err;
}

static ch_err make_step(const call *c, ch_channel **next, const ch_signer *signer) {
  return __real_ch_step(next, c->fx, c->cur, c->env, c->ev, signer);
}

ch_err __wrap_ch_step(ch_channel **next, ch_effects *fx, const ch_channel *cur, const ch_env *env, const ch_event *ev,
                      const ch_signer *signer) {
  call c = {.make = make_step, .fx = fx, .cur = cur, .env = env, .ev = ev};
  return repeat(&c, next, signer);
}

static ch_err make_request(const call *c, ch_channel **next, const ch_signer *signer) {
  *next = NULL;
  return __real_ch_open_request(c->opening, signer, c->fx);
}

ch_err __wrap_ch_open_request(const ch_opening *opening, const ch_signer *signer, ch_effects *fx) {
  ch_channel *none;
  call c = {.make = make_request, .fx = fx, .opening = opening};
  return repeat(&c, &none, signer);
}

static ch_err make_answer(const call *c, ch_channel **next, const ch_signer *signer) {
  return __real_ch_open_answer(next, c->fx, c->env, c->msg, c->peer, c->chain, c->payout, c->nonce, signer);
}

ch_err __wrap_ch_open_answer(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_msg *request,
                             const ch_pubkey *peer, const ch_chain *chain, const ch_addr *payout, const ch_hash *nonce,
                             const ch_signer *signer) {
  call c = {.make = make_answer,
            .fx = fx,
            .env = env,
            .msg = request,
            .peer = peer,
            .chain = chain,
            .payout = payout,
            .nonce = nonce};
  return repeat(&c, next, signer);
}

static ch_err make_finish(const call *c, ch_channel **next, const ch_signer *signer) {
  return __real_ch_open_finish(next, c->fx, c->env, c->opening, c->msg, signer);
}

ch_err __wrap_ch_open_finish(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_opening *opening,
                             const ch_msg *accept, const ch_signer *signer) {
  call c = {.make = make_finish, .fx = fx, .env = env, .opening = opening, .msg = accept};
  return repeat(&c, next, signer);
}
