#include "engine_fixture.h"

#include <stdlib.h>

/* --- The signer: raw keys, and a guard that ends the test --------------------------------------------- */

static ch_err k_node_id(void *ctx, ch_pubkey *out) {
  *out = ((duo_side *)ctx)->node_id;
  return CH_OK;
}

static ch_err k_ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  return ch_ecdh(out, &((duo_side *)ctx)->node_key, peer);
}

static ch_err k_sign_open(void *ctx, ch_sig *out, const ch_chain *chain, const ch_open_statement *st) {
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_open_digest(&digest, &domain, st);
  return ch_sign(out, &digest, &((duo_side *)ctx)->node_key);
}

static ch_err k_channel_key(void *ctx, ch_pubkey *out, const ch_hash *nonce) {
  assert_memory_equal(nonce, &((duo_side *)ctx)->nonce, sizeof *nonce);
  return ch_pubkey_of(out, &((duo_side *)ctx)->channel_key);
}

static void guard(duo_side *s, const ch_state *st, ch_net net, const ch_hash *digest) {
  for (size_t i = 0; i < s->n_made; i++)
    if (s->made[i].epoch == st->epoch && s->made[i].version == st->version) {
      assert_memory_equal(&s->made[i].digest, digest, sizeof *digest);
      return;
    }
  assert_true(s->n_made < DUO_SIGNED);
  s->made[s->n_made++] = (duo_signed){st->epoch, st->version, net, *digest};
}

static ch_err k_sign_state(void *ctx, ch_sig *out, const ch_sign_state *r) {
  duo_side *s = ctx;
  ch_hash domain, digest;
  ch_domain(&domain, &r->chain);
  ch_state_digest(&digest, &domain, &r->state);
  guard(s, &r->state, r->outcome.net, &digest);
  return ch_sign(out, &digest, &s->channel_key);
}

static ch_err k_sign_close(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce, const ch_close *c) {
  (void)nonce;
  duo_side *s = ctx;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_close_digest(&digest, &domain, c);
  assert_true(s->n_closes < DUO_CLOSES);
  s->closes[s->n_closes++] = *c;
  return ch_sign(out, &digest, &((duo_side *)ctx)->channel_key);
}

static ch_err k_sign_withdraw(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce,
                              const ch_withdraw *w) {
  (void)nonce;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_withdraw_digest(&digest, &domain, w);
  return ch_sign(out, &digest, &((duo_side *)ctx)->channel_key);
}

static ch_err k_sign_move(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce, const ch_move *m) {
  (void)nonce;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_move_digest(&digest, &domain, m);
  return ch_sign(out, &digest, &((duo_side *)ctx)->channel_key);
}

static ch_err k_sign_challenge(void *ctx, ch_sig *out, const ch_chain *chain, const ch_hash *nonce,
                               const ch_challenge *c) {
  (void)nonce;
  ch_hash domain, digest;
  ch_domain(&domain, chain);
  ch_challenge_digest(&digest, &domain, c);
  return ch_sign(out, &digest, &((duo_side *)ctx)->channel_key);
}

ch_signer duo_signer(duo *d, int s) {
  return (ch_signer){&d->side[s],  k_node_id,    k_ecdh,          k_sign_open, k_channel_key,
                     k_sign_state, k_sign_close, k_sign_withdraw, k_sign_move, k_sign_challenge};
}

/* --- What holds after every step ---------------------------------------------------------------------- */

ch_env duo_env(const duo *d, int s) {
  return (ch_env){.now = d->now,
                  .head_number = d->head_time, /* a block in each second */
                  .head_time = d->head_time,
                  .final_number = 98,
                  .final_time = d->final_time,
                  .freshness = DUO_FRESHNESS,
                  .margin = DUO_MARGIN,
                  .instance = d->side[s].instance};
}

static size_t pending_of(const duo_side *s, ch_op *ops) {
  size_t n = 0;
  for (size_t i = 0; i < s->n_paid; i++)
    if (s->paid[i].status == CH_PAYMENT_PENDING) ops[n++] = s->paid[i].op;
  return n;
}

static ch_channel *read_again(const duo *d, int s, const uint8_t *record, size_t len) {
  ch_op *ops = calloc(d->side[s].n_paid + 1, sizeof *ops);
  assert_non_null(ops);
  ch_channel *c;
  assert_int_equal(ch_channel_decode(&c, record, len, ops, pending_of(&d->side[s], ops)), CH_OK);
  free(ops);
  return c;
}

