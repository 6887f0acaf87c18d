#include "tx.h"

#include "devchain.pb.h"
#include "pbvalue.h"

#define TIME_LIMIT ((uint64_t)1 << 40)

_Static_assert(cd_pb_Signed_size <= CD_DEV_TX_MAX, "the largest transaction fits");
_Static_assert(sizeof((cd_pb_Settle){.epoch = 0}.locks.bytes) == CH_LOCKS_BYTES_MAX &&
                   CH_LOCKS_BYTES_MAX <= CD_DEV_DATA_MAX,
               "locks fit");
_Static_assert(sizeof((cd_pb_Batch){.calls = {.size = 0}}.calls.bytes) == CD_DEV_DATA_MAX, "so does a batch");
_Static_assert(cd_pb_Content_size <= sizeof((cd_pb_Signed){.content = {.size = 0}}.content.bytes),
               "so does its content");

/* --- The Adjudicator's calls --------------------------------------------------------------------------------- */

static cd_pb_Params params_to_pb(const ch_params *p, const ch_hash *tag) {
  cd_pb_Params out = {.challenge_period = p->challenge_period};
  CD_COPY(out.signer_0, p->signer[0].b);
  CD_COPY(out.signer_1, p->signer[1].b);
  CD_COPY(out.payout_0, p->payout[0].b);
  CD_COPY(out.payout_1, p->payout[1].b);
  CD_COPY(out.asset, p->asset.b);
  CD_PUT_AMOUNT(out.bond, p->bond);
  CD_COPY(out.tag, tag->b);
  return out;
}

static bool params_from_pb(ch_params *out, const cd_pb_Params *p) {
  CD_COPY(out->signer[0].b, p->signer_0);
  CD_COPY(out->signer[1].b, p->signer_1);
  CD_COPY(out->payout[0].b, p->payout_0);
  CD_COPY(out->payout[1].b, p->payout_1);
  CD_COPY(out->asset.b, p->asset);
  CD_COPY(out->tag.b, p->tag);
  out->challenge_period = p->challenge_period;
  return CD_GET_AMOUNT(&out->bond, p->bond) && out->bond.v >> CH_BOND_BITS == 0;
}

static void challenge_to_pb(cd_pb_Challenge *to, const ch_tx *tx) {
  const ch_challenge *c = &tx->u.challenge.challenge;
  to->params = params_to_pb(&tx->params, &tx->u.challenge.salt);
  to->epoch = c->epoch;
  to->side = c->side;
  to->version = c->version;
  to->valid_until = c->valid_until;
  CD_COPY(to->outcome_hash, c->outcome_hash.b);
  CD_COPY(to->signature_0, tx->u.challenge.sig[0].b);
  CD_COPY(to->signature_1, tx->u.challenge.sig[1].b);
  CD_COPY(to->challenge_signature, tx->u.challenge.challenge_sig.b);
}

static bool challenge_from_pb(ch_tx *tx, const cd_pb_Challenge *from) {
  ch_challenge *c = &tx->u.challenge.challenge;
  if (!params_from_pb(&tx->params, &from->params)) {
    return false;
  }
  tx->u.challenge.salt = tx->params.tag;
  ch_keccak256(&tx->params.tag, tx->u.challenge.salt.b, sizeof tx->u.challenge.salt.b);
  c->id = tx->id;
  c->epoch = from->epoch;
  c->side = from->side;
  c->version = from->version;
  c->valid_until = from->valid_until;
  CD_COPY(c->outcome_hash.b, from->outcome_hash);
  CD_COPY(tx->u.challenge.sig[0].b, from->signature_0);
  CD_COPY(tx->u.challenge.sig[1].b, from->signature_1);
  CD_COPY(tx->u.challenge.challenge_sig.b, from->challenge_signature);
  return c->valid_until < TIME_LIMIT;
}

static void deposit_to_pb(cd_pb_Deposit *to, const ch_tx *tx) {
  CD_COPY(to->params_hash, tx->u.deposit.params_hash.b);
  CD_COPY(to->asset, tx->u.deposit.asset.b);
  to->side = tx->u.deposit.side;
  to->epoch = tx->u.deposit.epoch;
  CD_PUT_AMOUNT(to->amount, tx->u.deposit.amount);
}

