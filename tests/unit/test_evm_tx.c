/* RLP and the EVM's transactions against published vectors, and against damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "l1/evm/rlp.h"
#include "l1/evm/tx.h"

/* --- RLP: the examples of the Ethereum documentation, and of ethereum/tests RLPTests -------------------------------
 */

static void assert_hex(cd_bytes *got, const char *hex) {
  char *text = malloc(2 * got->n + 1);
  assert_non_null(text);
  assert_false(got->failed);
  ch_hex(text, got->b, got->n);
  assert_string_equal(text, hex);
  free(text);
  free(got->b);
  *got = (cd_bytes){0};
}

static void items_have_the_published_bytes(void **state) {
  (void)state;
  cd_bytes out = {0};
  cd_rlp_put(&out, "dog", 3);
  assert_hex(&out, "83646f67");
  cd_rlp_put(&out, "", 0);
  assert_hex(&out, "80");
  cd_rlp_put(&out, "\x0f", 1);
  assert_hex(&out, "0f");
  cd_rlp_put(&out, "\x7f", 1);
  assert_hex(&out, "7f");
  cd_rlp_put(&out, "\x80", 1);
  assert_hex(&out, "8180");
  cd_rlp_put_uint(&out, 0);
  assert_hex(&out, "80");
  cd_rlp_put_uint(&out, 1024);
  assert_hex(&out, "820400");
  cd_rlp_put_uint(&out, 100000);
  assert_hex(&out, "830186a0");
  cd_rlp_put(&out, "Lorem ipsum dolor sit amet, consectetur adipisicing elit", 56);
  assert_hex(&out,
             "b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164697069736963"
             "696e6720656c6974");
}

/* [] and [[]] */
static void put_two(cd_bytes *out) {
  cd_rlp_close(out, cd_rlp_open(out));
  size_t one = cd_rlp_open(out);
  cd_rlp_close(out, cd_rlp_open(out));
  cd_rlp_close(out, one);
}

static void lists_have_the_published_bytes(void **state) {
  (void)state;
  cd_bytes out = {0};
  size_t list = cd_rlp_open(&out);
  cd_rlp_put(&out, "cat", 3);
  cd_rlp_put(&out, "dog", 3);
  cd_rlp_close(&out, list);
  assert_hex(&out, "c88363617483646f67");
  /* [ [], [[]], [ [], [[]] ] ], the set-theoretical three */
  list = cd_rlp_open(&out);
  put_two(&out);
  size_t third = cd_rlp_open(&out);
  put_two(&out);
  cd_rlp_close(&out, third);
  cd_rlp_close(&out, list);
  assert_hex(&out, "c7c0c1c0c3c0c1c0");
  list = cd_rlp_open(&out);
  for (int i = 0; i < 60; i++)
    cd_rlp_put_uint(&out, 1);
  cd_rlp_close(&out, list);
  assert_int_equal(out.b[0], 0xf8);
  assert_int_equal(out.b[1], 60);
  assert_int_equal(out.n, 62);
  free(out.b);
}

