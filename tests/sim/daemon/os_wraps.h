/* os_wraps.h - what the linker puts in the place of the system's functions (--wrap), and the system's own ones. The
 * list is that of os_wraps in tests/meson.build. */
#ifndef TESTS_SIM_DAEMON_OS_WRAPS_H
#define TESTS_SIM_DAEMON_OS_WRAPS_H

#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"

/* sync.c */
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_join(pthread_t t, void **result);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_condattr_init(pthread_condattr_t *a);
int __wrap_pthread_condattr_destroy(pthread_condattr_t *a);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *a, clockid_t clock);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr);
int __wrap_pthread_cond_destroy(pthread_cond_t *c);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until);

/* clock.c */
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __real_clock_gettime(clockid_t clock, struct timespec *out);
time_t __wrap_time(time_t *out);
void __wrap_cd_log(cd_log_level level, const char *subsystem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* file.c: x and x64 are the same here */
#define OS_WRAPPED_FILES(X)                                                                                            \
  X(int, access, (const char *path, int mode))                                                                         \
  X(int, close, (int fd))                                                                                              \
  X(int, flock, (int fd, int how))                                                                                     \
  X(int, fstat64, (int fd, struct stat64 *out))                                                                        \
  X(int, fsync, (int fd))                                                                                              \
  X(int, ftruncate64, (int fd, off64_t len))                                                                           \
  X(int, mkdir, (const char *path, mode_t mode))                                                                       \
  X(int, open64, (const char *path, int flags, ...))                                                                   \
  X(ssize_t, pread64, (int fd, void *out, size_t len, off64_t at))                                                     \
  X(ssize_t, pwrite64, (int fd, const void *from, size_t len, off64_t at))                                             \
  X(ssize_t, read, (int fd, void *out, size_t len))                                                                    \
  X(int, rename, (const char *from, const char *to))                                                                   \
  X(int, stat64, (const char *path, struct stat64 *out))                                                               \
  X(int, unlink, (const char *path))                                                                                   \
  X(ssize_t, write, (int fd, const void *from, size_t len))
#define OS_DECLARE(type, name, args)                                                                                   \
  type __wrap_##name args;                                                                                             \
  type __real_##name args;
OS_WRAPPED_FILES(OS_DECLARE)
#undef OS_DECLARE

#endif
