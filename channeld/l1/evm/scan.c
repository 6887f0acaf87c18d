#include "scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/log.h"

#define SEARCH_SPAN 10000   /* blocks of one question for logs; halved when the node refuses */
#define LEAD 64             /* blocks that are read below the final one at first, for reorganisations below that */
#define SEARCH_REQUESTS 256 /* of one call */

static cd_scan_result fail(char why[CD_RPC_TEXT], const char *text) {
  snprintf(why, CD_RPC_TEXT, "%s", text);
  return CD_SCAN_FAILED;
}

static cd_scan_result no_answer(char why[CD_RPC_TEXT]) {
  return fail(why, "The chain's node gives no usable answer.");
}

static cd_scan_result bad_file(char why[CD_RPC_TEXT]) {
  return fail(why, "The file that says how far the chain was read cannot be used: look at the disk.");
}

static cd_scan_block kept(const cd_evm_block *b) {
  return (cd_scan_block){.number = b->number, .time = b->time, .hash = b->hash};
}

static cd_scan_result block_at(cd_scan *s, size_t url, uint64_t number, cd_evm_block *out, char why[CD_RPC_TEXT]) {
  bool found;
  if (cd_evm_block_at(s->rpc, url, number, out, &found) != CD_RPC_OK) return no_answer(why);
  return found ? CD_SCAN_DONE : fail(why, "The chain's node misses a block below its own head.");
}

/* --- One block ---------------------------------------------------------------------------------------------------- */

/* Whether a channel's ending is in a log, as it is kept. */
static bool to_ending(const cd_scan *s, const cd_evm_log *log, cd_scan_ending *out) {
  *out = (cd_scan_ending){.block = log->block, .place = log->index, .tx = log->tx};
  if (!cd_evm_ending_of(&out->ending, log)) return false;
  out->id = log->topic[1];
  return s->watched(s->ctx, &out->id);
}

static cd_scan_result add(cd_scan *s, const cd_evm_block *b, const cd_evm_log *logs, size_t n_logs,
                          char why[CD_RPC_TEXT]) {
  cd_scan_block block = kept(b);
  cd_scan_ending *endings = calloc(n_logs + 1, sizeof *endings);
  size_t n = 0;
  if (endings == NULL) return fail(why, "Out of memory.");
  for (size_t i = 0; i < n_logs; i++)
    n += to_ending(s, &logs[i], &endings[n]);
  ch_err err = cd_scandb_add(s->db, &block, endings, n);
  free(endings);
  return err == CH_OK ? CD_SCAN_DONE : bad_file(why);
}

/* No logs are asked for where the bloom shows none. Where it shows some, the channels count as touched even if the node
 * says that there are none: their storage tells the truth, and an ending that is not among the logs is searched for. */
static cd_scan_result take(cd_scan *s, size_t url, const cd_evm_block *b, char why[CD_RPC_TEXT]) {
  cd_evm_log *logs = NULL;
  size_t n = 0;
  if (cd_evm_bloom_has(b->bloom, &s->marks) && s->touch(s->ctx, b->bloom) > 0 &&
      cd_evm_logs_of(s->rpc, url, &s->contract, b, &logs, &n) != CD_RPC_OK)
    return no_answer(why);
  cd_scan_result result = add(s, b, logs, n, why);
  free(logs);
  return result;
}

/* --- Reorganisations ---------------------------------------------------------------------------------------------- */

/* Whether another node that can be asked has this block. */
static bool others_have(cd_scan *s, size_t url, const cd_scan_block *b) {
  bool have = false, found;
  cd_evm_block got;
  for (size_t i = 0; i < cd_rpc_count(s->rpc) && !have; i++) {
    if (i != url && cd_evm_block_at(s->rpc, i, b->number, &got, &found) == CD_RPC_OK && found)
      have = ch_hash_eq(&got.hash, &b->hash);
  }
  return have;
}

/* The chain as this node has it lacks a block that counted as final. That is believed only if no other node knows it,
 * too. */
