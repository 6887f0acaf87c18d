#include "ledger.h"

#include "chain.h"
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

static state_key revealed_key(const ch_hash *hash) {
  return key_of('R', hash->b, sizeof hash->b, NULL, 0);
}

static state_key credit_key(const ch_addr *payee, const ch_addr *asset) {
  return key_of('C', payee->b, sizeof payee->b, asset->b, sizeof asset->b);
}

static state_key refuses_key(const ch_addr *who) {
  return key_of('X', who->b, sizeof who->b, NULL, 0);
}

static ch_amount get_amount(cd_sql_db *db, const state_key *key) {
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

ch_amount cd_dev_ledger_balance(cd_sql_db *db, const ch_addr *who, const ch_addr *asset) {
  state_key key = balance_key(who, asset);
  return get_amount(db, &key);
}

uint64_t cd_dev_ledger_nonce(cd_sql_db *db, const ch_addr *who) {
  state_key key = nonce_key(who);
  return (uint64_t)get_amount(db, &key).v;
}

void cd_dev_ledger_slots_at(cd_sql_db *db, uint64_t height, const ch_hash *id, ch_adj_slots *out) {
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

void cd_dev_ledger_revealed_at(cd_sql_db *db, uint64_t height, const ch_hash *hash, cd_dev_revealed *out) {
  uint8_t value[CD_DEV_VALUE_MAX];
  state_key key = revealed_key(hash);
  size_t len = cd_dev_state_get_at(db, height, key.b, key.len, value);
  if (!cd_dev_revealed_decode(out, value, len)) {
    db->failed = true;
  }
}

static bool refuses(cd_sql_db *db, const ch_addr *who) {
  state_key key = refuses_key(who);
  return get_amount(db, &key).v != 0;
}

/* A transaction that calls the Adjudicator, and how many events it has logged. */
typedef struct calling {
  const cd_dev_env *env;
  const cd_dev_tx *tx;
  uint32_t n_events;
} calling;

/* Events of one block are ordered by their transaction's place, then among themselves. */
static void put_event(calling *c, const ch_adj_event *event) {
  const cd_dev_env *env = c->env;
  uint8_t record[CD_DEV_RECORD_MAX];
  size_t len = cd_dev_event_encode(record, event);
  cd_sql_run run = cd_sql_start(
      env->db, "INSERT INTO events (block, place, channel, kind, epoch, record) VALUES (?, ?, ?, ?, ?, ?)");
  cd_sql_bind_int(&run, env->height);
  cd_sql_bind_int(&run, (uint64_t)env->place << 16 | c->n_events++);
  cd_sql_bind_bytes(&run, event->id.b, sizeof event->id.b);
  cd_sql_bind_int(&run, (uint64_t)event->kind);
  cd_sql_bind_int(&run, event->epoch);
  cd_sql_bind_bytes(&run, record, len);
  cd_sql_exec(&run);
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
  if (refuses(env->db, &body->u.transfer.to)) {
    return "the recipient refuses it";
  }
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

/* --- The Adjudicator -------------------------------------------------------------------------------------------- */

static uint64_t revealed(void *ctx, const ch_hash *hash) {
  const calling *c = ctx;
  cd_dev_revealed found;
  cd_dev_ledger_revealed_at(c->env->db, c->env->height, hash, &found);
  return found.time;
}

/* The one contract that there is: what it is asked about is owed as the payload, an EVM word, says. */
static ch_amount owed(void *ctx, const ch_lock *lock) {
  (void)ctx;
  ch_addr payload_says;
  ch_amount amount = {0};
  cd_dev_condition(&payload_says);
  if (ch_addr_eq(&lock->condition, &payload_says) && lock->payload_len == 32 &&
      ch_amount_from_word(&amount, lock->payload) != CH_OK) {
    amount = lock->amount; /* more than any */
  }
  return amount;
}

/* A payout that is refused is credited, and never stops the others. */
static void pay_out(calling *c, const ch_adj_transfer *t) {
  const cd_dev_env *env = c->env;
  if (refuses(env->db, &t->to)) {
    state_key key = credit_key(&t->to, &t->asset);
    ch_amount credit = get_amount(env->db, &key);
    ch_adj_event event = {.kind = CH_ADJ_CREDITED, .amount = t->amount, .asset = t->asset, .payee = {t->to}};
    if (ch_amount_add(&credit, credit, t->amount) != CH_OK) {
      env->db->failed = true; /* no more than the supply */
    }
    put_amount(env, &key, credit);
    put_event(c, &event);
  } else if (!move(env, &env->chain->adjudicator, &t->to, &t->asset, t->amount)) {
    env->db->failed = true; /* the rules never pay out more than was taken */
  }
}

/* What a call that the rules accept has changed besides money. */
static void put_result(calling *c, const ch_tx *what, const ch_adj_result *result) {
  const cd_dev_env *env = c->env;
  if (what->kind == CH_TX_REVEAL) {
    uint8_t value[CD_DEV_RECORD_MAX];
    state_key key = revealed_key(&result->event.id);
    cd_dev_revealed known = {.time = env->time, .preimage = result->event.salt};
    cd_dev_state_put(env->db, env->height, key.b, key.len, value, cd_dev_revealed_encode(value, &known));
  } else if (what->kind == CH_TX_CLAIM) {
    state_key key = credit_key(&what->u.claim.payee, &what->u.claim.asset);
    put_amount(env, &key, ch_amount_of(0));
  } else {
    put_slots(env, &what->id, &result->slots);
  }
  put_event(c, &result->event);
  if (what->kind == CH_TX_MOVE) {
    put_slots(env, &what->u.move.move.to_id, &result->target);
    put_event(c, &result->target_event);
  }
}

/* The rules decide on copies; only what they accept is written. Returns NULL, or why nothing was done; *revert receives
 * the rules' reason. */
static const char *apply(calling *c, ch_amount value, const ch_tx *what, ch_adj_revert *revert) {
  const cd_dev_env *env = c->env;
  ch_adj_slots slots, target;
  ch_adj_result result;
  ch_adj_call how = ch_adj_call_of(env->chain, &c->tx->sender, value, env->time);
  how.ctx = c;
  how.revealed = revealed;
  how.owed = owed;
  cd_dev_ledger_slots_at(env->db, env->height, &what->id, &slots);
  if (what->kind == CH_TX_MOVE) {
    cd_dev_ledger_slots_at(env->db, env->height, &what->u.move.move.to_id, &target);
    how.target = &target;
  } else if (what->kind == CH_TX_CLAIM) {
    state_key key = credit_key(&what->u.claim.payee, &what->u.claim.asset);
    how.credit = get_amount(env->db, &key);
  }
  *revert = ch_adj_apply(&result, &slots, &how, what);
  if (*revert != CH_ADJ_NONE) {
    return ch_adj_revert_text(*revert);
  }
  if (what->kind == CH_TX_CLAIM && refuses(env->db, &what->u.claim.to)) {
    return "the recipient refuses it";
  }
  if (!move(env, &c->tx->sender, &env->chain->adjudicator, &result.take_asset, result.take)) {
    return "the sender's balance is too small";
  }
  put_result(c, what, &result);
  for (size_t i = 0; i < result.n_transfers; i++) {
    pay_out(c, &result.transfers[i]);
  }
  return NULL;
}

static const char *call(const cd_dev_env *env, const cd_dev_tx *tx) {
  calling c = {.env = env, .tx = tx};
  ch_adj_revert revert;
  return apply(&c, tx->value, &tx->body.u.call, &revert);
}

/* An item that reverts is skipped; no item takes money. */
static const char *batch(const cd_dev_env *env, const cd_dev_tx *tx) {
  calling c = {.env = env, .tx = tx};
  cd_dev_call item;
  ch_adj_revert revert;
  if (tx->value.v != 0) {
    return ch_adj_revert_text(CH_ADJ_WRONG_VALUE);
  }
  uint64_t n = 0;
  for (size_t at = 0; at < tx->body.u.batch_len && cd_dev_batch_next(&tx->body, &at, &item); n++) {
    if (apply(&c, ch_amount_of(0), &item.tx, &revert) != NULL) {
      ch_adj_event event = {.kind = CH_ADJ_SKIPPED, .id = item.tx.id, .version = n, .reason = (uint8_t)revert};
      if (item.tx.kind == CH_TX_REVEAL) {
        ch_preimage_hash(&event.id, &item.tx.u.reveal.preimage);
      }
      put_event(&c, &event);
    }
  }
  return NULL;
}

static const char *refuse(const cd_dev_env *env, const cd_dev_tx *tx) {
  state_key key = refuses_key(&tx->sender);
  put_amount(env, &key, ch_amount_of(tx->body.u.refuse ? 1 : 0));
  return NULL;
}

/* --- Transactions ----------------------------------------------------------------------------------------------- */

bool cd_dev_ledger_affordable(cd_sql_db *db, const cd_dev_tx *tx) {
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
  case CD_DEV_BATCH: return batch(env, tx);
  case CD_DEV_REFUSE: return refuse(env, tx);
  }
  return "unknown kind of transaction";
}
