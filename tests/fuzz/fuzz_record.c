/* Channels as they are stored. The sum at the end, which no fuzzer finds, is made for the bytes; then any record is
 * refused, or gives a channel whose own record gives the same one. */
#include <sodium.h>

#include "channel/channel.h"
#include "fuzz.h"

static ch_channel *read_record(const uint8_t *in, size_t len) {
  ch_channel *c;
  return ch_channel_decode(&c, in, len, NULL, 0) == CH_OK ? c : NULL;
}

static uint8_t *write_record(const ch_channel *c, size_t *len) {
  uint8_t *out;
  must(ch_channel_encode(c, &out, len) == CH_OK, "a channel that was read can be written");
  return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint8_t key[crypto_shorthash_KEYBYTES];
  size_t len, again_len;
  if (sodium_init() < 0 || size > 100000) return 0;
  uint8_t *record = malloc(size + crypto_shorthash_BYTES);
  must(record != NULL, "there is memory");
  if (size > 0) memcpy(record, data, size);
  crypto_shorthash(record + size, record, size, key);
  ch_channel *c = read_record(record, size + crypto_shorthash_BYTES);
  free(record);
  if (c == NULL) return 0;
  uint8_t *first = write_record(c, &len);
  ch_channel_free(c);
  c = read_record(first, len);
  must(c != NULL, "what was written can be read");
  uint8_t *second = write_record(c, &again_len);
  must(len == again_len && memcmp(first, second, len) == 0, "a channel is not changed by storing it");
  ch_env env = {0};
  ch_info info;
  ch_channel_info(c, &env, &info);
  ch_channel_free(c);
  free(first);
  free(second);
  return 0;
}
