#include "record.h"

#include "db.h"
#include "devchain.pb.h"
#include "pbvalue.h"

_Static_assert(cd_pb_Slots_size <= CD_DEV_RECORD_MAX && cd_pb_Event_size <= CD_DEV_RECORD_MAX, "records fit");
_Static_assert(cd_pb_Slots_size <= CD_DEV_VALUE_MAX, "slots are a value of the state");

size_t cd_dev_slots_encode(uint8_t *out, const ch_adj_slots *s) {
  cd_pb_Slots pb = {.withdraw_seq = s->withdraw_seq,
                    .epoch = s->epoch,
                    .disputed = s->disputed,
                    .version = s->version,
                    .challenged_version = s->challenged_version,
                    .deadline = s->deadline,
                    .flags = s->flags};
  cd_pb_put_net(pb.contribution_0, s->contribution[0]);
  cd_pb_put_net(pb.contribution_1, s->contribution[1]);
  CD_COPY(pb.outcome_hash, s->outcome_hash.b);
  pb.has_beneficiary = (s->flags & CH_ADJ_REWARDED) != 0;
  CD_COPY(pb.beneficiary, s->beneficiary.b);
  return cd_pb_encode(out, CD_DEV_RECORD_MAX, cd_pb_Slots_fields, &pb);
}

bool cd_dev_slots_decode(ch_adj_slots *out, const uint8_t *in, size_t len) {
  cd_pb_Slots pb = cd_pb_Slots_init_zero;
  memset(out, 0, sizeof *out);
  if (len == 0) {
    return true;
  }
  if (!cd_pb_decode(&pb, cd_pb_Slots_fields, in, len)) {
    return false;
  }
  out->withdraw_seq = pb.withdraw_seq;
  out->epoch = pb.epoch;
  out->disputed = pb.disputed;
  out->version = pb.version;
  out->challenged_version = pb.challenged_version;
  out->deadline = pb.deadline;
  out->flags = pb.flags;
  CD_COPY(out->outcome_hash.b, pb.outcome_hash);
  if (pb.has_beneficiary) {
    CD_COPY(out->beneficiary.b, pb.beneficiary);
  }
  return cd_pb_get_net(&out->contribution[0], pb.contribution_0) &&
         cd_pb_get_net(&out->contribution[1], pb.contribution_1);
}

size_t cd_dev_revealed_encode(uint8_t *out, const cd_dev_revealed *r) {
  cd_pb_Revealed pb = {.time = r->time};
  CD_COPY(pb.preimage, r->preimage.b);
  return cd_pb_encode(out, CD_DEV_RECORD_MAX, cd_pb_Revealed_fields, &pb);
}

bool cd_dev_revealed_decode(cd_dev_revealed *out, const uint8_t *in, size_t len) {
  cd_pb_Revealed pb = cd_pb_Revealed_init_zero;
  memset(out, 0, sizeof *out);
  if (len == 0) {
    return true;
  }
  out->time = cd_pb_decode(&pb, cd_pb_Revealed_fields, in, len) ? pb.time : 0;
  CD_COPY(out->preimage.b, pb.preimage);
  return out->time != 0;
}

/* What only some kinds have. */
static void put_extras(cd_pb_Event *pb, const ch_adj_event *e) {
  pb->has_to_id = !ch_hash_is_zero(&e->to_id);
  pb->has_to_side = e->to_side != 0;
  pb->has_asset = !ch_addr_is_zero(&e->asset);
  pb->has_payee_0 = !ch_addr_is_zero(&e->payee[0]);
  pb->has_payee_1 = !ch_addr_is_zero(&e->payee[1]);
  pb->has_reason = e->reason != 0;
  pb->to_side = e->to_side;
  pb->reason = e->reason;
  CD_COPY(pb->to_id, e->to_id.b);
  CD_COPY(pb->asset, e->asset.b);
  CD_COPY(pb->payee_0, e->payee[0].b);
  CD_COPY(pb->payee_1, e->payee[1].b);
}

/* A field that is absent has been left zero by the decoder. */
static void get_extras(ch_adj_event *e, const cd_pb_Event *pb) {
  e->to_side = pb->to_side;
  e->reason = pb->reason;
  CD_COPY(e->to_id.b, pb->to_id);
  CD_COPY(e->asset.b, pb->asset);
  CD_COPY(e->payee[0].b, pb->payee_0);
  CD_COPY(e->payee[1].b, pb->payee_1);
}

size_t cd_dev_event_encode(uint8_t *out, const ch_adj_event *e) {
  cd_pb_Event pb = {.kind = (uint32_t)e->kind,
                    .epoch = e->epoch,
                    .side = e->side,
                    .version = e->version,
                    .deadline = e->deadline,
                    .forfeited = e->forfeited};
  CD_COPY(pb.id, e->id.b);
  CD_COPY(pb.salt, e->salt.b);
  CD_PUT_AMOUNT(pb.amount, e->amount);
  CD_PUT_AMOUNT(pb.paid_0, e->paid[0]);
  CD_PUT_AMOUNT(pb.paid_1, e->paid[1]);
  cd_pb_put_net(pb.net, e->net);
  put_extras(&pb, e);
  return cd_pb_encode(out, CD_DEV_RECORD_MAX, cd_pb_Event_fields, &pb);
}

bool cd_dev_event_decode(ch_adj_event *out, const uint8_t *in, size_t len) {
  cd_pb_Event pb = cd_pb_Event_init_zero;
  memset(out, 0, sizeof *out);
  if (!cd_pb_decode(&pb, cd_pb_Event_fields, in, len) || pb.kind < CH_ADJ_DEPOSITED || pb.kind > CH_ADJ_SKIPPED) {
    return false;
  }
  out->kind = (ch_adj_event_kind)pb.kind;
  out->epoch = pb.epoch;
  out->side = pb.side;
  out->version = pb.version;
  out->deadline = pb.deadline;
  out->forfeited = pb.forfeited;
  CD_COPY(out->id.b, pb.id);
  CD_COPY(out->salt.b, pb.salt);
  get_extras(out, &pb);
  return CD_GET_AMOUNT(&out->amount, pb.amount) && CD_GET_AMOUNT(&out->paid[0], pb.paid_0) &&
         CD_GET_AMOUNT(&out->paid[1], pb.paid_1) && cd_pb_get_net(&out->net, pb.net);
}
