#!/usr/bin/env bash
# run.sh BUILD_DIR: payapp.c, which knows only what `pkg-config libchannel` says, against an installed libchannel.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT

result() { # NAME COMMAND...: runs the command, prints a line of TAP
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok embed: $name"
  else
    echo "not ok embed: $name"
    while read -r line; do echo "# $line"; done <<<"$output"
  fi
}

meson install -C "$build" --no-rebuild --quiet --destdir "$prefix"
config=$(find "$prefix" -name libchannel.pc)
libraries=$(dirname "$(dirname "$config")")
PKG_CONFIG_PATH=$(dirname "$config")
export PKG_CONFIG_PATH

flags() { # the tree lies in a folder that is not its prefix
  pkg-config --define-variable=prefix="$prefix$(pkg-config --variable=prefix libchannel)" "$@" libchannel libsodium
}

# pays COMPILER... -- FLAGS...: compiles payapp.c and runs it
pays() {
  local compiler=()
  while [ "$1" != -- ]; do
    compiler+=("$1")
    shift
  done
  shift
  # shellcheck disable=SC2046 # the flags are words
  "${compiler[@]}" -Wall -Wextra -Wpedantic -Werror $(flags --cflags) "$here/payapp.c" -x none "$@" -o "$prefix/payapp" &&
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
result "C shared" pays gcc -std=gnu17 -- $(flags --libs)
# shellcheck disable=SC2046 # the flags are words
result "C static" pays gcc -std=gnu17 -- $(flags --static --libs | sed 's/-lchannel\b/-l:libchannel.a/')
# shellcheck disable=SC2046 # the flags are words
result "C++" pays clang++ -std=c++17 -x c++ -- $(flags --libs)
result "at most 120 lines" short
result "the guide shows the same program" guide
echo "1..5"
