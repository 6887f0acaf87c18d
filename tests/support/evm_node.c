#include "evm_node.h"

#include <stdlib.h>

#include "evm_inside.h"
#include "l1/evm/artifact.h"
#include "l1/evm/value.h"

#define HISTORY_MAX 64
#define AHEAD_S 10 /* between blocks that the chain does not have */

const char *const evm_node_urls[EVM_NODES] = {"http://node0", "http://node1", "http://node2", "http://node3"};

/* One question to one URL. */
typedef struct question {
  evm_endpoint *at;
  evm_chain *chain;
  const json_t *params;
  json_int_t id;
  cd_http_answer *out;
} question;

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static void give(const question *q, json_t *result) {
  fake_result(q->out, q->id, result);
}

static void give_u64(const question *q, uint64_t n) {
  give(q, cd_value_of_u64(n));
}

static void refuse(const question *q, int code, const char *message) {
  fake_error(q->out, q->id, code, message);
}

static json_t *of_hash(const ch_hash *h) {
  return cd_value_of_bytes(h->b, sizeof h->b);
}

static json_t *of_addr(const ch_addr *a) {
  return cd_value_of_bytes(a->b, sizeof a->b);
}

/* A number without leading zeros. */
static json_t *of_quantity(const ch_hash *word) {
  char text[67] = "0x";
  ch_hex(text + 2, word->b, sizeof word->b);
  size_t zeros = 2;
  while (text[zeros] == '0' && text[zeros + 1] != '\0')
    zeros++;
  memmove(text + 2, text + zeros, strlen(text + zeros) + 1);
  return json_string(text);
}

static const json_t *param(const question *q, size_t i) {
  return json_array_get(q->params, i);
}

static ch_hash hash_of(const json_t *v) {
  ch_hash h;
  if (!cd_value_bytes(v, h.b, sizeof h.b)) abort();
  return h;
}

static ch_addr addr_of(const json_t *v) {
  ch_addr a;
  if (!cd_value_bytes(v, a.b, sizeof a.b)) abort();
  return a;
}

/* --- The chain as this node has it -------------------------------------------------------------------------------- */

/* The last block of the chain that it knows. */
static uint64_t known(const question *q) {
  uint64_t last = q->chain->n - 1 - (q->at->lag < q->chain->n ? q->at->lag : q->chain->n - 1);
  return q->at->fork != 0 && last >= q->at->fork ? q->at->fork - 1 : last;
}

static uint64_t head_of(const question *q) {
  if (q->at->fork == 0 || known(q) != q->at->fork - 1) return known(q);
  return q->chain->n - 1 - q->at->lag + q->at->ahead;
}

static ch_hash fork_hash(const question *q, uint64_t number) {
  ch_hash hash = q->chain->blocks[known(q)].head.hash;
  if (number <= known(q)) return q->chain->blocks[number].head.hash;
  uint8_t name[sizeof hash.b + sizeof number];
  memcpy(name, hash.b, sizeof hash.b);
  memcpy(name + sizeof hash.b, &number, sizeof number);
  ch_keccak256(&hash, name, sizeof name);
  return hash;
}

/* A block that it shows; beyond what it knows of the chain an empty one of its own. */
static evm_full_block shown(const question *q, uint64_t number) {
  const evm_chain *c = q->chain;
  if (number <= known(q)) return c->blocks[number];
  uint64_t beyond = number < c->n ? 0 : number - (c->n - 1);
  const evm_block *like = &c->blocks[number < c->n ? number : c->n - 1].head;
  evm_full_block b = {.head = *like};
  b.head.number = number;
  b.head.time = like->time + beyond * AHEAD_S;
  b.head.gas_used = 0;
  b.head.hash = fork_hash(q, number);
  b.head.parent = fork_hash(q, number - 1);
  return b;
}

/* False if it has no such block. */
static bool find_number(const question *q, const json_t *which, uint64_t *number) {
  const char *tag = json_string_value(which);
  uint64_t head = head_of(q), below = 0;
  if (tag == NULL) abort();
  if (tag[0] == '0') return cd_value_u64(which, number) && *number <= head;
  if (strcmp(tag, "finalized") == 0) below = EVM_FINAL;
  if (strcmp(tag, "safe") == 0) below = EVM_FINAL - 1;
  if (below == 0 && strcmp(tag, "latest") != 0) abort();
  *number = head > below ? head - below : 0;
  return below == 0 || !q->at->no_finality;
}

