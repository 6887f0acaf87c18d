/* random_msg.h - well-formed peer messages with random contents, for tests and benchmarks. */
#ifndef RANDOM_MSG_H
#define RANDOM_MSG_H

#include "channel/message.h"

/* The next number. *r is the state of the generator: the same start gives the same numbers and messages. */
uint64_t random_u64(uint64_t *r);

/* The next message of a type. The caller clears it with ch_msg_clear. */
ch_msg random_msg(uint64_t *r, ch_msg_type type);

#endif
