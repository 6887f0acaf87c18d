/* sender_internal.h - what the sender's files share: sender.c (rows and rounds), sender_new.c (what is sent for the
 * first time), sender_follow.c (what was sent). All of it belongs to the sender's thread. */
#ifndef CHANNELD_SENDER_INTERNAL_H
#define CHANNELD_SENDER_INTERNAL_H

#include "sender.h"

#define CD_COMPLAINTS 64

/* A nonce of ours that something else has used: since which block we have seen that. */
typedef struct cd_lost {
  ch_hash key;
  uint64_t since;
} cd_lost;

/* A failure that was told. The same wish comes and fails again as long as its cause lasts. */
typedef struct cd_complaint {
  ch_hash key;
  char why[200];
} cd_complaint;

struct cd_sender {
  cd_node *node;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t woken;
  bool work, stop;
  uint64_t gather_until; /* cd_monotonic_ms; under the lock, like: */
  size_t gather_n;       /* Close calls that end the waiting */
  /* the thread's own */
  cd_tx_row *rows; /* the unfinished ones, in the order of their wishes */
  size_t n, cap;
  bool incomplete;     /* memory was out */
  cd_head head;        /* of this round */
  uint64_t next_nonce; /* of the account, at the head */
  bool again;          /* there is more to do at once */
  cd_lost *lost;
  size_t n_lost;
  cd_complaint complaints[CD_COMPLAINTS]; /* the latest */
  size_t next_complaint;
  uint64_t look_at_balance; /* from this block on */
  bool poor;
};

/* Stores a row; false if that failed, which is logged. */
bool cd_sender_put(cd_sender *s, cd_tx_row *row);
/* Ends a row, for the reason `why`, which is logged unless it was told lately. */
void cd_sender_fail(cd_sender *s, cd_tx_row *row, const char *why);
/* Whether a transaction's trouble was not told lately. */
bool cd_sender_is_news(cd_sender *s, const cd_tx_row *row, const char *why);
/* Broadcasts a row's bytes and logs what came of it. */
cd_sent cd_sender_broadcast(cd_sender *s, const cd_tx_row *row, char why[200]);

/* sender_new.c: whatever is QUEUED and may go, goes. */
void cd_sender_send_queued(cd_sender *s);
/* sender_follow.c: all that was sent. */
void cd_sender_follow_all(cd_sender *s);

#endif
