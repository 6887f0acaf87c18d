#include "json.h"

#include <stdio.h>

#include "reply.h"

static json_t *hex(const char *prefix, const uint8_t *bytes, size_t len) {
  char text[2 + 2 * sizeof(ch_pubkey) + 1];
  size_t n = strlen(prefix);
  memcpy(text, prefix, n);
  ch_hex(text + n, bytes, len);
  return json_string(text);
}

json_t *cd_json_amount(ch_amount a) {
  char text[CH_MONEY_STR];
  return json_string(ch_amount_str(text, a));
}

json_t *cd_json_net(ch_net n) {
  char text[CH_MONEY_STR];
  return json_string(ch_net_str(text, n));
}

json_t *cd_json_hash(const ch_hash *h) {
  return hex("0x", h->b, sizeof h->b);
}

json_t *cd_json_addr(const ch_addr *a) {
  return hex("0x", a->b, sizeof a->b);
}

json_t *cd_json_node(const ch_pubkey *k) {
  return hex("", k->b, sizeof k->b);
}

/* {mine, peer} of a pair that is indexed by side. */
static json_t *amounts(const ch_amount v[2], uint8_t side) {
  return json_pack("{s:o, s:o}", "mine", cd_json_amount(v[side]), "peer", cd_json_amount(v[1 - side]));
}

static json_t *nets(const ch_net v[2], uint8_t side) {
  return json_pack("{s:o, s:o}", "mine", cd_json_net(v[side]), "peer", cd_json_net(v[1 - side]));
}

static json_t *ended(const ch_info *i) {
  if (!i->ended) return json_null();
  return json_pack("{s:I, s:o}", "version", (json_int_t)i->ended_version, "paid", amounts(i->paid, i->side));
}

static json_t *waits_for(const ch_info *i) {
  return json_pack("{s:s, s:s, s:o}", "code", ch_wait_name(i->wait), "text", ch_wait_text(i->wait), "until",
                   i->wait_until == 0 ? json_null() : json_integer((json_int_t)i->wait_until));
}

json_t *cd_json_channel(const ch_info *i) {
  const ch_params *p = &i->params;
  json_t *reserved =
      json_pack("{s:o, s:o}", "mine", cd_json_amount(i->reserved_mine), "peer", cd_json_amount(i->reserved_peer));
  json_t *locked =
      json_pack("{s:o, s:o}", "mine", cd_json_amount(i->locked_mine), "peer", cd_json_amount(i->locked_peer));
  json_t *balance = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "mine", cd_json_amount(i->balance_mine), "peer",
                              cd_json_amount(i->balance_peer), "spendable", cd_json_amount(i->spendable), "pending",
                              cd_json_amount(i->pending), "reserved", reserved, "locked", locked);
  json_t *money = json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:{s:o, s:o}, s:o}", "balance", balance, "net",
                            cd_json_net(i->net), "deposits", amounts(i->deposit, i->side), "contributions",
                            nets(i->contribution, i->side), "challenge_period", (json_int_t)p->challenge_period, "bond",
                            cd_json_amount(p->bond), "payout", "mine", cd_json_addr(&p->payout[i->side]), "peer",
                            cd_json_addr(&p->payout[1 - i->side]), "asset", cd_json_addr(&p->asset));
  json_t *state =
      json_pack("{s:b, s:b, s:b, s:o, s:I, s:I, s:I, s:b, s:o, s:o}", "connected", i->connected, "synced", i->synced,
                "frozen", i->frozen, "freeze_reason", i->frozen ? json_string(i->freeze_reason) : json_null(),
                "outstanding", (json_int_t)i->outstanding, "queued", (json_int_t)i->queued, "highest_signed",
                (json_int_t)i->highest_signed, "sealed", i->sealed, "waits_for", waits_for(i), "ended", ended(i));
  json_t *out =
      json_pack("{s:o, s:o, s:i, s:s, s:i, s:I}", "id", cd_json_hash(&i->id), "peer", cd_json_node(&i->peer), "side",
                i->side, "phase", ch_phase_name(i->phase), "epoch", i->epoch, "version", (json_int_t)i->version);
  json_object_update(out, money);
  json_object_update(out, state);
  json_decref(money);
  json_decref(state);
  return out;
}

const char *cd_payment_status_name(ch_payment_status s) {
  switch (s) {
  case CH_PAYMENT_PENDING: return "pending";
  case CH_PAYMENT_SETTLED: return "settled";
  case CH_PAYMENT_FAILED: return "failed";
  case CH_PAYMENT_UNKNOWN: return "unknown";
  case CH_PAYMENT_LOCKED: return "locked";
  }
  return "unknown";
}

