/* cmd_money.c - money into a channel and out of it, while it goes on. */
#include <sodium.h>
#include <stdlib.h>

#include "cmd_channel.h"
#include "commands.h"
#include "wallet.h"

#define DEPOSIT_ID_MAX 64
#define LOOK_MS 50 /* how often the sender's row of a deposit is looked at */

typedef struct job {
  cd_mail mail;
  ch_hash id;
  ch_amount amount;
  ch_hash nonce; /* of a deposit */
  bool named;    /* by the caller: it may be a repetition */
  ch_hash to;    /* of a move: the other channel, */
  ch_target target;
  ch_addr asset; /* and what it says of itself */
  uint64_t wait_ms;
  cd_reply reply;
  uint16_t epoch, withdrawals; /* of a withdrawal: when it was asked for */
} job;

static void post(cd_args *a, void (*run)(void *self, cd_mail *mail), job j) {
  job *copy = malloc(sizeof *copy);
  if (copy == NULL) {
    cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
    return;
  }
  *copy = j;
  copy->mail.run = run;
  copy->reply = a->reply;
  cd_worker_post(cd_node_owner(a->node, &copy->id), &copy->mail);
}

/* What both commands begin with. */
static job read_job(cd_args *a) {
  job j = {.id = cd_arg_channel(a, "id"), .amount = cd_arg_amount(a, "amount", NULL)};
  j.wait_ms = cd_arg_number(a, "wait_ms", 0);
  if (!a->failed && j.amount.v == 0) cd_args_fail(a, "amount", "above zero");
  return j;
}

/* --- In ------------------------------------------------------------------------------------------ */

/* A deposit as the sender has it. */
typedef struct sent {
  bool there;
  cd_tx_status status;
  ch_amount value;
  uint64_t block;
  char error[200];
} sent;

static bool take_row(void *arg, const cd_tx_row *row) {
  sent *s = arg;
  *s = (sent){.there = true, .status = row->status, .value = row->value, .block = row->block};
  memcpy(s->error, row->error, sizeof s->error);
  return false;
}

static sent find_sent(cd_worker *w, const ch_hash *key) {
  cd_store *store = &w->node->store;
  sent s = {0};
  if (store->ops->tx(store->ctx, key, take_row, &s) != CH_OK) s = (sent){0};
  return s;
}

/* Final, and so long ago that the channel has been shown the block: a block's views come before its head. */
static bool deposited(cd_worker *w, cd_chan *c, const cd_chan_wait *wait) {
  ch_env env;
  cd_node_env(w->node, &env);
  sent s = find_sent(w, &wait->key);
  if (s.there && s.status == CD_TX_FAILED) {
    cd_reply_fail(wait->reply, CD_CONFLICT, "not_deposited", "`channel show` says how the channel is; then try again.",
                  "The chain refused the deposit: %s", s.error);
    return true;
  }
  if (!s.there || s.status != CD_TX_DONE || env.final_number <= s.block) return false;
  cd_chan_reply(w, c, CD_OK, wait->reply);
  return true;
}

static void wait_for_deposit(cd_worker *w, cd_chan *c, const job *j) {
  cd_chan_wait wait = {.look = deposited, .poll_ms = LOOK_MS, .reply = j->reply};
  ch_deposit_key(&wait.key, &j->id, &j->nonce);
  cd_chan_wait_for(w, c, &wait, j->wait_ms);
}

/* What was asked for under this name: the same, or something else? In the chain's own coin the value tells. */
static bool is_same(cd_worker *w, const cd_chan *c, const job *j, const sent *s) {
  ch_info info;
  cd_chan_info(w, c, &info);
  return !ch_addr_is_zero(&info.params.asset) || ch_amount_cmp(s->value, j->amount) == 0;
}

/* It is with the sender: by this command, or by an earlier one of that name. */
static void answer_deposit(cd_worker *w, cd_chan *c, const job *j, const sent *s) {
  if (is_same(w, c, j, s)) {
    wait_for_deposit(w, c, j);
  } else {
    cd_reply_fail(j->reply, CD_CONFLICT, "deposit_id_used", "Choose another id, or repeat the deposit exactly.",
                  "This id was used for a deposit of another amount.");
  }
}

