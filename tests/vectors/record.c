/* record.c - see record.h. */
#include "record.h"

#include <stdio.h>
#include <stdlib.h>

#include "wrapped.h"

/* By what was hashed or signed, as hex: what it says. */
static json_t *outcomes, *digests, *signatures;

static struct {
  duo *d;
  json_t *all, *steps;
  json_t *made;      /* signatures of the step under way */
  const char *about; /* until the first step */
  const char *note, *forged;
  uint8_t *copy[2];
  size_t copy_len[2], copy_step[2], n_paid[2], n_got[2];
} rec;

static json_t *said(json_t *table, const void *key, size_t len) {
  char hex[2 * 64 + 1];
  ch_hex(hex, key, len);
  return json_object_get(table, hex);
}

static void keep(json_t *table, const void *key, size_t len, json_t *what) {
  char hex[2 * 64 + 1];
  ch_hex(hex, key, len);
  json_object_set_new(table, hex, what);
}

/* --- What is hashed and signed ----------------------------------------------------------------------------------- */

void __real_ch_outcome_hash(ch_hash *out, const ch_outcome *outcome);
void __wrap_ch_outcome_hash(ch_hash *out, const ch_outcome *outcome);
void __wrap_ch_outcome_hash(ch_hash *out, const ch_outcome *outcome) {
  __real_ch_outcome_hash(out, outcome);
  if (rec.d == NULL) return;
  json_t *o = json_object();
  put_net(o, "net", outcome->net);
  put_hash(o, "locksHash", outcome->locks_hash);
  put_hash(o, "blind", outcome->blind);
  keep(outcomes, out->b, sizeof out->b, o);
}

/* The typed data `type` with this digest. */
static json_t *note_digest(const ch_hash *digest, const char *type) {
  json_t *o = json_object(), *m = json_object();
  json_object_set_new(o, "type", json_string(type));
  json_object_set_new(o, "data", m);
  put_hash(o, "digest", *digest);
  keep(digests, digest->b, sizeof digest->b, o);
  return m;
}

void __real_ch_state_digest(ch_hash *out, const ch_hash *domain, const ch_state *s);
void __wrap_ch_state_digest(ch_hash *out, const ch_hash *domain, const ch_state *s);
void __wrap_ch_state_digest(ch_hash *out, const ch_hash *domain, const ch_state *s) {
  __real_ch_state_digest(out, domain, s);
  if (rec.d == NULL) return;
  json_t *m = note_digest(out, "State");
  json_t *outcome = said(outcomes, s->outcome_hash.b, sizeof s->outcome_hash.b);
  put_hash(m, "id", s->id);
  put_number(m, "epoch", s->epoch);
  put_number(m, "version", s->version);
  put_hash(m, "outcomeHash", s->outcome_hash);
  if (outcome != NULL) json_object_set(said(digests, out->b, sizeof out->b), "outcome", outcome);
}

void __real_ch_close_digest(ch_hash *out, const ch_hash *domain, const ch_close *c);
void __wrap_ch_close_digest(ch_hash *out, const ch_hash *domain, const ch_close *c);
void __wrap_ch_close_digest(ch_hash *out, const ch_hash *domain, const ch_close *c) {
  __real_ch_close_digest(out, domain, c);
  if (rec.d == NULL) return;
  json_t *m = note_digest(out, "Close");
  put_hash(m, "id", c->id);
  put_number(m, "epoch", c->epoch);
  put_net(m, "net", c->net);
  put_number(m, "validUntil", c->valid_until);
}

void __real_ch_withdraw_digest(ch_hash *out, const ch_hash *domain, const ch_withdraw *w);
void __wrap_ch_withdraw_digest(ch_hash *out, const ch_hash *domain, const ch_withdraw *w);
void __wrap_ch_withdraw_digest(ch_hash *out, const ch_hash *domain, const ch_withdraw *w) {
  __real_ch_withdraw_digest(out, domain, w);
  if (rec.d == NULL) return;
  json_t *m = note_digest(out, "Withdraw");
  put_hash(m, "id", w->id);
  put_number(m, "epoch", w->epoch);
  put_number(m, "seq", w->seq);
  put_number(m, "side", w->side);
  put_amount(m, "amount", w->amount);
  put_number(m, "validUntil", w->valid_until);
}

