/* cmd_lock.c - commands about pending conditional payments: claim one, give one back, list them. To make one is a
 * payment like any other (cmd_payment.c). */
#include <stdlib.h>

#include "cmd_channel.h"
#include "commands.h"
#include "json.h"

#define LIST_DEFAULT 100
#define PAGE 1000

typedef struct search {
  ch_hash hash; /* the hash lock's, or the lock's id */
  bool found;
  cd_payment payment; /* the first incoming one */
  int64_t last;
  unsigned n;
} search;

static bool is_the_one(const search *s, const cd_payment *p) {
  ch_lock lock;
  ch_hash id;
  size_t at = 0;
  if (ch_lock_decode(&lock, p->lock, p->lock_len, &at) != CH_OK) return false;
  ch_keccak256(&id, p->lock, p->lock_len);
  if (ch_hash_eq(&id, &s->hash)) return true;
  return ch_lock_is_hash(&lock) && memcmp(lock.payload, s->hash.b, sizeof s->hash.b) == 0;
}

static bool compare(void *arg, const cd_payment *p) {
  search *s = arg;
  s->last = p->seq;
  s->n++;
  if (!is_the_one(s, p)) return true;
  s->payment = *p;
  s->found = true;
  return false;
}

/* The incoming payment that is locked by this hash, or has this lock id. */
static ch_err find(cd_node *n, search *s) {
  cd_payment_filter f = {.direction = 2, .status = CH_PAYMENT_LOCKED, .limit = PAGE};
  do {
    s->n = 0;
    f.after = s->last;
    ch_err err = n->store.ops->payments(n->store.ctx, &f, compare, s);
    if (err != CH_OK) return err;
  } while (!s->found && s->n == PAGE);
  return s->found ? CH_OK : CH_ERR_UNKNOWN_LOCK;
}

typedef struct job {
  cd_mail mail;
  ch_hash channel;
  ch_event ev;
  uint64_t wait_ms;
  cd_reply reply;
} job;

/* The lock is not pending any more. */
static bool is_over(cd_worker *w, cd_chan *c, const cd_chan_wait *wait) {
  ch_lock_info *locks = NULL;
  size_t n = cd_chan_locks(w, c, &locks);
  bool pending = false;
  for (size_t i = 0; i < n; i++)
    pending |= ch_hash_eq(&locks[i].lock_id, &wait->key);
  free(locks);
  if (pending) return false;
  cd_chan_reply(w, c, CD_OK, wait->reply);
  return true;
}

static void stepped(cd_worker *w, void *arg, bool ok) {
  job *j = arg;
  cd_chan *c = cd_chan_get(w, &j->channel);
  if (!ok || c == NULL) {
    cd_chan_reply_lost(j->reply);
  } else {
    const cd_chan_wait wait = {.look = is_over, .reply = j->reply, .key = j->ev.u.resolve.lock};
    cd_chan_wait_for(w, c, &wait, j->wait_ms);
  }
  free(j);
}

static void run(void *self, cd_mail *mail) {
  cd_worker *w = self;
  job *j = (job *)(void *)mail;
  cd_chan *c = cd_chan_get(w, &j->channel);
  ch_err err = c == NULL ? CH_ERR_UNKNOWN_CHANNEL : cd_chan_step(w, c, &j->ev, stepped, j);
  if (err == CH_OK) return;
  cd_reply_err(j->reply, err);
  free(j);
}

static void resolve(cd_args *a, const ch_hash *by, const ch_hash *preimage) {
  uint64_t wait_ms = cd_arg_number(a, "wait_ms", CD_WAIT_DEFAULT_MS);
  search s = {.hash = *by};
  if (a->failed) return;
  ch_err err = find(a->node, &s);
  job *j = err == CH_OK ? malloc(sizeof *j) : NULL;
  if (j == NULL) {
    cd_reply_err(a->reply, err == CH_OK ? CH_ERR_NO_MEMORY : err);
    return;
  }
  ch_hash id;
  ch_keccak256(&id, s.payment.lock, s.payment.lock_len);
  *j = (job){.mail.run = run,
             .channel = s.payment.channel,
             .ev = preimage == NULL ? ch_event_cancel(&id) : ch_event_fulfil(&id, preimage),
             .wait_ms = wait_ms,
             .reply = a->reply};
  cd_worker_post(cd_node_owner(a->node, &j->channel), &j->mail);
}

void cd_cmd_lock_fulfil(cd_args *a) {
  ch_hash preimage = cd_arg_hash(a, "preimage"), hash;
  if (a->failed) return;
  ch_preimage_hash(&hash, &preimage);
  resolve(a, &hash, &preimage);
}

void cd_cmd_lock_cancel(cd_args *a) {
  ch_hash hash = cd_arg_hash(a, "hash");
  if (!a->failed) resolve(a, &hash, NULL);
}

/* --- Listing -------------------------------------------------------------------------------------- */

static bool add(void *arg, const cd_payment *p) {
  json_array_append_new(arg, cd_json_payment(p));
  return true;
}

void cd_cmd_lock_list(cd_args *a) {
  cd_store *store = &a->node->store;
  ch_hash channel = {0};
  cd_payment_filter f = {.status = CH_PAYMENT_LOCKED,
                         .after = (int64_t)cd_arg_number(a, "after", 0),
                         .limit = (unsigned)cd_arg_number(a, "limit", LIST_DEFAULT)};
  if (cd_has(a, "channel")) {
    channel = cd_arg_channel(a, "channel");
    f.channel = &channel;
  }
  if (!a->failed && (f.limit == 0 || f.limit > PAGE)) cd_args_fail(a, "limit", "1 to 1000");
  if (a->failed) return;
  json_t *list = json_array();
  ch_err err = store->ops->payments(store->ctx, &f, add, list);
  if (err != CH_OK) {
    json_decref(list);
    cd_reply_err(a->reply, err);
    return;
  }
  json_t *last = json_array_size(list) < f.limit ? NULL : json_array_get(list, f.limit - 1);
  json_t *next = last == NULL ? json_null() : json_incref(json_object_get(last, "seq"));
  cd_reply_with(a->reply, CD_OK, json_pack("{s:o, s:o}", "locks", list, "next", next));
}
