/* freeze.c - lost memory: a frozen side signs nothing, and leaves that state by Resume (or by Close: close.c).
 *
 * Source: proto/protocol.md, section 4 ("Lost memory"). The resume repeats the best co-signed state that was shown,
 * under a version above everything that this side can have signed and forgotten. */
#include "internal.h"

/* Resume counts seconds from 2020-01-01. */
#define CLOCK_START 1577836800u
/* How far ahead of the own clock a resume's block may be. */
#define BLOCK_AHEAD 86400u
/* The least versions of either parity in a block are 1 and 2. */
#define RESUME_LOW_MAX 2

static uint64_t later(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

/* --- Into it --------------------------------------------------------------------------------------- */

/* Memory was lost again while a resume was under way: its accept may be among what is forgotten, and more may have been
 * signed above it since. It is not said again, and the freeze begins anew. */
static void void_resume(step *s) {
  ch_channel *c = s->c;
  memset(&c->resume, 0, sizeof c->resume);
  c->link.resumed = false;
  c->frozen_at = later(s->env->now, s->env->head_time);
  s->fx->durable = true;
}

ch_err freeze_told(step *s) {
  if (s->c->resume.version) void_resume(s);
  return freeze(s, "told to: memory may have been lost");
}

/* The connection ends with it: on the next one the peer hears of it, and shows what it has. */
ch_err freeze(step *s, const char *reason) {
  ch_channel *c = s->c;
  if (c->frozen) return CH_OK;
  c->frozen = true;
  c->frozen_at = later(s->env->now, s->env->head_time);
  size_t n = strlen(reason);
  if (n >= sizeof c->freeze_reason) n = sizeof c->freeze_reason - 1;
  memcpy(c->freeze_reason, reason, n);
  c->freeze_reason[n] = 0;
  s->fx->durable = true;
  ch_phase p = phase_of(c);
  ch_err err = fx_history(s->fx, p, p, c->latest.version, c->freeze_reason);
  return err || !c->link.up ? err : drop_link(s, CH_OK, "frozen here: both sides greet again");
}

void note_shown(step *s, uint64_t version) {
  if (s->c->resume.version && version > s->c->resume.version) void_resume(s);
  if (version <= s->c->shown) return;
  s->c->shown = version;
  s->fx->durable = true;
}

/* What was between the old L and this one is forgotten, so the content may have differed just below it. */
ch_err adopt_shown(step *s, const ch_full_state *f) {
  ch_channel *c = s->c;
  const content what = {f->net, f->locks_hash};
  uint8_t in = ch_hash_is_zero(&what.locks_hash) ? 0 : IN_LATEST; /* the caller has seen that they are the same */
  ch_err err = in ? CH_OK : locks_forgotten(s);
  if (err) return err;
  queue_requeue_out(c);
  drop_out(c);
  set_latest(c, f->version, &what, in, &f->sig[c->me], &f->sig[them(c)]);
  c->changed_at = f->version - 1;
  note_shown(s, f->version);
  c->link.wait_full = false;
  s->fx->durable = true;
  if (f->version <= c->highest.version) return CH_OK;
  ch_hash outcome;
  c->highest.version = f->version;
  latest_digest(c, &outcome, &c->highest.digest);
  return CH_OK;
}

/* --- Out of it ------------------------------------------------------------------------------------- */

bool freeze_is_over(const ch_channel *c, const ch_env *env) {
  return c->frozen_at && env->final_time > c->frozen_at + FREEZE_SECONDS;
}

/* From here on states may be signed again. What waited may have been settled in a state that is forgotten. */
ch_err thaw(step *s) {
  ch_channel *c = s->c;
  for (size_t i = 0; i < c->n_out + c->n_queue; i++) {
    ch_err err = fx_payment(s, &c->ops[i], false, CH_PAYMENT_UNKNOWN, c->epoch, 0, i, CH_ERR_FROZEN);
    if (err) return err;
  }
  c->n_out = c->n_queue = 0;
  drop_out(c);
  memset(&c->resume, 0, sizeof c->resume);
  memset(c->instance, 0, sizeof c->instance); /* of two copies of the peer, either may have stayed */
  memset(c->freeze_reason, 0, sizeof c->freeze_reason);
  c->frozen = c->seal = false;
  c->frozen_at = c->shown = 0;
  if (!c->reserved.active) c->withdraw_wanted = ch_amount_of(0);
  s->fx->durable = true;
  return c->close_wanted && !c->accounted ? queue_shutdown(c) : CH_OK;
}

ch_err on_resume_command(step *s) {
  ch_channel *c = s->c;
  ch_phase p = phase_of(c);
  bool live = p == CH_PHASE_FUNDING || p == CH_PHASE_OPEN || p == CH_PHASE_SHUTDOWN || p == CH_PHASE_CLOSING;
  if (!c->frozen || !live) return CH_ERR_PHASE;
  if (c->resume.wanted) return CH_OK;
  c->resume.wanted = true;
  s->fx->durable = true;
  set_cause(s, "resume asked for here");
  return CH_OK;
}

/* The block of my resume: above that of everything that I know or can have signed. */
static uint64_t next_block(const step *s) {
  const ch_channel *c = s->c;
  uint64_t now = s->env->now > CLOCK_START ? s->env->now - CLOCK_START : 0;
  return later((later(c->highest.version, c->shown) >> RESUME_BLOCK_BITS) + 1, now);
}

static ch_err sign_resume(step *s) {
  ch_channel *c = s->c;
  uint64_t version = ch_next_version(c->me, next_block(s) << RESUME_BLOCK_BITS);
  const content what = content_latest(c);
  s->resuming = true;
  ch_err err = sign_content(s, version, &what, &c->resume.sig);
  s->resuming = false;
  if (err) return err;
  c->resume.version = version;
  set_cause(s, "signed Resume");
  return CH_OK;
}

/* Whether a frozen side may sign a resume: its time is up, and nothing else forbids signing states. */
static bool may_thaw(const step *s) {
  const ch_channel *c = s->c;
  ch_phase p = phase_of(c);
  if (p != CH_PHASE_FUNDING && p != CH_PHASE_OPEN && p != CH_PHASE_SHUTDOWN) return false;
  return freeze_is_over(c, s->env);
}

/* On each new connection again, once the peer has shown what it has. */
ch_err pursue_resume(step *s) {
  ch_channel *c = s->c;
  if (c->frozen && !c->frozen_at) { /* it came from a backup */
    c->frozen_at = later(s->env->now, s->env->head_time);
    if (c->frozen_at) s->fx->durable = true;
  }
  if (!c->resume.wanted || !c->link.greeted || c->link.wait_full || c->link.resumed) return CH_OK;
  if (!may_thaw(s) || !chain_fresh(s->env)) return CH_OK;
  if (c->link.missed) return drop_link(s, CH_OK, "a resume came too early: both sides greet again");
  if (!c->resume.version) {
    ch_err err = sign_resume(s);
    if (err) return err;
  }
  c->link.resumed = true;
  ch_msg m = {.type = CH_MSG_RESUME, .id = c->id, .epoch = c->epoch};
  m.u.resume.base = c->latest.version;
  m.u.resume.version = c->resume.version;
  m.u.resume.sig = c->resume.sig;
  return fx_send(s->fx, &m);
}

ch_err adopt_resume(step *s, const ch_sig *peer_sig) {
  ch_channel *c = s->c;
  const uint64_t version = c->resume.version;
  const ch_sig mine = c->resume.sig;
  const content what = content_latest(c);
  ch_err err = verify_peer(s, version, &what, peer_sig);
  if (err) return err;
  if (!chain_fresh(s->env)) return CH_ERR_STALE;
  err = thaw(s);
  if (err) return err;
  set_latest(c, version, &what, IN_LATEST, &mine, peer_sig);
  set_cause(s, "resumed with the peer's help");
  c->link.peer_frozen = false; /* of crossing resumes it took mine */
  c->link.synced = true;
  return send_funds(s);
}

/* --- The other side -------------------------------------------------------------------------------- */

/* Whether an honest side that is shown my L can have chosen this version. Less far ahead of the clock than a freeze
 * lasts: then none of my resumes, however much I forget, can meet a block that I have signed in. */
static bool plausible(const step *s, uint64_t version) {
  const ch_channel *c = s->c;
  uint64_t now = s->env->now > CLOCK_START ? s->env->now - CLOCK_START : 0;
  uint64_t most = now + BLOCK_AHEAD;
  if (ch_version_side(version) != them(c) || version <= c->highest.version) return false;
  return (uint32_t)version <= RESUME_LOW_MAX && version >> RESUME_BLOCK_BITS <= most;
}

/* Whether this side may sign the peer's resume now; a frozen one only once it would sign its own. */
static bool may_accept(const step *s) {
  const ch_channel *c = s->c;
  return c->frozen ? c->resume.wanted && may_thaw(s) : may_sign_state(c);
}

static ch_err accept_resume(step *s, uint64_t version, const ch_sig *theirs) {
  ch_channel *c = s->c;
  const content what = content_latest(c);
  ch_sig mine;
  ch_err err = CH_OK;
  if (c->frozen) err = thaw(s);
  if (!err) err = sign_content(s, version, &what, &mine);
  if (err) return err;
  set_latest(c, version, &what, IN_LATEST, &mine, theirs);
  queue_requeue_out(c);
  drop_out(c);
  c->link.peer_frozen = false;
  c->link.synced = true;
  c->seal = true;
  set_cause(s, "the peer, which had lost its memory, resumed");
  say_accept(s, version, &mine);
  err = queue_seal(c);
  return err ? err : send_funds(s);
}

ch_err on_resume(step *s, const ch_msg *m) {
  ch_channel *c = s->c;
  const uint64_t version = m->u.resume.version, latest = c->latest.version;
  if (!c->link.greeted || m->epoch != c->epoch) return CH_ERR_VIOLATION;
  if (version <= latest) {
    if (version == latest && ch_sig_eq(&m->u.resume.sig, &c->latest.sig[them(c)]))
      say_accept(s, version, &c->latest.sig[c->me]);
    return CH_OK;
  }
  c->link.missed = !may_accept(s);
  if (c->link.missed || c->resume.version > version) return CH_OK; /* crossing: mine is higher */
  if (!c->link.peer_frozen || m->u.resume.base < latest) return CH_ERR_VIOLATION;
  if (m->u.resume.base > latest) return CH_OK; /* what it showed could not be adopted yet */
  if (!plausible(s, version)) return CH_ERR_VIOLATION;
  const content what = content_latest(c);
  ch_err err = verify_peer(s, version, &what, &m->u.resume.sig);
  return err ? err : accept_resume(s, version, &m->u.resume.sig);
}
