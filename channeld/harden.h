/* harden.h - what a process with keys does first. */
#ifndef CHANNELD_HARDEN_H
#define CHANNELD_HARDEN_H

/* No core dumps, and no other process of this user may read this one's memory. */
void cd_harden(void);

#endif
