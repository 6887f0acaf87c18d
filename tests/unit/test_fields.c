/* Writing protobuf fields (libchannel/src/fields.h): what does not fit is said to, and not one byte is written beyond
 * the room, whatever its size. That the bytes are protobuf's is for test_record_golden.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fields.h"

#define LONGEST 20000 /* its length takes three bytes */
#define UNTOUCHED 0xa5

/* What a record consists of: numbers, bytes and a message within, of `len` bytes. */
static void put_all(fields_out *o, const uint8_t *bytes, size_t len) {
  put_number(o, 1, 300);
  put_number(o, 2, 0);
  uint8_t *body = put_begin(o, 3);
  put_bytes_if(o, 4, bytes, len);
  put_number(o, 5, UINT64_MAX);
  put_end(o, body);
  put_bytes(o, 6, bytes, 3);
}

static size_t written(const fields_out *o, const uint8_t *room) {
  return (size_t)(o->at - room);
}

static void check_all_rooms(size_t len, size_t first) {
  static uint8_t bytes[LONGEST], whole[LONGEST + 100], room[LONGEST + 100];
  for (size_t i = 0; i < len; i++)
    bytes[i] = (uint8_t)i;
  fields_out o = {.at = whole, .end = whole + sizeof whole};
  put_all(&o, bytes, len);
  assert_false(o.full);
  const size_t n = written(&o, whole);
  bool fitted = false;
  for (size_t size = first; size < n + 32; size++) {
    memset(room, UNTOUCHED, sizeof room);
    o = (fields_out){.at = room, .end = room + size};
    put_all(&o, bytes, len);
    for (size_t i = size; i < sizeof room; i++)
      if (room[i] != UNTOUCHED) fail_msg("%zu bytes, room for %zu: wrote byte %zu", len, size, i);
    assert_true(size >= n || o.full);
    assert_true(!o.full || !fitted); /* more room does no harm */
    fitted = !o.full;
    if (o.full) continue;
    assert_int_equal(written(&o, room), n);
    assert_memory_equal(room, whole, n);
  }
  assert_true(fitted); /* some more than is needed is enough */
}

static void test_every_room(void **state) {
  (void)state;
  static const size_t lengths[] = {0, 1, 50, 110, 127, 128, 129, 1000};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    check_all_rooms(lengths[i], 0);
  check_all_rooms(LONGEST, LONGEST - 40);
}

/* The lengths at which a message's length takes one byte more. */
static void test_lengths(void **state) {
  (void)state;
  static const struct {
    size_t len;
    const char *head;
    size_t head_len;
  } rows[] = {
      {125, "\x1a\x7f\x22\x7d", 4},
      {126, "\x1a\x80\x01\x22\x7e", 5},
      {16380, "\x1a\xff\x7f\x22\xfc\x7f", 6},
      {16381, "\x1a\x80\x80\x01\x22\xfd\x7f", 7},
  };
  static uint8_t bytes[LONGEST], room[LONGEST + 100];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fields_out o = {.at = room, .end = room + sizeof room};
    uint8_t *body = put_begin(&o, 3);
    put_bytes(&o, 4, bytes, rows[i].len);
    put_end(&o, body);
    assert_false(o.full);
    assert_memory_equal(room, rows[i].head, rows[i].head_len);
    assert_int_equal(written(&o, room), rows[i].head_len + rows[i].len);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_room),
      cmocka_unit_test(test_lengths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
