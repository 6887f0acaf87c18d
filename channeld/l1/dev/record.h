/* record.h - a channel's storage and events as the embedded chain's file keeps them (proto/devchain.proto). */
#ifndef CHANNELD_L1_DEV_RECORD_H
#define CHANNELD_L1_DEV_RECORD_H

#include "channel/adjudicator.h"

#define CD_DEV_RECORD_MAX 512

/* What is known of a hash. */
typedef struct cd_dev_revealed {
  uint64_t time; /* chain seconds; 0: not revealed */
  ch_hash preimage;
} cd_dev_revealed;

/* `out` has CD_DEV_RECORD_MAX bytes; returns how many were written. */
size_t cd_dev_slots_encode(uint8_t *out, const ch_adj_slots *slots);
size_t cd_dev_revealed_encode(uint8_t *out, const cd_dev_revealed *revealed);
size_t cd_dev_event_encode(uint8_t *out, const ch_adj_event *event);
/* False if the bytes are damaged. No bytes at all are the slots of an unknown channel: all zero. */
bool cd_dev_slots_decode(ch_adj_slots *out, const uint8_t *in, size_t len);
bool cd_dev_revealed_decode(cd_dev_revealed *out, const uint8_t *in, size_t len); /* the same */
bool cd_dev_event_decode(ch_adj_event *out, const uint8_t *in, size_t len);

#endif
