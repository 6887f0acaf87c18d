/* calls.h - one channel of two known keys, and well-formed calls of the Adjudicator for it, to be used or spoilt. */
#ifndef TEST_CALLS_H
#define TEST_CALLS_H

#include <channel/adjudicator.h>

#define CALLS_PERIOD 86400u
#define CALLS_BOND 500u

typedef struct calls {
  ch_chain chain;
  ch_secret key[2];
  ch_params params;
  ch_hash salt, params_hash, id;
} calls;

/* The keys are 0x11.. and 0x22.., the payouts two made-up addresses, the salt 0x5a... */
calls calls_new(const ch_chain *chain, const ch_addr *asset);
/* After a change of the parameters: makes hash and id again. */
void calls_rehash(calls *c);

ch_tx calls_deposit(const calls *c, uint16_t epoch, uint8_t side, uint64_t amount);
ch_tx calls_close(const calls *c, uint16_t epoch, int64_t net, uint64_t valid_until);
/* A version's outcome moves version % 1000 units from side 0 to side 1; version 0's hash is zero. */
ch_outcome calls_outcome(uint64_t version);
ch_hash calls_outcome_hash(uint64_t version);
ch_tx calls_challenge(const calls *c, uint16_t epoch, uint8_t side, uint64_t version, uint64_t valid_until);
ch_tx calls_refute(const calls *c, uint16_t epoch, uint64_t version);
ch_tx calls_settle(const calls *c, uint16_t epoch, uint64_t version);

#endif
