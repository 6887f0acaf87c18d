#include "worker.h"

#include <stdlib.h>

#include "cmd_channel.h"
#include "contacts.h"
#include "opens.h"
#include "payments.h"

#define MAILBOX_BOUND 8192

bool cd_worker_post(cd_worker *w, cd_mail *mail) {
  return cd_queue_put(&w->queue, mail);
}

void cd_worker_hold(cd_worker *w, cd_mail *mail) {
  mail->next = NULL;
  *w->held_tail = mail;
  w->held_tail = &mail->next;
  w->n_held++;
}

void cd_worker_post_held(cd_worker *w) {
  if (w->n_held == 0) return;
  cd_mail *last = (cd_mail *)(void *)((char *)w->held_tail - offsetof(cd_mail, next));
  cd_queue_put_all(&w->queue, w->held, last, w->n_held);
  w->held = NULL;
  w->held_tail = &w->held;
  w->n_held = 0;
}

ch_err cd_worker_fresh_keys(cd_worker *w) {
  ch_keyring_free(w->keys);
  w->keys = NULL;
  ch_err err = ch_keyring_new(&w->keys, w->node->seed);
  if (err == CH_OK) w->signer = ch_keyring_signer(w->keys);
  return err;
}

ch_err cd_worker_init(cd_worker *w, cd_node *node, unsigned shard) {
  w->node = node;
  w->shard = shard;
  w->held_tail = &w->held;
  cd_queue_init(&w->queue, MAILBOX_BOUND);
  cd_table_init(&w->channels, offsetof(cd_chan, id), sizeof(ch_hash));
  cd_table_init(&w->remotes, offsetof(cd_remote, node), sizeof(ch_pubkey));
  cd_table_init(&w->links, offsetof(cd_remote, conn), sizeof(cd_conn));
  cd_table_init(&w->waits, offsetof(cd_pay_item, id), sizeof(cd_pay_id));
  if (shard == 0) {
    w->contacts = cd_contacts_new();
    w->opens = cd_opens_new();
    if (w->contacts == NULL || w->opens == NULL) return CH_ERR_NO_MEMORY;
  }
  return cd_worker_fresh_keys(w);
}

static bool run_all(cd_worker *w, cd_mail *list) {
  bool any = list != NULL;
  while (list != NULL) {
    cd_mail *mail = list;
    list = mail->next;
    mail->run(w, mail);
  }
  return any;
}

/* Tells the store when it goes to rest and when it is back. */
static cd_mail *take(cd_worker *w, uint64_t deadline, bool *closed) {
  const cd_store *store = &w->node->store;
  bool rests = cd_queue_empty(&w->queue);
  if (rests) store->ops->at_work(store->ctx, false);
  cd_mail *list = cd_queue_take(&w->queue, deadline, closed);
  if (rests) store->ops->at_work(store->ctx, true);
  return list;
}

static void *run(void *arg) {
  cd_worker *w = arg;
  const cd_store *store = &w->node->store;
  bool closed = false;
  uint64_t deadline = 0;
  store->ops->at_work(store->ctx, true);
  while (!closed) {
    run_all(w, take(w, deadline, &closed));
    deadline = cd_timers_fire(&w->timers, cd_monotonic_ms(), w);
  }
  store->ops->at_work(store->ctx, false);
  return NULL;
}

bool cd_worker_start(cd_worker *w) {
  return pthread_create(&w->thread, NULL, run, w) == 0;
}

void cd_worker_join(cd_worker *w) {
  cd_queue_close(&w->queue);
  pthread_join(w->thread, NULL);
}

bool cd_worker_drain(cd_worker *w) {
  bool closed;
  cd_queue_close(&w->queue);
  return run_all(w, cd_queue_take(&w->queue, 0, &closed));
}

void cd_worker_answer_all(cd_worker *w) {
  cd_timers_fire(&w->timers, UINT64_MAX, w);
}

void cd_worker_free(cd_worker *w) {
  size_t i = 0;
  for (cd_chan *c; (c = cd_table_next(&w->channels, &i)) != NULL;)
    cd_chan_free(c);
  i = 0;
  for (cd_remote *r; (r = cd_table_next(&w->remotes, &i)) != NULL;)
    free(r);
  cd_table_free(&w->channels);
  cd_table_free(&w->remotes);
  cd_table_free(&w->links);
  cd_table_free(&w->waits);
  cd_contacts_free(w->contacts);
  cd_opens_free(w->opens);
  ch_keyring_free(w->keys);
  cd_queue_destroy(&w->queue);
}
