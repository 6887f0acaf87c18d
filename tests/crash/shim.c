/* shim.c - a preload that numbers the crash points of one process and ends it with SIGKILL at one of them.
 *
 *   CRASH_DIR     the data directory: what happens to other files is no point
 *   CRASH_CHAIN   the embedded chain's file
 *   CRASH_COUNTS  a file of CRASH_KINDS numbers of 8 bytes, in the order of `kinds`: the points so far, over all
 *                 processes of a run; it outlives them
 *   CRASH_AT      "KIND:N:before" or "KIND:N:after": where to end; without it nothing is done but counting
 *
 * Points: each transaction that changes rows ("commit", the COMMIT itself) or the chain ("chain"), each call that
 * changes a file
 * ("write", "sync", "truncate", "rename", "unlink"), each piece of an answer to a command of the API ("http") and each
 * message to a peer ("send"). Questions (GET) and what only moves a chain made for tests (/v1/dev) are no commands: how
 * often a script asks is a matter of time, and would drown the numbers. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

typedef enum kind { COMMIT, CHAIN, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, SEND, HTTP, CRASH_KINDS } kind;

static const char *const kinds[CRASH_KINDS] = {"commit", "chain",  "write", "sync", "truncate",
                                               "rename", "unlink", "send",  "http"};

#define FDS 4096

static struct {
  char dir[PATH_MAX], chain[PATH_MAX];
  size_t dir_len;
  _Atomic uint64_t *counts; /* NULL: off */
  bool armed, after;
  kind at;
  uint64_t number;
} shim;

/* What a connection has asked of the API; peers' are not asked by recv(). */
typedef enum talk { PEER, COMMAND, QUESTION } talk;
static _Atomic unsigned char talks[FDS];

static void arm(const char *where) {
  char name[16], side[8];
  unsigned long long number;
  if (!where || sscanf(where, "%15[a-z]:%llu:%7s", name, &number, side) != 3) return;
  for (int k = 0; k < CRASH_KINDS; k++) {
    if (strcmp(kinds[k], name) != 0) continue;
    shim.at = (kind)k;
    shim.number = number;
    shim.after = strcmp(side, "after") == 0;
    shim.armed = true;
  }
}

__attribute__((constructor)) static void set_up(void) {
  const char *dir = getenv("CRASH_DIR"), *path = getenv("CRASH_COUNTS");
  if (!dir || !path || !realpath(dir, shim.dir)) return;
  shim.dir_len = strlen(shim.dir);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *page = mmap(NULL, CRASH_KINDS * sizeof *shim.counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  const char *chain = getenv("CRASH_CHAIN");
  snprintf(shim.chain, sizeof shim.chain, "%s", chain ? chain : "");
  arm(getenv("CRASH_AT"));
  if (page != MAP_FAILED) shim.counts = (_Atomic uint64_t *)page;
}

/* --- Points --------------------------------------------------------------------------------------- */

static void end_if(bool here) {
  if (!here) return;
  kill(getpid(), SIGKILL);
  for (;;)
    pause();
}

/* Its number, from 1; 0 for what is no point. */
static uint64_t enter(bool counts, kind k) {
  if (!shim.counts || !counts) return 0;
  uint64_t number = atomic_fetch_add(&shim.counts[k], 1) + 1;
  end_if(shim.armed && !shim.after && shim.at == k && shim.number == number);
  return number;
}

static void leave(uint64_t number, kind k) {
  end_if(number != 0 && shim.armed && shim.after && shim.at == k && shim.number == number);
}

static bool in_dir(const char *path) {
  return strncmp(path, shim.dir, shim.dir_len) == 0 && path[shim.dir_len] == '/';
}

static bool is_file_of_ours(int fd) {
  char link[40], path[PATH_MAX];
  if (!shim.counts) return false;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return false;
  path[n] = '\0';
  return in_dir(path) || strcmp(path, shim.dir) == 0;
}

static bool is_path_of_ours(const char *path) {
  char whole[PATH_MAX + NAME_MAX], folder[PATH_MAX];
  if (!shim.counts || strlen(path) >= sizeof folder) return false;
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash) *slash = '\0';
  if (!realpath(slash ? folder : ".", whole)) return false;
  strcat(whole, "/");
  return in_dir(whole);
}

static bool is_talk(int fd, talk t) {
  return fd >= 0 && fd < FDS && atomic_load(&talks[fd]) == t;
}

