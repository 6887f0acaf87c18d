/* powercut.h - a file layer for SQLite, named "powercut", that does what the system's does, but flushes nothing, and
 * remembers each change, so that afterwards the disk can be made as a power cut at any moment could have left it. */
#ifndef TESTS_POWERCUT_H
#define TESTS_POWERCUT_H

#include <stddef.h>
#include <stdint.h>

/* Makes it known to SQLite; once per process. */
void powercut_register(void);

/* Forgets all changes. From now on each is remembered with what `mark` gives at that moment. */
void powercut_begin(size_t (*mark)(void *arg), void *arg);

/* Remembers no more; what was remembered stays. */
void powercut_end(void);

/* The changes so far: writes, truncations, deletions and flushes. */
size_t powercut_changes(void);
/* The mark of change number `at`. */
size_t powercut_mark(size_t at);

/* Writes into `folder` the files as they may be found if the power fails just before change `at`. What was flushed is
 * there. Of the rest, by `seed`: 0 nothing is, 1 all is, else some of it, in any order and in part, or noise in its
 * place. */
void powercut_restore(const char *folder, size_t at, unsigned seed);

#endif
