/* os_internal.h - what the files of the operating-system layer know of each other. */
#ifndef TESTS_SIM_DAEMON_OS_INTERNAL_H
#define TESTS_SIM_DAEMON_OS_INTERNAL_H

#include <time.h>

#include "os.h"

/* --- Switching stacks (stack.c) ------------------------------------------------------------------- */

/* A place to go on: where a fiber was left, and its stack. */
typedef struct context {
  void *sp;     /* where it was left */
  void *bottom; /* of its stack */
  size_t size;
  void *shadow; /* AddressSanitizer's */
} context;

/* A stack with a page before it that may not be touched; main() is called on it at the first switch and must not
 * return. */
void context_make(context *c, void (*main)(void));
/* The one that runs now, on the system's stack. */
void context_of_thread(context *c);
/* The stack can be had again by another. Not of the running one. */
void context_free(context *c);
/* Leaves `from` and goes on with `to`; returns when somebody goes on with `from`. `ends`: nobody ever will. */
void context_switch(context *from, context *to, bool ends);
/* The first thing that main() calls. */
void context_entered(void);
/* Before the first and after the last; the latter frees all stacks. */
void contexts_begin(void);
void contexts_forget(void);

/* --- Fibers and machines (fiber.c) ---------------------------------------------------------------- */

typedef enum wait_kind { WAIT_NOT, WAIT_LOCK, WAIT_COND, WAIT_SLEEP, WAIT_JOIN, WAIT_START } wait_kind;

typedef struct fiber {
  context at;
  os_fiber id;
  os_machine *m;
  const char *name;
  void (*fn)(void *arg);
  void *(*thread)(void *arg); /* or this one */
  void *arg, *result;
  void (*gone)(void *arg);
  bool joinable, ended, killed, timed_out;
  int saved_errno;
  wait_kind waits;
  const void *on;      /* the lock, the condition, the fiber */
  const void *caller;  /* of the waiting function */
  const void *made_by; /* the caller of pthread_create() */
  uint64_t since, deadline;
  struct fiber *next, *prev; /* in the queue that it waits in */
  struct fiber_queue *queue;
} fiber;

typedef struct fiber_queue {
  fiber *first, *last;
} fiber_queue;

struct os_machine {
  char *name, *folder;
  bool alive;
  int64_t wall_ms;
  uint64_t writes, syncs, steps; /* points it has had */
  unsigned kill_points;
  uint64_t kill_in;
  struct os_machine *next;
};

/* The fiber that runs; the world's own if none does. */
fiber *fiber_self(void);
bool fiber_is_world(const fiber *f);
fiber *fiber_new(os_machine *m, const char *name, void *arg);
fiber *fiber_find(os_fiber id);
/* Makes it runnable, or (with a delay) waiting for its time. */
void fiber_begin(fiber *f, uint64_t delay);
/* The running fiber waits: in `queue` (NULL: in none) until fiber_wake() or `deadline`. False if its time was up. The
 * world cannot wait. */
bool fiber_wait(wait_kind kind, const void *on, fiber_queue *queue, uint64_t deadline, const void *caller);
void fiber_wake(fiber *f);
/* Any one that waits in it, or NULL. */
fiber *fiber_any(const fiber_queue *queue);
void fiber_forget(fiber *f); /* after it was joined */
/* A moment of this kind: the machine may end here, another fiber may go on. */
void fiber_point(os_point kind);
/* Only the former. */
void fiber_may_die(os_point kind);
/* For the trace. */
void trace(uint64_t a, uint64_t b);
/* Reports a bug as a BROKEN line. */
void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and the program ends. */
_Noreturn void hopeless(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- Clocks and chance (clock.c) ------------------------------------------------------------------ */

void clock_begin(uint64_t seed);
void clock_end(void);
void clock_forward(uint64_t ns);
/* A moment of a clock as the running fiber's machine shows it, as virtual time. */
uint64_t clock_deadline(clockid_t clock, const struct timespec *until);
void log_line(const os_machine *m, cd_log_level level, const char *subsystem, const char *text);

/* --- The disk (disk.c) ---------------------------------------------------------------------------- */

/* Something that was done to a file and not flushed. */
typedef struct change {
  bool truncates; /* to `at`; else `len` bytes were written there */
  bool lost;      /* a flush of it has failed: another one need not make it durable */
  size_t at, len;
  uint8_t *bytes;
} change;

typedef struct bytes {
  uint8_t *b;
  size_t len, cap;
} bytes;

/* The contents of a file, whatever it is called. */
typedef struct inode {
  uint64_t number;
  unsigned refs; /* names, names that a power cut may bring back, open files */
  bool is_folder;
  bytes now, safe; /* safe: what was flushed */
  change *pending; /* what lies between the two */
  size_t n_pending, cap_pending;
} inode;

/* A file that is open. What SQLite locks is here, so that it goes with the process. */
typedef struct open_file {
  inode *inode;
  const char *path; /* as it was opened */
  os_machine *m;
  bool fresh; /* its name has not been flushed */
  bool flocked;
  int lock; /* SQLITE_LOCK_... */
  bool has_shm;
  unsigned shm_shared, shm_exclusive;
  struct open_file *next;
} open_file;

/* Whether the path is ours. */
bool disk_has(const char *path);
void disk_begin(void);
void disk_end(void);
/* All of these: 0 or above is success, below 0 it is -errno. A fiber may be changed, or killed, in each. */
int disk_open(const char *path, int flags, open_file **out);
void disk_close(open_file *f);
long disk_read(open_file *f, void *out, size_t len, size_t at);
long disk_write(open_file *f, const void *b, size_t len, size_t at);
int disk_truncate(open_file *f, size_t len);
int disk_sync(open_file *f);
/* Flushes the names of the folder that `path` lies in. */
int disk_sync_names(const char *path);
int disk_unlink(const char *path);
int disk_rename(const char *from, const char *to);
int disk_mkdir(const char *path);
inode *disk_look_up(const char *path);
/* A temporary file without a name. */
open_file *disk_anonymous(void);
/* All open files. */
open_file *disk_open_files(void);
/* A process is gone: its open files are. */
void disk_process_ended(const os_machine *m);
/* Whether an operation in the path's folder is to fail now. */
bool fault_strikes(const char *path, os_fault fault);
void faults_forget(void);

/* --- Files, and SQLite's (file.c, vfs.c) ---------------------------------------------------------- */

void files_process_ended(const os_machine *m);
void files_forget(void);
void vfs_begin(void);
/* The shared memory of files that nobody has open any more is gone. */
void vfs_process_ended(void);

#endif
