/* gas.c - the gas of every step on an EVM node made for tests (anvil), through the adapter's own encoding, trying,
 * signing and broadcasting: bench_gas URL [CHANNELS]. Prints `bench: gas.NAME = N gas`, the receipts' gasUsed, the
 * worst of CHANNELS random channels; `.erc20` behind a name: the channel's asset is a token, whose creation code stands
 * in hex in the file that TOKEN_CODE names.
 *
 * Who sends: a payee where the name says so and for deposits and challenges, else a third party. Payees exist, hold the
 * token already, and the token's approval is not counted. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "l1/evm/abi.h"
#include "l1/evm/value.h"
#include "l1/evm/writer.h"

#define VALID UINT32_MAX
#define PERIOD 86400u
#define BATCH 50
#define MAX_FEE 500000000000u
#define NAMES 64

typedef struct person {
  ch_secret key;
  cd_evm_writer w;
  uint64_t nonce;
} person;

typedef struct channel {
  ch_params params;
  ch_secret key[2];
  ch_hash salt, params_hash, id;
  uint16_t epoch;
  person *payee[2];
} channel;

static cd_rpc *rpc;
static ch_chain chain;
static ch_addr token;
static person relay; /* neither signer nor payee */
static const char *tail;
static ch_addr asset;

static _Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "bench_gas: %s: %s\n", what, why);
  exit(1);
}

/* --- The node ------------------------------------------------------------------------------------ */

static json_t *ask(const char *method, json_t *params) {
  cd_rpc_reply reply;
  if (cd_rpc_call(rpc, method, params, &reply) != CD_RPC_OK) die(method, reply.text);
  json_t *result = json_incref(reply.result);
  cd_rpc_reply_clear(&reply);
  return result;
}

static void tell(const char *method, json_t *params) {
  json_decref(ask(method, params));
}

static uint64_t now(void *ctx) {
  (void)ctx;
  uint64_t time;
  json_t *block = ask("eth_getBlockByNumber", json_pack("[s, b]", "latest", 0));
  if (!cd_value_u64(json_object_get(block, "timestamp"), &time)) die("the time", "not a number");
  json_decref(block);
  return time;
}

static void forward(uint64_t seconds) {
  tell("evm_increaseTime", json_pack("[I]", (json_int_t)seconds));
  tell("evm_mine", json_array());
}

static json_t *addr_json(const ch_addr *a) {
  return cd_value_of_bytes(a->b, sizeof a->b);
}

/* --- What is measured ---------------------------------------------------------------------------- */

static struct {
  char name[40];
  uint64_t gas;
} worst[NAMES];
static size_t n_worst;

static void note(const char *name, uint64_t gas) {
  char full[40];
  size_t i = 0;
  snprintf(full, sizeof full, "%s%s", name, tail);
  while (i < n_worst && strcmp(worst[i].name, full) != 0)
    i++;
  if (i == n_worst) {
    if (n_worst == NAMES) die(name, "too many names");
    memcpy(worst[n_worst++].name, full, sizeof full);
  }
  if (gas > worst[i].gas) worst[i].gas = gas;
}

static uint64_t worst_of(const char *name) {
  char full[40];
  snprintf(full, sizeof full, "%s%s", name, tail);
  for (size_t i = 0; i < n_worst; i++) {
    if (strcmp(worst[i].name, full) == 0) return worst[i].gas;
  }
  die(name, "was not measured");
}

static uint64_t receipt_gas(const ch_hash *hash, const char *what) {
  for (int tries = 0; tries < 1000; tries++) {
    json_t *receipt = ask("eth_getTransactionReceipt", json_pack("[o]", cd_value_of_bytes(hash->b, 32)));
    uint64_t gas, status;
    bool ok = json_is_object(receipt) && cd_value_u64(json_object_get(receipt, "gasUsed"), &gas) &&
              cd_value_u64(json_object_get(receipt, "status"), &status);
    json_decref(receipt);
    if (ok && status != 1) die(what, "the transaction reverted");
    if (ok) return gas;
    usleep(2000); /* mined at once, but not always before the reply */
  }
  die(what, "no receipt");
}

