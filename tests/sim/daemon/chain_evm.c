/* chain_evm.c - an EVM chain in memory (tests/support/evm_chain.h) behind nodes that speak JSON-RPC, and the adapter
 * for real chains on them. Channels are in a token: its balances add up, while the coin pays for gas. */
#include "chain.h"

#include <stdlib.h>

#include "evm_node.h"
#include "l1/evm/adapter.h"

#define CALL_MS 60000
#define LOOK_MS 2                       /* between two looks whether an answer is there */
#define GAS_MONEY 10000000000000000000u /* wei */
#define FEE_LIMIT 500000000000u         /* wei for a unit of gas */

static evm_chain *chain;
static evm_node nodes[MAX_DAEMONS]; /* each daemon's own, with faults of their own */

/* A call of the chain, or of its nodes, on a fiber of no machine: the chain has a lock, which must not die with a
 * daemon. */
typedef struct job {
  world *w;
  ch_addr who;
  uint64_t number;
  bool drop;
  ch_amount amount;
} job;

static job call(world *w, void (*fn)(void *arg), job j) {
  j.w = w;
  if (!os_call(NULL, "chain", fn, &j, CALL_MS * OS_MS)) fail(w, "the world cannot use the chain");
  return j;
}

static uint64_t wall(void *ctx) {
  const world *w = (const world *)ctx;
  return OS_EPOCH + seconds(w);
}

static ch_addr token(const world *w) {
  return evm_chain_token((evm_token)(w->seed % EVM_TOKENS));
}

/* --- The chain ---------------------------------------------------------------------------------------------------- */

static void do_give(void *arg) {
  const job *j = (const job *)arg;
  const ch_addr coin = {0}, asset = token(j->w);
  evm_chain_give(chain, &j->who, &coin, ch_amount_of(GAS_MONEY));
  evm_chain_give(chain, &j->who, &asset, j->amount);
}

static void do_purse(void *arg) {
  job *j = (job *)arg;
  const ch_addr asset = token(j->w);
  j->amount = evm_chain_balance(chain, &j->who, &asset);
}

static void do_mine(void *arg) {
  const job *j = (const job *)arg;
  for (uint64_t i = 0; i < j->number; i++)
    evm_chain_mine(chain, wall(j->w));
}

static void do_reorganise(void *arg) {
  const job *j = (const job *)arg;
  if (evm_chain_head(chain).number <= j->number) return;
  evm_chain_undo(chain, (unsigned)j->number, j->drop);
  for (uint64_t i = 0; i <= j->number; i++)
    evm_chain_mine(chain, wall(j->w));
}

/* A block every `interval` seconds, for ever. */
static void miner(void *arg) {
  world *w = (world *)arg;
  evm_chain_mine(chain, wall(w));
  os_start_after(NULL, w->interval * OS_S, "miner", miner, w, NULL);
}

static void begin(world *w) {
  const evm_chain_config cfg = {.chain_id = 1 + rng_below(&w->rng, 100000), .time = OS_EPOCH};
  w->asset = token(w);
  chain = evm_chain_new(&cfg);
  os_start_after(NULL, w->interval * OS_S, "miner", miner, w, NULL);
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
  call(w, do_reorganise, (job){.number = depth, .drop = drop});
}

/* The time has passed already, for all clocks that the adapters see. */
static void warp(world *w, uint64_t seconds) {
  (void)seconds;
  call(w, do_mine, (job){.number = 1});
}

/* --- A daemon's nodes -----------------------------------------------------------------------------------------------
 */

/* One request. It outlives the daemon that made it. */
typedef struct request {
  cd_http port;
  char *url, *body;
  size_t len, limit;
  uint32_t timeout;
  cd_http_answer answer;
  bool done;
} request;

static void serve(void *arg) {
  request *r = (request *)arg;
  r->port.post(r->port.ctx, r->url, r->body, r->len, r->limit, r->timeout, &r->answer);
  r->done = true;
}

/* What leaves for the chain is looked at like what leaves for a peer. */
static void look_at_raw(host *d, const char *body) {
  static const char method[] = "eth_sendRawTransaction";
  uint8_t raw[16384];
  for (const char *at = strstr(body, method); at; at = strstr(at + 1, method)) {
    const char *hex = strstr(at, "0x");
    size_t digits = hex ? strspn(hex + 2, "0123456789abcdefABCDEF") : 0;
    char *text = hex ? strndup(hex, 2 + digits) : NULL;
    if (text && digits / 2 <= sizeof raw && ch_unhex(raw, digits / 2, text)) check_leaving(d, raw, digits / 2);
    free(text);
  }
}

static void post(void *ctx, const char *url, const char *body, size_t len, size_t limit, uint32_t timeout_ms,
                 cd_http_answer *out) {
  host *d = (host *)ctx;
  *out = (cd_http_answer){0};
  look_at_raw(d, body);
  if (d->blind && d->life == RUNNING) {
    os_sleep(timeout_ms * OS_MS);
    fake_silence(out, "no answer");
    return;
  }
  request *r = (request *)calloc(1, sizeof *r);
  if (!r) abort();
  *r = (request){.port = evm_node_http(&nodes[d - d->w->host]),
                 .url = strdup(url),
                 .body = strndup(body, len),
                 .len = len,
                 .limit = limit,
                 .timeout = timeout_ms};
  os_start_after(NULL, os_chance(LOOK_MS * OS_MS), "rpc", serve, r, NULL);
  while (!r->done)
    os_sleep(LOOK_MS * OS_MS);
  *out = r->answer;
  free(r->url);
  free(r->body);
  free(r);
}

static void close_nothing(void *ctx) {
  (void)ctx;
}

static bool open_l1(host *d, const cd_config *c, const ch_secret *account, cd_l1 *out, char *why) {
  size_t i = (size_t)(d - d->w->host);
  char path[SIM_ADDRESS + 16];
  const ch_chain is = evm_chain_identity(chain);
  const cd_http http = {.ctx = d, .post = post, .close = close_nothing};
  snprintf(path, sizeof path, "%s/evm.db", d->folder);
  if (nodes[i].n == 0) evm_node_init(&nodes[i], chain, 1 + (size_t)(d->w->seed % 3));
  const cd_l1_evm_config cfg = {.urls = evm_node_urls,
                                .n_urls = nodes[i].n,
                                .chain_id = is.chain_id,
                                .contract = is.adjudicator,
                                .path = path,
                                .account = account,
                                .confirmations = (uint32_t)c->confirmations,
                                .poll_ms = d->w->poll_ms,
                                .fee_limit = FEE_LIMIT,
                                .http = &http,
                                .wall = wall,
                                .wall_ctx = d->w};
  return cd_l1_evm_open(out, &cfg, why) == CH_OK;
}

const chain_kind chain_evm = {"evm", begin, give, purse, mine, reorganise, warp, open_l1, cd_l1_evm_close};
