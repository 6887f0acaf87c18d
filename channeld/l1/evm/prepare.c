/* prepare.c - before a transaction is signed: together with what, whether the chain would execute it and with how much
 * gas, and how a token gets to the Adjudicator.
 *
 * A deposit of a token needs the token's consent, in this order: none (an allowance is there), an authorization that
 * the token takes (EIP-3009), a permit (ERC-2612), each in the same transaction, or an approval before it. Consent is
 * given for exactly what the deposit takes, never more.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "abi.h"
#include "erc20.h"
#include "value.h"
#include "writer.h"

#define GAS_SPARE 20000u /* on top of the estimate and a fifth of it: what it is executed on may have changed */
#define CONSENT_S 86400u /* how long a signed consent is good */
#define REVERT_MAX 4096
#define MIN_GAS 21000u

/* --- Trying --------------------------------------------------------------------------------------------------------
 */

static json_t *to_json(const cd_evm_writer *w, const cd_evm_call *call, ch_amount value) {
  uint8_t word[32];
  char hex[2 * 32 + 3] = "0x";
  ch_amount_word(word, value);
  ch_hex(hex + 2, word + 16, 16);
  size_t zeros = 2;
  while (hex[zeros] == '0' && hex[zeros + 1] != '\0')
    zeros++;
  memmove(hex + 2, hex + zeros, strlen(hex + zeros) + 1);
  json_t *tx = json_pack("{s:o, s:s, s:o}", "from", cd_value_of_bytes(w->account.b, sizeof w->account.b), "value", hex,
                         "data", cd_value_of_bytes(call->data, call->len));
  if (!call->creates) json_object_set_new(tx, "to", cd_value_of_bytes(call->to.b, sizeof call->to.b));
  return json_pack("[o]", tx);
}

/* A refusal: by the contract, or because the account cannot pay. Everything else is the node's trouble. */
static cd_ready refused(const cd_rpc_reply *reply, char why[200]) {
  uint8_t *data = NULL;
  size_t n = 0;
  bool has = reply->data != NULL && cd_value_data(reply->data, REVERT_MAX, &data, &n);
  bool reverted = has || reply->code == 3 || strcasestr(reply->text, "revert") != NULL;
  bool poor = strcasestr(reply->text, "insufficient funds") != NULL ||
              strcasestr(reply->text, "gas required exceeds allowance") != NULL;
  if (has) {
    cd_abi_revert(why, data, n);
  } else {
    snprintf(why, 200, "%.199s", poor ? "the account has not enough coin for the amount and the fee" : reply->text);
  }
  free(data);
  return reverted || poor ? CD_READY_REVERTS : CD_READY_RETRY;
}

static cd_ready estimate(cd_evm_writer *w, const cd_evm_call *call, ch_amount value, uint64_t *gas, char why[200]) {
  cd_rpc_reply reply;
  cd_ready ready = CD_READY_RETRY;
  snprintf(why, 200, "the node's estimate of the gas cannot be used");
  switch (cd_rpc_call(w->rpc, "eth_estimateGas", to_json(w, call, value), &reply)) {
  case CD_RPC_OK:
    if (!cd_value_u64(reply.result, gas) || *gas < MIN_GAS || *gas > UINT32_MAX) break;
    *gas += *gas / 5 + GAS_SPARE;
    ready = CD_READY;
    break;
  case CD_RPC_REFUSED: ready = refused(&reply, why); break;
  case CD_RPC_FAILED: snprintf(why, 200, "%.199s", reply.text); break;
  }
  cd_rpc_reply_clear(&reply);
  return ready;
}

/* Fills `out` with the call if the chain would execute it. */
static cd_ready ready_if(cd_evm_writer *w, const cd_evm_call *call, ch_amount value, cd_prepared *out, char why[200]) {
  uint64_t gas;
  cd_ready ready = estimate(w, call, value, &gas, why);
  if (ready != CD_READY) return ready;
  *out = (cd_prepared){.value = value, .gas = gas};
  if (cd_evm_call_bytes(call, &out->data, &out->len) == CH_OK) return CD_READY;
  snprintf(why, 200, "memory is out");
  return CD_READY_RETRY;
}

/* --- Tokens --------------------------------------------------------------------------------------------------------
 */

/* A deposit of a token, and what is known of the token. */
typedef struct deposit {
  cd_evm_writer *w;
  const cd_evm_call *call;
  ch_addr asset;
  ch_amount amount;
  ch_hash domain;
  uint64_t until; /* chain seconds: end of a consent */
} deposit;

/* Asks the token a question without arguments, or with those that stand in `call`, which is freed. */
static bool ask(const deposit *d, cd_bytes call, uint8_t **answer, size_t *n, bool *no_answer) {
  *answer = NULL;
  cd_rpc_status status = call.failed ? CD_RPC_FAILED : cd_evm_view(d->w, &d->asset, call.b, call.n, answer, n);
  free(call.b);
  *no_answer = status == CD_RPC_FAILED;
  return status == CD_RPC_OK;
}

