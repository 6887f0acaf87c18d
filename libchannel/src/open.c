/* open.c - agreeing on a channel: request, answer, confirmation.
 *
 * Source: proto/protocol.md, section 2. Nothing is at stake before both sides have stored the channel: the opener
 * deposits only once it has heard from a peer that has stored the opener's statement. */
#include "internal.h"

#include <stdlib.h>

static void statement_of(const ch_channel *c, uint8_t side, const ch_pubkey *other_node, ch_open_statement *out) {
  memset(out, 0, sizeof *out);
  out->id = c->id;
  out->params_hash = c->params_hash;
  out->side = side;
  out->signer = c->params.signer[side];
  ch_keccak256(&out->peer_node, other_node->b, sizeof other_node->b);
}

/* The peer's node key signed that its channel signer is what the parameters say. */
static ch_err check_statement(const ch_channel *c, const ch_pubkey *my_node, const ch_sig *sig) {
  ch_open_statement st;
  ch_hash digest;
  ch_addr node;
  statement_of(c, them(c), my_node, &st);
  ch_open_digest(&digest, &c->domain, &st);
  ch_err err = ch_address_of(&node, &c->peer);
  return err ? err : ch_verify(&digest, sig, &node);
}

static ch_err sign_statement(ch_channel *c, const ch_signer *signer) {
  ch_open_statement st;
  statement_of(c, c->me, &c->peer, &st);
  return signer->sign_open(signer->ctx, &c->open_sig[c->me], &c->chain, &st);
}

/* Salt and blinding key from both nodes' shared secret and both nonces; the tag from the salt. */
static ch_err derive_secrets(ch_channel *c, const ch_signer *signer) {
  ch_secret ecdh;
  ch_err err = signer->ecdh(signer->ctx, &ecdh, &c->peer);
  if (err) return err;
  ch_channel_secrets(&c->salt, &c->blind_key, &ecdh, c->nonce);
  ch_wipe(&ecdh, sizeof ecdh);
  ch_keccak256(&c->params.tag, c->salt.b, sizeof c->salt.b);
  channel_derive(c);
  return ch_params_check(&c->params) ? CH_ERR_TERMS : CH_OK;
}

static ch_channel *channel_new(const ch_env *env, const ch_pubkey *peer, uint8_t me, const ch_chain *chain) {
  ch_channel *c = (ch_channel *)calloc(1, sizeof *c);
  if (!c) return NULL;
  c->chain = *chain;
  c->peer = *peer;
  c->me = me;
  c->created = env->now;
  c->link.up = true;
  return c;
}

static bool terms_ok(const ch_addr *payout, uint32_t challenge_period, ch_amount bond, ch_amount a, ch_amount b) {
  ch_amount total;
  if (ch_addr_is_zero(payout) || !challenge_period || bond.v >> CH_BOND_BITS) return false;
  return !ch_amount_add(&total, a, b) && total.v;
}

ch_terms ch_terms_default(const ch_chain *chain, const ch_pubkey *peer, const ch_addr *payout, ch_amount deposit_mine,
                          ch_amount deposit_peer) {
  return (ch_terms){
      .chain = *chain,
      .peer = *peer,
      .payout = *payout,
      .challenge_period = DEFAULT_CHALLENGE_PERIOD,
      .deposit_mine = deposit_mine,
      .deposit_peer = deposit_peer,
      .locks = {
          .count = 32, .payload = 2048, .gas = 1000000, .longest = 259200, .dust = {1}, .in_flight = {CH_MONEY_MAX}}};
}

ch_err ch_open_request(const ch_opening *o, const ch_signer *signer, ch_effects *fx) {
  const ch_terms *t = &o->terms;
  if (!terms_ok(&t->payout, t->challenge_period, t->bond, t->deposit_mine, t->deposit_peer)) return CH_ERR_TERMS;
  ch_msg m = {.type = CH_MSG_OPEN_REQUEST, .id = o->nonce};
  m.u.open_request.chain = t->chain;
  m.u.open_request.payout = t->payout;
  m.u.open_request.asset = t->asset;
  m.u.open_request.challenge_period = t->challenge_period;
  m.u.open_request.bond = t->bond;
  m.u.open_request.deposit[0] = t->deposit_mine;
  m.u.open_request.deposit[1] = t->deposit_peer;
  m.u.open_request.opener_funds = t->opener_funds;
  m.u.open_request.locks = t->locks;
  ch_err err = signer->channel_key(signer->ctx, &m.u.open_request.signer, &o->nonce);
  return err ? err : fx_send(fx, &m);
}

