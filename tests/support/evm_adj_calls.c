/* evm_adj_calls.c - calldata of the Adjudicator as libchannel's calls: what cd_abi_call (channeld/l1/evm/abi.h) does,
 * the other way round. */
#include <stdlib.h>

#include "channel/crypto.h"
#include "evm_adj.h"
#include "l1/evm/abi.h"

#define CHANNEL "uint256[6]"
#define SIG "(bytes32,bytes32)"
#define ITEMS_MAX 4096

/* Arguments, read from the first to the last. */
typedef struct reader {
  const uint8_t *at, *args; /* args: where offsets count from */
  size_t left, all;
  bool bad;
  const ch_chain *chain;
  const evm_msg *m;
  evm_adj_call *out;
} reader;

static ch_hash take(reader *r) {
  ch_hash word = {{0}};
  if (r->left < sizeof word) {
    r->bad = true;
    return word;
  }
  memcpy(word.b, r->at, sizeof word);
  r->at += sizeof word;
  r->left -= sizeof word;
  return word;
}

static uint64_t number_at(const ch_hash *word, size_t from, size_t n) {
  uint64_t v = 0;
  for (size_t i = from; i < from + n; i++)
    v = v << 8 | word->b[i];
  return v;
}

/* A number that stands alone in its word. */
static uint64_t take_number(reader *r) {
  ch_hash word = take(r);
  r->bad = r->bad || evm_number(&word) > UINT64_MAX;
  return number_at(&word, 24, 8);
}

static ch_amount amount_at(const ch_hash *word, size_t from, size_t n) {
  ch_amount a = {0};
  for (size_t i = from; i < from + n; i++)
    a.v = a.v << 8 | word->b[i];
  return a;
}

static ch_amount take_amount(reader *r) {
  ch_hash word = take(r);
  return (ch_amount){evm_number(&word)};
}

static ch_addr addr_at(const ch_hash *word, size_t from) {
  ch_addr a;
  memcpy(a.b, word->b + from, sizeof a.b);
  return a;
}

static ch_addr take_addr(reader *r) {
  ch_hash word = take(r);
  r->bad = r->bad || number_at(&word, 0, 8) != 0 || number_at(&word, 8, 4) != 0;
  return addr_at(&word, 12);
}

/* An int256 that a channel can have. */
static ch_net take_net(reader *r) {
  ch_hash word = take(r);
  ch_net net;
  r->bad = r->bad || ch_net_from_word(&net, word.b) != CH_OK;
  return r->bad ? (ch_net){0} : net;
}

static ch_sig take_sig(reader *r) {
  ch_sig sig;
  ch_hash a = take(r), b = take(r);
  memcpy(sig.b, a.b, 32);
  memcpy(sig.b + 32, b.b, 32);
  return sig;
}

static void take_sigs(reader *r, ch_sig sig[2]) {
  sig[0] = take_sig(r);
  sig[1] = take_sig(r);
}

static void take_sig_for_both(reader *r, ch_sig sig[2]) {
  sig[0] = sig[1] = take_sig(r);
}

/* epoch << 1 | side, in the low `n` bytes. */
static void where_of(reader *r, const ch_hash *word, size_t n, uint16_t *epoch, uint8_t *side) {
  ch_u128 where = amount_at(word, 32 - n, n).v;
  r->bad = r->bad || where >> 17 != 0;
  *epoch = (uint16_t)(where >> 1);
  *side = (uint8_t)(where & 1);
}

/* --- The channel -------------------------------------------------------------------------------------------------- */

/* The small arguments beside the parameters. */
typedef struct extra {
  uint16_t epoch;
  uint64_t valid_until, version;
  uint8_t side;
} extra;

static void identify(const reader *r, ch_tx *tx) {
  ch_hash params_hash;
  ch_params_hash(&params_hash, r->chain, &tx->params);
  ch_channel_id(&tx->id, &params_hash, &tx->params.asset);
}