static bool deposit_from_pb(ch_tx *tx, const cd_pb_Deposit *from) {
  CD_COPY(tx->u.deposit.params_hash.b, from->params_hash);
  CD_COPY(tx->u.deposit.asset.b, from->asset);
  tx->u.deposit.side = from->side;
  tx->u.deposit.epoch = from->epoch;
  return CD_GET_AMOUNT(&tx->u.deposit.amount, from->amount);
}

static void fund_to_pb(cd_pb_Fund *to, const ch_tx *tx) {
  CD_COPY(to->params_hash, tx->u.fund.params_hash.b);
  CD_COPY(to->asset, tx->u.fund.asset.b);
  to->epoch = tx->u.fund.epoch;
  CD_PUT_AMOUNT(to->amount_0, tx->u.fund.amount[0]);
  CD_PUT_AMOUNT(to->amount_1, tx->u.fund.amount[1]);
}

static bool fund_from_pb(ch_tx *tx, const cd_pb_Fund *from) {
  CD_COPY(tx->u.fund.params_hash.b, from->params_hash);
  CD_COPY(tx->u.fund.asset.b, from->asset);
  tx->u.fund.epoch = from->epoch;
  return CD_GET_AMOUNT(&tx->u.fund.amount[0], from->amount_0) && CD_GET_AMOUNT(&tx->u.fund.amount[1], from->amount_1);
}

static void close_to_pb(cd_pb_Close *to, const ch_tx *tx) {
  to->params = params_to_pb(&tx->params, &tx->params.tag);
  to->epoch = tx->u.close.close.epoch;
  cd_pb_put_net(to->net, tx->u.close.close.net);
  to->valid_until = tx->u.close.close.valid_until;
  CD_COPY(to->signature_0, tx->u.close.sig[0].b);
  CD_COPY(to->signature_1, tx->u.close.sig[1].b);
}

static bool close_from_pb(ch_tx *tx, const cd_pb_Close *from) {
  ch_close *c = &tx->u.close.close;
  c->id = tx->id;
  c->epoch = from->epoch;
  c->valid_until = from->valid_until;
  CD_COPY(tx->u.close.sig[0].b, from->signature_0);
  CD_COPY(tx->u.close.sig[1].b, from->signature_1);
  return params_from_pb(&tx->params, &from->params) && cd_pb_get_net(&c->net, from->net) && c->valid_until < TIME_LIMIT;
}

static void refute_to_pb(cd_pb_Refute *to, const ch_tx *tx) {
  to->params = params_to_pb(&tx->params, &tx->params.tag);
  to->epoch = tx->u.refute.epoch;
  to->version = tx->u.refute.version;
  CD_COPY(to->outcome_hash, tx->u.refute.outcome_hash.b);
  CD_COPY(to->signature_0, tx->u.refute.sig[0].b);
  CD_COPY(to->signature_1, tx->u.refute.sig[1].b);
}

static bool refute_from_pb(ch_tx *tx, const cd_pb_Refute *from) {
  tx->u.refute.epoch = from->epoch;
  tx->u.refute.version = from->version;
  CD_COPY(tx->u.refute.outcome_hash.b, from->outcome_hash);
  CD_COPY(tx->u.refute.sig[0].b, from->signature_0);
  CD_COPY(tx->u.refute.sig[1].b, from->signature_1);
  return params_from_pb(&tx->params, &from->params);
}

static bool settle_to_pb(cd_pb_Settle *to, const ch_tx *tx) {
  size_t len = tx->u.settle.locks_len;
  if (len > sizeof to->locks.bytes) {
    return false;
  }
  to->params = params_to_pb(&tx->params, &tx->params.tag);
  to->epoch = tx->u.settle.epoch;
  cd_pb_put_net(to->net, tx->u.settle.outcome.net);
  CD_COPY(to->locks_hash, tx->u.settle.outcome.locks_hash.b);
  CD_COPY(to->blind, tx->u.settle.outcome.blind.b);
  to->has_locks = len > 0;
  if (len > 0) {
    memcpy(to->locks.bytes, tx->u.settle.locks, len);
    to->locks.size = (pb_size_t)len;
  }
  return true;
}

