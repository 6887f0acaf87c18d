/* engine_fixture.h - two real channels in one process, and whatever a byzantine peer could say with one side's keys.
 *
 * Every step is checked for what holds always: an error changes nothing; a step that is not marked durable leaves the
 * record as it is; the record gives back the same channel; nobody signs two contents for one version; a payment that
 * was final never changes. */
#ifndef ENGINE_FIXTURE_H
#define ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/channel.h"

#define DUO_OUTBOX 64
#define DUO_SIGNED 256
#define DUO_CLOSES 64
#define DUO_ROWS 6000
#define DUO_PERIOD 86400
#define DUO_BOND 50
#define DUO_FRESHNESS 600
#define DUO_MARGIN 1200
#define DUO_REVEALS 160
#define DUO_LONGEST 259200

typedef struct duo_row {
  ch_op op;
  ch_payment_status status;
  uint64_t version;
  ch_err reason;
  ch_amount paid;
  bool has_preimage;
  ch_hash preimage;
} duo_row;

typedef struct duo_signed {
  uint16_t epoch;
  uint64_t version;
  ch_net net;
  ch_hash digest;
} duo_signed;

typedef struct duo_side {
  ch_secret node_key, channel_key;
  ch_pubkey node_id;
  ch_addr address; /* its L1 account and payout */
  ch_hash nonce, instance;
  ch_channel *channel;
  ch_effects fx; /* of the last step that worked */
  ch_msg out[DUO_OUTBOX];
  size_t n_out; /* sent, not delivered */
  duo_signed made[DUO_SIGNED];
  size_t n_made; /* state signatures */
  ch_close closes[DUO_CLOSES];
  size_t n_closes; /* Close signatures */
  duo_row *paid, *got;
  size_t n_paid, n_got;
} duo_side;

typedef struct duo {
  duo_side side[2];
  ch_chain chain;
  ch_params params;
  ch_hash id, domain, salt;
  ch_secret blind_key;
  ch_amount deposit[2];
  uint64_t now, head_time, final_time;
  ch_onchain head, final; /* of the chain */
  ch_adj_slots other;     /* of another channel, for moves into it */
  ch_reveal reveals[DUO_REVEALS];
  size_t n_reveals;
  ch_lock_limits limits; /* to agree on, as these: */
  ch_addr asset;
  bool opener_funds;
  uint64_t owed; /* every contract says that so much is */
} duo;

/* Keys and the deposits to agree on; no channel yet. */
void duo_make(duo *d, uint64_t deposit0, uint64_t deposit1);
/* Request, answer, accept: side 0 is in FUNDING with its confirmation in the outbox, side 1 in OPENING. */
void duo_agree(duo *d);
/* The rest of it, after duo_make. */
void duo_begin(duo *d);
/* All of it: both in OPEN, synced, with the deposits confirmed and nothing under way. */
void duo_open(duo *d, uint64_t deposit0, uint64_t deposit1);
void duo_free(duo *d);

/* --- Steps -------------------------------------------------------------------------------------------- */

ch_env duo_env(const duo *d, int s);
ch_signer duo_signer(duo *d, int s);
ch_err duo_step(duo *d, int s, const ch_event *ev);
ch_err duo_command(duo *d, int s, ch_event_kind kind);
ch_err duo_pay(duo *d, int s, const char *id, uint64_t amount);
ch_err duo_give(duo *d, int to, const ch_msg *m);
/* Gives the first message of `from`'s outbox to the other side. */
ch_err duo_deliver(duo *d, int from);
/* Delivers until nobody has anything to say; every message must be welcome. */
void duo_pump(duo *d);
void duo_drop(duo *d, int from); /* empties its outbox */
void duo_cut(duo *d);            /* both links down, outboxes lost */
void duo_connect(duo *d);        /* both links up */
/* Forgets the channel in memory and reads it again from its record. */
void duo_restart(duo *d, int s);

/* --- The chain ---------------------------------------------------------------------------------------- */

