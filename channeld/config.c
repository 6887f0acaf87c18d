#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "channel/crypto.h"
#include "channel/lock.h"

typedef enum kind { TEXT, NUMBER, AMOUNT, ADDRESS, LEVEL, FINALITY, URLS } kind;

/* Where a value stands. */
typedef enum source { DEFAULTS, CONFIG_FILE, ENVIRONMENT, FLAGS } source;

typedef struct setting {
  const char *name, *value, *sample; /* `value`: the default; NULL: found out at start */
  kind kind;
  size_t offset, size; /* in cd_config; of a TEXT */
  uint64_t min, max;   /* of a NUMBER */
  const char *help;
} setting;

#define AT(field) offsetof(cd_config, field), sizeof(((cd_config *)0)->field)

static const setting settings[] = {
    {"dir", NULL, "DIR", TEXT, AT(dir), 0, 0, "the data directory (default ~/.channeld)"},
    {"listen", "127.0.0.1:9735", "HOST:PORT", TEXT, AT(listen), 0, 0, "where peers connect; port 0 takes any"},
    {"api", "127.0.0.1:8645", "HOST:PORT", TEXT, AT(api), 0, 0, "where the HTTP API listens; port 0 takes any"},
    {"l1", NULL, "KIND:WHERE", TEXT, AT(l1), 0, 0,
     "the chain: evm, or dev:FILE for an embedded one (default in ~/.local/share/channeld)"},
    {"confirmations", NULL, "N", FINALITY, AT(confirmations), 0, 1000,
     "blocks on top of one that counts as final, or safe or finalized (default: dev 1, evm finalized)"},
    {"rpc", NULL, "URL", URLS, AT(rpc), 0, 0, "a node of the evm chain, http or https; give several for safety"},
    {"contract", "", "ADDRESS", ADDRESS, AT(contract), 0, 0, "the Adjudicator on the evm chain"},
    {"chain-id", "0", "N", NUMBER, AT(chain_id), 0, INT64_MAX, "the evm chain's id; 0: what its nodes say"},
    {"l1-poll", "2000", "MS", NUMBER, AT(l1_poll), 50, 60000, "how often the evm chain's nodes are asked"},
    {"max-fee", "500000000000", "WEI", NUMBER, AT(max_fee), 1000000, 1000000000000000,
     "the most that is offered for a unit of gas on the evm chain, in disputes too"},
    {"workers", "0", "N", NUMBER, AT(workers), 0, CD_MAX_WORKERS, "threads for channels; 0: one per processor"},
    {"passphrase-file", NULL, "FILE", TEXT, AT(passphrase_file), 0, 0,
     "its first line opens the seed (default: CHANNELD_PASSPHRASE, or asked for)"},
    {"log", "info", "LEVEL", LEVEL, AT(log), 0, 0, "trace, debug, info, warn, error or broken"},
    {"payout", "", "ADDRESS", ADDRESS, AT(payout), 0, 0, "where closed channels pay to (default: the node's account)"},
    {"challenge-period", "86400", "SECONDS", NUMBER, AT(challenge_period), 60, 31536000,
     "the window of a dispute, in channels opened here"},
    {"bond", "0", "AMOUNT", AMOUNT, AT(bond), 0, 0, "what a challenger posts, in channels opened here"},
    {"min-challenge-period", "60", "SECONDS", NUMBER, AT(min_challenge_period), 1, 31536000,
     "channels of others with less are refused"},
    {"max-challenge-period", "2592000", "SECONDS", NUMBER, AT(max_challenge_period), 1, 31536000,
     "channels of others with more are refused"},
    {"max-bond", "1000000000000000000", "AMOUNT", AMOUNT, AT(max_bond), 0, 0,
     "channels of others with more are refused"},
    {"max-deposit", "0", "AMOUNT", AMOUNT, AT(max_deposit), 0, 0, "what others may ask this node to deposit"},
    {"max-pending-opens", "64", "N", NUMBER, AT(max_pending_opens), 0, 1000000, "unfinished openings per peer"},
    {"open-from", "any", "LIST", TEXT, AT(open_from), 0, 0,
     "who may open channels here: node ids with commas between, any or none"},
    {"min-deposit", "0", "AMOUNT", AMOUNT, AT(min_deposit), 0, 0,
     "channels of others in which they deposit less are refused"},
    {"max-channels", "10000", "N", NUMBER, AT(max_channels), 0, 1000000,
     "with so many channels, those of others are refused"},
    {"max-channels-per-peer", "1000", "N", NUMBER, AT(max_channels_per_peer), 0, 1000000,
     "the same for the channels with one peer"},
    {"assets", "none", "LIST", TEXT, AT(assets), 0, 0,
     "tokens that others may open channels in: addresses with commas between, any or none"},
    {"max-locks", "32", "N", NUMBER, AT(max_locks), 0, CH_LOCKS_MAX,
     "conditional payments that may be pending in a channel"},
    {"max-lock-time", "259200", "SECONDS", NUMBER, AT(max_lock_time), 1, 31536000, "how long one may last"},
    {"lock-margin", "1200", "SECONDS", NUMBER, AT(lock_margin), 0, 1000000,
     "how long it may take until a transaction is mined and deep enough: so much and freshness before the end of a "
     "conditional payment, its preimage goes to the chain"},
    {"freshness", "600", "SECONDS", NUMBER, AT(freshness), 10, 1000000,
     "nothing is signed while the chain's last block is older than this, or than a quarter of the challenge period"},
};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

