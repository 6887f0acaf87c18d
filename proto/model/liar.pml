/* liar.pml - one honest party against a peer that withholds what it likes and says whatever its keys allow.
 *
 * The peer is no process with a state: at any time it may say any message whose fields are well-formed, with its own
 * signature on any content, and show every signature that the honest side ever made (even those that were lost on the
 * way: it knows more than a real one). What it says in one connection may depend on everything, so nothing needs to be
 * remembered for it. Fields that the honest side only compares with one right value are right or wrong; versions are all
 * versions up to TOP. What it cannot do is to forge a signature of the honest side.
 *
 * ME: the honest side. OPS: what its client asks for. THEIRS: the operations of the peer. TOP: the highest version that the peer names. Breaks of the
 * connection and crashes have no limit; memory and disk are the same between steps (pair.pml looks between). */
#define LIAR
#ifdef RESTORE
#define VERSIONS 64
#define PARTIES 3 /* and the backup */
byte clock; /* days */
bit kept, restored;
#else
#define VERSIONS 32
#define PARTIES 2 /* and what is on the disk, in the peer's place */
#endif
#define VIOLATION(me) copy_durable(me, THEM(me)); forget_link(me)
#define DROP_LINK(me) forget_link(me)
#define SEND(me, t, a, b, c, d, e, f, g) skip
#define SIGNED(me) note_signatures(me, u_av, u_ac, u_kind, u_ver, u_con)

#include "party.pml"

byte todo = OPS;

inline finish() {
  check(ME);
  copy_durable(THEM(ME), ME);
  forget_scratch();
  a = 0; v = 0; w = 0; right = 0; flag = 0; ops = 0; bad = 0
}

#ifdef RESTORE
#define HEARD (P[ME].synced || P[ME].ok == RESUME)
#else
#define HEARD P[ME].synced
#endif
#define HELD(version) (G[ME].sig[version] - 1)
/* L after the accept that comes with it, if any. */
#define BASE (a * P[ME].ov + (1 - a) * P[ME].lv)
#define BASE_CONTENT CONTENT(P[ME].lo | (a * PROPOSED(ME)))

/* Any version that the peer may name. */
inline any_version(x) {
#ifdef RESTORE
  if
  :: x = 0
  :: x = BLOCK_SIZE
  :: x = 2 * BLOCK_SIZE
  fi;
  do
  :: LOW(x) < TOP -> x++
  :: break
  od
#else
  select(x : 0 .. TOP)
#endif
}

inline either(x) {
  if
  :: x = 0
  :: x = 1
  fi
}

/* Base and content: one wrong thing is enough. */
inline right_or_wrong() {
  if
  :: right = 1; flag = 1
  :: right = 0; flag = 1
  :: right = 1; flag = 0
  fi
}

/* One of the peer's operations; a payment is made once. */
inline maybe(bit0) {
  if
  :: (bit0 << (4 * THEM(ME))) & THEIRS & ~(P[ME].lo & PAYS) -> ops = ops | (bit0 << (4 * THEM(ME)))
  :: true
  fi
}

inline one_payment(x, side) {
  if
  :: x = LOWEST(PAYS & OWN(side))
  :: x = 2 * LOWEST(PAYS & OWN(side))
  fi
}

proctype world() {
  byte v, w, ops, bad;
  bit a, right, flag;
end:
  do
  :: d_step { !P[ME].up -> P[ME].up = 1 }
  :: d_step { P[ME].up -> forget_link(ME) }
  :: atomic {
       if
       :: todo & PAYS -> ops = LOWEST(todo & PAYS)
       :: todo & NOOPS -> ops = todo & NOOPS
       :: todo & SHUTDOWNS -> ops = todo & SHUTDOWNS
       fi;
       d_step { mt = ASK; m1 = ops; todo = todo & ~ops; step(ME); finish() }
     }
  :: atomic {
       P[ME].up && !P[ME].greeted ->
       any_version(v); any_version(w); either(right); either(flag); either(a);
       d_step {
         mt = REESTABLISH;
         m1 = v; m2 = CONTENT(P[ME].lo) ^ (1 - right); m3 = flag; m4 = w; m5 = HELD(w) ^ (1 - a);
         step(ME);
         finish()
       }
     }
  :: atomic {
       P[ME].up ->
       any_version(v); either(right);
       d_step { mt = FULL_STATE; m1 = v; m2 = HELD(v) ^ (1 - right); step(ME); finish() }
     }
  :: d_step { P[ME].up && P[ME].greeted -> mt = REESTABLISH; step(ME); finish() }
  :: d_step { P[ME].up && !P[ME].synced -> mt = UPDATE; m1 = 1; m3 = PROPOSAL; step(ME); finish() } /* any */
  :: atomic { /* an accept */
       P[ME].greeted && HEARD ->
       any_version(v);
       if
       :: ops = OUTSTANDING(ME)
       :: ops = REPLACED(ME)
       :: ops = CONTENT(P[ME].lo) ^ 1
       fi;
       d_step { mt = UPDATE; m1 = v; m2 = ops; step(ME); finish() }
     }
  :: atomic { /* a proposal, alone or with an accept */
       P[ME].synced ->
       either(a); any_version(v); right_or_wrong();
       maybe(1); maybe(2); maybe(4); maybe(8); /* nothing: malformed */
       if
       :: bad = 0
       :: ops & PAYS -> bad = LOWEST(ops & PAYS)
       fi;
       d_step {
         mt = UPDATE; m1 = a * P[ME].ov; m2 = OUTSTANDING(ME);
         m3 = PROPOSAL; m4 = BASE + 1 - flag; m5 = v; m6 = BASE_CONTENT | CONTENT(ops); m7 = ops;
         m6 = m6 ^ (1 - right);
         step(ME);
         finish()
       }
     }
  :: atomic { /* a refusal, alone or with an accept */
       P[ME].synced ->
       either(a); any_version(v); right_or_wrong();
       if
       :: ops = LOWEST(OWN(ME) & NOOPS)
       :: one_payment(ops, ME)
       fi;
       d_step {
         mt = UPDATE; m1 = a * P[ME].ov; m2 = OUTSTANDING(ME);
         m3 = REFUSAL; m4 = BASE + 1 - flag; m5 = v; m6 = BASE_CONTENT ^ (1 - right); m7 = ops;
         step(ME);
         finish()
       }
     }
#ifdef RESTORE
  :: d_step {
       clock < RESUMES * (AHEAD + 1) && P[ME].frozen && P[ME].greeted && P[ME].ok != RESUME ->
       mt = A_DAY_LATER; step(ME); finish()
     }
  :: atomic { /* the peer resumes */
       P[ME].greeted ->
       any_version(v); right_or_wrong();
       d_step {
         mt = UPDATE;
         m3 = RESUME; m4 = P[ME].lv + 1 - flag; m5 = v; m6 = CONTENT(P[ME].lo) ^ (1 - right);
         step(ME);
         finish()
       }
     }
  :: d_step { !kept -> kept = 1; copy_durable(2, ME) }
  :: d_step {
       kept && !restored ->
       restored = 1;
       copy_durable(ME, 2);
       P[ME].frozen = 1;
       void_resume(ME);
       forget_link(ME);
       finish()
     }
#endif
  od
}

init {
  run world()
}
