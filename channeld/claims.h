/* claims.h - the payment ids that are under way between a command and the disk.
 *
 * Together with the store's rows they make each id be paid exactly once: who wants to pay an id looks for a claim and a
 * row under the lock, and claims it before letting go. The claim ends when the row is durable or the payment refused.
 */
#ifndef CHANNELD_CLAIMS_H
#define CHANNELD_CLAIMS_H

#include <pthread.h>

#include "channel/channel.h"
#include "util/table.h"

/* A payment id as a key: its length and its bytes, zero padded. */
typedef struct cd_pay_id {
  uint8_t len;
  char text[CH_PAYMENT_ID_MAX];
} cd_pay_id;
cd_pay_id cd_pay_id_of(const ch_op *op);

typedef struct cd_claim {
  cd_pay_id id;
  ch_hash channel;
  ch_amount amount;
  ch_hash terms; /* of a conditional payment: what it asks for beside its time; else zero */
} cd_claim;

typedef struct cd_claims {
  pthread_mutex_t lock;
  cd_table table;
} cd_claims;

void cd_claims_init(cd_claims *c);
void cd_claims_free(cd_claims *c);
/* Both with c->lock held. add(): false if memory is out. */
const cd_claim *cd_claims_get(cd_claims *c, const cd_pay_id *id);
bool cd_claims_add(cd_claims *c, const cd_claim *claim);
/* Takes the lock itself. No such claim is fine. */
void cd_claims_end(cd_claims *c, const cd_pay_id *id);

#endif
