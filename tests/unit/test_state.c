/* Ids, outcomes and EIP-712 digests against an independent implementation (proto/protocol.md, sections 2 and 3).
 *
 * The constants come from eth-account 0.14.0 and eth-abi 6.0.0 (pip install eth-account), with
 *   from eth_account.messages import encode_typed_data; from eth_abi import encode; from eth_utils import keccak
 *   H = lambda c: bytes.fromhex(c * 64); A = lambda c: "0x" + c * 40; chain = 0x1234567890; adj = A("a")
 *   ph = keccak(encode(["uint256", "address", "address", "address", "address", "address", "uint32", "uint96",
 * "bytes32"], [chain, adj, A("1"), A("2"), A("3"), A("4"), 86400, 2**95 + 7, H("7")])) id = keccak(ph +
 * bytes.fromhex("5" * 40)) outcome = lambda net, locks, blind: keccak(encode(["int112", "bytes32", "bytes32"], [net,
 * locks, blind])) m = encode_typed_data(domain_data=dict(name="StateChannel", version="1", chainId=chain,
 * verifyingContract=adj), message_types={"Close": [dict(name="id", type="bytes32"), ...]}, message_data=dict(id=id,
 * ...)) domain = m.header; digest = keccak(b"\x19" + m.version + m.header + m.body)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <channel/state.h>

static const ch_chain CHAIN = {.chain_id = 0x1234567890,
                               .adjudicator = {{0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
                                                0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa}}};
static const char ID[] = "f18f8435d0ece694bae1b39f98bc34873b4550595cb0a66862cf86bea893928a";
static const char PARAMS_HASH[] = "6ed92843da3b8edd787ea639c380e5a767a023681eb7850f6482d748978516bb";

static ch_hash hash_of_byte(uint8_t byte) {
  ch_hash h;
  memset(h.b, byte, sizeof h.b);
  return h;
}

static ch_addr addr_of_byte(uint8_t byte) {
  ch_addr a;
  memset(a.b, byte, sizeof a.b);
  return a;
}

static ch_hash hash_of_hex(const char *hex) {
  ch_hash h;
  assert_true(ch_unhex(h.b, sizeof h.b, hex));
  return h;
}

static void assert_hash(const ch_hash *actual, const char *expected) {
  char hex[65];
  ch_hex(hex, actual->b, sizeof actual->b);
  assert_string_equal(hex, expected);
}

static ch_params sample_params(void) {
  return (ch_params){.signer = {addr_of_byte(0x11), addr_of_byte(0x22)},
                     .payout = {addr_of_byte(0x33), addr_of_byte(0x44)},
                     .asset = addr_of_byte(0x55),
                     .challenge_period = 86400,
                     .bond = {((ch_u128)1 << 95) + 7},
                     .tag = hash_of_byte(0x77)};
}

static void test_ids(void **unused) {
  (void)unused;
  ch_params p = sample_params();
  ch_addr native = {{0}};
  ch_hash params_hash, id;
  ch_params_hash(&params_hash, &CHAIN, &p);
  assert_hash(&params_hash, PARAMS_HASH);
  ch_channel_id(&id, &params_hash, &p.asset);
  assert_hash(&id, ID);
  ch_channel_id(&id, &params_hash, &native);
  assert_hash(&id, "090c4212f9c1276743a6c885762fae81a92c2918f7beb3a842055b30f8e37331");
}

/* Every field of the parameters but the asset is bound by the hash, and so is the chain. */
static void test_every_field_counts(void **unused) {
  (void)unused;
  const ch_params base = sample_params();
  ch_params p[8];
  for (int i = 0; i < 8; i++) {
    p[i] = base;
  }
  p[0].signer[0].b[19] ^= 1;
  p[1].signer[1].b[0] ^= 1;
  p[2].payout[0].b[19] ^= 1;
  p[3].payout[1].b[0] ^= 1;
  p[4].challenge_period++;
  p[5].bond.v++;
  p[6].tag.b[31] ^= 1;
  p[7].asset.b[0] ^= 1;
  ch_hash hash, expected = hash_of_hex(PARAMS_HASH);
  for (int i = 0; i < 8; i++) {
    ch_params_hash(&hash, &CHAIN, &p[i]);
    assert_int_equal(ch_hash_eq(&hash, &expected), i == 7);
  }
  ch_chain other = CHAIN;
  other.chain_id++;
  ch_params_hash(&hash, &other, &base);
  assert_false(ch_hash_eq(&hash, &expected));
  other = CHAIN;
  other.adjudicator.b[3] ^= 1;
  ch_params_hash(&hash, &other, &base);
  assert_false(ch_hash_eq(&hash, &expected));
}

