#include "fees.h"

#include <stdlib.h>

#include "channel/money.h"
#include "l1/evm/value.h"

#define URGENT 1000u
#define PRIORITY_FLOOR 1000000u /* wei: nodes leave out what pays nothing */
#define PRIORITY_SHARE 4        /* the last offer's priority is this part of the limit */
#define BASE_FEE_MAX (UINT64_MAX / 8)

static uint64_t least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

/* --- The market ----------------------------------------------------------------------------------------------------
 */

static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* A block without transactions says nothing of what they pay: it reports 0. */
static bool read_rewards(const json_t *rewards, uint64_t *median) {
  uint64_t paid[CD_FEE_BLOCKS];
  size_t n = 0;
  if (json_array_size(rewards) > CD_FEE_BLOCKS) return false;
  for (size_t i = 0; i < json_array_size(rewards); i++) {
    const json_t *block = json_array_get(rewards, i);
    uint64_t fee;
    if (json_array_size(block) != 1 || !cd_value_u64(json_array_get(block, 0), &fee)) return false;
    if (fee > 0) paid[n++] = fee;
  }
  qsort(paid, n, sizeof *paid, by_size);
  *median = n == 0 ? 0 : paid[n / 2];
  return true;
}

bool cd_fee_market(cd_market *out, const json_t *history) {
  const json_t *bases = json_object_get(history, "baseFeePerGas"), *rewards = json_object_get(history, "reward");
  size_t n = json_array_size(bases);
  if (n < 2 || n > CD_FEE_BLOCKS + 1) return false;
  if (!cd_value_u64(json_array_get(bases, n - 1), &out->base) || out->base > BASE_FEE_MAX) return false;
  return read_rewards(rewards, &out->priority);
}

/* --- Offers --------------------------------------------------------------------------------------------------------
 */

unsigned cd_fee_urgency(uint64_t since, uint64_t deadline, uint64_t now) {
  if (deadline == 0 || now <= since) return 0;
  if (deadline <= since) return URGENT;
  uint64_t half = (deadline - since) / 2 + 1, passed = now - since;
  return passed >= half ? URGENT : (unsigned)((ch_u128)passed * URGENT / half);
}

cd_fee cd_fee_offer(const cd_market *m, unsigned urgency, uint64_t limit) {
  uint64_t usual = least(most(m->priority, PRIORITY_FLOOR), limit), last = most(usual, limit / PRIORITY_SHARE);
  /* With the square of the time: gently at first. */
  uint64_t rise = (uint64_t)((ch_u128)(last - usual) * urgency * urgency / (URGENT * URGENT));
  cd_fee fee = {.priority = usual + rise};
  fee.max = least(limit, 2 * m->base + fee.priority);
  if (urgency == URGENT) fee.max = limit;
  fee.priority = least(fee.priority, fee.max);
  return fee;
}

/* An eighth more, rounded up. */
static uint64_t raised(uint64_t fee) {
  return fee + fee / 8 + 1;
}

bool cd_fee_outbid(cd_fee *out, const cd_fee *old, const cd_market *m, unsigned urgency, uint64_t limit, bool refused) {
  cd_fee want = cd_fee_offer(m, urgency, limit);
  bool too_low = old->max < m->base + least(old->priority, PRIORITY_FLOOR);
  /* In few steps: each of them raises the other fee, too, and that has to last until the deadline. */
  bool rises = want.priority >= raised(old->priority) + old->priority / 2;
  if (urgency == URGENT) rises = true; /* the last one: all that there is */
  if (!refused && !too_low && !rises) return false;
  if (old->max > BASE_FEE_MAX || raised(old->max) > limit) return false;
  out->max = most(want.max, raised(old->max));
  out->priority = most(want.priority, raised(old->priority));
  return out->priority <= out->max;
}
