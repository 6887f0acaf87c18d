/* record.c - see record.h. */
#include "record.h"

#include <stdio.h>
#include <stdlib.h>

#include "noted.h"
#include "wrapped.h"

static struct {
  duo *d[2];   /* the first channel, and of `move` the second */
  int n, here; /* the channel of the step under way */
  json_t *all, *steps;
  const char *about; /* until the first step */
  const char *note, *forged;
  uint8_t *copy[2];
  size_t copy_len[2], copy_step[2], n_paid[2], n_got[2];
  ch_onchain fork_head;
  size_t fork_step, fork_reveals;
} rec;

/* Whose step it is. */
typedef struct place {
  int channel, side;
} place;

static place place_of(const ch_signer *signer) {
  for (int c = 0; c < rec.n; c++)
    for (int s = 0; s < 2; s++)
      if (&rec.d[c]->side[s] == signer->ctx) return (place){c, s};
  abort();
}

/* A node has one node key in all its channels, but may be side 0 in one and side 1 in another. */
static int side_of_key(const ch_secret *key) {
  const duo_side *b = &rec.d[rec.here]->side[1];
  return memcmp(key, &b->node_key, sizeof *key) == 0 || memcmp(key, &b->channel_key, sizeof *key) == 0;
}

/* --- Steps ------------------------------------------------------------------------------------------------------- */

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

/* Side -1: nobody's of this channel. */
static json_t *new_step(place at, const char *event) {
  json_t *o = add(rec.steps);
  const duo *d = rec.d[at.channel];
  rec.here = at.channel;
  if (rec.note != NULL) json_object_set_new(o, "note", json_string(rec.note));
  rec.note = NULL;
  if (at.channel > 0) json_object_set_new(o, "channel", json_integer(at.channel));
  if (at.side >= 0) json_object_set_new(o, "side", json_integer(at.side));
  json_object_set_new(o, "event", json_string(event));
  if (rec.forged != NULL) json_object_set_new(o, "forged", json_string(rec.forged));
  rec.forged = NULL;
  put_number(o, "now", d->now);
  put_number(o, "headTime", d->head_time);
  put_number(o, "finalTime", d->final_time);
  return o;
}

static void put_reveal(json_t *o, const ch_reveal *r) {
  put_hash(o, "hash", r->hash);
  if (r->head_time || r->final_time) put_hash(o, "preimage", r->preimage);
  put_number(o, "revealedAtHead", r->head_time);
  put_number(o, "revealedFinally", r->final_time);
}

static void put_target(json_t *o, const ch_target *to) {
  if (!to->set) return;
  json_t *t = json_object();
  put_hash(t, "params_hash", to->params_hash);
  put_number(t, "epoch", to->epoch);
  put_number(t, "side", to->side);
  json_object_set_new(o, "to", t);
}

static void put_resolve(json_t *o, const ch_event *ev) {
  put_hash(o, "lock", ev->u.resolve.lock);
  if (!ch_hash_is_zero(&ev->u.resolve.preimage)) put_hash(o, "preimage", ev->u.resolve.preimage);
}

static void put_views(json_t *o, const ch_chain_view *view) {
  json_object_set_new(o, "head", show_onchain(&view->head));
  json_object_set_new(o, "final", show_onchain(&view->final));
}