static void test_params_check(void **unused) {
  (void)unused;
  ch_params p = sample_params();
  assert_int_equal(ch_params_check(&p), CH_OK);
  for (int side = 0; side < 2; side++) {
    p = sample_params();
    p.signer[side] = addr_of_byte(0);
    assert_int_equal(ch_params_check(&p), CH_ERR_ARGUMENT);
    p = sample_params();
    p.payout[side] = addr_of_byte(0);
    assert_int_equal(ch_params_check(&p), CH_ERR_ARGUMENT);
  }
  p = sample_params();
  p.signer[1] = p.signer[0];
  assert_int_equal(ch_params_check(&p), CH_ERR_ARGUMENT);
  p = sample_params();
  p.payout[1] = p.payout[0];
  p.asset = addr_of_byte(0);
  p.bond.v = ((ch_u128)1 << 96) - 1;
  assert_int_equal(ch_params_check(&p), CH_OK);
  p.bond.v++;
  assert_int_equal(ch_params_check(&p), CH_ERR_ARGUMENT);
}

/* hmac.new(prk, info + b"\1", sha256) with prk = hmac.new(nonce0 + nonce1, ecdh, sha256), in Python's hmac. */
static void test_secrets(void **unused) {
  (void)unused;
  ch_secret ecdh, blind_key;
  ch_hash salt, blind, nonce[2] = {hash_of_byte(0x22), hash_of_byte(0x33)};
  memset(ecdh.b, 0x11, sizeof ecdh.b);
  ch_channel_secrets(&salt, &blind_key, &ecdh, nonce);
  assert_hash(&salt, "c95a9c9f1980643783fbf850d955f2900b9e9cb35217ef21b4c75b71b668133e");
  ch_hash key;
  memcpy(key.b, blind_key.b, sizeof key.b);
  assert_hash(&key, "7f5a5e3ffa810df057412b14d24487c42f19fb7e32a3a246fa58e4b7ae1e304e");
  ch_blind(&blind, &blind_key, 0x0102, 0x0304050607080900);
  assert_hash(&blind, "f8e242c266613e18c806ab51c221894485aa9b21d41c38151965b991d0b96945");
}

static void test_outcomes(void **unused) {
  (void)unused;
  ch_outcome o = {.net = ch_net_of(-1), .blind = hash_of_byte(0xbb)};
  ch_hash h;
  ch_outcome_hash(&h, &o);
  assert_hash(&h, "fb8e4e4c94b89dfb134f3b3a3419d0fbacb8146013662a32ea5bc5e57f1533ff");
  o.net.v = (ch_i128)CH_MONEY_MAX;
  ch_outcome_hash(&h, &o);
  assert_hash(&h, "7ef67644a1f9905c7a660672fbbfd0ad18abb8ee037a4c87aab2278800555174");
  o.net.v = -(ch_i128)CH_MONEY_MAX;
  o.locks_hash = hash_of_byte(0xcc);
  ch_outcome_hash(&h, &o);
  assert_hash(&h, "df104bd2c5405bb63c6ff1f03c313aa21b9255c2fd01704663296f38a8a11cbf");
}

static void test_state_digest(void **unused) {
  (void)unused;
  ch_state s = {.id = hash_of_hex(ID), .epoch = 0xfffe, .version = UINT64_MAX - 1, .outcome_hash = hash_of_byte(0x99)};
  ch_hash domain, digest;
  ch_domain(&domain, &CHAIN);
  assert_hash(&domain, "0c5b5947b8e25b562c094767d989f9918a3de2150ba50c7e2686336c65254456");
  ch_state_digest(&digest, &domain, &s);
  assert_hash(&digest, "d9fa458ed3b752d209c94275c460089a97d9fde9fc996846f3a795389b40b21a");
}

static void test_close_digest(void **unused) {
  (void)unused;
  ch_close c = {.id = hash_of_hex(ID), .epoch = 3, .valid_until = ((uint64_t)1 << 40) - 1};
  ch_hash domain, digest;
  ch_domain(&domain, &CHAIN);
  assert_int_equal(ch_net_parse(&c.net, "-123456789012345678901234567890"), CH_OK);
  ch_close_digest(&digest, &domain, &c);
  assert_hash(&digest, "0419df55012f2b1195dc3f168d9d09663bd5046ca48c06745a7a7ca36c40beab");
  c.net = ch_net_of(5);
  ch_close_digest(&digest, &domain, &c);
  assert_hash(&digest, "7b1a03d78e4e00fd267f0245ce9dda3b3367b3a23ee3f81730ff6faa296eb97b");
}