static cd_scan_result below_final(cd_scan *s, size_t url, uint64_t ancestor, uint64_t final, char why[CD_RPC_TEXT]) {
  cd_scan_block b;
  bool found;
  if (cd_scandb_at(s->db, final, &b, &found) != CH_OK || !found) return bad_file(why);
  if (others_have(s, url, &b)) {
    cd_rpc_distrust(s->rpc, url, "it lacks a final block that another node has");
    return fail(why, "A node contradicts what counts as final.");
  }
  cd_log(CD_LOG_ERROR, "l1",
         "the chain was reorganised below a block that counted as final: payments may be undone; raise --confirmations "
         "or take `finalized` final=%llu ancestor=%llu",
         (unsigned long long) final, (unsigned long long)ancestor);
  return CD_SCAN_DONE;
}

/* Takes back all blocks that the node does not have, from `number` downwards. */
static cd_scan_result walk_back(cd_scan *s, size_t url, uint64_t number, char why[CD_RPC_TEXT]) {
  cd_scan_block mine;
  cd_evm_block its;
  bool found;
  uint64_t final, n = number;
  if (cd_scandb_final(s->db, &final, &found) != CH_OK || !found) return bad_file(why);
  for (;; n--) {
    if (cd_scandb_at(s->db, n, &mine, &found) != CH_OK) return bad_file(why);
    if (!found) {
      cd_rpc_distrust(s->rpc, url, "it knows none of the last blocks: is it on another chain?");
      return fail(why, "A node knows none of the last blocks: check that its URL is of the same chain.");
    }
    cd_scan_result result = block_at(s, url, n, &its, why);
    if (result != CD_SCAN_DONE) return result;
    if (ch_hash_eq(&its.hash, &mine.hash)) break;
    if (n == 0) return fail(why, "A node is on another chain: check its URL.");
  }
  if (n < final) {
    cd_scan_result result = below_final(s, url, n, final, why);
    if (result != CD_SCAN_DONE) return result;
  }
  cd_log(s->quiet ? CD_LOG_DEBUG : CD_LOG_WARN, "l1", "the chain was reorganised: back to block %llu url=%s",
         (unsigned long long)n, cd_rpc_name(s->rpc, url));
  return cd_scandb_undo(s->db, n) == CH_OK ? CD_SCAN_MORE : bad_file(why);
}

/* --- Finality ----------------------------------------------------------------------------------------------------- */

static cd_scan_result tagged(cd_scan *s, size_t url, const char *tag, cd_evm_block *out, char why[CD_RPC_TEXT]) {
  bool found;
  if (cd_evm_block_tagged(s->rpc, url, tag, out, &found) == CD_RPC_FAILED) return no_answer(why);
  if (found) return CD_SCAN_DONE;
  snprintf(why, CD_RPC_TEXT, "The node knows no `%s` block: use --confirmations with a number.", tag);
  return CD_SCAN_FAILED;
}

static uint64_t depth_of(const cd_scan *s, uint64_t head) {
  return head > s->confirmations ? head - s->confirmations : 0;
}

cd_scan_result cd_scan_final(cd_scan *s, size_t url, const cd_scan_block *head, cd_scan_block *out,
                             char why[CD_RPC_TEXT]) {
  uint64_t number = depth_of(s, head->number), former;
  cd_evm_block its = {0};
  bool found;
  if (s->tag != NULL) {
    cd_scan_result result = tagged(s, url, s->tag, &its, why);
    if (result != CD_SCAN_DONE) return result;
    number = its.number < head->number ? its.number : head->number;
  }
  if (cd_scandb_final(s->db, &former, &found) != CH_OK || !found) return bad_file(why);
  if (number < former) number = former;
  if (cd_scandb_at(s->db, number, out, &found) != CH_OK || !found) return bad_file(why);
  if (s->tag == NULL || number != its.number || ch_hash_eq(&out->hash, &its.hash)) return CD_SCAN_DONE;
  return fail(why, "The node's final block is not the one that it showed before.");
}

