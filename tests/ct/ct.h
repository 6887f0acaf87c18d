/* ct.h - whether secrets decide what is executed or which memory is touched, seen by valgrind's memcheck.
 *
 * Memcheck reports each branch and each address that depends on undefined memory, and follows that through everything
 * that is computed. So secrets are marked as undefined; what is reported then depends on a secret. The method is
 * Adam Langley's ctgrind, as in libsecp256k1's own ctime_tests.
 *
 * What becomes public by design is marked as defined where it does: results of libsecp256k1 and libsodium at the call
 * (declassify.c), or by the check itself. */
#ifndef TESTS_CT_H
#define TESTS_CT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here on these bytes are a secret, or public. */
void ct_secret(void *p, size_t len);
void ct_public(const void *p, size_t len);
/* Hex digits that are secret. That they are printable characters, and not the text's end, is not. */
void ct_secret_digits(char *p, size_t len);
/* True if every byte depends on a secret: shows that a check has not lost it on the way. */
bool ct_is_secret(const void *p, size_t len);

/* In the next read() of the program, the bytes from `offset` on are secret digits up to the end of the line. */
void ct_next_read_is_secret(size_t offset);

/* Prints how many reports each suppression stands for, as comments `# NAME N`. */
void ct_expected_suppressed(void);

/* A check returns false if the code under test did not do its work; it is valgrind that sees the leaks. */
typedef struct ct_check {
  const char *name;
  bool (*run)(void);
} ct_check;

/* Each list ends with a NULL. */
extern const ct_check ct_key_checks[], ct_wire_checks[], ct_file_checks[];

#endif
