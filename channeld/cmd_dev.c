/* cmd_dev.c - commands that only a chain made for trying things understands. */
#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "worker.h"

#define LOOK_MS 10
#define PATIENCE_MS 5000

static bool refuse_real(cd_args *a, bool has) {
  if (has) return false;
  cd_reply_fail(a->reply, CD_CONFLICT, "not_a_dev_chain", "Start the node with --l1 dev:FILE to try things.",
                "This is a real chain.");
  return true;
}

static void reply_failed(cd_args *a, ch_err err) {
  if (err == CH_ERR_BUG) {
    cd_reply_fail(a->reply, CD_BAD_GATEWAY, "chain_failed", "Look at the log and at the chain's file.",
                  "The chain's file cannot be used.");
  } else {
    cd_reply_err(a->reply, err);
  }
}

void cd_cmd_dev_faucet(cd_args *a) {
  cd_l1 *l1 = &a->node->l1;
  if (refuse_real(a, l1->ops->faucet != NULL)) return;
  ch_addr native = {0}, asset = cd_arg_addr(a, "asset", &native), to = cd_arg_addr(a, "address", &a->node->account);
  ch_amount have, amount = cd_arg_amount(a, "amount", NULL);
  if (a->failed) return;
  ch_err err = l1->ops->faucet(l1->ctx, &to, &asset, amount);
  if (err == CH_OK) err = l1->ops->balance(l1->ctx, &to, &asset, &have);
  if (err != CH_OK) {
    reply_failed(a, err);
    return;
  }
  l1->ops->poke(l1->ctx);
  cd_reply_with(a->reply, CD_OK,
                json_pack("{s:o, s:o}", "address", cd_json_addr(&to), "balance", cd_json_amount(have)));
}

/* --- Moving the chain: the answer comes when this node has seen it --------------------------------- */

typedef struct look {
  cd_mail mail;
  cd_timer timer;
  cd_reply reply;
  uint64_t number, time; /* the head that is waited for */
  uint64_t until;
} look;

static void look_again(void *self, cd_timer *timer) {
  cd_worker *w = self;
  look *l = (look *)(void *)((char *)timer - offsetof(look, timer));
  ch_env env;
  cd_node_env(w->node, &env);
  bool seen = env.head_number >= l->number && env.head_time >= l->time;
  if (!seen && cd_monotonic_ms() < l->until && !atomic_load(&w->node->stopping)) {
    cd_timers_set(&w->timers, timer, cd_monotonic_ms() + LOOK_MS);
    return;
  }
  cd_reply_with(l->reply, seen ? CD_OK : CD_ACCEPTED,
                json_pack("{s:I, s:I}", "head", (json_int_t)env.head_number, "time", (json_int_t)env.head_time));
  free(l);
}

static void first_look(void *self, cd_mail *mail) {
  look_again(self, &((look *)(void *)mail)->timer);
}

static void reply_when_seen(cd_args *a, uint64_t number, uint64_t time) {
  look *l = calloc(1, sizeof *l);
  if (l == NULL) {
    cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
    return;
  }
  *l = (look){.mail.run = first_look,
              .timer.fire = look_again,
              .reply = a->reply,
              .number = number,
              .time = time,
              .until = cd_monotonic_ms() + PATIENCE_MS};
  a->node->l1.ops->poke(a->node->l1.ctx);
  cd_worker_post(&a->node->workers[0], &l->mail);
}

void cd_cmd_dev_mine(cd_args *a) {
  cd_l1 *l1 = &a->node->l1;
  if (refuse_real(a, l1->ops->mine != NULL)) return;
  ch_env env;
  uint64_t blocks = cd_arg_number(a, "blocks", 1);
  if (a->failed) return;
  cd_node_env(a->node, &env);
  ch_err err = l1->ops->mine(l1->ctx, (unsigned)blocks);
  if (err != CH_OK) {
    reply_failed(a, err);
    return;
  }
  reply_when_seen(a, env.head_number + blocks, 0);
}

void cd_cmd_dev_warp(cd_args *a) {
  cd_l1 *l1 = &a->node->l1;
  if (refuse_real(a, l1->ops->warp != NULL)) return;
  uint64_t seconds = cd_arg_number(a, "seconds", -1);
  if (a->failed) return;
  uint64_t now = l1->ops->now(l1->ctx);
  ch_err err = l1->ops->warp(l1->ctx, seconds);
  if (err != CH_OK) {
    reply_failed(a, err);
    return;
  }
  reply_when_seen(a, 0, now + seconds);
}
