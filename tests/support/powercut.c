#include "powercut.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "throughvfs.h"

#define FILES 8 /* two databases, their logs and journals */

/* SYNC_DIR: the folder was flushed, so that what was deleted stays deleted. */
typedef enum change_kind { WRITE, TRUNCATE, SYNC, DELETE, SYNC_DIR } change_kind;

typedef struct change {
  change_kind kind;
  unsigned file;
  size_t at, len; /* of a write; the new size is `at` of a truncation */
  uint8_t *bytes;
  size_t mark;
} change;

static struct {
  sqlite3_vfs vfs, *real;
  sqlite3_io_methods methods;
  pthread_mutex_t lock;
  char names[FILES][64]; /* without folders */
  change *v;
  size_t n, cap;
  bool on;
  size_t (*mark)(void *arg);
  void *mark_arg;
} cut = {.lock = PTHREAD_MUTEX_INITIALIZER};

typedef struct cut_file {
  through_file through; /* to the bytes behind this struct */
  unsigned number;
  bool is_new; /* its name is flushed together with its bytes, as SQLite's own layer does for logs and journals */
} cut_file;

/* --- Remembering -------------------------------------------------------------------------------- */

static unsigned number_of(const char *path) {
  const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  for (unsigned i = 0; i < FILES; i++) {
    if (cut.names[i][0] == '\0') snprintf(cut.names[i], sizeof cut.names[i], "%s", name);
    if (strcmp(cut.names[i], name) == 0) return i;
  }
  fail_msg("more files than a database has: %s", name);
  return 0;
}

static void remember(change_kind kind, unsigned file, const void *bytes, size_t len, size_t at) {
  if (!cut.on) return;
  pthread_mutex_lock(&cut.lock);
  if (cut.n == cut.cap) {
    cut.cap = cut.cap ? 2 * cut.cap : 1024;
    cut.v = (change *)realloc(cut.v, cut.cap * sizeof *cut.v);
    assert_non_null(cut.v);
  }
  change *c = &cut.v[cut.n++];
  *c = (change){.kind = kind, .file = file, .at = at, .len = len, .mark = cut.mark ? cut.mark(cut.mark_arg) : 0};
  if (len > 0) {
    c->bytes = (uint8_t *)malloc(len);
    assert_non_null(c->bytes);
    memcpy(c->bytes, bytes, len);
  }
  pthread_mutex_unlock(&cut.lock);
}

static int f_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at) {
  remember(WRITE, ((cut_file *)f)->number, buf, (size_t)n, (size_t)at);
  return throughvfs_methods.xWrite(f, buf, n, at);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 size) {
  remember(TRUNCATE, ((cut_file *)f)->number, NULL, 0, (size_t)size);
  return throughvfs_methods.xTruncate(f, size);
}
/* The real disk need not be troubled. */
static int f_sync(sqlite3_file *f, int flags) {
  (void)flags;
  cut_file *file = (cut_file *)f;
  remember(SYNC, file->number, NULL, 0, 0);
  if (file->is_new) remember(SYNC_DIR, file->number, NULL, 0, 0);
  file->is_new = false;
  return SQLITE_OK;
}
/* A chunk size or a size hint would change the file behind our back; SQLite does without. */
static int f_control(sqlite3_file *f, int op, void *arg) {
  if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_NOTFOUND;
  return throughvfs_methods.xFileControl(f, op, arg);
}

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs;
  if (!name) return cut.real->xOpen(cut.real, name, file, flags, out_flags); /* temporary */
  cut_file *f = (cut_file *)file;
  f->through.base.pMethods = &cut.methods;
  f->number = number_of(name);
  f->is_new = access(name, F_OK) != 0 && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
  f->through.real = (sqlite3_file *)(void *)(f + 1);
  memset(f->through.real, 0, (size_t)cut.real->szOsFile);
  return cut.real->xOpen(cut.real, name, f->through.real, flags, out_flags);
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync_dir) {
  (void)vfs;
  unsigned number = number_of(name);
  remember(DELETE, number, NULL, 0, 0);
  if (sync_dir) remember(SYNC_DIR, number, NULL, 0, 0);
  return cut.real->xDelete(cut.real, name, 0);
}

void powercut_register(void) {
  cut.real = sqlite3_vfs_find(NULL);
  cut.vfs = *cut.real;
  cut.methods = throughvfs_methods;
  cut.methods.xWrite = f_write;
  cut.methods.xTruncate = f_truncate;
  cut.methods.xSync = f_sync;
  cut.methods.xFileControl = f_control;
  cut.vfs.szOsFile = (int)sizeof(cut_file) + cut.real->szOsFile;
  cut.vfs.pNext = NULL;
  cut.vfs.zName = "powercut";
  cut.vfs.xOpen = v_open;
  cut.vfs.xDelete = v_delete;
  assert_int_equal(sqlite3_vfs_register(&cut.vfs, 0), SQLITE_OK);
}