static cd_bytes plain(const char *signature) {
  cd_bytes call = {0};
  cd_abi_put_selector(&call, signature);
  return call;
}

static bool ask_text(const deposit *d, const char *signature, char out[CD_ERC20_TEXT]) {
  uint8_t *answer;
  size_t n;
  bool none, ok = ask(d, plain(signature), &answer, &n, &none) && cd_erc20_read_text(out, answer, n);
  free(answer);
  return ok;
}

static bool ask_hash(const deposit *d, cd_bytes call, ch_hash *out) {
  uint8_t *answer;
  size_t n;
  bool none, ok = ask(d, call, &answer, &n, &none) && cd_erc20_read_hash(out, answer, n);
  free(answer);
  return ok;
}

/* A token that shows another domain than its name and version make is not signed for. */
static bool find_domain(deposit *d) {
  char name[CD_ERC20_TEXT], version[CD_ERC20_TEXT];
  ch_hash shown;
  if (!ask_text(d, "name()", name) || !ask_hash(d, plain("DOMAIN_SEPARATOR()"), &shown)) return false;
  if (!ask_text(d, "version()", version)) snprintf(version, sizeof version, "1");
  cd_erc20_domain(&d->domain, name, version, d->w->chain.chain_id, &d->asset);
  return ch_hash_eq(&d->domain, &shown);
}

static cd_ready try_bytes(const deposit *d, cd_bytes *bytes, cd_prepared *out, char why[200]) {
  const cd_evm_call call = {.to = d->call->to, .data = bytes->b, .len = bytes->n};
  cd_ready ready = bytes->failed ? CD_READY_RETRY : ready_if(d->w, &call, ch_amount_of(0), out, why);
  free(bytes->b);
  return ready;
}

/* The words paramsHash, asset, where, amount of a deposit() call. */
static const uint8_t *word_of(const deposit *d, size_t i) {
  return d->call->data + CD_ABI_SELECTOR + i * CD_ABI_WORD;
}

static cd_ready try_authorization(const deposit *d, cd_prepared *out, char why[200]) {
  uint8_t words[3 * CD_ABI_WORD] = {0};
  ch_hash params_hash, id, nonce, digest;
  ch_sig sig;
  cd_bytes bytes = {0};
  memcpy(params_hash.b, word_of(d, 0), sizeof params_hash.b);
  ch_channel_id(&id, &params_hash, &d->asset);
  memcpy(words, id.b, CD_ABI_WORD);
  memcpy(words + CD_ABI_WORD, word_of(d, 2), CD_ABI_WORD);
  /* Unique for this channel and side is enough; each byte more costs gas. */
  randombytes_buf(words + 3 * CD_ABI_WORD - 8, 8);
  ch_keccak256(&nonce, words, sizeof words);
  cd_erc20_receive_digest(&digest, &d->domain, &d->w->account, &d->call->to, d->amount, d->until, &nonce);
  if (ch_sign(&sig, &digest, d->w->key) != CH_OK) return CD_READY_REVERTS;
  cd_abi_put_selector(&bytes, "depositAuthorized(bytes32,address,bytes32,address,uint256,uint256,uint256,uint256,"
                              "(bytes32,bytes32))");
  cd_bytes_put(&bytes, word_of(d, 0), (size_t)3 * CD_ABI_WORD);
  cd_abi_put_addr(&bytes, &d->w->account);
  cd_abi_put_amount(&bytes, d->amount);
  cd_abi_put_u64(&bytes, 0);
  cd_abi_put_u64(&bytes, d->until);
  cd_bytes_put(&bytes, words + 2 * CD_ABI_WORD, CD_ABI_WORD);
  cd_bytes_put(&bytes, sig.b, sizeof sig.b);
  return try_bytes(d, &bytes, out, why);
}

static cd_ready try_permit(const deposit *d, cd_prepared *out, char why[200]) {
  cd_bytes bytes = {0}, question = plain("nonces(address)");
  ch_hash nonce, digest;
  ch_sig sig;
  cd_abi_put_addr(&question, &d->w->account);
  if (!ask_hash(d, question, &nonce)) return CD_READY_REVERTS;
  cd_erc20_permit_digest(&digest, &d->domain, &d->w->account, &d->call->to, d->amount, &nonce, d->until);
  if (ch_sign(&sig, &digest, d->w->key) != CH_OK) return CD_READY_REVERTS;
  cd_abi_put_selector(&bytes, "depositPermit(bytes32,address,bytes32,uint256,uint256,(bytes32,bytes32))");
  cd_bytes_put(&bytes, word_of(d, 0), (size_t)4 * CD_ABI_WORD);
  cd_abi_put_u64(&bytes, d->until);
  cd_bytes_put(&bytes, sig.b, sizeof sig.b);
  return try_bytes(d, &bytes, out, why);
}

