/* act.c - what the parties may wish for next. */
#include "world.h"

#include <jansson.h>

json_t *money_json(uint64_t amount) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)amount);
  return json_string(text);
}

static json_t *hex_json(const uint8_t *bytes, size_t len) {
  char text[2 * sizeof(ch_hash) + 3] = "0x";
  ch_hex(text + 2, bytes, len);
  return json_string(text);
}

static const char *text_of(const json_t *o, const char *name) {
  const char *text = json_string_value(json_object_get(o, name));
  return text ? text : "";
}

/* --- Channels --------------------------------------------------------------------------------------------------- */

/* Learns of a channel from a daemon's own words. */
int chan_learn(world *w, int who, const json_t *c) {
  const char *id = text_of(c, "id"), *peer = text_of(c, "peer");
  int side = (int)json_integer_value(json_object_get(c, "side")), other = 0, i = 0;
  while (other < w->n_people && strcmp(w->person[other].id_hex, peer) != 0)
    other++;
  while (i < w->n_chans && strcmp(w->chan[i].id, id) != 0)
    i++;
  if (i < w->n_chans || i == MAX_CHANNELS || other == w->n_people) return i;
  chan *n = &w->chan[w->n_chans++];
  *n = (chan){.who = {side ? other : who, side ? who : other}};
  snprintf(n->id, sizeof n->id, "%s", id);
  return i;
}

static void opened(ask *a) {
  if (a->cls <= CD_ACCEPTED) chan_learn(a->w, a->d->who, a->body);
}

void act_open(world *w, host *d) {
  int peer = (d->who + 1 + (int)rng_below(&w->rng, (unsigned)w->n_people - 1)) % w->n_people;
  if (w->n_chans + 2 >= MAX_CHANNELS || w->ending) return;
  json_t *args = json_pack("{s:s, s:o, s:i}", "peer", w->person[peer].id_hex, "deposit",
                           money_json(100 + rng_below(&w->rng, 3000)), "wait_ms", 20000);
  if (!ch_addr_is_zero(&w->asset)) json_object_set_new(args, "asset", hex_json(w->asset.b, sizeof w->asset));
  if (rng_chance(&w->rng, 30)) json_object_set_new(args, "peer_deposit", money_json(1 + rng_below(&w->rng, 2000)));
  if (ask_new(d, "channel.open", args, opened, 0)) happened(w, K_OPEN);
}

/* One of the person's channels that has not ended; -1: none. */
static int some_chan(world *w, int who) {
  int of[MAX_CHANNELS], n = 0;
  for (int i = 0; i < w->n_chans; i++)
    if (!w->chan[i].ended && (w->chan[i].who[0] == who || w->chan[i].who[1] == who)) of[n++] = i;
  return n ? of[rng_below(&w->rng, (unsigned)n)] : -1;
}

/* --- Payments --------------------------------------------------------------------------------------------------- */

/* What a row says of a payment must agree with what was said before. */
void pay_told(world *w, int i, const json_t *row) {
  pay *p = &w->pay[i];
  const char *status = text_of(row, "status");
  told now = strcmp(status, "settled") == 0                                                ? TOLD_SETTLED
             : strcmp(status, "failed") == 0 && !json_is_null(json_object_get(row, "seq")) ? TOLD_FAILED
                                                                                           : TOLD_NOTHING;
  if (p->told != TOLD_NOTHING && now != p->told && !w->person[p->from].lost)
    fail(w, "payment %s was told to be %s, and is %s", p->id, p->told == TOLD_SETTLED ? "settled" : "failed", status);
  if (now == TOLD_SETTLED && p->told != now) happened(w, K_SETTLED);
  p->told = now;
}

int pay_named(const world *w, const char *id) {
  int i = 0;
  while (i < w->n_pays && strcmp(w->pay[i].id, id) != 0)
    i++;
  return i < w->n_pays ? i : -1;
}

static void paid(ask *a) {
  size_t k;
  const json_t *row;
  const json_t *list = json_object_get(a->body, "payments");
  if (a->cls > CD_ACCEPTED) {
    happened(a->w, K_PAY_REFUSED);
    return;
  }
  json_array_foreach(list, k, row) {
    int i = pay_named(a->w, text_of(row, "id"));
    if (i >= 0) pay_told(a->w, i, row);
  }
  if (!list && pay_named(a->w, text_of(a->body, "id")) >= 0)
    pay_told(a->w, pay_named(a->w, text_of(a->body, "id")), a->body);
}

