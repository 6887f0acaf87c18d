#include "channel/crypto.h"

#include <sodium.h>
#include <stdlib.h>

/* BIP-39. A sentence of 3k words of 11 bits carries 4k bytes of entropy and then k bits of checksum. */
#define WORD_BITS 11
#define WORD_COUNT 2048
#define WORD_LETTERS 8
#define BYTES_MAX 33 /* 24 words: 32 bytes of entropy and one of checksum */

/* The checksum bits of `len` bytes of entropy, at the top of a byte: the first bits of their SHA-256. */
static uint8_t checksum(const uint8_t *entropy, size_t len) {
  uint8_t hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, entropy, len);
  uint8_t bits = (uint8_t)(hash[0] & 0xff << (8 - len / 4));
  ch_wipe(hash, sizeof hash);
  return bits;
}

/* The 11 bits that start at bit `at`. */
static unsigned get_word(const uint8_t bytes[BYTES_MAX], size_t at) {
  unsigned index = 0;
  for (size_t bit = at; bit < at + WORD_BITS; bit++)
    index = index << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1);
  return index;
}

static void put_word(uint8_t bytes[BYTES_MAX], size_t at, unsigned index) {
  for (size_t bit = at; bit < at + WORD_BITS; bit++) {
    unsigned set = index >> (at + WORD_BITS - 1 - bit) & 1;
    bytes[bit / 8] |= (uint8_t)(set << (7 - bit % 8));
  }
}

ch_err ch_words_from_entropy(char out[CH_WORDS_STR], const uint8_t *entropy, size_t len) {
  if (len < 16 || len > 32 || len % 4 != 0) return CH_ERR_ARGUMENT;
  uint8_t bytes[BYTES_MAX];
  memcpy(bytes, entropy, len);
  bytes[len] = checksum(entropy, len);
  size_t words = len / 4 * 3;
  char *p = out;
  for (size_t i = 0; i < words; i++) {
    const char *word = ch_word(get_word(bytes, i * WORD_BITS));
    size_t letters = strlen(word);
    memcpy(p, word, letters);
    p += letters;
    *p++ = i + 1 < words ? ' ' : '\0';
  }
  ch_wipe(bytes, sizeof bytes);
  return CH_OK;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The number of a lower-case word, or -1; the list is sorted. */
static int find_word(const char *word) {
  int low = 0, high = WORD_COUNT - 1;
  while (low <= high) {
    int middle = (low + high) / 2;
    int order = strcmp(word, ch_word((unsigned)middle));
    if (order == 0) return middle;
    if (order < 0)
      high = middle - 1;
    else
      low = middle + 1;
  }
  return -1;
}

/* Reads one word at *s, which is no blank, and moves *s behind it. The word's number, or -1. */
static int next_word(const char **s) {
  char word[WORD_LETTERS + 1] = {0};
  int index = -1;
  for (size_t n = 0; n <= WORD_LETTERS; n++, (*s)++) {
    char c = **s;
    if (c == '\0' || is_blank(c)) {
      index = find_word(word);
      break;
    }
    if (n < WORD_LETTERS) word[n] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  ch_wipe(word, sizeof word);
  return index;
}

/* The bits of a sentence in `bytes`, zeroed by the caller, and its number of words; 0 if a word is wrong or too many.
 */
static size_t read_words(uint8_t bytes[BYTES_MAX], const char *s) {
  size_t words = 0;
  for (;;) {
    while (is_blank(*s))
      s++;
    if (*s == '\0') return words;
    int index = words < CH_WORDS_MAX ? next_word(&s) : -1;
    if (index < 0) return 0;
    put_word(bytes, words++ * WORD_BITS, (unsigned)index);
  }
}

ch_err ch_words_to_entropy(uint8_t out[32], size_t *len, const char *words) {
  uint8_t bytes[BYTES_MAX] = {0};
  ch_err err = CH_ERR_WORDS;
  size_t count = read_words(bytes, words);
  size_t entropy_len = count / 3 * 4;
  if (count >= 12 && count % 3 == 0 && bytes[entropy_len] == checksum(bytes, entropy_len)) {
    memcpy(out, bytes, entropy_len);
    *len = entropy_len;
    err = CH_OK;
  }
  ch_wipe(bytes, sizeof bytes);
  return err;
}

/* Any spelling of a sentence that we accept, as the one spelling that BIP-39 derives the seed from. */
static ch_err canonical_words(char out[CH_WORDS_STR], const char *words) {
  uint8_t entropy[32];
  size_t len;
  ch_err err = ch_words_to_entropy(entropy, &len, words);
  if (err == CH_OK) err = ch_words_from_entropy(out, entropy, len);
  ch_wipe(entropy, sizeof entropy);
  return err;
}

static bool is_ascii(const char *s) {
  for (; *s != '\0'; s++) {
    if ((unsigned char)*s > 0x7f) return false;
  }
  return true;
}

ch_err ch_words_to_seed(uint8_t seed[64], const char *words, const char *passphrase) {
  static const char prefix[] = "mnemonic";
  if (passphrase == NULL) passphrase = "";
  if (!is_ascii(passphrase)) return CH_ERR_WORDS;
  char sentence[CH_WORDS_STR];
  ch_err err = canonical_words(sentence, words);
  if (err != CH_OK) return err;
  size_t passphrase_len = strlen(passphrase);
  size_t salt_len = sizeof prefix - 1 + passphrase_len;
  uint8_t *salt = malloc(salt_len);
  if (salt != NULL) {
    memcpy(salt, prefix, sizeof prefix - 1);
    memcpy(salt + sizeof prefix - 1, passphrase, passphrase_len);
    ch_pbkdf2_sha512(seed, 64, (const uint8_t *)sentence, strlen(sentence), salt, salt_len, 2048);
    ch_wipe(salt, salt_len);
    free(salt);
  }
  ch_wipe(sentence, sizeof sentence);
  return salt != NULL ? CH_OK : CH_ERR_NO_MEMORY;
}
