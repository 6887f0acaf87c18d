#include "restore.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "backup.h"
#include "config.h"
#include "store/sqlite.h"

/* A unit on its way to the disk. */
typedef struct flight {
  cd_unit unit; /* first */
  atomic_size_t *failed;
} flight;

static void done(cd_unit *unit, bool ok) {
  flight *f = (flight *)(void *)unit;
  if (!ok) atomic_fetch_add(f->failed, 1);
  free(unit->record);
  free(f);
}

/* Encodes the frozen channel into a unit for the store. */
static ch_err put_channel(cd_store *store, const ch_origin *o, const ch_signer *signer, atomic_size_t *failed) {
  ch_channel *c;
  flight *f = calloc(1, sizeof *f);
  ch_err err = f == NULL ? CH_ERR_NO_MEMORY : ch_channel_restore(&c, o, signer);
  if (err != CH_OK) {
    free(f);
    return err;
  }
  ch_info info;
  ch_channel_info(c, &(ch_env){0}, &info);
  f->failed = failed;
  f->unit = (cd_unit){.channel = info.id, .peer = info.peer, .phase = (int)info.phase, .now = (uint64_t)time(NULL)};
  err = ch_channel_encode_parts(c, &f->unit.record, &f->unit.record_len, &f->unit.n_steady);
  ch_channel_free(c);
  if (err != CH_OK) {
    free(f);
    return err;
  }
  f->unit.done = done;
  store->ops->commit(store->ctx, &f->unit);
  return CH_OK;
}

static bool put_all(cd_store *store, const cd_backup *b, const ch_signer *signer, char *why, size_t why_len) {
  atomic_size_t failed = 0;
  ch_err err = CH_OK;
  for (size_t i = 0; err == CH_OK && i < b->n_channels; i++)
    err = put_channel(store, &b->channels[i], signer, &failed);
  for (size_t i = 0; err == CH_OK && i < b->n_peers; i++)
    err = store->ops->peer_put(store->ctx, &b->peers[i].node, b->peers[i].address);
  store->ops->flush(store->ctx);
  if (err == CH_OK && failed == 0) return true;
  snprintf(why, why_len, "The channels cannot be restored: %s",
           err == CH_OK ? "the database cannot be written." : ch_err_text(err));
  return false;
}

static bool fill(const char *path, const cd_backup *b, const uint8_t *seed, char *why, size_t why_len) {
  cd_store store;
  cd_store_config cfg = {.path = path, .shards = 1};
  ch_keyring *keys;
  if (cd_store_sqlite_open(&store, &cfg, why, why_len) != CH_OK) return false;
  ch_err err = ch_keyring_new(&keys, seed);
  bool ok = err == CH_OK;
  if (ok) {
    ch_signer signer = ch_keyring_signer(keys);
    ok = put_all(&store, b, &signer, why, why_len);
    ch_keyring_free(keys);
  } else {
    snprintf(why, why_len, "%s", ch_err_text(err));
  }
  store.ops->close(store.ctx);
  return ok;
}

bool cd_restore(const char *dir, const uint8_t *seed, const char *file, size_t *n, char *why, size_t why_len) {
  char path[CD_PATH_LEN + 32];
  cd_backup b;
  snprintf(path, sizeof path, "%s/channeld.db", dir);
  if (access(path, F_OK) == 0) {
    snprintf(why, why_len,
             "There is a database in %.400s, which knows more than a backup does. Give another directory, or delete "
             "the database if it is what a restore left that was interrupted.",
             dir);
    return false;
  }
  if (!cd_backup_read(&b, seed, file, NULL, why, why_len)) return false;
  *n = b.n_channels;
  bool ok = fill(path, &b, seed, why, why_len) && cd_backup_write(&b, seed, dir, why, why_len);
  cd_backup_clear(&b);
  return ok;
}
