#include "follow.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "util/log.h"
#include "util/poller.h"
#include "value.h"
#include "watch.h"

#define CHAIN_ID_EVERY 64 /* polls; and whenever a node answers again */
#define LOOKS (CD_RPC_MANY / 2)
#define LEAVE_OUT_MAX 5 /* 2^5 polls */
#define OLD_S 180       /* a head that is older is told to the operator */

struct cd_evm_follow {
  cd_evm_follow_config cfg;
  cd_scan scan;
  cd_evm_watch watch;
  _Atomic uint64_t ahead; /* of the wall clock: the chain's */

  cd_poller poller;
  atomic_bool stopping;
  cd_l1_listener listener;

  pthread_mutex_t lock; /* what follows */
  bool has_head;
  cd_head head; /* the last one that was told */

  /* The polling thread's own. */
  size_t leader; /* who was read last */
  bool disagree; /* the nodes contradict each other */
  bool rotate;   /* and it is the next one's turn */
  bool in_trouble, is_old;
  unsigned polls;
  struct {
    bool ok;      /* it answered in this poll */
    bool checked; /* its chain id, since it last failed */
    /* How often in a row it could not be read when it was its turn, and the poll until which it comes last for that. */
    unsigned unread, left_out;
    cd_evm_block head;
  } node[CD_RPC_URLS_MAX];
};

/* --- The clock ---------------------------------------------------------------------------------------------------- */

static uint64_t system_wall(void *ctx) {
  (void)ctx;
  return (uint64_t)time(NULL);
}

uint64_t cd_evm_follow_now(cd_evm_follow *f) {
  return f->cfg.wall(f->cfg.wall_ctx) + atomic_load(&f->ahead);
}

/* A machine whose clock is behind goes by the chain's; one that is before the chain by its own. */
static void take_clock(cd_evm_follow *f, uint64_t head_time) {
  uint64_t wall = f->cfg.wall(f->cfg.wall_ctx);
  atomic_store(&f->ahead, head_time > wall ? head_time - wall : 0);
  bool old = wall > head_time + OLD_S;
  if (old != f->is_old)
    cd_log(old ? CD_LOG_WARN : CD_LOG_INFO, "l1",
           old ? "the chain's last block is old: is the node in step, and this machine's clock right? seconds=%llu"
               : "the chain's last block is of now again seconds=%llu",
           (unsigned long long)(wall > head_time ? wall - head_time : 0));
  f->is_old = old;
}

/* --- The nodes ---------------------------------------------------------------------------------------------------- */

/* A node may be replaced behind its URL. */
static bool is_our_chain(cd_evm_follow *f, size_t url) {
  cd_rpc_reply reply;
  uint64_t id = 0;
  bool ok = cd_rpc_ask(f->cfg.rpc, url, "eth_chainId", json_array(), &reply) == CD_RPC_OK;
  bool ours = ok && cd_value_u64(reply.result, &id) && id == f->cfg.chain.chain_id;
  cd_rpc_reply_clear(&reply);
  if (ok && !ours) cd_rpc_distrust(f->cfg.rpc, url, "it is on another chain: check its URL");
  return ours;
}

static void ask_node(cd_evm_follow *f, size_t url) {
  bool found;
  if (f->polls % CHAIN_ID_EVERY == 0 || !cd_rpc_healthy(f->cfg.rpc, url)) f->node[url].checked = false;
  if (!f->node[url].checked && !is_our_chain(f, url)) return;
  f->node[url].checked = true;
  if (cd_evm_block_tagged(f->cfg.rpc, url, "latest", &f->node[url].head, &found) == CD_RPC_OK && found)
    f->node[url].ok = true;
}

