#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "artifact.h"
#include "block.h"
#include "channel/crypto.h"
#include "util/log.h"
#include "value.h"

#define CODE_MAX 65536
#define CLOCK_AHEAD_S 15 /* a block's time may be that far before the clock of who sees it */
#define CLOCK_OLD_S 600

/* --- The chain ---------------------------------------------------------------------------------------------------- */

static ch_err differs(const cd_rpc *rpc, size_t url, uint64_t got, uint64_t wanted, bool configured,
                      char why[CD_CHECK_WHY]) {
  snprintf(why, CD_CHECK_WHY,
           configured ? "%s is on chain %llu, but --chain-id says %llu: check the URL and the setting."
                      : "%s is on chain %llu, but another URL is on chain %llu: give only URLs of one chain.",
           cd_rpc_name(rpc, url), (unsigned long long)got, (unsigned long long)wanted);
  return CH_ERR_ARGUMENT;
}

ch_err cd_check_chain(cd_rpc *rpc, uint64_t expected, uint64_t *chain_id, bool *offline, char why[CD_CHECK_WHY]) {
  char text[CD_RPC_TEXT] = "";
  *chain_id = expected;
  *offline = true;
  for (size_t i = 0; i < cd_rpc_count(rpc); i++) {
    cd_rpc_reply reply;
    uint64_t id = 0;
    bool ok = cd_rpc_ask(rpc, i, "eth_chainId", json_array(), &reply) == CD_RPC_OK && cd_value_u64(reply.result, &id) &&
              id != 0;
    if (!ok) snprintf(text, sizeof text, "%s", reply.text[0] != '\0' ? reply.text : "its answer is malformed");
    cd_rpc_reply_clear(&reply);
    if (!ok) continue;
    if (*chain_id != 0 && id != *chain_id) return differs(rpc, i, id, *chain_id, id != expected && expected != 0, why);
    *chain_id = id;
    *offline = false;
  }
  if (!*offline) return CH_OK;
  if (expected != 0) {
    cd_log(CD_LOG_WARN, "l1", "no node of the chain answers yet: %s", text);
    return CH_OK;
  }
  snprintf(why, CD_CHECK_WHY,
           "No node of the chain answers at %s (%.150s): check the URL and whether the node runs. With --chain-id the "
           "daemon starts and waits for it.",
           cd_rpc_name(rpc, 0), text);
  return CH_ERR_ARGUMENT;
}

/* --- The contract ------------------------------------------------------------------------------------------------- */

/* Compares with the artifact; what the constructor computed does not count here. */
static bool is_adjudicator(uint8_t *code, size_t len) {
  if (len != cd_artifact_runtime_len) return false;
  for (size_t i = 0; i < cd_artifact_holes_len; i++)
    memset(code + cd_artifact_holes[i].start, 0, cd_artifact_holes[i].len);
  return memcmp(code, cd_artifact_runtime, len) == 0;
}

static ch_err check_code(cd_rpc *rpc, const ch_chain *chain, const char *where, char why[CD_CHECK_WHY]) {
  cd_rpc_reply reply;
  uint8_t *code = NULL;
  size_t len = 0;
  json_t *params = json_pack("[o, s]", cd_value_of_bytes(chain->adjudicator.b, 20), "latest");
  ch_err err = CH_ERR_ARGUMENT;
  if (cd_rpc_call(rpc, "eth_getCode", params, &reply) != CD_RPC_OK ||
      !cd_value_data(reply.result, CODE_MAX, &code, &len))
    snprintf(why, CD_CHECK_WHY, "The chain's node does not show the contract's code (%.150s).", reply.text);
  else if (len == 0)
    snprintf(why, CD_CHECK_WHY,
             "There is no contract at 0x%s on chain %llu: check --contract, or make one with `channel-cli l1 deploy`.",
             where, (unsigned long long)chain->chain_id);
  else if (!is_adjudicator(code, len))
    snprintf(
        why, CD_CHECK_WHY,
        "The contract at 0x%s on chain %llu is not the Adjudicator of this release: check --contract. Money sent to "
        "another contract may be lost.",
        where, (unsigned long long)chain->chain_id);
  else
    err = CH_OK;
  free(code);
  cd_rpc_reply_clear(&reply);
  return err;
}

