/* fields.h - protobuf messages written field by field, by code that the compiler makes from nanopb's field lists.
 *
 * A channel's record is written for every update. nanopb walks its descriptors three times for that, which takes some
 * 80,000 instructions: a tenth of all that a node does for an update. The lists (X-macros in the generated header) are
 * the same that its descriptors are made of, so a new field needs nothing here, and a field of a kind that is not known
 * here does not compile. The bytes are those that pb_encode() writes (tests/unit/test_record_golden.c).
 *
 *   FIELDS_OF(RecSlots)                       defines put_RecSlots(fields_out *, const RecSlots *)
 *   FIELDS_WHERE(Record, chosen)              defines put_Record_chosen(...): the fields whose tag is `chosen(tag)`
 *
 * Messages within come first. A repeated message with a callback is left to a put_NAME(out, tag, message) of one's own.
 */
#ifndef CHANNEL_FIELDS_H
#define CHANNEL_FIELDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct fields_out {
  uint8_t *at, *end;
  bool full; /* there was no room: what is written is of no use */
} fields_out;

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

static inline void put_varint(fields_out *o, uint64_t v) {
  if (o->end - o->at < 10) {
    o->full = true;
    return;
  }
  for (; v > 0x7f; v >>= 7)
    *o->at++ = (uint8_t)(v | 0x80);
  *o->at++ = (uint8_t)v;
}

/* Numbers that are 0 and strings that are empty are left out, as in all of proto3; bytes of fixed length never are. */
static inline void put_number(fields_out *o, uint32_t tag, uint64_t v) {
  if (v == 0) return;
  put_varint(o, tag << 3 | WIRE_VARINT);
  put_varint(o, v);
}

static inline void put_bytes(fields_out *o, uint32_t tag, const void *bytes, size_t len) {
  put_varint(o, tag << 3 | WIRE_BYTES);
  put_varint(o, len);
  if (o->full || (size_t)(o->end - o->at) < len) {
    o->full = true;
    return;
  }
  memcpy(o->at, bytes, len);
  o->at += len;
}

static inline void put_bytes_if(fields_out *o, uint32_t tag, const void *bytes, size_t len) {
  if (len > 0) put_bytes(o, tag, bytes, len);
}

/* A message within: its fields are written between these two, which put its length in front. */
static inline uint8_t *put_begin(fields_out *o, uint32_t tag) {
  put_varint(o, tag << 3 | WIRE_BYTES);
  if (o->end - o->at < 10) o->full = true;
  if (!o->full) o->at++; /* for a length below 128 */
  return o->at;
}

static inline void put_end(fields_out *o, uint8_t *body) {
  if (o->full) return;
  size_t len = (size_t)(o->at - body);
  size_t more = len < 1u << 7 ? 0 : len < 1u << 14 ? 1 : 2;
  if ((size_t)(o->end - o->at) < more + 10) {
    o->full = true;
    return;
  }
  if (more > 0) memmove(body + more, body, len);
  o->at = body - 1;
  put_varint(o, len);
  o->at += len;
}

#define FIELDS_OF(type)                                                                                                \
  static void put_##type(fields_out *o, const type *m) {                                                               \
    type##_FIELDLIST(PUT_FIELD, type)                                                                                  \
  }
#define FIELDS_WHERE(type, chosen)                                                                                     \
  static void put_##type##_##chosen(fields_out *o, const type *m) {                                                    \
    static bool (*const put_this)(uint32_t) = chosen;                                                                  \
    type##_FIELDLIST(PUT_FIELD_IF, type)                                                                               \
  }
#define PUT_FIELD_IF(type, storage, rule, kind, name, tag)                                                             \
  if (put_this(tag)) {                                                                                                 \
    PUT_FIELD(type, storage, rule, kind, name, tag)                                                                    \
  }
#define PUT_FIELD(type, storage, rule, kind, name, tag) PUT_##storage##_##rule##_##kind(type, name, tag)
#define PUT_STATIC_SINGULAR_BOOL(type, name, tag) put_number(o, tag, m->name);
#define PUT_STATIC_SINGULAR_UINT32(type, name, tag) put_number(o, tag, m->name);
#define PUT_STATIC_SINGULAR_UINT64(type, name, tag) put_number(o, tag, m->name);
#define PUT_STATIC_SINGULAR_FIXED_LENGTH_BYTES(type, name, tag) put_bytes(o, tag, m->name, sizeof m->name);
#define PUT_STATIC_SINGULAR_BYTES(type, name, tag) put_bytes_if(o, tag, m->name.bytes, m->name.size);
#define PUT_STATIC_SINGULAR_STRING(type, name, tag) put_bytes_if(o, tag, m->name, strnlen(m->name, sizeof m->name));
#define PUT_STATIC_REPEATED_FIXED_LENGTH_BYTES(type, name, tag)                                                        \
  for (size_t i = 0; i < m->name##_count; i++)                                                                         \
    put_bytes(o, tag, m->name[i], sizeof m->name[i]);
#define PUT_STATIC_OPTIONAL_MESSAGE(type, name, tag)                                                                   \
  if (m->has_##name) {                                                                                                 \
    uint8_t *body = put_begin(o, tag);                                                                                 \
    PUT_OF_TYPE(type##_##name##_MSGTYPE)(o, &m->name);                                                                 \
    put_end(o, body);                                                                                                  \
  }
#define PUT_CALLBACK_REPEATED_MESSAGE(type, name, tag) put_##name(o, tag, m);
#define PUT_OF_TYPE(type) PUT_OF_TYPE_(type)
#define PUT_OF_TYPE_(type) put_##type

#endif
