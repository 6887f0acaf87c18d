/* check.c - the promises: what must hold at all times, when all is well again, and after the end. */
#include "world.h"

#include <jansson.h>

#define ASK_MS 60000

static const char *text_of(const json_t *o, const char *name) {
  const char *text = json_string_value(json_object_get(o, name));
  return text ? text : "";
}

static json_int_t number_of(const json_t *o, const char *name) {
  return json_integer_value(json_object_get(o, name));
}

void check_always(world *w) {
  asks_look(w);
}

/* --- Channels ----------------------------------------------------------------------------------------------------- */

static json_t *list_channels(host *d) {
  json_t *body = ask_now(d, "channel.list", json_object(), ASK_MS);
  json_t *list = json_incref(json_object_get(body, "channels"));
  if (!list && d->life == RUNNING) fail(d->w, "%s does not list its channels", os_name(d->machine));
  json_decref(body);
  return list;
}

/* A channel as one of its sides sees it; NULL: it does not know it. Borrowed from the list. */
static const json_t *channel_in(const json_t *list, const char *id) {
  size_t k;
  const json_t *c;
  json_array_foreach((json_t *)(uintptr_t)list, k, c) if (strcmp(text_of(c, "id"), id) == 0) return c;
  return NULL;
}

static bool is_empty(const json_t *c) {
  const json_t *money = json_object_get(c, "contributions");
  return strcmp(text_of(money, "mine"), "0") == 0 && strcmp(text_of(money, "peer"), "0") == 0;
}

/* One that never got money waits for it without end. */
static bool is_over(const json_t *c) {
  const char *phase = text_of(c, "phase");
  bool early = strcmp(phase, "opening") == 0 || strcmp(phase, "funding") == 0;
  return strcmp(phase, "closed") == 0 || strcmp(phase, "abandoned") == 0 || (early && is_empty(c));
}

static bool is_idle(const json_t *c) {
  return number_of(c, "outstanding") == 0 && number_of(c, "queued") == 0 && json_is_true(json_object_get(c, "synced"));
}

static bool is_phase(const json_t *c, const char *phase) {
  return strcmp(text_of(c, "phase"), phase) == 0;
}

static bool is_frozen(const json_t *c) {
  return json_is_true(json_object_get(c, "frozen"));
}

/* The two sides of a channel, in agreement or on the way to it. */
static bool agree(const json_t *a, const json_t *b) {
  return number_of(a, "version") == number_of(b, "version") && number_of(a, "epoch") == number_of(b, "epoch") &&
         strcmp(text_of(a, "net"), text_of(b, "net")) == 0 && is_idle(a) && is_idle(b);
}

static void describe(const world *w, int i, const json_t *side[2]) {
  for (int s = 0; s < 2; s++) {
    char *text = json_dumps(side[s], JSON_COMPACT);
    note(w, "channel %d, %d: %s", i, w->chan[i].who[s], text ? text : "unknown");
    free(text);
  }
}

typedef struct lists {
  json_t *of[MAX_NODES];
} lists;

static lists *lists_new(world *w) {
  lists *l = (lists *)calloc(1, sizeof *l);
  if (!l) abort();
  for (int i = 0; i < w->n_people && !w->failure; i++) {
    size_t k;
    const json_t *c;
    l->of[i] = list_channels(&w->host[i]);
    json_array_foreach(l->of[i], k, c) chan_learn(w, i, c);
  }
  return l;
}

static void lists_free(lists *l) {
  for (int i = 0; i < MAX_NODES; i++)
    json_decref(l->of[i]);
  free(l);
}

static void sides_of(const world *w, const lists *l, int i, const json_t *side[2]) {
  for (int s = 0; s < 2; s++)
    side[s] = channel_in(l->of[w->chan[i].who[s]], w->chan[i].id);
}

/* Both sides are open, and not at one. */
static bool all_agree(world *w, bool tell) {
  lists *l = lists_new(w);
  bool all = true;
  for (int i = 0; i < w->n_chans; i++) {
    const json_t *side[2];
    sides_of(w, l, i, side);
    if (!side[0] || !side[1] || !is_phase(side[0], "open") || !is_phase(side[1], "open")) continue;
    if (is_frozen(side[0]) || is_frozen(side[1]) || agree(side[0], side[1])) continue;
    all = false;
    if (tell) describe(w, i, side);
  }
  lists_free(l);
  return all;
}

void check_converged(world *w) {
  for (int i = 0; i < 12 && !w->failure; i++) {
    if (all_agree(w, false)) return;
    run_ms(w, 5000);
  }
  if (!w->failure && !all_agree(w, true)) fail(w, "the sides of a channel did not converge");
}