static void test_withdraw_digest(void **unused) {
  (void)unused;
  ch_withdraw w = {.id = hash_of_hex(ID),
                   .epoch = 3,
                   .seq = 0x7ffe,
                   .side = 1,
                   .amount = {CH_MONEY_MAX},
                   .valid_until = ((uint64_t)1 << 40) - 1};
  ch_hash domain, digest;
  ch_domain(&domain, &CHAIN);
  ch_withdraw_digest(&digest, &domain, &w);
  assert_hash(&digest, "6abcaab438544bbd76deede0ff44b9620c4d648bd6c876f77d0117544bce624d");
  w = (ch_withdraw){.id = hash_of_hex(ID), .epoch = 0xffff, .amount = ch_amount_of(1), .valid_until = 1700000000};
  ch_withdraw_digest(&digest, &domain, &w);
  assert_hash(&digest, "62e68712df1186d2ac87eb57fdaf6c9ed3889089603f0d7c76b98ae1542efa6c");
}

static void test_other_digests(void **unused) {
  (void)unused;
  ch_hash domain, digest;
  ch_domain(&domain, &CHAIN);
  ch_challenge c = {.id = hash_of_hex(ID),
                    .epoch = 3,
                    .side = 1,
                    .version = 77,
                    .outcome_hash = hash_of_byte(0x99),
                    .valid_until = 1700000000};
  ch_challenge_digest(&digest, &domain, &c);
  assert_hash(&digest, "71a6abf29fe0ee917b20ae0cd48ba5946d1a593eafa88b85a392c6698ccb412d");
  ch_open_statement o = {.id = hash_of_hex(ID),
                         .params_hash = hash_of_hex(PARAMS_HASH),
                         .side = 1,
                         .signer = addr_of_byte(0x22),
                         .peer_node = hash_of_byte(0xee)};
  ch_open_digest(&digest, &domain, &o);
  assert_hash(&digest, "eb6a970a6161c8d6f197a37b568d0b548be2712ac59b6bce513f025b78b95bf1");
}

/* The type strings themselves: a struct of zeros, so that the digest is a matter of its type hash and word count. */
static void assert_type(const char *type, size_t fields, const ch_hash *digest) {
  uint8_t words[10 * 32] = {0}, message[66] = {0x19, 0x01};
  ch_hash type_hash, struct_hash, expected;
  ch_keccak256(&type_hash, type, strlen(type));
  memcpy(words, type_hash.b, 32);
  ch_keccak256(&struct_hash, words, 32 * (1 + fields));
  memcpy(message + 34, struct_hash.b, 32);
  ch_keccak256(&expected, message, sizeof message);
  assert_memory_equal(digest->b, expected.b, 32);
}

static void test_type_hashes(void **unused) {
  (void)unused;
  const ch_hash domain = {{0}};
  ch_hash digest;
  ch_state_digest(&digest, &domain, &(ch_state){0});
  assert_type("State(bytes32 id,uint16 epoch,uint64 version,bytes32 outcomeHash)", 4, &digest);
  ch_close_digest(&digest, &domain, &(ch_close){.epoch = 0});
  assert_type("Close(bytes32 id,uint16 epoch,int112 net,uint40 validUntil)", 4, &digest);
  ch_withdraw_digest(&digest, &domain, &(ch_withdraw){.epoch = 0});
  assert_type("Withdraw(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil)", 6, &digest);
  ch_challenge_digest(&digest, &domain, &(ch_challenge){.epoch = 0});
  assert_type("Challenge(bytes32 id,uint16 epoch,uint8 side,uint64 version,bytes32 outcomeHash,uint40 validUntil)", 6,
              &digest);
  ch_move_digest(&digest, &domain, &(ch_move){.epoch = 0});
  assert_type("Move(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil,bytes32 toId,"
              "uint16 toEpoch,uint8 toSide)",
              9, &digest);
  ch_bounty_digest(&digest, &domain, &(ch_bounty){.epoch = 0});
  assert_type("Bounty(bytes32 id,uint16 epoch,address beneficiary)", 3, &digest);
  ch_open_digest(&digest, &domain, &(ch_open_statement){.side = 0});
  assert_type("OpenStatement(bytes32 id,bytes32 paramsHash,uint8 side,address signer,bytes32 peerNode)", 5, &digest);

  uint8_t words[5 * 32] = {0};
  static const char *const text[3] = {
      "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)", "StateChannel", "1"};
  for (int i = 0; i < 3; i++) {
    ch_keccak256(&digest, text[i], strlen(text[i]));
    memcpy(words + 32 * i, digest.b, 32);
  }
  ch_hash expected, actual;
  ch_keccak256(&expected, words, sizeof words);
  ch_domain(&actual, &(ch_chain){.chain_id = 0});
  assert_memory_equal(actual.b, expected.b, 32);
}