/* Those that rest only if no other answers: a node that lets one wait would hold up the rest. */
static void ask_nodes(cd_evm_follow *f) {
  size_t n = cd_rpc_count(f->cfg.rpc);
  bool rests[CD_RPC_URLS_MAX] = {false}, any = false;
  for (size_t i = 0; i < n; i++) {
    f->node[i].ok = false;
    rests[i] = cd_rpc_rests(f->cfg.rpc, i);
    if (!rests[i]) ask_node(f, i);
    any = any || f->node[i].ok;
  }
  for (size_t i = 0; i < n && !any; i++) {
    if (rests[i]) ask_node(f, i);
  }
  f->polls++;
}

/* A node that has the longest chain, but refuses what has to be read of it, must not keep the others from being read.
 */
static void keep_in_mind(cd_evm_follow *f, size_t url, cd_scan_result result) {
  if (result == CD_SCAN_DONE) f->node[url].unread = 0;
  if (result != CD_SCAN_FAILED) return;
  if (f->node[url].unread < LEAVE_OUT_MAX) f->node[url].unread++;
  f->node[url].left_out = f->polls + (1u << f->node[url].unread);
}

/* The longest chain; of those as long the one that was read before. While the nodes contradict each other, the next.
 * One that is not trusted, or left out, only if there is no other. */
static bool choose(cd_evm_follow *f, size_t *url) {
  size_t n = cd_rpc_count(f->cfg.rpc), best = n;
  bool best_good = false;
  for (size_t i = 0; i < n; i++) {
    size_t k = (f->leader + i + (f->rotate ? 1 : 0)) % n;
    if (!f->node[k].ok) continue;
    bool good = cd_rpc_trusted(f->cfg.rpc, k) && f->polls >= f->node[k].left_out;
    bool longer = best == n || (!f->disagree && f->node[k].head.number > f->node[best].head.number);
    if (good == best_good ? !longer : best_good) continue;
    best = k;
    best_good = good;
  }
  *url = best;
  return best < n;
}

/* Whether another node shows another block where this chain has one. */
static bool contradicts(cd_evm_follow *f, size_t url, const cd_scan_block *last) {
  cd_scan_block mine;
  cd_evm_block its = f->node[url].head;
  bool found;
  if (its.number <= last->number)
    return cd_scandb_at(f->cfg.db, its.number, &mine, &found) == CH_OK && found && !ch_hash_eq(&mine.hash, &its.hash);
  if (cd_evm_block_at(f->cfg.rpc, url, last->number, &its, &found) != CD_RPC_OK || !found) return f->disagree;
  return !ch_hash_eq(&last->hash, &its.hash);
}

static void find_contradictions(cd_evm_follow *f, const cd_scan_block *last) {
  bool disagree = false;
  for (size_t i = 0; i < cd_rpc_count(f->cfg.rpc); i++) {
    if (i == f->leader || !f->node[i].ok || !cd_rpc_trusted(f->cfg.rpc, i) || !contradicts(f, i, last)) continue;
    disagree = true;
    if (!f->disagree)
      cd_log(CD_LOG_WARN, "l1",
             "two nodes show different blocks: until they agree no new block counts, but disputes are answered "
             "block=%llu url=%s other=%s",
             (unsigned long long)last->number, cd_rpc_name(f->cfg.rpc, f->leader), cd_rpc_name(f->cfg.rpc, i));
  }
  if (f->disagree && !disagree) cd_log(CD_LOG_INFO, "l1", "the nodes agree again");
  f->disagree = disagree;
  f->scan.quiet = disagree;
}

/* --- Views -------------------------------------------------------------------------------------------------------- */

static bool read_words(cd_evm_follow *f, cd_evm_word *words, size_t n, char why[CD_RPC_TEXT]) {
  char text[CD_RPC_TEXT] = "";
  if (cd_evm_storage(f->cfg.rpc, f->leader, &f->cfg.chain.adjudicator, words, n, text) == CD_RPC_OK) return true;
  snprintf(why, CD_RPC_TEXT,
           "The node does not give the storage that it must keep, back to the final block, without gaps (%.80s).",
           text);
  return false;
}

