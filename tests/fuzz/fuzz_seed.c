/* The seed's file: any bytes are refused with a sentence, or exactly what is written for the seed that was read.
 * Argon2id is replaced (--wrap): one key for all, so that a box of the corpus opens, and costs only looked at. */
#include <sodium.h>

#include "channel/types.h"
#include "folder.h"
#include "seed.h"

#define PLAIN "channeld-seed-v1 plain "

int __wrap_crypto_pwhash(unsigned char *out, unsigned long long out_len, const char *password, unsigned long long len,
                         const unsigned char *salt, unsigned long long passes, size_t memory, int algorithm);

int __wrap_crypto_pwhash(unsigned char *out, unsigned long long out_len, const char *password, unsigned long long len,
                         const unsigned char *salt, unsigned long long passes, size_t memory, int algorithm) {
  (void)password;
  (void)salt;
  must(out_len == crypto_secretbox_KEYBYTES && len == 8 && algorithm == crypto_pwhash_ALG_ARGON2ID13,
       "a key for the box");
  must(passes >= 1 && passes <= 100 && memory >= 8192 && memory <= (size_t)4 << 30, "costs have a bound");
  memset(out, 7, out_len);
  return 0;
}

/* The file says the seed in clear, or has a good box. */
static void check(const uint8_t *data, size_t size, const uint8_t *seed) {
  char line[sizeof PLAIN + 2 * CD_SEED_LEN] = PLAIN;
  if (size > 0 && data[size - 1] == '\n') size--;
  if (size < sizeof PLAIN || memcmp(data, PLAIN, strlen(PLAIN)) != 0) {
    must(size > 2 * (CD_SEED_LEN + crypto_secretbox_MACBYTES), "a box is there");
    return;
  }
  ch_hex(line + strlen(PLAIN), seed, CD_SEED_LEN);
  must(strlen(line) == size && memcmp(line, data, size) == 0, "one form");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const cd_passphrase given = {.len = 8, .text = "password"};
  static const cd_passphrase_source from = {.given = &given};
  uint8_t seed[CD_SEED_LEN];
  char why[700] = "";
  if (sodium_init() < 0) return 0;
  put_in_folder("seed", data, size);
  if (cd_seed_read(folder, &from, seed, why, sizeof why)) {
    check(data, size, seed);
  } else {
    must_be_sentence(why, sizeof why);
  }
  return 0;
}
