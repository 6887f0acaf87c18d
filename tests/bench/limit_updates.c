/* How many co-signed updates a second this machine allows: two processes that do what an update takes, and nothing
 * else.
 *
 *   limit_updates [--channels N] [--seconds S] [--group G|G,full|sweep] [--threads T] [--dir DIR]
 *
 * It links neither the library nor the daemon. For each update of a channel the payer signs the next version, stores it
 * with a pending payment, flushes and sends a frame; the payee recovers the signer, signs, stores both, flushes and
 * answers; the payer recovers the answer's signer, stores it with the payment settled and flushes. Then the channel's
 * next update begins. A flush serves at most G updates, a number or `all`, and begins when the last one has ended; with
 * `full` it also waits for G updates while there are signatures to make. `sweep` tries several and reports the best.
 *
 * Both processes are killed at the end of the measured time. What counts is what is then in both databases. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "limit/limit.h"

#define CHILD_SOCKET 3
#define ALL UINT32_MAX

static const uint32_t SWEEP[] = {1, 4, 8, 16, 32, 64, ALL};
static const char *const NAMES[2] = {"payee", "payer"}; /* by side_config.payer */

typedef struct options {
  uint32_t channels, threads;
  uint32_t group; /* 0: sweep */
  bool full;
  double seconds;
  const char *dir;
  const char *side; /* NULL in the parent */
  const char *db;
  uint16_t port;
} options;

typedef struct child {
  pid_t pid;
  int socket;
  clockid_t cpu;
  char db[PATH_MAX];
  char counter[PATH_MAX];
  const _Atomic uint64_t *fsyncs;
} child;

typedef struct result {
  double rate;
  double per_update[2]; /* flushes */
  uint64_t fsyncs[2];
  double cpu[2]; /* seconds */
} result;

void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("limit_updates: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

/* --- Arguments -------------------------------------------------------------------------------------- */

static uint32_t number(const char *text, const char *what, unsigned long most) {
  char *end;
  errno = 0;
  unsigned long n = strtoul(text, &end, 10);
  if (errno || end == text || *end || *text == '-' || n == 0 || n > most)
    die("--%s must be a number from 1 to %lu, not '%s'", what, most, text);
  return (uint32_t)n;
}

static void set_group(options *o, const char *text) {
  char size[16];
  const char *comma = strchr(text, ',');
  o->full = comma && strcmp(comma, ",full") == 0;
  if (comma && !o->full) die("--group can end with ,full but not with '%s'", comma);
  snprintf(size, sizeof size, "%.*s", comma ? (int)(comma - text) : 15, text);
  if (strcmp(size, "sweep") == 0)
    o->group = 0;
  else
    o->group = strcmp(size, "all") == 0 ? ALL : number(size, "group", 1000000);
}

static const char *group_text(const options *o, char text[32]) {
  char size[16];
  snprintf(size, sizeof size, "%u", o->group);
  snprintf(text, 32, "%s%s", o->group == ALL ? "all" : size, o->full ? ",full" : "");
  return text;
}

static options parse(int argc, char **argv) {
  static const struct option LONG[] = {
      {"channels", required_argument, NULL, 'c'},
      {"seconds", required_argument, NULL, 's'},
      {"group", required_argument, NULL, 'g'},
      {"threads", required_argument, NULL, 't'},
      {"dir", required_argument, NULL, 'd'},
      {"side", required_argument, NULL, 'S'},
      {"db", required_argument, NULL, 'D'},
      {"port", required_argument, NULL, 'P'},
      {NULL, 0, NULL, 0},
  };
  options o = {.channels = 64, .group = 16, .threads = 3, .seconds = 3, .dir = "/var/tmp"};
  for (int c; (c = getopt_long(argc, argv, "", LONG, NULL)) != -1;) {
    switch (c) {
    case 'c': o.channels = number(optarg, "channels", 100000); break;
    case 's': o.seconds = number(optarg, "seconds", 3600); break;
    case 'g': set_group(&o, optarg); break;
    case 't': o.threads = number(optarg, "threads", 64); break;
    case 'd': o.dir = optarg; break;
    case 'S': o.side = optarg; break;
    case 'D': o.db = optarg; break;
    case 'P': o.port = (uint16_t)number(optarg, "port", 65535); break;
    default: exit(2);
    }
  }
  if (optind < argc) die("'%s' is not an option", argv[optind]);
  if (!o.dir) die("--dir needs a folder");
  return o;
}

static void refuse_memory(const char *dir) {
  struct statfs fs;
  if (statfs(dir, &fs) != 0) die("%s: %s", dir, strerror(errno));
  if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
    die("%s is in memory, where a flush costs nothing: name a folder on a disk with --dir", dir);
}

/* --- The two processes ------------------------------------------------------------------------------ */

static const _Atomic uint64_t *map_counter(const char *path) {
  FILE *f = fopen(path, "w+");
  if (!f || ftruncate(fileno(f), sizeof(uint64_t)) != 0) die("%s: %s", path, strerror(errno));
  void *page = mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fileno(f), 0);
  fclose(f);
  if (page == MAP_FAILED) die("%s: %s", path, strerror(errno));
  return (const _Atomic uint64_t *)page;
}

/* The program again, as one side. */
__attribute__((noreturn)) static void become_side(const options *o, bool payer, const child *c, int socket) {
  char channels[16], group[32], threads[16], port[16];
  snprintf(channels, sizeof channels, "%u", o->channels);
  snprintf(threads, sizeof threads, "%u", o->threads);
  snprintf(port, sizeof port, "%u", payer ? o->port : 1);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (dup2(socket, CHILD_SOCKET) < 0 || setenv("BENCH_FSYNCS", c->counter, 1) != 0) die("%s", strerror(errno));
  execl("/proc/self/exe", "limit_updates", "--side", NAMES[payer], "--db", c->db, "--channels", channels, "--group",
        group_text(o, group), "--threads", threads, "--port", port, (char *)NULL);
  die("the program cannot be started again: %s", strerror(errno));
}

