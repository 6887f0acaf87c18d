/* typed.c - what is signed, as JSON: the fields of EIP-712 data under their names in proto/protocol.md, section 3. */
#include "vectors.h"

/* The fields that all but OpenStatement begin with. */
static json_t *of_epoch(ch_hash id, uint16_t epoch) {
  json_t *o = json_object();
  put_hash(o, "id", id);
  put_number(o, "epoch", epoch);
  return o;
}

json_t *typed_state(const ch_state *s) {
  json_t *o = of_epoch(s->id, s->epoch);
  put_number(o, "version", s->version);
  put_hash(o, "outcomeHash", s->outcome_hash);
  return o;
}

json_t *typed_close(const ch_close *c) {
  json_t *o = of_epoch(c->id, c->epoch);
  put_net(o, "net", c->net);
  put_number(o, "validUntil", c->valid_until);
  return o;
}

json_t *typed_withdraw(const ch_withdraw *w) {
  json_t *o = of_epoch(w->id, w->epoch);
  put_number(o, "seq", w->seq);
  put_number(o, "side", w->side);
  put_amount(o, "amount", w->amount);
  put_number(o, "validUntil", w->valid_until);
  return o;
}

/* A withdrawal with a target. */
json_t *typed_move(const ch_move *m) {
  const ch_withdraw out = {m->id, m->epoch, m->seq, m->side, m->amount, m->valid_until};
  json_t *o = typed_withdraw(&out);
  put_hash(o, "toId", m->to_id);
  put_number(o, "toEpoch", m->to_epoch);
  put_number(o, "toSide", m->to_side);
  return o;
}

json_t *typed_challenge(const ch_challenge *c) {
  json_t *o = of_epoch(c->id, c->epoch);
  put_number(o, "side", c->side);
  put_number(o, "version", c->version);
  put_hash(o, "outcomeHash", c->outcome_hash);
  put_number(o, "validUntil", c->valid_until);
  return o;
}

json_t *typed_bounty(const ch_bounty *b) {
  json_t *o = of_epoch(b->id, b->epoch);
  put_addr(o, "beneficiary", b->beneficiary);
  return o;
}

json_t *typed_open(const ch_open_statement *s) {
  json_t *o = json_object();
  put_hash(o, "id", s->id);
  put_hash(o, "paramsHash", s->params_hash);
  put_number(o, "side", s->side);
  put_addr(o, "signer", s->signer);
  put_hash(o, "peerNode", s->peer_node);
  return o;
}
