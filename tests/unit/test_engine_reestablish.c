/* Connecting again, and lost memory, against a byzantine peer: protocol.md, section 4. */
#include <stdlib.h>

#include "engine_fixture.h"

/* Both sides at version 3, net 15 to side 1 (20 paid by side 0 in version 2, 5 back in version 3). */
static int setup(void **state) {
  duo *d = malloc(sizeof *d);
  if (!d) return -1;
  duo_open(d, 1000, 500);
  assert_int_equal(duo_pay(d, 0, "there", 20), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_pay(d, 1, "back", 5), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_info(d, 0).version, 3);
  assert_int_equal(duo_info(d, 1).version, 3);
  *state = d;
  return 0;
}

static int teardown(void **state) {
  duo_free(*state);
  free(*state);
  return 0;
}

/* Side `s` alone has a new connection; what it says is in its outbox. */
static void reconnect(duo *d, int s) {
  assert_int_equal(duo_command(d, s, CH_EV_LINK_DOWN), CH_OK);
  duo_drop(d, s);
  assert_int_equal(duo_command(d, s, CH_EV_LINK_UP), CH_OK);
  assert_false(duo_info(d, s).synced);
}

/* Side 0 has proposed `id` and hears nothing more. */
static void leave_outstanding(duo *d, const char *id, uint64_t amount) {
  assert_int_equal(duo_pay(d, 0, id, amount), CH_OK);
  assert_int_equal(duo_info(d, 0).outstanding, 4);
  duo_drop(d, 0);
}

/* --- Before both are exchanged ------------------------------------------------------------------------ */

static void test_nothing_before_reestablish(void **state) {
  duo *d = *state;
  reconnect(d, 0);
  ch_op op = duo_op_pay("early", 1);
  ch_msg m = duo_proposal(d, 1, 3, 5, 14, &op, 1);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_accept(d, 1, 2, 20);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_close_msg(d, 1, 15, d->now + 100);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = (ch_msg){.type = CH_MSG_FUNDS, .id = d->id};
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  assert_int_equal(duo_pay(d, 0, "waits", 1), CH_OK);
  assert_null(duo_said(d, 0, CH_MSG_UPDATE));
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_SYNC);
}

static void test_nothing_without_a_connection(void **state) {
  duo *d = *state;
  duo_cut(d);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_full_state(d, 4, 15);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = (ch_msg){.type = CH_MSG_FUNDS, .id = d->id};
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  assert_int_equal(duo_pay(d, 0, "waits", 1), CH_OK);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_PEER);
}

static void test_one_reestablish_a_connection(void **state) {
  duo *d = *state;
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  reconnect(d, 0);
  m = duo_reestablish(d, 1, 9, 15); /* claims to be ahead: I wait for the proof */
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_reestablish(d, 1, 3, 15);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
}

/* A full state answers a greeting: none can come before it. */
static void test_no_full_state_before_reestablish(void **state) {
  duo *d = *state;
  reconnect(d, 0);
  ch_msg m = duo_full_state(d, 4, 15);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_full_state(d, 3, 15);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
}

/* --- Behind a stale head ------------------------------------------------------------------------------ */

/* Side 0 starts before it has seen a block: its peer's missed accept and new proposals could not be taken. */
static void test_no_greeting_behind_a_stale_head(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "missed", 10), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  duo_cut(d);
  duo_restart(d, 0);
  assert_int_equal(duo_pay(d, 1, "new", 3), CH_OK);
  const uint64_t head_time = d->head_time;
  assert_int_equal(duo_command(d, 1, CH_EV_LINK_UP), CH_OK);
  d->head_time = 0;
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_UP), CH_OK);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  assert_int_equal(d->side[0].n_out, 0);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_CHAIN);
  d->head_time = head_time;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "missed"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 1, "new"), CH_PAYMENT_SETTLED);
  assert_true(duo_info(d, 0).synced && duo_info(d, 1).synced);
}

