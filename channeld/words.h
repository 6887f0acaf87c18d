/* words.h - the recovery words, with a person: shown once and confirmed, or asked for. */
#ifndef CHANNELD_WORDS_H
#define CHANNELD_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define CD_WORDS_LEN 512 /* of a sentence as a person may type it, in locked memory */

/* New random words, 12 or 24. All return false with a sentence in `why`. */
bool cd_words_make(char out[CD_WORDS_LEN], unsigned number, char *why, size_t why_len);
/* Reads the words from standard input and checks them. */
bool cd_words_ask(char out[CD_WORDS_LEN], char *why, size_t why_len);

/* Shows them on standard output, in numbered rows. */
void cd_words_show(const char *words);
/* Waits until they are written down, clears the screen, and asks for three of them. */
bool cd_words_confirm(const char *words, char *why, size_t why_len);

#endif
