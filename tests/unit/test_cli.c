/* channel-cli as a program, against the real HTTP server with a fake node behind it. */
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "fake_node.h"
#include "tempdir.h"

#define NODE "02f1a8c87607f415c8f22c00593002775941dea48869ce23096af27b0cfdcc0b69"
#define ID "0x8f0c3cbb1b8d4b1f7d4e0b2e2c0a1f6a6f5d0a9e3b7c2d1e4f5a6b7c8d9e0f1a"
#define MAX_WORDS 24

typedef struct world {
  fake_node node;
  cd_api *api;
  tempdir dir;
} world;

static void write_file(const world *w, const char *name, const char *text) {
  char path[PATH_MAX];
  FILE *file = fopen(tempdir_file(path, &w->dir, name), "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static int start(void **state) {
  world *w = calloc(1, sizeof *w);
  char path[PATH_MAX], token[CD_API_TOKEN_STR], why[256];
  tempdir_make(&w->dir);
  fake_init(&w->node);
  if (cd_api_token_load(tempdir_file(path, &w->dir, "api.token"), token, why, sizeof why) != CH_OK) return -1;
  cd_api_config cfg = {.address = "127.0.0.1:0", .token = token, .commands = fake_commands(&w->node)};
  if (cd_api_start(&w->api, &cfg, why, sizeof why) != CH_OK) return -1;
  write_file(w, "api.address", cd_api_address(w->api));
  *state = w;
  return 0;
}

static int stop(void **state) {
  world *w = *state;
  cd_api_stop(w->api);
  fake_clear(&w->node);
  tempdir_remove(&w->dir);
  free(w);
  return 0;
}

/* --- Running it --------------------------------------------------------------------------------- */

typedef struct outcome {
  int status;
  char out[32768], err[4096];
} outcome;

/* Splits at blanks; words in '...' stay together. */
static int split(char *line, char *words[MAX_WORDS + 1]) {
  int n = 0;
  while (*line && n < MAX_WORDS) {
    line += strspn(line, " ");
    if (!*line) break;
    bool quoted = *line == '\'';
    words[n++] = line += quoted;
    line += strcspn(line, quoted ? "'" : " ");
    if (*line) *line++ = '\0';
  }
  words[n] = NULL;
  return n;
}

static void slurp(const world *w, const char *name, char *out, size_t size) {
  char path[PATH_MAX];
  FILE *file = fopen(tempdir_file(path, &w->dir, name), "r");
  assert_non_null(file);
  out[fread(out, 1, size - 1, file)] = '\0';
  fclose(file);
}

/* In the child. `terminal` stands for stdout unless it is -1. */
static void become(const world *w, char *const words[], int terminal) {
  char out[PATH_MAX], err[PATH_MAX];
  int fd = terminal >= 0 ? terminal : open(tempdir_file(out, &w->dir, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  int fd2 = open(tempdir_file(err, &w->dir, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(fd, STDOUT_FILENO);
  dup2(fd2, STDERR_FILENO);
  execv(CHANNEL_CLI, words);
  _exit(127);
}

/* Runs `channel-cli --dir D LINE`. */
static void run_on(const world *w, outcome *o, const char *line, int terminal) {
  char copy[1024], *words[MAX_WORDS + 1], folder[PATH_MAX];
  snprintf(folder, sizeof folder, "--dir=%s", w->dir.path);
  snprintf(copy, sizeof copy, "x x %s", line);
  split(copy, words);
  words[0] = "channel-cli";
  words[1] = folder;
  pid_t pid = fork();
  if (pid == 0) become(w, words, terminal);
  assert_true(pid > 0);
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  o->status = WEXITSTATUS(status);
  o->out[0] = '\0';
  if (terminal < 0) slurp(w, "out", o->out, sizeof o->out);
  slurp(w, "err", o->err, sizeof o->err);
}

static outcome run(const world *w, const char *line) {
  outcome o;
  run_on(w, &o, line, -1);
  return o;
}

static void contains(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* --- Requests ------------------------------------------------------------------------------------- */

static const struct {
  const char *line, *method, *args;
} requests[] = {
    {"info", "info", "{}"},
    {"peer connect " NODE "@127.0.0.1:9735", "peer.connect",
     "{\"node_id\":\"" NODE "\",\"address\":\"127.0.0.1:9735\"}"},
    {"peer connect ab@[::1]:9735 --wait 3", "peer.connect",
     "{\"node_id\":\"ab\",\"address\":\"[::1]:9735\",\"wait_ms\":3000}"},
    {"peer list", "peer.list", "{}"},
    {"peer forget " NODE, "peer.forget", "{\"node_id\":\"" NODE "\"}"},
    {"channel open " NODE " --deposit 1000", "channel.open", "{\"peer\":\"" NODE "\",\"deposit\":\"1000\"}"},
    {"channel open --deposit=5 " NODE " --peer-deposit 7 --period 60 --bond 3 --asset 0xaa --payout 0xbb --wait 0",
     "channel.open",
     "{\"peer\":\"" NODE "\",\"deposit\":\"5\",\"peer_deposit\":\"7\",\"challenge_period\":60,\"bond\":\"3\","
     "\"asset\":\"0xaa\",\"payout\":\"0xbb\",\"wait_ms\":0}"},
    {"channel list", "channel.list", "{}"},
    {"channel show 0x8f0c3c", "channel.show", "{\"id\":\"0x8f0c3c\"}"},
    {"channel history 0x8f0c3c --limit 5 --after 9", "channel.history",
     "{\"id\":\"0x8f0c3c\",\"limit\":5,\"after\":9}"},
    {"channel close 0x8f0c3c --wait 2", "channel.close", "{\"id\":\"0x8f0c3c\",\"wait_ms\":2000}"},
    {"channel open " NODE " --deposit 5 --peer-deposit 7 --fund-both", "channel.open",
     "{\"peer\":\"" NODE "\",\"deposit\":\"5\",\"peer_deposit\":\"7\",\"fund_both\":true}"},
    {"channel deposit 0x8f0c3c 250 --id t --wait 2", "channel.deposit",
     "{\"id\":\"0x8f0c3c\",\"amount\":\"250\",\"deposit_id\":\"t\",\"wait_ms\":2000}"},
    {"channel withdraw 0x8f0c3c 250", "channel.withdraw", "{\"id\":\"0x8f0c3c\",\"amount\":\"250\"}"},
    {"channel move 0x8f0c3c 0x9a0b1c 250 --wait 3", "channel.move",
     "{\"id\":\"0x8f0c3c\",\"to\":\"0x9a0b1c\",\"amount\":\"250\",\"wait_ms\":3000}"},
    {"channel freeze 0x8f0c3c", "channel.freeze", "{\"id\":\"0x8f0c3c\"}"},
    {"channel resume 0x8f0c3c --wait 2", "channel.resume", "{\"id\":\"0x8f0c3c\",\"wait_ms\":2000}"},
    {"channel close --all", "channel.close_all", "{}"},
    {"channel challenge 0x8f0c3c", "channel.challenge", "{\"id\":\"0x8f0c3c\"}"},
    {"pay 0x8f0c3c 250 --id a/b", "payment.create", "{\"channel\":\"0x8f0c3c\",\"amount\":\"250\",\"id\":\"a/b\"}"},
    {"pay " NODE " 250 --id=x --wait=1", "payment.create",
     "{\"peer\":\"" NODE "\",\"amount\":\"250\",\"id\":\"x\",\"wait_ms\":1000}"},
    {"pay " ID " 1 --id x", "payment.create", "{\"channel\":\"" ID "\",\"amount\":\"1\",\"id\":\"x\"}"},
    {"payment list --channel 0xaaaaaa --direction in --status settled --newest", "payment.list",
     "{\"channel\":\"0xaaaaaa\",\"direction\":\"in\",\"status\":\"settled\",\"newest\":true}"},
    {"payment show a/b?&%", "payment.show", "{\"id\":\"a/b?&%\"}"},
    {"payment show -- --id", "payment.show", "{\"id\":\"--id\"}"},
    {"payment show ..", "payment.show", "{\"id\":\"..\"}"},
    {"lock add 0x8f0c3c 250 0xaa --expires 60 --id x", "lock.add",
     "{\"channel\":\"0x8f0c3c\",\"amount\":\"250\",\"hash\":\"0xaa\",\"expires_in\":60,\"id\":\"x\"}"},
    {"lock add 0x8f0c3c 250 --condition 0xbb --payload 0x --gas 50000 --expires 60 --id x", "lock.add",
     "{\"channel\":\"0x8f0c3c\",\"amount\":\"250\",\"condition\":\"0xbb\",\"payload\":\"0x\",\"gas\":50000,"
     "\"expires_in\":60,\"id\":\"x\"}"},
    {"lock fulfil 0xaa", "lock.fulfil", "{\"preimage\":\"0xaa\"}"},
    {"lock fulfil --payment a/b --wait 1", "lock.fulfil", "{\"payment\":\"a/b\",\"wait_ms\":1000}"},
    {"lock cancel 0xaa", "lock.cancel", "{\"hash\":\"0xaa\"}"},
    {"lock cancel 0xaa --channel 0xbb", "lock.cancel", "{\"hash\":\"0xaa\",\"channel\":\"0xbb\"}"},
    {"lock list --channel 0xaaaaaa", "lock.list", "{\"channel\":\"0xaaaaaa\"}"},
    {"wallet address", "wallet.address", "{}"},
    {"wallet balance", "wallet.balance", "{}"},
    {"wallet balance --asset 0xaa", "wallet.balance", "{\"asset\":\"0xaa\"}"},
    {"wallet send 0xcc 9", "wallet.send", "{\"to\":\"0xcc\",\"amount\":\"9\"}"},
    {"l1 status", "l1.status", "{}"},
    {"dev faucet 100 --address 0xdd", "dev.faucet", "{\"amount\":\"100\",\"address\":\"0xdd\"}"},
    {"dev mine", "dev.mine", "{}"},
    {"dev mine 3", "dev.mine", "{\"blocks\":3}"},
    {"dev warp 86400", "dev.warp", "{\"seconds\":86400}"},
    {"stop", "stop", "{}"},
};

static void test_requests(void **state) {
  world *w = *state;
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    outcome o = run(w, requests[i].line);
    if (o.status != 0) fail_msg("%s: %s", requests[i].line, o.err);
    json_t *last = fake_last(&w->node);
    json_t *wanted =
        json_pack("{s:s, s:o}", "method", requests[i].method, "args", json_loads(requests[i].args, 0, NULL));
    if (!json_equal(last, wanted)) fail_msg("%s: not %s", requests[i].line, requests[i].args);
    json_decref(wanted);
    json_decref(last);
  }
}

/* The id that `pay` makes up, in `id`. */
static void pay_without_id(world *w, char id[64]) {
  assert_int_equal(run(w, "pay 0x8f0c3c 250").status, 0);
  json_t *last = fake_last(&w->node);
  snprintf(id, 64, "%s", json_string_value(json_object_get(json_object_get(last, "args"), "id")));
  json_decref(last);
}

static void test_made_id(void **state) {
  char first[64], second[64];
  pay_without_id(*state, first);
  pay_without_id(*state, second);
  assert_int_equal(strlen(first), 32);
  assert_string_not_equal(first, second);
}

/* --- Usage ----------------------------------------------------------------------------------------- */

static void test_usage(void **state) {
  world *w = *state;
  static const struct {
    const char *line, *says;
  } rows[] = {
      {"", "Say what to do"},
      {"foo", "no command foo"},
      {"channel", "needs a verb"},
      {"channel frobnicate", "has no `frobnicate`"},
      {"channel open " NODE, "missing: --deposit"},
      {"channel open --deposit 5", "missing: NODEID"},
      {"channel open " NODE " --deposit 5.5", "\"5.5\" is not a whole number of base units"},
      {"channel open " NODE " --deposit 1_000", "not a whole number"},
      {"channel open " NODE " --deposit 1e6", "not a whole number"},
      {"channel open " NODE " --deposit", "value is missing after --deposit"},
      {"channel open " NODE " --deposit 5 --colour red", "no option --colour"},
      {"channel open " NODE " --deposit 5 --period 1h", "not a whole number"},
      {"channel show", "missing: CHANNEL"},
      {"channel show a b", "one argument too many: b"},
      {"peer connect " NODE, "not NODEID@HOST:PORT"},
      {"pay 0xaaaaaa", "missing: AMOUNT"},
      {"pay 0xaaaaaa -5", "no option -5"},
      {"pay 0xaaaaaa 5 --wait x", "seconds"},
      {"pay 0xaaaaaa 5 --batch f", "Ids and amounts"},
      {"pay --batch /nonexistent/file", "cannot be read"},
      {"payment list --newest=1", "No value goes with --newest"},
      {"lock add 0xaaaaaa 5 --expires 60", "missing: HASH"},
      {"lock fulfil", "missing: PREIMAGE"},
      {"info --dir", "value is missing after --dir"},
      {"info --json=1", "No value goes with --json"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    outcome o = run(w, rows[i].line);
    contains(o.err, rows[i].says);
    assert_memory_equal(o.err, "channel-cli: ", 13);
    assert_string_equal(o.out, "");
    assert_int_equal(o.status, 2);
  }
  assert_int_equal(fake_calls(&w->node), 0);
}

static void test_help(void **state) {
  world *w = *state;
  outcome o = run(w, "help");
  assert_int_equal(o.status, 0);
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    char copy[512], *words[MAX_WORDS + 1], name[64];
    snprintf(copy, sizeof copy, "%s", requests[i].line);
    int n = split(copy, words);
    bool alone = n == 1 || strcmp(words[0], "pay") == 0;
    snprintf(name, sizeof name, "  %s%s%s ", words[0], alone ? "" : " ", alone ? "" : words[1]);
    contains(o.out, name);
  }
  assert_string_equal(run(w, "--help").out, o.out);
  o = run(w, "channel --help");
  contains(o.out, "channel challenge");
  assert_null(strstr(o.out, "wallet"));
  o = run(w, "channel open --help");
  contains(o.out, "usage: channel-cli channel open NODEID --deposit N [--peer-deposit N]");
  contains(o.out, "what the peer is asked to put in");
  assert_string_equal(run(w, "help channel open").out, o.out);
  contains(run(w, "pay --help").out, "usage: channel-cli pay CHANNEL|NODEID AMOUNT [--id ID]");
  contains(run(w, "--version").out, "channel-cli 0.");
  assert_int_equal(fake_calls(&w->node), 0);
}

/* --- What it prints -------------------------------------------------------------------------------- */

static const char channels_json[] =
    "{\"channels\":[{\"id\":\"" ID "\",\"peer\":\"" NODE "\",\"phase\":\"open\",\"connected\":true,"
    "\"balance\":{\"mine\":\"999750\",\"peer\":\"250\",\"spendable\":\"999750\",\"pending\":\"0\"},"
    "\"waits_for\":{\"code\":\"nothing\",\"text\":\"Nothing: ready.\",\"until\":null}},"
    "{\"id\":\"0x1111111111\",\"peer\":\"" NODE "\",\"phase\":\"disputed\",\"connected\":false,"
    "\"balance\":{\"mine\":\"5\",\"peer\":\"1000000\",\"spendable\":\"0\",\"pending\":\"5\"},"
    "\"waits_for\":{\"code\":\"window\",\"text\":\"The challenge window to end.\",\"until\":1700000000}}]}";

static void test_table(void **state) {
  world *w = *state;
  fake_answers(&w->node, CD_OK, channels_json);
  outcome o = run(w, "channel list");
  assert_string_equal(o.out,
                      "channel       peer          phase     balance  spendable   peer's  connected  waits for"
                      "                     until\n"
                      "0x8f0c3cbb1b  02f1a8c87607  open       999750     999750      250  yes        Nothing: ready."
                      "               -\n"
                      "0x1111111111  02f1a8c87607  disputed        5          0  1000000  no         The challenge"
                      " window to end.  2023-11-14 22:13:20 UTC\n");
  assert_int_equal(o.status, 0);
  fake_answers(&w->node, CD_OK, "{\"channels\":[]}");
  o = run(w, "channel list");
  assert_string_equal(o.out, "");
  contains(o.err, "No channels yet");
  assert_int_equal(o.status, 0);
}

static void test_fields(void **state) {
  world *w = *state;
  fake_answers(&w->node, CD_OK,
               "{\"address\":\"0xaa\",\"asset\":\"0x0000000000000000000000000000000000000000\",\"balance\":\"7\"}");
  assert_string_equal(run(w, "wallet balance").out, "address  0xaa\nasset    the chain's coin\nbalance  7\n");
  fake_answers(&w->node, CD_OK, "{\"address\":\"0xaa\"}");
  assert_string_equal(run(w, "wallet address").out, "0xaa\n");
  fake_answers(&w->node, CD_OK,
               "{\"kind\":\"dev\",\"lag\":93784,\"fresh\":false,\"transactions\":[{\"key\":\"0x12345678901234\","
               "\"channel\":null,\"kind\":\"transfer\",\"status\":\"sent\",\"hash\":null,\"block\":null,"
               "\"error\":\"a\\u001b[31mb\"}]}");
  outcome o = run(w, "l1 status");
  contains(o.out, "lag          1 d 2 h\nfresh        no\n");
  contains(o.out, "0x1234567890  -        transfer  sent        -  -     a?[31mb\n");
  fake_answers(&w->node, CD_OK,
               "{\"history\":[{\"seq\":1,\"time\":1700000000,\"from\":\"funding\",\"to\":\"open\",\"version\":0,"
               "\"cause\":\"The deposits are confirmed.\"}],\"next\":17}");
  o = run(w, "channel history 0xaaaaaa");
  assert_string_equal(o.out, "time                     from     to    version  cause\n"
                             "2023-11-14 22:13:20 UTC  funding  open        0  The deposits are confirmed.\n");
  assert_string_equal(o.err, "There is more: --after 17.\n");
}

static void test_json(void **state) {
  world *w = *state;
  fake_answers(&w->node, CD_OK, "{\"b\":1,\"a\":[true,null]}");
  outcome o = run(w, "--json info");
  assert_string_equal(o.out, "{\"b\":1,\"a\":[true,null]}\n");
  assert_string_equal(o.err, "");
  fake_answers(&w->node, CD_CONFLICT, "{\"code\":\"c\",\"message\":\"It is so.\",\"hint\":\"Do that.\"}");
  o = run(w, "info --json");
  assert_string_equal(o.out, "{\"code\":\"c\",\"message\":\"It is so.\",\"hint\":\"Do that.\"}\n");
  assert_int_equal(o.status, 1);
}

static void test_payment_result(void **state) {
  world *w = *state;
  fake_answers(&w->node, CD_OK,
               "{\"id\":\"x\",\"channel\":\"" ID "\",\"amount\":\"5\",\"status\":\"settled\",\"version\":4}");
  outcome o = run(w, "pay 0xaaaaaa 5");
  assert_string_equal(o.out, "settled  amount 5  id x  channel 0x8f0c3cbb1b  version 4\n");
  fake_answers(&w->node, CD_ACCEPTED, "{\"id\":\"x\",\"amount\":\"5\",\"status\":\"pending\"}");
  o = run(w, "pay 0xaaaaaa 5");
  contains(o.err, "not settled yet");
  assert_int_equal(o.status, 0);
  fake_answers(
      &w->node, CD_OK,
      "{\"id\":\"x\",\"amount\":\"5\",\"status\":\"failed\",\"reason\":{\"code\":\"c\",\"message\":\"Why.\"}}");
  o = run(w, "pay 0xaaaaaa 5");
  contains(o.err, "The payment failed. Why.");
  assert_int_equal(o.status, 1);
}

static void test_colours(void **state) {
  world *w = *state;
  int master = -1, slave = -1;
  char text[4096];
  outcome o;
  fake_answers(&w->node, CD_OK, channels_json);
  for (int no_colour = 0; no_colour < 2; no_colour++) {
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    assert_int_equal(no_colour ? setenv("NO_COLOR", "1", 1) : unsetenv("NO_COLOR"), 0);
    run_on(w, &o, "channel list", slave);
    close(slave); /* then what was written comes to an end */
    size_t len = 0;
    for (ssize_t n; (n = read(master, text + len, sizeof text - 1 - len)) > 0;)
      len += (size_t)n;
    text[len] = '\0';
    assert_int_equal(strstr(text, "\033[31mdisputed\033[0m") != NULL, !no_colour);
    assert_int_equal(strchr(text, '\033') != NULL, !no_colour);
    close(master);
  }
  unsetenv("NO_COLOR");
}

/* --- Trouble ---------------------------------------------------------------------------------------- */

static void test_refused(void **state) {
  world *w = *state;
  fake_answers(&w->node, CD_CONFLICT, "{\"code\":\"c\",\"message\":\"It is closed\",\"hint\":\"open another.\"}");
  outcome o = run(w, "channel close 0xaaaaaa");
  assert_string_equal(o.err, "channel-cli: It is closed. Open another.\n");
  assert_string_equal(o.out, "");
  assert_int_equal(o.status, 1);
  o = run(w, "payment list --limit 5000");
  contains(o.err, "\"limit\" must be a whole number from 1 to 1000.");
  assert_int_equal(o.status, 1);
}

static void test_unreachable(void **state) {
  world *w = *state;
  char sentence[PATH_MAX + 64];
  outcome o = run(w, "--dir /nonexistent/folder info");
  contains(o.err, "The daemon is not running");
  contains(o.err, "`channeld --dir /nonexistent/folder`");
  assert_int_equal(o.status, 3);
  o = run(w, "--url http://127.0.0.1:1 info");
  contains(o.err, "nothing answers at http://127.0.0.1:1");
  assert_int_equal(o.status, 3);
  cd_api_stop(w->api);
  w->api = NULL;
  o = run(w, "info");
  snprintf(sentence, sizeof sentence, "Start it with `channeld --dir %s`.\n", w->dir.path);
  contains(o.err, sentence);
  assert_int_equal(o.status, 3);
}

static void *stop_server(void *arg) {
  world *w = arg;
  fake_wait_held(&w->node, 1);
  cd_api_stop(w->api);
  w->api = NULL;
  return NULL;
}

static void test_stopped_while_waiting(void **state) {
  world *w = *state;
  pthread_t thread;
  fake_hold(&w->node);
  assert_int_equal(pthread_create(&thread, NULL, stop_server, w), 0);
  outcome o = run(w, "pay 0xaaaaaa 5 --id x");
  pthread_join(thread, NULL);
  contains(o.err, "may or may not be done");
  assert_int_equal(o.status, 1);
  fake_release(&w->node);
}

static void test_token(void **state) {
  world *w = *state;
  char path[PATH_MAX], line[PATH_MAX + 32];
  write_file(w, "other", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
  snprintf(line, sizeof line, "--token-file %s info", tempdir_file(path, &w->dir, "other"));
  outcome o = run(w, line);
  contains(o.err, "is not that of the daemon");
  assert_int_equal(o.status, 4);
  o = run(w, "--token-file /nonexistent info");
  contains(o.err, "cannot be read from /nonexistent");
  assert_int_equal(o.status, 4);
  snprintf(line, sizeof line, "--dir /nonexistent --url http://%s/ --token-file %s info", cd_api_address(w->api),
           tempdir_file(path, &w->dir, "api.token"));
  assert_int_equal(run(w, line).status, 0);
}

/* --- Many payments ---------------------------------------------------------------------------------- */

static void test_batch(void **state) {
  world *w = *state;
  char path[PATH_MAX], line[PATH_MAX + 64];
  FILE *file = fopen(tempdir_file(path, &w->dir, "payments"), "w");
  fputs("# id amount\n\n", file);
  for (int i = 0; i < 2500; i++)
    fprintf(file, "p%d %d\n", i, i + 1);
  fclose(file);
  fake_answers(&w->node, CD_OK,
               "{\"payments\":[{\"id\":\"a\",\"status\":\"settled\"},{\"id\":\"b\",\"status\":\"pending\"}]}");
  snprintf(line, sizeof line, "pay 0xaaaaaa --batch %s --wait 1", path);
  outcome o = run(w, line);
  assert_string_equal(o.out, "3 settled, 3 pending, 0 failed\n");
  assert_int_equal(o.status, 0);
  assert_int_equal(fake_calls(&w->node), 3);
  json_t *last = fake_last(&w->node);
  const json_t *args = json_object_get(last, "args");
  const json_t *payments = json_object_get(args, "payments");
  assert_int_equal(json_array_size(payments), 500);
  assert_int_equal(json_integer_value(json_object_get(args, "wait_ms")), 1000);
  json_t *wanted = json_loads("{\"id\":\"p2499\",\"amount\":\"2500\",\"channel\":\"0xaaaaaa\"}", 0, NULL);
  assert_true(json_equal(json_array_get(payments, 499), wanted));
  json_decref(wanted);
  json_decref(last);

  fake_answers(&w->node, CD_OK,
               "{\"payments\":[{\"id\":\"a\",\"status\":\"failed\",\"reason\":{\"message\":\"Too much.\"}}]}");
  o = run(w, line);
  contains(o.err, "Payment a failed: Too much.");
  assert_int_equal(o.status, 1);
}

static void test_bad_batch(void **state) {
  world *w = *state;
  char path[PATH_MAX], line[PATH_MAX + 64];
  static const char *const bad[] = {"a 1\nb\n", "a 1\nb 1 c\n", "a 1\nb 1.5\n", "a 1\nb -1\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    write_file(w, "payments", bad[i]);
    snprintf(line, sizeof line, "pay --batch %s", tempdir_file(path, &w->dir, "payments"));
    outcome o = run(w, line);
    contains(o.err, "payments, line 2: ");
    assert_int_equal(o.status, 2);
  }
  assert_int_equal(fake_calls(&w->node), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_requests), TEST(test_made_id), TEST(test_usage),       TEST(test_help),
      TEST(test_table),    TEST(test_fields),  TEST(test_json),        TEST(test_payment_result),
      TEST(test_colours),  TEST(test_refused), TEST(test_unreachable), TEST(test_stopped_while_waiting),
      TEST(test_token),    TEST(test_batch),   TEST(test_bad_batch),
  };
  unsetenv("NO_COLOR");
  return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
