#include "cmd_channel.h"

#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "opens.h"
#include "sender.h"
#include "wallet.h"

#define HISTORY_DEFAULT 100

/* --- Answering with a channel -------------------------------------------------------------------- */

typedef struct answer {
  json_t *body;
  cd_class cls;
  cd_reply reply;
} answer;

void cd_chan_reply_lost(cd_reply reply) {
  cd_reply_fail(reply, CD_INTERNAL, "not_saved", "Look at the log and at the disk, then try again.",
                "The change could not be saved, so it was not made.");
}

static void durable(cd_worker *w, void *arg, bool ok) {
  (void)w;
  answer *a = arg;
  if (ok) {
    cd_reply_with(a->reply, a->cls, a->body);
  } else {
    json_decref(a->body);
    cd_chan_reply_lost(a->reply);
  }
  free(a);
}

static json_t *channel_json(cd_worker *w, const cd_chan *c) {
  ch_info info;
  ch_lock_info *locks = NULL;
  cd_chan_info(w, c, &info);
  json_t *out = cd_json_channel(&info), *list = json_array();
  size_t n = cd_chan_locks(w, c, &locks);
  for (size_t i = 0; i < n; i++)
    json_array_append_new(list, cd_json_lock(&locks[i], locks[i].incoming ? 1 - info.side : info.side));
  free(locks);
  json_object_set_new(out, "locks", list);
  return out;
}

void cd_chan_reply(cd_worker *w, const cd_chan *c, cd_class cls, cd_reply reply) {
  answer *a = malloc(sizeof *a);
  if (a == NULL) {
    cd_reply_err(reply, CH_ERR_NO_MEMORY);
    return;
  }
  *a = (answer){channel_json(w, c), cls, reply};
  if (cd_chan_fence(w, durable, a)) return;
  json_decref(a->body);
  free(a);
  cd_reply_err(reply, CH_ERR_NO_MEMORY);
}

/* --- Waiting ------------------------------------------------------------------------------------- */

/* Looks and, if the wait is over or broken off, ends it. */
static void wait_fires(void *self, cd_timer *timer) {
  cd_worker *w = self;
  cd_chan_wait *wait = (cd_chan_wait *)(void *)timer;
  cd_chan *c = wait->channel;
  uint64_t now = cd_monotonic_ms();
  bool over = wait->look(w, c, wait);
  if (!over && wait->poll_ms > 0 && now < wait->until && !atomic_load(&w->node->stopping)) {
    cd_timers_set(&w->timers, timer, now + wait->poll_ms);
    return;
  }
  cd_chan_wait **at = &c->waits;
  while (*at != wait)
    at = &(*at)->next;
  *at = wait->next;
  if (!over) cd_chan_reply(w, c, CD_ACCEPTED, wait->reply);
  free(wait);
}

void cd_chan_wait_for(cd_worker *w, cd_chan *c, const cd_chan_wait *what, uint64_t ms) {
  cd_chan_wait *wait = NULL;
  if (what->look(w, c, what)) return;
  if (ms > 0) wait = malloc(sizeof *wait);
  if (wait == NULL) {
    cd_chan_reply(w, c, CD_ACCEPTED, what->reply);
    return;
  }
  uint64_t now = cd_monotonic_ms();
  *wait = *what;
  wait->timer = (cd_timer){.fire = wait_fires};
  wait->next = c->waits;
  wait->channel = c;
  wait->until = now + ms;
  c->waits = wait;
  cd_timers_set(&w->timers, &wait->timer, wait->poll_ms > 0 ? now + wait->poll_ms : wait->until);
}

void cd_chan_waits_look(cd_worker *w, cd_chan *c) {
  for (cd_chan_wait **at = &c->waits; *at != NULL;) {
    cd_chan_wait *wait = *at;
    if (wait->poll_ms > 0 || !wait->look(w, c, wait)) {
      at = &wait->next;
      continue;
    }
    *at = wait->next;
    cd_timers_unset(&w->timers, &wait->timer);
    free(wait);
  }
}

void cd_chan_waits_fail(cd_worker *w, cd_chan *c) {
  while (c->waits != NULL) {
    cd_chan_wait *wait = c->waits;
    c->waits = wait->next;
    cd_timers_unset(&w->timers, &wait->timer);
    cd_reply_fail(wait->reply, CD_UNAVAILABLE, "stopping", "Ask again when the daemon runs.",
                  "The wait for the channel was broken off.");
    free(wait);
  }
}

