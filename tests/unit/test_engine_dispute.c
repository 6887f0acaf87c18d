/* Leaving alone, against a byzantine peer: protocol.md, sections 4 and 5. */
#include <stdlib.h>

#include "engine_fixture.h"

/* Both sides at version 3, net 15; versions 1 to 3 were co-signed or can be: nothing is outstanding. */
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

static void challenge_by(duo *d, int side, uint64_t version, int64_t net) {
  ch_tx tx = duo_challenge_tx(d, side, version, net);
  assert_int_equal(duo_send_tx(d, side, DUO_BOND, &tx), CH_ADJ_NONE);
}

/* Everything that could make side 0 sign a state finds it silent. */
static void signs_nothing(duo *d) {
  size_t made = d->side[0].n_made;
  ch_info info = duo_info(d, 0);
  int64_t net = (int64_t)info.net.v;
  ch_op op = duo_op_pay("tempting", 1);
  uint64_t v = ch_next_version(1, info.version);
  ch_msg m = duo_proposal(d, 1, info.version, v, net - 1, &op, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  if (info.outstanding) {
    m = duo_refusal(d, 1, info.version, info.outstanding + 1, net, 0);
    assert_int_equal(duo_give(d, 0, &m), CH_OK);
  }
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_pay(d, 0, "mine", 1), CH_ERR_PHASE);
  assert_int_equal(d->side[0].n_made, made);
  assert_int_equal(duo_info(d, 0).version, info.version);
}

/* --- A challenge of the peer -------------------------------------------------------------------------- */

static void test_cheat_is_refuted_and_pays(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 2, 20);
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_DISPUTED);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_REFUTE_TX);
  const ch_tx *tx = duo_wish(d, 0, CH_TX_REFUTE);
  assert_non_null(tx);
  assert_int_equal(tx->u.refute.version, 3);
  signs_nothing(d);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_mine(d, 0);
  duo_see(d, 0);
  assert_null(duo_wish(d, 0, CH_TX_REFUTE));
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_WINDOW);
  duo_pass(d, DUO_PERIOD + 1);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 0, CH_TX_SETTLE)); /* the challenger's to send, for a while */
  duo_pass(d, 300);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_SETTLE_TX);
  duo_mine(d, 0);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_info(d, 0).ended_version, 3);
  assert_int_equal(duo_info(d, 0).paid[0].v, 985);
}

static void test_cheat_with_nothing_moved(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 0, 0);
  duo_see(d, 0);
  assert_int_equal(duo_wish(d, 0, CH_TX_REFUTE)->u.refute.version, 3);
  duo_mine(d, 0);
  assert_false(d->head.slots.flags & CH_ADJ_FORFEIT); /* within 3: an honest side might not have known it */
}

/* The deadline passes while this side is away: the chain settles what stands, and this side cannot change it. */
static void test_refutation_comes_too_late(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 2, 20);
  duo_pass(d, DUO_PERIOD);
  duo_see(d, 0);
  assert_non_null(duo_wish(d, 0, CH_TX_REFUTE)); /* the deadline still belongs to it */
  duo_pass(d, 1);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 0, CH_TX_REFUTE));
  duo_pass(d, 301);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 0, CH_TX_SETTLE)); /* it no longer has that outcome in clear */
}

static void test_latest_state_is_left_alone(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 3, 15);
  duo_see(d, 0);
  assert_int_equal(d->side[0].fx.n, duo_count(d, 0, CH_FX_HISTORY));
  signs_nothing(d);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_WINDOW);
}

/* A reorganisation takes the challenge back: payments go on, over a new connection. */
static void test_reorganisation_takes_a_challenge_back(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "mine", 7), CH_OK); /* version 4 */
  challenge_by(d, 1, 3, 15);
  duo_see(d, 0);
  ch_msg m = duo_refusal(d, 1, 3, 5, 15, 0); /* not heard in a dispute */
  duo_ignored(d, 0, &m);
  d->head = d->final;
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_OPEN);
  assert_non_null(duo_find(d, 0, CH_FX_DISCONNECT)); /* what was ignored is said again */
  duo_cut(d);
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_status(d, 0, "mine"), CH_PAYMENT_SETTLED);
}

/* --- States above L that the peer can enforce --------------------------------------------------------- */

