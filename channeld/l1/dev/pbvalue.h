/* pbvalue.h - the values of proto/devchain.proto that nanopb knows only as bytes. */
#ifndef CHANNELD_L1_DEV_PBVALUE_H
#define CHANNELD_L1_DEV_PBVALUE_H

#include <pb_decode.h>
#include <pb_encode.h>

#include "channel/money.h"

#define CD_NET_BYTES 14 /* int112 */

/* Copies between two arrays that must be of one size. */
#define CD_COPY(to, from)                                                                                              \
  do {                                                                                                                 \
    _Static_assert(sizeof(to) == sizeof(from), "arrays of one size");                                                  \
    memcpy((to), (from), sizeof(to));                                                                                  \
  } while (0)

/* A nanopb bytes field with a size of its own. */
#define CD_PUT_AMOUNT(field, amount) ((field).size = cd_pb_put_amount((field).bytes, amount))
#define CD_GET_AMOUNT(out, field) (ch_amount_from_bytes(out, (field).bytes, (field).size) == CH_OK)

static inline pb_size_t cd_pb_put_amount(uint8_t out[CD_NET_BYTES], ch_amount a) {
  uint8_t bytes[16];
  size_t n = ch_amount_bytes(bytes, a);
  memcpy(out, bytes, n); /* at most 14: money has 111 bits */
  return (pb_size_t)n;
}

static inline void cd_pb_put_net(uint8_t out[CD_NET_BYTES], ch_net n) {
  uint8_t word[32];
  ch_net_word(word, n);
  memcpy(out, word + sizeof word - CD_NET_BYTES, CD_NET_BYTES);
}

static inline bool cd_pb_get_net(ch_net *out, const uint8_t in[CD_NET_BYTES]) {
  uint8_t word[32];
  memset(word, in[0] & 0x80 ? 0xff : 0, sizeof word);
  memcpy(word + sizeof word - CD_NET_BYTES, in, CD_NET_BYTES);
  return ch_net_from_word(out, word) == CH_OK;
}

/* Encodes a message whose limits fit `size`. Returns its length, 0 if it does not fit. */
static inline size_t cd_pb_encode(uint8_t *out, size_t size, const pb_msgdesc_t *type, const void *msg) {
  pb_ostream_t stream = pb_ostream_from_buffer(out, size);
  return pb_encode(&stream, type, msg) ? stream.bytes_written : 0;
}

/* Decodes one message that must fill all of `in`. */
static inline bool cd_pb_decode(void *msg, const pb_msgdesc_t *type, const uint8_t *in, size_t len) {
  pb_istream_t stream = pb_istream_from_buffer(in, len);
  return pb_decode(&stream, type, msg);
}

#endif