void __real_ch_challenge_digest(ch_hash *out, const ch_hash *domain, const ch_challenge *c);
void __wrap_ch_challenge_digest(ch_hash *out, const ch_hash *domain, const ch_challenge *c);
void __wrap_ch_challenge_digest(ch_hash *out, const ch_hash *domain, const ch_challenge *c) {
  __real_ch_challenge_digest(out, domain, c);
  if (rec.d == NULL) return;
  json_t *m = note_digest(out, "Challenge");
  put_hash(m, "id", c->id);
  put_number(m, "epoch", c->epoch);
  put_number(m, "side", c->side);
  put_number(m, "version", c->version);
  put_hash(m, "outcomeHash", c->outcome_hash);
  put_number(m, "validUntil", c->valid_until);
}

void __real_ch_open_digest(ch_hash *out, const ch_hash *domain, const ch_open_statement *s);
void __wrap_ch_open_digest(ch_hash *out, const ch_hash *domain, const ch_open_statement *s);
void __wrap_ch_open_digest(ch_hash *out, const ch_hash *domain, const ch_open_statement *s) {
  __real_ch_open_digest(out, domain, s);
  if (rec.d == NULL) return;
  json_t *m = note_digest(out, "OpenStatement");
  put_hash(m, "id", s->id);
  put_hash(m, "paramsHash", s->params_hash);
  put_number(m, "side", s->side);
  put_addr(m, "signer", s->signer);
  put_hash(m, "peerNode", s->peer_node);
}

ch_err __real_ch_sign(ch_sig *out, const ch_hash *digest, const ch_secret *key);
ch_err __wrap_ch_sign(ch_sig *out, const ch_hash *digest, const ch_secret *key);
ch_err __wrap_ch_sign(ch_sig *out, const ch_hash *digest, const ch_secret *key) {
  ch_err err = __real_ch_sign(out, digest, key);
  if (rec.d == NULL || err) return err;
  const duo_side *b = &rec.d->side[1];
  bool second = memcmp(key, &b->node_key, sizeof *key) == 0 || memcmp(key, &b->channel_key, sizeof *key) == 0;
  json_t *o = json_copy(said(digests, digest->b, sizeof digest->b));
  json_object_set_new(o, "signer", json_integer(second));
  put_sig(o, "signature", *out);
  if (rec.made != NULL) json_array_append(rec.made, o);
  keep(signatures, out->b, sizeof out->b, o);
  return CH_OK;
}

/* --- Steps ---------------------------------------------------------------------------------------------------------
 */

static const char *event_name(ch_event_kind kind) {
  static const char *const names[] = {"",          "connect", "disconnect", "message",  "pay",     "close",
                                      "challenge", "chain",   "tick",       "withdraw", "deposit", "freeze",
                                      "resume",    "fulfil",  "cancel",     "reveal"};
  return names[kind];
}

static void put_bytes(json_t *o, const ch_msg *m) {
  uint8_t *bytes;
  size_t len;
  if (ch_msg_encode(m, &bytes, &len)) abort();
  put_hex(o, "bytes", bytes, len);
  free(bytes);
  json_object_set_new(o, "message", show_message(m));
}

static json_t *new_step(int side, const char *event) {
  json_t *o = add(rec.steps);
  if (rec.note != NULL) json_object_set_new(o, "note", json_string(rec.note));
  rec.note = NULL;
  json_object_set_new(o, "side", json_integer(side));
  json_object_set_new(o, "event", json_string(event));
  if (rec.forged != NULL) json_object_set_new(o, "forged", json_string(rec.forged));
  rec.forged = NULL;
  put_number(o, "now", rec.d->now);
  put_number(o, "headTime", rec.d->head_time);
  put_number(o, "finalTime", rec.d->final_time);
  return o;
}

static void put_reveal(json_t *o, const ch_reveal *r) {
  put_hash(o, "hash", r->hash);
  if (r->head_time || r->final_time) put_hash(o, "preimage", r->preimage);
  put_number(o, "revealedAtHead", r->head_time);
  put_number(o, "revealedFinally", r->final_time);
}

static void put_event(json_t *o, const ch_event *ev) {
  if (ev->kind == CH_EV_MESSAGE) put_bytes(o, ev->u.msg);
  if (ev->kind == CH_EV_PAY) json_object_set_new(o, "operations", show_ops(ev->u.pay.ops, ev->u.pay.n));
  if (ev->kind == CH_EV_WITHDRAW) put_amount(o, "amount", ev->u.withdraw.amount);
  if (ev->kind == CH_EV_DEPOSIT) put_amount(o, "amount", ev->u.deposit.amount);
  if (ev->kind == CH_EV_FULFIL || ev->kind == CH_EV_CANCEL) put_hash(o, "lock", ev->u.resolve.lock);
  if (ev->kind == CH_EV_FULFIL) put_hash(o, "preimage", ev->u.resolve.preimage);
  if (ev->kind == CH_EV_REVEAL) put_reveal(o, ev->u.reveal);
  if (ev->kind != CH_EV_CHAIN) return;
  json_object_set_new(o, "head", show_onchain(&ev->u.view->head));
  json_object_set_new(o, "final", show_onchain(&ev->u.view->final));
}