/* The peer co-signs the outstanding proposal, tells nobody, and puts it on the chain. */
static void test_outstanding_on_chain_is_settled(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "kept", 10), CH_OK); /* version 4, net 25 */
  assert_int_equal(duo_pay(d, 0, "queued", 1), CH_OK);
  challenge_by(d, 1, 4, 25);
  duo_see(d, 0);
  assert_false(duo_info(d, 0).frozen);
  assert_null(duo_wish(d, 0, CH_TX_REFUTE));
  duo_restart(d, 0);
  duo_pass(d, DUO_PERIOD + 301);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_mine(d, 0); /* it can settle it: it knows the content */
  duo_see(d, 0);
  assert_int_equal(duo_status(d, 0, "kept"), CH_PAYMENT_PENDING); /* not final yet */
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "kept"), CH_PAYMENT_SETTLED);
  assert_int_equal(d->side[0].paid[1].version, 4);
  assert_int_equal(duo_status(d, 0, "queued"), CH_PAYMENT_FAILED);
  assert_int_equal(duo_info(d, 0).ended_version, 4);
}

static void test_outstanding_not_executed_fails(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "kept", 10), CH_OK);
  challenge_by(d, 1, 3, 15);
  duo_see(d, 0);
  duo_pass(d, DUO_PERIOD + 301);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_mine(d, 0);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "kept"), CH_PAYMENT_FAILED);
}

/* The same for a proposal that a refusal has replaced: it can be enforced until L is above it, restart or not. */
static void test_replaced_proposal_on_chain_is_settled(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "kept", 10), CH_OK); /* version 4 */
  ch_op much = duo_op_pay("much", 5000);
  ch_msg m = duo_proposal(d, 1, 3, 5, -4985, &much, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK); /* refused with 6 */
  assert_int_equal(duo_pay(d, 0, "queued", 1), CH_OK);
  duo_restart(d, 0);
  assert_int_equal(duo_info(d, 0).queued, 2);
  challenge_by(d, 1, 4, 25);
  duo_see(d, 0);
  assert_false(duo_info(d, 0).frozen);
  duo_pass(d, DUO_PERIOD + 301);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_mine(d, 0);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "kept"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_status(d, 0, "queued"), CH_PAYMENT_FAILED);
}

/* The chain shows the ending of another life of the same id: it says nothing about what this one executed. */
static void test_ending_of_another_epoch(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK); /* version 4 */
  d->head.slots = (ch_adj_slots){.epoch = 2};
  d->head.has_ended = true;
  d->head.ended = (ch_adj_event){.kind = CH_ADJ_SETTLED, .id = d->id, .epoch = 1, .version = 4};
  d->final = d->head;
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_UNKNOWN);
}

static void test_unknown_state_on_chain_freezes(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 9, 77);
  duo_see(d, 0);
  duo_frozen(d, 0);
  assert_null(duo_wish(d, 0, CH_TX_REFUTE));
  duo_pass(d, DUO_PERIOD + 301);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 0, CH_TX_SETTLE));
}

static void test_another_content_of_my_latest_freezes(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 3, 16);
  duo_see(d, 0);
  duo_frozen(d, 0);
}

static void test_a_frozen_side_still_refutes(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  challenge_by(d, 1, 2, 20);
  duo_see(d, 0);
  assert_int_equal(duo_wish(d, 0, CH_TX_REFUTE)->u.refute.version, 3);
  duo_mine(d, 0);
}

/* --- Accepts that come late --------------------------------------------------------------------------- */

/* There is time left to refute with it: L grows. */
static void test_accept_within_the_window(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  challenge_by(d, 1, 3, 15);
  duo_see(d, 0);
  ch_msg m = duo_accept(d, 1, 4, 25);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_wish(d, 0, CH_TX_REFUTE)->u.refute.version, 4);
  duo_mine(d, 0);
}

/* The window is about to end: what is adopted now could not be brought to the chain any more. */
static void test_accept_at_the_end_of_the_window(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  challenge_by(d, 1, 3, 15);
  duo_see(d, 0);
  duo_pass(d, DUO_PERIOD / 2 + 1);
  ch_msg m = duo_accept(d, 1, 4, 25);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_PENDING);
  m = duo_full_state(d, 4, 25);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_PENDING);
  duo_pass(d, DUO_PERIOD / 2 + 301);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_mine(d, 0);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_FAILED);
}

/* In a dispute I have signed Close over L; the peer can have that executed, so an accept of more is no settlement. */
static void test_accept_after_close_was_signed(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  challenge_by(d, 1, 2, 20);
  duo_see(d, 0);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  const ch_msg *said = duo_said(d, 0, CH_MSG_CLOSE);
  assert_non_null(said);
  assert_int_equal(said->u.close.net.v, 15);
  ch_tx close = duo_close_tx(d, 15, said->u.close.valid_until);
  ch_msg m = duo_accept(d, 1, 4, 25);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_PENDING);
  assert_int_equal(duo_send_tx(d, 1, 0, &close), CH_ADJ_NONE);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_FAILED);
}

