#include "opens.h"

#include <sodium.h>
#include <stdlib.h>

#include "chan.h"
#include "cmd_channel.h"
#include "json.h"
#include "keeper.h"

#define MAX_ASKED 256

/* One that this node asked for. */
typedef struct asked {
  ch_opening opening;
  cd_timer timer;
  cd_reply reply;
} asked;

struct cd_opens {
  cd_table asked; /* by nonce */
};

cd_opens *cd_opens_new(void) {
  cd_opens *o = calloc(1, sizeof *o);
  if (o != NULL) cd_table_init(&o->asked, offsetof(asked, opening.nonce), sizeof(ch_hash));
  return o;
}

void cd_opens_free(cd_opens *o) {
  if (o == NULL) return;
  cd_table_free(&o->asked);
  free(o);
}

/* --- The end of an opening ----------------------------------------------------------------------- */

static void forget(cd_worker *w, asked *a) {
  cd_table_remove(&w->opens->asked, &a->opening.nonce);
  cd_timers_unset(&w->timers, &a->timer);
  free(a);
}

static void no_answer(void *self, cd_timer *timer) {
  asked *a = (asked *)(void *)((char *)timer - offsetof(asked, timer));
  cd_reply_fail(a->reply, CD_UNAVAILABLE, "no_answer", "Try again; nothing was opened and nothing was deposited.",
                "The peer did not answer in time.");
  forget(self, a);
}

void cd_opens_refused(cd_worker *w, const ch_pubkey *node, const ch_msg *msg) {
  asked *a = cd_table_get(&w->opens->asked, &msg->id);
  if (a == NULL || !ch_pubkey_eq(&a->opening.terms.peer, node)) return;
  cd_reply_fail(a->reply, CD_BAD_GATEWAY, "peer_refused", "Ask for other terms, or ask the peer's operator.",
                "The peer refused: %s", msg->u.error.text);
  forget(w, a);
}

void cd_opens_down(cd_worker *w, const ch_pubkey *node) {
  for (bool again = true; again;) {
    again = false;
    size_t i = 0;
    for (asked *a; !again && (a = cd_table_next(&w->opens->asked, &i)) != NULL;) {
      if (!ch_pubkey_eq(&a->opening.terms.peer, node)) continue;
      cd_reply_fail(a->reply, CD_UNAVAILABLE, "not_connected", "Connect to it and try again; nothing was deposited.",
                    "The connection to the peer ended before it answered.");
      forget(w, a);
      again = true;
    }
  }
}

/* --- Asking -------------------------------------------------------------------------------------- */

void cd_opens_ask(cd_worker *w, const ch_terms *terms, uint64_t wait_ms, cd_reply reply) {
  cd_net *net = &w->node->net;
  cd_remote *r = cd_table_get(&w->remotes, &terms->peer);
  if (r == NULL || r->conn == 0) {
    cd_reply_err(reply, CH_ERR_NOT_CONNECTED);
    return;
  }
  if (w->opens->asked.n >= MAX_ASKED) {
    cd_reply_fail(reply, CD_BUSY, "too_many_opens", "Wait until some of them are done.",
                  "Too many openings are under way.");
    return;
  }
  asked *a = calloc(1, sizeof *a);
  if (a == NULL) {
    cd_reply_err(reply, CH_ERR_NO_MEMORY);
    return;
  }
  ch_effects fx = {0};
  a->opening.terms = *terms;
  a->reply = reply;
  a->timer.fire = no_answer;
  randombytes_buf(&a->opening.nonce, sizeof a->opening.nonce);
  ch_err err = ch_open_request(&a->opening, &w->signer, &fx);
  if (err == CH_OK && !cd_table_put(&w->opens->asked, a)) err = CH_ERR_NO_MEMORY;
  if (err != CH_OK) {
    ch_effects_clear(&fx);
    free(a);
    cd_reply_err(reply, err);
    return;
  }
  cd_timers_set(&w->timers, &a->timer, cd_monotonic_ms() + wait_ms);
  net->ops->send(net->ctx, r->conn, fx.v[0].u.send.bytes, fx.v[0].u.send.len);
  fx.v[0].u.send.bytes = NULL;
  ch_effects_clear(&fx);
}