static void wished(cd_worker *w, void *arg, bool ok) {
  job *j = arg;
  cd_chan *c = cd_chan_get(w, &j->id);
  ch_hash key;
  ch_deposit_key(&key, &j->id, &j->nonce);
  if (!ok || c == NULL) {
    cd_chan_reply_lost(j->reply);
  } else {
    sent s = find_sent(w, &key);
    answer_deposit(w, c, j, &s);
  }
  free(j);
}

/* Asks the engine. CH_OK: `wished` goes on; else it was answered. */
static ch_err wish(cd_worker *w, cd_chan *c, job *j) {
  ch_info info;
  cd_chan_info(w, c, &info);
  if (!cd_affordable(w->node, &info.params.asset, j->amount, j->reply)) return CH_ERR_FUNDS;
  ch_event ev = {.kind = CH_EV_DEPOSIT};
  ev.u.deposit.amount = j->amount;
  ev.u.deposit.nonce = j->nonce;
  ch_err err = cd_chan_step(w, c, &ev, wished, j);
  if (err != CH_OK) cd_reply_err(j->reply, err);
  return err;
}

static void run_deposit(void *self, cd_mail *mail) {
  cd_worker *w = self;
  job *j = (job *)(void *)mail;
  cd_chan *c = cd_chan_get(w, &j->id);
  ch_hash key;
  ch_deposit_key(&key, &j->id, &j->nonce);
  sent s = j->named ? find_sent(w, &key) : (sent){0};
  if (c == NULL) {
    cd_reply_err(j->reply, CH_ERR_UNKNOWN_CHANNEL);
  } else if (s.there && s.status != CD_TX_FAILED) {
    answer_deposit(w, c, j, &s);
  } else if (wish(w, c, j) == CH_OK) {
    return;
  }
  free(j);
}

/* The caller's name for the deposit, as the engine wants it. */
static ch_hash nonce_of(const char *id) {
  static const char purpose[] = "channeld/deposit ";
  uint8_t buf[sizeof purpose - 1 + DEPOSIT_ID_MAX];
  size_t len = strlen(id);
  ch_hash out;
  memcpy(buf, purpose, sizeof purpose - 1);
  memcpy(buf + sizeof purpose - 1, id, len);
  ch_keccak256(&out, buf, sizeof purpose - 1 + len);
  return out;
}

void cd_cmd_channel_deposit(cd_args *a) {
  job j = read_job(a);
  const char *name = cd_arg_text(a, "deposit_id");
  if (name != NULL && !ch_payment_id_ok(name, strlen(name)))
    cd_args_fail(a, "deposit_id", "1 to 64 printable characters without blanks");
  if (a->failed) return;
  j.named = name != NULL;
  if (j.named) {
    j.nonce = nonce_of(name);
  } else {
    randombytes_buf(&j.nonce, sizeof j.nonce);
  }
  post(a, run_deposit, j);
}

/* --- Out ----------------------------------------------------------------------------------------- */

/* Nothing of mine is reserved any more: it came through if a withdrawal became final meanwhile, as there is only one at
 * a time. */
static bool withdrawn(cd_worker *w, cd_chan *c, const cd_chan_wait *wait) {
  ch_info info;
  cd_chan_info(w, c, &info);
  bool same = info.epoch == wait->epoch && info.phase != CH_PHASE_CLOSED;
  if (same && info.reserved_mine.v != 0) return false;
  if (same && info.withdrawals > wait->withdrawals) {
    cd_chan_reply(w, c, CD_OK, wait->reply);
  } else {
    cd_reply_fail(
        wait->reply, CD_CONFLICT, "not_withdrawn",
        "`channel history` has the cause. The money is in your balance, to try again, or was paid out at the end.",
        "It expired, was refused, or the channel ended first.");
  }
  return true;
}

