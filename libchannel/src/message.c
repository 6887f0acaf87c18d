/* The wire format of the peer protocol: proto/peer.proto through nanopb, and what that cannot express. */
#include "channel/message.h"

#include "channel/adjudicator.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>

#include "peer.pb.h"

#define TYPE_BYTES 2
#define MIN_OP_BYTES 4      /* tag, length, kind, empty body */
#define MAX_FIXED_BYTES 512 /* of a message's body without its operations */
#define TIME_BITS 40
#define OP_BYTES_MAX (ch_wire_Op_size + 3) /* a Proposal's field `op`: tag, length, Op */

/* Copies between two arrays that must be of one size. */
#define COPY(to, from)                                                                                                 \
  do {                                                                                                                 \
    _Static_assert(sizeof(to) == sizeof(from), "arrays of one size");                                                  \
    memcpy((to), (from), sizeof(to));                                                                                  \
  } while (0)

typedef union body {
  ch_wire_Error error;
  ch_wire_OpenRequest open_request;
  ch_wire_OpenAccept open_accept;
  ch_wire_OpenConfirm open_confirm;
  ch_wire_Funds funds;
  ch_wire_Reestablish reestablish;
  ch_wire_Update update;
  ch_wire_FullState full_state;
  ch_wire_Close close;
  ch_wire_Withdraw withdraw;
  ch_wire_Resume resume;
} body;

/* The protobuf message of a type, NULL for an unknown one. */
static const pb_msgdesc_t *fields_of(ch_msg_type type) {
  switch (type) {
  case CH_MSG_ERROR: return ch_wire_Error_fields;
  case CH_MSG_OPEN_REQUEST: return ch_wire_OpenRequest_fields;
  case CH_MSG_OPEN_ACCEPT: return ch_wire_OpenAccept_fields;
  case CH_MSG_OPEN_CONFIRM: return ch_wire_OpenConfirm_fields;
  case CH_MSG_FUNDS: return ch_wire_Funds_fields;
  case CH_MSG_REESTABLISH: return ch_wire_Reestablish_fields;
  case CH_MSG_UPDATE: return ch_wire_Update_fields;
  case CH_MSG_FULL_STATE: return ch_wire_FullState_fields;
  case CH_MSG_CLOSE: return ch_wire_Close_fields;
  case CH_MSG_WITHDRAW: return ch_wire_Withdraw_fields;
  case CH_MSG_RESUME: return ch_wire_Resume_fields;
  }
  return NULL;
}

/* --- What a well-formed message says, whichever way it travels -------------------------------------- */

bool ch_payment_id_ok(const char *id, size_t len) {
  if (len == 0 || len > CH_PAYMENT_ID_MAX) return false;
  for (size_t i = 0; i < len; i++)
    if (id[i] < 0x21 || id[i] > 0x7e) return false;
  return true;
}

static bool amount_ok(ch_amount a) {
  return a.v > 0 && a.v <= CH_MONEY_MAX;
}

static bool withdrawal_ok(uint16_t seq, ch_amount amount, uint64_t valid_until) {
  return seq < CH_SEQ_LAST && amount_ok(amount) && valid_until >> TIME_BITS == 0;
}

/* A payload only for what is asked; nothing may be asked of nobody. */
static bool lock_ok(const ch_op *op) {
  if (op->u.add.payload_len > CH_OP_PAYLOAD_MAX || !amount_ok(op->amount)) return false;
  const ch_lock lock = ch_op_lock(op, 0);
  return ch_payment_id_ok(op->id, op->id_len) && ch_lock_check(&lock) == CH_OK;
}

static bool op_ok(const ch_op *op) {
  switch ((ch_op_kind)op->kind) {
  case CH_OP_NOOP:
  case CH_OP_SHUTDOWN: return true;
  case CH_OP_PAY: return amount_ok(op->amount) && ch_payment_id_ok(op->id, op->id_len);
  case CH_OP_RESERVE: return op->u.to.side <= 1 && withdrawal_ok(op->seq, op->amount, op->valid_until);
  case CH_OP_LOCK_ADD: return lock_ok(op);
  case CH_OP_FULFIL:
  case CH_OP_CANCEL:
  case CH_OP_EXPIRE: return op->kind == CH_OP_FULFIL || !op->u.resolve.has_preimage;
  }
  return false;
}