/* `locks`, CH_LOCKS_BYTES_MAX bytes, takes the locks. */
static bool settle_from_pb(ch_tx *tx, const cd_pb_Settle *from, uint8_t *locks) {
  if (from->has_locks && from->locks.size == 0) {
    return false; /* a second way to say none */
  }
  if (from->has_locks) {
    memcpy(locks, from->locks.bytes, from->locks.size);
    tx->u.settle.locks = locks;
    tx->u.settle.locks_len = from->locks.size;
  }
  tx->u.settle.epoch = from->epoch;
  CD_COPY(tx->u.settle.outcome.locks_hash.b, from->locks_hash);
  CD_COPY(tx->u.settle.outcome.blind.b, from->blind);
  return params_from_pb(&tx->params, &from->params) && cd_pb_get_net(&tx->u.settle.outcome.net, from->net);
}

static void withdraw_to_pb(cd_pb_Withdraw *to, const ch_tx *tx) {
  const ch_withdraw *w = &tx->u.withdraw.withdraw;
  to->params = params_to_pb(&tx->params, &tx->params.tag);
  to->epoch = w->epoch;
  to->seq = w->seq;
  to->side = w->side;
  CD_PUT_AMOUNT(to->amount, w->amount);
  to->valid_until = w->valid_until;
  CD_COPY(to->signature_0, tx->u.withdraw.sig[0].b);
  CD_COPY(to->signature_1, tx->u.withdraw.sig[1].b);
}

static bool withdraw_from_pb(ch_tx *tx, const cd_pb_Withdraw *from) {
  ch_withdraw *w = &tx->u.withdraw.withdraw;
  w->id = tx->id;
  w->epoch = from->epoch;
  w->seq = from->seq;
  w->side = from->side;
  w->valid_until = from->valid_until;
  CD_COPY(tx->u.withdraw.sig[0].b, from->signature_0);
  CD_COPY(tx->u.withdraw.sig[1].b, from->signature_1);
  return params_from_pb(&tx->params, &from->params) && CD_GET_AMOUNT(&w->amount, from->amount) &&
         w->valid_until < TIME_LIMIT;
}

static void move_to_pb(cd_pb_Move *to, const ch_tx *tx) {
  const ch_move *m = &tx->u.move.move;
  to->params = params_to_pb(&tx->params, &tx->params.tag);
  to->epoch = m->epoch;
  to->seq = m->seq;
  to->side = m->side;
  CD_PUT_AMOUNT(to->amount, m->amount);
  to->valid_until = m->valid_until;
  CD_COPY(to->to_params_hash, tx->u.move.to_params_hash.b);
  to->to_epoch = m->to_epoch;
  to->to_side = m->to_side;
  CD_COPY(to->signature_0, tx->u.move.sig[0].b);
  CD_COPY(to->signature_1, tx->u.move.sig[1].b);
}

static bool move_from_pb(ch_tx *tx, const cd_pb_Move *from) {
  ch_move *m = &tx->u.move.move;
  m->id = tx->id;
  m->epoch = from->epoch;
  m->seq = from->seq;
  m->side = from->side;
  m->valid_until = from->valid_until;
  m->to_epoch = from->to_epoch;
  m->to_side = from->to_side;
  CD_COPY(tx->u.move.to_params_hash.b, from->to_params_hash);
  CD_COPY(tx->u.move.sig[0].b, from->signature_0);
  CD_COPY(tx->u.move.sig[1].b, from->signature_1);
  bool ok = params_from_pb(&tx->params, &from->params) && CD_GET_AMOUNT(&m->amount, from->amount) &&
            m->valid_until < TIME_LIMIT;
  ch_channel_id(&m->to_id, &tx->u.move.to_params_hash, &tx->params.asset);
  return ok;
}

static void refute_for_to_pb(cd_pb_RefuteFor *to, const ch_tx *tx) {
  to->refute.params = params_to_pb(&tx->params, &tx->params.tag);
  to->refute.epoch = tx->u.refute_for.epoch;
  to->refute.version = tx->u.refute_for.version;
  CD_COPY(to->refute.outcome_hash, tx->u.refute_for.outcome_hash.b);
  CD_COPY(to->refute.signature_0, tx->u.refute_for.sig[0].b);
  CD_COPY(to->refute.signature_1, tx->u.refute_for.sig[1].b);
  CD_COPY(to->beneficiary, tx->u.refute_for.beneficiary.b);
  CD_COPY(to->bounty_signature, tx->u.refute_for.bounty_sig.b);
}

