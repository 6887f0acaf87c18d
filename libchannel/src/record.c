/* record.c - a channel as bytes for the store, and back. The layout is record.proto. */
#include "internal.h"

#include <pb_decode.h>
#include <sodium.h>
#include <stdlib.h>

#include "fields.h"
#include "record.pb.h"

#define RECORD_FORMAT 5
#define RECORD_MAX (1u << 20)

/* Behind the protobuf message stands its SipHash, so that a damaged record never comes to life as another past. */
#define SUM_BYTES crypto_shorthash_BYTES

static void record_sum(uint8_t out[SUM_BYTES], const uint8_t *in, size_t len) {
  static const uint8_t key[crypto_shorthash_KEYBYTES] = {0};
  crypto_shorthash(out, in, len, key);
}

#define PUT(field, value) memcpy((field), (value).b, sizeof(field))
#define GET(value, field) memcpy((value).b, (field), sizeof(field))

static void put_net(uint8_t out[16], ch_net n) {
  uint8_t word[32];
  ch_net_word(word, n);
  memcpy(out, word + 16, 16);
}

static void put_amount(uint8_t out[16], ch_amount a) {
  uint8_t word[32];
  ch_amount_word(word, a);
  memcpy(out, word + 16, 16);
}

static bool get_net(ch_net *out, const uint8_t in[16]) {
  uint8_t word[32];
  memset(word, in[0] & 0x80 ? 0xff : 0, 16);
  memcpy(word + 16, in, 16);
  return ch_net_from_word(out, word) == CH_OK;
}

static bool get_amount(ch_amount *out, const uint8_t in[16]) {
  uint8_t word[32] = {0};
  memcpy(word + 16, in, 16);
  return ch_amount_from_word(out, word) == CH_OK;
}

#define put_optional_hash(field, hash) ((field)->size = 32, memcpy((field)->bytes, (hash)->b, 32))

/* No bytes: there is none. */
#define get_optional_hash(has, hash, field)                                                                            \
  (*(has) = (field)->size == 32, memcpy((hash)->b, (field)->bytes, *(has) ? 32 : 0),                                   \
   (field)->size == 32 || (field)->size == 0)

/* --- The chain's view ---------------------------------------------------------------------------- */

static void put_onchain(RecOnchain *r, const ch_onchain *o) {
  const ch_adj_slots *s = &o->slots;
  r->has_slots = true;
  put_net(r->slots.contribution0, s->contribution[0]);
  put_net(r->slots.contribution1, s->contribution[1]);
  r->slots.withdraw_seq = s->withdraw_seq;
  r->slots.epoch = s->epoch;
  r->slots.disputed = s->disputed;
  r->slots.version = s->version;
  r->slots.challenged_version = s->challenged_version;
  r->slots.deadline = s->deadline;
  r->slots.flags = s->flags;
  PUT(r->slots.outcome_hash, s->outcome_hash);
  r->has_ended = o->has_ended;
  if (!o->has_ended) return;
  const ch_adj_event *e = &o->ended;
  r->ended.kind = (uint32_t)e->kind;
  r->ended.epoch = e->epoch;
  r->ended.side = e->side;
  put_amount(r->ended.amount, e->amount);
  r->ended.version = e->version;
  r->ended.deadline = e->deadline;
  PUT(r->ended.salt, e->salt);
  put_net(r->ended.net, e->net);
  put_amount(r->ended.paid0, e->paid[0]);
  put_amount(r->ended.paid1, e->paid[1]);
  r->ended.forfeited = e->forfeited;
}

static bool get_event(ch_adj_event *e, const RecEvent *r, const ch_hash *id) {
  if (r->kind < CH_ADJ_DEPOSITED || r->kind > CH_ADJ_SETTLED || r->epoch > UINT16_MAX || r->side > 1) return false;
  e->kind = (ch_adj_event_kind)r->kind;
  e->id = *id;
  e->epoch = (uint16_t)r->epoch;
  e->side = (uint8_t)r->side;
  e->version = r->version;
  e->deadline = r->deadline;
  GET(e->salt, r->salt);
  e->forfeited = r->forfeited;
  return get_amount(&e->amount, r->amount) && get_net(&e->net, r->net) && get_amount(&e->paid[0], r->paid0) &&
         get_amount(&e->paid[1], r->paid1);
}

