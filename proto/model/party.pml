/* party.pml - one honest party of proto/protocol.md, section 4: rules 1 to 7, "Reconnect", "Lost memory".
 *
 * The worlds (pair.pml, liar.pml) include this file after they have said what a violation does (VIOLATION) and where a
 * message goes (SEND). A message that came lies in mt, m1 .. m7; what one step has to say lies in u_* until say(). Each
 * BROKEN_* makes one mistake, and tests/check/model.py expects that it is caught.
 *
 * An operation is a bit; a content is the set of the payments in it: contents are equal iff the sets are.
 * Bits 0, 1: payments of side 0; 2: its noop; 3: its shutdown. Bits 4 to 7: the same of side 1. */

#ifdef ATOMIC /* spin marks no statement within d_step as unreached */
#define d_step atomic
#define hidden
#endif
#ifndef REACH
#define REACH 3 /* how far from L a signature may be */
#endif

#define PAYS 51 /* bits 0, 1, 4, 5 */
#define NOOPS 68
#define SHUTDOWNS 136
#define OWN(me) (15 << (4 * (me)))
#define CONTENT(ops) ((ops) & PAYS)
#define THEM(me) (1 - (me))
#define LOWEST(ops) ((ops) & -(ops))

/* The least version above b with the parity of side p. */
#define NEXT(p, b) ((b) + 1 + (((b) + 1 + (p)) & 1))

/* A version is a block (its high 32 bits) and a number in the block. */
#define BLOCK_SIZE 16
#define BLOCK(v) ((v) / BLOCK_SIZE)
#define LOW(v) ((v) % BLOCK_SIZE)

/* What is outstanding, and what an UPDATE carries besides an accept. */
#define NOTHING 0
#define PROPOSAL 1
#define REFUSAL 2
#define RESUME 3

typedef Party {
  /* durable */
  byte lv, lo;     /* L: version, all operations in it */
  bit ls;          /* the peer's signature on L is here, if L needs one */
  byte ok, ov, oo; /* my outstanding: kind, version, operations (proposal) or the refused one (refusal) */
  byte rv, ro;     /* my replaced proposal above L: version, operations */
  byte hi;         /* the highest version that I have signed */
  byte pv, pc;     /* proof, the highest signature of the peer that I hold: version, content */
  byte queue;      /* operations that wait */
  byte failed;     /* operations of mine that have failed */
  bit frozen;
  /* of the connection */
  bit up, greeted, synced, wait_full, peer_frozen
}
Party P[PARTIES];

/* The operations that my outstanding proposes, and the content of what is outstanding. */
#define PROPOSED(me) (P[me].oo * (P[me].ok == PROPOSAL))
#define OUTSTANDING(me) CONTENT(P[me].lo | PROPOSED(me))
#define REPLACED(me) CONTENT(P[me].lo | P[me].ro)

/* Whether I know content c of version v: rule 6 says that I know all that I have signed above L. */
#define KNOWN(me, v, c) (((v) == P[me].lv && (c) == CONTENT(P[me].lo)) || ((v) == P[me].rv && (c) == REPLACED(me)) || \
                         (P[me].ok != NOTHING && (v) == P[me].ov && (c) == OUTSTANDING(me)))

/* --- Ghosts: what happened, whoever remembers it. No step looks at them. --- */

typedef Ghost {
  byte sig[VERSIONS]; /* what left the process with the side's signature: content + 1 */
  byte top;           /* the highest of these versions */
  byte reported;      /* operations reported as settled or received */
#ifdef RESTORE
  byte lost;          /* operations whose fate a restored side does not know */
#endif
}
Ghost G[2];

/* The one content that side `me` has signed for version v. */
#define GENUINE(me, v, c) (G[me].sig[v] == (c) + 1)

/* Scratch, only used within one step.
 * REESTABLISH: m1 version, m2 content of L, m3 frozen, m4 version, m5 content of the proof.
 * FULL_STATE: m1 version, m2 content.
 * UPDATE: m1 version (0: no accept), m2 content of the accept, m3 kind, m4 base, m5 version, m6 content, m7 operations
 *         or the refused one. */
