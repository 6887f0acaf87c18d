/* model.c - the Adjudicator's C model behind a pipe, for tests/differential/run.js.
 *
 * A line of JSON in, a line of JSON out. A request is one transaction: {"sender", "value", "now", "batch", "calls"},
 * and what to look at afterwards: {"slots": [id], "balances": [[who, asset]], "credits": [[payee, asset]], "revealed":
 * [hash]}. "batch" is null for a single call, "skip" for one that skips items, "all" for all or nothing (deposits). It
 * runs on the embedded chain's ledger, so that money, batches and credits are compared as well, not only the rules.
 * Instead of "calls" there may be "refuse" (bool), or for setting the scene "give" [[who, asset, amount]] and "poke"
 * {id, epoch, seq}. Addresses and hashes are hex with 0x, money decimal strings. Anything malformed ends the program.
 */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "l1/dev/chain.h"
#include "l1/dev/ledger.h"
#include "l1/evm/abi.h"

#define LINE_MAX_BYTES (1 << 20)
#define BATCH_MAX 64

typedef struct world {
  cd_sql_db db;
  ch_chain chain;
  ch_addr faucet;
  uint64_t height;
} world;

static void need(bool ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "model: malformed request: %s\n", what);
    exit(2);
  }
}

/* --- Values ------------------------------------------------------------------------------------------------------ */

static const char *text(const json_t *o, const char *key) {
  const char *s = json_string_value(json_object_get(o, key));
  need(s != NULL, key);
  return s;
}

static void unhex(uint8_t *out, size_t len, const char *s) {
  need(ch_unhex(out, len, s), s);
}

static ch_hash hash(const json_t *o, const char *key) {
  ch_hash h;
  unhex(h.b, sizeof h.b, text(o, key));
  return h;
}

static ch_addr addr(const json_t *o, const char *key) {
  ch_addr a;
  unhex(a.b, sizeof a.b, text(o, key));
  return a;
}

/* Not limited as ch_amount_parse is: the contract takes 112 bits. */
static ch_amount money(const char *s) {
  ch_amount a = {0};
  need(*s != '\0', "amount");
  for (; *s != '\0'; s++) {
    need(*s >= '0' && *s <= '9' && a.v >> 120 == 0, "amount");
    a.v = a.v * 10 + (ch_u128)(*s - '0');
  }
  return a;
}

static ch_amount amount(const json_t *o, const char *key) {
  return money(text(o, key));
}

static ch_net net(const json_t *o, const char *key) {
  ch_net n;
  need(ch_net_parse(&n, text(o, key)) == CH_OK, key);
  return n;
}

static uint64_t number(const json_t *o, const char *key) {
  return (uint64_t)amount(o, key).v;
}

static void sigs(ch_sig *out, size_t n, const json_t *o, const char *key) {
  const json_t *list = json_object_get(o, key);
  need(json_array_size(list) == n, key);
  for (size_t i = 0; i < n; i++) {
    const char *s = json_string_value(json_array_get(list, i));
    need(s != NULL, key);
    unhex(out[i].b, sizeof out[i].b, s);
  }
}

static json_t *hex(const uint8_t *bytes, size_t len) {
  char *s = malloc(2 * len + 3);
  need(s != NULL, "memory");
  memcpy(s, "0x", 2);
  ch_hex(s + 2, bytes, len);
  json_t *out = json_string(s);
  free(s);
  return out;
}

static json_t *decimal(ch_i128 v) {
  char buf[CH_MONEY_STR];
  return json_string(ch_net_str(buf, (ch_net){v}));
}

/* --- Calls ------------------------------------------------------------------------------------------------------- */

static ch_params params(const json_t *call) {
  const json_t *o = json_object_get(call, "params");
  ch_params p = {.signer = {addr(o, "signer0"), addr(o, "signer1")},
                 .payout = {addr(o, "payout0"), addr(o, "payout1")},
                 .asset = addr(o, "asset"),
                 .challenge_period = (uint32_t)number(o, "period"),
                 .bond = amount(o, "bond"),
                 .tag = hash(o, "tag")};
  return p;
}

