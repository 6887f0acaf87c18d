/* Calls of the Adjudicator and of tokens as calldata, and what tokens and failed calls return. The calldata itself is
 * held against cast and the contract by tests/e2e/test_evm_calls.py; here is what no outside tool knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "l1/evm/abi.h"
#include "l1/evm/erc20.h"

static const ch_addr STRANGER = {{0x99}};

static void selector_is(const char *signature, const char *hex) {
  uint8_t selector[CD_ABI_SELECTOR];
  char text[9];
  cd_abi_selector(selector, signature);
  ch_hex(text, selector, sizeof selector);
  assert_string_equal(text, hex);
}

static void selectors_are_the_published_ones(void **state) {
  (void)state;
  selector_is("transfer(address,uint256)", "a9059cbb");
  selector_is("approve(address,uint256)", "095ea7b3");
  selector_is("balanceOf(address)", "70a08231");
  selector_is("Error(string)", "08c379a0");
}

static cd_bytes encode(const ch_tx *tx, const ch_addr *sender) {
  cd_bytes out = {0};
  assert_int_equal(cd_abi_call(&out, tx, sender), CH_OK);
  assert_false(out.failed);
  assert_int_equal(out.n % CD_ABI_WORD, CD_ABI_SELECTOR);
  return out;
}

static ch_tx close_of(uint8_t salt) {
  ch_tx tx = {.kind = CH_TX_CLOSE};
  memset(&tx.params, 0x11, sizeof tx.params);
  tx.params.bond = ch_amount_of(5);
  memset(tx.params.payout[0].b, 0x20, 20);
  memset(tx.params.payout[1].b, 0x21, 20);
  tx.params.tag.b[0] = salt;
  tx.u.close.close = (ch_close){.epoch = 3, .net = ch_net_of(-2), .valid_until = 77};
  memset(tx.u.close.sig[0].b, 0xa0, 64);
  memset(tx.u.close.sig[1].b, 0xa1, 64);
  return tx;
}

/* What the sender and the batch say is left out of an item; what is not ours to receive cannot be in it. */
static void a_batch_is_made_of_single_calls(void **state) {
  (void)state;
  ch_tx tx = close_of(1), other = close_of(2), token = close_of(3);
  other.params.payout[0] = STRANGER;
  other.params.payout[1] = tx.params.payout[0];
  token.params.asset.b[0] ^= 1;
  const ch_addr me = tx.params.payout[0];
  cd_bytes one = encode(&tx, &me), two = encode(&other, &me), strange = encode(&token, &me), batch = {0};
  cd_bytes full = encode(&tx, &(ch_addr){{0x77}});
  assert_int_equal(one.n, CD_ABI_SELECTOR + 9 * CD_ABI_WORD);
  assert_int_equal(full.n, CD_ABI_SELECTOR + 11 * CD_ABI_WORD);
  const cd_abi_data items[] = {{one.b, one.n}, {two.b, two.n}}, mixed[] = {{one.b, one.n}, {strange.b, strange.n}};
  const cd_abi_data third[] = {{one.b, one.n}, {full.b, full.n}}, cut = {one.b, one.n - 1};
  assert_true(cd_abi_together(&items[0], &items[1]));
  assert_false(cd_abi_together(&mixed[0], &mixed[1]));
  assert_false(cd_abi_together(&third[0], &third[1]));
  assert_int_equal(cd_abi_close_batch(&batch, items, 2, &me), CH_OK);
  assert_int_equal(batch.n, CD_ABI_SELECTOR + (3 + 2 * 6) * CD_ABI_WORD);
  const uint8_t *item = batch.b + CD_ABI_SELECTOR + 3 * CD_ABI_WORD;
  assert_memory_equal(item, one.b + CD_ABI_SELECTOR, 2 * CD_ABI_WORD); /* mine is side 0 */
  assert_memory_equal(item + 2 * CD_ABI_WORD, tx.params.payout[1].b, 20);
  assert_int_equal(item[3 * CD_ABI_WORD - 1], 0xfe); /* the net is -2 */
  assert_int_equal(item[2 * CD_ABI_WORD + 20], 0xff);
  assert_memory_equal(item + 4 * CD_ABI_WORD, tx.u.close.sig[1].b, 64);
  item += 6 * CD_ABI_WORD;
  assert_int_equal(item[2 * CD_ABI_WORD - 1], 1); /* mine is side 1 */
  assert_memory_equal(item + 2 * CD_ABI_WORD, STRANGER.b, 20);
  assert_memory_equal(item + 4 * CD_ABI_WORD, other.u.close.sig[0].b, 64);
  assert_int_equal(cd_abi_close_batch(&batch, mixed, 2, &me), CH_ERR_ARGUMENT);
  assert_int_equal(cd_abi_close_batch(&batch, third, 2, &me), CH_ERR_ARGUMENT);
  assert_int_equal(cd_abi_close_batch(&batch, &cut, 1, &me), CH_ERR_ARGUMENT);
  free(one.b);
  free(two.b);
  free(strange.b);
  free(full.b);
  free(batch.b);
}