static bool update_ok(const ch_msg *m) {
  if (m->u.update.has_proposal && m->u.update.has_refusal) return false;
  if (!m->u.update.has_accept && !m->u.update.has_proposal && !m->u.update.has_refusal) return false;
  if (m->u.update.has_accept && m->u.update.accept_version == 0) return false;
  if ((m->u.update.has_proposal || m->u.update.has_refusal) && m->u.update.version == 0) return false;
  if (m->u.update.has_refusal && m->u.update.refused_op >= CH_MAX_OPS) return false;
  if (!m->u.update.has_proposal) return m->u.update.n_ops == 0;
  if (m->u.update.n_ops == 0 || m->u.update.n_ops > CH_MAX_OPS) return false;
  for (size_t i = 0; i < m->u.update.n_ops; i++)
    if (!op_ok(&m->u.update.ops[i])) return false;
  return true;
}

static bool limits_ok(const ch_lock_limits *l) {
  return l->count <= CH_LOCKS_MAX && l->payload <= CH_LOCK_LIMIT_PAYLOAD;
}

static bool content_ok(const ch_msg *m) {
  switch (m->type) {
  case CH_MSG_OPEN_REQUEST:
    return m->epoch == 0 && m->u.open_request.bond.v >> CH_BOND_BITS == 0 && limits_ok(&m->u.open_request.locks);
  case CH_MSG_OPEN_ACCEPT:
  case CH_MSG_OPEN_CONFIRM: return m->epoch == 0;
  case CH_MSG_REESTABLISH: return m->u.reestablish.version > 0 || ch_hash_is_zero(&m->u.reestablish.digest);
  case CH_MSG_UPDATE: return update_ok(m);
  case CH_MSG_FULL_STATE: return m->u.full_state.version > 0;
  case CH_MSG_CLOSE: return m->u.close.valid_until >> TIME_BITS == 0;
  case CH_MSG_WITHDRAW:
    return m->u.withdraw.side <= 1 && withdrawal_ok(m->u.withdraw.seq, m->u.withdraw.amount, m->u.withdraw.valid_until);
  case CH_MSG_RESUME: return m->u.resume.version > m->u.resume.base;
  case CH_MSG_ERROR: return memchr(m->u.error.text, '\0', sizeof m->u.error.text) != NULL;
  case CH_MSG_FUNDS: return true;
  }
  return false;
}

/* --- Money --------------------------------------------------------------------------------------- */

#define AMOUNT_BYTES 14
#define NET_BYTES 14
#define WORD_BYTES 32

static bool put_amount(pb_size_t *size, uint8_t out[AMOUNT_BYTES], ch_amount a) {
  uint8_t bytes[16];
  size_t n = ch_amount_bytes(bytes, a);
  if (a.v > CH_MONEY_MAX || n > AMOUNT_BYTES) return false;
  memcpy(out, bytes, n);
  *size = (pb_size_t)n;
  return true;
}

static bool put_net(uint8_t out[NET_BYTES], ch_net n) {
  if (n.v > (ch_i128)CH_MONEY_MAX || n.v < -(ch_i128)CH_MONEY_MAX) return false;
  uint8_t word[WORD_BYTES];
  ch_net_word(word, n);
  memcpy(out, word + WORD_BYTES - NET_BYTES, NET_BYTES);
  return true;
}

static bool get_net(ch_net *out, const uint8_t in[NET_BYTES]) {
  uint8_t word[WORD_BYTES];
  memset(word, in[0] & 0x80 ? 0xff : 0, sizeof word);
  memcpy(word + WORD_BYTES - NET_BYTES, in, NET_BYTES);
  return ch_net_from_word(out, word) == CH_OK;
}

#define PUT_AMOUNT(to, from) put_amount(&(to).size, (to).bytes, from)
#define GET_AMOUNT(to, from) (ch_amount_from_bytes(&(to), (from).bytes, (from).size) == CH_OK)

/* --- Operations: between the stream and the message's array, without a copy of all of them in between ---- */

#define LEN_TAG(field) ((uint8_t)((field) << 3 | PB_WT_STRING))
#define NUMBER_TAG(field) ((uint8_t)((field) << 3 | PB_WT_VARINT))

/* Where decoded operations go: at most `cap`, allocated once when the first one arrives. */
typedef struct op_sink {
  ch_op *v;
  size_t n, cap;
  bool no_memory;
} op_sink;

static uint8_t *put_op_amount(uint8_t *p, uint8_t field, ch_amount a) {
  uint8_t bytes[16];
  size_t n = ch_amount_bytes(bytes, a);
  *p++ = LEN_TAG(field);
  *p++ = (uint8_t)n;
  return (uint8_t *)memcpy(p, bytes, n) + n;
}

static uint8_t *put_op_number(uint8_t *p, uint8_t field, uint64_t v) {
  *p++ = NUMBER_TAG(field);
  for (; v > 0x7f; v >>= 7)
    *p++ = (uint8_t)(v | 0x80);
  *p++ = (uint8_t)v;
  return p;
}

