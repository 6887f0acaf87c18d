/* break.c - rules that are broken on purpose, to see that the world notices: in the layers around the daemon, never in
 * it. */
#include "world.h"

static cd_store_ops broken_ops;

/* Payments that were accepted and are not in a state yet are forgotten with each start. */
static ch_err no_pending(void *ctx, const ch_hash *channel, ch_op **ops, size_t *n) {
  (void)ctx;
  (void)channel;
  *ops = NULL;
  *n = 0;
  return CH_OK;
}

void break_store(const world *w, cd_store *store) {
  broken_ops = *store->ops;
  if (w->broken == BROKEN_OUTBOX) broken_ops.pending = no_pending;
  store->ops = &broken_ops;
}

/* Before a daemon starts. */
void break_disk(host *d) {
  char copy[SIM_ADDRESS + 8];
  snprintf(copy, sizeof copy, "%s-old", d->folder);
  if (d->w->broken == BROKEN_SYNC) os_disk_fault(d->folder, OS_FAULT_LIES, 100);
  if (d->w->broken != BROKEN_BACKUP) return;
  if (d->starts % 3 == 2)
    os_disk_copy(copy, d->folder);
  else if (d->starts > 0)
    os_disk_copy(d->folder, copy);
}