static bool refute_for_from_pb(ch_tx *tx, const cd_pb_RefuteFor *from) {
  tx->u.refute_for.epoch = from->refute.epoch;
  tx->u.refute_for.version = from->refute.version;
  CD_COPY(tx->u.refute_for.outcome_hash.b, from->refute.outcome_hash);
  CD_COPY(tx->u.refute_for.sig[0].b, from->refute.signature_0);
  CD_COPY(tx->u.refute_for.sig[1].b, from->refute.signature_1);
  CD_COPY(tx->u.refute_for.beneficiary.b, from->beneficiary);
  CD_COPY(tx->u.refute_for.bounty_sig.b, from->bounty_signature);
  return params_from_pb(&tx->params, &from->refute.params);
}

static void claim_to_pb(cd_pb_Claim *to, const ch_tx *tx) {
  CD_COPY(to->payee, tx->u.claim.payee.b);
  CD_COPY(to->asset, tx->u.claim.asset.b);
  CD_COPY(to->to, tx->u.claim.to.b);
}

static bool claim_from_pb(ch_tx *tx, const cd_pb_Claim *from) {
  CD_COPY(tx->u.claim.payee.b, from->payee);
  CD_COPY(tx->u.claim.asset.b, from->asset);
  CD_COPY(tx->u.claim.to.b, from->to);
  return ch_hash_is_zero(&tx->id);
}

static bool reveal_from_pb(ch_tx *tx, const cd_pb_Reveal *from) {
  CD_COPY(tx->u.reveal.preimage.b, from->preimage);
  return ch_hash_is_zero(&tx->id);
}

static bool call_to_pb(cd_pb_Call *to, const ch_tx *tx) {
  CD_COPY(to->id, tx->id.b);
  switch (tx->kind) {
  case CH_TX_DEPOSIT:
    to->which_what = cd_pb_Call_deposit_tag;
    deposit_to_pb(&to->what.deposit, tx);
    return true;
  case CH_TX_CLOSE:
    to->which_what = cd_pb_Call_close_tag;
    close_to_pb(&to->what.close, tx);
    return true;
  case CH_TX_CHALLENGE:
    to->which_what = cd_pb_Call_challenge_tag;
    challenge_to_pb(&to->what.challenge, tx);
    return true;
  case CH_TX_REFUTE:
    to->which_what = cd_pb_Call_refute_tag;
    refute_to_pb(&to->what.refute, tx);
    return true;
  case CH_TX_SETTLE: to->which_what = cd_pb_Call_settle_tag; return settle_to_pb(&to->what.settle, tx);
  case CH_TX_WITHDRAW:
    to->which_what = cd_pb_Call_withdraw_tag;
    withdraw_to_pb(&to->what.withdraw, tx);
    return true;
  case CH_TX_FUND:
    to->which_what = cd_pb_Call_fund_tag;
    fund_to_pb(&to->what.fund, tx);
    return true;
  case CH_TX_MOVE:
    to->which_what = cd_pb_Call_move_tag;
    move_to_pb(&to->what.move, tx);
    return true;
  case CH_TX_REFUTE_FOR:
    to->which_what = cd_pb_Call_refute_for_tag;
    refute_for_to_pb(&to->what.refute_for, tx);
    return true;
  case CH_TX_REVEAL:
    to->which_what = cd_pb_Call_reveal_tag;
    CD_COPY(to->what.reveal.preimage, tx->u.reveal.preimage.b);
    return true;
  case CH_TX_CLAIM:
    to->which_what = cd_pb_Call_claim_tag;
    claim_to_pb(&to->what.claim, tx);
    return true;
  case CH_TX_CLOSE_BATCH:
  case CH_TX_SETTLE_BATCH:
  case CH_TX_REVEAL_BATCH: return false; /* a body of its own */
  }
  return false;
}