/* What comes before the own greeting is judged as ever: one reestablish, and nothing else. */
static void test_one_reestablish_behind_a_stale_head(void **state) {
  duo *d = *state;
  d->head_time = 0;
  reconnect(d, 0);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = (ch_msg){.type = CH_MSG_FUNDS, .id = d->id};
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_full_state(d, 4, 15);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
}

static void test_a_new_connection_supersedes(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_UP), CH_OK); /* no LINK_DOWN in between */
  assert_false(duo_info(d, 0).synced);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_UP), CH_OK);
  duo_drop(d, 0);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_info(d, 0).synced);
}

/* --- Who is ahead ------------------------------------------------------------------------------------- */

/* Side 1's accept is lost with the connection; its full state takes the accept's place. */
static void test_full_state_is_the_missed_accept(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_info(d, 1).version, 4);
  duo_cut(d);
  duo_restart(d, 0);
  duo_connect(d);
  assert_int_equal(duo_deliver(d, 0), CH_OK); /* side 1 is ahead */
  assert_non_null(duo_said(d, 1, CH_MSG_FULL_STATE));
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_info(d, 0).version, 4);
  assert_true(duo_info(d, 0).synced && duo_info(d, 1).synced);
}

static void test_equal_sides_say_what_is_outstanding(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  assert_int_equal(duo_pay(d, 1, "b", 3), CH_OK);
  duo_cut(d);
  duo_restart(d, 0);
  duo_restart(d, 1);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 1, "b"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_info(d, 0).net.v, 22);
}

/* --- Lies --------------------------------------------------------------------------------------------- */

static void test_claims_to_be_ahead(void **state) {
  duo *d = *state;
  leave_outstanding(d, "a", 10);
  static const uint64_t claims[] = {4, 5, 1000, UINT64_MAX};
  for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
    reconnect(d, 0);
    duo_drop(d, 0);
    ch_msg m = duo_reestablish(d, 1, claims[i], 99);
    duo_ignored(d, 0, &m); /* nothing changes: it waits */
    assert_int_equal(duo_info(d, 0).wait, CH_WAIT_SYNC);
    const char id[] = {'m', (char)('0' + i), 0};
    assert_int_equal(duo_pay(d, 0, id, 1), CH_OK);
    assert_int_equal(d->side[0].n_out, 0);
    duo_restart(d, 0);
  }
}

static void test_claims_to_be_behind(void **state) {
  duo *d = *state;
  leave_outstanding(d, "a", 10);
  for (uint64_t claim = 0; claim < 3; claim++) {
    reconnect(d, 0);
    duo_drop(d, 0);
    ch_msg m = duo_reestablish(d, 1, claim, 1);
    assert_int_equal(duo_give(d, 0, &m), CH_OK);
    assert_int_equal(d->side[0].out[0].type, CH_MSG_FULL_STATE);
    assert_int_equal(d->side[0].out[0].u.full_state.version, 3);
    assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.version, 4);
    assert_false(duo_info(d, 0).frozen);
    duo_drop(d, 0);
  }
}

/* highest_signed, outstanding: unsigned, and without effect. */
static void test_other_claims_change_nothing(void **state) {
  duo *d = *state;
  reconnect(d, 0);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  m.u.reestablish.highest_signed = UINT64_MAX;
  m.u.reestablish.outstanding = UINT64_MAX;
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_info(d, 0).synced);
  assert_int_equal(duo_info(d, 0).highest_signed, 3);
}

static void test_another_digest_freezes(void **state) {
  duo *d = *state;
  reconnect(d, 0);
  ch_msg m = duo_reestablish(d, 1, 3, 16);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  duo_frozen(d, 0);
}

static void test_another_epoch_waits(void **state) {
  duo *d = *state;
  reconnect(d, 0);
  duo_drop(d, 0);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  m.epoch = 1;
  duo_ignored(d, 0, &m);
  assert_false(duo_info(d, 0).synced);
}

