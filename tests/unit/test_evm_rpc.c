/* JSON-RPC to chain nodes: hostile answers, failover, names without passwords; and values as nodes write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_http.h"
#include "l1/evm/value.h"

#define KEY "topsecret"

typedef struct world {
  fake_http http;
  cd_rpc *rpc;
  uint64_t ms;
  const char *body[2]; /* what each URL says; NULL: nothing. %I becomes the question's id */
  long status[2];
  uint32_t retry_after[2];
  unsigned asked[2];
  uint64_t takes[2]; /* ms */
} world;

static uint64_t clock_of(void *ctx) {
  return ((world *)ctx)->ms;
}

static void answer(void *ctx, const char *url, const char *method, const json_t *params, json_int_t id,
                   cd_http_answer *out) {
  world *w = ctx;
  size_t i = strstr(url, "second") != NULL;
  char text[2000], number[24];
  (void)method;
  (void)params;
  w->asked[i]++;
  w->ms += w->takes[i];
  if (w->body[i] == NULL) {
    fake_silence(out, "Timeout was reached");
    return;
  }
  const char *mark = strstr(w->body[i], "%I");
  snprintf(number, sizeof number, "%lld", (long long)id);
  if (mark == NULL) {
    fake_body(out, w->status[i], w->body[i]);
  } else {
    snprintf(text, sizeof text, "%.*s%s%s", (int)(mark - w->body[i]), w->body[i], number, mark + 2);
    fake_body(out, w->status[i], text);
  }
  out->retry_after = w->retry_after[i];
}

static const char GOOD[] = "{\"jsonrpc\":\"2.0\",\"id\":%I,\"result\":\"0x5\"}";

static int set_up(void **state) {
  static const char *const urls[] = {"https://user:" KEY "@first.example:8545/v3/" KEY "?k=" KEY, "http://second"};
  world *w = calloc(1, sizeof *w);
  char why[CD_RPC_TEXT];
  w->http = (fake_http){.answer = answer, .ctx = w};
  cd_http http = fake_http_port(&w->http);
  cd_rpc_config cfg = {.urls = urls, .n_urls = 2, .http = &http, .answer_max = 1000, .clock = clock_of, .clock_ctx = w};
  assert_int_equal(cd_rpc_new(&w->rpc, &cfg, why), CH_OK);
  for (size_t i = 0; i < 2; i++) {
    w->body[i] = GOOD;
    w->status[i] = 200;
  }
  w->ms = 1000;
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  world *w = *state;
  cd_rpc_free(w->rpc);
  assert_true(w->http.closed);
  free(w);
  return 0;
}

/* Asks both, and returns what came of it. */
static cd_rpc_status call(world *w, cd_rpc_reply *reply) {
  return cd_rpc_call(w->rpc, "eth_blockNumber", json_array(), reply);
}

static cd_rpc_status ask_first(world *w, cd_rpc_reply *reply) {
  return cd_rpc_ask(w->rpc, 0, "eth_blockNumber", json_array(), reply);
}

static void good(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  uint64_t n;
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(reply.url, 0);
  assert_true(cd_value_u64(reply.result, &n));
  assert_int_equal(n, 5);
  assert_int_equal(w->asked[1], 0);
  cd_rpc_reply_clear(&reply);
}

static void hostile_bodies(void **state) {
  static const char *const bodies[] = {
      "",
      "{",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"result\":\"0x", /* cut off */
      "<html><body>502 Bad Gateway</body></html>",
      "null",
      "[]",
      "[{\"jsonrpc\":\"2.0\",\"id\":%I,\"result\":1}]",
      "\"0x5\"",
      "{}",
      "{\"id\":%I,\"result\":\"0x5\"}",
      "{\"jsonrpc\":\"1.0\",\"id\":%I,\"result\":\"0x5\"}",
      "{\"jsonrpc\":2.0,\"id\":%I,\"result\":\"0x5\"}",
      "{\"jsonrpc\":\"2.0\",\"result\":\"0x5\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":\"0x5\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":\"%I\",\"result\":\"0x5\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":\"0x5\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":null}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":\"no\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":{\"code\":\"-1\",\"message\":\"no\"}}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":{\"code\":-1}}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"result\":1,\"error\":{\"code\":-1,\"message\":\"both\"}}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"id\":1,\"result\":\"0x5\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"result\":\"0x5\"} more",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"result\":\"\xff\"}",
  };
  world *w = *state;
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    cd_rpc_reply reply;
    w->body[0] = bodies[i];
    assert_int_equal(ask_first(w, &reply), CD_RPC_FAILED);
    assert_null(reply.result);
    assert_true(reply.text[0] != '\0');
    assert_false(cd_rpc_healthy(w->rpc, 0));
    cd_rpc_reply_clear(&reply);
  }
}