/* --- My own challenge --------------------------------------------------------------------------------- */

static void test_challenge_and_settle(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_DISPUTED);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_CHALLENGE_TX);
  ch_hash key = duo_find(d, 0, CH_FX_TX)->u.tx.key;
  assert_int_equal(duo_find(d, 0, CH_FX_TX)->u.tx.value.v, DUO_BOND);
  signs_nothing(d);
  duo_restart(d, 0);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_memory_equal(&duo_find(d, 0, CH_FX_TX)->u.tx.key, &key, sizeof key);
  duo_mine(d, 0);
  duo_see(d, 0);
  assert_int_equal(d->side[0].fx.n, duo_count(d, 0, CH_FX_HISTORY));
  duo_pass(d, DUO_PERIOD + 1);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_mine(d, 0);
  assert_false(d->head.ended.forfeited);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
}

/* An accept that arrives after the challenge was signed: the challenge is made with the newer state. */
static void test_challenge_grows_with_the_latest(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK);
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK);
  assert_int_equal(duo_wish(d, 0, CH_TX_CHALLENGE)->u.challenge.challenge.version, 3);
  ch_tx old = *duo_wish(d, 0, CH_TX_CHALLENGE);
  ch_msg m = duo_accept(d, 1, 4, 25);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_SETTLED);
  assert_int_equal(duo_wish(d, 0, CH_TX_CHALLENGE)->u.challenge.challenge.version, 4);
  assert_int_equal(duo_send_tx(d, 0, DUO_BOND, &old), CH_ADJ_NONE); /* the older one was mined first: no harm */
  duo_see(d, 0);
  duo_mine(d, 0); /* refutes itself */
  duo_pass(d, DUO_PERIOD + 1);
  duo_see(d, 0);
  duo_mine(d, 0);
  assert_int_equal(d->head.ended.version, 4);
  assert_false(d->head.ended.forfeited);
}

/* What the peer can still show was signed by me within reach: my bond is safe. */
static void test_bond_is_safe_from_what_the_peer_keeps(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK); /* version 4 */
  ch_op much = duo_op_pay("much", 5000);
  ch_msg m = duo_proposal(d, 1, 3, 5, -4985, &much, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK); /* refusal 6: the farthest an honest side goes */
  assert_int_equal(duo_info(d, 0).highest_signed, 6);
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK);
  duo_mine(d, 0);
  ch_tx four = duo_refute_tx(d, 4, 25), six = duo_refute_tx(d, 6, 15);
  assert_int_equal(duo_send_tx(d, 1, 0, &four), CH_ADJ_NONE);
  assert_int_equal(duo_send_tx(d, 1, 0, &six), CH_ADJ_NONE);
  assert_false(d->head.slots.flags & CH_ADJ_FORFEIT);
  duo_see(d, 0);
  assert_false(duo_info(d, 0).frozen);
}

/* A signed challenge is never taken back: its transaction may be mined at any time, and a newer state would then cost
 * the bond. When its validity is over it is signed again. */
static void test_a_signed_challenge_stays(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK);
  uint64_t until = duo_wish(d, 0, CH_TX_CHALLENGE)->u.challenge.challenge.valid_until;
  assert_int_equal(until, d->now + 86400);
  d->now = d->head_time = d->final_time = until + 1;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_DISPUTED);
  assert_true(duo_wish(d, 0, CH_TX_CHALLENGE)->u.challenge.challenge.valid_until > until);
  signs_nothing(d);
  duo_pass(d, 86400 + DUO_FRESHNESS + 1);
  d->head_time = d->final_time = d->now - DUO_FRESHNESS - 1; /* nothing is signed on a stale chain */
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 0, CH_TX_CHALLENGE));
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_DISPUTED);
}

static void test_challenge_is_refused(void **state) {
  duo *d = *state;
  d->now += DUO_FRESHNESS + 1;
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_ERR_STALE);
  d->head_time = d->now;
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_ERR_FROZEN);
}

/* A frozen side leaves by itself only on the operator's word: its bond may be lost. */
static void test_frozen_challenge_on_the_operators_word(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_FREEZE), CH_OK);
  size_t made = d->side[0].n_made;
  ch_event ev = {.kind = CH_EV_CHALLENGE, .u.challenge = {.risk_bond = true}};
  assert_int_equal(duo_step(d, 0, &ev), CH_OK);
  assert_int_equal(d->side[0].n_made, made);
  duo_mine(d, 0);
  duo_see(d, 0);
  duo_pass(d, DUO_PERIOD + 1);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_mine(d, 0);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_info(d, 0).paid[0].v, 985);
}

