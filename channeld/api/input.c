#include "input.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "channel/money.h"

#define DECODED 512 /* longer texts are refused anyway */

static void make_printable(char *s) {
  for (; *s; s++)
    if (*s < 0x20 || *s > 0x7e) *s = '?';
}

bool cd_refuse(cd_problem *problem, unsigned status, const char *code, const char *hint, const char *message, ...) {
  problem->status = status;
  problem->code = code;
  snprintf(problem->hint, sizeof problem->hint, "%s", hint);
  va_list ap;
  va_start(ap, message);
  vsnprintf(problem->message, sizeof problem->message, message, ap);
  va_end(ap);
  make_printable(problem->message);
  make_printable(problem->hint);
  return false;
}

/* Writes "This call takes: a, b, c." */
static void list_fields(char *out, size_t size, const cd_field *fields) {
  size_t n = (size_t)snprintf(out, size, "%s", fields->name ? "This call takes: " : "This call takes no arguments.");
  for (const cd_field *f = fields; f->name && n < size; f++)
    n += (size_t)snprintf(out + n, size - n, "%s%s", f->name, f[1].name ? ", " : ".");
}

static bool unknown(cd_problem *problem, const cd_field *fields, const char *where, const char *name) {
  char hint[320];
  list_fields(hint, sizeof hint, fields);
  return cd_refuse(problem, 400, "unknown_field", hint, "%sThere is no argument \"%.60s\" here.", where, name);
}

static const cd_field *find(const cd_field *fields, cd_place place, const char *name) {
  for (const cd_field *f = fields; f->name; f++)
    if (f->place == place && strcmp(f->name, name) == 0) return f;
  return NULL;
}

/* --- The form of one value ---------------------------------------------------------------------- */

static bool is_text(const json_t *value, int64_t max) {
  const char *s = json_string_value(value);
  if (!s || !*s || json_string_length(value) > (size_t)max) return false;
  for (; *s; s++)
    if (*s <= 0x20 || *s > 0x7e) return false;
  return true;
}

static bool is_amount(const json_t *value) {
  ch_amount ignored;
  const char *s = json_string_value(value);
  return s && ch_amount_parse(&ignored, s) == CH_OK;
}

static bool is_word(const json_t *value, const char *words) {
  const char *s = json_string_value(value);
  if (!s || !*s) return false;
  size_t len = strlen(s);
  for (const char *at = words; *at; at += strspn(at, " ")) {
    size_t n = strcspn(at, " ");
    if (n == len && memcmp(at, s, len) == 0) return true;
    at += n;
  }
  return false;
}

static bool fits(const json_t *value, const cd_field *f) {
  switch (f->type) {
  case CD_TEXT: return is_text(value, f->max);
  case CD_AMOUNT: return is_amount(value);
  case CD_INTEGER:
    return json_is_integer(value) && json_integer_value(value) >= f->min && json_integer_value(value) <= f->max;
  case CD_FLAG: return json_is_boolean(value);
  case CD_WORD: return is_word(value, f->words);
  case CD_LIST:
    return json_is_array(value) && json_array_size(value) >= (size_t)f->min && json_array_size(value) <= (size_t)f->max;
  }
  return false;
}

static bool misfit(cd_problem *problem, const cd_field *f, const char *where) {
  const char *hint = "Correct it and send the request again; nothing was done.";
  const char *code = "bad_argument";
  switch (f->type) {
  case CD_TEXT:
    return cd_refuse(problem, 400, code, hint, "%s\"%s\" must be a text of 1 to %" PRId64 " printable characters.",
                     where, f->name, f->max);
  case CD_AMOUNT:
    return cd_refuse(problem, 400, "bad_amount", hint,
                     "%s\"%s\" must be a string with a whole number of base units, such as \"1000\".", where, f->name);
  case CD_INTEGER:
    if (f->max == INT64_MAX)
      return cd_refuse(problem, 400, code, hint, "%s\"%s\" must be a whole number, not below %" PRId64 ".", where,
                       f->name, f->min);
    return cd_refuse(problem, 400, code, hint, "%s\"%s\" must be a whole number from %" PRId64 " to %" PRId64 ".",
                     where, f->name, f->min, f->max);
  case CD_FLAG: return cd_refuse(problem, 400, code, hint, "%s\"%s\" must be true or false.", where, f->name);
  case CD_WORD: return cd_refuse(problem, 400, code, hint, "%s\"%s\" must be one of: %s.", where, f->name, f->words);
  case CD_LIST:
    return cd_refuse(problem, 400, code, hint, "%s\"%s\" must be a list of %" PRId64 " to %" PRId64 " objects.", where,
                     f->name, f->min, f->max);
  }
  return false;
}

/* --- Objects ------------------------------------------------------------------------------------ */

static bool complete(const json_t *args, const cd_field *fields, const char *where, cd_problem *problem) {
  for (const cd_field *f = fields; f->name; f++) {
    bool given = json_object_get(args, f->name);
    bool other = f->not_with && json_object_get(args, f->not_with);
    if (given && other)
      return cd_refuse(problem, 400, "bad_argument", "Give one of the two.", "%s\"%s\" and \"%s\" exclude each other.",
                       where, f->name, f->not_with);
    if (given || other || !f->required) continue;
    char hint[320];
    list_fields(hint, sizeof hint, fields);
    return cd_refuse(problem, 400, "missing_field", hint, "%s\"%s\" is missing.", where, f->name);
  }
  return true;
}

