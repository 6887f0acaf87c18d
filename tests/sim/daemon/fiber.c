/* fiber.c - machines and their fibers, and who runs next. */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "os_internal.h"

#define NEVER UINT64_MAX
#define MANY 16 /* first room of a list */

typedef struct list {
  fiber **v;
  size_t n, cap;
} list;

static struct {
  fiber world, *running;
  list all, runnable;
  uint64_t next_time; /* nobody's time comes before */
  uint64_t next_id, switches, steps, trace;
  unsigned switching; /* percent */
  os_fiber slow;
  unsigned broken;
  os_machine *machines;
  os_ran ran;  /* why the world is to go on; 0: it is not */
  bool called; /* by os_wake() */
  uint64_t steps_left, until;
  fiber *left;        /* ended; its stack is free once it is left */
  os_machine *killed; /* the same for its hook */
  void (*on_death)(void *ctx, os_machine *m);
  void *on_death_ctx;
} s;

/* --- Small things ---------------------------------------------------------------------------------- */

void trace(uint64_t a, uint64_t b) {
  s.trace = (s.trace ^ a) * 0x9e3779b97f4a7c15u;
  s.trace = (s.trace ^ (s.trace >> 29) ^ b) * 0xbf58476d1ce4e5b9u;
}

static const char *who(const fiber *f) {
  static char text[100];
  snprintf(text, sizeof text, "%s of %s", f->name, f->m != NULL ? f->m->name : "no machine");
  return text;
}

void broken(const char *format, ...) {
  char text[300];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  char line[500];
  snprintf(line, sizeof line, "%s (in %s)", text, who(s.running));
  log_line(s.running->m, CD_LOG_BROKEN, "os", line);
}

void hopeless(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "os: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, " (in %s)\n", s.running != NULL ? who(s.running) : "nobody");
  va_end(args);
  if (s.running != NULL) os_report(stderr);
  abort();
}

static void put(list *l, fiber *f) {
  if (l->n == l->cap) {
    l->cap = l->cap == 0 ? MANY : 2 * l->cap;
    l->v = realloc(l->v, l->cap * sizeof(fiber *));
    if (l->v == NULL) hopeless("no memory");
  }
  l->v[l->n++] = f;
}

static void drop(list *l, const fiber *f) {
  for (size_t i = l->n; i-- > 0;) {
    if (l->v[i] != f) continue;
    memmove(l->v + i, l->v + i + 1, (--l->n - i) * sizeof(fiber *));
    return;
  }
}

fiber *fiber_self(void) {
  return s.running;
}

bool fiber_is_world(const fiber *f) {
  return f == &s.world;
}

fiber *fiber_find(os_fiber id) {
  for (size_t i = 0; i < s.all.n; i++)
    if (s.all.v[i]->id == id) return s.all.v[i];
  return NULL;
}

/* --- Who runs -------------------------------------------------------------------------------------- */

/* Those whose time has come can run. Afterwards next_time is right. */
static void times_up(void) {
  s.next_time = NEVER;
  for (size_t i = 0; i < s.all.n; i++) {
    fiber *f = s.all.v[i];
    if (f->waits == WAIT_NOT) continue;
    if (f->deadline <= os_now()) {
      f->timed_out = true;
      fiber_wake(f);
    } else if (f->deadline < s.next_time) {
      s.next_time = f->deadline;
    }
  }
}

static bool world_goes_on(void) {
  if (s.ran == 0 && s.called) s.ran = OS_RUN_WOKEN;
  if (s.ran == 0 && s.steps_left == 0) s.ran = OS_RUN_STEPS;
  if (s.ran == 0 && os_now() >= s.until) s.ran = OS_RUN_TIME;
  return s.ran != 0;
}

/* A step takes its time. Now and then all stand still, so that times are up although somebody could have run; and for a
 * while there may be one fiber that runs only when no other can. */
static void be_unfair(void) {
  clock_forward(200 + os_chance(2000));
  if (os_chance(1000) == 0) clock_forward(os_chance(30 * OS_MS));
  if (os_chance(200) == 0) s.slow = os_chance(2) == 0 ? 0 : s.all.v[os_chance(s.all.n)]->id;
}

