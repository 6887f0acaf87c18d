/* follow.c - the polling thread. Views are states, not deltas: after a reorganisation it simply looks at everything
 * again. */
#include "follow.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "record.h"
#include "util/log.h"
#include "util/poller.h"
#include "util/table.h"

#define POLL_MS 50

typedef struct watched {
  ch_hash id;
  bool told;    /* the listener has the view: */
  ch_hash view; /* its digest */
} watched;

/* Views of one look, told after it is over. */
typedef struct found {
  ch_hash id;
  ch_chain_view view;
} found;

/* A hash that a channel asks for. */
typedef struct watched_hash {
  struct {
    ch_hash id, hash;
  } key;
  bool told;
  ch_reveal reveal;
} watched_hash;

struct cd_follow {
  cd_dev *dev;
  uint32_t confirmations;
  uint64_t (*wall)(void *ctx);
  void *wall_ctx;
  _Atomic uint64_t clock_offset, latest; /* `latest`: the highest time that was ever shown */

  cd_poller poller;
  cd_l1_listener listener;

  pthread_mutex_t lock; /* what follows */
  cd_table watched, hashes;
  ch_hash *fresh; /* watched, but not looked at yet */
  size_t n_fresh, cap_fresh;

  /* The polling thread's own. */
  bool has_look, in_trouble;
  cd_dev_look look;
  found *found;
  size_t n_found, cap_found;
};

/* Grows an array so that one more fits. */
static bool room_for_one(void **v, size_t *cap, size_t n, size_t size) {
  if (n < *cap) {
    return true;
  }
  size_t more = *cap == 0 ? 16 : 2 * *cap;
  void *grown = realloc(*v, more * size);
  if (grown == NULL) {
    return false;
  }
  *v = grown;
  *cap = more;
  return true;
}

/* --- The clock ------------------------------------------------------------------------------------------------------
 */

static uint64_t system_wall(void *ctx) {
  (void)ctx;
  return (uint64_t)time(NULL);
}

static void show_at_least(cd_follow *f, uint64_t time) {
  uint64_t shown = atomic_load(&f->latest);
  while (shown < time && !atomic_compare_exchange_weak(&f->latest, &shown, time)) {
  }
}

uint64_t cd_follow_now(cd_follow *f) {
  show_at_least(f, f->wall(f->wall_ctx) + atomic_load(&f->clock_offset));
  return atomic_load(&f->latest);
}

static void take_clock(cd_follow *f, const cd_dev_look *look) {
  atomic_store(&f->clock_offset, look->clock_offset);
  show_at_least(f, look->head.time);
}

ch_err cd_follow_clock(cd_follow *f) {
  cd_dev_look look;
  bool reorganised;
  ch_err err = cd_dev_look_at(f->dev, f->confirmations, NULL, NULL, 0, &look, &reorganised, NULL, NULL);
  if (err == CH_OK) {
    take_clock(f, &look);
  }
  return err;
}

/* --- Watching -------------------------------------------------------------------------------------------------------
 */

static bool add_fresh(cd_follow *f, const ch_hash *id) {
  void *v = f->fresh;
  bool ok = room_for_one(&v, &f->cap_fresh, f->n_fresh, sizeof *f->fresh);
  f->fresh = v;
  if (ok) {
    f->fresh[f->n_fresh++] = *id;
  }
  return ok;
}

void cd_follow_watch(cd_follow *f, const ch_hash *id) {
  pthread_mutex_lock(&f->lock);
  watched *w = cd_table_get(&f->watched, id->b);
  bool ok = true;
  if (w == NULL) {
    w = calloc(1, sizeof *w);
    ok = w != NULL;
    if (ok) {
      w->id = *id;
      ok = cd_table_put(&f->watched, w);
    }
    if (!ok) {
      free(w);
    }
  }
  if (ok) {
    w->told = false;
    ok = add_fresh(f, id);
  }
  pthread_mutex_unlock(&f->lock);
  cd_poller_poke(&f->poller);
  if (!ok) {
    cd_log(CD_LOG_ERROR, "l1", "a channel is not watched: memory is out");
  }
}

void cd_follow_unwatch(cd_follow *f, const ch_hash *id) {
  pthread_mutex_lock(&f->lock);
  free(cd_table_remove(&f->watched, id->b));
  pthread_mutex_unlock(&f->lock);
}

