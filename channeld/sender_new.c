/* sender_new.c - what is sent for the first time: in which order, with which nonce, how many at a time, and together
 * with what. */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "sender_internal.h"
#include "util/queue.h"

#define IN_FLIGHT 16 /* what geth keeps of one account for sure */
#define URGENT 4     /* of these, kept free for what has a deadline */
#define TOGETHER 64  /* calls in one transaction at most, whatever the chain would take */

/* --- Nonces ------------------------------------------------------------------------------------------ */

static bool is_used(const cd_sender *s, uint64_t nonce) {
  for (size_t i = 0; i < s->n; i++) {
    const cd_tx_row *r = &s->rows[i];
    if ((r->status == CD_TX_SENT || r->status == CD_TX_MINED) && r->nonce == nonce) return true;
  }
  return false;
}

static uint64_t free_nonce(const cd_sender *s) {
  uint64_t nonce = s->next_nonce;
  while (is_used(s, nonce))
    nonce++;
  return nonce;
}

/* One above the highest nonce in use, or the account's next. */
static uint64_t end_nonce(const cd_sender *s) {
  uint64_t end = s->next_nonce;
  for (size_t i = 0; i < s->n; i++) {
    const cd_tx_row *r = &s->rows[i];
    if (r->status == CD_TX_SENT && r->nonce >= end) end = r->nonce + 1;
  }
  return end;
}

/* Nonces count, not rows: several may be in one transaction. */
static bool may_go(const cd_sender *s, bool urgent) {
  return free_nonce(s) < s->next_nonce + (urgent ? IN_FLIGHT : IN_FLIGHT - URGENT);
}

/* --- Signing ------------------------------------------------------------------------------------------ */

static bool store_signed(cd_sender *s, cd_tx_row *row, const uint8_t *raw, size_t len) {
  uint8_t *copy = malloc(len);
  if (copy == NULL) return false;
  memcpy(copy, raw, len);
  free(row->raw);
  row->raw = copy;
  row->raw_len = len;
  return cd_sender_put(s, row);
}

/* Signs what was prepared for these rows, stores it with each of them, then broadcasts. */
static void sign_and_send(cd_sender *s, cd_tx_row **rows, size_t n, const cd_prepared *what) {
  cd_l1 *l1 = &s->node->l1;
  uint64_t nonce = free_nonce(s), now = l1->ops->now(l1->ctx);
  uint8_t *raw;
  size_t len;
  ch_hash hash;
  char why[200];
  ch_err err = l1->ops->sign(l1->ctx, nonce, what, &raw, &len, &hash);
  if (err != CH_OK) {
    cd_log(CD_LOG_ERROR, "sender", "cannot sign a transaction: %s key=%s", ch_err_name(err),
           cd_short_hash(&rows[0]->key).s);
    return;
  }
  bool ok = true;
  for (size_t i = 0; ok && i < n; i++) {
    cd_tx_row *row = rows[i];
    row->hash = hash;
    row->nonce = nonce;
    row->has_nonce = true;
    row->block = 0;
    row->status = CD_TX_SENT;
    row->error[0] = '\0';
    row->n_replaced = 0;
    if (row->since == 0) row->since = now;
    ok = store_signed(s, row, raw, len);
  }
  free(raw);
  if (!ok || cd_sender_broadcast(s, rows[0], why) != CD_SENT_REFUSED) return;
  for (size_t i = 0; i < n; i++)
    cd_sender_fail(s, rows[i], why);
}

/* --- What has to come before --------------------------------------------------------------------------- */

/* The key of the call that has to be mined before another. */
static ch_hash before_key(const ch_hash *key) {
  static const char label[] = "before";
  uint8_t bytes[sizeof label - 1 + sizeof key->b];
  ch_hash out;
  memcpy(bytes, label, sizeof label - 1);
  memcpy(bytes + sizeof label - 1, key->b, sizeof key->b);
  ch_keccak256(&out, bytes, sizeof bytes);
  return out;
}

