#include "words.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "channel/crypto.h"
#include "terminal.h"

#define ASKED 3 /* words that are asked for */
#define TRIES 3 /* for each */

static bool because(ch_err err, char *why, size_t why_len) {
  if (err != CH_OK) snprintf(why, why_len, "%s", ch_err_text(err));
  return err == CH_OK;
}

bool cd_words_make(char out[CD_WORDS_LEN], unsigned number, char *why, size_t why_len) {
  uint8_t entropy[32];
  size_t len = number == 12 ? 16 : 32;
  randombytes_buf(entropy, len);
  ch_err err = ch_words_from_entropy(out, entropy, len);
  sodium_memzero(entropy, sizeof entropy);
  return because(err, why, why_len);
}

bool cd_words_ask(char out[CD_WORDS_LEN], char *why, size_t why_len) {
  uint8_t entropy[32];
  size_t len;
  if (!cd_ask("Your recovery words, with blanks between: ", false, out, CD_WORDS_LEN, why, why_len)) return false;
  ch_err err = ch_words_to_entropy(entropy, &len, out);
  sodium_memzero(entropy, sizeof entropy);
  return because(err, why, why_len);
}

void cd_words_show(const char *words) {
  puts("Your recovery words. Write them down on paper now: they are shown only this once, and whoever\n"
       "has them has your money.\n");
  for (unsigned i = 1; *words != '\0'; i++) {
    size_t len = strcspn(words, " ");
    printf("  %2u %-10.*s%s", i, (int)len, words, i % 4 == 0 ? "\n" : "");
    words += len + strspn(words + len, " ");
  }
  puts("");
  fflush(stdout);
}

/* Word number `i`, from 1. */
static const char *find(const char *words, unsigned i, size_t *len) {
  while (--i > 0)
    words += strcspn(words, " ") + 1;
  *len = strcspn(words, " ");
  return words;
}

static unsigned count(const char *words) {
  unsigned n = 1;
  for (; *words != '\0'; words++)
    n += *words == ' ';
  return n;
}

/* Places of words to ask for, each once, in order. */
static void choose(unsigned out[ASKED], unsigned number) {
  unsigned wanted = ASKED;
  for (unsigned i = 1, n = 0; wanted > 0; i++) {
    if (randombytes_uniform(number - i + 1) >= wanted) continue;
    out[n++] = i;
    wanted--;
  }
}

static bool ask_one(const char *words, unsigned i, char *why, size_t why_len) {
  char prompt[32], typed[64];
  size_t len;
  const char *want = find(words, i, &len);
  snprintf(prompt, sizeof prompt, "Word number %u: ", i);
  for (unsigned tries = 0; tries < TRIES; tries++) {
    if (!cd_ask(prompt, false, typed, sizeof typed, why, why_len)) return false;
    const char *word = typed + strspn(typed, " \t");
    size_t n = strcspn(word, " \t");
    bool right = n == len && strncasecmp(word, want, len) == 0;
    sodium_memzero(typed, sizeof typed);
    if (right) return true;
    fputs("That is not what was shown.\n", stderr);
  }
  snprintf(why, why_len, "The words were not confirmed, so nothing was made; run it again for new words.");
  return false;
}

bool cd_words_confirm(const char *words, char *why, size_t why_len) {
  char enter[16];
  unsigned asked[ASKED];
  if (!cd_ask("Press Enter when you have written them down; the screen is then cleared. ", false, enter, sizeof enter,
              why, why_len))
    return false;
  cd_terminal_clear();
  choose(asked, count(words));
  for (size_t k = 0; k < ASKED; k++) {
    if (!ask_one(words, asked[k], why, why_len)) return false;
  }
  return true;
}
