/* show.c - messages, calls of the Adjudicator and views of the chain as JSON. */
#include "vectors.h"

#include <stdlib.h>

/* --- Messages: the names of proto/peer.proto -------------------------------------------------------------------- */

const char *message_name(ch_msg_type type) {
  switch (type) {
  case CH_MSG_ERROR: return "Error";
  case CH_MSG_OPEN_REQUEST: return "OpenRequest";
  case CH_MSG_OPEN_ACCEPT: return "OpenAccept";
  case CH_MSG_OPEN_CONFIRM: return "OpenConfirm";
  case CH_MSG_FUNDS: return "Funds";
  case CH_MSG_REESTABLISH: return "Reestablish";
  case CH_MSG_UPDATE: return "Update";
  case CH_MSG_FULL_STATE: return "FullState";
  case CH_MSG_CLOSE: return "Close";
  case CH_MSG_WITHDRAW: return "Withdraw";
  case CH_MSG_RESUME: return "Resume";
  }
  abort();
}

static void put_text(json_t *o, const char *key, const char *text, size_t len) {
  json_object_set_new(o, key, json_stringn(text, len));
}

static void put_bool(json_t *o, const char *key, bool v) {
  json_object_set_new(o, key, json_boolean(v));
}

static json_t *child(json_t *o, const char *key) {
  json_t *c = json_object();
  json_object_set_new(o, key, c);
  return c;
}

static void show_open_request(json_t *o, const ch_msg *m) {
  put_hash(o, "nonce", m->id);
  put_number(o, "chain_id", m->u.open_request.chain.chain_id);
  put_addr(o, "adjudicator", m->u.open_request.chain.adjudicator);
  put_hex(o, "signer", m->u.open_request.signer.b, sizeof m->u.open_request.signer.b);
  put_addr(o, "payout", m->u.open_request.payout);
  put_addr(o, "asset", m->u.open_request.asset);
  put_number(o, "challenge_period", m->u.open_request.challenge_period);
  put_amount(o, "bond", m->u.open_request.bond);
  put_amount(o, "deposit_0", m->u.open_request.deposit[0]);
  put_amount(o, "deposit_1", m->u.open_request.deposit[1]);
  put_bool(o, "opener_funds", m->u.open_request.opener_funds);
  const ch_lock_limits *l = &m->u.open_request.locks;
  put_number(o, "lock_count", l->count);
  put_number(o, "lock_payload", l->payload);
  put_number(o, "lock_gas", l->gas);
  put_number(o, "lock_longest", l->longest);
  put_amount(o, "lock_dust", l->dust);
  put_amount(o, "lock_in_flight", l->in_flight);
}

static void show_open_accept(json_t *o, const ch_msg *m) {
  put_hash(o, "request", m->id);
  put_hash(o, "nonce", m->u.open_accept.nonce);
  put_hex(o, "signer", m->u.open_accept.signer.b, sizeof m->u.open_accept.signer.b);
  put_addr(o, "payout", m->u.open_accept.payout);
  put_sig(o, "statement", m->u.open_accept.statement);
}

static void show_reestablish(json_t *o, const ch_msg *m) {
  put_number(o, "version", m->u.reestablish.version);
  put_hash(o, "digest", m->u.reestablish.digest);
  put_number(o, "highest_signed", m->u.reestablish.highest_signed);
  put_number(o, "outstanding", m->u.reestablish.outstanding);
  put_bool(o, "frozen", m->u.reestablish.frozen);
  put_hash(o, "instance", m->u.reestablish.instance);
  if (m->u.reestablish.proof_version == 0) return;
  json_t *p = child(o, "proof");
  put_number(p, "version", m->u.reestablish.proof_version);
  put_hash(p, "outcome_hash", m->u.reestablish.proof_outcome);
  put_sig(p, "signature", m->u.reestablish.proof_sig);
}

static void show_reserve(json_t *o, const ch_op *op) {
  put_amount(o, "amount", op->amount);
  put_number(o, "seq", op->seq);
  put_number(o, "valid_until", op->valid_until);
  if (!op->u.to.set) return;
  json_t *to = child(o, "to");
  put_hash(to, "params_hash", op->u.to.params_hash);
  put_number(to, "epoch", op->u.to.epoch);
  put_number(to, "side", op->u.to.side);
}

static void show_lock_add(json_t *o, const ch_op *op) {
  put_text(o, "id", op->id, op->id_len);
  put_amount(o, "amount", op->amount);
  put_number(o, "expiry", op->valid_until);
  put_addr(o, "condition", op->u.add.condition);
  put_number(o, "gas", op->u.add.gas);
  put_hex(o, "payload", op->u.add.payload, op->u.add.payload_len);
}

