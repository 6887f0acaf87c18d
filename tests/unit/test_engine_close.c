/* Opening and leaving together: protocol.md, sections 2 and 4 (shutdown, Close), and dead channels. */
#include <stdlib.h>

#include "engine_fixture.h"

static int setup_open(void **state) {
  duo *d = malloc(sizeof *d);
  if (!d) return -1;
  duo_open(d, 1000, 500);
  *state = d;
  return 0;
}

static int setup_agreed(void **state) {
  duo *d = malloc(sizeof *d);
  if (!d) return -1;
  duo_make(d, 1000, 500);
  duo_agree(d);
  *state = d;
  return 0;
}

static int teardown(void **state) {
  duo_free(*state);
  free(*state);
  return 0;
}

/* --- Opening ------------------------------------------------------------------------------------------ */

static ch_msg open_request(const duo *d) {
  ch_msg m = {.type = CH_MSG_OPEN_REQUEST, .id = d->side[0].nonce};
  m.u.open_request.chain = d->chain;
  m.u.open_request.payout = d->side[0].address;
  m.u.open_request.challenge_period = DUO_PERIOD;
  m.u.open_request.bond = ch_amount_of(DUO_BOND);
  m.u.open_request.deposit[0] = ch_amount_of(1000);
  assert_int_equal(ch_pubkey_of(&m.u.open_request.signer, &d->side[0].channel_key), CH_OK);
  return m;
}

static void answers_terms(duo *d, const ch_msg *m, ch_err err) {
  ch_channel *c;
  ch_effects fx = {0};
  ch_env env = duo_env(d, 1);
  ch_signer signer = duo_signer(d, 1);
  assert_int_equal(
      ch_open_answer(&c, &fx, &env, m, &d->side[0].node_id, &d->chain, &d->side[1].address, &d->side[1].nonce, &signer),
      err);
  if (err) {
    assert_null(c);
    assert_int_equal(fx.n, 0);
  }
  ch_channel_free(c);
  ch_effects_clear(&fx);
}

static void test_requests_with_bad_terms(void **state) {
  duo *d = *state;
  ch_msg m = open_request(d);
  answers_terms(d, &m, CH_OK);
  m.u.open_request.chain.chain_id++;
  answers_terms(d, &m, CH_ERR_TERMS);
  m = open_request(d);
  m.u.open_request.chain.adjudicator.b[3] ^= 1;
  answers_terms(d, &m, CH_ERR_TERMS);
  m = open_request(d);
  memset(&m.u.open_request.payout, 0, sizeof(ch_addr));
  answers_terms(d, &m, CH_ERR_TERMS);
  m = open_request(d);
  m.u.open_request.challenge_period = 0;
  answers_terms(d, &m, CH_ERR_TERMS);
  m = open_request(d);
  m.u.open_request.bond.v = (ch_u128)1 << CH_BOND_BITS;
  answers_terms(d, &m, CH_ERR_TERMS);
  m = open_request(d);
  m.u.open_request.deposit[0] = ch_amount_of(0); /* a channel without money */
  answers_terms(d, &m, CH_ERR_TERMS);
  m = open_request(d);
  m.u.open_request.deposit[1].v = CH_MONEY_MAX; /* together too much */
  answers_terms(d, &m, CH_ERR_TERMS);
  m = open_request(d);
  memset(&m.u.open_request.signer, 0, sizeof(ch_pubkey));
  answers_terms(d, &m, CH_ERR_TERMS);
  m = open_request(d);
  assert_int_equal(ch_pubkey_of(&m.u.open_request.signer, &d->side[1].channel_key), CH_OK);
  answers_terms(d, &m, CH_ERR_TERMS); /* my own key */
  m.type = CH_MSG_OPEN_ACCEPT;
  answers_terms(d, &m, CH_ERR_ARGUMENT);
}

static void finishes(duo *d, const ch_msg *accept, ch_err err) {
  ch_channel *c;
  ch_effects fx = {0};
  ch_env env = duo_env(d, 0);
  ch_signer signer = duo_signer(d, 0);
  ch_opening o = {.nonce = d->side[0].nonce};
  o.terms = (ch_terms){.chain = d->chain,
                       .peer = d->side[1].node_id,
                       .payout = d->side[0].address,
                       .challenge_period = DUO_PERIOD,
                       .bond = ch_amount_of(DUO_BOND),
                       .deposit_mine = ch_amount_of(1000),
                       .deposit_peer = ch_amount_of(500)};
  assert_int_equal(ch_open_finish(&c, &fx, &env, &o, accept, &signer), err);
  ch_channel_free(c);
  ch_effects_clear(&fx);
}