static const setting *find(const char *name, size_t len) {
  for (size_t i = 0; i < N_SETTINGS; i++) {
    if (strlen(settings[i].name) == len && memcmp(settings[i].name, name, len) == 0) return &settings[i];
  }
  return NULL;
}

static bool parse_number(const setting *s, const char *value, uint64_t *out) {
  if (!isdigit((unsigned char)value[0])) return false;
  char *end;
  errno = 0;
  *out = strtoull(value, &end, 10);
  return errno == 0 && *end == '\0' && *out >= s->min && *out <= s->max;
}

static bool parse_address(const char *value, ch_addr *out) {
  *out = (ch_addr){0};
  return value[0] == '\0' || (ch_unhex(out->b, sizeof out->b, value) && !ch_addr_is_zero(out));
}

static bool parse_text(const setting *s, const char *value, char *out) {
  size_t len = strlen(value);
  if (len == 0 || len >= s->size) return false;
  memcpy(out, value, len + 1);
  return true;
}

static bool parse_finality(const setting *s, const char *value, uint64_t *out) {
  if (strcmp(value, "safe") == 0)
    *out = CD_FINAL_SAFE;
  else if (strcmp(value, "finalized") == 0)
    *out = CD_FINAL_FINALIZED;
  else
    return parse_number(s, value, out);
  return true;
}

/* One or more URLs; those of one source are put together. */
static bool add_urls(cd_config *c, const setting *s, const char *value, source from, char *out) {
  size_t len = (unsigned)from == c->rpc_source ? strlen(out) : 0;
  c->rpc_source = (unsigned)from;
  int n = snprintf(out + len, s->size - len, "%s%s", len > 0 ? " " : "", value);
  return value[0] != '\0' && n >= 0 && (size_t)n < s->size - len;
}

static bool assign(cd_config *c, const setting *s, const char *value, source from) {
  char *field = (char *)c + s->offset;
  switch (s->kind) {
  case TEXT: return parse_text(s, value, field);
  case NUMBER: return parse_number(s, value, (uint64_t *)(void *)field);
  case AMOUNT: return ch_amount_parse((ch_amount *)(void *)field, value) == CH_OK;
  case ADDRESS: return parse_address(value, (ch_addr *)(void *)field);
  case LEVEL: return cd_log_parse_level(value, (cd_log_level *)(void *)field);
  case FINALITY: return parse_finality(s, value, (uint64_t *)(void *)field);
  case URLS: return add_urls(c, s, value, from, field);
  }
  return false;
}

/* What a value should have looked like. */
static void explain(const setting *s, const char *value, const char *where, char *why, size_t why_len) {
  static const char *const wants[] = {
      [TEXT] = "a text that is not empty and not too long",
      [AMOUNT] = "a whole number of base units",
      [ADDRESS] = "an address of 40 hex digits",
      [LEVEL] = "trace, debug, info, warn, error or broken",
      [FINALITY] = "a whole number up to 1000, safe or finalized",
      [URLS] = "a URL, http://HOST:PORT or https://HOST",
  };
  if (s->kind == URLS) value = "..."; /* it may contain a password */
  if (s->kind == NUMBER) {
    snprintf(why, why_len, "%s: `%.60s` is no value for %s: give a whole number from %llu to %llu.", where, value,
             s->name, (unsigned long long)s->min, (unsigned long long)s->max);
  } else {
    snprintf(why, why_len, "%s: `%.60s` is no value for %s: give %s.", where, value, s->name, wants[s->kind]);
  }
}

/* --- Lists --------------------------------------------------------------------------------------- */

