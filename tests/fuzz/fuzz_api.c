/* Requests of the HTTP API. The first byte names a route, a line is its path or query, the rest the body: arguments
 * that the route's table allows, or a refusal in printable characters. */
#include <jansson.h>

#include "api/input.h"
#include "fuzz.h"

static const cd_route *route_of(uint8_t byte) {
  size_t n = 0;
  while (cd_routes[n].method != NULL)
    n++;
  return &cd_routes[byte % n];
}

static bool allowed(const cd_route *route, const char *name) {
  for (const cd_field *f = route->fields; f != NULL && f->name != NULL; f++)
    if (strcmp(f->name, name) == 0) return true;
  return false;
}

static void check(const cd_route *route, const json_t *args, bool taken, const cd_problem *problem) {
  const char *name;
  json_t *value;
  if (taken) {
    json_object_foreach((json_t *)(uintptr_t)args, name, value)
        must(allowed(route, name), "only the route's arguments");
    return;
  }
  must(problem->status >= 400 && problem->status < 500 && problem->code != NULL, "a refusal has a code");
  for (const char *s = problem->message; *s != '\0'; s++)
    must(*s >= ' ' && *s < 127, "a refusal in printable characters");
}

/* `line` is key=value for the query, or a path. */
static bool take_line(json_t *args, const cd_route *route, char *line, cd_problem *problem) {
  char allow[CD_ALLOW_STR];
  if (line[0] == '/') {
    const cd_route *found = cd_route_find(route->method, line, allow);
    return found != route || cd_input_path(args, route, line, problem);
  }
  char *value = strchr(line, '=');
  if (value != NULL) *value++ = '\0';
  return line[0] == '\0' || cd_input_query(args, route, line, value, problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cd_problem problem = {0};
  if (size == 0) return 0;
  const cd_route *route = route_of(data[0]);
  char *text = text_of(data + 1, size - 1);
  char *body = memchr(text, '\n', size - 1);
  if (body != NULL) *body++ = '\0';
  json_t *args = json_object();
  bool taken = take_line(args, route, text, &problem) &&
               cd_input_body(args, route, body != NULL ? body : "", body != NULL ? size - 1 - (size_t)(body - text) : 0,
                             &problem) &&
               cd_input_complete(args, route, &problem);
  check(route, args, taken, &problem);
  json_decref(args);
  free(text);
  return 0;
}
