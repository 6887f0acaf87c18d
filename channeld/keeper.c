#include "keeper.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backup.h"
#include "chan.h"

#define WHY_LEN 700

typedef struct entry {
  ch_hash id;
  ch_origin origin;
} entry;

struct cd_keeper {
  cd_node *node;
  cd_queue queue;
  pthread_t thread;
  pthread_mutex_t lock;
  cd_table entries; /* entry by id */
};

/* --- What is in the file ------------------------------------------------------------------------- */

static void free_entry(entry *e) {
  if (e != NULL) sodium_memzero(e, sizeof *e);
  free(e);
}

static ch_hash id_of(const ch_origin *o) {
  ch_hash params_hash, id;
  ch_params_hash(&params_hash, &o->chain, &o->params);
  ch_channel_id(&id, &params_hash, &o->params.asset);
  return id;
}

static bool know(cd_keeper *k, const ch_origin *o) {
  ch_hash id = id_of(o);
  entry *e = malloc(sizeof *e);
  if (e == NULL) return false;
  *e = (entry){id, *o};
  pthread_mutex_lock(&k->lock);
  bool there = cd_table_get(&k->entries, &id) != NULL, ok = there || cd_table_put(&k->entries, e);
  pthread_mutex_unlock(&k->lock);
  if (there || !ok) free_entry(e);
  return ok;
}

void cd_keeper_drop(cd_keeper *k, const ch_hash *id) {
  if (k == NULL) return;
  pthread_mutex_lock(&k->lock);
  entry *e = cd_table_remove(&k->entries, id);
  pthread_mutex_unlock(&k->lock);
  free_entry(e);
}

/* --- Writing ------------------------------------------------------------------------------------- */

static bool copy_channels(cd_keeper *k, cd_backup *b) {
  pthread_mutex_lock(&k->lock);
  b->channels = calloc(k->entries.n + 1, sizeof *b->channels);
  size_t i = 0;
  for (const entry *e; b->channels != NULL && (e = cd_table_next(&k->entries, &i)) != NULL;)
    b->channels[b->n_channels++] = e->origin;
  pthread_mutex_unlock(&k->lock);
  return b->channels != NULL;
}

static bool add_peer(void *arg, const ch_pubkey *node, const char *address) {
  cd_backup *b = arg;
  cd_backup_peer *more = realloc(b->peers, (b->n_peers + 1) * sizeof *more);
  if (more == NULL) return false;
  b->peers = more;
  more[b->n_peers] = (cd_backup_peer){*node, strdup(address)};
  return more[b->n_peers++].address != NULL;
}

static bool write_file(cd_keeper *k) {
  cd_store *store = &k->node->store;
  cd_backup b = {.written = (uint64_t)time(NULL)};
  char why[WHY_LEN] = "The list of peers cannot be read.";
  bool ok = copy_channels(k, &b) && store->ops->peers(store->ctx, add_peer, &b) == CH_OK &&
            cd_backup_write(&b, k->node->seed, k->node->config.dir, why, sizeof why);
  if (!ok) cd_log(CD_LOG_ERROR, "backup", "%s No channel is opened until it can be written.", why);
  cd_backup_clear(&b);
  return ok;
}

/* --- The thread ---------------------------------------------------------------------------------- */

static void deliver(void *self, cd_mail *mail) {
  cd_keep *one = (cd_keep *)(void *)mail;
  one->then(self, one, one->kept);
}

/* All that came together is in the file with one writing, or none of it is opened. */
static void keep_all(cd_keeper *k, cd_mail *list) {
  bool ok = true;
  for (const cd_mail *m = list; m != NULL; m = m->next)
    ok = know(k, &((const cd_keep *)(const void *)m)->origin) && ok;
  ok = ok && write_file(k);
  while (list != NULL) {
    cd_keep *one = (cd_keep *)(void *)list;
    list = list->next;
    ch_hash id = id_of(&one->origin);
    if (!ok) cd_keeper_drop(k, &id);
    one->kept = ok;
    one->mail.run = deliver;
    cd_worker_post(one->owner, &one->mail);
  }
}

static void *run(void *arg) {
  cd_keeper *k = arg;
  for (bool closed = false; !closed;) {
    cd_mail *list = cd_queue_take(&k->queue, 0, &closed);
    if (list != NULL) keep_all(k, list);
  }
  return NULL;
}

void cd_keeper_add(cd_keeper *k, cd_keep *one) {
  cd_queue_put(&k->queue, &one->mail);
}

/* --- Starting and stopping ----------------------------------------------------------------------- */

/* One that cannot be read is put aside, never overwritten. */
static bool know_file(cd_keeper *k) {
  cd_backup b;
  bool missing, ok = true;
  char path[CD_PATH_LEN + 32], aside[CD_PATH_LEN + 48], why[WHY_LEN];
  snprintf(path, sizeof path, "%s/%s", k->node->config.dir, CD_BACKUP_NAME);
  snprintf(aside, sizeof aside, "%s.unreadable", path);
  if (!cd_backup_read(&b, k->node->seed, path, &missing, why, sizeof why)) {
    if (missing) return true;
    cd_log(CD_LOG_WARN, "backup", "%s It is kept as %s.", why, aside);
    rename(path, aside);
    return true;
  }
  for (size_t i = 0; ok && i < b.n_channels; i++)
    ok = know(k, &b.channels[i]);
  cd_backup_clear(&b);
  return ok;
}

/* Of what is loaded only what came to nothing is left out. */
static bool know_loaded(cd_keeper *k) {
  size_t loaded = 0;
  for (unsigned i = 0; i < k->node->n_workers; i++) {
    cd_worker *w = &k->node->workers[i];
    size_t at = 0;
    for (const cd_chan *c; (c = cd_table_next(&w->channels, &at)) != NULL;) {
      ch_origin o;
      ch_info info;
      if (c->state == NULL) continue;
      cd_chan_info(w, c, &info);
      ch_channel_origin(c->state, &o);
      if (info.phase == CH_PHASE_ABANDONED) {
        cd_keeper_drop(k, &c->id);
      } else if (!know(k, &o)) {
        return false;
      } else {
        loaded++;
      }
    }
  }
  if (k->entries.n > loaded)
    cd_log(CD_LOG_WARN, "backup", "the database lacks %zu channels of the backup: is it an old copy?",
           k->entries.n - loaded);
  return true;
}

static void free_keeper(cd_keeper *k) {
  size_t i = 0;
  for (entry *e; (e = cd_table_next(&k->entries, &i)) != NULL;)
    free_entry(e);
  cd_table_free(&k->entries);
  cd_queue_destroy(&k->queue);
  pthread_mutex_destroy(&k->lock);
  free(k);
}

cd_keeper *cd_keeper_start(cd_node *n, char *why, size_t why_len) {
  cd_keeper *k = calloc(1, sizeof *k);
  if (k != NULL) {
    k->node = n;
    pthread_mutex_init(&k->lock, NULL);
    cd_queue_init(&k->queue, SIZE_MAX);
    cd_table_init(&k->entries, offsetof(entry, id), sizeof(ch_hash));
    bool ok = know_file(k) && know_loaded(k);
    if (ok) write_file(k);
    if (ok && pthread_create(&k->thread, NULL, run, k) == 0) return k;
    free_keeper(k);
  }
  snprintf(why, why_len, "The keeper of the backup cannot be started: memory or threads are out.");
  return NULL;
}

void cd_keeper_stop(cd_keeper *k) {
  if (k == NULL) return;
  cd_queue_close(&k->queue);
  pthread_join(k->thread, NULL);
  free_keeper(k);
}
