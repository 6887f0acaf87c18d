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
#include "l1/evm/adapter.h"
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
  *path = d->config.l1 + strlen("dev:");
  const char *slash = strrchr(*path, '/');
  if (slash == NULL || slash == *path) return true;
  snprintf(folder, sizeof folder, "%.*s", (int)(slash - *path), *path);
  return cd_dir_make(folder, d->why, sizeof d->why);
}

static bool open_dev(program *d, const ch_secret *account) {
  uint64_t confirmations = d->config.confirmations == CD_FINAL_USUAL ? 1 : d->config.confirmations;
  const char *path;
  if (confirmations >= CD_FINAL_FINALIZED) {
    snprintf(d->why, sizeof d->why, "--confirmations: the embedded chain knows only numbers.");
    return false;
  }
  if (!dev_path(d, &path)) return false;
  cd_l1_dev_config cfg = {.path = path, .account = account, .confirmations = (uint32_t)confirmations};
  return cd_l1_dev_open(&d->node.l1, &cfg, d->why) == CH_OK;
}

/* Takes the list of URLs apart, in place. */
static bool split_urls(program *d, const char *urls[CD_RPC_URLS_MAX], size_t *n) {
  char *rest = NULL;
  *n = 0;
  for (char *url = strtok_r(d->config.rpc, " ", &rest); url != NULL; url = strtok_r(NULL, " ", &rest)) {
    if (*n < CD_RPC_URLS_MAX) urls[*n] = url;
    ++*n;
  }
  if (*n >= 1 && *n <= CD_RPC_URLS_MAX) return true;
  snprintf(d->why, sizeof d->why, "--l1 evm needs the URLs of 1 to %d of the chain's nodes: --rpc URL.",
           CD_RPC_URLS_MAX);
  return false;
}

static bool open_evm(program *d, const ch_secret *account) {
  const char *urls[CD_RPC_URLS_MAX];
  char path[CD_PATH_LEN + 32];
  const cd_config *c = &d->config;
  cd_l1_evm_config cfg = {.urls = urls,
                          .chain_id = c->chain_id,
                          .contract = c->contract,
                          .path = path,
                          .account = account,
                          .poll_ms = (uint32_t)c->l1_poll,
                          .fee_limit = c->max_fee};
  if (!split_urls(d, urls, &cfg.n_urls)) return false;
  snprintf(path, sizeof path, "%s/evm.db", c->dir);
  if (c->confirmations == CD_FINAL_SAFE)
    cfg.final_tag = "safe";
  else if (c->confirmations >= CD_FINAL_FINALIZED)
    cfg.final_tag = "finalized";
  else
    cfg.confirmations = (uint32_t)c->confirmations;
  bool ok = cd_l1_evm_open(&d->node.l1, &cfg, d->why) == CH_OK;
  ch_wipe(d->config.rpc, sizeof d->config.rpc); /* passwords are not needed here any more */
  return ok;
}

static bool open_chain(program *d) {
  ch_secret account;
  bool ok = false;
  ch_keyring_account(d->identity.keys, &account);
  if (strncmp(d->config.l1, "dev:", 4) == 0 && d->config.l1[4] != '\0')
    ok = open_dev(d, &account);
  else if (strcmp(d->config.l1, "evm") == 0)
    ok = open_evm(d, &account);
  else
    snprintf(d->why, sizeof d->why, "--l1 %.100s: give evm, or dev:FILE.", d->config.l1);
  ch_wipe(&account, sizeof account);
  return ok;
}

static void close_chain(program *d) {
  if (d->node.l1.ctx == NULL) return;
  if (strcmp(d->node.l1.ops->name, "evm") == 0)
    cd_l1_evm_close(&d->node.l1);
  else
    cd_l1_dev_close(&d->node.l1);
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
  close_chain(d);
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