mtype = { REESTABLISH, FULL_STATE, UPDATE } /* from the peer */
mtype = { ASK, A_DAY_LATER }                /* from the client, the clock */
hidden mtype mt;
hidden byte m1, m2, m3, m4, m5, m6, m7;
hidden byte u_full;
hidden byte u_av, u_ac, u_kind, u_base, u_ver, u_con, u_ops;
hidden byte violated;

inline forget_scratch() {
  mt = 0; m1 = 0; m2 = 0; m3 = 0; m4 = 0; m5 = 0; m6 = 0; m7 = 0;
  u_full = 0; u_av = 0; u_ac = 0; u_kind = 0; u_base = 0; u_ver = 0; u_con = 0; u_ops = 0;
  violated = 0
}

inline copy_durable(to, from) {
  P[to].lv = P[from].lv; P[to].lo = P[from].lo; P[to].ls = P[from].ls;
  P[to].ok = P[from].ok; P[to].ov = P[from].ov; P[to].oo = P[from].oo;
  P[to].rv = P[from].rv; P[to].ro = P[from].ro; P[to].hi = P[from].hi;
  P[to].pv = P[from].pv; P[to].pc = P[from].pc;
  P[to].queue = P[from].queue; P[to].failed = P[from].failed; P[to].frozen = P[from].frozen
}

inline forget_link(me) {
  P[me].up = 0; P[me].greeted = 0; P[me].synced = 0; P[me].wait_full = 0; P[me].peer_frozen = 0
}

/* An honest party never signs two contents for one version. */
inline note_signature(me, v, c) {
  assert(G[me].sig[v] == 0 || GENUINE(me, v, c));
  G[me].sig[v] = (c) + 1;
  if
  :: v > G[me].top ->
    G[me].top = v
  :: else
  fi
}

/* The signatures of an UPDATE. */
inline note_signatures(me, av, ac, kind, ver, con) {
  if
  :: av ->
    note_signature(me, av, ac)
  :: else
  fi;
  if
  :: kind ->
    note_signature(me, ver, con)
  :: else
  fi
}

/* --- What it says ---------------------------------------------------------------------------------------------- */

inline say(me) {
  if
  :: u_full ->
    SEND(me, FULL_STATE, P[me].lv, CONTENT(P[me].lo), 0, 0, 0, 0, 0)
  :: else
  fi;
  if
  :: u_av || u_kind ->
    SEND(me, UPDATE, u_av, u_ac, u_kind, u_base, u_ver, u_con, u_ops);
    SIGNED(me)
  :: else
  fi
}

inline say_reestablish(me) {
  SEND(me, REESTABLISH, P[me].lv, CONTENT(P[me].lo), P[me].frozen, P[me].pv, P[me].pc, 0, 0)
}

inline say_accept(me) {
  u_av = P[me].lv; u_ac = CONTENT(P[me].lo)
}

inline say_outstanding(me) {
  u_kind = P[me].ok; u_base = P[me].lv; u_ver = P[me].ov; u_ops = P[me].oo;
  u_con = OUTSTANDING(me)
}

/* --- What it signs --------------------------------------------------------------------------------------------- */

/* Rule 7. A sound engine never makes its signer refuse, and never goes further than 3 above L. */
inline sign(me, v) {
  assert(v > P[me].hi);
#ifndef RESTORE
  assert(v <= P[me].lv + REACH);
#endif
  P[me].hi = v
}

inline keep_proof(me, v, c) {
#ifndef LIAR /* only an honest peer is told */
  if
  :: v > P[me].pv ->
    P[me].pv = v; P[me].pc = c
  :: else
  fi
#else
  skip
#endif
}

inline drop_outstanding(me) {
  if
  :: P[me].ok == PROPOSAL ->
    P[me].queue = P[me].queue | P[me].oo
  :: else
  fi;
  P[me].ok = NOTHING; P[me].ov = 0; P[me].oo = 0
}

/* L becomes version v with the operations `more`, signed by both; what I have signed up to v is dead. */
inline set_latest(me, v, more) {
  P[me].lo = P[me].lo | (more);
  P[me].lv = v;
  P[me].ls = 1;
  if
  :: P[me].rv <= P[me].lv ->
    P[me].rv = 0; P[me].ro = 0
  :: else
  fi
}

