/* fake_chain.h - a chain node for unit tests: blocks with blooms, logs and the storage of channels, and its faults. */
#ifndef FAKE_CHAIN_H
#define FAKE_CHAIN_H

#include "fake_http.h"
#include "l1/evm/block.h"

#define FAKE_STATE 8

typedef struct fake_block {
  cd_evm_block head;
  struct {
    ch_hash topic[2];
    uint8_t data[64];
    size_t len;
  } log[4];
  size_t n_logs;
  struct {
    ch_hash slot, value;
  } state[FAKE_STATE]; /* after this block */
  size_t n_state;
} fake_block;

typedef struct fake_chain {
  uint64_t chain_id;
  ch_addr contract;
  fake_block *blocks;
  size_t n, cap;
  /* Faults. */
  bool silent;      /* no answer at all */
  bool hides_logs;  /* says that there are none */
  bool invents_log; /* shows one that is not there */
  size_t frozen;    /* if not 0: "latest" is this many blocks behind */
  uint64_t narrow;  /* if not 0: logs of more blocks than that are refused */
  unsigned log_questions;
} fake_chain;

/* With block 0, of time 1000; each further one is 10 s later. */
void fake_chain_init(fake_chain *c, const ch_addr *contract);
void fake_chain_free(fake_chain *c);
/* The same blocks, in another node. */
void fake_chain_copy(fake_chain *to, const fake_chain *from);
/* Blocks that another `branch` has, too, have other hashes. */
void fake_chain_mine(fake_chain *c, unsigned blocks, uint8_t branch);
void fake_chain_drop(fake_chain *c, unsigned blocks);
/* In the last block. */
void fake_chain_set(fake_chain *c, const ch_hash *id, unsigned k, const ch_hash *value);
void fake_chain_log(fake_chain *c, const char *event, const ch_hash *id, const uint8_t *data, size_t len);

void fake_chain_answer(fake_chain *c, const char *method, const json_t *params, json_int_t id, cd_http_answer *out);

#endif