/* What the constructor computed: the domain of its signatures. */
static ch_err check_domain(cd_rpc *rpc, const ch_chain *chain, const char *where, char why[CD_CHECK_WHY]) {
  static const char signature[] = "domainSeparator()";
  cd_rpc_reply reply;
  ch_hash selector, domain, got = {0};
  ch_keccak256(&selector, signature, sizeof signature - 1);
  ch_domain(&domain, chain);
  json_t *params = json_pack("[{s:o, s:o}, s]", "to", cd_value_of_bytes(chain->adjudicator.b, 20), "data",
                             cd_value_of_bytes(selector.b, 4), "latest");
  bool ok = cd_rpc_call(rpc, "eth_call", params, &reply) == CD_RPC_OK &&
            cd_value_bytes(reply.result, got.b, sizeof got.b) && ch_hash_eq(&got, &domain);
  if (!ok)
    snprintf(
        why, CD_CHECK_WHY,
        "The contract at 0x%s has another signature domain than chain %llu and its address give: check --contract.",
        where, (unsigned long long)chain->chain_id);
  cd_rpc_reply_clear(&reply);
  return ok ? CH_OK : CH_ERR_ARGUMENT;
}

ch_err cd_check_contract(cd_rpc *rpc, const ch_chain *chain, char why[CD_CHECK_WHY]) {
  char where[41];
  ch_hex(where, chain->adjudicator.b, sizeof chain->adjudicator.b);
  ch_err err = check_code(rpc, chain, where, why);
  return err == CH_OK ? check_domain(rpc, chain, where, why) : err;
}

ch_err cd_check_tag(cd_rpc *rpc, const char *tag, char why[CD_CHECK_WHY]) {
  for (size_t i = 0; i < cd_rpc_count(rpc); i++) {
    cd_evm_block b;
    bool found;
    cd_rpc_status status = cd_evm_block_tagged(rpc, i, tag, &b, &found);
    if (status == CD_RPC_FAILED || found) continue;
    snprintf(why, CD_CHECK_WHY,
             "%s knows no `%s` block, which is what counts as final: use --confirmations with a number of blocks.",
             cd_rpc_name(rpc, i), tag);
    return CH_ERR_ARGUMENT;
  }
  return CH_OK;
}

/* --- The rest ----------------------------------------------------------------------------------------------------- */

static void check_clock(cd_rpc *rpc, uint64_t wall) {
  cd_evm_block head;
  bool found = false;
  for (size_t i = 0; i < cd_rpc_count(rpc) && !found; i++) {
    if (cd_evm_block_tagged(rpc, i, "latest", &head, &found) != CD_RPC_OK) found = false;
  }
  if (!found) return;
  if (head.time > wall + CLOCK_AHEAD_S)
    cd_log(CD_LOG_WARN, "l1", "this machine's clock is %llu s behind the chain: set it (the chain's is used)",
           (unsigned long long)(head.time - wall));
  else if (wall > head.time + CLOCK_OLD_S)
    cd_log(CD_LOG_WARN, "l1",
           "the chain's last block is %llu s old: is the node in step, and is this machine's clock right?",
           (unsigned long long)(wall - head.time));
}

static void check_balance(cd_rpc *rpc, const ch_addr *account) {
  cd_rpc_reply reply;
  ch_amount balance;
  char where[41];
  json_t *params = json_pack("[o, s]", cd_value_of_bytes(account->b, sizeof account->b), "latest");
  ch_hex(where, account->b, sizeof account->b);
  if (cd_rpc_call(rpc, "eth_getBalance", params, &reply) == CD_RPC_OK && cd_value_amount(reply.result, &balance) &&
      balance.v == 0)
    cd_log(CD_LOG_WARN, "l1", "the account 0x%s has no coin, so it cannot pay for gas: send it some", where);
  cd_rpc_reply_clear(&reply);
}

void cd_check_rest(cd_rpc *rpc, const ch_addr *account, uint64_t wall) {
  check_clock(rpc, wall);
  check_balance(rpc, account);
}
