/* main.c - runs seeds through the world of whole daemons. `sim-daemon --help` says how. Output is TAP, as of
 * tests/sim/main.c; a failure names its seed, and how to see it again. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

#define ENOUGH 300   /* seeds, after which everything must have happened */
#define MAX_FAILED 3 /* seeds that are worth looking at */
#define MAX_JOBS_AT_ONCE 64

typedef struct options {
  uint64_t seeds, from;
  unsigned jobs, minutes;
  bool trace, endless, first, twice;
  broken broken;
  const char *actions;
} options;

typedef struct totals {
  uint64_t seeds, failed, steps;
  uint64_t count[N_KINDS];
} totals;

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
  (void)number;
  stopped = 1;
}

/* --- Seeds ---------------------------------------------------------------------------------------------------- */

static void run_here(uint64_t seed, broken b, bool trace, const bool *skip, outcome *out) {
  if (trace) setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  world *w = world_new(seed, b, trace, skip);
  live(w);
  *out = (outcome){.steps = os_switches(), .trace = os_trace(), .failure = w->failure};
  memcpy(out->count, w->count, sizeof out->count);
  memcpy(out->taken, w->taken, sizeof out->taken);
  memcpy(out->why, w->why, sizeof out->why);
  if (trace && w->failure) os_report(stdout);
  world_free(w);
}

static bool read_all(int from, outcome *out) {
  size_t have = 0;
  for (ssize_t n; have<sizeof *out; have += n> 0 ? (size_t)n : 0) {
    n = read(from, (char *)out + have, sizeof *out - have);
    if (n == 0 || (n < 0 && errno != EINTR)) return false;
  }
  return true;
}

void run_apart(uint64_t seed, broken b, bool trace, const bool *skip, outcome *out) {
  int ends[2], status = 0;
  fflush(stdout);
  if (pipe(ends)) abort();
  pid_t pid = fork();
  if (pid < 0) abort();
  if (pid == 0) {
    outcome o;
    close(ends[0]);
    run_here(seed, b, trace, skip, &o);
    fflush(stdout);
    _exit(write(ends[1], &o, sizeof o) != (ssize_t)sizeof o);
  }
  close(ends[1]);
  if (!read_all(ends[0], out)) {
    *out = (outcome){.died = true};
    snprintf(out->why, sizeof out->why, "the simulator itself ended");
  }
  close(ends[0]);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    continue;
}

static void run_seed(uint64_t seed, const options *o, const bool *skip, totals *t) {
  outcome out, again;
  run_apart(seed, o->broken, o->trace, skip, &out);
  if (o->twice && !out.died) {
    run_apart(seed, o->broken, false, skip, &again);
    if (again.trace != out.trace && !out.failure) {
      out.failure = "the same seed gives another run";
      snprintf(out.why, sizeof out.why, "%s", out.failure);
    }
  }
  t->seeds++;
  t->steps += out.steps;
  for (int i = 0; i < N_KINDS; i++)
    t->count[i] += out.count[i];
  if (!out.failure && !out.died) return;
  t->failed++;
  printf("# seed %llu: %s\n", (unsigned long long)seed, out.why);
  if (!o->trace && !o->broken && !o->first) shrink(seed);
  fflush(stdout);
}

/* Every `jobs`-th seed, until the last, or until it is stopped. */
static void run_share(const options *o, unsigned share, totals *t) {
  for (uint64_t s = share; o->endless || s < o->seeds; s += o->jobs) {
    if (stopped || t->failed >= (o->first ? 1 : MAX_FAILED)) return;
    run_seed(o->from + s, o, NULL, t);
  }
}

static void add(totals *t, const totals *more) {
  t->seeds += more->seeds;
  t->failed += more->failed;
  t->steps += more->steps;
  for (int i = 0; i < N_KINDS; i++)
    t->count[i] += more->count[i];
}

static int start_job(const options *o, unsigned share) {
  int ends[2];
  fflush(stdout);
  if (pipe(ends)) return -1;
  pid_t pid = fork();
  if (pid < 0) return -1;
  if (pid) {
    close(ends[1]);
    return ends[0];
  }
  close(ends[0]);
  totals t = {0};
  alarm(60 * o->minutes); /* a parent's alarm is not a child's */
  run_share(o, share, &t);
  _exit(write(ends[1], &t, sizeof t) != (ssize_t)sizeof t);
}

/* False: a process died. */
static bool run_jobs(const options *o, totals *t) {
  int from[MAX_JOBS_AT_ONCE];
  bool good = true;
  for (unsigned i = 0; i < o->jobs; i++)
    from[i] = start_job(o, i);
  for (unsigned i = 0; i < o->jobs; i++) {
    totals more;
    ssize_t n = -1;
    while (from[i] >= 0 && (n = read(from[i], &more, sizeof more)) < 0 && errno == EINTR)
      continue;
    good &= n == (ssize_t)sizeof more;
    if (n == (ssize_t)sizeof more) add(t, &more);
    if (from[i] >= 0) close(from[i]);
  }
  while (wait(NULL) > 0 || errno == EINTR)
    continue;
  return good;
}

/* --- Arguments ------------------------------------------------------------------------------------------------ */

static const char *const kind_names[] = {
#define SIM_NAME(sym, name) name,
    SIM_ACTIONS(SIM_NAME) SIM_FAULTS(SIM_NAME)
#undef SIM_NAME
};
#define N_ACTIONS_NAME(sym, name) +1
static const int n_actions = 0 SIM_ACTIONS(N_ACTIONS_NAME);
static const char *const broken_names[] = {
#define SIM_NAME(sym, name) name,
    SIM_BREAKS(SIM_NAME)
#undef SIM_NAME
};

