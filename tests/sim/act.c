/* act.c - what may happen next: the parties' wishes, the network's and the chain's moods. */
#include "world.h"

/* --- Payments ------------------------------------------------------------------------------------------------- */

static ch_err pay(world *w, node *n, size_t k, unsigned most) {
  ch_op ops[40];
  if (w->paid[n->side] + k >= MAX_PAYMENTS) return CH_ERR_QUEUE_FULL;
  for (size_t i = 0; i < k; i++)
    ops[i] = payment_op(w, n->side, ch_amount_of(1 + rng_below(&w->rng, most)));
  const ch_event ev = ch_event_pay(ops, k);
  return node_step(w, n, &ev); /* too much money, or not open: refused, and nothing must have changed */
}

static void pay_all(world *w, node *n) {
  ch_info info;
  if (!n->channel || w->paid[n->side] + 1 >= MAX_PAYMENTS) return;
  node_info(w, n, &info);
  if (!info.spendable.v) return;
  ch_op op = payment_op(w, n->side, info.spendable);
  const ch_event ev = ch_event_pay(&op, 1);
  if (node_step(w, n, &ev) == CH_OK) happened(w, K_PAY_ALL);
}

static void act_pay(world *w, node *n) {
  unsigned how = rng_below(&w->rng, 100);
  if (w->ending) return;
  if (how < 3) return pay_all(w, n);
  bool batch = how < 8, much = how < 16;
  ch_err err =
      batch ? pay(w, n, 10 + rng_below(&w->rng, 30), 9) : pay(w, n, 1 + rng_below(&w->rng, 5), much ? 2000 : 60);
  if (err == CH_ERR_FUNDS) happened(w, K_PAY_REFUSED);
  if (!err) happened(w, batch ? K_PAY_BATCH : K_PAY);
}

/* --- Money in and out ----------------------------------------------------------------------------------------- */

static void act_withdraw(world *w, node *n) {
  if (w->ending || !n->channel) return;
  ch_info info;
  node_info(w, n, &info);
  bool all = rng_chance(&w->rng, 15) && info.spendable.v, move = rng_chance(&w->rng, 40),
       race = rng_chance(&w->rng, 30);
  ch_event ev = ch_event_withdraw(all ? info.spendable
                                      : ch_amount_of(1 + rng_below(&w->rng, rng_chance(&w->rng, 20) ? 3000 : 200)));
  if (move) ev.u.withdraw.to = (ch_target){.set = true, .params_hash = {{0x77}}, .side = (uint8_t)n->side};
  if (race) act_pay(w, n); /* on its way, with the same money */
  ch_err err = node_step(w, n, &ev);
  if (race) act_pay(w, &w->node[1 - n->side]);
  if (err) return; /* another one is under way, or there is not so much */
  happened(w, move ? K_MOVE : all ? K_WITHDRAW_ALL : K_WITHDRAW);
  if (race) happened(w, K_WITHDRAW_RACE);
}

static void act_deposit(world *w, node *n) {
  if (w->ending) return;
  ch_hash nonce;
  rng_hash(&w->rng, &nonce);
  ch_amount amount = ch_amount_of(1 + rng_below(&w->rng, 1000));
  const ch_event ev = ch_event_deposit(amount, &nonce);
  if (node_step(w, n, &ev)) return;
  happened(w, K_DEPOSIT);
  if (!rng_chance(&w->rng, 30)) return;
  if (node_step(w, n, &ev) == CH_OK) happened(w, K_DEPOSIT_AGAIN);
}

/* --- Leaving -------------------------------------------------------------------------------------------------- */

void command(world *w, int side, ch_event_kind kind) {
  node *n = &w->node[side];
  bool frozen = node_frozen(w, n);
  ch_event ev = {.kind = kind};
  if (kind == CH_EV_CHALLENGE && frozen) {
    ev.u.challenge.risk_bond = true;
    w->risked[side] = true;
  }
  w->ending = true;
  note(w, "node %d: %s", side, kind == CH_EV_CLOSE ? "close" : "challenge");
  ch_err err = node_step(w, n, &ev);
  if (err) note(w, "node %d cannot: %s", side, ch_err_name(err));
  if (!err) happened(w, kind == CH_EV_CLOSE ? K_CLOSE : K_CHALLENGE);
}

