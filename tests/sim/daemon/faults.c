/* faults.c - disks that fail for a while. */
#include <stdlib.h>
#include <string.h>

#include "os_internal.h"

#define FOLDERS 64

static struct {
  char *folder[FOLDERS];
  unsigned percent[FOLDERS][OS_FAULTS];
  size_t n;
  uint64_t failed[OS_FAULTS];
} f;

static size_t find(const char *folder) {
  for (size_t i = 0; i < f.n; i++)
    if (strcmp(f.folder[i], folder) == 0) return i;
  return f.n;
}

void os_disk_fault(const char *folder, os_fault fault, unsigned percent) {
  size_t i = find(folder);
  if (i == f.n) {
    if (percent == 0) return;
    if (f.n == FOLDERS) hopeless("faults in too many folders");
    f.folder[f.n++] = strdup(folder);
  }
  f.percent[i][fault] = percent;
}

uint64_t os_disk_failed(os_fault fault) {
  return f.failed[fault];
}

bool fault_strikes(const char *path, os_fault fault) {
  if (path == NULL || fiber_is_world(fiber_self())) return false;
  for (size_t i = 0; i < f.n; i++) {
    size_t len = strlen(f.folder[i]);
    if (f.percent[i][fault] == 0 || strncmp(path, f.folder[i], len) != 0 || path[len] != '/') continue;
    if (os_chance(100) >= f.percent[i][fault]) continue;
    f.failed[fault]++;
    return true;
  }
  return false;
}

void faults_forget(void) {
  for (size_t i = 0; i < f.n; i++)
    free(f.folder[i]);
  memset(&f, 0, sizeof f);
}
