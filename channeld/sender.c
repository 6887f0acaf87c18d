#include "sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "json.h"
#include "util/queue.h"

#define RETRY_S 2
#define COMPLAINTS 64

/* A nonce of ours that something else has used: since which block we have seen that. */
typedef struct lost {
  ch_hash key;
  uint64_t since;
} lost;

/* A failure that was told. The same wish comes and fails again as long as its cause lasts. */
typedef struct complaint {
  ch_hash key;
  char why[200];
} complaint;

struct cd_sender {
  cd_node *node;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t woken;
  bool work, stop;
  /* the thread's own */
  cd_tx_row *rows;
  size_t n, cap;
  bool incomplete; /* memory was out */
  lost *lost;
  size_t n_lost;
  complaint complaints[COMPLAINTS]; /* the latest */
  size_t next_complaint;
};

/* --- The rows ------------------------------------------------------------------------------------ */

static void rows_clear(cd_sender *s) {
  for (size_t i = 0; i < s->n; i++)
    cd_tx_row_clear(&s->rows[i]);
  s->n = 0;
}

static bool copy_bytes(uint8_t **out, const uint8_t *in, size_t len) {
  *out = NULL;
  if (len == 0) return true;
  *out = malloc(len);
  if (*out != NULL) memcpy(*out, in, len);
  return *out != NULL;
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
  if (!copy_bytes(&copy->data, row->data, row->data_len)) return false;
  if (!copy_bytes(&copy->raw, row->raw, row->raw_len)) {
    free(copy->data);
    return false;
  }
  s->n++;
  return true;
}

static bool keep(void *arg, const cd_tx_row *row) {
  cd_sender *s = arg;
  s->incomplete = !keep_row(s, row);
  return !s->incomplete;
}

static bool put(cd_sender *s, cd_tx_row *row) {
  cd_store *store = &s->node->store;
  row->updated = s->node->l1.ops->now(s->node->l1.ctx);
  if (store->ops->tx_put(store->ctx, row) == CH_OK) return true;
  cd_log(CD_LOG_ERROR, "sender", "cannot save a transaction: it waits key=%s", cd_short_hash(&row->key).s);
  return false;
}

static void set_error(cd_tx_row *row, const char *text) {
  snprintf(row->error, sizeof row->error, "%s", text);
}

/* --- A row's way ---------------------------------------------------------------------------------- */

/* Whether it was not told lately. */
static bool is_news(cd_sender *s, const cd_tx_row *row) {
  for (size_t i = 0; i < COMPLAINTS; i++) {
    if (ch_hash_eq(&s->complaints[i].key, &row->key) && strcmp(s->complaints[i].why, row->error) == 0) return false;
  }
  complaint *c = &s->complaints[s->next_complaint++ % COMPLAINTS];
  c->key = row->key;
  snprintf(c->why, sizeof c->why, "%s", row->error);
  return true;
}

static void fail(cd_sender *s, cd_tx_row *row, const char *why) {
  set_error(row, why);
  row->status = CD_TX_FAILED;
  if (!put(s, row)) return;
  cd_log(is_news(s, row) ? CD_LOG_WARN : CD_LOG_DEBUG, "sender", "a transaction failed: %s key=%s channel=%s", why,
         cd_short_hash(&row->key).s, cd_short_hash(&row->channel).s);
}

static void broadcast(cd_sender *s, cd_tx_row *row, bool first) {
  cd_l1 *l1 = &s->node->l1;
  char why[200] = "";
  switch (l1->ops->broadcast(l1->ctx, row->raw, row->raw_len, why)) {
  case CD_SENT_OK:
  case CD_SENT_KNOWN:
  case CD_SENT_NONCE_LOW: return; /* a receipt, or its absence, tells more in a later round */
  case CD_SENT_REFUSED:
    if (first) {
      fail(s, row, why);
      return;
    }
    break;
  case CD_SENT_RETRY: break;
  }
  cd_log(CD_LOG_INFO, "sender", "a transaction is not taken yet: %s key=%s", why, cd_short_hash(&row->key).s);
}

/* Signs with `nonce`, stores, then broadcasts. False if the nonce was not used. */
static bool send_new(cd_sender *s, cd_tx_row *row, uint64_t nonce) {
  cd_l1 *l1 = &s->node->l1;
  uint8_t *raw;
  size_t len;
  ch_hash hash;
  ch_err err = l1->ops->sign(l1->ctx, nonce, row->value, row->data, row->data_len, &raw, &len, &hash);
  if (err != CH_OK) {
    cd_log(CD_LOG_ERROR, "sender", "cannot sign a transaction: %s key=%s", ch_err_name(err),
           cd_short_hash(&row->key).s);
    return false;
  }
  free(row->raw);
  row->raw = raw;
  row->raw_len = len;
  row->hash = hash;
  row->nonce = nonce;
  row->has_nonce = true;
  row->block = 0;
  row->status = CD_TX_SENT;
  set_error(row, "");
  if (!put(s, row)) return false;
  broadcast(s, row, true);
  return row->status == CD_TX_SENT;
}

