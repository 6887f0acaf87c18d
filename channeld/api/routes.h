/* routes.h - the HTTP API as data: which method and path runs which command, and which arguments it takes from where.
 *
 * The table says the same as proto/openapi.yaml (tests/support/openapi_check.py compares them).
 */
#ifndef CHANNELD_API_ROUTES_H
#define CHANNELD_API_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cd_place { CD_PATH = 1, CD_QUERY, CD_BODY } cd_place;

typedef enum cd_type {
  CD_TEXT = 1, /* 1..max bytes of printable ASCII */
  CD_AMOUNT,   /* a string of digits (money.h) */
  CD_INTEGER,  /* min..max */
  CD_FLAG,     /* true or false */
  CD_WORD,     /* one of `words`, which are separated by blanks */
  CD_LIST,     /* min..max objects made of `items` */
} cd_type;

/* One argument. Tables of them end with a name that is NULL. */
typedef struct cd_field {
  const char *name;
  cd_place place;
  cd_type type;
  bool required;
  int64_t min, max;
  const char *words;
  const struct cd_field *items;
  const char *not_with; /* excludes that other argument, and is required only without it */
} cd_field;

typedef struct cd_route {
  const char *method;  /* GET, POST or DELETE */
  const char *path;    /* "/v1/channels/{id}": {name} stands for one segment, the argument of that name */
  const char *command; /* operationId */
  const cd_field *fields;
} cd_route;

extern const cd_route cd_routes[]; /* ends with a method that is NULL */

#define CD_ALLOW_STR 48 /* "GET, HEAD, POST, DELETE, OPTIONS" fits */

/* The route for a method and a path (as on the wire, still percent-encoded). HEAD is served as GET.
 * NULL if there is none: `allow` is then the list of methods that the path has, "" if the path is unknown. */
const cd_route *cd_route_find(const char *method, const char *path, char allow[CD_ALLOW_STR]);

/* The text of the path's segment that stands where `name` stands in the route's pattern: its start and length. */
const char *cd_route_segment(const cd_route *route, const char *path, const char *name, size_t *len);

#endif