/* Whether a call that was to come before another of these rows is under way, or is mined and not made use of: an
 * allowance must be spent before the next one is given. */
static bool before_is_busy(const cd_sender *s) {
  for (size_t i = 0; i < s->n; i++) {
    const cd_tx_row *r = &s->rows[i];
    if (r->status != CD_TX_QUEUED && r->status != CD_TX_SENT) continue;
    ch_hash key = before_key(&r->key);
    for (size_t j = 0; j < s->n; j++) {
      if (ch_hash_eq(&s->rows[j].key, &key)) return true;
    }
  }
  return false;
}

static void want_before(cd_sender *s, const cd_tx_row *row, const cd_prepared *what) {
  if (before_is_busy(s)) return;
  cd_tx_row before = {.key = before_key(&row->key),
                      .channel = row->channel,
                      .kind = CD_KIND_BEFORE,
                      .value = what->value,
                      .data = what->data,
                      .data_len = what->len,
                      .deadline = row->deadline,
                      .status = CD_TX_QUEUED};
  s->again = cd_sender_put(s, &before);
}

/* --- Rows that wait -------------------------------------------------------------------------------------- */

static cd_call call_of(const cd_tx_row *row) {
  return (cd_call){row->value, row->data, row->data_len};
}

/* False: no answer, so that asking on for other rows makes no sense now. */
static bool prepare(cd_sender *s, cd_tx_row *row, cd_prepared *out, cd_ready *ready) {
  cd_l1 *l1 = &s->node->l1;
  cd_call call = call_of(row);
  char why[200] = "";
  *out = (cd_prepared){0};
  *ready = l1->ops->prepare(l1->ctx, &call, 1, out, why);
  switch (*ready) {
  case CD_READY: return true;
  case CD_READY_AFTER: want_before(s, row, out); return true;
  case CD_READY_REVERTS: cd_sender_fail(s, row, why); return true;
  case CD_READY_RETRY: break;
  }
  snprintf(row->error, sizeof row->error, "%s", why);
  if (cd_sender_is_news(s, row, row->error))
    cd_log(CD_LOG_WARN, "sender", "a transaction has to wait: %s key=%s", why, cd_short_hash(&row->key).s);
  return false;
}

static bool send_alone(cd_sender *s, cd_tx_row *row) {
  cd_prepared what;
  cd_ready ready;
  if (!may_go(s, row->deadline != 0)) return true;
  bool answered = prepare(s, row, &what, &ready);
  if (ready == CD_READY) sign_and_send(s, &row, 1, &what);
  free(what.data);
  return answered;
}

/* Those of the rows that would succeed go in one transaction. Each is tried alone first: what is stale fails by itself
 * and does not cost the others. */
static bool send_together(cd_sender *s, cd_tx_row **rows, size_t n) {
  cd_l1 *l1 = &s->node->l1;
  cd_call calls[TOGETHER];
  cd_prepared what = {0};
  size_t good = 0;
  char why[200] = "";
  for (size_t i = 0; i < n; i++) {
    cd_ready ready;
    bool answered = prepare(s, rows[i], &what, &ready);
    free(what.data);
    if (!answered) return false;
    if (ready == CD_READY) rows[good++] = rows[i];
  }
  if (good == 0) return true;
  for (size_t i = 0; i < good; i++)
    calls[i] = call_of(rows[i]);
  what = (cd_prepared){0};
  cd_ready ready = l1->ops->prepare(l1->ctx, calls, good, &what, why);
  if (ready == CD_READY) {
    sign_and_send(s, rows, good, &what);
  } else {
    cd_log(CD_LOG_WARN, "sender", "%zu closings cannot go together now: %s", good, why);
  }
  free(what.data);
  return ready == CD_READY;
}

/* --- The order --------------------------------------------------------------------------------------------- */