static bool find_hash(const question *q, const json_t *which, uint64_t *number) {
  ch_hash hash = hash_of(which);
  for (uint64_t n = head_of(q) + 1; n-- > 0;) {
    ch_hash got = fork_hash(q, n);
    if (!ch_hash_eq(&got, &hash)) continue;
    *number = n;
    return true;
  }
  return false;
}

static json_t *block_json(const evm_full_block *b) {
  json_t *txs = json_array();
  for (size_t i = 0; i < b->n_txs; i++)
    json_array_append_new(txs, of_hash(&b->txs[i].what.hash));
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "number", cd_value_of_u64(b->head.number), "timestamp",
                   cd_value_of_u64(b->head.time), "hash", of_hash(&b->head.hash), "parentHash",
                   of_hash(&b->head.parent), "logsBloom", cd_value_of_bytes(b->bloom, sizeof b->bloom), "baseFeePerGas",
                   cd_value_of_u64(b->head.base_fee), "gasUsed", cd_value_of_u64(b->head.gas_used), "transactions",
                   txs);
}

static void get_block(const question *q) {
  uint64_t number;
  if (!find_number(q, param(q, 0), &number)) {
    give(q, json_null());
    return;
  }
  evm_full_block b = shown(q, number);
  give(q, block_json(&b));
}

/* --- Logs and receipts -------------------------------------------------------------------------------------------- */

/* Log `i` of a block. */
static json_t *log_json(const evm_full_block *b, const evm_log *log, size_t i) {
  json_t *topics = json_array();
  ch_hash tx = log->topic[0]; /* for those that no transaction made */
  size_t index = 0;
  for (size_t k = 0; k < log->n_topics; k++)
    json_array_append_new(topics, of_hash(&log->topic[k]));
  for (size_t k = 0; k < b->n_txs; k++) {
    if (i < b->txs[k].first_log || i >= b->txs[k].first_log + b->txs[k].logs) continue;
    tx = b->txs[k].what.hash;
    index = k;
  }
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "address", of_addr(&log->address), "blockNumber",
                   cd_value_of_u64(b->head.number), "blockHash", of_hash(&b->head.hash), "logIndex", cd_value_of_u64(i),
                   "transactionHash", of_hash(&tx), "transactionIndex", cd_value_of_u64(index), "topics", topics,
                   "data", cd_value_of_bytes(log->data, log->len), "removed", 0);
}

/* One topic, any of several, or anything. */
static bool topic_fits(const json_t *wanted, const evm_log *log, size_t i) {
  if (wanted == NULL || json_is_null(wanted)) return true;
  if (i >= log->n_topics) return false;
  bool fits = false;
  for (size_t k = 0; k < json_array_size(wanted); k++) {
    ch_hash one = hash_of(json_array_get(wanted, k));
    fits = fits || ch_hash_eq(&one, &log->topic[i]);
  }
  if (json_is_array(wanted)) return fits;
  ch_hash only = hash_of(wanted);
  return ch_hash_eq(&only, &log->topic[i]);
}

static bool log_fits(const json_t *filter, const evm_log *log) {
  const json_t *topics = json_object_get(filter, "topics"), *address = json_object_get(filter, "address");
  ch_addr of = address != NULL ? addr_of(address) : log->address;
  bool fits = ch_addr_eq(&of, &log->address);
  for (size_t i = 0; i < json_array_size(topics); i++)
    fits = fits && topic_fits(json_array_get(topics, i), log, i);
  return fits;
}

static void append_logs(const question *q, json_t *list, const json_t *filter, uint64_t number) {
  evm_full_block b = shown(q, number);
  for (size_t i = 0; i < b.n_logs && !q->at->hides_logs; i++) {
    if (log_fits(filter, &b.logs[i])) json_array_append_new(list, log_json(&b, &b.logs[i], i));
  }
  if (!q->at->invents_logs || json_object_get(filter, "blockHash") == NULL) return;
  evm_log invented = {.address = addr_of(json_object_get(filter, "address")), .n_topics = 2};
  ch_keccak256(&invented.topic[0], "Deposited(bytes32,uint256)", 26);
  ch_keccak256(&invented.topic[1], "nobody", 6);
  json_array_append_new(list, log_json(&b, &invented, b.n_logs));
}