/* Exactly as much as is needed. Some tokens want an allowance taken back before another is given. */
static cd_ready approve(const deposit *d, ch_amount allowed, cd_prepared *out, char why[200]) {
  cd_ready ready = CD_READY_REVERTS;
  const ch_amount wanted[2] = {d->amount, {0}};
  for (size_t i = 0; i < 2 && ready == CD_READY_REVERTS && (i == 0 || allowed.v > 0); i++) {
    cd_bytes bytes = {0};
    cd_erc20_approve(&bytes, &d->call->to, wanted[i]);
    const cd_evm_call call = {.to = d->asset, .data = bytes.b, .len = bytes.n};
    if (bytes.failed) {
      ready = CD_READY_RETRY;
    } else {
      ready = ready_if(d->w, &call, ch_amount_of(0), out, why);
    }
    free(bytes.b);
  }
  return ready == CD_READY ? CD_READY_AFTER : ready;
}

static bool find_amounts(const deposit *d, ch_amount *balance, ch_amount *allowed, char why[200]) {
  cd_bytes question = {0};
  uint8_t *answer;
  size_t n;
  bool none;
  cd_erc20_allowance(&question, &d->w->account, &d->call->to);
  bool ok = ask(d, question, &answer, &n, &none) && cd_erc20_read_amount(allowed, answer, n) &&
            cd_evm_token_balance(d->w, &d->w->account, &d->asset, balance) == CH_OK;
  free(answer);
  if (!ok) snprintf(why, 200, "the token does not say what this account has and allows");
  return ok;
}

static cd_ready prepare_deposit(deposit *d, cd_prepared *out, char why[200]) {
  ch_amount balance, allowed;
  if (!find_amounts(d, &balance, &allowed, why)) return CD_READY_RETRY;
  if (ch_amount_cmp(balance, d->amount) < 0) {
    snprintf(why, 200, "the account has not enough of the token");
    return CD_READY_REVERTS;
  }
  if (ch_amount_cmp(allowed, d->amount) >= 0) return ready_if(d->w, d->call, ch_amount_of(0), out, why);
  cd_ready ready = CD_READY_REVERTS;
  /* deposit() has four words; fund() has no form with a consent. */
  if (d->call->len == CD_ABI_SELECTOR + 4 * CD_ABI_WORD && find_domain(d)) {
    ready = try_authorization(d, out, why);
    if (ready == CD_READY_REVERTS) ready = try_permit(d, out, why);
  }
  return ready == CD_READY_REVERTS ? approve(d, allowed, out, why) : ready;
}

/* --- The entrance --------------------------------------------------------------------------------------------------
 */

static cd_ready prepare_batch(cd_evm_writer *w, const cd_call *calls, size_t n, cd_prepared *out, char why[200]) {
  cd_abi_data closes[CD_EVM_BATCH];
  cd_evm_call one;
  cd_bytes bytes = {0};
  bool ok = n <= CD_EVM_BATCH;
  for (size_t i = 0; ok && i < n; i++) {
    ok = cd_evm_call_of(&one, calls[i].data, calls[i].len) && calls[i].value.v == 0;
    if (ok) closes[i] = (cd_abi_data){one.data, one.len};
  }
  ok = ok && cd_abi_close_batch(&bytes, closes, n, &w->account) == CH_OK && !bytes.failed;
  cd_ready ready = CD_READY_RETRY;
  if (ok) {
    one = (cd_evm_call){.to = w->chain.adjudicator, .data = bytes.b, .len = bytes.n};
    ready = ready_if(w, &one, ch_amount_of(0), out, why);
  } else {
    snprintf(why, 200, "these calls cannot go together");
  }
  free(bytes.b);
  return ready;
}

bool cd_evm_together(const cd_call *a, const cd_call *b) {
  cd_evm_call x, y;
  return cd_evm_call_of(&x, a->data, a->len) && cd_evm_call_of(&y, b->data, b->len) &&
         cd_abi_together(&(cd_abi_data){x.data, x.len}, &(cd_abi_data){y.data, y.len});
}

cd_ready cd_evm_prepare(cd_evm_writer *w, const cd_call *calls, size_t n, cd_prepared *out, char why[200]) {
  cd_evm_call call;
  if (n > 1) return prepare_batch(w, calls, n, out, why);
  if (!cd_evm_call_of(&call, calls[0].data, calls[0].len)) {
    snprintf(why, 200, "the stored call is damaged");
    return CD_READY_REVERTS;
  }
  deposit d = {.w = w, .call = &call, .until = w->now(w->now_ctx) + CONSENT_S};
  if (!call.creates && ch_addr_eq(&call.to, &w->chain.adjudicator) &&
      cd_abi_takes(call.data, call.len, &d.asset, &d.amount))
    return prepare_deposit(&d, out, why);
  if (!call.creates) return ready_if(w, &call, calls[0].value, out, why);
  uint64_t gas;
  cd_ready ready = estimate(w, &call, calls[0].value, &gas, why);
  if (ready != CD_READY) return ready;
  *out = (cd_prepared){.gas = gas, .len = calls[0].len, .data = malloc(calls[0].len)};
  if (out->data != NULL) memcpy(out->data, calls[0].data, calls[0].len);
  return out->data != NULL ? CD_READY : CD_READY_RETRY;
}
