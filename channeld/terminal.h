/* terminal.h - asking a person, or a script that answers on standard input. */
#ifndef CHANNELD_TERMINAL_H
#define CHANNELD_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether somebody is there: standard input and standard error are a terminal. */
bool cd_terminal(void);

/* Reads one line of standard input, without its end, into `out`. Nothing is buffered: what follows stays to be read. On
 * a terminal `prompt` is shown before; with `hidden` what is typed is not, and Ctrl-C cancels. False with a sentence in
 * `why` if there is no line, or one that does not fit or has a zero byte. */
bool cd_ask(const char *prompt, bool hidden, char *out, size_t size, char *why, size_t why_len);

/* Clears the screen and what was scrolled off it, if standard output is a terminal. */
void cd_terminal_clear(void);

#endif
