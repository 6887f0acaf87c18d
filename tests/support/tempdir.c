#include "tempdir.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

void tempdir_make(tempdir *dir) {
  const char *base = getenv("TMPDIR");
  int n = snprintf(dir->path, sizeof dir->path, "%s/channel-test-XXXXXX", base && base[0] ? base : "/var/tmp");
  assert_in_range(n, 1, sizeof dir->path - 1);
  assert_non_null(mkdtemp(dir->path));
}

char *tempdir_file(char *out, const tempdir *dir, const char *name) {
  int n = snprintf(out, PATH_MAX, "%s/%s", dir->path, name);
  assert_in_range(n, 1, PATH_MAX - 1);
  return out;
}

void tempdir_remove(tempdir *dir) {
  DIR *d = opendir(dir->path);
  assert_non_null(d);
  for (struct dirent *e = readdir(d); e; e = readdir(d)) {
    if (e->d_type != DT_REG) continue;
    char path[PATH_MAX];
    unlink(tempdir_file(path, dir, e->d_name));
  }
  closedir(d);
  assert_int_equal(rmdir(dir->path), 0);
}