static void assert_payouts(int64_t c0, int64_t c1, int64_t net, uint64_t p0, uint64_t p1) {
  const ch_net contribution[2] = {ch_net_of(c0), ch_net_of(c1)};
  ch_amount out[2];
  assert_int_equal(ch_payouts(out, contribution, ch_net_of(net)), CH_OK);
  assert_true(out[0].v == p0);
  assert_true(out[1].v == p1);
}

static void test_payouts(void **unused) {
  (void)unused;
  assert_payouts(10, 5, 0, 10, 5);
  assert_payouts(10, 5, 3, 7, 8);
  assert_payouts(10, 5, -3, 13, 2);
  assert_payouts(10, 5, 10, 0, 15);
  assert_payouts(10, 5, 11, 0, 15);
  assert_payouts(10, 5, -5, 15, 0);
  assert_payouts(10, 5, -6, 15, 0);
  assert_payouts(-4, 10, -7, 3, 3); /* side 0 withdrew what it had been paid */
  assert_payouts(10, -10, 4, 0, 0);
  assert_payouts(0, 0, 0, 0, 0);

  const ch_net negative[2] = {ch_net_of(3), ch_net_of(-4)};
  ch_amount out[2];
  assert_int_equal(ch_payouts(out, negative, ch_net_of(0)), CH_ERR_BUG);
}

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 11;
}

static ch_i128 random_money(uint64_t *seed) {
  unsigned bits = (unsigned)(next_random(seed) % 112);
  ch_u128 v = ((ch_u128)next_random(seed) << 60) ^ next_random(seed) ^ ((ch_u128)next_random(seed) << 30);
  v &= bits == 111 ? CH_MONEY_MAX : ((ch_u128)1 << bits) - 1;
  return next_random(seed) & 1 ? (ch_i128)v : -(ch_i128)v;
}

/* For any slots and any net: nothing is made or lost, and paying more to one side never takes from it. */
static void test_payouts_random(void **unused) {
  (void)unused;
  uint64_t seed = 20240607;
  int cases = 0;
  while (cases < 20000) {
    ch_net contribution[2] = {{random_money(&seed)}, {random_money(&seed)}};
    ch_net total, net = {random_money(&seed)};
    if (ch_net_sum(&total, contribution[0], contribution[1]) != CH_OK || total.v < 0) {
      continue;
    }
    cases++;
    ch_amount a[2], b[2];
    assert_int_equal(ch_payouts(a, contribution, net), CH_OK);
    assert_true(a[0].v + a[1].v == (ch_u128)total.v);
    if (net.v < (ch_i128)CH_MONEY_MAX) {
      net.v++;
      assert_int_equal(ch_payouts(b, contribution, net), CH_OK);
      assert_true(b[0].v == a[0].v || b[0].v + 1 == a[0].v);
    }
  }
}

static void test_next_version(void **unused) {
  (void)unused;
  for (uint8_t side = 0; side < 2; side++) {
    for (uint64_t base = 0; base < 6; base++) {
      uint64_t v = ch_next_version(side, base);
      assert_true(v > base && v <= base + 2);
      assert_int_equal(ch_version_side(v), side);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ids),           cmocka_unit_test(test_every_field_counts),
      cmocka_unit_test(test_params_check),  cmocka_unit_test(test_secrets),
      cmocka_unit_test(test_outcomes),      cmocka_unit_test(test_state_digest),
      cmocka_unit_test(test_close_digest),  cmocka_unit_test(test_withdraw_digest),
      cmocka_unit_test(test_other_digests), cmocka_unit_test(test_type_hashes),
      cmocka_unit_test(test_payouts),       cmocka_unit_test(test_payouts_random),
      cmocka_unit_test(test_next_version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
