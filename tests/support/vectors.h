/* vectors.h - published test vectors that live outside this repository, as JSON files in one folder. */
#ifndef TEST_VECTORS_H
#define TEST_VECTORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Loads $VECTORS_DIR/<file>. Returns a document that the caller frees with json_decref. Prints one line and
 * returns NULL if the variable is not set, so that the test can skip(); a file that is missing or is not JSON
 * although the variable is set fails the running test. */
json_t *vectors_load(const char *file);

/* The string member `key` of a JSON object; fails the running test if it is missing. Borrowed from `object`. */
const char *vectors_str(const json_t *object, const char *key);

/* Decodes the hex string member `key` (with or without "0x") of `object` into `out` (up to `size` bytes) and returns
 * its length in bytes. Fails the running test if the member is missing, is not hex or does not fit. */
size_t vectors_hex(const json_t *object, const char *key, uint8_t *out, size_t size);

#endif