/* Payments of both sides are under way when one of them leaves. */
static void act_leave(world *w, node *n) {
  act_pay(w, n);
  act_pay(w, &w->node[1 - n->side]);
  bool close = rng_chance(&w->rng, 60);
  if (close) happened(w, K_CLOSE_RACE);
  command(w, n->side, close ? CH_EV_CLOSE : CH_EV_CHALLENGE);
  if (close || !rng_chance(&w->rng, 50)) return;
  happened(w, K_CHALLENGE_CLOSE);
  command(w, (int)rng_below(&w->rng, 2), CH_EV_CLOSE);
}

/* --- Time ----------------------------------------------------------------------------------------------------- */

void pass_block(world *w, uint64_t seconds) {
  w->now += seconds;
  chain_mine(w);
  for (int s = 0; s < 2; s++)
    node_look_at_chain(w, &w->node[s]);
}

/* Nobody is away for as long as a challenge window, or watches a chain node that stands still. */
static void revive(world *w) {
  for (int s = 0; s < 2; s++) {
    w->node[s].stalled = false;
    if (!w->node[s].alive) node_restart(w, &w->node[s]);
  }
}

void pass_time(world *w, uint64_t seconds) {
  uint64_t until = w->now + seconds;
  while (w->now < until && !w->failure) {
    uint64_t most = node_claims_pending(w) ? STEP : PERIOD / 4;
    pass_block(w, until - w->now < most ? until - w->now : most);
    revive(w);
  }
}

/* Hours pass, so that what was signed and not used expires. */
static void act_wait(world *w) {
  if (rng_chance(&w->rng, 50) && act_edge(w)) return;
  pass_block(w, rng_below(&w->rng, node_claims_pending(w) ? STEP : 5000));
}

/* --- Faults --------------------------------------------------------------------------------------------------- */

static void act_lose_memory(world *w, node *n) {
  if (w->ending) return;
  unsigned what = rng_below(&w->rng, 100);
  if (what < 10) node_restore(w, n);
  if (what >= 10 && what < (w->twin[n->side] ? 60 : 14)) node_clone(w, n);
}

static void act_fault(world *w, node *n) {
  switch (rng_below(&w->rng, 6)) {
  case 0: link_cut(w, rng_chance(&w->rng, 40)); break;
  case 1:
    if (!n->alive || !n->channel) break;
    happened(w, K_CRASH_IDLE);
    node_crash(w, n);
    break;
  case 2:
    n->stalled = !n->stalled;
    if (n->stalled) happened(w, K_STALL);
    break;
  case 3: chain_reorganise(w, 1 + (int)rng_below(&w->rng, FINAL_DEPTH)); break;
  case 4: act_lose_memory(w, n); break;
  default: break;
  }
}

/* --- One action ----------------------------------------------------------------------------------------------- */

/* A peer's lies have frozen it, but nothing was lost: its operator goes on, or leaves. */
static void act_thaw(world *w, node *n) {
  bool resume = rng_chance(&w->rng, 80);
  const ch_event ev = ch_event_of(CH_EV_RESUME);
  if (!resume) return command(w, n->side, CH_EV_CHALLENGE);
  if (node_step(w, n, &ev)) return;
  happened(w, K_RESUME);
  pass_time(w, 90000);
  pass_block(w, 0);
}

static void act_wish(world *w, node *n) {
  unsigned what = rng_below(&w->rng, 100);
  if (w->liar && what < 30 && node_frozen(w, n)) return act_thaw(w, n);
  if (what < 61) return act_pay(w, n);
  if (what < 89) return !w->with_locks ? act_pay(w, n) : rng_chance(&w->rng, 40) ? act_lock(w, n) : act_resolve(w, n);
  if (what < 95) return act_withdraw(w, n);
  if (what < 98) return act_deposit(w, n);
  act_wait(w);
}

void act(world *w) {
  node *n = &w->node[rng_below(&w->rng, 2)];
  if (w->liar) n = &w->node[lone_honest(w)];
  unsigned what = rng_below(&w->rng, 1000);
  if (w->liar && what < 380)
    liar_act(w);
  else if (what < (w->liar ? 520 : 180))
    act_wish(w, n);
  else if (what < 780)
    node_deliver(w, n);
  else if (what < 840)
    link_connect(w);
  else if (what < 880) {
    if (!n->alive) node_restart(w, n);
  } else if (what < 940)
    pass_block(w, rng_below(&w->rng, 30));
  else if (what < 998)
    !w->liar || rng_chance(&w->rng, 40) ? act_fault(w, n) : link_connect(w);
  else if (rng_chance(&w->rng, 60))
    act_leave(w, n);
}
