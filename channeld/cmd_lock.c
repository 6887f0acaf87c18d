/* cmd_lock.c - commands about pending conditional payments: claim one, give one back, list them. To make one is a
 * payment like any other (cmd_payment.c). */
#include <stdlib.h>

#include "cmd_channel.h"
#include "commands.h"
#include "json.h"
#include "payments.h"

typedef struct search {
  ch_hash hash;            /* the hash lock's, or the lock's id */
  cd_payment_filter among; /* with an id: an outgoing payment that a contract decides, whatever its hash */
  bool alone;              /* there must not be another one */
  bool found, several;
  cd_payment payment; /* the first one */
  int64_t last;
  unsigned n;
} search;

static bool is_the_one(const search *s, const cd_payment *p) {
  ch_lock lock;
  ch_hash id;
  size_t at = 0;
  if (ch_lock_decode(&lock, p->lock, p->lock_len, &at) != CH_OK) return false;
  if (s->among.id != NULL) return !ch_lock_is_hash(&lock);
  ch_keccak256(&id, p->lock, p->lock_len);
  if (ch_hash_eq(&id, &s->hash)) return true;
  return ch_lock_is_hash(&lock) && memcmp(lock.payload, s->hash.b, sizeof s->hash.b) == 0;
}

static bool compare(void *arg, const cd_payment *p) {
  search *s = arg;
  s->last = p->seq;
  s->n++;
  if (!is_the_one(s, p)) return true;
  s->several = s->found;
  if (!s->found) s->payment = *p;
  s->found = true;
  return s->alone && !s->several;
}

/* The payment that is locked by this hash, or has this lock id. */
static ch_err find(cd_node *n, search *s) {
  s->among.status = CH_PAYMENT_LOCKED;
  s->among.limit = CD_PAYMENTS_PAGE;
  do {
    s->n = 0;
    s->among.after = s->last;
    ch_err err = n->store.ops->payments(n->store.ctx, &s->among, compare, s);
    if (err != CH_OK) return err;
  } while ((s->alone ? !s->several : !s->found) && s->n == CD_PAYMENTS_PAGE);
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

/* `preimage` NULL: give it back. */
static void resolve(cd_args *a, search s, const ch_hash *preimage) {
  uint64_t wait_ms = cd_arg_number(a, "wait_ms", CD_WAIT_DEFAULT_MS);
  if (a->failed) return;
  ch_err err = find(a->node, &s);
  if (s.several) {
    cd_args_fail(a, "channel", "given: this lock is pending in several");
    return;
  }
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

/* The payer of a contract's lock pays all of it. Outgoing ids are this node's own, so one payment is meant. */
static void release(cd_args *a, const char *payment) {
  static const ch_hash none = {0};
  if (payment == NULL) return;
  resolve(a, (search){.among = {.direction = 1, .id = payment}}, &none);
}

void cd_cmd_lock_fulfil(cd_args *a) {
  if (cd_has(a, "payment")) {
    release(a, cd_arg_text(a, "payment"));
    return;
  }
  ch_hash preimage = cd_arg_hash(a, "preimage");
  search s = {.among.direction = 2};
  ch_preimage_hash(&s.hash, &preimage);
  if (!a->failed) resolve(a, s, &preimage);
}

void cd_cmd_lock_cancel(cd_args *a) {
  search s = {.hash = cd_arg_hash(a, "hash"), .among.direction = 2, .alone = true};
  ch_hash channel = {0};
  if (cd_has(a, "channel")) {
    channel = cd_arg_channel(a, "channel");
    s.among.channel = &channel;
  }
  if (!a->failed) resolve(a, s, NULL);
}

/* --- Listing -------------------------------------------------------------------------------------- */

void cd_cmd_lock_list(cd_args *a) {
  cd_payments_page(a, "locks", (cd_payment_filter){.status = CH_PAYMENT_LOCKED});
}
