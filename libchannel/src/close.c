/* close.c - leaving together: shutdown is co-signed first, then Close.
 *
 * Source: proto/protocol.md, section 4 ("Withdraw, Move and Close are operations too") and section 5 (close). */
#include "internal.h"

ch_err on_close_command(step *s) {
  ch_channel *c = s->c;
  ch_phase p = phase_of(c);
  if (p != CH_PHASE_OPEN && p != CH_PHASE_SHUTDOWN && p != CH_PHASE_CLOSING && p != CH_PHASE_DISPUTED)
    return CH_ERR_PHASE;
  if (c->close_wanted) return CH_OK;
  c->close_wanted = true;
  c->close.wanted = true;
  s->fx->durable = true;
  set_cause(s, "close asked for here");
  return queue_shutdown(c);
}

/* Leaving a freeze needs no shutdown: nothing else is signed any more. But what is in L must be all there is. */
static bool may_close(const ch_channel *c) {
  if (!ch_hash_is_zero(&c->latest.locks_hash)) return false;
  ch_phase p = phase_of(c);
  if (p == CH_PHASE_SHUTDOWN || p == CH_PHASE_CLOSING || p == CH_PHASE_DISPUTED) return true;
  bool freeze = c->frozen || c->link.peer_frozen;
  return freeze && (p == CH_PHASE_FUNDING || p == CH_PHASE_OPEN) && !c->reserved.active;
}

/* Whether a frozen side may sign Close: it was told to leave its freeze, and has waited its time. Told to resume, it
 * signs the Close of a peer that was told to close, but does not say Close first. */
static bool may_leave_freeze(const step *s, bool first) {
  const ch_channel *c = s->c;
  bool told = first ? c->close.wanted && !c->resume.wanted : c->close.wanted || c->resume.wanted;
  return told && freeze_is_over(c, s->env);
}

/* Whether the sides know of each other what they have: then Close can be spoken of. */
static bool can_talk(const ch_channel *c) {
  if (c->frozen || c->link.peer_frozen) return c->link.greeted && !c->link.wait_full;
  return c->link.synced;
}

static ch_err send_close(step *s) {
  ch_channel *c = s->c;
  ch_msg m = {.type = CH_MSG_CLOSE, .id = c->id, .epoch = c->epoch};
  m.u.close.net = c->close.net;
  m.u.close.valid_until = c->close.valid_until;
  m.u.close.sig = c->close.sig[c->me];
  return fx_send(s->fx, &m);
}

/* Signs Close with L's net and sends the signature. */
static ch_err sign_close(step *s, uint64_t valid_until) {
  ch_channel *c = s->c;
  if (!chain_fresh(s->env)) return CH_ERR_STALE;
  ch_close what = {c->id, c->epoch, c->latest.net, valid_until};
  ch_err err = s->signer->sign_close(s->signer->ctx, &c->close.sig[c->me], &c->chain, &c->nonce[c->me], &what);
  if (err) return err;
  if (c->close.valid_until != valid_until) c->close.have[them(c)] = false;
  c->close.net = what.net;
  c->close.valid_until = valid_until;
  c->close.have[c->me] = true;
  if (valid_until > c->close.mine_until) c->close.mine_until = valid_until;
  s->fx->durable = true;
  set_cause(s, "signed Close");
  return send_close(s);
}

ch_err on_close_message(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  uint64_t until = m->u.close.valid_until, now = s->env->now;
  if (!can_talk(c)) return unsynced(c);
  if (m->epoch != c->epoch) return CH_ERR_VIOLATION;
  if (!may_close(c)) return CH_OK;
  /* In a dispute of its own, which needs no shutdown, the peer may not have my last accept yet: that is no fault. */
  bool unaware = ch_version_side(c->latest.version) == them(c);
  if (m->u.close.net.v != c->latest.net.v && unaware) return CH_OK;
  bool answer = c->close.have[c->me] && c->close.valid_until == until;
  if (c->frozen && !answer && !may_leave_freeze(s, false)) return CH_OK;
  if (m->u.close.net.v != c->latest.net.v) return c->shutdown && !c->frozen ? CH_ERR_VIOLATION : CH_OK;
  if (until > now + CLOSE_VALIDITY + CLOCK_SKEW) return CH_ERR_VIOLATION;
  ch_close what = {c->id, c->epoch, m->u.close.net, until};
  ch_hash digest;
  ch_close_digest(&digest, &c->domain, &what);
  ch_err err = ch_verify(&digest, &m->u.close.sig, &c->params.signer[them(c)]);
  if (err) return err;
  if (until <= now) return CH_OK;                                         /* it was too long on its way */
  if (c->close.have[c->me] && until < c->close.valid_until) return CH_OK; /* crossing: the later one, mine, is signed */
  if (!c->close.have[c->me] || c->close.valid_until != until) {
    err = sign_close(s, until);
  } else if (c->close.have[them(c)] && !c->close.wanted) {
    err = send_close(s); /* who asked repeats itself, so my answer was lost */
  }
  if (err) return err;
  c->close.sig[them(c)] = m->u.close.sig;
  c->close.have[them(c)] = true;
  s->fx->durable = true;
  set_cause(s, "both signed Close");
  return CH_OK;
}

static ch_err submit_close(step *s) {
  ch_channel *c = s->c;
  ch_tx tx = {.kind = CH_TX_CLOSE, .id = c->id, .params = c->params};
  tx.u.close.close = (ch_close){c->id, c->epoch, c->close.net, c->close.valid_until};
  tx.u.close.sig[0] = c->close.sig[0];
  tx.u.close.sig[1] = c->close.sig[1];
  return fx_tx(s, &tx, c->close.valid_until, ch_amount_of(0));
}

ch_err pursue_close(step *s) {
  ch_channel *c = s->c;
  bool over = phase_of(c) == CH_PHASE_CLOSED; /* it is kept then: by it the ending is known */
  if (c->close.mine_until && s->env->final_time > c->close.mine_until && !over) {
    bool wanted = c->close.wanted;
    memset(&c->close, 0, sizeof c->close);
    c->close.wanted = wanted;
    s->fx->durable = true;
    set_cause(s, "Close expired unused");
  }
  if (!may_close(c)) return CH_OK;
  if (c->close.have[c->me] && s->env->now > c->close.valid_until) return CH_OK; /* of no use, but not finally */
  if (c->close.have[0] && c->close.have[1]) {
    bool overdue = s->env->now + CLOSE_VALIDITY >= c->close.valid_until + ENDING_GRACE;
    return c->close.wanted || overdue ? submit_close(s) : CH_OK;
  }
  if (!c->close.wanted || !can_talk(c)) return CH_OK;
  /* On a new connection: the signature may have been lost with the old one. */
  if (c->close.have[c->me]) return can_talk(s->cur) ? CH_OK : send_close(s);
  if (c->frozen ? !may_leave_freeze(s, true) : c->link.peer_frozen) return CH_OK;
  return chain_fresh(s->env) ? sign_close(s, s->env->now + CLOSE_VALIDITY) : CH_OK;
}
