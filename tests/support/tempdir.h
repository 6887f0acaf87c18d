/* tempdir.h - a folder for one test. */
#ifndef TESTS_TEMPDIR_H
#define TESTS_TEMPDIR_H

#include <limits.h>

typedef struct tempdir {
  char path[PATH_MAX / 2];
} tempdir;

/* Under $TMPDIR, else /var/tmp: a real disk more often than /tmp. Fails the test if it cannot be made. */
void tempdir_make(tempdir *dir);
/* With the files in it; it has no folders. */
void tempdir_remove(tempdir *dir);
/* dir/name, in `out` of PATH_MAX bytes; returns out. */
char *tempdir_file(char *out, const tempdir *dir, const char *name);

#endif
