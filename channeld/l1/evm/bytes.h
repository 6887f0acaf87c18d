/* bytes.h - bytes that grow while something is written into them. A failed allocation is remembered, so that only the
 * end needs to be checked. */
#ifndef CHANNELD_L1_EVM_BYTES_H
#define CHANNELD_L1_EVM_BYTES_H

#include "channel/error.h"

typedef struct cd_bytes {
  uint8_t *b; /* malloc'ed; the caller's to free */
  size_t n, cap;
  bool failed; /* memory was out: the contents are of no use */
} cd_bytes;

/* Room for `n` more, zeroed and counted in; NULL once failed. Valid until the next call. */
uint8_t *cd_bytes_more(cd_bytes *to, size_t n);
void cd_bytes_put(cd_bytes *to, const void *from, size_t n);
/* Gives the bytes away, or frees them and returns CH_ERR_NO_MEMORY if something failed. */
ch_err cd_bytes_take(cd_bytes *from, uint8_t **out, size_t *len) CH_MUST_CHECK;

#endif