static void huge_body(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  char *huge = malloc(1200);
  memset(huge, ' ', 1199);
  memcpy(huge, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}", 35);
  huge[1199] = '\0';
  w->body[0] = huge;
  assert_int_equal(ask_first(w, &reply), CD_RPC_FAILED);
  assert_string_equal(reply.text, "the answer is too long");
  free(huge);
}

/* A message that would recurse without end if its nesting were followed. */
static void deep_body(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  char deep[1000];
  memset(deep, '[', sizeof deep);
  deep[sizeof deep - 1] = '\0';
  w->body[0] = deep;
  assert_int_equal(ask_first(w, &reply), CD_RPC_FAILED);
}

static void errors_of_the_node(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  w->body[0] = "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":{\"code\":3,\"message\":\"execution\\nreverted\",\"data\":"
               "\"0x1234\"}}";
  assert_int_equal(call(w, &reply), CD_RPC_REFUSED);
  assert_int_equal(reply.code, 3);
  assert_string_equal(reply.text, "execution?reverted");
  assert_string_equal(json_string_value(reply.data), "0x1234");
  assert_int_equal(w->asked[1], 0); /* the question was understood: another node would say the same */
  assert_true(cd_rpc_healthy(w->rpc, 0));
  cd_rpc_reply_clear(&reply);
  w->status[0] = 400; /* the same behind an HTTP error */
  assert_int_equal(ask_first(w, &reply), CD_RPC_REFUSED);
  cd_rpc_reply_clear(&reply);
}

/* What is no revert may be this node's trouble: another one is asked. */
static void errors_of_one_node(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  w->body[0] = "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":{\"code\":-32000,\"message\":\"missing trie node\"}}";
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(reply.url, 1);
  cd_rpc_reply_clear(&reply);
  w->body[1] = NULL; /* which is down: then it is what there is */
  assert_int_equal(call(w, &reply), CD_RPC_REFUSED);
  assert_string_equal(reply.text, "missing trie node");
  cd_rpc_reply_clear(&reply);
}

static void failover(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  w->body[0] = NULL;
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(reply.url, 1);
  cd_rpc_reply_clear(&reply);
  /* It rests: the other is asked at once. */
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(w->asked[0], 1);
  cd_rpc_reply_clear(&reply);
  /* After the rest it is asked again, and is the preferred one again. */
  w->ms += 250;
  w->body[0] = GOOD;
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(reply.url, 0);
  assert_true(cd_rpc_healthy(w->rpc, 0));
  cd_rpc_reply_clear(&reply);
}

/* One that lets us wait for ten seconds rests for forty. */
static void time_outs(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  w->body[0] = NULL;
  w->takes[0] = 10000;
  for (int i = 0; i < 39; i++) {
    assert_int_equal(call(w, &reply), CD_RPC_OK);
    assert_int_equal(reply.url, 1);
    cd_rpc_reply_clear(&reply);
    w->ms += 1000;
  }
  assert_int_equal(w->asked[0], 1);
}

static void nobody_answers(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  w->body[0] = w->body[1] = NULL;
  assert_int_equal(call(w, &reply), CD_RPC_FAILED);
  assert_string_equal(reply.text, "Timeout was reached");
  /* Both rest, but a question is never left unasked: a dispute may depend on it. */
  w->body[1] = GOOD;
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(reply.url, 1);
  cd_rpc_reply_clear(&reply);
}

static void too_many_requests(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  w->body[0] = "slow down";
  w->status[0] = 429;
  w->retry_after[0] = 20;
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(reply.url, 1);
  cd_rpc_reply_clear(&reply);
  w->ms += 19999;
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(w->asked[0], 1);
  cd_rpc_reply_clear(&reply);
  w->ms += 1;
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(w->asked[0], 2);
  cd_rpc_reply_clear(&reply);
  w->retry_after[0] = 3000; /* more than this is not waited */
  w->ms += 20000;
  assert_int_equal(ask_first(w, &reply), CD_RPC_FAILED);
  w->ms += 30000;
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(w->asked[0], 4);
  cd_rpc_reply_clear(&reply);
}

static cd_rpc_status ask_many(world *w, size_t n, cd_rpc_reply *replies) {
  json_t *params[CD_RPC_MANY];
  for (size_t i = 0; i < n; i++)
    params[i] = json_array();
  cd_rpc_status status = cd_rpc_ask_many(w->rpc, 0, "eth_blockNumber", params, n, replies);
  for (size_t i = 0; i < n; i++)
    json_decref(params[i]);
  return status;
}

static void clear(cd_rpc_reply *replies, size_t n) {
  for (size_t i = 0; i < n; i++)
    cd_rpc_reply_clear(&replies[i]);
}

static void many_at_once(void **state) {
  world *w = *state;
  cd_rpc_reply replies[5];
  assert_int_equal(ask_many(w, 5, replies), CD_RPC_OK);
  assert_int_equal(w->http.requests, 1);
  for (size_t i = 0; i < 5; i++)
    assert_string_equal(json_string_value(replies[i].result), "0x5");
  clear(replies, 5);
  w->http.no_batches = true; /* asked one by one, and remembered */
  assert_int_equal(ask_many(w, 5, replies), CD_RPC_OK);
  assert_int_equal(w->http.requests, 1 + 1 + 5);
  clear(replies, 5);
  assert_int_equal(ask_many(w, 5, replies), CD_RPC_OK);
  assert_int_equal(w->http.requests, 1 + 1 + 5 + 5);
  clear(replies, 5);
}

static void hostile_batches(void **state) {
  static const char *const bodies[] = {
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x5\"}", /* the same answer for all */
      "{\"jsonrpc\":\"2.0\",\"id\":%I}",
      "5",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":{\"code\":-32005,\"message\":\"limit exceeded\"}}",
  };
  world *w = *state;
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    cd_rpc_reply replies[3];
    w->body[0] = bodies[i];
    assert_int_equal(ask_many(w, 3, replies), CD_RPC_FAILED);
    assert_true(replies[0].text[0] != '\0');
    clear(replies, 3);
  }
  cd_rpc_reply replies[2];
  w->body[0] = "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":{\"code\":-32000,\"message\":\"unknown block\"}}";
  assert_int_equal(ask_many(w, 2, replies), CD_RPC_REFUSED);
  assert_string_equal(replies[0].text, "unknown block");
  clear(replies, 2);
}

static void limits_said_in_json(void **state) {
  static const char *const bodies[] = {
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":{\"code\":-32005,\"message\":\"limit exceeded\"}}",
      "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":429,\"message\":\"you are too fast\"}}",
      "{\"jsonrpc\":\"2.0\",\"id\":%I,\"error\":{\"code\":-32000,\"message\":\"rate limit reached\"}}",
  };
  world *w = *state;
  cd_rpc_reply reply;
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    w->ms += 100000;
    w->body[0] = bodies[i];
    assert_int_equal(call(w, &reply), CD_RPC_OK);
    assert_int_equal(reply.url, 1);
    cd_rpc_reply_clear(&reply);
  }
}

static void distrust(void **state) {
  world *w = *state;
  cd_rpc_reply reply;
  cd_rpc_distrust(w->rpc, 0, "its logs are missing");
  assert_int_equal(call(w, &reply), CD_RPC_OK);
  assert_int_equal(reply.url, 1);
  cd_rpc_reply_clear(&reply);
}

static void names_hide_secrets(void **state) {
  world *w = *state;
  assert_string_equal(cd_rpc_name(w->rpc, 0), "https://first.example:8545");
  assert_string_equal(cd_rpc_name(w->rpc, 1), "http://second");
}

static void bad_urls(void **state) {
  static const char *const bad[] = {
      "", "http://", "ftp://x", "x:1", "file:///etc/passwd", "http:///path", "http://a b", "https://user:" KEY "@"};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    fake_http fake = {0};
    cd_http http = fake_http_port(&fake);
    cd_rpc_config cfg = {.urls = &bad[i], .n_urls = 1, .http = &http};
    cd_rpc *rpc;
    char why[CD_RPC_TEXT];
    assert_int_equal(cd_rpc_new(&rpc, &cfg, why), CH_ERR_ARGUMENT);
    assert_null(rpc);
    assert_null(strstr(why, KEY));
    assert_true(fake.closed);
  }
}