/* `locks`, CH_LOCKS_BYTES_MAX bytes, takes a settlement's locks. */
static bool call_from_pb(ch_tx *tx, const cd_pb_Call *from, uint8_t *locks) {
  CD_COPY(tx->id.b, from->id);
  switch (from->which_what) {
  case cd_pb_Call_deposit_tag: tx->kind = CH_TX_DEPOSIT; return deposit_from_pb(tx, &from->what.deposit);
  case cd_pb_Call_close_tag: tx->kind = CH_TX_CLOSE; return close_from_pb(tx, &from->what.close);
  case cd_pb_Call_challenge_tag: tx->kind = CH_TX_CHALLENGE; return challenge_from_pb(tx, &from->what.challenge);
  case cd_pb_Call_refute_tag: tx->kind = CH_TX_REFUTE; return refute_from_pb(tx, &from->what.refute);
  case cd_pb_Call_settle_tag: tx->kind = CH_TX_SETTLE; return settle_from_pb(tx, &from->what.settle, locks);
  case cd_pb_Call_withdraw_tag: tx->kind = CH_TX_WITHDRAW; return withdraw_from_pb(tx, &from->what.withdraw);
  case cd_pb_Call_fund_tag: tx->kind = CH_TX_FUND; return fund_from_pb(tx, &from->what.fund);
  case cd_pb_Call_move_tag: tx->kind = CH_TX_MOVE; return move_from_pb(tx, &from->what.move);
  case cd_pb_Call_refute_for_tag: tx->kind = CH_TX_REFUTE_FOR; return refute_for_from_pb(tx, &from->what.refute_for);
  case cd_pb_Call_reveal_tag: tx->kind = CH_TX_REVEAL; return reveal_from_pb(tx, &from->what.reveal);
  case cd_pb_Call_claim_tag: tx->kind = CH_TX_CLAIM; return claim_from_pb(tx, &from->what.claim);
  default: return false; /* a number from outside, no enum: nothing was there */
  }
}

/* True if encoding `msg` again gives exactly `in`: then it was the one valid encoding. */
static bool is_canonical(const pb_msgdesc_t *type, const void *msg, const uint8_t *in, size_t len) {
  uint8_t again[CD_DEV_TX_MAX];
  return cd_pb_encode(again, sizeof again, type, msg) == len && memcmp(again, in, len) == 0;
}

/* --- Batches --------------------------------------------------------------------------------------------------- */

#define LENGTH_BYTES 2

static bool may_be_batched(ch_tx_kind kind) {
  return kind == CH_TX_CLOSE || kind == CH_TX_SETTLE || kind == CH_TX_REVEAL;
}

/* Where the item at data[*at] is; false unless one is there. */
static bool next_item(const cd_dev_body *batch, size_t *at, const uint8_t **item, size_t *len) {
  size_t left = batch->u.batch_len - *at;
  if (left < LENGTH_BYTES) {
    return false;
  }
  const uint8_t *p = batch->data + *at;
  *len = (size_t)p[0] << 8 | p[1];
  *item = p + LENGTH_BYTES;
  *at += LENGTH_BYTES + *len;
  return *len <= left - LENGTH_BYTES;
}

bool cd_dev_batch_next(const cd_dev_body *batch, size_t *at, cd_dev_call *out) {
  const uint8_t *item;
  size_t len;
  cd_pb_Call pb = cd_pb_Call_init_zero;
  memset(&out->tx, 0, sizeof out->tx);
  return next_item(batch, at, &item, &len) && cd_pb_decode(&pb, cd_pb_Call_fields, item, len) &&
         is_canonical(cd_pb_Call_fields, &pb, item, len) && call_from_pb(&out->tx, &pb, out->locks) &&
         may_be_batched(out->tx.kind);
}

/* At least one call, all well-formed and of one kind. */
static bool batch_from_pb(cd_dev_body *body, const cd_pb_Batch *from) {
  cd_dev_call call;
  ch_tx_kind kind = 0;
  memcpy(body->data, from->calls.bytes, from->calls.size);
  body->u.batch_len = from->calls.size;
  for (size_t at = 0; at < body->u.batch_len;) {
    if (!cd_dev_batch_next(body, &at, &call) || (kind != 0 && call.tx.kind != kind)) {
      return false;
    }
    kind = call.tx.kind;
  }
  return kind != 0;
}

