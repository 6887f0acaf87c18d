/* Leaving a freeze, by Resume and by Close, also against a byzantine peer: protocol.md, section 4 ("Lost memory"). */
#include <stdio.h>
#include <stdlib.h>

#include "duo_copy.h"

#define DAY 86400
#define FREEZE (DAY + 300)
#define CLOCK_START 1577836800u

/* Both sides at version 3, net 15 to side 1. */
static int setup(void **state) {
  duo *d = malloc(sizeof *d);
  if (!d) return -1;
  duo_open(d, 1000, 500);
  assert_int_equal(duo_pay(d, 0, "there", 20), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_pay(d, 1, "back", 5), CH_OK);
  duo_pump(d);
  *state = d;
  return 0;
}

static int teardown(void **state) {
  duo_free(*state);
  free(*state);
  return 0;
}

static void reconnect(duo *d) {
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
}

static void wait_out(duo *d) {
  duo_pass(d, FREEZE + 1);
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_command(d, s, CH_EV_TICK), CH_OK);
}

/* Side 0 has been frozen by its operator, and both have said so to each other. */
static void freeze_and_tell(duo *d) {
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  assert_non_null(duo_find(d, 0, CH_FX_DISCONNECT));
  reconnect(d);
  duo_frozen(d, 0);
  assert_int_equal(duo_info(d, 1).wait, CH_WAIT_PEER_FROZEN);
}

static uint64_t block_now(const duo *d) {
  return d->now - CLOCK_START;
}

static uint64_t version_of(uint64_t block, int side) {
  return (block << 32) + (side == 0 ? 2 : 1);
}

static ch_msg resume_msg(const duo *d, int from, uint64_t base, uint64_t version, int64_t net) {
  ch_msg m = {.type = CH_MSG_RESUME, .id = d->id};
  m.u.resume.base = base;
  m.u.resume.version = version;
  m.u.resume.sig = duo_sign(d, from, version, net);
  return m;
}

static void assert_going_on(duo *d) {
  for (int s = 0; s < 2; s++) {
    assert_false(duo_info(d, s).frozen);
    assert_true(duo_info(d, s).synced);
    assert_int_equal(duo_info(d, s).outstanding, 0);
    assert_int_equal(duo_info(d, s).wait, CH_WAIT_NOTHING);
  }
  assert_int_equal(duo_info(d, 0).version, duo_info(d, 1).version);
  assert_true(duo_info(d, 0).net.v == duo_info(d, 1).net.v);
  for (int s = 0; s < 2; s++) {
    char id[32];
    snprintf(id, sizeof id, "on-%llu", (unsigned long long)duo_info(d, s).version);
    assert_int_equal(duo_pay(d, s, id, 3), CH_OK);
    duo_pump(d);
    assert_int_equal(duo_status(d, s, id), CH_PAYMENT_SETTLED);
  }
}

/* --- Resume ------------------------------------------------------------------------------------------- */

/* A copy of the data from before two updates, noticed by the peer's proof; the best state comes from the peer. */
static void test_from_a_stale_copy(void **state) {
  duo *d = *state;
  duo_copy k = duo_take_copy(d, 0);
  assert_int_equal(duo_pay(d, 0, "forgotten", 10), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_pay(d, 1, "got", 1), CH_OK);
  duo_pump(d);
  duo_cut(d);
  duo_put_back(d, 0, k);
  duo_connect(d);
  while (d->side[1].n_out && !duo_info(d, 0).frozen)
    assert_int_equal(duo_deliver(d, 1), CH_OK);
  duo_frozen(d, 0);
  reconnect(d);
  assert_int_equal(duo_info(d, 0).version, 5); /* shown, and adopted */
  assert_int_equal(duo_info(d, 0).net.v, 24);
  assert_false(duo_info(d, 0).sealed && duo_info(d, 0).version == 4);
  size_t made = d->side[0].n_made;
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  assert_int_equal(d->side[0].n_made, made);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_FREEZE);
  assert_int_equal(duo_info(d, 0).wait_until, d->now + FREEZE);
  wait_out(d);
  assert_int_equal(duo_said(d, 0, CH_MSG_RESUME)->u.resume.version, version_of(block_now(d), 0));
  assert_int_equal(duo_said(d, 0, CH_MSG_RESUME)->u.resume.base, 5);
  duo_pump(d);
  assert_int_equal(duo_info(d, 1).version, version_of(block_now(d), 0) + 1); /* the no-op that seals it */
  assert_going_on(d);
}