static int usage(void) {
  fprintf(stderr, "usage: sim-daemon [--seeds N] [--from S] [--jobs N] [--trace] [--first] [--twice] [--break RULE]\n"
                  "       sim-daemon --long [--minutes N] [--from S] [--jobs N]    until stopped, or for so long\n"
                  "       sim-daemon --seed S [--actions 3,7-9] [--trace]          one seed, with only these actions\n"
                  "--first ends at the first seed that fails, and does not look for the fewest actions that show it.\n"
                  "--twice runs each seed twice and compares all that was decided.\n"
                  "RULE, which is broken on purpose, so that the run is good if it is noticed:");
  for (int i = 1; i < N_BREAKS; i++)
    fprintf(stderr, " %s", broken_names[i]);
  fprintf(stderr, "\n");
  return 2;
}

static bool flag(options *o, const char *name) {
  bool *const flags[] = {&o->trace, &o->endless, &o->first, &o->twice};
  static const char *const names[] = {"--trace", "--long", "--first", "--twice"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i]) == 0) return *flags[i] = true;
  return false;
}

static bool option(options *o, const char *name, const char *value, int *used) {
  *used = 1;
  if (flag(o, name)) return true;
  *used = 2;
  if (!value) return false;
  if (strcmp(name, "--seeds") == 0)
    o->seeds = strtoull(value, NULL, 10);
  else if (strcmp(name, "--from") == 0)
    o->from = strtoull(value, NULL, 10);
  else if (strcmp(name, "--jobs") == 0)
    o->jobs = (unsigned)strtoul(value, NULL, 10);
  else if (strcmp(name, "--minutes") == 0)
    o->minutes = (unsigned)strtoul(value, NULL, 10);
  else if (strcmp(name, "--actions") == 0)
    o->actions = value;
  else if (strcmp(name, "--seed") == 0) {
    o->from = strtoull(value, NULL, 10);
    o->seeds = o->jobs = 1;
  } else if (strcmp(name, "--break") == 0) {
    for (int i = 1; i < N_BREAKS; i++)
      if (strcmp(value, broken_names[i]) == 0) o->broken = (broken)i;
    return o->broken != BROKEN_NOTHING;
  } else
    return false;
  return true;
}

/* "3,7-9": everything else is left out. */
static bool only(bool *skip, const char *list) {
  for (unsigned i = 0; i < MAX_ACTIONS; i++)
    skip[i] = true;
  if (strcmp(list, "none") == 0) return true;
  while (*list) {
    char *end;
    unsigned long first = strtoul(list, &end, 10), last = first;
    if (*end == '-') last = strtoul(end + 1, &end, 10);
    if (end == list || first > last || last >= MAX_ACTIONS || (*end && *end != ',')) return false;
    for (unsigned long i = first; i <= last; i++)
      skip[i] = false;
    list = *end ? end + 1 : end;
  }
  return true;
}

/* --- The end -------------------------------------------------------------------------------------------------- */

static void print_kinds(const totals *t, int from, int to, const char *what) {
  printf("# %s:", what);
  for (int i = from; i < to; i++)
    printf("%s %s %llu", i > from ? "," : "", kind_names[i], (unsigned long long)t->count[i]);
  printf("\n");
}

/* What never happened was not tested. */
static bool all_happened(const totals *t) {
  bool all = true;
  for (int i = 0; i < N_KINDS; i++) {
    if (t->count[i]) continue;
    printf("# never happened: %s\n", kind_names[i]);
    all = false;
  }
  return all;
}

static int report(const options *o, const totals *t, bool good) {
  printf("# sim-daemon: seeds=%llu from=%llu steps=%llu failed=%llu\n", (unsigned long long)t->seeds,
         (unsigned long long)o->from, (unsigned long long)t->steps, (unsigned long long)t->failed);
  print_kinds(t, 0, n_actions, "actions");
  print_kinds(t, n_actions, N_KINDS, "faults");
  if (t->seeds >= ENOUGH && !o->broken && !all_happened(t)) good = false;
  good &= (t->failed != 0) == (o->broken != BROKEN_NOTHING);
  printf("%s 1 - sim-daemon: %llu seeds from %llu%s%s\n1..1\n", good ? "ok" : "not ok", (unsigned long long)t->seeds,
         (unsigned long long)o->from, o->broken ? ", a broken rule is noticed: " : "",
         o->broken ? broken_names[o->broken] : "");
  return !good;
}

int main(int argc, char **argv) {
  static bool skip[MAX_ACTIONS];
  options o = {.seeds = 100, .from = 1, .jobs = 1};
  totals t = {0};
  for (int i = 1, used; i < argc; i += used)
    if (!option(&o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used)) return usage();
  if (o.jobs < 1 || o.jobs > MAX_JOBS_AT_ONCE || (o.actions && !only(skip, o.actions))) return usage();
  struct sigaction stop = {.sa_handler = on_signal};
  sigaction(SIGINT, &stop, NULL);
  sigaction(SIGTERM, &stop, NULL);
  sigaction(SIGALRM, &stop, NULL);
  bool good = true;
  alarm(60 * o.minutes);
  if (o.actions)
    run_seed(o.from, &o, skip, &t);
  else if (o.jobs == 1)
    run_share(&o, 0, &t);
  else
    good = run_jobs(&o, &t);
  return report(&o, &t, good);
}