static ch_err answer(ch_channel *c, ch_effects *fx, const ch_msg *r, const ch_addr *payout, const ch_signer *signer) {
  ch_msg m = {.type = CH_MSG_OPEN_ACCEPT, .id = r->id};
  m.u.open_accept.nonce = c->nonce[1];
  m.u.open_accept.payout = *payout;
  ch_err err = signer->channel_key(signer->ctx, &m.u.open_accept.signer, &c->nonce[1]);
  if (err) return err;
  if (ch_address_of(&c->params.signer[0], &r->u.open_request.signer)) return CH_ERR_TERMS;
  err = ch_address_of(&c->params.signer[1], &m.u.open_accept.signer);
  if (err) return err;
  c->params.payout[0] = r->u.open_request.payout;
  c->params.payout[1] = *payout;
  c->params.asset = r->u.open_request.asset;
  c->params.challenge_period = r->u.open_request.challenge_period;
  c->params.bond = r->u.open_request.bond;
  c->deposit[0] = r->u.open_request.deposit[0];
  c->deposit[1] = r->u.open_request.deposit[1];
  c->opener_funds = r->u.open_request.opener_funds;
  c->limits = r->u.open_request.locks;
  err = derive_secrets(c, signer);
  if (!err) err = sign_statement(c, signer);
  if (err) return err;
  m.u.open_accept.statement = c->open_sig[1];
  fx->durable = true;
  return fx_send(fx, &m);
}

ch_err ch_open_answer(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_msg *request,
                      const ch_pubkey *peer, const ch_chain *chain, const ch_addr *payout, const ch_hash *nonce,
                      const ch_signer *signer) {
  *next = NULL;
  if (request->type != CH_MSG_OPEN_REQUEST) return CH_ERR_ARGUMENT;
  if (request->u.open_request.chain.chain_id != chain->chain_id) return CH_ERR_TERMS;
  if (!ch_addr_eq(&request->u.open_request.chain.adjudicator, &chain->adjudicator)) return CH_ERR_TERMS;
  if (!terms_ok(&request->u.open_request.payout, request->u.open_request.challenge_period, request->u.open_request.bond,
                request->u.open_request.deposit[0], request->u.open_request.deposit[1]))
    return CH_ERR_TERMS;
  ch_channel *c = channel_new(env, peer, 1, chain);
  if (!c) return CH_ERR_NO_MEMORY;
  c->nonce[0] = request->id;
  c->nonce[1] = *nonce;
  ch_err err = answer(c, fx, request, payout, signer);
  if (!err) err = fx_history(fx, CH_PHASE_OPENING, CH_PHASE_OPENING, 0, "answered the peer's request to open");
  if (err) {
    ch_channel_free(c);
    ch_effects_clear(fx);
    return err;
  }
  *next = c;
  return CH_OK;
}

ch_err send_open_confirm(step *s) {
  ch_channel *c = s->c;
  ch_msg m = {.type = CH_MSG_OPEN_CONFIRM, .id = c->id};
  m.u.open_confirm.statement = c->open_sig[c->me];
  return fx_send(s->fx, &m);
}

static ch_err finish(ch_channel *c, const ch_opening *o, const ch_msg *m, const ch_signer *signer) {
  const ch_terms *t = &o->terms;
  ch_pubkey mine, node;
  ch_err err = signer->channel_key(signer->ctx, &mine, &o->nonce);
  if (!err) err = signer->node_id(signer->ctx, &node);
  if (!err) err = ch_address_of(&c->params.signer[0], &mine);
  if (err) return err;
  if (ch_address_of(&c->params.signer[1], &m->u.open_accept.signer)) return CH_ERR_VIOLATION;
  c->nonce[0] = o->nonce;
  c->nonce[1] = m->u.open_accept.nonce;
  c->params.payout[0] = t->payout;
  c->params.payout[1] = m->u.open_accept.payout;
  c->params.asset = t->asset;
  c->params.challenge_period = t->challenge_period;
  c->params.bond = t->bond;
  c->deposit[0] = t->deposit_mine;
  c->deposit[1] = t->deposit_peer;
  c->opener_funds = t->opener_funds;
  c->limits = t->locks;
  err = derive_secrets(c, signer);
  if (err) return err == CH_ERR_TERMS ? CH_ERR_VIOLATION : err;
  c->open_sig[1] = m->u.open_accept.statement;
  if (check_statement(c, &node, &c->open_sig[1])) return CH_ERR_VIOLATION;
  c->agreed = true;
  return sign_statement(c, signer);
}