static void test_a_frozen_peer_is_waited_for(void **state) {
  duo *d = *state;
  leave_outstanding(d, "a", 10);
  reconnect(d, 0);
  duo_drop(d, 0);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  m.u.reestablish.frozen = true;
  duo_ignored(d, 0, &m);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_PEER_FROZEN);
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK); /* the way out */
  assert_non_null(duo_wish(d, 0, CH_TX_CHALLENGE));
}

/* --- Proofs ------------------------------------------------------------------------------------------- */

static ch_msg with_proof(const duo *d, uint64_t version, int64_t net, ch_sig sig) {
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  m.u.reestablish.proof_version = version;
  m.u.reestablish.proof_outcome = duo_outcome(d, version, net);
  m.u.reestablish.proof_sig = sig;
  return m;
}

static void test_proof_of_what_i_know(void **state) {
  duo *d = *state;
  leave_outstanding(d, "a", 10);
  reconnect(d, 0);
  ch_msg m = with_proof(d, 4, 25, duo_sign(d, 0, 4, 25));
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_info(d, 0).synced);
  reconnect(d, 0);
  m = with_proof(d, 3, 15, duo_sign(d, 0, 3, 15));
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_info(d, 0).synced);
  reconnect(d, 0);
  m = with_proof(d, 2, 999, duo_sign(d, 1, 2, 999)); /* below L: not looked at */
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_info(d, 0).synced);
}

static void test_forged_proof(void **state) {
  duo *d = *state;
  reconnect(d, 0);
  ch_msg m = with_proof(d, 6, 99, duo_sign(d, 1, 6, 99)); /* the peer's own signature */
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = with_proof(d, 6, 99, duo_sign(d, 0, 6, 98));
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = with_proof(d, UINT64_MAX, 99, (ch_sig){{0}});
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  assert_false(duo_info(d, 0).frozen);
}

/* It was kept until the head was fresh: what then shows to be wrong must not keep a block from being looked at. */
static void test_forged_proof_behind_a_stale_head(void **state) {
  duo *d = *state;
  const uint64_t head_time = d->head_time;
  d->head_time = 0;
  reconnect(d, 0);
  ch_msg m = with_proof(d, 6, 99, duo_sign(d, 1, 6, 99));
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  d->head_time = head_time;
  const ch_tx tx = duo_challenge_tx(d, 1, 2, 20);
  assert_int_equal(duo_send_tx(d, 1, DUO_BOND, &tx), CH_ADJ_NONE);
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_DISPUTED);
  assert_non_null(duo_find(d, 0, CH_FX_DISCONNECT));
  assert_non_null(duo_wish(d, 0, CH_TX_REFUTE));
  assert_false(duo_info(d, 0).frozen);
}

static void freezes_on_proof(duo *d, uint64_t version, int64_t net) {
  reconnect(d, 0);
  ch_msg m = with_proof(d, version, net, duo_sign(d, 0, version, net));
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  duo_frozen(d, 0);
}

static void test_proof_above_my_highest_freezes(void **state) {
  freezes_on_proof(*state, 6, 15);
}

static void test_proof_of_another_content_freezes(void **state) {
  freezes_on_proof(*state, 3, 16);
}

static void test_proof_of_another_proposal_freezes(void **state) {
  leave_outstanding(*state, "a", 10);
  freezes_on_proof(*state, 4, 26);
}

/* The data is rolled back silently, by one update of each side; the honest peer's proof finds it out. */
static void test_restored_copy_is_noticed(void **state) {
  duo *d = *state;
  uint8_t *record;
  size_t len;
  assert_int_equal(ch_channel_encode(d->side[0].channel, &record, &len), CH_OK);
  leave_outstanding(d, "forgotten", 10);
  assert_int_equal(duo_pay(d, 0, "queued", 1), CH_OK);
  ch_op op = duo_op_pay("forgotten", 10);
  ch_msg m = duo_proposal(d, 0, 3, 4, 25, &op, 1);
  assert_int_equal(duo_give(d, 1, &m), CH_OK); /* side 1 has signed version 4 too */
  duo_cut(d);
  ch_channel_free(d->side[0].channel);
  assert_int_equal(ch_channel_decode(&d->side[0].channel, record, len, NULL, 0), CH_OK);
  free(record);
  d->side[0].n_paid = 1;
  duo_connect(d);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  duo_frozen(d, 0);
  assert_int_equal(duo_info(d, 0).version, 3);
}