static const char *status_name(ch_payment_status s) {
  static const char *const names[] = {"", "pending", "settled", "failed", "unknown", "locked"};
  return names[s];
}

static void put_payment(json_t *list, const ch_effect *e) {
  json_t *o = add(list);
  json_object_set_new(o, "id", json_stringn(e->u.payment.op.id, e->u.payment.op.id_len));
  json_object_set_new(o, "payer", json_integer(e->u.payment.payer));
  json_object_set_new(o, "status", json_string(status_name(e->u.payment.status)));
  put_amount(o, "amount", e->u.payment.op.amount);
  if (e->u.payment.version) put_number(o, "version", e->u.payment.version);
  if (e->u.payment.reason) json_object_set_new(o, "reason", json_integer((int)e->u.payment.reason));
  if (e->u.payment.has_preimage) put_hash(o, "preimage", e->u.payment.preimage);
}

/* The signatures that a message carries, wherever in it. */
static void put_carried(json_t *list, json_t *message) {
  const char *key;
  json_t *value;
  json_object_foreach(message, key, value) {
    if (json_is_object(value)) put_carried(list, value);
    const char *text = json_string_value(value);
    json_t *known = text && strlen(text) == 2 + 128 ? json_object_get(signatures, text + 2) : NULL;
    if (known != NULL) json_array_append(list, known);
  }
}

static void put_sent(json_t *list, const ch_effect *e) {
  ch_msg m;
  bool known;
  if (ch_msg_decode(&m, &known, e->u.send.bytes, e->u.send.len) || !known) abort();
  json_t *o = add(list), *carried = json_array();
  put_bytes(o, &m);
  put_carried(carried, json_object_get(o, "message"));
  json_object_set_new(o, "carries", carried);
  ch_msg_clear(&m);
}

static void set_unless_empty(json_t *o, const char *key, json_t *list) {
  if (json_array_size(list) > 0)
    json_object_set_new(o, key, list);
  else
    json_decref(list);
}

static void put_effects(json_t *o, const ch_effects *fx) {
  json_t *sends = json_array(), *payments = json_array(), *calls = json_array();
  for (size_t i = 0; i < fx->n; i++) {
    const ch_effect *e = &fx->v[i];
    if (e->kind == CH_FX_SEND) put_sent(sends, e);
    if (e->kind == CH_FX_PAYMENT) put_payment(payments, e);
    if (e->kind == CH_FX_TX) json_array_append_new(calls, show_call(&e->u.tx.tx));
    if (e->kind == CH_FX_DISCONNECT) json_object_set_new(o, "drops", json_integer((int)e->u.disconnect.code));
  }
  json_object_set_new(o, "durable", json_boolean(fx->durable));
  set_unless_empty(o, "payments", payments);
  set_unless_empty(o, "sends", sends);
  set_unless_empty(o, "calls", calls);
}

static json_t *hex_of(const ch_hash *h) {
  char text[2 + 2 * sizeof h->b + 1] = "0x";
  ch_hex(text + 2, h->b, sizeof h->b);
  return json_string(text);
}

static void put_locks(json_t *o, const ch_channel *c, const ch_env *env) {
  static ch_lock_info locks[2 * CH_LOCKS_MAX];
  size_t n = ch_channel_locks(c, env, locks, 2 * CH_LOCKS_MAX);
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++)
    if (locks[i].agreed) json_array_append_new(list, hex_of(&locks[i].lock_id));
  set_unless_empty(o, "locks", list);
}

/* Where the side stands now. */
static json_t *stand(const ch_channel *c, const ch_env *env) {
  json_t *o = json_object();
  ch_info i;
  ch_channel_info(c, env, &i);
  const ch_amount balance[2] = {i.side ? i.balance_peer : i.balance_mine, i.side ? i.balance_mine : i.balance_peer};
  const ch_amount locked[2] = {i.side ? i.locked_peer : i.locked_mine, i.side ? i.locked_mine : i.locked_peer};
  json_object_set_new(o, "phase", json_string(ch_phase_name(i.phase)));
  put_number(o, "epoch", i.epoch);
  put_number(o, "version", i.version);
  put_net(o, "net", i.net);
  put_number(o, "highestSigned", i.highest_signed);
  put_number(o, "outstanding", i.outstanding);
  put_number(o, "waiting", i.queued);
  put_amounts(o, "balances", balance);
  put_amounts(o, "locked", locked);
  put_locks(o, c, env);
  json_object_set_new(o, "synced", json_boolean(i.synced));
  json_object_set_new(o, "frozen", json_boolean(i.frozen));
  return o;
}

