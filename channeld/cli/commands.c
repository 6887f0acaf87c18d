#include "cli.h"

#define END                                                                                                            \
  { .name = NULL }
#define STOP                                                                                                           \
  { .title = NULL }
#define WAIT(what)                                                                                                     \
  { "wait_ms", "--wait", "SECONDS", CLI_SECONDS, false, what, NULL }
#define ASSET                                                                                                          \
  { "asset", "--asset", "ADDRESS", CLI_TEXT, false, "a token; without it, the chain's own coin", NULL }
#define CHANNEL                                                                                                        \
  { "id", "CHANNEL", NULL, CLI_TEXT, true, "its id, or the first 6 digits or more of it", NULL }
#define PAGE                                                                                                           \
  {"limit", "--limit", "N", CLI_NUMBER, false, "how many at most (1 to 1000)", NULL}, {                                \
    "after", "--after", "N", CLI_NUMBER, false, "go on where another page ended", NULL                                 \
  }

/* --- Arguments -------------------------------------------------------------------------------------- */

static const cli_arg none[] = {END};
static const cli_arg peer_connect[] = {
    {"node_id", "NODEID@HOST:PORT", NULL, CLI_NODE_AT, true, "the peer's `info` shows both", NULL},
    WAIT("how long to wait for the connection (default 5)"),
    END,
};
static const cli_arg peer_forget[] = {{"node_id", "NODEID", NULL, CLI_TEXT, true, "as `peer list` shows it", NULL},
                                      END};