/* Where to begin: some way below the block that is final now. */
static cd_scan_result restart(cd_scan *s, size_t url, const cd_evm_block *head, char why[CD_RPC_TEXT]) {
  cd_evm_block b;
  cd_scan_result result =
      s->tag != NULL ? tagged(s, url, s->tag, &b, why) : block_at(s, url, depth_of(s, head->number), &b, why);
  if (result == CD_SCAN_DONE) result = block_at(s, url, b.number > LEAD ? b.number - LEAD : 0, &b, why);
  if (result != CD_SCAN_DONE) return result;
  cd_scan_block at = kept(&b);
  return cd_scandb_restart(s->db, &at) == CH_OK ? CD_SCAN_MORE : bad_file(why);
}

/* --- Reading on --------------------------------------------------------------------------------------------------- */

/* After a long time away. What was final must still be there. */
static cd_scan_result jump(cd_scan *s, size_t url, const cd_evm_block *head, char why[CD_RPC_TEXT]) {
  uint64_t final;
  bool found;
  cd_scan_block mine;
  cd_evm_block its;
  if (cd_scandb_final(s->db, &final, &found) != CH_OK || !found) return bad_file(why);
  if (cd_scandb_at(s->db, final, &mine, &found) != CH_OK || !found) return bad_file(why);
  cd_scan_result result = block_at(s, url, final, &its, why);
  if (result != CD_SCAN_DONE) return result;
  if (!ch_hash_eq(&its.hash, &mine.hash)) return walk_back(s, url, final, why);
  return restart(s, url, head, why);
}

static cd_scan_result read_on(cd_scan *s, size_t url, cd_scan_block last, const cd_evm_block *head, bool *anew,
                              char why[CD_RPC_TEXT]) {
  for (unsigned i = 0; i < CD_SCAN_CHUNK && last.number < head->number; i++) {
    cd_evm_block b;
    cd_scan_result result = block_at(s, url, last.number + 1, &b, why);
    if (result != CD_SCAN_DONE) return result;
    if (!ch_hash_eq(&b.parent, &last.hash)) {
      *anew = true;
      return walk_back(s, url, last.number, why);
    }
    result = take(s, url, &b, why);
    if (result != CD_SCAN_DONE) return result;
    last = kept(&b);
  }
  return last.number < head->number ? CD_SCAN_MORE : CD_SCAN_DONE;
}

cd_scan_result cd_scan_towards(cd_scan *s, size_t url, const cd_evm_block *head, bool *anew, char why[CD_RPC_TEXT]) {
  cd_scan_block last, same;
  bool found;
  if (cd_scandb_last(s->db, &last, &found) != CH_OK) return bad_file(why);
  if (!found) {
    *anew = true;
    return restart(s, url, head, why);
  }
  if (head->number > last.number + CD_SCAN_JUMP) {
    *anew = true;
    return jump(s, url, head, why);
  }
  if (head->number > last.number) return read_on(s, url, last, head, anew, why);
  /* The node is not further than we are: on the same chain there is nothing new. */
  if (cd_scandb_at(s->db, head->number, &same, &found) != CH_OK) return bad_file(why);
  if (found && ch_hash_eq(&same.hash, &head->hash)) return CD_SCAN_DONE;
  if (head->number == 0) return fail(why, "The node is at block 0, or on another chain.");
  *anew = true;
  return walk_back(s, url, head->number, why);
}

/* --- Searching ---------------------------------------------------------------------------------------------------- */

/* A log from anywhere must be of a block of this chain. */
static cd_scan_result check_log(cd_scan *s, size_t url, const cd_evm_log *log, char why[CD_RPC_TEXT]) {
  cd_evm_block b;
  cd_scan_block mine;
  bool found;
  if (cd_scandb_at(s->db, log->block, &mine, &found) != CH_OK) return bad_file(why);
  cd_scan_result result = block_at(s, url, log->block, &b, why);
  if (result != CD_SCAN_DONE) return result;
  if (cd_evm_log_fits(log, &s->contract, &b) && (!found || ch_hash_eq(&mine.hash, &b.hash))) return CD_SCAN_DONE;
  cd_rpc_distrust(s->rpc, url, "it shows logs that the chain does not contain");
  return fail(why, "A node shows logs that the chain does not contain.");
}

