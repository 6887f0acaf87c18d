/* disk.c - files in memory, and what a power cut leaves of them.
 *
 * A file's bytes are safe when it was flushed; its name (that it is there, is called so, is gone) when its folder was:
 * POSIX promises no more, and SQLite and the daemon must do with that. What was not flushed may be there after a power
 * cut or not:
 *  - of bytes, each write on its own, in any order, in part, or noise in its place (never outside of what was written:
 *    SQLite is told so, as on any disk of today);
 *  - of names, some first ones of a folder's changes, in order, as the journal of a file system keeps them.
 * A flush that fails leaves in doubt what it was for: a later one that succeeds may make it durable or not (Linux
 * forgets that the pages are dirty). Folders themselves are there at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "os_internal.h"

typedef struct name {
  char *path;
  inode *now, *safe; /* NULL: not there */
} name;

/* A change of names that was not flushed: `from` is no more (NULL: none), `to` (NULL: none) is the file. */
typedef struct renaming {
  name *from, *to;
  inode *file;
} renaming;

static struct {
  name **names; /* never removed: pointers to them stay good */
  size_t n_names, cap_names;
  renaming *v;
  size_t n, cap;
  open_file *open;
  uint64_t last_number;
} d;

/* --- Small things ---------------------------------------------------------------------------------- */

static void *grow(void *v, size_t n, size_t *cap, size_t size) {
  if (n < *cap) return v;
  *cap = *cap == 0 ? 16 : 2 * *cap;
  v = realloc(v, *cap * size);
  if (v == NULL) hopeless("no memory");
  return v;
}

static void resize(bytes *b, size_t len) {
  if (len > b->cap) {
    b->cap = len + len / 2 + 64;
    b->b = realloc(b->b, b->cap);
    if (b->b == NULL) hopeless("no memory");
  }
  if (len > b->len) memset(b->b + b->len, 0, len - b->len);
  b->len = len;
}

static void copy(bytes *to, const bytes *from) {
  resize(to, from->len);
  if (from->len > 0) memcpy(to->b, from->b, from->len);
}

static void write_at(bytes *b, const uint8_t *from, size_t len, size_t at) {
  if (len == 0) return;
  if (at + len > b->len) resize(b, at + len);
  memcpy(b->b + at, from, len);
}

bool disk_has(const char *path) {
  return strncmp(path, OS_ROOT, strlen(OS_ROOT)) == 0;
}