static void read_deposit(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_DEPOSIT;
  tx->u.deposit.params_hash = hash(o, "paramsHash");
  tx->u.deposit.asset = addr(o, "asset");
  tx->u.deposit.side = (uint8_t)number(o, "side");
  tx->u.deposit.epoch = (uint16_t)number(o, "epoch");
  tx->u.deposit.amount = amount(o, "amount");
}

static void read_fund(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_FUND;
  tx->u.fund.params_hash = hash(o, "paramsHash");
  tx->u.fund.asset = addr(o, "asset");
  tx->u.fund.epoch = (uint16_t)number(o, "epoch");
  tx->u.fund.amount[0] = amount(o, "amount0");
  tx->u.fund.amount[1] = amount(o, "amount1");
}

static void read_close(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_CLOSE;
  tx->u.close.close =
      (ch_close){.epoch = (uint16_t)number(o, "epoch"), .net = net(o, "net"), .valid_until = number(o, "validUntil")};
  sigs(tx->u.close.sig, 2, o, "sigs");
}

static void read_withdraw(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_WITHDRAW;
  tx->u.withdraw.withdraw = (ch_withdraw){.epoch = (uint16_t)number(o, "epoch"),
                                          .seq = (uint16_t)number(o, "seq"),
                                          .side = (uint8_t)number(o, "side"),
                                          .amount = amount(o, "amount"),
                                          .valid_until = number(o, "validUntil")};
  sigs(tx->u.withdraw.sig, 2, o, "sigs");
}

static void read_move(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_MOVE;
  tx->u.move.to_params_hash = hash(o, "toParamsHash");
  tx->u.move.move = (ch_move){.epoch = (uint16_t)number(o, "epoch"),
                              .seq = (uint16_t)number(o, "seq"),
                              .side = (uint8_t)number(o, "side"),
                              .amount = amount(o, "amount"),
                              .valid_until = number(o, "validUntil"),
                              .to_epoch = (uint16_t)number(o, "toEpoch"),
                              .to_side = (uint8_t)number(o, "toSide")};
  ch_channel_id(&tx->u.move.move.to_id, &tx->u.move.to_params_hash, &tx->params.asset);
  sigs(tx->u.move.sig, 2, o, "sigs");
}

static void read_challenge(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_CHALLENGE;
  tx->u.challenge.challenge = (ch_challenge){.epoch = (uint16_t)number(o, "epoch"),
                                             .side = (uint8_t)number(o, "side"),
                                             .version = number(o, "version"),
                                             .outcome_hash = hash(o, "outcomeHash"),
                                             .valid_until = number(o, "validUntil")};
  tx->u.challenge.salt = hash(o, "salt");
  sigs(tx->u.challenge.sig, 2, o, "sigs");
  sigs(&tx->u.challenge.challenge_sig, 1, o, "challengeSig");
}

static void read_refute(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_REFUTE;
  tx->u.refute.epoch = (uint16_t)number(o, "epoch");
  tx->u.refute.version = number(o, "version");
  tx->u.refute.outcome_hash = hash(o, "outcomeHash");
  sigs(tx->u.refute.sig, 2, o, "sigs");
}

static void read_refute_for(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_REFUTE_FOR;
  tx->u.refute_for.epoch = (uint16_t)number(o, "epoch");
  tx->u.refute_for.version = number(o, "version");
  tx->u.refute_for.outcome_hash = hash(o, "outcomeHash");
  tx->u.refute_for.beneficiary = addr(o, "beneficiary");
  sigs(tx->u.refute_for.sig, 2, o, "sigs");
  sigs(&tx->u.refute_for.bounty_sig, 1, o, "bountySig");
}