/* --- Values ------------------------------------------------------------------------------------------------------- */

static void quantities(void **state) {
  static const char *const bad[] = {"",     "0x",   "5",      "0x05", "0x00", "0X5",
                                    "0xg",  " 0x5", "0x5 ",   "-0x5", "0x-5", "0x10000000000000000",
                                    "0x1.", "x5",   "latest", "0x 5"};
  uint64_t n;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    json_t *v = json_string(bad[i]);
    assert_false(cd_value_u64(v, &n));
    json_decref(v);
  }
  json_t *others[] = {NULL, json_null(), json_integer(5), json_true(), json_array(), json_stringn("0x5\0", 4)};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    assert_false(cd_value_u64(others[i], &n));
    json_decref(others[i]);
  }
  json_t *max = json_string("0xffffffffffffffff"), *zero = json_string("0x0"), *upper = json_string("0xAb");
  assert_true(cd_value_u64(max, &n) && n == UINT64_MAX);
  assert_true(cd_value_u64(zero, &n) && n == 0);
  assert_true(cd_value_u64(upper, &n) && n == 0xab);
  json_decref(max);
  json_decref(zero);
  json_decref(upper);
}

static void amounts(void **state) {
  ch_amount a;
  (void)state;
  json_t *coin = json_string("0xde0b6b3a7640000");
  json_t *more = json_string("0x1000000000000000000000000000000000000000000");
  json_t *beyond = json_string("0x10000000000000000000000000000000000000000000000000000000000000000");
  assert_true(cd_value_amount(coin, &a) && a.v == 1000000000000000000ull);
  assert_true(cd_value_amount(more, &a) && a.v == CH_MONEY_MAX);
  assert_false(cd_value_amount(beyond, &a));
  json_decref(coin);
  json_decref(more);
  json_decref(beyond);
}

