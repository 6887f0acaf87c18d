/* BIP-39: the official vectors, the word list, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <channel/crypto.h>
#include <sodium.h>

#define LETTERS_MAX 8

/* The English vectors that BIP-39 links to (trezor/python-mnemonic, vectors.json); the passphrase is "TREZOR". */
static const struct {
  const char *entropy, *words, *seed;
} vectors[] = {
    {"00000000000000000000000000000000",
     "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
     "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2"
     "f001698e7463b04"},
    {"7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f", "legal winner thank year wave sausage worth useful legal winner thank yellow",
     "2e8905819b8723fe2c1d161860e5ee1830318dbf49a83bd451cfb8440c28bd6fa457fe1296106559a3c80937a1c1069be3a3a5bd381ee6260"
     "e8d9739fce1f607"},
    {"80808080808080808080808080808080",
     "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
     "d71de856f81a8acc65e6fc851a38d4d7ec216fd0796d0a6827a3ad6ed5511a30fa280f12eb2e47ed2ac03b5c462a0358d18d69fe4f985ec81"
     "778c1b370b652a8"},
    {"ffffffffffffffffffffffffffffffff", "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
     "ac27495480225222079d7be181583751e86f571027b0497b5b5d11218e0a8a13332572917f0f8e5a589620c6f15b11c61dee327651a14c34e"
     "18231052e48c069"},
    {"000000000000000000000000000000000000000000000000",
     "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "
     "abandon abandon abandon agent",
     "035895f2f481b1b0f01fcf8c289c794660b289981a78f8106447707fdd9666ca06da5a9a565181599b79f53b844d8a71dd9f439c52a3d7b3e"
     "8a79c906ac845fa"},
    {"7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
     "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal will",
     "f2b94508732bcbacbcc020faefecfc89feafa6649a5491b8c952cede496c214a0c7b3c392d168748f2d4a612bada0753b52a1c7ac53c1e93a"
     "bd5c6320b9e95dd"},
    {"808080808080808080808080808080808080808080808080",
     "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid "
     "letter always",
     "107d7c02a5aa6f38c58083ff74f04c607c2d2c0ecc55501dadd72d025b751bc27fe913ffb796f841c49b1d33b610cf0e91d3aa239027f5e99"
     "fe4ce9e5088cd65"},
    {"ffffffffffffffffffffffffffffffffffffffffffffffff",
     "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo when",
     "0cd6e5d827bb62eb8fc1e262254223817fd068a74b5b449cc2f667c3f1f985a76379b43348d952e2265b4cd129090758b3e3c2c49103b5051"
     "aac2eaeb890a528"},
    {"0000000000000000000000000000000000000000000000000000000000000000",
     "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "
     "abandon abandon abandon abandon abandon abandon abandon abandon abandon art",
     "bda85446c68413707090a52022edd26a1c9462295029f2e60cd7c4f2bbd3097170af7a4d73245cafa9c3cca8d561a7c3de6f5d4a10be8ed2a"
     "5e608d68f92fcc8"},
    {"7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
     "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner "
     "thank year wave sausage worth title",
     "bc09fca1804f7e69da93c2f2028eb238c227f2e9dda30cd63699232578480a4021b146ad717fbb7e451ce9eb835f43620bf5c514db0f8add4"
     "9f5d121449d3e87"},
    {"8080808080808080808080808080808080808080808080808080808080808080",
     "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid "
     "letter advice cage absurd amount doctor acoustic bless",
     "c0c519bd0e91a2ed54357d9d1ebef6f5af218a153624cf4f2da911a0ed8f7a09e2ef61af0aca007096df430022f7a2b6fb91661a958909706"
     "9720d015e4e982f"},
    {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
     "dd48c104698c30cfe2b6142103248622fb7bb0ff692eebb00089b32d22484e1613912f0a5b694407be899ffd31ed3992c456cdf60f5d4564b"
     "8ba3f05a69890ad"},
    {"77c2b00716cec7213839159e404db50d",
     "jelly better achieve collect unaware mountain thought cargo oxygen act hood bridge",
     "b5b6d0127db1a9d2226af0c3346031d77af31e918dba64287a1b44b8ebf63cdd52676f672a290aae502472cf2d602c051f3e6f18055e84e4c"
     "43897fc4e51a6ff"},
    {"b63a9c59a6e641f288ebc103017f1da9f8290b3da6bdef7b",
     "renew stay biology evidence goat welcome casual join adapt armor shuffle fault little machine walk stumble urge "
     "swap",
     "9248d83e06f4cd98debf5b6f010542760df925ce46cf38a1bdb4e4de7d21f5c39366941c69e1bdbf2966e0f6e6dbece898a0e2f0a4c2b3e64"
     "0953dfe8b7bbdc5"},
    {"3e141609b97933b66a060dcddc71fad1d91677db872031e85f4c015c5e7e8982",
     "dignity pass list indicate nasty swamp pool script soccer toe leaf photo multiply desk host tomato cradle drill "
     "spread actor shine dismiss champion exotic",
     "ff7f3184df8696d8bef94b6c03114dbee0ef89ff938712301d27ed8336ca89ef9635da20af07d4175f2bf5f3de130f39c9d9e8dd0472489c1"
     "9b1a020a940da67"},
    {"0460ef47585604c5660618db2e6a7e7f", "afford alter spike radar gate glance object seek swamp infant panel yellow",
     "65f93a9f36b6c85cbe634ffc1f99f2b82cbb10b31edc7f087b4f6cb9e976e9faf76ff41f8f27c99afdf38f7a303ba1136ee48a4c1e7fcd3db"
     "a7aa876113a36e4"},
    {"72f60ebac5dd8add8d2a25a797102c3ce21bc029c200076f",
     "indicate race push merry suffer human cruise dwarf pole review arch keep canvas theme poem divorce alter left",
     "3bbf9daa0dfad8229786ace5ddb4e00fa98a044ae4c4975ffd5e094dba9e0bb289349dbe2091761f30f382d4e35c4a670ee8ab50758d2c558"
     "81be69e327117ba"},
    {"2c85efc7f24ee4573d2b81a6ec66cee209b2dcbd09d8eddc51e0215b0b68e416",
     "clutch control vehicle tonight unusual clog visa ice plunge glimpse recipe series open hour vintage deposit "
     "universe tip job dress radar refuse motion taste",
     "fe908f96f46668b2d5b37d82f558c77ed0d69dd0e7e043a5b0511c48c2f1064694a956f86360c93dd04052a8899497ce9e985ebe0c8c52b95"
     "5e6ae86d4ff4449"},
    {"eaebabb2383351fd31d703840b32e9e2", "turtle front uncle idea crush write shrug there lottery flower risk shell",
     "bdfb76a0759f301b0b899a1e3985227e53b3f51e67e3f2a65363caedf3e32fde42a66c404f18d7b05818c95ef3ca1e5146646856c461c0731"
     "69467511680876c"},
    {"7ac45cfe7722ee6c7ba84fbc2d5bd61b45cb2fe5eb65aa78",
     "kiss carry display unusual confirm curtain upgrade antique rotate hello void custom frequent obey nut hole price "
     "segment",
     "ed56ff6c833c07982eb7119a8f48fd363c4a9b1601cd2de736b01045c5eb8ab4f57b079403485d1c4924f0790dc10a971763337cb9f9c6222"
     "6f64fff26397c79"},
    {"4fa1a8bc3e6d80ee1316050e862c1812031493212b7ec3f3bb1b08f168cabeef",
     "exile ask congress lamp submit jacket era scheme attend cousin alcohol catch course end lucky hurt sentence oven "
     "short ball bird grab wing top",
     "095ee6f817b4c2cb30a5a797360a81a40ab0f9a4e25ecd672a3f58a0b5ba0687c096a6b14d2c0deb3bdefce4f61d01ae07417d502429352e2"
     "7695163f7447a8c"},
    {"18ab19a9f54a9274f03e5209a2ac8a91", "board flee heavy tunnel powder denial science ski answer betray cargo cat",
     "6eff1bb21562918509c73cb990260db07c0ce34ff0e3cc4a8cb3276129fbcb300bddfe005831350efd633909f476c45c88253276d9fd0df6e"
     "f48609e8bb7dca8"},
    {"18a2e1d81b8ecfb2a333adcb0c17a5b9eb76cc5d05db91a4",
     "board blade invite damage undo sun mimic interest slam gaze truly inherit resist great inject rocket museum "
     "chief",
     "f84521c777a13b61564234bf8f8b62b3afce27fc4062b51bb5e62bdfecb23864ee6ecf07c1d5a97c0834307c5c852d8ceb88e7c97923c0a3b"
     "496bedd4e5f88a9"},
    {"15da872c95a13dd738fbf50e427583ad61f18fd99f628c417a61cf8343c90419",
     "beyond stage sleep clip because twist token leaf atom beauty genius food business side grid unable middle armed "
     "observe pair crouch tonight away coconut",
     "b15509eaa2d09d3efd3e006ef42151b30367dc6e3aa5e44caba3fe4d3e352e65101fbdb86a96776b91946ff06f8eac594dc6ee1d3e82a42df"
     "e1b40fef6bcc3fd"},
};
#define VECTORS (sizeof vectors / sizeof *vectors)

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected) {
  char hex[2 * 64 + 1];
  assert_true(len <= 64);
  ch_hex(hex, bytes, len);
  assert_string_equal(hex, expected);
}

