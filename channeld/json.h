/* json.h - values as documents show them: money as decimal strings, ids and addresses as 0x and hex. */
#ifndef CHANNELD_JSON_H
#define CHANNELD_JSON_H

#include "ports.h"

/* Each gives a new reference. */
json_t *cd_json_amount(ch_amount a);
json_t *cd_json_net(ch_net n);
json_t *cd_json_hash(const ch_hash *h);
json_t *cd_json_addr(const ch_addr *a);
json_t *cd_json_node(const ch_pubkey *k); /* without 0x */
json_t *cd_json_channel(const ch_info *info);
/* A pending lock as the channel has it. */
json_t *cd_json_lock(const ch_lock_info *l, uint8_t payer);
json_t *cd_json_payment(const cd_payment *p);
json_t *cd_json_tx(const cd_tx_row *row);
json_t *cd_json_history(const cd_history *h);

const char *cd_payment_status_name(ch_payment_status s);
const char *cd_tx_status_name(cd_tx_status s);

/* The first 8 hex digits of an id, for logs. */
typedef struct cd_short {
  char s[11];
} cd_short;
cd_short cd_short_hash(const ch_hash *h);
cd_short cd_short_node(const ch_pubkey *k);

#endif