/* The slots behind slot 0, which is there already. */
static bool read_slots(cd_evm_follow *f, const ch_hash *id, const cd_scan_block *at, ch_hash slots[CD_EVM_SLOTS],
                       char why[CD_RPC_TEXT]) {
  for (unsigned k = 1; k < cd_evm_slots_used(slots); k++) {
    cd_evm_word word = {.block = at->hash};
    cd_evm_slot(&word.slot, id, k);
    if (!read_words(f, &word, 1, why)) return false;
    slots[k] = word.value;
  }
  return true;
}

static cd_scan_result read_look(cd_evm_follow *f, const ch_hash *id, const cd_scan_block *at, const ch_hash *slot0,
                                uint64_t *from, cd_evm_look *out, char why[CD_RPC_TEXT]) {
  ch_adj_slots slots;
  memset(out, 0, sizeof *out);
  out->slots[0] = *slot0;
  if (!read_slots(f, id, at, out->slots, why)) return CD_SCAN_FAILED;
  if (cd_evm_slots_decode(&slots, out->slots) != CH_OK) {
    cd_rpc_distrust(f->cfg.rpc, f->leader, "no channel can have the storage that it gives");
    snprintf(why, CD_RPC_TEXT, "A node gives storage that no channel can have.");
    return CD_SCAN_FAILED;
  }
  if (slots.epoch == 0) return CD_SCAN_DONE;
  return cd_scan_find_ending(&f->scan, f->leader, id, (uint16_t)(slots.epoch - 1), at->number, from, &out->ended, why);
}

static void to_onchain(ch_onchain *out, const ch_hash *id, const cd_evm_look *look) {
  memset(out, 0, sizeof *out);
  if (cd_evm_slots_decode(&out->slots, look->slots) != CH_OK) return; /* it was decoded when it was read */
  out->has_ended = look->ended.kind != 0;
  if (out->has_ended) cd_evm_ending_decode(&out->ended, id, &look->ended);
}

static void tell_view(cd_evm_follow *f, const ch_hash *id, const cd_evm_view *view) {
  ch_chain_view out;
  cd_evm_key key = cd_evm_key_of(id);
  if (!cd_evm_watch_is_news(&f->watch, &key, view)) return;
  to_onchain(&out.head, id, &view->head);
  to_onchain(&out.final, id, &view->final);
  f->listener.view(f->listener.ctx, id, &out);
}

static cd_scan_result look_at_channel(cd_evm_follow *f, cd_evm_watched *c, const cd_scan_block *head,
                                      const cd_scan_block *final, const cd_evm_word words[2], char why[CD_RPC_TEXT]) {
  cd_evm_view view;
  cd_scan_result result = read_look(f, &c->key.id, head, &words[0].value, &c->from[0], &view.head, why);
  if (result == CD_SCAN_DONE) result = read_look(f, &c->key.id, final, &words[1].value, &c->from[1], &view.final, why);
  if (result == CD_SCAN_DONE) tell_view(f, &c->key.id, &view);
  return result;
}

/* A time in seconds as the contract stores it. */
static uint64_t seconds_of(const ch_hash *word) {
  uint64_t v = 0;
  for (size_t i = 24; i < 32; i++)
    v = v << 8 | word->b[i];
  return v;
}