/* What a lock says, and how commands name it. */
static json_t *lock_json(const ch_lock *l) {
  ch_hash id;
  uint8_t bytes[CD_LOCK_MAX];
  char payload[2 + 2 * CH_OP_PAYLOAD_MAX + 1] = "0x";
  size_t len = 0;
  if (l->payload_len > CH_OP_PAYLOAD_MAX || ch_lock_encode(bytes, sizeof bytes, &len, l) != CH_OK) return json_null();
  ch_keccak256(&id, bytes, len);
  ch_hex(payload + 2, l->payload, l->payload_len);
  bool hash = ch_lock_is_hash(l);
  return json_pack("{s:o, s:o, s:s?, s:o, s:I, s:s, s:I}", "id", cd_json_hash(&id), "amount", cd_json_amount(l->amount),
                   "hash", hash ? payload : NULL, "condition", hash ? json_null() : cd_json_addr(&l->condition), "gas",
                   (json_int_t)l->gas, "payload", payload, "expiry", (json_int_t)l->expiry);
}

/* A plain payment has none. */
static json_t *payment_lock(const cd_payment *p) {
  ch_lock lock;
  size_t at = 0;
  return ch_lock_decode(&lock, p->lock, p->lock_len, &at) == CH_OK ? lock_json(&lock) : json_null();
}

json_t *cd_json_lock(const ch_lock_info *l, uint8_t payer) {
  char id[CH_PAYMENT_ID_MAX + 1] = "";
  const char *want = l->want == CH_OP_FULFIL ? "fulfil" : l->want == CH_OP_CANCEL ? "cancel" : NULL;
  const ch_lock lock = ch_op_lock(&l->op, payer);
  memcpy(id, l->op.id, l->op.id_len);
  return json_pack("{s:s, s:s, s:o, s:o, s:s?, s:b, s:b, s:o}", "payment", id, "direction", l->incoming ? "in" : "out",
                   "amount", cd_json_amount(l->op.amount), "lock", lock_json(&lock), "wanted", want, "agreed",
                   l->agreed, "revealed", l->revealed_head != 0, "reveal_by",
                   l->incoming && ch_lock_is_hash(&lock) ? json_integer((json_int_t)l->reveal_by) : json_null());
}

json_t *cd_json_payment(const cd_payment *p) {
  return json_pack("{s:s, s:o, s:s, s:o, s:s, s:I, s:o, s:I, s:I, s:I, s:o, s:o}", "id", p->id, "channel",
                   cd_json_hash(&p->channel), "direction", p->incoming ? "in" : "out", "amount",
                   cd_json_amount(p->amount), "status", cd_payment_status_name(p->status), "version",
                   (json_int_t)p->version, "reason",
                   p->status == CH_PAYMENT_FAILED || p->reason == CH_ERR_SHARED ? cd_reason(p->reason) : json_null(),
                   "created", (json_int_t)p->created, "updated", (json_int_t)p->updated, "seq", (json_int_t)p->seq,
                   "lock", payment_lock(p), "preimage", p->has_preimage ? cd_json_hash(&p->preimage) : json_null());
}

const char *cd_tx_status_name(cd_tx_status s) {
  switch (s) {
  case CD_TX_QUEUED: return "queued";
  case CD_TX_SENT: return "sent";
  case CD_TX_MINED: return "mined";
  case CD_TX_DONE: return "done";
  case CD_TX_FAILED: return "failed";
  }
  return "unknown";
}

static const char *tx_kind_name(int kind) {
  static const char *const names[] = {"deploy", "fill",      "approve",    "transfer", "deposit",
                                      "close",  "challenge", "refute",     "settle",   "withdraw",
                                      "fund",   "move",      "refute_for", "reveal",   "claim"};
  const int first = CD_KIND_DEPLOY;
  return kind >= first && (size_t)(kind - first) < sizeof names / sizeof names[0] ? names[kind - first] : "unknown";
}

json_t *cd_json_tx(const cd_tx_row *r) {
  return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:s}", "key", cd_json_hash(&r->key), "channel",
                   ch_hash_is_zero(&r->channel) ? json_null() : cd_json_hash(&r->channel), "kind",
                   tx_kind_name(r->kind), "status", cd_tx_status_name(r->status), "hash",
                   r->raw_len == 0 ? json_null() : cd_json_hash(&r->hash), "block",
                   r->block == 0 ? json_null() : json_integer((json_int_t)r->block), "error", r->error);
}

json_t *cd_json_history(const cd_history *h) {
  return json_pack("{s:I, s:I, s:s, s:s, s:I, s:s}", "seq", (json_int_t)h->seq, "time", (json_int_t)h->time, "from",
                   ch_phase_name((ch_phase)h->from), "to", ch_phase_name((ch_phase)h->to), "version",
                   (json_int_t)h->version, "cause", h->cause);
}

cd_short cd_short_hash(const ch_hash *h) {
  cd_short out = {"0x"};
  ch_hex(out.s + 2, h->b, 4);
  return out;
}

cd_short cd_short_node(const ch_pubkey *k) {
  cd_short out;
  ch_hex(out.s, k->b, 5);
  return out;
}