bool all_ended(world *w, bool tell) {
  lists *l = lists_new(w);
  bool all = true;
  for (int i = 0; i < w->n_chans; i++) {
    const json_t *side[2];
    sides_of(w, l, i, side);
    bool over = (!side[0] || is_over(side[0])) && (!side[1] || is_over(side[1]));
    if (over && !w->chan[i].ended) happened(w, K_ENDED);
    w->chan[i].ended = over;
    all &= over;
    if (!over && tell) describe(w, i, side);
  }
  lists_free(l);
  return all;
}

/* --- Payments ----------------------------------------------------------------------------------------------------- */

typedef struct row {
  bool there;
  char status[12];
  uint64_t amount;
} row;

typedef struct books {
  row out[MAX_PAYS], in[MAX_PAYS];
} books;

static void enter(world *w, books *b, int who, const json_t *p) {
  int i = pay_named(w, text_of(p, "id"));
  bool in = strcmp(text_of(p, "direction"), "in") == 0;
  if (i < 0 || (in ? w->pay[i].to : w->pay[i].from) != who) {
    fail(w, "node %d has a payment %s that nobody made", who, text_of(p, "id"));
    return;
  }
  row *r = in ? &b->in[i] : &b->out[i];
  if (r->there) fail(w, "node %d has payment %s twice", who, w->pay[i].id);
  r->there = true;
  snprintf(r->status, sizeof r->status, "%s", text_of(p, "status"));
  r->amount = strtoull(text_of(p, "amount"), NULL, 10);
  if (!in) pay_told(w, i, p);
}

static void read_books(world *w, books *b, int who) {
  json_int_t after = 0;
  for (bool more = true; more && !w->failure;) {
    json_t *args = json_pack("{s:I, s:i}", "after", after, "limit", 1000), *list;
    json_t *body = ask_now(&w->host[who], "payment.list", args, ASK_MS);
    size_t k;
    const json_t *p;
    list = json_object_get(body, "payments");
    if (!list) fail(w, "node %d does not list its payments", who);
    json_array_foreach(list, k, p) {
      enter(w, b, who, p);
      after = number_of(p, "seq");
    }
    more = json_array_size(list) == 1000;
    json_decref(body);
  }
}

static bool has(const row *r, const char *status) {
  return r->there && strcmp(r->status, status) == 0;
}

/* One payment in both books, after the end of its channel. */
static void check_pay(world *w, const books *b, int i) {
  const pay *p = &w->pay[i];
  const row *out = &b->out[i], *in = &b->in[i];
  if (w->person[p->from].lost || w->person[p->to].lost) return;
  if (p->told != TOLD_NOTHING && !out->there) fail(w, "payment %s was told of, and is in no book", p->id);
  if (has(out, "pending") || has(out, "locked") || has(in, "locked"))
    fail(w, "payment %s is still %s after the end", p->id, out->there ? out->status : in->status);
  if (has(out, "settled") != has(in, "settled"))
    fail(w, "payment %s is %s here, and %s there", p->id, out->there ? out->status : "unknown",
         in->there ? in->status : "unknown");
  if (has(out, "settled") && (out->amount != in->amount || out->amount != p->amount))
    fail(w, "payment %s has changed its amount", p->id);
}

/* Everybody has what its own books say, and no money was made or lost. Beside somebody who has lost its memory one can
 * only have more: what that one has forgotten, or its bond. */
static void check_purses(world *w, const books *b) {
  long long net[MAX_NODES] = {0}, all = 0;
  bool lost = false;
  for (int i = 0; i < w->n_pays; i++) {
    if (has(&b->out[i], "settled")) net[w->pay[i].from] -= (long long)b->out[i].amount;
    if (has(&b->in[i], "settled")) net[w->pay[i].to] += (long long)b->in[i].amount;
  }
  for (int i = 0; i < w->n_people; i++)
    lost |= w->person[i].lost;
  for (int i = 0; i < w->n_people && !w->failure; i++) {
    long long given = (long long)w->person[i].given.v, want = given + net[i], have = (long long)chain_purse(w, i).v;
    all += have - given;
    if (w->person[i].lost || have == want || (lost && have > want)) continue;
    fail(w, "node %d has %lld, and should have %lld", i, have, want);
  }
  if (all != 0) fail(w, "there is %+lld more money than was given", all);
}

void check_ending(world *w) {
  books *b = (books *)calloc(1, sizeof *b);
  if (!b) abort();
  for (int i = 0; i < w->n_people && !w->failure; i++)
    read_books(w, b, i);
  for (int i = 0; i < w->n_pays && !w->failure; i++)
    check_pay(w, b, i);
  if (!w->failure) check_purses(w, b);
  free(b);
}
