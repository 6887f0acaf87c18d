/* clock.c - time, chance and the log. */
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include "os_internal.h"
#include "os_wraps.h"

static struct {
  bool on;
  uint64_t now;
  uint64_t chance, bytes; /* two sources, so that what daemons draw does not change who runs next */
  void (*hook)(void *ctx, const os_machine *m, cd_log_level level, const char *subsystem, const char *text);
  void *hook_ctx;
  cd_log_level level;
  unsigned broken;
} c;

/* --- Time ------------------------------------------------------------------------------------------ */

uint64_t os_now(void) {
  return c.now;
}

void clock_forward(uint64_t ns) {
  c.now += ns;
}

/* Nanoseconds since 1970. */
static uint64_t wall(const os_machine *m) {
  return OS_EPOCH * OS_S + c.now + (m != NULL ? (uint64_t)m->wall_ms * OS_MS : 0);
}

uint64_t os_wall(const os_machine *m) {
  return wall(m) / OS_S;
}

void os_wall_step(os_machine *m, int64_t ms) {
  m->wall_ms += ms;
}

static bool is_wall(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

uint64_t clock_deadline(clockid_t clock, const struct timespec *until) {
  uint64_t at = (uint64_t)until->tv_sec * OS_S + (uint64_t)until->tv_nsec;
  if (!is_wall(clock)) return at;
  uint64_t here = wall(os_self());
  return at > here ? c.now + (at - here) : c.now;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out) {
  if (!c.on || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
    return __real_clock_gettime(clock, out);
  if (!fiber_is_world(fiber_self())) c.now += 50; /* who waits for a moment by looking again and again gets there */
  uint64_t t = is_wall(clock) ? wall(os_self()) : c.now;
  *out = (struct timespec){.tv_sec = (time_t)(t / OS_S), .tv_nsec = (long)(t % OS_S)};
  return 0;
}

time_t __wrap_time(time_t *out) {
  struct timespec t;
  __wrap_clock_gettime(CLOCK_REALTIME, &t);
  if (out != NULL) *out = t.tv_sec;
  return t.tv_sec;
}

/* --- Chance ---------------------------------------------------------------------------------------- */

/* splitmix64 */
static uint64_t draw(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t os_chance(uint64_t n) {
  return draw(&c.chance) % n;
}

void os_reseed(uint64_t seed) {
  c.chance = seed;
  c.bytes = ~seed;
  draw(&c.chance);
  draw(&c.bytes);
}

static const char *bytes_name(void) {
  return "sim";
}

static uint32_t bytes_random(void) {
  return (uint32_t)draw(&c.bytes);
}

static void bytes_buf(void *const out, const size_t len) {
  for (size_t i = 0; i < len; i += 8) {
    uint64_t v = draw(&c.bytes);
    memcpy((uint8_t *)out + i, &v, len - i < 8 ? len - i : 8);
  }
}

static randombytes_implementation ours = {.implementation_name = bytes_name, .random = bytes_random, .buf = bytes_buf};

/* --- The log --------------------------------------------------------------------------------------- */

void os_on_log(cd_log_level level,
               void (*hook)(void *ctx, const os_machine *m, cd_log_level level, const char *subsystem,
                            const char *text),
               void *ctx) {
  c.level = level;
  c.hook = hook;
  c.hook_ctx = ctx;
}

unsigned os_broken(void) {
  return c.broken;
}

void log_line(const os_machine *m, cd_log_level level, const char *subsystem, const char *text) {
  if (level == CD_LOG_BROKEN) c.broken++;
  if (c.hook != NULL) c.hook(c.hook_ctx, m, level, subsystem, text);
}

void __wrap_cd_log(cd_log_level level, const char *subsystem, const char *format, ...) {
  if (level != CD_LOG_BROKEN && (c.hook == NULL || level < c.level)) return;
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  log_line(os_self(), level, subsystem, text);
}

/* --- Beginning and end ----------------------------------------------------------------------------- */

void clock_begin(uint64_t seed) {
  memset(&c, 0, sizeof c);
  c.on = true;
  os_reseed(seed);
  randombytes_set_implementation(&ours);
  if (sodium_init() < 0) hopeless("no libsodium");
}

void clock_end(void) {
  c.on = false;
}