static pay *pay_new(world *w, int who, int c) {
  int i = w->n_pays++;
  pay *p = &w->pay[i];
  *p = (pay){.from = who, .to = w->chan[c].who[w->chan[c].who[0] == who], .chan = c};
  p->amount = 1 + rng_below(&w->rng, rng_chance(&w->rng, 10) ? 2000 : 60);
  snprintf(p->id, sizeof p->id, "p%d-%d", who, i);
  return p;
}

static json_t *pay_json(const world *w, const pay *p) {
  return json_pack("{s:s, s:o, s:s}", "id", p->id, "amount", money_json(p->amount), "channel", w->chan[p->chan].id);
}

static void act_pay(world *w, host *d) {
  int c = some_chan(w, d->who);
  unsigned n = rng_chance(&w->rng, 10) ? 5 + rng_below(&w->rng, 25) : 1;
  if (c < 0 || w->n_pays + n > MAX_PAYS || w->ending) return;
  json_t *list = json_array();
  for (unsigned i = 0; i < n; i++)
    json_array_append_new(list, pay_json(w, pay_new(w, d->who, c)));
  json_t *args = n == 1 ? json_incref(json_array_get(list, 0)) : json_pack("{s:O}", "payments", list);
  json_object_set_new(args, "wait_ms", json_integer(rng_chance(&w->rng, 70) ? 10000 : 0));
  json_decref(list);
  if (ask_new(d, "payment.create", args, paid, 0)) happened(w, n == 1 ? K_PAY : K_PAY_MANY);
}

/* As a client does that had no answer. */
static void act_pay_again(world *w, host *d) {
  if (!w->n_pays) return;
  const pay *p = &w->pay[rng_below(&w->rng, (unsigned)w->n_pays)];
  if (p->from != d->who || p->lock) return;
  json_t *args = pay_json(w, p);
  json_object_set_new(args, "wait_ms", json_integer(10000));
  if (ask_new(d, "payment.create", args, paid, 0)) happened(w, K_PAY_AGAIN);
}

/* --- Conditional payments ---------------------------------------------------------------------------------------- */

static void act_lock(world *w, host *d) {
  int c = some_chan(w, d->who);
  ch_hash hash;
  if (c < 0 || w->n_pays == MAX_PAYS || w->ending) return;
  pay *p = pay_new(w, d->who, c);
  p->lock = true;
  rng_hash(&w->rng, &p->preimage);
  ch_preimage_hash(&hash, &p->preimage);
  json_t *args = pay_json(w, p);
  json_object_set_new(args, "hash", hex_json(hash.b, sizeof hash.b));
  unsigned lasts = 3000 + rng_below(&w->rng, 6000);
  p->expires = seconds(w) + lasts + PERIOD;
  json_object_set_new(args, "expires_in", json_integer(lasts));
  json_object_set_new(args, "wait_ms", json_integer(10000));
  if (ask_new(d, "lock.add", args, paid, 0)) happened(w, K_LOCK);
}

static void act_resolve(world *w, host *d) {
  if (!w->n_pays) return;
  const pay *p = &w->pay[rng_below(&w->rng, (unsigned)w->n_pays)];
  for (int i = 0; i < 10 && (!p->lock || p->to != d->who); i++)
    p = &w->pay[rng_below(&w->rng, (unsigned)w->n_pays)];
  if (!p->lock || p->to != d->who) return;
  ch_hash hash;
  ch_preimage_hash(&hash, &p->preimage);
  bool fulfil = rng_chance(&w->rng, 75);
  json_t *which = hex_json(fulfil ? p->preimage.b : hash.b, sizeof hash.b);
  ask_only(d, fulfil ? "lock.fulfil" : "lock.cancel",
           json_pack("{s:o, s:i}", fulfil ? "preimage" : "hash", which, "wait_ms", 5000));
  happened(w, fulfil ? K_FULFIL : K_CANCEL);
}

/* --- Money in and out -------------------------------------------------------------------------------------------- */

