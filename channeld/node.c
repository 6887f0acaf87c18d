#include "node.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "chan.h"
#include "contacts.h"
#include "json.h"
#include "keeper.h"
#include "sender.h"

/* For all conditions of a channel's pending payments together. */
#define LOCK_GAS 1000000u

void cd_node_env_at(cd_node *n, const cd_head *at, ch_env *out) {
  *out = (ch_env){.now = n->l1.ops->now(n->l1.ctx),
                  .head_number = at->number,
                  .head_time = at->time,
                  .final_number = at->final_number,
                  .final_time = at->final_time,
                  .freshness = (uint32_t)n->config.freshness,
                  .margin = (uint32_t)n->config.lock_margin,
                  .instance = n->instance};
}

void cd_node_env(cd_node *n, ch_env *out) {
  pthread_mutex_lock(&n->head_lock);
  cd_head head = n->head;
  pthread_mutex_unlock(&n->head_lock);
  cd_node_env_at(n, &head, out);
}

ch_lock_limits cd_lock_limits(const cd_node *n) {
  const cd_config *c = &n->config;
  if (c->max_locks == 0 || n->l1.ops->watch_hash == NULL) return (ch_lock_limits){0};
  return (ch_lock_limits){.count = (uint32_t)c->max_locks,
                          .payload = (uint32_t)c->max_locks * CH_OP_PAYLOAD_MAX,
                          .gas = LOCK_GAS,
                          .longest = (uint32_t)c->max_lock_time,
                          .dust = {1},
                          .in_flight = {CH_MONEY_MAX}};
}

bool cd_env_fresh(const ch_env *env) {
  return env->now <= env->head_time || env->now - env->head_time <= env->freshness;
}

cd_worker *cd_node_owner(cd_node *n, const ch_hash *id) {
  uint32_t v = (uint32_t)id->b[0] << 24 | (uint32_t)id->b[1] << 16 | (uint32_t)id->b[2] << 8 | id->b[3];
  return &n->workers[v % n->n_workers];
}

/* --- Starting -------------------------------------------------------------------------------------- */

static ch_err find_out_who_we_are(cd_node *n) {
  cd_l1 *l1 = &n->l1;
  cd_worker *w = &n->workers[0];
  randombytes_buf(&n->instance, sizeof n->instance);
  ch_err err = l1->ops->chain(l1->ctx, &n->chain);
  if (err == CH_OK) err = l1->ops->address(l1->ctx, &n->account);
  if (err == CH_OK) err = w->signer.node_id(w->signer.ctx, &n->id);
  n->payout = ch_addr_is_zero(&n->config.payout) ? n->account : n->config.payout;
  return err;
}

static ch_err make_workers(cd_node *n) {
  n->workers = calloc(n->config.workers, sizeof *n->workers);
  if (n->workers == NULL) return CH_ERR_NO_MEMORY;
  for (ch_err err; n->n_workers < n->config.workers;) {
    err = cd_worker_init(&n->workers[n->n_workers], n, n->n_workers);
    n->n_workers++;
    if (err != CH_OK) return err;
  }
  return CH_OK;
}

/* Loading: the channels that have pending payments are few, so they are found first. */
typedef struct loading {
  cd_node *node;
  cd_table pending; /* ch_hash */
  int64_t seq;      /* of the last payment seen */
  bool failed;
} loading;

static bool note_pending(void *arg, const cd_payment *p) {
  loading *l = arg;
  l->seq = p->seq;
  if (cd_table_get(&l->pending, &p->channel) != NULL) return true;
  ch_hash *id = malloc(sizeof *id);
  if (id != NULL) *id = p->channel;
  l->failed = id == NULL || !cd_table_put(&l->pending, id);
  if (l->failed) free(id);
  return !l->failed;
}

static ch_err find_pending(loading *l) {
  cd_store *store = &l->node->store;
  cd_payment_filter f = {.direction = 1, .status = CH_PAYMENT_PENDING, .limit = 1000};
  do {
    f.after = l->seq;
    ch_err err = store->ops->payments(store->ctx, &f, note_pending, l);
    if (err != CH_OK || l->failed) return err == CH_OK ? CH_ERR_NO_MEMORY : err;
  } while (l->seq > f.after);
  return CH_OK;
}

static bool load_channel(void *arg, const ch_hash *id, const uint8_t *record, size_t len) {
  loading *l = arg;
  bool has_pending = cd_table_get(&l->pending, id) != NULL;
  l->failed = !cd_chan_load(cd_node_owner(l->node, id), id, record, len, has_pending);
  return !l->failed;
}

static bool want_peer(void *arg, const ch_pubkey *node, const char *address) {
  cd_contacts_want(arg, node, address);
  return true;
}

