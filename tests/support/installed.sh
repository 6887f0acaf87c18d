# shellcheck shell=bash
# Sourced with BUILD_DIR in $build: installs that build below $prefix, and says with which flags a program is compiled
# against it ($libraries: the folder of libchannel.so). `result` runs checks, as TAP.
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT

result() { # NAME COMMAND...: runs the command, prints a line of TAP
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok $name"
  else
    echo "not ok $name"
    while read -r line; do echo "# $line"; done <<<"$output"
  fi
}

# shellcheck disable=SC2154 # named by who sources this
meson install -C "$build" --no-rebuild --quiet --destdir "$prefix"
config=$(find "$prefix" -name libchannel.pc)
# shellcheck disable=SC2034 # for those who source this
libraries=$(dirname "$(dirname "$config")")
PKG_CONFIG_PATH=$(dirname "$config")
export PKG_CONFIG_PATH

flags() { # PKG-CONFIG-ARGUMENTS...: the tree lies in a folder that is not its prefix
  pkg-config --define-variable=prefix="$prefix$(pkg-config --variable=prefix libchannel)" "$@" libchannel
}