/* --- Clones ------------------------------------------------------------------------------------------- */

static ch_err greet_as(duo *d, uint8_t instance) {
  reconnect(d, 0);
  ch_msg m = duo_reestablish(d, 1, 3, 15);
  memset(&m.u.reestablish.instance, instance, sizeof(ch_hash));
  return duo_give(d, 0, &m);
}

static void test_an_instance_that_returns_freezes(void **state) {
  duo *d = *state;
  assert_int_equal(greet_as(d, 0x70), CH_OK);
  assert_int_equal(greet_as(d, 0x70), CH_OK); /* the same process again */
  assert_int_equal(greet_as(d, 0x71), CH_OK); /* restarted */
  assert_false(duo_info(d, 0).frozen);
  duo_restart(d, 0); /* remembered over a restart of mine */
  assert_int_equal(greet_as(d, 0x70), CH_OK);
  duo_frozen(d, 0);
}

/* --- Full states -------------------------------------------------------------------------------------- */

static void test_full_states_forged(void **state) {
  duo *d = *state;
  leave_outstanding(d, "a", 10);
  for (int side = 0; side < 2; side++) {
    ch_msg m = duo_full_state(d, 4, 25);
    m.u.full_state.sig[side] = duo_sign(d, 1 - side, 4, 25); /* swapped */
    duo_refused(d, 0, &m, CH_ERR_VIOLATION);
    m = duo_full_state(d, 4, 25);
    m.u.full_state.sig[side].b[32] ^= 0x80;
    duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  }
  ch_msg m = duo_full_state(d, 4, 25);
  m.epoch = 1;
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_full_state(d, 4, 25);
  m.u.full_state.locks_hash.b[0] = 1;
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_full_state(d, 4, 25);
  m.u.full_state.net = ch_net_of(24);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_full_state(d, 3, 99); /* at or below L: of no interest */
  duo_ignored(d, 0, &m);
  m = duo_full_state(d, 4, 25);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
}

static void test_full_state_that_i_do_not_know_freezes(void **state) {
  duo *d = *state;
  reconnect(d, 0);
  ch_msg m = duo_reestablish(d, 1, 8, 3);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_full_state(d, 8, 3);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  duo_frozen(d, 0);
  assert_int_equal(duo_info(d, 0).version, 8); /* to refute with, and to resume from */
}

/* Co-signed only now, after I replaced it by a refusal: a violation, and nothing is adopted. */
static void test_full_state_of_a_replaced_proposal(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "mine", 7), CH_OK); /* version 4 */
  ch_op much = duo_op_pay("much", 5000);
  ch_msg m = duo_proposal(d, 1, 3, 5, -4985, &much, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK); /* refused with 6 */
  assert_int_equal(duo_info(d, 0).outstanding, 6);
  duo_restart(d, 0); /* it remembers what it replaced */
  reconnect(d, 0);
  m = duo_reestablish(d, 1, 4, 22);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_full_state(d, 4, 22);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_non_null(duo_find(d, 0, CH_FX_DISCONNECT));
  assert_false(duo_info(d, 0).frozen);
  assert_int_equal(duo_info(d, 0).version, 3);
  assert_int_equal(duo_status(d, 0, "mine"), CH_PAYMENT_PENDING);
}