static void test_not_before_a_day_has_passed(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  size_t made = d->side[0].n_made;
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  duo_pass(d, FREEZE);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(d->side[0].n_made, made);
  d->now++;
  d->head_time = d->now; /* the head is past it, the final block is not */
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(d->side[0].n_made, made);
  d->final_time = d->now;
  d->head_time -= DUO_FRESHNESS + 1; /* and not behind a stale head */
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(d->side[0].n_made, made);
  d->head_time = d->now;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(d->side[0].n_made, made + 1);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_RESUME);
  duo_pump(d);
  assert_going_on(d);
}

static void test_not_without_the_operator(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_ERR_PHASE); /* it is not frozen */
  freeze_and_tell(d);
  wait_out(d);
  reconnect(d);
  assert_null(duo_said(d, 0, CH_MSG_RESUME));
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_OPERATOR);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  duo_pump(d);
  assert_going_on(d);
}

/* Only the origin is left: nothing is known, the peer shows its state. */
static void test_from_the_static_backup(void **state) {
  duo *d = *state;
  ch_origin o;
  ch_channel_origin(d->side[0].channel, &o);
  duo_cut(d);
  ch_channel_free(d->side[0].channel);
  ch_signer signer = duo_signer(d, 0);
  assert_int_equal(ch_channel_restore(&d->side[0].channel, &o, &signer), CH_OK);
  d->side[0].n_paid = d->side[0].n_got = 0;
  duo_see(d, 0);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_info(d, 0).version, 3);
  assert_int_equal(duo_info(d, 0).net.v, 15);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  assert_int_equal(duo_info(d, 0).wait_until, d->now + FREEZE); /* counted from the first look */
  duo_restart(d, 0);
  duo_cut(d);
  duo_connect(d);
  wait_out(d);
  duo_pump(d);
  assert_going_on(d);
}

/* Nothing was ever signed: the resume is of version 0. */
static void test_from_nothing(void **state) {
  duo *d = *state;
  duo_free(d);
  duo_open(d, 1000, 500);
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  assert_int_equal(duo_said(d, 0, CH_MSG_RESUME)->u.resume.base, 0);
  duo_pump(d);
  assert_going_on(d);
}

/* Two copies of the peer ran; then one is left, whichever. */
static void test_from_a_clone_of_the_peer(void **state) {
  duo *d = *state;
  ch_hash first = d->side[1].instance, second = {{0x71}};
  d->side[1].instance = second;
  reconnect(d);
  d->side[1].instance = first;
  duo_cut(d);
  duo_connect(d);
  while (d->side[1].n_out && !duo_info(d, 0).frozen)
    assert_int_equal(duo_deliver(d, 1), CH_OK);
  duo_frozen(d, 0);
  reconnect(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  duo_pump(d);
  assert_going_on(d);
  reconnect(d);
  assert_going_on(d);
}

/* What waited may have been settled before the loss: it is neither proposed again nor said to have failed. */
static void test_what_was_pending_is_unknown(void **state) {
  duo *d = *state;
  duo_cut(d);
  assert_int_equal(duo_pay(d, 0, "pending", 10), CH_OK);
  duo_copy k = duo_take_copy(d, 0);
  duo_connect(d);
  duo_pump(d);
  assert_true(duo_received(d, 1, "pending"));
  duo_cut(d);
  duo_put_back(d, 0, k);
  assert_int_equal(duo_info(d, 0).pending.v, 10);
  duo_connect(d);
  while (d->side[1].n_out && !duo_info(d, 0).frozen)
    assert_int_equal(duo_deliver(d, 1), CH_OK);
  reconnect(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "pending"), CH_PAYMENT_UNKNOWN);
  assert_int_equal(duo_info(d, 0).pending.v, 0);
  assert_int_equal(duo_info(d, 1).net.v, 25);
  assert_going_on(d);
}