static bool get_onchain(ch_onchain *o, const RecOnchain *r, const ch_hash *id) {
  ch_adj_slots *s = &o->slots;
  if (!r->has_slots || r->slots.epoch > UINT16_MAX || r->slots.flags > UINT8_MAX) return false;
  if (r->slots.withdraw_seq > UINT16_MAX) return false;
  s->withdraw_seq = (uint16_t)r->slots.withdraw_seq;
  s->epoch = (uint16_t)r->slots.epoch;
  s->disputed = r->slots.disputed;
  s->version = r->slots.version;
  s->challenged_version = r->slots.challenged_version;
  s->deadline = r->slots.deadline;
  s->flags = (uint8_t)r->slots.flags;
  GET(s->outcome_hash, r->slots.outcome_hash);
  o->has_ended = r->has_ended;
  if (!get_net(&s->contribution[0], r->slots.contribution0)) return false;
  if (!get_net(&s->contribution[1], r->slots.contribution1)) return false;
  return !r->has_ended || get_event(&o->ended, &r->ended, id);
}

/* --- What was agreed at open ---------------------------------------------------------------------- */

static void put_terms(Record *r, const ch_channel *c) {
  const ch_params *p = &c->params;
  r->chain_id = c->chain.chain_id;
  PUT(r->adjudicator, c->chain.adjudicator);
  PUT(r->signer0, p->signer[0]);
  PUT(r->signer1, p->signer[1]);
  PUT(r->payout0, p->payout[0]);
  PUT(r->payout1, p->payout[1]);
  PUT(r->asset, p->asset);
  r->challenge_period = p->challenge_period;
  put_amount(r->bond, p->bond);
  PUT(r->tag, p->tag);
  PUT(r->nonce0, c->nonce[0]);
  PUT(r->nonce1, c->nonce[1]);
  PUT(r->salt, c->salt);
  PUT(r->blind_key, c->blind_key);
  PUT(r->peer, c->peer);
  r->me = c->me;
  put_amount(r->deposit0, c->deposit[0]);
  put_amount(r->deposit1, c->deposit[1]);
  r->created = c->created;
  PUT(r->open_sig0, c->open_sig[0]);
  PUT(r->open_sig1, c->open_sig[1]);
}

static bool get_terms(ch_channel *c, const Record *r) {
  ch_params *p = &c->params;
  if (r->me > 1) return false;
  c->chain.chain_id = r->chain_id;
  GET(c->chain.adjudicator, r->adjudicator);
  GET(p->signer[0], r->signer0);
  GET(p->signer[1], r->signer1);
  GET(p->payout[0], r->payout0);
  GET(p->payout[1], r->payout1);
  GET(p->asset, r->asset);
  p->challenge_period = r->challenge_period;
  GET(p->tag, r->tag);
  GET(c->nonce[0], r->nonce0);
  GET(c->nonce[1], r->nonce1);
  GET(c->salt, r->salt);
  GET(c->blind_key, r->blind_key);
  GET(c->peer, r->peer);
  c->me = (uint8_t)r->me;
  c->created = r->created;
  GET(c->open_sig[0], r->open_sig0);
  GET(c->open_sig[1], r->open_sig1);
  return get_amount(&p->bond, r->bond) && get_amount(&c->deposit[0], r->deposit0) &&
         get_amount(&c->deposit[1], r->deposit1) && !ch_params_check(p);
}

/* --- Money on its way out --------------------------------------------------------------------------- */

static void put_target(bool *has, RecTarget *r, const ch_target *to) {
  *has = to->set;
  if (!to->set) return;
  PUT(r->params_hash, to->params_hash);
  r->epoch = to->epoch;
  r->side = to->side;
}

