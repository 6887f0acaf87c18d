#include "init.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channel/signer.h"
#include "config.h"
#include "datadir.h"
#include "store/lock.h"

#define WHY_LEN 700
#define LINE_LEN 512

typedef struct options {
  char dir[CD_PATH_LEN];
  const char *words; /* NULL: make new ones; "-": read them from standard input */
  unsigned number;
  bool yes; /* do not wait until the words are written down */
  bool help;
} options;

static void print_help(FILE *to) {
  fputs("usage: channeld init [--dir DIR] [--number 12|24] [--yes]   new recovery words, shown once\n"
        "       channeld init [--dir DIR] --words \"WORD...\"          the keys of words that you have\n"
        "       channeld init [--dir DIR] --words -                  the same, read from standard input\n"
        "--yes does not wait until you say that you have written the words down.\n",
        to);
}

static bool parse(options *o, int argc, char **argv, char *why) {
  const char *home = getenv("HOME"), *dir = getenv("CHANNELD_DIR");
  *o = (options){.number = 12};
  if (dir != NULL) {
    snprintf(o->dir, sizeof o->dir, "%s", dir);
  } else {
    snprintf(o->dir, sizeof o->dir, "%s/.channeld", home == NULL ? "." : home);
  }
  for (int i = 0; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      o->help = true;
      return true;
    }
    if (strcmp(argv[i], "--yes") == 0) {
      o->yes = true;
      continue;
    }
    if (strcmp(argv[i], "--dir") == 0 && value != NULL && strlen(value) < sizeof o->dir) {
      strcpy(o->dir, value);
    } else if (strcmp(argv[i], "--words") == 0 && value != NULL) {
      o->words = value;
    } else if (strcmp(argv[i], "--number") == 0 && value != NULL &&
               (strcmp(value, "12") == 0 || strcmp(value, "24") == 0)) {
      o->number = (unsigned)atoi(value);
    } else {
      snprintf(why, WHY_LEN, "`%.60s` is not understood here; `channeld init --help` shows how.", argv[i]);
      return false;
    }
    i++;
  }
  return true;
}

static bool new_words(char out[CH_WORDS_STR], unsigned number, char *why) {
  uint8_t entropy[32];
  size_t len = number == 12 ? 16 : 32;
  randombytes_buf(entropy, len);
  ch_err err = ch_words_from_entropy(out, entropy, len);
  sodium_memzero(entropy, sizeof entropy);
  if (err != CH_OK) snprintf(why, WHY_LEN, "%s", ch_err_text(err));
  return err == CH_OK;
}

static bool given_words(char out[LINE_LEN], const char *words, char *why) {
  if (strcmp(words, "-") != 0) {
    snprintf(out, LINE_LEN, "%s", words);
  } else {
    if (isatty(STDIN_FILENO)) fputs("recovery words: ", stderr);
    if (fgets(out, LINE_LEN, stdin) == NULL) out[0] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
  }
  uint8_t entropy[32];
  size_t len;
  ch_err err = ch_words_to_entropy(entropy, &len, out);
  sodium_memzero(entropy, sizeof entropy);
  if (err != CH_OK) snprintf(why, WHY_LEN, "%s", ch_err_text(err));
  return err == CH_OK;
}

/* The words in rows of four, numbered. */
static void show_words(const char *words) {
  puts("Your recovery words. Write them down on paper now: they are shown only this once, and whoever\n"
       "has them has your money.\n");
  for (unsigned i = 1; *words != '\0'; i++) {
    size_t len = strcspn(words, " ");
    printf("  %2u %-10.*s%s", i, (int)len, words, i % 4 == 0 ? "\n" : "");
    words += len + strspn(words + len, " ");
  }
  puts("");
}

static void wait_for_reader(void) {
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return;
  fputs("Press Enter when you have written them down. ", stdout);
  fflush(stdout);
  for (int c = getchar(); c != '\n' && c != EOF;)
    c = getchar();
}

static bool show_identity(const uint8_t seed[64], char *why) {
  ch_keyring *keys;
  ch_pubkey node;
  char hex[67];
  ch_err err = ch_keyring_new(&keys, seed);
  if (err == CH_OK) {
    ch_signer signer = ch_keyring_signer(keys);
    err = signer.node_id(signer.ctx, &node);
    ch_keyring_free(keys);
  }
  if (err != CH_OK) {
    snprintf(why, WHY_LEN, "%s", ch_err_text(err));
    return false;
  }
  ch_hex(hex, node.b, sizeof node.b);
  printf("node id: %s\n", hex);
  return true;
}

static bool make(const options *o, char *why) {
  char words[LINE_LEN];
  uint8_t seed[64];
  int lock;
  if (!cd_dir_make(o->dir, why, WHY_LEN) || cd_dir_lock(o->dir, &lock, why, WHY_LEN) != CH_OK) return false;
  bool ok = o->words == NULL ? new_words(words, o->number, why) : given_words(words, o->words, why);
  if (ok) {
    ch_err err = ch_words_to_seed(seed, words, NULL);
    if (err != CH_OK) snprintf(why, WHY_LEN, "%s", ch_err_text(err));
    ok = err == CH_OK && cd_seed_write(o->dir, seed, why, WHY_LEN);
  }
  if (ok && o->words == NULL) {
    show_words(words);
    if (!o->yes) wait_for_reader();
  }
  ok = ok && show_identity(seed, why);
  sodium_memzero(words, sizeof words);
  sodium_memzero(seed, sizeof seed);
  cd_dir_unlock(lock);
  return ok;
}

int cd_init(int argc, char **argv) {
  options o;
  char why[WHY_LEN];
  bool ok = parse(&o, argc, argv, why);
  if (ok && o.help) {
    print_help(stdout);
    return 0;
  }
  if (!ok || !make(&o, why)) {
    fprintf(stderr, "channeld init: %s\n", why);
    return 1;
  }
  printf("The keys are in %s. Start the daemon with: channeld --dir %s\n", o.dir, o.dir);
  return 0;
}