static const cli_arg channel_open[] = {
    {"peer", "NODEID", NULL, CLI_TEXT, true, "a connected peer", NULL},
    {"deposit", "--deposit", "N", CLI_AMOUNT, true, "what you put in", NULL},
    {"peer_deposit", "--peer-deposit", "N", CLI_AMOUNT, false, "what the peer is asked to put in (default 0)", NULL},
    {"fund_both", "--fund-both", NULL, CLI_SWITCH, false, "pay the peer's deposit, too, in one transaction", NULL},
    {"challenge_period", "--period", "SECONDS", CLI_NUMBER, false, "time to answer a challenge", NULL},
    {"bond", "--bond", "N", CLI_AMOUNT, false, "what a challenger puts at stake", NULL},
    ASSET,
    {"payout", "--payout", "ADDRESS", CLI_TEXT, false, "where your share goes at the end, for good", NULL},
    WAIT("how long to wait for the peer's answer (default 10)"),
    END,
};
static const cli_arg channel_show[] = {CHANNEL, END};
static const cli_arg channel_history[] = {CHANNEL, PAGE, END};
static const cli_arg channel_deposit[] = {
    CHANNEL,
    {"amount", "AMOUNT", NULL, CLI_AMOUNT, true, "in base units", NULL},
    {"deposit_id", "--id", "ID", CLI_TEXT, false, "yours: the same id deposits once, however often you repeat it",
     NULL},
    WAIT("how long to wait until it is final (default 0)"),
    END,
};
static const cli_arg channel_withdraw[] = {
    CHANNEL,
    {"amount", "AMOUNT", NULL, CLI_AMOUNT, true, "in base units", NULL},
    WAIT("how long to wait until it is final (default 0)"),
    END,
};
static const cli_arg channel_move[] = {
    {"id", "FROM", NULL, CLI_TEXT, true, "the channel that it comes from: its id, or the first 6 digits or more", NULL},
    {"to", "TO", NULL, CLI_TEXT, true, "the channel that it goes into", NULL},
    {"amount", "AMOUNT", NULL, CLI_AMOUNT, true, "in base units", NULL},
    WAIT("how long to wait until it is final (default 0)"),
    END,
};
static const cli_arg channel_challenge[] = {
    CHANNEL,
    {"risk_bond", "--risk-bond", NULL, CLI_SWITCH, false,
     "for a frozen channel: challenge though its state may be old, which can cost the bond", NULL},
    END,
};
static const cli_arg channel_resume[] = {CHANNEL, WAIT("how long to wait for the peer's signature (default 0)"), END};
static const cli_arg channel_close[] = {CHANNEL, WAIT("how long to wait for the end (default 0)"), END};
static const cli_arg pay[] = {
    {"target", "CHANNEL|NODEID", NULL, CLI_TARGET, true, "which channel, or whom", "batch"},
    {"amount", "AMOUNT", NULL, CLI_AMOUNT, true, "in base units", "batch"},
    {"id", "--id", "ID", CLI_TEXT, false, "yours: the same id is paid once, however often you repeat it", NULL},
    {"batch", "--batch", "FILE", CLI_FILE, false, "many: a line \"ID AMOUNT\" for each; - is stdin", NULL},
    WAIT("how long to wait for the peer (default 10)"),
    END,
};
static const cli_arg payment_list[] = {
    {"channel", "--channel", "CHANNEL", CLI_TEXT, false, "only of this channel", NULL},
    {"direction", "--direction", "in|out", CLI_TEXT, false, "only received, or only made", NULL},
    {"status", "--status", "STATUS", CLI_TEXT, false, "only pending, locked, settled, failed or unknown", NULL},
    PAGE,
    {"newest", "--newest", NULL, CLI_SWITCH, false, "the newest first", NULL},
    END,
};
static const cli_arg payment_show[] = {{"id", "ID", NULL, CLI_TEXT, true, "as it was paid", NULL}, END};
static const cli_arg lock_add[] = {
    {"target", "CHANNEL|NODEID", NULL, CLI_TARGET, true, "which channel, or whom", NULL},
    {"amount", "AMOUNT", NULL, CLI_AMOUNT, true, "in base units", NULL},
    {"hash", "HASH", NULL, CLI_TEXT, true,
     "the sha256 of what the payee has to show: 32 secret bytes; or:", "condition"},
    {"condition", "--condition", "ADDRESS", CLI_TEXT, false, "a contract that says in the end how much is owed", NULL},
    {"payload", "--payload", "HEX", CLI_TEXT, false, "what it is asked: at most 64 bytes (0x: nothing)", NULL},
    {"gas", "--gas", "N", CLI_NUMBER, false, "how much it may use for the answer", NULL},
    {"expires_in", "--expires", "SECONDS", CLI_NUMBER, true, "how long the payee has; then the contract is asked",
     NULL},
    {"id", "--id", "ID", CLI_TEXT, false, "yours: the same id is paid once, however often you repeat it", NULL},
    WAIT("how long to wait for the peer (default 10)"),
    END,
};
static const cli_arg lock_fulfil[] = {
    {"preimage", "PREIMAGE", NULL, CLI_TEXT, true, "32 bytes in hex whose sha256 is the hash; or:", "payment"},
    {"payment", "--payment", "ID", CLI_TEXT, false, "pay all of a payment of yours that a contract would decide", NULL},
    WAIT("how long to wait for the peer's signature (default 10)"),
    END,
};
static const cli_arg lock_cancel[] = {
    {"hash", "LOCK|HASH", NULL, CLI_TEXT, true, "as `lock list` shows it, or its hash", NULL},
    {"channel", "--channel", "CHANNEL", CLI_TEXT, false, "if several have it", NULL},
    WAIT("how long to wait for the payer's signature (default 10)"),
    END,
};
static const cli_arg lock_list[] = {
    {"channel", "--channel", "CHANNEL", CLI_TEXT, false, "only of this channel", NULL}, PAGE, END};
static const cli_arg wallet_balance[] = {ASSET, END};
static const cli_arg wallet_send[] = {
    {"to", "ADDRESS", NULL, CLI_TEXT, true, "of the receiver on the chain", NULL},
    {"amount", "AMOUNT", NULL, CLI_AMOUNT, true, "in base units", NULL},
    ASSET,
    END,
};
static const cli_arg dev_faucet[] = {
    {"amount", "AMOUNT", NULL, CLI_AMOUNT, true, "in base units", NULL},
    {"address", "--address", "ADDRESS", CLI_TEXT, false, "for whom; without it, for this node", NULL},
    ASSET,
    END,
};
static const cli_arg dev_mine[] = {{"blocks", "BLOCKS", NULL, CLI_NUMBER, false, "how many (default 1)", NULL}, END};
static const cli_arg dev_warp[] = {{"seconds", "SECONDS", NULL, CLI_NUMBER, true, "how far", NULL}, END};

/* --- What is shown ---------------------------------------------------------------------------------- */

