#include "routes.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX 130 /* node ids, channel ids, addresses: the commands check their form */
#define WAIT_MAX 120000
#define DAYS(n) ((int64_t)(n)*86400)
#define NONE_ABOVE INT64_MAX

#define TEXT(n, where, ...)                                                                                            \
  { .name = n, .place = where, .type = CD_TEXT, .min = 1, .max = TEXT_MAX, __VA_ARGS__ }
#define ASSET(where) TEXT("asset", where)
#define AMOUNT(n, ...)                                                                                                 \
  { .name = n, .place = CD_BODY, .type = CD_AMOUNT, __VA_ARGS__ }
#define INTEGER(n, where, least, most, ...)                                                                            \
  { .name = n, .place = where, .type = CD_INTEGER, .min = least, .max = most, __VA_ARGS__ }
#define WAIT INTEGER("wait_ms", CD_BODY, 0, WAIT_MAX)
#define WORD(n, list)                                                                                                  \
  { .name = n, .place = CD_QUERY, .type = CD_WORD, .words = list }
#define PAGE INTEGER("after", CD_QUERY, 0, NONE_ABOVE), INTEGER("limit", CD_QUERY, 1, 1000)
#define REQUIRED .required = true
#define END                                                                                                            \
  { .name = NULL }

static const cd_field nothing[] = {END};
static const cd_field id_in_path[] = {TEXT("id", CD_PATH, REQUIRED), END};
static const cd_field node_in_path[] = {TEXT("node_id", CD_PATH, REQUIRED), END};

static const cd_field peer_connect[] = {
    TEXT("node_id", CD_BODY, REQUIRED),
    {.name = "address", .place = CD_BODY, .type = CD_TEXT, .min = 1, .max = 260, .required = true},
    WAIT,
    END,
};

static const cd_field channel_open[] = {
    TEXT("peer", CD_BODY, REQUIRED),
    AMOUNT("deposit", REQUIRED),
    AMOUNT("peer_deposit"),
    {.name = "fund_both", .place = CD_BODY, .type = CD_FLAG},
    ASSET(CD_BODY),
    INTEGER("challenge_period", CD_BODY, 1, UINT32_MAX),
    AMOUNT("bond"),
    TEXT("payout", CD_BODY),
    WAIT,
    END,
};

static const cd_field channel_history[] = {TEXT("id", CD_PATH, REQUIRED), PAGE, END};
static const cd_field channel_deposit[] = {
    TEXT("id", CD_PATH, REQUIRED), AMOUNT("amount", REQUIRED), TEXT("deposit_id", CD_BODY), WAIT, END,
};
static const cd_field channel_withdraw[] = {TEXT("id", CD_PATH, REQUIRED), AMOUNT("amount", REQUIRED), WAIT, END};
static const cd_field channel_move[] = {
    TEXT("id", CD_PATH, REQUIRED), TEXT("to", CD_BODY, REQUIRED), AMOUNT("amount", REQUIRED), WAIT, END,
};
static const cd_field channel_challenge[] = {
    TEXT("id", CD_PATH, REQUIRED), {.name = "risk_bond", .place = CD_BODY, .type = CD_FLAG}, END};
static const cd_field channel_resume[] = {TEXT("id", CD_PATH, REQUIRED), WAIT, END};
static const cd_field channel_close[] = {TEXT("id", CD_PATH, REQUIRED), WAIT, END};

static const cd_field one_of_many[] = {
    TEXT("id", CD_BODY, REQUIRED), TEXT("channel", CD_BODY), TEXT("peer", CD_BODY), AMOUNT("amount", REQUIRED), END,
};
static const cd_field payment_create[] = {
    TEXT("id", CD_BODY, REQUIRED, .not_with = "payments"),
    TEXT("channel", CD_BODY, .not_with = "payments"),
    TEXT("peer", CD_BODY, .not_with = "payments"),
    AMOUNT("amount", REQUIRED, .not_with = "payments"),
    {.name = "payments", .place = CD_BODY, .type = CD_LIST, .min = 1, .max = 1000, .items = one_of_many},
    WAIT,
    END,
};
static const cd_field payment_list[] = {
    TEXT("channel", CD_QUERY),
    WORD("direction", "in out"),
    WORD("status", "pending locked settled failed unknown"),
    PAGE,
    {.name = "newest", .place = CD_QUERY, .type = CD_FLAG},
    END,
};

static const cd_field lock_add[] = {
    TEXT("id", CD_BODY, REQUIRED),
    TEXT("channel", CD_BODY),
    TEXT("peer", CD_BODY),
    AMOUNT("amount", REQUIRED),
    TEXT("hash", CD_BODY, REQUIRED, .not_with = "condition"),
    TEXT("condition", CD_BODY, REQUIRED, .not_with = "hash"),
    TEXT("payload", CD_BODY, REQUIRED, .not_with = "hash"), /* 64 bytes in hex are TEXT_MAX */
    INTEGER("gas", CD_BODY, 1, UINT32_MAX, REQUIRED, .not_with = "hash"),
    INTEGER("expires_in", CD_BODY, 1, DAYS(365), REQUIRED),
    WAIT,
    END,
};
static const cd_field lock_fulfil[] = {
    TEXT("preimage", CD_BODY, REQUIRED, .not_with = "payment"),
    TEXT("payment", CD_BODY, REQUIRED, .not_with = "preimage"),
    WAIT,
    END,
};
static const cd_field lock_cancel[] = {TEXT("hash", CD_BODY, REQUIRED), TEXT("channel", CD_BODY), WAIT, END};
static const cd_field lock_list[] = {TEXT("channel", CD_QUERY), PAGE, END};

