#include "init.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/signer.h"
#include "config.h"
#include "datadir.h"
#include "options.h"
#include "restore.h"
#include "seed.h"
#include "store/lock.h"
#include "terminal.h"
#include "words.h"

#define WHY_LEN 700

typedef struct options {
  char dir[CD_PATH_LEN];
  unsigned number;
  bool restore; /* the words are there already */
  bool yes;     /* nobody is there to confirm new words */
  bool plain;   /* the seed is not to be encrypted */
  bool help;
  const char *backup; /* NULL: none */
  cd_passphrase_source passphrase;
} options;

/* All that is secret; in locked memory. */
typedef struct secrets {
  char words[CD_WORDS_LEN];
  uint8_t seed[CD_SEED_LEN];
} secrets;

static void print_help(FILE *to) {
  fputs(
      "usage: channeld init [FLAG...]            new recovery words, shown once and asked back\n"
      "       channeld init --words [FLAG...]    the keys of words that you have; they are read from standard input\n"
      "\n"
      "  --dir DIR               the data directory to make (default ~/.channeld)\n"
      "  --backup FILE           with --words: also the channels of this backup, frozen, to ask their peers\n"
      "  --number 12|24          so many new words (default 12)\n"
      "  --yes                   do not ask the new words back: for scripts\n"
      "  --passphrase-file FILE  encrypt the seed with the first line of FILE, which others must not be able to read\n"
      "  --no-passphrase         keep the seed unencrypted\n"
      "\n"
      "Without either of the last two the passphrase comes from CHANNELD_PASSPHRASE, or is asked for twice.\n",
      to);
}

static bool parse(options *o, int argc, char **argv, const cd_passphrase *given, char *why) {
  const char *dir = NULL, *number = "12";
  *o = (options){.passphrase = {getenv("CHANNELD_PASSPHRASE_FILE"), given}};
  const cd_option list[] = {
      {"--dir", &dir, NULL},
      {"--number", &number, NULL},
      {"--backup", &o->backup, NULL},
      {"--words", NULL, &o->restore},
      {"--yes", NULL, &o->yes},
      {"--passphrase-file", &o->passphrase.file, NULL},
      {"--no-passphrase", NULL, &o->plain},
      {"--help", NULL, &o->help},
      {"-h", NULL, &o->help},
  };
  if (!cd_options_read(list, sizeof list / sizeof list[0], NULL, argc, argv, "channeld init", why, WHY_LEN))
    return false;
  if (strcmp(number, "12") != 0 && strcmp(number, "24") != 0) {
    snprintf(why, WHY_LEN, "--number is 12 or 24.");
    return false;
  }
  if (o->backup != NULL && !o->restore) {
    snprintf(why, WHY_LEN, "--backup goes with --words: new keys cannot open it.");
    return false;
  }
  o->number = number[0] == '1' ? 12 : 24;
  return cd_options_dir(dir, o->dir, sizeof o->dir, why, WHY_LEN);
}

/* Words in hand: made and confirmed, or given. */
static bool get_words(const options *o, char words[CD_WORDS_LEN], char *why) {
  if (o->restore) return cd_words_ask(words, why, WHY_LEN);
  if (!o->yes && !cd_terminal()) {
    snprintf(why, WHY_LEN, "Nobody can confirm the new words here: run it at a terminal, or with --yes.");
    return false;
  }
  if (!cd_words_make(words, o->number, why, WHY_LEN)) return false;
  cd_words_show(words);
  return o->yes || cd_words_confirm(words, why, WHY_LEN);
}

static bool show_identity(const uint8_t *seed, char *why) {
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

static bool make_seed(const options *o, secrets *s, const cd_passphrase *p, char *why) {
  if (!get_words(o, s->words, why)) return false;
  ch_err err = ch_words_to_seed(s->seed, s->words, NULL);
  if (err != CH_OK) {
    snprintf(why, WHY_LEN, "%s", ch_err_text(err));
    return false;
  }
  /* The seed comes last: with it the directory is complete. */
  size_t n = 0;
  if (o->backup != NULL && !cd_restore(o->dir, s->seed, o->backup, &n, why, WHY_LEN)) return false;
  if (!cd_seed_write(o->dir, s->seed, p, why, WHY_LEN)) return false;
  if (o->backup != NULL) printf("%zu channels are restored; they are frozen until their peers have been asked.\n", n);
  return show_identity(s->seed, why);
}

/* What can be refused is refused before anybody writes words down. */
static bool make(const options *o, char *why) {
  int lock;
  if (!cd_dir_make(o->dir, why, WHY_LEN) || cd_dir_lock(o->dir, &lock, why, WHY_LEN) != CH_OK) return false;
  secrets *s = sodium_malloc(sizeof *s);
  cd_passphrase *p = NULL;
  bool ok = s != NULL && !cd_seed_exists(o->dir);
  if (s == NULL) {
    snprintf(why, WHY_LEN, "There is no locked memory for the seed; raise `ulimit -l`.");
  } else if (!ok) {
    snprintf(why, WHY_LEN, "There is a seed in %.400s already; it is never overwritten. Give another directory.",
             o->dir);
  }
  if (ok && !o->plain) {
    p = cd_passphrase_new(&o->passphrase, why, WHY_LEN);
    ok = p != NULL;
  }
  ok = ok && make_seed(o, s, p, why);
  sodium_free(p);
  sodium_free(s);
  cd_dir_unlock(lock);
  return ok;
}

int cd_init(int argc, char **argv, const cd_passphrase *given) {
  options o;
  char why[WHY_LEN];
  bool ok = parse(&o, argc, argv, given, why);
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