static bool get_target(ch_target *to, bool has, const RecTarget *r) {
  to->set = has;
  if (!has) return true;
  if (r->epoch > UINT16_MAX || r->side > 1) return false;
  GET(to->params_hash, r->params_hash);
  to->epoch = (uint16_t)r->epoch;
  to->side = (uint8_t)r->side;
  return true;
}

static void put_reservation(Record *r, const ch_channel *c) {
  const reservation *v = &c->reserved;
  put_amount(r->withdraw_wanted, c->withdraw_wanted);
  if (c->withdraw_wanted.v) put_target(&r->has_move_to, &r->move_to, &c->move_to);
  put_target(&r->reserved.has_to, &r->reserved.to, &v->to);
  r->has_reserved = v->active;
  r->reserved.side = v->side;
  r->reserved.seq = v->seq;
  put_amount(r->reserved.amount, v->amount);
  r->reserved.valid_until = v->valid_until;
  r->reserved.have0 = v->have[0];
  r->reserved.have1 = v->have[1];
  PUT(r->reserved.sig0, v->sig[0]);
  PUT(r->reserved.sig1, v->sig[1]);
}

static bool get_reservation(ch_channel *c, const Record *r) {
  reservation *v = &c->reserved;
  if (!get_amount(&c->withdraw_wanted, r->withdraw_wanted)) return false;
  if (!get_target(&c->move_to, r->has_move_to, &r->move_to)) return false;
  if (!get_target(&v->to, r->has_reserved && r->reserved.has_to, &r->reserved.to)) return false;
  if (!r->has_reserved) return true;
  if (r->reserved.side > 1 || r->reserved.seq >= CH_SEQ_LAST) return false;
  v->active = true;
  v->side = (uint8_t)r->reserved.side;
  v->seq = (uint16_t)r->reserved.seq;
  v->valid_until = r->reserved.valid_until;
  v->have[0] = r->reserved.have0;
  v->have[1] = r->reserved.have1;
  GET(v->sig[0], r->reserved.sig0);
  GET(v->sig[1], r->reserved.sig1);
  return get_amount(&v->amount, r->reserved.amount);
}

/* --- What was signed ------------------------------------------------------------------------------ */

static void put_signed(Record *r, const ch_channel *c) {
  r->has_latest = true;
  r->latest.version = c->latest.version;
  put_net(r->latest.net, c->latest.net);
  PUT(r->latest.sig0, c->latest.sig[0]);
  PUT(r->latest.sig1, c->latest.sig[1]);
  r->changed_at = c->changed_at;
  r->has_out = c->out.kind != OUT_NONE;
  r->out.kind = (uint32_t)c->out.kind;
  r->out.version = c->out.version;
  put_net(r->out.net, c->out.what.net);
  PUT(r->out.sig, c->out.sig);
  r->out.refused_op = c->out.refused_op;
  r->out.reason = (uint32_t)c->out.reason;
  r->old_version = c->old.version;
  put_net(r->old_net, c->old.what.net);
  r->highest_version = c->highest.version;
  PUT(r->highest_digest, c->highest.digest);
  r->proof_version = c->proof.version;
  PUT(r->proof_outcome, c->proof.outcome_hash);
  PUT(r->proof_sig, c->proof.sig);
  r->has_close = true;
  r->close.wanted = c->close.wanted;
  r->close.valid_until = c->close.valid_until;
  put_net(r->close.net, c->close.net);
  r->close.have0 = c->close.have[0];
  r->close.have1 = c->close.have[1];
  PUT(r->close.sig0, c->close.sig[0]);
  PUT(r->close.sig1, c->close.sig[1]);
  r->close.mine_until = c->close.mine_until;
  r->challenge_until = c->challenge_until;
  r->challenge_version = c->challenge_version;
  PUT(r->challenge_sig, c->challenge_sig);
}

