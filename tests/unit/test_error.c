/* The names and sentences of errors, reverts, phases and waits: stable, complete, and none of them twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <channel/channel.h>

/* Programs depend on numbers and names: a line may be added here, none changed. */
static const struct {
  int number;
  const char *name;
} errors[] = {
    {0, "ok"},
    {1, "bad_argument"},
    {2, "out_of_memory"},
    {3, "bad_amount"},
    {4, "amount_overflow"},
    {5, "bad_format"},
    {6, "bad_key"},
    {7, "bad_signature"},
    {8, "bad_words"},
    {9, "double_sign"},
    {10, "signer_failed"},
    {11, "wrong_phase"},
    {12, "channel_frozen"},
    {13, "chain_stale"},
    {14, "insufficient_funds"},
    {15, "queue_full"},
    {16, "protocol_violation"},
    {17, "terms_refused"},
    {18, "unknown_channel"},
    {19, "duplicate"},
    {20, "reverted"},
    {21, "unknown_version"},
    {22, "not_connected"},
    {23, "internal_bug"},
    {24, "pending"},
    {25, "salt_revealed"},
    {26, "lock_limit"},
    {27, "bad_expiry"},
    {28, "hash_used"},
    {29, "unknown_lock"},
    {30, "cancelled"},
    {31, "expired"},
    {32, "sum_only"},
};
#define N_ERRORS (sizeof errors / sizeof *errors)

static void errors_keep_their_numbers_and_names(void **state) {
  (void)state;
  for (size_t i = 0; i < N_ERRORS; i++)
    assert_string_equal(ch_err_name((ch_err)errors[i].number), errors[i].name);
  assert_string_equal(ch_err_name((ch_err)N_ERRORS), "unknown"); /* or the table is not complete */
  assert_string_equal(ch_err_name((ch_err)-1), "unknown");
}

/* A sentence for people: begins with a capital, ends with a full stop, and is no other's. */
static void each_error_says_something_of_its_own(void **state) {
  (void)state;
  for (size_t i = 0; i <= N_ERRORS; i++) {
    const char *text = ch_err_text((ch_err)i);
    assert_true(*text >= 'A' && *text <= 'Z');
    assert_int_equal(text[strlen(text) - 1], '.');
    for (size_t j = 0; j < i; j++)
      assert_string_not_equal(text, ch_err_text((ch_err)j));
  }
}

static void each_revert_says_why(void **state) {
  (void)state;
  enum { LAST = CH_ADJ_ALREADY_REVEALED };
  for (int i = 0; i <= LAST; i++) {
    assert_string_not_equal(ch_adj_revert_text((ch_adj_revert)i), "unknown reason");
    for (int j = 0; j < i; j++)
      assert_string_not_equal(ch_adj_revert_text((ch_adj_revert)i), ch_adj_revert_text((ch_adj_revert)j));
  }
  assert_string_equal(ch_adj_revert_text((ch_adj_revert)(LAST + 1)), "unknown reason");
}

static void each_wait_says_for_what(void **state) {
  (void)state;
  enum { LAST_PLUS_ONE = 64 };
  int known = 0;
  while (known < LAST_PLUS_ONE && strcmp(ch_wait_name((ch_wait)known), "unknown") != 0)
    known++;
  assert_in_range(known, 1, LAST_PLUS_ONE - 1);
  for (int i = 0; i < known; i++) {
    assert_string_not_equal(ch_wait_text((ch_wait)i), "Unknown.");
    for (int j = 0; j < i; j++)
      assert_string_not_equal(ch_wait_name((ch_wait)i), ch_wait_name((ch_wait)j));
  }
  assert_string_equal(ch_wait_text((ch_wait)known), "Unknown.");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(errors_keep_their_numbers_and_names),
      cmocka_unit_test(each_error_says_something_of_its_own),
      cmocka_unit_test(each_revert_says_why),
      cmocka_unit_test(each_wait_says_for_what),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
