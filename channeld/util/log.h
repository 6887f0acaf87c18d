/* log.h - one line per event, on standard error.
 *
 *     2026-11-21T02:03:04.567Z WARN net: connection refused node=02ab.. reason="..."
 *
 * A line is written with one write(2), so lines of different threads never mix. Whatever is not printable ASCII
 * is written as '?': text from a peer can neither forge a line nor reach the terminal. Secrets are never logged.
 */
#ifndef CHANNELD_UTIL_LOG_H
#define CHANNELD_UTIL_LOG_H

#include <stdbool.h>

/* X(SYMBOL, "NAME") */
#define CD_LOG_LEVELS(X)                                                                                               \
  X(TRACE, "TRACE")   /* every message */                                                                              \
  X(DEBUG, "DEBUG")   /* every decision */                                                                             \
  X(INFO, "INFO")     /* what an operator wants to see */                                                              \
  X(WARN, "WARN")     /* something outside failed; it is handled */                                                    \
  X(ERROR, "ERROR")   /* something here failed; the operator should look */                                            \
  X(BROKEN, "BROKEN") /* a rule of our own does not hold: a bug, please report it */

typedef enum cd_log_level {
#define CD_LOG_ENUM(sym, name) CD_LOG_##sym,
  CD_LOG_LEVELS(CD_LOG_ENUM)
#undef CD_LOG_ENUM
} cd_log_level;

/* Lines below `level` are dropped. INFO at start. Any thread. */
void cd_log_set_level(cd_log_level level);
/* Whether a line of `level` would be written: saves the work of preparing one. */
bool cd_log_on(cd_log_level level);
/* "debug" or "DEBUG" to its level; false if there is no such level. */
bool cd_log_parse_level(const char *name, cd_log_level *out);

/* Writes one line; longer ones are cut. `subsystem` is a short word. Any thread. */
void cd_log(cd_log_level level, const char *subsystem, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* How many BROKEN lines there were since the start. */
unsigned cd_log_broken(void);

#endif
