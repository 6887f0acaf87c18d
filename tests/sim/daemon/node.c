/* node.c - a daemon's process: put together as in channeld/main.c, without the files and the API that nothing here
 * needs. */
#include "world.h"

#include <stdlib.h>

#include "chain.h"
#include "identity.h"
#include "store/sqlite.h"

typedef struct process {
  host *d;
  cd_config config;
  cd_identity identity;
  cd_node node;
  char why[1400];
} process;

/* --- Its start, as in main.c ------------------------------------------------------------------------------------ */

static char *no_environment(const char *name) {
  (void)name;
  return NULL;
}

static bool configure(process *p) {
  char workers[16], bond[16], confirmations[16], fresh[16], l1[SIM_ADDRESS];
  const world *w = p->d->w;
  snprintf(fresh, sizeof fresh, "%u", w->broken == BROKEN_FRESH ? 1000000u : FRESHNESS);
  snprintf(l1, sizeof l1, "%s", w->chain->l1);
  snprintf(workers, sizeof workers, "%u", p->d->workers);
  snprintf(bond, sizeof bond, "%u", w->bond);
  snprintf(confirmations, sizeof confirmations, "%u", w->confirmations);
  char *flags[] = {"--dir",
                   p->d->folder,
                   "--l1",
                   l1,
                   "--workers",
                   workers,
                   "--bond",
                   bond,
                   "--confirmations",
                   confirmations,
                   "--challenge-period",
                   SIM_TEXT(PERIOD),
                   "--max-deposit",
                   "1000000",
                   "--lock-margin",
                   SIM_TEXT(MARGIN),
                   "--freshness",
                   fresh,
                   "--assets",
                   "any",
                   "--log",
                   "debug"};
  int n = (int)(sizeof flags / sizeof *flags);
  return cd_config_load(&p->config, n, flags, no_environment, p->why, sizeof p->why) == CD_CONFIG_OK;
}

static bool open_keys(process *p) {
  p->node.seed = p->d->w->person[p->d->who].seed;
  return cd_identity_init(&p->identity, p->node.seed) == CH_OK;
}

static bool open_store(process *p) {
  char path[SIM_ADDRESS + 16];
  snprintf(path, sizeof path, "%s/channeld.db", p->d->folder);
  const cd_store_config cfg = {.path = path, .shards = CD_MAX_WORKERS};
  return cd_store_sqlite_open(&p->node.store, &cfg, p->why, sizeof p->why) == CH_OK;
}

static bool open_chain(process *p) {
  ch_secret account;
  ch_keyring_account(p->identity.keys, &account);
  return p->d->w->chain->open_l1(p->d, &p->config, &account, &p->node.l1, p->why);
}

static bool open_node(process *p) {
  const cd_net_listener listener = cd_node_net_listener(&p->node);
  p->node.config = p->config;
  return cd_node_init(&p->node, p->why, sizeof p->why) && net_open(p->d, &listener, &p->node.net) &&
         cd_node_start(&p->node, p->why, sizeof p->why);
}

static void main_of(void *arg) {
  host *d = (host *)arg;
  process *p = (process *)calloc(1, sizeof *p);
  if (!p) abort();
  p->d = d;
  bool ok = configure(p) && open_keys(p) && open_store(p);
  if (ok) {
    break_store(d->w, &p->node.store);
    check_durable(d, &p->node.store);
    ok = open_chain(p) && open_node(p);
  }
  if (ok) {
    d->node = &p->node;
    d->life = RUNNING;
    note(d->w, "%s runs", os_name(d->machine));
    return;
  }
  snprintf(d->why, sizeof d->why, "%.250s", p->why);
  note(d->w, "%s cannot start: %s", os_name(d->machine), d->why);
  if (!d->ill) fail(d->w, "%s cannot start: %s", os_name(d->machine), d->why);
  os_kill(d->machine);
}

/* --- Its end ------------------------------------------------------------------------------------------------------ */

static void end_of(void *arg) {
  host *d = (host *)arg;
  cd_node *n = d->node;
  atomic_store(&n->stopping, true);
  while (d->calls > 0) /* as the API's threads end first */
    os_sleep(OS_MS);
  cd_node_stop(n);
  d->w->chain->close_l1(&n->l1);
  n->store.ops->close(n->store.ctx);
  cd_node_free(n);
  note(d->w, "%s has stopped", os_name(d->machine));
  d->power_cut = 0;
  os_kill(d->machine);
}

void daemon_stop(host *d) {
  if (d->life != RUNNING) return;
  d->life = STOPPING;
  os_start(d->machine, "stop", end_of, d);
}

static world *the_world; /* what is wrapped does not know of one */

void hosts_begin(world *w) {
  the_world = w;
}

host *host_of_fiber(void) {
  return daemon_of(the_world, os_self());
}

host *daemon_of(world *w, const os_machine *m) {
  for (int i = 0; i < w->n_daemons; i++)
    if (m && w->host[i].machine == m) return &w->host[i];
  return NULL;
}

void daemon_died(void *ctx, os_machine *m) {
  host *d = daemon_of((world *)ctx, m);
  if (!d) return;
  note(d->w, "%s is dead", os_name(m));
  net_died(d);
  asks_lost(d);
  if (d->life == STARTING) happened(d->w, K_CRASH_START);
  d->node = NULL;
  d->calls = 0;
  d->life = OFF;
  d->off_since = seconds(d->w);
  if (d->power_cut) os_disk_cut(d->folder, d->power_cut - 1);
  d->power_cut = 0;
}

/* --- Daemons ---------------------------------------------------------------------------------------------------- */

host *daemon_new(world *w, int who) {
  if (w->n_daemons == MAX_DAEMONS) abort();
  int i = w->n_daemons++;
  host *d = &w->host[i];
  *d = (host){.w = w, .who = who, .workers = 1 + rng_below(&w->rng, 3)};
  snprintf(d->folder, sizeof d->folder, "%sn%d", OS_ROOT, i);
  snprintf(d->address, sizeof d->address, "127.0.0.1:%d", 1000 + i);
  return d;
}

void daemon_start(host *d) {
  char name[16];
  if (d->life != OFF || d->retired) return;
  snprintf(name, sizeof name, "n%d", (int)(d - d->w->host));
  d->machine = os_machine_new(name, d->folder, d->wall_ms);
  d->life = STARTING;
  break_disk(d);
  d->starts++;
  os_start(d->machine, "main", main_of, d);
}

host *some_daemon(world *w) {
  host *running[MAX_DAEMONS];
  unsigned n = 0;
  for (int i = 0; i < w->n_daemons; i++)
    if (w->host[i].life == RUNNING) running[n++] = &w->host[i];
  return n ? running[rng_below(&w->rng, n)] : NULL;
}
