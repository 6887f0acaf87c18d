#include "calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

calls calls_new(const ch_chain *chain, const ch_addr *asset) {
  calls c = {.chain = *chain};
  c.params = (ch_params){.payout = {{{1, 2, 3}}, {{4, 5, 6}}},
                         .asset = *asset,
                         .challenge_period = CALLS_PERIOD,
                         .bond = ch_amount_of(CALLS_BOND)};
  memset(c.salt.b, 0x5a, sizeof c.salt.b);
  ch_keccak256(&c.params.tag, c.salt.b, sizeof c.salt.b);
  for (int side = 0; side < 2; side++) {
    ch_pubkey pub;
    memset(c.key[side].b, 0x11 * (side + 1), sizeof c.key[side].b);
    assert_int_equal(ch_pubkey_of(&pub, &c.key[side]), CH_OK);
    assert_int_equal(ch_address_of(&c.params.signer[side], &pub), CH_OK);
  }
  calls_rehash(&c);
  return c;
}

void calls_rehash(calls *c) {
  ch_params_hash(&c->params_hash, &c->chain, &c->params);
  ch_channel_id(&c->id, &c->params_hash, &c->params.asset);
}

static void sign(ch_sig *out, const ch_hash *digest, const ch_secret *key) {
  assert_int_equal(ch_sign(out, digest, key), CH_OK);
}

static ch_hash domain_of(const calls *c) {
  ch_hash domain;
  ch_domain(&domain, &c->chain);
  return domain;
}

ch_tx calls_deposit(const calls *c, uint16_t epoch, uint8_t side, uint64_t amount) {
  ch_tx tx = {.kind = CH_TX_DEPOSIT, .id = c->id};
  tx.u.deposit.params_hash = c->params_hash;
  tx.u.deposit.asset = c->params.asset;
  tx.u.deposit.side = side;
  tx.u.deposit.epoch = epoch;
  tx.u.deposit.amount = ch_amount_of(amount);
  return tx;
}

ch_tx calls_close(const calls *c, uint16_t epoch, int64_t net, uint64_t valid_until) {
  ch_tx tx = {.kind = CH_TX_CLOSE, .id = c->id, .params = c->params};
  ch_close close = {.id = c->id, .epoch = epoch, .net = ch_net_of(net), .valid_until = valid_until};
  ch_hash digest, domain = domain_of(c);
  tx.u.close.close = close;
  ch_close_digest(&digest, &domain, &close);
  sign(&tx.u.close.sig[0], &digest, &c->key[0]);
  sign(&tx.u.close.sig[1], &digest, &c->key[1]);
  return tx;
}

ch_outcome calls_outcome(uint64_t version) {
  ch_outcome o = {.net = ch_net_of((int64_t)(version % 1000)), .blind = {{1}}};
  return o;
}

ch_hash calls_outcome_hash(uint64_t version) {
  ch_hash h = {{0}};
  ch_outcome o = calls_outcome(version);
  if (version != CH_VERSION_NONE) {
    ch_outcome_hash(&h, &o);
  }
  return h;
}

static void sign_state(const calls *c, uint16_t epoch, uint64_t version, ch_sig sig[2]) {
  ch_state s = {.id = c->id, .epoch = epoch, .version = version, .outcome_hash = calls_outcome_hash(version)};
  ch_hash digest, domain = domain_of(c);
  ch_state_digest(&digest, &domain, &s);
  sign(&sig[0], &digest, &c->key[0]);
  sign(&sig[1], &digest, &c->key[1]);
}

ch_tx calls_challenge(const calls *c, uint16_t epoch, uint8_t side, uint64_t version, uint64_t valid_until) {
  ch_tx tx = {.kind = CH_TX_CHALLENGE, .id = c->id, .params = c->params};
  memset(&tx.params.tag, 0, sizeof tx.params.tag); /* the salt stands in its place */
  ch_challenge what = {.id = c->id,
                       .epoch = epoch,
                       .side = side,
                       .version = version,
                       .outcome_hash = calls_outcome_hash(version),
                       .valid_until = valid_until};
  ch_hash digest, domain = domain_of(c);
  tx.u.challenge.challenge = what;
  tx.u.challenge.salt = c->salt;
  if (version != CH_VERSION_NONE) {
    sign_state(c, epoch, version, tx.u.challenge.sig);
  }
  ch_challenge_digest(&digest, &domain, &what);
  sign(&tx.u.challenge.challenge_sig, &digest, &c->key[side & 1]);
  return tx;
}

ch_tx calls_refute(const calls *c, uint16_t epoch, uint64_t version) {
  ch_tx tx = {.kind = CH_TX_REFUTE, .id = c->id, .params = c->params};
  tx.u.refute.epoch = epoch;
  tx.u.refute.version = version;
  tx.u.refute.outcome_hash = calls_outcome_hash(version);
  sign_state(c, epoch, version, tx.u.refute.sig);
  return tx;
}

ch_tx calls_settle(const calls *c, uint16_t epoch, uint64_t version) {
  ch_tx tx = {.kind = CH_TX_SETTLE, .id = c->id, .params = c->params};
  tx.u.settle.epoch = epoch;
  tx.u.settle.outcome = calls_outcome(version);
  return tx;
}
