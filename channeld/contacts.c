#include "contacts.h"

#include <stdio.h>
#include <stdlib.h>

#include "json.h"

struct wait;

typedef struct contact {
  ch_pubkey node;
  bool wanted, inbound;
  cd_conn conn; /* 0: none */
  char address[CD_ADDRESS_LEN];
  char error[200]; /* of the last attempt or connection */
  struct wait *waits;
} contact;

/* A command that waits for the connection. */
typedef struct wait {
  cd_timer timer;
  struct wait *next;
  contact *contact;
  cd_reply reply;
} wait;

struct cd_contacts {
  cd_table table; /* by node id */
};

cd_contacts *cd_contacts_new(void) {
  cd_contacts *c = calloc(1, sizeof *c);
  if (c != NULL) cd_table_init(&c->table, offsetof(contact, node), sizeof(ch_pubkey));
  return c;
}

void cd_contacts_free(cd_contacts *c) {
  if (c == NULL) return;
  size_t i = 0;
  for (contact *one; (one = cd_table_next(&c->table, &i)) != NULL;)
    free(one);
  cd_table_free(&c->table);
  free(c);
}

/* Made if there is none; NULL if memory is out. */
static contact *contact_of(cd_worker *w, const ch_pubkey *node) {
  contact *c = cd_table_get(&w->contacts->table, node);
  if (c != NULL) return c;
  c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->node = *node;
  if (cd_table_put(&w->contacts->table, c)) return c;
  free(c);
  return NULL;
}

static void release(cd_worker *w, contact *c) {
  if (c->wanted || c->conn != 0 || c->waits != NULL) return;
  cd_table_remove(&w->contacts->table, &c->node);
  free(c);
}

static json_t *to_json(cd_worker *w, const contact *c) {
  cd_counts n = cd_directory_count(&w->node->directory, &c->node);
  return json_pack("{s:o, s:s, s:b, s:b, s:i, s:o}", "node_id", cd_json_node(&c->node), "address", c->address,
                   "connected", c->conn != 0, "inbound", c->inbound, "channels", (int)n.total, "last_error",
                   c->error[0] == '\0' ? json_null() : json_string(c->error));
}

/* Text from outside, as it may stand in a document. */
static void copy_text(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text);
  for (char *p = out; *p != '\0'; p++) {
    if (*p < 0x20 || *p > 0x7e) *p = '?';
  }
}

/* --- Waiting for a connection -------------------------------------------------------------------- */

static void answer(cd_worker *w, wait *one) {
  cd_timers_unset(&w->timers, &one->timer);
  cd_reply_with(one->reply, one->contact->conn != 0 ? CD_OK : CD_ACCEPTED, to_json(w, one->contact));
  free(one);
}

static void wait_over(void *self, cd_timer *timer) {
  wait *one = (wait *)(void *)timer;
  wait **at = &one->contact->waits;
  while (*at != one)
    at = &(*at)->next;
  *at = one->next;
  answer(self, one);
}

void cd_contacts_connect(cd_worker *w, const ch_pubkey *node, const char *address, uint64_t wait_ms, cd_reply reply) {
  cd_contacts_want(w, node, address);
  contact *c = contact_of(w, node);
  wait *one = calloc(1, sizeof *one);
  if (c == NULL || one == NULL) {
    free(one);
    cd_reply_err(reply, CH_ERR_NO_MEMORY);
    return;
  }
  *one = (wait){.timer.fire = wait_over, .contact = c, .reply = reply};
  if (c->conn != 0 || wait_ms == 0) {
    answer(w, one);
    return;
  }
  one->next = c->waits;
  c->waits = one;
  cd_timers_set(&w->timers, &one->timer, cd_monotonic_ms() + wait_ms);
}

/* --- Commands ------------------------------------------------------------------------------------ */

void cd_contacts_want(cd_worker *w, const ch_pubkey *node, const char *address) {
  cd_net *net = &w->node->net;
  contact *c = contact_of(w, node);
  if (c == NULL) return;
  c->wanted = true;
  copy_text(c->address, sizeof c->address, address);
  ch_err err = net->ops->connect(net->ctx, node, address);
  if (err != CH_OK) copy_text(c->error, sizeof c->error, ch_err_text(err));
}

void cd_contacts_forget(cd_worker *w, const ch_pubkey *node, cd_reply reply) {
  cd_net *net = &w->node->net;
  contact *c = cd_table_get(&w->contacts->table, node);
  if (c == NULL) {
    cd_reply_fail(reply, CD_NOT_FOUND, "unknown_peer", "`peer list` shows all.", "There is no such peer here.");
    return;
  }
  net->ops->forget(net->ctx, node);
  if (c->conn != 0) net->ops->close(net->ctx, c->conn, "forgotten on command");
  c->wanted = false;
  release(w, c);
  cd_reply_with(reply, CD_OK, json_object());
}

void cd_contacts_list(cd_worker *w, cd_reply reply) {
  json_t *list = json_array();
  size_t i = 0;
  for (const contact *c; (c = cd_table_next(&w->contacts->table, &i)) != NULL;)
    json_array_append_new(list, to_json(w, c));
  cd_reply_with(reply, CD_OK, json_pack("{s:o}", "peers", list));
}

/* --- What the transport tells -------------------------------------------------------------------- */

void cd_contacts_up(cd_worker *w, const ch_pubkey *node, cd_conn conn, bool inbound, const char *address) {
  cd_log(CD_LOG_INFO, "net", "connected node=%s address=%s %s", cd_short_node(node).s, address,
         inbound ? "inbound" : "outbound");
  contact *c = contact_of(w, node);
  if (c == NULL) return;
  c->conn = conn;
  c->inbound = inbound;
  c->error[0] = '\0';
  if (!c->wanted) copy_text(c->address, sizeof c->address, address);
  wait *all = c->waits;
  c->waits = NULL;
  while (all != NULL) {
    wait *one = all;
    all = one->next;
    answer(w, one);
  }
}

void cd_contacts_down(cd_worker *w, const ch_pubkey *node, cd_conn conn, const char *reason) {
  cd_log(CD_LOG_INFO, "net", "disconnected: %s node=%s", reason, cd_short_node(node).s);
  contact *c = cd_table_get(&w->contacts->table, node);
  if (c == NULL || c->conn != conn) return;
  c->conn = 0;
  copy_text(c->error, sizeof c->error, reason);
  release(w, c);
}

void cd_contacts_failed(cd_worker *w, const ch_pubkey *node, const char *reason) {
  contact *c = cd_table_get(&w->contacts->table, node);
  if (c == NULL) return;
  if (strcmp(c->error, reason) != 0)
    cd_log(CD_LOG_INFO, "net", "cannot connect yet: %s node=%s address=%s", reason, cd_short_node(node).s, c->address);
  copy_text(c->error, sizeof c->error, reason);
}