static void put_event(json_t *o, const ch_event *ev) {
  switch (ev->kind) {
  case CH_EV_PAY: json_object_set_new(o, "operations", show_ops(ev->u.pay.ops, ev->u.pay.n)); break;
  case CH_EV_WITHDRAW:
    put_amount(o, "amount", ev->u.withdraw.amount);
    put_target(o, &ev->u.withdraw.to);
    break;
  case CH_EV_DEPOSIT: put_amount(o, "amount", ev->u.deposit.amount); break;
  case CH_EV_FULFIL:
  case CH_EV_CANCEL: put_resolve(o, ev); break;
  case CH_EV_REVEAL: put_reveal(o, ev->u.reveal); break;
  case CH_EV_CHAIN: put_views(o, ev->u.view); break;
  case CH_EV_MESSAGE: /* begin_step */
  case CH_EV_LINK_UP:
  case CH_EV_LINK_DOWN:
  case CH_EV_CLOSE:
  case CH_EV_CHALLENGE:
  case CH_EV_TICK:
  case CH_EV_FREEZE:
  case CH_EV_RESUME: break;
  }
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
  if (e->u.payment.status == CH_PAYMENT_SETTLED && ch_amount_cmp(e->u.payment.paid, e->u.payment.op.amount) != 0)
    put_amount(o, "paid", e->u.payment.paid);
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
    json_t *known = text && strlen(text) == 2 + 128 ? noted_signature(text + 2) : NULL;
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

static void put_locks(json_t *o, const ch_channel *c, const ch_env *env) {
  static ch_lock_info locks[2 * CH_LOCKS_MAX];
  size_t n = ch_channel_locks(c, env, locks, 2 * CH_LOCKS_MAX);
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++)
    if (locks[i].agreed) json_array_append_new(list, hex_text(locks[i].lock_id.b, sizeof locks[i].lock_id.b));
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

/* After the engine's answer. */
static void end_step(json_t *o, ch_err err, const ch_effects *fx, const ch_channel *c, const ch_env *env) {
  json_t *made = noted_made();
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

/* An event of the engine begins; a message stands in clear where it was sent, if it was. */
static json_t *begin_step(const ch_signer *signer, const char *event, const ch_msg *message) {
  const bool forged = rec.forged != NULL;
  json_t *o = new_step(place_of(signer), event);
  if (message != NULL) put_bytes(o, message);
  if (!forged) json_object_del(o, "message");
  noted_collect();
  return o;
}

ch_err __wrap_ch_step(ch_channel **next, ch_effects *fx, const ch_channel *cur, const ch_env *env, const ch_event *ev,
                      const ch_signer *signer) {
  if (rec.n == 0) return __real_ch_step(next, fx, cur, env, ev, signer);
  json_t *o = begin_step(signer, event_name(ev->kind), ev->kind == CH_EV_MESSAGE ? ev->u.msg : NULL);
  put_event(o, ev);
  ch_err err = __real_ch_step(next, fx, cur, env, ev, signer);
  end_step(o, err, fx, err ? cur : *next, env);
  return err;
}

/* --- Opening ----------------------------------------------------------------------------------------------------- */

static void put_sides(const char *key, const duo *d) {
  json_t *sides = json_array();
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
  json_object_set_new(rec.all, key, sides);
}

static void put_head(void) {
  json_t *chain = json_object(), *env = json_object();
  json_object_set_new(rec.all, "about", json_string(rec.about));
  put_number(chain, "chainId", rec.d[0]->chain.chain_id);
  put_addr(chain, "adjudicator", rec.d[0]->chain.adjudicator);
  json_object_set_new(rec.all, "chain", chain);
  put_number(env, "freshness", DUO_FRESHNESS);
  put_number(env, "margin", DUO_MARGIN);
  json_object_set_new(rec.all, "settings", env);
  put_sides("sides", rec.d[0]);
  if (rec.n > 1) put_sides("second", rec.d[1]);
  json_object_set(rec.all, "steps", rec.steps);
}

ch_err __wrap_ch_open_request(const ch_opening *opening, const ch_signer *signer, ch_effects *fx) {
  if (rec.n == 0) return __real_ch_open_request(opening, signer, fx);
  if (json_array_size(rec.steps) == 0) put_head();
  json_t *o = begin_step(signer, "open", NULL);
  ch_err err = __real_ch_open_request(opening, signer, fx);
  end_step(o, err, fx, NULL, NULL);
  return err;
}

ch_err __wrap_ch_open_answer(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_msg *request,
                             const ch_pubkey *peer, const ch_chain *chain, const ch_addr *payout, const ch_hash *nonce,
                             const ch_signer *signer) {
  if (rec.n == 0) return __real_ch_open_answer(next, fx, env, request, peer, chain, payout, nonce, signer);
  json_t *o = begin_step(signer, "message", request);
  ch_err err = __real_ch_open_answer(next, fx, env, request, peer, chain, payout, nonce, signer);
  end_step(o, err, fx, *next, env);
  return err;
}

ch_err __wrap_ch_open_finish(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_opening *opening,
                             const ch_msg *accept, const ch_signer *signer) {
  if (rec.n == 0) return __real_ch_open_finish(next, fx, env, opening, accept, signer);
  json_t *o = begin_step(signer, "message", accept);
  ch_err err = __real_ch_open_finish(next, fx, env, opening, accept, signer);
  end_step(o, err, fx, *next, env);
  return err;
}

/* --- The chain --------------------------------------------------------------------------------------------------- */

/* What contracts were asked during a call, and said. */
static json_t *answers;
static ch_amount (*contracts)(void *ctx, const ch_lock *lock);

static ch_amount note_owed(void *ctx, const ch_lock *lock) {
  ch_amount owed = contracts(ctx, lock);
  json_t *o = add(answers);
  put_addr(o, "condition", lock->condition);
  put_number(o, "gas", lock->gas);
  put_hex(o, "payload", lock->payload, lock->payload_len);
  put_amount(o, "amount", lock->amount);
  put_amount(o, "owed", owed);
  return owed;
}

static void put_transfers(json_t *o, const ch_adj_result *r) {
  json_t *paid = json_array();
  for (size_t i = 0; i < r->n_transfers; i++) {
    json_t *t = add(paid);
    put_addr(t, "to", r->transfers[i].to);
    put_addr(t, "asset", r->transfers[i].asset);
    put_amount(t, "amount", r->transfers[i].amount);
  }
  set_unless_empty(o, "transfers", paid);
}

static void put_storage(json_t *o, const char *key, const ch_adj_slots *slots) {
  const ch_onchain look = {.slots = *slots};
  json_object_set_new(o, key, show_onchain(&look));
}

static place sender_of(const ch_adj_call *call) {
  const duo *d = call->ctx;
  for (int s = 0; s < 2; s++)
    if (ch_addr_eq(&d->side[s].address, &call->sender)) return (place){d == rec.d[1], s};
  return (place){d == rec.d[1], -1};
}

static void put_transaction(const ch_adj_call *call, const ch_tx *tx, ch_adj_revert why, const ch_adj_result *r) {
  json_t *o = new_step(sender_of(call), "transaction");
  if (json_object_get(o, "side") == NULL) put_addr(o, "sender", call->sender);
  put_amount(o, "value", call->value);
  json_object_set_new(o, "call", show_call(tx));
  set_unless_empty(o, "answers", answers);
  if (why) {
    json_object_set_new(o, "reverts", json_string(ch_adj_revert_text(why)));
    return;
  }
  put_transfers(o, r);
  if (tx->kind != CH_TX_REVEAL) put_storage(o, "storage", &r->slots);
  if (tx->kind == CH_TX_MOVE) put_storage(o, "target", &r->target);
}

ch_adj_revert __real_ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call,
                                  const ch_tx *tx);
ch_adj_revert __wrap_ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call,
                                  const ch_tx *tx);