static const cli_column info_columns[] = {
    {"node id", "node_id", CLI_PLAIN},         {"version", "version", CLI_PLAIN},
    {"listens on", "listen", CLI_PLAIN},       {"peers connected", "peers.connected", CLI_PLAIN},
    {"channels", "channels.total", CLI_PLAIN}, {"  open", "channels.open", CLI_PLAIN},
    {"  frozen", "frozen", CLI_PLAIN},         {"chain", "l1.kind", CLI_PLAIN},
    {"  id", "l1.chain_id", CLI_PLAIN},        {"  adjudicator", "l1.adjudicator", CLI_PLAIN},
    {"  address", "l1.address", CLI_PLAIN},    {"  head", "l1.head", CLI_PLAIN},
    {"  head time", "l1.head_time", CLI_TIME}, {"  fresh", "l1.fresh", CLI_YES},
    {"running for", "uptime", CLI_SPAN},       STOP,
};
static const cli_view info_view = {.layout = CLI_FIELDS, .columns = info_columns};

static const cli_column peer_columns[] = {
    {"node id", "node_id", CLI_PLAIN},
    {"address", "address", CLI_PLAIN},
    {"connected", "connected", CLI_YES},
    {"channels", "channels", CLI_RIGHT},
    {"inbound", "inbound", CLI_YES},
    {"last error", "last_error", CLI_PLAIN},
    STOP,
};
static const cli_view peer_view = {.layout = CLI_FIELDS, .columns = peer_columns};
static const cli_view peers_view = {.layout = CLI_TABLE,
                                    .columns = peer_columns,
                                    .list = "peers",
                                    .empty = "No peers yet: `channel-cli peer connect NODEID@HOST:PORT`."};

static const cli_column channel_columns[] = {
    {"channel", "id", CLI_PLAIN},
    {"peer", "peer", CLI_PLAIN},
    {"phase", "phase", CLI_STATE},
    {"waits for", "waits_for.text", CLI_PLAIN},
    {"  until", "waits_for.until", CLI_TIME},
    {"connected", "connected", CLI_YES},
    {"frozen", "freeze_reason", CLI_PLAIN},
    {"balance", "balance.mine", CLI_PLAIN},
    {"  spendable", "balance.spendable", CLI_PLAIN},
    {"  pending", "balance.pending", CLI_PLAIN},
    {"  locked", "balance.locked.mine", CLI_PLAIN},
    {"  reserved", "balance.reserved.mine", CLI_PLAIN},
    {"peer's balance", "balance.peer", CLI_PLAIN},
    {"  reserved", "balance.reserved.peer", CLI_PLAIN},
    {"asset", "asset", CLI_ASSET},
    {"deposit", "deposits.mine", CLI_PLAIN},
    {"  on chain", "contributions.mine", CLI_PLAIN},
    {"peer's deposit", "deposits.peer", CLI_PLAIN},
    {"  on chain", "contributions.peer", CLI_PLAIN},
    {"payout to", "payout.mine", CLI_PLAIN},
    {"peer's payout to", "payout.peer", CLI_PLAIN},
    {"challenge period", "challenge_period", CLI_SPAN},
    {"bond", "bond", CLI_PLAIN},
    {"version", "version", CLI_PLAIN},
    {"  outstanding", "outstanding", CLI_PLAIN},
    {"  queued", "queued", CLI_PLAIN},
    {"ended at version", "ended.version", CLI_PLAIN},
    {"  paid to you", "ended.paid.mine", CLI_PLAIN},
    {"  paid to peer", "ended.paid.peer", CLI_PLAIN},
    STOP,
};
static const cli_column pending_columns[] = {
    {"locked", "direction", CLI_PLAIN},
    {"amount", "amount", CLI_RIGHT},
    {"expires", "lock.expiry", CLI_TIME},
    {"hash", "lock.hash", CLI_SHORT},
    {"condition", "lock.condition", CLI_SHORT},
    {"wanted", "wanted", CLI_PLAIN},
    {"id", "payment", CLI_PLAIN},
    STOP,
};
static const cli_view pending_view = {.layout = CLI_TABLE, .columns = pending_columns, .list = "locks"};
static const cli_view channel_view = {.layout = CLI_FIELDS, .columns = channel_columns, .then = &pending_view};

