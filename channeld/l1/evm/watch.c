#include "watch.h"

#include <stdlib.h>

#define SWEEP 8 /* channels that are looked at with each block though nothing says that they changed */

bool cd_evm_watch_init(cd_evm_watch *w) {
  *w = (cd_evm_watch){0};
  cd_table_init(&w->table, offsetof(cd_evm_watched, key), sizeof(cd_evm_key));
  return pthread_mutex_init(&w->lock, NULL) == 0;
}

void cd_evm_watch_free(cd_evm_watch *w) {
  size_t i = 0;
  for (cd_evm_watched *c; (c = cd_table_next(&w->table, &i)) != NULL;)
    free(c);
  cd_table_free(&w->table);
  pthread_mutex_destroy(&w->lock);
}

static cd_evm_watched *enter(cd_evm_watch *w, const cd_evm_key *key) {
  cd_evm_watched *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  const ch_hash *topic = cd_evm_is_hash(key) ? &key->hash : &key->id;
  c->key = *key;
  c->marks = cd_evm_marks_of(topic->b, sizeof topic->b);
  c->from[0] = c->from[1] = UINT64_MAX;
  if (cd_table_put(&w->table, c)) return c;
  free(c);
  return NULL;
}

bool cd_evm_watch_add(cd_evm_watch *w, const cd_evm_key *key) {
  pthread_mutex_lock(&w->lock);
  cd_evm_watched *c = cd_table_get(&w->table, key);
  if (c == NULL) c = enter(w, key);
  if (c != NULL) {
    c->due = true;
    c->told = false;
  }
  pthread_mutex_unlock(&w->lock);
  return c != NULL;
}

void cd_evm_watch_remove(cd_evm_watch *w, const cd_evm_key *key) {
  pthread_mutex_lock(&w->lock);
  free(cd_table_remove(&w->table, key));
  pthread_mutex_unlock(&w->lock);
}

bool cd_evm_watch_has(cd_evm_watch *w, const cd_evm_key *key) {
  pthread_mutex_lock(&w->lock);
  bool has = cd_table_get(&w->table, key) != NULL;
  pthread_mutex_unlock(&w->lock);
  return has;
}

size_t cd_evm_watch_touch(cd_evm_watch *w, const uint8_t bloom[CD_EVM_BLOOM]) {
  size_t i = 0, n = 0;
  pthread_mutex_lock(&w->lock);
  for (cd_evm_watched *c; (c = cd_table_next(&w->table, &i)) != NULL;) {
    if (!cd_evm_bloom_has(bloom, &c->marks)) continue;
    c->due = true;
    n++;
  }
  pthread_mutex_unlock(&w->lock);
  return n;
}

void cd_evm_watch_all_due(cd_evm_watch *w) {
  size_t i = 0;
  pthread_mutex_lock(&w->lock);
  for (cd_evm_watched *c; (c = cd_table_next(&w->table, &i)) != NULL;)
    c->due = true;
  pthread_mutex_unlock(&w->lock);
}

void cd_evm_watch_due(cd_evm_watch *w, const cd_evm_key *key) {
  pthread_mutex_lock(&w->lock);
  cd_evm_watched *c = cd_table_get(&w->table, key);
  if (c != NULL) c->due = true;
  pthread_mutex_unlock(&w->lock);
}

/* A few more: logs that all nodes hide are found out in the end. */
static void sweep(cd_evm_watch *w) {
  for (size_t k = 0; k < SWEEP; k++) {
    cd_evm_watched *c = cd_table_next(&w->table, &w->sweep);
    if (c == NULL) {
      w->sweep = 0;
      return;
    }
    c->due = true;
  }
}

bool cd_evm_watch_take(cd_evm_watch *w, bool new_block, cd_evm_watched **out, size_t *n) {
  size_t i = 0;
  *n = 0;
  pthread_mutex_lock(&w->lock);
  if (new_block) sweep(w);
  *out = malloc((w->table.n + 1) * sizeof **out);
  for (cd_evm_watched *c; *out != NULL && (c = cd_table_next(&w->table, &i)) != NULL;) {
    if (!c->due && !(new_block && c->unsettled)) continue;
    c->due = false;
    (*out)[(*n)++] = *c;
  }
  pthread_mutex_unlock(&w->lock);
  return *out != NULL;
}

void cd_evm_watch_searched(cd_evm_watch *w, const cd_evm_watched *copy) {
  pthread_mutex_lock(&w->lock);
  cd_evm_watched *c = cd_table_get(&w->table, &copy->key);
  if (c != NULL) {
    memcpy(c->from, copy->from, sizeof c->from);
    c->has_preimage = copy->has_preimage;
    c->preimage = copy->preimage;
  }
  pthread_mutex_unlock(&w->lock);
}

bool cd_evm_watch_is_news(cd_evm_watch *w, const cd_evm_key *key, const cd_evm_view *view) {
  pthread_mutex_lock(&w->lock);
  cd_evm_watched *c = cd_table_get(&w->table, key);
  bool news = c != NULL && (!c->told || memcmp(&c->view, view, sizeof *view) != 0);
  if (c != NULL) {
    c->view = *view;
    c->told = true;
    c->unsettled = memcmp(&view->head, &view->final, sizeof view->head) != 0;
  }
  pthread_mutex_unlock(&w->lock);
  return news;
}
