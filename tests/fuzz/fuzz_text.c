/* Values as people and files write them: what is taken is written back as it stood, but for leading zeros and case. */
#include "channel/money.h"
#include "channel/types.h"
#include "fuzz.h"

static const char *without_zeros(const char *s) {
  while (s[0] == '0' && s[1] != '\0')
    s++;
  return s;
}

static void amounts(const char *text) {
  char again[CH_MONEY_STR];
  ch_amount a;
  if (ch_amount_parse(&a, text) != CH_OK) return;
  ch_amount_str(again, a);
  must(strcmp(again, without_zeros(text)) == 0, "an amount is what it says");
}

static void nets(const char *text) {
  char again[CH_MONEY_STR];
  ch_net n, same;
  if (ch_net_parse(&n, text) != CH_OK) return;
  ch_net_str(again, n);
  must(ch_net_parse(&same, again) == CH_OK && same.v == n.v, "a net is what it says");
}

static void bytes(const char *text) {
  uint8_t id[33];
  char again[2 * sizeof id + 1];
  for (size_t len = 20; len <= sizeof id; len++) {
    if (!ch_unhex(id, len, text)) continue;
    ch_hex(again, id, len);
    must(strcasecmp(again, strncasecmp(text, "0x", 2) == 0 ? text + 2 : text) == 0, "bytes are what they say");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = text_of(data, size);
  amounts(text);
  nets(text);
  bytes(text);
  free(text);
  return 0;
}
