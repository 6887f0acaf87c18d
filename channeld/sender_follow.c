/* sender_follow.c - what was sent: its receipt, a higher fee when it takes long, and what to do when it is gone. */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "sender_internal.h"

/* Whether another transaction with this nonce is final, so that these bytes can never be mined. */
static bool is_dead(cd_sender *s, const cd_tx_row *row) {
  size_t i = 0;
  while (i < s->n_lost && !ch_hash_eq(&s->lost[i].key, &row->key))
    i++;
  if (row->nonce >= s->next_nonce) {
    if (i < s->n_lost) s->lost[i] = s->lost[--s->n_lost];
    return false;
  }
  if (i < s->n_lost) {
    if (s->head.final_number < s->lost[i].since) return false;
    s->lost[i] = s->lost[--s->n_lost];
    return true;
  }
  cd_lost *more = realloc(s->lost, (s->n_lost + 1) * sizeof *more);
  if (more == NULL) return false;
  s->lost = more;
  s->lost[s->n_lost++] = (cd_lost){row->key, s->head.number};
  return false;
}

static void on_mined(cd_sender *s, cd_tx_row *row, const cd_receipt *r) {
  if (r->final && r->status == CD_RECEIPT_REVERTED) {
    row->block = r->block;
    cd_sender_fail(s, row, r->error);
    return;
  }
  cd_tx_status status = r->final ? CD_TX_DONE : CD_TX_MINED;
  if (row->status == status && row->block == r->block) return;
  row->status = status;
  row->block = r->block;
  snprintf(row->error, sizeof row->error, "%s", r->status == CD_RECEIPT_REVERTED ? r->error : "");
  cd_sender_put(s, row);
}

/* The receipt of the bytes, or of what they replaced, whose hash then is the row's. False if the chain did not answer.
 */
static bool find_receipt(cd_sender *s, cd_tx_row *row, cd_receipt *out) {
  cd_l1 *l1 = &s->node->l1;
  *out = (cd_receipt){0};
  if (row->status == CD_TX_SENT && row->nonce >= s->next_nonce) return true; /* none can be there */
  if (l1->ops->receipt(l1->ctx, &row->hash, &row->channel, out) != CH_OK) return false;
  for (size_t i = row->n_replaced; i > 0 && out->status == CD_RECEIPT_NONE; i--) {
    ch_hash *other = &row->replaced[i - 1], hash = *other;
    if (l1->ops->receipt(l1->ctx, other, &row->channel, out) != CH_OK) return false;
    if (out->status == CD_RECEIPT_NONE) continue;
    *other = row->hash;
    row->hash = hash;
  }
  return true;
}

/* --- Fees -------------------------------------------------------------------------------------------- */

/* What waits behind a nonce waits for it: the nearest deadline of all of them. */
static uint64_t deadline_from(const cd_sender *s, uint64_t nonce) {
  uint64_t nearest = 0;
  for (size_t i = 0; i < s->n; i++) {
    const cd_tx_row *r = &s->rows[i];
    if (r->status != CD_TX_SENT || r->nonce < nonce || r->deadline == 0) continue;
    if (nearest == 0 || r->deadline < nearest) nearest = r->deadline;
  }
  return nearest;
}

static bool add_replaced(cd_tx_row *row) {
  ch_hash *more = realloc(row->replaced, (row->n_replaced + 1) * sizeof *more);
  if (more == NULL) return false;
  row->replaced = more;
  more[row->n_replaced++] = row->hash;
  return true;
}

static bool replace_one(cd_sender *s, cd_tx_row *row, const uint8_t *raw, size_t len, const ch_hash *hash) {
  uint8_t *copy = malloc(len);
  if (copy == NULL || !add_replaced(row)) {
    free(copy);
    return false;
  }
  memcpy(copy, raw, len);
  free(row->raw);
  row->raw = copy;
  row->raw_len = len;
  row->hash = *hash;
  return cd_sender_put(s, row);
}

/* Signs with a higher fee, if it is time; all rows of that transaction are stored before the new one is sent. */
static bool outbid(cd_sender *s, const cd_tx_row *first, bool refused) {
  cd_l1 *l1 = &s->node->l1;
  const ch_hash old = first->hash;
  const cd_bid bid = {first->raw, first->raw_len, first->since, deadline_from(s, first->nonce), refused};
  uint8_t *raw = NULL;
  size_t len;
  ch_hash hash;
  if (l1->ops->outbid == NULL || l1->ops->outbid(l1->ctx, &bid, &raw, &len, &hash) != CH_OK || raw == NULL)
    return false;
  bool ok = true;
  for (size_t i = 0; ok && i < s->n; i++) {
    cd_tx_row *row = &s->rows[i];
    if (row->status == CD_TX_SENT && ch_hash_eq(&row->hash, &old)) ok = replace_one(s, row, raw, len, &hash);
  }
  free(raw);
  if (ok) cd_log(CD_LOG_INFO, "sender", "a transaction is sent with a higher fee key=%s", cd_short_hash(&first->key).s);
  return ok;
}

/* --- A row ------------------------------------------------------------------------------------------- */

/* Rows of one transaction have the same bytes: the first speaks for all. */
static bool speaks(const cd_sender *s, const cd_tx_row *row) {
  const cd_tx_row *r = s->rows;
  while (r != row && !(r->status == CD_TX_SENT && ch_hash_eq(&r->hash, &row->hash)))
    r++;
  return r == row;
}

static void send_again(cd_sender *s, cd_tx_row *row) {
  char why[200];
  if (!speaks(s, row)) return;
  bool higher = outbid(s, row, false);
  if (cd_sender_broadcast(s, row, why) == CD_SENT_UNDERPRICED && !higher && outbid(s, row, true))
    cd_sender_broadcast(s, row, why);
}

static void sign_anew(cd_sender *s, cd_tx_row *row) {
  cd_log(CD_LOG_WARN, "sender", "another transaction used the nonce: signing anew key=%s", cd_short_hash(&row->key).s);
  row->status = CD_TX_QUEUED;
  row->has_nonce = false;
  row->n_replaced = 0;
  cd_sender_put(s, row);
}

static void follow(cd_sender *s, cd_tx_row *row) {
  cd_receipt r;
  if (!find_receipt(s, row, &r)) return;
  if (r.status != CD_RECEIPT_NONE) {
    on_mined(s, row, &r);
    return;
  }
  if (row->status == CD_TX_MINED) {
    cd_log(CD_LOG_WARN, "sender", "a reorganisation took a transaction out: sending it again key=%s",
           cd_short_hash(&row->key).s);
    row->status = CD_TX_SENT;
    row->block = 0;
    if (!cd_sender_put(s, row)) return;
  }
  if (is_dead(s, row)) {
    sign_anew(s, row);
  } else {
    send_again(s, row);
  }
}

void cd_sender_follow_all(cd_sender *s) {
  for (size_t i = 0; i < s->n; i++) {
    if (s->rows[i].status == CD_TX_SENT || s->rows[i].status == CD_TX_MINED) follow(s, &s->rows[i]);
  }
}