ch_adj_revert duo_send_tx_by(duo *d, const ch_addr *sender, uint64_t value, const ch_tx *tx);
static inline ch_adj_revert duo_send_tx(duo *d, int sender, uint64_t value, const ch_tx *tx) {
  return duo_send_tx_by(d, &d->side[sender].address, value, tx);
}
/* Sends the transactions that the last step of `s` wished for; each must be accepted. */
void duo_mine(duo *d, int s);
void duo_see(duo *d, int s); /* shows it the chain, and what it shows of the hashes of its locks */
void duo_finalise(duo *d);   /* what the chain shows is final now; both see it */
void duo_pass(duo *d, uint64_t seconds);
/* A co-signed state as a challenge of `side`; version 0 needs no state. */
ch_tx duo_challenge_tx(const duo *d, int side, uint64_t version, int64_t net);
ch_tx duo_refute_tx(const duo *d, uint64_t version, int64_t net);
ch_tx duo_settle_tx(const duo *d, uint64_t version, int64_t net);
ch_tx duo_close_tx(const duo *d, int64_t net, uint64_t valid_until);
ch_tx duo_deposit_tx(const duo *d, int side, uint64_t amount);

/* --- Forging ------------------------------------------------------------------------------------------ */

ch_hash duo_outcome(const duo *d, uint64_t version, int64_t net);
ch_hash duo_digest(const duo *d, uint64_t version, int64_t net);
ch_sig duo_sign(const duo *d, int by, uint64_t version, int64_t net);
ch_op duo_op_pay(const char *id, uint64_t amount);
ch_op duo_op(ch_op_kind kind);
/* `net` is what the signature says; `ops` must outlive the message. */
ch_msg duo_proposal(const duo *d, int from, uint64_t base, uint64_t version, int64_t net, ch_op *ops, uint32_t n);
ch_msg duo_refusal(const duo *d, int from, uint64_t base, uint64_t version, int64_t net, uint32_t index);
ch_msg duo_accept(const duo *d, int from, uint64_t version, int64_t net);
ch_msg duo_full_state(const duo *d, uint64_t version, int64_t net);
/* What `from` would say if it had latest version `version`. */
ch_msg duo_reestablish(const duo *d, int from, uint64_t version, int64_t net);
/* --- Locks -------------------------------------------------------------------------------------------- */

ch_hash duo_preimage(unsigned n);
ch_op duo_op_lock(const duo *d, const char *id, uint64_t amount, unsigned preimage, uint64_t seconds);
ch_err duo_lock(duo *d, int s, const char *id, uint64_t amount, unsigned preimage, uint64_t seconds);
ch_err duo_fulfil(duo *d, int s, const char *id, unsigned preimage);
ch_err duo_cancel(duo *d, int s, const char *id);
/* The lock with this payment id, as `s` sees it; false: none. */
bool duo_find_lock(const duo *d, int s, const char *id, ch_lock_info *out);
/* A proposal with exactly these operations, signed as they lead to from the pending locks of `of`. */
ch_msg duo_lock_proposal(duo *d, int from, int of, uint64_t base, uint64_t version, int64_t net, ch_op *ops,
                         uint32_t n);

ch_msg duo_close_msg(const duo *d, int from, int64_t net, uint64_t valid_until);

/* --- Looking ------------------------------------------------------------------------------------------ */

ch_info duo_info(const duo *d, int s);
size_t duo_count(const duo *d, int s, ch_effect_kind kind); /* in the last step */
const ch_effect *duo_find(const duo *d, int s, ch_effect_kind kind);
const ch_tx *duo_wish(const duo *d, int s, ch_tx_kind kind); /* NULL: not wished for */
/* The last message of this type in its outbox; NULL: none. */
const ch_msg *duo_said(const duo *d, int s, ch_msg_type type);
/* Of a payment made by `s`; 0: unknown. */
ch_payment_status duo_status(const duo *d, int s, const char *id);
/* Its row; of one made to `s` if `in`. NULL: none. */
const duo_row *duo_row_of(const duo *d, int s, bool in, const char *id);
bool duo_received(const duo *d, int s, const char *id);

/* The message is refused with `err` (that nothing changes, every step checks). */
void duo_refused(duo *d, int to, const ch_msg *m, ch_err err);
/* The message is no fault, but nothing is signed, said, paid or adopted. */
void duo_ignored(duo *d, int to, const ch_msg *m);
/* Frozen: says so, and signs nothing more. */
void duo_frozen(duo *d, int s);

#endif