/* The record gives back the same channel, but for the connection. */
static void check_record(const duo *d, int s, const ch_channel *c, const uint8_t *record, size_t len) {
  ch_channel *again = read_again(d, s, record, len);
  uint8_t *second;
  size_t second_len;
  assert_int_equal(ch_channel_encode(again, &second, &second_len), CH_OK);
  assert_int_equal(second_len, len);
  assert_memory_equal(second, record, len);
  free(second);
  ch_info a, b;
  ch_env env = duo_env(d, s);
  ch_channel_info(c, &env, &a);
  ch_channel_info(again, &env, &b);
  assert_int_equal(a.phase, b.phase);
  assert_int_equal(a.outstanding, b.outstanding);
  assert_int_equal(a.queued, b.queued);
  assert_true(a.pending.v == b.pending.v && a.spendable.v == b.spendable.v);
  assert_true(a.locks == b.locks && a.locked_mine.v == b.locked_mine.v && a.locked_peer.v == b.locked_peer.v);
  assert_int_equal(a.sealed, b.sealed);
  assert_string_equal(a.freeze_reason, b.freeze_reason);
  ch_channel_free(again);
}

static duo_row *row_of(duo_row *rows, size_t n, const char *id, size_t len) {
  for (size_t i = 0; i < n; i++)
    if (rows[i].op.id_len == len && memcmp(rows[i].op.id, id, len) == 0) return &rows[i];
  return NULL;
}

static void write_payment(duo_side *s, const ch_effect *e) {
  bool in = e->u.payment.incoming;
  duo_row *rows = in ? s->got : s->paid;
  size_t *n = in ? &s->n_got : &s->n_paid;
  const ch_op *op = &e->u.payment.op;
  duo_row *row = row_of(rows, *n, op->id, op->id_len);
  if (row) {
    bool waits = row->status == CH_PAYMENT_LOCKED || (!in && row->status == CH_PAYMENT_PENDING);
    assert_true(waits && row->status != e->u.payment.status);
    if (row->status == CH_PAYMENT_LOCKED) assert_int_not_equal(e->u.payment.status, CH_PAYMENT_PENDING);
  } else {
    assert_true(*n < DUO_ROWS);
    row = &rows[(*n)++];
    row->op = *op;
    row->op.version = 0;
  }
  row->status = e->u.payment.status;
  row->version = e->u.payment.version;
  row->reason = e->u.payment.reason;
  row->paid = e->u.payment.paid;
  row->has_preimage = e->u.payment.has_preimage;
  row->preimage = e->u.payment.preimage;
}

static void perform(duo *d, int s) {
  duo_side *me = &d->side[s];
  for (size_t i = 0; i < me->fx.n; i++) {
    const ch_effect *e = &me->fx.v[i];
    if (e->kind == CH_FX_PAYMENT) write_payment(me, e);
    if (e->kind != CH_FX_SEND) continue;
    bool known;
    assert_true(me->n_out < DUO_OUTBOX);
    assert_int_equal(ch_msg_decode(&me->out[me->n_out], &known, e->u.send.bytes, e->u.send.len), CH_OK);
    assert_true(known);
    assert_int_equal(me->out[me->n_out].type, e->u.send.type);
    me->n_out++;
  }
}

static void settle_step(duo *d, int s, ch_channel *next, const uint8_t *before, size_t len) {
  duo_side *me = &d->side[s];
  uint8_t *after;
  size_t after_len;
  perform(d, s);
  assert_int_equal(ch_channel_encode(next, &after, &after_len), CH_OK);
  if (!me->fx.durable) {
    assert_int_equal(after_len, len);
    assert_memory_equal(after, before, len);
  }
  check_record(d, s, next, after, after_len);
  free(after);
  ch_channel_free(me->channel);
  me->channel = next;
}

