/* pair.pml - two honest parties, a network that breaks and processes that crash.
 *
 * OPS0, OPS1: the operations that each side's client asks for. FAULTS: how often the connection breaks or a process
 * dies. SPLIT: making durable and sending are steps of their own, and a crash may come between any two. RESTORE: the
 * memory of side VICTIM is once replaced by an older one, and the operator says so, unless SILENT.
 *
 * Claims are looked at after every step; the monitor looks at every state in which nothing can happen any more. */
#ifdef RESTORE
#define VERSIONS 64
#define PARTIES 3 /* and the backup */
#else
#define VERSIONS 32
#ifdef SPLIT
#define PARTIES 4 /* and what is on each side's disk */
#else
#define PARTIES 2
#endif
#endif
#define CAPACITY 4
#define MESSAGE 3 /* not one bit: no operation */
#define DAY 5
#define BROKEN_LINK (!P[0].up)

chan wire[2] = [CAPACITY] of { mtype, byte, byte, byte, byte, byte, byte, byte } /* to side 0, to side 1 */
#ifdef SPLIT
chan box[2] = [2] of { mtype, byte, byte, byte, byte, byte, byte, byte } /* from each side, not sent yet */
byte stage[2]; /* of a step: 0 none; the two below */
#ifdef BROKEN_SEND_FIRST
#define POST 1
#define PERSIST 2
#else
#define PERSIST 1
#define POST 2
#endif
#define READY(me) (stage[me] == 0)
#define DONE(me) stage[me] = 1
#define SEND(me, t, a, b, c, d, e, f, g) box[me]!t, a, b, c, d, e, f, g
#define SIGNED(me) skip /* as long as it has not left, nobody can tell */
#else
#define READY(me) true
#define DONE(me) check(me)
#define SEND(me, t, a, b, c, d, e, f, g) \
  assert(len(wire[THEM(me)]) < CAPACITY); wire[THEM(me)]!t, a, b, c, d, e, f, g
#ifdef SILENT
#define SIGNED(me) skip /* behind a restore that nobody notices, a signature that did not arrive was never made */
#else
#define SIGNED(me) note_signatures(me, u_av, u_ac, u_kind, u_ver, u_con)
#endif
#endif
#define VIOLATION(me) assert(false)
#define DROP_LINK(me) break_link()

byte todo[2];
#define ASKED(me) (OPS0 * (1 - (me)) + OPS1 * (me))
byte faults = FAULTS;
#ifdef RESTORE
byte clock; /* days */
bit kept, restored;
byte ever[2], ever_failed[2]; /* ghosts: reported before or after the restore */
#endif

#include "party.pml"

inline drain(queue) {
  do
  :: nempty(queue) -> queue?mt, m1, m2, m3, m4, m5, m6, m7
  :: empty(queue) -> break
  od
}

/* What was under way is lost. A message that was read before is a message that came before the break. */
inline break_link() {
  forget_link(0); forget_link(1);
  drain(wire[0]); drain(wire[1]);
#ifdef SPLIT
  drain(box[0]); drain(box[1]);
#endif
  forget_scratch()
}

inline finish(me) {
  forget_scratch(); DONE(me)
}