static uint8_t *put_op_bytes(uint8_t *p, uint8_t field, const void *bytes, size_t n) {
  *p++ = LEN_TAG(field);
  *p++ = (uint8_t)n;
  return (uint8_t *)memcpy(p, bytes, n) + n;
}

static uint8_t *put_target(uint8_t *p, const ch_target *to) {
  *p++ = LEN_TAG(ch_wire_Reserve_to_tag);
  uint8_t *inner = p + 1;
  uint8_t *end =
      put_op_bytes(inner, ch_wire_Reserve_Target_params_hash_tag, to->params_hash.b, sizeof to->params_hash.b);
  end = put_op_number(end, ch_wire_Reserve_Target_epoch_tag, to->epoch);
  end = put_op_number(end, ch_wire_Reserve_Target_side_tag, to->side);
  *p = (uint8_t)(end - inner);
  return end;
}

static uint8_t *put_lock_add(uint8_t *p, const ch_op *op) {
  p = put_op_bytes(p, ch_wire_LockAdd_id_tag, op->id, op->id_len);
  p = put_op_amount(p, ch_wire_LockAdd_amount_tag, op->amount);
  p = put_op_number(p, ch_wire_LockAdd_expiry_tag, op->valid_until);
  p = put_op_bytes(p, ch_wire_LockAdd_condition_tag, op->u.add.condition.b, sizeof op->u.add.condition.b);
  p = put_op_number(p, ch_wire_LockAdd_gas_tag, op->u.add.gas);
  return put_op_bytes(p, ch_wire_LockAdd_payload_tag, op->u.add.payload, op->u.add.payload_len);
}

static uint8_t *put_op(uint8_t *p, const ch_op *op) {
  switch ((ch_op_kind)op->kind) {
  case CH_OP_NOOP:
  case CH_OP_SHUTDOWN: return p;
  case CH_OP_PAY:
    p = put_op_bytes(p, ch_wire_Pay_id_tag, op->id, op->id_len);
    return put_op_amount(p, ch_wire_Pay_amount_tag, op->amount);
  case CH_OP_RESERVE:
    p = put_op_amount(p, ch_wire_Reserve_amount_tag, op->amount);
    p = put_op_number(p, ch_wire_Reserve_seq_tag, op->seq);
    p = put_op_number(p, ch_wire_Reserve_valid_until_tag, op->valid_until);
    return op->u.to.set ? put_target(p, &op->u.to) : p;
  case CH_OP_LOCK_ADD: return put_lock_add(p, op);
  case CH_OP_FULFIL:
    p = put_op_bytes(p, ch_wire_Fulfil_lock_tag, op->u.resolve.lock.b, sizeof op->u.resolve.lock.b);
    return put_op_bytes(p, ch_wire_Fulfil_preimage_tag, op->u.resolve.preimage.b,
                        op->u.resolve.has_preimage ? sizeof op->u.resolve.preimage.b : 0);
  case CH_OP_CANCEL:
  case CH_OP_EXPIRE: return put_op_bytes(p, ch_wire_Cancel_lock_tag, op->u.resolve.lock.b, sizeof(ch_hash));
  }
  return p; /* never: content_ok has seen the kind */
}

_Static_assert(ch_wire_Cancel_lock_tag == ch_wire_Expire_lock_tag, "one encoding for both");

/* A length below 2^14 as a varint of least bytes. */
static uint8_t *put_length(uint8_t *p, size_t n) {
  if (n > 0x7f) *p++ = (uint8_t)(n | 0x80);
  *p++ = (uint8_t)(n > 0x7f ? n >> 7 : n);
  return p;
}

/* Writes a Proposal's field `op`. By hand, as reading: nanopb would go through every operation several times to learn
 * the sizes of what is nested. The operation is written where it comes to lie if all lengths are below 128, which they
 * are but for locks with long ids and payloads. */
static size_t op_bytes(uint8_t out[OP_BYTES_MAX], uint8_t field, const ch_op *op) {
  uint8_t *at = out + 4;
  size_t len = (size_t)(put_op(at, op) - at);
  size_t head = len > 0x7f ? 3 : 2; /* of Op's one field */
  if (len + head > 0x7f) memmove(out + 3 + head, at, len);
  out[0] = LEN_TAG(field);
  uint8_t *p = put_length(out + 1, head + len);
  *p++ = LEN_TAG(op->kind);
  p = put_length(p, len);
  return (size_t)(p - out) + len;
}

static bool get_reserve(ch_op *op, const uint8_t *in, size_t len) {
  ch_wire_Reserve w = ch_wire_Reserve_init_zero;
  pb_istream_t stream = pb_istream_from_buffer(in, len);
  if (!pb_decode(&stream, ch_wire_Reserve_fields, &w)) return false;
  op->seq = w.seq;
  op->valid_until = w.valid_until;
  op->u.to.set = w.has_to;
  op->u.to.epoch = w.to.epoch;
  op->u.to.side = w.to.side;
  COPY(op->u.to.params_hash.b, w.to.params_hash);
  return GET_AMOUNT(op->amount, w.amount);
}