ch_err duo_step(duo *d, int s, const ch_event *ev) {
  duo_side *me = &d->side[s];
  uint8_t *before, *after;
  size_t len, after_len, made = me->n_made, closes = me->n_closes;
  assert_int_equal(ch_channel_encode(me->channel, &before, &len), CH_OK);
  ch_env env = duo_env(d, s);
  ch_signer signer = duo_signer(d, s);
  ch_channel *next;
  ch_effects_clear(&me->fx);
  ch_err err = ch_step(&next, &me->fx, me->channel, &env, ev, &signer);
  assert_int_not_equal(err, CH_ERR_BUG);
  assert_int_not_equal(err, CH_ERR_DOUBLE_SIGN);
  if (err) {
    me->n_made = made;
    me->n_closes = closes;
    assert_null(next);
    assert_int_equal(me->fx.n, 0);
    assert_false(me->fx.durable);
    assert_int_equal(ch_channel_encode(me->channel, &after, &after_len), CH_OK);
    assert_int_equal(after_len, len);
    assert_memory_equal(after, before, len);
    free(after);
  } else {
    settle_step(d, s, next, before, len);
  }
  free(before);
  return err;
}

ch_err duo_command(duo *d, int s, ch_event_kind kind) {
  ch_event ev = {.kind = kind};
  return duo_step(d, s, &ev);
}

ch_err duo_pay(duo *d, int s, const char *id, uint64_t amount) {
  ch_op op = duo_op_pay(id, amount);
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {&op, 1}};
  return duo_step(d, s, &ev);
}

ch_err duo_give(duo *d, int to, const ch_msg *m) {
  ch_event ev = {.kind = CH_EV_MESSAGE, .u.msg = m};
  return duo_step(d, to, &ev);
}

ch_err duo_deliver(duo *d, int from) {
  duo_side *me = &d->side[from];
  assert_true(me->n_out > 0);
  ch_msg m = me->out[0];
  memmove(me->out, me->out + 1, --me->n_out * sizeof m);
  ch_err err = duo_give(d, 1 - from, &m);
  ch_msg_clear(&m);
  return err;
}

void duo_pump(duo *d) {
  for (int i = 0; i < 200 && (d->side[0].n_out || d->side[1].n_out); i++)
    assert_int_equal(duo_deliver(d, d->side[i & 1].n_out ? i & 1 : 1 - (i & 1)), CH_OK);
  assert_int_equal(d->side[0].n_out + d->side[1].n_out, 0);
}

void duo_drop(duo *d, int from) {
  duo_side *me = &d->side[from];
  for (size_t i = 0; i < me->n_out; i++)
    ch_msg_clear(&me->out[i]);
  me->n_out = 0;
}

void duo_cut(duo *d) {
  for (int s = 0; s < 2; s++) {
    assert_int_equal(duo_command(d, s, CH_EV_LINK_DOWN), CH_OK);
    duo_drop(d, s);
  }
}

void duo_connect(duo *d) {
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_command(d, s, CH_EV_LINK_UP), CH_OK);
}

void duo_restart(duo *d, int s) {
  uint8_t *record;
  size_t len;
  assert_int_equal(ch_channel_encode(d->side[s].channel, &record, &len), CH_OK);
  ch_channel_free(d->side[s].channel);
  d->side[s].channel = read_again(d, s, record, len);
  free(record);
  duo_drop(d, s);
  ch_keccak256(&d->side[s].instance, &d->side[s].instance, sizeof(ch_hash));
}

/* --- Opening ------------------------------------------------------------------------------------------ */

static void secret_of(ch_secret *out, uint8_t a, uint8_t b) {
  ch_hash h;
  const uint8_t seed[2] = {a, b};
  ch_keccak256(&h, seed, sizeof seed);
  memcpy(out->b, h.b, sizeof h.b);
}

void duo_make(duo *d, uint64_t deposit0, uint64_t deposit1) {
  memset(d, 0, sizeof *d);
  d->chain.chain_id = 1337;
  memset(d->chain.adjudicator.b, 0xad, sizeof(ch_addr));
  d->deposit[0] = ch_amount_of(deposit0);
  d->deposit[1] = ch_amount_of(deposit1);
  d->limits = (ch_lock_limits){.count = CH_LOCKS_MAX,
                               .payload = CH_LOCK_LIMIT_PAYLOAD,
                               .gas = 1000000,
                               .longest = DUO_LONGEST,
                               .dust = ch_amount_of(2),
                               .in_flight = ch_amount_of(900)};
  d->now = d->head_time = d->final_time = 1700000000;
  for (int s = 0; s < 2; s++) {
    duo_side *me = &d->side[s];
    secret_of(&me->node_key, 1, (uint8_t)s);
    secret_of(&me->channel_key, 2, (uint8_t)s);
    memset(me->nonce.b, 0x10 + s, sizeof(ch_hash));
    memset(me->instance.b, 0x20 + s, sizeof(ch_hash));
    assert_int_equal(ch_pubkey_of(&me->node_id, &me->node_key), CH_OK);
    assert_int_equal(ch_address_of(&me->address, &me->node_id), CH_OK);
    me->paid = calloc(DUO_ROWS, sizeof *me->paid);
    me->got = calloc(DUO_ROWS, sizeof *me->got);
    assert_non_null(me->paid);
    assert_non_null(me->got);
  }
}