/* Sends calls, which the adapter has encoded, as one transaction. `name` NULL: not measured. */
static void send_calls(const char *name, person *from, const cd_call *calls, size_t n, size_t share) {
  cd_prepared what = {0};
  char why[200] = "";
  uint8_t *raw;
  size_t len;
  ch_hash hash;
  const char *label = name == NULL ? "a step between" : name;
  if (cd_evm_prepare(&from->w, calls, n, &what, why) != CD_READY) die(label, why);
  if (cd_evm_sign(&from->w, from->nonce++, &what, &raw, &len, &hash) != CH_OK) die(label, "cannot be signed");
  if (cd_evm_broadcast(&from->w, raw, len, why) != CD_SENT_OK) die(label, why);
  uint64_t gas = receipt_gas(&hash, label);
  if (name != NULL) note(name, (gas + share - 1) / share);
  free(raw);
  free(what.data);
}

static void send_bytes(const char *name, person *from, const ch_addr *to, cd_bytes *bytes, size_t share) {
  const cd_evm_call call = {.to = *to, .data = bytes->b, .len = bytes->n};
  uint8_t *data;
  size_t len;
  if (bytes->failed || cd_evm_call_bytes(&call, &data, &len) != CH_OK) die("memory", "out");
  send_calls(name, from, &(cd_call){{0}, data, len}, 1, share);
  free(data);
  free(bytes->b);
}

static void send_tx(const char *name, person *from, const ch_tx *tx, ch_amount value) {
  cd_call call = {.value = value};
  uint8_t *data;
  if (cd_evm_encode_call(&from->w, tx, &data, &call.len) != CH_OK) die("a call", "cannot be encoded");
  call.data = data;
  send_calls(name, from, &call, 1, 1);
  free(data);
}

/* --- People and channels ------------------------------------------------------------------------- */

static uint64_t below(uint64_t limit) {
  uint64_t r;
  randombytes_buf(&r, sizeof r);
  return r % limit;
}

static ch_amount some(void) {
  return ch_amount_of(1000000000 + below(1000000000000000000));
}

static void make_rich(const ch_addr *who, const char *wei) {
  tell("anvil_setBalance", json_pack("[o, s]", addr_json(who), wei));
}

static void init_person(person *p) {
  memset(p, 0, sizeof *p);
  randombytes_buf(p->key.b, sizeof p->key.b);
  if (cd_evm_writer_init(&p->w, rpc, &chain, &p->key, MAX_FEE, now, NULL) != CH_OK) die("a key", "is none");
  make_rich(&p->w.account, "0xd3c21bcecceda1000000"); /* 10^24 */
}

static void mint(const ch_addr *to, ch_amount amount) {
  cd_bytes bytes = {0};
  cd_abi_put_selector(&bytes, "mint(address,uint256)");
  cd_abi_put_addr(&bytes, to);
  cd_abi_put_amount(&bytes, amount);
  send_bytes(NULL, &relay, &token, &bytes, 1);
}

/* Without end, so that using it changes nothing. */
static void approve_all(person *p) {
  cd_bytes bytes = {0};
  ch_hash ones;
  memset(ones.b, 0xff, sizeof ones.b);
  cd_abi_put_selector(&bytes, "approve(address,uint256)");
  cd_abi_put_addr(&bytes, &chain.adjudicator);
  cd_abi_put_hash(&bytes, &ones);
  send_bytes(NULL, p, &token, &bytes, 1);
}

static person *new_person(bool approves) {
  person *p = malloc(sizeof *p);
  if (p == NULL) die("memory", "out");
  init_person(p);
  mint(&p->w.account, (ch_amount){(ch_u128)1 << 100});
  if (approves) approve_all(p);
  return p;
}

static channel channel_of(person *zero, person *one) {
  channel c = {.payee = {zero, one}};
  c.params = (ch_params){.asset = asset, .challenge_period = PERIOD, .bond = some()};
  for (int i = 0; i < 2; i++) {
    ch_pubkey pub;
    randombytes_buf(c.key[i].b, sizeof c.key[i].b);
    if (ch_pubkey_of(&pub, &c.key[i]) != CH_OK || ch_address_of(&c.params.signer[i], &pub) != CH_OK)
      die("a key", "is none");
    c.params.payout[i] = c.payee[i]->w.account;
  }
  randombytes_buf(c.salt.b, sizeof c.salt.b);
  ch_keccak256(&c.params.tag, c.salt.b, sizeof c.salt.b);
  ch_params_hash(&c.params_hash, &chain, &c.params);
  ch_channel_id(&c.id, &c.params_hash, &asset);
  return c;
}

static channel new_channel(void) {
  return channel_of(new_person(true), new_person(true));
}

static void free_channel(channel *c) {
  for (int i = 0; i < 2; i++) {
    cd_evm_writer_free(&c->payee[i]->w);
    free(c->payee[i]);
  }
}