static void get_logs(const question *q) {
  const json_t *filter = param(q, 0), *hash = json_object_get(filter, "blockHash");
  uint64_t first, last;
  q->at->log_questions++;
  if (hash != NULL) {
    if (!find_hash(q, hash, &first)) {
      refuse(q, -32000, "unknown block");
      return;
    }
    last = first;
  } else if (!cd_value_u64(json_object_get(filter, "fromBlock"), &first) ||
             !cd_value_u64(json_object_get(filter, "toBlock"), &last)) {
    abort();
  }
  if (q->at->narrow != 0 && last - first >= q->at->narrow) {
    refuse(q, -32000, "the range is too wide");
    return;
  }
  json_t *list = json_array();
  for (uint64_t n = first; n <= last && n <= head_of(q); n++)
    append_logs(q, list, filter, n);
  give(q, list);
}

static json_t *receipt_json(const evm_full_block *b, size_t i) {
  const evm_mined *t = &b->txs[i];
  json_t *logs = json_array();
  for (size_t k = t->first_log; k < t->first_log + t->logs; k++)
    json_array_append_new(logs, log_json(b, &b->logs[k], k));
  json_t *created = ch_addr_is_zero(&t->created) ? json_null() : of_addr(&t->created);
  json_t *to = t->what.tx.creates ? json_null() : of_addr(&t->what.tx.to);
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "transactionHash", of_hash(&t->what.hash),
                   "transactionIndex", cd_value_of_u64(i), "blockNumber", cd_value_of_u64(b->head.number), "blockHash",
                   of_hash(&b->head.hash), "from", of_addr(&t->what.sender), "to", to, "contractAddress", created,
                   "status", cd_value_of_u64(t->ok), "gasUsed", cd_value_of_u64(t->gas), "effectiveGasPrice",
                   cd_value_of_u64(t->price), "logs", logs);
}

static void get_receipt(const question *q) {
  ch_hash hash = hash_of(param(q, 0));
  for (uint64_t n = known(q) + 1; n-- > 0;) {
    const evm_full_block *b = &q->chain->blocks[n];
    for (size_t i = 0; i < b->n_txs; i++) {
      if (!ch_hash_eq(&b->txs[i].what.hash, &hash)) continue;
      give(q, receipt_json(b, i));
      return;
    }
  }
  give(q, json_null());
}

/* --- State -------------------------------------------------------------------------------------------------------- */

static ch_hash word_of(const question *q, evm_space space, const ch_addr *who) {
  evm_place at = evm_place_of(space, who);
  return evm_state_at(q->chain->state, &at, known(q));
}

static void get_storage(const question *q) {
  ch_addr contract = addr_of(param(q, 0));
  ch_hash slot = hash_of(param(q, 1));
  uint64_t number = known(q);
  const json_t *which = param(q, 2);
  if (json_is_object(which) && !find_hash(q, json_object_get(which, "blockHash"), &number)) {
    refuse(q, -32000, "header not found");
    return;
  }
  evm_place at = evm_slot_of(&contract, &slot);
  ch_hash word = evm_state_at(q->chain->state, &at, number < known(q) ? number : known(q));
  give(q, of_hash(&word));
}

static void get_balance(const question *q) {
  ch_addr who = addr_of(param(q, 0));
  ch_hash word = word_of(q, EVM_BALANCE, &who);
  give(q, of_quantity(&word));
}

static void get_nonce(const question *q) {
  ch_addr who = addr_of(param(q, 0));
  ch_hash word = word_of(q, EVM_NONCE, &who);
  give(q, of_quantity(&word));
}