static const cli_column channels_columns[] = {
    {"channel", "id", CLI_SHORT},
    {"peer", "peer", CLI_SHORT},
    {"phase", "phase", CLI_STATE},
    {"balance", "balance.mine", CLI_RIGHT},
    {"spendable", "balance.spendable", CLI_RIGHT},
    {"peer's", "balance.peer", CLI_RIGHT},
    {"connected", "connected", CLI_YES},
    {"waits for", "waits_for.text", CLI_PLAIN},
    {"until", "waits_for.until", CLI_TIME},
    STOP,
};
static const cli_view channels_view = {.layout = CLI_TABLE,
                                       .columns = channels_columns,
                                       .list = "channels",
                                       .empty = "No channels yet: `channel-cli channel open NODEID --deposit N`."};

static const cli_column refused_columns[] = {
    {"refused", "id", CLI_SHORT}, {"because", "reason.message", CLI_PLAIN}, STOP};
static const cli_view refused_view = {.layout = CLI_TABLE, .columns = refused_columns, .list = "refused"};
static const cli_view closing_view = {.layout = CLI_TABLE,
                                      .columns = channels_columns,
                                      .list = "channels",
                                      .empty = "No channel is to be closed.",
                                      .then = &refused_view};

static const cli_column history_columns[] = {
    {"time", "time", CLI_TIME},        {"from", "from", CLI_STATE},   {"to", "to", CLI_STATE},
    {"version", "version", CLI_RIGHT}, {"cause", "cause", CLI_PLAIN}, STOP,
};
static const cli_view history_view = {
    .layout = CLI_TABLE, .columns = history_columns, .list = "history", .empty = "Nothing has happened there."};

static const cli_column paid_columns[] = {
    {"", "status", CLI_STATE},         {"amount", "amount", CLI_PLAIN},   {"id", "id", CLI_PLAIN},
    {"channel", "channel", CLI_SHORT}, {"version", "version", CLI_PLAIN}, STOP,
};
static const cli_view paid_view = {.layout = CLI_LINE, .columns = paid_columns};

static const cli_column payment_columns[] = {
    {"id", "id", CLI_PLAIN},
    {"status", "status", CLI_STATE},
    {"  reason", "reason.message", CLI_PLAIN},
    {"amount", "amount", CLI_PLAIN},
    {"direction", "direction", CLI_PLAIN},
    {"expires", "lock.expiry", CLI_TIME},
    {"lock", "lock.id", CLI_PLAIN},
    {"  amount", "lock.amount", CLI_PLAIN},
    {"  hash", "lock.hash", CLI_PLAIN},
    {"  condition", "lock.condition", CLI_PLAIN},
    {"preimage", "preimage", CLI_PLAIN},
    {"channel", "channel", CLI_PLAIN},
    {"version", "version", CLI_PLAIN},
    {"created", "created", CLI_TIME},
    {"updated", "updated", CLI_TIME},
    STOP,
};
static const cli_view payment_view = {.layout = CLI_FIELDS, .columns = payment_columns};

static const cli_column payments_columns[] = {
    {"seq", "seq", CLI_RIGHT},
    {"time", "updated", CLI_TIME},
    {"", "direction", CLI_PLAIN},
    {"amount", "amount", CLI_RIGHT},
    {"status", "status", CLI_STATE},
    {"channel", "channel", CLI_SHORT},
    {"version", "version", CLI_RIGHT},
    {"id", "id", CLI_PLAIN},
    {"reason", "reason.code", CLI_PLAIN},
    STOP,
};
static const cli_view payments_view = {
    .layout = CLI_TABLE, .columns = payments_columns, .list = "payments", .empty = "No payments here."};

static const cli_column locks_columns[] = {
    {"", "direction", CLI_PLAIN},      {"amount", "amount", CLI_RIGHT},  {"expires", "lock.expiry", CLI_TIME},
    {"channel", "channel", CLI_SHORT}, {"hash", "lock.hash", CLI_SHORT}, {"condition", "lock.condition", CLI_SHORT},
    {"lock", "lock.id", CLI_PLAIN},    {"id", "id", CLI_PLAIN},          STOP,
};
static const cli_view locks_view = {
    .layout = CLI_TABLE, .columns = locks_columns, .list = "locks", .empty = "No conditional payments are pending."};