static void show_op(json_t *list, const ch_op *op) {
  static const char *const kinds[] = {"",         "noop",   "pay",    "shutdown", "reserve",
                                      "lock_add", "fulfil", "cancel", "expire"};
  json_t *o = child(add(list), kinds[op->kind]);
  switch ((ch_op_kind)op->kind) {
  case CH_OP_NOOP:
  case CH_OP_SHUTDOWN: break;
  case CH_OP_PAY:
    put_text(o, "id", op->id, op->id_len);
    put_amount(o, "amount", op->amount);
    break;
  case CH_OP_RESERVE: show_reserve(o, op); break;
  case CH_OP_LOCK_ADD: show_lock_add(o, op); break;
  case CH_OP_FULFIL:
    put_hash(o, "lock", op->u.resolve.lock);
    put_hex(o, "preimage", op->u.resolve.preimage.b, op->u.resolve.has_preimage ? 32 : 0);
    break;
  case CH_OP_CANCEL:
  case CH_OP_EXPIRE: put_hash(o, "lock", op->u.resolve.lock); break;
  }
}

json_t *show_ops(const ch_op *ops, size_t n) {
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++)
    show_op(list, &ops[i]);
  return list;
}

static void show_update(json_t *o, const ch_msg *m) {
  if (m->u.update.has_accept) {
    json_t *a = child(o, "accept");
    put_number(a, "version", m->u.update.accept_version);
    put_sig(a, "signature", m->u.update.accept_sig);
  }
  if (!m->u.update.has_proposal && !m->u.update.has_refusal) return;
  json_t *c = child(o, m->u.update.has_proposal ? "proposal" : "refusal");
  put_number(c, "base", m->u.update.base);
  put_number(c, "version", m->u.update.version);
  put_sig(c, "signature", m->u.update.sig);
  if (m->u.update.has_refusal) {
    put_number(c, "op", m->u.update.refused_op);
    put_number(c, "reason", m->u.update.reason);
    return;
  }
  json_object_set_new(c, "op", show_ops(m->u.update.ops, m->u.update.n_ops));
}

static void show_full_state(json_t *o, const ch_full_state *f) {
  put_number(o, "version", f->version);
  put_net(o, "net", f->net);
  put_hash(o, "locks_hash", f->locks_hash);
  put_sig(o, "signature_0", f->sig[0]);
  put_sig(o, "signature_1", f->sig[1]);
}

static void show_withdraw(json_t *o, const ch_msg *m) {
  put_number(o, "seq", m->u.withdraw.seq);
  put_number(o, "side", m->u.withdraw.side);
  put_amount(o, "amount", m->u.withdraw.amount);
  put_number(o, "valid_until", m->u.withdraw.valid_until);
  put_sig(o, "signature", m->u.withdraw.sig);
}

/* What differs from type to type, behind the channel and the epoch. */
static void show_body(json_t *o, const ch_msg *m) {
  switch (m->type) {
  case CH_MSG_ERROR:
    put_number(o, "code", m->u.error.code);
    put_text(o, "text", m->u.error.text, strlen(m->u.error.text));
    break;
  case CH_MSG_FUNDS:
    put_net(o, "contribution_0", m->u.funds.contribution[0]);
    put_net(o, "contribution_1", m->u.funds.contribution[1]);
    break;
  case CH_MSG_REESTABLISH: show_reestablish(o, m); break;
  case CH_MSG_UPDATE: show_update(o, m); break;
  case CH_MSG_FULL_STATE: show_full_state(o, &m->u.full_state); break;
  case CH_MSG_CLOSE:
    put_net(o, "net", m->u.close.net);
    put_number(o, "valid_until", m->u.close.valid_until);
    put_sig(o, "signature", m->u.close.sig);
    break;
  case CH_MSG_WITHDRAW: show_withdraw(o, m); break;
  case CH_MSG_RESUME:
    put_number(o, "base", m->u.resume.base);
    put_number(o, "version", m->u.resume.version);
    put_sig(o, "signature", m->u.resume.sig);
    break;
  case CH_MSG_OPEN_REQUEST:
  case CH_MSG_OPEN_ACCEPT:
  case CH_MSG_OPEN_CONFIRM: break;
  }
}

json_t *show_message(const ch_msg *m) {
  json_t *all = json_object(), *o = child(all, message_name(m->type));
  if (m->type == CH_MSG_OPEN_REQUEST) {
    show_open_request(o, m);
  } else if (m->type == CH_MSG_OPEN_ACCEPT) {
    show_open_accept(o, m);
  } else {
    put_hash(o, "channel", m->id);
    if (m->type == CH_MSG_OPEN_CONFIRM)
      put_sig(o, "statement", m->u.open_confirm.statement);
    else
      put_number(o, "epoch", m->epoch);
    show_body(o, m);
  }
  return all;
}

/* --- Calls of the Adjudicator ------------------------------------------------------------------------------------ */

static void put_sigs(json_t *o, const ch_sig sig[2]) {
  put_sig(o, "signature0", sig[0]);
  put_sig(o, "signature1", sig[1]);
}

/* A call's fields are those of what is signed, but for the id, which follows from the parameters. */
static void put_typed(json_t *o, json_t *typed) {
  json_object_del(typed, "id");
  json_object_update(o, typed);
  json_decref(typed);
}