static ch_err load(cd_node *n) {
  loading l = {.node = n};
  cd_table_init(&l.pending, 0, sizeof(ch_hash));
  ch_err err = find_pending(&l);
  if (err == CH_OK) err = n->store.ops->channels(n->store.ctx, load_channel, &l);
  if (l.failed) err = CH_ERR_NO_MEMORY;
  size_t i = 0;
  for (ch_hash *id; (id = cd_table_next(&l.pending, &i)) != NULL;)
    free(id);
  cd_table_free(&l.pending);
  return err == CH_OK ? n->store.ops->peers(n->store.ctx, want_peer, &n->workers[0]) : err;
}

/* A channel that has ended may be opened again by either side's deposit, unless its salt is public. */
static bool is_over(const ch_info *i) {
  return i->phase == CH_PHASE_ABANDONED || (i->phase == CH_PHASE_CLOSED && i->revealed);
}

static void watch_all(cd_node *n) {
  for (unsigned k = 0; k < n->n_workers; k++) {
    size_t i = 0;
    for (const cd_chan *c; (c = cd_table_next(&n->workers[k].channels, &i)) != NULL;) {
      ch_info info;
      cd_chan_info(&n->workers[k], c, &info);
      if (!is_over(&info)) n->l1.ops->watch(n->l1.ctx, &c->id);
    }
  }
}

static bool start_threads(cd_node *n) {
  cd_l1_listener listener = cd_node_l1_listener(n);
  n->sender = cd_sender_start(n);
  if (n->sender == NULL) return false;
  for (unsigned started = 0; started < n->n_workers; started++) {
    if (cd_worker_start(&n->workers[started])) continue;
    while (started > 0)
      cd_worker_join(&n->workers[--started]);
    return false;
  }
  n->running = true;
  return n->l1.ops->start(n->l1.ctx, &listener) == CH_OK;
}

static bool fail(ch_err err, const char *what, char *why, size_t why_len) {
  if (err == CH_OK) return false;
  snprintf(why, why_len, "%s: %s", what, ch_err_text(err));
  return true;
}

bool cd_node_init(cd_node *n, char *why, size_t why_len) {
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (n->config.workers == 0)
    n->config.workers = cores < 1 ? 1 : cores > CD_MAX_WORKERS ? CD_MAX_WORKERS : (uint64_t)cores;
  n->started = cd_monotonic_ms();
  pthread_mutex_init(&n->head_lock, NULL);
  cd_directory_init(&n->directory);
  cd_claims_init(&n->claims);
  ch_err err = make_workers(n);
  if (err == CH_OK) err = find_out_who_we_are(n);
  return !fail(err, "The node cannot be set up", why, why_len);
}

bool cd_node_start(cd_node *n, char *why, size_t why_len) {
  if (fail(load(n), "The channels cannot be loaded", why, why_len)) return false;
  n->keeper = cd_keeper_start(n, why, why_len);
  if (n->keeper == NULL) return false;
  watch_all(n);
  if (!start_threads(n)) {
    snprintf(why, why_len, "No threads can be started; look at the machine's limits.");
    return false;
  }
  return n->net.ops->listen(n->net.ctx, n->config.listen, n->listen, why, why_len) == CH_OK;
}

/* --- Stopping -------------------------------------------------------------------------------------- */

/* Mails make units, units make mails: until neither is left. */
static void drain(cd_node *n) {
  for (bool again = true; again;) {
    again = false;
    n->store.ops->flush(n->store.ctx);
    for (unsigned i = 0; i < n->n_workers; i++)
      again |= cd_worker_drain(&n->workers[i]);
  }
}

void cd_node_stop(cd_node *n) {
  atomic_store(&n->stopping, true);
  n->net.ops->stop(n->net.ctx);
  n->l1.ops->stop(n->l1.ctx);
  for (unsigned i = 0; n->running && i < n->n_workers; i++)
    cd_worker_join(&n->workers[i]);
  n->running = false;
  drain(n);
  for (unsigned i = 0; i < n->n_workers; i++)
    cd_worker_answer_all(&n->workers[i]);
  cd_keeper_stop(n->keeper); /* what was to be opened goes to its owner, or fails */
  drain(n);
  n->keeper = NULL;
  cd_sender_stop(n->sender);
  n->sender = NULL;
}

void cd_node_free(cd_node *n) {
  for (unsigned i = 0; i < n->n_workers; i++)
    cd_worker_free(&n->workers[i]);
  free(n->workers);
  cd_directory_free(&n->directory);
  cd_claims_free(&n->claims);
  pthread_mutex_destroy(&n->head_lock);
}
