#include "util/table.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof((cd_table *)0)->seed == crypto_shorthash_KEYBYTES, "the table's seed is the hash's key");

static const uint8_t *key_of(const cd_table *t, const void *object) {
  return (const uint8_t *)object + t->key_offset;
}

static size_t home(const cd_table *t, const void *key) {
  uint8_t h[crypto_shorthash_BYTES];
  crypto_shorthash(h, key, t->key_len, t->seed);
  uint64_t v;
  memcpy(&v, h, sizeof v);
  return (size_t)v & (t->cap - 1);
}

void cd_table_init(cd_table *t, size_t key_offset, size_t key_len) {
  *t = (cd_table){.key_offset = key_offset, .key_len = key_len};
  randombytes_buf(t->seed, sizeof t->seed);
}

void cd_table_free(cd_table *t) {
  free(t->slot);
  t->slot = NULL;
  t->cap = t->n = 0;
}

/* The slot that holds `key`, or the free one where it belongs. */
static size_t find(const cd_table *t, const void *key) {
  size_t i = home(t, key);
  while (t->slot[i] != NULL && memcmp(key_of(t, t->slot[i]), key, t->key_len) != 0)
    i = (i + 1) & (t->cap - 1);
  return i;
}

void *cd_table_get(const cd_table *t, const void *key) {
  return t->n == 0 ? NULL : t->slot[find(t, key)];
}

static bool grow(cd_table *t) {
  cd_table bigger = *t;
  bigger.cap = t->cap == 0 ? 16 : t->cap * 2;
  bigger.slot = calloc(bigger.cap, sizeof *bigger.slot);
  if (bigger.slot == NULL) return false;
  for (size_t i = 0; i < t->cap; i++) {
    if (t->slot[i] != NULL) bigger.slot[find(&bigger, key_of(t, t->slot[i]))] = t->slot[i];
  }
  free(t->slot);
  *t = bigger;
  return true;
}

bool cd_table_put(cd_table *t, void *object) {
  if ((t->n + 1) * 4 > t->cap * 3 && !grow(t)) return false;
  t->slot[find(t, key_of(t, object))] = object;
  t->n++;
  return true;
}

void *cd_table_remove(cd_table *t, const void *key) {
  if (t->n == 0) return NULL;
  size_t hole = find(t, key);
  void *object = t->slot[hole];
  if (object == NULL) return NULL;
  t->slot[hole] = NULL;
  t->n--;
  /* Move later objects of the run back, so that no search stops at the hole. */
  for (size_t i = (hole + 1) & (t->cap - 1); t->slot[i] != NULL; i = (i + 1) & (t->cap - 1)) {
    size_t want = home(t, key_of(t, t->slot[i]));
    if (((i - want) & (t->cap - 1)) >= ((i - hole) & (t->cap - 1))) {
      t->slot[hole] = t->slot[i];
      t->slot[i] = NULL;
      hole = i;
    }
  }
  return object;
}

void *cd_table_next(const cd_table *t, size_t *i) {
  while (*i < t->cap) {
    void *object = t->slot[(*i)++];
    if (object != NULL) return object;
  }
  return NULL;
}