static const cli_column address_columns[] = {{"", "address", CLI_PLAIN}, STOP};
static const cli_view address_view = {.layout = CLI_LINE, .columns = address_columns};
static const cli_column balance_columns[] = {{"address", "address", CLI_PLAIN}, {"asset", "asset", CLI_ASSET},
                                             {"symbol", "symbol", CLI_PLAIN},   {"digits", "decimals", CLI_PLAIN},
                                             {"balance", "balance", CLI_PLAIN}, STOP};
static const cli_view balance_view = {.layout = CLI_FIELDS, .columns = balance_columns};
static const cli_column sent_columns[] = {{"", "status", CLI_STATE}, {"key", "key", CLI_PLAIN}, STOP};
static const cli_view sent_view = {.layout = CLI_LINE, .columns = sent_columns};

static const cli_column l1_columns[] = {
    {"chain", "kind", CLI_PLAIN},
    {"id", "chain_id", CLI_PLAIN},
    {"adjudicator", "adjudicator", CLI_PLAIN},
    {"head", "head", CLI_PLAIN},
    {"head time", "head_time", CLI_TIME},
    {"final block", "final", CLI_PLAIN},
    {"now", "now", CLI_TIME},
    {"lag", "lag", CLI_SPAN},
    {"address", "address", CLI_PLAIN},
    {"  balance", "balance", CLI_PLAIN},
    {"fresh", "fresh", CLI_YES},
    STOP,
};
static const cli_column tx_columns[] = {
    {"transaction", "key", CLI_SHORT}, {"channel", "channel", CLI_SHORT},
    {"kind", "kind", CLI_PLAIN},       {"status", "status", CLI_STATE},
    {"block", "block", CLI_RIGHT},     {"hash", "hash", CLI_SHORT},
    {"error", "error", CLI_PLAIN},     STOP,
};
static const cli_view txs_view = {.layout = CLI_TABLE, .columns = tx_columns, .list = "transactions"};
static const cli_view l1_view = {.layout = CLI_FIELDS, .columns = l1_columns, .then = &txs_view};

static const cli_arg l1_deploy[] = {WAIT("how long to wait until it is mined (default 60)"), END};
static const cli_column deploy_columns[] = {
    {"adjudicator", "adjudicator", CLI_PLAIN},
    {"status", "status", CLI_STATE},
    {"transaction", "hash", CLI_PLAIN},
    {"in DIR/config", "config", CLI_PLAIN},
    STOP,
};
static const cli_view deploy_view = {.layout = CLI_FIELDS, .columns = deploy_columns};

static const cli_column head_columns[] = {{"head", "head", CLI_PLAIN}, {"time", "time", CLI_TIME}, STOP};
static const cli_view head_view = {.layout = CLI_FIELDS, .columns = head_columns};

/* --- Commands ---------------------------------------------------------------------------------------- */

#define SHOW_MORE "It is under way; `channel-cli channel show` tells how far it is."

