#include "args.h"

void cd_args_fail(cd_args *a, const char *name, const char *wants) {
  if (a->failed) return;
  a->failed = true;
  cd_reply_fail(a->reply, CD_BAD_REQUEST, "bad_argument", "See proto/openapi.yaml for the arguments.",
                "The argument `%s` must be %s.", name, wants);
}

bool cd_has(const cd_args *a, const char *name) {
  return json_object_get(a->json, name) != NULL;
}

const char *cd_arg_text(cd_args *a, const char *name) {
  json_t *v = json_object_get(a->json, name);
  if (v != NULL && !json_is_string(v)) cd_args_fail(a, name, "a text");
  return json_string_value(v);
}

/* A text that must be there. */
static const char *required(cd_args *a, const char *name, const char *wants) {
  const char *text = cd_arg_text(a, name);
  if (text == NULL) cd_args_fail(a, name, wants);
  return a->failed ? NULL : text;
}

ch_amount cd_arg_amount(cd_args *a, const char *name, const ch_amount *fallback) {
  static const char wants[] = "a whole number of base units, as a text";
  ch_amount out = {0};
  if (fallback != NULL && !cd_has(a, name)) return *fallback;
  const char *text = required(a, name, wants);
  if (text != NULL && ch_amount_parse(&out, text) != CH_OK) cd_args_fail(a, name, wants);
  return out;
}

ch_addr cd_arg_addr(cd_args *a, const char *name, const ch_addr *fallback) {
  static const char wants[] = "an address: 0x and 40 hex digits";
  ch_addr out = {0};
  if (fallback != NULL && !cd_has(a, name)) return *fallback;
  const char *text = required(a, name, wants);
  if (text != NULL && !ch_unhex(out.b, sizeof out.b, text)) cd_args_fail(a, name, wants);
  return out;
}

uint64_t cd_arg_number(cd_args *a, const char *name, int64_t fallback) {
  json_t *v = json_object_get(a->json, name);
  if (v == NULL && fallback >= 0) return (uint64_t)fallback;
  if (!json_is_integer(v) || json_integer_value(v) < 0) cd_args_fail(a, name, "a whole number");
  return a->failed ? 0 : (uint64_t)json_integer_value(v);
}

bool cd_arg_flag(cd_args *a, const char *name) {
  json_t *v = json_object_get(a->json, name);
  if (v != NULL && !json_is_boolean(v)) cd_args_fail(a, name, "true or false");
  return json_is_true(v);
}

bool cd_parse_node(const char *text, ch_pubkey *out) {
  return ch_unhex(out->b, sizeof out->b, text) && (out->b[0] == 2 || out->b[0] == 3);
}

ch_pubkey cd_arg_node(cd_args *a, const char *name) {
  static const char wants[] = "a node id: 66 hex digits that begin with 02 or 03";
  ch_pubkey out = {0};
  const char *text = required(a, name, wants);
  if (text != NULL && !cd_parse_node(text, &out)) cd_args_fail(a, name, wants);
  return out;
}

size_t cd_arg_bytes(cd_args *a, const char *name, uint8_t *out, size_t max) {
  char wants[48];
  snprintf(wants, sizeof wants, "at most %zu bytes in hex", max);
  const char *text = required(a, name, wants);
  if (text == NULL) return 0;
  size_t len = strlen(text) / 2 - (strncmp(text, "0x", 2) == 0);
  if (len <= max && ch_unhex(out, len, text)) return len;
  cd_args_fail(a, name, wants);
  return 0;
}

ch_hash cd_arg_hash(cd_args *a, const char *name) {
  ch_hash out = {0};
  const char *text = required(a, name, "64 hex digits");
  if (text != NULL && !ch_unhex(out.b, sizeof out.b, text)) cd_args_fail(a, name, "64 hex digits");
  return out;
}

ch_hash cd_arg_channel(cd_args *a, const char *name) {
  ch_hash out = {0};
  const char *text = required(a, name, "a channel's id, or at least its first 6 digits");
  if (text == NULL) return out;
  switch (cd_directory_find(&a->node->directory, text, &out)) {
  case CD_FOUND_ONE: return out;
  case CD_FOUND_MANY: cd_args_fail(a, name, "longer: several channels begin like this"); return out;
  case CD_FOUND_NONE: break;
  }
  a->failed = true;
  cd_reply_fail(a->reply, CD_NOT_FOUND, ch_err_name(CH_ERR_UNKNOWN_CHANNEL),
                "`channel list` shows all; give at least 6 digits.", "There is no channel %.70s here.", text);
  return out;
}