/* Returns once the side is ready; o->port is then the payee's. */
static child start(options *o, bool payer, const char *dir) {
  child c;
  int ends[2];
  snprintf(c.db, sizeof c.db, "%s/%s.db", dir, NAMES[payer]);
  snprintf(c.counter, sizeof c.counter, "%s/%s.fsyncs", dir, NAMES[payer]);
  c.fsyncs = map_counter(c.counter);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) die("no socket: %s", strerror(errno));
  c.pid = fork();
  if (c.pid < 0) die("no process: %s", strerror(errno));
  if (c.pid == 0) become_side(o, payer, &c, ends[1]);
  close(ends[1]);
  c.socket = ends[0];
  if (read(c.socket, &o->port, sizeof o->port) != sizeof o->port) die("the %s did not start", NAMES[payer]);
  if (clock_getcpuclockid(c.pid, &c.cpu) != 0) die("no processor clock of the %s", NAMES[payer]);
  return c;
}

static void end(child *c) {
  int status;
  close(c->socket);
  if (waitpid(c->pid, &status, 0) != c->pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
    die("a side ended by itself");
  munmap((void *)(uintptr_t)c->fsyncs, sizeof *c->fsyncs);
}

static double seconds_of(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t) != 0) die("a side ended by itself");
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void clean(const char *dir) {
  static const char *const FILES[] = {"db", "db-wal", "db-shm", "fsyncs"};
  char path[PATH_MAX];
  for (int i = 0; i < 2; i++) {
    for (size_t k = 0; k < sizeof FILES / sizeof FILES[0]; k++) {
      snprintf(path, sizeof path, "%s/%s.%s", dir, NAMES[i], FILES[k]);
      unlink(path);
    }
  }
  rmdir(dir);
}

static result measure(options o) {
  char dir[PATH_MAX / 2];
  child sides[2];
  result r;
  snprintf(dir, sizeof dir, "%s/limit-XXXXXX", o.dir);
  if (!mkdtemp(dir)) die("%s: %s", o.dir, strerror(errno));
  for (int i = 0; i < 2; i++)
    sides[i] = start(&o, i == 1, dir);
  for (int i = 0; i < 2; i++) {
    r.fsyncs[i] = *sides[i].fsyncs;
    r.cpu[i] = seconds_of(sides[i].cpu);
  }
  double begin = seconds_of(CLOCK_MONOTONIC);
  if (write(sides[1].socket, "g", 1) != 1) die("the payer did not start");
  struct timespec left = {.tv_sec = (time_t)o.seconds};
  while (nanosleep(&left, &left) != 0)
    ;
  for (int i = 0; i < 2; i++) {
    r.cpu[i] = seconds_of(sides[i].cpu) - r.cpu[i];
    r.fsyncs[i] = *sides[i].fsyncs - r.fsyncs[i];
  }
  kill(sides[1].pid, SIGKILL);
  kill(sides[0].pid, SIGKILL);
  double took = seconds_of(CLOCK_MONOTONIC) - begin;
  for (int i = 0; i < 2; i++)
    end(&sides[i]);
  uint64_t updates = rows_count(sides[1].db, sides[0].db);
  r.rate = (double)updates / took;
  for (int i = 0; i < 2; i++)
    r.per_update[i] = updates ? (double)r.fsyncs[i] / (double)updates : 0;
  clean(dir);
  return r;
}

/* --- Results ----------------------------------------------------------------------------------------- */

static result sweep(options *o) {
  result best = {.rate = -1};
  const size_t sizes = sizeof SWEEP / sizeof SWEEP[0];
  options best_of = *o;
  char text[32];
  for (size_t i = 0; i < 2 * sizes; i++) {
    /* A group never holds more than one update of each channel. */
    if (i % sizes > 0 && SWEEP[i % sizes - 1] >= o->channels) continue;
    o->group = SWEEP[i % sizes];
    o->full = i >= sizes;
    if (o->full && o->group == 1) continue; /* no difference */
    result r = measure(*o);
    printf("bench: limit.%uch.group_%s = %.0f updates/s\n", o->channels, group_text(o, text), r.rate);
    fflush(stdout);
    if (r.rate <= best.rate) continue;
    best = r;
    best_of = *o;
  }
  *o = best_of;
  return best;
}

static void report(const options *o, const result *r) {
  char text[32];
  printf("bench: limit.%uch = %.0f updates/s\n", o->channels, r->rate);
  printf("bench: limit.%uch.group = %s\n", o->channels, group_text(o, text));
  for (int i = 1; i >= 0; i--) {
    printf("bench: limit.%uch.fsyncs.%s = %llu (%.3f an update)\n", o->channels, NAMES[i],
           (unsigned long long)r->fsyncs[i], r->per_update[i]);
    printf("bench: limit.%uch.cpu.%s = %.2f s of %.0f s\n", o->channels, NAMES[i], r->cpu[i], o->seconds);
  }
}

int main(int argc, char **argv) {
  options o = parse(argc, argv);
  if (o.side) {
    side_run(&(side_config){.payer = strcmp(o.side, "payer") == 0,
                            .channels = o.channels,
                            .threads = o.threads,
                            .group = o.group,
                            .full = o.full,
                            .path = o.db,
                            .port = o.port,
                            .parent = CHILD_SOCKET});
  }
  refuse_memory(o.dir);
  result r = o.group ? measure(o) : sweep(&o);
  report(&o, &r);
  return 0;
}
