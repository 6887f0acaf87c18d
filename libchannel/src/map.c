#include "map.h"

#include <sodium.h>
#include <stdlib.h>

#define FIRST_SLOTS 16
#define MAX_SLOTS (1u << 31)

void ch_map_init(ch_map *map, size_t row_size, const uint8_t secret[CH_MAP_SECRET_BYTES]) {
  _Static_assert(CH_MAP_SECRET_BYTES == crypto_shorthash_KEYBYTES, "SipHash's key");
  *map = (ch_map){.row_size = row_size};
  memcpy(map->secret, secret, sizeof map->secret);
}

void ch_map_free(ch_map *map) {
  free(map->rows);
  free(map->slots);
  *map = (ch_map){0};
}

static uint8_t *row_at(const ch_map *map, uint32_t number) {
  return map->rows + number * map->row_size;
}

/* The slot that holds `name`, or the free one where it belongs. At least half of the slots are free. */
static uint32_t *slot_of(const ch_map *map, const ch_hash *name) {
  uint8_t hash[crypto_shorthash_BYTES];
  crypto_shorthash(hash, name->b, sizeof name->b, map->secret);
  uint32_t at;
  memcpy(&at, hash, sizeof at);
  for (;; at++) {
    uint32_t *slot = &map->slots[at & (map->n_slots - 1)];
    if (*slot == 0 || memcmp(row_at(map, *slot - 1), name->b, sizeof name->b) == 0) return slot;
  }
}

void *ch_map_find(const ch_map *map, const ch_hash *name) {
  if (map->n == 0) return NULL;
  uint32_t slot = *slot_of(map, name);
  return slot == 0 ? NULL : row_at(map, slot - 1);
}

static bool grow(ch_map *map) {
  uint32_t n_slots = map->n_slots == 0 ? FIRST_SLOTS : map->n_slots * 2;
  if (map->n_slots == MAX_SLOTS) return false;
  uint8_t *rows = realloc(map->rows, n_slots / 2 * map->row_size);
  if (rows == NULL) return false;
  map->rows = rows;
  uint32_t *slots = calloc(n_slots, sizeof *slots);
  if (slots == NULL) return false;
  free(map->slots);
  map->slots = slots;
  map->n_slots = n_slots;
  for (uint32_t i = 0; i < map->n; i++) {
    ch_hash name;
    memcpy(&name, row_at(map, i), sizeof name);
    *slot_of(map, &name) = i + 1;
  }
  return true;
}

void *ch_map_add(ch_map *map, const ch_hash *name) {
  if (map->n >= map->n_slots / 2 && !grow(map)) return NULL;
  uint8_t *row = row_at(map, map->n);
  memset(row, 0, map->row_size);
  memcpy(row, name->b, sizeof name->b);
  *slot_of(map, name) = ++map->n;
  return row;
}

uint32_t ch_map_number(const ch_map *map, const void *row) {
  return (uint32_t)((size_t)((const uint8_t *)row - map->rows) / map->row_size);
}