static bool get_signed(ch_channel *c, const Record *r) {
  if (!r->has_latest || !r->has_close || (r->has_out && r->out.kind > OUT_REFUSAL)) return false;
  c->latest.version = r->latest.version;
  GET(c->latest.sig[0], r->latest.sig0);
  GET(c->latest.sig[1], r->latest.sig1);
  c->changed_at = r->changed_at;
  if (r->has_out) {
    c->out.kind = (outstanding_kind)r->out.kind;
    c->out.version = r->out.version;
    GET(c->out.sig, r->out.sig);
    c->out.refused_op = r->out.refused_op;
    c->out.reason = (ch_err)r->out.reason;
    if (!get_net(&c->out.what.net, r->out.net)) return false;
  }
  c->old.version = r->old_version;
  c->highest.version = r->highest_version;
  GET(c->highest.digest, r->highest_digest);
  c->proof.version = r->proof_version;
  GET(c->proof.outcome_hash, r->proof_outcome);
  GET(c->proof.sig, r->proof_sig);
  c->close.wanted = r->close.wanted;
  c->close.valid_until = r->close.valid_until;
  c->close.have[0] = r->close.have0;
  c->close.have[1] = r->close.have1;
  GET(c->close.sig[0], r->close.sig0);
  GET(c->close.sig[1], r->close.sig1);
  c->close.mine_until = r->close.mine_until;
  c->challenge_until = r->challenge_until;
  c->challenge_version = r->challenge_version;
  GET(c->challenge_sig, r->challenge_sig);
  return get_net(&c->latest.net, r->latest.net) && get_net(&c->old.what.net, r->old_net) &&
         get_net(&c->close.net, r->close.net);
}

/* --- Lost memory ----------------------------------------------------------------------------------- */

static void put_freeze(Record *r, const ch_channel *c) {
  memcpy(r->freeze_reason, c->freeze_reason, sizeof r->freeze_reason);
  r->frozen_at = c->frozen_at;
  r->shown = c->shown;
  r->has_resume = c->resume.version != 0;
  r->resume.version = c->resume.version;
  PUT(r->resume.sig, c->resume.sig);
}

static void get_freeze(ch_channel *c, const Record *r) {
  memcpy(c->freeze_reason, r->freeze_reason, sizeof c->freeze_reason);
  c->freeze_reason[sizeof c->freeze_reason - 1] = 0;
  c->frozen_at = r->frozen_at;
  c->shown = r->shown;
  if (!r->has_resume) return;
  c->resume.version = r->resume.version;
  GET(c->resume.sig, r->resume.sig);
}

/* --- Facts ------------------------------------------------------------------------------------------ */

enum {
  AGREED = 1,
  HEARD = 2,
  OPENED = 4,
  ABANDONED = 8,
  SHUTDOWN = 16,
  CLOSE_WANTED = 32,
  FROZEN = 64,
  ACCOUNTED = 128,
  OPENER_FUNDS = 256,
  REVEALED = 512,
  RESUME_WANTED = 1 << 16,
  SEAL = 1 << 17
};

static uint32_t facts_of(const ch_channel *c) {
  return (c->agreed ? AGREED : 0u) | (c->heard ? HEARD : 0u) | (c->opened ? OPENED : 0u) |
         (c->abandoned ? ABANDONED : 0u) | (c->shutdown ? SHUTDOWN : 0u) | (c->close_wanted ? CLOSE_WANTED : 0u) |
         (c->frozen ? FROZEN : 0u) | (c->accounted ? ACCOUNTED : 0u) | (c->opener_funds ? OPENER_FUNDS : 0u) |
         (c->revealed ? REVEALED : 0u) | (c->resume.wanted ? RESUME_WANTED : 0u) | (c->seal ? SEAL : 0u);
}

static void set_facts(ch_channel *c, uint32_t f) {
  c->agreed = f & AGREED;
  c->heard = f & HEARD;
  c->opened = f & OPENED;
  c->abandoned = f & ABANDONED;
  c->shutdown = f & SHUTDOWN;
  c->close_wanted = f & CLOSE_WANTED;
  c->frozen = f & FROZEN;
  c->accounted = f & ACCOUNTED;
  c->opener_funds = f & OPENER_FUNDS;
  c->revealed = f & REVEALED;
  c->resume.wanted = f & RESUME_WANTED;
  c->seal = f & SEAL;
}