/* Appends an encoded body's call. */
static bool join(cd_dev_body *out, const cd_dev_body *body) {
  cd_pb_Call pb = cd_pb_Call_init_zero;
  if (body->kind != CD_DEV_CALL || !may_be_batched(body->u.call.kind) || !call_to_pb(&pb, &body->u.call) ||
      sizeof out->data - out->u.batch_len < LENGTH_BYTES) {
    return false;
  }
  uint8_t *p = out->data + out->u.batch_len;
  size_t n = cd_pb_encode(p + LENGTH_BYTES, sizeof out->data - out->u.batch_len - LENGTH_BYTES, cd_pb_Call_fields, &pb);
  p[0] = (uint8_t)(n >> 8);
  p[1] = (uint8_t)n;
  out->u.batch_len += LENGTH_BYTES + n;
  return n > 0;
}

ch_err cd_dev_batch_of(cd_dev_body *out, const uint8_t *const *bodies, const size_t *lens, size_t n) {
  ch_tx_kind kind = 0;
  memset(out, 0, sizeof *out);
  out->kind = CD_DEV_BATCH;
  for (size_t i = 0; i < n; i++) {
    cd_dev_body body;
    if (cd_dev_body_decode(&body, bodies[i], lens[i]) != CH_OK || !join(out, &body) ||
        (kind != 0 && body.u.call.kind != kind)) {
      return CH_ERR_ARGUMENT;
    }
    kind = body.u.call.kind;
  }
  return n > 0 ? CH_OK : CH_ERR_ARGUMENT;
}

/* --- Bodies --------------------------------------------------------------------------------------------------- */

static void transfer_to_pb(cd_pb_Transfer *to, const cd_dev_body *body) {
  CD_COPY(to->to, body->u.transfer.to.b);
  CD_COPY(to->asset, body->u.transfer.asset.b);
  CD_PUT_AMOUNT(to->amount, body->u.transfer.amount);
}

static bool body_to_pb(cd_pb_Body *to, const cd_dev_body *body) {
  switch (body->kind) {
  case CD_DEV_TRANSFER:
    to->which_what = cd_pb_Body_transfer_tag;
    transfer_to_pb(&to->what.transfer, body);
    return true;
  case CD_DEV_CALL: to->which_what = cd_pb_Body_call_tag; return call_to_pb(&to->what.call, &body->u.call);
  case CD_DEV_MINT:
    to->which_what = cd_pb_Body_mint_tag;
    transfer_to_pb(&to->what.mint, body);
    return true;
  case CD_DEV_BATCH:
    to->which_what = cd_pb_Body_batch_tag;
    to->what.batch.calls.size = (pb_size_t)body->u.batch_len;
    memcpy(to->what.batch.calls.bytes, body->data, body->u.batch_len);
    return true;
  case CD_DEV_REFUSE:
    to->which_what = cd_pb_Body_refuse_tag;
    to->what.refuse.on = body->u.refuse;
    return true;
  }
  return false;
}

static bool transfer_from_pb(cd_dev_body *body, const cd_pb_Transfer *from) {
  CD_COPY(body->u.transfer.to.b, from->to);
  CD_COPY(body->u.transfer.asset.b, from->asset);
  return CD_GET_AMOUNT(&body->u.transfer.amount, from->amount);
}

static bool body_from_pb(cd_dev_body *body, const cd_pb_Body *from) {
  switch (from->which_what) {
  case cd_pb_Body_transfer_tag: body->kind = CD_DEV_TRANSFER; return transfer_from_pb(body, &from->what.transfer);
  case cd_pb_Body_call_tag: body->kind = CD_DEV_CALL; return call_from_pb(&body->u.call, &from->what.call, body->data);
  case cd_pb_Body_mint_tag: body->kind = CD_DEV_MINT; return transfer_from_pb(body, &from->what.mint);
  case cd_pb_Body_batch_tag: body->kind = CD_DEV_BATCH; return batch_from_pb(body, &from->what.batch);
  case cd_pb_Body_refuse_tag:
    body->kind = CD_DEV_REFUSE;
    body->u.refuse = from->what.refuse.on;
    return true;
  default: return false; /* a number from outside, no enum: nothing was there */
  }
}

