/* duo_copy.h - a copy of what a side of the duo has stored, its record and its rows. To go back to one is to lose
 * memory.
 */
#ifndef DUO_COPY_H
#define DUO_COPY_H

#include "engine_fixture.h"

typedef struct duo_copy {
  uint8_t *record;
  size_t len, n_paid, n_got;
  duo_row *paid, *got;
} duo_copy;

duo_copy duo_take_copy(const duo *d, int s);
/* The side goes on from the copy, which is freed. */
void duo_put_back(duo *d, int s, duo_copy copy);

#endif
