/* map.h - a hash table from ch_hash to rows of one fixed size. Rows are never removed. */
#ifndef CH_MAP_H
#define CH_MAP_H

#include "channel/types.h"

/* The names may be chosen by an adversary, so their places depend on a secret. */
#define CH_MAP_SECRET_BYTES 16

typedef struct ch_map {
  uint8_t secret[CH_MAP_SECRET_BYTES];
  size_t row_size; /* a row begins with its name, a ch_hash */
  uint8_t *rows;   /* n of them in the order in which they were added, room for half as many as there are slots */
  uint32_t n;
  uint32_t *slots; /* n_slots, a power of two, or 0: each the number of a row, plus one; 0 is free */
  uint32_t n_slots;
} ch_map;

/* An empty map; nothing is allocated yet. */
void ch_map_init(ch_map *map, size_t row_size, const uint8_t secret[CH_MAP_SECRET_BYTES]);
void ch_map_free(ch_map *map);
/* The row of `name`, or NULL. Valid until the next ch_map_add. */
void *ch_map_find(const ch_map *map, const ch_hash *name);
/* A new row for a name that has none, zeroed behind the name; NULL if memory is short. */
void *ch_map_add(ch_map *map, const ch_hash *name);
/* The number of a row: 0 for the first one added. */
uint32_t ch_map_number(const ch_map *map, const void *row);

#endif
