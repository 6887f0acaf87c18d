/* lock.h - one daemon for one data folder. */
#ifndef CHANNELD_STORE_LOCK_H
#define CHANNELD_STORE_LOCK_H

#include "channel/error.h"

/* Locks the folder through its file "lock", which holds our process id. The lock ends with cd_dir_unlock() or with the
 * process, however it ends; the file stays. *fd is the lock, inherited by no program we start. On failure `why` is a
 * sentence: CH_ERR_DUPLICATE another process holds it; CH_ERR_ARGUMENT the folder cannot be used. */
ch_err cd_dir_lock(const char *dir, int *fd, char *why, size_t why_len) CH_MUST_CHECK;
void cd_dir_unlock(int fd);

#endif