static int by_deadline(const void *a, const void *b) {
  const cd_tx_row *x = *(cd_tx_row *const *)a, *y = *(cd_tx_row *const *)b;
  uint64_t p = x->deadline == 0 ? UINT64_MAX : x->deadline, q = y->deadline == 0 ? UINT64_MAX : y->deadline;
  if (p != q) return p < q ? -1 : 1;
  return x < y ? -1 : x > y; /* they lie in the order of their wishes */
}

/* Whether `n` Close calls still wait for others. */
static bool gathering(cd_sender *s, size_t n) {
  pthread_mutex_lock(&s->lock);
  if (n >= s->gather_n) s->gather_until = 0;
  bool yes = cd_monotonic_ms() < s->gather_until;
  pthread_mutex_unlock(&s->lock);
  return yes;
}

/* Moves what can go together with the first row to the front; returns how many that are, with the first. */
static size_t gather(const cd_sender *s, cd_tx_row **rows, size_t n, size_t most) {
  const cd_l1 *l1 = &s->node->l1;
  size_t together = 1;
  cd_call first = call_of(rows[0]);
  for (size_t i = 1; i < n && together < most; i++) {
    cd_call other = call_of(rows[i]);
    if (l1->ops->together != NULL && !l1->ops->together(l1->ctx, &first, &other)) continue;
    cd_tx_row *row = rows[i];
    memmove(rows + together + 1, rows + together, (i - together) * sizeof(cd_tx_row *));
    rows[together++] = row;
  }
  return together;
}

static void send_closes(cd_sender *s, cd_tx_row **rows, size_t n, size_t batch) {
  for (bool answered = true; answered && n > 0 && may_go(s, false);) {
    size_t now = gather(s, rows, n, batch);
    answered = now == 1 ? send_alone(s, rows[0]) : send_together(s, rows, now);
    rows += now;
    n -= now;
  }
}

static void send_rows(cd_sender *s, cd_tx_row **queue, size_t n) {
  size_t closes = 0, batch = s->node->l1.ops->batch < TOGETHER ? s->node->l1.ops->batch : TOGETHER;
  bool answered = true;
  for (size_t i = 0; answered && i < n; i++) {
    if (batch > 1 && queue[i]->kind == CH_TX_CLOSE) {
      queue[closes++] = queue[i];
    } else {
      answered = send_alone(s, queue[i]);
    }
  }
  if (answered && !gathering(s, closes)) send_closes(s, queue, closes, batch);
}

/* Nothing of ours uses a nonce below one that waits: the chain would never get there. */
static void fill_gap(cd_sender *s) {
  cd_l1 *l1 = &s->node->l1;
  static const char label[] = "fill";
  uint8_t bytes[sizeof label - 1 + sizeof(uint64_t)];
  const ch_addr native = {0};
  uint64_t nonce = free_nonce(s);
  if (nonce >= end_nonce(s)) return;
  cd_tx_row row = {.status = CD_TX_QUEUED, .kind = CD_KIND_FILL};
  memcpy(bytes, label, sizeof label - 1);
  memcpy(bytes + sizeof label - 1, &nonce, sizeof nonce);
  ch_keccak256(&row.key, bytes, sizeof bytes);
  if (l1->ops->encode_transfer(l1->ctx, &s->node->account, &native, ch_amount_of(0), &row.data, &row.data_len) != CH_OK)
    return;
  cd_log(CD_LOG_WARN, "sender", "nothing has the nonce that others wait for: filling it nonce=%llu",
         (unsigned long long)nonce);
  s->again = cd_sender_put(s, &row);
  free(row.data);
}

void cd_sender_send_queued(cd_sender *s) {
  cd_tx_row **queue = calloc(s->n + 1, sizeof(cd_tx_row *));
  size_t n = 0;
  if (queue == NULL) return;
  for (size_t i = 0; i < s->n; i++) {
    if (s->rows[i].status == CD_TX_QUEUED) queue[n++] = &s->rows[i];
  }
  qsort(queue, n, sizeof(cd_tx_row *), by_deadline);
  send_rows(s, queue, n);
  free(queue);
  if (n == 0) fill_gap(s);
}