void duo_free(duo *d) {
  for (int s = 0; s < 2; s++) {
    duo_drop(d, s);
    ch_effects_clear(&d->side[s].fx);
    ch_channel_free(d->side[s].channel);
    free(d->side[s].paid);
    free(d->side[s].got);
  }
}

/* What both parties know, and with it everything that can be forged. */
static void learn(duo *d) {
  const ch_hash nonces[2] = {d->side[0].nonce, d->side[1].nonce};
  ch_secret ecdh;
  ch_info info = duo_info(d, 0);
  assert_int_equal(ch_ecdh(&ecdh, &d->side[0].node_key, &d->side[1].node_id), CH_OK);
  ch_channel_secrets(&d->salt, &d->blind_key, &ecdh, nonces);
  d->id = info.id;
  d->params = info.params;
  ch_domain(&d->domain, &d->chain);
}

static ch_msg first_message(const ch_effects *fx) {
  ch_msg m;
  bool known;
  for (size_t i = 0; i < fx->n; i++)
    if (fx->v[i].kind == CH_FX_SEND) {
      assert_int_equal(ch_msg_decode(&m, &known, fx->v[i].u.send.bytes, fx->v[i].u.send.len), CH_OK);
      return m;
    }
  fail_msg("no message");
  return (ch_msg){0};
}

void duo_agree(duo *d) {
  duo_side *a = &d->side[0], *b = &d->side[1];
  ch_opening o = {.nonce = a->nonce};
  o.terms = (ch_terms){.chain = d->chain,
                       .peer = b->node_id,
                       .payout = a->address,
                       .challenge_period = DUO_PERIOD,
                       .bond = ch_amount_of(DUO_BOND),
                       .deposit_mine = d->deposit[0],
                       .deposit_peer = d->deposit[1],
                       .asset = d->asset,
                       .opener_funds = d->opener_funds,
                       .locks = d->limits};
  ch_signer sa = duo_signer(d, 0), sb = duo_signer(d, 1);
  ch_env ea = duo_env(d, 0), eb = duo_env(d, 1);
  assert_int_equal(ch_open_request(&o, &sa, &a->fx), CH_OK);
  ch_msg request = first_message(&a->fx);
  assert_int_equal(
      ch_open_answer(&b->channel, &b->fx, &eb, &request, &a->node_id, &d->chain, &b->address, &b->nonce, &sb), CH_OK);
  ch_msg accept = first_message(&b->fx);
  ch_effects_clear(&a->fx);
  assert_int_equal(ch_open_finish(&a->channel, &a->fx, &ea, &o, &accept, &sa), CH_OK);
  learn(d);
  perform(d, 0);
}

void duo_begin(duo *d) {
  duo_agree(d);
  duo_pump(d);
  for (int s = 0; s < 2; s++) {
    assert_int_equal(duo_command(d, s, CH_EV_TICK), CH_OK);
    if (d->opener_funds ? s == 0 : d->deposit[s].v != 0) duo_mine(d, s);
  }
  duo_finalise(d);
  duo_pump(d);
  for (int s = 0; s < 2; s++) {
    ch_info info = duo_info(d, s);
    assert_int_equal(info.phase, CH_PHASE_OPEN);
    assert_true(info.synced);
    assert_null(duo_wish(d, s, CH_TX_DEPOSIT));
  }
}

void duo_open(duo *d, uint64_t deposit0, uint64_t deposit1) {
  duo_make(d, deposit0, deposit1);
  duo_begin(d);
}

/* --- The chain ---------------------------------------------------------------------------------------- */

static uint64_t revealed(void *ctx, const ch_hash *hash) {
  const duo *d = ctx;
  for (size_t i = 0; i < d->n_reveals; i++)
    if (ch_hash_eq(&d->reveals[i].hash, hash)) return d->reveals[i].head_time;
  return 0;
}

static ch_amount owed(void *ctx, const ch_lock *lock) {
  (void)lock;
  return ch_amount_of(((const duo *)ctx)->owed);
}

