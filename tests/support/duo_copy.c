#include "duo_copy.h"

#include <stdlib.h>

static duo_row *copy_rows(const duo_row *rows, size_t n) {
  duo_row *v = calloc(n + 1, sizeof *v);
  assert_non_null(v);
  memcpy(v, rows, n * sizeof *v);
  return v;
}

duo_copy duo_take_copy(const duo *d, int s) {
  const duo_side *me = &d->side[s];
  duo_copy k = {.n_paid = me->n_paid, .n_got = me->n_got};
  k.paid = copy_rows(me->paid, me->n_paid);
  k.got = copy_rows(me->got, me->n_got);
  assert_int_equal(ch_channel_encode(me->channel, &k.record, &k.len), CH_OK);
  return k;
}

void duo_put_back(duo *d, int s, duo_copy k) {
  duo_side *me = &d->side[s];
  ch_op *waits = calloc(k.n_paid + 1, sizeof *waits);
  size_t n = 0;
  assert_non_null(waits);
  me->n_paid = k.n_paid;
  me->n_got = k.n_got;
  memcpy(me->paid, k.paid, k.n_paid * sizeof *k.paid);
  memcpy(me->got, k.got, k.n_got * sizeof *k.got);
  for (size_t i = 0; i < k.n_paid; i++)
    if (k.paid[i].status == CH_PAYMENT_PENDING) waits[n++] = k.paid[i].op;
  ch_channel_free(me->channel);
  assert_int_equal(ch_channel_decode(&me->channel, k.record, k.len, waits, n), CH_OK);
  free(waits);
  free(k.record);
  free(k.paid);
  free(k.got);
}
