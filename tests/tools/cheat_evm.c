#include "cheat_evm.h"

#include <stdio.h>
#include <stdlib.h>

#include "l1/evm/decode.h"
#include "l1/evm/reader.h"
#include "l1/evm/writer.h"

#define MAX_FEE 500000000000u

static cd_rpc *connect_to(const char *url) {
  char why[CD_RPC_TEXT];
  cd_rpc *rpc = NULL;
  if (cd_rpc_new(&rpc, &(cd_rpc_config){.urls = &url, .n_urls = 1}, why) == CH_OK) return rpc;
  fprintf(stderr, "cheat: %s\n", why);
  return NULL;
}

bool cheat_evm_look(const char *url, const ch_chain *chain, const ch_hash *id, ch_env *env, ch_onchain *out) {
  cd_rpc *rpc = connect_to(url);
  cd_evm_block head;
  bool found = false;
  ch_hash slots[CD_EVM_SLOTS];
  cd_evm_word words[CD_EVM_SLOTS];
  char why[CD_RPC_TEXT];
  bool ok = rpc != NULL && cd_evm_block_tagged(rpc, 0, "latest", &head, &found) == CD_RPC_OK && found;
  for (unsigned k = 0; ok && k < CD_EVM_SLOTS; k++) {
    words[k].block = head.hash;
    cd_evm_slot(&words[k].slot, id, k);
  }
  ok = ok && cd_evm_storage(rpc, 0, &chain->adjudicator, words, CD_EVM_SLOTS, why) == CD_RPC_OK;
  for (unsigned k = 0; k < CD_EVM_SLOTS; k++)
    slots[k] = words[k].value;
  ok = ok && cd_evm_slots_decode(&out->slots, slots) == CH_OK;
  if (ok) {
    env->head_number = head.number;
    env->head_time = env->now = head.time;
  }
  cd_rpc_free(rpc);
  return ok;
}

static uint64_t never_asked(void *ctx) {
  (void)ctx;
  return 0;
}

static bool send_tx(cd_evm_writer *w, const ch_tx *tx, ch_amount value) {
  cd_call call = {.value = value};
  cd_prepared what = {0};
  uint8_t *data = NULL, *raw = NULL;
  size_t len;
  ch_hash hash;
  uint64_t nonce;
  char why[200] = "the call cannot be made";
  bool ok = cd_evm_encode_call(w, tx, &data, &call.len) == CH_OK;
  call.data = data;
  ok = ok && cd_evm_prepare(w, &call, 1, &what, why) == CD_READY &&
       cd_read_nonce(w->rpc, &w->account, &nonce) == CH_OK &&
       cd_evm_sign(w, nonce, &what, &raw, &len, &hash) == CH_OK && cd_evm_broadcast(w, raw, len, why) == CD_SENT_OK;
  if (!ok) fprintf(stderr, "cheat: %s\n", why);
  free(data);
  free(what.data);
  free(raw);
  return ok;
}

bool cheat_evm_submit(const char *url, const ch_chain *chain, const ch_secret *account, const ch_effects *fx) {
  cd_rpc *rpc = connect_to(url);
  cd_evm_writer w;
  bool sent = false;
  if (rpc == NULL || cd_evm_writer_init(&w, rpc, chain, account, MAX_FEE, never_asked, NULL) != CH_OK) return false;
  for (size_t i = 0; !sent && i < fx->n; i++) {
    if (fx->v[i].kind == CH_FX_TX && fx->v[i].u.tx.tx.kind == CH_TX_CHALLENGE)
      sent = send_tx(&w, &fx->v[i].u.tx.tx, fx->v[i].u.tx.value);
  }
  cd_evm_writer_free(&w);
  cd_rpc_free(rpc);
  return sent;
}
