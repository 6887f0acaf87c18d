/* table.h - a hash table of objects that contain their own key (fixed length, anywhere inside the object).
 *
 * Open addressing, keyed hash: a peer that chooses keys cannot make it slow. Not thread-safe. The table never owns
 * the objects.
 */
#ifndef CHANNELD_UTIL_TABLE_H
#define CHANNELD_UTIL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cd_table {
  void **slot;
  size_t cap, n; /* cap is a power of two, or 0 */
  size_t key_offset, key_len;
  uint8_t seed[16];
} cd_table;

void cd_table_init(cd_table *t, size_t key_offset, size_t key_len);
void cd_table_free(cd_table *t);
/* NULL if there is none. */
void *cd_table_get(const cd_table *t, const void *key);
/* The key must not be there yet. False only if memory is out. */
bool cd_table_put(cd_table *t, void *object);
/* Takes it out and returns it, or NULL. */
void *cd_table_remove(cd_table *t, const void *key);
/* Walks through all: start with *i = 0, ends with NULL. The table must not change meanwhile. */
void *cd_table_next(const cd_table *t, size_t *i);

#endif
