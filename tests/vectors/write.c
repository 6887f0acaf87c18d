/* write.c - writes proto/vectors/, from inputs that are fixed: `scripts/vectors`. tests/vectors/verify.js computes all
 * of that again with other people's code, and tests/vectors/reader plays the dialogues again. Here: values of formulas;
 * scenes/ write who says what. */
#include "vectors.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define CASES 4

/* --- Inputs: keccak256("channel vectors" || n), and the edges of each range --------------------------------------- */

static ch_hash any(uint8_t n) {
  uint8_t text[] = "channel vectors?";
  ch_hash out;
  text[sizeof text - 2] = n;
  ch_keccak256(&out, text, sizeof text - 1);
  return out;
}

static ch_addr any_addr(uint8_t n) {
  ch_hash h = any(n);
  ch_addr a;
  memcpy(a.b, h.b + 12, sizeof a.b);
  return a;
}

static ch_secret any_key(uint8_t n) {
  ch_hash h = any(n);
  ch_secret k;
  memcpy(k.b, h.b, sizeof k.b);
  return k;
}

static ch_addr address_of(const ch_secret *key) {
  ch_pubkey pub;
  ch_addr out;
  if (ch_pubkey_of(&pub, key) != CH_OK || ch_address_of(&out, &pub) != CH_OK) abort();
  return out;
}

static const ch_net NETS[CASES] = {
    {0}, {1234567890123456789}, {-987654321}, {-(ch_i128)CH_MONEY_MAX}}; /* a negative one among them */
static const uint64_t VERSIONS[CASES] = {1, 2, 0x123456789a, UINT64_MAX};
static const uint16_t EPOCHS[CASES] = {0, 1, 258, CH_EPOCH_LAST};
static const uint64_t TIMES[CASES] = {0, 1700000000, 0x0102030405, CH_LOCK_EXPIRY_MAX};

static ch_chain chain(int i) {
  return (ch_chain){.chain_id = i == 3 ? UINT64_MAX >> 11 : 1u + 31336u * (unsigned)i, .adjudicator = any_addr(1)};
}

static ch_params params(int i) {
  ch_params p = {.payout = {any_addr(2), any_addr(3)}, .challenge_period = i == 3 ? UINT32_MAX : 86400};
  ch_hash salt = any((uint8_t)(40 + i));
  for (uint8_t side = 0; side < 2; side++) {
    ch_secret key = any_key((uint8_t)(10 + side));
    p.signer[side] = address_of(&key);
  }
  if (i > 0) p.asset = any_addr(4);
  p.bond.v = i == 3 ? ((ch_u128)1 << CH_BOND_BITS) - 1 : (ch_u128)(500u * (unsigned)i);
  ch_keccak256(&p.tag, salt.b, sizeof salt.b);
  return p;
}

/* --- Sections 2 and 3 ------------------------------------------------------------------------------------------- */

static ch_hash put_params(json_t *o, int i) {
  ch_chain c = chain(i);
  ch_params p = params(i);
  ch_hash params_hash, id;
  ch_params_hash(&params_hash, &c, &p);
  ch_channel_id(&id, &params_hash, &p.asset);
  put_number(o, "chainId", c.chain_id);
  put_addr(o, "adjudicator", c.adjudicator);
  put_addr(o, "signer0", p.signer[0]);
  put_addr(o, "signer1", p.signer[1]);
  put_addr(o, "payout0", p.payout[0]);
  put_addr(o, "payout1", p.payout[1]);
  put_addr(o, "asset", p.asset);
  put_number(o, "challengePeriod", p.challenge_period);
  put_net(o, "bond", (ch_net){(ch_i128)p.bond.v});
  put_hash(o, "tag", p.tag);
  put_hash(o, "paramsHash", params_hash);
  put_hash(o, "id", id);
  return id;
}

static void write_ids(const char *folder) {
  json_t *list = json_array();
  for (int i = 0; i < CASES; i++) {
    json_t *o = add(list);
    put_hash(o, "salt", any((uint8_t)(40 + i)));
    (void)put_params(o, i);
  }
  save(folder, "ids", list);
}

/* What the parties share, and the blinds that come from it. */
static void write_secrets(const char *folder) {
  json_t *list = json_array();
  for (int i = 0; i < CASES; i++) {
    json_t *o = add(list);
    ch_secret ecdh = any_key((uint8_t)(50 + i)), blind_key;
    ch_hash nonce[2] = {any(60), any((uint8_t)(61 + i))}, salt, blind;
    ch_channel_secrets(&salt, &blind_key, &ecdh, nonce);
    ch_blind(&blind, &blind_key, EPOCHS[i], VERSIONS[i]);
    put_hex(o, "ecdh", ecdh.b, sizeof ecdh.b);
    put_hash(o, "nonce0", nonce[0]);
    put_hash(o, "nonce1", nonce[1]);
    put_hash(o, "salt", salt);
    put_hex(o, "blindKey", blind_key.b, sizeof blind_key.b);
    put_number(o, "epoch", EPOCHS[i]);
    put_number(o, "version", VERSIONS[i]);
    put_hash(o, "blind", blind);
  }
  save(folder, "secrets", list);
}

