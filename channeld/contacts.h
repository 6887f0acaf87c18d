/* contacts.h - the nodes this one knows: those it keeps connecting to, and those that are connected. Belongs to worker
 * 0; the address of a wanted one is in the store. */
#ifndef CHANNELD_CONTACTS_H
#define CHANNELD_CONTACTS_H

#include "reply.h"
#include "worker.h"

#define CD_ADDRESS_LEN 264

typedef struct cd_contacts cd_contacts;

cd_contacts *cd_contacts_new(void);
void cd_contacts_free(cd_contacts *c);

/* At start, and on command: keeps connecting to `node`. */
void cd_contacts_want(cd_worker *w, const ch_pubkey *node, const char *address);
/* The same, and answers with the peer when it is connected, or after `wait_ms` as it is then. */
void cd_contacts_connect(cd_worker *w, const ch_pubkey *node, const char *address, uint64_t wait_ms, cd_reply reply);
void cd_contacts_forget(cd_worker *w, const ch_pubkey *node, cd_reply reply);
void cd_contacts_list(cd_worker *w, cd_reply reply);

/* What the transport tells. */
void cd_contacts_up(cd_worker *w, const ch_pubkey *node, cd_conn conn, bool inbound, const char *address);
void cd_contacts_down(cd_worker *w, const ch_pubkey *node, cd_conn conn, const char *reason);
void cd_contacts_failed(cd_worker *w, const ch_pubkey *node, const char *reason);

#endif