static void note_reveal(duo *d, const ch_adj_event *e) {
  assert_true(d->n_reveals < DUO_REVEALS);
  d->reveals[d->n_reveals++] = (ch_reveal){.hash = e->id, .preimage = e->salt, .head_time = d->head_time};
}

ch_adj_revert duo_send_tx_by(duo *d, const ch_addr *sender, uint64_t value, const ch_tx *tx) {
  ch_adj_call call = ch_adj_call_of(&d->chain, sender, ch_amount_of(value), d->head_time);
  call.ctx = d;
  call.revealed = revealed;
  call.owed = owed;
  call.target = &d->other;
  ch_adj_result r;
  ch_adj_revert why = ch_adj_apply(&r, &d->head.slots, &call, tx);
  if (why) return why;
  if (tx->kind == CH_TX_REVEAL) {
    note_reveal(d, &r.event);
    return CH_ADJ_NONE;
  }
  d->head.slots = r.slots;
  if (tx->kind == CH_TX_MOVE) d->other = r.target;
  if (r.event.kind == CH_ADJ_CLOSED || r.event.kind == CH_ADJ_SETTLED) {
    d->head.has_ended = true;
    d->head.ended = r.event;
  }
  return CH_ADJ_NONE;
}

void duo_mine(duo *d, int s) {
  size_t n = 0;
  for (size_t i = 0; i < d->side[s].fx.n; i++) {
    const ch_effect *e = &d->side[s].fx.v[i];
    if (e->kind != CH_FX_TX) continue;
    ch_adj_revert why = duo_send_tx(d, s, (uint64_t)e->u.tx.value.v, &e->u.tx.tx);
    if (why) fail_msg("transaction %d reverted: %s", (int)e->u.tx.tx.kind, ch_adj_revert_text(why));
    n++;
  }
  assert_true(n > 0);
}

static void see_hash(duo *d, int s, const ch_lock_info *lock) {
  ch_reveal look = {.head_time = 0};
  memcpy(look.hash.b, lock->op.u.add.payload, sizeof look.hash.b);
  for (size_t i = 0; i < d->n_reveals; i++)
    if (ch_hash_eq(&d->reveals[i].hash, &look.hash)) look = d->reveals[i];
  const ch_event ev = ch_event_reveal(&look);
  assert_int_equal(duo_step(d, s, &ev), CH_OK);
}

void duo_see(duo *d, int s) {
  static ch_lock_info locks[2 * CH_LOCKS_MAX];
  ch_env env = duo_env(d, s);
  size_t n = ch_channel_locks(d->side[s].channel, &env, locks, sizeof locks / sizeof *locks);
  for (size_t i = 0; i < n; i++)
    if (ch_addr_is_zero(&locks[i].op.u.add.condition)) see_hash(d, s, &locks[i]);
  ch_chain_view view = {d->head, d->final};
  ch_event ev = {.kind = CH_EV_CHAIN, .u.view = &view};
  assert_int_equal(duo_step(d, s, &ev), CH_OK);
}

void duo_finalise(duo *d) {
  d->final = d->head;
  for (size_t i = 0; i < d->n_reveals; i++)
    d->reveals[i].final_time = d->reveals[i].head_time;
  duo_see(d, 0);
  duo_see(d, 1);
}

void duo_pass(duo *d, uint64_t seconds) {
  d->now += seconds;
  d->head_time = d->final_time = d->now;
}

static ch_tx tx_of(const duo *d, ch_tx_kind kind) {
  return (ch_tx){.kind = kind, .id = d->id, .params = d->params};
}

ch_tx duo_challenge_tx(const duo *d, int side, uint64_t version, int64_t net) {
  ch_tx tx = tx_of(d, CH_TX_CHALLENGE);
  tx.u.challenge.salt = d->salt;
  tx.u.challenge.challenge = (ch_challenge){.id = d->id, .side = (uint8_t)side, .version = version};
  if (!version) return tx;
  tx.u.challenge.challenge.outcome_hash = duo_outcome(d, version, net);
  for (int s = 0; s < 2; s++)
    tx.u.challenge.sig[s] = duo_sign(d, s, version, net);
  return tx;
}