/* A net beyond 96 bits has no place in an item. */
static void a_long_net_goes_alone(void **state) {
  (void)state;
  const ch_i128 most = ((ch_i128)1 << 95) - 1, nets[] = {most, most + 1, -most - 1, -most - 2};
  for (size_t i = 0; i < 4; i++) {
    ch_tx tx = close_of(1);
    tx.u.close.close.net.v = nets[i];
    cd_bytes out = encode(&tx, &tx.params.payout[0]);
    const cd_abi_data d = {out.b, out.n};
    assert_int_equal(cd_abi_together(&d, &d), i % 2 == 0);
    free(out.b);
  }
}

/* --- The contract's own list of its functions -------------------------------------------------------------------- */

/* A type as it stands in a signature. */
static void add_type(char *out, size_t size, const json_t *input) {
  const char *type = json_string_value(json_object_get(input, "type"));
  const json_t *parts = json_object_get(input, "components");
  size_t n = strlen(out);
  if (parts == NULL) {
    snprintf(out + n, size - n, "%s", type);
    return;
  }
  for (size_t i = 0; i < json_array_size(parts); i++) {
    n = strlen(out);
    snprintf(out + n, size - n, "%s", i == 0 ? "(" : ",");
    add_type(out, size, json_array_get(parts, i));
  }
  n = strlen(out);
  snprintf(out + n, size - n, ")%s", type + strlen("tuple"));
}

/* Whether the artifact has a function, or an error, with this selector. */
static bool contract_has(const json_t *abi, const char *kind, const uint8_t selector[CD_ABI_SELECTOR]) {
  for (size_t i = 0; i < json_array_size(abi); i++) {
    const json_t *item = json_array_get(abi, i), *inputs = json_object_get(item, "inputs");
    char signature[400];
    uint8_t own[CD_ABI_SELECTOR];
    if (strcmp(json_string_value(json_object_get(item, "type")), kind) != 0) continue;
    snprintf(signature, sizeof signature, "%s(", json_string_value(json_object_get(item, "name")));
    for (size_t k = 0; k < json_array_size(inputs); k++) {
      if (k > 0) strncat(signature, ",", sizeof signature - strlen(signature) - 1);
      add_type(signature, sizeof signature, json_array_get(inputs, k));
    }
    strncat(signature, ")", sizeof signature - strlen(signature) - 1);
    cd_abi_selector(own, signature);
    if (memcmp(own, selector, sizeof own) == 0) return true;
  }
  return false;
}

static void every_call_is_the_contracts(void **state) {
  (void)state;
  json_t *artifact = json_load_file(EVM_ARTIFACT, 0, NULL);
  const json_t *abi = json_object_get(artifact, "abi");
  ch_tx closing = close_of(1);
  const ch_addr payee = closing.params.payout[0];
  assert_true(json_array_size(abi) > 20);
  for (int kind = CH_TX_DEPOSIT; kind <= CH_TX_CLAIM; kind++) {
    for (int variant = 0; variant < 4; variant++) {
      ch_tx tx = {.kind = (ch_tx_kind)kind, .params = closing.params};
      const ch_addr token = {{variant & 1}};
      if (kind == CH_TX_DEPOSIT) tx.u.deposit.asset = token;
      if (kind == CH_TX_FUND) tx.u.fund.asset = token;
      cd_bytes out = encode(&tx, variant & 2 ? &payee : &STRANGER);
      if (!contract_has(abi, "function", out.b)) fail_msg("kind %d, variant %d", kind, variant);
      free(out.b);
    }
  }
  cd_bytes one = encode(&closing, &payee), batch = {0};
  const cd_abi_data item = {one.b, one.n};
  assert_int_equal(cd_abi_close_batch(&batch, &item, 1, &payee), CH_OK);
  assert_true(contract_has(abi, "function", batch.b));
  free(one.b);
  free(batch.b);
  batch = (cd_bytes){0};
  cd_abi_reveal_batch(&batch, &(ch_hash){0}, 1);
  assert_true(contract_has(abi, "function", batch.b));
  free(batch.b);
  json_decref(artifact);
}