static void act_money(world *w, host *d) {
  int c = some_chan(w, d->who), to = some_chan(w, d->who);
  if (c < 0 || w->ending) return;
  unsigned what = rng_below(&w->rng, 100);
  json_t *args = json_pack("{s:s, s:o, s:i}", "id", w->chan[c].id, "amount", money_json(1 + rng_below(&w->rng, 500)),
                           "wait_ms", rng_chance(&w->rng, 50) ? 20000 : 0);
  if (what < 40) {
    char name[24];
    snprintf(name, sizeof name, "d%u", rng_below(&w->rng, 6)); /* now and then one that was used */
    if (rng_chance(&w->rng, 50)) json_object_set_new(args, "deposit_id", json_string(name));
    ask_only(d, "channel.deposit", args);
    happened(w, K_DEPOSIT);
  } else if (what < 70 || to == c) {
    ask_only(d, "channel.withdraw", args);
    happened(w, K_WITHDRAW);
  } else {
    json_object_set_new(args, "to", json_string(w->chan[to].id));
    ask_only(d, "channel.move", args);
    happened(w, K_MOVE);
  }
}

/* --- Leaving ----------------------------------------------------------------------------------------------------- */

void act_leave(world *w, host *d, int c) {
  unsigned what = rng_below(&w->rng, 100);
  json_t *args = c < 0 ? NULL : json_pack("{s:s}", "id", w->chan[c].id);
  if (c < 0 || what < 5) {
    json_decref(args);
    ask_only(d, "channel.close_all", json_object());
    happened(w, K_CLOSE_ALL);
  } else if (what < 65) {
    if (rng_chance(&w->rng, 50)) json_object_set_new(args, "wait_ms", json_integer(30000));
    ask_only(d, "channel.close", args);
    happened(w, K_CLOSE);
  } else {
    ask_only(d, "channel.challenge", args);
    happened(w, K_CHALLENGE);
  }
}

/* --- The rest ---------------------------------------------------------------------------------------------------- */

static void act_look(world *w, host *d) {
  static const char *const methods[] = {"info",         "channel.list",   "peer.list",      "payment.list",
                                        "lock.list",    "l1.status",      "wallet.balance", "wallet.address",
                                        "channel.show", "channel.history"};
  unsigned k = rng_below(&w->rng, sizeof methods / sizeof *methods);
  int c = some_chan(w, d->who);
  if (k >= 8 && c < 0) return;
  ask_only(d, methods[k], k < 8 ? json_object() : json_pack("{s:s}", "id", w->chan[c].id));
  happened(w, K_LOOK);
}

void connect_to(host *d, int who) {
  const world *w = d->w;
  ask_only(
      d, "peer.connect",
      json_pack("{s:s, s:s, s:i}", "node_id", w->person[who].id_hex, "address", w->host[who].address, "wait_ms", 0));
}

static void act_peer(world *w, host *d) {
  int who = (d->who + 1 + (int)rng_below(&w->rng, (unsigned)w->n_people - 1)) % w->n_people;
  if (rng_chance(&w->rng, 40)) {
    ask_only(d, "peer.forget", json_pack("{s:s}", "node_id", w->person[who].id_hex));
    happened(w, K_FORGET);
  } else {
    connect_to(d, who);
  }
}

static void act_freeze(world *w, host *d) {
  int c = some_chan(w, d->who);
  bool freeze = rng_chance(&w->rng, 30);
  if (c < 0) return;
  ask_only(d, freeze ? "channel.freeze" : "channel.resume", json_pack("{s:s}", "id", w->chan[c].id));
  happened(w, freeze ? K_FREEZE : K_RESUME);
}

static void act_wish(world *w, host *d) {
  unsigned what = rng_below(&w->rng, 1000);
  if (what < 500)
    act_pay(w, d);
  else if (what < 600)
    act_pay_again(w, d);
  else if (what < 750)
    !w->with_locks ? act_pay(w, d) : rng_chance(&w->rng, 50) ? act_lock(w, d) : act_resolve(w, d);
  else if (what < 850)
    act_money(w, d);
  else if (what < 890)
    act_open(w, d);
  else if (what < 950)
    act_look(w, d);
  else if (what < 970)
    act_peer(w, d);
  else if (what < 974)
    act_freeze(w, d);
  else if (what < 988)
    act_leave(w, d, some_chan(w, d->who));
}

/* A wish or a fault; then time passes: some steps of the daemons, or longer. */
void act(world *w) {
  host *d = some_daemon(w);
  if (d && rng_chance(&w->rng, 75))
    act_wish(w, d);
  else
    act_fault(w);
  unsigned how = rng_below(&w->rng, 100);
  if (how < 30)
    return; /* the next one comes at the same time */
  else if (how < 65)
    run_steps(w, rng_below(&w->rng, 150));
  else
    run_ms(w, rng_below(&w->rng, rng_chance(&w->rng, 20) ? 8000 : 600));
}
