/* Prints the API's table of routes as JSON, so that a script can compare it with proto/openapi.yaml. */
#include <stdio.h>

#include <jansson.h>

#include "api/routes.h"

static const char *type_name(cd_type type) {
  switch (type) {
  case CD_TEXT: return "text";
  case CD_AMOUNT: return "amount";
  case CD_INTEGER: return "integer";
  case CD_FLAG: return "flag";
  case CD_WORD: return "word";
  case CD_LIST: return "list";
  }
  return "";
}

static json_t *dump_fields(const cd_field *fields) {
  static const char *const places[] = {"", "path", "query", "body"};
  json_t *out = json_array();
  for (const cd_field *f = fields; f && f->name; f++)
    json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:s?, s:s?, s:o}", "name", f->name, "place",
                                         places[f->place], "type", type_name(f->type), "required", f->required, "min",
                                         (json_int_t)f->min, "max", (json_int_t)f->max, "words", f->words, "not_with",
                                         f->not_with, "items", dump_fields(f->items)));
  return out;
}

int main(void) {
  json_t *out = json_array();
  for (const cd_route *r = cd_routes; r->method; r++)
    json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:o}", "method", r->method, "path", r->path, "command",
                                         r->command, "fields", dump_fields(r->fields)));
  int failed = json_dumpf(out, stdout, JSON_INDENT(1));
  json_decref(out);
  return failed;
}