static bool get_lock_add(ch_op *op, const uint8_t *in, size_t len) {
  ch_wire_LockAdd w = ch_wire_LockAdd_init_zero;
  pb_istream_t stream = pb_istream_from_buffer(in, len);
  if (!pb_decode(&stream, ch_wire_LockAdd_fields, &w)) return false;
  op->id_len = (uint8_t)w.id.size;
  memcpy(op->id, w.id.bytes, w.id.size);
  op->valid_until = w.expiry;
  COPY(op->u.add.condition.b, w.condition);
  op->u.add.gas = w.gas;
  op->u.add.payload_len = (uint8_t)w.payload.size;
  memcpy(op->u.add.payload, w.payload.bytes, w.payload.size);
  return GET_AMOUNT(op->amount, w.amount);
}

/* FULFIL, and the two that are shorter. */
static bool get_resolve(ch_op *op, const uint8_t *in, size_t len) {
  ch_wire_Fulfil w = ch_wire_Fulfil_init_zero;
  ch_wire_Cancel c = ch_wire_Cancel_init_zero;
  bool fulfil = op->kind == CH_OP_FULFIL;
  pb_istream_t stream = pb_istream_from_buffer(in, len);
  if (!(fulfil ? pb_decode(&stream, ch_wire_Fulfil_fields, &w) : pb_decode(&stream, ch_wire_Cancel_fields, &c)))
    return false;
  memcpy(op->u.resolve.lock.b, fulfil ? w.lock : c.lock, sizeof op->u.resolve.lock.b);
  if (w.preimage.size == 0) return true;
  op->u.resolve.has_preimage = true;
  COPY(op->u.resolve.preimage.b, w.preimage.bytes);
  return w.preimage.size == sizeof op->u.resolve.preimage.b;
}

/* Reads what op_bytes wrote behind its tag and length. Tags are left to the comparison in is_canonical. */
static bool op_from_bytes(ch_op *op, const uint8_t *in, size_t len) {
  if (len < 2) return false;
  *op = (ch_op){.kind = in[0] >> 3};
  size_t rest = in[1], head = 2;
  if (rest > 0x7f && len > 2) rest = (rest & 0x7f) | (size_t)in[head++] << 7;
  if (rest != len - head) return false;
  in += head;
  len -= head;
  if (op->kind == CH_OP_RESERVE) return get_reserve(op, in, len);
  if (op->kind == CH_OP_LOCK_ADD) return get_lock_add(op, in, len);
  if (op->kind == CH_OP_FULFIL || op->kind == CH_OP_CANCEL || op->kind == CH_OP_EXPIRE) return get_resolve(op, in, len);
  if (op->kind != CH_OP_PAY) return len == 0;
  if (len < 2 || in[1] > CH_PAYMENT_ID_MAX || in[1] > len - 2) return false;
  op->id_len = in[1];
  memcpy(op->id, in + 2, op->id_len);
  in += 2 + op->id_len;
  len -= 2 + op->id_len;
  return len >= 2 && in[1] == len - 2 && ch_amount_from_bytes(&op->amount, in + 2, in[1]) == CH_OK;
}

static bool decode_op(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  op_sink *sink = *arg;
  uint8_t bytes[ch_wire_Op_size];
  size_t len = stream->bytes_left;
  if (sink->n == sink->cap || len > sizeof bytes || !pb_read(stream, bytes, len)) return false;
  if (sink->v == NULL) sink->v = malloc(sink->cap * sizeof *sink->v);
  sink->no_memory = sink->v == NULL;
  if (sink->no_memory || !op_from_bytes(&sink->v[sink->n], bytes, len)) return false;
  sink->n++;
  return true;
}

static bool encode_ops(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const ch_msg *m = *arg;
  for (size_t i = 0; i < m->u.update.n_ops; i++) {
    uint8_t bytes[OP_BYTES_MAX];
    if (!pb_write(stream, bytes, op_bytes(bytes, (uint8_t)field->tag, &m->u.update.ops[i]))) return false;
  }
  return true;
}

/* --- Message to protobuf struct -------------------------------------------------------------------- */