static int side_of(const ch_signer *signer) {
  return signer->ctx == &rec.d->side[0] ? 0 : 1;
}

/* After the engine's answer. */
static void end_step(json_t *o, ch_err err, const ch_effects *fx, const ch_channel *c, const ch_env *env) {
  json_t *made = rec.made;
  rec.made = NULL;
  if (err) {
    json_object_set_new(o, "refused", json_integer((int)err));
    json_object_set_new(o, "error", json_string(ch_err_name(err)));
  } else {
    if (json_array_size(made) > 0) json_object_set(o, "signs", made);
    put_effects(o, fx);
  }
  json_decref(made);
  if (c != NULL) json_object_set_new(o, "after", stand(c, env));
}

ch_err __wrap_ch_step(ch_channel **next, ch_effects *fx, const ch_channel *cur, const ch_env *env, const ch_event *ev,
                      const ch_signer *signer) {
  if (rec.d == NULL) return __real_ch_step(next, fx, cur, env, ev, signer);
  const bool forged = rec.forged != NULL;
  json_t *o = new_step(side_of(signer), event_name(ev->kind));
  put_event(o, ev);
  if (!forged) json_object_del(o, "message"); /* it stands where it was sent */
  rec.made = json_array();
  ch_err err = __real_ch_step(next, fx, cur, env, ev, signer);
  end_step(o, err, fx, err ? cur : *next, env);
  return err;
}

/* --- Opening -------------------------------------------------------------------------------------------------------
 */

static void put_head(void) {
  duo *d = rec.d;
  json_t *chain = json_object(), *sides = json_array(), *env = json_object();
  json_object_set_new(rec.all, "about", json_string(rec.about));
  put_number(chain, "chainId", d->chain.chain_id);
  put_addr(chain, "adjudicator", d->chain.adjudicator);
  json_object_set_new(rec.all, "chain", chain);
  put_number(env, "freshness", DUO_FRESHNESS);
  put_number(env, "margin", DUO_MARGIN);
  json_object_set_new(rec.all, "settings", env);
  for (int s = 0; s < 2; s++) {
    const duo_side *me = &d->side[s];
    json_t *o = add(sides);
    put_hex(o, "nodeKey", me->node_key.b, sizeof me->node_key.b);
    put_hex(o, "nodeId", me->node_id.b, sizeof me->node_id.b);
    put_hex(o, "channelKey", me->channel_key.b, sizeof me->channel_key.b);
    put_hash(o, "nonce", me->nonce);
    put_addr(o, "payout", me->address);
    put_hash(o, "instance", me->instance);
  }
  json_object_set_new(rec.all, "sides", sides);
  json_object_set(rec.all, "steps", rec.steps);
}

ch_err __wrap_ch_open_request(const ch_opening *opening, const ch_signer *signer, ch_effects *fx) {
  if (rec.d == NULL) return __real_ch_open_request(opening, signer, fx);
  put_head();
  json_t *o = new_step(0, "open");
  rec.made = json_array();
  ch_err err = __real_ch_open_request(opening, signer, fx);
  end_step(o, err, fx, NULL, NULL);
  return err;
}

ch_err __wrap_ch_open_answer(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_msg *request,
                             const ch_pubkey *peer, const ch_chain *chain, const ch_addr *payout, const ch_hash *nonce,
                             const ch_signer *signer) {
  if (rec.d == NULL) return __real_ch_open_answer(next, fx, env, request, peer, chain, payout, nonce, signer);
  const bool forged = rec.forged != NULL;
  json_t *o = new_step(1, "message");
  put_bytes(o, request);
  if (!forged) json_object_del(o, "message");
  rec.made = json_array();
  ch_err err = __real_ch_open_answer(next, fx, env, request, peer, chain, payout, nonce, signer);
  end_step(o, err, fx, *next, env);
  return err;
}

ch_err __wrap_ch_open_finish(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_opening *opening,
                             const ch_msg *accept, const ch_signer *signer) {
  if (rec.d == NULL) return __real_ch_open_finish(next, fx, env, opening, accept, signer);
  json_t *o = new_step(0, "message");
  put_bytes(o, accept);
  json_object_del(o, "message");
  rec.made = json_array();
  ch_err err = __real_ch_open_finish(next, fx, env, opening, accept, signer);
  end_step(o, err, fx, *next, env);
  return err;
}

