/* file.c - the system's calls for files, on the disk in memory for paths and descriptors that are ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "os_internal.h"
#include "os_wraps.h"

#define FIRST (1 << 20) /* our descriptors: none of the system's is as high */
#define MOST 256

typedef struct descriptor {
  open_file *file; /* NULL: free */
  size_t at;
} descriptor;

static descriptor table[MOST];

static int answer(long result) {
  if (result >= 0) return (int)result;
  errno = (int)-result;
  return -1;
}

static bool is_ours(int fd) {
  return fd >= FIRST;
}

static descriptor *find(int fd) {
  descriptor *t = fd - FIRST < MOST ? &table[fd - FIRST] : NULL;
  if (t != NULL && t->file != NULL) return t;
  broken("a file is used that is not open");
  errno = EBADF;
  return NULL;
}

int __wrap_open64(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
  va_end(args);
  if (!disk_has(path)) return __real_open64(path, flags, mode);
  open_file *f;
  int opened = disk_open(path, flags, &f);
  if (opened < 0) return answer(opened);
  for (int i = 0; i < MOST; i++) {
    if (table[i].file != NULL) continue;
    table[i] = (descriptor){.file = f};
    return FIRST + i;
  }
  disk_close(f);
  return answer(-EMFILE);
}

int __wrap_close(int fd) {
  if (!is_ours(fd)) return __real_close(fd);
  descriptor *t = find(fd);
  if (t == NULL) return -1;
  disk_close(t->file);
  t->file = NULL;
  return 0;
}

ssize_t __wrap_read(int fd, void *out, size_t len) {
  if (!is_ours(fd)) return __real_read(fd, out, len);
  descriptor *t = find(fd);
  if (t == NULL) return -1;
  long n = disk_read(t->file, out, len, t->at);
  if (n > 0) t->at += (size_t)n;
  return answer(n);
}

ssize_t __wrap_write(int fd, const void *from, size_t len) {
  if (!is_ours(fd)) return __real_write(fd, from, len);
  descriptor *t = find(fd);
  if (t == NULL) return -1;
  long n = disk_write(t->file, from, len, t->at);
  if (n > 0) t->at += (size_t)n;
  return answer(n);
}

ssize_t __wrap_pread64(int fd, void *out, size_t len, off64_t at) {
  if (!is_ours(fd)) return __real_pread64(fd, out, len, at);
  const descriptor *t = find(fd);
  return t == NULL ? -1 : answer(disk_read(t->file, out, len, (size_t)at));
}

ssize_t __wrap_pwrite64(int fd, const void *from, size_t len, off64_t at) {
  if (!is_ours(fd)) return __real_pwrite64(fd, from, len, at);
  const descriptor *t = find(fd);
  return t == NULL ? -1 : answer(disk_write(t->file, from, len, (size_t)at));
}

int __wrap_ftruncate64(int fd, off64_t len) {
  if (!is_ours(fd)) return __real_ftruncate64(fd, len);
  const descriptor *t = find(fd);
  return t == NULL ? -1 : answer(disk_truncate(t->file, (size_t)len));
}

int __wrap_fsync(int fd) {
  if (!is_ours(fd)) return __real_fsync(fd);
  const descriptor *t = find(fd);
  if (t == NULL) return -1;
  if (!t->file->inode->is_folder) return answer(disk_sync(t->file));
  char inside[600];
  snprintf(inside, sizeof inside, "%s/", t->file->path);
  return answer(disk_sync_names(inside));
}

/* A lock without waiting, as the daemon takes it. */
int __wrap_flock(int fd, int how) {
  if (!is_ours(fd)) return __real_flock(fd, how);
  const descriptor *t = find(fd);
  if (t == NULL) return -1;
  for (const open_file *f = disk_open_files(); f != NULL; f = f->next)
    if (f != t->file && f->inode == t->file->inode && f->flocked && how != LOCK_UN) return answer(-EWOULDBLOCK);
  t->file->flocked = how != LOCK_UN;
  return 0;
}

static int describe(const inode *i, struct stat64 *out) {
  if (i == NULL) return answer(-ENOENT);
  memset(out, 0, sizeof *out);
  out->st_mode = i->is_folder ? S_IFDIR | 0700 : S_IFREG | 0600;
  out->st_size = (off_t)i->now.len;
  out->st_ino = i->number;
  out->st_nlink = 1;
  return 0;
}

int __wrap_fstat64(int fd, struct stat64 *out) {
  if (!is_ours(fd)) return __real_fstat64(fd, out);
  const descriptor *t = find(fd);
  return t == NULL ? -1 : describe(t->file->inode, out);
}

int __wrap_stat64(const char *path, struct stat64 *out) {
  return disk_has(path) ? describe(disk_look_up(path), out) : __real_stat64(path, out);
}

int __wrap_access(const char *path, int mode) {
  if (!disk_has(path)) return __real_access(path, mode);
  return disk_look_up(path) == NULL ? answer(-ENOENT) : 0;
}

int __wrap_mkdir(const char *path, mode_t mode) {
  return disk_has(path) ? answer(disk_mkdir(path)) : __real_mkdir(path, mode);
}

int __wrap_unlink(const char *path) {
  return disk_has(path) ? answer(disk_unlink(path)) : __real_unlink(path);
}

int __wrap_rename(const char *from, const char *to) {
  return disk_has(from) ? answer(disk_rename(from, to)) : __real_rename(from, to);
}

/* Before the files themselves go. */
void files_process_ended(const os_machine *m) {
  for (int i = 0; i < MOST; i++)
    if (table[i].file != NULL && table[i].file->m == m) table[i].file = NULL;
}

void files_forget(void) {
  memset(table, 0, sizeof table);
}
