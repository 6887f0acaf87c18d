#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cd_option *find(const cd_option *options, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++) {
    if (strcmp(options[i].name, name) == 0) return &options[i];
  }
  return NULL;
}

bool cd_options_read(const cd_option *options, size_t n, const char **rest, int argc, char **argv, const char *command,
                     char *why, size_t why_len) {
  for (int i = 0; i < argc; i++) {
    const cd_option *o = find(options, n, argv[i]);
    if (o != NULL && o->given != NULL) {
      *o->given = true;
    } else if (o != NULL && i + 1 < argc) {
      *o->value = argv[++i];
    } else if (o != NULL) {
      snprintf(why, why_len, "%s needs a value; `%s --help` shows how.", argv[i], command);
      return false;
    } else if (rest != NULL && *rest == NULL && argv[i][0] != '-') {
      *rest = argv[i];
    } else {
      snprintf(why, why_len, "`%.60s` is not understood here; `%s --help` shows how.", argv[i], command);
      return false;
    }
  }
  return true;
}

bool cd_options_dir(const char *flag, char *out, size_t size, char *why, size_t why_len) {
  const char *home = getenv("HOME"), *dir = flag != NULL ? flag : getenv("CHANNELD_DIR");
  int n = dir != NULL ? snprintf(out, size, "%s", dir) : snprintf(out, size, "%s/.channeld", home == NULL ? "." : home);
  if (n >= 0 && (size_t)n < size) return true;
  snprintf(why, why_len, "The path of the directory is too long.");
  return false;
}