/* Rule 5: exactly my outstanding. */
inline adopt(me) {
  keep_proof(me, P[me].ov, OUTSTANDING(me));
  set_latest(me, P[me].ov, PROPOSED(me));
#ifdef RESTORE
  if
  :: P[me].ok == RESUME ->
    P[me].frozen = 0; P[me].peer_frozen = 0; P[me].synced = 1
  :: else
  fi;
#endif
  P[me].ok = NOTHING; P[me].ov = 0; P[me].oo = 0
}

/* Rule 1, and what can no longer be valid fails first: nothing of mine is outstanding, so it can never be enforced. */
inline propose(me) {
  if
  :: P[me].synced && !P[me].frozen && !P[me].peer_frozen && P[me].ok == NOTHING && P[me].queue ->
    if
    :: P[me].lo & SHUTDOWNS ->
      P[me].failed = P[me].failed | (P[me].queue & (PAYS | SHUTDOWNS));
      P[me].queue = P[me].queue & NOOPS
    :: else
    fi;
    if
    :: P[me].queue ->
      P[me].ok = PROPOSAL; P[me].ov = NEXT(me, P[me].lv); P[me].oo = P[me].queue; P[me].queue = 0;
      sign(me, P[me].ov);
      say_outstanding(me)
    :: else
    fi
  :: else
  fi
}

/* What the client asks for: operation m1. */
inline ask(me) {
  if
  :: P[me].frozen
  :: else ->
    P[me].queue = P[me].queue | m1
  fi
}

/* --- Updates --------------------------------------------------------------------------------------------------- */

inline on_accept(me) {
  if
  :: m1 == 0 || m1 <= P[me].lv
  :: else ->
    if
    :: P[me].ok != NOTHING && m1 == P[me].ov ->
      if
      :: m2 == OUTSTANDING(me) ->
        adopt(me)
      :: else ->
        violated = 1
      fi
#ifdef BROKEN_LATE_ACCEPT
    :: m1 == P[me].rv && m2 == REPLACED(me) && m1 != P[me].ov ->
      set_latest(me, m1, P[me].ro)
#endif
    :: else ->
      violated = 1
    fi
  fi
}

inline accept(me) {
  keep_proof(me, m5, m6);
  sign(me, m5);
  set_latest(me, m5, m7 * (m3 == PROPOSAL));
  drop_outstanding(me);
  say_accept(me)
}

/* The operations that are not valid here, if they are proposed: payments after a shutdown, and what the world says. */
#define BAD (bad | (PAYS * ((P[me].lo & SHUTDOWNS) != 0)))

/* Rule 4: the content of L at exactly v + 1. My own proposal stays enforceable: it is kept. */
inline refuse(me) {
  keep_proof(me, m5, m6);
  if
  :: P[me].ok == PROPOSAL ->
    P[me].rv = P[me].ov; P[me].ro = P[me].oo;
#ifdef BROKEN_FAIL_EARLY
    P[me].failed = P[me].failed | (P[me].oo & PAYS); P[me].oo = P[me].oo & ~PAYS;
#endif
  :: else
  fi;
  drop_outstanding(me);
  P[me].ok = REFUSAL; P[me].oo = LOWEST(BAD & m7);
#ifdef BROKEN_REFUSE_NEXT
  P[me].ov = NEXT(me, P[me].lv);
#else
  P[me].ov = m5 + 1;
#endif
  sign(me, P[me].ov);
  say_outstanding(me)
}

inline on_proposal(me) {
  if
  :: m5 <= P[me].lv ->
    if
    :: m5 == P[me].lv && m6 == CONTENT(P[me].lo) ->
      say_accept(me)
    :: else
    fi
#ifdef BROKEN_ANY_HIGHER
  :: m5 > P[me].lv && (m4 != P[me].lv || m7 == 0 || m6 != CONTENT(P[me].lo | m7)) ->
    violated = 1
#else
  :: m5 > P[me].lv && (m4 != P[me].lv || m7 == 0 || m5 != NEXT(THEM(me), m4) || m6 != CONTENT(P[me].lo | m7)) ->
    violated = 1
#endif
  :: else ->
    if
    :: m5 < P[me].ov ->
      keep_proof(me, m5, m6)
    :: m5 >= P[me].ov && (BAD & m7) ->
      refuse(me)
    :: m5 >= P[me].ov && !(BAD & m7) ->
      accept(me)
    fi
  fi
}

