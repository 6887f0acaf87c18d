/* kinds.h - what can happen in the simulated world, by name. A run of many seeds in which one of them never happens is
 * no proof of anything, so it fails. */
#ifndef SIM_KINDS_H
#define SIM_KINDS_H

/* X(SYMBOL, "name") */
#define SIM_ACTIONS(X)                                                                                                 \
  X(PAY, "pay")                                                                                                        \
  X(PAY_BATCH, "pay many at once")                                                                                     \
  X(PAY_ALL, "pay all that is spendable")                                                                              \
  X(PAY_REFUSED, "pay more than there is")                                                                             \
  X(REFUSAL, "refusal by the peer")                                                                                    \
  X(LOCK_HASH, "hash lock")                                                                                            \
  X(LOCK_CONTRACT, "contract lock")                                                                                    \
  X(LOCK_SHORT, "lock that expires soon")                                                                              \
  X(LOCK_REFUSED, "lock refused")                                                                                      \
  X(FULFIL, "fulfil")                                                                                                  \
  X(FULFIL_LATE, "fulfil at the last second")                                                                          \
  X(FULFIL_CONTRACT, "contract lock paid by its payer")                                                                \
  X(CANCEL, "cancel")                                                                                                  \
  X(LOCK_PAID, "lock ends paid")                                                                                       \
  X(LOCK_BACK, "lock ends unpaid")                                                                                     \
  X(LOCK_EXPIRED, "lock taken back after its expiry")                                                                  \
  X(REVEAL, "reveal on chain")                                                                                         \
  X(WITHDRAW, "withdraw")                                                                                              \
  X(WITHDRAW_ALL, "withdraw all")                                                                                      \
  X(WITHDRAW_RACE, "withdraw raced against payments")                                                                  \
  X(WITHDRAWN, "withdrawal on chain")                                                                                  \
  X(MOVE, "move")                                                                                                      \
  X(MOVED, "move on chain")                                                                                            \
  X(DEPOSIT, "deposit")                                                                                                \
  X(DEPOSIT_AGAIN, "the same deposit asked for again")                                                                 \
  X(CLOSE, "close")                                                                                                    \
  X(CLOSE_BOTH, "close by both")                                                                                       \
  X(CLOSE_RACE, "close raced against payments")                                                                        \
  X(CLOSED, "close on chain")                                                                                          \
  X(CHALLENGE, "challenge")                                                                                            \
  X(CHALLENGE_CLOSE, "close in a dispute")                                                                             \
  X(REFUTED, "refutation on chain")                                                                                    \
  X(SETTLED, "settlement on chain")                                                                                    \
  X(SETTLED_LOCKS, "settlement with locks")                                                                            \
  X(REOPEN, "opened again")                                                                                            \
  X(FREEZE, "freeze")                                                                                                  \
  X(RESUME, "resume")

#define SIM_FAULTS(X)                                                                                                  \
  X(CRASH_BEFORE, "crash before a persist")                                                                            \
  X(CRASH_AFTER, "crash after a persist")                                                                              \
  X(CRASH_SENDING, "crash while sending")                                                                              \
  X(CRASH_IDLE, "crash at rest")                                                                                       \
  X(NOT_SAVED, "persist refused by the disk")                                                                          \
  X(CUT, "cut")                                                                                                        \
  X(HALF_CUT, "cut that one side sees late")                                                                           \
  X(DROP, "message dropped")                                                                                           \
  X(DELAY, "message delayed past a block")                                                                             \
  X(REORG, "reorganisation")                                                                                           \
  X(REORG_TX, "transaction taken back")                                                                                \
  X(REORG_EXPIRY, "reorganisation around an expiry")                                                                   \
  X(TX_LATE, "transaction kept waiting")                                                                               \
  X(STALL, "chain node stalled")                                                                                       \
  X(EDGE, "block at the second of a deadline")                                                                         \
  X(RESTORE, "old copy restored")                                                                                      \
  X(CLONE, "clone started")                                                                                            \
  X(CLONE_SWAP, "clones alternate")                                                                                    \
  X(CHEAT, "challenge with an old state")                                                                              \
  X(DUPLICATE, "message duplicated")                                                                                   \
  X(REORDER, "message out of order")                                                                                   \
  X(LIE_VERSION, "lie: version")                                                                                       \
  X(LIE_CONTENT, "lie: second content for a version")                                                                  \
  X(LIE_SPLICE, "lie: signature of another content")                                                                   \
  X(LIE_LOCK, "lie: locks")                                                                                            \
  X(LIE_EPOCH, "lie: epoch")                                                                                           \
  X(LIE_FUNDS, "lie: funds")                                                                                           \
  X(LIE_OPS, "lie: operations that are not allowed")                                                                   \
  X(LIE_REESTABLISH, "lie: reestablish")                                                                               \
  X(LIE_RESUME, "lie: resume")                                                                                         \
  X(LIE_CLOSE, "lie: close")                                                                                           \
  X(LIE_WITHDRAW, "lie: withdraw")                                                                                     \
  X(LIE_STATE, "lie: full state")                                                                                      \
  X(SILENT, "peer silent at the worst moment")                                                                         \
  X(LATE_ACCEPT, "accept in the last seconds of a dispute, or after the ending")                                       \
  X(LIAR_ON_CHAIN, "transaction of the liar")                                                                          \
  X(LIAR_REVEAL, "reveal by the liar at the last second")                                                              \
  X(DEAD_EPOCH, "payment with a dead epoch behind a stalled node")                                                     \
  X(LOST_TO_LIAR, "memory lost or doubled beside a lying peer")

typedef enum sim_kind {
#define SIM_ENUM(sym, name) K_##sym,
  SIM_ACTIONS(SIM_ENUM) SIM_FAULTS(SIM_ENUM)
#undef SIM_ENUM
      N_KINDS
} sim_kind;

#endif