static void show_challenge(json_t *o, const ch_tx *tx) {
  const ch_challenge *c = &tx->u.challenge.challenge;
  put_typed(o, typed_challenge(c));
  put_hash(o, "salt", tx->u.challenge.salt);
  if (c->version > 0) put_sigs(o, tx->u.challenge.sig);
  put_sig(o, "challengeSignature", tx->u.challenge.challenge_sig);
}

static void show_settle(json_t *o, const ch_tx *tx) {
  put_number(o, "epoch", tx->u.settle.epoch);
  put_net(o, "net", tx->u.settle.outcome.net);
  put_hash(o, "blind", tx->u.settle.outcome.blind);
  put_hex(o, "locks", tx->u.settle.locks, tx->u.settle.locks_len);
}

static void show_move(json_t *o, const ch_tx *tx) {
  put_typed(o, typed_move(&tx->u.move.move));
  put_hash(o, "toParamsHash", tx->u.move.to_params_hash);
  put_sigs(o, tx->u.move.sig);
}

static void show_deposit(json_t *o, const ch_tx *tx) {
  put_hash(o, "paramsHash", tx->u.deposit.params_hash);
  put_number(o, "side", tx->u.deposit.side);
  put_number(o, "epoch", tx->u.deposit.epoch);
  put_amount(o, "amount", tx->u.deposit.amount);
}

static void show_fund(json_t *o, const ch_tx *tx) {
  put_hash(o, "paramsHash", tx->u.fund.params_hash);
  put_number(o, "epoch", tx->u.fund.epoch);
  put_amounts(o, "amounts", tx->u.fund.amount);
}

static void show_refute_for(json_t *o, const ch_tx *tx) {
  const ch_state state = {tx->id, tx->u.refute_for.epoch, tx->u.refute_for.version, tx->u.refute_for.outcome_hash};
  put_typed(o, typed_state(&state));
  put_sigs(o, tx->u.refute_for.sig);
  put_addr(o, "beneficiary", tx->u.refute_for.beneficiary);
  put_sig(o, "bountySignature", tx->u.refute_for.bounty_sig);
}

static void show_refute(json_t *o, const ch_tx *tx) {
  const ch_state state = {tx->id, tx->u.refute.epoch, tx->u.refute.version, tx->u.refute.outcome_hash};
  put_typed(o, typed_state(&state));
  put_sigs(o, tx->u.refute.sig);
}

json_t *show_call(const ch_tx *tx) {
  static const char *const names[] = {"",         "deposit", "close", "challenge", "refute", "settle",
                                      "withdraw", "fund",    "move",  "refuteFor", "reveal"};
  json_t *all = json_object(), *o = json_object();
  switch (tx->kind) {
  case CH_TX_DEPOSIT: show_deposit(o, tx); break;
  case CH_TX_FUND: show_fund(o, tx); break;
  case CH_TX_CHALLENGE: show_challenge(o, tx); break;
  case CH_TX_SETTLE: show_settle(o, tx); break;
  case CH_TX_MOVE: show_move(o, tx); break;
  case CH_TX_REFUTE: show_refute(o, tx); break;
  case CH_TX_REFUTE_FOR: show_refute_for(o, tx); break;
  case CH_TX_REVEAL: put_hash(o, "preimage", tx->u.reveal.preimage); break;
  case CH_TX_WITHDRAW:
    put_typed(o, typed_withdraw(&tx->u.withdraw.withdraw));
    put_sigs(o, tx->u.withdraw.sig);
    break;
  case CH_TX_CLOSE:
    put_typed(o, typed_close(&tx->u.close.close));
    put_sigs(o, tx->u.close.sig);
    break;
  case CH_TX_CLAIM:
  case CH_TX_CLOSE_BATCH:
  case CH_TX_SETTLE_BATCH:
  case CH_TX_REVEAL_BATCH: abort(); /* in no dialogue */
  }
  json_object_set_new(all, names[tx->kind], o);
  return all;
}

/* --- The chain ------------------------------------------------------------------------------------------------- */

json_t *show_onchain(const ch_onchain *look) {
  const ch_adj_slots *s = &look->slots;
  json_t *o = json_object();
  put_nets(o, "contributions", s->contribution);
  put_number(o, "withdrawSeq", s->withdraw_seq);
  put_number(o, "epoch", s->epoch);
  if (s->disputed) {
    json_t *d = child(o, "dispute");
    put_number(d, "version", s->version);
    put_number(d, "challengedVersion", s->challenged_version);
    put_number(d, "deadline", s->deadline);
    put_number(d, "flags", s->flags);
    put_hash(d, "outcomeHash", s->outcome_hash);
    if (s->flags & CH_ADJ_REWARDED) put_addr(d, "beneficiary", s->beneficiary);
  }
  if (!look->has_ended) return o;
  const ch_adj_event *e = &look->ended;
  json_t *end = child(o, "ended");
  json_object_set_new(end, "by", json_string(e->kind == CH_ADJ_CLOSED ? "close" : "settle"));
  put_number(end, "epoch", e->epoch);
  put_number(end, "version", e->version);
  put_net(end, "net", e->net);
  put_amounts(end, "paid", e->paid);
  put_bool(end, "forfeited", e->forfeited);
  put_number(end, "deadline", e->deadline);
  return o;
}