/* Frozen while it waited for an accept, with its memory whole: what the peer has of it is settled by its full state. */
static void test_outstanding_that_was_accepted(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "mine", 7), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  freeze_and_tell(d);
  assert_int_equal(duo_status(d, 0, "mine"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_info(d, 0).version, 4);
}

/* The other side's outstanding is dropped and proposed again. */
static void test_outstanding_of_the_acceptor(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 1, "theirs", 4), CH_OK);
  duo_drop(d, 1);
  freeze_and_tell(d);
  assert_int_equal(duo_info(d, 1).outstanding, 5);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 1, "theirs"), CH_PAYMENT_SETTLED);
  assert_true(duo_received(d, 0, "theirs"));
  assert_going_on(d);
}

/* The accept is lost; the full state on the next connection takes its place. */
static void test_lost_accept(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  uint64_t version = duo_info(d, 1).version;
  assert_int_equal(version >> 32, block_now(d));
  duo_cut(d);
  duo_restart(d, 0);
  duo_restart(d, 1);
  duo_connect(d);
  while (d->side[1].n_out && duo_info(d, 0).frozen)
    assert_int_equal(duo_deliver(d, d->side[0].n_out ? 0 : 1), CH_OK);
  assert_non_null(duo_find(d, 0, CH_FX_DISCONNECT)); /* they greet again: the peer thinks that it is frozen */
  reconnect(d);
  assert_going_on(d);
}

/* The resume is lost: said again, byte for byte, on the next connection, over a restart. */
static void test_lost_resume(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  ch_msg first = *duo_said(d, 0, CH_MSG_RESUME);
  size_t made = d->side[0].n_made;
  duo_cut(d);
  duo_restart(d, 0);
  duo_pass(d, 1000);
  duo_connect(d);
  for (int i = 0; i < 8 && !duo_said(d, 0, CH_MSG_RESUME); i++)
    assert_int_equal(duo_deliver(d, d->side[1].n_out ? 1 : 0), CH_OK);
  const ch_msg *again = duo_said(d, 0, CH_MSG_RESUME);
  assert_int_equal(again->u.resume.version, first.u.resume.version);
  assert_true(ch_sig_eq(&again->u.resume.sig, &first.u.resume.sig));
  assert_int_equal(d->side[0].n_made, made);
  duo_pump(d);
  assert_going_on(d);
}

/* Both have lost their memory: of crossing resumes the higher one wins. */
static void test_crossing_resumes(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 1, CH_EV_FREEZE), CH_OK);
  reconnect(d);
  duo_pass(d, FREEZE + 1);
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_command(d, s, CH_EV_RESUME), CH_OK);
  assert_non_null(duo_said(d, 0, CH_MSG_RESUME));
  assert_non_null(duo_said(d, 1, CH_MSG_RESUME));
  duo_pump(d);
  assert_int_equal(duo_info(d, 0).version, version_of(block_now(d), 0) + 1); /* that of side 0 is the higher one */
  assert_going_on(d);
}

/* Both told to resume, but one looks at the time later: it asks for the resume that it has ignored again. */
static void test_resumes_that_miss_each_other(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 1, CH_EV_FREEZE), CH_OK);
  reconnect(d);
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_command(d, s, CH_EV_RESUME), CH_OK);
  const uint64_t final = d->final_time;
  duo_pass(d, FREEZE + 1);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  const uint64_t now = d->final_time;
  d->final_time = final;
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_true(duo_info(d, 1).frozen);
  d->final_time = now;
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_non_null(duo_find(d, 1, CH_FX_DISCONNECT));
  reconnect(d);
  assert_going_on(d);
}

/* Frozen too: it signs nothing for the other one before it may resume itself. */
static void test_a_frozen_acceptor(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  duo_drop(d, 0);
  assert_int_equal(duo_command(d, 1, CH_EV_FREEZE), CH_OK);
  reconnect(d);
  assert_true(duo_info(d, 0).frozen && duo_info(d, 1).frozen);
  assert_int_equal(duo_command(d, 1, CH_EV_RESUME), CH_OK);
  reconnect(d);
  assert_true(duo_info(d, 0).frozen && duo_info(d, 1).frozen);
  wait_out(d);
  reconnect(d);
  assert_going_on(d);
}