/* --- Operations ------------------------------------------------------------------------------------- */

/* The first operations are those that a signed version above L contains: outstanding, or replaced by my refusal. */
static size_t n_enforceable(const ch_channel *c) {
  size_t n = 0;
  while (n < c->n_out + c->n_queue && c->ops[n].version > c->latest.version)
    n++;
  return n;
}

FIELDS_OF(RecTarget)
FIELDS_OF(RecOp)

static void lock_op_to_record(RecOp *r, const ch_op *op) {
  if (op->kind == CH_OP_LOCK_ADD) {
    r->condition.size = sizeof op->u.add.condition.b;
    memcpy(r->condition.bytes, op->u.add.condition.b, sizeof op->u.add.condition.b);
    r->gas = op->u.add.gas;
    r->payload.size = op->u.add.payload_len;
    memcpy(r->payload.bytes, op->u.add.payload, op->u.add.payload_len);
  }
  if (!op_resolves(op)) return;
  r->lock.size = sizeof op->u.resolve.lock.b;
  memcpy(r->lock.bytes, op->u.resolve.lock.b, sizeof op->u.resolve.lock.b);
  if (op->u.resolve.has_preimage) put_optional_hash(&r->preimage, &op->u.resolve.preimage);
}

static void op_to_record(RecOp *r, const ch_op *op) {
  r->kind = op->kind;
  r->version = op->version;
  r->id.size = op->id_len;
  memcpy(r->id.bytes, op->id, op->id_len);
  put_amount(r->amount, op->amount);
  r->seq = op->seq;
  r->valid_until = op->valid_until;
  if (op->kind == CH_OP_RESERVE) put_target(&r->has_to, &r->to, &op->u.to);
  lock_op_to_record(r, op);
}

static bool op_from_record(ch_op *op, const RecOp *r) {
  if (r->kind < CH_OP_NOOP || r->kind > CH_OP_EXPIRE || r->seq > UINT16_MAX) return false;
  *op = (ch_op){.kind = (uint8_t)r->kind, .id_len = (uint8_t)r->id.size};
  memcpy(op->id, r->id.bytes, r->id.size);
  op->seq = (uint16_t)r->seq;
  op->valid_until = r->valid_until;
  op->version = r->version;
  if (!get_amount(&op->amount, r->amount)) return false;
  if (op->kind == CH_OP_RESERVE) return get_target(&op->u.to, r->has_to, &r->to);
  if (op->kind == CH_OP_LOCK_ADD) {
    if (r->condition.size != sizeof op->u.add.condition.b) return false;
    memcpy(op->u.add.condition.b, r->condition.bytes, r->condition.size);
    op->u.add.gas = r->gas;
    op->u.add.payload_len = (uint8_t)r->payload.size;
    memcpy(op->u.add.payload, r->payload.bytes, r->payload.size);
  }
  if (!op_resolves(op)) return true;
  if (r->lock.size != sizeof op->u.resolve.lock.b) return false;
  memcpy(op->u.resolve.lock.b, r->lock.bytes, r->lock.size);
  return get_optional_hash(&op->u.resolve.has_preimage, &op->u.resolve.preimage, &r->preimage);
}

static void put_ops(fields_out *o, uint32_t tag, const Record *r) {
  const ch_channel *c = (const ch_channel *)r->ops.arg;
  size_t n = n_enforceable(c);
  for (size_t i = 0; i < n; i++) {
    RecOp op = RecOp_init_zero;
    op_to_record(&op, &c->ops[i]);
    uint8_t *body = put_begin(o, tag);
    put_RecOp(o, &op);
    put_end(o, body);
  }
}

/* What becomes of a record as it is read. */
typedef struct reading {
  ch_channel *c;
  bool no_memory;
} reading;