static cd_scan_result look_at_hash(cd_evm_follow *f, cd_evm_watched *c, const cd_scan_block *head,
                                   const cd_evm_word words[2], char why[CD_RPC_TEXT]) {
  cd_evm_view view;
  memset(&view, 0, sizeof view);
  view.head.slots[0] = words[0].value;
  view.final.slots[0] = words[1].value;
  ch_reveal reveal = {
      .hash = c->key.hash, .head_time = seconds_of(&words[0].value), .final_time = seconds_of(&words[1].value)};
  if (reveal.head_time != 0 && !c->has_preimage) {
    cd_scan_result result =
        cd_scan_find_preimage(&f->scan, f->leader, &c->key.hash, head->number, &c->from[0], &c->preimage, why);
    if (result != CD_SCAN_DONE) return result;
    c->has_preimage = true;
    cd_evm_watch_searched(&f->watch, c);
  }
  if (reveal.head_time != 0) reveal.preimage = c->preimage;
  if (cd_evm_watch_is_news(&f->watch, &c->key, &view) && f->listener.reveal != NULL)
    f->listener.reveal(f->listener.ctx, &c->key.id, &reveal);
  return CD_SCAN_DONE;
}

/* At most LOOKS of them, whose first words are asked for together: after the head, and after the final block. One that
 * needs a longer search does not keep the others waiting, but the head. */
static cd_scan_result look_at_some(cd_evm_follow *f, cd_evm_watched *due, size_t n, const cd_scan_block *head,
                                   const cd_scan_block *final, char why[CD_RPC_TEXT]) {
  cd_evm_word words[2 * LOOKS];
  for (size_t i = 0; i < n; i++) {
    words[2 * i] = (cd_evm_word){.slot = due[i].key.id, .block = head->hash};
    if (cd_evm_is_hash(&due[i].key)) cd_evm_reveal_slot(&words[2 * i].slot, &due[i].key.hash);
    words[2 * i + 1] = (cd_evm_word){.slot = words[2 * i].slot, .block = final->hash};
  }
  if (!read_words(f, words, 2 * n, why)) return CD_SCAN_FAILED;
  cd_scan_result all = CD_SCAN_DONE;
  for (size_t i = 0; i < n; i++) {
    cd_scan_result result = cd_evm_is_hash(&due[i].key) ? look_at_hash(f, &due[i], head, &words[2 * i], why)
                                                        : look_at_channel(f, &due[i], head, final, &words[2 * i], why);
    if (result == CD_SCAN_DONE) continue;
    cd_evm_watch_searched(&f->watch, &due[i]);
    cd_evm_watch_due(&f->watch, &due[i].key);
    all = result;
    if (result == CD_SCAN_FAILED) break;
  }
  return all;
}

/* Looks at all that are due; those that could not be looked at stay so. */
static cd_scan_result look_at_all(cd_evm_follow *f, const cd_scan_block *head, const cd_scan_block *final,
                                  bool new_block, char why[CD_RPC_TEXT]) {
  cd_evm_watched *due;
  size_t n;
  cd_scan_result all = CD_SCAN_DONE;
  if (!cd_evm_watch_take(&f->watch, new_block, &due, &n)) {
    snprintf(why, CD_RPC_TEXT, "Out of memory.");
    return CD_SCAN_FAILED;
  }
  for (size_t i = 0; i < n; i += LOOKS) {
    size_t some = n - i < LOOKS ? n - i : LOOKS;
    cd_scan_result result = all == CD_SCAN_FAILED ? CD_SCAN_FAILED : look_at_some(f, &due[i], some, head, final, why);
    if (result != CD_SCAN_DONE) all = result;
    for (size_t k = i; result == CD_SCAN_FAILED && k < i + some; k++)
      cd_evm_watch_due(&f->watch, &due[k].key);
  }
  free(due);
  return all;
}

/* --- One look ----------------------------------------------------------------------------------------------------- */

static void tell_head(cd_evm_follow *f, const cd_scan_block *last, const cd_scan_block *final) {
  cd_head head = {.number = last->number,
                  .time = last->time,
                  .hash = last->hash,
                  .final_number = final->number,
                  .final_time = final->time};
  take_clock(f, last->time);
  pthread_mutex_lock(&f->lock);
  bool news = !f->has_head || !ch_hash_eq(&f->head.hash, &head.hash) || f->head.final_number != head.final_number;
  f->has_head = true;
  f->head = head;
  pthread_mutex_unlock(&f->lock);
  if (news) f->listener.head(f->listener.ctx, &head);
}

