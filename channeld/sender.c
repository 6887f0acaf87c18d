/* sender.c - the sender's rows, rounds and thread. */
#include "sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "json.h"
#include "sender_internal.h"
#include "util/queue.h"

#define RETRY_MS 2000
#define GATHER_MS 10000   /* a peer that has to sign is slow, or away */
#define BALANCE_BLOCKS 20 /* how often to look whether the balance would do */

/* --- The rows ------------------------------------------------------------------------------------ */

static void rows_clear(cd_sender *s) {
  for (size_t i = 0; i < s->n; i++)
    cd_tx_row_clear(&s->rows[i]);
  s->n = 0;
}

static bool copy_bytes(void *out, const void *in, size_t len) {
  void *copy = NULL;
  if (len > 0 && (copy = malloc(len)) == NULL) return false;
  if (len > 0) memcpy(copy, in, len);
  memcpy(out, &copy, sizeof copy);
  return true;
}

static bool keep_row(cd_sender *s, const cd_tx_row *row) {
  if (s->n == s->cap) {
    size_t cap = s->cap == 0 ? 16 : 2 * s->cap;
    cd_tx_row *rows = realloc(s->rows, cap * sizeof *rows);
    if (rows == NULL) return false;
    s->rows = rows;
    s->cap = cap;
  }
  cd_tx_row *copy = &s->rows[s->n];
  *copy = *row;
  copy->data = copy->raw = NULL;
  copy->replaced = NULL;
  s->n++;
  return copy_bytes(&copy->data, row->data, row->data_len) && copy_bytes(&copy->raw, row->raw, row->raw_len) &&
         copy_bytes(&copy->replaced, row->replaced, row->n_replaced * sizeof *row->replaced);
}

static bool keep(void *arg, const cd_tx_row *row) {
  cd_sender *s = arg;
  s->incomplete = !keep_row(s, row);
  return !s->incomplete;
}

bool cd_sender_put(cd_sender *s, cd_tx_row *row) {
  cd_store *store = &s->node->store;
  row->updated = s->node->l1.ops->now(s->node->l1.ctx);
  if (store->ops->tx_put(store->ctx, row) == CH_OK) return true;
  cd_log(CD_LOG_ERROR, "sender", "cannot save a transaction: it waits key=%s", cd_short_hash(&row->key).s);
  return false;
}

bool cd_sender_is_news(cd_sender *s, const cd_tx_row *row, const char *why) {
  for (size_t i = 0; i < CD_COMPLAINTS; i++) {
    if (ch_hash_eq(&s->complaints[i].key, &row->key) && strcmp(s->complaints[i].why, why) == 0) return false;
  }
  cd_complaint *c = &s->complaints[s->next_complaint++ % CD_COMPLAINTS];
  c->key = row->key;
  snprintf(c->why, sizeof c->why, "%s", why);
  return true;
}

void cd_sender_fail(cd_sender *s, cd_tx_row *row, const char *why) {
  char text[sizeof row->error];
  snprintf(text, sizeof text, "%s", why); /* `why` may be row->error */
  memcpy(row->error, text, sizeof text);
  row->status = CD_TX_FAILED;
  if (!cd_sender_put(s, row)) return;
  cd_log(cd_sender_is_news(s, row, text) ? CD_LOG_WARN : CD_LOG_DEBUG, "sender",
         "a transaction failed: %s key=%s channel=%s", text, cd_short_hash(&row->key).s,
         cd_short_hash(&row->channel).s);
}

cd_sent cd_sender_broadcast(cd_sender *s, const cd_tx_row *row, char why[200]) {
  cd_l1 *l1 = &s->node->l1;
  why[0] = '\0';
  cd_sent sent = l1->ops->broadcast(l1->ctx, row->raw, row->raw_len, why);
  switch (sent) {
  case CD_SENT_OK:
  case CD_SENT_KNOWN:
  case CD_SENT_NONCE_LOW: break; /* a receipt, or its absence, tells more in a later round */
  case CD_SENT_REFUSED:          /* told once by whoever gives it up */
  case CD_SENT_UNDERPRICED:
  case CD_SENT_RETRY:
    cd_log(sent != CD_SENT_REFUSED && cd_sender_is_news(s, row, why) ? CD_LOG_INFO : CD_LOG_DEBUG, "sender",
           "a transaction is not taken yet: %s key=%s", why, cd_short_hash(&row->key).s);
    break;
  }
  return sent;
}

/* --- Rounds ---------------------------------------------------------------------------------------- */