/* Both keys have signed another content under a version that this side has signed: two copies of it have run. */
static void test_full_state_of_another_content(void **state) {
  duo *d = *state;
  leave_outstanding(d, "a", 10); /* version 4, net 25 */
  ch_msg m = duo_full_state(d, 4, 24);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  duo_frozen(d, 0);
  assert_true(duo_info(d, 0).version == 4 && duo_info(d, 0).net.v == 24); /* the one that can be enforced */
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_PENDING);
}

static void test_full_state_of_another_replaced_proposal(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "mine", 7), CH_OK); /* version 4, net 22, which gives way */
  ch_op much = duo_op_pay("much", 5000);
  ch_msg m = duo_proposal(d, 1, 3, 5, -4985, &much, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  reconnect(d, 0);
  m = duo_reestablish(d, 1, 4, 21);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_full_state(d, 4, 21);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  duo_frozen(d, 0);
  assert_true(duo_info(d, 0).version == 4 && duo_info(d, 0).net.v == 21);
}

/* --- Frozen ------------------------------------------------------------------------------------------- */

static void test_a_frozen_side_ignores(void **state) {
  duo *d = *state;
  leave_outstanding(d, "a", 10);
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  duo_frozen(d, 0);
  reconnect(d, 0);
  ch_msg hello = duo_reestablish(d, 1, 3, 15);
  assert_int_equal(duo_give(d, 0, &hello), CH_OK);
  ch_op op = duo_op_pay("b", 1);
  ch_msg m = duo_proposal(d, 1, 3, 5, 14, &op, 1);
  duo_ignored(d, 0, &m);
  m = duo_accept(d, 1, 4, 25);
  duo_ignored(d, 0, &m);
  m = duo_refusal(d, 1, 3, 5, 15, 0);
  duo_ignored(d, 0, &m);
  m = duo_close_msg(d, 1, 15, d->now + 100);
  duo_ignored(d, 0, &m);
  m = (ch_msg){.type = CH_MSG_FUNDS, .id = d->id};
  duo_ignored(d, 0, &m);
  m = (ch_msg){.type = CH_MSG_ERROR, .id = d->id};
  duo_ignored(d, 0, &m);
  duo_restart(d, 0);
  reconnect(d, 0);
  assert_true(duo_said(d, 0, CH_MSG_REESTABLISH)->u.reestablish.frozen);
  m = duo_reestablish(d, 1, 3, 15);
  duo_drop(d, 0);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(d->side[0].n_out, 0);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_OPERATOR);
  assert_string_equal(duo_info(d, 0).freeze_reason, "told to: memory may have been lost");
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK); /* the first reason stays */
}

/* --- Only the static backup is left ------------------------------------------------------------------- */

static ch_err restore(duo *d, const ch_origin *o) {
  ch_signer signer = duo_signer(d, 0);
  ch_channel *c;
  ch_err err = ch_channel_restore(&c, o, &signer);
  if (err) {
    assert_null(c);
    return err;
  }
  ch_channel_free(d->side[0].channel);
  d->side[0].channel = c;
  return CH_OK;
}

static void test_origins_that_do_not_fit(void **state) {
  duo *d = *state;
  ch_origin good, o;
  ch_channel_origin(d->side[0].channel, &good);
  o = good;
  o.side = 2;
  assert_int_equal(restore(d, &o), CH_ERR_ARGUMENT);
  o = good;
  o.params.signer[0].b[0] ^= 1;
  assert_int_equal(restore(d, &o), CH_ERR_KEY);
  o = good;
  o.salt.b[0] ^= 1;
  assert_int_equal(restore(d, &o), CH_ERR_KEY);
  o = good;
  o.nonce[1].b[0] ^= 1;
  assert_int_equal(restore(d, &o), CH_ERR_KEY);
  o = good;
  o.params.tag.b[0] ^= 1;
  assert_int_equal(restore(d, &o), CH_ERR_ARGUMENT);
}

