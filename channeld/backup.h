/* backup.h - the static backup: what is fixed when a channel is opened, of all channels, in one encrypted file.
 *
 * Without it the seed alone cannot leave a channel: nobody else knows which channels there are, with whom, and under
 * which salts. It changes only when channels are opened, so an old copy is only incomplete, never dangerous.
 *
 *     "channeld-backup-v1\n"   NONCE (24 bytes)   BOX
 *
 * BOX is XChaCha20-Poly1305 with the first line as additional data, under HKDF-SHA256(seed, info =
 * "channeld/backup-v1"). In it, padded with 80 00.. to a multiple of 4096 bytes so that its length says little, numbers
 * big-endian:
 *
 *     time written (8, Unix seconds)   number of channels (4)   number of peers (4)
 *     each channel: chain id (8) adjudicator (20) signers (2 x 20) payouts (2 x 20) asset (20) challenge period (4)
 *       bond (16) nonces (2 x 32) salt (32) peer (33) side (1) deposits (2 x 16) created (8)
 *     each peer: node id (33) length of address (2) address
 *
 * Nothing in it signs anything, but it shows who this node's peers are: that is why it is encrypted.
 */
#ifndef CHANNELD_BACKUP_H
#define CHANNELD_BACKUP_H

#include "channel/channel.h"

#define CD_BACKUP_NAME "channels.backup" /* in the data directory */

typedef struct cd_backup_peer {
  ch_pubkey node;
  char *address; /* malloc'ed */
} cd_backup_peer;

typedef struct cd_backup {
  uint64_t written;
  ch_origin *channels; /* malloc'ed, as `peers` */
  size_t n_channels;
  cd_backup_peer *peers;
  size_t n_peers;
} cd_backup;

/* Frees what it owns, wipes the salts, and zeroes the struct. */
void cd_backup_clear(cd_backup *b);

/* The file's bytes, malloc'ed. CH_ERR_ARGUMENT if an address is longer than 511 bytes, CH_ERR_NO_MEMORY. */
ch_err cd_backup_seal(const cd_backup *b, const uint8_t *seed, uint8_t **out, size_t *len) CH_MUST_CHECK;

/* The reverse; *out is to be cleared. On an error *out is empty:
 *   CH_ERR_FORMAT   it is no backup, or malformed inside
 *   CH_ERR_VERSION  a newer release wrote it
 *   CH_ERR_KEY      it is of another seed, or damaged */
ch_err cd_backup_open(cd_backup *out, const uint8_t *seed, const uint8_t *in, size_t len) CH_MUST_CHECK;

/* Reads and opens a file. False with a sentence in `why`; *missing (may be NULL) tells that there is none. */
bool cd_backup_read(cd_backup *out, const uint8_t *seed, const char *path, bool *missing, char *why, size_t why_len);

/* Seals it into D/channels.backup, durable on return. False with a sentence in `why`. */
bool cd_backup_write(const cd_backup *b, const uint8_t *seed, const char *dir, char *why, size_t why_len);

#endif