static fiber *choose(void) {
  for (;;) {
    if (world_goes_on()) return &s.world;
    if (os_now() >= s.next_time) times_up();
    if (s.runnable.n > 0) break;
    times_up();
    if (s.runnable.n > 0) break;
    uint64_t then = s.next_time < s.until ? s.next_time : s.until;
    if (s.next_time == NEVER)
      s.ran = OS_RUN_IDLE;
    else
      clock_forward(then - os_now());
  }
  size_t i = os_chance(s.runnable.n);
  if (s.runnable.v[i]->id == s.slow) i = (i + 1) % s.runnable.n;
  fiber *f = s.runnable.v[i];
  s.runnable.v[i] = s.runnable.v[--s.runnable.n];
  s.steps++;
  s.steps_left--;
  be_unfair();
  trace(f->id, os_now());
  return f;
}

/* On the new stack: what the old one could not do itself. */
static void after_switch(void) {
  fiber *f = s.left;
  os_machine *m = s.killed;
  s.left = NULL;
  s.killed = NULL;
  if (f != NULL) {
    context_free(&f->at);
    if (!f->killed && !f->joinable) free(f);
  }
  if (m != NULL && s.on_death != NULL) s.on_death(s.on_death_ctx, m);
}

/* The running fiber, which is on a list or waits or has ended, makes room for another. */
static void give_way(void) {
  fiber *from = s.running, *to = choose();
  if (to == from) return;
  from->saved_errno = errno;
  s.running = to;
  s.switches++;
  context_switch(&from->at, &to->at, from->ended);
  after_switch();
  errno = from->saved_errno;
}

/* --- Fibers ---------------------------------------------------------------------------------------- */

/* The running fiber is no more. */
static _Noreturn void end(void) {
  fiber *f = s.running;
  f->ended = true;
  s.left = f;
  for (size_t i = 0; i < s.all.n; i++)
    if (s.all.v[i]->waits == WAIT_JOIN && s.all.v[i]->on == f) fiber_wake(s.all.v[i]);
  if (!f->joinable) drop(&s.all, f);
  give_way();
  abort(); /* nobody goes on with it */
}

static void fiber_main(void) {
  context_entered();
  after_switch();
  fiber *f = s.running;
  if (f->thread != NULL)
    f->result = f->thread(f->arg);
  else
    f->fn(f->arg);
  end();
}

fiber *fiber_new(os_machine *m, const char *name, void *arg) {
  fiber *f = calloc(1, sizeof *f);
  if (f == NULL) hopeless("no memory");
  f->id = ++s.next_id;
  f->m = m;
  f->name = name;
  f->arg = arg;
  f->deadline = NEVER;
  put(&s.all, f);
  return f;
}

void fiber_begin(fiber *f, uint64_t delay) {
  if (delay == 0) {
    context_make(&f->at, fiber_main);
    put(&s.runnable, f);
    return;
  }
  f->waits = WAIT_START;
  f->since = os_now();
  f->deadline = os_now() + delay;
  if (f->deadline < s.next_time) s.next_time = f->deadline;
}

os_fiber os_start_after(os_machine *m, uint64_t delay, const char *name, void (*fn)(void *arg), void *arg,
                        void (*gone)(void *arg)) {
  if (m != NULL && !m->alive) {
    if (gone != NULL) gone(arg);
    return 0;
  }
  fiber *f = fiber_new(m, name, arg);
  f->fn = fn;
  f->gone = gone;
  fiber_begin(f, delay);
  return f->id;
}

os_fiber os_start(os_machine *m, const char *name, void (*fn)(void *arg), void *arg) {
  return os_start_after(m, 0, name, fn, arg, NULL);
}

bool os_ended(os_fiber id) {
  const fiber *f = fiber_find(id);
  return f == NULL || f->ended;
}

void fiber_forget(fiber *f) {
  drop(&s.all, f);
  free(f);
}

/* --- Waiting --------------------------------------------------------------------------------------- */

static void leave_queue(fiber *f) {
  fiber_queue *q = f->queue;
  if (q == NULL) return;
  *(f->prev != NULL ? &f->prev->next : &q->first) = f->next;
  *(f->next != NULL ? &f->next->prev : &q->last) = f->prev;
  f->queue = NULL;
  f->next = f->prev = NULL;
}

bool fiber_wait(wait_kind kind, const void *on, fiber_queue *queue, uint64_t deadline, const void *caller) {
  fiber *f = s.running;
  if (fiber_is_world(f)) hopeless("the world cannot wait: it must start a fiber for what may");
  f->waits = kind;
  f->on = on;
  f->caller = caller;
  f->since = os_now();
  f->deadline = deadline;
  f->timed_out = false;
  if (deadline < s.next_time) s.next_time = deadline;
  if (queue != NULL) {
    f->queue = queue;
    f->prev = queue->last;
    *(f->prev != NULL ? &f->prev->next : &queue->first) = f;
    queue->last = f;
  }
  give_way();
  return !f->timed_out;
}

