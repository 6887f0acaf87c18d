/* json.c - values as JSON. */
#include "vectors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

json_t *hex_text(const void *bytes, size_t len) {
  char *s = malloc(2 * len + 3);
  if (s == NULL) abort();
  memcpy(s, "0x", 3);
  if (len > 0) ch_hex(s + 2, bytes, len);
  json_t *text = json_string(s);
  free(s);
  return text;
}

void put_hex(json_t *o, const char *key, const void *bytes, size_t len) {
  json_object_set_new(o, key, hex_text(bytes, len));
}

void put_hash(json_t *o, const char *key, ch_hash h) {
  put_hex(o, key, h.b, sizeof h.b);
}

void put_addr(json_t *o, const char *key, ch_addr a) {
  put_hex(o, key, a.b, sizeof a.b);
}

void put_sig(json_t *o, const char *key, ch_sig s) {
  put_hex(o, key, s.b, sizeof s.b);
}

static json_t *net(ch_net n) {
  char buf[CH_MONEY_STR];
  return json_string(ch_net_str(buf, n));
}

void put_net(json_t *o, const char *key, ch_net n) {
  json_object_set_new(o, key, net(n));
}

void put_amount(json_t *o, const char *key, ch_amount a) {
  put_net(o, key, (ch_net){(ch_i128)a.v});
}

void put_number(json_t *o, const char *key, uint64_t v) {
  put_net(o, key, (ch_net){(ch_i128)v});
}

void put_nets(json_t *o, const char *key, const ch_net n[2]) {
  json_object_set_new(o, key, json_pack("[o, o]", net(n[0]), net(n[1])));
}

void put_amounts(json_t *o, const char *key, const ch_amount a[2]) {
  const ch_net n[2] = {{(ch_i128)a[0].v}, {(ch_i128)a[1].v}};
  put_nets(o, key, n);
}

json_t *add(json_t *list) {
  json_t *o = json_object();
  json_array_append_new(list, o);
  return o;
}

void save(const char *folder, const char *name, json_t *value) {
  char path[4096];
  if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
    perror(folder);
    exit(1);
  }
  snprintf(path, sizeof path, "%s/%s.json", folder, name);
  FILE *f = fopen(path, "w");
  if (f == NULL || json_dumpf(value, f, JSON_INDENT(1)) != 0 || fputc('\n', f) == EOF || fclose(f) != 0) {
    perror(path);
    exit(1);
  }
  json_decref(value);
}
