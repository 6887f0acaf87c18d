/* noted.c - see noted.h. */
#include "noted.h"

/* By what was hashed or signed, as hex: what it says. */
static json_t *outcomes, *digests, *signatures;
static json_t *made; /* since noted_collect */
static int (*whose)(const ch_secret *key);

static json_t *said(json_t *table, const void *key, size_t len) {
  char hex[2 * 64 + 1];
  ch_hex(hex, key, len);
  return json_object_get(table, hex);
}

static void keep(json_t *table, const void *key, size_t len, json_t *what) {
  char hex[2 * 64 + 1];
  ch_hex(hex, key, len);
  json_object_set_new(table, hex, what);
}

void __real_ch_outcome_hash(ch_hash *out, const ch_outcome *outcome);
void __wrap_ch_outcome_hash(ch_hash *out, const ch_outcome *outcome);
void __wrap_ch_outcome_hash(ch_hash *out, const ch_outcome *outcome) {
  __real_ch_outcome_hash(out, outcome);
  if (outcomes == NULL) return;
  json_t *o = json_object();
  put_net(o, "net", outcome->net);
  put_hash(o, "locksHash", outcome->locks_hash);
  put_hash(o, "blind", outcome->blind);
  keep(outcomes, out->b, sizeof out->b, o);
}

/* The typed data with this digest. */
static void note_digest(const ch_hash *digest, const char *type, json_t *data) {
  json_t *o = json_object();
  json_object_set_new(o, "type", json_string(type));
  json_object_set_new(o, "data", data);
  put_hash(o, "digest", *digest);
  keep(digests, digest->b, sizeof digest->b, o);
}

static void note_outcome(const ch_hash *digest, const ch_state *s) {
  json_t *outcome = said(outcomes, s->outcome_hash.b, sizeof s->outcome_hash.b);
  if (outcome != NULL) json_object_set(said(digests, digest->b, sizeof digest->b), "outcome", outcome);
}

static void no_outcome(const ch_hash *digest, const void *what) {
  (void)digest;
  (void)what;
}

#define NOTED(TYPE, name, what_t, also)                                                                                \
  void __real_ch_##name##_digest(ch_hash *out, const ch_hash *domain, const what_t *what);                             \
  void __wrap_ch_##name##_digest(ch_hash *out, const ch_hash *domain, const what_t *what);                             \
  void __wrap_ch_##name##_digest(ch_hash *out, const ch_hash *domain, const what_t *what) {                            \
    __real_ch_##name##_digest(out, domain, what);                                                                      \
    if (digests == NULL) return;                                                                                       \
    note_digest(out, TYPE, typed_##name(what));                                                                        \
    also(out, what);                                                                                                   \
  }

NOTED("State", state, ch_state, note_outcome)
NOTED("Close", close, ch_close, no_outcome)
NOTED("Withdraw", withdraw, ch_withdraw, no_outcome)
NOTED("Move", move, ch_move, no_outcome)
NOTED("Challenge", challenge, ch_challenge, no_outcome)
NOTED("Bounty", bounty, ch_bounty, no_outcome)
NOTED("OpenStatement", open, ch_open_statement, no_outcome)

ch_err __real_ch_sign(ch_sig *out, const ch_hash *digest, const ch_secret *key);
ch_err __wrap_ch_sign(ch_sig *out, const ch_hash *digest, const ch_secret *key);
ch_err __wrap_ch_sign(ch_sig *out, const ch_hash *digest, const ch_secret *key) {
  ch_err err = __real_ch_sign(out, digest, key);
  if (signatures == NULL || err) return err;
  json_t *o = json_copy(said(digests, digest->b, sizeof digest->b));
  json_object_set_new(o, "signer", json_integer(whose(key)));
  put_sig(o, "signature", *out);
  if (made != NULL) json_array_append(made, o);
  keep(signatures, out->b, sizeof out->b, o);
  return CH_OK;
}

void noted_begin(int (*side_of)(const ch_secret *key)) {
  whose = side_of;
  outcomes = json_object();
  digests = json_object();
  signatures = json_object();
}

void noted_end(void) {
  json_decref(outcomes);
  json_decref(digests);
  json_decref(signatures);
  outcomes = digests = signatures = NULL;
}

void noted_collect(void) {
  made = json_array();
}

json_t *noted_made(void) {
  json_t *list = made;
  made = NULL;
  return list;
}

json_t *noted_signature(const char *hex) {
  return json_object_get(signatures, hex);
}