static void read_terms(ch_tx *tx, extra *x, const ch_hash *w0, const ch_hash *w1) {
  tx->params.signer[0] = addr_at(w0, 0);
  tx->params.bond = amount_at(w0, 20, 12);
  tx->params.signer[1] = addr_at(w1, 0);
  tx->params.challenge_period = (uint32_t)number_at(w1, 20, 4);
  x->epoch = (uint16_t)number_at(w1, 24, 2);
  x->valid_until = number_at(w1, 26, 5);
  x->side = w1->b[31];
}

static extra take_channel(reader *r, ch_tx *tx, bool salted) {
  extra x;
  ch_hash w0 = take(r), w1 = take(r);
  read_terms(tx, &x, &w0, &w1);
  tx->params.payout[0] = take_addr(r);
  tx->params.payout[1] = take_addr(r);
  ch_hash w4 = take(r);
  tx->params.asset = addr_at(&w4, 0);
  x.version = number_at(&w4, 24, 8);
  tx->params.tag = take(r);
  if (salted) {
    tx->u.challenge.salt = tx->params.tag;
    ch_keccak256(&tx->params.tag, tx->u.challenge.salt.b, sizeof tx->u.challenge.salt.b);
  }
  identify(r, tx);
  return x;
}

/* --- Money in ----------------------------------------------------------------------------------------------------- */

static void set_deposit(reader *r, ch_tx *tx, ch_hash params_hash, ch_addr asset, ch_amount amount) {
  (void)r;
  tx->kind = CH_TX_DEPOSIT;
  tx->u.deposit.params_hash = params_hash;
  tx->u.deposit.asset = asset;
  tx->u.deposit.amount = amount;
  ch_channel_id(&tx->id, &params_hash, &asset);
}

static void read_deposit_native(reader *r, ch_tx *tx) {
  static const ch_addr native;
  set_deposit(r, tx, take(r), native, r->m->value);
  ch_hash where = take(r);
  where_of(r, &where, 16, &tx->u.deposit.epoch, &tx->u.deposit.side);
  r->out->payable = true;
}

static void read_deposit(reader *r, ch_tx *tx) {
  ch_hash params_hash = take(r);
  ch_addr asset = take_addr(r);
  ch_hash where = take(r);
  set_deposit(r, tx, params_hash, asset, take_amount(r));
  where_of(r, &where, 16, &tx->u.deposit.epoch, &tx->u.deposit.side);
}

static void read_deposit_permit(reader *r, ch_tx *tx) {
  read_deposit(r, tx);
  r->out->consent = EVM_BY_PERMIT;
}

static void read_deposit_authorized(reader *r, ch_tx *tx) {
  ch_hash params_hash = take(r);
  ch_addr asset = take_addr(r);
  ch_hash where = take(r);
  take(r); /* from */
  set_deposit(r, tx, params_hash, asset, take_amount(r));
  where_of(r, &where, 16, &tx->u.deposit.epoch, &tx->u.deposit.side);
  r->out->consent = EVM_BY_AUTHORIZATION;
}

static void set_fund(ch_tx *tx, ch_hash params_hash, ch_addr asset, const ch_hash *amounts) {
  tx->kind = CH_TX_FUND;
  tx->u.fund.params_hash = params_hash;
  tx->u.fund.asset = asset;
  tx->u.fund.epoch = (uint16_t)number_at(amounts, 2, 2);
  tx->u.fund.amount[0] = amount_at(amounts, 18, 14);
  tx->u.fund.amount[1] = amount_at(amounts, 4, 14);
  ch_channel_id(&tx->id, &params_hash, &asset);
}

static void read_fund_native(reader *r, ch_tx *tx) {
  static const ch_addr native;
  ch_hash params_hash = take(r), amounts = take(r);
  set_fund(tx, params_hash, native, &amounts);
  r->out->payable = true;
}

static void read_fund(reader *r, ch_tx *tx) {
  ch_hash params_hash = take(r);
  ch_addr asset = take_addr(r);
  ch_hash amounts = take(r);
  set_fund(tx, params_hash, asset, &amounts);
}

