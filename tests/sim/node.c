/* node.c - a simulated node: drives the real engine as the daemon does, through crashes. */
#include "world.h"

#include <stdlib.h>

/* --- Making and looking ------------------------------------------------------------------------------------ */

void node_make(world *w, int side) {
  node *n = &w->node[side];
  ch_hash h;
  memset(n, 0, sizeof *n);
  n->side = side;
  n->alive = true;
  rng_hash(&w->rng, &h);
  memcpy(n->node_key.b, h.b, 32);
  rng_hash(&w->rng, &n->instance);
  if (w->with_store) n->disk.store = store_new();
  if (ch_pubkey_of(&n->node_id, &n->node_key) || ch_address_of(&n->address, &n->node_id)) abort();
}

void node_free(node *n) {
  link_clear(n);
  ch_channel_free(n->channel);
  disk_free(&n->disk);
  disk_free(&n->copy);
}

void node_env(const world *w, const node *n, ch_env *env) {
  int final = n->seen > FINAL_DEPTH ? n->seen - FINAL_DEPTH : 0;
  *env = (ch_env){.now = w->now,
                  .head_number = (uint64_t)n->seen,
                  .head_time = w->blocks[n->seen].time,
                  .final_number = (uint64_t) final,
                  .final_time = w->blocks[final].time,
                  .freshness = w->broken == BROKEN_FRESH ? UINT32_MAX : FRESHNESS,
                  .margin = w->broken == BROKEN_MARGIN ? 0 : MARGIN,
                  .instance = n->instance};
  if (n->blind) env->head_number = env->head_time = env->final_number = env->final_time = 0;
}

void node_info(const world *w, const node *n, ch_info *info) {
  ch_env env;
  node_env(w, n, &env);
  ch_channel_info(n->channel, &env, info);
}

ch_phase node_phase(const world *w, int side) {
  ch_info info;
  node_info(w, &w->node[side], &info);
  return info.phase;
}

bool node_frozen(const world *w, const node *n) {
  ch_info info;
  if (!n->channel) return false;
  node_info(w, n, &info);
  return info.frozen;
}

/* --- The barrier -------------------------------------------------------------------------------------------- */

static void send_all(world *w, node *n, const ch_effects *fx, size_t limit) {
  for (size_t i = 0; i < fx->n && limit; i++) {
    const ch_effect *e = &fx->v[i];
    if (e->kind == CH_FX_DISCONNECT) {
      note(w, "node %d disconnects: %s", n->side, e->u.disconnect.text);
      link_cut(w, false);
    }
    if (e->kind != CH_FX_SEND) continue;
    limit--;
    note(w, "node %d sends %d", n->side, (int)e->u.send.type);
    link_send(w, n, e->u.send.bytes, e->u.send.len);
  }
}

/* Memory from the disk, as at a start. */
static void reload(world *w, node *n) {
  ch_channel_free(n->channel);
  n->channel = NULL;
  memset(&n->view, 0, sizeof n->view);
  n->blind = true;
  if (n->disk.record) disk_load(w, n);
}

/* The disk takes nothing: memory is dropped, as nothing of it has left. */
static void not_saved(world *w, node *n) {
  happened(w, K_NOT_SAVED);
  note(w, "node %d: a change could not be saved", n->side);
  link_cut(w, false);
  reload(w, n);
}

typedef enum trouble { NONE, BEFORE, AFTER, SENDING, REFUSED } trouble;

static trouble some_trouble(world *w, const ch_effects *fx) {
  if (!w->faults || !rng_chance(&w->rng, 3)) return NONE;
  if (!fx->durable) return rng_chance(&w->rng, 50) ? SENDING : NONE;
  return (trouble)(BEFORE + (int)rng_below(&w->rng, 4));
}