/* --- The chain -----------------------------------------------------------------------------------------------------
 */

ch_adj_revert __real_ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call,
                                  const ch_tx *tx);
ch_adj_revert __wrap_ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call,
                                  const ch_tx *tx);
ch_adj_revert __wrap_ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call,
                                  const ch_tx *tx) {
  ch_adj_revert why = __real_ch_adj_apply(out, slots, call, tx);
  if (rec.d == NULL) return why;
  json_t *o = new_step(ch_addr_eq(&call->sender, &rec.d->side[1].address), "transaction"), *paid = json_array();
  put_amount(o, "value", call->value);
  json_object_set_new(o, "call", show_call(tx));
  if (why) {
    json_object_set_new(o, "reverts", json_string(ch_adj_revert_text(why)));
    return why;
  }
  for (size_t i = 0; i < out->n_transfers; i++) {
    json_t *t = add(paid);
    put_addr(t, "to", out->transfers[i].to);
    put_addr(t, "asset", out->transfers[i].asset);
    put_amount(t, "amount", out->transfers[i].amount);
  }
  set_unless_empty(o, "transfers", paid);
  const ch_onchain look = {.slots = out->slots};
  if (tx->kind != CH_TX_REVEAL) json_object_set_new(o, "storage", show_onchain(&look));
  return CH_ADJ_NONE;
}

/* --- For the scenarios ----------------------------------------------------------------------------------------------
 */

void record_begin(duo *d, const char *about) {
  memset(&rec, 0, sizeof rec);
  rec.d = d;
  rec.all = json_object();
  rec.steps = json_array();
  rec.about = about;
  outcomes = json_object();
  digests = json_object();
  signatures = json_object();
}

void record_end(const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/dialogues", folder);
  save(path, name, rec.all);
  json_decref(rec.steps);
  json_decref(outcomes);
  json_decref(digests);
  json_decref(signatures);
  for (int s = 0; s < 2; s++)
    free(rec.copy[s]);
  duo_free(rec.d);
  rec.d = NULL;
}

void record_note(const char *text) {
  rec.note = text;
}

void record_next_forged(const char *why) {
  rec.forged = why;
}

void record_forged(int to, const ch_msg *m, ch_err err, const char *why) {
  rec.forged = why;
  if (duo_give(rec.d, to, m) != err) fail_msg("%s: another answer than expected", why);
}

void record_bytes(int to, const uint8_t *bytes, size_t len, ch_err err, const char *why) {
  ch_msg m;
  bool known;
  ch_err got = ch_msg_decode(&m, &known, bytes, len);
  if (got == CH_OK && known) fail_msg("%s: it is a message after all", why);
  if (got != err) fail_msg("%s: another answer than expected", why);
  rec.forged = why;
  json_t *o = new_step(to, "message");
  put_hex(o, "bytes", bytes, len);
  rec.made = json_array();
  const ch_effects none = {0};
  const ch_env env = duo_env(rec.d, to);
  end_step(o, err, &none, rec.d->side[to].channel, &env);
}

/* `step`: as after which step it goes on; negative: as it was. */
static void put_start(int side, const char *event, int step) {
  json_t *o = new_step(side, event);
  const ch_env env = duo_env(rec.d, side);
  put_hash(o, "instance", env.instance);
  if (step >= 0) json_object_set_new(o, "step", json_integer(step));
  json_object_set_new(o, "after", stand(rec.d->side[side].channel, &env));
}

void record_restart(int side) {
  duo_restart(rec.d, side);
  put_start(side, "restart", -1);
}

void record_copy(int side) {
  const duo_side *me = &rec.d->side[side];
  rec.copy_step[side] = json_array_size(rec.steps) - 1;
  rec.n_paid[side] = me->n_paid;
  rec.n_got[side] = me->n_got;
  if (ch_channel_encode(me->channel, &rec.copy[side], &rec.copy_len[side])) abort();
}

void record_put_back(int side) {
  duo_side *me = &rec.d->side[side];
  me->n_paid = rec.n_paid[side];
  me->n_got = rec.n_got[side];
  ch_channel_free(me->channel);
  if (ch_channel_decode(&me->channel, rec.copy[side], rec.copy_len[side], NULL, 0)) abort();
  duo_drop(rec.d, side);
  ch_keccak256(&me->instance, &me->instance, sizeof(ch_hash));
  put_start(side, "restore", (int)rec.copy_step[side]);
}
