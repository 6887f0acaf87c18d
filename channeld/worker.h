/* worker.h - one thread that owns some of the channels and everything that is waiting for them. Nothing in here is
 * locked: other threads reach it only through its mailbox. */
#ifndef CHANNELD_WORKER_H
#define CHANNELD_WORKER_H

#include "node.h"
#include "util/queue.h"
#include "util/timers.h"

struct cd_contacts;
struct cd_opens;

typedef struct cd_worker {
  cd_node *node;
  unsigned shard;
  pthread_t thread;
  cd_queue queue;
  cd_timers timers;
  ch_keyring *keys;
  ch_signer signer;
  cd_table channels; /* cd_chan by id */
  cd_table remotes;  /* cd_remote by node id */
  cd_table links;    /* cd_remote by connection, while there is one */
  cd_table waits;    /* cd_pay_item by payment id */
  unsigned generation;
  cd_mail *held, **held_tail; /* the commit thread's: of units that are settled, until all of their commit are */
  size_t n_held;
  cd_head head; /* the last block whose views all lie behind; zero at first, so nothing is signed before */
  /* worker 0 only */
  struct cd_contacts *contacts;
  struct cd_opens *opens;
} cd_worker;

/* Makes the keys; channels can be added, the thread does not run yet. */
ch_err cd_worker_init(cd_worker *w, cd_node *node, unsigned shard);
bool cd_worker_start(cd_worker *w);
/* Ends the thread; mails that it has not run stay in the mailbox. */
void cd_worker_join(cd_worker *w);
/* Runs what is in the mailbox on the caller's thread, when the worker's has ended. False if there was nothing. */
bool cd_worker_drain(cd_worker *w);
/* Answers whoever still waits, as if the time were up: each wait has a timer. The thread has ended. */
void cd_worker_answer_all(cd_worker *w);
void cd_worker_free(cd_worker *w);

/* Replaces the signer by one that remembers nothing. */
ch_err cd_worker_fresh_keys(cd_worker *w);

/* Any thread. False if the mailbox is above its bound (the mail is in it all the same). */
bool cd_worker_post(cd_worker *w, cd_mail *mail);
/* The commit thread: puts a mail aside, and then posts all of them at once. */
void cd_worker_hold(cd_worker *w, cd_mail *mail);
void cd_worker_post_held(cd_worker *w);

#endif
