#include "payments.h"

#include <stdlib.h>

#include "chan.h"
#include "json.h"

static const cd_refusal not_saved = {CD_INTERNAL, "not_saved", "The payment could not be saved, so it was not made.",
                                     "Look at the log and at the disk, then try again."};
static const cd_refusal try_again = {CD_BUSY, "try_again", "An earlier request for this id was just refused.",
                                     "Try again; nothing was paid."};

cd_refusal cd_refusal_of(ch_err err) {
  return (cd_refusal){cd_class_of(err), ch_err_name(err), ch_err_text(err), ""};
}

/* --- The answer ---------------------------------------------------------------------------------- */

static bool keep_row(void *arg, const cd_payment *p) {
  *(cd_payment *)arg = *p;
  return false;
}

ch_err cd_payment_read(cd_node *n, const cd_pay_id *id, cd_payment *out) {
  char text[CH_PAYMENT_ID_MAX + 1] = "";
  memcpy(text, id->text, id->len);
  out->id[0] = '\0';
  cd_payment_filter f = {.id = text, .direction = 1, .limit = 1};
  ch_err err = n->store.ops->payments(n->store.ctx, &f, keep_row, out);
  if (err == CH_OK && out->id[0] == '\0') err = CH_ERR_UNKNOWN_CHANNEL;
  return err;
}

static json_t *refused_json(const cd_pay_item *i) {
  char id[CH_PAYMENT_ID_MAX + 1] = "";
  memcpy(id, i->id.text, i->id.len);
  return json_pack("{s:s, s:o, s:s, s:o, s:s, s:i, s:{s:s, s:s}, s:n, s:n, s:n, s:n, s:n}", "id", id, "channel",
                   ch_hash_is_zero(&i->channel) ? json_null() : cd_json_hash(&i->channel), "direction", "out", "amount",
                   cd_json_amount(i->op.amount), "status", "failed", "version", 0, "reason", "code", i->refusal.code,
                   "message", i->refusal.message, "created", "updated", "seq", "lock", "preimage");
}

/* The payment as it is on disk. */
static bool look_up(cd_node *n, const cd_pay_item *i, cd_payment *out) {
  const cd_pay_row *r = &i->row;
  if (r->seq == 0) return cd_payment_read(n, &i->id, out) == CH_OK;
  *out = (cd_payment){.seq = r->seq,
                      .channel = i->channel,
                      .amount = r->amount,
                      .status = r->status,
                      .version = r->version,
                      .reason = r->reason,
                      .created = r->created,
                      .updated = r->updated};
  memcpy(out->id, i->id.text, i->id.len);
  return true;
}

static json_t *item_json(cd_pay *pay, cd_pay_item *i, bool *pending) {
  cd_payment row;
  if (i->state != CD_PAY_REFUSED && look_up(pay->node, i, &row)) {
    *pending |= row.status == CH_PAYMENT_PENDING;
    return cd_json_payment(&row);
  }
  if (i->state != CD_PAY_REFUSED) i->refusal = not_saved;
  i->state = CD_PAY_REFUSED;
  return refused_json(i);
}

static void answer(cd_pay *pay) {
  bool pending = false;
  json_t *list = json_array();
  for (size_t i = 0; i < pay->n; i++)
    json_array_append_new(list, item_json(pay, &pay->items[i], &pending));
  cd_class cls = pending ? CD_ACCEPTED : CD_OK;
  const cd_pay_item *first = &pay->items[0];
  if (!pay->single) {
    cd_reply_with(pay->reply, cls, json_pack("{s:o}", "payments", list));
  } else {
    if (first->state == CD_PAY_REFUSED) {
      cd_reply_fail(pay->reply, first->refusal.cls, first->refusal.code, first->refusal.hint, "%s",
                    first->refusal.message);
    } else {
      cd_reply_with(pay->reply, cls, json_incref(json_array_get(list, 0)));
    }
    json_decref(list);
  }
  free(pay->parts);
  free(pay);
}

/* --- Waiting ------------------------------------------------------------------------------------- */

static void wait_add(cd_worker *w, cd_pay_item *i) {
  cd_pay_item *first = cd_table_get(&w->waits, &i->id);
  i->waits = true;
  if (first != NULL) {
    i->same = first->same;
    first->same = i;
  } else if (!cd_table_put(&w->waits, i)) {
    i->waits = false; /* out of memory: the deadline answers */
  }
}

