/* stranger.h - a node with a key of its own that means no good. */
#ifndef TESTS_HOSTILE_STRANGER_H
#define TESTS_HOSTILE_STRANGER_H

/* hostile MODE NODE_ID ADDRESS N [CHAIN_ID ADJUDICATOR]; see stranger.c. */
int stranger_main(int argc, char **argv);

#endif
