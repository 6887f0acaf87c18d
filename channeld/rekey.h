/* rekey.h - `channeld passphrase`: the same seed under another passphrase. */
#ifndef CHANNELD_REKEY_H
#define CHANNELD_REKEY_H

#include "passphrase.h"

/* argv without "channeld passphrase"; `given` is the present passphrase from the environment or NULL. Returns the exit
 * status. */
int cd_rekey(int argc, char **argv, const cd_passphrase *given);

#endif