void cd_follow_poke(cd_follow *f) {
  cd_poller_poke(&f->poller);
}

void cd_follow_watch_hash(cd_follow *f, const ch_hash *id, const ch_hash *hash) {
  watched_hash *h = calloc(1, sizeof *h);
  if (h == NULL) {
    cd_log(CD_LOG_ERROR, "l1", "a hash is not watched: memory is out");
    return;
  }
  h->key.id = *id;
  h->key.hash = h->reveal.hash = *hash;
  pthread_mutex_lock(&f->lock);
  watched_hash *known = cd_table_get(&f->hashes, &h->key);
  if (known != NULL) known->told = false;
  if (known != NULL || !cd_table_put(&f->hashes, h)) free(h);
  pthread_mutex_unlock(&f->lock);
  cd_poller_poke(&f->poller);
}

void cd_follow_unwatch_hash(cd_follow *f, const ch_hash *id, const ch_hash *hash) {
  watched_hash gone = {.key = {*id, *hash}};
  pthread_mutex_lock(&f->lock);
  free(cd_table_remove(&f->hashes, &gone.key));
  pthread_mutex_unlock(&f->lock);
}

/* --- One look at the chain ------------------------------------------------------------------------------------------
 */

typedef struct id_list {
  ch_hash *v;
  size_t n, cap;
} id_list;

static id_list take_fresh(cd_follow *f) {
  pthread_mutex_lock(&f->lock);
  id_list ids = {f->fresh, f->n_fresh, f->cap_fresh};
  f->fresh = NULL;
  f->n_fresh = f->cap_fresh = 0;
  pthread_mutex_unlock(&f->lock);
  return ids;
}

/* A look that failed: what it was to look at waits for the next one. */
static void put_back(cd_follow *f, const id_list *ids) {
  pthread_mutex_lock(&f->lock);
  for (size_t i = 0; i < ids->n; i++) {
    if (!add_fresh(f, &ids->v[i])) {
      cd_log(CD_LOG_ERROR, "l1", "a channel is not watched: memory is out");
    }
  }
  pthread_mutex_unlock(&f->lock);
}

/* All watched channels, as fresh ones: after a reorganisation anything may be different. */
static void make_all_fresh(cd_follow *f) {
  size_t i = 0;
  bool ok = true;
  pthread_mutex_lock(&f->lock);
  f->n_fresh = 0;
  for (watched *w = cd_table_next(&f->watched, &i); w != NULL && ok; w = cd_table_next(&f->watched, &i)) {
    ok = add_fresh(f, &w->id);
  }
  pthread_mutex_unlock(&f->lock);
  if (!ok) {
    cd_log(CD_LOG_ERROR, "l1", "a channel is not watched: memory is out");
  }
}

/* Called inside the look: only remembers. */
static void remember(void *arg, const ch_hash *id, const ch_chain_view *view) {
  cd_follow *f = arg;
  pthread_mutex_lock(&f->lock);
  bool wanted = cd_table_get(&f->watched, id->b) != NULL;
  pthread_mutex_unlock(&f->lock);
  void *v = f->found;
  if (!wanted) {
    return;
  }
  if (room_for_one(&v, &f->cap_found, f->n_found, sizeof *f->found)) {
    f->found = v;
    f->found[f->n_found++] = (found){*id, *view};
  } else {
    cd_log(CD_LOG_ERROR, "l1", "a channel's change is missed: memory is out");
  }
}

static ch_err look(cd_follow *f, cd_dev_look *out, bool *reorganised) {
  id_list ids = take_fresh(f);
  f->n_found = 0;
  ch_err err = cd_dev_look_at(f->dev, f->confirmations, f->has_look ? &f->look : NULL, ids.v, ids.n, out, reorganised,
                              remember, f);
  if (err != CH_OK || *reorganised) {
    put_back(f, &ids);
  }
  free(ids.v);
  return err;
}

static void add_part(crypto_generichash_state *digest, const uint8_t *bytes, size_t n) {
  const uint64_t len = n;
  crypto_generichash_update(digest, (const uint8_t *)&len, sizeof len);
  crypto_generichash_update(digest, bytes, n);
}

