/* Secrets in files and requests: the seed, the API's token, the backup. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/server.h"
#include "backup.h"
#include "channel/types.h"
#include "ct.h"
#include "seed.h"

#define TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* --- Hex ----------------------------------------------------------------------------------------- */

static bool hex(void) {
  uint8_t bytes[32], back[32];
  char text[65];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 37);
  ct_secret(bytes, sizeof bytes);
  ch_hex(text, bytes, sizeof bytes);
  bool ok = ct_is_secret(text, sizeof text - 1);
  ct_public(text, sizeof text);
  ct_secret_digits(text, sizeof text - 1);
  ok = ok && ch_unhex(back, sizeof back, text) && ct_is_secret(back, sizeof back);
  ct_public(bytes, sizeof bytes);
  ct_public(back, sizeof back);
  return ok && memcmp(bytes, back, sizeof back) == 0;
}

/* --- The API's token ----------------------------------------------------------------------------- */

static bool token_shown(void) {
  char token[CD_API_TOKEN_STR] = TOKEN, wrong[] = "Bearer " TOKEN;
  wrong[7]++;
  ct_secret(token, sizeof token - 1);
  bool ok = cd_api_token_shown(token, "Bearer " TOKEN) && !cd_api_token_shown(token, wrong);
  wrong[7]--;
  wrong[70]++;
  return ok && !cd_api_token_shown(token, wrong) && !cd_api_token_shown(token, "Bearer 00") &&
         !cd_api_token_shown(token, NULL);
}

/* Writes a file that only its owner reads, in the current folder. */
static bool write_file(const char *name, const char *text) {
  FILE *file = fopen(name, "w");
  bool ok = file != NULL && fputs(text, file) >= 0;
  return file != NULL && fclose(file) == 0 && chmod(name, 0600) == 0 && ok;
}

static bool token_file(void) {
  char token[CD_API_TOKEN_STR], why[256];
  if (!write_file("api.token", TOKEN "\n")) return false;
  ct_next_read_is_secret(1); /* 0 means none */
  bool ok =
      cd_api_token_load("api.token", token, why, sizeof why) == CH_OK && ct_is_secret(token + 1, sizeof token - 2);
  unlink("api.token");
  ct_public(token, sizeof token);
  return ok && strcmp(token, TOKEN) == 0;
}

/* --- The seed ------------------------------------------------------------------------------------ */

/* Of 64 bytes 0x5e, under "correct horse": with libsodium's least costs, as the key's making is not looked at. */
static bool write_sealed(void) {
  static const char passphrase[] = "correct horse";
  uint8_t seed[CD_SEED_LEN], salt[crypto_pwhash_SALTBYTES] = {1}, nonce[crypto_secretbox_NONCEBYTES] = {2};
  uint8_t key[crypto_secretbox_KEYBYTES], box[CD_SEED_LEN + crypto_secretbox_MACBYTES];
  char salt_hex[2 * sizeof salt + 1], nonce_hex[2 * sizeof nonce + 1], box_hex[2 * sizeof box + 1], line[400];
  memset(seed, 0x5e, sizeof seed);
  if (crypto_pwhash(key, sizeof key, passphrase, strlen(passphrase), salt, 1, 8192, crypto_pwhash_ALG_ARGON2ID13) != 0)
    return false;
  ct_public(key, sizeof key);
  crypto_secretbox_easy(box, seed, sizeof seed, nonce, key);
  ch_hex(salt_hex, salt, sizeof salt);
  ch_hex(nonce_hex, nonce, sizeof nonce);
  ch_hex(box_hex, box, sizeof box);
  snprintf(line, sizeof line, "channeld-seed-v1 argon2id 1 8 %s %s %s\n", salt_hex, nonce_hex, box_hex);
  return write_file("seed", line);
}

static bool read_seed(const char *passphrase, uint8_t seed[CD_SEED_LEN]) {
  char why[700];
  cd_passphrase given = {.len = strlen(passphrase)};
  memcpy(given.text, passphrase, given.len);
  const cd_passphrase_source from = {.given = &given};
  return cd_seed_read(".", &from, seed, why, sizeof why);
}

static bool is_the_seed(uint8_t seed[CD_SEED_LEN]) {
  bool secret = ct_is_secret(seed, CD_SEED_LEN);
  ct_public(seed, CD_SEED_LEN);
  return secret && seed[0] == 0x5e && seed[CD_SEED_LEN - 1] == 0x5e;
}

static bool sealed_seed(void) {
  uint8_t seed[CD_SEED_LEN] = {0};
  if (!write_sealed()) return false;
  bool ok = read_seed("correct horse", seed) && is_the_seed(seed);
  ok = ok && !read_seed("correct house", seed);
  unlink("seed");
  return ok;
}

static bool plain_seed(void) {
  static const char head[] = "channeld-seed-v1 plain ";
  uint8_t seed[CD_SEED_LEN];
  char line[sizeof head + 2 * CD_SEED_LEN + 1];
  memset(seed, 0x5e, sizeof seed);
  memcpy(line, head, sizeof head);
  ch_hex(line + strlen(head), seed, sizeof seed);
  if (!write_file("seed", strcat(line, "\n"))) return false;
  memset(seed, 0, sizeof seed);
  ct_next_read_is_secret(strlen(head));
  bool ok = read_seed("", seed) && is_the_seed(seed);
  unlink("seed");
  return ok;
}

/* --- The backup ---------------------------------------------------------------------------------- */

static bool backup(void) {
  uint8_t seed[CD_SEED_LEN], *file = NULL;
  size_t len;
  char address[] = "host:1";
  cd_backup_peer peer = {.address = address};
  cd_backup out, in = {.written = 5, .peers = &peer, .n_peers = 1};
  const ch_secret key = {{1}};
  memset(seed, 0x5e, sizeof seed);
  ct_secret(seed, sizeof seed);
  if (ch_pubkey_of(&peer.node, &key) != CH_OK || cd_backup_seal(&in, seed, &file, &len) != CH_OK) return false;
  ct_public(file, len);
  bool ok = cd_backup_open(&out, seed, file, len) == CH_OK && out.written == 5 && out.n_peers == 1;
  cd_backup_clear(&out);
  file[len - 1] ^= 1;
  ok = ok && cd_backup_open(&out, seed, file, len) == CH_ERR_KEY;
  free(file);
  return ok;
}

const ct_check ct_file_checks[] = {
    {"hex digits", hex},
    {"the API's token, right and wrong", token_shown},
    {"the API's token in its file", token_file},
    {"the seed without a passphrase", plain_seed},
    {"the seed under a passphrase, right and wrong", sealed_seed},
    {"the backup under the seed", backup},
    {NULL, NULL},
};
