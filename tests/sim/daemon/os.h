/* os.h - an operating system in one thread of one process: threads, locks, clocks, files and chance for unmodified
 * daemons, all of them decided by one seed.
 *
 * The program is linked with os_dep (tests/meson.build), which puts these functions in the place of the system's by the
 * linker's --wrap: pthread_*, clock_gettime, time, open, rename, fsync and their kin, cd_log, and SQLite's file layer.
 *
 *  - A *machine* is one process of a daemon: it has a folder on the disk, a wall clock, and threads. It can be killed
 * at any moment; what it had in memory is then gone (leaked: run a handful of worlds in a forked process each).
 *  - A *fiber* is one thread of a machine. Exactly one runs at a time. At a blocking call, and by chance at others that
 *    other threads could notice (unlock, signal, a change of a file), another one goes on, chosen by chance.
 *  - The *world* is who called os_begin(): main(). It runs while no fiber does: os_run() lets fibers run, and returns.
 *    It must not call what may block (a daemon's functions): it starts a fiber for that (os_start, os_call).
 *  - *Time* is virtual, nanoseconds since os_begin(). It goes forward a little with each switch, and when no fiber can
 *    run it jumps to the next moment that one waits for. No call waits in real time.
 *  - The *disk* is in memory and holds every path that begins with OS_ROOT; each other path is the real one. It knows
 * what was flushed and what was only written (disk.c says what a power cut leaves).
 *
 * All is lost with os_end(), after which os_begin() may come again. The same seed and the same calls give the same run;
 * os_trace() is a fingerprint of it. Nothing here may be called by more than one thread of the system.
 *
 * What is our bug or the daemon's (unlocking what is not locked, destroying a lock that is held, a cycle of locks) is
 * reported as a BROKEN line of "os" to the log hook, with the fiber's name. */
#ifndef TESTS_SIM_DAEMON_OS_H
#define TESTS_SIM_DAEMON_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/log.h"

#define OS_ROOT "/sim/" /* the disk: "/sim/n0/channeld.db" */
#define OS_US UINT64_C(1000)
#define OS_MS UINT64_C(1000000)
#define OS_S UINT64_C(1000000000)

typedef struct os_machine os_machine;
typedef uint64_t os_fiber; /* a fiber's number, from 1 on; never given twice */

/* ------------------------------------------------------------------------------------------------
 * The whole
 * ------------------------------------------------------------------------------------------------ */

/* First of all, and before sodium_init() and SQLite are used for the first time in this process. Sets SQLite up for one
 * thread with our file layer as the default, and libsodium (with sodium_init()) for our chance. */
void os_begin(uint64_t seed);
/* Kills all machines and forgets everything, the disk too. */
void os_end(void);

/* Each line that a daemon logs at `level` or above, without time: `m` NULL is the world or a fiber of no machine.
 * BROKEN lines come at any level. The hook must not block. NULL: lines go nowhere. */
void os_on_log(cd_log_level level,
               void (*hook)(void *ctx, const os_machine *m, cd_log_level level, const char *subsystem,
                            const char *text),
               void *ctx);
/* BROKEN lines since os_begin(). */
unsigned os_broken(void);

/* How often the running fiber was changed; how often one could have been. */
uint64_t os_switches(void);
uint64_t os_steps(void);
/* A fingerprint of all decisions so far: which fiber went on when, what was written. */
uint64_t os_trace(void);
/* Where every fiber of every machine waits, since when, and for whom: for a world that does not go on. The addresses
 * are for addr2line -e PROGRAM. */
void os_report(FILE *out);

/* ------------------------------------------------------------------------------------------------
 * Machines
 * ------------------------------------------------------------------------------------------------ */

/* A process that has just been started. `name` (copied) is for logs and reports. `folder`, under OS_ROOT without a
 * slash at its end, is made if it is not there. Its wall clock shows OS_EPOCH + time + wall_ms. A restart is a new
 * machine with the old one's folder. */
#define OS_EPOCH UINT64_C(1700000000) /* seconds since 1970 at os_begin() */
os_machine *os_machine_new(const char *name, const char *folder, int64_t wall_ms);
const char *os_name(const os_machine *m);
const char *os_folder(const os_machine *m);
bool os_alive(const os_machine *m);
/* The machine that this fiber belongs to; NULL in the world and in fibers of none. */
os_machine *os_self(void);

/* The process ends now, as by SIGKILL: its fibers never go on, its locks on files and its open files are gone. What it
 * has written is in its files: after a power cut, os_disk_cut() follows. May be called by the world, and by a fiber of
 * the machine itself (it does not return then) or of another one. Nothing happens if it is dead already. */
void os_kill(os_machine *m);

/* Moments in a machine's life at which it may be killed: before a change of a file, a flush, or a step. */
typedef enum os_point {
  OS_POINT_WRITE = 1, /* write, truncate, create, rename, unlink */
  OS_POINT_SYNC = 2,  /* fsync, of a file or a folder: half of them before, half of them after it */
  OS_POINT_STEP = 4,  /* any moment at which another fiber could have gone on; the two above are among them */
} os_point;
/* Arranges that it is killed at the k-th such moment from now (1: the next one) of the kinds in the set `points`.
 * os_run() returns OS_RUN_DIED then. k = 0: not any more. */
void os_kill_at(os_machine *m, unsigned points, uint64_t k);
/* How many moments of these kinds it has had: what to draw a k from. */
uint64_t os_points(const os_machine *m, unsigned points);