static void wait_remove(cd_worker *w, cd_pay_item *i) {
  if (!i->waits) return;
  i->waits = false;
  cd_pay_item *first = cd_table_get(&w->waits, &i->id);
  if (first == i) {
    cd_table_remove(&w->waits, &i->id);
    if (i->same != NULL) cd_table_put(&w->waits, i->same); /* there is room: one was just taken out */
  } else {
    while (first->same != i)
      first = first->same;
    first->same = i->same;
  }
  i->same = NULL;
}

static void move_to(cd_pay_item *i, cd_pay_state state) {
  cd_pay_part *p = i->part;
  bool was_open = i->state != CD_PAY_FINAL && i->state != CD_PAY_REFUSED;
  bool is_open = state != CD_PAY_FINAL && state != CD_PAY_REFUSED;
  p->unsaved += (unsigned)(state == CD_PAY_UNSAVED) - (unsigned)(i->state == CD_PAY_UNSAVED);
  p->open -= (unsigned)(was_open && !is_open);
  i->state = state;
}

/* Ends the part if there is nothing more to wait for. May free the whole request. */
static void part_look(cd_worker *w, cd_pay_part *p) {
  bool late = p->timer.at == 0;
  if (p->open > 0 && (!late || p->unsaved > 0)) return;
  cd_pay *pay = p->pay;
  cd_timers_unset(&w->timers, &p->timer);
  for (size_t i = 0; i < pay->n; i++) {
    if (pay->items[i].part == p) wait_remove(w, &pay->items[i]);
  }
  if (atomic_fetch_sub(&pay->parts_left, 1) == 1) answer(pay);
}

static void part_late(void *self, cd_timer *timer) {
  part_look(self, (cd_pay_part *)(void *)((char *)timer - offsetof(cd_pay_part, timer)));
}

/* The k-th effect of a durable unit has made or changed the payment's row. */
static void note_row(cd_pay_item *i, const cd_unit *unit, size_t k) {
  const ch_effect *e = &unit->fx.v[k];
  cd_pay_row *r = &i->row;
  if (e->u.payment.op.kind != CH_OP_PAY) return;
  if (e->u.payment.status == CH_PAYMENT_PENDING) {
    r->seq = unit->seq == NULL ? 0 : unit->seq[k];
    r->created = unit->now;
  }
  r->amount = e->u.payment.status == CH_PAYMENT_SETTLED ? e->u.payment.paid : e->u.payment.op.amount;
  r->status = e->u.payment.status;
  r->version = e->u.payment.version;
  r->reason = e->u.payment.reason;
  r->updated = unit->now;
}

static void note_rows(cd_worker *w, const cd_pay_id *id, const cd_unit *unit, size_t k) {
  for (cd_pay_item *i = cd_table_get(&w->waits, id); i != NULL; i = i->same)
    note_row(i, unit, k);
}

/* All that wait for this id get the same end. */
static void end_all(cd_worker *w, const cd_pay_id *id, cd_pay_state state, const cd_refusal *refusal) {
  for (cd_pay_item *i; (i = cd_table_get(&w->waits, id)) != NULL;) {
    wait_remove(w, i);
    if (refusal != NULL) i->refusal = *refusal;
    move_to(i, state);
    part_look(w, i->part);
  }
}

static void now_pending(cd_worker *w, const cd_pay_id *id) {
  cd_pay_item *next;
  for (cd_pay_item *i = cd_table_get(&w->waits, id); i != NULL; i = next) {
    next = i->same;
    if (i->state != CD_PAY_UNSAVED) continue;
    move_to(i, CD_PAY_PENDING);
    part_look(w, i->part);
  }
}

void cd_payments_committed(cd_worker *w, const cd_unit *unit, bool ok) {
  for (size_t k = 0; k < unit->fx.n; k++) {
    const ch_effect *e = &unit->fx.v[k];
    if (e->kind != CH_FX_PAYMENT || e->u.payment.incoming) continue;
    cd_pay_id id = cd_pay_id_of(&e->u.payment.op);
    bool created = e->u.payment.status == CH_PAYMENT_PENDING;
    if (created) cd_claims_end(&w->node->claims, &id);
    if (w->waits.n == 0) continue;
    if (ok) note_rows(w, &id, unit, k);
    if (created && ok) {
      now_pending(w, &id);
    } else if (created) {
      end_all(w, &id, CD_PAY_REFUSED, &not_saved);
    } else if (ok) {
      end_all(w, &id, CD_PAY_FINAL, NULL);
    }
  }
}

/* --- The worker's part --------------------------------------------------------------------------- */

/* Nothing was recorded for a new one; it may have others waiting for it. The part is looked at by the caller. */
static void refuse(cd_worker *w, cd_pay_item *i, ch_err err) {
  cd_claims_end(&w->node->claims, &i->id);
  i->refusal = cd_refusal_of(err);
  move_to(i, CD_PAY_REFUSED);
  end_all(w, &i->id, CD_PAY_REFUSED, &i->refusal);
}