/* --- Money out ---------------------------------------------------------------------------------------------------- */

static void read_close_of(reader *r, ch_tx *tx) {
  extra x = take_channel(r, tx, false);
  tx->kind = CH_TX_CLOSE;
  tx->u.close.close = (ch_close){.epoch = x.epoch, .net = take_net(r), .valid_until = x.valid_until};
}

static void read_close(reader *r, ch_tx *tx) {
  read_close_of(r, tx);
  take_sigs(r, tx->u.close.sig);
}

static void read_close_by_payee(reader *r, ch_tx *tx) {
  read_close_of(r, tx);
  take_sig_for_both(r, tx->u.close.sig);
}

static void read_withdraw_of(reader *r, ch_tx *tx) {
  extra x = take_channel(r, tx, false);
  ch_hash what = take(r);
  ch_u128 seq = amount_at(&what, 2, 16).v;
  r->bad = r->bad || what.b[0] != 0 || what.b[1] != 0;
  tx->kind = CH_TX_WITHDRAW;
  tx->u.withdraw.withdraw = (ch_withdraw){.epoch = x.epoch,
                                          .seq = seq > UINT16_MAX ? UINT16_MAX : (uint16_t)seq,
                                          .side = x.side,
                                          .amount = amount_at(&what, 18, 14),
                                          .valid_until = x.valid_until};
}

static void read_withdraw(reader *r, ch_tx *tx) {
  read_withdraw_of(r, tx);
  take_sigs(r, tx->u.withdraw.sig);
}

static void read_withdraw_by_payee(reader *r, ch_tx *tx) {
  read_withdraw_of(r, tx);
  take_sig_for_both(r, tx->u.withdraw.sig);
}

static void read_move(reader *r, ch_tx *tx) {
  read_withdraw_of(r, tx);
  ch_withdraw w = tx->u.withdraw.withdraw;
  memset(&tx->u, 0, sizeof tx->u);
  tx->kind = CH_TX_MOVE;
  tx->u.move.to_params_hash = take(r);
  tx->u.move.move =
      (ch_move){.epoch = w.epoch, .seq = w.seq, .side = w.side, .amount = w.amount, .valid_until = w.valid_until};
  ch_hash where = take(r);
  where_of(r, &where, 16, &tx->u.move.move.to_epoch, &tx->u.move.move.to_side);
  ch_channel_id(&tx->u.move.move.to_id, &tx->u.move.to_params_hash, &tx->params.asset);
  take_sigs(r, tx->u.move.sig);
}

/* --- Disputes ----------------------------------------------------------------------------------------------------- */

static void read_challenge(reader *r, ch_tx *tx) {
  extra x = take_channel(r, tx, true);
  tx->kind = CH_TX_CHALLENGE;
  tx->u.challenge.challenge = (ch_challenge){
      .epoch = x.epoch, .side = x.side, .version = x.version, .outcome_hash = take(r), .valid_until = x.valid_until};
  take_sigs(r, tx->u.challenge.sig);
  r->out->payable = true;
}

static void read_challenge_for(reader *r, ch_tx *tx) {
  read_challenge(r, tx);
  tx->u.challenge.challenge_sig = take_sig(r);
}

static void read_refute(reader *r, ch_tx *tx) {
  extra x = take_channel(r, tx, false);
  tx->kind = CH_TX_REFUTE;
  tx->u.refute.epoch = x.epoch;
  tx->u.refute.version = x.version;
  tx->u.refute.outcome_hash = take(r);
  take_sigs(r, tx->u.refute.sig);
}

static void read_refute_for(reader *r, ch_tx *tx) {
  extra x = take_channel(r, tx, false);
  tx->kind = CH_TX_REFUTE_FOR;
  tx->u.refute_for.epoch = x.epoch;
  tx->u.refute_for.version = x.version;
  tx->u.refute_for.outcome_hash = take(r);
  take_sigs(r, tx->u.refute_for.sig);
  tx->u.refute_for.beneficiary = take_addr(r);
  tx->u.refute_for.bounty_sig = take_sig(r);
}

