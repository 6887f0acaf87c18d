/* link.c - the network: one connection, in order, that breaks at any point and is seen to break at different times. */
#include "world.h"

#include <stdlib.h>

void link_clear(node *n) {
  for (size_t i = 0; i < n->n_inbox; i++)
    free(n->inbox[i].bytes);
  n->n_inbox = 0;
}

static void drop_inbox(world *w, node *n) {
  if (w->broken == BROKEN_REPLAY) return;
  w->count[K_DROP] += n->n_inbox;
  link_clear(n);
}

static void hang_up(world *w, node *n) {
  n->conn = 0;
  drop_inbox(w, n);
  if (!n->alive || !n->channel) return;
  ch_event ev = {.kind = CH_EV_LINK_DOWN};
  ch_effects fx = {0};
  ch_channel *next;
  ch_env env;
  ch_signer signer = node_signer(w, n);
  node_env(w, n, &env);
  if (ch_step(&next, &fx, n->channel, &env, &ev, &signer)) return fail(w, "a cut was refused");
  disk_commit(w, n, next, &fx);
  ch_channel_free(n->channel);
  n->channel = next;
  ch_effects_clear(&fx);
}

/* Half: one side goes on reading what is under way to it, and learns of the cut when the next connection comes. */
void link_cut(world *w, bool half) {
  if (!w->conn) {
    for (int i = 0; i < 2 && !half; i++)
      if (w->node[i].conn) hang_up(w, &w->node[i]);
    return;
  }
  note(w, half ? "the connection is cut, one side does not see it yet" : "the connection is cut");
  happened(w, half ? K_HALF_CUT : K_CUT);
  w->conn = 0;
  int late = half ? (int)rng_below(&w->rng, 2) : -1;
  for (int i = 0; i < 2; i++)
    if (i != late) hang_up(w, &w->node[i]);
}

void link_connect(world *w) {
  if (w->conn || !w->node[0].alive || !w->node[1].alive) return;
  w->conn = ++w->conns;
  note(w, "connection %llu", (unsigned long long)w->conn);
  for (int i = 0; i < 2; i++) {
    drop_inbox(w, &w->node[i]);
    w->node[i].conn = w->conn;
  }
  ch_event ev = {.kind = CH_EV_LINK_UP};
  for (int i = 0; i < 2; i++)
    node_step(w, &w->node[i], &ev);
  if (w->liar) liar_connected(w);
}

void link_send(world *w, node *n, const uint8_t *bytes, size_t len) {
  node *peer = &w->node[1 - n->side];
  if (!w->conn || n->conn != w->conn || peer->conn != w->conn || !peer->alive) return;
  if (!is_honest(w, peer->side)) return liar_hears(w, bytes, len);
  if (peer->n_inbox == MAX_INFLIGHT) return fail(w, "too many messages for the simulator");
  uint8_t *copy = (uint8_t *)malloc(len);
  if (!copy) abort();
  memcpy(copy, bytes, len);
  peer->inbox[peer->n_inbox++] = (message){copy, len, w->conn, w->n_blocks};
}

/* What an honest receiver makes of it, and whether that may be. */
static void refused(world *w, const node *n, ch_msg_type type, ch_err err) {
  note(w, "node %d refused a message of type %d: %s", n->side, (int)type, ch_err_name(err));
  bool peer = is_honest(w, 1 - n->side) && !w->cloned[0] && !w->cloned[1];
  if (peer && err != CH_ERR_STALE)
    fail(w, "an honest node found a violation of type %d: %s", (int)type, ch_err_name(err));
  link_cut(w, false);
}

static void take(world *w, node *n, ch_msg *msg) {
  if (msg->type == CH_MSG_UPDATE && msg->u.update.has_refusal) happened(w, K_REFUSAL);
  if (msg->type == CH_MSG_FUNDS && w->optimistic) /* a hint that is wrong leads to refusals, never to worse */
    msg->u.funds.contribution[0] = msg->u.funds.contribution[1] = ch_net_of(1000000);
  const ch_msg_type type = msg->type;
  note(w, "node %d takes %d of epoch %d", n->side, (int)type, msg->epoch);
  ch_event ev = {.kind = CH_EV_MESSAGE, .u.msg = msg};
  ch_err err = node_step(w, n, &ev);
  if (err != CH_OK && err != CH_ERR_NOT_CONNECTED) refused(w, n, type, err);
}

void node_deliver(world *w, node *n) {
  if (!n->alive || !n->channel || !n->n_inbox) return;
  message m = n->inbox[0];
  memmove(n->inbox, n->inbox + 1, --n->n_inbox * sizeof m);
  if (m.block < w->n_blocks) happened(w, K_DELAY);
  ch_msg msg;
  bool known = false;
  ch_err err = ch_msg_decode(&msg, &known, m.bytes, m.len);
  free(m.bytes);
  if (!err && known) {
    take(w, n, &msg);
    ch_msg_clear(&msg);
  } else if (is_honest(w, 1 - n->side)) {
    fail(w, "a message did not decode: %s", ch_err_name(err));
  } else {
    link_cut(w, false);
  }
}