static void what_a_call_takes_is_known(void **state) {
  (void)state;
  const ch_addr token = {{0xee}};
  ch_addr asset;
  ch_amount amount;
  ch_tx tx = {.kind = CH_TX_DEPOSIT};
  tx.u.deposit.asset = token;
  tx.u.deposit.amount = ch_amount_of(1234);
  cd_bytes out = encode(&tx, &STRANGER);
  assert_true(cd_abi_takes(out.b, out.n, &asset, &amount));
  assert_true(ch_addr_eq(&asset, &token));
  assert_true(amount.v == 1234);
  free(out.b);
  tx = (ch_tx){.kind = CH_TX_FUND};
  tx.u.fund.asset = token;
  tx.u.fund.amount[0].v = CH_MONEY_MAX - 1;
  tx.u.fund.amount[1].v = 1;
  out = encode(&tx, &STRANGER);
  assert_true(cd_abi_takes(out.b, out.n, &asset, &amount));
  assert_true(amount.v == CH_MONEY_MAX);
  free(out.b);
  tx.u.fund.amount[1].v = 2;
  out = encode(&tx, &STRANGER);
  assert_false(cd_abi_takes(out.b, out.n, &asset, &amount));
  free(out.b);
  tx = close_of(1);
  out = encode(&tx, &STRANGER);
  assert_false(cd_abi_takes(out.b, out.n, &asset, &amount));
  free(out.b);
}

static void reverts_are_told_in_words(void **state) {
  (void)state;
  char why[200];
  uint8_t error[4 + 96] = {0};
  cd_abi_selector(error, "NotNewer()");
  cd_abi_revert(why, error, 4);
  assert_string_equal(why, "the version is not newer than the standing one");
  cd_abi_revert(why, NULL, 0);
  assert_string_equal(why, "the contract refused without a reason");
  cd_abi_selector(error, "Error(string)");
  error[4 + 31] = 32;
  error[4 + 63] = 5;
  memcpy(error + 68, "no\x1b!!", 5);
  cd_abi_revert(why, error, sizeof error);
  assert_string_equal(why, "the contract refused: no?!!");
  error[4 + 32] = 0xff; /* a length beyond everything: what is there is shown */
  cd_abi_revert(why, error, sizeof error);
  assert_int_equal(strncmp(why, "the contract refused: no?!!", 27), 0);
  memset(error, 0xab, sizeof error);
  cd_abi_revert(why, error, sizeof error);
  assert_non_null(strstr(why, "0xabababab"));
}

static void texts_of_tokens_are_read_strictly(void **state) {
  (void)state;
  char text[CD_ERC20_TEXT];
  uint8_t string[96] = {0}, word[32] = "MKR";
  string[31] = 32;
  string[63] = 4;
  memcpy(string + 64, "USDC", 4);
  assert_true(cd_erc20_read_text(text, string, sizeof string));
  assert_string_equal(text, "USDC");
  assert_true(cd_erc20_read_text(text, word, sizeof word));
  assert_string_equal(text, "MKR");
  assert_false(cd_erc20_read_text(text, string, 95));
  assert_false(cd_erc20_read_text(text, string, 64));
  assert_false(cd_erc20_read_text(text, NULL, 0));
  string[65] = '\n';
  assert_false(cd_erc20_read_text(text, string, sizeof string));
  string[65] = 'S';
  string[68] = 'x'; /* dirt behind the text */
  assert_false(cd_erc20_read_text(text, string, sizeof string));
  string[68] = 0;
  string[63] = 33;
  assert_false(cd_erc20_read_text(text, string, sizeof string));
  string[63] = 0;
  assert_false(cd_erc20_read_text(text, string, sizeof string));
  word[5] = 'x';
  assert_false(cd_erc20_read_text(text, word, sizeof word));
}

static void numbers_of_tokens_are_read_strictly(void **state) {
  (void)state;
  uint8_t word[32] = {0}, decimals;
  ch_amount amount;
  word[31] = 18;
  assert_true(cd_erc20_read_decimals(&decimals, word, 32));
  assert_int_equal(decimals, 18);
  word[31] = 78;
  assert_false(cd_erc20_read_decimals(&decimals, word, 32));
  assert_false(cd_erc20_read_decimals(&decimals, word, 31));
  memset(word, 0xff, sizeof word); /* an allowance without end */
  assert_true(cd_erc20_read_amount(&amount, word, 32));
  assert_true(amount.v == CH_MONEY_MAX);
  assert_false(cd_erc20_read_amount(&amount, word, 33));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(selectors_are_the_published_ones),
      cmocka_unit_test(a_batch_is_made_of_single_calls),
      cmocka_unit_test(a_long_net_goes_alone),
      cmocka_unit_test(every_call_is_the_contracts),
      cmocka_unit_test(what_a_call_takes_is_known),
      cmocka_unit_test(reverts_are_told_in_words),
      cmocka_unit_test(texts_of_tokens_are_read_strictly),
      cmocka_unit_test(numbers_of_tokens_are_read_strictly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
