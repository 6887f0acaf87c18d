#include "ledger.h"

#include "channel/money.h"
#include "record.h"

/* Keys of the state: a letter, then what it is about. */
typedef struct state_key {
  uint8_t b[CD_DEV_KEY_MAX];
  size_t len;
} state_key;

static const ch_addr NATIVE = {{0}};

static state_key key_of(char letter, const void *a, size_t a_len, const void *b, size_t b_len) {
  state_key key = {.b = {(uint8_t)letter}, .len = 1 + a_len + b_len};
  memcpy(key.b + 1, a, a_len);
  if (b_len > 0) {
    memcpy(key.b + 1 + a_len, b, b_len);
  }
  return key;
}

static state_key balance_key(const ch_addr *who, const ch_addr *asset) {
  return key_of('B', who->b, sizeof who->b, asset->b, sizeof asset->b);
}

static state_key nonce_key(const ch_addr *who) {
  return key_of('N', who->b, sizeof who->b, NULL, 0);
}

static state_key supply_key(const ch_addr *asset) {
  return key_of('T', asset->b, sizeof asset->b, NULL, 0);
}

static state_key slots_key(const ch_hash *id) {
  return key_of('S', id->b, sizeof id->b, NULL, 0);
}

static ch_amount get_amount(cd_dev_db *db, const state_key *key) {
  uint8_t value[CD_DEV_VALUE_MAX];
  ch_amount amount = {0};
  size_t len = cd_dev_state_get(db, key->b, key->len, value);
  if (ch_amount_from_bytes(&amount, value, len) != CH_OK) {
    db->failed = true;
  }
  return amount;
}

static void put_amount(const cd_dev_env *env, const state_key *key, ch_amount amount) {
  uint8_t value[16];
  size_t len = ch_amount_bytes(value, amount);
  cd_dev_state_put(env->db, env->height, key->b, key->len, value, len);
}

ch_amount cd_dev_ledger_balance(cd_dev_db *db, const ch_addr *who, const ch_addr *asset) {
  state_key key = balance_key(who, asset);
  return get_amount(db, &key);
}

uint64_t cd_dev_ledger_nonce(cd_dev_db *db, const ch_addr *who) {
  state_key key = nonce_key(who);
  return (uint64_t)get_amount(db, &key).v;
}

void cd_dev_ledger_slots_at(cd_dev_db *db, uint64_t height, const ch_hash *id, ch_adj_slots *out) {
  uint8_t value[CD_DEV_VALUE_MAX];
  state_key key = slots_key(id);
  size_t len = cd_dev_state_get_at(db, height, key.b, key.len, value);
  if (!cd_dev_slots_decode(out, value, len)) {
    db->failed = true;
  }
}

static void put_slots(const cd_dev_env *env, const ch_hash *id, const ch_adj_slots *slots) {
  uint8_t value[CD_DEV_RECORD_MAX];
  state_key key = slots_key(id);
  cd_dev_state_put(env->db, env->height, key.b, key.len, value, cd_dev_slots_encode(value, slots));
}

static void put_event(const cd_dev_env *env, const ch_adj_event *event) {
  uint8_t record[CD_DEV_RECORD_MAX];
  size_t len = cd_dev_event_encode(record, event);
  cd_dev_run run =
      cd_dev_sql(env->db, "INSERT INTO events (block, place, channel, kind, epoch, record) VALUES (?, ?, ?, ?, ?, ?)");
  cd_dev_bind_int(&run, env->height);
  cd_dev_bind_int(&run, env->place);
  cd_dev_bind_bytes(&run, event->id.b, sizeof event->id.b);
  cd_dev_bind_int(&run, (uint64_t)event->kind);
  cd_dev_bind_int(&run, event->epoch);
  cd_dev_bind_bytes(&run, record, len);
  cd_dev_exec(&run);
}