inline on_refusal(me) {
  if
  :: m5 <= P[me].lv
  :: else ->
    if
    :: m4 != P[me].lv || m6 != CONTENT(P[me].lo) ->
      violated = 1
    :: else ->
      if
      :: m5 < P[me].ov ->
        keep_proof(me, m5, m6)
#ifdef BROKEN_REFUSE_NEXT
      :: P[me].ok == PROPOSAL && m5 == NEXT(THEM(me), P[me].lv) && (m7 & P[me].oo & PAYS) ->
#else
      :: P[me].ok == PROPOSAL && m5 == P[me].ov + 1 && (m7 & P[me].oo & PAYS) ->
#endif
        P[me].failed = P[me].failed | (m7 & P[me].oo);
        P[me].oo = P[me].oo & ~m7;
        accept(me)
      :: else ->
        violated = 1
      fi
    fi
  fi
}

#ifdef RESTORE
#define HEARS(me) (P[me].synced || (P[me].ok == RESUME && m1 == P[me].ov))

/* What waits may be in a state that I have forgotten: it must not be proposed again. */
inline lose_operations(me) {
  G[me].lost = G[me].lost | P[me].queue | PROPOSED(me);
  P[me].queue = 0; P[me].ok = NOTHING; P[me].ov = 0; P[me].oo = 0
}

/* Days that a resume's block may be ahead of the clock, and less than a freeze lasts. */
#define AHEAD 1

/* Leaving a freeze: the content of the best state, in a block above everything. */
inline resume(me) {
  clock = clock + AHEAD + 1;
  lose_operations(me);
  P[me].ok = RESUME;
  if
  :: BLOCK(P[me].hi) >= clock -> P[me].ov = BLOCK_SIZE * (BLOCK(P[me].hi) + 1) + 2 - (me)
  :: else -> P[me].ov = BLOCK_SIZE * clock + 2 - (me)
  fi;
  sign(me, P[me].ov);
  say_outstanding(me)
}

#ifdef BROKEN_BLOCK_CREEPS
#define FAR(me, v) (BLOCK(v) > clock + AHEAD && BLOCK(v) > BLOCK(P[me].hi) + 1)
#else
#define FAR(me, v) (BLOCK(v) > clock + AHEAD)
#endif

/* The content of L in a block above everything. A frozen side takes it only where it would send its own: not here. */
inline on_resume(me) {
  if
  :: m5 <= P[me].lv || P[me].frozen
  :: m5 > P[me].lv && !P[me].frozen && (!P[me].peer_frozen || m4 < P[me].lv) ->
    violated = 1 /* never: in a default run; liar-restore goes here */
  :: m5 > P[me].lv && !P[me].frozen && P[me].peer_frozen && m4 > P[me].lv
  :: m5 > P[me].lv && !P[me].frozen && P[me].peer_frozen && m4 == P[me].lv ->
    if
    :: m5 <= P[me].hi || LOW(m5) > 2 || (m5 & 1) != THEM(me) || FAR(me, m5) || m6 != CONTENT(P[me].lo) ->
      violated = 1 /* never: in a default run; liar-restore goes here */
    :: else ->
      accept(me);
      P[me].peer_frozen = 0; P[me].synced = 1;
      P[me].queue = P[me].queue | (OWN(me) & NOOPS) /* seals the new block */
    fi
  fi
}
#else
#define HEARS(me) P[me].synced
#endif

inline on_update(me) {
  if
  :: !P[me].greeted ->
    violated = 1
#ifdef RESTORE
  :: P[me].greeted && m3 == RESUME ->
    on_resume(me)
#endif
  :: P[me].greeted && m3 != RESUME && !HEARS(me) /* one side waits for the other's full state, or is frozen */
  :: P[me].greeted && m3 != RESUME && HEARS(me) ->
    on_accept(me);
    if
    :: violated || m3 == NOTHING
    :: !violated && m3 == PROPOSAL ->
      on_proposal(me)
    :: !violated && m3 == REFUSAL ->
      on_refusal(me)
    fi
  fi
}