/* Of what would be stored of it. */
static ch_hash digest_of(const ch_chain_view *view) {
  const ch_onchain *parts[] = {&view->head, &view->final};
  uint8_t bytes[CD_DEV_RECORD_MAX];
  crypto_generichash_state digest;
  ch_hash out;
  crypto_generichash_init(&digest, NULL, 0, sizeof out.b);
  for (int i = 0; i < 2; i++) {
    add_part(&digest, bytes, cd_dev_slots_encode(bytes, &parts[i]->slots));
    add_part(&digest, bytes, parts[i]->has_ended ? cd_dev_event_encode(bytes, &parts[i]->ended) : 0);
  }
  crypto_generichash_final(&digest, out.b, sizeof out.b);
  return out;
}

static void tell_view(cd_follow *f, const found *what) {
  const ch_hash view = digest_of(&what->view);
  pthread_mutex_lock(&f->lock);
  watched *w = cd_table_get(&f->watched, what->id.b);
  bool news = w != NULL && (!w->told || !ch_hash_eq(&w->view, &view));
  if (news) {
    w->view = view;
    w->told = true;
  }
  pthread_mutex_unlock(&f->lock);
  if (news) {
    f->listener.view(f->listener.ctx, &what->id, &what->view);
  }
}

/* What the chain shows of a hash in both views; false if it was reorganised meanwhile: the next look sees it. */
static bool find_reveal(cd_follow *f, const cd_dev_look *at, ch_reveal *reveal) {
  ch_hash earlier;
  return cd_dev_revealed_at(f->dev, &reveal->hash, at->head.number, &reveal->head_time, &reveal->preimage) == CH_OK &&
         cd_dev_revealed_at(f->dev, &reveal->hash, at->final.number, &reveal->final_time, &earlier) == CH_OK;
}

/* A revealed hash is looked at again. */
static bool mark_revealed(void *arg, uint64_t block, const ch_adj_event *event) {
  cd_follow *f = arg;
  size_t i = 0;
  (void)block;
  if (event->kind != CH_ADJ_REVEALED) return true;
  pthread_mutex_lock(&f->lock);
  for (watched_hash *h; (h = cd_table_next(&f->hashes, &i)) != NULL;) {
    if (ch_hash_eq(&h->key.hash, &event->id)) h->told = false;
  }
  pthread_mutex_unlock(&f->lock);
  return true;
}

static void store_reveal(cd_follow *f, const watched_hash *key, const ch_reveal *now, bool told) {
  pthread_mutex_lock(&f->lock);
  watched_hash *h = cd_table_get(&f->hashes, &key->key);
  if (h != NULL) {
    h->told = told;
    if (told) h->reveal = *now;
  }
  pthread_mutex_unlock(&f->lock);
  if (h != NULL && told && f->listener.reveal != NULL) f->listener.reveal(f->listener.ctx, &key->key.id, now);
}

/* Those that are new, that were revealed in a block after `since` (NULL: any may have been), or that are not final. A
 * look at each at each block would take longer than the payments of channels with many of them. */
static void tell_reveals(cd_follow *f, const cd_dev_look *at, const cd_dev_block *since) {
  bool all = since == NULL, new_head = all || !ch_hash_eq(&since->hash, &at->head.hash);
  if (new_head && !all) all = cd_dev_events(f->dev, since->number + 1, mark_revealed, f) != CH_OK;
  size_t n = 0, i = 0;
  pthread_mutex_lock(&f->lock);
  watched_hash *due = f->hashes.n == 0 ? NULL : calloc(f->hashes.n, sizeof *due);
  for (watched_hash *h; due != NULL && (h = cd_table_next(&f->hashes, &i)) != NULL;) {
    bool moving = new_head && h->reveal.head_time != 0 && h->reveal.final_time == 0;
    if (all || !h->told || moving) due[n++] = *h;
  }
  pthread_mutex_unlock(&f->lock);
  for (i = 0; i < n; i++) {
    ch_reveal now = due[i].reveal;
    bool shown = find_reveal(f, at, &now);
    bool same = now.head_time == due[i].reveal.head_time && now.final_time == due[i].reveal.final_time;
    if (!shown || !due[i].told || !same) store_reveal(f, &due[i], &now, shown);
  }
  free(due);
}