/* From invalidRLPTest.json and of our own: everything but the shortest form. */
static void reading_takes_only_the_shortest_form(void **state) {
  (void)state;
  static const struct {
    uint8_t b[12];
    size_t n;
    bool ok, list;
  } cases[] = {
      {{0x80}, 1, true, false},
      {{0x81, 0x80}, 2, true, false},
      {{0x81, 0x7f}, 2, false, false},                   /* a byte that stands for itself */
      {{0x83, 'd', 'o'}, 3, false, false},               /* cut */
      {{0xb8, 0x01, 0xff}, 3, false, false},             /* a long length for a short item */
      {{0xb9, 0x00, 0x38, 0}, 4, false, false},          /* a length with a leading zero */
      {{0xbf, 1, 1, 1, 1, 1, 1, 1, 1}, 9, false, false}, /* longer than what is there */
      {{0xc0}, 1, false, false},                         /* a list where bytes are wanted */
      {{0xc0}, 1, true, true},
      {{0x80}, 1, false, true},
      {{0xc2, 0x01}, 2, false, true},
      {{0xf8, 0x01, 0x01}, 3, false, true},
      {{0xff, 1, 1, 1, 1, 1, 1, 1, 1}, 9, false, true},
      {{0}, 0, false, false},
      {{0}, 0, false, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cd_rlp in = {cases[i].b, cases[i].n}, out;
    ch_err err = cases[i].list ? cd_rlp_get_list(&in, &out) : cd_rlp_get(&in, &out);
    assert_int_equal(err, cases[i].ok ? CH_OK : CH_ERR_FORMAT);
    assert_int_equal(in.n, cases[i].ok ? 0 : cases[i].n);
  }
}

static void numbers_are_read_strictly(void **state) {
  (void)state;
  ch_u128 v = 7;
  static const uint8_t zero[] = {0x00}, leading[] = {0x82, 0x00, 0x01}, big[] = {0x82, 0x01, 0x00}, none[] = {0x80};
  assert_int_equal(cd_rlp_get_uint(&(cd_rlp){zero, 1}, 1000, &v), CH_ERR_FORMAT);
  assert_int_equal(cd_rlp_get_uint(&(cd_rlp){leading, 3}, 1000, &v), CH_ERR_FORMAT);
  assert_int_equal(cd_rlp_get_uint(&(cd_rlp){big, 3}, 255, &v), CH_ERR_FORMAT);
  assert_true(v == 7);
  assert_int_equal(cd_rlp_get_uint(&(cd_rlp){big, 3}, 256, &v), CH_OK);
  assert_true(v == 256);
  assert_int_equal(cd_rlp_get_uint(&(cd_rlp){none, 1}, 1000, &v), CH_OK);
  assert_true(v == 0);
}

/* --- Transactions --------------------------------------------------------------------------------------------------
 */

typedef struct vector {
  cd_evm_tx tx;
  const char *key, *to, *raw;
} vector;

#define KEY_1559 "8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63"
#define TO_1559 "000000000000000000000000000000000000aaaa"
#define TX_1559(n, v, g, p, m)                                                                                         \
  { .type = CD_EVM_1559, .chain_id = 7822, .nonce = n, .value = {v}, .gas = g, .priority = p, .max_fee = m }

static const vector vectors[] = {
    /* EIP-155's example */
    {{.type = CD_EVM_LEGACY,
      .chain_id = 1,
      .nonce = 9,
      .max_fee = 20000000000,
      .gas = 21000,
      .value = {1000000000000000000}},
     "4646464646464646464646464646464646464646464646464646464646464646",
     "3535353535353535353535353535353535353535",
     "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe5"
     "3"
     "7567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"},
    /* EIP-1559, from the tests of ethereumjs (packages/tx/test/json/eip1559.json, without their RLP string around) */
    {TX_1559(819, 43203529, 35552, 75853, 121212), KEY_1559, TO_1559,
     "02f870821e8e8203338301284d8301d97c828ae094000000000000000000000000000000000000aaaa8402933bc980c080a0d067f2167008c"
     "5"
     "9219652f91cbf8788dbca5f771f6e91e2b7657e85b78b472e0a01d305af9fe81fdba43f0dfcd400ed24dcace0a7e30d4e85701dcaaf484cd0"
     "7"
     "9e"},
    {TX_1559(353, 61901619, 32593, 38850, 136295), KEY_1559, TO_1559,
     "02f86f821e8e8201618297c283021467827f5194000000000000000000000000000000000000aaaa8403b08b3380c001a004205678f13fc1d"
     "7"
     "b10feea6513dfa76e24418b6e08097d95c6f93a3b64e536da01d45ad61bfece43862de2cce7d2575a8c1d08c26c87f3cb5f26d7b0be54a91b"
     "2"},
    {TX_1559(985, 32531825, 68541, 66377, 136097), KEY_1559, TO_1559,
     "02f871821e8e8203d983010349830213a183010bbd94000000000000000000000000000000000000aaaa8401f0657180c001a0e6d23c5ecc0"
     "f"
     "388a4d41a9523c3ad171e98083a61288c340b968dfe0903a6741a07319e8d54a4fd8f0c081d3ce093d869f9df598481991c8534bfd8f2c163"
     "8"
     "84b4"},
    {TX_1559(709, 6478043, 28335, 86252, 94636), KEY_1559, TO_1559,
     "02f86f821e8e8202c5830150ec830171ac826eaf94000000000000000000000000000000000000aaaa8362d8db80c001a09880d133cd636f8"
     "c"
     "8dce32e2c43494b9f2dc000eee8dc61931e09f866ed04b46a00e44d5c503c7f08b36c8b062c32a963f3dd20a71e95e3d903bfbe7f4da47cd4"
     "7"},
};
#define N_VECTORS (sizeof vectors / sizeof vectors[0])

static void load(const vector *v, cd_evm_tx *tx, ch_secret *key, ch_addr *sender) {
  ch_pubkey pub;
  *tx = v->tx;
  assert_true(ch_unhex(tx->to.b, 20, v->to));
  assert_true(ch_unhex(key->b, 32, v->key));
  assert_int_equal(ch_pubkey_of(&pub, key), CH_OK);
  assert_int_equal(ch_address_of(sender, &pub), CH_OK);
}

static void transactions_have_the_published_bytes(void **state) {
  (void)state;
  for (size_t i = 0; i < N_VECTORS; i++) {
    cd_evm_tx tx;
    ch_secret key;
    ch_addr sender;
    uint8_t *raw;
    size_t len;
    ch_hash hash, again;
    char hex[400];
    load(&vectors[i], &tx, &key, &sender);
    assert_int_equal(cd_evm_tx_sign(&tx, &key, &raw, &len, &hash), CH_OK);
    assert_true(len < sizeof hex / 2);
    ch_hex(hex, raw, len);
    assert_string_equal(hex, vectors[i].raw);
    ch_keccak256(&again, raw, len);
    assert_true(ch_hash_eq(&hash, &again));
    free(raw);
  }
}

static void the_published_digest_is_signed(void **state) {
  (void)state;
  cd_evm_tx tx;
  ch_secret key;
  ch_addr sender;
  ch_hash digest;
  char hex[65];
  load(&vectors[0], &tx, &key, &sender);
  assert_int_equal(cd_evm_tx_digest(&digest, &tx), CH_OK);
  ch_hex(hex, digest.b, 32);
  assert_string_equal(hex, "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
}

static void transactions_are_read_back(void **state) {
  (void)state;
  for (size_t i = 0; i < N_VECTORS; i++) {
    cd_evm_tx tx, back;
    ch_secret key;
    ch_addr sender, found;
    uint8_t raw[200];
    size_t len = strlen(vectors[i].raw) / 2;
    load(&vectors[i], &tx, &key, &sender);
    assert_true(ch_unhex(raw, len, vectors[i].raw));
    assert_int_equal(cd_evm_tx_decode(&back, &found, raw, len), CH_OK);
    assert_true(ch_addr_eq(&found, &sender));
    assert_int_equal(back.type, tx.type);
    assert_int_equal(back.chain_id, tx.chain_id);
    assert_int_equal(back.nonce, tx.nonce);
    assert_int_equal(back.max_fee, tx.max_fee);
    assert_int_equal(back.priority, tx.priority);
    assert_int_equal(back.gas, tx.gas);
    assert_false(back.creates);
    assert_true(ch_addr_eq(&back.to, &tx.to));
    assert_int_equal(ch_amount_cmp(back.value, tx.value), 0);
    assert_int_equal(back.data_len, 0);
  }
}

/* Cut anywhere it is refused; with any bit flipped it is refused or another transaction of somebody else. */
static void damage_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < N_VECTORS; i++) {
    cd_evm_tx tx, back;
    ch_secret key;
    ch_addr sender, found;
    uint8_t raw[200];
    size_t len = strlen(vectors[i].raw) / 2;
    load(&vectors[i], &tx, &key, &sender);
    assert_true(ch_unhex(raw, len, vectors[i].raw));
    raw[len] = 0;
    assert_int_not_equal(cd_evm_tx_decode(&back, &found, raw, len + 1), CH_OK);
    for (size_t cut = 0; cut < len; cut++)
      assert_int_not_equal(cd_evm_tx_decode(&back, &found, raw, cut), CH_OK);
    for (size_t bit = 0; bit < 8 * len; bit++) {
      raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
      ch_err err = cd_evm_tx_decode(&back, &found, raw, len);
      assert_true(err != CH_OK || !ch_addr_eq(&found, &sender));
      raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
  }
}

static void malformed_ones_are_not_signed(void **state) {
  (void)state;
  ch_hash digest;
  cd_evm_tx tx = {.type = CD_EVM_1559, .chain_id = 1, .max_fee = 5, .priority = 6};
  assert_int_equal(cd_evm_tx_digest(&digest, &tx), CH_ERR_ARGUMENT);
  tx.priority = 5;
  assert_int_equal(cd_evm_tx_digest(&digest, &tx), CH_OK);
  tx.chain_id = 0;
  assert_int_equal(cd_evm_tx_digest(&digest, &tx), CH_ERR_ARGUMENT);
  tx = (cd_evm_tx){.type = CD_EVM_LEGACY, .chain_id = 1, .priority = 1, .max_fee = 1};
  assert_int_equal(cd_evm_tx_digest(&digest, &tx), CH_ERR_ARGUMENT);
  tx = (cd_evm_tx){.type = CD_EVM_LEGACY, .chain_id = UINT64_MAX};
  assert_int_equal(cd_evm_tx_digest(&digest, &tx), CH_ERR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(items_have_the_published_bytes),
      cmocka_unit_test(lists_have_the_published_bytes),
      cmocka_unit_test(reading_takes_only_the_shortest_form),
      cmocka_unit_test(numbers_are_read_strictly),
      cmocka_unit_test(transactions_have_the_published_bytes),
      cmocka_unit_test(the_published_digest_is_signed),
      cmocka_unit_test(transactions_are_read_back),
      cmocka_unit_test(damage_is_refused),
      cmocka_unit_test(malformed_ones_are_not_signed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
