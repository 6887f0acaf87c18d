#include "passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "terminal.h"

static cd_passphrase *fresh(char *why, size_t why_len) {
  cd_passphrase *p = sodium_malloc(sizeof *p);
  if (p == NULL) {
    snprintf(why, why_len, "There is no locked memory for the passphrase; raise `ulimit -l`.");
    return NULL;
  }
  memset(p, 0, sizeof *p);
  return p;
}

/* Takes it if its length will do; else frees it. */
static cd_passphrase *sized(cd_passphrase *p, const char *where, char *why, size_t why_len) {
  p->len = strnlen(p->text, sizeof p->text);
  if (p->len >= 1 && p->len <= CD_PASSPHRASE_MAX) return p;
  snprintf(why, why_len, "The passphrase %.400s is %s.", where, p->len == 0 ? "empty" : "too long");
  sodium_free(p);
  return NULL;
}

bool cd_passphrase_take(const char *variable, cd_passphrase **out, char *why, size_t why_len) {
  char *value = getenv(variable), where[80];
  *out = NULL;
  if (value == NULL) return true;
  snprintf(where, sizeof where, "in %s", variable);
  cd_passphrase *p = fresh(why, why_len);
  if (p != NULL) memcpy(p->text, value, strnlen(value, sizeof p->text - 1));
  sodium_memzero(value, strlen(value));
  unsetenv(variable);
  *out = p == NULL ? NULL : sized(p, where, why, why_len);
  return *out != NULL;
}

/* --- From a file --------------------------------------------------------------------------------- */

/* The first line, and its length. False with errno if it cannot be read. */
static bool read_first_line(int fd, cd_passphrase *p) {
  size_t n = 0;
  while (n < sizeof p->text - 1 && memchr(p->text, '\n', n) == NULL) {
    ssize_t got = read(fd, p->text + n, sizeof p->text - 1 - n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    n += (size_t)got;
  }
  char *end = memchr(p->text, '\n', n);
  if (end != NULL) {
    if (end > p->text && end[-1] == '\r') end--;
    sodium_memzero(end, (size_t)(p->text + n - end));
    n = (size_t)(end - p->text);
  }
  p->len = n;
  return true;
}

static cd_passphrase *from_file(const char *path, char *why, size_t why_len) {
  struct stat st;
  char where[450];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) {
    snprintf(why, why_len, "The passphrase file %.400s cannot be read: %s.", path, strerror(errno));
    if (fd >= 0) close(fd);
    return NULL;
  }
  if ((st.st_mode & S_IRWXO) != 0) {
    snprintf(why, why_len, "Everybody can read the passphrase file: run `chmod o= %.400s`.", path);
    close(fd);
    return NULL;
  }
  cd_passphrase *p = fresh(why, why_len);
  bool ok = p != NULL && read_first_line(fd, p);
  if (p != NULL && !ok) snprintf(why, why_len, "The passphrase file %.400s cannot be read: %s.", path, strerror(errno));
  close(fd);
  if (ok && memchr(p->text, '\0', p->len) != NULL) {
    snprintf(why, why_len, "The passphrase in %.400s has a zero byte, behind which nothing would count: use text.",
             path);
    ok = false;
  }
  if (!ok) {
    sodium_free(p);
    return NULL;
  }
  snprintf(where, sizeof where, "in %.400s", path);
  return sized(p, where, why, why_len);
}

/* --- From a person ------------------------------------------------------------------------------- */

static cd_passphrase *from_person(const char *prompt, char *why, size_t why_len) {
  cd_passphrase *p = fresh(why, why_len);
  if (p == NULL) return NULL;
  if (cd_ask(prompt, true, p->text, sizeof p->text, why, why_len)) return sized(p, "that was typed", why, why_len);
  sodium_free(p);
  return NULL;
}

static cd_passphrase *copy_of(const cd_passphrase *given, char *why, size_t why_len) {
  cd_passphrase *p = fresh(why, why_len);
  if (p != NULL) *p = *given;
  return p;
}

static bool has_file(const cd_passphrase_source *from) {
  return from->file != NULL && from->file[0] != '\0';
}

cd_passphrase *cd_passphrase_get(const cd_passphrase_source *from, char *why, size_t why_len) {
  if (has_file(from)) return from_file(from->file, why, why_len);
  if (from->given != NULL) return copy_of(from->given, why, why_len);
  if (cd_terminal()) return from_person("Passphrase: ", why, why_len);
  snprintf(why, why_len,
           "The seed is encrypted: give its passphrase with --passphrase-file FILE, in CHANNELD_PASSPHRASE, or at a "
           "terminal.");
  return NULL;
}

static cd_passphrase *from_person_twice(char *why, size_t why_len) {
  cd_passphrase *p = from_person("New passphrase: ", why, why_len);
  cd_passphrase *again = p == NULL ? NULL : from_person("The same again: ", why, why_len);
  bool same = again != NULL && p->len == again->len && sodium_memcmp(p->text, again->text, p->len) == 0;
  if (again != NULL && !same) snprintf(why, why_len, "The two passphrases differ; nothing was changed.");
  sodium_free(again);
  if (same) return p;
  sodium_free(p);
  return NULL;
}

cd_passphrase *cd_passphrase_new(const cd_passphrase_source *from, char *why, size_t why_len) {
  cd_passphrase *p;
  if (has_file(from) || from->given != NULL) {
    p = cd_passphrase_get(from, why, why_len);
  } else if (cd_terminal()) {
    p = from_person_twice(why, why_len);
  } else {
    snprintf(why, why_len,
             "Say how the seed is to be kept: encrypted (--passphrase-file FILE, CHANNELD_PASSPHRASE, or at a "
             "terminal), or with --no-passphrase.");
    return NULL;
  }
  if (p == NULL || p->len >= CD_PASSPHRASE_MIN) return p;
  snprintf(why, why_len, "The passphrase is too short: give at least %d characters.", CD_PASSPHRASE_MIN);
  sodium_free(p);
  return NULL;
}
