#include "rekey.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "options.h"
#include "seed.h"
#include "store/lock.h"

#define WHY_LEN 700

typedef struct options {
  char dir[CD_PATH_LEN];
  bool plain, help;
  cd_passphrase_source now, next;
} options;

static void print_help(FILE *to) {
  fputs("usage: channeld passphrase [FLAG...]    changes the passphrase of the seed; the daemon must not be running\n"
        "\n"
        "  --dir DIR                   the data directory (default ~/.channeld)\n"
        "  --passphrase-file FILE      the present one (else CHANNELD_PASSPHRASE, or asked for)\n"
        "  --new-passphrase-file FILE  the new one (else CHANNELD_NEW_PASSPHRASE, or asked for twice)\n"
        "  --no-passphrase             keep the seed unencrypted from now on\n"
        "\n"
        "The old file is replaced, but a disk may keep its bytes, and so may your backups.\n",
        to);
}

static bool parse(options *o, int argc, char **argv, char *why) {
  const char *dir = NULL;
  const cd_option list[] = {
      {"--dir", &dir, NULL},
      {"--passphrase-file", &o->now.file, NULL},
      {"--new-passphrase-file", &o->next.file, NULL},
      {"--no-passphrase", NULL, &o->plain},
      {"--help", NULL, &o->help},
      {"-h", NULL, &o->help},
  };
  return cd_options_read(list, sizeof list / sizeof list[0], NULL, argc, argv, "channeld passphrase", why, WHY_LEN) &&
         cd_options_dir(dir, o->dir, sizeof o->dir, why, WHY_LEN);
}

static bool change_seed(const options *o, uint8_t *seed, char *why) {
  if (!cd_seed_read(o->dir, &o->now, seed, why, WHY_LEN)) return false;
  cd_passphrase *p = o->plain ? NULL : cd_passphrase_new(&o->next, why, WHY_LEN);
  bool ok = (p != NULL || o->plain) && cd_seed_replace(o->dir, seed, p, why, WHY_LEN);
  sodium_free(p);
  return ok;
}

static bool change(const options *o, char *why) {
  int lock;
  if (cd_dir_lock(o->dir, &lock, why, WHY_LEN) != CH_OK) return false;
  uint8_t *seed = sodium_malloc(CD_SEED_LEN);
  if (seed == NULL) snprintf(why, WHY_LEN, "There is no locked memory for the seed; raise `ulimit -l`.");
  bool ok = seed != NULL && change_seed(o, seed, why);
  sodium_free(seed);
  cd_dir_unlock(lock);
  return ok;
}

int cd_rekey(int argc, char **argv, const cd_passphrase *given) {
  char why[WHY_LEN];
  cd_passphrase *fresh = NULL;
  options o = {.now = {getenv("CHANNELD_PASSPHRASE_FILE"), given}};
  bool ok = parse(&o, argc, argv, why);
  if (ok && o.help) {
    print_help(stdout);
    return 0;
  }
  ok = ok && cd_passphrase_take("CHANNELD_NEW_PASSPHRASE", &fresh, why, sizeof why);
  o.next.given = fresh;
  ok = ok && change(&o, why);
  sodium_free(fresh);
  if (ok) {
    puts(o.plain ? "The seed is unencrypted now." : "The passphrase is changed.");
  } else {
    fprintf(stderr, "channeld passphrase: %s\n", why);
  }
  return ok ? 0 : 1;
}
