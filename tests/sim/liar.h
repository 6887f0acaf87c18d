/* liar.h - what the files of the lying side share: what it knows, what it can say, what it can do on chain. */
#ifndef SIM_LIAR_H
#define SIM_LIAR_H

#include "world.h"

#define MAX_CONTENTS 768
#define MAX_SAID 32
#define MAX_POOL 8
#define MAX_PAPERS 32
#define MANY_LOCKS (3 * LOCKS_SIZE)

/* A state in clear, and who has signed it. The liar can always sign, so `has` is the honest side's. */
typedef struct content {
  uint16_t epoch;
  uint64_t version;
  ch_net net;
  uint8_t locks[MANY_LOCKS];
  size_t len;
  ch_outcome outcome;
  bool has;
  ch_sig sig; /* the honest side's */
} content;

/* A Close or Withdraw or Move with the honest side's signature. */
typedef struct paper {
  ch_tx_kind kind;
  union {
    ch_close close;
    ch_withdraw withdraw;
  } u;
  ch_sig sig;
} paper;

typedef struct said {
  uint8_t *bytes;
  size_t len;
} said;

typedef struct liar {
  int side;
  ch_hash id, domain, instance, old_instance;
  ch_params params;
  ch_secret key;
  content contents[MAX_CONTENTS];
  size_t n;
  paper papers[MAX_PAPERS];
  size_t n_papers;
  said said[MAX_SAID];
  size_t n_said;
  uint64_t unanswered; /* version of the honest side's last proposal; 0: none */
  ch_op reserve;       /* its last one */
  bool greeted, hears_refusal;
  unsigned silent; /* actions in which it does nothing */
  unsigned lies;   /* percent of what it says */
  bool patient;    /* it seldom challenges before the end */
  ch_tx pool[MAX_POOL];
  ch_amount value[MAX_POOL];
  uint8_t pool_locks[MAX_POOL][MANY_LOCKS];
  size_t n_pool;
} liar;

static inline node *honest_of(world *w) {
  return &w->node[lone_honest(w)];
}

/* liar_knows.c */
/* A content that is not known yet; NULL: there is no more room. */
content *liar_content(world *w, uint64_t version, const content *what);
/* The honest side's latest content; NULL: it is not known here. */
const content *liar_latest(world *w);
const content *liar_some(world *w, bool signed_by_honest);
const content *liar_of_version(const liar *l, uint16_t epoch, uint64_t version);
bool liar_apply(content *out, const content *base, int proposer, const ch_op *ops, size_t n);
void liar_state(const liar *l, const content *c, ch_state *st);
ch_sig liar_sign_state(const liar *l, const content *c);
ch_sig liar_sign(const liar *l, const ch_hash *digest);
void liar_learns(world *w, const ch_msg *m);

/* liar_says.c */
void liar_greets(world *w);
void liar_answers(world *w);
void liar_accepts(world *w, const content *c);
void liar_proposes(world *w, bool lie);
void liar_lies(world *w);
void liar_shows_papers(world *w);

/* liar_chain.c */
void liar_on_chain(world *w);
void liar_accepts_late(world *w);
void liar_reveals_late(world *w);
void liar_settles_behind(world *w);
/* Into the next block, if it is not full. */
void liar_wants(world *w, ch_amount value, const ch_tx *tx);
ch_tx liar_challenge(world *w, const content *c);

#endif