static uint64_t enter_send(int fd, kind *k) {
  *k = is_talk(fd, COMMAND) ? HTTP : SEND;
  return enter(shim.counts && !is_talk(fd, QUESTION), *k);
}

/* The function that this one stands in front of. A table of its own for each type would say no more. */
#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

#define POINT(type, name, counts, k, params, args)                                                                     \
  type name params {                                                                                                   \
    static __typeof__(&name) real;                                                                                     \
    if (!real) real = REAL(name);                                                                                      \
    uint64_t number = enter(counts, k);                                                                                \
    type result = real args;                                                                                           \
    leave(number, k);                                                                                                  \
    return result;                                                                                                     \
  }

/* With 64-bit offsets, as all of our programs and libraries are built, pwrite and ftruncate are pwrite64 and
 * ftruncate64 to the linker. */
POINT(ssize_t, write, is_file_of_ours(fd), WRITE, (int fd, const void *b, size_t n), (fd, b, n))
POINT(ssize_t, pwrite, is_file_of_ours(fd), WRITE, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at))
POINT(int, fsync, is_file_of_ours(fd), SYNC, (int fd), (fd))
POINT(int, fdatasync, is_file_of_ours(fd), SYNC, (int fd), (fd))
POINT(int, ftruncate, is_file_of_ours(fd), TRUNCATE, (int fd, off_t n), (fd, n))
POINT(int, rename, is_path_of_ours(to), RENAME, (const char *from, const char *to), (from, to))
POINT(int, unlink, is_path_of_ours(path), UNLINK, (const char *path), (path))

#define SENDING(name, params, args)                                                                                    \
  ssize_t name params {                                                                                                \
    static __typeof__(&name) real;                                                                                     \
    kind k;                                                                                                            \
    if (!real) real = REAL(name);                                                                                      \
    uint64_t number = enter_send(fd, &k);                                                                              \
    ssize_t result = real args;                                                                                        \
    leave(number, k);                                                                                                  \
    return result;                                                                                                     \
  }

SENDING(send, (int fd, const void *b, size_t n, int flags), (fd, b, n, flags))
SENDING(sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))

/* --- What is asked -------------------------------------------------------------------------------- */

/* The number is free for another connection, which may be a peer's. */
int close(int fd) {
  static __typeof__(&close) real;
  if (!real) real = REAL(close);
  if (fd >= 0 && fd < FDS) atomic_store(&talks[fd], PEER);
  return real(fd);
}

ssize_t recv(int fd, void *buffer, size_t size, int flags) {
  static __typeof__(&recv) real;
  if (!real) real = REAL(recv);
  ssize_t n = real(fd, buffer, size, flags);
  if (n < 12 || fd < 0 || fd >= FDS) return n;
  if (memcmp(buffer, "GET ", 4) == 0 || memcmp(buffer, "POST /v1/dev", 12) == 0)
    atomic_store(&talks[fd], QUESTION);
  else if (memcmp(buffer, "POST ", 5) == 0)
    atomic_store(&talks[fd], COMMAND);
  return n;
}

/* --- Commits -------------------------------------------------------------------------------------- */

/* COMMIT or CHAIN; CRASH_KINDS for anything else, a transaction that changes nothing included. */
static kind kind_of(sqlite3_stmt *stmt) {
  static _Atomic int64_t changes[2];
  const char *sql = sqlite3_sql(stmt);
  if (!shim.counts || !sql || strncmp(sql, "COMMIT", 6) != 0) return CRASH_KINDS;
  sqlite3 *db = sqlite3_db_handle(stmt);
  const char *file = sqlite3_db_filename(db, "main");
  bool chain = file && strcmp(file, shim.chain) == 0;
  if (!file || (!chain && !in_dir(file))) return CRASH_KINDS;
  int64_t now = sqlite3_total_changes64(db);
  if (atomic_exchange(&changes[chain], now) == now) return CRASH_KINDS;
  return chain ? CHAIN : COMMIT;
}

int sqlite3_step(sqlite3_stmt *stmt) {
  static __typeof__(&sqlite3_step) real;
  if (!real) real = REAL(sqlite3_step);
  kind k = kind_of(stmt);
  uint64_t number = k == CRASH_KINDS ? 0 : enter(true, k);
  int result = real(stmt);
  leave(number, k);
  return result;
}
