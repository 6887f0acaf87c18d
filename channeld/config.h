/* config.h - the daemon's settings: defaults < D/config < environment < flags.
 *
 * The file has lines `key = value` and comments from # on; keys are the flags' names without the dashes in front. The
 * environment variable of `challenge-period` is CHANNELD_CHALLENGE_PERIOD. Anything unknown or malformed is refused
 * with the place where it stands. All settings stand in one table in config.c, from which --help is printed.
 */
#ifndef CHANNELD_CONFIG_H
#define CHANNELD_CONFIG_H

#include <stdio.h>

#include "channel/state.h"
#include "util/log.h"

#define CD_MAX_WORKERS 64
#define CD_PATH_LEN 512
#define CD_LIST_LEN 8192 /* 122 node ids */

/* Values of `confirmations` beside numbers of blocks. */
#define CD_FINAL_USUAL UINT64_MAX           /* what suits the chain: 1 on the embedded one, else `finalized` */
#define CD_FINAL_SAFE (UINT64_MAX - 1)      /* the node's own word `safe` */
#define CD_FINAL_FINALIZED (UINT64_MAX - 2) /* the node's own word `finalized` */

typedef struct cd_config {
  char dir[CD_PATH_LEN];
  char listen[128]; /* "host:port" */
  char api[128];
  char l1[CD_PATH_LEN];              /* "dev:FILE" or "evm" */
  uint64_t confirmations;            /* blocks on top of one that counts as final, or a CD_FINAL_ */
  char rpc[CD_LIST_LEN];             /* of "evm": its nodes' URLs with spaces between; may contain passwords */
  unsigned rpc_source;               /* where they come from: a later source replaces them all */
  ch_addr contract;                  /* of "evm": the Adjudicator */
  uint64_t chain_id;                 /* of "evm"; 0: what the nodes say */
  uint64_t l1_poll;                  /* of "evm": milliseconds between looks at the chain */
  uint64_t max_fee;                  /* of "evm": wei for a unit of gas */
  uint64_t workers;                  /* 0: as many as there are processors */
  char passphrase_file[CD_PATH_LEN]; /* "": none */
  cd_log_level log;
  ch_addr payout; /* zero: the node's own L1 account */
  /* What this node asks for when it opens a channel. */
  uint64_t challenge_period; /* seconds */
  ch_amount bond;
  /* What it accepts from others. */
  uint64_t min_challenge_period, max_challenge_period;
  ch_amount max_bond;
  ch_amount max_deposit;                        /* that a peer may ask this node for */
  uint64_t max_pending_opens;                   /* per peer */
  uint64_t max_channels, max_channels_per_peer; /* that have not ended */
  char open_from[CD_LIST_LEN];                  /* who may open: node ids with commas between, "any" or "none" */
  ch_amount min_deposit;                        /* of the peer that opens */
  char assets[CD_PATH_LEN]; /* tokens that others may open channels in: addresses with commas between, or "any" */
  uint64_t max_locks;       /* conditional payments that may be pending in a channel */
  uint64_t max_lock_time;   /* seconds: how long one may last */
  uint64_t lock_margin;     /* seconds until a transaction is mined and deep enough (proto/protocol.md, section 6) */
  uint64_t freshness;       /* seconds: nothing is signed when the chain's head is older */
} cd_config;

typedef enum cd_config_result { CD_CONFIG_OK, CD_CONFIG_HELP, CD_CONFIG_VERSION, CD_CONFIG_BAD } cd_config_result;

/* Reads everything. `argv` without the program's name; `env` finds a variable, as getenv does. On CD_CONFIG_BAD `why`
 * is a sentence. */
cd_config_result cd_config_load(cd_config *out, int argc, char **argv, char *(*env)(const char *), char *why,
                                size_t why_len);

/* Whether others may open a channel in this asset. The native coin always goes. */
bool cd_config_asset_ok(const cd_config *c, const ch_addr *asset);
/* Whether this node may open channels here. */
bool cd_config_opener_ok(const cd_config *c, const ch_pubkey *node);

/* The table as text. */
void cd_config_help(FILE *to);

#endif
