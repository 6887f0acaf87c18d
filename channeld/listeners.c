/* listeners.c - what the transport's and the chain's threads call: each puts a mail into the right mailbox. */
#include <stdio.h>
#include <stdlib.h>

#include "chan.h"
#include "contacts.h"
#include "opens.h"
#include "sender.h"

/* The channel id's place in a message: after the type, field 1, 32 bytes (proto/peer.proto). Whether it really is one
 * is seen when the worker decodes the message; a wrong guess finds no channel there. */
#define ID_AT 4

/* When the node stops, what is still in a mailbox is dropped: the peers and the chain say it again next time. */
static bool is_stopping(const cd_worker *w) {
  return atomic_load(&w->node->stopping);
}

/* --- The transport -------------------------------------------------------------------------------- */

typedef struct link_mail {
  cd_mail mail;
  ch_pubkey node;
  cd_conn conn;
  bool inbound;
  char text[CD_ADDRESS_LEN]; /* the address, or the reason */
} link_mail;

static link_mail *link_mail_new(const ch_pubkey *node, cd_conn conn, const char *text,
                                void (*run)(void *self, cd_mail *mail)) {
  link_mail *m = calloc(1, sizeof *m);
  if (m == NULL) return NULL;
  m->mail.run = run;
  m->node = *node;
  m->conn = conn;
  snprintf(m->text, sizeof m->text, "%s", text == NULL ? "" : text);
  return m;
}

static void run_up(void *self, cd_mail *mail) {
  cd_worker *w = self;
  link_mail *m = (link_mail *)(void *)mail;
  if (w->contacts != NULL) cd_contacts_up(w, &m->node, m->conn, m->inbound, m->text);
  cd_remote_up(w, &m->node, m->conn);
  free(m);
}

static void run_down(void *self, cd_mail *mail) {
  cd_worker *w = self;
  link_mail *m = (link_mail *)(void *)mail;
  if (w->contacts != NULL) cd_contacts_down(w, &m->node, m->conn, m->text);
  if (w->opens != NULL) cd_opens_down(w, &m->node);
  cd_remote_down(w, &m->node, m->conn);
  free(m);
}

static void run_failed(void *self, cd_mail *mail) {
  link_mail *m = (link_mail *)(void *)mail;
  cd_contacts_failed(self, &m->node, m->text);
  free(m);
}

static void up(void *ctx, cd_conn conn, const ch_pubkey *node, bool inbound, const char *address) {
  cd_node *n = ctx;
  atomic_fetch_add(&n->connected, 1);
  for (unsigned i = 0; i < n->n_workers; i++) {
    link_mail *m = link_mail_new(node, conn, address, run_up);
    if (m == NULL) {
      n->net.ops->close(n->net.ctx, conn, "out of memory");
      return;
    }
    m->inbound = inbound;
    cd_worker_post(&n->workers[i], &m->mail);
  }
}

static void down(void *ctx, cd_conn conn, const ch_pubkey *node, const char *reason) {
  cd_node *n = ctx;
  atomic_fetch_sub(&n->connected, 1);
  for (unsigned i = 0; i < n->n_workers; i++) {
    link_mail *m = link_mail_new(node, conn, reason, run_down);
    if (m != NULL) cd_worker_post(&n->workers[i], &m->mail);
  }
}

static void failed(void *ctx, const ch_pubkey *node, const char *address, const char *reason) {
  cd_node *n = ctx;
  (void)address;
  link_mail *m = link_mail_new(node, 0, reason, run_failed);
  if (m != NULL) cd_worker_post(&n->workers[0], &m->mail);
}

typedef struct message_mail {
  cd_mail mail;
  cd_conn conn;
  uint8_t *bytes;
  size_t len;
  bool paused; /* the transport waits for resume() */
} message_mail;

static void run_message(void *self, cd_mail *mail) {
  cd_worker *w = self;
  message_mail *m = (message_mail *)(void *)mail;
  if (!is_stopping(w)) cd_remote_message(w, m->conn, m->bytes, m->len);
  if (m->paused) w->node->net.ops->resume(w->node->net.ctx, m->conn);
  free(m->bytes);
  free(m);
}

/* Errors and openings go to worker 0, the rest to the channel's owner. */
static cd_worker *route(cd_node *n, const uint8_t *bytes, size_t len) {
  ch_hash id;
  if (len < ID_AT + sizeof id) return &n->workers[0];
  unsigned type = (unsigned)bytes[0] << 8 | bytes[1];
  if (type == CH_MSG_ERROR || type == CH_MSG_OPEN_REQUEST || type == CH_MSG_OPEN_ACCEPT) return &n->workers[0];
  memcpy(id.b, bytes + ID_AT, sizeof id.b);
  return cd_node_owner(n, &id);
}