/* `locks` takes the bytes of the locks. */
static void read_settle(ch_tx *tx, const json_t *o, uint8_t *locks) {
  const char *s = text(o, "locks");
  size_t len = (strlen(s) - 2) / 2;
  need(len <= CH_LOCKS_BYTES_MAX, "locks");
  unhex(locks, len, s);
  tx->kind = CH_TX_SETTLE;
  tx->u.settle.epoch = (uint16_t)number(o, "epoch");
  tx->u.settle.outcome = (ch_outcome){.net = net(o, "net"), .blind = hash(o, "blind")};
  tx->u.settle.locks = locks;
  tx->u.settle.locks_len = len;
}

static void read_claim(ch_tx *tx, const json_t *o) {
  tx->kind = CH_TX_CLAIM;
  tx->u.claim.payee = addr(o, "payee");
  tx->u.claim.asset = addr(o, "asset");
  tx->u.claim.to = addr(o, "to");
}

static void read_call(cd_dev_body *body, const json_t *o) {
  ch_tx *tx = &body->u.call;
  const char *kind = text(o, "kind");
  memset(body, 0, sizeof *body);
  body->kind = CD_DEV_CALL;
  bool about_channel = strcmp(kind, "reveal") != 0 && strcmp(kind, "claim") != 0;
  if (about_channel) tx->id = hash(o, "id");
  if (json_object_get(o, "params") != NULL) tx->params = params(o);
  if (strcmp(kind, "deposit") == 0) read_deposit(tx, o);
  if (strcmp(kind, "fund") == 0) read_fund(tx, o);
  if (strcmp(kind, "close") == 0) read_close(tx, o);
  if (strcmp(kind, "withdraw") == 0) read_withdraw(tx, o);
  if (strcmp(kind, "move") == 0) read_move(tx, o);
  if (strcmp(kind, "challenge") == 0) read_challenge(tx, o);
  if (strcmp(kind, "refute") == 0) read_refute(tx, o);
  if (strcmp(kind, "refuteFor") == 0) read_refute_for(tx, o);
  if (strcmp(kind, "settle") == 0) read_settle(tx, o, body->data);
  if (strcmp(kind, "claim") == 0) read_claim(tx, o);
  if (strcmp(kind, "reveal") == 0) {
    tx->kind = CH_TX_REVEAL;
    tx->u.reveal.preimage = hash(o, "preimage");
  }
  need(tx->kind != 0, kind);
}

/* --- Running ----------------------------------------------------------------------------------------------------- */

static void sql(world *w, const char *statement) {
  cd_sql_run run = cd_sql_start(&w->db, statement);
  cd_sql_exec(&run);
}

static const char *execute(world *w, const cd_dev_tx *tx, uint64_t now, uint32_t place) {
  cd_dev_env env = {
      .db = &w->db, .chain = &w->chain, .faucet = &w->faucet, .height = w->height, .time = now, .place = place};
  need(cd_dev_ledger_affordable(&w->db, tx), "the sender has no coin");
  return cd_dev_ledger_execute(&env, tx);
}

/* Joins the calls as a sender does. */
static void join(cd_dev_body *out, const json_t *calls) {
  static uint8_t bytes[BATCH_MAX][CD_DEV_TX_MAX];
  const uint8_t *bodies[BATCH_MAX];
  size_t lens[BATCH_MAX], n = json_array_size(calls);
  need(n <= BATCH_MAX, "batch");
  for (size_t i = 0; i < n; i++) {
    cd_dev_body body;
    read_call(&body, json_array_get(calls, i));
    lens[i] = cd_dev_body_encode(bytes[i], &body);
    bodies[i] = bytes[i];
  }
  need(cd_dev_batch_of(out, bodies, lens, n) == CH_OK, "batch");
}