/* The effects, with a crash before the transaction, between it and the sends, or among the sends. */
static void perform(world *w, node *n, ch_channel *next, const ch_effects *fx, size_t signatures) {
  trouble t = some_trouble(w, fx);
  if (w->broken == BROKEN_BARRIER) send_all(w, n, fx, SIZE_MAX);
  if (t == BEFORE || t == REFUSED) {
    /* Nothing was saved and nothing left: what was signed in this step is as if it had never been. */
    if (w->broken != BROKEN_BARRIER) w->n_signatures = signatures;
    disk_try(w, n, next, fx);
    ch_channel_free(next);
    if (t == REFUSED) return not_saved(w, n);
    happened(w, K_CRASH_BEFORE);
    return node_crash(w, n);
  }
  bool lost = w->broken == BROKEN_PERSIST && rng_chance(&w->rng, 5);
  if (!lost) disk_commit(w, n, next, fx);
  ch_channel_free(n->channel);
  n->channel = next;
  if (t == AFTER) happened(w, K_CRASH_AFTER);
  if (t == AFTER) return node_crash(w, n);
  if (w->broken != BROKEN_BARRIER) send_all(w, n, fx, t == SENDING ? rng_below(&w->rng, 2) : SIZE_MAX);
  if (t != SENDING) return;
  happened(w, K_CRASH_SENDING);
  node_crash(w, n);
}

ch_err node_step(world *w, node *n, const ch_event *ev) {
  if (!n->alive || !n->channel) return CH_ERR_NOT_CONNECTED;
  ch_env env;
  ch_effects fx = {0};
  ch_channel *next;
  ch_signer signer = node_signer(w, n);
  node_env(w, n, &env);
  size_t signatures = w->n_signatures;
  ch_err err = ch_step(&next, &fx, n->channel, &env, ev, &signer);
  w->steps++;
  if (err) {
    w->n_signatures = signatures;
    if (err == CH_ERR_BUG || err == CH_ERR_DOUBLE_SIGN) fail(w, "node %d: %s", n->side, ch_err_name(err));
    return err;
  }
  perform(w, n, next, &fx, signatures);
  ch_effects_clear(&fx);
  return CH_OK;
}

/* --- The chain ---------------------------------------------------------------------------------------------- */

/* As in the daemon: what a block did has been seen before its time counts, or "expired unused" would be believed of a
 * Close that it executed (seed 1004417). Views and reveals come before the head that they belong to, as the daemon has
 * them. */
void node_look_at_chain(world *w, node *n) {
  if (!n->alive || !n->channel) return;
  if (w->broken == BROKEN_WATCH && chain_head(w)->state.slots.disputed) return;
  int head = n->stalled ? n->seen : w->n_blocks - 1;
  int final = head > FINAL_DEPTH ? head - FINAL_DEPTH : 0;
  node_look_at_hashes(w, n, head, final);
  if (!n->alive) return;
  ch_chain_view view = {w->blocks[head].state, w->blocks[final].state};
  ch_event ev = {.kind = CH_EV_CHAIN, .u.view = &view};
  if (n->blind || memcmp(&view, &n->view, sizeof view) != 0) {
    n->view = view;
    n->blind = false;
    ch_err err = node_step(w, n, &ev);
    if (err && err != CH_ERR_NOT_CONNECTED) return fail(w, "a view was refused: %s", ch_err_name(err));
  }
  n->seen = head;
  ev = (ch_event){.kind = CH_EV_TICK};
  ch_err err = node_step(w, n, &ev);
  if (err && err != CH_ERR_NOT_CONNECTED) fail(w, "a tick was refused: %s", ch_err_name(err));
}

/* --- Crash and start ---------------------------------------------------------------------------------------- */

void node_crash(world *w, node *n) {
  note(w, "node %d crashes", n->side);
  link_cut(w, false);
  n->alive = false;
  n->down = w->now;
  n->conn = 0;
  link_clear(n);
  ch_channel_free(n->channel);
  n->channel = NULL;
}

void node_boot(world *w, node *n) {
  n->alive = true;
  rng_hash(&w->rng, &n->instance);
  if (w->broken == BROKEN_BACKUP && n->copy.record) disk_copy(&n->disk, &n->copy);
  reload(w, n);
  note(w, "node %d restarts", n->side);
}

void node_restart(world *w, node *n) {
  node_boot(w, n);
  node_look_at_chain(w, n);
}