proctype party(byte me) {
  byte what, bad;
end:
  do
  :: atomic {
       if
       :: READY(me) && nempty(wire[me]) -> what = MESSAGE
#ifndef RESTORE
       :: READY(me) && nempty(wire[me]) -> what = MESSAGE; bad = LOWEST(PAYS & OWN(THEM(me)))
       :: READY(me) && nempty(wire[me]) -> what = MESSAGE; bad = 2 * LOWEST(PAYS & OWN(THEM(me)))
#endif
       :: READY(me) && todo[me] & PAYS -> what = LOWEST(todo[me] & PAYS)
       :: READY(me) && todo[me] & NOOPS -> what = todo[me] & NOOPS
       :: READY(me) && todo[me] & SHUTDOWNS -> what = todo[me] & SHUTDOWNS
#ifdef RESTORE
       :: READY(me) && P[me].frozen && P[me].greeted && !P[me].wait_full && P[me].ok != RESUME -> what = DAY
#endif
       fi;
       d_step {
         if
         :: what == MESSAGE ->
           wire[me]?mt, m1, m2, m3, m4, m5, m6, m7;
#ifdef SILENT
           if
           :: mt == UPDATE ->
             note_signatures(THEM(me), m1, m2, m3, m5, m6)
           :: mt == FULL_STATE ->
             note_signature(THEM(me), m1, m2)
           :: else
           fi
#endif
#ifdef RESTORE
         :: what == DAY ->
           mt = A_DAY_LATER
#endif
         :: else ->
           mt = ASK; m1 = what; todo[me] = todo[me] & ~what
         fi;
         step(me);
         finish(me);
         what = 0; bad = 0
       }
     }
#ifdef SPLIT
  :: d_step { stage[me] == PERSIST -> copy_durable(me + 2, me); check(me); stage[me] = (stage[me] + 1) % 3 }
  :: d_step {
       stage[me] == POST && nempty(box[me]) ->
       box[me]?mt, m1, m2, m3, m4, m5, m6, m7;
       if
       :: mt == UPDATE ->
         note_signatures(me, m1, m2, m3, m5, m6)
       :: mt == FULL_STATE -> /* brings the signature of an accept that was lost in a crash before it left */
         note_signature(me, m1, m2)
       :: else
       fi;
       wire[THEM(me)]!mt, m1, m2, m3, m4, m5, m6, m7;
       forget_scratch()
     }
  :: d_step { stage[me] == POST && empty(box[me]) -> stage[me] = (stage[me] + 1) % 3 }
  :: d_step {
       faults && stage[me] ->
       faults--;
       copy_durable(me, me + 2); stage[me] = 0;
       todo[me] = ASKED(me) & ~(P[me].queue | PROPOSED(me) | P[me].lo | P[me].failed); /* no answer: asked again */
       break_link()
     }
#endif
  od
}

/* In pair without SPLIT a crash before a step is durable and one after it are both a break of the connection: memory and
 * disk are the same between steps. */
proctype network() {
end:
  do
  :: d_step { faults && !BROKEN_LINK -> faults--; break_link() }
  :: d_step {
       BROKEN_LINK && READY(0) && READY(1) ->
       P[0].up = 1; P[1].up = 1;
       say_reestablish(0); say_reestablish(1);
       finish(0); finish(1)
     }
#ifdef RESTORE
  :: d_step { !kept -> kept = 1; copy_durable(2, VICTIM) }
  :: d_step {
       kept && !restored ->
       restored = 1;
       copy_durable(VICTIM, 2);
       G[VICTIM].reported = P[VICTIM].lo;
#ifndef SILENT
       P[VICTIM].frozen = 1;
       void_resume(VICTIM);
#endif
       break_link()
     }
#endif
  od
}

#define RESTS(me) (P[me].synced && !P[me].frozen && P[me].ok == NOTHING && P[me].queue == 0 && todo[me] == 0)
#define AGREED (P[0].lv == P[1].lv && CONTENT(P[0].lo) == CONTENT(P[1].lo))
#define FATE(me) (P[me].lo | P[me].failed)

proctype monitor() {
  timeout ->
  assert(RESTS(0) && RESTS(1) && AGREED);
#ifdef RESTORE
  assert(((ever[0] | ever[1]) & ~P[0].lo & PAYS) == 0 && ((ever_failed[0] | ever_failed[1]) & P[0].lo & PAYS) == 0)
#else
  assert((OPS0 & ~FATE(0)) == 0 && (OPS1 & ~FATE(1)) == 0)
#endif
}

init {
  atomic {
    todo[0] = OPS0; todo[1] = OPS1;
    run party(0); run party(1); run network(); run monitor()
  }
}