/* --- Reconnect ------------------------------------------------------------------------------------------------- */

#ifdef RESTORE
#define FROZEN_TALKS(me) true
#define TALKS(me) (!P[me].frozen && !P[me].peer_frozen)
#define REPEATS(me) (P[me].frozen && P[me].ok == RESUME && !P[me].wait_full)
#else
#define FROZEN_TALKS(me) (!P[me].frozen)
#define TALKS(me) (!P[me].peer_frozen)
#define REPEATS(me) false
#endif

/* Same L, or the peer's will be once it has read my full state. While one side is frozen, nothing follows. */
inline synchronise(me) {
  P[me].wait_full = 0;
  if
  :: TALKS(me) ->
    P[me].synced = 1;
    say_outstanding(me)
  :: REPEATS(me) ->
    say_outstanding(me)
  :: !TALKS(me) && !REPEATS(me)
  fi
}

inline full_state_accepts(me) {
  adopt(me);
  if
  :: P[me].wait_full ->
    synchronise(me)
  :: else
  fi
}

#ifdef RESTORE
inline void_resume(me) {
  if
  :: P[me].ok == RESUME ->
    P[me].ok = NOTHING; P[me].ov = 0 /* never: in a default run; liar-restore goes here */
  :: else
  fi
}

/* Both greet again, so that the peer hears of it. */
inline freeze(me) {
  if
  :: P[me].frozen
  :: else ->
    P[me].frozen = 1;
    DROP_LINK(me)
  fi
}

/* A signature of mine that I have forgotten. If it is above my resume, that one leads nowhere: a new one is needed. */
inline saw(me, v) {
  if
  :: P[me].hi < v ->
    P[me].hi = v;
    void_resume(me)
  :: else
  fi
}

/* The best state shown becomes L. A resume that was signed stands, unless the state is above it: then it is forgotten,
 * too, that the resume was accepted. */
inline full_state_forgotten(me) {
  if
  :: P[me].ok == RESUME && m1 < P[me].ov
  :: else ->
    saw(me, m1);
    lose_operations(me);
    P[me].lv = m1; P[me].lo = m2; P[me].ls = 1; P[me].rv = 0; P[me].ro = 0; P[me].wait_full = 0;
    freeze(me)
  fi
}

/* The accept that I missed. After a resume both greet again. */
inline full_state_of_mine(me) {
  if
  :: P[me].ok == RESUME ->
    adopt(me);
    DROP_LINK(me)
  :: P[me].ok != RESUME ->
    full_state_accepts(me)
  fi
}
#else
inline freeze(me) {
  P[me].frozen = 1; P[me].synced = 0
}

inline saw(me, v) {
  skip
}

inline full_state_forgotten(me) {
  freeze(me)
}

inline full_state_of_mine(me) {
  full_state_accepts(me)
}

#endif

/* A signature of mine that the peer shows. */
inline on_proof(me) {
  if
  :: m4 == 0 || m4 < P[me].lv
  :: m4 && m4 >= P[me].lv && !GENUINE(me, m4, m5) ->
    violated = 1
  :: m4 && m4 >= P[me].lv && GENUINE(me, m4, m5) && !(m4 <= P[me].hi && KNOWN(me, m4, m5)) ->
    saw(me, m4);
    freeze(me)
  :: m4 && m4 >= P[me].lv && GENUINE(me, m4, m5) && m4 <= P[me].hi && KNOWN(me, m4, m5)
  fi
}

inline compare_latest(me) {
  if
  :: m1 > P[me].lv ->
    P[me].wait_full = 1;
#ifdef BROKEN_BELIEVE
    if
    :: m1 == P[me].ov ->
      set_latest(me, m1, PROPOSED(me)); P[me].ls = 0; P[me].ok = NOTHING; P[me].ov = 0; P[me].oo = 0
    :: else
    fi
#endif
  :: m1 < P[me].lv ->
#ifndef BROKEN_NO_REPEAT
    u_full = 1;
#endif
    synchronise(me)
  :: m1 == P[me].lv && m2 == CONTENT(P[me].lo) ->
    synchronise(me)
  :: m1 == P[me].lv && m2 != CONTENT(P[me].lo) ->
    freeze(me)
  fi
}