/* It has no state, signs nothing, and refutes nothing; the peer, which has the states, ends it. */
static void test_restored_from_the_origin(void **state) {
  duo *d = *state;
  ch_origin o;
  ch_channel_origin(d->side[0].channel, &o);
  duo_cut(d);
  assert_int_equal(restore(d, &o), CH_OK);
  assert_memory_equal(ch_channel_id_of(d->side[0].channel), &d->id, sizeof d->id);
  assert_memory_equal(ch_channel_peer(d->side[0].channel), &d->side[1].node_id, sizeof(ch_pubkey));
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_OPEN);
  duo_frozen(d, 0);
  duo_connect(d);
  duo_pump(d);
  assert_false(duo_info(d, 1).synced); /* it knows that the other side is frozen */
  assert_false(duo_info(d, 1).frozen);
  assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_OK);
  duo_mine(d, 1);
  duo_see(d, 0);
  assert_int_equal(duo_count(d, 0, CH_FX_TX), 0);
  duo_pass(d, DUO_PERIOD + 1);
  duo_see(d, 1);
  duo_mine(d, 1);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_info(d, 0).paid[0].v, 985);
}

/* --- Hints -------------------------------------------------------------------------------------------- */

/* What the peer says it sees confirmed only ever limits my own proposals. */
static void test_hints_limit_only_me(void **state) {
  duo *d = *state;
  ch_msg m = {.type = CH_MSG_FUNDS, .id = d->id};
  m.u.funds.contribution[0] = ch_net_of(20);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_pay(d, 0, "a", 6), CH_OK); /* 15 + 6 is beyond 20 */
  assert_int_equal(d->side[0].n_out, 0);
  m.u.funds.contribution[0].v = -(ch_i128)CH_MONEY_MAX;
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(d->side[0].n_out, 0);
  m.epoch = 1;
  m.u.funds.contribution[0] = ch_net_of(21);
  duo_ignored(d, 0, &m);
  m.epoch = 0;
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_said(d, 0, CH_MSG_UPDATE)->u.update.version, 4);
  duo_drop(d, 0);
  ch_op op = duo_op_pay("much", 5000); /* a hint gives the peer nothing */
  m.u.funds.contribution[1].v = (ch_i128)CH_MONEY_MAX;
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_proposal(d, 1, 3, 5, -4985, &op, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_said(d, 0, CH_MSG_UPDATE)->u.update.has_refusal);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_nothing_before_reestablish),
      TEST(test_nothing_without_a_connection),
      TEST(test_one_reestablish_a_connection),
      TEST(test_a_new_connection_supersedes),
      TEST(test_full_state_is_the_missed_accept),
      TEST(test_equal_sides_say_what_is_outstanding),
      TEST(test_no_full_state_before_reestablish),
      TEST(test_no_greeting_behind_a_stale_head),
      TEST(test_one_reestablish_behind_a_stale_head),
      TEST(test_claims_to_be_ahead),
      TEST(test_claims_to_be_behind),
      TEST(test_other_claims_change_nothing),
      TEST(test_another_digest_freezes),
      TEST(test_another_epoch_waits),
      TEST(test_a_frozen_peer_is_waited_for),
      TEST(test_proof_of_what_i_know),
      TEST(test_forged_proof),
      TEST(test_forged_proof_behind_a_stale_head),
      TEST(test_proof_above_my_highest_freezes),
      TEST(test_proof_of_another_content_freezes),
      TEST(test_proof_of_another_proposal_freezes),
      TEST(test_restored_copy_is_noticed),
      TEST(test_an_instance_that_returns_freezes),
      TEST(test_full_states_forged),
      TEST(test_full_state_that_i_do_not_know_freezes),
      TEST(test_full_state_of_a_replaced_proposal),
      TEST(test_full_state_of_another_content),
      TEST(test_full_state_of_another_replaced_proposal),
      TEST(test_a_frozen_side_ignores),
      TEST(test_origins_that_do_not_fit),
      TEST(test_restored_from_the_origin),
      TEST(test_hints_limit_only_me),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
