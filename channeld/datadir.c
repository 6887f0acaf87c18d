#include "datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/types.h"

#define PATH_LEN 600
#define SEED_LEN 64
#define SEED_HEAD "channeld-seed-v1 plain "
#define SEED_LINE (sizeof SEED_HEAD - 1 + 2 * (size_t)SEED_LEN)

static bool one_dir(const char *path, char *why, size_t why_len) {
  struct stat st;
  if (mkdir(path, 0700) == 0) return true;
  int error = errno;
  if (error == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return true;
  snprintf(why, why_len, "The directory %.400s cannot be made: %s.", path, strerror(error == EEXIST ? ENOTDIR : error));
  return false;
}

bool cd_dir_make(const char *path, char *why, size_t why_len) {
  char part[PATH_LEN];
  if (strlen(path) >= sizeof part) {
    snprintf(why, why_len, "The path of the directory is too long.");
    return false;
  }
  snprintf(part, sizeof part, "%s", path);
  for (char *p = part + 1; *p != '\0'; p++) {
    if (*p != '/') continue;
    *p = '\0';
    if (!one_dir(part, why, why_len)) return false;
    *p = '/';
  }
  return one_dir(part, why, why_len);
}

static bool write_all(int fd, const char *text) {
  size_t len = strlen(text);
  while (len > 0) {
    ssize_t n = write(fd, text, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text += n;
    len -= (size_t)n;
  }
  return fsync(fd) == 0;
}

static void sync_dir(const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

bool cd_dir_write(const char *dir, const char *name, const char *text, char *why, size_t why_len) {
  char path[PATH_LEN], fresh[PATH_LEN + 8];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  snprintf(fresh, sizeof fresh, "%s.new", path);
  unlink(fresh);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && write_all(fd, text);
  if (fd >= 0 && close(fd) != 0) ok = false;
  ok = ok && rename(fresh, path) == 0;
  if (ok) {
    sync_dir(dir);
    return true;
  }
  snprintf(why, why_len, "%.400s cannot be written: %s.", path, strerror(errno));
  if (fd >= 0) unlink(fresh);
  return false;
}

/* Reads the line of D/seed into `line`. */
static bool read_line(const char *path, char line[SEED_LINE + 2], char *why, size_t why_len) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    snprintf(why, why_len, "There is no seed at %.400s: make one with `channeld init --dir DIR`.", path);
    return false;
  }
  if (fd < 0 || fstat(fd, &st) != 0) {
    snprintf(why, why_len, "The seed %.400s cannot be read: %s.", path, strerror(errno));
    if (fd >= 0) close(fd);
    return false;
  }
  if ((st.st_mode & 077) != 0) {
    snprintf(why, why_len, "Others can read the seed: run `chmod 600 %.400s`.", path);
    close(fd);
    return false;
  }
  ssize_t n = read(fd, line, SEED_LINE + 1);
  close(fd);
  line[n < 0 ? 0 : n] = '\0';
  return true;
}

bool cd_seed_read(const char *dir, uint8_t seed[64], char *why, size_t why_len) {
  char path[PATH_LEN], line[SEED_LINE + 2];
  snprintf(path, sizeof path, "%s/seed", dir);
  if (!read_line(path, line, why, why_len)) return false;
  line[strcspn(line, "\n")] = '\0';
  const size_t head = sizeof SEED_HEAD - 1;
  bool ok = strlen(line) == SEED_LINE && memcmp(line, SEED_HEAD, head) == 0 && ch_unhex(seed, SEED_LEN, line + head);
  sodium_memzero(line, sizeof line);
  if (!ok) {
    snprintf(why, why_len,
             "The seed %.400s is not in a form that this release reads. Move it away and run `channeld init "
             "--words` with your recovery words.",
             path);
  }
  return ok;
}

bool cd_seed_write(const char *dir, const uint8_t seed[64], char *why, size_t why_len) {
  char path[PATH_LEN], line[SEED_LINE + 2] = SEED_HEAD;
  snprintf(path, sizeof path, "%s/seed", dir);
  if (access(path, F_OK) == 0) {
    snprintf(why, why_len, "There is a seed in %.400s already; it is never overwritten. Give another directory.", dir);
    return false;
  }
  ch_hex(line + sizeof SEED_HEAD - 1, seed, SEED_LEN);
  strcat(line, "\n");
  bool ok = cd_dir_write(dir, "seed", line, why, why_len);
  sodium_memzero(line, sizeof line);
  return ok;
}
