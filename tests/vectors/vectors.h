/* vectors.h - what the files of write_vectors share: values as JSON, and what each of them writes. Hashes, addresses,
 * signatures and bytes are hex with 0x; numbers are decimal strings. */
#ifndef VECTORS_H
#define VECTORS_H

#include <channel/channel.h>
#include <jansson.h>

json_t *hex_text(const void *bytes, size_t len);
void put_hex(json_t *o, const char *key, const void *bytes, size_t len);
void put_hash(json_t *o, const char *key, ch_hash h);
void put_addr(json_t *o, const char *key, ch_addr a);
void put_sig(json_t *o, const char *key, ch_sig s);
void put_net(json_t *o, const char *key, ch_net n);
void put_amount(json_t *o, const char *key, ch_amount a);
void put_number(json_t *o, const char *key, uint64_t v);
/* Two values, by side. */
void put_nets(json_t *o, const char *key, const ch_net n[2]);
void put_amounts(json_t *o, const char *key, const ch_amount a[2]);
/* A new object at the end of the list. */
json_t *add(json_t *list);
/* Writes FOLDER/NAME.json and frees `value`. */
void save(const char *folder, const char *name, json_t *value);

/* show.c: as JSON objects of their own. Messages with the names of proto/peer.proto. */
json_t *show_message(const ch_msg *m);
json_t *show_ops(const ch_op *ops, size_t n);
json_t *show_call(const ch_tx *tx);
json_t *show_onchain(const ch_onchain *look);
/* "Update" and so on, the name in proto/peer.proto. */
const char *message_name(ch_msg_type type);

/* typed.c: the fields of what is signed, as a new object. */
json_t *typed_state(const ch_state *s);
json_t *typed_close(const ch_close *c);
json_t *typed_withdraw(const ch_withdraw *w);
json_t *typed_move(const ch_move *m);
json_t *typed_challenge(const ch_challenge *c);
json_t *typed_bounty(const ch_bounty *b);
json_t *typed_open(const ch_open_statement *s);

void write_transport(const char *folder);
void write_dialogues(const char *folder);

#endif