/* Deposits, all or nothing: each brings its own part of the value. */
static const char *run_all(world *w, const json_t *o, cd_dev_tx *tx, uint64_t now) {
  const json_t *calls = json_object_get(o, "calls");
  ch_amount value = tx->value, sum = {0};
  for (size_t i = 0; i < json_array_size(calls); i++) {
    read_call(&tx->body, json_array_get(calls, i));
    bool native = ch_addr_is_zero(&tx->body.u.call.u.deposit.asset);
    tx->value = native ? tx->body.u.call.u.deposit.amount : ch_amount_of(0);
    sum.v += tx->value.v;
    const char *error = execute(w, tx, now, (uint32_t)i);
    if (error != NULL) {
      return error;
    }
  }
  return sum.v == value.v ? NULL : ch_adj_revert_text(CH_ADJ_WRONG_VALUE);
}

static const char *run(world *w, const json_t *o) {
  static cd_dev_tx tx;
  const json_t *calls = json_object_get(o, "calls");
  const char *batch = json_string_value(json_object_get(o, "batch"));
  uint64_t now = number(o, "now");
  memset(&tx, 0, sizeof tx);
  tx.sender = addr(o, "sender");
  tx.value = amount(o, "value");
  w->height++;
  if (json_object_get(o, "refuse") != NULL) {
    tx.body = (cd_dev_body){.kind = CD_DEV_REFUSE, .u.refuse = json_is_true(json_object_get(o, "refuse"))};
    return execute(w, &tx, now, 0);
  }
  sql(w, "SAVEPOINT op");
  const char *error;
  if (batch != NULL && strcmp(batch, "all") == 0) {
    error = run_all(w, o, &tx, now);
  } else {
    if (batch != NULL) {
      join(&tx.body, calls);
    } else {
      need(json_array_size(calls) == 1, "calls");
      read_call(&tx.body, json_array_get(calls, 0));
    }
    error = execute(w, &tx, now, 0);
  }
  if (error != NULL) sql(w, "ROLLBACK TO op");
  sql(w, "RELEASE op");
  return error;
}

/* The scene: balances and slots as they are before the first call. */
static void set_scene(world *w, const json_t *o) {
  size_t i;
  const json_t *item;
  json_array_foreach(json_object_get(o, "give"), i, item) {
    uint8_t key[41] = {'B'}, value[16];
    unhex(key + 1, 20, json_string_value(json_array_get(item, 0)));
    unhex(key + 21, 20, json_string_value(json_array_get(item, 1)));
    size_t len = ch_amount_bytes(value, money(json_string_value(json_array_get(item, 2))));
    cd_dev_state_put(&w->db, w->height, key, sizeof key, value, len);
  }
  const json_t *poke = json_object_get(o, "poke");
  if (poke != NULL) {
    uint8_t key[33] = {'S'}, value[CD_DEV_RECORD_MAX];
    ch_adj_slots s = {.epoch = (uint16_t)number(poke, "epoch"), .withdraw_seq = (uint16_t)number(poke, "seq")};
    ch_hash id = hash(poke, "id");
    memcpy(key + 1, id.b, sizeof id.b);
    cd_dev_state_put(&w->db, w->height, key, sizeof key, value, cd_dev_slots_encode(value, &s));
  }
}

/* --- Answers ----------------------------------------------------------------------------------------------------- */

static const char *event_name(ch_adj_event_kind kind) {
  switch (kind) {
  case CH_ADJ_DEPOSITED: return "Deposited";
  case CH_ADJ_CLOSED: return "Closed";
  case CH_ADJ_CHALLENGED: return "Challenged";
  case CH_ADJ_REFUTED: return "Refuted";
  case CH_ADJ_SETTLED: return "Settled";
  case CH_ADJ_WITHDRAWN: return "Withdrawn";
  case CH_ADJ_FUNDED: return "Funded";
  case CH_ADJ_MOVED: return "Moved";
  case CH_ADJ_REVEALED: return "Revealed";
  case CH_ADJ_CLAIMED: return "Claimed";
  case CH_ADJ_CREDITED: return "Credited";
  case CH_ADJ_SKIPPED: return "Skipped";
  }
  return "unknown";
}