/* The Adjudicator's is the artifact's; that there is something is all that counts for the others. */
static void get_code(const question *q) {
  static const uint8_t some[] = {0x5f, 0x5f, 0xfd};
  ch_addr who = addr_of(param(q, 0));
  ch_hash word = word_of(q, EVM_CODE, &who);
  switch ((evm_code)evm_number(&word)) {
  case EVM_NO_CODE: give(q, json_string("0x")); break;
  case EVM_ADJUDICATOR: give(q, cd_value_of_bytes(cd_artifact_runtime, cd_artifact_runtime_len)); break;
  case EVM_TOKEN_STRICT:
  case EVM_TOKEN_PERMIT:
  case EVM_TOKEN_TEST:
  case EVM_CONDITION:
  case EVM_REFUSER: give(q, cd_value_of_bytes(some, sizeof some)); break;
  }
}

static void get_fee_history(const question *q) {
  uint64_t n, last = known(q);
  if (!cd_value_u64(param(q, 0), &n) || n == 0 || n > HISTORY_MAX) abort();
  if (n > last + 1) n = last + 1;
  json_t *bases = json_array(), *rewards = json_array(), *ratios = json_array();
  for (uint64_t i = last + 1 - n; i <= last; i++) {
    const evm_full_block *b = &q->chain->blocks[i];
    json_array_append_new(bases, cd_value_of_u64(b->head.base_fee));
    json_array_append_new(rewards, json_pack("[o]", cd_value_of_u64(b->tip)));
    json_array_append_new(ratios, json_real((double)b->head.gas_used / (double)q->chain->cfg.block_gas));
  }
  uint64_t next = last + 1 < q->chain->n ? q->chain->blocks[last + 1].head.base_fee : evm_next_base_fee(q->chain);
  json_array_append_new(bases, cd_value_of_u64(next));
  give(q, json_pack("{s:o, s:o, s:o, s:o}", "oldestBlock", cd_value_of_u64(last + 1 - n), "baseFeePerGas", bases,
                    "reward", rewards, "gasUsedRatio", ratios));
}

/* --- Calls -------------------------------------------------------------------------------------------------------- */

typedef struct call {
  evm_msg m;
  uint8_t *data; /* malloc'ed */
  bool creates;
} call;

static call call_of(const json_t *tx) {
  const json_t *to = json_object_get(tx, "to"), *from = json_object_get(tx, "from");
  const json_t *value = json_object_get(tx, "value"), *data = json_object_get(tx, "data");
  call c = {.creates = to == NULL};
  if (to != NULL) c.m.to = addr_of(to);
  if (from != NULL) c.m.from = addr_of(from);
  if (value != NULL && !cd_value_amount(value, &c.m.value)) abort();
  if (!cd_value_data(data, CD_EVM_TX_MAX, &c.data, &c.m.len)) abort();
  c.m.data = c.data;
  return c;
}

static void give_revert(const question *q, const evm_out *out) {
  json_t *data = cd_value_of_bytes(out->b, out->n);
  json_t *root = json_pack("{s:s, s:I, s:{s:i, s:s, s:o}}", "jsonrpc", "2.0", "id", q->id, "error", "code", 3,
                           "message", "execution reverted", "data", data);
  char *text = json_dumps(root, JSON_COMPACT);
  json_decref(root);
  fake_body(q->out, 200, text);
  free(text);
}

static void do_call(const question *q) {
  call c = call_of(param(q, 0));
  evm_answer a = evm_try_at(q->chain, &c.m, c.creates, known(q));
  if (a.ok)
    give(q, cd_value_of_bytes(a.out.b, a.out.n));
  else
    give_revert(q, &a.out);
  free(c.data);
}

static void do_estimate(const question *q) {
  call c = call_of(param(q, 0));
  ch_hash balance = word_of(q, EVM_BALANCE, &c.m.from);
  bool pending = q->at->estimates_pending && q->at->lag == 0 && q->at->fork == 0;
  evm_answer a = pending ? evm_try_pending(q->chain, &c.m, c.creates) : evm_try_at(q->chain, &c.m, c.creates, known(q));
  if (evm_number(&balance) < c.m.value.v)
    refuse(q, -32000, "insufficient funds for gas * price + value");
  else if (a.ok)
    give_u64(q, a.gas);
  else
    give_revert(q, &a.out);
  free(c.data);
}