static void official_words(void **state) {
  (void)state;
  for (size_t i = 0; i < VECTORS; i++) {
    uint8_t entropy[32];
    size_t len = strlen(vectors[i].entropy) / 2;
    char words[CH_WORDS_STR];
    assert_true(ch_unhex(entropy, len, vectors[i].entropy));
    assert_int_equal(ch_words_from_entropy(words, entropy, len), CH_OK);
    assert_string_equal(words, vectors[i].words);
    memset(entropy, 0, sizeof entropy);
    assert_int_equal(ch_words_to_entropy(entropy, &len, words), CH_OK);
    assert_hex(entropy, len, vectors[i].entropy);
  }
}

static void official_seeds(void **state) {
  (void)state;
  for (size_t i = 0; i < VECTORS; i++) {
    uint8_t seed[64];
    assert_int_equal(ch_words_to_seed(seed, vectors[i].words, "TREZOR"), CH_OK);
    assert_hex(seed, sizeof seed, vectors[i].seed);
  }
}

/* The hash is that of bitcoin/bips, bip-0039/english.txt, one word per line. */
static void list_is_the_official_one(void **state) {
  (void)state;
  crypto_hash_sha256_state sha;
  uint8_t hash[32];
  crypto_hash_sha256_init(&sha);
  for (unsigned i = 0; i < 2048; i++) {
    const char *word = ch_word(i);
    assert_in_range(strlen(word), 3, LETTERS_MAX);
    if (i > 0) assert_true(strcmp(ch_word(i - 1), word) < 0);
    crypto_hash_sha256_update(&sha, (const uint8_t *)word, strlen(word));
    crypto_hash_sha256_update(&sha, (const uint8_t *)"\n", 1);
  }
  crypto_hash_sha256_final(&sha, hash);
  assert_hex(hash, sizeof hash, "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
}

static void every_allowed_length_round_trips(void **state) {
  (void)state;
  for (size_t len = 0; len <= 40; len++) {
    uint8_t entropy[40], back[32];
    size_t back_len = 0;
    char words[CH_WORDS_STR] = "unchanged";
    for (size_t i = 0; i < len; i++)
      entropy[i] = (uint8_t)(37 * i + len);
    ch_err err = ch_words_from_entropy(words, entropy, len);
    if (len < 16 || len > 32 || len % 4 != 0) {
      assert_int_equal(err, CH_ERR_ARGUMENT);
      assert_string_equal(words, "unchanged");
      continue;
    }
    assert_int_equal(err, CH_OK);
    assert_int_equal(ch_words_to_entropy(back, &back_len, words), CH_OK);
    assert_int_equal(back_len, len);
    assert_memory_equal(back, entropy, len);
  }
}

/* Every word at every position: a wrong word is let through by the 4 checksum bits once in 16, never more. */
static void checksum_catches_wrong_words(void **state) {
  (void)state;
  for (size_t at = 0; at < 12; at++) {
    unsigned accepted = 0;
    for (unsigned i = 0; i < 2048; i++) {
      char sentence[CH_WORDS_STR] = "";
      uint8_t entropy[32];
      size_t len;
      for (size_t word = 0, used = 0; word < 12; word++) {
        const char *separator = word > 0 ? " " : "", *text = ch_word(word == at ? i : 7);
        used += (size_t)snprintf(sentence + used, sizeof sentence - used, "%s%s", separator, text);
      }
      accepted += ch_words_to_entropy(entropy, &len, sentence) == CH_OK;
    }
    assert_in_range(accepted, 64, 192); /* 2048 / 16 = 128 */
  }
}

static void blanks_and_case_do_not_matter(void **state) {
  (void)state;
  uint8_t seed[64], entropy[32];
  size_t len;
  const char *spelling = " \t Legal  WINNER thank\nyear wave\r\nsausage worth useful legal winner thank yelloW \n";
  assert_int_equal(ch_words_to_entropy(entropy, &len, spelling), CH_OK);
  assert_hex(entropy, len, vectors[1].entropy);
  assert_int_equal(ch_words_to_seed(seed, spelling, "TREZOR"), CH_OK);
  assert_hex(seed, sizeof seed, vectors[1].seed);
}

#define ELEVEN "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo"

static void wrong_sentences_are_refused(void **state) {
  (void)state;
  const char *bad[] = {
      "",
      " ",
      "zoo",
      ELEVEN,
      ELEVEN " zoo",           /* checksum */
      ELEVEN " wron",          /* a prefix is not a word */
      ELEVEN " wrongs",        /* nor is a longer one */
      ELEVEN " wrong wrong",   /* 13 words */
      ELEVEN " wrong abandon", /* 13 words; the last adds only zero bits behind a right checksum */
      ELEVEN " wrong abandon abandon",
      ELEVEN " wrong,",                                        /* other separators */
      ELEVEN "\vwrong",                                        /* not a blank of ours */
      ELEVEN " wr\xc3\xb6ng",                                  /* not ASCII */
      ELEVEN " wrongwrongwrongwrongwrongwrongwrongwrongwrong", /* longer than any word */
      "abandon abandon abandon abandon abandon about",         /* 6 words */
      ELEVEN " " ELEVEN " zoo zoo zoo zoo",                    /* 26 words */
      ELEVEN " " ELEVEN " zoo zoo zoo zoo zoo",                /* 27 words */
      "about abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    uint8_t out[64];
    size_t len = 77;
    memset(out, 0xaa, sizeof out);
    if (ch_words_to_entropy(out, &len, bad[i]) != CH_ERR_WORDS) fail_msg("\"%s\" was accepted", bad[i]);
    if (ch_words_to_seed(out, bad[i], NULL) != CH_ERR_WORDS) fail_msg("\"%s\" gave a seed", bad[i]);
    assert_int_equal(len, 77);
    for (size_t j = 0; j < sizeof out; j++)
      assert_int_equal(out[j], 0xaa);
  }
}

static void passphrases(void **state) {
  (void)state;
  uint8_t none[64], empty[64], other[64];
  char longest[3001];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  assert_int_equal(ch_words_to_seed(none, vectors[0].words, NULL), CH_OK);
  assert_int_equal(ch_words_to_seed(empty, vectors[0].words, ""), CH_OK);
  assert_memory_equal(none, empty, sizeof none);
  /* Widely published for the all-zero sentence without a passphrase. */
  assert_hex(none, sizeof none,
             "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690"
             "f20ad3d8d48b2d2ce9e38e4");
  assert_int_equal(ch_words_to_seed(other, vectors[0].words, longest), CH_OK);
  assert_memory_not_equal(other, none, sizeof none);
  assert_int_equal(ch_words_to_seed(other, vectors[0].words, "caf\xc3\xa9"), CH_ERR_WORDS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(official_words),
      cmocka_unit_test(official_seeds),
      cmocka_unit_test(list_is_the_official_one),
      cmocka_unit_test(every_allowed_length_round_trips),
      cmocka_unit_test(checksum_catches_wrong_words),
      cmocka_unit_test(blanks_and_case_do_not_matter),
      cmocka_unit_test(wrong_sentences_are_refused),
      cmocka_unit_test(passphrases),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
