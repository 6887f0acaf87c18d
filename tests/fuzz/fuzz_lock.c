/* Locks: any bytes are refused, or the one encoding of the locks that were read from them. */
#include "channel/lock.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t out[1 << 16];
  size_t at = 0, len = 0, n = 0, seen = 0;
  ch_lock lock;
  if (size > sizeof out) return 0;
  bool whole = ch_locks_count(&n, data, size) == CH_OK;
  while (at < size && ch_lock_decode(&lock, data, size, &at) == CH_OK) {
    seen++;
    must(ch_lock_check(&lock) == CH_OK, "a lock that was read is sound");
    must(ch_lock_encode(out, sizeof out, &len, &lock) == CH_OK, "what was read can be written");
  }
  must(len == at && memcmp(out, data, len) == 0, "one encoding");
  must(whole == (at == size), "all or nothing");
  must(!whole || n == seen, "the same number");
  return 0;
}