static bool put_open_request(ch_wire_OpenRequest *w, const ch_msg *m) {
  COPY(w->nonce, m->id.b);
  w->chain_id = m->u.open_request.chain.chain_id;
  COPY(w->adjudicator, m->u.open_request.chain.adjudicator.b);
  COPY(w->signer, m->u.open_request.signer.b);
  COPY(w->payout, m->u.open_request.payout.b);
  COPY(w->asset, m->u.open_request.asset.b);
  w->challenge_period = m->u.open_request.challenge_period;
  w->opener_funds = m->u.open_request.opener_funds;
  const ch_lock_limits *l = &m->u.open_request.locks;
  w->lock_count = l->count;
  w->lock_payload = l->payload;
  w->lock_gas = l->gas;
  w->lock_longest = l->longest;
  if (!PUT_AMOUNT(w->lock_dust, l->dust) || !PUT_AMOUNT(w->lock_in_flight, l->in_flight)) return false;
  return PUT_AMOUNT(w->bond, m->u.open_request.bond) && PUT_AMOUNT(w->deposit_0, m->u.open_request.deposit[0]) &&
         PUT_AMOUNT(w->deposit_1, m->u.open_request.deposit[1]);
}

static bool put_open_accept(ch_wire_OpenAccept *w, const ch_msg *m) {
  COPY(w->request, m->id.b);
  COPY(w->nonce, m->u.open_accept.nonce.b);
  COPY(w->signer, m->u.open_accept.signer.b);
  COPY(w->payout, m->u.open_accept.payout.b);
  COPY(w->statement, m->u.open_accept.statement.b);
  return true;
}

static bool put_open_confirm(ch_wire_OpenConfirm *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  COPY(w->statement, m->u.open_confirm.statement.b);
  return true;
}

static bool put_funds(ch_wire_Funds *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  w->epoch = m->epoch;
  return put_net(w->contribution_0, m->u.funds.contribution[0]) &&
         put_net(w->contribution_1, m->u.funds.contribution[1]);
}

static bool put_reestablish(ch_wire_Reestablish *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  w->epoch = m->epoch;
  w->version = m->u.reestablish.version;
  COPY(w->digest, m->u.reestablish.digest.b);
  w->highest_signed = m->u.reestablish.highest_signed;
  w->outstanding = m->u.reestablish.outstanding;
  w->frozen = m->u.reestablish.frozen;
  COPY(w->instance, m->u.reestablish.instance.b);
  w->has_proof = m->u.reestablish.proof_version > 0;
  w->proof.version = m->u.reestablish.proof_version;
  COPY(w->proof.outcome_hash, m->u.reestablish.proof_outcome.b);
  COPY(w->proof.signature, m->u.reestablish.proof_sig.b);
  return true;
}

static bool put_update(ch_wire_Update *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  w->epoch = m->epoch;
  w->has_accept = m->u.update.has_accept;
  w->has_proposal = m->u.update.has_proposal;
  w->has_refusal = m->u.update.has_refusal;
  if (w->has_accept) {
    w->accept.version = m->u.update.accept_version;
    COPY(w->accept.signature, m->u.update.accept_sig.b);
  }
  if (w->has_proposal) {
    w->proposal.base = m->u.update.base;
    w->proposal.version = m->u.update.version;
    COPY(w->proposal.signature, m->u.update.sig.b);
    w->proposal.op = (pb_callback_t){.funcs.encode = encode_ops, .arg = (void *)(uintptr_t)m};
  }
  if (w->has_refusal) {
    w->refusal.base = m->u.update.base;
    w->refusal.version = m->u.update.version;
    COPY(w->refusal.signature, m->u.update.sig.b);
    w->refusal.op = m->u.update.refused_op;
    w->refusal.reason = m->u.update.reason;
  }
  return true;
}

static bool put_full_state(ch_wire_FullState *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  w->epoch = m->epoch;
  w->version = m->u.full_state.version;
  COPY(w->locks_hash, m->u.full_state.locks_hash.b);
  COPY(w->signature_0, m->u.full_state.sig[0].b);
  COPY(w->signature_1, m->u.full_state.sig[1].b);
  return put_net(w->net, m->u.full_state.net);
}

static bool put_close(ch_wire_Close *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  w->epoch = m->epoch;
  w->valid_until = m->u.close.valid_until;
  COPY(w->signature, m->u.close.sig.b);
  return put_net(w->net, m->u.close.net);
}

static bool put_withdraw(ch_wire_Withdraw *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  w->epoch = m->epoch;
  w->seq = m->u.withdraw.seq;
  w->side = m->u.withdraw.side;
  w->valid_until = m->u.withdraw.valid_until;
  COPY(w->signature, m->u.withdraw.sig.b);
  return PUT_AMOUNT(w->amount, m->u.withdraw.amount);
}

static bool put_resume(ch_wire_Resume *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  w->epoch = m->epoch;
  w->base = m->u.resume.base;
  w->version = m->u.resume.version;
  COPY(w->signature, m->u.resume.sig.b);
  return true;
}

