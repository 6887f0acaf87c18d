/* payments.h - one request to pay, from the command to the answer: each payment exactly once per id.
 *
 * The command (cmd_payment.c) finds out which ids are new, and splits the request into one part for each worker. A
 * worker hands the new ones to their channels and waits for all to settle or fail, or for the deadline. Nothing is
 * answered that is not durable. The last part to end answers: what this request paid as its units said when they became
 * durable, all else from the store's rows, which say the same.
 */
#ifndef CHANNELD_PAYMENTS_H
#define CHANNELD_PAYMENTS_H

#include "args.h"
#include "reply.h"
#include "worker.h"

typedef enum cd_pay_state {
  CD_PAY_NEW,     /* claimed for this request */
  CD_PAY_KNOWN,   /* asked for before: only waits */
  CD_PAY_UNSAVED, /* given to the channel, on its way to the disk */
  CD_PAY_PENDING, /* durable */
  CD_PAY_FINAL,   /* settled or failed, durable */
  CD_PAY_REFUSED, /* nothing was recorded: see `refusal` */
} cd_pay_state;

/* Why nothing was recorded. The texts are literals. */
typedef struct cd_refusal {
  cd_class cls;
  const char *code, *message, *hint;
} cd_refusal;
cd_refusal cd_refusal_of(ch_err err);

/* What the store's row of a plain payment says, from the units that made it. */
typedef struct cd_pay_row {
  int64_t seq; /* 0: it is to be read */
  ch_amount amount;
  ch_payment_status status;
  uint64_t version;
  ch_err reason;
  uint64_t created, updated;
} cd_pay_row;

typedef struct cd_pay_item {
  cd_pay_id id;
  ch_op op;
  ch_hash channel;
  cd_pay_state state;
  cd_refusal refusal;
  cd_pay_row row;
  struct cd_pay_part *part; /* NULL: decided before */
  struct cd_pay_item *same; /* the next that waits for the same id */
  bool waits;               /* it is in the worker's table */
} cd_pay_item;

typedef struct cd_pay_part {
  cd_mail mail;
  cd_timer timer;
  struct cd_pay *pay;
  unsigned open, unsaved; /* items that are not final or refused; of these UNSAVED */
} cd_pay_part;

typedef struct cd_pay {
  cd_node *node;
  cd_reply reply;
  uint64_t wait_ms;
  bool single; /* the answer is one payment, not a list */
  atomic_uint parts_left;
  cd_pay_part *parts; /* one for each worker, some unused */
  size_t n;
  cd_pay_item items[];
} cd_pay;

/* Gives each part to its worker; answers at once if nothing is to be waited for. Takes `request`. */
void cd_pay_start(cd_pay *request);

/* A unit is durable, or lost. */
void cd_payments_committed(cd_worker *w, const cd_unit *unit, bool ok);

/* The row of an outgoing payment. CH_ERR_UNKNOWN_CHANNEL if there is none. */
ch_err cd_payment_read(cd_node *n, const cd_pay_id *id, cd_payment *out);

#define CD_PAYMENTS_PAGE 1000 /* rows at most */
/* Answers with a page of payments under `name`: what `f` asks for, with the request's channel, after and limit. */
void cd_payments_page(cd_args *a, const char *name, cd_payment_filter f);

#endif
