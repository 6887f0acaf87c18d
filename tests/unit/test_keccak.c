/* Keccak-256: published answers, every block boundary, and the incremental form. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <channel/crypto.h>

#define INPUT_MAX 1000

static void assert_hash(const ch_hash *hash, const char *expected) {
  char hex[2 * sizeof hash->b + 1];
  ch_hex(hex, hash->b, sizeof hash->b);
  assert_string_equal(hex, expected);
}

/* Byte i is 7 * i + 1 (mod 256). */
static void fill(uint8_t data[INPUT_MAX]) {
  for (size_t i = 0; i < INPUT_MAX; i++)
    data[i] = (uint8_t)(7 * i + 1);
}

static void published_answers(void **state) {
  (void)state;
  const struct {
    const char *input, *hash;
  } cases[] = {
      /* Ethereum Yellow Paper, appendix F: KEC(()) */
      {"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
      /* Keccak team, ShortMsgKAT_256.txt of the round 3 submission, Len = 8 */
      {"\xcc", "eead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a"},
      /* Solidity ABI specification: the selectors cdcd77c0 of baz(uint32,bool) and a5643bf2 of
       * sam(bytes,bool,uint256[]) are the first bytes of these */
      {"baz(uint32,bool)", "cdcd77c0992ec5bbfc459984220f8c45084cc24d9b6efed1fae540db8de801d2"},
      {"sam(bytes,bool,uint256[])", "a5643bf27e2786816613d3eeb0b62650200b5a98766dfcfd4428f296fb56d043"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ch_hash hash;
    ch_keccak256(&hash, cases[i].input, strlen(cases[i].input));
    assert_hash(&hash, cases[i].hash);
  }
}

/* Expected values from an independent implementation: PyCryptodome's Crypto.Hash.keccak. A block is 136 bytes. */
static const struct {
  size_t len;
  const char *hash;
} boundaries[] = {
    {0, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
    {1, "5fe7f977e71dba2ea1a68e21057beebb9be2ac30c6410aa38d4f3fbe41dcffd2"},
    {31, "18e9f1b89f65e6f04b320c2aa2b41379d0ae28e1a5965dd7dffd74893c99b953"},
    {32, "99d1533d5b1f52d46ed078f873d9e797591d47911c8622346cba44a38b23c06b"},
    {64, "396a3c357ef3d1cc5bcdc9deaf83ecc98183a047c0c8cf0019f43c0c55c7ce26"},
    {134, "cbc9c4fd76145c369be30affd71e670e411203a88b0901f44c4a6a62a1fab5db"},
    {135, "34bd7bed52ea092f88bc887256e7f06500ee814afa9a5566e22030af2ef1c5c0"},
    {136, "2b31811a93dfc4bdc41b6aa7790e784b987c25a2c8a0e101cfa694552dc8ae39"},
    {137, "a6103b089a404974c2b460048bfddd45108748fbdd9bad451f54d1fe95f8f284"},
    {271, "3915ac0d86093104c62ea954228b28802e32a97eaaf854cccaaf526dd14f919e"},
    {272, "415fd325cae3a2f957fea2770d710027317ced7e7266a59905102c14fdb9959a"},
    {273, "5091b58a169d72e691cd40c2796dfe52ec91c538f682485c5424971ed02cd906"},
    {300, "c679632f366575cf2a1dad1f4a5de16e09def44390e346ad45cca63f4509c93f"},
    {407, "0647638988fec7f42f21509355e36aafba224701c5105f2abe3b697df85c2c4e"},
    {408, "4e6e66d9f861fdcb1b67d1be5901be989e765f076b11d2afb41a95ce2564c611"},
    {409, "1325f995a4261ed220618d6a2ec206fe1d95c55c721cd16c7ebfdfde6f1d636f"},
    {544, "acdd7007f56df0ceac3094383509c4590fc8215060def0813ee49a6dbe161269"},
    {1000, "5f6640d51e97fd85a8fab8981a24c2fcdd022cab5e529f6879475f1f048b6254"},
};

static void block_boundaries(void **state) {
  (void)state;
  uint8_t data[INPUT_MAX];
  fill(data);
  for (size_t i = 0; i < sizeof boundaries / sizeof *boundaries; i++) {
    ch_hash hash;
    ch_keccak256(&hash, data, boundaries[i].len);
    assert_hash(&hash, boundaries[i].hash);
  }
}

static void every_split_gives_the_same_hash(void **state) {
  (void)state;
  uint8_t data[INPUT_MAX];
  fill(data);
  for (size_t i = 0; i < sizeof boundaries / sizeof *boundaries; i++) {
    for (size_t cut = 0; cut <= boundaries[i].len; cut++) {
      ch_keccak k;
      ch_hash hash;
      ch_keccak_init(&k);
      ch_keccak_update(&k, data, cut);
      ch_keccak_update(&k, data + cut, boundaries[i].len - cut);
      ch_keccak_final(&k, &hash);
      assert_hash(&hash, boundaries[i].hash);
    }
  }
}

static void byte_by_byte_gives_the_same_hash(void **state) {
  (void)state;
  uint8_t data[INPUT_MAX];
  fill(data);
  ch_keccak k;
  ch_hash one_by_one, at_once;
  ch_keccak_init(&k);
  for (size_t i = 0; i < INPUT_MAX; i++)
    ch_keccak_update(&k, data + i, 1);
  ch_keccak_final(&k, &one_by_one);
  ch_keccak256(&at_once, data, INPUT_MAX);
  assert_true(ch_hash_eq(&one_by_one, &at_once));
}

static void final_leaves_nothing_of_the_input(void **state) {
  (void)state;
  const ch_keccak zero = {0};
  ch_keccak k;
  ch_hash hash;
  ch_keccak_init(&k);
  ch_keccak_update(&k, "secret", 6);
  ch_keccak_final(&k, &hash);
  assert_memory_equal(&k, &zero, sizeof k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(published_answers),
      cmocka_unit_test(block_boundaries),
      cmocka_unit_test(every_split_gives_the_same_hash),
      cmocka_unit_test(byte_by_byte_gives_the_same_hash),
      cmocka_unit_test(final_leaves_nothing_of_the_input),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