/* The next of a list of `size` bytes each, in hex with commas between. */
static bool next_item(const char **list, uint8_t *out, size_t size) {
  char one[80];
  size_t len = strcspn(*list, ",");
  if (len >= sizeof one) return false;
  memcpy(one, *list, len);
  one[len] = '\0';
  *list += len;
  if (**list == ',' && *++*list == '\0') return false;
  return ch_unhex(out, size, one);
}

static bool is_word(const char *list) {
  return strcmp(list, "any") == 0 || strcmp(list, "none") == 0;
}

/* `list` has been parsed before, so that every item is good. */
static bool lists(const char *list, const uint8_t *item, size_t size) {
  uint8_t one[sizeof(ch_pubkey)];
  if (is_word(list)) return strcmp(list, "any") == 0;
  while (*list != '\0') {
    if (next_item(&list, one, size) && memcmp(one, item, size) == 0) return true;
  }
  return false;
}

bool cd_config_asset_ok(const cd_config *c, const ch_addr *asset) {
  return ch_addr_is_zero(asset) || lists(c->assets, asset->b, sizeof asset->b);
}

bool cd_config_opener_ok(const cd_config *c, const ch_pubkey *node) {
  return lists(c->open_from, node->b, sizeof node->b);
}

static bool assets_parse(const char *list) {
  ch_addr one;
  if (is_word(list)) return true;
  while (*list != '\0') {
    if (!next_item(&list, one.b, sizeof one.b)) return false;
  }
  return true;
}

static bool openers_parse(const char *list) {
  ch_pubkey one;
  ch_addr unused;
  if (is_word(list)) return true;
  while (*list != '\0') {
    if (!next_item(&list, one.b, sizeof one.b) || ch_address_of(&unused, &one) != CH_OK) return false;
  }
  return true;
}

/* --- The sources --------------------------------------------------------------------------------- */

static bool read_defaults(cd_config *c, char *(*env)(const char *), char *why, size_t why_len) {
  *c = (cd_config){.confirmations = CD_FINAL_USUAL};
  for (size_t i = 0; i < N_SETTINGS; i++) {
    if (settings[i].value != NULL && !assign(c, &settings[i], settings[i].value, DEFAULTS)) {
      explain(&settings[i], settings[i].value, "defaults", why, why_len);
      return false;
    }
  }
  const char *home = env("HOME"), *data = env("XDG_DATA_HOME");
  snprintf(c->dir, sizeof c->dir, "%s/.channeld", home == NULL ? "." : home);
  if (data != NULL && data[0] == '/') {
    snprintf(c->l1, sizeof c->l1, "dev:%s/channeld/dev.chain", data);
  } else {
    snprintf(c->l1, sizeof c->l1, "dev:%s/.local/share/channeld/dev.chain", home == NULL ? "." : home);
  }
  return true;
}

static bool read_environment(cd_config *c, char *(*env)(const char *), char *why, size_t why_len) {
  for (size_t i = 0; i < N_SETTINGS; i++) {
    char name[64];
    int n = snprintf(name, sizeof name, "CHANNELD_%s", settings[i].name);
    for (int k = 0; k < n; k++)
      name[k] = name[k] == '-' ? '_' : (char)toupper((unsigned char)name[k]);
    const char *value = env(name);
    if (value != NULL && !assign(c, &settings[i], value, ENVIRONMENT)) {
      explain(&settings[i], value, name, why, why_len);
      return false;
    }
  }
  return true;
}

static cd_config_result read_flags(cd_config *c, int argc, char **argv, char *why, size_t why_len) {
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return CD_CONFIG_HELP;
    if (strcmp(argv[i], "--version") == 0) return CD_CONFIG_VERSION;
    const char *name = strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : "";
    const char *equals = strchr(name, '=');
    const setting *s = find(name, equals == NULL ? strlen(name) : (size_t)(equals - name));
    if (s == NULL) {
      snprintf(why, why_len, "`%.60s` is unknown; `channeld --help` lists the flags.", argv[i]);
      return CD_CONFIG_BAD;
    }
    const char *value = equals != NULL ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
    if (value == NULL) {
      snprintf(why, why_len, "--%s needs a value: --%s %s.", s->name, s->name, s->sample);
      return CD_CONFIG_BAD;
    }
    char flag[64];
    snprintf(flag, sizeof flag, "--%s", s->name);
    if (!assign(c, s, value, FLAGS)) {
      explain(s, value, flag, why, why_len);
      return CD_CONFIG_BAD;
    }
  }
  return CD_CONFIG_OK;
}

static char *trim(char *text) {
  while (isspace((unsigned char)*text))
    text++;
  char *end = text + strlen(text);
  while (end > text && isspace((unsigned char)end[-1]))
    *--end = '\0';
  return text;
}

