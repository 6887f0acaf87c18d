/* Results as people read them: lines of fields, aligned tables, single lines. Colours only on a terminal. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define CELL 512

static bool colours(void) {
  const char *no = getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) && (!no || !*no);
}

/* --- One value ------------------------------------------------------------------------------------------- */

static const json_t *at_path(const json_t *value, const char *path) {
  char name[32];
  while (value && *path) {
    size_t n = strcspn(path, ".");
    snprintf(name, sizeof name, "%.*s", (int)n, path);
    value = json_object_get(value, name);
    path += n + (path[n] == '.');
  }
  return value;
}

static void write_time(char out[CELL], json_int_t seconds) {
  time_t t = (time_t)seconds;
  struct tm utc;
  if (!gmtime_r(&t, &utc) || strftime(out, CELL, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0)
    snprintf(out, CELL, "%" JSON_INTEGER_FORMAT, seconds);
}

/* The two largest units: "1 d 2 h". */
static void write_span(char out[CELL], json_int_t seconds) {
  static const struct {
    json_int_t size;
    const char *name;
  } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
  enum { N = sizeof units / sizeof *units };
  size_t i = 0;
  while (i + 1 < N && seconds < units[i].size)
    i++;
  json_int_t rest = seconds % units[i].size;
  int n = snprintf(out, CELL, "%" JSON_INTEGER_FORMAT " %s", seconds / units[i].size, units[i].name);
  if (i + 1 < N && rest >= units[i + 1].size)
    snprintf(out + n, CELL - (size_t)n, " %" JSON_INTEGER_FORMAT " %s", rest / units[i + 1].size, units[i + 1].name);
}

static void write_text(char out[CELL], const char *text, cli_format format) {
  bool coin = strspn(text, "0x") == strlen(text);
  if (format == CLI_ASSET && coin)
    snprintf(out, CELL, "the chain's coin");
  else if (format == CLI_SHORT)
    snprintf(out, CELL, "%.12s", text);
  else
    snprintf(out, CELL, "%s", text);
  for (char *p = out; *p; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
}

/* The value as text; false if there is none. */
static bool write_cell(char out[CELL], const json_t *value, cli_format format) {
  *out = '\0';
  if (!value || json_is_null(value)) return false;
  json_int_t number = json_integer_value(value);
  if (json_is_boolean(value)) {
    snprintf(out, CELL, "%s", json_is_true(value) ? "yes" : "no");
  } else if (json_is_string(value)) {
    write_text(out, json_string_value(value), format);
  } else if (json_is_integer(value)) {
    if (format == CLI_TIME)
      write_time(out, number);
    else if (format == CLI_SPAN)
      write_span(out, number);
    else
      snprintf(out, CELL, "%" JSON_INTEGER_FORMAT, number);
  }
  return true;
}

static const char *colour_of(const char *text, cli_format format) {
  static const char *const good[] = {"open", "settled", "done", "yes", "closed"};
  static const char *const bad[] = {"failed", "disputed", "no"};
  if (format != CLI_STATE && format != CLI_YES) return NULL;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    if (strcmp(text, good[i]) == 0) return "\033[32m";
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (strcmp(text, bad[i]) == 0) return "\033[31m";
  return "\033[33m";
}

/* Characters, not bytes. */
static int width_of(const char *text) {
  int n = 0;
  for (; *text; text++)
    n += ((unsigned char)*text & 0xc0) != 0x80;
  return n;
}

static void print_cell(const char *text, int width, bool right, const char *colour) {
  int pad = width - width_of(text);
  if (right) printf("%*s", pad > 0 ? pad : 0, "");
  printf("%s%s%s", colour ? colour : "", text, colour ? "\033[0m" : "");
  if (!right && pad > 0) printf("%*s", pad, "");
}

/* --- Layouts --------------------------------------------------------------------------------------------- */

static void show_fields(const cli_view *view, const json_t *result, bool colour) {
  char cell[CELL];
  int width = 0;
  for (const cli_column *c = view->columns; c->title; c++)
    if (width_of(c->title) > width) width = width_of(c->title);
  for (const cli_column *c = view->columns; c->title; c++) {
    if (!write_cell(cell, at_path(result, c->path), c->format)) continue;
    print_cell(c->title, width + 2, false, NULL);
    print_cell(cell, 0, false, colour ? colour_of(cell, c->format) : NULL);
    putchar('\n');
  }
}

static void show_line(const cli_view *view, const json_t *result, bool colour) {
  char cell[CELL];
  const char *before = "";
  for (const cli_column *c = view->columns; c->title; c++) {
    if (!write_cell(cell, at_path(result, c->path), c->format)) continue;
    printf("%s%s%s", before, c->title, *c->title ? " " : "");
    print_cell(cell, 0, false, colour ? colour_of(cell, c->format) : NULL);
    before = "  ";
  }
  putchar('\n');
}

static int column_width(const cli_column *column, const json_t *rows) {
  char cell[CELL];
  int width = width_of(column->title);
  size_t i;
  json_t *row;
  json_array_foreach(rows, i, row) {
    write_cell(cell, at_path(row, column->path), column->format);
    if (width_of(cell) > width) width = width_of(cell);
  }
  return width;
}

/* One row; `row` NULL: the titles. Nothing follows the last column. */
static void print_row(const cli_view *view, const int *widths, const json_t *row, bool colour) {
  char cell[CELL];
  for (const cli_column *c = view->columns; c->title; c++) {
    bool last = !c[1].title;
    const char *text = row ? cell : c->title;
    if (row && !write_cell(cell, at_path(row, c->path), c->format)) strcpy(cell, "-");
    const char *paint = row ? colour_of(cell, c->format) : "\033[1m";
    print_cell(text, last ? 0 : widths[c - view->columns], c->format == CLI_RIGHT, colour ? paint : NULL);
    fputs(last ? "\n" : "  ", stdout);
  }
}

static void show_table(const cli_view *view, const json_t *result, bool colour) {
  const json_t *rows = json_object_get(result, view->list);
  int widths[16] = {0};
  if (json_array_size(rows) == 0) {
    if (view->empty) fprintf(stderr, "%s\n", view->empty);
    return;
  }
  for (const cli_column *c = view->columns; c->title; c++)
    widths[c - view->columns] = column_width(c, rows);
  print_row(view, widths, NULL, colour);
  size_t i;
  json_t *row;
  json_array_foreach(rows, i, row) print_row(view, widths, row, colour);
  const json_t *next = json_object_get(result, "next");
  fflush(stdout); /* what follows on stderr belongs below it */
  if (json_is_integer(next))
    fprintf(stderr, "There is more: --after %" JSON_INTEGER_FORMAT ".\n", json_integer_value(next));
}

void cli_show(const cli_view *view, const json_t *result) {
  bool colour = colours();
  for (; view; view = view->then) {
    switch (view->layout) {
    case CLI_FIELDS: show_fields(view, result, colour); break;
    case CLI_TABLE: show_table(view, result, colour); break;
    case CLI_LINE: show_line(view, result, colour); break;
    }
  }
}
