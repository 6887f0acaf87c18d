/* cmd_l1.c - commands about the chain, and the deployment of an Adjudicator. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "sender.h"
#include "worker.h"

#define LOOK_MS 200
#define DEPLOY_WAIT_MS 60000

json_t *cd_chain_json(cd_node *n) {
  ch_env env;
  cd_node_env(n, &env);
  uint64_t lag = env.now > env.head_time ? env.now - env.head_time : 0;
  return json_pack("{s:s, s:I, s:o, s:I, s:I, s:I, s:b}", "kind", n->l1.ops->name, "chain_id",
                   (json_int_t)n->chain.chain_id, "adjudicator", cd_json_addr(&n->chain.adjudicator), "head",
                   (json_int_t)env.head_number, "head_time", (json_int_t)env.head_time, "lag", (json_int_t)lag, "fresh",
                   cd_env_fresh(&env));
}

/* --- Looking --------------------------------------------------------------------------------------- */

static bool add_tx(void *arg, const cd_tx_row *row) {
  json_array_append_new(arg, cd_json_tx(row));
  return true;
}

/* Null: the chain did not answer. */
static json_t *balance_json(cd_node *n) {
  const ch_addr native = {0};
  ch_amount have;
  bool answered = n->l1.ops->balance(n->l1.ctx, &n->account, &native, &have) == CH_OK;
  return answered ? cd_json_amount(have) : json_null();
}

void cd_cmd_l1_status(cd_args *a) {
  cd_node *n = a->node;
  json_t *list = json_array(), *out = cd_chain_json(n);
  ch_env env;
  cd_node_env(n, &env);
  ch_err err = n->store.ops->txs(n->store.ctx, true, add_tx, list);
  if (err != CH_OK) {
    json_decref(list);
    json_decref(out);
    cd_reply_err(a->reply, err);
    return;
  }
  json_object_set_new(out, "now", json_integer((json_int_t)env.now));
  json_object_set_new(out, "final", json_integer((json_int_t)env.final_number));
  json_object_set_new(out, "address", cd_json_addr(&n->account));
  json_object_set_new(out, "balance", balance_json(n));
  json_object_set_new(out, "transactions", list);
  cd_reply_with(a->reply, CD_OK, out);
}

/* --- Deploying ------------------------------------------------------------------------------------- */

/* Waits for the transaction of one row, by looking at it. */
typedef struct deploy {
  cd_mail mail;
  cd_timer timer;
  cd_reply reply;
  ch_hash key;
  uint64_t until;
} deploy;

typedef struct progress {
  cd_tx_status status;
  ch_hash hash;
  char error[200];
} progress;

static bool take_progress(void *arg, const cd_tx_row *row) {
  progress *p = arg;
  *p = (progress){.status = row->status, .hash = row->hash};
  memcpy(p->error, row->error, sizeof p->error);
  return false;
}

static void reply_deployed(const deploy *d, const progress *p, const ch_addr *at) {
  char address[43] = "0x", line[64] = "";
  ch_hex(address + 2, at->b, sizeof at->b);
  if (!ch_addr_is_zero(at)) snprintf(line, sizeof line, "contract = %s", address);
  bool mined = line[0] != '\0';
  cd_reply_with(d->reply, mined ? CD_OK : CD_ACCEPTED,
                json_pack("{s:o, s:o, s:s, s:o, s:s}", "key", cd_json_hash(&d->key), "adjudicator",
                          mined ? cd_json_addr(at) : json_null(), "status", cd_tx_status_name(p->status), "hash",
                          ch_hash_is_zero(&p->hash) ? json_null() : cd_json_hash(&p->hash), "config", line));
}

static void look_at_deploy(void *self, cd_timer *timer) {
  cd_worker *w = self;
  deploy *d = (deploy *)(void *)((char *)timer - offsetof(deploy, timer));
  cd_store *store = &w->node->store;
  cd_l1 *l1 = &w->node->l1;
  progress p = {.status = CD_TX_QUEUED};
  cd_receipt r = {0};
  const ch_hash whole = {0};
  ch_err err = store->ops->tx(store->ctx, &d->key, take_progress, &p);
  bool mined = p.status == CD_TX_MINED || p.status == CD_TX_DONE;
  if (err == CH_OK && mined && l1->ops->receipt(l1->ctx, &p.hash, &whole, &r) != CH_OK) mined = false;
  if (p.status == CD_TX_FAILED) {
    cd_reply_fail(d->reply, CD_BAD_GATEWAY, "deploy_failed", "Look at the account's balance, then try again.",
                  "The Adjudicator was not deployed: %s", p.error);
  } else if (!mined && cd_monotonic_ms() < d->until && !atomic_load(&w->node->stopping)) {
    cd_timers_set(&w->timers, timer, cd_monotonic_ms() + LOOK_MS);
    return;
  } else {
    reply_deployed(d, &p, &r.created);
  }
  free(d);
}

static void start_looking(void *self, cd_mail *mail) {
  look_at_deploy(self, &((deploy *)(void *)mail)->timer);
}

void cd_cmd_l1_deploy(cd_args *a) {
  cd_node *n = a->node;
  cd_tx_row row = {.kind = CD_KIND_DEPLOY, .status = CD_TX_QUEUED};
  uint64_t wait_ms = cd_arg_number(a, "wait_ms", DEPLOY_WAIT_MS);
  if (a->failed) return;
  if (n->l1.ops->encode_deploy == NULL) {
    cd_reply_fail(a->reply, CD_CONFLICT, "nothing_to_deploy", "Start the node with --l1 evm to use a real chain.",
                  "This chain has an Adjudicator of its own.");
    return;
  }
  deploy *d = calloc(1, sizeof *d);
  randombytes_buf(&row.key, sizeof row.key);
  ch_err err = d == NULL ? CH_ERR_NO_MEMORY : n->l1.ops->encode_deploy(n->l1.ctx, &row.data, &row.data_len);
  if (err == CH_OK) err = n->store.ops->tx_put(n->store.ctx, &row);
  free(row.data);
  if (err != CH_OK) {
    free(d);
    cd_reply_err(a->reply, err);
    return;
  }
  cd_sender_wake(n->sender);
  *d = (deploy){.mail.run = start_looking,
                .timer.fire = look_at_deploy,
                .reply = a->reply,
                .key = row.key,
                .until = cd_monotonic_ms() + wait_ms};
  cd_worker_post(&n->workers[0], &d->mail);
}