static void test_answers_that_do_not_fit(void **state) {
  duo *d = *state;
  ch_msg good = {.type = CH_MSG_OPEN_ACCEPT, .id = d->side[0].nonce};
  ch_effects *fx = &d->side[1].fx;
  bool known;
  assert_int_equal(ch_msg_decode(&good, &known, fx->v[0].u.send.bytes, fx->v[0].u.send.len), CH_OK);
  finishes(d, &good, CH_OK);
  ch_msg m = good;
  m.u.open_accept.nonce.b[0] ^= 1; /* another salt than the one signed */
  finishes(d, &m, CH_ERR_VIOLATION);
  m = good;
  m.u.open_accept.payout.b[0] ^= 1;
  finishes(d, &m, CH_ERR_VIOLATION);
  m = good;
  m.u.open_accept.statement.b[0] ^= 1;
  finishes(d, &m, CH_ERR_VIOLATION);
  m = good;
  m.u.open_accept.signer = d->side[0].node_id;
  finishes(d, &m, CH_ERR_VIOLATION);
  m = good;
  m.id.b[0] ^= 1;
  finishes(d, &m, CH_ERR_VIOLATION);
  m = good;
  memset(&m.u.open_accept.signer, 0, sizeof(ch_pubkey)); /* no key */
  finishes(d, &m, CH_ERR_VIOLATION);
  m = good;
  m.type = CH_MSG_OPEN_REQUEST;
  finishes(d, &m, CH_ERR_VIOLATION);
}

/* The opener's own terms are looked at before anything is said; the usual ones are good. */
static void test_terms_of_the_opener(void **state) {
  duo *d = *state;
  const ch_terms good =
      ch_terms_default(&d->chain, &d->side[1].node_id, &d->side[0].address, ch_amount_of(1000), ch_amount_of(500));
  ch_terms rows[6];
  for (size_t i = 0; i < 6; i++)
    rows[i] = good;
  memset(&rows[1].payout, 0, sizeof(ch_addr));
  rows[2].challenge_period = 0;
  rows[3].bond.v = (ch_u128)1 << CH_BOND_BITS;
  rows[4].deposit_peer.v = CH_MONEY_MAX;
  rows[5].deposit_mine = rows[5].deposit_peer = ch_amount_of(0);
  const ch_signer signer = duo_signer(d, 0);
  for (size_t i = 0; i < 6; i++) {
    const ch_opening o = {.nonce = d->side[0].nonce, .terms = rows[i]};
    ch_effects fx = {0};
    assert_int_equal(ch_open_request(&o, &signer, &fx), i ? CH_ERR_TERMS : CH_OK);
    assert_int_equal(fx.n, i ? 0 : 1);
    ch_effects_clear(&fx);
  }
}

static void test_confirmation(void **state) {
  duo *d = *state;
  ch_msg m = *duo_said(d, 0, CH_MSG_OPEN_CONFIRM);
  m.u.open_confirm.statement.b[7] ^= 1;
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
  m = duo_reestablish(d, 0, 0, 0);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION); /* not before the confirmation */
  m = *duo_said(d, 0, CH_MSG_OPEN_CONFIRM);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION); /* only side 0 confirms */
  assert_int_equal(duo_give(d, 1, &m), CH_OK);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_FUNDING);
  assert_int_equal(duo_give(d, 1, &m), CH_OK); /* repeated after a reconnect */
  assert_int_equal(duo_count(d, 1, CH_FX_SEND), 0);
}

/* No money goes in before the peer has shown that it has stored the channel. */
static void test_deposit_waits_until_heard(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 0, CH_TX_DEPOSIT));
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_SYNC);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 1, CH_TX_DEPOSIT));
  assert_int_equal(duo_deliver(d, 0), CH_OK); /* the confirmation */
  assert_non_null(duo_wish(d, 1, CH_TX_DEPOSIT));
  assert_null(duo_wish(d, 0, CH_TX_DEPOSIT));
  duo_restart(d, 0);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 0, CH_TX_DEPOSIT));
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_PEER);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_UP), CH_OK);
  assert_int_equal(duo_deliver(d, 1), CH_OK); /* its reestablish */
  const ch_tx *tx = duo_wish(d, 0, CH_TX_DEPOSIT);
  assert_non_null(tx);
  assert_int_equal(tx->u.deposit.amount.v, 1000);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_DEPOSIT);
}