static cd_scan_result find_final(cd_evm_follow *f, const cd_scan_block *last, cd_scan_block *out,
                                 char why[CD_RPC_TEXT]) {
  bool found;
  uint64_t number;
  if (!f->disagree) return cd_scan_final(&f->scan, f->leader, last, out, why);
  if (cd_scandb_final(f->cfg.db, &number, &found) == CH_OK && found &&
      cd_scandb_at(f->cfg.db, number, out, &found) == CH_OK && found)
    return CD_SCAN_DONE;
  snprintf(why, CD_RPC_TEXT, "The file that says how far the chain was read cannot be used: look at the disk.");
  return CD_SCAN_FAILED;
}

/* The chain is read up to its head: what does it show? */
static cd_scan_result look(cd_evm_follow *f, char why[CD_RPC_TEXT]) {
  cd_scan_block last, final;
  bool found;
  if (cd_scandb_last(f->cfg.db, &last, &found) != CH_OK || !found) {
    snprintf(why, CD_RPC_TEXT, "The file that says how far the chain was read cannot be used: look at the disk.");
    return CD_SCAN_FAILED;
  }
  find_contradictions(f, &last);
  cd_scan_result result = find_final(f, &last, &final, why);
  if (result != CD_SCAN_DONE) return result;
  bool new_block = !f->has_head || !ch_hash_eq(&f->head.hash, &last.hash) || f->head.final_number != final.number;
  result = look_at_all(f, &last, &final, new_block, why);
  if (result != CD_SCAN_DONE || f->disagree) return result;
  if (cd_scandb_finalize(f->cfg.db, final.number) != CH_OK) {
    snprintf(why, CD_RPC_TEXT, "The file that says how far the chain was read cannot be written: look at the disk.");
    return CD_SCAN_FAILED;
  }
  tell_head(f, &last, &final);
  return CD_SCAN_DONE;
}

static cd_scan_result poll_nodes(cd_evm_follow *f, char why[CD_RPC_TEXT]) {
  size_t url;
  bool anew = false;
  ask_nodes(f);
  if (!choose(f, &url)) {
    snprintf(why, CD_RPC_TEXT, "No node of the chain answers: check their URLs and whether they run.");
    return CD_SCAN_FAILED;
  }
  f->leader = url;
  f->rotate = false;
  cd_scan_result result = cd_scan_towards(&f->scan, url, &f->node[url].head, &anew, why);
  if (anew) cd_evm_watch_all_due(&f->watch);
  if (result == CD_SCAN_DONE) result = look(f, why);
  keep_in_mind(f, url, result);
  f->rotate = f->disagree && result != CD_SCAN_MORE;
  return result;
}

void cd_evm_follow_once(cd_evm_follow *f) {
  char why[CD_RPC_TEXT] = "";
  cd_scan_result result = poll_nodes(f, why);
  if (result == CD_SCAN_MORE) cd_evm_follow_poke(f);
  bool trouble = result == CD_SCAN_FAILED;
  if (atomic_load(&f->stopping)) return; /* the nodes are not asked any more: no trouble */
  if (trouble && !f->in_trouble) cd_log(CD_LOG_WARN, "l1", "the chain is not read: %s", why);
  if (!trouble && f->in_trouble) cd_log(CD_LOG_INFO, "l1", "the chain is read again");
  f->in_trouble = trouble;
}

/* --- The thread --------------------------------------------------------------------------------------------------- */

static void look_once(void *ctx) {
  cd_evm_follow_once(ctx);
}

void cd_evm_follow_listen(cd_evm_follow *f, const cd_l1_listener *listener) {
  f->listener = *listener;
}