/* --- A channel comes to be ----------------------------------------------------------------------- */

/* A new channel on its way into the backup, then to its owner. */
typedef struct birth {
  cd_keep keep;
  ch_channel *state;
  ch_effects fx;
  cd_conn conn;
  ch_hash id;
  bool wanted; /* by somebody who waits for the reply */
  cd_reply reply;
} birth;

static void born(cd_worker *w, void *arg, bool ok) {
  birth *b = arg;
  cd_chan *c = cd_chan_get(w, &b->id);
  if (b->wanted && ok && c != NULL) {
    cd_chan_reply(w, c, CD_OK, b->reply);
  } else if (b->wanted) {
    cd_chan_reply_lost(b->reply);
  }
  free(b);
}

/* Not in the backup, so not opened: nothing of it has left. */
static void not_kept(cd_worker *w, birth *b) {
  cd_remote *r = cd_table_get(&w->links, &b->conn);
  if (b->wanted) {
    cd_reply_fail(b->reply, CD_UNAVAILABLE, "backup_failed", "Look at the log and at the disk, then try again.",
                  "The backup cannot be written, so nothing was opened and nothing was deposited.");
  } else if (r != NULL) {
    cd_remote_tell(w, r, &b->keep.origin.nonce[0], CH_ERR_TERMS, "this node cannot keep a new channel now");
  }
  cd_directory_remove(&w->node->directory, &b->id);
  ch_effects_clear(&b->fx);
  ch_channel_free(b->state);
  free(b);
}

static void adopt(cd_worker *w, cd_keep *keep, bool kept) {
  birth *b = (birth *)(void *)keep;
  ch_wipe(&keep->origin.salt, sizeof keep->origin.salt);
  if (!kept) {
    not_kept(w, b);
    return;
  }
  if (cd_chan_adopt(w, b->state, &b->fx, b->conn, born, b)) return;
  if (b->wanted) cd_reply_err(b->reply, CH_ERR_NO_MEMORY);
  free(b);
}

/* Known to all from now on, so that unfinished openings can be counted. */
static void announce(cd_worker *w, const ch_channel *state) {
  ch_env env;
  ch_info i;
  cd_node_env_at(w->node, &w->head, &env);
  ch_channel_info(state, &env, &i);
  cd_entry entry = {i.id, i.peer, i.params.asset, i.phase, i.spendable, i.params.bond, i.frozen};
  if (!cd_directory_put(&w->node->directory, &entry)) cd_log(CD_LOG_ERROR, "node", "out of memory");
}

/* Takes `state` and `fx`. `reply` may be NULL. */
static void give_birth(cd_worker *w, ch_channel *state, ch_effects *fx, cd_conn conn, const cd_reply *reply) {
  birth *b = calloc(1, sizeof *b);
  if (b == NULL) {
    if (reply != NULL) cd_reply_err(*reply, CH_ERR_NO_MEMORY);
    ch_effects_clear(fx);
    ch_channel_free(state);
    return;
  }
  *b = (birth){.state = state, .fx = *fx, .conn = conn, .id = *ch_channel_id_of(state)};
  b->keep.then = adopt;
  b->keep.owner = cd_node_owner(w->node, &b->id);
  ch_channel_origin(state, &b->keep.origin);
  if (reply != NULL) {
    b->wanted = true;
    b->reply = *reply;
  }
  announce(w, state);
  cd_keeper_add(w->node->keeper, &b->keep);
}

void cd_opens_accept(cd_worker *w, cd_remote *r, const ch_msg *msg) {
  asked *a = cd_table_get(&w->opens->asked, &msg->id);
  if (a == NULL || !ch_pubkey_eq(&a->opening.terms.peer, &r->node)) {
    cd_remote_tell(w, r, &msg->id, CH_ERR_UNKNOWN_CHANNEL, "this opening is not waited for any more");
    return;
  }
  ch_env env;
  ch_channel *state;
  ch_effects fx = {0};
  cd_node_env_at(w->node, &w->head, &env);
  ch_err err = ch_open_finish(&state, &fx, &env, &a->opening, msg, &w->signer);
  if (err == CH_OK) {
    give_birth(w, state, &fx, r->conn, &a->reply);
  } else {
    cd_reply_err(a->reply, err);
  }
  forget(w, a);
  if (err == CH_ERR_VIOLATION) cd_remote_refuse(w, r, &msg->id, err, "your answer does not fit the request");
}

