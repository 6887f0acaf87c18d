#!/usr/bin/env bash
# install.sh BUILD_DIR: an installed libchannel serves a program that knows only `pkg-config libchannel`.
set -euo pipefail
build=$1
# shellcheck source=tests/support/installed.sh
. "$(dirname "$0")/../support/installed.sh"

{
  for header in "$(flags --variable=includedir)"/channel/*.h; do echo "#include <channel/$(basename "$header")>"; done
  echo 'int main(void) { return ch_err_name(CH_OK) == 0; }'
} >"$prefix/program.c"

compile() { # OUTPUT LINK-FLAGS...
  local output=$1
  shift
  # shellcheck disable=SC2046 # the flags are words
  gcc -std=c17 -Wall -Wextra -Werror "$prefix/program.c" $(flags --cflags) "$@" -o "$output"
}

linked_to_soname() {
  readelf -d "$prefix/shared" | grep -q 'NEEDED.*\[libchannel\.so\.0\]'
}

# shellcheck disable=SC2046 # the flags are words
result "a program compiles with the installed headers and libchannel.so" compile "$prefix/shared" $(flags --libs)
result "the program names libchannel.so.0" linked_to_soname
result "the program runs" env LD_LIBRARY_PATH="$libraries" "$prefix/shared"
# shellcheck disable=SC2046 # the flags are words
result "a program links libchannel.a with pkg-config --static" compile "$prefix/static" "$libraries/libchannel.a" \
  $(flags --static --libs | sed 's/-lchannel\b//')
result "the statically linked program runs" "$prefix/static"
echo "1..5"