static bool put_error(ch_wire_Error *w, const ch_msg *m) {
  COPY(w->channel, m->id.b);
  w->epoch = m->epoch;
  w->code = m->u.error.code;
  COPY(w->text, m->u.error.text);
  return true;
}

static bool put(body *w, const ch_msg *m) {
  switch (m->type) {
  case CH_MSG_ERROR: return put_error(&w->error, m);
  case CH_MSG_OPEN_REQUEST: return put_open_request(&w->open_request, m);
  case CH_MSG_OPEN_ACCEPT: return put_open_accept(&w->open_accept, m);
  case CH_MSG_OPEN_CONFIRM: return put_open_confirm(&w->open_confirm, m);
  case CH_MSG_FUNDS: return put_funds(&w->funds, m);
  case CH_MSG_REESTABLISH: return put_reestablish(&w->reestablish, m);
  case CH_MSG_UPDATE: return put_update(&w->update, m);
  case CH_MSG_FULL_STATE: return put_full_state(&w->full_state, m);
  case CH_MSG_CLOSE: return put_close(&w->close, m);
  case CH_MSG_WITHDRAW: return put_withdraw(&w->withdraw, m);
  case CH_MSG_RESUME: return put_resume(&w->resume, m);
  }
  return false; /* never: content_ok has seen the type */
}

/* --- Protobuf struct to message -------------------------------------------------------------------- */

static bool get_open_request(ch_msg *m, const ch_wire_OpenRequest *w) {
  COPY(m->id.b, w->nonce);
  m->u.open_request.chain.chain_id = w->chain_id;
  COPY(m->u.open_request.chain.adjudicator.b, w->adjudicator);
  COPY(m->u.open_request.signer.b, w->signer);
  COPY(m->u.open_request.payout.b, w->payout);
  COPY(m->u.open_request.asset.b, w->asset);
  m->u.open_request.challenge_period = w->challenge_period;
  m->u.open_request.opener_funds = w->opener_funds;
  ch_lock_limits *l = &m->u.open_request.locks;
  l->count = w->lock_count;
  l->payload = w->lock_payload;
  l->gas = w->lock_gas;
  l->longest = w->lock_longest;
  if (!GET_AMOUNT(l->dust, w->lock_dust) || !GET_AMOUNT(l->in_flight, w->lock_in_flight)) return false;
  return GET_AMOUNT(m->u.open_request.bond, w->bond) && GET_AMOUNT(m->u.open_request.deposit[0], w->deposit_0) &&
         GET_AMOUNT(m->u.open_request.deposit[1], w->deposit_1);
}

static bool get_open_accept(ch_msg *m, const ch_wire_OpenAccept *w) {
  COPY(m->id.b, w->request);
  COPY(m->u.open_accept.nonce.b, w->nonce);
  COPY(m->u.open_accept.signer.b, w->signer);
  COPY(m->u.open_accept.payout.b, w->payout);
  COPY(m->u.open_accept.statement.b, w->statement);
  return true;
}

static bool get_open_confirm(ch_msg *m, const ch_wire_OpenConfirm *w) {
  COPY(m->id.b, w->channel);
  COPY(m->u.open_confirm.statement.b, w->statement);
  return true;
}

static bool get_funds(ch_msg *m, const ch_wire_Funds *w) {
  COPY(m->id.b, w->channel);
  m->epoch = w->epoch;
  return get_net(&m->u.funds.contribution[0], w->contribution_0) &&
         get_net(&m->u.funds.contribution[1], w->contribution_1);
}

static bool get_reestablish(ch_msg *m, const ch_wire_Reestablish *w) {
  COPY(m->id.b, w->channel);
  m->epoch = w->epoch;
  m->u.reestablish.version = w->version;
  COPY(m->u.reestablish.digest.b, w->digest);
  m->u.reestablish.highest_signed = w->highest_signed;
  m->u.reestablish.outstanding = w->outstanding;
  m->u.reestablish.frozen = w->frozen;
  COPY(m->u.reestablish.instance.b, w->instance);
  if (!w->has_proof) return true; /* a proof of version 0 would be no canonical form of "none" */
  m->u.reestablish.proof_version = w->proof.version;
  COPY(m->u.reestablish.proof_outcome.b, w->proof.outcome_hash);
  COPY(m->u.reestablish.proof_sig.b, w->proof.signature);
  return true;
}

