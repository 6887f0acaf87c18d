/* What the simulator's operating-system layer costs (tests/sim/daemon/os.h): a change of fibers, beside the C library's
 * own swapcontext(); an instant on the disk; opening a node's store from a copy, as each world does. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>

#include "../sim/daemon/os.h"
#include "store/sqlite.h"

int __real_clock_gettime(clockid_t clock, struct timespec *out);

#define SWITCHES 1000000
#define COPIES 200

static double now(void) {
  struct timespec t;
  __real_clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* others use the machine, too */
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void yield_on(void *arg) {
  (void)arg;
  for (;;)
    os_yield();
}

static void bench_fibers(os_machine *m) {
  for (int i = 0; i < 10; i++)
    os_start(m, "yields", yield_on, NULL);
  double from = now();
  uint64_t before = os_switches();
  os_run(SWITCHES, UINT64_MAX);
  printf("bench: sim_switch = %.0f ns\n", (now() - from) * 1e9 / (double)(os_switches() - before));
}

static ucontext_t here, there;

static void there_and_back(void) {
  for (;;)
    swapcontext(&there, &here);
}

static void bench_limit(void) {
  static char stack[1 << 16];
  getcontext(&there);
  there.uc_stack.ss_sp = stack;
  there.uc_stack.ss_size = sizeof stack;
  makecontext(&there, there_and_back, 0);
  double from = now();
  for (int i = 0; i < SWITCHES / 10; i++)
    swapcontext(&here, &there);
  printf("bench: swapcontext = %.0f ns\n", (now() - from) * 1e9 / (2.0 * SWITCHES / 10));
}

static cd_store store;

static void open_store(void *arg) {
  char why[400];
  cd_store_config cfg = {.path = arg, .shards = 4};
  if (cd_store_sqlite_open(&store, &cfg, why, sizeof why) != CH_OK) {
    puts(why);
    exit(1);
  }
}

static void close_store(void *arg) {
  (void)arg;
  store.ops->close(store.ctx);
}

static void bench_store(void) {
  char path[] = "/sim/template/channeld.db", live[] = "/sim/live/channeld.db";
  os_machine *m = os_machine_new("template", "/sim/template", 0);
  os_call(m, "open", open_store, path, 60 * OS_S);
  os_call(m, "close", close_store, NULL, 60 * OS_S);
  os_kill(m);
  double copying = 0, opening = 0;
  for (int i = 0; i < COPIES; i++) {
    double from = now();
    os_disk_copy("/sim/template", "/sim/live");
    copying += now() - from;
    m = os_machine_new("live", "/sim/live", 0);
    from = now();
    os_call(m, "open", open_store, live, 60 * OS_S);
    opening += now() - from;
    os_kill(m);
  }
  printf("bench: sim_copy_of_store = %.3f ms\n", copying * 1e3 / COPIES);
  printf("bench: sim_open_of_store = %.3f ms\n", opening * 1e3 / COPIES);
}

int main(void) {
  os_begin(1);
  bench_limit();
  bench_store();
  bench_fibers(os_machine_new("fibers", "/sim/fibers", 0));
  os_end();
  return 0;
}
