#include "evm_state.h"

#include <stdlib.h>

#define BUCKETS 4096

typedef struct version {
  ch_hash value;
  uint64_t block;
  struct version *before;
} version;

typedef struct cell {
  evm_place at;
  version *last;
  struct cell *next;
} cell;

struct evm_state {
  cell *buckets[BUCKETS];
  cell **changed; /* one entry for each version that was put, in order */
  size_t n, cap;
};

static void *need(void *p) {
  if (p == NULL) abort();
  return p;
}

evm_state *evm_state_new(void) {
  return need(calloc(1, sizeof(evm_state)));
}

void evm_state_free(evm_state *s) {
  if (s == NULL) return;
  for (size_t i = 0; i < BUCKETS; i++) {
    while (s->buckets[i] != NULL) {
      cell *c = s->buckets[i];
      s->buckets[i] = c->next;
      while (c->last != NULL) {
        version *v = c->last;
        c->last = v->before;
        free(v);
      }
      free(c);
    }
  }
  free(s->changed);
  free(s);
}

static uint32_t mixed(uint32_t h, const uint8_t *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    h = (h ^ b[i]) * 16777619u; /* FNV-1a */
  return h;
}

static bool is_at(const cell *c, const evm_place *at) {
  return c->at.space == at->space && ch_addr_eq(&c->at.addr, &at->addr) && ch_hash_eq(&c->at.slot, &at->slot);
}

static size_t bucket_of(const evm_place *at) {
  uint32_t h = mixed(2166136261u + (uint32_t)at->space, at->addr.b, sizeof at->addr.b);
  return mixed(h, at->slot.b, sizeof at->slot.b) % BUCKETS;
}

static cell *find(const evm_state *s, const evm_place *at) {
  cell *c = s->buckets[bucket_of(at)];
  while (c != NULL && !is_at(c, at))
    c = c->next;
  return c;
}

static cell *find_or_make(evm_state *s, const evm_place *at) {
  cell *c = find(s, at);
  if (c != NULL) return c;
  cell **bucket = &s->buckets[bucket_of(at)];
  c = need(calloc(1, sizeof *c));
  c->at = *at;
  c->next = *bucket;
  *bucket = c;
  return c;
}

ch_hash evm_state_get(const evm_state *s, const evm_place *at) {
  return evm_state_at(s, at, UINT64_MAX);
}

ch_hash evm_state_at(const evm_state *s, const evm_place *at, uint64_t block) {
  const cell *c = find(s, at);
  const version *v = c == NULL ? NULL : c->last;
  while (v != NULL && v->block > block)
    v = v->before;
  return v == NULL ? (ch_hash){{0}} : v->value;
}

static void push(cell *c, const ch_hash *value, uint64_t block) {
  version *v = need(malloc(sizeof *v));
  *v = (version){.value = *value, .block = block, .before = c->last};
  c->last = v;
}

void evm_state_put(evm_state *s, const evm_place *at, const ch_hash *value, uint64_t block) {
  cell *c = find_or_make(s, at);
  if (s->n == s->cap) {
    s->cap = s->cap == 0 ? 256 : 2 * s->cap;
    s->changed = need(realloc(s->changed, s->cap * sizeof(cell *)));
  }
  push(c, value, block);
  s->changed[s->n++] = c;
}

size_t evm_state_mark(const evm_state *s) {
  return s->n;
}

void evm_state_back(evm_state *s, size_t mark) {
  while (s->n > mark) {
    cell *c = s->changed[--s->n];
    version *v = c->last;
    c->last = v->before;
    free(v);
  }
}

/* There is a version below all others, which no mark reaches. */
static version *bottom(cell *c) {
  version *v = c->last;
  while (v != NULL && v->before != NULL)
    v = v->before;
  if (v != NULL && v->block == 0) return v;
  version *b = need(calloc(1, sizeof *b));
  if (v == NULL)
    c->last = b;
  else
    v->before = b;
  return b;
}

void evm_state_always(evm_state *s, const evm_place *at, const ch_hash *value) {
  cell *c = find_or_make(s, at);
  bottom(c);
  for (version *v = c->last; v != NULL; v = v->before)
    v->value = *value;
}

void evm_state_always_more(evm_state *s, const evm_place *at, ch_amount more) {
  cell *c = find_or_make(s, at);
  bottom(c);
  for (version *v = c->last; v != NULL; v = v->before)
    v->value = evm_word(evm_number(&v->value) + more.v);
}

ch_hash evm_word(ch_u128 value) {
  ch_hash w = {{0}};
  for (size_t i = 32; i-- > 16; value >>= 8)
    w.b[i] = (uint8_t)value;
  return w;
}

ch_u128 evm_number(const ch_hash *word) {
  ch_u128 v = 0;
  for (size_t i = 0; i < 16; i++)
    if (word->b[i] != 0) return ~(ch_u128)0;
  for (size_t i = 16; i < 32; i++)
    v = v << 8 | word->b[i];
  return v;
}
