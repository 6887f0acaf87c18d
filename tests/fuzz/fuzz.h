/* fuzz.h - what the fuzz targets share. A target states a property that holds for any bytes, and aborts if it does not;
 * the sanitizers see the rest. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `holds` must be true whatever the input is. */
static inline void must(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "fuzz: not true: %s\n", what);
  abort();
}

/* The input as a string of its own, malloc'ed, with a NUL behind. */
static inline char *text_of(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  must(text != NULL, "there is memory");
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  return text;
}

#endif
