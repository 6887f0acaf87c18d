/* signed.c - what was signed, and what of it has left: never two contents for one version, and nothing that is not on
 * the disk. The signer is wrapped (--wrap=ch_keyring_signer); what leaves is searched for its signatures, wherever in a
 * message they stand. */
#include "world.h"

#include <stdlib.h>

#include "channel/signer.h"

#define SLOTS 8192 /* a power of two, more than one world signs */
#define SLACK 30   /* seconds that may pass between a look at the clock and a signature */

/* One signature of a state. */
typedef struct content {
  bool used;
  ch_sig sig;
  int who;
  ch_state state;
} content;

/* The first content that left for a version. */
typedef struct version {
  bool used;
  int who;
  ch_state state;
} version;

struct signed_content {
  content at[SLOTS];
  size_t n;
};
struct left_content {
  version at[SLOTS];
  size_t n;
};

static ch_err (*real_sign_state)(void *ctx, ch_sig *out, const ch_sign_state *request);

void signed_begin(world *w) {
  w->signatures = (struct signed_content *)calloc(1, sizeof *w->signatures);
  w->left = (struct left_content *)calloc(1, sizeof *w->left);
  if (!w->signatures || !w->left) abort();
}

void signed_end(world *w) {
  free(w->signatures);
  free(w->left);
}

static size_t slot_of(const uint8_t *bytes) {
  uint64_t v;
  memcpy(&v, bytes, sizeof v);
  return (size_t)((v * 0x9e3779b97f4a7c15u) >> 51);
}

/* The place of this signature, or where it would be. */
static content *content_at(const world *w, const uint8_t *sig) {
  size_t i = slot_of(sig);
  content *at = w->signatures->at;
  while (at[i].used && memcmp(at[i].sig.b, sig, sizeof at[i].sig) != 0)
    i = (i + 1) % SLOTS;
  return &at[i];
}

static version *version_at(const world *w, int who, const ch_state *s) {
  size_t i = (slot_of(s->id.b) + s->version * 31 + (size_t)who) % SLOTS;
  version *at = w->left->at;
  while (at[i].used && !(at[i].who == who && ch_hash_eq(&at[i].state.id, &s->id) && at[i].state.epoch == s->epoch &&
                         at[i].state.version == s->version))
    i = (i + 1) % SLOTS;
  return &at[i];
}

/* --- Signing ---------------------------------------------------------------------------------------------------- */

/* Nothing may be signed by a node that has not seen the chain for long. */
static void check_fresh(const host *d) {
  cd_node *n = d->node;
  if (!n) return;
  uint64_t now = n->l1.ops->now(n->l1.ctx), seen = n->head.time;
  if (now > seen && now - seen > FRESHNESS + SLACK)
    fail(d->w, "%s signs, but its last block is %llu seconds old", os_name(d->machine),
         (unsigned long long)(now - seen));
}

static ch_err sign_state(void *ctx, ch_sig *out, const ch_sign_state *request) {
  ch_err err = real_sign_state(ctx, out, request);
  const host *d = host_of_fiber();
  if (err || !d) return err;
  check_fresh(d);
  content *c = content_at(d->w, out->b);
  if (c->used) return err;
  if (d->w->signatures->n++ > SLOTS / 2) abort();
  *c = (content){true, *out, d->who, request->state};
  return err;
}

ch_signer __real_ch_keyring_signer(ch_keyring *k);
ch_signer __wrap_ch_keyring_signer(ch_keyring *k);

ch_signer __wrap_ch_keyring_signer(ch_keyring *k) {
  ch_signer s = __real_ch_keyring_signer(k);
  real_sign_state = s.sign_state;
  s.sign_state = sign_state;
  return s;
}

/* --- Leaving ---------------------------------------------------------------------------------------------------- */

static void check_one(host *d, const content *c) {
  world *w = d->w;
  version *v = version_at(w, c->who, &c->state);
  if (!v->used) {
    if (w->left->n++ > SLOTS / 2) abort();
    *v = (version){true, c->who, c->state};
  } else if (!ch_hash_eq(&v->state.outcome_hash, &c->state.outcome_hash) && !w->person[c->who].lost) {
    fail(w, "%s sends a second content for version %llu of epoch %d", os_name(d->machine),
         (unsigned long long)c->state.version, c->state.epoch);
  }
}

void check_leaving(host *d, const uint8_t *bytes, size_t len) {
  d->w->messages++;
  for (size_t i = 0; i + sizeof(ch_sig) <= len; i++) {
    const content *c = content_at(d->w, bytes + i);
    if (c->used && c->who == d->who) check_one(d, c);
  }
}

/* --- After a start ---------------------------------------------------------------------------------------------- */

/* The highest version of each channel's latest epoch that has left must be known to the disk. */
static bool check_record(void *arg, const ch_hash *id, const uint8_t *record, size_t len) {
  host *d = (host *)arg;
  const ch_env env = {0};
  ch_channel *c;
  ch_info info;
  if (ch_channel_decode(&c, record, len, NULL, 0)) {
    fail(d->w, "%s: a channel on its disk cannot be read", os_name(d->machine));
    return false;
  }
  ch_channel_info(c, &env, &info);
  ch_channel_free(c);
  for (size_t i = 0; i < SLOTS; i++) {
    const version *v = &d->w->left->at[i];
    if (!v->used || v->who != d->who || !ch_hash_eq(&v->state.id, id)) continue;
    if (v->state.epoch < info.epoch || (v->state.epoch == info.epoch && v->state.version <= info.highest_signed))
      continue;
    fail(d->w, "%s: version %llu has left, its disk knows %llu", os_name(d->machine),
         (unsigned long long)v->state.version, (unsigned long long)info.highest_signed);
  }
  return true;
}

static bool check_row(void *arg, const cd_payment *row) {
  *(cd_payment *)arg = *row;
  return false;
}

/* What a client was told is still so. */
static void check_told(host *d, const cd_store *store, const pay *p) {
  cd_payment row = {.status = 0};
  const cd_payment_filter f = {.id = p->id, .direction = 1, .limit = 1};
  ch_payment_status want = p->told == TOLD_SETTLED ? CH_PAYMENT_SETTLED : CH_PAYMENT_FAILED;
  if (store->ops->payments(store->ctx, &f, check_row, &row)) return;
  if (row.status != want) fail(d->w, "%s: what was told of payment %s is not on its disk", os_name(d->machine), p->id);
}

void check_durable(host *d, const cd_store *store) {
  const world *w = d->w;
  if (w->person[d->who].lost || w->failure) return;
  if (store->ops->channels(store->ctx, check_record, d) && !d->ill)
    fail(d->w, "%s: its channels cannot be read", os_name(d->machine));
  for (int i = 0; i < w->n_pays && !w->failure; i++)
    if (w->pay[i].from == d->who && w->pay[i].told != TOLD_NOTHING) check_told(d, store, &w->pay[i]);
}
