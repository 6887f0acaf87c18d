#include "decode.h"

#include <sodium.h>

#include "channel/crypto.h"

/* Bits [from, from + n) of a word, counted from the lowest. */
static ch_u128 bits(const uint8_t word[32], unsigned from, unsigned n) {
  ch_u128 v = 0;
  for (unsigned i = n; i-- > 0;)
    v = v << 1 | (word[31 - (from + i) / 8] >> ((from + i) % 8) & 1);
  return v;
}

static ch_net net_at(const uint8_t word[32], unsigned from) {
  ch_u128 v = bits(word, from, 112);
  if (v >> 111 != 0) v |= ~(ch_u128)0 << 112;
  return (ch_net){(ch_i128)v};
}

void cd_evm_slot(ch_hash *out, const ch_hash *id, unsigned k) {
  *out = *id;
  for (size_t i = 32; i-- > 0 && k > 0;) {
    unsigned sum = out->b[i] + k;
    out->b[i] = (uint8_t)sum;
    k = sum >> 8;
  }
}

/* `revealedAt` is the contract's second state variable, a mapping. */
void cd_evm_reveal_slot(ch_hash *out, const ch_hash *hash) {
  uint8_t place[64] = {[63] = 1};
  memcpy(place, hash->b, sizeof hash->b);
  ch_keccak256(out, place, sizeof place);
}

/* In slot 1, beside the flags: slot 3 names a beneficiary. */
static bool has_beneficiary(const ch_hash *slot1) {
  return bits(slot1->b, 172, 1) != 0;
}

unsigned cd_evm_slots_used(const ch_hash slots[CD_EVM_SLOTS]) {
  if (bits(slots[0].b, 255, 1) == 0) return 1;
  return has_beneficiary(&slots[1]) ? 4 : 3;
}

ch_err cd_evm_slots_decode(ch_adj_slots *out, const ch_hash slots[CD_EVM_SLOTS]) {
  const uint8_t *s0 = slots[0].b, *s1 = slots[1].b;
  memset(out, 0, sizeof *out);
  out->contribution[0] = net_at(s0, 0);
  out->contribution[1] = net_at(s0, 112);
  out->withdraw_seq = (uint16_t)bits(s0, 224, 15);
  out->epoch = (uint16_t)bits(s0, 239, 16);
  out->disputed = bits(s0, 255, 1) != 0;
  /* -2^111 is the one value that an int112 can have and a contribution never does. */
  const ch_i128 most = (ch_i128)CH_MONEY_MAX;
  if (out->contribution[0].v < -most || out->contribution[1].v < -most) return CH_ERR_FORMAT;
  ch_i128 total = out->contribution[0].v + out->contribution[1].v;
  if (total < 0 || total > most) return CH_ERR_FORMAT;
  if (!out->disputed) return CH_OK;
  out->version = (uint64_t)bits(s1, 0, 64);
  out->challenged_version = (uint64_t)bits(s1, 64, 64);
  out->deadline = (uint64_t)bits(s1, 128, 40);
  out->flags = (uint8_t)bits(s1, 168, 4);
  out->outcome_hash = slots[2];
  if (has_beneficiary(&slots[1])) memcpy(out->beneficiary.b, slots[3].b + 12, sizeof out->beneficiary.b);
  return CH_OK;
}

/* --- Endings ------------------------------------------------------------------------------------------------------ */

uint16_t cd_evm_ending_epoch(const cd_evm_ending *e) {
  return (uint16_t)bits(e->w, 224, 16);
}

void cd_evm_ending_decode(ch_adj_event *out, const ch_hash *id, const cd_evm_ending *e) {
  *out = (ch_adj_event){.kind = e->kind == CH_ADJ_CLOSED ? CH_ADJ_CLOSED : CH_ADJ_SETTLED, .id = *id};
  out->epoch = cd_evm_ending_epoch(e);
  out->paid[0].v = bits(e->w, 0, 112);
  out->paid[1].v = bits(e->w, 112, 112);
  out->forfeited = bits(e->w, 240, 1) != 0;
  out->net = net_at(e->x, 0);
  out->version = (uint64_t)bits(e->x, 112, 64);
  out->deadline = (uint64_t)bits(e->x, 176, 40);
}

void cd_evm_ending_topics(ch_hash out[2]) {
  static const char closed[] = "Closed(bytes32,uint256,uint256)", settled[] = "Settled(bytes32,uint256,uint256)";
  ch_keccak256(&out[0], closed, sizeof closed - 1);
  ch_keccak256(&out[1], settled, sizeof settled - 1);
}

bool cd_evm_ending_of(cd_evm_ending *out, const cd_evm_log *log) {
  ch_hash topic[2];
  cd_evm_ending_topics(topic);
  if (log->n_topics != 2 || log->data_len != 64) return false;
  bool closed = ch_hash_eq(&log->topic[0], &topic[0]);
  if (!closed && !ch_hash_eq(&log->topic[0], &topic[1])) return false;
  if (bits(log->data, 0, 112) > CH_MONEY_MAX || bits(log->data, 112, 112) > CH_MONEY_MAX) return false;
  if (net_at(log->data + 32, 0).v < -(ch_i128)CH_MONEY_MAX) return false;
  out->kind = closed ? CH_ADJ_CLOSED : CH_ADJ_SETTLED;
  memcpy(out->w, log->data, 32);
  memcpy(out->x, log->data + 32, 32);
  return true;
}

/* --- Reveals ------------------------------------------------------------------------------------------------------ */

void cd_evm_reveal_topic(ch_hash *out) {
  static const char revealed[] = "Revealed(bytes32,bytes32)";
  ch_keccak256(out, revealed, sizeof revealed - 1);
}

/* What hashes to it is it, whoever says so. */
bool cd_evm_reveal_of(ch_hash *preimage, const ch_hash *hash, const cd_evm_log *log) {
  ch_hash got;
  if (log->data_len != sizeof preimage->b) return false;
  crypto_hash_sha256(got.b, log->data, log->data_len);
  memcpy(preimage->b, log->data, sizeof preimage->b);
  return ch_hash_eq(&got, hash);
}
