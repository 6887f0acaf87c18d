#include "bytes.h"

#include <stdlib.h>

uint8_t *cd_bytes_more(cd_bytes *to, size_t n) {
  if (to->failed) return NULL;
  if (n > to->cap - to->n) {
    size_t cap = 2 * (to->n + n) + 64;
    uint8_t *b = realloc(to->b, cap);
    if (b == NULL) {
      to->failed = true;
      return NULL;
    }
    to->b = b;
    to->cap = cap;
  }
  uint8_t *room = to->b + to->n;
  memset(room, 0, n);
  to->n += n;
  return room;
}

void cd_bytes_put(cd_bytes *to, const void *from, size_t n) {
  uint8_t *room = cd_bytes_more(to, n);
  if (room != NULL && n > 0) memcpy(room, from, n);
}

ch_err cd_bytes_take(cd_bytes *from, uint8_t **out, size_t *len) {
  bool failed = from->failed || from->b == NULL;
  if (failed) {
    free(from->b);
  } else {
    *out = from->b;
    *len = from->n;
  }
  *from = (cd_bytes){0};
  return failed ? CH_ERR_NO_MEMORY : CH_OK;
}