/* The symbol of a reason ("WRONG_EPOCH"). */
static const char *revert_name(ch_adj_revert r) {
  switch (r) {
#define NAME(sym, sentence)                                                                                            \
  case CH_ADJ_##sym: return #sym;
    CH_ADJ_REVERTS(NAME)
#undef NAME
  }
  return "unknown";
}

static json_t *error_json(const char *error) {
  if (error == NULL) return json_null();
#define FIND(sym, sentence)                                                                                            \
  if (strcmp(error, sentence) == 0) return json_string(#sym);
  CH_ADJ_REVERTS(FIND)
#undef FIND
  return json_string("TRANSFER_FAILED"); /* the ledger's: too small a balance, or a recipient that refuses */
}

static json_t *event_json(const ch_adj_event *e) {
  json_t *o = json_object();
  json_object_set_new(o, "kind", json_string(event_name(e->kind)));
  json_object_set_new(o, "id", hex(e->id.b, 32));
  json_object_set_new(o, "epoch", decimal(e->epoch));
  json_object_set_new(o, "side", decimal(e->side));
  json_object_set_new(o, "amount", decimal((ch_i128)e->amount.v));
  json_object_set_new(o, "version", decimal((ch_i128)e->version));
  json_object_set_new(o, "deadline", decimal((ch_i128)e->deadline));
  json_object_set_new(o, "salt", hex(e->salt.b, 32));
  json_object_set_new(o, "net", decimal(e->net.v));
  json_object_set_new(o, "paid0", decimal((ch_i128)e->paid[0].v));
  json_object_set_new(o, "paid1", decimal((ch_i128)e->paid[1].v));
  json_object_set_new(o, "forfeited", decimal(e->forfeited));
  json_object_set_new(o, "toId", hex(e->to_id.b, 32));
  json_object_set_new(o, "asset", hex(e->asset.b, 20));
  json_object_set_new(o, "payee0", hex(e->payee[0].b, 20));
  json_object_set_new(o, "payee1", hex(e->payee[1].b, 20));
  json_object_set_new(o, "reason", json_string(revert_name((ch_adj_revert)e->reason)));
  return o;
}

static json_t *events(world *w) {
  json_t *out = json_array();
  cd_sql_run run = cd_sql_start(&w->db, "SELECT record FROM events WHERE block = ? ORDER BY place");
  cd_sql_bind_int(&run, w->height);
  while (cd_sql_row(&run)) {
    uint8_t record[CD_DEV_RECORD_MAX];
    ch_adj_event event;
    size_t len = cd_sql_bytes(&run, 0, record, sizeof record);
    need(cd_dev_event_decode(&event, record, len), "event");
    json_array_append_new(out, event_json(&event));
  }
  cd_sql_done(&run);
  return out;
}

static json_t *slots_json(world *w, const char *id_text) {
  ch_hash id;
  ch_adj_slots s;
  unhex(id.b, sizeof id.b, id_text);
  cd_dev_ledger_slots_at(&w->db, w->height, &id, &s);
  json_t *o = json_object();
  json_object_set_new(o, "contribution0", decimal(s.contribution[0].v));
  json_object_set_new(o, "contribution1", decimal(s.contribution[1].v));
  json_object_set_new(o, "seq", decimal(s.withdraw_seq));
  json_object_set_new(o, "epoch", decimal(s.epoch));
  json_object_set_new(o, "disputed", decimal(s.disputed));
  json_object_set_new(o, "version", decimal((ch_i128)s.version));
  json_object_set_new(o, "challengedVersion", decimal((ch_i128)s.challenged_version));
  json_object_set_new(o, "deadline", decimal((ch_i128)s.deadline));
  json_object_set_new(o, "flags", decimal(s.flags));
  json_object_set_new(o, "outcomeHash", hex(s.outcome_hash.b, 32));
  json_object_set_new(o, "beneficiary", hex(s.beneficiary.b, 20));
  return o;
}

/* The amounts under the state's keys of a letter and two addresses: balances and credits. */
static json_t *amounts(world *w, char letter, const json_t *list) {
  json_t *out = json_array();
  size_t i;
  const json_t *item;
  json_array_foreach(list, i, item) {
    uint8_t key[41] = {(uint8_t)letter}, value[CD_DEV_VALUE_MAX];
    ch_amount a;
    unhex(key + 1, 20, json_string_value(json_array_get(item, 0)));
    unhex(key + 21, 20, json_string_value(json_array_get(item, 1)));
    size_t len = cd_dev_state_get(&w->db, key, sizeof key, value);
    need(ch_amount_from_bytes(&a, value, len) == CH_OK, "stored amount");
    json_array_append_new(out, decimal((ch_i128)a.v));
  }
  return out;
}

/* The same call as the EVM adapter would send it; null for a batch. */
static json_t *calldata(const json_t *o) {
  cd_bytes bytes = {0};
  static cd_dev_body body;
  const json_t *calls = json_object_get(o, "calls");
  json_t *out = json_null();
  if (calls != NULL && json_is_null(json_object_get(o, "batch"))) {
    ch_addr sender = addr(o, "sender");
    read_call(&body, json_array_get(calls, 0));
    if (cd_abi_call(&bytes, &body.u.call, &sender) == CH_OK && !bytes.failed) out = hex(bytes.b, bytes.n);
  }
  free(bytes.b);
  return out;
}

static json_t *answer(world *w, const json_t *o, const char *error) {
  json_t *out = json_object(), *slots = json_array(), *revealed = json_array();
  size_t i;
  const json_t *item;
  json_array_foreach(json_object_get(o, "slots"), i, item) {
    json_array_append_new(slots, slots_json(w, json_string_value(item)));
  }
  json_array_foreach(json_object_get(o, "revealed"), i, item) {
    ch_hash h;
    cd_dev_revealed known;
    unhex(h.b, sizeof h.b, json_string_value(item));
    cd_dev_ledger_revealed_at(&w->db, w->height, &h, &known);
    json_array_append_new(revealed, decimal((ch_i128)known.time));
  }
  json_object_set_new(out, "error", error_json(error));
  json_object_set_new(out, "calldata", calldata(o));
  json_object_set_new(out, "events", events(w));
  json_object_set_new(out, "slots", slots);
  json_object_set_new(out, "revealed", revealed);
  json_object_set_new(out, "balances", amounts(w, 'B', json_object_get(o, "balances")));
  json_object_set_new(out, "credits", amounts(w, 'C', json_object_get(o, "credits")));
  need(!w->db.failed, "the ledger failed");
  return out;
}

int main(int argc, char **argv) {
  static char line[LINE_MAX_BYTES];
  world w = {.height = 1};
  bool made;
  char why[CD_DEV_WHY];
  ch_addr condition;
  if (argc != 4 || sodium_init() < 0) {
    fprintf(stderr, "usage: differential_model FILE CHAIN_ID ADJUDICATOR\n");
    return 2;
  }
  w.chain.chain_id = (uint64_t)money(argv[2]).v;
  unhex(w.chain.adjudicator.b, sizeof w.chain.adjudicator.b, argv[3]);
  if (cd_dev_db_open(&w.db, argv[1], &made, why, sizeof why) != CH_OK || !made) {
    fprintf(stderr, "model: %s is no new file: %s\n", argv[1], why);
    return 2;
  }
  cd_dev_condition(&condition);
  json_t *hello = json_pack("{s:o}", "condition", hex(condition.b, sizeof condition.b));
  for (;;) { /* one transaction of the database: the file is gone with the test */
    json_dumpf(hello, stdout, JSON_COMPACT);
    json_decref(hello);
    putchar('\n');
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) break;
    json_t *o = json_loads(line, 0, NULL);
    need(o != NULL, "no JSON");
    set_scene(&w, o);
    const char *error = json_object_get(o, "sender") != NULL ? run(&w, o) : NULL;
    hello = answer(&w, o, error);
    json_decref(o);
  }
  cd_sql_close(&w.db);
  return 0;
}