/* What nodes say. */
static const char *said(evm_took took) {
  switch (took) {
  case EVM_TOOK: return "";
  case EVM_ALREADY_KNOWN: return "already known";
  case EVM_NONCE_TOO_LOW: return "nonce too low";
  case EVM_UNDERPRICED: return "replacement transaction underpriced";
  case EVM_NO_FUNDS: return "insufficient funds for gas * price + value";
  case EVM_LITTLE_GAS: return "intrinsic gas too low";
  case EVM_MUCH_GAS: return "exceeds block gas limit";
  case EVM_MALFORMED: return "invalid sender";
  }
  abort();
}

static evm_took take(const question *q, const uint8_t *raw, size_t len) {
  evm_tell_witness(q->chain, raw, len);
  return q->at->broadcasts == EVM_LOSES_THEM ? EVM_TOOK : evm_pool_take(q->chain, raw, len);
}

static void send_raw(const question *q) {
  uint8_t *raw;
  size_t len;
  ch_hash hash;
  if (!cd_value_data(param(q, 0), CD_EVM_TX_MAX, &raw, &len)) abort();
  evm_took took = take(q, raw, len);
  ch_keccak256(&hash, raw, len);
  free(raw);
  if (q->at->broadcasts == EVM_MUTE)
    fake_silence(q->out, "Timeout was reached");
  else if (took == EVM_TOOK)
    give(q, of_hash(&hash));
  else
    refuse(q, -32000, said(took));
}

/* --- The entrance ------------------------------------------------------------------------------------------------- */

static void get_chain_id(const question *q) {
  give_u64(q, q->at->chain_id != 0 ? q->at->chain_id : q->chain->cfg.chain_id);
}

static const struct {
  const char *method;
  void (*answer)(const question *q);
} methods[] = {
    {"eth_chainId", get_chain_id},
    {"eth_getBlockByNumber", get_block},
    {"eth_getLogs", get_logs},
    {"eth_getTransactionReceipt", get_receipt},
    {"eth_getStorageAt", get_storage},
    {"eth_getBalance", get_balance},
    {"eth_getTransactionCount", get_nonce},
    {"eth_getCode", get_code},
    {"eth_feeHistory", get_fee_history},
    {"eth_call", do_call},
    {"eth_estimateGas", do_estimate},
    {"eth_sendRawTransaction", send_raw},
};

static void answer_one(const question *q, const char *method) {
  size_t m = 0;
  while (m < sizeof methods / sizeof methods[0] && strcmp(methods[m].method, method) != 0)
    m++;
  if (m == sizeof methods / sizeof methods[0]) abort();
  if (q->at->silent)
    fake_silence(q->out, "Couldn't connect to server");
  else if (q->at->fails || (q->at->refuses != NULL && strcmp(q->at->refuses, method) == 0))
    refuse(q, -32603, "internal error");
  else
    methods[m].answer(q);
}

static void answer(void *ctx, const char *url, const char *method, const json_t *params, json_int_t id,
                   cd_http_answer *out) {
  evm_node *node = ctx;
  size_t i = 0;
  while (i < node->n && strcmp(url, evm_node_urls[i]) != 0)
    i++;
  if (i == node->n) abort();
  pthread_mutex_lock(&node->at[i].chain->lock);
  answer_one(&(question){&node->at[i], node->at[i].chain, params, id, out}, method);
  pthread_mutex_unlock(&node->at[i].chain->lock);
}

void evm_node_init(evm_node *node, evm_chain *chain, size_t n) {
  if (n == 0 || n > EVM_NODES) abort();
  *node = (evm_node){.n = n};
  node->http = (fake_http){.answer = answer, .ctx = node};
  for (size_t i = 0; i < n; i++)
    node->at[i].chain = chain;
}

cd_http evm_node_http(evm_node *node) {
  return fake_http_port(&node->http);
}

evm_endpoint *evm_node_hold(evm_node *node, size_t i) {
  pthread_mutex_lock(&node->at[i].chain->lock);
  return &node->at[i];
}

void evm_node_release(evm_node *node, size_t i) {
  pthread_mutex_unlock(&node->at[i].chain->lock);
}