/* The bytes at an offset from `base`. */
static void take_locks(reader *r, const uint8_t *base, ch_tx *tx) {
  uint64_t offset = take_number(r);
  size_t room = (size_t)(r->args + r->all - base);
  if (r->bad || offset > room) {
    r->bad = true;
    return;
  }
  reader there = *r;
  there.at = base + offset;
  there.left = room - (size_t)offset;
  uint64_t len = take_number(&there);
  r->bad = there.bad || len > there.left;
  tx->u.settle.locks = there.at;
  tx->u.settle.locks_len = (size_t)len;
}

static void read_settle(reader *r, ch_tx *tx) {
  const uint8_t *base = r->at;
  extra x = take_channel(r, tx, false);
  tx->kind = CH_TX_SETTLE;
  tx->u.settle.epoch = x.epoch;
  tx->u.settle.outcome = (ch_outcome){.net = take_net(r)};
  tx->u.settle.outcome.blind = take(r);
  take_locks(r, base, tx);
}

/* --- Of no channel ------------------------------------------------------------------------------------------------ */

static void read_reveal(reader *r, ch_tx *tx) {
  tx->kind = CH_TX_REVEAL;
  tx->u.reveal.preimage = take(r);
}

static void read_claim(reader *r, ch_tx *tx) {
  tx->kind = CH_TX_CLAIM;
  tx->u.claim.payee = take_addr(r);
  tx->u.claim.asset = take_addr(r);
  tx->u.claim.to = take_addr(r);
}

/* --- Batches ------------------------------------------------------------------------------------------------------ */

static void read_close_item(reader *r, ch_tx *tx) {
  extra x;
  ch_hash w0 = take(r), w1 = take(r), other = take(r);
  read_terms(tx, &x, &w0, &w1);
  size_t side = x.side & 1;
  r->out->side[tx - r->out->tx] = (uint8_t)side;
  tx->params.payout[side] = r->m->from;
  tx->params.payout[side ^ 1] = addr_at(&other, 0);
  tx->params.asset = r->out->asset;
  tx->params.tag = take(r);
  identify(r, tx);
  ch_u128 net = amount_at(&other, 20, 12).v;
  if (net >> 95) net |= ~(ch_u128)0 << 96;
  tx->kind = CH_TX_CLOSE;
  tx->u.close.close = (ch_close){.epoch = x.epoch, .net = {(ch_i128)net}, .valid_until = x.valid_until};
  tx->u.close.sig[side ^ 1] = take_sig(r);
}

static void read_deposit_item(reader *r, ch_tx *tx) {
  ch_hash params_hash = take(r), what = take(r), where = {{0}};
  memcpy(where.b + 14, what.b, 18); /* what lies above the amount */
  set_deposit(r, tx, params_hash, r->out->asset, amount_at(&what, 18, 14));
  where_of(r, &where, 16, &tx->u.deposit.epoch, &tx->u.deposit.side);
}

/* Items of a fixed size, or, for settlements, behind offsets. */
static void read_items(reader *r, bool dynamic, void (*item)(reader *r, ch_tx *tx)) {
  uint64_t n = take_number(r);
  r->bad = r->bad || n > ITEMS_MAX;
  if (r->bad) return;
  const uint8_t *base = r->at;
  size_t room = r->left;
  free(r->out->tx);
  r->out->n = (size_t)n;
  r->out->tx = calloc((size_t)n + 1, sizeof *r->out->tx);
  r->out->side = calloc((size_t)n + 1, 1);
  if (r->out->tx == NULL || r->out->side == NULL) abort();
  for (uint64_t i = 0; i < n && !r->bad; i++) {
    reader one = *r;
    uint64_t offset = dynamic ? take_number(r) : 0;
    r->bad = r->bad || offset > room;
    if (r->bad) return;
    if (dynamic) {
      one.at = base + offset;
      one.left = room - (size_t)offset;
    }
    item(dynamic ? &one : r, &r->out->tx[i]);
    r->bad = r->bad || one.bad;
  }
}

