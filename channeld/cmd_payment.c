/* cmd_payment.c - commands about payments. */
#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "payments.h"

#define LIST_DEFAULT 100

static const cd_refusal id_used = {CD_CONFLICT, "payment_id_used",
                                   "This payment id was used for another amount, channel or condition.",
                                   "Choose another id, or repeat the payment exactly."};
static const cd_refusal nobody_can = {CD_CONFLICT, "insufficient_funds", "No open channel can pay this amount now.",
                                      "`channel list` shows what each channel can spend."};
static const cd_refusal several_can = {CD_BAD_REQUEST, "bad_argument", "Several channels can pay this.",
                                       "Name the channel or the peer."};

/* What one payment asks for, beside its item. */
typedef struct wish {
  bool has_channel, has_peer;
  ch_pubkey peer;
} wish;

/* --- Making payments ----------------------------------------------------------------------------- */

/* NULL if it is missing or malformed. */
static const char *payment_id(cd_args *a) {
  const char *id = cd_arg_text(a, "id");
  if (id != NULL && ch_payment_id_ok(id, strlen(id))) return id;
  cd_args_fail(a, "id", "1 to 64 printable characters without blanks");
  return NULL;
}

/* Reads one payment from the object `a->json`. */
static void read_one(cd_args *a, cd_pay_item *i, wish *want) {
  const char *id = payment_id(a);
  ch_amount amount = cd_arg_amount(a, "amount", NULL);
  if (!a->failed && amount.v == 0) cd_args_fail(a, "amount", "above zero");
  want->has_channel = cd_has(a, "channel");
  want->has_peer = !want->has_channel && cd_has(a, "peer");
  if (want->has_channel) i->channel = cd_arg_channel(a, "channel");
  if (want->has_peer) want->peer = cd_arg_node(a, "peer");
  if (id == NULL || a->failed) return;
  i->op = (ch_op){.kind = CH_OP_PAY, .id_len = (uint8_t)strlen(id), .amount = amount};
  memcpy(i->op.id, id, i->op.id_len);
  i->id = cd_pay_id_of(&i->op);
}

static void refuse(cd_pay_item *i, const cd_refusal *why) {
  i->state = CD_PAY_REFUSED;
  i->refusal = *why;
}

/* The lock without its time, which is counted from the request. */
static ch_hash terms_of(ch_lock lock) {
  uint8_t bytes[CD_LOCK_MAX];
  size_t len = 0;
  ch_hash terms = {0};
  lock.expiry = 0;
  lock.payer = 0;
  if (ch_lock_encode(bytes, sizeof bytes, &len, &lock) == CH_OK) ch_keccak256(&terms, bytes, len);
  return terms;
}

static cd_claim claim_of(const cd_pay_item *i) {
  cd_claim c = {.id = i->id, .channel = i->channel, .amount = i->op.amount};
  if (i->op.kind == CH_OP_LOCK_ADD) c.terms = terms_of(ch_op_lock(&i->op, 0));
  return c;
}

/* What was asked for when the row was made. Of a conditional payment that is over, its amount is what was paid. */
static cd_claim claim_of_row(const cd_payment *row) {
  ch_lock lock;
  size_t at = 0;
  cd_claim c = {.channel = row->channel, .amount = row->amount};
  if (ch_lock_decode(&lock, row->lock, row->lock_len, &at) != CH_OK) return c;
  c.amount = lock.amount;
  c.terms = terms_of(lock);
  return c;
}

/* The id is known, for this: the same payment, or a misuse of its id. */
static void meet(cd_pay_item *i, const wish *want, const cd_claim *known) {
  const cd_claim asked = claim_of(i);
  bool same = ch_amount_cmp(known->amount, asked.amount) == 0 && ch_hash_eq(&known->terms, &asked.terms);
  if (!same || (want->has_channel && !ch_hash_eq(&known->channel, &asked.channel))) {
    refuse(i, &id_used);
    return;
  }
  i->state = CD_PAY_KNOWN;
  i->channel = known->channel;
}