static const cd_field wallet_balance[] = {ASSET(CD_QUERY), END};
static const cd_field wallet_send[] = {TEXT("to", CD_BODY, REQUIRED), AMOUNT("amount", REQUIRED), ASSET(CD_BODY), END};

static const cd_field l1_deploy[] = {WAIT, END};

static const cd_field dev_faucet[] = {AMOUNT("amount", REQUIRED), TEXT("address", CD_BODY), ASSET(CD_BODY), END};
static const cd_field dev_mine[] = {INTEGER("blocks", CD_BODY, 1, 10000), END};
static const cd_field dev_warp[] = {INTEGER("seconds", CD_BODY, 1, DAYS(3650), REQUIRED), END};

const cd_route cd_routes[] = {
    {"GET", "/v1/info", "info", nothing},
    {"GET", "/v1/peers", "peer.list", nothing},
    {"POST", "/v1/peers", "peer.connect", peer_connect},
    {"DELETE", "/v1/peers/{node_id}", "peer.forget", node_in_path},
    {"GET", "/v1/channels", "channel.list", nothing},
    {"POST", "/v1/channels", "channel.open", channel_open},
    {"POST", "/v1/channels/close", "channel.close_all", nothing},
    {"GET", "/v1/channels/{id}", "channel.show", id_in_path},
    {"GET", "/v1/channels/{id}/history", "channel.history", channel_history},
    {"POST", "/v1/channels/{id}/deposit", "channel.deposit", channel_deposit},
    {"POST", "/v1/channels/{id}/withdraw", "channel.withdraw", channel_withdraw},
    {"POST", "/v1/channels/{id}/move", "channel.move", channel_move},
    {"POST", "/v1/channels/{id}/close", "channel.close", channel_close},
    {"POST", "/v1/channels/{id}/challenge", "channel.challenge", channel_challenge},
    {"POST", "/v1/channels/{id}/freeze", "channel.freeze", id_in_path},
    {"POST", "/v1/channels/{id}/resume", "channel.resume", channel_resume},
    {"GET", "/v1/payments", "payment.list", payment_list},
    {"POST", "/v1/payments", "payment.create", payment_create},
    {"GET", "/v1/payments/{id}", "payment.show", id_in_path},
    {"GET", "/v1/locks", "lock.list", lock_list},
    {"POST", "/v1/locks", "lock.add", lock_add},
    {"POST", "/v1/locks/fulfil", "lock.fulfil", lock_fulfil},
    {"POST", "/v1/locks/cancel", "lock.cancel", lock_cancel},
    {"GET", "/v1/wallet", "wallet.balance", wallet_balance},
    {"GET", "/v1/wallet/address", "wallet.address", nothing},
    {"POST", "/v1/wallet/send", "wallet.send", wallet_send},
    {"GET", "/v1/l1", "l1.status", nothing},
    {"POST", "/v1/l1/deploy", "l1.deploy", l1_deploy},
    {"POST", "/v1/dev/faucet", "dev.faucet", dev_faucet},
    {"POST", "/v1/dev/mine", "dev.mine", dev_mine},
    {"POST", "/v1/dev/warp", "dev.warp", dev_warp},
    {"POST", "/v1/stop", "stop", nothing},
    {.method = NULL},
};

/* Walks pattern and path side by side. With `name`, stops at its segment. */
static bool walk(const char *pattern, const char *path, const char *name, const char **segment, size_t *segment_len) {
  while (*pattern == '/' && *path == '/') {
    pattern++;
    path++;
    size_t want = strcspn(pattern, "/");
    size_t have = strcspn(path, "/");
    bool open = *pattern == '{';
    if (have == 0 || (!open && (have != want || memcmp(pattern, path, have) != 0))) return false;
    if (name && open && want == strlen(name) + 2 && memcmp(pattern + 1, name, want - 2) == 0) {
      *segment = path;
      *segment_len = have;
      return true;
    }
    pattern += want;
    path += have;
  }
  return !name && *pattern == '\0' && *path == '\0';
}

const char *cd_route_segment(const cd_route *route, const char *path, const char *name, size_t *len) {
  const char *segment = NULL;
  return walk(route->path, path, name, &segment, len) ? segment : NULL;
}

static void allow_also(char allow[CD_ALLOW_STR], const char *method) {
  size_t n = strlen(allow);
  snprintf(allow + n, CD_ALLOW_STR - n, "%s%s", n ? ", " : "", method);
}

const cd_route *cd_route_find(const char *method, const char *path, char allow[CD_ALLOW_STR]) {
  const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
  allow[0] = '\0';
  for (const cd_route *r = cd_routes; r->method; r++) {
    if (!walk(r->path, path, NULL, NULL, NULL)) continue;
    if (strcmp(r->method, wanted) == 0) {
      allow[0] = '\0';
      return r;
    }
    allow_also(allow, r->method);
    if (strcmp(r->method, "GET") == 0) allow_also(allow, "HEAD");
  }
  if (allow[0]) allow_also(allow, "OPTIONS");
  return NULL;
}
