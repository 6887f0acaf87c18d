/* reopen.c - the same channel again: after a final ending, money in the next epoch starts it anew.
 *
 * Source: proto/protocol.md, section 4 ("Opening again"). Both sides follow the chain's final view, each when it gets
 * there; states of the ended epoch are dead, and nothing of the new one was signed before. */
#include "internal.h"

/* Sticky: what was public once stays public, whatever a reorganisation takes back. */
void look_for_reveal(ch_channel *c) {
  const ch_onchain *look[] = {&c->view.head, &c->view.final};
  for (int i = 0; i < 2; i++)
    if (look[i]->slots.disputed || (look[i]->has_ended && look[i]->ended.deadline)) c->revealed = true;
}

/* Everything that belongs to one epoch. */
static void forget_epoch(ch_channel *c) {
  c->shutdown = c->close_wanted = c->accounted = false;
  memset(&c->latest, 0, sizeof c->latest);
  c->changed_at = 0;
  memset(&c->out, 0, sizeof c->out);
  memset(&c->old, 0, sizeof c->old);
  c->n_locks = 0;
  memset(&c->highest, 0, sizeof c->highest);
  memset(&c->proof, 0, sizeof c->proof);
  c->shown = 0;
  c->seal = false;
  memset(&c->resume, 0, sizeof c->resume);
  memset(&c->close, 0, sizeof c->close);
  memset(&c->reserved, 0, sizeof c->reserved);
  c->withdraw_wanted = ch_amount_of(0);
  c->challenge_until = c->challenge_version = 0;
  memset(&c->challenge_sig, 0, sizeof c->challenge_sig);
}

ch_err reopen(step *s) {
  ch_channel *c = s->c;
  const ch_adj_slots *f = &c->view.final.slots;
  if (!c->accounted || phase_of(c) != CH_PHASE_CLOSED) return CH_OK;
  if (!f->contribution[0].v && !f->contribution[1].v) return CH_OK;
  /* A revealed tag is not to be funded; but money of mine that got there all the same must be able to leave. */
  if (c->revealed && !f->contribution[c->me].v) return CH_OK;
  forget_epoch(c);
  c->epoch = s->update.epoch = f->epoch;
  c->opened = true;
  s->fx->durable = true;
  set_cause(s, "opened again: money is in epoch ");
  add_cause_number(s, c->epoch);
  return start_epoch_talk(s);
}