/* Moves what is there. False, with nothing moved, if it is not; no balance can overflow, as no supply does. */
static bool move(const cd_dev_env *env, const ch_addr *from, const ch_addr *to, const ch_addr *asset,
                 ch_amount amount) {
  state_key from_key = balance_key(from, asset);
  state_key to_key = balance_key(to, asset);
  ch_amount balance = get_amount(env->db, &from_key);
  if (ch_amount_sub(&balance, balance, amount) != CH_OK) {
    return false;
  }
  put_amount(env, &from_key, balance);
  balance = get_amount(env->db, &to_key);
  if (ch_amount_add(&balance, balance, amount) != CH_OK) {
    env->db->failed = true;
  }
  put_amount(env, &to_key, balance);
  return true;
}

static const char *transfer(const cd_dev_env *env, const cd_dev_tx *tx) {
  const cd_dev_body *body = &tx->body;
  return move(env, &tx->sender, &body->u.transfer.to, &body->u.transfer.asset, body->u.transfer.amount)
             ? NULL
             : "the sender's balance is too small";
}

static const char *mint(const cd_dev_env *env, const cd_dev_tx *tx) {
  const cd_dev_body *body = &tx->body;
  state_key supply = supply_key(&body->u.transfer.asset);
  state_key balance = balance_key(&body->u.transfer.to, &body->u.transfer.asset);
  ch_amount minted = get_amount(env->db, &supply);
  ch_amount held = get_amount(env->db, &balance);
  if (!ch_addr_eq(&tx->sender, env->faucet)) {
    return "only the faucet may mint";
  }
  if (ch_amount_add(&minted, minted, body->u.transfer.amount) != CH_OK) {
    return "the supply would exceed what amounts can be";
  }
  if (ch_amount_add(&held, held, body->u.transfer.amount) != CH_OK) {
    env->db->failed = true;
  }
  put_amount(env, &supply, minted);
  put_amount(env, &balance, held);
  return NULL;
}

/* The rules decide on a copy; only what they accept is written. */
static const char *call(const cd_dev_env *env, const cd_dev_tx *tx) {
  const ch_tx *what = &tx->body.u.call;
  ch_adj_slots slots;
  ch_adj_result result;
  ch_adj_call how = {.chain = env->chain, .sender = tx->sender, .value = tx->value, .now = env->time};
  cd_dev_ledger_slots_at(env->db, env->height, &what->id, &slots);
  ch_adj_revert revert = ch_adj_apply(&result, &slots, &how, what);
  if (revert != CH_ADJ_NONE) {
    return ch_adj_revert_text(revert);
  }
  if (!move(env, &tx->sender, &env->chain->adjudicator, &result.take_asset, result.take)) {
    return "the sender's balance is too small";
  }
  for (size_t i = 0; i < result.n_transfers; i++) {
    const ch_adj_transfer *t = &result.transfers[i];
    if (!move(env, &env->chain->adjudicator, &t->to, &t->asset, t->amount)) {
      env->db->failed = true; /* the rules never pay out more than was taken */
    }
  }
  put_slots(env, &what->id, &result.slots);
  put_event(env, &result.event);
  return NULL;
}

bool cd_dev_ledger_affordable(cd_dev_db *db, const cd_dev_tx *tx) {
  ch_amount needed = tx->value;
  if (tx->body.kind == CD_DEV_TRANSFER && ch_addr_is_zero(&tx->body.u.transfer.asset)) {
    needed = tx->body.u.transfer.amount;
  }
  return ch_amount_cmp(cd_dev_ledger_balance(db, &tx->sender, &NATIVE), needed) >= 0;
}

const char *cd_dev_ledger_execute(const cd_dev_env *env, const cd_dev_tx *tx) {
  state_key nonce = nonce_key(&tx->sender);
  put_amount(env, &nonce, ch_amount_of(tx->nonce + 1));
  switch (tx->body.kind) {
  case CD_DEV_TRANSFER: return transfer(env, tx);
  case CD_DEV_CALL: return call(env, tx);
  case CD_DEV_MINT: return mint(env, tx);
  }
  return "unknown kind of transaction";
}