/* --- Commands on one channel --------------------------------------------------------------------- */

typedef struct job {
  cd_mail mail;
  ch_hash id;
  cd_reply reply;
  ch_event ev; /* of kind 0: only look */
  uint64_t wait_ms;
} job;

static bool has_ended(cd_worker *w, cd_chan *c, const cd_chan_wait *wait) {
  ch_info info;
  cd_chan_info(w, c, &info);
  if (info.phase != CH_PHASE_CLOSED && info.phase != CH_PHASE_ABANDONED) return false;
  cd_chan_reply(w, c, CD_OK, wait->reply);
  return true;
}

static bool has_frozen(cd_worker *w, cd_chan *c, const cd_chan_wait *wait) {
  cd_chan_reply(w, c, CD_OK, wait->reply);
  return true;
}

static bool has_resumed(cd_worker *w, cd_chan *c, const cd_chan_wait *wait) {
  ch_info info;
  cd_chan_info(w, c, &info);
  if (info.frozen) return false;
  cd_chan_reply(w, c, CD_OK, wait->reply);
  return true;
}

static void stepped(cd_worker *w, void *arg, bool ok) {
  job *j = arg;
  cd_chan *c = cd_chan_get(w, &j->id);
  if (!ok || c == NULL) {
    cd_chan_reply_lost(j->reply);
  } else {
    bool freeze = j->ev.kind == CH_EV_FREEZE, resume = j->ev.kind == CH_EV_RESUME;
    cd_chan_wait wait = {.look = freeze ? has_frozen : resume ? has_resumed : has_ended, .reply = j->reply};
    cd_chan_wait_for(w, c, &wait, j->wait_ms);
  }
  free(j);
}

static void run_job(void *self, cd_mail *mail) {
  cd_worker *w = self;
  job *j = (job *)(void *)mail;
  cd_chan *c = cd_chan_get(w, &j->id);
  ch_err err = c == NULL ? CH_ERR_UNKNOWN_CHANNEL : CH_OK;
  bool look = j->ev.kind == 0;
  if (err == CH_OK && !look) err = cd_chan_step(w, c, &j->ev, stepped, j);
  if (err == CH_OK && !look) return;
  if (err == CH_OK) {
    cd_chan_reply(w, c, CD_OK, j->reply);
  } else {
    cd_reply_err(j->reply, err);
  }
  free(j);
}

static void post_job(cd_args *a, const ch_event *ev, uint64_t wait_ms) {
  ch_hash id = cd_arg_channel(a, "id");
  if (a->failed) return;
  job *j = malloc(sizeof *j);
  if (j == NULL) {
    cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
    return;
  }
  *j = (job){.mail.run = run_job, .id = id, .reply = a->reply, .ev = *ev, .wait_ms = wait_ms};
  cd_worker_post(cd_node_owner(a->node, &id), &j->mail);
}

void cd_cmd_channel_show(cd_args *a) {
  post_job(a, &(ch_event){0}, 0);
}

void cd_cmd_channel_close(cd_args *a) {
  uint64_t wait_ms = cd_arg_number(a, "wait_ms", 0);
  post_job(a, &(ch_event){.kind = CH_EV_CLOSE}, wait_ms);
}

void cd_cmd_channel_challenge(cd_args *a) {
  bool risk_bond = cd_arg_flag(a, "risk_bond");
  post_job(a, &(ch_event){.kind = CH_EV_CHALLENGE, .u.challenge.risk_bond = risk_bond}, 0);
}

void cd_cmd_channel_freeze(cd_args *a) {
  post_job(a, &(ch_event){.kind = CH_EV_FREEZE}, 0);
}

void cd_cmd_channel_resume(cd_args *a) {
  uint64_t wait_ms = cd_arg_number(a, "wait_ms", 0);
  post_job(a, &(ch_event){.kind = CH_EV_RESUME}, wait_ms);
}

/* --- All channels -------------------------------------------------------------------------------- */

/* Lists that all workers add to. The last one answers. */
typedef struct gather {
  pthread_mutex_t lock;
  json_t *list;
  json_t *refused; /* NULL: nothing is asked of the channels */
  unsigned left;
  bool lost;
  cd_sender *sender;
  cd_reply reply;
} gather;

