/* scene.h - the dialogues of proto/vectors/dialogues/: a scene is played by two real channels while record.c writes it
 * down. One function, one dialogue. */
#ifndef SCENE_H
#define SCENE_H

#include "../record.h"

typedef struct scene {
  const char *name; /* of the file */
  const char *about;
  void (*begin)(duo *d); /* how the channel gets to where it begins; NULL: the scene opens it itself */
  void (*play)(duo *d);
} scene;

/* By what they are about; ended by one without a name. */
extern const scene UPDATING[], MONEY[], LOCKS[], LEAVING[], MEMORY[], REORGANISATIONS[], REFUSALS[], OPERATIONS[];

/* --- Beginnings ------------------------------------------------------------------------------------------ */

/* Both open with 1000 and 500, at version 0. */
void scene_open(duo *d);

/* --- What scenes are made of ----------------------------------------------------------------------------- */

void must(ch_err err);
void pay_and_settle(duo *d, int s, const char *id, uint64_t amount);
void tick(duo *d);
/* The chain as it is, and what follows from it. */
void see(duo *d);
/* The same, and final. */
void finalise(duo *d);
void mine_and_finalise(duo *d, int s);
/* Asks for more money to be put in. */
void put_in(duo *d, int s, uint64_t amount);
void withdraw(duo *d, int s, uint64_t amount);
/* The connection breaks and is there again. */
void reconnect(duo *d);
/* Delivers all, with a new connection whenever a side wants one. */
void talk(duo *d);
/* Both sides see the ending as final. */
void ended(const duo *d);
/* The challenge window is over: `s` settles, finally. */
void settle_by(duo *d, int s);
/* Side 1 asks for what a lock of side 0's pays, without a connection, and has to reveal it now. */
void claim_unheard(duo *d);

#endif