ch_err cd_evm_follow_start(cd_evm_follow *f, const cd_l1_listener *listener) {
  if (f->poller.running) return CH_ERR_ARGUMENT;
  cd_evm_follow_listen(f, listener);
  return cd_poller_start(&f->poller) ? CH_OK : CH_ERR_NO_MEMORY;
}

void cd_evm_follow_stop(cd_evm_follow *f) {
  if (!f->poller.running) return;
  atomic_store(&f->stopping, true);
  cd_rpc_stop(f->cfg.rpc);
  cd_poller_stop(&f->poller);
}

/* --- Watching ----------------------------------------------------------------------------------------------------- */

void cd_evm_follow_poke(cd_evm_follow *f) {
  cd_poller_poke(&f->poller);
}

static void watch_key(cd_evm_follow *f, const cd_evm_key *key) {
  if (!cd_evm_watch_add(&f->watch, key)) cd_log(CD_LOG_ERROR, "l1", "a channel is not watched: memory is out");
  cd_evm_follow_poke(f);
}

void cd_evm_follow_watch(cd_evm_follow *f, const ch_hash *id) {
  cd_evm_key key = cd_evm_key_of(id);
  watch_key(f, &key);
}

void cd_evm_follow_unwatch(cd_evm_follow *f, const ch_hash *id) {
  cd_evm_key key = cd_evm_key_of(id);
  cd_evm_watch_remove(&f->watch, &key);
}

void cd_evm_follow_watch_hash(cd_evm_follow *f, const ch_hash *id, const ch_hash *hash) {
  watch_key(f, &(cd_evm_key){*id, *hash});
}

void cd_evm_follow_unwatch_hash(cd_evm_follow *f, const ch_hash *id, const ch_hash *hash) {
  cd_evm_watch_remove(&f->watch, &(cd_evm_key){*id, *hash});
}

bool cd_evm_follow_head(cd_evm_follow *f, cd_head *out) {
  pthread_mutex_lock(&f->lock);
  bool has = f->has_head;
  *out = f->head;
  pthread_mutex_unlock(&f->lock);
  return has;
}

static size_t touch(void *ctx, const uint8_t bloom[CD_EVM_BLOOM]) {
  return cd_evm_watch_touch(&((cd_evm_follow *)ctx)->watch, bloom);
}

static bool watched(void *ctx, const ch_hash *id) {
  cd_evm_key key = cd_evm_key_of(id);
  return cd_evm_watch_has(&((cd_evm_follow *)ctx)->watch, &key);
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

ch_err cd_evm_follow_new(cd_evm_follow **out, const cd_evm_follow_config *cfg) {
  cd_evm_follow *f = calloc(1, sizeof *f);
  *out = NULL;
  if (f == NULL || !cd_evm_watch_init(&f->watch)) {
    free(f);
    return CH_ERR_NO_MEMORY;
  }
  pthread_mutex_init(&f->lock, NULL);
  if (!cd_poller_init(&f->poller, cfg->poll_ms, look_once, f)) {
    cd_evm_watch_free(&f->watch);
    free(f);
    return CH_ERR_NO_MEMORY;
  }
  f->cfg = *cfg;
  if (f->cfg.wall == NULL) f->cfg.wall = system_wall;
  f->scan = (cd_scan){.rpc = cfg->rpc,
                      .db = cfg->db,
                      .contract = cfg->chain.adjudicator,
                      .marks = cd_evm_marks_of(cfg->chain.adjudicator.b, sizeof cfg->chain.adjudicator.b),
                      .confirmations = cfg->confirmations,
                      .tag = cfg->tag,
                      .touch = touch,
                      .watched = watched,
                      .ctx = f};
  *out = f;
  return CH_OK;
}

void cd_evm_follow_free(cd_evm_follow *f) {
  if (f == NULL) return;
  cd_evm_follow_stop(f);
  cd_evm_watch_free(&f->watch);
  cd_poller_free(&f->poller);
  pthread_mutex_destroy(&f->lock);
  free(f);
}
