#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static atomic_int threshold = CD_LOG_INFO;
static atomic_uint broken;

static const char *const names[] = {
#define NAME(sym, name) [CD_LOG_##sym] = (name),
    CD_LOG_LEVELS(NAME)
#undef NAME
};

void cd_log_set_level(cd_log_level level) {
  atomic_store(&threshold, (int)level);
}

bool cd_log_on(cd_log_level level) {
  return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool cd_log_parse_level(const char *name, cd_log_level *out) {
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcasecmp(name, names[i]) == 0) {
      *out = (cd_log_level)i;
      return true;
    }
  }
  return false;
}

static size_t put_time(char *out, size_t size) {
  struct timespec now;
  struct tm utc;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
  return n + (size_t)snprintf(out + n, size - n, ".%03ldZ ", now.tv_nsec / 1000000);
}

void cd_log(cd_log_level level, const char *subsystem, const char *format, ...) {
  if (level == CD_LOG_BROKEN) atomic_fetch_add(&broken, 1);
  if (!cd_log_on(level)) return;
  char line[LINE_MAX_BYTES];
  size_t n = put_time(line, sizeof line);
  n += (size_t)snprintf(line + n, sizeof line - n, "%s %s: ", names[level], subsystem);
  va_list args;
  va_start(args, format);
  int more = vsnprintf(line + n, sizeof line - n, format, args);
  va_end(args);
  if (more > 0) n += (size_t)more;
  if (n > sizeof line - 1) n = sizeof line - 1;
  for (size_t i = 0; i < n; i++) {
    if (line[i] < 0x20 || line[i] > 0x7e) line[i] = '?';
  }
  line[n++] = '\n';
  /* A log that cannot be written must not stop the daemon. */
  if (write(STDERR_FILENO, line, n) < 0) return;
}

unsigned cd_log_broken(void) {
  return atomic_load(&broken);
}