/* --- Close in a dispute ------------------------------------------------------------------------------- */

static void test_close_ends_a_dispute(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 3, 15);
  duo_see(d, 0);
  duo_see(d, 1);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK); /* no shutdown needed */
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  duo_mine(d, 0);
  duo_finalise(d);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_info(d, 0).paid[0].v, 985);
}

static void test_close_of_another_state_in_a_dispute(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 3, 15);
  duo_see(d, 0);
  ch_msg m = duo_close_msg(d, 1, 20, d->now + 100);
  duo_ignored(d, 0, &m);
}

/* The peer's signature on the same Close completes mine. */
static void test_close_in_my_own_dispute(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_OK);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  uint64_t until = duo_said(d, 0, CH_MSG_CLOSE)->u.close.valid_until;
  ch_msg m = duo_close_msg(d, 1, 15, until);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  const ch_tx *tx = duo_wish(d, 0, CH_TX_CLOSE);
  assert_non_null(tx);
  assert_int_equal(tx->u.close.close.net.v, 15);
  assert_int_equal(duo_send_tx(d, 0, 0, tx), CH_ADJ_NONE);
}

/* Close was asked for in a dispute, which a reorganisation takes back: it is pursued through the shutdown then. */
static void test_close_outlives_a_reorganisation(void **state) {
  duo *d = *state;
  challenge_by(d, 1, 3, 15);
  duo_see(d, 0);
  duo_cut(d);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  d->head = d->final;
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_OPEN);
  assert_int_equal(duo_pay(d, 0, "a", 1), CH_ERR_PHASE);
  duo_connect(d);
  duo_pump(d);
  assert_non_null(duo_wish(d, 0, CH_TX_CLOSE));
}

/* A dispute before any deposit counted, Close signed in it, all of it reorganised away: back to where it was. */
static void test_everything_is_reorganised_away(void **state) {
  (void)state;
  duo e, *d = &e;
  duo_make(d, 1000, 0);
  duo_agree(d);
  duo_pump(d);
  ch_tx deposit = duo_deposit_tx(d, 0, 1000);
  assert_int_equal(duo_send_tx(d, 0, 1000, &deposit), CH_ADJ_NONE);
  challenge_by(d, 0, 0, 0);
  duo_see(d, 1);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_DISPUTED);
  ch_msg m = duo_close_msg(d, 0, 0, d->now + 100);
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  d->head = d->final;
  duo_see(d, 1);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_CLOSING);
  duo_pass(d, 101);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_FUNDING);
  duo_free(d);
}

/* --- Sealed ------------------------------------------------------------------------------------------- */

/* True if a challenge of side 1 with this state loses it the bond when side 0 refutes with its latest. */
static bool lie_costs(duo *d, uint64_t version, int64_t net) {
  ch_onchain was = d->head;
  ch_tx lie = duo_challenge_tx(d, 1, version, net);
  ch_info info = duo_info(d, 0);
  assert_int_equal(duo_send_tx(d, 1, DUO_BOND, &lie), CH_ADJ_NONE);
  ch_tx truth = duo_refute_tx(d, info.version, (int64_t)info.net.v);
  assert_int_equal(duo_send_tx(d, 0, 0, &truth), CH_ADJ_NONE);
  bool costs = d->head.slots.flags & CH_ADJ_FORFEIT;
  d->head = was;
  return costs;
}

static void noop_of_peer(duo *d) {
  ch_info info = duo_info(d, 0);
  ch_op noop = duo_op(CH_OP_NOOP);
  ch_msg m = duo_proposal(d, 1, info.version, ch_next_version(1, info.version), (int64_t)info.net.v, &noop, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  duo_drop(d, 0);
}

static void test_sealed_by_distance_or_parity(void **state) {
  duo *d = *state;
  assert_false(duo_info(d, 0).sealed); /* version 3 is the peer's, 2 pays me less */
  assert_false(lie_costs(d, 2, 20));
  noop_of_peer(d); /* 5 */
  assert_false(duo_info(d, 0).sealed);
  noop_of_peer(d); /* 7 */
  assert_true(duo_info(d, 0).sealed);
  assert_true(lie_costs(d, 2, 20));
  assert_int_equal(duo_pay(d, 0, "a", 1), CH_OK);
  duo_drop(d, 0);
  ch_msg m = duo_accept(d, 1, 8, 16);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_info(d, 0).sealed); /* my parity */
  assert_true(lie_costs(d, 7, 15));
}

