#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_BYTES 32

/* Makes the new name itself durable. */
static bool sync_folder_of(const char *path) {
  char folder[4096];
  const char *slash = strrchr(path, '/');
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  bool ok = fsync(fd) == 0;
  close(fd);
  return ok;
}

/* Writes a new file and gives it its name only when it is whole. */
static bool write_whole(const char *path, const char *text, size_t len) {
  char fresh[4096];
  if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh) {
    errno = ENAMETOOLONG;
    return false;
  }
  int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool ok = fchmod(fd, 0600) == 0 && write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
  ok = close(fd) == 0 && ok;
  return ok && rename(fresh, path) == 0 && sync_folder_of(path);
}

static ch_err create(const char *path, char token[CD_API_TOKEN_STR], char *why, size_t why_len) {
  uint8_t bytes[TOKEN_BYTES];
  char line[CD_API_TOKEN_STR + 1];
  randombytes_buf(bytes, sizeof bytes);
  ch_hex(token, bytes, sizeof bytes);
  snprintf(line, sizeof line, "%s\n", token);
  bool ok = write_whole(path, line, CD_API_TOKEN_STR);
  sodium_memzero(bytes, sizeof bytes);
  sodium_memzero(line, sizeof line);
  return ok ? CH_OK
            : cd_api_fail(why, why_len, "The API token cannot be written to %s: %s. Make its folder writable.", path,
                          strerror(errno));
}

/* One line with 64 hex digits. */
static bool parse(char token[CD_API_TOKEN_STR], char *line, size_t len) {
  uint8_t bytes[TOKEN_BYTES];
  if (len > 0 && line[len - 1] == '\n') len--;
  line[len] = '\0';
  bool ok = len == CD_API_TOKEN_STR - 1 && ch_unhex(bytes, sizeof bytes, line);
  if (ok) memcpy(token, line, CD_API_TOKEN_STR);
  sodium_memzero(bytes, sizeof bytes);
  return ok;
}

ch_err cd_api_token_load(const char *path, char token[CD_API_TOKEN_STR], char *why, size_t why_len) {
  if (sodium_init() < 0) return cd_api_fail(why, why_len, "libsodium does not start, so there are no random numbers.");
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return create(path, token, why, why_len);
  if (fd < 0) return cd_api_fail(why, why_len, "The API token in %s cannot be read: %s.", path, strerror(errno));
  struct stat st;
  char line[CD_API_TOKEN_STR + 2];
  ssize_t n = fstat(fd, &st) == 0 ? read(fd, line, sizeof line - 1) : -1;
  int error = errno;
  close(fd);
  if (n < 0) return cd_api_fail(why, why_len, "The API token in %s cannot be read: %s.", path, strerror(error));
  bool ok = parse(token, line, (size_t)n);
  sodium_memzero(line, sizeof line);
  if (!ok)
    return cd_api_fail(why, why_len, "%s does not hold an API token. Remove it, and the next start makes one.", path);
  if (st.st_mode & 077) {
    sodium_memzero(token, CD_API_TOKEN_STR);
    return cd_api_fail(
        why, why_len,
        "Others may read the API token in %s. Remove it, and the next start makes one that only you can read.", path);
  }
  return CH_OK;
}

bool cd_api_token_shown(const char *token, const char *authorization) {
  if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0) return false;
  const char *shown = authorization + 7;
  shown += strspn(shown, " ");
  return strlen(shown) == CD_API_TOKEN_STR - 1 && sodium_memcmp(shown, token, CD_API_TOKEN_STR - 1) == 0;
}