/* The wish is the same until the chain shows the deposit, and gone then; a unit from a stranger does not satisfy it. */
static void test_deposit_is_wished_once(void **state) {
  duo *d = *state;
  duo_pump(d);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  ch_hash key = duo_find(d, 0, CH_FX_TX)->u.tx.key;
  ch_tx unit = duo_deposit_tx(d, 0, 1);
  assert_int_equal(duo_send_tx(d, 1, 1, &unit), CH_ADJ_NONE);
  duo_see(d, 0);
  assert_non_null(duo_find(d, 0, CH_FX_TX));
  assert_memory_equal(&duo_find(d, 0, CH_FX_TX)->u.tx.key, &key, sizeof key);
  duo_mine(d, 0);
  duo_see(d, 0);
  assert_null(duo_wish(d, 0, CH_TX_DEPOSIT));
  d->head = d->final; /* a reorganisation takes it back */
  duo_see(d, 0);
  assert_memory_equal(&duo_find(d, 0, CH_FX_TX)->u.tx.key, &key, sizeof key);
}

static void test_opening_expires(void **state) {
  duo *d = *state;
  duo_pass(d, 600);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_OPENING);
  assert_int_equal(duo_info(d, 1).wait, CH_WAIT_CONFIRM);
  duo_pass(d, 1);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_ABANDONED);
  while (d->side[0].n_out) /* too late: nothing is heard or said any more */
    assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_ABANDONED);
  assert_int_equal(d->side[1].n_out, 0);
  assert_int_equal(duo_command(d, 1, CH_EV_LINK_UP), CH_OK);
  assert_int_equal(d->side[1].n_out, 0);
  assert_int_equal(duo_pay(d, 1, "a", 1), CH_ERR_PHASE);
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_ERR_PHASE);
  assert_int_equal(duo_command(d, 1, CH_EV_CHALLENGE), CH_ERR_PHASE);
}

/* The chain may show the channel before its opener confirmed it. */
static void test_deposits_before_the_confirmation(void **state) {
  duo *d = *state;
  ch_tx tx = duo_deposit_tx(d, 0, 1000);
  assert_int_equal(duo_send_tx(d, 0, 1000, &tx), CH_ADJ_NONE);
  d->final = d->head;
  duo_see(d, 1);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_OPENING);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_OPEN);
}

static void test_dispute_before_the_confirmation(void **state) {
  duo *d = *state;
  ch_tx deposit = duo_deposit_tx(d, 0, 1000), challenge = duo_challenge_tx(d, 0, 0, 0), settle = duo_settle_tx(d, 0, 0);
  assert_int_equal(duo_send_tx(d, 0, 1000, &deposit), CH_ADJ_NONE);
  assert_int_equal(duo_send_tx(d, 0, DUO_BOND, &challenge), CH_ADJ_NONE);
  duo_see(d, 1);
  ch_msg m = *duo_said(d, 0, CH_MSG_OPEN_CONFIRM);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
  duo_pass(d, DUO_PERIOD + 1);
  assert_int_equal(duo_send_tx(d, 0, 0, &settle), CH_ADJ_NONE);
  d->final = d->head;
  duo_see(d, 1);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
}

/* --- Closing ------------------------------------------------------------------------------------------ */

/* Shutdown is co-signed; side 0 wants to close and has signed Close until `*until`. */
static void shut_down(duo *d, uint64_t *until) {
  assert_int_equal(duo_pay(d, 0, "a", 100), CH_OK);
  duo_pump(d);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  const ch_msg *m = duo_said(d, 0, CH_MSG_CLOSE);
  assert_non_null(m);
  *until = m->u.close.valid_until;
}

static void test_close(void **state) {
  duo *d = *state;
  uint64_t until;
  shut_down(d, &until);
  assert_int_equal(until, d->now + 3600);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSING);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_CLOSE_SIGNATURE);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_null(duo_wish(d, 1, CH_TX_CLOSE)); /* whoever wanted it sends it */
  assert_int_equal(duo_deliver(d, 1), CH_OK);
  assert_non_null(duo_wish(d, 0, CH_TX_CLOSE));
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_CLOSE_TX);
  duo_mine(d, 0);
  duo_see(d, 0);
  duo_see(d, 1);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_ENDING);
  assert_int_equal(duo_info(d, 0).wait, CH_WAIT_FINALITY);
  duo_finalise(d);
  for (int s = 0; s < 2; s++) {
    ch_info info = duo_info(d, s);
    assert_int_equal(info.phase, CH_PHASE_CLOSED);
    assert_int_equal(info.paid[0].v, 900);
    assert_int_equal(info.paid[1].v, 600);
  }
}

