/* A passphrase from a file: refused with a sentence, or all of the first line. */
#include <sodium.h>

#include "folder.h"
#include "passphrase.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char why[700] = "";
  if (sodium_init() < 0) return 0;
  put_in_folder("passphrase", data, size);
  const cd_passphrase_source from = {.file = folder_file};
  cd_passphrase *p = cd_passphrase_get(&from, why, sizeof why);
  if (p == NULL) {
    must_be_sentence(why, sizeof why);
    return 0;
  }
  const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
  size_t len = end != NULL ? (size_t)(end - data) : size;
  if (end != NULL && len > 0 && data[len - 1] == '\r') len--;
  must(p->len >= 1 && p->len <= CD_PASSPHRASE_MAX && strlen(p->text) == p->len, "a passphrase has bounds");
  must(p->len == len && memcmp(p->text, data, len) == 0, "the whole line counts");
  sodium_free(p);
  return 0;
}
