/* evm_adjudicator.c - the Adjudicator's calls: decided by libchannel's model, on the contract's storage, with its logs,
 * payments and reverts in its order. */
#include <stdlib.h>

#include "channel/crypto.h"
#include "evm_adj.h"
#include "l1/evm/abi.h"
#include "l1/evm/erc20.h"

/* What proto/evm/src/Money.sol gives a payout's call, and keeps for it. */
#define COIN_GAS 100000u
#define TOKEN_GAS 300000u
#define CALL_COST 40000u
/* About what a call costs beside storage, logs and payments. */
#define GAS_CODE 4000u
#define GAS_NEW_ACCOUNT 25000u
#define GAS_SIGNATURE 4000u

typedef struct exec {
  evm_run *r;
  const evm_msg *m;
  evm_out *out;
  ch_chain chain; /* with this contract's address */
  evm_adj_call what;
  ch_amount own; /* of the sender of a batch: paid at its end */
} exec;

static const ch_addr NATIVE;

static const ch_addr *self(const exec *e) {
  return &e->chain.adjudicator;
}

static bool fail(const exec *e, ch_adj_revert reason) {
  char error[EVM_ADJ_ERROR];
  evm_adj_error(error, reason);
  return evm_revert(e->out, error);
}

/* --- Storage ------------------------------------------------------------------------------------------------------ */

static ch_adj_slots load(const exec *e, const ch_hash *id) {
  ch_hash words[EVM_ADJ_WORDS] = {{{0}}};
  ch_adj_slots slots;
  for (unsigned k = 0; k < EVM_ADJ_WORDS && (k == 0 || words[0].b[0] & 0x80); k++) {
    ch_hash slot = evm_adj_slot(id, k);
    words[k] = evm_load(e->r, self(e), &slot);
  }
  evm_adj_unpack(&slots, words);
  return slots;
}

static void store(const exec *e, const ch_hash *id, const ch_adj_slots *slots) {
  ch_hash words[EVM_ADJ_WORDS];
  evm_adj_pack(words, slots);
  for (unsigned k = 0; k < EVM_ADJ_WORDS; k++) {
    ch_hash slot = evm_adj_slot(id, k);
    evm_store(e->r, self(e), &slot, &words[k]);
  }
}

static ch_amount credit_of(const exec *e, const ch_addr *payee, const ch_addr *asset) {
  ch_hash slot = evm_adj_credit_slot(payee, asset), word = evm_load(e->r, self(e), &slot);
  return (ch_amount){evm_number(&word)};
}

static void set_credit(const exec *e, const ch_addr *payee, const ch_addr *asset, ch_u128 amount) {
  ch_hash slot = evm_adj_credit_slot(payee, asset), word = evm_word(amount);
  evm_store(e->r, self(e), &slot, &word);
}

static uint64_t revealed(void *ctx, const ch_hash *hash) {
  const exec *e = ctx;
  ch_hash slot = evm_adj_reveal_slot(hash), word = evm_load(e->r, self(e), &slot);
  return (uint64_t)evm_number(&word);
}

static void need_spare(const exec *e, uint64_t cap) {
  uint64_t spare = cap + cap / 63 + CALL_COST;
  if (spare > e->r->spare) e->r->spare = spare;
}

static ch_amount owed(void *ctx, const ch_lock *lock) {
  const exec *e = ctx;
  ch_amount amount = {0};
  need_spare(e, lock->gas);
  if (evm_code_at(e->r, &lock->condition) == EVM_CONDITION && lock->payload_len == 32 &&
      ch_amount_from_word(&amount, lock->payload) != CH_OK)
    amount = lock->amount; /* more than any */
  return amount;
}

/* --- Money -------------------------------------------------------------------------------------------------------- */

static bool is_token(const exec *e, const ch_addr *asset) {
  evm_code code = evm_code_at(e->r, asset);
  return code == EVM_TOKEN_STRICT || code == EVM_TOKEN_PERMIT || code == EVM_TOKEN_TEST;
}

/* True if the token's call succeeded and answered true, or nothing. */
static bool call_token(const exec *e, const ch_addr *asset, cd_bytes *call) {
  evm_out out;
  if (call->failed) abort();
  const evm_msg m = {.from = *self(e), .to = *asset, .data = call->b, .len = call->n};
  evm_inner_call(e->r, false);
  bool ok = evm_call(e->r, &m, &out) && (out.n == 0 || out.b[31] == 1);
  free(call->b);
  return ok && is_token(e, asset);
}

