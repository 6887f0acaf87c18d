/* Messages of peers: any bytes are refused, ignored, or the one encoding of what was read from them. */
#include "channel/message.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ch_msg msg;
  bool known;
  if (ch_msg_decode(&msg, &known, data, size) != CH_OK || !known) return 0;
  uint8_t *again;
  size_t len;
  must(ch_msg_encode(&msg, &again, &len) == CH_OK && len == size, "what was read can be written");
  must(msg.type == CH_MSG_ERROR || memcmp(again, data, size) == 0, "one encoding"); /* an error's text is sanitised */
  free(again);
  ch_msg_clear(&msg);
  return 0;
}