static void test_close_left_to_the_other_side_is_sent_after_a_grace(void **state) {
  duo *d = *state;
  uint64_t until;
  shut_down(d, &until);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  duo_pass(d, 299);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_null(duo_wish(d, 1, CH_TX_CLOSE));
  duo_pass(d, 1);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_non_null(duo_wish(d, 1, CH_TX_CLOSE));
  duo_mine(d, 1);
}

static void test_closes_that_are_wrong(void **state) {
  duo *d = *state;
  ch_msg m = duo_close_msg(d, 0, 0, d->now + 100);
  duo_ignored(d, 1, &m); /* before the shutdown */
  uint64_t until;
  shut_down(d, &until);
  m = duo_close_msg(d, 0, 99, d->now + 100);
  duo_ignored(d, 1, &m); /* in a dispute of its own it may say so without my accept: the simulator found this */
  m = duo_close_msg(d, 1, 99, d->now + 100);
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m = duo_close_msg(d, 0, 100, d->now + 3600 + 301);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
  m = duo_close_msg(d, 0, 100, ((uint64_t)1 << 40) - 1);
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
  m = duo_close_msg(d, 0, 100, d->now); /* of no use any more, but no fault: it may have been on its way */
  duo_ignored(d, 1, &m);
  m = duo_close_msg(d, 1, 100, d->now + 100); /* my own signature */
  duo_refused(d, 1, &m, CH_ERR_SIGNATURE);
  m = duo_close_msg(d, 0, 100, d->now + 100);
  m.u.close.valid_until++;
  duo_refused(d, 1, &m, CH_ERR_SIGNATURE);
  m = duo_close_msg(d, 0, 100, d->now + 100);
  m.epoch = 1;
  duo_refused(d, 1, &m, CH_ERR_VIOLATION);
  d->now += DUO_FRESHNESS + 1;
  m = duo_close_msg(d, 0, 100, d->now + 100);
  duo_refused(d, 1, &m, CH_ERR_STALE);
}

/* While Close may be executed nothing is signed; when it no longer can, life goes on. */
static void test_close_freezes_until_it_expires(void **state) {
  duo *d = *state;
  uint64_t until;
  shut_down(d, &until);
  duo_drop(d, 0);
  ch_op noop = duo_op(CH_OP_NOOP);
  ch_msg m = duo_proposal(d, 1, 4, 5, 100, &noop, 1);
  duo_ignored(d, 0, &m);
  duo_pass(d, 3600);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSING);
  duo_drop(d, 0);
  d->now = d->head_time = until + 13;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK); /* past, but not finally */
  assert_null(duo_said(d, 0, CH_MSG_CLOSE));
  d->final_time = until + 1;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  duo_cut(d);
  duo_connect(d);
  duo_pump(d); /* signed and sent again */
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_non_null(duo_wish(d, 0, CH_TX_CLOSE));
  assert_true(duo_wish(d, 0, CH_TX_CLOSE)->u.close.close.valid_until > until);
}

/* Both want it at the same time, with clocks that differ: they agree after a few messages. */
static void test_both_close_at_once(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK);
  d->now += 2;
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  int messages = 0;
  for (int i = 0; d->side[0].n_out || d->side[1].n_out; i++, messages++) {
    assert_true(messages < 20);
    d->now += i & 1 ? -2 : 2; /* deliver alternately, so that what is said crosses */
    assert_int_equal(duo_deliver(d, d->side[i & 1].n_out ? i & 1 : 1 - (i & 1)), CH_OK);
  }
  d->now += 10;
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_non_null(duo_wish(d, 0, CH_TX_CLOSE));
  duo_mine(d, 0);
}

/* Two Closes cross: both sides end with the same one and do not sign for ever. */
static void test_crossing_closes(void **state) {
  duo *d = *state;
  uint64_t until;
  shut_down(d, &until);
  d->now += 7;
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK);
  assert_non_null(duo_said(d, 1, CH_MSG_CLOSE));
  duo_pump(d);
  assert_int_equal(duo_command(d, 0, CH_EV_TICK), CH_OK);
  assert_int_equal(duo_command(d, 1, CH_EV_TICK), CH_OK);
  assert_non_null(duo_wish(d, 0, CH_TX_CLOSE));
  assert_non_null(duo_wish(d, 1, CH_TX_CLOSE));
  assert_int_equal(duo_wish(d, 0, CH_TX_CLOSE)->u.close.close.valid_until, until + 7);
  assert_int_equal(duo_wish(d, 1, CH_TX_CLOSE)->u.close.close.valid_until, until + 7);
  duo_mine(d, 0);
}