ch_adj_revert __wrap_ch_adj_apply(ch_adj_result *out, const ch_adj_slots *slots, const ch_adj_call *call,
                                  const ch_tx *tx) {
  if (rec.n == 0) return __real_ch_adj_apply(out, slots, call, tx);
  ch_adj_call heard = *call;
  contracts = call->owed;
  heard.owed = note_owed;
  answers = json_array();
  ch_adj_revert why = __real_ch_adj_apply(out, slots, &heard, tx);
  put_transaction(call, tx, why, out);
  return why;
}

/* --- For the scenes ---------------------------------------------------------------------------------------------- */

void record_begin(duo *d, const char *about) {
  memset(&rec, 0, sizeof rec);
  rec.d[0] = d;
  rec.n = 1;
  rec.all = json_object();
  rec.steps = json_array();
  rec.about = about;
  noted_begin(side_of_key);
}

void record_second(duo *d) {
  rec.d[rec.n++] = d;
}

void record_end(const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/dialogues", folder);
  save(path, name, rec.all);
  json_decref(rec.steps);
  noted_end();
  for (int s = 0; s < 2; s++)
    free(rec.copy[s]);
  for (int c = 0; c < rec.n; c++)
    duo_free(rec.d[c]);
  rec.n = 0;
}

void record_note(const char *text) {
  rec.note = text;
}