const cli_command cli_commands[] = {
    {"info", NULL, "this node: its id, peers, channels, chain", "GET", "/v1/info", none, &info_view, NULL, NULL},
    {"peer", "connect", "connect to a node, and stay connected", "POST", "/v1/peers", peer_connect, &peer_view, NULL,
     "Not connected yet; the daemon goes on trying, and `channel-cli peer list` tells."},
    {"peer", "list", "the peers", "GET", "/v1/peers", none, &peers_view, NULL, NULL},
    {"peer", "forget", "stop connecting to a peer", "DELETE", "/v1/peers/{node_id}", peer_forget, NULL, "Forgotten.",
     NULL},
    {"channel", "open", "open a channel with a connected peer", "POST", "/v1/channels", channel_open, &channel_view,
     NULL, NULL},
    {"channel", "list", "all channels", "GET", "/v1/channels", none, &channels_view, NULL, NULL},
    {"channel", "show", "one channel, what it waits for, and until when", "GET", "/v1/channels/{id}", channel_show,
     &channel_view, NULL, NULL},
    {"channel", "history", "every change of a channel, with its cause", "GET", "/v1/channels/{id}/history",
     channel_history, &history_view, NULL, NULL},
    {"channel", "deposit", "put more money in, or open a closed channel again", "POST", "/v1/channels/{id}/deposit",
     channel_deposit, &channel_view, NULL, SHOW_MORE},
    {"channel", "withdraw", "take money out while the channel goes on", "POST", "/v1/channels/{id}/withdraw",
     channel_withdraw, &channel_view, NULL, SHOW_MORE},
    {"channel", "move", "from one channel into another, in one transaction, while both go on", "POST",
     "/v1/channels/{id}/move", channel_move, &channel_view, NULL, SHOW_MORE},
    {"channel", "close", "leave together with the peer", "POST", "/v1/channels/{id}/close", channel_close,
     &channel_view, NULL, SHOW_MORE},
    {"channel", "close --all", "leave all channels, each together with its peer", "POST", "/v1/channels/close", none,
     &closing_view, NULL, "They are under way; `channel-cli channel list` tells how far they are."},
    {"channel", "challenge", "leave alone, if the peer does not answer", "POST", "/v1/channels/{id}/challenge",
     channel_challenge, &channel_view, NULL, SHOW_MORE},
    {"channel", "freeze", "sign nothing more: its data are an old copy, or may be", "POST", "/v1/channels/{id}/freeze",
     channel_show, &channel_view, NULL, NULL},
    {"channel", "resume", "go on with a frozen channel, with the peer's help", "POST", "/v1/channels/{id}/resume",
     channel_resume, &channel_view, NULL, SHOW_MORE},
    {"pay", NULL, "pay through a channel", "POST", "/v1/payments", pay, &paid_view, NULL,
     "It is accepted, but not settled yet; `channel-cli payment show ID` tells."},
    {"payment", "list", "payments made and received", "GET", "/v1/payments", payment_list, &payments_view, NULL, NULL},
    {"payment", "show", "one payment that this node made", "GET", "/v1/payments/{id}", payment_show, &payment_view,
     NULL, NULL},
    {"lock", "add", "pay on condition: the preimage of a hash, or what a contract says", "POST", "/v1/locks", lock_add,
     &paid_view, NULL, "It is accepted, but not agreed yet; `channel-cli payment show ID` tells."},
    {"lock", "fulfil", "claim a conditional payment with its preimage, or release one", "POST", "/v1/locks/fulfil",
     lock_fulfil, &channel_view, NULL, "The peer has not signed yet; in time, a preimage goes to the chain."},
    {"lock", "cancel", "give a conditional payment back", "POST", "/v1/locks/cancel", lock_cancel, &channel_view, NULL,
     "The payer has not signed yet; it will."},
    {"lock", "list", "conditional payments that are pending", "GET", "/v1/locks", lock_list, &locks_view, NULL, NULL},
    {"wallet", "address", "this node's address on the chain", "GET", "/v1/wallet/address", none, &address_view, NULL,
     NULL},
    {"wallet", "balance", "what that address holds", "GET", "/v1/wallet", wallet_balance, &balance_view, NULL, NULL},
    {"wallet", "send", "send to another address on the chain", "POST", "/v1/wallet/send", wallet_send, &sent_view, NULL,
     "It is queued; `channel-cli l1 status` shows it until it is final."},
    {"l1", "status", "the chain, and this node's unfinished transactions", "GET", "/v1/l1", none, &l1_view, NULL, NULL},
    {"l1", "deploy", "make a new Adjudicator on the chain", "POST", "/v1/l1/deploy", l1_deploy, &deploy_view, NULL,
     "It is not mined yet; `channel-cli l1 status` shows it until it is final."},
    {"dev", "faucet", "coins out of nothing (test chains only)", "POST", "/v1/dev/faucet", dev_faucet, &balance_view,
     NULL, NULL},
    {"dev", "mine", "blocks now (test chains only)", "POST", "/v1/dev/mine", dev_mine, &head_view, NULL, NULL},
    {"dev", "warp", "move the clock ahead (test chains only)", "POST", "/v1/dev/warp", dev_warp, &head_view, NULL,
     NULL},
    {"stop", NULL, "stop the daemon", "POST", "/v1/stop", none, NULL, "The daemon is stopping.", NULL},
    {.noun = NULL},
};
