/* chain_dev.c - the embedded chain: a file that all daemons share, in the world's own hands. */
#include "chain.h"

#include "l1/dev/adapter.h"

#define SIM_CHAIN OS_ROOT "chain/chain.db"
#define CALL_MS 60000

static cd_dev *dev; /* the world's */

/* One call of the chain, on a fiber: it may wait for others that use the file. */
typedef struct job {
  world *w;
  ch_addr who;
  uint64_t number;
  bool drop;
  ch_amount amount;
  ch_err err;
} job;

static const ch_addr coin = {0};

static job call(world *w, void (*fn)(void *arg), job j) {
  j.w = w;
  j.err = CH_ERR_BUG;
  if (!os_call(NULL, "chain", fn, &j, CALL_MS * OS_MS) || j.err) fail(w, "the world cannot use the chain");
  return j;
}

static void do_open(void *arg) {
  job *j = (job *)arg;
  char why[CD_DEV_WHY];
  const cd_dev_options opt = {.interval = j->w->interval, .chain_id = 1 + j->number};
  j->err = cd_dev_open(&dev, SIM_CHAIN, &opt, why);
}

static void do_give(void *arg) {
  job *j = (job *)arg;
  j->err = cd_dev_faucet(dev, &j->who, &coin, j->amount);
}

static void do_purse(void *arg) {
  job *j = (job *)arg;
  j->err = cd_dev_balance(dev, &j->who, &coin, &j->amount);
}

static void do_mine(void *arg) {
  job *j = (job *)arg;
  j->err = cd_dev_mine(dev, (unsigned)j->number);
}

static void do_warp(void *arg) {
  job *j = (job *)arg;
  j->err = cd_dev_warp(dev, j->number);
}

static void do_reorg(void *arg) {
  job *j = (job *)arg;
  j->err = cd_dev_reorg(dev, (unsigned)j->number, j->drop);
  if (j->err == CH_ERR_ARGUMENT) j->err = CH_OK; /* deeper than the chain is long */
}

static void begin(world *w) {
  os_machine_new("chain", OS_ROOT "chain", 0); /* for its folder */
  call(w, do_open, (job){.number = rng_below(&w->rng, 100000)});
}

static void give(world *w, const ch_addr *who, uint64_t amount) {
  call(w, do_give, (job){.who = *who, .amount = ch_amount_of(amount)});
}

static ch_amount purse(world *w, const ch_addr *who) {
  return call(w, do_purse, (job){.who = *who}).amount;
}

static void mine(world *w, unsigned blocks) {
  call(w, do_mine, (job){.number = blocks});
}

static void reorganise(world *w, unsigned depth, bool drop) {
  call(w, do_reorg, (job){.number = depth, .drop = drop});
}

static void warp(world *w, uint64_t seconds) {
  call(w, do_warp, (job){.number = seconds});
}

/* --- A daemon's ------------------------------------------------------------------------------------------------- */

static bool open_l1(host *d, const cd_config *c, const ch_secret *account, cd_l1 *out, char *why) {
  const cd_l1_dev_config cfg = {
      .path = SIM_CHAIN, .account = account, .confirmations = (uint32_t)c->confirmations, .poll_ms = d->w->poll_ms};
  return cd_l1_dev_open(out, &cfg, why) == CH_OK;
}

const chain_kind chain_dev = {"dev:" SIM_CHAIN, begin, give, purse, mine, reorganise, warp, open_l1, cd_l1_dev_close};

/* --- A view that stands still: the chain's calls are wrapped (--wrap) ----------------------------------------------
 */

ch_err __real_cd_dev_poll(cd_dev *d);
ch_err __wrap_cd_dev_poll(cd_dev *d);
ch_err __real_cd_dev_look_at(cd_dev *d, uint32_t confirmations, const cd_dev_look *since, const ch_hash *ids,
                             size_t n_ids, cd_dev_look *out, bool *reorganised,
                             void (*each)(void *arg, const ch_hash *id, const ch_chain_view *view), void *arg);
ch_err __wrap_cd_dev_look_at(cd_dev *d, uint32_t confirmations, const cd_dev_look *since, const ch_hash *ids,
                             size_t n_ids, cd_dev_look *out, bool *reorganised,
                             void (*each)(void *arg, const ch_hash *id, const ch_chain_view *view), void *arg);
cd_sent __real_cd_dev_submit(cd_dev *d, const uint8_t *bytes, size_t len, char why[CD_DEV_WHY]);
cd_sent __wrap_cd_dev_submit(cd_dev *d, const uint8_t *bytes, size_t len, char why[CD_DEV_WHY]);

/* A daemon that starts sees the chain: it would not start else. */
static bool is_blind(void) {
  const host *d = host_of_fiber();
  return d && d->blind && d->life == RUNNING;
}

ch_err __wrap_cd_dev_poll(cd_dev *d) {
  return is_blind() ? CH_OK : __real_cd_dev_poll(d);
}

ch_err __wrap_cd_dev_look_at(cd_dev *d, uint32_t confirmations, const cd_dev_look *since, const ch_hash *ids,
                             size_t n_ids, cd_dev_look *out, bool *reorganised,
                             void (*each)(void *arg, const ch_hash *id, const ch_chain_view *view), void *arg) {
  return is_blind() ? CH_ERR_BUG
                    : __real_cd_dev_look_at(d, confirmations, since, ids, n_ids, out, reorganised, each, arg);
}

/* What leaves for the chain is looked at like what leaves for a peer. */
cd_sent __wrap_cd_dev_submit(cd_dev *d, const uint8_t *bytes, size_t len, char why[CD_DEV_WHY]) {
  host *from = host_of_fiber();
  if (from) check_leaving(from, bytes, len);
  if (!is_blind()) return __real_cd_dev_submit(d, bytes, len, why);
  snprintf(why, CD_DEV_WHY, "The chain does not answer.");
  return CD_SENT_RETRY;
}
