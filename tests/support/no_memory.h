/* no_memory.h - memory that runs out, at each place once.
 *
 * A test that is linked with no_memory_dep calls the functions of libchannel that allocate through here (the linker's
 * --wrap), and they malloc, calloc, realloc and sodium_malloc. An allocation fails the first time that it is made from
 * its place, which is the whole stack of callers up to the call of the library. The call must then say
 * CH_ERR_NO_MEMORY and have changed nothing; it is made again until it works, and the test goes on with that. */
#ifndef NO_MEMORY_H
#define NO_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/channel.h"

/* How many allocations have failed so far. */
size_t no_memory_failures(void);

/* For calls that are not wrapped: between the two, allocations fail at places that are new. The second says whether one
 * did; at most one does. */
void no_memory_begin(void);
bool no_memory_end(void);

#endif