/* A shutdown that the frozen side has forgotten is said again with the accept. */
static void test_shutdown_in_force(void **state) {
  duo *d = *state;
  duo_copy k = duo_take_copy(d, 0);
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  while (!duo_said(d, 1, CH_MSG_CLOSE))
    assert_int_equal(duo_deliver(d, d->side[1].n_out ? 1 : 0), CH_OK);
  duo_drop(d, 1);
  duo_cut(d);
  duo_put_back(d, 0, k);
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d); /* the Close that side 1 has signed expires */
  reconnect(d);
  assert_false(duo_info(d, 0).frozen);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSING);
  assert_int_equal(duo_pay(d, 0, "late", 1), CH_ERR_PHASE);
  duo_see(d, 1);
  duo_mine(d, 1);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 0).paid[0].v, 985);
}

/* --- What the acceptor refuses ------------------------------------------------------------------------ */

static void test_resumes_that_are_refused(void **state) {
  duo *d = *state;
  uint64_t block = block_now(d);
  ch_msg m = resume_msg(d, 0, 3, version_of(block, 0), 15);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION); /* from a side that is not frozen */
  freeze_and_tell(d);
  m = resume_msg(d, 0, 2, version_of(block, 0), 20);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION); /* of an older base */
  m = resume_msg(d, 0, 3, version_of(block, 0), 14);
  duo_refused(d, 1, &m, CH_ERR_SIGNATURE); /* of another content */
  m = resume_msg(d, 1, 3, version_of(block, 0), 15);
  duo_refused(d, 1, &m, CH_ERR_SIGNATURE); /* not its signature */
  m = resume_msg(d, 0, 3, version_of(block, 1), 15);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION); /* my parity */
  m = resume_msg(d, 0, 3, version_of(block, 0) + 2, 15);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION); /* not the least of its block */
  m = resume_msg(d, 0, 3, version_of(block + DAY + 1, 0), 15);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION); /* a block too far ahead */
  m = resume_msg(d, 0, 3, UINT64_MAX - 1, 15);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
  m = resume_msg(d, 0, 3, 4, 15);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
  m = resume_msg(d, 0, 4, version_of(block, 0), 15); /* what it knows could not be adopted here, or it lies */
  duo_ignored(d, 1, &m);
  m = resume_msg(d, 0, 3, version_of(block + DAY, 0), 15); /* the farthest */
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(duo_info(d, 1).version, version_of(block + DAY, 0));
  assert_true(duo_said(d, 1, CH_MSG_UPDATE)->u.update.has_accept);
  duo_drop(d, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK); /* repeated: the same accept */
  assert_true(duo_said(d, 1, CH_MSG_UPDATE)->u.update.has_accept);
  ch_msg other = m; /* the peer has signed that as well, but not this */
  other.u.resume.sig.b[5] ^= 1;
  duo_ignored(d, 1, &other);
  other = m;
  other.epoch = 1;
  duo_refused(d, 1, &other, CH_ERR_VIOLATION);
  m = resume_msg(d, 0, 3, version_of(block, 0), 15); /* below L */
  duo_ignored(d, 1, &m);
  reconnect(d); /* frozen again: blocks do not creep ahead of the clock, to where a roll-back would meet them */
  m = resume_msg(d, 0, version_of(block + DAY, 0), version_of(block + DAY + 1, 0), 15);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
}

static void test_not_before_reestablish_nor_in_a_dispute(void **state) {
  duo *d = *state;
  ch_msg m = resume_msg(d, 0, 3, version_of(block_now(d), 0), 15);
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 1, CH_EV_LINK_DOWN), CH_OK);
  assert_int_equal(duo_command(d, 1, CH_EV_LINK_UP), CH_OK);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
  duo_drop(d, 1);
  ch_msg hello = duo_reestablish(d, 0, 3, 15);
  hello.u.reestablish.frozen = true;
  assert_int_equal(duo_give(d, 1, &hello), CH_OK);
  d->now += DUO_FRESHNESS + 1;
  duo_refused(d, 1, &m, CH_ERR_STALE);
  d->head_time = d->now;
  assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_OK);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(duo_info(d, 1).version, 3);
  assert_null(duo_said(d, 1, CH_MSG_UPDATE));
}

/* --- What the frozen side ignores --------------------------------------------------------------------- */