static bool send(const exec *e, const ch_addr *asset, const ch_addr *to, ch_amount amount) {
  cd_bytes call = {0};
  evm_out out;
  if (ch_addr_is_zero(asset)) return evm_call(e->r, &(evm_msg){.from = *self(e), .to = *to, .value = amount}, &out);
  cd_erc20_transfer(&call, to, amount);
  return call_token(e, asset, &call);
}

static void pay(const exec *e, const ch_addr *asset, const ch_addr *to, ch_amount amount) {
  if (amount.v == 0) return;
  need_spare(e, ch_addr_is_zero(asset) ? COIN_GAS : TOKEN_GAS);
  if (send(e, asset, to, amount)) return;
  const ch_adj_event credited = {.kind = CH_ADJ_CREDITED, .amount = amount, .asset = *asset, .payee = {*to}};
  set_credit(e, to, asset, credit_of(e, to, asset).v + amount.v);
  evm_adj_emit(e->r, self(e), CH_TX_CLOSE, &credited);
}

static bool pull(const exec *e, const ch_addr *asset, ch_amount amount) {
  cd_bytes call = {0};
  if (!is_token(e, asset)) return evm_revert(e->out, "BadToken()");
  cd_abi_put_selector(&call, "transferFrom(address,address,uint256)");
  cd_abi_put_addr(&call, &e->m->from);
  cd_abi_put_addr(&call, self(e));
  cd_abi_put_amount(&call, amount);
  return call_token(e, asset, &call) || evm_revert(e->out, "TransferFailed()");
}

/* The signature in two words from `i` on, as a token wants it. */
static void put_expanded(const exec *e, cd_bytes *call, size_t i) {
  ch_hash r = {{0}}, s = {{0}};
  if (!evm_arg(e->m, i, &r) || !evm_arg(e->m, i + 1, &s)) abort(); /* they were read before */
  cd_abi_put_u64(call, 27 + (s.b[0] >> 7));
  s.b[0] &= 0x7f;
  cd_abi_put_hash(call, &r);
  cd_abi_put_hash(call, &s);
}

static void put_args(const exec *e, cd_bytes *call, size_t i, size_t n) {
  for (; n > 0; i++, n--) {
    ch_hash word = {{0}};
    if (!evm_arg(e->m, i, &word)) abort();
    cd_abi_put_hash(call, &word);
  }
}

/* depositPermit(paramsHash, asset, where, amount, deadline, sig): whether the permit is taken does not matter. */
static bool use_permit(const exec *e, const ch_addr *asset) {
  cd_bytes call = {0};
  if (evm_code_at(e->r, asset) == EVM_NO_CODE) return evm_revert(e->out, "BadToken()");
  cd_abi_put_selector(&call, "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)");
  cd_abi_put_addr(&call, &e->m->from);
  cd_abi_put_addr(&call, self(e));
  put_args(e, &call, 3, 2);
  put_expanded(e, &call, 5);
  (void)call_token(e, asset, &call);
  return true;
}

/* depositAuthorized(paramsHash, asset, where, from, amount, validAfter, validBefore, n, sig) */
static bool use_authorization(const exec *e, const ch_hash *id, const ch_addr *asset) {
  cd_bytes call = {0}, words = {0};
  ch_hash nonce;
  if (!is_token(e, asset)) return evm_revert(e->out, "BadToken()");
  cd_abi_put_hash(&words, id);
  put_args(e, &words, 2, 1);
  put_args(e, &words, 7, 1);
  if (words.failed) abort();
  ch_keccak256(&nonce, words.b, words.n);
  free(words.b);
  cd_abi_put_selector(
      &call, "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)");
  put_args(e, &call, 3, 1);
  cd_abi_put_addr(&call, self(e));
  put_args(e, &call, 4, 3);
  cd_abi_put_hash(&call, &nonce);
  put_expanded(e, &call, 8);
  return call_token(e, asset, &call) || evm_revert(e->out, "TransferFailed()");
}

/* --- Results ------------------------------------------------------------------------------------------------------ */

/* Whether it is one of a batch of closes. */
static bool is_item(const exec *e, const ch_tx *tx) {
  return e->what.batch == EVM_SKIPS && tx->kind == CH_TX_CLOSE;
}

/* The bond first, unless it goes with a share; in a batch the sender's own shares at its end. */
static void pay_ending(exec *e, const ch_tx *tx, const ch_adj_result *result, bool disputed) {
  const ch_params *p = &tx->params;
  ch_amount share[2] = {result->event.paid[0], result->event.paid[1]};
  if (disputed && p->bond.v > 0) {
    const ch_adj_transfer *bond = &result->transfers[result->n_transfers - 1];
    bool native = ch_addr_is_zero(&p->asset);
    if (native && ch_addr_eq(&bond->to, &p->payout[0]))
      share[0].v += bond->amount.v;
    else if (native && ch_addr_eq(&bond->to, &p->payout[1]))
      share[1].v += bond->amount.v;
    else
      pay(e, &NATIVE, &bond->to, bond->amount);
  }
  for (size_t i = 0; i < 2; i++) {
    if (is_item(e, tx) && i == e->what.side[tx - e->what.tx])
      e->own.v += share[i].v;
    else
      pay(e, &p->asset, &p->payout[i], share[i]);
  }
}

