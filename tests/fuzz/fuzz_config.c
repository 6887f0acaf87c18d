/* The daemon's settings: any file is taken or refused with a sentence, and what is taken is within its bounds. */
#include <unistd.h>

#include "config.h"
#include "fuzz.h"

static char folder[64];

static char *nothing(const char *name) {
  return strcmp(name, "HOME") == 0 ? folder : NULL;
}

static void write_config(const uint8_t *data, size_t size) {
  char path[100];
  snprintf(path, sizeof path, "%s/config", folder);
  FILE *file = fopen(path, "wb");
  must(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0, "a file can be written");
}

static void remove_folder(void) {
  char path[100];
  snprintf(path, sizeof path, "%s/config", folder);
  unlink(path);
  rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static cd_config c;
  char why[600] = "", flag[] = "--dir";
  if (folder[0] == '\0') {
    snprintf(folder, sizeof folder, "/tmp/fuzz-config-XXXXXX");
    must(mkdtemp(folder) != NULL && atexit(remove_folder) == 0, "a folder");
  }
  write_config(data, size);
  char *argv[] = {flag, folder};
  cd_config_result r = cd_config_load(&c, 2, argv, nothing, why, sizeof why);
  must(r == CD_CONFIG_OK || (r == CD_CONFIG_BAD && why[0] != '\0'), "taken, or refused with a sentence");
  must(memchr(why, 0, sizeof why) != NULL, "a sentence that ends");
  for (const char *s = why; *s != '\0'; s++)
    must((unsigned char)*s >= ' ' && *s != 127, "a sentence without control characters");
  return 0;
}