static bool decode_op(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  reading *in = (reading *)*arg;
  ch_channel *c = in->c;
  RecOp r = RecOp_init_zero;
  ch_op op = {0};
  if (c->n_queue >= CH_MAX_OPS || !pb_decode(stream, RecOp_fields, &r)) return false;
  if (!op_from_record(&op, &r)) return false;
  in->no_memory = queue_append(c, &op, 1) != CH_OK;
  if (in->no_memory) return false;
  c->ops[c->n_queue - 1].version = r.version;
  return true;
}

/* --- Pending conditional transfers ------------------------------------------------------------------ */

FIELDS_OF(RecLimits)
FIELDS_OF(RecLock)

static void put_limits(Record *r, const ch_lock_limits *l) {
  r->has_limits = l->count > 0;
  r->limits.count = l->count;
  r->limits.payload = l->payload;
  r->limits.gas = l->gas;
  r->limits.longest = l->longest;
  put_amount(r->limits.dust, l->dust);
  put_amount(r->limits.in_flight, l->in_flight);
}

static bool get_limits(ch_lock_limits *l, const Record *r) {
  if (!r->has_limits) return true;
  l->count = r->limits.count;
  l->payload = r->limits.payload;
  l->gas = r->limits.gas;
  l->longest = r->limits.longest;
  return get_amount(&l->dust, r->limits.dust) && get_amount(&l->in_flight, r->limits.in_flight);
}

static void put_locks(fields_out *o, uint32_t tag, const Record *r) {
  const ch_channel *c = (const ch_channel *)r->locks.arg;
  for (size_t i = 0; i < c->n_locks; i++) {
    const pending *p = &c->locks[i];
    RecLock lock = {.has_op = true, .payer = p->payer, .since = p->since, .want = p->want};
    op_to_record(&lock.op, &p->op);
    if (p->known) put_optional_hash(&lock.preimage, &p->preimage);
    uint8_t *body = put_begin(o, tag);
    put_RecLock(o, &lock);
    put_end(o, body);
  }
}

static bool decode_lock(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  reading *in = (reading *)*arg;
  ch_channel *c = in->c;
  RecLock r = RecLock_init_zero;
  pending p = {.in = 0};
  if (c->n_locks >= 2 * CH_LOCKS_MAX || !pb_decode(stream, RecLock_fields, &r) || !r.has_op) return false;
  if (!op_from_record(&p.op, &r.op) || p.op.kind != CH_OP_LOCK_ADD || r.payer > 1 || r.in >= IN_REPLAY) return false;
  if (r.want && r.want != CH_OP_FULFIL && r.want != CH_OP_CANCEL) return false;
  p.payer = (uint8_t)r.payer;
  p.in = (uint8_t)r.in;
  p.since = r.since;
  p.want = (uint8_t)r.want;
  ch_op_lock_id(&p.id, &p.op, p.payer);
  if (!get_optional_hash(&p.known, &p.preimage, &r.preimage)) return false;
  in->no_memory = locks_append(c, &p) != CH_OK;
  return !in->no_memory;
}

static void put_marks(Record *r, const ch_channel *c) {
  r->marks.size = (pb_size_t)c->n_locks;
  for (size_t i = 0; i < c->n_locks; i++)
    r->marks.bytes[i] = c->locks[i].in;
}

static bool get_marks(ch_channel *c, const Record *r) {
  if (r->format < 5) return true; /* each lock had its own */
  if (r->marks.size != c->n_locks) return false;
  for (size_t i = 0; i < c->n_locks; i++) {
    if (r->marks.bytes[i] >= IN_REPLAY) return false;
    c->locks[i].in = r->marks.bytes[i];
  }
  return true;
}

/* The hashes in the contents follow from the locks. */
static bool get_locks(ch_channel *c, const Record *r) {
  if (!get_marks(c, r)) return false;
  locks_hash(c, IN_LATEST, &c->latest.locks_hash);
  locks_hash(c, IN_OUT, &c->out.what.locks_hash);
  locks_hash(c, IN_OLD, &c->old.what.locks_hash);
  for (size_t i = 0; i < r->used_count; i++)
    GET(c->used[i], r->used[i]);
  return get_limits(&c->limits, r);
}

/* --- The whole ---------------------------------------------------------------------------------------- */

