#include "backup_show.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backup.h"
#include "config.h"
#include "options.h"
#include "seed.h"
#include "words.h"

#define WHY_LEN 700

typedef struct options {
  const char *file;
  char dir[CD_PATH_LEN];
  bool words, help;
  cd_passphrase_source passphrase;
} options;

static void print_help(FILE *to) {
  fputs("usage: channeld backup show [FILE] [FLAG...]    lists what a backup has; FILE is DIR/" CD_BACKUP_NAME "\n"
        "                                                or a copy of it\n"
        "\n"
        "  --dir DIR               the data directory that has the seed (default ~/.channeld)\n"
        "  --passphrase-file FILE  of the seed (else CHANNELD_PASSPHRASE, or asked for)\n"
        "  --words                 read the recovery words from standard input instead of the directory's seed\n"
        "\n"
        "The daemon writes the file at every opening, before money goes into the channel. Copy it anywhere: it is\n"
        "encrypted under the seed. `channeld init --words --backup FILE` restores from it.\n",
        to);
}

static bool parse(options *o, int argc, char **argv, char *why) {
  const char *dir = NULL;
  const cd_option list[] = {
      {"--dir", &dir, NULL},        {"--passphrase-file", &o->passphrase.file, NULL},
      {"--words", NULL, &o->words}, {"--help", NULL, &o->help},
      {"-h", NULL, &o->help},
  };
  bool show = argc > 0 && strcmp(argv[0], "show") == 0;
  if (!show && (argc == 0 || argv[0][0] != '-')) {
    snprintf(why, WHY_LEN, "It knows only `channeld backup show`; `channeld backup --help` says more.");
    return false;
  }
  return cd_options_read(list, sizeof list / sizeof list[0], show ? &o->file : NULL, argc - show, argv + show,
                         "channeld backup", why, WHY_LEN) &&
         cd_options_dir(dir, o->dir, sizeof o->dir, why, WHY_LEN);
}

/* Words and seed, in locked memory. */
typedef struct secrets {
  char words[CD_WORDS_LEN];
  uint8_t seed[CD_SEED_LEN];
} secrets;

static bool get_seed(const options *o, secrets *s, char *why) {
  if (!o->words) return cd_seed_read(o->dir, &o->passphrase, s->seed, why, WHY_LEN);
  if (!cd_words_ask(s->words, why, WHY_LEN)) return false;
  ch_err err = ch_words_to_seed(s->seed, s->words, NULL);
  if (err != CH_OK) snprintf(why, WHY_LEN, "%s", ch_err_text(err));
  return err == CH_OK;
}

/* --- Printing ------------------------------------------------------------------------------------ */

static void print_time(const char *name, uint64_t seconds) {
  char text[40] = "?";
  struct tm tm;
  time_t t = (time_t)seconds;
  if (gmtime_r(&t, &tm) != NULL) strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
  printf("%s%s\n", name, text);
}

static void print_hex(const char *name, const uint8_t *b, size_t len) {
  char hex[2 * 33 + 1];
  ch_hex(hex, b, len);
  printf("%s%s\n", name, hex);
}

static void print_channel(const ch_origin *o) {
  ch_hash params_hash, id;
  char mine[CH_MONEY_STR], peer[CH_MONEY_STR], bond[CH_MONEY_STR];
  ch_params_hash(&params_hash, &o->chain, &o->params);
  ch_channel_id(&id, &params_hash, &o->params.asset);
  print_hex("channel 0x", id.b, sizeof id.b);
  print_hex("  peer         ", o->peer.b, sizeof o->peer.b);
  printf("  chain        %llu\n", (unsigned long long)o->chain.chain_id);
  print_hex("  adjudicator  0x", o->chain.adjudicator.b, sizeof o->chain.adjudicator.b);
  print_hex("  asset        0x", o->params.asset.b, sizeof o->params.asset.b);
  print_hex("  pays out to  0x", o->params.payout[o->side].b, sizeof o->params.payout[o->side].b);
  printf("  agreed       deposit %s, the peer's %s, challenge period %u s, bond %s\n",
         ch_amount_str(mine, o->deposit[o->side]), ch_amount_str(peer, o->deposit[1 - o->side]),
         o->params.challenge_period, ch_amount_str(bond, o->params.bond));
  print_time("  opened       ", o->created);
}

static void print_backup(const cd_backup *b) {
  print_time("written ", b->written);
  printf("%zu channels, %zu peers with an address\n", b->n_channels, b->n_peers);
  for (size_t i = 0; i < b->n_channels; i++)
    print_channel(&b->channels[i]);
  for (size_t i = 0; i < b->n_peers; i++) {
    print_hex("peer ", b->peers[i].node.b, sizeof b->peers[i].node.b);
    printf("  address      %s\n", b->peers[i].address);
  }
}

static bool show(const options *o, char *why) {
  char path[CD_PATH_LEN + 32];
  cd_backup b;
  secrets *s = sodium_malloc(sizeof *s);
  if (s == NULL) {
    snprintf(why, WHY_LEN, "There is no locked memory for the seed; raise `ulimit -l`.");
    return false;
  }
  snprintf(path, sizeof path, "%s/%s", o->dir, CD_BACKUP_NAME);
  bool ok = get_seed(o, s, why) && cd_backup_read(&b, s->seed, o->file == NULL ? path : o->file, NULL, why, WHY_LEN);
  sodium_free(s);
  if (!ok) return false;
  print_backup(&b);
  cd_backup_clear(&b);
  return true;
}

int cd_backup_command(int argc, char **argv, const cd_passphrase *given) {
  char why[WHY_LEN];
  options o = {.passphrase = {getenv("CHANNELD_PASSPHRASE_FILE"), given}};
  bool ok = parse(&o, argc, argv, why);
  if (ok && o.help) {
    print_help(stdout);
    return 0;
  }
  if (ok && show(&o, why)) return 0;
  fprintf(stderr, "channeld backup: %s\n", why);
  return 1;
}