static ch_hash domain(void) {
  ch_hash d;
  ch_domain(&d, &chain);
  return d;
}

static void sign(ch_sig *out, const ch_hash *digest, const ch_secret *key) {
  if (ch_sign(out, digest, key) != CH_OK) die("a signature", "failed");
}

static void sign_both(ch_sig out[2], const ch_hash *digest, const channel *c) {
  sign(&out[0], digest, &c->key[0]);
  sign(&out[1], digest, &c->key[1]);
}

/* Native coin that a call of this amount needs. */
static ch_amount as_value(ch_amount amount) {
  return ch_addr_is_zero(&asset) ? amount : ch_amount_of(0);
}

/* --- Steps --------------------------------------------------------------------------------------- */

static void deposit(const char *name, const channel *c, uint8_t side, ch_amount amount) {
  ch_tx tx = {.kind = CH_TX_DEPOSIT, .id = c->id};
  tx.u.deposit.params_hash = c->params_hash;
  tx.u.deposit.asset = asset;
  tx.u.deposit.side = side;
  tx.u.deposit.epoch = c->epoch;
  tx.u.deposit.amount = amount;
  send_tx(name, c->payee[side], &tx, as_value(amount));
}

static void fund(const char *name, const channel *c, ch_amount a, ch_amount b) {
  ch_tx tx = {.kind = CH_TX_FUND, .id = c->id};
  ch_amount sum = {a.v + b.v};
  tx.u.fund.params_hash = c->params_hash;
  tx.u.fund.asset = asset;
  tx.u.fund.epoch = c->epoch;
  tx.u.fund.amount[0] = a;
  tx.u.fund.amount[1] = b;
  send_tx(name, c->payee[0], &tx, as_value(sum));
}

static ch_tx close_call(const channel *c, ch_net net) {
  ch_tx tx = {.kind = CH_TX_CLOSE, .id = c->id, .params = c->params};
  ch_hash d = domain(), digest;
  tx.u.close.close = (ch_close){.id = c->id, .epoch = c->epoch, .net = net, .valid_until = VALID};
  ch_close_digest(&digest, &d, &tx.u.close.close);
  sign_both(tx.u.close.sig, &digest, c);
  return tx;
}

static void close_by(const char *name, channel *c, ch_net net, person *by) {
  ch_tx tx = close_call(c, net);
  send_tx(name, by, &tx, ch_amount_of(0));
  c->epoch++;
}

static void withdraw(const char *name, const channel *c, uint16_t seq, uint8_t side, ch_amount amount, person *by) {
  ch_tx tx = {.kind = CH_TX_WITHDRAW, .id = c->id, .params = c->params};
  ch_hash d = domain(), digest;
  tx.u.withdraw.withdraw =
      (ch_withdraw){.id = c->id, .epoch = c->epoch, .seq = seq, .side = side, .amount = amount, .valid_until = VALID};
  ch_withdraw_digest(&digest, &d, &tx.u.withdraw.withdraw);
  sign_both(tx.u.withdraw.sig, &digest, c);
  send_tx(name, by, &tx, ch_amount_of(0));
}

static void move(const char *name, const channel *c, uint16_t seq, uint8_t side, ch_amount amount, const channel *to) {
  ch_tx tx = {.kind = CH_TX_MOVE, .id = c->id, .params = c->params};
  ch_hash d = domain(), digest;
  tx.u.move.move = (ch_move){.id = c->id,
                             .epoch = c->epoch,
                             .seq = seq,
                             .side = side,
                             .amount = amount,
                             .valid_until = VALID,
                             .to_id = to->id,
                             .to_epoch = to->epoch};
  tx.u.move.to_params_hash = to->params_hash;
  ch_move_digest(&digest, &d, &tx.u.move.move);
  sign_both(tx.u.move.sig, &digest, c);
  send_tx(name, &relay, &tx, ch_amount_of(0));
}

/* A state with these locks, if any. */
static ch_outcome outcome_of(ch_net net, const uint8_t *locks, size_t len) {
  ch_outcome o = {.net = net};
  ch_locks_hash(&o.locks_hash, locks, len);
  memset(o.blind.b, 0x5b, sizeof o.blind.b);
  return o;
}