static ch_err pay(cd_worker *w, cd_pay_item **items, size_t n) {
  cd_chan *c = cd_chan_get(w, &items[0]->channel);
  if (c == NULL) return CH_ERR_UNKNOWN_CHANNEL;
  ch_op *ops = malloc(n * sizeof *ops);
  if (ops == NULL) return CH_ERR_NO_MEMORY;
  for (size_t i = 0; i < n; i++)
    ops[i] = items[i]->op;
  ch_event ev = {.kind = CH_EV_PAY, .u.pay = {ops, n}};
  ch_err err = cd_chan_step(w, c, &ev, NULL, NULL);
  free(ops);
  return err;
}

/* New payments of one channel: all in one step, or, if they do not fit together, one by one. */
static void submit(cd_worker *w, cd_pay_item **items, size_t n) {
  ch_err err = pay(w, items, n);
  bool retry = n > 1 && (err == CH_ERR_FUNDS || err == CH_ERR_QUEUE_FULL);
  for (size_t i = 0; i < n; i++) {
    ch_err mine = retry ? pay(w, &items[i], 1) : err;
    if (mine == CH_OK) {
      move_to(items[i], CD_PAY_UNSAVED);
      wait_add(w, items[i]);
    } else {
      refuse(w, items[i], mine);
    }
  }
}

/* One that was asked for before, by this request or another. */
static void follow(cd_worker *w, cd_pay_item *i) {
  cd_claims *claims = &w->node->claims;
  cd_payment row;
  pthread_mutex_lock(&claims->lock);
  bool claimed = cd_claims_get(claims, &i->id) != NULL;
  pthread_mutex_unlock(&claims->lock);
  if (claimed) {
    move_to(i, CD_PAY_UNSAVED);
    wait_add(w, i);
  } else if (cd_payment_read(w->node, &i->id, &row) != CH_OK) {
    i->refusal = try_again;
    move_to(i, CD_PAY_REFUSED);
  } else if (row.status != CH_PAYMENT_PENDING) {
    move_to(i, CD_PAY_FINAL);
  } else {
    move_to(i, CD_PAY_PENDING);
    wait_add(w, i);
  }
}

/* The new ones of `p` by channel. */
static void submit_all(cd_worker *w, cd_pay_part *p, cd_pay_item **batch) {
  cd_pay *request = p->pay;
  for (size_t i = 0; i < request->n; i++) {
    if (request->items[i].part != p || request->items[i].state != CD_PAY_NEW) continue;
    size_t n = 0;
    for (size_t k = i; k < request->n; k++) {
      cd_pay_item *item = &request->items[k];
      if (item->part == p && item->state == CD_PAY_NEW && ch_hash_eq(&item->channel, &request->items[i].channel))
        batch[n++] = item;
    }
    submit(w, batch, n);
  }
}

static void run_part(void *self, cd_mail *mail) {
  cd_worker *w = self;
  cd_pay_part *p = (cd_pay_part *)(void *)mail;
  cd_pay *request = p->pay;
  cd_pay_item **batch = calloc(request->n, sizeof(cd_pay_item *));
  p->timer.fire = part_late;
  cd_timers_set(&w->timers, &p->timer, cd_monotonic_ms() + request->wait_ms);
  p->open++; /* keeps the part while its items are being handed out */
  if (batch != NULL) submit_all(w, p, batch);
  free(batch);
  for (size_t i = 0; i < request->n; i++) {
    cd_pay_item *item = &request->items[i];
    if (item->part != p) continue;
    if (item->state == CD_PAY_NEW) refuse(w, item, CH_ERR_NO_MEMORY);
    if (item->state == CD_PAY_KNOWN) follow(w, item);
  }
  p->open--;
  part_look(w, p);
}

void cd_pay_start(cd_pay *request) {
  unsigned used = 0;
  for (unsigned i = 0; i < request->node->n_workers; i++)
    used += request->parts[i].open > 0;
  if (used == 0) {
    answer(request);
    return;
  }
  unsigned left = request->node->n_workers;
  cd_node *node = request->node;
  cd_pay_part *parts = request->parts;
  atomic_init(&request->parts_left, used);
  for (unsigned i = 0; i < left && used > 0; i++) {
    if (parts[i].open == 0) continue;
    used--; /* after the last post the request may be gone */
    parts[i].mail.run = run_part;
    cd_worker_post(&node->workers[i], &parts[i].mail);
  }
}
