/* limit.h - the parts of the program that measures what the machine allows (limit_updates.c). */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE 300 /* bytes: what a proposal of one payment takes, and its answer */
#define RECORD 500  /* bytes: what an update writes of a channel's durable record */
#define SIGNATURE 65

/* Says why and ends the process: there is no point in going on. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* --- A channel ------------------------------------------------------------------------------------ */

typedef enum stage {
  PROPOSE, /* payer: sign the next version; payment pending */
  ACCEPT,  /* payee: check and sign; payment settled */
  ADOPT,   /* payer: check the answer; payment settled, then PROPOSE again */
} stage;

/* One update is under way at any time, so one owner at any time: no lock. */
typedef struct channel {
  struct channel *next; /* in the queue it waits in */
  uint32_t num;
  stage stage;
  uint64_t version;
  int64_t payment;          /* row of the pending payment */
  uint8_t message[MESSAGE]; /* received, and then to be sent */
  uint8_t record[RECORD];
} channel;

/* --- Signatures (sign.c) --------------------------------------------------------------------------- */

typedef struct signer signer;

/* One key for each side, made from its name. */
signer *signer_open(bool payer);
/* Signs the channel's version: the signature goes into its message and its record. */
void signer_sign(const signer *s, channel *c);
/* Recovers who signed the channel's version from the signature in its message; false if it was not the other side. */
bool signer_check(const signer *s, channel *c);

/* --- Rows (rows.c) ---------------------------------------------------------------------------------- */

typedef struct rows rows;

/* Makes the database with its channels. */
rows *rows_open(const char *path, channel *channels, uint32_t n);
void rows_begin(rows *r);
/* What the stage of the channel makes durable. */
void rows_put(rows *r, channel *c);
/* The flush. */
void rows_commit(rows *r);
/* Updates that both databases hold, after both processes are gone. Ends the process if one was adopted by the payer
 * that the payee lacks. */
uint64_t rows_count(const char *payer, const char *payee);

/* --- The wire (wire.c) ------------------------------------------------------------------------------ */

typedef struct wire wire;

/* Listens on loopback and tells the port; wire_accept then waits for the peer. `messages` is the most that ever wait.
 */
wire *wire_listen(uint16_t *port, size_t messages);
void wire_accept(wire *w);
wire *wire_dial(uint16_t port, size_t messages);
/* Encrypts one frame after those that wait. */
void wire_put(wire *w, const uint8_t message[MESSAGE]);
/* Sends what waits, in one piece; what comes while it flies makes the next piece. */
void wire_flush(wire *w);
/* Waits for bytes, and calls each() for every message that became whole. One thread at a time. */
void wire_wait(wire *w, void (*each)(void *ctx, const uint8_t message[MESSAGE]), void *ctx);

/* --- One of the two processes (side.c) ---------------------------------------------------------------- */

typedef struct side_config {
  bool payer;
  uint32_t channels, threads;
  uint32_t group;   /* units in a commit, at most */
  bool full;        /* a commit waits for so many while there are signatures to make */
  const char *path; /* of its database */
  uint16_t port;    /* the payer dials it */
  int parent;       /* socket: the side sends its port once it is ready and starts on a byte */
} side_config;

/* Runs until it is killed. */
__attribute__((noreturn)) void side_run(const side_config *cfg);

#endif
