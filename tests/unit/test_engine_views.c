/* The chain as a channel has seen it last is durable: a view that differs in anything is stored, in the same step. If
 * one difference were overlooked, a restart would bring an older view back, and with it what was decided by that. */
#include "duo_copy.h"

static duo d;

static int opened(void **state) {
  duo_open(&d, 1000, 500);
  assert_int_equal(duo_pay(&d, 0, "a", 20), CH_OK);
  duo_pump(&d);
  *state = &d;
  return 0;
}

static int done(void **state) {
  (void)state;
  duo_free(&d);
  return 0;
}

/* --- The base of each row -------------------------------------------------------------------------------------- */

static void quiet(ch_onchain *o) {
  (void)o;
}

static void disputed(ch_onchain *o) {
  o->slots.disputed = true;
  o->slots.flags = 1;
  o->slots.deadline = d.now + DUO_PERIOD;
}

static void ended(ch_onchain *o) {
  o->slots = (ch_adj_slots){.epoch = 1};
  o->has_ended = true;
  o->ended = (ch_adj_event){.kind = CH_ADJ_SETTLED, .id = d.id, .version = 2, .deadline = 5};
}

/* ROW(base, what changes) */
#define ROWS(ROW)                                                                                                      \
  ROW(quiet, o->slots.contribution[0].v++)                                                                             \
  ROW(quiet, o->slots.contribution[1].v++)                                                                             \
  ROW(quiet, o->slots.withdraw_seq++)                                                                                  \
  ROW(quiet, disputed(o))                                                                                              \
  ROW(quiet, ended(o))                                                                                                 \
  ROW(disputed, o->slots.version = 2)                                                                                  \
  ROW(disputed, o->slots.challenged_version = 2)                                                                       \
  ROW(disputed, o->slots.deadline++)                                                                                   \
  ROW(disputed, o->slots.flags = 0)                                                                                    \
  ROW(disputed, o->slots.outcome_hash.b[31] = 1)                                                                       \
  ROW(disputed, o->slots.disputed = false)                                                                             \
  ROW(ended, o->slots.epoch = 2)                                                                                       \
  ROW(ended, o->has_ended = false)                                                                                     \
  ROW(ended, o->ended.kind = CH_ADJ_CLOSED)                                                                            \
  ROW(ended, o->ended.epoch = 1)                                                                                       \
  ROW(ended, o->ended.version = 3)                                                                                     \
  ROW(ended, o->ended.net.v = 1)                                                                                       \
  ROW(ended, o->ended.paid[0].v = 1)                                                                                   \
  ROW(ended, o->ended.paid[1].v = 1)                                                                                   \
  ROW(ended, o->ended.forfeited = true)                                                                                \
  ROW(ended, o->ended.deadline = 6)

typedef void change(ch_onchain *o);

#define COUNT(base, what) +1
enum { N_ROWS = 0 ROWS(COUNT) };

static void change_row(int row, ch_onchain *o) {
  int i = 0;
#define CHANGE(base, what)                                                                                             \
  if (i++ == row) what;
  ROWS(CHANGE)
}

static change *const bases[] = {
#define BASE(base, what) base,
    ROWS(BASE)};

static const char *const names[] = {
#define TEXT(base, what) #base ": " #what,
    ROWS(TEXT)};

static void show(ch_onchain head, ch_onchain final) {
  const ch_chain_view view = {head, final};
  const ch_event ev = {.kind = CH_EV_CHAIN, .u.view = &view};
  assert_int_equal(duo_step(&d, 0, &ev), CH_OK);
}

/* At the head only, as it begins; what is final at the head as well, as it goes on. */
static void check_row(int row, bool final) {
  duo_copy copy = duo_take_copy(&d, 0);
  ch_onchain before = d.head;
  bases[row](&before);
  show(before, d.final);
  show(before, d.final);
  if (d.side[0].fx.durable) fail_msg("%s: nothing changed, and yet it is stored", names[row]);
  ch_onchain after = before;
  change_row(row, &after);
  if (final) {
    show(after, before);
    show(after, before);
    assert_false(d.side[0].fx.durable);
  }
  show(after, final ? after : d.final);
  if (!d.side[0].fx.durable) fail_msg("%s, final %d: not stored", names[row], final);
  duo_put_back(&d, 0, copy);
}

static void test_every_difference_is_stored(void **state) {
  (void)state;
  for (int row = 0; row < N_ROWS; row++) {
    check_row(row, false);
    check_row(row, true);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_every_difference_is_stored, opened, done),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