static void test_accepts_that_do_not_fit(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  uint64_t version = duo_said(d, 0, CH_MSG_RESUME)->u.resume.version;
  ch_msg m = duo_accept(d, 1, version, 14);
  duo_refused(d, 0, &m, CH_ERR_SIGNATURE);
  m = duo_accept(d, 1, version + 2, 15);
  duo_ignored(d, 0, &m);
  m = duo_accept(d, 1, 4, 15);
  duo_ignored(d, 0, &m);
  m = resume_msg(d, 1, 3, version - 1, 15); /* lower than mine */
  duo_ignored(d, 0, &m);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_DOWN), CH_OK);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_UP), CH_OK);
  m = duo_reestablish(d, 1, 9, 99);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_full_state(d, 9, 99); /* a better state that comes after the resume was signed: the peer has both */
  duo_ignored(d, 0, &m);
  assert_int_equal(duo_info(d, 0).version, 3);
  m = duo_full_state(d, version, 15);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_false(duo_info(d, 0).frozen);
  assert_int_equal(duo_info(d, 0).version, version);
}

/* The accept comes while the chain stands still here: the resume is not adopted, and not lost. */
static void test_accept_on_a_stale_chain(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  for (int times = 0; times < 2; times++) /* told twice is told once */
    assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  d->now += DUO_FRESHNESS + 1;
  const ch_msg accept = *duo_said(d, 1, CH_MSG_UPDATE);
  duo_refused(d, 0, &accept, CH_ERR_STALE);
  duo_frozen(d, 0);
  d->head_time = d->final_time = d->now;
  duo_pump(d);
  assert_going_on(d);
}

/* A frozen side takes the best of the states that it is shown, and no forged one. */
static void test_states_shown_while_frozen(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  ch_msg m = duo_full_state(d, 9, 99);
  m.u.full_state.sig[0] = duo_sign(d, 1, 9, 99);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_full_state(d, 9, 99);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).version, 9);
  m = duo_full_state(d, 7, 60);
  duo_ignored(d, 0, &m);
  ch_tx tx = duo_challenge_tx(d, 1, 7, 60); /* and refutes with it */
  assert_int_equal(duo_send_tx(d, 1, DUO_BOND, &tx), CH_ADJ_NONE);
  duo_see(d, 0);
  assert_int_equal(duo_wish(d, 0, CH_TX_REFUTE)->u.refute.version, 9);
}

/* A resume of mine that I have forgotten, too: the next one is above it. */
static void test_resume_above_a_forgotten_one(void **state) {
  duo *d = *state;
  uint64_t forgotten = version_of(block_now(d) + 3 * DAY, 0);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_DOWN), CH_OK);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_UP), CH_OK);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  m.u.reestablish.proof_version = forgotten;
  m.u.reestablish.proof_outcome = duo_outcome(d, forgotten, 15);
  m.u.reestablish.proof_sig = duo_sign(d, 0, forgotten, 15);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  duo_frozen(d, 0);
  duo_restart(d, 0);
  reconnect(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  assert_int_equal(duo_said(d, 0, CH_MSG_RESUME)->u.resume.version, forgotten + ((uint64_t)1 << 32));
}

/* A copy from before the accept of a resume comes back: that resume is not to be accepted a second time. */
static void test_resume_from_an_old_copy(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  uint64_t version = duo_said(d, 0, CH_MSG_RESUME)->u.resume.version;
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_DOWN), CH_OK);
  duo_drop(d, 0);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_UP), CH_OK);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  m.u.reestablish.proof_version = version + 2;
  m.u.reestablish.proof_outcome = duo_outcome(d, version + 2, 20);
  m.u.reestablish.proof_sig = duo_sign(d, 0, version + 2, 20);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_accept(d, 1, version, 15);
  duo_ignored(d, 0, &m);
  assert_true(duo_info(d, 0).frozen);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  assert_null(duo_said(d, 0, CH_MSG_RESUME)); /* the freeze began anew */
  wait_out(d);
  version = duo_said(d, 0, CH_MSG_RESUME)->u.resume.version;
  assert_int_equal(version, version_of(block_now(d), 0));
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK); /* again, says the operator */
  m = duo_accept(d, 1, version, 15);
  duo_ignored(d, 0, &m);
  assert_true(duo_info(d, 0).frozen);
}

