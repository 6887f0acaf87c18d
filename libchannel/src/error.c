#include "channel/error.h"

const char *ch_err_name(ch_err e) {
  switch (e) {
#define NAME(n, sym, name, text)                                                                                       \
  case CH_ERR_##sym: return name;
    CH_ERRORS(NAME)
#undef NAME
  }
  return "unknown";
}

const char *ch_err_text(ch_err e) {
  switch (e) {
#define TEXT(n, sym, name, text)                                                                                       \
  case CH_ERR_##sym: return text;
    CH_ERRORS(TEXT)
#undef TEXT
  }
  return "An error without a description, which is our bug; please report it.";
}
