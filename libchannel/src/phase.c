/* phase.c - the phase of a channel, derived from facts; the legal transitions as a table; the invariant. */
#include "internal.h"

const char *ch_phase_name(ch_phase p) {
  switch (p) {
#define NAME(sym, name)                                                                                                \
  case CH_PHASE_##sym: return name;
    CH_PHASES(NAME)
#undef NAME
  }
  return "unknown";
}

/* The strongest fact wins: what the chain has made final, then what it shows, then what was signed. */
ch_phase phase_of(const ch_channel *c) {
  if (c->abandoned) return CH_PHASE_ABANDONED;
  if (!c->agreed) return CH_PHASE_OPENING;
  if (c->view.final.slots.epoch > c->epoch) return CH_PHASE_CLOSED;
  if (c->view.head.slots.epoch > c->epoch) return CH_PHASE_ENDING;
  if (c->view.head.slots.disputed || c->challenge_until) return CH_PHASE_DISPUTED;
  if (c->close.mine_until) return CH_PHASE_CLOSING;
  if (c->shutdown) return CH_PHASE_SHUTDOWN;
  return c->opened ? CH_PHASE_OPEN : CH_PHASE_FUNDING;
}

#define TO(p) (1u << CH_PHASE_##p)
/* A reorganisation can take back what the head showed, so ENDING and DISPUTED lead back to every live phase, and
 * CLOSING, as Close may be signed in a dispute, to what was before. CLOSED leads back only in the channel's next epoch;
 * nothing leads out of ABANDONED. */
#define LIVE (TO(FUNDING) | TO(OPEN) | TO(SHUTDOWN) | TO(CLOSING) | TO(DISPUTED) | TO(ENDING) | TO(CLOSED))
static const uint32_t legal[] = {
    [CH_PHASE_OPENING] = TO(OPENING) | TO(FUNDING) | TO(OPEN) | TO(ABANDONED),
    [CH_PHASE_FUNDING] = TO(FUNDING) | TO(OPEN) | TO(SHUTDOWN) | TO(CLOSING) | TO(DISPUTED) | TO(ENDING) | TO(CLOSED),
    [CH_PHASE_OPEN] = TO(OPEN) | TO(SHUTDOWN) | TO(CLOSING) | TO(DISPUTED) | TO(ENDING) | TO(CLOSED),
    [CH_PHASE_SHUTDOWN] = TO(SHUTDOWN) | TO(CLOSING) | TO(DISPUTED) | TO(ENDING) | TO(CLOSED),
    [CH_PHASE_CLOSING] = LIVE,
    [CH_PHASE_DISPUTED] = LIVE,
    [CH_PHASE_ENDING] = LIVE,
    [CH_PHASE_CLOSED] = TO(CLOSED),
    [CH_PHASE_ABANDONED] = TO(ABANDONED),
};

bool phase_legal(ch_phase from, ch_phase to) {
  return legal[from] >> to & 1;
}

/* Where a channel can stand that has just been opened again. */
static bool phase_reopened(ch_phase p) {
  return p == CH_PHASE_OPEN || p == CH_PHASE_DISPUTED || p == CH_PHASE_ENDING;
}

/* The locks are marked with contents that exist, and a content's hash says whether it has any. */
static bool locks_consistent(const ch_channel *c) {
  uint8_t in = 0;
  if (c->accounted) return c->n_locks == 0;
  for (size_t i = 0; i < c->n_locks; i++)
    in |= c->locks[i].in;
  if (in & IN_REPLAY) return false;
  if (!(in & IN_LATEST) != ch_hash_is_zero(&c->latest.locks_hash)) return false;
  return !(in & IN_OUT) == ch_hash_is_zero(&c->out.what.locks_hash) &&
         !(in & IN_OLD) == ch_hash_is_zero(&c->old.what.locks_hash);
}

/* What must hold within one channel. */
static ch_err consistent(const ch_channel *c) {
  uint64_t base = c->latest.version;
  bool resuming = c->resume.version && c->highest.version == c->resume.version;
  if (c->resume.version && (!c->frozen || !resuming || c->resume.version <= base)) return CH_ERR_BUG;
  if (c->highest.version < base) return CH_ERR_BUG;
  if (c->highest.version > base + SIGNED_DISTANCE && !c->frozen && !c->accounted) return CH_ERR_BUG;
  if (c->out.kind != OUT_NONE) {
    if (c->out.version <= base || c->out.version > c->highest.version) return CH_ERR_BUG;
    if (ch_version_side(c->out.version) != c->me) return CH_ERR_BUG;
  }
  if ((c->n_out != 0) != (c->out.kind == OUT_PROPOSAL)) return CH_ERR_BUG;
  if (c->old.version && c->old.version <= base) return CH_ERR_BUG;
  return locks_consistent(c) ? CH_OK : CH_ERR_BUG;
}

/* What must hold between two channels that follow each other. A breach is our bug: the step is refused. */
ch_err invariant(const ch_channel *cur, const ch_channel *next) {
  const ch_channel *c = next;
  if (c->epoch < cur->epoch) return CH_ERR_BUG;
  if (c->epoch > cur->epoch) return phase_reopened(phase_of(c)) ? consistent(c) : CH_ERR_BUG;
  if (!phase_legal(phase_of(cur), phase_of(c))) return CH_ERR_BUG;
  if (c->latest.version < cur->latest.version || c->highest.version < cur->highest.version) return CH_ERR_BUG;
  if (cur->frozen && c->frozen && c->highest.version != cur->highest.version) { /* it was shown it, or resumes */
    if (c->highest.version != c->latest.version && c->highest.version != c->resume.version) return CH_ERR_BUG;
  }
  return consistent(c);
}
