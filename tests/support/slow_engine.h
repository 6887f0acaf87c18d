/* slow_engine.h - the engine's calls as a host with a slow signer makes them.
 *
 * A test that is linked with slow_engine_dep calls ch_step and ch_open_* through here (the linker's --wrap). Every
 * request to a signer is answered only when it is asked again, so a step with n requests is made n + 1 times; that an
 * unfinished one leaves nothing behind is checked each time. */
#ifndef SLOW_ENGINE_H
#define SLOW_ENGINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/channel.h"

typedef enum slow_request {
  SLOW_NODE_ID,
  SLOW_ECDH,
  SLOW_SIGN_OPEN,
  SLOW_CHANNEL_KEY,
  SLOW_SIGN_STATE,
  SLOW_SIGN_CLOSE,
  SLOW_SIGN_WITHDRAW,
  SLOW_SIGN_MOVE,
  SLOW_SIGN_CHALLENGE,
  SLOW_REQUESTS,
} slow_request;

typedef struct slow_engine_state {
  bool off;                      /* signers answer at once */
  bool silent;                   /* signers never answer: CH_ERR_PENDING comes through */
  bool refuse;                   /* signers answer with CH_ERR_SIGNER */
  size_t pending[SLOW_REQUESTS]; /* how often each was not answered */
  size_t most;                   /* requests in one call */
} slow_engine_state;
extern slow_engine_state slow_engine;

#endif
