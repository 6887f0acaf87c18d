#include "datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LEN 600

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

static bool write_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes += n;
    len -= (size_t)n;
  }
  return fsync(fd) == 0;
}

/* The new name is durable when its directory is. */
static bool sync_dir(const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  return ok;
}

bool cd_dir_put(const char *dir, const char *name, const void *bytes, size_t len, char *why, size_t why_len) {
  char path[PATH_LEN], fresh[PATH_LEN + 8];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  snprintf(fresh, sizeof fresh, "%s.new", path);
  unlink(fresh);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && write_all(fd, bytes, len);
  int error = errno;
  if (fd >= 0 && close(fd) != 0 && ok) {
    error = errno;
    ok = false;
  }
  if (ok) {
    ok = rename(fresh, path) == 0 && sync_dir(dir);
    error = errno;
  }
  if (ok) return true;
  snprintf(why, why_len, "%.400s cannot be written: %s.", path, strerror(error));
  if (fd >= 0) unlink(fresh);
  return false;
}

bool cd_dir_write(const char *dir, const char *name, const char *text, char *why, size_t why_len) {
  return cd_dir_put(dir, name, text, strlen(text), why, why_len);
}