static void bytes(void **state) {
  uint8_t two[2], *data;
  size_t len;
  (void)state;
  json_t *v = json_string("0x12fF"), *odd = json_string("0x123"), *none = json_string("0x"), *bad = json_string("0x1z");
  assert_true(cd_value_bytes(v, two, 2) && two[0] == 0x12 && two[1] == 0xff);
  assert_false(cd_value_bytes(v, two, 1));
  assert_false(cd_value_bytes(odd, two, 2));
  assert_false(cd_value_bytes(bad, two, 1));
  assert_false(cd_value_bytes(NULL, two, 2));
  assert_true(cd_value_data(v, 2, &data, &len) && len == 2 && data[1] == 0xff);
  free(data);
  assert_false(cd_value_data(v, 1, &data, &len));
  assert_false(cd_value_data(odd, 9, &data, &len));
  assert_false(cd_value_data(bad, 9, &data, &len));
  assert_true(cd_value_data(none, 0, &data, &len) && len == 0);
  free(data);
  json_decref(v);
  json_decref(odd);
  json_decref(none);
  json_decref(bad);
}

static void to_json(void **state) {
  (void)state;
  json_t *n = cd_value_of_u64(UINT64_MAX), *z = cd_value_of_u64(0),
         *b = cd_value_of_bytes((const uint8_t *)"\x01\xff", 2);
  assert_string_equal(json_string_value(n), "0xffffffffffffffff");
  assert_string_equal(json_string_value(z), "0x0");
  assert_string_equal(json_string_value(b), "0x01ff");
  json_decref(n);
  json_decref(z);
  json_decref(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(good, set_up, tear_down),
      cmocka_unit_test_setup_teardown(hostile_bodies, set_up, tear_down),
      cmocka_unit_test_setup_teardown(huge_body, set_up, tear_down),
      cmocka_unit_test_setup_teardown(deep_body, set_up, tear_down),
      cmocka_unit_test_setup_teardown(errors_of_the_node, set_up, tear_down),
      cmocka_unit_test_setup_teardown(errors_of_one_node, set_up, tear_down),
      cmocka_unit_test_setup_teardown(failover, set_up, tear_down),
      cmocka_unit_test_setup_teardown(time_outs, set_up, tear_down),
      cmocka_unit_test_setup_teardown(nobody_answers, set_up, tear_down),
      cmocka_unit_test_setup_teardown(too_many_requests, set_up, tear_down),
      cmocka_unit_test_setup_teardown(many_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(hostile_batches, set_up, tear_down),
      cmocka_unit_test_setup_teardown(limits_said_in_json, set_up, tear_down),
      cmocka_unit_test_setup_teardown(distrust, set_up, tear_down),
      cmocka_unit_test_setup_teardown(names_hide_secrets, set_up, tear_down),
      cmocka_unit_test(bad_urls),
      cmocka_unit_test(quantities),
      cmocka_unit_test(amounts),
      cmocka_unit_test(bytes),
      cmocka_unit_test(to_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