/* --- On chain ----------------------------------------------------------------------------------------- */

/* A bare resume never costs the bond of who challenged before it knew; the no-op behind it seals the acceptor. */
static void test_the_bond(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  uint64_t version = duo_info(d, 1).version;
  assert_false(duo_info(d, 1).sealed);
  ch_tx tx = duo_challenge_tx(d, 0, 1, 0);
  assert_int_equal(duo_send_tx(d, 0, DUO_BOND, &tx), CH_ADJ_NONE);
  tx = duo_refute_tx(d, version, 15);
  assert_int_equal(duo_send_tx(d, 1, 0, &tx), CH_ADJ_NONE);
  assert_false(d->head.slots.flags & CH_ADJ_FORFEIT);
  tx = duo_refute_tx(d, version + 1, 15);
  assert_int_equal(duo_send_tx(d, 1, 0, &tx), CH_ADJ_NONE);
  assert_true(d->head.slots.flags & CH_ADJ_FORFEIT);
}

/* --- Close -------------------------------------------------------------------------------------------- */

/* No shutdown is needed, as nothing else is signed any more. */
static void test_leaving_by_close(void **state) {
  duo *d = *state;
  duo_copy k = duo_take_copy(d, 0);
  assert_int_equal(duo_pay(d, 0, "forgotten", 10), CH_OK);
  duo_pump(d);
  duo_cut(d);
  duo_put_back(d, 0, k);
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_FREEZE);
  assert_int_equal(d->side[0].n_closes, 0);
  duo_pass(d, FREEZE);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(d->side[0].n_closes, 0);
  duo_pass(d, 1);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(d->side[0].n_closes, 1);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_CLOSE_SIGNATURE);
  duo_cut(d); /* it is lost: said again */
  duo_restart(d, 0);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(d->side[1].n_closes, 1);
  duo_see(d, 0);
  duo_mine(d, 0);
  duo_finalise(d);
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_info(d, s).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_info(d, 0).paid[0].v, 975);
  assert_int_equal(duo_info(d, 0).paid[1].v, 525);
}

static void test_closes_that_do_not_fit(void **state) {
  duo *d = *state;
  ch_msg m = duo_close_msg(d, 0, 15, d->now + 100);
  duo_ignored(d, 1, &m); /* not frozen: shutdown first */
  freeze_and_tell(d);
  m = duo_close_msg(d, 0, 14, d->now + 100);
  duo_ignored(d, 1, &m); /* of an older state */
  m = duo_close_msg(d, 1, 15, d->now + 100);
  duo_ignored(d, 0, &m); /* the frozen side was not told to leave */
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  duo_ignored(d, 0, &m); /* and waits its day */
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  assert_int_equal(d->side[1].n_closes, 0); /* the other side leaves it to the frozen one */
  m = duo_close_msg(d, 0, 15, d->now + 100);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(d->side[1].n_closes, 1);
}

/* Money that is set aside is under way: the withdrawal may come yet. */
static void test_no_close_with_a_reservation(void **state) {
  duo *d = *state;
  ch_event ev = {.kind = CH_EV_WITHDRAW};
  ev.u.withdraw.amount = ch_amount_of(100);
  assert_int_equal(duo_step(d, 1, &ev), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_info(d, 1).reserved_mine.v, 100);
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  reconnect(d);
  ch_msg m = duo_close_msg(d, 0, 15, d->now + 100);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(d->side[1].n_closes, 0);
}

/* The last word counts: to close after resuming, or to close instead. */
static void test_close_after_resume(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  duo_pump(d);
  assert_int_equal(d->side[0].n_closes, 1); /* with a shutdown, as the channel goes on */
  assert_false(duo_info(d, 0).frozen);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSING);
  duo_see(d, 0);
  duo_mine(d, 0);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_CLOSED);
}

