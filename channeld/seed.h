/* seed.h - the 64-byte BIP-39 seed at rest, in D/seed: one line, mode 0600.
 *
 *     channeld-seed-v1 plain SEED
 *     channeld-seed-v1 argon2id PASSES KIBIBYTES SALT NONCE BOX
 *
 * Byte strings in lower-case hex: SALT 16 bytes, NONCE 24, BOX 80. The key is Argon2id version 1.3 (RFC 9106) of the
 * passphrase, one lane, 32 bytes; the box is XSalsa20-Poly1305 of the seed (libsodium's crypto_secretbox). The costs
 * stand in the line, so they can rise later; new ones are made with 3 passes over 128 MiB, which is twice the memory of
 * RFC 9106's second recommended choice and a fraction of a second. Damage to any field makes another key, and the box
 * refuses it.
 */
#ifndef CHANNELD_SEED_H
#define CHANNELD_SEED_H

#include <stdint.h>

#include "passphrase.h"

#define CD_SEED_LEN 64

/* All but the first return false with a sentence in `why`. `seed` is 64 bytes of locked memory, the caller's to wipe.
 */

bool cd_seed_exists(const char *dir);
/* Reads it; the passphrase is asked for only if the seed is encrypted. */
bool cd_seed_read(const char *dir, const cd_passphrase_source *from, uint8_t *seed, char *why, size_t why_len);
/* Writes the first one: refused if there is one. Unencrypted without a passphrase (NULL). The directory must be locked
 * (store/lock.h). */
bool cd_seed_write(const char *dir, const uint8_t *seed, const cd_passphrase *p, char *why, size_t why_len);
/* The same seed under another passphrase; after a crash the old or the new one is good. */
bool cd_seed_replace(const char *dir, const uint8_t *seed, const cd_passphrase *p, char *why, size_t why_len);

#endif
