#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static ch_err unusable(const char *dir, int error, char *why, size_t why_len) {
  snprintf(why, why_len, "the folder %s cannot be used (%s); check that it exists and is yours", dir, strerror(error));
  return CH_ERR_ARGUMENT;
}

/* The holder's process id as it wrote it, or 0. */
static long holder(int fd) {
  char text[24] = "";
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  return n > 0 ? strtol(text, NULL, 10) : 0;
}

static bool write_own_id(int fd) {
  char text[24];
  int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

ch_err cd_dir_lock(const char *dir, int *fd, char *why, size_t why_len) {
  char path[PATH_MAX];
  int n = snprintf(path, sizeof path, "%s/lock", dir);
  if (n < 0 || (size_t)n >= sizeof path) return unusable(dir, ENAMETOOLONG, why, why_len);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return unusable(dir, errno, why, why_len);
  if (flock(file, LOCK_EX | LOCK_NB) == 0 && write_own_id(file)) {
    *fd = file;
    return CH_OK;
  }
  int error = errno;
  ch_err err = CH_ERR_DUPLICATE;
  if (error == EWOULDBLOCK)
    snprintf(why, why_len, "another channeld (pid %ld) uses the folder %s; stop it first or name another folder",
             holder(file), dir);
  else
    err = unusable(dir, error, why, why_len);
  close(file);
  return err;
}

void cd_dir_unlock(int fd) {
  close(fd);
}