/* Called for each machine that is killed, however, when none of its fibers runs any more: from the world or on another
 * machine's fiber. Must not block. */
void os_on_death(void (*hook)(void *ctx, os_machine *m), void *ctx);

/* ------------------------------------------------------------------------------------------------
 * Fibers
 * ------------------------------------------------------------------------------------------------ */

/* A new thread of `m` (NULL: of none, it is never killed) that runs fn(arg) and ends. By whom you like; it only becomes
 * runnable. `name` (not copied) is for reports. On a dead machine nothing happens and 0 is returned. */
os_fiber os_start(os_machine *m, const char *name, void (*fn)(void *arg), void *arg);
/* The same after `delay` of virtual time; of several whose time has come any may be first. If the machine is dead by
 * then, fn is not called: `gone` (may be NULL) was, by whoever killed it, to free arg. */
os_fiber os_start_after(os_machine *m, uint64_t delay, const char *name, void (*fn)(void *arg), void *arg,
                        void (*gone)(void *arg));
/* Whether it has returned (true for 0 too), or its machine is dead. */
bool os_ended(os_fiber f);

/* In a fiber: lets others go on; waits for a while. In the world sleeping is os_run(). */
void os_yield(void);
void os_sleep(uint64_t ns);

/* How readily fibers are changed where they need not be: percent of such points. Drawn from the seed at os_begin(),
 * differently in each world: rarely to nearly always. */
void os_set_switching(unsigned percent);

/* ------------------------------------------------------------------------------------------------
 * Running: by the world only
 * ------------------------------------------------------------------------------------------------ */

typedef enum os_ran {
  OS_RUN_STEPS = 1, /* that many steps were made */
  OS_RUN_TIME,      /* that much time has passed */
  OS_RUN_WOKEN,     /* a fiber called os_wake() */
  OS_RUN_DIED,      /* a machine died where os_kill_at() had arranged it */
  OS_RUN_IDLE,      /* no fiber can ever go on by itself: with somebody waiting, a deadlock; see os_report() */
} os_ran;
/* Lets fibers run for at most `steps` switches and `ns` of virtual time from now (UINT64_MAX: no bound). */
os_ran os_run(uint64_t steps, uint64_t ns);
/* Any fiber: os_run() returns as soon as this fiber gives way. */
void os_wake(void);

/* Lets fibers run until done(arg) (asked after each switch, must not block), or for `ns` of virtual time. Whether it is
 * done. Goes on after deaths and wakes; ends if idle. */
bool os_run_until(bool (*done)(void *arg), void *arg, uint64_t ns);
/* Runs fn(arg) as a fiber of `m` until it has returned: true; false if the machine died, or after `ns`. */
bool os_call(os_machine *m, const char *name, void (*fn)(void *arg), void *arg, uint64_t ns);

/* ------------------------------------------------------------------------------------------------
 * Clocks and chance
 * ------------------------------------------------------------------------------------------------ */

/* Virtual time, for all: what CLOCK_MONOTONIC shows. */
uint64_t os_now(void);
/* Seconds of the machine's wall clock (NULL: without offset): what time() shows to its fibers. */
uint64_t os_wall(const os_machine *m);
/* Sets a wall clock forward or, with ms < 0, back. Waits on CLOCK_REALTIME are not moved. */
void os_wall_step(os_machine *m, int64_t ms);
/* The scheduler's own chance, below n (> 0): for a layer that decides while fibers run (delays of the network). */
uint64_t os_chance(uint64_t n);
/* From now on all chance, that of the daemons too, is drawn from `seed`: what was drawn before does not matter. */
void os_reseed(uint64_t seed);

/* ------------------------------------------------------------------------------------------------
 * The disk
 * ------------------------------------------------------------------------------------------------ */

/* A folder's files as another folder's, which is emptied before; all are flushed there. Nobody may have the latter's
 * files open. Shared memory is not copied: it belongs to processes.
 *   copy:    as they are now, as a backup program would find them if the daemon stood still
 *   durable: as they would be if the power failed now and nothing survived that was not flushed */
void os_disk_copy(const char *from, const char *to);
void os_disk_durable(const char *from, const char *to);
void os_disk_remove(const char *folder);
/* The folder as a power cut leaves it, all of whose machines are dead. What was flushed is there. Of the rest, by
 * `how`: 0 nothing is, 1 all is, else some of it in any order and in part, as drawn from `how`. */
void os_disk_cut(const char *folder, uint64_t how);
/* A fingerprint of what is in it now. */
uint64_t os_disk_print(const char *folder);

typedef enum os_fault {
  OS_FAULT_FULL = 1, /* what would make a file longer, or a new one, fails: no room */
  OS_FAULT_WRITE,    /* writing fails, also in the middle */
  OS_FAULT_SYNC,     /* flushing fails, and what was to be flushed may never be, though it can be read */
  OS_FAULT_READ,     /* reading fails */
  OS_FAULT_LIES,     /* flushing seems to work and does nothing: a disk that no daemon can survive, for --break */
} os_fault;
#define OS_FAULTS 6
/* From now on this percentage of such operations in the folder fail; 0: none. */
void os_disk_fault(const char *folder, os_fault fault, unsigned percent);
/* How many have failed since os_begin(), in all folders. */
uint64_t os_disk_failed(os_fault fault);

#endif
