/* kinds.h - what can happen in the world of whole daemons, by name. A run of many seeds in which one of them never
 * happens is no proof of anything, so it fails. */
#ifndef SIM_DAEMON_KINDS_H
#define SIM_DAEMON_KINDS_H

/* X(SYMBOL, "name") */
#define SIM_ACTIONS(X)                                                                                                 \
  X(OPEN, "open")                                                                                                      \
  X(PAY, "pay")                                                                                                        \
  X(PAY_MANY, "pay many at once")                                                                                      \
  X(PAY_AGAIN, "pay with an id that was used")                                                                         \
  X(PAY_REFUSED, "payment refused")                                                                                    \
  X(SETTLED, "payment settled")                                                                                        \
  X(LOCK, "lock")                                                                                                      \
  X(FULFIL, "fulfil")                                                                                                  \
  X(CANCEL, "cancel")                                                                                                  \
  X(DEPOSIT, "deposit")                                                                                                \
  X(WITHDRAW, "withdraw")                                                                                              \
  X(MOVE, "move")                                                                                                      \
  X(CLOSE, "close")                                                                                                    \
  X(CLOSE_ALL, "close all")                                                                                            \
  X(CHALLENGE, "challenge")                                                                                            \
  X(FREEZE, "freeze")                                                                                                  \
  X(RESUME, "resume")                                                                                                  \
  X(FORGET, "peer forgotten")                                                                                          \
  X(LOOK, "look")                                                                                                      \
  X(STOP, "stop and start")                                                                                            \
  X(ENDED, "channel ended")

#define SIM_FAULTS(X)                                                                                                  \
  X(KILL, "kill")                                                                                                      \
  X(POWER, "power cut")                                                                                                \
  X(CRASH_START, "crash while starting")                                                                               \
  X(LOST, "message lost")                                                                                              \
  X(SLOW, "message slow")                                                                                              \
  X(CUT, "cut")                                                                                                        \
  X(HALF_CUT, "cut that one side sees late")                                                                           \
  X(REFUSED, "connection refused")                                                                                     \
  X(BLIND, "chain view stands still")                                                                                  \
  X(REORG, "reorganisation")                                                                                           \
  X(WARP, "time passes")                                                                                               \
  X(CLOCK, "clock set")                                                                                                \
  X(DISK_FULL, "disk full")                                                                                            \
  X(DISK_FAULT, "disk fault")                                                                                          \
  X(RESTORE, "old copy restored")                                                                                      \
  X(CLONE, "clone alive")

typedef enum sim_kind {
#define SIM_ENUM(sym, name) K_##sym,
  SIM_ACTIONS(SIM_ENUM) SIM_FAULTS(SIM_ENUM)
#undef SIM_ENUM
      N_KINDS
} sim_kind;

#endif