static void sign_state(ch_sig out[2], ch_hash *outcome_hash, const channel *c, uint64_t version, const ch_outcome *o) {
  ch_hash d = domain(), digest;
  ch_outcome_hash(outcome_hash, o);
  const ch_state s = {.id = c->id, .epoch = c->epoch, .version = version, .outcome_hash = *outcome_hash};
  ch_state_digest(&digest, &d, &s);
  sign_both(out, &digest, c);
}

static void challenge(const char *name, const channel *c, uint8_t side, uint64_t version, const ch_outcome *o) {
  ch_tx tx = {.kind = CH_TX_CHALLENGE, .id = c->id, .params = c->params};
  ch_challenge *what = &tx.u.challenge.challenge;
  *what = (ch_challenge){.id = c->id, .epoch = c->epoch, .side = side, .version = version, .valid_until = VALID};
  tx.u.challenge.salt = c->salt;
  if (version > 0) sign_state(tx.u.challenge.sig, &what->outcome_hash, c, version, o);
  send_tx(name, c->payee[side], &tx, c->params.bond);
}

static void refute(const char *name, const channel *c, uint64_t version, const ch_outcome *o) {
  ch_tx tx = {.kind = CH_TX_REFUTE, .id = c->id, .params = c->params};
  tx.u.refute.epoch = c->epoch;
  tx.u.refute.version = version;
  sign_state(tx.u.refute.sig, &tx.u.refute.outcome_hash, c, version, o);
  send_tx(name, &relay, &tx, ch_amount_of(0));
}

static void refute_for(const char *name, const channel *c, uint64_t version, const ch_outcome *o, uint8_t victim) {
  ch_tx tx = {.kind = CH_TX_REFUTE_FOR, .id = c->id, .params = c->params};
  const ch_bounty bounty = {.id = c->id, .epoch = c->epoch, .beneficiary = relay.w.account};
  ch_hash d = domain(), digest;
  tx.u.refute_for.epoch = c->epoch;
  tx.u.refute_for.version = version;
  tx.u.refute_for.beneficiary = relay.w.account;
  sign_state(tx.u.refute_for.sig, &tx.u.refute_for.outcome_hash, c, version, o);
  ch_bounty_digest(&digest, &d, &bounty);
  sign(&tx.u.refute_for.bounty_sig, &digest, &c->key[victim]);
  send_tx(name, &relay, &tx, ch_amount_of(0));
}

static void settle(const char *name, channel *c, const ch_outcome *o, const uint8_t *locks, size_t len) {
  ch_tx tx = {.kind = CH_TX_SETTLE, .id = c->id, .params = c->params};
  tx.u.settle.epoch = c->epoch;
  tx.u.settle.outcome = *o;
  tx.u.settle.locks = locks;
  tx.u.settle.locks_len = len;
  send_tx(name, &relay, &tx, ch_amount_of(0));
  c->epoch++;
}

/* --- Lives of channels --------------------------------------------------------------------------- */

static ch_net net_of(ch_amount a) {
  return (ch_net){(ch_i128)a.v};
}

static ch_amount part(ch_amount a, uint64_t divisor) {
  return ch_amount_of(1 + below((uint64_t)a.v / divisor));
}

/* A payee whose account takes no coin, or whose token is out of order for a while. */
static void claim(void) {
  channel c = new_channel();
  bool native = ch_addr_is_zero(&asset);
  const ch_addr *broken = native ? &c.params.payout[0] : &asset;
  deposit(NULL, &c, 1, ch_amount_of(1000000000));
  json_t *code = ask("eth_getCode", json_pack("[o, s]", addr_json(broken), "latest"));
  tell("anvil_setCode", json_pack("[o, s]", addr_json(broken), "0x5f5ffd"));
  close_by(NULL, &c, ch_net_of(-1000000000), &relay);
  tell("anvil_setCode", json_pack("[o, o]", addr_json(broken), code));
  ch_tx tx = {.kind = CH_TX_CLAIM};
  tx.u.claim.payee = c.params.payout[0];
  tx.u.claim.asset = asset;
  tx.u.claim.to = c.params.payout[0];
  send_tx("claim", c.payee[0], &tx, ch_amount_of(0));
  free_channel(&c);
}

