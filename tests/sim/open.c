/* open.c - opening: the real messages, without faults, as nothing is at stake before the channel is stored. */
#include "world.h"

static bool take_first(ch_effects *fx, ch_msg *m) {
  bool known;
  for (size_t i = 0; i < fx->n; i++)
    if (fx->v[i].kind == CH_FX_SEND) return ch_msg_decode(m, &known, fx->v[i].u.send.bytes, fx->v[i].u.send.len) == 0;
  return false;
}

bool node_open(world *w) {
  node *a = &w->node[0], *b = &w->node[1];
  ch_opening o = {0};
  ch_msg request, accept;
  ch_effects fa = {0}, fb = {0};
  ch_env env;
  ch_hash nonce;
  o.terms = (ch_terms){.chain = w->chain,
                       .peer = b->node_id,
                       .payout = a->address,
                       .challenge_period = PERIOD,
                       .bond = ch_amount_of(BOND),
                       .deposit_mine = ch_amount_of(1000 + rng_below(&w->rng, 5000)),
                       .deposit_peer = ch_amount_of(rng_chance(&w->rng, 50) ? rng_below(&w->rng, 3000) : 0),
                       .opener_funds = rng_chance(&w->rng, 30),
                       .locks = {.count = MAX_LOCKS,
                                 .payload = MAX_LOCKS * LOCK_PAYLOAD,
                                 .gas = MAX_LOCKS * 1000,
                                 .longest = LONGEST,
                                 .dust = {5},
                                 .in_flight = {600}}};
  rng_hash(&w->rng, &o.nonce);
  rng_hash(&w->rng, &nonce);
  ch_signer sa = node_signer(w, a), sb = node_signer(w, b);
  node_env(w, b, &env);
  bool ok = !ch_open_request(&o, &sa, &fa) && take_first(&fa, &request) &&
            !ch_open_answer(&b->channel, &fb, &env, &request, &a->node_id, &w->chain, &b->address, &nonce, &sb) &&
            take_first(&fb, &accept);
  ch_effects_clear(&fa);
  if (!ok) {
    ch_effects_clear(&fb);
    return false;
  }
  disk_commit(w, b, b->channel, &fb);
  ch_effects_clear(&fb);
  ch_secret ecdh;
  const ch_hash nonces[2] = {o.nonce, nonce};
  if (sa.ecdh(sa.ctx, &ecdh, &b->node_id)) return false;
  ch_channel_secrets(&w->salt, &w->blind_key, &ecdh, nonces); /* what a cheat knows */
  ok = !ch_open_finish(&a->channel, &fa, &env, &o, &accept, &sa);
  w->conn = a->conn = b->conn = ++w->conns;
  if (ok) disk_commit(w, a, a->channel, &fa);
  for (size_t i = 0; ok && i < fa.n; i++)
    if (fa.v[i].kind == CH_FX_SEND) link_send(w, a, fa.v[i].u.send.bytes, fa.v[i].u.send.len);
  ch_effects_clear(&fa);
  return ok;
}