/* The operations are in the message already. */
static bool get_update(ch_msg *m, const ch_wire_Update *w) {
  COPY(m->id.b, w->channel);
  m->epoch = w->epoch;
  m->u.update.has_accept = w->has_accept;
  m->u.update.has_proposal = w->has_proposal;
  m->u.update.has_refusal = w->has_refusal;
  if (w->has_accept) {
    m->u.update.accept_version = w->accept.version;
    COPY(m->u.update.accept_sig.b, w->accept.signature);
  }
  if (w->has_proposal) {
    m->u.update.base = w->proposal.base;
    m->u.update.version = w->proposal.version;
    COPY(m->u.update.sig.b, w->proposal.signature);
  }
  if (w->has_refusal) {
    m->u.update.base = w->refusal.base;
    m->u.update.version = w->refusal.version;
    COPY(m->u.update.sig.b, w->refusal.signature);
    m->u.update.refused_op = w->refusal.op;
    m->u.update.reason = w->refusal.reason;
  }
  return true;
}

static bool get_full_state(ch_msg *m, const ch_wire_FullState *w) {
  COPY(m->id.b, w->channel);
  m->epoch = w->epoch;
  m->u.full_state.version = w->version;
  COPY(m->u.full_state.locks_hash.b, w->locks_hash);
  COPY(m->u.full_state.sig[0].b, w->signature_0);
  COPY(m->u.full_state.sig[1].b, w->signature_1);
  return get_net(&m->u.full_state.net, w->net);
}

static bool get_close(ch_msg *m, const ch_wire_Close *w) {
  COPY(m->id.b, w->channel);
  m->epoch = w->epoch;
  m->u.close.valid_until = w->valid_until;
  COPY(m->u.close.sig.b, w->signature);
  return get_net(&m->u.close.net, w->net);
}

static bool get_withdraw(ch_msg *m, const ch_wire_Withdraw *w) {
  COPY(m->id.b, w->channel);
  m->epoch = w->epoch;
  m->u.withdraw.seq = w->seq;
  m->u.withdraw.side = w->side;
  m->u.withdraw.valid_until = w->valid_until;
  COPY(m->u.withdraw.sig.b, w->signature);
  return GET_AMOUNT(m->u.withdraw.amount, w->amount);
}

static bool get_resume(ch_msg *m, const ch_wire_Resume *w) {
  COPY(m->id.b, w->channel);
  m->epoch = w->epoch;
  m->u.resume.base = w->base;
  m->u.resume.version = w->version;
  COPY(m->u.resume.sig.b, w->signature);
  return true;
}

static bool get_error(ch_msg *m, const ch_wire_Error *w) {
  COPY(m->id.b, w->channel);
  m->epoch = w->epoch;
  m->u.error.code = w->code;
  COPY(m->u.error.text, w->text);
  return true;
}

static bool get(ch_msg *m, const body *w) {
  switch (m->type) {
  case CH_MSG_ERROR: return get_error(m, &w->error);
  case CH_MSG_OPEN_REQUEST: return get_open_request(m, &w->open_request);
  case CH_MSG_OPEN_ACCEPT: return get_open_accept(m, &w->open_accept);
  case CH_MSG_OPEN_CONFIRM: return get_open_confirm(m, &w->open_confirm);
  case CH_MSG_FUNDS: return get_funds(m, &w->funds);
  case CH_MSG_REESTABLISH: return get_reestablish(m, &w->reestablish);
  case CH_MSG_UPDATE: return get_update(m, &w->update);
  case CH_MSG_FULL_STATE: return get_full_state(m, &w->full_state);
  case CH_MSG_CLOSE: return get_close(m, &w->close);
  case CH_MSG_WITHDRAW: return get_withdraw(m, &w->withdraw);
  case CH_MSG_RESUME: return get_resume(m, &w->resume);
  }
  return false; /* never: the type has fields */
}

/* --- Encoding ------------------------------------------------------------------------------------- */

static bool write_body(pb_ostream_t *stream, const ch_msg *msg) {
  body w;
  memset(&w, 0, sizeof w);
  return put(&w, msg) && pb_encode(stream, fields_of(msg->type), &w);
}

ch_err ch_msg_encode(const ch_msg *msg, uint8_t **out, size_t *out_len) {
  if (!content_ok(msg)) return CH_ERR_ARGUMENT;
  size_t n_ops = msg->type == CH_MSG_UPDATE ? msg->u.update.n_ops : 0;
  size_t room = MAX_FIXED_BYTES + n_ops * OP_BYTES_MAX;
  uint8_t *bytes = malloc(TYPE_BYTES + room);
  if (bytes == NULL) return CH_ERR_NO_MEMORY;
  pb_ostream_t stream = pb_ostream_from_buffer(bytes + TYPE_BYTES, room);
  if (!write_body(&stream, msg)) {
    free(bytes);
    return CH_ERR_ARGUMENT;
  }
  bytes[0] = (uint8_t)(msg->type >> 8);
  bytes[1] = (uint8_t)msg->type;
  *out_len = TYPE_BYTES + stream.bytes_written;
  uint8_t *exact = realloc(bytes, *out_len); /* gives the unused room back */
  *out = exact != NULL ? exact : bytes;
  return CH_OK;
}

