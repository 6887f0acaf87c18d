#include "directory.h"

#include <ctype.h>
#include <stdlib.h>

#define MIN_PREFIX 6

void cd_directory_init(cd_directory *d) {
  pthread_mutex_init(&d->lock, NULL);
  cd_table_init(&d->entries, offsetof(cd_entry, id), sizeof(ch_hash));
}

void cd_directory_free(cd_directory *d) {
  size_t i = 0;
  for (cd_entry *e; (e = cd_table_next(&d->entries, &i)) != NULL;)
    free(e);
  cd_table_free(&d->entries);
  pthread_mutex_destroy(&d->lock);
}

static bool insert(cd_directory *d, const cd_entry *e) {
  cd_entry *copy = malloc(sizeof *copy);
  if (copy == NULL) return false;
  *copy = *e;
  if (cd_table_put(&d->entries, copy)) return true;
  free(copy);
  return false;
}

bool cd_directory_put(cd_directory *d, const cd_entry *e) {
  bool ok = true;
  pthread_mutex_lock(&d->lock);
  cd_entry *old = cd_table_get(&d->entries, &e->id);
  if (old != NULL) {
    *old = *e;
  } else {
    ok = insert(d, e);
  }
  pthread_mutex_unlock(&d->lock);
  return ok;
}

void cd_directory_remove(cd_directory *d, const ch_hash *id) {
  pthread_mutex_lock(&d->lock);
  free(cd_table_remove(&d->entries, id));
  pthread_mutex_unlock(&d->lock);
}

/* Lower-case digits of `prefix` without 0x; false if they cannot begin an id. */
static bool normalise(const char *prefix, char out[65]) {
  if (prefix[0] == '0' && (prefix[1] == 'x' || prefix[1] == 'X')) prefix += 2;
  size_t n = 0;
  for (; prefix[n] != '\0'; n++) {
    if (n == 64 || !isxdigit((unsigned char)prefix[n])) return false;
    out[n] = (char)tolower((unsigned char)prefix[n]);
  }
  out[n] = '\0';
  return n >= MIN_PREFIX;
}

static bool has(cd_directory *d, const ch_hash *id) {
  pthread_mutex_lock(&d->lock);
  bool found = cd_table_get(&d->entries, id) != NULL;
  pthread_mutex_unlock(&d->lock);
  return found;
}

cd_found cd_directory_find(cd_directory *d, const char *prefix, ch_hash *id) {
  char want[65], have[65];
  if (!normalise(prefix, want)) return CD_FOUND_NONE;
  if (ch_unhex(id->b, sizeof id->b, want)) return has(d, id) ? CD_FOUND_ONE : CD_FOUND_NONE;
  unsigned found = 0;
  size_t i = 0, len = strlen(want);
  pthread_mutex_lock(&d->lock);
  for (const cd_entry *e; found < 2 && (e = cd_table_next(&d->entries, &i)) != NULL;) {
    ch_hex(have, e->id.b, sizeof e->id.b);
    if (memcmp(have, want, len) != 0) continue;
    *id = e->id;
    found++;
  }
  pthread_mutex_unlock(&d->lock);
  return found == 0 ? CD_FOUND_NONE : found == 1 ? CD_FOUND_ONE : CD_FOUND_MANY;
}

static bool can_pay(const cd_entry *e, const ch_pubkey *peer, ch_amount amount) {
  return e->phase == CH_PHASE_OPEN && !e->frozen && (peer == NULL || ch_pubkey_eq(&e->peer, peer)) &&
         ch_amount_cmp(e->spendable, amount) >= 0;
}

cd_found cd_directory_payer(cd_directory *d, const ch_pubkey *peer, ch_amount amount, ch_hash *id) {
  unsigned found = 0;
  size_t i = 0;
  ch_amount best = {0};
  pthread_mutex_lock(&d->lock);
  for (const cd_entry *e; (e = cd_table_next(&d->entries, &i)) != NULL;) {
    if (!can_pay(e, peer, amount)) continue;
    if (found++ > 0 && ch_amount_cmp(e->spendable, best) <= 0) continue;
    best = e->spendable;
    *id = e->id;
  }
  pthread_mutex_unlock(&d->lock);
  if (found == 0) return CD_FOUND_NONE;
  return found == 1 || peer != NULL ? CD_FOUND_ONE : CD_FOUND_MANY;
}

static void count(cd_counts *n, const cd_entry *e) {
  bool live = e->phase != CH_PHASE_CLOSED && e->phase != CH_PHASE_ABANDONED;
  n->total++;
  n->live += live;
  n->open += e->phase == CH_PHASE_OPEN;
  n->frozen += e->frozen;
  if (live && ch_amount_add(&n->bonds, n->bonds, e->bond) != CH_OK) n->bonds.v = CH_MONEY_MAX;
}

cd_counts cd_directory_count(cd_directory *d, const ch_pubkey *peer) {
  cd_counts n = {0};
  size_t i = 0;
  pthread_mutex_lock(&d->lock);
  for (const cd_entry *e; (e = cd_table_next(&d->entries, &i)) != NULL;) {
    if (peer == NULL || ch_pubkey_eq(&e->peer, peer)) count(&n, e);
  }
  pthread_mutex_unlock(&d->lock);
  return n;
}

unsigned cd_directory_in_phase(cd_directory *d, const ch_pubkey *peer, ch_phase phase) {
  unsigned n = 0;
  size_t i = 0;
  pthread_mutex_lock(&d->lock);
  for (const cd_entry *e; (e = cd_table_next(&d->entries, &i)) != NULL;)
    n += e->phase == phase && ch_pubkey_eq(&e->peer, peer);
  pthread_mutex_unlock(&d->lock);
  return n;
}
