/* The daemon's settings: any file is taken or refused with a sentence, and what is taken is within its bounds. */
#include "config.h"
#include "folder.h"

static char *nothing(const char *name) {
  return strcmp(name, "HOME") == 0 ? folder : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static cd_config c;
  char why[600] = "", flag[] = "--dir";
  put_in_folder("config", data, size);
  char *argv[] = {flag, folder};
  cd_config_result r = cd_config_load(&c, 2, argv, nothing, why, sizeof why);
  must(r == CD_CONFIG_OK || r == CD_CONFIG_BAD, "taken or refused");
  if (r == CD_CONFIG_BAD) must_be_sentence(why, sizeof why);
  return 0;
}
