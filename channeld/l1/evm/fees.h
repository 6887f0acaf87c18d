/* fees.h - what a transaction offers, and when it offers more. Pure functions, any thread.
 *
 * Fees are wei for each unit of gas (EIP-1559). A block's base fee rises by an eighth at most, so an offer of twice the
 * base fee stays good for five full blocks. What the producer gets on top follows the market; with a deadline it rises
 * on top of that, from the first offer on, and reaches the limit when half of the time is over. Nodes take a
 * replacement only if both fees rise by a tenth; ours rise by an eighth at least.
 */
#ifndef CHANNELD_L1_EVM_FEES_H
#define CHANNELD_L1_EVM_FEES_H

#include <jansson.h>

#include "channel/types.h"

#define CD_FEE_BLOCKS 10 /* that eth_feeHistory is asked for, with the percentile below */
#define CD_FEE_PERCENTILE 50

typedef struct cd_fee {
  uint64_t max, priority; /* priority <= max */
} cd_fee;

typedef struct cd_market {
  uint64_t base;     /* of the next block */
  uint64_t priority; /* the median of what blocks' transactions lately paid on top */
} cd_market;

/* Reads eth_feeHistory's result. False if it is not what was asked for. */
bool cd_fee_market(cd_market *out, const json_t *history) CH_MUST_CHECK;

/* How much of the time there is has passed: 0 to 1000, which is reached half-way. 0 without a deadline. */
unsigned cd_fee_urgency(uint64_t since, uint64_t deadline, uint64_t now);

/* The first offer, never above `limit`. */
cd_fee cd_fee_offer(const cd_market *m, unsigned urgency, uint64_t limit);
/* The next one, if it is time: the schedule asks for more, or `old` cannot be mined now, or it was `refused` as too
 * low. False if it is not, or if `limit` leaves no room for a replacement that nodes would take. */
bool cd_fee_outbid(cd_fee *out, const cd_fee *old, const cd_market *m, unsigned urgency, uint64_t limit, bool refused);

#endif