ch_tx duo_refute_tx(const duo *d, uint64_t version, int64_t net) {
  ch_tx tx = tx_of(d, CH_TX_REFUTE);
  tx.u.refute.version = version;
  tx.u.refute.outcome_hash = duo_outcome(d, version, net);
  for (int s = 0; s < 2; s++)
    tx.u.refute.sig[s] = duo_sign(d, s, version, net);
  return tx;
}

ch_tx duo_settle_tx(const duo *d, uint64_t version, int64_t net) {
  ch_tx tx = tx_of(d, CH_TX_SETTLE);
  tx.u.settle.outcome.net = ch_net_of(net);
  ch_blind(&tx.u.settle.outcome.blind, &d->blind_key, 0, version);
  return tx;
}

ch_tx duo_close_tx(const duo *d, int64_t net, uint64_t valid_until) {
  ch_tx tx = tx_of(d, CH_TX_CLOSE);
  tx.u.close.close = (ch_close){d->id, 0, ch_net_of(net), valid_until};
  for (int s = 0; s < 2; s++)
    tx.u.close.sig[s] = duo_close_msg(d, s, net, valid_until).u.close.sig;
  return tx;
}

ch_tx duo_deposit_tx(const duo *d, int side, uint64_t amount) {
  ch_tx tx = tx_of(d, CH_TX_DEPOSIT);
  ch_params_hash(&tx.u.deposit.params_hash, &d->chain, &d->params);
  tx.u.deposit.side = (uint8_t)side;
  tx.u.deposit.amount = ch_amount_of(amount);
  return tx;
}

/* --- Forging ------------------------------------------------------------------------------------------ */

ch_hash duo_outcome(const duo *d, uint64_t version, int64_t net) {
  ch_outcome o = {.net = ch_net_of(net)};
  ch_hash hash;
  ch_blind(&o.blind, &d->blind_key, 0, version);
  ch_outcome_hash(&hash, &o);
  return hash;
}

ch_hash duo_digest(const duo *d, uint64_t version, int64_t net) {
  ch_state st = {.id = d->id, .version = version, .outcome_hash = duo_outcome(d, version, net)};
  ch_hash digest;
  ch_state_digest(&digest, &d->domain, &st);
  return digest;
}

ch_sig duo_sign(const duo *d, int by, uint64_t version, int64_t net) {
  ch_hash digest = duo_digest(d, version, net);
  ch_sig sig;
  assert_int_equal(ch_sign(&sig, &digest, &d->side[by].channel_key), CH_OK);
  return sig;
}

ch_op duo_op_pay(const char *id, uint64_t amount) {
  ch_op op = {.kind = CH_OP_PAY, .amount = ch_amount_of(amount), .id_len = (uint8_t)strlen(id)};
  memcpy(op.id, id, op.id_len);
  return op;
}

ch_op duo_op(ch_op_kind kind) {
  return (ch_op){.kind = (uint8_t)kind};
}

ch_msg duo_proposal(const duo *d, int from, uint64_t base, uint64_t version, int64_t net, ch_op *ops, uint32_t n) {
  ch_msg m = {.type = CH_MSG_UPDATE, .id = d->id};
  m.u.update.has_proposal = true;
  m.u.update.base = base;
  m.u.update.version = version;
  m.u.update.sig = duo_sign(d, from, version, net);
  m.u.update.ops = ops;
  m.u.update.n_ops = n;
  return m;
}

ch_msg duo_refusal(const duo *d, int from, uint64_t base, uint64_t version, int64_t net, uint32_t index) {
  ch_msg m = duo_proposal(d, from, base, version, net, NULL, 0);
  m.u.update.has_proposal = false;
  m.u.update.has_refusal = true;
  m.u.update.refused_op = index;
  m.u.update.reason = CH_ERR_FUNDS;
  return m;
}

ch_msg duo_accept(const duo *d, int from, uint64_t version, int64_t net) {
  ch_msg m = {.type = CH_MSG_UPDATE, .id = d->id};
  m.u.update.has_accept = true;
  m.u.update.accept_version = version;
  m.u.update.accept_sig = duo_sign(d, from, version, net);
  return m;
}

ch_msg duo_full_state(const duo *d, uint64_t version, int64_t net) {
  ch_msg m = {.type = CH_MSG_FULL_STATE, .id = d->id};
  m.u.full_state.version = version;
  m.u.full_state.net = ch_net_of(net);
  for (int s = 0; s < 2; s++)
    m.u.full_state.sig[s] = duo_sign(d, s, version, net);
  return m;
}

