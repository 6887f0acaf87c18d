#include "remote.h"

#include <stdlib.h>

#include "chan.h"
#include "json.h"
#include "opens.h"

cd_remote *cd_remote_of(cd_worker *w, const ch_pubkey *node) {
  cd_remote *r = cd_table_get(&w->remotes, node);
  if (r != NULL) return r;
  r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->node = *node;
  if (cd_table_put(&w->remotes, r)) return r;
  free(r);
  return NULL;
}

void cd_remote_release(cd_worker *w, cd_remote *r) {
  if (r->conn != 0 || r->channels != NULL) return;
  cd_table_remove(&w->remotes, &r->node);
  free(r);
}

/* The remote holds still while its channels are stepped: a step may cut it, never free it. Then the rest stays down. */
static void nudge_all(cd_worker *w, cd_remote *r, ch_event_kind kind) {
  ch_event ev = {.kind = kind};
  for (cd_chan *c = r->channels; c != NULL && (r->conn != 0) == (kind == CH_EV_LINK_UP); c = c->next)
    cd_chan_nudge(w, c, &ev);
}

void cd_remote_up(cd_worker *w, const ch_pubkey *node, cd_conn conn) {
  cd_remote *r = cd_remote_of(w, node);
  if (r == NULL) return;
  if (r->conn != 0) cd_table_remove(&w->links, &r->conn);
  r->conn = conn;
  if (!cd_table_put(&w->links, r)) {
    r->conn = 0;
    cd_remote_release(w, r);
    return;
  }
  nudge_all(w, r, CH_EV_LINK_UP);
}

void cd_remote_cut(cd_worker *w, cd_remote *r) {
  if (r->conn == 0) return;
  cd_table_remove(&w->links, &r->conn);
  r->conn = 0;
  nudge_all(w, r, CH_EV_LINK_DOWN);
}

void cd_remote_down(cd_worker *w, const ch_pubkey *node, cd_conn conn) {
  cd_remote *r = cd_table_get(&w->remotes, node);
  if (r == NULL) return;
  if (r->conn == conn) cd_remote_cut(w, r);
  cd_remote_release(w, r);
}

void cd_remote_tell(cd_worker *w, const cd_remote *r, const ch_hash *id, ch_err code, const char *text) {
  cd_net *net = &w->node->net;
  ch_msg msg = {.type = CH_MSG_ERROR, .id = *id};
  msg.u.error.code = (uint32_t)code;
  size_t len = strnlen(text, CH_TEXT_MAX);
  memcpy(msg.u.error.text, text, len);
  uint8_t *bytes;
  if (ch_msg_encode(&msg, &bytes, &len) == CH_OK) net->ops->send(net->ctx, r->conn, bytes, len);
}

void cd_remote_refuse(cd_worker *w, cd_remote *r, const ch_hash *id, ch_err code, const char *text) {
  cd_net *net = &w->node->net;
  cd_conn conn = r->conn;
  cd_log(CD_LOG_WARN, "peer", "refused a message: %s node=%s channel=%s", text, cd_short_node(&r->node).s,
         cd_short_hash(id).s);
  cd_remote_tell(w, r, id, code, text);
  cd_remote_cut(w, r);
  net->ops->close(net->ctx, conn, text);
}

/* --- Messages ------------------------------------------------------------------------------------ */

/* An error changes nothing: only openings end by it. */
static void on_error(cd_worker *w, const cd_remote *r, const ch_msg *msg) {
  cd_log(CD_LOG_WARN, "peer", "says: %s (%s) node=%s channel=%s", msg->u.error.text,
         ch_err_name((ch_err)msg->u.error.code), cd_short_node(&r->node).s, cd_short_hash(&msg->id).s);
  if (w->opens != NULL) cd_opens_refused(w, &r->node, msg);
}

/* The chain's head is too old to sign by. A reconnect, later, brings both sides together again. */
static void on_stale(cd_worker *w, cd_remote *r) {
  cd_net *net = &w->node->net;
  cd_conn conn = r->conn;
  cd_log(CD_LOG_WARN, "peer", "the chain is stale: disconnecting node=%s", cd_short_node(&r->node).s);
  cd_remote_cut(w, r);
  net->ops->close(net->ctx, conn, "the chain is stale here");
}

static void on_channel_message(cd_worker *w, cd_remote *r, const ch_msg *msg) {
  cd_chan *c = cd_chan_get(w, &msg->id);
  if (c == NULL) {
    cd_remote_tell(w, r, &msg->id, CH_ERR_UNKNOWN_CHANNEL, "there is no such channel here");
    return;
  }
  if (c->remote != r) {
    cd_remote_refuse(w, r, &msg->id, CH_ERR_VIOLATION, "this is not your channel");
    return;
  }
  if (c->quarantined) return;
  ch_err err = cd_chan_step(w, c, &(ch_event){.kind = CH_EV_MESSAGE, .u.msg = msg}, NULL, NULL);
  if (err == CH_OK || c->quarantined) return;
  if (err == CH_ERR_STALE) {
    on_stale(w, r);
  } else {
    cd_remote_refuse(w, r, &msg->id, err, ch_err_text(err));
  }
}

static void dispatch(cd_worker *w, cd_remote *r, const ch_msg *msg) {
  switch (msg->type) {
  case CH_MSG_ERROR: on_error(w, r, msg); break;
  case CH_MSG_OPEN_REQUEST: cd_opens_request(w, r, msg); break;
  case CH_MSG_OPEN_ACCEPT: cd_opens_accept(w, r, msg); break;
  case CH_MSG_OPEN_CONFIRM:
  case CH_MSG_FUNDS:
  case CH_MSG_REESTABLISH:
  case CH_MSG_UPDATE:
  case CH_MSG_FULL_STATE:
  case CH_MSG_CLOSE:
  case CH_MSG_WITHDRAW:
  case CH_MSG_RESUME: on_channel_message(w, r, msg); break;
  }
}

void cd_remote_message(cd_worker *w, cd_conn conn, const uint8_t *bytes, size_t len) {
  cd_remote *r = cd_table_get(&w->links, &conn);
  if (r == NULL) return;
  ch_msg msg;
  bool known;
  ch_err err = ch_msg_decode(&msg, &known, bytes, len);
  if (err != CH_OK) {
    cd_remote_refuse(w, r, &(ch_hash){0}, err, ch_err_text(err));
    return;
  }
  if (!known) return;
  cd_log(CD_LOG_TRACE, "peer", "message type=%d bytes=%zu node=%s", (int)msg.type, len, cd_short_node(&r->node).s);
  dispatch(w, r, &msg);
  ch_msg_clear(&msg);
}
