/* init.h - `channeld init`: a data directory with new keys, or with those of recovery words. */
#ifndef CHANNELD_INIT_H
#define CHANNELD_INIT_H

#include "passphrase.h"

/* argv without "channeld init"; `given` is the passphrase from the environment or NULL. Returns the exit status. */
int cd_init(int argc, char **argv, const cd_passphrase *given);

#endif
