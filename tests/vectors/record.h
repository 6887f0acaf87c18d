/* record.h - writes down what the engine does in a duo (tests/support/engine_fixture.h): every event that a side takes,
 * what it signs, says and wants because of it, and where it stands then. The linker puts record.c between the fixture
 * and the engine (tests/meson.build). */
#ifndef RECORD_H
#define RECORD_H

#include <engine_fixture.h>

#include "vectors.h"

/* From here on `d` is written down. */
void record_begin(duo *d, const char *about);
/* And another channel of the two, with keys and nonces of its own (after duo_make, before the first is opened). */
void record_second(duo *d);
/* Writes FOLDER/dialogues/NAME.json, frees the channels. */
void record_end(const char *folder, const char *name);
/* For the reader: why the next step. */
void record_note(const char *text);

/* A message that no honest peer sends, with why. The engine must refuse it with `err`, or ignore it (CH_OK). */
void record_forged(int to, const ch_msg *m, ch_err err, const char *why);
/* The same with bytes that may be no message. */
void record_bytes(int to, const uint8_t *bytes, size_t len, ch_err err, const char *why);

/* The next step's message is such a one. */
void record_next_forged(const char *why);

/* The process ends and starts again: what is durable is read again. */
void record_restart(int side);
/* An older copy of what is durable: `record_copy` notes the present, `record_put_back` goes back there. */
void record_copy(int side);
void record_put_back(int side);
/* All is lost but the static backup: what was fixed at open. */
void record_backup(int side);

/* The chain as it stands (`record_fork`) is later the head again (`record_reorganise`): what came after is taken back.
 */
void record_fork(void);
void record_reorganise(void);

#endif