/* Claims the id if it is new. With the claims' lock held. */
static void prepare(cd_node *n, cd_pay_item *i, const wish *want) {
  cd_payment row = {.lock_len = 0};
  const cd_claim *claim = cd_claims_get(&n->claims, &i->id);
  if (claim != NULL) {
    meet(i, want, claim);
    return;
  }
  ch_err err = cd_payment_read(n, &i->id, &row);
  if (err == CH_OK) {
    const cd_claim before = claim_of_row(&row);
    meet(i, want, &before);
    return;
  }
  cd_refusal why = cd_refusal_of(err == CH_ERR_UNKNOWN_CHANNEL ? CH_ERR_NO_MEMORY : err);
  cd_found found = CD_FOUND_ONE;
  if (err == CH_ERR_UNKNOWN_CHANNEL && !want->has_channel)
    found = cd_directory_payer(&n->directory, want->has_peer ? &want->peer : NULL, i->op.amount, &i->channel);
  if (found != CD_FOUND_ONE) {
    refuse(i, found == CD_FOUND_NONE ? &nobody_can : &several_can);
    return;
  }
  const cd_claim mine = claim_of(i);
  if (err == CH_ERR_UNKNOWN_CHANNEL && cd_claims_add(&n->claims, &mine))
    i->state = CD_PAY_NEW;
  else
    refuse(i, &why);
}

static cd_pay *pay_new(cd_node *node, size_t n, cd_reply reply, uint64_t wait_ms) {
  cd_pay *pay = calloc(1, sizeof *pay + n * sizeof pay->items[0]);
  cd_pay_part *parts = calloc(node->n_workers, sizeof *parts);
  if (pay == NULL || parts == NULL) {
    free(pay);
    free(parts);
    return NULL;
  }
  pay->node = node;
  pay->reply = reply;
  pay->wait_ms = wait_ms;
  pay->parts = parts;
  pay->n = n;
  for (unsigned i = 0; i < node->n_workers; i++)
    parts[i].pay = pay;
  return pay;
}

/* One wish for each payment. */
static void pay_all(cd_pay *pay, const wish *wishes, size_t n_wishes) {
  cd_node *n = pay->node;
  pthread_mutex_lock(&n->claims.lock);
  for (size_t i = 0; i < n_wishes; i++)
    prepare(n, &pay->items[i], &wishes[i]);
  pthread_mutex_unlock(&n->claims.lock);
  for (size_t i = 0; i < n_wishes; i++) {
    cd_pay_item *item = &pay->items[i];
    if (item->state == CD_PAY_REFUSED) continue;
    item->part = &pay->parts[cd_node_owner(n, &item->channel)->shard];
    item->part->open++;
  }
  cd_pay_start(pay);
}

/* The contract that decides, and what it is asked. */
static void read_condition(cd_args *a, ch_op *op) {
  op->u.add.condition = cd_arg_addr(a, "condition", NULL);
  if (!a->failed && ch_addr_is_zero(&op->u.add.condition)) cd_args_fail(a, "condition", "the address of a contract");
  op->u.add.payload_len = (uint8_t)cd_arg_bytes(a, "payload", op->u.add.payload, sizeof op->u.add.payload);
  uint64_t gas = cd_arg_number(a, "gas", -1);
  if (!a->failed && (gas == 0 || gas > UINT32_MAX)) cd_args_fail(a, "gas", "1 to 4294967295");
  op->u.add.gas = (uint32_t)gas;
}

/* Makes the payment wait: for the preimage of a hash, or for what a contract says in the end. */
static void read_lock(cd_args *a, ch_op *op) {
  op->kind = CH_OP_LOCK_ADD;
  op->valid_until = a->node->l1.ops->now(a->node->l1.ctx) + cd_arg_number(a, "expires_in", -1);
  if (cd_has(a, "condition")) {
    read_condition(a, op);
    return;
  }
  ch_hash hash = cd_arg_hash(a, "hash");
  op->u.add.payload_len = sizeof hash.b;
  memcpy(op->u.add.payload, hash.b, sizeof hash.b);
}

/* True if the workers have more to do than they should; then it has answered. */
static bool busy(cd_args *a) {
  for (unsigned i = 0; i < a->node->n_workers; i++) {
    if (!cd_queue_full(&a->node->workers[i].queue)) continue;
    cd_reply_fail(a->reply, CD_BUSY, "busy", "Try again in a moment, and more slowly.",
                  "More is asked for than the node can do.");
    return true;
  }
  return false;
}