void fiber_wake(fiber *f) {
  if (f->waits == WAIT_START) context_make(&f->at, fiber_main);
  leave_queue(f);
  f->waits = WAIT_NOT;
  f->deadline = NEVER;
  put(&s.runnable, f);
}

fiber *fiber_any(const fiber_queue *queue) {
  uint64_t n = 0;
  for (const fiber *f = queue->first; f != NULL; f = f->next)
    n++;
  if (n == 0) return NULL;
  fiber *f = queue->first;
  for (uint64_t i = os_chance(n); i > 0; i--)
    f = f->next;
  return f;
}

void os_yield(void) {
  if (fiber_is_world(s.running)) return;
  put(&s.runnable, s.running);
  give_way();
}

void os_sleep(uint64_t ns) {
  fiber_wait(WAIT_SLEEP, NULL, NULL, os_now() + ns, __builtin_return_address(0));
}

/* --- Machines -------------------------------------------------------------------------------------- */

os_machine *os_machine_new(const char *name, const char *folder, int64_t wall_ms) {
  os_machine *m = calloc(1, sizeof *m);
  if (m == NULL) hopeless("no memory");
  m->name = strdup(name);
  m->folder = strdup(folder);
  m->alive = true;
  m->wall_ms = wall_ms;
  m->next = s.machines;
  s.machines = m;
  if (disk_look_up(folder) == NULL) disk_mkdir(folder);
  return m;
}

const char *os_name(const os_machine *m) {
  return m->name;
}

const char *os_folder(const os_machine *m) {
  return m->folder;
}

bool os_alive(const os_machine *m) {
  return m->alive;
}

os_machine *os_self(void) {
  return s.running->m;
}

/* A fiber that does not run goes. Who it was may still be asked by what it held: that is never freed. */
static void remove_fiber(fiber *f) {
  leave_queue(f);
  if (f->waits == WAIT_NOT && !f->ended) drop(&s.runnable, f);
  if (f->waits == WAIT_START && f->gone != NULL) f->gone(f->arg);
  if (f->waits != WAIT_START && !f->ended) context_free(&f->at);
  f->waits = WAIT_NOT;
  f->ended = f->killed = true;
}

void os_kill(os_machine *m) {
  if (!m->alive) return;
  m->alive = false;
  trace(UINT64_MAX, m->steps);
  size_t kept = 0;
  for (size_t i = 0; i < s.all.n; i++) {
    fiber *f = s.all.v[i];
    if (f->m != m)
      s.all.v[kept++] = f;
    else if (f != s.running)
      remove_fiber(f);
  }
  s.all.n = kept;
  files_process_ended(m);
  disk_process_ended(m);
  vfs_process_ended();
  if (s.running->m == m) {
    s.running->killed = true;
    s.killed = m;
    end();
  }
  if (s.on_death != NULL) s.on_death(s.on_death_ctx, m);
}

void os_on_death(void (*hook)(void *ctx, os_machine *m), void *ctx) {
  s.on_death = hook;
  s.on_death_ctx = ctx;
}

void os_kill_at(os_machine *m, unsigned points, uint64_t k) {
  m->kill_points = points;
  m->kill_in = k;
}

uint64_t os_points(const os_machine *m, unsigned points) {
  if ((points & OS_POINT_STEP) != 0) return m->steps;
  return ((points & OS_POINT_WRITE) != 0 ? m->writes : 0) + ((points & OS_POINT_SYNC) != 0 ? m->syncs : 0);
}

void fiber_may_die(os_point kind) {
  os_machine *m = s.running->m;
  if (m == NULL) return;
  m->steps++;
  if (kind == OS_POINT_WRITE) m->writes++;
  if (kind == OS_POINT_SYNC) m->syncs++;
  bool counts = (m->kill_points & (kind | OS_POINT_STEP)) != 0;
  if (m->kill_in == 0 || !counts || --m->kill_in > 0) return;
  s.ran = OS_RUN_DIED;
  os_kill(m);
}

void fiber_point(os_point kind) {
  fiber_may_die(kind);
  if (!fiber_is_world(s.running) && os_chance(100) < s.switching) os_yield();
}

/* --- The world ------------------------------------------------------------------------------------- */

void os_begin(uint64_t seed) {
  static const unsigned often[] = {2, 10, 25, 50, 90};
  if (s.running != NULL) hopeless("os_begin() twice");
  s.world.name = "world";
  s.world.deadline = NEVER;
  contexts_begin();
  context_of_thread(&s.world.at);
  s.running = &s.world;
  s.next_time = NEVER;
  clock_begin(seed);
  s.switching = often[os_chance(sizeof often / sizeof often[0])];
  disk_begin();
  vfs_begin();
}