static void tell(cd_follow *f, const cd_dev_look *new_look) {
  const cd_dev_block before = f->look.head;
  bool had_look = f->has_look, new_head = !had_look || !ch_hash_eq(&before.hash, &new_look->head.hash);
  take_clock(f, new_look);
  f->look = *new_look;
  f->has_look = true;
  tell_reveals(f, new_look, had_look ? &before : NULL);
  for (size_t i = 0; i < f->n_found; i++) {
    tell_view(f, &f->found[i]);
  }
  free(f->found); /* after the first look it has all channels */
  f->found = NULL;
  f->n_found = f->cap_found = 0;
  if (new_head) {
    cd_head head = {.number = new_look->head.number,
                    .time = new_look->head.time,
                    .hash = new_look->head.hash,
                    .final_number = new_look->final.number,
                    .final_time = new_look->final.time};
    f->listener.head(f->listener.ctx, &head);
  }
}

static void poll_once(void *ctx) {
  cd_follow *f = ctx;
  cd_dev_look new_look;
  bool reorganised = false;
  ch_err err = cd_dev_poll(f->dev);
  if (err == CH_OK) {
    err = look(f, &new_look, &reorganised);
  }
  if (err == CH_OK && reorganised) {
    cd_log(CD_LOG_WARN, "l1", "the chain was reorganised at or below block %llu",
           (unsigned long long)f->look.head.number);
    make_all_fresh(f);
    f->has_look = false;
    err = look(f, &new_look, &reorganised);
  }
  if (err == CH_OK) {
    tell(f, &new_look);
  }
  if (f->in_trouble != (err != CH_OK)) {
    f->in_trouble = err != CH_OK;
    cd_log(f->in_trouble ? CD_LOG_ERROR : CD_LOG_INFO, "l1",
           f->in_trouble ? "the embedded chain cannot be read or written" : "the embedded chain can be read again");
  }
}

ch_err cd_follow_start(cd_follow *f, const cd_l1_listener *listener) {
  if (f->poller.running) {
    return CH_ERR_ARGUMENT;
  }
  f->listener = *listener;
  return cd_poller_start(&f->poller) ? CH_OK : CH_ERR_NO_MEMORY;
}

void cd_follow_stop(cd_follow *f) {
  cd_poller_stop(&f->poller);
}

/* --- Life -----------------------------------------------------------------------------------------------------------
 */

ch_err cd_follow_new(cd_follow **out, cd_dev *dev, const cd_l1_dev_config *cfg) {
  cd_follow *f = calloc(1, sizeof *f);
  *out = NULL;
  if (f == NULL || !cd_poller_init(&f->poller, cfg->poll_ms == 0 ? POLL_MS : cfg->poll_ms, poll_once, f)) {
    free(f);
    return CH_ERR_NO_MEMORY;
  }
  pthread_mutex_init(&f->lock, NULL);
  f->dev = dev;
  f->confirmations = cfg->confirmations;
  f->wall = cfg->chain != NULL && cfg->chain->wall != NULL ? cfg->chain->wall : system_wall;
  f->wall_ctx = cfg->chain != NULL ? cfg->chain->wall_ctx : NULL;
  cd_table_init(&f->watched, offsetof(watched, id), sizeof(ch_hash));
  cd_table_init(&f->hashes, offsetof(watched_hash, key), sizeof(((watched_hash *)0)->key));
  ch_err err = cd_follow_clock(f);
  if (err != CH_OK) {
    cd_follow_free(f);
    return err;
  }
  *out = f;
  return CH_OK;
}

void cd_follow_free(cd_follow *f) {
  if (f == NULL) {
    return;
  }
  cd_follow_stop(f);
  size_t i = 0;
  for (watched *w = cd_table_next(&f->watched, &i); w != NULL; w = cd_table_next(&f->watched, &i)) {
    free(w);
  }
  cd_table_free(&f->watched);
  i = 0;
  for (watched_hash *h; (h = cd_table_next(&f->hashes, &i)) != NULL;)
    free(h);
  cd_table_free(&f->hashes);
  free(f->fresh);
  free(f->found);
  cd_poller_free(&f->poller);
  pthread_mutex_destroy(&f->lock);
  free(f);
}