size_t cd_dev_body_encode(uint8_t *out, const cd_dev_body *body) {
  cd_pb_Body pb = cd_pb_Body_init_zero;
  return body_to_pb(&pb, body) ? cd_pb_encode(out, CD_DEV_TX_MAX, cd_pb_Body_fields, &pb) : 0;
}

ch_err cd_dev_body_decode(cd_dev_body *out, const uint8_t *in, size_t len) {
  cd_pb_Body pb = cd_pb_Body_init_zero;
  memset(out, 0, sizeof *out);
  bool ok = len <= CD_DEV_TX_MAX && cd_pb_decode(&pb, cd_pb_Body_fields, in, len) &&
            is_canonical(cd_pb_Body_fields, &pb, in, len) && body_from_pb(out, &pb);
  return ok ? CH_OK : CH_ERR_FORMAT;
}

/* --- Signed transactions ---------------------------------------------------------------------------------------- */

static void content_digest(ch_hash *out, const uint8_t *content, size_t len) {
  static const char label[] = "dev tx";
  ch_keccak k;
  ch_keccak_init(&k);
  ch_keccak_update(&k, label, sizeof label - 1);
  ch_keccak_update(&k, content, len);
  ch_keccak_final(&k, out);
}

ch_err cd_dev_tx_sign(uint8_t *raw, size_t *len, const cd_dev_tx *tx, const ch_secret *key) {
  cd_pb_Content content = cd_pb_Content_init_zero;
  cd_pb_Signed out = cd_pb_Signed_init_zero;
  ch_pubkey pub;
  ch_addr sender;
  if (ch_pubkey_of(&pub, key) != CH_OK || ch_address_of(&sender, &pub) != CH_OK) {
    return CH_ERR_KEY;
  }
  content.chain_id = tx->chain_id;
  content.nonce = tx->nonce;
  CD_COPY(content.sender, sender.b);
  CD_PUT_AMOUNT(content.value, tx->value);
  if (!body_to_pb(&content.body, &tx->body)) {
    return CH_ERR_ARGUMENT;
  }
  size_t n = cd_pb_encode(out.content.bytes, sizeof out.content.bytes, cd_pb_Content_fields, &content);
  if (n == 0) {
    return CH_ERR_ARGUMENT;
  }
  out.content.size = (pb_size_t)n;

  ch_hash digest;
  ch_sig sig;
  content_digest(&digest, out.content.bytes, n);
  ch_err err = ch_sign(&sig, &digest, key);
  if (err != CH_OK) {
    return err;
  }
  CD_COPY(out.signature, sig.b);
  *len = cd_pb_encode(raw, CD_DEV_TX_MAX, cd_pb_Signed_fields, &out);
  return *len > 0 ? CH_OK : CH_ERR_BUG;
}

ch_err cd_dev_tx_decode(cd_dev_tx *out, const uint8_t *raw, size_t len) {
  cd_pb_Signed from = cd_pb_Signed_init_zero;
  cd_pb_Content content = cd_pb_Content_init_zero;
  memset(out, 0, sizeof *out);
  if (len > CD_DEV_TX_MAX || !cd_pb_decode(&from, cd_pb_Signed_fields, raw, len) ||
      !is_canonical(cd_pb_Signed_fields, &from, raw, len) ||
      !cd_pb_decode(&content, cd_pb_Content_fields, from.content.bytes, from.content.size) ||
      !is_canonical(cd_pb_Content_fields, &content, from.content.bytes, from.content.size)) {
    return CH_ERR_FORMAT;
  }
  out->chain_id = content.chain_id;
  out->nonce = content.nonce;
  CD_COPY(out->sender.b, content.sender);
  if (!CD_GET_AMOUNT(&out->value, content.value) || !body_from_pb(&out->body, &content.body)) {
    return CH_ERR_FORMAT;
  }
  if (out->body.kind != CD_DEV_CALL && out->body.kind != CD_DEV_BATCH && out->value.v != 0) {
    return CH_ERR_FORMAT;
  }
  ch_hash digest;
  ch_sig sig;
  CD_COPY(sig.b, from.signature);
  content_digest(&digest, from.content.bytes, from.content.size);
  return ch_verify(&digest, &sig, &out->sender);
}

void cd_dev_tx_hash(ch_hash *out, const uint8_t *raw, size_t len) {
  ch_keccak256(out, raw, len);
}
