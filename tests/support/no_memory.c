#include "no_memory.h"

#include <execinfo.h>
#include <malloc.h>
#include <stdlib.h>

#include "wrapped.h"

#define MOST_FRAMES 64
#define MOST_PLACES 4096

/* --- Places --------------------------------------------------------------------------------------------- */

static struct {
  bool inside, armed, failed;
  int below; /* frames of the test */
  ch_hash places[MOST_PLACES];
  size_t n;
} memory;

size_t no_memory_failures(void) {
  return memory.n;
}

void no_memory_begin(void) {
  void *frames[MOST_FRAMES];
  const void *caller = __builtin_return_address(0);
  int n = backtrace(frames, MOST_FRAMES), own = 0;
  while (own < n && frames[own] != caller) /* a sanitizer puts frames of its own in front */
    own++;
  assert_true(own < n);
  memory.below = n - own;
  memory.failed = false;
  memory.inside = memory.armed = true;
}

bool no_memory_end(void) {
  memory.inside = memory.armed = false;
  return memory.failed;
}

/* Whether the allocation that is being made is to fail. */
static bool fails(void) {
  void *frames[MOST_FRAMES];
  ch_hash place;
  if (!memory.armed) return false;
  memory.armed = false; /* backtrace() may allocate */
  int n = backtrace(frames, MOST_FRAMES) - memory.below;
  assert_true(n > 0);
  ch_keccak256(&place, (const uint8_t *)frames, (size_t)n * sizeof *frames);
  for (size_t i = 0; i < memory.n; i++)
    if (ch_hash_eq(&memory.places[i], &place)) {
      memory.armed = true;
      return false;
    }
  assert_true(memory.n < MOST_PLACES);
  memory.places[memory.n++] = place;
  memory.failed = true; /* and stays unarmed: it is the only one */
  return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_sodium_malloc(size_t size);
void *__wrap_sodium_malloc(size_t size);

void *__wrap_malloc(size_t size) {
  return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
  return fails() ? NULL : __real_calloc(n, size);
}

/* One that gives room back does not fail. */
void *__wrap_realloc(void *old, size_t size) {
  bool shrinks = old != NULL && size <= malloc_usable_size(old);
  return !shrinks && fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_sodium_malloc(size_t size) {
  return fails() ? NULL : __real_sodium_malloc(size);
}

/* --- The library's calls ---------------------------------------------------------------------------------- */

/* Whether the call that returned `err` is to be made again, because an allocation in it has failed. */
static bool again(ch_err err) {
  if (!no_memory_end()) return false;
  assert_int_equal(err, CH_ERR_NO_MEMORY);
  return true;
}

static void check_effects(const ch_effects *fx) {
  assert_int_equal(fx->n, 0);
  assert_false(fx->durable);
}

typedef struct record {
  uint8_t *bytes;
  size_t len;
} record;

ch_err __real_ch_channel_encode(const ch_channel *c, uint8_t **out, size_t *out_len);
ch_err __wrap_ch_channel_encode(const ch_channel *c, uint8_t **out, size_t *out_len);

ch_err __wrap_ch_channel_encode(const ch_channel *c, uint8_t **out, size_t *out_len) {
  ch_err err;
  do {
    no_memory_begin();
    err = __real_ch_channel_encode(c, out, out_len);
  } while (again(err));
  return err;
}

static record record_of(const ch_channel *c) {
  record r = {0};
  assert_int_equal(__real_ch_channel_encode(c, &r.bytes, &r.len), CH_OK);
  return r;
}

static void check_same(const ch_channel *c, record *before) {
  record now = record_of(c);
  assert_int_equal(now.len, before->len);
  assert_memory_equal(now.bytes, before->bytes, now.len);
  free(now.bytes);
  free(before->bytes);
}

ch_err __wrap_ch_step(ch_channel **next, ch_effects *fx, const ch_channel *cur, const ch_env *env, const ch_event *ev,
                      const ch_signer *signer) {
  for (;;) {
    record before = record_of(cur);
    no_memory_begin();
    ch_err err = __real_ch_step(next, fx, cur, env, ev, signer);
    bool failed = again(err);
    check_same(cur, &before);
    if (!failed) return err;
    assert_null(*next);
    check_effects(fx);
  }
}

ch_err __real_ch_channel_decode(ch_channel **out, const uint8_t *in, size_t len, const ch_op *pending_ops, size_t n);
ch_err __wrap_ch_channel_decode(ch_channel **out, const uint8_t *in, size_t len, const ch_op *pending_ops, size_t n);

ch_err __wrap_ch_channel_decode(ch_channel **out, const uint8_t *in, size_t len, const ch_op *pending_ops, size_t n) {
  ch_err err;
  do {
    no_memory_begin();
    err = __real_ch_channel_decode(out, in, len, pending_ops, n);
  } while (again(err));
  return err;
}

ch_err __real_ch_msg_encode(const ch_msg *msg, uint8_t **out, size_t *out_len);
ch_err __wrap_ch_msg_encode(const ch_msg *msg, uint8_t **out, size_t *out_len);
ch_err __real_ch_msg_decode(ch_msg *out, bool *known, const uint8_t *in, size_t len);
ch_err __wrap_ch_msg_decode(ch_msg *out, bool *known, const uint8_t *in, size_t len);

ch_err __wrap_ch_msg_encode(const ch_msg *msg, uint8_t **out, size_t *out_len) {
  ch_err err;
  if (memory.inside) return __real_ch_msg_encode(msg, out, out_len); /* by the library itself */
  do {
    no_memory_begin();
    err = __real_ch_msg_encode(msg, out, out_len);
  } while (again(err));
  return err;
}

ch_err __wrap_ch_msg_decode(ch_msg *out, bool *known, const uint8_t *in, size_t len) {
  ch_err err;
  do {
    no_memory_begin();
    err = __real_ch_msg_decode(out, known, in, len);
  } while (again(err));
  return err;
}

ch_err __wrap_ch_open_request(const ch_opening *opening, const ch_signer *signer, ch_effects *fx) {
  for (;;) {
    no_memory_begin();
    ch_err err = __real_ch_open_request(opening, signer, fx);
    if (!again(err)) return err;
    check_effects(fx);
  }
}

ch_err __wrap_ch_open_answer(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_msg *request,
                             const ch_pubkey *peer, const ch_chain *chain, const ch_addr *payout, const ch_hash *nonce,
                             const ch_signer *signer) {
  for (;;) {
    no_memory_begin();
    ch_err err = __real_ch_open_answer(next, fx, env, request, peer, chain, payout, nonce, signer);
    if (!again(err)) return err;
    assert_null(*next);
    check_effects(fx);
  }
}

ch_err __wrap_ch_open_finish(ch_channel **next, ch_effects *fx, const ch_env *env, const ch_opening *opening,
                             const ch_msg *accept, const ch_signer *signer) {
  for (;;) {
    no_memory_begin();
    ch_err err = __real_ch_open_finish(next, fx, env, opening, accept, signer);
    if (!again(err)) return err;
    assert_null(*next);
    check_effects(fx);
  }
}