static void reserved(cd_worker *w, void *arg, bool ok) {
  job *j = arg;
  cd_chan *c = cd_chan_get(w, &j->id);
  if (!ok || c == NULL) {
    cd_chan_reply_lost(j->reply);
  } else {
    cd_chan_wait wait = {.look = withdrawn, .reply = j->reply, .epoch = j->epoch, .withdrawals = j->withdrawals};
    cd_chan_wait_for(w, c, &wait, j->wait_ms);
  }
  free(j);
}

static void run_withdraw(void *self, cd_mail *mail) {
  cd_worker *w = self;
  job *j = (job *)(void *)mail;
  cd_chan *c = cd_chan_get(w, &j->id);
  ch_info info = {0};
  if (c != NULL) cd_chan_info(w, c, &info);
  j->epoch = info.epoch;
  j->withdrawals = info.withdrawals;
  ch_event ev = {.kind = CH_EV_WITHDRAW};
  ev.u.withdraw.amount = j->amount;
  ev.u.withdraw.to = j->target;
  ch_err err = c == NULL ? CH_ERR_UNKNOWN_CHANNEL : CH_OK;
  bool busy = info.reserved_mine.v != 0 || info.reserved_peer.v != 0;
  if (err == CH_OK && j->target.set && !ch_addr_eq(&info.params.asset, &j->asset)) {
    cd_reply_fail(j->reply, CD_CONFLICT, "other_asset", "Withdraw it, exchange it, and deposit it there.",
                  "The two channels do not hold the same asset.");
    free(j);
    return;
  }
  if (err == CH_OK && !busy) err = cd_chan_step(w, c, &ev, reserved, j);
  if (err == CH_OK && !busy) return;
  if (err == CH_OK) {
    cd_reply_fail(j->reply, CD_CONFLICT, "withdrawal_under_way", "Try again when `channel show` has nothing reserved.",
                  "A withdrawal or move of %s is under way, and there is one at a time.",
                  info.reserved_mine.v != 0 ? "yours" : "the peer");
  } else {
    cd_reply_err(j->reply, err);
  }
  free(j);
}

void cd_cmd_channel_withdraw(cd_args *a) {
  job j = read_job(a);
  if (!a->failed) post(a, run_withdraw, j);
}

/* --- From one channel into another --------------------------------------------------------------- */

/* On the thread of the channel that it goes into: what that channel is; then to the one that it comes from. */
static void run_move(void *self, cd_mail *mail) {
  cd_worker *w = self;
  job *j = (job *)(void *)mail;
  cd_chan *c = cd_chan_get(w, &j->to);
  ch_info info = {0};
  if (c != NULL) cd_chan_info(w, c, &info);
  bool takes = c != NULL && !info.frozen && (info.phase == CH_PHASE_FUNDING || info.phase == CH_PHASE_OPEN);
  if (!takes) {
    cd_reply_fail(j->reply, CD_CONFLICT, "not_open", "`channel show` says what it waits for.",
                  "The channel that the money is to go into is not open.");
    free(j);
    return;
  }
  j->target = (ch_target){.set = true, .epoch = info.epoch, .side = info.side};
  ch_params_hash(&j->target.params_hash, &w->node->chain, &info.params);
  j->asset = info.params.asset;
  j->mail.run = run_withdraw;
  cd_worker_post(cd_node_owner(w->node, &j->id), &j->mail);
}

void cd_cmd_channel_move(cd_args *a) {
  job j = read_job(a);
  if (a->failed) return;
  j.to = cd_arg_channel(a, "to");
  if (!a->failed && ch_hash_eq(&j.to, &j.id)) cd_args_fail(a, "to", "another channel");
  if (a->failed) return;
  job *copy = malloc(sizeof *copy);
  if (copy == NULL) {
    cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
    return;
  }
  *copy = j;
  copy->mail.run = run_move;
  copy->reply = a->reply;
  cd_worker_post(cd_node_owner(a->node, &copy->to), &copy->mail);
}
