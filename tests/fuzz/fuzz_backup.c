/* The static backup. The first byte says whether the rest is the file, or the text in it, which no fuzzer can seal:
 * that is done here. It is refused and nothing is left, or the one text of the channels and peers that were read. */
#include <sodium.h>

#include "backup.h"
#include "fuzz.h"

#define HEAD "channeld-backup-v1\n"
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define MAC crypto_aead_xchacha20poly1305_ietf_ABYTES
#define BLOCK 4096
#define START (strlen(HEAD) + NONCE)

static const uint8_t seed[64] = {1};

static void derive_key(uint8_t key[32]) {
  static const char info[] = "channeld/backup-v1";
  ch_hkdf_sha256(key, 32, NULL, 0, seed, sizeof seed, info, strlen(info));
}

/* The file with this text, malloc'ed. */
static uint8_t *seal(const uint8_t *text, size_t size, size_t *len) {
  uint8_t key[32];
  size_t padded;
  uint8_t *file = calloc(1, START + size + BLOCK + MAC), *box = file + START;
  must(file != NULL, "there is memory");
  memcpy(file, HEAD, strlen(HEAD));
  if (size > 0) memcpy(box, text, size);
  must(sodium_pad(&padded, box, size, BLOCK, size + BLOCK) == 0, "a text can be padded");
  derive_key(key);
  crypto_aead_xchacha20poly1305_ietf_encrypt(box, NULL, box, padded, file, strlen(HEAD), NULL, file + strlen(HEAD),
                                             key);
  *len = START + padded + MAC;
  return file;
}

static void same_text(const uint8_t *file, size_t len, const uint8_t *text, size_t size) {
  uint8_t key[32], *out = malloc(len);
  size_t unpadded;
  must(out != NULL, "there is memory");
  derive_key(key);
  must(crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, file + START, len - START, file, strlen(HEAD),
                                                  file + strlen(HEAD), key) == 0,
       "a backup is sealed as backup.h says");
  must(sodium_unpad(&unpadded, out, len - START - MAC, BLOCK) == 0, "and padded");
  must(unpadded == size && (size == 0 || memcmp(out, text, size) == 0), "one text");
  free(out);
}

static void open_text(const uint8_t *text, size_t size) {
  cd_backup b;
  size_t len;
  uint8_t *file = seal(text, size, &len);
  ch_err err = cd_backup_open(&b, seed, file, len);
  free(file);
  must(err == CH_OK || err == CH_ERR_FORMAT, "taken or malformed");
  if (err != CH_OK) {
    must(b.channels == NULL && b.peers == NULL && b.n_channels == 0 && b.n_peers == 0, "nothing is left");
    return;
  }
  must(cd_backup_seal(&b, seed, &file, &len) == CH_OK, "what was read can be written");
  same_text(file, len, text, size);
  free(file);
  cd_backup_clear(&b);
}

static void open_file(const uint8_t *file, size_t len) {
  cd_backup b;
  must(cd_backup_open(&b, seed, file, len) != CH_OK, "nobody else can seal a backup");
  must(b.channels == NULL && b.peers == NULL, "nothing is left");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || sodium_init() < 0) return 0;
  if (data[0] & 1) {
    open_file(data + 1, size - 1);
  } else {
    open_text(data + 1, size - 1);
  }
  return 0;
}
