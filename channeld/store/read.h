/* read.h - the queries, on connections of their own: they see what is durable and never wait for the commit thread. */
#ifndef CHANNELD_STORE_READ_H
#define CHANNELD_STORE_READ_H

#include "ports.h"

typedef struct cd_readers cd_readers;

/* NULL without memory. Connections are opened as threads need them. */
cd_readers *cd_readers_new(const char *path, const char *vfs);
void cd_readers_free(cd_readers *pool);

/* As in cd_store_ops. */
ch_err cd_read_channels(cd_readers *r, bool (*each)(void *arg, const ch_hash *id, const uint8_t *record, size_t len),
                        void *arg);
ch_err cd_read_channel(cd_readers *r, const ch_hash *id, uint8_t **bytes, size_t *len);
ch_err cd_read_pending(cd_readers *r, const ch_hash *channel, ch_op **ops, size_t *n);
ch_err cd_read_payments(cd_readers *r, const cd_payment_filter *f, bool (*each)(void *arg, const cd_payment *p),
                        void *arg);
ch_err cd_read_history(cd_readers *r, const ch_hash *channel, int64_t after, unsigned limit,
                       bool (*each)(void *arg, const cd_history *h), void *arg);
ch_err cd_read_txs(cd_readers *r, bool unfinished_only, bool (*each)(void *arg, const cd_tx_row *row), void *arg);
ch_err cd_read_tx(cd_readers *r, const ch_hash *key, bool (*each)(void *arg, const cd_tx_row *row), void *arg);
ch_err cd_read_peers(cd_readers *r, bool (*each)(void *arg, const ch_pubkey *node, const char *address), void *arg);

#endif
