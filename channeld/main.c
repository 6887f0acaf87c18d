/* main.c - channeld from its start to its end, in order. Read this first.
 *
 *   settings -> data directory, locked -> seed -> store -> chain -> node and transport -> API -> wait for a signal
 *
 * Each part is opened by a function that says in a sentence why it could not be; the parts are closed in the reverse
 * order. What runs in between is described in node.h.
 */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "backup_show.h"
#include "channel/signer.h"
#include "datadir.h"
#include "harden.h"
#include "identity.h"
#include "init.h"
#include "l1/dev/adapter.h"
#include "net/transport.h"
#include "node.h"
#include "rekey.h"
#include "seed.h"
#include "store/lock.h"
#include "store/sqlite.h"

#define WHY_LEN 1400 /* two paths fit */

typedef struct program {
  cd_config config;
  cd_passphrase *given; /* from the environment, or NULL; until the seed is read */
  int lock;             /* of the data directory; -1: none */
  cd_identity identity;
  cd_node node;
  bool node_made, node_started;
  cd_api *api;
  char why[WHY_LEN]; /* what went wrong, as a sentence */
} program;

static bool because(program *d, const char *what, ch_err err) {
  if (err != CH_OK) snprintf(d->why, sizeof d->why, "%s: %s", what, ch_err_text(err));
  return err == CH_OK;
}

/* They name ports of a daemon that runs. */
static void remove_addresses(const program *d) {
  static const char *const names[] = {"api.address", "peer.address"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char path[CD_PATH_LEN + 32];
    snprintf(path, sizeof path, "%s/%s", d->config.dir, names[i]);
    unlink(path);
  }
}

static bool open_directory(program *d) {
  const char *dir = d->config.dir;
  if (access(dir, F_OK) != 0) {
    snprintf(d->why, sizeof d->why, "There is no data directory %s: make one with `channeld init --dir %s`.", dir, dir);
    return false;
  }
  if (cd_dir_lock(dir, &d->lock, d->why, sizeof d->why) != CH_OK) return false;
  remove_addresses(d);
  return true;
}

static bool open_seed(program *d) {
  cd_passphrase_source from = {d->config.passphrase_file, d->given};
  d->node.seed = sodium_malloc(CD_SEED_LEN);
  if (d->node.seed == NULL) return because(d, "The seed cannot be kept in locked memory", CH_ERR_NO_MEMORY);
  if (sodium_mlock(d->node.seed, CD_SEED_LEN) != 0)
    cd_log(CD_LOG_WARN, "main", "keys may be swapped to disk: memory cannot be locked; raise `ulimit -l`");
  bool ok = cd_seed_read(d->config.dir, &from, d->node.seed, d->why, sizeof d->why);
  sodium_free(d->given);
  d->given = NULL;
  return ok && because(d, "The keys cannot be made", cd_identity_init(&d->identity, d->node.seed));
}

static bool open_store(program *d) {
  char path[CD_PATH_LEN + 32];
  snprintf(path, sizeof path, "%s/channeld.db", d->config.dir);
  cd_store_config cfg = {.path = path, .shards = CD_MAX_WORKERS};
  return cd_store_sqlite_open(&d->node.store, &cfg, d->why, sizeof d->why) == CH_OK;
}

/* The embedded chain's file, with its folder made. */
static bool dev_path(program *d, const char **path) {
  char folder[CD_PATH_LEN];
  if (strncmp(d->config.l1, "dev:", 4) != 0 || d->config.l1[4] == '\0') {
    snprintf(d->why, sizeof d->why, "--l1 %s: this release knows only dev:FILE.", d->config.l1);
    return false;
  }
  *path = d->config.l1 + 4;
  const char *slash = strrchr(*path, '/');
  if (slash == NULL || slash == *path) return true;
  snprintf(folder, sizeof folder, "%.*s", (int)(slash - *path), *path);
  return cd_dir_make(folder, d->why, sizeof d->why);
}

static bool open_chain(program *d) {
  const char *path;
  ch_secret account;
  if (!dev_path(d, &path)) return false;
  ch_keyring_account(d->identity.keys, &account);
  cd_l1_dev_config cfg = {.path = path, .account = &account, .confirmations = (uint32_t)d->config.confirmations};
  ch_err err = cd_l1_dev_open(&d->node.l1, &cfg, d->why);
  ch_wipe(&account, sizeof account);
  return err == CH_OK;
}

static bool open_node(program *d) {
  cd_net_listener listener = cd_node_net_listener(&d->node);
  cd_transport_config cfg;
  d->node.config = d->config;
  d->node_made = true;
  if (!cd_node_init(&d->node, d->why, sizeof d->why)) return false;
  cd_transport_defaults(&cfg);
  cfg.self = (cd_noise_self){.id = d->identity.id, .ecdh = cd_identity_ecdh, .ctx = &d->identity};
  if (!because(d, "The transport cannot be started", cd_transport_new(&d->node.net, &cfg, &listener))) return false;
  d->node_started = true;
  return cd_node_start(&d->node, d->why, sizeof d->why) &&
         cd_dir_write(d->config.dir, "peer.address", d->node.listen, d->why, sizeof d->why);
}

