#include "store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/read.h"
#include "store/readers.h"
#include "store/schema.h"
#include "store/write.h"

struct store {
  char path[48];
  cd_writer writer;
  cd_readers *readers;
};

static store *template; /* an empty one, migrated */

static void must(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "sim: the store: %s\n", what);
  abort();
}

/* --- Opening and copying ------------------------------------------------------------------------------------- */

static sqlite3 *open_new(char path[48]) {
  static unsigned number;
  sqlite3 *db = NULL;
  snprintf(path, 48, "file:/sim-%u?vfs=memdb", ++number);
  must(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK,
       "it cannot be opened");
  return db;
}

static store *finish(sqlite3 *db, const char *path) {
  store *s = (store *)calloc(1, sizeof *s);
  must(s != NULL, "no memory");
  snprintf(s->path, sizeof s->path, "%s", path);
  must(cd_writer_open(&s->writer, db) == SQLITE_OK, "its statements do not fit its tables");
  s->readers = cd_readers_new(s->path, NULL);
  must(s->readers != NULL, "no memory");
  return s;
}

void store_begin(void) {
  char path[48], why[200] = "";
  must(sqlite3_config(SQLITE_CONFIG_URI, 1) == SQLITE_OK, "names of databases in memory are not understood");
  sqlite3 *db = open_new(path);
  must(cd_schema_migrate(db, cd_schema_newest(), why, sizeof why) == CH_OK, why);
  template = finish(db, path);
}

store *store_copy(const store *from) {
  char path[48];
  sqlite3 *db = open_new(path);
  sqlite3_backup *b = sqlite3_backup_init(db, "main", from->writer.db, "main");
  must(b && sqlite3_backup_step(b, -1) == SQLITE_DONE, "it cannot be copied");
  must(sqlite3_backup_finish(b) == SQLITE_OK, "it cannot be copied");
  return finish(db, path);
}

store *store_new(void) {
  return store_copy(template);
}

void store_free(store *s) {
  if (!s) return;
  cd_readers_free(s->readers);
  cd_writer_close(&s->writer);
  free(s);
}

/* --- Writing -------------------------------------------------------------------------------------------------- */

bool store_commit(store *s, const store_unit *unit, bool keep, char why[200]) {
  const cd_unit u = {.channel = *ch_channel_id_of(unit->channel),
                     .peer = *ch_channel_peer(unit->channel),
                     .record = unit->record,
                     .record_len = unit->len,
                     .phase = unit->phase,
                     .now = unit->now,
                     .fx = *unit->fx};
  int rc = cd_write_control(&s->writer, CD_WRITE_BEGIN);
  if (rc == SQLITE_OK) rc = cd_write_unit(&s->writer, &u);
  bool good = rc == SQLITE_OK;
  snprintf(why, 200, "%.199s", good ? "" : s->writer.why);
  return cd_write_control(&s->writer, good && keep ? CD_WRITE_COMMIT : CD_WRITE_ROLLBACK) == SQLITE_OK && good;
}

/* --- Reading -------------------------------------------------------------------------------------------------- */

bool store_load(store *s, const ch_hash *id, uint8_t **record, size_t *len, ch_op **pending, size_t *n) {
  *record = NULL;
  *pending = NULL;
  *n = 0;
  if (cd_read_channel(s->readers, id, record, len)) return false;
  if (cd_read_pending(s->readers, id, pending, n) == CH_OK) return true;
  free(*record);
  return false;
}

typedef struct page {
  void (*each)(void *arg, const store_row *row);
  void *arg;
  int64_t last;
  size_t n;
} page;

static bool give(void *arg, const cd_payment *p) {
  page *to = (page *)arg;
  store_row row = {.incoming = p->incoming,
                   .amount = p->amount,
                   .status = p->status,
                   .epoch = p->epoch,
                   .version = p->version,
                   .has_preimage = p->has_preimage};
  memcpy(row.id, p->id, sizeof row.id);
  to->last = p->seq;
  to->n++;
  to->each(to->arg, &row);
  return true;
}

bool store_rows(store *s, void (*each)(void *arg, const store_row *row), void *arg) {
  page to = {.each = each, .arg = arg};
  do {
    to.n = 0;
    const cd_payment_filter f = {.after = to.last, .limit = 1000};
    if (cd_read_payments(s->readers, &f, give, &to)) return false;
  } while (to.n == 1000);
  return true;
}
