/* Arguments of commands. The first byte names what is read, the rest is its value in JSON, or a text: whatever it is,
 * it is a value within its bounds, or it is answered once with a refusal. */
#include "args.h"
#include "fuzz.h"

static void answer(void *ctx, cd_class cls, json_t *body) {
  ++*(unsigned *)ctx;
  must(cls == CD_BAD_REQUEST && json_is_object(body), "a refusal");
  json_decref(body);
}

static void read_bytes(cd_args *a, size_t max) {
  uint8_t bytes[64], untouched = bytes[max] = 0xa5;
  must(cd_arg_bytes(a, "x", bytes, max) <= max && bytes[max] == untouched, "bytes have a bound");
}

static void read_value(cd_args *a, uint8_t what) {
  ch_pubkey node;
  switch (what % 7) {
  case 0: must(cd_arg_amount(a, "x", NULL).v <= CH_MONEY_MAX, "money has a bound"); break;
  case 1: (void)cd_arg_addr(a, "x", NULL); break;
  case 2: must(cd_arg_number(a, "x", -1) <= INT64_MAX, "a number is not negative"); break;
  case 3: (void)cd_arg_flag(a, "x"); break;
  case 4:
    node = cd_arg_node(a, "x");
    must(a->failed || node.b[0] == 2 || node.b[0] == 3, "a node id is a compressed key");
    break;
  case 5: read_bytes(a, what / 7); break;
  default: (void)cd_arg_hash(a, "x"); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  unsigned answers = 0;
  json_t *value = json_loadb((const char *)data + 1, size - 1, JSON_DECODE_ANY, NULL);
  char *text = text_of(data + 1, size - 1);
  if (value == NULL) value = json_string(text);
  cd_args a = {.json = json_object(), .reply = {answer, &answers}};
  if (value != NULL) json_object_set_new(a.json, "x", value);
  read_value(&a, data[0]);
  must(answers == (a.failed ? 1 : 0), "answered once");
  json_decref(a.json);
  free(text);
  return 0;
}