static void log_api(void *ctx, const char *sentence) {
  (void)ctx;
  cd_log(CD_LOG_WARN, "api", "%s", sentence);
}

static bool open_api(program *d) {
  char path[CD_PATH_LEN + 32], token[CD_API_TOKEN_STR];
  snprintf(path, sizeof path, "%s/api.token", d->config.dir);
  ch_err err = cd_api_token_load(path, token, d->why, sizeof d->why);
  if (err != CH_OK) return false;
  cd_api_config cfg = {
      .address = d->config.api, .token = token, .commands = cd_node_commands(&d->node), .log = log_api};
  err = cd_api_start(&d->api, &cfg, d->why, sizeof d->why);
  ch_wipe(token, sizeof token);
  return err == CH_OK && cd_dir_write(d->config.dir, "api.address", cd_api_address(d->api), d->why, sizeof d->why);
}

static void announce(const program *d) {
  char id[67];
  ch_hex(id, d->node.id.b, sizeof d->node.id.b);
  cd_log(CD_LOG_INFO, "main", "ready version=%s node=%s listen=%s api=%s l1=%s dir=%s", CD_VERSION, id, d->node.listen,
         cd_api_address(d->api), d->config.l1, d->config.dir);
}

/* Blocks the signals that end the daemon, so that only wait_for_end takes them. */
static sigset_t block_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

static void wait_for_end(const sigset_t *set) {
  int number = 0;
  while (sigwait(set, &number) != 0)
    continue;
  cd_log(CD_LOG_INFO, "main", "stopping signal=%d", number);
}

static void close_all(program *d) {
  atomic_store(&d->node.stopping, true);
  cd_api_stop(d->api);
  if (d->node_started) cd_node_stop(&d->node);
  cd_transport_free(&d->node.net);
  if (d->node.l1.ctx != NULL) cd_l1_dev_close(&d->node.l1);
  if (d->node.store.ctx != NULL) d->node.store.ops->close(d->node.store.ctx);
  if (d->node_made) cd_node_free(&d->node);
  if (d->identity.keys != NULL) cd_identity_free(&d->identity);
  sodium_free(d->node.seed);
  sodium_free(d->given);
  if (d->lock < 0) return;
  remove_addresses(d);
  cd_dir_unlock(d->lock);
}

static int run(int argc, char **argv, cd_passphrase *given) {
  static program d = {.lock = -1};
  d.given = given;
  switch (cd_config_load(&d.config, argc, argv, getenv, d.why, sizeof d.why)) {
  case CD_CONFIG_HELP: cd_config_help(stdout); return 0;
  case CD_CONFIG_VERSION: puts("channeld " CD_VERSION); return 0;
  case CD_CONFIG_BAD: fprintf(stderr, "channeld: %s\n", d.why); return 2;
  case CD_CONFIG_OK: break;
  }
  cd_log_set_level(d.config.log);
  /* A person who is asked for the passphrase may still interrupt; from then on a signal means a clean stop. */
  bool ok = open_directory(&d) && open_seed(&d);
  sigset_t signals = block_signals();
  ok = ok && open_store(&d) && open_chain(&d) && open_node(&d) && open_api(&d);
  if (ok) {
    announce(&d);
    wait_for_end(&signals);
  } else {
    fprintf(stderr, "channeld: %s\n", d.why);
  }
  close_all(&d);
  if (ok) cd_log(CD_LOG_INFO, "main", "stopped");
  return ok ? 0 : 1;
}

static int command(const char *name, int argc, char **argv, cd_passphrase *given) {
  int (*run_command)(int, char **, const cd_passphrase *) = NULL;
  if (strcmp(name, "init") == 0) run_command = cd_init;
  if (strcmp(name, "passphrase") == 0) run_command = cd_rekey;
  if (strcmp(name, "backup") == 0) run_command = cd_backup_command;
  if (run_command == NULL) return run(argc, argv, given);
  int status = run_command(argc - 1, argv + 1, given);
  sodium_free(given);
  return status;
}

int main(int argc, char **argv) {
  char why[200];
  cd_passphrase *given;
  cd_harden();
  if (sodium_init() < 0) {
    fputs("channeld: libsodium cannot be used on this machine.\n", stderr);
    return 1;
  }
  if (!cd_passphrase_take("CHANNELD_PASSPHRASE", &given, why, sizeof why)) {
    fprintf(stderr, "channeld: %s\n", why);
    return 1;
  }
  return command(argc > 1 ? argv[1] : "", argc - 1, argv + 1, given);
}
