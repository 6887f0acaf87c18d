/* cmd_peer.c - commands about other nodes: all run on worker 0, which keeps the contacts. */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "contacts.h"

#define CONNECT_WAIT_MS 5000

typedef enum what { CONNECT, LIST, FORGET } what;

typedef struct job {
  cd_mail mail;
  what what;
  ch_pubkey node;
  char address[CD_ADDRESS_LEN];
  uint64_t wait_ms;
  cd_reply reply;
} job;

static void run(void *self, cd_mail *mail) {
  job *j = (job *)(void *)mail;
  switch (j->what) {
  case CONNECT: cd_contacts_connect(self, &j->node, j->address, j->wait_ms, j->reply); break;
  case LIST: cd_contacts_list(self, j->reply); break;
  case FORGET: cd_contacts_forget(self, &j->node, j->reply); break;
  }
  free(j);
}

static void post(cd_args *a, job like) {
  job *j = malloc(sizeof *j);
  if (j == NULL) {
    cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
    return;
  }
  *j = like;
  j->mail.run = run;
  j->reply = a->reply;
  cd_worker_post(&a->node->workers[0], &j->mail);
}

/* The address is kept before it is used: after a restart the node connects again. */
static bool keep(cd_args *a, const ch_pubkey *node, const char *address) {
  cd_store *store = &a->node->store;
  ch_err err = store->ops->peer_put(store->ctx, node, address);
  if (err != CH_OK)
    cd_reply_fail(a->reply, CD_INTERNAL, "not_saved", "Look at the log and at the disk, then try again.",
                  "The peer's address could not be saved.");
  return err == CH_OK;
}

/* "host:port" with a port that can be. */
static bool address_ok(const char *address) {
  const char *colon = strrchr(address, ':');
  char *end;
  if (colon == NULL || colon == address || strlen(address) >= CD_ADDRESS_LEN) return false;
  long port = strtol(colon + 1, &end, 10);
  return *end == '\0' && port >= 1 && port <= 65535;
}

void cd_cmd_peer_connect(cd_args *a) {
  job j = {.what = CONNECT, .node = cd_arg_node(a, "node_id")};
  const char *address = cd_arg_text(a, "address");
  j.wait_ms = cd_arg_number(a, "wait_ms", CONNECT_WAIT_MS);
  if (address == NULL || !address_ok(address)) cd_args_fail(a, "address", "HOST:PORT");
  if (!a->failed && ch_pubkey_eq(&j.node, &a->node->id)) cd_args_fail(a, "node_id", "another node's id");
  if (a->failed || !keep(a, &j.node, address)) return;
  snprintf(j.address, sizeof j.address, "%s", address);
  post(a, j);
}

void cd_cmd_peer_list(cd_args *a) {
  post(a, (job){.what = LIST});
}

void cd_cmd_peer_forget(cd_args *a) {
  job j = {.what = FORGET, .node = cd_arg_node(a, "node_id")};
  if (a->failed || !keep(a, &j.node, NULL)) return;
  post(a, j);
}
