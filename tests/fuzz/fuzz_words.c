/* Recovery words as a person types them: refused, or the sentence of their entropy but for case and blanks; and any
 * entropy is one sentence. */
#include "channel/crypto.h"
#include "fuzz.h"

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The text with lower-case letters and one blank between words. */
static char *normal(const char *text) {
  char *out = malloc(strlen(text) + 1), *p = out;
  must(out != NULL, "there is memory");
  for (; *text != '\0'; text++) {
    bool blank = is_blank(*text);
    if (blank && (p == out || p[-1] == ' ')) continue;
    *p++ = (char)(blank ? ' ' : *text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text);
  }
  if (p > out && p[-1] == ' ') p--;
  *p = '\0';
  return out;
}

static void sentence(const char *text) {
  uint8_t entropy[32], seed[64];
  char again[CH_WORDS_STR];
  size_t len;
  if (ch_words_to_entropy(entropy, &len, text) != CH_OK) {
    must(ch_words_to_seed(seed, text, NULL) == CH_ERR_WORDS, "no seed of wrong words");
    return;
  }
  char *same = normal(text);
  must(len >= 16 && len <= 32 && len % 4 == 0, "12 to 24 words");
  must(ch_words_from_entropy(again, entropy, len) == CH_OK && strcmp(again, same) == 0, "one sentence");
  free(same);
}

static void entropy(const uint8_t *data, size_t len) {
  char words[CH_WORDS_STR];
  uint8_t again[32];
  size_t again_len;
  if (ch_words_from_entropy(words, data, len) != CH_OK) return;
  must(strlen(words) < CH_WORDS_STR, "a sentence has a bound");
  must(ch_words_to_entropy(again, &again_len, words) == CH_OK, "a sentence is good");
  must(again_len == len && memcmp(again, data, len) == 0, "and says the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = text_of(data, size);
  sentence(text);
  entropy(data, size);
  free(text);
  return 0;
}