void record_next_forged(const char *why) {
  rec.forged = why;
}

void record_forged(int to, const ch_msg *m, ch_err err, const char *why) {
  rec.forged = why;
  if (duo_give(rec.d[0], to, m) != err) fail_msg("%s: another answer than expected", why);
}

void record_bytes(int to, const uint8_t *bytes, size_t len, ch_err err, const char *why) {
  ch_msg m;
  bool known;
  ch_err got = ch_msg_decode(&m, &known, bytes, len);
  if (got == CH_OK && known) fail_msg("%s: it is a message after all", why);
  if (got != err) fail_msg("%s: another answer than expected", why);
  rec.forged = why;
  json_t *o = new_step((place){0, to}, "message");
  put_hex(o, "bytes", bytes, len);
  noted_collect();
  const ch_effects none = {0};
  const ch_env env = duo_env(rec.d[0], to);
  end_step(o, err, &none, rec.d[0]->side[to].channel, &env);
}

/* --- Memory ------------------------------------------------------------------------------------------------------ */

/* A process has started. `step`: as after which step it goes on; negative: none. */
static void put_start(int side, const char *event, int step) {
  json_t *o = new_step((place){0, side}, event);
  const ch_env env = duo_env(rec.d[0], side);
  put_hash(o, "instance", env.instance);
  if (step >= 0) json_object_set_new(o, "step", json_integer(step));
  json_object_set_new(o, "after", stand(rec.d[0]->side[side].channel, &env));
}

void record_restart(int side) {
  duo_restart(rec.d[0], side);
  put_start(side, "restart", -1);
}

void record_copy(int side) {
  const duo_side *me = &rec.d[0]->side[side];
  rec.copy_step[side] = json_array_size(rec.steps) - 1;
  rec.n_paid[side] = me->n_paid;
  rec.n_got[side] = me->n_got;
  if (ch_channel_encode(me->channel, &rec.copy[side], &rec.copy_len[side])) abort();
}

/* What it had is gone; a process with another instance. */
static duo_side *lose(int side, size_t n_paid, size_t n_got) {
  duo_side *me = &rec.d[0]->side[side];
  me->n_paid = n_paid;
  me->n_got = n_got;
  ch_channel_free(me->channel);
  me->channel = NULL;
  duo_drop(rec.d[0], side);
  ch_keccak256(&me->instance, &me->instance, sizeof(ch_hash));
  return me;
}

void record_put_back(int side) {
  duo_side *me = lose(side, rec.n_paid[side], rec.n_got[side]);
  if (ch_channel_decode(&me->channel, rec.copy[side], rec.copy_len[side], NULL, 0)) abort();
  put_start(side, "restore", (int)rec.copy_step[side]);
}

void record_backup(int side) {
  ch_origin origin;
  ch_channel_origin(rec.d[0]->side[side].channel, &origin);
  duo_side *me = lose(side, 0, 0);
  const ch_signer signer = duo_signer(rec.d[0], side);
  if (ch_channel_restore(&me->channel, &origin, &signer)) abort();
  put_start(side, "backup", -1);
}

/* --- Reorganisations --------------------------------------------------------------------------------------------- */

void record_fork(void) {
  rec.fork_head = rec.d[0]->head;
  rec.fork_reveals = rec.d[0]->n_reveals;
  rec.fork_step = json_array_size(rec.steps) - 1;
}

void record_reorganise(void) {
  rec.d[0]->head = rec.fork_head;
  rec.d[0]->n_reveals = rec.fork_reveals;
  json_t *o = new_step((place){0, -1}, "reorganisation");
  json_object_set_new(o, "step", json_integer((json_int_t)rec.fork_step));
}