static bool message(void *ctx, cd_conn conn, uint8_t *bytes, size_t len) {
  cd_node *n = ctx;
  cd_worker *w = route(n, bytes, len);
  message_mail *m = malloc(sizeof *m);
  if (m == NULL) {
    free(bytes);
    n->net.ops->close(n->net.ctx, conn, "out of memory");
    return true;
  }
  bool paused = cd_queue_full(&w->queue);
  *m = (message_mail){.mail.run = run_message, .conn = conn, .bytes = bytes, .len = len, .paused = paused};
  cd_worker_post(w, &m->mail);
  return !paused;
}

cd_net_listener cd_node_net_listener(cd_node *n) {
  return (cd_net_listener){.ctx = n, .up = up, .message = message, .down = down, .failed = failed};
}

/* --- The chain ------------------------------------------------------------------------------------ */

typedef struct view_mail {
  cd_mail mail;
  ch_hash id;
  ch_chain_view view;
} view_mail;

static void run_view(void *self, cd_mail *mail) {
  cd_worker *w = self;
  view_mail *m = (view_mail *)(void *)mail;
  cd_chan *c = is_stopping(w) ? NULL : cd_chan_get(w, &m->id);
  if (c != NULL) cd_chan_view(w, c, &m->view);
  free(m);
}

static void view(void *ctx, const ch_hash *id, const ch_chain_view *v) {
  cd_node *n = ctx;
  view_mail *m = malloc(sizeof *m);
  if (m == NULL) {
    cd_log(CD_LOG_ERROR, "l1", "out of memory: a view of the chain was lost");
    return;
  }
  *m = (view_mail){.mail.run = run_view, .id = *id, .view = *v};
  cd_worker_post(cd_node_owner(n, id), &m->mail);
}

typedef struct reveal_mail {
  cd_mail mail;
  ch_hash id;
  ch_reveal reveal;
} reveal_mail;

static void run_reveal(void *self, cd_mail *mail) {
  cd_worker *w = self;
  reveal_mail *m = (reveal_mail *)(void *)mail;
  cd_chan *c = is_stopping(w) ? NULL : cd_chan_get(w, &m->id);
  if (c != NULL) cd_chan_nudge(w, c, &(ch_event){.kind = CH_EV_REVEAL, .u.reveal = &m->reveal});
  free(m);
}

static void reveal(void *ctx, const ch_hash *id, const ch_reveal *what) {
  cd_node *n = ctx;
  reveal_mail *m = malloc(sizeof *m);
  if (m == NULL) {
    cd_log(CD_LOG_ERROR, "l1", "out of memory: a reveal on the chain was lost");
    return;
  }
  *m = (reveal_mail){.mail.run = run_reveal, .id = *id, .reveal = *what};
  cd_worker_post(cd_node_owner(n, id), &m->mail);
}

typedef struct head_mail {
  cd_mail mail;
  cd_head head;
} head_mail;

/* The views that belong to this head lie before it in the mailbox, so a channel is never stepped with a block that is
 * newer than its view: "expired unused" must not be believed before what the block did has been seen. */
static void run_head(void *self, cd_mail *mail) {
  cd_worker *w = self;
  w->head = ((head_mail *)(void *)mail)->head;
  free(mail);
  size_t i = 0;
  for (cd_chan *c; !is_stopping(w) && (c = cd_table_next(&w->channels, &i)) != NULL;)
    cd_chan_tick(w, c);
}

static void head(void *ctx, const cd_head *h) {
  cd_node *n = ctx;
  pthread_mutex_lock(&n->head_lock);
  n->head = *h;
  pthread_mutex_unlock(&n->head_lock);
  cd_sender_wake(n->sender);
  for (unsigned i = 0; i < n->n_workers; i++) {
    head_mail *m = malloc(sizeof *m);
    if (m == NULL) {
      cd_log(CD_LOG_ERROR, "l1", "out of memory: a block is looked at with the next one");
      continue;
    }
    *m = (head_mail){.mail.run = run_head, .head = *h};
    cd_worker_post(&n->workers[i], &m->mail);
  }
}

cd_l1_listener cd_node_l1_listener(cd_node *n) {
  return (cd_l1_listener){.ctx = n, .head = head, .view = view, .reveal = reveal};
}