void os_end(void) {
  if (!fiber_is_world(s.running)) hopeless("os_end() in a fiber");
  s.on_death = NULL;
  for (os_machine *m = s.machines; m != NULL; m = m->next)
    os_kill(m);
  for (size_t i = 0; i < s.all.n; i++)
    remove_fiber(s.all.v[i]);
  files_forget();
  disk_end();
  vfs_process_ended();
  clock_end();
  contexts_forget();
  for (os_machine *m; (m = s.machines) != NULL;) {
    s.machines = m->next;
    free(m->name);
    free(m->folder);
    free(m);
  }
  free(s.all.v);
  free(s.runnable.v);
  memset(&s, 0, sizeof s);
}

os_ran os_run(uint64_t steps, uint64_t ns) {
  if (!fiber_is_world(s.running)) hopeless("os_run() in a fiber");
  s.ran = 0;
  s.called = false;
  s.steps_left = steps;
  s.until = ns > NEVER - os_now() ? NEVER : os_now() + ns;
  give_way();
  return s.ran;
}

void os_wake(void) {
  s.called = true;
}

bool os_run_until(bool (*done)(void *arg), void *arg, uint64_t ns) {
  uint64_t until = ns > NEVER - os_now() ? NEVER : os_now() + ns;
  while (!done(arg)) {
    os_ran ran = os_now() >= until ? OS_RUN_TIME : os_run(1, until - os_now());
    if (ran == OS_RUN_TIME || ran == OS_RUN_IDLE) return done(arg);
  }
  return true;
}

typedef struct call {
  void (*fn)(void *arg);
  void *arg;
  const os_machine *m;
  bool returned;
} call;

static void make_call(void *arg) {
  call *c = arg;
  c->fn(c->arg);
  c->returned = true;
}

static bool call_over(void *arg) {
  const call *c = arg;
  return c->returned || (c->m != NULL && !c->m->alive);
}

bool os_call(os_machine *m, const char *name, void (*fn)(void *arg), void *arg, uint64_t ns) {
  call *c = calloc(1, sizeof *c); /* it may be needed after we have given up */
  if (c == NULL) hopeless("no memory");
  *c = (call){.fn = fn, .arg = arg, .m = m};
  os_fiber id = os_start(m, name, make_call, c);
  os_run_until(call_over, c, ns);
  bool returned = c->returned;
  if (os_ended(id)) free(c);
  return returned;
}

void os_set_switching(unsigned percent) {
  s.switching = percent;
}

uint64_t os_switches(void) {
  return s.switches;
}

uint64_t os_steps(void) {
  return s.steps;
}

uint64_t os_trace(void) {
  return s.trace;
}

/* --- Reports --------------------------------------------------------------------------------------- */

static void report_place(FILE *out, const void *caller) {
  Dl_info info;
  if (caller == NULL || dladdr(caller, &info) == 0) return;
  fprintf(out, " at %s %#" PRIxPTR, info.dli_sname != NULL ? info.dli_sname : "",
          (uintptr_t)caller - (uintptr_t)info.dli_fbase);
}

static void report_fiber(FILE *out, const fiber *f) {
  static const char *const kinds[] = {"can run", "waits for a lock",  "waits for a condition",
                                      "sleeps",  "waits for the end", "begins"};
  fprintf(out, "# %s: fiber %" PRIu64 " %s %s", f->m != NULL ? f->m->name : "-", f->id, f->name,
          f == s.running ? "runs"
          : f->ended     ? "has ended"
                         : kinds[f->waits]);
  if (f->waits != WAIT_NOT) {
    fprintf(out, ", for %.3f s", (double)(os_now() - f->since) / 1e9);
    if (f->on != NULL) fprintf(out, ", on %p", f->on);
    if (f->waits == WAIT_LOCK) fprintf(out, ", held by %s", who(*(fiber *const *)f->on));
    if (f->deadline != NEVER) fprintf(out, ", until in %.3f s", (double)(f->deadline - os_now()) / 1e9);
    report_place(out, f->caller);
  }
  fputc('\n', out);
}

void os_report(FILE *out) {
  fprintf(out, "# at %.6f s, after %" PRIu64 " switches:\n", (double)os_now() / 1e9, s.switches);
  for (size_t i = 0; i < s.all.n; i++)
    report_fiber(out, s.all.v[i]);
}