/* The accept of the shutdown leaves before the Close that it allows. */
static void test_close_follows_the_accept(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK); /* version 2 */
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_OK); /* version 1 */
  duo_drop(d, 1);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  assert_int_equal(d->side[1].n_out, 2);
  assert_int_equal(d->side[1].out[0].type, CH_MSG_UPDATE);
  assert_int_equal(d->side[1].out[1].type, CH_MSG_CLOSE);
  duo_pump(d);
  assert_non_null(duo_wish(d, 0, CH_TX_CLOSE));
}

static void test_close_after_a_restart(void **state) {
  duo *d = *state;
  uint64_t until;
  assert_int_equal(duo_pay(d, 0, "x", 1), CH_OK);
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_OK); /* waits behind the payment */
  duo_cut(d);
  duo_restart(d, 0);
  assert_int_equal(duo_info(d, 0).queued, 1);
  duo_connect(d);
  for (int i = 0; i < 40 && !duo_said(d, 0, CH_MSG_CLOSE); i++)
    assert_int_equal(duo_deliver(d, d->side[i & 1].n_out ? i & 1 : 1 - (i & 1)), CH_OK);
  assert_non_null(duo_said(d, 0, CH_MSG_CLOSE));
  until = duo_said(d, 0, CH_MSG_CLOSE)->u.close.valid_until;
  duo_cut(d); /* the signature is lost on its way */
  duo_restart(d, 0);
  duo_restart(d, 1);
  d->now += 5;
  duo_connect(d);
  duo_pump(d);
  assert_non_null(duo_wish(d, 0, CH_TX_CLOSE));
  assert_int_equal(duo_wish(d, 0, CH_TX_CLOSE)->u.close.close.valid_until, until);
}

/* Who asked gets the other side's signature again, and need not wait for that side's grace. */
static void test_lost_answer_to_close(void **state) {
  duo *d = *state;
  uint64_t until;
  shut_down(d, &until);
  assert_int_equal(duo_deliver(d, 0), CH_OK);
  duo_cut(d); /* side 1 has both signatures, side 0 has its own */
  duo_restart(d, 0);
  duo_restart(d, 1);
  duo_connect(d);
  duo_pump(d);
  assert_null(duo_wish(d, 1, CH_TX_CLOSE));
  assert_non_null(duo_wish(d, 0, CH_TX_CLOSE));
}

/* An expired Close is not sent again to a peer that could only find fault with it. */
static void test_expired_close_is_not_sent_again(void **state) {
  duo *d = *state;
  uint64_t until;
  shut_down(d, &until);
  duo_cut(d);
  d->now = d->head_time = until + 1; /* not final yet */
  duo_connect(d);
  duo_pump(d);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSING);
  assert_int_equal(duo_info(d, 1).phase, CH_PHASE_SHUTDOWN);
}

static void test_messages_and_events_out_of_place(void **state) {
  duo *d = *state;
  ch_msg m = open_request(d);
  duo_refused(d, 0, &m, CH_ERR_UNKNOWN_CHANNEL);
  m.id = d->id;
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  m.type = (ch_msg_type)99;
  duo_refused(d, 0, &m, CH_ERR_VIOLATION);
  assert_int_equal(duo_command(d, 0, (ch_event_kind)99), CH_ERR_ARGUMENT);
}

/* Everything that a channel can wait for and every phase has a name, and a wait also a sentence. */
static void test_names(void **state) {
  (void)state;
  for (ch_wait w = CH_WAIT_NOTHING; w <= CH_WAIT_OPERATOR; w++) {
    assert_string_not_equal(ch_wait_name(w), "unknown");
    assert_int_equal(ch_wait_text(w)[strlen(ch_wait_text(w)) - 1], '.');
    for (ch_wait v = CH_WAIT_NOTHING; v < w; v++)
      assert_string_not_equal(ch_wait_name(v), ch_wait_name(w));
  }
  for (ch_phase p = CH_PHASE_OPENING; p <= CH_PHASE_ABANDONED; p++)
    assert_string_not_equal(ch_phase_name(p), "unknown");
  assert_string_equal(ch_phase_name((ch_phase)99), "unknown");
  assert_string_equal(ch_wait_name((ch_wait)99), "unknown");
  assert_string_equal(ch_wait_text((ch_wait)99), "Unknown.");
}