/* --- Being asked --------------------------------------------------------------------------------- */

/* What is wrong with the terms, or NULL. */
static const char *bad_terms(const cd_node *n, const ch_msg *msg) {
  const cd_config *c = &n->config;
  const ch_chain *chain = &msg->u.open_request.chain;
  const ch_amount *deposit = msg->u.open_request.deposit;
  if (chain->chain_id != n->chain.chain_id || !ch_addr_eq(&chain->adjudicator, &n->chain.adjudicator))
    return "this node is on another chain";
  if (!cd_config_asset_ok(c, &msg->u.open_request.asset)) return "this node does not take that asset";
  if (msg->u.open_request.challenge_period < c->min_challenge_period) return "the challenge period is too short";
  if (msg->u.open_request.challenge_period > c->max_challenge_period) return "the challenge period is too long";
  if (ch_amount_cmp(msg->u.open_request.bond, c->max_bond) > 0) return "the bond is too high";
  if (!msg->u.open_request.opener_funds && ch_amount_cmp(deposit[1], c->max_deposit) > 0)
    return "this node does not deposit that much (its setting max-deposit)";
  const ch_lock_limits ours = cd_lock_limits(n), *theirs = &msg->u.open_request.locks;
  if (theirs->count > ours.count) return "too many conditional payments at a time (its setting max-locks)";
  if (theirs->longest > ours.longest) return "conditional payments would last too long (its setting max-lock-time)";
  if (deposit[0].v == 0 && deposit[1].v == 0) return "nobody deposits anything";
  if (ch_amount_cmp(deposit[0], c->min_deposit) < 0) return "you deposit too little (its setting min-deposit)";
  return NULL;
}

/* Which limit one more channel would break, or NULL. */
static const char *crowded(cd_node *n, const ch_pubkey *peer) {
  const cd_config *c = &n->config;
  cd_directory *d = &n->directory;
  if (cd_directory_in_phase(d, peer, CH_PHASE_OPENING) + cd_directory_in_phase(d, peer, CH_PHASE_FUNDING) >=
      c->max_pending_opens)
    return "too many openings of yours are unfinished (its setting max-pending-opens)";
  if (cd_directory_count(d, peer).live >= c->max_channels_per_peer)
    return "you have as many channels here as you may have (its setting max-channels-per-peer)";
  if (cd_directory_count(d, NULL).live >= c->max_channels)
    return "this node has as many channels as it may have (its setting max-channels)";
  return NULL;
}

/* Why this node does not want the channel, or NULL. */
static const char *objection(cd_worker *w, const cd_remote *r, const ch_msg *msg) {
  cd_node *n = w->node;
  if (atomic_load(&n->stopping)) return "this node is stopping";
  if (!cd_config_opener_ok(&n->config, &r->node)) return "you may not open channels here (its setting open-from)";
  const char *why = bad_terms(n, msg);
  return why != NULL ? why : crowded(n, &r->node);
}

void cd_opens_request(cd_worker *w, cd_remote *r, const ch_msg *msg) {
  const char *why = objection(w, r, msg);
  if (why != NULL) {
    cd_log(CD_LOG_INFO, "channel", "refused to open: %s node=%s", why, cd_short_node(&r->node).s);
    cd_remote_tell(w, r, &msg->id, CH_ERR_TERMS, why);
    return;
  }
  ch_env env;
  ch_hash nonce;
  ch_channel *state;
  ch_effects fx = {0};
  cd_node_env_at(w->node, &w->head, &env);
  randombytes_buf(&nonce, sizeof nonce);
  ch_err err = ch_open_answer(&state, &fx, &env, msg, &r->node, &w->node->chain, &w->node->payout, &nonce, &w->signer);
  if (err == CH_OK) {
    give_birth(w, state, &fx, r->conn, NULL);
  } else {
    cd_remote_tell(w, r, &msg->id, err, ch_err_text(err));
  }
}