typedef struct part {
  cd_mail mail;
  gather *g;
  json_t *list, *refused;
} part;

static int by_id(const void *a, const void *b) {
  json_t *const *x = a, *const *y = b;
  return strcmp(json_string_value(json_object_get(*x, "id")), json_string_value(json_object_get(*y, "id")));
}

static json_t *sorted(json_t *list) {
  size_t n = json_array_size(list);
  json_t **v = calloc(n + 1, sizeof(json_t *)), *out = json_array();
  if (v == NULL) return out;
  for (size_t i = 0; i < n; i++)
    v[i] = json_array_get(list, i);
  qsort(v, n, sizeof(json_t *), by_id);
  for (size_t i = 0; i < n; i++)
    json_array_append(out, v[i]);
  free(v);
  return out;
}

static void answer_all(const gather *g) {
  json_t *list = sorted(g->list);
  if (g->refused == NULL) {
    cd_reply_with(g->reply, CD_OK, json_pack("{s:o}", "channels", list));
  } else {
    cd_sender_gather(g->sender, json_array_size(list));
    cd_reply_with(g->reply, json_array_size(list) == 0 ? CD_OK : CD_ACCEPTED,
                  json_pack("{s:o, s:o}", "channels", list, "refused", sorted(g->refused)));
  }
}

static void gathered(cd_worker *w, void *arg, bool ok) {
  (void)w;
  part *p = arg;
  gather *g = p->g;
  pthread_mutex_lock(&g->lock);
  json_array_extend(g->list, p->list);
  if (g->refused != NULL) json_array_extend(g->refused, p->refused);
  g->lost |= !ok;
  bool last = --g->left == 0;
  pthread_mutex_unlock(&g->lock);
  json_decref(p->list);
  json_decref(p->refused);
  free(p);
  if (!last) return;
  if (g->lost) {
    cd_chan_reply_lost(g->reply);
  } else {
    answer_all(g);
  }
  json_decref(g->list);
  json_decref(g->refused);
  pthread_mutex_destroy(&g->lock);
  free(g);
}

static void list_mine(void *self, cd_mail *mail) {
  cd_worker *w = self;
  part *p = (part *)(void *)mail;
  size_t i = 0;
  for (const cd_chan *c; (c = cd_table_next(&w->channels, &i)) != NULL;) {
    json_array_append_new(p->list, channel_json(w, c));
  }
  if (!cd_chan_fence(w, gathered, p)) gathered(w, p, false);
}

/* All that have not begun to end. What is asked of them goes to the disk in one piece, behind which the fence stands.
 */
static void close_mine(void *self, cd_mail *mail) {
  cd_worker *w = self;
  part *p = (part *)(void *)mail;
  size_t i = 0;
  for (cd_chan *c; (c = cd_table_next(&w->channels, &i)) != NULL;) {
    ch_info info;
    cd_chan_info(w, c, &info);
    if (info.phase != CH_PHASE_FUNDING && info.phase != CH_PHASE_OPEN) continue;
    ch_err err = cd_chan_step(w, c, &(ch_event){.kind = CH_EV_CLOSE}, NULL, NULL);
    if (err == CH_OK) {
      json_array_append_new(p->list, channel_json(w, c));
    } else {
      json_array_append_new(p->refused, json_pack("{s:o, s:o}", "id", cd_json_hash(&c->id), "reason", cd_reason(err)));
    }
  }
  if (!cd_chan_fence(w, gathered, p)) gathered(w, p, false);
}

static void ask_all(cd_args *a, void (*run)(void *self, cd_mail *mail), bool asks) {
  cd_node *n = a->node;
  gather *g = malloc(sizeof *g);
  part *parts[CD_MAX_WORKERS];
  bool ok = g != NULL;
  for (unsigned i = 0; i < n->n_workers; i++)
    ok = (parts[i] = malloc(sizeof *parts[i])) != NULL && ok;
  if (!ok) {
    for (unsigned i = 0; i < n->n_workers; i++)
      free(parts[i]);
    free(g);
    cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
    return;
  }
  *g = (gather){.list = json_array(),
                .refused = asks ? json_array() : NULL,
                .left = n->n_workers,
                .sender = n->sender,
                .reply = a->reply};
  pthread_mutex_init(&g->lock, NULL);
  for (unsigned i = 0; i < n->n_workers; i++) {
    *parts[i] = (part){.mail.run = run, .g = g, .list = json_array(), .refused = asks ? json_array() : NULL};
    cd_worker_post(&n->workers[i], &parts[i]->mail);
  }
}