static bool is_in(const char *path, const char *folder) {
  size_t n = strlen(folder);
  return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static bool same_folder(const char *a, const char *b) {
  const char *slash = strrchr(a, '/');
  size_t n = (size_t)(slash - a);
  return strncmp(a, b, n + 1) == 0 && strrchr(b, '/') == b + n;
}

static inode *inode_new(bool is_folder) {
  inode *i = calloc(1, sizeof *i);
  if (i == NULL) hopeless("no memory");
  i->number = ++d.last_number;
  i->is_folder = is_folder;
  return i;
}

static void clear_pending(inode *i, size_t from) {
  for (size_t k = from; k < i->n_pending; k++)
    free(i->pending[k].bytes);
  i->n_pending = from;
}

static void unref(inode *i) {
  if (i == NULL || --i->refs > 0) return;
  clear_pending(i, 0);
  free(i->pending);
  free(i->now.b);
  free(i->safe.b);
  free(i);
}

static void set(inode **at, inode *i) {
  if (i != NULL) i->refs++;
  unref(*at);
  *at = i;
}

/* --- Names ----------------------------------------------------------------------------------------- */

static name *name_find(const char *path) {
  for (size_t i = 0; i < d.n_names; i++)
    if (strcmp(d.names[i]->path, path) == 0) return d.names[i];
  return NULL;
}

static name *name_of(const char *path) {
  name *n = name_find(path);
  if (n != NULL) return n;
  n = calloc(1, sizeof *n);
  if (n == NULL || (n->path = strdup(path)) == NULL) hopeless("no memory");
  d.names = grow(d.names, d.n_names, &d.cap_names, sizeof *d.names);
  return d.names[d.n_names++] = n;
}

inode *disk_look_up(const char *path) {
  const name *n = name_find(path);
  return n == NULL ? NULL : n->now;
}

static void names_change(name *from, name *to, inode *file) {
  d.v = grow(d.v, d.n, &d.cap, sizeof *d.v);
  renaming *r = &d.v[d.n++];
  *r = (renaming){from, to, NULL};
  set(&r->file, file);
  if (to != NULL) set(&to->now, file);
  if (from != NULL) set(&from->now, NULL);
}

static void make_safe(renaming *r) {
  if (r->to != NULL) set(&r->to->safe, r->file);
  if (r->from != NULL) set(&r->from->safe, NULL);
}

/* Those of the path's folder, the first `most` of them; the rest of them is forgotten if `then_forget`. */
static void flush_names(const char *path, size_t most, bool then_forget) {
  size_t kept = 0;
  for (size_t i = 0; i < d.n; i++) {
    renaming *r = &d.v[i];
    bool here = same_folder((r->to != NULL ? r->to : r->from)->path, path);
    if (here && most > 0) {
      most--;
      make_safe(r);
    } else if (!here || !then_forget) {
      d.v[kept++] = *r;
      continue;
    }
    unref(r->file);
  }
  d.n = kept;
}

static size_t count_names(const char *path) {
  size_t n = 0;
  for (size_t i = 0; i < d.n; i++)
    n += same_folder((d.v[i].to != NULL ? d.v[i].to : d.v[i].from)->path, path);
  return n;
}

static void note(uint64_t what, const inode *i, size_t at) {
  trace(what << 32 | i->number, at);
}

int disk_unlink(const char *path) {
  fiber_may_die(OS_POINT_WRITE);
  name *n = name_find(path);
  if (n == NULL || n->now == NULL) return -ENOENT;
  if (n->now->is_folder) return -EISDIR;
  if (fault_strikes(path, OS_FAULT_WRITE)) return -EIO;
  note(1, n->now, 0);
  names_change(n, NULL, n->now);
  fiber_point(OS_POINT_STEP);
  return 0;
}

int disk_rename(const char *from, const char *to) {
  fiber_may_die(OS_POINT_WRITE);
  name *n = name_find(from);
  if (n == NULL || n->now == NULL) return -ENOENT;
  if (!same_folder(from, to)) return -EXDEV; /* nobody needs it */
  if (fault_strikes(from, OS_FAULT_WRITE)) return -EIO;
  note(2, n->now, 0);
  names_change(n, name_of(to), n->now);
  fiber_point(OS_POINT_STEP);
  return 0;
}

int disk_mkdir(const char *path) {
  name *n = name_of(path);
  if (n->now != NULL) return -EEXIST;
  inode *i = inode_new(true);
  set(&n->now, i);
  set(&n->safe, i);
  return 0;
}

/* --- Open files ------------------------------------------------------------------------------------ */

open_file *disk_open_files(void) {
  return d.open;
}

static open_file *file_new(inode *i, const char *path, bool fresh) {
  open_file *f = calloc(1, sizeof *f);
  if (f == NULL) hopeless("no memory");
  set(&f->inode, i);
  f->path = path;
  f->m = os_self();
  f->fresh = fresh;
  f->next = d.open;
  return d.open = f;
}

open_file *disk_anonymous(void) {
  return file_new(inode_new(false), NULL, false);
}

static int make(name *n) {
  fiber_may_die(OS_POINT_WRITE);
  if (fault_strikes(n->path, OS_FAULT_FULL)) return -ENOSPC;
  if (fault_strikes(n->path, OS_FAULT_WRITE)) return -EIO;
  inode *i = inode_new(false);
  names_change(NULL, n, i);
  note(3, i, 0);
  return 0;
}

int disk_open(const char *path, int flags, open_file **out) {
  name *n = (flags & O_CREAT) != 0 ? name_of(path) : name_find(path);
  bool fresh = n != NULL && n->now == NULL;
  if (n == NULL || (fresh && (flags & O_CREAT) == 0)) return -ENOENT;
  if (!fresh && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return -EEXIST;
  if (!fresh && (flags & O_DIRECTORY) != 0 && !n->now->is_folder) return -ENOTDIR;
  int made = fresh ? make(n) : 0;
  if (made < 0) return made;
  *out = file_new(n->now, n->path, fresh);
  return (flags & O_TRUNC) != 0 && n->now->now.len > 0 ? disk_truncate(*out, 0) : 0;
}

void disk_close(open_file *f) {
  for (open_file **at = &d.open; *at != NULL; at = &(*at)->next) {
    if (*at != f) continue;
    *at = f->next;
    break;
  }
  unref(f->inode);
  free(f);
}

void disk_process_ended(const os_machine *m) {
  for (open_file *f = d.open, *next; f != NULL; f = next) {
    next = f->next;
    if (f->m == m) disk_close(f);
  }
}

/* --- Bytes ----------------------------------------------------------------------------------------- */

long disk_read(open_file *f, void *out, size_t len, size_t at) {
  const bytes *b = &f->inode->now;
  if (fault_strikes(f->path, OS_FAULT_READ)) return -EIO;
  size_t n = at >= b->len ? 0 : b->len - at < len ? b->len - at : len;
  if (n > 0) memcpy(out, b->b + at, n);
  return (long)n;
}

static void remember(inode *i, change c) {
  i->pending = grow(i->pending, i->n_pending, &i->cap_pending, sizeof *i->pending);
  i->pending[i->n_pending++] = c;
}

static void put(inode *i, const uint8_t *from, size_t len, size_t at) {
  change c = {.at = at, .len = len, .bytes = malloc(len == 0 ? 1 : len)};
  if (c.bytes == NULL) hopeless("no memory");
  memcpy(c.bytes, from, len);
  write_at(&i->now, from, len, at);
  remember(i, c);
}

long disk_write(open_file *f, const void *b, size_t len, size_t at) {
  inode *i = f->inode;
  fiber_may_die(OS_POINT_WRITE);
  int error = 0;
  if (at + len > i->now.len && fault_strikes(f->path, OS_FAULT_FULL)) error = ENOSPC;
  if (error == 0 && fault_strikes(f->path, OS_FAULT_WRITE)) error = EIO;
  if (error == 0) {
    put(i, b, len, at);
  } else if (len > 0) {
    put(i, b, os_chance(len), at); /* some of it is in the file all the same */
  }
  note(4, i, at + len);
  fiber_point(OS_POINT_STEP);
  return error != 0 ? -error : (long)len;
}

int disk_truncate(open_file *f, size_t len) {
  fiber_may_die(OS_POINT_WRITE);
  if (fault_strikes(f->path, OS_FAULT_WRITE)) return -EIO;
  resize(&f->inode->now, len);
  remember(f->inode, (change){.truncates = true, .at = len});
  note(5, f->inode, len);
  fiber_point(OS_POINT_STEP);
  return 0;
}

/* The part of a change from byte `from` up to `to`. */
static void apply(bytes *b, const change *c, size_t from, size_t to, bool noise) {
  if (c->truncates) {
    resize(b, c->at);
    return;
  }
  if (from >= to) return;
  write_at(b, c->bytes + from, to - from, c->at + from);
  for (size_t i = from; noise && i < to; i++)
    b->b[c->at + i] = (uint8_t)os_chance(256);
}

/* The first n changes are durable; those that a flush has failed for, perhaps. */
static void flush(inode *i, size_t n) {
  if (n == 0) return;
  for (size_t k = 0; k < n; k++) {
    const change *c = &i->pending[k];
    if (!c->lost || os_chance(2) == 0) apply(&i->safe, c, 0, c->len, false);
    free(c->bytes);
  }
  i->n_pending -= n;
  memmove(i->pending, i->pending + n, i->n_pending * sizeof *i->pending);
}

/* A flush takes time, once in a while a long one. */
static void take_time(void) {
  if (!fiber_is_world(fiber_self())) os_sleep(50 * OS_US + os_chance(os_chance(64) == 0 ? 300 * OS_MS : 3 * OS_MS));
}

int disk_sync(open_file *f) {
  inode *i = f->inode;
  bool dies_before = os_chance(2) == 0;
  if (dies_before) fiber_may_die(OS_POINT_SYNC);
  size_t n = i->n_pending;
  take_time();
  if (n > i->n_pending) n = i->n_pending; /* another flush was faster */
  if (fault_strikes(f->path, OS_FAULT_SYNC)) {
    for (size_t k = 0; k < n; k++)
      i->pending[k].lost = true;
    return -EIO;
  }
  if (!fault_strikes(f->path, OS_FAULT_LIES)) flush(i, n);
  note(6, i, n);
  if (!dies_before) fiber_may_die(OS_POINT_SYNC);
  return 0;
}

int disk_sync_names(const char *path) {
  bool dies_before = os_chance(2) == 0;
  if (dies_before) fiber_may_die(OS_POINT_SYNC);
  size_t n = count_names(path);
  take_time();
  if (fault_strikes(path, OS_FAULT_SYNC)) return -EIO;
  if (!fault_strikes(path, OS_FAULT_LIES)) flush_names(path, n, false);
  if (!dies_before) fiber_may_die(OS_POINT_SYNC);
  return 0;
}

/* --- Images and power cuts ------------------------------------------------------------------------- */

void os_disk_remove(const char *folder) {
  for (const open_file *f = d.open; f != NULL; f = f->next)
    if (f->path != NULL && is_in(f->path, folder)) hopeless("%s is emptied while %s is open", folder, f->path);
  for (size_t i = 0; i < d.n_names; i++) {
    name *n = d.names[i];
    if (!is_in(n->path, folder)) continue;
    flush_names(n->path, SIZE_MAX, true);
    set(&n->now, NULL);
    set(&n->safe, NULL);
  }
}

static void copy_folder(const char *from, const char *to, bool durable) {
  os_disk_remove(to);
  disk_mkdir(to);
  size_t n = d.n_names;
  for (size_t i = 0; i < n; i++) {
    const name *old = d.names[i];
    const inode *file = durable ? old->safe : old->now;
    char path[600];
    if (file == NULL || file->is_folder || !is_in(old->path, from)) continue;
    snprintf(path, sizeof path, "%s%s", to, old->path + strlen(from));
    name *fresh = name_of(path);
    inode *twin = inode_new(false);
    copy(&twin->now, durable ? &file->safe : &file->now);
    copy(&twin->safe, &twin->now);
    set(&fresh->now, twin);
    set(&fresh->safe, twin);
  }
}

void os_disk_copy(const char *from, const char *to) {
  copy_folder(from, to, false);
}

void os_disk_durable(const char *from, const char *to) {
  copy_folder(from, to, true);
}

/* Some of what was not flushed. */
static void flush_some(inode *i) {
  uint64_t kept = os_chance(4); /* from few to nearly all */
  for (size_t n = i->n_pending; n > 1; n--) {
    size_t k = os_chance(n);
    change c = i->pending[k];
    i->pending[k] = i->pending[n - 1];
    i->pending[n - 1] = c;
  }
  for (size_t k = 0; k < i->n_pending; k++) {
    const change *c = &i->pending[k];
    uint64_t how = os_chance(16);
    size_t from = 0, to = c->len;
    if (os_chance(4) > kept) continue;
    if (how < 4 && c->len > 0) from = os_chance(c->len);
    if (how < 2 && c->len > 0) to = from + os_chance(c->len - from);
    if (how == 4 && c->len > 0) to = os_chance(c->len);
    apply(&i->safe, c, from, to, how == 5);
  }
}

static void cut_file(inode *i, uint64_t how) {
  if (how == 1)
    flush(i, i->n_pending);
  else if (how > 1)
    flush_some(i);
  clear_pending(i, 0);
  copy(&i->now, &i->safe);
}

void os_disk_cut(const char *folder, uint64_t how) {
  for (const open_file *f = d.open; f != NULL; f = f->next)
    if (f->path != NULL && is_in(f->path, folder)) hopeless("the power is cut while %s is open", f->path);
  for (size_t i = 0; i < d.n_names; i++) {
    name *n = d.names[i];
    if (!is_in(n->path, folder)) continue;
    size_t pending = count_names(n->path);
    flush_names(n->path, how == 0 ? 0 : how == 1 ? pending : os_chance(pending + 1), true);
  }
  for (size_t i = 0; i < d.n_names; i++) {
    name *n = d.names[i];
    if (!is_in(n->path, folder)) continue;
    set(&n->now, n->safe);
    if (n->now != NULL) cut_file(n->now, how);
  }
}

uint64_t os_disk_print(const char *folder) {
  uint64_t sum = 0xcbf29ce484222325u;
  for (size_t i = 0; i < d.n_names; i++) {
    const name *n = d.names[i];
    if (n->now == NULL || !is_in(n->path, folder)) continue;
    uint64_t one = 0xcbf29ce484222325u; /* of a file; their order does not count */
    for (const char *p = n->path; *p != '\0'; p++)
      one = (one ^ (uint8_t)*p) * 0x100000001b3u;
    for (size_t k = 0; k < n->now->now.len; k++)
      one = (one ^ n->now->now.b[k]) * 0x100000001b3u;
    sum += one;
  }
  return sum;
}

void disk_begin(void) {
  disk_mkdir("/sim");
}

void disk_end(void) {
  while (d.open != NULL)
    disk_close(d.open);
  for (size_t i = 0; i < d.n; i++)
    unref(d.v[i].file);
  for (size_t i = 0; i < d.n_names; i++) {
    unref(d.names[i]->now);
    unref(d.names[i]->safe);
    free(d.names[i]->path);
    free(d.names[i]);
  }
  free(d.names);
  free(d.v);
  memset(&d, 0, sizeof d);
  faults_forget();
}