static bool read_line(cd_config *c, char *line, const char *where, char *why, size_t why_len) {
  line[strcspn(line, "#\n")] = '\0';
  char *key = trim(line);
  if (key[0] == '\0') return true;
  char *value = strchr(key, '=');
  if (value == NULL) {
    snprintf(why, why_len, "%s: `%.60s` is not of the form `key = value`.", where, key);
    return false;
  }
  *value++ = '\0';
  key = trim(key);
  value = trim(value);
  const setting *s = find(key, strlen(key));
  if (s == NULL || s->offset == offsetof(cd_config, dir)) {
    snprintf(why, why_len, "%s: `%.60s` is no setting; `channeld --help` lists them.", where, key);
    return false;
  }
  if (assign(c, s, value, CONFIG_FILE)) return true;
  explain(s, value, where, why, why_len);
  return false;
}

static bool read_file(cd_config *c, char *why, size_t why_len) {
  char path[CD_PATH_LEN + 16], where[CD_PATH_LEN + 48];
  snprintf(path, sizeof path, "%s/config", c->dir);
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    if (errno == ENOENT || errno == ENOTDIR) return true;
    snprintf(why, why_len, "%s cannot be read: %s.", path, strerror(errno));
    return false;
  }
  char *line = NULL;
  size_t cap = 0;
  bool ok = true;
  for (unsigned number = 1; ok && getline(&line, &cap, file) >= 0; number++) {
    snprintf(where, sizeof where, "%s line %u", path, number);
    ok = read_line(c, line, where, why, why_len);
  }
  free(line);
  fclose(file);
  return ok;
}

static bool check_together(const cd_config *c, char *why, size_t why_len) {
  if (c->min_challenge_period > c->max_challenge_period) {
    snprintf(why, why_len, "min-challenge-period is above max-challenge-period; no channel could be accepted.");
    return false;
  }
  if (!assets_parse(c->assets)) {
    snprintf(why, why_len, "assets: give addresses with commas between, `any` or `none`.");
    return false;
  }
  if (openers_parse(c->open_from)) return true;
  snprintf(why, why_len, "open-from: give node ids (66 hex digits) with commas between, `any` or `none`.");
  return false;
}

static cd_config_result load(cd_config *out, int argc, char **argv, char *(*env)(const char *), char *why,
                             size_t why_len) {
  /* The first round finds the directory, the second reads its file in the right place of the order. */
  if (!read_defaults(out, env, why, why_len) || !read_environment(out, env, why, why_len)) return CD_CONFIG_BAD;
  cd_config_result flags = read_flags(out, argc, argv, why, why_len);
  if (flags != CD_CONFIG_OK) return flags;
  char dir[CD_PATH_LEN];
  memcpy(dir, out->dir, sizeof dir);
  if (!read_defaults(out, env, why, why_len)) return CD_CONFIG_BAD;
  memcpy(out->dir, dir, sizeof dir);
  if (!read_file(out, why, why_len) || !read_environment(out, env, why, why_len)) return CD_CONFIG_BAD;
  flags = read_flags(out, argc, argv, why, why_len);
  return flags != CD_CONFIG_OK || check_together(out, why, why_len) ? flags : CD_CONFIG_BAD;
}

cd_config_result cd_config_load(cd_config *out, int argc, char **argv, char *(*env)(const char *), char *why,
                                size_t why_len) {
  cd_config_result result = load(out, argc, argv, env, why, why_len);
  if (result != CD_CONFIG_BAD) return result;
  for (char *s = why; *s != '\0'; s++) /* what it quotes must not steer a terminal */
    if ((unsigned char)*s < ' ' || *s == 127) *s = '?';
  return result;
}

void cd_config_help(FILE *to) {
  fputs("usage: channeld [FLAG...]        runs the daemon\n"
        "       channeld init             makes a data directory with new keys, or with those of recovery words\n"
        "       channeld passphrase       changes the passphrase of the seed\n"
        "       channeld backup show      lists the channels of a backup\n"
        "Each command says more with --help.\n\nflags:\n",
        to);
  for (size_t i = 0; i < N_SETTINGS; i++) {
    char flag[64];
    snprintf(flag, sizeof flag, "--%s %s", settings[i].name, settings[i].sample);
    fprintf(to, "  %-32s %s", flag, settings[i].help);
    if (settings[i].value != NULL && settings[i].value[0] != '\0') fprintf(to, " (default %s)", settings[i].value);
    fputc('\n', to);
  }
  fputs("  --help, --version\n\n"
        "Each flag can stand in DIR/config as a line `name = value`, or in the environment as CHANNELD_NAME.\n",
        to);
}
