/* One honest side with the real engine against a peer that says and does at random whatever its keys allow, on a chain
 * that reorganises: protocol.md, sections 4 and 5. Whatever happens, the channel ends, the honest side's books agree
 * with what the chain executed, its bond comes back, and it is never made to believe that it lost its memory.
 *
 * BYZANTINE_SEEDS=N in the environment runs more seeds; BYZANTINE_SEED=S only that one, with a trace. */
#include <stdio.h>
#include <stdlib.h>

#include "engine_fixture.h"

#define BLOCK_SECONDS 600
#define DEPTH 2 /* blocks that a reorganisation can take back */
#define STALL 40

typedef struct world {
  duo d;
  uint64_t rng;
  int me, peer;           /* sides */
  ch_onchain past[DEPTH]; /* heads before the present one, newest first */
  ch_tx wish[8];          /* of the honest side, waiting to be mined */
  ch_amount value[8];
  size_t n_wish;
  unsigned stalled, ids; /* blocks that the honest side will not see */
  bool patient;          /* the peer seldom challenges before the end */
  bool stubborn;         /* it never refutes */
  bool trace;
} world;

static uint64_t next(world *w) {
  uint64_t z = (w->rng += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static unsigned below(world *w, unsigned n) {
  return (unsigned)(next(w) % n);
}

static bool chance(world *w, unsigned percent) {
  return below(w, 100) < percent;
}

static void say(const world *w, const char *what, uint64_t a, int64_t b) {
  if (w->trace) printf("# %s %llu %lld\n", what, (unsigned long long)a, (long long)b);
}

static ch_info look(const world *w) {
  return duo_info(&w->d, w->me);
}

/* --- After each step of the honest side --------------------------------------------------------------- */

static void collect_wishes(world *w) {
  const ch_effects *fx = &w->d.side[w->me].fx;
  for (size_t i = 0; i < fx->n; i++) {
    if (fx->v[i].kind != CH_FX_TX || w->n_wish == 8) continue;
    w->wish[w->n_wish] = fx->v[i].u.tx.tx;
    w->value[w->n_wish++] = fx->v[i].u.tx.value;
  }
}

static void cut(world *w) {
  say(w, "cut", 0, 0);
  assert_int_equal(duo_command(&w->d, w->me, CH_EV_LINK_DOWN), CH_OK);
}

/* As the daemon does: a refused message ends the connection, and so does an effect that says so. */
static void stepped(world *w, ch_err err, bool message) {
  if (!err) {
    collect_wishes(w);
    if (w->trace) {
      const ch_effect *e = duo_find(&w->d, w->me, CH_FX_HISTORY);
      if (e) printf("#   %s\n", e->u.history.cause);
    }
  } else if (w->trace) {
    printf("#   %s\n", ch_err_name(err));
  }
  if ((err && message) || (!err && duo_find(&w->d, w->me, CH_FX_DISCONNECT))) cut(w);
  duo_drop(&w->d, w->me);
  assert_false(look(w).frozen);
}

static void give(world *w, const ch_msg *m) {
  stepped(w, duo_give(&w->d, w->me, m), true);
}

static void command(world *w, ch_event_kind kind) {
  stepped(w, duo_command(&w->d, w->me, kind), false);
}

/* --- What the peer says ------------------------------------------------------------------------------- */

/* Something the honest side has signed: the peer can co-sign and show it. */
static const duo_signed *signed_by_me(world *w) {
  const duo_side *s = &w->d.side[w->me];
  return s->n_made ? &s->made[chance(w, 60) ? s->n_made - 1 : below(w, (unsigned)s->n_made)] : NULL;
}

static ch_msg some_proposal(world *w, ch_op ops[3], uint64_t base, ch_net net) {
  uint32_t n = 1 + below(w, 3);
  for (uint32_t i = 0; i < n; i++) {
    char id[16];
    snprintf(id, sizeof id, "p%u", ++w->ids);
    ops[i] = duo_op_pay(id, 1 + below(w, chance(w, 15) ? 3000 : 60));
    if (chance(w, 10)) ops[i] = duo_op(chance(w, 80) ? CH_OP_NOOP : CH_OP_SHUTDOWN);
    if (ops[i].kind == CH_OP_PAY) net.v += (w->peer == 0 ? 1 : -1) * (ch_i128)ops[i].amount.v;
  }
  uint64_t version = ch_next_version((uint8_t)w->peer, base) + (chance(w, 3) ? 2 : 0);
  return duo_proposal(&w->d, w->peer, base, version, (int64_t)net.v, ops, n);
}

static void say_proposal(world *w) {
  ch_info info = look(w);
  ch_op ops[3];
  ch_msg m = some_proposal(w, ops, info.version, info.net);
  say(w, "proposal", m.u.update.version, m.u.update.n_ops);
  give(w, &m);
}

static void say_accept(world *w) {
  const duo_signed *s = signed_by_me(w);
  if (!s || (chance(w, 90) && s->version != look(w).outstanding)) return; /* few that are faults */
  say(w, "accept", s->version, (int64_t)s->net.v);
  ch_msg m = duo_accept(&w->d, w->peer, s->version, (int64_t)s->net.v);
  ch_op ops[3];
  if (chance(w, 40)) {
    ch_msg p = some_proposal(w, ops, s->version, s->net);
    p.u.update.has_accept = true;
    p.u.update.accept_version = m.u.update.accept_version;
    p.u.update.accept_sig = m.u.update.accept_sig;
    m = p;
  }
  give(w, &m);
}

static void say_refusal(world *w) {
  ch_info info = look(w);
  if (!info.outstanding) return;
  say(w, "refusal", info.outstanding + 1, 0);
  ch_msg m = duo_refusal(&w->d, w->peer, info.version, info.outstanding + 1, (int64_t)info.net.v, below(w, 3));
  give(w, &m);
}

static void say_full_state(world *w) {
  const duo_signed *s = signed_by_me(w);
  if (!s) return;
  say(w, "full state", s->version, (int64_t)s->net.v);
  ch_msg m = duo_full_state(&w->d, s->version, (int64_t)s->net.v);
  give(w, &m);
}

/* A new connection. The claims are any, but for those that freeze by rule: another digest, an old instance. */
static void say_reestablish(world *w) {
  ch_info info = look(w);
  command(w, CH_EV_LINK_UP);
  uint64_t claim = info.version;
  if (chance(w, 30)) claim = claim + below(w, 5) - (claim < 2 ? claim : 2);
  say(w, "reestablish", claim, 0);
  ch_msg m = duo_reestablish(&w->d, w->peer, claim, (int64_t)info.net.v);
  const duo_signed *s = signed_by_me(w);
  if (s && chance(w, 70)) {
    m.u.reestablish.proof_version = s->version;
    m.u.reestablish.proof_outcome = duo_outcome(&w->d, s->version, (int64_t)s->net.v);
    m.u.reestablish.proof_sig = duo_sign(&w->d, w->me, s->version, (int64_t)s->net.v);
  }
  give(w, &m);
  if (claim > info.version) say_full_state(w);
  ch_msg funds = {.type = CH_MSG_FUNDS, .id = w->d.id};
  for (int i = 0; i < 2; i++)
    funds.u.funds.contribution[i] = chance(w, 80) ? ch_net_of(5000) : w->d.final.slots.contribution[i];
  give(w, &funds);
}

static void say_close(world *w) {
  ch_info info = look(w);
  uint64_t until = w->d.now + below(w, 4200);
  say(w, "close", until, (int64_t)info.net.v);
  ch_msg m = duo_close_msg(&w->d, w->peer, (int64_t)info.net.v - (chance(w, 10) ? 1 : 0), until);
  give(w, &m);
}

/* --- The chain ---------------------------------------------------------------------------------------- */

static void peer_sends(world *w, const char *what, uint64_t value, const ch_tx *tx) {
  ch_adj_revert why = duo_send_tx(&w->d, w->peer, value, tx);
  if (!why) say(w, what, tx->u.refute.version, 0);
}

/* What was signed with this version, as far as the honest side was part of it. */
static int64_t net_of(const world *w, uint64_t version) {
  const duo_side *me = &w->d.side[w->me];
  for (size_t i = 0; i < me->n_made; i++)
    if (me->made[i].version == version) return (int64_t)me->made[i].net.v;
  return 0;
}

static void peer_on_chain(world *w) {
  const duo_side *me = &w->d.side[w->me];
  const duo_signed *s = signed_by_me(w);
  uint64_t version = s && chance(w, 85) ? s->version : 0;
  int64_t net = version ? (int64_t)s->net.v : 0;
  ch_tx tx;
  if (me->n_closes && chance(w, 20)) {
    const ch_close *c = &me->closes[below(w, (unsigned)me->n_closes)];
    tx = duo_close_tx(&w->d, (int64_t)c->net.v, c->valid_until);
    peer_sends(w, "peer: Close", 0, &tx);
  } else if (w->d.head.slots.disputed && w->stubborn) { /* stands by its lie, and hopes that nobody looks */
    version = w->d.head.slots.version;
    tx = duo_settle_tx(&w->d, version, net_of(w, version));
    peer_sends(w, "peer: settle", 0, &tx);
  } else if (w->d.head.slots.disputed && version) {
    tx = duo_refute_tx(&w->d, version, net);
    peer_sends(w, "peer: refute", 0, &tx);
    tx = duo_settle_tx(&w->d, version, net);
    peer_sends(w, "peer: settle", 0, &tx);
  } else if (chance(w, w->patient ? 2 : 25)) {
    say(w, "peer: challenge with", version, net);
    tx = duo_challenge_tx(&w->d, w->peer, version, net);
    peer_sends(w, "peer: challenge", DUO_BOND, &tx);
  }
}

static int challenger(const world *w) {
  return (int)(w->d.head.slots.flags & CH_ADJ_CHALLENGER);
}

/* Section 5: a lie about a sealed position costs the liar its bond. */
static void check_sealed(world *w, const ch_tx *tx) {
  const ch_adj_slots *d = &w->d.head.slots;
  ch_info info = look(w);
  const duo_side *me = &w->d.side[w->me];
  if (tx->kind != CH_TX_REFUTE || tx->u.refute.version != info.version || !info.sealed) return;
  if (challenger(w) == w->me) return;
  if (net_of(w, d->challenged_version) == info.net.v) return;
  ch_adj_call call = ch_adj_call_of(&w->d.chain, &me->address, ch_amount_of(0), w->d.head_time);
  ch_adj_result r;
  if (ch_adj_apply(&r, d, &call, tx)) return;
  assert_true(r.slots.flags & CH_ADJ_FORFEIT);
}

static void show_chain(world *w) {
  if (w->stalled) {
    w->stalled--;
    return;
  }
  w->d.head_time = w->d.now;
  w->d.final_time = w->d.now - (uint64_t)DEPTH * BLOCK_SECONDS;
  w->d.final = w->past[DEPTH - 1];
  w->n_wish = 0;
  ch_chain_view view = {w->d.head, w->d.final};
  ch_event ev = {.kind = CH_EV_CHAIN, .u.view = &view};
  stepped(w, duo_step(&w->d, w->me, &ev), false);
  w->n_wish = 0;
  command(w, CH_EV_TICK);
}

static void mine_wishes(world *w) {
  for (size_t i = 0; i < w->n_wish; i++) {
    if (chance(w, 30)) continue;
    check_sealed(w, &w->wish[i]);
    ch_adj_revert why = duo_send_tx(&w->d, w->me, (uint64_t)w->value[i].v, &w->wish[i]);
    if (w->trace) printf("# mine: %d %s\n", (int)w->wish[i].kind, ch_adj_revert_text(why));
  }
}

/* The head that the honest side has seen stays its head while it is stalled; blocks go on. */
static void block(world *w, bool hostile) {
  uint64_t seen = w->d.head_time;
  w->d.now += BLOCK_SECONDS;
  w->past[1] = w->past[0];
  w->past[0] = w->d.head;
  w->d.head_time = w->d.now; /* the block's time, for the transactions in it */
  bool first = chance(w, 50);
  if (first) mine_wishes(w);
  if (hostile) peer_on_chain(w);
  if (!first) mine_wishes(w);
  const ch_adj_slots *s = &w->d.head.slots;
  assert_false(s->disputed && challenger(w) == w->me && (s->flags & CH_ADJ_FORFEIT)); /* the honest bond is safe */
  w->d.head_time = seen;
  show_chain(w);
}

static void reorganise(world *w) {
  say(w, "reorganisation", 0, 0);
  w->d.head = w->past[chance(w, 50)];
  w->past[0] = w->past[1];
  block(w, true);
}

/* --- The honest side's own doings --------------------------------------------------------------------- */

static void pay(world *w) {
  char id[16];
  snprintf(id, sizeof id, "m%u", ++w->ids);
  say(w, "pay", w->ids, 0);
  stepped(w, duo_pay(&w->d, w->me, id, 1 + below(w, chance(w, 20) ? 600 : 40)), false);
}

static void act(world *w) {
  unsigned what = below(w, 100);
  if (what < 83 && !look(w).synced && chance(w, 50)) return say_reestablish(w);
  if (what < 16)
    pay(w);
  else if (what < 34)
    say_proposal(w);
  else if (what < 54)
    say_accept(w);
  else if (what < 62)
    say_refusal(w);
  else if (what < 66)
    say_full_state(w);
  else if (what < 80)
    say_reestablish(w);
  else if (what < 83)
    say_close(w);
  else if (what < 93)
    block(w, true);
  else if (what < 95)
    reorganise(w);
  else if (what < 97) {
    duo_restart(&w->d, w->me);
    say(w, "restart", 0, 0);
  } else if (what < 98)
    w->stalled = below(w, STALL);
  else if (chance(w, 20))
    command(w, chance(w, 50) ? CH_EV_CLOSE : CH_EV_CHALLENGE);
}

/* --- The end ------------------------------------------------------------------------------------------ */

static ch_i128 books(const duo_side *s, int side) {
  ch_i128 sum = 0;
  for (size_t i = 0; i < s->n_paid; i++) {
    assert_int_not_equal(s->paid[i].status, CH_PAYMENT_PENDING);
    if (s->paid[i].status == CH_PAYMENT_SETTLED) sum += (ch_i128)s->paid[i].op.amount.v;
  }
  for (size_t i = 0; i < s->n_got; i++)
    sum -= (ch_i128)s->got[i].op.amount.v;
  return side == 0 ? sum : -sum;
}

static void end(world *w) {
  w->stalled = 0;
  w->patient = false;
  block(w, true);
  if (look(w).phase != CH_PHASE_CLOSED) command(w, CH_EV_CHALLENGE);
  for (int i = 0; i < 600 && look(w).phase != CH_PHASE_CLOSED; i++)
    block(w, chance(w, 20));
  assert_int_equal(look(w).phase, CH_PHASE_CLOSED);
  const ch_adj_event *e = &w->d.final.ended;
  say(w, "executed", e->version, (int64_t)e->net.v);
  assert_true(books(&w->d.side[w->me], w->me) == e->net.v);
  for (int s = 0; s < 2; s++) /* to the last unit: what was signed was covered */
    assert_true((ch_i128)e->paid[s].v == (ch_i128)w->d.deposit[s].v + (s == 0 ? -e->net.v : e->net.v));
}

static void run(uint64_t seed, bool trace) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->rng = seed;
  w->trace = trace;
  w->me = (int)below(w, 2);
  w->peer = 1 - w->me;
  w->patient = chance(w, 60);
  w->stubborn = chance(w, 50);
  duo_open(&w->d, 1000 + below(w, 1000), below(w, 1000));
  for (int i = 0; i < DEPTH; i++)
    w->past[i] = w->d.head;
  unsigned length = 20 + below(w, 200);
  for (unsigned i = 0; i < length && look(w).phase != CH_PHASE_CLOSED; i++)
    act(w);
  end(w);
  duo_free(&w->d);
  free(w);
}

static uint64_t current;

static void test_seeds(void **state) {
  (void)state;
  const char *n = getenv("BYZANTINE_SEEDS"), *one = getenv("BYZANTINE_SEED");
  if (one) return run(strtoull(one, NULL, 10), true);
  uint64_t seeds = n ? strtoull(n, NULL, 10) : 200;
  for (current = 1; current <= seeds; current++)
    run(current, false);
  current = 0;
}

static int name_seed(void **state) {
  (void)state;
  if (current) fprintf(stderr, "failed with BYZANTINE_SEED=%llu\n", (unsigned long long)current);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_seeds, name_seed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
