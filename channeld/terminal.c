#include "terminal.h"

#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_C 3

bool cd_terminal(void) {
  return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

void cd_terminal_clear(void) {
  if (!isatty(STDOUT_FILENO)) return;
  fputs("\033[H\033[2J\033[3J", stdout);
  fflush(stdout);
}

/* One byte, so that nothing is read ahead. False at the end. */
static bool read_byte(char *out) {
  ssize_t n;
  do
    n = read(STDIN_FILENO, out, 1);
  while (n < 0 && errno == EINTR);
  return n == 1;
}

typedef enum line_end { LINE, TOO_LONG, ZERO_BYTE, NOTHING, CANCELLED } line_end;

static line_end read_line(char *out, size_t size) {
  size_t n = 0;
  bool any = false, fits = true, text = true;
  for (char c; read_byte(&c); any = true) {
    if (c == CTRL_C) return CANCELLED;
    if (c == '\n') {
      any = true;
      break;
    }
    if (c == '\0') text = false;
    if (n + 1 < size) {
      out[n++] = c;
    } else {
      fits = false;
    }
  }
  if (n > 0 && out[n - 1] == '\r') n--;
  out[n] = '\0';
  if (!fits) return TOO_LONG;
  if (!text) return ZERO_BYTE;
  return any ? LINE : NOTHING;
}

/* Hides what is typed. Ctrl-C becomes the end of a line instead of a signal: no way leads past the reset below. */
static bool hide(struct termios *before) {
  if (tcgetattr(STDIN_FILENO, before) != 0) return false;
  struct termios quiet = *before;
  quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
  quiet.c_lflag |= ECHONL | ICANON;
  quiet.c_cc[VEOL] = CTRL_C;
  return tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
}

bool cd_ask(const char *prompt, bool hidden, char *out, size_t size, char *why, size_t why_len) {
  struct termios before;
  bool person = cd_terminal(), quiet = person && hidden && hide(&before);
  if (person && hidden && !quiet) {
    snprintf(why, why_len, "The terminal cannot be kept from showing what is typed.");
    return false;
  }
  if (person) fputs(prompt, stderr);
  line_end end = read_line(out, size);
  if (quiet) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
  switch (end) {
  case LINE: return true;
  case TOO_LONG: snprintf(why, why_len, "That is too long."); return false;
  case ZERO_BYTE:
    snprintf(
        why, why_len,
        "There is a zero byte in what was typed (Ctrl-Space makes one), behind which nothing would count: use text.");
    return false;
  case NOTHING: snprintf(why, why_len, "Nothing was given."); return false;
  case CANCELLED: snprintf(why, why_len, "Cancelled."); return false;
  }
  return false;
}
