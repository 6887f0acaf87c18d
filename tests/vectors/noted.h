/* noted.h - while a dialogue is written down: whatever is hashed and signed, so that it can be said of a signature what
 * it is on. The linker puts noted.c before the engine's calls (tests/meson.build). */
#ifndef NOTED_H
#define NOTED_H

#include "vectors.h"

/* Between these two everything is noted. `side_of` says whose a key is. */
void noted_begin(int (*side_of)(const ch_secret *key));
void noted_end(void);
/* From here on signatures are collected; the other takes what there is, a list. */
void noted_collect(void);
json_t *noted_made(void);
/* What a signature is on, by its hex without 0x; borrowed. NULL: none that was made here. */
json_t *noted_signature(const char *hex);

#endif