/* Whether another transaction with this nonce is final, so that these bytes can never be mined. */
static bool is_dead(cd_sender *s, const cd_tx_row *row, uint64_t chain_nonce, const cd_head *head) {
  size_t i = 0;
  while (i < s->n_lost && !ch_hash_eq(&s->lost[i].key, &row->key))
    i++;
  if (row->nonce >= chain_nonce) {
    if (i < s->n_lost) s->lost[i] = s->lost[--s->n_lost];
    return false;
  }
  if (i < s->n_lost) {
    if (head->final_number < s->lost[i].since) return false;
    s->lost[i] = s->lost[--s->n_lost];
    return true;
  }
  lost *more = realloc(s->lost, (s->n_lost + 1) * sizeof *more);
  if (more == NULL) return false;
  s->lost = more;
  s->lost[s->n_lost++] = (lost){row->key, head->number};
  return false;
}

static void on_mined(cd_sender *s, cd_tx_row *row, const cd_receipt *r) {
  if (r->final && r->status == CD_RECEIPT_REVERTED) {
    row->block = r->block;
    fail(s, row, r->error);
    return;
  }
  cd_tx_status status = r->final ? CD_TX_DONE : CD_TX_MINED;
  if (row->status == status && row->block == r->block) return;
  row->status = status;
  row->block = r->block;
  set_error(row, r->status == CD_RECEIPT_REVERTED ? r->error : "");
  put(s, row);
}

/* A row that has been sent. */
static void follow(cd_sender *s, cd_tx_row *row, uint64_t chain_nonce, const cd_head *head) {
  cd_l1 *l1 = &s->node->l1;
  cd_receipt r = {0};
  if (l1->ops->receipt(l1->ctx, &row->hash, &r) != CH_OK) return;
  if (r.status != CD_RECEIPT_NONE) {
    on_mined(s, row, &r);
    return;
  }
  if (row->status == CD_TX_MINED) {
    cd_log(CD_LOG_WARN, "sender", "a reorganisation took a transaction out: sending it again key=%s",
           cd_short_hash(&row->key).s);
    row->status = CD_TX_SENT;
    row->block = 0;
    if (!put(s, row)) return;
  }
  if (is_dead(s, row, chain_nonce, head)) {
    cd_log(CD_LOG_WARN, "sender", "another transaction used the nonce: signing anew key=%s",
           cd_short_hash(&row->key).s);
    row->status = CD_TX_QUEUED;
    row->has_nonce = false;
    put(s, row);
  } else {
    broadcast(s, row, false);
  }
}

static void one_round(cd_sender *s) {
  cd_node *n = s->node;
  uint64_t nonce;
  pthread_mutex_lock(&n->head_lock);
  cd_head head = n->head;
  pthread_mutex_unlock(&n->head_lock);
  s->incomplete = false;
  if (n->store.ops->txs(n->store.ctx, true, keep, s) != CH_OK || s->incomplete) return;
  if (s->n == 0 || n->l1.ops->nonce(n->l1.ctx, &nonce) != CH_OK) return;
  uint64_t next = nonce;
  for (size_t i = 0; i < s->n; i++) {
    if (s->rows[i].status == CD_TX_QUEUED) continue;
    follow(s, &s->rows[i], nonce, &head);
    if (s->rows[i].has_nonce && s->rows[i].nonce >= next) next = s->rows[i].nonce + 1;
  }
  for (size_t i = 0; i < s->n; i++) {
    if (s->rows[i].status == CD_TX_QUEUED && send_new(s, &s->rows[i], next)) next++;
  }
}

/* --- The thread ------------------------------------------------------------------------------------ */

static void *run(void *arg) {
  cd_sender *s = arg;
  pthread_mutex_lock(&s->lock);
  while (!s->stop) {
    if (!s->work) {
      struct timespec until;
      clock_gettime(CLOCK_MONOTONIC, &until);
      until.tv_sec += RETRY_S;
      int waited = 0;
      while (!s->work && !s->stop && waited == 0)
        waited = pthread_cond_timedwait(&s->woken, &s->lock, &until);
      if (s->stop) break;
    }
    s->work = false;
    pthread_mutex_unlock(&s->lock);
    one_round(s);
    rows_clear(s);
    pthread_mutex_lock(&s->lock);
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