/* A proposal of mine that gave way can still be co-signed and put on the chain: only its distance seals. */
static void test_a_dropped_proposal_unseals(void **state) {
  duo *d = *state;
  noop_of_peer(d);
  noop_of_peer(d);                                 /* 7, sealed */
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK); /* 8 */
  duo_drop(d, 0);
  ch_msg m = duo_refusal(d, 1, 7, 9, 15, 0);
  assert_int_equal(duo_give(d, 0, &m), CH_OK); /* L is 9, the peer's, with the content of 7 */
  duo_drop(d, 0);
  assert_false(lie_costs(d, 8, 25));
  assert_false(duo_info(d, 0).sealed);
  noop_of_peer(d); /* 11: within 3 of 8 */
  assert_false(duo_info(d, 0).sealed);
  duo_restart(d, 0);
  duo_command(d, 0, CH_EV_LINK_UP);
  m = duo_reestablish(d, 1, 11, 15);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  noop_of_peer(d); /* 13 */
  assert_true(duo_info(d, 0).sealed);
  assert_true(lie_costs(d, 8, 25));
}

/* The same by crossing: my proposal gives way to the peer's higher one. */
static void test_a_crossed_proposal_unseals(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK); /* 4 */
  duo_drop(d, 0);
  ch_op op = duo_op_pay("c", 1);
  ch_msg m = duo_proposal(d, 1, 3, 5, 14, &op, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).version, 5);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_DOWN), CH_OK); /* "a" is not proposed again */
  duo_restart(d, 0);
  assert_false(duo_info(d, 0).sealed);
  assert_false(lie_costs(d, 4, 25));
}

/* A proposal that my own refusal replaced. */
static void test_a_replaced_proposal_unseals(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK); /* 4 */
  ch_op much = duo_op_pay("much", 5000);
  ch_msg m = duo_proposal(d, 1, 3, 5, -4985, &much, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = (ch_msg){.type = CH_MSG_FUNDS, .id = d->id}; /* "a" is not proposed again */
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  m = duo_accept(d, 1, 6, 15);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_true(duo_info(d, 0).sealed); /* my parity */
  assert_true(lie_costs(d, 4, 25));
  noop_of_peer(d); /* 7 */
  assert_false(duo_info(d, 0).sealed);
  assert_false(lie_costs(d, 4, 25));
  noop_of_peer(d); /* 9 */
  assert_true(duo_info(d, 0).sealed);
  assert_true(lie_costs(d, 4, 25));
}

/* And by crossing with the same content. */
static void test_a_crossing_noop_unseals(void **state) {
  duo *d = *state;
  noop_of_peer(d);
  noop_of_peer(d);                                 /* 7, sealed */
  assert_int_equal(duo_pay(d, 0, "a", 10), CH_OK); /* 8 */
  ch_op noop = duo_op(CH_OP_NOOP);
  ch_msg m = duo_proposal(d, 1, 7, 9, 15, &noop, 1);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_info(d, 0).version, 9);
  assert_false(duo_info(d, 0).sealed);
  assert_false(lie_costs(d, 8, 25));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_cheat_is_refuted_and_pays),
      TEST(test_cheat_with_nothing_moved),
      TEST(test_refutation_comes_too_late),
      TEST(test_latest_state_is_left_alone),
      TEST(test_reorganisation_takes_a_challenge_back),
      TEST(test_outstanding_on_chain_is_settled),
      TEST(test_outstanding_not_executed_fails),
      TEST(test_replaced_proposal_on_chain_is_settled),
      TEST(test_ending_of_another_epoch),
      TEST(test_unknown_state_on_chain_freezes),
      TEST(test_another_content_of_my_latest_freezes),
      TEST(test_a_frozen_side_still_refutes),
      TEST(test_accept_within_the_window),
      TEST(test_accept_at_the_end_of_the_window),
      TEST(test_accept_after_close_was_signed),
      TEST(test_challenge_and_settle),
      TEST(test_challenge_grows_with_the_latest),
      TEST(test_bond_is_safe_from_what_the_peer_keeps),
      TEST(test_a_signed_challenge_stays),
      TEST(test_challenge_is_refused),
      TEST(test_frozen_challenge_on_the_operators_word),
      TEST(test_close_ends_a_dispute),
      TEST(test_close_of_another_state_in_a_dispute),
      TEST(test_close_in_my_own_dispute),
      TEST(test_close_outlives_a_reorganisation),
      TEST(test_everything_is_reorganised_away),
      TEST(test_sealed_by_distance_or_parity),
      TEST(test_a_dropped_proposal_unseals),
      TEST(test_a_crossed_proposal_unseals),
      TEST(test_a_replaced_proposal_unseals),
      TEST(test_a_crossing_noop_unseals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