void powercut_begin(size_t (*mark)(void *arg), void *arg) {
  for (size_t i = 0; i < cut.n; i++)
    free(cut.v[i].bytes);
  cut.n = 0;
  memset(cut.names, 0, sizeof cut.names);
  cut.mark = mark;
  cut.mark_arg = arg;
  cut.on = true;
}

void powercut_end(void) {
  cut.on = false;
}

size_t powercut_changes(void) {
  return cut.n;
}

size_t powercut_mark(size_t at) {
  return cut.v[at].mark;
}

/* --- The disk afterwards ------------------------------------------------------------------------ */

typedef struct image {
  bool there;
  uint8_t *bytes;
  size_t len, cap;
} image;

static void grow(image *m, size_t len) {
  if (len > m->cap) {
    m->cap = 2 * len;
    m->bytes = (uint8_t *)realloc(m->bytes, m->cap);
    assert_non_null(m->bytes);
  }
  if (len > m->len) memset(m->bytes + m->len, 0, len - m->len);
  m->len = len;
}

/* The part of a change from byte `from` up to `to`; of noise if `seed` is not NULL. */
static void apply(image *m, const change *c, size_t from, size_t to, unsigned *noise) {
  switch (c->kind) {
  case WRITE:
    if (from >= to) return;
    if (c->at + to > m->len) grow(m, c->at + to);
    memcpy(m->bytes + c->at + from, c->bytes + from, to - from);
    for (size_t i = from; noise && i < to; i++)
      m->bytes[c->at + i] = (uint8_t)(rand_r(noise) >> 7);
    m->there = true;
    return;
  case TRUNCATE:
    grow(m, c->at);
    m->there = true;
    return;
  case DELETE:
    m->there = false;
    m->len = 0;
    return;
  case SYNC:
  case SYNC_DIR: return;
  }
}

typedef struct pending {
  const change **v;
  size_t n;
} pending;

static size_t up_to_delete(const pending *p) {
  size_t n = p->n;
  while (n > 0 && p->v[n - 1]->kind != DELETE)
    n--;
  return n;
}

/* Some of what was not flushed. Files are deleted in order; else nothing is sure of its order. */
static void apply_some(image *m, pending *p, unsigned seed) {
  if (up_to_delete(p) > 0) {
    p->n = p->n == 0 ? 0 : (size_t)rand_r(&seed) % (p->n + 1);
  } else {
    for (size_t i = p->n; i > 1; i--) {
      size_t k = (size_t)rand_r(&seed) % i;
      const change *c = p->v[k];
      p->v[k] = p->v[i - 1];
      p->v[i - 1] = c;
    }
  }
  unsigned kept = (unsigned)rand_r(&seed) % 4; /* from few to nearly all */
  for (size_t i = 0; i < p->n; i++) {
    const change *c = p->v[i];
    unsigned how = (unsigned)rand_r(&seed) % 16;
    size_t from = 0, to = c->len;
    if ((unsigned)rand_r(&seed) % 4 > kept && c->kind != DELETE) continue;
    if (how < 4 && c->len > 0) from = (size_t)rand_r(&seed) % c->len;
    if (how < 2 && c->len > 0) to = from + (size_t)rand_r(&seed) % (c->len - from);
    if (how == 4 && c->len > 0) to = (size_t)rand_r(&seed) % c->len;
    apply(m, c, from, to, how == 5 ? &seed : NULL);
  }
}

static void write_image(const char *folder, const char *name, const image *m) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  unlink(path);
  if (!m->there) return;
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  for (size_t done = 0; done < m->len;) {
    ssize_t n = write(fd, m->bytes + done, m->len - done);
    assert_true(n > 0);
    done += (size_t)n;
  }
  close(fd);
}

/* Makes the first n durable. */
static void flush(image *m, pending *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    apply(m, p->v[i], 0, p->v[i]->len, NULL);
  memmove(p->v, p->v + n, (p->n - n) * sizeof p->v[0]);
  p->n -= n;
}

static void restore_file(const char *folder, unsigned file, size_t at, unsigned seed) {
  image m = {0};
  pending p = {.v = (const change **)calloc(at + 1, sizeof(change *))};
  assert_non_null(p.v);
  for (size_t i = 0; i < at; i++) {
    const change *c = &cut.v[i];
    if (c->kind == SYNC_DIR)
      flush(&m, &p, up_to_delete(&p));
    else if (c->file == file && c->kind == SYNC)
      flush(&m, &p, p.n);
    else if (c->file == file)
      p.v[p.n++] = c;
  }
  if (seed == 1) {
    flush(&m, &p, p.n);
  } else if (seed > 1) {
    apply_some(&m, &p, seed * 31 + file);
  }
  write_image(folder, cut.names[file], &m);
  free(m.bytes);
  free(p.v);
}

void powercut_restore(const char *folder, size_t at, unsigned seed) {
  for (unsigned file = 0; file < FILES && cut.names[file][0] != '\0'; file++) {
    char shm[PATH_MAX]; /* memory that processes shared: gone with them */
    snprintf(shm, sizeof shm, "%s/%s-shm", folder, cut.names[file]);
    unlink(shm);
    restore_file(folder, file, at, seed);
  }
}