FIELDS_OF(RecSlots)
FIELDS_OF(RecEvent)
FIELDS_OF(RecOnchain)
FIELDS_OF(RecState)
FIELDS_OF(RecOut)
FIELDS_OF(RecClose)
FIELDS_OF(RecReservation)
FIELDS_OF(RecResume)

/* What every signature changes. */
static bool moving(uint32_t tag) {
  switch (tag) {
  case Record_latest_tag:
  case Record_changed_at_tag:
  case Record_out_tag:
  case Record_old_version_tag:
  case Record_old_net_tag:
  case Record_highest_version_tag:
  case Record_highest_digest_tag:
  case Record_proof_version_tag:
  case Record_proof_outcome_tag:
  case Record_proof_sig_tag:
  case Record_ops_tag:
  case Record_marks_tag: return true;
  default: return false;
  }
}

static bool steady(uint32_t tag) {
  return !moving(tag);
}

FIELDS_WHERE(Record, steady)
FIELDS_WHERE(Record, moving)

/* More than a record without operations can take, then these. */
static size_t room_for(const ch_channel *c) {
  return 2 * sizeof(Record) + n_enforceable(c) * (RecOp_size + 4) + c->n_locks * (RecLock_size + 4) + SUM_BYTES;
}

static ch_err write_record(const Record *r, size_t room, uint8_t **out, size_t *len, size_t *n_steady) {
  uint8_t *bytes = (uint8_t *)malloc(room);
  if (!bytes) return CH_ERR_NO_MEMORY;
  fields_out o = {.at = bytes, .end = bytes + room - SUM_BYTES};
  put_Record_steady(&o, r);
  *n_steady = (size_t)(o.at - bytes);
  put_Record_moving(&o, r);
  if (o.full) {
    free(bytes);       /* never: room_for() is more than that */
    return CH_ERR_BUG; /* never: as above */
  }
  record_sum(o.at, bytes, (size_t)(o.at - bytes));
  *out = bytes;
  *len = (size_t)(o.at - bytes) + SUM_BYTES;
  return CH_OK;
}

ch_err ch_channel_encode(const ch_channel *c, uint8_t **out, size_t *len) {
  size_t n_steady;
  return ch_channel_encode_parts(c, out, len, &n_steady);
}

ch_err ch_channel_encode_parts(const ch_channel *c, uint8_t **out, size_t *len, size_t *n_steady) {
  static const beginning none = {{0}};
  Record r = Record_init_zero;
  *out = NULL;
  if (c->n_locks > sizeof r.marks.bytes) return CH_ERR_BUG;
  r.format = RECORD_FORMAT;
  put_terms(&r, c);
  put_signed(&r, c);
  put_reservation(&r, c);
  r.facts = facts_of(c);
  put_freeze(&r, c);
  r.epoch = c->epoch;
  r.has_head = r.has_final = true;
  put_onchain(&r.head, &c->view.head);
  put_onchain(&r.final, &c->view.final);
  for (size_t i = 0; i < INSTANCES_KEPT && !ch_hash_is_zero(&c->instance[i]); i++, r.instances_count++)
    PUT(r.instances[i], c->instance[i]);
  put_limits(&r, &c->limits);
  put_marks(&r, c);
  for (size_t i = 0; i < HASHES_KEPT && memcmp(&c->used[i], &none, sizeof none) != 0; i++, r.used_count++)
    PUT(r.used[i], c->used[i]);
  r.ops.arg = r.locks.arg = (void *)(uintptr_t)c;
  ch_err err = write_record(&r, room_for(c), out, len, n_steady);
  ch_wipe(r.blind_key, sizeof r.blind_key);
  return err;
}

/* Format 1 did not say whether the salt is public, nor whether an ending was that of a dispute: every ending may be. */
static void infer_revealed(ch_channel *c) {
  look_for_reveal(c);
  if (c->challenge_until || c->view.head.has_ended || c->view.final.has_ended) c->revealed = true;
}