static void put_result(exec *e, const ch_tx *tx, const ch_adj_result *result) {
  ch_hash slot = evm_adj_reveal_slot(&result->event.id), now = evm_word(e->r->time);
  switch (tx->kind) {
  case CH_TX_REVEAL: evm_store(e->r, self(e), &slot, &now); break;
  case CH_TX_CLAIM: set_credit(e, &tx->u.claim.payee, &tx->u.claim.asset, 0); break;
  case CH_TX_MOVE:
    store(e, &tx->id, &result->slots);
    store(e, &tx->u.move.move.to_id, &result->target);
    break;
  case CH_TX_DEPOSIT:
  case CH_TX_FUND:
  case CH_TX_CLOSE:
  case CH_TX_CHALLENGE:
  case CH_TX_REFUTE:
  case CH_TX_REFUTE_FOR:
  case CH_TX_SETTLE:
  case CH_TX_WITHDRAW:
  case CH_TX_CLOSE_BATCH:
  case CH_TX_SETTLE_BATCH:
  case CH_TX_REVEAL_BATCH: store(e, &tx->id, &result->slots); break;
  }
  evm_adj_emit(e->r, self(e), tx->kind, &result->event);
  if (tx->kind == CH_TX_MOVE) evm_adj_emit(e->r, self(e), tx->kind, &result->target_event);
}

static bool pay_result(exec *e, const ch_tx *tx, const ch_adj_result *result, bool disputed) {
  if (tx->kind == CH_TX_CLOSE || tx->kind == CH_TX_SETTLE) {
    pay_ending(e, tx, result, disputed);
  } else if (tx->kind == CH_TX_CLAIM) {
    const ch_adj_transfer *t = &result->transfers[0];
    return send(e, &t->asset, &t->to, t->amount) || evm_revert(e->out, "TransferFailed()");
  } else {
    for (size_t i = 0; i < result->n_transfers; i++)
      pay(e, &result->transfers[i].asset, &result->transfers[i].to, result->transfers[i].amount);
  }
  return true;
}

/* --- Calls -------------------------------------------------------------------------------------------------------- */

/* A batch's close is not consented to by sending it where the sender is the other payee, too. */
static bool is_unsigned_item(const exec *e, const ch_tx *tx) {
  ch_hash domain, digest;
  ch_close close = tx->u.close.close;
  if (!is_item(e, tx)) return false;
  size_t other = e->what.side[tx - e->what.tx] ^ 1u;
  close.id = tx->id;
  ch_domain(&domain, &e->chain);
  ch_close_digest(&digest, &domain, &close);
  return ch_verify(&digest, &tx->u.close.sig[other], &tx->params.signer[other]) != CH_OK;
}

/* Beside storage, logs and payments. */
static uint64_t gas_of(const exec *e, const ch_tx *tx) {
  switch (tx->kind) {
  case CH_TX_DEPOSIT:
  case CH_TX_FUND:
  case CH_TX_REVEAL:
  case CH_TX_CLAIM: return GAS_CODE / 4;
  case CH_TX_SETTLE: return GAS_CODE;
  case CH_TX_CLOSE:
  case CH_TX_WITHDRAW: return GAS_CODE + (e->what.batch == EVM_SINGLE ? 2 : 1) * GAS_SIGNATURE;
  case CH_TX_CHALLENGE: return GAS_CODE + (tx->u.challenge.challenge.version == 0 ? 0 : 2 * GAS_SIGNATURE);
  case CH_TX_REFUTE:
  case CH_TX_MOVE: return GAS_CODE + 2 * GAS_SIGNATURE;
  case CH_TX_REFUTE_FOR: return GAS_CODE + 3 * GAS_SIGNATURE;
  case CH_TX_CLOSE_BATCH:
  case CH_TX_SETTLE_BATCH:
  case CH_TX_REVEAL_BATCH: break;
  }
  abort();
}