/* What one channel's life costs, all but what takes time. */
static void money(void) {
  channel c = new_channel(), other = new_channel();
  ch_amount a = some(), b = some();
  deposit("deposit_first", &c, 0, a);
  deposit("deposit_next", &c, 1, b);
  deposit("deposit_next", &c, 0, a);
  withdraw("withdraw", &c, 0, 0, part(a, 1), &relay);
  withdraw("withdraw_payee", &c, 1, 1, part(b, 2), c.payee[1]);
  fund("deposit_both", &other, a, b);
  move("move", &c, 2, 1, part(b, 2), &other);
  close_by("close_2", &c, ch_net_of(0), &relay);
  deposit("deposit_next", &c, 0, a);
  close_by("close_2_payee", &c, net_of(part(a, 2)), c.payee[0]);
  fund(NULL, &c, a, b);
  close_by("close_1", &c, (ch_net){(ch_i128)(a.v + part(a, 1).v)}, &relay);
  fund(NULL, &c, a, b);
  close_by("close_1_payee", &c, (ch_net){(ch_i128)(a.v + part(a, 1).v)}, c.payee[1]);
  free_channel(&other);
  free_channel(&c);
  if (ch_addr_is_zero(&asset)) return;
  other = channel_of(new_person(false), new_person(true));
  deposit("deposit_3009", &other, 0, a); /* no approval is there: the adapter uses an authorization */
  free_channel(&other);
}

static void close_batch(void) {
  person *hub = new_person(true);
  cd_call calls[BATCH];
  uint8_t *data[BATCH];
  for (size_t i = 0; i < BATCH; i++) {
    channel c = channel_of(new_person(true), hub);
    ch_amount amount = some();
    deposit(NULL, &c, 0, amount);
    ch_tx tx = close_call(&c, net_of(amount));
    calls[i] = (cd_call){0};
    if (cd_evm_encode_call(&hub->w, &tx, &data[i], &calls[i].len) != CH_OK) die("close", "cannot be encoded");
    calls[i].data = data[i];
    cd_evm_writer_free(&c.payee[0]->w);
    free(c.payee[0]);
  }
  send_calls("close_batch_50", hub, calls, BATCH, BATCH);
  for (size_t i = 0; i < BATCH; i++)
    free(data[i]);
  cd_evm_writer_free(&hub->w);
  free(hub);
}

static void reveals(void) {
  ch_hash preimages[BATCH];
  cd_bytes bytes = {0};
  ch_tx tx = {.kind = CH_TX_REVEAL};
  randombytes_buf(tx.u.reveal.preimage.b, 32);
  send_tx("reveal", &relay, &tx, ch_amount_of(0));
  randombytes_buf(preimages, sizeof preimages);
  cd_abi_reveal_batch(&bytes, preimages, BATCH);
  send_bytes("reveal_batch_50", &relay, &chain.adjudicator, &bytes, BATCH);
}

/* --- Disputes: three of every channel, one epoch after the other; the clock moves for all of them at once ----------
 */

#define LOCKS 6
typedef struct dispute {
  channel c;
  ch_amount amount;
  ch_outcome two, one, locked;
  uint8_t locks[LOCKS * (CH_LOCK_HEAD + CH_LOCK_HASH_LEN)];
  size_t locks_len;
} dispute;

static void make_locks(dispute *d) {
  ch_hash preimages[LOCKS], hash;
  cd_bytes bytes = {0};
  uint64_t expiry = now(NULL) + 1000;
  randombytes_buf(preimages, sizeof preimages);
  for (unsigned i = 0; i < LOCKS; i++) {
    ch_preimage_hash(&hash, &preimages[i]);
    const ch_lock lock = {.amount = part(d->amount, 16),
                          .payer = i % 2,
                          .expiry = expiry,
                          .payload_len = sizeof hash.b,
                          .payload = hash.b};
    if (ch_lock_encode(d->locks, sizeof d->locks, &d->locks_len, &lock) != CH_OK) die("a lock", "cannot be encoded");
  }
  cd_abi_reveal_batch(&bytes, preimages, LOCKS);
  send_bytes(NULL, &relay, &chain.adjudicator, &bytes, 1);
}

static void first_dispute(dispute *d) {
  d->c = new_channel();
  d->amount = some();
  ch_net net = net_of(part(d->amount, 2));
  const ch_outcome old = outcome_of(ch_net_of((int64_t)net.v / 2), NULL, 0);
  d->two = outcome_of(net, NULL, 0);
  d->one = outcome_of(net_of(d->amount), NULL, 0);
  fund(NULL, &d->c, d->amount, d->amount);
  challenge("challenge", &d->c, 0, 2, &old);
  refute("refute", &d->c, 5 + 2 * below(UINT32_MAX), &d->two);
}