static void read_close_batch(reader *r, ch_tx *tx) {
  (void)tx;
  r->out->batch = EVM_SKIPS;
  r->out->asset = take_addr(r);
  take(r); /* the offset of the items: they follow */
  read_items(r, false, read_close_item);
}

static void read_settle_batch(reader *r, ch_tx *tx) {
  (void)tx;
  r->out->batch = EVM_SKIPS;
  take(r);
  read_items(r, true, read_settle);
}

static void read_reveal_batch(reader *r, ch_tx *tx) {
  (void)tx;
  r->out->batch = EVM_SKIPS;
  take(r);
  read_items(r, false, read_reveal);
}

static void read_deposit_batch(reader *r, ch_tx *tx) {
  (void)tx;
  r->out->batch = EVM_ALL;
  r->out->payable = true;
  r->out->asset = take_addr(r);
  take(r);
  read_items(r, false, read_deposit_item);
}

/* --- The entrance ------------------------------------------------------------------------------------------------- */

static const struct {
  const char *signature;
  void (*read)(reader *r, ch_tx *tx);
} functions[] = {
    {"depositNative(bytes32,bytes32)", read_deposit_native},
    {"deposit(bytes32,address,bytes32,uint256)", read_deposit},
    {"depositPermit(bytes32,address,bytes32,uint256,uint256," SIG ")", read_deposit_permit},
    {"depositAuthorized(bytes32,address,bytes32,address,uint256,uint256,uint256,uint256," SIG ")",
     read_deposit_authorized},
    {"depositBatch(address,bytes32[2][])", read_deposit_batch},
    {"fundNative((bytes32,uint256))", read_fund_native},
    {"fund(bytes32,address,bytes32)", read_fund},
    {"close(" CHANNEL ",int256," SIG "[2])", read_close},
    {"closeByPayee(" CHANNEL ",int256," SIG ")", read_close_by_payee},
    {"closeBatch(address,(uint256,uint256,bytes32,bytes32," SIG ")[])", read_close_batch},
    {"withdraw(" CHANNEL ",bytes32," SIG "[2])", read_withdraw},
    {"withdrawByPayee(" CHANNEL ",bytes32," SIG ")", read_withdraw_by_payee},
    {"move(" CHANNEL ",bytes32,bytes32,bytes32," SIG "[2])", read_move},
    {"challenge(" CHANNEL ",bytes32," SIG "[2])", read_challenge},
    {"challengeFor(" CHANNEL ",bytes32," SIG "[2]," SIG ")", read_challenge_for},
    {"refute(" CHANNEL ",bytes32," SIG "[2])", read_refute},
    {"refuteFor(" CHANNEL ",bytes32," SIG "[2],address," SIG ")", read_refute_for},
    {"settle(" CHANNEL ",int256,uint256,bytes)", read_settle},
    {"settleBatch((" CHANNEL ",int256,uint256,bytes)[])", read_settle_batch},
    {"reveal(bytes32)", read_reveal},
    {"revealBatch(bytes32[])", read_reveal_batch},
    {"claim(address,address,address)", read_claim},
};

bool evm_adj_read(evm_adj_call *out, const ch_chain *chain, const evm_msg *m) {
  reader r = {.at = m->data + CD_ABI_SELECTOR, .args = m->data + CD_ABI_SELECTOR, .chain = chain, .m = m, .out = out};
  memset(out, 0, sizeof *out);
  if (m->len < CD_ABI_SELECTOR) return false;
  r.all = r.left = m->len - CD_ABI_SELECTOR;
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    if (!evm_is_call(m, functions[i].signature)) continue;
    out->n = 1;
    out->tx = calloc(1, sizeof *out->tx);
    if (out->tx == NULL) abort();
    functions[i].read(&r, out->tx);
    return !r.bad;
  }
  return false;
}

void evm_adj_call_clear(evm_adj_call *call) {
  free(call->tx);
  free(call->side);
}
