/* node.c - the chain node in memory (tests/support/evm_node.h) behind a pipe, for tests/differential/run.js and
 * tests/e2e/test_evm_node.py: a line of JSON-RPC in (a batch, too), the answer out. Beside what nodes know:
 *   test_send [{"from", "to", "value", "data", "time"}]   executes in a block of its own, unsigned and without a price;
 *                                                         answers {"hash", "output"}
 *   test_give [who, amount]   test_refuse [who, bool]   test_set [contract, slot, word]
 *   test_mine [time]          test_crowd [gas, tip]     test_undo [blocks, lose]
 * Numbers are hex with 0x. Anything malformed ends the program.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "evm_inside.h"
#include "evm_node.h"
#include "l1/evm/value.h"

#define LINE_MAX_BYTES (4 << 20)
#define ANSWER_MAX (64u << 20)

static void need(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "node: malformed request: %s\n", what);
  exit(2);
}

static ch_addr addr(const json_t *params, size_t i) {
  ch_addr a;
  need(cd_value_bytes(json_array_get(params, i), a.b, sizeof a.b), "address");
  return a;
}

static ch_hash hash(const json_t *params, size_t i) {
  ch_hash h;
  need(cd_value_bytes(json_array_get(params, i), h.b, sizeof h.b), "word");
  return h;
}

/* With leading zeros, too. */
static ch_amount amount(const json_t *v) {
  static const char digits[] = "0123456789abcdef";
  const char *text = json_string_value(v);
  ch_amount a = {0};
  need(text != NULL && strncmp(text, "0x", 2) == 0 && strlen(text) <= 32, "number");
  for (text += 2; *text != '\0'; text++) {
    const char *digit = strchr(digits, *text);
    need(digit != NULL, "number");
    a.v = a.v << 4 | (ch_u128)(digit - digits);
  }
  return a;
}

static uint64_t number(const json_t *v) {
  return (uint64_t)amount(v).v;
}

static json_t *send_unsigned(evm_chain *c, const json_t *tx) {
  evm_msg m = {.value = amount(json_object_get(tx, "value"))};
  uint8_t *data;
  need(cd_value_bytes(json_object_get(tx, "from"), m.from.b, sizeof m.from.b), "from");
  need(cd_value_bytes(json_object_get(tx, "to"), m.to.b, sizeof m.to.b), "to");
  need(cd_value_data(json_object_get(tx, "data"), CD_EVM_TX_MAX, &data, &m.len), "data");
  m.data = data;
  evm_mine_unsigned(c, &m, false, number(json_object_get(tx, "time")));
  free(data);
  const evm_mined *mined = &evm_last(c)->txs[0];
  return json_pack("{s:o, s:o}", "hash", cd_value_of_bytes(mined->what.hash.b, sizeof mined->what.hash.b), "output",
                   cd_value_of_bytes(mined->out.b, mined->out.n));
}

/* NULL: none of ours. */
static json_t *by_hand(evm_chain *c, const char *method, const json_t *params) {
  static const ch_addr native;
  const json_t *first = json_array_get(params, 0), *second = json_array_get(params, 1);
  if (strcmp(method, "test_send") == 0) return send_unsigned(c, first);
  if (strcmp(method, "test_give") == 0) {
    ch_addr who = addr(params, 0);
    evm_chain_give(c, &who, &native, amount(second));
  } else if (strcmp(method, "test_refuse") == 0) {
    ch_addr who = addr(params, 0);
    evm_chain_refuse(c, &who, json_is_true(second));
  } else if (strcmp(method, "test_set") == 0) {
    ch_addr contract = addr(params, 0);
    ch_hash slot = hash(params, 1), word = hash(params, 2);
    evm_chain_set(c, &contract, &slot, &word);
  } else if (strcmp(method, "test_mine") == 0) {
    evm_chain_mine(c, number(first));
  } else if (strcmp(method, "test_crowd") == 0) {
    evm_chain_crowd(c, number(first), number(second));
  } else if (strcmp(method, "test_undo") == 0) {
    evm_chain_undo(c, (unsigned)number(first), json_is_true(second));
  } else {
    return NULL;
  }
  return json_null();
}

static char *answer(evm_chain *c, const cd_http *http, const char *line) {
  cd_http_answer out;
  json_t *root = json_loads(line, 0, NULL);
  need(root != NULL, "no JSON");
  const char *method = json_string_value(json_object_get(root, "method"));
  json_t *ours = method == NULL ? NULL : by_hand(c, method, json_object_get(root, "params"));
  if (ours != NULL)
    fake_result(&out, json_integer_value(json_object_get(root, "id")), ours);
  else
    http->post(http->ctx, evm_node_urls[0], line, strlen(line), ANSWER_MAX, 0, &out);
  json_decref(root);
  need(out.body != NULL, "no answer");
  return out.body;
}

int main(void) {
  static char line[LINE_MAX_BYTES];
  evm_node node;
  if (sodium_init() < 0) return 2;
  evm_chain *c = evm_chain_new(NULL);
  evm_node_init(&node, c, 1);
  cd_http http = evm_node_http(&node);
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *text = answer(c, &http, line);
    puts(text);
    fflush(stdout);
    free(text);
  }
  evm_chain_free(c);
  return 0;
}
