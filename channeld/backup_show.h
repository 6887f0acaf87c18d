/* backup_show.h - `channeld backup show`: what a static backup has. */
#ifndef CHANNELD_BACKUP_SHOW_H
#define CHANNELD_BACKUP_SHOW_H

#include "passphrase.h"

/* argv without "channeld backup"; `given` is the passphrase from the environment or NULL. Returns the exit status. */
int cd_backup_command(int argc, char **argv, const cd_passphrase *given);

#endif