ch_msg duo_reestablish(const duo *d, int from, uint64_t version, int64_t net) {
  ch_msg m = {.type = CH_MSG_REESTABLISH, .id = d->id};
  m.u.reestablish.version = version;
  if (version) m.u.reestablish.digest = duo_digest(d, version, net);
  m.u.reestablish.highest_signed = version;
  m.u.reestablish.instance = d->side[from].instance;
  return m;
}

/* --- Locks -------------------------------------------------------------------------------------------- */

ch_hash duo_preimage(unsigned n) {
  ch_hash h;
  memset(h.b, 0x5e, sizeof h.b);
  h.b[0] = (uint8_t)n;
  h.b[1] = (uint8_t)(n >> 8);
  return h;
}

ch_op duo_op_lock(const duo *d, const char *id, uint64_t amount, unsigned preimage, uint64_t seconds) {
  const ch_hash secret = duo_preimage(preimage);
  ch_hash hash;
  ch_preimage_hash(&hash, &secret);
  return ch_op_hash_lock(id, ch_amount_of(amount), &hash, d->now + seconds);
}

ch_err duo_lock(duo *d, int s, const char *id, uint64_t amount, unsigned preimage, uint64_t seconds) {
  const ch_op op = duo_op_lock(d, id, amount, preimage, seconds);
  const ch_event ev = ch_event_pay(&op, 1);
  return duo_step(d, s, &ev);
}

bool duo_find_lock(const duo *d, int s, const char *id, ch_lock_info *out) {
  static ch_lock_info locks[2 * CH_LOCKS_MAX];
  ch_env env = duo_env(d, s);
  size_t n = ch_channel_locks(d->side[s].channel, &env, locks, sizeof locks / sizeof *locks);
  for (size_t i = 0; i < n; i++) {
    if (locks[i].op.id_len != strlen(id) || memcmp(locks[i].op.id, id, strlen(id)) != 0) continue;
    *out = locks[i];
    return true;
  }
  memset(out, 0, sizeof *out);
  return false;
}

ch_err duo_fulfil(duo *d, int s, const char *id, unsigned preimage) {
  const ch_hash secret = duo_preimage(preimage);
  ch_lock_info lock;
  duo_find_lock(d, s, id, &lock);
  const ch_event ev = ch_event_fulfil(&lock.lock_id, &secret);
  return duo_step(d, s, &ev);
}

ch_err duo_cancel(duo *d, int s, const char *id) {
  ch_lock_info lock;
  duo_find_lock(d, s, id, &lock);
  const ch_event ev = ch_event_cancel(&lock.lock_id);
  return duo_step(d, s, &ev);
}

static bool resolved_by(const ch_op *ops, uint32_t n, const ch_hash *lock) {
  for (uint32_t i = 0; i < n; i++)
    if (ops[i].kind >= CH_OP_FULFIL && ch_hash_eq(&ops[i].u.resolve.lock, lock)) return true;
  return false;
}

/* The locks' hash after these operations of `from` on the agreed locks of `of`. */
static ch_hash locks_after(const duo *d, int from, int of, const ch_op *ops, uint32_t n) {
  static ch_lock_info locks[2 * CH_LOCKS_MAX];
  static uint8_t bytes[CH_LOCKS_BYTES_MAX];
  ch_env env = duo_env(d, of);
  size_t len = 0, have = ch_channel_locks(d->side[of].channel, &env, locks, sizeof locks / sizeof *locks);
  for (size_t i = 0; i < have; i++) {
    uint8_t payer = (uint8_t)(locks[i].incoming ? 1 - of : of);
    const ch_lock l = ch_op_lock(&locks[i].op, payer);
    if (!locks[i].agreed || resolved_by(ops, n, &locks[i].lock_id)) continue;
    assert_int_equal(ch_lock_encode(bytes, sizeof bytes, &len, &l), CH_OK);
  }
  for (uint32_t i = 0; i < n; i++) {
    const ch_lock l = ch_op_lock(&ops[i], (uint8_t)from);
    if (ops[i].kind == CH_OP_LOCK_ADD && ch_lock_encode(bytes, sizeof bytes, &len, &l)) continue;
  }
  ch_hash hash;
  ch_locks_hash(&hash, bytes, len);
  return hash;
}