void cd_cmd_channel_list(cd_args *a) {
  ask_all(a, list_mine, false);
}

void cd_cmd_channel_close_all(cd_args *a) {
  cd_sender_gather(a->node->sender, SIZE_MAX); /* until it is known how many */
  ask_all(a, close_mine, true);
}

/* --- History ------------------------------------------------------------------------------------- */

static bool add_history(void *arg, const cd_history *h) {
  json_array_append_new(arg, cd_json_history(h));
  return true;
}

void cd_cmd_channel_history(cd_args *a) {
  cd_store *store = &a->node->store;
  ch_hash id = cd_arg_channel(a, "id");
  uint64_t after = cd_arg_number(a, "after", 0), limit = cd_arg_number(a, "limit", HISTORY_DEFAULT);
  if (a->failed) return;
  json_t *list = json_array();
  ch_err err = store->ops->history(store->ctx, &id, (int64_t)after, (unsigned)limit, add_history, list);
  if (err != CH_OK) {
    json_decref(list);
    cd_reply_err(a->reply, err);
    return;
  }
  json_t *last = json_array_size(list) < limit ? NULL : json_array_get(list, json_array_size(list) - 1);
  json_t *next = last == NULL ? json_null() : json_incref(json_object_get(last, "seq"));
  cd_reply_with(a->reply, CD_OK, json_pack("{s:o, s:o}", "history", list, "next", next));
}

/* --- Opening ------------------------------------------------------------------------------------- */

typedef struct open_job {
  cd_mail mail;
  ch_terms terms;
  uint64_t wait_ms;
  cd_reply reply;
} open_job;

static void run_open(void *self, cd_mail *mail) {
  open_job *j = (open_job *)(void *)mail;
  cd_opens_ask(self, &j->terms, j->wait_ms, j->reply);
  free(j);
}

void cd_cmd_channel_open(cd_args *a) {
  const cd_node *n = a->node;
  const ch_amount zero = {0};
  const ch_addr native = {0};
  ch_terms t = {.chain = n->chain,
                .peer = cd_arg_node(a, "peer"),
                .payout = cd_arg_addr(a, "payout", &n->payout),
                .asset = cd_arg_addr(a, "asset", &native),
                .challenge_period = (uint32_t)cd_arg_number(a, "challenge_period", (int64_t)n->config.challenge_period),
                .bond = cd_arg_amount(a, "bond", &n->config.bond),
                .deposit_mine = cd_arg_amount(a, "deposit", NULL),
                .deposit_peer = cd_arg_amount(a, "peer_deposit", &zero),
                .opener_funds = cd_arg_flag(a, "fund_both"),
                .locks = cd_lock_limits(n)};
  uint64_t wait_ms = cd_arg_number(a, "wait_ms", CD_WAIT_DEFAULT_MS);
  if (!a->failed && t.deposit_mine.v == 0 && t.deposit_peer.v == 0) cd_args_fail(a, "deposit", "above zero");
  if (!a->failed && ch_pubkey_eq(&t.peer, &n->id)) cd_args_fail(a, "peer", "another node's id");
  if (a->failed) return;
  if (ch_addr_is_zero(&n->chain.adjudicator)) {
    cd_reply_fail(a->reply, CD_CONFLICT, "no_adjudicator",
                  "Name it with `contract` in DIR/config; `l1 deploy` makes one.",
                  "This node does not know the Adjudicator of its chain.");
    return;
  }
  ch_amount cost = t.deposit_mine;
  if (t.opener_funds && ch_amount_add(&cost, cost, t.deposit_peer) != CH_OK) {
    cd_reply_err(a->reply, CH_ERR_OVERFLOW);
    return;
  }
  if (!cd_affordable(a->node, &t.asset, cost, a->reply)) return;
  open_job *j = malloc(sizeof *j);
  if (j == NULL) {
    cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
    return;
  }
  *j = (open_job){.mail.run = run_open, .terms = t, .wait_ms = wait_ms, .reply = a->reply};
  cd_worker_post(&a->node->workers[0], &j->mail);
}