void cd_cmd_payment_create(cd_args *a) {
  json_t *list = json_object_get(a->json, "payments");
  size_t n = list == NULL ? 1 : json_array_size(list);
  uint64_t wait_ms = cd_arg_number(a, "wait_ms", CD_WAIT_DEFAULT_MS);
  if (n == 0 || n > 1000) {
    cd_args_fail(a, "payments", "a list of 1 to 1000 payments");
    return;
  }
  if (a->failed || busy(a)) return;
  cd_pay *pay = pay_new(a->node, n, a->reply, wait_ms);
  wish *wishes = calloc(n, sizeof *wishes);
  if (pay == NULL || wishes == NULL) cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
  bool ok = pay != NULL && wishes != NULL;
  for (size_t i = 0; ok && i < n; i++) {
    cd_args one = {.node = a->node, .json = list == NULL ? a->json : json_array_get(list, i), .reply = a->reply};
    read_one(&one, &pay->items[i], &wishes[i]);
    ok = !one.failed;
  }
  if (ok) {
    pay->single = list == NULL;
    pay_all(pay, wishes, n);
  } else if (pay != NULL) {
    free(pay->parts);
    free(pay);
  }
  free(wishes);
}

void cd_cmd_lock_add(cd_args *a) {
  uint64_t wait_ms = cd_arg_number(a, "wait_ms", CD_WAIT_DEFAULT_MS);
  wish want = {0};
  if (a->failed || busy(a)) return;
  cd_pay *pay = pay_new(a->node, 1, a->reply, wait_ms);
  if (pay == NULL) {
    cd_reply_err(a->reply, CH_ERR_NO_MEMORY);
    return;
  }
  read_one(a, &pay->items[0], &want);
  if (!a->failed) read_lock(a, &pay->items[0].op);
  if (a->failed) {
    free(pay->parts);
    free(pay);
    return;
  }
  pay->single = true;
  pay_all(pay, &want, 1);
}

/* --- Looking at payments ------------------------------------------------------------------------- */

static bool add_payment(void *arg, const cd_payment *p) {
  json_array_append_new(arg, cd_json_payment(p));
  return true;
}

static int direction_of(cd_args *a) {
  const char *text = cd_arg_text(a, "direction");
  if (text == NULL) return 0;
  if (strcmp(text, "out") == 0) return 1;
  if (strcmp(text, "in") == 0) return 2;
  cd_args_fail(a, "direction", "in or out");
  return 0;
}

static int status_of(cd_args *a) {
  const char *text = cd_arg_text(a, "status");
  if (text == NULL) return 0;
  for (int s = CH_PAYMENT_PENDING; s <= CH_PAYMENT_LOCKED; s++) {
    if (strcmp(text, cd_payment_status_name((ch_payment_status)s)) == 0) return s;
  }
  cd_args_fail(a, "status", "pending, locked, settled, failed or unknown");
  return 0;
}

void cd_payments_page(cd_args *a, const char *name, cd_payment_filter f) {
  cd_store *store = &a->node->store;
  ch_hash channel = {0};
  f.after = (int64_t)cd_arg_number(a, "after", 0);
  f.limit = (unsigned)cd_arg_number(a, "limit", LIST_DEFAULT);
  if (cd_has(a, "channel")) {
    channel = cd_arg_channel(a, "channel");
    f.channel = &channel;
  }
  if (!a->failed && (f.limit == 0 || f.limit > CD_PAYMENTS_PAGE)) cd_args_fail(a, "limit", "1 to 1000");
  if (a->failed) return;
  json_t *list = json_array();
  ch_err err = store->ops->payments(store->ctx, &f, add_payment, list);
  if (err != CH_OK) {
    json_decref(list);
    cd_reply_err(a->reply, err);
    return;
  }
  json_t *last = json_array_size(list) < f.limit ? NULL : json_array_get(list, f.limit - 1);
  json_t *next = last == NULL ? json_null() : json_incref(json_object_get(last, "seq"));
  cd_reply_with(a->reply, CD_OK, json_pack("{s:o, s:o}", name, list, "next", next));
}

void cd_cmd_payment_list(cd_args *a) {
  cd_payment_filter f = {
      .direction = direction_of(a), .status = status_of(a), .newest_first = cd_arg_flag(a, "newest")};
  cd_payments_page(a, "payments", f);
}

void cd_cmd_payment_show(cd_args *a) {
  cd_payment row;
  const char *text = payment_id(a);
  if (text == NULL) return;
  cd_pay_id id = {.len = (uint8_t)strlen(text)};
  memcpy(id.text, text, id.len);
  ch_err err = cd_payment_read(a->node, &id, &row);
  if (err == CH_OK) {
    cd_reply_with(a->reply, CD_OK, cd_json_payment(&row));
  } else if (err == CH_ERR_UNKNOWN_CHANNEL) {
    cd_reply_fail(a->reply, CD_NOT_FOUND, "unknown_payment", "`payment list` shows all.",
                  "There is no outgoing payment with this id.");
  } else {
    cd_reply_err(a->reply, err);
  }
}