static bool check_item(json_t *item, const cd_field *list, size_t at, cd_problem *problem) {
  char where[48];
  snprintf(where, sizeof where, "%s[%zu]: ", list->name, at);
  if (!json_is_object(item))
    return cd_refuse(problem, 400, "bad_argument", "Correct it and send the request again; nothing was done.",
                     "%sThis must be an object.", where);
  const char *name;
  json_t *value;
  json_object_foreach(item, name, value) {
    const cd_field *f = find(list->items, CD_BODY, name);
    if (!f) return unknown(problem, list->items, where, name);
    if (!fits(value, f)) return misfit(problem, f, where);
  }
  return complete(item, list->items, where, problem);
}

static bool check(json_t *value, const cd_field *f, cd_problem *problem) {
  if (!fits(value, f)) return misfit(problem, f, "");
  if (f->type != CD_LIST) return true;
  size_t i;
  json_t *item;
  json_array_foreach(value, i, item) {
    if (!check_item(item, f, i, problem)) return false;
  }
  return true;
}

bool cd_input_complete(const json_t *args, const cd_route *route, cd_problem *problem) {
  return complete(args, route->fields, "", problem);
}

bool cd_input_body(json_t *args, const cd_route *route, const char *body, size_t len, cd_problem *problem) {
  if (len == 0) return true;
  json_error_t why;
  json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
  if (!root)
    return cd_refuse(problem, 400, "bad_json", "Send one JSON object.", "The body is not JSON: line %d: %s.", why.line,
                     why.text);
  bool ok = json_is_object(root);
  if (!ok) cd_refuse(problem, 400, "bad_json", "Send one JSON object.", "The body is JSON, but not an object.");
  const char *name;
  json_t *value;
  json_object_foreach(root, name, value) {
    const cd_field *f = find(route->fields, CD_BODY, name);
    ok = f ? check(value, f, problem) : unknown(problem, route->fields, "", name);
    if (!ok) break;
    json_object_set(args, name, value);
  }
  json_decref(root);
  return ok;
}

/* --- Texts of the request line ------------------------------------------------------------------ */

/* Undoes percent-encoding. False for a malformed one, for NUL, and for what is too long. */
static bool decode(char out[DECODED], const char *in, size_t len) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (n + 1 == DECODED) return false;
    uint8_t byte = (uint8_t)in[i];
    if (in[i] == '%') {
      const char pair[3] = {i + 1 < len ? in[i + 1] : '\0', i + 2 < len ? in[i + 2] : '\0', '\0'};
      if (!ch_unhex(&byte, 1, pair)) return false;
      i += 2;
    }
    if (byte == 0) return false;
    out[n++] = (char)byte;
  }
  out[n] = '\0';
  return true;
}

/* The JSON value that a text of the request line stands for, or NULL. */
static json_t *value_of(const char *text, const cd_field *f) {
  switch (f->type) {
  case CD_INTEGER: {
    size_t digits = strspn(text, "0123456789");
    bool plain = digits > 0 && digits <= 18 && text[digits] == '\0';
    return plain ? json_integer((json_int_t)strtoll(text, NULL, 10)) : NULL;
  }
  case CD_FLAG:
    if (strcmp(text, "true") == 0) return json_true();
    return strcmp(text, "false") == 0 ? json_false() : NULL;
  case CD_TEXT:
  case CD_AMOUNT:
  case CD_WORD: return json_string(text);
  case CD_LIST: return NULL;
  }
  return NULL;
}

static bool take_text(json_t *args, const cd_field *f, const char *text, size_t len, cd_problem *problem) {
  char plain[DECODED];
  json_t *value = decode(plain, text, len) ? value_of(plain, f) : NULL;
  bool ok = value ? check(value, f, problem) : misfit(problem, f, "");
  if (ok) json_object_set(args, f->name, value);
  json_decref(value);
  return ok;
}

bool cd_input_path(json_t *args, const cd_route *route, const char *path, cd_problem *problem) {
  for (const cd_field *f = route->fields; f->name; f++) {
    if (f->place != CD_PATH) continue;
    size_t len = 0;
    const char *segment = cd_route_segment(route, path, f->name, &len);
    if (!take_text(args, f, segment ? segment : "", len, problem)) return false;
  }
  return true;
}

bool cd_input_query(json_t *args, const cd_route *route, const char *key, const char *value, cd_problem *problem) {
  char name[DECODED];
  const cd_field *f = decode(name, key, strlen(key)) ? find(route->fields, CD_QUERY, name) : NULL;
  if (!f) return unknown(problem, route->fields, "", key);
  if (json_object_get(args, name))
    return cd_refuse(problem, 400, "bad_argument", "Give it once.", "\"%s\" is given twice.", f->name);
  return take_text(args, f, value ? value : "", value ? strlen(value) : 0, problem);
}
