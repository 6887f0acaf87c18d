/* main.c - runs seeds through the simulated world. `sim --help` says how.
 *
 * Each seed: open, random payments from both sides with crashes at every persist and send, cuts, delays, stalls and
 * reorganisations; in some worlds a node's disk is replaced by an older copy or runs twice, in others one side lies
 * with all that its keys can sign. Then the faults stop, everything must converge, and the channel ends in one of
 * several ways. Output is TAP; a failure names its seed, the fewest actions that show it, and how to see it again. */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#define ENOUGH 1000  /* seeds, after which everything must have happened */
#define MAX_FAILED 3 /* seeds that are worth looking at */
#define MAX_JOBS_AT_ONCE 64

typedef struct options {
  uint64_t seeds, from;
  unsigned jobs, minutes;
  bool trace, endless, first;
  broken broken;
  const char *actions;
} options;

typedef struct totals {
  uint64_t seeds, failed, steps, liars;
  uint64_t count[N_KINDS];
} totals;

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
  (void)number;
  stopped = 1;
}

/* --- Seeds ---------------------------------------------------------------------------------------------------- */

static void run_seed(uint64_t seed, const options *o, const bool *skip, totals *t) {
  world *w = world_new(seed, o->broken, o->trace, skip);
  live(w);
  t->seeds++;
  t->steps += w->steps;
  t->liars += w->liar != NULL;
  for (int i = 0; i < N_KINDS; i++)
    t->count[i] += w->count[i];
  const char *failure = w->failure;
  if (failure) printf("# seed %llu: %s\n", (unsigned long long)seed, w->why);
  world_free(w);
  if (!failure) return;
  t->failed++;
  if (!o->trace && !o->broken && !o->first) shrink(seed, o->broken, failure);
  fflush(stdout);
}

/* Every `jobs`-th seed, until the last or the time is over. */
static void run_share(const options *o, unsigned share, totals *t) {
  time_t until = time(NULL) + 60 * (time_t)o->minutes;
  for (uint64_t s = share; o->endless || s < o->seeds; s += o->jobs) {
    if (stopped || t->failed >= (o->first ? 1 : MAX_FAILED) || (o->endless && o->minutes && time(NULL) >= until))
      return;
    run_seed(o->from + s, o, NULL, t);
  }
}

static void add(totals *t, const totals *more) {
  t->seeds += more->seeds;
  t->failed += more->failed;
  t->steps += more->steps;
  t->liars += more->liars;
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
  fprintf(stderr, "usage: sim [--seeds N] [--from S] [--jobs N] [--trace] [--first] [--break RULE]\n"
                  "       sim --long [--minutes N] [--from S] [--jobs N]    until stopped, or for so long\n"
                  "       sim --seed S [--actions 3,7-9] [--trace]          one seed, with only these actions\n"
                  "--first ends at the first seed that fails, and does not look for the fewest actions that show it.\n"
                  "RULE, which is broken on purpose, so that the run is good if it is noticed:");
  for (int i = 1; i < N_BREAKS; i++)
    fprintf(stderr, " %s", broken_names[i]);
  fprintf(stderr, "\n");
  return 2;
}

static bool option(options *o, const char *name, const char *value, int *used) {
  *used = 1;
  if (strcmp(name, "--trace") == 0) return o->trace = true;
  if (strcmp(name, "--long") == 0) return o->endless = true;
  if (strcmp(name, "--first") == 0) return o->first = true;
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
  printf("# sim: seeds=%llu from=%llu steps=%llu liars=%llu failed=%llu\n", (unsigned long long)t->seeds,
         (unsigned long long)o->from, (unsigned long long)t->steps, (unsigned long long)t->liars,
         (unsigned long long)t->failed);
  print_kinds(t, 0, n_actions, "actions");
  print_kinds(t, n_actions, N_KINDS, "faults");
  if (t->seeds >= ENOUGH && !o->broken && !all_happened(t)) good = false;
  good &= (t->failed != 0) == (o->broken != BROKEN_NOTHING);
  printf("%s 1 - sim: %llu seeds from %llu%s%s\n1..1\n", good ? "ok" : "not ok", (unsigned long long)t->seeds,
         (unsigned long long)o->from, o->broken ? ", a broken rule is noticed: " : "",
         o->broken ? broken_names[o->broken] : "");
  return !good;
}

int main(int argc, char **argv) {
  static bool skip[MAX_ACTIONS];
  options o = {.seeds = 1000, .from = 1, .jobs = 1};
  totals t = {0};
  for (int i = 1, used; i < argc; i += used)
    if (!option(&o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used)) return usage();
  if (o.jobs < 1 || o.jobs > MAX_JOBS_AT_ONCE || (o.actions && !only(skip, o.actions))) return usage();
  if (sodium_init() < 0) return 2;
  store_begin();
  struct sigaction stop = {.sa_handler = on_signal};
  sigaction(SIGINT, &stop, NULL);
  sigaction(SIGTERM, &stop, NULL);
  bool good = true;
  if (o.actions)
    run_seed(o.from, &o, skip, &t);
  else if (o.jobs == 1)
    run_share(&o, 0, &t);
  else
    good = run_jobs(&o, &t);
  return report(&o, &t, good);
}