ch_err ch_open_finish(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_opening *opening,
                      const ch_msg *accept, const ch_signer *signer) {
  *next = NULL;
  if (accept->type != CH_MSG_OPEN_ACCEPT || !ch_hash_eq(&accept->id, &opening->nonce)) return CH_ERR_VIOLATION;
  ch_channel *c = channel_new(env, &opening->terms.peer, 0, &opening->terms.chain);
  if (!c) return CH_ERR_NO_MEMORY;
  step s = {.c = c, .cur = c, .env = env, .signer = signer, .fx = fx};
  ch_err err = finish(c, opening, accept, signer);
  if (!err) err = on_link_up(&s);
  if (!err) err = fx_history(fx, CH_PHASE_OPENING, CH_PHASE_FUNDING, 0, "opened: both sides agreed on the terms");
  if (err) {
    ch_channel_free(c);
    ch_effects_clear(fx);
    return err;
  }
  *next = c;
  return CH_OK;
}

ch_err on_open_confirm(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  if (c->me != 1) return CH_ERR_VIOLATION;
  if (c->agreed) return CH_OK; /* repeated after a reconnect */
  const ch_adj_slots *head = &c->view.head.slots;
  if (head->disputed || head->epoch != c->epoch) return CH_ERR_VIOLATION; /* it is leaving already */
  ch_pubkey node;
  ch_err err = s->signer->node_id(s->signer->ctx, &node);
  if (err) return err;
  if (check_statement(c, &node, &m->u.open_confirm.statement)) return CH_ERR_VIOLATION;
  c->open_sig[0] = m->u.open_confirm.statement;
  c->agreed = true;
  c->heard = true; /* the opener stored the channel before it confirmed */
  note_deposits(c);
  s->fx->durable = true;
  set_cause(s, "the opener confirmed");
  return on_link_up(s);
}

/* --- The static backup ---------------------------------------------------------------------------- */

void ch_channel_origin(const ch_channel *c, ch_origin *out) {
  *out = (ch_origin){.chain = c->chain,
                     .params = c->params,
                     .nonce = {c->nonce[0], c->nonce[1]},
                     .salt = c->salt,
                     .peer = c->peer,
                     .side = c->me,
                     .deposit = {c->deposit[0], c->deposit[1]},
                     .created = c->created};
}

/* The keys and secrets that the origin names must be those that the signer derives. */
static ch_err restore(ch_channel *c, const ch_origin *o, const ch_signer *signer) {
  ch_pubkey mine;
  ch_addr address;
  ch_err err = signer->channel_key(signer->ctx, &mine, &o->nonce[c->me]);
  if (!err) err = ch_address_of(&address, &mine);
  if (err) return err;
  if (!ch_addr_eq(&address, &o->params.signer[c->me])) return CH_ERR_KEY;
  err = derive_secrets(c, signer);
  if (err) return err == CH_ERR_TERMS ? CH_ERR_ARGUMENT : err;
  if (!ch_hash_eq(&c->salt, &o->salt)) return CH_ERR_KEY;
  return ch_hash_eq(&c->params.tag, &o->params.tag) ? CH_OK : CH_ERR_ARGUMENT;
}

ch_err ch_channel_restore(ch_channel **out, const ch_origin *o, const ch_signer *signer) {
  static const char reason[] = "restored from the backup: its states are lost here, the peer has them";
  *out = NULL;
  if (o->side > 1) return CH_ERR_ARGUMENT;
  ch_channel *c = channel_new(&(ch_env){.now = o->created}, &o->peer, o->side, &o->chain);
  if (!c) return CH_ERR_NO_MEMORY;
  c->params = o->params;
  memcpy(c->nonce, o->nonce, sizeof c->nonce);
  memcpy(c->deposit, o->deposit, sizeof c->deposit);
  ch_err err = restore(c, o, signer);
  if (err) {
    ch_channel_free(c);
    return err;
  }
  c->link.up = false;
  c->agreed = c->heard = c->frozen = true;
  memcpy(c->freeze_reason, reason, sizeof reason);
  *out = c;
  return CH_OK;
}
