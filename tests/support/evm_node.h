/* evm_node.h - nodes of an EVM chain (evm_chain.h) that speak JSON-RPC, in place of HTTP to real ones, each with faults
 * of its own. They answer what the adapter asks (channeld/l1/evm); any other question aborts the test.
 *
 *   evm_chain *chain = evm_chain_new(NULL);
 *   evm_node node;
 *   evm_node_init(&node, chain, 2);
 *   cd_http http = evm_node_http(&node);
 *   cd_l1_evm_config cfg = {.urls = evm_node_urls, .n_urls = 2, .http = &http, ...};
 *
 * Several daemons may have an evm_node each, with faults of their own, on one chain.
 */
#ifndef EVM_NODE_H
#define EVM_NODE_H

#include "evm_chain.h"
#include "fake_http.h"

typedef enum evm_broadcasts {
  EVM_BROADCASTS = 0,
  EVM_LOSES_THEM, /* says that it took a transaction, but did not */
  EVM_MUTE,       /* takes it, but does not answer */
} evm_broadcasts;

/* One URL, with what is wrong with it. Changed at will, but see evm_node_hold if there are threads. */
typedef struct evm_endpoint {
  evm_chain *chain;
  uint64_t chain_id;      /* 0: the chain's */
  bool silent;            /* no answer at all */
  bool fails;             /* an error for every question */
  const char *refuses;    /* a method for which it has an error only; NULL: none */
  uint64_t lag;           /* it is as many blocks behind */
  uint64_t fork;          /* 0: none; else it has other blocks from this number on, empty ones with the same times */
  uint64_t ahead;         /* with a fork: as many blocks more than there are */
  bool hides_logs;        /* says that there are none */
  bool invents_logs;      /* shows one in each block that is not there */
  uint64_t narrow;        /* 0: none; else logs of more blocks than that at once are refused */
  bool estimates_pending; /* eth_estimateGas is about the next block with the pool's transactions, not the head */
  bool no_finality;       /* does not know the words `safe` and `finalized` */
  evm_broadcasts broadcasts;
  unsigned log_questions; /* counted */
} evm_endpoint;

#define EVM_NODES 4
#define EVM_FINAL 3 /* so many blocks lie on top of the one that is `finalized`; one less on top of the `safe` one */

typedef struct evm_node {
  fake_http http;
  evm_endpoint at[EVM_NODES];
  size_t n;
} evm_node;

extern const char *const evm_node_urls[EVM_NODES];

void evm_node_init(evm_node *node, evm_chain *chain, size_t n);
cd_http evm_node_http(evm_node *node);

/* No question is answered by its chain from hold to release. */
evm_endpoint *evm_node_hold(evm_node *node, size_t i);
void evm_node_release(evm_node *node, size_t i);

#endif