static cd_scan_result keep_found(cd_scan *s, size_t url, const cd_evm_log *logs, size_t n, char why[CD_RPC_TEXT]) {
  for (size_t i = 0; i < n; i++) {
    cd_scan_ending e;
    if (!to_ending(s, &logs[i], &e)) continue;
    cd_scan_result result = check_log(s, url, &logs[i], why);
    if (result != CD_SCAN_DONE) return result;
    if (cd_scandb_add_ending(s->db, &e) != CH_OK) return bad_file(why);
  }
  return CD_SCAN_DONE;
}

/* A search backwards through the chain for events with one of two topics in place 0 and `topic1` in place 1. */
typedef struct search {
  ch_hash topics[2];
  const ch_hash *topic1;
  uint64_t *from; /* goes down */
  uint64_t span;  /* how many blocks a question may be about */
  bool over;      /* block 0 was reached */
} search;

/* One question further down; `logs` are malloc'ed. */
static cd_scan_result search_once(cd_scan *s, size_t url, search *what, cd_evm_log **logs, size_t *n,
                                  char why[CD_RPC_TEXT]) {
  uint64_t first = *what->from >= what->span ? *what->from - what->span + 1 : 0;
  cd_rpc_status status =
      cd_evm_logs_search(s->rpc, url, &s->contract, first, *what->from, what->topics, what->topic1, logs, n);
  if (status == CD_RPC_REFUSED && what->span > 1) {
    what->span /= 2; /* too many blocks for this node */
    return CD_SCAN_DONE;
  }
  if (status != CD_RPC_OK) return no_answer(why);
  what->over = first == 0;
  *what->from = what->over ? UINT64_MAX : first - 1;
  return CD_SCAN_DONE;
}

static cd_scan_result not_found(cd_scan *s, size_t url, const char *what, char why[CD_RPC_TEXT]) {
  cd_rpc_distrust(s->rpc, url, "its logs do not show what its storage says");
  snprintf(why, CD_RPC_TEXT, "A node's logs do not show %s: use one that keeps old logs.", what);
  return CD_SCAN_FAILED;
}

cd_scan_result cd_scan_find_ending(cd_scan *s, size_t url, const ch_hash *id, uint16_t epoch, uint64_t upto,
                                   uint64_t *from, cd_evm_ending *out, char why[CD_RPC_TEXT]) {
  search what = {.topic1 = id, .from = from, .span = SEARCH_SPAN};
  bool found;
  cd_evm_ending_topics(what.topics);
  for (unsigned i = 0; i < SEARCH_REQUESTS; i++) {
    cd_evm_log *logs;
    size_t n;
    if (cd_scandb_ending(s->db, id, epoch, upto, out, &found) != CH_OK) return bad_file(why);
    if (found) {
      *from = UINT64_MAX;
      return CD_SCAN_DONE;
    }
    if (what.over) return not_found(s, url, "how a channel ended", why);
    if (*from > upto) *from = upto;
    cd_scan_result result = search_once(s, url, &what, &logs, &n, why);
    if (result == CD_SCAN_DONE) result = keep_found(s, url, logs, n, why);
    free(logs);
    if (result != CD_SCAN_DONE) return result;
  }
  return CD_SCAN_MORE;
}

cd_scan_result cd_scan_find_preimage(cd_scan *s, size_t url, const ch_hash *hash, uint64_t upto, uint64_t *from,
                                     ch_hash *out, char why[CD_RPC_TEXT]) {
  search what = {.topic1 = hash, .from = from, .span = SEARCH_SPAN};
  cd_evm_reveal_topic(&what.topics[0]);
  what.topics[1] = what.topics[0];
  for (unsigned i = 0; i < SEARCH_REQUESTS; i++) {
    cd_evm_log *logs;
    size_t n;
    bool found = false;
    if (what.over) return not_found(s, url, "a preimage that was revealed", why);
    if (*from > upto) *from = upto;
    cd_scan_result result = search_once(s, url, &what, &logs, &n, why);
    for (size_t k = 0; result == CD_SCAN_DONE && k < n && !found; k++)
      found = cd_evm_reveal_of(out, hash, &logs[k]);
    free(logs);
    if (result != CD_SCAN_DONE || found) return result;
  }
  return CD_SCAN_MORE;
}