/* What the fees and bonds of disputes in all living channels would take. */
static bool disputes_cost(cd_node *n, ch_amount *out) {
  ch_amount fees;
  const cd_counts channels = cd_directory_count(&n->directory, NULL);
  *out = channels.bonds;
  if (n->l1.ops->dispute_cost(n->l1.ctx, (uint32_t)n->config.max_locks, &fees) != CH_OK) return false;
  for (unsigned i = 0; i < channels.live; i++) {
    if (ch_amount_add(out, *out, fees) != CH_OK) out->v = CH_MONEY_MAX;
  }
  return true;
}

/* A node that cannot pay for a refutation loses money to the first cheat: that is to be said before. */
static void look_at_balance(cd_sender *s) {
  cd_node *n = s->node;
  const ch_addr native = {0};
  ch_amount need, have;
  char text[2][CH_MONEY_STR];
  if (n->l1.ops->dispute_cost == NULL || s->head.number < s->look_at_balance) return;
  if (!disputes_cost(n, &need) || n->l1.ops->balance(n->l1.ctx, &n->account, &native, &have) != CH_OK) return;
  s->look_at_balance = s->head.number + BALANCE_BLOCKS;
  bool poor = ch_amount_cmp(have, need) < 0;
  if (poor && !s->poor)
    cd_log(CD_LOG_WARN, "sender",
           "the account cannot pay for a dispute of every channel: send coin to it balance=%s needed=%s",
           ch_amount_str(text[0], have), ch_amount_str(text[1], need));
  if (!poor && s->poor) cd_log(CD_LOG_INFO, "sender", "the account can pay for a dispute of every channel again");
  s->poor = poor;
}

static void one_round(cd_sender *s) {
  cd_node *n = s->node;
  pthread_mutex_lock(&n->head_lock);
  s->head = n->head;
  pthread_mutex_unlock(&n->head_lock);
  look_at_balance(s);
  s->incomplete = false;
  if (n->store.ops->txs(n->store.ctx, true, keep, s) != CH_OK || s->incomplete) return;
  if (s->n == 0 || n->l1.ops->nonce(n->l1.ctx, &s->next_nonce) != CH_OK) return;
  cd_sender_follow_all(s);
  cd_sender_send_queued(s);
}

/* --- The thread ------------------------------------------------------------------------------------ */

/* Until there is something to do, or it is time to look again. With the lock. */
static void wait_for_work(cd_sender *s) {
  uint64_t now = cd_monotonic_ms(), until = now + RETRY_MS;
  if (s->gather_until > now && s->gather_until < until) until = s->gather_until;
  struct timespec at = {(time_t)(until / 1000), (long)(until % 1000) * 1000000};
  int waited = 0;
  while (!s->work && !s->stop && waited == 0)
    waited = pthread_cond_timedwait(&s->woken, &s->lock, &at);
}

static void *run(void *arg) {
  cd_sender *s = arg;
  pthread_mutex_lock(&s->lock);
  while (!s->stop) {
    if (!s->work) wait_for_work(s);
    if (s->stop) break;
    s->work = false;
    pthread_mutex_unlock(&s->lock);
    s->again = false;
    one_round(s);
    rows_clear(s);
    pthread_mutex_lock(&s->lock);
    s->work |= s->again;
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

cd_sender *cd_sender_start(cd_node *n) {
  pthread_condattr_t attr;
  cd_sender *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->node = n;
  s->work = true;
  pthread_mutex_init(&s->lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->woken, &attr);
  pthread_condattr_destroy(&attr);
  if (pthread_create(&s->thread, NULL, run, s) == 0) return s;
  free(s);
  return NULL;
}

void cd_sender_wake(cd_sender *s) {
  if (s == NULL) return;
  pthread_mutex_lock(&s->lock);
  s->work = true;
  pthread_mutex_unlock(&s->lock);
  pthread_cond_signal(&s->woken);
}

void cd_sender_gather(cd_sender *s, size_t n) {
  if (s == NULL) return;
  pthread_mutex_lock(&s->lock);
  s->gather_n = n;
  s->work = true;
  s->gather_until = cd_monotonic_ms() + GATHER_MS;
  pthread_mutex_unlock(&s->lock);
  pthread_cond_signal(&s->woken);
}

void cd_sender_stop(cd_sender *s) {
  if (s == NULL) return;
  pthread_mutex_lock(&s->lock);
  s->stop = true;
  pthread_mutex_unlock(&s->lock);
  pthread_cond_signal(&s->woken);
  pthread_join(s->thread, NULL);
  pthread_cond_destroy(&s->woken);
  pthread_mutex_destroy(&s->lock);
  free(s->rows);
  free(s->lost);
  free(s);
}