static void second_dispute(dispute *d) {
  settle("settle_2", &d->c, &d->two, NULL, 0);
  fund(NULL, &d->c, d->amount, d->amount);
  challenge("challenge_v0", &d->c, 0, 0, NULL);
  refute("refute_v0", &d->c, 2, &d->two);
  refute_for("refute_bounty", &d->c, 3, &d->one, 1);
}

static void third_dispute(dispute *d) {
  settle("settle_1", &d->c, &d->one, NULL, 0);
  fund(NULL, &d->c, d->amount, d->amount);
  make_locks(d);
  d->locked = outcome_of(d->two.net, d->locks, d->locks_len);
  challenge(NULL, &d->c, 1, 1, &d->locked);
}

static void disputes(size_t n) {
  dispute *all = calloc(n, sizeof *all);
  if (all == NULL) die("memory", "out");
  for (size_t i = 0; i < n; i++)
    first_dispute(&all[i]);
  forward(PERIOD + 3602); /* a refutation may have moved the end */
  for (size_t i = 0; i < n; i++)
    second_dispute(&all[i]);
  forward(PERIOD + 3602);
  for (size_t i = 0; i < n; i++)
    third_dispute(&all[i]);
  forward(PERIOD + 3602);
  for (size_t i = 0; i < n; i++) {
    settle("settle_6_locks", &all[i].c, &all[i].locked, all[i].locks, all[i].locks_len);
    free_channel(&all[i].c);
  }
  free(all);
  note("settle_lock", (worst_of("settle_6_locks") - worst_of("settle_2") + LOCKS - 1) / LOCKS);
}

/* --- Beginning ----------------------------------------------------------------------------------- */

static void deploy_adjudicator(void) {
  cd_call call = {0};
  uint8_t *data;
  if (cd_evm_encode_deploy(&relay.w, &data, &call.len) != CH_OK) die("the code", "cannot be had");
  call.data = data;
  cd_evm_created(&chain.adjudicator, &relay.w.account, relay.nonce);
  send_calls("deploy", &relay, &call, 1, 1);
  relay.w.chain = chain;
  make_rich(&chain.adjudicator, "0x1"); /* it holds money already, as in use: and of the token, below */
  free(data);
}

/* One byte in front says that it is a deployment: the same that encode_deploy puts there. */
static void deploy_token(const char *path) {
  uint8_t *data;
  size_t len;
  FILE *file = fopen(path, "re");
  char *hex = NULL;
  size_t cap = 0;
  if (file == NULL || getline(&hex, &cap, file) < 4) die(path, "cannot be read");
  fclose(file);
  hex[strcspn(hex, "\n")] = '\0';
  if (cd_evm_encode_deploy(&relay.w, &data, &len) != CH_OK) die("memory", "out");
  size_t n = strlen(hex) / 2;
  uint8_t *bytes = malloc(n + 1);
  if (bytes == NULL || !ch_unhex(bytes + 1, n, hex)) die(path, "is no hex");
  bytes[0] = data[0];
  cd_evm_created(&token, &relay.w.account, relay.nonce);
  send_calls(NULL, &relay, &(cd_call){{0}, bytes, n + 1}, 1, 1);
  free(bytes);
  free(data);
  free(hex);
}

int main(int argc, char **argv) {
  char why[CD_RPC_TEXT];
  const char *urls[] = {argc > 1 ? argv[1] : ""};
  size_t channels = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 32;
  uint64_t id;
  if (sodium_init() < 0 || cd_rpc_new(&rpc, &(cd_rpc_config){.urls = urls, .n_urls = 1}, why) != CH_OK)
    die("the node", why);
  json_t *chain_id = ask("eth_chainId", json_array());
  if (!cd_value_u64(chain_id, &id)) die("the chain", "has no id");
  json_decref(chain_id);
  chain.chain_id = id;
  tail = "";
  init_person(&relay);
  deploy_adjudicator();
  deploy_token(getenv("TOKEN_CODE") == NULL ? "" : getenv("TOKEN_CODE"));
  mint(&chain.adjudicator, ch_amount_of(1));
  for (int round = 0; round < 2; round++) {
    tail = round == 0 ? "" : ".erc20";
    asset = round == 0 ? (ch_addr){{0}} : token;
    for (size_t i = 0; i < channels; i++) {
      money();
      claim();
      if (round == 0) reveals();
    }
    close_batch();
    disputes(channels);
  }
  for (size_t i = 0; i < n_worst; i++)
    printf("bench: gas.%s = %llu gas\n", worst[i].name, (unsigned long long)worst[i].gas);
  cd_rpc_free(rpc);
  return 0;
}