/* Both are frozen, one is told to resume, the other to close: they close. */
static void test_close_meets_resume(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 1, CH_EV_FREEZE), CH_OK);
  reconnect(d);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  assert_int_equal(duo_command(d, 1, CH_EV_RESUME), CH_OK);
  duo_pass(d, FREEZE + 1);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK); /* its resume is signed first */
  assert_non_null(duo_said(d, 1, CH_MSG_RESUME));
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  size_t made = d->side[0].n_made;
  duo_pump(d);
  assert_int_equal(d->side[0].n_made, made); /* no state after Close */
  assert_int_equal(d->side[1].n_closes, 1);
  duo_see(d, 0);
  duo_mine(d, 0);
  duo_finalise(d);
  for (int s = 0; s < 2; s++)
    assert_int_equal(duo_info(d, s).phase, CH_PHASE_CLOSED);
}

/* Told to resume, but its own Close is still valid: it signs no state, its own nor the peer's. */
static void test_no_resume_after_close(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  assert_int_equal(duo_command(d, 1, CH_EV_FREEZE), CH_OK);
  reconnect(d);
  wait_out(d);
  duo_drop(d, 0);
  assert_int_equal(d->side[0].n_closes, 1);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  size_t made = d->side[0].n_made;
  ch_msg m = resume_msg(d, 1, 3, version_of(block_now(d), 1), 15);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(d->side[0].n_made, made);
  assert_true(duo_info(d, 0).frozen);
}

/* The chain ends it while it is frozen: nobody knows here what was in the state that it executed. */
static void test_ended_while_frozen(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "pending", 10), CH_OK);
  duo_drop(d, 0);
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_OK);
  duo_mine(d, 1);
  duo_see(d, 0);
  duo_see(d, 1);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_ERR_PHASE);
  duo_pass(d, DUO_PERIOD + 1);
  duo_see(d, 1);
  duo_mine(d, 1);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "pending"), CH_PAYMENT_UNKNOWN);
  assert_false(duo_info(d, 0).frozen); /* in the next epoch nothing was signed yet */
}

/* When the ending is final here, money is in the next epoch already: something may have been signed there. */
static void test_frozen_into_the_next_epoch(void **state) {
  duo *d = *state;
  freeze_and_tell(d);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  wait_out(d);
  duo_pump(d);
  duo_see(d, 0);
  duo_mine(d, 0);
  ch_tx tx = duo_deposit_tx(d, 0, 700);
  tx.u.deposit.epoch = 1;
  assert_int_equal(duo_send_tx(d, 0, 700, &tx), CH_ADJ_NONE);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 0).epoch, 1);
  duo_frozen(d, 0);
  reconnect(d);
  assert_int_equal(duo_command(d, 0, CH_EV_RESUME), CH_OK);
  wait_out(d);
  assert_int_equal(duo_said(d, 0, CH_MSG_RESUME)->u.resume.base, 0);
  duo_pump(d);
  assert_false(duo_info(d, 0).frozen);
  assert_int_equal(duo_pay(d, 0, "next", 5), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "next"), CH_PAYMENT_SETTLED);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_from_a_stale_copy),
      TEST(test_not_before_a_day_has_passed),
      TEST(test_not_without_the_operator),
      TEST(test_from_the_static_backup),
      TEST(test_from_nothing),
      TEST(test_from_a_clone_of_the_peer),
      TEST(test_what_was_pending_is_unknown),
      TEST(test_outstanding_that_was_accepted),
      TEST(test_outstanding_of_the_acceptor),
      TEST(test_lost_accept),
      TEST(test_lost_resume),
      TEST(test_crossing_resumes),
      TEST(test_resumes_that_miss_each_other),
      TEST(test_a_frozen_acceptor),
      TEST(test_shutdown_in_force),
      TEST(test_resumes_that_are_refused),
      TEST(test_not_before_reestablish_nor_in_a_dispute),
      TEST(test_accepts_that_do_not_fit),
      TEST(test_accept_on_a_stale_chain),
      TEST(test_states_shown_while_frozen),
      TEST(test_resume_above_a_forgotten_one),
      TEST(test_resume_from_an_old_copy),
      TEST(test_the_bond),
      TEST(test_leaving_by_close),
      TEST(test_closes_that_do_not_fit),
      TEST(test_no_close_with_a_reservation),
      TEST(test_close_after_resume),
      TEST(test_close_meets_resume),
      TEST(test_no_resume_after_close),
      TEST(test_ended_while_frozen),
      TEST(test_frozen_into_the_next_epoch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