static void test_commands_in_the_wrong_phase(void **state) {
  duo *d = *state;
  assert_int_equal(duo_command(d, 0, CH_EV_CLOSE), CH_ERR_PHASE); /* FUNDING */
  assert_int_equal(duo_command(d, 1, CH_EV_CLOSE), CH_ERR_PHASE); /* OPENING */
  assert_int_equal(duo_pay(d, 0, "a", 1), CH_ERR_PHASE);
  assert_int_equal(duo_command(d, 0, CH_EV_CHALLENGE), CH_ERR_PHASE); /* no money in it */
}

/* --- Closed ------------------------------------------------------------------------------------------- */

static void test_a_closed_channel_hears_nothing(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 100), CH_OK); /* outstanding when the end comes */
  duo_drop(d, 0);
  ch_tx tx = duo_close_tx(d, 0, d->now + 100);
  assert_int_equal(duo_send_tx(d, 1, 0, &tx), CH_ADJ_NONE);
  d->final = d->head;
  duo_see(d, 0);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_UNKNOWN);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_CLOSED);
  assert_int_equal(duo_command(d, 0, CH_EV_LINK_UP), CH_OK);
  assert_int_equal(d->side[0].n_out, 0);
  ch_msg m = duo_reestablish(d, 1, 2, 100);
  m.u.reestablish.proof_version = 2;
  m.u.reestablish.proof_outcome = duo_outcome(d, 2, 100);
  m.u.reestablish.proof_sig = duo_sign(d, 0, 2, 100);
  duo_ignored(d, 0, &m);
  m = duo_full_state(d, 2, 100);
  duo_ignored(d, 0, &m);
  m = duo_accept(d, 1, 2, 100);
  duo_ignored(d, 0, &m);
  duo_restart(d, 0);
  assert_int_equal(duo_info(d, 0).queued, 0);
}

/* Once an ending is seen, an accept changes nothing that has been or will be reported. (The Close is one that this side
 * does not remember, so what became of its payment is not known.) */
static void test_accept_after_the_ending(void **state) {
  duo *d = *state;
  assert_int_equal(duo_pay(d, 0, "a", 100), CH_OK);
  duo_drop(d, 0);
  ch_tx tx = duo_close_tx(d, 0, d->now + 100);
  assert_int_equal(duo_send_tx(d, 1, 0, &tx), CH_ADJ_NONE);
  duo_see(d, 0);
  assert_int_equal(duo_info(d, 0).phase, CH_PHASE_ENDING);
  ch_msg m = duo_accept(d, 1, 2, 100);
  assert_int_equal(duo_give(d, 0, &m), CH_OK);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_PENDING);
  duo_finalise(d);
  assert_int_equal(duo_status(d, 0, "a"), CH_PAYMENT_UNKNOWN);
}

int main(void) {
#define OPEN(f) cmocka_unit_test_setup_teardown(f, setup_open, teardown)
#define AGREED(f) cmocka_unit_test_setup_teardown(f, setup_agreed, teardown)
  const struct CMUnitTest tests[] = {
      AGREED(test_requests_with_bad_terms),
      AGREED(test_answers_that_do_not_fit),
      AGREED(test_terms_of_the_opener),
      AGREED(test_confirmation),
      AGREED(test_deposit_waits_until_heard),
      AGREED(test_deposit_is_wished_once),
      AGREED(test_opening_expires),
      AGREED(test_deposits_before_the_confirmation),
      AGREED(test_dispute_before_the_confirmation),
      AGREED(test_commands_in_the_wrong_phase),
      AGREED(test_messages_and_events_out_of_place),
      cmocka_unit_test(test_names),
      OPEN(test_close),
      OPEN(test_close_left_to_the_other_side_is_sent_after_a_grace),
      OPEN(test_closes_that_are_wrong),
      OPEN(test_close_freezes_until_it_expires),
      OPEN(test_both_close_at_once),
      OPEN(test_crossing_closes),
      OPEN(test_close_follows_the_accept),
      OPEN(test_close_after_a_restart),
      OPEN(test_lost_answer_to_close),
      OPEN(test_expired_close_is_not_sent_again),
      OPEN(test_a_closed_channel_hears_nothing),
      OPEN(test_accept_after_the_ending),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