static void put_signed(json_t *o, ch_hash digest) {
  for (uint8_t side = 0; side < 2; side++) {
    ch_secret key = any_key((uint8_t)(10 + side));
    ch_sig sig;
    if (ch_sign(&sig, &digest, &key) != CH_OK) abort();
    put_hex(o, side == 0 ? "signature0" : "signature1", sig.b, sizeof sig.b);
  }
  put_hash(o, "digest", digest);
}

/* Typed data of this type, signed by both. */
static void add_signed(json_t *list, int i, const char *type, json_t *message, ch_hash digest) {
  json_t *o = add(list);
  ch_chain c = chain(i);
  json_object_set_new(o, "type", json_string(type));
  put_number(o, "chainId", c.chain_id);
  put_addr(o, "adjudicator", c.adjudicator);
  json_object_set_new(o, "message", message);
  put_signed(o, digest);
}

/* State, Close, Challenge: what ends a channel. */
static void add_endings(json_t *list, int i, ch_hash id, const ch_hash *domain) {
  ch_hash digest;
  ch_outcome out = {.net = NETS[i], .blind = any(70)};
  ch_state s = {.id = id, .epoch = EPOCHS[i], .version = VERSIONS[i]};
  ch_outcome_hash(&s.outcome_hash, &out);
  ch_state_digest(&digest, domain, &s);
  add_signed(list, i, "State", typed_state(&s), digest);

  ch_close c = {.id = id, .epoch = EPOCHS[i], .net = NETS[i], .valid_until = TIMES[i]};
  ch_close_digest(&digest, domain, &c);
  add_signed(list, i, "Close", typed_close(&c), digest);

  ch_challenge h = {.id = id,
                    .epoch = EPOCHS[i],
                    .side = (uint8_t)(i & 1),
                    .version = VERSIONS[i],
                    .outcome_hash = s.outcome_hash,
                    .valid_until = TIMES[i]};
  ch_challenge_digest(&digest, domain, &h);
  add_signed(list, i, "Challenge", typed_challenge(&h), digest);
}

/* Withdraw and Move: money out of a channel that goes on. */
static void add_payments_out(json_t *list, int i, ch_hash id, const ch_hash *domain) {
  ch_hash digest;
  ch_withdraw w = {.id = id,
                   .epoch = EPOCHS[i],
                   .seq = i == 3 ? CH_SEQ_LAST : (uint16_t)i,
                   .side = (uint8_t)(i & 1),
                   .amount = {i == 3 ? CH_MONEY_MAX : (ch_u128)(1000u + (unsigned)i)},
                   .valid_until = TIMES[i]};
  ch_withdraw_digest(&digest, domain, &w);
  add_signed(list, i, "Withdraw", typed_withdraw(&w), digest);

  ch_move v = {.id = id,
               .epoch = w.epoch,
               .seq = w.seq,
               .side = w.side,
               .amount = w.amount,
               .valid_until = w.valid_until,
               .to_id = any(80),
               .to_epoch = EPOCHS[CASES - 1 - i],
               .to_side = w.side ^ 1};
  ch_move_digest(&digest, domain, &v);
  add_signed(list, i, "Move", typed_move(&v), digest);
}

static void add_others(json_t *list, int i, ch_hash id, const ch_hash *domain) {
  ch_hash digest;
  ch_bounty b = {.id = id, .epoch = EPOCHS[i], .beneficiary = any_addr((uint8_t)(90 + i))};
  ch_bounty_digest(&digest, domain, &b);
  add_signed(list, i, "Bounty", typed_bounty(&b), digest);

  ch_open_statement s = {
      .id = id, .params_hash = any(95), .side = (uint8_t)(i & 1), .signer = any_addr(96), .peer_node = any(97)};
  ch_open_digest(&digest, domain, &s);
  add_signed(list, i, "OpenStatement", typed_open(&s), digest);
}