/* --- Decoding ------------------------------------------------------------------------------------- */

/* A stream that compares with the bytes at *state instead of writing. */
static bool compare(pb_ostream_t *stream, const pb_byte_t *bytes, size_t n) {
  const uint8_t **expected = stream->state;
  if (memcmp(*expected, bytes, n) != 0) return false;
  *expected += n;
  return true;
}

/* True if `in` is the one valid encoding of `msg`: protobuf by itself lets fields be unknown, repeated, reordered or
 * padded, so that many byte strings would mean one message, or something else to another reader. */
static bool is_canonical(const ch_msg *msg, const uint8_t *in, size_t len) {
  pb_ostream_t stream = {.callback = compare, .state = &in, .max_size = len};
  return write_body(&stream, msg) && stream.bytes_written == len;
}

static void sanitise(char *text) {
  for (; *text != '\0'; text++)
    if (*text < 0x20 || *text > 0x7e) *text = '?';
}

static ch_err read_body(ch_msg *msg, const uint8_t *in, size_t len) {
  body w;
  memset(&w, 0, sizeof w);
  op_sink sink = {.cap = len / MIN_OP_BYTES < CH_MAX_OPS ? len / MIN_OP_BYTES : CH_MAX_OPS};
  if (msg->type == CH_MSG_UPDATE) w.update.proposal.op = (pb_callback_t){.funcs.decode = decode_op, .arg = &sink};
  pb_istream_t stream = pb_istream_from_buffer(in, len);
  bool read = pb_decode(&stream, fields_of(msg->type), &w);
  if (msg->type == CH_MSG_UPDATE) {
    msg->u.update.ops = sink.v;
    msg->u.update.n_ops = (uint32_t)sink.n;
  }
  if (sink.no_memory) return CH_ERR_NO_MEMORY;
  if (!read || !get(msg, &w) || !content_ok(msg) || !is_canonical(msg, in, len)) return CH_ERR_FORMAT;
  if (msg->type == CH_MSG_ERROR) sanitise(msg->u.error.text);
  return CH_OK;
}

ch_err ch_msg_decode(ch_msg *out, bool *known, const uint8_t *in, size_t len) {
  if (len < TYPE_BYTES || len > CH_MAX_MESSAGE) return CH_ERR_FORMAT;
  ch_msg msg = {.type = (ch_msg_type)(in[0] << 8 | in[1])};
  if (fields_of(msg.type) == NULL) {
    if ((msg.type & 1) == 0) return CH_ERR_FORMAT;
    *known = false;
    return CH_OK;
  }
  ch_err err = read_body(&msg, in + TYPE_BYTES, len - TYPE_BYTES);
  if (err != CH_OK) {
    ch_msg_clear(&msg);
    return err;
  }
  *out = msg;
  *known = true;
  return CH_OK;
}

void ch_msg_clear(ch_msg *msg) {
  if (msg->type == CH_MSG_UPDATE) free(msg->u.update.ops);
  *msg = (ch_msg){0};
}

ch_op ch_op_hash_lock(const char *id, ch_amount amount, const ch_hash *hash, uint64_t expiry) {
  ch_op op = ch_op_pay(id, amount);
  op.kind = CH_OP_LOCK_ADD;
  op.valid_until = expiry;
  op.u.add.payload_len = sizeof hash->b;
  memcpy(op.u.add.payload, hash->b, sizeof hash->b);
  return op;
}

ch_lock ch_op_lock(const ch_op *op, uint8_t payer) {
  return (ch_lock){.amount = op->amount,
                   .payer = payer,
                   .expiry = op->valid_until,
                   .condition = op->u.add.condition,
                   .gas = op->u.add.gas,
                   .payload_len = op->u.add.payload_len,
                   .payload = op->u.add.payload};
}

void ch_op_lock_id(ch_hash *out, const ch_op *op, uint8_t payer) {
  uint8_t bytes[CH_LOCK_HEAD + CH_OP_PAYLOAD_MAX];
  size_t len = 0;
  const ch_lock lock = ch_op_lock(op, payer);
  if (ch_lock_encode(bytes, sizeof bytes, &len, &lock)) len = 0; /* no lock: no name that another has */
  ch_keccak256(out, bytes, len);
}

ch_op ch_op_pay(const char *id, ch_amount amount) {
  ch_op op = {.kind = CH_OP_PAY, .amount = amount};
  size_t len = strlen(id);
  if (len > CH_PAYMENT_ID_MAX) return op; /* without an id it is no valid operation */
  memcpy(op.id, id, len);
  op.id_len = (uint8_t)len;
  return op;
}
