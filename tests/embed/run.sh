#!/usr/bin/env bash
# run.sh BUILD_DIR: payapp.c, which knows only what `pkg-config libchannel` says, against an installed libchannel.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
# shellcheck source=tests/support/installed.sh
. "$(dirname "$0")/../support/installed.sh"

# pays COMPILER... -- FLAGS...: compiles payapp.c and runs it
pays() {
  local compiler=()
  while [ "$1" != -- ]; do
    compiler+=("$1")
    shift
  done
  shift
  # shellcheck disable=SC2046 # the flags are words
  "${compiler[@]}" -Wall -Wextra -Wpedantic -Werror $(flags --cflags libsodium) "$here/payapp.c" -x none "$@" -o "$prefix/payapp" &&
    [ "$(LD_LIBRARY_PATH=$libraries "$prefix/payapp")" = "alice 750, bob 750" ]
}

short() {
  [ "$(wc -l <"$here/payapp.c")" -le 120 ]
}

guide() { # the first C program in the guide is this one
  # shellcheck disable=SC2016 # Markdown's backticks
  awk '/^```c$/ { on = 1; next } on && /^```$/ { exit } on' "$here/../../libchannel/README.md" | diff -u - "$here/payapp.c"
}

# shellcheck disable=SC2046 # the flags are words
result "embed: C shared" pays gcc -std=gnu17 -- $(flags --libs libsodium)
# shellcheck disable=SC2046 # the flags are words
result "embed: C static" pays gcc -std=gnu17 -- $(flags --static --libs libsodium | sed 's/-lchannel\b/-l:libchannel.a/')
# shellcheck disable=SC2046 # the flags are words
result "embed: C++" pays clang++ -std=c++17 -x c++ -- $(flags --libs libsodium)
result "embed: at most 120 lines" short
result "embed: the guide shows the same program" guide
echo "1..5"