static ch_adj_revert decide(exec *e, const ch_tx *tx, ch_amount value, const ch_adj_slots *old, ch_adj_result *out) {
  ch_adj_call how = ch_adj_call_of(&e->chain, &e->m->from, value, e->r->time);
  ch_adj_slots target;
  how.ctx = e;
  how.revealed = revealed;
  how.owed = owed;
  e->r->gas += gas_of(e, tx);
  if (tx->kind == CH_TX_MOVE) {
    target = load(e, &tx->u.move.move.to_id);
    how.target = &target;
  }
  if (tx->kind == CH_TX_CLAIM) how.credit = credit_of(e, &tx->u.claim.payee, &tx->u.claim.asset);
  ch_adj_revert reason = ch_adj_apply(out, old, &how, tx);
  return reason == CH_ADJ_NONE && is_unsigned_item(e, tx) ? CH_ADJ_BAD_SIGNATURE : reason;
}

/* Tokens that come in: before a deposit counts, and after one for both sides does. */
static bool take_in(const exec *e, const ch_tx *tx, const ch_adj_result *result) {
  if (result->take.v == 0 || ch_addr_is_zero(&result->take_asset) || e->what.batch == EVM_ALL) return true;
  if (e->what.consent == EVM_BY_PERMIT && !use_permit(e, &result->take_asset)) return false;
  if (e->what.consent == EVM_BY_AUTHORIZATION) return use_authorization(e, &tx->id, &result->take_asset);
  return pull(e, &result->take_asset, result->take);
}

static bool run_one(exec *e, const ch_tx *tx, ch_amount value, ch_adj_revert *reason) {
  ch_adj_result result;
  ch_adj_slots old = load(e, &tx->id);
  *reason = decide(e, tx, value, &old, &result);
  if (*reason != CH_ADJ_NONE) return fail(e, *reason);
  if (tx->kind != CH_TX_FUND && !take_in(e, tx, &result)) return false;
  put_result(e, tx, &result);
  if (tx->kind == CH_TX_FUND && !take_in(e, tx, &result)) return false;
  return pay_result(e, tx, &result, old.disputed);
}

static bool run_skipping(exec *e) {
  for (size_t i = 0; i < e->what.n; i++) {
    const ch_tx *tx = &e->what.tx[i];
    ch_adj_revert reason;
    if (run_one(e, tx, ch_amount_of(0), &reason)) continue;
    ch_adj_event skipped = {.kind = CH_ADJ_SKIPPED, .id = tx->id, .version = i, .reason = (uint8_t)reason};
    if (tx->kind == CH_TX_REVEAL) ch_preimage_hash(&skipped.id, &tx->u.reveal.preimage);
    evm_adj_emit(e->r, self(e), tx->kind, &skipped);
  }
  e->out->n = 0;
  pay(e, &e->what.asset, &e->m->from, e->own);
  return true;
}

static bool run_all(exec *e) {
  ch_adj_revert reason;
  ch_amount sum = {0};
  bool native = ch_addr_is_zero(&e->what.asset);
  for (size_t i = 0; i < e->what.n; i++) {
    ch_amount amount = e->what.tx[i].u.deposit.amount;
    sum.v += amount.v;
    if (!run_one(e, &e->what.tx[i], native ? amount : ch_amount_of(0), &reason)) return false;
  }
  if (e->m->value.v != (native ? sum.v : 0)) return fail(e, CH_ADJ_WRONG_VALUE);
  return native || pull(e, &e->what.asset, sum);
}

static bool run(exec *e) {
  ch_adj_revert reason;
  switch (e->what.batch) {
  case EVM_SINGLE: return run_one(e, e->what.tx, e->m->value, &reason);
  case EVM_SKIPS: return run_skipping(e);
  case EVM_ALL: return run_all(e);
  }
  abort();
}

/* --- Questions ---------------------------------------------------------------------------------------------------- */

static bool answer(exec *e) {
  ch_addr payee, asset;
  ch_hash word;
  if (evm_is_call(e->m, "domainSeparator()")) {
    ch_domain(&word, &e->chain);
    return evm_return(e->out, &word);
  }
  if (evm_is_call(e->m, "credit(address,address)") && evm_arg_addr(e->m, 0, &payee) && evm_arg_addr(e->m, 1, &asset)) {
    word = evm_word(credit_of(e, &payee, &asset).v);
    return evm_return(e->out, &word);
  }
  if (evm_is_call(e->m, "revealedAt(bytes32)") && evm_arg(e->m, 0, &word)) {
    word = evm_word(revealed(e, &word));
    return evm_return(e->out, &word);
  }
  return false;
}

bool evm_adjudicator(evm_run *r, const evm_msg *m, evm_out *out) {
  exec e = {.r = r, .m = m, .out = out, .chain = {.chain_id = r->chain_id, .adjudicator = m->to}};
  bool is_call = evm_adj_read(&e.what, &e.chain, m);
  bool ok = (m->value.v == 0 || e.what.payable) && (is_call ? run(&e) : answer(&e));
  evm_adj_call_clear(&e.what);
  return ok;
}