static void write_signed(const char *folder) {
  json_t *list = json_array(), *all = json_object();
  for (uint8_t side = 0; side < 2; side++) {
    ch_secret key = any_key((uint8_t)(10 + side));
    put_hex(all, side == 0 ? "key0" : "key1", key.b, sizeof key.b);
  }
  for (int i = 0; i < CASES; i++) {
    json_t *unused = json_object();
    ch_chain c = chain(i);
    ch_hash id = put_params(unused, i), domain;
    json_decref(unused);
    ch_domain(&domain, &c);
    add_endings(list, i, id, &domain);
    add_payments_out(list, i, id, &domain);
    add_others(list, i, id, &domain);
  }
  json_object_set_new(all, "signed", list);
  save(folder, "signed", all);
}

/* --- Sections 3 and 6: outcomes, locks, payouts ------------------------------------------------------------------- */

/* The first i locks of: a hash lock of either side, a contract's with an empty payload, another's with one. */
static void put_locks(json_t *o, int i, ch_outcome *out) {
  uint8_t bytes[400];
  size_t len = 0;
  ch_hash preimage = any(100), hash;
  uint8_t payload[40] = "what a condition is asked about";
  json_t *list = json_array();
  ch_preimage_hash(&hash, &preimage);
  const ch_lock locks[] = {
      {.amount = {5}, .payer = 0, .expiry = TIMES[1], .payload_len = 32, .payload = hash.b},
      {.amount = {CH_MONEY_MAX}, .payer = 1, .expiry = TIMES[3], .payload_len = 32, .payload = hash.b},
      {.amount = {77}, .payer = 1, .expiry = 0, .condition = any_addr(103), .gas = UINT32_MAX, .payload = hash.b},
      {.amount = {78},
       .payer = 0,
       .expiry = 1,
       .condition = any_addr(104),
       .gas = 50000,
       .payload_len = sizeof payload,
       .payload = payload},
  };
  for (int k = 0; k < (i == 3 ? 4 : i); k++) {
    json_t *l = add(list);
    put_net(l, "amount", (ch_net){(ch_i128)locks[k].amount.v});
    put_number(l, "payer", locks[k].payer);
    put_number(l, "expiry", locks[k].expiry);
    put_addr(l, "condition", locks[k].condition);
    put_number(l, "gas", locks[k].gas);
    put_hex(l, "payload", locks[k].payload, locks[k].payload_len);
    if (ch_lock_encode(bytes, sizeof bytes, &len, &locks[k]) != CH_OK) abort();
  }
  ch_locks_hash(&out->locks_hash, bytes, len);
  put_hash(o, "preimage", preimage);
  put_hash(o, "preimageHash", hash);
  json_object_set_new(o, "locks", list);
  put_hex(o, "encoded", bytes, len);
  put_hash(o, "locksHash", out->locks_hash);
}

static void write_outcomes(const char *folder) {
  json_t *list = json_array();
  for (int i = 0; i < CASES; i++) {
    json_t *o = add(list);
    ch_outcome out = {.net = NETS[i], .blind = any((uint8_t)(110 + i))};
    ch_hash hash;
    put_locks(o, i, &out);
    put_net(o, "net", out.net);
    put_hash(o, "blind", out.blind);
    ch_outcome_hash(&hash, &out);
    put_hash(o, "outcomeHash", hash);
  }
  save(folder, "outcomes", list);
}

static void write_payouts(const char *folder) {
  json_t *list = json_array();
  const ch_i128 most = (ch_i128)CH_MONEY_MAX;
  const ch_net cases[][3] = {/* contributions, net */
                             {{1000}, {2000}, {300}},    {{1000}, {2000}, {-300}},  {{1000}, {2000}, {1000}},
                             {{1000}, {2000}, {1001}},   {{1000}, {2000}, {-5000}}, {{-400}, {900}, {-600}},
                             {{-400}, {900}, {0}},       {{0}, {0}, {7}},           {{most}, {0}, {most}},
                             {{most}, {-most}, {-most}}, {{-most}, {most}, {0}},    {{most - 1}, {1}, {-most}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ch_amount paid[2];
    json_t *o = add(list);
    if (ch_payouts(paid, cases[i], cases[i][2]) != CH_OK) abort();
    put_net(o, "contribution0", cases[i][0]);
    put_net(o, "contribution1", cases[i][1]);
    put_net(o, "net", cases[i][2]);
    put_net(o, "paid0", (ch_net){(ch_i128)paid[0].v});
    put_net(o, "paid1", (ch_net){(ch_i128)paid[1].v});
  }
  save(folder, "payouts", list);
}

int main(int argc, char **argv) {
  if (argc != 2 || sodium_init() < 0) {
    fprintf(stderr, "usage: write_vectors FOLDER\n");
    return 2;
  }
  write_ids(argv[1]);
  write_secrets(argv[1]);
  write_signed(argv[1]);
  write_outcomes(argv[1]);
  write_payouts(argv[1]);
  write_transport(argv[1]);
  write_dialogues(argv[1]);
  return 0;
}
