/* scan.h - reads the chain block by block from one node at a time, and keeps what was found (scandb.h).
 *
 * Each block must be the child of the last one. If it is not, blocks are taken back until one is reached that the node
 * has, too: the common ancestor. Blocks whose bloom shows that the Adjudicator may have spoken of a watched channel are
 * handed on, and how such channels ended is kept. One thread.
 */
#ifndef CHANNELD_L1_EVM_SCAN_H
#define CHANNELD_L1_EVM_SCAN_H

#include "l1/evm/scandb.h"

#define CD_SCAN_CHUNK 64 /* blocks of one call */
#define CD_SCAN_JUMP                                                                                                   \
  2048 /* if more are missing, reading starts anew at the final block: states are looked at anyway                     \
        */

typedef struct cd_scan {
  cd_rpc *rpc;
  cd_scandb *db;
  ch_addr contract;
  cd_evm_marks marks; /* of the contract: see cd_evm_marks_of */
  /* Blocks on top of one that counts as final, or, if `tag` is not NULL, the node's own word for it. */
  uint32_t confirmations;
  const char *tag;
  bool quiet; /* reorganisations are expected */
  /* Notes the watched channels that a block may have changed, by its bloom; returns how many. */
  size_t (*touch)(void *ctx, const uint8_t bloom[CD_EVM_BLOOM]);
  bool (*watched)(void *ctx, const ch_hash *id);
  void *ctx;
} cd_scan;

typedef enum cd_scan_result {
  CD_SCAN_DONE = 1, /* as far as the node is */
  CD_SCAN_MORE,     /* call again */
  CD_SCAN_FAILED,   /* no answer, or one that cannot be used: try later or elsewhere. The reason is in `why` */
} cd_scan_result;

/* Reads on towards `head`, the node's latest block. *anew is set if anything that was read before may be different now
 * (a reorganisation, a fresh start): all channels are to be looked at. */
cd_scan_result cd_scan_towards(cd_scan *s, size_t url, const cd_evm_block *head, bool *anew, char why[CD_RPC_TEXT]);

/* The block that counts as final when `head` is the last one; never below the former one. */
cd_scan_result cd_scan_final(cd_scan *s, size_t url, const cd_scan_block *head, cd_scan_block *out,
                             char why[CD_RPC_TEXT]);

/* How epoch `epoch` of a channel ended, as of a block: from what was kept, else by a search backwards through the
 * chain. At most some hundred questions are asked; then CD_SCAN_MORE, and *from says where to go on next time (start
 * with UINT64_MAX). */
cd_scan_result cd_scan_find_ending(cd_scan *s, size_t url, const ch_hash *id, uint16_t epoch, uint64_t upto,
                                   uint64_t *from, cd_evm_ending *out, char why[CD_RPC_TEXT]);
/* The preimage of a hash that was revealed at or before a block, by the same search. */
cd_scan_result cd_scan_find_preimage(cd_scan *s, size_t url, const ch_hash *hash, uint64_t upto, uint64_t *from,
                                     ch_hash *out, char why[CD_RPC_TEXT]);

#endif