inline on_reestablish(me) {
  if
  :: P[me].greeted || !P[me].up ->
    violated = 1
  :: else ->
    P[me].greeted = 1;
#ifndef BROKEN_SIGN_ON
    on_proof(me);
#endif
    if
    :: violated || !P[me].up || !FROZEN_TALKS(me)
    :: else ->
      P[me].peer_frozen = m3;
      compare_latest(me)
    fi
  fi
}

inline on_full_state(me) {
  if
  :: !P[me].up || !GENUINE(me, m1, m2) ->
    violated = 1
  :: P[me].up && GENUINE(me, m1, m2) && (m1 <= P[me].lv || !FROZEN_TALKS(me))
  :: P[me].up && GENUINE(me, m1, m2) && !(m1 <= P[me].lv || !FROZEN_TALKS(me)) ->
    if
    :: P[me].ok != NOTHING && m1 == P[me].ov && m2 == OUTSTANDING(me) ->
      full_state_of_mine(me)
    :: else ->
      if
      :: m1 == P[me].rv && m2 == REPLACED(me) && !P[me].frozen ->
        violated = 1
      :: else ->
        full_state_forgotten(me)
      fi
    fi
  fi
}

/* --- One step, and what must hold after it --------------------------------------------------------------------- */

inline step(me) {
  if
  :: mt == REESTABLISH ->
    on_reestablish(me)
  :: mt == FULL_STATE ->
    on_full_state(me)
  :: mt == UPDATE ->
    on_update(me)
  :: mt == ASK ->
    ask(me)
#ifdef RESTORE
  :: mt == A_DAY_LATER ->
    resume(me)
#endif
  fi;
  if
  :: violated ->
    VIOLATION(me) /* never: with two honest parties, where it is assert(false) */
  :: else ->
    propose(me);
    say(me)
  fi
}

/* A content above L that the peer can enforce has everything that was reported as received or settled, nothing that was
 * reported as failed, and I know it, so that I can settle with it. */
inline check_enforceable(me, v) {
  if
  :: G[me].sig[v] ->
    assert((CONTENT(G[me].reported) & ~(G[me].sig[v] - 1)) == 0);
    assert((P[me].failed & (G[me].sig[v] - 1)) == 0);
    assert(KNOWN(me, v, G[me].sig[v] - 1))
  :: else
  fi
}

inline check_always(me) {
  assert(P[me].lv == 0 || P[me].ls);
  assert((P[me].failed & (P[me].lo | P[THEM(me)].lo)) == 0);
  assert(P[me].ok == NOTHING || (P[me].ov > P[me].lv && P[me].ov <= P[me].hi && (P[me].ov & 1) == me))
}

inline check_reports(me) {
  G[me].reported = G[me].reported | P[me].lo;
  assert(G[me].reported == P[me].lo);
  check_enforceable(me, P[me].lv + 1);
  check_enforceable(me, P[me].lv + 2);
  check_enforceable(me, P[me].lv + 3)
}

#ifdef RESTORE
/* A side promises nothing about what it has forgotten: while it is frozen, and, if nobody told it, until both greeted. */
#ifdef SILENT
#define FORGETS(me) (P[me].frozen || (restored && (me) == VICTIM && !P[me].synced))
#else
#define FORGETS(me) P[me].frozen
#endif
inline check(me) {
#ifndef LIAR
  ever[me] = ever[me] | P[me].lo;
  ever_failed[me] = ever_failed[me] | P[me].failed;
#endif
  check_always(me);
  if
  :: FORGETS(me) ->
    G[me].reported = P[me].lo
  :: else ->
    assert(G[me].top <= P[me].lv + REACH);
    check_reports(me)
  fi
}
#else
inline check(me) {
  check_always(me);
  check_reports(me)
}
#endif