ch_msg duo_lock_proposal(duo *d, int from, int of, uint64_t base, uint64_t version, int64_t net, ch_op *ops,
                         uint32_t n) {
  ch_msg m = duo_proposal(d, from, base, version, net, ops, n);
  ch_outcome o = {.net = ch_net_of(net), .locks_hash = locks_after(d, from, of, ops, n)};
  ch_state st = {.id = d->id, .version = version};
  ch_hash digest;
  ch_blind(&o.blind, &d->blind_key, 0, version);
  ch_outcome_hash(&st.outcome_hash, &o);
  ch_state_digest(&digest, &d->domain, &st);
  assert_int_equal(ch_sign(&m.u.update.sig, &digest, &d->side[from].channel_key), CH_OK);
  return m;
}

ch_msg duo_close_msg(const duo *d, int from, int64_t net, uint64_t valid_until) {
  ch_msg m = {.type = CH_MSG_CLOSE, .id = d->id};
  ch_close what = {d->id, 0, ch_net_of(net), valid_until};
  ch_hash digest;
  ch_close_digest(&digest, &d->domain, &what);
  m.u.close.net = what.net;
  m.u.close.valid_until = valid_until;
  assert_int_equal(ch_sign(&m.u.close.sig, &digest, &d->side[from].channel_key), CH_OK);
  return m;
}

/* --- Looking ------------------------------------------------------------------------------------------ */

ch_info duo_info(const duo *d, int s) {
  ch_info info;
  ch_env env = duo_env(d, s);
  ch_channel_info(d->side[s].channel, &env, &info);
  return info;
}

const ch_effect *duo_find(const duo *d, int s, ch_effect_kind kind) {
  for (size_t i = 0; i < d->side[s].fx.n; i++)
    if (d->side[s].fx.v[i].kind == kind) return &d->side[s].fx.v[i];
  return NULL;
}

size_t duo_count(const duo *d, int s, ch_effect_kind kind) {
  size_t n = 0;
  for (size_t i = 0; i < d->side[s].fx.n; i++)
    n += d->side[s].fx.v[i].kind == kind;
  return n;
}

const ch_tx *duo_wish(const duo *d, int s, ch_tx_kind kind) {
  for (size_t i = 0; i < d->side[s].fx.n; i++)
    if (d->side[s].fx.v[i].kind == CH_FX_TX && d->side[s].fx.v[i].u.tx.tx.kind == kind)
      return &d->side[s].fx.v[i].u.tx.tx;
  return NULL;
}

const ch_msg *duo_said(const duo *d, int s, ch_msg_type type) {
  for (size_t i = d->side[s].n_out; i > 0; i--)
    if (d->side[s].out[i - 1].type == type) return &d->side[s].out[i - 1];
  return NULL;
}

ch_payment_status duo_status(const duo *d, int s, const char *id) {
  const duo_row *r = row_of(d->side[s].paid, d->side[s].n_paid, id, strlen(id));
  return r ? r->status : (ch_payment_status)0;
}

const duo_row *duo_row_of(const duo *d, int s, bool in, const char *id) {
  const duo_side *me = &d->side[s];
  return row_of(in ? me->got : me->paid, in ? me->n_got : me->n_paid, id, strlen(id));
}

bool duo_received(const duo *d, int s, const char *id) {
  return row_of(d->side[s].got, d->side[s].n_got, id, strlen(id)) != NULL;
}

void duo_refused(duo *d, int to, const ch_msg *m, ch_err err) {
  assert_int_equal(duo_give(d, to, m), err);
}

void duo_ignored(duo *d, int to, const ch_msg *m) {
  ch_info was = duo_info(d, to);
  size_t made = d->side[to].n_made;
  assert_int_equal(duo_give(d, to, m), CH_OK);
  ch_info is = duo_info(d, to);
  assert_int_equal(d->side[to].fx.n, 0);
  assert_int_equal(d->side[to].n_made, made);
  assert_int_equal(is.version, was.version);
  assert_int_equal(is.outstanding, was.outstanding);
  assert_int_equal(is.frozen, was.frozen);
}

void duo_frozen(duo *d, int s) {
  size_t made = d->side[s].n_made;
  assert_true(duo_info(d, s).frozen);
  assert_int_equal(duo_info(d, s).spendable.v, 0);
  assert_int_equal(duo_pay(d, s, "while-frozen", 1), CH_ERR_FROZEN);
  assert_int_equal(duo_command(d, s, CH_EV_CHALLENGE), CH_ERR_FROZEN);
  assert_int_equal(d->side[s].n_made, made);
}
