/* payapp.c - a payment app on libchannel: two parties open, pay and close, on their own store, transport and chain. */
#include <channel/channel.h>
#include <err.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static struct party {
  struct party *peer;
  ch_keyring *keys;
  ch_signer signer;
  ch_pubkey node;
  ch_addr account; /* on the chain: where its money goes in the end */
  ch_opening opening;
  ch_channel *channel;
  uint8_t *record; /* the store; a real one has a row for each CH_FX_PAYMENT, too */
  size_t record_len;
  ch_msg inbox[64]; /* the transport: what the peer has sent */
  size_t n_inbox, n_read;
} alice, bob;
static ch_env env;
static ch_chain chain; /* which contract on which chain */
static ch_onchain onchain;
static int unseen; /* looks at the chain that are due */

static void must(ch_err err) {
  if (err != CH_OK) errx(1, "%s", ch_err_text(err));
}

/* The chain: executes a call at once, and remembers what both sides have to see. */
static void send_transaction(const struct party *from, const ch_tx *tx, ch_amount value) {
  ch_adj_call call = ch_adj_call_of(&chain, &from->account, value, env.now);
  ch_adj_result r;
  if (ch_adj_apply(&r, &onchain.slots, &call, tx) != CH_ADJ_NONE) return;
  ch_onchain after = {r.slots, r.event.kind == CH_ADJ_CLOSED || r.event.kind == CH_ADJ_SETTLED, r.event};
  onchain = after;
  unseen = 2;
}

/* The barrier: everything is saved before anything leaves. */
static void perform(struct party *me, ch_channel *next, ch_effects *fx) {
  bool known;
  if (fx->durable) {
    free(me->record);
    must(ch_channel_encode(next, &me->record, &me->record_len));
  }
  ch_channel_free(me->channel);
  me->channel = next;
  for (size_t i = 0; i < fx->n; i++) {
    const ch_effect *e = &fx->v[i];
    if (e->kind == CH_FX_TX) send_transaction(me, &e->u.tx.tx, e->u.tx.value);
    if (e->kind == CH_FX_SEND)
      must(ch_msg_decode(&me->peer->inbox[me->peer->n_inbox++], &known, e->u.send.bytes, e->u.send.len));
  }
  ch_effects_clear(fx);
}

static void happen(struct party *me, ch_event ev) {
  const ch_msg *m = ev.kind == CH_EV_MESSAGE ? ev.u.msg : NULL;
  ch_effects fx = {NULL, 0, 0, false};
  ch_channel *next;
  if (m && m->type == CH_MSG_OPEN_REQUEST) /* the place to look at the terms, and to say no */
    must(ch_open_answer(&next, &fx, &env, m, &me->peer->node, &chain, &me->account, &me->opening.nonce, &me->signer));
  else if (m && m->type == CH_MSG_OPEN_ACCEPT)
    must(ch_open_finish(&next, &fx, &env, &me->opening, m, &me->signer));
  else
    must(ch_step(&next, &fx, me->channel, &env, &ev, &me->signer));
  perform(me, next, &fx);
}

/* Shows blocks and delivers messages, to one side after the other, until nothing is left to do. */
static void run(void) {
  for (struct party *p = &alice; unseen || alice.n_read < alice.n_inbox || bob.n_read < bob.n_inbox; p = p->peer) {
    ch_chain_view view = {onchain, onchain};
    if (unseen) {
      unseen--;
      happen(p, ch_event_chain(&view));
    }
    if (p->n_read == p->n_inbox) continue;
    ch_msg *m = &p->inbox[p->n_read++];
    happen(p, ch_event_message(m));
    ch_msg_clear(m);
  }
}

static void join(struct party *me, struct party *peer) {
  uint8_t seed[64];
  randombytes_buf(seed, sizeof seed); /* a real one comes from words that its owner has written down */
  must(ch_keyring_new(&me->keys, seed));
  ch_wipe(seed, sizeof seed);
  me->signer = ch_keyring_signer(me->keys);
  must(me->signer.node_id(me->signer.ctx, &me->node));
  ch_keyring_address(me->keys, &me->account);
  randombytes_buf(me->opening.nonce.b, sizeof me->opening.nonce.b);
  me->peer = peer;
}

int main(void) {
  ch_op invoice = ch_op_pay("invoice-1", ch_amount_of(300)), refund = ch_op_pay("refund-1", ch_amount_of(50));
  ch_effects fx = {NULL, 0, 0, false};
  ch_info info;
  char a[CH_MONEY_STR], b[CH_MONEY_STR];
  if (sodium_init() < 0) return 1;
  env.now = env.head_time = env.final_time = 1700000000; /* here time stands still */
  env.freshness = 600;
  join(&alice, &bob);
  join(&bob, &alice);
  alice.opening.terms = ch_terms_default(&chain, &bob.node, &alice.account, ch_amount_of(1000), ch_amount_of(500));
  must(ch_open_request(&alice.opening, &alice.signer, &fx));
  perform(&alice, NULL, &fx);
  run();
  happen(&alice, ch_event_pay(&invoice, 1));
  happen(&bob, ch_event_pay(&refund, 1));
  run();
  happen(&alice, ch_event_of(CH_EV_CLOSE));
  run();
  ch_channel_info(bob.channel, &env, &info);
  printf("alice %s, bob %s\n", ch_amount_str(a, info.paid[0]), ch_amount_str(b, info.paid[1]));
  return info.phase == CH_PHASE_CLOSED && info.paid[0].v == 750 && info.paid[1].v == 750 ? 0 : 1;
}