static bool fill(ch_channel *c, const Record *r) {
  if (r->epoch > UINT16_MAX || !get_terms(c, r) || !get_signed(c, r) || !get_reservation(c, r) || !get_locks(c, r))
    return false;
  channel_derive(c);
  ch_hash tag;
  ch_keccak256(&tag, c->salt.b, sizeof c->salt.b);
  if (!ch_hash_eq(&tag, &c->params.tag)) return false;
  set_facts(c, r->facts);
  get_freeze(c, r);
  c->epoch = (uint16_t)r->epoch;
  if (!r->has_head || !r->has_final) return false;
  if (!get_onchain(&c->view.head, &r->head, &c->id) || !get_onchain(&c->view.final, &r->final, &c->id)) return false;
  if (r->format == 1) infer_revealed(c);
  for (size_t i = 0; i < r->instances_count; i++)
    GET(c->instance[i], r->instances[i]);
  if (n_enforceable(c) != c->n_out) return false; /* no others are in a record */
  if (c->out.kind != OUT_PROPOSAL) {              /* then what the record has was given back to the queue */
    c->n_queue = c->n_out;
    c->n_out = 0;
  }
  return invariant(c, c) == CH_OK;
}

static bool among(const ch_op *ops, size_t n, const ch_op *op) {
  for (size_t i = 0; i < n; i++)
    if (ops[i].kind == op->kind && ops[i].id_len == op->id_len && memcmp(ops[i].id, op->id, op->id_len) == 0)
      return true;
  return false;
}

/* Puts back what waits: the caller's pending payments, and what was asked for or is owed beside them. */
static ch_err restore_queue(ch_channel *c, const ch_op *queue, size_t n) {
  size_t have = c->n_out + c->n_queue;
  for (size_t i = 0; i < n; i++) {
    if (among(c->ops, have, &queue[i])) continue;
    ch_err err = queue_append(c, &queue[i], 1);
    if (err) return err;
  }
  const ch_op withdrawal = {.kind = CH_OP_RESERVE, .amount = c->withdraw_wanted, .u.to = c->move_to};
  if (c->withdraw_wanted.v && !c->reserved.active && !among(c->ops, have, &withdrawal)) {
    ch_err err = queue_append(c, &withdrawal, 1);
    if (err) return err;
  }
  ch_err err = c->close_wanted && !c->accounted ? queue_shutdown(c) : CH_OK;
  return err ? err : queue_seal(c);
}

ch_err ch_channel_decode(ch_channel **out, const uint8_t *in, size_t len, const ch_op *queue, size_t n_queue) {
  *out = NULL;
  uint8_t sum[SUM_BYTES];
  if (len < SUM_BYTES || len > RECORD_MAX) return CH_ERR_FORMAT;
  len -= SUM_BYTES;
  record_sum(sum, in, len);
  if (memcmp(sum, in + len, sizeof sum) != 0) return CH_ERR_FORMAT;
  ch_channel *c = (ch_channel *)calloc(1, sizeof *c);
  if (!c) return CH_ERR_NO_MEMORY;
  Record r = Record_init_zero;
  reading from = {.c = c};
  r.ops.funcs.decode = decode_op;
  r.ops.arg = r.locks.arg = &from;
  r.locks.funcs.decode = decode_lock;
  pb_istream_t stream = pb_istream_from_buffer(in, len);
  ch_err err = pb_decode(&stream, Record_fields, &r) && r.format > 0 ? CH_OK : CH_ERR_FORMAT;
  if (from.no_memory) err = CH_ERR_NO_MEMORY;
  if (r.format > RECORD_FORMAT) err = CH_ERR_VERSION;
  c->n_out = c->n_queue; /* in the outstanding proposal, if there is one: see fill */
  c->n_queue = 0;
  if (!err && !fill(c, &r)) err = CH_ERR_FORMAT;
  ch_wipe(r.blind_key, sizeof r.blind_key);
  if (!err) err = restore_queue(c, queue, n_queue);
  if (err) {
    ch_channel_free(c);
    return err;
  }
  *out = c;
  return CH_OK;
}
