/* cheat.c - a thief's tool, for tests and the demo: publishes the old co-signed state that a copy of a data directory
 * has.
 *
 *   cheat COPY CHAIN CHANNEL      COPY holds channeld.db and seed; CHAIN is the embedded chain's file, or the URL of an
 *                                 EVM chain's node; CHANNEL an id
 *
 * It runs the engine on the old copy, which then believes that the old state is the latest, and challenges with it. */
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "channel/channel.h"
#include "cheat_evm.h"
#include "l1/dev/chain.h"

static int die(const char *what) {
  fprintf(stderr, "cheat: %s\n", what);
  return 1;
}

static bool read_seed(const char *dir, uint8_t seed[64]) {
  char path[4096], hex[129] = "";
  snprintf(path, sizeof path, "%s/seed", dir);
  FILE *f = fopen(path, "r");
  if (!f) return false;
  bool ok = fscanf(f, "channeld-seed-v1 plain %128[0-9a-f]", hex) == 1 && ch_unhex(seed, 64, hex);
  fclose(f);
  return ok;
}

static ch_channel *read_channel(const char *dir, const ch_hash *id) {
  char path[4096];
  sqlite3 *db = NULL;
  sqlite3_stmt *st = NULL;
  ch_channel *c = NULL;
  uint8_t record[1 << 16];
  size_t len = 0;
  snprintf(path, sizeof path, "%s/channeld.db", dir);
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(db, "SELECT bytes, record FROM channel LEFT JOIN steady USING (num) WHERE id = ?", -1, &st,
                         NULL) == SQLITE_OK &&
      sqlite3_bind_blob(st, 1, id->b, sizeof id->b, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
    for (int part = 0; part < 2; part++) {
      size_t n = (size_t)sqlite3_column_bytes(st, part);
      if (n > sizeof record - len) break; /* what is short is refused below */
      if (n > 0) memcpy(record + len, sqlite3_column_blob(st, part), n);
      len += n;
    }
    if (ch_channel_decode(&c, record, len, NULL, 0)) c = NULL;
  }
  sqlite3_finalize(st);
  sqlite3_close(db);
  return c;
}

/* The old copy's step from `c` by `ev`; frees `c`. */
static ch_channel *next(ch_channel *c, ch_effects *fx, const ch_env *env, const ch_event *ev, const ch_signer *signer) {
  ch_channel *n = NULL;
  ch_effects_clear(fx);
  ch_err err = ch_step(&n, fx, c, env, ev, signer);
  if (err) fprintf(stderr, "cheat: %s\n", ch_err_text(err));
  ch_channel_free(c);
  return n;
}

static bool submit(cd_dev *chain, const ch_secret *key, const ch_effects *fx) {
  for (size_t i = 0; i < fx->n; i++) {
    if (fx->v[i].kind != CH_FX_TX || fx->v[i].u.tx.tx.kind != CH_TX_CHALLENGE) continue;
    uint8_t raw[CD_DEV_TX_MAX];
    size_t len;
    char why[CD_DEV_WHY] = "";
    ch_pubkey pub;
    cd_dev_tx tx = {.chain_id = cd_dev_identity(chain).chain_id, .value = fx->v[i].u.tx.value};
    tx.body.kind = CD_DEV_CALL;
    tx.body.u.call = fx->v[i].u.tx.tx;
    if (ch_pubkey_of(&pub, key) || ch_address_of(&tx.sender, &pub)) return false;
    if (cd_dev_nonce(chain, &tx.sender, &tx.nonce) || cd_dev_tx_sign(raw, &len, &tx, key)) return false;
    if (cd_dev_submit(chain, raw, len, why) == CD_SENT_OK) return true;
    fprintf(stderr, "cheat: %s\n", why);
  }
  return false;
}

/* The embedded chain's world, as the old copy is to see it. */
static bool look_dev(cd_dev *chain, const ch_hash *id, ch_env *env, ch_onchain *out) {
  cd_dev_block head;
  if (cd_dev_clock(chain, &env->now, &head) || cd_dev_onchain(chain, id, head.number, out)) return false;
  env->head_number = head.number;
  env->head_time = head.time;
  return true;
}

/* Shows the old copy the chain, and has it challenge. */
static ch_channel *challenge(ch_channel *c, ch_effects *fx, const ch_env *env, const ch_chain_view *view,
                             const ch_signer *signer) {
  c = next(c, fx, env, &(ch_event){.kind = CH_EV_CHAIN, .u.view = view}, signer);
  return c ? next(c, fx, env, &(ch_event){.kind = CH_EV_CHALLENGE}, signer) : NULL;
}

/* `chain` NULL: the node at `url`. */
static int cheat(cd_dev *chain, const char *url, ch_channel *c, ch_keyring *keys) {
  const ch_hash id = *ch_channel_id_of(c);
  ch_signer signer = ch_keyring_signer(keys);
  ch_env env = {.freshness = 1u << 30};
  ch_chain_view view = {0};
  ch_origin origin;
  ch_effects fx = {0};
  ch_secret account;
  ch_channel_origin(c, &origin);
  if (!(chain ? look_dev(chain, &id, &env, &view.head) : cheat_evm_look(url, &origin.chain, &id, &env, &view.head)))
    return die("the chain cannot be read");
  view.final = view.head;
  env.final_number = env.head_number;
  env.final_time = env.head_time;
  c = challenge(c, &fx, &env, &view, &signer);
  if (!c) return 1;
  ch_keyring_account(keys, &account);
  bool sent = chain ? submit(chain, &account, &fx) : cheat_evm_submit(url, &origin.chain, &account, &fx);
  ch_wipe(&account, sizeof account);
  ch_wipe(&origin, sizeof origin);
  ch_state state;
  ch_outcome outcome;
  ch_sig sig[2];
  ch_channel_latest(c, &state, &outcome, sig);
  ch_effects_clear(&fx);
  ch_channel_free(c);
  if (!sent) return die("the challenge was not sent");
  printf("cheat: published version %llu\n", (unsigned long long)state.version);
  return 0;
}

int main(int argc, char **argv) {
  uint8_t seed[64];
  ch_hash id;
  char why[CD_DEV_WHY] = "";
  cd_dev *chain = NULL;
  ch_keyring *keys;
  if (argc != 4 || !ch_unhex(id.b, sizeof id.b, argv[3])) return die("usage: cheat COPY CHAIN CHANNEL_ID");
  if (sodium_init() < 0 || !read_seed(argv[1], seed)) return die("the copy's seed cannot be read");
  if (ch_keyring_new(&keys, seed)) return die("no memory for the keys");
  ch_channel *c = read_channel(argv[1], &id);
  if (!c) return die("the copy does not have this channel");
  bool evm = strncmp(argv[2], "http", 4) == 0;
  if (!evm && cd_dev_open(&chain, argv[2], NULL, why)) return die(why);
  int status = cheat(chain, argv[2], c, keys);
  if (!evm) cd_dev_close(chain);
  ch_keyring_free(keys);
  return status;
}
